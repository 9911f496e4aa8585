"""How a text table is written, and the records in its lines: exactly, or mended where they are not
as the header says."""

from __future__ import annotations

import csv
import io
import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Literal, Self

from tabvae.errors import ParameterError, require_one_of, shown
from tabvae.files.parquet_layout import Layout
from tabvae.files.sniffing import check_encoding

Row = Sequence[str | None]


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        delimiter: between cells, with a blank behind it if cells have one before their quotes;
            ``None`` to find it in the header and the rows below.
        encoding: of the bytes; ``None`` for UTF-8, or what a byte order mark says.
        newline: at the end of each row.
        mark: whether a byte order mark comes first.
        quote: before and after a cell with delimiters, quotes or line ends in it; "" for none.
        escape: before a quote in a cell; ``None`` if the quote is doubled.
        header_rows: lines of names; with several, a column is called by all of its cells. ``None``
            for one, or none if all records are numbers.
        skip_rows: lines before those.
        comment: what a line begins with that is no row; "" if there is no such line.
        bad_rows: what becomes of rows of another width than the header, or with misplaced quotes:
            ``error``, ``skip`` or ``pad``.
        layout: of a Parquet file; the rest is of a text table.

    Raises:
        ParameterError: no table can be written so.

    **Examples**

    >>> Dialect(";").delimiter
    ';'
    >>> Dialect(encoding="utf-9")
    Traceback (most recent call last):
    tabvae.errors.ParameterError: unknown encoding 'utf-9' (--encoding utf-8)
    """

    delimiter: str | None = None
    encoding: str | None = None
    newline: str = "\n"
    mark: bool = False
    quote: str = '"'
    escape: str | None = None
    header_rows: int | None = None
    skip_rows: int = 0
    comment: str = ""
    bad_rows: str = "error"
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        most_rows = 10_000  # Of a header; a model file may not ask for more.
        if self.delimiter is not None and not re.fullmatch(r'[^"\r\n] ?', self.delimiter):
            raise ParameterError(
                f"the delimiter must be one character, no quote and no line end, however: "
                f"{shown(self.delimiter)}",
                "--delimiter ';'",
            )
        if self.encoding is not None:
            check_encoding(self.encoding)
        for name, mark in (("quote", self.quote), ("escape", self.escape or "")):
            if len(mark) > 1 or mark in ("\r", "\n", self.separator):
                raise ParameterError(
                    f"the {name} must be one character, no delimiter and no line end, however: "
                    f"{shown(mark)}",
                    f"--{name} {self.quote if name == 'escape' else chr(39)}",
                )
        if re.search(r"[\r\n]", self.comment):
            raise ParameterError("a comment begins within a line", "--comment '#'")
        for name, rows in (("header", self.header_rows or 0), ("skip", self.skip_rows)):
            if not 0 <= rows <= most_rows:
                raise ParameterError(f"{rows} rows of {name} are not between 0 and {most_rows}")
        require_one_of("bad_rows", self.bad_rows, ("error", "skip", "pad"))

    @property
    def separator(self) -> str:
        """The delimiter without a blank behind it."""
        return (self.delimiter or ",")[0]

    @property
    def padded(self) -> bool:
        """A blank behind each delimiter belongs to no cell."""
        return len(self.delimiter or ",") > 1

    @property
    def plain(self) -> bool:
        """Quotes, delimiters and lines are as RFC 4180 has them."""
        usual = Dialect()
        return not (self.padded or self.comment) and (self.quote, self.escape) == (
            usual.quote,
            usual.escape,
        )

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The records of ``lines``, of which no quote is escaped but by another."""
        return csv.reader(
            lines,
            delimiter=self.separator,
            quotechar=self.quote or None,
            quoting=csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE,
            skipinitialspace=self.padded,
            strict=True,
        )

    def writer(
        self, text: IO[str], quoted: bool = False
    ) -> Callable[[Sequence[str | None]], object]:
        """What writes a row to ``text``, every cell of it ``quoted`` or those that need to be.

        >>> text = io.StringIO()
        >>> Dialect(", ", quote="'").writer(text)(["a", "b, c"])
        >>> text.getvalue()
        "a, 'b, c'\\n"
        """
        how = partial(
            csv.writer,
            delimiter=self.separator,
            quotechar=self.quote or None,
            escapechar=self.escape,
            doublequote=self.escape is None,
        )
        most: Literal[1, 3] = csv.QUOTE_ALL if self.quote else csv.QUOTE_NONE
        least: Literal[0, 3] = csv.QUOTE_MINIMAL if self.quote else csv.QUOTE_NONE
        if not self.padded:
            quoting = most if quoted else least
            return how(text, lineterminator=self.newline, quoting=quoting).writerow

        def write(row: Row) -> None:
            cells = []
            for cell in row:
                sink = io.StringIO()
                if cell or quoted or len(row) == 1:  # ``csv`` quotes an empty cell that is alone.
                    within = quoted or (cell or "").startswith(" ")
                    writer = how(sink, lineterminator="\r\n", quoting=most if within else least)
                    writer.writerow([cell])
                cells.append(sink.getvalue().removesuffix("\r\n"))
            text.write(f"{self.separator} ".join(cells) + self.newline)

        return write


class Lines:
    """The lines of a text: those of comments left out, escaped quotes doubled.

    Attributes:
        number: of the line that was taken last.

    **Examples**

    >>> lines = Lines(["# new", "1;2"], Dialect(comment="#"))
    >>> lines.take(), lines.number, lines.take()
    ('1;2', 2, None)
    """

    def __init__(self, lines: Iterable[str], dialect: Dialect, skipped: int = 0) -> None:
        self._lines = iter(lines)
        self._again: deque[str] = deque()
        self._comment = dialect.comment
        self._escaped = None
        if dialect.escape:
            mark, quote = re.escape(dialect.escape), re.escape(dialect.quote)
            self._escaped = re.compile(f"{mark}({mark}|{quote})")
        self._quote, self._escape = dialect.quote, dialect.escape
        self.number = skipped

    def take(self, within: bool = False) -> str | None:
        """The next line, ``None`` after the last; ``within`` a record none is a comment."""
        while True:
            line = self._again.popleft() if self._again else next(self._lines, None)
            if line is None:
                return None
            self.number += 1
            if within or not self._comment or not line.startswith(self._comment):
                return line if self._escaped is None else self._escaped.sub(self._plain, line)

    def give_back(self, lines: Sequence[str]) -> None:
        """Take ``lines``, the last ones, once more."""
        self._again.extendleft(reversed(lines))
        self.number -= len(lines)

    def _plain(self, found: re.Match[str]) -> str:
        return self._quote * 2 if found[1] == self._quote else found[1]


class Records:
    """The records of a CSV text, with quotes only where they belong.

    Attributes:
        line: on which the record that is read begins.
        newline: at the end of that record.

    Raises:
        csv.Error: a quote opens inside a cell, or is never closed.

    **Examples**

    >>> list(Records(Lines(['a;"b;c"', "1;2"], Dialect(";")), Dialect(";")))
    [['a', 'b;c'], ['1', '2']]
    """

    def __init__(self, lines: Lines, dialect: Dialect) -> None:
        self._lines = lines
        self._reader = dialect.reader(self._watched())
        self._quote, self._well_quoted = dialect.quote, well_quoted(dialect)
        self._quoted: list[str] = []
        self._last = ""
        self._within = False
        self.line = lines.number + 1

    @property
    def newline(self) -> str:
        return line_end(self._last)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        self._quoted.clear()
        self._within = False
        record = next(self._reader)
        # The reader takes a quote that opens inside a cell for a plain character.
        if self._quoted and not self._well_quoted.fullmatch("".join(self._quoted)):
            raise csv.Error("a quote opens inside a cell")
        return record

    def _watched(self) -> Iterator[str]:
        """The lines, of which those of a record with quotes are kept for as long as it is read."""
        while (line := self._lines.take(self._within)) is not None:
            if not self._within:
                self.line = self._lines.number
            self._last, self._within = line, True
            if self._quoted or (self._quote and self._quote in line):
                self._quoted.append(line)
            yield line


def line_end(line: str) -> str:
    """What ``line`` ends with: a carriage return, a new line or both.

    >>> line_end("a,b\\r\\n")
    '\\r\\n'
    """
    return "\r" if line.endswith("\r") else "\r\n" if line.endswith("\r\n") else "\n"


def well_quoted(dialect: Dialect) -> re.Pattern[str]:
    """Cells that either have no quote or are whole between two; nothing is tried twice."""
    between, quote = re.escape(dialect.separator), re.escape(dialect.quote or "\n")
    blank = " ?+" if dialect.padded else ""
    cell = rf"{blank}(?:{quote}(?:[^{quote}]++|{quote}{quote})*+{quote}|[^{quote}{between}\r\n]*+)"
    return re.compile(rf"{cell}(?:{between}{cell})*+[\r\n]*+")


class MendedRecords:
    """Records as wide as the header, whatever the lines hold.

    A line with misplaced quotes is read as the cells that are as many as they should be, quotes
    that stand for nothing as plain characters.

    Args:
        lines: of the text.
        dialect: ``bad_rows`` says whether other rows are left out or padded: missing cells are
            empty, those beyond the header part of the last one.
        width: of the header; ``None`` if any will do.

    Attributes:
        line: on which the record that was read begins.
        newline: at the end of that record.
        bad: the lines of all rows that were not as they should be.

    **Examples**

    >>> dialect = Dialect(",", bad_rows="pad")
    >>> records = MendedRecords(Lines(['1,"2,x', "3"], dialect), dialect, width=3)
    >>> list(records), records.bad
    ([['1', '"2', 'x'], ['3', '', '']], [1, 2])
    """

    def __init__(self, lines: Lines, dialect: Dialect, width: int | None = None) -> None:
        self._lines, self._dialect, self._width = lines, dialect, width
        self._well_quoted = well_quoted(dialect)
        self._last = ""
        self.line = lines.number + 1
        self.bad: list[int] = []

    @property
    def newline(self) -> str:
        return line_end(self._last)

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        while (line := self._lines.take()) is not None:
            self._last, self.line = line, self._lines.number
            record, exact = self._record(line)
            if not record or (exact and self._width in (len(record), None)):
                return record
            self.bad.append(self.line)
            if self._dialect.bad_rows == "pad":
                return record if self._width is None else self._padded(record, self._width)
        raise StopIteration

    def _record(self, line: str) -> tuple[list[str], bool]:
        """The cells of a record that begins with ``line``, and whether its quotes are in place."""
        alone = [line]
        together = [line, *self._until_closed(line)]
        candidates = [together, alone] if len(together) > 1 else [alone]
        records = [
            next(self._dialect.reader(lines))
            for lines in candidates
            if self._well_quoted.fullmatch("".join(lines))
        ]
        if records and (len(candidates) == 1 or self._width in (len(records[0]), None)):
            self._last = together[-1]
            return records[0], True
        self._lines.give_back(together[1:])
        return split(re.sub("[\r\n]+$", "", line), self._dialect, self._width), False

    def _until_closed(self, line: str) -> list[str]:
        """The lines up to the one that closes a quote that ``line`` leaves open."""
        quote = self._dialect.quote
        lines: list[str] = []
        if quote and line.count(quote) % 2:
            while (following := self._lines.take(within=True)) is not None:
                lines.append(following)
                if following.count(quote) % 2:
                    return lines
            self._lines.give_back(lines)
            return []
        return lines

    def _padded(self, record: list[str], width: int) -> list[str]:
        kept, surplus = record[:width], record[width:]
        if any(surplus):
            kept[-1] = self._dialect.separator.join([kept[-1], *surplus])
        return kept + [""] * (width - len(kept))


def split(line: str, dialect: Dialect, width: int | None) -> list[str]:
    """The cells of a ``line`` with misplaced quotes, ``width`` of them if that can be.

    A quote may open a cell up to where it is closed by the rules, or up to the next one before a
    delimiter, or be a plain character: of all ways to read so many cells, the first.

    >>> split('a,"b,"c, ""d"" e",f', Dialect(","), 4)
    ['a', '"b', 'c, "d" e', 'f']
    """
    starts = [0, *(found.end() for found in re.finditer(re.escape(dialect.separator), line))]
    ends = [_ends(line, start, dialect) for start in starts]
    number = {start: position for position, start in enumerate(starts)}
    # Bit k of a start's number is set if what follows can be k cells.
    limit = (1 << (width or 0) + 1) - 1
    counts = [0] * len(starts)
    for position in reversed(range(len(starts))):
        for end, _ in ends[position]:
            later = 1 if end == len(line) else counts[number[end + 1]]
            counts[position] |= (later << 1) & limit
    cells, position, left = [], 0, width or 0
    possible = bool(counts[0] >> left & 1)
    while True:
        for end, cell in ends[position]:  # noqa: B007 - the last is used
            later = 1 if end == len(line) else counts[number[end + 1]]
            if not possible or later >> (left - 1) & 1:
                break
        cells.append(cell)
        if end == len(line):
            return cells
        position, left = number[end + 1], left - 1


def _ends(line: str, start: int, dialect: Dialect) -> list[tuple[int, str]]:
    """Where a cell that begins at ``start`` can end, and what it is then; best first."""
    separator, quote = dialect.separator, dialect.quote
    if dialect.padded and line.startswith(" ", start):
        start += 1
    found = []
    if quote and line.startswith(quote, start):
        by_rule = re.compile(rf"(?:[^{re.escape(quote)}]++|{re.escape(quote * 2)})*+")
        inner = by_rule.match(line, start + 1)
        assert inner is not None
        closed = inner.end() + 1
        if line.startswith(quote, inner.end()) and line[closed : closed + 1] in ("", separator):
            found.append((closed, inner[0].replace(quote * 2, quote)))
        loose = line.find(quote + separator, start + 1)
        if loose < 0 and len(line) > start + 1 and line.endswith(quote):
            loose = len(line) - 1
        if loose >= 0:
            found.append((loose + 1, line[start + 1 : loose]))
    plain = line.find(separator, start)
    end = len(line) if plain < 0 else plain
    return [*found, (end, line[start:end])]

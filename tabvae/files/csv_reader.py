"""CSV files: dialect and lines, with the text of every cell kept."""

from __future__ import annotations

import csv
import gzip
import io
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import BinaryIO, Self

import pyarrow as pa

from tabvae.errors import DataError, ParameterError, one_line, shown
from tabvae.files.decoding import check_encoding, find_encoding, undecodable_line
from tabvae.files.memory import ReadConfig
from tabvae.files.parquet_layout import Layout
from tabvae.files.sniffing import DELIMITERS, Sample, find_delimiter


@dataclass(frozen=True)
class Dialect:
    """How a table is written.

    Attributes:
        delimiter: between cells; ``None`` to find it in the header and the rows below.
        encoding: of the bytes; ``None`` for UTF-8, or what a byte order mark says.
        newline: at the end of each row.
        mark: whether a byte order mark comes first.
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
    layout: Layout = field(default_factory=Layout)

    def __post_init__(self) -> None:
        if self.delimiter is not None and (len(self.delimiter) != 1 or self.delimiter in '"\r\n'):
            raise ParameterError(
                f"the delimiter must be one character, no quote and no line end, however: "
                f"{shown(self.delimiter)}",
                "--delimiter ';'",
            )
        if self.encoding is not None:
            check_encoding(self.encoding)


class Records:
    """The records of a CSV text, with quotes only where they belong.

    Attributes:
        line: on which the record that is read begins.
        newline: at the end of that record.

    Raises:
        csv.Error: a quote opens inside a cell, or is never closed.

    **Examples**

    >>> list(Records(['a;"b;c"', "1;2"], delimiter=";"))
    [['a', 'b;c'], ['1', '2']]
    """

    def __init__(self, lines: Iterable[str], delimiter: str, skipped: int = 0) -> None:
        self._reader = csv.reader(self._watched(lines), delimiter=delimiter, strict=True)
        self._well_quoted = _well_quoted(delimiter)
        self._quoted: list[str] = []
        self._last = ""
        self._skipped = skipped
        self.line = skipped + 1

    @property
    def newline(self) -> str:
        return "\r\n" if self._last.endswith("\r\n") else "\n"

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        self._quoted.clear()
        self.line = self._reader.line_num + self._skipped + 1
        record = next(self._reader)
        # The reader takes a quote that opens inside a cell for a plain character.
        if self._quoted and not self._well_quoted.fullmatch("".join(self._quoted)):
            raise csv.Error("a quote opens inside a cell")
        return record

    def _watched(self, lines: Iterable[str]) -> Iterator[str]:
        """``lines``, of which those of a record with quotes are kept for as long as it is read."""
        for line in lines:
            self._last = line
            if self._quoted or '"' in line:
                self._quoted.append(line)
            yield line


def _well_quoted(delimiter: str) -> re.Pattern[str]:
    """Cells that either have no quote or are whole between two; nothing is tried twice."""
    between = re.escape(delimiter)
    cell = rf'(?:"(?:[^"]++|"")*+"|[^"{between}\r\n]*+)'
    return re.compile(rf"{cell}(?:{between}{cell})*+[\r\n]*+")


@dataclass(frozen=True)
class _Source:
    """A text file that can be read from its first record again and again."""

    file: BinaryIO | gzip.GzipFile
    encoding: str
    mark: bytes
    skipped: int = 0

    @contextmanager
    def text(self) -> Iterator[io.TextIOWrapper]:
        self.file.seek(len(self.mark))
        text = io.TextIOWrapper(self.file, encoding=self.encoding, newline="")
        try:
            for _ in range(self.skipped):
                text.readline()
            yield text
        finally:
            text.detach()

    def announced(self) -> str | None:
        """The delimiter that the first line says is used, if it says so: it is meant for Excel and
        no part of the table."""
        with self.text() as text:
            line = text.readline(len("sep=;\r\n"))
        announcement = re.fullmatch(r'sep=([^"\r\n])[\r\n]*', line, re.IGNORECASE)
        return announcement[1] if announcement else None

    def sample(self, delimiter: str, size: int) -> Sample:
        """What ``delimiter`` makes of the first records, up to one with a misplaced quote."""
        sampled: list[list[str]] = []
        lines: list[int] = []
        with self.text() as text, suppress(csv.Error):
            records = Records(text, delimiter, self.skipped)
            for record in islice(filter(None, records), size):
                sampled.append(record)
                lines.append(records.line)
        return Sample(sampled, lines[0] if lines else 1)


def read_csv(
    file: BinaryIO | gzip.GzipFile,
    name: str,
    start: bytes,
    dialect: Dialect,
    config: ReadConfig = ReadConfig(),
) -> tuple[pa.Table, Dialect]:
    """Read a text table.

    Args:
        file: at its first byte.
        name: for messages.
        start: its first four bytes.
        dialect: what is known of it.
        config: how much is read at a time.

    Returns:
        Columns of text, and the dialect as it was found.

    Raises:
        DataError: the file is no such table; names the line.
    """
    csv.field_size_limit(sys.maxsize)
    encoding, mark = find_encoding(start, dialect.encoding, name)
    source = _Source(file, encoding, mark)
    try:
        if (announced := source.announced()) is not None:
            source = replace(source, skipped=1)
        delimiter = dialect.delimiter or announced
        if delimiter is None:
            samples = {d: source.sample(d, config.records_per_sample) for d in DELIMITERS}
            delimiter = find_delimiter(samples, name)
        dialect = Dialect(delimiter, encoding, mark=bool(mark))
        with source.text() as text:
            records = Records(text, delimiter, source.skipped)
            table, newline = _parse_csv(records, name, delimiter, config)
    except UnicodeError as error:
        line = undecodable_line(file, encoding, config.bytes_per_read)
        raise DataError(
            f"{shown(name)}, line {line}, is not {encoding} text",
            "name its encoding: --encoding latin-1",
        ) from error
    return table, replace(dialect, newline=newline)


def _parse_csv(
    records: Records, name: str, delimiter: str, config: ReadConfig
) -> tuple[pa.Table, str]:
    """The table, and how its header's line ends."""
    try:
        header = next(filter(None, records), None)
        if header is None:
            raise DataError(f"{shown(name)} is empty")
        check_header(header, name)
        newline = records.newline
        rows = _checked_rows(records, len(header), name, delimiter)
        chunks = list(_csv_chunks(rows, header, config.rows_per_chunk(len(header))))
    except csv.Error as error:
        raise DataError(
            f"{shown(name)}, line {records.line}: {one_line(error)}",
            "a cell that holds a quote begins and ends with one, and doubles those inside",
        ) from error
    if not chunks:
        raise DataError(f"{shown(name)} has a header but no rows")
    return pa.concat_tables(chunks), newline


def _csv_chunks(rows: Iterator[list[str]], header: list[str], size: int) -> Iterator[pa.Table]:
    while chunk := list(islice(rows, size)):
        columns = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
        yield pa.Table.from_arrays(columns, names=header)


def _checked_rows(records: Records, width: int, name: str, delimiter: str) -> Iterator[list[str]]:
    """The rows, each as wide as the header. A blank line is a missing cell in a table of one
    column, and no row in any other."""
    for row in records:
        if len(row) == width:
            yield row
        elif row:
            likely = "," if delimiter == ";" else ";"
            raise DataError(
                f"{shown(name)}, line {records.line}: {len(row)} cells, but the header has {width}",
                f"quote cells that hold the delimiter {delimiter!r}, or name another: "
                f"--delimiter {likely!r}",
            )
        elif width == 1:
            yield [""]


def check_header(header: Sequence[str], name: str) -> None:
    """Make sure that no two columns of the file ``name`` are called the same.

    Raises:
        DataError: two are.

    >>> check_header(["a", "b", "a"], "t.csv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tabvae.errors.DataError: 't.csv': columns 1 and 3 are both called 'a' (give each column ...
    """
    seen: dict[str, int] = {}
    for number, column in enumerate(header, start=1):
        if column in seen:
            raise DataError(
                f"{shown(name)}: columns {seen[column]} and {number} are both called "
                f"{shown(column)}",
                "give each column its own name in the first line",
            )
        seen[column] = number

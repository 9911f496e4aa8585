"""CSV files: dialect and rows, with the text of every cell kept."""

from __future__ import annotations

import codecs
import csv
import io
import re
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from itertools import islice, zip_longest
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.csv as arrow_csv

from tabvae.errors import DataError, TabVAEWarning, one_line, shown
from tabvae.files.memory import ReadConfig
from tabvae.files.records import Dialect, Lines, MendedRecords, Records
from tabvae.files.sniffing import (
    DELIMITERS,
    Sample,
    find_delimiter,
    find_encoding,
    undecodable_line,
)


@dataclass(frozen=True)
class _Source:
    """A text file that can be read from its first record again and again."""

    file: BinaryIO
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
        with replace(self, skipped=0).text() as text:
            line = text.readline(len("sep=;\r\n"))
        announcement = re.fullmatch(r'sep=([^"\r\n])[\r\n]*', line, re.IGNORECASE)
        return announcement[1] if announcement else None

    def sample(self, dialect: Dialect, size: int) -> Sample:
        """What ``dialect`` makes of the first records, up to one with a misplaced quote that is not
        mended."""
        sampled: list[list[str]] = []
        heads: list[tuple[int, str]] = []
        with self.text() as text, suppress(csv.Error):
            lines = Lines(text, dialect, self.skipped)
            strict = dialect.bad_rows == "error"
            records = Records(lines, dialect) if strict else MendedRecords(lines, dialect)
            for record in islice(filter(None, records), size):
                sampled.append(record)
                heads.append((records.line, records.newline))
        return Sample(sampled, *heads[0]) if heads else Sample(sampled)


def read_csv(
    file: BinaryIO,
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
    source = _Source(file, encoding, mark, dialect.skip_rows)
    try:
        if (announced := source.announced()) is not None:
            source = replace(source, skipped=max(source.skipped, 1))
        if dialect.delimiter is None:
            delimiter = announced or _delimiter(source, dialect, name, config)
            dialect = replace(dialect, delimiter=delimiter)
        sample = source.sample(dialect, config.records_per_sample)
        if dialect.header_rows is None:
            dialect = replace(dialect, header_rows=_header_rows(sample, name))
        dialect = replace(dialect, encoding=encoding, mark=bool(mark))
        width = 0 if dialect.header_rows and dialect.bad_rows == "error" else sample.usual_width
        table = _parse_csv(source, dialect, width, name, config)
    except UnicodeError as error:
        line = undecodable_line(file, encoding, config.bytes_per_read)
        raise DataError(
            f"{shown(name)}, line {line}, is not {encoding} text",
            "name its encoding: --encoding cp1252 is common in files from Windows",
        ) from error
    return table, replace(dialect, newline=sample.newline)


def _delimiter(source: _Source, dialect: Dialect, name: str, config: ReadConfig) -> str:
    for strict in (replace(dialect, bad_rows="error"), dialect):
        tried = [replace(strict, delimiter=d) for d in DELIMITERS if d != dialect.quote]
        samples = {d.separator: source.sample(d, config.records_per_sample) for d in tried}
        if any(sample.records for sample in samples.values()):
            break
    return find_delimiter(samples, name)


def _header_rows(sample: Sample, name: str) -> int:
    """One, if the first record does not look like all others."""
    if not sample.lacks_header:
        return 1
    warnings.warn(
        f"{shown(name)}: its first line holds numbers as all others do and is taken for a row "
        "(if it is the header: --header-rows 1)",
        TabVAEWarning,
        stacklevel=2,
    )
    return 0


def _parse_csv(
    source: _Source, dialect: Dialect, usual_width: int, name: str, config: ReadConfig
) -> pa.Table:
    mends = dialect.bad_rows != "error"
    counted = _Counted()
    with source.text() as text:
        lines = Lines(counted.through(text), dialect, source.skipped)
        records: Records | MendedRecords = Records(lines, dialect)
        if mends:
            records = MendedRecords(lines, replace(dialect, bad_rows="pad"))
        try:
            names = list(islice(filter(None, records), dialect.header_rows or 0))
            header = _header(names, usual_width)
            if not header:
                raise DataError(f"{shown(name)} is empty")
            check_header(header, name)
            if dialect.plain and not mends:
                table = _by_arrow(source, counted.bytes, header, dialect)
                if table is not None:
                    return table
            if mends:
                records = MendedRecords(lines, dialect, len(header))
            rows = _rows(records, len(header), name, dialect.separator)
            chunks = list(_csv_chunks(rows, header, config.rows_per_chunk(len(header))))
        except csv.Error as error:
            raise DataError(
                f"{shown(name)}, line {records.line}: {one_line(error)}",
                "a cell that holds a quote begins and ends with one, and doubles those inside",
            ) from error
    if isinstance(records, MendedRecords):
        _tell(records.bad, dialect, name)
    return pa.concat_tables(chunks or [pa.schema([(c, pa.string()) for c in header]).empty_table()])


def _header(records: Sequence[Sequence[str]], usual_width: int) -> list[str]:
    """The name of each column: its cells in ``records``, or its number where there is none."""
    names = [" ".join(filter(None, cells)) for cells in zip_longest(*records, fillvalue="")]
    return [*names, *(f"column_{k + 1}" for k in range(len(names), usual_width))]


def _tell(bad: Sequence[int], dialect: Dialect, name: str) -> None:
    """Say which rows are not as the file has them."""
    if not bad:
        return
    most = 10
    listed = ", ".join(map(str, bad[:most])) + (", ..." if len(bad) > most else "")
    done = {"skip": "left out", "pad": "mended"}[dialect.bad_rows]
    warnings.warn(
        f"{shown(name)}: {done} {len(bad)} row(s) that do not fit the header (lines {listed})",
        TabVAEWarning,
        stacklevel=2,
    )


def _csv_chunks(rows: Iterator[list[str]], header: list[str], size: int) -> Iterator[pa.Table]:
    while chunk := list(islice(rows, size)):
        columns = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
        yield pa.Table.from_arrays(columns, names=header)


def _rows(
    records: Records | MendedRecords, width: int, name: str, delimiter: str
) -> Iterator[list[str]]:
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
                f"--delimiter {likely!r}; --bad-rows pad or skip reads on",
            )
        elif width == 1:
            yield [""]


@dataclass
class _Counted:
    """Bytes of the lines that were read, in UTF-8."""

    bytes: int = 0

    def through(self, lines: Iterable[str]) -> Iterator[str]:
        for line in lines:
            self.bytes += len(line.encode())
            yield line


def _by_arrow(
    source: _Source, start: int, header: Sequence[str], dialect: Dialect
) -> pa.Table | None:
    """The rows from byte ``start`` behind the skipped lines on by Arrow's reader, which is many
    times as fast; ``None`` where it may read another table than ours, or there is an error whose
    line ours names."""
    if source.skipped or len(header) == 1 or not dialect.separator.isascii():
        return None
    if codecs.lookup(source.encoding).name not in ("utf-8", "ascii"):
        return None
    place = source.file.tell()  # Up to which ours has read.
    source.file.seek(len(source.mark) + start)
    text = source.file.read()
    source.file.seek(place)
    if b"\0" in text or text.count(b"\r") != text.count(b"\r\n"):
        return None
    if text.startswith(codecs.BOM_UTF8):  # Behind the header it is text; Arrow would drop it.
        return None
    if not quotes_in_place(text, dialect.separator):
        return None
    try:
        table = arrow_csv.read_csv(
            pa.BufferReader(text),
            arrow_csv.ReadOptions(column_names=header),
            arrow_csv.ParseOptions(delimiter=dialect.separator, newlines_in_values=b'"' in text),
            arrow_csv.ConvertOptions(column_types=dict.fromkeys(header, pa.string())),
        )
    except pa.ArrowInvalid:
        return None
    return table if table.num_rows else None


def quotes_in_place(text: bytes, delimiter: str) -> bool:
    """Whether each quote is one of two around a cell, or of two for one inside.

    Of a text where that is so, every other quote opens a cell or is the second of such two, and
    the one behind it closes the cell or is the first.

    >>> quotes_in_place(b'a,"b""c"', ","), quotes_in_place(b'a "b" c', ",")
    (True, False)
    """
    framed = np.frombuffer(b"\n" + text + b"\n", np.uint8)
    places = np.flatnonzero(framed == ord('"'))
    edges = np.frombuffer(f'"\r\n{delimiter}'.encode(), np.uint8)
    opening, closing = places[::2], places[1::2]
    if len(opening) != len(closing):
        return False
    before, behind = framed[opening - 1], framed[closing + 1]
    # A quote before an opening one is the closing one of the same cell, and the other way round.
    return bool(np.isin(before, edges).all() and np.isin(behind, edges).all())


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

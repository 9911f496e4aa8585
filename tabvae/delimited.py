"""CSV files: dialect, encoding and lines, with the text of every cell kept."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import IO, BinaryIO, Self

import pyarrow as pa

from tabvae.errors import DataError, ParameterError, one_line, shown

DELIMITERS = (",", ";", "\t", "|")
CELLS_PER_CHUNK = 200_000
"""A table becomes Arrow arrays, and text again, by so many cells at a time."""
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        delimiter: between cells; ``None`` to find it in the header.
        encoding: of the bytes; ``None`` for UTF-8, or what a byte order mark says.
        newline: at the end of each row.
    """

    delimiter: str | None = None
    encoding: str | None = None
    newline: str = "\n"

    def __post_init__(self) -> None:
        if self.delimiter is not None and len(self.delimiter) != 1:
            raise ParameterError(
                f"the delimiter must be one character, however: {shown(self.delimiter)}",
                "--delimiter ';'",
            )
        if self.encoding is not None:
            try:
                codecs.lookup(self.encoding)
            except LookupError as error:
                raise ParameterError(
                    f"unknown encoding {shown(self.encoding)}", "--encoding utf-8"
                ) from error


def read_csv(
    file: BinaryIO | gzip.GzipFile, name: str, start: bytes, dialect: Dialect
) -> tuple[pa.Table, Dialect]:
    """Read a text table.

    Args:
        file: at its first byte.
        name: for messages.
        start: its first bytes.
        dialect: what is known of it.

    Returns:
        Columns of text, and the dialect as it was found.

    Raises:
        DataError: the file is no such table; names the line.
    """
    encoding = dialect.encoding or next(
        (e for mark, e in BYTE_ORDER_MARKS if start.startswith(mark)), "utf-8"
    )
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        first_line = text.readline()
        text.seek(0)
        delimiter = dialect.delimiter or _find_delimiter(first_line)
        newline = "\r\n" if first_line.endswith("\r\n") else "\n"
        table = _parse_csv(text, name, delimiter)
    except UnicodeError as error:
        text.detach()
        line = _first_undecodable_line(file, encoding)
        raise DataError(
            f"{shown(name)}{line} is not {encoding} text", "name its encoding: --encoding latin-1"
        ) from error
    text.detach()
    return table, Dialect(delimiter, encoding, newline)


def _first_undecodable_line(file: BinaryIO | gzip.GzipFile, encoding: str) -> str:
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return ""
    file.seek(0)
    for number, line in enumerate(file, start=1):
        try:
            line.decode(encoding)
        except UnicodeError:
            return f", line {number},"
    return ""


def _find_delimiter(header: str) -> str:
    """The delimiter that splits the header into most cells; a comma on a tie."""
    return max(DELIMITERS, key=lambda d: len(next(csv.reader([header], delimiter=d), [])))


def _parse_csv(text: IO[str], name: str, delimiter: str) -> pa.Table:
    csv.field_size_limit(sys.maxsize)
    reader = _Rows(text, delimiter)
    try:
        header = next(reader, None)
        while header == []:
            header = next(reader, None)
        if header is None:
            raise DataError(f"{shown(name)} is empty")
        check_header(header, name)
        chunks = list(_csv_chunks(reader, header, name))
    except csv.Error as error:
        raise DataError(
            f"{shown(name)}, line {reader.line}: {one_line(error)}",
            "a quote is not closed, or stands inside a cell without being doubled",
        ) from error
    if not chunks:
        raise DataError(f"{shown(name)} has a header but no rows")
    return pa.concat_tables(chunks)


class _Rows:
    """The rows of a CSV file; ``line`` is where the row that is read begins."""

    def __init__(self, text: IO[str], delimiter: str) -> None:
        self._reader = csv.reader(text, delimiter=delimiter, strict=True)
        self.line = 1

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> list[str]:
        self.line = self._reader.line_num + 1
        return next(self._reader)


def _csv_chunks(reader: _Rows, header: list[str], name: str) -> Iterator[pa.Table]:
    rows = _checked_rows(reader, header, name)
    while chunk := list(islice(rows, max(CELLS_PER_CHUNK // len(header), 1))):
        columns = [pa.array(column, pa.string()) for column in zip(*chunk, strict=True)]
        yield pa.Table.from_arrays(columns, names=header)


def _checked_rows(reader: _Rows, header: list[str], name: str) -> Iterator[list[str]]:
    """The rows, each as wide as the header. A blank line is a missing cell in a table of one
    column, and no row in any other."""
    width = len(header)
    for row in reader:
        if len(row) == width:
            yield row
        elif row:
            raise DataError(
                f"{shown(name)}, line {reader.line}: {len(row)} cells, but the header has {width}",
                "quote cells that hold the delimiter, or name it: --delimiter ';'",
            )
        elif width == 1:
            yield [""]


def check_header(header: Sequence[str], name: str) -> None:
    """Make sure that no two columns of the file ``name`` are called the same.

    Raises:
        DataError: two are.
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

"""CSV and Parquet files, read with the text of every cell kept."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import IO, BinaryIO, Self

import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.errors import DataError, ParameterError, shown, suggestion

STDIN = "-"
DELIMITERS = (",", ";", "\t", "|")
CELLS_PER_CHUNK = 1_000_000
"""A table becomes Arrow arrays, and text again, by so many cells at a time."""
MOST_BYTES = 2**30
BYTES_PER_READ = 2**20
ROWS_PER_BATCH = 10_000
PARQUET_MAGIC = b"PAR1"
GZIP_MAGIC = b"\x1f\x8b"
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


@dataclass(frozen=True)
class Loaded:
    """A table and the way it was written, so that it can go back the same way.

    Attributes:
        table: all rows; text columns when it came from CSV.
        format: ``csv`` or ``parquet``.
        dialect: delimiter, encoding and newline of a CSV file.
    """

    table: pa.Table
    format: str
    dialect: Dialect


def read_tables(
    paths: Sequence[str], dialect: Dialect | None = None, most: int = MOST_BYTES
) -> Loaded:
    """Read one or many files with the same columns, in order.

    Args:
        paths: CSV, TSV or Parquet files, gzipped or not; ``-`` is standard input.
        dialect: what is known of a text table.
        most: bytes of one table; a larger one is refused before it fills the memory.

    Raises:
        DataError: a file cannot be read, is too large, or has other columns than the first.
    """
    loaded = [_read_table(path, dialect or Dialect(), most) for path in paths]
    first = loaded[0]
    if len(loaded) == 1:
        return first
    for path, other in zip(paths[1:], loaded[1:], strict=True):
        _check_same_columns(paths[0], first, path, other)
    tables = [other.table.select(first.table.column_names) for other in loaded]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the files have columns of different types: {_one_line(error)}") from error
    return replace(first, table=table)


def _check_same_columns(path: str, first: Loaded, other_path: str, other: Loaded) -> None:
    names, others = first.table.column_names, other.table.column_names
    for name in [*names, *others]:
        if name not in others or name not in names:
            raise DataError(
                f"column {shown(name)} is in only one of {shown(path)} and {shown(other_path)}",
                suggestion(name, others if name in names else names),
            )
    if first.format != other.format:
        raise DataError(
            f"{shown(path)} is {first.format} and {shown(other_path)} is {other.format}",
            "give files of one format",
        )


def _read_table(path: str, dialect: Dialect, most: int) -> Loaded:
    name = "standard input" if path == STDIN else path
    try:
        with _open_input(path, most) as file:
            _check_length(file, name, most)
            start = file.read(4)
            file.seek(0)
            if not start:
                raise DataError(f"{shown(name)} is empty")
            if start == PARQUET_MAGIC or Path(path).suffix.lower() in (".parquet", ".pq"):
                return Loaded(_read_parquet(file, name, start, most), "parquet", dialect)
            if Path(path).suffixes[-1:] == [".tsv"] or path.lower().endswith(".tsv.gz"):
                dialect = replace(dialect, delimiter=dialect.delimiter or "\t")
            return _read_csv(file, name, start, dialect)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{shown(name)} is not a whole gzip file: {_one_line(error)}") from error
    except OSError as error:
        raise DataError(f"cannot read {shown(name)}: {error.strerror or error}") from error


def _check_length(file: BinaryIO | gzip.GzipFile, name: str, most: int) -> None:
    """Count the bytes, which a small compressed file does not show, and go back to the first."""
    length = 0
    while block := file.read(BYTES_PER_READ):
        length += len(block)
        if length > most:
            raise _too_large(name, most)
    file.seek(0)


def _too_large(name: str, most: int) -> DataError:
    return DataError(
        f"{shown(name)} takes more than {most // 2**20} MB in memory",
        "--max-memory 4GB, or more, if it is meant to",
    )


@contextmanager
def _open_input(path: str, most: int) -> Iterator[BinaryIO | gzip.GzipFile]:
    if path == STDIN:
        # Python has none when it was started with a closed one.
        if sys.stdin is None:
            raise DataError("standard input is closed", "name a file to read")
        raw: BinaryIO = io.BytesIO(sys.stdin.buffer.read(most + 1))
    elif Path(path).is_dir():
        raise DataError(f"{shown(path)} is a folder", "name a CSV or Parquet file")
    elif not Path(path).exists():
        folder = Path(path).parent
        siblings = (
            [str(folder / p.name) if str(folder) != "." else p.name for p in folder.iterdir()]
            if folder.is_dir()
            else []
        )
        hint = suggestion(path, siblings)
        raise DataError(
            f"no such file {shown(path)}", hint if hint.startswith("did") else "check the path"
        )
    else:
        raw = Path(path).open("rb")  # noqa: SIM115 - closed below
        if not raw.seekable():
            raw = io.BytesIO(raw.read(most + 1))
    with raw:
        start = raw.read(2)
        raw.seek(0)
        if start == GZIP_MAGIC:
            with gzip.GzipFile(fileobj=raw) as file:
                yield file
        else:
            yield raw


def _read_parquet(file: BinaryIO | gzip.GzipFile, name: str, start: bytes, most: int) -> pa.Table:
    if start != PARQUET_MAGIC:
        raise DataError(
            f"{shown(name)} is not a Parquet file", "if it holds text, rename it to .csv"
        )
    try:
        source = pq.ParquetFile(pa.PythonFile(file, mode="r"))
        if _declared(source) > most:
            raise _too_large(name, most)
        batches, total = [], 0
        for batch in source.iter_batches(ROWS_PER_BATCH):
            total += batch.nbytes
            if total > most:
                raise _too_large(name, most)
            batches.append(batch)
        table = pa.Table.from_batches(batches, source.schema_arrow)
        table.validate(full=True)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise DataError(f"{shown(name)} is a damaged Parquet file: {_one_line(error)}") from error
    _check_header(table.column_names, name)
    if table.num_rows == 0:
        raise DataError(f"{shown(name)} has no rows")
    return table


def _declared(source: pq.ParquetFile) -> int:
    """Bytes in memory that a Parquet file says it has, at the least; it says so in few bytes.

    The metadata of single columns would tell more, but damaged ones abort the process when pyarrow
    shows them.
    """
    groups = (source.metadata.row_group(g) for g in range(source.metadata.num_row_groups))
    width = sum(_width(field.type) for field in source.schema_arrow)
    return max(
        int(source.metadata.num_rows * width), sum(int(group.total_byte_size) for group in groups)
    )


def _width(kind: pa.DataType) -> float:
    """Bytes of a cell, at the least."""
    try:
        return float(kind.bit_width) / 8
    except ValueError:  # Cells of any length, of which each has an offset at least.
        return 4.0


def _read_csv(file: BinaryIO | gzip.GzipFile, name: str, start: bytes, dialect: Dialect) -> Loaded:
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
    return Loaded(table, "csv", Dialect(delimiter, encoding, newline))


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
        _check_header(header, name)
        chunks = list(_csv_chunks(reader, header, name))
    except csv.Error as error:
        raise DataError(
            f"{shown(name)}, line {reader.line}: {_one_line(error)}",
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


def _check_header(header: Sequence[str], name: str) -> None:
    seen: dict[str, int] = {}
    for number, column in enumerate(header, start=1):
        if column in seen:
            raise DataError(
                f"{shown(name)}: columns {seen[column]} and {number} are both called "
                f"{shown(column)}",
                "give each column its own name in the first line",
            )
        seen[column] = number


def _one_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]

"""CSV and Parquet files, read with the text of every cell kept."""

from __future__ import annotations

import gzip
import io
import sys
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.errors import DataError, TabVAEWarning, one_line, shown, suggestion
from tabvae.files.csv_reader import check_header, read_csv
from tabvae.files.memory import ReadConfig, Room, limited, text_bytes
from tabvae.files.parquet_layout import Layout
from tabvae.files.records import Dialect

STDIN = "-"
PARQUET_MAGIC = b"PAR1"


@dataclass(frozen=True)
class Loaded:
    """A table and the way it was written, so that it can go back the same way.

    Attributes:
        table: all rows; text columns when it came from CSV.
        format: ``csv`` or ``parquet``.
        dialect: delimiter, encoding and newline of a CSV file, layout of a Parquet file.

    **Examples**

    >>> loaded = Loaded(pa.table({"a": ["1"]}), "csv", Dialect(";"))
    >>> loaded.table.shape, loaded.dialect.delimiter
    ((1, 1), ';')
    """

    table: pa.Table
    format: str
    dialect: Dialect


def read_tables(
    paths: Sequence[str], dialect: Dialect | None = None, most: int = ReadConfig.most
) -> Loaded:
    """Read one or many files with the same columns, in order.

    Args:
        paths: CSV, TSV or Parquet files, gzipped or not; ``-`` is standard input.
        dialect: what is known of a text table.
        most: bytes of all files together; more are refused before they fill the memory.

    Raises:
        DataError: a file cannot be read, is too large, or has other columns than the first.
    """
    room = Room(ReadConfig(most))
    loaded = [_read_table(path, dialect or Dialect(), room) for path in paths]
    first = loaded[0]
    if len(loaded) == 1:
        return first
    for path, other in zip(paths[1:], loaded[1:], strict=True):
        _check_same_columns(paths[0], first, path, other)
    tables = [one.table.select(first.table.column_names) for one in loaded]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the files have columns of different types: {one_line(error)}") from error
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


def _read_table(path: str, dialect: Dialect, room: Room) -> Loaded:
    name = "standard input" if path == STDIN else path
    try:
        with _open_input(path, room.left) as file:
            length = _length(file, room)
            start = file.read(4)
            file.seek(0)
            if not start:
                raise DataError(f"{shown(name)} is empty")
            if start == PARQUET_MAGIC or Path(path).suffix.lower() in (".parquet", ".pq"):
                table, layout = _read_parquet(file, name, start, room)
                return Loaded(table, "parquet", replace(dialect, layout=layout))
            room.take(length, name)
            if Path(path).suffixes[-1:] == [".tsv"] or path.lower().endswith(".tsv.gz"):
                dialect = replace(dialect, delimiter=dialect.delimiter or "\t")
            table, dialect = read_csv(file, name, start, dialect, room.config)
            return Loaded(table, "csv", dialect)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DataError(f"{shown(name)} is not a whole gzip file: {one_line(error)}") from error
    except OSError as error:
        raise DataError(f"cannot read {shown(name)}: {error.strerror or error}") from error


def _length(file: BinaryIO | gzip.GzipFile, room: Room) -> int:
    """Count the bytes, which a small compressed file does not show, as far as they may be read; and
    go back to the first."""
    length = 0
    if isinstance(file, gzip.GzipFile):
        while length <= room.left and (block := file.read(room.config.bytes_per_read)):
            length += len(block)
    else:
        length = file.seek(0, io.SEEK_END)
    file.seek(0)
    return length


@contextmanager
def _open_input(path: str, most: int) -> Iterator[BinaryIO | gzip.GzipFile]:
    if path == STDIN:
        # Python has none when it was started with a closed one.
        if sys.stdin is None:
            raise DataError("standard input is closed", "name a file to read")
        if sys.stdin.isatty():
            waits = "waiting for a table on standard input; Ctrl-D ends it"
            warnings.warn(waits, TabVAEWarning, stacklevel=2)
        raw: BinaryIO = io.BytesIO(sys.stdin.buffer.read(most + 1))
    elif Path(path).is_dir():
        raise DataError(f"{shown(path)} is a folder", "name a CSV or Parquet file")
    elif not Path(path).exists():
        folder = Path(path).parent
        siblings = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        hint = suggestion(Path(path).name, siblings, otherwise="check the path")
        raise DataError(f"no such file {shown(path)}", hint)
    else:
        raw = Path(path).open("rb")  # noqa: SIM115 - closed below
        if not raw.seekable():
            raw = io.BytesIO(raw.read(most + 1))
    with raw:
        start = raw.read(2)
        raw.seek(0)
        if start == b"\x1f\x8b":  # What gzip begins with.
            with gzip.GzipFile(fileobj=raw) as file:
                yield file
        else:
            yield raw


def _read_parquet(
    file: BinaryIO | gzip.GzipFile, name: str, start: bytes, room: Room
) -> tuple[pa.Table, Layout]:
    if start != PARQUET_MAGIC:
        raise DataError(
            f"{shown(name)} is not a Parquet file", "if it holds text, rename it to .csv"
        )
    try:
        with limited(room.left, room.config):
            table, layout = _decoded(pa.PythonFile(file, mode="r"), name, room)
    except MemoryError as error:
        raise room.too_small(name) from error
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{shown(name)} is a damaged Parquet file: {one_line(error)}") from error
    check_header(table.column_names, name)
    return table, layout


def _decoded(file: pa.NativeFile, name: str, room: Room) -> tuple[pa.Table, Layout]:
    source = pq.ParquetFile(file)
    rows = room.config.rows_per_batch
    room.require(_declared(source), name)
    for size in accumulate(text_bytes(file, rows)):
        room.require(size, name)
    batches = []
    for batch in source.iter_batches(rows):
        room.take(batch.nbytes, name)
        batches.append(batch)
    table = pa.Table.from_batches(batches, source.schema_arrow)
    table.validate(full=True)
    return table, Layout.of(source)


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

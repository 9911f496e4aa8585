"""Tables read from files of any format, with the text or type of every cell kept."""

from __future__ import annotations

import io
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from tabvae.errors import DataError, TabVAEWarning, one_line, shown, suggestion
from tabvae.files.arrow_file import read_arrow
from tabvae.files.compression import unpacked
from tabvae.files.csv_reader import check_header, read_csv
from tabvae.files.formats import BYTES_TOLD, format_of_file
from tabvae.files.json_lines import read_json_lines
from tabvae.files.memory import ReadConfig, Room
from tabvae.files.parquet_reader import read_parquet
from tabvae.files.records import Dialect
from tabvae.files.workbook import read_workbook

STDIN = "-"


@dataclass(frozen=True)
class Loaded:
    """A table and the way it was written, so that it can go back the same way.

    Attributes:
        table: all rows; text columns when it came from CSV.
        format: of ``FORMATS``; ``csv`` for TSV, too.
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
        paths: files of any of ``FORMATS``, packed or not; ``-`` is standard input.
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
        with _open_input(path, room.left) as raw:
            file, inner = unpacked(raw, path, name, room)
            start = file.read(BYTES_TOLD)
            file.seek(0)
            if not start:
                raise DataError(f"{shown(name)} is empty")
            fmt = format_of_file(inner, start, name)
            table, dialect = _READERS[fmt.name](_Opened(file, name, start, dialect, room))
    except OSError as error:
        raise DataError(f"cannot read {shown(name)}: {error.strerror or error}") from error
    check_header(table.column_names, name)
    return Loaded(table, "csv" if fmt.text else fmt.name, dialect)


@dataclass(frozen=True)
class _Opened:
    """A file that is to be read.

    Attributes:
        file: at its first byte.
        name: for messages.
        start: its first bytes.
        dialect: what is known of it.
        room: what its table may take.
    """

    file: BinaryIO
    name: str
    start: bytes
    dialect: Dialect
    room: Room


Read = tuple[pa.Table, Dialect]


def _csv(opened: _Opened) -> Read:
    opened.room.take(_length(opened.file), opened.name)
    start, config = opened.start[:4], opened.room.config
    return read_csv(opened.file, opened.name, start, opened.dialect, config)


def _tsv(opened: _Opened) -> Read:
    dialect = opened.dialect
    return _csv(replace(opened, dialect=replace(dialect, delimiter=dialect.delimiter or "\t")))


def _parquet(opened: _Opened) -> Read:
    table, layout = read_parquet(opened.file, opened.name, opened.room)
    return table, replace(opened.dialect, layout=layout)


def _arrow(opened: _Opened) -> Read:
    return read_arrow(opened.file, opened.name, opened.start, opened.room), opened.dialect


def _json_lines(opened: _Opened) -> Read:
    opened.room.require(_length(opened.file), opened.name)
    return read_json_lines(opened.file, opened.name, opened.room), opened.dialect


def _workbook(opened: _Opened) -> Read:
    return read_workbook(opened.file, opened.name, opened.room), opened.dialect


_READERS: dict[str, Callable[[_Opened], Read]] = {
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
    "arrow": _arrow,
    "jsonl": _json_lines,
    "xlsx": _workbook,
}
"""What reads each of ``FORMATS``."""


def _length(file: BinaryIO) -> int:
    length = file.seek(0, io.SEEK_END)
    file.seek(0)
    return length


@contextmanager
def _open_input(path: str, most: int) -> Iterator[BinaryIO]:
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
        yield raw

"""Tables read from files of any format, with the text or type of every cell kept."""

from __future__ import annotations

import io
import re
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
from tabvae.files.formats import BYTES_TOLD, format_called, format_of_file
from tabvae.files.json_lines import read_json_lines
from tabvae.files.location import Part, is_remote, parts_of, plain_name, read_remote
from tabvae.files.memory import ReadConfig, Room
from tabvae.files.parquet_reader import read_parquet
from tabvae.files.records import Dialect
from tabvae.files.workbook import read_workbook

STDIN = "-"
WHOLE = r"0|-?[1-9]\d{0,17}"


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
        paths: files of any of ``FORMATS``, packed or not, folders of them, patterns such as
            ``data/*.csv``, or URIs; ``-`` is standard input.
        dialect: what is known of a text table.
        most: bytes of all files together; more are refused before they fill the memory.

    Raises:
        DataError: a file cannot be read, is too large, or has other columns than the first.
    """
    room = Room(ReadConfig(most))
    parts = [part for path in paths for part in _parts(path)]
    loaded = [_read_table(part.path, dialect or Dialect(), room) for part in parts]
    loaded = _with_keys(parts, loaded)
    first = loaded[0]
    if len(loaded) == 1:
        return first
    for part, other in zip(parts[1:], loaded[1:], strict=True):
        _check_same_columns(plain_name(parts[0].path), first, plain_name(part.path), other)
    tables = [one.table.select(first.table.column_names) for one in loaded]
    try:
        table = pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise DataError(f"the files have columns of different types: {one_line(error)}") from error
    return replace(first, table=table)


def _parts(path: str) -> list[Part]:
    return [Part(STDIN)] if path == STDIN else parts_of(path)


def _with_keys(parts: Sequence[Part], loaded: Sequence[Loaded]) -> list[Loaded]:
    """The tables with the cells that their folders tell, as numbers where the file has types and
    all of them are whole numbers."""
    cells: dict[str, list[str]] = {}
    for part in parts:
        for name, cell in part.keys:
            cells.setdefault(name, []).extend([] if cell is None else [cell])
    whole = {name for name, texts in cells.items() if all(map(re.compile(WHOLE).fullmatch, texts))}
    return [_with_keys_of(part, one, whole) for part, one in zip(parts, loaded, strict=True)]


def _with_keys_of(part: Part, loaded: Loaded, whole: set[str]) -> Loaded:
    table = loaded.table
    for name, cell in part.keys:
        if name in table.column_names:
            hint = "rename one of them"
            raise DataError(
                f"column {shown(name)} is in {shown(plain_name(part.path))} and in its path", hint
            )
        column = pa.repeat(pa.scalar(cell, pa.string()), table.num_rows)
        if name in whole and not format_called(loaded.format).text:
            column = column.cast(pa.int64())
        table = table.append_column(name, column)
    return replace(loaded, table=table)


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
    name = "standard input" if path == STDIN else plain_name(path)
    try:
        with _open_input(path, name, room) as raw:
            file, inner = unpacked(raw, plain_name(path), name, room)
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
def _open_input(path: str, name: str, room: Room) -> Iterator[BinaryIO]:
    if path == STDIN:
        raw = _held(_standard_input(), name, room)
    elif is_remote(path):
        raw = _within(read_remote(path, room.left + 1), name, room)
    elif not Path(path).exists():
        folder = Path(path).parent
        siblings = [p.name for p in folder.iterdir()] if folder.is_dir() else []
        hint = suggestion(Path(path).name, siblings, otherwise="check the path")
        raise DataError(f"no such file {shown(path)}", hint)
    else:
        raw = Path(path).open("rb")  # noqa: SIM115 - closed below
        if not raw.seekable():
            raw = _held(raw, name, room)
    with raw:
        yield raw


def _standard_input() -> BinaryIO:
    # Python has none when it was started with a closed one.
    if sys.stdin is None:
        raise DataError("standard input is closed", "name a file to read")
    if sys.stdin.isatty():
        waits = "waiting for a table on standard input; Ctrl-D ends it"
        warnings.warn(waits, TabVAEWarning, stacklevel=2)
    return sys.stdin.buffer


def _held(stream: BinaryIO, name: str, room: Room) -> BinaryIO:
    """All of what can be read but once."""
    return _within(io.BytesIO(stream.read(room.left + 1)), name, room)


def _within(file: BinaryIO, name: str, room: Room) -> BinaryIO:
    room.require(_length(file), name)
    return file

"""Files to write: checked before any work, and whole or not there at all."""

from __future__ import annotations

import csv
import errno
import io
import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO, TextIO, cast

import pyarrow as pa

from tabvae.errors import DataError, OutputError, ReaderLeftError, one_line, shown
from tabvae.files.arrow_file import write_arrow
from tabvae.files.compression import packing
from tabvae.files.formats import FORMATS, compression_of_name, format_called, format_of_name
from tabvae.files.json_lines import write_json_lines
from tabvae.files.location import (
    is_remote,
    local,
    parts_of,
    plain_name,
    remote_exists,
    write_remote,
)
from tabvae.files.memory import ReadConfig
from tabvae.files.reader import STDIN
from tabvae.files.records import Dialect
from tabvae.files.sniffing import DELIMITERS
from tabvae.values import arrow

BYTE_ORDER_MARK = "\ufeff"
IN_HEADER = re.compile(rf"[\r{re.escape(''.join(DELIMITERS))}]")
"""Quoted where the delimiter is found, so that no other is: in the header and, with nothing but the
rows to go by, in a table of one column."""


def output_format(path: str | None, asked: str | None) -> str:
    """One of ``FORMATS``: what was asked for, else what the extension says.

    Raises:
        OutputError: the extension says nothing, or names what cannot be written.

    >>> output_format("new.csv.gz", None), output_format("new.txt", "tsv")
    ('csv', 'tsv')
    """
    path = None if path is None else plain_name(path)
    if path is not None and _is_ordinary(path):
        packed = compression_of_name(path)
        if packed is not None and not packed.written:
            what = f"{packed.name} files are read, not written: {shown(path)}"
            raise OutputError(what, "end it in .gz or .zst")
    if asked is not None or path is None:
        return asked or "csv"
    if not _is_ordinary(path):
        return "csv"
    found = format_of_name(path)
    if found is None or not found.written or path.lower().endswith(".txt"):
        known = ", ".join(each.extensions[0] for each in FORMATS if each.written)
        raise OutputError(
            f"cannot tell the format of {shown(path)}", f"end it in one of {known}, or --format"
        )
    return found.name


def _is_ordinary(path: str) -> bool:
    """A regular file, or a path where one can be made; not a device or a pipe."""
    return not Path(path).exists() or stat.S_ISREG(Path(path).stat().st_mode)


def destination(path: str) -> str:
    """Where ``path`` leads: through a link to the file it names, decided once, before any work. A
    link that comes into its way later is replaced, and what that names is not touched."""
    path = local(path)
    return os.path.realpath(path) if Path(path).is_symlink() and _is_ordinary(path) else path


def check_output(path: str, force: bool, inputs: Sequence[str] = ()) -> None:
    """Find out before any work whether ``path`` can be written.

    Raises:
        OutputError: it exists and ``force`` is not set, is an input, is a folder, or its folder
            is missing or not writable.
    """
    if is_remote(path):
        if not force and remote_exists(path):
            raise OutputError(f"{shown(plain_name(path))} exists", "--force replaces it")
        return
    target = Path(path)
    if target.is_dir():
        raise OutputError(f"{shown(path)} is a folder", "name a file in it")
    if not target.parent.is_dir():
        raise OutputError(f"no folder {shown(target.parent)}", "make it first")
    if not _is_ordinary(path):
        return
    if target.exists():
        if any(target.samefile(p) for p in _files(inputs)):
            raise OutputError(f"{shown(path)} is an input", "write to another file")
        if not force:
            raise OutputError(f"{shown(path)} exists", "--force replaces it")
    if not os.access(target.parent, os.W_OK):
        raise OutputError(f"cannot write in folder {shown(target.parent)}")


def _files(inputs: Sequence[str]) -> Iterator[str]:
    """The files on this machine that are to be read."""
    for path in inputs:
        if path != STDIN and not is_remote(path):
            with suppress(DataError):
                yield from (part.path for part in parts_of(path) if Path(part.path).exists())


@contextmanager
def whole_file(path: str) -> Iterator[BinaryIO]:
    """A file to write that appears under ``path`` when the block ends, or not at all. What is there
    by then is replaced, also a link.

    Raises:
        OutputError: the file system refuses.
    """
    if is_remote(path):
        with tempfile.TemporaryFile() as file:
            yield cast(BinaryIO, file)
            file.seek(0)
            _upload(path, cast(BinaryIO, file))
        return
    target = Path(path)
    try:
        if not _is_ordinary(path):
            with _open_device(path) as device:
                yield device
            return
        # It becomes the output when it is whole. A killed run leaves it behind, in no one's way.
        descriptor, temporary = tempfile.mkstemp(".part", ".tabvae-", target.parent)
    except OSError as error:
        raise _refused(path, error) from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).chmod(_mode(target))
        Path(temporary).replace(target)
    except OSError as error:
        raise _refused(path, error) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _upload(uri: str, file: BinaryIO) -> None:
    try:
        write_remote(uri, file, ReadConfig().bytes_per_read)
    except DataError as error:
        raise OutputError(
            error.message.replace("cannot read", "cannot write"), error.hint
        ) from error


def _open_device(path: str) -> BinaryIO:
    """A device or a pipe, which nothing is lost of when it is written to."""
    descriptor = os.open(path, os.O_WRONLY)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EEXIST, os.strerror(errno.EEXIST))
    return os.fdopen(descriptor, "wb")


def _mode(target: Path) -> int:
    """Permissions of the file that is replaced, or of a new one."""
    try:
        mode = target.lstat().st_mode
    except FileNotFoundError:
        mode = 0
    return stat.S_IMODE(mode) if stat.S_ISREG(mode) else 0o666 & ~_umask()


def _refused(name: str, error: OSError) -> OutputError:
    return OutputError(f"cannot write {shown(name)}: {error.strerror or error}")


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def write_table(
    table: pa.Table,
    path: str | None,
    fmt: str = "csv",
    dialect: Dialect | None = None,
    guarded: bool = False,
) -> None:
    """Write ``table`` to ``path``, packed as its extension says, or to standard output.

    Args:
        table: all rows.
        path: of the file; ``None`` for standard output.
        fmt: one of ``FORMATS`` that is written.
        dialect: of a text file, or layout of a Parquet file.
        guarded: put an apostrophe before what a spreadsheet would run, in a text file.

    Raises:
        OutputError: the file system refuses, or the encoding lacks a character.
    """
    dialect = dialect or Dialect()
    if guarded and format_called(fmt).text:
        table = _guarded(table)
    if path is None:
        with standard_output() as output:
            _WRITERS[fmt](table, output.buffer, dialect)
            output.buffer.flush()
        return
    with whole_file(path) as file, packing(file, compression_of_name(plain_name(path))) as packed:
        _WRITERS[fmt](table, packed, dialect)


@contextmanager
def standard_output() -> Iterator[TextIO]:
    """Standard output for as long as the block takes, flushed at its end.

    Raises:
        OutputError: it is closed, or the file system refuses.
        ReaderLeftError: nobody reads it any more.
    """
    # Python has none when it was started with a closed one.
    if sys.stdout is None:
        raise OutputError("standard output is closed", "name a file with -o")
    try:
        yield sys.stdout
        sys.stdout.flush()
    except BrokenPipeError as error:
        raise ReaderLeftError("nobody reads standard output") from error
    except OSError as error:
        raise _refused("standard output", error) from error


def _guarded(table: pa.Table) -> pa.Table:
    """``table`` with an apostrophe before each text, in cells and headers, that a spreadsheet would
    take for a formula; numbers are none."""
    names = arrow.without_formulas(pa.array(table.column_names, pa.string())).to_pylist()
    columns = [
        arrow.without_formulas(arrow.to_text(arrow.flat(c))) if arrow.has_text(c.type) else c
        for c in table.columns
    ]
    return pa.Table.from_arrays(columns, names=names)


def _parquet(table: pa.Table, file: BinaryIO, dialect: Dialect) -> None:
    dialect.layout.write(table, pa.PythonFile(file, mode="w"))


def _arrow(table: pa.Table, file: BinaryIO, _: Dialect) -> None:
    write_arrow(table, file)


def _json_lines(table: pa.Table, file: BinaryIO, _: Dialect) -> None:
    write_json_lines(table, file, ReadConfig().rows_per_chunk(table.num_columns))


def _tsv(table: pa.Table, file: BinaryIO, dialect: Dialect) -> None:
    _csv(table, file, replace(dialect, delimiter="\t"))


def _csv(table: pa.Table, file: BinaryIO, dialect: Dialect) -> None:
    for field in table.schema:
        if not arrow.has_text(field.type):
            raise OutputError(
                f"column {shown(field.name)} of type {field.type} cannot be written as text",
                "write to .parquet",
            )
    encoding = dialect.encoding or "utf-8"
    text = io.TextIOWrapper(file, encoding=encoding, newline="", write_through=False)
    try:
        _write_csv(table, text, dialect)
        text.flush()
    except csv.Error as error:
        raise OutputError(
            f"a cell holds what ends it, and there is no quote: {one_line(error)}", "--quote '\"'"
        ) from error
    except UnicodeEncodeError as error:
        raise OutputError(
            f"{encoding} has no character {shown(error.object[error.start])}", "--encoding utf-8"
        ) from error
    finally:
        text.detach()


_WRITERS: dict[str, Callable[[pa.Table, BinaryIO, Dialect], None]] = {
    "csv": _csv,
    "tsv": _tsv,
    "parquet": _parquet,
    "arrow": _arrow,
    "jsonl": _json_lines,
}
"""What writes each of ``FORMATS`` that is written."""


def _write_csv(table: pa.Table, text: IO[str], dialect: Dialect) -> None:
    write, write_quoted = dialect.writer(text), dialect.writer(text, quoted=True)
    if dialect.mark:
        text.write(BYTE_ORDER_MARK)
    headed, first = dialect.header_rows != 0, True
    unsafe = _unsafe(dialect, alone=table.num_columns == 1)
    for row in _text_rows(table, headed):
        comment = bool(dialect.comment) and (row[0] or "").startswith(dialect.comment)
        quoted = comment or any(cell is not None and unsafe.search(cell) for cell in row)
        quoted = quoted or (first and _misleading(row, headed))
        (write_quoted if quoted else write)(row)
        first = False


def _text_rows(table: pa.Table, headed: bool) -> Iterator[Sequence[str | None]]:
    if headed:
        yield table.column_names
    for batch in table.to_batches(ReadConfig().rows_per_chunk(table.num_columns)):
        columns = [arrow.to_text(arrow.flat(column)).to_pylist() for column in batch.columns]
        yield from zip(*columns, strict=True)


def _unsafe(dialect: Dialect, alone: bool) -> re.Pattern[str]:
    """What makes a reader take a row for another if not all of it is quoted."""
    # Readers take any of these for the end of a row; ``csv`` quotes that of the dialect. A quote it
    # escapes, but need not quote.
    ends = "\n" if dialect.newline == "\r" else "\r"
    unsafe = f"{IN_HEADER.pattern}|{ends}" if alone else ends
    return re.compile(f"{unsafe}|{re.escape(dialect.quote)}" if dialect.escape else unsafe)


def _misleading(row: Sequence[str | None], headed: bool) -> bool:
    """Whether a reader would take the first row, as it is, for something else."""
    start = (row[0] or "").lower() if row else ""
    if start.startswith((BYTE_ORDER_MARK, "sep=")):
        return True
    return headed and any(cell is not None and IN_HEADER.search(cell) for cell in row)

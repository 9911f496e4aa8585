"""Files that are packed: unpacked within a limit, and packed to the same bytes each time."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import BinaryIO, cast

import pyarrow as pa

from tabvae.errors import DataError, one_line, shown
from tabvae.files.formats import Compression, compression_of_bytes, format_of_name
from tabvae.files.memory import Room, limited

DAMAGE = (
    EOFError,
    OSError,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    pa.ArrowException,
    RuntimeError,  # A member of a zip archive has a password.
    NotImplementedError,  # Or is packed in a way that nobody uses.
)
OFFICE = "[Content_Types].xml"
"""A member of every Office document, which is a zip archive."""


def unpacked(file: BinaryIO, path: str, name: str, room: Room) -> tuple[BinaryIO, str]:
    """What ``file`` holds, from its first byte on, and the name that tells its format.

    Args:
        file: at its first byte; packed or not.
        path: its name.
        name: for messages.
        room: that what it holds may take. A small file may hold much.

    Raises:
        DataError: it is damaged, holds more than there is room for, or is an archive of several.
    """
    packed = compression_of_bytes(_start(file))
    if packed is None:
        return file, path
    try:
        if packed.name == "zip":
            return _member(file, path, name, room)
        with limited(room.left, room.config):
            return _held(_opened(file, packed), name, room), path
    except MemoryError as error:
        raise room.too_small(name) from error
    except DAMAGE as error:
        raise DataError(
            f"{shown(name)} is not a whole {packed.name} file: {one_line(error)}",
            "copy it again from where it came",
        ) from error


def _start(file: BinaryIO) -> bytes:
    start = file.read(8)
    file.seek(0)
    return start


def _opened(file: BinaryIO, packed: Compression) -> BinaryIO:
    if packed.name == "gzip":
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if packed.name == "bzip2":
        return cast(BinaryIO, bz2.BZ2File(file))
    if packed.name == "xz":
        return cast(BinaryIO, lzma.LZMAFile(file))
    return cast(BinaryIO, pa.CompressedInputStream(_Shared(file), packed.name))


def _held(packed: BinaryIO, name: str, room: Room) -> BinaryIO:
    """All that can be unpacked, in memory: it is read more than once."""
    held = io.BytesIO()
    while block := packed.read(room.config.bytes_per_read):
        held.write(block)
        room.require(held.tell(), name)
    held.seek(0)
    return held


def _member(file: BinaryIO, path: str, name: str, room: Room) -> tuple[BinaryIO, str]:
    """The only file of a zip archive; a workbook is one itself."""
    with zipfile.ZipFile(file) as archive:
        members = [m for m in archive.infolist() if not m.is_dir() and _meant(m.filename)]
        if any(member.filename == OFFICE for member in members):
            room.require(sum(member.file_size for member in members), name)
            if not any(member.filename.startswith("xl/") for member in members):
                raise DataError(f"{shown(name)} is an Office document", "export its table to CSV")
            file.seek(0)
            return file, "workbook.xlsx"
        if len(members) != 1:
            listed = ", ".join(shown(member.filename) for member in members[:3])
            more = ", ..." if len(members) > 3 else ""
            raise DataError(
                f"{shown(name)} is an archive of {len(members)} files: {listed}{more}",
                "unpack it, and name the files to read",
            )
        with limited(room.left, room.config), archive.open(members[0]) as packed:
            held = _held(cast(BinaryIO, packed), name, room)
    return held, path if format_of_name(path) else members[0].filename


def _meant(member: str) -> bool:
    """Not what macOS adds to archives of its own accord."""
    return not member.startswith("__MACOSX/") and PurePosixPath(member).name != ".DS_Store"


class _Shared(io.RawIOBase):
    """A file that stays open when Arrow closes what it has of it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return self._file.readable()

    def writable(self) -> bool:
        return self._file.writable()

    def read(self, size: int = -1) -> bytes:
        return self._file.read(size)

    def write(self, data: object) -> int:
        return self._file.write(bytes(data))  # type: ignore[call-overload]


@contextmanager
def packing(file: BinaryIO, packed: Compression | None) -> Iterator[BinaryIO]:
    """Where to write what is to be packed into ``file``; the same bytes give the same bytes.

    >>> file = io.BytesIO()
    >>> with packing(file, compression_of_bytes(b"BZh9")) as packed:
    ...     _ = packed.write(b"a,b")
    >>> bz2.decompress(file.getvalue())
    b'a,b'
    """
    if packed is None:
        yield file
        return
    if packed.name == "gzip":
        opened = cast(BinaryIO, gzip.GzipFile(filename="", fileobj=file, mode="wb", mtime=0))
    elif packed.name == "bzip2":
        opened = cast(BinaryIO, bz2.BZ2File(file, "wb"))
    elif packed.name == "xz":
        opened = cast(BinaryIO, lzma.LZMAFile(file, "wb"))  # noqa: SIM115 - closed below
    else:
        opened = cast(BinaryIO, pa.CompressedOutputStream(_Shared(file), packed.name))
    with opened:
        yield opened

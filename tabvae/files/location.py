"""Where tables are: files, folders of parts, patterns, and stores that a URI names.

A model file names the table that it was fitted on, and may come from a stranger: nothing here is
asked of a store but for a path that the user gave.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, cast

import pyarrow as pa
from pyarrow import fs

from tabvae.errors import DataError, TabVAEError, one_line, shown
from tabvae.files.formats import compression_of_name, format_of_name

NO_KEY = "__HIVE_DEFAULT_PARTITION__"
"""What Hive writes for a missing cell."""
MOST_ENTRIES = 100_000
"""Of a folder; one with more, such as the root of a disk, is no table."""


@dataclass(frozen=True)
class Part:
    """One file of a table.

    Attributes:
        path: of the file, or its URI.
        keys: cells of all of its rows, by column: those that its folders tell (``year=2024``).

    **Examples**

    >>> Part.within("data/year=2024/city=New%20York/a.csv", "data").keys
    (('year', '2024'), ('city', 'New York'))
    """

    path: str
    keys: tuple[tuple[str, str | None], ...] = ()

    @classmethod
    def within(cls, path: str, base: str) -> Part:
        """A file somewhere in the folder ``base``."""
        folders = PurePosixPath(path).relative_to(PurePosixPath(base)).parts[:-1]
        pairs = [folder.partition("=") for folder in folders if "=" in folder]
        keys = tuple((_unquoted(name), _cell(text)) for name, _, text in pairs)
        return cls(path, keys)


def _cell(text: str) -> str | None:
    return None if text == NO_KEY else _unquoted(text)


def _unquoted(text: str) -> str:
    """``%20`` and the like replaced by what they stand for."""
    plain = re.sub(rb"%([0-9A-Fa-f]{2})", lambda found: bytes([int(found[1], 16)]), text.encode())
    return plain.decode(errors="replace")


def is_remote(path: str) -> bool:
    """Whether ``path`` is a URI of a store, not of a file on this machine.

    >>> is_remote("s3://bucket/a.csv"), is_remote("file:///tmp/a.csv"), is_remote("a.csv")
    (True, False, False)
    """
    return bool(re.match(r"(?!file:)[A-Za-z][A-Za-z0-9+.-]+://", path))


def local(path: str) -> str:
    """``path``, or the file on this machine that its URI names.

    >>> local("file:///tmp/a%20b.csv"), local("a.csv")
    ('/tmp/a b.csv', 'a.csv')
    """
    found = re.fullmatch(r"file://(?:localhost)?(/.*)", path)
    return _unquoted(found[1]) if found else path


def plain_name(path: str) -> str:
    """``path`` without what is no one else's business in a URI: user, password and options.

    >>> plain_name("s3://key:secret@bucket/a.csv?region=eu-west-1"), plain_name("a?.csv")
    ('s3://bucket/a.csv', 'a?.csv')
    """
    if not is_remote(path):
        return path
    return re.sub("://[^/]*@", "://", path.partition("?")[0])


def parts_of(path: str) -> list[Part]:
    """The files that ``path`` means, in the order of their names: itself; all tables in a folder
    and the folders in it; or what matches a pattern such as ``data/*.csv``.

    In folders, names that begin with a dot or an underscore are left out.

    Raises:
        DataError: it means none, or a folder of more entries than a table has.
    """
    if is_remote(path):
        return [*_Store.of(path).parts()]
    path = local(path)
    if Path(path).is_dir():
        return _found(path, str(Path(path)), _walk(path))
    if not has_magic(path) or os.path.lexists(path):
        return [Part(path)]
    parts = Path(path).parts
    fixed = tuple(_until_magic(parts))
    base = Path(*fixed)
    files = (str(each) for each in base.glob("/".join(parts[len(fixed) :])) if each.is_file())
    return _found(path, str(base), files)


def _until_magic(parts: Sequence[str]) -> Iterator[str]:
    for part in parts:
        if has_magic(part):
            return
        yield part


def _walk(folder: str) -> Iterator[str]:
    seen = 0
    for root, folders, names in os.walk(folder):
        seen += len(folders) + len(names)
        if seen > MOST_ENTRIES:
            raise DataError(f"{shown(folder)} is a folder of more than {MOST_ENTRIES} entries")
        folders[:] = [name for name in folders if _meant(name)]
        yield from (str(Path(root, name)) for name in names)


def _found(path: str, base: str, files: Iterator[str] | Sequence[str]) -> list[Part]:
    tables = sorted(each for each in files if _is_table(each))
    if not tables:
        raise DataError(f"no tables in {shown(path)}", "name a file, a folder or a pattern")
    return [Part.within(each, base) for each in tables]


def _meant(name: str) -> bool:
    return not name.startswith((".", "_"))


def _is_table(path: str) -> bool:
    known = format_of_name(path) or compression_of_name(path)
    return _meant(PurePosixPath(path).name) and known is not None


@dataclass(frozen=True)
class _Store:
    """A path in a store.

    Attributes:
        uri: as the user gave it.
        system: what reads and writes the store.
        path: in it.
    """

    uri: str
    system: Any
    path: str

    @classmethod
    def of(cls, uri: str) -> _Store:
        """The store that a URI names: one of pyarrow's, else one of fsspec's if that is installed.

        Raises:
            DataError: nobody knows such a store.
        """
        try:
            system, path = fs.FileSystem.from_uri(uri)
            return cls(uri, system, path)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            if "Unrecognized filesystem" not in str(error):
                raise _unreached(uri, error) from error
        try:
            from fsspec.core import url_to_fs

            found, path = url_to_fs(uri)
            return cls(uri, fs.PyFileSystem(fs.FSSpecHandler(found)), path)
        except (ImportError, ValueError) as error:
            hint = "pip install fsspec, and what it asks for; or copy the file here first"
            message = f"cannot read {shown(plain_name(uri))}: {_said(uri, error)}"
            raise DataError(message, hint) from error

    @contextmanager
    def told(self) -> Iterator[None]:
        """Whatever a store raises, of which each has its own errors, in one line."""
        try:
            yield
        except TabVAEError:
            raise
        except Exception as error:
            raise _unreached(self.uri, error) from error

    def kind(self) -> Any:
        """Whether there is a file, a folder or nothing."""
        with self.told():
            return self.system.get_file_info(self.path).type

    def parts(self) -> list[Part]:
        """As ``parts_of``."""
        scheme, query = self.uri.partition("://")[0], "".join(self.uri.partition("?")[1:])
        if scheme in ("http", "https") or (
            self.kind() is not fs.FileType.Directory and not has_magic(self.path)
        ):
            return [Part(self.uri)]
        base = self.path
        if has_magic(base):
            base = str(PurePosixPath(*_until_magic(PurePosixPath(base).parts)))
        with self.told():
            listed = self.system.get_file_info(fs.FileSelector(base, recursive=True))
        files = [info.path for info in listed if info.is_file]
        if has_magic(self.path):
            files = [each for each in files if PurePosixPath(each).match(self.path)]
        return [
            Part(f"{self._prefix}{part.path}{query}", part.keys)
            for part in _found(plain_name(self.uri), base, files)
        ]

    @property
    def _prefix(self) -> str:
        """What makes a URI of a path."""
        plain = self.uri.partition("?")[0].rstrip("/")
        return plain[: len(plain) - len(self.path.rstrip("/"))]


def _unreached(uri: str, error: Exception) -> DataError:
    return DataError(f"cannot read {shown(plain_name(uri))}: {_said(uri, error)}", "check the URI")


def _said(uri: str, error: Exception) -> str:
    """The first line of an error, without the secrets of a URI."""
    said = one_line(error)
    secrets = [*re.findall("://([^/]*)@", uri), *filter(None, [uri.partition("?")[2]])]
    for secret in secrets:
        said = said.replace(secret, "…")
    return said


def read_remote(uri: str, most: int) -> BinaryIO:
    """The first ``most`` bytes of what a URI names.

    Raises:
        DataError: it cannot be read.
    """
    store = _Store.of(uri)
    with store.told(), store.system.open_input_stream(store.path) as stream:
        return io.BytesIO(stream.read(most))


def remote_exists(uri: str) -> bool:
    """Whether there is something already where a URI leads.

    Raises:
        DataError: the store cannot be reached.
    """
    return _Store.of(uri).kind() is not fs.FileType.NotFound


def write_remote(uri: str, file: BinaryIO, bytes_per_write: int) -> None:
    """Put all of ``file`` where a URI leads.

    Raises:
        DataError: the store refuses.
    """
    store = _Store.of(uri)
    with store.told(), store.system.open_output_stream(store.path) as stream:
        while block := file.read(bytes_per_write):
            cast(BinaryIO, stream).write(block)

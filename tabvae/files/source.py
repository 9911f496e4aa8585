"""Which table a model was fitted on: where it lay, how it was written, and how to know it again."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.arrays import Document
from tabvae.columns.from_json import from_json
from tabvae.files.formats import names_of_formats
from tabvae.files.records import Dialect
from tabvae.values import arrow
from tabvae.values.arrow import Ints


@dataclass(frozen=True)
class Source:
    """Where a table came from.

    Attributes:
        paths: of its files, as they were named; ``-`` is standard input.
        format: of ``FORMATS``.
        delimiter: of a text table.
        encoding: the one that was asked for.
        fingerprint: of the table; ``None`` if the model was fitted before there was one.
        unseen: digest of the numbers of the rows that no network trained on; likewise.
        quote, escape, header_rows, skip_rows, comment, bad_rows: of a text table, as in `Dialect`.

    Raises:
        ValueError: there is no such table.

    **Examples**

    >>> table = pa.table({"a": ["1", "2"]})
    >>> source = Source(("a.csv",), "csv", ",", None, fingerprint(table), None)
    >>> source.is_of(table), source.is_of(table[:1])
    (True, False)
    """

    paths: tuple[str, ...]
    format: str
    delimiter: str | None
    encoding: str | None
    fingerprint: str | None
    unseen: str | None
    quote: str = '"'
    escape: str | None = None
    header_rows: int | None = None
    skip_rows: int = 0
    comment: str = ""
    bad_rows: str = "error"

    def __post_init__(self) -> None:
        _ = self.dialect
        named = bool(self.paths) and not any("\0" in path for path in self.paths)
        if not named or self.format not in names_of_formats(written=False):
            raise ValueError("a table without a file, or in no known format")
        digests = [digest for digest in (self.fingerprint, self.unseen) if digest is not None]
        if not all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests):
            raise ValueError("a fingerprint that is none")

    @property
    def dialect(self) -> Dialect:
        """How it was written."""
        names = {field.name for field in fields(Dialect)} & {field.name for field in fields(self)}
        return Dialect(**{name: getattr(self, name) for name in names})

    @classmethod
    def read(
        cls, paths: Sequence[str], fmt: str, dialect: Dialect, table: pa.Table, unseen: Ints
    ) -> Source:
        """Of a ``table`` that was read from ``paths``, of which no network trains on ``unseen``."""
        names = {field.name for field in fields(Dialect)} & {field.name for field in fields(cls)}
        written = {name: getattr(dialect, name) for name in names}
        return cls(
            tuple(paths),
            fmt,
            fingerprint=fingerprint(table),
            unseen=digest_of_rows(unseen),
            **written,
        )

    def is_of(self, table: pa.Table) -> bool:
        """The table has the names and cells of the one that was fitted on, in the same order."""
        return self.fingerprint is not None and self.fingerprint == fingerprint(table)

    def knows_unseen(self, rows: Ints) -> bool:
        """These are the numbers of the rows that no network trained on."""
        return self.unseen is not None and self.unseen == digest_of_rows(rows)

    def document(self) -> Document:
        """All of it, by the names of its attributes."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Source:
        """Made again from what ``document`` gave.

        Raises:
            ValueError: it is of no table.
        """
        return from_json(cls, document)


def fingerprint(table: pa.Table) -> str:
    """A digest of the names of all columns and the texts of all cells, row after row.

    However a table is cut into chunks, and whether its texts are plain or in a dictionary, it is
    the same.

    >>> one = pa.table({"a": ["1", "2", None]})
    >>> fingerprint(one) == fingerprint(pa.concat_tables([one[:1], one[1:]]))
    True
    >>> fingerprint(one) == fingerprint(one.take([1, 0, 2]))
    False
    """
    digest = hashlib.sha256(repr(table.column_names).encode())
    rows = 10_000  # In each piece; another number is another digest, and model files hold these.
    for start in range(0, table.num_rows, rows):
        for column in table.slice(start, rows).columns:
            for part in _parts(arrow.flat(column)):
                digest.update(part)
    return digest.hexdigest()


def digest_of_rows(rows: Ints) -> str:
    """Of the numbers of rows."""
    return hashlib.sha256(rows.astype("<i8").tobytes()).hexdigest()


def _parts(array: pa.Array) -> list[bytes]:
    """What tells cells from others: their texts or, where they have none, what they are stored
    as."""
    try:
        return list(_texts(array))
    except (ValueError, LookupError, OverflowError, NotImplementedError):
        # Of some types Arrow writes no text, and Python knows not every date.
        return list(_stored(array))


def _texts(array: pa.Array) -> Iterator[bytes]:
    """The lengths of cells, -1 for a null, and their bytes."""
    if not arrow.has_text(array.type):
        yield repr(array.to_pylist()).encode()
        return
    texts = pc.cast(arrow.to_text(array), pa.large_binary())
    lengths = pc.fill_null(pc.binary_length(texts), -1)
    yield lengths.to_numpy(zero_copy_only=False).astype("<i8").tobytes()
    present = texts.drop_null()
    joined = pa.LargeListArray.from_arrays(pa.array([0, len(present)], pa.int64()), present)
    yield pc.binary_join(joined, pa.scalar(b"", pa.large_binary()))[0].as_py()


def _stored(array: pa.Array) -> Iterator[bytes]:
    """Which cells are null, and what the others are made of."""
    if isinstance(array, pa.ExtensionArray):
        array = arrow.flat(array.storage)
    yield from _parts(array.is_null())
    present, kind = array.drop_null(), array.type
    if pa.types.is_map(kind):
        pairs = pa.struct([("key", kind.key_type), ("value", kind.item_type)])
        present = present.cast(pa.list_(pairs))
    if pa.types.is_struct(kind):
        for child in present.flatten():
            yield from _parts(arrow.flat(child))
    elif hasattr(present, "flatten"):
        yield from _parts(pc.list_value_length(present))
        yield from _parts(arrow.flat(present.flatten()))
    else:
        yield _message(present)


def _message(array: pa.Array) -> bytes:
    """The bytes that Arrow sends for an array."""
    batch = pa.record_batch([array], names=["cells"])
    return bytes(batch.serialize().to_pybytes())

"""How much memory tables may take: what is left of it, and how much a Parquet file wants."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tabvae.errors import DataError, shown


@dataclass(frozen=True)
class ReadConfig:
    """How much of a file is in memory, and how much of it at a time.

    Attributes:
        most: bytes of all tables together; an honest table that is larger asks for more.
        bytes_per_read: of a file that is read through, such as a compressed one whose size no
            header tells.
        rows_per_batch: of a Parquet file, decoded at a time: its size is known batch by batch.
        cells_per_chunk: of a table that become Arrow arrays, or text again, at a time: Python's
            texts take many times their room.
        records_per_sample: of a text file, of which the delimiter is found.
        times: the limit, which a process may take while it reads a Parquet file: arrays grow by
            doubling, and the memory that was there before cannot be used again at once.
        beside: bytes that it may take whatever the limit is.
        bytes_per_thread: of the stack that each thread has.

    **Examples**

    >>> ReadConfig().rows_per_chunk(width=400)
    500
    """

    most: int = 2**30
    bytes_per_read: int = 2**20
    rows_per_batch: int = 10_000
    cells_per_chunk: int = 200_000
    records_per_sample: int = 100
    times: int = 3
    beside: int = 2**29
    bytes_per_thread: int = 2**24

    def rows_per_chunk(self, width: int) -> int:
        """Rows that are a chunk of a table of so many columns."""
        return max(self.cells_per_chunk // max(width, 1), 1)


@dataclass
class Room:
    """What tables may take.

    Attributes:
        config: with the bytes of all tables together.
        used: what they take so far.

    **Examples**

    >>> room = Room(ReadConfig(most=100))
    >>> room.take(70, "a.csv")
    >>> room.left
    30
    """

    config: ReadConfig
    used: int = 0

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return self.config.most - self.used

    def require(self, size: int, name: str) -> None:
        """Make sure that ``size`` bytes are left for the file ``name``.

        Raises:
            DataError: they are not.
        """
        if size > self.left:
            raise self.too_small(name)

    def take(self, size: int, name: str) -> None:
        """Use ``size`` bytes for the file ``name``.

        Raises:
            DataError: they are not left.
        """
        self.require(size, name)
        self.used += size

    def too_small(self, name: str) -> DataError:
        """The error for a file that takes more than is left."""
        most = self.config.most
        unit, symbol = (2**20, "MB") if most >= 2**20 else (2**10, "kB")
        together = ", together with the files before it" if self.used else ""
        return DataError(
            f"{shown(name)} takes more than {most // unit} {symbol} in memory{together}",
            "--max-memory 4GB, or more, if it is meant to",
        )


def text_bytes(file: pa.NativeFile, rows_per_batch: int) -> Iterator[int]:
    """Bytes of the texts of a Parquet file, batch by batch, without making them: a dictionary of
    few bytes may stand for many."""
    schema = pq.ParquetFile(file).schema
    leaves = [schema.column(i) for i in range(len(schema))]
    texts = [
        leaf
        for leaf in leaves
        if leaf.physical_type == "BYTE_ARRAY" and leaf.logical_type.type != "DECIMAL"
    ]
    yield from _of_leaves(file, [t.path for t in texts if t.path == t.name], rows_per_batch)
    for leaf in texts:
        # Arrow reads some dictionaries in lists and structs not at all.
        if leaf.path != leaf.name:
            with suppress(pa.ArrowNotImplementedError):
                yield from _of_leaves(file, [leaf.path], rows_per_batch)


def _of_leaves(file: pa.NativeFile, paths: list[str], rows_per_batch: int) -> Iterator[int]:
    source = pq.ParquetFile(file, read_dictionary=paths)
    for group in range(source.num_row_groups if paths else 0):
        for batch in source.iter_batches(rows_per_batch, row_groups=[group], columns=paths):
            yield sum(text_bytes_of(column) for column in batch.columns)


def text_bytes_of(array: pa.Array) -> int:
    """Bytes of the texts of an array, those of a dictionary as often as they stand for cells."""
    if pa.types.is_dictionary(array.type):
        lengths = pc.binary_length(array.dictionary)
        return int(pc.sum(lengths.take(array.indices)).as_py() or 0)
    return sum(text_bytes_of(child) for child in _children(array))


def bytes_of_width(kind: pa.DataType) -> float:
    """Of a cell, at the least.

    >>> bytes_of_width(pa.int32()), bytes_of_width(pa.bool_()), bytes_of_width(pa.string())
    (4.0, 0.125, 4.0)
    """
    try:
        return float(kind.bit_width) / 8
    except ValueError:  # Cells of any length, of which each has an offset at least.
        return 4.0


def _children(array: pa.Array) -> list[pa.Array]:
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return [array.storage]
    if pa.types.is_map(kind):
        return [array.keys, array.items]
    if pa.types.is_struct(kind):
        return list(array.flatten())
    return [array.flatten()] if pa.types.is_nested(kind) else []


@contextmanager
def limited(room: int, config: ReadConfig = ReadConfig()) -> Iterator[None]:
    """On Linux the process can take but so many bytes more, and some beside, while the block runs:
    whatever a file declares, what it wants beyond that is a ``MemoryError``."""
    if sys.platform != "linux":
        yield
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    stacks = config.bytes_per_thread * (os.cpu_count() or 1)
    most = _data_bytes() + config.times * room + config.beside + stacks
    lowered = most if soft == resource.RLIM_INFINITY else min(most, soft)
    resource.setrlimit(resource.RLIMIT_DATA, (lowered, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _data_bytes() -> int:
    """What the process takes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[5])
    return pages * os.sysconf("SC_PAGE_SIZE")

"""Parquet files, read within a limit: what one holds may be many times its size."""

from __future__ import annotations

from itertools import accumulate
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.errors import DataError, one_line, shown
from tabvae.files.memory import Room, bytes_of_width, limited, text_bytes
from tabvae.files.parquet_layout import Layout


def read_parquet(file: BinaryIO, name: str, room: Room) -> tuple[pa.Table, Layout]:
    """Read a Parquet file, and how it is laid out.

    Args:
        file: at its first byte.
        name: for messages.
        room: what the table may take.

    Raises:
        DataError: it is damaged, or takes more than there is room for.
    """
    try:
        with limited(room.left, room.config):
            return _decoded(pa.PythonFile(file, mode="r"), name, room)
    except MemoryError as error:
        raise room.too_small(name) from error
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{shown(name)} is a damaged Parquet file: {one_line(error)}") from error


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
    width = sum(bytes_of_width(field.type) for field in source.schema_arrow)
    return max(
        int(source.metadata.num_rows * width), sum(int(group.total_byte_size) for group in groups)
    )

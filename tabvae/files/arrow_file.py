"""Arrow files, which Feather is another name of: read within a limit, and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from tabvae.errors import DataError, one_line, shown
from tabvae.files.memory import Room, bytes_of_width, limited, text_bytes_of


def read_arrow(file: BinaryIO, name: str, start: bytes, room: Room) -> pa.Table:
    """Read an Arrow file, or an Arrow stream.

    Args:
        file: at its first byte.
        name: for messages.
        start: its first bytes.
        room: what the table may take.

    Raises:
        DataError: it is damaged, or takes more than there is room for.
    """
    try:
        with limited(room.left, room.config):
            source = pa.PythonFile(file, mode="r")
            stream = not start.startswith(b"ARROW1")
            opened = pa.ipc.open_stream(source) if stream else pa.ipc.open_file(source)
            batches = []
            for batch in opened if stream else _batches(opened):
                batch.validate(full=True)
                room.take(_size(batch), name)
                batches.append(batch)
            return pa.Table.from_batches(batches, opened.schema)
    except MemoryError as error:
        raise room.too_small(name) from error
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"{shown(name)} is a damaged Arrow file: {one_line(error)}") from error


def _batches(file: pa.ipc.RecordBatchFileReader) -> Iterator[pa.RecordBatch]:
    return (file.get_batch(number) for number in range(file.num_record_batches))


def _size(batch: pa.RecordBatch) -> int:
    """Bytes that its cells take once each stands for itself."""
    plain = batch.num_rows * sum(bytes_of_width(field.type) for field in batch.schema)
    return max(int(batch.nbytes), int(plain) + sum(_texts(column) for column in batch.columns))


def _texts(array: pa.Array) -> int:
    if pa.types.is_string_view(array.type) or pa.types.is_binary_view(array.type):
        # A view is 16 bytes, of which the first four tell how long its text is.
        lengths = np.frombuffer(array.buffers()[1], "<i4")[::4]
        return int(lengths[array.offset : array.offset + len(array)].clip(0).sum(dtype=np.int64))
    return text_bytes_of(array)


def write_arrow(table: pa.Table, file: BinaryIO) -> None:
    """Write ``table`` as an Arrow file, packed by LZ4 as Feather files are."""
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with pa.ipc.new_file(pa.PythonFile(file, mode="w"), table.schema, options=options) as writer:
        writer.write_table(table.unify_dictionaries())

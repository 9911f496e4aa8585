"""JSON lines: one object a row, read with a type for each column and written back alike."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from decimal import Decimal
from itertools import islice
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from tabvae.errors import DataError, OutputError, one_line, shown
from tabvae.files.memory import Room
from tabvae.values import arrow

KINDS = {bool: "boolean", int: "number", float: "number", str: "text", dict: "object", list: "list"}
"""What JSON calls its values."""
SURE_DIGITS = 15
"""That any float64 holds."""


def read_json_lines(file: BinaryIO, name: str, room: Room) -> pa.Table:
    """Read a file of JSON objects, one a line; a key that a line lacks is a null.

    Numbers become int64 where all of a column are whole, else float64.

    Args:
        file: at its first byte.
        name: for messages.
        room: what the table may take.

    Raises:
        DataError: a line is no object, holds a number that these types do not hold exactly, or a
            value of another kind than the lines before it. Names the line.
    """
    columns = _Columns(name)
    objects = _objects(file, name)
    chunks: list[dict[str, pa.Array]] = []
    while chunk := list(islice(objects, room.config.rows_per_chunk(20))):
        chunks.append(columns.arrays(chunk))
        room.take(sum(array.nbytes for array in chunks[-1].values()), name)
    rows = [len(next(iter(chunk.values()), ())) for chunk in chunks]
    return pa.table({key: _joined(key, chunks, rows, name) for key in columns.kinds})


def _objects(file: BinaryIO, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects, each with the number of its line."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", newline="\n")
    number = 0
    try:
        for number, line in enumerate(text, start=1):
            if line.strip():
                yield number, _object(line)
    except UnicodeDecodeError as error:
        raise DataError(f"{shown(name)}, behind line {number}, is not UTF-8 text") from error
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{shown(name)}, line {number}: {one_line(error)}",
            "a line is one JSON object, as 'jq -c' writes it",
        ) from error
    finally:
        text.detach()


def _object(line: str) -> dict[str, Any]:
    found = json.loads(
        line, object_pairs_hook=_unique, parse_float=_float, parse_constant=_constant
    )
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key comes twice")
    return found


def _float(text: str) -> float:
    value = float(text)
    if len(text) > SURE_DIGITS and Decimal(text) != Decimal(repr(value)):
        raise ValueError(f"{text} has more digits than a float64 (as text it keeps them)")
    return value


def _constant(text: str) -> float:
    if text != "NaN":
        raise ValueError(f"{text} is no JSON")
    return math.nan


class _Columns:
    """The columns that were seen: the kind of each, and the line that showed it first."""

    def __init__(self, name: str) -> None:
        self.kinds: dict[str, tuple[str, int]] = {}
        self._name = name

    def arrays(self, chunk: list[tuple[int, dict[str, Any]]]) -> dict[str, pa.Array]:
        for line, row in chunk:
            for key, value in row.items():
                self._see(key, value, line)
        return {
            key: self._array(key, [row.get(key) for _, row in chunk], chunk[0][0])
            for key in self.kinds
        }

    def _see(self, key: str, value: object, line: int) -> None:
        kind, first = self.kinds.get(key, ("", line))
        found = "" if value is None else KINDS[type(value)]
        if kind and found and kind != found:
            raise DataError(
                f"{shown(self._name)}, line {line}: {shown(key)} is a {found}, in line {first} it "
                f"is a {kind}",
                "give it values of one kind, and null where there is none",
            )
        self.kinds[key] = (kind or found, line if found and not kind else first)

    def _array(self, key: str, values: list[Any], line: int) -> pa.Array:
        try:
            if any(isinstance(value, float) for value in values):
                return _floats(values)
            array = pa.array(values)
            if not pa.types.is_nested(array.type) or array.to_pylist() == values:
                return array
            reason = "objects of different keys"
        except (pa.ArrowException, OverflowError, ValueError) as error:
            reason = one_line(error)
        raise DataError(
            f"{shown(self._name)}, from line {line} on: {shown(key)}: {reason}",
            "as text, in quotes, it stays as it is",
        )


def _floats(values: list[Any]) -> pa.Array:
    """Numbers of which one has a point."""
    for value in values:
        if isinstance(value, int) and int(float(value)) != value:
            raise ValueError(f"{value} is too large for a float64")
    return pa.array([None if v is None else float(v) for v in values], pa.float64())


def _joined(
    key: str, chunks: list[dict[str, pa.Array]], rows: list[int], name: str
) -> pa.ChunkedArray:
    """The pieces of a column, as one type."""
    pieces = [
        chunk[key] if key in chunk else pa.nulls(n) for chunk, n in zip(chunks, rows, strict=True)
    ]
    types = [piece.type for piece in pieces if not pa.types.is_null(piece.type)]
    kind = types[0] if types else pa.null()
    for other in types[1:]:
        kind = other if pa.types.is_floating(other) or pa.types.is_uint64(other) else kind
    try:
        return pa.chunked_array([piece.cast(kind) for piece in pieces], kind)
    except pa.ArrowException as error:
        raise DataError(f"{shown(name)}: {shown(key)}: {one_line(error)}") from error


def write_json_lines(table: pa.Table, file: BinaryIO, rows_per_chunk: int) -> None:
    """Write ``table``, one object a line, keys in the order of its columns.

    Days and points in time are texts; NaN, which JSON does not have, is null.

    Raises:
        OutputError: a column has a type, or a number, that JSON does not have.

    >>> file = io.BytesIO()
    >>> write_json_lines(pa.table({"a": [1, None], "b": ["x", "é"]}), file, 10)
    >>> print(file.getvalue().decode(), end="")
    {"a": 1, "b": "x"}
    {"a": null, "b": "é"}
    """
    for batch in table.to_batches(rows_per_chunk):
        columns = [
            _literals(column, field.name)
            for field, column in zip(batch.schema, batch.columns, strict=True)
        ]
        keys = [f"{json.dumps(key, ensure_ascii=False)}: " for key in table.column_names]
        lines = (
            "{" + ", ".join(key + cell for key, cell in zip(keys, row, strict=True)) + "}\n"
            for row in zip(*columns, strict=True)
        )
        file.write("".join(lines).encode())


def _literals(column: pa.Array, name: str) -> list[str]:
    """Each cell as JSON has it."""
    array = arrow.flat(column)
    try:
        if arrow.is_number(array.type) and not pa.types.is_floating(array.type):
            return [text or "null" for text in arrow.to_text(array).to_pylist()]
        plain = pa.types.is_boolean(array.type) or pa.types.is_null(array.type)
        if not (plain or pa.types.is_floating(array.type) or pa.types.is_nested(array.type)):
            array = arrow.to_text(array)
        if pa.types.is_floating(array.type):
            array = pc.if_else(pc.is_nan(array), pa.scalar(None, array.type), array)
        return [json.dumps(cell, ensure_ascii=False, allow_nan=False) for cell in array.to_pylist()]
    except (pa.ArrowException, TypeError, ValueError) as error:
        raise OutputError(
            f"column {shown(name)} of type {column.type} cannot be written as JSON: "
            f"{one_line(error)}",
            "write to .parquet",
        ) from error

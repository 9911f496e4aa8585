"""What each column of a table is, and no more of its cells than a model may keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from tabvae.columns.images import grid_of, is_cell
from tabvae.columns.infer import infer_schema
from tabvae.columns.privacy import generalised
from tabvae.columns.schema import ColumnKind, Schema
from tabvae.values.notation import Separators


def describe(
    table: pa.Table,
    na_values: tuple[str, ...],
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    grid: tuple[int, int, int] | None = None,
    min_count: int = 1,
    separators: Mapping[str, Separators] | None = None,
) -> Schema:
    """The schema of a table that is to be learned.

    Args:
        table: text columns (CSV) or typed ones.
        na_values: texts that mean a missing cell.
        kinds: kinds that are given.
        formats: datetime formats that are given.
        grid: height, width and channels, where the columns of numbers are cells of a grid.
        min_count: cells that stand behind every number and category that is kept.
        separators: of numbers that are given.

    Raises:
        DataError: the table is too small, nothing in it can be modelled, or it has another number
            of cells than the grid.
        SchemaError: a given column does not exist or cannot be of that kind or format.

    >>> table = pa.table({"off": [0, 1, 1], "grey": [0.5, 0.1, 0.7]})
    >>> [column.kind.value for column in describe(table, ()).columns]
    ['boolean', 'numeric']
    >>> [column.kind.value for column in describe(table, (), grid=(1, 2, 1)).columns]
    ['numeric', 'numeric']
    """
    schema = infer_schema(table, na_values, kinds, formats, separators=separators)
    if grid is not None:
        schema = _as_numbers(schema, table, na_values)
        grid_of(schema, grid)
    schema = generalised(schema, table, na_values, min_count)
    schema.require_enough()
    schema.warn_of_doubts()
    return schema


def _as_numbers(schema: Schema, table: pa.Table, na_values: tuple[str, ...]) -> Schema:
    """The cells of a grid that are but one or two numbers, as columns of numbers."""
    flags = [c.name for c in schema.columns if is_cell(c) and not c.kind.continuous]
    asked = dict.fromkeys(flags, ColumnKind.NUMERIC)
    numbers = infer_schema(table.select(flags), na_values, asked) if flags else None
    columns = {c.name: c for c in (*schema.columns, *(numbers.columns if numbers else ()))}
    return replace(schema, columns=tuple(columns[name] for name in schema.names))

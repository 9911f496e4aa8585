"""Where results enter a table: gaps that are filled, columns that are not modelled."""

from __future__ import annotations

import pyarrow as pa

from tabvae import cells
from tabvae.encoding import Codes, TableEncoder
from tabvae.identifiers import fresh_identifiers
from tabvae.sampling import Sample
from tabvae.schema import Column, ColumnKind, Schema


def fill(encoder: TableEncoder, table: pa.Table, codes: Codes, sample: Sample) -> pa.Table:
    """``table`` with its missing cells taken from ``sample``."""
    for j, column in enumerate(encoder.columns_):
        gaps = codes.missing[:, j]
        if not gaps.any():
            continue
        position = table.column_names.index(column.name)
        field, original = _field(encoder.schema, table, position), table.column(position)
        written = encoder.write_column(
            j,
            sample.codes.bins[:, j],
            sample.codes.values[:, j],
            sample.levels[:, j],
            gaps,
            target=field.type,
        )
        table = table.set_column(position, field, cells.choose(gaps, written, cells.flat(original)))
    return _fill_constants(encoder, table)


def _field(schema: Schema, table: pa.Table, position: int) -> pa.Field:
    """The type a filled column has: its own, or the model's if all of it was missing."""
    field = table.field(position)
    return schema.types.field(field.name) if pa.types.is_null(field.type) else field


def _fill_constants(encoder: TableEncoder, table: pa.Table) -> pa.Table:
    for column in encoder.schema.columns:
        if column.kind is not ColumnKind.CONSTANT or column.name not in table.column_names:
            continue
        position = table.column_names.index(column.name)
        field, array = _field(encoder.schema, table, position), cells.flat(table.column(position))
        gaps = cells.missing_mask(array, encoder.na_values)
        if gaps.any():
            written = cells.from_text(pa.array([column.constant] * len(array)), field.type)
            table = table.set_column(position, field, cells.choose(gaps, written, array))
    return table


def unmodelled(schema: Schema, column: Column, rows: int, fresh: bool = True) -> pa.Array:
    """New cells of a column that is not modelled; identifiers only if ``fresh``."""
    target = schema.types.field(column.name).type
    if column.kind is ColumnKind.CONSTANT:
        return cells.from_text(pa.array([column.constant] * rows), target)
    if column.kind is ColumnKind.IDENTIFIER and fresh:
        step = round(column.numbers.step) if column.numbers else 1
        texts = fresh_identifiers(column.last_identifier or "", rows, max(step, 1))
        return cells.from_text(pa.array(texts), target)
    if cells.is_text(target):
        return pa.array([column.missing_text] * rows, target)
    return pa.nulls(rows, target)

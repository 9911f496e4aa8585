"""Where results enter a table: gaps that are filled, columns that are not modelled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import DataError, SchemaError, shown
from tabvae.imputation.beliefs import Beliefs
from tabvae.predict.sampling import Sample
from tabvae.values import arrow
from tabvae.values.identifiers import IdentifierPattern, fresh_identifiers


def fill(codec: TableCodec, table: pa.Table, codes: Codes, sample: Sample) -> pa.Table:
    """``table`` with its missing cells taken from ``sample``."""
    for j, column in enumerate(codec.columns_):
        gaps = codes.missing[:, j]
        if not gaps.any():
            continue
        position = table.column_names.index(column.name)
        field, original = table.field(position), arrow.whole(table.column(position))
        with holding(field):
            written = codec.write_column(
                j,
                sample.codes.bins[:, j],
                sample.codes.values[:, j],
                sample.quantiles[:, j],
                gaps,
                target=field.type,
            )
        table = table.set_column(position, field, arrow.choose(gaps, written, original))
    return _fill_constants(codec, table)


@contextmanager
def holding(field: pa.Field) -> Iterator[None]:
    """Cells of a column are written in its type, which may be another than in ``fit``.

    Raises:
        SchemaError: it holds no such cells.
    """
    try:
        yield
    except pa.ArrowException as error:
        raise SchemaError(
            f"column {shown(field.name)} of type {field.type} cannot hold what its gaps are filled "
            "with",
            "give it in the type, or as the text, that it had in fit",
        ) from error


def in_types_of(codec: TableCodec, table: pa.Table) -> pa.Table:
    """``table`` with the columns that the model fills and that have no cell in the types of the
    table fitted on: of such a column the type tells nothing. Text can hold any cell and stays."""
    for column in codec.schema.columns:
        if not column.fills or column.name not in table.column_names:
            continue
        position = table.column_names.index(column.name)
        own, kind = codec.schema.types.field(column.name), table.field(position).type
        empty = arrow.is_text(kind) or table.num_rows == 0
        if kind == own.type or (empty and not pa.types.is_null(kind)):
            continue
        cells = arrow.flat(table.column(position))
        if column.missing_mask(cells, codec.na_values).all():
            table = table.set_column(position, own, pa.nulls(table.num_rows, own.type))
    return table


def _fill_constants(codec: TableCodec, table: pa.Table) -> pa.Table:
    for column in codec.schema.columns:
        if column.kind is not ColumnKind.CONSTANT or column.name not in table.column_names:
            continue
        position = table.column_names.index(column.name)
        field, array = table.field(position), arrow.whole(table.column(position))
        gaps = arrow.missing_mask(arrow.flat(array), codec.na_values)
        if gaps.any():
            with holding(field):
                written = arrow.from_text(pa.array([column.constant] * len(array)), field.type)
            table = table.set_column(position, field, arrow.choose(gaps, written, array))
    return table


def _unmodelled(schema: Schema, column: Column, rows: int, fresh: bool) -> pa.Array:
    """New cells of a column that is not modelled; identifiers only if ``fresh``."""
    target = schema.types.field(column.name).type
    if column.kind is ColumnKind.CONSTANT:
        return arrow.from_text(pa.array([column.constant] * rows), target)
    if column.pattern is not None and fresh:
        return _identifiers(column.pattern, rows, target, column.name)
    if arrow.is_text(target):
        return pa.array([column.missing_text] * rows, target)
    return pa.nulls(rows, target)


def _identifiers(pattern: IdentifierPattern, rows: int, target: pa.DataType, name: str) -> pa.Array:
    try:
        return arrow.from_text(fresh_identifiers(pattern, rows), target)
    except pa.ArrowException as error:
        raise DataError(
            f"column {shown(name)} of type {target} has no room for {rows} identifiers "
            f"from {shown(pattern.first)} on",
            "generate fewer rows, or fit with the column as text",
        ) from error


def between(
    codec: TableCodec, j: int, beliefs: Beliefs, filled: pa.Table, level: float
) -> dict[str, pa.Array]:
    """``lower`` and ``upper`` bound (n,) of each cell of a number, in the format of its column.

    Args:
        codec: knows the column.
        j: which modelled column.
        beliefs: of the rows.
        filled: (n,) the rows without gaps; a rule may have moved a cell out of its bounds.
        level: probability that a number lies between them.
    """
    column, bins = codec.columns_[j], codec.bins_[j]
    assert isinstance(bins, ContinuousBins)
    low, high = beliefs.bounds(bins, j, level)
    cells = arrow.flat(filled.column(column.name))
    values = column.values(cells)
    ends = {"lower": np.fmin(low, values), "upper": np.fmax(high, values)}
    unobserved = ~beliefs.codes.observed[:, j]
    zeros, some = np.zeros(len(values)), np.isfinite(values)
    none = zeros.astype(np.int64)  # a number asks for no bin
    return {
        end: arrow.choose(
            unobserved,
            codec.write_column(j, none, numbers, zeros, some, cells.type),
            cells,
        )
        for end, numbers in ends.items()
    }


def whole_table(schema: Schema, modelled: pa.Table, given: pa.Table | None = None) -> pa.Table:
    """All columns of the model's table, new rows.

    Args:
        schema: of the table.
        modelled: (N,) the columns the networks know.
        given: (N,) rows whose other columns are kept where they have them; without them,
            identifiers are fresh.
    """
    arrays = {}
    for column in schema.columns:
        if column.kind.modelled:
            arrays[column.name] = modelled.column(column.name)
        elif (
            given is not None
            and column.name in given.column_names
            and column.kind is not ColumnKind.CONSTANT
        ):
            arrays[column.name] = given.column(column.name)
        else:
            rows = modelled.num_rows
            arrays[column.name] = _unmodelled(schema, column, rows, fresh=given is None)
    return pa.table(arrays)

"""Rows that are text, as people work with them: numbers, moments, truths and categories.

``exact.py`` keeps text as it is written where no type holds it; here the kind of a column decides.
A model reads either.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.files.exact import as_numbers
from tabvae.values import arrow

TRUTHS = {"true", "false"}
"""As Arrow writes booleans, so that a model knows them again."""


def by_kind(table: pa.Table, schema: Schema, na_values: tuple[str, ...]) -> pa.Table:
    """``table`` with its text columns as the kinds in ``schema`` have them, missing cells null.

    Numbers become int64 or float64, moments timestamps, two words for true and false booleans, all
    other categories dictionaries. Free text and identifiers with other characters than digits
    stay text, and so does a column with a cell that its kind cannot read.
    """
    for position, field in enumerate(table.schema):
        if arrow.is_text(field.type) and field.name in schema.names:
            column = schema[field.name]
            cells = arrow.flat(table.column(position))
            missing = column.missing_mask(cells, na_values)
            present = arrow.choose(~missing, cells, pa.scalar(None, cells.type))
            table = table.set_column(position, field.name, _as_kind(column, present))
    return table


def _as_kind(column: Column, texts: pa.Array) -> pa.Array:
    if column.kind.continuous:
        return _as_values(column, texts)
    if column.kind in (ColumnKind.TEXT, ColumnKind.IGNORED):
        return texts
    words = set(pc.unique(texts.drop_null()).to_pylist())
    if words and words <= TRUTHS and column.kind is ColumnKind.BOOLEAN:
        return pc.cast(texts, pa.bool_())
    integers = as_numbers(texts, whole=True)
    plain = integers if pa.types.is_integer(integers.type) else texts
    if column.kind in (ColumnKind.IDENTIFIER, ColumnKind.CONSTANT):
        return plain
    return pc.dictionary_encode(plain)


def _as_values(column: Column, texts: pa.Array) -> pa.Array:
    """Numbers, or moments in microseconds."""
    values = column.values(texts)
    known = np.isfinite(values)
    if (known != arrow.as_mask(pc.is_valid(texts))).any():
        return texts
    if column.kind is ColumnKind.DATETIME:
        zone = "UTC" if (column.datetime_format or "").endswith("Z") else None
        micros = np.where(known, np.round(values * 1e6), 0).astype(np.int64)
        return pa.array(micros, pa.timestamp("us", zone), mask=~known)
    whole = column.numbers is not None and column.numbers.decimals == 0
    if whole and (np.abs(values[known]) < 2.0**53).all():
        return pa.array(np.where(known, values, 0).astype(np.int64), mask=~known)
    return pa.array(values, mask=~known)

"""What a model does not keep of single cells: extreme numbers, rare categories, rare numbers.

By default the ends of a column of numbers are averages of several cells. With ``min_count`` every
number a model keeps is an average of that many cells (microaggregation, Domingo-Ferrer &
Mateo-Sanz 2002), and a category that occurs less often is to the model as one it never saw. None of
this is a formal guarantee: see docs/privacy.md.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask
from tabvae.values.patterns import PatternConfig, identifier_pattern


@dataclass(frozen=True)
class PrivacyConfig:
    """How many cells stand behind the least and the largest number that a model keeps by default.

    Attributes:
        rows_per_cell: rows for each cell that is averaged at an end: in a larger table the range is
            known well enough without more of its cells.
        fewest_at_an_end: cells that are averaged at least: one alone would be somebody's.
        most_at_an_end: cells that are averaged at most: more would narrow the range.
        fewest_rows: rows below which nothing is averaged: too much of the range would be lost.

    **Examples**

    >>> config = PrivacyConfig(rows_per_cell=10)
    >>> [config.cells_at_an_end(rows) for rows in (19, 20, 40, 1000)]
    [1, 2, 4, 5]
    """

    rows_per_cell: int = 50
    fewest_at_an_end: int = 2
    most_at_an_end: int = 5
    fewest_rows: int = 20

    def cells_at_an_end(self, rows: int) -> int:
        """Cells that are averaged at each end of a column of so many numbers."""
        if rows < self.fewest_rows:
            return 1
        return min(max(rows // self.rows_per_cell, self.fewest_at_an_end), self.most_at_an_end)


def microaggregate(
    column: Column,
    values: Floats,
    min_count: int,
    na_values: tuple[str, ...] = (),
    config: PrivacyConfig = PrivacyConfig(),
) -> Floats:
    """The numbers of a column, sorted, as a model may know them.

    Args:
        column: a continuous one; its spacing is kept.
        values: (N,) its finite numbers, or moments in seconds.
        min_count: fewest cells behind any number. With 1, ``config`` says how many are behind the
            least and the largest.
        na_values: texts that mean a missing cell; no number is averaged to one of them.
        config: how many cells are averaged at the ends.

    Returns:
        (N,) numbers; fewer, where too few cells are left for an average of their own.
    """
    assert column.numbers is not None
    ordered = np.sort(values)
    if min_count > 1:
        averaged = column.numbers.snap(_averaged(ordered, min_count))
        written = ~_as_missing(column, averaged, na_values)
        return averaged[written] if written.any() else averaged
    if (count := config.cells_at_an_end(len(values))) > 1:
        for ends in (ordered, ordered[::-1]):
            _average_end(column, ends, count, na_values)
    return ordered


def _average_end(column: Column, ends: Floats, count: int, na_values: tuple[str, ...]) -> None:
    """Set the first ``count`` of ``ends`` to their mean; with more of them, or as they are, if that
    would mean a missing cell."""
    assert column.numbers is not None
    for many in range(count, 2 * count):
        if ends[0] == ends[many - 1]:
            return
        mean = column.numbers.snap(ends[:many].mean(keepdims=True))
        if not _as_missing(column, mean, na_values).any():
            ends[:many] = mean
            return


def _as_missing(column: Column, values: Floats, na_values: tuple[str, ...]) -> Mask:
    """Which of ``values`` a column would write as a missing cell; typed moments never are one."""
    assert column.numbers is not None
    moments = column.kind is ColumnKind.DATETIME
    if not na_values or (moments and "string" not in column.type):
        return np.zeros(len(values), np.bool_)
    if "string" not in column.type:
        return arrow.missing_mask(pa.array(values), na_values)
    if moments:
        texts = arrow.from_seconds(values, pa.string(), column.datetime_format)
    else:
        texts = pa.array(column.numbers.write(values), pa.string())
    return arrow.missing_mask(texts, na_values)


def _averaged(ordered: Floats, count: int) -> Floats:
    """(N,) sorted values in runs of ``count`` cells or more, each at its mean; frequent ones stay.

    >>> _averaged(np.array([1.0, 2.0, 3.0, 7.0, 7.0, 7.0]), 3)
    array([2., 2., 2., 7., 7., 7.])
    """
    _, inverse, counts = np.unique(ordered, return_inverse=True, return_counts=True)
    frequent = counts[inverse] >= count
    rare = ordered[~frequent]
    runs = len(rare) // count
    if runs == 0:
        return ordered[frequent] if frequent.any() else np.full(len(rare), rare.mean())
    run = np.minimum(np.arange(len(rare)) // count, runs - 1)
    means = np.bincount(run, rare) / np.bincount(run)
    return np.sort(np.append(ordered[frequent], means[run]))


def generalised(
    schema: Schema, table: pa.Table, na_values: tuple[str, ...], min_count: int
) -> Schema:
    """``schema`` of ``table`` without what single cells say: see ``microaggregate``.

    Args:
        schema: as inferred.
        table: the whole table.
        na_values: texts that mean a missing cell.
        min_count: categories that occur less often are none of the model's; a column with fewer
            than two others is not modelled.
    """
    columns = []
    for column in schema.columns:
        array = arrow.flat(table.column(column.name))
        if column.kind.continuous:
            values = column.values(array.filter(pa.array(~column.missing_mask(array, na_values))))
            kept = microaggregate(column, values[np.isfinite(values)], min_count, na_values)
            column = replace(column, minimum=float(kept[0]), maximum=float(kept[-1]))
        elif column.kind.modelled and min_count > 1:
            column = _without_rare(column, array, na_values, min_count)
        elif column.kind is ColumnKind.IDENTIFIER:
            column = _with_pattern(column, array, na_values, min_count)
        columns.append(column)
    return replace(schema, columns=tuple(columns))


def _with_pattern(
    column: Column, array: pa.Array, na_values: tuple[str, ...], min_count: int
) -> Column:
    """A column of identifiers, and the pattern of those that are nobody's."""
    present = array.filter(pa.array(~column.missing_mask(array, na_values)))
    padding = column.numbers.padding if column.numbers else ""
    texts = [padding + t for t in pc.utf8_trim_whitespace(arrow.to_text(present)).to_pylist()]
    largest = _largest_whole(array.type)
    config = PatternConfig(fewest_sharing=max(min_count, PatternConfig.fewest_sharing))
    pattern = identifier_pattern(texts, config, largest)
    return replace(column, pattern=pattern)


def _largest_whole(kind: pa.DataType) -> int | None:
    """Up to which a type of numbers holds every whole one; ``None`` for text."""
    if pa.types.is_integer(kind):
        return int(np.iinfo(kind.to_pandas_dtype()).max)
    if pa.types.is_floating(kind):
        return int(2 ** (np.finfo(kind.to_pandas_dtype()).nmant + 1))
    return int(10 ** (kind.precision - kind.scale) - 1) if pa.types.is_decimal(kind) else None


def _without_rare(
    column: Column, array: pa.Array, na_values: tuple[str, ...], min_count: int
) -> Column:
    present = array.filter(pa.array(~column.missing_mask(array, na_values)))
    counted = pc.value_counts(column.texts(present))
    counts = np.asarray(counted.field("counts"))
    if (counts >= min_count).sum() < 2:  # One category alone is a constant.
        reason = f"fewer than two of its values occur {min_count} times"
        return replace(column, kind=ColumnKind.IGNORED, reason=reason, levels=(), order=())
    kept = set(counted.field("values").filter(pa.array(counts >= min_count)).to_pylist())
    levels = tuple(level for level in column.levels if level in kept)
    order = tuple(text for text in column.order if text in kept)
    foreign = int(counts[counts < min_count].sum())
    return replace(column, foreign=foreign, levels=levels, order=order)

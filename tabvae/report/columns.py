"""What each column is, what is missing in it, and how well the others know it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.bins import CategoricalBins
from tabvae.columns.codes import Codes
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import shown
from tabvae.report.document import Chart, ColumnNumbers, Shares
from tabvae.report.request import Subject
from tabvae.rules.arithmetic import Formula
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints


@dataclass(frozen=True)
class Bars:
    """The bars of a column of the model, in which its cells are counted.

    Attributes:
        column: number of it, among those of the model.
        cuts: between the bars of numbers; ``None`` for categories.
        chosen: bins of the categories that have a bar of their own.
        others: a last bar has all other categories.
        low, high, labels: see ``Chart``.
    """

    column: int
    cuts: Floats | None
    chosen: Ints
    others: bool
    low: str | None
    high: str | None
    labels: tuple[str, ...] | None

    @classmethod
    def of(cls, subject: Subject, j: int) -> Bars:
        """Of the observed cells of column ``j``."""
        codes = subject.codes
        observed = codes.observed[:, j]
        if subject.model.codec.bins_[j].is_number:
            return cls._of_numbers(subject, j, codes.values[observed, j])
        return cls._of_categories(subject, j, codes.bins[observed, j])

    @classmethod
    def _of_numbers(cls, subject: Subject, j: int, values: Floats) -> Bars:
        config, column = subject.config, subject.model.codec.columns_[j]
        if not len(values):
            return cls(j, np.zeros(0), np.zeros(0, np.int64), False, None, None, None)
        distinct = np.unique(values)
        if len(distinct) <= config.most_bars:
            cuts, ends = (distinct[1:] + distinct[:-1]) / 2, distinct[[0, -1]]
        else:
            beyond = (1 - config.inner) / 2
            ends = np.quantile(values, [beyond, 1 - beyond])
            cuts = np.linspace(ends[0], ends[1], config.most_bars + 1)[1:-1]
        low, high = subject.request.ends(column, ends[0], ends[1])
        return cls(j, cuts, np.zeros(0, np.int64), False, low, high, None)

    @classmethod
    def _of_categories(cls, subject: Subject, j: int, bins: Ints) -> Bars:
        config, coder = subject.config, subject.model.codec.bins_[j]
        assert isinstance(coder, CategoricalBins)
        counts = np.bincount(bins, minlength=len(coder))
        if len(coder.vocabulary) > coder.size:
            counts[-1] = 0  # It stands for several.
        order = np.argsort(-counts, kind="stable")[: config.most_categories]
        chosen = order[counts[order] > 0]
        words = coder.decode(chosen, np.zeros(len(chosen)))
        others = len(chosen) < len(coder)
        labels = [str(subject.request.cell(str(word))) for word in words] + ["others"] * others
        shown = tuple(labels) if subject.request.cells else None
        return cls(j, None, chosen, others, None, None, shown)

    def shares(self, codes: Codes, rows: Ints | None = None) -> Shares:
        """Of the observed cells of ``rows``, by bar."""
        if rows is not None:
            codes = codes[rows]
        observed = codes.observed[:, self.column]
        if self.cuts is not None:
            places = np.digitize(codes.values[observed, self.column], self.cuts)
            counts = np.bincount(places, minlength=len(self.cuts) + 1)
        else:
            bins = codes.bins[observed, self.column]
            own = np.array([(bins == k).sum() for k in self.chosen], np.int64)
            counts = np.append(own, len(bins) - own.sum())[: len(own) + self.others]
        return tuple((counts / max(int(observed.sum()), 1)).tolist())

    def chart(self, codes: Codes) -> Chart:
        """Of all observed cells."""
        return Chart(self.low, self.high, self.labels, self.shares(codes))


def known_shares(subject: Subject) -> Floats:
    """(columns,) share of the uncertainty about a cell that the rest of its row takes away; NaN
    where a column has no observed cell, or no uncertainty."""
    rows = subject.table.take(pa.array(subject.fresh))
    found = subject.model.evaluate(rows, samples=1, seed=subject.request.seed)
    with np.errstate(all="ignore"):
        shares = np.maximum(1 - found.loss / found.entropy, 0.0)
    return np.where(found.entropy > 1e-9, shares, np.nan)


def column_numbers(subject: Subject, known: Floats) -> tuple[ColumnNumbers, ...]:
    """Of all columns of the model's table, in order."""
    places = {column.name: j for j, column in enumerate(subject.model.codec.columns_)}
    return tuple(
        _column(subject, column, places.get(column.name), known)
        for column in subject.model.schema.columns
    )


def _column(subject: Subject, column: Column, j: int | None, known: Floats) -> ColumnNumbers:
    missing = missing_cells(subject, column)
    share = None if j is None or np.isnan(known[j]) else float(known[j])
    return ColumnNumbers(
        name=column.name,
        kind=column.kind.value,
        reason=column.reason if subject.request.cells else None,
        missing=missing,
        distinct=_distinct(subject, column),
        chart=None if j is None else Bars.of(subject, j).chart(subject.codes),
        known=share,
        rules=sum(column.name in rule.columns for rule in subject.model.schema.rules),
        follows=follows(subject.model.schema, column.name),
        warnings=tuple(_warnings(subject, column, j, missing)),
    )


def follows(schema: Schema, name: str) -> bool:
    """Whether a rule works out a column where the others that it speaks of are there."""
    return any(
        name == rule.determined or (isinstance(rule, Formula) and name in rule.columns)
        for rule in schema.rules
    )


def missing_cells(subject: Subject, column: Column) -> int | None:
    """How many cells of a column are missing; ``None`` if the table lacks it."""
    if column.name not in subject.table.column_names:
        return None
    array = arrow.flat(subject.table.column(column.name))
    return int(column.missing_mask(array, subject.model.codec.na_values).sum())


def _distinct(subject: Subject, column: Column) -> int | None:
    if column.name not in subject.table.column_names or column.kind is ColumnKind.IGNORED:
        return None
    array = arrow.flat(subject.table.column(column.name))
    mask = column.missing_mask(array, subject.model.codec.na_values)
    try:
        return int(pc.count_distinct(array.filter(pa.array(~mask))).as_py())
    except pa.ArrowException:
        return None  # Cells that cannot be compared, such as lists.


def _warnings(subject: Subject, column: Column, j: int | None, missing: int | None) -> list[str]:
    found = []
    if missing is not None and missing == subject.table.num_rows:
        found.append("all cells are missing")
    if column.doubt is not None:
        told = "its cells may be read wrongly; 'tabvae inspect' says how"
        found.append(column.doubt if subject.request.cells else told)
    if column.rival_format is not None:
        found.append(f"read as {column.datetime_format}, {column.rival_format} reads as many cells")
    if j is not None and (unknown := int(subject.codes.unknown[:, j].sum())):
        what = "numbers or dates" if column.kind.continuous else "categories of the model"
        found.append(f"{unknown} cells are no {what}")
    if withheld := subject.model.most_withheld.get(column.name):
        plain = withheld in ("large", "small") or subject.request.cells
        found.append(f"missing more often where it is {withheld if plain else 'of some value'}")
    return found


def listed(names: list[str], most: int) -> str:
    """
    >>> listed(["a", "b", "c"], 2)
    "'a', 'b' and 1 more"
    """
    first = ", ".join(shown(name, 40) for name in names[:most])
    return first if len(names) <= most else f"{first} and {len(names) - most} more"

"""Rules kept: cells that follow from others, and rows that break no rule.

Equations and dependencies are worked out; what is only bounded is moved into its bounds. No cell
that was there is touched: where rules and cells contradict each other, the cells stay.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tabvae.columns.codec import TableCodec
from tabvae.columns.relations import cells_of, in_cells, rounded
from tabvae.columns.schema import Column
from tabvae.rules.arithmetic import Order
from tabvae.rules.cells import Cells, Texts, as_texts, only, there
from tabvae.rules.decisions import Presence
from tabvae.rules.rules import AnyRule, covers
from tabvae.tasks.assemble import holding
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask

PASSES = 3
"""Over all rules: what follows from one may be what another needs."""


@dataclass
class _Work:
    """Cells that rules may set, and those that they have set.

    Attributes:
        columns: that rules speak of, by name.
        rules: those whose columns are all there.
        cells: of these columns; numbers and texts are changed in place.
        free: (N,) by column, the cells that may be set.
        changed: (N,) by column, those that were.
    """

    columns: Mapping[str, Column]
    rules: list[AnyRule]
    cells: Cells
    free: Mapping[str, Mask]
    changed: dict[str, Mask]

    @classmethod
    def of(cls, codec: TableCodec, table: pa.Table, free: Mapping[str, Mask]) -> _Work:
        columns = {
            column.name: column
            for column in codec.schema.ruled
            if not pa.types.is_null(table.schema.field(column.name).type)
        }
        cells = cells_of(columns.values(), table, codec.na_values)
        rules = [rule for rule in codec.schema.rules if covers(cells, rule)]
        changed = {name: np.zeros(table.num_rows, np.bool_) for name in columns}
        return cls(columns, rules, cells, free, changed)

    def set(self, name: str, rows: Mask, values: Floats | Texts) -> None:
        """Set free cells of ``rows`` (N,) to those of ``values`` (N,) that there are, rounded as
        the column is."""
        texts = as_texts(values)
        known = np.isfinite(values) if texts is None else there(texts)
        rows = rows & self.free[name] & known
        if not rows.any():
            return
        self.changed[name] |= rows
        if name in self.cells.numbers:
            self.cells.numbers[name][rows] = self._numbers(name, values[rows])
        if name in self.cells.texts:
            self.cells.texts[name][rows] = self._texts(name, values[rows])

    def _numbers(self, name: str, values: Floats | Texts) -> Floats:
        """As numbers of the column."""
        texts = as_texts(values)
        if texts is not None:
            return self.columns[name].values(pa.array(texts, pa.string()))
        return rounded(self.columns[name], np.asarray(values, np.float64))

    def _texts(self, name: str, values: Floats | Texts) -> Texts:
        """As texts of the column."""
        texts = as_texts(values)
        if texts is not None:
            return texts
        form = self.columns[name].numbers
        assert form is not None
        numbers = self._numbers(name, values)
        cells = np.full(len(numbers), None, object)
        finite = np.isfinite(numbers)
        cells[finite] = [text.strip() for text in form.write(numbers[finite])]
        return cells

    def fits(self, rule: AnyRule, name: str, values: Floats | Texts) -> Mask:
        """(N,) where ``values`` in column ``name`` keep the rule."""
        numbers, texts = self.cells.numbers, self.cells.texts
        if name in numbers:
            numbers = {**numbers, name: self._numbers(name, values)}
        if name in texts:
            texts = {**texts, name: self._texts(name, values)}
        return rule.kept(Cells(numbers, texts))

    @property
    def set_cells(self) -> int:
        return sum(int(rows.sum()) for rows in self.changed.values())

    def written(self, table: pa.Table) -> pa.Table:
        """``table`` with the cells that were set."""
        for name, rows in self.changed.items():
            if not rows.any():
                continue
            position = table.column_names.index(name)
            field, column = table.field(position), self.columns[name]
            with holding(field):
                cells = self._cells(column, rows, field.type)
            before = arrow.whole(table.column(position))
            table = table.set_column(position, field, arrow.choose(rows, cells, before))
        return table

    def _cells(self, column: Column, rows: Mask, kind: pa.DataType) -> pa.Array:
        """(N,) what was set, of type ``kind``."""
        if column.kind.continuous:
            return in_cells(column, np.where(rows, self.cells.numbers[column.name], 0.0), kind)
        words = pa.array(only(self.cells.texts[column.name], rows), pa.string())
        return arrow.from_text(words, kind, column.levels)


def missing_cells(
    codec: TableCodec, table: pa.Table, columns: Iterable[Column] | None = None
) -> dict[str, Mask]:
    """(N,) by column that a rule speaks of, or of ``columns``, the cells that are missing."""
    return {
        c.name: c.missing_mask(arrow.flat(table.column(c.name)), codec.na_values)
        for c in (codec.schema.ruled if columns is None else columns)
        if c.name in table.column_names
    }


def follow(codec: TableCodec, table: pa.Table) -> pa.Table:
    """``table`` with the missing cells that follow from those that are there."""
    if not codec.schema.rules:
        return table
    work = _Work.of(codec, table, missing_cells(codec, table))
    for _ in range(PASSES):
        before = work.set_cells
        for rule in work.rules:
            for name, values in rule.follows(work.cells):
                unknown = ~work.cells.present(name)
                if unknown.any():
                    work.set(name, unknown & work.fits(rule, name, values), values)
        if work.set_cells == before:
            break
    return work.written(table)


def keep(
    codec: TableCodec, table: pa.Table, free: Mapping[str, Mask], bounds: bool = True
) -> pa.Table:
    """``table`` without broken rules, as far as ``free`` cells can be set.

    Args:
        codec: knows rules and columns.
        table: rows.
        free: (N,) by column that a rule speaks of, the cells that may be set.
        bounds: move cells that are out of their bounds, too.
    """
    if not codec.schema.rules:
        return table
    work = _Work.of(codec, table, free)
    rules = [rule for rule in work.rules if bounds or not isinstance(rule, Order)]
    for _ in range(PASSES):
        for rule in rules:
            if rule.kept(work.cells).all():
                continue
            for name, values in rule.repairs(work.cells):
                work.set(name, ~rule.kept(work.cells), values)
        if all(rule.kept(work.cells).all() for rule in rules):
            break
    return work.written(table)


def breaking(codec: TableCodec, table: pa.Table) -> Mask:
    """(N,) the rows that break a rule, conditions on gaps aside."""
    work = _Work.of(codec, table, {})
    broken = np.zeros(table.num_rows, np.bool_)
    for rule in work.rules:
        if not isinstance(rule, Presence):
            broken |= ~rule.kept(work.cells)
    return broken


def with_gaps(codec: TableCodec, table: pa.Table, free: Mapping[str, Mask]) -> pa.Table:
    """``table`` without ``free`` (N,) cells that their rows have no room for."""
    work = _Work.of(codec, table, free)
    for rule in work.rules:
        if isinstance(rule, Presence):
            rows = ~rule.kept(work.cells) & free[rule.column]
            position = table.column_names.index(rule.column)
            field, before = table.field(position), arrow.whole(table.column(rule.column))
            gaps = pa.nulls(table.num_rows, field.type)
            table = table.set_column(position, field, arrow.choose(rows, gaps, before))
    return table

"""Rules kept: cells that follow from others, and rows that break no rule.

Equations and dependencies are worked out; what is only bounded is moved into its bounds. No cell
that was there is touched: where rules and cells contradict each other, the cells stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tabvae.columns.codec import TableCodec
from tabvae.columns.relations import cells_of, in_cells, rounded
from tabvae.columns.schema import Column
from tabvae.rules.expression import quoted
from tabvae.rules.rules import AnyRule, Cells, Dependency, Formula, Order, Texts
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints, Mask

PASSES = 3
"""Over all rules: what follows from one may be what another needs."""


@dataclass
class _Work:
    """Cells that rules may set, and those that they have set.

    Attributes:
        columns: that rules speak of, by name.
        cells: of these columns; numbers and texts are changed in place.
        free: (N,) by column, the cells that may be set.
        changed: (N,) by column, those that were.
    """

    columns: Mapping[str, Column]
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
        changed = {name: np.zeros(table.num_rows, np.bool_) for name in columns}
        return cls(columns, cells, free, changed)

    def can_follow(self, rule: AnyRule) -> bool:
        """All of its columns are there."""
        known = self.cells.texts if isinstance(rule, Dependency) else self.cells.numbers
        return all(name in known for name in rule.columns)

    def set_numbers(self, name: str, rows: Mask, values: Floats) -> None:
        """Set free cells to finite ``values`` (N,), rounded as the column is."""
        rows = rows & self.free[name] & np.isfinite(values)
        if not rows.any():
            return
        numbers = rounded(self.columns[name], values[rows])
        self.cells.numbers[name][rows] = numbers
        self.changed[name] |= rows
        if name in self.cells.texts:
            self.cells.texts[name][rows] = [f"{number:.15g}" for number in numbers]

    def set_texts(self, name: str, rows: Mask, texts: Texts) -> None:
        """Set free cells to ``texts`` (N,) where there are any."""
        rows = rows & self.free[name] & np.array([text is not None for text in texts], np.bool_)
        if not rows.any():
            return
        self.cells.texts[name][rows] = texts[rows]
        self.changed[name] |= rows
        if name in self.cells.numbers:
            self.cells.numbers[name][rows] = arrow.to_numbers(pa.array(texts[rows], pa.string()))

    def written(self, table: pa.Table) -> pa.Table:
        """``table`` with the cells that were set."""
        for name, rows in self.changed.items():
            if not rows.any():
                continue
            position = table.column_names.index(name)
            field, column = table.field(position), self.columns[name]
            if column.kind.continuous:
                values = np.where(rows, self.cells.numbers[name], 0.0)
                cells = in_cells(column, values, field.type)
            else:
                texts = [
                    t if set_ else None
                    for t, set_ in zip(self.cells.texts[name], rows, strict=True)
                ]
                cells = arrow.from_text(pa.array(texts, pa.string()), field.type)
            before = arrow.flat(table.column(position))
            table = table.set_column(position, field, arrow.choose(rows, cells, before))
        return table


def missing_cells(codec: TableCodec, table: pa.Table) -> dict[str, Mask]:
    """(N,) by column that a rule speaks of, the cells that are missing."""
    return {
        c.name: c.missing_mask(arrow.flat(table.column(c.name)), codec.na_values)
        for c in codec.schema.ruled
    }


def follow(codec: TableCodec, table: pa.Table) -> pa.Table:
    """``table`` with the missing cells that follow from those that are there."""
    if not codec.schema.rules:
        return table
    work = _Work.of(codec, table, missing_cells(codec, table))
    for _ in range(PASSES):
        before = sum(int(rows.sum()) for rows in work.changed.values())
        for rule in codec.schema.rules:
            if not work.can_follow(rule):
                continue
            if isinstance(rule, Formula):
                _work_out(rule, work)
            elif isinstance(rule, Dependency):
                texts = work.cells.texts[rule.dependent]
                unknown = np.array([text is None for text in texts], np.bool_)
                work.set_texts(rule.dependent, unknown, rule.asked(work.cells))
        if sum(int(rows.sum()) for rows in work.changed.values()) == before:
            break
    return work.written(table)


def _work_out(rule: Formula, work: _Work) -> None:
    """The one missing cell of each row, where no other value of its column would do as well."""
    numbers = work.cells.numbers
    unknown = np.isnan(numbers[rule.target])
    work.set_numbers(rule.target, unknown, rule.asked(work.cells))
    for name in rule.columns[1:]:
        unknown = np.isnan(numbers[name]) & np.isfinite(numbers[rule.target])
        if unknown.any():
            solved = rounded(work.columns[name], rule.solved(work.cells, name))
            trial = Cells({**numbers, name: solved}, {})
            fits = rule.kept(trial) & rule.known(trial)
            work.set_numbers(name, unknown & fits, solved)


def keep(
    codec: TableCodec, table: pa.Table, free: Mapping[str, Mask], ordered: bool = True
) -> pa.Table:
    """``table`` without broken rules, as far as ``free`` cells can be set.

    Args:
        codec: knows rules and columns.
        table: rows.
        free: (N,) by column that a rule speaks of, the cells that may be set.
        ordered: move cells that are out of order, too.
    """
    if not codec.schema.rules:
        return table
    work = _Work.of(codec, table, free)
    rules = [rule for rule in codec.schema.rules if work.can_follow(rule)]
    rules = [rule for rule in rules if ordered or not isinstance(rule, Order)]
    for _ in range(PASSES):
        for rule in rules:
            broken = ~rule.kept(work.cells)
            if not broken.any():
                continue
            if isinstance(rule, Formula):
                _mend_formula(rule, broken, work)
            elif isinstance(rule, Dependency):
                work.set_texts(rule.dependent, broken, rule.asked(work.cells))
                broken = ~rule.kept(work.cells)
                deciding = rule.deciding(work.cells.texts[rule.dependent])
                work.set_texts(rule.determinant, broken, deciding)
            else:
                work.set_numbers(rule.high, broken, work.cells.numbers[rule.low])
                broken = ~rule.kept(work.cells)
                work.set_numbers(rule.low, broken, work.cells.numbers[rule.high])
        if all(rule.kept(work.cells).all() for rule in rules):
            break
    return work.written(table)


def _mend_formula(rule: Formula, broken: Mask, work: _Work) -> None:
    work.set_numbers(rule.target, broken, rule.asked(work.cells))
    for name in rule.columns[1:]:
        broken = ~rule.kept(work.cells)
        if broken.any():
            work.set_numbers(name, broken, rule.solved(work.cells, name))


def out_of_order(codec: TableCodec, table: pa.Table) -> Mask:
    """(N,) the rows that break an order."""
    work = _Work.of(codec, table, {})
    broken = np.zeros(table.num_rows, np.bool_)
    for rule in codec.schema.rules:
        if isinstance(rule, Order) and work.can_follow(rule):
            broken |= ~rule.kept(work.cells)
    return broken


def broken_rules(codec: TableCodec, table: pa.Table) -> pa.Table:
    """Of each row, the first rule that it breaks, and what that asks for.

    Returns:
        ``rule`` and ``rule_asks`` (N,), the cell that would keep it; both null where none is
        broken. Without rules, no columns.
    """
    if not codec.schema.rules:
        return pa.table({})
    work = _Work.of(codec, table, {})
    rules, asked = np.full(table.num_rows, None, object), np.full(table.num_rows, None, object)
    for rule in codec.schema.rules:
        if not work.can_follow(rule):
            continue
        rows = np.flatnonzero(~rule.kept(work.cells) & (rules == None))  # noqa: E711 - cell by cell
        if len(rows):
            rules[rows] = str(rule)
            asked[rows] = _asked(rule, work, rows)
    return pa.table(
        {"rule": pa.array(rules, pa.string()), "rule_asks": pa.array(asked, pa.string())}
    )


def _asked(rule: AnyRule, work: _Work, rows: Ints) -> list[str]:
    """The cell of each of ``rows`` that a rule asks for, as text."""
    if isinstance(rule, Dependency):
        return [f"{quoted(rule.dependent)} = {text}" for text in rule.asked(work.cells)[rows]]
    if isinstance(rule, Formula):
        name, sign, values = rule.target, "=", rule.asked(work.cells)
    else:
        name, sign, values = rule.high, ">=", work.cells.numbers[rule.low]
    texts = in_cells(work.columns[name], values[rows], pa.string()).to_pylist()
    return [f"{quoted(name)} {sign} {text.strip()}" for text in texts]

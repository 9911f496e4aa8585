"""The rules between the columns of a table: what they look at, and which there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import ParameterError, SchemaError, shown, suggestion
from tabvae.rules.arithmetic import Formula
from tabvae.rules.cells import Cells, Texts
from tabvae.rules.config import RuleConfig
from tabvae.rules.decisions import Dependency, Ranges
from tabvae.rules.dependencies import decided
from tabvae.rules.discover import discover
from tabvae.rules.expression import moments_of
from tabvae.rules.ranges import ranges_of
from tabvae.rules.rules import AnyRule, lacking, parse_rule, with_share
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask

SECONDS = 86_400
"""Of a day, in which rules count moments."""


def cells_of(columns: Iterable[Column], table: pa.Table, na_values: tuple[str, ...]) -> Cells:
    """What rules look at, of those of ``columns`` that the table has and the model knows.

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"day": ["2024-01-01", "2024-01-03"], "kind": ["a", "?"]})
    >>> cells = cells_of(infer_schema(table).columns, table, ("?",))
    >>> float(cells.numbers["day"][1] - cells.numbers["day"][0])
    2.0
    """
    numbers, texts = {}, {}
    for column in columns:
        if not column.kind.modelled or column.name not in table.column_names:
            continue
        array = arrow.flat(table.column(column.name))
        missing = column.missing_mask(array, na_values)
        if column.kind.continuous:
            values = np.where(missing, np.nan, column.values(array))
            if column.kind is ColumnKind.DATETIME:
                values = values / SECONDS
            numbers[column.name] = values
        if _is_code(column):
            texts[column.name] = _texts(array, missing)
    return Cells(numbers, texts)


def _is_code(column: Column) -> bool:
    """Its cells may decide others, or be decided: categories, and whole numbers."""
    whole = column.numbers is not None and column.numbers.decimals == 0
    numeric = column.kind is ColumnKind.NUMERIC and whole
    return numeric or not column.kind.continuous


def _texts(array: pa.Array, missing: Mask) -> Texts:
    stripped = pc.utf8_trim_whitespace(arrow.to_text(array))
    plain = pc.if_else(pa.array(missing), pa.scalar(None, stripped.type), stripped)
    return np.array(plain.to_pylist(), dtype=object)


def tolerance(column: Column) -> float:
    """Half a unit of the last digit that the column has, in the unit that rules count in."""
    if column.kind is ColumnKind.DATETIME:
        return 0.5 / SECONDS
    decimals = None if column.numbers is None else column.numbers.decimals
    return 1e-9 * float(column.maximum or 1.0) if decimals is None else 0.5 * 10.0**-decimals


@dataclass(frozen=True)
class RuleSearch:
    """Which rules are wanted.

    Attributes:
        given: rules as people write them.
        find: look for others.
        at_least: share of the rows that keep a rule that is found; ``None`` for that of its kind.

    Raises:
        ParameterError: ``at_least`` is no share above a half.

    **Examples**

    >>> RuleSearch(at_least=0.9).config.least_decided
    0.9
    """

    given: tuple[str, ...] = ()
    find: bool = True
    at_least: float | None = None

    def __post_init__(self) -> None:
        if self.at_least is not None and not 0.5 < self.at_least <= 1:
            raise ParameterError(
                f"a rule is kept by more than half of the rows, however: {self.at_least}",
                "--rules-at-least 0.95",
            )

    @property
    def config(self) -> RuleConfig:
        """When a rule is one."""
        return RuleConfig() if self.at_least is None else RuleConfig.at_least(self.at_least)


def with_rules(
    schema: Schema,
    table: pa.Table,
    na_values: tuple[str, ...],
    search: RuleSearch = RuleSearch(),
    min_count: int = 1,
) -> Schema:
    """``schema`` with the rules that its columns keep.

    Args:
        schema: of the table.
        table: all rows, of which ``most_rows`` at random are looked at.
        na_values: texts that mean a missing cell.
        search: rules that are given, which come first, and whether to look for others.
        min_count: rows behind each value of a dependency.

    Raises:
        ParameterError: a text is no rule.
        SchemaError: it is of a column that is not there, or not of numbers, or not modelled.

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"a": [1, 2, 3], "b": [2, 4, 6]})
    >>> schema = with_rules(infer_schema(table), table, (), RuleSearch(("b = 2 * a",), False))
    >>> [str(rule) for rule in schema.rules]
    ['b = 2 * a']
    """
    if not search.given and not search.find:
        return schema
    config = search.config
    if table.num_rows > config.most_rows:
        rng = np.random.default_rng(0)
        rows = rng.choice(table.num_rows, config.most_rows, replace=False)
        table = table.take(pa.array(np.sort(rows)))
    cells = cells_of(schema.columns, table, na_values)
    rules = given_rules(schema, search.given, cells, min_count)
    if search.find:
        tolerances = {c.name: tolerance(c) for c in schema.columns if c.name in cells.numbers}
        days = frozenset(c.name for c in schema.columns if c.kind is ColumnKind.DATETIME)
        known = {(type(rule), frozenset(rule.columns)) for rule in rules}
        found = discover(cells, tolerances, days, min_count, config)
        rules += tuple(rule for rule in found if (type(rule), frozenset(rule.columns)) not in known)
    return replace(schema, rules=tuple(_with_step(rule, schema) for rule in rules))


def _with_step(rule: AnyRule, schema: Schema) -> AnyRule:
    """Ranges with the distance of numbers of their column."""
    if not isinstance(rule, Ranges):
        return rule
    return replace(rule, step=2 * tolerance(schema[rule.number]))


def given_rules(
    schema: Schema, texts: Sequence[str], cells: Cells, min_count: int
) -> tuple[AnyRule, ...]:
    """Rules as people write them, of columns of a table.

    Raises:
        ParameterError: a text is no rule.
        SchemaError: it is of a column that is not there, or not of numbers, or not modelled.
    """
    return tuple(_fitted(parse_rule(text), schema, cells, min_count) for text in texts)


def _fitted(rule: AnyRule, schema: Schema, cells: Cells, min_count: int) -> AnyRule:
    """A rule as it was written, with what only the table tells."""
    for name in rule.columns:
        if name not in schema.names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, schema.names))
    if isinstance(rule, Dependency) and len(rule.determinants) == 1:
        rule = _of_ranges(rule, schema, cells, min_count)
    for name in lacking(cells, rule):
        raise SchemaError(f"column {shown(name)} is {schema[name].kind}: no rule can be of it")
    if isinstance(rule, Formula):
        for name in moments_of(rule.expression):
            if schema[name].kind is not ColumnKind.DATETIME:
                raise SchemaError(f"column {shown(name)} is no date: it has no part of one")
        rule = replace(rule, tolerance=tolerance(schema[rule.target]))
    elif isinstance(rule, Dependency):
        values, others = decided(cells, rule, min_count)
        rule = replace(rule, values=values, decided=others)
    return with_share(rule, cells)


def _of_ranges(rule: Dependency, schema: Schema, cells: Cells, min_count: int) -> AnyRule:
    """The ranges of a number that decide, where it is one of many values."""
    (number,), dependent = rule.determinants, rule.dependent
    if number not in cells.numbers or dependent not in cells.texts:
        return rule
    if number in cells.texts and schema[number].distinct <= RuleConfig().most_ranges:
        return rule
    found = ranges_of(cells, number, dependent, min_count)
    return rule if found is None else found


@dataclass(frozen=True)
class JudgedRule:
    """How well a table keeps a rule.

    Attributes:
        text: of the rule.
        kept: share of the rows of which it says something that keep it.
        broken: number of the others.
        rows: the first of these, from 1.
    """

    text: str
    kept: float
    broken: int
    rows: tuple[int, ...]


def judged(
    schema: Schema, table: pa.Table, na_values: tuple[str, ...], shown_rows: int = 5
) -> list[JudgedRule]:
    """How well ``table`` keeps the rules of its schema.

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"a": [1, 2, 3], "b": [2, 4, 7]})
    >>> schema = with_rules(infer_schema(table), table, (), RuleSearch(("b = 2 * a",), False))
    >>> judged(schema, table, ())[0].rows
    (3,)
    """
    cells = cells_of(schema.ruled, table, na_values)
    found = []
    for rule in schema.rules:
        known, broken = rule.known(cells), np.flatnonzero(~rule.kept(cells))
        share = 1 - len(broken) / max(int(known.sum()), 1)
        rows = tuple(int(row) + 1 for row in broken[:shown_rows])
        found.append(JudgedRule(str(rule), share, len(broken), rows))
    return found


@dataclass(frozen=True)
class TableRule:
    """A rule of the table that a model was fitted on.

    Attributes:
        rule: between columns.
        schema: of the table.
        na_values: texts that mean a missing cell.

    **Examples**

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"a": [1, 2, 3], "b": [2, 4, 6]})
    >>> schema = with_rules(infer_schema(table), table, (), RuleSearch(("b = 2 * a",), False))
    >>> rule = TableRule(schema.rules[0], schema, ())
    >>> rule, rule.share, rule.holds(pa.table({"a": [1, 1], "b": [2, 3]}))
    (<b = 2 * a>, 1.0, array([ True, False]))
    """

    rule: AnyRule
    schema: Schema
    na_values: tuple[str, ...]

    def __str__(self) -> str:
        return str(self.rule)

    def __repr__(self) -> str:
        return f"<{self.rule}>"

    @property
    def share(self) -> float:
        """Of the rows fitted on of which the rule says something, those that keep it."""
        return self.rule.share

    @property
    def columns(self) -> tuple[str, ...]:
        """Of which the rule is."""
        return self.rule.columns

    def holds(self, frame: Any) -> Mask:
        """(rows,) which rows of a table keep the rule, or have too few cells to break it.

        Args:
            frame: anything that ``pyarrow.table`` takes.

        Raises:
            SchemaError: it lacks a column of the rule.
        """
        table = frame if isinstance(frame, pa.Table) else pa.table(frame)
        for name in self.columns:
            if name not in table.column_names:
                hint = suggestion(name, table.column_names)
                raise SchemaError(f"column {shown(name)} is not in the table", hint)
        cells = cells_of([self.schema[name] for name in self.columns], table, self.na_values)
        return self.rule.kept(cells)


def rounded(column: Column, values: Floats) -> Floats:
    """Numbers, in the unit that rules count in, at the decimals of the column."""
    if column.kind is ColumnKind.DATETIME or column.numbers is None:
        return values
    if column.numbers.decimals is None:
        return values
    # Half a unit is rounded up, as people do; a product of two decimals is a little off.
    return np.round(values + np.sign(values) * 1e-9, column.numbers.decimals)


def in_cells(column: Column, values: Floats, target: pa.DataType) -> pa.Array:
    """Numbers, in the unit that rules count in, as cells of type ``target``, as the column has
    them."""
    assert column.numbers is not None
    if column.kind is ColumnKind.DATETIME:
        seconds = np.round(values * SECONDS, 6)
        return arrow.from_seconds(seconds, target, column.datetime_format)
    return arrow.from_numbers(rounded(column, values), target, column.numbers)

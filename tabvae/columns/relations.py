"""The rules between the columns of a table: what they look at, and which there are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import SchemaError, shown, suggestion
from tabvae.rules.discover import RuleConfig, decided, discover
from tabvae.rules.rules import AnyRule, Cells, Dependency, Formula, Texts, parse_rule
from tabvae.values import arrow
from tabvae.values.arrow import Floats

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


def _texts(array: pa.Array, missing: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Texts:
    stripped = pc.utf8_trim_whitespace(arrow.to_text(array))
    plain = pc.if_else(pa.array(missing), pa.scalar(None, stripped.type), stripped)
    return np.array(plain.to_pylist(), dtype=object)


def tolerance(column: Column) -> float:
    """Half a unit of the last digit that the column has, in the unit that rules count in."""
    if column.kind is ColumnKind.DATETIME:
        return 0.5 / SECONDS
    decimals = None if column.numbers is None else column.numbers.decimals
    return 1e-9 * float(column.maximum or 1.0) if decimals is None else 0.5 * 10.0**-decimals


def with_rules(
    schema: Schema,
    table: pa.Table,
    na_values: tuple[str, ...],
    given: Sequence[str] = (),
    find: bool = True,
    min_count: int = 1,
) -> Schema:
    """``schema`` with the rules that its columns keep.

    Args:
        schema: of the table.
        table: all rows, of which ``most_rows`` at random are looked at.
        na_values: texts that mean a missing cell.
        given: rules as people write them; they come first.
        find: look for others.
        min_count: rows behind each value of a dependency.

    Raises:
        ParameterError: a text is no rule.
        SchemaError: it is of a column that is not there, or not of numbers, or not modelled.

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"a": [1, 2, 3], "b": [2, 4, 6]})
    >>> schema = with_rules(infer_schema(table), table, (), ["b = 2 * a"], find=False)
    >>> [str(rule) for rule in schema.rules]
    ['b = 2 * a']
    """
    if not given and not find:
        return schema
    most = RuleConfig().most_rows
    if table.num_rows > most:
        rows = np.random.default_rng(0).choice(table.num_rows, most, replace=False)
        table = table.take(pa.array(np.sort(rows)))
    cells = cells_of(schema.columns, table, na_values)
    rules = given_rules(schema, given, cells, min_count)
    if find:
        tolerances = {c.name: tolerance(c) for c in schema.columns if c.name in cells.numbers}
        days = frozenset(c.name for c in schema.columns if c.kind is ColumnKind.DATETIME)
        known = {frozenset(rule.columns) for rule in rules}
        found = discover(cells, tolerances, days, min_count)
        rules += tuple(rule for rule in found if frozenset(rule.columns) not in known)
    return replace(schema, rules=rules)


def given_rules(
    schema: Schema, texts: Sequence[str], cells: Cells, min_count: int
) -> tuple[AnyRule, ...]:
    """Rules as people write them, of columns of a table.

    Raises:
        ParameterError: a text is no rule.
        SchemaError: it is of a column that is not there, or not of numbers, or not modelled.
    """
    rules = []
    for text in texts:
        rule = parse_rule(text)
        for name in rule.columns:
            if name not in schema.names:
                raise SchemaError(f"no column {shown(name)}", suggestion(name, schema.names))
            known = cells.texts if isinstance(rule, Dependency) else cells.numbers
            if name not in known:
                kind = schema[name].kind
                raise SchemaError(f"column {shown(name)} is {kind}: no rule can be of it")
        if isinstance(rule, Formula):
            rule = replace(rule, tolerance=tolerance(schema[rule.target]))
        elif isinstance(rule, Dependency):
            rule = replace(rule, pairs=decided(cells, rule.determinant, rule.dependent, min_count))
        rules.append(rule)
    return tuple(rules)


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
    >>> schema = with_rules(infer_schema(table), table, (), ["b = 2 * a"], find=False)
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

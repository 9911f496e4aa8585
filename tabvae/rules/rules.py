"""What columns have to do with each other: an equation, an order, or one that decides another."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tabvae.errors import ParameterError, shown
from tabvae.rules.expression import columns_of, evaluate, quoted
from tabvae.values.arrow import Floats, Mask

Texts = np.ndarray[Any, np.dtype[np.object_]]
"""(N,) cells of a column of categories, ``None`` where one is missing."""


@dataclass(frozen=True)
class Cells:
    """Of a table, what rules look at.

    Attributes:
        numbers: (N,) of each column of numbers or moments, these in days; NaN where missing.
        texts: (N,) of each column of categories or of few numbers; ``None`` where missing.

    **Examples**

    >>> Cells({"a": np.array([1.0, 2.0])}, {}).numbers["a"]
    array([1., 2.])
    """

    numbers: Mapping[str, Floats]
    texts: Mapping[str, Texts]


@dataclass(frozen=True)
class Formula:
    """A column follows from others by arithmetic, up to rounding.

    Attributes:
        target: the column.
        expression: of the others; moments are in days.
        tolerance: largest difference that is rounding.

    Raises:
        ParameterError: the expression is none, or names the target.

    **Examples**

    >>> rule = Formula("total", "price * quantity", tolerance=0.005)
    >>> price, total = np.array([1.5, 2.0]), np.array([3.0, 5.0])
    >>> cells = Cells({"price": price, "quantity": np.array([2.0, 2.0]), "total": total}, {})
    >>> str(rule), rule.kept(cells)
    ('total = price * quantity', array([ True, False]))
    """

    target: str
    expression: str
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if self.target in columns_of(self.expression) or not columns_of(self.expression):
            raise ParameterError(f"no rule of {shown(self.target)} and other columns")
        if not 0 <= self.tolerance < np.inf:
            raise ParameterError(f"a rule up to {self.tolerance}")

    def __str__(self) -> str:
        return f"{quoted(self.target)} = {self.expression}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.target, *columns_of(self.expression))

    def known(self, cells: Cells) -> Mask:
        return np.isfinite(cells.numbers[self.target]) & np.isfinite(self.asked(cells))

    def kept(self, cells: Cells) -> Mask:
        found = cells.numbers[self.target]
        off = np.abs(found - self.asked(cells))
        return ~np.isfinite(off) | (off <= self.tolerance * (1 + 1e-6) + 1e-9 * np.abs(found))

    def asked(self, cells: Cells) -> Floats:
        """(N,) what the target has to be."""
        return evaluate(self.expression, cells.numbers)

    def solved(self, cells: Cells, name: str) -> Floats:
        """(N,) what column ``name`` of the expression has to be, where the expression is linear in
        it or in one over it; NaN elsewhere."""

        def at(x: float) -> Floats:
            values = np.full(len(cells.numbers[name]), x)
            return evaluate(self.expression, {**cells.numbers, name: values})

        def line(low: Floats, middle: Floats, high: Floats) -> Floats:
            """Of three values at 1, 2 and 3, where the target lies."""
            slope = middle - low
            bent = np.abs(high - middle - slope) > 1e-9 * np.maximum(np.abs(high), np.abs(low))
            place = 1 + (cells.numbers[self.target] - low) / slope
            return np.where(bent | ~np.isfinite(place), np.nan, place)

        with np.errstate(all="ignore"):
            plain, inverse = line(at(1), at(2), at(3)), 1 / line(at(1), at(1 / 2), at(1 / 3))
        return np.where(np.isnan(plain), np.where(np.isfinite(inverse), inverse, np.nan), plain)

    def document(self) -> dict[str, Any]:
        return {"kind": "formula", **asdict(self)}


@dataclass(frozen=True)
class Order:
    """One column is at most another.

    **Examples**

    >>> rule = Order("begin", "end")
    >>> cells = Cells({"begin": np.array([1.0, 2.0]), "end": np.array([2.0, 1.0])}, {})
    >>> str(rule), rule.kept(cells)
    ('begin <= end', array([ True, False]))
    """

    low: str
    high: str

    def __str__(self) -> str:
        return f"{quoted(self.low)} <= {quoted(self.high)}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.low, self.high)

    def known(self, cells: Cells) -> Mask:
        return np.isfinite(cells.numbers[self.low]) & np.isfinite(cells.numbers[self.high])

    def kept(self, cells: Cells) -> Mask:
        return ~self.known(cells) | (cells.numbers[self.low] <= cells.numbers[self.high])

    def document(self) -> dict[str, Any]:
        return {"kind": "order", **asdict(self)}


@dataclass(frozen=True)
class Dependency:
    """A value of one column decides that of another.

    Attributes:
        determinant: the column that decides.
        dependent: the other.
        pairs: values of both, those of most rows first.

    **Examples**

    >>> rule = Dependency("city", "country", (("Oslo", "Norway"), ("Bergen", "Norway")))
    >>> texts = {"city": np.array(["Oslo", "Rome"], object),
    ...          "country": np.array(["Italy", "Italy"], object)}
    >>> str(rule), rule.kept(Cells({}, texts))
    ('city -> country', array([False,  True]))
    """

    determinant: str
    dependent: str
    pairs: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{quoted(self.determinant)} -> {quoted(self.dependent)}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.determinant, self.dependent)

    def known(self, cells: Cells) -> Mask:
        asked, found = self.asked(cells), cells.texts[self.dependent]
        there = [a is not None and f is not None for a, f in zip(asked, found, strict=True)]
        return np.array(there, np.bool_)

    def kept(self, cells: Cells) -> Mask:
        pairs = zip(self.asked(cells), cells.texts[self.dependent], strict=True)
        return np.array([a is None or f is None or a == f for a, f in pairs], np.bool_)

    def asked(self, cells: Cells) -> Texts:
        """(N,) what the dependent column has to be; ``None`` where that is not known."""
        decided = dict(self.pairs)
        found = [decided.get(text) for text in cells.texts[self.determinant]]
        return np.array(found, dtype=object)

    def deciding(self, texts: Texts) -> Texts:
        """(N,) of the values that decide ``texts``, the most frequent; ``None`` without one."""
        first = {dependent: value for value, dependent in reversed(self.pairs)}
        return np.array([first.get(text) for text in texts], dtype=object)

    def document(self) -> dict[str, Any]:
        return {"kind": "dependency", **asdict(self)}


AnyRule = Formula | Order | Dependency


def rule_from_document(document: Mapping[str, Any]) -> AnyRule:
    """Made again from what ``document`` gave.

    Raises:
        ValueError, KeyError, TypeError: it is of no rule.
    """
    values = dict(document)
    kind = values.pop("kind")
    if kind == "dependency":
        values["pairs"] = tuple((left, right) for left, right in values["pairs"])
        if not all(type(text) is str for pair in values["pairs"] for text in pair):
            raise ValueError("values that are no texts")
    kinds = {"formula": Formula, "order": Order, "dependency": Dependency}
    rule: AnyRule = kinds[kind](**values)
    named = [value for name, value in values.items() if name not in ("pairs", "tolerance")]
    if not all(type(value) is str for value in named):
        raise ValueError("a rule of no columns")
    return rule


def parse_rule(text: str) -> AnyRule:
    """A rule as people write it: ``a = b * c``, ``begin <= end``, ``city -> country``.

    Raises:
        ParameterError: it is none.

    >>> parse_rule("begin<=end"), parse_rule("city -> `home country`").dependent
    (Order(low='begin', high='end'), 'home country')
    """
    for sign in ("->", "<=", "="):
        left, found, right = text.partition(sign)
        if not found:
            continue
        first, second = columns_of(left), columns_of(right)
        if len(first) == 1 and sign == "=":
            return Formula(first[0], right.strip())
        if len(first) == len(second) == 1:
            pair = first[0], second[0]
            return Dependency(*pair) if sign == "->" else Order(*pair)
        break
    raise ParameterError(
        f"no rule: {shown(text)}", "'total = price * quantity', 'begin <= end' or 'city -> country'"
    )


def plain_number(value: float) -> str:
    """As short as it can be.

    >>> plain_number(1.2), plain_number(-3.0)
    ('1.2', '-3')
    """
    return re.sub(r"\.0$", "", f"{value:.12g}")

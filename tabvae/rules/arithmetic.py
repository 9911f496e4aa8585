"""Rules of numbers and dates: one follows from others, or is at most another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tabvae.errors import ParameterError, shown
from tabvae.rules.cells import Cells
from tabvae.rules.expression import columns_of, evaluate, moments_of, quoted
from tabvae.values.arrow import Floats, Mask


@dataclass(frozen=True)
class Formula:
    """A column follows from others by arithmetic, up to rounding.

    Attributes:
        target: the column.
        expression: of the others; moments are in days.
        tolerance: largest difference that is rounding.
        share: of the rows fitted on that keep it.

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
    share: float = 1.0

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

    @property
    def determined(self) -> str | None:
        return self.target

    @property
    def numeric(self) -> tuple[str, ...]:
        return self.columns

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
        it or in one over it; NaN elsewhere. Of its part no moment follows."""
        if name in moments_of(self.expression):
            return np.full(len(cells.numbers[name]), np.nan)

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

    def repairs(self, cells: Cells) -> Iterator[tuple[str, Floats]]:
        """Of one column after the other, (N,) the cells that keep the rule beside the others."""
        yield self.target, self.asked(cells)
        for name in self.columns[1:]:
            yield name, self.solved(cells, name)

    follows = repairs

    def demand(self, cells: Cells) -> tuple[str, str, Floats]:
        """The column, sign and (N,) cells that the rule asks for."""
        return self.target, "=", self.asked(cells)

    def document(self) -> dict[str, Any]:
        return {"kind": "formula", **asdict(self)}


@dataclass(frozen=True)
class Order:
    """One column, or an expression of some, is at most another.

    Attributes:
        low: a column or a sum of columns, as expressions have them.
        high: the other, likewise one column.
        share: of the rows fitted on that keep it.

    Raises:
        ParameterError: one of them is no expression, or ``high`` more than a column.

    **Examples**

    >>> rule = Order("begin", "end")
    >>> cells = Cells({"begin": np.array([1.0, 2.0]), "end": np.array([2.0, 1.0])}, {})
    >>> str(rule), rule.kept(cells)
    ('begin <= end', array([ True, False]))
    """

    low: str
    high: str
    share: float = 1.0

    def __post_init__(self) -> None:
        low, high = columns_of(self.low), columns_of(self.high)
        if not low or len(high) != 1 or high[0] in low or quoted(high[0]) != self.high:
            raise ParameterError(f"no order of columns: {shown(str(self))}", "begin <= end")

    def __str__(self) -> str:
        return f"{self.low} <= {self.high}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*columns_of(self.low), *columns_of(self.high))

    @property
    def determined(self) -> str | None:
        return None

    @property
    def numeric(self) -> tuple[str, ...]:
        return self.columns

    def known(self, cells: Cells) -> Mask:
        return np.isfinite(self._excess(cells))

    def kept(self, cells: Cells) -> Mask:
        excess = self._excess(cells)
        size = np.abs(cells.numbers[self.columns[-1]])  # A sum of decimals is a little off.
        slack = 1e-12 * size if len(self.columns) > 2 else 0.0
        kept: Mask = np.isnan(excess) | (excess <= slack)
        return kept

    def _excess(self, cells: Cells) -> Floats:
        """(N,) by how much the lower one is above the other; NaN where one is missing."""
        low, high = (evaluate(text, cells.numbers) for text in (self.low, self.high))
        with np.errstate(invalid="ignore"):
            return np.where(np.isfinite(low) & np.isfinite(high), low - high, np.nan)

    def follows(self, cells: Cells) -> Iterator[tuple[str, Floats]]:
        """Nothing: a bound leaves many values."""
        return iter(())

    def repairs(self, cells: Cells) -> Iterator[tuple[str, Floats]]:
        """Of one column after the other, (N,) the cells at the bound."""
        *lower, high = self.columns
        yield high, evaluate(self.low, cells.numbers)
        for name in lower:
            yield name, cells.numbers[name] - np.maximum(self._excess(cells), 0)

    def demand(self, cells: Cells) -> tuple[str, str, Floats]:
        """The column, sign and (N,) cells that the rule asks for."""
        return self.columns[-1], ">=", evaluate(self.low, cells.numbers)

    def document(self) -> dict[str, Any]:
        return {"kind": "order", **asdict(self)}

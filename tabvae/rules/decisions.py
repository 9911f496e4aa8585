"""Rules of categories: values that others decide, and cells that are there only beside some."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tabvae.errors import ParameterError, shown
from tabvae.rules.cells import Cells, Texts, only, there
from tabvae.rules.expression import plain_number, quoted
from tabvae.values.arrow import Floats, Mask


@dataclass(frozen=True)
class Dependency:
    """A value of one column, or values of two, decide that of another.

    Attributes:
        determinants: the columns that decide.
        dependent: the other.
        values: of the determinants, those of most rows first.
        decided: the value of the other beside each.
        share: of the rows fitted on that keep it.

    Raises:
        ParameterError: values and columns do not fit each other.

    **Examples**

    >>> rule = Dependency(("city",), "country", (("Oslo",), ("Bergen",)), ("Norway", "Norway"))
    >>> texts = {"city": np.array(["Oslo", "Rome"], object),
    ...          "country": np.array(["Italy", "Italy"], object)}
    >>> str(rule), rule.kept(Cells({}, texts))
    ('city -> country', array([False,  True]))
    """

    determinants: tuple[str, ...]
    dependent: str
    values: tuple[tuple[str, ...], ...] = ()
    decided: tuple[str, ...] = ()
    share: float = 1.0

    def __post_init__(self) -> None:
        width = len(self.determinants)
        if not width or len(set(self.columns)) <= width or len(self.values) != len(self.decided):
            raise ParameterError(f"no rule of {shown(self.dependent)} and other columns")
        if any(len(value) != width for value in self.values):
            raise ParameterError(f"values of other columns than {shown(str(self))} has")

    def __str__(self) -> str:
        return f"{', '.join(map(quoted, self.determinants))} -> {quoted(self.dependent)}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (*self.determinants, self.dependent)

    @property
    def determined(self) -> str | None:
        return self.dependent

    @property
    def numeric(self) -> tuple[str, ...]:
        return ()

    def known(self, cells: Cells) -> Mask:
        return there(self.asked(cells)) & there(cells.texts[self.dependent])

    def kept(self, cells: Cells) -> Mask:
        asked, found = self.asked(cells), cells.texts[self.dependent]
        same = np.array(asked == found, np.bool_)
        return same | ~there(asked) | ~there(found)

    def asked(self, cells: Cells) -> Texts:
        """(N,) what the dependent column has to be; ``None`` where that is not known."""
        decided = dict(zip(self.values, self.decided, strict=True))
        given = zip(*(cells.texts[name] for name in self.determinants), strict=True)
        return _objects([decided.get(value) for value in given])

    def follows(self, cells: Cells) -> Iterator[tuple[str, Texts]]:
        """The dependent column, and (N,) what it has to be."""
        yield self.dependent, self.asked(cells)

    def repairs(self, cells: Cells) -> Iterator[tuple[str, Texts]]:
        """Of one column after the other, (N,) the cells that keep the rule beside the others."""
        yield from self.follows(cells)
        for place, name in enumerate(self.determinants):
            yield name, self._deciding(cells, place)

    def _deciding(self, cells: Cells, place: int) -> Texts:
        """(N,) of the values of one determinant that decide the dependent column as it is beside
        the others, the most frequent; ``None`` without one."""
        names = [name for k, name in enumerate(self.determinants) if k != place]
        first = {
            (*value[:place], *value[place + 1 :], decided): value[place]
            for value, decided in zip(reversed(self.values), reversed(self.decided), strict=True)
        }
        columns = [cells.texts[name] for name in (*names, self.dependent)]
        return _objects([first.get(key) for key in zip(*columns, strict=True)])

    def demand(self, cells: Cells) -> tuple[str, str, Texts]:
        """The column, sign and (N,) cells that the rule asks for."""
        return self.dependent, "=", self.asked(cells)

    def document(self) -> dict[str, Any]:
        return {"kind": "dependency", **asdict(self)}


@dataclass(frozen=True)
class Ranges:
    """The range in which a number lies decides a category.

    Attributes:
        number: the column of numbers.
        dependent: the other.
        edges: between ranges, ascending; an edge belongs to the range above it.
        labels: of the ranges, one more than edges.
        step: between numbers of the column.
        share: of the rows fitted on that keep it.

    Raises:
        ParameterError: edges and labels do not fit each other.

    **Examples**

    >>> rule = Ranges("age", "group", (18.0,), ("child", "adult"))
    >>> cells = Cells({"age": np.array([4.0, 40.0])}, {"group": np.array(["child"] * 2, object)})
    >>> str(rule), rule.kept(cells)
    ('age -> group (child < 18 <= adult)', array([ True, False]))
    """

    number: str
    dependent: str
    edges: tuple[float, ...]
    labels: tuple[str, ...]
    step: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        ascending = all(low < high for low, high in zip(self.edges, self.edges[1:], strict=False))
        if not ascending or len(self.labels) != len(self.edges) + 1:
            raise ParameterError(f"no ranges of {shown(self.number)}")

    def __str__(self) -> str:
        ends = zip(self.edges, self.labels[1:], strict=True)
        parts = [f" < {plain_number(edge)} <= {label}" for edge, label in ends]
        told = "".join((self.labels[0], *parts))
        return f"{quoted(self.number)} -> {quoted(self.dependent)} ({told})"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.number, self.dependent)

    @property
    def determined(self) -> str | None:
        return self.dependent

    @property
    def numeric(self) -> tuple[str, ...]:
        return (self.number,)

    def known(self, cells: Cells) -> Mask:
        return np.isfinite(cells.numbers[self.number]) & there(cells.texts[self.dependent])

    def kept(self, cells: Cells) -> Mask:
        same = np.array(self.asked(cells) == cells.texts[self.dependent], np.bool_)
        return same | ~self.known(cells)

    def asked(self, cells: Cells) -> Texts:
        """(N,) the label of the range; ``None`` where the number is missing."""
        numbers = cells.numbers[self.number]
        places = np.searchsorted(self.edges, numbers, side="right").clip(max=len(self.edges))
        labels = _objects(self.labels)[places]
        return only(labels, np.isfinite(numbers))

    def follows(self, cells: Cells) -> Iterator[tuple[str, Texts]]:
        """The dependent column, and (N,) what it has to be."""
        yield self.dependent, self.asked(cells)

    def repairs(self, cells: Cells) -> Iterator[tuple[str, Texts | Floats]]:
        """Of one column after the other, (N,) the cells that keep the rule beside the others."""
        yield from self.follows(cells)
        yield self.number, self._nearest(cells)

    def _nearest(self, cells: Cells) -> Floats:
        """(N,) the number within the range of the label that is nearest to the one that is there;
        NaN without a label."""
        low, high = np.array([-np.inf, *self.edges]), np.array([*self.edges, np.inf]) - self.step
        place = {label: k for k, label in enumerate(self.labels)}
        ranges = np.array([place.get(label, -1) for label in cells.texts[self.dependent]])
        numbers = cells.numbers[self.number].clip(low[ranges], high[ranges])
        return np.where(ranges < 0, np.nan, numbers)

    def demand(self, cells: Cells) -> tuple[str, str, Texts]:
        """The column, sign and (N,) cells that the rule asks for."""
        return self.dependent, "=", self.asked(cells)

    def document(self) -> dict[str, Any]:
        return {"kind": "ranges", **asdict(self)}


@dataclass(frozen=True)
class Presence:
    """A column has a cell only where another has one of some values.

    Attributes:
        column: that may be missing.
        condition: the other.
        values: beside which ``column`` may have a cell.
        share: of the rows fitted on that keep it.

    Raises:
        ParameterError: no value, or a column with itself.

    **Examples**

    >>> rule = Presence("reason", "refused", ("yes",))
    >>> texts = {"reason": np.array(["late", "late", None], object),
    ...          "refused": np.array(["yes", "no", "no"], object)}
    >>> str(rule), rule.kept(Cells({}, texts))
    ('reason only if refused = yes', array([ True, False,  True]))
    """

    column: str
    condition: str
    values: tuple[str, ...]
    share: float = 1.0

    def __post_init__(self) -> None:
        if not self.values or self.column == self.condition:
            raise ParameterError(f"no condition on the gaps of {shown(self.column)}")

    def __str__(self) -> str:
        one = len(self.values) == 1
        told = f"= {self.values[0]}" if one else f"in ({', '.join(self.values)})"
        return f"{quoted(self.column)} only if {quoted(self.condition)} {told}"

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column, self.condition)

    @property
    def determined(self) -> str | None:
        return None

    @property
    def numeric(self) -> tuple[str, ...]:
        return ()

    def known(self, cells: Cells) -> Mask:
        texts = cells.texts[self.condition]
        allowed = set(self.values)
        return np.array([text is not None and text not in allowed for text in texts], np.bool_)

    def kept(self, cells: Cells) -> Mask:
        return ~self.known(cells) | ~cells.present(self.column)

    def follows(self, cells: Cells) -> Iterator[tuple[str, Texts]]:
        """The condition, where only one value allows the cell that is there."""
        if len(self.values) == 1:
            rows = cells.present(self.column)
            yield self.condition, only(np.full(len(rows), self.values[0], object), rows)

    def repairs(self, cells: Cells) -> Iterator[tuple[str, Texts]]:
        """Nothing: what is filled takes no cell away."""
        return iter(())

    def demand(self, cells: Cells) -> tuple[str, str, Texts]:
        """The column, sign and (N,) cells that the rule asks for."""
        return self.column, "is", np.full(len(cells.texts[self.condition]), "missing", object)

    def document(self) -> dict[str, Any]:
        return {"kind": "presence", **asdict(self)}


def _objects(values: list[str | None] | tuple[str, ...]) -> Texts:
    array = np.empty(len(values), object)
    array[:] = values
    return array

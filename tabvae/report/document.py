"""The numbers of a report: all that its page says, and its JSON."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

Shares = tuple[float, ...]


@dataclass(frozen=True)
class Head:
    """What the page is about.

    Attributes:
        table: name of the table.
        rows, columns: of the table.
        missing: share of its cells that are missing.
        verdict: three sentences.
        notes: what to look at before anything is believed.
    """

    table: str
    rows: int
    columns: int
    missing: float
    verdict: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Chart:
    """Bars of a column.

    Attributes:
        low, high: what is written at the ends of an axis of numbers; ``None`` for categories, and
            where no cell may be shown.
        labels: of the bars of categories; of none where no cell may be shown.
        shares: of the cells, by bar.
    """

    low: str | None
    high: str | None
    labels: tuple[str, ...] | None
    shares: Shares


@dataclass(frozen=True)
class ColumnNumbers:
    """A column of the table.

    Attributes:
        name: of the column.
        kind: what it is taken for.
        reason: why; ``None`` where no cell may be shown, for reasons may quote one.
        missing: cells; ``None`` if the table lacks the column.
        distinct: observed cells, as far as they can be compared.
        chart: of the observed cells of a column of the model.
        known: share of the uncertainty about a cell that the rest of its row takes away.
        rules: that speak of the column.
        follows: one of them works it out where the other columns are there.
        warnings: what may be wrong with it.
    """

    name: str
    kind: str
    reason: str | None
    missing: int | None
    distinct: int | None
    chart: Chart | None
    known: float | None
    rules: int
    follows: bool
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Known:
    """How it was measured what is known of columns.

    Attributes:
        rows: how many were looked at.
        unseen: the networks did not train on them.
    """

    rows: int
    unseen: bool


@dataclass(frozen=True)
class RuleNumbers:
    """A rule: the share of rows that keep it, how many do not, and the first of these, from 1; and
    the share of synthetic rows that keep it."""

    text: str
    kept: float
    broken: int
    rows: tuple[int, ...]
    synthetic: float | None = None


@dataclass(frozen=True)
class Pattern:
    """Columns that are missing together, the first few by name, and in how many rows."""

    names: tuple[str, ...]
    columns: int
    rows: int


@dataclass(frozen=True)
class Fill:
    """What gaps are filled with, beside what is observed.

    Attributes:
        name: of the column.
        missing: cells.
        observed: chart of the cells that are there.
        filled: shares of the point estimates, in the same bars.
        drawn: shares of posterior draws, in the same bars.
        cells: by which the error was measured.
        error: to expect of a filled cell: root mean squared error in deviations of the column, or
            the share of categories that are wrong; ``None`` where too few cells tell.
        guess: the same of the mean, or the most frequent category.
        relative: it is an error in deviations.
        follows: a rule works the column out where the other columns are there.
    """

    name: str
    missing: int
    observed: Chart
    filled: Shares
    drawn: Shares
    cells: int
    error: float | None
    guess: float | None
    relative: bool
    follows: bool


@dataclass(frozen=True)
class Gaps:
    """What is missing.

    Attributes:
        rows: with a gap in a column of the model.
        patterns: the most frequent ones.
        more_patterns: that are not listed.
        fills: of the columns with most gaps.
        more_fills: columns with gaps that are not shown.
        rows_filled: with gaps that were filled for the charts.
    """

    rows: int
    patterns: tuple[Pattern, ...]
    more_patterns: int
    fills: tuple[Fill, ...]
    more_fills: int
    rows_filled: int


@dataclass(frozen=True)
class OddCell:
    """A cell that does not fit; without its values where no cell may be shown."""

    column: str
    observed: str | None
    expected: str | None


@dataclass(frozen=True)
class OddRow:
    """A row that does not fit: its number from 1, and the rule it breaks, if any."""

    row: int
    p_value: float
    outlier: bool
    cells: tuple[OddCell, ...]
    rule: str | None
    rule_asks: str | None


@dataclass(frozen=True)
class Odd:
    """Rows that do not fit.

    Attributes:
        fpr: share of ordinary rows that may be called outliers.
        outliers: rows with a p-value at most that.
        least: smallest p-value that can be.
        curve: rank of rows as a share, and p-value, oddest first.
        rows: the oddest ones.
        culprits: columns by how many of the outliers they explain first.
    """

    fpr: float
    outliers: int
    least: float
    curve: tuple[tuple[float, float], ...]
    rows: tuple[OddRow, ...]
    culprits: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Group:
    """Points of the map, as whole numbers from 0 to 1000, with the number of their colour."""

    label: str
    color: int
    points: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Map:
    """Rows as points.

    Attributes:
        rows: that are shown.
        variance: share of the variance of all coordinates that the two axes have.
        color: name of the column that gives the colour; ``None`` for p-values.
        ordered: colours go from low to high.
        groups: of points.
    """

    rows: int
    variance: float
    color: str | None
    ordered: bool
    groups: tuple[Group, ...]


@dataclass(frozen=True)
class Score:
    """A measure of the synthetic table, beside what real rows get that were set apart."""

    name: str
    value: float | None
    floor: float | None
    ideal: str


@dataclass(frozen=True)
class Synthetic:
    """A synthetic table beside the real one.

    Attributes:
        table: name of the file.
        rows: of it.
        compared: rows of each kind that were.
        words: what its scores mean.
        scores: of it, and of real rows.
        shapes: name, error and floor of columns, the worst first.
        more_shapes: columns that are not listed.
        pairs: names of the columns of the heat map.
        trends: error of each pair; ``None`` where it is not known.
        floors: the same of real rows that were set apart.
        floor: mean of these.
    """

    table: str
    rows: int
    compared: int
    words: tuple[str, ...]
    scores: tuple[Score, ...]
    shapes: tuple[tuple[str, float, float], ...]
    more_shapes: int
    pairs: tuple[str, ...]
    trends: tuple[tuple[float | None, ...], ...]
    floors: tuple[tuple[float | None, ...], ...]
    floor: float | None


@dataclass(frozen=True)
class Privacy:
    """What the model file gives away.

    Attributes:
        words: of the attacks on it; ``None`` if there were no rows to try them on.
        excessive: it is too much.
        membership: AUC of telling rows that it learned from; 0.5 is a guess.
        spread: standard error of that.
        most: AUC that a model should have at most.
        stated: share of cells that can be read from it.
        min_count: fewest cells behind any number or category that it keeps.
        rare: categories in it with few cells.
        rare_below: so few.
        constants: columns whose only value it keeps.
        patterns: columns of identifiers of which it keeps the form.
        values: that rules keep, those that decide each other counted once.
    """

    words: str | None
    excessive: bool
    membership: float | None
    spread: float | None
    most: float
    stated: float | None
    min_count: int
    rare: int
    rare_below: int
    constants: int
    patterns: int
    values: int


@dataclass(frozen=True)
class Foot:
    """How the page was made."""

    commands: tuple[str, ...]
    parameters: dict[str, Any]
    versions: dict[str, str]
    seed: int
    cells: bool
    limits: dict[str, float]


@dataclass(frozen=True)
class Document:
    """All numbers of a report."""

    head: Head
    known: Known
    columns: tuple[ColumnNumbers, ...]
    rules: tuple[RuleNumbers, ...]
    more_rules: int
    gaps: Gaps | None
    odd: Odd
    map: Map
    synthetic: Synthetic | None
    privacy: Privacy
    foot: Foot

    def as_json(self) -> dict[str, Any]:
        """Values that JSON has: numbers of at most six digits, ``None`` where there is none."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain


def _plain(value: Any) -> Any:
    """
    >>> _plain({"a": (1.23456789, float("nan"))})
    {'a': [1.23457, None]}
    """
    match value:
        case dict():
            return {str(name): _plain(one) for name, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case float():
            return float(f"{value:.6g}") if math.isfinite(value) else None
        case _:
            return value

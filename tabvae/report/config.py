"""How much of a table a report looks at, and how much of that it shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ReportConfig:
    """Bounds, so that a page stays small and its making ends; a page says what it left out.

    Attributes:
        rows_known: rows on which it is measured how well columns are known from each other.
        rows_filled: rows with gaps that are filled, to be shown beside what is observed.
        rows_compared: rows of each kind by which a synthetic table is judged.
        most_points: of the map.
        most_oddest: rows that are listed as odd.
        most_curve: points of the curve of p-values.
        most_columns: that are listed on the page.
        most_patterns: of gaps.
        most_fills: columns whose filled cells are shown beside the observed ones.
        most_culprits: columns that are counted among the odd cells.
        most_shapes: columns of a synthetic table that are listed, the worst first.
        most_pairs: columns of its heat map of pairs: as many as can be told apart.
        most_rules: that are listed.
        most_bars: of the chart of a column of numbers.
        most_categories: of the chart of a column of categories.
        most_names: of columns in one list.
        most_notes: of the head.
        longest_cell: characters of a cell that are shown.
        inner: share of the numbers that a chart spreads out; its ends hold what lies beyond.
        fewest_cells: behind an error that is told.
        little: share that is known of a column, below which a filled cell is about a guess.
        fewest_rows: of a table from which much can be learned.
        rare: cells behind a category, below which it may be somebody's.

    Examples:
        >>> ReportConfig().most_points
        2000
    """

    rows_known: int = 1000
    rows_filled: int = 2000
    rows_compared: int = 5000
    most_points: int = 2000
    most_oddest: int = 50
    most_curve: int = 160
    most_columns: int = 100
    most_patterns: int = 12
    most_fills: int = 12
    most_culprits: int = 12
    most_shapes: int = 20
    most_pairs: int = 30
    most_rules: int = 30
    most_bars: int = 20
    most_categories: int = 7
    most_names: int = 6
    most_notes: int = 8
    longest_cell: int = 60
    inner: float = 0.99
    fewest_cells: int = 20
    little: float = 0.1
    fewest_rows: int = 100
    rare: int = 10

"""When a rule is one, and how far it is looked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RuleConfig:
    """When a rule is one.

    Attributes:
        least_kept: share of the rows that keep an equation.
        least_ordered: share of the rows that keep an order.
        least_decided: share of the rows that keep a dependency: values of one column often go with
            one of another.
        nearest: share of the rows that are nearest to breaking an order, at least
            ``fewest_nearest``. Of columns that merely go with each other, half of these do.
        fewest_nearest: see ``nearest``.
        least_breaks: rows that would break the rule if one of its columns were shuffled.
        most_chance: share of the rows that keep it with any one column shuffled, at most: a rate
            may be zero in most rows.
        most_rows: that are worth looking at.
        rows_to_try: that sort out most equations.
        most_pairs, most_triples: columns of numbers up to which two or three of them are joined.
        most_values: distinct values of a column that decides or is decided.
        least_covered: share of the rows whose values come often enough, for two columns to decide.
        most_left: of the rows that break a dependency of two columns if one of them is shuffled,
            those that break it as they are.
        rows_to_sort: that sort out most dependencies of two columns.
        most_ranges: labels of ranges, or values of a condition on gaps.
        least_numbers: distinct numbers a range; fewer decide their labels one by one.
        least_present: share of cells beside a value under which a column may have one.
        fewest_cells: with a value, for it to be kept beside the one that it decides: fewer are a
            fact about a few rows.
    """

    least_kept: float = 0.95
    least_ordered: float = 0.98
    least_decided: float = 0.98
    nearest: float = 0.05
    fewest_nearest: int = 30
    least_breaks: float = 20.0
    most_chance: float = 0.9
    most_rows: int = 20_000
    rows_to_try: int = 16
    most_pairs: int = 40
    most_triples: int = 25
    most_values: int = 1000
    least_covered: float = 0.5
    most_left: float = 0.1
    rows_to_sort: int = 2000
    most_ranges: int = 30
    least_numbers: float = 2.0
    least_present: float = 0.3
    fewest_cells: int = 5

    @classmethod
    def at_least(cls, share: float) -> RuleConfig:
        """A rule of any kind is kept by this share of the rows.

        >>> RuleConfig.at_least(0.9).least_decided
        0.9
        """
        return cls(least_kept=share, least_ordered=share, least_decided=share)

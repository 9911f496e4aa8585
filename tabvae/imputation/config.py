"""The settings of trees, and how large the trees of a table may be by them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np


@dataclass(frozen=True)
class TreeConfig:
    """Settings of the trees; ``docs/decisions/0008-trees.md`` and 0009 have the measurements.

    Attributes:
        rounds: of quick trees before the trees that are kept: each learns from the guesses of the
            one before.
        many_gaps: share of missing cells that is worth all rounds; with fewer gaps there is less to
            mend, and proportionally fewer rounds.
        quick_share: quick trees for each tree that is kept: their guesses are replaced soon.
        fewest_quick: quick trees at least, or their votes are coarse.
        sweeps: how often the kept trees look at new rows: each look mends what the next sees.
        most_rows: that the trees learn from, so that time does not grow with the table.
        enough_nodes: of all trees together, up to which there are more trees; a node has ten bytes
            in the model file.
        most_nodes: of all trees together, beyond which leaves become larger.
        fewest_trees: of each kind, or votes are coarse.
        most_trees: of each kind, so that file and time stay small.
        boosted_trees: of one column at most, each of which goes on from the one before.
        fewest_boosted: of one column, however many columns there are.
        most_boosted: of all columns together, since each takes as long as the others.
        boosting_rate: share of what a boosted tree says that is believed (shrinkage).
        boosted_leaves: of a boosted tree.
        bounded_leaves: the same where leverage has a bound: smaller trees tell less of a row.
        boosted_rows: fewest in a leaf of a boosted tree.
        boosting_from: rows of a column that boosting is of use for: of fewer it learns noise.
        rows_per_boosted: rows for each boosted tree, for the same reason.
        boosted_leverage: of the leverage of other trees, the share that boosted ones may have: they
            learn from all rows at once.
        logistic_below: rows of a category that a logistic regression is tried for: of more rows,
            trees know what it knows.
        logistic_share: of a logistic regression in the votes, at most.
        logistic_iterations: steps of its optimiser, at most.
        folds: of rows on which a logistic regression is judged.
        most_features: terms of a regression, and columns that the trees of one column look at.

    **Examples**

    >>> TreeConfig().growth(observed=6_000, columns=10, min_count=1, leverage=1.0).trees
    64
    >>> TreeConfig(most_trees=4, fewest_trees=4).growth(6_000, 10, 1, leverage=0.1).trees
    4
    """

    rounds: int = 3
    many_gaps: float = 0.1
    quick_share: float = 0.3
    fewest_quick: int = 10
    sweeps: int = 4
    most_rows: int = 30_000
    enough_nodes: int = 3_000_000
    most_nodes: int = 6_000_000
    fewest_trees: int = 20
    most_trees: int = 64
    boosted_trees: int = 200
    fewest_boosted: int = 10
    most_boosted: int = 40_000
    boosting_rate: float = 0.1
    boosted_leaves: int = 15
    bounded_leaves: int = 6
    boosted_rows: int = 20
    boosting_from: int = 200
    rows_per_boosted: int = 5
    boosted_leverage: float = 0.6
    logistic_below: int = 4000
    logistic_share: float = 0.5
    logistic_iterations: int = 200
    folds: int = 5
    most_features: int = 100

    def growth(self, observed: int, columns: int, min_count: int, leverage: float) -> Growth:
        """As many trees, then as deep ones, as fit the budget of nodes.

        What the columns of a row tell of it adds up, as independent residuals do, with the root of
        their number; so each may tell that much less.

        Args:
            observed: cells of the table.
            columns: of the table.
            min_count: fewest rows in a leaf.
            leverage: of a row in all its columns together; 1 is no bound.
        """
        each = min(leverage / math.sqrt(columns), 1.0) if leverage < 1 else 1.0
        smallest = max(min_count, math.ceil(1 / each))
        trees = self.enough_nodes * smallest // (2 * observed)
        trees = int(np.clip(trees, self.fewest_trees, self.most_trees))
        boosted = self.most_boosted // columns
        boosted = int(np.clip(boosted, self.fewest_boosted, self.boosted_trees))
        leaf = max(smallest, math.ceil(2 * observed * trees / self.most_nodes))
        return Growth(trees, leaf, boosted=boosted, leverage=each, config=self)

    def rounds_for(self, gaps: float) -> int:
        """Rounds of quick trees for a table with that share of its cells missing."""
        return math.ceil(self.rounds * min(gaps / self.many_gaps, 1.0))


@dataclass(frozen=True)
class Growth:
    """How large the trees of a table may be.

    Attributes:
        trees: of each kind of forest.
        leaf: fewest rows in a leaf.
        mixed: whether other kinds of predictors join the extremely randomised trees.
        boosted: trees of gradient boosting at most, of a column of numbers.
        leverage: share of a cell in its own prediction, at most; 1 is no bound.
        config: all other settings.

    **Examples**

    >>> Growth(trees=64, leaf=1).boosted_for(rows=400), Growth(64, 1).boosted_for(rows=9000)
    (80, 200)
    >>> Growth(trees=64, leaf=10, leverage=0.1).boosted_for(rows=405)
    40
    """

    trees: int
    leaf: int
    mixed: bool = True
    boosted: int = TreeConfig.boosted_trees
    leverage: float = 1.0
    config: TreeConfig = field(default_factory=TreeConfig)

    @property
    def bounded(self) -> bool:
        """Leverage has a bound."""
        return self.leverage < 1

    @property
    def quick(self) -> Self:
        """Of the rounds before: fewer trees of one kind, as deep as they get."""
        trees = max(round(self.config.quick_share * self.trees), self.config.fewest_quick)
        return replace(self, trees=trees, leaf=1, mixed=False, leverage=1.0)

    @property
    def boosted_leaves(self) -> int:
        """Of each tree of gradient boosting."""
        return self.config.bounded_leaves if self.bounded else self.config.boosted_leaves

    def boosted_for(self, rows: int) -> int:
        """Trees of gradient boosting for a column of so many rows: each adds its rate times its
        leaves to the sum of the leverages."""
        most = min(self.boosted, rows // self.config.rows_per_boosted)
        if not self.bounded:
            return most
        share = self.config.boosted_leverage * self.leverage
        bound = share * rows / (self.config.boosting_rate * self.config.bounded_leaves)
        return max(min(most, int(bound)), 1)

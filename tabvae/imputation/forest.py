"""Trees of one column as plain arrays: grown by scikit-learn, stored and evaluated as numbers.

A number is predicted by a linear regression and what trees say of its residuals: gradient boosting
(Friedman 2001), where there are enough rows, and extremely randomised trees (Geurts et al. 2006); a
category by the votes of extremely randomised trees and of a random forest (Breiman 2001), which
splits best where a category is a region.

How much a row tells its own prediction is its leverage, the diagonal of the hat matrix (Hoaglin &
Welsch 1978), in a leaf one over its rows. It is what an attacker tells rows of the table from: a
residual of the table is smaller than another by that share. So it has an upper bound. Trees within
such a bound know little each and go on from each other; without one, each knows all, and their mean
is better.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.special import softmax
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)

from tabvae.columns.arrow import FARTHEST, Floats, Ints, Mask
from tabvae.imputation.linear import Features, Linear

LEAF = -1
MOST_TREES, DEEPEST = 1000, 1000
BOOSTED_TREES, BOOSTED_ROWS, BOOSTING_RATE = 200, 20, 0.1
BOOSTED_LEAVES, BOUNDED_LEAVES = 15, 6
"""Of a boosted tree, and of one whose leverage is bounded."""
FEWEST_ROWS, ROWS_PER_BOOSTED_TREE = 200, 5
"""Of a column that boosting is of use for, and for each of its trees: it learns noise by heart."""
BOOSTED_SHARE = 0.6
"""Of the leverage of other trees, what boosted ones may have: they learn from all rows at once."""
MOST_LOGISTIC_ROWS, FOLDS = 4000, 5
"""Of a category that a regression is tried for: of more rows, trees know what it knows."""
LINEAR_SHARE = 0.5
"""Of a regression in what is said of a category, at most."""
TYPES = tuple(
    np.dtype(t) for t in (np.int16, np.float32, np.int32, np.int32, np.float64, np.float64)
)
"""Of the arrays of the trees, in their order."""


@dataclass(frozen=True)
class Growth:
    """How large the trees may be.

    Attributes:
        trees: of each kind of forest.
        leaf: fewest rows in a leaf.
        mixed: whether other kinds of predictors join the extremely randomised trees.
        boosted: trees of gradient boosting at most, of a column of numbers.
        leverage: share of a cell in its own prediction, at most; 1 is no bound.
    """

    trees: int
    leaf: int
    mixed: bool = True
    boosted: int = BOOSTED_TREES
    leverage: float = 1.0

    @property
    def bounded(self) -> bool:
        """Leverage has a bound."""
        return self.leverage < 1

    @property
    def boosted_leaves(self) -> int:
        """Of each tree of gradient boosting."""
        return BOUNDED_LEAVES if self.bounded else BOOSTED_LEAVES

    def boosted_of(self, rows: int) -> int:
        """Trees of gradient boosting for a column of so many rows: each adds its rate times its
        leaves to the sum of the leverages."""
        most = min(self.boosted, rows // ROWS_PER_BOOSTED_TREE)
        if not self.bounded:
            return most
        bound = BOOSTED_SHARE * self.leverage * rows / (BOOSTING_RATE * BOUNDED_LEAVES)
        return max(min(most, int(bound)), 1)


@dataclass(frozen=True)
class Forest:
    """The trees of one column, node after node; a left child follows its parent.

    Attributes:
        feature: (nodes,) column that is compared, ``LEAF`` in a leaf.
        value: (nodes,) rows with at most this go left; in a leaf, what it adds to a number's
            prediction, or the bin of a category it votes for.
        right: (nodes,) index of the right child.
        roots: (trees,) index of the first node of each tree.
        start: (1,) what the leaves' sum is added to.
        share: (1,) of ``line`` in what is said. The leaves of a number hold the rest already: all
            that the line leaves, where it is 1.
        line: a regression.
    """

    feature: npt.NDArray[np.int16]
    value: Features
    right: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int32]
    start: Floats
    share: Floats
    line: Linear

    @classmethod
    def of_numbers(cls, x: Features, y: Floats, bins: Ints, growth: Growth, seed: int) -> Self:
        """Trees whose summed leaves predict ``y``, or what a regression leaves of it if ``growth``
        is mixed.

        Args:
            x: (N, features) the other columns.
            y: (N,) numbers.
            bins: (features,) of a category; 0 of a number.
            growth: of the trees.
            seed: of the splits.
        """
        if not growth.mixed:
            return cls._of(_randomised_trees(x, y, growth, seed, 1.0))
        line = Linear.of_number(x, y, bins)
        left = y - line.predict(x)[:, 0]
        if len(y) < FEWEST_ROWS:
            return cls._of(_randomised_trees(x, left, growth, seed, 1.0), line=line, share=1.0)
        boosting = HistGradientBoostingRegressor(
            max_iter=growth.boosted_of(len(y)),
            learning_rate=BOOSTING_RATE,
            max_leaf_nodes=growth.boosted_leaves,
            min_samples_leaf=max(growth.leaf, BOOSTED_ROWS),
            early_stopping=False,
            random_state=seed,
        ).fit(x, left)
        share = 1.0 if growth.bounded else 0.5
        rest = left - boosting.predict(x) if growth.bounded else left
        trees = _randomised_trees(x, rest, growth, seed, share)
        trees += [_boosted(stage[0].nodes, share) for stage in boosting._predictors]
        start = share * float(boosting._baseline_prediction.item())
        return cls._of(trees, start, line, share=1.0)

    @classmethod
    def of_categories(
        cls, x: Features, y: Ints, bins: Ints, own: int, growth: Growth, seed: int
    ) -> Self:
        """Trees whose leaves vote for ``y``; a random forest's as well if ``growth`` is mixed.

        Where rows are few, a logistic regression has the share of the votes that would have been
        best for rows that neither it nor, in the random forest, a tree learned from: half at most.

        Args:
            x: (N, features) the other columns.
            y: (N,) bins of a category.
            bins: (features,) of a category; 0 of a number.
            own: bins of ``y``'s column.
            growth: of the trees.
            seed: of the splits.
        """
        models = [ExtraTreesClassifier(max_features=1.0)]
        second = np.sort(np.bincount(y, minlength=2))[-2]
        judged = growth.mixed and len(y) < MOST_LOGISTIC_ROWS and bool(second >= FOLDS)
        if growth.mixed:
            models.append(RandomForestClassifier(max_features=0.5, oob_score=judged))
        trees = []
        for model in models:
            model.set_params(
                n_estimators=growth.trees,
                max_depth=DEEPEST,
                min_samples_leaf=growth.leaf,
                random_state=seed,
            ).fit(x, y)
            levels = np.random.default_rng(seed).permutation(growth.trees) + 0.5
            for estimator, level in zip(model.estimators_, levels / growth.trees, strict=True):
                votes = model.classes_[_at_level(estimator.tree_.value[:, 0], level)]
                trees.append(_randomised(estimator.tree_, votes))
        if not judged:
            return cls._of(trees)
        line, said = Linear.of_category(x, y, bins, own, FOLDS, seed, growth.leverage)
        share = _best_share(y[:, None] == model.classes_, model.oob_decision_function_, said)
        return cls._of(trees, line=line if share else Linear.nothing(), share=share)

    @classmethod
    def _of(
        cls,
        trees: Iterable[_Nodes],
        start: float = 0.0,
        line: Linear | None = None,
        share: float = 0.0,
    ) -> Self:
        parts = list(trees)
        roots = np.cumsum([0, *(len(p.feature) for p in parts)])[:-1]
        return cls(
            feature=np.concatenate([p.feature for p in parts]).astype(np.int16),
            value=np.concatenate([p.value for p in parts]).astype(np.float32),
            right=np.concatenate(
                [p.right + root for p, root in zip(parts, roots, strict=True)]
            ).astype(np.int32),
            roots=roots.astype(np.int32),
            start=np.array([start]),
            share=np.array([share]),
            line=line or Linear.nothing(),
        )

    @property
    def trees(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the trees alone, by name."""
        return {name: array for name, array in vars(self).items() if name != "line"}

    def among(self, columns: npt.NDArray[np.intp]) -> Self:
        """The same trees, grown on some ``columns``, for rows that have all of them."""
        inner = self.feature != LEAF
        feature = np.where(inner, columns[self.feature * inner], LEAF).astype(np.int16)
        return replace(self, feature=feature, line=self.line.among(columns))

    def check(self, features: int, bins: int | None) -> None:
        """Make sure that every row reaches a leaf, and that the leaf makes sense.

        Args:
            features: columns that are compared.
            bins: of a category; ``None`` for a number.

        Raises:
            ValueError: an array is of another type or size, or a tree does not end.
        """
        types = tuple(array.dtype for array in self.trees.values())
        shapes = {self.feature.shape, self.value.shape, self.right.shape}
        if types != TYPES or shapes != {(self.feature.size,)}:
            raise ValueError("the arrays of a tree do not fit together")
        if self.roots.ndim != 1 or not 1 <= len(self.roots) <= MOST_TREES:
            raise ValueError("too many trees, or none")
        if not self.start.shape == self.share.shape == (1,) or not 0 <= self.share[0] <= 1:
            raise ValueError("a tree is added to nothing")
        self.line.check(features, bins if bins is not None and self.share[0] else 1)
        if ((self.feature < LEAF) | (self.feature >= features)).any():
            raise ValueError("a tree compares a column that is not there")
        self._check_paths()
        leaves = self.value[self.feature == LEAF]
        if bins is not None and ((leaves < 0) | (leaves >= bins)).any():
            raise ValueError("a tree votes for a category that is not there")
        if bins is None and not (np.abs([*leaves, *self.start]) <= FARTHEST).all():
            raise ValueError("a tree says a number that is too large")

    def _check_paths(self) -> None:
        """Every node is a root or a child of one other, and no path is too long."""
        inner = np.flatnonzero(self.feature != LEAF)
        known = np.concatenate([self.roots, inner + 1, self.right[inner]])
        if not np.array_equal(np.sort(known), np.arange(len(self.feature))):
            raise ValueError("a tree has no root, or shares its nodes")
        level = self.roots
        for _ in range(DEEPEST + 1):
            level = level[self.feature[level] != LEAF]
            if not len(level):
                return
            level = np.concatenate([level + 1, self.right[level]])
        raise ValueError("a tree is too deep")

    def predict(self, x: Features) -> Floats:
        """(N,) a number."""
        leaves = self.leaves(x).sum(1, dtype=np.float64)
        line = self.share[0] * self.line.predict(x)[:, 0]
        return cast(Floats, self.start[0] + line + leaves)

    def votes(self, x: Features, bins: int) -> Floats:
        """(N, bins) the share of the trees, and of the regression, that is for each bin of a
        category."""
        leaves = self.leaves(x).astype(np.int64)
        counts = np.zeros((len(leaves), bins))
        np.add.at(counts, (np.arange(len(leaves))[:, None], leaves), 1 / leaves.shape[1])
        line = softmax(self.line.predict(x), axis=1)
        return cast(Floats, (1 - self.share[0]) * counts + self.share[0] * line)

    def leaves(self, x: Features) -> Features:
        """(N, trees) the value of the leaf each row reaches in each tree."""
        return self.value[self.reached(x)]

    def reached(self, x: Features) -> Ints:
        """(N, trees) the leaf itself, as the number of its node."""
        flat = np.broadcast_to(self.roots, (len(x), len(self.roots))).astype(np.int64).reshape(-1)
        rows = np.repeat(np.arange(len(x)), len(self.roots))
        active = np.flatnonzero(self.feature[flat] != LEAF)
        while len(active):
            here = flat[active]
            left = x[rows[active], self.feature[here]] <= self.value[here]
            flat[active] = np.where(left, here + 1, self.right[here])
            active = active[self.feature[flat[active]] != LEAF]
        return flat.reshape(len(x), len(self.roots))


@dataclass(frozen=True)
class _Nodes:
    """One tree, in the order of ``Forest`` but with its own root at 0."""

    feature: npt.NDArray[Any]
    value: npt.NDArray[Any]
    right: npt.NDArray[Any]


def _randomised_trees(
    x: Features, y: Floats, growth: Growth, seed: int, share: float
) -> list[_Nodes]:
    """Extremely randomised trees, whose leaves sum to ``share`` of what they say of ``y``."""
    model = ExtraTreesRegressor(
        growth.trees,
        max_depth=DEEPEST,
        max_features=0.5,
        min_samples_leaf=growth.leaf,
        random_state=seed,
    ).fit(x, y)
    weight = share / growth.trees
    return [_randomised(e.tree_, e.tree_.value[:, 0, 0] * weight) for e in model.estimators_]


def _randomised(tree: Any, leaves: npt.NDArray[Any]) -> _Nodes:
    """One of scikit-learn's trees, whose left children follow their parents already."""
    inner = tree.children_left >= 0
    return _Nodes(
        np.where(inner, tree.feature, LEAF),
        np.where(inner, _below(tree.threshold), leaves),
        np.where(inner, tree.children_right, 0),
    )


def _boosted(nodes: npt.NDArray[Any], weight: float) -> _Nodes:
    """One of scikit-learn's boosted trees, put in depth-first order."""
    order, pending = [], [0]
    while pending:
        node = pending.pop()
        order.append(node)
        if not nodes["is_leaf"][node]:
            pending += [int(nodes["right"][node]), int(nodes["left"][node])]
    place = np.empty(len(nodes), dtype=np.int64)
    place[order] = np.arange(len(order))
    nodes = nodes[order]
    inner = nodes["is_leaf"] == 0
    return _Nodes(
        np.where(inner, nodes["feature_idx"], LEAF),
        np.where(inner, _below(nodes["num_threshold"]), weight * nodes["value"]),
        np.where(inner, place[nodes["right"]], 0),
    )


def _at_level(shares: Floats, level: float) -> Ints:
    """(nodes,) the class at a ``level`` in 0..1 of the cumulated ``shares`` (nodes, classes): over
    trees with levels spread evenly, a leaf's classes are voted for as often as they are in it.

    If all trees voted for the commonest class, a row would decide the vote of a leaf of m rows with
    a probability of about one over the root of m, where classes are even.
    """
    cumulated = np.cumsum(shares, axis=1)
    return cast(Ints, (cumulated < level * cumulated[:, -1:]).sum(1))


def _best_share(truth: Mask, trees: Floats, line: Floats) -> float:
    """Share of ``line`` beside ``trees``, half at most, with the least score of Brier (1950).

    Args:
        truth: (N, classes) which is true.
        trees: (N, classes) probabilities.
        line: likewise.
    """
    apart = line - trees
    square = (apart**2).sum()
    best = ((truth - trees) * apart).sum() / square if square else 0.0
    return float(np.clip(best, 0.0, LINEAR_SHARE))


def _below(thresholds: npt.NDArray[Any]) -> Features:
    """The largest float32 that is not above each threshold: the same features stay below it."""
    rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > thresholds, lower, rounded)

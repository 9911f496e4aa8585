"""Trees of one column as plain arrays: grown by scikit-learn, stored and evaluated as numbers.

A number is predicted by the mean of two that err differently: extremely randomised trees (Geurts et
al. 2006), and a linear regression that gradient boosting (Friedman 2001) goes on from where there
are enough rows; a category by the votes of extremely randomised trees and of a random forest
(Breiman 2001), which splits best where a category is a region.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)

from tabvae.cells import Floats
from tabvae.linear import Features, Linear

LEAF = -1
BOOSTED_TREES, BOOSTED_LEAVES, BOOSTED_ROWS = 100, 15, 20
FEWEST_ROWS, ROWS_PER_BOOSTED_TREE = 200, 5
"""Of a column that boosting is of use for, and for each of its trees: it learns noise by heart."""
TYPES = tuple(np.dtype(t) for t in (np.int16, np.float32, np.int32, np.int32, np.float64))
"""Of the arrays of the trees, in their order."""


@dataclass(frozen=True)
class Growth:
    """How large the trees may be.

    Attributes:
        trees: of each kind of forest.
        leaf: fewest rows in a leaf.
        mixed: whether a second kind of predictor joins the extremely randomised trees.
        boosted: trees of gradient boosting at most, of a column of numbers.
    """

    trees: int
    leaf: int
    mixed: bool = True
    boosted: int = BOOSTED_TREES


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
        line: of a number, what is added as well.
    """

    feature: npt.NDArray[np.int16]
    value: Features
    right: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int32]
    start: Floats
    line: Linear

    @classmethod
    def of_numbers(
        cls, x: Features, y: Floats, bins: npt.NDArray[np.int64], growth: Growth, seed: int
    ) -> Self:
        """Trees whose summed leaves predict ``y``, together with a regression if ``growth`` is
        mixed.

        Args:
            x: (N, features) the other columns.
            y: (N,) numbers.
            bins: (features,) of a category; 0 of a number.
            growth: of the trees.
            seed: of the splits.
        """
        model = ExtraTreesRegressor(
            growth.trees,
            max_features=0.5,
            min_samples_leaf=growth.leaf,
            random_state=seed,
        ).fit(x, y)
        weight = (0.5 if growth.mixed else 1.0) / growth.trees
        trees = [_randomised(e.tree_, e.tree_.value[:, 0, 0] * weight) for e in model.estimators_]
        if not growth.mixed:
            return cls._of(trees)
        line = Linear.fit(x, y, bins)
        half = line.times(0.5)
        if len(y) < FEWEST_ROWS:
            return cls._of(trees, half)
        boosting = HistGradientBoostingRegressor(
            max_iter=min(growth.boosted, len(y) // ROWS_PER_BOOSTED_TREE),
            max_leaf_nodes=BOOSTED_LEAVES,
            min_samples_leaf=max(growth.leaf, BOOSTED_ROWS),
            early_stopping=False,
            random_state=seed,
        ).fit(x, y - line.predict(x))
        trees += [_boosted(stage[0].nodes, 0.5) for stage in boosting._predictors]
        return cls._of(trees, half, 0.5 * float(boosting._baseline_prediction.item()))

    @classmethod
    def of_categories(
        cls, x: Features, y: npt.NDArray[np.int64], growth: Growth, seed: int
    ) -> Self:
        """Trees whose leaves vote for the bins ``y`` (N,); the second kind is a random forest."""
        models = [ExtraTreesClassifier(max_features=1.0)]
        if growth.mixed:
            models.append(RandomForestClassifier(max_features=0.5))
        trees = []
        for model in models:
            model.set_params(
                n_estimators=growth.trees,
                min_samples_leaf=growth.leaf,
                random_state=seed,
            ).fit(x, y)
            for estimator in model.estimators_:
                votes = model.classes_[estimator.tree_.value[:, 0].argmax(1)]
                trees.append(_randomised(estimator.tree_, votes))
        return cls._of(trees)

    @classmethod
    def _of(cls, trees: Iterable[_Nodes], line: Linear | None = None, start: float = 0.0) -> Self:
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
        self.line.check(features)
        types = tuple(array.dtype for array in self.trees.values())
        nodes = len(self.feature)
        if types != TYPES or self.value.shape != (nodes,) or self.right.shape != (nodes,):
            raise ValueError("the arrays of a tree do not fit together")
        if self.start.shape != (1,) or ((self.roots < 0) | (self.roots >= nodes)).any():
            raise ValueError("a tree has no root")
        inner = np.flatnonzero(self.feature != LEAF)
        right = self.right[inner]
        # Both children come later, so that no path is endless.
        if ((right <= inner) | (right >= nodes)).any() or (inner >= nodes - 1).any():
            raise ValueError("a tree does not end")
        if ((self.feature < LEAF) | (self.feature >= features)).any():
            raise ValueError("a tree compares a column that is not there")
        leaves = self.value[self.feature == LEAF]
        if bins is not None and ((leaves < 0) | (leaves >= bins)).any():
            raise ValueError("a tree votes for a category that is not there")

    def predict(self, x: Features) -> Floats:
        """(N,) a number."""
        leaves = self._leaves(x).sum(1, dtype=np.float64)
        return cast(Floats, self.start[0] + self.line.predict(x) + leaves)

    def votes(self, x: Features, bins: int) -> Floats:
        """(N, bins) the share of the trees that vote for each bin of a category."""
        leaves = self._leaves(x).astype(np.int64)
        counts = np.zeros((len(leaves), bins))
        np.add.at(counts, (np.arange(len(leaves))[:, None], leaves), 1 / leaves.shape[1])
        return counts

    def _leaves(self, x: Features) -> Features:
        """(N, trees) the value of the leaf each row reaches in each tree."""
        flat = np.broadcast_to(self.roots, (len(x), len(self.roots))).astype(np.int64).reshape(-1)
        rows = np.repeat(np.arange(len(x)), len(self.roots))
        active = np.flatnonzero(self.feature[flat] != LEAF)
        while len(active):
            here = flat[active]
            left = x[rows[active], self.feature[here]] <= self.value[here]
            flat[active] = np.where(left, here + 1, self.right[here])
            active = active[self.feature[flat[active]] != LEAF]
        return self.value[flat].reshape(len(x), len(self.roots))


@dataclass(frozen=True)
class _Nodes:
    """One tree, in the order of ``Forest`` but with its own root at 0."""

    feature: npt.NDArray[Any]
    value: npt.NDArray[Any]
    right: npt.NDArray[Any]


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


def _below(thresholds: npt.NDArray[Any]) -> Features:
    """The largest float32 that is not above each threshold: the same features stay below it."""
    rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > thresholds, lower, rounded)

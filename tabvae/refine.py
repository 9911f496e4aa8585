"""A second look at imputed cells by trees.

The network completes every row; then each column is predicted once more from the completed others
by extremely randomised trees (Geurts et al. 2006), as missForest does from worse beginnings
(Stekhoven & Buehlmann 2012). Both predictions are averaged: on all tables tried the average is
better than the network alone. The trees are kept as plain arrays, within a budget of nodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from tabvae.bins import ContinuousBins
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder

TREES = 30
MOST_NODES = 1_000_000
"""In all trees of all columns together: about 14 bytes each in the model file."""
MOST_FEATURES = 16
MOST_DEVIATIONS = 1e9
LEAF = -1
Features = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Forest:
    """The trees of one column, node after node; a left child follows its parent.

    Attributes:
        feature: (nodes,) column that is compared, ``LEAF`` in a leaf.
        threshold: (nodes,) rows with a value at most this go left.
        right: (nodes,) index of the right child.
        value: (nodes,) mean of a number, or most frequent bin of a category, in the node.
        roots: (trees,) index of the first node of each tree.
    """

    feature: npt.NDArray[np.int16]
    threshold: Features
    right: npt.NDArray[np.int32]
    value: Features
    roots: npt.NDArray[np.int32]

    @classmethod
    def fit(
        cls, x: Features, y: npt.NDArray[Any], categorical: bool, leaf: int, seed: int
    ) -> Forest:
        """Grow the trees.

        Args:
            x: (N, features) completed other columns.
            y: (N,) numbers, or bins of a category.
            categorical: which of both.
            leaf: fewest rows in a leaf.
            seed: of the splits.
        """
        grower = ExtraTreesClassifier if categorical else ExtraTreesRegressor
        model = grower(
            TREES,
            max_features=min(MOST_FEATURES, max(1, x.shape[1] // 2)),
            min_samples_leaf=leaf,
            n_jobs=-1,
            random_state=seed,
        ).fit(x, y)
        trees = [estimator.tree_ for estimator in model.estimators_]
        roots = np.cumsum([0, *(tree.node_count for tree in trees)])[:-1]
        parts = [
            _tree_arrays(tree, int(root), model.classes_ if categorical else None)
            for tree, root in zip(trees, roots, strict=True)
        ]
        feature, threshold, right, value = (np.concatenate(p) for p in zip(*parts, strict=True))
        return cls(feature, threshold, right, value, roots.astype(np.int32))

    def predict(self, x: Features) -> Features:
        """(N, trees) the value of the leaf each row reaches in each tree."""
        node = np.broadcast_to(self.roots, (len(x), len(self.roots))).astype(np.int64)
        active = np.flatnonzero(self.feature[node.ravel()] != LEAF)
        flat = node.reshape(-1)
        rows = np.repeat(np.arange(len(x)), len(self.roots))
        while len(active):
            here = flat[active]
            left = x[rows[active], self.feature[here]] <= self.threshold[here]
            flat[active] = np.where(left, here + 1, self.right[here])
            active = active[self.feature[flat[active]] != LEAF]
        return self.value[flat].reshape(node.shape)


def _tree_arrays(
    tree: Any, root: int, classes: npt.NDArray[Any] | None
) -> tuple[npt.NDArray[np.int16], Features, npt.NDArray[np.int32], Features]:
    """Feature, threshold, right child and value of each node of one scikit-learn tree."""
    inner = tree.children_left >= 0
    value = tree.value[:, 0, 0] if classes is None else classes[tree.value[:, 0].argmax(1)]
    return (
        np.where(inner, tree.feature, LEAF).astype(np.int16),
        np.where(inner, tree.threshold, 0).astype(np.float32),
        np.where(inner, tree.children_right + root, 0).astype(np.int32),
        value.astype(np.float32),
    )


@dataclass(frozen=True)
class Refiner:
    """One forest for each modelled column, on the completed other ones."""

    forests: tuple[Forest, ...]

    @classmethod
    def fit(cls, encoder: TableEncoder, codes: Codes, completed: Features, seed: int) -> Refiner:
        """Fit every column's forest.

        Args:
            encoder: knows the kind of each column.
            codes: (N, columns) the training table.
            completed: (N, columns) its features, completed by the network.
            seed: of the splits.
        """
        forests = []
        standard = _standard(encoder, codes)
        for j, coder in enumerate(encoder.bins_):
            known = codes.observed[:, j]
            numeric = isinstance(coder, ContinuousBins)
            y = standard[known, j] if numeric else codes.bins[known, j]
            leaf = _rows_per_leaf(len(y), len(encoder.bins_))
            x = np.delete(completed, j, axis=1)[known]
            forests.append(Forest.fit(x, y, not numeric, leaf, seed))
        return cls(tuple(forests))

    def expected(self, j: int, completed: Features) -> Floats:
        """(N,) the trees' mean prediction of a number in column ``j``, in column deviations."""
        leaves = self.forests[j].predict(np.delete(completed, j, axis=1))
        return cast(Floats, leaves.astype(np.float64).mean(1))

    def probabilities(self, j: int, completed: Features, bins: int) -> Floats:
        """(N, bins) the share of the trees that vote for each category of column ``j``."""
        leaves = self.forests[j].predict(np.delete(completed, j, axis=1)).astype(np.int64)
        votes = np.zeros((len(leaves), bins))
        np.add.at(votes, (np.arange(len(leaves))[:, None], leaves), 1 / leaves.shape[1])
        return votes


def features(encoder: TableEncoder, codes: Codes) -> Features:
    """(N, columns) numbers in column deviations, categories as bins: what the trees compare."""
    numeric = np.array([isinstance(b, ContinuousBins) for b in encoder.bins_], dtype=np.bool_)
    return np.where(numeric, _standard(encoder, codes), codes.bins).astype(np.float32)


def _standard(encoder: TableEncoder, codes: Codes) -> Floats:
    """(N, columns) numbers as deviations from the mean of their column; NaN for categories."""
    centers = np.array([getattr(b, "center", 0.0) for b in encoder.bins_])
    scales = np.array([getattr(b, "scale", 1.0) for b in encoder.bins_])
    return cast(
        Floats, np.clip((codes.values - centers) / scales, -MOST_DEVIATIONS, MOST_DEVIATIONS)
    )


def _rows_per_leaf(rows: int, columns: int) -> int:
    """Fewest rows in a leaf that keeps all trees within the budget of nodes."""
    return max(1, int(np.ceil(2 * rows * columns * TREES / MOST_NODES)))

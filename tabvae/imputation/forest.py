"""Trees of one column as plain arrays: what is stored, checked and evaluated.

``grow`` makes them with scikit-learn; nothing here needs it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
from scipy.special import softmax

from tabvae.columns.arrays import Arrays, prefixed
from tabvae.imputation.linear import Features, Linear
from tabvae.values.arrow import FARTHEST, Floats, Ints

LEAF = -1
MOST_TREES, DEEPEST = 1000, 1000
"""That a file may hold: an evaluation must end."""
TYPES = tuple(
    np.dtype(t) for t in (np.int16, np.float32, np.int32, np.int32, np.float64, np.float64)
)
"""Of the arrays of the trees, in their order."""


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
        share: (1,) of ``regression`` in what is predicted. The leaves of a number hold the rest
            already: all that the regression leaves, where it is 1.
        regression: on the same columns.

    **Examples**

    >>> stump = Forest(  # at most 0.5 in column 0: -1, else 2
    ...     feature=np.array([0, LEAF, LEAF], np.int16),
    ...     value=np.array([0.5, -1, 2], np.float32),
    ...     right=np.array([2, 0, 0], np.int32),
    ...     roots=np.array([0], np.int32),
    ...     start=np.array([10.0]),
    ...     share=np.array([0.0]),
    ...     regression=Linear.nothing(),
    ... )
    >>> stump.check(features=1, bins=None)
    >>> stump.predict(np.array([[0.5], [0.6]], np.float32))
    array([ 9., 12.])
    """

    feature: npt.NDArray[np.int16]
    value: Features
    right: npt.NDArray[np.int32]
    roots: npt.NDArray[np.int32]
    start: Floats
    share: Floats
    regression: Linear

    @property
    def trees(self) -> dict[str, npt.NDArray[Any]]:
        """The arrays of the trees alone, by name."""
        return {name: array for name, array in vars(self).items() if name != "regression"}

    def among(self, columns: npt.NDArray[np.intp]) -> Self:
        """The same trees, grown on some ``columns``, for rows that have all of them."""
        inner = self.feature != LEAF
        feature = np.where(inner, columns[self.feature * inner], LEAF).astype(np.int16)
        return replace(self, feature=feature, regression=self.regression.among(columns))

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
        self.regression.check(features, bins if bins is not None and self.share[0] else 1)
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
        nodes = np.concatenate([self.roots, inner + 1, self.right[inner]])
        if not np.array_equal(np.sort(nodes), np.arange(len(self.feature))):
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
        regression = self.share[0] * self.regression.predict(x)[:, 0]
        return cast(Floats, self.start[0] + regression + leaves)

    def votes(self, x: Features, bins: int) -> Floats:
        """(N, bins) the share of the trees, and of the regression, that is for each bin of a
        category."""
        leaves = self.leaves(x).astype(np.int64)
        counts = np.zeros((len(leaves), bins))
        np.add.at(counts, (np.arange(len(leaves))[:, None], leaves), 1 / leaves.shape[1])
        regression = softmax(self.regression.predict(x), axis=1)
        return cast(Floats, (1 - self.share[0]) * counts + self.share[0] * regression)

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

    array_names: ClassVar = ("feature", "value", "right", "roots", "start", "share")

    def arrays(self, j: int) -> Arrays:
        """``forest.j.*`` and ``line.j.*``: trees and regression of column ``j``."""
        trees = dict(zip(self.array_names, self.trees.values(), strict=True))
        return prefixed(f"forest.{j}.", trees) | prefixed(f"line.{j}.", self.regression.arrays())

    @classmethod
    def from_arrays(cls, arrays: Arrays, j: int) -> Self:
        """Made again from what ``arrays`` gave; not yet checked."""
        feature, value, right, roots, start, share = (
            arrays[f"forest.{j}.{name}"] for name in cls.array_names
        )
        regression = Linear.from_arrays(arrays, f"line.{j}.")
        return cls(feature, value, right, roots, start, share, regression)

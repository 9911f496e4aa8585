"""How the trees of one column are grown: by scikit-learn, then written down as a :class:`Forest`.

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

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
)

from tabvae.imputation.config import Growth
from tabvae.imputation.forest import DEEPEST, LEAF, Forest
from tabvae.imputation.linear import Features, Linear
from tabvae.values.arrow import Floats, Ints, Mask


def grow_numbers(x: Features, y: Floats, bins: Ints, growth: Growth, seed: int) -> Forest:
    """Trees whose summed leaves predict ``y``, or what a regression leaves of it if ``growth`` is
    mixed.

    Args:
        x: (N, features) the other columns.
        y: (N,) numbers.
        bins: (features,) of a category; 0 of a number.
        growth: of the trees.
        seed: of the splits.

    **Examples**

    >>> x = np.arange(40, dtype=np.float32)[:, None]
    >>> forest = grow_numbers(x, 3.0 * x[:, 0], np.array([0]), Growth(trees=2, leaf=1), seed=0)
    >>> forest.predict(x[[10]]).round(2)
    array([30.])
    """
    if not growth.mixed:
        return _joined(_randomised_trees(x, y, growth, seed, 1.0))
    regression = Linear.of_number(x, y, bins, growth.config)
    residuals = y - regression.predict(x)[:, 0]
    if len(y) < growth.config.boosting_from:
        trees, start = _randomised_trees(x, residuals, growth, seed, 1.0), 0.0
    else:
        trees, start = _boosted_and_randomised_trees(x, residuals, growth, seed)
    return _joined(trees, start, regression, share=1.0)


def grow_categories(
    x: Features, y: Ints, bins: Ints, size: int, growth: Growth, seed: int
) -> Forest:
    """Trees whose leaves vote for ``y``; a random forest's as well if ``growth`` is mixed.

    Where rows are few, a logistic regression has the share of the votes that would have been best
    for rows that neither it nor, in the random forest, a tree learned from: half at most.

    Args:
        x: (N, features) the other columns.
        y: (N,) bins of a category.
        bins: (features,) of a category; 0 of a number.
        size: bins of ``y``'s column.
        growth: of the trees.
        seed: of the splits.

    **Examples**

    >>> x = np.arange(40, dtype=np.float32)[:, None]
    >>> y = (x[:, 0] > 20).astype(np.int64)
    >>> forest = grow_categories(x, y, np.array([0]), 2, Growth(2, 1, mixed=False), seed=0)
    >>> forest.votes(x[[2, 38]], bins=2)
    array([[1., 0.],
           [0., 1.]])
    """
    trees = _voting_trees(ExtraTreesClassifier(max_features=1.0), x, y, growth, seed)
    if not growth.mixed:
        return _joined(trees)
    second = np.sort(np.bincount(y, minlength=2))[-2]
    judged = len(y) < growth.config.logistic_below and bool(second >= growth.config.folds)
    model = RandomForestClassifier(max_features=0.5, oob_score=judged)
    trees += _voting_trees(model, x, y, growth, seed)
    if not judged:
        return _joined(trees)
    regression, probabilities = Linear.of_category(x, y, bins, size, growth, seed)
    truth = y[:, None] == model.classes_
    share = _best_share(truth, model.oob_decision_function_, probabilities)
    share = float(np.clip(share, 0.0, growth.config.logistic_share))
    return _joined(trees, regression=regression if share else None, share=share)


@dataclass(frozen=True)
class _Nodes:
    """One tree, in the order of ``Forest`` but with its own root at 0."""

    feature: npt.NDArray[Any]
    value: npt.NDArray[Any]
    right: npt.NDArray[Any]


def _joined(
    trees: list[_Nodes], start: float = 0.0, regression: Linear | None = None, share: float = 0.0
) -> Forest:
    """The trees one after the other."""
    roots = np.cumsum([0, *(len(tree.feature) for tree in trees)])[:-1]
    right = [tree.right + root for tree, root in zip(trees, roots, strict=True)]
    return Forest(
        feature=np.concatenate([tree.feature for tree in trees]).astype(np.int16),
        value=np.concatenate([tree.value for tree in trees]).astype(np.float32),
        right=np.concatenate(right).astype(np.int32),
        roots=roots.astype(np.int32),
        start=np.array([start]),
        share=np.array([share]),
        regression=regression or Linear.nothing(),
    )


def _boosted_and_randomised_trees(
    x: Features, y: Floats, growth: Growth, seed: int
) -> tuple[list[_Nodes], float]:
    """Both kinds, and what their summed leaves are added to: the randomised ones learn what
    boosting leaves if leverage has a bound, else the two are averaged."""
    boosting = HistGradientBoostingRegressor(
        max_iter=growth.boosted_for(len(y)),
        learning_rate=growth.config.boosting_rate,
        max_leaf_nodes=growth.boosted_leaves,
        min_samples_leaf=max(growth.leaf, growth.config.boosted_rows),
        early_stopping=False,
        random_state=seed,
    ).fit(x, y)
    share, rest = (1.0, y - boosting.predict(x)) if growth.bounded else (0.5, y)
    trees = _randomised_trees(x, rest, growth, seed, share)
    # Private, so pyproject.toml bounds the version of scikit-learn.
    trees += [_boosted(stage[0].nodes, share) for stage in boosting._predictors]
    return trees, share * float(boosting._baseline_prediction.item())


def _voting_trees(model: Any, x: Features, y: Ints, growth: Growth, seed: int) -> list[_Nodes]:
    """The trees of a scikit-learn forest, fitted here, whose leaves hold one category each."""
    model.set_params(
        n_estimators=growth.trees,
        max_depth=DEEPEST,
        min_samples_leaf=growth.leaf,
        random_state=seed,
    ).fit(x, y)
    levels = (np.random.default_rng(seed).permutation(growth.trees) + 0.5) / growth.trees
    return [
        _randomised(tree, model.classes_[_at_level(tree.value[:, 0], level)])
        for tree, level in zip((e.tree_ for e in model.estimators_), levels, strict=True)
    ]


def _randomised_trees(
    x: Features, y: Floats, growth: Growth, seed: int, share: float
) -> list[_Nodes]:
    """Extremely randomised trees, whose leaves sum to ``share`` of what they predict of ``y``."""
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
    position = np.empty(len(nodes), dtype=np.int64)
    position[order] = np.arange(len(order))
    nodes = nodes[order]
    inner = nodes["is_leaf"] == 0
    return _Nodes(
        np.where(inner, nodes["feature_idx"], LEAF),
        np.where(inner, _below(nodes["num_threshold"]), weight * nodes["value"]),
        np.where(inner, position[nodes["right"]], 0),
    )


def _at_level(shares: Floats, level: float) -> Ints:
    """(nodes,) the class at a ``level`` in 0..1 of the cumulated ``shares`` (nodes, classes): over
    trees with levels spread evenly, a leaf's classes are voted for as often as they are in it.

    If all trees voted for the commonest class, a row would decide the vote of a leaf of m rows with
    a probability of about one over the root of m, where classes are even.
    """
    cumulated = np.cumsum(shares, axis=1)
    below: Ints = (cumulated < level * cumulated[:, -1:]).sum(1)
    return below


def _best_share(truth: Mask, trees: Floats, regression: Floats) -> float:
    """Share of the regression beside the trees with the least score of Brier (1950).

    Args:
        truth: (N, classes) which is true.
        trees: (N, classes) probabilities.
        regression: (N, classes) likewise.
    """
    difference = regression - trees
    square = (difference**2).sum()
    return float(((truth - trees) * difference).sum() / square) if square else 0.0


def _below(thresholds: npt.NDArray[Any]) -> Features:
    """The largest float32 that is not above each threshold: the same features stay below it."""
    rounded = thresholds.astype(np.float32)
    lower = np.nextafter(rounded, np.float32(-np.inf))
    return np.where(rounded.astype(np.float64) > thresholds, lower, rounded)

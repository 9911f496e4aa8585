"""Forests as arrays: the same predictions as the library that grew them, in any size."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
)

from tabvae.forest import BOOSTED_LEAVES, BOOSTED_TREES, Features, Forest, Growth


def features(rows: int = 500, seed: int = 0) -> Features:
    return np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)


def numbers(x: Features) -> np.ndarray:
    return (x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2])).astype(np.float64)


def test_numbers_are_the_mean_of_both_kinds_of_trees_as_scikit_learn_predicts_them() -> None:
    x, new = features(), features(seed=1)
    y = numbers(x)
    forest = Forest.of_numbers(x, y, Growth(10, 2), seed=3)
    trees = ExtraTreesRegressor(10, max_features=0.5, min_samples_leaf=2, random_state=3)
    boosting = HistGradientBoostingRegressor(
        max_iter=BOOSTED_TREES,
        max_leaf_nodes=BOOSTED_LEAVES,
        early_stopping=False,
        random_state=3,
    )
    expected = (trees.fit(x, y).predict(new) + boosting.fit(x, y).predict(new)) / 2
    np.testing.assert_allclose(forest.predict(new), expected, atol=1e-5)


@pytest.mark.parametrize(("rows", "boosted"), [(150, 0), (250, 50), (1000, BOOSTED_TREES)])
def test_few_rows_are_boosted_less_or_not_at_all(rows: int, boosted: int) -> None:
    x = features(rows)
    assert len(Forest.of_numbers(x, numbers(x), Growth(10, 1), seed=0).roots) == 10 + boosted


def test_votes_are_those_of_scikit_learn() -> None:
    x, new = features(), features(seed=1)
    y = (numbers(x) > 0).astype(np.int64) + 2 * (x[:, 3] > 1)
    forest = Forest.of_categories(x, y, Growth(10, 1, mixed=False), seed=3)
    trees = ExtraTreesClassifier(10, max_features=1.0, random_state=3).fit(x, y)
    expected = np.zeros((len(new), 5))
    expected[:, trees.classes_] = trees.predict_proba(new)
    np.testing.assert_allclose(forest.votes(new, 5), expected, atol=1e-12)


def test_a_second_kind_of_trees_takes_half_of_the_votes() -> None:
    x = features()
    y = (numbers(x) > 0).astype(np.int64)
    alone = Forest.of_categories(x, y, Growth(10, 1, mixed=False), seed=3)
    both = Forest.of_categories(x, y, Growth(10, 1), seed=3)
    assert len(both.roots) == 2 * len(alone.roots)
    np.testing.assert_allclose(both.votes(x, 2).sum(1), 1)


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_tables_of_a_few_rows_have_trees_too(rows: int) -> None:
    x = features(rows)
    forest = Forest.of_numbers(x, np.full(rows, 7.0), Growth(3, 1), seed=0)
    np.testing.assert_allclose(forest.predict(features(5)), 7.0, rtol=1e-6)
    votes = Forest.of_categories(x, np.full(rows, 1), Growth(3, 1), seed=0).votes(features(5), 3)
    np.testing.assert_allclose(votes, np.tile([0.0, 1.0, 0.0], (5, 1)))


def test_larger_leaves_mean_fewer_nodes() -> None:
    x = features()
    sizes = [len(Forest.of_numbers(x, numbers(x), Growth(5, n), 0).feature) for n in (1, 10)]
    assert sizes[1] < sizes[0] / 2

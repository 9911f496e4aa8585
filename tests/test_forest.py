"""Forests as arrays: the same predictions as the library that grew them, in any size."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingRegressor,
)

from tabvae.imputation.config import Growth, TreeConfig
from tabvae.imputation.grow import grow_categories, grow_numbers
from tabvae.imputation.linear import Features, Linear

NUMBERS = np.zeros(4, dtype=np.int64)
"""Four columns of numbers."""


def features(rows: int = 500, seed: int = 0) -> Features:
    return np.random.default_rng(seed).normal(size=(rows, 4)).astype(np.float32)


def numbers(x: Features) -> np.ndarray:
    return (x[:, 0] * x[:, 1] + np.sin(3 * x[:, 2])).astype(np.float64)


def test_numbers_are_predicted_as_scikit_learn_predicts_them() -> None:
    x, new = features(), features(seed=1)
    y = numbers(x)
    forest = grow_numbers(x, y, NUMBERS, Growth(10, 2), seed=3)
    trees = ExtraTreesRegressor(10, max_features=0.5, min_samples_leaf=2, random_state=3)
    line = Linear.of_number(x, y, NUMBERS)
    boosting = HistGradientBoostingRegressor(
        max_iter=len(x) // TreeConfig.rows_per_boosted,
        max_leaf_nodes=TreeConfig.boosted_leaves,
        early_stopping=False,
        random_state=3,
    )
    left = y - line.predict(x)[:, 0]
    boosting.fit(x, left)
    expected = (
        line.predict(new)[:, 0] + (trees.fit(x, left).predict(new) + boosting.predict(new)) / 2
    )
    np.testing.assert_allclose(forest.predict(new), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("rows", "boosted"), [(150, 0), (250, 50), (2000, TreeConfig.boosted_trees)]
)
def test_few_rows_are_boosted_less_or_not_at_all(rows: int, boosted: int) -> None:
    x = features(rows)
    forest = grow_numbers(x, numbers(x), NUMBERS, Growth(10, 1), seed=0)
    assert len(forest.roots) == 10 + boosted


@pytest.mark.parametrize("rows", [60, 400])
def test_a_slope_is_followed_where_rows_are_few(rows: int) -> None:
    x, new = features(rows), features(seed=1)
    kind = np.random.default_rng(2).integers(3, size=(500 + rows, 1)).astype(np.float32)
    x, new = np.hstack([x, kind[500:]]), np.hstack([new, kind[:500]])
    bins = np.append(NUMBERS, 3)

    def truth(z: Features) -> np.ndarray:
        return (z[:, 0] - 2 * z[:, 1] + np.array([0.0, 3.0, -1.0])[z[:, 4].astype(int)]).astype(
            np.float64
        )

    forest = grow_numbers(x, truth(x), bins, Growth(20, 1), seed=0)
    trees = ExtraTreesRegressor(20, max_features=0.5, random_state=0).fit(x, truth(x))
    wrong, before = (np.abs(p.predict(new) - truth(new)).mean() for p in (forest, trees))
    assert wrong < 0.6 * before


def test_votes_are_those_of_scikit_learn() -> None:
    x, new = features(), features(seed=1)
    y = (numbers(x) > 0).astype(np.int64) + 2 * (x[:, 3] > 1)
    forest = grow_categories(x, y, NUMBERS, 5, Growth(10, 1, mixed=False), seed=3)
    trees = ExtraTreesClassifier(10, max_features=1.0, random_state=3).fit(x, y)
    expected = np.zeros((len(new), 5))
    expected[:, trees.classes_] = trees.predict_proba(new)
    np.testing.assert_allclose(forest.votes(new, 5), expected, atol=1e-12)


def test_a_second_kind_of_trees_takes_half_of_the_votes() -> None:
    x = features()
    y = (numbers(x) > 0).astype(np.int64)
    alone = grow_categories(x, y, NUMBERS, 2, Growth(30, 1, mixed=False), seed=3)
    both = grow_categories(x, y, NUMBERS, 2, Growth(30, 1), seed=3)
    assert len(both.roots) == 2 * len(alone.roots)
    np.testing.assert_allclose(both.votes(x, 2).sum(1), 1)


def test_few_rows_on_two_sides_of_a_plane_are_told_apart() -> None:
    x, new = features(80), features(seed=1)

    def truth(z: Features) -> np.ndarray:
        return 3 * (z.sum(1) > 0).astype(np.int64)

    both, trees = (
        grow_categories(x, truth(x), NUMBERS, 5, Growth(30, 1, mixed=mixed), seed=0)
        for mixed in (True, False)
    )
    votes = both.votes(new, 5)
    np.testing.assert_allclose(votes.sum(1), 1)
    assert votes[:, [1, 2, 4]].max() < 1e-12
    wrong, before = ((v.argmax(1) != truth(new)).mean() for v in (votes, trees.votes(new, 5)))
    assert wrong < 0.7 * before


def test_a_regression_has_no_votes_where_trees_know_better() -> None:
    x = features()
    y = (x[:, 0] * x[:, 1] > 0).astype(np.int64)
    forest = grow_categories(x, y, NUMBERS, 2, Growth(30, 1), seed=0)
    assert forest.share == 0
    np.testing.assert_allclose(forest.votes(x, 2).argmax(1), y)


def test_three_kinds_are_told_apart_by_numbers_and_by_a_category() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.normal(size=300), rng.integers(3, size=300)], 1).astype(np.float32)
    y = np.where(x[:, 1] == 2, 2, (x[:, 0] > 0).astype(np.int64)).astype(np.int64)
    line, probabilities = Linear.of_category(x, y, np.array([0, 3]), 4, Growth(1, 1), seed=0)
    assert (probabilities.argmax(1) == y).mean() > 0.95
    assert (line.predict(x).argmax(1) == y).mean() > 0.95
    np.testing.assert_allclose(line.predict(x)[7:8], line.predict(x[7:8]), rtol=0, atol=0)


@pytest.mark.parametrize("rows", [1, 2, 30])
def test_tables_of_a_few_rows_have_trees_too(rows: int) -> None:
    x = features(rows)
    forest = grow_numbers(x, np.full(rows, 7.0), NUMBERS, Growth(3, 1), seed=0)
    np.testing.assert_allclose(forest.predict(features(5)), 7.0, rtol=1e-6)
    grown = grow_categories(x, np.full(rows, 1), NUMBERS, 3, Growth(3, 1), seed=0)
    votes = grown.votes(features(5), 3)
    np.testing.assert_allclose(votes, np.tile([0.0, 1.0, 0.0], (5, 1)))


def test_a_regression_takes_the_terms_that_tell_of_many_categories() -> None:
    rng = np.random.default_rng(0)
    x = np.stack([rng.integers(90, size=2000), rng.integers(90, size=2000)], 1).astype(np.float32)
    y = 5.0 * (x[:, 1] == 70)
    line = Linear.of_number(x, y, np.array([90, 90]))
    assert len(line.column) == TreeConfig.most_features
    np.testing.assert_allclose(line.predict(x)[:, 0], y, atol=0.1)
    assert line.predict(x).max() <= y.max()


def test_larger_leaves_mean_fewer_nodes() -> None:
    x = features()
    sizes = [len(grow_numbers(x, numbers(x), NUMBERS, Growth(5, n), 0).feature) for n in (1, 10)]
    assert sizes[1] < sizes[0] / 2

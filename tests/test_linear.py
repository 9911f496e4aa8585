"""Regressions as arrays: what they fit, which terms they take, and what a file may not hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import softmax

from tabvae.imputation.config import Growth, TreeConfig
from tabvae.imputation.linear import NUMBER, Features, Linear, telling

ROWS = 200
BINS = np.array([0, 0, 3])
"""Two numbers and a category."""


def table(seed: int = 0) -> Features:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.normal(size=(ROWS, 2)), rng.integers(3, size=ROWS)]).astype(
        np.float32
    )


def truth(x: Features) -> np.ndarray:
    steps = np.array([0.0, 3.0, -1.0])
    return np.asarray(2.0 * x[:, 0] + steps[x[:, 2].astype(int)], dtype=np.float64)


def test_slopes_and_steps_are_found() -> None:
    x = table()
    regression = Linear.of_number(x, truth(x), BINS)
    np.testing.assert_allclose(regression.predict(x)[:, 0], truth(x), atol=0.01)
    slope = regression.weight[regression.level == NUMBER, 0]
    np.testing.assert_allclose(slope, [2, 0], atol=0.01)


def test_nothing_is_predicted_beyond_what_was_there() -> None:
    x = table()
    regression = Linear.of_number(x, truth(x), BINS)
    far = x.copy()
    far[:, 0] *= 1000
    predictions = regression.predict(far)
    assert predictions.min() == truth(x).min()
    assert predictions.max() == truth(x).max()


def test_a_row_is_predicted_alone_as_among_others() -> None:
    x = table()
    regression = Linear.of_number(x, truth(x), BINS)
    alone = np.concatenate([regression.predict(x[[row]]) for row in range(5)])
    np.testing.assert_array_equal(alone, regression.predict(x[:5]))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_category_has_logits_of_all_its_bins(classes: int) -> None:
    x = table()
    y = np.digitize(x[:, 0], np.linspace(-0.5, 0.5, classes - 1))
    regression, validation = Linear.of_category(x, y, BINS, 5, Growth(1, 1), seed=0)
    probabilities = softmax(regression.predict(x), axis=1)
    assert probabilities.shape == (ROWS, 5)
    assert probabilities[:, classes:].max() < 1e-9
    assert (probabilities.argmax(1) == y).mean() > 0.9
    np.testing.assert_allclose(validation.sum(1), 1)
    assert validation.shape == (ROWS, classes)


def test_weights_are_smaller_where_leverage_has_a_bound() -> None:
    x = table()
    y = (x[:, 0] > 0).astype(np.int64)
    free, bounded = (
        Linear.of_category(x, y, BINS, 2, Growth(1, 1, leverage=leverage), seed=0)[0]
        for leverage in (1.0, 0.001)
    )
    assert np.abs(bounded.weight).max() < 0.5 * np.abs(free.weight).max()


def test_few_terms_are_those_that_tell_most() -> None:
    x = table()
    regression = Linear.of_number(x, truth(x), BINS, TreeConfig(most_features=2))
    assert list(zip(regression.column, regression.level, strict=True)) == [(0, NUMBER), (2, 1)]


@pytest.mark.parametrize("number", [True, False])
def test_the_columns_that_tell_are_kept_in_their_order(number: bool) -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 20)).astype(np.float32)
    y = x[:, 13] + 0.7 * x[:, 4]
    chosen = telling(x, y if number else (y > 0).astype(np.int64), number, most=2)
    np.testing.assert_array_equal(chosen, [4, 13])
    np.testing.assert_array_equal(telling(x, y, number=True, most=20), np.arange(20))


def test_a_constant_column_tells_nothing() -> None:
    x = table()
    x[:, 0] = 1.0
    np.testing.assert_array_equal(telling(x, x[:, 1], number=True, most=1), [1])


def test_nothing_predicts_zero_of_any_row() -> None:
    np.testing.assert_array_equal(Linear.nothing().predict(table()), np.zeros((ROWS, 1)))


def test_terms_follow_their_columns_into_a_wider_table() -> None:
    x = table()
    columns = np.array([1, 4, 5])
    wide = np.full((ROWS, 6), np.nan, np.float32)
    wide[:, columns] = x
    regression = Linear.of_number(x, truth(x), BINS)
    np.testing.assert_array_equal(regression.among(columns).predict(wide), regression.predict(x))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.zeros((1, 1))}, "do not fit together"),
        ({"intercept": np.zeros(1, np.float32)}, "do not fit together"),
        ({"column": np.full(5, 3, np.int16)}, "not there"),
        ({"column": np.full(5, -1, np.int16)}, "not there"),
        ({"ends": np.array([1.0, 0.0])}, "too large"),
        ({"ends": np.array([0.0, np.inf])}, "too large"),
        ({"weight": np.full((5, 1), np.nan)}, "too large"),
    ],
)
def test_a_regression_that_cannot_be_evaluated_is_refused(
    change: dict[str, np.ndarray], words: str
) -> None:
    x = table()
    regression = Linear.of_number(x, truth(x), BINS)
    regression.check(columns=3, sums=1)
    with pytest.raises(ValueError, match=words):
        replace(regression, **change).check(columns=3, sums=1)


def test_a_regression_of_too_many_terms_is_refused() -> None:
    count = TreeConfig.most_features + 1
    terms = np.zeros(count, np.int16)
    regression = replace(Linear.nothing(), column=terms, level=terms, weight=np.zeros((count, 1)))
    with pytest.raises(ValueError, match="too many terms"):
        regression.check(columns=3, sums=1)

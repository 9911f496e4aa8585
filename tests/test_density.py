"""Mixtures over views of rows: what they say of rows, and what they may keep of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import multivariate_normal
from sklearn.metrics import roc_auc_score

from tabvae import TabVAE
from tabvae.columns.codes import Codes
from tabvae.predict.calibration import Calibration
from tabvae.predict.density import VIEWS, Density, DensityConfig, Mixture, views

from .predictors import encoded, mixed_table, untrained


def smooth(rows: int, columns: int, seed: int) -> np.ndarray:
    """Columns that all follow three hidden ones, and a little noise."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(0).normal(size=(3, columns))
    return rng.normal(size=(rows, 3)) @ loadings + rng.normal(0, 0.3, (rows, columns))


@pytest.mark.parametrize("covariance", Mixture.kinds)
def test_a_component_has_the_density_of_a_gaussian(covariance: str) -> None:
    deviations = np.array([0.5, 2.0])
    factors = {
        "full": np.diag(1 / deviations)[None],
        "tied": np.diag(1 / deviations),
        "diag": 1 / deviations[None],
    }[covariance]
    mixture = Mixture(np.ones(2), np.ones(2), np.ones(1), np.zeros((1, 2)), factors, covariance)
    rows = np.random.default_rng(0).normal(size=(9, 2))
    expected = multivariate_normal([1, 1], np.diag(deviations**2)).logpdf(rows)
    np.testing.assert_allclose(mixture.log_density(rows), expected)


@pytest.mark.parametrize(("rows", "columns"), [(60, 2), (400, 3), (400, 20), (1000, 8), (30, 40)])
def test_a_mixture_has_no_more_parameters_than_its_rows_allow(rows: int, columns: int) -> None:
    table = smooth(rows + 50, columns, seed=1)
    mixture = Mixture.fit(table[:rows], table[rows:], fewest_rows=10)
    count = mixture.means.size + mixture.factors.size
    simplest = 2 * columns
    # A Cholesky factor is written as a square, half of which are zeros.
    assert count <= max(2 * DensityConfig().budget(rows, columns), simplest)


@pytest.mark.parametrize("columns", [3, 12, 40])
def test_rows_that_were_fitted_are_hardly_told_from_others(columns: int) -> None:
    table = smooth(4000, columns, seed=2)
    mixture = Mixture.fit(table[:600], table[600:700], fewest_rows=10)
    truth = np.repeat([1, 0], [600, 3300])
    density = mixture.log_density(np.concatenate([table[:600], table[700:]]))
    assert roc_auc_score(truth, density) < 0.57


@pytest.mark.parametrize("fewest_rows", [1, 50])
def test_every_component_stands_for_several_rows(fewest_rows: int) -> None:
    rng = np.random.default_rng(0)
    table = np.concatenate([rng.normal(0, 1, (500, 2)), rng.normal(40, 0.1, (20, 2))])
    mixture = Mixture.fit(table, table, fewest_rows)
    alone = np.abs(mixture.means * mixture.scale + mixture.center - 40).max(1) < 1
    assert alone.any() == (fewest_rows == 1)


def test_without_rows_to_choose_by_the_simplest_is_taken() -> None:
    mixture = Mixture.fit(smooth(400, 3, 0), np.zeros((0, 3)), fewest_rows=10)
    assert (mixture.covariance, len(mixture.weights)) == ("diag", 1)


def test_a_number_that_never_changes_has_a_density() -> None:
    table = smooth(200, 3, 0)
    table[:, 1] = 7
    mixture = Mixture.fit(table[:150], table[150:], fewest_rows=10)
    assert np.isfinite(mixture.log_density(table)).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale": np.zeros(2)},
        {"weights": np.array([-1.0])},
        {"factors": np.zeros((1, 2))},
        {"factors": np.ones((2, 2, 2))},
        {"covariance": "round"},
        {"center": np.zeros(3)},
    ],
)
def test_what_is_no_density_is_refused(wrong: dict[str, object]) -> None:
    right = Mixture(np.zeros(2), np.ones(2), np.ones(1), np.zeros((1, 2)), np.ones((1, 2)), "diag")
    with pytest.raises(ValueError, match="none"):
        replace(right, **wrong)  # type: ignore[arg-type]


def test_a_gap_is_where_the_others_of_its_row_expect_it() -> None:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec)
    seen = views(predictor, codes)
    assert list(seen) == list(VIEWS)
    for view in VIEWS:
        assert np.isfinite(seen[view]).all()
        assert len(seen[view]) == len(codes)
    assert {view: rows.shape for view, rows in views(predictor, Codes.empty(0, 3)).items()} == {
        view: (0, rows.shape[1]) for view, rows in seen.items()
    }


def test_a_table_of_categories_has_a_density_of_its_codes_alone() -> None:
    rng = np.random.default_rng(0)
    table = pa.table({name: rng.choice(list("abc"), 90) for name in "xyz"})
    codec, codes = encoded(table)
    density = Density.fit(untrained(codec), codes[:60], codes[60:], codes)
    assert list(density.mixtures) == ["code"]


def test_odder_rows_are_rarer_without_end() -> None:
    known = Calibration.measure(np.random.default_rng(0).normal(size=1000))
    rarity = known.rarity(np.linspace(-5, 50, 200))
    assert (np.diff(rarity) >= 0).all()
    assert (np.diff(rarity[50:]) > 0).all()
    np.testing.assert_allclose(known.rarity(known.quantiles[[100, 180]]), -np.log([0.5, 0.1]), 0.01)


@pytest.mark.slow
def test_a_row_that_is_a_little_off_everywhere_is_found() -> None:
    """No cell of it is odd given the others, but no row is like it."""
    import pandas as pd

    table, odd = smooth(600, 12, 0), np.random.default_rng(9).normal(0, 1.0, (40, 12))
    frame = pd.DataFrame(np.concatenate([table, odd * table.std(0)])).add_prefix("x")
    model = TabVAE(effort="fast").fit(frame[:400])
    truth = np.repeat([0, 1], [200, 40])
    found = model.detect(frame[400:])
    assert roc_auc_score(truth, found["score"]) > 0.9
    assert found["outlier"][:200].mean() < 0.05

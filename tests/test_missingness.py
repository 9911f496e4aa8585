"""Gaps that say what would be there: found where they are, and not where they are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from tabvae_cli.fit import Learned

from tabvae import TabVAE
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.predict.missingness import Judgement, MissingnessModel, judge
from tabvae.predict.odds import GapModel, log_likelihood, rate_log_likelihood
from tabvae.values.arrow import Floats

from .helpers import few_trees, tabvae

ROWS = 600
Why = Callable[[pd.DataFrame], tuple[Floats, Floats]]


def often(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(1 - log_odds)), dtype=np.float64)


def by_itself(truth: pd.DataFrame) -> tuple[Floats, Floats]:
    rich = (truth["word"] == "rich").to_numpy()
    return often(2 * truth["income"].to_numpy()), often(4.0 * rich - 2)


def by_another(truth: pd.DataFrame) -> tuple[Floats, Floats]:
    return often(2 * truth["x"].to_numpy()), often(-2 * truth["y"].to_numpy())


def by_nothing(truth: pd.DataFrame) -> tuple[Floats, Floats]:
    return np.full(len(truth), 0.3), np.full(len(truth), 0.3)


@cache
def fitted(why: Why) -> tuple[pd.DataFrame, pd.DataFrame, TabVAE]:
    """A complete table, the same with gaps in two columns, and a model of the latter."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(ROWS, 2)).round(2)
    truth = pd.DataFrame(x, columns=["x", "y"])
    known = np.abs(2 * x[:, 0]) - 1.5 + x[:, 1]
    truth["income"] = (known + 0.7 * rng.normal(size=ROWS)).round(2)
    truth["word"] = np.where(known + 0.7 * rng.normal(size=ROWS) > 0, "rich", "poor")
    given = truth.copy()
    for name, probability in zip(("income", "word"), why(truth), strict=True):
        given.loc[rng.random(ROWS) < probability, name] = None
    with few_trees():
        model = TabVAE(effort="fast").fit(given)
    return truth, given, model


def missingness(model: TabVAE) -> MissingnessModel:
    return model.fitted_.predictor.missingness


@pytest.mark.parametrize("why", [by_another, pytest.param(by_nothing, marks=pytest.mark.slow)])
def test_gaps_that_say_nothing_are_let_be(why: Why) -> None:
    model = fitted(why)[2]
    assert missingness(model).most_withheld(model.fitted_.codec) == {}


def test_the_user_is_told_what_is_withheld(tmp_path: Path) -> None:
    model = fitted(by_itself)[2]
    model.save(str(tmp_path / "m.tabvae"))
    said = Learned(model, str(tmp_path / "m.tabvae"), 1.0, {}, ()).words(["a.csv"])
    assert "income where it is large, word where it is 'rich'" in said
    assert "MB (networks" in said
    card = json.loads(tabvae(tmp_path, "inspect", "m.tabvae", "--json").out)
    assert card["missing_not_at_random"] == {"income": "large", "word": "'rich'"}
    assert "income where it is large" in tabvae(tmp_path, "inspect", "m.tabvae").out


@pytest.mark.parametrize("draws", [None, 1])
def test_what_is_missing_because_it_is_large_is_imputed_large(draws: int | None) -> None:
    truth, given, model = fitted(by_itself)
    gaps = given["income"].isna().to_numpy()
    filled = model.impute(given, draws=draws)["income"].to_numpy()
    large, ordinary = truth["income"][gaps].mean(), given["income"].mean()
    assert filled[gaps].mean() > ordinary + 0.5 * (large - ordinary)
    np.testing.assert_array_equal(filled[~gaps], given["income"][~gaps])


def test_a_category_that_is_often_withheld_is_imputed_often() -> None:
    truth, given, model = fitted(by_itself)
    gaps = given["word"].isna().to_numpy()
    often_said, often_withheld = (
        (words == "rich").mean() for words in (given["word"][~gaps], truth["word"][gaps])
    )
    half = (often_said + often_withheld) / 2
    assert (model.impute(given)["word"][gaps] == "rich").mean() > half
    assert model.probabilities(given, "word")["word=rich"][gaps].mean() > half


def test_cells_that_are_not_missing_are_believed_as_before() -> None:
    model = fitted(by_itself)[2]
    income = [c.name for c in model.fitted_.codec.columns_].index("income")
    tilts = missingness(model).tilts
    even = np.full((2, len(tilts[income])), 1 / len(tilts[income]))
    kept, moved = missingness(model).given_missing(even, income, np.array([False, True]))
    np.testing.assert_array_equal(kept, even[0])
    assert moved[-1] > even[0, 0] > moved[0]
    np.testing.assert_allclose(moved.sum(), 1)


def judged_of_few_rows(seed: int, *, slope: float) -> Judgement:
    """Whether gaps say something, that ``slope`` makes more likely where a number is
    large, in 180 rows whose observed cells a network knows by heart."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(180, 4)).round(3)
    gap = rng.random(180) < often(slope * x[:, 0])
    table = pa.table(
        {"x": pa.array(x[:, 0], mask=gap)} | {f"other {k}": x[:, k] for k in (1, 2, 3)}
    )
    codec = TableCodec(infer_schema(table)).fit(table)
    bins = codec.bins_[0]
    assert isinstance(bins, ContinuousBins)
    unseen = np.arange(180) < 18
    by_heart, truth = ~gap & ~unseen, bins.deviations(x[:, 0])
    center, spread = np.where(by_heart, (truth, 0.25 + 0 * truth), (0.6 * truth, 0.8 + 0 * truth))
    away = (bins.deviations(bins.means) - center[:, None]) / spread[:, None]
    guess = bins.mass * np.exp(-(away**2) / 2)
    found = np.column_stack([0.7 * guess / guess.sum(1, keepdims=True), np.full(180, 0.3)])
    return judge(codec, codec.transform(table), unseen, 0, found)


def test_that_observed_cells_are_known_by_heart_is_no_reason() -> None:
    found, missed = (
        sum((judged_of_few_rows(seed, slope=slope).tilt is not None) == wrong for seed in range(12))
        for slope, wrong in ((0.0, True), (2.0, False))
    )
    assert found <= 3
    assert missed == 0


def judged(gap_of: Callable[[Floats], Floats], *, curved: bool, sure: bool = False) -> Judgement:
    """Of a column x with gaps that follow from the log odds ``gap_of`` (x, y), and of networks that
    know x as well as its column y can tell; with ``sure`` they know where the gaps are."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(240, 2)).round(3).T
    mean = np.abs(2 * y) - 1.5 if curved else 0.8 * y
    x = (mean + 0.6 * x).round(3)
    gap = rng.random(240) < often(gap_of(np.stack([x, y])))
    table = pa.table({"x": pa.array(x, mask=gap), "y": y})
    codec = TableCodec(infer_schema(table)).fit(table)
    bins = codec.bins_[0]
    assert isinstance(bins, ContinuousBins)
    distance = bins.deviations(bins.means) - bins.deviations(mean)[:, None]
    p = bins.mass * np.exp(-((distance * bins.scale / 0.6) ** 2) / 2)
    p /= p.sum(1, keepdims=True)
    missing = np.where(gap, 0.95, 0.05) if sure else np.full(240, gap.mean())
    probabilities = np.column_stack([p * (1 - missing)[:, None], missing])
    return judge(codec, codec.transform(table), np.arange(240) < 60, 0, probabilities)


def test_a_tilt_that_meets_all_criteria_is_kept() -> None:
    judgement = judged(lambda z: 3 * z[0], curved=True)
    assert judgement.failed is None
    assert judgement.tilt is not None
    assert judgement.tilt[-1] > judgement.tilt[0] + 3


@pytest.mark.parametrize(
    ("judgement", "failed"),
    [
        (lambda: judged(lambda z: 0 * z[0], curved=True), "beats_a_constant_rate"),
        (lambda: judged(lambda z: 2 * z[1], curved=False), "beats_other_cells"),
        (lambda: judged(lambda z: 3 * z[0], curved=True, sure=True), "matches_network"),
        (lambda: judged_of_few_rows(1, slope=0.0), "holds_when_unsure"),
    ],
)
def test_the_first_criterion_that_fails_is_named(
    judgement: Callable[[], Judgement], failed: str
) -> None:
    assert judgement() == Judgement(None, failed)


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_a_tilt_of_any_size_gives_probabilities(scale: float) -> None:
    tilt = scale * np.array([-1.0, 0.0, 2.0])
    tilted = MissingnessModel((tilt,)).given_missing(np.full((1, 3), 1 / 3), 0, np.array([True]))
    np.testing.assert_allclose(tilted.sum(1), 1)
    assert (np.diff(tilted[0]) >= 0).all()
    assert np.isfinite(tilted).all()


@pytest.mark.parametrize("terms", [1, 3])
def test_evidence_pays_for_weights_that_explain_nothing(terms: int) -> None:
    rng = np.random.default_rng(0)
    gap, x = rng.random(500) < 0.3, rng.normal(size=(500, terms))
    model = GapModel.fit(lambda weights: (x @ weights, x), terms, gap, bound=4.0)
    likelihood = log_likelihood(gap, model.log_odds).sum()
    assert model.evidence < rate_log_likelihood(gap) < likelihood

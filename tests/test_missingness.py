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
from tabvae_cli.fit import summary

from tabvae import TabVAE
from tabvae.columns.arrow import Floats
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.predict.missingness import MissingnessModel, judge

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


@pytest.mark.parametrize("why", [by_another, by_nothing])
def test_gaps_that_say_nothing_are_let_be(why: Why) -> None:
    model = fitted(why)[2]
    assert missingness(model).most_withheld(model.fitted_.codec) == {}


def test_the_user_is_told_what_is_withheld(tmp_path: Path) -> None:
    model = fitted(by_itself)[2]
    model.save(str(tmp_path / "m.tabvae"))
    said = summary(model, str(tmp_path / "m.tabvae"), 1.0)
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


def withheld_of_few_rows(seed: int, *, slope: float) -> bool:
    """Whether gaps are found to say something, that ``slope`` makes more likely where a number is
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
    return judge(codec, codec.transform(table), unseen, 0, found).tilt is not None


def test_that_observed_cells_are_known_by_heart_is_no_reason() -> None:
    found, missed = (
        sum(withheld_of_few_rows(seed, slope=slope) == wrong for seed in range(12))
        for slope, wrong in ((0.0, True), (2.0, False))
    )
    assert found <= 3
    assert missed == 0

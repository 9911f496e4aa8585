"""Refining: trees mend what the first guess got wrong, and row by row."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae import TabVAE
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.files.frames import to_arrow
from tabvae.fit import validation_rows
from tabvae.imputation.config import Growth, TreeConfig
from tabvae.imputation.grow import grow_numbers
from tabvae.imputation.linear import telling
from tabvae.imputation.refiner import Refiner
from tabvae.imputation.stacking import hide
from tabvae.predict.guess import Guess, NetworkGuess

from .conftest import make_frame
from .helpers import hasty


def guess_the_mean(codec: TableCodec, codes: Codes) -> NetworkGuess:
    """A poor first guess: the column's mean, every category equally likely."""
    counts = (~codes.observed).sum(0)
    guesses = [
        np.zeros(n) if isinstance(b, ContinuousBins) else np.full((n, len(b)), 1 / len(b))
        for n, b in zip(counts, codec.bins_, strict=True)
    ]
    return NetworkGuess(Guess(guesses), Guess(guesses))


@pytest.fixture(scope="module")
def case() -> tuple[TableCodec, Codes, Refiner, pd.DataFrame]:
    rng = np.random.default_rng(0)
    x = rng.normal(size=600).round(2)
    truth = pd.DataFrame(
        {"x": x, "double": 2 * x, "sign": np.where(x > 0, "+", "-"), "noise": rng.normal(size=600)}
    )
    hidden = rng.random(truth.shape) < 0.2
    table = pa.Table.from_pandas(truth.astype(object).mask(hidden).infer_objects())
    codec = TableCodec(infer_schema(table)).fit(table)
    codes = codec.transform(table)
    seen, unseen = codes[:540], codes[540:]
    refiner, _ = Refiner.fit(codec, seen, unseen, lambda c: guess_the_mean(codec, c), seed=0)
    return codec, codes, refiner, truth


def test_cells_that_follow_from_others_are_found(
    case: tuple[TableCodec, Codes, Refiner, pd.DataFrame],
) -> None:
    codec, codes, refiner, truth = case
    guesses = refiner.refine(codec, codes, guess_the_mean(codec, codes))
    gaps = ~codes.observed
    known = codes.observed[gaps[:, 1], 0]
    bins = codec.bins_[1]
    assert isinstance(bins, ContinuousBins)
    found = bins.center + bins.scale * guesses[1]
    error = found - truth["double"].to_numpy()[gaps[:, 1]]
    assert np.sqrt(np.mean(error[known] ** 2)) < 0.3 * bins.scale
    likely = np.array(codec.bins_[2].vocabulary)[guesses[2].argmax(1)]
    known = codes.observed[gaps[:, 2], 0]
    assert (likely == truth["sign"].to_numpy()[gaps[:, 2]])[known].mean() > 0.95


@pytest.mark.parametrize("learned", [0, 1])
def test_a_column_that_only_held_out_rows_know_is_filled(learned: int) -> None:
    rng = np.random.default_rng(0)
    held_out = validation_rows(200, seed=0).numpy()
    others = np.setdiff1d(np.arange(200), held_out)
    known = np.concatenate([held_out[:6], others[:learned]])
    frame = pd.DataFrame({"a": rng.normal(size=200), "rare": np.nan, "word": pd.NA})
    frame["word"] = frame["word"].astype(object)
    frame.loc[known, "rare"] = rng.normal(size=len(known))
    frame.loc[known, "word"] = list("xyxyxyx")[: len(known)]
    with hasty():
        filled = TabVAE(effort="fast").fit(frame).impute(frame)
    assert filled.notna().all(axis=None)


def test_a_row_is_refined_alone_as_among_others(
    case: tuple[TableCodec, Codes, Refiner, pd.DataFrame],
) -> None:
    codec, codes, refiner, _ = case
    together = refiner.refine(codec, codes, guess_the_mean(codec, codes))
    few = codes[np.arange(5)]
    alone = refiner.refine(codec, few, guess_the_mean(codec, few))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_allclose(one, other[: len(one)])


@pytest.mark.parametrize("leverage", [0.1, 1.0])
@pytest.mark.parametrize("cells", [100, 10_000, 10_000_000])
def test_trees_stay_within_the_budget_of_nodes(cells: int, leverage: float) -> None:
    growth = TreeConfig().growth(cells, 10, 1, leverage)
    assert 2 * cells * growth.trees / growth.leaf <= TreeConfig.most_nodes


def test_of_many_columns_the_trees_look_at_those_that_tell() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 400)).astype(np.float32)
    chosen = telling(x, x[:, 317] + 0.5 * x[:, 5], number=True)
    assert len(chosen) == TreeConfig.most_features
    assert {5, 317} <= set(chosen)
    forest = grow_numbers(
        x[:, chosen], x[:, 317], np.zeros(len(chosen), np.int64), Growth(5, 1), seed=0
    )
    whole = forest.among(chosen)
    np.testing.assert_array_equal(whole.predict(x), forest.predict(x[:, chosen]))
    whole.check(400, None)


def test_warning_filters_are_as_before() -> None:
    table = to_arrow(make_frame(2000))
    codec = TableCodec(infer_schema(table)).fit(table)
    codes = codec.transform(table)
    before = list(warnings.filters)
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        inside = list(warnings.filters)
        Refiner.fit(codec, codes, codes[:0], lambda c: guess_the_mean(codec, c), seed=0)
        assert warnings.filters
        assert warnings.filters == inside
    assert not heard
    assert warnings.filters == before


@pytest.mark.parametrize(("gaps", "rounds"), [(0.0, 0), (0.01, 1), (0.05, 2), (0.1, 3), (0.9, 3)])
def test_more_gaps_are_mended_in_more_rounds(gaps: float, rounds: int) -> None:
    assert TreeConfig().rounds_for(gaps) == rounds


@pytest.mark.parametrize("rows", [60, 1000, 100_000])
@pytest.mark.parametrize("leverage", [0.02, 0.1, 0.9])
def test_boosted_trees_stay_within_their_leverage(rows: int, leverage: float) -> None:
    growth, config = Growth(20, 10, leverage=leverage), TreeConfig()
    boosted = growth.boosted_for(rows)
    spent = boosted * config.boosting_rate * growth.boosted_leaves / rows
    assert boosted == 1 or spent <= config.boosted_leverage * leverage + 1e-12


def test_a_trial_hides_cells_of_rows_that_neither_has_learned_from(
    case: tuple[TableCodec, Codes, Refiner, pd.DataFrame],
) -> None:
    codec, codes, refiner, _ = case
    rows = hide(codes[540:], seed=1)
    guesses = guess_the_mean(codec, codes).missing
    trial = refiner.try_on_hidden(codec, rows, lambda c: guess_the_mean(codec, c), guesses, 64)
    assert (trial.complete.observed >= trial.masked.observed).all()
    assert (trial.complete.observed != trial.masked.observed).any()
    assert trial.forests == refiner.forests
    for j, guess in enumerate(trial.guesses):
        assert len(guess) == (~trial.masked.observed[:, j]).sum()
    # A mean is worse than trees where a column follows from another.
    assert trial.stacking.shares[1] < 0.2

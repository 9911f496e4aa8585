"""Draws: each cell as network and trees together believe it, together as the network has it."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import kstest

from tabvae import TabVAE
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.imputation.draws import (
    QUANTILES,
    Recalibration,
    inverse_cdf,
    maximal_coupling,
    pit,
    sharpened,
)
from tabvae.imputation.stacking import StackingWeights, Trial
from tabvae.predict.guess import Guess
from tabvae.predict.sampling import Sample
from tabvae.values.arrow import Floats

ROWS, DRAWS = 4000, 60
TRUST = StackingWeights(np.zeros(3), np.ones(3))


@pytest.fixture(scope="module")
def drawn(model: TabVAE, frame: pd.DataFrame) -> pd.DataFrame:
    return model.impute(frame, draws=DRAWS)


def test_draws_are_on_average_what_is_imputed(
    model: TabVAE, frame: pd.DataFrame, drawn: pd.DataFrame
) -> None:
    filled = model.impute(frame)
    gaps = frame["size"].isna()
    each = drawn.groupby(level=0)["size"]
    wrong = (each.mean() - filled["size"])[gaps]
    assert (wrong.abs() < 0.2 * filled["size"].std()).mean() > 0.95
    assert each.std()[gaps].median() > 0


def test_categories_are_drawn_as_often_as_they_are_probable(
    model: TabVAE, frame: pd.DataFrame, drawn: pd.DataFrame
) -> None:
    for column in ("group", "big"):
        gaps = frame[column].isna()
        probable = model.probabilities(frame, column)[gaps]
        for name in probable:
            share = (drawn[column] == name.split("=")[1]).groupby(level=0).mean()[gaps]
            assert (share - probable[name]).abs().mean() < 0.08


@pytest.fixture(scope="module")
def pair() -> tuple[TableCodec, Codes]:
    """Two numbers and a letter, all of them missing."""
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=ROWS), "y": rng.normal(size=ROWS)}
    table = pa.table({**columns, "letter": rng.choice(list("abc"), ROWS)})
    codec = TableCodec(infer_schema(table)).fit(table)
    codes = codec.transform(table)
    codes.observed[:], codes.missing[:] = False, True
    return codec, codes


def believed(
    codec: TableCodec, mean: float, letters: list[float], scale: float = 1.0
) -> list[Floats]:
    """Of every row: both numbers normal, in deviations; the letters as given."""
    found = [np.array(letters)]
    for coder in codec.bins_[1::-1]:
        assert isinstance(coder, ContinuousBins)
        away = (coder.deviations(coder.means) - mean) / scale
        found.insert(0, coder.mass * np.exp(-(away**2) / 2))
    return [np.tile(p / p.sum(), (ROWS, 1)) for p in found]


def places(probabilities: Floats, at: Floats) -> tuple[np.ndarray, Floats]:
    """Bins and levels within them at the shares ``at`` of a distribution that all rows have."""
    above = np.cumsum(probabilities[0])
    bins = np.searchsorted(above, at).clip(max=len(above) - 1)
    return bins, 1 - (above[bins] - at) / probabilities[0, bins]


def test_what_the_network_knows_of_cells_together_is_kept(
    pair: tuple[TableCodec, Codes],
) -> None:
    codec, codes = pair
    network = believed(codec, 0.0, [0.6, 0.3, 0.1])
    better = believed(codec, 0.7, [0.2, 0.3, 0.5])
    # Both numbers are drawn at the same place, and so is the letter.
    uniform = np.random.default_rng(1).random(ROWS)
    found = [places(p, uniform) for p in network]
    done = codes.copy()
    done.bins[:] = np.stack([bins for bins, _ in found], axis=1)
    levels = np.stack([level for _, level in found], axis=1)
    moved = Recalibration.none().moved(codec, codes, Sample(done, levels), network, better)
    x, y, _ = moved.codes.values.T
    assert np.corrcoef(x, y)[0, 1] > 0.98
    coder = codec.bins_[0]
    assert isinstance(coder, ContinuousBins)
    assert abs(coder.deviations(x).mean() - better[0][0] @ coder.deviations(coder.means)) < 0.05
    letters = moved.codes.bins[:, 2]
    np.testing.assert_allclose(np.bincount(letters) / ROWS, better[2][0], atol=0.03)
    # The likely letter a is given up where it has to be, b never.
    assert (letters[done.bins[:, 2] != 0] == done.bins[done.bins[:, 2] != 0, 2]).all()
    assert (letters == done.bins[:, 2]).mean() == pytest.approx(0.6, abs=0.03)


def some_distributions(bins: int, seed: int = 0) -> tuple[Floats, Floats]:
    """Two (ROWS, bins), all rows alike, with a bin that is never."""
    p = np.random.default_rng(seed).dirichlet(np.ones(bins), size=2)
    p[:, bins // 2] = 0
    one, other = p / p.sum(1, keepdims=True)
    return np.tile(one, (ROWS, 1)), np.tile(other, (ROWS, 1))


@pytest.mark.parametrize("bins", [3, 40])
def test_a_quantile_is_where_its_transform_says(bins: int) -> None:
    p, _ = some_distributions(bins)
    uniforms = np.random.default_rng(1).random(ROWS)
    chosen, inside = inverse_cdf(p, uniforms)
    np.testing.assert_allclose(pit(p, chosen, inside), uniforms, atol=1e-9)
    assert (p[0, chosen] > 0).all()


@pytest.mark.parametrize("bins", [3, 40])
def test_transforms_are_uniform(bins: int) -> None:
    p, _ = some_distributions(bins)
    rng = np.random.default_rng(2)
    cells = rng.choice(bins, ROWS, p=p[0])
    assert kstest(pit(p, cells, rng.random(ROWS)), "uniform").pvalue > 0.01


@pytest.mark.parametrize("bins", [3, 10])
def test_a_coupling_keeps_both_marginals_and_as_many_cells_as_it_can(bins: int) -> None:
    network, better = some_distributions(bins)
    rng = np.random.default_rng(3)
    drawn = rng.choice(bins, ROWS, p=network[0])
    moved, inside = maximal_coupling(network, better, drawn, rng.random(ROWS))
    np.testing.assert_allclose(np.bincount(moved, minlength=bins) / ROWS, better[0], atol=0.03)
    assert (moved == drawn).mean() == pytest.approx(
        np.minimum(network[0], better[0]).sum(), abs=0.03
    )
    assert kstest(inside, "uniform").pvalue > 0.01


def test_a_category_whose_distribution_stays_does_not_move() -> None:
    network, _ = some_distributions(5)
    drawn = np.random.default_rng(4).choice(5, ROWS, p=network[0])
    quantiles = np.random.default_rng(5).random(ROWS)
    moved, inside = maximal_coupling(network, network, drawn, quantiles)
    np.testing.assert_array_equal(moved, drawn)
    np.testing.assert_allclose(inside, quantiles)


@pytest.mark.parametrize(
    "quantiles",
    [np.linspace(0, 1, QUANTILES - 1), np.linspace(1, 0, QUANTILES), np.linspace(0, 2, QUANTILES)],
)
def test_what_is_no_quantiles_is_refused(quantiles: Floats) -> None:
    with pytest.raises(ValueError, match="no quantiles"):
        Recalibration(quantiles)


@pytest.mark.parametrize(("guess", "error"), [(0.4, 1.0), (-1.0, 0.5), (50.0, 0.0), (-50.0, 1.0)])
def test_a_number_is_believed_where_it_is_guessed(
    pair: tuple[TableCodec, Codes], guess: float, error: float
) -> None:
    coder = pair[0].bins_[0]
    assert isinstance(coder, ContinuousBins)
    x = coder.deviations(coder.means)
    network = believed(pair[0], 0.0, [1.0, 0.0, 0.0])[0]
    better = sharpened(coder, network, np.full(ROWS, guess), np.full(ROWS, error))
    np.testing.assert_allclose(better.sum(1), 1)
    np.testing.assert_allclose(better @ x, np.clip(guess, x.min(), x.max()), atol=0.01)


@pytest.mark.parametrize(("scale", "wider"), [(0.3, True), (1.0, False)])
def test_draws_spread_as_hidden_numbers_did(
    pair: tuple[TableCodec, Codes], scale: float, wider: bool
) -> None:
    codec, hidden = pair
    rng = np.random.default_rng(2)
    truth = hidden.copy()
    truth.observed[:] = True
    for j, p in enumerate(believed(codec, 0.0, [1.0, 0.0, 0.0])):
        truth.bins[:, j] = places(p, rng.random(ROWS))[0]
    found = believed(codec, 0.0, [0.5, 0.3, 0.2], scale)
    guesses = [bins.as_guess(p) for bins, p in zip(codec.bins_, found, strict=True)]
    predictor = mock.Mock(codec=codec)
    predictor.distributions.return_value = [(p, p) for p in found]
    trial = Trial(truth, hidden, Guess(guesses), (), 0, TRUST)
    recalibration = Recalibration.fit(predictor, TRUST, trial, 0)
    low, high = recalibration.quantiles[[QUANTILES // 10, -QUANTILES // 10]]
    assert (low < 0.05 and high > 0.95) == wider
    assert abs(recalibration.quantiles[QUANTILES // 2] - 0.5) < 0.05

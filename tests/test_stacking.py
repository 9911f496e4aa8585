"""Blending: each column is left to whoever knows it better."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.imputation.stacking import (
    Quadratic,
    StackingConfig,
    StackingWeights,
    fit_weights,
    hide,
    unobserved_share,
)
from tabvae.predict.guess import Guess, mix

ROWS = 12_000


@pytest.fixture(scope="module")
def case() -> tuple[TableCodec, Codes, Codes]:
    rng = np.random.default_rng(0)
    columns = {
        "one": rng.normal(size=ROWS),
        "other": rng.normal(size=ROWS),
        "letter": rng.choice(list("abc"), ROWS),
        "sign": rng.choice(["+", "-"], ROWS),
    }
    table = pa.table(columns)
    codec = TableCodec(infer_schema(table)).fit(table)
    return codec, *hide(codec.transform(table), seed=0)


def guesses(codec: TableCodec, whole: Codes, hidden: Codes, right: tuple[str, ...]) -> Guess:
    """Nearly the truth for some columns, nothing at all for the others."""
    columns = []
    rng = np.random.default_rng(1)
    for j, (column, coder) in enumerate(zip(codec.columns_, codec.bins_, strict=True)):
        rows = np.flatnonzero(~hidden.observed[:, j])
        if j < 2:
            truth, nothing = codec.deviations(whole)[rows, j], np.zeros(len(rows))
            truth = truth + 0.1 * rng.normal(size=len(rows))
        else:
            truth, nothing = np.eye(len(coder))[whole.bins[rows, j]], np.full(len(coder), 1.0)
            nothing = np.tile(nothing / nothing.sum(), (len(rows), 1))
        columns.append(truth if column.name in right else nothing)
    return Guess(columns)


def test_a_column_is_left_to_whoever_knows_it(case: tuple[TableCodec, Codes, Codes]) -> None:
    codec, whole, hidden = case
    network = guesses(codec, whole, hidden, right=("one", "sign"))
    trees = guesses(codec, whole, hidden, right=("other", "letter"))
    stacking = fit_weights(codec, whole, hidden, network, trees, trees)
    one, other, letter, sign = stacking.shares
    assert one > 0.7 > 0.3 > other
    assert sign > 0.7 > 0.3 > letter
    assert ((stacking.shares >= 0) & (stacking.shares <= 1)).all()
    # The trees add nothing to what the network knows of the one, everything to the other.
    assert stacking.errors[0] > 0.9
    assert stacking.errors[1] < 0.3


def test_without_a_hidden_cell_nothing_is_chosen(case: tuple[TableCodec, Codes, Codes]) -> None:
    codec, whole, hidden = case
    none, same = whole[:0], hidden[:0]
    empty = guesses(codec, none, same, right=())
    stacking = fit_weights(codec, none, same, empty, empty, empty)
    np.testing.assert_array_equal(stacking.shares, StackingConfig.network_share)
    np.testing.assert_array_equal(stacking.errors, StackingConfig.error_before)


def test_whoever_knows_cells_like_the_missing_ones_is_believed(
    case: tuple[TableCodec, Codes, Codes],
) -> None:
    codec, whole, hidden = case
    known = guesses(codec, whole, hidden, right=("one", "other", "letter", "sign"))
    large = known[0] > 0
    trees = [np.where(large, 0.5 * known[0], known[0]), *known[1:]]
    network = Guess([np.where(large, known[0], 0.5 * known[0]), *known.columns[1:]])
    more, less = (
        fit_weights(codec, whole, hidden, network, trees, Guess([some, *known.columns[1:]])).shares[
            0
        ]
        for some in (trees[0][large], trees[0][~large])
    )
    assert more > 0.7 > 0.3 > less


def test_few_cells_are_not_believed(case: tuple[TableCodec, Codes, Codes]) -> None:
    codec, whole, hidden = case
    few, same = whole[:20], hidden[:20]
    network = guesses(codec, few, same, right=("one", "other"))
    trees = guesses(codec, few, same, right=())
    shares = fit_weights(codec, few, same, network, trees, trees).shares
    assert abs(shares[0] - StackingConfig.network_share) < 0.1


def test_few_rows_are_tried_on_several_times_with_other_cells_hidden(
    case: tuple[TableCodec, Codes, Codes],
) -> None:
    whole, hidden = hide(case[1][:100], seed=0)
    assert len(whole) == len(hidden) > 500
    gone = whole.observed & ~hidden.observed
    assert abs(gone.mean() - StackingConfig.hidden_share) < 0.02
    assert (gone[:100] != gone[100:200]).any()
    np.testing.assert_array_equal(whole.bins, hidden.bins)
    assert len(hide(whole[:0], seed=0)[0]) == 0


@pytest.mark.parametrize("shape", [(30,), (30, 4)])
@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_sums_say_what_a_share_loses(shape: tuple[int, ...], share: float) -> None:
    truth, network, trees = np.random.default_rng(0).random((3, *shape))
    weights = np.random.default_rng(1).random(30)
    residual = truth - mix(trees, network, np.full(30, share))
    loss = (weights * (residual**2).reshape(30, -1).sum(1)).sum()
    np.testing.assert_allclose(Quadratic.of(truth, network, trees, weights).loss(share), loss)


def test_the_best_share_loses_least() -> None:
    truth, network, trees = np.random.default_rng(0).normal(size=(3, 30))
    losses = Quadratic.of(truth, network, trees, np.ones(30))
    best = losses.best_share(StackingConfig(cells_borrowed=0, cells_before=0))
    around = best + np.linspace(-0.1, 0.1, 5)
    assert around[losses.loss(around).argmin()] == pytest.approx(best[0])


@pytest.mark.parametrize("before", [0.1, 0.9])
def test_cells_that_are_believed_before_outweigh_few(before: float) -> None:
    truth, network, trees = np.random.default_rng(0).normal(size=(3, 30))
    losses = Quadratic.of(truth, network, trees, np.ones(30))
    config = StackingConfig(network_share=before, cells_before=10**9)
    np.testing.assert_allclose(losses.best_share(config), before, atol=0.06)


@pytest.mark.parametrize(
    ("shares", "errors", "words"),
    [([0.5], [0.5, 0.5], "columns"), ([1.5], [0.5], "no share"), ([0.5], [np.nan], "no share")],
)
def test_weights_that_are_no_shares_are_refused(
    shares: list[float], errors: list[float], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        StackingWeights(np.array(shares), np.array(errors))


def test_the_network_alone_guesses_a_row_of_which_nothing_is_observed() -> None:
    codes = Codes.empty(3, 5)
    codes.observed[1, 1:] = True
    codes.observed[2, 1] = True
    share = unobserved_share(codes)[0]
    np.testing.assert_allclose(share, [1, 0, 0.75**3])
    weights = StackingWeights(np.full(5, 0.2), np.full(5, 0.5))
    np.testing.assert_allclose(weights.shares_in(codes)[0], 0.2 + 0.8 * share)
    np.testing.assert_allclose(weights.errors_in(codes)[0], 0.5 + 0.5 * share)

"""Guesses: mixed, averaged, and put where cells are missing, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.predict import ensemble
from tabvae.predict.guess import NetworkGuess, mix, network_guess
from tabvae.values.arrow import Floats

SHARES = np.array([0.0, 0.25, 1.0])


@pytest.fixture(scope="module")
def case() -> tuple[TableCodec, Codes]:
    """A number and a letter, half of whose cells are missing."""
    rng = np.random.default_rng(0)
    columns = {"x": rng.normal(size=40).round(2), "letter": rng.choice(list("abc"), 40)}
    gaps = rng.random((2, 40)) < 0.5
    table = pa.table(
        {n: pa.array(c, mask=gap) for (n, c), gap in zip(columns.items(), gaps, strict=True)}
    )
    codec = TableCodec(infer_schema(table)).fit(table)
    return codec, codec.transform(table)


def distributions(codec: TableCodec, codes: Codes) -> Iterator[tuple[Floats, Floats]]:
    """Of each unobserved cell: by the other column's bin; surer of missing ones."""
    for j, size in enumerate(codec.sizes):
        others = codes.bins[~codes.observed[:, j], 1 - j]
        sharp = 1.0 + np.eye(size)[others % size]
        as_observed, as_missing = sharp, sharp**2
        yield (
            as_observed / as_observed.sum(1, keepdims=True),
            as_missing / as_missing.sum(1, keepdims=True),
        )


def guess_of(codec: TableCodec, codes: Codes) -> NetworkGuess:
    return NetworkGuess.of(codec, distributions(codec, codes))


@pytest.mark.parametrize("shape", [(3,), (3, 4)])
def test_a_mix_is_one_the_other_or_between(shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    one, other = rng.random((2, *shape))
    mixed = mix(one, other, SHARES)
    np.testing.assert_array_equal(mixed[0], one[0])
    np.testing.assert_array_equal(mixed[2], other[2])
    np.testing.assert_allclose(mixed[1], 0.75 * one[1] + 0.25 * other[1])


def test_a_mean_is_an_even_mix(case: tuple[TableCodec, Codes]) -> None:
    guess = guess_of(*case)
    even = [np.full(len(column), 0.5) for column in guess.missing]
    mixed = guess.missing.mixed(guess.observed, even)
    for one, other in zip(guess.missing.mean(guess.observed), mixed, strict=True):
        np.testing.assert_allclose(one, other)


def test_probabilities_stay_such_when_they_are_mixed(case: tuple[TableCodec, Codes]) -> None:
    guess = guess_of(*case)
    shares = [np.linspace(0, 1, len(column)) for column in guess.missing]
    np.testing.assert_allclose(guess.missing.mixed(guess.observed, shares)[1].sum(1), 1)


def test_a_number_is_guessed_by_its_mean(case: tuple[TableCodec, Codes]) -> None:
    codec, codes = case
    bins = codec.bins_[0]
    probabilities = next(distributions(codec, codes))[0]
    expected = (probabilities @ bins.means - bins.center) / bins.scale  # type: ignore[union-attr]
    np.testing.assert_allclose(guess_of(codec, codes).observed[0], expected)


def test_missing_cells_are_filled_and_no_others(case: tuple[TableCodec, Codes]) -> None:
    codec, codes = case
    filled = codes.copy()
    guess = guess_of(codec, codes).missing
    guess.fill(codec, filled)
    assert filled.observed.all()
    np.testing.assert_array_equal(filled.bins[codes.observed], codes.bins[codes.observed])
    np.testing.assert_array_equal(filled.values[codes.observed], codes.values[codes.observed])
    np.testing.assert_array_equal(filled.bins[~codes.observed[:, 1], 1], guess[1].argmax(1))
    bins = codec.bins_[0]
    number = bins.center + bins.scale * guess[0]  # type: ignore[union-attr]
    np.testing.assert_allclose(filled.values[~codes.observed[:, 0], 0], number)


def test_where_nothing_is_missing_nothing_is_filled(case: tuple[TableCodec, Codes]) -> None:
    codec, codes = case
    complete = codes[codes.observed.all(1)]
    filled = complete.copy()
    guess_of(codec, complete).missing.fill(codec, filled)
    for name, array in vars(complete).items():
        np.testing.assert_array_equal(getattr(filled, name), array)


def test_cells_that_are_not_understood_stay(case: tuple[TableCodec, Codes]) -> None:
    codec, codes = case
    strange = replace(codes, missing=codes.missing.copy()).copy()
    row = int(np.flatnonzero(strange.missing[:, 1])[1])
    strange.missing[row, 1] = False
    guess_of(codec, codes).missing.fill(codec, strange)
    assert not strange.observed[row, 1]
    assert strange.observed.sum() == strange.observed.size - 1


def test_rows_are_guessed_alone_as_in_batches(
    case: tuple[TableCodec, Codes], monkeypatch: pytest.MonkeyPatch
) -> None:
    codec, codes = case
    predictor = mock.Mock(codec=codec)
    predictor.distributions = lambda rows: distributions(codec, rows)
    together = guess_of(codec, codes)
    monkeypatch.setattr("tabvae.predict.guess.batches", lambda rows: ensemble.batches(rows, 7))
    in_batches = network_guess(predictor, codes)
    for side in ("observed", "missing"):
        for one, other in zip(getattr(together, side), getattr(in_batches, side), strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)

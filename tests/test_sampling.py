"""Any-order sampling: what is set, in which order, and from which random numbers."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import ROWS_PER_BLOCK, sample, set_column
from tabvae.values.arrow import Floats, Mask

LETTERS = np.array([0.5, 0.3, 0.2])


class Networks:
    """Say the same of every row, and write down what they were shown."""

    def __init__(self, codec: TableCodec, gap: float = 0.25) -> None:
        self.codec = codec
        self.gap = gap
        self.visible: list[Mask] = []
        self.temperatures: set[float] = set()

    def represent(self, codes: Codes, visible: Mask) -> Mask:
        self.visible.append(visible.copy())
        return visible

    def probabilities(self, layers: Mask, j: int, gaps: bool, temperature: float) -> Floats:
        self.temperatures.add(temperature)
        bins = self.codec.bins_[j]
        p = bins.mass if isinstance(bins, ContinuousBins) else LETTERS
        p = np.append(p * (1 - self.gap), self.gap) if gaps else p
        return np.tile(p, (len(layers), 1))


@pytest.fixture(scope="module")
def codec() -> TableCodec:
    rng = np.random.default_rng(0)
    letters = ["a"] * 50 + ["b"] * 30 + ["c"] * 20
    table = pa.table({"x": rng.normal(size=100).round(1), "letter": letters})
    return TableCodec(infer_schema(table)).fit(table)


def predictor(codec: TableCodec, networks: Networks | None = None) -> Predictor:
    return Predictor(networks or Networks(codec), codec, MissingnessModel.none(codec))  # type: ignore[arg-type]


def test_every_cell_is_set_and_observed_ones_are_kept(codec: TableCodec) -> None:
    codes = Codes.empty(50, 2)
    codes.observed[:25, 1], codes.bins[:25, 1] = True, 2
    done = sample(predictor(codec), codes, (0,), gaps=False).codes
    assert done.observed.all()
    assert (done.bins[:25, 1] == 2).all()
    assert len(np.unique(done.bins[25:, 1])) > 1
    assert not codes.observed[:, 0].any()
    low, high = codec.bins_[0].ends  # type: ignore[union-attr]
    assert (done.values[:, 0] >= low).all()
    assert (done.values[:, 0] <= high).all()


def test_cells_are_as_frequent_as_they_are_probable(codec: TableCodec) -> None:
    done = sample(predictor(codec), Codes.empty(4000, 2), (0,), gaps=True).codes
    np.testing.assert_allclose(done.missing.mean(0), 0.25, atol=0.03)
    letters = done.bins[done.observed[:, 1], 1]
    np.testing.assert_allclose(np.bincount(letters) / len(letters), LETTERS, atol=0.03)


def test_what_is_sampled_is_visible_from_then_on(codec: TableCodec) -> None:
    networks = Networks(codec)
    sample(predictor(codec, networks), Codes.empty(5, 2), (0,), gaps=True, temperature=0.5)
    first, second = networks.visible
    assert not first.any()
    assert (second.sum(1) == 1).all()
    assert networks.temperatures == {0.5}


def test_a_row_does_not_depend_on_how_many_there_are(codec: TableCodec) -> None:
    many = sample(predictor(codec), Codes.empty(ROWS_PER_BLOCK + 20, 2), (7, 1), gaps=True)
    few = sample(predictor(codec), Codes.empty(9, 2), (7, 1), gaps=True)
    np.testing.assert_array_equal(few.codes.bins, many.codes.bins[:9])
    np.testing.assert_array_equal(few.quantiles, many.quantiles[:9])
    later = sample(predictor(codec), Codes.empty(20, 2), (7, 1), gaps=True, first=1)
    np.testing.assert_array_equal(later.codes.values, many.codes.values[ROWS_PER_BLOCK:])


@pytest.mark.parametrize(("seed", "same"), [((3, 0), True), ((3, 1), False), ((4, 0), False)])
def test_another_seed_draws_other_rows(
    codec: TableCodec, seed: tuple[int, int], same: bool
) -> None:
    draws = [
        sample(predictor(codec), Codes.empty(50, 2), s, gaps=False).quantiles
        for s in ((3, 0), seed)
    ]
    assert np.array_equal(*draws) == same


def test_missing_cells_are_drawn_as_missing_ones_are(codec: TableCodec) -> None:
    tilts = (np.zeros(codec.sizes[0]), np.array([0.0, 0.0, 50.0]))
    tilted = Predictor(mock.Mock(wraps=Networks(codec)), codec, MissingnessModel(tilts))
    codes = Codes.empty(40, 2)
    codes.missing[:20, 1] = True
    letters = sample(tilted, codes, (0,), gaps=False).codes.bins[:, 1]
    assert (letters[:20] == 2).all()
    assert (letters[20:] != 2).any()


def test_the_state_missing_leaves_nothing_of_a_cell(codec: TableCodec) -> None:
    codes = Codes.empty(2, 2)
    size = codec.sizes[0]
    set_column(codec, codes, 0, np.array([0, 1]), np.array([size, 0]), np.array([0.5, 0.0]))
    assert codes.missing[:, 0].tolist() == [True, False]
    assert codes.observed[:, 0].tolist() == [False, True]
    assert np.isnan(codes.values[0, 0])
    assert codes.scores[0, 0] == 0
    assert codes.values[1, 0] == codec.bins_[0].ends[0]  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [1, 3, 10])
def test_batches_cover_all_rows_once(size: int) -> None:
    rows = np.concatenate([np.arange(10)[part] for part in batches(10, size)])
    np.testing.assert_array_equal(rows, np.arange(10))


def test_a_bin_of_no_probability_is_not_drawn() -> None:
    p = np.tile([0.0, 0.5, 0.0, 0.5, 0.0], (5, 1))
    bins = sample_bins(p, np.array([1e-9, 0.25, 0.5, 0.75, 1.0]))
    np.testing.assert_array_equal(bins, [1, 1, 1, 3, 3])

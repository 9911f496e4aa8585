"""The table of scores: what each needs, and what holds for all of them."""

from __future__ import annotations

from dataclasses import replace
from unittest import mock

import numpy as np
import pyarrow as pa
import pytest

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import ParameterError
from tabvae.network.objective import Objective
from tabvae.predict.density import Density
from tabvae.tasks.detect import DetectConfig
from tabvae.tasks.diagnostics import _calibrated
from tabvae.tasks.scores import (
    SCORES,
    Examined,
    _log_volume,
    chosen_score,
    known_scores,
)

from .predictors import encoded, mixed_table, untrained

PLAIN = Objective(model="ae")


@pytest.fixture(scope="module")
def examined() -> Examined:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec, nets=2)
    density = Density.fit(predictor, codes[:-50], codes[-50:], codes)
    scales, calibrations = _calibrated(predictor, codes, codes, density)
    return Examined(predictor, codes, scales, density, calibrations)


@pytest.mark.parametrize("name", SCORES)
def test_every_score_is_a_number_for_every_row(name: str, examined: Examined) -> None:
    scores = SCORES[name].rows(examined)
    assert scores.shape == (len(examined.codes),)
    assert np.isfinite(scores).all()
    assert len(np.unique(scores)) > 1


@pytest.mark.parametrize("name", SCORES)
def test_a_row_scores_the_same_in_any_company(name: str, examined: Examined) -> None:
    together = SCORES[name].rows(examined)
    alone = SCORES[name].rows(replace(examined, codes=examined.codes[np.array([7, 3])]))
    np.testing.assert_allclose(alone, together[[7, 3]], rtol=1e-9)


@pytest.mark.parametrize("name", SCORES)
def test_a_row_without_a_cell_has_a_score(name: str, examined: Examined) -> None:
    empty = Codes.empty(2, 3)
    empty.missing[:] = True
    scores = SCORES[name].rows(replace(examined, codes=empty))
    assert np.isfinite(scores).all()
    if not SCORES[name].needs_density:
        np.testing.assert_allclose(scores, 0, atol=1e-9)


def test_surprise_is_measured_once_and_only_where_it_is_asked_for(examined: Examined) -> None:
    fresh = replace(examined)
    with mock.patch("tabvae.tasks.scores.surprise", return_value=examined.surprise) as measure:
        for name in ("likelihood", "reconstruction", "latent", "density"):
            SCORES[name].rows(fresh)
        assert measure.call_count == 0
        SCORES["surprise"].rows(fresh)
        assert fresh.surprise.attribution.shape == fresh.codes.bins.shape
        assert measure.call_count == 1


def test_more_samples_of_z_make_a_row_no_less_likely_on_average(examined: Examined) -> None:
    few, many = (
        SCORES["likelihood"].rows(replace(examined, config=DetectConfig(samples=n))).mean()
        for n in (1, 200)
    )
    assert many < few


@pytest.mark.parametrize(
    ("objective", "names"),
    [
        (Objective(), list(SCORES)),
        (PLAIN, ["surprise", "reconstruction", "density", "combined"]),
        (Objective(model="dae"), ["surprise", "reconstruction", "density", "combined"]),
    ],
)
def test_a_model_without_a_distribution_lacks_the_scores_that_need_it(
    objective: Objective, names: list[str], examined: Examined
) -> None:
    ensemble = untrained(examined.predictor.codec, objective).networks
    density = examined.density
    assert list(known_scores(ensemble, density)) == names
    assert chosen_score(ensemble, density, None).name == "combined"
    for name in names:
        assert chosen_score(ensemble, density, name) is SCORES[name]
    for name in set(SCORES) - set(names):
        with pytest.raises(ParameterError, match="no distribution"):
            chosen_score(ensemble, density, name)


def test_a_model_without_a_density_lacks_the_scores_that_need_it(examined: Examined) -> None:
    networks = examined.predictor.networks
    known = known_scores(networks, None)
    assert set(SCORES) - set(known) == {"density", "combined"}
    assert chosen_score(networks, None, None) is SCORES["surprise"]
    with pytest.raises(ParameterError, match="knows no density"):
        chosen_score(networks, None, "combined")


def test_an_unknown_score_is_refused_with_a_near_one(examined: Examined) -> None:
    with pytest.raises(ParameterError, match="no score 'suprise'") as error:
        chosen_score(examined.predictor.networks, None, "suprise")
    assert error.value.hint is not None
    assert "surprise" in error.value.hint


def test_images_are_scored_by_what_the_code_restores() -> None:
    ensemble = mock.Mock(nets=[mock.Mock()])
    assert chosen_score(ensemble, None, None) is SCORES["reconstruction"]
    ensemble.nets[0].sizes.grid = None
    assert chosen_score(ensemble, None, None) is SCORES["surprise"]


def of_numbers(values: np.ndarray) -> tuple[TableCodec, Codes]:
    return encoded(pa.table({"x": values, "y": np.random.default_rng(1).normal(size=len(values))}))


def test_the_volume_of_a_row_does_not_depend_on_units() -> None:
    values = np.random.default_rng(0).gamma(2, size=300)
    volumes = [_log_volume(*of_numbers(scale * values), 1e-6) for scale in (1.0, 1000.0)]
    np.testing.assert_allclose(*volumes, rtol=1e-6)


def test_a_number_beyond_its_column_is_odder_the_farther_it_is() -> None:
    codec, codes = of_numbers(np.random.default_rng(0).normal(size=300))
    bins, beyond = codec.bins_[0], np.array([0.0, 1.0, 5.0])
    rows = codes[np.full(3, int(codes.values[:, 0].argmax()))]
    rows.values[:, 0] = bins.ends[1] + beyond * bins.scale
    volumes = _log_volume(codec, rows, 1e-6)
    np.testing.assert_allclose(volumes - volumes[0], beyond)


def test_categories_and_gaps_have_no_volume() -> None:
    codec, codes = encoded(mixed_table(gaps=0.5))
    empty = ~codes.observed[:, :2].any(1)
    assert empty.any()
    assert (_log_volume(codec, codes, 1e-6)[empty] == 0).all()

"""P-values are uniform over rows like those of the table; the card keeps what they rest on."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import genpareto, kstest

from tabvae.predict.calibration import (
    QUANTILES,
    TAIL_SHARE,
    Calibration,
    CalibrationConfig,
    Shift,
    as_of_new_rows,
)
from tabvae.predict.density import Density
from tabvae.tasks.detect import UNITS, DetectConfig
from tabvae.tasks.diagnostics import Card, _calibrated, ordinary_rows
from tabvae.tasks.scores import SCORES

from .predictors import encoded, mixed_table, untrained

Draw = Callable[[np.random.Generator, int], np.ndarray]
DRAWS: dict[str, Draw] = {
    "gamma": lambda rng, n: rng.gamma(4, size=n),
    "lognormal": lambda rng, n: rng.lognormal(0, 2, n),
    "normal": lambda rng, n: rng.normal(-50, 3, n),
}


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
def test_p_values_of_validation_rows_are_uniform(draw: Draw) -> None:
    rng = np.random.default_rng(0)
    p_values = Calibration.measure(draw(rng, 4000)).p_values(draw(rng, 4000))
    assert kstest(p_values, "uniform").statistic < 0.04


@pytest.mark.parametrize("draw", DRAWS.values(), ids=DRAWS)
@pytest.mark.parametrize("rows", [9, 120, 3000])
def test_p_values_fall_with_the_score_and_stay_within_bounds(draw: Draw, rows: int) -> None:
    rng = np.random.default_rng(0)
    calibration = Calibration.measure(draw(rng, rows))
    p_values = calibration.p_values(np.sort(draw(rng, 200)))
    assert (np.diff(p_values) <= 0).all()
    assert p_values.min() >= calibration.least > 0
    assert p_values.max() <= 1


def test_scores_that_many_rows_share_are_not_called_rare() -> None:
    scores = np.repeat([0.0, 1.0, 2.0], [700, 200, 100])
    p_values = Calibration.measure(scores).p_values(np.array([0.0, 1.0, 2.0]))
    assert (np.diff(p_values) < 0).all()
    assert p_values[0] > 0.25


@pytest.mark.parametrize("rows", [99, 500, 5000])
def test_as_many_new_rows_are_flagged_as_was_asked(rows: int) -> None:
    rng = np.random.default_rng(0)
    flagged = {0.01: 0.0, 0.05: 0.0, 0.5: 0.0}
    for _ in range(200):
        calibration = Calibration.measure(rng.gamma(4, size=rows))
        p_values = calibration.p_values(rng.gamma(4, size=500))
        for asked in flagged:
            flagged[asked] += float((p_values <= asked).mean()) / 200
    for asked, share in flagged.items():
        assert 0.8 * asked < share < 1.3 * asked


def test_no_p_value_is_smaller_than_the_rows_it_rests_on_can_tell() -> None:
    p_values = Calibration.measure(np.arange(99.0)).p_values(np.array([98.5, 1e9]))
    np.testing.assert_allclose(p_values, 0.01)


def test_a_tail_of_an_earlier_format_tells_any_p_value() -> None:
    quantiles = np.linspace(0, 1, QUANTILES)
    calibration = Calibration(1000, quantiles, tail=(0.2, 0.9, 0.05))
    beyond = np.array([0.95, 2.0, 50.0])
    expected = TAIL_SHARE * genpareto.sf(beyond - 0.9, 0.2, scale=0.05)
    np.testing.assert_allclose(calibration.p_values(beyond), expected)
    assert calibration.least == 0
    without = Calibration(1000, quantiles).p_values(np.array([0.5]))
    np.testing.assert_allclose(calibration.p_values(np.array([0.5])), without)


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"quantiles": np.zeros(QUANTILES - 1)},
        {"quantiles": -np.arange(float(QUANTILES))},
        {"tail": (-0.1, 0.0, 1.0)},
        {"tail": (0.1, 0.0, 0.0)},
    ],
)
def test_a_calibration_that_none_can_be_is_refused(wrong: dict[str, object]) -> None:
    right = {"rows": 9, "quantiles": np.zeros(QUANTILES), "tail": None}
    with pytest.raises(ValueError, match="a calibration"):
        Calibration(**{**right, **wrong})  # type: ignore[arg-type]


@pytest.mark.parametrize("shift", Shift)
def test_scores_of_rows_learned_by_heart_are_moved_to_validation_rows(shift: Shift) -> None:
    rng = np.random.default_rng(0)
    learned, validation = rng.gamma(4, size=900), rng.gamma(4, size=400)
    validation = validation + 2 if shift is Shift.AMOUNT else 2 * validation
    moved = as_of_new_rows(learned, validation, shift)
    middle = [float(np.median(scores)) for scores in (learned, moved, validation)]
    assert abs(middle[1] - middle[2]) < 0.3 * abs(middle[0] - middle[2])
    np.testing.assert_allclose(as_of_new_rows(learned, learned, shift), learned)


@pytest.mark.parametrize("shift", Shift)
def test_a_shift_is_believed_the_more_the_more_validation_rows_show_it(shift: Shift) -> None:
    learned = np.full(500, 1.0)
    medians = [
        float(np.median(as_of_new_rows(learned, np.full(rows, 3.0), shift)))
        for rows in (1, 10, 100, 10_000)
    ]
    assert medians == sorted(medians)
    assert 1 < medians[0] < 1.1
    assert 2.9 < medians[-1] < 3
    config = CalibrationConfig(rows_believed=0)
    np.testing.assert_allclose(as_of_new_rows(learned, np.full(1, 3.0), shift, config), 3)


@pytest.mark.parametrize("shift", Shift)
def test_scores_of_zero_are_moved_to_finite_ones(shift: Shift) -> None:
    moved = as_of_new_rows(np.zeros(50), np.ones(50), shift)
    assert np.isfinite(moved).all()


@pytest.mark.parametrize("enough", [5, 10_000])
def test_every_score_of_a_model_is_calibrated(enough: int) -> None:
    codec, codes = encoded(mixed_table())
    config = CalibrationConfig(enough_rows=enough, most_rows=60)
    predictor, validation = untrained(codec), codes[:20]
    ordinary = ordinary_rows(codes, validation, config)
    density = Density.fit(predictor, codes[20:], validation, ordinary)
    scales, calibrations = _calibrated(predictor, ordinary, validation, density, config)
    assert scales.shape == (UNITS, DetectConfig().masks, 3)
    assert list(calibrations) == list(SCORES)
    rows = 20 if enough == 5 else 60
    assert {calibration.rows for calibration in calibrations.values()} == {rows}


def test_a_card_without_validation_rows_measures_the_table() -> None:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec)
    card = Card.measure(predictor, codes, codes, codes[:0], [])
    np.testing.assert_allclose(card.kl, predictor.networks.kl(codes).mean(0))
    assert card.leakage is None


@pytest.mark.parametrize("scales", [np.ones((UNITS, 3, 2)), np.zeros((UNITS, 32, 2))])
def test_a_card_of_other_scales_is_refused(scales: np.ndarray) -> None:
    with pytest.raises(ValueError, match="residual deviations"):
        Card((), np.zeros(0), scales, {})

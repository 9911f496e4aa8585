"""Detection: what is hidden, how surprise is measured, what a row's score is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tabvae import TabVAE
from tabvae.errors import ParameterError
from tabvae.tasks.calibration import Calibration, Shift, as_of_new_rows
from tabvae.tasks.detect import DetectConfig, attribution, masks, row_scores
from tabvae.tasks.scores import SCORES


@pytest.mark.parametrize("columns", [2, 5, 32, 33, 400])
def test_looks_hide_everything_first_and_every_column_often(columns: int) -> None:
    hidden = masks(columns)
    assert hidden[0].all()
    assert hidden.any(1).all()
    assert (np.diff(hidden.sum(1)) <= 0).all()
    assert hidden.sum(0).min() >= DetectConfig().masks // 4


def test_small_tables_have_every_cell_predicted_from_all_others() -> None:
    alone = masks(5)[masks(5).sum(1) == 1]
    assert alone.any(0).all()


def test_one_very_odd_cell_counts_more_than_many_slightly_odd_ones() -> None:
    scores = row_scores(np.array([[9.0, 0.0, 0.0], [3.0, 3.0, 3.0]]))
    assert scores[0] > scores[1]


def test_missing_cells_are_left_out_of_the_score() -> None:
    scores = row_scores(np.array([[2.0, np.nan], [2.0, 2.0], [np.nan, np.nan]]))
    assert scores.tolist() == [2.0, 2.0, 0.0]


def test_a_cell_that_makes_others_look_odd_is_to_blame_for_them() -> None:
    hidden = masks(4).astype(float)
    # The others are odd, and odder than the first, wherever they are predicted from it.
    odd = np.where(hidden[:, :1] == 0, 1.0, 0.0) * hidden
    odd[:, 0] = 0.2 * hidden[:, 0]
    own = odd.sum(0, keepdims=True) / hidden.sum(0)
    found = attribution(own, odd.sum(1)[None], hidden, np.ones((1, 4), dtype=bool), 4.0)
    assert own.argmax() != 0
    assert found.argmax() == 0


@pytest.mark.parametrize("score", [s for s in SCORES if s != "latent"])
def test_a_score_finds_a_row_that_fits_nowhere(
    score: str, model: TabVAE, frame: pd.DataFrame
) -> None:
    odd = frame.dropna().head(60).copy()
    odd.iloc[0, list(odd.columns).index("size")] = 400.0
    odd.iloc[0, list(odd.columns).index("count")] = 90.0
    found = model.detect(odd, score=score)
    assert found["score"].idxmax() == odd.index[0]
    assert found["p_value"].iloc[0] < 0.05
    assert found["p_value"].iloc[1:].mean() > 0.2


@pytest.mark.parametrize("score", SCORES)
def test_a_row_scores_the_same_alone(score: str, model: TabVAE, frame: pd.DataFrame) -> None:
    found = model.detect(frame, score=score)
    alone = model.detect(frame.iloc[[7]], score=score)
    assert alone["score"].iloc[0] == pytest.approx(found["score"].iloc[7], rel=1e-6)
    assert found["p_value"].between(0, 1).all()
    assert 0.3 < found["p_value"].median() < 0.7


@pytest.mark.usefixtures("few_trees")
def test_a_plain_autoencoder_says_which_scores_it_has(frame: pd.DataFrame) -> None:
    plain = TabVAE(model="ae", effort="fast").fit(frame)
    assert plain.detect(frame, score="reconstruction")["score"].notna().all()
    for score in ("likelihood", "latent"):
        with pytest.raises(ParameterError, match="no distribution"):
            plain.detect(frame, score=score)


@pytest.mark.parametrize("rows", [99, 500, 5000])
def test_as_many_new_rows_are_flagged_as_was_asked(rows: int) -> None:
    rng = np.random.default_rng(0)
    flagged = {0.01: 0.0, 0.05: 0.0, 0.5: 0.0}
    for _ in range(200):
        calibration = Calibration.measure(rng.gamma(4, size=rows))
        p_values = calibration.p_values(np.sort(rng.gamma(4, size=500)))
        assert (np.diff(p_values) <= 0).all()
        for asked in flagged:
            flagged[asked] += float((p_values <= asked).mean()) / 200
    for asked, share in flagged.items():
        assert 0.8 * asked < share < 1.3 * asked


def test_no_p_value_is_smaller_than_the_rows_it_rests_on_can_tell() -> None:
    p_values = Calibration.measure(np.arange(99.0)).p_values(np.array([98.5, 1e9]))
    np.testing.assert_allclose(p_values, 0.01)


@pytest.mark.parametrize("shift", Shift)
def test_scores_of_rows_learned_by_heart_are_moved_to_held_out_ones(shift: Shift) -> None:
    rng = np.random.default_rng(0)
    known, held_out = rng.gamma(4, size=900), rng.gamma(4, size=400)
    held_out = held_out + 2 if shift is Shift.AMOUNT else 2 * held_out
    moved = as_of_new_rows(known, held_out, shift)
    middle = [float(np.median(scores)) for scores in (known, moved, held_out)]
    assert abs(middle[1] - middle[2]) < 0.3 * abs(middle[0] - middle[2])
    np.testing.assert_allclose(as_of_new_rows(known, known, shift), known)

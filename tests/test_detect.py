"""Detection: what is hidden, how surprise is measured, what a row's score is."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from tabvae import TabVAE
from tabvae.errors import ParameterError
from tabvae.tasks.detect import (
    UNITS,
    DetectConfig,
    attribution,
    explain,
    masks,
    residual_scales,
    row_scores,
    surprise,
)
from tabvae.tasks.scores import SCORES

from .predictors import encoded, mixed_table, untrained


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


def test_attribution_is_its_formula() -> None:
    rng = np.random.default_rng(0)
    masked = masks(5, DetectConfig(masks=7))
    observed = rng.random((6, 5)) < 0.8
    surprise = rng.exponential(size=(7, 6, 5)) * masked[:, None] * observed
    logs = surprise.sum(0) / masked.sum(0)
    found = attribution(logs, surprise.sum(2).T, masked.astype(float), observed, 4.0)
    for i, j in zip(*np.nonzero(observed), strict=True):
        sides = []
        for where in (~masked[:, j], masked[:, j]):
            excess = cells = 0.0
            for mask in np.flatnonzero(where):
                others = masked[mask] & observed[i]
                excess += surprise[mask, i].sum() - logs[i, others].sum()
                cells += others.sum() - (others[j] if masked[mask, j] else 0)
            sides.append(excess / max(cells, 1))
        assert found[i, j] == pytest.approx(logs[i, j] * (1 + 4 * (sides[0] - sides[1])))


@pytest.mark.parametrize("nets", [1, 2])
def test_residual_scales_are_in_the_units_of_their_column(nets: int) -> None:
    table = mixed_table()
    large = table.set_column(0, "size", pc.multiply(table["size"], 1000.0))
    scales = []
    for each in (table, large):
        codec, codes = encoded(each)
        scales.append(residual_scales(untrained(codec, nets=nets), codes))
    assert scales[0].shape == (UNITS, DetectConfig().masks, 3)
    np.testing.assert_allclose(scales[1][0, :, 0], 1000 * scales[0][0, :, 0], rtol=1e-6)
    np.testing.assert_allclose(scales[1][1], scales[0][1], rtol=1e-6)
    assert (scales[0][:, :, 2] == 1).all()


def test_masks_borrow_from_each_other_what_few_rows_do_not_tell() -> None:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec)
    spreads = []
    for borrowed in (1, 20, 10**9):
        config = DetectConfig(rows_borrowed=borrowed, masks=3)
        scales = residual_scales(predictor, codes[:9], config)
        spreads.append(np.ptp(np.log(scales[0, :, 0])))
    assert spreads[0] > spreads[1] > spreads[2]
    assert spreads[2] == pytest.approx(0, abs=1e-6)


def test_a_cell_that_says_nothing_is_as_rare_as_one_and_a_gap_has_no_surprise() -> None:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec)
    codes.observed[0], codes.missing[0] = False, [True, False, False]
    found = surprise(predictor, codes, residual_scales(predictor, codes))
    assert np.isnan(found.cells[codes.missing]).all()
    assert np.isnan(found.attribution[codes.missing]).all()
    np.testing.assert_allclose(found.cells[0, 1:], np.log1p(codec.schema.rows))


@pytest.mark.parametrize("cells", [1, 2, 3])
def test_as_many_cells_are_named_as_asked_the_oddest_first(cells: int) -> None:
    table = mixed_table(gaps=0)
    codec, codes = encoded(table)
    attribution = np.tile([0.1, 0.3, 0.2], (len(codes), 1))
    config = DetectConfig(cells_shown=cells)
    named = pa.table(explain(untrained(codec), table, codes, attribution, config))
    assert named.num_columns == 3 * cells
    for row, found in enumerate(named.to_pylist()):
        names = [found[f"column_{rank}"] for rank in range(1, cells + 1)]
        kept = [name for name in names if name is not None]
        assert kept == [name for name in ("weight", "colour", "size") if name in kept]
        assert names == kept + [None] * (cells - len(kept))
        for rank, name in enumerate(kept, start=1):
            assert found[f"observed_{rank}"] == str(table[name][row].as_py())
            assert found[f"observed_{rank}"] != found[f"expected_{rank}"]

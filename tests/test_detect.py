"""Detection: what is hidden, how surprise is measured, what a row's score is."""

from __future__ import annotations

import numpy as np
import pytest

from tabvae.detect import LOOKS, looks, row_scores


@pytest.mark.parametrize("columns", [2, 5, 32, 33, 400])
def test_looks_hide_everything_first_and_every_column_often(columns: int) -> None:
    hidden = looks(columns)
    assert hidden[0].all()
    assert hidden.any(1).all()
    assert (np.diff(hidden.sum(1)) <= 0).all()
    assert hidden.sum(0).min() >= LOOKS // 4


def test_small_tables_have_every_cell_predicted_from_all_others() -> None:
    alone = looks(5)[looks(5).sum(1) == 1]
    assert alone.any(0).all()


def test_one_very_odd_cell_counts_more_than_many_slightly_odd_ones() -> None:
    scores = row_scores(np.array([[9.0, 0.0, 0.0], [3.0, 3.0, 3.0]]))
    assert scores[0] > scores[1]


def test_missing_cells_are_left_out_of_the_score() -> None:
    scores = row_scores(np.array([[2.0, np.nan], [2.0, 2.0], [np.nan, np.nan]]))
    assert scores.tolist() == [2.0, 2.0, 0.0]

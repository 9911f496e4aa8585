"""Columns of few whole numbers: ratings and counts have an order, labels have none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tabvae import TabVAE
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import ColumnKind
from tabvae.files.frames import to_arrow
from tabvae.imputation.order import labels

from .helpers import hasty, tabvae

ROWS = 600


def frame_of(of: str, gaps: float = 0.0) -> pd.DataFrame:
    """A column of numbers that others tell: by regions, or by an order."""
    rng = np.random.default_rng(0)
    if of == "labels":
        code = rng.integers(1, 7, ROWS)
        east, north = rng.permutation(6)[code - 1], rng.permutation(6)[code - 1]
    else:
        code = rng.binomial(5, 0.5, ROWS) + 1
        east = north = code
    frame = pd.DataFrame(
        {
            "code": code,
            "east": (east + rng.normal(0, 0.6, ROWS)).round(2),
            "north": (north + rng.normal(0, 0.6, ROWS)).round(2),
            "other": rng.normal(0, 1, ROWS).round(2),
        }
    )
    return frame.mask(rng.random(frame.shape) < gaps)


def found(frame: pd.DataFrame) -> list[str]:
    table = to_arrow(frame)
    codec = TableCodec(infer_schema(table)).fit(table)
    return labels(codec, codec.transform(table), seed=0)


@pytest.mark.parametrize("gaps", [0.0, 0.2])
@pytest.mark.parametrize(("of", "names"), [("labels", ["code"]), ("order", [])])
def test_labels_are_told_from_an_order_by_the_other_columns(
    of: str, names: list[str], gaps: float
) -> None:
    assert found(frame_of(of, gaps)) == names


def test_a_column_that_nothing_tells_of_stays_one_of_numbers() -> None:
    frame = frame_of("labels").assign(code=np.random.default_rng(1).integers(1, 7, ROWS))
    assert found(frame) == []


@pytest.mark.parametrize("written", ["plain", "with points", "many", "rare"])
def test_numbers_that_are_no_labels_are_not_tried(written: str) -> None:
    frame = frame_of("labels")
    frame["code"] = {
        "plain": frame["code"],
        "with points": frame["code"] + 0.5,
        "many": frame["code"] * 10 + np.random.default_rng(2).integers(0, 9, ROWS),
        "rare": frame["code"].where(frame.index > 5, 90 + frame.index),
    }[written]
    assert found(frame) == (["code"] if written == "plain" else [])


def test_labels_are_filled_with_labels_and_come_back_as_they_were(tmp_path: Path) -> None:
    given = frame_of("labels", gaps=0.15).astype({"code": "Int64"})
    given.to_csv(tmp_path / "a.csv", index=False)
    with hasty():
        assert tabvae(tmp_path, "fit", "a.csv", "--effort", "fast").code == 0
    shown = tabvae(tmp_path, "inspect", "a.tabvae", COLUMNS="200").out
    assert "better predicted as labels than by order" in shown
    filled = tabvae(tmp_path, "impute").frame()["code"]
    assert set(filled) <= set("123456")
    missing = given["code"].isna().to_numpy()
    assert (filled[~missing].astype(int).to_numpy() == given["code"][~missing]).all()
    truth = frame_of("labels")["code"][missing]
    assert (filled[missing].astype(int).to_numpy() == truth).mean() > 0.6
    with hasty():
        told = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast", "--numeric", "code", "--force")
    assert "4 numeric" in told.err


def test_where_all_numbers_come_again_those_that_are_filled_in_do_too() -> None:
    rng = np.random.default_rng(0)
    size = rng.choice([1, 2, 5, 10, 20], ROWS)
    frame = pd.DataFrame({"size": size, "weight": (size + rng.normal(0, 3, ROWS)).round(2)})
    frame["size"] = frame["size"].mask(rng.random(ROWS) < 0.2)
    with hasty():
        model = TabVAE(effort="fast").fit(frame)
    assert model.fitted_.schema["size"].kind is ColumnKind.NUMERIC
    assert set(model.impute(frame)["size"]) <= {1, 2, 5, 10, 20}

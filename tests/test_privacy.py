"""What a model file does not hold."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.infer import infer_column
from tabvae.columns.privacy import PrivacyConfig, microaggregate
from tabvae.files import container
from tabvae.files.frames import to_arrow

from .conftest import make_frame
from .helpers import hasty, tabvae

pytestmark = pytest.mark.usefixtures("quick")


def numbers(path: Path) -> np.ndarray:
    """Every number in a model file."""
    document, arrays = container.read(str(path))
    stored = [
        float(c[k]) for c in document["schema"]["columns"] for k in ("minimum", "maximum") if c[k]
    ]
    return np.concatenate([stored, *(a.ravel().astype(float) for a in arrays.values())])


@pytest.fixture(scope="module")
def odd() -> pd.DataFrame:
    """A table in which one row is the richest, the poorest, and of a rare group."""
    frame = make_frame(400)
    rng = np.random.default_rng(0)
    frame["income"] = np.round(rng.lognormal(10, 1, len(frame)), 2)
    frame["group"] = frame["group"].astype(object)
    frame.loc[17, "income"] = 98765432.1
    frame.loc[18, "income"] = 1.23
    frame.loc[19:21, "group"] = "hermits"
    return frame


@pytest.fixture(scope="module")
def saved(odd: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("privacy") / "a.tabvae"
    with hasty():
        TabVAE(effort="fast").fit(odd).save(str(path))
    return path


@pytest.fixture(scope="module")
def guarded(odd: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("privacy") / "b.tabvae"
    with hasty():
        TabVAE(effort="fast", min_count=10).fit(odd).save(str(path))
    return path


def test_the_least_and_the_largest_number_are_not_in_the_file(
    odd: pd.DataFrame, saved: Path
) -> None:
    held = numbers(saved)
    assert not np.isin([98765432.1, 1.23], held).any()
    assert b"98765432" not in saved.read_bytes()
    # The range is still that of the table, but for its ends.
    column = TabVAE.load(str(saved)).fitted_.schema["income"]
    assert column.minimum is not None
    assert column.maximum is not None
    ordered = np.sort(odd["income"])
    assert ordered[0] < column.minimum < ordered[10]
    assert ordered[-10] < column.maximum < ordered[-1]


def test_no_identifier_is_in_the_file_or_in_generated_rows(odd: pd.DataFrame, saved: Path) -> None:
    content = saved.read_bytes()
    assert not [i for i in odd["id"] if i.encode() in content]
    made = TabVAE.load(str(saved)).generate(50)
    assert made["id"].is_unique
    assert not made["id"].isin(odd["id"]).any()


def test_a_rare_category_is_kept_unless_asked_otherwise(saved: Path, guarded: Path) -> None:
    assert b"hermits" in saved.read_bytes()
    assert b"hermits" not in guarded.read_bytes()


def test_min_count_keeps_no_number_of_fewer_cells(odd: pd.DataFrame, guarded: Path) -> None:
    knots = container.read(str(guarded))[1]
    names = [c.name for c in TabVAE.load(str(guarded)).fitted_.schema.modelled]
    income = knots[f"column.{names.index('income')}.knots"]
    counts = odd["income"].value_counts()
    assert not np.isin(counts.index[counts < 10], income).any()


def test_rare_categories_stay_in_the_table_and_are_never_generated(
    odd: pd.DataFrame, guarded: Path
) -> None:
    model = TabVAE.load(str(guarded))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        filled = model.impute(odd)
    assert (filled["group"] == "hermits").sum() == 3
    assert filled["group"].notna().all()
    assert not (model.generate(500)["group"] == "hermits").any()


def test_a_column_of_rare_values_alone_is_carried_through(odd: pd.DataFrame) -> None:
    frame = odd.assign(code=[f"{i % 100}x" for i in range(len(odd))])
    model = TabVAE(effort="fast", min_count=10).fit(frame)
    assert "10 times" in model.fitted_.schema["code"].reason
    pd.testing.assert_series_equal(model.impute(frame)["code"], frame["code"])


def test_min_count_on_the_command_line(tmp_path: Path, odd: pd.DataFrame) -> None:
    odd.to_csv(tmp_path / "a.csv", index=False)
    assert tabvae(tmp_path, "fit", "a.csv", "--effort", "fast", "--min-count", "10").code == 0
    assert b"hermits" not in (tmp_path / "a.tabvae").read_bytes()
    assert tabvae(tmp_path, "fit", "a.csv", "--min-count", "0").code == 2


@given(st.lists(st.integers(-50, 50), min_size=1, max_size=200), st.integers(2, 20))
def test_every_microaggregated_number_stands_for_enough_cells(
    values: list[int], min_count: int
) -> None:
    frame = pd.DataFrame({"x": np.array(values, dtype=float)})
    array = to_arrow(frame).column("x").combine_chunks()
    column = infer_column("x", array, array.type, (), None)
    if column.numbers is None:
        return
    kept = microaggregate(column, np.array(values, dtype=float), min_count)
    assert len(kept) <= len(values)
    assert min(values) <= kept[0] <= kept[-1] <= max(values)
    _, counts = np.unique(kept, return_counts=True)
    assert (counts >= min(min_count, len(values))).all()


@pytest.mark.parametrize("rows", [2, 19, 20, 99, 150, 1000])
def test_the_ends_are_averages_of_as_many_cells_as_the_config_says(rows: int) -> None:
    values = 3.0 ** np.arange(rows) if rows < 30 else np.arange(rows) ** 2.0
    array = pa.array(values)
    column = infer_column("x", array, array.type, ())
    column = replace(column, numbers=replace(column.numbers, decimals=None, step=0.0))
    count = PrivacyConfig().cells_at_an_end(rows)
    kept = microaggregate(column, values, min_count=1)
    assert np.allclose(kept[:count], values[:count].mean())
    assert np.allclose(kept[-count:], values[-count:].mean())
    assert np.array_equal(kept[count:-count], values[count:-count])

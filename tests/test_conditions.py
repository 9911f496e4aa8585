"""New rows under conditions: every row keeps them, and the rest follows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.errors import ParameterError, SchemaError
from tabvae.tasks.conditions import Condition

from .helpers import assert_one_line_error, tabvae

DAY = "%d.%m.%Y"


def dates(column: pd.Series[str]) -> pd.Series[pd.Timestamp]:
    return pd.to_datetime(column, format=DAY)


@pytest.mark.parametrize(
    ("conditions", "keeps"),
    [
        (["size > 20"], lambda f: f["size"].astype(float) > 20),
        (["size >= 9.94", "size < 10.1"], lambda f: f["size"].astype(float).between(9.9, 10.05)),
        (["size in 12..25.5"], lambda f: f["size"].astype(float).between(12, 25.5)),
        (["count <= 2"], lambda f: f["count"].astype(float) <= 2),
        (["count in (1, 3)"], lambda f: f["count"].astype(float).isin([1, 3])),
        (["count != 2"], lambda f: f["count"].astype(float) != 2),
        (["group in (north, east)"], lambda f: f["group"].isin(["north", "east"])),
        (["group != south", "big=no"], lambda f: (f["group"] != "south") & (f["big"] == "no")),
        (["size is missing"], lambda f: f["size"].isna()),
        (["day > 01.06.2024"], lambda f: dates(f["day"]) > "2024-06-01"),
        (["day in 01.02.2024..10.02.2024"], lambda f: dates(f["day"]).dt.month == 2),
        (
            ["size > 15", "count < 6", "big = yes"],
            lambda f: (f["size"].astype(float) > 15) & (f["count"].astype(float) < 6),
        ),
    ],
)
def test_every_row_keeps_its_conditions(model: TabVAE, conditions: list[str], keeps) -> None:  # type: ignore[no-untyped-def]
    made = model.generate(60, where=conditions, seed=3)
    assert len(made) == 60
    assert keeps(made).all()


def test_the_rest_of_a_row_follows(model: TabVAE) -> None:
    large = model.generate(200, where=["size > 25"], complete=True)
    small = model.generate(200, where=["size < 12"], complete=True)
    assert (large["group"] == "north").mean() < 0.2
    assert (small["group"] == "north").mean() > 0.8


def test_several_conditions_join_as_often_as_they_are_likely_together(model: TabVAE) -> None:
    """All but north are large: of two groups, the one that fits the other condition comes."""
    where = ["group in (north, south)", "size > 22"]
    made = model.generate(200, where=where, complete=True)
    assert (made["group"] == "south").mean() > 0.7  # not one half


@settings(max_examples=15)
@given(low=st.floats(5, 30), width=st.floats(0.5, 20))
def test_ranges_hold_to_the_last_digit(model: TabVAE, low: float, width: float) -> None:
    made = model.generate(20, where=[f"size in {low:.3f}..{low + width:.3f}"], complete=True)
    assert made["size"].astype(float).between(round(low, 3), round(low + width, 3)).all()


def test_python_has_lists_and_gaps(model: TabVAE) -> None:
    made = model.generate(40, where={"group": ["north", "east"], "size": None, "big": "no"})
    assert made["group"].isin(["north", "east"]).all()
    assert made["size"].isna().all()
    assert (made["big"] == "no").all()


def test_a_rare_category_is_the_one_that_was_asked_for() -> None:
    rng = np.random.default_rng(0)
    words = [f"w{i:03d}" for i in rng.integers(0, 300, 700)]
    frame = pd.DataFrame({"word": words, "n": rng.integers(0, 5, 700)})
    from .helpers import hasty

    with hasty():
        model = TabVAE(effort="fast", categorical=("word",)).fit(frame)
    rare = frame["word"].value_counts().index[-1]
    assert set(model.generate(20, where={"word": rare})["word"]) == {rare}
    assert set(model.generate(20, where=[f"word in ({rare})"])["word"]) == {rare}


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        ("size > 5000", SchemaError, "it goes from"),
        ("group > north", SchemaError, "no order"),
        ("group in (nord)", SchemaError, "did you mean 'north'"),
        ("size > much", SchemaError, "numeric"),
        ("sise > 5", SchemaError, "did you mean 'size'"),
        ("id = r-0001", SchemaError, "identifier"),
        ("size", ParameterError, "COL=VALUE"),
        ("size in (12.5, 30.1)", SchemaError, "without end"),
    ],
)
def test_what_cannot_be_is_said(
    model: TabVAE, text: str, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        model.generate(5, where=[text])


def test_a_column_is_set_once(folder: Path) -> None:
    result = tabvae(folder, "generate", "-n", "5", "--where", "big=no", "--where", "big=yes")
    assert_one_line_error(result, 2, "twice")


@pytest.mark.parametrize(
    ("text", "sign", "values"),
    [
        ("a=b=c", "=", ("b=c",)),
        ("a b >= 5", ">=", ("5",)),
        ("'a b' in ('x', \"y\")", "in", ("x", "y")),
        ("a in 1..2", "..", ("1", "2")),
        ("a is missing", "missing", ()),
    ],
)
def test_conditions_are_read_as_they_are_written(
    text: str, sign: str, values: tuple[str, ...]
) -> None:
    found = Condition.parse(text, ["a", "a b"])
    assert (found.sign, found.values) == (sign, values)


def test_a_file_sets_cells_row_by_row(folder: Path, tmp_path: Path) -> None:
    wanted = pd.DataFrame({"group": ["north", "", "east"], "size": ["", "31.0", "30.5"]})
    wanted.to_csv(tmp_path / "c.csv", index=False)
    options = ("generate", "--where-file", str(tmp_path / "c.csv"), "--complete")
    made = tabvae(folder, *options).frame()
    assert len(made) == 3
    assert ((made[["group", "size"]] == wanted) | (wanted == "")).all().all()
    assert (made != "").all().all()
    (tmp_path / "c.csv").write_text("group\nnorth\nnord\n")
    assert_one_line_error(tabvae(folder, *options), 1, "row 2", "'nord'", "'north'")


@pytest.mark.parametrize(
    "arguments", [(), ("-n", "5", "--where-file", "data.csv"), ("--where", "big=no")]
)
def test_how_many_rows_is_said_once(folder: Path, arguments: tuple[str, ...]) -> None:
    assert_one_line_error(tabvae(folder, "generate", *arguments), 2, "-n", "--where-file")


def test_rows_given_as_a_table_are_as_the_same_condition_on_all(model: TabVAE) -> None:
    rows = pa.table({"group": ["south"] * 30})
    one = model.fitted_.generate(30, rows=rows, seed=1)
    assert one.equals(model.fitted_.generate(30, where={"group": "south"}, seed=1))

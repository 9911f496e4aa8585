"""What commands say when they are done: to people in words, to machines as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tabvae import TabVAE
from tabvae.files.frames import to_arrow
from tabvae.imputation.beliefs import POINTS

from .helpers import assert_one_line_error, hasty, tabvae

NUMBERS = ["size", "count", "day"]
MODELLED = ["group", "big", *NUMBERS]


def given(folder: Path) -> pd.DataFrame:
    return pd.read_csv(folder / "data.csv", dtype=str, keep_default_na=False)


@pytest.mark.parametrize(
    ("line", "keys"),
    [
        ("impute", {"rows", "filled", "follow_from_rules", "little_better_than_a_guess", "left"}),
        ("embed", {"rows", "dimensions"}),
        ("detect", {"rows", "outliers", "fpr", "break_a_rule", "named_first", "failed"}),
        ("generate -n 9", {"rows", "copies", "twins"}),
        ("interpolate --from 1 --to 2", {"rows", "from", "to"}),
    ],
)
def test_a_summary_is_one_json_object_beside_the_table(
    folder: Path, tmp_path: Path, line: str, keys: set[str]
) -> None:
    plain = tabvae(folder, *line.split())
    both = tabvae(folder, *line.split(), "--json")
    assert both.out == plain.out
    document = json.loads(both.err)
    assert keys | {"command", "notes", "output", "format"} == set(document)
    assert any("reading 'data.csv'" in note for note in document["notes"])
    target = str(tmp_path / "out.csv")
    alone = tabvae(folder, "--json", *line.split(), "-o", target)
    assert alone.err == ""
    assert json.loads(alone.out) == {**document, "output": target}


def test_a_fit_ends_with_what_it_learned_and_what_to_do_next(folder: Path, tmp_path: Path) -> None:
    table = given(folder).head(60)
    table["size"] = table["size"].where(table.index < 20, "")
    table.to_csv(tmp_path / "data.csv", index=False)
    with hasty():
        told = tabvae(tmp_path, "fit", "data.csv")
        machine = tabvae(tmp_path, "fit", "data.csv", "--force", "--json")
    assert told.code == machine.code == 0, told.err
    assert told.out == ""
    for words in (
        "known from the others: ",
        "suspicious: only 60 rows",
        "suspicious: mostly missing: size 7",
        "wrote data.tabvae in ",
        "next: tabvae impute -o filled.csv",
    ):
        assert words in told.err
    document = json.loads(machine.out)
    assert set(document["known_from_others"]) <= set(table.columns)
    assert all(0 <= share <= 1 for share in document["known_from_others"].values())
    assert document["bytes"] == (tmp_path / "data.tabvae").stat().st_size


@pytest.mark.parametrize(("rows", "options", "code"), [(19, (), 1), (19, ("--force-small",), 0)])
def test_a_table_of_few_rows_is_refused(
    folder: Path, tmp_path: Path, rows: int, options: tuple[str, ...], code: int
) -> None:
    given(folder).head(rows).to_csv(tmp_path / "a.csv", index=False)
    with hasty():
        result = tabvae(tmp_path, "fit", "a.csv", *options)
    assert result.code == code
    if code:
        assert_one_line_error(result, 1, "19 rows are too few", "--force-small")
    assert (tmp_path / "a.tabvae").exists() == (code == 0)


def test_impute_counts_what_it_filled(folder: Path) -> None:
    gaps = {name: int((given(folder)[name] == "").sum()) for name in given(folder)}
    document = json.loads(tabvae(folder, "impute", "--json").err)
    assert document["filled"] == {name: count for name, count in gaps.items() if count}
    for name, count in document["little_better_than_a_guess"].items():
        assert 0 < count <= gaps[name]
    # What group it is tells its size; the day of a row is told by nothing.
    doubtful = document["little_better_than_a_guess"]
    assert doubtful["day"] > 0.8 * gaps["day"]
    assert doubtful.get("size", 0) < 0.5 * gaps["size"]


def test_marks_name_the_cells_that_were_filled(folder: Path, tmp_path: Path) -> None:
    gaps = given(folder) == ""
    mask = str(tmp_path / "mask.parquet")
    in_file = tabvae(folder, "impute", "--mark", mask)
    assert pq.read_table(mask).to_pandas().equals(gaps)
    assert in_file.out == tabvae(folder, "impute").out
    column = tabvae(folder, "impute", "--mark", "filled").frame()["filled"]
    expected = [";".join(gaps.columns[row]) for row in gaps.to_numpy()]
    assert column.tolist() == expected
    assert_one_line_error(tabvae(folder, "impute", "--mark", mask), 1, "exists", "--force")
    assert_one_line_error(tabvae(folder, "impute", "--mark", "size"), 1, "'size'", "of its own")


@pytest.mark.parametrize("point", POINTS)
def test_filled_numbers_lie_between_their_bounds(folder: Path, point: str) -> None:
    options = ("impute", "--point", point, "--interval", ".8")
    table, before = tabvae(folder, *options).frame(), given(folder)
    for name in NUMBERS:
        low, value, high = (
            pd.to_datetime(table[c], format="%d.%m.%Y") if name == "day" else table[c].astype(float)
            for c in (f"{name}_lower", name, f"{name}_upper")
        )
        assert (low <= value).all()
        assert (value <= high).all()
        there = before[name] != ""
        assert (low[there] == high[there]).all()
        assert (low[~there] < high[~there]).any()
    assert "group_lower" not in table


def test_intervals_hold_as_many_cells_as_they_say(model: TabVAE, frame: pd.DataFrame) -> None:
    rng = np.random.default_rng(1)
    hidden = (rng.random(len(frame)) < 0.5) & frame["size"].notna().to_numpy()
    table = to_arrow(frame.assign(size=frame["size"].mask(hidden)))
    bounds = model.fitted_.intervals(table, model.fitted_.impute(table), 0.9).to_pandas()
    truth = frame["size"].to_numpy()
    inside = (bounds["size_lower"] <= truth) & (truth <= bounds["size_upper"])
    assert 0.75 < inside[hidden].mean() <= 1


def test_draws_are_certain(folder: Path) -> None:
    for option in (("--mark", "m"), ("--interval", ".9"), ("--point", "mode")):
        result = tabvae(folder, "impute", "--draws", "2", *option)
        assert_one_line_error(result, 2, "exclude each other")


def test_the_oddest_rows_come_first_and_can_be_found(folder: Path) -> None:
    whole = tabvae(folder, "detect", "--keep", "id").frame()
    top = tabvae(folder, "detect", "--top", "9", "--id", "id").frame()
    assert list(top.columns[:4]) == ["row", "id", "score", "p_value"]
    assert len(top) == 9
    scores = top["score"].astype(float)
    assert scores.is_monotonic_decreasing
    assert scores[0] == pytest.approx(whole["score"].astype(float).max(), abs=1e-3)
    assert (whole["id"][top["row"].astype(int) - 1].to_numpy() == top["id"]).all()
    assert top["score"].str.len().max() <= 8


def test_cells_that_are_as_expected_are_not_blamed(folder: Path) -> None:
    found = tabvae(folder, "detect").frame()
    for rank in "123":
        observed, expected = found[f"observed_{rank}"], found[f"expected_{rank}"]
        named = found[f"column_{rank}"] != ""
        assert (observed[named] != expected[named]).all()
        assert (observed[~named] == "").all()


def test_a_job_fails_on_too_many_odd_rows(folder: Path) -> None:
    strict = tabvae(folder, "detect", "--fpr", ".2", "--fail-on", "0")
    assert strict.code == 3
    assert strict.out == tabvae(folder, "detect", "--fpr", ".2", "--fail-on", "1").out
    assert tabvae(folder, "detect", "--fail-on", "1").code == 0
    assert "rows are odd (p-value at most 0.2" in strict.err

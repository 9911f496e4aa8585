"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tabvae import __version__

from .helpers import assert_one_line_error, tabvae, tabvae_process

HEADER = ["id", "group", "size", "count", "big", "day", "unit"]


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_the_command_alone_says_what_it_can_do(tmp_path: Path) -> None:
    alone, asked = tabvae(tmp_path), tabvae(tmp_path, "--help")
    assert (alone.code, alone.out, alone.err) == (0, asked.out, "")
    assert "tabvae fit data.csv" in alone.out


@pytest.mark.parametrize("option", ["-V", "--version"])
def test_the_version_is_told(tmp_path: Path, option: str) -> None:
    assert tabvae(tmp_path, option).out == f"tabvae, version {__version__}\n"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tabvae", "-V"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"tabvae, version {__version__}\n"


def test_impute_gives_the_same_table_back_without_gaps(folder: Path) -> None:
    result = tabvae(folder, "impute")
    assert result.code == 0, result.err
    before, after = read(folder / "data.csv"), result.frame()
    assert list(after.columns) == HEADER
    assert len(after) == len(before)
    assert (after != "").all().all()
    assert ((before == after) | (before == "")).all().all()


def test_only_data_is_on_standard_output(folder: Path) -> None:
    result = tabvae(folder, "embed", "data.csv")
    assert result.err == ""
    lines = result.out.splitlines()
    assert lines[0] == ",".join(f"z{k}" for k in range(1, 9))
    assert len(lines) == 1 + len(read(folder / "data.csv"))


def test_embed_carries_columns_along(folder: Path) -> None:
    frame = tabvae(folder, "embed", "--keep", "id", "--keep", "group").frame()
    assert list(frame.columns[:3]) == ["id", "group", "z1"]
    assert frame["id"].tolist() == read(folder / "data.csv")["id"].tolist()


def test_generate_writes_new_rows_in_the_same_format(folder: Path) -> None:
    frame = tabvae(folder, "generate", "-n", "50", "--where", "group=south").frame()
    assert list(frame.columns) == HEADER
    assert len(frame) == 50
    assert set(frame["group"]) == {"south"}
    assert frame["day"][frame["day"] != ""].str.fullmatch(r"\d\d\.\d\d\.\d{4}").all()


def test_detect_explains_itself(folder: Path) -> None:
    frame = tabvae(folder, "detect", "--keep", "id").frame()
    assert list(frame.columns[:5]) == ["id", "score", "p_value", "outlier", "column_1"]
    assert set(frame["outlier"]) <= {"true", "false"}
    assert "expected_3" in frame.columns


def test_draws_are_numbered_tables(folder: Path) -> None:
    frame = tabvae(folder, "impute", "--draws", "2").frame()
    assert list(frame.columns) == ["draw", *HEADER]
    assert frame["draw"].value_counts().to_dict() == {"1": 240, "2": 240}


def test_probabilities_say_how_sure_a_filled_category_is(folder: Path) -> None:
    frame = tabvae(folder, "impute", "--proba", "big", "--proba", "group").frame()
    shares = frame[["big=yes", "big=no"]].astype(float)
    assert np.allclose(shares.sum(axis=1), 1)
    assert list(frame.columns[: len(HEADER)]) == HEADER
    given = read(folder / "data.csv")["big"]
    assert (shares["big=yes"][given == "yes"] == 1).all()
    assert (shares["big=yes"][given == "no"] == 0).all()
    filled = frame["big"][given == ""]
    assert ((shares["big=yes"][given == ""] > 0.5) == (filled == "yes")).all()
    assert {"group=north", "group=south", "group=east"} <= set(frame.columns)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--proba", "size"), 1, "has no classes"),
        (("--proba", "id"), 1, "has no classes"),
        (("--proba", "bgi"), 1, "did you mean 'big'?"),
        (("--proba", "big", "--draws", "2"), 2, "exclude each other"),
    ],
)
def test_probabilities_of_a_column_without_classes_are_refused(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert_one_line_error(tabvae(folder, "impute", *arguments), code, words)


def test_the_same_seed_gives_the_same_bytes_in_another_process(folder: Path) -> None:
    arguments = ("generate", "-n", "30", "--seed")
    first = tabvae(folder, *arguments, "1")
    second = tabvae_process(folder, *arguments, "1", PYTHONHASHSEED="7")
    assert first == second
    assert first.out != tabvae(folder, *arguments, "2").out


@pytest.mark.slow
def test_the_same_seed_gives_the_same_model_in_another_process(
    folder: Path, tmp_path: Path
) -> None:
    shutil.copy(folder / "data.csv", tmp_path)
    done = tabvae_process(tmp_path, "fit", "data.csv", "--effort", "fast", PYTHONHASHSEED="7")
    assert done.code == 0, done.err
    assert (tmp_path / "data.tabvae").read_bytes() == (folder / "data.tabvae").read_bytes()


def test_output_format_follows_the_extension(folder: Path, tmp_path: Path) -> None:
    for name in ("out.csv", "out.tsv", "out.csv.gz", "out.parquet"):
        result = tabvae(folder, "impute", "-o", str(tmp_path / name))
        assert (result.code, result.out) == (0, ""), result.err
    assert read(tmp_path / "out.csv").equals(
        pd.read_csv(tmp_path / "out.tsv", sep="\t", dtype=str, keep_default_na=False)
    )
    table = pq.read_table(tmp_path / "out.parquet")
    assert str(table.schema.field("size").type) == "double"
    assert str(table.schema.field("day").type) == "date32[day]"


def test_standard_input_is_a_table(folder: Path) -> None:
    rows = (folder / "data.csv").read_bytes()
    assert tabvae(folder, "embed", "-", stdin=rows).out == tabvae(folder, "embed").out


def test_inspect_shows_kinds_and_reasons(folder: Path) -> None:
    result = tabvae(folder, "inspect", "data.csv")
    assert result.code == 0
    assert "identifier" in result.out
    assert "datetime" in result.out
    document = json.loads(tabvae(folder, "inspect", "data.csv", "--json").out)
    kinds = {c["name"]: c["kind"] for c in document["columns"]}
    assert kinds["group"] == "categorical"
    assert all(c["reason"] for c in document["columns"])


def test_inspect_of_a_model_is_its_card(folder: Path) -> None:
    assert "active" in tabvae(folder, "inspect", "data.tabvae").out
    card = json.loads(tabvae(folder, "inspect", "data.tabvae", "--json").out)
    assert card["training"][0]["curve"]
    assert len(card["kl_per_dimension"]) == 8


def test_a_schema_file_decides_kinds(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "kinds.json").write_text('{"count": "categorical"}')
    out = tabvae(
        folder, "inspect", "data.csv", "--json", "--schema", str(tmp_path / "kinds.json")
    ).out
    kinds = {c["name"]: c["kind"] for c in json.loads(out)["columns"]}
    assert kinds["count"] == "categorical"


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    return tmp_path


BAD_TABLES = {
    "empty.csv": (b"", ["is empty"]),
    "header.csv": (b"a,b\n", ["no rows"]),
    "one_row.csv": (b"a,b\n1,2\n", ["1 row"]),
    "one_column.csv": (b"a\n" + b"1\n2\n3\n" * 10, ["one column"]),
    "missing.csv": (b"a,b\n" + b",NA\n?,\n,\n" * 7, ["0 of 2 columns"]),
    "ragged.csv": (b"a,b\n1,2\n3,4,5\n", ["line 3", "3 cells"]),
    "latin.csv": ("a,b\né,1\n".encode("latin-1"), ["line 2", "--encoding"]),
    "text.parquet": (b"a,b\n1,2\n", ["not a Parquet file"]),
    "damaged.parquet": (b"PAR1....PAR1", ["damaged Parquet"]),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_bad_table_is_one_line_and_leaves_nothing(empty: Path, name: str) -> None:
    content, words = BAD_TABLES[name]
    (empty / name).write_bytes(content)
    assert_one_line_error(tabvae(empty, "fit", name), 1, *words)
    assert [p.name for p in empty.iterdir()] == [name]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["fit", "none.csv"], 1, ["no such file", "none.csv"]),
        (["fit"], 2, ["Missing argument"]),
        (["fit", "data.csv"], 1, ["data.tabvae", "exists", "--force"]),
        (["fit", "data.csv", "-o", "none/a.tabvae"], 1, ["no folder"]),
        (["fit", "data.csv", "-o", "b.tabvae", "--numeric", "grade"], 1, ["'grade'"]),
        (["fit", "data.csv", "-o", "b.tabvae", "--numeric", "group"], 1, ["'group'", "numeric"]),
        (["fit", "data.csv", "-o", "b.tabvae", "--effort", "max"], 2, ["--effort"]),
        (["fitt", "data.csv"], 2, ["Did you mean 'fit'"]),
        (["impute", "--outpt", "x.csv"], 2, ["--output"]),
        (["impute", "-m", "none.tabvae"], 1, ["no model file"]),
        (["impute", "-m", "data.csv"], 1, ["not a tabvae model"]),
        (["impute", "-o", "data.csv", "--force"], 1, ["is an input"]),
        (["impute", "-o", "a.xlsx"], 1, ["cannot tell the format"]),
        (["generate", "-n", "0"], 2, ["-n"]),
        (["generate", "-n", "5", "--where", "groop=north"], 1, ["'groop'", "'group'"]),
        (["generate", "-n", "5", "--where", "group=nord"], 1, ["'nord'", "'north'"]),
        (["generate", "-n", "5", "--where", "group"], 2, ["COL=VALUE"]),
        (["detect", "--fpr", "2"], 2, ["--fpr"]),
        (["embed", "--keep", "idd"], 1, ["'idd'", "'id'"]),
    ],
)
def test_wrong_usage_is_one_line(
    folder: Path, arguments: list[str], code: int, words: list[str]
) -> None:
    before = {p.name: p.stat().st_mtime_ns for p in folder.iterdir()}
    assert_one_line_error(tabvae(folder, *arguments), code, *words)
    assert {p.name: p.stat().st_mtime_ns for p in folder.iterdir()} == before


def test_an_existing_output_is_replaced_only_with_force(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    out.write_text("old")
    result = tabvae(folder, "impute", "-o", str(out))
    assert_one_line_error(result, 1, "exists", "--force")
    assert out.read_text() == "old"
    assert tabvae(folder, "impute", "-o", str(out), "--force").code == 0
    assert len(read(out)) == 240


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_named(folder: Path, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    result = tabvae(folder, "impute", "-o", str(tmp_path / "a.csv"))
    assert_one_line_error(result, 1, "cannot write")


def test_the_model_is_found_by_variable_or_by_being_alone(folder: Path, tmp_path: Path) -> None:
    data = str(folder / "data.csv")
    assert_one_line_error(tabvae(tmp_path, "embed", data), 1, "no .tabvae file", "tabvae fit")
    by_variable = tabvae(tmp_path, "embed", data, TABVAE_MODEL=str(folder / "data.tabvae"))
    assert by_variable.code == 0
    shutil.copy(folder / "data.tabvae", tmp_path / "a.tabvae")
    assert tabvae(tmp_path, "embed", data).out == by_variable.out
    shutil.copy(folder / "data.tabvae", tmp_path / "b.tabvae")
    assert_one_line_error(tabvae(tmp_path, "embed", data), 1, "'a.tabvae'", "'b.tabvae'", "-m")


def test_a_table_that_is_gone_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copy(folder / "data.tabvae", tmp_path / "a.tabvae")
    assert_one_line_error(tabvae(tmp_path, "impute"), 1, "'data.csv'", "name the file")


def test_notes_about_new_rows_go_to_standard_error(folder: Path, tmp_path: Path) -> None:
    rows = read(folder / "data.csv").head(4).assign(group="west", extra="1")
    rows.to_csv(tmp_path / "new.csv", index=False)
    result = tabvae(folder, "impute", str(tmp_path / "new.csv"))
    assert result.code == 0
    assert "note: carried through, not in the model: 'extra'" in result.err
    assert "'group': 4 cells" in result.err
    assert set(result.frame()["group"]) == {"west"}


def test_a_closed_pipe_is_no_error(folder: Path) -> None:
    import subprocess
    import sys

    done = subprocess.run(
        f"{sys.executable} -m tabvae_cli.main generate -n 3000 --no-check | head -1",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("id,group")
    assert done.stderr == ""


def test_parquet_and_csv_twins_give_the_same_numbers(folder: Path, tmp_path: Path) -> None:
    frame = pd.read_csv(folder / "data.csv")
    frame.to_parquet(tmp_path / "data.parquet")
    twin = tabvae(folder, "embed", str(tmp_path / "data.parquet"))
    assert twin.out == tabvae(folder, "embed").out


def test_odd_texts_of_numbers_leave_as_they_came(tmp_path: Path) -> None:
    rows = [f"{i:03d},{i % 7}.50, Private{i % 2},{2**64 - 1 - i}" for i in range(60)]
    rows[5] = "005,, Private1,18446744073709551610"
    rows[6] = '006,1e5," Priv""ate0",7'
    (tmp_path / "odd.csv").write_text("\n".join(["code,n,word,big", *rows]) + "\n")
    assert tabvae(tmp_path, "fit", "odd.csv", "--effort", "fast").code == 0
    out = tabvae(tmp_path, "impute").out.splitlines()
    assert [line for i, line in enumerate(out) if i != 6] == [
        line for i, line in enumerate(["code,n,word,big", *rows]) if i != 6
    ]
    assert out[6].startswith("005,")


def test_generate_tells_the_share_of_copies_where_the_table_still_is(
    folder: Path, tmp_path: Path
) -> None:
    assert "0.00% of the rows are copies" in tabvae(folder, "generate", "-n", "20").err
    shutil.copy(folder / "data.tabvae", tmp_path)
    assert tabvae(tmp_path, "generate", "-n", "20").err == ""


FORMULAS = ["=1+1", "+1", "-2.5", "@x", "\tx", "plain", "-x", "1e5", "a=b", ""]


def test_safe_csv_guards_text_and_headers_and_never_numbers(folder: Path, tmp_path: Path) -> None:
    table = read(folder / "data.csv")
    table["=note"] = [FORMULAS[i % len(FORMULAS)] for i in range(len(table))]
    table.to_csv(tmp_path / "a.csv", index=False)
    model = str(folder / "data.tabvae")
    plain = tabvae(tmp_path, "impute", "a.csv", "-m", model).frame()
    assert plain["=note"].equals(table["=note"])
    safe = tabvae(tmp_path, "impute", "a.csv", "-m", model, "--safe-csv").frame()
    expected = ["'=1+1", "+1", "-2.5", "'@x", "'\tx", "plain", "'-x", "1e5", "a=b", ""]
    assert list(safe["'=note"][: len(expected)]) == expected
    assert safe.drop(columns="'=note").equals(plain.drop(columns="=note"))

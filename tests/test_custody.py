"""The table a model was fitted on: known again by what it holds, or nothing is said of it."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.errors import ParameterError
from tabvae.files import container
from tabvae.files.reader import read_tables
from tabvae.files.source import Source, digest_of_rows, fingerprint

from .conftest import make_frame
from .golden.make import FOLDER, table
from .helpers import NOTE, assert_one_line_error, tabvae
from .test_types import every_type

CHANGED = "it holds other names, cells or rows than then"
UNSEEN = "rows that the networks did not train on"
FAR = 4_000_000
"""The number of a day beyond the year 9999."""
TENSOR = pa.fixed_shape_tensor(pa.int32(), [2])
PAIRS = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int32(), 2))


def days(kind: Callable[[pa.DataType], pa.DataType]) -> pa.Array:
    """Lists, of a kind, of days beyond those that Python knows."""
    return pa.array([[FAR], None, [FAR + 1]], kind(pa.int32())).cast(kind(pa.date32()))


ODD = {
    "tensors": pa.ExtensionArray.from_storage(TENSOR, PAIRS),
    "days that Python has not": days(pa.list_),
    "large lists": days(pa.large_list),
    "lists of one length": days(lambda kind: pa.list_(kind, 1)),
    "maps": pa.array([[("x", FAR)], None, []], pa.map_(pa.string(), pa.int32())).cast(
        pa.map_(pa.string(), pa.date32())
    ),
    "days in structs": pa.StructArray.from_arrays([days(pa.list_)], ["x"]),
    "names that come twice": pa.StructArray.from_arrays([pa.array([1, 2, None])] * 2, ["x", "x"]),
    "a wrapped list": pa.ExtensionArray.from_storage(
        pa.opaque(pa.list_(pa.date32()), "x", "y"), days(pa.list_)
    ),
    "no known time zone": pa.array([1, None, 2]).cast(pa.timestamp("s", "Nowhere/There")),
    "no text": pa.array([b"\xff", None, b"\xfe"]).view(pa.string()),
}


@pytest.fixture
def work(folder: Path, tmp_path: Path) -> Path:
    """A folder of one's own with a table and its model."""
    for name in ("data.csv", "data.tabvae"):
        shutil.copy(folder / name, tmp_path)
    return tmp_path


def reordered(lines: list[str]) -> list[str]:
    return [lines[0], *lines[:0:-1]]


def appended(lines: list[str]) -> list[str]:
    return [*lines, lines[-1]]


def spoiled(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1].replace("r-", "s-")]


def renamed(lines: list[str]) -> list[str]:
    return [lines[0].replace("unit", "units"), *lines[1:]]


CHANGES = [reordered, appended, spoiled, renamed]


def rewrite(path: Path, change: object) -> int:
    """Change the lines of a file; how many rows it has."""
    lines = change(path.read_text().splitlines())  # type: ignore[operator]
    path.write_text("\n".join(lines) + "\n")
    return len(lines) - 1


def test_rows_are_called_unseen_only_in_the_table_that_was_fitted_on(work: Path) -> None:
    result = tabvae(work, "evaluate", "--json")
    assert UNSEEN in result.err
    assert json.loads(result.out)["rows"] == 24
    for change in CHANGES:
        shutil.copy(work / "data.csv", work / "kept.csv")
        rows = rewrite(work / "data.csv", change)
        result = tabvae(work, "evaluate", "--json")
        assert "reading 'data.csv'" in result.err
        assert CHANGED in result.err
        assert UNSEEN not in result.err
        assert "may have trained on" in result.err
        assert json.loads(result.out)["rows"] == rows
        shutil.copy(work / "kept.csv", work / "data.csv")


@pytest.mark.parametrize("command", [("impute",), ("embed",), ("detect",)])
def test_a_table_that_has_grown_is_used_and_that_is_said(
    work: Path, command: tuple[str, ...]
) -> None:
    result = tabvae(work, *command)
    assert "reading 'data.csv'" in result.err
    assert CHANGED not in result.err
    rows = rewrite(work / "data.csv", appended)
    result = tabvae(work, *command)
    assert result.code == 0
    assert CHANGED in result.err
    assert len(result.frame()) == rows
    assert "reading" not in tabvae(work, *command, "data.csv").err


def test_copies_are_counted_in_the_table_that_was_fitted_on_or_one_that_is_named(
    work: Path,
) -> None:
    copies = "of the rows are copies of rows of"
    assert f"{copies} the table fitted on" in tabvae(work, "generate", "-n", "5").err
    assert tabvae(work, "generate", "-n", "5", "--no-check").err == ""
    shutil.copy(work / "data.csv", work / "other.csv")
    rewrite(work / "data.csv", reordered)
    result = tabvae(work, "generate", "-n", "5")
    assert copies not in result.err
    assert "--data FILE" in result.err
    named = tabvae(work, "generate", "-n", "5", "--data", "other.csv")
    assert f"{copies} 'other.csv'" in named.err
    assert "reading" not in named.err
    assert named.out == result.out
    both = tabvae(work, "generate", "-n", "5", "--data", "other.csv", "--no-check")
    assert_one_line_error(both, 2, "--no-check")
    over = tabvae(work, "generate", "-n", "5", "--data", "other.csv", "-o", "other.csv", "--force")
    assert_one_line_error(over, 1, "is an input")


NOT_READ = {
    "pipe": "is no regular file",
    "device": "is no regular file",
    "nothing": "is not here",
    "kernel": "is a file of 0 bytes",
    "empty": "is a file of 0 bytes",
}


@pytest.mark.parametrize("kind", NOT_READ)
def test_only_regular_files_that_a_model_names_are_opened(work: Path, kind: str) -> None:
    (work / "data.csv").unlink()
    if kind == "pipe":
        os.mkfifo(work / "data.csv")
    elif kind == "empty":
        (work / "data.csv").touch()
    elif kind != "nothing":
        target = "/dev/zero" if kind == "device" else "/proc/self/status"
        (work / "data.csv").symlink_to(target)
    assert tabvae(work, "generate", "-n", "5").err == ""
    for command in ("impute", "evaluate"):
        result = tabvae(work, command)
        assert_one_line_error(result, 1, f"'data.csv', {NOT_READ[kind]}")
        assert "reading" not in result.err


def test_standard_input_is_not_read_for_the_table_that_came_from_it(work: Path) -> None:
    document, arrays = container.read(str(work / "data.tabvae"))
    document["source"]["paths"] = ["-"]
    container.write(str(work / "data.tabvae"), document, arrays)
    (work / "data.csv").rename(work / "-")
    rows = (work / "-").read_bytes()
    assert tabvae(work, "generate", "-n", "5", stdin=rows).err == ""
    result = tabvae(work, "embed", stdin=rows)
    assert_one_line_error(result, 1, "'-', came from standard input")


@pytest.mark.parametrize("fault", ["ragged", "large"])
def test_rows_are_generated_whatever_lies_where_the_table_was(work: Path, fault: str) -> None:
    options = ("-n", "5") if fault == "ragged" else ("-n", "5", "--max-memory", "1kB")
    said = "line 3" if fault == "ragged" else "takes more than 1 kB"
    if fault == "ragged":
        (work / "data.csv").write_text("a,b\n1,2\n3\n")
    result = tabvae(work, "generate", *options)
    assert (result.code, len(result.frame())) == (0, 5), result.err
    note = result.err.splitlines()[-1]
    assert note.startswith(NOTE)
    assert said in note
    assert note.endswith("; no copies are looked for")
    assert result.out == tabvae(work, "generate", "-n", "5", "--no-check").out
    named = tabvae(work, "generate", *options, "--data", "data.csv")
    assert_one_line_error(named, 1, said)


@pytest.mark.usefixtures("quick")
def test_a_model_fitted_anew_does_not_name_the_table_before(work: Path) -> None:
    model = TabVAE.load(str(work / "data.tabvae"))
    model.fit(make_frame(60, seed=1)).save(str(work / "data.tabvae"))
    assert_one_line_error(tabvae(work, "embed"), 1, "does not know its table")


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("name", ["tensors", "days that Python has not"])
def test_a_column_of_any_type_costs_no_training(tmp_path: Path, name: str) -> None:
    plain = pa.Table.from_pandas(make_frame(60), preserve_index=False)
    column = pa.concat_arrays([ODD[name]] * 20)
    pq.write_table(plain.append_column("odd", column), tmp_path / "a.parquet")
    result = tabvae(tmp_path, "fit", "a.parquet", "--effort", "fast")
    assert result.code == 0, result.err
    assert CHANGED not in tabvae(tmp_path, "embed").err


def test_of_a_model_without_a_fingerprint_nothing_is_claimed(tmp_path: Path) -> None:
    document, arrays = container.read(str(FOLDER / "vae-11.tabvae"))
    document["source"] = {
        "paths": ["data.csv"],
        "format": "csv",
        "delimiter": ",",
        "encoding": None,
    }
    container.write(str(tmp_path / "m.tabvae"), document, arrays)
    table("vae").to_csv(tmp_path / "data.csv", index=False)
    assert tabvae(tmp_path, "generate", "-n", "5").err == ""
    result = tabvae(tmp_path, "evaluate", "--json")
    assert CHANGED not in result.err
    assert "may have trained on" in result.err
    assert json.loads(result.out)["rows"] == 80


def test_the_name_of_a_table_is_escaped(work: Path) -> None:
    name = "\x1b[31m\u202e.csv"
    document, arrays = container.read(str(work / "data.tabvae"))
    document["source"]["paths"] = [name]
    container.write(str(work / "data.tabvae"), document, arrays)
    (work / "data.csv").rename(work / name)
    result = tabvae(work, "embed")
    assert result.code == 0
    assert result.err.replace("\n", "").isprintable()


# Fingerprints

TABLES = st.lists(
    st.lists(st.none() | st.text(max_size=3), min_size=3, max_size=3), min_size=1, max_size=5
).map(lambda rows: pa.table(dict(zip("abc", map(list, zip(*rows, strict=True)), strict=True))))


def as_text(one: pa.Table) -> pa.Table:
    return one.cast(pa.schema([(name, pa.string()) for name in one.column_names]))


@given(TABLES, TABLES)
@settings(max_examples=60)
def test_tables_have_one_fingerprint_if_and_only_if_they_are_equal(
    one: pa.Table, other: pa.Table
) -> None:
    one, other = as_text(one), as_text(other)
    assert (fingerprint(one) == fingerprint(other)) == one.equals(other)
    assert fingerprint(one) != fingerprint(one.rename_columns(["a", "b", "d"]))
    moved = one.select(["b", "a", "c"])
    assert fingerprint(one) != fingerprint(moved)
    chunked = pa.concat_tables([one.slice(k, 1) for k in range(len(one))])
    assert fingerprint(chunked) == fingerprint(one)


def test_every_type_of_column_has_a_fingerprint(tmp_path: Path) -> None:
    typed = every_type()
    pq.write_table(typed, tmp_path / "a.parquet", row_group_size=7)
    assert fingerprint(read_tables([str(tmp_path / "a.parquet")]).table) == fingerprint(typed)
    for name in typed.column_names[:-1]:
        one = typed.select([name])
        assert fingerprint(one) != fingerprint(pa.concat_tables([one[1:], one[:1]])), name


@pytest.mark.parametrize("name", ODD)
def test_odd_cells_have_a_fingerprint(name: str) -> None:
    one = pa.table({"a": ODD[name]})
    assert fingerprint(pa.concat_tables([one[:1], one[1:2], one[2:]])) == fingerprint(one)
    parts = [one[1:], one[:1], one[:2], pa.concat_tables([one[1:], one[:1]])]
    assert len({fingerprint(part) for part in [one, *parts]}) == 5


def test_a_source_that_is_none_is_refused() -> None:
    whole = digest_of_rows(pa.array([1, 2]).to_numpy())
    Source(("a.csv",), "csv", ",", None, whole, whole)
    for changed in (
        ((), "csv", ",", None, whole, whole),
        (("a.csv",), "csv", ",", None, "x" * 64, whole),
        (("a.csv",), "csv", ",", None, whole, whole + "0"),
    ):
        with pytest.raises(ValueError, match=r"a (table|fingerprint) "):
            Source(*changed)
    with pytest.raises(ParameterError, match="delimiter"):
        Source(("a.csv",), "csv", "\n", None, whole, whole)

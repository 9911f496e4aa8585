"""Tables without rows, and tables that someone still has to type."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabvae import TabVAE, TabVAEWarning
from tabvae.files.reader import read_tables

from .helpers import assert_one_line_error, tabvae

TASKS = {
    "impute": [],
    "impute --draws 2": ["draw"],
    "impute --proba group": ["group=north"],
    "embed": ["z1", "z8"],
    "embed --keep id": ["id", "z1"],
    "detect": ["score", "outlier", "expected_1"],
}


@pytest.fixture(scope="module")
def header(csv_text: str) -> str:
    return csv_text.splitlines()[0]


@pytest.mark.parametrize("task", TASKS)
def test_a_table_without_rows_passes_through_with_its_columns(
    folder: Path, header: str, task: str
) -> None:
    result = tabvae(folder, *task.split(), "-", stdin=f"{header}\n".encode())
    assert result.code == 0, result.err
    assert "note: '-' has no rows" in result.err
    (line,) = result.out.splitlines()
    expected = TASKS[task] or header.split(",")
    assert set(expected) <= set(line.split(","))


def test_a_parquet_file_without_rows_keeps_its_types(folder: Path, tmp_path: Path) -> None:
    names = ["id", "group", "size", "count", "big", "day", "unit"]
    kinds = [pa.string(), pa.string(), pa.float32(), pa.int16(), pa.string(), pa.string()]
    schema = pa.schema(zip(names, [*kinds, pa.string()], strict=True))
    pq.write_table(schema.empty_table(), tmp_path / "a.parquet")
    target = tmp_path / "b.parquet"
    result = tabvae(folder, "impute", str(tmp_path / "a.parquet"), "-o", str(target))
    assert result.code == 0, result.err
    assert pq.read_schema(target).equals(schema)


def test_coordinates_without_rows_are_rows_without_rows(folder: Path, header: str) -> None:
    latents = ",".join(f"z{k + 1}" for k in range(8))
    result = tabvae(folder, "decode", "-", stdin=f"{latents}\n".encode())
    assert (result.code, result.out) == (0, f"{header}\n")


@pytest.mark.parametrize("command", ["fit", "inspect", "evaluate"])
def test_what_needs_rows_refuses_a_table_without(
    folder: Path, tmp_path: Path, header: str, command: str
) -> None:
    (tmp_path / "h.csv").write_text(header)
    model = [] if command != "evaluate" else ["-m", str(folder / "data.tabvae")]
    assert_one_line_error(tabvae(tmp_path, command, "h.csv", *model), 1, "rows")
    assert [path.name for path in tmp_path.iterdir()] == ["h.csv"]


def test_an_empty_part_is_a_part(tmp_path: Path) -> None:
    for name, rows in (("a", ""), ("b", "1,x\n"), ("c", "")):
        (tmp_path / f"{name}.csv").write_text(f"n,t\n{rows}")
    table = read_tables([str(tmp_path / f"{name}.csv") for name in "abc"]).table
    assert table.to_pydict() == {"n": ["1"], "t": ["x"]}


def test_frames_without_rows_come_back(model: TabVAE, frame: object) -> None:
    none = frame.iloc[:0]  # type: ignore[attr-defined]
    assert model.impute(none).equals(none)
    assert model.embed(none).shape == (0, 8)
    assert len(model.detect(none)) == 0


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_standard_input_from_a_terminal_says_that_it_waits() -> None:
    typed = Terminal(io.BytesIO(b"a,b\n1,2\n"))
    with mock.patch.object(sys, "stdin", typed), pytest.warns(TabVAEWarning, match="waiting"):
        assert read_tables(["-"]).table.num_rows == 1

"""CSV files as people and programs damage them, beside the table that was meant."""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tabvae import TabVAEWarning
from tabvae.errors import DataError, OutputError
from tabvae.files import csv_reader
from tabvae.files.reader import read_tables
from tabvae.files.records import Dialect
from tabvae.files.writer import write_table

from .conftest import make_frame
from .helpers import hasty, tabvae

ROWS = [
    ["day", "size", "note"],
    ["2024-01-01", "1.5", "warm, dry"],
    ["2024-01-02", "2.5", 'a 10" pipe'],
    ["2024-01-03", "", "plain"],
]


def written(rows: list[list[str]]) -> list[str]:
    lines = []
    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(row)
        lines.append(text.getvalue())
    return lines


def found(path: Path, dialect: Dialect) -> list[list[str]]:
    table = read_tables([str(path)], dialect).table
    columns = [column.to_pylist() for column in table.columns]
    return [table.column_names, *map(list, zip(*columns, strict=True))]


LINES = written(ROWS)
NUMBERED = [["column_1", "column_2", "column_3"], *ROWS]
STATED = {
    "no header": ("".join(LINES[1:]), Dialect(header_rows=0), [NUMBERED[0], *ROWS[1:]]),
    "lines before": ("Report\n\n" + "".join(LINES), Dialect(skip_rows=2), ROWS),
    "comments": (
        "# a\n" + LINES[0] + "#b,c\n" + "".join(LINES[1:]),
        Dialect(comment="#"),
        ROWS,
    ),
    "a comment in a cell": ('a,b\n"x\n#y",1\n', Dialect(comment="#"), [["a", "b"], ["x\n#y", "1"]]),
    "two lines of names": (
        "2023,,2024\nin,out,in\n1,2,3\n",
        Dialect(header_rows=2),
        [["2023 in", "out", "2024 in"], ["1", "2", "3"]],
    ),
    "apostrophes": (
        "a,b\n'x, y',1\n'it''s',2\n",
        Dialect(quote="'"),
        [
            ["a", "b"],
            ["x, y", "1"],
            ["it's", "2"],
        ],
    ),
    "no quotes": ('a,b\n"x,1\n', Dialect(quote=""), [["a", "b"], ['"x', "1"]]),
    "backslashes": (
        'a,b\n"x \\"y\\", z",1\n"c:\\\\",2\n8\\\'9,3\n',
        Dialect(escape="\\"),
        [["a", "b"], ['x "y", z', "1"], ["c:\\", "2"], ["8\\'9", "3"]],
    ),
    "a blank behind each comma": (
        'a, b\n1, "x, y"\n',
        Dialect(", "),
        [["a", "b"], ["1", "x, y"]],
    ),
    "carriage returns": ("a,b\r1,2\r", Dialect(), [["a", "b"], ["1", "2"]]),
}


@pytest.mark.parametrize("kind", STATED)
def test_what_is_said_of_a_file_is_how_it_is_read(tmp_path: Path, kind: str) -> None:
    text, dialect, meant = STATED[kind]
    (tmp_path / "a.csv").write_text(text, newline="")
    assert found(tmp_path / "a.csv", dialect) == meant


MENDED = {
    "a row that is short": (["2024-01-04,3.5\n"], [["2024-01-04", "3.5", ""]]),
    "a row with empty cells too many": (["2024-01-04,3.5,x,,\n"], [["2024-01-04", "3.5", "x"]]),
    "a row that is long": (["2024-01-04,3.5,x,y\n"], [["2024-01-04", "3.5", "x,y"]]),
    "a quote that opens nothing": (
        ['2024-01-04,"3.5,"x, y"\n'],
        [["2024-01-04", '"3.5', "x, y"]],
    ),
    "a quote twice": (['2024-01-04,3.5,""x, y"\n'], [["2024-01-04", "3.5", '"x, y']]),
    "quotes that are not doubled": (
        ['2024-01-04,3.5,"a 10" pipe, long"\n'],
        [["2024-01-04", "3.5", 'a 10" pipe, long']],
    ),
    "a quote in a plain cell": (['2024-01-04,3"5,x\n'], [["2024-01-04", '3"5', "x"]]),
    "another delimiter": (["2024-01-04;3.5;x\n"], [["2024-01-04;3.5;x", "", ""]]),
}


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize("kind", MENDED)
def test_a_row_that_does_not_fit_is_refused_left_out_or_mended(
    tmp_path: Path, kind: str, place: str
) -> None:
    lines, meant = MENDED[kind]
    path = tmp_path / "a.csv"
    at = 1 if place == "first" else len(LINES)
    path.write_text("".join([*LINES[:at], *lines, *LINES[at:]]))
    with pytest.raises(DataError, match=f"line {at + 1}"):
        found(path, Dialect())
    with pytest.warns(TabVAEWarning, match=rf"left out 1 row\(s\).*\(lines {at + 1}\)"):
        assert found(path, Dialect(bad_rows="skip")) == ROWS
    with pytest.warns(TabVAEWarning, match=rf"mended 1 row\(s\).*\(lines {at + 1}\)"):
        assert found(path, Dialect(bad_rows="pad")) == [*ROWS[:at], *meant, *ROWS[at:]]


@pytest.mark.parametrize("bad_rows", ["skip", "pad"])
def test_a_quote_that_is_never_closed_costs_one_row_only(tmp_path: Path, bad_rows: str) -> None:
    (tmp_path / "a.csv").write_text('a,b\n1,"x\n2,y\n' + "3,z\n" * 1000)
    with pytest.warns(TabVAEWarning, match="lines 2"):
        rows = found(tmp_path / "a.csv", Dialect(bad_rows=bad_rows))
    assert rows[-1001:] == [["2", "y"], *[["3", "z"]] * 1000]
    assert rows[1:-1001] == ([["1", '"x']] if bad_rows == "pad" else [])


def test_a_header_that_is_short_gets_names(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2,3\n4,5,6\n")
    assert found(tmp_path / "a.csv", Dialect(bad_rows="pad"))[0] == ["a", "b", "column_3"]


def test_a_file_of_numbers_alone_has_no_header_and_that_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("1.5,2\n2.5,3\n")
    with pytest.warns(TabVAEWarning, match="--header-rows 1"):
        assert len(found(tmp_path / "a.csv", Dialect())) == 3
    assert found(tmp_path / "a.csv", Dialect(header_rows=1))[0] == ["1.5", "2"]
    (tmp_path / "a.csv").write_text("2019,2021\n2.5,3\n")
    assert found(tmp_path / "a.csv", Dialect())[0] == ["2019", "2021"]


PIECES = st.sampled_from(["a", "1", '"', '""', ",", "\n", "\r\n", " ", "é", "\n\n", "\ufeff"])


@given(st.lists(PIECES, max_size=30).map("".join))
@example("\ufeff1,2")
@settings(max_examples=1000)
def test_arrows_reader_reads_what_ours_does_or_nothing(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_text("a,b\n" + text, newline="")
    outcomes: list[object] = []
    for ours in (False, True):
        with pytest.MonkeyPatch.context() as patched:
            if ours:
                patched.setattr(csv_reader, "_by_arrow", lambda *_: None)
            try:
                outcomes.append(found(path, Dialect(",")))
            except DataError as error:
                outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]


def test_all_commands_read_and_write_a_file_as_fit_was_told(tmp_path: Path) -> None:
    rows = make_frame(80)[["group", "size", "count"]]
    rows["group"] += ", 'old'"
    text = io.StringIO()
    rows.to_csv(text, index=False, header=False, quotechar="'", na_rep="")
    (tmp_path / "a.csv").write_text("made by hand\n" + text.getvalue())
    options = ("--no-header", "--skip-rows", "1", "--quote", "'")
    with hasty():
        fitted = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast", *options)
    assert fitted.code == 0, fitted.err
    filled = tabvae(tmp_path, "impute")
    assert filled.code == 0, filled.err
    given_lines, lines = text.getvalue().splitlines(), filled.out.splitlines()
    assert len(lines) == len(given_lines)
    complete = np.flatnonzero(rows.notna().all(axis=1))
    assert len(complete) > 40
    assert [lines[k] for k in complete] == [given_lines[k] for k in complete]
    assert tabvae(tmp_path, "embed").out.splitlines()[0].startswith("z1,")
    new = tabvae(tmp_path, "generate", "-n", "5", "--where", "column_3=1").out.splitlines()
    assert len(new) == 5
    z = tabvae(tmp_path, "embed").out.encode()
    assert len(tabvae(tmp_path, "decode", "-", stdin=z).out.splitlines()) == len(rows)
    assert tabvae(tmp_path, "impute", "a.csv").out == filled.out


@pytest.mark.parametrize(
    "options",
    [
        ("--quote", "''"),
        ("--quote", ","),
        ("--escape", "ab"),
        ("--comment", "\n"),
        ("--no-header", "--header-rows", "2"),
        ("--skip-rows", "20000"),
    ],
)
def test_what_no_file_can_be_written_like_is_a_wrong_use(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    result = tabvae(tmp_path, "inspect", "a.csv", *options)
    assert result.code == 2, result
    assert len(result.err.splitlines()) == 1


def test_a_cell_that_ends_itself_is_not_written(tmp_path: Path) -> None:
    table = pa.table({"a": ["x,y"], "b": ["1"]})
    with pytest.raises(OutputError, match="no quote"):
        write_table(table, str(tmp_path / "a.csv"), "csv", replace(Dialect(), quote=""))
    assert not list(tmp_path.iterdir())

"""Formats and compressions: told by their first bytes, and the same table read as written."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import sys
import zipfile
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae.errors import DataError, OutputError
from tabvae.files.formats import COMPRESSIONS, FORMATS
from tabvae.files.reader import read_tables
from tabvae.files.writer import output_format, write_table

from .helpers import assert_one_line_error, tabvae

WRITTEN = [each.name for each in FORMATS if each.written]
TYPED = [each.name for each in FORMATS if each.written and not each.text]
PACKED = ["", *(each.extension for each in COMPRESSIONS if each.written)]

# Law: what is written is read again, whatever the format and the compression

TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0\ufeff"), max_size=5)
CELLS = {
    pa.string(): TEXT,
    pa.int64(): st.integers(-(2**63), 2**63 - 1),
    pa.float64(): st.floats(allow_nan=False, allow_infinity=False),
    pa.bool_(): st.booleans(),
}


@st.composite
def tables(draw: st.DrawFn, kinds: tuple[pa.DataType, ...] = tuple(CELLS)) -> pa.Table:
    rows = draw(st.integers(1, 4))
    columns = {}
    for name in draw(st.lists(TEXT.filter(str.strip), min_size=2, max_size=4, unique=True)):
        kind = draw(st.sampled_from(kinds))
        cell = CELLS[kind] if kinds == (pa.string(),) else st.none() | CELLS[kind]
        cells = draw(st.lists(cell, min_size=rows, max_size=rows))
        # Of a column without a value JSON does not tell the type.
        cells[0] = draw(CELLS[kind]) if cells[0] is None else cells[0]
        columns[name] = pa.array(cells, kind)
    return pa.table(columns)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("fmt", TYPED)
@given(table=tables())
@settings(max_examples=8)
def test_types_and_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory, fmt: str, packed: str, table: pa.Table
) -> None:
    path = str(tmp_path_factory.mktemp("law") / f"a.{fmt}{packed}")
    write_table(table, path, fmt)
    assert read_tables([path]).table.equals(table)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("fmt", ["csv", "tsv"])
@given(table=tables((pa.string(),)))
@settings(max_examples=8)
def test_texts_come_back(
    tmp_path_factory: pytest.TempPathFactory, fmt: str, packed: str, table: pa.Table
) -> None:
    path = str(tmp_path_factory.mktemp("law") / f"a.{fmt}{packed}")
    write_table(table, path, fmt)
    assert read_tables([path]).table.equals(table)


@pytest.mark.parametrize("packed", PACKED)
@pytest.mark.parametrize("fmt", WRITTEN)
def test_the_same_table_gives_the_same_bytes(tmp_path: Path, fmt: str, packed: str) -> None:
    table = pa.table({"a": ["1", "2"], "b": ["x", "é"]})
    paths = [tmp_path / f"{name}.{fmt}{packed}" for name in "ab"]
    for path in paths:
        write_table(table, str(path), output_format(str(path), None))
    assert paths[0].read_bytes() == paths[1].read_bytes()


# Packed files

PLAIN = b"a,b\n1,x\n2,y\n"


def zipped(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name.replace("_dot_", "."), content)
    return file.getvalue()


def arrow_packed(content: bytes, codec: str) -> bytes:
    file = pa.BufferOutputStream()
    with pa.CompressedOutputStream(file, codec) as packed:
        packed.write(content)
    return file.getvalue().to_pybytes()


PACKINGS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: arrow_packed(content, "zstd"),
    "lz4": lambda content: arrow_packed(content, "lz4"),
    "zip": lambda content: zipped(t_dot_csv=content),
}


@pytest.mark.parametrize("name", PACKINGS)
def test_a_packed_file_is_told_by_its_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(PACKINGS[name](PLAIN))
    assert read_tables([str(path)]).table.to_pydict() == {"a": ["1", "2"], "b": ["x", "y"]}


@pytest.mark.parametrize("name", ["gzip", "bzip2", "xz", "zstd"])
def test_packed_files_can_be_put_together(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(PACKINGS[name](PLAIN) + PACKINGS[name](b"3,z\n"))
    assert read_tables([str(path)]).table["b"].to_pylist() == ["x", "y", "z"]


@pytest.mark.parametrize("name", PACKINGS)
def test_half_a_packed_file_is_refused(tmp_path: Path, name: str) -> None:
    whole = PACKINGS[name]("".join(f"{k},{k * k}\n" for k in range(999)).encode())
    path = tmp_path / "a.csv"
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=f"is not a whole {name} file"):
        read_tables([str(path)])


@pytest.mark.parametrize("name", PACKINGS)
def test_what_unpacks_to_more_than_the_limit_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "bomb.csv").write_bytes(PACKINGS[name](b"\0" * 20_000_000))
    result = tabvae(tmp_path, "inspect", "bomb.csv", "--max-memory", "1MB")
    assert_one_line_error(result, 1, "'bomb.csv'", "more than 1 MB", "--max-memory")


def test_a_zip_archive_holds_one_table(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zipped(t_dot_tsv=b"a;x\tb\n1\t2\n", **{"__MACOSX/t_dot_tsv": b""}))
    assert read_tables([str(path)]).table.to_pydict() == {"a;x": ["1"], "b": ["2"]}
    path.write_bytes(zipped(a_dot_csv=PLAIN, b_dot_csv=PLAIN))
    with pytest.raises(DataError, match=r"archive of 2 files: 'a\.csv', 'b\.csv' \(unpack it"):
        read_tables([str(path)])
    with pytest.raises(OutputError, match=r"zip files are read, not written.*\.gz"):
        output_format(str(tmp_path / "b.csv.zip"), None)


# Files of another kind

STRANGE = {
    "old Excel": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600, ["old Excel", ".xlsx"]),
    "SQLite": (b"SQLite format 3\0" + b"\x10\0\1\1", ["SQLite database", "sqlite3"]),
    "JSON array": (b'[{"a": 1}, {"a": 2}]', ["JSON array", "jq -c"]),
    "JSON document": (b'{\n "a": [1, 2]\n}\n', ["line 1", "one JSON object"]),
    "web page": (b"\n<!DOCTYPE html><html></html>", ["web page", "download"]),
    "XML": (b"<?xml version='1.0'?><a/>", ["XML document"]),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", ["PDF document", "CSV"]),
    "old Feather": (b"FEA1\0\0\0\0", ["Feather file of version 1"]),
    "pickle": (b"\x80\x04\x95\x00", ["pickle", "CSV"]),
    "archive": (b"7z\xbc\xaf\x27\x1c", ["archive", "unpack"]),
    "twice packed": (gzip.compress(bz2.compress(PLAIN)), ["packed twice", "bzip2"]),
    "Office": (zipped(**{"[Content_Types]_dot_xml": b"", "word/a": b""}), ["Office document"]),
}


@pytest.mark.parametrize("name", ["table.csv", "table", "table.csv.zst"])
@pytest.mark.parametrize("kind", STRANGE)
def test_another_kind_of_file_is_told_by_its_first_bytes(
    tmp_path: Path, kind: str, name: str
) -> None:
    content, words = STRANGE[kind]
    (tmp_path / name).write_bytes(content)
    result = tabvae(tmp_path, "inspect", name)
    assert_one_line_error(result, 1, f"'{name}'", *words)
    assert "encoding" not in result.err


@pytest.mark.parametrize("fmt", TYPED)
def test_a_table_under_a_wrong_name_is_read_for_what_it_is(tmp_path: Path, fmt: str) -> None:
    table = pa.table({"a": [1, 2], "b": ["x", "y"]})
    write_table(table, str(tmp_path / "a.csv"), fmt)
    loaded = read_tables([str(tmp_path / "a.csv")])
    assert (loaded.format, loaded.table) == (fmt, table)


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow", "a.jsonl", "a.xlsx"])
def test_text_under_a_name_of_another_format_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(PLAIN)
    result = tabvae(tmp_path, "inspect", name)
    assert_one_line_error(result, 1, f"'{name}' is not a", "rename it to .csv")


# Arrow


def test_an_arrow_stream_is_read(tmp_path: Path) -> None:
    table = pa.table({"a": [1, 2], "b": pa.array(["x", "y"]).dictionary_encode()})
    with pa.ipc.new_stream(str(tmp_path / "a.arrows"), table.schema) as writer:
        writer.write_table(table)
    assert read_tables([str(tmp_path / "a.arrows")]).table.equals(table)


BOMBS = {
    "nulls": pa.table({"a": pa.nulls(10**8)}),
    "packed": pa.table({"a": pa.array([0] * 2_000_000), "b": pa.array([0] * 2_000_000)}),
    "dictionary": pa.table(
        {"a": pa.DictionaryArray.from_arrays(pa.array([0] * 10_000), ["x" * 100_000])}
    ),
    "view": pa.table({"a": pa.array(["x" * 100_000] * 20).cast(pa.string_view())}),
}


@pytest.mark.parametrize("name", BOMBS)
def test_an_arrow_file_that_wants_to_be_large_is_refused(tmp_path: Path, name: str) -> None:
    write_table(BOMBS[name], str(tmp_path / "a.arrow"), "arrow")
    result = tabvae(tmp_path, "inspect", "a.arrow", "--max-memory", "1MB")
    assert_one_line_error(result, 1, "'a.arrow'", "more than 1 MB", "--max-memory")


@pytest.mark.parametrize("cut", [10, 60, 200, -1])
def test_a_damaged_arrow_file_is_one_line(tmp_path: Path, cut: int) -> None:
    write_table(pa.table({"a": [1, 2], "b": ["x", "y"]}), str(tmp_path / "a.arrow"), "arrow")
    whole = (tmp_path / "a.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(whole[:cut])
    assert_one_line_error(tabvae(tmp_path, "inspect", "a.arrow"), 1, "damaged Arrow file")


# JSON lines

BAD_LINES = {
    '{"a": 1}\n[1]\n': ["line 2", "one JSON object"],
    '{"a": 1}\n{"a": }\n': ["line 2", "one JSON object"],
    '{"a": 1}\n\n{"a": "x"}\n': ["line 3", "'a' is a text", "line 1", "a number"],
    '{"a": 1, "a": 2}\n': ["line 1", "a key comes twice"],
    '{"a": 123456789012345678901234567890}\n': ["line 1", "as text"],
    '{"a": 0.12345678901234567890123}\n': ["line 1", "more digits"],
    '{"a": 1.5}\n{"a": 9007199254740993}\n': ["line 1", "too large for a float64"],
    '{"a": Infinity}\n': ["line 1", "Infinity"],
    '{"a": {"b": 1}}\n{"a": {"c": 1}}\n': ["objects of different keys"],
    '{"a": ' + "[" * 5000 + "\n": ["line 1"],
}


@pytest.mark.parametrize("text", BAD_LINES)
def test_json_lines_that_are_no_table_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.jsonl").write_text(text)
    assert_one_line_error(tabvae(tmp_path, "inspect", "a.jsonl"), 1, "a.jsonl", *BAD_LINES[text])


def test_a_key_that_a_line_lacks_is_a_null(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}\n{"b": [1, 2], "a": 2.5}\n{"c": null, "a": NaN}\n')
    table = read_tables([str(path)]).table
    write_table(table, str(tmp_path / "b.jsonl"), "jsonl")
    assert (tmp_path / "b.jsonl").read_text().splitlines() == [
        '{"a": 1.0, "b": null, "c": null}',
        '{"a": 2.5, "b": [1, 2], "c": null}',
        '{"a": null, "b": null, "c": null}',
    ]


def test_types_that_only_show_later_are_those_of_the_whole_column(tmp_path: Path) -> None:
    lines = ['{"a": 1, "b": null}'] * 10_001 + ['{"a": 1.5, "b": "x", "c": true}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    table = read_tables([str(tmp_path / "a.jsonl")]).table
    assert table.schema.types == [pa.float64(), pa.string(), pa.bool_()]
    assert table.num_rows == 10_002


def test_what_json_does_not_have_is_not_written(tmp_path: Path) -> None:
    for cells in (pa.array([float("inf")]), pa.array([b"\xff"])):
        with pytest.raises(OutputError, match=r"'a' .* cannot be written as JSON.*\.parquet"):
            write_table(pa.table({"a": cells}), str(tmp_path / "a.jsonl"), "jsonl")
    assert not list(tmp_path.iterdir())


# Excel


def test_a_workbook_is_read_with_its_types(tmp_path: Path) -> None:
    pytest.importorskip("fastexcel")
    writer = pytest.importorskip("xlsxwriter")
    with writer.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet("one")
        for i, row in enumerate([["n", "t", "b"], [1.5, "x", True], [2, None, False]]):
            sheet.write_row(i, 0, row)
        book.add_worksheet("two")
    with pytest.warns(UserWarning, match="read sheet 'one', not 'two'"):
        table = read_tables([str(tmp_path / "a.xlsx")]).table
    assert table.to_pydict() == {"n": [1.5, 2.0], "t": ["x", None], "b": [True, False]}
    content = (tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "b.xlsx").write_bytes(content[: len(content) // 2])
    assert_one_line_error(tabvae(tmp_path, "inspect", "b.xlsx"), 1, "b.xlsx", "whole")


def test_a_workbook_without_fastexcel_names_the_extra(tmp_path: Path) -> None:
    members = {"[Content_Types]_dot_xml": b"", "xl/workbook_dot_xml": b""}
    (tmp_path / "a.xlsx").write_bytes(zipped(**members))
    with mock.patch.dict(sys.modules, {"fastexcel": None}):
        result = tabvae(tmp_path, "inspect", "a.xlsx")
    assert_one_line_error(result, 1, "Excel workbook", "pip install 'tabvae[excel]'")


# The whole way

FITTED = {"csv": "data.csv", "parquet": "d.parquet", "arrow": "d.arrow.zst", "jsonl": "d.jsonl.gz"}


@pytest.fixture(scope="module")
def twins(tmp_path_factory: pytest.TempPathFactory, frame: object) -> Path:
    """One table in four formats, and a model fitted on each."""
    from .helpers import hasty

    path = tmp_path_factory.mktemp("twins")
    frame = frame[["id", "group", "size", "big", "unit"]].head(60)  # type: ignore[index]
    frame.to_csv(path / "data.csv", index=False)
    table = pa.Table.from_pandas(frame, preserve_index=False)
    with hasty():
        for fmt, name in FITTED.items():
            if fmt != "csv":
                write_table(table, str(path / name), fmt)
            done = tabvae(path, "fit", name, "-o", f"{fmt}.tabvae", "--effort", "fast")
            assert done.code == 0, done.err
    return path


@pytest.mark.parametrize("fmt", [fmt for fmt in FITTED if fmt != "csv"])
def test_every_task_reads_and_writes_every_format(twins: Path, fmt: str) -> None:
    model, source = ["-m", f"{fmt}.tabvae"], FITTED[fmt]
    for task in (["impute", source], ["embed", source], ["detect", source], ["generate", "-n9"]):
        target = f"{task[0]}-{fmt}.{fmt}.zst"
        done = tabvae(twins, *task, *model, "-o", target)
        assert done.code == 0, done.err
        assert read_tables([str(twins / target)]).table.num_rows == (9 if "-n9" in task else 60)
    before = read_tables([str(twins / source)]).table
    after = read_tables([str(twins / f"impute-{fmt}.{fmt}.zst")]).table
    made = read_tables([str(twins / f"generate-{fmt}.{fmt}.zst")]).table
    assert after.schema.equals(before.schema)
    assert made.schema.names == before.schema.names
    for old, new in zip(before.columns, after.columns, strict=True):
        there = pc.is_valid(old)
        assert new.filter(there).equals(old.filter(there))


@pytest.mark.parametrize("fmt", [fmt for fmt in FITTED if fmt != "csv"])
def test_twins_of_a_table_are_the_same_to_a_model(twins: Path, fmt: str) -> None:
    out = {}
    for each in ("csv", fmt):
        done = tabvae(twins, "embed", FITTED[each], "-m", "csv.tabvae")
        assert done.code == 0, done.err
        out[each] = done.out
    assert out["csv"] == out[fmt]
    own = tabvae(twins, "embed", FITTED[fmt], "-m", f"{fmt}.tabvae")
    assert own.out == out["csv"]

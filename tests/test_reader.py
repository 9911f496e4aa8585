"""Tables: every cell keeps its text or type, files appear whole, damage is named."""

from __future__ import annotations

import csv
import gzip
import io
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae.errors import DataError, OutputError, ParameterError
from tabvae.files.reader import read_tables
from tabvae.files.records import Dialect
from tabvae.files.sniffing import DELIMITERS
from tabvae.files.writer import check_output, output_format, write_table

AWKWARD = 'id,text,n\n007,1.10,18446744073709551615\n8, Private,1e5\n9,"two\nlines",\n'


def test_every_cell_keeps_its_text(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_text(AWKWARD)
    loaded = read_tables([str(source)])
    assert loaded.table["id"].to_pylist() == ["007", "8", "9"]
    write_table(loaded.table, str(copy), "csv", loaded.dialect)
    assert copy.read_text() == AWKWARD


DELIMITED = {
    "semicolons": ("a;b\n1;2\n", ";", 2),
    "tabs": ("a\tb\n1\t2\n", "\t", 2),
    "bars": ("a|b\n1|2\n", "|", 2),
    "only the comma splits the rows, too": ("a,b;c\n1,2\n", ",", 2),
    "blank lines first": ("\n\r\na;b\n1;2\n", ";", 2),
    "decimal commas": ("Length, mm;Mass\n1,5;3\n2,5;4\n", ";", 2),
    "decimal commas and more commas": ("Length, mm;Mass, kg\n1,5;3,2\n2,5;4,5\n", ";", 2),
    "prose": ("Name;City, Country\nBob;Paris, France\n", ";", 2),
    "more commas than semicolons": ("A, b, c, d;e\n1;2\n3;4\n", ";", 2),
    "a quoted comma": ('Sum, net;Count\n"1,50";3\n2,25;4\n', ";", 2),
    "a quoted header": ('"a;b;c",d\n1,2\n', ",", 2),
    "a header of two lines": ('"a\nx,y,z";b\n1;2\n', ";", 2),
    "Excel's line": ("sep=;\r\na;b\r\n1;2\r\n", ";", 2),
    "Excel's line with a delimiter of its own": ("SEP=^\na^b\n1^2\n", "^", 2),
    "one column": ("a\n1\n", ",", 1),
    "one column, quoted": ('a\n"x;y"\n', ",", 1),
}


@pytest.mark.parametrize("name", DELIMITED)
def test_the_delimiter_is_found_in_the_header_and_the_rows(tmp_path: Path, name: str) -> None:
    content, delimiter, columns = DELIMITED[name]
    path = tmp_path / "a.csv"
    path.write_text(content, newline="")
    loaded = read_tables([str(path)])
    assert loaded.dialect.delimiter == delimiter
    assert loaded.table.num_columns == columns
    assert loaded.table.num_rows < content.count("\n")


def test_the_delimiter_that_is_given_decides(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("a,b;c\n1,5;3\n")
    assert read_tables([str(path)], Dialect(";")).table.column_names == ["a,b", "c"]
    assert read_tables([str(path)], Dialect(",")).table.column_names == ["a", "b;c"]
    path.write_text("sep=;\na,b\n1,5\n")
    assert read_tables([str(path)], Dialect(",")).table.column_names == ["a", "b"]


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("a,b\né,1\n".encode("latin-1"), "latin-1"),
        ("a,b\né,1\n".encode("utf-16-le"), "utf-16-le"),
        *(
            (f"{mark}a,b\né,1\n".encode(form), asked)
            for mark in ["\ufeff"]
            for form in ["utf-8", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]
            for asked in [None, form, form.removesuffix("-le").removesuffix("-be")]
        ),
    ],
)
def test_encodings_are_read_and_written_back(
    tmp_path: Path, data: bytes, encoding: str | None
) -> None:
    source, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_bytes(data)
    loaded = read_tables([str(source)], Dialect(encoding=encoding))
    assert loaded.table.to_pydict() == {"a": ["é"], "b": ["1"]}
    write_table(loaded.table, str(copy), "csv", loaded.dialect)
    assert copy.read_bytes() == data


def test_line_ends_are_kept(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.csv", tmp_path / "b.csv"
    source.write_bytes(b"a,b\r\n1,2\r\n")
    loaded = read_tables([str(source)])
    write_table(loaded.table, str(copy), "csv", loaded.dialect)
    assert copy.read_bytes() == b"a,b\r\n1,2\r\n"


def test_gzip_in_and_out_with_repeatable_bytes(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.csv.gz", "b.csv.gz")]
    table = pa.table({"a": ["1"], "b": ["x"]})
    for path in paths:
        write_table(table, str(path))
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert gzip.decompress(paths[0].read_bytes()) == b"a,b\n1,x\n"
    assert read_tables([str(paths[0])]).table.equals(table)


def test_parquet_keeps_values_and_types(tmp_path: Path) -> None:
    table = pa.table(
        {
            "u": pa.array([2**64 - 1, None], pa.uint64()),
            "d": pa.array([Decimal("1.10"), None], pa.decimal128(9, 2)),
            "t": pa.array([1, None], pa.timestamp("ms", "UTC")),
            "l": pa.array([[1], None]),
            "c": pa.array(["a", None]).dictionary_encode(),
        }
    )
    source, copy = tmp_path / "a.parquet", tmp_path / "b.parquet"
    pq.write_table(table, source)
    write_table(read_tables([str(source)]).table, str(copy), "parquet")
    assert pq.read_table(copy).equals(table)


def test_many_files_are_one_table_whatever_their_column_order(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("y,x\n4,3\n")
    table = read_tables([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")]).table
    assert table.to_pydict() == {"x": ["1", "3"], "y": ["2", "4"]}


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,price\n1,2\n")
    (tmp_path / "b.csv").write_text("x,prize\n1,2\n")
    with pytest.raises(DataError, match=r"'price'.*did you mean 'prize'"):
        read_tables([str(tmp_path / "a.csv"), str(tmp_path / "b.csv")])


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["is empty"]),
        (b"a,b\n1,2\n3\n", ["line 3", "1 cells", "header has 2", "--delimiter"]),
        (b'a,b\n"x\ny",2\n1,2,3\n', ["line 4", "3 cells"]),
        (b'a,b\n1,"2\n', ["line 2", "quote"]),
        (b"a,b\n1,\xe9\n", ["line 2", "utf-8", "--encoding"]),
        (b"a,b\r1,2\r\xe9,3\r", ["line 3", "utf-8"]),
        ("a,b\n1,2\n".encode("utf-16")[:-1], ["line 2", "utf-16"]),
        ("a,b\n1,2\n".encode("utf-16-be"), ["line 1", "--encoding utf-16-be"]),
        (b"a,b,c;d\n1,2,3;4\n", ["line 1", "',' and ';'", "--delimiter"]),
        (b"\nid,lat;lon\n1,50;8\n", ["line 2", "',' and ';'", "--delimiter"]),
        (b"Length, mm;Mass\n1,5;3\n2,5;4;6\n", ["line 3", "3 cells"]),
        (b"# by x\na;b\n1;2\n", ["line 2", "2 cells", "header has 1", "--delimiter ','"]),
        (b'a,b\nx "y, z",2\n', ["line 2", "a quote opens inside a cell", "doubles"]),
        (b'a,b\n"x\ny",1\n5" pipe,2\n', ["line 4", "a quote opens inside a cell"]),
        (b'a, "b, c"\n1, "2, 3"\n', ["line 1", "a quote opens inside a cell"]),
        (b'a\tb\n1\t "2"\n', ["line 2", "a quote opens inside a cell"]),
        (b"a,a\n1,2\n", ["columns 1 and 2", "'a'"]),
        (b"PAR1 but no", ["damaged Parquet"]),
        (b"\x1f\x8bnot gzip at all", ["gzip"]),
    ],
)
def test_damage_is_named_in_one_line(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_tables([str(path)])
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message


def test_a_csv_called_parquet_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match="not a Parquet file"):
        read_tables([str(path)])


def test_a_missing_file_suggests_the_nearest(tmp_path: Path) -> None:
    folder = tmp_path / ("a folder with a long name " * 4)
    folder.mkdir()
    (folder / "sales.csv").write_text("a,b\n1,2\n")
    with pytest.raises(DataError, match=r"no such file .*sale\.csv'.*did you mean 'sales\.csv'"):
        read_tables([str(folder / "sale.csv")])
    with pytest.raises(DataError, match=r"check the path"):
        read_tables([str(folder / "another.parquet")])


@pytest.mark.parametrize(
    "dialect",
    [
        {"delimiter": ";;"},
        {"delimiter": '"'},
        {"delimiter": "\n"},
        {"encoding": "utf-9"},
        {"encoding": "hex"},
    ],
)
def test_an_impossible_dialect_is_refused(dialect: dict[str, str]) -> None:
    with pytest.raises(ParameterError):
        Dialect(**dialect)


def test_output_is_checked_before_work(tmp_path: Path) -> None:
    existing = tmp_path / "a.csv"
    existing.write_text("old")
    with pytest.raises(OutputError, match="--force"):
        check_output(str(existing), force=False)
    check_output(str(existing), force=True)
    with pytest.raises(OutputError, match="is an input"):
        check_output(str(existing), force=True, inputs=[str(existing)])
    with pytest.raises(OutputError, match="is a folder"):
        check_output(str(tmp_path), force=True)
    with pytest.raises(OutputError, match="no folder"):
        check_output(str(tmp_path / "none" / "a.csv"), force=False)
    with pytest.raises(OutputError, match="cannot tell the format"):
        output_format(str(tmp_path / "a.xlsx"), None)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("old")
    with pytest.raises(OutputError, match="--encoding utf-8"):
        write_table(pa.table({"a": ["é", "日"]}), str(path), "csv", Dialect(encoding="latin-1"))
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


def test_what_has_no_text_is_not_written_as_csv(tmp_path: Path) -> None:
    table = pa.table({"a": [1], "nested": [[1, 2]]})
    with pytest.raises(OutputError, match=r"'nested' of type list.*\.parquet"):
        write_table(table, str(tmp_path / "a.csv"))
    assert not list(tmp_path.iterdir())


CELL = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\x00"), max_size=8)


@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
@settings(max_examples=150)
def test_any_text_survives_reading_and_writing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("roundtrip")
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("a", "b", "c"), *rows])
    (folder / "a.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    first = read_tables([str(folder / "a.csv")])
    write_table(first.table, str(folder / "b.csv"), "csv", first.dialect)
    again = read_tables([str(folder / "b.csv")]).table
    assert again.equals(first.table)
    assert list(zip(*first.table.to_pydict().values(), strict=True)) == rows


ODD_CELL = st.one_of(
    st.text(",;\t|\"\r\n 'a1é\ufeff\u2028\0", max_size=6),
    st.sampled_from(["", "sep=;", "sep=", "1,5", "Length, mm", "a;b;c", '5" pipe', "\ufeffa"]),
    CELL,
)


@st.composite
def odd_tables(draw: st.DrawFn) -> pa.Table:
    names = ODD_CELL.map(lambda name: name.replace("\0", ""))
    header = draw(st.lists(names, min_size=1, max_size=4, unique=True))
    row = st.tuples(*[ODD_CELL] * len(header))
    rows = draw(st.lists(row, min_size=1, max_size=5))
    return pa.Table.from_arrays([pa.array(c) for c in zip(*rows, strict=True)], names=header)


DIALECTS = st.builds(
    Dialect,
    delimiter=st.sampled_from([*DELIMITERS, "^", " ", ", "]),
    encoding=st.just("utf-8"),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    mark=st.booleans(),
    quote=st.sampled_from(['"', "'"]),
    escape=st.sampled_from([None, "\\"]),
    header_rows=st.sampled_from([0, 1]),
    comment=st.sampled_from(["", "#"]),
    bad_rows=st.sampled_from(["error", "pad", "skip"]),
)


@given(odd_tables(), DIALECTS)
@settings(max_examples=1500)
def test_what_is_written_is_read_back_the_same(
    tmp_path_factory: pytest.TempPathFactory, table: pa.Table, dialect: Dialect
) -> None:
    path = tmp_path_factory.getbasetemp() / "odd.csv"
    with mock.patch("os.fsync"):
        write_table(table, str(path), "csv", dialect)
    found = dialect.delimiter in DELIMITERS and dialect.header_rows == 1
    known = dialect if not found else replace(dialect, delimiter=None, encoding=None)
    loaded = read_tables([str(path)], known)
    if dialect.header_rows == 0:
        table = table.rename_columns([f"column_{k + 1}" for k in range(table.num_columns)])
    assert loaded.table.equals(table)
    if table.num_columns > 1:  # Nothing tells the delimiter of a single column.
        assert loaded.dialect == dialect

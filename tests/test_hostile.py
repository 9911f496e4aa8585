"""Files as they come: odd, damaged, or made to do harm. Read as meant, or refused in one line."""

from __future__ import annotations

import csv
import gzip
import io
import resource
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.errors import DataError, TabVAEError
from tabvae.files.memory import limited, text_bytes
from tabvae.files.reader import read_tables
from tabvae.files.writer import output_format, write_table

from .helpers import assert_one_line_error, peak_megabytes, tabvae

pytestmark = pytest.mark.usefixtures("quick")

READ = {
    "no final newline": (b"a,b\n1,2", [["1", "2"]]),
    "carriage returns": (b"a,b\r1,2\r3,4\r", [["1", "2"], ["3", "4"]]),
    "mixed line ends": (b"a,b\r\n1,2\n3,4\r5,6", [["1", "2"], ["3", "4"], ["5", "6"]]),
    "blank lines": (b"\n\na,b\n1,2\n\n3,4\n\n", [["1", "2"], ["3", "4"]]),
    "quoted newline": (b'a,b\n"1\n2",3\n', [["1\n2", "3"]]),
    "quoted everything": (b'"a","b"\n"1,5","say ""x"""\n', [["1,5", 'say "x"']]),
    "byte order mark": (b"\xef\xbb\xbfa,b\n1,2\n", [["1", "2"]]),
    "utf-16 little": ("a,b\n1,é\n".encode("utf-16"), [["1", "é"]]),
    "utf-16 big": (b"\xfe\xff" + "a,b\n1,é\n".encode("utf-16-be"), [["1", "é"]]),
    "nul bytes": (b"a,b\n1\x00,2\n", [["1\x00", "2"]]),
    "an empty name": (b",b\n1,2\n", [["1", "2"]]),
    "blanks": (b"a,b\n 1 ,\t2\n", [[" 1 ", "\t2"]]),
    "semicolons": (b"a;b\n1,5;2\n", [["1,5", "2"]]),
    "gzip": (gzip.compress(b"a,b\n1,2\n"), [["1", "2"]]),
}


@pytest.mark.parametrize("name", READ)
def test_an_odd_file_is_read_as_its_writer_meant(tmp_path: Path, name: str) -> None:
    content, rows = READ[name]
    (tmp_path / "a.csv").write_bytes(content)
    table = read_tables([str(tmp_path / "a.csv")]).table
    assert [list(row.values()) for row in table.to_pylist()] == rows


REFUSED = {
    "a short row": (b"a,b\n1,2\n3\n", ["line 3", "1 cells", "has 2"]),
    "a long row after a quoted newline": (b'a,b\n"1\n1",2\n3,4,5\n', ["line 4", "3 cells"]),
    "an unclosed quote, named where it begins": (b'a,b\n1,2\n"3,4\n5,6\n7,8\n', ["line 3"]),
    "a quote inside a cell": (b'a,b\n1,2\n"3"x,4\n', ["line 3", "quote"]),
    "latin-1": (b"a,b\n1,2\n\xe9,4\n", ["line 3", "--encoding cp1252"]),
    "half a utf-16 character": ("a,b\n1,2\n".encode("utf-16") + b"x", ["utf-16"]),
    "two equal names": (b"a,b,a\n1,2,3\n", ["columns 1 and 3", "'a'"]),
    "two empty names": (b"a,,\n1,2,3\n", ["columns 2 and 3"]),
    "half a gzip file": (gzip.compress(b"a,b\n1,2\n" * 99)[:-9], ["gzip"]),
    "only blank lines": (b"\n\n\n", ["is empty"]),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_damaged_file_is_refused_by_line(tmp_path: Path, name: str) -> None:
    content, words = REFUSED[name]
    (tmp_path / "a.csv").write_bytes(content)
    for command in ("inspect", "fit"):
        assert_one_line_error(tabvae(tmp_path, command, "a.csv"), 1, "'a.csv'", *words)
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_ten_thousand_columns_and_a_line_of_fifty_megabytes_are_read(tmp_path: Path) -> None:
    wide = ",".join(f"c{j}" for j in range(10_000)) + "\n" + ",".join("1" * 10_000) + "\n"
    (tmp_path / "wide.csv").write_text(wide)
    assert read_tables([str(tmp_path / "wide.csv")]).table.shape == (1, 10_000)
    (tmp_path / "long.csv").write_bytes(b"a,b\n" + b"x" * 50_000_000 + b",2\n")
    table = read_tables([str(tmp_path / "long.csv")]).table
    assert len(table["a"][0].as_py()) == 50_000_000
    result = tabvae(tmp_path, "inspect", "long.csv")
    assert result.code == 0
    assert len(result.out) < 2000


CELLS = {
    "zip": ["000651", "01234", "99999"],
    "long": ["9007199254740993", "18446744073709551615", "-9223372036854775809"],
    "huge": ["1e400", "-1e400", "1e-400"],
    "signed": ["-0", "+0", "0"],
    "comma": ["1,234", "5,678,901", "12"],
    "european": ["1.234,5", "2.345,6", "7,8"],
    "word": ["NaN of the world", "nan", "N/A"],
    "day": ["2024-02-30", "0001-01-01", "9999-12-31"],
    "flag": ["TRUE", "False", "true"],
    "formula": ["=1+1", "@cmd", "+1-1"],
    "control": ["\x1b[31m", "\x07", "\u202e"],
    "spaced": [" 1.50", "2.5 ", "3."],
}


@pytest.mark.parametrize("na", [(), ("--na", "")])
def test_observed_cells_leave_as_they_came(tmp_path: Path, na: tuple[str, ...]) -> None:
    rng = np.random.default_rng(0)
    table = pd.DataFrame({name: rng.choice(cells, 60) for name, cells in CELLS.items()})
    table["NA"] = rng.choice(["NA", "DE"], 60)
    table["base"] = rng.normal(size=60).round(2).astype(str)
    text = io.StringIO()
    table.mask(rng.random(table.shape) < 0.1, "").to_csv(text, index=False)
    (tmp_path / "a.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    done = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast", *na)
    assert done.code == 0, done.err
    given = pd.read_csv(tmp_path / "a.csv", dtype=str, keep_default_na=False)
    filled = tabvae(tmp_path, "impute").frame()
    missing = given.eq("") | (given.eq("NA") if not na else False)
    assert (filled.eq(given) | missing).all().all()
    if na:
        assert filled["NA"].isin(["NA", "DE"]).all()


def rows_of_text(cells: st.SearchStrategy[str]) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(cells, min_size=7, max_size=7), min_size=1, max_size=4)


ANY_CELL = st.one_of(
    st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=6),
    st.sampled_from([cell for cells in CELLS.values() for cell in cells]),
    st.floats().map(str),
    st.integers().map(str),
    st.dates().map(str),
).filter(lambda cell: cell.strip() not in ("", "NA", "NaN", "null", "None", "?"))


def assert_nothing_changes(folder: Path, rows: list[list[str]]) -> None:
    text = io.StringIO()
    header = ["id", "group", "size", "count", "big", "day", "unit"]
    csv.writer(text, lineterminator="\n").writerows([header])
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = tabvae(folder, "impute", "-", stdin=text.getvalue().encode())
    assert result.code == 0, result.err
    assert list(csv.reader(io.StringIO(result.out, newline=""))) == [header, *rows]


@given(rows_of_text(ANY_CELL))
@settings(max_examples=30)
def test_with_nothing_missing_impute_gives_the_table_back(
    folder: Path, rows: list[list[str]]
) -> None:
    assert_nothing_changes(folder, rows)


@pytest.mark.slow
@given(rows_of_text(ANY_CELL))
@settings(max_examples=1000)
def test_with_nothing_missing_impute_gives_a_thousand_tables_back(
    folder: Path, rows: list[list[str]]
) -> None:
    assert_nothing_changes(folder, rows)


DRIFTED = {
    "reordered": lambda f: f[f.columns[::-1]],
    "a new column": lambda f: f.assign(more=1),
    "new categories": lambda f: f.assign(group="west"),
    "words for numbers": lambda f: f.assign(size="tall"),
    "numbers for words": lambda f: f.assign(group=5),
    "a column all missing": lambda f: f.assign(size=None),
    "a constant column": lambda f: f.assign(size=20.0),
    "1e30": lambda f: f.assign(size=1e30),
    "near the largest number": lambda f: f.assign(size=-1e149, count=1e149),
    "beyond the largest number": lambda f: f.assign(size="1e400"),
    "days out of range": lambda f: f.assign(day="31.12.9999"),
    "days that are none": lambda f: f.assign(day="31.31.2024"),
    "nothing at all": lambda f: f.assign(**dict.fromkeys(f.columns)),
}


@pytest.mark.filterwarnings("ignore::tabvae.errors.TabVAEWarning")
@pytest.mark.parametrize("name", DRIFTED)
def test_whatever_has_drifted_the_results_are_finite(
    model: TabVAE, frame: pd.DataFrame, name: str
) -> None:
    rows = DRIFTED[name](frame.head(40))
    assert np.isfinite(model.embed(rows).to_numpy()).all()
    for score in ("surprise", "likelihood", "reconstruction", "latent"):
        found = model.detect(rows, score=score)
        assert np.isfinite(found[["score", "p_value"]].to_numpy()).all()
    filled = model.impute(rows)
    assert list(filled.columns) == list(rows.columns)
    assert len(filled) == len(rows)
    assert filled[["group", "size", "count", "big", "day"]].notna().all().all()
    there = rows.notna()
    assert (filled.astype(str)[there] == rows.astype(str)[there]).eq(there).all().all()


# Files that are small and want to be large


def test_a_table_larger_than_the_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"a,b\n" + b"1,2\n" * 300_000)
    (tmp_path / "bomb.csv.gz").write_bytes(gzip.compress(b"\0" * 50_000_000))
    nulls = pa.table({"a": pa.nulls(10**8), "b": pa.nulls(10**8)})
    pq.write_table(nulls, tmp_path / "nulls.parquet")
    text = pa.table({"a": ["x" * 50_000_000], "b": [1]})
    pq.write_table(text, tmp_path / "text.parquet", compression="zstd")
    for name in ("a.csv", "bomb.csv.gz", "nulls.parquet", "text.parquet"):
        result = tabvae(tmp_path, "inspect", name, "--max-memory", "1MB")
        assert_one_line_error(result, 1, f"'{name}'", "more than 1 MB", "--max-memory")
    whole = (tmp_path / "a.csv").read_bytes()
    result = tabvae(tmp_path, "inspect", "-", "--max-memory", "1MB", stdin=whole)
    assert_one_line_error(result, 1, "'standard input'", "more than 1 MB")
    assert tabvae(tmp_path, "inspect", "a.csv", "--max-memory", "2mb").code == 0
    assert_one_line_error(tabvae(tmp_path, "inspect", "a.csv", "--max-memory", "x"), 2, "500MB")


def test_files_of_one_call_share_the_limit(tmp_path: Path) -> None:
    for number in range(4):
        (tmp_path / f"{number}.csv").write_bytes(b"a,b\n" + b"1,2\n" * 150_000)
    names = [str(tmp_path / f"{number}.csv") for number in range(4)]
    assert read_tables(names, most=2_500_000).table.num_rows == 600_000
    assert read_tables(names[:1], most=610_000).table.num_rows == 150_000
    with pytest.raises(DataError, match=r"1\.csv' takes more than 595 kB.*with the files before"):
        read_tables(names, most=610_000)


def bomb(name: str) -> pa.Table:
    """A table of 1 GB or more in memory that is a few kB as a file."""
    one = pa.DictionaryArray.from_arrays(pa.array([0] * 10_000, pa.int8()), pa.array(["x" * 10**5]))
    if name == "texts in lists":
        one = pa.ListArray.from_arrays(pa.array([0, 10_000], pa.int32()), one)
    elif name == "texts in structs":
        one = pa.StructArray.from_arrays([one], names=["x"])
    elif name == "lists":
        zeros = pa.array(np.zeros(1_000_000, np.int64))
        one = pa.ListArray.from_arrays(pa.array(np.arange(11) * 100_000, pa.int32()), zeros)
        return pa.concat_tables([pa.table({"a": one})] * 20)
    return pa.table({"a": one})


@pytest.mark.parametrize(
    "name", ["texts", "texts in lists", "texts in structs", "categories", "lists"]
)
def test_a_small_parquet_file_that_wants_to_be_large_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(bomb(name), path, compression="zstd", store_schema=name == "categories")
    assert path.stat().st_size < 50_000
    everywhere = pa.default_memory_pool()
    pool = pa.proxy_memory_pool(everywhere)
    pa.set_memory_pool(pool)
    try:
        with pytest.raises(DataError, match="takes more than 10 MB"):
            read_tables([str(path)], most=10 * 2**20)
    finally:
        pa.set_memory_pool(everywhere)
    # Of lists of numbers the file does not say how long they are.
    assert pool.max_memory() < (1000 if name == "lists" else 100) * 2**20


@pytest.mark.parametrize("options", [{}, {"row_group_size": 7}, {"dictionary_pagesize_limit": 9}])
def test_texts_are_counted_where_they_stand_and_the_table_is_as_it_was(
    tmp_path: Path, options: dict[str, int]
) -> None:
    words = [f"word {number % 17}" for number in range(100)]
    pairs = pa.map_(pa.string(), pa.string())
    table = pa.table(
        {
            "a.b": words,
            "list": [[word, word] for word in words],
            "struct": [{"x": word, "y": {"z": word}} for word in words],
            "map": pa.array([[("k", word)] for word in words], pairs),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", **options)
    assert read_tables([str(tmp_path / "a.parquet")]).table.equals(table)
    with (tmp_path / "a.parquet").open("rb") as file:
        counted = sum(text_bytes(pa.PythonFile(file, mode="r"), 10))
    assert counted == 6 * sum(map(len, words)) + len(words)


def data_is_limited() -> bool:
    """The kernel holds a process to RLIMIT_DATA also where it maps memory: not all do."""
    script = (
        "import mmap, resource\n"
        "resource.setrlimit(resource.RLIMIT_DATA, (2**20, 2**20))\n"
        "mmap.mmap(-1, 2**26, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    return done.returncode != 0


def test_what_no_file_declares_is_limited_too() -> None:
    if not data_is_limited():
        pytest.skip("this kernel does not hold a process to RLIMIT_DATA")
    before = resource.getrlimit(resource.RLIMIT_DATA)
    with pytest.raises(MemoryError), limited(2**20):
        np.empty(2**34, np.int8)
    with limited(2**20):
        assert len(np.ones(2**20, np.int8)) == 2**20
    assert resource.getrlimit(resource.RLIMIT_DATA) == before


@pytest.mark.slow
def test_a_billion_values_in_a_few_bytes_take_no_memory(tmp_path: Path) -> None:
    group = pa.table({"a": pa.nulls(10**8), "b": pa.nulls(10**8)})
    with pq.ParquetWriter(tmp_path / "a.parquet", group.schema) as writer:
        for _ in range(5):
            writer.write_table(group)
    result, megabytes = peak_megabytes(tmp_path, "inspect", "a.parquet")
    assert_one_line_error(result, 1, "--max-memory")
    assert megabytes < 1000


# Random damage


def corpus(folder: Path) -> dict[str, bytes]:
    """Whole files, to damage."""
    frame = pd.DataFrame({"a": range(40), "b": list("wxyz") * 10, "c": np.linspace(0, 1, 40)})
    parquet, packed = io.BytesIO(), io.BytesIO()
    frame.to_parquet(parquet, compression="zstd")
    frame.to_parquet(packed, compression="snappy", row_group_size=10)
    text = frame.to_csv(index=False).encode()
    return {
        "a.csv": text,
        "b.csv": b'a;"b"\r\n1;"x\r\ny"\r\n"2";""""\r\n' * 5,
        "c.csv": frame.to_csv(index=False).encode("utf-16"),
        "d.csv.gz": gzip.compress(text, mtime=0),
        "e.parquet": parquet.getvalue(),
        "f.parquet": packed.getvalue(),
        **{name: _written(frame, folder / name) for name in ("g.arrow", "h.jsonl", "i.csv.zst")},
    }


def _written(frame: pd.DataFrame, path: Path) -> bytes:
    write_table(pa.Table.from_pandas(frame), str(path), output_format(str(path), None))
    return path.read_bytes()


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """``content`` with some bytes changed, cut out, doubled, or the end gone."""
    found = bytearray(content)
    for _ in range(rng.integers(1, 6)):
        at = int(rng.integers(len(found)))
        match rng.integers(5):
            case 0:
                found[at] = rng.integers(256)
            case 1:
                found[at] ^= 1 << rng.integers(8)
            case 2:
                del found[at : at + rng.integers(1, 9)]
            case 3:
                found[at:at] = found[at : at + rng.integers(1, 99)]
            case _:
                found[at:at] = rng.choice([b'"', b"\n", b"\r", b",", b"\0", b"\xff"])
        if not found:
            break
    return bytes(found[: rng.integers(len(found) + 1)] if rng.random() < 0.1 else found)


def assert_read_or_refused(folder: Path, tries: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = corpus(folder)
    outcomes = {"read": 0, "refused": 0}
    for number in range(tries):
        name = list(whole)[number % len(whole)]
        (folder / name).write_bytes(damaged(whole[name], rng))
        try:
            table = read_tables([str(folder / name)], most=2**26).table
        except TabVAEError as error:
            message = str(error)
        else:
            message = ""
            assert table.num_columns > 0
        assert "\n" not in message
        outcomes["refused" if message else "read"] += 1
    assert min(outcomes.values()) > tries // 20, outcomes


def test_damaged_tables_are_read_or_refused(tmp_path: Path) -> None:
    assert_read_or_refused(tmp_path, 300, seed=0)


@pytest.mark.slow
def test_many_damaged_tables_are_read_or_refused(tmp_path: Path) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_read_or_refused(tmp_path, 10_000, seed=1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1_000_000


# Tables at the edge of what can be learned


@pytest.mark.slow
def test_tables_that_are_nearly_empty_or_nearly_constant_work_or_say_why(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    numbers = pd.DataFrame(rng.normal(size=(400, 4)).round(2), columns=list("abcd"))
    tables = {
        "empty": (numbers.mask(rng.random(numbers.shape) < 0.99), 0, ""),
        "constant": (numbers.assign(a=1, b="x", c="y"), 1, "only 1 of 4 columns"),
        "twins": (numbers.iloc[[0, 0]], 1, "one value in every cell"),
        "one": (numbers.iloc[:1], 1, "1 row"),
        "wide": (pd.DataFrame(rng.normal(size=(3, 4000))), 1, "4000 columns could be modelled"),
        "ten": (numbers[:10], 0, ""),
        "words": (numbers.assign(d=[f"w{v % 380}" for v in range(400)]), 0, ""),
    }
    for name, (table, code, words) in tables.items():
        table.to_csv(tmp_path / f"{name}.csv", index=False)
        result = tabvae(tmp_path, "fit", f"{name}.csv", "--effort", "fast", "--force-small")
        assert (result.code, words in result.err) == (code, True), (name, result.err)
        if code:
            assert_one_line_error(result, 1, words)
            continue
        filled = tabvae(tmp_path, "impute", "-m", f"{name}.tabvae").frame()
        assert len(filled) == len(table)
        assert not filled[["a", "b", "c"]].eq("").any().any()


@pytest.mark.slow
def test_a_hundred_thousand_categories_work(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = 120_000
    table = pd.DataFrame(
        {
            "a": rng.normal(size=rows).round(2),
            "word": [f"w{v}" for v in rng.permutation(rows) % 100_000],
            "b": rng.choice(["x", "y"], rows),
        }
    )
    table.to_csv(tmp_path / "a.csv", index=False)
    result = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast")
    assert result.code == 0, result.err
    made = tabvae(tmp_path, "generate", "-n", "100").frame()
    assert made["word"].isin(table["word"]).all()

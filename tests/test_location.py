"""Tables that are not one file: folders of parts, patterns, and stores that a URI names."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pyarrow as pa
import pytest

from tabvae.errors import DataError, OutputError
from tabvae.files import container, location
from tabvae.files.formats import FORMATS
from tabvae.files.reader import read_tables
from tabvae.files.writer import check_output, destination, write_table

from .helpers import assert_one_line_error, hasty, tabvae


def rows(first: int) -> pa.Table:
    return pa.table({"n": [str(first), str(first + 1)], "t": ["x", "y"]})


@pytest.fixture
def parts(tmp_path: Path) -> Path:
    """A partitioned table, as Hive and Spark write it, and what they leave beside it."""
    for year, city in (("2023", "Bonn"), ("2024", "New%20York"), ("2024", location.NO_KEY)):
        folder = tmp_path / "parts" / f"year={year}" / f"city={city}"
        folder.mkdir(parents=True)
        write_table(rows(len(list(tmp_path.rglob("*.csv")))), str(folder / "a.csv"))
    (tmp_path / "parts" / "_SUCCESS").touch()
    (tmp_path / "parts" / ".hidden.csv").write_text("no")
    (tmp_path / "parts" / "readme.md").write_text("no")
    return tmp_path / "parts"


def test_a_folder_is_all_tables_in_it_with_the_cells_of_its_names(parts: Path) -> None:
    table = read_tables([str(parts)]).table
    assert table.column_names == ["n", "t", "year", "city"]
    assert table["year"].to_pylist() == ["2023"] * 2 + ["2024"] * 4
    assert table["city"].to_pylist() == ["Bonn"] * 2 + ["New York"] * 2 + [None] * 2


@pytest.mark.parametrize("fmt", [f.name for f in FORMATS if f.written and not f.text])
def test_cells_of_folders_are_numbers_where_files_have_types(parts: Path, fmt: str) -> None:
    for path in list(parts.rglob("a.csv")):
        write_table(rows(0), str(path.with_suffix(f".{fmt}")), fmt)
        path.unlink()
    table = read_tables([f"{parts}/"]).table
    assert table["year"].to_pylist() == [2023] * 2 + [2024] * 4
    assert table.schema.field("city").type == pa.string()


@pytest.mark.parametrize(
    ("pattern", "columns", "count"),
    [
        ("year=2024/*/a.csv", ["n", "t", "city"], 4),
        ("*/*/*.csv", ["n", "t", "year", "city"], 6),
        ("**/a.csv", ["n", "t", "year", "city"], 6),
        ("year=202[3]/city=Bonn/a.csv", ["n", "t", "year", "city"], 2),
    ],
)
def test_a_pattern_is_all_files_that_match(
    parts: Path, pattern: str, columns: list[str], count: int
) -> None:
    table = read_tables([str(parts / pattern)]).table
    assert (table.column_names, table.num_rows) == (columns, count)


def test_a_file_with_a_name_like_a_pattern_is_itself(tmp_path: Path) -> None:
    write_table(rows(0), str(tmp_path / "a[1].csv"))
    write_table(rows(5), str(tmp_path / "a1.csv"))
    assert read_tables([str(tmp_path / "a[1].csv")]).table["n"].to_pylist() == ["0", "1"]


def test_a_folder_that_is_no_table_says_so(parts: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "none*.csv"):
        with pytest.raises(DataError, match=f"no tables in .*{name[:4]}"):
            read_tables([str(tmp_path / name)])
    with mock.patch.object(location, "MOST_ENTRIES", 3), pytest.raises(DataError, match="more"):
        read_tables([str(parts)])
    twice = parts / "year=2023" / "city=Bonn" / "a.csv"
    twice.write_text("n,t,year\n1,x,7\n")
    with pytest.raises(DataError, match=r"column 'year' is in .*a\.csv' and in its path"):
        read_tables([str(parts)])


def test_an_output_in_the_folder_that_is_read_is_no_part_of_it(parts: Path) -> None:
    inside = parts / "year=2023" / "city=Bonn" / "a.csv"
    with pytest.raises(OutputError, match="is an input"):
        check_output(str(inside), force=True, inputs=[str(parts)])


def test_a_file_uri_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a b.csv"
    uri = f"file://{tmp_path}/a%20b.csv"
    write_table(rows(0), destination(uri))
    assert path.exists()
    assert read_tables([uri]).table.equals(rows(0))
    with pytest.raises(OutputError, match="exists"):
        check_output(destination(uri), force=False)


def test_every_task_takes_a_folder_and_the_model_knows_it_again(
    folder: Path, tmp_path: Path
) -> None:
    whole = (folder / "data.csv").read_text().splitlines(keepends=True)
    (tmp_path / "in").mkdir()
    for number, start in enumerate((1, 100)):
        lines = [whole[0], *whole[start : start + 20]]
        (tmp_path / "in" / f"{number}.csv").write_text("".join(lines))
    model = str(folder / "data.tabvae")
    one = tabvae(tmp_path, "impute", "in", "-m", model)
    both = tabvae(tmp_path, "impute", "in/0.csv", "in/1.csv", "-m", model)
    assert one.code == 0, one.err
    assert one.out == both.out
    document, arrays = container.read(model)
    document["source"]["paths"] = ["in"]
    container.write(str(tmp_path / "m.tabvae"), document, arrays)
    again = tabvae(tmp_path, "impute")
    assert again.out == one.out
    assert "reading 'in'" in again.err


def test_a_store_is_not_asked_for_what_only_a_model_names(folder: Path, tmp_path: Path) -> None:
    document, arrays = container.read(str(folder / "data.tabvae"))
    document["source"]["paths"] = ["s3://bucket/a.csv"]
    container.write(str(tmp_path / "m.tabvae"), document, arrays)
    with mock.patch.object(location._Store, "of", side_effect=AssertionError):
        result = tabvae(tmp_path, "impute")
        made = tabvae(tmp_path, "generate", "-n", "3")
    assert_one_line_error(result, 1, "'s3://bucket/a.csv', is not on this machine", "name the file")
    assert (made.code, made.err) == (0, "")


# Stores


@pytest.fixture
def memory() -> Iterator[str]:
    fsspec = pytest.importorskip("fsspec")
    yield "memory://work"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture
def s3() -> Iterator[str]:
    server = pytest.importorskip("moto.server")
    with mock.patch.dict(os.environ, AWS_ACCESS_KEY_ID="a", AWS_SECRET_ACCESS_KEY="b"):
        running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        running.start()
        host, port = running.get_host_and_port()
        options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        pa.fs.FileSystem.from_uri(f"s3://x?{options}&allow_bucket_creation=true")[0].create_dir(
            "bucket"
        )
        yield f"s3://bucket/work?{options}"
        running.stop()


def inside(store: str, name: str) -> str:
    base, mark, query = store.partition("?")
    return f"{base}/{name}{mark}{query}"


@pytest.mark.parametrize("kind", ["memory", "s3"])
def test_a_store_is_read_and_written(request: pytest.FixtureRequest, kind: str) -> None:
    store = request.getfixturevalue(kind)
    for name in ("parts/year=2023/a.parquet", "parts/year=2024/b.parquet", "c.csv.zst", "d.jsonl"):
        uri = inside(store, name)
        check_output(uri, force=False)
        write_table(rows(7), uri, uri.partition("?")[0].rsplit(".", 1)[1].replace("zst", "csv"))
        assert read_tables([uri]).table.equals(rows(7))
        with pytest.raises(OutputError, match="exists"):
            check_output(uri, force=False)
    for several in ("parts", "parts/*/*.parquet"):
        table = read_tables([inside(store, several)]).table
        assert table["year"].to_pylist() == [2023, 2023, 2024, 2024]
    with pytest.raises(DataError, match="more than 0 kB"):
        read_tables([inside(store, "d.jsonl")], most=10)
    with pytest.raises(DataError, match=r"cannot read '(memory|s3)://"):
        read_tables([inside(store, "none.csv")])


@pytest.mark.usefixtures("memory")
def test_no_secret_of_a_uri_is_said_or_kept(folder: Path) -> None:
    secret = "memory://user:secret@work/data.csv?key=secret"
    text = (folder / "data.csv").read_text().splitlines(keepends=True)
    for path, wrong in ((secret, "none"), (secret.replace("memory", "nowhere"), "")):
        result = tabvae(folder, "inspect", path.replace("data", f"{wrong}data"))
        assert result.code == 1
        assert "data.csv" in result.err
        assert "secret" not in result.err
    rows = io.BytesIO("".join(text[:60]).encode())
    with (
        hasty(),
        mock.patch("tabvae.files.reader.parts_of", return_value=[location.Part(secret)]),
        mock.patch("tabvae.files.reader.read_remote", return_value=rows),
    ):
        done = tabvae(folder, "fit", secret, "-o", f"{folder}/s.tabvae", "--effort", "fast")
    assert done.code == 0, done.err
    assert container.read_document(f"{folder}/s.tabvae")["source"]["paths"] == [
        "memory://work/data.csv"
    ]
    (folder / "s.tabvae").unlink()


def test_a_store_that_nobody_knows_is_one_line(tmp_path: Path, memory: str) -> None:
    result = tabvae(tmp_path, "inspect", "nowhere://a/b.csv")
    assert_one_line_error(result, 1, "'nowhere://a/b.csv'", "fsspec")
    missing = tabvae(tmp_path, "inspect", f"{memory}/none.csv")
    assert_one_line_error(missing, 1, "cannot read 'memory://work/none.csv'")
    refused = tabvae(tmp_path, "fit", "a.csv", "-o", f"{memory}/a.tabvae")
    assert_one_line_error(refused, 1, "a model is written on this machine")

"""Parquet columns of every type go through all commands and come back as they were."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabvae import TabVAE
from tabvae.files.reader import read_tables
from tabvae.files.writer import write_table

from .helpers import assert_one_line_error, hasty, tabvae

ROWS = 60

pytestmark = pytest.mark.usefixtures("quick")


def every_type() -> pa.Table:
    """Two plain columns and one of each type Parquet knows, with gaps."""
    rng = np.random.default_rng(0)
    base = rng.normal(size=ROWS)
    count = [int(v) for v in rng.integers(0, 255, ROWS)]
    word = [str(w) for w in rng.choice(["red", "green", "blue"], ROWS)]

    def gaps(cells: list[object], kind: pa.DataType | None = None) -> pa.Array:
        return pa.array([None if i % 7 == 3 else c for i, c in enumerate(cells)], kind)

    money = [Decimal(int(v * 100)) / 100 for v in base]
    return pa.table(
        {
            "base": base,
            "word": word,
            "float16": gaps([np.float16(v) for v in base], pa.float16()),
            "float32": gaps(list(base), pa.float32()),
            "uint8": gaps(list(count), pa.uint8()),
            "uint64": gaps([2**63 + c for c in count], pa.uint64()),
            "int64": gaps([2**60 + c for c in count], pa.int64()),
            "decimal128": gaps(list(money), pa.decimal128(10, 2)),
            "decimal256": gaps(list(money), pa.decimal256(50, 2)),
            "dictionary": gaps(list(word)).dictionary_encode(),
            "large_string": gaps(list(word), pa.large_string()),
            "string_view": gaps(list(word), pa.string_view()),
            "digits": gaps([str(c) for c in count], pa.string()),
            "boolean": gaps([bool(c % 2) for c in count]),
            "date32": gaps(list(count), pa.date32()),
            "timestamp_ns": gaps([c * 10**15 + 7 for c in count], pa.timestamp("ns")),
            "timestamp_tz": gaps([c * 10**9 for c in count], pa.timestamp("ms", "Europe/Berlin")),
            "duration": gaps(list(count), pa.duration("s")),
            "time64": gaps([c * 10**6 for c in count], pa.time64("us")),
            "list": gaps([[c, c] for c in count]),
            "struct": gaps([{"x": c} for c in count]),
            "map": gaps([[("k", c)] for c in count], pa.map_(pa.string(), pa.int64())),
            "binary": gaps([b"\x00\x01"] * ROWS),
            "null": pa.nulls(ROWS),
        }
    )


CARRIED = {"time64", "list", "struct", "map", "binary", "null"}


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("types")
    pq.write_table(every_type(), folder / "data.parquet")
    with hasty():
        result = tabvae(folder, "fit", "data.parquet", "--effort", "fast")
    assert result.code == 0, result.err
    return folder


def test_impute_keeps_every_type_and_cell(work: Path) -> None:
    given = pq.read_table(work / "data.parquet")
    assert tabvae(work, "impute", "-m", "data.tabvae", "-o", "filled.parquet").code == 0
    filled = pq.read_table(work / "filled.parquet")
    assert filled.schema.types == given.schema.types
    for name in given.column_names:
        before, after = given.column(name).to_pylist(), filled.column(name).to_pylist()
        assert [a for a, b in zip(after, before, strict=True) if b is not None] == [
            b for b in before if b is not None
        ]
        assert (None in after) == (name in CARRIED), name


@dataclass(frozen=True)
class Laid:
    """What a Parquet file says of itself."""

    schema: pa.Schema
    rows: list[int]
    codecs: list[str]
    order: tuple[pq.SortingColumn, ...]

    @classmethod
    def of(cls, path: Path) -> Laid:
        source = pq.ParquetFile(path)
        groups = [source.metadata.row_group(j) for j in range(source.metadata.num_row_groups)]
        codecs = [groups[0].column(j).compression for j in range(groups[0].num_columns)]
        rows = [group.num_rows for group in groups]
        return cls(source.schema_arrow, rows, codecs, groups[0].sorting_columns)


@pytest.mark.parametrize("codec", ["zstd", "none", {"base": "gzip", "word": "zstd", "key": "lz4"}])
def test_impute_keeps_the_layout_of_a_file(work: Path, codec: str | dict[str, str]) -> None:
    key = pa.field("key", pa.int32(), nullable=False, metadata={"unit": "m"})
    table = every_type().add_column(0, key, pa.array(range(ROWS), pa.int32()))
    table = table.replace_schema_metadata({"license": "CC0"})
    first = [pq.SortingColumn(0)]
    pq.write_table(
        table, work / "laid.parquet", row_group_size=13, compression=codec, sorting_columns=first
    )
    command = ("impute", "laid.parquet", "-m", "data.tabvae", "--force", "-o", "kept.parquet")
    given = Laid.of(work / "laid.parquet")
    assert tabvae(work, *command).code == 0
    kept = Laid.of(work / "kept.parquet")
    assert kept == given
    assert kept.schema.equals(given.schema, check_metadata=True)
    assert tabvae(work, *command, "--proba", "word").code == 0
    wider = Laid.of(work / "kept.parquet")
    assert (wider.rows, wider.order) == (given.rows, given.order)
    assert wider.codecs[: len(given.codecs)] == given.codecs
    assert wider.schema.metadata == {b"license": b"CC0"}


def test_a_column_that_was_sorted_before_its_gaps_were_filled_is_not_said_to_be(
    tmp_path: Path,
) -> None:
    table = pa.table({"a": [3, 2, 1, None, None], "b": list("vwxyz")})
    order = [pq.SortingColumn(0, descending=True)]
    pq.write_table(table, tmp_path / "a.parquet", sorting_columns=order)
    loaded = read_tables([str(tmp_path / "a.parquet")])
    filled = table.set_column(0, "a", pa.array([3, 2, 1, 2, 0]))
    for name, written in (("b.parquet", table), ("c.parquet", filled)):
        write_table(written, str(tmp_path / name), "parquet", loaded.dialect)
    assert Laid.of(tmp_path / "b.parquet") == Laid.of(tmp_path / "a.parquet")
    assert Laid.of(tmp_path / "c.parquet").order == ()


def test_generate_keeps_every_type(work: Path) -> None:
    assert tabvae(work, "generate", "-m", "data.tabvae", "-n", "20", "-o", "made.parquet").code == 0
    made = pq.read_table(work / "made.parquet").schema
    given = pq.read_schema(work / "data.parquet")
    assert made.types == given.types


def test_deprecated_int96_moments_are_moments(work: Path) -> None:
    table = every_type().select(["base", "word", "timestamp_ns"])
    pq.write_table(table, work / "int96.parquet", use_deprecated_int96_timestamps=True)
    assert tabvae(work, "fit", "int96.parquet", "--effort", "fast").code == 0
    done = tabvae(work, "impute", "int96.parquet", "-m", "int96.tabvae", "-o", "out.parquet")
    assert done.code == 0, done.err
    moments = pq.read_table(work / "out.parquet").column("timestamp_ns")
    assert moments.null_count == 0
    assert isinstance(moments[0].as_py(), datetime.datetime)


@pytest.mark.parametrize("kind", ["list", "struct", "map", "binary"])
def test_what_text_cannot_hold_is_refused_by_name_and_type(work: Path, kind: str) -> None:
    table = every_type().select(["base", "word", kind])
    pq.write_table(table, work / f"{kind}.parquet")
    assert tabvae(work, "fit", f"{kind}.parquet", "--effort", "fast").code == 0
    result = tabvae(work, "impute", f"{kind}.parquet", "-m", f"{kind}.tabvae", "-o", "out.csv")
    assert_one_line_error(result, 1, f"'{kind}'", kind, ".parquet")
    assert not (work / "out.csv").exists()


def test_days_that_may_be_months_are_noted_and_the_format_decides(tmp_path: Path) -> None:
    rows = [f"{1 + i % 9:02d}/{1 + i % 5:02d}/2021,{i % 7}" for i in range(ROWS)]
    (tmp_path / "a.csv").write_text("\n".join(["day,v", *rows, ",3", "12/11/2021,"]) + "\n")
    assert "or is it %d/%m/%Y?" in tabvae(tmp_path, "inspect", "a.csv", "--json").out
    unsure = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast")
    assert "'day' is read as %m/%d/%Y" in unsure.err
    assert "--datetime 'day=%d/%m/%Y'" in unsure.err
    sure = tabvae(tmp_path, "fit", "a.csv", "--force", "--datetime", "day=%d/%m/%Y")
    assert sure.code == 0
    assert "%m/%d" not in sure.err
    loaded = TabVAE.load(str(tmp_path / "a.tabvae"))
    assert loaded.datetime == ("day=%d/%m/%Y",)
    filled = tabvae(tmp_path, "impute").frame()
    assert list(filled["day"][:ROWS]) == [row.split(",")[0] for row in rows]
    assert pd.to_datetime(filled["day"], format="%d/%m/%Y").dt.month.max() <= 11
    wrong = tabvae(tmp_path, "fit", "a.csv", "--force", "--datetime", "day=%Y")
    assert_one_line_error(wrong, 1, "'day'", "'%Y' reads 0 of")


def test_a_schema_file_keeps_the_format_of_a_date(tmp_path: Path) -> None:
    rows = [f"{1 + i % 9:02d}/{1 + i % 5:02d}/2021,{i % 7},{i % 5}" for i in range(ROWS)]
    (tmp_path / "a.csv").write_text("\n".join(["day,v,w", *rows]) + "\n")
    asked = ("inspect", "a.csv", "--json", "--datetime", "day=%d/%m/%Y")
    (tmp_path / "s.json").write_text(tabvae(tmp_path, *asked).out)
    given = ("--schema", "s.json")
    shown = tabvae(tmp_path, "inspect", "a.csv", "--json", *given).out
    assert json.loads(shown)["columns"][0]["datetime_format"] == "%d/%m/%Y"
    for options, found in (
        ((), "%d/%m/%Y"),
        (("--datetime", "day=%m/%d/%Y"), "%m/%d/%Y"),
        (("--categorical", "day"), None),
    ):
        fit = ("fit", "a.csv", "--effort", "fast", "--force", *given, *options)
        assert tabvae(tmp_path, *fit).code == 0
        column = TabVAE.load(str(tmp_path / "a.tabvae")).fitted_.schema["day"]
        assert column.datetime_format == found
    pq.write_table(pa.table({"day": pa.array(range(ROWS), pa.date32())}), tmp_path / "a.parquet")
    (tmp_path / "s.json").write_text(json.dumps({"columns": [json.loads(shown)["columns"][0]]}))
    assert tabvae(tmp_path, "inspect", "a.parquet", *given).code == 0


def test_whole_numbers_are_dates_in_the_format_asked_for() -> None:
    days = pd.Series([20240101 + i % 28 for i in range(ROWS)], dtype="Int64")
    frame = pd.DataFrame({"day": days.mask(days.index % 9 == 3), "v": np.arange(ROWS) % 7})
    model = TabVAE(effort="fast", datetime=("day=%Y%m%d",)).fit(frame)
    assert model.fitted_.schema["day"].kind == "datetime"
    filled = model.impute(frame)["day"]
    assert filled.dtype == frame["day"].dtype
    assert filled.between(20240101, 20240128).all()


def test_a_leap_second_stays_as_it_is() -> None:
    times = [f"{i % 24:02d}:{i % 60:02d}:00" for i in range(ROWS)]
    frame = pd.DataFrame({"time": [*times, "23:59:60", "24:00:00"], "v": np.arange(ROWS + 2) % 7})
    model = TabVAE(effort="fast").fit(frame)
    column = model.fitted_.schema["time"]
    assert (column.kind, column.foreign) == ("datetime", 2)
    assert column.range_as_text[1] < "23:59:60"
    frame.loc[5, "v"] = None
    pd.testing.assert_series_equal(model.impute(frame)["time"], frame["time"])

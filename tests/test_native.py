"""Frames of other libraries: any kind in, the same kind out, with its names and types."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae import TabVAE
from tabvae.errors import DataError

from .helpers import hasty

duckdb = pytest.importorskip("duckdb")
pl = pytest.importorskip("polars")


class Stream:
    """Of a library that nobody knows."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        return self._table.__arrow_c_stream__(requested_schema)


class Exchange:
    """Of a library that speaks the dataframe protocol, which has no days."""

    def __init__(self, table: pa.Table) -> None:
        place = table.column_names.index("day")
        self._table = table.set_column(place, "day", table["day"].cast(pa.timestamp("s")))

    def __dataframe__(self, **options: Any) -> object:
        return self._table.__dataframe__(**options)


Kind = tuple[Callable[[pa.Table], Any], Callable[[Any], pa.Table], type]
KINDS: dict[str, Kind] = {
    "pandas": (lambda t: t.to_pandas(), pa.Table.from_pandas, pd.DataFrame),
    "polars": (pl.from_arrow, lambda f: f.to_arrow(), pl.DataFrame),
    "polars, lazy": (
        lambda t: pl.from_arrow(t).lazy(),
        lambda f: f.collect().to_arrow(),
        pl.LazyFrame,
    ),
    "pyarrow": (lambda t: t, lambda t: t, pa.Table),
    "pyarrow, a batch": (
        lambda t: t.combine_chunks().to_batches()[0],
        lambda b: pa.Table.from_batches([b]),
        pa.RecordBatch,
    ),
    "pyarrow, a reader": (lambda t: t.to_reader(7), lambda r: r.read_all(), pa.RecordBatchReader),
    "DuckDB": (duckdb.from_arrow, lambda r: r.to_arrow_table(), duckdb.DuckDBPyRelation),
    "a stream": (Stream, lambda t: t, pa.Table),
    "an exchange": (Exchange, lambda t: t, pa.Table),
}


@pytest.fixture(scope="module")
def table() -> pa.Table:
    rng = np.random.default_rng(0)
    x = rng.normal(size=60).round(2)
    days = pd.Timestamp("2024-05-01") + pd.to_timedelta(rng.integers(0, 90, 60), "D")
    frame = pd.DataFrame({"x": x, "n": (10 * x).astype("int32"), "word": np.where(x > 0, "p", "q")})
    plain = pa.Table.from_pandas(frame, preserve_index=False)
    plain = plain.append_column("day", pa.array(days).cast(pa.date32()))
    plain = plain.append_column("b", pa.array(x > 0.5))
    gaps = [pa.array(rng.random(60) < 0.1) for _ in plain.columns]
    columns = [
        pa.compute.if_else(gap, pa.scalar(None, column.type), column)
        for gap, column in zip(gaps, plain.columns, strict=True)
    ]
    return pa.table(columns, names=plain.column_names)


@pytest.fixture(scope="module")
def fitted(table: pa.Table) -> TabVAE:
    with hasty():
        return TabVAE(effort="fast").fit(table)


def texts(table: pa.Table) -> dict[str, list[str | None]]:
    """Cells as text: kinds have several types for the same."""
    return {
        name: table[name].cast(pa.string()).to_pylist()
        for name in table.column_names
        if pa.types.is_string(table[name].type) or pa.types.is_large_string(table[name].type)
    }


@pytest.mark.parametrize("name", KINDS)
def test_the_same_kind_comes_back_with_the_same_cells(
    fitted: TabVAE, table: pa.Table, name: str
) -> None:
    make, read, kind = KINDS[name]
    expected = {"impute": fitted.fitted_.impute(table), "embed": fitted.fitted_.embed(table)}
    for task, right in expected.items():
        found = getattr(fitted, task)(make(table))
        assert isinstance(found, kind)
        found = read(found)
        assert found.column_names == right.column_names
        assert found.to_pandas().notna().all().all()
        assert texts(found) == texts(right)
        numbers = found["x" if task == "impute" else "z1"].to_numpy()
        assert np.allclose(numbers, right["x" if task == "impute" else "z1"].to_numpy())
    for found in (fitted.detect(make(table), fpr=0.05), fitted.probabilities(make(table), "word")):
        assert isinstance(found, kind)
        assert read(found).num_rows == 60
    drawn = read(fitted.impute(make(table), draws=2))
    assert drawn.column_names[0] == "draw"
    assert drawn["draw"].to_pylist() == [1] * 60 + [2] * 60
    assert np.allclose(fitted.transform(make(table)), fitted.transform(table))


@pytest.mark.parametrize("name", ["polars", "polars, lazy", "pyarrow, a reader", "DuckDB"])
def test_a_model_generates_the_kind_that_it_was_fitted_on(table: pa.Table, name: str) -> None:
    make, read, kind = KINDS[name]
    with hasty():
        model = TabVAE(effort="fast").fit(make(table))
    assert list(model.feature_names_in_) == table.column_names
    new = model.generate(5)
    assert isinstance(new, kind)
    made = read(new)
    assert made.column_names == table.column_names
    types = dict(zip(made.schema.names, made.schema.types, strict=True))
    assert (types["x"], types["n"], types["day"]) == (pa.float64(), pa.int32(), pa.date32())
    assert isinstance(model.decode(model.embed(make(table))), kind)
    assert isinstance(model.interpolate(make(table), 0, 3), kind)


def test_types_of_polars_are_kept(fitted: TabVAE, table: pa.Table) -> None:
    frame = pl.from_arrow(table).with_columns(pl.col("word").cast(pl.Enum(["q", "p", "r"])))
    filled = fitted.impute(frame)
    assert filled.schema == frame.schema
    there = frame["word"].is_not_null()
    assert filled["word"].filter(there).equals(frame["word"].filter(there))


def test_columns_may_come_in_another_order(fitted: TabVAE, table: pa.Table) -> None:
    other = table.select(table.column_names[::-1])
    assert fitted.embed(other).equals(fitted.embed(table))
    assert fitted.impute(other).select(table.column_names).equals(fitted.impute(table))


def test_two_columns_of_one_name_are_refused(fitted: TabVAE, table: pa.Table) -> None:
    twice = pa.table([table["x"], table["x"]], names=["x", "x"])
    for given in (twice, twice.to_reader(), twice.to_batches()[0]):
        with pytest.raises(DataError, match="two columns are called 'x'"):
            fitted.impute(given)


def test_what_is_no_table_is_refused(fitted: TabVAE) -> None:
    with pytest.raises(ValueError, match=r"(?i)table|array"):
        fitted.impute(pl.Series([1, 2]))


@pytest.fixture(scope="module")
def from_csv(tmp_path_factory: pytest.TempPathFactory) -> TabVAE:
    """A model fitted on a file by the command line."""
    from .helpers import tabvae

    path: Path = tmp_path_factory.mktemp("csv")
    rng = np.random.default_rng(0)
    x = rng.normal(50, 9, 80)
    frame = pd.DataFrame(
        {
            "id": [f"r{k}" for k in range(80)],
            "price": [f"$1,{int(v):03d}.50" for v in x],
            "count": x.astype(int),
            "rating": rng.choice(["1", "2", "3"], 80),
            "day": [f"{d:02d}.03.2024" for d in rng.integers(1, 28, 80)],
            "ok": np.where(x > 50, "true", "false"),
            "word": np.where(x > 45, "yes", "no"),
            "size": rng.choice(["small", "medium", "large"], 80),
        }
    )
    frame = frame.astype({"count": "Int64"})  # Written without a point, also beside gaps.
    frame.mask(rng.random(frame.shape) < 0.1).to_csv(path / "a.csv", index=False)
    with hasty():
        done = tabvae(path, "fit", "a.csv", "--effort", "fast", "--categorical", "rating")
    assert done.code == 0, done.err
    return TabVAE.load(str(path / "a.tabvae"))


def test_a_model_of_a_text_file_gives_typed_frames(from_csv: TabVAE) -> None:
    new = from_csv.generate(40)
    kinds = {name: str(dtype) for name, dtype in new.dtypes.items()}
    assert kinds["price"] == "float64"
    assert new["price"].dropna().between(1000, 1100).all()
    assert kinds["count"] in ("int64", "float64")
    assert kinds["day"].startswith("datetime64")
    assert set(new["ok"].dropna().unique()) == {True, False}
    assert [kinds[name] for name in ("word", "size", "rating")] == ["category"] * 3
    assert kinds["id"] in ("str", "object")
    whole = from_csv.generate(9, complete=True)
    assert str(whole["count"].dtype) == "int64"
    assert str(whole["ok"].dtype) == "bool"
    path = from_csv.interpolate(new, 0, 1, n=3)
    assert str(path["price"].dtype) == "float64"


def test_the_model_reads_the_typed_rows_that_it_gives(from_csv: TabVAE) -> None:
    # A cell that it could not read would be a warning, which is an error here.
    new = from_csv.generate(40, complete=True)
    text = from_csv.fitted_.generate(40, complete=True)
    assert np.allclose(from_csv.transform(new), from_csv.transform(text))

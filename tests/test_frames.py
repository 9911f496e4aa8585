"""Frames come back as they were: dtypes, names, the order of categories, whatever pandas has."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tabvae import TabVAE
from tabvae.columns.privacy import microaggregate
from tabvae.columns.schema import Column, ColumnKind
from tabvae.errors import SchemaError
from tabvae.files.frames import FrameLayout, to_arrow
from tabvae.values.arrow import NumberFormat, flat, missing_mask

from .helpers import assert_one_line_error, hasty, tabvae

ROWS = 60
WORDS = np.array(["low", "mid", "high"])
START = pd.Timestamp("2020-01-01")
pytestmark = pytest.mark.usefixtures("quick")

MAKE: dict[str, Callable[[np.ndarray], object]] = {
    "float32": lambda k: k.astype("float32"),
    "Float64": lambda k: pd.array(k / 2, dtype="Float64"),
    "Int64": lambda k: pd.array(k * 5 + 2**60, dtype="Int64"),
    "UInt8": lambda k: pd.array(k, dtype="UInt8"),
    "int64[pyarrow]": lambda k: pd.array(k * 5, dtype="int64[pyarrow]"),
    "decimal[pyarrow]": lambda k: pd.array(
        [Decimal("1.25") * int(i) for i in k], dtype=pd.ArrowDtype(pa.decimal128(7, 2))
    ),
    "timestamp[pyarrow]": lambda k: pd.array(
        list(START.tz_localize("UTC") + pd.to_timedelta(k, "D")),
        dtype=pd.ArrowDtype(pa.timestamp("us", "UTC")),
    ),
    "str": lambda k: WORDS[k % 3],
    "object": lambda k: WORDS[k % 3].astype(object),
    "string": lambda k: pd.array(WORDS[k % 3], dtype="string"),
    "string[pyarrow]": lambda k: pd.array(WORDS[k % 3], dtype=pd.ArrowDtype(pa.string())),
    "boolean": lambda k: pd.array(k > 2, dtype="boolean"),
    "bool[pyarrow]": lambda k: pd.array(k > 2, dtype="bool[pyarrow]"),
    "bool as object": lambda k: pd.Series(k > 2).astype(object),
    "category": lambda k: pd.Categorical(WORDS[k % 3]),
    "ordered": lambda k: pd.Categorical(WORDS[k % 3], [*WORDS, "never"], ordered=True),
    "category of numbers": lambda k: pd.Categorical(np.array([9, 1, 7])[k % 3], [9, 1, 7]),
    "category of dates": lambda k: pd.Categorical(START + pd.to_timedelta(k % 3, "D")),
    "category of intervals": lambda k: pd.cut(k, 3),
    "interval": lambda k: pd.arrays.IntervalArray.from_tuples([(i / 3, i / 3 + 0.25) for i in k]),
    "period": lambda k: pd.PeriodIndex([pd.Period("2020-01", "M") + int(i) for i in k]),
    "timedelta": lambda k: pd.to_timedelta(k * 5, "h"),
    "datetime": lambda k: pd.Series(START + pd.to_timedelta(k, "D")).astype("datetime64[ns]"),
    "datetime with zone": lambda k: START.tz_localize("Europe/Berlin") + pd.to_timedelta(k, "D"),
    "date": lambda k: pd.Series([datetime.date(2020, 1, 1 + int(i)) for i in k], dtype=object),
    "time as decimals": lambda k: pd.Series([Decimal("0.5") * int(i) for i in k], dtype=object),
    "sparse": lambda k: pd.arrays.SparseArray(k / 2),
}
WHOLE: dict[str, Callable[[np.ndarray], object]] = {
    "int64": lambda k: k * 7,
    "int8": lambda k: k.astype("int8"),
    "bool": lambda k: k > 2,
}
"""That have no gaps."""


def with_gaps(cells: object) -> pd.Series:
    series = pd.Series(cells)
    gaps = np.arange(ROWS) % 7 == 3
    if isinstance(series.dtype, pd.SparseDtype):
        return series.sparse.to_dense().mask(gaps).astype(series.dtype)
    return series.mask(gaps)


def types(series: pd.Series) -> set[type]:
    """Of its cells."""
    cells = series.dropna().tolist()
    return {type(cell.item() if isinstance(cell, np.generic) else cell) for cell in cells}


def every_dtype() -> pd.DataFrame:
    k = np.random.default_rng(0).integers(0, 6, ROWS)
    columns = {name: with_gaps(make(k)) for name, make in MAKE.items()}
    columns |= {name: pd.Series(make(k)) for name, make in WHOLE.items()}
    return pd.DataFrame(columns).set_axis(np.arange(ROWS) * 2 + 5)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> TabVAE:
    """Through a file, which is no different."""
    path = str(tmp_path_factory.mktemp("frames") / "a.tabvae")
    with hasty():
        TabVAE(effort="fast", latent=2, find_rules=False).fit(every_dtype()).save(path)
    return TabVAE.load(path)


@pytest.fixture(scope="module")
def filled(fitted: TabVAE) -> pd.DataFrame:
    return fitted.impute(every_dtype())


@pytest.fixture(scope="module")
def made(fitted: TabVAE) -> pd.DataFrame:
    return fitted.generate(50)


@pytest.mark.parametrize("name", [*MAKE, *WHOLE])
def test_a_frame_comes_back_in_its_dtypes(
    filled: pd.DataFrame, made: pd.DataFrame, name: str
) -> None:
    given = every_dtype()[name]
    assert filled[name].dtype == given.dtype
    assert made[name].dtype == given.dtype
    assert filled.index.equals(given.index)
    assert not filled[name].isna().any()
    known = given.notna()
    assert filled[name][known].tolist() == given[known].tolist()
    assert types(made[name]) <= types(given)


def test_names_come_back_as_they_were() -> None:
    k = np.arange(ROWS)
    frame = pd.DataFrame({3: k % 4, ("a", 1): WORDS[k % 3], "b": k % 5, None: k % 3})
    frame.columns.name = "what"
    model = TabVAE(effort="fast", latent=2).fit(frame)
    for table in (model.generate(3), model.impute(frame), model.decode(np.zeros((2, 2)))):
        assert list(table.columns) == list(frame.columns)
    assert model.generate(3).columns.name == "what"
    assert not hasattr(model, "feature_names_in_")
    levels = pd.MultiIndex.from_tuples([("x", 1), ("x", 2)], names=["p", "q"])
    two = pd.DataFrame({0: k % 4, 1: WORDS[k % 3]}).set_axis(levels, axis=1)
    again = TabVAE(effort="fast", latent=2).fit(two).generate(3)
    pd.testing.assert_index_equal(again.columns, levels)


@pytest.mark.parametrize(
    ("labels", "again"),
    [((1.5, "a"), (1.5, "a")), ((START, True), (str(START), True)), (((1, START), "a"), None)],
)
def test_names_that_json_lacks_become_text(
    labels: tuple[object, ...], again: tuple[object, ...] | None
) -> None:
    frame = pd.DataFrame([[1, 2]], columns=pd.Index(labels, tupleize_cols=False))
    expected = again or (str(labels[0]), labels[1])
    assert tuple(FrameLayout.of(frame).restore(to_arrow(frame)).columns) == expected


@pytest.mark.parametrize("labels", [("[[1]]",), ("{}",), ("a",), ("1", "2"), ()])
def test_a_layout_of_no_frame_is_refused(labels: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"label|Expecting"):
        FrameLayout(labels, ("int64",), ("null",))


def test_rare_and_unused_categories_are_forgotten_if_so_asked() -> None:
    cells = [*["a"] * 30, *["b"] * 28, "rare", "rarer"]
    levels = ["rarer", "unused", "b", "rare", "a"]
    frame = pd.DataFrame({"c": pd.Categorical(cells, levels), "n": np.arange(ROWS) % 5})
    kept = TabVAE(effort="fast", latent=2).fit(frame).generate(5)["c"].cat.categories
    assert list(kept) == levels
    model = TabVAE(effort="fast", latent=2, min_count=5).fit(frame)
    assert list(model.generate(5)["c"].cat.categories) == ["b", "a"]
    assert not {"rare", "rarer", "unused"} & set(str(model.fitted_.document()).split("'"))


def test_a_category_that_lacks_what_is_filled_gets_it(fitted: TabVAE) -> None:
    rows = every_dtype().assign(ordered=pd.Categorical([None] * ROWS, ["mid"], ordered=True))
    rows.loc[5, "ordered"] = "mid"
    filled = fitted.impute(rows)["ordered"]
    assert not filled.isna().any()
    assert list(filled.cat.categories) == [*WORDS, "never"]
    assert filled.cat.ordered


def test_categories_keep_their_order_through_parquet(tmp_path: Path) -> None:
    k = np.arange(ROWS)
    size = pd.Series(pd.Categorical(WORDS[k % 3], [*WORDS, "never"], ordered=True))
    pd.DataFrame({"size": size.mask(k % 7 == 3), "n": k % 3}).to_parquet(tmp_path / "a.parquet")
    assert tabvae(tmp_path, "fit", "a.parquet", "--effort", "fast").code == 0
    assert tabvae(tmp_path, "impute", "-o", "filled.parquet").code == 0
    assert tabvae(tmp_path, "generate", "-n", "20", "-o", "made.parquet").code == 0
    for name in ("filled.parquet", "made.parquet"):
        again = pd.read_parquet(tmp_path / name)["size"]
        assert again.dtype == size.dtype
        assert list(again.cat.categories) == [*WORDS, "never"]


@pytest.mark.parametrize("name", [*MAKE, *WHOLE])
@pytest.mark.parametrize("blank", [np.nan, None, pd.NaT, pd.NA])
def test_a_column_without_cells_is_filled_in_the_models_type(
    fitted: TabVAE, name: str, blank: object
) -> None:
    given = every_dtype().head(3)
    rows = given.assign(**{name: pd.Series([blank] * 3, index=given.index)})
    filled = fitted.impute(rows)[name]
    holds = blank is np.nan and name in ("Float64", "sparse")  # A float64 is of their type.
    assert filled.dtype == (rows if holds else given)[name].dtype
    assert not filled.isna().any()
    assert types(filled) <= types(every_dtype()[name])


def test_a_label_column_of_nothing_is_filled_in_files_too(tmp_path: Path) -> None:
    k = np.arange(ROWS)
    frame = pd.DataFrame({"label": WORDS[k % 3], "flag": k % 2 == 1, "n": k % 6})
    frame.to_parquet(tmp_path / "a.parquet")
    assert tabvae(tmp_path, "fit", "a.parquet", "--effort", "fast").code == 0
    frame.assign(label=np.nan, flag=np.nan).to_parquet(tmp_path / "b.parquet")
    assert tabvae(tmp_path, "impute", "b.parquet", "-o", "c.parquet").code == 0
    types = [pq.read_schema(tmp_path / name).types for name in ("a.parquet", "c.parquet")]
    assert types[0] == types[1]
    odd = frame["n"].astype(float).where(k > 3)
    frame.assign(label=odd).to_parquet(tmp_path / "d.parquet")
    result = tabvae(tmp_path, "impute", "d.parquet", "-m", "a.tabvae", "-o", "e.parquet")
    assert_one_line_error(result, 1, "'label'", "double", "cannot hold")
    with pytest.raises(SchemaError, match="cannot hold"):
        TabVAE.load(str(tmp_path / "a.tabvae")).impute(frame.assign(label=odd))


def test_a_boolean_can_be_asked_for_as_it_is(fitted: TabVAE) -> None:
    for value in (True, np.bool_(True), "true", "True", "yes", 1):
        assert fitted.generate(3, where={"boolean": value})["boolean"].all()


SPELLINGS = {
    "text": ["True", "true", " TRUE", "1", "False", "false", "0"],
    "mixed": [True, "true", 1, "yes", False, "no", 0],
}


@pytest.mark.parametrize("name", SPELLINGS)
def test_twin_spellings_of_a_boolean_are_one_value(name: str) -> None:
    rng, k = np.random.default_rng(0), np.arange(2 * ROWS)
    cells = SPELLINGS[name]
    flag = [cells[int(i)] for i in rng.integers(0, len(cells), len(k))]
    truth = np.array([str(f).strip().lower() in ("true", "1", "yes") for f in flag])
    frame = pd.DataFrame({"flag": pd.Series(flag, dtype=object), "n": truth * 5.0 + k % 3})
    frame.loc[k % 9 == 0, "flag"] = None
    model = TabVAE(effort="fast", latent=2).fit(frame)
    assert model.fitted_.schema["flag"].kind == "boolean"
    assert model.fitted_.codec.sizes[0] == 2
    filled = model.impute(frame)["flag"]
    known = frame["flag"].notna()
    assert filled[known].map(repr).equals(frame["flag"][known].map(repr))
    assert len(set(filled[~known])) <= 2
    assert len(set(model.generate(50, complete=True)["flag"])) == 2
    other = frame.assign(flag=pd.array(np.where(known, truth, None), dtype="boolean"))
    assert model.impute(other)["flag"].dtype == "boolean"
    np.testing.assert_allclose(model.embed(other), model.embed(frame))


@pytest.mark.parametrize("stored", ["text", "int64", "float64", "Int64", "int64[pyarrow]"])
@pytest.mark.parametrize("na", ["-999", "-999.0"])
def test_a_number_that_means_missing_does_so_in_any_spelling(stored: str, na: str) -> None:
    meant = np.arange(ROWS) % 7 == 3
    numbers = np.where(meant, -999, np.arange(ROWS) % 5)
    if stored == "text":
        column = pd.Series([f"{n}.0" if i % 2 else str(n) for i, n in enumerate(numbers)])
    else:
        column = pd.Series(numbers).astype(stored)
    cells = flat(to_arrow(pd.DataFrame({"a": column})).column("a"))
    np.testing.assert_array_equal(missing_mask(cells, (na,)), meant)


def test_a_number_that_means_missing_is_filled_and_drawn_as_such(tmp_path: Path) -> None:
    k = np.arange(ROWS)
    frame = pd.DataFrame({"a": np.where(k % 7 == 3, -999.0, k % 5), "b": k % 5})
    model = TabVAE(effort="fast", latent=2, na_values=("-999",)).fit(frame)
    filled = model.impute(frame)["a"]
    assert filled.between(0, 4).all()
    assert model.fitted_.schema["a"].minimum == 0
    made = model.generate(200)["a"]
    assert set(made) <= {-999.0, *range(5)}
    assert (made == -999).any()
    frame.to_parquet(tmp_path / "a.parquet")
    assert tabvae(tmp_path, "fit", "a.parquet", "--na", "-999", "--effort", "fast").code == 0
    assert tabvae(tmp_path, "impute", "-o", "b.parquet").code == 0
    assert pd.read_parquet(tmp_path / "b.parquet")["a"].between(0, 4).all()


@pytest.mark.parametrize("dtype", ["int64", "float64"])
def test_no_average_of_outermost_numbers_means_missing(dtype: str) -> None:
    numbers = NumberFormat(0, 0, 1.0, 0.0)
    type_ = {"int64": "int64", "float64": "double"}[dtype]
    column = Column("a", ColumnKind.NUMERIC, "", type_, numbers=numbers, minimum=0, maximum=99)
    values = np.concatenate([[-1000.0, -998.0], np.arange(50.0)])
    assert -999 in microaggregate(column, values, 1)
    assert -999 not in microaggregate(column, values, 1, ("-999",))

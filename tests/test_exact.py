"""From CSV to Parquet: a type is given only where it holds every cell exactly."""

from __future__ import annotations

import datetime
import io
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import ColumnKind
from tabvae.errors import SchemaError
from tabvae.files import exact
from tabvae.values import arrow, dates

from .helpers import tabvae

TYPES = {
    "whole": (["1", "-7", "0"], "int64"),
    "with gaps": (["1", "", "NA"], "int64"),
    "beyond float64": (["9007199254740993", "9007199254740995"], "int64"),
    "beyond int64": (["18446744073709551615", "0"], "uint64"),
    "beyond uint64": (["18446744073709551616", "-1"], "decimal128(20, 0)"),
    "beyond 38 digits": (["1" * 40, "7"], "decimal256(40, 0)"),
    "beyond all": (["1" * 80, "7"], "string"),
    "two decimals": (["1.10", "-2.25"], "double"),
    "what a float prints": (["0.30000000000000004", "1e-7", "2"], "double"),
    "twenty decimals": (["0.75611360536867851096", "1.5"], "decimal128(21, 20)"),
    "a digit too many for a float": (["9007199254740993", "1.5"], "decimal128(17, 1)"),
    "many digits in front": (["12345678901234567.25", ".5"], "decimal128(19, 2)"),
    "a digit and an exponent too many": (["0.75611360536867851096", "1e5"], "string"),
    "too small": (["1e-400", "1"], "string"),
    "too large": (["1e400", "1"], "string"),
    "a negative zero": (["-0", "3"], "double"),
    "a negative zero among many digits": (["-0.00", "12345678901234567.25"], "string"),
    "one padding": (["  7", "  8", ""], "int64"),
    "several paddings": ([" 7", "  8"], "string"),
    "blanks behind": (["7 ", "8 "], "string"),
    "plus": (["+7", "8"], "string"),
    "leading zeros": (["1", "2"] * 20 + ["07"], "string"),
    "a word": (["1", "2"] * 20 + ["n/k"], "string"),
    "days": (["2020-01-31", "", "1999-12-01"], "date32[day]"),
    "days of another order": (["31.01.2020", "01.12.1999"], "date32[day]"),
    "days without zeros": (["1/31/2020", "12/1/1999"], "date32[day]"),
    "days with and without zeros": (["01/31/2020", "2/1/1999"], "string"),
    "moments with an offset": (["2020-01-31T10:20:30+02:00"] * 9, "string"),
    "days that are none": (["2020-01-31"] * 40 + ["2020-02-31"], "string"),
    "moments": (["2020-01-31 10:20:30", "1999-12-01 00:00:00"], "timestamp[us]"),
    "milliseconds": (["2020-01-31T10:20:30.123", "1999-12-01T00:00:00.5"], "timestamp[us]"),
    "seven digits of a second": (["2020-01-31T10:20:30.1234567"], "string"),
    "moments in UTC": (["2020-01-31T10:20:30Z", "1999-12-01T00:00:00Z"], "timestamp[us, tz=UTC]"),
    "months": (["2020-01", "1999-12"], "string"),
    "times of day": (["10:20", "23:59"], "string"),
}


def typed(texts: list[str], kind: ColumnKind) -> pa.Array:
    """The column as it comes back from a Parquet file."""
    table = pa.table({"a": texts})
    schema = infer_schema(table, kinds={"a": kind})
    file = io.BytesIO()
    pq.write_table(exact.typed(table, schema, arrow.DEFAULT_NA_VALUES), file)
    return pq.read_table(file).column("a")


@pytest.mark.parametrize("name", TYPES)
def test_the_type_of_a_column_of_text(name: str) -> None:
    texts, kind = TYPES[name]
    dated = any(word in name for word in ("days", "moments", "second", "months", "times"))
    asked = ColumnKind.DATETIME if dated else ColumnKind.NUMERIC
    assert str(typed(texts, asked).type) == kind


NUMBER = st.one_of(
    st.integers(-50, 50).map(str),
    st.integers(-(2**70), 2**70).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(allow_nan=False, allow_infinity=False).map(str),
    st.decimals(-100, 100, places=3).map(str),
    st.from_regex(arrow.NUMBER_PATTERN[:-1] + r"\Z", alphabet="0123456789+-.eE"),
)
DAY = st.datetimes().map(str)
COLUMNS = st.one_of(
    st.lists(NUMBER | st.just(""), min_size=1, max_size=8),
    st.integers(0, 25).flatmap(
        lambda places: st.lists(st.decimals(-9999, 9999, places=places).map(str), min_size=1)
    ),
)


@given(COLUMNS, st.sampled_from(["", " ", "+", "0"]))
def test_every_number_keeps_its_value_and_what_its_text_tells(
    texts: list[str], before: str
) -> None:
    texts = [before + text if text and text[0] in "123456789" else text for text in texts]
    assume(any(texts))
    try:
        column = typed(texts, ColumnKind.NUMERIC)
    except SchemaError:  # None of them is a number that can be squared.
        assume(False)
    for text, cell in zip(texts, column.to_pylist(), strict=True):
        if cell is None or isinstance(cell, str):
            assert (cell or "") == text
            continue
        value, meant = Decimal(str(cell)), Decimal(text)
        assert (value, value.is_signed()) == (meant, meant.is_signed())
        assert not re.match(r"\s*[+-]?0\d|\s*\+", text)


@pytest.mark.parametrize(
    ("text", "written_as", "kind"),
    [
        ("21/01/2024 12:25 AM", "%d/%m/%Y %I:%M %p", "timestamp[us]"),
        ("21 Jan 2024 11 PM", "%d %b %Y %I %p", "timestamp[us]"),
        ("21 January 2024 :30", "%d %B %Y :%M", "timestamp[us]"),
        ("Sunday, 21 January 2024", "%A, %d %B %Y", "date32[day]"),
        ("21 Jan 2024", "%d %b %Y", "date32[day]"),
        ("2024 21", "%Y %d", "string"),
        ("2024 21 12:25", "%Y %d %H:%M", "string"),
    ],
)
def test_a_moment_loses_no_time_and_gets_no_month(text: str, written_as: str, kind: str) -> None:
    array = exact.as_moments(pa.array([text, None]), written_as)
    assert str(array.type) == kind
    (cell, none) = array.to_pylist()
    assert none is None
    assert (cell if kind == "string" else cell.strftime(written_as)) == text


WITH_DAY = [f for f in dates.DATETIME_FORMATS if "%Y" in f and "%d" in f]
MOMENT = st.datetimes(datetime.datetime(1700, 1, 1), datetime.datetime(2200, 1, 1))


@given(st.sampled_from(WITH_DAY), st.lists(MOMENT, min_size=1, max_size=8), st.booleans())
@settings(max_examples=30)
def test_every_moment_keeps_its_text(
    written_as: str, written: list[datetime.datetime], zeros: bool
) -> None:
    texts = [moment.strftime(written_as) for moment in written]
    if not zeros:
        texts = [re.sub(r"\b0(\d)", r"\1", text, count=2) for text in texts]
    found = (dates.find_datetime_formats(pa.array(texts), 0.95) or [""])[0]
    for text, cell in zip(texts, typed(texts, ColumnKind.DATETIME).to_pylist(), strict=True):
        again = cell if isinstance(cell, str) else cell.strftime(found)
        # Half a second is .5 or .500000, the same value.
        assert text == again or (found.endswith("%f") and text.rstrip("0") == again.rstrip("0"))


@pytest.mark.usefixtures("quick")
def test_impute_from_csv_to_parquet_changes_no_cell(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    digits = rng.integers(10**17, 10**18, 60)
    frame = pd.DataFrame(
        {
            "base": rng.normal(size=60).round(2).astype(str),
            "large": [str(2**53 + 1 + 2 * i) for i in range(60)],
            "exact": [f"0.{a}{b}" for a, b in zip(digits, rng.integers(10, 99, 60), strict=True)],
            "short": [f"{1 + i % 9:0{1 + i % 2}}/{1 + i % 12}/2020" for i in range(60)],
            "moment": [f"2020-01-0{1 + i % 9}T00:00:00.1234567" for i in range(60)],
        }
    )
    gaps = rng.random(frame.shape) < 0.1
    frame.mask(gaps, "").to_csv(tmp_path / "a.csv", index=False)
    assert tabvae(tmp_path, "fit", "a.csv", "--effort", "fast").code == 0
    assert tabvae(tmp_path, "impute", "-o", "out.parquet").code == 0
    filled = pq.read_table(tmp_path / "out.parquet").to_pylist()
    assert not any(cell is None for row in filled for cell in row.values())
    for row, given_row, missing in zip(filled, frame.to_dict("records"), gaps, strict=True):
        for (name, text), gap in zip(given_row.items(), missing, strict=True):
            number = name in ("base", "large", "exact")
            same = Decimal(str(row[name])) == Decimal(text) if number else row[name] == text
            assert gap or same, (name, text, row[name])

"""Cells: missing, numbers, moments, and their way back to text."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import ColumnKind
from tabvae.values import arrow, dates


@pytest.mark.parametrize(
    ("text", "value"),
    [("7", 7.0), (" 7 ", 7.0), ("-1.50", -1.5), ("+3", 3.0), ("1e5", 1e5), (".5", 0.5)],
)
def test_numbers_are_read_as_people_write_them(text: str, value: float) -> None:
    assert arrow.to_numbers(pa.array([text]))[0] == value


@pytest.mark.parametrize("text", ["1,234", "abc", "0x10", "1_000", "inf", "1e400", "--1", "1 2"])
def test_what_is_no_finite_number_is_nan(text: str) -> None:
    assert np.isnan(arrow.to_numbers(pa.array([text]))[0])


def test_missing_is_null_nan_or_a_stripped_marker() -> None:
    texts = pa.array(["", " ? ", "NA", None, "NAN", "x", "0"])
    found = arrow.missing_mask(texts, arrow.DEFAULT_NA_VALUES)
    assert found.tolist() == [True, True, True, True, False, False, False]
    assert arrow.missing_mask(pa.array([1.0, np.nan, None]), ()).tolist() == [False, True, True]


def test_only_the_markers_given_are_missing() -> None:
    assert arrow.missing_mask(pa.array(["NA", "", "-9"]), ("-9",)).tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("texts", "value", "written"),
    [
        (["1.10", "2.25", "3.01"], 3.5, "3.50"),
        (["1", "2.25", "3.01"], 3.5, "3.5"),
        (["1", "2.25", "3.01"], 4.0, "4"),
        (["1.0", "2.25", "3.01"], 4.0, "4.0"),
        (["10", "20", "40"], 33.0, "30"),
        ([" 7", " 8"], 7.4, " 7"),
        (["-1", "1"], -0.2, "-1"),
        (["1e-7", "2.5"], 0.5, "0.5"),
    ],
)
def test_a_number_is_written_in_the_columns_format(
    texts: list[str], value: float, written: str
) -> None:
    array = pa.array(texts)
    numbers = arrow.number_format(array, arrow.to_numbers(array))
    assert numbers.write(numbers.snap(np.array([value]))) == [written]


@given(st.lists(st.decimals(-10_000, 10_000, places=2), min_size=1))
def test_numbers_of_a_column_survive_the_way_to_text(values: list[object]) -> None:
    array = pa.array([str(v) for v in values])
    numbers = arrow.to_numbers(array)
    written = arrow.number_format(array, numbers).write(numbers)
    assert np.array_equal(arrow.to_numbers(pa.array(written)), numbers)


@pytest.mark.parametrize("datetime_format", dates.DATETIME_FORMATS)
def test_every_datetime_format_is_found_and_written_back(datetime_format: str) -> None:
    import pandas as pd

    days = pd.Timestamp("2021-03-25 14:45:30") + pd.to_timedelta(np.arange(40) * 1.7, "D")
    texts = pa.array(days.strftime(datetime_format))
    (found,) = dates.find_datetime_formats(texts, 0.95)
    seconds = arrow.to_seconds(texts, found)
    assert arrow.from_seconds(seconds, pa.string(), found).to_pylist() == texts.to_pylist()


def test_typed_and_text_moments_are_the_same_seconds() -> None:
    text = pa.array(["2020-02-29", "1969-12-31"])
    typed = text.cast(pa.date32())
    assert arrow.to_seconds(text, "%Y-%m-%d").tolist() == arrow.to_seconds(typed, None).tolist()


@pytest.mark.parametrize("text", ["23:59:60", "23:59:61", "24:00:00", "12:60:00"])
def test_a_moment_that_no_clock_shows_is_not_understood(text: str) -> None:
    for cell, datetime_format in (
        (text, "%H:%M:%S"),
        (f"2016-12-31 {text}", "%Y-%m-%d %H:%M:%S"),
        (f"2016-12-31T{text}.5", "%Y-%m-%dT%H:%M:%S.%f"),
    ):
        assert np.isnan(arrow.to_seconds(pa.array([cell]), datetime_format)[0])


DAYS = st.lists(st.dates(datetime.date(1000, 1, 1)), min_size=1, max_size=60)


@pytest.mark.slow
@given(DAYS, st.sampled_from(["%d/%m/%Y", "%m/%d/%Y"]))
def test_no_other_format_reads_more_cells(days: list[datetime.date], written: str) -> None:
    texts = pa.array([f"{day:{written}}" for day in days])
    first, *rivals = dates.find_datetime_formats(texts, 0.95)
    shares = [dates.share_read(texts, f) for f in dates.DATETIME_FORMATS]
    assert dates.share_read(texts, first) == max(shares) == 1
    assert first == written or written in rivals or all(d.day == d.month for d in days)


@pytest.mark.parametrize(
    "text", ["", "%", "%q", "%Y %Y", "%d/%m/%Y %z", "mixed", "ISO8601", "%Y" * 5000]
)
def test_what_does_not_read_what_it_writes_is_no_format(text: str) -> None:
    assert not dates.is_datetime_format(text)


def test_every_known_format_is_one() -> None:
    known = (*dates.DATETIME_FORMATS, *dates.PERIOD_FORMATS, *arrow.EPOCHS)
    assert all(dates.is_datetime_format(f) for f in known)


MOMENTS = pd.date_range("2023-01-05 03:04:05.678", periods=60, freq="9D7h3min1003ms")
WRITTEN = {
    "milliseconds": ("%Y-%m-%d %H:%M:%S.%3f", lambda m: m.isoformat(" ", "milliseconds")),
    "milliseconds in UTC": (
        "%Y-%m-%dT%H:%M:%S.%3fZ",
        lambda m: m.isoformat("T", "milliseconds") + "Z",
    ),
    "no zeros": ("%-m/%-d/%Y", lambda m: f"{m.month}/{m.day}/{m.year}"),
    "no zeros, the day first": ("%-d.%-m.%Y", lambda m: f"{m.day}.{m.month}.{m.year}"),
    "no zeros, and the time": (
        "%-m/%-d/%Y %-H:%M",
        lambda m: f"{m.month}/{m.day}/{m.year} {m.hour}:{m.minute:02}",
    ),
    "digits alone": ("%Y%m%d", lambda m: f"{m:%Y%m%d}"),
    "two digits of a year": ("%d.%m.%y", lambda m: f"{m:%d.%m.%y}"),
    "before and after noon": ("%m/%d/%Y %I:%M %p", lambda m: f"{m:%m/%d/%Y %I:%M %p}"),
    "an offset": ("%Y-%m-%dT%H:%M:%S+02:00", lambda m: f"{m:%Y-%m-%dT%H:%M:%S}+02:00"),
    "an offset without a colon": (
        "%Y-%m-%d %H:%M:%S -0330",
        lambda m: f"{m:%Y-%m-%d %H:%M:%S} -0330",
    ),
    "UTC": ("%Y-%m-%d %H:%M UTC", lambda m: f"{m:%Y-%m-%d %H:%M} UTC"),
    "months": ("%b %Y", lambda m: f"{m:%b %Y}"),
    "months of two digits of a year": ("%b-%y", lambda m: f"{m:%b-%y}"),
    "weeks": ("%G-W%V", lambda m: f"{m:%G-W%V}"),
    "days of weeks": ("%G-W%V-%u", lambda m: f"{m:%G-W%V-%u}"),
    "quarters": ("%Y-Q%q", lambda m: f"{m.year}-Q{m.quarter}"),
    "quarters first": ("Q%q %Y", lambda m: f"Q{m.quarter} {m.year}"),
    "quarters side by side with years": ("%YQ%q", lambda m: f"{m.year}Q{m.quarter}"),
    "all digits side by side": ("%Y%m%dT%H%M%S", lambda m: f"{m:%Y%m%dT%H%M%S}"),
    "weekdays": ("%A, %-d %B %Y", lambda m: f"{m:%A}, {m.day} {m:%B %Y}"),
    "as in mail": ("%a, %d %b %Y %H:%M:%S GMT", lambda m: f"{m:%a, %d %b %Y %H:%M:%S} GMT"),
    "points and blanks": ("%-d. %-m. %Y", lambda m: f"{m.day}. {m.month}. {m.year}"),
    "as an American spreadsheet": (
        "%-m/%-d/%y %-I:%M %p",
        lambda m: f"{m.month}/{m.day}/{m:%y} {(m.hour - 1) % 12 + 1}:{m:%M %p}",
    ),
    "months by name first": ("%b %-d %Y", lambda m: f"{m:%b} {m.day} {m.year}"),
}


@pytest.mark.parametrize("kind", WRITTEN)
def test_a_date_is_read_and_written_as_its_column_has_it(kind: str) -> None:
    expected, write = WRITTEN[kind]
    texts = pa.array([write(moment) for moment in MOMENTS])
    (column,) = infer_schema(pa.table({"x": texts})).columns
    assert column.kind is ColumnKind.DATETIME
    assert column.datetime_format == expected
    seconds = column.values(texts)
    assert np.isfinite(seconds).all()
    assert arrow.from_seconds(seconds, pa.string(), column.datetime_format).equals(texts)
    assert dates.is_datetime_format(expected)


def test_offsets_of_several_zones_are_read_as_one_time_and_one_that_occurs_is_written() -> None:
    zones = ["+01:00", "+02:00", "+01:00", "Z", "-0330"]
    ahead = pd.to_timedelta([60, 120, 60, 0, -210], "min")
    moments = MOMENTS.floor("s")
    texts = pa.array(
        [f"{m + ahead[i % 5]:%Y-%m-%dT%H:%M:%S}{zones[i % 5]}" for i, m in enumerate(moments)]
    )
    (column,) = infer_schema(pa.table({"x": texts})).columns
    assert column.datetime_format == "%Y-%m-%dT%H:%M:%S%z{+01:00}"
    seconds = column.values(texts)
    np.testing.assert_array_equal(seconds, (moments - pd.Timestamp(0)).total_seconds())
    written = arrow.from_seconds(seconds, pa.string(), column.datetime_format)
    assert all(text.endswith("+01:00") for text in written.to_pylist())
    np.testing.assert_array_equal(column.values(written), seconds)


@pytest.mark.parametrize(
    ("cells", "asked", "expected"),
    [
        (["1704067200", "1704153600", "1704240000"], "epoch", "epoch"),
        (["1704067200000", "1704153600500", "1704240000000"], "epoch-ms", "epoch-ms"),
        ([1704067200, 1704153600, 1704240000], "epoch", "epoch"),
        ([1704067200.5, 1704153600.0, 1704240000.0], "epoch", "epoch"),
        (["2024-01-01T10:00Z", "2024-01-02T10:00+01:00", "2024-01-01T10:30Z"],
         "%Y-%m-%dT%H:%M%z", "%Y-%m-%dT%H:%M%z{Z}"),
        (["10:00 +0100", "11:00 +0100", "11:30 +0100"], "%H:%M %z", "%H:%M +0100"),
    ],
)  # fmt: skip
def test_a_format_that_is_asked_for_is_written_back(
    cells: list[object], asked: str, expected: str
) -> None:
    table = pa.table({"x": cells})
    formats = {"x": asked}
    (column,) = infer_schema(table, kinds={"x": ColumnKind.DATETIME}, formats=formats).columns
    assert (column.kind, column.datetime_format) == (ColumnKind.DATETIME, expected)
    seconds = column.values(arrow.flat(table["x"]))
    assert 1704067200 <= seconds.max() < 1704240001 or seconds.max() < 0
    back = arrow.from_seconds(seconds, table["x"].type, column.datetime_format)
    np.testing.assert_array_equal(column.values(back), seconds)
    if asked.startswith("epoch"):
        assert back.to_pylist() == cells


def test_numbers_since_1970_are_no_moments_unless_asked_for() -> None:
    table = pa.table({"x": ["1704067200", "1704153600", "1704240000"] * 9})
    assert infer_schema(table)["x"].kind is ColumnKind.NUMERIC


def test_digits_that_are_no_days_are_numbers() -> None:
    codes = [str(20240000 + i * i) for i in range(60)]
    (column,) = infer_schema(pa.table({"x": codes})).columns
    assert column.kind is ColumnKind.NUMERIC


def test_days_in_digits_of_a_typed_column_stay_integers() -> None:
    days = pa.array([int(f"{moment:%Y%m%d}") for moment in MOMENTS])
    (column,) = infer_schema(pa.table({"x": days})).columns
    assert column.kind is ColumnKind.DATETIME
    assert arrow.from_seconds(column.values(days), pa.int64(), "%Y%m%d").equals(days)


@pytest.mark.parametrize("digits", range(1, 7))
@pytest.mark.parametrize("day", ["%-m/%-d/%Y", "%d.%-m.%Y", "%-d %b %Y", "%Y%m%d"])
@pytest.mark.parametrize("hour", ["%H", "%-H"])
@given(seconds=st.integers(0, 4 * 10**9), part=st.integers(0, 10**6 - 1))
def test_what_a_format_writes_it_reads(
    digits: int, day: str, hour: str, seconds: int, part: int
) -> None:
    form = f"{day} {hour}:%M:%S.%{digits if digits < 6 else ''}f"
    step = 10 ** (6 - digits)
    moment = np.array([seconds + part // step * step / 1e6])
    written = arrow.from_seconds(moment, pa.string(), form)
    assert len(written[0].as_py().rpartition(".")[2]) == digits
    np.testing.assert_allclose(arrow.to_seconds(written, form), moment, atol=1e-6, rtol=0)

"""Encoding: table to codes and back, column by column."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.exceptions import NotFittedError

from tabvae.columns.bins import CategoricalBins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import Schema
from tabvae.errors import SchemaError
from tabvae.files.frames import to_arrow

VALUES = arrays(np.float64, st.integers(2, 300), elements=st.floats(-1e6, 1e6, width=32))


def encode(table: pa.Table) -> TableCodec:
    return TableCodec(infer_schema(table)).fit(table)


def test_encode_then_decode_is_the_identity(frame: pd.DataFrame) -> None:
    table = to_arrow(frame)
    codec = encode(table)
    back = codec.inverse_transform(codec.transform(table))
    for column in codec.columns_:
        before, after = table[column.name].to_pylist(), back[column.name].to_pylist()
        assert [None if b is None else str(b) for b in before] == [
            None if a in (None, "") else str(a) for a in after
        ]


@given(VALUES)
def test_every_value_falls_in_a_bin_that_holds_it(values: np.ndarray) -> None:
    bins = ContinuousBins.fit(values, most=16)
    index = bins.encode(values)
    assert len(bins) <= 16
    assert (bins.knots[index, 0] <= values).all()
    assert (values <= bins.knots[index, -1]).all()
    counts = np.bincount(index, minlength=len(bins))
    assert np.allclose(bins.mass, counts / len(values))


@given(VALUES, arrays(np.float64, 20, elements=st.floats(0, 1)))
def test_decoded_values_encode_to_their_bin_and_stay_in_range(
    values: np.ndarray, quantiles: np.ndarray
) -> None:
    bins = ContinuousBins.fit(values, most=16)
    index = np.arange(20) % len(bins)
    decoded = bins.decode(index, quantiles)
    assert (decoded >= bins.knots[index, 0] - 1e-6).all()
    assert (decoded <= bins.knots[index, -1] + 1e-6).all()


@given(VALUES)
def test_scores_rise_with_the_value(values: np.ndarray) -> None:
    bins = ContinuousBins.fit(values, most=16)
    ordered = np.sort(values)
    spans = bins.widths[bins.encode(ordered)] > 0
    scores = bins.scores(ordered, bins.encode(ordered))[spans]
    assert np.isfinite(scores).all()
    assert (np.diff(scores) >= -1e-9).all()


def test_a_frequent_value_has_a_bin_of_its_own() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([np.zeros(300), rng.normal(5, 1, 700)])
    bins = ContinuousBins.fit(values, most=20)
    zero = bins.encode(np.array([0.0]))[0]
    assert bins.widths[zero] == 0
    assert bins.mass[zero] == pytest.approx(0.3)


def test_few_distinct_values_have_one_bin_each() -> None:
    values = np.repeat([1.0, 2.0, 5.0], 50)
    bins = ContinuousBins.fit(values, most=16)
    assert bins.means.tolist() == [1.0, 2.0, 5.0]


def test_values_outside_every_bin_go_to_the_nearest() -> None:
    bins = ContinuousBins.fit(np.array([1.0, 2.0, 3.0] * 10), most=16)
    assert bins.encode(np.array([-1e30, 2.2, 1e30])).tolist() == [0, 1, 2]


def test_rare_categories_share_a_bin_and_come_back_by_frequency() -> None:
    texts = pa.array(["a"] * 50 + ["b"] * 30 + ["c"] * 5 + ["d"])
    bins = CategoricalBins.fit(texts, most=3)
    assert bins.encode(pa.array(["a", "b", "c", "d", "new"])).tolist() == [0, 1, 2, 2, -1]
    assert bins.decode(np.array([2, 2, 0]), np.array([0.0, 0.99, 0.5])) == ["c", "d", "a"]


def test_unknown_categories_are_neither_observed_nor_missing(frame: pd.DataFrame) -> None:
    table = to_arrow(frame)
    codec = encode(table)
    other = frame.head(1).assign(group="west")
    codes = codec.transform(to_arrow(other))
    j = [c.name for c in codec.columns_].index("group")
    assert not codes.observed[0, j]
    assert not codes.missing[0, j]


def test_twins_of_one_table_have_the_same_codes(frame: pd.DataFrame) -> None:
    text = pa.table({c: ["" if pd.isna(v) else str(v) for v in frame[c]] for c in frame.columns})
    typed = to_arrow(frame)
    first, second = encode(text).transform(text), encode(typed).transform(typed)
    for name in ("bins", "scores", "values", "observed", "missing"):
        assert np.array_equal(getattr(first, name), getattr(second, name), equal_nan=True)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("group", "nord", "did you mean 'north'"),
        ("size", "tall", "is numeric"),
        ("size", "1e9", "it goes from"),
    ],
)
def test_a_cell_the_column_has_not_seen_is_an_error(
    frame: pd.DataFrame, column: str, value: str, words: str
) -> None:
    codec = encode(to_arrow(frame))
    j = [c.name for c in codec.columns_].index(column)
    with pytest.raises(SchemaError, match=words):
        codec.encode_cell(j, value)


def test_an_encoder_must_be_fitted_first() -> None:
    with pytest.raises(NotFittedError):
        TableCodec(Schema((), pa.schema([]))).transform(pa.table({}))


def test_the_ends_of_a_column_are_those_of_all_its_bins() -> None:
    values = np.concatenate([np.zeros(200), [-1.0], np.arange(5.0, 30.0)])
    bins = ContinuousBins.fit(values, most=16)
    assert bins.knots[0, 0] == 0  # The atom comes before a bin that begins below it.
    assert bins.ends == (-1, 29)

"""Words that have an order keep it: from a known scale, or as their type has it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.columns.privacy import generalised
from tabvae.columns.scales import ScaleConfig, order_of
from tabvae.columns.schema import ColumnKind, Schema
from tabvae.tasks.synthetic import as_codes, modelled_frame

SCALES = [[level.split("/")[0].strip() for level in s.split(",")] for s in ScaleConfig().scales]
SPELLINGS = st.sampled_from([str.lower, str.upper, str.title, lambda word: f" {word}"])


@given(st.sampled_from(SCALES), SPELLINGS, st.randoms(use_true_random=False), st.data())
def test_words_of_a_scale_are_put_in_its_order(scale, spelled, random, data) -> None:  # type: ignore[no-untyped-def]
    some = data.draw(st.lists(st.sampled_from(scale), min_size=3, unique=True))
    ordered = [spelled(word) for word in sorted(some, key=scale.index)]
    shuffled = random.sample(ordered, len(ordered))
    found = order_of(shuffled)
    in_letters = all(len(word.strip()) == 1 for word in some) and "s" not in some
    assert list(found) == ordered or (in_letters and not found) or set(some) <= {"e", "f"}


@pytest.mark.parametrize(
    "words",
    [
        ["low", "high"],
        ["low", "high", "red"],
        ["A", "B", "C"],
        ["m", "f", "d"],
        ["medium", "med", "low"],
        ["jan", "februar", "mar"],
        [],
    ],
)
def test_other_words_have_no_order(words: list[str]) -> None:
    assert order_of(words) == ()


@pytest.mark.parametrize(
    "array",
    [
        pa.array(["Low", "high", "Low", "Low", "medium", "high"] * 5),
        pa.DictionaryArray.from_arrays(
            pa.array([1, 3, 1, 1, 2, 3] * 5), ["none", "zzz", "mmm", "aaa"], ordered=True
        ),
    ],
)
def test_the_bins_of_ordered_words_are_in_their_order(array: pa.Array) -> None:
    """Trees compare bins by their numbers."""
    table = pa.table({"x": array, "y": ["a", "b"] * 15})
    schema = infer_schema(table)
    assert schema["x"].kind is ColumnKind.CATEGORICAL
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    codec = TableCodec(again).fit(table)
    cells = table["x"].to_pylist()
    assert codec.bins_[0].texts.to_pylist() == [cells[0], cells[4], cells[5]]
    codes = codec.transform(table)
    assert codec.inverse_transform(codes).to_pylist() == table.to_pylist()
    numbers, categorical = as_codes(modelled_frame(codec, table, codes))
    assert categorical.tolist() == [False, True]
    np.testing.assert_array_equal(numbers[0][:, 0], codes.bins[:, 0])


def test_an_order_holds_no_category_that_is_left_out() -> None:
    kind = pd.CategoricalDtype(["mild", "Anna", "zz"], ordered=True)
    series = pd.Series(["mild"] * 12 + ["Anna"] * 2 + ["zz"] * 12, dtype=kind)
    table = pa.Table.from_pandas(pd.DataFrame({"x": series, "y": range(26)}))
    schema = generalised(infer_schema(table), table, (), min_count=5)
    assert schema["x"].order == ("mild", "zz")
    assert "Anna" not in str(schema.to_json())


@pytest.mark.usefixtures("quick")
def test_ordered_categories_are_filled_as_they_are_written(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    size = rng.integers(0, 4, 120)
    frame = pd.DataFrame({"size": np.array(["S", "M", "L", "XL"])[size], "weight": size * 10 + 5})
    gaps = frame.mask(rng.random(frame.shape) < 0.1)
    model = TabVAE(effort="fast").fit(gaps)
    model.save(str(tmp_path / "a.tabvae"))
    model = TabVAE.load(str(tmp_path / "a.tabvae"))
    assert model.fitted_.schema["size"].order == ("S", "M", "L", "XL")
    assert list(model.probabilities(gaps, "size")) == [f"size={s}" for s in ("S", "M", "L", "XL")]
    filled = model.impute(gaps)
    assert filled["size"].isin(frame["size"]).all()
    assert (filled["size"] == gaps["size"])[gaps["size"].notna()].all()

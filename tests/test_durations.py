"""Durations: found, read, and written back the same way."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import ColumnKind
from tabvae.values.durations import find_durations, read_durations, write_duration
from tabvae.values.notation import Notation

FORMS = {  # and their smallest unit, in seconds
    "[h]:mm": 60,
    "[hh]:mm": 60,
    "[h]:mm:ss": 1,
    "[hh]:mm:ss": 1,
    "[hh]:mm:ss.000": 0.001,
    "D days [hh]:mm:ss": 1,
    "P[D]": 86400,
    "PT[H]": 3600,
    "PT[M]": 60,
    "PT[H][M]": 60,
    "P[D]T[H][M][S]": 0.001,
    "PT[S]": 0.001,
}


@given(st.sampled_from(list(FORMS)), st.lists(st.integers(-(10**7), 10**7), min_size=1))
def test_a_duration_is_read_as_it_was_written(form: str, counts: list[int]) -> None:
    seconds = np.array(counts) * FORMS[form]
    texts = pa.array([write_duration(float(s), form) for s in seconds])
    np.testing.assert_allclose(read_durations(texts, form), seconds, atol=1e-6)


@given(st.sampled_from(list(FORMS)), st.lists(st.integers(1, 10**6), min_size=5, unique=True))
def test_the_form_of_durations_is_found(form: str, counts: list[int]) -> None:
    """That which reads them, and writes them as they were."""
    # Shorter ones are times of a day; whole days are in all forms.
    seconds = [10 * 86400 + count * FORMS[form] for count in counts]
    texts = [write_duration(float(s), form) for s in seconds]
    found = find_durations(pa.array(texts), 0.95)
    assert found is not None
    np.testing.assert_allclose(read_durations(pa.array(texts), found), seconds, atol=1e-6)
    assert [write_duration(float(s), found) for s in seconds] == texts


@pytest.mark.parametrize(
    "cells",
    [["14:05", "09:30"], ["14:05:30", "24:00:00"], ["P", "PT"], ["1:75", "2:80"], ["PX1", "P2"]],
)
def test_times_of_day_and_codes_are_no_durations(cells: list[str]) -> None:
    assert find_durations(pa.array(cells), 0.95) is None


def test_times_of_day_are_durations_if_numbers_are_asked_for() -> None:
    table = pa.table({"x": ["0:45:00", "1:30:00", "0:50:30"] * 9})
    assert infer_schema(table)["x"].kind is ColumnKind.DATETIME
    asked = infer_schema(table, kinds={"x": ColumnKind.NUMERIC})["x"]
    assert asked.range_as_text == ["0:45:00", "1:30:00"]


@pytest.mark.parametrize("form", ["[h]", "h:mm", "P", "PT", "PT[X]", "[hhhhh]:mm", "[h]:mm:ss."])
def test_what_is_no_form_of_durations_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="no notation"):
        Notation(duration=form)


@pytest.mark.usefixtures("quick")
def test_durations_are_filled_in_their_form() -> None:
    hours = np.random.default_rng(0).integers(1, 40, 120)
    frame = pd.DataFrame({"hours": hours, "took": [f"{h}:{h % 60:02}:00" for h in hours]})
    given_ = frame.copy()
    given_.loc[::7, "took"] = None
    model = TabVAE(effort="fast").fit(given_)
    filled, new = model.impute(given_), model.generate(20, complete=True)
    pd.testing.assert_series_equal(filled["took"][given_["took"].notna()], given_["took"].dropna())
    for made in (filled, new):
        assert made["took"].str.fullmatch(r"\d+:[0-5]\d:00").all()

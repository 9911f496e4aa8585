"""Cells as people write them go through inspect, fit, impute and generate and keep their form."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.values.durations import write_duration

from .helpers import hasty, tabvae

DAY = pd.Timestamp("2021-03-01 06:05:04")
ARABIC = str.maketrans("0123456789.", "٠١٢٣٤٥٦٧٨٩٫")
WIDE = str.maketrans("0123456789", "".join(chr(0xFF10 + i) for i in range(10)))


def moment(number: float) -> pd.Timestamp:
    """A day, and a time of it, for each number."""
    return DAY + pd.Timedelta(hours=13 * int(number))


FORMS: dict[str, Callable[[float], str]] = {
    "dollars": lambda x: f"${x:,.2f}",
    "negative dollars": lambda x: f"-${100 - x:,.1f}" if x < 100 else f"${x:,.1f}",
    "euros": lambda x: f"{x:,.2f} €".translate({44: 46, 46: 44}),
    "decimal commas": lambda x: f"{x:.1f}".replace(".", ","),
    "per cent": lambda x: f"{x / 10:.1f}%",
    "a unit": lambda x: f"{x:.0f} cm",
    "days": lambda x: "1 day" if round(x) == 1 else f"{x:.0f} days",
    "parentheses": lambda x: f"({90 - x:.1f})" if x < 90 else f"{x:.1f}",
    "a sign behind": lambda x: f"{90 - x:.1f}-" if x < 90 else f"{x:.1f}",
    "plus signs": lambda x: f"{x - 90.06:+.1f}",
    "lakhs": lambda x: f"{int(x) % 9 + 1},{int(x) // 9 % 90 + 10},{int(x) % 900 + 100}",
    "Arabic digits": lambda x: f"{x:.1f}".translate(ARABIC),
    "full-width digits": lambda x: f"{x:.0f}".translate(WIDE),
    "hexadecimal": lambda x: f"0x{int(x):04X}",
    "exponents": lambda x: f"{x:.2E}",
    "days first": lambda x: f"{moment(x):%d.%m.%Y}",
    "American": lambda x: f"{moment(x).month}/{moment(x).day}/{moment(x):%y %I:%M %p}",
    "an offset": lambda x: f"{moment(x):%Y-%m-%dT%H:%M:%S}+01:00",
    "offsets": lambda x: f"{moment(x):%Y-%m-%dT%H:%M:%S}{'+01:00' if x % 2 < 1 else '+02:00'}",
    "UTC": lambda x: f"{moment(x):%Y-%m-%dT%H:%M:%SZ}",
    "weeks": lambda x: f"{moment(x):%G-W%V}",
    "quarters": lambda x: f"Q{moment(9 * x).quarter} {moment(9 * x).year}",
    "months": lambda x: f"{moment(9 * x):%b %Y}",
    "times of day": lambda x: f"{moment(x):%H:%M}",
    "hours": lambda x: write_duration(round(x) * 777.0, "[h]:mm:ss"),
    "ISO durations": lambda x: write_duration(round(x) * 60.0, "PT[H][M]"),
}


def parsed(column: object, texts: list[str]) -> np.ndarray:
    return column.values(pa.array(texts))  # type: ignore[attr-defined, no-any-return]


@settings(max_examples=40)
@given(
    st.sampled_from(list(FORMS)),
    st.lists(st.floats(0.5, 999), min_size=25, max_size=40, unique_by=round),
    st.sampled_from(["", "N/A"]),
)
def test_a_column_of_any_form_is_understood_and_written_back(
    form: str, numbers: list[float], gap: str
) -> None:
    """What the codec writes of any bin is read in the column's form, as the value it stands for."""
    texts = [FORMS[form](number) for number in [*numbers, 1.0, 998.0]]
    cells = [*texts, *texts]
    table = pa.table({"x": [*cells, gap]})
    (column,) = infer_schema(table).columns
    assert column.kind.continuous, (column.kind, column.reason)
    assert (column.foreign, column.missing) == (0, 1), column.reason
    codec = TableCodec(infer_schema(table)).fit(table)
    codes = codec.transform(table)
    back = codec.inverse_transform(codes).column("x").to_pylist()[:-1]
    np.testing.assert_array_equal(parsed(column, back), parsed(column, cells))
    assert back == cells or form == "offsets"
    between = np.linspace(column.minimum, column.maximum, 50)
    snapped = codec.snap(0, between)
    written = codec.write_column(
        0, np.zeros(50, np.int64), snapped, np.zeros(50), np.ones(50, np.bool_)
    ).to_pylist()
    assert np.isfinite(parsed(column, written)).all()


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("written")
    rng = np.random.default_rng(0)
    base = rng.uniform(1, 990, 120).round(1)
    base[:2] = 1.0, 999.0
    frame = pd.DataFrame({form: [write(x) for x in base] for form, write in FORMS.items()})
    gaps = rng.random(frame.shape) < 0.1
    absent = [("", "N/A", "-")[j % 3] for j in range(len(FORMS))]
    frame.where(~gaps, np.array([absent] * 120)).to_csv(folder / "a.csv", index=False)
    with hasty():
        done = tabvae(folder, "fit", "a.csv", "--effort", "fast", "--no-rules")
    assert done.code == 0, done.err
    return folder


@pytest.mark.slow
def test_cells_that_are_there_stay_and_those_that_are_made_have_the_form(work: Path) -> None:
    given_ = pd.read_csv(work / "a.csv", dtype=str, keep_default_na=False)
    columns = infer_schema(pa.Table.from_pandas(given_)).columns
    filled = tabvae(work, "impute").frame()
    made = tabvae(work, "generate", "-n", "40", "--complete").frame()
    for column in columns:
        gaps = given_[column.name].isin(["", "N/A", "-"])
        assert gaps.any()
        pd.testing.assert_series_equal(filled[column.name][~gaps], given_[column.name][~gaps])
        for cells in (filled[column.name], made[column.name]):
            assert np.isfinite(parsed(column, cells.tolist())).all(), column.name

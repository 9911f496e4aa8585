"""Columns at the ends of what their types hold: a model of them is saved, loaded and used."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae import TabVAE
from tabvae.errors import DataError
from tabvae.model import Model

from .helpers import hasty, tabvae

ROWS = 256
DAY = datetime.date
SECOND = datetime.datetime


def between(least: int, most: int) -> list[int]:
    """Distinct numbers in no order, both ends among them."""
    rng = np.random.default_rng(0)
    inner = {least + int(share * (most - least)) for share in rng.random(2 * ROWS)}
    some = list(inner - {least, most})[: ROWS - 2]
    return [least, most, *some]


FULL = {
    "uint8": pa.array(range(256), pa.uint8()),
    "int8": pa.array(range(-128, 128), pa.int8()),
}
ROOMY = {
    "running_int16": pa.array(range(2**15 - 512, 2**15 - 256), pa.int16()),
    "last_int16": pa.array(range(2**15 - 256, 2**15), pa.int16()),
    "int16": pa.array(between(10**4, 2**15 - 1), pa.int16()),
    "int32": pa.array(between(10**9, 2**31 - 1), pa.int32()),
    "uint32": pa.array(between(10**9, 2**32 - 1), pa.uint32()),
    "int64": pa.array(between(10**18, 2**63 - 1), pa.int64()),
    "uint64": pa.array(between(10**19, 2**64 - 1), pa.uint64()),
    "decimal": pa.array([Decimal(n) for n in between(10**4, 10**5 - 1)], pa.decimal128(5, 0)),
    "decimal256": pa.array([Decimal(n) for n in between(10**59, 10**60)], pa.decimal256(61, 0)),
    "float32": pa.array([float(n) for n in between(10**6, 2**24)], pa.float32()),
    "text": pa.array([f"{n}" for n in between(10**9, 2**31 - 1)]),
}
ENDS: dict[pa.DataType, Sequence[Any]] = {
    pa.uint8(): (0, 255),
    pa.int8(): (-128, 127),
    pa.int16(): (-(2**15), 2**15 - 1),
    pa.int32(): (-(2**31), 2**31 - 1),
    pa.int64(): (-(2**63), 2**63 - 1),
    pa.uint64(): (0, 2**64 - 1),
    pa.decimal128(5, 2): (Decimal("-999.99"), Decimal("999.99")),
    pa.decimal256(60, 0): (Decimal(-(10**60 - 1)), Decimal(10**60 - 1)),
    pa.float16(): (np.float16(-65504), np.float16(65504)),
    pa.float32(): (-3.4e38, 3.4e38),
    pa.date32(): (DAY(1, 1, 1), DAY(9999, 12, 31)),
    pa.timestamp("s"): (SECOND(1, 1, 1), SECOND(9999, 12, 31)),
    pa.timestamp("ns"): (SECOND(1677, 9, 22), SECOND(2262, 4, 11)),
    pa.bool_(): (False, True),
    pa.dictionary(pa.int8(), pa.string()): ("", "x"),
}


def used(table: pa.Table, folder: Path) -> Model:
    """The model of ``table`` from its file, which fills its gaps and scores its rows."""
    path = str(folder / "a.tabvae")
    with hasty():
        TabVAE(effort="fast").fit_table(table).save(path)
    fitted = TabVAE.load(path).fitted_
    filled = fitted.impute(table)
    assert filled.schema.types == table.schema.types
    assert not any(filled.column(c.name).null_count for c in fitted.schema.modelled)
    assert len(fitted.detect(table)) == len(fitted.embed(table)) == len(table)
    return fitted


def plain() -> dict[str, pa.Array]:
    base = np.random.default_rng(1).normal(size=ROWS)
    return {"base": pa.array(base), "more": pa.array(base > 0.5).cast(pa.int8())}


def test_identifiers_of_numbers_have_room_in_their_type(tmp_path: Path) -> None:
    table = pa.table({**plain(), **{f"{name}_id": cells for name, cells in ROOMY.items()}})
    fitted = used(table, tmp_path)
    assert [c.name for c in fitted.schema.columns if c.kind == "identifier"] == [
        f"{name}_id" for name in ROOMY
    ]
    made = fitted.generate(2)
    assert made.schema.types == table.schema.types
    for name in table.column_names[2:]:
        fresh = made.column(name).to_pylist()
        assert len({*fresh, *table.column(name).to_pylist()}) == ROWS + 2, name


def test_a_type_that_is_full_of_identifiers_is_learned_and_not_generated(tmp_path: Path) -> None:
    table = pa.table({**plain(), "full_id": FULL["uint8"], "int8_id": FULL["int8"]})
    fitted = used(table, tmp_path)
    with pytest.raises(DataError, match="'full_id' of type uint8 has no room"):
        fitted.generate(2)


def test_cells_at_the_ends_of_their_types_are_learned_and_generated(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    columns = plain()
    for kind, ends in ENDS.items():
        drawn = [None if rng.random() < 0.1 else ends[rng.integers(2)] for _ in range(ROWS)]
        columns[str(kind)] = pa.array(drawn, kind)
    table = pa.table(columns)
    fitted = used(table, tmp_path)
    assert fitted.generate(20).schema.types == table.schema.types


@pytest.mark.parametrize("effort", [(), ("--min-count", "2")])
def test_no_end_is_averaged_to_what_means_a_missing_cell(
    tmp_path: Path, effort: tuple[str, ...]
) -> None:
    days = pd.Timestamp("1900-01-01") + pd.to_timedelta([-1, 1, *range(20, 78)], "D")
    frame = pd.DataFrame({"v": [-10, -8, *range(58)], "day": days.strftime("%Y-%m-%d")})
    frame.to_csv(tmp_path / "a.csv", index=False)
    gaps = ("--na", "-9", "--na", "1900-01-01")
    with hasty():
        done = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast", *gaps, *effort)
    assert done.code == 0, done.err
    assert tabvae(tmp_path, "impute").code == 0
    for column in TabVAE.load(str(tmp_path / "a.tabvae")).fitted_.schema.modelled:
        assert column.range_as_text[0] not in gaps

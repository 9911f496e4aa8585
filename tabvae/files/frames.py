"""pandas frames as Arrow tables, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from tabvae.errors import DataError, shown
from tabvae.values.arrow import Mask, flat


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """The columns of ``frame`` as Arrow, its index left out.

    Columns of mixed Python objects become text.

    Raises:
        DataError: two columns have the same name.

    >>> to_arrow(pd.DataFrame({"a": [1, "x"]})).column("a").to_pylist()
    ['1', 'x']
    """
    names = [str(name) for name in frame.columns]
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"two columns are called {shown(name)}", "rename one")
    arrays = [_array(frame.iloc[:, i]) for i in range(len(names))]
    return pa.table(dict(zip(names, arrays, strict=True)))


def _array(series: pd.Series[Any]) -> pa.Array:
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError):
        texts = [
            None if missing else str(value)
            for value, missing in zip(series, series.isna(), strict=True)
        ]
        return pa.array(texts, pa.string())


def fill_frame(frame: pd.DataFrame, before: pa.Table, after: pa.Table) -> pd.DataFrame:
    """``frame`` with the cells that are different in ``after`` than in ``before`` put in.

    Args:
        frame: the original; its dtypes, index and observed cells are kept.
        before: ``frame`` as ``to_arrow`` gives it.
        after: the same table with gaps filled.

    >>> frame = pd.DataFrame({"a": ["x", None]}, index=[7, 8])
    >>> fill_frame(frame, to_arrow(frame), pa.table({"a": ["x", "y"]})).loc[8, "a"]
    'y'
    """
    filled = frame.copy()
    for position, name in enumerate(before.column_names):
        old, new = flat(before.column(name)), flat(after.column(name))
        if old.equals(new):
            continue
        changed = _changed(old, new)
        values = new.filter(pa.array(changed)).to_pandas()
        column = filled.iloc[:, position].copy()
        column[changed] = values.to_numpy()
        filled.isetitem(position, column)
    return filled


def _changed(old: pa.Array, new: pa.Array) -> Mask:
    before, after = old.to_pandas(), new.to_pandas()
    both_null = before.isna() & after.isna()
    same = both_null | (before == after).fillna(False)
    return np.asarray(~same, dtype=np.bool_)

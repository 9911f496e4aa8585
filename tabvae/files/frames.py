"""pandas frames as Arrow tables, and back in the dtypes and by the names that they had."""

from __future__ import annotations

import json
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
import pyarrow as pa

from tabvae.errors import DataError, shown
from tabvae.values import arrow
from tabvae.values.arrow import Mask, flat

ARROW_DTYPE, CATEGORY_OF = "pyarrow", "category of "
"""In a ``FrameLayout``: whatever Arrow has; a category, whose values are of the dtype that
follows."""


@dataclass(frozen=True)
class FrameLayout:
    """What a frame has beside its cells.

    Attributes:
        labels: the name of each column, as JSON: a text, a number or a list of these.
        dtypes: that of each column, by name.
        levels: the names of the levels of its columns, as JSON; one without levels.

    Raises:
        ValueError: no frame is like that.

    **Examples**

    >>> frame = pd.DataFrame({1: [True], ("a", 2): pd.array([None], dtype="Int64")})
    >>> layout = FrameLayout.of(frame)
    >>> layout.dtypes
    ('bool', 'Int64')
    >>> again = layout.restore(pa.table({"1": [False], "('a', 2)": [3]}))
    >>> list(again), [str(dtype) for dtype in again.dtypes]
    ([1, ('a', 2)], ['bool', 'Int64'])
    """

    labels: tuple[str, ...]
    dtypes: tuple[str, ...]
    levels: tuple[str, ...]

    def __post_init__(self) -> None:
        if len(self.labels) != len(self.dtypes) or not self.levels:
            raise ValueError("a frame with other columns than labels")
        for text in (*self.labels, *self.levels):
            _label(text)

    @classmethod
    def of(cls, frame: pd.DataFrame) -> Self:
        """The layout of ``frame``."""
        return cls(
            tuple(_as_json(label) for label in frame.columns),
            tuple(_dtype_name(dtype) for dtype in frame.dtypes),
            tuple(_as_json(name) for name in frame.columns.names),
        )

    def restore(self, table: pa.Table) -> pd.DataFrame:
        """A frame of ``table`` with these labels and dtypes; other columns stay as they are."""
        labels = [_label(text) for text in self.labels]
        known = {str(label): j for j, label in enumerate(labels)}
        names, series = [], []
        for name, column in zip(table.column_names, table.columns, strict=True):
            j = known.get(name)
            names.append(name if j is None else labels[j])
            cells = arrow.whole(column)
            series.append(_in_dtype(cells, None if j is None else _dtype(self.dtypes[j], cells)))
        frame = pd.DataFrame(dict(enumerate(series)))
        frame.columns = self._index(names)
        return frame

    def dtype(self, name: str, cells: pa.Array) -> Any:
        """That of the column called ``name``, whose ``cells`` are given; ``None`` of no column."""
        known = [str(_label(text)) for text in self.labels]
        return _dtype(self.dtypes[known.index(name)], cells) if name in known else None

    def _index(self, labels: list[Hashable]) -> pd.Index:
        depth, names = len(self.levels), [_label(text) for text in self.levels]
        if depth > 1 and all(isinstance(one, tuple) and len(one) == depth for one in labels):
            return pd.MultiIndex.from_tuples(labels, names=names)
        return pd.Index(labels, tupleize_cols=False, name=names[0] if depth == 1 else None)


def _as_json(label: Hashable) -> str:
    """A label as JSON; of one that JSON lacks, its text."""
    plain = label.item() if isinstance(label, np.generic) else label
    try:
        text = json.dumps(plain, allow_nan=False)
        return text if _label(text) == plain else json.dumps(str(label))
    except (TypeError, ValueError):
        return json.dumps(str(label))


def _label(text: str) -> Hashable:
    """A label, out of JSON; lists are tuples.

    Raises:
        ValueError: it is none.
    """
    found = json.loads(text)
    label = tuple(found) if isinstance(found, list) else found
    parts = label if isinstance(label, tuple) else (label,)
    if not all(part is None or isinstance(part, str | int | float) for part in parts):
        raise ValueError(f"no label of a column: {shown(text)}")
    return label


def _dtype_name(dtype: Any) -> str:
    if isinstance(dtype, pd.ArrowDtype):
        return ARROW_DTYPE
    if isinstance(dtype, pd.CategoricalDtype) and _is_range(dtype.categories.dtype):
        return f"{CATEGORY_OF}{dtype.categories.dtype}"
    return str(dtype)


def _dtype(name: str, cells: pa.Array) -> Any:
    """The dtype called ``name`` for ``cells``, or ``None`` if this pandas has none."""
    if name == ARROW_DTYPE:
        return pd.ArrowDtype(cells.type)
    try:
        if name.startswith(CATEGORY_OF):
            inner = pd.api.types.pandas_dtype(name.removeprefix(CATEGORY_OF))
            return pd.CategoricalDtype(pd.Index([], dtype=inner))
        return pd.api.types.pandas_dtype(name)
    except (TypeError, ValueError, NotImplementedError):
        return None


def _is_range(dtype: Any) -> bool:
    """Cells are intervals or periods, which Arrow has no arithmetic for."""
    return isinstance(dtype, pd.IntervalDtype | pd.PeriodDtype)


def _in_dtype(cells: pa.Array, dtype: Any) -> pd.Series[Any]:
    """``cells`` as pandas has them, of ``dtype`` if it can hold them."""
    try:
        return _converted(cells, dtype)
    except (TypeError, ValueError, OverflowError, pa.ArrowException):
        return pd.Series(cells.to_pandas())


def _converted(cells: pa.Array, dtype: Any) -> pd.Series[Any]:
    if isinstance(dtype, pd.IntervalDtype):
        return pd.Series(_intervals(pd.Series(flat(cells).to_pandas()), dtype))
    if isinstance(dtype, pd.CategoricalDtype):
        series = pd.Series(cells.to_pandas()).astype("category")
        if dtype.categories is None or not _is_range(dtype.categories.dtype):
            return series
        texts = pa.array(series.cat.categories)
        return series.cat.rename_categories(_converted(texts, dtype.categories.dtype).array)
    if hasattr(dtype, "__from_arrow__") and not isinstance(dtype, pd.PeriodDtype):
        return pd.Series(dtype.__from_arrow__(cells))
    series = pd.Series(cells.to_pandas())
    if isinstance(dtype, pd.PeriodDtype):
        series = series.astype("datetime64[us]")
    return series if dtype is None else series.astype(dtype)


def _intervals(texts: pd.Series[Any], dtype: pd.IntervalDtype) -> pd.Series[Any]:
    """Of their texts, such as ``(0, 5]``."""
    words = texts.dropna().unique()
    ends = pd.Series(words, dtype=str).str.extract(r"^[\[(](.*), (.*)[\])]$")
    left, right = (ends[side].astype(dtype.subtype) for side in (0, 1))
    known = pd.arrays.IntervalArray.from_arrays(left, right, closed=dtype.closed)
    return texts.map(dict(zip(words, known, strict=True))).astype(dtype)


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    """The columns of ``frame`` as Arrow, its index left out.

    Columns of mixed Python objects become text, periods their first moment, intervals text.

    Raises:
        DataError: two columns have the same name.

    >>> to_arrow(pd.DataFrame({"a": [1, "x"]})).column("a").to_pylist()
    ['1', 'x']
    """
    names = names_of(frame)
    arrays = [_array(frame.iloc[:, i]) for i in range(len(names))]
    return pa.table(dict(zip(names, arrays, strict=True)))


def names_of(frame: pd.DataFrame) -> list[str]:
    """The names of its columns as text.

    Raises:
        DataError: two columns have the same name.
    """
    names = [str(name) for name in frame.columns]
    repeated = pd.Index(names).duplicated()
    if repeated.any():
        name = names[int(repeated.argmax())]
        raise DataError(f"two columns are called {shown(name)}", "rename one")
    return names


def _array(series: pd.Series[Any]) -> pa.Array:
    dtype = series.dtype
    if isinstance(dtype, pd.StringDtype) and len(series) and series.isna().all():
        return pa.nulls(len(series))  # A column read from nothing; of what type is not known.
    if isinstance(dtype, pd.SparseDtype):
        series = series.sparse.to_dense()
    elif isinstance(dtype, pd.PeriodDtype):
        series = series.dt.to_timestamp()
    elif isinstance(dtype, pd.IntervalDtype):
        series = series.astype(object).map(str, na_action="ignore")
    elif isinstance(dtype, pd.CategoricalDtype) and _is_range(dtype.categories.dtype):
        series = series.cat.rename_categories(dtype.categories.astype(str))
    try:
        return pa.Array.from_pandas(series)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        texts = [
            None if missing else str(value)
            for value, missing in zip(series, series.isna(), strict=True)
        ]
        return pa.array(texts, pa.string())


def fill_frame(
    frame: pd.DataFrame, before: pa.Table, after: pa.Table, layout: FrameLayout | None = None
) -> pd.DataFrame:
    """``frame`` with the cells that are different in ``after`` than in ``before`` put in.

    Args:
        frame: the original; its dtypes, index and observed cells are kept.
        before: ``frame`` as ``to_arrow`` gives it.
        after: the same table with gaps filled.
        layout: of the frame fitted on, for columns that are of another type in ``after``.

    >>> frame = pd.DataFrame({"a": ["x", None]}, index=[7, 8])
    >>> fill_frame(frame, to_arrow(frame), pa.table({"a": ["x", "y"]})).loc[8, "a"]
    'y'
    """
    filled = frame.copy()
    for position, name in enumerate(before.column_names):
        new = arrow.whole(after.column(name))
        if before.column(name).type != new.type:
            dtype = None if layout is None else layout.dtype(name, new)
            filled.isetitem(position, _in_dtype(new, dtype).set_axis(frame.index))
            continue
        old = flat(before.column(name))
        if not old.equals(flat(new)):
            column = filled.iloc[:, position]
            filled.isetitem(position, _with(column, _changed(old, flat(new)), new))
    return filled


def _with(column: pd.Series[Any], changed: Mask, new: pa.Array) -> pd.Series[Any]:
    """``column`` with the cells that ``changed`` from ``new``."""
    dtype = column.dtype
    if isinstance(dtype, pd.SparseDtype):
        return _with(column.sparse.to_dense(), changed, new).astype(dtype)
    values = _in_dtype(new.filter(pa.array(changed)), dtype)
    if isinstance(dtype, pd.CategoricalDtype):
        column = _with_levels(column, values)
    column = column.copy()
    column[changed] = values.to_numpy()
    return column


def _with_levels(column: pd.Series[Any], values: pd.Series[Any]) -> pd.Series[Any]:
    """A category that knows all of ``values``, in their order if all of its own are among them."""
    own, levels = column.cat.categories, values.cat.categories
    if values.dropna().isin(own).all():
        return column
    if own.isin(levels).all():
        return column.cat.set_categories(levels)
    return column.cat.add_categories([level for level in levels if level not in own])


def _changed(old: pa.Array, new: pa.Array) -> Mask:
    before, after = old.to_pandas(), new.to_pandas()
    both_null = before.isna() & after.isna()
    same = both_null | (before == after).fillna(False)
    return np.asarray(~same, dtype=np.bool_)

"""Frames of any library as Arrow tables, and results as frames of the same kind.

pandas frames go their own way, ``frames.py``: they have an index and dtypes that Arrow lacks.
narwhals knows the others; whatever has Arrow's stream or the dataframe protocol beside is read,
and given back as an Arrow table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, cast

import pandas as pd
import pyarrow as pa

from tabvae.errors import DataError, one_line, shown
from tabvae.files.frames import fill_frame, to_arrow

Back = Callable[[pa.Table], Any]
"""Makes a frame of one kind."""


class Rows(Protocol):
    """Rows that a user hands in, and how results go back."""

    @property
    def table(self) -> pa.Table:
        """(N, columns) the rows."""

    @property
    def back(self) -> Back:
        """Makes frames of their kind of any table."""

    def like(self, table: pa.Table) -> Any:
        """A result (N, any) with one row for each of them."""

    def filled(self, table: pa.Table) -> Any:
        """Themselves, with gaps filled as in ``table``."""

    def drawn(self, tables: Sequence[pa.Table]) -> Any:
        """Themselves as in each of ``tables``, with its number in a column ``draw`` in front."""


def to_pandas(table: pa.Table) -> pd.DataFrame:
    """``table`` as a pandas frame."""
    return cast(pd.DataFrame, table.to_pandas())


@dataclass(frozen=True)
class PandasRows:
    """Those of a pandas frame, whose index and dtypes are kept.

    **Examples**

    >>> rows = PandasRows(pd.DataFrame({"a": [1.5, None]}, index=["x", "y"]))
    >>> rows.filled(pa.table({"a": [1.5, 2.5]})).loc["y", "a"]
    np.float64(2.5)
    """

    frame: pd.DataFrame
    back: Back = to_pandas

    @property
    def table(self) -> pa.Table:
        return to_arrow(self.frame)

    def like(self, table: pa.Table) -> pd.DataFrame:
        return to_pandas(table).set_index(self.frame.index)

    def filled(self, table: pa.Table) -> pd.DataFrame:
        return fill_frame(self.frame, self.table, table)

    def drawn(self, tables: Sequence[pa.Table]) -> pd.DataFrame:
        frames = [self.filled(table) for table in tables]
        for number, one in enumerate(frames, start=1):
            one.insert(0, "draw", number)
        return pd.concat(frames)


@dataclass(frozen=True)
class NativeRows:
    """Those of a frame that Arrow holds without a loss.

    **Examples**

    >>> rows = NativeRows(pa.table({"a": [1, None]}), pa.Table.to_reader)
    >>> rows.like(pa.table({"z": [0.5, 1.5]})).read_all().column_names
    ['z']
    """

    table: pa.Table
    back: Back

    def like(self, table: pa.Table) -> Any:
        return self.back(table)

    def filled(self, table: pa.Table) -> Any:
        return self.back(table.replace_schema_metadata(self.table.schema.metadata))

    def drawn(self, tables: Sequence[pa.Table]) -> Any:
        numbered = [
            table.add_column(0, "draw", pa.array([number] * len(table), pa.int64()))
            for number, table in enumerate(tables, start=1)
        ]
        return self.back(pa.concat_tables(numbered).unify_dictionaries())


def rows_of(frame: Any) -> Rows | None:
    """The rows of a frame, or ``None`` if it is none that is known, but an array or a list.

    Args:
        frame: of pandas, polars (also lazy), pyarrow (a table, a batch or a reader of batches),
            DuckDB, any library that narwhals knows, or with ``__arrow_c_stream__`` or
            ``__dataframe__``. A reader can be read but once.

    Raises:
        DataError: two columns have the same name, or a column has a type that Arrow lacks.

    >>> rows_of(pa.table({"a": [1]})).like(pa.table({"z": [2]})).column_names
    ['z']
    >>> rows_of([[1, 2]]) is None
    True
    """
    if isinstance(frame, pd.DataFrame):
        return PandasRows(frame)
    try:
        found = _native(frame)
    except (pa.ArrowException, TypeError, ValueError) as error:
        kind = type(frame).__name__
        raise DataError(
            f"a {kind} cannot be read as a table: {one_line(error)}", "make it a pandas frame"
        ) from error
    if found is not None:
        _check_names(found.table.column_names)
    return found


def _native(frame: Any) -> NativeRows | None:
    if isinstance(frame, pa.RecordBatchReader):
        return NativeRows(frame.read_all(), pa.Table.to_reader)
    if isinstance(frame, pa.RecordBatch):
        return NativeRows(pa.Table.from_batches([frame]), _as_batch)
    if isinstance(frame, pa.Table):
        return NativeRows(frame, _as_table)
    import narwhals as nw

    known = nw.from_native(frame, pass_through=True)
    if isinstance(known, nw.LazyFrame):
        table = known.collect(backend="pyarrow").to_arrow()
        return NativeRows(table, partial(_lazy, known.implementation))
    if isinstance(known, nw.DataFrame):
        return NativeRows(known.to_arrow(), partial(_eager, known.implementation, known.schema))
    if hasattr(frame, "__arrow_c_stream__"):
        return NativeRows(pa.table(frame), _as_table)
    if hasattr(frame, "__dataframe__"):
        from pyarrow.interchange import from_dataframe

        return NativeRows(from_dataframe(frame), _as_table)
    return None


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise DataError(f"two columns are called {shown(name)}", "rename one")


def _as_table(table: pa.Table) -> pa.Table:
    return table


def _as_batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _eager(library: Any, schema: Any, table: pa.Table) -> Any:
    """A frame of ``library``, whose columns have the types of those of the same name in
    ``schema``, such as the categories of an enumeration."""
    import narwhals as nw

    frame = nw.from_arrow(table, backend=library)
    own = [
        nw.col(name).cast(schema[name])
        for name, dtype in frame.schema.items()
        if name in schema and dtype != schema[name]
    ]
    return (frame.with_columns(own) if own else frame).to_native()


def _lazy(library: Any, table: pa.Table) -> Any:
    import narwhals as nw

    return nw.from_arrow(table, backend="pyarrow").lazy(backend=library).to_native()

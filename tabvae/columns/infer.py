"""What each column of a table is, inferred from the whole column, with a reason."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns import arrow, dates
from tabvae.columns.arrow import NumberFormat
from tabvae.columns.schema import LONGEST_IDENTIFIER, Column, ColumnKind, Schema, reason_of_words
from tabvae.errors import DataError, SchemaError, TabVAEWarning, shown, suggestion

FEWEST_ROWS = 2
FEWEST_COLUMNS, MOST_COLUMNS, MOST_COLUMNS_IN_ALL = 2, 3000, 20_000
SHARE_THAT_DECIDES = 0.95
"""A text column is numeric, or a date, when at least this share of its cells reads as one."""
SHARE_ASKED_FOR = 0.5
"""A column that is asked to be a date is one when at least this share reads as one."""
SHARE_OF_DISTINCT_TEXT = 0.9
"""A text column with a larger share of distinct cells identifies rows and is not modelled."""
FEWEST_ROWS_FOR_IDENTIFIER = 20

BOOLEAN_WORDS = (
    {"true", "false"},
    {"yes", "no"},
    {"t", "f"},
    {"y", "n"},
    {"on", "off"},
    {"0", "1"},
)


def infer_schema(
    table: pa.Table,
    na_values: tuple[str, ...] = arrow.DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
) -> Schema:
    """Decide the kind of every column of ``table``.

    Args:
        table: the whole table; text columns (CSV) or typed ones.
        na_values: texts that mean a missing cell.
        kinds: columns whose kind is given.
        formats: datetime formats that are given.

    Raises:
        SchemaError: a given column is not in the table, or cannot be of the given kind or format.
    """
    asked = dict(kinds or {})
    for name in asked:
        if name not in table.column_names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
    columns = [
        infer_column(
            name,
            arrow.flat(array),
            array.type,
            na_values,
            asked.get(name),
            (formats or {}).get(name),
        )
        for name, array in zip(table.column_names, table.columns, strict=True)
    ]
    columns = [_settled(column, columns, table, na_values) for column in columns]
    return Schema(tuple(columns), _bare(table.schema), table.num_rows)


def _settled(
    column: Column, columns: list[Column], table: pa.Table, na_values: tuple[str, ...]
) -> Column:
    """``column``; if its days may be its months, with the order that other columns surely have."""
    if column.datetime_format is None or column.rival_format is None:
        return column
    sure = {
        dates.date_order(other.datetime_format)
        for other in columns
        if other.datetime_format is not None and other.rival_format is None
    }
    both = (column.datetime_format, column.rival_format)
    known = [one for one in both if dates.date_order(one) in sure]
    if len(known) != 1:
        return column
    array = table.column(column.name)
    kind = ColumnKind.DATETIME
    found = infer_column(column.name, arrow.flat(array), array.type, na_values, kind, known[0])
    return replace(found, reason=f"date or time, {known[0]} as in other columns")


def _bare(types: pa.Schema) -> pa.Schema:
    """Names and types alone: the metadata of a Parquet file can quote its rows."""
    return pa.schema([pa.field(f.name, f.type) for f in types])


def infer_column(
    name: str,
    array: pa.Array,
    stored_type: pa.DataType,
    na_values: tuple[str, ...],
    asked: ColumnKind | None = None,
    datetime_format: str | None = None,
) -> Column:
    """Decide what one column is; ``asked`` and its format override what its cells suggest."""
    missing = arrow.missing_mask(array, na_values)
    observed = array.filter(pa.array(~missing))
    base = Column(
        name=name,
        kind=ColumnKind.IGNORED,
        reason="asked for",
        type=str(stored_type),
        missing=int(missing.sum()),
        missing_text=_most_common_text(array.filter(pa.array(missing))),
    )
    if asked is ColumnKind.IGNORED:
        return base
    if not _readable(array.type):
        if asked is not None:
            raise SchemaError(f"column {shown(name)} of type {array.type} cannot be {asked}")
        return replace(base, reason=f"cells of type {array.type} are carried through")
    if len(observed) == 0:
        return replace(base, reason="all cells are missing")
    base = replace(base, distinct=int(pc.count_distinct(observed).as_py()))
    if base.distinct == 1 and asked is None:
        only = arrow.to_text(observed.slice(0, 1))[0].as_py()
        return replace(
            base, kind=ColumnKind.CONSTANT, reason="one value in every cell", constant=only
        )
    if asked is not None:
        return _as_asked(base, observed, asked, datetime_format)
    return _inferred(base, observed)


def _readable(kind: pa.DataType) -> bool:
    return (
        arrow.is_text(kind)
        or arrow.is_number(kind)
        or arrow.is_moment(kind)
        or bool(pa.types.is_boolean(kind))
    )


def _most_common_text(missing: pa.Array) -> str:
    if not arrow.is_text(missing.type) or missing.null_count == len(missing):
        return ""
    counted = pc.value_counts(missing.drop_null())
    most = int(np.argmax(counted.field("counts").to_numpy()))
    return str(counted.field("values")[most].as_py())


def _as_asked(
    base: Column, observed: pa.Array, asked: ColumnKind, datetime_format: str | None
) -> Column:
    if asked is ColumnKind.CATEGORICAL:
        return replace(base, kind=asked)
    if asked is ColumnKind.NUMERIC:
        column = _numeric(base, observed, share=0.0)
    elif datetime_format is not None:
        column = _in_format(base, observed, datetime_format)
    else:
        column = _datetime(base, observed, SHARE_ASKED_FOR)
    if column is None:
        example = arrow.to_text(observed.slice(0, 1))[0].as_py()
        raise SchemaError(
            f"column {shown(base.name)} cannot be {asked}: its cells are like {shown(example)}",
            "--datetime COL=FORMAT names a format" if asked is ColumnKind.DATETIME else "",
        )
    return replace(column, reason=f"asked for{_or_else(column)}")


def _in_format(base: Column, observed: pa.Array, datetime_format: str) -> Column:
    """A column of moments in a format that was asked for."""
    name = shown(base.name)
    if arrow.is_moment(observed.type):
        raise SchemaError(f"column {name} of type {observed.type} has no datetime format")
    if not dates.is_datetime_format(datetime_format):
        raise SchemaError(
            f"column {name}: {shown(datetime_format)} is no datetime format",
            "such as %d/%m/%Y or '%Y-%m-%d %H:%M:%S', without time zones",
        )
    read = dates.share_read(arrow.to_text(observed), datetime_format)
    if read < SHARE_ASKED_FOR:
        example = arrow.to_text(observed.slice(0, 1))[0].as_py()
        raise SchemaError(
            f"column {name}: {shown(datetime_format)} reads {read * len(observed):.0f} of "
            f"{len(observed)} cells, which are like {shown(example)}"
        )
    return _moments(base, observed, datetime_format)


def _inferred(base: Column, observed: pa.Array) -> Column:
    if arrow.is_moment(observed.type):
        return _datetime(base, observed, SHARE_THAT_DECIDES) or base
    texts = arrow.to_text(observed)
    if (boolean := _boolean(base, texts)) is not None:
        return boolean
    if base.type.startswith("dictionary"):
        return replace(base, kind=ColumnKind.CATEGORICAL, reason="stored as a dictionary")
    if arrow.is_number(observed.type):
        numeric = _numeric(base, observed, SHARE_THAT_DECIDES)
        return _identifier_number(numeric, len(observed)) if numeric else base
    stripped = pc.utf8_trim_whitespace(texts)
    if not pc.any(pc.match_substring_regex(stripped, arrow.LEADING_ZERO_PATTERN)).as_py():
        if (numeric := _numeric(base, observed, SHARE_THAT_DECIDES)) is not None:
            return _identifier_number(numeric, len(observed))
        if (moment := _datetime(base, observed, SHARE_THAT_DECIDES)) is not None:
            return moment
    elif (moment := _datetime(base, observed, SHARE_THAT_DECIDES)) is not None:
        return moment
    return _text(base, stripped)


def _boolean(base: Column, texts: pa.Array) -> Column | None:
    words = {str(w).strip().lower() for w in pc.unique(texts.slice(0, 1000)).to_pylist()}
    if base.distinct != 2 or words not in BOOLEAN_WORDS:
        return None
    return replace(base, kind=ColumnKind.BOOLEAN, reason=reason_of_words(words))


def _numeric(base: Column, observed: pa.Array, share: float) -> Column | None:
    values = arrow.to_numbers(observed)
    known = np.isfinite(values)
    if not known.any() or known.mean() < share:
        return None
    numbers = arrow.number_format(observed, values)
    whole = numbers.decimals == 0
    digits = "many" if numbers.decimals is None else str(numbers.decimals)
    what = "integers" if whole else f"numbers with {digits} decimals"
    foreign = int((~known).sum())
    other = f"; {foreign} cells are not numbers and are carried through" if foreign else ""
    return replace(
        base,
        kind=ColumnKind.NUMERIC,
        reason=f"{what}, {base.distinct} distinct{other}",
        numbers=numbers,
        minimum=float(values[known].min()),
        maximum=float(values[known].max()),
        foreign=foreign,
    )


def _identifier_number(column: Column, rows: int) -> Column:
    """A running number, or a distinct integer in a column called id, identifies rows."""
    assert column.numbers is not None
    assert column.minimum is not None
    assert column.maximum is not None
    distinct_integers = column.numbers.decimals == 0 and column.distinct == rows
    if not distinct_integers or rows < FEWEST_ROWS_FOR_IDENTIFIER:
        return column
    running = column.maximum - column.minimum == (rows - 1) * column.numbers.step
    word = column.name.strip().lower().replace("-", "_").replace(" ", "_")
    called_id = word in ("id", "uuid", "guid", "key") or word.endswith("_id")
    if not (running or called_id):
        return column
    reason = "a running number" if running else "distinct integers, called id"
    return replace(column, kind=ColumnKind.IDENTIFIER, reason=reason, minimum=None, maximum=None)


def _datetime(base: Column, observed: pa.Array, share: float) -> Column | None:
    if arrow.is_moment(observed.type):
        return _moments(base, observed, None)
    found = dates.find_datetime_formats(arrow.to_text(observed), share)
    return _moments(base, observed, *found[:2]) if found else None


def _moments(
    base: Column, observed: pa.Array, datetime_format: str | None, rival: str | None = None
) -> Column:
    """A column of moments that ``datetime_format`` reads, and a ``rival`` as well."""
    seconds = arrow.to_seconds(observed, datetime_format)
    known = np.isfinite(seconds)
    step, origin = arrow.grid(seconds[known], decimals=6)
    column = replace(
        base,
        kind=ColumnKind.DATETIME,
        datetime_format=datetime_format,
        rival_format=rival,
        numbers=NumberFormat(6, 0, step, origin),
        minimum=float(seconds[known].min()),
        maximum=float(seconds[known].max()),
        foreign=int((~known).sum()),
    )
    shown_format = datetime_format or str(observed.type)
    return replace(column, reason=f"date or time, {shown_format}{_or_else(column)}")


def _or_else(column: Column) -> str:
    """That the cells can be read in two ways, if they can."""
    rival = column.rival_format
    return f"; or is it {rival}? both read as many cells" if rival else ""


def _text(base: Column, texts: pa.Array) -> Column:
    rows = len(texts)
    nearly_all_distinct = base.distinct > SHARE_OF_DISTINCT_TEXT * rows
    if rows < FEWEST_ROWS_FOR_IDENTIFIER or not nearly_all_distinct:
        reason = f"text with {base.distinct} distinct values"
        return replace(base, kind=ColumnKind.CATEGORICAL, reason=reason)
    words = pc.any(pc.match_substring_regex(texts, r"\s")).as_py()
    short = pc.max(pc.utf8_length(texts)).as_py() < LONGEST_IDENTIFIER
    if base.distinct == rows and short and not words:
        return replace(base, kind=ColumnKind.IDENTIFIER, reason="every cell distinct")
    share = 100 * base.distinct / rows
    return replace(base, kind=ColumnKind.TEXT, reason=f"{share:.0f} % of the cells are distinct")


def require_enough(schema: Schema) -> None:
    """Make sure that a table is large enough to learn from, and not too wide.

    Raises:
        DataError: it has too few rows or columns, or too few or many that can be modelled.
    """
    if len(schema.columns) < FEWEST_COLUMNS:
        raise DataError(
            "the table has one column; the model learns columns from each other",
            "if it has more, name the delimiter: --delimiter ';'",
        )
    if schema.rows < FEWEST_ROWS:
        raise DataError(f"the table has {schema.rows} row; at least {FEWEST_ROWS} are needed")
    if len(schema.columns) > MOST_COLUMNS_IN_ALL:
        raise DataError(
            f"the table has {len(schema.columns)} columns, at most {MOST_COLUMNS_IN_ALL} are read",
            "fit parts of it",
        )
    if len(schema.modelled) > MOST_COLUMNS:
        raise DataError(
            f"{len(schema.modelled)} columns could be modelled, at most {MOST_COLUMNS} are",
            "--ignore those that matter least, or fit parts of the table",
        )
    if len(schema.modelled) < FEWEST_COLUMNS:
        reasons = "; ".join(f"{shown(c.name)}: {c.reason}" for c in schema.columns[:3])
        raise DataError(
            f"only {len(schema.modelled)} of {len(schema.columns)} columns can be modelled, at "
            f"least {FEWEST_COLUMNS} are needed ({reasons})",
            "'tabvae inspect' shows why, --categorical or --numeric overrides",
        )


def warn_of_rivals(schema: Schema) -> None:
    """Warn of dates whose days may be their months."""
    for column in schema.columns:
        if column.rival_format is not None:
            other = shown(f"{column.name}={column.rival_format}")
            warnings.warn(
                f"column {shown(column.name)} is read as {column.datetime_format}; "
                f"{column.rival_format} reads as many cells: if that is meant, --datetime {other}",
                TabVAEWarning,
                stacklevel=4,
            )

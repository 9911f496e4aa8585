"""Types for a column of text that hold each of its cells exactly, on the way from CSV to Parquet.

A type is right if every cell, also one that was filled, has the same value in it and nothing that
its text tells besides is lost: leading zeros, a plus sign, blanks, the sign of a zero, digits.
"""

from __future__ import annotations

import re
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.values import arrow

PLAIN_PATTERN = r"^-?((0|[1-9]\d*)(\.\d*)?|\.\d+)$"


def typed(table: pa.Table, schema: Schema, na_values: tuple[str, ...]) -> pa.Table:
    """``table`` with its text columns of numbers and dates as such, where every cell fits.

    Missing cells become null. What a type cannot hold exactly stays text.
    """
    for position, field in enumerate(table.schema):
        if not arrow.is_text(field.type):
            continue
        array = arrow.flat(table.column(position))
        known = schema[field.name].missing_texts if field.name in schema.names else ()
        missing = arrow.missing_mask(array, (*na_values, *known))
        array = arrow.choose(~missing, array, pa.scalar(None, array.type))
        if field.name in schema.names:
            array = _typed(schema[field.name], array)
        table = table.set_column(position, field.name, array)
    return table


def numbers_where_exact(table: pa.Table, na_values: tuple[str, ...]) -> pa.Table:
    """``table`` with each text column of nothing but numbers as such; missing cells are null.

    >>> numbers_where_exact(pa.table({"a": ["1", "NA"], "b": ["1", "x"]}), ("NA",)).schema.types
    [DataType(int64), DataType(string)]
    """
    for position, field in enumerate(table.schema):
        array = arrow.flat(table.column(position))
        if arrow.is_text(array.type):
            gaps = arrow.missing_mask(array, na_values)
            texts = arrow.choose(~gaps, array, pa.scalar(None, array.type))
            table = table.set_column(position, field.name, as_numbers(texts, whole=True))
    return table


def _typed(column: Column, texts: pa.Array) -> pa.Array:
    if column.kind is ColumnKind.NUMERIC:
        whole = column.numbers is not None and column.numbers.decimals == 0
        return as_numbers(texts, whole)
    if column.datetime_format in arrow.EPOCHS:
        return as_numbers(texts, whole=True)
    if column.kind is ColumnKind.DATETIME and column.datetime_format is not None:
        return as_moments(texts, column.datetime_format)
    return texts


def as_numbers(texts: pa.Array, whole: bool) -> pa.Array:
    """``texts`` as integers if the column is ``whole``, else as float64 or, with more digits than
    that holds, as decimals; unchanged if no type fits. Nulls stay nulls.

    >>> [str(as_numbers(pa.array([text]), whole=False).type) for text in ("1.5", "007")]
    ['double', 'string']
    """
    plain = _without_padding(texts)
    if whole and (integers := _integers(plain)) is not None:
        return integers
    if (floats := _floats(plain)) is not None:
        return floats
    return texts if (decimals := _decimals(plain)) is None else decimals


def as_moments(texts: pa.Array, datetime_format: str) -> pa.Array:
    """``texts`` as dates, or as timestamps if they tell the time, in UTC if they end in Z.

    Unchanged if they do not tell the day, or are not what ``datetime_format`` would write. Nulls
    stay nulls.
    """
    parsed = arrow.read_format(datetime_format)
    used, months = set(re.findall("%.", parsed)), {"%m", "%b", "%B"}
    offset = re.search(r"[+-]\d\d:?\d\d$|%z$| (UTC|GMT)$", parsed)  # A timestamp would not keep it.
    if offset or not ({"%Y", "%d"} <= used and used & months):
        return texts
    plain = pd.Series(_without_padding(texts).to_pandas())
    moments = pd.to_datetime(plain, format=parsed, errors="coerce")
    read = moments.notna()
    written = pd.Series(index=plain.index, dtype=plain.dtype)
    known = arrow.write_moments(pd.DatetimeIndex(moments[read]), datetime_format)
    written[read] = known.to_pylist()
    if re.search("%[1-5]?fZ?$", datetime_format):  # Half a second is .5 or .500000.
        plain, written = (t.str.replace(r"0+(Z?)$", r"\1", regex=True) for t in (plain, written))
    if not (plain.isna() | (plain == written)).all():
        return texts
    exact = pa.Array.from_pandas(moments)
    if used <= months | {"%Y", "%d", "%a", "%A", "%j", "%%"}:  # None tells the time of day.
        return pc.cast(exact, pa.date32())
    zone = "UTC" if datetime_format.endswith("Z") else None
    return pc.cast(pc.cast(exact, pa.timestamp("us")), pa.timestamp("us", zone))


def _without_padding(texts: pa.Array) -> pa.Array:
    """``texts`` without the blanks that all of them begin with."""
    padding = pc.unique(pc.replace_substring_regex(texts.drop_null(), r"(?s)^( *).*$", r"\1"))
    return pc.utf8_slice_codeunits(texts, len(padding[0].as_py())) if len(padding) == 1 else texts


def _all_match(texts: pa.Array, pattern: str) -> bool:
    present = texts.drop_null()
    return len(present) > 0 and bool(pc.all(pc.match_substring_regex(present, pattern)).as_py())


def _integers(texts: pa.Array) -> pa.Array | None:
    if not _all_match(texts, r"^(0|-?[1-9]\d*)$"):
        return None
    for kind in (pa.int64(), pa.uint64()):
        try:
            return pc.cast(texts, kind)
        except pa.ArrowInvalid:  # A cell is beyond its range.
            continue
    return _decimals(texts)


def _floats(texts: pa.Array) -> pa.Array | None:
    if not _all_match(texts, PLAIN_PATTERN.replace("$", r"([eE][+-]?\d+)?$")):
        return None
    values = arrow.to_numbers(texts)
    present = arrow.as_mask(pc.is_valid(texts))
    short = pc.less_equal(pc.utf8_length(texts), 15)  # So many digits any float64 can hold.
    certain = arrow.as_mask(pc.and_(short, pc.match_substring_regex(texts, PLAIN_PATTERN)))
    unsure = present & ~certain
    for text, value in zip(texts.filter(pa.array(unsure)).to_pylist(), values[unsure], strict=True):
        if Decimal(text) != Decimal(repr(float(value))):
            return None
    return pa.array(values, mask=~present)


def _decimals(texts: pa.Array) -> pa.Array | None:
    negative_zero = pc.any(pc.match_substring_regex(texts, r"^-[0.]+$")).as_py()
    if negative_zero or not _all_match(texts, PLAIN_PATTERN):
        return None
    before = _longest(pc.replace_substring_regex(texts, r"^-?(\d*).*$", r"\1"))
    after = _longest(pc.replace_substring_regex(texts, r"^-?\d*\.?", ""))
    for kind, most in ((pa.decimal128, 38), (pa.decimal256, 76)):
        if before + after <= most:
            return pc.cast(texts, kind(before + after, after))
    return None


def _longest(texts: pa.Array) -> int:
    return int(pc.max(pc.utf8_length(texts)).as_py())

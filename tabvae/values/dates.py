"""Which datetime format a column of text is written in."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.values.arrow import Floats, from_seconds, read_format, to_seconds, write_moments
from tabvae.values.notation import literal

DATETIME_FORMATS = (
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%d %H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y/%m/%d",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%m/%d/%Y",
    "%d/%m/%Y",
    "%m/%d/%Y %H:%M",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S",
    "%d.%m.%Y",
    "%d.%m.%Y %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d-%b-%Y",
    "%d %b %Y",
    "%d %B %Y",
    "%b %d, %Y",
    "%B %d, %Y",
    "%Y-%m",
    "%b %Y",
    "%B %Y",
    "%d.%m.%y",
    "%m/%d/%y",
    "%d/%m/%y",
    "%d-%b-%y",
    "%Y-%m-%d %I:%M %p",
    "%m/%d/%Y %I:%M %p",
    "%d/%m/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p",
    "%d/%m/%Y %I:%M:%S %p",
    "%H:%M:%S",
    "%H:%M",
    "%I:%M %p",
)
DIGITS_OF_A_DAY = "%Y%m%d"
"""Which digits alone may mean, if all of them do."""


def find_datetime_formats(array: pa.Array, share: float, tried: int = 200) -> list[str]:
    """The format that reads most of the cells, if that is at least ``share`` of them.

    After it those that read as many cells as other moments: nothing in a column tells 1 February
    from 2 January where no day is over 12.

    Args:
        array: (N,) texts.
        share: of the cells that the format must read.
        tried: cells that each format is tried on before the whole column is read.

    >>> find_datetime_formats(pa.array(["01/02/2020", "02/03/2020"]), 1)
    ['%m/%d/%Y', '%d/%m/%Y']
    >>> find_datetime_formats(pa.array(["01/02/2020", "13/03/2020"]), 1)
    ['%d/%m/%Y']
    """
    offset = _common_offset(array)
    if offset:
        array = pc.utf8_slice_codeunits(pc.utf8_trim_whitespace(array), 0, -len(offset))
        found = find_datetime_formats(array, share, tried)
        return [f + offset for f in found if "%H" in f or "%-H" in f]
    spread = np.linspace(0, len(array) - 1, min(len(array), tried)).astype(np.int64)
    sample = array.take(pa.array(spread))
    likely = [f for f in DATETIME_FORMATS if share_read(sample, f) >= share / 2]
    seconds = {f: to_seconds(array, f) for f in likely}
    shares = {f: np.isfinite(read).mean() for f, read in seconds.items()}
    if not likely or max(shares.values()) < share:
        return []
    best, *others = (f for f in likely if shares[f] == max(shares.values()))
    rivals = (f for f in others if not _same(seconds[f], seconds[best]))
    return [_as_written(array, f) for f in (best, *rivals)]


def _common_offset(array: pa.Array) -> str:
    """The offset from UTC that every cell ends with, such as ``+02:00``; empty if there is none."""
    pattern = r"^.*\d{2}([+-]\d{2}:?\d{2})$"
    stripped = pc.utf8_trim_whitespace(array)
    if len(array) == 0 or not pc.all(pc.match_substring_regex(stripped, pattern)).as_py():
        return ""
    offsets = pc.unique(pc.replace_substring_regex(stripped, pattern, r"\1")).to_pylist()
    return str(offsets[0]) if len(offsets) == 1 and ":" in str(offsets[0]) else ""


def _as_written(array: pa.Array, datetime_format: str) -> str:
    """The format, with fractions of as many digits as all cells have, and without leading zeros
    where no cell has one."""
    stripped = pc.utf8_trim_whitespace(array)
    parts = re.split("(%.)", datetime_format)
    for k in range(1, len(parts), 2):
        if parts[k] not in _DIGITS:
            continue
        others = [_DIGITS.get(p, r"\w+") if p[:1] == "%" else literal(p) for p in parts]
        others[k] = f"(?P<part>{others[k]})"
        pattern = f"^{''.join(others)}$"
        found = pc.drop_null(pc.struct_field(pc.extract_regex(stripped, pattern), [0]))
        if len(found) == 0:
            continue
        lengths = pc.unique(pc.utf8_length(found)).to_pylist()
        zeros = pc.any(pc.match_substring_regex(found, r"^0\d")).as_py()
        if parts[k] == "%f":
            if len(lengths) == 1 and lengths[0] < 6:
                parts[k] = f"%{lengths[0]}f"
        elif 1 in lengths and not zeros:
            parts[k] = parts[k].replace("%", "%-")
    return "".join(parts)


_DIGITS = {"%f": r"\d+", "%d": r"\d+", "%m": r"\d+", "%H": r"\d+", "%I": r"\d+"}


def _same(seconds: Floats, rivals: Floats) -> bool:
    return np.array_equal(seconds, rivals, equal_nan=True)


def share_read(array: pa.Array, datetime_format: str) -> float:
    """Of the cells, those that ``datetime_format`` reads."""
    return float(np.isfinite(to_seconds(array, datetime_format)).mean())


def is_datetime_format(text: str) -> bool:
    """Whether ``text`` is a format that reads what it writes.

    >>> is_datetime_format("%d/%m/%Y"), is_datetime_format("%Y-%Q"), is_datetime_format("%H:%M%z")
    (True, False, False)
    """
    longest = 64  # Characters, of which a directive is two.
    if len(text) > longest:
        return False
    try:
        example = write_moments(pd.DatetimeIndex(["2021-03-25 14:45:30"]), text)
        seconds = to_seconds(example, text)
    except (ValueError, re.error):  # A text that is not Unicode is a ValueError, too.
        return False
    if not np.isfinite(seconds[0]):
        return False
    return bool(from_seconds(seconds, pa.string(), text).equals(example))


def date_order(datetime_format: str) -> str:
    """How a format writes the day, whatever the time.

    >>> date_order("%d/%m/%Y %H:%M")
    '%d/%m/%Y'
    """
    return re.split("[ T]%[HI]", read_format(datetime_format))[0]

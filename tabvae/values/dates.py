"""Which datetime format a column of text is written in."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa

from tabvae.values.arrow import Floats, from_seconds, to_seconds

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
    "%H:%M:%S",
    "%H:%M",
)


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
    spread = np.linspace(0, len(array) - 1, min(len(array), tried)).astype(np.int64)
    sample = array.take(pa.array(spread))
    likely = [f for f in DATETIME_FORMATS if share_read(sample, f) >= share / 2]
    seconds = {f: to_seconds(array, f) for f in likely}
    shares = {f: np.isfinite(read).mean() for f, read in seconds.items()}
    if not likely or max(shares.values()) < share:
        return []
    best, *others = (f for f in likely if shares[f] == max(shares.values()))
    return [best, *(f for f in others if not _same(seconds[f], seconds[best]))]


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
        example = pa.array([pd.Timestamp("2021-03-25 14:45:30").strftime(text)])
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
    return re.split("[ T]%H", datetime_format)[0]

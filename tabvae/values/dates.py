"""Which datetime format a column of text is written in."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.tseries.api import guess_datetime_format

from tabvae.values.arrow import (
    EPOCHS,
    Floats,
    from_seconds,
    read_format,
    to_seconds,
    write_moments,
)
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
    "%d. %m. %Y",
    "%b-%y",
    "%m/%d/%y %H:%M",
    "%d/%m/%y %H:%M",
    "%d.%m.%y %H:%M",
    "%m/%d/%y %I:%M %p",
    "%d/%m/%y %I:%M %p",
)
"""What people write most often; pandas guesses others."""
PERIOD_FORMATS = (
    *("%G-W%V", "%G-W%V-%u", "%GW%V", "%Y-Q%q", "%YQ%q", "%Y Q%q", "Q%q %Y", "Q%q-%Y", "Q%q/%Y"),
)
"""Weeks of ISO 8601, and quarters, as %q."""
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

    An offset from UTC that all cells end with is part of the format; of several, ``%z{+01:00}``
    reads any and writes the commonest.

    >>> find_datetime_formats(pa.array(["01/02/2020", "02/03/2020"]), 1)
    ['%m/%d/%Y', '%d/%m/%Y']
    >>> find_datetime_formats(pa.array(["01/02/2020", "13/03/2020"]), 1)
    ['%d/%m/%Y']
    >>> find_datetime_formats(pa.array(["2020-01-02 10:00+01:00", "2020-07-02 10:00+02:00"]), 1)
    ['%Y-%m-%d %H:%M%z{+01:00}']
    """
    offset = common_offset(array, share)
    if offset:
        parts = pc.extract_regex(pc.utf8_trim_whitespace(array), _WITH_OFFSET)
        found = _find(pc.fill_null(pc.struct_field(parts, "moment"), ""), share, tried)
        return [f + offset for f in found if re.search("%-?[HI]", f)]
    return _find(array, share, tried)


def _find(array: pa.Array, share: float, tried: int) -> list[str]:
    """The same, of texts (N,) without offsets from UTC."""
    spread = np.linspace(0, len(array) - 1, min(len(array), tried)).astype(np.int64)
    sample = array.take(pa.array(spread))
    if pc.mean(pc.cast(pc.match_substring_regex(sample, r"\d"), pa.int8())).as_py() < share:
        return []
    known = _best((*DATETIME_FORMATS, *PERIOD_FORMATS), array, sample, share)
    return known or _best(_guessed(sample), array, sample, share)


def _best(formats: Sequence[str], array: pa.Array, sample: pa.Array, share: float) -> list[str]:
    """Of some formats."""
    likely = [f for f in formats if share_read(sample, f) >= share / 2]
    seconds = {f: to_seconds(array, f) for f in likely}
    shares = {f: np.isfinite(read).mean() for f, read in seconds.items()}
    if not likely or max(shares.values()) < share:
        return []
    best, *others = (f for f in likely if shares[f] == max(shares.values()))
    rivals = (f for f in others if not _same(seconds[f], seconds[best]))
    return [_as_written(array, f) for f in (best, *rivals)]


def _guessed(sample: pa.Array, cells: int = 5) -> list[str]:
    """Formats that pandas guesses from the first few of the cells, if they say which year or hour
    it is; none with the day before the month after the year."""
    texts = pc.unique(pc.utf8_trim_whitespace(sample)).slice(0, cells).to_pylist()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        guesses = {_guess(text, day_first) for text in texts for day_first in (False, True)}
    return sorted(
        guess
        for guess in guesses - {None, ""}
        if guess is not None
        and re.search("%[YyHI]", guess)
        and not re.match("%Y[^%]*%d", guess)
        and is_datetime_format(guess)
    )


def _guess(text: str, day_first: bool) -> str | None:
    try:
        guess = guess_datetime_format(text, dayfirst=day_first)
    except (ValueError, OverflowError):
        return None
    return None if guess is None else str(guess)


_OFFSET = r"Z|UTC|GMT|[+-]\d{2}:?\d{2}|[+-]\d{2}"
_WITH_OFFSET = rf"^(?P<moment>.*[:T]\d{{2,6}}(?:\.\d+)?)(?P<gap> ?)(?P<offset>{_OFFSET})$"


def common_offset(array: pa.Array, share: float = 0.0) -> str:
    """How the offset from UTC, such as ``+02:00``, is written that at least ``share`` of the cells
    end with; empty if fewer do.

    >>> common_offset(pa.array(["10:00:00 +0100", "11:00:00 +0100"]), 1)
    ' +0100'
    >>> common_offset(pa.array(["10:00Z", "11:00+01:00", "12:00+01:00"]), 1)
    '%z{+01:00}'
    """
    stripped = pc.cast(pc.utf8_trim_whitespace(array), pa.string())
    parts = pc.drop_null(pc.extract_regex(stripped, _WITH_OFFSET))
    if len(parts) == 0 or len(parts) < share * len(array):
        return ""
    gaps, offsets = (pc.struct_field(parts, name) for name in ("gap", "offset"))
    ends = pc.value_counts(pc.binary_join_element_wise(gaps, offsets, "")).to_pylist()
    commonest = str(max(ends, key=lambda end: end["counts"])["values"])
    if len(ends) == 1:
        return commonest
    read = all(re.fullmatch(r" ?(Z|[+-]\d{2}:?\d{2})", end["values"]) for end in ends)
    offset = commonest.lstrip()
    return f"{commonest.removesuffix(offset)}%z{{{offset}}}" if read else ""


def _as_written(array: pa.Array, datetime_format: str) -> str:
    """The format, with fractions of as many digits as cells have at most, and without leading zeros
    where no cell has one."""
    stripped = pc.utf8_trim_whitespace(array)
    parts = re.split("(%.)", datetime_format)
    for k in range(1, len(parts), 2):
        follows = parts[k - 1] == "" and k > 1  # Of digits side by side none is left out.
        followed = parts[k + 1] == "" and parts[k + 2 : k + 3] != []
        if parts[k] not in _DIGITS or follows or followed:
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
            if max(lengths) < 6:
                parts[k] = f"%{max(lengths)}f"
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
    if text in EPOCHS:
        return True
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

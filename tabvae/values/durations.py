"""Durations as people write them: ``27:05:00``, ``2 days 03:00:00``, ``PT1H30M``; as seconds."""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

CLOCKS = r"(?:D days )?\[h{1,4}\]:mm(?::ss(?:\.0{1,6})?)?"
ISO = r"P(?=.*D|T\[)(?:\[D\])?(?:T(?:\[H\])?(?:\[M\])?(?:\[S\])?)?"
DURATION = re.compile(f"{CLOCKS}|{ISO}")
"""What a format of durations is like: ``[h]:mm:ss`` as in spreadsheets, ``PT[H][M]`` as ISO 8601;
in the latter, units that are zero are not written."""

_CLOCK = (
    r"^(?P<sign>-?)(?:(?P<days>\d{1,7}) days? )?(?P<hours>\d{1,7}):(?P<minutes>[0-5]\d)"
    r"(?P<colon>:)?(?P<seconds>[0-5]\d(?P<fraction>\.\d{1,6})?)?$"
)
_ISO = (
    r"^(?P<sign>-?)P(?:(?P<days>\d{1,7})D)?"
    r"(?:T(?:(?P<hours>\d{1,9})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,12}(?:\.\d{1,6})?)S)?)?$"
)
_UNITS = {"days": 86400, "hours": 3600, "minutes": 60, "seconds": 1}
_LETTERS = {"days": "D", "hours": "H", "minutes": "M", "seconds": "S"}


def read_durations(texts: pa.Array, form: str) -> npt.NDArray[np.float64]:
    """(N,) seconds of durations in a form, NaN of other cells.

    >>> read_durations(pa.array(["1:00:05", "-0:01:00", "x"]), "[h]:mm:ss")
    array([3605.,  -60.,   nan])
    """
    iso = form.startswith("P")
    parts = pc.extract_regex(texts, _ISO if iso else _CLOCK)
    known = pc.is_valid(parts)
    if not iso:
        known = pc.and_(known, pc.equal(_part(parts, "colon"), ":" if ":ss" in form else ""))
        known = pc.and_(known, pc.equal(pc.not_equal(_part(parts, "days"), ""), "days" in form))
    else:
        known = pc.and_(known, pc.match_substring_regex(texts, r"\d[DHMS]$"))
    total = np.zeros(len(texts))
    for unit, seconds in _UNITS.items():
        part = pc.replace_substring_regex(pc.fill_null(_part(parts, unit), ""), "^$", "0")
        total += seconds * pc.cast(part, pa.float64()).to_numpy(zero_copy_only=False)
    negative = pc.fill_null(pc.equal(_part(parts, "sign"), "-"), False)
    total = np.where(negative.to_numpy(zero_copy_only=False), -total, total)
    return np.where(pc.fill_null(known, False).to_numpy(zero_copy_only=False), total, np.nan)


def _part(parts: pa.Array, name: str) -> pa.Array:
    return pc.struct_field(parts, name)


def write_duration(seconds: float, form: str) -> str:
    """A duration in a form.

    >>> write_duration(-97505, "[hh]:mm:ss"), write_duration(5400, "PT[H][M]")
    ('-27:05:05', 'PT1H30M')
    >>> write_duration(97505.5, "D days [hh]:mm:ss.0"), write_duration(0, "PT[H]")
    ('1 days 03:05:05.5', 'PT0H')
    """
    sign = "-" if seconds < 0 else ""
    return sign + (_iso if form.startswith("P") else _clock)(abs(seconds), form)


def _clock(seconds: float, form: str) -> str:
    digits = len(form.partition(".")[2])
    whole, part = divmod(round(seconds * 10**digits), 10**digits)
    hours, left = divmod(whole, 3600)
    days, hours = divmod(hours, 24) if "days" in form else (0, hours)
    text = f"{hours:0{form.count('h')}d}:{left // 60:02d}"
    text += f":{left % 60:02d}" if ":ss" in form else ""
    text += f".{part:0{digits}d}" if digits else ""
    return f"{days} days {text}" if "days" in form else text


def _iso(seconds: float, form: str) -> str:
    units = [unit for unit in _UNITS if f"[{_LETTERS[unit]}]" in form]
    date, time, left = "", "", round(seconds, 6)
    for unit in units:
        last = unit == units[-1]
        count = left / _UNITS[unit] if last else left // _UNITS[unit]
        left -= count * _UNITS[unit]
        number = f"{count:.6f}".rstrip("0").rstrip(".") if unit == "seconds" else f"{round(count)}"
        text = f"{number}{_LETTERS[unit]}" if number != "0" or (last and not date + time) else ""
        date, time = (date + text, time) if unit == "days" else (date, time + text)
    return f"P{date}" + (f"T{time}" if time else "")


def find_durations(texts: pa.Array, share: float, asked: bool = False) -> str | None:
    """The form of durations that at least ``share`` of the cells (N,) have.

    Hours and minutes of a day are no durations, unless these are ``asked`` for.

    >>> find_durations(pa.array(["1:23:45", "27:00:01"]), 0.95)
    '[h]:mm:ss'
    >>> find_durations(pa.array(["PT90M", "P1DT2H"]), 0.95)
    'P[D]T[H][M]'
    >>> find_durations(pa.array(["14:05", "09:30"]), 0.95) is None
    True
    """
    for pattern in (_CLOCK, _ISO):
        found = texts.filter(pc.match_substring_regex(texts, pattern))
        if len(found) == 0 or len(found) < share * len(texts):
            continue
        parts = pc.extract_regex(found, pattern)
        form = _form_of_iso(parts) if pattern is _ISO else _form_of_clock(parts, asked)
        if form and np.isfinite(read_durations(texts, form)).mean() >= share:
            return form
    return None


def _form_of_clock(parts: pa.Array, asked: bool) -> str | None:
    hours = _part(parts, "hours")
    days = pc.any(pc.not_equal(_part(parts, "days"), "")).as_py()
    longer = pc.any(pc.greater(pc.cast(hours, pa.int64()), 24)).as_py()  # 24:00 ends a day.
    signed = pc.any(pc.equal(_part(parts, "sign"), "-")).as_py()
    if not (asked or days or longer or signed):
        return None
    zeros = pc.any(pc.match_substring_regex(hours, r"^0\d")).as_py()
    width = pc.min(pc.utf8_length(hours)).as_py() if zeros else 1
    colons = pc.sum(pc.cast(pc.equal(_part(parts, "colon"), ":"), pa.int64())).as_py()
    most = pc.max(pc.utf8_length(_part(parts, "fraction"))).as_py()
    seconds = ":ss" if 2 * colons > len(parts) else ""
    fraction = f".{'0' * (most - 1)}" if most and seconds else ""
    return f"{'D days ' if days else ''}[{'h' * min(width, 4)}]:mm{seconds}{fraction}"


def _form_of_iso(parts: pa.Array) -> str | None:
    used = {u: pc.any(pc.not_equal(_part(parts, u), "")).as_py() for u in _UNITS}
    date = "[D]" if used.pop("days") else ""
    time = "".join(f"[{_LETTERS[unit]}]" for unit, has in used.items() if has)
    return f"P{date}{'T' if time else ''}{time}" if date or time else None

"""What one cell means: missing or not, number, date, and how such a value is written back.

Every function works on a whole Arrow column. Text columns (CSV) and typed columns (Parquet,
pandas) go through the same functions, so that twins of one table give the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.values import booleans
from tabvae.values.notation import PLAIN, Notation, NotationConfig

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

SCIENTIFIC = r"0(?:\.0{0,17}#{0,17})?[eE]\+?0{1,3}"
"""How numbers with exponents are written, as spreadsheets have it: # is a digit if it is no 0."""
NUMBER_PATTERN = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$"
LARGEST_NUMBER = 1e150
"""Of a cell: its square is still a number."""
FARTHEST = 1e6
"""Deviations from the mean that no cell of a table can have: of n cells, the root of n."""

EPOCHS = {"epoch": 1.0, "epoch-ms": 1e-3}
"""Formats of moments that are numbers since 1970, and the seconds of one."""

DEFAULT_NA_VALUES = ("", "NA", "NaN", "null", "None", "?")


@dataclass(frozen=True)
class NumberFormat:
    """How a column writes its numbers.

    Attributes:
        decimals: digits after the point; ``None`` if they vary too much to round to.
        fewest: digits after the point that even a round number shows (``1.10``, ``2.0``).
        step: numbers are ``origin`` plus multiples of this; 0 if there is no common step.
        origin: a number of the column.
        padding: white space in front of each number.
        notation: what stands around and between its digits.
        scientific: such as ``0.0#E+00``, if all numbers have exponents.
        most_decimals: bound of ``decimals``; numbers with more are not rounded.
        most_padding: bound of ``padding``; a model file may not ask for pages of it.

    Raises:
        ValueError: no column writes its numbers so.

    **Examples**

    >>> money = NumberFormat(decimals=2, fewest=1, step=0.05, origin=0.0)
    >>> money.write(money.snap(np.array([1.52, 2.026])))
    ['1.5', '2.05']
    """

    most_decimals: ClassVar[int] = 12
    most_padding: ClassVar[int] = 100

    decimals: int | None
    fewest: int
    step: float
    origin: float
    padding: str = ""
    notation: Notation = PLAIN
    scientific: str = ""

    def __post_init__(self) -> None:
        most = self.fewest if self.decimals is None else self.decimals
        if not (0 <= self.fewest <= self.most_decimals and 0 <= most <= self.most_decimals):
            raise ValueError(f"numbers with {most} decimals")
        least_step = 0.5 * 10.0**-self.most_decimals
        if self.step and not least_step < self.step <= LARGEST_NUMBER:
            raise ValueError(f"numbers in steps of {self.step}")
        if not abs(self.origin) <= LARGEST_NUMBER:
            raise ValueError(f"numbers from {self.origin} on")
        if len(self.padding) > self.most_padding or self.padding.strip():
            raise ValueError(f"{len(self.padding)} characters before a number")
        if self.scientific and not re.fullmatch(SCIENTIFIC, self.scientific):
            raise ValueError(f"numbers like {self.scientific[:40]!r}")

    def snap(self, values: Floats) -> Floats:
        """(N,) ``values`` at the column's spacing and number of decimals."""
        if self.step > 0:
            values = self.origin + np.round((values - self.origin) / self.step) * self.step
        if self.scientific:
            return np.array([float(self._with_exponent(float(value))) for value in values])
        return values if self.decimals is None else np.round(values, self.decimals)

    def write(self, values: Floats) -> list[str]:
        """The text of each of ``values``, which have its spacing already."""
        return [self.padding + self.notation.write(self._write(float(v))) for v in values]

    def _with_exponent(self, value: float) -> str:
        """A number as ``scientific`` shows it."""
        mantissa, letter, exponent = re.split("([eE])", self.scientific)
        fewest, most = mantissa.count("0") - 1, max(len(mantissa) - 2, 0)
        digits, power = f"{value + 0.0:.{most}e}".split("e")
        while len(digits.partition(".")[2]) > fewest and digits.endswith("0"):
            digits = digits[:-1]
        sign = "-" if power[0] == "-" else "+" * exponent.startswith("+")
        power = power[1:].lstrip("0").rjust(exponent.count("0"), "0")
        return f"{digits.removesuffix('.')}{letter}{sign}{power}"

    def _write(self, value: float) -> str:
        if self.scientific:
            return self._with_exponent(value)
        if self.decimals is None:
            return f"{value:.15g}"
        text = f"{value + 0.0:.{self.decimals}f}"
        while text.endswith("0") and len(text) - text.find(".") - 1 > self.fewest and "." in text:
            text = text[:-1]
        return text.removesuffix(".")


def flat(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """``column`` in one piece, with dictionaries replaced by their values, and views by texts."""
    column = whole(column)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return pc.cast(column, pa.string()) if pa.types.is_string_view(column.type) else column


def whole(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """``column`` in one piece."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks else pa.array([], column.type)
    return column


def is_text(kind: pa.DataType) -> bool:
    """Cells are text, as all are in a CSV file."""
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def is_number(kind: pa.DataType) -> bool:
    """Cells are numbers, with decimals or without, or how long something took."""
    return bool(is_whole(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_whole(kind: pa.DataType) -> bool:
    """Cells are whole numbers, those of durations being of their unit."""
    return bool(pa.types.is_integer(kind) or pa.types.is_duration(kind))


def is_moment(kind: pa.DataType) -> bool:
    """Cells are days, or points in time."""
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


def as_mask(array: pa.Array) -> Mask:
    """A boolean Arrow array as NumPy, nulls as False."""
    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def missing_mask(array: pa.Array, na_values: tuple[str, ...]) -> Mask:
    """Which cells are missing: null, NaN, or one of ``na_values``, be it as text or as a number.

    >>> missing_mask(pa.array([-999.0, 1.0]), ("-999",)).tolist()
    [True, False]
    >>> missing_mask(pa.array(["-999.0", " n/k", "-99"]), ("-999", "n/k")).tolist()
    [True, True, False]
    """
    missing = as_mask(pc.is_null(array, nan_is_null=pa.types.is_floating(array.type)))
    numbers = [text for text in na_values if re.fullmatch(NUMBER_PATTERN, text.strip())]
    if is_text(array.type):
        stripped = pc.utf8_trim_whitespace(array)
        missing |= as_mask(pc.is_in(stripped, value_set=pa.array(na_values, array.type)))
        if numbers:
            whole = _without_zeros(pa.array(numbers, array.type))
            missing |= as_mask(pc.is_in(_without_zeros(stripped), value_set=whole))
    elif is_number(array.type) and numbers:
        missing |= np.isin(to_numbers(array), [float(text) for text in numbers])
    return missing


def _without_zeros(texts: pa.Array) -> pa.Array:
    """``-999`` of ``-999.0``, and of nothing else."""
    return pc.replace_substring_regex(texts, r"^([+-]?\d+)\.0*$", r"\1")


def to_numbers(array: pa.Array, notation: Notation = PLAIN) -> Floats:
    """(N,) cells as float64, NaN where a cell is null, no number, or too large to be squared; texts
    in the ``notation`` given.

    >>> to_numbers(pa.array(["1.5", " +2 ", "n/k", None]))
    array([1.5, 2. , nan, nan])
    """
    if is_text(array.type):
        stripped = notation.plain(array)
        number = pc.match_substring_regex(stripped, NUMBER_PATTERN)
        # Arrow's cast knows no leading plus sign.
        plain = pc.replace_substring_regex(stripped, r"^\+", "")
        array = pc.if_else(number, plain, pa.scalar(None, array.type))
    elif pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    elif pa.types.is_duration(array.type):
        array = pc.cast(array, pa.int64())
    elif not is_number(array.type):
        array = pa.nulls(len(array), pa.float64())
    numbers = np.array(
        pc.cast(array, pa.float64(), safe=False).to_numpy(zero_copy_only=False), dtype=np.float64
    )
    numbers[~(np.abs(numbers) <= LARGEST_NUMBER)] = np.nan
    return numbers


def to_text(array: pa.Array) -> pa.Array:
    """Cells as text, the way a CSV file would show them; text stays as it is."""
    if is_text(array.type):
        return pc.cast(array, pa.string())
    if is_moment(array.type) and getattr(array.type, "tz", None):
        return pc.strftime(array, format="%Y-%m-%dT%H:%M:%S%z")
    return pc.cast(array, pa.string())


def without_formulas(texts: pa.Array) -> pa.Array:
    """``texts`` with an apostrophe before those that a spreadsheet would run; numbers stay.

    >>> without_formulas(pa.array(["=1+1", "-1.5", "-$5", "-a"])).to_pylist()
    ["'=1+1", '-1.5', '-$5', "'-a"]
    """
    stripped = pc.utf8_trim_whitespace(texts)
    written = pc.match_substring_regex(stripped, NotationConfig().pattern)
    number = pc.or_(pc.match_substring_regex(stripped, NUMBER_PATTERN), written)
    formula = pc.match_substring_regex(texts, r"^[=+\-@\t\r]")  # OWASP, "CSV Injection"
    run = pc.and_not(formula, number)
    return pc.if_else(run, pc.binary_join_element_wise("'", texts, ""), texts)


def has_text(kind: pa.DataType) -> bool:
    """Whether ``to_text`` can write cells of this type; bytes may be no text."""
    stored = getattr(kind, "storage_type", kind)
    if pa.types.is_binary(stored) or pa.types.is_large_binary(stored):
        return False
    if pa.types.is_fixed_size_binary(stored):
        return False
    try:
        to_text(pa.array([], kind if not pa.types.is_dictionary(kind) else kind.value_type))
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):
        return False
    return True


def to_seconds(array: pa.Array, datetime_format: str | None) -> Floats:
    """(N,) moments as float64 seconds since 1970, NaN where a cell is null or does not parse.

    >>> to_seconds(pa.array(["02.01.1970", "?"]), "%d.%m.%Y")
    array([86400.,    nan])
    """
    if is_moment(array.type):
        micros = pc.cast(
            pc.cast(array, pa.timestamp("us", getattr(array.type, "tz", None)), safe=False),
            pa.int64(),
            safe=False,
        )
        return (
            np.array(
                pc.cast(micros, pa.float64(), safe=False).to_numpy(zero_copy_only=False),
                dtype=np.float64,
            )
            / 1e6
        )
    if datetime_format in EPOCHS:
        return to_numbers(array) * EPOCHS[datetime_format]
    texts = pc.utf8_trim_whitespace(to_text(array))
    # pandas takes a leap second for one of the next minute.
    leap = pc.match_substring_regex(texts, r":6[01]")
    texts = pc.if_else(leap, pa.scalar(None, texts.type), texts)
    parsed = None if datetime_format is None else read_format(datetime_format)
    if parsed is not None:
        texts, parsed = _as_days(texts, parsed)
    series = pd.Series(texts.to_pandas())
    moments = pd.to_datetime(series, format=parsed, errors="coerce", utc=True)
    micros = moments.dt.tz_localize(None).astype("datetime64[us]").astype("int64").to_numpy()
    return np.where(moments.isna().to_numpy(), np.nan, micros / 1e6)


def from_numbers(values: Floats, target: pa.DataType, numbers: NumberFormat) -> pa.Array:
    """Numbers at the column's spacing as cells of type ``target``."""
    if is_text(target):
        return pa.array(numbers.write(values), target)
    if not is_whole(target):
        return pc.cast(pa.array(values), target, safe=False)
    integers = target if pa.types.is_integer(target) else pa.int64()
    whole = np.round(values)
    # The largest number of 64 bits is no float64; the next one above it is.
    limit = 2.0**64 if pa.types.is_unsigned_integer(integers) else 2.0**63
    whole = np.where(whole == limit, np.nextafter(limit, 0), whole)
    return pc.cast(pc.cast(pa.array(whole), integers), target)


def read_format(datetime_format: str) -> str:
    """A format as pandas parses it: it takes days without a zero and any fraction as they come.

    >>> read_format("%-d.%-m.%Y %H:%M:%S.%3f")
    '%d.%m.%Y %H:%M:%S.%f'
    """
    plain = r"%(?:-([dmHI])|[1-5](f)|(z)\{[^{}]*\})"
    return re.sub(plain, lambda found: "%" + (found[1] or found[2] or found[3]), datetime_format)


def _as_days(texts: pa.Array, parsed: str) -> tuple[pa.Array, str]:
    """Weeks with their first day, quarters with their first month: texts and format that pandas
    reads."""
    if "%V" in parsed and "%u" not in parsed:
        ones = pc.binary_join_element_wise(texts, "-1", "")
        return pc.if_else(pc.match_substring_regex(texts, r"\d$"), ones, texts), f"{parsed}-%u"
    if "%q" in parsed:
        quarter = pc.match_substring_regex(texts, r"Q[1-4](\D|$)")
        texts = pc.if_else(quarter, texts, pa.scalar(None, texts.type))
        for number in range(1, 5):
            texts = pc.replace_substring(texts, f"Q{number}", f"Q{3 * number - 2:02}")
    return texts, parsed.replace("%q", "%m")


def write_moments(moments: pd.DatetimeIndex, datetime_format: str) -> pa.Array:
    """(N,) moments as text. ``%-d``, ``%-m``, ``%-H`` and ``%-I`` write no leading zero, ``%3f`` a
    fraction of three digits, ``%q`` the quarter, ``%z{+01:00}`` the time with that offset from UTC.

    >>> write_moments(pd.DatetimeIndex(["2024-03-01"]), "%-m/%-d/%Y").to_pylist()
    ['3/1/2024']
    >>> write_moments(pd.DatetimeIndex(["2024-03-01"]), "%H:%M%z{-03:30}, Q%q").to_pylist()
    ['20:30-03:30, Q1']
    """
    if zone := re.search(r"%z\{(Z|[+-]\d\d:?\d\d)\}", datetime_format):
        hours, minutes = (int(zone[1][1:3]), int(zone[1][-2:])) if zone[1] != "Z" else (0, 0)
        ahead = pd.Timedelta(hours=hours, minutes=minutes)
        moments = moments - ahead if zone[1].startswith("-") else moments + ahead
        datetime_format = datetime_format.replace(zone[0], zone[1])
    # Marks that no table has stand where digits are to go from what ``strftime`` writes.
    marked = re.sub("%-([dmHI])", "\x01%\\1", datetime_format)
    marked = re.sub("%([1-5])f", lambda found: "%f" + "\x02" * (6 - int(found[1])), marked)
    marked = marked.replace("%q", "\x03%m")
    texts = pa.array(moments.strftime(marked), pa.string())
    for quarter, months in enumerate(("0[1-3]", "0[4-6]", "0[7-9]", "1[0-2]"), start=1):
        if "\x03" in marked:
            texts = pc.replace_substring_regex(texts, f"\x03{months}", str(quarter))
    if "\x01" in marked:
        texts = pc.replace_substring_regex(texts, "\x01 ?0?", "")
    for cut in range(5, 0, -1):
        if "\x02" * cut in marked:
            texts = pc.replace_substring_regex(texts, rf"\d{{{cut}}}\x02{{{cut}}}", "")
            break
    return texts


def from_seconds(seconds: Floats, target: pa.DataType, datetime_format: str | None) -> pa.Array:
    """Seconds since 1970 as cells of type ``target``."""
    if datetime_format in EPOCHS:
        units = np.round(seconds / EPOCHS[datetime_format], 6)
        if is_text(target):
            return pa.array([f"{unit:.16g}" for unit in units], target)
        return pc.cast(pa.array(units), target, safe=False)
    micros = np.round(seconds * 1e6).astype(np.int64)
    if not is_moment(target):
        moments = pd.to_datetime(micros, unit="us")
        texts = write_moments(moments, datetime_format or "%Y-%m-%d %H:%M:%S")
        return from_text(texts, target)
    moment = pa.array(micros, pa.timestamp("us", getattr(target, "tz", None)))
    return pc.cast(moment, target, safe=False)


def from_text(texts: pa.Array, target: pa.DataType, levels: Sequence[str] = ()) -> pa.Array:
    """Texts, as ``to_text`` writes them, as cells of type ``target``.

    Args:
        texts: (N,) cells.
        target: a type that can hold them; one of booleans, words for true and false.
        levels: values of a dictionary in their order; others come behind them.

    Raises:
        pa.ArrowException: it cannot.
    """
    if pa.types.is_dictionary(target):
        known = from_text(pa.array(levels, texts.type), target.value_type)
        return as_dictionary(from_text(texts, target.value_type), known, target)
    try:
        return pc.cast(texts, target)
    except pa.ArrowInvalid:
        truth = booleans.truth(texts)
        if truth.null_count > texts.null_count:
            raise
        return pc.cast(truth, target)


def as_dictionary(values: pa.Array, levels: pa.Array, kind: pa.DictionaryType) -> pa.Array:
    """``values`` as a dictionary of type ``kind`` that holds ``levels``, in their order, then the
    values that are none of them.

    >>> kind = pa.dictionary(pa.int8(), pa.string(), ordered=True)
    >>> as_dictionary(pa.array(["b", "z"]), pa.array(["a", "b"]), kind).dictionary.to_pylist()
    ['a', 'b', 'z']
    """
    others = pc.unique(values.drop_null())
    others = others.filter(pc.invert(pc.is_in(others, value_set=levels)))
    dictionary = pa.concat_arrays([levels, others])
    indices = pc.cast(pc.index_in(values, value_set=dictionary), kind.index_type)
    return pa.DictionaryArray.from_arrays(indices, dictionary, ordered=kind.ordered)


def levels_of(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values of a column's dictionary, in their order, each once; none without one."""
    column = whole(column)
    if not pa.types.is_dictionary(column.type):
        return pa.array([], column.type)
    return pc.unique(column.dictionary).drop_null()


def choose(mask: Mask, chosen: pa.Array, rest: pa.Array | pa.Scalar) -> pa.Array:
    """``chosen`` where ``mask`` is set, ``rest`` elsewhere; of the type of ``chosen``.

    >>> choose(np.array([True, False]), pa.array([1, 2]), pa.array([8, 9])).to_pylist()
    [1, 9]
    """
    if pa.types.is_dictionary(chosen.type):
        levels = levels_of(chosen)
        if isinstance(rest, pa.Scalar):
            plain = rest.cast(chosen.type.value_type)
        else:
            plain, own = flat(rest), levels_of(rest)
            # Those of the table go first, unless they are some of an order that is known.
            needed = pc.unique(flat(chosen).filter(pa.array(mask))).drop_null()
            if _within(needed, own) or not _within(own, levels):
                levels = own
        mixed = pc.if_else(pa.array(mask), flat(chosen), plain)
        return as_dictionary(mixed, levels, chosen.type)
    if pa.types.is_string_view(chosen.type):
        texts = pa.scalar(rest.as_py()) if isinstance(rest, pa.Scalar) else flat(rest)
        return pc.cast(choose(mask, flat(chosen), texts), chosen.type)
    if pa.types.is_null(rest.type):
        rest = pa.scalar(None, chosen.type)
    return pc.if_else(pa.array(mask), chosen, rest)


def _within(values: pa.Array, others: pa.Array) -> bool:
    """Whether all of ``values`` are among ``others``."""
    return len(values) == 0 or (
        len(others) > 0 and bool(pc.all(pc.is_in(values, value_set=others)).as_py())
    )


def number_format(array: pa.Array, values: Floats, notation: Notation = PLAIN) -> NumberFormat:
    """How the finite ``values`` of ``array`` are written.

    Args:
        array: the cells, typed or text; cells that are not numbers are left out.
        values: the same cells as ``to_numbers`` reads them.
        notation: in which it does.
    """
    finite = np.isfinite(values)
    texts = to_text(array.filter(pa.array(finite)))
    values = values[finite]
    integral = is_whole(array.type)
    plain = notation.plain(texts)
    decimals, fewest = _decimals(plain, integral)
    step, origin = spacing(values, decimals)
    scientific = "" if integral else _scientific(plain)
    return NumberFormat(decimals, fewest, step, origin, _padding(texts), notation, scientific)


def _scientific(texts: pa.Array) -> str:
    """How numbers are written that all have exponents; empty if one has none.

    >>> _scientific(pa.array(["1.20E+05", "3.4E-10"])), _scientific(pa.array(["1e5", "0.1"]))
    ('0.0#E+00', '')
    """
    pattern = (
        r"^[+-]?\d(?:\.(?P<digits>\d{1,17}))?(?P<letter>[eE])(?P<sign>[+-]?)(?P<power>\d{1,3})$"
    )
    parts = pc.extract_regex(texts, pattern)
    if len(parts) == 0 or parts.null_count:
        return ""
    digits, letters, signs, powers = (pc.struct_field(parts, [k]) for k in range(4))
    lengths = pc.min_max(pc.utf8_length(digits)).as_py()
    least, most = lengths["min"], lengths["max"]
    mantissa = f"0.{'0' * least}{'#' * (most - least)}".removesuffix(".")
    plus = "+" if pc.any(pc.equal(signs, "+")).as_py() else ""
    width = pc.min(pc.utf8_length(powers)).as_py()
    return f"{mantissa}{letters[0].as_py()}{plus}{'0' * width}"


def _decimals(texts: pa.Array, integral: bool) -> tuple[int | None, int]:
    """The most and the fewest digits after the point; no most where they vary too much."""
    if integral:
        return 0, 0
    if pc.any(pc.match_substring_regex(texts, "[eE]")).as_py():
        return None, 0
    point = pc.find_substring(texts, ".")
    after = pc.subtract(pc.subtract(pc.utf8_length(texts), point), 1)
    digits = pc.if_else(pc.less(point, 0), 0, after)
    most, least = int(pc.max(digits).as_py()), int(pc.min(digits).as_py())
    return (most, least) if most <= NumberFormat.most_decimals else (None, 0)


def _padding(texts: pa.Array) -> str:
    leading = pc.replace_substring_regex(texts, r"^(\s*).*$", r"\1")
    common = pc.mode(pc.utf8_length(leading))
    width = int(common[0]["mode"].as_py()) if len(common) else 0
    return " " * min(width, NumberFormat.most_padding)


def spacing(values: Floats, decimals: int | None) -> tuple[float, float]:
    """The largest step and the least origin from 0 that all finite ``values`` are multiples apart.

    Returns:
        Step and origin; zeros where there is no common step.

    >>> spacing(np.array([5.0, 15.0, 35.0]), 0)
    (10.0, 5.0)
    """
    if decimals is None or len(values) == 0:
        return 0.0, 0.0
    origin = float(values.min())
    scaled = (values - origin) * 10.0**decimals
    if np.abs(scaled).max() >= 2.0**53:  # Not every whole float64 is exact from there on.
        return 0.0, 0.0
    step = int(np.gcd.reduce(np.round(scaled).astype(np.int64)))
    if step == 0:
        return 0.0, 0.0
    # Any number so spaced will do; the one nearest to zero tells nothing of a cell.
    first = round(origin * 10.0**decimals) % step
    return step / 10.0**decimals, first / 10.0**decimals

"""How people write numbers: separators, currencies, units, per cent, signs, digits of any script.

A column's notation is found from all of its cells, read through, and written back. A cell that does
not follow it is no number, and stays as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, replace
from itertools import product
from typing import ClassVar

import pyarrow as pa
import pyarrow.compute as pc

from tabvae.errors import ParameterError, shown
from tabvae.values.durations import DURATION, find_durations, read_durations, write_duration

MINUS = "\u2212"
"""The sign; a hyphen is the plain one."""
_MINUSES = f"\\-{MINUS}\uff0d"
SIGNS = f"+\uff0b{_MINUSES}"
"""Plus and minus in a set of a regular expression, the full-width ones, too."""
BLANKS = " \u00a0\u202f\u2009"
"""Between groups of digits, or before a unit; only the first breaks a line."""

_PLACES = ("front", "within", "behind")
"""Where signs stand: in front of all, between currency and number, behind all."""
_SEPARATORS: tuple[tuple[str, str], ...] = (("", "."), (",", "."), ("", ","), (".", ","))
_SEPARATORS += tuple(product(("'", "\u2019", *BLANKS), ".,"))
# Those of Arabic, and of full-width digits.
_SEPARATORS += tuple(product(("", "\u066c"), ["\u066b"])) + tuple(
    product(("", "\uff0c"), ["\uff0e"])
)


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written around their digits.

    Attributes:
        before: a currency in front of each number, with its blank.
        after: a currency, unit or per cent behind it.
        thousands: between groups of three digits.
        decimal: between whole and fraction.
        minus: of a negative number; ``(`` for numbers in parentheses.
        one: what stands behind 1, where it is not ``after``: ``1 year``, ``2 years``.
        sign: ``front`` of all, ``within`` the currency and the number, or ``behind`` all.
        plus: numbers above zero have a sign, too.
        group: digits between thousands, but for the last three: 2 in India.
        digits: the zero of their script; ``x`` or ``X`` for hexadecimal ones, small or capital.
        width: fewest digits of a hexadecimal number.
        duration: such as ``[h]:mm:ss``, of numbers that are seconds.

    Raises:
        ValueError: nobody writes numbers so.

    **Examples**

    >>> money = Notation(before="$", thousands=",")
    >>> money.plain(pa.array(["$5,914.50", "-$3", "n/k"])).to_pylist()
    ['5914.50', '-3', 'n/k']
    >>> money.write("-5914.50")
    '-$5,914.50'
    >>> Notation(digits="X", width=4).write("255"), Notation(digits="\u0660").write("12")
    ('0x00FF', '١٢')
    """

    longest_affix: ClassVar[int] = 12
    most_width: ClassVar[int] = 16

    before: str = ""
    after: str = ""
    thousands: str = ""
    decimal: str = "."
    minus: str = "-"
    one: str = ""
    sign: str = "front"
    plus: bool = False
    group: int = 3
    digits: str = "0"
    width: int = 1
    duration: str = ""

    def __post_init__(self) -> None:
        affixes = self.before, self.after, self.one
        if (
            (self.thousands, self.decimal) not in _SEPARATORS
            or self.minus not in ("-", MINUS, "(", "\uff0d")
            or max(map(len, affixes)) > self.longest_affix
            or re.search(rf"[\d{SIGNS}\r\n\t()]", "".join(affixes))
            or self.sign not in _PLACES
            or (self.minus == "(" and (self.sign != "front" or self.plus))
            or self.group not in (2, 3)
            or not (self.hexadecimal or (self.digits.isdecimal() and int(self.digits) == 0))
            or len(self.digits) != 1
            or not 1 <= self.width <= self.most_width
            or (self.duration and not DURATION.fullmatch(self.duration))
        ):
            raise ValueError("no notation of numbers")

    @property
    def hexadecimal(self) -> bool:
        """Whether numbers are such as ``0x1F``."""
        return self.digits in ("x", "X")

    def plain(self, texts: pa.Array) -> pa.Array:
        """(N,) cells, white space around them removed; those that follow the notation as plain
        numbers, the others as they are."""
        stripped = pc.utf8_trim_whitespace(texts)
        if self == PLAIN:
            return stripped
        stripped = pc.cast(stripped, pa.string())
        if self.hexadecimal:
            return _from_hexadecimal(stripped)
        if self.duration:
            return _from_durations(stripped, self.duration)
        ascii_ = _ascii_digits(stripped, self.digits)
        follows = pc.match_substring_regex(ascii_, self.pattern)
        digits = pc.replace_substring_regex(ascii_, self.pattern, r"\1")
        negative = pc.match_substring_regex(ascii_, rf"^\D*[{_MINUSES}(]|[{_MINUSES}]$")
        if self.thousands:
            digits = pc.replace_substring(digits, self.thousands, "")
        if self.decimal != ".":
            digits = pc.replace_substring(digits, self.decimal, ".")
        signs = pc.if_else(negative, "-", "")
        return pc.if_else(follows, pc.binary_join_element_wise(signs, digits, ""), stripped)

    @property
    def pattern(self) -> str:
        """Of a cell that follows the notation in ASCII digits; its only group has these."""
        mark, group, signs = literal(self.thousands), self.group, f"[{SIGNS}]?"
        whole = r"\d+"
        if mark:
            whole = rf"(?:[1-9]\d{{0,{group - 1}}}(?:{mark}\d{{{group}}})*{mark}\d{{3}}|\d+)"
        digits = rf"{whole}(?:{literal(self.decimal)}\d+)?"
        digits += "" if mark else r"(?:[eE][+\-]?\d{1,3})?"
        front, within, behind = (signs if self.sign == p else "" for p in _PLACES)
        if self.minus == "(":
            front, behind = f"[({SIGNS}]?", rf"{behind}\)?"
        after = literal(self.after)
        after = f"(?:{after}|{literal(self.one)})" if self.one else after
        return rf"^{front}{literal(self.before)}{within}({digits}){after}{behind}$"

    def write(self, number: str) -> str:
        """A plain number in the column's notation."""
        if self.duration:
            return write_duration(float(number), self.duration)
        amount = number.removeprefix("-")
        sign = self.minus if amount != number else "+" * (self.plus and float(amount) > 0)
        if self.hexadecimal:
            return f"0x{int(float(amount)):0{self.width}{self.digits}}"
        whole, point, fraction = amount.partition(".")
        if self.thousands and "e" not in number:
            whole = self._grouped(str(int(whole or 0)))
        text = whole + (self.decimal if point else "") + fraction
        if self.digits != "0":
            text = text.translate({48 + i: chr(ord(self.digits) + i) for i in range(10)})
        after = self.one if self.one and amount == "1" else self.after
        if sign == "(":
            return f"({self.before}{text}{after})"
        front, within, behind = (sign if self.sign == place else "" for place in _PLACES)
        return front + self.before + within + text + after + behind

    def _grouped(self, whole: str) -> str:
        """Digits with separators between them."""
        if self.group == 3:
            return f"{int(whole):,}".replace(",", self.thousands)
        head, last = whole[:-3], whole[-3:]
        groups = [head[max(end - 2, 0) : end] for end in range(len(head), 0, -2)]
        return self.thousands.join([*reversed(groups), last])

    @property
    def words(self) -> str:
        """What is not plain about it, for people."""
        affix = self.before.strip() or self.after.strip()
        parts = [
            f"with {affix!r}" if affix else "",
            "hexadecimal" if self.hexadecimal else "",
            f"durations {self.duration}" if self.duration else "",
            "" if self.digits in "0xX" else f"digits from {self.digits!r} on",
            f"thousands by {self.thousands!r}" if self.thousands else "",
            f"decimals by {self.decimal!r}" if self.decimal != "." else "",
            {"(": "negative ones in parentheses", "-": ""}.get(
                self.minus, f"minus as {self.minus!r}"
            ),
            {"within": "signs before digits", "behind": "signs at the end"}.get(self.sign, ""),
            "plus signs" if self.plus else "",
        ]
        return ", ".join(part for part in parts if part)


PLAIN = Notation()


@dataclass(frozen=True)
class Separators:
    """What stands between the digits of numbers, as far as somebody has said it.

    Attributes:
        decimal: between whole and fraction; ``None`` to find it.
        thousands: between groups of three digits, empty for none; ``None`` to find it.

    Raises:
        ParameterError: nobody writes numbers so.

    **Examples**

    >>> Separators(decimal=",").allow(PLAIN), Separators(thousands=",").allow(PLAIN)
    (False, True)
    """

    decimal: str | None = None
    thousands: str | None = None

    def __post_init__(self) -> None:
        if not any(self._match(*pair) for pair in _SEPARATORS):
            pair = ("decimal", self.decimal), ("thousands", self.thousands)
            said = " and ".join(f"{name} {shown(one)}" for name, one in pair if one is not None)
            raise ParameterError(
                f"no numbers are written with {said}",
                "a decimal is '.' or ',', between thousands is another sign, a blank or nothing",
            )

    @property
    def given(self) -> bool:
        """Whether anything is said."""
        return (self.decimal, self.thousands) != (None, None)

    def allow(self, notation: Notation) -> bool:
        """Whether numbers are written in ``notation``; those below 1,000 show no thousands."""
        thousands = notation.thousands or self.thousands or ""
        return thousands != notation.decimal and self._match(thousands, notation.decimal)

    def _match(self, thousands: str, decimal: str) -> bool:
        said = ((self.decimal, decimal), (self.thousands, thousands))
        return all(wanted is None or wanted == one for wanted, one in said)


FOUND = Separators()
"""Nothing is said."""


@dataclass(frozen=True)
class NotationConfig:
    """When the cells of a column follow a notation.

    Attributes:
        cells_to_try: distinct ones, by which currency or unit is found.
        currencies: codes of ISO 4217 that stand beside amounts most often.
        units: that stand behind a number, most of them with a blank between or without.
        longest_unit: characters of any other word that all numbers of a column have behind a
            blank; in small letters, as names, such as those of streets, are not.

    Examples:
        >>> NotationConfig().is_unit(" cm"), NotationConfig().is_unit("th")
        (True, False)
        >>> NotationConfig().is_spoken(" items"), NotationConfig().is_spoken(" Main")
        (True, False)
    """

    cells_to_try: int = 2000
    currencies: str = (
        "USD EUR GBP JPY CHF CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF RUB TRY BRL MXN ZAR KRW "
        "SGD HKD THB ILS AED SAR Fr kr Kč zł"
    )
    units: str = (
        "% ‰ ° °C °F mm cm m km kg g mg µg t lb lbs oz l ml cl h min s ms d kB MB GB TB W kW kWh V "
        "Hz kHz MHz GHz px mph mmHg ha °K K Pa hPa kPa bar J kJ kcal cal N Nm mol mmol ppm dB "
        "km/h m/s m² m³ km² cm² ft in yd mi sq ft \u066a \uff05 Tage Jahre Monate Stunden Stück"
    )
    longest_unit: int = 8

    def is_currency(self, text: str) -> bool:
        """``$``, ``US$`` or ``CHF``."""
        symbol = len(text) <= 3 and text != "" and unicodedata.category(text[-1]) == "Sc"
        return text in self.currencies.split() or symbol

    def is_unit(self, text: str) -> bool:
        """``cm`` or ``%``, with a blank before it or not."""
        word = text.strip(BLANKS)
        return word in self.units.split() or self.is_currency(word)

    def is_spoken(self, text: str) -> bool:
        """A short word in small letters, after a blank."""
        word = text.strip(BLANKS)
        short = text != word and len(word) <= self.longest_unit
        return short and word[:1].islower() and bool(_WORD.fullmatch(word))

    @property
    def pattern(self) -> str:
        """Of a cell that is a number to people, in whatever notation but with words.

        >>> cells = pa.array(["-$5,914.50", "-5+cmd|' /C calc'!A0"])
        >>> pc.match_substring_regex(cells, NotationConfig().pattern).to_pylist()
        [True, False]
        """
        words = [*self.currencies.split(), *self.units.split()]
        affix = "|".join(literal(word) for word in sorted(words, key=len, reverse=True))
        beside = rf"(?:[A-Z]{{0,2}}\p{{Sc}}|{affix})?[{BLANKS}]?"
        behind = rf"[{BLANKS}]?(?:\p{{Sc}}|{affix})?"
        digits = rf"\d{{1,3}}(?:[.,'{BLANKS}]?\d{{2,3}})*(?:[.,]\d+)?|\d+(?:[.,]\d+)?"
        return rf"^[{SIGNS}(]?{beside}[{SIGNS}]?(?:{digits}){behind}[{SIGNS}]?\)?$"


_WORD = re.compile(r"[^\W\d_][^\d\s,;.]*")
_MARKS = "".join({sign for pair in _SEPARATORS for sign in pair})
_NUMBER = re.compile(
    rf"(?P<front>[{SIGNS}(]?)(?P<before>[^\d{SIGNS}().,]*?)(?P<within>[{SIGNS}]?)"
    rf"(?P<digits>[0-9](?:[0-9{_MARKS}]*[0-9])?(?:[eE][+\-]?[0-9]{{1,3}})?)"
    rf"(?P<after>[^\d{SIGNS}().,]*)(?P<behind>[{SIGNS}]?)\)?"
)


def find_notation(
    texts: pa.Array,
    share: float,
    config: NotationConfig = NotationConfig(),
    separators: Separators = FOUND,
    asked: bool = False,
) -> tuple[Notation, Notation | None] | None:
    """The notation that at least ``share`` of the cells follow, and another that all follow, too.

    Args:
        texts: (N,) cells that are not missing.
        share: of the cells, that decides.
        config: which words may stand beside a number.
        separators: those that are given; they need not occur.
        asked: for numbers; times of a day are durations then.

    Returns:
        ``None`` where there is no such notation, or where numbers are plain.

    >>> find_notation(pa.array(["0,33", "1,5", "12,25"]), share=0.95)[0].decimal
    ','
    >>> likely, rival = find_notation(pa.array(["1,234", "2,500"]), share=0.95)
    >>> likely.thousands, rival.decimal
    (',', ',')
    >>> likely, rival = find_notation(
    ...     pa.array(["1,234", "2,500"]), share=0.95, separators=Separators(decimal=",")
    ... )
    >>> likely.decimal, rival
    (',', None)
    >>> find_notation(pa.array(["SO-1", "SO-2"]), share=0.95) is None
    True
    """
    stripped = pc.cast(pc.utf8_trim_whitespace(texts), pa.string())
    if (hexadecimal := _hexadecimal(stripped)) is not None:
        return hexadecimal, None
    if (duration := find_durations(stripped, share, asked)) is not None:
        return Notation(duration=duration), None
    sample = pc.unique(stripped).slice(0, config.cells_to_try).to_pylist()
    script = _script(sample)
    stripped = _ascii_digits(stripped, script)
    around = _around(_ascii_digits(pa.array(sample, pa.string()), script).to_pylist(), config)
    if around is None:
        return None
    around = replace(around, digits=script)
    tried = [
        replace(around, thousands=thousands, decimal=decimal, group=group)
        for thousands, decimal in _SEPARATORS
        for group in (3, 2)[: 2 if thousands else 1]
        if _occurs(thousands, stripped)
        and (decimal == "." or separators.given or thousands or _occurs(decimal, stripped))
    ]
    tried = [notation for notation in tried if separators.allow(notation)]
    counts = [_count(stripped, notation) for notation in tried]
    most = max(counts, default=0)
    if most == 0 or most < share * len(texts) or has_leading_zeros(stripped, around.before):
        return None
    likely, *rivals = [n for n, count in zip(tried, counts, strict=True) if count == most]
    if likely == PLAIN:
        return None
    ambiguous = [n for n in rivals if _same_cells(likely, n) and may_be_thousands(stripped, likely)]
    return likely, ambiguous[0] if ambiguous else None


def _around(cells: list[str], config: NotationConfig) -> Notation | None:
    """What stands around most of the numbers; ``None`` if it is no currency and no unit."""
    parts = [match.groupdict() for cell in cells if (match := _NUMBER.fullmatch(cell))]
    if not parts:
        return None
    ((before, after), _), *_ = Counter((p["before"], p["after"]) for p in parts).most_common(1)
    ones = {p["after"] for p in parts if p["digits"] == "1"} - {after}
    one = ones.pop() if len(ones) == 1 else ""
    one = one if after.startswith(one) and one.strip(BLANKS) else ""
    everywhere = all(p["after"] == (one if p["digits"] == "1" and one else after) for p in parts)
    unit = not after or config.is_unit(after) or (everywhere and config.is_spoken(after))
    if (before and after) or not unit or max(len(before), len(after)) > Notation.longest_affix:
        return None
    if before and not config.is_currency(before.strip(BLANKS)):
        return None
    signs = Counter((p[place], place) for p in parts for place in _PLACES if p[place])
    minuses = Counter({found: n for found, n in signs.items() if found[0] not in "+\uff0b"})
    (sign, place), _ = (minuses or signs or Counter({("-", "front"): 1})).most_common(1)[0]
    plain = "-" if sign in "+\uff0b" else sign
    signed = sum(bool(p[place]) for p in parts)
    plus = sign != "(" and ("+", place) in signs and signed > len(parts) / 2
    return Notation(before, after, minus=plain, one=one, sign=place, plus=plus)


def _script(cells: list[str]) -> str:
    """The zero of the only digits in the cells that are not ASCII's; ASCII's if there are none, or
    others, too."""
    zeros = {chr(ord(c) - int(c)) for cell in cells for c in cell if c.isdecimal()} - {"0"}
    return zeros.pop() if len(zeros) == 1 else "0"


def _ascii_digits(texts: pa.Array, zero: str) -> pa.Array:
    """Texts with the digits of another script as 0 to 9."""
    for i in range(10 if zero != "0" else 0):
        texts = pc.replace_substring(texts, chr(ord(zero) + i), str(i))
    return texts


_HEXADECIMAL = r"^0x[0-9a-fA-F]+$"


def _hexadecimal(stripped: pa.Array) -> Notation | None:
    """The notation of cells that all are hexadecimal numbers that a float64 holds."""
    if not pc.all(pc.match_substring_regex(stripped, _HEXADECIMAL)).as_py():
        return None
    cells = pc.unique(stripped).to_pylist()
    if not cells or max(int(cell, 16) for cell in cells) > 2**53:
        return None
    padded = any(cell[2] == "0" and len(cell) > 3 for cell in cells)
    width = min(len(cell) for cell in cells) - 2 if padded else 1
    return Notation(digits="x" if "".join(cells).islower() else "X", width=width)


def _from_durations(stripped: pa.Array, form: str) -> pa.Array:
    """(N,) durations as plain numbers of seconds, other cells as they are."""
    seconds = read_durations(stripped, form)
    plain = [f"{s:.6f}".rstrip("0").rstrip(".") if s == s else None for s in seconds.tolist()]
    return pc.coalesce(pa.array(plain, pa.string()), stripped)


def _from_hexadecimal(stripped: pa.Array) -> pa.Array:
    """(N,) hexadecimal numbers as plain ones, other cells as they are."""
    cells = pc.dictionary_encode(stripped)
    plain = [
        str(int(cell, 16)) if re.match(_HEXADECIMAL, cell) else cell
        for cell in cells.dictionary.to_pylist()
    ]
    return pa.array(plain, pa.string()).take(cells.indices)


def _count(stripped: pa.Array, notation: Notation) -> int:
    return int(pc.sum(pc.match_substring_regex(stripped, notation.pattern)).as_py() or 0)


def _occurs(separator: str, stripped: pa.Array) -> bool:
    return not separator or bool(pc.any(pc.match_substring(stripped, separator)).as_py())


def has_leading_zeros(stripped: pa.Array, before: str = "") -> bool:
    """Whether a text (N,) has zeros in front, as codes do, which are no numbers.

    >>> has_leading_zeros(pa.array(["0.5", "12"])), has_leading_zeros(pa.array(["007"]))
    (False, True)
    """
    zeros = pc.match_substring_regex(stripped, rf"^[+-]?{literal(before)}0\d")
    return bool(pc.any(zeros).as_py())


def _same_cells(one: Notation, other: Notation) -> bool:
    """Whether the thousands of one are the decimals of the other."""
    return one.thousands == other.decimal or one.decimal == other.thousands


def may_be_thousands(texts: pa.Array, notation: Notation) -> bool:
    """Whether every cell (N,) has the one separator once, followed by three digits: it may stand
    for thousands or for decimals.

    >>> may_be_thousands(pa.array(["1.234", "12.500"]), PLAIN)
    True
    >>> may_be_thousands(pa.array(["1.234", "0.500"]), PLAIN)
    False
    """
    one = literal(notation.thousands or notation.decimal)
    doubtful = pc.match_substring_regex(texts, rf"^[^\d]*[1-9]\d{{0,2}}{one}\d{{3}}([^\d{one}]|$)")
    return bool(pc.all(doubtful).as_py())


def literal(text: str) -> str:
    """For a regular expression of RE2, which knows no escaped blank."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)

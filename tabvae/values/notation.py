"""How people write numbers: separators, currencies, units, per cent, signs.

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

MINUS = "\u2212"
"""The sign; a hyphen is the plain one."""
BLANKS = " \u00a0\u202f\u2009"
"""Between groups of digits, or before a unit; only the first breaks a line."""


_SEPARATORS = (("", "."), (",", "."), ("", ","), (".", ","))
_SEPARATORS += tuple(product(("'", "\u2019", *BLANKS), ".,"))


@dataclass(frozen=True)
class Notation:
    """How the numbers of a column are written around their digits.

    Attributes:
        before: a currency in front of each number, with its blank.
        after: a currency, unit or per cent behind it.
        thousands: between groups of three digits.
        decimal: between whole and fraction.
        minus: in front of a negative number; ``(`` for numbers in parentheses.

    Raises:
        ValueError: nobody writes numbers so.

    **Examples**

    >>> money = Notation(before="$", thousands=",")
    >>> money.plain(pa.array(["$5,914.50", "-$3", "n/k"])).to_pylist()
    ['5914.50', '-3', 'n/k']
    >>> money.write("-5914.50")
    '-$5,914.50'
    """

    longest_affix: ClassVar[int] = 12

    before: str = ""
    after: str = ""
    thousands: str = ""
    decimal: str = "."
    minus: str = "-"

    def __post_init__(self) -> None:
        affixes = self.before + self.after
        if (
            (self.thousands, self.decimal) not in _SEPARATORS
            or self.minus not in ("-", MINUS, "(")
            or max(len(self.before), len(self.after)) > self.longest_affix
            or re.search(r"[\d+\-\r\n\t()]", affixes)
        ):
            raise ValueError("no notation of numbers")

    def plain(self, texts: pa.Array) -> pa.Array:
        """(N,) cells, white space around them removed; those that follow the notation as plain
        numbers, the others as they are."""
        stripped = pc.utf8_trim_whitespace(texts)
        if self == PLAIN:
            return stripped
        stripped = pc.cast(stripped, pa.string())
        follows = pc.match_substring_regex(stripped, self.pattern)
        digits = pc.replace_substring_regex(stripped, self.pattern, r"\2")
        negative = pc.match_substring_regex(stripped, rf"^(-|{MINUS}|\()")
        if self.thousands:
            digits = pc.replace_substring(digits, self.thousands, "")
        if self.decimal != ".":
            digits = pc.replace_substring(digits, self.decimal, ".")
        signs = pc.if_else(negative, "-", "")
        return pc.if_else(follows, pc.binary_join_element_wise(signs, digits, ""), stripped)

    @property
    def pattern(self) -> str:
        """Of a cell that follows the notation; its second group has the digits."""
        group = literal(self.thousands)
        whole = rf"(?:[1-9]\d{{0,2}}(?:{group}\d{{3}})+|\d+)" if group else r"\d+"
        digits = rf"{whole}(?:{literal(self.decimal)}\d+)?"
        sign = rf"([+\-{MINUS}(]?)" if self.minus == "(" else rf"([+\-{MINUS}]?)"
        close = r"\)?" if self.minus == "(" else ""
        return rf"^{sign}{literal(self.before)}({digits}){literal(self.after)}{close}$"

    def write(self, number: str) -> str:
        """A plain number in the column's notation."""
        sign = "-" if number.startswith("-") else ""
        whole, point, fraction = number.removeprefix("-").partition(".")
        if self.thousands and "e" not in number:
            whole = f"{int(whole or 0):,}".replace(",", self.thousands)
        text = self.before + whole + (self.decimal if point else "") + fraction + self.after
        if self.minus == "(":
            return f"({text})" if sign else text
        return (self.minus if sign else "") + text

    @property
    def words(self) -> str:
        """What is not plain about it, for people."""
        affix = self.before.strip() or self.after.strip()
        parts = [
            f"with {affix!r}" if affix else "",
            f"thousands by {self.thousands!r}" if self.thousands else "",
            f"decimals by {self.decimal!r}" if self.decimal != "." else "",
            {"(": "negative ones in parentheses", MINUS: f"minus as {MINUS!r}"}.get(self.minus, ""),
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
        units: that stand right behind a number; with a blank between, any word may.
        longest_unit: characters of such a word.

    Examples:
        >>> NotationConfig().is_unit(" cm"), NotationConfig().is_unit("th")
        (True, False)
    """

    cells_to_try: int = 2000
    currencies: str = (
        "USD EUR GBP JPY CHF CNY INR AUD CAD NZD SEK NOK DKK PLN CZK HUF RUB TRY BRL MXN ZAR KRW "
        "SGD HKD THB ILS AED SAR Fr kr Kč zł"
    )
    units: str = (
        "% ‰ ° °C °F mm cm m km kg g mg µg t lb lbs oz l ml cl h min s ms d kB MB GB TB W kW kWh V "
        "Hz kHz MHz GHz px mph mmHg ha"
    )
    longest_unit: int = 8

    def is_currency(self, text: str) -> bool:
        """``$``, ``US$`` or ``CHF``."""
        symbol = len(text) <= 3 and text != "" and unicodedata.category(text[-1]) == "Sc"
        return text in self.currencies.split() or symbol

    def is_unit(self, text: str) -> bool:
        """``cm`` or ``%``, with a blank before it or not; any short word after a blank."""
        word = text.strip(BLANKS)
        named = word in self.units.split() or self.is_currency(word)
        spoken = text != word and len(word) <= self.longest_unit and bool(_WORD.fullmatch(word))
        return named or spoken


_WORD = re.compile(r"[^\W\d_][^\d\s,;.]*")
_NUMBER = re.compile(
    rf"([+\-{MINUS}(]?)([^\d.,+\-{MINUS}()]*?)"
    rf"([0-9](?:[0-9.,'\u2019{BLANKS}]*[0-9])?)([^\d.,()]*)(\)?)"
)


def find_notation(
    texts: pa.Array,
    share: float,
    config: NotationConfig = NotationConfig(),
    separators: Separators = FOUND,
) -> tuple[Notation, Notation | None] | None:
    """The notation that at least ``share`` of the cells follow, and another that all follow, too.

    Args:
        texts: (N,) cells that are not missing.
        share: of the cells, that decides.
        config: which words may stand beside a number.
        separators: those that are given; they need not occur.

    Returns:
        ``None`` where there is no such notation, or where numbers are plain.

    >>> find_notation(pa.array(["0,33", "1,5", "12,25"]), share=0.95)[0].decimal
    ','
    >>> likely, rival = find_notation(pa.array(["1,234", "2,500"]), share=0.95)
    >>> likely.thousands, rival.decimal
    (',', ',')
    >>> find_notation(pa.array(["1,234", "2,500"]), 0.95, separators=Separators(decimal=","))
    (Notation(before='', after='', thousands='', decimal=',', minus='-'), None)
    >>> find_notation(pa.array(["SO-1", "SO-2"]), share=0.95) is None
    True
    """
    stripped = pc.utf8_trim_whitespace(texts)
    around = _around(pc.unique(stripped).slice(0, config.cells_to_try).to_pylist(), config)
    if around is None:
        return None
    tried = [
        replace(around, thousands=thousands, decimal=decimal)
        for thousands, decimal in _SEPARATORS
        if _occurs(thousands, stripped)
        and (decimal == "." or separators.given or _occurs(decimal, stripped))
    ]
    tried = [notation for notation in tried if separators.allow(notation)]
    counts = [_count(stripped, notation) for notation in tried]
    most = max(counts, default=0)
    if most == 0 or most < share * len(texts) or has_leading_zeros(stripped, around.before):
        return None
    likely, *rivals = [n for n, count in zip(tried, counts, strict=True) if count == most]
    if likely == PLAIN:
        return None
    ambiguous = [n for n in rivals if _same_cells(likely, n) and may_be_thousands(texts, likely)]
    return likely, ambiguous[0] if ambiguous else None


def _around(cells: list[str], config: NotationConfig) -> Notation | None:
    """What stands around most of the numbers; ``None`` if it is no currency and no unit."""
    parts = [match.groups() for cell in cells if (match := _NUMBER.fullmatch(cell))]
    if not parts:
        return None
    ((before, after), _), *_ = Counter((p[1], p[3]) for p in parts).most_common(1)
    if before and after:
        return None
    if (before and not config.is_currency(before.strip(BLANKS))) or (
        after and not config.is_unit(after)
    ):
        return None
    if max(len(before), len(after)) > Notation.longest_affix:
        return None
    signs = Counter(sign for sign, *_ in parts if sign not in ("", "+"))
    return Notation(before, after, minus=max(signs, key=signs.__getitem__, default="-"))


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

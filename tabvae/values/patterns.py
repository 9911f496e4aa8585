"""The pattern of a table's identifiers, of which others are made that are nobody's.

Running numbers count on. Of all others the commonest form is kept: lengths, separators, where
letters stand and where digits, and what many identifiers share, such as a prefix. The rest is made
up, so that no identifier of the table and no word of one can come of it, whatever counts.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, groupby, product, takewhile
from math import prod
from string import ascii_lowercase, digits

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.values.identifiers import (
    IdentifierPattern,
    alphabet_of,
    fresh_identifiers,
    more_digits,
)

SIGN = re.compile(r"[^\x00-/:-@\[-`{-\x7f]")
"""A letter or digit of any alphabet; all else is form."""


@dataclass(frozen=True)
class PatternConfig:
    """How a pattern is searched for.

    Attributes:
        fewest_sharing: identifiers that must share a word for it to be kept: what ten have is
            nobody's own.
        share_sharing: share of the identifiers of one form that must have it as well: a rarer word
            is no part of the form.
        word_length: letters in a row that may tell of whom they are; two are a country or initials.
        running_digits: longest running number: larger ones leave no room to count in 64 bits.
        room: fresh numbers that are plenty for a column whose type ends; no search for more.
        roomier: times the room that numbers of fewer digits must give to be worth another form.
        free_lengths: lengths that no identifier of the table has, one for each tenfold of fresh
            ones: more than are ever drawn.

    **Examples**

    >>> texts = [f"{animal}-{n * n:03d}" for n in range(9) for animal in ("emu", "gnu")]
    >>> identifier_pattern(texts, PatternConfig(fewest_sharing=9)).first
    'emu-100'
    >>> identifier_pattern(texts).first
    'aaa-000'
    """

    fewest_sharing: int = 10
    share_sharing: float = 0.5
    word_length: int = 3
    running_digits: int = 15
    room: int = 10**6
    roomier: int = 10
    free_lengths: int = 10


def identifier_pattern(
    texts: Sequence[str],
    config: PatternConfig = PatternConfig(),
    largest: int | None = None,
) -> IdentifierPattern:
    """The pattern of identifiers like ``texts`` that are none of them.

    Args:
        texts: all identifiers of a table, no two equal.
        config: how it is searched for.
        largest: number that the column holds, if it holds numbers alone.

    >>> identifier_pattern([f"c-{i:04d}" for i in range(100)]).first
    'c-0100'
    """
    search = _Search(texts, config)
    pattern = search.running() or search.made_up()
    return pattern if largest is None else search.roomiest(pattern, largest)


@dataclass(frozen=True)
class _Search:
    """The search for a pattern that makes none of ``texts``."""

    texts: Sequence[str]
    config: PatternConfig

    def running(self) -> IdentifierPattern | None:
        """Counting on after the largest number, if at least half of those up to it are there."""
        head = _common_start(self.texts).rstrip(digits)
        tail = _common_end(self.texts).lstrip(digits)
        middles = [text[len(head) : len(text) - len(tail)] for text in self.texts]
        longest = self.config.running_digits
        if not all(m.isascii() and m.isdigit() and len(m) <= longest for m in middles):
            return None
        numbers = np.unique([int(m) for m in middles])
        if len(numbers) < len(self.texts) or len(numbers) < 2:
            return None
        step = int(np.gcd.reduce(np.diff(numbers)))
        if (numbers[-1] - numbers[0]) // step >= 2 * len(numbers):
            return None
        width = len(max(middles, key=int))
        number = f"{numbers[-1] + step:0{width}d}"
        places = tuple(range(len(head), len(head) + len(number)))
        return IdentifierPattern(head + number + tail, places, step)

    def made_up(self) -> IdentifierPattern:
        """Counting in the commonest form where no identifier of the table is, nor a word of one."""
        head, tail, cores = _cores(self._with_one_domain())
        form, group = _commonest_form(cores)
        starts = self._starts_of_words()
        needed = max(self.config.fewest_sharing, self.config.share_sharing * len(group))
        first, places = list(form), list[int]()
        signs = [set(column) for column in zip(*group, strict=True)]
        for kind, run in groupby(range(len(form)), key=lambda p: _kind(signs[p]).lower()):
            run_places = list(run)
            start, end = run_places[0], run_places[-1] + 1
            ((shared, sharing),) = Counter(core[start:end] for core in group).most_common(1)
            if kind and sharing >= needed:
                first[start:end] = shared
            elif kind:
                first[start:end], counting = _new_run(signs[start:end], starts)
                places += [start + place for place in counting]
        places = _last(first, places)
        pattern = self._where_free("".join(first), places, group, set(map(len, cores)))
        return _within(pattern, head, tail)

    def roomiest(self, pattern: IdentifierPattern, largest: int) -> IdentifierPattern:
        """``pattern``, or one of fewer digits if that makes many more numbers up to ``largest``."""
        room = self._room(pattern, largest)
        if room == self.config.room:
            return pattern
        shorter = (self._of_digits(size) for size in range(len(str(largest)) - 1, 0, -1))
        best = max(shorter, key=lambda candidate: self._room(candidate, largest), default=pattern)
        return best if self._room(best, largest) >= self.config.roomier * room else pattern

    def _room(self, pattern: IdentifierPattern, largest: int) -> int:
        """How many of the first identifiers, as far as is asked, are numbers up to ``largest``."""

        def beyond(row: int) -> bool:
            text = fresh_identifiers(pattern, 1, row)[0].as_py()
            return not re.fullmatch(r"-?\d+", text) or abs(int(text)) > largest

        return bisect_left(range(self.config.room), True, key=beyond)

    def _of_digits(self, size: int) -> IdentifierPattern:
        """Counting in numbers of ``size`` digits, as far as none of the texts is one."""
        first = "1".ljust(size, "0")
        group = [text for text in self.texts if len(text) == size and text.isdecimal()]
        return self._where_free(first, _last(first, range(size)), group, set(map(len, self.texts)))

    def _with_one_domain(self) -> Sequence[str]:
        """E-mail addresses with the domain most of them have, or one that RFC 2606 reserves."""
        domains = Counter(domain for text in self.texts if (domain := _domain(text)))
        needed = self.config.share_sharing * len(self.texts)
        if domains.total() < needed:
            return self.texts
        ((domain, sharing),) = domains.most_common(1)
        if sharing < max(self.config.fewest_sharing, needed):
            domain = "example.com"
        return [f"{text.rpartition('@')[0]}@{domain}" for text in self.texts if _domain(text)]

    def _starts_of_words(self) -> dict[int, str]:
        """By length, what no word of the texts begins with; empty where all are taken."""
        letters = re.compile(rf"[^\x00-@\[-`{{-\x7f\d]{{{self.config.word_length},}}")
        words = {word for text in self.texts for word in letters.findall(text)}
        return {
            size: unused({word.lower() for word in alike}, [ascii_lowercase] * size) or ""
            for size, alike in groupby(sorted(words, key=len), key=len)
        }

    def _where_free(
        self, first: str, places: Sequence[int], group: Sequence[str], lengths: set[int]
    ) -> IdentifierPattern:
        """``first`` with as few of ``places`` fixed as keep the others from meeting ``group``."""
        sizes = (range(n, n + self.config.free_lengths) for n in count(len(first) + 1))
        longer = next(k for k, free in enumerate(sizes, start=1) if lengths.isdisjoint(free))
        pattern = IdentifierPattern(
            first, tuple(places), longer=min(longer, IdentifierPattern.most_longer)
        )
        fixed = sorted(set(range(len(first))) - set(places))
        same = [core for core in group if all(core[p] == first[p] for p in fixed)]
        alphabets = pattern.alphabets
        if places and first[places[0]] == "1":
            alphabets[0] = digits[1:]
        begin = unused({"".join(core[p] for p in places) for core in same}, alphabets)
        if begin is None or len(begin) == len(places):
            return _lengthened(pattern)
        text = list(first)
        for place, character in zip(places, begin, strict=False):
            text[place] = character
        return replace(pattern, first="".join(text), places=tuple(places[len(begin) :]))


def _common_start(texts: Sequence[str]) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(min(texts), max(texts), strict=False))
    return "".join(one for one, _ in pairs)


def _common_end(texts: Sequence[str]) -> str:
    return _common_start([text[::-1] for text in texts])[::-1]


def _domain(text: str) -> str:
    local, _, domain = text.rpartition("@")
    return domain if local and "." in domain else ""


def _cores(texts: Sequence[str]) -> tuple[str, str, list[str]]:
    """What all begin with, what all end with, and what lies between; no word is cut in two."""
    head, tail = _common_start(texts), _common_end(texts)
    tail = tail[max(0, len(head) + len(tail) - min(map(len, texts))) :]
    if any(map(_is_letter, {text[len(head) : len(head) + 1] for text in texts})):
        head = head[: len(head) - _letters_first(head[::-1])]
    if any(map(_is_letter, {text[: len(text) - len(tail)][-1:] for text in texts})):
        tail = tail[_letters_first(tail) :]
    return head, tail, [text[len(head) : len(text) - len(tail)] for text in texts]


def _is_letter(character: str) -> bool:
    return bool(SIGN.fullmatch(character)) and not character.isdecimal()


def _letters_first(text: str) -> int:
    """How many letters ``text`` begins with."""
    return next((place for place, c in enumerate(text) if not _is_letter(c)), len(text))


def _commonest_form(cores: Sequence[str]) -> tuple[str, list[str]]:
    """The form, with ``x`` for letters and digits, and the texts that have it."""
    forms = pc.replace_substring_regex(pa.array(cores), SIGN.pattern, "x").to_pylist()
    counts = Counter(forms)
    form = max(counts, key=lambda f: (counts[f], f != "", -len(f), f))
    return form, [core for core, its_form in zip(cores, forms, strict=True) if its_form == form]


def _kind(signs: Collection[str]) -> str:
    """Of one place: ``0`` digits, ``a`` letters, ``A`` capitals, ``x`` either; empty for form."""
    if not any(map(SIGN.fullmatch, signs)):
        return ""
    numbers = [sign.isdecimal() for sign in signs]
    if any(numbers):
        return "0" if all(numbers) else "x"
    return "A" if all(sign.isupper() for sign in signs) else "a"


def _new_run(
    signs: Sequence[Collection[str]], starts: Mapping[int, str]
) -> tuple[str, Sequence[int]]:
    """A text for places of one kind with these signs, and those of its places that count."""
    kinds, size = [_kind(at) for at in signs], len(signs)
    if kinds[0] == "0":
        return ("0" if "0" in signs[0] else "1") + "0" * (size - 1), range(size)
    if kinds[0] == "x":
        # A digit beside every letter: no word comes of it, and hexadecimal stays so.
        letters = ["a" if any(s.islower() for s in at) else "A" for at in signs]
        either = [letters[i] if i % 2 and i < size - 1 else "0" for i in range(size)]
        return "".join(either), [i for i in range(size) if either[i] == "0"]
    begin = starts.get(size, "")
    text = begin.ljust(size, "a")
    cased = (c.upper() if kind == "A" else c for c, kind in zip(text, kinds, strict=True))
    return "".join(cased), range(len(begin), size)


def _last(first: Sequence[str], places: Sequence[int]) -> list[int]:
    """The last of ``places``, as many as can count."""
    last = places[-IdentifierPattern.most_places :]
    sizes = [len(alphabet_of(first[place])) for place in last]
    counted = range(len(sizes) + 1)
    skipped = next(k for k in counted if prod(sizes[k:]) <= IdentifierPattern.most_counted)
    return list(last[skipped:])


def unused(texts: Collection[str], alphabets: Sequence[str]) -> str | None:
    """The shortest beginning that none of ``texts`` has; ``None`` if all are taken.

    >>> unused({"12", "21", "3"}, ["123", "123"])
    '11'
    """
    for size in range(len(alphabets) + 1):
        taken = {text[:size] for text in texts}
        for letters in product(*alphabets[:size]):
            if (begin := "".join(letters)) not in taken:
                return begin
    return None


def _lengthened(pattern: IdentifierPattern) -> IdentifierPattern:
    """A pattern whose identifiers are longer than those of the table from the first on."""
    seam, longer = pattern.seam, pattern.longer
    first = pattern.first[:seam] + more_digits(1, longer) + pattern.first[seam:]
    behind = tuple(p if p < seam else p + longer for p in pattern.places)
    return IdentifierPattern(first, tuple(sorted((*behind, seam + longer - 1))))


def _within(pattern: IdentifierPattern, head: str, tail: str) -> IdentifierPattern:
    """A pattern of what stands between ``head`` and ``tail``."""
    places = tuple(place + len(head) for place in pattern.places)
    return replace(pattern, first=head + pattern.first + tail, places=places)

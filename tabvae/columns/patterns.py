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
from dataclasses import replace
from itertools import count, groupby, product, takewhile
from math import prod
from string import ascii_lowercase, digits

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.identifiers import (
    MOST_COUNTED,
    MOST_LONGER,
    MOST_PLACES,
    IdentifierPattern,
    alphabet_of,
    fresh_identifiers,
    more_digits,
)

FEWEST_SHARING, SHARE_SHARING = 10, 0.5
"""Identifiers of one form that share a word before it is kept."""
WORD = 3
"""Letters in a row that may tell of whom they are."""
MOST_DIGITS = 15
ROOM = 10**6
"""Identifiers for which numbers get fewer digits, where their type ends."""
WORTH_ANOTHER_FORM = 10
"""Times the room that fewer digits must give."""
LENGTHS_FREE = 10
RESERVED_DOMAIN = "example.com"
"""Of nobody, by RFC 2606."""
SIGN = re.compile(r"[^\x00-/:-@\[-`{-\x7f]")
"""A letter or digit of any alphabet; all else is form."""
WHOLE_NUMBER = re.compile(r"-?\d+")
LETTERS = re.compile(rf"[^\x00-@\[-`{{-\x7f\d]{{{WORD},}}")


def identifier_pattern(
    texts: Sequence[str], fewest_sharing: int = FEWEST_SHARING, largest: int | None = None
) -> IdentifierPattern:
    """The pattern of identifiers like ``texts`` that are none of them.

    Args:
        texts: all identifiers of a table, no two equal.
        fewest_sharing: identifiers that must share a word for it to be kept.
        largest: number that the column holds, if it holds numbers alone.

    >>> identifier_pattern([f"c-{i:04d}" for i in range(100)]).first
    'c-0100'
    """
    pattern = _running(texts)
    if pattern is None:
        alike, starts = _with_one_domain(texts, fewest_sharing), _starts_of_words(texts)
        pattern = _made_up(alike, starts, fewest_sharing)
    room = ROOM if largest is None else _room(pattern, largest)
    if largest is None or room == ROOM:
        return pattern
    shorter = (_of_digits(texts, size) for size in range(len(str(largest)) - 1, 0, -1))
    roomiest = max(shorter, key=lambda other: _room(other, largest), default=pattern)
    return roomiest if _room(roomiest, largest) >= WORTH_ANOTHER_FORM * room else pattern


def _room(pattern: IdentifierPattern, largest: int) -> int:
    """How many of the first ``ROOM`` identifiers are numbers up to ``largest``."""

    def beyond(row: int) -> bool:
        text = fresh_identifiers(pattern, 1, row)[0].as_py()
        return not WHOLE_NUMBER.fullmatch(text) or abs(int(text)) > largest

    return bisect_left(range(ROOM), True, key=beyond)


def _of_digits(texts: Sequence[str], size: int) -> IdentifierPattern:
    """Counting in numbers of ``size`` digits, as far as none of ``texts`` is one."""
    first = "1".ljust(size, "0")
    group = [text for text in texts if len(text) == size and text.isdecimal()]
    return _where_free(first, _last(first, range(size)), group, set(map(len, texts)))


def _running(texts: Sequence[str]) -> IdentifierPattern | None:
    """Counting on after the largest number, if at least half of those up to it are there."""
    head = _common_start(texts).rstrip(digits)
    tail = _common_end(texts).lstrip(digits)
    middles = [text[len(head) : len(text) - len(tail)] for text in texts]
    if not all(m.isascii() and m.isdigit() and len(m) <= MOST_DIGITS for m in middles):
        return None
    numbers = np.unique([int(m) for m in middles])
    if len(numbers) < len(texts) or len(numbers) < 2:
        return None
    step = int(np.gcd.reduce(np.diff(numbers)))
    if (numbers[-1] - numbers[0]) // step >= 2 * len(numbers):
        return None
    width = len(max(middles, key=int))
    number = f"{numbers[-1] + step:0{width}d}"
    places = tuple(range(len(head), len(head) + len(number)))
    return IdentifierPattern(head + number + tail, places, step)


def _common_start(texts: Sequence[str]) -> str:
    pairs = takewhile(lambda pair: pair[0] == pair[1], zip(min(texts), max(texts), strict=False))
    return "".join(one for one, _ in pairs)


def _common_end(texts: Sequence[str]) -> str:
    return _common_start([text[::-1] for text in texts])[::-1]


def _with_one_domain(texts: Sequence[str], fewest_sharing: int) -> Sequence[str]:
    """E-mail addresses with the domain most of them have, or the reserved one."""
    domains = Counter(domain for text in texts if (domain := _domain(text)))
    if domains.total() < SHARE_SHARING * len(texts):
        return texts
    ((domain, sharing),) = domains.most_common(1)
    if sharing < max(fewest_sharing, SHARE_SHARING * len(texts)):
        domain = RESERVED_DOMAIN
    return [f"{text.rpartition('@')[0]}@{domain}" for text in texts if _domain(text)]


def _domain(text: str) -> str:
    local, _, domain = text.rpartition("@")
    return domain if local and "." in domain else ""


def _starts_of_words(texts: Sequence[str]) -> dict[int, str]:
    """By length, what no word of ``texts`` begins with; empty where every beginning is taken."""
    words = sorted({word for text in texts for word in LETTERS.findall(text)}, key=len)
    return {
        size: unused({word.lower() for word in known}, [ascii_lowercase] * size) or ""
        for size, known in groupby(words, key=len)
    }


def _made_up(
    texts: Sequence[str], starts: Mapping[int, str], fewest_sharing: int
) -> IdentifierPattern:
    """Counting in the commonest form where no identifier of the table is, and no word of one."""
    head, tail, cores = _cores(texts)
    form, group = _commonest_form(cores)
    needed = max(fewest_sharing, SHARE_SHARING * len(group))
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
    pattern = _where_free("".join(first), places, group, {len(core) for core in cores})
    return _within(pattern, head, tail)


def _last(first: Sequence[str], places: Sequence[int]) -> list[int]:
    """The last of ``places``, as many as can count."""
    sizes = [len(alphabet_of(first[place])) for place in places[-MOST_PLACES:]]
    most = next(k for k in range(len(sizes) + 1) if prod(sizes[k:]) <= MOST_COUNTED)
    return list(places[-MOST_PLACES:][most:])


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
    return form, [core for core, own in zip(cores, forms, strict=True) if own == form]


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


def _where_free(
    first: str, places: Sequence[int], group: Sequence[str], lengths: set[int]
) -> IdentifierPattern:
    """``first`` with as few of ``places`` fixed as keep the others from meeting the ``group``."""
    longer = next(k for k in count(1) if lengths.isdisjoint(_lengths(len(first) + k)))
    pattern = IdentifierPattern(first, tuple(places), longer=min(longer, MOST_LONGER))
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


def _lengths(first: int) -> range:
    """Of the identifiers that are longer by digits put in, for all that one can ever draw."""
    return range(first, first + LENGTHS_FREE)


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

"""Fresh identifiers for generated rows: unique, of the form of the table's, and nobody's.

A pattern, found once on the whole table (see ``patterns``), is all that is kept of them. It needs
no list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from string import ascii_lowercase, ascii_uppercase, digits
from typing import ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


@dataclass(frozen=True)
class IdentifierPattern:
    """Identifiers that count on from ``first``.

    Attributes:
        first: the first of them.
        places: where its letters and digits count, the last place fastest and each within its
            kind: ``9`` is followed by ``0``, ``z`` by ``a``.
        step: from one identifier to the next.
        longer: digits that are put in once the places are used up: so many that no identifier of
            the table is as long.
        most_places, most_counted: bounds of the places, and of the identifiers that they tell
            apart: numbers of these fit 64 bits.
        most_longer: bound of ``longer``; model files of strangers are held to all three.

    Raises:
        ValueError: it cannot count.

    **Examples**

    >>> pattern = IdentifierPattern("ab-98", (3, 4))
    >>> pattern.alphabets, pattern.size, pattern.seam
    (['0123456789', '0123456789'], 100, 3)
    >>> IdentifierPattern("é", (0,))
    Traceback (most recent call last):
    ValueError: 'é' cannot count
    """

    most_places: ClassVar[int] = 18
    most_counted: ClassVar[int] = 10**18
    most_longer: ClassVar[int] = 1000

    first: str
    places: tuple[int, ...]
    step: int = 1
    longer: int = 1

    def __post_init__(self) -> None:
        ordered = all(a < b for a, b in zip(self.places, self.places[1:], strict=False))
        if not ordered or not all(0 <= p < len(self.first) for p in self.places):
            raise ValueError("an identifier counts where it has no places")
        if len(self.places) > self.most_places or self.size > self.most_counted:
            raise ValueError("an identifier has too many places that count")
        if self.step < 1 or not 1 <= self.longer <= self.most_longer:
            raise ValueError("an identifier does not count on")

    @property
    def alphabets(self) -> list[str]:
        """The characters each place counts through."""
        return [alphabet_of(self.first[place]) for place in self.places]

    @property
    def size(self) -> int:
        """Identifiers that the places tell apart."""
        return prod(map(len, self.alphabets))

    @property
    def seam(self) -> int:
        """Where more digits are put in: before those that count, else behind what counts."""
        numbers = [p for p in self.places if self.first[p].isdecimal()]
        return numbers[0] if numbers else max(self.places, default=len(self.first) - 1) + 1


def alphabet_of(character: str) -> str:
    """The digits, small letters or capitals that ``character`` is one of.

    Raises:
        ValueError: it is none of them.
    """
    for alphabet in (digits, ascii_lowercase, ascii_uppercase):
        if character in alphabet:
            return alphabet
    raise ValueError(f"{character!r} cannot count")


def fresh_identifiers(pattern: IdentifierPattern, rows: int, skipped: int = 0) -> pa.Array:
    """(rows,) texts of identifiers from the first on, but for those ``skipped``.

    >>> fresh_identifiers(IdentifierPattern("c-98", (2, 3)), 3).to_pylist()
    ['c-98', 'c-99', 'c-100']
    """
    size, start = pattern.size, 0
    for place, alphabet in zip(pattern.places, pattern.alphabets, strict=True):
        start = start * len(alphabet) + alphabet.index(pattern.first[place])
    numbers = [start + pattern.step * row for row in range(skipped, skipped + rows)]
    rest = np.array([number % size for number in numbers], dtype=np.int64)
    more = [more_digits(number // size, pattern.longer) for number in numbers]
    pieces = {pattern.seam: [pa.array(more, pa.string())]}
    for place, alphabet in reversed(list(zip(pattern.places, pattern.alphabets, strict=True))):
        rest, digit = np.divmod(rest, len(alphabet))
        pieces.setdefault(place, []).append(pa.array(list(alphabet)).take(pa.array(digit)))
    return pc.binary_join_element_wise(*_between(pattern, pieces), "")


def more_digits(turns: int, longer: int) -> str:
    """What is put in after the places have been used up ``turns`` times."""
    return str(10 ** (longer - 1) + turns - 1) if turns else ""


def _between(
    pattern: IdentifierPattern, pieces: dict[int, list[pa.Array]]
) -> Iterable[str | pa.Array]:
    """The pieces in their order with what stands between them."""
    end = 0
    for place in sorted(pieces):
        yield pattern.first[end:place]
        yield from pieces[place]
        end = place + 1 if place in pattern.places else place
    yield pattern.first[end:]

"""Fresh identifiers for generated rows: unique, and never one of the training table."""

from __future__ import annotations

import re
from collections.abc import Iterable

TRAILING_NUMBER = re.compile(r"^(.*?)(\d+)$", re.DOTALL)


def first_fresh(texts: Iterable[str]) -> str:
    """An identifier from which counting on meets none of ``texts``: after the last of the longest.

    One without a number at its end gives no hint how to go on; then it is ``new-1``, padded to be
    longer than any of them.

    >>> first_fresh(["c9", "c10", "c2"])
    'c11'
    """
    last = max(texts, key=lambda text: (len(text), text))
    if TRAILING_NUMBER.match(last):
        return fresh_identifiers(last, 2)[1]
    return f"new-{1:0{max(len(last) - len('new-') + 1, 1)}d}"


def fresh_identifiers(first: str, count: int, step: int = 1) -> list[str]:
    """``count`` identifiers from ``first`` on, which ends in a number.

    >>> fresh_identifiers("c-0099", 2)
    ['c-0099', 'c-0100']
    """
    match = TRAILING_NUMBER.match(first)
    if match is None:
        raise ValueError(f"{first!r} ends in no number")
    prefix, digits = match.groups()
    return [f"{prefix}{int(digits) + step * i:0{len(digits)}d}" for i in range(count)]

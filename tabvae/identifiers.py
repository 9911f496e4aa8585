"""Fresh identifiers for generated rows: unique, and never one of the training table."""

from __future__ import annotations

import re
from collections.abc import Iterable

TRAILING_NUMBER = re.compile(r"^(.*?)(\d+)$", re.DOTALL)


def last_identifier(texts: Iterable[str]) -> str:
    """The identifier after which counting on meets no other: the last of the longest.

    >>> last_identifier(["c9", "c10", "c2"])
    'c10'
    """
    return max(texts, key=lambda text: (len(text), text))


def fresh_identifiers(last: str, count: int, step: int = 1) -> list[str]:
    """``count`` identifiers that continue after ``last``.

    An identifier without a number at its end gives no hint how to go on; then the new ones are
    ``new-1`` and so on, padded to be longer than any old one.

    >>> fresh_identifiers("c-0099", 2)
    ['c-0100', 'c-0101']
    """
    match = TRAILING_NUMBER.match(last)
    if match is None:
        width = max(len(last) - len("new-") + 1, len(str(count)))
        return [f"new-{i:0{width}d}" for i in range(1, count + 1)]
    prefix, digits = match.groups()
    return [f"{prefix}{int(digits) + step * i:0{len(digits)}d}" for i in range(1, count + 1)]

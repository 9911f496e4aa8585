"""Whether what a document shows is what happened, machines being as they are."""

from __future__ import annotations

from collections.abc import Callable

RELATIVE, UNITS = 0.25, 2
"""By how much a number may differ: a share of its size, and units of its last digit."""


def near(shown: str, found: str) -> bool:
    """Whether two numbers are as near as those of two machines."""
    decimals = len(shown.partition(".")[2])
    unit = 10.0 ** -(max(decimals, 6) if "e" in shown else decimals)
    difference = abs(float(shown) - float(found))
    return difference <= RELATIVE * max(abs(float(shown)), abs(float(found))) + UNITS * unit


def same_lines(shown: list[str], found: list[str], same_line: Callable[[str, str], bool]) -> bool:
    """Whether the lines shown are those found, line by line; ``...`` alone stands for any lines."""
    if not shown:
        return not found
    first, *rest = shown
    if first == "...":
        return any(
            same_lines(rest, found[skipped:], same_line) for skipped in range(len(found) + 1)
        )
    return bool(found) and same_line(first, found[0]) and same_lines(rest, found[1:], same_line)

"""Orders of numbers, or of dates: one is at most another, parts are at most a whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import permutations

import numpy as np

from tabvae.rules.arithmetic import Formula, Order
from tabvae.rules.cells import Cells
from tabvae.rules.config import RuleConfig
from tabvae.rules.expression import quoted
from tabvae.values.arrow import Floats, Mask


def find_orders(
    cells: Cells,
    days: frozenset[str],
    formulas: Iterable[Formula],
    rng: np.random.Generator,
    config: RuleConfig,
) -> list[Order]:
    """Orders that hold; a whole is looked for above columns that are never negative.

    >>> rng = np.random.default_rng(0)
    >>> low = rng.integers(0, 99, 200) * 1.0
    >>> cells = Cells({"low": low, "high": low + rng.integers(0, 30, 200)}, {})
    >>> [str(rule) for rule in find_orders(cells, frozenset(), [], rng, RuleConfig())]
    ['low <= high']
    """
    names = list(cells.numbers)[: 2 * config.most_pairs]
    found = []
    for low, high in permutations(names, 2):
        alike = (low in days) is (high in days)
        if alike and _is_order(cells.numbers[low], cells.numbers[high], rng, config):
            found.append((low, high))
    sums = _sums(cells, found, formulas, rng, config)
    parts = {(low, high) for lower, high in sums for low in lower}
    plain = [Order(quoted(a), quoted(b)) for a, b in found if not _implied(a, b, found)]
    within = {(quoted(low), quoted(high)) for low, high in parts}
    return [rule for rule in plain if (rule.low, rule.high) not in within] + [
        Order(" + ".join(map(quoted, lower)), quoted(high)) for lower, high in sums
    ]


def _is_order(low: Floats, high: Floats, rng: np.random.Generator, config: RuleConfig) -> bool:
    """(N,) values that are at most others, which as many shuffled ones are not."""
    both = np.isfinite(low) & np.isfinite(high)
    x, y = low[both], high[both]
    kept: Mask = x <= y + 1e-12 * np.abs(y)
    if not len(x) or kept.mean() < config.least_ordered or (x == y).all():
        return False
    breaks = float((x > rng.permutation(y)).mean())
    count = max(int(config.nearest * len(x)), config.fewest_nearest)
    nearest = np.argsort(np.abs(y - x), kind="stable")[:count]
    sharp = kept[nearest].mean() >= config.least_kept
    enough = breaks * len(x) >= config.least_breaks and breaks >= 1 - config.least_kept
    return bool(sharp and enough)


def _implied(low: str, high: str, found: Sequence[tuple[str, str]]) -> bool:
    """Two others lead from the lower to the higher one."""
    above = {upper for lower, upper in found if lower == low}
    below = {lower for lower, upper in found if upper == high}
    return bool((above & below) - {low, high})


def _sums(
    cells: Cells,
    orders: Sequence[tuple[str, str]],
    formulas: Iterable[Formula],
    rng: np.random.Generator,
    config: RuleConfig,
) -> list[tuple[list[str], str]]:
    """Parts that together are at most a whole; where they always are the whole, an equation says
    so."""
    equal = [set(rule.columns) for rule in formulas]
    found = []
    for high in dict.fromkeys(upper for _, upper in orders):
        whole = cells.numbers[high]
        chosen = [low for low, upper in orders if upper == high and _is_part(cells.numbers[low])]
        chosen = chosen[:1]
        for name, part in cells.numbers.items():
            if not chosen or name in chosen or name == high or not _is_part(part):
                continue
            known = any({*chosen, name, high} <= columns for columns in equal)
            together = np.sum([cells.numbers[low] for low in (*chosen, name)], axis=0)
            other = together - part + rng.permutation(part)
            # Any small number can be added to most; this one is small where there is little room.
            tells = _breaks(other, whole) - _breaks(together, whole) >= config.least_breaks
            if tells and not known and _is_order(together, whole, rng, config):
                chosen.append(name)
        if len(chosen) > 1:
            found.append((chosen, high))
    return found


def _breaks(low: Floats, high: Floats) -> int:
    """(N,) in how many rows one is above the other."""
    return int((low > high + 1e-12 * np.abs(high)).sum())


def _is_part(values: Floats) -> bool:
    """(N,) values of which none is negative, and not all are zero."""
    known = values[np.isfinite(values)]
    return bool((known >= 0).all() and (known > 0).any())

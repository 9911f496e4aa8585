"""Conditions on gaps: a column that has a cell only where another has one of some values."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tabvae.rules.cells import Cells
from tabvae.rules.config import RuleConfig
from tabvae.rules.decisions import Presence
from tabvae.values.arrow import Mask


def find_presence(cells: Cells, min_count: int, config: RuleConfig) -> list[Presence]:
    """Of each column with gaps, the condition that explains most of them.

    >>> refused = np.array(["yes", "no"] * 60, object)
    >>> reason = np.array(["late", None] * 60, object)
    >>> cells = Cells({}, {"refused": refused, "reason": reason})
    >>> [str(rule) for rule in find_presence(cells, 1, RuleConfig())]
    ['reason only if refused = yes']
    """
    found = []
    for column in dict.fromkeys([*cells.numbers, *cells.texts]):
        present = cells.present(column)
        if present.all() or not present.any():
            continue
        rules = [
            (gaps, rule)
            for condition in cells.texts
            if condition != column
            for gaps, rule in [_condition(cells, column, condition, present, min_count, config)]
            if rule is not None
        ]
        if rules:
            found.append(max(rules, key=lambda pair: pair[0])[1])
    return found


def _condition(
    cells: Cells, column: str, condition: str, present: Mask, min_count: int, config: RuleConfig
) -> tuple[int, Presence | None]:
    """How many gaps the condition explains, and the rule if it is one."""
    codes, values = pd.factorize(cells.texts[condition])
    if len(values) > config.most_ranges:
        return 0, None
    known = codes >= 0
    rows = np.bincount(codes[known], minlength=len(values))
    share = np.bincount(codes[known], present[known], len(values)) / rows
    few = rows < max(config.fewest_cells, min_count)
    empty, full = share <= 1 - config.least_decided, share >= config.least_present
    sure = ~few & empty
    unsure = ~(empty | full) | (few & (empty | (min_count > 1)))
    if unsure.any() or not sure.any() or not (~few & full).any():
        return 0, None
    if float(present.mean()) * int(rows[sure].sum()) < config.least_breaks:
        return 0, None
    gaps = int((rows * (1 - share))[sure].sum())
    return gaps, Presence(column, condition, tuple(map(str, values[full])))

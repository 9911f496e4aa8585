"""Ranges: a category that says in which of some ranges a number lies."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np
import pandas as pd

from tabvae.rules.cells import Cells, there
from tabvae.rules.config import RuleConfig
from tabvae.rules.decisions import Ranges
from tabvae.rules.expression import plain_number
from tabvae.rules.rules import AnyRule
from tabvae.values.arrow import Floats, Mask


def find_ranges(
    cells: Cells, known: Iterable[AnyRule], min_count: int, config: RuleConfig
) -> list[Ranges]:
    """Ranges that decide a category, but none of columns of which ``known`` rules say as much.

    >>> age = np.arange(100.0)
    >>> group = np.where(age < 18, "child", np.where(age < 65, "adult", "old")).astype(object)
    >>> rules = find_ranges(Cells({"age": age}, {"group": group}), [], 1, RuleConfig())
    >>> [str(rule) for rule in rules]
    ['age -> group (child < 18 <= adult < 65 <= old)']
    """
    taken = {frozenset(rule.columns) for rule in known}
    found = []
    for dependent, texts in cells.texts.items():
        if len(set(texts) - {None}) > config.most_ranges:
            continue
        for number in cells.numbers:
            if number == dependent or frozenset((number, dependent)) in taken:
                continue
            rule = ranges_of(cells, number, dependent, min_count, config)
            if rule is not None and _believed(rule, cells, config):
                found.append(rule)
    return found


def ranges_of(
    cells: Cells,
    number: str,
    dependent: str,
    min_count: int = 1,
    config: RuleConfig = RuleConfig(),
) -> Ranges | None:
    """The ranges in which the labels of a column lie, whether or not they are a rule; ``None``
    where they could be none."""
    texts = cells.texts[dependent]
    both = np.isfinite(cells.numbers[number]) & there(texts)
    codes, labels = pd.factorize(texts[both], sort=True)
    values = cells.numbers[number][both]
    counts = np.bincount(codes, minlength=len(labels))
    fewest = max(config.fewest_cells, min_count)
    if not 1 < len(labels) <= config.most_ranges or counts.min() < fewest:
        return None
    if len(np.unique(values)) < config.least_numbers * len(labels):
        return None
    medians = np.array([np.median(values[codes == k]) for k in range(len(labels))])
    order = np.argsort(medians, kind="stable")
    if (np.diff(medians[order]) <= 0).any():
        return None
    edges = [_edge(values[codes == low], values[codes == high]) for low, high in pairwise(order)]
    if (np.diff(edges) <= 0).any():
        return None
    return Ranges(number, dependent, tuple(edges), tuple(str(labels[k]) for k in order))


def _edge(lower: Floats, upper: Floats) -> float:
    """The number of fewest digits between two samples that leaves fewest on the wrong side."""
    joined = np.sort(np.concatenate([lower, upper]))
    places = np.unique(joined)
    # A place is the first number of the upper range.
    wrong = (len(lower) - np.searchsorted(np.sort(lower), places)) + np.searchsorted(
        np.sort(upper), places
    )
    best = int(wrong.argmin())
    high = places[best]
    low = places[best - 1] if best else -np.inf
    return roundest(float(low), float(high))


def roundest(low: float, high: float) -> float:
    """The number of fewest digits above ``low``, up to ``high``.

    >>> roundest(17.93, 18.02), roundest(17.0, 18.0), roundest(0.011, 0.0249), roundest(940, 1020)
    (18.0, 18.0, 0.02, 1000.0)
    """
    for digits in range(-15, 16):
        value = float(plain_number(np.floor(high * 10.0**digits) / 10.0**digits))
        if low < value <= high:
            return value
    return high


def _believed(rule: Ranges, cells: Cells, config: RuleConfig) -> bool:
    """Most rows keep it, also those that are nearest to an edge, and not by chance."""
    known = rule.known(cells)
    kept: Mask = rule.kept(cells)[known]
    if kept.mean() < config.least_decided:
        return False
    share = float(pd.Series(cells.texts[rule.dependent][known]).value_counts(normalize=True).max())
    if share > config.least_kept or (1 - share) * len(kept) < config.least_breaks:
        return False
    values = cells.numbers[rule.number][known]
    for edge in rule.edges:
        count = max(int(config.nearest * len(values)), config.fewest_nearest)
        nearest = np.argsort(np.abs(values - edge), kind="stable")[:count]
        if kept[nearest].mean() < config.least_kept:
            return False
    return True

"""Dependencies: one or two columns of categories or whole numbers that decide another."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations

import numpy as np
import pandas as pd

from tabvae.rules.arithmetic import Formula
from tabvae.rules.cells import Cells, Texts
from tabvae.rules.config import RuleConfig
from tabvae.rules.decisions import Dependency, Ranges
from tabvae.values.arrow import Ints


@dataclass(frozen=True)
class _Coded:
    """Texts as numbers.

    Attributes:
        codes: (N,) of each among the distinct ones, -1 where one is missing.
        values: the distinct ones, or tuples of those of several columns.
    """

    codes: Ints
    values: list[tuple[str, ...]]

    @classmethod
    def of(cls, texts: Texts) -> _Coded:
        codes, values = pd.factorize(texts, sort=True)
        return cls(codes.astype(np.int64), [(str(value),) for value in values])

    def joined(self, other: _Coded) -> _Coded:
        """The values of two columns together, those that occur."""
        both = (self.codes >= 0) & (other.codes >= 0)
        pairs = np.where(both, self.codes * len(other.values) + other.codes, -1)
        codes, distinct = pd.factorize(np.where(both, pairs, np.nan), sort=True)
        places = distinct.astype(np.int64)
        values = [
            (*self.values[pair // len(other.values)], *other.values[pair % len(other.values)])
            for pair in places
        ]
        return _Coded(codes.astype(np.int64), values)


@dataclass(frozen=True)
class _Counts:
    """Of each value of some columns, beside another.

    Attributes:
        rows: (V,) with the value.
        kept: (V,) of these, with the commonest value of the other.
        commonest: (V,) the code of that.
        share: of all rows, that of the commonest value of the other column.
    """

    rows: Ints
    kept: Ints
    commonest: Ints
    share: float

    @classmethod
    def of(cls, left: _Coded, right: _Coded) -> _Counts:
        both = (left.codes >= 0) & (right.codes >= 0)
        width = max(len(right.values), 1)
        pairs, counts = np.unique(left.codes[both] * width + right.codes[both], return_counts=True)
        number = len(left.values)
        rows, kept, commonest = (np.zeros(number, np.int64) for _ in range(3))
        np.add.at(rows, pairs // width, counts)
        order = np.argsort(counts, kind="stable")  # Of each value, the commonest is last.
        kept[pairs[order] // width] = counts[order]
        commonest[pairs[order] // width] = pairs[order] % width
        others = np.bincount(right.codes[both], minlength=1)
        return cls(rows, kept, commonest, float(others.max() / max(int(both.sum()), 1)))

    @property
    def broken(self) -> int:
        """Rows that do not go with the commonest."""
        return int((self.rows - self.kept).sum())

    def decides(self, config: RuleConfig) -> bool:
        """The values decide the other column, and could have failed to."""
        repeated = self.rows > 1
        together = int(self.rows[repeated].sum())
        if not together or self.kept[repeated].sum() < config.least_decided * together:
            return False
        # By chance a repeated value stands beside the commonest of the others.
        breaks = (1 - self.share) * (self.rows[repeated] - 1).sum()
        return bool(breaks >= config.least_breaks and self.share <= config.least_kept)

    def often(self, min_count: int, config: RuleConfig) -> Ints:
        """Values that come often enough to be kept, those of most rows first."""
        order = np.argsort(-self.rows, kind="stable")
        chosen: Ints = order[self.rows[order] >= max(config.fewest_cells, min_count)]
        return chosen


def find_dependencies(
    cells: Cells,
    others: Iterable[Formula | Ranges],
    rng: np.random.Generator,
    min_count: int,
    config: RuleConfig,
) -> list[Dependency]:
    """Dependencies that hold, of one column first; two are looked for where none decides alone.
    What equations and ranges say is not said again.

    >>> city = np.array(["Oslo", "Bergen", "Rome"] * 30, object)
    >>> land = np.array(["Norway", "Norway", "Italy"] * 30, object)
    >>> cells, rng = Cells({}, {"city": city, "land": land}), np.random.default_rng(0)
    >>> [str(rule) for rule in find_dependencies(cells, [], rng, 1, RuleConfig())]
    ['city -> land']
    """
    coded = {name: _Coded.of(texts) for name, texts in cells.texts.items()}
    usable = {name: c for name, c in coded.items() if 1 < len(c.values) <= config.most_values}
    known = [(rule.determined, frozenset(rule.columns)) for rule in others]
    found = []
    for left, right in permutations(usable, 2):
        if (right, frozenset((left, right))) in known:
            continue
        if len(usable[left].values) < len(usable[right].values):
            continue
        counts = _Counts.of(usable[left], usable[right])
        if counts.decides(config):
            found.append(_rule((left,), right, usable[left], usable[right], min_count, config))
    single = [rule for rule in found if rule is not None]
    return [*single, *_of_two(usable, single, known, rng, min_count, config)]


def _rule(
    determinants: tuple[str, ...],
    dependent: str,
    left: _Coded,
    right: _Coded,
    min_count: int,
    config: RuleConfig,
) -> Dependency | None:
    """The rule, where those values that come often decide, and are most of the rows."""
    counts = _Counts.of(left, right)
    often = counts.often(min_count, config)
    rows = counts.rows[often]
    if not len(often) or (counts.kept[often] / rows).min() < config.least_kept:
        return None
    if len(determinants) > 1 and rows.sum() < config.least_covered * counts.rows.sum():
        return None
    values, decided = _pairs(counts, often, left, right)
    return Dependency(determinants, dependent, values, decided)


def _pairs(
    counts: _Counts, often: Ints, left: _Coded, right: _Coded
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    values = tuple(left.values[k] for k in often)
    return values, tuple(right.values[k][0] for k in counts.commonest[often])


def _of_two(
    coded: Mapping[str, _Coded],
    single: Iterable[Dependency],
    others: Iterable[tuple[str | None, frozenset[str]]],
    rng: np.random.Generator,
    min_count: int,
    config: RuleConfig,
) -> list[Dependency]:
    """Of two columns, where each of them is needed: shuffled, it leaves most errors it mends."""
    decided = {(rule.determinants[0], rule.dependent) for rule in single}
    told = [columns for _, columns in others]
    names = list(coded)[: config.most_triples]
    rows = len(coded[names[0]].codes) if names else 0
    few = rng.permutation(rows)[: config.rows_to_sort]
    found: list[Dependency] = []
    for first, second in combinations(names, 2):
        if {(first, second), (second, first)} & decided:
            continue
        pair = coded[first].joined(coded[second])
        if not 1 < len(pair.values) <= config.most_values:
            continue
        for right in names:
            known = {(first, right), (second, right)} & decided
            three = {first, second, right}
            again = any(columns <= three for columns in told)
            if right in (first, second) or known or again:
                continue
            sample = (
                _Coded(pair.codes[few], pair.values),
                _Coded(coded[right].codes[few], coded[right].values),
            )
            if not _Counts.of(*sample).decides(config) and len(few) < rows:
                continue
            if _both_needed(coded[first], coded[second], pair, coded[right], rng, config):
                rule = _rule((first, second), right, pair, coded[right], min_count, config)
                found += [] if rule is None else [rule]
    return found


def _both_needed(
    first: _Coded,
    second: _Coded,
    pair: _Coded,
    right: _Coded,
    rng: np.random.Generator,
    config: RuleConfig,
) -> bool:
    counts = _Counts.of(pair, right)
    if not counts.decides(config):
        return False
    for shuffled in (
        _Coded(rng.permutation(first.codes), first.values).joined(second),
        first.joined(_Coded(rng.permutation(second.codes), second.values)),
    ):
        broken = _Counts.of(shuffled, right).broken
        if broken < config.least_breaks or counts.broken > config.most_left * broken:
            return False
    return True


def decided(
    cells: Cells,
    rule: Dependency,
    min_count: int = 1,
    config: RuleConfig = RuleConfig(),
) -> tuple[tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """The values that decide and come often enough, those of most rows first, and the value of the
    dependent column that is beside each most often.

    >>> a, b = np.array(["x", "y"] * 6, object), np.array(["1", "2"] * 6, object)
    >>> decided(Cells({}, {"a": a, "b": b}), Dependency(("a",), "b"))
    ((('x',), ('y',)), ('1', '2'))
    """
    left, *others = (_Coded.of(cells.texts[name]) for name in rule.determinants)
    for other in others:
        left = left.joined(other)
    right = _Coded.of(cells.texts[rule.dependent])
    counts = _Counts.of(left, right)
    return _pairs(counts, counts.often(min_count, config), left, right)

"""Rules that a table keeps, found by trying all that are of a few simple forms.

A few rows sort out most candidates; what is left is looked at in all rows. A rule is believed only
if the rows could have broken it: as often as the same cells do when one column is shuffled. There
is no library for this that may be used here: those for functional dependencies are licensed under
the AGPL or need a Java machine, and equations of two or three columns need no general search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, permutations, product

import numpy as np

from tabvae.rules.expression import quoted
from tabvae.rules.rules import (
    AnyRule,
    Cells,
    Dependency,
    Formula,
    Order,
    Texts,
    plain_number,
)
from tabvae.values.arrow import Floats, Ints


@dataclass(frozen=True)
class RuleConfig:
    """When a rule is one.

    Attributes:
        least_kept: share of the rows that keep an equation.
        least_ordered: share of the rows that keep an order.
        least_decided: share of the rows that keep a dependency: values of one column often go with
            one of another.
        nearest: share of the rows that are nearest to breaking an order, at least
            ``fewest_nearest``. Of columns that merely go with each other, half of these do.
        fewest_nearest: see ``nearest``.
        least_breaks: rows that would break the rule if one of its columns were shuffled.
        most_chance: share of the rows that keep it with any one column shuffled, at most: a rate
            may be zero in most rows.
        most_rows: that are worth looking at.
        rows_to_try: that sort out most equations.
        most_pairs, most_triples: columns of numbers up to which two or three of them are joined.
        most_values: distinct values of a column that decides or is decided.
        fewest_cells: with a value, for it to be kept beside the one that it decides: fewer are a
            fact about a few rows.
    """

    least_kept: float = 0.95
    least_ordered: float = 0.98
    least_decided: float = 0.98
    nearest: float = 0.05
    fewest_nearest: int = 30
    least_breaks: float = 20.0
    most_chance: float = 0.9
    most_rows: int = 20_000
    rows_to_try: int = 16
    most_pairs: int = 40
    most_triples: int = 25
    most_values: int = 1000
    fewest_cells: int = 5


def discover(
    cells: Cells,
    tolerances: Mapping[str, float],
    days: frozenset[str] = frozenset(),
    min_count: int = 1,
    config: RuleConfig = RuleConfig(),
) -> list[AnyRule]:
    """The rules that a table keeps, equations first.

    Args:
        cells: of the table, or of ``most_rows`` of its rows.
        tolerances: by column of numbers, half a unit of its last digit.
        days: columns of moments, in days.
        min_count: rows that stand behind each value of a dependency.
        config: when a rule is one.

    >>> rng = np.random.default_rng(0)
    >>> price, count = rng.integers(1, 99, 200).astype(float), rng.integers(1, 9, 200) * 1.0
    >>> numbers = {"price": price, "count": count, "sum": price * count}
    >>> [str(rule) for rule in discover(Cells(numbers, {}), dict.fromkeys(numbers, 0.5))]
    ['sum = price * count', 'price <= sum']
    """
    rng = np.random.default_rng(0)
    formulas = _formulas(cells, tolerances, days, rng, config)
    orders = _orders(cells, days, rng, config)
    return [*formulas, *orders, *_dependencies(cells, min_count, config)]


# Equations


def _formulas(
    cells: Cells,
    tolerances: Mapping[str, float],
    days: frozenset[str],
    rng: np.random.Generator,
    config: RuleConfig,
) -> list[Formula]:
    names = [n for n, x in cells.numbers.items() if np.isfinite(x).any()][: config.most_pairs]
    if len(names) < 2:
        return []
    numbers = np.stack([cells.numbers[name] for name in names])
    slack = np.array([tolerances[name] for name in names])
    found = []
    for expression, targets in _likely(names, numbers, slack, days, rng, config):
        for target in targets:
            rule = Formula(names[target], expression, float(slack[target]))
            chance = _chance(rule, cells, rng, config)
            if chance is not None:
                found.append((chance, rule))
    return _without_circles(_simplest(found))


def _simplest(found: list[tuple[float, Formula]]) -> list[list[Formula]]:
    """Of rules of some columns and rules of some of these, those that are kept least by chance; a
    column more has to make that half as often. Rules of the same columns are together, the plainest
    of the best first."""
    least: dict[frozenset[str], float] = {}
    for chance, rule in found:
        columns = frozenset(rule.columns)
        least[columns] = min(chance, least.get(columns, 1.0))

    def cost(pair: tuple[float, Formula]) -> tuple[float, int]:
        """Of rules of the same columns that are about as good, the plainest comes first."""
        chance, rule = pair
        best = least[frozenset(rule.columns)]
        signs = sum(rule.expression.count(sign) for sign in (" - ", " / "))
        plain = len(rule.expression) + 6 * signs  # A sum is plainer than a difference.
        likely = (best if chance <= 4 * best else chance) * 2.0 ** len(rule.columns)
        return likely, plain

    ranked = [rule for _, rule in sorted(found, key=cost)]
    kept: dict[frozenset[str], list[Formula]] = {}
    for rule in ranked:
        names = frozenset(rule.columns)
        if names in kept or not any(names <= others or names >= others for others in kept):
            kept.setdefault(names, []).append(rule)
    return list(kept.values())


def _likely(
    names: list[str],
    numbers: Floats,
    slack: Floats,
    days: frozenset[str],
    rng: np.random.Generator,
    config: RuleConfig,
) -> Iterator[tuple[str, list[int]]]:
    """Expressions, and the columns that each may be in a few rows: of few columns first."""
    usual = np.array([_commonest(column) for column in numbers])
    unusual = np.isfinite(numbers) & (numbers != usual[:, None])
    for terms in _terms(names, config):
        # Where a column that is mostly zero is not, a sum with it tells something.
        telling = np.flatnonzero(unusual[list(terms)].all(0))
        if len(telling) < config.rows_to_try:
            telling = np.flatnonzero(np.isfinite(numbers[list(terms)]).all(0))
        if not len(telling):
            continue
        rows = rng.choice(telling, min(config.rows_to_try, len(telling)), replace=False)
        sample = numbers[:, rows]
        scale = slack[:, None] * (1 + 1e-6) + 1e-9 * np.abs(sample)
        told = np.maximum(0.75 * np.isfinite(sample).sum(1), 3)
        others = [t for t in range(len(names)) if t not in terms]
        for text, values in _expressions(terms, sample, names, days, others, slack):
            with np.errstate(all="ignore"):
                near = np.abs(sample - values) <= scale
            enough = (near.sum(1) >= told) & ((near & unusual[:, rows]).sum(1) >= 3)
            targets = [t for t in others if enough[t] and _same_unit(t, text, terms, names, days)]
            if targets:
                yield text, targets


def _commonest(values: Floats) -> float:
    distinct, counts = np.unique(values[np.isfinite(values)], return_counts=True)
    return float(distinct[counts.argmax()])


def _terms(names: list[str], config: RuleConfig) -> Iterator[tuple[int, ...]]:
    columns = range(len(names))
    yield from combinations(columns, 1)
    yield from combinations(columns, 2)
    if len(names) <= config.most_triples:
        yield from combinations(columns, 3)


def _expressions(
    terms: tuple[int, ...],
    sample: Floats,
    names: list[str],
    days: frozenset[str],
    others: list[int],
    slack: Floats,
) -> Iterator[tuple[str, Floats]]:
    """Sums, differences, products, quotients and shares of the columns ``terms``."""
    words = [quoted(names[t]) for t in terms]
    values = [sample[t] for t in terms]
    moments = [names[t] in days for t in terms]
    with np.errstate(all="ignore"):
        if len(terms) == 1:
            yield words[0], values[0]
            if not moments[0]:
                yield from _linear(words[0], values[0], sample, others, slack)
            return
        for signs in _signs(len(terms)):
            text = "".join(
                f" {'+' if s > 0 else '-'} {w}" for s, w in zip(signs, words, strict=True)
            )
            order = np.argsort([-s for s in signs], kind="stable")
            text = " ".join(f"{'+' if signs[k] > 0 else '-'} {words[k]}" for k in order)
            yield text.removeprefix("+ "), sum(s * v for s, v in zip(signs, values, strict=True))
        if any(moments):
            return
        yield " * ".join(words), np.prod(values, axis=0)
        for k in permutations(range(len(terms))):
            if len(terms) == 2:
                yield f"{words[k[0]]} / {words[k[1]]}", values[k[0]] / values[k[1]]
            elif k[0] < k[1]:
                upper = f"{words[k[0]]} * {words[k[1]]}"
                yield f"{upper} / {words[k[2]]}", values[k[0]] * values[k[1]] / values[k[2]]
        for last in range(len(terms)):
            rest = [k for k in range(len(terms)) if k != last]
            whole = np.prod([values[k] for k in rest], axis=0)
            text = " * ".join(words[k] for k in rest)
            for sign, factor in (("-", -1), ("+", 1)):
                share = f"(1 {sign} {words[last]}"
                yield f"{text} * {share} / 100)", whole * (1 + factor * values[last] / 100)
                yield f"{text} * {share})", whole * (1 + factor * values[last])


def _linear(
    word: str, values: Floats, sample: Floats, others: list[int], slack: Floats
) -> Iterator[tuple[str, Floats]]:
    """A multiple, or a multiple and a number more, by two rows."""
    for t in others:
        told = np.flatnonzero(np.isfinite(sample[t]))
        if not len(told):
            continue
        target = sample[t]
        first, last = told[values[told].argmin()], told[values[told].argmax()]
        slope = (target[last] - target[first]) / (values[last] - values[first])
        if not np.isfinite(slope) or slope == 0:
            continue
        for digits, decimals in product((2, 3, 4, 6), (0, 1, 2, 3, 6)):
            short = float(f"{slope:.{digits}g}")
            start = float(np.round(np.median((target - short * values)[told]), decimals)) + 0.0
            off = np.abs(short * values + start - target)[told]
            if (off > slack[t] * (1 + 1e-6)).mean() > 0.25:
                continue
            shift = "" if start == 0 else f" {'-' if start < 0 else '+'} {plain_number(abs(start))}"
            times = word if short == 1.0 else f"{plain_number(short)} * {word}"
            if times + shift != word:
                yield times + shift, short * values + start
            break


def _signs(count: int) -> list[tuple[int, ...]]:
    return [tuple(-1 if bits >> k & 1 else 1 for k in range(count)) for bits in range(2**count - 1)]


def _same_unit(
    target: int, text: str, terms: tuple[int, ...], names: list[str], days: frozenset[str]
) -> bool:
    """A moment is a moment and days, days the difference of two moments."""
    moments = [names[t] for t in terms if names[t] in days]
    if names[target] not in days:
        return (
            not moments
            or (len(moments) == 2 and f"- {quoted(moments[1])}" in text)
            or (len(moments) == 2 and f"- {quoted(moments[0])}" in text)
        )
    return len(moments) == 1 and f"- {quoted(moments[0])}" not in text


def _chance(
    rule: Formula, cells: Cells, rng: np.random.Generator, config: RuleConfig
) -> float | None:
    """How often other cells would keep the rule by chance; ``None`` if it is none."""
    known = rule.known(cells)
    if not known.any() or rule.kept(cells)[known].mean() < config.least_kept:
        return None
    numbers = {name: cells.numbers[name][known] for name in rule.columns}
    chances = []
    for name in rule.columns:
        shuffled = Cells({**numbers, name: rng.permutation(numbers[name])}, {})
        chances.append(float(rule.kept(shuffled).mean()))
    rows = int(known.sum())
    enough = (1 - max(chances)) * rows >= config.least_breaks
    if not enough or max(chances) > config.most_chance:
        return None
    return min(chances) + 1 / rows


def _without_circles(groups: list[list[Formula]]) -> list[Formula]:
    """One of each group, so that no column follows from itself, or twice."""
    followed: dict[str, set[str]] = {}
    kept: list[Formula] = []
    for rule in (rule for group in groups for rule in group):
        if any(set(rule.columns) == set(other.columns) for other in kept):
            continue
        sources = set(rule.columns[1:])
        for name in rule.columns[1:]:
            sources |= followed.get(name, set())
        if rule.target in followed or rule.target in sources:
            continue
        followed[rule.target] = sources
        for before in followed.values():
            if rule.target in before:
                before |= sources
        kept.append(rule)
    return kept


# Orders


def _orders(
    cells: Cells, days: frozenset[str], rng: np.random.Generator, config: RuleConfig
) -> list[Order]:
    found: list[Order] = []
    names = list(cells.numbers)[: 2 * config.most_pairs]
    for low, high in permutations(names, 2):
        if (low in days) is not (high in days):
            continue
        x, y = cells.numbers[low], cells.numbers[high]
        both = np.isfinite(x) & np.isfinite(y)
        x, y = x[both], y[both]
        if not len(x) or (x <= y).mean() < config.least_ordered or (x == y).all():
            continue
        breaks = float((x > rng.permutation(y)).mean())
        count = max(int(config.nearest * len(x)), config.fewest_nearest)
        nearest = np.argsort(np.abs(y - x), kind="stable")[:count]
        sharp = (x <= y)[nearest].mean() >= config.least_kept
        if sharp and breaks * len(x) >= config.least_breaks and breaks >= 1 - config.least_kept:
            found.append(Order(low, high))
    return [rule for rule in found if not _implied(rule, found)]


def _implied(rule: Order, rules: list[Order]) -> bool:
    """Two others lead from the lower to the higher one."""
    above = {other.high for other in rules if other.low == rule.low}
    below = {other.low for other in rules if other.high == rule.high}
    return bool((above & below) - {rule.low, rule.high})


# Dependencies


def _dependencies(cells: Cells, min_count: int, config: RuleConfig) -> list[Dependency]:
    coded = {name: _codes(texts) for name, texts in cells.texts.items()}
    usable = {n: pair for n, pair in coded.items() if 1 < len(pair[1]) <= config.most_values}
    found: list[Dependency] = []
    for left, right in permutations(usable, 2):
        counts = _counts(usable[left], usable[right])
        if counts.shape[0] < counts.shape[1] or not counts.any():
            continue
        rows, kept = counts.sum(1), counts.max(1)
        repeated = rows > 1
        if kept[repeated].sum() < config.least_decided * rows[repeated].sum():
            continue
        # By chance a repeated value stands beside the commonest of the others.
        chance = float(counts.sum(0).max() / counts.sum())
        breaks = (1 - chance) * (rows[repeated] - 1).sum()
        if breaks < config.least_breaks or chance > config.least_kept:
            continue
        rule = Dependency(left, right, decided(cells, left, right, min_count, config))
        enough = rows >= max(config.fewest_cells, min_count)
        if rule.pairs and (kept[enough] / rows[enough]).min() >= config.least_kept:
            found.append(rule)
    return found


def decided(
    cells: Cells,
    determinant: str,
    dependent: str,
    min_count: int = 1,
    config: RuleConfig = RuleConfig(),
) -> tuple[tuple[str, str], ...]:
    """The values of one column that come often enough, those of most rows first, and the value of
    the other that is beside each most often.

    >>> a, b = np.array(["x", "y"] * 6, object), np.array(["1", "2"] * 6, object)
    >>> decided(Cells({}, {"a": a, "b": b}), "a", "b")
    (('x', '1'), ('y', '2'))
    """
    left, right = _codes(cells.texts[determinant]), _codes(cells.texts[dependent])
    counts = _counts(left, right)
    rows = counts.sum(1)
    often = rows >= max(config.fewest_cells, min_count)
    order = [k for k in np.argsort(-rows, kind="stable") if often[k]]
    return tuple((left[1][k], right[1][int(counts[k].argmax())]) for k in order)


Coded = tuple[Ints, list[str]]
"""(N,) numbers of texts among the distinct ones, -1 where one is missing; and those."""


def _counts(left: Coded, right: Coded) -> Floats:
    """(values, values) rows with each two of them."""
    counts = np.zeros((len(left[1]), len(right[1])))
    both = (left[0] >= 0) & (right[0] >= 0)
    np.add.at(counts, (left[0][both], right[0][both]), 1)
    return counts


def _codes(texts: Texts) -> Coded:
    values = sorted({text for text in texts if text is not None})
    number = {text: k for k, text in enumerate(values)}
    return np.array([number.get(text, -1) for text in texts], np.int64), values

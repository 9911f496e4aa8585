"""Equations between numbers, or dates: sums, products, quotients, rates, multiples, parts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations, permutations, product

import numpy as np

from tabvae.rules.arithmetic import Formula
from tabvae.rules.cells import Cells
from tabvae.rules.config import RuleConfig
from tabvae.rules.expression import CALENDAR, evaluate, plain_number, quoted
from tabvae.values.arrow import Floats


def find_formulas(
    cells: Cells,
    tolerances: Mapping[str, float],
    days: frozenset[str],
    rng: np.random.Generator,
    config: RuleConfig,
) -> list[Formula]:
    """Equations that hold; the arguments are those of ``discover``.

    >>> rng, a = np.random.default_rng(0), np.arange(60.0)
    >>> cells = Cells({"a": a, "b": 3 * a + 1}, {})
    >>> [str(r) for r in find_formulas(cells, {"a": 0.0, "b": 0.0}, frozenset(), rng, RuleConfig())]
    ['b = 3 * a + 1']
    """
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
            if moments[0]:
                yield from _parts(words[0], values[0])
            else:
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


def _parts(word: str, moments: Floats) -> Iterator[tuple[str, Floats]]:
    """Of dates the year, month and so on; Monday may be day 0."""
    for part in CALENDAR:
        yield f"{part}({word})", evaluate(f"{part}(moment)", {"moment": moments})
    yield f"weekday({word}) - 1", evaluate("weekday(moment) - 1", {"moment": moments})


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
    """A moment is a moment and days; days are the difference of two moments, or a part of one."""
    if text.startswith(tuple(f"{part}(" for part in CALENDAR)):
        return names[target] not in days
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

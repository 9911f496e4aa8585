"""A report in three sentences, and what to look at before anything is believed."""

from __future__ import annotations

import math
from collections.abc import Sequence

from tabvae.errors import shown
from tabvae.report.columns import listed
from tabvae.report.config import ReportConfig
from tabvae.report.document import ColumnNumbers, Odd, Privacy, RuleNumbers


def share(value: float) -> str:
    """A share as people say it.

    >>> share(0.123), share(0.0), share(0.0004), share(0.999)
    ('12 %', '0 %', 'less than 0.1 %', '99.9 %')
    """
    percent = 100 * value
    if value <= 0:
        return "0 %"
    if percent < 0.1:
        return "less than 0.1 %"
    return f"{percent:.1f} %" if percent < 9.95 or 99 < percent < 100 else f"{percent:.0f} %"


def count(number: int, noun: str) -> str:
    """
    >>> count(1, "row"), count(1200, "row")
    ('1 row', '1,200 rows')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def of_gaps(rows: int, columns: Sequence[ColumnNumbers], missing: float) -> str:
    """How large and how complete the table is."""
    size = f"The table has {count(rows, 'row')} and {count(len(columns), 'column')}"
    worst = max(columns, key=lambda column: column.missing or 0)
    if not worst.missing:
        return f"{size}, and no cell is missing."
    most = f"most in {shown(worst.name, 40)} ({share(worst.missing / rows)})"
    return f"{size}; {share(missing)} of its cells are missing, {most}."


def of_knowledge(columns: Sequence[ColumnNumbers], config: ReportConfig) -> str:
    """How well columns are known from each other."""
    known = [column for column in columns if column.known is not None]
    if not known:
        return "No column can be known from the others."
    best = max(known, key=lambda column: column.known or 0.0)
    poor = [column for column in known if (column.known or 0.0) < config.little]
    little = [column.name for column in poor if not column.follows]
    said = (
        f"Of what is uncertain in {shown(best.name, 40)}, the rest of its row tells "
        f"{share(best.known or 0.0)}, the most of all columns"
    )
    if not little:
        return f"{said}; of each other column it tells {share(config.little)} or more."
    names = listed(little, config.most_names)
    verb = "is" if len(little) == 1 else "are"
    return f"{said}; {names} {verb} hardly known: gaps filled there are little but guesses."


def of_oddness(rows: int, odd: Odd, rules: Sequence[RuleNumbers]) -> str:
    """How many rows do not fit."""
    ordinary = odd.fpr * rows
    beyond = odd.outliers > ordinary + 2 * math.sqrt(ordinary)
    verb = "looks" if odd.outliers == 1 else "look"
    said = (
        f"{count(odd.outliers, 'row')} {verb} odd; of as many ordinary rows about "
        f"{max(round(ordinary), 1):,} would, so that this is {'more' if beyond else 'no more'} "
        "than chance"
    )
    broken = [rule for rule in rules if rule.broken]
    if not rules:
        return f"{said}."
    if not broken:
        kept = "the rule between columns is" if len(rules) == 1 else f"all {len(rules)} rules are"
        return f"{said}; {kept} kept."
    worst = max(broken, key=lambda rule: rule.broken)
    return f"{said}; {count(worst.broken, 'row')} break{'s' * (worst.broken == 1)} {worst.text}."


def notes(
    rows: int,
    columns: Sequence[ColumnNumbers],
    privacy: Privacy,
    warned: Sequence[str],
    config: ReportConfig,
) -> tuple[str, ...]:
    """What to look at before anything is believed."""
    found = []
    if rows < config.fewest_rows:
        found.append(f"{count(rows, 'row')} tell little: every number below is rough.")
    if privacy.excessive:
        found.append("The model file gives rows away; see Privacy before you pass it on.")
    doubted = [column.name for column in columns if column.warnings]
    if doubted:
        names = listed(doubted, config.most_names)
        found.append(f"See the remarks on {names} under Columns.")
    found += [f"{text[:1].upper()}{text[1:]}." for text in warned]
    return tuple(found[: config.most_notes])

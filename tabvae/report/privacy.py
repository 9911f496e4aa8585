"""What a model file gives away, as far as it is measured or can be counted."""

from __future__ import annotations

import numpy as np

from tabvae.columns.bins import CategoricalBins
from tabvae.columns.schema import ColumnKind
from tabvae.report.document import Privacy
from tabvae.report.request import Subject
from tabvae.rules.decisions import Dependency, Presence, Ranges
from tabvae.rules.rules import AnyRule
from tabvae.tasks.leakage import LeakageConfig


def privacy(subject: Subject) -> Privacy:
    """Of the model of a table."""
    model = subject.model
    leakage, columns = model.card.leakage, model.schema.columns
    counts = [bins.counts for bins in model.codec.bins_ if isinstance(bins, CategoricalBins)]
    rare = sum(int((np.array(each) < subject.config.rare).sum()) for each in counts)
    return Privacy(
        words=None if leakage is None else leakage.words,
        excessive=leakage is not None and leakage.excessive,
        membership=None if leakage is None else leakage.membership,
        spread=None if leakage is None else leakage.spread,
        most=LeakageConfig().most_membership,
        stated=None if leakage is None else leakage.stated,
        min_count=model.codec.min_count,
        rare=rare,
        rare_below=subject.config.rare,
        constants=sum(column.kind is ColumnKind.CONSTANT for column in columns),
        patterns=sum(column.pattern is not None for column in columns),
        values=sum(map(_values, model.schema.rules)),
    )


def _values(rule: AnyRule) -> int:
    """How many values of cells a rule keeps, those that decide each other counted once."""
    match rule:
        case Dependency() | Presence():
            return len(rule.values)
        case Ranges():
            return len(rule.labels)
        case _:
            return 0

"""From a table and a model of it to the numbers of a report."""

from __future__ import annotations

import platform
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from importlib.metadata import version

import pyarrow as pa

from tabvae import __version__
from tabvae.errors import TabVAEWarning
from tabvae.model import Model
from tabvae.report.columns import column_numbers, known_shares
from tabvae.report.compared import compared
from tabvae.report.document import (
    ColumnNumbers,
    Document,
    Foot,
    Head,
    Known,
    Odd,
    Privacy,
    RuleNumbers,
)
from tabvae.report.gaps import gaps
from tabvae.report.odd import odd, rule_numbers
from tabvae.report.places import places
from tabvae.report.privacy import privacy
from tabvae.report.request import Request, Subject
from tabvae.report.verdict import notes, of_gaps, of_knowledge, of_oddness
from tabvae.values.arrow import Ints

LIBRARIES = ("torch", "numpy", "pandas", "pyarrow", "scikit-learn")


def gather(
    model: Model,
    table: pa.Table,
    request: Request,
    synthetic: pa.Table | None = None,
    unseen: Ints | None = None,
) -> Document:
    """All numbers of a report.

    Args:
        model: of the table, or of one like it.
        table: (N,) rows.
        request: what is asked for.
        synthetic: rows to judge beside it.
        unseen: numbers of rows that no network trained on, where that is known.

    Raises:
        SchemaError: a table lacks a column of the model, or there is none to colour the map.
        ParameterError: the table has no rows, or ``fpr`` is not between 0 and 1.
        DataError: there are too few rows to judge synthetic ones by.
    """
    with _told_once() as told:
        found = model.detect(table, request.fpr)
        made = None if synthetic is None else model.encode(synthetic)
    with warnings.catch_warnings():
        # What was said of all rows need not be said of some.
        warnings.simplefilter("ignore", TabVAEWarning)
        subject = Subject(model, table, unseen, request)
        columns = column_numbers(subject, known_shares(subject))
        rules, more_rules = rule_numbers(subject, synthetic)
        oddities, secrets, missing = odd(subject, found), privacy(subject), gaps(subject)
        points = places(subject, found.column("p_value").to_numpy())
        beside = None if made is None else compared(subject, synthetic, made)
    return Document(
        head=_head(subject, columns, oddities, rules, secrets, told),
        known=Known(len(subject.fresh), unseen is not None),
        columns=columns,
        rules=rules,
        more_rules=more_rules,
        gaps=missing,
        odd=oddities,
        map=points,
        synthetic=beside,
        privacy=secrets,
        foot=_foot(request),
    )


def _head(
    subject: Subject,
    columns: Sequence[ColumnNumbers],
    oddities: Odd,
    rules: Sequence[RuleNumbers],
    secrets: Privacy,
    told: Sequence[str],
) -> Head:
    rows, config = subject.table.num_rows, subject.config
    missing = sum(column.missing or 0 for column in columns) / (rows * len(columns))
    verdict = (
        of_gaps(rows, columns, missing),
        of_knowledge(columns, config),
        of_oddness(rows, oddities, rules),
    )
    cautions = notes(rows, columns, secrets, told, config)
    return Head(subject.request.table, rows, len(columns), missing, verdict, cautions)


@contextmanager
def _told_once() -> Iterator[list[str]]:
    """What is warned of meanwhile is warned of once, at the end; and the texts of it."""
    told: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield told
        told += dict.fromkeys(str(w.message) for w in caught if _is_ours(w))
    for one in caught:
        if not _is_ours(one):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
    for text in told:
        warnings.warn(text, TabVAEWarning, stacklevel=4)


def _is_ours(warning: warnings.WarningMessage) -> bool:
    return issubclass(warning.category, TabVAEWarning)


def _foot(request: Request) -> Foot:
    versions = {"tabvae": __version__, "Python": platform.python_version()}
    versions |= {name: version(name) for name in LIBRARIES}
    limits = asdict(request.config)
    return Foot(
        request.commands, dict(request.parameters), versions, request.seed, request.cells, limits
    )

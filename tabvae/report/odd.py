"""Rows that do not fit, the cells that make them so, and the columns these are in."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa

from tabvae.columns.relations import judged
from tabvae.report.document import Odd, OddCell, OddRow, RuleNumbers
from tabvae.report.request import Subject
from tabvae.values.arrow import Floats, Ints


def odd(subject: Subject, found: pa.Table) -> Odd:
    """Of what ``Model.detect`` says of the table."""
    config, fpr = subject.config, subject.request.fpr
    p_values = found.column("p_value").to_numpy()
    order = np.argsort(-found.column("score").to_numpy(), kind="stable")
    outliers = order[p_values[order] <= fpr]
    shown = order[: config.most_oddest]
    _, calibration = subject.model.card.score(subject.model.networks, None)
    return Odd(
        fpr=fpr,
        outliers=len(outliers),
        least=calibration.least,
        curve=_curve(np.sort(p_values), config.most_curve),
        rows=tuple(_row(subject, *each) for each in _rows(found, shown)),
        culprits=_culprits(found, outliers, config.most_culprits),
    )


def _curve(p_values: Floats, most: int) -> tuple[tuple[float, float], ...]:
    """Rank as a share and p-value, closer to each other among the odd rows."""
    ranks = np.unique(np.geomspace(1, len(p_values), most).round().astype(int))
    return tuple((float(rank / len(p_values)), float(p_values[rank - 1])) for rank in ranks)


def _rows(found: pa.Table, rows: Ints) -> list[tuple[int, dict[str, Any]]]:
    chosen = found.take(pa.array(rows)).to_pylist()
    return list(zip((rows + 1).tolist(), chosen, strict=True))


def _different(row: dict[str, Any]) -> list[tuple[str, str | None, str | None]]:
    """The cells of a row that are not as expected, the most odd first."""
    ranks = range(1, sum(name.startswith("column_") for name in row) + 1)
    cells = [(row[f"column_{k}"], row[f"observed_{k}"], row[f"expected_{k}"]) for k in ranks]
    return [cell for cell in cells if cell[1] is not None and cell[1] != cell[2]]


def _row(subject: Subject, number: int, row: dict[str, Any]) -> OddRow:
    request = subject.request
    rules = {str(rule): request.rule(rule) for rule in subject.model.schema.rules}
    cells = [
        OddCell(name, request.cell(observed), request.cell(expected))
        for name, observed, expected in _different(row)
    ]
    asks = request.cell(row.get("rule_asks"))
    return OddRow(
        number, row["p_value"], row["outlier"], tuple(cells), rules.get(row.get("rule", "")), asks
    )


def _culprits(found: pa.Table, outliers: Ints, most: int) -> tuple[tuple[str, int], ...]:
    """Columns of the first cell that is not as expected, by how many rows have it there."""
    first = [cells[0][0] for _, row in _rows(found, outliers) if (cells := _different(row))]
    return tuple(Counter(first).most_common(most))


def rule_numbers(
    subject: Subject, synthetic: pa.Table | None
) -> tuple[tuple[RuleNumbers, ...], int]:
    """The first rules between columns, how well the table keeps each, and how many there are
    more."""
    codec, schema, most = subject.model.codec, subject.model.schema, subject.config.most_rules
    found = judged(schema, subject.table, codec.na_values)
    beside: list[float | None] = [None] * len(found)
    if synthetic is not None:
        beside = [rule.kept for rule in judged(schema, synthetic, codec.na_values)]
    numbers = [
        RuleNumbers(subject.request.rule(rule), one.kept, one.broken, one.rows, kept)
        for rule, one, kept in zip(schema.rules, found, beside, strict=True)
    ]
    return tuple(numbers[:most]), max(len(numbers) - most, 0)

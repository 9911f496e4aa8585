"""A synthetic table beside the real one, and beside what real rows get that were set apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa

from tabvae.columns.codes import Codes
from tabvae.report.document import Score, Synthetic
from tabvae.report.request import Subject
from tabvae.tasks.synthetic import (
    as_codes,
    compare,
    in_words,
    marginal_errors,
    modelled_frame,
    trend_errors,
)
from tabvae.values.arrow import Floats, Ints, Mask


def compared(subject: Subject, made: pa.Table, codes: Codes) -> Synthetic:
    """Half of the real rows are the reference; the other half shows what real rows get.

    Args:
        subject: the real table.
        made: (M,) synthetic rows.
        codes: (M, columns) the same.

    Raises:
        DataError: there are too few rows.
    """
    model, config = subject.model, subject.config
    rng = np.random.default_rng(subject.request.seed)
    real = modelled_frame(model.codec, subject.table, subject.codes)
    synthetic = modelled_frame(model.codec, made, codes)
    few = min(len(real) // 2, len(synthetic), config.rows_compared)
    order = rng.permutation(len(real))
    one, other = (real.iloc[order[k * few : (k + 1) * few]] for k in (0, 1))
    drawn = synthetic.iloc[rng.permutation(len(synthetic))[:few]]
    scores, floor = compare(one, drawn), compare(one, other)
    tables, categorical = as_codes(one, other, drawn)
    shapes, more = _shapes(real, tables, categorical, config.most_shapes)
    pairs = _worst(tables, categorical, config.most_pairs)
    reference, apart, rows = (table[:, pairs] for table in tables)
    trends = trend_errors(reference, rows, categorical[pairs])
    floors = trend_errors(reference, apart, categorical[pairs])
    return Synthetic(
        table=subject.request.synthetic,
        rows=made.num_rows,
        compared=few,
        words=in_words(scores),
        scores=tuple(_scores(scores, floor)),
        shapes=shapes,
        more_shapes=more,
        pairs=tuple(str(real.columns[j]) for j in pairs),
        trends=tuple(tuple(row) for row in trends.tolist()),
        floors=tuple(tuple(row) for row in floors.tolist()),
        floor=float(np.nanmean(floors)) if np.isfinite(floors).any() else None,
    )


def _scores(scores: dict[str, float], floor: dict[str, float]) -> list[Score]:
    named = {
        "auc": ("told apart, AUC", "0.5"),
        "shape": ("columns off by", "0"),
        "trend": ("pairs off by", "0"),
        "copies": ("rows that are copies of real ones", "as real rows"),
        "distance": ("distance to the nearest real row, in that of real rows", "1"),
    }
    return [Score(name, scores[key], floor[key], ideal) for key, (name, ideal) in named.items()]


def _errors(tables: list[Floats], categorical: Mask) -> tuple[Floats, Floats]:
    """(columns,) of the synthetic rows, and of the real ones set apart."""
    one, other, drawn = tables
    return marginal_errors(one, drawn, categorical), marginal_errors(one, other, categorical)


def _shapes(
    real: pd.DataFrame, tables: list[Floats], categorical: Mask, most: int
) -> tuple[tuple[tuple[str, float, float], ...], int]:
    errors, floors = _errors(tables, categorical)
    order = np.argsort(-np.nan_to_num(errors), kind="stable")
    worst = [(str(real.columns[j]), float(errors[j]), float(floors[j])) for j in order[:most]]
    return tuple(worst), max(len(order) - most, 0)


def _worst(tables: list[Floats], categorical: Mask, most: int) -> Ints:
    """The columns that are off most, in the order of the table."""
    errors, _ = _errors(tables, categorical)
    return np.sort(np.argsort(-np.nan_to_num(errors), kind="stable")[:most])

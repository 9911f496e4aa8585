"""What is missing, what it is filled with, and how wrong that may be."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codes import Codes
from tabvae.predict.guess import network_guess
from tabvae.report.columns import Bars, follows
from tabvae.report.document import Fill, Gaps, Pattern
from tabvae.report.request import Subject
from tabvae.values.arrow import Floats, Ints, Mask


def gaps(subject: Subject) -> Gaps | None:
    """What is missing in the columns of the model; ``None`` if nothing is."""
    missing = subject.codes.missing
    rows = np.flatnonzero(missing.any(1))
    if not len(rows):
        return None
    patterns = _patterns(subject, missing[rows])
    counts = missing.sum(0)
    order = np.argsort(-counts, kind="stable")[: int((counts > 0).sum())]
    shown = order[: subject.config.most_fills]
    some = subject.some(rows, subject.config.rows_filled)
    return Gaps(
        rows=len(rows),
        patterns=tuple(patterns[: subject.config.most_patterns]),
        more_patterns=max(len(patterns) - subject.config.most_patterns, 0),
        fills=_fills(subject, shown, some),
        more_fills=len(order) - len(shown),
        rows_filled=len(some),
    )


def _patterns(subject: Subject, missing: Mask) -> list[Pattern]:
    """Sets of columns that are missing together, the most frequent first."""
    names = [column.name for column in subject.model.codec.columns_]
    sets, counts = np.unique(missing, axis=0, return_counts=True)
    most = subject.config.most_names
    return [
        Pattern(
            tuple(names[j] for j in np.flatnonzero(sets[k])[:most]),
            int(sets[k].sum()),
            int(counts[k]),
        )
        for k in np.argsort(-counts, kind="stable")
    ]


def _fills(subject: Subject, columns: Ints, rows: Ints) -> tuple[Fill, ...]:
    model, table = subject.model, subject.table.take(pa.array(rows))
    before = model.codec.transform(table)
    filled = model.codec.transform(model.impute(table))
    (draw,) = model.draw(table, 1, subject.request.seed)
    drawn = model.codec.transform(draw)
    errors = expected_errors(subject)
    return tuple(
        _fill(subject, j, np.flatnonzero(before.missing[:, j]), filled, drawn, errors)
        for j in columns.tolist()
    )


def _fill(
    subject: Subject, j: int, rows: Ints, filled: Codes, drawn: Codes, errors: Floats
) -> Fill:
    bars = Bars.of(subject, j)
    cells, error, guess = errors[:, j]
    enough = cells >= subject.config.fewest_cells
    return Fill(
        name=subject.model.codec.columns_[j].name,
        missing=int(subject.codes.missing[:, j].sum()),
        observed=bars.chart(subject.codes),
        filled=bars.shares(filled, rows),
        drawn=bars.shares(drawn, rows),
        cells=int(cells),
        error=float(error) if enough else None,
        guess=float(guess) if enough else None,
        relative=bool(subject.model.codec.is_number[j]),
        follows=follows(subject.model.schema, subject.model.codec.columns_[j].name),
    )


def expected_errors(subject: Subject) -> Floats:
    """(3, columns) cells by which it was measured, error of a guess of the networks, and of the
    mean or most frequent category.

    The gaps of rows that have some are laid over rows that the networks did not train on, where
    that is known. So as much of a row is missing as in those that are filled.
    """
    codes, codec = subject.codes, subject.model.codec
    times = -(-subject.config.rows_known // len(subject.fresh))
    complete = codes[np.tile(subject.fresh, times)]
    rng = np.random.default_rng(subject.request.seed)
    patterns = codes.missing[rng.choice(np.flatnonzero(codes.missing.any(1)), len(complete))]
    hidden = patterns & complete.observed
    masked = _masked(complete, hidden)
    network_guess(subject.model.predictor, masked).observed.fill(codec, masked)
    errors = np.zeros((3, len(codec.bins_)))
    for j, bins in enumerate(codec.bins_):
        rows = hidden[:, j]
        errors[0, j] = rows.sum()
        if not rows.any():
            continue
        if isinstance(bins, ContinuousBins):
            truth = complete.values[rows, j]
            off = (masked.values[rows, j] - truth) / bins.scale
            usual = (bins.center - truth) / bins.scale
            errors[1:, j] = np.sqrt(np.mean(off**2)), np.sqrt(np.mean(usual**2))
        else:
            truth = complete.bins[rows, j]
            errors[1, j] = np.mean(masked.bins[rows, j] != truth)
            errors[2, j] = np.mean(bins.mass.argmax() != truth)
    return errors


def _masked(codes: Codes, hidden: Mask) -> Codes:
    """A copy in which the cells of ``hidden`` are missing."""
    return replace(
        codes.copy(),
        bins=np.where(hidden, 0, codes.bins),
        scores=np.where(hidden, np.float32(0), codes.scores),
        values=np.where(hidden, np.nan, codes.values),
        observed=codes.observed & ~hidden,
        missing=codes.missing | hidden,
    )

"""Detect: how surprising each cell is given others of its row, and so each row.

Random sets of cells are hidden, the same sets for every row, and predicted from the rest. A
number's surprise is taken in data units, where it grows with the distance from what was expected,
and in normal scores, where a rare small value is as far off as a rare large one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt
from scipy.special import gamma

from tabvae.columns.arrow import Floats, Mask
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor

LOOKS = 32
"""How many sets of cells are hidden."""
UNITS = 2
"""Data units and normal scores."""
FEWEST_PROBABILITY = 1e-6
SMALLEST_SCALE = 1e-3
"""Least residual deviation, in column deviations: no column is predicted better than this."""
NORMAL_ROOT = float(2**0.25 * gamma(0.75) / np.sqrt(np.pi))
"""Mean of the root of a standard normal variable's absolute value."""
MOST_DEVIATIONS = 1e30
"""A cell farther off is as odd as this: its squares are still finite."""
OTHERS_WEIGHT = 4.0
"""Weight of what a cell does to the others in its blame."""
LEAST_WEIGHT = 1e-9
ROWS_BORROWED = 2
"""Weight, in rows, of a column's deviation in other looks against that in one look."""


class Surprise(NamedTuple):
    """How odd the cells of rows are.

    Attributes:
        cells: (N, columns) mean surprise of each cell over the looks that hide it, in nats; NaN if
            missing.
        attribution: (N, columns) how much it accounts for its row's oddness: the mean logarithm of
            one plus that surprise, times a factor that grows with how much odder the row's other
            cells are, by the same measure, when they are predicted from this cell than when it is
            hidden as well. A wrong cell makes those that follow from it look wrong, too. NaN if
            missing.
    """

    cells: Floats
    attribution: Floats


@dataclass(frozen=True)
class _Look:
    """One column in one look, for the rows of a batch that have the cell.

    Attributes:
        number: of the look.
        column: that was hidden.
        rows: (n,) rows of the batch.
        residuals: (UNITS, n) a number minus its predictive mean; ``None`` for a category.
        rarity: (n,) minus log-probability of a category, in nats; zero for a number.
    """

    number: int
    column: int
    rows: npt.NDArray[np.intp]
    residuals: Floats | None
    rarity: Floats


def masks(columns: int) -> Mask:
    """(LOOKS, columns) what is hidden in each look: everything in the first, then ever less.

    Looks that hide equally many columns hide each of them about equally often.
    """
    rng = np.random.default_rng(0)
    visible = np.arange(LOOKS) * columns // LOOKS
    hidden = np.zeros((LOOKS, columns), dtype=np.bool_)
    for count in np.unique(visible):
        group = np.flatnonzero(visible == count)
        order = rng.permutation(columns)
        for turn, look in enumerate(group):
            hidden[look, np.roll(order, turn * columns // len(group))[count:]] = True
    return hidden


def residual_scales(predictor: Predictor, codes: Codes) -> Floats:
    """(UNITS, LOOKS, columns) residual deviation of each hidden number; 1 for categories.

    From the mean root of the absolute residuals, which a few anomalies among the rows hardly move.
    Of a few rows it is noisy, so each look borrows from the column's other ones, by their geometric
    mean.
    """
    columns = predictor.codec.bins_
    hidden = masks(len(columns))
    total = np.zeros((UNITS, *hidden.shape))
    rows = np.zeros(hidden.shape)
    for look in _look(predictor, codes):
        if look.residuals is not None:
            total[:, look.number, look.column] += np.sqrt(np.abs(look.residuals)).sum(1)
            rows[look.number, look.column] += len(look.rows)
    widths = [getattr(bins, "scale", 1.0) for bins in columns]
    unit = np.array([widths, np.ones(len(widths))])[:, None]
    own = np.maximum((total / np.maximum(rows, 1) / NORMAL_ROOT) ** 2, SMALLEST_SCALE * unit)
    measured = np.log(np.where(rows > 0, own, unit))
    weights = np.maximum(rows, hidden * LEAST_WEIGHT)
    common = (weights * measured).sum(1, keepdims=True) / weights.sum(0)
    scales = np.exp((rows * measured + ROWS_BORROWED * common) / (rows + ROWS_BORROWED))
    return cast(Floats, np.where(predictor.codec.is_number, scales, 1.0))


def surprise(predictor: Predictor, codes: Codes, scales: Floats) -> Surprise:
    """How surprising every cell is, and which ones make their row so.

    A cell's surprise is half the squared residual of a number over its squared deviation, averaged
    over both units; minus log-probability of a category. A value that is not understood, such as a
    category the column has never held, is as rare as one among all rows of ``fit``.
    """
    hidden = masks(len(predictor.codec.bins_)).astype(np.float64)
    total, logs = np.zeros(codes.bins.shape), np.zeros(codes.bins.shape)
    by_look = np.zeros((len(codes), LOOKS))
    for look in _look(predictor, codes):
        amount = look.rarity
        if look.residuals is not None:
            scale = scales[:, look.number, look.column, None]
            off = np.clip(look.residuals / scale, -MOST_DEVIATIONS, MOST_DEVIATIONS)
            amount = 0.5 * np.mean(off**2, axis=0)
        total[look.rows, look.column] += amount
        logs[look.rows, look.column] += np.log1p(amount)
        by_look[look.rows, look.number] += np.log1p(amount)
    cells = total / hidden.sum(0)
    cells[~codes.observed] = np.log1p(predictor.codec.schema.rows)
    cells[codes.missing] = np.nan
    accounts = attribution(logs / hidden.sum(0), by_look, hidden, codes.observed)
    return Surprise(cells, np.where(codes.observed, accounts, np.log1p(cells)))


def attribution(logs: Floats, by_look: Floats, hidden: Floats, observed: Mask) -> Floats:
    """(N, columns) what ``Surprise`` says of the observed cells.

    Args:
        logs: (N, columns) each cell's mean log surprise over the looks that hide it.
        by_look: (N, LOOKS) sum of the log surprise of the cells that a look hides.
        hidden: (LOOKS, columns) the looks.
        observed: (N, columns) which cells are there.
    """
    visible, count = 1 - hidden, observed @ hidden.T
    # How much odder the cells of a look are there than elsewhere. A cell's own part of it is zero
    # over the looks that hide it.
    odder = by_look - (logs * observed) @ hidden.T
    when_visible = odder @ visible / np.maximum(count @ visible, 1)
    when_hidden = odder @ hidden / np.maximum(count @ hidden - observed * hidden.sum(0), 1)
    return cast(Floats, logs * (1 + OTHERS_WEIGHT * (when_visible - when_hidden)))


def row_scores(surprise: Floats) -> Floats:
    """(N,) score of each row: the root mean square of its cells' surprise, 0 without any."""
    present = ~np.isnan(surprise)
    squares = np.where(present, surprise, 0.0) ** 2
    return cast(Floats, np.sqrt(squares.sum(1) / np.maximum(present.sum(1), 1)))


def expected(predictor: Predictor, codes: Codes, cells: Mask) -> Codes:
    """What all other cells of its row say about each of ``cells`` (N, columns), as codes."""
    likely = Codes.empty(*codes.bins.shape)
    for j in range(codes.bins.shape[1]):
        chosen = np.flatnonzero(cells[:, j])
        for part in batches(len(chosen)):
            rows = chosen[part]
            probabilities = predictor.networks.given_others(codes[rows], j)
            predictor.put_expected(likely, j, rows, probabilities)
    return likely


def _look(predictor: Predictor, codes: Codes) -> Iterator[_Look]:
    """Every look at every hidden column that has cells; the networks take turns."""
    hidden = masks(codes.bins.shape[1])
    members = predictor.networks.members()
    for batch in batches(len(codes)):
        block = codes[batch]
        for number, columns in enumerate(hidden):
            net = members[number % len(members)]
            representation = net.represent(block, block.observed & ~columns)
            for j in np.flatnonzero(columns).tolist():
                rows = np.flatnonzero(block.observed[:, j])
                probabilities = net.probabilities([h[rows] for h in representation], j)
                residuals, rarity = _compare(predictor.codec, block[rows], j, probabilities)
                yield _Look(number, j, batch.start + rows, residuals, rarity)


def _compare(
    codec: TableCodec, codes: Codes, j: int, probabilities: Floats
) -> tuple[Floats | None, Floats]:
    """Residuals and rarity of the cells of one column."""
    coder = codec.bins_[j]
    if isinstance(coder, ContinuousBins):
        in_data = codes.values[:, j] - probabilities @ coder.means
        in_scores = codes.scores[:, j] - probabilities @ coder.positions
        return np.stack([in_data, in_scores]), np.zeros(len(codes))
    own = probabilities[np.arange(len(codes)), codes.bins[:, j]]
    return None, -np.log(own.clip(min=FEWEST_PROBABILITY))

"""Detect: how surprising each cell is given others of its row, and so each row.

Random sets of cells are masked, the same sets for every row, and predicted from the rest. A
number's surprise is taken in data units, where it grows with the distance from what was expected,
and in normal scores, where a rare small value is as far off as a rare large one.

Shapes: N rows, D modelled columns, L masks, and U = 2 units.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.special import gamma

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask

UNITS = 2
"""Data units and normal scores."""


@dataclass(frozen=True)
class DetectConfig:
    """How the surprise of cells is measured.

    Attributes:
        masks: sets of cells that are masked; model files keep a deviation for each.
        least_probability: of a category: one of probability zero is not infinitely odd.
        least_scale: residual deviation, in column deviations: no column is predicted better.
        farthest: residual, in residual deviations, of the oddest cell; its square is still finite.
        others_weight: of what a cell does to the others, in its attribution.
        rows_borrowed: weight, in rows, of a column's deviation under other masks beside that under
            one mask, which is noisy where the rows are few.
        cells_shown: of each row, those with most attribution, as far as they differ from what is
            expected there.
        cells_asked: of each row, those among which they are; each costs a pass for some rows.
        samples: of z, for the bound on a row's likelihood, one of ``tabvae.tasks.scores.SCORES``;
            more hardly change the order of rows.
        least_score: that has a logarithm.
        least_width: of a bin, in column deviations: the volume of an atom is finite.

    Examples:
        >>> masks(5, DetectConfig(masks=3)).shape
        (3, 5)
    """

    masks: int = 32
    least_probability: float = 1e-6
    least_scale: float = 1e-3
    farthest: float = 1e30
    others_weight: float = 4.0
    rows_borrowed: int = 2
    cells_shown: int = 3
    cells_asked: int = 6
    samples: int = 16
    least_score: float = 1e-9
    least_width: float = 1e-6


@dataclass(frozen=True)
class Surprise:
    """How odd the cells of rows are.

    Attributes:
        cells: (N, D) mean surprise of each cell over the masks that hide it, in nats; NaN if
            missing.
        attribution: (N, D) how much it accounts for its row's oddness, see ``attribution``; NaN if
            missing.

    Examples:
        >>> odd = Surprise(np.array([[3.0, 4.0, np.nan]]), np.array([[0.5, 1.2, np.nan]]))
        >>> row_scores(odd.cells)
        array([3.53553391])
    """

    cells: Floats
    attribution: Floats


@dataclass(frozen=True)
class _Masked:
    """One masked column, and what is said of it in the rows of a batch that have the cell.

    Attributes:
        mask: which one, 0..L - 1.
        column: that it hides, 0..D - 1.
        rows: (n,) rows of the batch.
        residuals: (U, n) a number minus its predictive mean; ``None`` for a category.
        rarity: (n,) minus log-probability of a category, in nats; zero for a number.
    """

    mask: int
    column: int
    rows: npt.NDArray[np.intp]
    residuals: Floats | None
    rarity: Floats


def masks(columns: int, config: DetectConfig = DetectConfig()) -> Mask:
    """(L, D) what each mask hides of D ``columns``: everything the first, then ever less.

    Masks that hide equally many columns hide each of them about equally often.

    Examples:
        >>> masks(4).sum(1)[::8]
        array([4, 3, 2, 1])
    """
    rng = np.random.default_rng(0)
    visible = np.arange(config.masks) * columns // config.masks
    masked = np.zeros((config.masks, columns), dtype=np.bool_)
    for count in np.unique(visible):
        group = np.flatnonzero(visible == count)
        order = rng.permutation(columns)
        for turn, mask in enumerate(group):
            masked[mask, np.roll(order, turn * columns // len(group))[count:]] = True
    return masked


def residual_scales(
    predictor: Predictor, codes: Codes, config: DetectConfig = DetectConfig()
) -> Floats:
    """(U, L, D) residual deviation of each masked number; 1 for categories.

    Of the n residuals r of a column under one mask, in one unit, with B rows borrowed:

        measured   =  ( mean of sqrt|r| / mean of sqrt|N(0, 1)| )^2
        log scale  =  ( n log measured + B common ) / (n + B)

    where ``common`` is the mean of log measured over the masks, each weighted by its n. The mean
    root is hardly moved by a few anomalies among the rows.

    Args:
        predictor: networks and codec.
        codes: (N, D) ordinary rows.
        config: least deviation, and how much to borrow.
    """
    columns = predictor.codec.bins_
    masked = masks(len(columns), config)  # (L, D)
    roots = np.zeros((UNITS, *masked.shape))  # (U, L, D)
    rows = np.zeros(masked.shape)  # (L, D)
    for cells in _masked_cells(predictor, codes, config):
        if cells.residuals is not None:
            roots[:, cells.mask, cells.column] += np.sqrt(np.abs(cells.residuals)).sum(1)
            rows[cells.mask, cells.column] += len(cells.rows)
    normal_root = float(2**0.25 * gamma(0.75) / np.sqrt(np.pi))
    deviations = np.array([bins.scale for bins in columns])  # (D,)
    unit = np.stack([deviations, np.ones(len(columns))])[:, None]  # (U, 1, D)
    means = roots / np.maximum(rows, 1)  # (U, L, D) / (L, D) -> (U, L, D)
    floored = np.maximum((means / normal_root) ** 2, config.least_scale * unit)  # (U, L, D)
    measured = np.log(np.where(rows > 0, floored, unit))  # (U, L, D)
    # A column that no row has keeps its own deviation: its masks weigh alike, and next to nothing.
    weights = np.maximum(rows, masked * 1e-9)  # (L, D)
    common = (weights * measured).sum(1, keepdims=True) / weights.sum(0)  # (U, 1, D)
    borrowed = config.rows_borrowed
    scales = np.exp((rows * measured + borrowed * common) / (rows + borrowed))  # (U, L, D)
    return cast(Floats, np.where(predictor.codec.is_number, scales, 1.0))


def surprise(
    predictor: Predictor, codes: Codes, scales: Floats, config: DetectConfig = DetectConfig()
) -> Surprise:
    """How surprising every cell is, and which ones make their row so.

    A cell's surprise is half the squared residual of a number over its squared deviation, averaged
    over both units; minus log-probability of a category. A value that is not understood, such as a
    category the column has never held, is as rare as one among all rows of ``fit``.

    Args:
        predictor: networks and codec.
        codes: (N, D) rows.
        scales: (U, L, D) residual deviations of ordinary rows.
        config: how odd a cell can be.
    """
    masked = masks(len(predictor.codec.bins_), config).astype(np.float64)  # (L, D)
    total, logs = np.zeros(codes.bins.shape), np.zeros(codes.bins.shape)  # (N, D)
    by_mask = np.zeros((len(codes), len(masked)))  # (N, L)
    for cells in _masked_cells(predictor, codes, config):
        amount = cells.rarity
        if cells.residuals is not None:
            scale = scales[:, cells.mask, cells.column, None]  # (U, 1)
            deviations = np.clip(cells.residuals / scale, -config.farthest, config.farthest)
            amount = 0.5 * np.mean(deviations**2, axis=0)  # (U, n) -> (n,)
        total[cells.rows, cells.column] += amount
        logs[cells.rows, cells.column] += np.log1p(amount)
        by_mask[cells.rows, cells.mask] += np.log1p(amount)
    mean = total / masked.sum(0)  # (N, D) / (D,) -> (N, D)
    mean[~codes.observed] = np.log1p(predictor.codec.schema.rows)
    mean[codes.missing] = np.nan
    logs = logs / masked.sum(0)
    accounts = attribution(logs, by_mask, masked, codes.observed, config.others_weight)
    return Surprise(mean, np.where(codes.observed, accounts, np.log1p(mean)))


def attribution(
    logs: Floats, by_mask: Floats, masked: Floats, observed: Mask, others_weight: float
) -> Floats:
    """(N, D) how much each observed cell accounts for its row's oddness.

    A wrong cell looks odd, and makes those that follow from it look odd where it is visible. With
    ``excess`` how much odder the cells under a mask are together than under the others:

        attribution_j = logs_j (1 + others_weight (mean excess where j is visible - where hidden))

    Args:
        logs: (N, D) mean over the masks that hide a cell of the logarithm of one plus its surprise.
        by_mask: (N, L) sum of the same over the cells that a mask hides.
        masked: (L, D) the masks.
        observed: (N, D) which cells are there.
        others_weight: of what a cell does to the others.
    """
    visible = 1 - masked  # (L, D)
    count = observed @ masked.T  # cells under each mask: (N, D) @ (D, L) -> (N, L)
    # A cell's own part of it is zero over the masks that hide it.
    excess = by_mask - (logs * observed) @ masked.T  # (N, L) - (N, D) @ (D, L) -> (N, L)
    others_visible = count @ visible  # (N, L) @ (L, D) -> (N, D)
    others_hidden = count @ masked - observed * masked.sum(0)  # (N, D), the cell itself left out
    when_visible = excess @ visible / np.maximum(others_visible, 1)  # (N, L) @ (L, D) -> (N, D)
    when_hidden = excess @ masked / np.maximum(others_hidden, 1)  # (N, L) @ (L, D) -> (N, D)
    return cast(Floats, logs * (1 + others_weight * (when_visible - when_hidden)))


def row_scores(surprise: Floats) -> Floats:
    """(N,) score of each row: the root mean square of its cells' surprise (N, D), 0 without any."""
    present = ~np.isnan(surprise)
    squares = np.where(present, surprise, 0.0) ** 2
    return cast(Floats, np.sqrt(squares.sum(1) / np.maximum(present.sum(1), 1)))


def expected(predictor: Predictor, codes: Codes, cells: Mask) -> Codes:
    """What all other cells of its row say about each of ``cells`` (N, D), as codes."""
    likely = Codes.empty(*codes.bins.shape)
    for j in range(codes.bins.shape[1]):
        chosen = np.flatnonzero(cells[:, j])
        for part in batches(len(chosen)):
            rows = chosen[part]
            probabilities = predictor.networks.given_others(codes[rows], j)
            predictor.put_expected(likely, j, rows, probabilities)
    return likely


def explain(
    predictor: Predictor,
    table: pa.Table,
    codes: Codes,
    attribution: Floats,
    config: DetectConfig = DetectConfig(),
) -> dict[str, pa.Array]:
    """The cells of each row with most ``attribution``, with observed and expected value as text;
    only those that differ, so that some may be missing.

    Args:
        predictor: networks and codec.
        table: (N,) rows.
        codes: (N, D) the same.
        attribution: (N, D) how much each cell accounts for its row's oddness.
        config: how many cells to name.
    """
    codec = predictor.codec
    names = np.array([c.name for c in codec.columns_], dtype=object)
    ranked = np.where(np.isnan(attribution), np.inf, -attribution)
    asked = np.argsort(ranked, axis=1, kind="stable")[:, : config.cells_asked]
    named = np.zeros(attribution.shape, dtype=np.bool_)
    np.put_along_axis(named, asked, True, axis=1)
    likely = _texts(codec.inverse_transform(expected(predictor, codes, named)))
    observed = _texts(table.select(list(names)))
    rows = np.arange(len(codes))
    # What is as expected explains nothing, whatever it accounts for.
    alike = np.take_along_axis(likely == observed, asked, axis=1)
    last = np.argsort(alike, axis=1, kind="stable")[:, : config.cells_shown]
    order = np.take_along_axis(asked, last, axis=1)
    unnamed = np.take_along_axis(alike, last, axis=1)
    columns: dict[str, pa.Array] = {}
    for rank, (j, none) in enumerate(zip(order.T, unnamed.T, strict=True), start=1):
        columns[f"column_{rank}"] = pa.array(names[j], pa.string(), mask=none)
        columns[f"observed_{rank}"] = pa.array(observed[rows, j], pa.string(), mask=none)
        columns[f"expected_{rank}"] = pa.array(likely[rows, j], pa.string(), mask=none)
    return columns


def _texts(table: pa.Table) -> np.ndarray[tuple[int, int], np.dtype[np.object_]]:
    columns = [arrow.to_text(arrow.flat(c)).to_numpy(zero_copy_only=False) for c in table.columns]
    return np.stack(columns, axis=1)


def _masked_cells(predictor: Predictor, codes: Codes, config: DetectConfig) -> Iterator[_Masked]:
    """Every masked column of every mask, where rows have its cells; the networks take turns."""
    masked = masks(codes.bins.shape[1], config)
    members = predictor.networks.members()
    for batch in batches(len(codes)):
        block = codes[batch]
        for mask, columns in enumerate(masked):
            net = members[mask % len(members)]
            representation = net.represent(block, block.observed & ~columns)
            for j in np.flatnonzero(columns).tolist():
                rows = np.flatnonzero(block.observed[:, j])
                probabilities = net.probabilities([h[rows] for h in representation], j)
                residuals, rarity = _compare(
                    predictor.codec, block[rows], j, probabilities, config.least_probability
                )
                yield _Masked(mask, j, batch.start + rows, residuals, rarity)


def _compare(
    codec: TableCodec, codes: Codes, j: int, probabilities: Floats, least_probability: float
) -> tuple[Floats | None, Floats]:
    """Residuals (U, n) and rarity (n,) of the cells of one column, given their distributions."""
    bins = codec.bins_[j]
    if bins.is_number:
        _, means = bins.expected(probabilities)
        in_data = codes.values[:, j] - means
        in_scores = codes.scores[:, j] - probabilities @ bins.positions
        return np.stack([in_data, in_scores]), np.zeros(len(codes))
    likelihood = probabilities[np.arange(len(codes)), codes.bins[:, j]]
    return None, -np.log(likelihood.clip(min=least_probability))

"""Any-order sampling: visit the columns in random order, sample each given what is set so far.

Hoogeboom et al. 2022, "Autoregressive diffusion models", section 2; Uria et al. 2014.
Random numbers belong to blocks of rows counted from the first row of the table, so that neither
batch size nor the number of rows asked for changes a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabvae.columns.arrow import Floats, Ints, Mask
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.predictor import Predictor

ROWS_PER_BLOCK = 512


@dataclass(frozen=True)
class Sample:
    """Completed rows.

    Attributes:
        codes: (N, columns) every cell set, or known to be missing.
        levels: (N, columns) the quantile within its bin that each sampled cell took.
    """

    codes: Codes
    levels: Floats


def sample(
    predictor: Predictor,
    codes: Codes,
    seed: tuple[int, ...],
    gaps: bool,
    temperature: float = 1.0,
    first: int = 0,
) -> Sample:
    """Sample every cell that is not observed, given those that are.

    Args:
        predictor: networks and codec.
        codes: (N, columns) rows; observed cells are kept.
        seed: with the number of the block, the seed of the random numbers.
        gaps: whether a cell may come out as missing, as often as in the training table.
        temperature: divides the logits; below 1 gives more typical rows.
        first: number of the first block.
    """
    done = codes.copy()
    levels = np.zeros(done.bins.shape)
    for number, rows in enumerate(batches(len(codes), ROWS_PER_BLOCK), start=first):
        rng = np.random.default_rng([*seed, number])
        block = done[rows]
        _sample_block(predictor, block, levels[rows], rng, gaps, temperature)
    return Sample(done, levels)


def _sample_block(
    predictor: Predictor,
    block: Codes,
    levels: Floats,
    rng: np.random.Generator,
    gaps: bool,
    temperature: float,
) -> None:
    """Fill the views in ``block`` and ``levels`` in place."""
    networks, visible = predictor.networks, block.observed.copy()
    for j in rng.permutation(block.bins.shape[1]):
        uniforms = rng.random((2, ROWS_PER_BLOCK))[:, : len(block)]
        todo = np.flatnonzero(~block.observed[:, j])
        if len(todo) == 0:
            continue
        hidden = networks.hidden(block[todo], visible[todo])
        probabilities = networks.probabilities(hidden, int(j), gaps, temperature)
        missing = block.missing[todo, j]
        probabilities = predictor.missingness.given_missing(probabilities, int(j), missing)
        bins = sample_bins(probabilities, uniforms[0, todo])
        levels[todo, j] = uniforms[1, todo]
        visible[todo, j] = True
        set_column(predictor.codec, block, int(j), todo, bins, uniforms[1, todo])


def set_column(
    codec: TableCodec,
    codes: Codes,
    j: int,
    rows: Ints,
    bins: Ints,
    levels: Floats,
) -> None:
    """Set cells of column ``j`` to ``bins``, in place; bin ``sizes[j]`` is the state missing."""
    coder = codec.bins_[j]
    gap: Mask = bins == len(coder)
    codes.bins[rows, j] = bins
    codes.missing[rows, j] = gap
    codes.observed[rows, j] = ~gap
    if isinstance(coder, ContinuousBins):
        known = np.where(gap, 0, bins)
        values = codec.snap(j, coder.decode(known, levels))
        codes.values[rows, j] = np.where(gap, np.nan, values)
        codes.scores[rows, j] = np.where(gap, 0.0, coder.scores(values, known))

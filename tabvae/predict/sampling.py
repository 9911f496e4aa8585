"""Any-order sampling: visit the columns in random order, sample each given what is set so far.

Hoogeboom et al. 2022, "Autoregressive diffusion models", section 2; Uria et al. 2014.
Random numbers belong to blocks of rows counted from the first row of the table, so that neither
batch size nor the number of rows asked for changes a row.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.predictor import Predictor
from tabvae.progress import Tell, unheard
from tabvae.values.arrow import Floats, Ints, Mask

ROWS_PER_BLOCK = 512
"""That share their random numbers: another number would change what a seed draws."""


@dataclass(frozen=True)
class Sample:
    """Completed rows.

    Attributes:
        codes: (N, columns) every cell set, or known to be missing.
        quantiles: (N, columns) the quantile within its bin that each sampled cell took.

    **Examples**

    >>> Sample(Codes.empty(rows=2, columns=3), np.zeros((2, 3))).quantiles.shape
    (2, 3)
    """

    codes: Codes
    quantiles: Floats


def sample(
    predictor: Predictor,
    codes: Codes,
    seed: tuple[int, ...],
    gaps: bool,
    temperature: float = 1.0,
    first: int = 0,
    tell: Tell = unheard,
) -> Sample:
    """Sample every cell that is not observed, given those that are.

    Args:
        predictor: networks and codec.
        codes: (N, columns) rows; observed cells are kept.
        seed: with the number of the block, the seed of the random numbers.
        gaps: whether a cell may come out as missing, as often as in the training table.
        temperature: divides the logits; below 1 gives more typical rows.
        first: number of the first block.
        tell: how far it is.
    """
    done = Sample(codes.copy(), np.zeros(codes.bins.shape))
    for number, rows in enumerate(batches(len(codes), ROWS_PER_BLOCK), start=first):
        rng = np.random.default_rng([*seed, number])
        block = Sample(done.codes[rows], done.quantiles[rows])
        _sample_block(predictor, block, rng, gaps, temperature)
        tell(rows.stop / max(len(codes), 1))
    return done


def _sample_block(
    predictor: Predictor, block: Sample, rng: np.random.Generator, gaps: bool, temperature: float
) -> None:
    """Fill the views in ``block`` in place; what rules determine comes last, so that the others do
    not follow a guess of it."""
    networks, codes = predictor.networks, block.codes
    visible = codes.observed.copy()
    columns, determined = predictor.codec.columns_, predictor.codec.schema.determined
    last = {j for j, column in enumerate(columns) if column.name in determined}
    for j in sorted(rng.permutation(codes.bins.shape[1]).tolist(), key=last.__contains__):
        uniforms = rng.random((2, ROWS_PER_BLOCK))[:, : len(codes)]
        todo = np.flatnonzero(~codes.observed[:, j])
        if len(todo) == 0:
            continue
        layers = networks.represent(codes[todo], visible[todo])
        probabilities = networks.probabilities(layers, j, gaps, temperature)
        missing = codes.missing[todo, j]
        probabilities = predictor.missingness.given_missing(probabilities, j, missing)
        bins = sample_bins(probabilities, uniforms[0, todo])
        block.quantiles[todo, j] = uniforms[1, todo]
        visible[todo, j] = True
        set_column(predictor.codec, codes, j, todo, bins, uniforms[1, todo])


def set_column(
    codec: TableCodec, codes: Codes, j: int, rows: Ints, bins: Ints, quantiles: Floats
) -> None:
    """Set cells of a column in place.

    Args:
        codec: knows the bins.
        codes: (N, columns) rows.
        j: which modelled column.
        rows: (n,) of the cells.
        bins: (n,) of each; bin ``sizes[j]`` is the state missing.
        quantiles: (n,) within its bin, at which a number lies.
    """
    coder = codec.bins_[j]
    gap: Mask = bins == len(coder)
    codes.bins[rows, j] = bins
    codes.missing[rows, j] = gap
    codes.observed[rows, j] = ~gap
    if isinstance(coder, ContinuousBins):
        inner = np.where(gap, 0, bins)
        values = codec.snap(j, coder.decode(inner, quantiles))
        codes.values[rows, j] = np.where(gap, np.nan, values)
        codes.scores[rows, j] = np.where(gap, 0.0, coder.scores(values, inner))

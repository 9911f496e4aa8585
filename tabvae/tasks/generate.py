"""Generate: new rows, sampled column by column in random order, or in one shot from the prior."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tabvae.columns.codes import Codes
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import ROWS_PER_BLOCK, Sample, sample, set_column
from tabvae.progress import Tell, unheard
from tabvae.tasks.conditions import Given, Where, rows_given, rows_under


def generate(
    predictor: Predictor,
    given: Codes,
    seed: int,
    gaps: bool = True,
    one_shot: bool = False,
    temperature: float = 1.0,
    tell: Tell = unheard,
) -> Sample:
    """Complete the rows of ``given``, in which nothing, or the cells asked for, is observed.

    Args:
        predictor: networks and codec.
        given: (N, columns) rows to complete.
        seed: of all randomness.
        gaps: leave cells missing as often as the training table does.
        one_shot: sample z from the prior and decode all cells at once (Kingma & Welling 2014).
        temperature: divides the logits.
        tell: how far it is.
    """
    if one_shot:
        return _one_shot(predictor, given, seed, gaps, temperature)
    return sample(predictor, given, (seed,), gaps, temperature, tell=tell)


def _one_shot(
    predictor: Predictor,
    given: Codes,
    seed: int,
    gaps: bool,
    temperature: float,
) -> Sample:
    """All cells at once from one z a row; as many random numbers a block whatever its rows."""
    done = given.copy()
    levels = np.zeros(done.bins.shape)
    mean, scale = predictor.networks.prior()
    for number, rows in enumerate(batches(len(given), ROWS_PER_BLOCK)):
        rng = np.random.default_rng([seed, number])
        block = done[rows]
        noise = rng.standard_normal((ROWS_PER_BLOCK, mean.shape[1]))[: len(block)]
        hidden = predictor.networks.represent_latent(mean + scale * noise)
        for j in range(block.bins.shape[1]):
            uniforms = rng.random((2, ROWS_PER_BLOCK))[:, : len(block)]
            probabilities = predictor.networks.probabilities(hidden, j, gaps, temperature)
            bins = sample_bins(probabilities, uniforms[0])
            todo = np.flatnonzero(~block.observed[:, j])
            levels[rows][todo, j] = uniforms[1, todo]
            set_column(predictor.codec, block, j, todo, bins[todo], uniforms[1, todo])
    return Sample(done, levels)


def given_cells(
    predictor: Predictor, n: int, where: Where | None, rows: pa.Table | None, seed: int
) -> Given:
    """The cells of ``n`` new rows that are not free: set row by row, or under conditions.

    Args:
        predictor: networks and codec.
        n: how many rows.
        where: conditions on every row.
        rows: (n,) cells of each row.
        seed: of what is drawn.

    Raises:
        ParameterError, SchemaError: see ``tabvae.tasks.conditions``.
    """
    if rows is not None:
        return rows_given(predictor.codec, rows)
    return rows_under(predictor, n, where or {}, seed)

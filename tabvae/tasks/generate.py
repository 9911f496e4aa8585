"""Generate: new rows, sampled column by column in random order, or in one shot from the prior."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import SchemaError, shown, suggestion
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import ROWS_PER_BLOCK, Sample, sample, set_column
from tabvae.progress import Tell, unheard


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


def rows_where(codec: TableCodec, rows: int, where: Mapping[str, Any]) -> Codes:
    """``rows`` rows in which only the cells asked for are observed.

    Args:
        codec: knows the columns.
        rows: how many.
        where: values by column.

    Raises:
        SchemaError: there is no such column, it is not modelled, or it has no such value.
    """
    codes = Codes.empty(rows, len(codec.sizes))
    for j, (bin_, score, value) in _given(codec, where):
        codes.bins[:, j], codes.scores[:, j], codes.values[:, j] = bin_, score, value
        codes.observed[:, j] = True
    return codes


def _given(
    codec: TableCodec, where: Mapping[str, Any]
) -> Iterator[tuple[int, tuple[int, float, float]]]:
    """The modelled column, bin, score and value of each cell that is asked for."""
    names = [c.name for c in codec.columns_]
    for name, value in where.items():
        if name not in names:
            exists = name in codec.schema.names
            raise SchemaError(
                f"column {shown(name)} is {codec.schema[name].kind} and cannot be set"
                if exists
                else f"no column {shown(name)}",
                suggestion(name, names),
            )
        j = names.index(name)
        yield j, codec.encode_cell(j, str(value))

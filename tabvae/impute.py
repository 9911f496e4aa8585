"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from tabvae.bins import ContinuousBins
from tabvae.blending import Guesses
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, batches
from tabvae.refine import Refiner
from tabvae.sampling import Sample, sample


def impute(ensemble: Ensemble, encoder: TableEncoder, refiner: Refiner, codes: Codes) -> Codes:
    """Every missing cell at its point estimate given the observed cells of its row.

    A number is its predictive mean in data units, a category its most probable value, from the
    network and the trees together. Observed cells, and cells that could not be understood, stay as
    they are.
    """
    filled = codes.copy()
    gaps = np.flatnonzero(codes.missing.any(1))
    for part in batches(len(gaps)):
        rows = gaps[part]
        block = codes[rows]
        guesses = refiner.refine(encoder, block, guess(ensemble, encoder, block))
        _fill(encoder, block, guesses)
        filled.put(rows, block)
    return filled


def probabilities(
    ensemble: Ensemble, encoder: TableEncoder, refiner: Refiner, codes: Codes, j: int
) -> Floats:
    """(N, bins) how probable each bin of categorical column ``j`` is; certain where observed."""
    found = np.eye(encoder.sizes[j])[codes.bins[:, j]]
    unknown = np.flatnonzero(~codes.observed[:, j])
    for part in batches(len(unknown)):
        rows = unknown[part]
        block = codes[rows]
        found[rows] = refiner.refine(encoder, block, guess(ensemble, encoder, block))[j]
    return cast(Floats, found / found.sum(1, keepdims=True))


def guess(ensemble: Ensemble, encoder: TableEncoder, codes: Codes) -> Guesses:
    """The network's predictive mean or probabilities of every unobserved cell."""
    parts: list[Guesses] = [[] for _ in encoder.bins_]
    for rows in batches(len(codes)):
        block = codes[rows]
        hidden = ensemble.hidden(block, block.observed)
        for j, coder in enumerate(encoder.bins_):
            index = np.flatnonzero(~block.observed[:, j])
            probabilities = ensemble.probabilities([h[index] for h in hidden], j)
            if isinstance(coder, ContinuousBins):
                expected = (probabilities @ coder.means - coder.center) / coder.scale
                parts[j].append(expected)
            else:
                parts[j].append(probabilities)
    return [np.concatenate(part) for part in parts]


def draw(
    ensemble: Ensemble, encoder: TableEncoder, codes: Codes, draws: int, seed: int
) -> Iterator[Sample]:
    """``draws`` completed tables, each with its missing cells sampled jointly, in any order."""
    for number in range(draws):
        yield sample(ensemble, encoder, codes, (seed, number), gaps=False)


def _fill(encoder: TableEncoder, block: Codes, guesses: Guesses) -> None:
    """Set the missing cells of a batch to their guesses, in place."""
    for j, (coder, guessed) in enumerate(zip(encoder.bins_, guesses, strict=True)):
        missing = block.missing[:, j]
        chosen = guessed[missing[~block.observed[:, j]]]
        if isinstance(coder, ContinuousBins):
            block.values[missing, j] = coder.center + chosen * coder.scale
            block.bins[missing, j] = coder.encode(block.values[missing, j])
        else:
            block.bins[missing, j] = chosen.argmax(1)
        block.observed[missing, j] = True

"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np

from tabvae.bins import Bins, ContinuousBins
from tabvae.blending import Guesses
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, batches
from tabvae.refine import Belief, Refiner
from tabvae.sampling import Sample, sample
from tabvae.selection import Selection


def impute(
    ensemble: Ensemble,
    encoder: TableEncoder,
    selection: Selection,
    refiner: Refiner,
    codes: Codes,
) -> Codes:
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
        belief = guess(ensemble, encoder, selection, block)
        guesses = refiner.refine(encoder, block, belief)
        _fill(encoder, block, guesses)
        filled.put(rows, block)
    return filled


def probabilities(
    ensemble: Ensemble,
    encoder: TableEncoder,
    selection: Selection,
    refiner: Refiner,
    codes: Codes,
    j: int,
) -> Floats:
    """(N, bins) how probable each bin of categorical column ``j`` is; certain where observed."""
    found = np.eye(encoder.sizes[j])[codes.bins[:, j]]
    unknown = np.flatnonzero(~codes.observed[:, j])
    for part in batches(len(unknown)):
        rows = unknown[part]
        block = codes[rows]
        belief = guess(ensemble, encoder, selection, block)
        found[rows] = refiner.refine(encoder, block, belief)[j]
    return cast(Floats, found / found.sum(1, keepdims=True))


def guess(ensemble: Ensemble, encoder: TableEncoder, selection: Selection, codes: Codes) -> Belief:
    """The network's predictive mean or probabilities of every unobserved cell."""
    observed: list[Guesses] = [[] for _ in encoder.bins_]
    missing: list[Guesses] = [[] for _ in encoder.bins_]
    for rows in batches(len(codes)):
        block = codes[rows]
        hidden = ensemble.hidden(block, block.observed)
        for j, coder in enumerate(encoder.bins_):
            index = np.flatnonzero(~block.observed[:, j])
            like = ensemble.probabilities([h[index] for h in hidden], j)
            own = selection.of_missing(like, j, block.missing[index, j])
            observed[j].append(_expected(coder, like))
            missing[j].append(_expected(coder, own))
    return Belief(*([np.concatenate(part) for part in parts] for parts in (observed, missing)))


def _expected(coder: Bins, probabilities: Floats) -> Floats:
    """A number in column deviations, or the probabilities of a category."""
    if isinstance(coder, ContinuousBins):
        return coder.deviations(probabilities @ coder.means)
    return probabilities


def draw(
    ensemble: Ensemble,
    encoder: TableEncoder,
    selection: Selection,
    codes: Codes,
    draws: int,
    seed: int,
) -> Iterator[Sample]:
    """``draws`` completed tables, each with its missing cells sampled jointly, in any order."""
    for number in range(draws):
        yield sample(ensemble, encoder, codes, (seed, number), gaps=False, selection=selection)


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

"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tabvae.bins import ContinuousBins
from tabvae.cells import Mask
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, batches
from tabvae.refine import Refiner, features
from tabvae.sampling import Sample, copy_codes, sample


def impute(ensemble: Ensemble, encoder: TableEncoder, refiner: Refiner, codes: Codes) -> Codes:
    """Every missing cell at its point estimate given the observed cells of its row.

    A number is its predictive mean in data units, a category its most probable value; both are
    averaged over the network and the trees. Observed cells, and cells that could not be
    understood, stay as they are.
    """
    filled = copy_codes(codes)
    for rows in batches(len(codes)):
        _fill(ensemble, encoder, refiner, filled[rows], codes.missing[rows])
    return filled


def complete(ensemble: Ensemble, encoder: TableEncoder, codes: Codes) -> Codes:
    """Every cell that is not observed at the network's own point estimate."""
    filled = copy_codes(codes)
    for rows in batches(len(codes)):
        _fill(ensemble, encoder, None, filled[rows], ~codes.observed[rows])
    return filled


def draw(
    ensemble: Ensemble, encoder: TableEncoder, codes: Codes, draws: int, seed: int
) -> Iterator[Sample]:
    """``draws`` completed tables, each with its missing cells sampled jointly, in any order."""
    for number in range(draws):
        yield sample(ensemble, encoder, codes, (seed, number), gaps=False)


def _fill(
    ensemble: Ensemble, encoder: TableEncoder, refiner: Refiner | None, block: Codes, gaps: Mask
) -> None:
    """Fill the ``gaps`` of a batch in place, with the trees' opinion if there are trees."""
    if not gaps.any():
        return
    hidden = ensemble.hidden(block, block.observed)
    completed = None
    if refiner is not None:
        completed = features(encoder, complete(ensemble, encoder, block))
    for j, coder in enumerate(encoder.bins_):
        index = np.flatnonzero(gaps[:, j])
        if len(index) == 0:
            continue
        probabilities = ensemble.probabilities([h[index] for h in hidden], j)
        if isinstance(coder, ContinuousBins):
            expected = probabilities @ coder.means
            if refiner is not None and completed is not None:
                expected = (expected + refiner.expected(j, completed[index])) / 2
            block.values[index, j] = expected
        elif refiner is not None and completed is not None:
            votes = refiner.probabilities(j, completed[index], len(coder))
            probabilities = (probabilities + votes) / 2
        block.bins[index, j] = probabilities.argmax(1)
        block.observed[index, j] = True

"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from tabvae.bins import ContinuousBins
from tabvae.cells import Mask
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, Hidden, batches
from tabvae.refine import Features, Refiner, features
from tabvae.sampling import Sample, sample


def impute(ensemble: Ensemble, encoder: TableEncoder, refiner: Refiner, codes: Codes) -> Codes:
    """Every missing cell at its point estimate given the observed cells of its row.

    A number is its predictive mean in data units, a category its most probable value; both are
    averaged over the network and the trees. Observed cells, and cells that could not be
    understood, stay as they are.
    """
    filled = codes.copy()
    for rows in batches(len(codes)):
        block, gaps = filled[rows], codes.missing[rows]
        if not gaps.any():
            continue
        hidden = ensemble.hidden(block, block.observed)
        completed = block.copy()
        _fill(ensemble, encoder, hidden, completed, ~block.observed)
        trees = _Trees(refiner, features(encoder, completed))
        _fill(ensemble, encoder, hidden, block, gaps, trees)
    return filled


def complete(ensemble: Ensemble, encoder: TableEncoder, codes: Codes) -> Codes:
    """Every cell that is not observed at the network's own point estimate."""
    filled = codes.copy()
    for rows in batches(len(codes)):
        block = filled[rows]
        hidden = ensemble.hidden(block, block.observed)
        _fill(ensemble, encoder, hidden, block, ~codes.observed[rows])
    return filled


def draw(
    ensemble: Ensemble, encoder: TableEncoder, codes: Codes, draws: int, seed: int
) -> Iterator[Sample]:
    """``draws`` completed tables, each with its missing cells sampled jointly, in any order."""
    for number in range(draws):
        yield sample(ensemble, encoder, codes, (seed, number), gaps=False)


@dataclass(frozen=True)
class _Trees:
    """The second opinion on a batch: the trees, and the completed rows they look at."""

    refiner: Refiner
    completed: Features


def _fill(
    ensemble: Ensemble,
    encoder: TableEncoder,
    hidden: Hidden,
    block: Codes,
    gaps: Mask,
    trees: _Trees | None = None,
) -> None:
    """Fill the ``gaps`` of a batch in place, averaged with the trees' opinion if there is one."""
    for j, coder in enumerate(encoder.bins_):
        index = np.flatnonzero(gaps[:, j])
        if len(index) == 0:
            continue
        probabilities = ensemble.probabilities([h[index] for h in hidden], j)
        if isinstance(coder, ContinuousBins):
            expected = probabilities @ coder.means
            if trees is not None:
                deviations = trees.refiner.expected(j, trees.completed[index])
                expected = (expected + coder.center + deviations * coder.scale) / 2
            block.values[index, j] = expected
        elif trees is not None:
            votes = trees.refiner.probabilities(j, trees.completed[index], len(coder))
            probabilities = (probabilities + votes) / 2
        block.bins[index, j] = probabilities.argmax(1)
        block.observed[index, j] = True

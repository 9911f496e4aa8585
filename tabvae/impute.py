"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

import numpy as np

from tabvae.encoding import Codes, ContinuousBins, TableEncoder
from tabvae.ensemble import Ensemble, batches
from tabvae.sampling import Sample, copy_codes, sample


def impute(ensemble: Ensemble, encoder: TableEncoder, codes: Codes) -> Codes:
    """Every missing cell at its point estimate given the observed cells of its row.

    A number is its posterior predictive mean in data units, a category its most probable value.
    Observed cells, and cells that could not be understood, stay as they are.
    """
    filled = copy_codes(codes)
    for rows in batches(len(codes)):
        hidden = ensemble.hidden(codes[rows], codes.observed[rows])
        for j, coder in enumerate(encoder.bins_):
            gaps = np.flatnonzero(codes.missing[rows, j])
            if len(gaps) == 0:
                continue
            probabilities = ensemble.probabilities([h[gaps] for h in hidden], j)
            index = rows.start + gaps
            filled.bins[index, j] = probabilities.argmax(1)
            filled.observed[index, j] = True
            if isinstance(coder, ContinuousBins):
                filled.values[index, j] = probabilities @ coder.means
    return filled


def draw(
    ensemble: Ensemble, encoder: TableEncoder, codes: Codes, draws: int, seed: int
) -> list[Sample]:
    """``draws`` completed tables, each with its missing cells sampled jointly, in any order."""
    return [sample(ensemble, encoder, codes, (seed, number), gaps=False) for number in range(draws)]

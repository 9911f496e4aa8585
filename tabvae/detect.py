"""Detect: how surprising each cell is given the others of its row, and so each row.

Every cell is hidden in turn and predicted from the rest of its row. A number's surprise is taken
in data units, so that it grows with the distance from what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from tabvae.cells import Floats
from tabvae.encoding import Codes, ContinuousBins, Ints, TableEncoder
from tabvae.ensemble import Ensemble, batches

FEWEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Surprise:
    """How far each cell is from what the rest of its row says.

    Attributes:
        cells: (N, columns) surprise in nats, 0 where the cell is not observed.
        expected: (N, columns) predictive mean of a number, in data units; NaN for categories.
        likely: (N, columns) most probable bin.
    """

    cells: Floats
    expected: Floats
    likely: Ints

    @property
    def rows(self) -> Floats:
        """(N,) score of each row: the mean surprise of its observed cells."""
        return cast(Floats, self.cells.mean(1))


def surprise(ensemble: Ensemble, encoder: TableEncoder, codes: Codes, scales: Floats) -> Surprise:
    """Hide each cell in turn and compare it with its prediction.

    Args:
        ensemble: the networks.
        encoder: knows the bins of each column.
        codes: (N, columns) rows.
        scales: (columns,) standard deviation of the residual of each continuous column.
    """
    shape = codes.bins.shape
    result = Surprise(np.zeros(shape), np.full(shape, np.nan), np.zeros(shape, dtype=np.int64))
    for rows in batches(len(codes)):
        block = codes[rows]
        for j, coder in enumerate(encoder.bins_):
            visible = block.observed.copy()
            visible[:, j] = False
            probabilities = ensemble.probabilities(ensemble.hidden(block, visible), j)
            result.likely[rows, j] = probabilities.argmax(1)
            if isinstance(coder, ContinuousBins):
                expected = probabilities @ coder.means
                result.expected[rows, j] = expected
                cell = 0.5 * ((block.values[:, j] - expected) / scales[j]) ** 2
            else:
                own = probabilities[np.arange(len(block)), block.bins[:, j]]
                cell = -np.log(own.clip(min=FEWEST_PROBABILITY))
            result.cells[rows, j] = np.where(block.observed[:, j], cell, 0.0)
        # A word or number the column has never held: as rare as anything can be.
        foreign = ~block.observed & ~block.missing
        result.cells[rows][foreign] = np.log1p(encoder.schema.rows)
    return result

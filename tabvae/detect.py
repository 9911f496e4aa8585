"""Detect: how surprising each cell is given the others of its row, and so each row.

Every cell is hidden in turn and predicted from the rest of its row. A number's surprise is taken
in data units, so that it grows with the distance from what was expected.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from tabvae.bins import ContinuousBins, Ints
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, batches

FEWEST_PROBABILITY = 1e-6


@dataclass(frozen=True)
class Comparison:
    """Each observed cell beside what the rest of its row says.

    Attributes:
        residual: (N, columns) number minus its predictive mean, in data units; NaN for
            categories and cells that are not observed.
        rarity: (N, columns) minus log-probability of a category, in nats; 0 for numbers and
            cells that are missing.
        expected: (N, columns) predictive mean of a number; NaN for categories.
        likely: (N, columns) most probable bin.
    """

    residual: Floats
    rarity: Floats
    expected: Floats
    likely: Ints

    def surprise(self, scales: Floats) -> Floats:
        """(N, columns) surprise in nats: half the squared residual in units of ``scales``
        (columns,) for a number, the rarity of a category, 0 where there is nothing to compare."""
        scaled = np.where(np.isnan(self.residual), 0.0, self.residual) / scales
        return 0.5 * scaled**2 + self.rarity


def compare(ensemble: Ensemble, encoder: TableEncoder, codes: Codes) -> Comparison:
    """Hide each cell in turn and predict it from the others of its row.

    A category that the column has never held is as rare as one among all rows of ``fit``.
    """
    shape = codes.bins.shape
    rarity = np.where(codes.observed | codes.missing, 0.0, np.log1p(encoder.schema.rows))
    found = Comparison(
        np.full(shape, np.nan), rarity, np.full(shape, np.nan), np.zeros(shape, dtype=np.int64)
    )
    for rows in batches(len(codes)):
        block = codes[rows]
        for j, coder in enumerate(encoder.bins_):
            visible = block.observed.copy()
            visible[:, j] = False
            probabilities = ensemble.probabilities(ensemble.hidden(block, visible), j)
            found.likely[rows, j] = probabilities.argmax(1)
            if isinstance(coder, ContinuousBins):
                found.expected[rows, j] = probabilities @ coder.means
                found.residual[rows, j] = block.values[:, j] - found.expected[rows, j]
                continue
            own = probabilities[np.arange(len(block)), block.bins[:, j]]
            seen = block.observed[:, j]
            found.rarity[rows, j][seen] = -np.log(own[seen].clip(min=FEWEST_PROBABILITY))
    return found


def row_scores(surprise: Floats) -> Floats:
    """(N,) score of each row: the mean surprise of its cells."""
    return cast(Floats, surprise.mean(1))

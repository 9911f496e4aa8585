"""P-values of a model under differential privacy: how odd real rows are, by noisy counts.

Rows that a model draws are less odd to it than real ones. They say where the steps of a histogram
are to lie, which costs nothing; how many real rows are on each is a query like any other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from tabvae.dp.describe import Purse
from tabvae.predict.calibration import QUANTILES, Calibration
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class NoisyCalibrationConfig:
    """Where the steps lie.

    Attributes:
        drawn_rows: that the model draws, one half to fit densities, the other to compare with.
        most_rows: that are scored, chosen at random: more would only take time.
        levels: quantiles of drawn rows.
        beyond: further steps, in distances from the median of drawn rows to their last level.
        deviations: of the noise, from which on a share of rows is told.
    """

    drawn_rows: int = 2000
    most_rows: int = 4000
    levels: tuple[float, ...] = (0.0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99)
    beyond: tuple[float, ...] = (1.2, 1.5, 2.0, 3.0, 5.0, 10.0)
    deviations: float = 2.0


def calibrated(
    drawn: Floats,
    real: Floats,
    purse: Purse,
    share: float,
    config: NoisyCalibrationConfig = NoisyCalibrationConfig(),
) -> Calibration:
    """The distribution of a score over real rows.

    Sensitivity: adding or removing a row changes one count by 1.

    Args:
        drawn: (n,) scores of rows that the model draws.
        real: (N,) of rows of the table, at most one a unit.
        purse: what is left for all scores.
        share: of it, that this score takes.
        config: where the steps lie.

    **Examples**

    >>> scores = np.linspace(0, 1, 1000)
    >>> known = calibrated(scores, 2 * scores, Purse(rho=50.0), share=1.0)
    >>> bool(0.4 < known.p_values(np.array([1.0]))[0] < 0.6)
    True
    """
    edges = np.quantile(drawn, config.levels)
    middle, last = np.quantile(drawn, 0.5), edges[-1]
    reach = max(last - middle, 1e-9 * max(abs(last), 1.0))
    edges = np.unique(np.concatenate([edges, middle + reach * np.array(config.beyond)]))
    steps = np.searchsorted(edges, real, side="right")  # 0 below all, len(edges) above
    counts = np.bincount(steps, minlength=len(edges) + 1)
    noisy, variance = purse.counts(counts, share)
    held = np.where(noisy > math.sqrt(variance), noisy, 0).astype(float)
    total = held.sum()
    if not total:
        return Calibration(1, np.linspace(edges[0], edges[-1], QUANTILES))
    ends = np.concatenate([[edges[0] - reach], edges, [edges[-1] + 10 * reach]])
    below = np.concatenate([[0.0], np.cumsum(held) / total])
    rising = below + np.arange(len(below)) * 1e-12
    quantiles = np.interp(np.linspace(0, 1, QUANTILES), rising, ends)
    told = max(int(total / (config.deviations * math.sqrt(variance))), 1)
    return Calibration(told, np.maximum.accumulate(quantiles))

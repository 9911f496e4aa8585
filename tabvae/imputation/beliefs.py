"""What network and trees together believe of each unobserved cell: its whole distribution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.special import entr

from tabvae.columns.bins import Bins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.imputation.draws import inverse_cdf
from tabvae.values.arrow import Floats, Mask

POINTS = ("mean", "median", "mode")
"""What a missing number can be filled with; a category is always its most probable value."""


@dataclass(frozen=True)
class BeliefConfig:
    """When a filled cell is little better than a guess.

    Attributes:
        uncertainty_left: from this share of the column's own variance, or entropy, on: the other
            cells of its row have told next to nothing of it.
        most_rows: with gaps that are looked at for a summary; more would double the time of
            ``impute`` and change its second digit.
    """

    uncertainty_left: float = 0.9
    most_rows: int = 2000


@dataclass(frozen=True)
class Beliefs:
    """Distributions of the unobserved cells of rows.

    Attributes:
        codes: (N, columns) the rows.
        columns: (n, bins) a column, of its unobserved cells in their order.

    **Examples**

    >>> bins = ContinuousBins.fit(np.array([1.0, 2.0, 9.0, 9.0]), most=16)
    >>> [point_of(bins, np.array([[0.3, 0.3, 0.4]]), point).tolist() for point in POINTS]
    [[4.5], [2.0], [9.0]]
    """

    codes: Codes
    columns: list[Floats]

    def fill(self, codec: TableCodec, codes: Codes, point: str) -> None:
        """Set the missing cells of ``codes``, which are those of the beliefs, in place."""
        for j, (bins, distribution) in enumerate(zip(codec.bins_, self.columns, strict=True)):
            missing = codes.missing[:, j]
            found = distribution[missing[~codes.observed[:, j]]]
            codes.bins[missing, j], values = bins.expected(found)
            if isinstance(bins, ContinuousBins):
                values = point_of(bins, found, point)
                codes.bins[missing, j] = bins.encode(values)
            codes.values[missing, j] = values
            codes.observed[missing, j] = True

    def bounds(self, bins: ContinuousBins, j: int, level: float) -> tuple[Floats, Floats]:
        """(N,) the ends of the central interval of a number that holds it with probability
        ``level``; of a cell that is there, itself."""
        ends = []
        for share in ((1 - level) / 2, (1 + level) / 2):
            values = self.codes.values[:, j].copy()
            values[~self.codes.observed[:, j]] = quantile(bins, self.columns[j], share)
            ends.append(values)
        return ends[0], ends[1]

    def doubtful(self, codec: TableCodec, j: int, config: BeliefConfig) -> Mask:
        """(N,) the missing cells of a column of which the others of their row tell next to
        nothing."""
        bins = codec.bins_[j]
        left = _spread(bins, self.columns[j]) / max(_spread(bins, bins.mass[None])[0], 1e-12)
        found = self.codes.missing[:, j].copy()
        found[~self.codes.observed[:, j]] &= left >= config.uncertainty_left
        return found


def point_of(bins: ContinuousBins, distribution: Floats, point: str) -> Floats:
    """(n,) the mean, median or mode of distributions (n, bins) of numbers."""
    if point == "mode":
        return cast(Floats, bins.means[distribution.argmax(1)])
    if point == "median":
        return quantile(bins, distribution, 0.5)
    return distribution @ bins.means


def quantile(bins: ContinuousBins, distribution: Floats, share: float) -> Floats:
    """(n,) the value below which that share of each distribution (n, bins) lies."""
    return bins.decode(*inverse_cdf(distribution, np.full(len(distribution), share)))


def _spread(bins: Bins, distribution: Floats) -> Floats:
    """(n,) variance of numbers, entropy of categories."""
    if isinstance(bins, ContinuousBins):
        means = distribution @ bins.means
        return distribution @ bins.means**2 - means**2
    return cast(Floats, entr(distribution).sum(1))

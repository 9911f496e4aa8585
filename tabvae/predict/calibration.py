"""P-values: where the score of a row lies among the scores of rows like those of the table."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import ClassVar, cast

import numpy as np
from scipy.stats import genpareto

from tabvae.values.arrow import LARGEST_NUMBER, Floats

QUANTILES, TAIL_SHARE = 201, 0.1
"""Of model files: quantiles they keep of a score; share of the rows that a tail stands for."""


@dataclass(frozen=True)
class CalibrationConfig:
    """On which rows scores are calibrated.

    Attributes:
        enough_rows: validation rows that suffice by themselves: their smallest p-value is below
            that of any usual false positive rate.
        most_rows: of the whole table, where validation rows are too few; more would only take time.
        compared: quantiles at which validation rows are compared with all rows: as near to the
            tail as few rows allow.
        rows_believed: validation rows with which half of the difference is believed; fewer show
            one by chance.
        least_score: a quantile below it counts as this, so that a ratio is finite.

    Examples:
        >>> CalibrationConfig().compared
        (0.5, 0.8)
    """

    enough_rows: int = 500
    most_rows: int = 1000
    compared: tuple[float, ...] = (0.5, 0.8)
    rows_believed: int = 100
    least_score: float = 1e-9


@dataclass(frozen=True)
class Calibration:
    """The distribution of a score over rows like those of the training table.

    Attributes:
        farthest: excess of the oddest row, in mean excesses; its square is still finite.
        rows: how many rows it was measured on.
        quantiles: (QUANTILES,) of the score, evenly spaced in probability.
        tail: of model files of format 11: shape, start and scale of a generalised Pareto
            distribution (Pickands 1975) beyond the quantile ``1 - TAIL_SHARE``.

    Raises:
        ValueError: there are no rows, the quantiles fall or are beyond all scores, or the tail does
            not end.

    Examples:
        >>> hundred = Calibration.measure(np.arange(99.0))
        >>> hundred.p_values(np.array([-1.0, 200.0])).tolist()
        [1.0, 0.01]
    """

    farthest: ClassVar[float] = 1e30

    rows: int
    quantiles: Floats
    tail: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if (
            self.rows < 1
            or self.quantiles.shape != (QUANTILES,)
            or (np.diff(self.quantiles) < 0).any()
            or not np.abs(self.quantiles).max() <= LARGEST_NUMBER
        ):
            raise ValueError("a calibration by no rows, or without quantiles")
        if self.tail is not None and not (self.tail[0] >= 0 and self.tail[2] > 0):
            raise ValueError("a calibration whose tail does not end")

    @classmethod
    def measure(cls, scores: Floats) -> Calibration:
        """Of the ``scores`` (N,) of rows like new ones."""
        return cls(len(scores), np.quantile(scores, np.linspace(0, 1, QUANTILES)))

    def of_logarithms(self, least: float) -> Calibration:
        """That of the logarithm of the score, of ``least`` where it is less."""
        return replace(self, quantiles=np.log(self.quantiles.clip(least)))

    def rarity(self, scores: Floats) -> Floats:
        """(N,) minus the logarithm of the p-value, in nats; of the oddest tenth as if excesses over
        its threshold were exponential, so that no two odd rows are the same."""
        quantiles, scores = self._to_a_billionth(self.quantiles), self._to_a_billionth(scores)
        start = quantiles[int((1 - TAIL_SHARE) * (QUANTILES - 1))]
        excess = float((quantiles[quantiles >= start] - start).mean())
        least = np.finfo(float).eps * max(abs(start), 1.0)
        beyond = np.minimum((scores - start) / max(excess, least), self.farthest)
        in_tail = beyond - np.log(TAIL_SHARE)
        return cast(Floats, np.where(scores > start, in_tail, -np.log(self.p_values(scores))))

    @property
    def least(self) -> float:
        """The smallest p-value that so many rows can tell; a tail tells any."""
        return 1 / (1 + self.rows) if self.tail is None else 0.0

    def p_values(self, scores: Floats) -> Floats:
        """(N,) the share of ordinary rows that score at least as high, the row itself counted among
        them: one over one more than the rows it was measured on at the least (Vovk et al. 2005)."""
        shares = np.linspace(0, 1, QUANTILES)
        quantiles, scores = self._to_a_billionth(self.quantiles), self._to_a_billionth(scores)
        below = np.interp(scores, quantiles, shares, left=0.0, right=1.0)
        p_values: Floats = (1 + self.rows * (1 - below)) / (1 + self.rows)
        if self.tail is None:
            return p_values
        shape, start, scale = self.tail
        in_tail = TAIL_SHARE * genpareto.sf(scores - start, shape, loc=0, scale=scale)
        return cast(Floats, np.where(scores > start, in_tail, p_values))

    def _to_a_billionth(self, scores: Floats) -> Floats:
        """Scores without the last bits of a sum, which depend on the batch: where many rows score
        the same, these bits would decide on which side of all of them a row lies."""
        low, middle, high = np.quantile(self.quantiles, (0.25, 0.5, 0.75))
        unit = 1e-9 * float(high - low or abs(middle) or 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            rounded = np.round(scores / unit) * unit
        return cast(Floats, np.where(np.isfinite(rounded), rounded, scores))

    def threshold(self, p_value: float) -> float:
        """The score from which on rows have that p-value or less; where so few rows tell none that
        small, the oddest of them.

        Examples:
            >>> round(Calibration.measure(np.arange(99.0)).threshold(0.5), 1)
            49.5
        """
        if self.tail is not None and p_value < TAIL_SHARE:
            shape, start, scale = self.tail
            return float(start + genpareto.isf(p_value / TAIL_SHARE, shape, loc=0, scale=scale))
        below = 1 - ((1 + self.rows) * p_value - 1) / self.rows
        return float(np.interp(below, np.linspace(0, 1, QUANTILES), self.quantiles))


class Shift(Enum):
    """How scores of rows that a model learned from differ from those of other rows.

    Examples:
        >>> [shift.name for shift in Shift]
        ['AMOUNT', 'FACTOR']
    """

    AMOUNT = auto()
    FACTOR = auto()


def as_of_new_rows(
    scores: Floats,
    validation: Floats,
    shift: Shift,
    config: CalibrationConfig = CalibrationConfig(),
) -> Floats:
    """(N,) scores as if the model had not learned from their rows.

    What they lack beside validation rows is estimated as the mean of two quantiles, and believed
    the more, the more of these rows there are: hardly anything, where leverage has a bound.

    Args:
        scores: (N,) of all rows.
        validation: (H,) of the validation rows among them.
        shift: how the two differ.
        config: where they are compared, and how far to believe the difference.

    Examples:
        >>> as_of_new_rows(np.zeros(9), np.ones(100), Shift.AMOUNT)[:2]
        array([0.5, 0.5])
    """
    believed = len(validation) / (len(validation) + config.rows_believed)
    wanted, actual = (np.quantile(s, config.compared).mean() for s in (validation, scores))
    if shift is Shift.AMOUNT:
        return cast(Floats, scores + believed * (wanted - actual))
    ratio = max(wanted, config.least_score) / max(actual, config.least_score)
    return cast(Floats, scores * ratio**believed)

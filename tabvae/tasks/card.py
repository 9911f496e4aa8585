"""The model's card: the training curve, diagnostics of the latent space, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.stats import genpareto

from tabvae.columns.arrow import Floats
from tabvae.columns.codec import Codes
from tabvae.predict.predictor import Predictor
from tabvae.tasks.detect import LOOKS, UNITS, residual_scales
from tabvae.tasks.leakage import Leakage
from tabvae.tasks.scores import known_scores, score_rows
from tabvae.training.state import Record

ACTIVE_NATS = 0.01
"""A latent dimension with less KL than this on average carries nothing."""
COLLAPSED_SHARE = 0.25
FEWEST_CALIBRATION_ROWS, MOST_CALIBRATION_ROWS = 500, 1000
"""Held-out ones that are enough by themselves; of all rows, where they are not."""
PLACES, ROWS_BELIEVED = (0.5, 0.8), 100
"""Quantiles at which held-out rows are compared with all, as near to the tail as few rows allow; of
held-out rows, beside which it is believed that they do not differ."""
TAIL_SHARE = 0.1
LEVELS = 201
LEAST_SCORE = 1e-9


@dataclass(frozen=True)
class Calibration:
    """The distribution of the score over rows like those of the training table.

    Attributes:
        rows: how many rows it was measured on.
        quantiles: (LEVELS,) of the score.
        tail: of model files of format 11: shape, start and scale of a generalised Pareto
            distribution (Pickands 1975) beyond the quantile ``1 - TAIL_SHARE``.

    Examples:
        >>> hundred = Calibration.measure(np.arange(99.0))
        >>> hundred.p_values(np.array([-1.0, 200.0])).tolist()
        [1.0, 0.01]
    """

    rows: int
    quantiles: Floats
    tail: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        if (
            self.rows < 1
            or self.quantiles.shape != (LEVELS,)
            or (np.diff(self.quantiles) < 0).any()
        ):
            raise ValueError("a calibration by no rows, or without quantiles")
        if self.tail is not None and not (self.tail[0] >= 0 and self.tail[2] > 0):
            raise ValueError("a calibration whose tail does not end")

    @classmethod
    def measure(cls, scores: Floats) -> Calibration:
        """Of the ``scores`` of rows like new ones."""
        return cls(len(scores), np.quantile(scores, np.linspace(0, 1, LEVELS)))

    @property
    def least(self) -> float:
        """The smallest p-value that so many rows can tell; a tail tells any."""
        return 1 / (1 + self.rows) if self.tail is None else 0.0

    def p_values(self, scores: Floats) -> Floats:
        """(N,) the share of ordinary rows that score at least as high, the row itself counted among
        them: one over one more than the rows it was measured on at the least (Vovk et al. 2005)."""
        below = np.interp(scores, self.quantiles, np.linspace(0, 1, LEVELS), left=0.0, right=1.0)
        p_values: Floats = (1 + self.rows * (1 - below)) / (1 + self.rows)
        if self.tail is None:
            return p_values
        shape, start, scale = self.tail
        in_tail = TAIL_SHARE * genpareto.sf(scores - start, shape, loc=0, scale=scale)
        return cast(Floats, np.where(scores > start, in_tail, p_values))


def as_of_new_rows(scores: Floats, others: Floats, additive: bool) -> Floats:
    """Scores as if the model had not learned from their rows.

    What they lack beside held-out rows is estimated at the median and at the quantile 0.8, and
    believed the more, the more of these there are: hardly anything, where leverage has a bound.

    Args:
        scores: (N,) of all rows.
        others: (H,) of the held-out rows among them.
        additive: whether scores differ by an amount; else by a factor.
    """
    believed = len(others) / (len(others) + ROWS_BELIEVED)
    place, other = (np.quantile(s, PLACES).mean() for s in (others, scores))
    if additive:
        return cast(Floats, scores + believed * (place - other))
    ratio = max(place, LEAST_SCORE) / max(other, LEAST_SCORE)
    return cast(Floats, scores * ratio**believed)


@dataclass(frozen=True)
class Card:
    """What is known of a fitted model beyond its weights.

    Attributes:
        records: what happened in the training of each network.
        kl: (latent,) mean KL per latent dimension over held-out rows, in nats; of no length for a
            model without a KL term.
        scales: (UNITS, LOOKS, columns) residual deviations, see ``residual_scales``.
        calibrations: distribution of each score the model has.
        leakage: what it gives away of the rows it learned from; ``None`` if that is not known.
    """

    records: tuple[Record, ...]
    kl: Floats
    scales: Floats
    calibrations: dict[str, Calibration]
    leakage: Leakage | None = None

    def __post_init__(self) -> None:
        if self.scales.shape[:2] != (UNITS, LOOKS) or not (self.scales > 0).all():
            raise ValueError("the residual deviations are none")

    @property
    def active(self) -> int:
        """Number of latent dimensions in use."""
        return int((self.kl > ACTIVE_NATS).sum())

    @property
    def collapsed(self) -> bool:
        """Most of the latent space is unused."""
        return self.active < COLLAPSED_SHARE * len(self.kl)

    @classmethod
    def measure(
        cls,
        predictor: Predictor,
        codes: Codes,
        unseen: Codes,
        records: Sequence[Record],
        leakage: Leakage | None = None,
    ) -> Card:
        """Measure the networks on the rows they did not train on; where these are few, on all.

        Args:
            predictor: networks and codec.
            codes: (N, columns) the whole table.
            unseen: (H, columns) the held-out rows.
            records: of each network's training.
            leakage: what they and the trees give away.
        """
        enough = len(unseen) >= FEWEST_CALIBRATION_ROWS
        examined = unseen if enough else codes.at_most(MOST_CALIBRATION_ROWS, seed=0)
        scales = residual_scales(predictor, examined)
        calibrations = {}
        for kind in known_scores(predictor.networks):
            scores = score_rows(kind, predictor, examined, scales)
            if not enough and len(unseen):
                others = score_rows(kind, predictor, unseen, scales)
                scores = as_of_new_rows(scores, others, additive=kind == "likelihood")
            calibrations[kind] = Calibration.measure(scores)
        told = unseen if len(unseen) else codes
        networks = predictor.networks
        return cls(
            records=tuple(records),
            kl=networks.kl(told).mean(0) if networks.objective.variational else np.zeros(0),
            scales=scales,
            calibrations=calibrations,
            leakage=leakage,
        )

"""The model's card: the training curve, diagnostics of the latent space, and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from scipy.stats import genpareto

from tabvae.cells import Floats
from tabvae.detect import residual_scales
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble
from tabvae.leakage import Leakage
from tabvae.scores import known_scores, score_rows
from tabvae.training import Record

ACTIVE_NATS = 0.01
"""A latent dimension with less KL than this on average carries nothing."""
COLLAPSED_SHARE = 0.25
FEWEST_CALIBRATION_ROWS, MOST_CALIBRATION_ROWS = 500, 1000
UPPER_LEVEL = 0.8
"""The quantile at which the scores of a few held-out rows are compared with those of all rows: as
near to the tail as a few rows allow."""
TAIL_SHARE = 0.1
FEWEST_TAIL_ROWS = 5
LEVELS = 201
LEAST_SCORE = 1e-9


@dataclass(frozen=True)
class Calibration:
    """The distribution of the score over rows like those of the training table.

    Below the tail it is empirical; beyond, a generalised Pareto distribution (Pickands 1975), so
    that p-values go on falling past the largest score seen.

    Attributes:
        rows: how many rows it was measured on.
        quantiles: (LEVELS,) of the score.
        tail: shape, start and scale of the Pareto tail; ``None`` with too few rows.
    """

    rows: int
    quantiles: Floats
    tail: tuple[float, float, float] | None

    @classmethod
    def measure(cls, scores: Floats, upper: Floats | None = None) -> Calibration:
        """Fit to scores.

        Args:
            scores: of rows the networks did not train on.
            upper: of more rows, moved to where ``scores`` are, for the tail; by default ``scores``.
        """
        upper = scores if upper is None else upper
        levels = np.linspace(0, 1, LEVELS)
        tops = levels >= 1 - TAIL_SHARE
        quantiles = np.where(tops, np.quantile(upper, levels), np.quantile(scores, levels))
        quantiles = np.maximum.accumulate(quantiles)
        start = float(np.quantile(upper, 1 - TAIL_SHARE))
        beyond = upper[upper > start] - start
        tail = None
        if len(beyond) >= FEWEST_TAIL_ROWS:
            shape, _, scale = genpareto.fit(beyond, floc=0)
            tail = (float(max(shape, 0.0)), start, float(scale))
        return cls(len(scores), quantiles, tail)

    def p_values(self, scores: Floats) -> Floats:
        """(N,) the share of ordinary rows that score at least as high."""
        below = np.interp(scores, self.quantiles, np.linspace(0, 1, LEVELS), left=0.0, right=1.0)
        p_values = (1 + self.rows * (1 - below)) / (1 + self.rows)
        if self.tail is None:
            return p_values
        shape, start, scale = self.tail
        in_tail = TAIL_SHARE * genpareto.sf(scores - start, shape, loc=0, scale=scale)
        return cast(Floats, np.where(scores > start, in_tail, p_values))


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
        ensemble: Ensemble,
        encoder: TableEncoder,
        codes: Codes,
        unseen: Codes,
        records: Sequence[Record],
        leakage: Leakage | None = None,
    ) -> Card:
        """Measure the networks on the rows they did not train on.

        Args:
            ensemble: the networks.
            encoder: fitted to the table.
            codes: (N, columns) the whole table.
            unseen: (H, columns) the held-out rows.
            records: of each network's training.
            leakage: what they and the trees give away.
        """
        examined = unseen if len(unseen) else codes
        scales = residual_scales(ensemble, encoder, examined)
        calibrations = {}
        for kind in known_scores(ensemble):
            scores = score_rows(kind, ensemble, encoder, examined, scales)
            upper = None
            if len(scores) < min(FEWEST_CALIBRATION_ROWS, len(codes)):
                # Too few for the tail: its shape is that of all rows, its place the held-out ones'.
                some = codes.at_most(MOST_CALIBRATION_ROWS, seed=0)
                every = score_rows(kind, ensemble, encoder, some, scales)
                place, other = (np.quantile(s, UPPER_LEVEL) for s in (scores, every))
                if kind == "likelihood":
                    upper = every + place - other
                else:
                    upper = every * place / max(other, LEAST_SCORE)
            calibrations[kind] = Calibration.measure(scores, upper)
        return cls(
            records=tuple(records),
            kl=ensemble.kl(examined).mean(0) if ensemble.objective.variational else np.zeros(0),
            scales=scales,
            calibrations=calibrations,
            leakage=leakage,
        )

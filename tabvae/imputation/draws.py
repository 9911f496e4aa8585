"""Each missing cell as network and trees together believe it; and joint draws that follow that.

A network draws the missing cells of a row together, but knows each of them less well than network
and trees do. So of what it draws the dependence of cells on each other is kept: a cell goes to that
place of its better distribution where it was in the network's (ensemble copula coupling, Schefzik
et al. 2013).

The better one of a number is the network's with its variance as much smaller as the error of both
is, tilted to the mean that both guess: the nearest in information that has it (Csiszar 1975). Where
cells hidden from both lie in theirs corrects the places (Kuleshov et al. 2018). Of a category it is
the guess itself, and a drawn one stays as often as it can (maximal coupling, Lindvall 1992).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import softmax

from tabvae.columns.arrow import Floats, Ints
from tabvae.columns.bins import Bins, ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.stacking import StackingWeights, Trial
from tabvae.predict.ensemble import sample_bins
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import Sample, set_column

PLACES = 101
CELLS_BEFORE = 200
"""Cells that lie where they should, beside those on which places are learned."""
STEEPEST, EXACT = 1e5, 1e-7
"""Tilt of a number, for each deviation; deviations by which its mean may be wrong."""
LEAST, LEAST_ERROR, NEAR_END = 1e-12, 0.1, 1e-3
"""Probability of a bin; squared error over the network's; how near a mean comes to the first and
the last bin, as a share of what lies between them."""


@dataclass(frozen=True)
class Recalibration:
    """The way from the network's distribution of a cell to the better one.

    Attributes:
        places: (PLACES,) quantiles of where hidden numbers lie in their better distribution.
    """

    places: Floats

    def __post_init__(self) -> None:
        steps = np.diff(self.places, prepend=0, append=1)
        if self.places.shape != (PLACES,) or not (steps >= 0).all():
            raise ValueError("the places of draws are no quantiles")

    @classmethod
    def none(cls) -> Recalibration:
        """Places are right as they are."""
        return cls(np.linspace(0, 1, PLACES))

    @classmethod
    def fit(
        cls,
        predictor: Predictor,
        stacking: StackingWeights,
        trial: Trial | None,
        seed: int,
    ) -> Recalibration:
        """Learn places from numbers that were hidden.

        Args:
            predictor: networks and codec.
            stacking: in network and trees.
            trial: rows with cells hidden, and what is guessed of those; without it places stay.
            seed: of the places within bins.
        """
        if trial is None:
            return cls.none()
        rng = np.random.default_rng(seed)
        places, errors = [np.linspace(0, 1, CELLS_BEFORE)], stacking.errors_in(trial.masked)
        distributions = predictor.distributions(trial.masked)
        columns = zip(predictor.codec.bins_, distributions, strict=True)
        for j, (coder, (_, network)) in enumerate(columns):
            if coder.is_number:
                rows = np.flatnonzero(~trial.masked.observed[:, j])
                known = trial.complete.observed[rows, j]
                guesses = trial.guesses[j][known]
                better = sharpened(coder, network[known], guesses, errors[j][known])
                bins = trial.complete.bins[rows[known], j]
                places.append(_pit(better, bins, rng.random(len(bins))))
        return cls(np.quantile(np.concatenate(places), np.linspace(0, 1, PLACES)))

    def moved(
        self,
        codec: TableCodec,
        codes: Codes,
        sample: Sample,
        networks: list[Floats],
        better: list[Floats],
    ) -> Sample:
        """``sample`` with its drawn cells where they are in the better distributions.

        Args:
            codec: knows the kind of each column.
            codes: (N, columns) the rows before they were completed.
            sample: what the network drew.
            networks: (n, bins) a column, its distribution of each unobserved cell.
            better: the same by network and trees together.
        """
        done, levels = sample.codes.copy(), sample.quantiles.copy()
        for j, coder in enumerate(codec.bins_):
            rows = np.flatnonzero(~codes.observed[:, j])
            drawn = done.bins[rows, j], levels[rows, j]
            if coder.is_number:
                place = _pit(networks[j], *drawn)
                place = np.interp(place, np.linspace(0, 1, PLACES), self.places)
                bins, inside = _inverse_cdf(better[j], place)
            else:
                bins, inside = _maximal_coupling(networks[j], better[j], *drawn)
            levels[rows, j] = inside
            set_column(codec, done, j, rows, bins, inside)
        return replace(sample, codes=done, quantiles=levels)


def sharpened(coder: Bins, network: Floats, guess: Floats, errors: Floats) -> Floats:
    """(n, bins) what network and trees together believe of cells of one column.

    Args:
        coder: its bins.
        network: (n, bins) the network's distribution.
        guess: (n,) means in column deviations, or (n, bins) probabilities of a category.
        errors: (n,) squared error of the guess over that of the network's.
    """
    if not isinstance(coder, ContinuousBins):
        return cast(Floats, guess / guess.sum(1, keepdims=True))
    x = coder.deviations(coder.means)
    reach = (x.max() - x.min()) * NEAR_END
    if len(guess) == 0 or reach == 0:
        return network
    mean = guess.clip(x.min() + reach, x.max() - reach)
    # A normal distribution to the power 1 / error has its variance times the error.
    log_p = np.log(network.clip(LEAST)) / errors[:, None].clip(LEAST_ERROR)

    def away(tilt: Floats, row: Ints) -> Floats:
        return cast(Floats, softmax(log_p[row] + tilt[:, None] * x, axis=1) @ x - mean[row])

    found = find_root(
        away,
        (-STEEPEST, STEEPEST),
        args=(np.arange(len(mean)),),
        tolerances={"fatol": EXACT},
    )
    return cast(Floats, softmax(log_p + found.x[:, None] * x, axis=1))


def _pit(probabilities: Floats, bins: Ints, levels: Floats | float) -> Floats:
    """(n,) the share of each distribution that lies below ``levels`` of its bin."""
    above = np.cumsum(probabilities, axis=1)
    own = np.take_along_axis(probabilities, bins[:, None], axis=1)[:, 0]
    place = np.take_along_axis(above, bins[:, None], axis=1)[:, 0] - (1 - levels) * own
    return cast(Floats, (place / above[:, -1]).clip(0, 1))


def _inverse_cdf(probabilities: Floats, place: Floats) -> tuple[Ints, Floats]:
    """The bins and the levels within them at which ``_pit`` is ``place``."""
    bins = sample_bins(probabilities, place)
    start, end = (_pit(probabilities, bins, level) for level in (0.0, 1.0))
    return bins, ((place - start) / np.maximum(end - start, LEAST)).clip(0, 1)


def _maximal_coupling(
    network: Floats, better: Floats, bins: Ints, levels: Floats
) -> tuple[Ints, Floats]:
    """Categories distributed as ``better``, from ``bins`` that are as ``network``; what is left of
    the uniform ``levels`` is uniform again."""
    was, now = (np.take_along_axis(p, bins[:, None], axis=1)[:, 0] for p in (network, better))
    stays = np.minimum(now / np.maximum(was, LEAST), 1.0)
    kept = levels <= stays
    left = (levels - stays) / np.maximum(1 - stays, LEAST)
    others, inside = _inverse_cdf((better - network).clip(0) + LEAST, left.clip(0, 1))
    return np.where(kept, bins, others), np.where(kept, levels / np.maximum(stays, LEAST), inside)

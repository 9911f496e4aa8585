"""Each missing cell as network and trees together believe it; and joint draws that follow that.

A network draws the missing cells of a row together, but knows each of them less well than network
and trees do. So of what it draws the dependence of cells on each other is kept: a cell goes to that
quantile of its better distribution at which it was in the network's (ensemble copula coupling,
Schefzik et al. 2013).

The better one of a number is the network's with its variance as much smaller as the error of both
is, tilted to the mean that both guess: the nearest in information that has it (Csiszar 1975). Where
cells hidden from both lie in theirs corrects the quantiles (Kuleshov et al. 2018). Of a category it
is the guess itself, and a drawn one stays as often as it can (maximal coupling, Lindvall 1992).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from scipy.optimize.elementwise import find_root
from scipy.special import softmax

from tabvae.columns.arrays import Arrays, floats
from tabvae.columns.bins import Bins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.imputation.stacking import StackingWeights, Trial
from tabvae.predict.ensemble import sample_bins
from tabvae.predict.missingness import LEAST
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import Sample, set_column
from tabvae.values.arrow import Floats, Ints

QUANTILES = 101
"""That a model file holds."""


@dataclass(frozen=True)
class RecalibrationConfig:
    """How a better distribution is made.

    Attributes:
        cells_before: that lie where they should, beside those on which quantiles are learned, so
            that few of them change little.
        least_error: squared error over the network's: variance is made no smaller than that.
        near_end: how near a mean comes to the first and the last bin, as a share of what lies
            between them: at an end only one bin would be left.
        steepest: tilt for each deviation, at most.
        exact: deviations by which a mean may be wrong.
    """

    cells_before: int = 200
    least_error: float = 0.1
    near_end: float = 1e-3
    steepest: float = 1e5
    exact: float = 1e-7


@dataclass(frozen=True)
class Recalibration:
    """The way from the network's distribution of a cell to the better one.

    Attributes:
        quantiles: (QUANTILES,) of the probability integral transforms of hidden numbers in their
            better distributions.

    Raises:
        ValueError: they are no quantiles.

    **Examples**

    >>> Recalibration.none().quantiles[[0, 50, 100]]
    array([0. , 0.5, 1. ])
    """

    quantiles: Floats

    def __post_init__(self) -> None:
        steps = np.diff(self.quantiles, prepend=0, append=1)
        if self.quantiles.shape != (QUANTILES,) or not (steps >= 0).all():
            raise ValueError("the places of draws are no quantiles")

    @classmethod
    def none(cls) -> Recalibration:
        """Quantiles are right as they are."""
        return cls(np.linspace(0, 1, QUANTILES))

    @classmethod
    def fit(
        cls,
        predictor: Predictor,
        stacking: StackingWeights,
        trial: Trial | None,
        seed: int,
        config: RecalibrationConfig | None = None,
    ) -> Recalibration:
        """Learn quantiles from numbers that were hidden.

        Args:
            predictor: networks and codec.
            stacking: in network and trees.
            trial: rows with cells hidden, and what is guessed of those; without it quantiles stay.
            seed: of the quantiles within bins.
            config: how far few cells are believed.
        """
        if trial is None:
            return cls.none()
        config, rng = config or RecalibrationConfig(), np.random.default_rng(seed)
        pits, errors = [np.linspace(0, 1, config.cells_before)], stacking.errors_in(trial.masked)
        distributions = predictor.distributions(trial.masked)
        columns = zip(predictor.codec.bins_, distributions, strict=True)
        for j, (coder, (_, network)) in enumerate(columns):
            if coder.is_number:
                rows = np.flatnonzero(~trial.masked.observed[:, j])
                hidden = trial.complete.observed[rows, j]
                guesses = trial.guesses[j][hidden]
                better = sharpened(coder, network[hidden], guesses, errors[j][hidden], config)
                bins = trial.complete.bins[rows[hidden], j]
                pits.append(pit(better, bins, rng.random(len(bins))))
        return cls(np.quantile(np.concatenate(pits), np.linspace(0, 1, QUANTILES)))

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
        done, quantiles = sample.codes.copy(), sample.quantiles.copy()
        for j, coder in enumerate(codec.bins_):
            rows = np.flatnonzero(~codes.observed[:, j])
            drawn = done.bins[rows, j], quantiles[rows, j]
            if coder.is_number:
                uniform = pit(networks[j], *drawn)
                uniform = np.interp(uniform, np.linspace(0, 1, QUANTILES), self.quantiles)
                bins, inside = inverse_cdf(better[j], uniform)
            else:
                bins, inside = maximal_coupling(networks[j], better[j], *drawn)
            quantiles[rows, j] = inside
            set_column(codec, done, j, rows, bins, inside)
        return replace(sample, codes=done, quantiles=quantiles)

    def arrays(self) -> Arrays:
        """``margins.places``."""
        return {"margins.places": self.quantiles}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> Recalibration:
        """Made again from what ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are no quantiles.
        """
        return cls(floats(arrays, "margins.places"))


def sharpened(
    coder: Bins,
    network: Floats,
    guess: Floats,
    errors: Floats,
    config: RecalibrationConfig | None = None,
) -> Floats:
    """(n, bins) what network and trees together believe of cells of one column.

    Args:
        coder: its bins.
        network: (n, bins) the network's distribution.
        guess: (n,) means in column deviations, or (n, bins) probabilities of a category.
        errors: (n,) squared error of the guess over that of the network's.
        config: how far it may go.
    """
    if not isinstance(coder, ContinuousBins):
        return cast(Floats, guess / guess.sum(1, keepdims=True))
    config = config or RecalibrationConfig()
    x = coder.deviations(coder.means)
    reach = (x.max() - x.min()) * config.near_end
    if len(guess) == 0 or reach == 0:
        return network
    mean = guess.clip(x.min() + reach, x.max() - reach)
    # A normal distribution to the power 1 / error has its variance times the error.
    log_p = np.log(network.clip(LEAST)) / errors[:, None].clip(config.least_error)

    def excess(tilt: Floats, row: Ints) -> Floats:
        return cast(Floats, softmax(log_p[row] + tilt[:, None] * x, axis=1) @ x - mean[row])

    root = find_root(
        excess,
        (-config.steepest, config.steepest),
        args=(np.arange(len(mean)),),
        tolerances={"fatol": config.exact},
    )
    return cast(Floats, softmax(log_p + root.x[:, None] * x, axis=1))


def pit(probabilities: Floats, bins: Ints, quantiles: Floats | float) -> Floats:
    """(n,) probability integral transforms: the share of each distribution (n, bins) that lies
    below ``quantiles`` of its bin.

    **Examples**

    >>> pit(np.array([[0.5, 0.2, 0.3]]), np.array([1]), 0.5)
    array([0.6])
    """
    above = np.cumsum(probabilities, axis=1)
    mass = np.take_along_axis(probabilities, bins[:, None], axis=1)[:, 0]
    below = np.take_along_axis(above, bins[:, None], axis=1)[:, 0] - (1 - quantiles) * mass
    return cast(Floats, (below / above[:, -1]).clip(0, 1))


def inverse_cdf(probabilities: Floats, uniforms: Floats) -> tuple[Ints, Floats]:
    """The bins (n,) and the quantiles (n,) within them at which ``pit`` is ``uniforms`` (n,).

    **Examples**

    >>> bins, quantiles = inverse_cdf(np.array([[0.5, 0.2, 0.3]]), np.array([0.6]))
    >>> bins, quantiles.round(6)
    (array([1]), array([0.5]))
    """
    bins = sample_bins(probabilities, uniforms)
    start, end = (pit(probabilities, bins, quantile) for quantile in (0.0, 1.0))
    return bins, ((uniforms - start) / np.maximum(end - start, LEAST)).clip(0, 1)


def maximal_coupling(
    network: Floats, better: Floats, bins: Ints, quantiles: Floats
) -> tuple[Ints, Floats]:
    """Categories distributed as ``better`` (n, bins), from ``bins`` (n,) that are as ``network``
    (n, bins) has it: as many as can stay do (Lindvall 1992). What is left of the uniform
    ``quantiles`` (n,) is uniform again.

    **Examples**

    >>> network, better = np.array([[0.8, 0.2]]), np.array([[0.2, 0.8]])
    >>> [maximal_coupling(network, better, np.array([0]), np.array([u]))[0] for u in (0.2, 0.3)]
    [array([0]), array([1])]
    """
    before, after = (np.take_along_axis(p, bins[:, None], axis=1)[:, 0] for p in (network, better))
    stay = np.minimum(after / np.maximum(before, LEAST), 1.0)
    stays = quantiles <= stay
    remainder = (quantiles - stay) / np.maximum(1 - stay, LEAST)
    others, inside = inverse_cdf((better - network).clip(0) + LEAST, remainder.clip(0, 1))
    inside = np.where(stays, quantiles / np.maximum(stay, LEAST), inside)
    return np.where(stays, bins, others), inside

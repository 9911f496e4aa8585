"""How odd each row is, by the score asked for: the one of ``detect``, or one of the textbook's.

``SCORES`` is the table of all scores: each says how it is measured, what it needs, and how it
differs between rows that were learned from and others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import cast

import numpy as np

from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import ParameterError, shown, suggestion
from tabvae.predict.calibration import Calibration, Shift
from tabvae.predict.density import Density
from tabvae.predict.ensemble import Ensemble, batches
from tabvae.predict.predictor import Predictor
from tabvae.tasks.detect import DetectConfig, Surprise, row_scores, surprise
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class Examined:
    """Rows whose scores are asked for.

    Attributes:
        predictor: networks, of which all scores but ``surprise`` use the first, and codec.
        codes: (N, columns) rows.
        scales: for ``surprise``, see ``tabvae.tasks.detect.residual_scales``.
        density: for ``density``, if the model has one.
        calibrations: for ``combined``, of the scores it joins, by name.
        config: how scores are measured.
    """

    predictor: Predictor
    codes: Codes
    scales: Floats
    density: Density | None = None
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)
    config: DetectConfig = DetectConfig()

    def score(self, name: str) -> Floats:
        """(N,) one of ``SCORES``; measured once, also where others ask for it."""
        if not len(self.codes):
            return np.zeros(0)
        if name not in self._scores:
            self._scores[name] = SCORES[name].rows(self)
        return self._scores[name]

    @cached_property
    def _scores(self) -> dict[str, Floats]:
        return {}

    @cached_property
    def surprise(self) -> Surprise:
        """Of every cell; measured once, for the score and for the cells that account for it."""
        return surprise(self.predictor, self.codes, self.scales, self.config)


@dataclass(frozen=True)
class Score:
    """One way to say how odd rows are.

    Attributes:
        name: by which users ask for it.
        needs_distribution: of the latent space, which a plain autoencoder lacks.
        needs_density: of rows, which models of grids and of earlier releases lack.
        rows: the rows to their scores (N,); larger is odder.
        shift: how it differs between rows that were learned from and others.

    Examples:
        >>> [score.name for score in SCORES.values() if score.needs_distribution]
        ['likelihood', 'latent']
    """

    name: str
    needs_distribution: bool
    needs_density: bool
    rows: Callable[[Examined], Floats]
    shift: Shift


def _surprise(examined: Examined) -> Floats:
    """The root mean square of the surprise of the row's cells, see ``tabvae.tasks.detect``."""
    return row_scores(examined.surprise.cells)


def _likelihood(examined: Examined) -> Floats:
    """Minus a bound on the log-density of the row, numbers in deviations (Burda et al. 2016)."""
    predictor, codes, config = examined.predictor, examined.codes, examined.config
    # The same draws for every row, so that a row's score does not depend on the others.
    _, bound = predictor.networks.bounds(codes, config.samples, seed=0, shared=True)
    return _log_volume(predictor.codec, codes, config.least_width) - bound


def _reconstruction(examined: Examined) -> Floats:
    """Mean error of the cells as restored from the mean of z: squared deviations of a number, minus
    log-probability of a category."""
    predictor, codes, config = examined.predictor, examined.codes, examined.config
    networks = predictor.networks
    error = np.zeros(codes.bins.shape)
    for rows in batches(len(codes)):
        block = codes[rows]
        hidden = networks.represent_latent(networks.posterior(block)[0])
        for j, bins in enumerate(predictor.codec.bins_):
            probabilities = networks.probabilities(hidden, j)
            if bins.is_number:
                _, means = bins.expected(probabilities)
                deviations = (block.values[:, j] - means) / bins.scale
                error[rows, j] = deviations.clip(-config.farthest, config.farthest) ** 2
            else:
                likelihood = probabilities[np.arange(len(block)), block.bins[:, j]]
                error[rows, j] = -np.log(likelihood.clip(min=config.least_probability))
    present = codes.observed
    return cast(Floats, np.where(present, error, 0.0).sum(1) / present.sum(1).clip(min=1))


def _latent(examined: Examined) -> Floats:
    """KL divergence of q(z | row) from the prior."""
    return cast(Floats, examined.predictor.networks.kl(examined.codes).sum(1))


def _density(examined: Examined) -> Floats:
    """How rare the row is as a whole, see ``tabvae.predict.density``."""
    assert examined.density is not None
    return examined.density.rarity(examined.predictor, examined.codes)


def _combined(examined: Examined) -> Floats:
    """The root mean square of how rare the row is by each of ``JOINED``, in nats."""
    squares = [
        _rarity(SCORES[name], examined) ** 2 for name in JOINED if name in examined.calibrations
    ]
    return cast(Floats, np.sqrt(np.mean(squares, axis=0)))


def _rarity(score: Score, examined: Examined) -> Floats:
    """Minus the logarithm of the p-value (N,); of scores that differ by factors, the tail is that
    of their logarithms."""
    scores, calibration = examined.score(score.name), examined.calibrations[score.name]
    if score.shift is Shift.FACTOR:
        least = examined.config.least_score
        scores, calibration = np.log(scores.clip(least)), calibration.of_logarithms(least)
    return calibration.rarity(scores)


SCORES = {
    score.name: score
    for score in (
        Score("surprise", False, False, _surprise, Shift.FACTOR),
        Score("likelihood", True, False, _likelihood, Shift.AMOUNT),
        Score("reconstruction", False, False, _reconstruction, Shift.FACTOR),
        Score("latent", True, False, _latent, Shift.FACTOR),
        Score("density", False, True, _density, Shift.AMOUNT),
        Score("combined", False, True, _combined, Shift.AMOUNT),
    )
}
JOINED = ("surprise", "likelihood", "density")
"""By ``combined``, where a model has them: one cell that is odd, the row by the network's own
density, the row by mixtures."""


def known_scores(ensemble: Ensemble, density: Density | None) -> dict[str, Score]:
    """The scores that a model has, by name: all if its latent space has a distribution, and it a
    density of rows."""
    variational = ensemble.objective.variational
    return {
        name: score
        for name, score in SCORES.items()
        if (variational or not score.needs_distribution)
        and (density is not None or not score.needs_density)
    }


def chosen_score(ensemble: Ensemble, density: Density | None, name: str | None) -> Score:
    """The score asked for, or the one to use: ``combined``; ``reconstruction`` on a grid, and
    ``surprise`` by models of earlier releases.

    A strange image has no strange pixel, for each is what its neighbours say; but no code restores
    it.

    Raises:
        ParameterError: there is no such score, or the model has not what it needs.
    """
    if name is None:
        without = "surprise" if ensemble.nets[0].sizes.grid is None else "reconstruction"
        name = without if density is None else "combined"
    if name not in SCORES:
        raise ParameterError(f"no score {shown(name)}", suggestion(name, SCORES))
    known = known_scores(ensemble, density)
    if name in known:
        return known[name]
    if SCORES[name].needs_density:
        raise ParameterError(
            f"this model has no score {shown(name)}: it knows no density of rows",
            "fit again, without --grid",
        )
    raise ParameterError(
        f"a plain autoencoder has no score {shown(name)}: its latent space has no distribution",
        "--score surprise or reconstruction, or fit with --family vae",
    )


def _log_volume(codec: TableCodec, codes: Codes, least_width: float) -> Floats:
    """(N,) log of the stretch of its column that each number's bin stands for, in deviations,
    summed over the row; and how far the numbers are beyond the range of their columns."""
    total = np.zeros(len(codes))
    for j, bins in enumerate(codec.bins_):
        if not isinstance(bins, ContinuousBins):
            continue
        middle = (bins.means[1:] + bins.means[:-1]) / 2
        low, high = bins.ends
        edges = np.concatenate([[low], middle, [high]])
        widths = np.log(np.maximum(np.diff(edges) / bins.scale, least_width))
        values = codes.values[:, j]
        beyond = np.maximum(values - high, low - values).clip(min=0) / bins.scale
        total += np.where(codes.observed[:, j], widths[codes.bins[:, j]] + beyond, 0.0)
    return total

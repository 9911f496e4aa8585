"""How odd each row is, by the score asked for: the one of ``detect``, or one of the textbook's."""

from __future__ import annotations

from typing import cast

import numpy as np

from tabvae.columns.arrow import Floats
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.errors import ParameterError, shown, suggestion
from tabvae.predict.ensemble import Ensemble, batches
from tabvae.predict.predictor import Predictor
from tabvae.tasks.detect import FEWEST_PROBABILITY, MOST_DEVIATIONS, row_scores, surprise

SCORES = ("surprise", "likelihood", "reconstruction", "latent")
NEED_A_DISTRIBUTION = ("likelihood", "latent")
SAMPLES = 16
"""Of z, for the bound on a row's likelihood."""
LEAST_WIDTH = 1e-6


def known_scores(ensemble: Ensemble) -> tuple[str, ...]:
    """The scores that a model has: all if its latent space has a distribution."""
    if ensemble.objective.variational:
        return SCORES
    return tuple(name for name in SCORES if name not in NEED_A_DISTRIBUTION)


def chosen_score(ensemble: Ensemble, kind: str | None) -> str:
    """The score asked for, or the one to use: ``surprise``, and ``reconstruction`` on a grid.

    A strange image has no strange pixel, for each is what its neighbours say; but no code restores
    it.

    Raises:
        ParameterError: there is no such score, or the model has no distribution for it.
    """
    if kind is None:
        return "surprise" if ensemble.nets[0].sizes.grid is None else "reconstruction"
    if kind not in SCORES:
        raise ParameterError(f"no score {shown(kind)}", suggestion(kind, SCORES))
    if kind not in known_scores(ensemble):
        raise ParameterError(
            f"a plain autoencoder has no score {shown(kind)}: its latent space has no distribution",
            "--score surprise or reconstruction, or fit with --model vae",
        )
    return kind


def score_rows(kind: str, predictor: Predictor, codes: Codes, scales: Floats) -> Floats:
    """(N,) how odd each row is; larger is odder.

    ``surprise``: see ``tabvae.tasks.detect``. ``likelihood``: minus a bound on the log-density of
    the row, numbers in deviations (Burda et al. 2016). ``reconstruction``: mean error of the cells
    as restored from the mean of z, squared deviations or minus log-probability. ``latent``: KL
    divergence of q(z | row) from the prior.

    Args:
        kind: one of ``SCORES``.
        predictor: networks, of which all but ``surprise`` use the first, and codec.
        codes: (N, columns) rows.
        scales: for ``surprise``, see ``tabvae.tasks.detect.residual_scales``.
    """
    if kind == "surprise":
        return row_scores(surprise(predictor, codes, scales).cells)
    if kind == "latent":
        return cast(Floats, predictor.networks.kl(codes).sum(1))
    if kind == "likelihood":
        # The same draws for every row, so that a row's score does not depend on the others.
        _, bound = predictor.networks.bounds(codes, SAMPLES, seed=0, shared=True)
        return _log_volume(predictor.codec, codes) - bound
    return _reconstruction(predictor, codes)


def _log_volume(codec: TableCodec, codes: Codes) -> Floats:
    """(N,) log of the stretch of its column that each number's bin stands for, in deviations,
    summed over the row; and how far the numbers are beyond the range of their columns."""
    total = np.zeros(len(codes))
    for j, coder in enumerate(codec.bins_):
        if not isinstance(coder, ContinuousBins):
            continue
        middle = (coder.means[1:] + coder.means[:-1]) / 2
        low, high = coder.ends
        edges = np.concatenate([[low], middle, [high]])
        widths = np.log(np.maximum(np.diff(edges) / coder.scale, LEAST_WIDTH))
        values = codes.values[:, j]
        beyond = np.maximum(values - high, low - values).clip(min=0) / coder.scale
        total += np.where(codes.observed[:, j], widths[codes.bins[:, j]] + beyond, 0.0)
    return total


def _reconstruction(predictor: Predictor, codes: Codes) -> Floats:
    networks = predictor.networks
    error = np.zeros(codes.bins.shape)
    for rows in batches(len(codes)):
        block = codes[rows]
        hidden = networks.represent_latent(networks.posterior(block)[0])
        for j, coder in enumerate(predictor.codec.bins_):
            probabilities = networks.probabilities(hidden, j)
            if isinstance(coder, ContinuousBins):
                wrong = (block.values[:, j] - probabilities @ coder.means) / coder.scale
                error[rows, j] = np.clip(wrong, -MOST_DEVIATIONS, MOST_DEVIATIONS) ** 2
            else:
                own = probabilities[np.arange(len(block)), block.bins[:, j]]
                error[rows, j] = -np.log(own.clip(min=FEWEST_PROBABILITY))
    present = codes.observed
    return cast(Floats, np.where(present, error, 0.0).sum(1) / present.sum(1).clip(min=1))

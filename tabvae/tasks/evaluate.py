"""Evaluate: how well a model knows rows, in nats, and what its latent space is like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabvae.columns.arrow import Floats
from tabvae.columns.codec import Codes
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor

ACTIVE_VARIANCE = 0.01
"""A latent dimension whose mean varies less than this over the rows is not in use (Burda et al.
2016)."""
MOST_ROWS = 5000
LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True)
class Bounds:
    """Of a variational model, in nats; means over the rows.

    Attributes:
        elbo: of the observed cells, nothing given.
        importance: the importance-weighted bound.
        samples: of z for each row.
        kl: (latent,) KL( q(z|x) || p(z) ) of each dimension.
        aggregate: (latent,) KL of the aggregate posterior, as a Gaussian of its mean and variance,
            against the prior.
    """

    elbo: float
    importance: float
    samples: int
    kl: Floats
    aggregate: Floats

    @property
    def reconstruction(self) -> float:
        """Minus the expected log-likelihood of a row's cells given its z."""
        return -self.elbo - float(self.kl.sum())


@dataclass(frozen=True)
class Evaluation:
    """What a model knows of rows.

    Attributes:
        rows: how many were looked at.
        loss: (columns,) minus mean log-probability of the observed cells given all others of their
            row, in nats a cell; NaN in a column without any.
        entropy: (columns,) the same by the column's own frequencies in the table fitted on.
        variance: (latent,) of the mean of q(z|x) over the rows.
        bounds: of a variational model.
    """

    rows: int
    loss: Floats
    entropy: Floats
    variance: Floats
    bounds: Bounds | None

    @property
    def active(self) -> int:
        """Number of latent dimensions in use."""
        return int((self.variance > ACTIVE_VARIANCE).sum())


def evaluate(predictor: Predictor, codes: Codes, samples: int, seed: int) -> Evaluation:
    """Evaluate the networks on rows, or on a choice of them if there are many.

    Args:
        predictor: networks and codec; bounds and latent space are those of the first network.
        codes: (N, columns) rows.
        samples: of z for each row.
        seed: of the choice of rows and of the draws.
    """
    codes = codes.at_most(MOST_ROWS, seed)
    networks = predictor.networks
    mean, _ = networks.posterior(codes)
    bounds = None
    if networks.objective.variational:
        lower, importance = networks.bounds(codes, samples, seed)
        bounds = Bounds(
            elbo=float(lower.mean()),
            importance=float(importance.mean()),
            samples=samples,
            kl=networks.kl(codes).mean(0),
            aggregate=networks.aggregate_kl(codes),
        )
    loss, entropy = _losses(predictor, codes)
    return Evaluation(len(codes), loss, entropy, mean.var(0), bounds)


def _losses(predictor: Predictor, codes: Codes) -> tuple[Floats, Floats]:
    """Loss of each column given the others, and by its own frequencies."""
    loss, entropy = np.full((2, len(predictor.codec.bins_)), np.nan)
    for j, coder in enumerate(predictor.codec.bins_):
        rows = np.flatnonzero(codes.observed[:, j])
        if len(rows) == 0:
            continue
        own = codes.bins[rows, j]
        entropy[j] = -np.log(coder.mass[own].clip(LEAST_PROBABILITY)).mean()
        total = 0.0
        for part in batches(len(rows)):
            probabilities = predictor.networks.given_others(codes[rows[part]], j)
            likely = probabilities[np.arange(len(probabilities)), own[part]]
            total -= float(np.log(likely.clip(LEAST_PROBABILITY)).sum())
        loss[j] = total / len(rows)
    return loss, entropy

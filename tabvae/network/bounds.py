"""Bounds on the log-likelihood of rows, by sampling the latent variable."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Normal

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import Rows


def log_weights(
    posterior: Normal,
    prior: Normal,
    log_likelihood: Callable[[Tensor], Tensor],
    noise: Tensor,
) -> Tensor:
    """(samples, B) log p(x | z) + log p(z) - log q(z | x) for z drawn from q(z | x).

    Args:
        posterior: q(z | x), (B, latent).
        prior: p(z), of a shape that fits.
        log_likelihood: (B, latent) values of z to (B,) log p(x | z).
        noise: (samples, B or 1, latent) standard normal draws, for each row or for all.
    """
    weights = []
    for draw in noise:
        z = posterior.mean + posterior.stddev * draw
        ratio: Tensor = prior.log_prob(z) - posterior.log_prob(z)  # type: ignore[no-untyped-call]
        weights.append(log_likelihood(z) + ratio.sum(1))
    return torch.stack(weights)


def elbo(weights: Tensor) -> Tensor:
    """(B,) the evidence lower bound: mean log-weight (Kingma & Welling 2014)."""
    return weights.mean(0)


def importance_bound(weights: Tensor) -> Tensor:
    """(B,) log of the mean weight: above the ELBO, below log p(x), and nearer to it the more
    samples there are (Burda et al. 2016, theorem 1).

    **Examples**

    >>> weights = torch.tensor([[0.0], [2.0]])
    >>> elbo(weights), importance_bound(weights)
    (tensor([1.]), tensor([1.4338]))
    """
    return torch.logsumexp(weights, 0) - math.log(len(weights))


@torch.inference_mode()
def importance_weights(net: Autoencoder, rows: Rows, noise: Tensor) -> Tensor:
    """(samples, B) log-weights of the observed cells of rows with nothing given."""
    features, prior = net.nothing()
    given = net.given(features).expand(len(rows), -1)

    def log_likelihood(z: Tensor) -> Tensor:
        log_prob = net.likelihood(z, given).log_prob(rows.bins)
        return torch.where(rows.observed, log_prob, torch.zeros_like(log_prob)).sum(1)

    return log_weights(net.posterior(rows, rows.observed), prior, log_likelihood, noise)

"""A model of where the gaps of a column are, and how much evidence there is for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logit

from tabvae.values.arrow import Floats, Mask

Odds = Callable[[Floats], tuple[Floats, Floats]]
"""Weights (terms,) to log odds (N,) but for a constant, and their (N, terms) derivatives."""


@dataclass(frozen=True)
class GapModel:
    """Log odds of each gap, by weights that are standard normal before anything is known.

    Attributes:
        weights: (terms,) the most probable ones.
        log_odds: (N,) of each gap by them.
        evidence: logarithm of the marginal likelihood, in nats.

    **Examples**

    >>> x = np.arange(-8.0, 8.0)[:, None] / 4
    >>> gaps = x[:, 0] > 0
    >>> slope = GapModel.fit(lambda weights: (x @ weights, x), terms=1, gap=gaps, bound=4.0)
    >>> slope.weights.round(1), bool(slope.evidence > rate_log_likelihood(gaps))
    (array([1.8]), True)
    """

    weights: Floats
    log_odds: Floats
    evidence: float

    @classmethod
    def fit(cls, odds: Odds, terms: int, gap: Mask, bound: float) -> GapModel:
        """The most probable weights, and their evidence.

        Args:
            odds: the model.
            terms: how many weights.
            gap: (N,) where cells are missing.
            bound: of a weight, either way.
        """

        def with_constant(weights: Floats) -> tuple[Floats, Floats]:
            log_odds, slopes = odds(weights[1:])
            return log_odds + weights[0], slopes

        weights, log_posterior = _most_probable(with_constant, terms, gap, bound)
        log_odds, slopes = with_constant(weights)
        return cls(weights[1:], log_odds, log_posterior - _laplace_volume(log_odds, slopes))


def _most_probable(odds: Odds, terms: int, gap: Mask, bound: float) -> tuple[Floats, float]:
    """(1 + terms,) the constant and the weights, and the logarithm of their likelihood times that
    of the weights before anything is known, but for a constant."""

    def loss(weights: Floats) -> tuple[float, Floats]:
        log_odds, slopes = odds(weights)
        residual = gap - expit(log_odds)
        value = weights[1:] @ weights[1:] / 2 - log_likelihood(gap, log_odds).sum()
        return float(value), -np.append(residual.sum(), slopes.T @ residual - weights[1:])

    start = np.append(logit(gap.mean()), np.zeros(terms))
    bounds = [(None, None), *[(-bound, bound)] * terms]
    best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
    return best.x, -float(best.fun)


def _laplace_volume(log_odds: Floats, slopes: Floats) -> float:
    """log det(I + curvature) / 2, Laplace's approximation (Tierney & Kadane 1986) of what is lost
    between the largest posterior and the marginal likelihood.

    Args:
        log_odds: (N,) at the most probable weights.
        slopes: (N, terms) their derivatives.
    """
    information = expit(log_odds) * expit(-log_odds)  # (N,)
    slopes = slopes - information @ slopes / information.sum()  # (N, terms), the constant aside
    curvature = (slopes.T * information) @ slopes  # (terms, N) @ (N, terms)
    return float(np.linalg.slogdet(np.eye(len(curvature)) + curvature)[1] / 2)


def log_likelihood(gap: Mask, log_odds: Floats) -> Floats:
    """(N,) of each gap, or none, given their log odds (N,).

    **Examples**

    >>> np.exp(log_likelihood(np.array([True, False]), logit(np.array([0.9, 0.9])))).round(3)
    array([0.9, 0.1])
    """
    return gap * log_odds - np.logaddexp(0, log_odds)


def rate_log_likelihood(gap: Mask) -> float:
    """Of all gaps (N,), each as likely as gaps are frequent."""
    return float(log_likelihood(gap, np.full(len(gap), logit(gap.mean()))).sum())

"""Embed: each row as the mean of its posterior, mean(x_o)."""

from __future__ import annotations

from tabvae.cells import Floats
from tabvae.encoding import Codes
from tabvae.ensemble import Ensemble


def embed(ensemble: Ensemble, codes: Codes) -> Floats:
    """(N, latent) coordinates; a row's coordinates depend on its observed cells alone."""
    return ensemble.latent(codes)

"""Trained networks as one predictive distribution: codes in, NumPy probabilities out.

Several networks are averaged in probability. Everything is computed in float64, so that a row's
result does not depend on the rows that happen to share its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import kl_divergence

from tabvae.bins import Ints
from tabvae.cells import Floats, Mask
from tabvae.encoding import Codes
from tabvae.network import Cells
from tabvae.vae import VAE

ROWS_PER_BATCH = 4096
Hidden = list[Tensor]
"""Last hidden layer of each network, one (rows, width) each."""


def cells_of(codes: Codes, dtype: torch.dtype = torch.float32) -> Cells:
    """``codes`` as tensors."""
    return Cells(
        torch.from_numpy(codes.bins),
        torch.from_numpy(codes.scores).to(dtype),
        torch.from_numpy(codes.observed),
    )


class Ensemble:
    """The average of one or several networks with the same columns.

    Args:
        nets: trained networks on the CPU.
    """

    def __init__(self, nets: Sequence[VAE]) -> None:
        self.nets = tuple(nets)
        self._exact = [net.copy_as(torch.float64) for net in nets]
        self.sizes = nets[0].shape.sizes
        self._offsets = nets[0].shape.offsets

    def members(self) -> list[Ensemble]:
        """Each network alone."""
        return [Ensemble([net]) for net in self.nets]

    @torch.inference_mode()
    def kl(self, codes: Codes) -> Floats:
        """(latent,) mean over the rows of KL( q(z|x_o) || q(z|nothing) ), of the first network."""
        cells = cells_of(codes, torch.float64)
        q = self._exact[0].posterior(cells, cells.observed)
        prior = self._exact[0].posterior(cells, torch.zeros_like(cells.observed))
        return cast(Floats, kl_divergence(q, prior).mean(0).numpy())

    @torch.inference_mode()
    def hidden(self, codes: Codes, visible: Mask) -> Hidden:
        """What the visible cells say: the decoder's last hidden layer, one (N, width) a net."""
        cells, seen = cells_of(codes, torch.float64), torch.from_numpy(visible)
        hidden = []
        for net in self._exact:
            features, q = net.encoder(cells, seen)
            hidden.append(net.decoder.hidden(q.mean, features))
        return hidden

    @torch.inference_mode()
    def prior_hidden(self, codes: Codes, z: Floats) -> Hidden:
        """As ``hidden`` with nothing visible and z given, for one-shot samples. First net only."""
        net = self._exact[0]
        cells = cells_of(codes, torch.float64)
        features, _ = net.encoder(cells, torch.zeros_like(cells.observed))
        return [net.decoder.hidden(torch.from_numpy(z), features)]

    @torch.inference_mode()
    def prior(self, codes: Codes) -> tuple[Floats, Floats]:
        """(N, latent) mean and scale of q(z | nothing visible), the prior; of the first net."""
        cells = cells_of(codes, torch.float64)
        q = self._exact[0].posterior(cells, torch.zeros_like(cells.observed))
        return q.mean.numpy(), q.stddev.numpy()

    @torch.inference_mode()
    def probabilities(
        self, hidden: Hidden, column: int, gaps: bool = False, temperature: float = 1.0
    ) -> Floats:
        """p(x_j | visible cells) over the bins of one column.

        Args:
            hidden: what ``hidden`` returned, or rows of it.
            column: which modelled column.
            gaps: whether the state "missing" takes part, as one more bin at the end.
            temperature: divides the logits.

        Returns:
            (N, bins) probabilities that sum to one.
        """
        start = self._offsets[column]
        stop = start + self.sizes[column] + int(gaps)
        total: Tensor | float = 0.0
        for net, h in zip(self._exact, hidden, strict=False):
            logits = net.decoder.logits(h, slice(start, stop))
            total = total + torch.softmax(logits / temperature, dim=1)
        return cast(Floats, (cast(Tensor, total) / len(hidden)).numpy())


def batches(rows: int, size: int = ROWS_PER_BATCH) -> list[slice]:
    """Slices that cover ``rows`` rows in order."""
    return [slice(start, min(start + size, rows)) for start in range(0, rows, size)]


def sample_bins(probabilities: Floats, uniforms: Floats) -> Ints:
    """One bin per row by inversion: the first whose cumulative probability passes the uniform."""
    cumulative = np.cumsum(probabilities, axis=1)
    passed = cumulative < uniforms[:, None] * cumulative[:, -1:]
    return cast(Ints, np.minimum(passed.sum(1), probabilities.shape[1] - 1))

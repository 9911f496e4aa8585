"""The head of numbers with a textbook density: Gaussian, Laplace or Bernoulli."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from tabvae.network.batch import NetworkSizes
from tabvae.network.convolution import GridDecoder
from tabvae.network.heads import Head, Representation


class TextbookLogits(Head):
    """One parameter m for each number, with a density on its axis, and logits for categories.

    ``gaussian``: Normal(m, s) with s learned for each column. ``laplace``: Laplace(m, s).
    ``bernoulli``: x m - log(1 + e^m), minus binary cross-entropy, for x in 0..1. The logits of a
    number's bins are those densities where the bins lie, times their width, normalised: so whatever
    works with bins works with these, too. Cross-entropy is no density of x, and normalised it has
    another mean (Loaiza-Ganem & Cunningham 2019); the bins get the one of its form whose mean is
    sigmoid(m), what cross-entropy asks for.

    **Shape** ``Representation`` of B rows -> (B, total bins)

    Args:
        sizes: of the network.
        positions: (total bins,) of each bin on its column's axis; all 0 for categories.
        likelihood: which of the three.
        least_log_scale: of s: no column is predicted better than to e^-5 of its deviation.

    **Examples**

    >>> sizes = NetworkSizes(bins=(3,), latent=2, width=8)
    >>> head = TextbookLogits(sizes, torch.tensor([-1, 0, 1.0, 0]), "gaussian")
    >>> logits = head.represent(torch.zeros(1, 8)).logits(slice(0, 3))
    >>> torch.allclose(logits.exp().sum(1), torch.ones(1))
    True
    """

    positions: Tensor
    log_widths: Tensor
    numbers: Tensor
    is_value: Tensor
    column_of: Tensor

    def __init__(
        self,
        sizes: NetworkSizes,
        positions: Tensor,
        likelihood: str,
        least_log_scale: float = -5.0,
    ) -> None:
        super().__init__()
        columns = len(sizes.bins)
        self.likelihood, self.least_log_scale = likelihood, least_log_scale
        self.free = nn.Linear(sizes.width, sizes.offsets[-1])
        self.middle = nn.Linear(sizes.width, columns)
        self.grid = None if sizes.grid is None else GridDecoder(sizes.grid, sizes.width)
        self.log_scale = nn.Parameter(torch.zeros(columns))
        column, gaps = sizes.column_of, torch.tensor(sizes.offsets[1:]) - 1
        numbers = torch.zeros(columns).index_add(0, column, positions.abs()) > 0
        self.register_buffer("positions", positions)
        self.register_buffer("log_widths", _log_widths(positions, sizes.offsets))
        self.register_buffer("numbers", numbers)
        self.register_buffer("is_value", numbers[column].index_fill(0, gaps, False))
        self.register_buffer("column_of", column, persistent=False)

    def center(self, representation: Representation) -> Tensor:
        """(B, D) the parameter m of each number."""
        center: Tensor = self.middle(representation.h)
        image = representation.image
        return center if image is None else center + image[:, 0]

    def log_density(self, representation: Representation, scores: Tensor) -> Tensor:
        """(B, D) log-density of ``scores`` (B, D); NaN for categories."""
        center = self.center(representation)
        density = self._log_density(scores, center, self.log_scale)
        if self.likelihood == "bernoulli":
            density = density - softplus(center)
        return torch.where(self.numbers, density, torch.nan)

    def _log_density(self, x: Tensor, center: Tensor, log_scale: Tensor) -> Tensor:
        """For ``bernoulli`` without its normaliser, which x does not enter."""
        if self.likelihood == "bernoulli":
            return x * center
        # With log_scale as the parameter; torch's densities would take its exponential back.
        log_scale = log_scale.clamp(min=self.least_log_scale)
        deviation = (x - center) * torch.exp(-log_scale)
        if self.likelihood == "gaussian":
            return -0.5 * deviation.square() - log_scale - 0.5 * math.log(2 * math.pi)
        return -deviation.abs() - log_scale - math.log(2)

    def forward(self, representation: Representation, bins: slice = slice(None)) -> Tensor:
        column, is_value = self.column_of[bins], self.is_value[bins]
        free = linear(representation.h, self.free.weight[bins], self.free.bias[bins])
        center = self.center(representation)
        if self.likelihood == "bernoulli":
            center = tilt_of_mean(torch.sigmoid(center.detach()))
        density = self._log_density(self.positions[bins], center[:, column], self.log_scale[column])
        log_mass = torch.where(is_value, density + self.log_widths[bins], -torch.inf)
        return torch.where(is_value, self._normalised(log_mass, column), free)

    def _normalised(self, log_mass: Tensor, column: Tensor) -> Tensor:
        """(B, bins) so that the exponentials of each column's ``log_mass`` (B, bins) sum to one."""
        most = log_mass.new_full((len(log_mass), len(self.log_scale)), -torch.inf)
        index = column.expand(len(log_mass), -1)
        most = most.scatter_reduce(1, index, log_mass.detach(), "amax").nan_to_num(neginf=0.0)
        mass = torch.exp(log_mass - most[:, column])
        total = torch.zeros_like(most).index_add(1, column, mass)
        # Columns that are no numbers have no mass, and no logarithm of it without a least one.
        return log_mass - most[:, column] - total.clamp(min=1e-30).log()[:, column]


def tilt_of_mean(mean: Tensor) -> Tensor:
    """The t for which the density proportional to exp(t x) on 0..1 has a ``mean`` within 0..1.

    By interpolation in a table of tilts up to 1000: means of .001 to .999.

    **Examples**

    >>> float(tilt_of_mean(torch.tensor(0.5)).abs()) < 0.01
    True
    """
    half = torch.logspace(-3, 3, 1000, dtype=torch.float64, device=mean.device)
    tilts = torch.cat([-half.flip(0), half])
    means = 1 / -torch.expm1(-tilts) - 1 / tilts
    target = mean.to(torch.float64).clamp(float(means[0]), float(means[-1]))
    above = torch.searchsorted(means, target.contiguous()).clamp(1, len(means) - 1)
    low, high = means[above - 1], means[above]
    share = (target - low) / (high - low)
    return torch.lerp(tilts[above - 1], tilts[above], share).to(mean.dtype)


def _log_widths(positions: Tensor, offsets: list[int]) -> Tensor:
    """(total bins,) log of the stretch of its column's axis that is nearest to each bin."""
    widths = torch.ones_like(positions)
    for start, stop in pairwise(offsets):
        axis = positions[start : stop - 1]
        if len(axis) > 1:
            middle = (axis[1:] + axis[:-1]) / 2
            widths[start : stop - 1] = torch.cat([axis[:1], middle, axis[-1:]]).diff()
    # Bins may lie on one another, as far as these numbers tell.
    return widths.clamp(min=1e-6).log()

"""The two halves of the network: Encoder and Decoder. Tensors in, a distribution or logits out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Normal
from torch.nn.functional import embedding_bag, linear, softplus

from tabvae.columns.codec import Codes
from tabvae.columns.images import Grid
from tabvae.network.convolution import GridDecoder, GridEncoder

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
MOST_DEPTH, MOST_LATENT = 64, 1000
LEAST_LOG_SCALE = -5.0
"""A column is not predicted better than to e^-5 of its deviation."""
LEAST_WIDTH, LEAST_TOTAL = 1e-6, 1e-30
TILTS, MOST_TILT = 1000, 3
"""Points of the table behind ``tilt_of_mean``, and its end as a power of ten."""


class Rows(NamedTuple):
    """A batch of rows as tensors.

    Attributes:
        bins: (B, D) bin of each cell; ``sizes[j]`` in a cell that is known to be missing.
        scores: (B, D) position of a number on its column's line, 0 for categories.
        observed: (B, D) the data has the cell.
    """

    bins: Tensor
    scores: Tensor
    observed: Tensor

    @classmethod
    def of(cls, codes: Codes, dtype: torch.dtype = torch.float32) -> Rows:
        """``codes`` as tensors."""
        scores = torch.from_numpy(codes.scores).to(dtype)
        return cls(torch.from_numpy(codes.bins), scores, torch.from_numpy(codes.observed))

    def rows(self, index: Tensor | slice) -> Rows:
        return Rows(self.bins[index], self.scores[index], self.observed[index])


@dataclass(frozen=True)
class NetworkSizes:
    """The sizes that define the two modules.

    Attributes:
        sizes: number of bins of each column, the state "missing" not counted.
        latent: dimensions of z.
        width: width of every hidden layer.
        depth: residual blocks in each half.
        grid: where the columns lie in an image or spectrum, if they do.
    """

    sizes: tuple[int, ...]
    latent: int
    width: int
    depth: int = 2
    grid: Grid | None = None

    def __post_init__(self) -> None:
        if min(self.latent, self.width, self.depth, *self.sizes) < 1:
            raise ValueError("the networks have no size")
        if self.depth > MOST_DEPTH or self.latent > MOST_LATENT:
            raise ValueError("the networks are too deep, or their latent space is too large")
        if self.grid is not None and len(self.grid.cells) != len(self.sizes):
            raise ValueError("the networks are of a grid of other columns")

    @property
    def offsets(self) -> list[int]:
        """First output of each column, and the total behind them: each has one more for missing."""
        total = [0]
        for size in self.sizes:
            total.append(total[-1] + size + 1)
        return total

    @property
    def column_of(self) -> Tensor:
        """(total bins,) the column each logit belongs to."""
        sizes = torch.tensor(self.sizes)
        return torch.arange(len(sizes)).repeat_interleave(sizes + 1)


class Block(nn.Module):
    """A residual block: normalise, two linear layers, add.

    No layer norm here has a scale or shift of its own: the linear layer behind each has both.

    **Shape** (B, width) -> (B, width)
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.expand = nn.Linear(width, width)
        self.contract = nn.Linear(width, width)

    def forward(self, h: Tensor) -> Tensor:
        inner = torch.relu(self.expand(self.norm(h)))
        out: Tensor = h + self.contract(inner)
        return out


class Encoder(nn.Module):
    """Visible cells to features, and to q(z | x_v).

    A cell enters as the embedding of its bin plus a linear map of its score; a hidden one as the
    embedding "hidden" of its column, whatever its value is. Convolutions add what neighbours on a
    grid say together.

    **Shape** Cells (B, D), visible (B, D) -> features (B, width), Normal (B, latent)
    """

    offsets: Tensor
    hidden_token: Tensor

    def __init__(self, shape: NetworkSizes) -> None:
        super().__init__()
        columns, total = len(shape.sizes), shape.offsets[-1]
        self.register_buffer("offsets", torch.tensor(shape.offsets[:-1]), persistent=False)
        self.register_buffer("hidden_token", total + torch.arange(columns), persistent=False)
        self.embedding = nn.EmbeddingBag(total + columns, shape.width, mode="sum")
        nn.init.normal_(self.embedding.weight, std=columns**-0.5)
        self.scores = nn.Linear(columns, shape.width)
        self.grid = None if shape.grid is None else GridEncoder(shape.grid, shape.width)
        self.blocks = nn.Sequential(*(Block(shape.width) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(shape.width, elementwise_affine=False)
        self.posterior = nn.Linear(shape.width, 2 * shape.latent)

    def forward(self, cells: Rows, visible: Tensor) -> tuple[Tensor, Normal]:
        tokens = torch.where(visible, self.offsets + cells.bins, self.hidden_token)
        scores = torch.where(visible, cells.scores, torch.zeros_like(cells.scores))
        x = self.embedding(tokens) + self.scores(scores)
        if self.grid is not None:
            x = x + self.grid(scores, visible)
        h = self.norm(self.blocks(x))
        mean, log_scale = self.posterior(h).chunk(2, dim=-1)
        return h, Normal(mean, torch.exp(log_scale.clamp(-7.0, 3.0)), validate_args=False)


class BinLogits(nn.Module):
    """A linear layer to the logits of all bins that knows the bins of a number are in order.

    The logit of bin k of column j is w_k h + b_k, plus a_j h s_k + c_j h (s_k^2 - 1) / sqrt(2)
    with s_k the bin's position: a Gaussian over the bins, corrected bin by bin. Without the
    ordered part each bin would have to learn from its own rows alone.

    **Shape** what ``Decoder.hidden`` returns -> (B, total bins)

    Args:
        shape: sizes of the columns.
        positions: (total bins,) place of each bin on its column's line as a normal score, 0 for
            categories and for the state "missing".
    """

    basis: Tensor
    rows: Tensor

    def __init__(self, shape: NetworkSizes, positions: Tensor) -> None:
        super().__init__()
        columns = len(shape.sizes)
        self.free = nn.Linear(shape.width, shape.offsets[-1])
        self.grid = None if shape.grid is None else GridDecoder(shape.grid, shape.width)
        self.ordered = nn.Parameter(torch.zeros(2 * columns, shape.width))
        curve = torch.where(positions == 0, 0.0, (positions**2 - 1) / 2**0.5)
        self.register_buffer("basis", torch.stack([positions, curve], dim=1))
        own = shape.column_of
        self.register_buffer("rows", torch.stack([own, columns + own], dim=1), persistent=False)

    @property
    def positions(self) -> Tensor:
        """(total bins,) as given."""
        return self.basis[:, 0]

    def weight(self, bins: slice = slice(None)) -> Tensor:
        """(bins, width) the weights of some of the logits."""
        ordered = embedding_bag(
            self.rows[bins], self.ordered, per_sample_weights=self.basis[bins], mode="sum"
        )
        return self.free.weight[bins] + ordered

    def forward(self, h: Tensor, bins: slice = slice(None)) -> Tensor:
        h, cells = _apart(h, self.free.in_features)
        logits = linear(h, self.weight(bins), self.free.bias[bins])
        if cells is None:
            return logits
        # What the grid's cells say moves the ordered part.
        basis, own = self.basis[bins], self.rows[bins, 0]
        line, curve = cells[:, :, own].unbind(1)
        moved: Tensor = logits + line * basis[:, 0] + curve * basis[:, 1]
        return moved


class TextbookLogits(nn.Module):
    """One parameter m for each number, with a density on its line, and logits for categories.

    ``gaussian``: Normal(m, s) with s learned for each column. ``laplace``: Laplace(m, s).
    ``bernoulli``: x m - log(1 + e^m), minus binary cross-entropy, for x in 0..1. The logits of a
    number's bins are those densities where the bins lie, times their width, normalised: so whatever
    works with bins works with these, too. Cross-entropy is no density of x, and normalised it has
    another mean (Loaiza-Ganem & Cunningham 2019); the bins get the one of its form whose mean is
    sigmoid(m), what cross-entropy asks for.

    **Shape** what ``Decoder.hidden`` returns -> (B, total bins)

    Args:
        shape: sizes of the columns.
        positions: (total bins,) place of each bin on its column's line; all 0 for categories.
        likelihood: which of the three.
    """

    positions: Tensor
    log_widths: Tensor
    numbers: Tensor
    is_value: Tensor
    column_of: Tensor

    def __init__(self, shape: NetworkSizes, positions: Tensor, likelihood: str) -> None:
        super().__init__()
        columns = len(shape.sizes)
        self.likelihood = likelihood
        self.free = nn.Linear(shape.width, shape.offsets[-1])
        self.middle = nn.Linear(shape.width, columns)
        self.grid = None if shape.grid is None else GridDecoder(shape.grid, shape.width)
        self.log_scale = nn.Parameter(torch.zeros(columns))
        own, gaps = shape.column_of, torch.tensor(shape.offsets[1:]) - 1
        line = torch.zeros(columns).index_add(0, own, positions.abs()) > 0
        self.register_buffer("positions", positions)
        self.register_buffer("log_widths", _log_widths(positions, shape.offsets))
        self.register_buffer("numbers", line)
        self.register_buffer("is_value", line[own].index_fill(0, gaps, False))
        self.register_buffer("column_of", own, persistent=False)

    def center(self, h: Tensor) -> Tensor:
        """(B, columns) the parameter of each number."""
        h, cells = _apart(h, self.free.in_features)
        found: Tensor = self.middle(h)
        return found if cells is None else found + cells[:, 0]

    def log_density(self, h: Tensor, scores: Tensor) -> Tensor:
        """(B, columns) log-density of ``scores`` (B, columns); NaN for categories."""
        center = self.center(h)
        found = self._log_density(scores, center, self.log_scale)
        if self.likelihood == "bernoulli":
            found = found - softplus(center)
        return torch.where(self.numbers, found, torch.nan)

    def _log_density(self, x: Tensor, center: Tensor, log_scale: Tensor) -> Tensor:
        """For ``bernoulli`` without its normaliser, which x does not enter."""
        if self.likelihood == "bernoulli":
            return x * center
        log_scale = log_scale.clamp(min=LEAST_LOG_SCALE)
        off = (x - center) * torch.exp(-log_scale)
        if self.likelihood == "gaussian":
            return -0.5 * off.square() - log_scale - HALF_LOG_TWO_PI
        return -off.abs() - log_scale - math.log(2)

    def forward(self, h: Tensor, bins: slice = slice(None)) -> Tensor:
        own = self.column_of[bins]
        layer, _ = _apart(h, self.free.in_features)
        free = linear(layer, self.free.weight[bins], self.free.bias[bins])
        value = self.is_value[bins]
        center = self.center(h)
        if self.likelihood == "bernoulli":
            center = tilt_of_mean(torch.sigmoid(center.detach()))
        dense = self._log_density(self.positions[bins], center[:, own], self.log_scale[own])
        dense = torch.where(value, dense + self.log_widths[bins], -torch.inf)
        most = dense.new_full((len(h), len(self.log_scale)), -torch.inf)
        index = own.expand(len(h), -1)
        most = most.scatter_reduce(1, index, dense.detach(), "amax").nan_to_num(neginf=0.0)
        total = torch.zeros_like(most).index_add(1, own, torch.exp(dense - most[:, own]))
        normalised = dense - most[:, own] - total.clamp(min=LEAST_TOTAL).log()[:, own]
        return torch.where(value, normalised, free)


def tilt_of_mean(mean: Tensor) -> Tensor:
    """The t for which the density proportional to exp(t x) on 0..1 has a ``mean`` within 0..1."""
    half = torch.logspace(-3, MOST_TILT, TILTS, dtype=torch.float64, device=mean.device)
    tilts = torch.cat([-half.flip(0), half])
    means = 1 / -torch.expm1(-tilts) - 1 / tilts
    wanted = mean.to(torch.float64).clamp(float(means[0]), float(means[-1]))
    above = torch.searchsorted(means, wanted.contiguous()).clamp(1, len(means) - 1)
    low, high = means[above - 1], means[above]
    share = (wanted - low) / (high - low)
    return torch.lerp(tilts[above - 1], tilts[above], share).to(mean.dtype)


def _log_widths(positions: Tensor, offsets: list[int]) -> Tensor:
    """(total bins,) log of the stretch of its column's line that is nearest to each bin."""
    widths = torch.ones_like(positions)
    for start, stop in pairwise(offsets):
        line = positions[start : stop - 1]
        if len(line) > 1:
            middle = (line[1:] + line[:-1]) / 2
            widths[start : stop - 1] = torch.cat([line[:1], middle, line[-1:]]).diff()
    return widths.clamp(min=LEAST_WIDTH).log()


def _apart(hidden: Tensor, width: int) -> tuple[Tensor, Tensor | None]:
    """The layer itself, and (B, 2, D) what a grid's cells say, if it has a grid."""
    if hidden.shape[1] == width:
        return hidden, None
    return hidden[:, :width], torch.unflatten(hidden[:, width:], 1, (2, -1))


class Decoder(nn.Module):
    """z and the features of the visible cells to the logits of every bin of every column.

    **Shape** z (B, latent), features (B, width) -> (B, total bins)
    """

    def __init__(self, shape: NetworkSizes, positions: Tensor, likelihood: str = "binned") -> None:
        super().__init__()
        self.latent = nn.Linear(shape.latent, shape.width)
        self.features = nn.Linear(shape.width, shape.width)
        self.blocks = nn.Sequential(*(Block(shape.width) for _ in range(shape.depth)))
        self.norm = nn.LayerNorm(shape.width, elementwise_affine=False)
        self.logits: BinLogits | TextbookLogits = (
            BinLogits(shape, positions)
            if likelihood == "binned"
            else TextbookLogits(shape, positions, likelihood)
        )

    def hidden(self, z: Tensor, features: Tensor) -> Tensor:
        """(B, width) the last hidden layer.

        Behind it what the cells of a grid say, (B, 2 D), for a grid is one picture and is drawn
        once, whichever columns are asked for.
        """
        h: Tensor = self.norm(self.blocks(self.latent(z) + self.features(features)))
        grid = self.logits.grid
        return h if grid is None else torch.cat([h, grid(h).flatten(1)], dim=1)

    def forward(self, z: Tensor, features: Tensor) -> Tensor:
        logits: Tensor = self.logits(self.hidden(z, features))
        return logits

"""The two halves of the network: the encoder, and the decoder up to the head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.convolution import GridEncoder
from tabvae.network.heads import BinLogits, Representation
from tabvae.network.textbook import TextbookLogits


class Block(nn.Module):
    """A residual block: normalise, two linear layers, add.

    No layer norm here has a scale or shift of its own: the linear layer behind each has both.

    **Shape** (B, width) -> (B, width)

    **Examples**

    >>> Block(width=8)(torch.zeros(5, 8)).shape
    torch.Size([5, 8])
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

    **Shape** ``Rows`` (B, D), visible (B, D) -> features (B, width), Normal (B, latent)

    **Examples**

    >>> encoder = Encoder(NetworkSizes(bins=(2, 3), latent=2, width=8))
    >>> visible = torch.tensor([[True, False]])
    >>> features, q = encoder(Rows(torch.tensor([[1, 2]]), torch.zeros(1, 2), visible), visible)
    >>> features.shape, q.mean.shape
    (torch.Size([1, 8]), torch.Size([1, 2]))
    """

    offsets: Tensor
    hidden_token: Tensor

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        columns, total = len(sizes.bins), sizes.offsets[-1]
        self.register_buffer("offsets", torch.tensor(sizes.offsets[:-1]), persistent=False)
        self.register_buffer("hidden_token", total + torch.arange(columns), persistent=False)
        self.embedding = nn.EmbeddingBag(total + columns, sizes.width, mode="sum")
        nn.init.normal_(self.embedding.weight, std=columns**-0.5)
        self.scores = nn.Linear(columns, sizes.width)
        self.grid = None if sizes.grid is None else GridEncoder(sizes.grid, sizes.width)
        self.blocks = nn.Sequential(*(Block(sizes.width) for _ in range(sizes.depth)))
        self.norm = nn.LayerNorm(sizes.width, elementwise_affine=False)
        self.posterior = nn.Linear(sizes.width, 2 * sizes.latent)

    def forward(self, rows: Rows, visible: Tensor) -> tuple[Tensor, Normal]:
        tokens = torch.where(visible, self.offsets + rows.bins, self.hidden_token)
        scores = torch.where(visible, rows.scores, torch.zeros_like(rows.scores))
        x = self.embedding(tokens) + self.scores(scores)
        if self.grid is not None:
            x = x + self.grid(scores, visible)
        h = self.norm(self.blocks(x))
        mean, log_scale = self.posterior(h).chunk(2, dim=-1)
        return h, Normal(mean, torch.exp(log_scale.clamp(-7.0, 3.0)), validate_args=False)


class Decoder(nn.Module):
    """z and the features of the visible cells to what a head reads.

    **Shape** z (B, latent), features (B, width) -> ``Representation`` of B rows

    Args:
        sizes: of the network.
        positions: (total bins,) of each bin on its column's axis, see ``BinLogits``.
        likelihood: of numbers, see ``Objective``.

    **Examples**

    >>> decoder = Decoder(NetworkSizes(bins=(2, 3), latent=2, width=8), torch.zeros(7))
    >>> decoder(torch.zeros(5, 2), torch.zeros(5, 8)).logits().shape
    torch.Size([5, 7])
    """

    def __init__(self, sizes: NetworkSizes, positions: Tensor, likelihood: str = "binned") -> None:
        super().__init__()
        self.latent = nn.Linear(sizes.latent, sizes.width)
        self.features = nn.Linear(sizes.width, sizes.width)
        self.blocks = nn.Sequential(*(Block(sizes.width) for _ in range(sizes.depth)))
        self.norm = nn.LayerNorm(sizes.width, elementwise_affine=False)
        self.logits: BinLogits | TextbookLogits = (
            BinLogits(sizes, positions)
            if likelihood == "binned"
            else TextbookLogits(sizes, positions, likelihood)
        )

    def forward(self, z: Tensor, features: Tensor) -> Representation:
        h: Tensor = self.norm(self.blocks(self.latent(z) + self.features(features)))
        return self.logits.represent(h)

"""From the decoder's last hidden layer to the logits of every bin.

The layers of a head have the names that model files give them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding_bag, linear

from tabvae.network.batch import NetworkSizes
from tabvae.network.convolution import GridDecoder


@dataclass(frozen=True)
class Representation:
    """The decoder's last hidden layer of some rows, and the head that reads it.

    Attributes:
        head: of the network that it comes from.
        h: (B, width) the layer.
        image: (B, 2, D) what the head's convolutions make of it, if the head has any. They are done
            once, whichever columns are asked for, for an image is one picture.

    **Examples**

    >>> head = BinLogits(NetworkSizes(bins=(3, 2), latent=2, width=8), torch.zeros(7))
    >>> representation = head.represent(torch.zeros(5, 8))
    >>> representation[:2].logits(slice(4, 6)).shape
    torch.Size([2, 2])
    """

    head: Head
    h: Tensor
    image: Tensor | None = None

    def __len__(self) -> int:
        return len(self.h)

    def __getitem__(self, index: Any) -> Representation:
        image = None if self.image is None else self.image[index]
        return Representation(self.head, self.h[index], image)

    def logits(self, bins: slice = slice(None)) -> Tensor:
        """(B, bins) the logits of some of the bins."""
        logits: Tensor = self.head(self, bins)
        return logits


class Head(nn.Module):
    """The decoder's last layers: ``BinLogits`` or ``TextbookLogits``, called with what it made.

    **Shape** ``Representation`` of B rows, a slice of the bins -> (B, bins)
    """

    grid: GridDecoder | None

    def represent(self, h: Tensor) -> Representation:
        """What the layer ``h`` (B, width) says, ready for any columns."""
        return Representation(self, h, None if self.grid is None else self.grid(h))


class BinLogits(Head):
    """A linear layer to the logits of all bins that knows the bins of a number are in order.

    The logit of bin k of column j is w_k h + b_k, plus a_j h s_k + c_j h (s_k^2 - 1) / sqrt(2)
    with s_k the bin's position: a Gaussian over the bins, corrected bin by bin. Without the
    ordered part each bin would have to learn from its own rows alone.

    **Shape** ``Representation`` of B rows -> (B, total bins)

    Args:
        sizes: of the network.
        positions: (total bins,) of each bin on its column's axis as a normal score, 0 for
            categories and for the state "missing".

    **Examples**

    >>> head = BinLogits(NetworkSizes(bins=(3,), latent=2, width=8), torch.tensor([-1, 0, 1.0, 0]))
    >>> head.represent(torch.zeros(5, 8)).logits(slice(0, 3)).shape
    torch.Size([5, 3])
    """

    basis: Tensor
    rows: Tensor

    def __init__(self, sizes: NetworkSizes, positions: Tensor) -> None:
        super().__init__()
        columns = len(sizes.bins)
        self.free = nn.Linear(sizes.width, sizes.offsets[-1])
        self.grid = None if sizes.grid is None else GridDecoder(sizes.grid, sizes.width)
        self.ordered = nn.Parameter(torch.zeros(2 * columns, sizes.width))
        bend = torch.where(positions == 0, 0.0, (positions**2 - 1) / 2**0.5)
        self.register_buffer("basis", torch.stack([positions, bend], dim=1))
        column = sizes.column_of
        rows = torch.stack([column, columns + column], dim=1)
        self.register_buffer("rows", rows, persistent=False)

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

    def forward(self, representation: Representation, bins: slice = slice(None)) -> Tensor:
        logits = linear(representation.h, self.weight(bins), self.free.bias[bins])
        if representation.image is None:
            return logits
        # The convolutions move the ordered part: (B, 2, D) -> (B, 2, bins)
        slope, bend = representation.image[:, :, self.rows[bins, 0]].unbind(1)
        basis = self.basis[bins]
        moved: Tensor = logits + slope * basis[:, 0] + bend * basis[:, 1]
        return moved

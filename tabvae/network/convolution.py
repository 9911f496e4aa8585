"""Convolutions for tables whose numeric columns are the pixels of an image, a spectrum, a field."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from tabvae.columns.images import Grid


@dataclass(frozen=True)
class ConvolutionConfig:
    """How images are convolved; a network's weights have the shapes that follow.

    Attributes:
        channels: of the first convolution; each further one doubles them, as it halves the sides.
        smallest_side: a side no longer than this is not halved, for a kernel already spans it.
        most_halvings: so that a large image keeps some idea of where things are.
        kernel: sides of the kernels, odd so that an image without strides keeps its size.
    """

    channels: int = 32
    smallest_side: int = 4
    most_halvings: int = 3
    kernel: int = 3

    def strides(self, sides: tuple[int, int]) -> tuple[int, int]:
        """How a convolution moves over an image of that height and width."""
        down, along = (2 if side > self.smallest_side else 1 for side in sides)
        return down, along

    def sides_of(self, grid: Grid) -> list[tuple[int, int]]:
        """Height and width after each strided convolution, the grid's own first.

        **Examples**

        >>> ConvolutionConfig().sides_of(Grid((8, 12, 1), tuple(range(96))))
        [(8, 12), (4, 6), (4, 3)]
        """
        sides = [grid.size[:2]]
        while len(sides) <= self.most_halvings and max(sides[-1]) > self.smallest_side:
            height, width = sides[-1]
            down, along = self.strides(sides[-1])
            sides.append((-(-height // down), -(-width // along)))
        return sides


class _OnGrid(nn.Module):
    """Knows the columns on a grid (n,) and the positions of their pixels (n,)."""

    columns: Tensor
    pixels: Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        pixels = torch.tensor(grid.cells)
        self.register_buffer("columns", (pixels >= 0).nonzero().squeeze(1), persistent=False)
        self.register_buffer("pixels", pixels[pixels >= 0], persistent=False)


class GridEncoder(_OnGrid):
    """Strided convolutions without pooling, which would forget where something was.

    Two planes a channel: the scores, zero where hidden, and which are visible.

    **Shape** scores (B, D), visible (B, D) -> (B, width)

    **Examples**

    >>> encoder = GridEncoder(Grid((2, 2, 1), (0, 1, 2, 3)), width=5)
    >>> encoder(torch.zeros(7, 4), torch.ones(7, 4) > 0).shape
    torch.Size([7, 5])
    """

    def __init__(
        self, grid: Grid, width: int, config: ConvolutionConfig = ConvolutionConfig()
    ) -> None:
        super().__init__(grid)
        sides = config.sides_of(grid)
        channels = [2 * grid.size[2], *(config.channels * 2**k for k in range(len(sides) - 1))]
        layers: list[nn.Module] = []
        for (before, after), side in zip(pairwise(channels), sides[:-1], strict=True):
            strides, padding = config.strides(side), config.kernel // 2
            layers += [nn.Conv2d(before, after, config.kernel, strides, padding), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * sides[-1][0] * sides[-1][1], width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, scores: Tensor, visible: Tensor) -> Tensor:
        height, width, channels = self.grid.size
        values, mask = scores[:, self.columns], visible[:, self.columns]
        planes = [
            values.new_zeros(len(values), height * width * channels).index_copy(1, self.pixels, p)
            for p in (values, mask.to(values.dtype))
        ]
        # (B, H W C) -> (B, C, H, W)
        images = [p.view(len(p), height, width, channels).permute(0, 3, 1, 2) for p in planes]
        features: Tensor = self.layers(torch.cat(images, dim=1))
        return features


class GridDecoder(_OnGrid):
    """Transposed convolutions: the encoder's way back, to two numbers for each pixel.

    **Shape** (B, width) -> (B, 2, D), zero for columns beside the grid

    **Examples**

    >>> decoder = GridDecoder(Grid((2, 2, 1), (-1, 0, 1, 2, 3)), width=5)
    >>> decoder(torch.zeros(7, 5)).shape
    torch.Size([7, 2, 5])
    """

    def __init__(
        self, grid: Grid, width: int, config: ConvolutionConfig = ConvolutionConfig()
    ) -> None:
        super().__init__(grid)
        sides = config.sides_of(grid)[::-1]
        channels = [config.channels * 2**k for k in reversed(range(len(sides) - 1))]
        channels.append(2 * grid.size[2])
        layers: list[nn.Module] = [
            nn.Linear(width, channels[0] * sides[0][0] * sides[0][1]),
            nn.Unflatten(1, (channels[0], *sides[0])),
        ]
        steps = zip(pairwise(channels), pairwise(sides), strict=True)
        for (before, after), (small, large) in steps:
            strides, padding = config.strides(large), config.kernel // 2
            # What a transposed convolution lacks of the larger side.
            down, along = (
                long - ((short - 1) * stride + 1)
                for short, long, stride in zip(small, large, strides, strict=True)
            )
            convolution = nn.ConvTranspose2d(
                before, after, config.kernel, strides, padding, (down, along)
            )
            layers += [nn.ReLU(), convolution]
        self.layers = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        height, width, channels = self.grid.size
        image = self.layers(h).view(len(h), 2, channels, height, width)
        # (B, 2, C, H, W) -> (B, 2, H W C)
        flat = image.permute(0, 1, 3, 4, 2).reshape(len(h), 2, height * width * channels)
        beside = flat.new_zeros(len(h), 2, len(self.grid.cells))
        columns: Tensor = beside.index_copy(2, self.columns, flat[:, :, self.pixels])
        return columns

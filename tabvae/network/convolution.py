"""Convolutions for tables whose numeric columns are the cells of an image, a spectrum, a field."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from tabvae.columns.images import Grid

CHANNELS = 32
SMALLEST_SIDE = 4
MOST_HALVINGS = 3
KERNEL, PADDING = 3, 1


def sides_of(grid: Grid) -> list[tuple[int, int]]:
    """Height and width after each strided convolution, the grid's own first."""
    found = [grid.size[:2]]
    for _ in range(MOST_HALVINGS):
        height, width = found[-1]
        if max(height, width) <= SMALLEST_SIDE:
            break
        found.append((-(-height // _stride(height)), -(-width // _stride(width))))
    return found


def _stride(side: int) -> int:
    return 2 if side > SMALLEST_SIDE else 1


class _OnGrid(nn.Module):
    """Knows the columns on a grid (n,) and the places of their cells (n,)."""

    columns: Tensor
    places: Tensor

    def __init__(self, grid: Grid) -> None:
        super().__init__()
        self.grid = grid
        cells = torch.tensor(grid.cells)
        self.register_buffer("columns", (cells >= 0).nonzero().squeeze(1), persistent=False)
        self.register_buffer("places", cells[cells >= 0], persistent=False)


class GridEncoder(_OnGrid):
    """Strided convolutions without pooling, which would forget where something was.

    Two planes a channel: the scores, zero where hidden, and which are visible.

    **Shape** scores (B, D), visible (B, D) -> (B, width)
    """

    def __init__(self, grid: Grid, width: int) -> None:
        super().__init__(grid)
        sides = sides_of(grid)
        channels = [2 * grid.size[2], *(CHANNELS * 2**k for k in range(len(sides) - 1))]
        layers: list[nn.Module] = []
        for (before, after), side in zip(pairwise(channels), sides[:-1], strict=True):
            strides = (_stride(side[0]), _stride(side[1]))
            layers += [nn.Conv2d(before, after, KERNEL, strides, PADDING), nn.ReLU()]
        layers += [nn.Flatten(), nn.Linear(channels[-1] * sides[-1][0] * sides[-1][1], width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, scores: Tensor, visible: Tensor) -> Tensor:
        height, width, channels = self.grid.size
        seen = visible[:, self.columns]
        known = scores[:, self.columns]
        planes = [
            known.new_zeros(len(known), height * width * channels).index_copy(1, self.places, p)
            for p in (known, seen.to(known.dtype))
        ]
        images = [p.view(len(p), height, width, channels).permute(0, 3, 1, 2) for p in planes]
        out: Tensor = self.layers(torch.cat(images, dim=1))
        return out


class GridDecoder(_OnGrid):
    """Transposed convolutions: the encoder's way back, to two numbers for each cell.

    **Shape** (B, width) -> (B, 2, D), zero for columns beside the grid
    """

    def __init__(self, grid: Grid, width: int) -> None:
        super().__init__(grid)
        sides = sides_of(grid)[::-1]
        wide = [CHANNELS * 2**k for k in range(len(sides) - 1)]
        channels = [*reversed(wide), 2 * grid.size[2]]
        first = (channels[0], *sides[0])
        layers: list[nn.Module] = [
            nn.Linear(width, channels[0] * sides[0][0] * sides[0][1]),
            nn.Unflatten(1, first),
        ]
        steps = zip(pairwise(channels), pairwise(sides), strict=True)
        for (before, after), (small, large) in steps:
            strides = (_stride(large[0]), _stride(large[1]))
            rest = tuple(
                big - ((little - 1) * stride + 1)
                for little, big, stride in zip(small, large, strides, strict=True)
            )
            layers += [
                nn.ReLU(),
                nn.ConvTranspose2d(before, after, KERNEL, strides, PADDING, (rest[0], rest[1])),
            ]
        self.layers = nn.Sequential(*layers)

    def forward(self, h: Tensor) -> Tensor:
        height, width, channels = self.grid.size
        image = self.layers(h).view(len(h), 2, channels, height, width)
        flat = image.permute(0, 1, 3, 4, 2).reshape(len(h), 2, height * width * channels)
        out = flat.new_zeros(len(h), 2, len(self.grid.cells))
        found: Tensor = out.index_copy(2, self.columns, flat[:, :, self.places])
        return found

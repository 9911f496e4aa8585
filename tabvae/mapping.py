"""A map of the rows: few coordinates that keep who is near whom, and where each row lies.

A network places each row from its visible cells. It is trained on two terms: neighbours are told
from other rows by their distance on the map, with a Cauchy kernel (t-SNE, van der Maaten & Hinton
2008, as the contrastive loss of Damrich et al. 2023, section 4); and a decoder restores the row
from its place. The second counts relative to what principal components of the same number lose:
many coordinates keep distances, two keep neighbourhoods. A row with gaps is drawn to where it
would be without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import clip_grad_norm_

from tabvae.cells import Floats
from tabvae.encoding import Codes
from tabvae.ensemble import batches, cells_of
from tabvae.network import Block, Cells, Shape, Trunk
from tabvae.training import draw_visible, schedule

PAIRS, BLURRED = 256, 64
RATE = 2e-3
CLIP = 4.0
RESTORING = 2.0
"""Weight of the decoder's loss, relative to what principal components lose."""
LEAST_LOST = 1e-3


class Map(nn.Module):
    """Visible cells to coordinates: a linear view of the cells, and a correction by a network.

    **Shape** Cells (B, D), visible (B, D) -> (B, latent)
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.trunk = Trunk(shape)
        self.straight = nn.Linear(shape.width, shape.latent, bias=False)
        self.bent = nn.Linear(shape.width, shape.latent)

    def forward(self, cells: Cells, visible: Tensor) -> Tensor:
        sums, features = self.trunk(cells, visible)
        place: Tensor = self.straight(sums) + self.bent(features)
        return place

    @torch.inference_mode()
    def coordinates(self, codes: Codes) -> Floats:
        """(N, latent) where each row lies; in float64, so that its batch does not matter."""
        exact = Map(self.shape).double()
        exact.load_state_dict(self.state_dict())
        parts = [
            exact(cells, cells.observed)
            for cells in (cells_of(codes[rows], torch.float64) for rows in batches(len(codes)))
        ]
        return cast(Floats, torch.cat(parts).numpy())


@dataclass(frozen=True)
class Landscape:
    """What a map is to keep.

    Attributes:
        cells: (N, D) rows.
        pictures: (N, G) the rows as numbers whose distances matter.
        neighbours: (N, k) the nearest rows of each.
        lost: share of the pictures' variance that principal components lose, as many as the map
            has coordinates.
    """

    cells: Cells
    pictures: Tensor
    neighbours: Tensor
    lost: float


def draw_map(land: Landscape, shape: Shape, steps: int, generator: torch.Generator) -> Map:
    """Train a map.

    Args:
        land: what it is to keep.
        shape: sizes of its network.
        steps: optimiser steps.
        generator: source of all randomness.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        chart = Map(shape)
        decoder = nn.Sequential(
            nn.Linear(shape.latent, shape.width),
            *(Block(shape.width) for _ in range(shape.depth)),
            nn.LayerNorm(shape.width, elementwise_affine=False),
            nn.Linear(shape.width, land.pictures.shape[1]),
        )
    parameters = [*chart.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, fused=True)
    center, spread = land.pictures.mean(0), land.pictures.var(0, correction=0).sum()
    weight = RESTORING / max(land.lost, LEAST_LOST) / max(float(spread), LEAST_LOST)
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * schedule(step, steps)
        index = torch.randint(len(land.pictures), (PAIRS,), generator=generator)
        rank = torch.randint(land.neighbours.shape[1], (PAIRS,), generator=generator)
        near = land.neighbours[index, rank]
        cells = land.cells.rows(torch.cat([index, near, index[:BLURRED]]))
        visible = cells.observed.clone()
        visible[2 * PAIRS :] = draw_visible(cells.observed[2 * PAIRS :], generator)
        here, there, blurred = chart(cells, visible).split([PAIRS, PAIRS, BLURRED])
        restored = decoder(here) + center - land.pictures[index]
        target = here[:BLURRED].detach()
        loss = (
            _contrast(here, there)
            + weight * restored.square().sum(1).mean()
            + mse_loss(blurred, target) / target.var(0).mean().clamp(min=LEAST_LOST)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(parameters, CLIP)
        optimizer.step()
    return chart.requires_grad_(False).eval()


def _contrast(here: Tensor, there: Tensor) -> Tensor:
    """How badly each row's neighbour is told from the neighbours of others, in nats."""
    similarity = -torch.log1p(torch.cdist(here, there).square())
    return cross_entropy(similarity, torch.arange(len(here)))

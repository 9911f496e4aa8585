"""A map of the rows: few coordinates that keep who is near whom, and where each row lies.

A network places each row from what is known of it. It is trained on two terms: neighbours are told
from other rows by their distance on the map, with a Cauchy kernel (t-SNE, van der Maaten & Hinton
2008, as the contrastive loss of Damrich et al. 2023, section 4); and a decoder restores the row
from its place. The second counts the more, the less principal components of the same number lose:
many coordinates keep distances, two keep neighbourhoods. A row with gaps is drawn to where it
would be without them.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.nn.utils import clip_grad_norm_

from tabvae.network import Block
from tabvae.training import draw_visible, schedule

WIDTH, DEPTH = 256, 2
PAIRS, BLURRED = 256, 64
RATE = 2e-3
CLIP = 4.0
START = 3.0
"""Spread of the first coordinate before training."""
RESTORING = 0.5
LEAST, LEAST_LOST = 1e-3, 0.02


class Map(nn.Module):
    """What is known of a row to coordinates: a linear view of it, and a correction by a network.

    **Shape** pictures (B, G), visible (B, D) -> (B, latent)

    Args:
        owners: (G,) the column each number of a picture belongs to.
        latent: number of coordinates.
    """

    owners: Tensor
    center: Tensor
    spread: Tensor

    def __init__(self, owners: Tensor, latent: int) -> None:
        super().__init__()
        inputs = len(owners) + int(owners.max()) + 1
        self.register_buffer("owners", owners, persistent=False)
        self.register_buffer("center", torch.zeros(len(owners)))
        self.register_buffer("spread", torch.ones(()))
        self.straight = nn.Linear(inputs, latent)
        self.bent = _perceptron(inputs, latent)

    def forward(self, pictures: Tensor, visible: Tensor) -> Tensor:
        known = (pictures - self.center) / self.spread * visible[:, self.owners]
        x = torch.cat([known, visible.to(known.dtype)], dim=1)
        place: Tensor = self.straight(x) + self.bent(x)
        return place


@dataclass(frozen=True)
class Landscape:
    """What a map is to keep.

    Attributes:
        pictures: (N, G) complete rows as numbers whose distances matter.
        observed: (N, D) the cells that were not filled in.
        owners: (G,) the column each number of a picture belongs to.
        neighbours: (N, k) the nearest rows of each.
        components: (latent, G) principal components of the pictures, zero beyond their rank.
        lost: share of the pictures' variance that these leave out.
    """

    pictures: Tensor
    observed: Tensor
    owners: Tensor
    neighbours: Tensor
    components: Tensor
    lost: float


def draw_map(land: Landscape, steps: int, generator: torch.Generator) -> Map:
    """Train a map.

    Args:
        land: what it is to keep.
        steps: optimiser steps.
        generator: source of all randomness.
    """
    chart, decoder = _start(land, generator)
    parameters = [*chart.parameters(), *decoder.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=RATE, fused=True)
    variance = float(land.pictures.var(0, correction=0).sum())
    weight = RESTORING / max(land.lost, LEAST_LOST) ** 2 / max(variance, LEAST)
    pairs = min(PAIRS, len(land.pictures))
    for step in range(1, steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = RATE * schedule(step, steps)
        index = torch.randint(len(land.pictures), (pairs,), generator=generator)
        rank = torch.randint(land.neighbours.shape[1], (pairs,), generator=generator)
        rows = torch.cat([index, land.neighbours[index, rank], index[:BLURRED]])
        visible = land.observed[rows]
        visible[2 * pairs :] = draw_visible(visible[2 * pairs :], generator)
        places = chart(land.pictures[rows], visible)
        here, there, blurred = places.tensor_split([pairs, 2 * pairs])
        restored = decoder(here) + chart.center - land.pictures[index]
        target = here[:BLURRED].detach()
        loss = (
            _contrast(here, there)
            + weight * restored.square().sum(1).mean()
            + mse_loss(blurred, target) / target.var(0).mean().clamp(min=LEAST)
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        clip_grad_norm_(parameters, CLIP)
        optimizer.step()
    return chart.requires_grad_(False).eval()


def _start(land: Landscape, generator: torch.Generator) -> tuple[Map, nn.Module]:
    """A map that begins as the principal components, and its decoder."""
    latent, size = land.components.shape
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        chart, decoder = Map(land.owners, latent), _perceptron(latent, size)
    with torch.no_grad():
        chart.center.copy_(land.pictures.mean(0))
        chart.spread.copy_(land.pictures.std(correction=0).clamp(min=LEAST))
        first = ((land.pictures - chart.center) / chart.spread) @ land.components[0]
        chart.straight.weight.zero_()
        chart.straight.weight[:, :size] = land.components
        chart.straight.weight *= START / first.std(correction=0).clamp(min=LEAST)
        chart.straight.bias.zero_()
    return chart, decoder


def _perceptron(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, WIDTH),
        *(Block(WIDTH) for _ in range(DEPTH)),
        nn.LayerNorm(WIDTH, elementwise_affine=False),
        nn.Linear(WIDTH, outputs),
    )


def _contrast(here: Tensor, there: Tensor) -> Tensor:
    """How badly each row's neighbour is told from the neighbours of others, in nats."""
    similarity = -torch.log1p(torch.cdist(here, there).square())
    return cross_entropy(similarity, torch.arange(len(here)))

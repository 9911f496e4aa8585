"""A map of the rows: few coordinates that keep who is near whom, and where each row lies.

A network places each row. It is trained on two terms: neighbours are told
from other rows by their distance on the map, with a Cauchy kernel (t-SNE, van der Maaten & Hinton
2008, as the contrastive loss of Damrich et al. 2023, section 4); and the row is restored from its
place, by a decoder and by a linear map, so that linear models find in the coordinates what they
find in the columns. The second counts the more, the less principal components of the same number
lose: many coordinates keep the row. Where they lose too much, neighbours alone decide, and the way
back follows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from tabvae.network.layers import Block
from tabvae.training.config import schedule
from tabvae.training.optimizer import AdamW

WIDTH, DEPTH = 128, 2
PAIRS = 256
RATE = 2e-3
WEIGHT_DECAY = 0.01
CLIP = 4.0
SPREAD, SPREAD_OF_FEW = 3.0, 1.0
"""Of the first coordinate before training: of many that keep the row, and of few that cannot."""
RESTORING, LEAST_LOST, MOST_LOST = 0.16, 0.05, 0.3
LEAST = 1e-3


class Projection(nn.Module):
    """A row to coordinates: a linear view of it, and a correction by a network.

    ``restore`` is the way back.

    **Shape** pictures (B, G) -> (B, latent)

    Args:
        size: numbers of a picture, G.
        latent: number of coordinates.
    """

    center: Tensor
    spread: Tensor

    def __init__(self, size: int, latent: int) -> None:
        super().__init__()
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("spread", torch.ones(()))
        self.straight = nn.Linear(size, latent)
        self.bent = _perceptron(size, latent)
        self.restorer = _perceptron(latent, size)

    def forward(self, pictures: Tensor) -> Tensor:
        x = (pictures - self.center) / self.spread
        place: Tensor = self.straight(x) + self.bent(x)
        return place

    def restore(self, places: Tensor) -> Tensor:
        """Coordinates (B, latent) to pictures (B, G) of complete rows."""
        picture: Tensor = self.restorer(places) + self.center
        return picture

    def check(self) -> None:
        """Make sure that it can be drawn on.

        Raises:
            ValueError: its unit is none.
        """
        if not bool(self.spread > LEAST / 2):
            raise ValueError("a map without a spread")


@dataclass(frozen=True)
class ProjectionTargets:
    """What a map is to keep.

    Attributes:
        pictures: (N, G) rows as numbers whose distances matter, gaps where they are expected.
        neighbours: (N, k) the nearest rows of each.
        components: (latent, G) principal components of the pictures, zero beyond their rank.
        lost: share of the pictures' variance that these leave out.
    """

    pictures: Tensor
    neighbours: Tensor
    components: Tensor
    lost: float

    @property
    def kept(self) -> bool:
        """Whether there are coordinates enough to keep the rows themselves."""
        return self.lost < MOST_LOST


def fit_projection(
    targets: ProjectionTargets,
    steps: int,
    generator: torch.Generator,
    stop: threading.Event | None = None,
) -> Projection:
    """Train a map.

    Args:
        targets: what it is to keep.
        steps: optimiser steps.
        generator: source of all randomness.
        stop: ends it with the next step.
    """
    projection = _start(targets, generator)
    straight_back = _straight_back(projection)
    parameters = [*projection.parameters(), *straight_back.parameters()]
    optimizer = AdamW(parameters, WEIGHT_DECAY, CLIP)
    variance = float(targets.pictures.var(0, correction=0).sum())
    weight = RESTORING / max(targets.lost, LEAST_LOST) ** 4 if targets.kept else 1.0
    weight /= max(variance, LEAST)
    pairs = min(PAIRS, len(targets.pictures))
    for step in range(1, steps + 1):
        if stop is not None and stop.is_set():
            break
        index = torch.randint(len(targets.pictures), (pairs,), generator=generator)
        rank = torch.randint(targets.neighbours.shape[1], (pairs,), generator=generator)
        rows = torch.cat([index, targets.neighbours[index, rank]])
        here, there = projection(targets.pictures[rows]).chunk(2)
        whole = targets.pictures[index]
        if targets.kept:
            wrong = (projection.restore(here) - whole).square() + (
                straight_back(here) - whole
            ).square()
        else:
            wrong = (projection.restore(here.detach()) - whole).square()
        loss = _contrast(here, there) + weight * wrong.sum(1).mean()
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        optimizer.step(gradients, RATE * schedule(step, steps))
    return projection.requires_grad_(False).eval()


def _start(targets: ProjectionTargets, generator: torch.Generator) -> Projection:
    """A map that begins as the principal components."""
    latent, size = targets.components.shape
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projection = Projection(size, latent)
    with torch.no_grad():
        projection.center.copy_(targets.pictures.mean(0))
        projection.spread.copy_(targets.pictures.std(correction=0).clamp(min=LEAST))
        first = ((targets.pictures - projection.center) / projection.spread) @ targets.components[0]
        projection.straight.weight.copy_(targets.components)
        spread = SPREAD if targets.kept else SPREAD_OF_FEW
        projection.straight.weight *= spread / first.std(correction=0).clamp(min=LEAST)
        projection.straight.bias.zero_()
    return projection


def _straight_back(projection: Projection) -> nn.Linear:
    """The linear way back of a map that has just begun; only training needs it."""
    straight = projection.straight.weight
    latent, size = straight.shape
    back = nn.Linear(latent, size, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        inverse = straight / straight.square().sum(1, keepdim=True).clamp(min=LEAST)
        back.weight.copy_(projection.spread * inverse.T)
        back.bias.copy_(projection.center)
    return back


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

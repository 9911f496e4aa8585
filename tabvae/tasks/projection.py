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

from tabvae.columns.arrays import Arrays, prefixed, unprefixed
from tabvae.network.layers import Block
from tabvae.network.weights import load_weights, weights_of
from tabvae.training.config import schedule
from tabvae.training.optimizer import AdamW


@dataclass(frozen=True)
class ProjectionConfig:
    """How a map of rows is drawn.

    Attributes:
        width: of the hidden layers; model files hold networks of this one and the next.
        depth: number of residual blocks.
        most_rows: of the table that the map is drawn from: their neighbours have to be found.
        neighbours: of each row that are to stay near, as many as t-SNE commonly keeps.
        end_score: of a value that many rows share at an end of its column, beyond all others.
        pairs: of neighbours in a step; each is told from all the others.
        rate: peak learning rate.
        weight_decay: share of each weight, times the rate, that a step takes away.
        clip: largest norm of the gradient.
        spread: deviation of the first coordinate before training, where coordinates keep the row.
        spread_of_few: the same, where they are too few for it.
        restoring: weight of the row that is restored beside neighbours, where nothing is lost.
        least_lost: share of the variance that counts as lost at least: the weight stays finite.
        most_lost: of the variance, above which neighbours alone decide.
        least_spread: of pictures or of a coordinate: rows that are all alike have none.

    Examples:
        >>> ProjectionConfig().neighbours
        15
    """

    width: int = 128
    depth: int = 2
    most_rows: int = 10_000
    neighbours: int = 15
    end_score: float = 5.0
    pairs: int = 256
    rate: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 4.0
    spread: float = 3.0
    spread_of_few: float = 1.0
    restoring: float = 0.16
    least_lost: float = 0.05
    most_lost: float = 0.3
    least_spread: float = 1e-3


class Projection(nn.Module):
    """A row to coordinates: a linear view of it, and a correction by a network.

    ``restore`` is the way back.

    **Shape** pictures (B, G) -> (B, latent)

    Args:
        size: numbers of a picture, G.
        latent: number of coordinates.
        config: width and depth of its networks.

    Examples:
        >>> projection = Projection(size=5, latent=2)
        >>> projection(torch.zeros(3, 5)).shape, projection.restore(torch.zeros(3, 2)).shape
        (torch.Size([3, 2]), torch.Size([3, 5]))
    """

    center: Tensor
    spread: Tensor

    def __init__(
        self, size: int, latent: int, config: ProjectionConfig = ProjectionConfig()
    ) -> None:
        super().__init__()
        self.config = config
        self.register_buffer("center", torch.zeros(size))
        self.register_buffer("spread", torch.ones(()))
        self.straight = nn.Linear(size, latent)
        self.bent = _perceptron(size, latent, config)
        self.restorer = _perceptron(latent, size, config)

    def forward(self, pictures: Tensor) -> Tensor:
        x = (pictures - self.center) / self.spread  # (B, G)
        coordinates: Tensor = self.straight(x) + self.bent(x)  # (B, latent)
        return coordinates

    def restore(self, coordinates: Tensor) -> Tensor:
        """Coordinates (B, latent) to pictures (B, G) of complete rows."""
        pictures: Tensor = self.restorer(coordinates) + self.center
        return pictures

    def check(self) -> None:
        """Make sure that it can be drawn on.

        Raises:
            ValueError: its unit is none.
        """
        if not bool(self.spread > self.config.least_spread / 2):
            raise ValueError("a map without a spread")

    def arrays(self) -> Arrays:
        """``map.*``: its weights."""
        return prefixed("map.", weights_of(self))

    @classmethod
    def from_arrays(cls, arrays: Arrays, size: int, latent: int) -> Projection:
        """Made again from what ``arrays`` gave.

        Raises:
            ValueError, RuntimeError: they are not those of a map of that size.
        """
        projection = cls(size, latent)
        load_weights(projection, unprefixed("map.", arrays))
        projection.check()
        return projection.eval()


@dataclass(frozen=True)
class ProjectionTargets:
    """What a map is to keep.

    Attributes:
        pictures: (N, G) rows as numbers whose distances matter, gaps where they are expected.
        neighbours: (N, k) the nearest rows of each.
        components: (latent, G) principal components of the pictures, zero beyond their rank.
        lost: share of the pictures' variance that these leave out.

    Examples:
        >>> square = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> nearest = torch.tensor([[1], [0], [3], [2]])
        >>> targets = ProjectionTargets(square, nearest, torch.tensor([[1.0, 0.0]]), lost=0.5)
        >>> fit_projection(targets, 1, torch.Generator().manual_seed(0))(square).shape
        torch.Size([4, 1])
    """

    pictures: Tensor
    neighbours: Tensor
    components: Tensor
    lost: float


def fit_projection(
    targets: ProjectionTargets,
    steps: int,
    generator: torch.Generator,
    stop: threading.Event | None = None,
    config: ProjectionConfig = ProjectionConfig(),
) -> Projection:
    """Train a map.

    With y the coordinates of a row x, y' those of one of its neighbours:

        contrast  =  cross-entropy of -log(1 + |y_i - y'_k|^2): is k the neighbour of row i?
        restored  =  |restore(y) - x|^2 + |straight back(y) - x|^2
        loss      =  contrast + restoring / lost^4  restored / variance

    Where the coordinates are too few to keep the rows, ``restored`` has neither its second term nor
    a gradient to them: the way back follows.

    Args:
        targets: what it is to keep.
        steps: optimiser steps.
        generator: source of all randomness.
        stop: ends it with the next step.
        config: network, weights of the terms, optimiser.
    """
    keeps_rows = targets.lost < config.most_lost
    spread = config.spread if keeps_rows else config.spread_of_few
    projection = _start(targets, spread, generator, config)
    straight_back = _straight_back(projection)
    parameters = [*projection.parameters(), *straight_back.parameters()]
    optimizer = AdamW(parameters, config.weight_decay, config.clip)
    variance = float(targets.pictures.var(0, correction=0).sum())
    weight = config.restoring / max(targets.lost, config.least_lost) ** 4 if keeps_rows else 1.0
    weight /= max(variance, config.least_spread)
    for step in range(1, steps + 1):
        if stop is not None and stop.is_set():
            break
        x, neighbours = _pairs(targets, config.pairs, generator)
        here, there = projection(torch.cat([x, neighbours])).chunk(2)  # (B, latent) each
        if keeps_rows:
            errors = (projection.restore(here) - x).square() + (straight_back(here) - x).square()
        else:
            errors = (projection.restore(here.detach()) - x).square()
        loss = _contrast(here, there) + weight * errors.sum(1).mean()
        gradients = torch.autograd.grad(loss, parameters, materialize_grads=True)
        optimizer.step(gradients, config.rate * schedule(step, steps))
    return projection.requires_grad_(False).eval()


def _pairs(
    targets: ProjectionTargets, most: int, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """(B, G) pictures of some rows, and of a neighbour of each."""
    rows, count = len(targets.pictures), min(most, len(targets.pictures))
    index = torch.randint(rows, (count,), generator=generator)
    rank = torch.randint(targets.neighbours.shape[1], (count,), generator=generator)
    return targets.pictures[index], targets.pictures[targets.neighbours[index, rank]]


def _start(
    targets: ProjectionTargets,
    spread: float,
    generator: torch.Generator,
    config: ProjectionConfig,
) -> Projection:
    """A map that begins as the principal components, its first coordinate with ``spread``."""
    latent, size = targets.components.shape
    seed = int(torch.randint(2**31, (1,), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projection = Projection(size, latent, config)
    least = config.least_spread
    with torch.no_grad():
        projection.center.copy_(targets.pictures.mean(0))
        projection.spread.copy_(targets.pictures.std(correction=0).clamp(min=least))
        x = (targets.pictures - projection.center) / projection.spread  # (N, G)
        first = x @ targets.components[0]  # (N, G) @ (G,) -> (N,)
        projection.straight.weight.copy_(targets.components)
        projection.straight.weight *= spread / first.std(correction=0).clamp(min=least)
        projection.straight.bias.zero_()
    return projection


def _straight_back(projection: Projection) -> nn.Linear:
    """The linear way back of a map that has just begun; only training needs it."""
    straight = projection.straight.weight
    latent, size = straight.shape
    back = nn.Linear(latent, size, device="meta").to_empty(device="cpu")
    with torch.no_grad():
        norms = straight.square().sum(1, keepdim=True)  # (latent, 1)
        inverse = straight / norms.clamp(min=projection.config.least_spread)
        back.weight.copy_(projection.spread * inverse.T)
        back.bias.copy_(projection.center)
    return back


def _perceptron(inputs: int, outputs: int, config: ProjectionConfig) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, config.width),
        *(Block(config.width) for _ in range(config.depth)),
        nn.LayerNorm(config.width, elementwise_affine=False),
        nn.Linear(config.width, outputs),
    )


def _contrast(here: Tensor, there: Tensor) -> Tensor:
    """How badly each row's neighbour is told from the neighbours of others, in nats."""
    similarity = -torch.log1p(torch.cdist(here, there).square())
    return cross_entropy(similarity, torch.arange(len(here)))

"""How to learn: what the user chooses, and what follows from that and from the table."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch

from tabvae.errors import ParameterError, require_one_of, shown
from tabvae.network.batch import NetworkSizes
from tabvae.network.objective import Objective

DEFAULT_LATENT = 8
MOST_SEEDS = 2**63
DEVICES = ("auto", "cpu", "cuda")
EFFORTS = ("fast", "default", "best")
ROWS_OF_A_SMALL_TABLE, ROWS_OF_A_MEDIUM_TABLE = 4000, 10_000
FEWEST_STEPS, MOST_STEPS, ROWS_PER_STEP = 400, 5000, 6
MOST_MAP_STEPS = 1000
CELLS_OF_A_SMALL_GRID, MOST_LONGER = 16, 3.0
ELBO_SHARE = 0.15
LEVERAGE = 0.18
"""Of all cells of a row together."""
DISCREET_LEVERAGE, DISCREET_ROWS = 0.06, 0.25
"""The same where ``min_count`` asks for more discretion; what a row counts in the next two then."""
ROWS_PER_BIN_RATE, ROWS_PER_EMBEDDING = 40_000, 5000
"""From which on a number's bins learn like everything else; and from which on the embeddings of
categories begin as large."""


@dataclass(frozen=True)
class Settings:
    """What a user may choose about learning; the plan derives the rest from the table.

    Attributes:
        effort: one of ``EFFORTS``.
        latent: dimensions of the latent space.
        objective: which autoencoder, and the weights of its terms.
        seed: of all randomness.
        device: one of ``DEVICES``.
        grid: height, width and channels, if the numeric columns are cells of a grid.
        min_count: fewest cells behind any number or category the model keeps.
        memorise: let networks and trees learn single rows by heart.

    Raises:
        ParameterError: a value is outside its domain.
    """

    effort: str = "default"
    latent: int = DEFAULT_LATENT
    objective: Objective = field(default_factory=Objective)
    seed: int = 0
    device: str = "auto"
    grid: tuple[int, int, int] | None = None
    min_count: int = 1
    memorise: bool = False

    def __post_init__(self) -> None:
        require_one_of("effort", self.effort, EFFORTS)
        require_one_of("device", self.device, DEVICES)
        if not 1 <= self.latent <= NetworkSizes.most_latent:
            raise ParameterError(
                f"latent must be from 1 to {NetworkSizes.most_latent}, however: {self.latent}"
            )
        if not isinstance(self.memorise, bool):
            raise ParameterError(f"memorise is true or false, however: {self.memorise!r}")
        if self.min_count < 1:
            raise ParameterError(f"min_count must be at least 1, however: {self.min_count}")
        if not 0 <= self.seed < MOST_SEEDS:
            raise ParameterError(f"seed must be from 0 to 2^63 - 1, however: {shown(self.seed)}")

    @property
    def torch_device(self) -> torch.device:
        """Where to train.

        Raises:
            ParameterError: this machine has no such device.
        """
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ParameterError("this machine has no CUDA device", "--device cpu")
        cuda = self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())
        return torch.device("cuda" if cuda else "cpu")

    @property
    def leverage(self) -> float:
        """What a row may tell the trees' predictions of its own cells, all columns together; 1 is
        no bound."""
        if self.memorise:
            return 1.0
        return LEVERAGE if self.min_count == 1 else DISCREET_LEVERAGE

    @property
    def row_weight(self) -> float:
        """What a row counts when it is decided how fast networks may learn single bins."""
        if self.memorise:
            return math.inf
        return 1.0 if self.min_count == 1 else DISCREET_ROWS


@dataclass(frozen=True)
class Plan:
    """How to train one network.

    Attributes:
        nets: how many networks to train and average.
        steps: optimiser steps at most, per network.
        batch: rows per step.
        width: of the hidden layers.
        parts: of each batch, whose gradients are computed at the same time, a core each.
        map_steps: steps of the map.
        rate: peak learning rate of AdamW (Loshchilov & Hutter 2019).
        weight_decay: of AdamW.
        elbo_share: share of each batch that trains on the ELBO; the rest on the predictive term.
        evaluations: how often the held-out loss is measured, evenly over ``steps``.
        patience: evaluations in a row with a held-out error that is worse than the least one by
            more than its standard error, before training stops.
        averaging: decay per step of the exponential moving average of the weights.
        clip: largest norm of the gradient.
        bin_rate: rate at which the weights of a number's single bins learn, which begin at zero,
            beside the others'; 1 for weights that begin and learn like the others. Few rows tell
            where a number is better than which of its bins it is in, and the bins of a row's
            numbers tell it from all others.
        embedding: deviation of the embeddings of categories in the beginning, beside its usual one.
    """

    nets: int
    steps: int
    batch: int
    width: int
    parts: int = 1
    map_steps: int = MOST_MAP_STEPS
    rate: float = 2e-3
    weight_decay: float = 0.01
    elbo_share: float = ELBO_SHARE
    evaluations: int = 50
    patience: int = 12
    averaging: float = 0.99
    clip: float = 1.0
    bin_rate: float = 1.0
    embedding: float = 1.0


def plan_for(
    effort: str, rows: int, objective: Objective, cells: int = 0, row_weight: float = 1.0
) -> Plan:
    """The one dial: everything else about training follows from the table.

    A step costs little more with several times as many rows, so larger tables take half as many
    steps with four times the rows.

    Args:
        effort: one of ``EFFORTS``.
        rows: rows of the table.
        objective: a plain autoencoder is one network, whose code is the latent space.
        cells: of a grid, if the table has one: there is more to learn from each row.
        row_weight: see ``Settings``.
    """
    longer = min(max(cells / CELLS_OF_A_SMALL_GRID, 1.0), MOST_LONGER)
    small, medium = rows < ROWS_OF_A_SMALL_TABLE, rows < ROWS_OF_A_MEDIUM_TABLE
    share, nets = {"fast": (0.4, 1), "default": (1.0, 2 if small else 1), "best": (1.25, 4)}[effort]
    nets = nets if objective.variational else 1
    steps = min(FEWEST_STEPS + rows / ROWS_PER_STEP, MOST_STEPS)
    return Plan(
        nets=nets,
        steps=round(share * steps * longer * (1.0 if small else 0.5)),
        batch=128 if small else 512,
        parts=1 if small or nets > 1 else 2,
        width=256,
        elbo_share=ELBO_SHARE if objective.variational else 0.0,
        map_steps=round(share * min(steps, MOST_MAP_STEPS)),
        rate=2e-3 if medium else 2.5e-3,
        weight_decay=0.3 if medium else 0.01,
        bin_rate=min(row_weight * rows / ROWS_PER_BIN_RATE, 1.0),
        embedding=min(math.sqrt(row_weight * rows / ROWS_PER_EMBEDDING), 1.0),
    )


def schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up over the first fiftieth, then a half cosine."""
    warm = max(1, steps // 50)
    if step < warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) * 0.98 + 0.02

"""How to train: what the user chooses, the numbers behind the dial, and the plan that follows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from tabvae.errors import ParameterError, require_one_of, shown
from tabvae.network.batch import NetworkSizes
from tabvae.network.objective import Objective

DEVICES = ("auto", "cpu", "cuda")
EFFORTS = ("fast", "default", "best")


@dataclass(frozen=True)
class TrainingConfig:
    """The numbers from which a plan follows. Users do not choose them; tests may.

    Attributes:
        small_table: below so many rows two networks are averaged, for one overfits; from there on
            one takes half as many steps of four times the rows.
        medium_table: from so many rows on, weights learn faster and decay less.
        width: of the hidden layers.
        fewest_steps: of a table without rows, to which the next adds.
        rows_per_step: one more step for each so many rows.
        most_steps: of the largest table.
        fast_share: of the steps, with the least effort.
        best_share: of the steps, with the greatest effort.
        best_nets: networks to average, with the greatest effort.
        small_image: pixels above which an image is trained on for longer, for each row holds more
            to learn.
        most_longer: how many times as long at most.
        most_map_steps: of the map of the rows, however large the table is.
        elbo_share: of a batch; the rest trains the predictive term, which imputation relies on.
        leverage: what a row may tell the trees' predictions of its own cells, all columns
            together.
        discreet_leverage: the same with ``min_count``, which asks for more discretion.
        discreet_rows: what a row counts, with ``min_count``, in the next two.
        bin_rate_rows: from so many rows on, single bins of a number learn like everything else.
        embedding_rows: from so many rows on, embeddings of categories begin at their usual size.
        splittable_table: of fewer rows none are set apart for validation.
        validation_share: of the rows that no network trains on.
        most_validation_share: the same of a small table, if fewer would be too few to tell.
        fewest_validation_rows: below so many they are too few to tell.
        most_validation_rows: of a large table, for each evaluation passes all of them.
    """

    small_table: int = 4000
    medium_table: int = 10_000
    width: int = 256
    fewest_steps: int = 400
    rows_per_step: int = 6
    most_steps: int = 5000
    fast_share: float = 0.4
    best_share: float = 1.25
    best_nets: int = 4
    small_image: int = 16
    most_longer: float = 3.0
    most_map_steps: int = 1000
    elbo_share: float = 0.15
    leverage: float = 0.18
    discreet_leverage: float = 0.06
    discreet_rows: float = 0.25
    bin_rate_rows: int = 40_000
    embedding_rows: int = 5000
    splittable_table: int = 40
    validation_share: float = 0.05
    most_validation_share: float = 0.1
    fewest_validation_rows: int = 100
    most_validation_rows: int = 2000


@dataclass(frozen=True)
class Settings:
    """What a user may choose about learning; the plan derives the rest from the table.

    Attributes:
        effort: one of ``EFFORTS``.
        latent: dimensions of the latent space.
        objective: which autoencoder, and the weights of its terms.
        seed: of all randomness.
        device: one of ``DEVICES``.
        grid: height, width and channels, if the numeric columns are the pixels of an image.
        min_count: fewest cells behind any number or category the model keeps.
        memorise: let networks and trees learn single rows by heart.
        config: the numbers behind the plan.

    Raises:
        ParameterError: a value is outside its domain.

    **Examples**

    >>> Settings(min_count=10).leverage < Settings().leverage < Settings(memorise=True).leverage
    True
    """

    effort: str = "default"
    latent: int = 8
    objective: Objective = field(default_factory=Objective)
    seed: int = 0
    device: str = "auto"
    grid: tuple[int, int, int] | None = None
    min_count: int = 1
    memorise: bool = False
    config: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        require_one_of("effort", self.effort, EFFORTS)
        require_one_of("device", self.device, DEVICES)
        most = NetworkSizes.most_latent
        if not 1 <= self.latent <= most:
            raise ParameterError(f"latent must be from 1 to {most}, however: {self.latent}")
        if not isinstance(self.memorise, bool):
            raise ParameterError(f"memorise is true or false, however: {self.memorise!r}")
        if self.min_count < 1:
            raise ParameterError(f"min_count must be at least 1, however: {self.min_count}")
        if not 0 <= self.seed < 2**63:
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
        return self.config.leverage if self.min_count == 1 else self.config.discreet_leverage

    @property
    def row_weight(self) -> float:
        """What a row counts when it is decided how fast networks may learn single bins."""
        if self.memorise:
            return math.inf
        return 1.0 if self.min_count == 1 else self.config.discreet_rows


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
        clip: largest norm of the gradient.
        averaging: decay per step of the exponential moving average of the weights.
        elbo_share: share of each batch that trains on the ELBO; the rest on the predictive term.
        blind_share: share of rows that train with every cell hidden: what a generated row starts
            from.
        whole_share: share of rows that an ``ae`` or ``dae`` sees whole; the others have hidden
            cells.
        evaluations: how often the validation loss is measured, evenly over ``steps``.
        patience: evaluations in a row with a validation error that is worse than the least one by
            more than its standard error, before training stops.
        most_recoveries: how often a loss that is not finite may set training back.
        bin_count: added to the count of each bin when a network begins with their frequencies, so
            that the logarithm is finite.
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
    map_steps: int = TrainingConfig.most_map_steps
    rate: float = 2e-3
    weight_decay: float = 0.01
    clip: float = 1.0
    averaging: float = 0.99
    elbo_share: float = TrainingConfig.elbo_share
    blind_share: float = 0.1
    whole_share: float = 0.5
    evaluations: int = 50
    patience: int = 12
    most_recoveries: int = 10
    bin_count: float = 0.1
    bin_rate: float = 1.0
    embedding: float = 1.0


def plan_for(settings: Settings, rows: int) -> Plan:
    """The one dial: everything else about training follows from the table.

    A step costs little more with several times as many rows, so larger tables take half as many
    steps with four times the rows. A plain autoencoder is one network, whose code is the latent
    space.

    Args:
        settings: what the user chose.
        rows: of the table.

    **Examples**

    >>> plan_for(Settings(), rows=1200).steps, plan_for(Settings(effort="fast"), rows=1200).steps
    (600, 240)
    """
    config, variational = settings.config, settings.objective.variational
    pixels = 0 if settings.grid is None else math.prod(settings.grid)
    longer = min(max(pixels / config.small_image, 1.0), config.most_longer)
    small, medium = rows < config.small_table, rows < config.medium_table
    share, nets = {
        "fast": (config.fast_share, 1),
        "default": (1.0, 2 if small else 1),
        "best": (config.best_share, config.best_nets),
    }[settings.effort]
    nets = nets if variational else 1
    steps = min(config.fewest_steps + rows / config.rows_per_step, config.most_steps)
    weight = settings.row_weight * rows
    return Plan(
        nets=nets,
        steps=round(share * steps * longer * (1.0 if small else 0.5)),
        batch=128 if small else 512,
        parts=1 if small or nets > 1 else 2,
        width=config.width,
        elbo_share=config.elbo_share if variational else 0.0,
        map_steps=round(share * min(steps, config.most_map_steps)),
        rate=2e-3 if medium else 2.5e-3,
        weight_decay=0.3 if medium else 0.01,
        bin_rate=min(weight / config.bin_rate_rows, 1.0),
        embedding=min(math.sqrt(weight / config.embedding_rows), 1.0),
    )


def schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up over the first fiftieth, then a half cosine."""
    warm = max(1, steps // 50)
    if step < warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) * 0.98 + 0.02


def hold_out(
    rows: int, generator: torch.Generator, config: TrainingConfig = TrainingConfig()
) -> Tensor:
    """(H,) numbers of the validation rows, of so many, on which no network trains; none of a tiny
    table.

    **Examples**

    >>> len(hold_out(1500, torch.Generator().manual_seed(0)))
    100
    """
    if rows < config.splittable_table:
        return torch.zeros(0, dtype=torch.int64, device=generator.device)
    few = min(config.fewest_validation_rows, round(config.most_validation_share * rows))
    count = min(max(round(config.validation_share * rows), few), config.most_validation_rows)
    return torch.randperm(rows, generator=generator, device=generator.device)[:count].sort()[0]

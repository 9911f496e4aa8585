"""Where a run of training is: its curve, when it ends, and all that it goes on from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from torch import Tensor

from tabvae.training.config import Plan


@dataclass(frozen=True)
class Point:
    """One point of the training curve; its names are those of model files.

    Attributes:
        step: of the optimiser.
        reconstruction: loss of the hidden cells in nats per row, mean since the point before.
        kl: nats per row, likewise.
        held_out: loss of the validation rows in nats per cell.
        error: their squared error, see ``ValidationLoss``; what decides when to stop.
        spread: its standard error.
    """

    step: int
    reconstruction: float
    kl: float
    held_out: float
    error: float
    spread: float


@dataclass
class Record:
    """What happened in training; its names are those of model files.

    Attributes:
        curve: the training curve.
        best_step: the step whose averaged weights were kept.
        interrupted: stopped before the plan ended, by Ctrl-C.
        recoveries: how often a non-finite loss made it step back and halve the rate.
    """

    curve: list[Point] = field(default_factory=list)
    best_step: int = 0
    interrupted: bool = False
    recoveries: int = 0


@dataclass
class EarlyStop:
    """Ends a run whose validation error stays high, and says which weights to keep.

    Those of the last evaluation whose error is not worse than the least one by more than its
    standard error. Not the best: the error of a few rows is noisy, and the end of the schedule,
    where the rate is low, gives the better probabilities.

    Attributes:
        patience: evaluations in a row with a worse error before the run ends.
        bad: how many there were.
        best_step: the step whose weights are kept.

    **Examples**

    >>> early_stop = EarlyStop(patience=1)
    >>> curve = [Point(10, 1.0, 0.0, 1.0, error=0.5, spread=0.1)]
    >>> early_stop.keeps(curve)
    True
    >>> early_stop.keeps([*curve, Point(20, 1.0, 0.0, 1.0, error=0.7, spread=0.1)])
    False
    >>> early_stop
    EarlyStop(patience=1, bad=1, best_step=10)
    """

    patience: int
    bad: int = 0
    best_step: int = 0

    @property
    def ended(self) -> bool:
        """Whether the run is to end."""
        return self.bad >= self.patience

    def keeps(self, curve: Sequence[Point]) -> bool:
        """Whether the weights of the newest point are to be kept."""
        newest, least = curve[-1], min(curve, key=lambda point: point.error)
        if newest.error > least.error + least.spread:
            self.bad += 1
            return False
        self.bad, self.best_step = 0, newest.step
        return True


@dataclass
class State:
    """All that training goes on from after an evaluation, but for tensors.

    Attributes:
        step: how many were taken.
        rate: peak rate of the optimiser.
        early_stop: when the run ends.
        record: what happened so far.
    """

    step: int
    rate: float
    early_stop: EarlyStop
    record: Record

    @classmethod
    def first(cls, plan: Plan) -> State:
        """Before the first step."""
        return cls(0, plan.rate, EarlyStop(plan.patience), Record())

    def check(self, plan: Plan) -> None:
        """Make sure that training by ``plan`` comes to it.

        Raises:
            ValueError: it does not.
        """
        early_stop = self.early_stop
        if not 0 <= early_stop.best_step <= self.step <= plan.steps:
            raise ValueError("a state after steps that were not taken")
        if not 0 < self.rate <= plan.rate or early_stop.bad < 0:
            raise ValueError("a state that training does not come to")
        if early_stop.patience != plan.patience:
            raise ValueError("a state of another plan")


@dataclass(frozen=True)
class Snapshot:
    """A copy of all that a run goes on from.

    Attributes:
        state: the state.
        tensors: weights, their average, the best average, the optimiser's moments, and the state of
            the generator, by name.
    """

    state: State
    tensors: dict[str, Tensor]

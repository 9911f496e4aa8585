"""The training loop: schedule, held-out masked loss, early stop, averaged weights."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_

from tabvae.errors import DataError
from tabvae.masking import Batch, Masking
from tabvae.network import Cells, Shape
from tabvae.vae import Autoencoder, Loss, Objective

EFFORTS = ("fast", "default", "best")
ROWS_OF_A_MEDIUM_TABLE, ROWS_OF_A_LARGE_TABLE = 10_000, 16_000
FEWEST_STEPS, MOST_STEPS, ROWS_PER_STEP = 400, 5000, 6
MOST_MAP_STEPS = 1000
CELLS_OF_A_SMALL_GRID, MOST_LONGER = 16, 3.0
ELBO_SHARE = 0.15
MOST_RECOVERIES = 10
SMALLEST_COUNT = 0.1
"""Added to the count of each bin, so that its logarithm is finite."""


@dataclass(frozen=True)
class Plan:
    """How to train one network.

    Attributes:
        nets: how many networks to train and average.
        steps: optimiser steps at most, per network.
        batch: rows per step.
        width: of the hidden layers.
        map_steps: steps of the map.
        rate: peak learning rate of AdamW (Loshchilov & Hutter 2019).
        weight_decay: of AdamW.
        elbo_share: share of each batch that trains on the ELBO; the rest on the predictive term.
        evaluations: how often the held-out loss is measured, evenly over ``steps``.
        patience: evaluations in a row with a held-out error that is worse than the least one by
            more than its standard error, before training stops.
        averaging: decay per step of the exponential moving average of the weights.
        clip: largest norm of the gradient.
    """

    nets: int
    steps: int
    batch: int
    width: int
    map_steps: int = MOST_MAP_STEPS
    rate: float = 2e-3
    weight_decay: float = 0.01
    elbo_share: float = ELBO_SHARE
    evaluations: int = 50
    patience: int = 12
    averaging: float = 0.99
    clip: float = 1.0


def plan_for(effort: str, rows: int, objective: Objective, cells: int = 0) -> Plan:
    """The one dial: everything else about training follows from the table.

    Args:
        effort: one of ``EFFORTS``.
        rows: rows of the table.
        objective: a plain autoencoder is one network, whose code is the latent space.
        cells: of a grid, if the table has one: there is more to learn from each row.
    """
    longer = min(max(cells / CELLS_OF_A_SMALL_GRID, 1.0), MOST_LONGER)
    share, nets = {"fast": (0.4, 1), "default": (1.0, 2), "best": (1.25, 4)}[effort]
    steps = min(FEWEST_STEPS + rows / ROWS_PER_STEP, MOST_STEPS)
    return Plan(
        nets=nets if objective.variational else 1,
        steps=round(share * steps * longer),
        batch=128 if rows < ROWS_OF_A_LARGE_TABLE else 256,
        width=256,
        elbo_share=ELBO_SHARE if objective.variational else 0.0,
        map_steps=round(share * min(steps, MOST_MAP_STEPS)),
        weight_decay=0.3 if rows < ROWS_OF_A_MEDIUM_TABLE else 0.01,
    )


@dataclass(frozen=True)
class Point:
    """One point of the training curve.

    Attributes:
        step: of the optimiser.
        reconstruction: loss of the hidden cells in nats per row, mean since the point before.
        kl: nats per row, likewise.
        held_out: masked loss of held-out rows in nats per cell.
        error: their squared error, see ``Autoencoder.held_out``; what decides when to stop.
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
    """What happened in training.

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


Progress = Callable[[Point], None]
"""Called at each evaluation with the newest point of the curve."""


@dataclass
class _Best:
    step: int
    weights: dict[str, Tensor]


class Trainer:
    """Trains one network on encoded rows.

    Args:
        cells: (N, D) the rows.
        missing: (N, D) which cells are gaps.
        shape: sizes of the network.
        positions: (total bins,) place of each bin on its column's line.
        plan: how to train.
        objective: which autoencoder it is.
        held_out: (H,) numbers of the rows that are not trained on but tell when to stop; with
            none of them, the training rows do.
        generator: source of all randomness, on the device of ``cells``.
    """

    def __init__(
        self,
        cells: Cells,
        missing: Tensor,
        shape: Shape,
        positions: Tensor,
        plan: Plan,
        objective: Objective,
        held_out: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.cells, self.missing, self.plan, self.generator = cells, missing, plan, generator
        device = cells.bins.device
        self.vae = _initial(cells, missing, shape, positions, objective, generator).to(device)
        self.masking = Masking.of(self.vae, plan.elbo_share, generator)
        self.average = copy.deepcopy(self.vae).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=plan.rate, weight_decay=plan.weight_decay, fused=True
        )
        self.record = Record()
        kept = torch.ones(len(cells.bins), dtype=torch.bool, device=device)
        kept[held_out] = False
        self.rows = kept.nonzero().squeeze(1)
        self.examined = cells.rows(held_out if len(held_out) else self.rows)
        self.examined_visible, self.examined_target = self.masking.split(self.examined.observed)
        self.rate = plan.rate

    def run(
        self, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> tuple[Autoencoder, Record]:
        """Train until the held-out error rises, the plan ends, or ``stop`` is set.

        Returns:
            The averaged weights at the last evaluation whose held-out error is not worse than the
            least one by more than its standard error, and the record. The last such weights, not
            the best: the error of a few held-out rows is noisy, and the end of the schedule, where
            the rate is low, gives the better probabilities.
        """
        best = _Best(0, _snapshot(self.average))
        every = max(1, self.plan.steps // self.plan.evaluations)
        losses: list[Loss] = []
        bad = 0
        for step in range(1, self.plan.steps + 1):
            if stop is not None and stop.is_set():
                self.record.interrupted = True
                break
            losses.append(self._step(step))
            if step % every and step != self.plan.steps:
                continue
            point = self._evaluate(step, losses)
            losses = []
            if not math.isfinite(point.held_out + point.reconstruction + point.kl):
                self._step_back(best)
                continue
            self.record.curve.append(point)
            if progress is not None:
                progress(point)
            least = min(self.record.curve, key=lambda p: p.error)
            bad += 1
            if point.error <= least.error + least.spread:
                best = _Best(step, _snapshot(self.average))
                bad = 0
            if bad >= self.plan.patience:
                break
        self.record.best_step = best.step
        self.average.load_state_dict(best.weights)
        return self.average, self.record

    def _step(self, step: int) -> Loss:
        batch = self._batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * schedule(step, self.plan.steps)
        weight = self.vae.objective.kl_weight(step / self.plan.steps)
        loss = self.vae.loss(*batch, kl_weight=weight)
        self.optimizer.zero_grad(set_to_none=True)
        loss.total.backward()  # type: ignore[no-untyped-call]
        clip_grad_norm_(self.vae.parameters(), self.plan.clip)
        self.optimizer.step()
        # Early averages forget the first steps faster.
        weight = max(1 - self.plan.averaging, 1 / (step + 1))
        with torch.no_grad():
            torch._foreach_lerp_(
                list(self.average.parameters()), list(self.vae.parameters()), weight
            )
        return replace(loss, total=loss.total.detach())

    def _batch(self) -> Batch:
        device, generator = self.rows.device, self.generator
        pick = torch.randint(len(self.rows), (self.plan.batch,), generator=generator, device=device)
        index = self.rows[pick]
        return self.masking.draw(self.cells.rows(index), self.missing[index])

    def _evaluate(self, step: int, losses: list[Loss]) -> Point:
        held_out, error, spread = self.average.held_out(
            self.examined, self.examined_visible, self.examined_target
        )
        return Point(
            step,
            float(torch.stack([loss.reconstruction for loss in losses]).mean()),
            float(torch.stack([loss.kl for loss in losses]).mean()),
            float(held_out),
            float(error),
            float(spread),
        )

    def _step_back(self, best: _Best) -> None:
        """After a non-finite loss: return to the best weights with half the rate."""
        self.record.recoveries += 1
        if self.record.recoveries > MOST_RECOVERIES:
            raise DataError(
                f"the loss was not finite {MOST_RECOVERIES} times in a row",
                "look for extreme numbers with 'tabvae inspect', or lower --beta",
            )
        self.vae.load_state_dict(best.weights)
        self.average.load_state_dict(best.weights)
        self.optimizer.state.clear()
        self.rate /= 2


def schedule(step: int, steps: int) -> float:
    """Share of the peak rate: linear warm-up over the first fiftieth, then a half cosine."""
    warm = max(1, steps // 50)
    if step < warm:
        return step / warm
    return 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm))) * 0.98 + 0.02


def _snapshot(vae: Autoencoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in vae.state_dict().items()}


def _initial(
    cells: Cells,
    missing: Tensor,
    shape: Shape,
    positions: Tensor,
    objective: Objective,
    generator: torch.Generator,
) -> Autoencoder:
    """A network that starts from each column's own frequencies, with weights from ``generator``.

    The global generator is left as it was.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = Autoencoder(shape, positions, objective)
    bins = torch.where(missing, torch.tensor(shape.sizes, device=missing.device), cells.bins)
    bins = bins + torch.tensor(shape.offsets[:-1], device=bins.device)
    counts = torch.bincount(bins[cells.observed | missing], minlength=shape.offsets[-1])
    bias = torch.log(counts.cpu() + SMALLEST_COUNT)
    if objective.likelihood != "binned":
        # A number's values sum to one before the state "missing" competes with them.
        sums = torch.zeros(len(shape.sizes)).index_add(0, shape.column_of, bias.exp())
        bias = bias - sums.log()[shape.column_of]
    with torch.no_grad():
        vae.decoder.logits.free.bias.copy_(bias)
    return vae

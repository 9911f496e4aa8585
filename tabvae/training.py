"""The training loop: masks, schedule, held-out masked loss, early stop, averaged weights."""

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
from tabvae.network import Cells, Shape
from tabvae.vae import VAE, Loss

EFFORTS = ("fast", "default", "best")
ROWS_OF_A_MEDIUM_TABLE, ROWS_OF_A_LARGE_TABLE = 10_000, 16_000
FEWEST_STEPS, MOST_STEPS, ROWS_PER_STEP = 400, 5000, 6
MOST_MAP_STEPS = 1000
NOTHING_VISIBLE = 0.1
"""Share of rows that train with every cell hidden: what a generated row starts from."""
HELD_OUT_SHARE, MOST_HELD_OUT_SHARE = 0.05, 0.1
FEWEST_HELD_OUT_ROWS, MOST_HELD_OUT_ROWS = 100, 2000
FEWEST_ROWS_TO_HOLD_OUT = 40
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
    elbo_share: float = 0.15
    evaluations: int = 50
    patience: int = 12
    averaging: float = 0.99
    clip: float = 1.0


def plan_for(effort: str, rows: int) -> Plan:
    """The one dial: everything else about training follows from the number of rows.

    Args:
        effort: one of ``EFFORTS``.
        rows: rows of the table.
    """
    share, nets = {"fast": (0.4, 1), "default": (1.0, 2), "best": (1.25, 4)}[effort]
    steps = min(FEWEST_STEPS + rows / ROWS_PER_STEP, MOST_STEPS)
    return Plan(
        nets=nets,
        steps=round(share * steps),
        batch=128 if rows < ROWS_OF_A_LARGE_TABLE else 256,
        width=256,
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
        error: their squared error, see ``VAE.held_out``; what decides when to stop.
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


def hold_out(rows: int, generator: torch.Generator) -> Tensor:
    """(H,) numbers of the rows, of so many, that no network trains on; none of a tiny table."""
    if rows < FEWEST_ROWS_TO_HOLD_OUT:
        return torch.zeros(0, dtype=torch.int64, device=generator.device)
    few = min(FEWEST_HELD_OUT_ROWS, round(MOST_HELD_OUT_SHARE * rows))
    count = min(max(round(HELD_OUT_SHARE * rows), few), MOST_HELD_OUT_ROWS)
    return torch.randperm(rows, generator=generator, device=generator.device)[:count].sort()[0]


def draw_visible(observed: Tensor, generator: torch.Generator) -> Tensor:
    """(B, D) a random subset of the observed cells: each row's share of visible cells is uniform
    in 0..1, one row in ten sees nothing, and at least one observed cell stays hidden."""
    rows, columns = observed.shape
    device = observed.device
    rank = torch.rand(rows, columns, generator=generator, device=device)
    order = rank.masked_fill(~observed, 2.0).argsort(1).argsort(1)
    count = observed.sum(1, keepdim=True)
    seen = (torch.rand(rows, 1, generator=generator, device=device) * count).floor()
    blind = torch.rand(rows, 1, generator=generator, device=device) < NOTHING_VISIBLE
    return observed & (order < torch.where(blind, torch.zeros_like(seen), seen))


def show_gaps(cells: Cells, missing: Tensor, sizes: Tensor, rows: Tensor) -> Cells:
    """In the rows marked by ``rows`` (B, 1), the missing cells become cells of state "missing".

    So the network learns where a table has its gaps, which ``generate`` needs, and still imputes
    from rows whose gaps are simply unknown.
    """
    state = missing & rows
    return Cells(torch.where(state, sizes, cells.bins), cells.scores, cells.observed | state)


@dataclass
class _Best:
    step: int
    weights: dict[str, Tensor]


class Trainer:
    """Trains one VAE on encoded rows.

    Args:
        cells: (N, D) the rows.
        missing: (N, D) which cells are gaps.
        shape: sizes of the network.
        positions: (total bins,) place of each bin on its column's line.
        plan: how to train.
        beta: weight of the KL term.
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
        beta: float,
        held_out: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.cells, self.missing, self.plan, self.generator = cells, missing, plan, generator
        device = cells.bins.device
        self.vae = _initial_vae(cells, missing, shape, positions, beta, generator).to(device)
        self.average = copy.deepcopy(self.vae).requires_grad_(False).eval()
        self.optimizer = torch.optim.AdamW(
            self.vae.parameters(), lr=plan.rate, weight_decay=plan.weight_decay, fused=True
        )
        self.record = Record()
        kept = torch.ones(len(cells.bins), dtype=torch.bool, device=device)
        kept[held_out] = False
        self.rows = kept.nonzero().squeeze(1)
        self.examined = cells.rows(held_out if len(held_out) else self.rows)
        self.examined_visible = draw_visible(self.examined.observed, generator)
        self.rate = plan.rate

    def run(
        self, progress: Progress | None = None, stop: threading.Event | None = None
    ) -> tuple[VAE, Record]:
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
        cells, visible, noise, gaps = self._batch()
        target = cells.observed & ~visible
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate * schedule(step, self.plan.steps)
        loss = self.vae.loss(cells, visible, target, len(noise), noise, gaps)
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

    def _batch(self) -> tuple[Cells, Tensor, Tensor, Tensor]:
        device, generator = self.rows.device, self.generator
        pick = torch.randint(len(self.rows), (self.plan.batch,), generator=generator, device=device)
        index = self.rows[pick]
        gaps = torch.rand(len(index), 1, generator=generator, device=device) < 0.5
        cells = show_gaps(self.cells.rows(index), self.missing[index], self.vae.sizes, gaps)
        visible = draw_visible(cells.observed, generator)
        noise = torch.randn(
            round(self.plan.elbo_share * len(index)),
            self.vae.shape.latent,
            generator=generator,
            device=device,
        )
        return cells, visible, noise, gaps

    def _evaluate(self, step: int, losses: list[Loss]) -> Point:
        target = self.examined.observed & ~self.examined_visible
        held_out, error, spread = self.average.held_out(
            self.examined, self.examined_visible, target
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


def _snapshot(vae: VAE) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in vae.state_dict().items()}


def _initial_vae(
    cells: Cells,
    missing: Tensor,
    shape: Shape,
    positions: Tensor,
    beta: float,
    generator: torch.Generator,
) -> VAE:
    """A VAE that starts from each column's own frequencies, with weights from ``generator``.

    The global generator is left as it was.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = VAE(shape, positions, beta)
    bins = torch.where(missing, torch.tensor(shape.sizes, device=missing.device), cells.bins)
    bins = bins + torch.tensor(shape.offsets[:-1], device=bins.device)
    counts = torch.bincount(bins[cells.observed | missing], minlength=shape.offsets[-1])
    with torch.no_grad():
        vae.decoder.logits.free.bias.copy_(torch.log(counts.cpu() + SMALLEST_COUNT))
    return vae

"""The training loop: held-out masked loss, early stop, averaged weights, and its state."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from torch import Tensor

from tabvae.errors import DataError
from tabvae.network.autoencoder import Autoencoder, Loss
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.training.config import Plan, schedule
from tabvae.training.masking import Batch, Masking
from tabvae.training.optimizer import AdamW

MOST_RECOVERIES = 10
SMALLEST_COUNT = 0.1
"""Added to the count of each bin, so that its logarithm is finite."""


@dataclass(frozen=True)
class Point:
    """One point of the training curve.

    Attributes:
        step: of the optimiser.
        reconstruction: loss of the hidden cells in nats per row, mean since the point before.
        kl: nats per row, likewise.
        held_out: masked loss of held-out rows in nats per cell.
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


@dataclass(frozen=True)
class State:
    """All that training goes on from after an evaluation.

    Attributes:
        step: how many were taken.
        bad: evaluations in a row whose error was worse than the least by more than chance.
        best_step: the step whose averaged weights are the best so far.
        rate: peak rate of the optimiser.
        record: what happened so far.
        tensors: weights, their average, the best average, the optimiser's moments, and the state of
            the generator.
    """

    step: int
    bad: int
    best_step: int
    rate: float
    record: Record
    tensors: dict[str, Tensor]


Progress = Callable[[Point], None]
"""Called at each evaluation with the newest point of the curve."""


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
        cells: Rows,
        missing: Tensor,
        shape: NetworkSizes,
        positions: Tensor,
        plan: Plan,
        objective: Objective,
        held_out: Tensor,
        generator: torch.Generator,
    ) -> None:
        self.cells, self.missing, self.plan, self.generator = cells, missing, plan, generator
        self.device = device = cells.bins.device
        self.vae = _initial(cells, missing, shape, positions, objective, generator, plan).to(device)
        self.masking = Masking.of(self.vae, plan.elbo_share, generator)
        self.average = copy.deepcopy(self.vae).requires_grad_(False).eval()
        shares = _shares_of_rate(self.vae, plan.bin_rate)
        self.optimizer = AdamW(self.vae.parameters(), plan.weight_decay, plan.clip, shares)
        self.record = Record()
        kept = torch.ones(len(cells.bins), dtype=torch.bool, device=device)
        kept[held_out] = False
        self.rows = kept.nonzero().squeeze(1)
        self.examined = cells[held_out if len(held_out) else self.rows]
        self.examined_visible, self.examined_target = self.masking.split(self.examined.observed)
        self.rate = plan.rate
        self.step = self.bad = self.best_step = 0
        self.best = _snapshot(self.average)
        # Matrices are small: a thread for each part is faster than several for each product.
        pool = ThreadPoolExecutor(plan.parts, initializer=partial(torch.set_num_threads, 1))
        self._each = map if plan.parts == 1 else pool.map

    def run(
        self,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        keep: Callable[[Callable[[], State]], None] | None = None,
    ) -> tuple[Autoencoder, Record]:
        """Train until the held-out error rises, the plan ends, or ``stop`` is set.

        Args:
            progress: called after each evaluation.
            stop: ends the run with its next step.
            keep: called after each evaluation with what takes the state, for a copy of it costs.

        Returns:
            The averaged weights at the last evaluation whose held-out error is not worse than the
            least one by more than its standard error, and the record. The last such weights, not
            the best: the error of a few held-out rows is noisy, and the end of the schedule, where
            the rate is low, gives the better probabilities.
        """
        every = max(1, self.plan.steps // self.plan.evaluations)
        losses: list[Loss] = []
        while self.step < self.plan.steps and self.bad < self.plan.patience:
            if stop is not None and stop.is_set():
                self.record.interrupted = True
                break
            self.step += 1
            losses.append(self._step(self.step))
            if self.step % every and self.step != self.plan.steps:
                continue
            point = self._evaluate(self.step, losses)
            losses = []
            if not math.isfinite(point.held_out + point.reconstruction + point.kl):
                self._step_back()
                continue
            self._judge(point)
            if progress is not None:
                progress(point)
            if keep is not None:
                keep(self.state)
        self.record.best_step = self.best_step
        self.average.load_state_dict(self.best)
        return self.average, self.record

    def state(self) -> State:
        """A copy of all that the run goes on from."""
        tensors = {"generator": self.generator.get_state()}
        for name, weights in (
            ("vae", self.vae.state_dict()),
            ("average", self.average.state_dict()),
            ("best", self.best),
        ):
            tensors.update({f"{name}.{key}": tensor for key, tensor in weights.items()})
        for key, moments in self.optimizer.moments.items():
            for number, tensor in enumerate(moments):
                tensors[f"optimizer.{number}.{key}"] = tensor
        copies = {name: tensor.clone() for name, tensor in tensors.items()}
        record = replace(self.record, curve=list(self.record.curve))
        return State(self.step, self.bad, self.best_step, self.rate, record, copies)

    def resume(self, state: State) -> None:
        """Go on from a state of a trainer that was made alike.

        Raises:
            ValueError: it is of another one, or of none.
        """
        if _forms(state.tensors) != _forms(self.state().tensors):
            raise ValueError("a state of another network")
        if not 0 <= state.best_step <= state.step <= self.plan.steps:
            raise ValueError("a state after steps that were not taken")
        if not 0 < state.rate <= self.plan.rate or state.bad < 0:
            raise ValueError("a state that training does not come to")
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in state.tensors.items():
            part, _, key = name.partition(".")
            parts.setdefault(part, {})[key] = tensor
        self.generator.set_state(parts["generator"][""])
        self.vae.load_state_dict(parts["vae"])
        self.average.load_state_dict(parts["average"])
        self.best = {name: tensor.to(self.device) for name, tensor in parts["best"].items()}
        for name, tensor in parts["optimizer"].items():
            number, _, key = name.partition(".")
            self.optimizer.moments[key][int(number)] = tensor.to(self.device)
        self.step, self.bad, self.best_step = state.step, state.bad, state.best_step
        self.rate, self.record = state.rate, state.record

    def _judge(self, point: Point) -> None:
        """Whether the averaged weights are as good as the best."""
        self.record.curve.append(point)
        least = min(self.record.curve, key=lambda p: p.error)
        self.bad += 1
        if point.error <= least.error + least.spread:
            self.best_step, self.best = point.step, _snapshot(self.average)
            self.bad = 0

    def _step(self, step: int) -> Loss:
        batches = [self._batch() for _ in range(self.plan.parts)]
        weight = self.vae.objective.kl_weight(step / self.plan.steps)
        losses, gradients = zip(
            *self._each(partial(self._gradient, kl_weight=weight), batches), strict=True
        )
        first, *others = gradients
        for other in others:
            torch._foreach_add_(first, other)
        if others:
            torch._foreach_div_(first, len(gradients))
        self.optimizer.step(first, self.rate * schedule(step, self.plan.steps))
        # Early averages forget the first steps faster.
        weight = max(1 - self.plan.averaging, 1 / (step + 1))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self.optimizer.parameters, weight)
        return Loss(*(torch.stack(terms).mean() for terms in zip(*losses, strict=True)))

    def _gradient(
        self, batch: Batch, kl_weight: float
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The terms of the loss, and the gradient of the whole for each parameter."""
        loss = self.vae.loss(*batch, beta=kl_weight)
        gradient = torch.autograd.grad(
            loss.total, self.optimizer.parameters, materialize_grads=True
        )
        return (loss.total.detach(), loss.reconstruction, loss.kl), gradient

    def _batch(self) -> Batch:
        device, generator = self.device, self.generator
        size = (self.plan.batch // self.plan.parts,)
        index = self.rows[torch.randint(len(self.rows), size, generator=generator, device=device)]
        return self.masking.draw(self.cells[index], self.missing[index])

    def _evaluate(self, step: int, losses: list[Loss]) -> Point:
        validation = self.average.validation_loss(
            self.examined, self.examined_visible, self.examined_target
        )
        return Point(
            step,
            float(torch.stack([loss.reconstruction for loss in losses]).mean()),
            float(torch.stack([loss.kl for loss in losses]).mean()),
            float(validation.loss),
            float(validation.error),
            float(validation.spread),
        )

    def _step_back(self) -> None:
        """After a non-finite loss: return to the best weights with half the rate."""
        self.record.recoveries += 1
        if self.record.recoveries > MOST_RECOVERIES:
            raise DataError(
                f"the loss was not finite {MOST_RECOVERIES} times in a row",
                "look for extreme numbers with 'tabvae inspect', or lower --beta",
            )
        self.vae.load_state_dict(self.best)
        self.average.load_state_dict(self.best)
        self.optimizer.forget()
        self.rate /= 2


def _forms(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}


def _snapshot(vae: Autoencoder) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in vae.state_dict().items()}


def _initial(
    cells: Rows,
    missing: Tensor,
    shape: NetworkSizes,
    positions: Tensor,
    objective: Objective,
    generator: torch.Generator,
    plan: Plan,
) -> Autoencoder:
    """A network that starts from each column's own frequencies, with weights from ``generator``.

    The global generator is left as it was.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = Autoencoder(shape, positions, objective)
    bins = torch.where(missing, torch.tensor(shape.bins, device=missing.device), cells.bins)
    bins = bins + torch.tensor(shape.offsets[:-1], device=bins.device)
    counts = torch.bincount(bins[cells.observed | missing], minlength=shape.offsets[-1])
    bias = torch.log(counts.cpu() + SMALLEST_COUNT)
    if objective.likelihood != "binned":
        # A number's values sum to one before the state "missing" competes with them.
        sums = torch.zeros(len(shape.bins)).index_add(0, shape.column_of, bias.exp())
        bias = bias - sums.log()[shape.column_of]
    with torch.no_grad():
        vae.decoder.logits.free.bias.copy_(bias)
        if plan.bin_rate < 1:
            for weight in _bin_weights(vae).values():
                weight[_number_bins(vae)] = 0.0
        if plan.embedding < 1:
            vae.encoder.embedding.weight[: shape.offsets[-1]] *= plan.embedding
    return vae


def _number_bins(vae: Autoencoder) -> Tensor:
    """Which outputs are the bins of a number, "missing" left out, (total bins,)."""
    positions = vae.decoder.logits.positions
    own, last = vae.column_of, vae.encoder.offsets + vae.missing_bins
    on_line = positions.new_zeros(len(vae.sizes.bins)).index_add(0, own, positions.abs()) > 0
    return on_line[own].index_fill(0, last, False).nonzero().squeeze(1)


def _bin_weights(vae: Autoencoder) -> dict[str, Tensor]:
    """The weights with a row for each bin, by name."""
    return {
        "encoder.embedding.weight": vae.encoder.embedding.weight,
        "decoder.logits.free.weight": vae.decoder.logits.free.weight,
    }


def _shares_of_rate(vae: Autoencoder, bin_rate: float) -> dict[int, Tensor]:
    """What ``AdamW`` asks for: the weights of a number's bins learn at ``bin_rate``."""
    if bin_rate == 1:
        return {}
    shares, bins = {}, _number_bins(vae)
    places = {name: place for place, (name, _) in enumerate(vae.named_parameters())}
    for name, weight in _bin_weights(vae).items():
        share = torch.ones(len(weight), 1, device=weight.device)
        shares[places[name]] = share.index_fill(0, bins, bin_rate)
    return shares

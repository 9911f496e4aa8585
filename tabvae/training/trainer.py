"""The training loop: a step, an evaluation, averaged weights, and a way back."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import torch
from torch import Tensor

from tabvae.errors import DataError
from tabvae.network.autoencoder import Autoencoder, Loss
from tabvae.training.config import Plan, schedule
from tabvae.training.initial import shares_of_rate
from tabvae.training.masking import Batch, Masking, TrainingData, Validation
from tabvae.training.optimizer import AdamW
from tabvae.training.state import Point, Record, Snapshot, State

Progress = Callable[[Point], None]
"""Called at each evaluation with the newest point of the curve."""


class WeightAverage:
    """Exponential moving average of the weights of a network.

    Attributes:
        net: the network that has them.
        decay: of the average, a step.
    """

    def __init__(self, net: Autoencoder, decay: float) -> None:
        self.net, self.decay = copy.deepcopy(net).requires_grad_(False).eval(), decay

    @torch.no_grad()
    def update(self, parameters: list[Tensor], step: int) -> None:
        """Take in the ``parameters`` as they are after that ``step``."""
        # Early averages forget the first steps faster.
        weight = max(1 - self.decay, 1 / (step + 1))
        torch._foreach_lerp_(list(self.net.parameters()), parameters, weight)


class Trainer:
    """Trains one network on encoded rows.

    Args:
        net: as it begins.
        data: what it learns from; without validation rows, the training rows tell when to stop.
        plan: how to train.
        generator: source of all randomness, on the device of the data.
    """

    def __init__(
        self, net: Autoencoder, data: TrainingData, plan: Plan, generator: torch.Generator
    ) -> None:
        self.net, self.data, self.plan, self.generator = net, data, plan, generator
        self.masking = Masking.of(net, plan, generator)
        self.average = WeightAverage(net, plan.averaging)
        self.optimizer = AdamW(
            net.parameters(), plan.weight_decay, plan.clip, shares_of_rate(net, plan)
        )
        self.state = State.first(plan)
        self.best = _copies(self.average.net.state_dict())
        self.training = data.training
        rows = data.rows[data.validation if len(data.validation) else self.training]
        self.validation = Validation(rows, *self.masking.split(rows.observed))
        # Matrices are small: a thread for each part is faster than several for each product.
        pool = ThreadPoolExecutor(plan.parts, initializer=partial(torch.set_num_threads, 1))
        self._map = map if plan.parts == 1 else pool.map

    @property
    def device(self) -> torch.device:
        """Where it trains."""
        return self.data.missing.device

    def run(
        self,
        progress: Progress | None = None,
        stop: threading.Event | None = None,
        keep: Callable[[Callable[[], Snapshot]], None] | None = None,
    ) -> tuple[Autoencoder, Record]:
        """Train until the validation error rises, the plan ends, or ``stop`` is set.

        Args:
            progress: called after each evaluation.
            stop: ends the run with its next step.
            keep: called after each evaluation with what takes a snapshot, for a copy of it costs.

        Returns:
            The network with the averaged weights that ``EarlyStop`` keeps, and the record.
        """
        state, steps = self.state, self.plan.steps
        every = max(1, steps // self.plan.evaluations)
        losses: list[Loss] = []
        while state.step < steps and not state.early_stop.ended:
            if stop is not None and stop.is_set():
                state.record.interrupted = True
                break
            state.step += 1
            losses.append(self._step(state.step))
            if state.step % every and state.step != steps:
                continue
            point = self._evaluate(losses)
            losses = []
            if not math.isfinite(point.held_out + point.reconstruction + point.kl):
                self._step_back()
                continue
            state.record.curve.append(point)
            if state.early_stop.keeps(state.record.curve):
                self.best = _copies(self.average.net.state_dict())
            if progress is not None:
                progress(point)
            if keep is not None:
                keep(self.snapshot)
        state.record.best_step = state.early_stop.best_step
        self.average.net.load_state_dict(self.best)
        return self.average.net, state.record

    def snapshot(self) -> Snapshot:
        """A copy of all that the run goes on from."""
        return Snapshot(copy.deepcopy(self.state), _copies(self._tensors()))

    def resume(self, snapshot: Snapshot) -> None:
        """Go on from a snapshot of a trainer that was made alike.

        Raises:
            ValueError: it is of another one, or of none.
        """
        tensors = self._tensors()
        if _forms(snapshot.tensors) != _forms(tensors):
            raise ValueError("a state of another network")
        snapshot.state.check(self.plan)
        self.generator.set_state(snapshot.tensors["generator"])
        for name, tensor in tensors.items():
            tensor.copy_(snapshot.tensors[name])
        self.state = copy.deepcopy(snapshot.state)

    def _tensors(self) -> dict[str, Tensor]:
        """All that a run changes, by name; of the generator a copy."""
        parts = {
            "weights": self.net.state_dict(),
            "average": self.average.net.state_dict(),
            "best": self.best,
            "optimizer": self.optimizer.state_dict(),
        }
        tensors = {"generator": self.generator.get_state()}
        for part, named in parts.items():
            tensors |= {f"{part}.{name}": tensor for name, tensor in named.items()}
        return tensors

    def _step(self, step: int) -> Loss:
        batches = [self._batch() for _ in range(self.plan.parts)]
        beta = self.net.objective.kl_weight(step / self.plan.steps)
        losses, gradients = zip(*self._map(partial(self._gradient, beta), batches), strict=True)
        first, *others = gradients
        for other in others:
            torch._foreach_add_(first, other)
        if others:
            torch._foreach_div_(first, len(gradients))
        self.optimizer.step(first, self.state.rate * schedule(step, self.plan.steps))
        self.average.update(self.optimizer.parameters, step)
        return Loss(*(torch.stack(terms).mean() for terms in zip(*losses, strict=True)))

    def _batch(self) -> Batch:
        size = (self.plan.batch // self.plan.parts,)
        index = torch.randint(
            len(self.training), size, generator=self.generator, device=self.device
        )
        rows = self.training[index]
        return self.masking.draw(self.data.rows[rows], self.data.missing[rows])

    def _gradient(self, beta: float, batch: Batch) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """The terms of the loss, and the gradient of the whole for each parameter."""
        loss = self.net.loss(*batch, beta=beta)
        gradient = torch.autograd.grad(
            loss.total, self.optimizer.parameters, materialize_grads=True
        )
        return (loss.total.detach(), loss.reconstruction, loss.kl), gradient

    def _evaluate(self, losses: list[Loss]) -> Point:
        validation = self.average.net.validation_loss(*self.validation)
        return Point(
            step=self.state.step,
            reconstruction=float(torch.stack([loss.reconstruction for loss in losses]).mean()),
            kl=float(torch.stack([loss.kl for loss in losses]).mean()),
            held_out=float(validation.loss),
            error=float(validation.error),
            spread=float(validation.spread),
        )

    def _step_back(self) -> None:
        """After a non-finite loss: return to the best weights with half the rate."""
        record, most = self.state.record, self.plan.most_recoveries
        record.recoveries += 1
        if record.recoveries > most:
            raise DataError(
                f"the loss was not finite {most} times in a row",
                "look for extreme numbers with 'tabvae inspect', or lower --beta",
            )
        for net in (self.net, self.average.net):
            net.load_state_dict(self.best)
        self.optimizer.forget()
        self.state.rate /= 2


def _copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


def _forms(tensors: dict[str, Tensor]) -> dict[str, tuple[torch.dtype, torch.Size]]:
    return {name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()}

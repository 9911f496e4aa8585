"""Networks from noisy sums of clipped gradients (DP-SGD, Abadi et al. 2016).

In a step each row takes part with probability ``rate`` by itself. With g_i the gradient of row i,

    sum   =  sum over the rows that take part of g_i min(1, clip / |g_i|)
    step  =  ( sum + multiplier clip Normal(0, 1) ) / (rate rows)

Sensitivity: adding or removing a row changes the sum by ``clip`` at most. What a row is shown, its
mask and whether it trains on the ELBO, is drawn for that row alone, so that no row's gradient
depends on another. Everything else, AdamW and the average of the weights, is made of the steps. No
row is held out and nothing is measured: the number of steps is fixed before.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product

import torch
from torch import Tensor, nn

from tabvae.columns.codec import TableCodec
from tabvae.dp import noise
from tabvae.errors import DataError
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.heads import BinLogits
from tabvae.training.config import Plan, Settings, plan_for, schedule
from tabvae.training.initial import initial_network, shares_of_rate
from tabvae.training.masking import Batch, Masking, show_gaps
from tabvae.training.optimizer import AdamW
from tabvae.training.trainer import WeightAverage


@dataclass(frozen=True)
class SgdConfig:
    """How a network learns under noise. All of it follows from the noisy number of rows.

    Attributes:
        steps: of the optimiser.
        fast_share: of the steps, with the least effort.
        best_share: of the steps, with the greatest effort.
        fewest_rows: in a step, as expected.
        most_rows: likewise; more take longer and gain little.
        share_of_rows: of the table in a step, between both.
        largest_rate: at which rows take part: sampling is what makes many steps cheap.
        width: of the hidden layers: noise grows with the number of weights.
        clip: largest norm of the gradient of a row.
        rate: peak learning rate.
        averaging: decay per step of the average of the weights.
    """

    steps: int = 1000
    fast_share: float = 0.4
    best_share: float = 2.0
    fewest_rows: int = 128
    most_rows: int = 1024
    share_of_rows: float = 0.04
    largest_rate: float = 0.25
    width: int = 128
    clip: float = 1.0
    rate: float = 2e-3
    averaging: float = 0.99


@dataclass(frozen=True)
class Course:
    """How a network is to be trained.

    Attributes:
        plan: of the training without noise, with its steps, width and rates.
        rate: at which rows take part in a step.
        rows: that take part in a step, as expected from the noisy number of rows.
        clip: largest norm of the gradient of a row.

    **Examples**

    >>> course = Course.of(Settings(), rows=1000)
    >>> course.rate, course.plan.steps
    (0.128, 1000)
    """

    plan: Plan
    rate: float
    rows: float
    clip: float

    @classmethod
    def of(cls, settings: Settings, rows: int, config: SgdConfig | None = None) -> Course:
        """That of a table of about so many ``rows``."""
        config = config or SgdConfig()
        share = {"fast": config.fast_share, "default": 1.0, "best": config.best_share}
        wanted = min(max(config.share_of_rows * rows, config.fewest_rows), config.most_rows)
        rate = min(wanted / rows, config.largest_rate)
        plan = replace(
            plan_for(settings, rows),
            nets=1,
            parts=1,
            steps=round(config.steps * share[settings.effort]),
            width=config.width,
            rate=config.rate,
            averaging=config.averaging,
        )
        return cls(plan, rate, rate * rows, config.clip)


def begin(codec: TableCodec, settings: Settings, plan: Plan) -> Autoencoder:
    """A network that starts from the noisy frequencies of each column's bins."""
    device = settings.torch_device
    sizes = NetworkSizes(tuple(codec.sizes), settings.latent, plan.width)
    rows, parts = codec.schema.rows, []
    for column, bins in zip(codec.columns_, codec.bins_, strict=True):
        missing = min(column.missing, rows)
        parts.append(torch.from_numpy(bins.mass * (rows - missing)).float())
        parts.append(torch.tensor([float(missing)]))
    positions = torch.from_numpy(codec.positions).float()
    generator = noise.generator(device)
    return initial_network(torch.cat(parts), sizes, positions, settings.objective, plan, generator)


def train(
    net: Autoencoder,
    rows: Rows,
    missing: Tensor,
    course: Course,
    multiplier: float,
    progress: Callable[[int], None] | None = None,
) -> Autoencoder:
    """The average of the weights of ``net`` after training.

    Args:
        net: as it begins.
        rows: (N, D) the table, on the device of the network.
        missing: (N, D) which cells are gaps.
        course: how to train.
        multiplier: deviation of the noise, over ``clip``.
        progress: called with the number of each step.

    Raises:
        DataError: weights are no longer finite.
    """
    plan, generator = course.plan, noise.generator(missing.device)
    masking = Masking.of(net, plan, generator)
    average = WeightAverage(net, plan.averaging)
    optimizer = AdamW(net.parameters(), plan.weight_decay, plan.clip, shares_of_rate(net, plan))
    for step in range(1, plan.steps + 1):
        taking_part = torch.from_numpy(noise.chosen(len(rows), course.rate)).to(missing.device)
        beta = net.objective.kl_weight(step / plan.steps)
        batch = shown(masking, rows[taking_part], missing[taking_part])
        sums = clipped_sum(net, batch, beta, course.clip)
        gradients = [
            (total + multiplier * course.clip * noise.normals(total)) / course.rows
            for total in sums
        ]
        if not all(bool(gradient.isfinite().all()) for gradient in gradients):
            raise DataError("the gradients are not finite", "--beta 1, or a smaller --latent")
        optimizer.step(gradients, plan.rate * schedule(step, plan.steps))
        average.update(optimizer.parameters, step)
        if progress is not None:
            progress(step)
    return average.net.to("cpu")


def shown(masking: Masking, rows: Rows, missing: Tensor) -> Batch:
    """What is shown of rows: as ``Masking.draw``, but that each row's part is its own.

    There a share of the batch trains on the ELBO, here each row with that probability; these come
    first.
    """
    latent, draw = masking.latent, masking.uniform
    on_elbo = draw(len(rows), 1).squeeze(1) < masking.plan.elbo_share
    order = torch.cat([on_elbo.nonzero(), (~on_elbo).nonzero()]).squeeze(1)
    rows, missing = rows[order], missing[order]
    gaps = draw(len(rows), 1) < 0.5
    rows = show_gaps(rows, missing, masking.missing_bins, gaps)
    visible, target = masking.split(rows.observed)
    return Batch(rows, visible, target, masking.normal(int(on_elbo.sum()), latent), gaps)


def clipped_sum(net: Autoencoder, batch: Batch, beta: float, clip: float) -> list[Tensor]:
    """The sum of the rows' gradients, each no longer than ``clip``; one tensor a parameter.

    The norms are found without the gradients themselves (Goodfellow 2015), then each row's loss is
    scaled so that its gradient has its length.
    """
    parameters = list(net.parameters())
    if not len(batch.rows):
        return [torch.zeros_like(parameter) for parameter in parameters]
    with recorded(net) as calls:
        losses = net.row_losses(*batch[:5], beta=beta)
    norms = squared_norms(calls, losses, parameters).sqrt()
    scales = (clip / norms.clamp(min=clip)).detach()
    return list(torch.autograd.grad((losses * scales).sum(), parameters, materialize_grads=True))


Calls = dict[nn.Module, list[tuple[Tensor, Tensor]]]
"""What each layer was given, and what it made of it, call by call."""


@contextmanager
def recorded(net: Autoencoder) -> Iterator[Calls]:
    """The calls of all layers with weights, as long as the context lasts."""
    calls: Calls = defaultdict(list)

    def keep(layer: nn.Module, given: tuple[Tensor, ...], made: Tensor) -> None:
        first = given[0].h if isinstance(layer, BinLogits) else given[0]  # type: ignore[attr-defined]
        calls[layer].append((first.detach(), made))

    layers = [m for m in net.modules() if isinstance(m, nn.Linear | nn.EmbeddingBag | BinLogits)]
    handles = [layer.register_forward_hook(keep) for layer in layers]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def squared_norms(calls: Calls, losses: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """(B,) squared norm of the gradient of each of ``losses`` (B,).

    A layer that gets x and is asked by its outputs for a change d has the gradient d x^T, with

        <d x^T, e y^T>  =  (d . e) (x . y)

    so that the norm of a sum over several calls, each of the first rows of the batch, needs but
    such products.

    Args:
        calls: of all layers, as ``recorded``.
        losses: of each row, which no other row has a part in.
        parameters: all of the network.
    """
    covered = {id(p) for layer in calls for p in layer.parameters()}
    assert covered == {id(p) for p in parameters}, "a weight that no layer here knows"
    flat = [(layer, given, made) for layer, each in calls.items() for given, made in each]
    asked = torch.autograd.grad(losses.sum(), [made for _, _, made in flat], retain_graph=True)
    changes: dict[nn.Module, list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for (layer, given, _), change in zip(flat, asked, strict=True):
        changes[layer].append((given, change))
    total = torch.zeros_like(losses)
    for layer, each in changes.items():
        for (x, d), (y, e) in product(each, each):
            rows = min(len(d), len(e))
            total[:rows] += _product(layer, x[:rows], y[:rows], d[:rows], e[:rows])
    return total.clamp(min=0)


def _product(layer: nn.Module, x: Tensor, y: Tensor, d: Tensor, e: Tensor) -> Tensor:
    """(B,) inner product of the gradients of the weights of one layer, row by row."""
    outputs = (d * e).sum(1)
    if isinstance(layer, nn.EmbeddingBag):  # the sum of some rows of its weights
        return outputs * (x == y).sum(1)
    inputs = (x * y).sum(1)
    if isinstance(layer, BinLogits):
        ordered = (_ordered(layer, d) * _ordered(layer, e)).sum(1)
        return outputs * (inputs + 1) + ordered * inputs
    return outputs * (inputs + 1)  # one for the bias


def _ordered(layer: BinLogits, d: Tensor) -> Tensor:
    """(B, 2 D) what changes ``d`` (B, T) of the logits ask of the ordered part of the head."""
    ordered = d.new_zeros(len(d), len(layer.ordered))
    for place in range(2):
        ordered.index_add_(1, layer.rows[:, place], d * layer.basis[:, place])
    return ordered

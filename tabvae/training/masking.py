"""What a network learns from, and what it is shown of a row: masks, gaps, corrupted cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import Rows
from tabvae.network.objective import Objective
from tabvae.training.config import Plan


@dataclass(frozen=True)
class TrainingData:
    """The table, on the device of the network.

    Attributes:
        rows: (N, D) the rows.
        missing: (N, D) which cells are gaps.
        validation: (H,) numbers of the rows that are not trained on but tell when to stop.
    """

    rows: Rows
    missing: Tensor
    validation: Tensor

    @property
    def training(self) -> Tensor:
        """(N - H,) numbers of the rows that are trained on."""
        mask = torch.ones(len(self.rows), dtype=torch.bool, device=self.missing.device)
        mask[self.validation] = False
        return mask.nonzero().squeeze(1)


class Batch(NamedTuple):
    """Arguments of ``Autoencoder.loss``."""

    rows: Rows
    visible: Tensor
    target: Tensor
    noise: Tensor
    gaps: Tensor | None = None
    corrupted: Rows | None = None


class Validation(NamedTuple):
    """Arguments of ``Autoencoder.validation_loss``."""

    rows: Rows
    visible: Tensor
    target: Tensor


@dataclass(frozen=True)
class Masking:
    """How rows are shown to one network.

    Attributes:
        objective: hidden cells are to be predicted; or, if it is not variational, all observed ones
            are to be restored.
        plan: the shares of the rows that see nothing, or everything, or train on the ELBO.
        latent: dimensions of z.
        missing_bins: (D,) the bin of each column that means "missing".
        positions: (D, most bins) of each bin on its column's axis, infinite beyond the last; all
            zero for categories.
        generator: source of all randomness.

    **Examples**

    >>> from tabvae.network.batch import NetworkSizes
    >>> net = Autoencoder(NetworkSizes(bins=(2, 3), latent=2, width=8), torch.zeros(7))
    >>> plan = Plan(nets=1, steps=1, batch=6, width=8, elbo_share=0.5)
    >>> masking = Masking.of(net, plan, torch.Generator().manual_seed(0))
    >>> observed = torch.ones(6, 2) > 0
    >>> batch = masking.draw(Rows(observed.long(), torch.zeros(6, 2), observed), ~observed)
    >>> bool((batch.visible ^ batch.target).all()), batch.noise.shape
    (True, torch.Size([3, 2]))
    """

    objective: Objective
    plan: Plan
    latent: int
    missing_bins: Tensor
    positions: Tensor
    generator: torch.Generator

    @classmethod
    def of(cls, net: Autoencoder, plan: Plan, generator: torch.Generator) -> Self:
        """As the objective of ``net`` asks for."""
        counts = [bins + 1 for bins in net.sizes.bins]
        outputs = torch.split(net.decoder.logits.positions, counts)
        positions = torch.nn.utils.rnn.pad_sequence(
            [column[:-1] for column in outputs], batch_first=True, padding_value=torch.inf
        )
        return cls(net.objective, plan, net.sizes.latent, net.missing_bins, positions, generator)

    def draw(self, rows: Rows, missing: Tensor) -> Batch:
        """What to show of ``rows`` (B, D), and what of them is to be predicted."""
        if not self.objective.variational:
            visible, target = self.split(rows.observed)
            corrupted = self.corrupted(rows) if self.objective.noise else None
            return Batch(rows, visible, target, self.normal(0, self.latent), None, corrupted)
        gaps = self.uniform(len(rows), 1) < 0.5
        rows = show_gaps(rows, missing, self.missing_bins, gaps)
        visible, target = self.split(rows.observed)
        noise = self.normal(round(self.plan.elbo_share * len(rows)), self.latent)
        return Batch(rows, visible, target, noise, gaps)

    def split(self, observed: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) visible and target cells of rows."""
        visible = draw_visible(observed, self.generator, self.plan.blind_share)
        if self.objective.variational:
            return visible, observed & ~visible
        whole = self.uniform(len(observed), 1) < self.plan.whole_share
        return torch.where(whole, observed, visible), observed

    def corrupted(self, rows: Rows) -> Rows:
        """Numbers moved by normal noise, a share of the categories swapped with other rows'."""
        noise, bins = self.objective.noise, rows.bins
        other = torch.randperm(len(rows), generator=self.generator, device=bins.device)
        swapped = (self.uniform(*bins.shape) < noise) & rows.observed[other]
        is_number = self.positions.where(self.positions.isfinite(), 0.0).abs().sum(1) > 0
        moved = rows.scores + noise * self.normal(*rows.scores.shape)
        nearest = (moved[..., None] - self.positions).abs().argmin(-1)
        bins = torch.where(is_number, nearest, torch.where(swapped, bins[other], bins))
        return Rows(bins, torch.where(is_number, moved, rows.scores), rows.observed)

    def uniform(self, *shape: int) -> Tensor:
        """Random numbers in 0 .. 1."""
        return torch.rand(*shape, generator=self.generator, device=self.missing_bins.device)

    def normal(self, *shape: int) -> Tensor:
        """Standard normal ones."""
        return torch.randn(*shape, generator=self.generator, device=self.missing_bins.device)


def draw_visible(
    observed: Tensor, generator: torch.Generator, blind_share: float = Plan.blind_share
) -> Tensor:
    """(B, D) a random subset of the observed cells: each row's share of visible cells is uniform
    in 0..1, a share of the rows sees nothing, and at least one observed cell stays hidden."""
    rows, columns = observed.shape
    device = observed.device
    rank = torch.rand(rows, columns, generator=generator, device=device)
    order = rank.masked_fill(~observed, 2.0).argsort(1).argsort(1)
    count = observed.sum(1, keepdim=True)
    visible = (torch.rand(rows, 1, generator=generator, device=device) * count).floor()
    blind = torch.rand(rows, 1, generator=generator, device=device) < blind_share
    return observed & (order < torch.where(blind, torch.zeros_like(visible), visible))


def show_gaps(rows: Rows, missing: Tensor, missing_bins: Tensor, marked: Tensor) -> Rows:
    """In the rows ``marked`` (B, 1), the ``missing`` cells (B, D) become cells of state "missing".

    So the network learns where a table has its gaps, which ``generate`` needs, and still imputes
    from rows whose gaps are simply unknown.
    """
    state = missing & marked
    return Rows(torch.where(state, missing_bins, rows.bins), rows.scores, rows.observed | state)

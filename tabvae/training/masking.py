"""What the network is shown of a row: masks, gaps as a state, corrupted cells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import Rows

NOTHING_VISIBLE = 0.1
"""Share of rows that train with every cell hidden: what a generated row starts from."""
WHOLE_SHARE = 0.5
"""Share of rows that an ``ae`` or ``dae`` sees whole; the others have hidden cells."""
HELD_OUT_SHARE, MOST_HELD_OUT_SHARE = 0.05, 0.1
FEWEST_HELD_OUT_ROWS, MOST_HELD_OUT_ROWS = 100, 2000
FEWEST_ROWS_TO_HOLD_OUT = 40


class Batch(NamedTuple):
    """Arguments of ``Autoencoder.loss``."""

    cells: Rows
    visible: Tensor
    target: Tensor
    noise: Tensor
    gaps: Tensor | None
    seen: Rows | None


@dataclass(frozen=True)
class Masking:
    """How rows are shown to one network.

    Attributes:
        variational: hidden cells are to be predicted; else all observed ones are to be restored.
        elbo_share: share of the rows of a variational model that train on the ELBO.
        noise: see ``Objective``.
        sizes: (D,) bins of each column.
        positions: (D, most bins) place of each bin on its column's line, infinite beyond the last;
            all zero for categories.
        latent: dimensions of z.
        generator: source of all randomness.
    """

    variational: bool
    elbo_share: float
    noise: float
    sizes: Tensor
    positions: Tensor
    latent: int
    generator: torch.Generator

    @classmethod
    def of(cls, net: Autoencoder, elbo_share: float, generator: torch.Generator) -> Self:
        """As the objective of ``net`` asks for."""
        counts = [bins + 1 for bins in net.sizes.bins]
        own = [line[:-1] for line in torch.split(net.decoder.logits.positions, counts)]
        padded = torch.nn.utils.rnn.pad_sequence(own, batch_first=True, padding_value=torch.inf)
        return cls(
            variational=net.objective.variational,
            elbo_share=elbo_share,
            noise=net.objective.noise,
            sizes=net.missing_bins,
            positions=padded,
            latent=net.sizes.latent,
            generator=generator,
        )

    def draw(self, cells: Rows, missing: Tensor) -> Batch:
        """What to show of the rows ``cells`` (B, D), and what of them is to be predicted."""
        rows = len(cells.bins)
        if not self.variational:
            visible, target = self.split(cells.observed)
            seen = self.corrupted(cells) if self.noise else None
            return Batch(cells, visible, target, self._normal(0, self.latent), None, seen)
        gaps = self._uniform(rows, 1) < 0.5
        cells = show_gaps(cells, missing, self.sizes, gaps)
        visible, target = self.split(cells.observed)
        noise = self._normal(round(self.elbo_share * rows), self.latent)
        return Batch(cells, visible, target, noise, gaps, None)

    def split(self, observed: Tensor) -> tuple[Tensor, Tensor]:
        """(B, D) visible and target cells of rows."""
        visible = draw_visible(observed, self.generator)
        if self.variational:
            return visible, observed & ~visible
        whole = self._uniform(len(observed), 1) < WHOLE_SHARE
        return torch.where(whole, observed, visible), observed

    def corrupted(self, cells: Rows) -> Rows:
        """Numbers moved by normal noise, a share of the categories swapped with other rows'."""
        bins, scores, observed = cells.bins, cells.scores, cells.observed
        other = torch.randperm(len(bins), generator=self.generator, device=bins.device)
        swapped = (self._uniform(*bins.shape) < self.noise) & observed[other]
        line = self.positions.where(self.positions.isfinite(), 0.0).abs().sum(1) > 0
        moved = scores + self.noise * self._normal(*scores.shape)
        nearest = (moved[..., None] - self.positions).abs().argmin(-1)
        known = torch.where(line, nearest, torch.where(swapped, bins[other], bins))
        return Rows(known, torch.where(line, moved, scores), observed)

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(*shape, generator=self.generator, device=self.sizes.device)

    def _normal(self, *shape: int) -> Tensor:
        return torch.randn(*shape, generator=self.generator, device=self.sizes.device)


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


def show_gaps(cells: Rows, missing: Tensor, sizes: Tensor, rows: Tensor) -> Rows:
    """In the rows marked by ``rows`` (B, 1), the missing cells become cells of state "missing".

    So the network learns where a table has its gaps, which ``generate`` needs, and still imputes
    from rows whose gaps are simply unknown.
    """
    state = missing & rows
    return Rows(torch.where(state, sizes, cells.bins), cells.scores, cells.observed | state)

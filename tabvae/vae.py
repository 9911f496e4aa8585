"""The model's distributions and its objective.

For a row x with observed cells o, visible ones v within o, and hidden ones h = o without v
(Ivanov et al. 2019, "Variational autoencoder with arbitrary conditioning"; Kingma & Welling 2014):

    q(z | x_v) = Normal(mean(x_v), scale(x_v))                  Encoder
    p(x_j | z, x_v) = Categorical over the bins of column j     Decoder

    elbo        = E_{q(z|x_o)} sum_{j in h} log p(x_j | z, x_v)  -  beta KL( q(z|x_o) || q(z|x_v) )
    predictive  = sum_{j in h} log p(x_j | z = mean(x_v), x_v)

With nothing visible, q(z | x_v) is the prior and the ELBO is that of a textbook VAE. Training on
random subsets v makes the predictive term fit every order of the columns at once (Uria et al.
2014; Hoogeboom et al. 2022), which imputation and generation rely on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tabvae.network import Cells, Decoder, Encoder, Shape

LARGEST_LOGIT = 40.0
"""exp(40) times any number of bins is far from overflow, exp(-40) far from underflow."""


class BinnedCells:
    """p(x | z, x_v): one categorical distribution per column, from one row of logits.

    Args:
        logits: (B, total) unnormalised log-probabilities, column after column.
        column_of: (total,) the column each logit belongs to.
        offsets: (D,) the first logit of each column.
        gaps: (B, 1) rows in which a cell can be "missing", the last bin of each column; in the
            others the distribution is over the values alone. By default in no row.
    """

    def __init__(
        self, logits: Tensor, column_of: Tensor, offsets: Tensor, gaps: Tensor | None = None
    ) -> None:
        is_gap = column_of != torch.cat([column_of[1:], column_of.new_full((1,), -1)])
        shut = is_gap if gaps is None else is_gap & ~gaps
        self.logits = logits.clamp(-LARGEST_LOGIT, LARGEST_LOGIT).masked_fill(shut, -torch.inf)
        self.column_of = column_of
        self.offsets = offsets

    def log_normalizer(self) -> Tensor:
        """(B, D) log of the summed exponentials of each column's logits."""
        return self.column_sums(self.logits.exp()).log()

    def column_sums(self, terms: Tensor) -> Tensor:
        """(B, D) sum of ``terms`` (B, total) over the bins of each column."""
        sums = terms.new_zeros(len(terms), len(self.offsets))
        return sums.index_add(1, self.column_of, terms)

    def probabilities(self) -> Tensor:
        """(B, total) probability of every bin."""
        normalizer = self.log_normalizer().index_select(1, self.column_of)
        return torch.exp(self.logits - normalizer)

    def log_prob(self, bins: Tensor) -> Tensor:
        """(B, D) log-probability of each cell's bin."""
        return self.logits.gather(1, self.offsets + bins) - self.log_normalizer()


@dataclass(frozen=True)
class Loss:
    """The objective on a batch, in nats per row; ``total`` is what is minimised.

    Attributes:
        total: scalar, with gradient.
        reconstruction: minus the expected log-likelihood of the hidden cells, both terms.
        kl: KL divergence of the ELBO rows.
    """

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


class VAE(nn.Module):
    """A variational autoencoder with arbitrary conditioning.

    Args:
        shape: sizes of the two halves.
        positions: (total bins,) place of each bin on its column's line, see ``BinLogits``.
        beta: weight of the KL term (Higgins et al. 2017); 1 is the bound.
    """

    column_of: Tensor
    sizes: Tensor

    def __init__(self, shape: Shape, positions: Tensor, beta: float = 1.0) -> None:
        super().__init__()
        self.shape = shape
        self.beta = beta
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape, positions)
        self.register_buffer("sizes", torch.tensor(shape.sizes), persistent=False)
        self.register_buffer("column_of", shape.column_of, persistent=False)

    def posterior(self, cells: Cells, visible: Tensor) -> Normal:
        """q(z | x_v), (B, latent)."""
        normal: Normal = self.encoder(cells, visible)[1]
        return normal

    def likelihood(self, z: Tensor, features: Tensor, gaps: Tensor | None = None) -> BinnedCells:
        """p(x | z, x_v) with x_v as its features."""
        logits = self.decoder(z, features)
        return BinnedCells(logits, self.column_of, self.encoder.offsets, gaps)

    def predictive(self, cells: Cells, visible: Tensor) -> BinnedCells:
        """p(x | z = mean(x_v), x_v): what the visible cells say about every cell."""
        features, q = self.encoder(cells, visible)
        return self.likelihood(q.mean, features)

    def loss(
        self,
        cells: Cells,
        visible: Tensor,
        target: Tensor,
        elbo_rows: int,
        noise: Tensor,
        gaps: Tensor | None = None,
    ) -> Loss:
        """Both terms of the objective on one batch.

        Args:
            cells: (B, D) rows.
            visible: (B, D) what the encoder may see.
            target: (B, D) the hidden cells, those to be predicted.
            elbo_rows: how many of the rows, the first ones, train on the ELBO; the others train
                on the predictive term.
            noise: (elbo_rows, latent) standard normal, for the reparameterised sample of z.
            gaps: (B, 1) rows in which missing cells are a state to be predicted.
        """
        features, q_visible = self.encoder(cells, visible)
        first = cells.rows(slice(elbo_rows))
        q_all = self.posterior(first, visible[:elbo_rows] | target[:elbo_rows])
        sample = q_all.mean + q_all.stddev * noise
        z = torch.cat([sample, q_visible.mean[elbo_rows:]])
        log_prob = self.likelihood(z, features, gaps).log_prob(cells.bins)
        log_likelihood = torch.where(target, log_prob, torch.zeros_like(log_prob)).sum(1)
        reconstruction = -log_likelihood.mean()
        prior = Normal(
            q_visible.mean[:elbo_rows], q_visible.stddev[:elbo_rows], validate_args=False
        )
        kl = kl_divergence(q_all, prior).sum(1)
        return Loss(
            total=reconstruction + self.beta * kl.sum() / len(cells.bins),
            reconstruction=reconstruction.detach(),
            kl=kl.detach().mean(),
        )

    @torch.no_grad()
    def held_out(
        self, cells: Cells, visible: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """How well the target cells are predicted from the visible ones.

        Returns:
            loss: scalar, minus the mean log-probability of the target cells, in nats per cell.
            error: scalar, their mean squared error: for a number, of its predictive mean on the
                line of normal scores; for a category, the score of Brier (1950). It is proper as
                well and does not punish a prediction that is right and a little too sure, so it
                tells better when to stop.
            spread: scalar, the standard error of ``error``, rows being independent.
        """
        likelihood = self.predictive(cells, visible)
        probabilities = likelihood.probabilities()
        own, line = likelihood.offsets + cells.bins, self.decoder.logits.positions
        likely = probabilities.gather(1, own)
        expected = likelihood.column_sums(probabilities * line)
        brier = likelihood.column_sums(probabilities**2) - 2 * likely + 1
        ordered = likelihood.column_sums(line.abs()[None]) > 0
        error = torch.where(ordered, (expected - line[own]) ** 2, brier)
        count = target.sum().clamp(min=1)
        mean = (error * target).sum() / count
        by_row = ((error - mean) * target).sum(1)
        spread = by_row.square().sum().sqrt() / count
        return -(likely.log() * target).sum() / count, mean, spread

    def copy_as(self, dtype: torch.dtype) -> Self:
        """A copy for inference, in ``dtype``."""
        other = type(self)(self.shape, self.decoder.logits.positions, self.beta)
        other.load_state_dict(self.state_dict())
        return other.to(dtype).eval()

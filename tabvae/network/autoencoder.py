"""The family's distributions and its one objective.

For a row x with observed cells o, visible ones v within o, and hidden ones h = o without v
(Ivanov et al. 2019, "Variational autoencoder with arbitrary conditioning"; Kingma & Welling 2014):

    q(z | x_v) = Normal(mean(x_v), scale(x_v))                  Encoder
    p(x_j | z, x_v) = Categorical over the bins of column j     Decoder and its head
                                  (or, for numbers, a textbook density)

    log_px      = sum_{j in h} log p(x_j | z, x_v)
    kl          = KL( q(z | x_o) || q(z | x_v) )
    elbo        = E_{q(z|x_o)} log_px  -  beta kl
    predictive  = log_px at z = mean(x_v)
    loss        = - (elbo of some rows + predictive of the others) / rows

``vae`` trains a share of each batch on the ELBO and the rest on the predictive term. With nothing
visible, q(z | x_v) is the prior and the ELBO is that of a textbook VAE. Training on random subsets
v makes the predictive term fit every order of the columns at once (Uria et al. 2014; Hoogeboom et
al. 2022), which imputation and generation rely on.

``ae`` and ``dae`` train on the predictive term alone, in which h is all of o and the decoder sees
the code z = mean(y_v) and nothing else: no sampling, no KL. In ``ae`` y = x (Hinton & Salakhutdinov
2006); in ``dae`` y is x corrupted (Vincent et al. 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.heads import Representation
from tabvae.network.layers import Decoder, Encoder
from tabvae.network.likelihood import BinnedCells
from tabvae.network.objective import Objective
from tabvae.network.textbook import TextbookLogits


@dataclass(frozen=True)
class Loss:
    """The objective on a batch, in nats per row.

    Attributes:
        total: scalar, with gradient: what is minimised.
        reconstruction: minus the mean log-likelihood of the cells to be predicted, both terms.
        kl: KL divergence of the ELBO rows.
    """

    total: Tensor
    reconstruction: Tensor
    kl: Tensor


@dataclass(frozen=True)
class ValidationLoss:
    """How well target cells are predicted from visible ones; scalars.

    Attributes:
        loss: minus the mean log-probability of the target cells, in nats per cell.
        error: their mean squared error: for a number, of its predictive mean on the column's axis;
            for a category, the score of Brier (1950). It is proper as well and does not punish a
            prediction that is right and a little too sure, so it tells better when to stop.
        spread: the standard error of ``error``, rows being independent.
    """

    loss: Tensor
    error: Tensor
    spread: Tensor


class Autoencoder(nn.Module):
    """Any member of the family.

    **Shape** B rows, D columns, T bins of all columns together, "missing" included

    Args:
        sizes: of the network.
        positions: (T,) of each bin on its column's axis, see ``BinLogits``.
        objective: which member it is.

    **Examples**

    >>> net = Autoencoder(NetworkSizes(bins=(2, 3), latent=2, width=8), torch.zeros(7))
    >>> observed = torch.tensor([[True, False]])
    >>> rows = Rows(torch.tensor([[1, 2]]), torch.zeros(1, 2), observed)
    >>> net.predictive(rows, observed).probabilities().shape
    torch.Size([1, 7])
    >>> bool(net.loss(rows, ~observed, observed, noise=torch.zeros(1, 2)).kl >= 0)
    True
    """

    column_of: Tensor
    missing_bins: Tensor

    def __init__(
        self, sizes: NetworkSizes, positions: Tensor, objective: Objective | None = None
    ) -> None:
        super().__init__()
        self.sizes = sizes
        self.objective = objective or Objective()
        self.encoder = Encoder(sizes)
        self.decoder = Decoder(sizes, positions, self.objective.likelihood)
        self.register_buffer("missing_bins", torch.tensor(sizes.bins), persistent=False)
        self.register_buffer("column_of", sizes.column_of, persistent=False)

    def posterior(self, rows: Rows, visible: Tensor) -> Normal:
        """q(z | x_v), (B, latent)."""
        normal: Normal = self.encoder(rows, visible)[1]
        return normal

    def given(self, features: Tensor) -> Tensor:
        """What the decoder sees beside z: the features, or nothing."""
        return features if self.objective.variational else torch.zeros_like(features)

    def likelihood(
        self,
        z: Tensor,
        given: Tensor,
        gaps: Tensor | None = None,
        scores: Tensor | None = None,
    ) -> BinnedCells:
        """p(x | z, x_v) with x_v as what ``given`` returns for its features.

        With the cells' ``scores``, numbers have the density of a textbook likelihood, if the
        objective has one, instead of the probability of their bin.
        """
        representation, head = self.decoder(z, given), self.decoder.logits
        density = None
        if scores is not None and isinstance(head, TextbookLogits):
            density = head.log_density(representation, scores)
        logits = representation.logits()
        return BinnedCells(logits, self.column_of, self.encoder.offsets, gaps, density)

    def representation(self, rows: Rows, visible: Tensor) -> Representation:
        """What the visible cells say, z at its mean."""
        features, q = self.encoder(rows, visible)
        representation: Representation = self.decoder(q.mean, self.given(features))
        return representation

    def representation_of(self, z: Tensor) -> Representation:
        """What z alone says, with nothing visible."""
        given = self.given(self.nothing()[0]).expand(len(z), -1)
        representation: Representation = self.decoder(z, given)
        return representation

    def nothing(self) -> tuple[Tensor, Normal]:
        """Features (1, width) and q(z) of a row with no cell visible; the latter is the prior."""
        hidden = torch.zeros(
            1, len(self.sizes.bins), dtype=torch.bool, device=self.missing_bins.device
        )
        scores = hidden.to(self.encoder.scores.weight.dtype)
        encoded: tuple[Tensor, Normal] = self.encoder(Rows(hidden.long(), scores, hidden), hidden)
        return encoded

    def predictive(self, rows: Rows, visible: Tensor) -> BinnedCells:
        """p(x | z = mean(x_v), x_v): what the visible cells say about every cell."""
        features, q = self.encoder(rows, visible)
        return self.likelihood(q.mean, self.given(features))

    def loss(
        self,
        rows: Rows,
        visible: Tensor,
        target: Tensor,
        noise: Tensor,
        gaps: Tensor | None = None,
        corrupted: Rows | None = None,
        beta: float | None = None,
    ) -> Loss:
        """The objective on one batch, as the module's formula has it.

        Args:
            rows: (B, D) the rows x.
            visible: (B, D) v, what the encoder may see.
            target: (B, D) h, the cells to be predicted: the hidden ones, or all to be restored.
            noise: (n, latent) standard normal, for the reparameterised sample of z; the first n
                rows train on the ELBO, the others on z's mean.
            gaps: (B, 1) rows in which missing cells are a state to be predicted.
            corrupted: (B, D) y, the rows as the encoder sees them, if not as they are.
            beta: weight of the KL term; the objective's by default.
        """
        n, beta = len(noise), self.objective.beta if beta is None else beta
        log_px, kl_of_rows = self._terms(rows, visible, target, noise, gaps, corrupted)
        kl = kl_of_rows.sum(0) / max(n, 1)  # (n, latent) -> (latent,)
        elbo = log_px[:n].sum() - beta * (n * kl.clamp(min=self.objective.free_nats).sum())
        predictive = log_px[n:].sum()
        total = -(elbo + predictive) / len(rows)
        return Loss(total, -log_px.detach().mean(), kl.detach().sum())

    def row_losses(
        self,
        rows: Rows,
        visible: Tensor,
        target: Tensor,
        noise: Tensor,
        gaps: Tensor | None = None,
        beta: float | None = None,
    ) -> Tensor:
        """(B,) what each row adds to the objective, without free nats; no row has a part in that of
        another. Arguments as of ``loss``."""
        log_px, kl = self._terms(rows, visible, target, noise, gaps)
        beta = self.objective.beta if beta is None else beta
        weighed = beta * kl.sum(1)  # (n, latent) -> (n,)
        return torch.cat([weighed - log_px[: len(noise)], -log_px[len(noise) :]])

    def _terms(
        self,
        rows: Rows,
        visible: Tensor,
        target: Tensor,
        noise: Tensor,
        gaps: Tensor | None = None,
        corrupted: Rows | None = None,
    ) -> tuple[Tensor, Tensor]:
        """(B,) log_px of each row, and (n, latent) KL of the first n, as many as ``noise`` has."""
        n = len(noise)
        features, q_v = self.encoder(rows if corrupted is None else corrupted, visible)
        q_o = self.posterior(rows[:n], visible[:n] | target[:n])
        prior = Normal(q_v.mean[:n], q_v.stddev[:n], validate_args=False)
        z = torch.cat([q_o.mean + q_o.stddev * noise, q_v.mean[n:]])

        log_p = self.likelihood(z, self.given(features), gaps, rows.scores).log_prob(rows.bins)
        log_px = torch.where(target, log_p, torch.zeros_like(log_p)).sum(1)  # (B, D) -> (B,)
        return log_px, kl_divergence(q_o, prior)

    @torch.no_grad()
    def validation_loss(self, rows: Rows, visible: Tensor, target: Tensor) -> ValidationLoss:
        """How well the target cells (B, D) of rows are predicted from the visible ones."""
        likelihood, positions = self.predictive(rows, visible), self.decoder.logits.positions
        probabilities, index = likelihood.probabilities(), likelihood.offsets + rows.bins
        p = probabilities.gather(1, index)
        mean = likelihood.column_sums(probabilities * positions)
        brier = likelihood.column_sums(probabilities**2) - 2 * p + 1
        is_number = likelihood.column_sums(positions.abs()[None]) > 0
        errors = torch.where(is_number, (mean - positions[index]) ** 2, brier)
        count = target.sum().clamp(min=1)
        error = (errors * target).sum() / count
        by_row = ((errors - error) * target).sum(1)
        spread = by_row.square().sum().sqrt() / count
        return ValidationLoss(-(p.log() * target).sum() / count, error, spread)

    def copy_as(self, dtype: torch.dtype) -> Self:
        """A copy for inference, in ``dtype``."""
        copy = type(self)(self.sizes, self.decoder.logits.positions, self.objective)
        copy.load_state_dict(self.state_dict())
        return copy.to(dtype).eval()

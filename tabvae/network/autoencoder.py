"""The family's distributions and its one objective.

For a row x with observed cells o, visible ones v within o, and hidden ones h = o without v
(Ivanov et al. 2019, "Variational autoencoder with arbitrary conditioning"; Kingma & Welling 2014):

    q(z | x_v) = Normal(mean(x_v), scale(x_v))                  Encoder
    p(x_j | z, x_v) = Categorical over the bins of column j     Decoder
                      (or, for numbers, a textbook density)

    elbo        = E_{q(z|x_o)} sum_{j in h} log p(x_j | z, x_v)  -  beta KL( q(z|x_o) || q(z|x_v) )
    predictive  = sum_{j in h} log p(x_j | z = mean(x_v), x_v)
    restoring   = sum_{j in o} log p(x_j | z = mean(y_v))

``vae`` trains on the first two. With nothing visible, q(z | x_v) is the prior and the ELBO is that
of a textbook VAE. Training on random subsets v makes the predictive term fit every order of the
columns at once (Uria et al. 2014; Hoogeboom et al. 2022), which imputation and generation rely on.
``ae`` and ``dae`` train on the third: no sampling, no KL, and the decoder sees the code z alone. In
``ae`` y = x (Hinton & Salakhutdinov 2006); in ``dae`` y is x corrupted (Vincent et al. 2008).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from tabvae.errors import ParameterError, require_one_of
from tabvae.network.layers import Decoder, Encoder, NetworkSizes, Rows, TextbookLogits
from tabvae.network.likelihood import BinnedCells

MODELS = ("vae", "ae", "dae")
LIKELIHOODS = {
    "binned": "normal",
    "gaussian": "standard",
    "laplace": "standard",
    "bernoulli": "unit",
}
"""And the line on which numbers lie. The latter three are the textbook's: squared error with a
deviation for each column (Rybkin et al. 2021), absolute error, binary cross-entropy."""


@dataclass(frozen=True)
class Objective:
    """Which member of the family is trained, and the weights of its terms.

    Attributes:
        model: one of ``MODELS``.
        beta: weight of the KL term (Higgins et al. 2017); 1 is the bound.
        warmup: share of the steps over which that weight rises from 0 (Bowman et al. 2016).
        free_nats: a latent dimension's KL below this is not pressed down further (Kingma et al.
            2016, "free bits").
        likelihood: of numbers, one of ``LIKELIHOODS``.
        noise: of ``dae``: deviation of the noise added to numbers, in normal scores, and share of
            categories that are swapped.

    Raises:
        ParameterError: a value is outside its domain.
    """

    model: str = "vae"
    beta: float = 1.0
    warmup: float = 0.0
    free_nats: float = 0.0
    noise: float = 0.0
    likelihood: str = "binned"

    def __post_init__(self) -> None:
        require_one_of("model", self.model, MODELS)
        require_one_of("likelihood", self.likelihood, LIKELIHOODS)
        for name in ("beta", "free_nats", "noise"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ParameterError(f"{name} must be finite and not negative, however: {value}")
        if not 0 <= self.warmup <= 1:
            raise ParameterError(f"warmup is a share of the steps, 0 to 1, however: {self.warmup}")

    @property
    def line(self) -> str:
        """Where the network sees numbers lie, one of ``tabvae.columns.bins.LINES``."""
        return LIKELIHOODS[self.likelihood]

    @property
    def variational(self) -> bool:
        """The latent space has a distribution; the decoder sees the visible cells, too."""
        return self.model == "vae"

    def kl_weight(self, progress: float) -> float:
        """Weight of the KL term when a share ``progress`` of the steps is done."""
        return self.beta * min(1.0, progress / self.warmup) if self.warmup else self.beta


def gaussian_kl(q: Normal, p: Normal) -> Tensor:
    """KL( q || p ) of diagonal Gaussians in each dimension, in nats, in closed form.

    log(s_p / s_q) + (s_q^2 + (m_q - m_p)^2) / (2 s_p^2) - 1/2; Kingma & Welling 2014, appendix B,
    derive it for p = Normal(0, 1).
    """
    ratio = (q.stddev / p.stddev).square()
    distance = ((q.mean - p.mean) / p.stddev).square()
    return 0.5 * (ratio + distance - 1 - ratio.log())


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


class Autoencoder(nn.Module):
    """Any member of the family.

    Args:
        shape: sizes of the two halves.
        positions: (total bins,) place of each bin on its column's line, see ``BinLogits``.
        objective: which member it is.
    """

    column_of: Tensor
    sizes: Tensor

    def __init__(
        self, shape: NetworkSizes, positions: Tensor, objective: Objective | None = None
    ) -> None:
        super().__init__()
        self.shape = shape
        self.objective = objective or Objective()
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape, positions, self.objective.likelihood)
        self.register_buffer("sizes", torch.tensor(shape.sizes), persistent=False)
        self.register_buffer("column_of", shape.column_of, persistent=False)

    def posterior(self, cells: Rows, visible: Tensor) -> Normal:
        """q(z | x_v), (B, latent)."""
        normal: Normal = self.encoder(cells, visible)[1]
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
        h = self.decoder.hidden(z, given)
        head = self.decoder.logits
        density = None
        if scores is not None and isinstance(head, TextbookLogits):
            density = head.log_density(h, scores)
        return BinnedCells(head(h), self.column_of, self.encoder.offsets, gaps, density)

    def hidden(self, cells: Rows, visible: Tensor) -> Tensor:
        """What the visible cells say: the decoder's last hidden layer, z at its mean."""
        features, q = self.encoder(cells, visible)
        return self.decoder.hidden(q.mean, self.given(features))

    def nothing(self) -> tuple[Tensor, Normal]:
        """Features (1, width) and q(z) of a row with no cell visible; the latter is the prior."""
        hidden = torch.zeros(1, len(self.sizes), dtype=torch.bool, device=self.sizes.device)
        scores = hidden.to(self.encoder.scores.weight.dtype)
        found: tuple[Tensor, Normal] = self.encoder(Rows(hidden.long(), scores, hidden), hidden)
        return found

    def hidden_from(self, z: Tensor) -> Tensor:
        """What z alone says, with nothing visible."""
        given = self.given(self.nothing()[0]).expand(len(z), -1)
        return self.decoder.hidden(z, given)

    def predictive(self, cells: Rows, visible: Tensor) -> BinnedCells:
        """p(x | z = mean(x_v), x_v): what the visible cells say about every cell."""
        features, q = self.encoder(cells, visible)
        return self.likelihood(q.mean, self.given(features))

    def loss(
        self,
        cells: Rows,
        visible: Tensor,
        target: Tensor,
        noise: Tensor,
        gaps: Tensor | None = None,
        seen: Rows | None = None,
        kl_weight: float | None = None,
    ) -> Loss:
        """All terms of the objective on one batch.

        Args:
            cells: (B, D) rows.
            visible: (B, D) what the encoder may see.
            target: (B, D) the cells to be predicted: the hidden ones, or all to be restored.
            noise: (n, latent) standard normal, for the reparameterised sample of z; the first n
                rows train on the ELBO, the others on z's mean.
            gaps: (B, 1) rows in which missing cells are a state to be predicted.
            seen: (B, D) the rows as the encoder sees them, if not as they are.
            kl_weight: of the KL term; the objective's beta by default.
        """
        elbo_rows = len(noise)
        features, q_visible = self.encoder(cells if seen is None else seen, visible)
        first = cells.rows(slice(elbo_rows))
        q_all = self.posterior(first, visible[:elbo_rows] | target[:elbo_rows])
        sample = q_all.mean + q_all.stddev * noise
        z = torch.cat([sample, q_visible.mean[elbo_rows:]])
        likelihood = self.likelihood(z, self.given(features), gaps, cells.scores)
        log_prob = likelihood.log_prob(cells.bins)
        log_likelihood = torch.where(target, log_prob, torch.zeros_like(log_prob)).sum(1)
        reconstruction = -log_likelihood.mean()
        prior = Normal(
            q_visible.mean[:elbo_rows], q_visible.stddev[:elbo_rows], validate_args=False
        )
        kl = gaussian_kl(q_all, prior).sum(0) / max(elbo_rows, 1)
        pressed = kl.clamp(min=self.objective.free_nats).sum() * elbo_rows / len(cells.bins)
        weight = self.objective.beta if kl_weight is None else kl_weight
        return Loss(
            total=reconstruction + weight * pressed,
            reconstruction=reconstruction.detach(),
            kl=kl.detach().sum(),
        )

    @torch.no_grad()
    def held_out(
        self, cells: Rows, visible: Tensor, target: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """How well the target cells are predicted from the visible ones.

        Returns:
            loss: scalar, minus the mean log-probability of the target cells, in nats per cell.
            error: scalar, their mean squared error: for a number, of its predictive mean on the
                column's line; for a category, the score of Brier (1950). It is proper as
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
        other = type(self)(self.shape, self.decoder.logits.positions, self.objective)
        other.load_state_dict(self.state_dict())
        return other.to(dtype).eval()

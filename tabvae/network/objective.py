"""What is trained: which member of the family, and the weights of its terms."""

from __future__ import annotations

from dataclasses import dataclass

from tabvae.errors import ParameterError, require_one_of

MODELS = ("vae", "ae", "dae")
LIKELIHOODS = {
    "binned": "normal",
    "gaussian": "standard",
    "laplace": "standard",
    "bernoulli": "unit",
}
"""And the axis on which numbers lie. The latter three are the textbook's: squared error with a
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

    **Examples**

    >>> Objective(beta=2.0, warmup=0.5).kl_weight(progress=0.25)
    1.0
    >>> Objective(likelihood="bernoulli").axis
    'unit'
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
    def axis(self) -> str:
        """Where the network sees numbers lie, one of ``tabvae.columns.bins.AXES``."""
        return LIKELIHOODS[self.likelihood]

    @property
    def variational(self) -> bool:
        """The latent space has a distribution; the decoder sees the visible cells, too."""
        return self.model == "vae"

    def kl_weight(self, progress: float) -> float:
        """Weight of the KL term when a share ``progress`` of the steps is done."""
        return self.beta * min(1.0, progress / self.warmup) if self.warmup else self.beta

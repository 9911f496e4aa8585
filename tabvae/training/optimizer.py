"""Stochastic gradient descent: one step of clipped AdamW.

``torch.optim``'s classes load torch's compiler when the first one is made, which takes about as
long as loading torch; its functions do not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim.adamw import adamw


class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019).

    Attributes:
        parameters: what is changed, in place.
        weight_decay: share of each weight, times the rate, that a step takes away.
        clip: largest norm of the gradient.
        shares: of the rate, for each parameter that does not learn at all of it, by its place: in
            its shape, or one that spreads to it.
        moments: ``step``, ``exp_avg`` and ``exp_avg_sq``: a tensor for each parameter, the first ()
            and the others in its shape.
        decays: of the mean gradient and of its mean square, a step; the paper's.
        epsilon: added to the root of the mean square; the paper's.

    **Examples**

    >>> weight = torch.ones(2)
    >>> AdamW([weight], weight_decay=0.0, clip=1.0).step([torch.tensor([0.3, -0.4])], rate=0.1)
    >>> weight
    tensor([0.9000, 1.1000])
    """

    def __init__(
        self,
        parameters: Iterable[Tensor],
        weight_decay: float,
        clip: float,
        shares: Mapping[int, Tensor] | None = None,
        decays: tuple[float, float] = (0.9, 0.999),
        epsilon: float = 1e-8,
    ) -> None:
        self.parameters = list(parameters)
        self.weight_decay, self.clip = weight_decay, clip
        self.shares, self.decays, self.epsilon = dict(shares or {}), decays, epsilon
        self.forget()

    def forget(self) -> None:
        """Begin anew from the parameters as they are."""
        self.moments = {
            "step": [torch.zeros((), device=p.device) for p in self.parameters],
            "exp_avg": [torch.zeros_like(p, requires_grad=False) for p in self.parameters],
            "exp_avg_sq": [torch.zeros_like(p, requires_grad=False) for p in self.parameters],
        }

    def state_dict(self) -> dict[str, Tensor]:
        """The moments, by the place of their parameter and their name; not copied."""
        return {
            f"{place}.{name}": moment
            for name, moments in self.moments.items()
            for place, moment in enumerate(moments)
        }

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor], rate: float) -> None:
        """One step down.

        Args:
            gradients: of each parameter, in its shape; clipped in place.
            rate: learning rate.
        """
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient
        clip_grad_norm_(self.parameters, self.clip)
        before = {place: self.parameters[place].clone() for place in self.shares}
        adamw(
            self.parameters,
            list(gradients),
            self.moments["exp_avg"],
            self.moments["exp_avg_sq"],
            [],
            self.moments["step"],
            fused=True,
            amsgrad=False,
            beta1=self.decays[0],
            beta2=self.decays[1],
            lr=rate,
            weight_decay=self.weight_decay,
            eps=self.epsilon,
            maximize=False,
        )
        # Adam takes no notice of how large a gradient is, so the step itself is shortened.
        for place, share in self.shares.items():
            parameter = self.parameters[place]
            parameter.copy_(torch.lerp(before[place], parameter, share.expand_as(parameter)))

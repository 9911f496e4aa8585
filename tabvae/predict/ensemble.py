"""Trained networks as one predictive distribution: codes in, NumPy probabilities out.

Several networks are averaged in probability. Everything is computed in float64, so that a row's
result does not depend on the rows that happen to share its batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import prod
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from tabvae.columns.arrays import Arrays, Document, joined, prefixed, unprefixed
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.bounds import elbo, importance_bound, importance_weights
from tabvae.network.heads import Representation
from tabvae.network.objective import Objective
from tabvae.network.weights import load_weights, weights_of
from tabvae.values.arrow import Floats, Ints, Mask

ROWS_PER_BATCH, BOUND_ROWS, MOST_NETS = 1024, 1024, 64
Representations = list[Representation]
"""The decoder's last layer in each network."""


class Ensemble:
    """The average of one or several networks with the same columns.

    Args:
        nets: trained networks on the CPU.

    **Examples**

    >>> from tabvae.network.autoencoder import NetworkSizes
    >>> sizes = NetworkSizes((2, 3), latent=2, width=8)  # bins of two columns
    >>> ensemble = Ensemble([Autoencoder(sizes, torch.zeros(7)).eval()])
    >>> codes = Codes.empty(rows=4, columns=2)
    >>> representations = ensemble.represent(codes, visible=codes.observed)
    >>> ensemble.probabilities(representations, column=1).sum(1).round(6)
    array([1., 1., 1., 1.])
    """

    def __init__(self, nets: Sequence[Autoencoder]) -> None:
        self.nets = tuple(nets)
        self._exact = [net.copy_as(torch.float64) for net in nets]
        self.sizes = nets[0].sizes.bins
        self.latent = nets[0].sizes.latent
        self._offsets = nets[0].sizes.offsets

    def members(self) -> list[Ensemble]:
        """Each network alone."""
        return [Ensemble([net]) for net in self.nets]

    @property
    def objective(self) -> Objective:
        """Which member of the family the networks are."""
        return self.nets[0].objective

    @torch.inference_mode()
    def posterior(self, codes: Codes) -> tuple[Floats, Floats]:
        """(N, latent) mean and scale of q(z | observed cells), of the first network."""
        cells = Rows.of(codes, torch.float64)
        q = self._exact[0].posterior(cells, cells.observed)
        return q.mean.numpy(), q.stddev.numpy()

    @torch.inference_mode()
    def prior(self) -> tuple[Floats, Floats]:
        """(1, latent) mean and scale of q(z | nothing visible), the prior, of the first network."""
        _, q = self._exact[0].nothing()
        return q.mean.numpy(), q.stddev.numpy()

    @torch.inference_mode()
    def kl(self, codes: Codes) -> Floats:
        """(N, latent) KL( q(z|x_o) || q(z|nothing) ) in nats, of the first network."""
        cells = Rows.of(codes, torch.float64)
        q = self._exact[0].posterior(cells, cells.observed)
        return cast(Floats, kl_divergence(q, self._exact[0].nothing()[1]).numpy())

    @torch.inference_mode()
    def aggregate_kl(self, codes: Codes) -> Floats:
        """(latent,) KL in nats of the aggregate posterior, as a Gaussian of its mean and variance
        over the rows, against the prior; of the first network."""
        cells = Rows.of(codes, torch.float64)
        q = self._exact[0].posterior(cells, cells.observed)
        variance = q.mean.var(0, correction=0) + q.variance.mean(0)
        whole = Normal(q.mean.mean(0), variance.sqrt())
        return cast(Floats, kl_divergence(whole, self._exact[0].nothing()[1])[0].numpy())

    @torch.inference_mode()
    def bounds(
        self, codes: Codes, samples: int, seed: int, shared: bool = False
    ) -> tuple[Floats, Floats]:
        """(N,) the ELBO and the importance-weighted bound of each row, of the first network.

        With ``shared`` all rows have the same draws.
        """
        generator = torch.Generator().manual_seed(seed)
        parts = []
        for rows in batches(len(codes), BOUND_ROWS):
            if shared:
                generator.manual_seed(seed)
            cells = Rows.of(codes[rows], torch.float64)
            shape = (samples, 1 if shared else len(cells), self.latent)
            noise = torch.randn(shape, dtype=torch.float64, generator=generator)
            weights = importance_weights(self._exact[0], cells, noise)
            parts.append(torch.stack([elbo(weights), importance_bound(weights)]))
        lower, importance = torch.cat(parts, dim=1).numpy()
        return lower, importance

    @torch.inference_mode()
    def represent(self, codes: Codes, visible: Mask) -> Representations:
        """What the visible cells say: the decoder's last layer, one (N, ...) a net."""
        cells, seen = Rows.of(codes, torch.float64), torch.from_numpy(visible)
        return [net.representation(cells, seen) for net in self._exact]

    @torch.inference_mode()
    def represent_latent(self, z: Floats) -> Representations:
        """As ``represent``, from z (N, latent) alone; of the first network, whose z it is."""
        return [self._exact[0].representation_of(torch.from_numpy(z))]

    @torch.inference_mode()
    def probabilities(
        self,
        representations: Representations,
        column: int,
        gaps: bool = False,
        temperature: float = 1.0,
    ) -> Floats:
        """p(x_j | visible cells) over the bins of one column.

        Args:
            representations: what ``represent`` returned, or rows of it.
            column: which modelled column.
            gaps: whether the state "missing" takes part, as one more bin at the end.
            temperature: divides the logits.

        Returns:
            (N, bins) probabilities that sum to one.
        """
        start = self._offsets[column]
        stop = start + self.sizes[column] + int(gaps)
        total: Tensor | float = 0.0
        for representation in representations:
            logits = representation.logits(slice(start, stop))
            total = total + torch.softmax(logits / temperature, dim=1)
        return cast(Floats, (cast(Tensor, total) / len(representations)).numpy())

    def given_others(self, codes: Codes, column: int, gaps: bool = False) -> Floats:
        """(N, bins) p(x_j | all other observed cells of its row) of one column j; with ``gaps``,
        "missing" is one more bin."""
        visible = codes.observed.copy()
        visible[:, column] = False
        return self.probabilities(self.represent(codes, visible), column, gaps)

    def arrays(self) -> Arrays:
        """``net.i.*``: the weights of each network."""
        return joined(prefixed(f"net.{i}.", weights_of(net)) for i, net in enumerate(self.nets))

    def document(self) -> Document:
        """Sizes, objective and how many networks there are."""
        return {
            "shape": self.nets[0].sizes.to_json(),
            "objective": asdict(self.objective),
            "nets": len(self.nets),
        }

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], arrays: Arrays, codec: TableCodec
    ) -> Ensemble:
        """Made again from what ``document`` and ``arrays`` gave.

        Args:
            document: of a model.
            arrays: all of a model.
            codec: of the table that the networks are of.

        Raises:
            ValueError, KeyError: they are no networks, or those of another table.
            ParameterError: their objective is none.
        """
        sizes = NetworkSizes.from_json(document["shape"])
        if sizes.bins != tuple(codec.sizes):
            raise ValueError("its networks are of another table")
        count = document["nets"]
        if type(count) is not int or not 1 <= count <= MOST_NETS:
            raise ValueError("it has no networks, or too many")
        # Before anything of that size is made: a file cannot declare more weights than it holds.
        weights = sizes.width * (sizes.offsets[-1] + sizes.latent + 4 * sizes.depth * sizes.width)
        cells = 0 if sizes.grid is None else prod(sizes.grid.size)
        held = sum(array.size for array in arrays.values())
        if count * weights > held or cells > len(codec.schema.columns):
            raise ValueError("it declares more weights than it holds")
        objective = from_json(Objective, document["objective"])
        nets = []
        for i in range(count):
            net = Autoencoder(sizes, torch.zeros(sizes.offsets[-1]), objective)
            load_weights(net, unprefixed(f"net.{i}.", arrays))
            nets.append(net.eval())
        return cls(nets)


def batches(rows: int, size: int = ROWS_PER_BATCH) -> list[slice]:
    """Slices that cover ``rows`` rows in order; of no rows, one that holds none.

    **Examples**

    >>> batches(5, size=2)
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    """
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]


def sample_bins(probabilities: Floats, uniforms: Floats) -> Ints:
    """One bin per row by inversion: the first whose cumulative probability passes the uniform.

    **Examples**

    >>> sample_bins(np.array([[0.5, 0.2, 0.3], [0.5, 0.2, 0.3]]), np.array([0.6, 0.8]))
    array([1, 2])
    """
    cumulative = np.cumsum(probabilities, axis=1)
    passed = cumulative < uniforms[:, None] * cumulative[:, -1:]
    return cast(Ints, np.minimum(passed.sum(1), probabilities.shape[1] - 1))

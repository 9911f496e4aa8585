"""Networks, the codec of their table, and what its gaps say: all that predicts a cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tabvae.columns.arrays import Arrays, Document, joined
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.network.autoencoder import Autoencoder
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.missingness import MissingnessModel
from tabvae.progress import Tell, unheard
from tabvae.values.arrow import Floats, Ints


@dataclass(frozen=True)
class Predictor:
    """What the cells of a row tell of each other.

    Attributes:
        networks: trained ones.
        codec: the bins of each column.
        missingness: what it tells of a cell that it is missing.

    **Examples**

    >>> import pyarrow as pa, torch
    >>> from tabvae.columns.infer import infer_schema
    >>> from tabvae.network.autoencoder import Autoencoder, NetworkSizes
    >>> table = pa.table({"x": [1.0, 2.0, None], "y": ["a", None, "b"]})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> sizes = NetworkSizes(tuple(codec.sizes), latent=2, width=8)
    >>> net = Autoencoder(sizes, torch.tensor(codec.positions)).eval()
    >>> predictor = Predictor.of([net], codec)
    >>> [p.shape for p, _ in predictor.distributions(codec.transform(table))]
    [(1, 2), (1, 2)]
    """

    networks: Ensemble
    codec: TableCodec
    missingness: MissingnessModel

    @classmethod
    def of(cls, nets: Sequence[Autoencoder], codec: TableCodec) -> Predictor:
        """Trained networks, as if gaps said nothing."""
        return cls(Ensemble(nets), codec, MissingnessModel.none(codec))

    def with_missingness(
        self, training: Codes, validation: Codes, seed: int, tell: Tell = unheard
    ) -> Predictor:
        """These networks, and what the gaps of ``training`` and ``validation`` say."""
        fitted = MissingnessModel.fit(
            self.networks, self.codec, training, validation, seed, tell=tell
        )
        return replace(self, missingness=fitted)

    def distributions(self, codes: Codes) -> Iterator[tuple[Floats, Floats]]:
        """Of each column, (n, bins) of its unobserved cells: as if they were like the observed
        ones, and knowing that those that are missing are."""
        layers = self.networks.represent(codes, codes.observed)
        for j in range(len(self.networks.sizes)):
            rows = np.flatnonzero(~codes.observed[:, j])
            as_observed = self.networks.probabilities([h[rows] for h in layers], j)
            missing = codes.missing[rows, j]
            yield as_observed, self.missingness.given_missing(as_observed, j, missing)

    def put_expected(self, codes: Codes, j: int, rows: Ints, probabilities: Floats) -> None:
        """Set cells of column ``j`` in place: a number to its mean, a category to the likeliest."""
        bins = self.codec.bins_[j]
        codes.bins[rows, j], codes.values[rows, j] = bins.expected(probabilities)
        codes.observed[rows, j] = True

    def arrays(self) -> Arrays:
        """Those of networks, codec and missingness."""
        return joined(part.arrays() for part in (self.networks, self.codec, self.missingness))

    def document(self) -> Document:
        """Those of networks and codec."""
        return self.networks.document() | self.codec.document()

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Arrays) -> Predictor:
        """Made again from what ``document`` and ``arrays`` gave; see its parts for errors."""
        codec = TableCodec.from_document(document, arrays)
        networks = Ensemble.from_document(document, arrays, codec)
        return cls(networks, codec, MissingnessModel.from_arrays(arrays, codec))

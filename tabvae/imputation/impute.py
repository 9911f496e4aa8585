"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import cast

import numpy as np

from tabvae.columns.arrays import Arrays
from tabvae.columns.codes import Codes
from tabvae.errors import require_one_of
from tabvae.imputation.beliefs import POINTS, BeliefConfig, Beliefs
from tabvae.imputation.draws import Recalibration, sharpened
from tabvae.imputation.refiner import Refiner
from tabvae.imputation.stacking import Trial
from tabvae.predict.ensemble import batches
from tabvae.predict.guess import Guess, NetworkGuess, network_guess
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import ROWS_PER_BLOCK, Sample, sample
from tabvae.progress import Progress, Tell, phase, silent, unheard
from tabvae.values.arrow import Floats

ROWS_TO_DRAW = 4 * ROWS_PER_BLOCK
"""At a time: each of their missing cells has a distribution of its own."""


@dataclass(frozen=True)
class Imputer:
    """Network and trees together.

    Attributes:
        predictor: networks and codec.
        refiner: the trees; ``None`` where the network fills gaps alone.
        recalibration: how draws come to be as both believe.

    **Examples**

    >>> import pyarrow as pa, torch
    >>> from functools import partial
    >>> from tabvae.columns.codec import TableCodec
    >>> from tabvae.columns.infer import infer_schema
    >>> from tabvae.imputation.config import TreeConfig
    >>> from tabvae.network.autoencoder import Autoencoder, NetworkSizes
    >>> table = pa.table({"x": [1.0, 2.0, None, 4.0], "y": ["a", None, "b", "b"]})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> sizes = NetworkSizes(tuple(codec.sizes), latent=2, width=8)
    >>> net = Autoencoder(sizes, torch.tensor(codec.positions)).eval()
    >>> predictor = Predictor.of([net], codec)
    >>> codes, few = codec.transform(table), TreeConfig(fewest_trees=2, most_trees=2)
    >>> guess = partial(network_guess, predictor)
    >>> refiner, _ = Refiner.fit(codec, codes, codes[:0], guess, seed=0, config=few)
    >>> imputer = Imputer(predictor, refiner, Recalibration.none())
    >>> bool(imputer.impute(codes).observed.all())
    True
    >>> [bool(draw.codes.observed.all()) for draw in imputer.draw(codes, draws=2, seed=0)]
    [True, True]
    """

    predictor: Predictor
    refiner: Refiner | None
    recalibration: Recalibration

    def impute(self, codes: Codes, tell: Tell = unheard, point: str = "mean") -> Codes:
        """Every missing cell at its point estimate given the observed cells of its row.

        A number is its predictive mean in data units, or another ``point`` of its distribution, a
        category its most probable value. Observed cells, and cells that could not be understood,
        stay as they are.

        Raises:
            ParameterError: ``point`` is none of ``POINTS``.
        """
        require_one_of("point", point, POINTS)
        filled = codes.copy()
        gaps = np.flatnonzero(codes.missing.any(1))
        for part in batches(len(gaps)):
            tell(part.start / max(len(gaps), 1))
            rows = gaps[part]
            block = codes[rows]
            if point == "mean":
                self._guess(block).fill(self.predictor.codec, block)
            else:
                self.beliefs(block).fill(self.predictor.codec, block, point)
            filled.put(rows, block)
        return filled

    def probabilities(self, codes: Codes, j: int) -> Floats:
        """(N, bins) how probable each bin of categorical column ``j`` is; certain where
        observed."""
        probabilities = np.eye(self.predictor.codec.sizes[j])[codes.bins[:, j]]
        unobserved = np.flatnonzero(~codes.observed[:, j])
        for part in batches(len(unobserved)):
            rows = unobserved[part]
            probabilities[rows] = self._guess(codes[rows])[j]
        return cast(Floats, probabilities / probabilities.sum(1, keepdims=True))

    def draw(self, codes: Codes, draws: int, seed: int, start: int = 0) -> Iterator[Sample]:
        """``draws`` times the rows completed, their missing cells sampled jointly, in any order.

        Args:
            codes: (N, columns) rows.
            draws: how many.
            seed: with the number of the draw, the seed of the random numbers.
            start: number of the first row in its table, a multiple of ``ROWS_PER_BLOCK``.
        """
        codec = self.predictor.codec
        for number in range(draws if self.refiner is None else 0):
            yield self._drawn(codes, (seed, number), start)
        if self.refiner is None:
            return
        networks, better = self._believed(codes)
        for number in range(draws):
            drawn = self._drawn(codes, (seed, number), start)
            yield self.recalibration.moved(codec, codes, drawn, networks, better)

    def _drawn(self, codes: Codes, seed: tuple[int, ...], start: int) -> Sample:
        first = start // ROWS_PER_BLOCK
        return sample(self.predictor, codes, seed, gaps=False, first=first)

    def beliefs(self, codes: Codes) -> Beliefs:
        """Of each unobserved cell its distribution, by network and trees together."""
        return Beliefs(codes, self._believed(codes)[1])

    def doubtful(self, codes: Codes, config: BeliefConfig | None = None) -> dict[int, float]:
        """By number of each column with gaps, the share of these that are little better than a
        guess, in rows with gaps or a choice of them."""
        config = config or BeliefConfig()
        gaps = codes[np.flatnonzero(codes.missing.any(1))].at_most(config.most_rows, seed=0)
        beliefs, codec = self.beliefs(gaps), self.predictor.codec
        columns = map(int, np.flatnonzero(gaps.missing.any(0)))
        doubtful = {j: beliefs.doubtful(codec, j, config).sum() for j in columns}
        return {j: float(cells / gaps.missing[:, j].sum()) for j, cells in doubtful.items()}

    def _believed(self, codes: Codes) -> tuple[list[Floats], list[Floats]]:
        """(n, bins) a column, the distributions of its unobserved cells: the network's, and those
        of network and trees together."""
        codec = self.predictor.codec
        distributions = list(self.predictor.distributions(codes))
        if self.refiner is None:
            networks = [as_missing for _, as_missing in distributions]
            return networks, networks
        guess = self.refiner.refine(codec, codes, NetworkGuess.of(codec, distributions))
        networks = [as_missing for _, as_missing in distributions]
        errors = self.refiner.stacking.errors_in(codes)
        columns = zip(codec.bins_, networks, guess, errors, strict=True)
        return networks, [sharpened(*column) for column in columns]

    def _guess(self, codes: Codes) -> Guess:
        """Of the unobserved cells, network and trees together, or the network alone."""
        network = network_guess(self.predictor, codes)
        if self.refiner is None:
            return network.missing
        return self.refiner.refine(self.predictor.codec, codes, network)

    @classmethod
    def alone(cls, predictor: Predictor) -> Imputer:
        """Without trees."""
        return cls(predictor, None, Recalibration.none())

    @classmethod
    def fit(
        cls,
        predictor: Predictor,
        training: Codes,
        validation: Codes,
        seed: int,
        leverage: float,
        progress: Progress = silent,
    ) -> tuple[Imputer, Trial | None]:
        """Grow the trees and learn how draws are corrected; see ``Refiner.fit``."""
        guess = partial(network_guess, predictor)
        with phase(progress, "trees") as tell:
            refiner, trial = Refiner.fit(
                predictor.codec, training, validation, guess, seed, leverage, tell=tell
            )
        with phase(progress, "draws"):
            recalibration = Recalibration.fit(predictor, refiner.stacking, trial, seed)
        return cls(predictor, refiner, recalibration), trial

    def complete(self, codes: Codes, tell: Tell = unheard, point: str = "mean") -> Sample:
        """As ``impute``; of pooled categories the most frequent."""
        imputed = self.impute(codes, tell, point)
        return Sample(imputed, np.zeros(imputed.bins.shape))

    def arrays(self) -> Arrays:
        """Those of refiner and recalibration; the predictor has its own."""
        trees = {} if self.refiner is None else self.refiner.arrays()
        return trees | self.recalibration.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, predictor: Predictor, trees: bool = True) -> Imputer:
        """Made again from what ``arrays`` gave, with ``trees`` or without; see its parts for
        errors."""
        refiner = Refiner.from_arrays(arrays, predictor.codec) if trees else None
        return cls(predictor, refiner, Recalibration.from_arrays(arrays))

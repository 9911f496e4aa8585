"""Impute: fill the missing cells, by their predictive mean or mode, or by posterior draws."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np

from tabvae.columns.arrow import Floats
from tabvae.columns.bins import Bins, ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.draws import Recalibration, beliefs, sharpened
from tabvae.imputation.refiner import Belief, Refiner
from tabvae.imputation.stacking import Guesses
from tabvae.predict.ensemble import Ensemble, batches
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.sampling import ROWS_PER_BLOCK, Sample, sample

ROWS_TO_DRAW = 4 * ROWS_PER_BLOCK
"""At a time: each of their missing cells has a distribution of its own."""


@dataclass(frozen=True)
class Imputer:
    """Network and trees together.

    Attributes:
        codec: knows the bins of each column.
        ensemble: the networks.
        missingness: what it says of a cell that it is missing.
        refiner: the trees.
        recalibration: how draws come to be as both believe.
    """

    codec: TableCodec
    ensemble: Ensemble
    missingness: MissingnessModel
    refiner: Refiner
    recalibration: Recalibration

    def impute(self, codes: Codes) -> Codes:
        """Every missing cell at its point estimate given the observed cells of its row.

        A number is its predictive mean in data units, a category its most probable value. Observed
        cells, and cells that could not be understood, stay as they are.
        """
        filled = codes.copy()
        gaps = np.flatnonzero(codes.missing.any(1))
        for part in batches(len(gaps)):
            rows = gaps[part]
            block = codes[rows]
            _fill(self.codec, block, self._guesses(block))
            filled.put(rows, block)
        return filled

    def probabilities(self, codes: Codes, j: int) -> Floats:
        """(N, bins) how probable each bin of categorical column ``j`` is; certain where
        observed."""
        found = np.eye(self.codec.sizes[j])[codes.bins[:, j]]
        unknown = np.flatnonzero(~codes.observed[:, j])
        for part in batches(len(unknown)):
            rows = unknown[part]
            found[rows] = self._guesses(codes[rows])[j]
        return cast(Floats, found / found.sum(1, keepdims=True))

    def draw(self, codes: Codes, draws: int, seed: int, start: int = 0) -> Iterator[Sample]:
        """``draws`` times the rows completed, their missing cells sampled jointly, in any order.

        Args:
            codes: (N, columns) rows.
            draws: how many.
            seed: with the number of the draw, the seed of the random numbers.
            start: number of the first row in its table, a multiple of ``ROWS_PER_BLOCK``.
        """
        found = list(beliefs(self.ensemble, self.missingness, codes))
        guesses = self.refiner.refine(self.codec, codes, _belief(self.codec, found))
        networks, errors = [own for _, own in found], self.refiner.stacking.errors_in(codes)
        better = [
            sharpened(*known)
            for known in zip(self.codec.bins_, networks, guesses, errors, strict=True)
        ]
        for number in range(draws):
            drawn = sample(
                self.ensemble,
                self.codec,
                codes,
                (seed, number),
                gaps=False,
                missingness=self.missingness,
                first=start // ROWS_PER_BLOCK,
            )
            yield self.recalibration.moved(self.codec, codes, drawn, networks, better)

    def _guesses(self, codes: Codes) -> Guesses:
        """Of the unobserved cells, network and trees together."""
        belief = guess(self.ensemble, self.codec, self.missingness, codes)
        return self.refiner.refine(self.codec, codes, belief)


def guess(
    ensemble: Ensemble, codec: TableCodec, missingness: MissingnessModel, codes: Codes
) -> Belief:
    """The network's predictive mean or probabilities of every unobserved cell."""
    parts = [
        _belief(codec, beliefs(ensemble, missingness, codes[rows])) for rows in batches(len(codes))
    ]
    sides = zip(*parts, strict=True)
    return Belief(*([np.concatenate(c) for c in zip(*side, strict=True)] for side in sides))


def _belief(codec: TableCodec, found: Iterable[tuple[Floats, Floats]]) -> Belief:
    """What is expected of cells whose distributions in each column are ``found``."""
    belief = Belief([], [])
    for coder, (like, own) in zip(codec.bins_, found, strict=True):
        belief.observed.append(_expected(coder, like))
        belief.missing.append(_expected(coder, own))
    return belief


def _expected(coder: Bins, probabilities: Floats) -> Floats:
    """A number in column deviations, or the probabilities of a category."""
    if isinstance(coder, ContinuousBins):
        return coder.deviations(probabilities @ coder.means)
    return probabilities


def _fill(codec: TableCodec, block: Codes, guesses: Guesses) -> None:
    """Set the missing cells of a batch to their guesses, in place."""
    for j, (coder, guessed) in enumerate(zip(codec.bins_, guesses, strict=True)):
        missing = block.missing[:, j]
        chosen = guessed[missing[~block.observed[:, j]]]
        if isinstance(coder, ContinuousBins):
            block.values[missing, j] = coder.center + chosen * coder.scale
            block.bins[missing, j] = coder.encode(block.values[missing, j])
        else:
            block.bins[missing, j] = chosen.argmax(1)
        block.observed[missing, j] = True

"""A second look at the cells a network filled in, by trees on the completed rows.

The network guesses every unobserved cell; then each column is predicted once more from the others
as completed, the guesses are replaced, and so on for several rounds, as missForest does from worse
beginnings (Stekhoven & Buehlmann 2012). Each round's guesses are averaged with those of the round
before, since cells that are updated at the same time overshoot. New rows take the same path with
the trees of the last round, which alone are kept. Rows that no network trained on tell how much of
each column's guess is the network's. Trees learn from observed cells; where others are missing
because of what they hold, what they say is moved as the network's guesses are.
"""

from __future__ import annotations

import math
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from tabvae.columns.arrow import Mask
from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.forest import BOOSTED_TREES, Forest, Growth
from tabvae.imputation.linear import MOST_FEATURES, Features, telling
from tabvae.imputation.stacking import (
    LEAST,
    StackingWeights,
    Trial,
    fit_weights,
    hide,
)
from tabvae.predict.guess import Guess, Guesser, NetworkGuess

ROUNDS, MANY_GAPS = 3, 0.1
"""Rounds of quick trees before the trees that are kept, in a table with at least that share of its
cells missing; proportionally fewer, where there is less to mend."""
QUICK_SHARE, FEWEST_QUICK = 0.3, 10
"""How many quick trees there are for each that is kept, and at least."""
SWEEPS = 4
"""How often the kept trees look at new rows."""
MOST_ROWS = 30_000
ENOUGH_NODES, MOST_NODES = 3_000_000, 6_000_000
"""In all trees of all columns: more trees up to the first, larger leaves beyond the second;
10 bytes each in the model file."""
FEWEST_TREES, MOST_TREES = 20, 64
FEWEST_BOOSTED, MOST_BOOSTED = 10, 40_000
"""Boosted trees of one column, and of all columns together."""


@dataclass(frozen=True)
class Refiner:
    """One forest for each modelled column, on the completed other ones.

    Attributes:
        forests: one a column.
        stacking: in the network's guesses beside the trees'.
    """

    forests: tuple[Forest, ...]
    stacking: StackingWeights

    @classmethod
    def fit(
        cls,
        codec: TableCodec,
        seen: Codes,
        unseen: Codes,
        guess: Guesser,
        seed: int,
        leverage: float = 1.0,
    ) -> tuple[Refiner, Trial | None]:
        """Grow the trees, round by round; and what was tried to know whom to trust, if it was.

        Args:
            codec: knows the kind of each column.
            seen: (N, columns) the rows the network was trained on.
            unseen: (H, columns) the other rows of the table, on which is chosen what suits a
                column; the trees that are kept learn from them as well.
            guess: the network's guesses for rows.
            seed: of the choice of rows and of the splits.
            leverage: see ``tabvae.training.config.Settings``.
        """
        codes = Codes.joined(seen.at_most(MOST_ROWS, seed), unseen)
        columns = codes.bins.shape[1]
        growth = _growth(int(codes.observed.sum()), columns, codec.min_count, leverage)
        guesses = _rounds(codec, codes, guess(codes), growth, seed)
        stacking = StackingWeights.before(columns)
        learned = len(codes) - len(unseen)
        # A column of few cells may have none that trees on trial could learn from.
        can_learn = bool(codes.observed[:learned].any(0).all())
        tried = None
        if len(unseen) and can_learn and len(stacking.shares) <= MOST_FEATURES:
            whole, hidden = hide(unseen, seed)
            network = guess(hidden)
            forests = _grow(codec, codes, guesses, growth, learned, seed)
            trees = cls(forests, stacking)._trees(codec, hidden, network)
            stacking = fit_weights(codec, whole, hidden, network.missing, trees, guesses)
            guessed = trees.mixed(network.missing, stacking.shares_in(hidden))
            tried = Trial(whole, hidden, guessed, forests, growth.trees)
        return cls(_grow(codec, codes, guesses, growth, len(codes), seed), stacking), tried

    def refine(self, codec: TableCodec, codes: Codes, first: NetworkGuess) -> Guess:
        """Better guesses for the unobserved cells of ``codes``, from the network's ``first``."""
        trees = self._trees(codec, codes, first)
        return trees.mixed(first.missing, self.stacking.shares_in(codes))

    def _trees(self, codec: TableCodec, codes: Codes, first: NetworkGuess) -> Guess:
        """What the trees say of the unobserved cells in the end."""
        shares = StackingWeights.before(codes.bins.shape[1]).shares_in(codes)
        trees = self._say(codec, codes, first, first.missing)
        for _ in range(SWEEPS - 1):
            guesses = trees.mixed(first.missing, shares)
            trees = trees.mean(self._say(codec, codes, first, guesses))
        return trees

    def _say(self, codec: TableCodec, codes: Codes, network: NetworkGuess, guesses: Guess) -> Guess:
        """What the trees say of the unobserved cells, looking at ``guesses`` of all of them.

        What is missing because of what it holds differs from what is observed like it, by ever less
        the better it is known: a category by the same odds, a number in proportion to the squared
        error.
        """
        x = features(codec, codes, guesses)
        predictions, errors = [], self.stacking.errors_in(codes)
        for j, (bins, forest) in enumerate(zip(codec.bins_, self.forests, strict=True)):
            others = np.delete(x, j, axis=1)[~codes.observed[:, j]]
            as_observed, as_missing = network.observed[j], network.missing[j]
            if bins.is_number:
                moved = errors[j] * (as_missing - as_observed)
                predictions.append(forest.predict(others) + moved)
            else:
                votes = forest.votes(others, len(bins))
                votes = votes * (as_missing + LEAST) / (as_observed + LEAST)
                predictions.append(votes / votes.sum(1, keepdims=True))
        return Guess(predictions)


def _rounds(
    codec: TableCodec, codes: Codes, first: NetworkGuess, growth: Growth, seed: int
) -> Guess:
    """The network's ``first`` guesses after rounds of quick trees."""
    gaps = 1 - float(codes.observed.mean())
    quick = Growth(max(round(QUICK_SHARE * growth.trees), FEWEST_QUICK), 1, mixed=False)
    guesses, stacking = first.missing, StackingWeights.before(codes.bins.shape[1])
    shares = stacking.shares_in(codes)
    for number in range(math.ceil(ROUNDS * min(gaps / MANY_GAPS, 1.0))):
        forests = _grow(codec, codes, guesses, quick, len(codes), seed + number)
        trees = Refiner(forests, stacking)._say(codec, codes, first, guesses)
        latest = trees.mixed(first.missing, shares)
        guesses = latest if number == 0 else guesses.mean(latest)
    return guesses


def features(codec: TableCodec, codes: Codes, guesses: Guess) -> Features:
    """(N, columns) what the trees compare: numbers in column deviations, categories as bins."""
    x = codec.deviations(codes)
    for j, (number, guess) in enumerate(zip(codec.is_number, guesses, strict=True)):
        if not number:
            x[:, j] = codes.bins[:, j]
        x[~codes.observed[:, j], j] = guess if number else guess.argmax(1)
    return x.astype(np.float32)


def _grow(
    codec: TableCodec,
    codes: Codes,
    guesses: Guess,
    growth: Growth,
    rows: int,
    seed: int,
) -> tuple[Forest, ...]:
    """A forest for each column, from the first ``rows`` rows, on a core each.

    scikit-learn changes Python's list of warning filters for a moment in each thread, and several
    threads can leave it empty; the list is put back, and what they said meanwhile is dropped: that
    was of this, or of rows that all trees learned from.
    """
    x = features(codec, codes, guesses)
    deviations = codec.deviations(codes)
    bins = np.where(codec.is_number, 0, codec.sizes)

    def forest(j: int) -> Forest:
        known: Mask = codes.observed[:, j] & (np.arange(len(codes)) < rows)
        others = np.delete(x, j, axis=1)[known]
        target = codes.bins[known, j] if bins[j] else deviations[known, j]
        chosen = telling(others, target, number=not bins[j])
        others, sizes = others[:, chosen], np.delete(bins, j)[chosen]
        if bins[j]:
            grown = Forest.of_categories(others, target, sizes, bins[j], growth, seed)
        else:
            grown = Forest.of_numbers(others, target, sizes, growth, seed)
        return grown.among(chosen)

    # One column after the other on both cores, threads would mostly wait for each other.
    alone = partial(threadpool_limits, 1, "openmp")
    with (
        warnings.catch_warnings(record=True),
        ThreadPoolExecutor(os.cpu_count(), initializer=alone) as pool,
    ):
        warnings.simplefilter("ignore")
        return tuple(pool.map(forest, range(len(codec.bins_))))


def _growth(observed: int, columns: int, min_count: int, leverage: float) -> Growth:
    """As many trees, then as deep ones, as fit the budget of nodes for so many observed cells.

    No leaf has fewer than ``min_count`` rows. What the columns of a row tell of it adds up, as
    independent residuals do, with the root of their number; so each may tell that much less.
    """
    each = min(leverage / math.sqrt(columns), 1.0) if leverage < 1 else 1.0
    smallest = max(min_count, math.ceil(1 / each))
    trees = ENOUGH_NODES * smallest // (2 * observed)
    trees = int(np.clip(trees, FEWEST_TREES, MOST_TREES))
    boosted = int(np.clip(MOST_BOOSTED // columns, FEWEST_BOOSTED, BOOSTED_TREES))
    leaf = max(smallest, math.ceil(2 * observed * trees / MOST_NODES))
    return Growth(trees, leaf, boosted=boosted, leverage=each)

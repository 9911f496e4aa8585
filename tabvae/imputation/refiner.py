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

import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from tabvae.columns.arrays import Arrays, joined
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.imputation.config import Growth, TreeConfig
from tabvae.imputation.forest import Forest
from tabvae.imputation.grow import grow_categories, grow_numbers
from tabvae.imputation.linear import Features, telling
from tabvae.imputation.stacking import StackingWeights, Trial, fit_weights, hide
from tabvae.predict.guess import Guess, Guesser, NetworkGuess
from tabvae.predict.missingness import LEAST
from tabvae.progress import Tell, parts, unheard
from tabvae.values.arrow import Mask


@dataclass(frozen=True)
class Refiner:
    """One forest for each modelled column, on the completed other ones.

    Attributes:
        forests: one a column.
        stacking: in the network's guesses beside the trees'.
        config: how often the trees look at new rows, and all that ``fit`` goes by.

    **Examples**

    >>> import pyarrow as pa
    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"x": [0.5, 1.0, 1.5, 2.5], "double": [1.0, 2.0, 3.0, None]})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> codes = codec.transform(table)
    >>> mean = Guess([np.zeros(0), np.zeros(1)])  # of the one cell that is not observed
    >>> guess = lambda codes: NetworkGuess(mean, mean)
    >>> few = TreeConfig(fewest_trees=2, most_trees=2, fewest_quick=2)
    >>> refiner, trial = Refiner.fit(codec, codes, codes[:0], guess, seed=0, config=few)
    >>> refined = refiner.refine(codec, codes, guess(codes))
    >>> bool(refined[1] > 0.5), trial  # it is large; there was no row to try it on
    (True, None)
    """

    forests: tuple[Forest, ...]
    stacking: StackingWeights
    config: TreeConfig = field(default_factory=TreeConfig)

    @classmethod
    def fit(
        cls,
        codec: TableCodec,
        seen: Codes,
        unseen: Codes,
        guess: Guesser,
        seed: int,
        leverage: float = 1.0,
        config: TreeConfig | None = None,
        tell: Tell = unheard,
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
            config: of the trees.
            tell: how far it is.
        """
        config = config or TreeConfig()
        codes = Codes.joined(seen.at_most(config.most_rows, seed), unseen)
        columns = codes.bins.shape[1]
        growth = config.growth(int(codes.observed.sum()), columns, codec.min_count, leverage)
        rounds = config.rounds_for(gaps=1 - float(codes.observed.mean()))
        quick, tried, kept = parts(tell, config.quick_share * rounds, 1.0, 1.0)
        guesses = _rounds(codec, codes, guess(codes), growth, rounds, seed, quick)
        stacking, trial = StackingWeights.before(columns), None
        learned = len(codes) - len(unseen)
        # A column of few cells may have none that trees on trial could learn from.
        can_learn = bool(codes.observed[:learned].any(0).all())
        if len(unseen) and can_learn and columns <= config.most_features:
            grown = _grow(codec, codes, guesses, growth, learned, seed, tried)
            on_trial = cls(grown, stacking, config)
            trial = on_trial.try_on_hidden(codec, hide(unseen, seed), guess, guesses, growth.trees)
            stacking = trial.stacking
        forests = _grow(codec, codes, guesses, growth, len(codes), seed, kept)
        return cls(forests, stacking, config), trial

    def try_on_hidden(
        self,
        codec: TableCodec,
        rows: tuple[Codes, Codes],
        guess: Guesser,
        guesses: Guess,
        randomised: int,
    ) -> Trial:
        """Learn whom to trust from cells that are hidden from network and trees.

        Args:
            codec: knows the kind of each column.
            rows: that neither has learned from, complete and masked, see ``hide``.
            guess: the network's guesses for rows.
            guesses: of the cells that are not observed in the table.
            randomised: trees of each forest that are extremely randomised.
        """
        complete, masked = rows
        network = guess(masked)
        trees = self._sweeps(codec, masked, network)
        stacking = fit_weights(codec, complete, masked, network.missing, trees, guesses)
        both = trees.mixed(network.missing, stacking.shares_in(masked))
        return Trial(complete, masked, both, self.forests, randomised, stacking)

    def refine(self, codec: TableCodec, codes: Codes, first: NetworkGuess) -> Guess:
        """Better guesses for the unobserved cells of ``codes``, from the network's ``first``."""
        trees = self._sweeps(codec, codes, first)
        return trees.mixed(first.missing, self.stacking.shares_in(codes))

    def _sweeps(self, codec: TableCodec, codes: Codes, first: NetworkGuess) -> Guess:
        """What the trees predict of the unobserved cells in the end."""
        shares = StackingWeights.before(codes.bins.shape[1]).shares_in(codes)
        trees = self._predict(codec, codes, first, first.missing)
        for _ in range(self.config.sweeps - 1):
            guesses = trees.mixed(first.missing, shares)
            trees = trees.mean(self._predict(codec, codes, first, guesses))
        return trees

    def _predict(
        self, codec: TableCodec, codes: Codes, network: NetworkGuess, guesses: Guess
    ) -> Guess:
        """What the trees predict of the unobserved cells, looking at ``guesses`` of all of them.

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

    def arrays(self) -> Arrays:
        """``forest.j.*``, ``line.j.*`` and ``trust.*``."""
        forests = joined(forest.arrays(j) for j, forest in enumerate(self.forests))
        return forests | self.stacking.arrays()

    @classmethod
    def from_arrays(cls, arrays: Arrays, codec: TableCodec) -> Refiner:
        """Made again from what ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are no trees of the columns of ``codec``.
        """
        columns = len(codec.bins_)
        forests = tuple(Forest.from_arrays(arrays, j) for j in range(columns))
        for forest, bins in zip(forests, codec.bins_, strict=True):
            forest.check(columns - 1, None if bins.is_number else len(bins))
        return cls(forests, StackingWeights.from_arrays(arrays, columns))


def _rounds(
    codec: TableCodec,
    codes: Codes,
    first: NetworkGuess,
    growth: Growth,
    rounds: int,
    seed: int,
    tell: Tell,
) -> Guess:
    """The network's ``first`` guesses after rounds of quick trees."""
    guesses, stacking = first.missing, StackingWeights.before(codes.bins.shape[1])
    shares = stacking.shares_in(codes)
    for number, part in enumerate(parts(tell, *[1.0] * rounds)):
        forests = _grow(codec, codes, guesses, growth.quick, len(codes), seed + number, part)
        trees = Refiner(forests, stacking)._predict(codec, codes, first, guesses)
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
    tell: Tell,
) -> tuple[Forest, ...]:
    """A forest for each column, from the first ``rows`` rows, on a core each.

    scikit-learn changes Python's list of warning filters for a moment in each thread, and several
    threads can leave it empty; the list is put back, and what they warned of meanwhile is dropped:
    that was of this, or of rows that all trees learned from.
    """
    x = features(codec, codes, guesses)
    deviations = codec.deviations(codes)
    bins = np.where(codec.is_number, 0, codec.sizes)

    def forest(j: int) -> Forest:
        present: Mask = codes.observed[:, j] & (np.arange(len(codes)) < rows)
        others = np.delete(x, j, axis=1)[present]
        target = codes.bins[present, j] if bins[j] else deviations[present, j]
        chosen = telling(others, target, not bins[j], growth.config.most_features)
        others, sizes = others[:, chosen], np.delete(bins, j)[chosen]
        if bins[j]:
            grown = grow_categories(others, target, sizes, bins[j], growth, seed)
        else:
            grown = grow_numbers(others, target, sizes, growth, seed)
        return grown.among(chosen)

    # One column after the other on both cores, threads would mostly wait for each other.
    alone = partial(threadpool_limits, 1, "openmp")
    with (
        warnings.catch_warnings(record=True),
        ThreadPoolExecutor(os.cpu_count(), initializer=alone) as pool,
    ):
        warnings.simplefilter("ignore")
        forests: list[Forest] = []
        for one in pool.map(forest, range(len(codec.bins_))):
            forests.append(one)
            tell(len(forests) / len(codec.bins_))
        return tuple(forests)

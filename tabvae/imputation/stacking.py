"""How far to trust the network beside the trees, column by column and row by row.

Some cells of rows that neither has learned from are hidden from both. Where a column follows from
others the trees are right, where it is mostly noise the network is. What few cells say of a column
is drawn towards what the cells of all columns of its kind say. The more of a row is not observed,
the more trees look at guesses, which they take for facts: the network has learned from such rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from tabvae.columns.arrow import Floats
from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.forest import Forest
from tabvae.predict.guess import Guess, mix

NETWORK_SHARE = 0.15
"""Of a guess, before anything is known."""
HIDDEN = 0.1
"""Share of the cells that are hidden: few, so that the rows have hardly more gaps than they had."""
MOST_COPIES, ENOUGH_ROWS = 8, 4000
"""Each row is looked at several times, with other cells hidden, if there are few of them."""
CELLS_BORROWED, CELLS_BEFORE = 500, 2000
"""Weight, in cells, of what is known of all columns beside what is seen of one; and of what is
believed before anything is known beside what is seen of all."""
GROUPS = 10
"""Of numbers, by what is guessed of them."""
LEAST = 1e-12
UNOBSERVED_POWER = 3
"""Of the share of a row's other cells that are not observed: about what the network's share is when
trees have nothing but that many guesses to look at."""
ERROR_BEFORE = 0.8
"""Of both together, squared, beside the network's."""


@dataclass(frozen=True)
class StackingWeights:
    """Whom to trust, and how far, in a row of which all other cells are observed.

    Attributes:
        shares: (columns,) weight of the network's guess; the trees' has the rest.
        errors: (columns,) squared error of both together over that of the network alone.
    """

    shares: Floats
    errors: Floats

    def __post_init__(self) -> None:
        if self.shares.shape != self.errors.shape:
            raise ValueError("the trust in the network is not that of its columns")
        for ratio in (self.shares, self.errors):
            if not ((ratio >= 0) & (ratio <= 1)).all():
                raise ValueError("the trust in the network is no share")

    @classmethod
    def before(cls, columns: int) -> StackingWeights:
        """Before anything is known."""
        return cls(np.full(columns, NETWORK_SHARE), np.full(columns, ERROR_BEFORE))

    def shares_in(self, codes: Codes) -> list[Floats]:
        """The shares of all unobserved cells, one (n,) a column."""
        return _in_rows(self.shares, unobserved_share(codes))

    def errors_in(self, codes: Codes) -> list[Floats]:
        """The errors of all unobserved cells, one (n,) a column."""
        return _in_rows(self.errors, unobserved_share(codes))


def unobserved_share(codes: Codes) -> list[Floats]:
    """Of all unobserved cells, one (n,) a column, how far the network alone knows what to guess: 1
    where no other cell of the row is observed, near 0 while most are."""
    others = max(codes.bins.shape[1] - 1, 1)
    share = ((~codes.observed).sum(1) - 1) / others
    return [share[~known] ** UNOBSERVED_POWER for known in codes.observed.T]


def _in_rows(columns: Floats, shares: list[Floats]) -> list[Floats]:
    return [one + (1 - one) * share for one, share in zip(columns, shares, strict=True)]


class Trial(NamedTuple):
    """Rows that neither has learned from, with cells hidden from both.

    Attributes:
        whole: (N, columns) the rows.
        hidden: (N, columns) the same with fewer cells observed.
        guesses: of the unobserved cells of ``hidden``, by both together.
        forests: one a column, that have not learned from these rows.
        trees: of each forest that are extremely randomised, its first.
    """

    whole: Codes
    hidden: Codes
    guesses: Guess
    forests: tuple[Forest, ...]
    trees: int


def hide(unseen: Codes, seed: int) -> tuple[Codes, Codes]:
    """Rows to try on, as they are and with some of their observed cells hidden."""
    times = min(MOST_COPIES, -(-ENOUGH_ROWS // max(len(unseen), 1)))
    whole = Codes.joined(*[unseen] * times)
    hidden = np.random.default_rng(seed).random(whole.observed.shape) < HIDDEN
    return whole, replace(whole, observed=whole.observed & ~hidden)


def fit_weights(
    codec: TableCodec,
    whole: Codes,
    hidden: Codes,
    network: Guess,
    trees: Guess,
    missing: Guess,
) -> StackingWeights:
    """The weights of the network's guesses that lose least on hidden cells.

    What is lost is the squared error of a number, the score of Brier (1950) of a category. Where
    large numbers are missing more often than small ones, those hidden ones count for more that are
    guessed to be large, too (Shimodaira 2000).

    Args:
        codec: knows the kind of each column.
        whole: (N, columns) rows.
        hidden: (N, columns) the same with fewer cells observed.
        network: what the network guesses of the unobserved cells of ``hidden``.
        trees: what the trees guess of them.
        missing: what is guessed of the cells that are not observed in the table.
    """
    truth, shares = _truth(codec, whole, hidden), unobserved_share(hidden)
    sums = np.zeros((len(truth), 4))
    for j, true in enumerate(truth):
        known = whole.observed[~hidden.observed[:, j], j]
        if known.any():
            weights = _weights(trees[j][known], missing[j])
            without = mix(trees[j], network[j], shares[j])
            sums[j] = _sums(true[known], network[j][known], without[known], weights)
    numbers = codec.is_number
    stacking = StackingWeights.before(len(truth))
    for kind in (numbers, ~numbers):
        cells, gain, spread, loss = sums[kind].T
        if cells.sum() > 0:
            share = _ratios(gain, spread, cells, NETWORK_SHARE)
            both = loss - 2 * share * gain + share**2 * spread
            alone = loss - 2 * gain + spread
            stacking.shares[kind] = share
            stacking.errors[kind] = _ratios(both, alone, cells, ERROR_BEFORE)
    return stacking


def _truth(codec: TableCodec, whole: Codes, hidden: Codes) -> list[Floats]:
    """What a perfect guess of the unobserved cells of ``hidden`` would be."""
    rows = [~observed for observed in hidden.observed.T]
    return [
        bins.truth(whole.bins[cells, j], whole.values[cells, j])
        for j, (bins, cells) in enumerate(zip(codec.bins_, rows, strict=True))
    ]


def _sums(truth: Floats, network: Floats, trees: Floats, weights: Floats) -> Floats:
    """(4,) the weights, then the coefficients of the loss of the share s of the network beside the
    trees, sum of weights |(truth - trees) - s (network - trees)|^2: half of minus the linear one,
    the quadratic one, the constant. "Trees" have the network's part that the row alone gives it.

    Args:
        truth: (n,) numbers or (n, bins) probabilities of a category; so the next two.
        network: its guesses.
        trees: theirs.
        weights: (n,) what each cell counts.
    """
    wrong, apart = truth - trees, network - trees
    terms = (wrong * apart, apart**2, wrong**2)
    return np.array([weights.sum(), *((weights @ term).sum() for term in terms)])


def _weights(tried: Floats, missing: Floats) -> Floats:
    """(n,) what each tried cell counts: the more, the more often guesses like its own are made of
    missing cells. They sum to the number of cells of equal weight that would tell as much (Kish
    1965).

    Args:
        tried: (n,) numbers or (n, bins) probabilities of a category.
        missing: (m,) or (m, bins) the same of missing cells.
    """
    if tried.ndim == 1:
        edges = np.quantile(tried, np.linspace(0, 1, GROUPS + 1)[1:-1])
        tried, missing = (np.eye(GROUPS)[np.searchsorted(edges, g)] for g in (tried, missing))
    groups = tried.shape[1]
    often = (tried.sum(0) + 1) / (len(tried) + groups)
    wanted = (missing.sum(0) + groups * often) / (len(missing) + groups)
    weights: Floats = tried @ (wanted / often)
    weights *= weights.sum() / (weights**2).sum()
    return weights


def _ratios(parts: Floats, wholes: Floats, cells: Floats, before: float) -> Floats:
    """(columns,) ``parts`` over ``wholes`` within 0..1 in columns of one kind, few cells borrowing
    from the other columns, and those from what was believed ``before``."""
    unit = wholes.sum() / cells.sum() * CELLS_BEFORE + LEAST
    common = (parts.sum() + before * unit) / (wholes.sum() + unit)
    each = wholes / np.maximum(cells, 1) * CELLS_BORROWED + LEAST
    ratios: Floats = ((parts + common * each) / (wholes + each)).clip(0, 1)
    return ratios

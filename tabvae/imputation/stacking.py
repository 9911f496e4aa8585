"""How far to trust the network beside the trees, column by column and row by row.

Some cells of rows that neither has learned from are hidden from both. Where a column follows from
others the trees are right, where it is mostly noise the network is. What few cells say of a column
is drawn towards what the cells of all columns of its kind say. The more of a row is not observed,
the more trees look at guesses, which they take for facts: the network has learned from such rows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from tabvae.columns.arrays import Arrays, floats, prefixed
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.imputation.forest import Forest
from tabvae.predict.guess import Guess, mix
from tabvae.predict.missingness import LEAST
from tabvae.values.arrow import Floats, Mask


@dataclass(frozen=True)
class StackingConfig:
    """How whom to trust is learned; ``docs/decisions/0012-network-or-trees.md`` has the reasons.

    Attributes:
        network_share: of the network in a guess, before anything is known.
        error_before: squared error of both together over the network's, before anything is known.
        hidden_share: of the cells that are hidden: few, so that the rows have hardly more gaps than
            they had.
        most_copies: how often a row is looked at, with other cells hidden each time.
        enough_rows: so many that no row needs to be looked at twice.
        cells_borrowed: weight, in cells, of what is seen of all columns of a kind beside what is
            seen of one, for few cells tell little.
        cells_before: weight, in cells, of what is believed before anything is known beside what is
            seen of all columns.
        groups: of numbers by what is guessed of them: enough to tell large from small ones.
    """

    network_share: float = 0.15
    error_before: float = 0.8
    hidden_share: float = 0.1
    most_copies: int = 8
    enough_rows: int = 4000
    cells_borrowed: int = 500
    cells_before: int = 2000
    groups: int = 10


@dataclass(frozen=True)
class StackingWeights:
    """Whom to trust, and how far, in a row of which all other cells are observed.

    Attributes:
        shares: (columns,) weight of the network's guess; the trees' has the rest.
        errors: (columns,) squared error of both together over that of the network alone.

    Raises:
        ValueError: they are no shares, or not of the same columns.

    **Examples**

    >>> codes = Codes.empty(rows=2, columns=2)  # of the second row, the other cell is observed
    >>> codes.observed[1, 1] = True
    >>> StackingWeights(np.array([0.2, 0.5]), np.ones(2)).shares_in(codes)
    [array([1. , 0.2]), array([1.])]
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
    def before(cls, columns: int, config: StackingConfig | None = None) -> StackingWeights:
        """Before anything is known."""
        config = config or StackingConfig()
        return cls(np.full(columns, config.network_share), np.full(columns, config.error_before))

    def shares_in(self, codes: Codes) -> list[Floats]:
        """The shares of all unobserved cells, one (n,) a column."""
        return _in_rows(self.shares, unobserved_share(codes))

    def errors_in(self, codes: Codes) -> list[Floats]:
        """The errors of all unobserved cells, one (n,) a column."""
        return _in_rows(self.errors, unobserved_share(codes))

    def arrays(self) -> Arrays:
        """``trust.shares`` and ``trust.errors``."""
        return prefixed("trust.", {"shares": self.shares, "errors": self.errors})

    @classmethod
    def from_arrays(cls, arrays: Arrays, columns: int) -> StackingWeights:
        """Made again from what ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are not those of so many ``columns``.
        """
        stacking = cls(floats(arrays, "trust.shares"), floats(arrays, "trust.errors"))
        if stacking.shares.shape != (columns,):
            raise ValueError("the trust in the network is not that of its columns")
        return stacking


def unobserved_share(codes: Codes) -> list[Floats]:
    """Of all unobserved cells, one (n,) a column, how far the network alone knows what to guess: 1
    where no other cell of the row is observed, near 0 while most are. The third power of the share
    of the others that are not is about the best share of the network where trees look at so many
    guesses."""
    others = max(codes.bins.shape[1] - 1, 1)
    share = ((~codes.observed).sum(1) - 1) / others
    return [share[~observed] ** 3 for observed in codes.observed.T]


def _in_rows(columns: Floats, shares: list[Floats]) -> list[Floats]:
    return [one + (1 - one) * share for one, share in zip(columns, shares, strict=True)]


@dataclass(frozen=True)
class Trial:
    """Rows that neither has learned from, with cells hidden from both.

    Attributes:
        complete: (N, columns) the rows.
        masked: (N, columns) the same with fewer cells observed.
        guesses: of the unobserved cells of ``masked``, by both together.
        forests: one a column, that have not learned from these rows.
        trees: of each forest that are extremely randomised, its first.
        stacking: the weights that lose least on these rows.
    """

    complete: Codes
    masked: Codes
    guesses: Guess
    forests: tuple[Forest, ...]
    trees: int
    stacking: StackingWeights


def hide(unseen: Codes, seed: int, config: StackingConfig | None = None) -> tuple[Codes, Codes]:
    """Rows to try on, complete and masked: with some of their observed cells hidden."""
    config = config or StackingConfig()
    times = min(config.most_copies, -(-config.enough_rows // max(len(unseen), 1)))
    complete = Codes.joined(*[unseen] * times)
    hidden = np.random.default_rng(seed).random(complete.observed.shape) < config.hidden_share
    return complete, replace(complete, observed=complete.observed & ~hidden)


@dataclass(frozen=True)
class Quadratic:
    """What a share s of the network beside the trees loses in each column:

        loss(s)  =  sum of weights |(truth - trees) - s (network - trees)|^2
                 =  constant - 2 s gain + s^2 spread

    Attributes:
        cells: (columns,) sum of the weights.
        gain: (columns,) sum of weights (truth - trees) (network - trees).
        spread: (columns,) sum of weights (network - trees)^2.
        constant: (columns,) sum of weights (truth - trees)^2.

    **Examples**

    >>> truth, network, trees = np.array([1.0, 2.0]), np.array([1.0, 3.0]), np.array([0.0, 1.0])
    >>> column = Quadratic.of(truth, network, trees, weights=np.ones(2))
    >>> column.loss(0.0), column.loss(1.0), column.gain / column.spread
    (array([2.]), array([1.]), array([0.6]))
    """

    cells: Floats
    gain: Floats
    spread: Floats
    constant: Floats

    @classmethod
    def of(cls, truth: Floats, network: Floats, trees: Floats, weights: Floats) -> Self:
        """Of one column.

        Args:
            truth: (n,) numbers or (n, bins) probabilities of a category; so the next two.
            network: its guesses.
            trees: theirs, with the network's part that the row alone gives it.
            weights: (n,) what each cell counts.
        """
        residual, difference = truth - trees, network - trees
        terms = (residual * difference, difference**2, residual**2)
        gain, spread, constant = ((weights @ term).sum() for term in terms)
        return cls(*(np.array([term]) for term in (weights.sum(), gain, spread, constant)))

    @classmethod
    def joined(cls, columns: list[Self]) -> Self:
        """Of several columns."""
        parts = zip(*(vars(column).values() for column in columns), strict=True)
        return cls(*(np.concatenate(part) for part in parts))

    def __getitem__(self, columns: Mask) -> Quadratic:
        return Quadratic(*(term[columns] for term in vars(self).values()))

    def loss(self, share: Floats | float) -> Floats:
        """(columns,) of a share in each."""
        return self.constant - 2 * share * self.gain + share**2 * self.spread

    def best_share(self, config: StackingConfig) -> Floats:
        """(columns,) the shares that lose least, shrunk."""
        return _shrunk(self.gain, self.spread, self.cells, config.network_share, config)

    def error(self, share: Floats, config: StackingConfig) -> Floats:
        """(columns,) the loss of a share over that of the network alone, shrunk."""
        losses = self.loss(share), self.loss(1.0)
        return _shrunk(*losses, self.cells, config.error_before, config)


def fit_weights(
    codec: TableCodec,
    complete: Codes,
    masked: Codes,
    network: Guess,
    trees: Guess,
    missing: Guess,
    config: StackingConfig | None = None,
) -> StackingWeights:
    """The weights of the network's guesses that lose least on hidden cells.

    What is lost is the squared error of a number, the score of Brier (1950) of a category. Where
    large numbers are missing more often than small ones, those hidden ones count for more that are
    guessed to be large, too (Shimodaira 2000).

    Args:
        codec: knows the kind of each column.
        complete: (N, columns) rows.
        masked: (N, columns) the same with fewer cells observed.
        network: what the network guesses of the unobserved cells of ``masked``.
        trees: what the trees guess of them.
        missing: what is guessed of the cells that are not observed in the table.
        config: how far few cells are believed.
    """
    config = config or StackingConfig()
    columns, alone = [], unobserved_share(masked)
    for j, truth in enumerate(_truth(codec, complete, masked)):
        hidden = complete.observed[~masked.observed[:, j], j]
        weights = _weights(trees[j][hidden], missing[j], config.groups)
        given = mix(trees[j], network[j], alone[j])[hidden]
        columns.append(Quadratic.of(truth[hidden], network[j][hidden], given, weights))
    losses = Quadratic.joined(columns)
    stacking = StackingWeights.before(len(columns), config)
    for kind in (codec.is_number, ~codec.is_number):
        if losses.cells[kind].sum() > 0:
            share = losses[kind].best_share(config)
            stacking.shares[kind] = share
            stacking.errors[kind] = losses[kind].error(share, config)
    return stacking


def _truth(codec: TableCodec, complete: Codes, masked: Codes) -> list[Floats]:
    """What a perfect guess of the unobserved cells of ``masked`` would be."""
    rows = [~observed for observed in masked.observed.T]
    return [
        bins.truth(complete.bins[cells, j], complete.values[cells, j])
        for j, (bins, cells) in enumerate(zip(codec.bins_, rows, strict=True))
    ]


def _weights(tried: Floats, missing: Floats, groups: int) -> Floats:
    """(n,) what each tried cell counts: the more, the more often guesses like its own are made of
    missing cells. They sum to the number of cells of equal weight that would tell as much (Kish
    1965).

    Args:
        tried: (n,) numbers or (n, bins) probabilities of a category.
        missing: (m,) or (m, bins) the same of missing cells.
        groups: into which numbers are put; categories are their own.
    """
    if not len(tried):
        return np.zeros(0)
    if tried.ndim == 1:
        edges = np.quantile(tried, np.linspace(0, 1, groups + 1)[1:-1])
        tried, missing = (np.eye(groups)[np.searchsorted(edges, g)] for g in (tried, missing))
    groups = tried.shape[1]
    often = (tried.sum(0) + 1) / (len(tried) + groups)
    wanted = (missing.sum(0) + groups * often) / (len(missing) + groups)
    weights: Floats = tried @ (wanted / often)
    weights *= weights.sum() / (weights**2).sum()
    return weights


def _shrunk(
    parts: Floats, wholes: Floats, cells: Floats, before: float, config: StackingConfig
) -> Floats:
    """(columns,) ``parts`` over ``wholes``, within 0..1, in columns of one kind. Few cells borrow
    from the other columns, and those from what was believed ``before``:

        common   =  (sum parts + before a) / (sum wholes + a)    a  =  cells_before whole of a cell
        ratio_j  =  (part_j + common b_j) / (whole_j + b_j)      b_j  =  cells_borrowed whole_j's
    """
    a = wholes.sum() / cells.sum() * config.cells_before + LEAST
    common = (parts.sum() + before * a) / (wholes.sum() + a)
    b = wholes / np.maximum(cells, 1) * config.cells_borrowed + LEAST
    ratios: Floats = ((parts + common * b) / (wholes + b)).clip(0, 1)
    return ratios

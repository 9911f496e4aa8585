"""What is believed of the unobserved cells of rows, before and after trees have looked at it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class Guess:
    """Point estimates of every unobserved cell.

    Attributes:
        columns: one array a column, in the order of its unobserved rows: (n,) numbers in column
            deviations, or (n, bins) probabilities of a category.

    **Examples**

    >>> low, high = Guess([np.array([0.0, 2.0])]), Guess([np.array([1.0, 4.0])])
    >>> low.mixed(high, [np.array([0.5, 1.0])]).columns
    [array([0.5, 4. ])]
    >>> low.mean(high).columns
    [array([0.5, 3. ])]
    """

    columns: list[Floats]

    def __getitem__(self, j: int) -> Floats:
        return self.columns[j]

    def __iter__(self) -> Iterator[Floats]:
        return iter(self.columns)

    def mixed(self, other: Guess, shares: list[Floats]) -> Guess:
        """With a share of the other guess, one (n,) for each column."""
        return Guess([mix(*each) for each in zip(self, other, shares, strict=True)])

    def mean(self, other: Guess) -> Guess:
        """Half of this one, half of the other."""
        return Guess([(a + b) / 2 for a, b in zip(self, other, strict=True)])

    def fill(self, codec: TableCodec, codes: Codes) -> None:
        """Set the missing cells of ``codes``, in place; those not understood stay as they are."""
        for j, (bins, guess) in enumerate(zip(codec.bins_, self.columns, strict=True)):
            missing = codes.missing[:, j]
            likely, values = bins.of_guess(guess[missing[~codes.observed[:, j]]])
            codes.bins[missing, j], codes.values[missing, j] = likely, values
            codes.observed[missing, j] = True


def mix(one: Floats, other: Floats, share: Floats) -> Floats:
    """A ``share`` (n,) of the other, the rest of the one, both (n,) or (n, bins).

    **Examples**

    >>> mix(np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([0.25]))
    array([[0.75, 0.25]])
    """
    share = share.reshape(-1, *[1] * (one.ndim - 1))
    return (1 - share) * one + share * other


@dataclass(frozen=True)
class NetworkGuess:
    """What the networks guess.

    Attributes:
        observed: as if the cells were like the observed ones of their column.
        missing: knowing that those that are missing are.

    **Examples**

    >>> import pyarrow as pa
    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"x": [1.0, 1.0, 3.0, 3.0, None]})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> distribution = np.array([[0.5, 0.5]])  # of the last cell: 1 or 3
    >>> NetworkGuess.of(codec, [(distribution, np.array([[0.0, 1.0]]))])
    NetworkGuess(observed=Guess(columns=[array([0.])]), missing=Guess(columns=[array([1.])]))
    """

    observed: Guess
    missing: Guess

    @classmethod
    def of(cls, codec: TableCodec, distributions: Iterable[tuple[Floats, Floats]]) -> NetworkGuess:
        """What is expected of cells by their distributions, as observed and as missing ones."""
        pairs = [
            (bins.as_guess(as_observed), bins.as_guess(as_missing))
            for bins, (as_observed, as_missing) in zip(codec.bins_, distributions, strict=True)
        ]
        return cls(Guess([pair[0] for pair in pairs]), Guess([pair[1] for pair in pairs]))


Guesser = Callable[[Codes], NetworkGuess]


def network_guess(predictor: Predictor, codes: Codes) -> NetworkGuess:
    """The networks' predictive mean or probabilities of every unobserved cell."""
    blocks = [
        NetworkGuess.of(predictor.codec, predictor.distributions(codes[rows]))
        for rows in batches(len(codes))
    ]
    return NetworkGuess(
        _joined([block.observed for block in blocks]), _joined([block.missing for block in blocks])
    )


def _joined(guesses: list[Guess]) -> Guess:
    return Guess([np.concatenate(blocks) for blocks in zip(*guesses, strict=True)])

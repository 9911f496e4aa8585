"""Rows as codes: arrays of bins and numbers, with what is observed and what is missing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabvae.values.arrow import Floats, Ints, Mask


@dataclass(frozen=True)
class Codes:
    """The modelled columns of ``n`` rows, each a bin number with its coordinate on its axis.

    Attributes:
        bins: (n, columns) bin of each cell; 0 where the cell is not observed.
        scores: (n, columns) coordinate of a number on its column's axis; 0 where there is none.
        values: (n, columns) numbers in data units; NaN for categories and unobserved cells.
        observed: (n, columns) the data has the cell and the encoding understands it.
        missing: (n, columns) the data has no such cell. A category never seen in ``fit`` is
            neither observed nor missing: it is kept in the table and hidden from the network.

    **Examples**

    >>> codes = Codes.empty(2, columns=3)
    >>> codes.observed[0] = True
    >>> len(Codes.joined(codes, codes[:1])), codes[codes.observed.all(1)].bins.shape
    (3, (1, 3))
    """

    bins: Ints
    scores: npt.NDArray[np.float32]
    values: Floats
    observed: Mask
    missing: Mask

    @classmethod
    def empty(cls, rows: int, columns: int) -> Codes:
        """Rows in which nothing is observed, and nothing known to be missing."""
        return cls(
            bins=np.zeros((rows, columns), dtype=np.int64),
            scores=np.zeros((rows, columns), dtype=np.float32),
            values=np.full((rows, columns), np.nan),
            observed=np.zeros((rows, columns), dtype=np.bool_),
            missing=np.zeros((rows, columns), dtype=np.bool_),
        )

    def copy(self) -> Codes:
        """The same rows in arrays of their own, which may be changed."""
        return Codes(*(array.copy() for array in vars(self).values()))

    @classmethod
    def joined(cls, *parts: Codes) -> Codes:
        """The rows of all parts, one below the other."""
        arrays = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*(np.concatenate(array) for array in arrays))

    def at_most(self, count: int, seed: int) -> Codes:
        """These rows, or ``count`` of them chosen at random, in their order."""
        if len(self) <= count:
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self[np.sort(chosen)]

    def put(self, rows: Ints, others: Codes) -> None:
        """Set ``rows`` (n,) to ``others`` (n, columns), in place."""
        for name, array in vars(self).items():
            array[rows] = getattr(others, name)

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, rows: slice | Ints | Mask) -> Codes:
        return Codes(*(array[rows] for array in vars(self).values()))

    @property
    def unknown(self) -> Mask:
        """(n, columns) the data has the cell, and the encoding does not understand it."""
        return ~self.observed & ~self.missing

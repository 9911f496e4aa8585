"""A regression of one column of numbers on the others, as plain arrays.

Trees approach a slope in steps and need many rows for each; where they start from a regression they
only have to learn what it leaves. Its weights are those of greatest evidence (MacKay 1992), so that
few rows or columns that follow from each other need no choice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.feature_selection import f_classif, f_regression
from sklearn.linear_model import BayesianRidge

from tabvae.cells import Floats

MOST_FEATURES = 100
"""Terms of a regression, and columns that the trees of one column look at."""
NUMBER = -1
Features = npt.NDArray[np.float32]
"""(N, columns) numbers in column deviations, categories as the number of their bin."""
TYPES = tuple(np.dtype(t) for t in (np.int16, np.int16, np.float64, np.float64, np.float64))
"""Of the arrays of a regression, in their order."""


@dataclass(frozen=True)
class Linear:
    """A weighted sum of numbers and of indicators of categories, kept between two ends.

    Attributes:
        column: (terms,) the column of each term.
        level: (terms,) the bin whose indicator it is; ``NUMBER`` for the number itself.
        weight: (terms,) what it is multiplied by.
        intercept: (1,) what is added.
        ends: (2,) the least and the largest number that it says.
    """

    column: npt.NDArray[np.int16]
    level: npt.NDArray[np.int16]
    weight: Floats
    intercept: Floats
    ends: Floats

    @classmethod
    def nothing(cls) -> Self:
        """One that says 0 of every row."""
        none = np.zeros(0, np.int16)
        return cls(none, none, np.zeros(0), np.zeros(1), np.zeros(2))

    @classmethod
    def fit(cls, x: Features, y: Floats, bins: npt.NDArray[np.int64]) -> Self:
        """The regression of ``y``.

        Args:
            x: (N, columns) the other columns.
            y: (N,) numbers.
            bins: (columns,) of a category; 0 of a number.
        """
        terms = [(c, level) for c, n in enumerate(bins) for level in (range(n) if n else [NUMBER])]
        column, level = np.array(terms, dtype=np.int16).T
        if len(column) > MOST_FEATURES:
            # One column after the other: the indicators of many categories fill the memory.
            each = np.split(np.arange(len(column)), np.flatnonzero(np.diff(column)) + 1)
            tests = [f_regression(_terms(x, column[k], level[k]), y)[0] for k in each]
            chosen = _largest(np.concatenate(tests))
            column, level = column[chosen], level[chosen]
        model = BayesianRidge().fit(_terms(x, column, level), y)
        ends = np.array([y.min(), y.max()], dtype=np.float64)
        return cls(column, level, model.coef_, np.array([model.intercept_]), ends)

    def predict(self, x: Features) -> Floats:
        """(N,) a number."""
        terms = _terms(x, self.column, self.level) * self.weight
        return cast(Floats, (self.intercept[0] + terms.sum(1)).clip(*self.ends))

    def times(self, share: float) -> Self:
        """All of it multiplied by ``share``."""
        scaled = {name: share * vars(self)[name] for name in ("weight", "intercept", "ends")}
        return replace(self, **scaled)

    def among(self, columns: npt.NDArray[np.intp]) -> Self:
        """The same, fitted on some ``columns``, for rows that have all of them."""
        return replace(self, column=columns[self.column].astype(np.int16))

    def check(self, columns: int) -> None:
        """Make sure that it can be evaluated on so many ``columns``.

        Raises:
            ValueError: an array is of another type or size, or a column is not there.
        """
        types = tuple(array.dtype for array in vars(self).values())
        shapes = tuple(array.shape for array in vars(self).values())
        terms = self.column.shape
        if types != TYPES or len(terms) != 1 or shapes != (terms, terms, terms, (1,), (2,)):
            raise ValueError("the arrays of a regression do not fit together")
        if ((self.column < 0) | (self.column >= columns)).any():
            raise ValueError("a regression looks at a column that is not there")


def _terms(
    x: Features, column: npt.NDArray[np.int16], level: npt.NDArray[np.int16]
) -> npt.NDArray[np.float64]:
    """(N, terms) the terms of a regression."""
    own = x[:, column]
    # Row after row, so that a sum over terms does not depend on how many rows there are.
    return np.ascontiguousarray(np.where(level == NUMBER, own, own == level), dtype=np.float64)


def telling(x: Features, y: npt.NDArray[np.generic], number: bool) -> npt.NDArray[np.intp]:
    """The columns of ``x`` (N, columns) worth looking at for ``y`` (N,), a ``number`` or a
    category: all, or those that say most of it by themselves (an F test)."""
    if x.shape[1] <= MOST_FEATURES:
        return np.arange(x.shape[1])
    tests, _ = (f_regression if number else f_classif)(x, y)
    return _largest(tests)


def _largest(tests: Floats) -> npt.NDArray[np.intp]:
    """Where the largest ``tests`` are, ``MOST_FEATURES`` at most."""
    order = np.argsort(-np.nan_to_num(tests), kind="stable")
    return np.sort(order[:MOST_FEATURES])

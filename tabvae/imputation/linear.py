"""A regression of one column on the others, as plain arrays.

Trees approach a slope in steps and need many rows for each; where they start from a regression they
only have to learn what it leaves. Its weights are those of greatest evidence (MacKay 1992), so that
few rows or columns that follow from each other need no choice. A category's regression is logistic,
with weights held small.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import numpy as np
import numpy.typing as npt
from sklearn.feature_selection import f_classif, f_regression
from sklearn.linear_model import BayesianRidge, LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tabvae.columns.arrays import Arrays
from tabvae.imputation.config import Growth, TreeConfig
from tabvae.values.arrow import FARTHEST, LARGEST_NUMBER, Floats, Ints

NUMBER = -1
Features = npt.NDArray[np.float32]
"""(N, columns) numbers in column deviations, categories as the number of their bin."""
TYPES = tuple(np.dtype(t) for t in (np.int16, np.int16, np.float64, np.float64, np.float64))
"""Of the arrays of a regression, in their order."""


@dataclass(frozen=True)
class Linear:
    """Weighted sums of numbers and of indicators of categories, kept between two ends: the number
    itself, or a logit for each bin of a category.

    Attributes:
        column: (terms,) the column of each term.
        level: (terms,) the bin whose indicator it is; ``NUMBER`` for the number itself.
        weight: (terms, sums) what it is multiplied by.
        intercept: (sums,) what is added.
        ends: (2,) the least and the largest that it predicts.

    **Examples**

    >>> x = np.array([[0, 1], [1, 0], [2, 1], [3, 0]], np.float32)
    >>> regression = Linear.of_number(x, 2.0 * x[:, 0] + 5 * (x[:, 1] == 1), np.array([0, 2]))
    >>> regression.column, regression.level  # the number; two indicators of the category
    (array([0, 1, 1], dtype=int16), array([-1,  0,  1], dtype=int16))
    >>> regression.predict(x).round(1)[:, 0]
    array([5., 2., 9., 6.])
    """

    column: npt.NDArray[np.int16]
    level: npt.NDArray[np.int16]
    weight: Floats
    intercept: Floats
    ends: Floats

    @classmethod
    def nothing(cls) -> Self:
        """One that predicts 0 of every row."""
        none = np.zeros(0, np.int16)
        return cls(none, none, np.zeros((0, 1)), np.zeros(1), np.zeros(2))

    @classmethod
    def of_number(
        cls, x: Features, y: Floats, bins: Ints, config: TreeConfig | None = None
    ) -> Self:
        """The regression of ``y``.

        Args:
            x: (N, columns) the other columns.
            y: (N,) numbers.
            bins: (columns,) of a category; 0 of a number.
            config: how many terms it may have.
        """
        most = (config or TreeConfig()).most_features
        column, level = _screened(x, y, bins, f_regression, most)
        model = BayesianRidge().fit(_terms(x, column, level), y)
        ends = np.array([y.min(), y.max()], dtype=np.float64)
        return cls(column, level, model.coef_[:, None], np.array([model.intercept_]), ends)

    @classmethod
    def of_category(
        cls,
        x: Features,
        y: Ints,
        bins: Ints,
        size: int,
        growth: Growth,
        seed: int,
    ) -> tuple[Self, Floats]:
        """The regression of ``y``, and what it predicts of rows that it did not learn from.

        Args:
            x: (N, columns) the other columns.
            y: (N,) bins of a category, at least two of them as often as there are folds.
            bins: (columns,) of a category; 0 of a number.
            size: bins of ``y``'s column.
            growth: has the leverage, which the share of a cell in its own prediction does not
                exceed by much: the fewer rows there are for each term, the smaller are the weights.
            seed: of the parts of the rows that are left out in turn.

        Returns:
            The regression, and (N, bins found in ``y``) their probabilities.
        """
        config = growth.config
        column, level = _screened(x, y, bins, f_classif, config.most_features)
        terms = _terms(x, column, level)
        variance = min(1.0, growth.leverage * len(y) / max(len(column), 1))
        model = LogisticRegression(C=variance, max_iter=config.logistic_iterations)
        left_out = StratifiedKFold(config.folds, shuffle=True, random_state=seed)
        probabilities = cross_val_predict(model, terms, y, cv=left_out, method="predict_proba")
        model.fit(terms, y)
        # A bin that ``y`` has not is as unlikely as a logit can make it.
        largest = 40.0
        weight, intercept = np.zeros((len(column), size)), np.full(size, -largest)
        intercept[model.classes_] = 0.0
        # Of two classes, scikit-learn has the weights of the second alone.
        learned = model.classes_[-len(model.coef_) :]
        weight[:, learned], intercept[learned] = model.coef_.T, model.intercept_
        ends = np.array([-largest, largest])
        return cls(column, level, weight, intercept, ends), probabilities

    def predict(self, x: Features) -> Floats:
        """(N, sums) the numbers or logits."""
        # Row after row, so that a sum over terms does not depend on how many rows there are.
        sums = np.einsum("nt,ts->ns", _terms(x, self.column, self.level), self.weight)
        return cast(Floats, (self.intercept + sums).clip(*self.ends))

    def among(self, columns: npt.NDArray[np.intp]) -> Self:
        """The same, fitted on some ``columns``, for rows that have all of them."""
        return replace(self, column=columns[self.column].astype(np.int16))

    def check(self, columns: int, sums: int) -> None:
        """Make sure that it can be evaluated on so many ``columns`` and has so many ``sums``.

        Raises:
            ValueError: an array is of another type or size, or a column is not there.
        """
        types = tuple(array.dtype for array in vars(self).values())
        shapes = tuple(array.shape for array in vars(self).values())
        terms, each = self.column.shape, (sums,)
        if types != TYPES or len(terms) != 1 or shapes != (terms, terms, terms + each, each, (2,)):
            raise ValueError("the arrays of a regression do not fit together")
        if ((self.column < 0) | (self.column >= columns)).any():
            raise ValueError("a regression looks at a column that is not there")
        if len(self.column) > TreeConfig.most_features:
            raise ValueError("a regression has too many terms")
        if not -FARTHEST <= self.ends[0] <= self.ends[1] <= FARTHEST:
            raise ValueError("a regression says numbers that are too large")
        if not all((np.abs(a) <= LARGEST_NUMBER).all() for a in (self.weight, self.intercept)):
            raise ValueError("a regression has weights that are too large")

    array_names: ClassVar = ("column", "level", "weight", "intercept", "ends")

    def arrays(self) -> Arrays:
        """All of it, by the names in a file."""
        return dict(zip(self.array_names, vars(self).values(), strict=True))

    @classmethod
    def from_arrays(cls, arrays: Arrays, prefix: str) -> Self:
        """Made again from what ``arrays`` gave, with a ``prefix``; not yet checked."""
        return cls(*(arrays[prefix + name] for name in cls.array_names))


def _screened(
    x: Features,
    y: npt.NDArray[Any],
    bins: Ints,
    test: Callable[..., tuple[Floats, Floats]],
    most: int,
) -> tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]:
    """Column and level of the terms worth looking at for ``y``, ``most`` at most.

    scikit-learn's SelectKBest would need all indicators at once, and takes the last of equal tests.
    """
    terms = [(c, level) for c, n in enumerate(bins) for level in (range(n) if n else [NUMBER])]
    column, level = np.array(terms, dtype=np.int16).T
    if len(column) > most:
        # One column after the other: the indicators of many categories fill the memory.
        each = np.split(np.arange(len(column)), np.flatnonzero(np.diff(column)) + 1)
        tests = [test(_terms(x, column[k], level[k]), y)[0] for k in each]
        chosen = _largest(np.concatenate(tests), most)
        column, level = column[chosen], level[chosen]
    return column, level


def _terms(
    x: Features, column: npt.NDArray[np.int16], level: npt.NDArray[np.int16]
) -> npt.NDArray[np.float64]:
    """(N, terms) the terms of a regression."""
    cells = x[:, column]
    # Row after row, so that a sum over terms does not depend on how many rows there are.
    return np.ascontiguousarray(np.where(level == NUMBER, cells, cells == level), dtype=np.float64)


def telling(
    x: Features,
    y: npt.NDArray[np.generic],
    number: bool,
    most: int = TreeConfig.most_features,
) -> npt.NDArray[np.intp]:
    """The columns of ``x`` (N, columns) worth looking at for ``y`` (N,), a ``number`` or a
    category: all, or the ``most`` that tell most of it by themselves (an F test).

    **Examples**

    >>> x = np.array([[0, 5, 1], [1, 5, 0], [2, 5, 0], [3, 4, 1]], np.float32)
    >>> telling(x, 2 * x[:, 0] + x[:, 2], number=True, most=1)
    array([0])
    """
    if x.shape[1] <= most:
        return np.arange(x.shape[1])
    tests, _ = (f_regression if number else f_classif)(x, y)
    return _largest(tests, most)


def _largest(tests: Floats, most: int) -> npt.NDArray[np.intp]:
    """Where the ``most`` largest ``tests`` are, in order."""
    order = np.argsort(-np.nan_to_num(tests), kind="stable")
    return np.sort(order[:most])

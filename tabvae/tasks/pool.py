"""Pool: one regression over several completed tables, by Rubin's rules."""

from __future__ import annotations

import importlib
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from tabvae.errors import (
    DataError,
    ParameterError,
    SchemaError,
    TabVAEError,
    one_line,
    require_one_of,
    shown,
    suggestion,
)
from tabvae.values.arrow import Floats

DRAW = "draw"
"""The column that numbers the draws, in front of what ``impute --draws`` writes."""
FAMILIES = ("gaussian", "binomial", "poisson")
"""Of regressions: of least squares, logistic, of counts."""


@dataclass(frozen=True)
class PoolConfig:
    """How estimates are reported.

    Attributes:
        level: of the intervals.

    **Examples**

    >>> PoolConfig().level
    0.95
    """

    level: float = 0.95


@dataclass(frozen=True)
class Pooled:
    """Estimates over several draws (Rubin 1987), with small-sample degrees of freedom (Barnard &
    Rubin 1999).

    Attributes:
        estimate: (terms,) mean over the draws.
        within: (terms,) mean of the squared standard errors.
        between: (terms,) variance of the estimates.
        draws: how many there are.
        freedom: residual degrees of freedom of the regression on one complete table.

    **Examples**

    >>> pooled = Pooled.of(np.array([[1.0], [3.0]]), np.array([[4.0], [4.0]]), 100)
    >>> pooled.estimate.tolist(), pooled.total.tolist()
    ([2.0], [7.0])
    """

    estimate: Floats
    within: Floats
    between: Floats
    draws: int
    freedom: float

    @classmethod
    def of(cls, estimates: Floats, squared_errors: Floats, freedom: float) -> Pooled:
        """Of (draws, terms) estimates and their squared standard errors."""
        return cls(
            estimates.mean(0),
            squared_errors.mean(0),
            estimates.var(0, ddof=1),
            len(estimates),
            freedom,
        )

    @property
    def added(self) -> Floats:
        """(terms,) variance that the gaps add: B + B / m."""
        return self.between * (1 + 1 / self.draws)

    @property
    def total(self) -> Floats:
        """(terms,) variance of the estimates: T = W + B + B / m."""
        return self.within + self.added

    @property
    def degrees_of_freedom(self) -> Floats:
        """(terms,) of Student's t: 1 / (1 / old + 1 / observed)."""
        share = self.added / self.total
        observed = (self.freedom + 1) / (self.freedom + 3) * self.freedom * (1 - share)
        return 1 / (share**2 / (self.draws - 1) + 1 / observed)

    @property
    def missing_information(self) -> Floats:
        """(terms,) fraction of the information that the gaps take."""
        ratio = self.added / self.within
        return (ratio + 2 / (self.degrees_of_freedom + 3)) / (ratio + 1)

    def table(self, terms: list[str], config: PoolConfig = PoolConfig()) -> pd.DataFrame:
        """A row a term."""
        error, freedom = np.sqrt(self.total), self.degrees_of_freedom
        width = stats.t.ppf((1 + config.level) / 2, freedom) * error
        return pd.DataFrame(
            {
                "term": terms,
                "estimate": self.estimate,
                "std_error": error,
                "df": freedom,
                "p_value": 2 * stats.t.sf(np.abs(self.estimate) / error, freedom),
                "lower": self.estimate - width,
                "upper": self.estimate + width,
                "missing_information": self.missing_information,
            }
        )


def pool(formula: str, draws: pd.DataFrame, family: str = "gaussian") -> pd.DataFrame:
    """A regression on each of several completed tables, and what they say together.

    Args:
        formula: such as ``delivery_days ~ price + country``, as statsmodels has them. It is code:
            a formula from a stranger can do anything.
        draws: completed tables below each other, numbered in a column ``draw``.
        family: one of ``FAMILIES``.

    Returns:
        A row for each term: ``estimate``, ``std_error``, ``df``, ``p_value``, the ends ``lower``
        and ``upper`` of its 95 % interval, and ``missing_information``, the fraction of the
        information on it that the gaps take.

    Raises:
        TabVAEError: statsmodels is not installed.
        ParameterError: the formula is none, or there is no such family.
        SchemaError: there is no column ``draw``.
        DataError: there are fewer than two draws, of different lengths or with gaps, or the
            regression has no solution.
    """
    require_one_of("family", family, FAMILIES)
    numbers = _numbers(draws)
    model = _model(formula, draws.drop(columns=DRAW))
    if len(model.endog) < len(draws):
        gaps = len(draws) - len(model.endog)
        raise DataError(
            f"{gaps} rows have gaps in a column of the formula",
            "impute fills no identifiers, free text and ignored columns: leave them out",
        )
    parts = [numbers == number for number in np.unique(numbers)]
    fits = [_fit(model.endog[rows], model.exog[rows], family) for rows in parts]
    estimates, errors = (np.array([getattr(f, name) for f in fits]) for name in ("params", "bse"))
    if not (np.isfinite(estimates).all() and np.isfinite(errors).all()):
        raise DataError(f"{shown(formula)} has no solution on these rows", "leave out terms")
    pooled = Pooled.of(estimates, errors**2, float(fits[0].df_resid))
    with np.errstate(all="ignore"):  # Of a term that is zero everywhere nothing is known.
        return pooled.table(list(model.exog_names))


def _numbers(draws: pd.DataFrame) -> Any:
    """(N,) the number of the draw of each row."""
    if not isinstance(draws, pd.DataFrame):
        raise ParameterError(f"draws must be a frame, however: {type(draws).__name__}")
    if DRAW not in draws.columns:
        raise SchemaError(f"no column '{DRAW}'", "impute --draws 5 writes one")
    numbers = draws[DRAW].astype(str).to_numpy()
    _, lengths = np.unique(numbers, return_counts=True)
    if len(lengths) < 2:
        raise DataError(f"{len(lengths)} draw: what differs between draws is what gaps add")
    if len(set(lengths.tolist())) > 1:
        raise DataError("the draws have different numbers of rows", "they must be of one table")
    return numbers


def _model(formula: str, table: pd.DataFrame) -> Any:
    """The regression of all draws together: its terms are the same in each."""
    ols = _statsmodels("formula.api").ols
    columns = {str(name): _plain(column) for name, column in table.items()}
    try:
        return ols(formula, pd.DataFrame(columns))
    except Exception as error:  # Whatever the formula evaluates can raise whatever it likes.
        wrong = one_line(error)
        found = next((word for word in wrong.split("'") if f"name '{word}' is not" in wrong), None)
        hint = "such as 'total ~ price + C(country)'"
        hint = hint if found is None else suggestion(found, columns)
        raise ParameterError(f"formula {shown(formula)}: {wrong}", hint) from error


def _plain(column: pd.Series[Any]) -> pd.Series[Any]:
    """Numbers as NumPy's, which is all that formulas take for numbers."""
    extended = pd.api.types.is_extension_array_dtype(column.dtype)
    if extended and pd.api.types.is_numeric_dtype(column.dtype):
        return column.astype(float)
    return column.astype(float) if pd.api.types.infer_dtype(column) == "decimal" else column


def _fit(endog: Floats, exog: Floats, family: str) -> Any:
    api = _statsmodels("api")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What they warn of shows in the standard errors.
        try:
            if family == "gaussian":
                return api.OLS(endog, exog).fit()
            kind = {"binomial": api.families.Binomial, "poisson": api.families.Poisson}[family]
            return api.GLM(endog, exog, family=kind()).fit()
        except Exception as error:
            raise DataError(f"the regression has no solution: {one_line(error)}") from error


def _statsmodels(module: str) -> Any:
    try:
        return importlib.import_module(f"statsmodels.{module}")
    except ImportError as error:
        raise TabVAEError("pool needs statsmodels", "pip install 'tabvae[stats]'") from error

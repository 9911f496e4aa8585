"""Imputer and outlier detector: steps of scikit-learn's pipelines, in its manners."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from os import PathLike
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import OneToOneFeatureMixin, OutlierMixin, TransformerMixin
from sklearn.utils.validation import validate_data

from tabvae.errors import ParameterError, shown
from tabvae.estimator import BaseTabVAE, Names
from tabvae.files.native import PandasRows
from tabvae.values.arrow import Floats, Ints, Mask, flat

ORDINARY_OUTLIERS = 0.01
"""Share of rows like those of the table that are called outliers, as ``detect`` has it."""
MOST_OUTLIERS = 0.5
"""Of the rows fitted on; if there are more, the others are the odd ones."""


@dataclass(kw_only=True, eq=False, repr=False)
class TabVAEImputer(OneToOneFeatureMixin, TransformerMixin, BaseTabVAE):  # type: ignore[misc]
    """Fills gaps, as a step of a pipeline: ``transform`` gives the table without them.

    A frame comes back with its dtypes, index and columns, an array as an array. Free text,
    identifiers and columns without any cell are not modelled and keep their gaps.

    Args:
        add_indicator: put a column ``missingindicator_NAME`` behind the others for each that had
            gaps in ``fit``: where a cell was missing.

    The other parameters are those of :class:`tabvae.TabVAE`.

    Examples:
        >>> frame = pd.DataFrame({"a": [1, 2, None, 4] * 9, "b": list("xyxy") * 9})
        >>> filled = TabVAEImputer(effort="fast", add_indicator=True).fit_transform(frame)
        >>> int(filled["a"].isna().sum()), int(filled["missingindicator_a"].sum())
        (0, 9)
    """

    add_indicator: bool = False

    def transform(self, X: Any) -> Any:
        """``X`` (rows, columns) with its gaps filled, every observed cell unchanged.

        Raises:
            SchemaError: a column of the model is not in a frame.
            ValueError: ``X`` has other columns than in ``fit``, or in another order.
        """
        rows = self._rows(X)
        if not isinstance(rows, PandasRows):
            return rows.back(self._with_indicators(rows.table))
        if isinstance(X, pd.DataFrame):
            validate_data(self, X, reset=False, skip_check_array=True)
        parts = [self.impute(rows.frame)]
        if self.add_indicator:
            parts.append(pd.DataFrame(self._indicators(rows.table), index=parts[0].index))
        if isinstance(X, pd.DataFrame):
            return pd.concat(parts, axis=1)
        return np.hstack([part.to_numpy() for part in parts])

    def _with_indicators(self, table: pa.Table) -> pa.Table:
        filled = self._fitted().impute(table)
        indicators = self._indicators(table) if self.add_indicator else {}
        for name, missing in indicators.items():
            filled = filled.append_column(name, pa.array(missing))
        return filled

    def _indicators(self, table: pa.Table) -> dict[str, Mask]:
        codec = self._fitted().codec
        with_gaps = [column for column in codec.schema.columns if column.missing]
        return {
            f"missingindicator_{column.name}": column.missing_mask(
                flat(table.column(column.name)), codec.na_values
            )
            for column in with_gaps
        }

    def get_feature_names_out(self, input_features: Any = None) -> Names:
        """The names of the columns, then those of the indicators."""
        schema = self._fitted().schema
        names = super().get_feature_names_out(input_features)
        with_gaps = [column.name for column in schema.columns if column.missing]
        indicators = [f"missingindicator_{name}" for name in with_gaps if self.add_indicator]
        return np.array([*names, *indicators], dtype=object)


@dataclass(kw_only=True, eq=False, repr=False)
class TabVAEOutlierDetector(OutlierMixin, BaseTabVAE):  # type: ignore[misc]
    """Finds rows that do not fit, as scikit-learn's detectors do: 1 for inliers, -1 for outliers.

    Args:
        contamination: share of the rows fitted on that are outliers, above 0 and at most 0.5.
            ``auto`` calls those outliers whose p-value is at most 0.01, as ``detect`` does.

    The other parameters are those of :class:`tabvae.TabVAE`. ``detect`` names the cells.

    Attributes:
        offset_: score below which a row is an outlier.

    Examples:
        >>> frame = pd.DataFrame({"a": [1, 2] * 20, "b": list("xy") * 20})
        >>> detector = TabVAEOutlierDetector(effort="fast", contamination=0.1).fit(frame)
        >>> detector.predict(pd.DataFrame({"a": [1, 9], "b": ["x", "y"]})).tolist()
        [1, -1]
    """

    contamination: float | str = "auto"

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn a table, and from which score on a row is an outlier.

        Raises:
            ParameterError: ``contamination`` is no such share, or see ``TabVAE.fit``.
        """
        share = self._share()
        super().fit(X, y)
        self.offset_ = (
            self._usual_offset()
            if share is None
            else _just_below(float(np.quantile(self.score_samples(X), share)))
        )
        return self

    def _usual_offset(self) -> float:
        model = self._fitted()
        _, calibration = model.card.score(model.networks, None)
        return _just_below(-calibration.threshold(ORDINARY_OUTLIERS))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to ``path``; the file has no place for ``contamination``.

        Raises:
            ParameterError: ``contamination`` is not ``auto``.
            OutputError: the file system refuses.
        """
        if self._share() is not None:
            raise ParameterError(
                f"a model file does not keep contamination={self.contamination}", "joblib.dump does"
            )
        super().save(path)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model that ``save`` or ``tabvae fit`` wrote, with ``contamination="auto"``.

        Raises:
            ModelFileError: the file is not a model, is damaged, or comes from a newer release.
        """
        detector = super().load(path)
        detector.offset_ = detector._usual_offset()
        return detector

    def _share(self) -> float | None:
        share = self.contamination
        if share == "auto":
            return None
        if isinstance(share, Real) and 0 < share <= MOST_OUTLIERS:
            return float(share)
        raise ParameterError(f"contamination must be 'auto' or in 0..0.5, however: {shown(share)}")

    def score_samples(self, X: Any) -> Floats:
        """(rows,) minus the score of ``detect``: the lower, the odder."""
        # Of any line the scores are the same; this one asks for no small p-values.
        return cast(Floats, -self.detect(X, fpr=MOST_OUTLIERS)["score"].to_numpy())

    def decision_function(self, X: Any) -> Floats:
        """(rows,) how far the score of a row is above ``offset_``; negative for outliers."""
        self._fitted()
        return self.score_samples(X) - self.offset_

    def predict(self, X: Any) -> Ints:
        """(rows,) 1 for inliers, -1 for outliers."""
        return np.where(self.decision_function(X) < 0, -1, 1)


def _just_below(score: float) -> float:
    """So that a row with this score is no outlier, whatever its last digits are."""
    return score - 1e-6 * abs(score)

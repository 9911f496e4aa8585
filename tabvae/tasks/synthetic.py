"""How near a synthetic table is to a real one, and whether it gives rows away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import DataError
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask

MISSING = "?"
"""A category of its own where two tables are compared."""


@dataclass(frozen=True)
class SyntheticConfig:
    """How two tables are compared.

    Attributes:
        fewest_rows: of each table; fewer give every fold of the classifier hardly any.
        folds: of the classifier that tells real from synthetic rows.
        most_categories: that gradient boosting takes as categories; more are taken as numbers.
        trend_bins: of a number beside a category, as SDMetrics has it.
        rows_compared: whose nearest neighbours are looked for; more would only take time.
        near_auc, far_auc: up to which rows are hardly told apart, and from which easily.
        small_error: of columns and pairs, that nobody sees.

    Examples:
        >>> SyntheticConfig().trend_bins
        10
    """

    fewest_rows: int = 10
    folds: int = 3
    most_categories: int = 255
    trend_bins: int = 10
    rows_compared: int = 5000
    near_auc: float = 0.6
    far_auc: float = 0.75
    small_error: float = 0.02


def modelled_frame(codec: TableCodec, table: pa.Table, codes: Codes) -> pd.DataFrame:
    """The modelled columns: numbers and dates as numbers, as are the places of categories that have
    an order; the rest as text, gaps as missing.

    Args:
        codec: knows the columns.
        table: (N,) rows.
        codes: (N, columns) the same.
    """
    columns = {}
    for j, column in enumerate(codec.columns_):
        if column.kind.continuous:
            columns[column.name] = pd.Series(codes.values[:, j])
        else:
            texts = arrow.to_text(arrow.flat(table.column(column.name))).to_pandas()
            texts = texts.astype(object).mask(codes.missing[:, j])
            place = {text: float(i) for i, text in enumerate(column.order)}
            columns[column.name] = texts.map(place) if place else texts
    return pd.DataFrame(columns)


def as_codes(*frames: pd.DataFrame) -> tuple[list[Floats], Mask]:
    """Numbers as they are, categories (missing is one of them) as common codes.

    Returns:
        One (rows, columns) array for each frame, and (columns,) which columns are categories.

    Examples:
        >>> tables, categorical = as_codes(pd.DataFrame({"a": ["x", None]}))
        >>> tables[0].tolist(), categorical.tolist()
        ([[1.0], [0.0]], [True])
    """
    joined = pd.concat(frames, ignore_index=True)
    categorical = np.array([not pd.api.types.is_numeric_dtype(joined[c]) for c in joined.columns])
    columns = [
        pd.Categorical(joined[c].astype(object).where(joined[c].notna(), MISSING).astype(str)).codes
        if is_category
        else joined[c].astype(float)
        for c, is_category in zip(joined.columns, categorical, strict=True)
    ]
    table = np.column_stack(columns).astype(float)
    ends = np.cumsum([len(f) for f in frames])[:-1]
    return np.split(table, ends), categorical


def detection_auc(
    real: Floats, synthetic: Floats, categorical: Mask, config: SyntheticConfig = SyntheticConfig()
) -> float:
    """AUC of a gradient-boosted classifier that tells real (N, columns) from synthetic rows."""
    x = np.vstack([real, synthetic])
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    largest = x.max(0, initial=0.0, where=~np.isnan(x))
    few = categorical & (largest < config.most_categories)
    classifier = HistGradientBoostingClassifier(categorical_features=few, random_state=0)
    # Not the seed by which the rows were sampled: the same one twice puts them in order again.
    folds = StratifiedKFold(config.folds, shuffle=True, random_state=1)
    # A second core helps little, and waiting for a busy one can take minutes.
    with threadpool_limits(1, "openmp"):
        scores = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


def total_variation(a: Floats, b: Floats) -> float:
    """Between two samples of labels: half the summed difference of their shares.

    Examples:
        >>> total_variation(np.array([0.0, 1.0]), np.array([1.0, 1.0]))
        0.5
    """
    counts = pd.DataFrame(
        {"a": pd.Series(a).value_counts(normalize=True), "b": pd.Series(b).value_counts(True)}
    ).fillna(0.0)
    return float(0.5 * (counts["a"] - counts["b"]).abs().sum())


def marginal_errors(real: Floats, synthetic: Floats, categorical: Mask) -> Floats:
    """(columns,) KS distance (numbers) or total variation (categories); NaN without cells."""
    distances = np.full(len(categorical), np.nan)
    for j, is_category in enumerate(categorical):
        a, b = real[:, j], synthetic[:, j]
        if is_category:
            distances[j] = total_variation(a, b)
            continue
        a, b = a[~np.isnan(a)], b[~np.isnan(b)]
        if len(a) and len(b):
            distances[j] = ks_2samp(a, b).statistic
    return distances


def marginal_error(real: Floats, synthetic: Floats, categorical: Mask) -> float:
    """Mean of ``marginal_errors``."""
    return float(np.nanmean(marginal_errors(real, synthetic, categorical)))


def trend_errors(
    real: Floats, synthetic: Floats, categorical: Mask, config: SyntheticConfig = SyntheticConfig()
) -> Floats:
    """(columns, columns) error of the dependence of two columns: half the difference of
    correlations (two numbers), else total variation of contingency tables (numbers in bins), as
    SDMetrics; NaN on the diagonal, and where there is no correlation."""
    tables = (real, synthetic)
    labels = []
    for j, is_category in enumerate(categorical):
        edges = np.histogram_bin_edges(real[~np.isnan(real[:, j]), j], config.trend_bins)[1:-1]
        labels.append([t[:, j] if is_category else np.digitize(t[:, j], edges) for t in tables])
    errors = np.full((len(categorical), len(categorical)), np.nan)
    for i, j in combinations(range(len(categorical)), 2):
        if not categorical[i] and not categorical[j]:
            pair = [pd.Series(t[:, i]).corr(pd.Series(t[:, j])) for t in tables]
            errors[i, j] = errors[j, i] = abs(pair[0] - pair[1]) / 2
        else:
            # A pair of labels as one number, for fewer than 10,000 labels.
            pairs = [10_000.0 * labels[i][k] + labels[j][k] for k in (0, 1)]
            errors[i, j] = errors[j, i] = total_variation(pairs[0], pairs[1])
    return errors


def trend_error(
    real: Floats, synthetic: Floats, categorical: Mask, config: SyntheticConfig = SyntheticConfig()
) -> float:
    """Mean of ``trend_errors``."""
    return float(np.nanmean(trend_errors(real, synthetic, categorical, config)))


def copies(rows: Floats, reference: Floats) -> float:
    """Share of ``rows`` that are rows of ``reference``, both (N, columns).

    Examples:
        >>> copies(np.array([[1.0, 2.0], [3.0, np.nan]]), np.array([[3.0, np.nan]]))
        0.5
    """
    seen = set(map(bytes, np.nan_to_num(reference, nan=-1e9)))
    return float(np.mean([bytes(row) in seen for row in np.nan_to_num(rows, nan=-1e9)]))


def exact_copies(real: pd.DataFrame, synthetic: pd.DataFrame) -> tuple[float, float]:
    """The share of synthetic rows that are real ones, and of real rows that occur more than once.

    Gaps are equal to gaps.

    Args:
        real: (N, columns) see ``modelled_frame``.
        synthetic: (M, columns) the same.
    """
    hashes = [pd.util.hash_pandas_object(frame, index=False) for frame in (real, synthetic)]
    return float(hashes[1].isin(hashes[0]).mean()), float(hashes[0].duplicated(keep=False).mean())


def nearest_distances(
    rows: Floats,
    reference: Floats,
    categorical: Mask,
    like: Floats,
    same: bool = False,
    config: SyntheticConfig = SyntheticConfig(),
) -> Floats:
    """(n,) distance of some of ``rows`` to the nearest row of ``reference``.

    Numbers in deviations, a gap as the mean; a changed category is as far as two deviations.

    Args:
        rows: (N, columns).
        reference: (M, columns).
        categorical: (columns,) which are categories.
        like: (L, columns) rows whose deviations and categories count.
        same: ``rows`` are ``reference``; a row is not its own neighbour.
        config: how many rows to look at.
    """
    center, scale = np.nanmean(like, axis=0), np.nanstd(like, axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def wide(table: Floats) -> npt.NDArray[np.float32]:
        numbers = np.nan_to_num((table - center) / scale)[:, ~categorical]
        indicators = [
            np.sqrt(2) * (table[:, [j]] == np.unique(like[:, j]))
            for j in np.flatnonzero(categorical)
        ]
        return np.hstack([numbers, *indicators]).astype(np.float32)

    chosen = np.random.default_rng(0).permutation(len(rows))[: config.rows_compared]
    search = NearestNeighbors(n_neighbors=1 + same, algorithm="brute").fit(wide(reference))
    return cast(Floats, search.kneighbors(wide(rows[chosen]))[0][:, -1])


def compare(
    real: pd.DataFrame, synthetic: pd.DataFrame, config: SyntheticConfig = SyntheticConfig()
) -> dict[str, float]:
    """Scores of a synthetic table against real rows, which its maker should not have seen.

    Args:
        real: (N, columns) see ``modelled_frame``.
        synthetic: (M, columns) the same.
        config: how they are compared.

    Returns:
        ``auc``: see ``detection_auc``, 0.5 is ideal; ``shape`` and ``trend``: errors of columns and
        of their pairs, 0 is ideal; ``copies``: share of synthetic rows that are real ones;
        ``duplicates``: share of real rows that are there more than once; ``distance``: median
        distance of synthetic rows to the nearest real one over that of real rows to each other,
        below 1 if synthetic rows are nearer to real ones than these are to each other.

    Raises:
        DataError: one of them has too few rows.
    """
    for frame in (real, synthetic):
        if len(frame) < config.fewest_rows:
            raise DataError(
                f"{len(frame)} rows are too few to compare, {config.fewest_rows} are not"
            )
    few = min(len(real), len(synthetic))
    real, synthetic = (t.sample(few, random_state=0) for t in (real, synthetic))
    (x, y), categorical = as_codes(real, synthetic[real.columns])
    apart = np.median(nearest_distances(x, x, categorical, x, same=True, config=config))
    near = np.median(nearest_distances(y, x, categorical, x, config=config))
    return {
        "auc": detection_auc(x, y, categorical, config),
        "shape": marginal_error(x, y, categorical),
        "trend": trend_error(x, y, categorical, config),
        "copies": copies(y, x),
        "duplicates": float(pd.DataFrame(x).duplicated(keep=False).mean()),
        "distance": float(near / apart) if apart > 0 else float("nan"),
    }


def in_words(
    scores: Mapping[str, float], config: SyntheticConfig = SyntheticConfig()
) -> tuple[str, ...]:
    """What the scores of ``compare`` mean, a line each."""
    auc, copied, distance = scores["auc"], scores["copies"], scores["distance"]
    told = "told at times" if auc < config.far_auc else "easily told"
    told = "hardly told" if auc < config.near_auc else told
    small = max(scores["shape"], scores["trend"]) < config.small_error
    near = "nearer to real rows than those are to each other" if distance < 1 else "no nearer"
    return (
        f"rows are {told} from real ones: AUC {auc:.3f} (0.5 is ideal)",
        f"{'good' if small else 'visible'}: columns are off by {scores['shape']:.4f}, pairs by "
        f"{scores['trend']:.4f}",
        f"{copied:.2%} are copies of real rows ({scores['duplicates']:.2%} of the real ones "
        "are there more than once)",
        f"median distance to the nearest real row {distance:.2f} of that among real rows: {near}",
    )

"""How near a synthetic table is to a real one, and whether it gives rows away."""

from __future__ import annotations

from itertools import combinations
from typing import cast

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tabvae.columns.arrow import Floats, Mask

MISSING = "?"
TREND_BINS = 10
ROWS_COMPARED = 5000
MOST_CATEGORIES = 255
"""That gradient boosting takes as categories."""


def as_codes(*frames: pd.DataFrame) -> tuple[list[Floats], Mask]:
    """Numbers as they are, categories (missing is one of them) as common codes.

    Returns:
        One (rows, columns) array for each frame, and (columns,) which columns are categories.
    """
    whole = pd.concat(frames, ignore_index=True)
    categorical = np.array([not pd.api.types.is_numeric_dtype(whole[c]) for c in whole.columns])
    columns = [
        pd.Categorical(whole[c].astype(object).where(whole[c].notna(), MISSING).astype(str)).codes
        if is_category
        else whole[c].astype(float)
        for c, is_category in zip(whole.columns, categorical, strict=True)
    ]
    table = np.column_stack(columns).astype(float)
    ends = np.cumsum([len(f) for f in frames])[:-1]
    return np.split(table, ends), categorical


def detection_auc(real: Floats, synthetic: Floats, categorical: Mask) -> float:
    """AUC, 3 folds, of a gradient-boosted classifier that tells real from synthetic rows."""
    x = np.vstack([real, synthetic])
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    few = categorical & (x.max(0, initial=0.0, where=~np.isnan(x)) < MOST_CATEGORIES)
    classifier = HistGradientBoostingClassifier(categorical_features=few, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    # A second core helps little, and waiting for a busy one can take minutes.
    with threadpool_limits(1, "openmp"):
        scores = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


def total_variation(a: Floats, b: Floats) -> float:
    """Between two samples of labels: half the summed difference of their shares."""
    counts = pd.DataFrame(
        {"a": pd.Series(a).value_counts(normalize=True), "b": pd.Series(b).value_counts(True)}
    ).fillna(0.0)
    return float(0.5 * (counts["a"] - counts["b"]).abs().sum())


def shape_error(real: Floats, synthetic: Floats, categorical: Mask) -> float:
    """Mean over columns of the KS distance (numbers) or total variation (categories)."""
    distances = []
    for j, is_category in enumerate(categorical):
        a, b = real[:, j], synthetic[:, j]
        if is_category:
            distances.append(total_variation(a, b))
        else:
            distances.append(ks_2samp(a[~np.isnan(a)], b[~np.isnan(b)]).statistic)
    return float(np.mean(distances))


def trend_error(real: Floats, synthetic: Floats, categorical: Mask) -> float:
    """Mean error of the dependence of two columns: half the difference of correlations (two
    numbers), else total variation of contingency tables (numbers in ten bins), as SDMetrics."""
    binned = []
    for j, is_category in enumerate(categorical):
        edges = np.histogram_bin_edges(real[~np.isnan(real[:, j]), j], TREND_BINS)[1:-1]
        binned.append(
            [t[:, j] if is_category else np.digitize(t[:, j], edges) for t in (real, synthetic)]
        )
    errors = []
    for i, j in combinations(range(len(categorical)), 2):
        if not categorical[i] and not categorical[j]:
            pair = [pd.Series(t[:, i]).corr(pd.Series(t[:, j])) for t in (real, synthetic)]
            errors.append(abs(pair[0] - pair[1]) / 2)
        else:
            keys = [10_000.0 * binned[i][k] + binned[j][k] for k in (0, 1)]
            errors.append(total_variation(keys[0], keys[1]))
    return float(np.nanmean(errors))


def copies(rows: Floats, known: Floats) -> float:
    """Share of ``rows`` that are rows of ``known``."""
    seen = set(map(bytes, np.nan_to_num(known, nan=-1e9)))
    return float(np.mean([bytes(row) in seen for row in np.nan_to_num(rows, nan=-1e9)]))


def nearest_distances(
    rows: Floats, known: Floats, categorical: Mask, like: Floats, own: bool = False
) -> Floats:
    """(n,) distance of some of ``rows`` to the nearest row of ``known``.

    Numbers in deviations, a gap as the mean; a changed category is as far as two deviations.

    Args:
        rows: (N, columns).
        known: (M, columns).
        categorical: (columns,) which are categories.
        like: (L, columns) rows whose deviations and categories count.
        own: ``rows`` are ``known``; a row is not its own neighbour.
    """
    center, scale = np.nanmean(like, axis=0), np.nanstd(like, axis=0)
    scale = np.where(scale > 0, scale, 1.0)

    def wide(table: Floats) -> npt.NDArray[np.float32]:
        numbers = np.nan_to_num((table - center) / scale)[:, ~categorical]
        hot = [
            np.sqrt(2) * (table[:, [j]] == np.unique(like[:, j]))
            for j in np.flatnonzero(categorical)
        ]
        return np.hstack([numbers, *hot]).astype(np.float32)

    sample = wide(rows[np.random.default_rng(0).permutation(len(rows))[:ROWS_COMPARED]])
    search = NearestNeighbors(n_neighbors=1 + own, algorithm="brute").fit(wide(known))
    return cast(Floats, search.kneighbors(sample)[0][:, -1])


def compare(real: pd.DataFrame, synthetic: pd.DataFrame) -> dict[str, float]:
    """Scores of a synthetic table against real rows, which its maker should not have seen.

    Returns:
        ``auc``: see ``detection_auc``, 0.5 is ideal; ``shape`` and ``trend``: errors, 0 is ideal;
        ``copies``: share of synthetic rows that are real ones; ``duplicates``: share of real rows
        that are there more than once; ``distance``: median distance of synthetic rows to the
        nearest real one over that of real rows to each other, below 1 if synthetic rows are
        nearer to real ones than these are to each other.
    """
    few = min(len(real), len(synthetic))
    real, synthetic = (t.sample(few, random_state=0) for t in (real, synthetic))
    (x, y), categorical = as_codes(real, synthetic[real.columns])
    apart = np.median(nearest_distances(x, x, categorical, x, own=True))
    near = np.median(nearest_distances(y, x, categorical, x))
    return {
        "auc": detection_auc(x, y, categorical),
        "shape": shape_error(x, y, categorical),
        "trend": trend_error(x, y, categorical),
        "copies": copies(y, x),
        "duplicates": float(pd.DataFrame(x).duplicated(keep=False).mean()),
        "distance": float(near / apart) if apart > 0 else float("nan"),
    }

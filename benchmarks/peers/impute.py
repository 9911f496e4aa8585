"""Imputation by other methods, run in an environment of their own.

    python impute.py METHOD IN.parquet OUT.parquet --categorical a,b

IN holds numbers only, categories as codes; OUT is the same table without gaps. Prints the seconds
that the imputation itself took.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable

import numpy as np
import pandas as pd

TREES = 100
MOST_ROUNDS = 5
NEIGHBOURS = 8


def mean(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """The mean of a number, the most frequent code of a category."""
    filled = x.copy()
    for j in range(x.shape[1]):
        known = x[~np.isnan(x[:, j]), j]
        values, counts = np.unique(known, return_counts=True)
        fill = values[counts.argmax()] if categorical[j] else known.mean()
        filled[np.isnan(x[:, j]), j] = fill
    return filled


def knn(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """scikit-learn's KNNImputer on standardised columns, one-hot categories."""
    from sklearn.impute import KNNImputer

    wide, back = _one_hot(x, categorical)
    return back(KNNImputer(n_neighbors=5, weights="distance").fit_transform(wide))


def ridge(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """scikit-learn's IterativeImputer (chained Bayesian ridge), one-hot categories."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    wide, back = _one_hot(x, categorical)
    return back(IterativeImputer(random_state=0, max_iter=10).fit_transform(wide))


def missforest(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Stekhoven & Buehlmann 2012: chained random forests of full depth, from the column means.

    Stops as soon as the change between two rounds grows, for numbers and categories both.
    """
    from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor

    gaps = np.isnan(x)
    filled = mean(x, categorical)
    last = (np.inf, np.inf)
    for _ in range(MOST_ROUNDS):
        before = filled.copy()
        for j in np.argsort(gaps.sum(0), kind="stable"):
            if not gaps[:, j].any():
                continue
            model = (
                RandomForestClassifier(TREES, max_features="sqrt", n_jobs=-1, random_state=0)
                if categorical[j]
                else RandomForestRegressor(TREES, max_features=1 / 3, n_jobs=-1, random_state=0)
            )
            _refit(model, filled, gaps, j)
        numbers, codes = gaps & ~categorical, gaps & categorical
        change = (
            ((filled - before)[numbers] ** 2).sum() / max((filled[numbers] ** 2).sum(), 1e-12),
            (filled != before)[codes].sum() / max(codes.sum(), 1),
        )
        grew = [c > b for c, b, m in zip(change, last, (numbers, codes), strict=True) if m.any()]
        if all(grew):
            return before
        last = change
    return filled


def started_forest(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Four rounds of extremely randomised trees, from a joint Gaussian and the nearest rows."""
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

    gaps = np.isnan(x)
    filled = _start(x, categorical)
    for _ in range(4):
        for j in np.argsort(gaps.sum(0), kind="stable"):
            if not gaps[:, j].any():
                continue
            grower = ExtraTreesClassifier if categorical[j] else ExtraTreesRegressor
            _refit(grower(TREES, max_features=0.5, n_jobs=-1, random_state=0), filled, gaps, j)
    return filled


def hyperimpute(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """HyperImpute 0.1.17, as its documentation starts it; codes it took for numbers are rounded."""
    from hyperimpute.plugins.imputers import Imputers

    frame = pd.DataFrame(x, columns=[f"c{j}" for j in range(x.shape[1])])
    filled: np.ndarray = Imputers().get("hyperimpute").fit_transform(frame).to_numpy()
    return np.where(categorical, np.round(filled), filled)


def _refit(model: object, filled: np.ndarray, gaps: np.ndarray, j: int) -> None:
    others = np.delete(filled, j, axis=1)
    model.fit(others[~gaps[:, j]], filled[~gaps[:, j], j])
    filled[gaps[:, j], j] = model.predict(others[gaps[:, j]])


def _one_hot(
    x: np.ndarray, categorical: np.ndarray
) -> tuple[np.ndarray, Callable[[np.ndarray], np.ndarray]]:
    """Standardised numbers and one-hot codes, gaps as NaN, and the way back."""
    center = np.where(categorical, 0.0, np.nanmean(x, axis=0))
    scale = np.where(categorical, 1.0, np.nanstd(x, axis=0))
    scale = np.where(scale == 0, 1.0, scale)
    parts, levels = [], []
    for j in range(x.shape[1]):
        if not categorical[j]:
            parts.append(((x[:, j] - center[j]) / scale[j])[:, None])
            levels.append(None)
            continue
        known = np.unique(x[~np.isnan(x[:, j]), j])
        hot = (x[:, j][:, None] == known).astype(float)
        hot[np.isnan(x[:, j])] = np.nan
        parts.append(hot)
        levels.append(known)

    def back(wide: np.ndarray) -> np.ndarray:
        out, start = x.copy(), 0
        for j, (part, known) in enumerate(zip(parts, levels, strict=True)):
            block = wide[:, start : start + part.shape[1]]
            start += part.shape[1]
            gap = np.isnan(x[:, j])
            new = block[:, 0] * scale[j] + center[j] if known is None else known[block.argmax(1)]
            out[gap, j] = new[gap]
        return out

    return np.hstack(parts), back


def _start(x: np.ndarray, categorical: np.ndarray) -> np.ndarray:
    """Numbers: mean of a joint Gaussian's and the nearest rows' guess; categories: nearest rows."""
    from scipy.stats import norm, rankdata

    gaps = np.isnan(x)
    scores = np.full_like(x, np.nan)
    for j in range(x.shape[1]):
        known = ~gaps[:, j]
        scores[known, j] = norm.ppf((rankdata(x[known, j]) - 0.5) / known.sum())
    gaussian = _gaussian(scores)
    near_scores, near = _nearest(scores, x, categorical)
    filled = x.copy()
    for j in range(x.shape[1]):
        gap = gaps[:, j]
        if categorical[j]:
            filled[gap, j] = near[gap, j]
            continue
        guess = (gaussian[gap, j] + near_scores[gap, j]) / 2
        filled[gap, j] = np.quantile(x[~gap, j], norm.cdf(guess))
    return filled


def _gaussian(scores: np.ndarray, rounds: int = 30) -> np.ndarray:
    """Conditional means under a Gaussian fitted by EM; rows grouped by their pattern of gaps."""
    gaps = np.isnan(scores)
    filled = np.where(gaps, 0.0, scores)
    columns = scores.shape[1]
    mu, sigma = np.zeros(columns), np.eye(columns)
    patterns, group = np.unique(gaps, axis=0, return_inverse=True)
    group = group.ravel()
    order = np.argsort(group, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(group))[:-1])
    for _ in range(rounds):
        extra = np.zeros_like(sigma)
        for pattern, rows in zip(patterns, members, strict=True):
            if not pattern.any():
                continue
            known = ~pattern
            gain = np.linalg.solve(
                sigma[np.ix_(known, known)] + 1e-6 * np.eye(known.sum()),
                sigma[np.ix_(known, pattern)],
            )
            block = mu[pattern] + (filled[np.ix_(rows, known)] - mu[known]) @ gain
            filled[np.ix_(rows, pattern)] = block
            left = sigma[np.ix_(pattern, pattern)] - sigma[np.ix_(pattern, known)] @ gain
            extra[np.ix_(pattern, pattern)] += len(rows) * left
        mu = filled.mean(0)
        centered = filled - mu
        sigma = (centered.T @ centered + extra) / len(filled) + 1e-6 * np.eye(columns)
    return filled


def _nearest(
    scores: np.ndarray, x: np.ndarray, categorical: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Eight nearest rows by mean squared distance over jointly observed columns."""
    gaps = np.isnan(scores)
    known = (~gaps).astype(float)
    numeric = np.where(gaps | categorical, 0.0, scores)
    hot = np.hstack(
        [
            (x[:, [j]] == np.unique(x[~gaps[:, j], j])).astype(float)
            for j in np.flatnonzero(categorical)
        ]
        or [np.zeros((len(x), 0))]
    )
    k_num, k_cat = known * ~categorical, known * categorical
    near_scores, near = scores.copy(), x.copy()
    for start in range(0, len(x), 1000):
        rows = slice(start, start + 1000)
        squares = (numeric**2 * k_num)[rows] @ k_num.T + k_num[rows] @ (numeric**2 * k_num).T
        squares -= 2 * numeric[rows] @ numeric.T
        squares += 2 * (k_cat[rows] @ k_cat.T - hot[rows] @ hot.T)
        distance = squares / np.maximum(known[rows] @ known.T, 1e-9)
        distance[np.arange(distance.shape[0]), np.arange(start, start + distance.shape[0])] = np.inf
        for j in range(x.shape[1]):
            need = np.flatnonzero(gaps[rows, j])
            have = np.flatnonzero(~gaps[:, j])
            d = distance[np.ix_(need, have)]
            k = min(NEIGHBOURS, len(have))
            best = np.argpartition(d, k - 1, axis=1)[:, :k]
            d = np.take_along_axis(d, best, 1)
            w = np.exp(-(d - d.min(1, keepdims=True)) / np.maximum(d.mean(1, keepdims=True), 1e-9))
            w /= w.sum(1, keepdims=True)
            chosen = have[best]
            near_scores[start + need, j] = (w * scores[chosen, j]).sum(1)
            if categorical[j]:
                levels = np.unique(x[have, j])
                votes = ((x[chosen, j][:, :, None] == levels) * w[:, :, None]).sum(1)
                near[start + need, j] = levels[votes.argmax(1)]
    return near_scores, near


METHODS = {
    f.__name__.replace("_", "-"): f
    for f in (mean, knn, ridge, missforest, started_forest, hyperimpute)
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("given")
    parser.add_argument("out")
    parser.add_argument("--categorical", default="")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    frame = pd.read_parquet(arguments.given)
    named = set(filter(None, arguments.categorical.split(",")))
    categorical = np.array([c in named for c in frame.columns])
    started = time.perf_counter()
    filled = METHODS[arguments.method](frame.to_numpy(dtype=float), categorical)
    seconds = time.perf_counter() - started
    pd.DataFrame(filled, columns=frame.columns).to_parquet(arguments.out)
    print(f"{seconds:.2f}")


if __name__ == "__main__":
    main()

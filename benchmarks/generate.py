"""Generation against rows no model has seen: half a table is learned, the other half judges.

    python benchmarks/generate.py [--tables adult shoppers ...] [--methods tabvae tvae] [--again]

As many rows are generated as the training half has. For each score the same is printed of the real
training half, the floor.

    auc          AUC, 3 folds, of gradient boosting that tells them from the untouched half
    auc_train    the same against the training half
    shape        mean over columns of the KS distance (numbers) or total variation (categories)
    trend        mean over pairs of columns of |difference of correlations| / 2 (two numbers) or of
                 the total variation of contingency tables (else; numbers in ten bins), as SDMetrics
    closer       share of rows nearer to a training row than to an untouched one; 0.5 is ideal
    copies       share of rows that are exact copies of a training row
    downstream   AUC or R2, on the untouched half, of gradient boosting trained on the rows
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from common import DATA, HERE, PEERS, Results, halves, machine, progress
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.neighbors import NearestNeighbors

from tabvae import TabVAE

MISSING = "?"
METHODS = ("tabvae", "tabsyn", "tvae", "ctgan")
TARGETS = {
    "adult": "income",
    "shoppers": "Revenue",
    "california": "median_house_value",
    "beijing_pm25": "pm2.5",
}
TREND_BINS = 10
ROWS_COMPARED = 5000


def as_codes(*frames: pd.DataFrame) -> tuple[list[np.ndarray], np.ndarray]:
    """Numbers as they are, categories (missing is one of them) as common codes."""
    whole = pd.concat(frames, ignore_index=True)
    categorical = np.array([not pd.api.types.is_numeric_dtype(whole[c]) for c in whole.columns])
    columns = [
        pd.Categorical(whole[c].astype(object).fillna(MISSING)).codes
        if is_category
        else whole[c].astype(float)
        for c, is_category in zip(whole.columns, categorical, strict=True)
    ]
    table = np.column_stack(columns).astype(float)
    ends = np.cumsum([len(f) for f in frames])[:-1]
    return np.split(table, ends), categorical


def detection_auc(real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray) -> float:
    """AUC, 3 folds, of a gradient-boosted classifier that tells real from synthetic rows."""
    x = np.vstack([real, synthetic])
    y = np.repeat([0, 1], [len(real), len(synthetic)])
    classifier = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    scores = cross_val_predict(classifier, x, y, cv=folds, method="predict_proba")[:, 1]
    return float(roc_auc_score(y, scores))


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Between two samples of labels."""
    counts = pd.DataFrame(
        {"a": pd.Series(a).value_counts(normalize=True), "b": pd.Series(b).value_counts(True)}
    ).fillna(0.0)
    return float(0.5 * (counts["a"] - counts["b"]).abs().sum())


def shape_error(real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray) -> float:
    """Mean over columns of the KS distance (numbers) or total variation (categories)."""
    distances = []
    for j, is_category in enumerate(categorical):
        a, b = real[:, j], synthetic[:, j]
        if is_category:
            distances.append(total_variation(a, b))
        else:
            distances.append(ks_2samp(a[~np.isnan(a)], b[~np.isnan(b)]).statistic)
    return float(np.mean(distances))


def trend_error(real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray) -> float:
    """Mean error of the dependence of two columns, see the top of the file."""
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
            keys = [binned[i][k] * 10_000 + binned[j][k] for k in (0, 1)]
            errors.append(total_variation(*keys))
    return float(np.nanmean(errors))


def closer_share(
    rows: np.ndarray, train: np.ndarray, other: np.ndarray, categorical: np.ndarray
) -> float:
    """Share of ``rows`` nearer to a row of ``train`` than to one of ``other``; ties count half."""
    center, scale = np.nanmean(train, axis=0), np.nanstd(train, axis=0)

    def wide(table: np.ndarray) -> np.ndarray:
        numbers = np.nan_to_num((table - center) / scale)[:, ~categorical]
        # A changed category is as far as two deviations of a number.
        hot = [
            np.sqrt(2) * (table[:, [j]] == np.unique(train[:, j]))
            for j in np.flatnonzero(categorical)
        ]
        return np.hstack([numbers, *hot]).astype(np.float32)

    sample = wide(rows[np.random.default_rng(0).permutation(len(rows))[:ROWS_COMPARED]])
    near = [
        NearestNeighbors(n_neighbors=1, algorithm="brute").fit(wide(t)).kneighbors(sample)[0][:, 0]
        for t in (train, other)
    ]
    return float(np.mean(near[0] < near[1]) + 0.5 * np.mean(near[0] == near[1]))


def copies(rows: np.ndarray, train: np.ndarray) -> float:
    """Share of ``rows`` that are rows of ``train``."""
    known = set(map(bytes, np.nan_to_num(train, nan=-1e9)))
    return float(np.mean([bytes(row) in known for row in np.nan_to_num(rows, nan=-1e9)]))


def downstream(train: np.ndarray, test: np.ndarray, categorical: np.ndarray, target: int) -> float:
    """AUC (a category) or R2 (a number) on ``test`` of gradient boosting trained on ``train``."""
    known, asked = (t[~np.isnan(t[:, target])] for t in (train, test))
    inputs, kinds = (
        [np.delete(t, target, axis=1) for t in (known, asked)],
        np.delete(categorical, target),
    )
    if categorical[target]:
        model = HistGradientBoostingClassifier(categorical_features=kinds, random_state=0)
        model.fit(inputs[0], known[:, target])
        return float(roc_auc_score(asked[:, target], model.predict_proba(inputs[1])[:, 1]))
    model = HistGradientBoostingRegressor(categorical_features=kinds, random_state=0)
    return float(
        r2_score(asked[:, target], model.fit(inputs[0], known[:, target]).predict(inputs[1]))
    )


def scores(
    rows: np.ndarray, train: np.ndarray, other: np.ndarray, categorical: np.ndarray, target: int
) -> dict[str, float]:
    """All scores of ``rows``."""
    return {
        "auc": detection_auc(other, rows, categorical),
        "auc_train": detection_auc(train, rows, categorical) if rows is not train else np.nan,
        "shape": shape_error(other, rows, categorical),
        "trend": trend_error(other, rows, categorical),
        "closer": closer_share(rows, train, other, categorical) if rows is not train else np.nan,
        "copies": copies(rows if rows is not train else other, train),
        "downstream": downstream(rows, other, categorical, target),
    }


def ours(name: str, train: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Rows in any order and in one shot, by the same model."""
    started = time.perf_counter()
    model = TabVAE().fit(train)
    fitted = time.perf_counter() - started
    started = time.perf_counter()
    model.generate(10_000)
    print(
        f"{name}: fit {fitted:.0f} s, 10,000 rows {time.perf_counter() - started:.1f} s, peak "
        f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2:.2f} GB"
    )
    yield "tabvae", model.generate(len(train), seed=1), fitted
    yield "one-shot", model.generate(len(train), one_shot=True, seed=1), fitted


def peer(method: str, train: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Rows of TVAE or CTGAN."""
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "train.parquet", Path(folder) / "out.parquet"
        train.to_parquet(given)
        script = [PEERS / "ctgan" / "bin" / "python", HERE / "peers" / "generate.py"]
        done = subprocess.run(
            [*script, method, given, out], capture_output=True, text=True, check=True
        )
        yield method, pd.read_parquet(out), float(done.stdout.split()[-1])


def contestants(
    name: str, train: pd.DataFrame, method: str
) -> Iterator[tuple[str, pd.DataFrame, float]]:
    """Name, rows and seconds of fitting of what one method makes."""
    progress(f"{name}: {method}")
    if method == "tabvae":
        yield from ours(name, train)
    elif method == "tabsyn" and name == "adult":
        path = DATA / "tables" / "adult_tabsyn_output.csv"
        rows = pd.read_csv(path, skipinitialspace=True, na_values="?")
        yield method, rows.set_axis(train.columns, axis=1), np.nan
    elif method in ("tvae", "ctgan"):
        yield from peer(method, train)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TARGETS), choices=TARGETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("generate", ("table", "method"))
    for name in given.tables:
        train, other = halves(name)
        target = list(train.columns).index(TARGETS[name])
        (x, y), categorical = as_codes(train, other)
        if not results.has(table=name, method="real half"):
            found = scores(x, x, y, categorical, target)
            results.add(table=name, method="real half", **found, seconds=np.nan)
        for asked in given.methods:
            if results.has(table=name, method=asked) and not given.again:
                continue
            for method, made, seconds in contestants(name, train, asked):
                progress(f"{name}: scores of {method}")
                (x, y, rows), categorical = as_codes(train, other, made)
                found = scores(rows, x, y, categorical, target)
                results.add(table=name, method=method, **found, seconds=seconds)
    frame = results.frame().set_index(["table", "method"]).drop(columns=["date", "commit"])
    print(frame.round(4).to_string())


if __name__ == "__main__":
    main()

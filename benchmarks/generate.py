"""Generation against rows no model has seen: half a table is learned, the other half judges.

    python benchmarks/generate.py [--tables adult shoppers ...] [--methods tabvae tvae] [--again]

As many rows are generated as the training half has. For each score the same is printed of the real
training half, the floor.

    auc          AUC of gradient boosting that tells them from the untouched half
    auc_train    the same against the training half
    shape, trend mean error of columns and of pairs of columns, see ``tabvae.tasks.synthetic``
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
from pathlib import Path

import numpy as np
import pandas as pd
from common import DATA, HERE, PEERS, Results, halves, machine, progress
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import r2_score, roc_auc_score

from tabvae import TabVAE
from tabvae.tasks.synthetic import (
    as_codes,
    copies,
    detection_auc,
    marginal_error,
    nearest_distances,
    trend_error,
)

METHODS = ("tabvae", "tabsyn", "tvae", "ctgan")
TARGETS = {
    "adult": "income",
    "shoppers": "Revenue",
    "california": "median_house_value",
    "beijing_pm25": "pm2.5",
}


def closer_share(
    rows: np.ndarray, train: np.ndarray, other: np.ndarray, categorical: np.ndarray
) -> float:
    """Share of ``rows`` nearer to a row of ``train`` than to one of ``other``; ties count half."""
    near = [nearest_distances(rows, known, categorical, train) for known in (train, other)]
    return float(np.mean(near[0] < near[1]) + 0.5 * np.mean(near[0] == near[1]))


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
        "shape": marginal_error(other, rows, categorical),
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

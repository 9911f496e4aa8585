"""Detection floors: one-class AUROC on the 12 sets, beside k nearest neighbours.

python benchmarks/detect.py [SET ...]
"""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd
from common import DATA, machine
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from tabvae import TabVAE


def one_class(name: str) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """First half of the normal rows to train on; the others and all anomalies to test on."""
    frame = pd.read_parquet(DATA / "detection" / f"{name}.parquet")
    label, x = frame["label"].to_numpy(), frame.drop(columns="label")
    normal = np.flatnonzero(label == 0)
    half = normal[: len(normal) // 2]
    rest = np.setdiff1d(np.arange(len(x)), half)
    return x.iloc[half], x.iloc[rest], label[rest]


def knn(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    scaler = StandardScaler().fit(train)
    near = NearestNeighbors(n_neighbors=5).fit(scaler.transform(train))
    return near.kneighbors(scaler.transform(test))[0][:, -1]


def forest(train: pd.DataFrame, test: pd.DataFrame) -> np.ndarray:
    return -IsolationForest(random_state=0).fit(train).score_samples(test)


def ours(train: pd.DataFrame, test: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    found = TabVAE().fit(train).detect(test)
    return found["score"].to_numpy(), found["outlier"].to_numpy()


def main() -> None:
    names = sys.argv[1:] or sorted(p.stem for p in (DATA / "detection").glob("*.parquet"))
    print(machine())
    print(
        f"{'set':18} {'tabvae':>7} {'kNN':>7} {'IForest':>8} {'AP':>7} {'AP kNN':>7} "
        f"{'flagged normals':>16}"
    )
    rows = []
    for name in names:
        train, test, label = one_class(name)
        score, outlier = ours(train, test)
        rivals = knn(train, test), forest(train, test)
        row = [roc_auc_score(label, s) for s in (score, *rivals)]
        row += [average_precision_score(label, s) for s in (score, rivals[0])]
        row.append(outlier[label == 0].mean())
        rows.append(row)
        print(f"{name:18} " + " ".join(f"{100 * v:7.2f}" for v in row), flush=True)
    print(f"{'mean':18} " + " ".join(f"{100 * v:7.2f}" for v in np.mean(rows, axis=0)))


if __name__ == "__main__":
    main()

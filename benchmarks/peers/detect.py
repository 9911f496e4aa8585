"""Anomaly scores of other methods, run in an environment of their own.

    python detect.py TRAIN.parquet TEST.parquet OUT.parquet

OUT has a column of scores, higher is odder, for each method, and prints the seconds of each.
"""

from __future__ import annotations

import sys
import time
import warnings

import numpy as np
import pandas as pd
from pyod.models.ecod import ECOD
from pyod.models.pca import PCA
from sklearn.covariance import EmpiricalCovariance
from sklearn.ensemble import IsolationForest
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import KFold, cross_val_score
from sklearn.neighbors import LocalOutlierFactor, NearestNeighbors
from sklearn.preprocessing import StandardScaler

NEIGHBOURS = 5


def knn(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Distance to the fifth neighbour; a row of ``train`` is not its own neighbour."""
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(train)
    return near.kneighbors(None if train is test else test)[0][:, -1]


def isolation_forest(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return -IsolationForest(random_state=0).fit(train).score_samples(test)


def ecod(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return ECOD().fit(train).decision_function(test)


def lof(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    if train is test:
        return -LocalOutlierFactor(n_neighbors=20).fit(train).negative_outlier_factor_
    return -LocalOutlierFactor(n_neighbors=20, novelty=True).fit(train).score_samples(test)


def pca(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return np.nan_to_num(PCA(random_state=0).fit(train).decision_function(test))


def mahalanobis(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    return EmpiricalCovariance().fit(train).mahalanobis(test)


def dte_np(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Mean distance to the five neighbours (Livernoche et al. 2024, without training)."""
    near = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(train)
    return near.kneighbors(None if train is test else test)[0].mean(1)


def gmm(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """A Gaussian mixture whose number of components makes rows left out likeliest."""
    tried = [GaussianMixture(k, reg_covar=1e-3, random_state=0) for k in (1, 2, 4, 8, 16, 32)]
    folds = KFold(3, shuffle=True, random_state=0)
    best = max(tried, key=lambda m: cross_val_score(m, train, cv=folds).mean())
    return -best.fit(train).score_samples(test)


METHODS = {f.__name__: f for f in (knn, isolation_forest, ecod, lof, pca, mahalanobis, dte_np, gmm)}


def main() -> None:
    warnings.simplefilter("ignore")
    train_path, test_path, out = sys.argv[1:]
    train = pd.read_parquet(train_path)
    scaler = StandardScaler().fit(train)
    x = scaler.transform(train)
    new = x if test_path == train_path else scaler.transform(pd.read_parquet(test_path))
    scores = {}
    for name, method in METHODS.items():
        started = time.perf_counter()
        scores[name] = method(x, new)
        print(f"{name} {time.perf_counter() - started:.2f}")
    pd.DataFrame(scores).to_parquet(out)


if __name__ == "__main__":
    main()

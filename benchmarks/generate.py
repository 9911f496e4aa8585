"""Generation floors: as many rows as the training half of adult, against the untouched half.

python benchmarks/generate.py [--one-shot]
"""

from __future__ import annotations

import resource
import sys
import time

import numpy as np
import pandas as pd
from common import load, machine
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from tabvae import TabVAE

MISSING = "?"


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


def shape_error(real: np.ndarray, synthetic: np.ndarray, categorical: np.ndarray) -> float:
    """Mean over columns of the KS distance (numbers) or total variation (categories)."""
    from scipy.stats import ks_2samp

    distances = []
    for j, is_category in enumerate(categorical):
        a, b = real[:, j], synthetic[:, j]
        if is_category:
            levels = np.union1d(a, b)
            shares = [np.array([(x == level).mean() for level in levels]) for x in (a, b)]
            distances.append(0.5 * np.abs(shares[0] - shares[1]).sum())
        else:
            distances.append(ks_2samp(a[~np.isnan(a)], b[~np.isnan(b)]).statistic)
    return float(np.mean(distances))


def main() -> None:
    one_shot = "--one-shot" in sys.argv
    print(machine())
    train, holdout = load("adult_train_half"), load("adult_holdout_half")
    started = time.perf_counter()
    model = TabVAE().fit(train)
    fitted = time.perf_counter()
    model.generate(10_000, one_shot=one_shot)
    generated = time.perf_counter()
    model.impute(train)
    imputed = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
    print(
        f"fit {fitted - started:.0f} s (floor 300), peak {peak:.2f} GB (floor 1.5); generate "
        f"10,000 rows {generated - fitted:.1f} s (15); impute all {imputed - generated:.1f} s (10)"
    )
    synthetic = model.generate(len(train), one_shot=one_shot, seed=1)
    (real, other, made), categorical = as_codes(train, holdout, synthetic)
    print(f"{'':24} {'AUC train':>10} {'AUC holdout':>12} {'shape holdout':>14}")
    print(
        f"{'real training half':24} {'':>10} {detection_auc(other, real, categorical):12.3f} "
        f"{shape_error(other, real, categorical):14.4f}"
    )
    print(
        f"{'tabvae (floor .62/.015)':24} {detection_auc(real, made, categorical):10.3f} "
        f"{detection_auc(other, made, categorical):12.3f} "
        f"{shape_error(other, made, categorical):14.4f}"
    )


if __name__ == "__main__":
    main()

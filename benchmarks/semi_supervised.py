"""A label column that is mostly empty: imputing it beside classifiers.

    python benchmarks/semi_supervised.py [--tables adult ...] [--again]

Of the labels 5 % or 20 % are kept. Beside us: scikit-learn's gradient boosting on the labelled
rows, and its SelfTrainingClassifier around the same on all rows. AUC (one against the rest,
averaged) and accuracy on the rows whose label was hidden.
"""

from __future__ import annotations

import argparse
import time
import warnings

import numpy as np
import pandas as pd
from common import CATEGORICAL, Results, load, machine, progress
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import accuracy_score, roc_auc_score
from sklearn.semi_supervised import SelfTrainingClassifier

from tabvae import TabVAE
from tabvae.tasks.synthetic import as_codes

TARGETS = {"obesity": "NObeyesdad", "shoppers": "Revenue", "adult_train_half": "income"}
SHARES = (0.05, 0.2)
METHODS = ("tabvae", "boosting", "self-training")


def ours(frame: pd.DataFrame, target: str, known: np.ndarray, codes: tuple[str, ...]) -> np.ndarray:
    """(rows, classes) probabilities by imputation."""
    given = frame.assign(**{target: frame[target].astype(object).where(known)})
    model = TabVAE(categorical=tuple(dict.fromkeys((*codes, target)))).fit(given)
    found = model.probabilities(given, target)
    classes = np.unique(frame[target].astype(str))
    return found[[f"{target}={c}" for c in classes]].to_numpy()


def theirs(
    method: str, frame: pd.DataFrame, target: str, known: np.ndarray, codes: tuple[str, ...]
) -> np.ndarray:
    """(rows, classes) probabilities by a classifier."""
    inputs = frame.drop(columns=target)
    inputs = inputs.astype({c: str for c in codes if c in inputs})
    (x,), categorical = as_codes(inputs)
    labels = np.unique(frame[target].astype(str), return_inverse=True)[1]
    boosting = HistGradientBoostingClassifier(categorical_features=categorical, random_state=0)
    if method == "boosting":
        return boosting.fit(x[known], labels[known]).predict_proba(x)
    return SelfTrainingClassifier(boosting).fit(x, np.where(known, labels, -1)).predict_proba(x)


def measure(table: str, share: float, method: str) -> dict[str, float]:
    frame = load(table)
    target = TARGETS[table]
    known = np.random.default_rng(0).random(len(frame)) < share
    codes = CATEGORICAL.get(table, ())
    started = time.perf_counter()
    if method == "tabvae":
        likely = ours(frame, target, known, codes)
    else:
        likely = theirs(method, frame, target, known, codes)
    seconds = time.perf_counter() - started
    classes, labels = np.unique(frame[target].astype(str), return_inverse=True)
    truth, found = labels[~known], likely[~known]
    scored = found[:, 1] if len(classes) == 2 else found
    return {
        "auc": roc_auc_score(truth, scored, multi_class="ovr"),
        "accuracy": accuracy_score(truth, found.argmax(1)),
        "seconds": seconds,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TARGETS), choices=TARGETS)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("semi_supervised", ("table", "share", "method"))
    for table in given.tables:
        for share in SHARES:
            for method in given.methods:
                if results.has(table=table, share=share, method=method) and not given.again:
                    continue
                progress(f"{table}, {share:.0%} of the labels: {method}")
                row = measure(table, share, method)
                results.add(table=table, share=share, method=method, **row)
    frame = results.frame()
    for score in ("auc", "accuracy", "seconds"):
        wide = frame.pivot_table(index=["table", "share"], columns="method", values=score)
        print(f"\n{score}\n{wide.round(3).to_string()}")


if __name__ == "__main__":
    main()

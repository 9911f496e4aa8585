"""Embedding beside PCA and UMAP: what the coordinates still say of a column no one was shown.

    python benchmarks/embed.py [--tables adult ...] [--dimensions 8 2] [--methods tabvae] [--again]

Half of each table is learned without its target column, the other half is embedded.

    knn, logistic   AUC for the target on the other half, classifiers trained on the first half
    trust           trustworthiness of 15 neighbours (Venna & Kaski 2001) among 3,000 rows of the
                    other half, against the columns as peers see them: normal scores and one-hot
    continuity      the same the other way round
    gaps            median distance between rows with 30 % of the cells hidden and their complete
                    selves, over the median distance between rows
    active          share of the latent dimensions in use
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import CATEGORICAL, HERE, PEERS, Results, halves, machine, masked, progress
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import trustworthiness
from sklearn.metrics import pairwise_distances, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tabvae import TabVAE

TARGETS = {
    "adult": "income",
    "shoppers": "Revenue",
    "california": "ocean_proximity",
    "obesity": "NObeyesdad",
}
NEIGHBOURS = 15
ROWS_COMPARED = 3000
GAPS = 0.3
SCORES = ("knn", "logistic", "trust", "continuity")


def separation(
    z: tuple[np.ndarray, np.ndarray], labels: tuple[np.ndarray, ...]
) -> dict[str, float]:
    """AUC of both classifiers; one against the rest, averaged, where there are several classes."""
    scores = {}
    for name, classifier in (
        ("knn", KNeighborsClassifier(NEIGHBOURS)),
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))),
    ):
        likely = classifier.fit(z[0], labels[0]).predict_proba(z[1])
        likely = likely[:, 1] if likely.shape[1] == 2 else likely
        scores[name] = roc_auc_score(labels[1], likely, multi_class="ovr")
    return scores


def neighbourhoods(raw: np.ndarray, z: np.ndarray) -> dict[str, float]:
    """Neighbours in ``z`` that are neighbours in ``raw``, and the other way round."""
    chosen = np.random.default_rng(0).permutation(len(raw))[:ROWS_COMPARED]
    x, y = raw[chosen], z[chosen]
    return {
        "trust": trustworthiness(x, y, n_neighbors=NEIGHBOURS),
        "continuity": trustworthiness(y, x, n_neighbors=NEIGHBOURS),
    }


def drift(model: TabVAE, test: pd.DataFrame, z: np.ndarray) -> float:
    """How far gaps move a row, over how far rows are from each other."""
    chosen = np.random.default_rng(0).permutation(len(test))[:ROWS_COMPARED]
    rows = test.iloc[chosen]
    hidden = np.random.default_rng(0).random(rows.shape) < GAPS
    moved = np.linalg.norm(model.transform(masked(rows, hidden)) - z[chosen], axis=1)
    apart = pairwise_distances(z[chosen])[np.triu_indices(len(chosen), 1)]
    return float(np.median(moved) / np.median(apart))


def peers(
    train: pd.DataFrame,
    test: pd.DataFrame,
    dimensions: int,
    codes: tuple[str, ...],
    methods: list[str],
    folder: Path,
) -> dict[str, tuple[tuple[np.ndarray, np.ndarray], float]]:
    """Coordinates of both tables, and seconds, of the columns themselves and the methods.

    The columns ``codes`` are numbers that stand for categories, which peers have to be told.
    """
    paths = [folder / "train.parquet", folder / "test.parquet"]
    for frame, path in zip((train, test), paths, strict=True):
        frame.astype({c: str for c in codes if c in frame}).to_parquet(path)
    script = [PEERS / "sklearn" / "bin" / "python", HERE / "peers" / "embed.py"]
    done = subprocess.run(
        [*script, *paths, folder, str(dimensions), *methods],
        capture_output=True,
        text=True,
        check=True,
    )
    times = dict(line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
    found = {}
    for name in ("raw", *methods):
        arrays = np.load(folder / f"{name}.npz")
        found[name] = (arrays["train"], arrays["test"]), float(times.get(name, 0))
    return found


def measure(table: str, dimensions: int, methods: str, results: Results) -> None:
    train, test = halves(table)
    labels = tuple(frame.pop(TARGETS[table]).to_numpy().astype(str) for frame in (train, test))
    key = {"table": table, "dimensions": dimensions}
    codes = CATEGORICAL.get(table, ())
    with tempfile.TemporaryDirectory() as folder:
        others = [] if methods == "tabvae" else ["pca", "umap"]
        found = peers(train, test, dimensions, codes, others, Path(folder))
    raw = found["raw"][0][1]
    for name, (z, seconds) in found.items():
        if others:
            scores = separation(z, labels) | neighbourhoods(raw, z[1])
            results.add(**key, method=name, seconds=seconds, **scores)
    started = time.perf_counter()
    known = tuple(c for c in codes if c in train)
    model = TabVAE(latent=dimensions, categorical=known).fit(train)
    z = model.transform(train), model.transform(test)
    seconds = time.perf_counter() - started
    scores = separation(z, labels) | neighbourhoods(raw, z[1])
    card = model.fitted_.card
    results.add(
        **key,
        method="tabvae",
        seconds=seconds,
        gaps=drift(model, test, z[1]),
        active=card.active / len(card.kl),
        **scores,
    )


def report(results: Results) -> None:
    frame = results.frame()
    for dimensions, part in frame.groupby("dimensions"):
        print(f"\n{dimensions} dimensions")
        for score in SCORES:
            wide = part.pivot(index="table", columns="method", values=score)
            print(f"\n{score}\n{wide.round(3).to_string()}")
        own = part[part["method"] == "tabvae"].set_index("table")
        print(f"\n{own[['gaps', 'active', 'seconds']].round(3).to_string()}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=tuple(TARGETS), choices=tuple(TARGETS))
    parser.add_argument("--dimensions", nargs="+", type=int, default=(8, 2))
    parser.add_argument("--methods", default="all", choices=("tabvae", "all"))
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("embed", ("table", "dimensions", "method"))
    for dimensions in given.dimensions:
        for table in given.tables:
            key = {"table": table, "dimensions": dimensions, "method": "tabvae"}
            if results.has(**key) and not given.again:
                continue
            progress(f"{table}, {dimensions} dimensions")
            measure(table, dimensions, given.methods, results)
    report(results)


if __name__ == "__main__":
    main()

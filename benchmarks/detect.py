"""Detection beside other methods: 19 ADBench sets, one-class and contaminated.

    python benchmarks/detect.py [--sets cardio ...] [--mode contaminated|shuffled] [--again]
    python benchmarks/detect.py --gaps 0 10 30 50    # hide cells of the rows that are scored

One-class: the first half of the normal rows in file order is trained on, the others and all
anomalies are scored; shuffled: the same with the normal rows in random order. Contaminated: all
rows are trained on and scored. AUROC and average precision, in percent; the peers' columns are
standardised.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from common import DATA, HERE, PEERS, Results, half_of, machine, progress
from sklearn.metrics import average_precision_score, roc_auc_score

from tabvae import TabVAE
from tabvae.tasks.scores import SCORES

SETS = (
    "annthyroid",
    "cardio",
    "cardiotocography",
    "fault",
    "letter",
    "mammography",
    "pageblocks",
    "satellite",
    "thyroid",
    "vowels",
    "wilt",
    "yeast",
)
LATER = (
    "landsat",
    "magic.gamma",
    "optdigits",
    "pendigits",
    "satimage-2",
    "SpamBase",
    "Waveform",
)
"""Sets on which nothing had been chosen when they were first measured."""
ALL = (*SETS, *LATER)
MODES = ("one-class", "shuffled", "contaminated")
KNOWN = {"cardio": 91.99, "thyroid": 98.68, "annthyroid": 92.81, "letter": 35.43}
"""One-class AUROC of kNN that shows the harness is right."""


def load_set(name: str) -> tuple[pd.DataFrame, np.ndarray]:
    """Rows of a set, and which are anomalies."""
    if name in LATER:
        (path,) = (DATA / "detection2").glob(f"*_{name}.npz")
        held = np.load(path)
        return pd.DataFrame(held["X"]).add_prefix("x"), held["y"]
    frame = pd.read_parquet(DATA / "detection" / f"{name}.parquet")
    return frame.drop(columns="label"), frame["label"].to_numpy()


def one_class(name: str, shuffled: bool = False) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """First half of the normal rows to train on; the others and all anomalies to test on."""
    x, label = load_set(name)
    normal = np.flatnonzero(label == 0)
    if shuffled:
        normal = np.random.default_rng(0).permutation(normal)
    half = normal[: len(normal) // 2]
    rest = np.setdiff1d(np.arange(len(x)), half)
    return x.iloc[half], x.iloc[rest], label[rest]


def contaminated(name: str) -> tuple[pd.DataFrame, pd.DataFrame, np.ndarray]:
    """All rows, to train on and to score."""
    x, label = load_set(name)
    return x, x, label


def ours(
    train: pd.DataFrame, test: pd.DataFrame, gaps: list[int]
) -> Iterator[tuple[int, str, pd.DataFrame, float]]:
    """Of one fit: gaps in the rows scored, name of the score, what it finds, seconds."""
    started = time.perf_counter()
    model = TabVAE().fit(train)
    for share in gaps:
        hidden = np.random.default_rng(0).random(test.shape) < share / 100
        rows = test.astype(float).mask(hidden) if share else test
        found = model.detect(rows)
        yield share, "tabvae", found, time.perf_counter() - started
    for name in SCORES if 0 in gaps else ():
        if name != "combined":
            yield 0, f"tabvae {name}", model.detect(test, score=name), np.nan


def peers(train: pd.DataFrame, test: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Their scores and seconds."""
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{name}.parquet" for name in ("train", "test", "out")]
        train.to_parquet(paths[0])
        test.to_parquet(paths[1])
        given = paths if test is not train else [paths[0], paths[0], paths[2]]
        done = subprocess.run(
            [PEERS / "sklearn" / "bin" / "python", HERE / "peers" / "detect.py", *given],
            capture_output=True,
            text=True,
            check=True,
        )
        pairs = (line.split() for line in done.stdout.splitlines() if len(line.split()) == 2)
        return pd.read_parquet(paths[2]), {name: float(seconds) for name, seconds in pairs}


def measure(name: str, mode: str, gaps: list[int], methods: str, results: Results) -> None:
    if mode == "contaminated":
        train, test, label = contaminated(name)
    else:
        train, test, label = one_class(name, mode == "shuffled")

    def add(share: int, method: str, score: np.ndarray, seconds: float, **more: float) -> None:
        key = {"set": name, "mode": mode, "gaps": share, "method": method}
        auroc = 100 * roc_auc_score(label, score)
        precision = 100 * average_precision_score(label, score)
        results.add(**key, auroc=auroc, ap=precision, seconds=seconds, **more)

    if methods in ("tabvae", "all"):
        for share, method, table, seconds in ours(train, test, gaps):
            flagged = 100 * float(table["outlier"].to_numpy()[label == 0].mean())
            add(share, method, table["score"].to_numpy(), seconds, flagged=flagged)
    if methods in ("peers", "all") and 0 in gaps:
        scores, times = peers(train, test)
        for method in scores:
            add(0, method, scores[method].to_numpy(), times[method])


def report(results: Results, mode: str) -> None:
    frame = results.frame()
    frame = frame[frame["mode"] == mode]
    for kind in ("auroc", "ap"):
        wide = frame[frame["gaps"] == 0].pivot(index="set", columns="method", values=kind)
        half = wide.index.map(half_of)
        for part in "AB":
            wide.loc[f"mean of half {part}"] = wide[: len(half)][half == part].mean()
        wide.loc["mean"] = wide[: len(half)].mean()
        print(f"\n{mode}: {kind}\n{wide.round(2).to_string()}")
    wide = frame[frame["method"] == "tabvae"].pivot(index="set", columns="gaps", values="auroc")
    if len(wide.columns) > 1:
        print(f"\nAUROC with gaps, % of the cells\n{wide.round(2).to_string()}")
        print(wide.mean().round(2).to_string())
    own = frame[(frame["method"] == "tabvae") & (frame["gaps"] == 0)].set_index("set")
    if len(own):
        print("\nnormals flagged at --fpr 0.01, %\n" + own["flagged"].round(2).to_string())
    knn = frame[(frame["method"] == "knn") & (frame["gaps"] == 0)].set_index("set")["auroc"]
    if mode == "one-class":
        off = {n: knn[n].round(2) for n, v in KNOWN.items() if n in knn and abs(knn[n] - v) > 0.05}
        print("harness: " + (f"NOT RIGHT {off}" if off else "kNN as known"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", nargs="+", default=ALL, choices=ALL)
    parser.add_argument("--mode", default="one-class", choices=MODES)
    parser.add_argument("--methods", default="all", choices=("tabvae", "peers", "all"))
    parser.add_argument(
        "--gaps", type=int, nargs="+", default=[0], help="%% of cells hidden when scoring"
    )
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("detect", ("set", "mode", "gaps", "method"))
    for name in given.sets:
        last = "gmm" if given.methods == "peers" else "tabvae"
        done = [results.has(set=name, mode=given.mode, gaps=g, method=last) for g in given.gaps]
        if all(done) and not given.again:
            continue
        progress(f"{name}, {given.mode}, gaps {given.gaps} %")
        measure(name, given.mode, given.gaps, given.methods, results)
    report(results, given.mode)


if __name__ == "__main__":
    main()

"""Imputation beside other methods, on the same hidden cells.

    python benchmarks/impute.py                        # everything: hours; goes on where it stopped
    python benchmarks/impute.py --tables concrete --masks mcar30 --seeds 0
    python benchmarks/impute.py --methods tabvae --again

Score: RMSE/sd averaged over numeric columns, error rate averaged over categorical ones. The peers
run in their own environments (``make peers``). With ``--kept-out``, 30 % of the rows are kept out
of ``fit`` and scored alone; the peers, which cannot take new rows, are refitted on all of them.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import (
    HERE,
    PEERS,
    Results,
    as_numbers,
    categorical_columns,
    imputation_error,
    load,
    machine,
    masked,
    progress,
)
from masks import hide

from tabvae import TabVAE

TABLES = {
    "concrete": None,
    "airfoil": None,
    "wine_white": None,
    "obesity": None,
    "bike": None,
    "california": None,
    "shoppers": None,
    "beijing_pm25": 10_000,
    "adult_train_half": 10_000,
}
OTHER_TABLES = ("mpg", "penguins", "titanic", "wine", "diabetes", "breast_cancer")
"""On which nothing was chosen; small ones."""
OFFERED_TABLES = (*TABLES, *OTHER_TABLES)
MASKS = ("mcar30", "mcar50", "mar30", "mnar30")
OTHER_MASKS = ("end30", "ends30")
ENVIRONMENT = {"hyperimpute": "hyperimpute"}
METHODS = ("tabvae", "missforest", "started-forest", "mean", "knn", "ridge")
EFFORT = {"tabvae": "default", "tabvae-fast": "fast"}
OFFERED = (*METHODS, "tabvae-fast", "hyperimpute")
SHARE_KEPT_OUT = 0.3


def peer(
    method: str, table: pd.DataFrame, categorical: tuple[str, ...]
) -> tuple[pd.DataFrame, float]:
    """The table as another method fills it, and its seconds."""
    python = PEERS / ENVIRONMENT.get(method, "sklearn") / "bin" / "python"
    with tempfile.TemporaryDirectory() as folder:
        given, out = Path(folder) / "given.parquet", Path(folder) / "out.parquet"
        table.to_parquet(given)
        names = ",".join(categorical)
        done = subprocess.run(
            [python, HERE / "peers" / "impute.py", method, given, out, "--categorical", names],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return pd.read_parquet(out), float(done.stdout.split()[-1])


def ours(
    effort: str,
    table: pd.DataFrame,
    categorical: tuple[str, ...],
    seed: int,
    out: np.ndarray | None,
) -> tuple[pd.DataFrame, float]:
    """The same with tabvae; the rows ``out``, if any, are kept out of ``fit``."""
    started = time.perf_counter()
    model = TabVAE(effort=effort, categorical=categorical, seed=seed)
    model.fit(table if out is None else table[~out])
    filled = model.impute(table)
    return filled, time.perf_counter() - started


def measure(name: str, mask: str, seed: int, method: str, kept_out: bool) -> dict[str, float]:
    frame = load(name, TABLES.get(name))
    categorical = categorical_columns(name, frame)
    hidden = hide(frame, mask[:-2], int(mask[-2:]) / 100, seed)
    out = np.random.default_rng(seed + 1).random(len(frame)) < SHARE_KEPT_OUT if kept_out else None
    truth = as_numbers(frame)
    if method in EFFORT:
        filled, seconds = ours(EFFORT[method], masked(truth, hidden), categorical, seed, out)
    else:
        filled, seconds = peer(method, masked(truth, hidden), categorical)
    rows = np.ones(len(frame), dtype=bool) if out is None else out
    numeric, error = imputation_error(truth[rows], filled[rows], hidden[rows], categorical)
    return {"numeric": numeric, "categorical": error, "seconds": seconds}


def report(results: Results, kept_out: bool) -> None:
    """Our number, theirs and the ratio, cell by cell, then the ranks."""
    frame = results.frame()
    frame = frame[frame["kept_out"] == kept_out]
    for kind in ("numeric", "categorical", "seconds"):
        wide = frame.pivot_table(index=["table", "mask", "seed"], columns="method", values=kind)
        wide = wide[wide["tabvae"].notna()]
        print(f"\n{kind}" + (", rows kept out of fit (the peers are refitted)" if kept_out else ""))
        by_cell = wide.groupby(level=["table", "mask"], sort=False).mean()
        for rival in ("missforest", "started-forest"):
            if rival in by_cell:
                by_cell[f"ours/{rival}"] = by_cell["tabvae"] / by_cell[rival]
        print(by_cell.round(3).to_string())
        if kind == "seconds":
            continue
        methods = [m for m in METHODS if m in wide]
        print("mean rank: ", wide[methods].dropna().rank(axis=1).mean().round(2).to_dict())
        for rival in ("missforest", "started-forest", "mean"):
            if rival in by_cell:
                ratio = (by_cell["tabvae"] / by_cell[rival]).dropna()
                print(
                    f"against {rival}: at least as good in {(ratio <= 1).mean():.0%} of "
                    f"{len(ratio)} cells, worst ratio {ratio.max():.3f}"
                )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=OFFERED_TABLES)
    parser.add_argument("--masks", nargs="+", default=MASKS, choices=MASKS + OTHER_MASKS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=OFFERED)
    parser.add_argument("--kept-out", action="store_true")
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("impute", ("table", "mask", "seed", "method", "kept_out"))
    for seed in given.seeds:
        for mask in given.masks:
            for name in given.tables:
                for method in given.methods:
                    key = {
                        "table": name,
                        "mask": mask,
                        "seed": seed,
                        "method": method,
                        "kept_out": given.kept_out,
                    }
                    if results.has(**key) and not given.again:
                        continue
                    progress(f"{name} {mask} seed {seed}: {method}")
                    try:
                        row = measure(name, mask, seed, method, given.kept_out)
                    except (RuntimeError, FileNotFoundError) as problem:
                        print(f"{method} did not run: {str(problem)[-300:]}", file=sys.stderr)
                        continue
                    results.add(**key, **row)
    report(results, given.kept_out)


if __name__ == "__main__":
    main()

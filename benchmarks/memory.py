"""Peak memory of embed, impute and detect on a large table; are rows scored as in a small one?


    python benchmarks/memory.py [--rows 1000000] [--tasks embed impute detect]

The table has 20 columns, 16 of numbers and 4 of categories, with 10 % of its cells missing. The
model is fitted on its first 5,000 rows; the first 500 rows are worked on alone, for comparison.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from common import Results, machine, progress

COLUMNS, CATEGORIES, GAPS = 20, 4, 0.1
FITTED, ALONE, ROWS_PER_PART = 5000, 500, 100_000


def write_table(path: Path, rows: int) -> None:
    """A CSV file, part by part."""
    mixing = np.random.default_rng(0).normal(size=(4, COLUMNS))
    for start in range(0, rows, ROWS_PER_PART):
        rng = np.random.default_rng([1, start])
        count = min(ROWS_PER_PART, rows - start)
        x = rng.normal(size=(count, 4)) @ mixing + 0.3 * rng.normal(size=(count, COLUMNS))
        part = pd.DataFrame(x.round(3)).add_prefix("x").astype(object)
        for j in range(CATEGORIES):
            part[f"x{j}"] = np.array(["low", "mid", "high"])[np.digitize(x[:, j], [-1, 1])]
        part = part.mask(rng.random(part.shape) < GAPS)
        part.to_csv(path, mode="a" if start else "w", header=not start, index=False)


def run(folder: Path, *arguments: str) -> tuple[float, float]:
    """Seconds and peak MB of a command in a process of its own."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "tabvae_cli.main", *arguments], cwd=folder)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(arguments)} failed")
    return time.perf_counter() - started, used.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    tasks = ("embed", "impute", "detect")
    parser.add_argument("--tasks", nargs="+", default=tasks, choices=tasks)
    given = parser.parse_args()
    print(machine())
    results = Results("memory", ("task", "rows"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "all.csv", given.rows)
        for part, rows in (("fitted", FITTED), ("alone", ALONE)):
            pd.read_csv(folder / "all.csv", dtype=str, keep_default_na=False, nrows=rows).to_csv(
                folder / f"{part}.csv", index=False
            )
        run(folder, "fit", "fitted.csv", "-o", "m.tabvae", "--effort", "fast")
        for task in given.tasks:
            progress(f"{task}: {given.rows} rows")
            run(folder, task, "alone.csv", "-o", "small.csv", "--force")
            seconds, peak = run(folder, task, "all.csv", "-o", "large.csv", "--force")
            small, large = (
                pd.read_csv(folder / f"{size}.csv", nrows=ALONE).select_dtypes("number")
                for size in ("small", "large")
            )
            with (folder / "large.csv").open() as lines:
                assert sum(1 for _ in lines) == given.rows + 1
            results.add(
                task=task,
                rows=given.rows,
                seconds=seconds,
                megabytes=peak,
                input_megabytes=(folder / "all.csv").stat().st_size / 2**20,
                difference=float(np.nanmax(np.abs(small.to_numpy() - large.to_numpy()))),
            )
    print(results.frame().drop(columns=["date", "commit"]).to_string())


if __name__ == "__main__":
    main()

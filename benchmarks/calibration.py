"""Does ``--fpr`` mean what it says? Clean rows that no network saw, of ten tables.

    python benchmarks/calibration.py                 # 10 tables, 5 splits, 300, 600 and 2,000 rows
    python benchmarks/calibration.py --tables concrete --rows 300 --effort default

Of each split a model is fitted to so many rows, and as many others as there are, 2,000 at most, are
scored: which share has a p-value of at most .01, .05, .1, and does a count of that size agree with
what was asked (the central 95 % of a binomial distribution whose share is itself uncertain by the
rows calibrated on: a beta-binomial one, Vovk 2012)?
"""

from __future__ import annotations

import argparse
import warnings

import pandas as pd
from common import Results, load, machine, progress
from scipy.stats import betabinom
from tables import NINE

from tabvae import TabVAE

TABLES = (*NINE, "breast_cancer")
ASKED = (0.01, 0.05, 0.1)
MOST_TEST_ROWS, FEWEST_TEST_ROWS = 2000, 200
SPLITS = 5


def within(flagged: int, rows: int, calibrated: int, asked: float) -> bool:
    """Whether so many of the rows may be flagged by chance."""
    a = asked * (calibrated + 1)
    low, high = betabinom.ppf((0.025, 0.975), rows, a, calibrated + 1 - a)
    return bool(low <= flagged <= high)


def measure(name: str, rows: int, split: int, effort: str) -> dict[str, float]:
    frame = load(name).sample(frac=1, random_state=split).reset_index(drop=True)
    train, test = frame[:rows], frame[rows : rows + MOST_TEST_ROWS]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = TabVAE(effort=effort, seed=split).fit(train)
        p_values = model.detect(test)["p_value"].to_numpy()
    calibrated = model.fitted_.card.calibrations["surprise"].rows
    found: dict[str, float] = {"test": len(test), "calibrated": calibrated}
    for asked in ASKED:
        flagged = int((p_values <= asked).sum())
        found[f"flagged {asked}"] = flagged / len(test)
        found[f"within {asked}"] = within(flagged, len(test), calibrated, asked)
    return found


def report(frame: pd.DataFrame) -> None:
    """Means over tables and splits, and the share of the splits within bounds."""
    columns = [f"{what} {asked}" for asked in ASKED for what in ("flagged", "within")]
    print(frame.groupby("rows")[columns].mean().round(4).to_string())
    print(frame.groupby("table")[columns].mean().round(4).to_string())
    for asked in ASKED:
        ratio = frame[f"flagged {asked}"].mean() / asked
        print(f"asked {asked}: {ratio:.2f} times, {frame[f'within {asked}'].mean():.0%} within")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--rows", nargs="+", type=int, default=[300, 600, 2000])
    parser.add_argument("--splits", type=int, default=SPLITS)
    parser.add_argument("--effort", default="fast", choices=("fast", "default"))
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("calibration", ("table", "rows", "split", "effort"))
    for split in range(given.splits):
        for rows in given.rows:
            for name in given.tables:
                key = {"table": name, "rows": rows, "split": split, "effort": given.effort}
                if len(load(name)) < rows + FEWEST_TEST_ROWS:
                    continue
                if results.has(**key) and not given.again:
                    continue
                progress(f"{name}, {rows} rows, split {split}")
                results.add(**key, **measure(name, rows, split, given.effort))
    frame = results.frame()
    report(frame[frame["effort"] == given.effort])


if __name__ == "__main__":
    main()

"""Are imputation's draws honest? Intervals, probabilities and correlations on hidden cells.

python benchmarks/draws.py [--tables concrete ...] [--masks mcar30] [--draws 20] [--again]

coverage      share of hidden numbers within the middle 90 % of their draws (asked: 85 to 95 %)
ideal         the same of one more draw in the number's stead: more than 90 % where values repeat
crps          continuous ranked probability score of the draws, fair to their number (Ferro 2014),
              in standard deviations of the column; of a single guess it is the absolute error
ece           expected calibration error of hidden categories' probabilities, ten bins of the
              largest one (Guo et al. 2017; asked: below 0.05)
ece of draws  the same of their shares of the draws; of a few that are exactly right it is not 0
correlation   mean absolute error of the numbers' correlation matrix, mean over the draws
missforest    the same of missForest's one completed table (asked: draws below this)
single        the same of tabvae's point imputation
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from common import Results, as_numbers, categorical_columns, load, machine, masked, progress
from impute import MASKS, TABLES, peer
from masks import hide

from tabvae import TabVAE

MIDDLE = 0.9
CONFIDENCE_BINS = 10


def correlation_error(
    truth: pd.DataFrame, filled: pd.DataFrame, categorical: tuple[str, ...]
) -> float:
    """Mean absolute error of the correlations between numeric columns."""
    numbers = [c for c in truth.columns if c not in categorical]
    pairs = np.triu_indices(len(numbers), 1)
    wanted, found = (
        frame[numbers].astype(float).corr().to_numpy()[pairs] for frame in (truth, filled)
    )
    return float(np.nanmean(np.abs(wanted - found)))


def coverage(truth: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """(n,) whether each number lies within the middle of its draws, (n, draws)."""
    # Of m draws the order statistics split the line into m + 1 parts of equal probability.
    count = draws.shape[1]
    outside = round((1 - MIDDLE) / 2 * (count + 1))
    ordered = np.sort(draws, axis=1)
    return (ordered[:, outside - 1] <= truth) & (truth <= ordered[:, count - outside])


def ranked_score(truth: np.ndarray, draws: np.ndarray) -> float:
    """Mean absolute error of the draws less half the mean difference between two of them."""
    count = draws.shape[1]
    apart = np.sort(draws, axis=1) @ (2 * np.arange(1, count + 1) - count - 1)
    wrong = np.abs(draws - truth[:, None]).mean(1)
    return float((wrong - apart / (count * (count - 1))).mean())


def calibration_error(truth: np.ndarray, values: np.ndarray, shares: np.ndarray) -> float:
    """Of the value with the largest share, (n, values), and that share as confidence."""
    confidence, right = shares.max(1), values[shares.argmax(1)] == truth
    bins = np.minimum((confidence * CONFIDENCE_BINS).astype(int), CONFIDENCE_BINS - 1)
    gaps = [
        (bins == b).mean() * abs(confidence[bins == b].mean() - right[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(np.sum(gaps))


def measure(name: str, mask: str, draws: int) -> dict[str, float]:
    frame = load(name, TABLES[name])
    categorical = categorical_columns(name, frame)
    hidden = hide(frame, mask[:-2], int(mask[-2:]) / 100, 0)
    truth = as_numbers(frame)
    given = masked(truth, hidden)
    model = TabVAE(categorical=categorical).fit(given)
    filled = model.impute(given, draws=draws + 1)
    parts = [part.drop(columns="draw") for _, part in filled.groupby("draw")]
    each, another = parts[:draws], parts[draws]
    numbers, errors = [], []
    for j, column in enumerate(truth.columns):
        scored = hidden[:, j] & frame[column].notna().to_numpy()
        if not scored.any():
            continue
        known = truth[column].to_numpy(float)[scored]
        drawn = np.stack([one[column].to_numpy(float)[scored] for one in each], axis=1)
        if column in categorical:
            values = np.unique(drawn)
            shares = np.stack([(drawn == v).mean(1) for v in values], axis=1)
            probable = model.probabilities(given, column)
            named = np.array([float(name.rpartition("=")[2]) for name in probable])
            expected = calibration_error(known, named, probable.to_numpy()[scored])
            errors.append((expected, calibration_error(known, values, shares)))
        else:
            own = another[column].to_numpy(float)[scored]
            score = ranked_score(known, drawn) / truth[column].std()
            numbers.append((coverage(known, drawn).mean(), coverage(own, drawn).mean(), score))
    calibration = np.mean(errors, axis=0) if errors else np.full(2, np.nan)
    inside, ideal, crps = np.mean(numbers, axis=0) if numbers else np.full(3, np.nan)
    forest, _ = peer("missforest", given, categorical)
    return {
        "coverage": float(inside),
        "ideal": float(ideal),
        "crps": float(crps),
        "ece": float(calibration[0]),
        "ece of draws": float(calibration[1]),
        "correlation": float(np.mean([correlation_error(truth, e, categorical) for e in each])),
        "missforest": correlation_error(truth, forest, categorical),
        "single": correlation_error(truth, model.impute(given), categorical),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--masks", nargs="+", default=["mcar30"], choices=MASKS)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("draws", ("table", "mask"))
    for mask in given.masks:
        for name in given.tables:
            if results.has(table=name, mask=mask) and not given.again:
                continue
            progress(f"{name} {mask}")
            results.add(table=name, mask=mask, **measure(name, mask, given.draws))
    frame = results.frame().set_index(["table", "mask"]).drop(columns=["date", "commit"])
    print(frame.round(3).to_string())


if __name__ == "__main__":
    main()

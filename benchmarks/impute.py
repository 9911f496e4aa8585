"""Imputation floors: MCAR 30 %, in-sample and on rows kept out of ``fit``.

python benchmarks/impute.py [TABLE ...]
"""

from __future__ import annotations

import sys
import time

import numpy as np
from common import categorical_columns, hide_at_random, imputation_error, load, machine, masked

from tabvae import TabVAE

FLOORS = {"concrete": (0.60, None), "obesity": (0.73, 0.12), "california": (0.51, 0.18)}
SHARE_HIDDEN = 0.3
SHARE_KEPT_OUT = 0.3


def in_sample(name: str, effort: str, seed: int = 0) -> tuple[float, float, float]:
    """Numeric error, categorical error, and seconds of fit plus impute."""
    truth = load(name)
    categorical = categorical_columns(name, truth)
    hidden = hide_at_random(truth, SHARE_HIDDEN, seed)
    table = masked(truth, hidden)
    started = time.perf_counter()
    model = TabVAE(effort=effort, categorical=categorical, seed=seed).fit(table)
    filled = model.impute(table)
    seconds = time.perf_counter() - started
    return *imputation_error(truth, filled, hidden, categorical), seconds


def kept_out(name: str, effort: str, seed: int = 0) -> tuple[float, float]:
    """Errors on rows the model was not fitted on."""
    truth = load(name)
    categorical = categorical_columns(name, truth)
    hidden = hide_at_random(truth, SHARE_HIDDEN, seed)
    table = masked(truth, hidden)
    out = np.random.default_rng(seed + 1).random(len(truth)) < SHARE_KEPT_OUT
    model = TabVAE(effort=effort, categorical=categorical, seed=seed).fit(table[~out])
    filled = model.impute(table[out])
    return imputation_error(truth[out], filled, hidden[out], categorical)


def main() -> None:
    names = sys.argv[1:] or list(FLOORS)
    print(machine())
    print(f"{'table':12} {'floor':>14} {'in-sample':>14} {'kept out':>14} {'fit+impute':>10}")
    for name in names:
        numeric, error, seconds = in_sample(name, "default")
        out_numeric, out_error = kept_out(name, "default")
        floor = " / ".join(f"{f:.2f}" for f in FLOORS.get(name, ()) if f)
        print(
            f"{name:12} {floor:>14} {numeric:.3f} / {error:.3f}  {out_numeric:.3f} / "
            f"{out_error:.3f}  {seconds:8.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()

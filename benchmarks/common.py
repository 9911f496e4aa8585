"""What the benchmarks share: tables, masks, scores, and the line about the machine."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import date
from pathlib import Path

import numpy as np
import pandas as pd

DATA = Path(os.environ.get("TABVAE_BENCH_DATA", "../shared/data"))

CATEGORICAL = {
    "obesity": (
        "Gender",
        "family_history_with_overweight",
        "FAVC",
        "CAEC",
        "SMOKE",
        "SCC",
        "CALC",
        "MTRANS",
        "NObeyesdad",
    ),
    "bike": ("Seasons", "Holiday", "Functioning Day"),
    "california": ("ocean_proximity",),
}


def load(name: str, rows: int | None = None) -> pd.DataFrame:
    """A table of ``DATA/tables``, gaps as NaN."""
    frame = pd.read_csv(DATA / "tables" / f"{name}.csv", skipinitialspace=True, na_values="?")
    return frame.head(rows) if rows else frame


def categorical_columns(name: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns scored by error rate: those known to be codes, and all that hold text."""
    text = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
    return tuple(dict.fromkeys([*CATEGORICAL.get(name, ()), *text]))


def hide_at_random(frame: pd.DataFrame, share: float, seed: int) -> np.ndarray:
    """MCAR: each cell is hidden with probability ``share``."""
    return np.random.default_rng(seed).random(frame.shape) < share


def masked(frame: pd.DataFrame, hidden: np.ndarray) -> pd.DataFrame:
    """``frame`` with the hidden cells missing."""
    return frame.astype(object).mask(hidden).infer_objects()


def imputation_error(
    truth: pd.DataFrame, filled: pd.DataFrame, hidden: np.ndarray, categorical: tuple[str, ...]
) -> tuple[float, float]:
    """Mean over columns of RMSE/sd (numbers) and of the error rate (categories)."""
    rmse, errors = [], []
    for j, name in enumerate(truth.columns):
        scored = hidden[:, j] & truth[name].notna().to_numpy()
        if not scored.any():
            continue
        if name in categorical:
            same = truth[name][scored].astype(object) == filled[name][scored].astype(object)
            errors.append(1 - same.mean())
        else:
            difference = truth[name][scored].astype(float) - filled[name][scored].astype(float)
            rmse.append(np.sqrt((difference**2).mean()) / truth[name].astype(float).std())
    return float(np.mean(rmse)) if rmse else np.nan, float(np.mean(errors)) if errors else np.nan


def machine() -> str:
    """Date, commit, processor and versions, for the record."""
    import torch

    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{date.today()}, commit {commit or 'none'}, {cpu}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )

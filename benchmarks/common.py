"""What the benchmarks share: tables, masks, scores, and the line about the machine."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import zlib
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn import datasets

DATA = Path(os.environ.get("TABVAE_BENCH_DATA", "../shared/data"))
HERE = Path(__file__).parent
PEERS = HERE.parent / ".peers"
"""Virtual environments of the peers, made by ``make peers``."""

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
    "wine": ("target",),
    "breast_cancer": ("target",),
}
BUNDLED = {
    "wine": datasets.load_wine,
    "diabetes": datasets.load_diabetes,
    "breast_cancer": datasets.load_breast_cancer,
}
"""Tables of scikit-learn."""


def load(name: str, rows: int | None = None) -> pd.DataFrame:
    """A table of ``DATA/tables``, gaps as NaN; at most ``rows`` of it, chosen at random."""
    if name in BUNDLED:
        return BUNDLED[name](as_frame=True).frame
    frame = pd.read_csv(DATA / "tables" / f"{name}.csv", skipinitialspace=True, na_values="?")
    if name == "mpg":
        frame = frame.drop(columns="name")  # nearly every car has its own
    flags = frame.select_dtypes("bool").columns
    frame = frame.astype(dict.fromkeys(flags, str))
    if rows is None or rows >= len(frame):
        return frame
    return frame.sample(rows, random_state=0).reset_index(drop=True)


def half_of(name: str) -> str:
    """``A`` or ``B``, by a hash of the name of a table or set: what is chosen is chosen on half A,
    and judged on half B."""
    return "AB"[zlib.crc32(name.encode()) % 2]


def halves(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to learn and untouched ones, equally many."""
    if name == "adult":
        return load("adult_train_half"), load("adult_holdout_half")
    frame = load(name).sample(frac=1, random_state=0).reset_index(drop=True)
    half = len(frame) // 2
    return frame[:half], frame[half : 2 * half].reset_index(drop=True)


def categorical_columns(name: str, frame: pd.DataFrame) -> tuple[str, ...]:
    """The columns scored by error rate: those known to be codes, and all that hold text."""
    text = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
    return tuple(dict.fromkeys([*CATEGORICAL.get(name, ()), *text]))


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
            spread = truth[name].astype(float).std()
            difference = truth[name][scored].astype(float) - filled[name][scored].astype(float)
            if spread > 0:
                rmse.append(np.sqrt((difference**2).mean()) / spread)
    return float(np.mean(rmse)) if rmse else np.nan, float(np.mean(errors)) if errors else np.nan


def as_numbers(frame: pd.DataFrame) -> pd.DataFrame:
    """Numbers as they are, everything else as codes; gaps as NaN."""
    columns = {}
    for name in frame.columns:
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values):
            codes = pd.Categorical(values).codes.astype(float)
            values = pd.Series(np.where(codes < 0, np.nan, codes), frame.index)
        columns[name] = values.astype(float)
    return pd.DataFrame(columns)


def commit() -> str:
    """The commit that is checked out."""
    done = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "none"


class Results:
    """A file of JSON lines, one for each thing measured, so that a long benchmark can go on.

    Args:
        name: of the file in ``benchmarks/results``.
        keys: the fields that say what was measured; a later line replaces an earlier one.
    """

    def __init__(self, name: str, keys: tuple[str, ...]) -> None:
        self.path = HERE / "results" / f"{name}.jsonl"
        self.keys = keys
        lines = self.path.read_text().splitlines() if self.path.exists() else []
        rows = [json.loads(line) for line in lines]
        self.rows = {self._key(row): row for row in rows}

    def _key(self, row: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(row[k] for k in self.keys)

    def has(self, **key: object) -> bool:
        return self._key(key) in self.rows

    def add(self, **row: object) -> None:
        row |= {"date": str(date.today()), "commit": commit()}
        self.rows[self._key(row)] = row
        self.path.parent.mkdir(exist_ok=True)
        self.path.write_text("".join(json.dumps(r) + "\n" for r in self.rows.values()))

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(list(self.rows.values()))


def progress(text: str) -> None:
    """What runs now, on standard error."""
    print(f"{datetime.now():%H:%M:%S} {text}", file=sys.stderr, flush=True)


def machine() -> str:
    """Date, commit, processor and versions, for the record."""
    import torch

    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return (
        f"{date.today()}, commit {commit()}, {cpu}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )

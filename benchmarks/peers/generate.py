"""Rows made by TVAE or CTGAN, in an environment of its own.

    python generate.py tvae|ctgan TRAIN.parquet OUT.parquet [--epochs 300]

Gaps: a word of their own in categories, gaps again in the result; the median in numbers. Writes as
many rows as the training table has and prints the seconds of fitting.
"""

from __future__ import annotations

import argparse
import time
import warnings

import pandas as pd
import torch
from ctgan import CTGAN, TVAE

GAP = "?"


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("method", choices=("tvae", "ctgan"))
    parser.add_argument("train")
    parser.add_argument("out")
    parser.add_argument("--epochs", type=int, default=300)
    given = parser.parse_args()
    torch.manual_seed(0)
    frame = pd.read_parquet(given.train)
    categories = [c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c])]
    numbers = frame.columns.difference(categories)
    frame[numbers] = frame[numbers].fillna(frame[numbers].median())
    frame[categories] = frame[categories].astype(object).fillna(GAP)
    model = {"tvae": TVAE, "ctgan": CTGAN}[given.method](epochs=given.epochs)
    started = time.perf_counter()
    model.fit(frame, categories)
    seconds = time.perf_counter() - started
    rows = model.sample(len(frame))
    words = rows[categories].astype(str)
    rows[categories] = words.mask(words == GAP)
    rows.to_parquet(given.out)
    print(f"{seconds:.2f}")


if __name__ == "__main__":
    main()

"""PCA and UMAP coordinates, made in an environment of their own.

    python embed.py TRAIN.parquet TEST.parquet FOLDER DIMENSIONS [pca] [umap]

Numbers become normal scores by their quantiles, gaps their median; categories become one column
each, a gap is one of them. FOLDER gets these columns as ``raw.npz`` and the coordinates of each
method that is asked for, with the rows of both tables; the seconds of each are printed.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, QuantileTransformer
from umap import UMAP


def columns() -> object:
    """Mixed columns as numbers of like size."""
    numbers = make_pipeline(
        SimpleImputer(strategy="median"), QuantileTransformer(output_distribution="normal")
    )
    categories = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include=np.number)),
        (categories, make_column_selector(dtype_exclude=np.number)),
    )


def main() -> None:
    warnings.simplefilter("ignore")
    train, test, folder, dimensions, *methods = sys.argv[1:]
    codec = columns()
    raw = codec.fit_transform(pd.read_parquet(train))
    new = codec.transform(pd.read_parquet(test))
    np.savez(Path(folder) / "raw.npz", train=raw, test=new)
    known = {
        "pca": PCA(int(dimensions), random_state=0),
        "umap": UMAP(n_components=int(dimensions), random_state=0),
    }
    for name in methods:
        method = known[name]
        started = time.perf_counter()
        z = method.fit_transform(raw)
        np.savez(Path(folder) / f"{name}.npz", train=z, test=method.transform(new))
        print(f"{name} {time.perf_counter() - started:.2f}")


if __name__ == "__main__":
    main()

"""Columns of few whole numbers, of which nobody says whether they are labels: how they are filled.

    python benchmarks/labels.py [--tables ...] [--methods ...]

30 % of the cells are hidden (MCAR). Scores of each column with 3 to 20 whole numbers: the share
that is wrong, and RMSE/sd of the same cells as numbers. missForest is told that all of these are
categories, or that none is. "numbers" is ours when told that all are numbers. 3,000 rows at random.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from common import Results, as_numbers, categorical_columns, load, machine, masked, progress
from impute import peer
from masks import hide
from sklearn import datasets

from tabvae import TabVAE

TABLES = (
    *("wine", "wine_white", "obesity", "bike", "shoppers", "titanic", "mpg", "concrete"),
    *("beijing_pm25", "adult_train_half", "digits"),
)
METHODS = ("tabvae", "tabvae, numbers", "missforest, categories", "missforest, numbers")
MOST_VALUES, ROWS = 20, 3000


def table(name: str) -> pd.DataFrame:
    if name == "digits":
        pixels = datasets.load_digits(as_frame=True).frame
        kept = [c for c in pixels if c == "target" or pixels[c].std() > 4]
        return pixels[kept]
    return load(name, ROWS)


def filled(method: str, name: str, cells: pd.DataFrame, whole: list[str]) -> pd.DataFrame:
    text = [c for c in categorical_columns(name, table(name)) if c not in whole]
    if method.startswith("missforest"):
        told = [*text, *whole] if method.endswith("categories") else text
        return peer("missforest", cells, tuple(told))[0]
    numbers = whole if method.endswith("numbers") else []
    return TabVAE(categorical=text, numeric=numbers, seed=0).fit(cells).impute(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    asked = parser.parse_args()
    results = Results("labels", ("table", "column", "method"))
    for name in asked.tables:
        frame = table(name)
        truth = as_numbers(frame)
        hidden = hide(frame, "mcar", 0.3, 0)
        whole = [
            c
            for c in truth
            if 2 < truth[c].nunique() <= MOST_VALUES
            and (truth[c].dropna() % 1 == 0).all()
            and pd.api.types.is_numeric_dtype(frame[c])
        ]
        for method in asked.methods:
            if not whole or results.has(table=name, column=whole[0], method=method):
                continue
            found = filled(method, name, masked(truth, hidden), whole)
            for column in whole:
                scored = hidden[:, truth.columns.get_loc(column)] & truth[column].notna().to_numpy()
                meant = truth[column][scored].to_numpy(float)
                values = pd.to_numeric(found[column][scored]).to_numpy(float)
                occurring = np.sort(truth[column].dropna().unique())
                nearest = occurring[np.abs(values[:, None] - occurring).argmin(1)]
                results.add(
                    table=name,
                    column=column,
                    method=method,
                    wrong=float((nearest != meant).mean()),
                    rmse=float(np.sqrt(((values - meant) ** 2).mean()) / truth[column].std()),
                )
            progress(f"{name}: {method}")
    print(machine())
    shown = results.frame().pivot_table(
        index=["table", "column"], columns="method", values=["wrong", "rmse"]
    )
    print(shown.round(3).to_string())


if __name__ == "__main__":
    main()

"""Does detection name the cell that was tampered with? One cell of each row, on real tables.

    python benchmarks/explain.py [--tables adult ...]

Half of each table is learned. In rows of the other half one cell becomes another row's value that
is unusual there, judged by the 50 rows that are nearest in the other columns: a number at least
three of their deviations from their mean, a word that none of them has. Printed is how often the
column is named first, and among the first three, beside chance.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from common import Results, as_numbers, halves, machine, progress
from sklearn.neighbors import NearestNeighbors

from tabvae import TabVAE

TABLES = ("adult", "california", "beijing_pm25")
ROWS, NEAR, DONORS, DEVIATIONS = 1000, 50, 100, 3.0


def tampered(frame: pd.DataFrame) -> tuple[pd.DataFrame, list[str]]:
    """Rows with one unusual cell each, and the column of that cell."""
    rng = np.random.default_rng(0)
    numbers = as_numbers(frame)
    standard = ((numbers - numbers.mean()) / numbers.std()).fillna(0.0)
    changed = frame.astype(object)
    rows, columns = [], []
    for name in frame.columns:
        others = standard.drop(columns=name).to_numpy()
        chosen = rng.permutation(np.flatnonzero(frame[name].notna()))[: ROWS // frame.shape[1] + 1]
        near = NearestNeighbors(n_neighbors=NEAR).fit(others).kneighbors(others[chosen])[1]
        for row, block in zip(chosen, near, strict=True):
            usual = frame[name].iloc[block].dropna()
            donors = frame[name].iloc[rng.integers(len(frame), size=DONORS)].dropna()
            if pd.api.types.is_numeric_dtype(frame[name]):
                odd = donors[np.abs(donors - usual.mean()) > DEVIATIONS * usual.std()]
            else:
                odd = donors[~donors.isin(usual)]
            if len(odd) and row not in rows:
                changed.iloc[row, frame.columns.get_loc(name)] = odd.iloc[0]
                rows.append(int(row))
                columns.append(name)
    return changed.iloc[rows].infer_objects(), columns


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    given = parser.parse_args()
    print(machine())
    results = Results("explain", ("table",))
    for table in given.tables:
        progress(table)
        train, other = halves(table)
        rows, columns = tampered(other)
        found = TabVAE().fit(train).detect(rows)
        hits = np.stack([found[f"column_{k}"].to_numpy() == np.array(columns) for k in (1, 2, 3)])
        results.add(
            table=table,
            rows=len(rows),
            first=float(hits[0].mean()),
            among_three=float(hits.any(0).mean()),
            chance=1 / train.shape[1],
        )
    print(results.frame().round(3).to_string(index=False))


if __name__ == "__main__":
    main()

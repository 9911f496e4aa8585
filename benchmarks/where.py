"""Generation with columns set: do the others follow the real conditional distribution?

    python benchmarks/where.py [--tables adult ...]

Half of each table is learned. A random row of the other half gives the values of one, two or five
random columns, if at least 500 rows there share them. As many rows are generated with ``where``,
and gradient boosting has to tell them from those, by the other columns. Printed is its AUC, and
the same of the rows of the training half that share the values, the floor.
"""

from __future__ import annotations

import argparse

import numpy as np
import pandas as pd
from common import Results, halves, machine, progress

from tabvae import TabVAE
from tabvae.tasks.synthetic import as_codes, detection_auc

TABLES = ("adult", "shoppers")
COLUMNS_SET, CONDITIONS, FEWEST, MOST, TRIES = (1, 2, 5), 3, 500, 5000, 10_000


def conditions(frame: pd.DataFrame, columns: int) -> list[dict[str, object]]:
    """Values of so many columns that enough rows of ``frame`` share."""
    rng = np.random.default_rng(columns)
    found: list[dict[str, object]] = []
    for _ in range(TRIES):
        names = rng.choice(frame.columns, columns, replace=False).tolist()
        values = frame.loc[rng.integers(len(frame)), names].to_dict()
        if values not in found and len(satisfying(frame, values)) >= FEWEST:
            found.append(values)
        if len(found) == CONDITIONS:
            break
    return found


def satisfying(frame: pd.DataFrame, values: dict[str, object]) -> pd.DataFrame:
    """The rows with these values, 5,000 at most."""
    same = (frame[list(values)] == pd.Series(values)).all(axis=1)
    return frame[same].head(MOST)


def auc(real: pd.DataFrame, rows: pd.DataFrame, values: dict[str, object]) -> float:
    """Of telling them apart by the columns that are not set."""
    (a, b), categorical = as_codes(*(f.drop(columns=list(values)) for f in (real, rows)))
    return detection_auc(a, b, categorical)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=TABLES, choices=TABLES)
    given = parser.parse_args()
    print(machine())
    results = Results("where", ("table", "condition"))
    for table in given.tables:
        train, other = halves(table)
        progress(f"{table}: fit")
        model = TabVAE().fit(train)
        for columns in COLUMNS_SET:
            for values in conditions(other, columns):
                real = satisfying(other, values)
                results.add(
                    table=table,
                    condition=", ".join(f"{name}={value}" for name, value in values.items()),
                    columns=columns,
                    rows=len(real),
                    auc=auc(real, model.generate(len(real), where=values, seed=1), values),
                    floor=auc(real, satisfying(train, values), values),
                )
    print(results.frame().drop(columns=["date", "commit"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()

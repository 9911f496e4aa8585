"""Runs the five commands, with no option but the file, and checks what users are promised.

    python benchmarks/contract.py [TABLE.csv ...]

For each table: rows and columns kept, observed cells unchanged, nothing missing in modelled
columns after ``impute``, imputed and generated cells of the column's kind, format and range,
categories only from those seen.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from common import DATA, machine

from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import Column, ColumnKind
from tabvae.values import arrow

NAMES = (
    "penguins",
    "titanic",
    "mpg",
    "california",
    "shoppers",
    "beijing_pm25",
    "adult_train_half",
    "obesity",
    "bike",
)
TWINS = ("penguins", "titanic", "mpg")
SAMPLES = Path(__file__).parent.parent / "sample_data"


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tabvae_cli.main", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def read(path: Path) -> pa.Table:
    if path.suffix == ".parquet":
        return pq.read_table(path)
    frame = pd.read_csv(path, dtype=str, keep_default_na=False)
    return pa.Table.from_pandas(frame, preserve_index=False)


def check_cells(column: Column, old: pa.Array, new: pa.Array) -> None:
    """``new`` cells are of the kind, format and range of the ``old`` ones."""
    if len(new) == 0 or not column.kind.modelled:
        return
    if column.kind.continuous:
        values = column.values(new)
        assert np.isfinite(values).all(), column.name
        assert values.min() >= column.minimum, column.name
        assert values.max() <= column.maximum, column.name
        if arrow.is_text(new.type) and column.kind is ColumnKind.NUMERIC:
            assert new.to_pylist() == column.numbers.write(column.numbers.snap(values)), column.name
    else:
        seen = set(arrow.to_text(old).to_pylist())
        assert set(arrow.to_text(new).to_pylist()) <= seen, column.name


def check(folder: Path, data: str) -> None:
    table = read(folder / data)
    suffix = Path(data).suffix
    schema = infer_schema(table)
    run(folder, "impute", "-o", "filled" + suffix)
    run(folder, "generate", "-n", "1000", "-o", "new" + suffix)
    filled, new = read(folder / ("filled" + suffix)), read(folder / ("new" + suffix))
    assert filled.column_names == new.column_names == table.column_names
    assert (len(filled), len(new)) == (len(table), 1000)
    for column in schema.columns:
        old, after, made = (arrow.flat(t.column(column.name)) for t in (table, filled, new))
        assert old.type == after.type == made.type or str(old.type) in str(after.type)
        gaps = arrow.missing_mask(old, arrow.DEFAULT_NA_VALUES)
        assert old.filter(pa.array(~gaps)).equals(after.filter(pa.array(~gaps))), column.name
        if column.kind.modelled:
            left = arrow.missing_mask(after, arrow.DEFAULT_NA_VALUES)
            assert not left.any(), column.name
        observed = old.filter(pa.array(~gaps))
        check_cells(column, observed, after.filter(pa.array(gaps)))
        made_gaps = arrow.missing_mask(made, arrow.DEFAULT_NA_VALUES)
        check_cells(column, observed, made.filter(pa.array(~made_gaps)))
    for command, first in (("embed", "z1"), ("detect", "score")):
        lines = run(folder, command).splitlines()
        assert lines[0].startswith(first)
        assert len(lines) == len(table) + 1
    card = json.loads(run(folder, "inspect", Path(data).stem + ".tabvae", "--json"))
    assert card["active_dimensions"] > 0


def main() -> None:
    print(machine())
    given = [Path(p) for p in sys.argv[1:]]
    paths = given or [DATA / "tables" / f"{name}.csv" for name in NAMES]
    if not given:
        paths += [SAMPLES / "shop_orders.csv", SAMPLES / "wine.csv"]
    with tempfile.TemporaryDirectory() as temporary:
        for path in paths:
            twin = path.stem in TWINS and not given
            for suffix in (".csv", ".parquet") if twin else (path.suffix,):
                folder = Path(temporary) / (path.stem + suffix)
                folder.mkdir()
                data = path.stem + suffix
                if suffix == path.suffix:
                    (folder / data).write_bytes(path.read_bytes())
                else:
                    pd.read_csv(path).to_parquet(folder / data)
                started = time.perf_counter()
                run(folder, "fit", data)
                fitted = time.perf_counter() - started
                check(folder, data)
                size = (folder / f"{path.stem}.tabvae").stat().st_size / 1e6
                total = time.perf_counter() - started
                print(
                    f"{data:26} fit {fitted:4.0f} s, all {total:4.0f} s, model {size:.1f} MB, "
                    "all checks hold",
                    flush=True,
                )


if __name__ == "__main__":
    main()

"""Results of a model beside real rows: rows kept as coordinates, synthetic rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.columns import arrow
from tabvae.columns.bins import ContinuousBins
from tabvae.errors import DataError
from tabvae.model import Model
from tabvae.tasks.coordinates import read_coordinates
from tabvae.tasks.embed import decode
from tabvae.tasks.quality import compare

BYTES_OF_A_COORDINATE = 4
FEWEST_ROWS = 10


def losses(
    model: Model, original: pa.Table, latents: pa.Table
) -> tuple[dict[str, float], dict[str, float]]:
    """What the rows at ``latents`` lose against the rows that were embedded.

    Args:
        model: the model.
        original: (N,) rows.
        latents: (N,) their coordinates z1..zk.

    Returns:
        For each numeric column its root mean squared error in deviations of the column, and for
        each categorical one the share of its cells that changed; over the observed cells.

    Raises:
        DataError: there are not as many coordinates as rows.
    """
    if original.num_rows != latents.num_rows:
        raise DataError(
            f"{latents.num_rows} coordinates are no embedding of {original.num_rows} rows",
            "compare with the file that was embedded",
        )
    codes = model.encode(original)
    z = read_coordinates(latents, model.networks.latent)
    restored = decode(model.projection, model.predictor, z)
    numbers: dict[str, float] = {}
    categories: dict[str, float] = {}
    for j, (column, coder) in enumerate(zip(model.codec.columns_, model.codec.bins_, strict=True)):
        known = codes.observed[:, j]
        if not known.any():
            continue
        if isinstance(coder, ContinuousBins):
            values = model.codec.snap(j, restored.values[known, j])
            wrong = (values - codes.values[known, j]) / coder.scale
            numbers[column.name] = float(np.sqrt(np.mean(wrong**2)))
        else:
            changed = restored.bins[known, j] != codes.bins[known, j]
            categories[column.name] = float(changed.mean())
    return numbers, categories


def bytes_per_row(model: Model, table: pa.Table) -> tuple[int, float]:
    """Bytes of a row as coordinates, and of its modelled columns in a Parquet file (zstd)."""
    sink = pa.BufferOutputStream()
    modelled = table.select([column.name for column in model.codec.columns_])
    pq.write_table(modelled, sink, compression="zstd")
    size = model.networks.latent * BYTES_OF_A_COORDINATE
    return size, sink.getvalue().size / max(table.num_rows, 1)


def compare_synthetic(model: Model, real: pa.Table, synthetic: pa.Table) -> dict[str, float]:
    """Scores of a synthetic table against real rows; see ``tabvae.tasks.quality.compare``.

    Raises:
        SchemaError: one of them lacks a column of the model.
        DataError: one of them has too few rows.
    """
    frames = []
    for table in (real, synthetic):
        model.schema.require(table.column_names)
        if table.num_rows < FEWEST_ROWS:
            raise DataError(f"{table.num_rows} rows are too few to compare, {FEWEST_ROWS} are not")
        frames.append(_as_frame(model, table))
    return compare(*frames)


def exact_copies(model: Model, real: pa.Table, synthetic: pa.Table) -> tuple[float, float]:
    """The share of synthetic rows that are real ones, and of real rows that occur more than once.

    The modelled columns are compared; gaps are equal to gaps.
    """
    hashes = [
        pd.util.hash_pandas_object(_as_frame(model, table), index=False)
        for table in (real, synthetic)
    ]
    return float(hashes[1].isin(hashes[0]).mean()), float(hashes[0].duplicated(keep=False).mean())


def _as_frame(model: Model, table: pa.Table) -> pd.DataFrame:
    """The modelled columns: numbers and dates as numbers, the rest as text, gaps as missing."""
    codes = model.encode(table)
    columns = {}
    for j, column in enumerate(model.codec.columns_):
        if column.kind.continuous:
            columns[column.name] = pd.Series(codes.values[:, j])
        else:
            texts = arrow.to_text(arrow.flat(table.column(column.name))).to_pandas()
            columns[column.name] = texts.astype(object).mask(codes.missing[:, j])
    return pd.DataFrame(columns)

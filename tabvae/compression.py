"""What is lost when rows are kept as coordinates, and what is saved."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.bins import ContinuousBins
from tabvae.embed import decode, latent_size
from tabvae.errors import DataError
from tabvae.fitted import Fitted

BYTES_OF_A_COORDINATE = 4


def losses(
    fitted: Fitted, original: pa.Table, latents: pa.Table
) -> tuple[dict[str, float], dict[str, float]]:
    """What the rows at ``latents`` lose against the rows that were embedded.

    Args:
        fitted: the model.
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
    codes = fitted.encode(original)
    restored = decode(fitted.learned.space, fitted.encoder, fitted.coordinates(latents))
    numbers: dict[str, float] = {}
    categories: dict[str, float] = {}
    for j, (column, coder) in enumerate(
        zip(fitted.encoder.columns_, fitted.encoder.bins_, strict=True)
    ):
        known = codes.observed[:, j]
        if not known.any():
            continue
        if isinstance(coder, ContinuousBins):
            values = fitted.encoder.snap(j, restored.values[known, j])
            wrong = (values - codes.values[known, j]) / coder.scale
            numbers[column.name] = float(np.sqrt(np.mean(wrong**2)))
        else:
            changed = restored.bins[known, j] != codes.bins[known, j]
            categories[column.name] = float(changed.mean())
    return numbers, categories


def bytes_per_row(fitted: Fitted, table: pa.Table) -> tuple[int, float]:
    """Bytes of a row as coordinates, and of its modelled columns in a Parquet file (zstd)."""
    sink = pa.BufferOutputStream()
    modelled = table.select([column.name for column in fitted.encoder.columns_])
    pq.write_table(modelled, sink, compression="zstd")
    size = latent_size(fitted.learned.space) * BYTES_OF_A_COORDINATE
    return size, sink.getvalue().size / max(table.num_rows, 1)

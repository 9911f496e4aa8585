"""The columns z1..zk of a table, and paths between two rows of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from tabvae.columns import arrow
from tabvae.columns.arrow import Floats
from tabvae.errors import DataError, SchemaError, shown

SMALLEST_SINE = 1e-6
"""Of the angle between two points; below it an arc is a line."""


def write_coordinates(z: Floats) -> pa.Table:
    """Columns z1..zk of coordinates (N, k)."""
    return pa.table({f"z{k + 1}": z[:, k] for k in range(z.shape[1])})


def read_coordinates(latents: pa.Table, size: int) -> Floats:
    """(N, size) the columns z1..zk.

    Raises:
        SchemaError: a coordinate is missing, or there are more than ``size``.
        DataError: a coordinate is not a finite number.
    """
    names = [f"z{k + 1}" for k in range(size)]
    for name in names:
        if name not in latents.column_names:
            raise SchemaError(
                f"no column {shown(name)}; the model has {size} coordinates",
                "'tabvae embed' writes them",
            )
    if f"z{size + 1}" in latents.column_names:
        raise SchemaError(
            f"the model has {size} coordinates, z1 to {names[-1]}, the table has more",
            "-m names the model that wrote them",
        )
    columns = [arrow.to_numbers(arrow.flat(latents.column(name))) for name in names]
    z = np.column_stack(columns)
    wrong = np.argwhere(~np.isfinite(z))
    if len(wrong):
        row, k = wrong[0]
        raise DataError(f"row {row + 1}: {names[k]} is not a finite number")
    return z


def path(first: Floats, last: Floats, t: Floats, spherical: bool) -> Floats:
    """(n, latent) points at shares ``t`` (n,) of the way from ``first`` to ``last`` (latent,)."""
    start, end = 1 - t, t
    norms = float(np.linalg.norm(first) * np.linalg.norm(last))
    if spherical and norms > 0:
        angle = np.arccos(np.clip(first @ last / norms, -1, 1))
        if np.sin(angle) > SMALLEST_SINE:
            start, end = np.sin(start * angle) / np.sin(angle), np.sin(end * angle) / np.sin(angle)
    return start[:, None] * first + end[:, None] * last

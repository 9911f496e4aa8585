"""Embed: each row as its place on a map, and the picture of the table that the map is to keep."""

from __future__ import annotations

from typing import cast

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import QuantileTransformer

from tabvae.bins import CategoricalBins, Ints
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.mapping import Map

MOST_ROWS = 10_000
"""Rows that a map is drawn from."""
NEIGHBOURS = 15
MOST_QUANTILES = 1000

Picture = npt.NDArray[np.float32]
"""(N, G) rows as numbers whose Euclidean distances matter."""


def embed(chart: Map, codes: Codes) -> Floats:
    """(N, latent) coordinates; a row's coordinates depend on its observed cells alone."""
    return chart.coordinates(codes)


def picture(encoder: TableEncoder, filled: Codes) -> Picture:
    """Numbers as normal scores of their quantiles, categories as one column each.

    A value that many rows share at an end of its column, such as zero, lies far from the others.

    Args:
        encoder: knows the kind of each column.
        filled: (N, columns) rows without gaps.
    """
    parts: list[npt.NDArray[np.floating]] = []
    for j, coder in enumerate(encoder.bins_):
        if isinstance(coder, CategoricalBins):
            parts.append(np.eye(len(coder))[filled.bins[:, j]])
            continue
        values = np.where(filled.observed[:, [j]], filled.values[:, [j]], coder.center)
        quantiles = min(MOST_QUANTILES, len(values))
        normal = QuantileTransformer(n_quantiles=quantiles, output_distribution="normal")
        parts.append(normal.fit_transform(values))
    return np.concatenate(parts, axis=1).astype(np.float32)


def neighbours(seen: Picture) -> Ints:
    """(N, k) the nearest other rows of each."""
    count = min(NEIGHBOURS, len(seen) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(seen).kneighbors(return_distance=False)
    return cast(Ints, nearest)


def lost(seen: Picture, dimensions: int) -> float:
    """Share of the variance that so many principal components leave out."""
    components = PCA(min(dimensions, *seen.shape)).fit(seen)
    return float(1 - components.explained_variance_ratio_.sum())

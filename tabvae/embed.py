"""Embed: each row as its place on a map, and what that map is to keep."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from tabvae.bins import CategoricalBins, Ints
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import batches
from tabvae.mapping import Landscape, Map

MOST_ROWS = 10_000
"""Rows that a map is drawn from."""
NEIGHBOURS = 15
END_SCORE = 5.0
"""Score of a value that many rows share at an end of its column."""


@torch.inference_mode()
def embed(chart: Map, encoder: TableEncoder, codes: Codes) -> Floats:
    """(N, latent) coordinates; a row's coordinates depend on its observed cells alone."""
    exact = Map(chart.owners, chart.straight.out_features)
    exact.load_state_dict(chart.state_dict())
    exact = exact.double()
    parts = [
        exact(torch.from_numpy(picture(encoder, block)), torch.from_numpy(block.observed))
        for block in (codes[rows] for rows in batches(len(codes)))
    ]
    return cast(Floats, torch.cat(parts).numpy())


def picture(encoder: TableEncoder, codes: Codes) -> Floats:
    """(N, G) rows as numbers whose Euclidean distances matter.

    Numbers as normal scores, categories as one column each. A value that many rows share at an
    end of its column, such as zero, lies far from the others.
    """
    parts: list[Floats] = []
    for j, coder in enumerate(encoder.bins_):
        bins = codes.bins[:, j]
        if isinstance(coder, CategoricalBins):
            parts.append(np.eye(len(coder))[bins])
            continue
        scores = coder.scores(coder.decode(bins, np.full(len(bins), 0.5)), bins)
        known = codes.observed[:, j]
        scores[known] = coder.scores(codes.values[known, j], bins[known])
        shared = coder.widths[bins] == 0
        scores[shared & (bins == 0)] = -END_SCORE
        scores[shared & (bins == len(coder) - 1)] = END_SCORE
        parts.append(scores[:, None])
    return np.concatenate(parts, axis=1)


def owners(encoder: TableEncoder) -> Ints:
    """(G,) the column each number of a picture belongs to."""
    widths = [len(b) if isinstance(b, CategoricalBins) else 1 for b in encoder.bins_]
    return np.repeat(np.arange(len(widths)), widths)


def landscape(encoder: TableEncoder, codes: Codes, filled: Codes, latent: int) -> Landscape:
    """What a map of the rows ``codes``, ``filled`` where they have gaps, is to keep."""
    pictures = picture(encoder, filled)
    count = min(NEIGHBOURS, len(pictures) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(pictures).kneighbors(return_distance=False)
    found = PCA(min(latent, *pictures.shape)).fit(pictures)
    components = np.zeros((latent, pictures.shape[1]))
    components[: len(found.components_)] = found.components_
    return Landscape(
        pictures=torch.from_numpy(pictures).float(),
        observed=torch.from_numpy(codes.observed),
        owners=torch.from_numpy(owners(encoder)),
        neighbours=torch.from_numpy(nearest),
        components=torch.from_numpy(components).float(),
        lost=float(1 - found.explained_variance_ratio_.sum()),
    )

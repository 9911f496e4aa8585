"""Embed: each row as its place on a map, the way back, and what that map is to keep."""

from __future__ import annotations

import copy
from typing import cast

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from tabvae.bins import CategoricalBins, Ints
from tabvae.cells import Floats
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, batches, put_expected
from tabvae.mapping import Landscape, Map

MOST_ROWS = 10_000
"""Rows that a map is drawn from."""
NEIGHBOURS = 15
SMALLEST_SINE = 1e-6
"""Of the angle between two points; below it an arc is a line."""
END_SCORE = 5.0
"""Score of a value that many rows share at an end of its column."""


Space = Map | Ensemble
"""Where rows have coordinates: on a map, or as the codes of a plain autoencoder."""


@torch.inference_mode()
def embed(space: Space, encoder: TableEncoder, codes: Codes) -> Floats:
    """(N, latent) coordinates of rows, which have no gaps unless ``space`` is an ensemble."""
    blocks = [codes[rows] for rows in batches(len(codes))]
    if isinstance(space, Ensemble):
        return np.concatenate([space.posterior(block)[0] for block in blocks])
    exact = _exact(space)
    parts = [exact(torch.from_numpy(picture(encoder, block))) for block in blocks]
    return cast(Floats, torch.cat(parts).numpy())


@torch.inference_mode()
def decode(space: Space, encoder: TableEncoder, z: Floats) -> Codes:
    """The rows at coordinates z (N, latent), every cell set."""
    codes = Codes.empty(len(z), len(encoder.sizes))
    for rows in batches(len(z)):
        block, places = codes[rows], z[rows]
        if isinstance(space, Ensemble):
            _put_likeliest(space, encoder, block, places)
        else:
            pictures = _exact(space).restore(torch.from_numpy(places))
            _read_pictures(encoder, block, pictures.numpy())
    return codes


def path(first: Floats, last: Floats, t: Floats, spherical: bool) -> Floats:
    """(n, latent) points at shares ``t`` (n,) of the way from ``first`` to ``last`` (latent,)."""
    start, end = 1 - t, t
    norms = float(np.linalg.norm(first) * np.linalg.norm(last))
    if spherical and norms > 0:
        angle = np.arccos(np.clip(first @ last / norms, -1, 1))
        if np.sin(angle) > SMALLEST_SINE:
            start, end = np.sin(start * angle) / np.sin(angle), np.sin(end * angle) / np.sin(angle)
    return start[:, None] * first + end[:, None] * last


def latent_size(space: Space) -> int:
    """Number of coordinates."""
    if isinstance(space, Ensemble):
        return space.nets[0].shape.latent
    return space.straight.out_features


def _exact(chart: Map) -> Map:
    """A copy in float64."""
    exact: Map = copy.deepcopy(chart).double()
    return exact


def _put_likeliest(ensemble: Ensemble, encoder: TableEncoder, codes: Codes, z: Floats) -> None:
    """Set every cell of ``codes`` in place to what the codes z (N, latent) say."""
    hidden = ensemble.hidden_from(z)
    for j in range(len(encoder.bins_)):
        put_expected(encoder, codes, j, np.arange(len(z)), ensemble.probabilities(hidden, j))


def _read_pictures(encoder: TableEncoder, codes: Codes, pictures: Floats) -> None:
    """Set every cell of ``codes`` in place to what ``pictures`` (N, G) show."""
    own = owners(encoder)
    for j, coder in enumerate(encoder.bins_):
        shown = pictures[:, own == j]
        if isinstance(coder, CategoricalBins):
            codes.bins[:, j] = shown.argmax(1)
        else:
            codes.bins[:, j], codes.values[:, j] = coder.at_scores(shown[:, 0])
    codes.observed[:] = True


def picture(encoder: TableEncoder, codes: Codes) -> Floats:
    """(N, G) complete rows as numbers whose Euclidean distances matter.

    Numbers as normal scores, categories as one column each. A value that many rows share at an
    end of its column, such as zero, lies far from the others.
    """
    parts: list[Floats] = []
    for j, coder in enumerate(encoder.bins_):
        bins = codes.bins[:, j]
        if isinstance(coder, CategoricalBins):
            parts.append(np.eye(len(coder))[bins])
            continue
        scores = coder.scores(codes.values[:, j], bins)
        shared = coder.widths[bins] == 0
        scores[shared & (bins == 0)] = -END_SCORE
        scores[shared & (bins == len(coder) - 1)] = END_SCORE
        parts.append(scores[:, None])
    return np.concatenate(parts, axis=1)


def owners(encoder: TableEncoder) -> Ints:
    """(G,) the column each number of a picture belongs to."""
    widths = [len(b) if isinstance(b, CategoricalBins) else 1 for b in encoder.bins_]
    return np.repeat(np.arange(len(widths)), widths)


def landscape(encoder: TableEncoder, codes: Codes, latent: int) -> Landscape:
    """What a map of the complete rows ``codes`` is to keep."""
    pictures = picture(encoder, codes)
    count = min(NEIGHBOURS, len(pictures) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(pictures).kneighbors(return_distance=False)
    found = PCA(min(latent, *pictures.shape)).fit(pictures)
    components = np.zeros((latent, pictures.shape[1]))
    components[: len(found.components_)] = found.components_
    return Landscape(
        pictures=torch.from_numpy(pictures).float(),
        neighbours=torch.from_numpy(nearest),
        components=torch.from_numpy(components).float(),
        lost=float(1 - found.explained_variance_ratio_.sum()),
    )

"""Embed: each row as its place on a map, the way back, and what that map is to keep."""

from __future__ import annotations

import copy
from typing import cast

import numpy as np
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from tabvae.columns.arrow import Floats, Ints
from tabvae.columns.bins import Bins, CategoricalBins, ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.tasks.projection import Projection, ProjectionTargets

MOST_ROWS = 10_000
"""Rows that a map is drawn from."""
NEIGHBOURS = 15
END_SCORE = 5.0
"""Score of a value that many rows share at an end of its column."""


@torch.inference_mode()
def embed(projection: Projection | None, predictor: Predictor, codes: Codes) -> Floats:
    """(N, latent) coordinates; a row's coordinates depend on its observed cells alone.

    Args:
        projection: the map; without one, the code of the first network is a row's place.
        predictor: networks and codec.
        codes: (N, columns) rows.
    """
    blocks = [codes[rows] for rows in batches(len(codes))]
    if projection is None:
        return np.concatenate([predictor.networks.posterior(block)[0] for block in blocks])
    exact = _exact(projection)
    parts = [exact(torch.from_numpy(picture(predictor, block))) for block in blocks]
    return cast(Floats, torch.cat(parts).numpy())


@torch.inference_mode()
def decode(projection: Projection | None, predictor: Predictor, z: Floats) -> Codes:
    """The rows at coordinates z (N, latent), every cell set."""
    codes = Codes.empty(len(z), len(predictor.codec.sizes))
    exact = None if projection is None else _exact(projection)
    for rows in batches(len(z)):
        block, places = codes[rows], z[rows]
        if exact is None:
            _put_likeliest(predictor, block, places)
        else:
            pictures = exact.restore(torch.from_numpy(places))
            _read_pictures(predictor.codec, block, pictures.numpy())
    return codes


def _exact(projection: Projection) -> Projection:
    """A copy in float64."""
    exact: Projection = copy.deepcopy(projection).double()
    return exact


def _put_likeliest(predictor: Predictor, codes: Codes, z: Floats) -> None:
    """Set every cell of ``codes`` in place to what the codes z (N, latent) say."""
    hidden = predictor.networks.represent_latent(z)
    for j in range(codes.bins.shape[1]):
        probabilities = predictor.networks.probabilities(hidden, j)
        predictor.put_expected(codes, j, np.arange(len(z)), probabilities)


def _read_pictures(codec: TableCodec, codes: Codes, pictures: Floats) -> None:
    """Set every cell of ``codes`` in place to what ``pictures`` (N, G) show."""
    own = owners(codec)
    for j, coder in enumerate(codec.bins_):
        shown = pictures[:, own == j]
        if isinstance(coder, CategoricalBins):
            codes.bins[:, j] = shown.argmax(1)
        else:
            codes.bins[:, j], codes.values[:, j] = coder.at_scores(shown[:, 0])
    codes.observed[:] = True


def picture(predictor: Predictor, codes: Codes) -> Floats:
    """(N, G) rows as numbers whose Euclidean distances matter.

    Numbers as normal scores, categories as one column each. A value that many rows share at an
    end of its column, such as zero, lies far from the others. An unobserved cell is where it is
    expected given the observed ones of its row.
    """
    gappy = np.flatnonzero(~codes.observed.all(1))
    hidden = predictor.networks.represent(codes[gappy], codes.observed[gappy])
    parts: list[Floats] = []
    for j, coder in enumerate(predictor.codec.bins_):
        line = _line(coder)
        shown = line[codes.bins[:, j]]
        if isinstance(coder, ContinuousBins):
            inside = codes.observed[:, j] & (np.abs(shown[:, 0]) < END_SCORE)
            bins = codes.bins[inside, j]
            shown[inside, 0] = coder.normal_scores(codes.values[inside, j], bins)
        unknown = np.flatnonzero(~codes.observed[gappy, j])
        probabilities = predictor.networks.probabilities([h[unknown] for h in hidden], j)
        shown[gappy[unknown]] = probabilities @ line
        parts.append(shown)
    return np.concatenate(parts, axis=1)


def _line(coder: Bins) -> Floats:
    """(bins, 1 or bins) each bin of a column as numbers of a picture."""
    if isinstance(coder, CategoricalBins):
        return np.eye(len(coder))
    scores = coder.normal_scores(coder.means, np.arange(len(coder)))
    shared = coder.widths == 0
    if shared[0]:
        scores[0] = -END_SCORE
    if shared[-1]:
        scores[-1] = END_SCORE
    return scores[:, None]


def owners(codec: TableCodec) -> Ints:
    """(G,) the column each number of a picture belongs to."""
    widths = np.where(codec.is_number, 1, codec.sizes)
    return np.repeat(np.arange(len(widths)), widths)


def projection_targets(predictor: Predictor, codes: Codes, latent: int) -> ProjectionTargets:
    """What a map of the rows ``codes`` is to keep."""
    pictures = picture(predictor, codes)
    count = min(NEIGHBOURS, len(pictures) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(pictures).kneighbors(return_distance=False)
    found = PCA(min(latent, *pictures.shape)).fit(pictures)
    components = np.zeros((latent, pictures.shape[1]))
    components[: len(found.components_)] = found.components_
    return ProjectionTargets(
        pictures=torch.from_numpy(pictures).float(),
        neighbours=torch.from_numpy(nearest),
        components=torch.from_numpy(components).float(),
        lost=float(1 - found.explained_variance_ratio_.sum()),
    )

"""Embed: each row as its place on a map, the way back, and what that map is to keep.

A row's *picture* is G numbers whose Euclidean distances matter; the map is drawn from pictures.
Coordinates travel as the columns z1..zk of a table.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from typing import cast

import numpy as np
import pyarrow as pa
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits

from tabvae.columns.arrays import Arrays
from tabvae.columns.bins import Bins, CategoricalBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import DataError, SchemaError, shown
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.tasks.projection import (
    Projection,
    ProjectionConfig,
    ProjectionTargets,
    fit_projection,
)
from tabvae.training.config import Settings, plan_for
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints

RowProjection = Projection | None
"""Where rows lie; ``None`` where the code of the first network is a row's place."""


@torch.inference_mode()
def embed(projection: RowProjection, predictor: Predictor, codes: Codes) -> Floats:
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
def decode(projection: RowProjection, predictor: Predictor, z: Floats) -> Codes:
    """The rows at coordinates z (N, latent), every cell set."""
    codes = Codes.empty(len(z), len(predictor.codec.sizes))
    exact = None if projection is None else _exact(projection)
    for rows in batches(len(z)):
        block, coordinates = codes[rows], z[rows]
        if exact is None:
            _put_likeliest(predictor, block, coordinates)
        else:
            pictures = exact.restore(torch.from_numpy(coordinates))
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
    columns = owners(codec)
    for j, bins in enumerate(codec.bins_):
        part = pictures[:, columns == j]
        if isinstance(bins, CategoricalBins):
            codes.bins[:, j] = part.argmax(1)
        else:
            codes.bins[:, j], codes.values[:, j] = bins.at_scores(part[:, 0])
    codes.observed[:] = True


def picture(
    predictor: Predictor, codes: Codes, config: ProjectionConfig = ProjectionConfig()
) -> Floats:
    """(N, G) rows as numbers whose Euclidean distances matter.

    Numbers as normal scores, categories as one column each. A value that many rows share at an
    end of its column, such as zero, lies far from the others. An unobserved cell is where it is
    expected given the observed ones of its row.
    """
    gappy = np.flatnonzero(~codes.observed.all(1))
    hidden = predictor.networks.represent(codes[gappy], codes.observed[gappy])
    parts: list[Floats] = []
    for j, bins in enumerate(predictor.codec.bins_):
        axis, part = _picture_of_column(bins, codes, j, config.end_score)
        unknown = np.flatnonzero(~codes.observed[gappy, j])
        probabilities = predictor.networks.probabilities([h[unknown] for h in hidden], j)
        part[gappy[unknown]] = probabilities @ axis  # (n, bins) @ (bins, width) -> (n, width)
        parts.append(part)
    return np.concatenate(parts, axis=1)


def _picture_of_column(bins: Bins, codes: Codes, j: int, end_score: float) -> tuple[Floats, Floats]:
    """(bins, width) each bin of column ``j`` as numbers of a picture, (N, width) its observed
    cells; the width is 1 of a number, the number of bins of a category."""
    if isinstance(bins, CategoricalBins):
        axis = np.eye(len(bins))
        return axis, axis[codes.bins[:, j]]
    scores = bins.normal_scores(bins.means, np.arange(len(bins)))
    shared = bins.widths == 0
    if shared[0]:
        scores[0] = -end_score
    if shared[-1]:
        scores[-1] = end_score
    axis = scores[:, None]
    part = axis[codes.bins[:, j]]
    inside = codes.observed[:, j] & (np.abs(part[:, 0]) < end_score)
    part[inside, 0] = bins.normal_scores(codes.values[inside, j], codes.bins[inside, j])
    return axis, part


def owners(codec: TableCodec) -> Ints:
    """(G,) the column each number of a picture belongs to."""
    widths = np.where(codec.is_number, 1, codec.sizes)
    return np.repeat(np.arange(len(widths)), widths)


def projection_from(arrays: Arrays, predictor: Predictor) -> RowProjection:
    """The projection in the arrays of a model, if its networks need one.

    Raises:
        ValueError, RuntimeError: it is one of other columns.
    """
    networks = predictor.networks
    if not networks.objective.variational:
        return None
    return Projection.from_arrays(arrays, len(owners(predictor.codec)), networks.latent)


def projection_targets(
    predictor: Predictor,
    codes: Codes,
    latent: int,
    config: ProjectionConfig = ProjectionConfig(),
) -> ProjectionTargets:
    """What a map with ``latent`` coordinates of the rows ``codes`` (N, columns) is to keep."""
    pictures = picture(predictor, codes, config)
    count = min(config.neighbours, len(pictures) - 1)
    nearest = NearestNeighbors(n_neighbors=count).fit(pictures).kneighbors(return_distance=False)
    pca = PCA(min(latent, *pictures.shape)).fit(pictures)
    components = np.zeros((latent, pictures.shape[1]))
    components[: len(pca.components_)] = pca.components_
    return ProjectionTargets(
        pictures=torch.from_numpy(pictures).float(),
        neighbours=torch.from_numpy(nearest),
        components=torch.from_numpy(components).float(),
        lost=float(1 - pca.explained_variance_ratio_.sum()),
    )


def coordinate_names(size: int) -> list[str]:
    """``z1..zk``.

    Examples:
        >>> coordinate_names(2)
        ['z1', 'z2']
    """
    return [f"z{k + 1}" for k in range(size)]


def write_coordinates(z: Floats) -> pa.Table:
    """Columns z1..zk of coordinates (N, k).

    Examples:
        >>> write_coordinates(np.zeros((1, 2))).to_pydict()
        {'z1': [0.0], 'z2': [0.0]}
    """
    return pa.table(dict(zip(coordinate_names(z.shape[1]), z.T, strict=True)))


def read_coordinates(latents: pa.Table, size: int) -> Floats:
    """(N, size) the columns z1..zk.

    Raises:
        SchemaError: a coordinate is missing, or there are more than ``size``.
        DataError: a coordinate is not a finite number.
    """
    names = coordinate_names(size)
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
    """(n, latent) points at shares ``t`` (n,) of the way from ``first`` to ``last`` (latent,).

    Args:
        first: where it begins.
        last: where it ends.
        t: from 0 to 1.
        spherical: on an arc about the origin (Shoemake 1985); of points in one direction, or
            opposite to each other, on a straight line.

    Examples:
        >>> path(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5]), True).round(3)
        array([[0.707, 0.707]])
    """
    start, end = 1 - t, t
    norms = float(np.linalg.norm(first) * np.linalg.norm(last))
    if spherical and norms > 0:
        angle = np.arccos(np.clip(first @ last / norms, -1, 1))
        smallest_sine = 1e-6  # below it the shares are quotients of rounding errors
        if np.sin(angle) > smallest_sine:
            start, end = np.sin(start * angle) / np.sin(angle), np.sin(end * angle) / np.sin(angle)
    return start[:, None] * first + end[:, None] * last


@contextmanager
def projecting(
    predictor: Predictor, codes: Codes, settings: Settings
) -> Iterator[Future[RowProjection]]:
    """Fit the projection on a thread of its own meanwhile, if there is one.

    A variational model's rows are projected, for its latent space keeps but what columns share. In
    ``ae`` and ``dae`` the code is made to restore the row: it is the row's place. Trees leave a
    core idle now and then, and the matrices of a projection are too small for two, as are those of
    everything else, whose threads would mostly wait for each other.
    """
    ended = threading.Event()
    alone = partial(torch.set_num_threads, 1)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(1, initializer=alone) as pool:
        try:
            if settings.objective.variational:
                codes = codes.at_most(ProjectionConfig().most_rows, settings.seed)
                targets = projection_targets(predictor, codes, settings.latent)
                steps = plan_for(settings, len(codes)).map_steps
                generator = torch.Generator().manual_seed(settings.seed)
                yield pool.submit(fit_projection, targets, steps, generator, ended)
            else:
                yield pool.submit(lambda: None)
        finally:
            ended.set()

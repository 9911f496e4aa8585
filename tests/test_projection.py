"""The map of rows: how it begins, what its training lowers, that a seed decides it."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from tabvae.tasks.projection import (
    Projection,
    ProjectionConfig,
    ProjectionTargets,
    _contrast,
    _start,
    _straight_back,
    fit_projection,
)

SIZE, LATENT = 4, 2
CONFIG = ProjectionConfig(width=16, depth=1, pairs=64)


def targets_of(pictures: np.ndarray, latent: int, lost: float | None = None) -> ProjectionTargets:
    """What ``projection_targets`` makes of pictures (N, G), with the ``lost`` share given."""
    pca = PCA(latent).fit(pictures)
    nearest = NearestNeighbors(n_neighbors=5).fit(pictures).kneighbors(return_distance=False)
    return ProjectionTargets(
        torch.from_numpy(pictures).float(),
        torch.from_numpy(nearest),
        torch.from_numpy(pca.components_).float(),
        float(1 - pca.explained_variance_ratio_.sum()) if lost is None else lost,
    )


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Rows in three groups."""
    rng = np.random.default_rng(0)
    centers = rng.normal(0, 4, (3, SIZE))
    return np.asarray(centers[rng.integers(3, size=200)] + rng.normal(size=(200, SIZE)))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def weights(projection: Projection) -> dict[str, Tensor]:
    return projection.state_dict()


@pytest.mark.parametrize("spread", [1.0, 3.0])
def test_a_map_begins_as_the_principal_components(pictures: np.ndarray, spread: float) -> None:
    targets = targets_of(pictures, LATENT)
    start = _start(targets, spread, generator(), CONFIG)
    with torch.no_grad():
        x = (targets.pictures - start.center) / start.spread
        straight = start.straight(x).numpy()
    assert straight[:, 0].std() == pytest.approx(spread, rel=1e-3)
    found = PCA(LATENT).fit_transform(pictures)
    for k in range(LATENT):
        assert abs(np.corrcoef(straight[:, k], found[:, k])[0, 1]) > 0.999


def test_the_linear_way_back_undoes_the_linear_view(pictures: np.ndarray) -> None:
    targets = targets_of(pictures, SIZE)
    start = _start(targets, 3.0, generator(), CONFIG)
    with torch.no_grad():
        x = (targets.pictures - start.center) / start.spread
        restored = _straight_back(start)(start.straight(x))
    torch.testing.assert_close(restored, targets.pictures, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("lost", [0.01, 0.9])
def test_training_restores_better_and_tells_neighbours_better_that_decide_alone(
    pictures: np.ndarray, lost: float
) -> None:
    targets = targets_of(pictures, LATENT, lost)
    maps = [fit_projection(targets, steps, generator(), config=CONFIG) for steps in (0, 150)]
    contrasts, errors = [], []
    for projection in maps:
        z = projection(targets.pictures)
        contrasts.append(float(_contrast(z, z[targets.neighbours[:, 0]])))
        errors.append(float((projection.restore(z) - targets.pictures).square().mean()))
    assert errors[1] < 0.5 * errors[0]
    if lost > CONFIG.most_lost:
        assert contrasts[1] < contrasts[0]


def test_a_seed_decides_the_map(pictures: np.ndarray) -> None:
    targets = targets_of(pictures, LATENT)
    one, again = (weights(fit_projection(targets, 5, generator(), config=CONFIG)) for _ in "ab")
    assert all(torch.equal(one[name], again[name]) for name in one)
    other = weights(fit_projection(targets, 5, torch.Generator().manual_seed(1), config=CONFIG))
    assert not torch.equal(one["straight.weight"], other["straight.weight"])


def test_fitting_leaves_the_random_numbers_of_others_alone(pictures: np.ndarray) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit_projection(targets_of(pictures, LATENT), 1, generator(), config=CONFIG)
    assert torch.equal(torch.rand(3), expected)


def test_a_fit_that_is_stopped_is_a_map_all_the_same(pictures: np.ndarray) -> None:
    targets, stop = targets_of(pictures, LATENT), threading.Event()
    stop.set()
    stopped = weights(fit_projection(targets, 1000, generator(), stop, CONFIG))
    begun = weights(fit_projection(targets, 0, generator(), config=CONFIG))
    assert all(torch.equal(stopped[name], begun[name]) for name in begun)


def test_coordinates_that_are_too_few_follow_neighbours_alone(pictures: np.ndarray) -> None:
    """The weight of what is restored changes the way there only where it counts."""
    for lost, follows in ((0.01, True), (0.9, False)):
        targets = targets_of(pictures, LATENT, lost)
        light, heavy = (
            fit_projection(
                targets, 3, generator(), config=ProjectionConfig(restoring=r, clip=1e9)
            ).straight.weight
            for r in (0.1, 10.0)
        )
        assert torch.equal(light, heavy) != follows


def test_rows_that_are_all_alike_have_finite_coordinates() -> None:
    alike = np.ones((20, SIZE))
    nearest = torch.arange(20).roll(1)[:, None]
    targets = ProjectionTargets(
        torch.from_numpy(alike).float(), nearest, torch.eye(SIZE)[:LATENT], lost=0.0
    )
    projection = fit_projection(targets, 3, generator(), config=CONFIG)
    projection.check()
    z = projection(targets.pictures)
    assert torch.isfinite(z).all()
    assert torch.isfinite(projection.restore(z)).all()


def test_a_map_without_a_unit_is_refused() -> None:
    projection = Projection(SIZE, LATENT)
    projection.check()
    projection.spread.zero_()
    with pytest.raises(ValueError, match="without a spread"):
        projection.check()


def test_rows_in_one_place_are_told_apart_by_chance_alone() -> None:
    together = torch.zeros(8, LATENT)
    assert float(_contrast(together, together)) == pytest.approx(np.log(8))
    apart = 1e4 * torch.arange(8.0)[:, None].expand(8, LATENT)
    assert float(_contrast(apart, apart)) < 1e-6
    assert float(_contrast(apart, apart.flip(0))) > np.log(8)


@pytest.mark.parametrize("latent", [1, 2, 7])
def test_rows_go_to_coordinates_and_back_in_their_shapes(latent: int) -> None:
    projection = Projection(SIZE, latent, CONFIG)
    z = projection(torch.zeros(3, SIZE))
    assert z.shape == (3, latent)
    assert projection.restore(z).shape == (3, SIZE)

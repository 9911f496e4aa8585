"""The map: neighbours stay neighbours, gaps move a row little, more coordinates restore it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression
from sklearn.manifold import trustworthiness
from sklearn.neighbors import KNeighborsClassifier

from tabvae import TabVAE
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.errors import DataError, SchemaError
from tabvae.tasks.embed import (
    decode,
    embed,
    owners,
    path,
    picture,
    projection_targets,
    read_coordinates,
    write_coordinates,
)
from tabvae.tasks.projection import Projection, fit_projection

from .predictors import encoded as encode_table
from .predictors import mixed_table, untrained

ROWS, KINDS = 600, 6


def make_table() -> tuple[pa.Table, np.ndarray]:
    """Six kinds of rows: each has a centre in five numbers and a word it mostly uses."""
    rng = np.random.default_rng(0)
    kind = rng.integers(KINDS, size=ROWS)
    numbers = rng.normal(0, 3, (KINDS, 5))[kind] + rng.normal(size=(ROWS, 5))
    words = np.where(rng.random(ROWS) < 0.8, kind, rng.integers(KINDS, size=ROWS))
    frame = pd.DataFrame(numbers, columns=list("abcde")).assign(word=[f"w{w}" for w in words])
    return pa.Table.from_pandas(frame, preserve_index=False), kind


def make_map(codec: TableCodec, codes: Codes, dimensions: int) -> Projection:
    targets = projection_targets(untrained(codec), codes, dimensions)
    return fit_projection(targets, 300, torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def encoded() -> tuple[TableCodec, Codes, np.ndarray]:
    table, kind = make_table()
    codec = TableCodec(infer_schema(table)).fit(table)
    return codec, codec.transform(table), kind


@pytest.fixture(scope="module")
def plane(encoded: tuple[TableCodec, Codes, np.ndarray]) -> Projection:
    codec, codes, _ = encoded
    return make_map(codec, codes, 2)


def test_two_coordinates_keep_who_is_near_whom(
    encoded: tuple[TableCodec, Codes, np.ndarray], plane: Projection
) -> None:
    codec, codes, kind = encoded
    z = embed(plane, untrained(codec), codes)
    assert z.shape == (ROWS, 2)
    assert trustworthiness(picture(untrained(codec), codes), z, n_neighbors=15) > 0.93
    classifier = KNeighborsClassifier(15).fit(z[:400], kind[:400])
    assert classifier.score(z[400:], kind[400:]) > 0.9


@pytest.mark.slow
def test_a_row_with_gaps_lies_near_its_complete_self() -> None:
    frame = make_table()[0].to_pandas()
    model = TabVAE(effort="fast", latent=2).fit(frame)
    hidden = np.random.default_rng(0).random(frame.shape) < 0.3
    z, moved = model.transform(frame), model.transform(frame.mask(hidden))
    apart = np.linalg.norm(z - z[::-1], axis=1)
    assert np.median(np.linalg.norm(moved - z, axis=1)) < 0.25 * np.median(apart)


@pytest.mark.slow
def test_more_coordinates_restore_a_row_better(
    encoded: tuple[TableCodec, Codes, np.ndarray], plane: Projection
) -> None:
    codec, codes, _ = encoded

    def error(projection: Projection) -> float:
        z = embed(projection, untrained(codec), codes)
        wrong = decode(projection, untrained(codec), z).values - codes.values
        return float(np.nanmean(np.abs(wrong)) / np.nanstd(codes.values))

    assert error(make_map(codec, codes, 8)) < min(0.1, 0.3 * error(plane))


@pytest.mark.slow
def test_linear_models_find_in_many_coordinates_what_they_find_in_the_columns(
    encoded: tuple[TableCodec, Codes, np.ndarray],
) -> None:
    codec, codes, _ = encoded
    shown = picture(untrained(codec), codes)
    z = embed(make_map(codec, codes, 8), untrained(codec), codes)
    found = LinearRegression().fit(z, shown).predict(z)
    kept = 1 - ((found - shown) ** 2).sum() / ((shown - shown.mean(0)) ** 2).sum()
    best = PCA(8).fit(shown).explained_variance_ratio_.sum()
    assert kept > 0.997 * best


def test_a_row_has_its_place_whatever_its_batch(
    encoded: tuple[TableCodec, Codes, np.ndarray], plane: Projection
) -> None:
    codec, codes, _ = encoded
    together = embed(plane, untrained(codec), codes)
    assert np.allclose(embed(plane, untrained(codec), codes[np.array([7])]), together[7], atol=1e-9)


def test_a_value_shared_at_the_end_of_a_column_lies_far_from_the_others() -> None:
    values = np.concatenate([np.zeros(60), np.linspace(1, 2, 60)])
    table = pa.table({"spend": values, "other": np.random.default_rng(0).normal(size=120)})
    codec = TableCodec(infer_schema(table)).fit(table)
    spend = picture(untrained(codec), codec.transform(table))[:, 0]
    assert spend[60:].min() - spend[:60].max() > np.ptp(spend[65:115])


def test_coordinates_are_read_as_they_are_written() -> None:
    z = np.random.default_rng(0).normal(size=(7, 3))
    np.testing.assert_array_equal(read_coordinates(write_coordinates(z), 3), z)


@pytest.mark.parametrize(("size", "says"), [(2, "the table has more"), (4, "no column 'z4'")])
def test_other_coordinates_than_the_models_are_refused(size: int, says: str) -> None:
    with pytest.raises(SchemaError, match=says):
        read_coordinates(write_coordinates(np.zeros((1, 3))), size)


def test_a_coordinate_that_is_no_number_is_named() -> None:
    z = np.zeros((3, 2))
    z[1, 1] = np.inf
    with pytest.raises(DataError, match="row 2: z2"):
        read_coordinates(write_coordinates(z), 2)


@pytest.mark.parametrize("spherical", [False, True])
@pytest.mark.parametrize("last", [[0.0, 2.0], [-1.0, 0.5], [2.0, 0.0], [-1.0, 0.0], [0.0, 0.0]])
def test_a_path_begins_and_ends_at_its_rows(spherical: bool, last: list[float]) -> None:
    first, end = np.array([1.0, 0.0]), np.array(last)
    points = path(first, end, np.linspace(0, 1, 5), spherical)
    assert np.isfinite(points).all()
    np.testing.assert_allclose(points[[0, -1]], [first, end], atol=1e-9)


def test_an_arc_stays_as_far_from_the_origin_as_its_ends() -> None:
    points = path(np.array([3.0, 0.0]), np.array([0.0, 3.0]), np.linspace(0, 1, 9), True)
    np.testing.assert_allclose(np.linalg.norm(points, axis=1), 3)
    straight = path(np.array([3.0, 0.0]), np.array([0.0, 3.0]), np.array([0.5]), False)
    assert np.linalg.norm(straight) < 2.2


def test_every_number_of_a_picture_has_its_column(
    encoded: tuple[TableCodec, Codes, np.ndarray],
) -> None:
    codec, codes, _ = encoded
    columns = owners(codec)
    assert picture(untrained(codec), codes[:3]).shape == (3, len(columns))
    assert np.bincount(columns).tolist() == [1, 1, 1, 1, 1, KINDS]


def test_a_gap_is_drawn_where_the_networks_expect_it() -> None:
    codec, codes = encode_table(mixed_table())
    predictor = untrained(codec)
    gap = int(np.flatnonzero(~codes.observed[:, 2])[0])
    expected = predictor.networks.given_others(codes[np.array([gap])], 2)
    drawn = picture(predictor, codes)[gap, owners(codec) == 2]
    np.testing.assert_allclose(drawn, expected[0])

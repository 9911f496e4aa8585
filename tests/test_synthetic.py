"""Tables beside each other: errors and distances of those that are alike, and of others."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae.errors import DataError
from tabvae.tasks.embed import embed
from tabvae.tasks.evaluate import bytes_per_row, restoration_losses
from tabvae.tasks.synthetic import (
    SyntheticConfig,
    as_codes,
    compare,
    copies,
    detection_auc,
    exact_copies,
    marginal_error,
    modelled_frame,
    nearest_distances,
    total_variation,
    trend_error,
)

from .predictors import encoded, mixed_table, untrained


@pytest.mark.parametrize("seed", range(5))
def test_total_variation_is_a_distance_between_zero_and_one(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c = (rng.integers(5, size=n).astype(float) for n in (30, 20, 7))
    assert 0 < total_variation(a, b) <= total_variation(a, c) + total_variation(c, b) <= 2
    assert total_variation(a, b) == pytest.approx(total_variation(b, a))
    assert total_variation(a, np.tile(a, 2)) == pytest.approx(0)
    assert total_variation(a, a + 5) == pytest.approx(1)


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    words = np.where(x > 0, "up", "down")
    return pd.DataFrame({"x": x, "y": x + 0.1 * rng.normal(size=200), "word": words})


def test_a_table_has_no_error_beside_itself(frame: pd.DataFrame) -> None:
    (x, y), categorical = as_codes(frame, frame)
    assert categorical.tolist() == [False, False, True]
    assert marginal_error(x, y, categorical) == 0
    assert trend_error(x, y, categorical) == 0
    assert copies(y, x) == 1
    assert (nearest_distances(y, x, categorical, x) == 0).all()
    assert (nearest_distances(x, x, categorical, x, same=True) > 0).all()


def test_shuffled_columns_keep_their_own_shape_and_lose_their_pairs(frame: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    shuffled = frame.apply(lambda column: rng.permutation(column.to_numpy()))
    (x, y), categorical = as_codes(frame, shuffled)
    assert marginal_error(x, y, categorical) == pytest.approx(0)
    assert trend_error(x, y, categorical) > 0.2
    assert detection_auc(x, y, categorical) > 0.8


def test_as_many_rows_are_compared_as_the_config_says(frame: pd.DataFrame) -> None:
    (x,), categorical = as_codes(frame)
    config = SyntheticConfig(rows_compared=17)
    assert nearest_distances(x, x, categorical, x, config=config).shape == (17,)


@pytest.mark.parametrize("short", [0, 1])
def test_too_few_rows_are_not_compared(frame: pd.DataFrame, short: int) -> None:
    pair = [frame, frame]
    pair[short] = frame[:9]
    with pytest.raises(DataError, match="9 rows are too few to compare, 10 are not"):
        compare(*pair)


def test_exact_copies_take_gaps_as_equal() -> None:
    real = pd.DataFrame({"a": [1.0, np.nan, 2.0, 2.0], "b": ["x", None, "y", "y"]})
    made = pd.DataFrame({"a": [np.nan, 3.0], "b": [None, "x"]})
    assert exact_copies(real, made) == (0.5, 0.5)


def test_a_frame_holds_numbers_as_numbers_and_gaps_as_gaps() -> None:
    table = mixed_table()
    codec, codes = encoded(table)
    frame = modelled_frame(codec, table, codes)
    assert list(frame.columns) == ["size", "weight", "colour"]
    assert pd.api.types.is_float_dtype(frame["size"])
    np.testing.assert_array_equal(frame.isna().to_numpy(), codes.missing)
    assert set(frame["colour"].dropna()) == {"red", "green", "blue"}


def test_rows_restored_from_their_coordinates_lose_what_the_networks_do_not_know() -> None:
    codec, codes = encoded(mixed_table())
    predictor = untrained(codec)
    z = embed(None, predictor, codes)
    losses = restoration_losses(predictor, None, codes, z)
    assert set(losses.numbers) == {"size", "weight"}
    assert set(losses.categories) == {"colour"}
    # Networks that have learned nothing know no more of a number than about its mean.
    assert all(0.5 < loss < 2 for loss in losses.numbers.values())
    assert 0 < losses.categories["colour"] < 1


def test_coordinates_of_other_rows_are_refused() -> None:
    codec, codes = encoded(mixed_table())
    with pytest.raises(DataError, match="7 coordinates are no embedding of 80 rows"):
        restoration_losses(untrained(codec), None, codes, np.zeros((7, 2)))


def test_a_coordinate_takes_four_bytes() -> None:
    table = pa.table({"a": np.arange(50.0), "b": ["x", "y"] * 25, "note": ["a" * 99] * 50})
    codec, _ = encoded(table)
    coordinates, parquet = bytes_per_row(codec, 3, table)
    assert coordinates == 12
    assert parquet > 0
    assert bytes_per_row(codec, 3, table.drop_columns("note")) == (12, parquet)


def test_the_order_of_rows_does_not_tell_them_from_others() -> None:
    """Folds of a table in the order of its days were once runs of days."""
    rng = np.random.default_rng(0)
    real, drawn = (
        pd.DataFrame({"day": day, "sold": np.sin(day / 9) + 0.1 * rng.normal(size=1000)})
        for day in (np.sort(rng.uniform(0, 99, 1000)), rng.uniform(0, 99, 1000))
    )
    assert abs(compare(real, drawn)["auc"] - 0.5) < 0.06

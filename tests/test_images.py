"""Grids: which columns are cells, what convolutions see, every task on images and spectra."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from tabvae import TabVAE
from tabvae.columns.images import Grid, grid_of, is_cell, parse_grid
from tabvae.columns.infer import infer_schema
from tabvae.errors import DataError, ParameterError
from tabvae.network.convolution import GridDecoder, GridEncoder

from .helpers import assert_one_line_error, tabvae

SIZES = [(8, 8, 1), (28, 28, 3), (1, 64, 1), (5, 7, 2), (3, 3, 1)]


def grid(size: tuple[int, int, int]) -> Grid:
    """All cells but the third, and a column beside the grid."""
    cells = [c for c in range(int(np.prod(size))) if c != 2]
    return Grid(size, (-1, *cells))


@pytest.mark.parametrize(
    ("text", "size"),
    [("64", (1, 64, 1)), ("8x8", (8, 8, 1)), ("28X28x3", (28, 28, 3)), ("1x1", (1, 1, 1))],
)
def test_a_grid_is_height_width_and_channels(text: str, size: tuple[int, int, int]) -> None:
    assert parse_grid(text) == size


@pytest.mark.parametrize("text", ["", "8x", "0x8", "8x8x8x8", "8*8", "-8", "²x2", "1" * 5000])
def test_a_grid_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ParameterError, match="8x8"):
        parse_grid(text)


def test_the_cells_of_a_grid_are_its_columns_of_numbers_in_order() -> None:
    table = pa.table(
        {
            "a": ["1", "2", "3"] * 9,
            "label": ["x", "y", "z"] * 9,
            "flag": ["0", "1", "0"] * 9,
            "word": ["yes", "no", "no"] * 9,
            "none": ["0"] * 27,
            "unit": ["cm"] * 27,
            "b": ["5", "2", "3"] * 9,
        }
    )
    schema = infer_schema(table)
    assert [c.name for c in schema.columns if is_cell(c)] == ["a", "flag", "none", "b"]
    # A column that never changes is a cell, and none of the model's columns.
    beside = Grid.beside
    assert grid_of(schema, (2, 2, 1)) == Grid((2, 2, 1), (0, beside, 1, beside, 3))
    with pytest.raises(DataError, match="5 cells, the table 4 numeric"):
        grid_of(schema, (1, 5, 1))


@pytest.mark.parametrize("size", SIZES)
def test_convolutions_lead_there_and_back(size: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    columns = int(np.prod(size))
    encoder, decoder = GridEncoder(grid(size), 16), GridDecoder(grid(size), 16)
    out = decoder(encoder(torch.randn(3, columns), torch.ones(3, columns, dtype=torch.bool)))
    assert out.shape == (3, 2, columns)
    assert (out[:, :, 0] == 0).all()
    assert (out[:, :, 1:] != 0).any(0).all()


def test_a_column_beside_the_grid_is_not_convolved() -> None:
    torch.manual_seed(0)
    encoder = GridEncoder(grid((8, 8, 1)), 16)
    scores, visible = torch.zeros(1, 64), torch.ones(1, 64, dtype=torch.bool)
    before = encoder(scores, visible)
    for column, same in ((0, True), (1, False), (63, False)):
        other = scores.clone()
        other[0, column] = 1.0
        assert torch.equal(before, encoder(other, visible)) == same


@pytest.fixture(scope="module")
def digits() -> pd.DataFrame:
    """Digits of 4 x 4 pixels, the first of which never changes, and their labels."""
    pixels, labels = load_digits(return_X_y=True)
    small = pixels.reshape(-1, 4, 2, 4, 2).mean((2, 4)).round().astype(int).reshape(-1, 16)
    frame = pd.DataFrame(small, columns=[f"p{k}" for k in range(16)])
    return frame.assign(p0=0, digit=[f"d{label}" for label in labels])


@pytest.fixture(scope="module")
def model(digits: pd.DataFrame) -> TabVAE:
    return TabVAE(effort="fast", grid="4x4").fit(digits[:600])


def test_pixels_that_never_change_are_cells_too(model: TabVAE) -> None:
    cells = model.fitted_.networks.nets[0].sizes.grid
    assert cells is not None
    assert cells.cells == (*range(16), -1)


def test_damaged_pixels_are_filled(model: TabVAE, digits: pd.DataFrame) -> None:
    rows = digits[600:900].reset_index(drop=True)
    hidden = np.random.default_rng(0).random((300, 16)) < 0.3
    gappy = rows.copy().astype(dict.fromkeys(rows.columns[:16], float))
    gappy.iloc[:, :16] = gappy.iloc[:, :16].mask(hidden)
    filled = model.impute(gappy).iloc[:, :16].to_numpy(float)
    truth = rows.iloc[:, :16].to_numpy(float)
    error = ((filled - truth)[hidden] ** 2).mean()
    by_mean = ((digits[:600].iloc[:, :16].mean().to_numpy() - truth)[hidden] ** 2).mean()
    assert error < 0.5 * by_mean


def test_spoilt_images_are_odd(model: TabVAE, digits: pd.DataFrame) -> None:
    rows = digits[900:1000].copy()
    mixed = np.random.default_rng(0).permuted(rows.iloc[:50, :16].to_numpy(), axis=1)
    rows.iloc[:50, :16] = mixed
    score = model.detect(rows)["score"]
    assert roc_auc_score(np.arange(100) < 50, score) > 0.95


def test_images_are_judged_by_what_no_code_restores(model: TabVAE, digits: pd.DataFrame) -> None:
    by_default, asked = model.detect(digits[:20]), model.detect(digits[:20], score="reconstruction")
    pd.testing.assert_frame_equal(by_default, asked)


def test_a_grid_model_is_the_same_after_a_file(
    model: TabVAE, digits: pd.DataFrame, tmp_path: Path
) -> None:
    path = str(tmp_path / "m.tabvae")
    model.save(path)
    again = TabVAE.load(path)
    pd.testing.assert_frame_equal(again.generate(5, seed=1), model.generate(5, seed=1))
    assert np.array_equal(again.transform(digits[:20]), model.transform(digits[:20]))


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("variant", ["ae", pytest.param("dae", marks=pytest.mark.slow)])
def test_a_spectrum_is_restored_from_its_code(variant: str) -> None:
    rng = np.random.default_rng(0)
    place, line = rng.uniform(0.2, 0.8, (300, 1)), np.linspace(0, 1, 12)
    frame = pd.DataFrame(
        np.exp(-(((line - place) / 0.2) ** 2)), columns=[f"c{k}" for k in range(12)]
    )
    model = TabVAE(effort="fast", model=variant, grid="12", latent=2).fit(frame)
    wrong = model.decode(model.embed(frame)) - frame
    assert (wrong**2).mean(axis=None) < 0.3 * frame.var().mean()


def test_a_grid_that_does_not_match_says_what_to_do(folder: Path, digits: pd.DataFrame) -> None:
    with pytest.raises(DataError, match=r"16 cells, the table 17.*--categorical"):
        TabVAE(grid="4x4").fit(digits.assign(label=digits.index % 7))
    arguments = ("fit", "data.csv", "-o", "x.tabvae", "--grid")
    assert_one_line_error(tabvae(folder, *arguments, "9x9"), 1, "81 cells", "2 numeric")
    assert_one_line_error(tabvae(folder, *arguments, "9by9"), 2, "'9by9'")

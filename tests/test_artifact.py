"""The model file: loads to the same model, and damage is refused."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open

from tabvae import TabVAE
from tabvae.columns.arrays import Arrays
from tabvae.errors import ModelFileError
from tabvae.files import container
from tabvae.releases import FORMAT

from .helpers import assert_one_line_error, peak_megabytes


@pytest.fixture(scope="module")
def path(model: TabVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "a.tabvae"
    model.save(str(path))
    return path


def rewritten(path: Path, tmp_path: Path, **changes: object) -> str:
    """A copy of the model with other values in its header, sealed again."""
    document, arrays = container.read(str(path))
    copy = str(tmp_path / "b.tabvae")
    container.write(copy, {**document, **changes}, arrays)
    return copy


def test_a_loaded_model_gives_the_same_results(
    path: Path, model: TabVAE, frame: pd.DataFrame
) -> None:
    loaded = TabVAE.load(str(path))
    pd.testing.assert_frame_equal(loaded.impute(frame), model.impute(frame), check_exact=True)
    pd.testing.assert_frame_equal(loaded.embed(frame), model.embed(frame), check_exact=True)
    pd.testing.assert_frame_equal(loaded.detect(frame), model.detect(frame), check_exact=True)
    pd.testing.assert_frame_equal(loaded.generate(30), model.generate(30), check_exact=True)
    assert loaded.get_params() == model.get_params()


def test_saving_again_gives_the_same_bytes(path: Path, tmp_path: Path) -> None:
    TabVAE.load(str(path)).save(str(tmp_path / "b.tabvae"))
    assert (tmp_path / "b.tabvae").read_bytes() == path.read_bytes()


def test_no_row_of_the_table_is_in_the_file(path: Path, frame: pd.DataFrame) -> None:
    content = path.read_bytes()
    assert not [i for i in frame["id"] if i.encode() in content]


def test_the_header_says_what_wrote_the_file(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["tabvae"])
    assert document["format"] == FORMAT
    assert {"tabvae", "torch", "python"} <= set(document["versions"])
    assert document["records"][0]["curve"]


@pytest.mark.parametrize(
    "content", [b"", b"a,b\n1,2\n", b"PK\x03\x04", b"\x80\x04\x95", b"\xff" * 64]
)
def test_what_is_no_model_is_refused(tmp_path: Path, content: bytes) -> None:
    other = tmp_path / "other.tabvae"
    other.write_bytes(content)
    with pytest.raises(ModelFileError, match="not a tabvae model"):
        TabVAE.load(str(other))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="no model file"):
        TabVAE.load(str(tmp_path / "none.tabvae"))


def test_a_truncated_model_is_refused(path: Path, tmp_path: Path) -> None:
    content, cut = path.read_bytes(), tmp_path / "cut.tabvae"
    for percent in range(100):
        cut.write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(ModelFileError):
            TabVAE.load(str(cut))


def test_a_newer_format_says_how_to_upgrade(path: Path, tmp_path: Path) -> None:
    newer = FORMAT + 1
    with pytest.raises(ModelFileError, match=rf"format {newer}.*upgrade"):
        TabVAE.load(rewritten(path, tmp_path, format=newer))


def test_an_older_format_says_to_fit_again(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"format 2.*fit the model again"):
        TabVAE.load(rewritten(path, tmp_path, format=2))


@pytest.mark.parametrize(
    "changes",
    [
        {"format": "x"},
        {"shape": {}},
        {"nets": 5},
        {"columns": []},
        {"schema": {"columns": [{}]}},
        {"parameters": {"unknown": 1}},
        {"records": [{"what": 1}]},
        {"nets": 0},
        {"nets": 10**9},
        {"more": 1},
        {"calibrations": {}},
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(ModelFileError, match="damaged"):
        TabVAE.load(rewritten(path, tmp_path, **changes))


@pytest.mark.parametrize("size", [10**9, -1, 0, "x", 2**70])
@pytest.mark.parametrize("name", ["latent", "width", "depth", "sizes"])
def test_an_absurd_size_is_refused_before_it_is_made(
    path: Path, tmp_path: Path, name: str, size: object
) -> None:
    shape = dict(container.read_document(str(path))["shape"])
    shape[name] = [size, *shape[name][1:]] if name == "sizes" else size
    with pytest.raises(ModelFileError, match="damaged"):
        TabVAE.load(rewritten(path, tmp_path, shape=shape))


@pytest.mark.parametrize(
    "changes",
    [{"size": 10**9}, {"vocabulary": []}, {"counts": [0, 0, 0]}, {"vocabulary": [1, 2, 3]}],
)
def test_a_vocabulary_that_does_not_fit_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    columns = container.read_document(str(path))["columns"]
    columns[0] = {**columns[0], **changes}
    with pytest.raises(ModelFileError, match="damaged"):
        TabVAE.load(rewritten(path, tmp_path, columns=columns))


def _not_finite(arrays: Arrays) -> None:
    spoiled = arrays["net.0.decoder.latent.weight"].copy()
    spoiled[0, 0] = np.nan
    arrays["net.0.decoder.latent.weight"] = spoiled


def _lost(arrays: Arrays) -> None:
    del arrays["net.0.decoder.latent.weight"]


def _left_over(arrays: Arrays) -> None:
    arrays["more"] = np.zeros(3)


def _of_another_shape(arrays: Arrays) -> None:
    arrays["card.scales"] = arrays["card.scales"][..., :1].copy()


def _of_another_type(arrays: Arrays) -> None:
    arrays["column.1.knots"] = arrays["column.1.knots"].astype(np.float32)


def _an_endless_tree(arrays: Arrays) -> None:
    arrays["forest.0.right"][arrays["forest.0.feature"] >= 0] = 0


def _a_column_too_many(arrays: Arrays) -> None:
    arrays["forest.0.feature"][0] = 30_000


def _a_regression_on_nothing(arrays: Arrays) -> None:
    number = next(
        n for n, a in arrays.items() if n.startswith("line.") and n.endswith(".column") and len(a)
    )
    arrays[number][0] = 30_000


def _no_such_category(arrays: Arrays) -> None:
    arrays["forest.0.value"][arrays["forest.0.feature"] < 0] = 1e9


@pytest.mark.parametrize(
    "spoil",
    [
        _not_finite,
        _lost,
        _left_over,
        _of_another_shape,
        _of_another_type,
        _an_endless_tree,
        _a_column_too_many,
        _a_regression_on_nothing,
        _no_such_category,
    ],
)
def test_tensors_that_do_not_fit_are_refused_though_sealed(
    path: Path, tmp_path: Path, spoil: Callable[[Arrays], None]
) -> None:
    document, arrays = container.read(str(path))
    spoil(arrays)
    container.write(str(tmp_path / "b.tabvae"), document, arrays)
    with pytest.raises(ModelFileError, match="damaged"):
        TabVAE.load(str(tmp_path / "b.tabvae"))


def test_a_header_longer_than_any_file_is_refused(path: Path, tmp_path: Path) -> None:
    content, copy = path.read_bytes(), tmp_path / "b.tabvae"
    for length in (2**63, 2**64 - 1, len(content), 0):
        copy.write_bytes(length.to_bytes(8, "little") + content[8:])
        with pytest.raises(ModelFileError, match="not a tabvae model"):
            TabVAE.load(str(copy))


def test_overlapping_tensors_are_refused(path: Path, tmp_path: Path) -> None:
    content, copy = path.read_bytes(), tmp_path / "b.tabvae"
    end = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:end])
    first, second = [name for name in header if name != "__metadata__"][:2]
    header[second]["data_offsets"] = header[first]["data_offsets"]
    text = json.dumps(header).encode()
    copy.write_bytes(len(text).to_bytes(8, "little") + text + content[end:])
    with pytest.raises(ModelFileError):
        TabVAE.load(str(copy))


def test_an_array_is_read_as_it_was_whatever_its_place_in_memory(tmp_path: Path) -> None:
    written = {"transposed": np.arange(6.0).reshape(2, 3).T, "every_other": np.arange(6)[::2]}
    container.write(str(tmp_path / "b.tabvae"), {"format": FORMAT}, written)
    for name, array in container.read(str(tmp_path / "b.tabvae"))[1].items():
        np.testing.assert_array_equal(array, written[name])


def test_a_key_that_comes_twice_is_refused(path: Path, tmp_path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        text = file.metadata()[container.DOCUMENT]
    twice = text[:-1] + ', "format": 5}'
    copy = tmp_path / "b.tabvae"
    arrays = container.read(str(path))[1]
    copy.write_bytes(container.save_arrays(arrays, {container.DOCUMENT: twice}))
    with pytest.raises(ModelFileError, match="no JSON"):
        TabVAE.load(str(copy))


def test_any_flipped_bit_is_noticed(path: Path, tmp_path: Path) -> None:
    content, copy = path.read_bytes(), tmp_path / "b.tabvae"
    header = 8 + int.from_bytes(content[:8], "little")
    rng = np.random.default_rng(0)
    for flip in range(1000):
        place = rng.integers(len(content) if flip % 2 else header)
        flipped = bytearray(content)
        flipped[place] ^= 1 << rng.integers(8)
        copy.write_bytes(flipped)
        with pytest.raises(ModelFileError):
            TabVAE.load(str(copy))


def test_nothing_in_a_renamed_pickle_runs(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Command:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(canary),)

    for name, content in (
        ("pickle", pickle.dumps(Command())),
        ("torch", _torch_file(Command())),
    ):
        other = tmp_path / f"{name}.tabvae"
        other.write_bytes(content)
        with pytest.raises(ModelFileError, match="not a tabvae model"):
            TabVAE.load(str(other))
    assert not canary.exists()


def _torch_file(payload: object) -> bytes:
    file = io.BytesIO()
    torch.save(payload, file)
    return file.getvalue()


def test_a_link_to_a_model_loads_and_a_broken_one_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "link.tabvae").symlink_to(path)
    TabVAE.load(str(tmp_path / "link.tabvae"))
    (tmp_path / "broken.tabvae").symlink_to(tmp_path / "nothing")
    with pytest.raises(ModelFileError, match="no model file"):
        TabVAE.load(str(tmp_path / "broken.tabvae"))


@pytest.mark.slow
def test_a_damaged_model_is_refused_in_little_memory(path: Path, tmp_path: Path) -> None:
    flipped = bytearray(path.read_bytes())
    flipped[-1] ^= 1
    (tmp_path / "a.tabvae").write_bytes(flipped)
    result, megabytes = peak_megabytes(tmp_path, "embed", "a.csv", "-m", "a.tabvae")
    assert_one_line_error(result, 1, "checksum")
    assert megabytes < 300

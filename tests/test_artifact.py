"""The model file: loads to the same model, and damage is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from safetensors import safe_open
from safetensors.torch import load, save

from tabvae import TabVAE
from tabvae.errors import ModelFileError


@pytest.fixture(scope="module")
def path(model: TabVAE, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "a.tabvae"
    model.save(str(path))
    return path


def rewritten(path: Path, tmp_path: Path, **changes: object) -> str:
    """A copy of the model with other values in its header."""
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["tabvae"])
    document.update(changes)
    copy = tmp_path / "b.tabvae"
    copy.write_bytes(save(load(path.read_bytes()), {"tabvae": json.dumps(document)}))
    return str(copy)


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
    # Fresh identifiers count on from the last one; that is the only one kept.
    assert not [i for i in frame["id"].iloc[:-1] if i.encode() in content]


def test_the_header_says_what_wrote_the_file(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        document = json.loads(file.metadata()["tabvae"])
    assert document["format"] == 4
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
    for percent in range(0, 100, 5):
        cut.write_bytes(content[: len(content) * percent // 100])
        with pytest.raises(ModelFileError):
            TabVAE.load(str(cut))


def test_a_newer_format_says_how_to_upgrade(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match=r"format 5.*upgrade"):
        TabVAE.load(rewritten(path, tmp_path, format=5))


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
    ],
)
def test_a_header_that_does_not_fit_is_refused(
    path: Path, tmp_path: Path, changes: dict[str, object]
) -> None:
    with pytest.raises(ModelFileError, match="damaged"):
        TabVAE.load(rewritten(path, tmp_path, **changes))

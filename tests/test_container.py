"""The container: what is written is read, and any change of a file is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae.columns.arrays import Arrays
from tabvae.errors import ModelFileError, OutputError
from tabvae.files import container

DOCUMENT = {"format": 12, "columns": [{"name": "é", "missing": None}], "scale": 0.1}
ARRAYS: Arrays = {
    "net.weight": np.arange(6, dtype=np.float32).reshape(2, 3),
    "net.bias": np.array([-0.0, 1e-300, 1e300]),
    "tree.leaf": np.array([2**40, -1]),
    "mask": np.array([True, False]),
    "none": np.zeros((0, 4), np.uint8),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    container.write(str(tmp_path / "a.tabvae"), DOCUMENT, ARRAYS)
    return tmp_path / "a.tabvae"


def assert_same(first: Arrays, second: Arrays) -> None:
    assert first.keys() == second.keys()
    for name, array in first.items():
        assert second[name].dtype == array.dtype
        assert second[name].shape == array.shape
        assert second[name].tobytes() == array.tobytes()


def test_document_and_arrays_are_read_as_they_were_written(path: Path) -> None:
    document, arrays = container.read(str(path))
    assert document == container.read_document(str(path)) == DOCUMENT
    assert_same(ARRAYS, arrays)


def test_the_same_contents_are_the_same_bytes(path: Path) -> None:
    turned = dict(reversed(DOCUMENT.items()))
    container.write(str(path.with_name("b")), turned, dict(reversed(ARRAYS.items())))
    assert path.with_name("b").read_bytes() == path.read_bytes()


def test_an_array_that_lies_otherwise_in_memory_is_the_same_array(path: Path) -> None:
    lying = {name: np.asarray(array, order="F") for name, array in ARRAYS.items()}
    container.write(str(path), DOCUMENT, lying)
    assert_same(ARRAYS, container.read(str(path))[1])


@given(st.data())
def test_no_byte_of_a_file_can_change_unnoticed(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "changed.tabvae"
    with mock.patch("os.fsync"):
        container.write(str(path), DOCUMENT, ARRAYS)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        document, arrays = container.read(str(path))
    except ModelFileError:
        return
    # Blanks between the parts of the header tell nothing.
    assert document == DOCUMENT
    assert_same(ARRAYS, arrays)


@pytest.mark.parametrize("kept", [0, 7, 8, 100, -1])
def test_a_part_of_a_file_is_none(path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelFileError, match=r"is not a tabvae model|is damaged"):
        container.read(str(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_number_that_is_none_is_refused_by_name(path: Path, value: float) -> None:
    container.write(str(path), DOCUMENT, {**ARRAYS, "net.bias": np.array([value])})
    with pytest.raises(ModelFileError, match=r"net\.bias holds a number that is not finite"):
        container.read(str(path))


def foreign(path: Path, text: str | None) -> None:
    """Write a file of the same container that says ``text``."""
    metadata = None if text is None else {container.DOCUMENT: text}
    path.write_bytes(container.save_arrays(ARRAYS, metadata))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "is not a tabvae model"),
        ("{", "no JSON document"),
        ("[1]", "no JSON object"),
        ('{"a": 1, "a": 2}', "no JSON document"),
        ('{"a": NaN}', "no JSON document"),
        ("[" * 100_000, "no JSON document"),
    ],
)
def test_what_is_no_document_is_refused(path: Path, text: str | None, words: str) -> None:
    foreign(path, text)
    with pytest.raises(ModelFileError, match=words):
        container.read_document(str(path))


@pytest.mark.parametrize("seal", ["", '"sha256": "", ', f'"sha256": "{"0" * 64}", '])
def test_a_document_without_its_seal_is_damaged(path: Path, seal: str) -> None:
    foreign(path, "{" + seal + json.dumps(DOCUMENT)[1:])
    assert container.read_document(str(path)) == DOCUMENT
    with pytest.raises(ModelFileError, match="its checksum does not match"):
        container.read(str(path))


def test_a_document_holds_no_number_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON"):
        container.write(str(tmp_path / "a"), {"a": float("nan")}, {})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [container.read, container.read_document])
def test_a_file_that_is_not_there_says_how_to_make_one(
    tmp_path: Path, read: Callable[[str], Any]
) -> None:
    with pytest.raises(ModelFileError, match=r"no model file .*'tabvae fit'"):
        read(str(tmp_path / "none.tabvae"))


def test_where_nothing_can_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        container.write(str(tmp_path / "none" / "a.tabvae"), DOCUMENT, ARRAYS)


def test_what_goes_wrong_while_a_file_is_understood_is_damage() -> None:
    with pytest.raises(ModelFileError, match="'a' is damaged: 'too large'"):  # noqa: SIM117
        with container.damage_told("a"):
            raise ValueError("too large")
    with pytest.raises(MemoryError), container.damage_told("a"):
        raise MemoryError

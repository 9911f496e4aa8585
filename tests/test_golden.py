"""Model files of released formats load for ever and say what they said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tabvae import TabVAE
from tabvae.releases import upgraded

from .golden.make import FOLDER, MODELS, ROWS, results, table

FILES = sorted(FOLDER.glob("*.tabvae"))


def assert_same(found: Any, expected: Any) -> None:
    """Equal, numbers to 1e-6, also where they stand as text."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for key in expected:
            assert_same(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other)
    else:
        try:
            pair = float(found), float(expected)
        except ValueError:
            assert found == expected
        else:
            np.testing.assert_allclose(*pair, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_golden_model_says_what_it_said(path: Path) -> None:
    model = TabVAE.load(str(path))
    rows = table(path.stem.rsplit("-", 1)[0])[:ROWS]
    assert_same(results(model, rows), json.loads(path.with_suffix(".json").read_text()))
    if model.model == "vae":
        assert len(model.generate(20)) == 20


def test_there_is_a_golden_model_of_every_kind() -> None:
    assert {p.stem.rsplit("-", 1)[0] for p in FILES} == set(MODELS)


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_a_golden_model_is_saved_again_as_it_was_but_for_versions(
    path: Path, tmp_path: Path
) -> None:
    from tabvae.files import container

    TabVAE.load(str(path)).save(str(tmp_path / "again.tabvae"))
    document, arrays = container.read(str(path))
    again, same = container.read(str(tmp_path / "again.tabvae"))
    assert {**upgraded(document), "versions": 0} == {**again, "versions": 0}
    assert arrays.keys() == same.keys()
    assert all(np.array_equal(arrays[name], same[name]) for name in arrays)

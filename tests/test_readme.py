"""README's commands and code run as they stand."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from .helpers import tabvae

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def commands(heading: str) -> list[list[str]]:
    """The first block of commands under a heading, comments left out."""
    block = re.search(rf"## {heading}\n(?:[^ \n].*\n|\n)*((?:    .*\n)+)", README)
    assert block is not None
    lines = [line.split("#")[0].split() for line in block.group(1).splitlines()]
    return [words[1:] for words in lines]


@pytest.mark.slow
def test_the_commands_run_in_order_in_one_folder(tmp_path: Path) -> None:
    shutil.copy(ROOT / "sample_data" / "shop_orders.csv", tmp_path / "data.csv")
    assert [words[0] for words in commands("What it does")] == [
        "fit",
        "embed",
        "impute",
        "generate",
        "detect",
        "inspect",
    ]
    for words in commands("What it does"):
        result = tabvae(tmp_path, *words)
        assert result.code == 0, result.err
    assert (tmp_path / "data.tabvae").exists()


def test_the_commands_of_the_family_run(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    found = commands("Which autoencoder")
    assert {words[0] for words in found} == {
        "fit",
        "embed",
        "decode",
        "interpolate",
        "impute",
        "detect",
        "evaluate",
    }
    for words in found:
        result = tabvae(tmp_path, *words)
        assert result.code == 0, result.err
    assert (tmp_path / "denoised.csv").exists()


@pytest.mark.slow
def test_the_python_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    exec(code, names)
    assert (tmp_path / "orders.tabvae").exists()
    assert (names["new"]["country"] == "Norway").all()  # type: ignore[index]

"""Options from the command line, variables and a file; what a shell completes."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from click.shell_completion import ShellComplete
from tabvae_cli.main import COMMANDS
from tabvae_cli.main import tabvae as group

from .helpers import assert_one_line_error, hasty, tabvae


def outliers(folder: Path, *arguments: str, **environment: str) -> tuple[float, list[str]]:
    """The share that ``detect`` was told, and what it carried along."""
    result = tabvae(folder, "--json", *arguments, "detect", "data.csv", **environment)
    assert result.code == 0, result.err
    header = result.out.splitlines()[0].split(",")
    return json.loads(result.err)["fpr"], header[: header.index("score")]


def test_the_line_goes_before_a_variable_before_the_file(folder: Path, tmp_path: Path) -> None:
    config = tmp_path / "tabvae.toml"
    config.write_text('keep = "id"\n[detect]\nfpr = 0.2\n[fit]\neffort = "best"\n')
    named = ("--config", str(config))
    assert outliers(folder) == (0.01, [])
    assert outliers(folder, *named) == (0.2, ["id"])
    assert outliers(folder, TABVAE_CONFIG=str(config)) == (0.2, ["id"])
    assert outliers(folder, *named, TABVAE_FPR="0.3", TABVAE_KEEP="id,big") == (0.3, ["id", "big"])
    line = ("detect", "--fpr", ".4", "--json", *named)
    assert json.loads(tabvae(folder, *line, TABVAE_FPR="0.3").err)["fpr"] == 0.4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[detect]\nfrp = 0.1", ["no option 'frp'", "did you mean 'fpr'?"]),
        ("[detect", ["cannot read"]),
        ("[detect]\nfpr = 2", ["--fpr"]),
    ],
)
def test_a_wrong_file_is_one_line(
    folder: Path, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "a.toml").write_text(text)
    result = tabvae(folder, "detect", "--config", str(tmp_path / "a.toml"))
    assert_one_line_error(result, 2, *words)


def test_a_wrong_variable_is_one_line(folder: Path) -> None:
    assert_one_line_error(tabvae(folder, "detect", TABVAE_FPR="2"), 2, "--fpr", "2.0")


def test_family_is_the_name_of_what_was_model(folder: Path) -> None:
    with hasty():
        new = tabvae(folder, "fit", "data.csv", "-o", "new.tabvae", "--family", "ae")
        old = tabvae(folder, "fit", "data.csv", "-o", "old.tabvae", "--model", "ae")
    try:
        assert (folder / "new.tabvae").read_bytes() == (folder / "old.tabvae").read_bytes()
    finally:
        (folder / "new.tabvae").unlink()
        (folder / "old.tabvae").unlink()
    assert "called --family now" in old.err
    assert "--family" not in new.err


def completed(folder: Path, *words: str) -> list[str]:
    """What is offered for the last of the words."""
    with contextlib.chdir(folder):
        shell = ShellComplete(group, {}, "tabvae", "_TABVAE_COMPLETE")
        found = shell.get_completions([*words[:-1]], words[-1])
        return [item.value for item in found if item.type == "plain"]


def test_a_shell_completes_commands_models_and_columns(folder: Path, tmp_path: Path) -> None:
    assert completed(folder, "im") == ["impute"]
    assert completed(folder, "impute", "-m", "da") == ["data.tabvae"]
    assert completed(folder, "impute", "--proba", "") == tabvae(folder, "impute").out.split()[
        0
    ].split(",")
    (tmp_path / "b.csv").write_text("first one;second\n1;2\n")
    assert completed(tmp_path, "fit", "b.csv", "--numeric", "f") == ["first one"]
    assert completed(tmp_path, "impute", "--keep", "") == []


@pytest.mark.parametrize("command", COMMANDS)
def test_help_opens_with_two_examples_and_ends_with_its_page(tmp_path: Path, command: str) -> None:
    lines = tabvae(tmp_path, command, "--help", COLUMNS="80").out.splitlines()
    assert lines[2] == "Examples:"
    examples = [line for line in lines if line.startswith(f"  tabvae {command} ")]
    assert len(examples) >= 1
    assert sum(line.startswith("  tabvae ") for line in lines[3:9]) == 2
    page = lines[-1].strip()
    assert (Path(__file__).parent.parent / page).exists()
    assert max(map(len, lines)) <= 80

"""README shows what happens: its commands print what stands below them, its Python runs.

Between machines the last digits of a sum differ, and training makes more of it. So a decimal, a
percentage and the step of the best network may differ by a quarter of their size and two units of
their last digit, and seconds may be any. Of the cells in a row of CSV one in four may be another
one, never the first. All else has to be the same. ``...`` stands for any lines or, at the end of a
line, for its rest. Notes and the frames of tables are left out.
"""

from __future__ import annotations

import importlib
import re
import shlex
import shutil
from functools import partial
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from tabvae_cli.main import COMMANDS

from .helpers import NOTE, Result, tabvae
from .shown import near, same_lines
from .test_architecture import LIBRARY, ORDER

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MOST_LINES, WIDEST, WIDEST_ROW, MOST_WORDS = 141, 100, 160, 12
FEWEST_SHOWN, MOST_SHOWN = 3, 6
TERMINAL = "96"
"""Columns of the terminal: README's lines, which are indented by four, have 100 at most."""
NUMBER = re.compile(r"\d+\.\d+|\d+(?=%)|(?<=step )\d+")
FRAME = re.compile(r"[┏┳┓┡╇┩└┴┘━─]+")
OTHERS = 4


def blocks() -> list[list[str]]:
    """The indented blocks of README, line by line."""
    found = re.findall(r"(?:^ {4}.*\n)+", README, re.MULTILINE)
    return [[line[4:] for line in block.splitlines()] for block in found]


def session() -> dict[str, list[str]]:
    """Every command after a prompt with the lines that README shows below it."""
    found: dict[str, list[str]] = {}
    for block in blocks():
        for line in block if block[0].startswith("$ ") else []:
            if line.startswith("$ "):
                shown = found.setdefault(line[2:], [])
            else:
                shown.append(line)
    return found


def printed(result: Result) -> list[str]:
    """The lines of a result, data before messages, as they stand on a terminal."""
    lines = [line.rstrip() for line in (result.out + result.err).splitlines()]
    return [line for line in lines if not (line.startswith(NOTE) or FRAME.fullmatch(line))]


def same_cell(shown: str, found: str) -> bool:
    decimal = re.compile(r"-?\d+\.\d+(?:e-?\d+)?")
    both = decimal.fullmatch(shown) and decimal.fullmatch(found)
    return near(shown, found) if both else shown == found


def same_row(shown: str, found: str) -> bool:
    """Whether rows of CSV are alike; headers are the same."""
    cells, others = shown.split(","), found.split(",")
    if cells[-1] == "...":
        cells = cells[:-1]
        others = others[: len(cells)]
    if len(cells) != len(others) or cells[0] != others[0]:
        return False
    differing = sum(not same_cell(*pair) for pair in zip(cells, others, strict=True))
    rows = any(cell.replace(".", "").isdigit() for cell in cells)
    return differing <= (len(cells) // OTHERS if rows else 0)


def same_line(shown: str, found: str) -> bool:
    if "," in shown and " " not in shown:
        return same_row(shown, found)
    shown, found = (re.sub(r"in \d+ s:", "in some s:", line) for line in (shown, found))
    shown, found = (re.sub(" +", " ", line) for line in (shown, found))
    text = shown.removesuffix("...")
    pattern = f"({NUMBER.pattern})".join(map(re.escape, NUMBER.split(text)))
    match = re.fullmatch(pattern + (".*" if text != shown else ""), found)
    return match is not None and all(map(near, NUMBER.findall(text), match.groups()))


same = partial(same_lines, same_line=same_line)


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """A script of benchmarks/."""
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Result]:
    """What README's commands do, one after the other in one folder."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "sample_data", folder / "sample_data")
    done = {}
    for command in [*session(), "tabvae impute -o filled.csv"]:
        result = Result(0, "", "")
        for part in command.split(" | "):
            program, *words = shlex.split(part)
            assert program == "tabvae"
            result = tabvae(folder, *words, stdin=result.out.encode(), COLUMNS=TERMINAL)
            assert result.code == 0, result.err
        done[command] = result
    filled = (folder / "filled.csv").read_text()
    done["tabvae impute -o filled.csv"] = Result(0, filled, "")
    return done


@pytest.mark.slow
@pytest.mark.parametrize("command", session())
def test_commands_print_what_is_shown(command: str, results: dict[str, Result]) -> None:
    found = printed(results[command])
    assert same(session()[command], found), "\n".join(found)


@pytest.mark.slow
def test_the_first_line_fills_the_table(results: dict[str, Result]) -> None:
    filled = results["tabvae impute -o filled.csv"]
    assert filled.out == results["tabvae impute"].out
    assert (filled.frame() != "").all(axis=None)


@pytest.mark.slow
def test_the_picture_is_what_commands_print(
    results: dict[str, Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three of four lines at least: the rows drawn may be others elsewhere."""
    drawer = script("readme_picture", monkeypatch)
    tables = {k: results[" ".join(("tabvae", *v))].frame() for k, v in drawer.COMMANDS.items()}
    drawn = drawer.picture(drawer.read(drawer.TABLE), **tables).splitlines()
    shown = drawer.TARGET.read_text().splitlines()
    alike = sum(same_line(*pair) for pair in zip(shown, drawn, strict=False))
    assert alike >= 0.75 * max(len(shown), len(drawn))


@pytest.mark.slow
def test_the_python_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert len([line for line in code.splitlines() if line]) == 6
    shutil.copytree(ROOT / "sample_data", tmp_path / "sample_data")
    monkeypatch.chdir(tmp_path)
    names: dict[str, pd.DataFrame] = {}
    exec(code, names)
    orders, filled = names["orders"], names["filled"]
    assert filled.notna().all(axis=None)
    assert filled.where(orders.notna()).astype(object).equals(orders.astype(object))
    assert (names["new"]["country"] == "Norway").all()
    assert len(names["odd"]) == len(names["z"]) == len(orders)


def test_the_two_commands_at_the_top_stand() -> None:
    first, second = (block[0] for block in blocks()[:2])
    fit, impute = "tabvae fit sample_data/shop_orders.csv", "tabvae impute -o filled.csv"
    assert first == f"pip install . && {fit} && {impute}"
    assert second == 'pip install ".[test]" && pytest'
    assert fit in session()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_its_output(command: str) -> None:
    lines = [shown for line, shown in session().items() if f"tabvae {command}" in line]
    assert lines
    assert all(FEWEST_SHOWN <= len(shown) <= MOST_SHOWN for shown in lines)


def test_the_figures_are_those_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    writer = script("readme_figures", monkeypatch)
    shown = README.partition(writer.BEGIN)[2].partition(writer.END)[0]
    assert shown == writer.table(), "python benchmarks/readme_figures.py writes them"


def test_the_tree_has_every_package_in_the_order_of_imports() -> None:
    (tree,) = (block for block in blocks() if block[0].startswith("cli/"))
    places = [line.split()[0].removeprefix("tabvae/") for line in tree[1:]]
    assert all((LIBRARY / place).exists() for place in places)
    rooms = [place.removesuffix("/").removesuffix(".py") for place in places]
    assert rooms == [room for room in reversed(ORDER) if room in rooms]
    assert {name for name in ORDER if (LIBRARY / name).is_dir()} <= set(rooms)


def sentences(text: str) -> list[str]:
    """Of paragraphs: without code, tables, pictures, comments and headings."""
    text = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    text = re.sub(r"^(?: {4}|\||#|!\[|<!--).*$", "", text, flags=re.MULTILINE)
    text = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", text)
    parts = re.split(r"(?<=[.!?:])\s+|\n{2,}", text)
    return [part for part in parts if part.strip()]


def test_it_is_short() -> None:
    lines = README.splitlines()
    assert len(lines) <= MOST_LINES
    assert all(len(line) <= (WIDEST_ROW if line.startswith("|") else WIDEST) for line in lines)
    lengths = [len(sentence.split()) for sentence in sentences(README)]
    assert len(lengths) > 20
    assert sum(lengths) <= MOST_WORDS * len(lengths)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("One two. Three\nfour 3.11 five.\n\n    code here\n\n# Head\n\nSix\n", [2, 4, 1]),
        ("A [b c](docs/d.md), e.\n\n```python\nx\n```\n\n| a | b |\n|---|---|\n![p](q)\n", [4]),
    ],
)
def test_sentences_are_those_of_prose(text: str, words: list[int]) -> None:
    assert [len(sentence.split()) for sentence in sentences(text)] == words


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["AUC 0.57, good"], ["AUC 0.61, good"]),
        (["│ price │ 2.286 │ 31% │"], ["│ price │  2.101 │  29% │"]),
        (["best at step 567, 8 of 8"], ["best at step 590, 8 of 8"]),
        (["wrote a in 12 s: 4.0 MB"], ["wrote a in 90 s: 4.1 MB"]),
        (["id,a", "...", "x,1"], ["id,a", "y,2", "x,1"]),
        (["x,1.50,lamp,no,..."], ["x,1.52,rug,no,3,4"]),
        (["privacy: AUC 0.57, ..."], ["privacy: AUC 0.57, a guess"]),
    ],
)
def test_what_differs_between_machines_is_the_same(shown: list[str], found: list[str]) -> None:
    assert same(shown, found)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["AUC 0.57, good"], ["AUC 0.87, good"]),
        (["AUC 0.57, good"], ["AUC 0.57, bad"]),
        (["1000 rows"], ["1001 rows"]),
        (["best at step 567"], ["best at step 167"]),
        (["id,a"], ["id,b"]),
        (["id,z1,z2,z3,..."], ["id,z1,z2,z4,z5"]),
        (["x,1.50,lamp,no"], ["y,1.50,lamp,no"]),
        (["x,1.50,lamp,no"], ["x,9.50,rug,no"]),
        (["x,1,lamp"], ["x,1,lamp,no"]),
        (["a", "b"], ["a"]),
        (["a"], ["a", "b"]),
        (["a", "...", "z"], ["a", "b"]),
    ],
)
def test_what_no_machine_changes_is_not(shown: list[str], found: list[str]) -> None:
    assert not same(shown, found)

"""What the documents show is what happens.

Blocks of the pages run from top to bottom, in one folder a page:

- ``console``: lines that begin with ``$ `` are commands, those below them are what they show,
  messages before output. ``tabvae`` runs in this process, everything else in a shell. A terminal
  of 100 columns is assumed.
- ``python``: runs; a block ``text`` right below holds what it prints.
- ``sh``: commands for tables that are not here; only their options are looked at.

``...`` stands for anything, on a line of its own for any lines. Machines differ in the last digits
of a sum, and a training makes more of it: a number may differ by a quarter of its size and two
units of its last digit, and seconds may be any. Below ``<!-- drawn -->`` rows are random, so that
only their form is compared.
"""

from __future__ import annotations

import contextlib
import io
import re
import runpy
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import click
import pytest
from tabvae_cli.main import COMMANDS
from tabvae_cli.main import tabvae as group

from .helpers import tabvae
from .shown import near, same_lines

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TUTORIAL = "tutorial.md"
GUIDE = sorted(str(path.relative_to(DOCS)) for path in DOCS.glob("guide/*.md"))
PAGES = ["index.md", TUTORIAL, *GUIDE, "cli.md", "glossary.md", "api.md"]
"""Pages whose tables, links and options are looked at; more are welcome."""
LONGEST_CELL, LONGEST_LINE, LONGEST_ROW = 200, 100, 160

BLOCK = re.compile(r"^(<!-- drawn -->\n)?```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NUMBER = re.compile(r"(?<![\w.:/%-])-?\d+(?:\.\d+)?(?:e-?\d+)?(?![\w:/-]|\.\d)")


class Block(NamedTuple):
    """A block of code of a page, and whether the rows it shows are drawn."""

    language: str
    text: str
    drawn: bool


def read(page: str) -> str:
    return (DOCS / page).read_text()


def blocks(page: str) -> list[Block]:
    found = BLOCK.findall(read(page))
    return [Block(language, text, bool(drawn)) for drawn, language, text in found]


def transcript(block: Block) -> Iterator[tuple[str, list[str]]]:
    """Each command of a block with the lines below it."""
    command, shown = "", []
    for line in block.text.splitlines():
        if line.startswith("$ "):
            if command:
                yield command, shown
            command, shown = line[2:], []
        else:
            shown.append(line)
    assert command, "a console block begins with a command"
    yield command, shown


def run(folder: Path, line: str) -> list[str]:
    """The lines that commands show, one reading what the one before it wrote."""
    messages, out = "", ""
    for part in line.split(" | "):
        words = shlex.split(part)
        if words[0] == "tabvae":
            result = tabvae(folder, *words[1:], stdin=out.encode(), COLUMNS="100")
            messages, out = messages + result.err, result.out
        else:
            out = in_a_shell(folder, part, out)
    return [*messages.splitlines(), *out.splitlines()]


def in_a_shell(folder: Path, line: str, stdin: str) -> str:
    done = subprocess.run(
        ["bash", "-c", line], cwd=folder, input=stdin, capture_output=True, text=True, check=False
    )
    return done.stderr + done.stdout


def plain(line: str) -> str:
    """Without what follows from the width of numbers: blanks and lines of a table."""
    return re.sub(r"([━─])\1+", r"\1", re.sub(r"\s+", " ", line.strip()))


def pattern(line: str) -> str:
    """Of a line that is shown: ``...`` is anything, numbers are groups."""
    parts = re.split(r"(\.\.\.)", line)
    return "".join(".*" if part == "..." else _numbers_as_groups(part) for part in parts)


def _numbers_as_groups(text: str) -> str:
    texts = NUMBER.split(text)
    return f"({NUMBER.pattern})".join(map(re.escape, texts))


def same_line(shown: str, found: str) -> bool:
    shown, found = plain(shown), plain(found)
    match = re.fullmatch(pattern(shown), found)
    if match is None:
        return False
    shown = shown.replace("...", "   ")
    return all(
        shown.startswith(" s:", number.end()) or near(number[0], other)
        for number, other in zip(NUMBER.finditer(shown), match.groups(), strict=True)
    )


same = partial(same_lines, same_line=same_line)


def form(cell: str) -> str:
    """What a cell looks like, whatever it says."""
    return re.sub(r"[^\W\d]+", "a", re.sub(r"\d+", "9", cell))


def same_form(shown: list[str], found: list[str]) -> bool:
    """Whether rows have the same columns, cells of the same form, gaps aside."""
    return len(shown) == len(found) and all(
        len(one.split(",")) == len(other.split(","))
        and all(
            not a or not b or form(a) == form(b)
            for a, b in zip(one.split(","), other.split(","), strict=True)
        )
        for one, other in zip(shown, found, strict=True)
    )


def play(page: str, folder: Path) -> list[str]:
    """Run a page's blocks; what they show that is not what happens."""
    names: dict[str, object] = {}
    printed: list[str] = []
    wrong = []
    for block in blocks(page):
        alike = same_form if block.drawn else same
        if block.language == "console":
            for command, shown in transcript(block):
                found = run(folder, command)
                if not alike(shown, found):
                    wrong.append("\n".join([f"$ {command}", *found]))
        elif block.language == "python":
            with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as out:
                exec(compile(block.text, page, "exec"), names)
            printed = out.getvalue().splitlines()
        elif block.language == "text" and not alike(block.text.splitlines(), printed):
            wrong.append("\n".join(["printed:", *printed]))
    return wrong


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of the tutorial when it has been played, and what it shows that is wrong."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name in ("shop_orders.csv", "shop_orders_truth.csv"):
        shutil.copy(ROOT / "sample_data" / name, folder)
    return folder, play(TUTORIAL, folder)


@pytest.mark.slow
def test_the_tutorial_shows_what_happens(tutorial: tuple[Path, list[str]]) -> None:
    wrong = tutorial[1]
    assert not wrong, "\n".join(wrong)


@pytest.mark.slow
@pytest.mark.parametrize("page", GUIDE)
def test_the_guide_shows_what_happens(
    page: str, tutorial: tuple[Path, list[str]], tmp_path: Path
) -> None:
    """The guide goes on with the tables and the model of the tutorial."""
    for name in ("shop_orders.csv", "wine.csv"):
        shutil.copy(ROOT / "sample_data" / name, tmp_path)
    shutil.copy(tutorial[0] / "shop_orders.tabvae", tmp_path)
    wrong = play(page, tmp_path)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["AUC 0.57, good"], ["AUC 0.61, good"]),
        (["wrote a.tabvae in 12 s: 4.0 MB"], ["wrote a.tabvae in 90 s: 4.1 MB"]),
        (["┃ a ┃  9.9 ┃", "┗━━━┛"], ["┃ a ┃ 10.1 ┃  ", "┗━━━━━━┛"]),
        (["a", "...", "z 1"], ["a", "b", "c", "z 1"]),
        (["privacy: ... read"], ["privacy: AUC 0.9 can be read"]),
    ],
)
def test_what_differs_between_machines_is_the_same(shown: list[str], found: list[str]) -> None:
    assert same(shown, found)


@pytest.mark.parametrize(
    ("shown", "found"),
    [
        (["AUC 0.57, good"], ["AUC 0.87, good"]),
        (["AUC 0.57, good"], ["AUC 0.57, bad"]),
        (["SO-20001,yes"], ["SO-20002,yes"]),
        (["2023-01-02,lamp"], ["2023-01-03,lamp"]),
        (["a", "b"], ["a"]),
        (["a", "...", "z"], ["a", "b"]),
        (["1,2"], ["1,2,3"]),
        ([], ["tabvae: error: no such file"]),
    ],
)
def test_what_no_machine_changes_is_not(shown: list[str], found: list[str]) -> None:
    assert not same(shown, found)


def test_drawn_rows_have_a_form() -> None:
    shown = ["SO-21001,lamp,3.50"]
    assert same_form(shown, ["SO-21001,rug,14.25"])
    assert same_form(shown, ["SO-21001,,14.25"])
    assert not same_form(shown, ["SO-21001,rug,much"])
    assert not same_form(shown, ["SO-21001,rug"])


def test_the_reference_is_what_help_says() -> None:
    page = runpy.run_path(str(DOCS / "write_cli.py"))["page"]()
    assert read("cli.md") == page, "python docs/write_cli.py writes it"


def options_of(command: str) -> set[str]:
    found = group.get_command(click.Context(group), command)
    assert found is not None
    return {name for option in found.params for name in option.opts} | {"--help", "-h"}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_reference_has_every_option(command: str) -> None:
    (section,) = re.findall(rf"^## tabvae {command}\n(.*?)^```$", read("cli.md"), re.M | re.S)
    named = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", section))
    assert {name for name in options_of(command) if name.startswith("-")} <= named


@pytest.mark.parametrize("page", PAGES)
def test_options_that_are_named_exist(page: str) -> None:
    for line in re.findall(r"^(?:\$ )?tabvae (.*)$", read(page), re.MULTILINE):
        command, _, rest = line.partition(" ")
        if command in COMMANDS:
            rest = re.split(r"[|#>]", rest)[0]
            assert set(re.findall(r"(?<!\S)--[a-z-]+", rest)) <= options_of(command), line
    every = {name for command in COMMANDS for name in options_of(command)} | {"--version"}
    assert set(re.findall(r"`(--[a-z][a-z-]*)", read(page))) <= every


@pytest.mark.parametrize("page", PAGES)
def test_lines_and_cells_are_short(page: str) -> None:
    for line in read(page).splitlines():
        row = line.startswith("|")
        assert len(line) <= (LONGEST_ROW if row else LONGEST_LINE), line
        assert not row or all(len(cell.strip()) <= LONGEST_CELL for cell in line.split("|")), line


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", read(page)):
        if not target.startswith(("http://", "https://", "#")):
            assert ((DOCS / page).parent / target.partition("#")[0]).exists(), target

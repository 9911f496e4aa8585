"""Documents that hold figures, or must not: tables agree with what was measured, links lead on."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

from .test_architecture import ORDER

ROOT = Path(__file__).parent.parent
BENCHMARKS, DECISIONS = ROOT / "benchmarks", ROOT / "docs" / "decisions"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
LONG = 100, 160
"""Characters of a line, and of a line of a table."""
BEING_WRITTEN = re.compile(r"docs/(guide/.*|(tutorial|cli|glossary)\.md)")
MINE = [
    *BENCHMARKS.glob("*.md"),
    *DECISIONS.glob("*.md"),
    ARCHITECTURE,
    ROOT / "docs" / "model.md",
]
LINKED = sorted({*MINE, *(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"})
SHARED_BY_SCRIPTS = {"common", "masks", "tables"}


def named(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("tables", BENCHMARKS / "tables.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "tables", module)  # where its dataclass looks for its types
    spec.loader.exec_module(module)
    return module


def test_the_tables_say_what_was_measured(tables: ModuleType) -> None:
    assert tables.main(["--check"]) == 0


def test_another_figure_in_a_table_is_noticed_and_put_right(
    tables: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = (BENCHMARKS / "README.md").read_text()
    changed = tmp_path / "README.md"
    figure = re.search(r"\| normal rows, half A \|.*?(\d\d\.\d)", whole)
    assert figure is not None
    changed.write_text(whole[: figure.start(1)] + "99.9" + whole[figure.end(1) :])
    monkeypatch.setattr(tables, "README", changed)
    assert tables.main(["--check"]) == 1
    assert "table detect differs" in capsys.readouterr().err
    assert tables.main([]) == 0
    assert changed.read_text() == whole


def test_a_table_without_markers_is_refused(tables: ModuleType) -> None:
    with pytest.raises(ValueError, match="the tables are"):
        tables.written("<!-- table impute: begin -->\n<!-- table impute: end -->\n")


def test_every_script_is_named() -> None:
    text = (BENCHMARKS / "README.md").read_text()
    scripts = {path.stem for path in BENCHMARKS.glob("*.py")} - SHARED_BY_SCRIPTS
    assert not [name for name in scripts if f"`{name}.py`" not in text]


@pytest.mark.parametrize("path", LINKED, ids=named)
def test_links_lead_to_files(path: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)[^)]*\)", path.read_text())
    relative = [link for link in links if "://" not in link]
    targets = [(path.parent / link).resolve() for link in relative]
    lost = [named(target) for target in targets if not target.exists()]
    assert not [link for link in lost if not BEING_WRITTEN.fullmatch(link)]


@pytest.mark.parametrize("path", MINE, ids=named)
def test_lines_are_short(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert not [line for line in lines if len(line) > LONG[line.startswith("|")]]


def test_the_page_of_benchmarks_is_a_page() -> None:
    assert len((BENCHMARKS / "README.md").read_text().splitlines()) <= 100


def test_the_log_is_dated_newest_first() -> None:
    text = (BENCHMARKS / "LOG.md").read_text()
    dates = re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\d", date) for date in dates)
    assert dates == sorted(set(dates), reverse=True)


def test_every_decision_is_in_the_index_and_of_one_form() -> None:
    index = (DECISIONS / "README.md").read_text()
    pages = sorted(path for path in DECISIONS.glob("*.md") if path.name != "README.md")
    assert re.findall(r"\]\((\d{4}-[^)]*)\)", index) == [path.name for path in pages]
    assert [int(path.name[:4]) for path in pages] == list(range(1, len(pages) + 1))
    for path in pages:
        text = path.read_text()
        assert text.startswith(f"# {path.name[:4]}. ")
        assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Question", "Tried", "Outcome"]
        assert re.search(r"^Commits? [0-9a-f]{7}", text, re.MULTILINE)


def test_the_architecture_has_no_figure_and_the_packages_in_order() -> None:
    text = ARCHITECTURE.read_text()
    prose = re.sub(r"^\d+\. ", "", re.sub(r"\]\([^)]*\)", "]", text), flags=re.MULTILINE)
    assert not re.findall(r"\d", prose)
    rows = re.findall(r"^\| ((?:`[a-z_]+(?:/|\.py)`(?:, )?)+) \|", text, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`([a-z_]+)(?:/|\.py)`", row)]
    assert names == ORDER


def test_the_architecture_names_files_that_exist() -> None:
    spans = re.findall(r"`((?:[a-z_]+/)*[a-z_]+\.py|[a-z_]+/)`", ARCHITECTURE.read_text())
    assert len(spans) > 40
    for span in spans:
        assert list(ROOT.glob(span)) or list((ROOT / "tabvae").rglob(span.rstrip("/"))), span

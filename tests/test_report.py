"""The page about a table: true to its numbers, harmless, small, and silent where it has to be."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from copy import deepcopy
from fnmatch import fnmatch
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabvae import TabVAE, TabVAEWarning
from tabvae.errors import OutputError, ParameterError, SchemaError
from tabvae.report.config import ReportConfig
from tabvae.report.page import Report, page

from .conftest import make_frame
from .helpers import assert_one_line_error, hasty, tabvae

ROOT = Path(__file__).parent.parent
MOST_BYTES = 500_000
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'; } </style><b>",
    "two\nlines\tand \x1b[31m",
    "right\u202eleft\u2066",
    "{{ 7 * 7 }}{% raw %}",
    "&lt;&#60;",
    "long " * 100,
]


class Parsed(HTMLParser):
    """Elements, attributes and text of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data

    def count(self, tag: str) -> int:
        return sum(one == tag for one, _ in self.elements)


def assert_harmless(text: str) -> Parsed:
    """Nothing on the page runs or is fetched, and no character of it moves others."""
    parsed = Parsed(text)
    assert not {tag for tag, _ in parsed.elements} & {"script", "img", "iframe", "object", "b"}
    for tag, attributes in parsed.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "src"], tag
        link = attributes.get("href")
        assert link is None or link.startswith(("#", "data:,")), link
    assert "url(" not in text
    assert "@import" not in text
    assert all(c.isprintable() or c == "\n" for c in text)
    return parsed


@pytest.fixture(scope="module")
def report(model: TabVAE, frame: pd.DataFrame) -> Report:
    return model.report(frame, make_frame(seed=1))


def test_the_page_tells_what_is_there(report: Report, frame: pd.DataFrame) -> None:
    parsed, numbers = assert_harmless(report.html), report.numbers
    assert len(numbers["head"]["verdict"]) == 3
    assert f"{len(frame)} rows and {frame.shape[1]} columns" in numbers["head"]["verdict"][0]
    for sentence in numbers["head"]["verdict"]:
        assert sentence in parsed.text
    for name in frame.columns:
        assert name in parsed.text
    missing = {column["name"]: column["missing"] for column in numbers["columns"]}
    assert missing == frame.isna().sum().to_dict()
    assert numbers["head"]["missing"] == pytest.approx(frame.isna().mean().mean(), rel=1e-5)


def test_every_number_drawn_is_a_mark(report: Report) -> None:
    parsed, numbers = Parsed(report.html), report.numbers
    points = sum(len(group["points"]) for group in numbers["map"]["groups"])
    assert points == numbers["map"]["rows"] == 240
    assert parsed.count("circle") == points + len(numbers["odd"]["curve"])
    assert parsed.count("figure") >= len(numbers["gaps"]["fills"]) + 3
    pairs = len(numbers["synthetic"]["pairs"])
    heat = report.html.partition('class="heat"')[2].partition("</svg>")[0]
    assert heat.count("<rect") == pairs * (pairs - 1)


def test_a_column_that_follows_is_known_and_filled_better_than_one_that_does_not(
    report: Report,
) -> None:
    known = {column["name"]: column["known"] for column in report.numbers["columns"]}
    assert known["big"] > 0.3 > known["day"]
    assert known["id"] is None
    errors = {one["name"]: one for one in report.numbers["gaps"]["fills"]}
    assert errors["big"]["error"] < 0.7 * errors["big"]["guess"]
    assert errors["day"]["error"] > 0.7 * errors["day"]["guess"]


def test_charts_hold_all_cells(report: Report) -> None:
    for one in report.numbers["gaps"]["fills"]:
        for shares in (one["observed"]["shares"], one["filled"], one["drawn"]):
            assert len(shares) == len(one["observed"]["shares"])
            assert sum(shares) == pytest.approx(1, abs=1e-4)


def test_odd_rows_are_those_of_detect(model: TabVAE, frame: pd.DataFrame) -> None:
    found = model.detect(frame, fpr=0.1)
    odd = model.report(frame, fpr=0.1).numbers["odd"]
    assert odd["outliers"] == int(found["outlier"].sum())
    assert len(odd["rows"]) == ReportConfig().most_oddest
    p_values = [row["p_value"] for row in odd["rows"]]
    assert p_values == sorted(p_values)
    for row in odd["rows"]:
        beside = found.iloc[row["row"] - 1]
        assert row["p_value"] == pytest.approx(beside["p_value"], rel=1e-4)
        for cell in row["cells"]:
            assert cell["observed"] != cell["expected"]
            assert cell["observed"] in beside[["observed_1", "observed_2", "observed_3"]].tolist()
    assert sum(count for _, count in odd["culprits"]) <= odd["outliers"]


@pytest.mark.parametrize("column", ["group", "day", "count"])
def test_the_map_is_coloured_by_a_column(model: TabVAE, frame: pd.DataFrame, column: str) -> None:
    groups = model.report(frame, color=column).numbers["map"]["groups"]
    sizes = {group["label"]: len(group["points"]) for group in groups}
    assert sum(sizes.values()) == len(frame)
    assert sizes["missing or unknown"] == int(frame[column].isna().sum())
    if column == "group":
        counted = frame[column].value_counts()
        assert {name: sizes[name] for name in counted.index} == counted.to_dict()
    else:
        assert len(sizes) == 6
        assert all(" to " in label for label in sizes if label != "missing or unknown")


def test_synthetic_rows_stand_beside_real_ones(model: TabVAE, frame: pd.DataFrame) -> None:
    rng = np.random.default_rng(0)
    shuffled = frame.apply(lambda column: rng.permutation(column.to_numpy()))
    numbers = model.report(frame, shuffled).numbers["synthetic"]
    scores = {score["name"]: score for score in numbers["scores"]}
    pairs = scores["pairs off by"]
    assert pairs["value"] > 1.3 * pairs["floor"]
    assert scores["told apart, AUC"]["value"] > scores["told apart, AUC"]["floor"]
    assert model.report(frame).numbers["synthetic"] is None


def test_a_notebook_shows_it_in_a_frame_of_its_own(report: Report) -> None:
    parsed = Parsed(report._repr_html_())
    ((tag, attributes),) = parsed.elements
    assert tag == "iframe"
    assert attributes["sandbox"] is None
    assert attributes["srcdoc"] == report.html


def test_it_is_saved_whole_and_not_over_another(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report.save(str(path))
    assert path.read_text() == report.html
    path.write_text("mine")
    with pytest.raises(OutputError, match="force"):
        report.save(str(path))
    assert path.read_text() == "mine"
    report.save(str(path), force=True)
    assert path.read_text() == report.html
    assert [one.name for one in tmp_path.iterdir()] == ["page.html"]


def test_what_cannot_be_reported_is_refused(model: TabVAE, frame: pd.DataFrame) -> None:
    with pytest.raises(SchemaError, match="did you mean 'group'"):
        model.report(frame, color="groups")
    with pytest.raises(ParameterError, match="without rows"):
        model.report(frame.iloc[:0])
    with pytest.raises(ParameterError, match="fpr"):
        model.report(frame, fpr=2)


# hostile tables


def hostile_frame(rows: int = 120) -> pd.DataFrame:
    """Names and cells that are markup, templates, or move other text."""
    rng = np.random.default_rng(0)
    cells = rng.choice(HOSTILE, rows)
    frame = pd.DataFrame({name: rng.normal(size=rows) for name in HOSTILE[:4]})
    for name in HOSTILE[4:]:
        frame[name] = rng.permutation(cells)
    return frame.mask(rng.random(frame.shape) < 0.1)


@pytest.mark.filterwarnings("ignore::tabvae.TabVAEWarning")
@pytest.mark.parametrize("color", [None, HOSTILE[4]])
def test_hostile_names_and_cells_are_shown_and_do_nothing(
    hostile: tuple[TabVAE, pd.DataFrame], color: str | None
) -> None:
    model, frame = hostile
    parsed = assert_harmless(model.report(frame, frame, color=color).html)
    assert parsed.text.count(HOSTILE[0]) >= 3
    assert HOSTILE[5] in parsed.text
    assert "&lt;&#60;" in parsed.text
    assert r"right\u202eleft\u2066" in parsed.text


@pytest.fixture(scope="module")
def hostile() -> tuple[TabVAE, pd.DataFrame]:
    frame = hostile_frame()
    with hasty():
        return TabVAE(effort="fast", categorical=tuple(HOSTILE[4:])).fit(frame), frame


def secret_frame(rows: int = 150, seed: int = 0) -> pd.DataFrame:
    """A table whose cells can be told from anything else on a page."""
    rng = np.random.default_rng(seed)
    place = rng.choice([f"Qx{k}zville" for k in range(6)], rows)
    number = (rng.normal(713_500, 99, rows)).round(3)
    word = np.where(rng.random(rows) < 0.5, "Yqpos", "Yqneg")
    frame = pd.DataFrame(
        {
            "key": [f"Jq-{i:05d}-x" for i in range(rows)],
            "place": place,
            "land": ["Land" + text[:3] for text in place],
            "number": number,
            "sentinel": np.where(
                rng.random(rows) < 0.1, -99999, rng.integers(20_001, 20_900, rows)
            ),
            "when": (pd.Timestamp("2031-05-01") + pd.to_timedelta(rng.integers(0, 90, rows), "D")),
            "word": word,
            "why": np.where(word == "Yqpos", rng.choice(["Uqlate", "Uqlost"], rows), None),
            "unit": "Cmqz",
            "grade": np.where(number < 713_500, "Zqlow", "Zqhigh"),
            "note": [f"Free text {rng.integers(10**9)} {i}" for i in range(rows)],
        }
    )
    frame["when"] = frame["when"].dt.strftime("%d.%m.%Y")
    hidden = rng.random(frame.shape) < 0.1
    hidden[:, frame.columns.isin(["key", "note", "word", "grade"])] = False
    return frame.astype(object).mask(hidden)


@pytest.mark.filterwarnings("ignore::tabvae.TabVAEWarning")
@pytest.mark.parametrize("color", ["place", "number"])
def test_without_cells_none_is_on_the_page(
    secret: tuple[TabVAE, pd.DataFrame], color: str | None
) -> None:
    model, frame = secret
    new = model.generate(80)
    report = model.report(frame, new, color=color, cells=False)
    plain = model.report(frame, new, color=color)
    texts = {str(cell) for one in (frame, new) for cell in one.to_numpy().ravel() if cell == cell}
    numbers = {f"{float(text):g}" for text in texts if re.fullmatch(r"-?\d+(\.\d+)?", text)}
    values = {text for text in texts | numbers if len(text) >= 5}
    assert len(values) > 400

    def shown(text: str) -> list[str]:
        """Values that are there, digits within a longer number aside."""
        found = [value for value in values if value in text]
        return [v for v in found if re.search(rf"(?<![\d.]){re.escape(v)}(?!\d)", text)]

    assert not shown(report.html) + shown(report.json)
    assert len(shown(plain.html)) > 40
    assert "no cell of the table" in report.html
    told = {rule["text"] for rule in report.numbers["rules"]}
    assert {"place -> land", "a rule of number, grade", "a rule of why, word"} <= told


@pytest.fixture(scope="module")
def secret() -> tuple[TabVAE, pd.DataFrame]:
    frame = secret_frame()
    with hasty():
        return TabVAE(effort="fast", categorical=("place", "land", "word", "why")).fit(frame), frame


# tables of every shape


def wide_frame(columns: int) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    return pd.DataFrame({f"a column called {j:03d}": rng.normal(size=60) for j in range(columns)})


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
@pytest.mark.filterwarnings("ignore::tabvae.TabVAEWarning")
def test_of_300_columns_the_page_says_what_it_leaves_out() -> None:
    frame = wide_frame(300)
    frame.iloc[::3, ::2] = np.nan
    found = TabVAE(effort="fast", find_rules=False).fit(frame).report(frame)
    assert len(found.numbers["columns"]) == 300
    parsed = assert_harmless(found.html)
    assert "200 columns more" in parsed.text
    assert len(found.html.encode()) < MOST_BYTES


@pytest.fixture(scope="module")
def complete() -> tuple[TabVAE, pd.DataFrame]:
    frame = make_frame(rows=80, gaps=0.0)
    with hasty():
        return TabVAE(effort="fast").fit(frame), frame


@pytest.mark.filterwarnings("ignore::tabvae.TabVAEWarning")
@pytest.mark.parametrize("case", ["nothing missing", "all missing", "other rows", "few rows"])
def test_any_table_has_a_page(complete: tuple[TabVAE, pd.DataFrame], case: str) -> None:
    model, frame = complete
    rows = frame.copy()
    if case == "all missing":
        rows["size"], rows["group"], rows["unit"] = np.nan, None, None
    if case == "other rows":
        rows = rows.drop(columns="unit").assign(size="much", group="west", more=1)
    if case == "few rows":
        rows = rows.iloc[:1]
    found = model.report(rows)
    parsed, numbers = assert_harmless(found.html), found.numbers
    assert (numbers["gaps"] is None) == (case != "all missing")
    assert ("No rule between columns" in parsed.text) == (not numbers["rules"])
    remarks = {column["name"]: column["warnings"] for column in numbers["columns"]}
    assert ("all cells are missing" in remarks["size"]) == (case == "all missing")
    if case == "other rows":
        assert "80 cells are no numbers or dates" in remarks["size"]
        assert "80 cells are no categories of the model" in remarks["group"]
        assert "not there" in parsed.text
    if case == "few rows":
        assert any("tell little" in note for note in numbers["head"]["notes"])


def test_what_several_parts_warn_of_is_told_once(model: TabVAE, frame: pd.DataFrame) -> None:
    rows = frame.assign(more=1, group="west")
    with pytest.warns(TabVAEWarning) as told:
        found = model.report(rows, frame)
    texts = [str(one.message) for one in told]
    assert len(texts) == len(set(texts)) == 2
    assert any("Carried through" in note for note in found.numbers["head"]["notes"])


def at_its_largest(numbers: Mapping[str, Any], letter: str) -> dict[str, Any]:
    """The numbers of a page as those of a table of 100 columns with more of everything than is
    shown."""
    config, largest = ReportConfig(), deepcopy(dict(numbers))
    name, cell = letter * 48, letter * config.longest_cell
    column = next(one for one in largest["columns"] if one["chart"] and one["chart"]["low"])
    column |= {"name": name, "reason": "r" * 120, "warnings": ["w" * 120]}
    column["chart"]["shares"] = [0.123456] * config.most_bars
    largest["columns"] = [column] * config.most_columns
    rule = largest["rules"][0] if largest["rules"] else None
    largest["rules"] = [
        rule
        or {
            "text": f"{name} = 1.5 * {name}",
            "kept": 0.98,
            "broken": 9,
            "rows": [100_000] * 5,
            "synthetic": 0.5,
        }
    ] * config.most_rules
    pattern = {"names": [name] * config.most_names, "columns": 50, "rows": 10_000}
    gaps = largest["gaps"]
    gaps["patterns"] = [pattern] * config.most_patterns
    bars = [0.0523456] * config.most_bars
    fill = gaps["fills"][0] | {"name": name, "filled": bars, "drawn": bars}
    fill["observed"] = column["chart"]
    gaps["fills"] = [fill] * config.most_fills
    odd = largest["odd"]
    cells = [{"column": name, "observed": cell, "expected": cell}] * 3
    odd["rows"] = [odd["rows"][0] | {"cells": cells, "rule": name * 3, "rule_asks": cell}] * 50
    odd["curve"] = [[0.0123456, 0.0123456]] * config.most_curve
    odd["culprits"] = [[name, 100]] * config.most_culprits
    points = [[500, 500]] * (config.most_points // 4)
    largest["map"]["groups"] = [{"label": cell, "color": k, "points": points} for k in range(4)]
    made = largest["synthetic"]
    made["shapes"] = [[name, 0.1, 0.05]] * config.most_shapes
    made["pairs"] = [name] * config.most_pairs
    made["trends"] = made["floors"] = [[0.123456] * config.most_pairs] * config.most_pairs
    largest["head"]["notes"] = ["n" * 300] * config.most_notes
    return largest


@pytest.mark.parametrize("letter", ["a", '"', "\u202e"])
def test_a_page_is_small_whatever_is_on_it(report: Report, letter: str) -> None:
    largest = at_its_largest(report.numbers, letter)
    assert 200_000 < len(page(largest).encode()) < MOST_BYTES
    largest["columns"] *= 3
    beyond = page(largest)
    assert len(beyond.encode()) < MOST_BYTES
    assert "200 columns more" in Parsed(beyond).text


# the command line


def reported(folder: Path, *options: str) -> str:
    result = tabvae(folder, "report", *options)
    assert result.code == 0, result.err
    return result.out


def test_the_page_says_nothing_but_its_numbers(folder: Path) -> None:
    """Of the same numbers the same page is made, whoever reads the JSON; the same seed gives the
    same bytes."""
    numbers = json.loads(reported(folder, "--json", "--fpr", "0.02", "--seed", "3"))
    options = ("--fpr", "0.02", "--seed", "3", "-o", "page.html", "--force")
    written = tabvae(folder, "report", *options)
    assert written.out == ""
    assert written.err.splitlines()[1:4] == numbers["head"]["verdict"]
    assert "wrote page.html" in written.err
    assert numbers["foot"]["commands"] == ["tabvae report --json --fpr 0.02 --seed 3"]
    numbers["foot"]["commands"] = [
        "tabvae report --fpr 0.02 --seed 3 -o page.html --force",
    ]
    assert (folder / "page.html").read_text() == page(numbers)
    assert numbers["foot"]["seed"] == 3
    assert numbers["foot"]["parameters"]["effort"] == "fast"


def test_rows_that_were_held_out_are_known(folder: Path, tmp_path: Path) -> None:
    """Of the table fitted on, named or not; not of others."""
    text = (folder / "data.csv").read_text()
    (tmp_path / "other.csv").write_text("\n".join(text.splitlines()[:200]) + "\n")
    own = json.loads(reported(folder, "--json"))
    named = json.loads(reported(folder, "data.csv", "--json"))
    other = json.loads(reported(folder, str(tmp_path / "other.csv"), "--json"))
    assert own["known"] == named["known"] == {"rows": 24, "unseen": True}
    assert other["known"] == {"rows": 199, "unseen": False}
    assert own["head"]["table"] == named["head"]["table"] == "data.csv"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["-o", "data.csv", "--force"], 1, ["is an input"]),
        (["-o", "here.html"], 1, ["exists", "--force"]),
        (["-o", "no/page.html"], 1, ["no folder"]),
        (["--color", "grup"], 1, ["no column 'grup'", "did you mean 'group'?"]),
        (["--synthetic", "gone.csv"], 1, ["gone.csv"]),
        (["--synthetic", "few.csv"], 1, ["too few to compare"]),
        (["--fpr", "1"], 2, ["--fpr"]),
        (["few.csv", "--synthetic", "few.csv", "-o", "few.csv", "--force"], 1, ["is an input"]),
    ],
)
def test_errors_are_one_line_and_nothing_is_written(
    folder: Path, options: list[str], code: int, words: list[str]
) -> None:
    (folder / "here.html").write_text("mine")
    text = (folder / "data.csv").read_text()
    (folder / "few.csv").write_text("\n".join(text.splitlines()[:4]) + "\n")
    before = sorted(path.name for path in folder.iterdir())
    assert_one_line_error(tabvae(folder, "report", *options), code, *words)
    assert sorted(path.name for path in folder.iterdir()) == before
    assert (folder / "here.html").read_text() == "mine"
    assert (folder / "data.csv").read_text() == text


def test_an_installation_has_the_templates() -> None:
    package = ROOT / "tabvae" / "report"
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["tabvae.report"]
    others = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*")
        if path.is_file() and path.suffix not in (".py", ".pyc")
    ]
    assert len(others) == 3
    assert all(any(fnmatch(name, pattern) for pattern in patterns) for name in others)

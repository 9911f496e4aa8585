"""The page about a table in a browser without scripts and without a network."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabvae import TabVAE
from tabvae.report.page import Report

from .conftest import make_frame

playwright = pytest.importorskip("playwright.sync_api", reason="pip install '.[browser]'")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
HOSTILE = "<script>document.title = 'taken'; fetch('http://127.0.0.1:9/')</script>"


@pytest.fixture(scope="module")
def report(model: TabVAE, frame: pd.DataFrame) -> Report:
    rows = frame.copy()
    rows.loc[np.arange(0, 240, 5), "id"] = HOSTILE
    with pytest.warns(match="no categories"):
        return model.report(rows.assign(group=rows["group"].fillna(HOSTILE)), make_frame(seed=1))


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """A page that is open, what was asked for meanwhile, and what was complained of."""

    def __init__(self, browser: Any, address: str, theme: str, width: int = 1280) -> None:
        self.context = browser.new_context(
            java_script_enabled=False,
            offline=True,
            color_scheme=theme,
            viewport={"width": width, "height": 800},
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: self.complaints.append(dialog.message))
        self.page.goto(address)

    def ground(self) -> str:
        found: str = self.page.evaluate("getComputedStyle(document.body).backgroundColor")
        return found

    def overflow(self) -> int:
        """Pixels by which the page is wider than its window."""
        found: int = self.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        return found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_drawn_without_scripts_and_without_a_network(
    browser: Any, report: Report, tmp_path: Path, theme: str
) -> None:
    path = tmp_path / "page.html"
    report.save(str(path))
    visit = Visit(browser, path.as_uri(), theme)
    assert visit.requests == [path.as_uri()]
    assert visit.complaints == []
    assert visit.page.title() == "table: report"
    numbers, marks = report.numbers, visit.page.locator
    assert marks("svg.dots circle").count() == numbers["map"]["rows"]
    assert marks("svg.curve circle").count() == len(numbers["odd"]["curve"])
    assert marks("figure.fill path.dash").count() == len(numbers["gaps"]["fills"])
    assert marks("svg.spark").count() == sum(c["chart"] is not None for c in numbers["columns"])
    pairs = len(numbers["synthetic"]["pairs"])
    assert marks("svg.heat rect").count() == pairs * (pairs - 1)
    assert marks("table.oddest tbody tr").count() == len(numbers["odd"]["rows"])
    for name in ("svg.dots", "svg.curve", "svg.heat", "figure.fill svg >> nth=0"):
        box = marks(name).bounding_box()
        assert box["width"] > 100, name
        assert box["height"] > 50, name
    assert visit.overflow() <= 0
    assert visit.page.pdf()[:4] == b"%PDF"
    visit.context.close()


def test_it_follows_the_theme_of_its_reader(browser: Any, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report.save(str(path))
    grounds = [Visit(browser, path.as_uri(), theme).ground() for theme in ("light", "dark")]
    light, dark = ([int(part) for part in text[4:-1].split(",")] for text in grounds)
    assert min(light) > 240
    assert max(dark) < 50


def test_it_fits_a_telephone(browser: Any, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    report.save(str(path))
    assert Visit(browser, path.as_uri(), "light", width=390).overflow() <= 0


def test_a_notebook_runs_nothing_of_it(browser: Any, report: Report, tmp_path: Path) -> None:
    path = tmp_path / "notebook.html"
    path.write_text(f"<!doctype html><title>mine</title>{report._repr_html_()}")
    visit = Visit(browser, path.as_uri(), "light")
    assert visit.page.title() == "mine"
    frame = visit.page.frame_locator("iframe")
    assert frame.locator("svg.dots circle").count() == report.numbers["map"]["rows"]
    assert [url for url in visit.requests if url.startswith("http")] == []

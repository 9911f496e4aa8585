"""A report as one file of HTML that needs no script, no network and nothing beside it."""

from __future__ import annotations

import html
import json
import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tabvae.errors import printable
from tabvae.files.writer import check_output, destination, write_text
from tabvae.report.document import Document
from tabvae.report.verdict import count, share

LONGEST_TEXT = 400
"""Characters of a name, a cell or a sentence on the page."""


@dataclass(frozen=True)
class Report:
    """The page about a table, and its numbers; a notebook shows it.

    Attributes:
        document: all numbers.
    """

    document: Document

    @property
    def numbers(self) -> dict[str, Any]:
        """All that the page says, as JSON has it."""
        return self.document.as_json()

    @property
    def json(self) -> str:
        """The same as text."""
        return json.dumps(self.numbers, indent=2) + "\n"

    @cached_property
    def html(self) -> str:
        """The page."""
        return page(self.numbers)

    def save(self, path: str, *, force: bool = False) -> None:
        """Write the page, whole or not at all.

        Raises:
            OutputError: it cannot be written, or is there and ``force`` is not set.
        """
        target = destination(path)
        check_output(target, force)
        write_text(self.html, target)

    def _repr_html_(self) -> str:
        """A frame of its own: neither the page nor the notebook changes the other's style."""
        return (
            f'<iframe sandbox srcdoc="{html.escape(self.html)}" title="report" '
            'style="width: 100%; height: 80vh; border: 1px solid #8884"></iframe>'
        )


def page(numbers: dict[str, Any]) -> str:
    """The page that ``numbers`` make, as JSON has them; nothing else is on it.

    Cells and names are text: what would be markup is escaped, and so are characters that move
    others, such as marks of direction.
    """
    return _environment().get_template("page.html.j2").render(numbers)


@cache
def _environment() -> Environment:
    """The templates and the filters that they use."""
    environment = Environment(
        loader=PackageLoader("tabvae.report"),
        autoescape=True,
        finalize=_plain,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )
    environment.filters |= {
        "count": count,
        "log10": lambda x: math.log10(max(x, 1e-12)),
        "share": _share,
        "short": _short,
        "significant": _significant,
    }
    return environment


def _plain(value: Any) -> Any:
    """What an expression of a template puts on the page: one line that moves no other text."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return _short(value, LONGEST_TEXT)


def _short(text: str, most: int) -> str:
    """The beginning of a text, as it is shown: at most so many characters, and no more than twice
    as many where they have to be escaped.

    >>> _short("plain", 5), _short("plainer", 5), _short("<<<<<<", 6)
    ('plain', 'plain…', '<<<…')
    """
    plain = printable(text[: most + 1])
    cut = plain[:most]
    while len(html.escape(cut)) > 2 * most:
        cut = cut[: len(cut) // 2]
    return cut if cut == plain else f"{cut}…"


def _share(value: float | None) -> str:
    return "–" if value is None else share(value)


def _significant(value: float | None, digits: int = 2) -> str:
    """
    >>> _significant(0.0123), _significant(None), _significant(2.0, 3)
    ('0.012', '–', '2')
    """
    return "–" if value is None else f"{value:.{digits}g}"

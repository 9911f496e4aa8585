"""tabvae report: one page about a table, to read and to pass on."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import click

from . import commands, options
from .console import say

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.estimator import TabVAE
    from tabvae.values.arrow import Ints


@commands.command(
    "report",
    guide="report",
    examples={
        "tabvae report -o report.html": "a page about the table fitted on",
        "tabvae report new.csv --no-cells -o new.html": "one to pass on: no cell of NEW on it",
    },
)
@options.data_argument
@options.model_option
@options.place_options
@click.option("--synthetic", metavar="FILE", help="Judge the rows of FILE beside those of DATA.")
@click.option("--no-cells", is_flag=True, help="Show no cell of any table: for passing on.")
@options.fpr_option
@click.option(
    "--color", metavar="COL", help="Colour the map by COL. [default: by p-values, odd rows on top]"
)
@click.option("--json", "as_json", is_flag=True, help="The numbers of the page as JSON instead.")
@options.seed_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    place: options.Place,
    synthetic: str | None,
    no_cells: bool,
    fpr: float,
    color: str | None,
    as_json: bool,
    seed: int | None,
    reading: options.Reading,
) -> None:
    """Write a page about DATA: its columns, gaps and odd rows, a map, what the model gives away.

    The page is one file of HTML. It needs no network and no script, follows the light or dark
    theme of whoever reads it, and can be printed. It shows cells of the table; --no-cells leaves
    them out. Its three sentences are told on standard error. The same seed gives the same bytes.
    """
    from . import session

    estimator = session.load_model(model)
    inputs = [*session.inputs_of(estimator, data), *([] if synthetic is None else [synthetic])]
    path = session.checked_path(place, model, inputs)
    table, unseen = _rows(estimator, data, reading)
    made = None if synthetic is None else session.read_rows(estimator, [synthetic], reading).table

    from tabvae.report.gather import gather
    from tabvae.report.page import Report
    from tabvae.report.request import Request

    request = Request(
        fpr=fpr,
        color=color,
        cells=not no_cells,
        seed=estimator.seed if seed is None else seed,
        table=", ".join(session.inputs_of(estimator, data)),
        synthetic=synthetic or "",
        commands=(shlex.join(["tabvae", *sys.argv[1:]]),),
        parameters=estimator.unusual_parameters(),
    )
    found = Report(gather(estimator.fitted_, table, request, made, unseen))
    written = found.json if as_json else found.html
    session.write_page(written, path, place.force)
    for sentence in found.document.head.verdict:
        say(sentence)
    if path is not None:
        say(f"wrote {path}: {len(written.encode()) / 1000:.0f} kB")


def _rows(
    estimator: TabVAE, data: tuple[str, ...], reading: options.Reading
) -> tuple[pa.Table, Ints | None]:
    """The table, and which of its rows no network trained on, where that is known."""
    from . import session

    if data:
        table = session.read_rows(estimator, data, reading).table
        same = session.is_fitted(estimator, table)
    else:
        loaded, same = session.read_fitted(estimator, reading)
        table = loaded.table
    return table, session.unseen_rows_of(estimator, table, same)

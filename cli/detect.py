"""tabvae detect: rows and cells that do not fit."""

from __future__ import annotations

import click

from tabvae.progress import phase

from . import commands, options
from .console import progress


@commands.command(
    "detect",
    guide="detect",
    examples={
        "tabvae detect -o odd.csv": "a score and a reason for each row fitted on",
        "tabvae detect new.csv --fpr 0.001": "of other rows, fewer false alarms",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@click.option(
    "--fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of ordinary rows that may be called outliers.",
)
@click.option(
    "--score",
    type=click.Choice(
        ["combined", "surprise", "density", "likelihood", "reconstruction", "latent"]
    ),
    help="What counts as odd: one cell given the others (surprise), the row among all rows "
    "(density), both and the likelihood (combined), or the textbook's last three. [default: "
    "combined, with a grid reconstruction]",
)
@options.keep_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    fpr: float,
    score: str | None,
    keep: tuple[str, ...],
    reading: options.Reading,
) -> None:
    """Write how odd each row of DATA is, and the cells that make it so.

    score: by default how rare the row is, in nats, by the surprise of its cells, its likelihood and
    its density together. p_value: share of ordinary rows at least as odd. outlier: p_value is at
    most --fpr. column_1, observed_1, expected_1: the cell that accounts for most of the
    surprise. rule, rule_asks: the rule between columns that the row breaks, and the cell
    that would keep it; only if the model has rules.
    """
    from . import session

    with progress("detect") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            output = session.Output.checked(target, model, session.inputs_of(estimator, data))
        with phase(watch, "reading"):
            loaded = session.read_rows(estimator, data, reading)
        found = estimator.fitted_.detect(loaded.table, fpr, score, watch)
    result = session.keep_columns(loaded.table, keep, found)
    output.write(result, session.text_dialect(loaded))

"""tabvae detect: rows and cells that do not fit."""

from __future__ import annotations

import click

from . import options


@click.command("detect")
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
    type=click.Choice(["surprise", "likelihood", "reconstruction", "latent"]),
    help="What counts as odd; the last three are the textbook's. [default: surprise, with a grid "
    "reconstruction]",
)
@options.keep_option
@options.reading_options
@options.debug_option
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

    score: by default the root mean square of the surprise of the row's cells. p_value: share of
    ordinary rows at least as odd. outlier: p_value is at most --fpr. column_1, observed_1,
    expected_1: the cell that accounts for most of it.
    """
    from . import session

    estimator = session.load_model(model)
    output = session.Output.checked(target, model, session.inputs_of(estimator, data))
    loaded = session.read_rows(estimator, data, reading)
    found = estimator.fitted_.detect(loaded.table, fpr, score)
    result = session.keep_columns(loaded.table, keep, found)
    output.write(result, session.text_dialect(loaded))

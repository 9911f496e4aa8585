"""tabvae generate: synthetic rows."""

from __future__ import annotations

import click

from . import options
from .console import say


@click.command("generate")
@click.option("-n", "--rows", type=click.IntRange(min=1), required=True, help="How many rows.")
@options.model_option
@options.target_options
@click.option(
    "--where",
    metavar="COL=VALUE",
    multiple=True,
    help="Set a cell in every row, draw the others given it; repeatable.",
)
@click.option("--complete", is_flag=True, help="Leave no gaps where the table had some.")
@click.option(
    "--one-shot",
    is_flag=True,
    help="Decode one draw of the latent space per row: faster, less faithful.",
)
@click.option(
    "--temperature",
    type=click.FloatRange(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="Below 1: more typical rows. Above 1: more varied ones.",
)
@options.seed_option
@options.debug_option
def command(
    rows: int,
    model: str | None,
    target: options.Target,
    where: tuple[str, ...],
    complete: bool,
    one_shot: bool,
    temperature: float,
    seed: int | None,
) -> None:
    """Write new rows with the columns, types and formats of the table the model has learned.

    Gaps come as often as in that table, unless --complete. Identifiers are new and unique, free
    text stays empty. Where that table still is, the share of exact copies of its rows is told.
    """
    from . import session

    cells = options.parse_assignments(where)
    estimator = session.load_model(model)
    output = session.Output.checked(target, model, session.sources_of(estimator))
    result = estimator.fitted_.generate(
        rows,
        where=cells,
        one_shot=one_shot,
        complete=complete,
        temperature=temperature,
        seed=estimator.seed if seed is None else seed,
    )
    table = session.same_kind_of_file(estimator, result, session.fitted_format(estimator), output)
    output.write(table, session.fitted_dialect(estimator))
    if (source := session.fitted_table(estimator)) is not None:
        from tabvae.comparison import exact_copies

        copied, twins = exact_copies(estimator.fitted_, source, result)
        say(
            f"{copied:.2%} of the rows are copies of rows of the table fitted on, in which "
            f"{twins:.2%} have a twin"
        )

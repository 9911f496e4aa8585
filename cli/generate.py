"""tabvae generate: synthetic rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tabvae.progress import phase

from . import commands, options
from .complete import columns
from .console import conclude, progress

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.estimator import TabVAE


@commands.command(
    "generate",
    guide="generate",
    examples={
        "tabvae generate -n 1000 -o new.csv": "a thousand new rows",
        "tabvae generate -n 50 --where 'price > 5000'": "under a condition",
    },
)
@click.option("-n", "--rows", type=click.IntRange(min=1), help="How many rows.")
@options.model_option
@options.target_options
@click.option(
    "--where",
    metavar="COL=VALUE",
    multiple=True,
    shell_complete=columns,
    help="Set a cell in every row, or a condition on it, and draw the others given it: 'price > "
    "5000', 'city in (Bern, Basel)', 'price in 10..20', 'city != Bern', 'rating is missing'; "
    "repeatable.",
)
@click.option(
    "--where-file",
    metavar="FILE",
    help="Set the cells of FILE, a row for each new row; its empty cells are drawn.",
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
@click.option(
    "--data",
    metavar="FILE",
    help="Tell the share of copies of rows of FILE, not of the table fitted on.",
)
@click.option("--no-check", is_flag=True, help="Read no table and tell no share of copies.")
@options.seed_option
@options.reading_options
def command(
    rows: int | None,
    model: str | None,
    target: options.Target,
    where: tuple[str, ...],
    where_file: str | None,
    complete: bool,
    one_shot: bool,
    temperature: float,
    data: str | None,
    no_check: bool,
    seed: int | None,
    reading: options.Reading,
) -> None:
    """Write new rows with the columns, types and formats of the table the model has learned.

    Gaps come as often as in that table, unless --complete. Identifiers are new and unique, free
    text stays empty. Where that table still is as it was, the share of exact copies of its rows is
    told.
    """
    from tabvae.errors import ParameterError, shown

    from . import session

    if data is not None and no_check:
        raise ParameterError("--data and --no-check exclude each other")
    if (rows is None) == (where_file is None):
        raise ParameterError("how many rows is said by -n or by --where-file", "-n 1000")
    if where and where_file is not None:
        raise ParameterError("--where and --where-file exclude each other")
    with progress("generate") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            named = [path for path in (data, where_file) if path is not None]
            output = session.Output.checked(target, model, [*session.sources_of(estimator), *named])
            given = read_conditions(estimator, where_file, reading)
        with phase(watch, "reading"):
            real = None if no_check else session.table_to_compare(estimator, data, reading)
        result = estimator.fitted_.generate(
            rows or session.rows_of(given),
            where=where,
            rows=given,
            one_shot=one_shot,
            complete=complete,
            temperature=temperature,
            seed=estimator.seed if seed is None else seed,
            progress=watch,
        )
        with phase(watch, "copies"):
            found = None if real is None else copies(estimator, real, result)
    table = session.same_kind_of_file(estimator, result, session.fitted_format(estimator), output)
    output.write(table, session.fitted_dialect(estimator))
    said: dict[str, object] = {"rows": len(result)} | output.document()
    words = ""
    if found is not None:
        copied, twins = found
        whose = "the table fitted on" if data is None else shown(data)
        said |= {"copies": copied, "twins": twins}
        words = (
            f"{copied:.2%} of the rows are copies of rows of {whose}, in which {twins:.2%} have a "
            "twin"
        )
    conclude("generate", words, said, output.on_stdout)


def copies(model: TabVAE, real: pa.Table, new: pa.Table) -> tuple[float, float]:
    """Share of new rows that are copies of real ones, and of these that have a twin."""
    from tabvae.tasks.synthetic import exact_copies, modelled_frame

    fitted = model.fitted_
    frames = [modelled_frame(fitted.codec, each, fitted.encode(each)) for each in (real, new)]
    return exact_copies(*frames)


def read_conditions(model: TabVAE, path: str | None, reading: options.Reading) -> pa.Table | None:
    """The cells of a file with conditions, if there is one."""
    from . import session

    return None if path is None else session.read_rows(model, [path], reading).table

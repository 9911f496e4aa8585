"""tabvae impute: fill the gaps."""

from __future__ import annotations

import click

from tabvae.progress import phase

from . import commands, options
from .console import progress


@commands.command(
    "impute",
    guide="impute",
    examples={
        "tabvae impute -o filled.csv": "fill the table fitted on",
        "tabvae impute new.csv --draws 5 -o draws.csv": "five drawn tables, for statistics",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    metavar="K",
    help="Write K completed tables, each drawn anew, with a column 'draw' in front.",
)
@click.option(
    "--proba",
    metavar="COL",
    multiple=True,
    help="Add how probable each value of COL is, in columns COL=value; repeatable.",
)
@options.seed_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    draws: int | None,
    proba: tuple[str, ...],
    seed: int | None,
    reading: options.Reading,
) -> None:
    """Write DATA with its gaps filled; every cell that is there stays as it is.

    A number becomes its expected value given the rest of its row, a category the most probable
    one. Columns of free text and identifiers are not modelled and keep their gaps.
    """
    import pyarrow as pa

    from tabvae.errors import ParameterError, SchemaError

    from . import session

    with progress("impute") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            output = session.Output.checked(target, model, session.inputs_of(estimator, data))
        with phase(watch, "reading"):
            loaded = session.read_rows(estimator, data, reading)
        table = loaded.table
        seed = estimator.seed if seed is None else seed
        if draws is None:
            result = estimator.fitted_.impute(table, watch)
            for name in proba:
                found = estimator.fitted_.probabilities(table, name)
                result = session.keep_columns(result, result.column_names, found)
        elif proba:
            raise ParameterError("--proba and --draws exclude each other: a draw is certain")
        elif "draw" in table.column_names:
            raise SchemaError("the table has a column 'draw' of its own", "rename it")
        else:
            drawn = estimator.fitted_.draw(table, draws, seed, watch)
            numbered = [
                one.add_column(0, "draw", pa.array([number] * len(one), pa.int64()))
                for number, one in enumerate(drawn, start=1)
            ]
            result = pa.concat_tables(numbered)
    output.write(
        session.same_kind_of_file(estimator, result, loaded.format, output),
        session.text_dialect(loaded, result),
    )

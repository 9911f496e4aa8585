"""tabvae interpolate: a path between two rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tabvae.errors import DataError, ParameterError, SchemaError, shown, suggestion

from . import commands, options
from .console import conclude

if TYPE_CHECKING:
    import pyarrow as pa


@commands.command(
    "interpolate",
    guide="embed",
    examples={
        "tabvae interpolate --from 1 --to 20": "ten rows from the first to the twentieth",
        "tabvae interpolate --id name=Ada --id name=Eve -n 5": "between two named rows",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@click.option(
    "--from", "first", type=int, metavar="ROW", help="Number of the row to begin with, from 1."
)
@click.option("--to", "last", type=int, metavar="ROW", help="Number of the row to end with.")
@click.option(
    "--id",
    "ids",
    metavar="COL=VALUE",
    multiple=True,
    help="Instead of a number: the first row in which COL is VALUE; once or twice.",
)
@click.option(
    "-n",
    "--rows",
    type=click.IntRange(min=2),
    default=10,
    show_default=True,
    help="How many, both ends included.",
)
@click.option("--spherical", is_flag=True, help="Along an arc instead of a straight line.")
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    first: int | None,
    last: int | None,
    ids: tuple[str, ...],
    rows: int,
    spherical: bool,
    reading: options.Reading,
) -> None:
    """Write the rows on the way from one row of DATA to another, through the latent space.

    Column t goes from 0 to 1. The ends are the two rows as the model restores them.
    """
    import pyarrow as pa

    from . import session

    if (first is None) + (last is None) != len(ids):
        raise ParameterError("a path needs two ends", "--from ROW --to ROW, or --id COL=VALUE")
    estimator = session.load_model(model)
    output = session.Output.checked(target, model, session.inputs_of(estimator, data))
    loaded = session.read_rows(estimator, data, reading)
    if "t" in estimator.fitted_.schema.names:
        raise SchemaError("the table has a column 't' of its own", "rename it")
    found = [row_with(loaded.table, text) for text in ids]
    start = found.pop(0) if first is None else first - 1
    end = found.pop(0) if last is None else last - 1
    result = estimator.fitted_.interpolate(loaded.table, start, end, rows, spherical=spherical)
    path = result.column("t")
    plain = session.same_kind_of_file(estimator, result.drop_columns("t"), loaded.format, output)
    table = plain.add_column(0, pa.field("t", pa.float64()), path)
    output.write(table, session.text_dialect(loaded))
    said = {"rows": len(table), "from": start + 1, "to": end + 1} | output.document()
    conclude("interpolate", "", said, output.on_stdout)


def row_with(table: pa.Table, text: str) -> int:
    """Number, from 0, of the first row with the cell ``text`` (COL=VALUE) names.

    Raises:
        ParameterError: it is not of that form.
        SchemaError: there is no such column.
        DataError: no row has that value.
    """
    import pyarrow.compute as pc

    from tabvae.values import arrow

    name, value = options.split_assignment("--id", text)
    if name not in table.column_names:
        raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
    texts = pc.utf8_trim_whitespace(arrow.to_text(arrow.flat(table.column(name))))
    number = pc.index(texts, value).as_py()
    if number < 0:
        raise DataError(f"no row in which {shown(name)} is {shown(value)}")
    return int(number)

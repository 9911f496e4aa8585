"""tabvae pool: a regression over the draws that impute --draws writes."""

from __future__ import annotations

import click

from . import commands, options


@commands.command(
    "pool",
    guide="impute",
    examples={
        "tabvae impute --draws 20 -o draws.csv": "tables to run the regression on",
        "tabvae pool 'total ~ price' draws.csv": "estimates over all of them",
    },
)
@click.argument("formula")
@click.argument("data")
@click.option(
    "--family",
    type=click.Choice(["gaussian", "binomial", "poisson"]),
    default="gaussian",
    show_default=True,
    help="Of the outcome: a number, true or false, or a count.",
)
@options.target_options
@options.reading_options
def command(
    formula: str,
    data: str,
    family: str,
    target: options.Target,
    reading: options.Reading,
) -> None:
    """Write what a regression on the draws in DATA says, by Rubin's rules.

    DATA is what 'impute --draws K' writes. FORMULA is like 'total ~ price + C(country)', as
    statsmodels has them; it is code, so take none from strangers. A row for each term: estimate,
    std_error, df, p_value, lower and upper end of the 95 % interval, and missing_information, the
    fraction of the information on it that the gaps take.
    """
    import pyarrow as pa

    from tabvae.files.exact import numbers_where_exact
    from tabvae.tasks.pool import pool
    from tabvae.values.arrow import DEFAULT_NA_VALUES

    from . import session

    output = session.Output.beside(target, [data])
    loaded = session.read_files([data], reading)
    table = numbers_where_exact(loaded.table, reading.na_values(DEFAULT_NA_VALUES))
    pooled = pool(formula, table.to_pandas(), family)
    output.write(pa.Table.from_pandas(pooled, preserve_index=False))

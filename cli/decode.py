"""tabvae decode: from coordinates back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import commands, options
from .console import say

if TYPE_CHECKING:
    from tabvae.estimator import TabVAE


@commands.command(
    "decode",
    guide="embed",
    examples={
        "tabvae embed -o places.csv && tabvae decode places.csv": "there and back",
        "tabvae decode places.csv --compare data.csv -o back.csv": "and what it loses",
    },
)
@click.argument("latents")
@options.model_option
@options.target_options
@click.option(
    "--compare",
    metavar="DATA",
    help="Say on standard error what is lost against the rows that were embedded.",
)
@options.reading_options
def command(
    latents: str,
    model: str | None,
    target: options.Target,
    compare: str | None,
    reading: options.Reading,
) -> None:
    """Write the rows at the coordinates z1..zk in LATENTS: the way back from 'embed'.

    Columns that are not modelled, such as identifiers, come from LATENTS if 'embed --keep' put
    them there.
    """
    from . import session

    estimator = session.load_model(model)
    inputs = [latents, *([compare] if compare else [])]
    output = session.Output.checked(target, model, inputs)
    loaded = session.read_rows(estimator, [latents], reading, alike=False)
    result = estimator.fitted_.decode(loaded.table)
    if compare is not None:
        say(loss_report(estimator, compare, reading, loaded.table))
    table = session.same_kind_of_file(estimator, result, session.fitted_format(estimator), output)
    output.write(table, session.fitted_dialect(estimator))


def loss_report(model: TabVAE, compare: str, reading: options.Reading, latents: object) -> str:
    """What is lost, column by column, and the size of both, in a few lines."""
    from tabvae.errors import shown
    from tabvae.files.exact import typed
    from tabvae.tasks.embed import read_coordinates
    from tabvae.tasks.evaluate import bytes_per_row, restoration_losses

    from . import session

    original = session.read_rows(model, [compare], reading).table
    fitted, codec = model.fitted_, model.fitted_.codec
    latent = fitted.networks.latent
    z = read_coordinates(latents, latent)
    losses = restoration_losses(fitted.predictor, fitted.projection, fitted.encode(original), z)
    lines = [
        f"{shown(name)[1:-1]}: RMSE {value:.3f} deviations"
        for name, value in losses.numbers.items()
    ]
    lines += [
        f"{shown(name)[1:-1]}: {100 * value:.1f} % changed"
        for name, value in losses.categories.items()
    ]
    table = typed(original, fitted.schema, codec.na_values)
    coordinates, parquet = bytes_per_row(codec, latent, table)
    lines.append(f"{coordinates} bytes a row as float32 coordinates, {parquet:.1f} as Parquet")
    return "\n".join(lines)

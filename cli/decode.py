"""tabvae decode: from coordinates back to rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from . import commands, options
from .console import conclude, say

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.estimator import TabVAE
    from tabvae.tasks.evaluate import RestorationLosses


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
    said: dict[str, object] = {"rows": len(result)} | output.document()
    if compare is not None:
        original = session.read_rows(estimator, [compare], reading).table
        losses = losses_against(estimator, original, loaded.table)
        said |= {"rmse": losses.numbers, "changed": losses.categories}
        say(loss_report(estimator, original, losses))
    table = session.same_kind_of_file(estimator, result, session.fitted_format(estimator), output)
    output.write(table, session.fitted_dialect(estimator))
    conclude("decode", "", said, output.on_stdout)


def losses_against(model: TabVAE, original: pa.Table, latents: pa.Table) -> RestorationLosses:
    """What is lost against the rows that were embedded."""
    from tabvae.tasks.embed import read_coordinates
    from tabvae.tasks.evaluate import restoration_losses

    fitted = model.fitted_
    z = read_coordinates(latents, fitted.networks.latent)
    return restoration_losses(fitted.predictor, fitted.projection, fitted.encode(original), z)


def loss_report(model: TabVAE, original: pa.Table, losses: RestorationLosses) -> str:
    """What is lost, column by column, and the size of both, in a few lines."""
    from tabvae.errors import shown
    from tabvae.files.exact import typed
    from tabvae.tasks.evaluate import bytes_per_row

    fitted, codec = model.fitted_, model.fitted_.codec
    lines = [
        f"{shown(name)[1:-1]}: RMSE {value:.3f} deviations"
        for name, value in losses.numbers.items()
    ]
    lines += [
        f"{shown(name)[1:-1]}: {100 * value:.1f} % changed"
        for name, value in losses.categories.items()
    ]
    table = typed(original, fitted.schema, codec.na_values)
    coordinates, parquet = bytes_per_row(codec, fitted.networks.latent, table)
    lines.append(f"{coordinates} bytes a row as float32 coordinates, {parquet:.1f} as Parquet")
    return "\n".join(lines)

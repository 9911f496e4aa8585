"""tabvae embed: low-dimensional features."""

from __future__ import annotations

import click

from . import options


@click.command("embed")
@options.data_argument
@options.model_option
@options.target_options
@options.keep_option
@options.reading_options
@options.debug_option
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    keep: tuple[str, ...],
    reading: options.Reading,
) -> None:
    """Write the latent coordinates z1..zk of each row of DATA, in the same order."""
    from . import session

    estimator = session.load_model(model)
    output = session.Output.checked(target, model, session.inputs_of(estimator, data))
    loaded = session.read_rows(estimator, data, reading)
    result = session.keep_columns(loaded.table, keep, estimator.fitted_.embed(loaded.table))
    output.write(
        session.same_kind_of_file(estimator, result, loaded.format, output),
        session.text_dialect(loaded),
    )

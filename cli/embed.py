"""tabvae embed: low-dimensional features."""

from __future__ import annotations

import click

from . import options


@click.command("embed")
@options.data_argument
@options.model_option
@options.output_options
@options.keep_option
@options.reading_options
@options.debug_option
def command(
    data: tuple[str, ...],
    model: str | None,
    output: str | None,
    fmt: str | None,
    force: bool,
    keep: tuple[str, ...],
    delimiter: str | None,
    encoding: str | None,
    na: tuple[str, ...],
) -> None:
    """Write the latent coordinates z1..zk of each row of DATA, in the same order."""
    from . import session

    estimator = session.load_model(model)
    target = session.Output.checked(output, fmt, force, session.inputs_of(estimator, data))
    loaded = session.read_rows(estimator, data, delimiter, encoding, na)
    result = session.keep_columns(loaded.table, keep, estimator.fitted_.embed(loaded.table))
    target.write(session.same_kind_of_file(estimator, result, target), session.text_dialect(loaded))

"""tabvae embed: low-dimensional features."""

from __future__ import annotations

from tabvae.progress import phase

from . import commands, options
from .console import conclude, progress


@commands.command(
    "embed",
    guide="embed",
    examples={
        "tabvae embed -o places.csv": "coordinates of the rows fitted on",
        "tabvae embed new.csv --keep id": "of other rows, with their column id",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@options.keep_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    keep: tuple[str, ...],
    reading: options.Reading,
) -> None:
    """Write the latent coordinates z1..zk of each row of DATA, in the same order."""
    from . import session

    with progress("embed") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            output = session.Output.checked(target, model, session.inputs_of(estimator, data))
        with phase(watch, "reading"):
            loaded = session.read_rows(estimator, data, reading)
        z = estimator.fitted_.embed(loaded.table, watch)
    result = session.keep_columns(loaded.table, keep, z)
    output.write(
        session.same_kind_of_file(estimator, result, loaded.format, output),
        session.text_dialect(loaded),
    )
    said = {"rows": len(z), "dimensions": z.num_columns} | output.document()
    conclude("embed", "", said, output.on_stdout)

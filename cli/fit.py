"""tabvae fit: learn a table."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tabvae.progress import phase

from . import commands, options
from .console import note, progress, say
from .session import MODEL_SUFFIX, read_files
from .words import leakage_in_words, rules_in_words, withheld_in_words

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.columns.schema import ColumnKind
    from tabvae.estimator import TabVAE
    from tabvae.files.reader import Loaded
    from tabvae.files.source import Source

INTERRUPTED = 130


@commands.command(
    "fit",
    guide="models",
    examples={
        "tabvae fit data.csv": "learn a table; writes data.tabvae",
        "tabvae fit *.parquet -o sales.tabvae --effort best": "many files, more time",
    },
)
@click.argument("data", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    metavar="MODEL",
    help="The model file to write. [default: DATA's stem with .tabvae, in this folder]",
)
@click.option("--force", is_flag=True, help="Replace a model that exists.")
@click.option("--resume", is_flag=True, help="Go on with a fit that was killed.")
@click.option(
    "--checkpoint",
    type=click.FloatRange(min=0),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How often to keep the state of training, in MODEL.checkpoint.",
)
@options.work_options
@options.seed_option
@options.family_options
@options.kind_options
@options.reading_options
def command(
    data: tuple[str, ...],
    output: str | None,
    force: bool,
    work: options.Work,
    resume: bool,
    checkpoint: float,
    seed: int | None,
    family: options.Family,
    kinds: options.Kinds,
    reading: options.Reading,
) -> int:
    """Learn DATA, one or many CSV or Parquet files with the same columns, and write a model.

    Kinds of columns, formats and everything about the training are found in the data and
    printed; the options override them. Ctrl-C keeps the best model so far. A fit that was killed
    goes on with --resume, and ends as if nothing had happened.
    """
    with progress("fit") as watch:
        with phase(watch, "reading"):
            from tabvae.files.writer import check_output, destination

            target = destination(output or default_model_path(data[0]))
            check_output(target, force, data)
            loaded = read_files(data, reading)
        with phase(watch, "loading"):
            model, given = unfitted(family, work, kinds, reading, seed, loaded.table)
            from tabvae.training.checkpoint import Checkpoint
        started = time.perf_counter()
        # Before the training, so that nothing that goes wrong here can lose it.
        source = source_of(model, data, loaded, reading.encoding)
        keeper = Checkpoint(f"{target}.checkpoint", checkpoint, resume)
        model.fit_table(loaded.table, given, watch, keeper)
        model.source_ = source
        check_output(target, force, data)
        model.save(target)
    say(summary(model, target, time.perf_counter() - started))
    if any(record.interrupted for record in model.fitted_.card.records):
        note("interrupted; the best model so far was kept")
        return INTERRUPTED
    keeper.discard()
    return 0


def unfitted(
    family: options.Family,
    work: options.Work,
    kinds: options.Kinds,
    reading: options.Reading,
    seed: int | None,
    table: pa.Table,
) -> tuple[TabVAE, dict[str, ColumnKind]]:
    """The estimator that the options ask for, and the kinds in a schema file."""
    from tabvae.estimator import TabVAE
    from tabvae.values.arrow import DEFAULT_NA_VALUES

    given, formats, rules = read_schema(kinds, table)
    overrides = asdict(kinds)
    del overrides["schema"]
    overrides["rules"] = (*kinds.rules, *rules)
    overrides["find_rules"] = not overrides.pop("no_rules")
    overrides["datetime"] = (*kinds.datetime, *(f"{name}={f}" for name, f in formats.items()))
    model = TabVAE(
        **asdict(family),
        **asdict(work),
        **overrides,
        seed=seed or 0,
        na_values=reading.na_values(DEFAULT_NA_VALUES) if reading.na or reading.na_add else None,
    )
    return model, given


def default_model_path(data: str) -> str:
    """DATA's stem with the suffix of a model, in the working folder."""
    name: str = "stdin" if data == "-" else Path(data).name
    for extension in (".gz", ".csv", ".tsv", ".txt", ".parquet", ".pq"):
        name = name.removesuffix(extension)
    return name + MODEL_SUFFIX


def source_of(model: TabVAE, paths: Sequence[str], loaded: Loaded, encoding: str | None) -> Source:
    """How to know again the table that ``model`` is fitted on, and its rows."""
    from tabvae.files.source import Source
    from tabvae.fit import validation_rows

    unseen = validation_rows(loaded.table.num_rows, model.settings().seed).numpy()
    # The encoding that is found is found again.
    dialect = replace(loaded.dialect, encoding=encoding)
    return Source.read(paths, loaded.format, dialect, loaded.table, unseen)


def read_schema(
    asked: options.Kinds, table: pa.Table
) -> tuple[dict[str, ColumnKind], dict[str, str], tuple[str, ...]]:
    """The kinds in a schema file, the datetime formats in it of columns of ``table`` that no option
    names, and its rules.

    Raises:
        SchemaError: the file cannot be read, or is no schema.
    """
    from tabvae.columns.overrides import (
        Overrides,
        formats_from_json,
        kinds_from_json,
        rules_from_json,
    )
    from tabvae.errors import SchemaError, shown
    from tabvae.values.arrow import is_moment

    if asked.schema is None:
        return {}, {}, ()
    try:
        text = Path(asked.schema).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"cannot read schema file {shown(asked.schema)}") from error
    options_ = Overrides(asked.categorical, asked.numeric, asked.datetime, asked.ignore)
    named = options_.kinds(table.column_names)
    written = {field.name for field in table.schema if not is_moment(field.type)}
    formats = formats_from_json(text)
    formats = {name: formats[name] for name in formats if name in written and name not in named}
    return kinds_from_json(text), formats, rules_from_json(text)


def summary(model: TabVAE, target: str, seconds: float) -> str:
    """What was learned, in a few lines."""
    schema, card = model.fitted_.schema, model.fitted_.card
    kinds = [str(column.kind) for column in schema.columns]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    best = card.records[0]
    active = f", {card.active} of {len(card.kl)} latent dimensions active" if len(card.kl) else ""
    lines = [
        f"{schema.rows} rows, {len(kinds)} columns: {counted}",
        *rules_in_words(schema.rules),
        f"{len(card.records)} network(s), best at step {best.best_step}{active}",
        f"wrote {target} in {seconds:.0f} s: {room(model, target)}",
    ]
    if withheld := withheld_in_words(model):
        lines.append(f"note: {withheld}; impute allows for it")
    if leakage := card.leakage:
        lines.append(leakage_in_words(leakage))
    recoveries = sum(record.recoveries for record in card.records)
    if recoveries:
        lines.append(
            f"note: the loss was not finite {recoveries} time(s); stepped back with a lower rate"
        )
    if card.collapsed:
        lines.append("note: the posterior has collapsed; the embedding says little (lower --beta)")
    return "\n".join(lines)


def room(model: TabVAE, target: str) -> str:
    """How large the file is, and what takes the room."""
    parts = ", ".join(f"{name} {mb:.1f}" for name, mb in model.fitted_.megabytes.items())
    return f"{Path(target).stat().st_size / 1e6:.1f} MB ({parts})"

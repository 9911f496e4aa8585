"""tabvae fit: learn a table."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import options
from .console import say, training_progress
from .session import MODEL_SUFFIX, read_files
from .words import guarantee_in_words, rules_in_words, withheld_in_words

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.columns.overrides import Overrides
    from tabvae.columns.schema import ColumnKind
    from tabvae.estimator import TabVAE
    from tabvae.files.reader import Loaded
    from tabvae.files.source import Source

INTERRUPTED = 130


@click.command("fit")
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
@options.debug_option
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
    """Learn DATA, one or many files with the same columns, and write a model.

    Kinds of columns, formats and everything about the training are found in the data and
    printed; the options override them. Ctrl-C keeps the best model so far. A fit that was killed
    goes on with --resume, and ends as if nothing had happened.
    """
    from tabvae.errors import OutputError, shown
    from tabvae.files.location import is_remote
    from tabvae.files.writer import check_output, destination

    target = destination(output or default_model_path(data[0]))
    if is_remote(target):
        raise OutputError(f"a model is written on this machine, not to {shown(target)}", "-o FILE")
    check_output(target, force, data)
    loaded = read_files(data, reading)
    from tabvae.errors import ParameterError
    from tabvae.estimator import TabVAE
    from tabvae.training.checkpoint import Checkpoint
    from tabvae.values.arrow import DEFAULT_NA_VALUES

    private = work.epsilon is not None
    if private and resume:
        raise ParameterError("--epsilon and --resume exclude each other", "fit again")
    overrides = asdict(kinds)
    given: dict[str, ColumnKind] = {}
    rules: tuple[str, ...] = ()
    if not private:
        given, asked, rules = read_schema(kinds, loaded.table)
        overrides |= asdict(asked)
    del overrides["schema"]
    overrides["rules"] = (*kinds.rules, *rules)
    overrides["find_rules"] = not overrides.pop("no_rules")
    model = TabVAE(
        **asdict(family),
        **asdict(work),
        **overrides,
        public=read_public(kinds) if private else None,
        seed=seed or 0,
        na_values=reading.na_values(DEFAULT_NA_VALUES) if reading.na or reading.na_add else None,
    )
    started = time.perf_counter()
    # Before the training, so that nothing that goes wrong here can lose it.
    source = source_of(model, data, loaded, reading.encoding)
    # A state of training is no part of what is promised.
    keeper = None if private else Checkpoint(f"{target}.checkpoint", checkpoint, resume)
    with training_progress() as progress:
        model.fit_table(loaded.table, given, progress, keeper)
    model.source_ = source
    check_output(target, force, data)
    model.save(target)
    say(summary(model, target, time.perf_counter() - started))
    if any(record.interrupted for record in model.fitted_.card.records):
        say("tabvae: note: interrupted; the best model so far was kept")
        return INTERRUPTED
    if keeper is not None:
        keeper.discard()
    return 0


def default_model_path(data: str) -> str:
    """DATA's stem with the suffix of a model, in the working folder."""
    from tabvae.files.formats import stem
    from tabvae.files.location import plain_name

    name: str = "stdin" if data == "-" else Path(plain_name(data)).name
    name = stem(re.sub(r"[*?\[\]]", "", name))
    return (name or "table") + MODEL_SUFFIX


def source_of(model: TabVAE, paths: Sequence[str], loaded: Loaded, encoding: str | None) -> Source:
    """How to know again the table that ``model`` is fitted on, and its rows."""
    from tabvae.files.location import plain_name
    from tabvae.files.source import Source
    from tabvae.fit import validation_rows

    unseen = validation_rows(loaded.table.num_rows, model.settings().seed).numpy()
    # The encoding that is found is found again.
    dialect = replace(loaded.dialect, encoding=encoding)
    paths = [plain_name(path) for path in paths]
    source = Source.read(paths, loaded.format, dialect, loaded.table, unseen)
    if model.epsilon is None:
        return source
    return replace(source, fingerprint=None, unseen=None)  # each cell has a part in it


def read_schema(
    asked: options.Kinds, table: pa.Table
) -> tuple[dict[str, ColumnKind], Overrides, tuple[str, ...]]:
    """The kinds in a schema file; what options say, and, of columns of ``table`` that none names,
    the formats and separators in that file; and its rules.

    Raises:
        SchemaError: the file cannot be read, or is no schema.
    """
    from tabvae.columns.overrides import (
        Overrides,
        formats_from_json,
        kinds_from_json,
        rules_from_json,
        separators_from_json,
    )
    from tabvae.values.arrow import is_moment

    said = {field.name: getattr(asked, field.name) for field in fields(Overrides)}
    options_ = Overrides(**said)
    if asked.schema is None:
        return {}, options_, ()
    text = text_of(asked.schema)
    named = options_.kinds(table.column_names)
    written = {f.name for f in table.schema if not is_moment(f.type) and f.name not in named}
    formats, signs = formats_from_json(text), separators_from_json(text)
    dates = [f"{name}={f}" for name, f in formats.items() if name in written]
    numbers = [(name, one) for name, one in signs.items() if name in written]
    asked_for = replace(
        options_,
        datetime=(*options_.datetime, *dates),
        decimal=(*options_.decimal, *(f"{name}={one.decimal}" for name, one in numbers)),
        thousands=(*options_.thousands, *(f"{name}={one.thousands}" for name, one in numbers)),
    )
    return kinds_from_json(text), asked_for, rules_from_json(text)


def read_public(asked: options.Kinds) -> dict[str, Any] | None:
    """What a schema file says that may be known of columns without looking at them.

    Raises:
        SchemaError: the file cannot be read, or is no schema.
    """
    from tabvae.columns.public import public_from_json

    return None if asked.schema is None else public_from_json(text_of(asked.schema))


def text_of(schema: str) -> str:
    """What is in a schema file.

    Raises:
        SchemaError: it cannot be read.
    """
    from tabvae.errors import SchemaError, shown

    try:
        return Path(schema).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SchemaError(f"cannot read schema file {shown(schema)}") from error


def summary(model: TabVAE, target: str, seconds: float) -> str:
    """What was learned, in a few lines."""
    schema, card = model.fitted_.schema, model.fitted_.card
    kinds = [str(column.kind) for column in schema.columns]
    counted = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    best = card.records[0]
    active = f", {card.active} of {len(card.kl)} latent dimensions active" if len(card.kl) else ""
    about = "" if card.guarantee is None else "about "
    lines = [
        f"{about}{schema.rows} rows, {len(kinds)} columns: {counted}",
        *rules_in_words(schema.rules),
        f"{len(card.records)} network(s), best at step {best.best_step}{active}",
        f"wrote {target} in {seconds:.0f} s: {room(model, target)}",
    ]
    if withheld := withheld_in_words(model):
        lines.append(f"note: {withheld}; impute allows for it")
    if leakage := card.leakage:
        lines.append(leakage.words)
    if guarantee := card.guarantee:
        lines.append(guarantee_in_words(guarantee))
        if guarantee.delta * schema.rows > 1:
            lines.append("note: delta is above one over the number of rows; --delta sets less")
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

"""tabvae fit: learn a table."""

from __future__ import annotations

import re
import shlex
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tabvae.errors import printable
from tabvae.progress import phase

from . import commands, options
from .console import conclude, note, progress
from .session import MODEL_SUFFIX, read_files
from .words import guarantee_in_words, rules_in_words, withheld_in_words

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.columns.overrides import Overrides
    from tabvae.columns.relations import JudgedRule
    from tabvae.columns.schema import ColumnKind, Schema
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
@click.argument("data", nargs=-1, required=True, type=click.Path())
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
@click.option(
    "--force-small", is_flag=True, help="Learn even a table of too few rows to tell much."
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
    force_small: bool,
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
    with progress("fit") as watch:
        with phase(watch, "reading"):
            from tabvae.errors import OutputError, ParameterError, shown
            from tabvae.files.location import is_remote
            from tabvae.files.writer import check_output, destination

            private = work.epsilon is not None
            if private and resume:
                raise ParameterError("--epsilon and --resume exclude each other", "fit again")
            target = destination(output or default_model_path(data[0]))
            if is_remote(target):
                what = f"a model is written on this machine, not to {shown(target)}"
                raise OutputError(what, "-o FILE")
            check_output(target, force, data)
            loaded = read_files(data, reading)
            require_rows(loaded.table.num_rows, force_small)
        with phase(watch, "loading"):
            model, given = unfitted(family, work, kinds, reading, seed, loaded.table)
            from tabvae.training.checkpoint import Checkpoint
        started = time.perf_counter()
        # Before the training, so that nothing that goes wrong here can lose it.
        source = source_of(model, data, loaded, reading.encoding)
        # A state of training is no part of what is promised.
        keeper = None if private else Checkpoint(f"{target}.checkpoint", checkpoint, resume)
        model.fit_table(loaded.table, given, watch, keeper)
        model.source_ = source
        check_output(target, force, data)
        model.save(target)
        with phase(watch, "summary"):
            done = Learned.of(model, loaded.table, target, time.perf_counter() - started)
    conclude("fit", done.words(data), done.document(), table_out=False)
    if any(record.interrupted for record in model.fitted_.card.records):
        note("interrupted; the best model so far was kept")
        return INTERRUPTED
    if keeper is not None:
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

    private = work.epsilon is not None
    overrides = asdict(kinds)
    given: dict[str, ColumnKind] = {}
    rules: tuple[str, ...] = ()
    if not private:
        given, asked, rules = read_schema(kinds, table)
        overrides |= asdict(asked)
    del overrides["schema"]
    overrides["rules"] = (*kinds.rules, *rules)
    overrides["find_rules"] = not overrides.pop("no_rules")
    model = TabVAE(
        **family.parameters(),
        **asdict(work),
        **overrides,
        public=read_public(kinds) if private else None,
        seed=seed or 0,
        na_values=reading.na_values(DEFAULT_NA_VALUES) if reading.na or reading.na_add else None,
    )
    return model, given


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


@dataclass(frozen=True)
class Learned:
    """What was learned.

    Attributes:
        model: fitted.
        target: its file.
        seconds: that it took.
        known: by column, how well it is known from the others, from 0 to 1.
        suspicious: what people should look at.
    """

    model: TabVAE
    target: str
    seconds: float
    known: dict[str, float]
    suspicious: tuple[str, ...]

    @classmethod
    def of(cls, model: TabVAE, table: pa.Table, target: str, seconds: float) -> Learned:
        from tabvae.columns.relations import judged
        from tabvae.fit import validation_rows
        from tabvae.rules.arithmetic import Formula
        from tabvae.rules.decisions import Dependency

        fitted = model.fitted_
        held_out = validation_rows(len(table), model.settings().seed).numpy()
        known = fitted.known(table, held_out if len(held_out) else None)
        rules = judged(fitted.schema, table, fitted.codec.na_values)
        for rule, found in zip(fitted.schema.rules, rules, strict=True):
            # What follows from others is worked out, not predicted.
            if isinstance(rule, Formula | Dependency):
                name = rule.target if isinstance(rule, Formula) else rule.dependent
                known[name] = max(known.get(name, 0.0), found.kept)
        known = dict(sorted(known.items(), key=lambda pair: -pair[1]))
        return cls(model, target, seconds, known, suspicious(fitted.schema, rules))

    def words(self, data: Sequence[str]) -> str:
        """The same in a paragraph."""
        schema, card = self.model.fitted_.schema, self.model.fitted_.card
        best = card.records[0]
        active = f", {card.active} of {len(card.kl)} latent dimensions active" * bool(len(card.kl))
        about = "" if card.guarantee is None else "about "
        lines = [
            f"{about}{schema.rows} rows, {len(schema.columns)} columns: {kinds_in_words(schema)}",
            *rules_in_words(schema.rules),
            f"known from the others: {known_in_words(self.known)}",
            *(f"suspicious: {each}" for each in self.suspicious),
            f"{len(card.records)} network(s), best at step {best.best_step}{active}",
            f"wrote {self.target} in {self.seconds:.0f} s: {room(self.model, self.target)}",
            f"next: {self.next_command(data)}",
        ]
        if withheld := withheld_in_words(self.model):
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
                f"note: the loss was not finite {recoveries} time(s); stepped back with a lower "
                "rate"
            )
        if card.collapsed:
            lines.append(
                "note: the posterior has collapsed; the embedding says little (lower --beta)"
            )
        return "\n".join(lines)

    def next_command(self, data: Sequence[str]) -> str:
        """What to do with the model."""
        here = list(Path().glob(f"*{MODEL_SUFFIX}"))
        named = "" if here == [Path(self.target)] else f" -m {shlex.quote(self.target)}"
        if "-" in data:
            return f"tabvae generate -n 1000{named} -o new.csv"
        if any(column.missing for column in self.model.fitted_.schema.columns):
            return f"tabvae impute{named} -o filled.csv"
        return f"tabvae detect{named} --top 20"

    def document(self) -> dict[str, object]:
        """The same as JSON values."""
        schema, card = self.model.fitted_.schema, self.model.fitted_.card
        return {
            "model": self.target,
            "bytes": Path(self.target).stat().st_size,
            "seconds": round(self.seconds, 3),
            "rows": schema.rows,
            "columns": {column.name: str(column.kind) for column in schema.columns},
            "rules": [str(rule) for rule in schema.rules],
            "known_from_others": self.known,
            "suspicious": self.suspicious,
            "missing_not_at_random": self.model.fitted_.most_withheld,
            "networks": len(card.records),
            "best_step": card.records[0].best_step,
            "active_dimensions": card.active,
            "collapsed": card.collapsed,
            "recoveries": sum(record.recoveries for record in card.records),
            "interrupted": any(record.interrupted for record in card.records),
            "leakage": None if card.leakage is None else asdict(card.leakage),
        }


def kinds_in_words(schema: Schema) -> str:
    """How many columns there are of each kind."""
    kinds = [str(column.kind) for column in schema.columns]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))


def known_in_words(known: dict[str, float], most: int = 3) -> str:
    """The columns that are known best, and worst."""
    from tabvae.errors import shown

    named = [f"{shown(name)[1:-1]} {share:.0%}" for name, share in known.items()]
    if len(named) <= 2 * most:
        return ", ".join(named)
    return f"best {', '.join(named[:most])}; worst {', '.join(named[: -most - 1 : -1])}"


@dataclass(frozen=True)
class SuspicionConfig:
    """What people should look at.

    Attributes:
        fewest_rows: a smaller table is refused: nothing can be held out, and what is written looks
            as sure as that of a large one.
        few_rows: of a smaller table a note says so: of ten held-out rows one is a tenth.
        mostly_missing: share of its cells beyond which a column is.
        most_named: columns, or rules that are broken.
    """

    fewest_rows: int = 20
    few_rows: int = 100
    mostly_missing: float = 0.5
    most_named: int = 5


def suspicious(
    schema: Schema, rules: Sequence[JudgedRule], config: SuspicionConfig | None = None
) -> tuple[str, ...]:
    """What people should look at, a line each."""
    config = config or SuspicionConfig()
    least = config.mostly_missing * schema.rows
    gappy = [
        f"{printable(c.name)} {c.missing / schema.rows:.0%}"
        for c in schema.columns
        if c.missing > least
    ]
    doubts = [printable(c.name) for c in schema.columns if c.doubt]
    broken = [
        f"{rule.broken} row(s) break {printable(rule.text)}, such as row {rule.rows[0]}"
        for rule in rules
        if rule.broken
    ]
    few = schema.rows < config.few_rows
    return (
        *([f"only {schema.rows} rows, from which little can be learned"] if few else []),
        *_listed("mostly missing", gappy, config.most_named),
        *_listed("perhaps read wrongly, see 'tabvae inspect'", doubts, config.most_named),
        *broken[: config.most_named],
    )


def _listed(what: str, names: list[str], most: int) -> list[str]:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return [f"{what}: {', '.join(names[:most])}{more}"] if names else []


def require_rows(rows: int, forced: bool, config: SuspicionConfig | None = None) -> None:
    """Refuse a table that is too small; of one row or none the library knows more to say.

    Raises:
        DataError: it is.
    """
    from tabvae.columns.schema import TableLimits
    from tabvae.errors import DataError

    config = config or SuspicionConfig()
    if TableLimits.fewest_rows <= rows < config.fewest_rows and not forced:
        raise DataError(f"{rows} rows are too few to learn from", "--force-small learns them still")


def room(model: TabVAE, target: str) -> str:
    """How large the file is, and what takes the room."""
    parts = ", ".join(f"{name} {mb:.1f}" for name, mb in model.fitted_.megabytes.items())
    return f"{Path(target).stat().st_size / 1e6:.1f} MB ({parts})"

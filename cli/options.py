"""The options that several commands share: one name and one meaning everywhere."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from functools import reduce, wraps
from typing import TYPE_CHECKING, Any

import click

from tabvae.errors import ParameterError, shown
from tabvae.files.formats import names_of_formats

from . import complete
from .console import note

if TYPE_CHECKING:
    from tabvae.files.records import Dialect

Decorator = Callable[[Any], Any]

FAMILIES = ("vae", "ae", "dae")
DEFAULT_NA_HELP = "the empty cell, NA, NaN, null, None, ?"


@dataclass(frozen=True)
class Reading:
    """How to read a text table; what is not given is found, or as it was in ``fit``."""

    delimiter: str | None
    encoding: str | None
    quote: str | None
    escape: str | None
    header_rows: int | None
    no_header: bool
    skip_rows: int | None
    comment: str | None
    bad_rows: str | None
    na: tuple[str, ...]
    na_add: tuple[str, ...]
    max_memory: int

    def dialect(self, usual: Dialect) -> Dialect:
        """How the table is written: as is ``usual``, but for what is given.

        Raises:
            ParameterError: no table can be written so, or two options exclude each other.
        """
        if self.no_header and self.header_rows:
            raise ParameterError("--no-header and --header-rows exclude each other")
        names = {field.name for field in fields(self)} & {field.name for field in fields(usual)}
        values = {name: getattr(self, name) for name in names}
        if self.no_header:
            values["header_rows"] = 0
        return replace(usual, **{name: v for name, v in values.items() if v is not None})

    def na_values(self, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Texts that mean a missing cell: the ``usual`` ones, or those given; and what is added."""
        return (*(self.na or usual), *self.na_add)


@dataclass(frozen=True)
class Kinds:
    """What the user says of columns."""

    categorical: tuple[str, ...]
    numeric: tuple[str, ...]
    datetime: tuple[str, ...]
    ignore: tuple[str, ...]
    decimal: tuple[str, ...]
    thousands: tuple[str, ...]
    schema: str | None
    rules: tuple[str, ...]
    no_rules: bool
    rules_at_least: float | None


@dataclass(frozen=True)
class Family:
    """Which autoencoder to train, and the weights of its terms."""

    family: str
    old_family: str | None
    latent: int | None
    beta: float
    warmup: float
    free_nats: float
    noise: float
    likelihood: str
    grid: str | None

    def parameters(self) -> dict[str, Any]:
        """By the names that the estimator has for them."""
        values = asdict(self)
        family, old = values.pop("family"), values.pop("old_family")
        if old is not None:
            note("'fit --model' is called --family now: --model names a file everywhere else")
        return {"model": old or family, **values}


@dataclass(frozen=True)
class Work:
    """How long and where to work, and what not to keep."""

    effort: str
    device: str
    min_count: int
    memorise: bool
    epsilon: float | None
    delta: float | None
    unit: str | None


@dataclass(frozen=True)
class Target:
    """Where the result goes."""

    output: str | None
    fmt: str | None
    force: bool
    safe_csv: bool


@dataclass(frozen=True)
class Place:
    """Where a page goes."""

    output: str | None
    force: bool


def _bundle(name: str, kind: type[Any], *decorators: Decorator) -> Decorator:
    """Options that reach the command as one object of class ``kind`` called ``name``."""

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def bundled(**values: Any) -> Any:
            own = {field.name: values.pop(field.name) for field in fields(kind)}
            return command(**values, **{name: kind(**own)})

        return reduce(lambda inner, decorator: decorator(inner), reversed(decorators), bundled)

    return decorate


def _column_option(name: str, text: str) -> Decorator:
    """An option that takes names of columns."""
    return click.option(
        name, metavar="COL", multiple=True, shell_complete=complete.columns, help=text
    )


reading_options = _bundle(
    "reading",
    Reading,
    click.option(
        "--delimiter",
        metavar="CHAR",
        help="Between cells of a CSV file; found in its first lines by default.",
    ),
    click.option("--encoding", metavar="NAME", help="Of a CSV file; UTF-8 by default."),
    click.option(
        "--quote", metavar="CHAR", help="Around cells of a CSV file; '' for none. [default: \"]"
    ),
    click.option(
        "--escape", metavar="CHAR", help="Before a quote in a cell, where it is not doubled."
    ),
    click.option(
        "--header-rows",
        type=click.IntRange(min=0),
        metavar="N",
        help="Lines of names. [default: 1, or 0 if all lines hold numbers]",
    ),
    click.option("--no-header", is_flag=True, help="The first line is a row."),
    click.option(
        "--skip-rows", type=click.IntRange(min=0), metavar="N", help="Lines before the header."
    ),
    click.option("--comment", metavar="TEXT", help="What lines begin with that are no rows."),
    click.option(
        "--bad-rows",
        type=click.Choice(["error", "skip", "pad"]),
        help="Rows that do not fit the header: refuse the file, leave them out, or mend them and "
        "say which. [default: error]",
    ),
    click.option(
        "--na",
        "na",
        metavar="TEXT",
        multiple=True,
        help=f"Means a missing cell; repeatable. Replaces: {DEFAULT_NA_HELP}.",
    ),
    click.option(
        "--na-add",
        "na_add",
        metavar="TEXT",
        multiple=True,
        help="Means a missing cell beside the others; repeatable.",
    ),
    click.option(
        "--max-memory",
        metavar="SIZE",
        default="1GB",
        show_default=True,
        callback=lambda _, __, text: parse_size(text),
        help="Refuse files that take more together, such as 500MB or 4GB.",
    ),
)

kind_options = _bundle(
    "kinds",
    Kinds,
    _column_option("--categorical", "COL holds categories."),
    _column_option("--numeric", "COL holds numbers."),
    click.option(
        "--datetime",
        metavar="COL[=FORMAT]",
        multiple=True,
        shell_complete=complete.columns,
        help="COL holds dates or times, in FORMAT if given, such as day=%d/%m/%Y.",
    ),
    _column_option("--ignore", "Carry COL through, unmodelled."),
    click.option(
        "--decimal",
        metavar="[COL=]CHAR",
        multiple=True,
        help="Between whole and fraction of numbers, such as ',', or of those in COL. Found by "
        "default.",
    ),
    click.option(
        "--thousands",
        metavar="[COL=]CHAR",
        multiple=True,
        help="Between groups of three digits; '' for none. Found by default.",
    ),
    click.option(
        "--schema",
        metavar="FILE",
        help="Kinds and rules from a file that 'inspect --json' wrote; with --epsilon, what is "
        "public.",
    ),
    click.option(
        "--rule",
        "rules",
        metavar="RULE",
        multiple=True,
        help="To keep: 'total = price * amount', 'begin <= end' or 'city -> country'; repeatable.",
    ),
    click.option("--no-rules", is_flag=True, help="Look for no other rules."),
    click.option(
        "--rules-at-least",
        type=click.FloatRange(0.5, 1, min_open=True),
        metavar="SHARE",
        help="Believe rules that this share of the rows keeps; by default .95 for equations and "
        ".98 for others.",
    ),
)

family_options = _bundle(
    "family",
    Family,
    click.option(
        "--family",
        type=click.Choice(FAMILIES),
        default="vae",
        show_default=True,
        help="Variational, plain or denoising autoencoder.",
    ),
    click.option(
        "--model",
        "old_family",
        type=click.Choice(FAMILIES),
        help="Old name of --family.",
    ),
    click.option(
        "--latent", type=click.IntRange(min=1), help="Dimensions of the embedding. [default: 8]"
    ),
    click.option(
        "--beta",
        type=click.FloatRange(min=0),
        default=1.0,
        show_default=True,
        help="vae: weight of the KL term.",
    ),
    click.option(
        "--warmup",
        type=click.FloatRange(0, 1),
        default=0.0,
        show_default=True,
        help="vae: share of the steps over which that weight rises from 0.",
    ),
    click.option(
        "--free-nats",
        type=click.FloatRange(min=0),
        default=0.0,
        show_default=True,
        help="vae: KL of a dimension that costs nothing, in nats.",
    ),
    click.option(
        "--noise",
        type=click.FloatRange(min=0),
        default=0.2,
        show_default=True,
        help="dae: what is added to numbers, in deviations, and share of categories swapped.",
    ),
    click.option(
        "--likelihood",
        type=click.Choice(["binned", "gaussian", "laplace", "bernoulli"]),
        default="binned",
        show_default=True,
        help="Of numbers. The last three are squared error, absolute error, cross-entropy in 0..1.",
    ),
    click.option(
        "--grid",
        metavar="SIZE",
        help="8x8, 28x28x3 or 64: the numeric columns are the cells of an image or spectrum.",
    ),
)

work_options = _bundle(
    "work",
    Work,
    click.option(
        "--effort",
        type=click.Choice(["fast", "default", "best"]),
        default="default",
        show_default=True,
        help="How long to work.",
    ),
    click.option(
        "--device",
        type=click.Choice(["auto", "cpu", "cuda"]),
        default="auto",
        show_default=True,
        help="Where to train.",
    ),
    click.option(
        "--min-count",
        type=click.IntRange(min=1),
        default=1,
        show_default=True,
        help="Keep no category of fewer cells, and of numbers' values averages of as many.",
    ),
    click.option(
        "--memorise",
        is_flag=True,
        help="Learn rows by heart: fills small tables better, and gives their rows away.",
    ),
    click.option(
        "--epsilon",
        type=float,
        help="Fit under differential privacy: the less, the less a model tells of a row.",
    ),
    click.option("--delta", type=float, help="With --epsilon, what is left out. [default: 1e-6]"),
    click.option(
        "--unit",
        metavar="COL",
        help="With --epsilon: protect all rows of one value of COL, such as a person.",
    ),
)

model_option = click.option(
    "-m",
    "--model",
    metavar="MODEL",
    shell_complete=complete.models,
    help="The model file. [default: $TABVAE_MODEL, else the only .tabvae here]",
)

data_argument = click.argument("data", nargs=-1, type=click.Path())

_force_option = click.option("--force", is_flag=True, help="Replace an output that exists.")

target_options = _bundle(
    "target",
    Target,
    click.option(
        "-o",
        "--output",
        metavar="FILE",
        help="Write to .csv, .tsv, .parquet, .arrow or .jsonl, also .gz, .zst, .bz2, .xz or .lz4. "
        "[default: standard output]",
    ),
    click.option(
        "--format",
        "fmt",
        type=click.Choice(names_of_formats()),
        help="Of the output. [default: by its extension]",
    ),
    _force_option,
    click.option(
        "--safe-csv",
        is_flag=True,
        help="Put ' before text that a spreadsheet would run; never before numbers.",
    ),
)

place_options = _bundle(
    "place",
    Place,
    click.option(
        "-o", "--output", metavar="FILE", help="Write to FILE. [default: standard output]"
    ),
    _force_option,
)

fpr_option = click.option(
    "--fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    default=0.01,
    show_default=True,
    help="Share of ordinary rows that may be called outliers.",
)

seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=None,
    help="Of all randomness; the same seed gives the same bytes.",
)

keep_option = _column_option("--keep", "Carry COL along in front; repeatable.")


def parse_size(text: str) -> int:
    """Bytes of ``500MB``, ``4GB`` or a plain number.

    Raises:
        ParameterError: the text is of another form.
    """
    match = re.fullmatch(r"(\d{1,9})\s*([KMGT]?)B?", text.strip().upper())
    if match is None:
        raise ParameterError(f"a size is like 500MB or 4GB, however: {shown(text)}")
    exponent: int = "KMGT".find(match[2]) + 1 if match[2] else 0
    return int(match[1]) << 10 * exponent


def split_assignment(option: str, text: str) -> tuple[str, str]:
    """Column and value of a ``COL=VALUE`` text.

    Raises:
        ParameterError: the text has no equals sign.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"{option} takes COL=VALUE, however: {shown(text)}")
    return name, value

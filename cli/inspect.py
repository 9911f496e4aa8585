"""tabvae inspect: what a table's columns are taken for, or a model's card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import commands, options
from .console import literal, output_console
from .session import MODEL_SUFFIX, read_files

if TYPE_CHECKING:
    from tabvae.columns.relations import JudgedRule
    from tabvae.columns.schema import Schema
    from tabvae.dp.budget import Guarantee
    from tabvae.estimator import TabVAE


@commands.command(
    "inspect",
    guide="columns",
    examples={
        "tabvae inspect data.csv": "what each column is taken for, and why",
        "tabvae inspect data.tabvae": "what a model has learned, and how",
    },
)
@click.argument("file")
@click.option("--json", "as_json", is_flag=True, help="As JSON; for a table, a schema file.")
@options.kind_options
@options.reading_options
def command(
    file: str,
    as_json: bool,
    kinds: options.Kinds,
    reading: options.Reading,
) -> None:
    """Show what each column of a table is taken for and why, or the card of a model."""
    from tabvae.files.writer import standard_output

    if file.endswith(MODEL_SUFFIX):
        from tabvae.estimator import TabVAE

        model = TabVAE.load(file)
        with standard_output():
            if as_json:
                click.echo(json.dumps(card_json(model), indent=2))
            else:
                show_card(output_console(), model)
        return
    from tabvae.columns.infer import infer_schema
    from tabvae.columns.relations import RuleSearch, judged, with_rules
    from tabvae.values.arrow import DEFAULT_NA_VALUES

    from .fit import read_schema

    loaded = read_files([file], reading)
    names = loaded.table.column_names
    kinds_given, asked, rules_given = read_schema(kinds, loaded.table)
    given = {**kinds_given, **asked.kinds(names)}
    na_values = reading.na_values(DEFAULT_NA_VALUES)
    formats, separators = asked.formats(names), asked.separators(names)
    inferred = infer_schema(loaded.table, na_values, given, formats, separators=separators)
    rules = RuleSearch((*kinds.rules, *rules_given), not kinds.no_rules, kinds.rules_at_least)
    schema = with_rules(inferred, loaded.table, na_values, rules)
    found = judged(schema, loaded.table, na_values)
    with standard_output():
        if as_json:
            document = {**schema.to_json(), "rules": [asdict(rule) for rule in found]}
            click.echo(json.dumps(document, indent=2))
        else:
            console = output_console()
            show_schema(console, schema, file)
            show_rules(console, found)


def show_schema(console: Any, schema: Schema, title: str) -> None:
    """A table of decisions."""
    from rich.table import Table

    from tabvae.errors import shown

    table = Table(title=literal(f"{title}: {schema.rows} rows"), title_justify="left")
    for heading in ("column", "kind", "missing", "distinct", "range", "reason"):
        table.add_column(heading, overflow="fold")
    for column in schema.columns:
        between = " .. ".join(column.range_as_text)
        name = shown(column.name)[1:-1]
        missing, distinct = str(column.missing or ""), str(column.distinct)
        reason = f"{column.reason}; {column.doubt}" if column.doubt else column.reason
        cells = (name, column.kind, missing, distinct, between, reason)
        table.add_row(*map(literal, cells))
    console.print(table)


def show_rules(console: Any, rules: Sequence[JudgedRule]) -> None:
    """A table of rules, and the first lines that break each."""
    from rich.table import Table

    if not rules:
        return
    table = Table()
    for heading in ("rule", "kept", "broken", "in rows"):
        table.add_column(heading, overflow="fold")
    for rule in rules:
        rows = ", ".join(map(str, rule.rows)) + (", ..." if rule.broken > len(rule.rows) else "")
        table.add_row(*map(literal, (rule.text, f"{rule.kept:.1%}", str(rule.broken or ""), rows)))
    console.print(table)


def show_card(console: Any, model: TabVAE) -> None:
    """The model's columns, training and diagnostics."""
    from rich.table import Table

    from .words import rules_in_words, withheld_in_words

    grid = f", grid {model.grid}" if model.grid else ""
    size = model.fitted_.networks.latent
    kind = f"{model.model}, {size} latent dimensions, {model.likelihood} numbers{grid}"

    console.print(f"model: {kind}", highlight=False)
    show_schema(console, model.fitted_.schema, "fitted on")
    for line in rules_in_words(model.fitted_.schema.rules, most=1000):
        console.print(line, highlight=False, soft_wrap=True)
    card = model.fitted_.card
    table = Table(title="training", title_justify="left")
    for heading in ("network", "step", "reconstruction", "KL", "held-out loss"):
        table.add_column(heading, justify="right")
    for number, record in enumerate(card.records, start=1):
        for point in record.curve[:: max(1, len(record.curve) // 8)]:
            table.add_row(
                str(number),
                str(point.step),
                f"{point.reconstruction:.3f}",
                f"{point.kl:.3f}",
                f"{point.held_out:.4f}",
            )
    console.print(table)
    if withheld := withheld_in_words(model):
        console.print(withheld, highlight=False, soft_wrap=True)
    if guarantee := card.guarantee:
        show_guarantee(console, guarantee)
    if card.leakage:
        console.print(card.leakage.words, highlight=False, soft_wrap=True)
    if not len(card.kl):
        return
    dimensions = ", ".join(f"{value:.2f}" for value in card.kl)
    console.print(f"KL per latent dimension: {dimensions}")
    console.print(f"active: {card.active} of {len(card.kl)}")
    if card.collapsed:
        console.print("warning: the posterior has collapsed; the embedding says little")


def show_guarantee(console: Any, guarantee: Guarantee) -> None:
    """What a model promises of single rows, what each part of it takes, and what is outside."""
    from rich.table import Table

    from .words import guarantee_in_words

    console.print(guarantee_in_words(guarantee), highlight=False, soft_wrap=True)
    table = Table()
    for heading in ("part", "mechanism", "noise", "epsilon alone", "delta"):
        table.add_column(heading, overflow="fold")
    for part in guarantee.parts:
        noise = f"{part.noise:.3g}" if part.noise else ""
        epsilon = f"{part.epsilon:.3g}" if part.epsilon else ""
        cells = (part.part, part.mechanism, noise, epsilon, f"{part.delta:.2g}")
        table.add_row(*map(literal, cells))
    console.print(table)
    for what in guarantee.outside:
        console.print(f"outside: {what}", highlight=False, soft_wrap=True)


def card_json(model: TabVAE) -> dict[str, Any]:
    """The card as a JSON document."""
    fitted, card = model.fitted_, model.fitted_.card
    return {
        "parameters": model.get_params(),
        "schema": fitted.schema.to_json(),
        "missing_not_at_random": fitted.most_withheld,
        "training": [asdict(record) for record in card.records],
        "kl_per_dimension": card.kl.tolist(),
        "active_dimensions": card.active,
        "collapsed": card.collapsed,
        "leakage": None if card.leakage is None else asdict(card.leakage),
        "privacy": None if card.guarantee is None else asdict(card.guarantee),
    }

"""Commands whose help opens with examples, has its options in groups and names its page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import groupby
from typing import Any

import click

from . import console
from .settings import add_variables, config_option

GROUPS: Mapping[str, tuple[str, ...]] = {
    "Table": (
        *("delimiter", "encoding", "quote", "escape", "header_rows", "no_header", "skip_rows"),
        *("comment", "bad_rows", "na", "na_add", "max_memory"),
    ),
    "Columns": (
        "categorical",
        "numeric",
        "datetime",
        "ignore",
        "decimal",
        "thousands",
        "schema",
        "rules",
        "no_rules",
        "rules_at_least",
    ),
    "Training": (
        *("effort", "device", "min_count", "memorise", "force_small", "resume", "checkpoint"),
        *("epsilon", "delta", "unit"),
    ),
    "Research": (
        *("family", "old_family", "latent", "beta", "warmup", "free_nats", "noise"),
        *("likelihood", "grid"),
    ),
    "Output": (
        *("output", "fmt", "force", "safe_csv", "keep", "json", "as_json"),
        *("quiet", "verbose", "no_progress", "no_color"),
    ),
    "Other": ("config", "debug", "help", "version"),
}
"""Options by what they are about, in the order of the help; those of one command come first."""


class Command(click.Command):
    """A command with examples and a page of the guide.

    Args:
        examples: command lines with what they do.
        guide: name of its page in docs/guide.
    """

    def __init__(
        self,
        *args: Any,
        examples: Mapping[str, str] | None = None,
        guide: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self.examples, self.guide = examples or {}, guide
        taken = {parameter.name for parameter in self.params}
        # The JSON of some commands is their whole output.
        self.params += [o for o in voice_options() if not (o.name == "json" and "as_json" in taken)]
        add_variables(self.params)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        self.format_usage(ctx, formatter)
        if self.examples:
            with formatter.section("Examples"):
                formatter.write_dl(list(self.examples.items()))
        self.format_help_text(ctx, formatter)
        self.format_options(ctx, formatter)
        if self.guide:
            with formatter.section("Guide"):
                formatter.write_text(f"docs/guide/{self.guide}.md")

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self, ctx, formatter)


def write_options(
    command: click.Command, ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    """The options of a command in their groups."""
    titles = ["Options", *GROUPS]
    records = [
        (_group_of(parameter), record)
        for parameter in command.get_params(ctx)
        if isinstance(parameter, click.Option)
        and (record := parameter.get_help_record(ctx)) is not None
    ]
    records.sort(key=lambda pair: titles.index(pair[0]))
    for title, group in groupby(records, key=lambda pair: pair[0]):
        with formatter.section(title):
            formatter.write_dl([record for _, record in group])


def _group_of(parameter: click.Option) -> str:
    if "--help" in parameter.opts:  # Click has its own name for it.
        return "Other"
    return next((title for title, names in GROUPS.items() if parameter.name in names), "Options")


def voice_options() -> list[click.Option]:
    """Options of every command, also before its name."""
    return [
        config_option(),  # first: it may say how the others are
        _switch(["--json"], "json", True, "Say the summary as one JSON object."),
        _switch(["-q", "--quiet"], "quiet", True, "Say nothing but errors."),
        _switch(["-v", "--verbose"], "verbose", True, "Say how long each phase took."),
        _switch(["--no-progress"], "progress", False, "Show no bar."),
        _switch(["--no-color"], "color", False, "Without colours, as with NO_COLOR."),
        click.Option(
            ["--debug"], is_flag=True, expose_value=False, help="Show the traceback of an error."
        ),
    ]


def _switch(names: list[str], attribute: str, value: bool, text: str) -> click.Option:
    def switch(_: click.Context, __: click.Parameter, given: bool) -> None:
        if given:
            setattr(console.voice, attribute, value)

    # Before all others: what they say heeds it.
    return click.Option(
        names, is_flag=True, expose_value=False, is_eager=True, callback=switch, help=text
    )


def command(
    name: str, *, guide: str, examples: Mapping[str, str]
) -> Callable[[Callable[..., Any]], click.Command]:
    """A command of that name; see ``Command``."""
    return click.command(name, cls=Command, guide=guide, examples=examples)

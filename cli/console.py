"""What people see on standard error: notes, summaries, and a bar on a terminal; or, for machines,
one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from tabvae.errors import printable
from tabvae.progress import PhaseWeights, Progress, shown

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

MOST_SHOWN = 200


@dataclass
class Voice:
    """How much is said, and how.

    Attributes:
        quiet: nothing but errors.
        verbose: a line for each phase, too.
        progress: show a bar on a terminal.
        color: in colours.
        json: what a summary would say as one JSON object.
        notes: said so far, which are part of that object.
        config: file with options that are not given otherwise.
    """

    quiet: bool = False
    verbose: bool = False
    progress: bool = True
    color: bool = True
    json: bool = False
    notes: list[str] = field(default_factory=list)
    config: str | None = None


voice = Voice()
"""Of the command that runs; ``main.run`` gives each its own."""


def say(message: str) -> None:
    """Lines on standard error, where people read them."""
    if not (voice.quiet or voice.json):
        click.echo("\n".join(printable(line) for line in message.split("\n")), err=True)


def note(message: str) -> None:
    """Something that people should know of."""
    voice.notes.append(message)
    say(f"tabvae: note: {message}")


def conclude(command: str, lines: str, document: Mapping[str, Any], table_out: bool) -> None:
    """The summary of a command: ``lines`` for people, a JSON object for machines.

    Args:
        command: that has ended.
        lines: what it says; nothing if empty.
        document: the same as JSON values.
        table_out: a table went to standard output, so that the object goes to standard error.
    """
    if not voice.json:
        if lines:
            say(lines)
        return
    whole = {"command": command, **document, "notes": voice.notes}
    click.echo(json.dumps(whole, allow_nan=False), err=table_out)


def literal(text: str) -> Text:
    """What a table or a model says, for a table on the terminal: no markup, no control characters,
    and not longer than a person reads."""
    from rich.text import Text

    return Text(printable(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"))


def output_console() -> Console:
    """For tables on standard output."""
    from rich.console import Console

    return Console(markup=False, emoji=False, no_color=None if voice.color else True)


@contextmanager
def progress(command: str, work: str | None = None) -> Iterator[Progress]:
    """A bar over all phases of a command, or of ``work`` that it does instead, where standard
    error is a terminal."""
    bar = voice.progress and not (voice.quiet or voice.json)
    weights = getattr(PhaseWeights(), work or command)
    log = (lambda line: say(f"tabvae: {line}")) if voice.verbose else None
    with shown(command, weights, bar=bar, color=voice.color, log=log) as listener:
        yield listener

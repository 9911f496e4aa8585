"""What people see on standard error: notes, summaries, and a progress bar on a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from tabvae.errors import printable

if TYPE_CHECKING:
    from rich.text import Text

    from tabvae.training.parallel import Step

MOST_SHOWN = 200


def say(message: str) -> None:
    """Lines on standard error."""
    click.echo("\n".join(printable(line) for line in message.split("\n")), err=True)


def literal(text: str) -> Text:
    """What a table or a model says, for a table on the terminal: no markup, no control characters,
    and not longer than a person reads."""
    from rich.text import Text

    return Text(printable(text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}…"))


@contextmanager
def training_progress() -> Iterator[Callable[[Step], None]]:
    """A progress bar with held-out loss and time left; nothing unless stderr is a terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        Progress,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda step: None
        return
    columns = (
        TextColumn("fit {task.fields[nets]}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("held-out loss {task.fields[loss]}"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("fit", total=1.0, nets="", loss="–")
        done: dict[int, float] = {}

        def show(step: Step) -> None:
            done[step.net] = step.point.step / step.steps
            progress.update(
                task,
                completed=sum(done.values()) / step.nets,
                nets=f"{step.nets} networks" if step.nets > 1 else "one network",
                loss="–" if math.isnan(step.point.held_out) else f"{step.point.held_out:.3f}",
            )

        yield show

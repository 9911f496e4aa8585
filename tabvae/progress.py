"""How far work is: phases told to whoever listens, and the one bar that shows them.

Whatever takes long is handed a ``Progress`` and tells it each phase by name with the share that is
done. ``shown`` turns that into a bar over all phases, here and in notebooks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Step:
    """Where work is.

    Attributes:
        phase: what is done, such as ``training``.
        done: share of the phase that is done, from 0 to 1.
        note: what else there is to say, such as a loss.
    """

    phase: str
    done: float
    note: str = ""


Progress = Callable[[Step], None]
"""Called several times in each phase, from any thread."""


class Tell(Protocol):
    """Tells how far one phase is."""

    def __call__(self, done: float, note: str = "") -> None: ...


def silent(step: Step) -> None:
    """For work that nobody watches."""


@contextmanager
def phase(progress: Progress, name: str) -> Iterator[Tell]:
    """A phase of the work: told at its beginning, at its end, and whenever ``Tell`` is called.

    **Examples**

    >>> with phase(print, "reading") as tell:
    ...     tell(0.5)
    Step(phase='reading', done=0.0, note='')
    Step(phase='reading', done=0.5, note='')
    Step(phase='reading', done=1.0, note='')
    """

    def tell(done: float, note: str = "") -> None:
        progress(Step(name, min(max(done, 0.0), 1.0), note))

    tell(0.0)
    yield tell
    tell(1.0)


def unheard(done: float, note: str = "") -> None:
    """A ``Tell`` for work that nobody watches."""


def parts(tell: Tell, *weights: float) -> list[Tell]:
    """A ``Tell`` for each part of a phase, by what the parts weigh.

    **Examples**

    >>> first, second = parts(lambda done, note="": print(done), 1.0, 3.0)
    >>> second(0.5)
    0.625
    """
    total, before, told = sum(weights), 0.0, []
    for weight in weights:
        told.append(_part(tell, before / total, weight / total))
        before += weight
    return told


def _part(tell: Tell, start: float, share: float) -> Tell:
    def inner(done: float, note: str = "") -> None:
        tell(start + share * done, note)

    return inner


def _weights(**seconds: float) -> Mapping[str, float]:
    return field(default_factory=lambda: seconds)


@dataclass(frozen=True)
class PhaseWeights:
    """What each phase of a command counts in its bar, in the order in which phases come.

    They are seconds measured on the thousand orders of ``sample_data`` on two cores: a bar that
    is right there moves evenly, and on other tables still never stands for long.

    Attributes:
        fit: of learning a table, its file included.
        impute: of filling gaps.
        embed: of coordinates.
        generate: of new rows, with the search for copies.
        detect: of scores.
        evaluate: of losses and bounds.
        compare: of a synthetic table beside real rows.
    """

    fit: Mapping[str, float] = _weights(
        reading=0.5,
        loading=4.0,
        kinds=1.0,
        rules=0.2,
        training=28.0,
        missingness=6.0,
        trees=18.0,
        draws=0.2,
        privacy=1.0,
        calibration=9.0,
        map=0.5,
        summary=1.0,
    )
    impute: Mapping[str, float] = _weights(
        loading=3.0, reading=0.1, filling=1.0, intervals=0.5, summary=0.5
    )
    embed: Mapping[str, float] = _weights(loading=3.0, reading=0.1, placing=0.3)
    generate: Mapping[str, float] = _weights(loading=3.0, reading=0.1, drawing=2.0, copies=0.2)
    detect: Mapping[str, float] = _weights(loading=3.0, reading=0.1, scoring=1.0)
    evaluate: Mapping[str, float] = _weights(loading=3.0, reading=0.1, losses=0.5)
    compare: Mapping[str, float] = _weights(loading=3.0, reading=0.1, comparing=3.0)


class Overall:
    """The share of all work that is done, which never falls.

    Args:
        weights: of each phase, in their order.

    **Examples**

    >>> overall = Overall({"reading": 1.0, "training": 3.0})
    >>> [overall(Step("reading", 0.5)), overall(Step("training", 0.0))]
    [0.125, 0.25]
    """

    def __init__(self, weights: Mapping[str, float]) -> None:
        self.weights, self.share = weights, 0.0

    def __call__(self, step: Step) -> float:
        before, total = 0.0, sum(self.weights.values())
        for name, weight in self.weights.items():
            if name == step.phase:
                self.share = max(self.share, (before + weight * step.done) / total)
            before += weight
        return self.share


@contextmanager
def shown(
    title: str,
    weights: Mapping[str, float],
    *,
    bar: bool = True,
    color: bool = True,
    log: Callable[[str], None] | None = None,
    otherwise: Callable[[str], None] | None = None,
) -> Iterator[Progress]:
    """A bar over all phases on standard error, if that is a terminal or a notebook.

    Args:
        title: of the bar.
        weights: of each phase, in their order.
        bar: show it.
        color: in colours.
        log: takes a line for each phase that has ended.
        otherwise: the same where there is no bar.
    """
    listeners = [] if log is None else [_timed(title, log)]
    if not bar:
        yield _all(listeners)
        return
    from rich.console import Console
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True, no_color=None if color else True)
    if not (console.is_terminal or console.is_jupyter):
        yield _all(listeners if otherwise is None else [*listeners, _timed(title, otherwise)])
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    overall = Overall(weights)
    with Bar(*columns, console=console, transient=True, redirect_stdout=False) as display:
        task = display.add_task(title, total=1.0, note="")

        def show(step: Step) -> None:
            what = f"{title}: {step.phase}"
            display.update(task, completed=overall(step), description=what, note=step.note)

        yield _all([*listeners, show])


def _all(listeners: list[Progress]) -> Progress:
    def tell(step: Step) -> None:
        for listener in listeners:
            listener(step)

    return tell


def _timed(title: str, log: Callable[[str], None]) -> Progress:
    """Says of each phase, when it has ended, how long it took."""
    begun: dict[str, float] = {}

    def tell(step: Step) -> None:
        if step.done == 0:
            begun[step.phase] = time.perf_counter()
        elif step.done == 1 and step.phase in begun:
            log(f"{title}: {step.phase} {time.perf_counter() - begun.pop(step.phase):.1f} s")

    return tell

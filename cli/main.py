"""Entry point: finds the command, phrases every error in one line, chooses the exit code.

Nothing here imports torch, pandas or Arrow; commands import the library when they run, so that
``tabvae --help`` answers at once.
"""

from __future__ import annotations

import importlib
import os
import re
import signal
import sys
import warnings
from typing import Any

import click

from tabvae import __version__
from tabvae.errors import (
    OutputError,
    ParameterError,
    ReaderLeftError,
    TabVAEError,
    lacks_memory,
    printable,
    shown,
)

from . import commands, console

COMMANDS = (
    "fit",
    "embed",
    "decode",
    "interpolate",
    "impute",
    "generate",
    "detect",
    "pool",
    "evaluate",
    "inspect",
    "report",
)
FAILED, USAGE, INTERRUPTED = 1, 2, 130
LEAST_ADDRESS_SPACE = 5 * 2**29
"""Bytes. With less, libraries lack room for their threads, and OpenBLAS asks again for ever."""


class LazyGroup(click.Group):
    """A group whose commands are modules, imported when they are called."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Click looks here for the command that a wrong name may be meant for.
        self.commands = dict.fromkeys(COMMANDS)  # type: ignore[assignment]
        self.params += commands.voice_options()

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f".{cmd_name}", __package__)
        command: click.Command = module.command
        return command

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        commands.write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@click.version_option(__version__, "-V", "--version", prog_name="tabvae")
@click.pass_context
def tabvae(context: click.Context) -> None:
    """One model of a table with gaps, many uses.

    \b
    tabvae fit data.csv          learn a table; writes data.tabvae
    tabvae impute                the table with its gaps filled
    tabvae embed                 low-dimensional features of each row
    tabvae decode z.csv          from such features back to rows
    tabvae interpolate           rows on the way from one row to another
    tabvae generate -n 1000      new rows like those of the table
    tabvae detect                rows and cells that do not fit
    tabvae pool 'y ~ x' d.csv    a regression over several draws of impute
    tabvae evaluate new.csv      how well the model knows these rows
    tabvae inspect data.csv      what each column is taken for, and why
    tabvae report -o page.html   a page about the table, to pass on

    Tables are CSV, TSV, Parquet, Arrow, JSON lines or .xlsx, packed or not. Data goes to
    standard output or to -o FILE, everything else to standard error. Without -m, a command uses
    $TABVAE_MODEL or the only .tabvae file in the folder; without DATA, the table the model was
    fitted on.

    Exit codes: 0 done, 1 bad data or failure, 2 wrong usage, 3 too many odd rows (detect
    --fail-on), 130 interrupted, 143 terminated.
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
    else:
        _check_address_space()


def _check_address_space() -> None:
    """Refuse to begin under a limit that leaves no room for the libraries alone.

    Raises:
        MemoryError: there is one.
    """
    if sys.platform == "win32":
        return
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY and soft < LEAST_ADDRESS_SPACE:
        raise MemoryError


def main() -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, _terminate)
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; the exit code."""
    warnings.showwarning = _show_warning
    console.voice = console.Voice()
    try:
        code = tabvae.main(args=arguments, prog_name="tabvae", standalone_mode=False)
        return code if isinstance(code, int) else 0
    except (click.Abort, KeyboardInterrupt):
        return _fail("tabvae: error: interrupted", INTERRUPTED)
    except Exception as error:
        if isinstance(error, OSError | OutputError):
            _drop_output()
        if isinstance(error, ReaderLeftError):
            return 0
        if "--debug" in sys.argv and not isinstance(error, click.ClickException):
            raise
        return _fail(*_phrased(error))


def _phrased(error: Exception) -> tuple[str, int]:
    """An error as one line, and its exit code."""
    where, code = "tabvae", FAILED
    match error:
        case click.UsageError():
            where = error.ctx.command_path if error.ctx else where
            # Click repeats what was given, however long it is.
            message = re.sub(r"\S{80,}", lambda word: shown(word[0])[1:-1], error.format_message())
            code = USAGE
        case click.ClickException():
            message = error.format_message()
        case ParameterError():
            message, code = str(error), USAGE
        case TabVAEError():
            message = str(error)
        case _ if lacks_memory(error):
            message = "not enough memory for this table, or a limit of the system is too low"
        case OSError():
            name = f"{shown(error.filename)}: " if error.filename else ""
            message = f"{name}{error.strerror or error}"
        case _:
            reason = (str(error).splitlines() or [""])[0]
            message = f"unexpected {type(error).__name__}: {reason} (--debug shows where)"
    return f"{where}: error: {message}", code


def _terminate(number: int, _: object) -> None:
    """End on SIGTERM as on an error: what is half written is removed."""
    sys.exit(128 + number)


def _drop_output() -> None:
    """Forget what could not be written; Python would try once more when it closes stdout."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):
        return  # There is no file behind it.


def _fail(line: str, code: int) -> int:
    click.echo(printable(" ".join(line.split())), err=True)
    return code


def _show_warning(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    if category.__name__ == "TabVAEWarning" or "--debug" in sys.argv:
        console.note(str(message))


if __name__ == "__main__":
    main()

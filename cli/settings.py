"""Options that are not on the command line: from variables TABVAE_* and a TOML file.

An option on the command line goes before a variable, a variable before the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tabvae.errors import shown, suggestion

from . import console

WITHOUT_VARIABLE = {"help", "debug", "config", "old_family"}


class Words(click.types.StringParamType):
    """Texts, which in a variable stand between commas: names of columns have blanks."""

    envvar_list_splitter = ","


def add_variables(parameters: list[click.Parameter]) -> None:
    """Each option can be given by a variable: ``--min-count`` by ``TABVAE_MIN_COUNT``."""
    for option in parameters:
        if isinstance(option, click.Option) and option.name not in WITHOUT_VARIABLE:
            option.envvar = f"TABVAE_{_long(option).upper().replace('-', '_')}"
            if option.multiple:
                option.type = Words()


def _long(option: click.Option) -> str:
    """``min-count`` of an option ``--min-count``."""
    return max(option.opts, key=len).lstrip("-")


def config_option() -> click.Option:
    """Where a file says what is not given otherwise."""
    return click.Option(
        ["--config"],
        metavar="FILE",
        is_eager=True,
        expose_value=False,
        callback=_configure,
        envvar="TABVAE_CONFIG",
        help="Take options from a TOML file; see docs/guide/shell.md.",
    )


def _configure(ctx: click.Context, _: click.Parameter, path: str | None) -> None:
    console.voice.config = path or console.voice.config
    if console.voice.config and not isinstance(ctx.command, click.Group):
        ctx.default_map = from_file(console.voice.config, ctx.command)


def from_file(path: str, command: click.Command) -> dict[str, Any]:
    """What a file says for a command: what stands on top is for every command that has such an
    option, what stands under its name for it alone.

    Raises:
        UsageError: it cannot be read, or says what there is no option for.
    """
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise click.UsageError(f"cannot read {shown(path)}: {error}") from error
    own = document.get(command.name or "", {})
    common = {key: value for key, value in document.items() if not isinstance(value, Mapping)}
    options = {_long(o): o for o in command.params if isinstance(o, click.Option)}
    given: dict[str, Any] = {}
    for key, value in (*common.items(), *own.items()):
        name = key.replace("_", "-")
        if name in options:
            several = options[name].multiple and not isinstance(value, list)
            given[str(options[name].name)] = [value] if several else value
        elif key in own:
            raise click.UsageError(
                f"{shown(path)}: '{command.name}' has no option {shown(key)} "
                f"({suggestion(name, options)})"
            )
    return given

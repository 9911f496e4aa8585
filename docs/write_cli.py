"""Writes docs/cli.md, every command and option, from what ``--help`` says.

python docs/write_cli.py
"""

from __future__ import annotations

from pathlib import Path

import click
from tabvae_cli.main import COMMANDS, tabvae

PAGE = Path(__file__).parent / "cli.md"
WIDTH = 92
TOLD_IN = {
    "fit": "models",
    "embed": "embed",
    "decode": "embed",
    "interpolate": "embed",
    "impute": "impute",
    "pool": "impute",
    "generate": "generate",
    "detect": "detect",
    "evaluate": "models",
    "inspect": "columns",
    "report": "report",
}
"""The page of the guide that explains each command."""
HEAD = """\
# The command line

Every command with all of its options, as `--help` prints them. A script writes this page:
`python docs/write_cli.py`. What the commands have in common, such as files, cells and exit
codes, stands in [Files](guide/files.md).
"""


def page() -> str:
    """The whole page."""
    settings = {**tabvae.context_settings, "terminal_width": WIDTH}
    top = click.Context(tabvae, info_name="tabvae", **settings)
    parts = [HEAD, section("tabvae", tabvae, top)]
    for name in COMMANDS:
        command = tabvae.get_command(top, name)
        assert command is not None
        told = f"Explained in [the guide](guide/{TOLD_IN[name]}.md).\n"
        own = click.Context(command, info_name=name, parent=top, terminal_width=WIDTH)
        parts.append(section(f"tabvae {name}", command, own, told))
    return "\n".join(parts)


def section(title: str, command: click.Command, context: click.Context, told: str = "") -> str:
    """A heading and the help below it."""
    lines = [line.rstrip() for line in command.get_help(context).splitlines()]
    return "\n".join([f"## {title}\n", *([told] if told else []), "```text", *lines, "```\n"])


if __name__ == "__main__":
    PAGE.write_text(page())

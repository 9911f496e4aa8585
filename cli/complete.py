"""What a shell offers at the tabulator key: model files, and the names of columns.

Answers come from the header of a file, without the libraries that read tables; whatever is wrong
with a file, nothing is offered.
"""

from __future__ import annotations

import csv
from pathlib import Path

import click
from click.shell_completion import CompletionItem

MOST_BYTES = 1 << 20
"""Of a table: its header is in them."""


def models(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Model files in the folder that is being typed, and folders."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    try:
        found = sorted(p for p in folder.iterdir() if p.suffix == ".tabvae" or p.is_dir())
    except OSError:
        return []
    texts = [f"{p}/" if p.is_dir() else str(p) for p in found]
    return [CompletionItem(text) for text in texts if text.startswith(incomplete)]


def columns(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names of columns: of the table that is named, else of the model."""
    return [CompletionItem(name) for name in names(ctx) if name.startswith(incomplete)]


def names(ctx: click.Context) -> list[str]:
    """Columns of the table or the model that the command line names so far."""
    data = ctx.args or ctx.params.get("data")  # what Click has not made arguments of yet
    try:
        if data:
            return _of_table(data[0])
        from .session import find_model

        return _of_model(find_model(ctx.params.get("model")))
    except Exception:  # a shell that completes has no use for errors
        return []


def _of_table(path: str) -> list[str]:
    if path.endswith((".parquet", ".pq")):
        import pyarrow.parquet as pq

        return list(pq.read_schema(path).names)
    with Path(path).open(encoding="utf-8-sig", newline="") as file:
        lines = file.read(MOST_BYTES).splitlines()
    return next(csv.reader(lines, delimiter=max(",;\t|", key=lines[0].count)))


def _of_model(path: str) -> list[str]:
    from tabvae.files import container

    return [column["name"] for column in container.read_document(path)["schema"]["columns"]]

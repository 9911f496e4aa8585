"""tabvae evaluate: how well a model knows rows, or how near a synthetic table is to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from . import options
from .console import literal, say

if TYPE_CHECKING:
    from tabvae.estimator import TabVAE
    from tabvae.tasks.evaluate import Evaluation

TIGHT_NATS = 0.5
MATCHED_NATS = 0.1


@click.command("evaluate")
@options.data_argument
@options.model_option
@click.option(
    "--samples",
    type=click.IntRange(min=1),
    default=50,
    show_default=True,
    help="Draws of the latent variable for each row's bound.",
)
@click.option(
    "--synthetic", metavar="FILE", help="Compare the rows of FILE with DATA instead of the model."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
@options.seed_option
@options.reading_options
@options.debug_option
def command(
    data: tuple[str, ...],
    model: str | None,
    samples: int,
    synthetic: str | None,
    as_json: bool,
    seed: int | None,
    reading: options.Reading,
) -> None:
    """Print how well the model knows the rows of DATA, best ones it was not fitted on.

    Without DATA: the rows of its own table that were held out of training, where that table is
    still as it was.

    Losses and bounds are in nats; smaller losses and larger bounds are better. With --synthetic,
    DATA judges a synthetic table: how well it can be told from DATA, whether it repeats its rows.
    """
    from tabvae.files.writer import standard_output

    from . import session

    estimator = session.load_model(model)
    fitted = estimator.fitted_
    if data:
        loaded, same = session.read_rows(estimator, data, reading), False
    else:
        loaded, same = session.read_fitted(estimator, reading)
    real = loaded.table
    if synthetic is not None:
        from tabvae.columns.relations import judged
        from tabvae.tasks.synthetic import compare, in_words, modelled_frame

        made = session.read_rows(estimator, [synthetic], reading).table
        frames = [modelled_frame(fitted.codec, each, fitted.encode(each)) for each in (real, made)]
        scores = compare(*frames)
        schema, na_values = fitted.schema, fitted.codec.na_values
        kept = [judged(schema, each, na_values) for each in (real, made)]
        rules = [
            {"text": ours.text, "real": ours.kept, "synthetic": theirs.kept}
            for ours, theirs in zip(*kept, strict=True)
        ]
        with standard_output():
            if as_json:
                click.echo(json.dumps({**scores, "rules": rules}, indent=2))
            else:
                click.echo("\n".join((*in_words(scores), *map(rule_in_words, rules))))
        return
    if not data:
        unseen = session.unseen_rows_of(estimator, real, same)
        if unseen is None:
            say("tabvae: note: all rows, also those that the networks may have trained on")
        else:
            say(f"tabvae: note: {len(unseen)} rows that the networks did not train on")
            real = real.take(unseen)
    found = fitted.evaluate(real, samples, estimator.seed if seed is None else seed)
    with standard_output():
        if as_json:
            click.echo(json.dumps(as_document(estimator, found), indent=2))
        else:
            show(estimator, found)


def as_document(model: TabVAE, found: Evaluation) -> dict[str, Any]:
    """The evaluation as JSON values."""
    names = [column.name for column in model.fitted_.codec.columns_]
    leakage = model.fitted_.card.leakage
    document: dict[str, Any] = {
        "rows": found.rows,
        "columns": {
            name: {"loss": _number(loss), "entropy": _number(entropy)}
            for name, loss, entropy in zip(names, found.loss, found.entropy, strict=True)
        },
        "code_variance": found.variance.tolist(),
        "active_units": found.active,
        "leakage": None if leakage is None else asdict(leakage),
    }
    if found.bounds is not None:
        bounds = asdict(found.bounds)
        bounds.update(kl=found.bounds.kl.tolist(), aggregate=found.bounds.aggregate.tolist())
        document["bounds"] = {**bounds, "reconstruction": found.bounds.reconstruction}
    return document


def _number(value: float) -> float | None:
    return float(value) if value == value else None  # NaN is no JSON


def show(model: TabVAE, found: Evaluation) -> None:
    """A table of columns, then what is good and what is not, in words."""
    from rich.console import Console
    from rich.table import Table

    from tabvae.errors import shown

    console = Console(markup=False, emoji=False)
    table = Table(title=f"{found.rows} rows, nats a cell", title_justify="left")
    for heading in ("column", "by itself", "given the others", "known of it"):
        table.add_column(heading, justify="left" if heading == "column" else "right")
    rows = zip(model.fitted_.codec.columns_, found.entropy, found.loss, strict=True)
    for column, entropy, loss in rows:
        share = f"{max(0.0, 1 - loss / entropy):.0%}" if entropy > 0 else ""
        table.add_row(literal(shown(column.name)[1:-1]), f"{entropy:.3f}", f"{loss:.3f}", share)
    console.print(table)
    lines = words(found)
    if leakage := model.fitted_.card.leakage:
        lines.append(leakage.words)
    for line in lines:
        console.print(line, highlight=False, soft_wrap=True)


def words(found: Evaluation) -> list[str]:
    """What is good and what is not."""
    worse = int((found.loss > found.entropy).sum())
    lines = [
        "good: every column is predicted better from the others than by its own frequencies"
        if worse == 0
        else f"{worse} of {len(found.loss)} columns are predicted no better from the others than "
        "by their own frequencies: they are independent, or the model overfits",
        f"{found.active} of {len(found.variance)} latent dimensions are in use",
    ]
    if found.bounds is None:
        return [*lines, "a plain autoencoder has no bound: its code has no distribution"]
    b = found.bounds
    gap = b.importance - b.elbo
    lines.append(
        f"log-likelihood of a row in one shot: at least {b.elbo:.3f} (ELBO: reconstruction "
        f"{-b.reconstruction:.3f}, KL {b.kl.sum():.3f}), {b.importance:.3f} by {b.samples} samples"
    )
    lines.append(
        f"good: the bound is tight, {gap:.2f} nats below the importance-weighted one"
        if gap < TIGHT_NATS
        else f"the ELBO is loose: {gap:.2f} nats below the importance-weighted bound, for q(z|x) "
        "is not the posterior"
    )
    off = int((b.aggregate > MATCHED_NATS).sum())
    lines.append(
        "good: the codes of all rows together look like the prior"
        if off == 0
        else f"{off} of {len(b.aggregate)} latent dimensions are off the prior: rows drawn in one "
        "shot come from where few codes are"
    )
    return lines


def rule_in_words(rule: dict[str, Any]) -> str:
    """How many rows of two tables keep a rule."""
    from tabvae.errors import printable

    real, made = rule["real"], rule["synthetic"]
    return (
        f"rule {printable(rule['text'])}: kept by {made:.1%} of the rows, {real:.1%} of real ones"
    )

"""tabvae evaluate: how well a model knows rows, or how near a synthetic table is to them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from tabvae.progress import phase

from . import commands, options
from .console import literal, note, output_console, progress

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.estimator import TabVAE
    from tabvae.tasks.evaluate import Evaluation

TIGHT_NATS = 0.5
MATCHED_NATS = 0.1


@commands.command(
    "evaluate",
    guide="models",
    examples={
        "tabvae evaluate": "how well each column is known from the others",
        "tabvae evaluate holdout.csv --synthetic new.csv": "how near new rows are to real ones",
    },
)
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
    from tabvae.tasks.synthetic import in_words

    from . import session

    with progress("evaluate", "compare" if synthetic else None) as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
        with phase(watch, "reading"):
            real = rows_to_judge(estimator, data, reading, held_out=synthetic is None)
            made = session.read_rows(estimator, [synthetic], reading).table if synthetic else None
        if made is not None:
            with phase(watch, "comparing"):
                scores = compared(estimator, real, made)
        else:
            seed = estimator.seed if seed is None else seed
            found = estimator.fitted_.evaluate(real, samples, seed, watch)
    with standard_output():
        if made is not None:
            rules = rules_kept(estimator, real, made)
            lines = (*in_words(scores), *map(rule_in_words, rules))
            document = json.dumps({**scores, "rules": rules}, indent=2)
            click.echo(document if as_json else "\n".join(lines))
        elif as_json:
            click.echo(json.dumps(as_document(estimator, found), indent=2))
        else:
            show(estimator, found)


def rows_to_judge(
    model: TabVAE, data: tuple[str, ...], reading: options.Reading, held_out: bool
) -> pa.Table:
    """The rows of ``data``; without it those of the table fitted on, if ``held_out`` those that
    no network trained on, where they are known."""
    from . import session

    if data:
        return session.read_rows(model, data, reading).table
    loaded, same = session.read_fitted(model, reading)
    if not held_out:
        return loaded.table
    unseen = session.unseen_rows_of(model, loaded.table, same)
    if unseen is None:
        note("all rows, also those that the networks may have trained on")
        return loaded.table
    note(f"{len(unseen)} rows that the networks did not train on")
    return loaded.table.take(unseen)


def compared(model: TabVAE, real: pa.Table, made: pa.Table) -> dict[str, float]:
    """Scores of a synthetic table."""
    from tabvae.tasks.synthetic import compare, modelled_frame

    fitted = model.fitted_
    frames = [modelled_frame(fitted.codec, each, fitted.encode(each)) for each in (real, made)]
    return compare(*frames)


def rules_kept(model: TabVAE, real: pa.Table, made: pa.Table) -> list[dict[str, Any]]:
    """What share of the rows of two tables keeps each rule."""
    from tabvae.columns.relations import judged

    schema, na_values = model.fitted_.schema, model.fitted_.codec.na_values
    kept = [judged(schema, each, na_values) for each in (real, made)]
    return [
        {"text": ours.text, "real": ours.kept, "synthetic": theirs.kept}
        for ours, theirs in zip(*kept, strict=True)
    ]


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
    from rich.table import Table

    from tabvae.errors import shown

    console = output_console()
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

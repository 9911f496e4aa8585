"""tabvae detect: rows and cells that do not fit."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from tabvae.progress import phase

from . import commands, complete, options
from .console import conclude, progress

if TYPE_CHECKING:
    import pyarrow as pa

TOO_MANY = 3
"""The exit code where more rows are odd than ``--fail-on`` allows."""
SCORE_DECIMALS, P_VALUE_DECIMALS = 3, 6
"""Of the oddest rows, which people read."""


@commands.command(
    "detect",
    guide="detect",
    examples={
        "tabvae detect --top 20 --id name": "the twenty oddest rows fitted on, by their name",
        "tabvae detect new.csv -o odd.csv --fail-on .02": "exit code 3 if too many are odd",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@options.fpr_option
@click.option(
    "--score",
    type=click.Choice(
        ["combined", "surprise", "density", "likelihood", "reconstruction", "latent"]
    ),
    help="What counts as odd: one cell given the others (surprise), the row among all rows "
    "(density), both and the likelihood (combined), or the textbook's last three. [default: "
    "combined, with a grid reconstruction]",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="Write the N oddest rows alone, those that break a rule first, with their number.",
)
@click.option(
    "--id",
    "ids",
    metavar="COL",
    multiple=True,
    shell_complete=complete.columns,
    help="Carry COL along in front, to know rows by; repeatable.",
)
@click.option(
    "--fail-on",
    type=click.FloatRange(0, 1),
    metavar="SHARE",
    help="End with exit code 3 if more than that share of the rows are outliers.",
)
@options.keep_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    fpr: float,
    score: str | None,
    top: int | None,
    ids: tuple[str, ...],
    fail_on: float | None,
    keep: tuple[str, ...],
    reading: options.Reading,
) -> int:
    """Write how odd each row of DATA is, and the cells that make it so.

    score: by default how rare the row is, in nats, by the surprise of its cells, its likelihood and
    its density together. p_value: share of ordinary rows at least as odd. outlier: p_value is at
    most --fpr. column_1, observed_1, expected_1: the cell that accounts for most of the
    surprise; only cells that differ from what was expected are named. rule, rule_asks: the rule
    between columns that the row breaks, and the cell that would keep it; only if the model has
    rules.
    """
    from . import session

    with progress("detect") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            output = session.Output.checked(target, model, session.inputs_of(estimator, data))
        with phase(watch, "reading"):
            loaded = session.read_rows(estimator, data, reading)
        found = estimator.fitted_.detect(loaded.table, fpr, score, watch)
    odd = Odd.of(found, fpr)
    result = session.keep_columns(loaded.table, [*dict.fromkeys([*ids, *keep])], found)
    output.write(result if top is None else oddest(result, top), session.text_dialect(loaded))
    too_many = fail_on is not None and odd.outliers > fail_on * odd.rows
    said = odd.document() | {"failed": too_many} | output.document()
    conclude("detect", odd.words(), said, output.on_stdout)
    return TOO_MANY if too_many else 0


def oddest(rows: pa.Table, top: int) -> pa.Table:
    """The ``top`` oddest rows, those that break a rule first, with their number, rounded.

    Raises:
        SchemaError: a column that is carried along is called ``row``.
    """
    import numpy as np
    import pyarrow as pa

    from tabvae.errors import SchemaError

    if "row" in rows.column_names:
        raise SchemaError("there is a column 'row' besides the number of the row", "rename it")
    score = rows.column("score").to_numpy()
    kept = np.ones(len(rows), np.bool_)
    if "rule" in rows.column_names:
        kept = rows.column("rule").is_null().to_numpy()
    order = np.lexsort((-score, kept))[:top]
    # Arrow cannot take from every type.
    taken = pa.concat_tables(rows.slice(row, 1) for row in order) if len(order) else rows
    result = taken.add_column(0, "row", pa.array(order + 1))
    for name, decimals in (("score", SCORE_DECIMALS), ("p_value", P_VALUE_DECIMALS)):
        rounded = np.round(result.column(name).to_numpy(), decimals)
        result = result.set_column(result.column_names.index(name), name, pa.array(rounded))
    return result


@dataclass(frozen=True)
class Odd:
    """What was found.

    Attributes:
        rows: how many there are.
        outliers: those with a p-value of at most ``fpr``.
        fpr: share of ordinary rows that may be among them.
        broken: how many rows break a rule; ``None`` if there are no rules.
        culprits: how often each column is named first in an outlier.
    """

    rows: int
    outliers: int
    fpr: float
    broken: int | None
    culprits: dict[str, int]

    @classmethod
    def of(cls, found: pa.Table, fpr: float) -> Odd:
        import pyarrow.compute as pc

        outliers = found.filter(found.column("outlier"))
        named = Counter(n for n in outliers.column("column_1").to_pylist() if n is not None)
        rules = "rule" in found.column_names
        broken = len(found) - found.column("rule").null_count if rules else None
        total = int(pc.sum(found.column("outlier")).as_py() or 0)
        return cls(len(found), total, fpr, broken, dict(named.most_common()))

    def words(self, most: int = 4) -> str:
        """The same in a line."""
        from tabvae.errors import shown

        chance = self.fpr * self.rows
        line = (
            f"{self.outliers} of {self.rows} rows are odd (p-value at most {self.fpr:g}; "
            f"{chance:.0f} of as many ordinary rows would be)"
        )
        if self.broken is not None:
            line += f"; {self.broken} break a rule"
        if self.culprits:
            named = [f"{shown(n)[1:-1]} {k}" for n, k in list(self.culprits.items())[:most]]
            line += f"; named first: {', '.join(named)}"
        return line

    def document(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "rows": self.rows,
            "outliers": self.outliers,
            "fpr": self.fpr,
            "break_a_rule": self.broken,
            "named_first": self.culprits,
        }

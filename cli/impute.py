"""tabvae impute: fill the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from tabvae.progress import phase

from . import commands, complete, options
from .console import conclude, progress

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.model import Model
    from tabvae.progress import Progress

    from . import session

MASK_FILES = (".csv", ".tsv", ".parquet", ".csv.gz", ".tsv.gz")


@commands.command(
    "impute",
    guide="impute",
    examples={
        "tabvae impute -o filled.csv": "fill the table fitted on",
        "tabvae impute new.csv --draws 5 -o draws.csv": "five drawn tables, for statistics",
    },
)
@options.data_argument
@options.model_option
@options.target_options
@click.option(
    "--draws",
    type=click.IntRange(min=1),
    metavar="K",
    help="Write K completed tables, each drawn anew, with a column 'draw' in front.",
)
@click.option(
    "--proba",
    metavar="COL",
    multiple=True,
    shell_complete=complete.columns,
    help="Add how probable each value of COL is, in columns COL=value; repeatable.",
)
@click.option(
    "--point",
    type=click.Choice(["mean", "median", "mode"]),
    default="mean",
    show_default=True,
    help="What a missing number becomes, of what is believed of it.",
)
@click.option(
    "--interval",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="LEVEL",
    help="Add COL_lower and COL_upper of numbers with gaps, between which a missing one lies with "
    "that probability, such as .9.",
)
@click.option(
    "--mark",
    metavar="COL|FILE",
    help="Say which cells were filled: their columns in a new column COL, or true and false for "
    "each cell in a FILE.csv, .tsv or .parquet.",
)
@options.seed_option
@options.reading_options
def command(
    data: tuple[str, ...],
    model: str | None,
    target: options.Target,
    draws: int | None,
    proba: tuple[str, ...],
    point: str,
    interval: float | None,
    mark: str | None,
    seed: int | None,
    reading: options.Reading,
) -> None:
    """Write DATA with its gaps filled; every cell that is there stays as it is.

    A number becomes its expected value given the rest of its row, a category the most probable
    one. Columns of free text and identifiers are not modelled and keep their gaps.
    """
    from tabvae.errors import ParameterError

    from . import session

    asked = Asked(proba, point, interval, mark)
    if draws is not None and asked != Asked():
        raise ParameterError(
            "--draws and --proba, --point, --interval, --mark exclude each other: a draw is certain"
        )
    with progress("impute") as watch:
        with phase(watch, "loading"):
            estimator = session.load_model(model)
            output = session.Output.checked(target, model, session.inputs_of(estimator, data))
            mask_file = asked.mask_file(target, model, session.inputs_of(estimator, data))
        with phase(watch, "reading"):
            loaded = session.read_rows(estimator, data, reading)
        fitted, table = estimator.fitted_, loaded.table
        seed = estimator.seed if seed is None else seed
        if draws is not None:
            filled = fitted.draw(no_column_draw(table), draws, seed, watch)
            result = numbered(filled)
        else:
            filled = [fitted.impute(table, watch, point)]
            result = asked.added(fitted, table, filled[0], watch, mask_file is None)
        with phase(watch, "summary"):
            found = Filled.of(fitted, table, filled[0])
    output.write(
        session.same_kind_of_file(estimator, result, loaded.format, output),
        session.text_dialect(loaded, result),
    )
    if mask_file is not None:
        mask_file.write(found.mask, session.text_dialect(loaded))
    conclude("impute", found.words(), found.document() | output.document(), output.on_stdout)


@dataclass(frozen=True)
class Asked:
    """What stands beside the filled cells."""

    proba: tuple[str, ...] = ()
    point: str = "mean"
    interval: float | None = None
    mark: str | None = None

    def mask_file(
        self, target: options.Target, model: str | None, inputs: list[str]
    ) -> session.Output | None:
        """Where the mask goes, if it has a file of its own.

        Raises:
            OutputError: it cannot be written there.
        """
        from tabvae.errors import OutputError, shown

        from . import session

        if self.mark is None or not self.mark.lower().endswith(MASK_FILES):
            return None
        if self.mark == target.output:
            raise OutputError(f"{shown(self.mark)} is the output", "--mark another file")
        return session.Output.checked(
            replace(target, output=self.mark, fmt=None, safe_csv=False), model, inputs
        )

    def added(
        self, fitted: Model, table: pa.Table, filled: pa.Table, watch: Progress, in_column: bool
    ) -> pa.Table:
        """``filled`` with the columns that are asked for.

        Raises:
            SchemaError: the table has a column of such a name.
        """
        from . import session

        result = filled
        for name in self.proba:
            found = fitted.probabilities(table, name)
            result = session.keep_columns(result, result.column_names, found)
        if self.interval is not None:
            bounds = fitted.intervals(table, filled, self.interval, watch)
            result = session.keep_columns(result, result.column_names, bounds)
        if self.mark is not None and in_column:
            names = Filled.of(fitted, table, filled, doubts=False).names(self.mark)
            result = session.keep_columns(result, result.column_names, names)
        return result


@dataclass(frozen=True)
class Filled:
    """What was filled.

    Attributes:
        mask: (rows, columns) true where a cell was.
        cells: how many in each column.
        left: gaps that are still there.
        doubtful: of ``cells``, those that are little better than a guess.
        followed: of ``cells``, those that follow from others by a rule.
    """

    mask: pa.Table
    cells: dict[str, int]
    left: dict[str, int]
    doubtful: dict[str, int]
    followed: dict[str, int]

    @classmethod
    def of(cls, fitted: Model, table: pa.Table, filled: pa.Table, doubts: bool = True) -> Filled:
        import pyarrow as pa

        before, after = fitted.missing(table), fitted.missing(filled)
        never = pa.array([False]).take(pa.array([0] * len(table), pa.int64()))
        masks = {
            name: before[name] & ~after[name] if name in before else never
            for name in table.column_names
        }
        cells = {name: int(mask.sum()) for name, mask in masks.items() if name in before}
        left = {name: int(mask.sum()) for name, mask in after.items()}
        followed, shares = (
            fitted.surely_filled(table) if doubts and any(cells.values()) else ({}, {})
        )
        doubtful = {name: round(share * cells[name]) for name, share in shares.items()}
        return cls(pa.table(masks), *map(_positive, (cells, left, doubtful, followed)))

    def names(self, column: str) -> pa.Table:
        """One column: the names of the columns filled in each row."""
        import numpy as np
        import pyarrow as pa

        listed: list[list[str]] = [[] for _ in range(len(self.mask))]
        for name in self.mask.column_names:
            for row in np.flatnonzero(self.mask.column(name).to_numpy()):
                listed[row].append(name)
        return pa.table({column: pa.array([";".join(each) for each in listed], pa.string())})

    def words(self) -> str:
        """The same in a few lines."""
        if not self.cells:
            left = f"; gaps left: {_listed(self.left)}" if self.left else ""
            return f"no gaps that could be filled{left}"
        total = sum(self.cells.values())
        lines = [f"filled {total} cell{'s' * (total > 1)}: {_listed(self.cells)}"]
        if self.followed:
            lines.append(f"follow from rules: {_listed(self.followed)}")
        if self.doubtful:
            lines.append(f"little better than a guess: {_listed(self.doubtful)}")
        if self.left:
            lines.append(f"gaps left: {_listed(self.left)}")
        return "\n".join(lines)

    def document(self) -> dict[str, object]:
        """The same as JSON values."""
        return {
            "rows": len(self.mask),
            "filled": self.cells,
            "follow_from_rules": self.followed,
            "little_better_than_a_guess": self.doubtful,
            "left": self.left,
        }


def _positive(counts: dict[str, int]) -> dict[str, int]:
    """Those that are none are left out, the largest comes first."""
    some = [(name, count) for name, count in counts.items() if count]
    return dict(sorted(some, key=lambda pair: -pair[1]))


def _listed(counts: dict[str, int], most: int = 8) -> str:
    from tabvae.errors import shown

    named = [f"{shown(name)[1:-1]} {count}" for name, count in list(counts.items())[:most]]
    return ", ".join(named) + (f" and {len(counts) - most} more" if len(counts) > most else "")


def no_column_draw(table: pa.Table) -> pa.Table:
    """``table``, if its draws can be numbered.

    Raises:
        SchemaError: it has a column of that name.
    """
    from tabvae.errors import SchemaError

    if "draw" in table.column_names:
        raise SchemaError("the table has a column 'draw' of its own", "rename it")
    return table


def numbered(tables: Sequence[pa.Table]) -> pa.Table:
    """All below each other, with the number of each in a column ``draw``."""
    import pyarrow as pa

    return pa.concat_tables(
        one.add_column(0, "draw", pa.array([number] * len(one), pa.int64()))
        for number, one in enumerate(tables, start=1)
    )

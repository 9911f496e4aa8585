"""What a report is asked for, and what its parts share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from tabvae.columns.codes import Codes
from tabvae.columns.relations import rounded
from tabvae.columns.schema import Column, ColumnKind
from tabvae.errors import ParameterError, SchemaError, shown, suggestion
from tabvae.model import Model
from tabvae.report.config import ReportConfig
from tabvae.rules.arithmetic import Formula, Order
from tabvae.rules.decisions import Dependency
from tabvae.rules.expression import quoted
from tabvae.rules.rules import AnyRule
from tabvae.values.arrow import Ints


@dataclass(frozen=True)
class Request:
    """What a report is asked for.

    Attributes:
        fpr: share of ordinary rows that may be called outliers.
        color: column that colours the map; ``None`` for p-values.
        cells: the page may show cells of the table.
        seed: of the choice of rows, and of draws.
        table: name of the table.
        synthetic: name of the synthetic table.
        commands: that made model and page.
        parameters: of the model, those that are not the usual ones.
        config: how much is looked at and shown.

    Examples:
        >>> Request(cells=False).cell("Oslo") is None
        True
    """

    fpr: float = 0.01
    color: str | None = None
    cells: bool = True
    seed: int = 0
    table: str = "table"
    synthetic: str = "synthetic table"
    commands: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    config: ReportConfig = field(default_factory=ReportConfig)

    def cell(self, text: str | None) -> str | None:
        """A cell as it is shown, if it may be."""
        if not self.cells or text is None:
            return None
        most = self.config.longest_cell
        return text if len(text) <= most else f"{text[:most]}…"

    def rule(self, rule: AnyRule) -> str:
        """A rule as it is shown: of one that may quote cells, only its columns, if none may be.

        Examples:
            >>> from tabvae.rules.decisions import Presence
            >>> rule = Presence("reason", "refused", ("yes",))
            >>> Request().rule(rule), Request(cells=False).rule(rule)
            ('reason only if refused = yes', 'a rule of reason, refused')
        """
        if self.cells or isinstance(rule, Formula | Order | Dependency):
            return str(rule)
        return f"a rule of {', '.join(map(quoted, rule.columns))}"

    def ends(self, column: Column, low: float, high: float) -> tuple[str | None, str | None]:
        """Two numbers or moments of a column, if they may be shown."""
        if not self.cells:
            return None, None
        numbers = np.array([low, high])
        if column.kind is ColumnKind.NUMERIC:
            numbers = rounded(column, numbers)
        least, most = numbers.tolist()
        one, other = replace(column, minimum=least, maximum=most).range_as_text
        return one, other


@dataclass(frozen=True)
class Subject:
    """A table and what is known of it.

    Attributes:
        model: of it, or of one like it.
        table: (N,) rows.
        unseen: numbers of rows that no network trained on, where that is known.
        request: what is asked for.

    Raises:
        SchemaError: there is no such column for the map.
        ParameterError: the table has no rows.
    """

    model: Model
    table: pa.Table
    unseen: Ints | None
    request: Request

    def __post_init__(self) -> None:
        names = [column.name for column in self.model.codec.columns_]
        color = self.request.color
        if color is not None and color not in names:
            raise SchemaError(
                f"no column {shown(color)} in the model to colour the map",
                suggestion(color, names),
            )
        if not self.table.num_rows:
            raise ParameterError("a table without rows has no report", "name another file")

    @cached_property
    def codes(self) -> Codes:
        """(N, columns) the table."""
        return self.model.codec.transform(self.table)

    @property
    def config(self) -> ReportConfig:
        """How much is looked at and shown."""
        return self.request.config

    def some(self, rows: Ints, most: int) -> Ints:
        """These rows, or ``most`` of them at random, in order."""
        if len(rows) <= most:
            return rows
        rng = np.random.default_rng(self.request.seed)
        return np.sort(rng.choice(rows, most, replace=False))

    @cached_property
    def fresh(self) -> Ints:
        """Rows on which it is measured how well the model knows the table."""
        rows = np.arange(self.table.num_rows) if self.unseen is None else self.unseen
        return self.some(rows, self.config.rows_known)

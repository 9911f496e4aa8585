"""A fitted model on Arrow tables: encode rows, run a task, write the result as a table."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from tabvae import cells
from tabvae.card import Card
from tabvae.cells import Floats
from tabvae.detect import expected, row_scores, surprise
from tabvae.embed import embed
from tabvae.encoding import Codes, TableEncoder
from tabvae.errors import DataError, ParameterError, SchemaError, shown, suggestion
from tabvae.generate import generate, rows_where
from tabvae.identifiers import fresh_identifiers
from tabvae.impute import draw, impute
from tabvae.inference import infer_schema
from tabvae.learn import Learned, Progress, Settings, learn
from tabvae.sampling import Sample
from tabvae.schema import Column, ColumnKind, Schema

FEWEST_ROWS = 2
FEWEST_COLUMNS = 2
CELLS_SHOWN = 3


class TabVAEWarning(UserWarning):
    """Something in a table the model had to work around."""


@dataclass(frozen=True)
class Fitted:
    """Everything learned from a table.

    Attributes:
        encoder: the kinds and bins of its columns.
        learned: networks, trees, map and card.
    """

    encoder: TableEncoder
    learned: Learned

    @classmethod
    def fit(
        cls,
        table: pa.Table,
        settings: Settings,
        na_values: tuple[str, ...] = cells.DEFAULT_NA_VALUES,
        kinds: Mapping[str, ColumnKind] | None = None,
        progress: Progress | None = None,
    ) -> Fitted:
        """Learn a table.

        Args:
            table: text columns (CSV) or typed ones.
            settings: how to learn.
            na_values: texts that mean a missing cell.
            kinds: kinds that are given.
            progress: called several times while training.

        Raises:
            DataError: the table is too small, or nothing in it can be modelled.
            SchemaError: a given column does not exist or cannot be of that kind.
        """
        schema = infer_schema(table, na_values, kinds)
        _check_size(table, schema)
        encoder = TableEncoder(schema, na_values).fit(table)
        return cls(encoder, learn(encoder, encoder.transform(table), settings, progress))

    @property
    def card(self) -> Card:
        """What is known of the model beyond its weights."""
        return self.learned.card

    @property
    def schema(self) -> Schema:
        """What each column is."""
        schema: Schema = self.encoder.schema
        return schema

    def embed(self, table: pa.Table) -> pa.Table:
        """``z1..zk``, one row per input row."""
        codes = self._encode(table)
        z = embed(self.learned.chart, self.encoder, codes)
        return pa.table({f"z{k + 1}": z[:, k] for k in range(z.shape[1])})

    def impute(self, table: pa.Table) -> pa.Table:
        """The same table with its gaps filled."""
        codes = self._encode(table)
        filled = impute(self.learned.ensemble, self.encoder, self.learned.refiner, codes)
        return self._fill(table, codes, Sample(filled, np.zeros(filled.bins.shape)))

    def draw(self, table: pa.Table, draws: int, seed: int = 0) -> Iterator[pa.Table]:
        """``draws`` completed tables.

        Raises:
            ParameterError: ``draws`` is not positive.
        """
        if draws < 1:
            raise ParameterError(f"draws must be at least 1, however: {draws}", "--draws 5")
        codes = self._encode(table)
        for sample in draw(self.learned.ensemble, self.encoder, codes, draws, seed):
            yield self._fill(table, codes, sample)

    def generate(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        one_shot: bool = False,
        complete: bool = False,
        temperature: float = 1.0,
        seed: int = 0,
    ) -> pa.Table:
        """``n`` new rows with the columns, types and formats of the table fitted on.

        Args:
            n: how many rows.
            where: cells to set, by column; the others are drawn given them.
            one_shot: draw z from the prior and decode all cells at once: faster, less faithful.
            complete: leave no gaps; by default gaps come as often as in the table fitted on.
            temperature: below 1 gives more typical rows, above 1 more varied ones.
            seed: of the draws.

        Raises:
            ParameterError: ``n`` or ``temperature`` is not positive.
            SchemaError: ``where`` names an unknown column, or a value the model has not seen.
        """
        if n < 1:
            raise ParameterError(f"the number of rows must be at least 1, however: {n}", "-n 1000")
        if not temperature > 0:
            raise ParameterError(f"temperature must be above 0, however: {temperature}")
        given = rows_where(self.encoder, n, dict(self._given(where or {})))
        sample = generate(
            self.learned.ensemble, self.encoder, given, seed, not complete, one_shot, temperature
        )
        modelled = self.encoder.inverse_transform(sample.codes, sample.levels)
        arrays = [
            modelled.column(c.name) if c.kind.modelled else self._unmodelled(c, n)
            for c in self.schema.columns
        ]
        return pa.table(dict(zip(self.schema.names, arrays, strict=True)))

    def detect(self, table: pa.Table, fpr: float = 0.01) -> pa.Table:
        """How odd each row is, and which cells make it so.

        Args:
            table: rows.
            fpr: share of ordinary rows that may be called outliers.

        Returns:
            ``score`` (root mean square of the surprise of the row's cells, in nats), ``p_value``
            (share of held-out rows at least as odd), ``outlier`` (p-value at most ``fpr``), and for
            the three most surprising cells ``column_1``, ``observed_1``, ``expected_1`` and so on.

        Raises:
            ParameterError: ``fpr`` is not between 0 and 1.
        """
        if not 0 < fpr < 1:
            raise ParameterError(f"fpr must be between 0 and 1, however: {fpr}", "--fpr 0.01")
        codes = self._encode(table)
        found = surprise(self.learned.ensemble, self.encoder, codes, self.card.scales)
        scores = row_scores(found)
        p_values = self.card.calibration.p_values(scores)
        columns: dict[str, Any] = {
            "score": scores,
            "p_value": p_values,
            "outlier": p_values <= fpr,
        }
        columns.update(self._explain(table, codes, found))
        return pa.table(columns)

    def _encode(self, table: pa.Table) -> Codes:
        """Encode rows, with warnings for what the model has to work around."""
        self.schema.require(table.column_names)
        extra = [name for name in table.column_names if name not in self.schema.names]
        if extra:
            listed = ", ".join(shown(name) for name in extra[:5])
            warnings.warn(
                f"carried through, not in the model: {listed}", TabVAEWarning, stacklevel=3
            )
        codes = self.encoder.transform(table)
        foreign = (~codes.observed & ~codes.missing).sum(0)
        for column, count in zip(self.encoder.columns_, foreign, strict=True):
            if count > column.foreign:
                what = "numbers or dates" if column.kind.continuous else "categories of the model"
                warnings.warn(
                    f"column {shown(column.name)}: {count} cells are no {what}; they stay as they "
                    "are and tell the model nothing",
                    TabVAEWarning,
                    stacklevel=3,
                )
        return codes

    def _fill(self, table: pa.Table, codes: Codes, sample: Sample) -> pa.Table:
        """``table`` with its missing cells taken from ``sample``."""
        for j, column in enumerate(self.encoder.columns_):
            gaps = codes.missing[:, j]
            if not gaps.any():
                continue
            position = table.column_names.index(column.name)
            field, original = self._field(table, position), table.column(position)
            written = self.encoder.write_column(
                j,
                sample.codes.bins[:, j],
                sample.codes.values[:, j],
                sample.levels[:, j],
                gaps,
                target=field.type,
            )
            table = table.set_column(
                position, field, cells.choose(gaps, written, cells.flat(original))
            )
        return self._fill_constants(table)

    def _field(self, table: pa.Table, position: int) -> pa.Field:
        """The type a filled column has: its own, or the model's if all of it was missing."""
        field = table.field(position)
        return self.schema.types.field(field.name) if pa.types.is_null(field.type) else field

    def _fill_constants(self, table: pa.Table) -> pa.Table:
        for column in self.schema.columns:
            if column.kind is not ColumnKind.CONSTANT or column.name not in table.column_names:
                continue
            position = table.column_names.index(column.name)
            field, array = self._field(table, position), cells.flat(table.column(position))
            gaps = cells.missing_mask(array, self.encoder.na_values)
            if gaps.any():
                written = cells.from_text(pa.array([column.constant] * len(array)), field.type)
                table = table.set_column(position, field, cells.choose(gaps, written, array))
        return table

    def _given(self, where: Mapping[str, Any]) -> Iterator[tuple[int, tuple[int, float, float]]]:
        """The modelled column, bin, score and value of each cell that is asked for."""
        names = [c.name for c in self.encoder.columns_]
        for name, value in where.items():
            if name not in names:
                known = name in self.schema.names
                raise SchemaError(
                    f"column {shown(name)} is {self.schema[name].kind} and cannot be set"
                    if known
                    else f"no column {shown(name)}",
                    suggestion(name, names),
                )
            j = names.index(name)
            yield j, self.encoder.encode_cell(j, str(value))

    def _unmodelled(self, column: Column, rows: int) -> pa.Array:
        """New cells of a column that is not modelled."""
        target = self.schema.types.field(column.name).type
        if column.kind is ColumnKind.CONSTANT:
            return cells.from_text(pa.array([column.constant] * rows), target)
        if column.kind is ColumnKind.IDENTIFIER:
            step = round(column.numbers.step) if column.numbers else 1
            fresh = fresh_identifiers(column.last_identifier or "", rows, max(step, 1))
            return cells.from_text(pa.array(fresh), target)
        if cells.is_text(target):
            return pa.array([column.missing_text] * rows, target)
        return pa.nulls(rows, target)

    def _explain(self, table: pa.Table, codes: Codes, found: Floats) -> dict[str, pa.Array]:
        """The most surprising cells of each row, with observed and expected value as text."""
        names = np.array([c.name for c in self.encoder.columns_], dtype=object)
        order = np.argsort(-np.nan_to_num(found), axis=1, kind="stable")[:, :CELLS_SHOWN]
        shown_cells = np.zeros(found.shape, dtype=np.bool_)
        np.put_along_axis(shown_cells, order, True, axis=1)
        likely = expected(self.learned.ensemble, self.encoder, codes, shown_cells)
        texts = _texts(self.encoder.inverse_transform(likely))
        observed = _texts(table.select(list(names)))
        rows = np.arange(len(codes))
        columns: dict[str, pa.Array] = {}
        for rank, j in enumerate(order.T, start=1):
            columns[f"column_{rank}"] = pa.array(names[j], pa.string())
            columns[f"observed_{rank}"] = pa.array(observed[rows, j], pa.string())
            columns[f"expected_{rank}"] = pa.array(texts[rows, j], pa.string())
        return columns


def _texts(table: pa.Table) -> np.ndarray[tuple[int, int], np.dtype[np.object_]]:
    columns = [cells.to_text(cells.flat(c)).to_numpy(zero_copy_only=False) for c in table.columns]
    return np.stack(columns, axis=1)


def _check_size(table: pa.Table, schema: Schema) -> None:
    if table.num_columns < FEWEST_COLUMNS:
        raise DataError(
            "the table has one column; the model learns columns from each other",
            "if it has more, name the delimiter: --delimiter ';'",
        )
    if table.num_rows < FEWEST_ROWS:
        raise DataError(f"the table has {table.num_rows} row; at least {FEWEST_ROWS} are needed")
    if len(schema.modelled) < FEWEST_COLUMNS:
        reasons = "; ".join(f"{shown(c.name)}: {c.reason}" for c in schema.columns[:3])
        raise DataError(
            f"only {len(schema.modelled)} of {len(schema.columns)} columns can be modelled, at "
            f"least {FEWEST_COLUMNS} are needed ({reasons})",
            "'tabvae inspect' shows why, --categorical or --numeric overrides",
        )

"""TabVAE, the estimator: the only room where tables meet tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from tabvae import cells
from tabvae.card import Card
from tabvae.cells import Floats
from tabvae.detect import Comparison, compare, row_scores
from tabvae.embed import embed
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, cells_of
from tabvae.errors import DataError, ParameterError, SchemaError, shown, suggestion
from tabvae.frames import fill_frame, to_arrow
from tabvae.generate import generate, rows_where
from tabvae.identifiers import fresh_identifiers
from tabvae.impute import complete, draw, impute
from tabvae.network import Shape
from tabvae.refine import Refiner, features
from tabvae.sampling import Sample
from tabvae.schema import Column, ColumnKind, Overrides, Schema
from tabvae.training import EFFORTS, Point, Trainer, plan_for

DEFAULT_LATENT = 8
FEWEST_ROWS = 2
FEWEST_COLUMNS = 2
CELLS_SHOWN = 3


class TabVAEWarning(UserWarning):
    """Something in a table the model had to work around."""


@dataclass(frozen=True)
class Step:
    """Where ``fit`` is, for a progress display.

    Attributes:
        net: which network is trained, from 1.
        nets: how many there are.
        steps: planned steps of this network.
        point: the newest point of its training curve.
    """

    net: int
    nets: int
    steps: int
    point: Point


class TabVAE(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A variational autoencoder for tables with gaps and mixed types.

    Args:
        effort: ``fast``, ``default`` or ``best``: how long ``fit`` works.
        latent: dimensions of the latent space; ``None`` for 8.
        beta: weight of the KL term; 1 is the evidence lower bound.
        seed: of all randomness; the same seed gives the same model on one machine.
        device: ``auto``, ``cpu`` or ``cuda``, for training.
        categorical: columns that hold categories, whatever they look like.
        numeric: columns that hold numbers.
        datetime: columns that hold dates or times.
        ignore: columns to carry through and not to model.
        na_values: texts that mean a missing cell; ``None`` for the usual ones.

    Attributes:
        schema_: what each column is.
        encoder_: the fitted ``TableEncoder``.
        ensemble_: the trained networks.
        refiner_: the trees that take a second look at imputed cells.
        card_: what happened in training, and diagnostics.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [1, 2, None, 4] * 9, "b": list("xyxy") * 9})
        >>> model = TabVAE(effort="fast").fit(frame)
        >>> int(model.impute(frame)["a"].isna().sum())
        0
    """

    schema_: Schema
    encoder_: TableEncoder
    ensemble_: Ensemble
    refiner_: Refiner
    card_: Card

    def __init__(
        self,
        *,
        effort: str = "default",
        latent: int | None = None,
        beta: float = 1.0,
        seed: int = 0,
        device: str = "auto",
        categorical: tuple[str, ...] = (),
        numeric: tuple[str, ...] = (),
        datetime: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        na_values: tuple[str, ...] | None = None,
    ) -> None:
        self.effort = effort
        self.latent = latent
        self.beta = beta
        self.seed = seed
        self.device = device
        self.categorical = categorical
        self.numeric = numeric
        self.datetime = datetime
        self.ignore = ignore
        self.na_values = na_values

    # pandas in, pandas out

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn a table.

        Args:
            X: (rows, columns) frame or array with gaps.
            y: ignored.

        Raises:
            DataError: the table is too small, or nothing in it can be modelled.
            SchemaError: a column named in a parameter does not exist or cannot be of that kind.
            ParameterError: a parameter has a value outside its domain.
        """
        frame = self._frame(X, reset=True)
        self.n_features_in_ = frame.shape[1]
        if isinstance(X, pd.DataFrame):
            self.feature_names_in_ = np.array([str(c) for c in X.columns], dtype=object)
        return self.fit_table(to_arrow(frame))

    def embed(self, X: Any) -> pd.DataFrame:
        """(rows, latent) coordinates ``z1..zk`` of each row, on the index of ``X``."""
        frame = self._frame(X)
        table = self.embed_table(to_arrow(frame))
        return table.to_pandas().set_index(frame.index)

    def transform(self, X: Any) -> Floats:
        """(rows, latent) coordinates as an array; scikit-learn's name for ``embed``."""
        return cast(Floats, self.embed(X).to_numpy())

    def impute(self, X: Any, draws: int | None = None) -> pd.DataFrame:
        """``X`` with its gaps filled, every observed cell unchanged.

        Args:
            X: (rows, columns) rows, with the columns of the table fitted on.
            draws: give that many completed tables instead, each a draw from the posterior
                predictive distribution, below each other with the number in a column ``draw``.
        """
        frame = self._frame(X)
        table = to_arrow(frame)
        if draws is None:
            return fill_frame(frame, table, self.impute_table(table))
        filled = self.draw_tables(table, draws)
        frames = [fill_frame(frame, table, one) for one in filled]
        for number, one in enumerate(frames, start=1):
            one.insert(0, "draw", number)
        return pd.concat(frames)

    def generate(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        one_shot: bool = False,
        complete: bool = False,
        temperature: float = 1.0,
        seed: int | None = None,
    ) -> pd.DataFrame:
        """``n`` new rows; see ``generate_table``."""
        table = self.generate_table(
            n,
            where=where,
            one_shot=one_shot,
            complete=complete,
            temperature=temperature,
            seed=seed,
        )
        return cast(pd.DataFrame, table.to_pandas())

    def detect(self, X: Any, fpr: float = 0.01) -> pd.DataFrame:
        """How odd each row is, and why, on the index of ``X``; see ``detect_table``."""
        frame = self._frame(X)
        return self.detect_table(to_arrow(frame), fpr).to_pandas().set_index(frame.index)

    # Arrow in, Arrow out

    def fit_table(
        self,
        table: pa.Table,
        kinds: Mapping[str, ColumnKind] | None = None,
        progress: Callable[[Step], None] | None = None,
    ) -> Self:
        """Learn an Arrow table; ``fit`` for tables that come from files.

        Args:
            table: text columns (CSV) or typed ones.
            kinds: kinds that are given, from a schema file; the parameters go before them.
            progress: called several times while training.
        """
        self._check_parameters()
        asked = Overrides(
            tuple(self.categorical), tuple(self.numeric), tuple(self.datetime), tuple(self.ignore)
        )
        schema = Schema.infer(table, self._na_values, {**(kinds or {}), **asked.kinds()})
        _check_size(table, schema)
        encoder = TableEncoder(schema, self._na_values).fit(table)
        codes = encoder.transform(table)
        self.schema_, self.encoder_ = schema, encoder
        self._train(codes, progress)
        return self

    def embed_table(self, table: pa.Table) -> pa.Table:
        """``z1..zk``, one row per input row."""
        codes = self._encode(table)
        z = embed(self.ensemble_, codes)
        return pa.table({f"z{k + 1}": z[:, k] for k in range(z.shape[1])})

    def impute_table(self, table: pa.Table) -> pa.Table:
        """The same table with its gaps filled."""
        codes = self._encode(table)
        filled = impute(self.ensemble_, self.encoder_, self.refiner_, codes)
        return self._fill(table, codes, Sample(filled, np.zeros(filled.bins.shape)))

    def draw_tables(self, table: pa.Table, draws: int) -> Iterator[pa.Table]:
        """``draws`` completed tables.

        Raises:
            ParameterError: ``draws`` is not positive.
        """
        if draws < 1:
            raise ParameterError(f"draws must be at least 1, however: {draws}", "--draws 5")
        codes = self._encode(table)
        for sample in draw(self.ensemble_, self.encoder_, codes, draws, self.seed):
            yield self._fill(table, codes, sample)

    def generate_table(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | None = None,
        one_shot: bool = False,
        complete: bool = False,
        temperature: float = 1.0,
        seed: int | None = None,
    ) -> pa.Table:
        """``n`` new rows with the columns, types and formats of the table fitted on.

        Args:
            n: how many rows.
            where: cells to set, by column; the others are drawn given them.
            one_shot: draw z from the prior and decode all cells at once: faster, less faithful.
            complete: leave no gaps; by default gaps come as often as in the table fitted on.
            temperature: below 1 gives more typical rows, above 1 more varied ones.
            seed: of the draws; the model's own by default.

        Raises:
            ParameterError: ``n`` or ``temperature`` is not positive.
            SchemaError: ``where`` names an unknown column, or a value the model has not seen.
        """
        check_is_fitted(self, "ensemble_")
        if n < 1:
            raise ParameterError(f"the number of rows must be at least 1, however: {n}", "-n 1000")
        if not temperature > 0:
            raise ParameterError(f"temperature must be above 0, however: {temperature}")
        given = rows_where(self.encoder_, n, dict(self._given(where or {})))
        seed = self.seed if seed is None else seed
        sample = generate(
            self.ensemble_, self.encoder_, given, seed, not complete, one_shot, temperature
        )
        modelled = self.encoder_.inverse_transform(sample.codes, sample.levels)
        arrays = [
            modelled.column(c.name) if c.kind.modelled else self._unmodelled(c, n)
            for c in self.schema_.columns
        ]
        return pa.table(dict(zip(self.schema_.names, arrays, strict=True)))

    def detect_table(self, table: pa.Table, fpr: float = 0.01) -> pa.Table:
        """How odd each row is, and which cells make it so.

        Args:
            table: rows.
            fpr: share of ordinary rows that may be called outliers.

        Returns:
            ``score`` (mean surprise of the row's cells, in nats), ``p_value`` (share of held-out
            rows at least as odd), ``outlier`` (p-value at most ``fpr``), and for the three most
            surprising cells ``column_1``, ``observed_1``, ``expected_1`` and so on.

        Raises:
            ParameterError: ``fpr`` is not between 0 and 1.
        """
        if not 0 < fpr < 1:
            raise ParameterError(f"fpr must be between 0 and 1, however: {fpr}", "--fpr 0.01")
        codes = self._encode(table)
        found = compare(self.ensemble_, self.encoder_, codes)
        surprise = found.surprise(self.card_.scales)
        scores = row_scores(surprise)
        p_values = self.card_.calibration.p_values(scores)
        columns: dict[str, Any] = {
            "score": scores,
            "p_value": p_values,
            "outlier": p_values <= fpr,
        }
        columns.update(self._explain(table, codes, found, surprise))
        return pa.table(columns)

    # files

    def save(self, path: str) -> None:
        """Write the model to ``path``, whole or not at all.

        Raises:
            OutputError: the file system refuses.
        """
        from tabvae.artifact import save

        check_is_fitted(self, "ensemble_")
        save(self, path)

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a model that ``save`` wrote. Nothing in the file is executed.

        Raises:
            ModelFileError: the file is not a model, is damaged, or comes from a newer release.
        """
        from tabvae.artifact import load

        model = load(path)
        assert isinstance(model, cls)
        return model

    # inside

    @property
    def _na_values(self) -> tuple[str, ...]:
        return cells.DEFAULT_NA_VALUES if self.na_values is None else tuple(self.na_values)

    def _frame(self, X: Any, reset: bool = False) -> pd.DataFrame:
        """A frame as it is; an array, checked by scikit-learn, with the columns of ``fit``."""
        if isinstance(X, pd.DataFrame):
            return X
        if not reset:
            check_is_fitted(self, "ensemble_")
        array = validate_data(
            self,
            X,
            reset=reset,
            dtype=None,
            ensure_all_finite="allow-nan",
            ensure_min_samples=FEWEST_ROWS if reset else 1,
            ensure_min_features=FEWEST_COLUMNS if reset else 1,
        )
        names = None if reset else getattr(self, "feature_names_in_", None)
        return pd.DataFrame(
            array, columns=[f"x{j}" for j in range(array.shape[1])] if names is None else names
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags

    def _check_parameters(self) -> None:
        if self.effort not in EFFORTS:
            raise ParameterError(
                f"effort must be one of {', '.join(EFFORTS)}, however: {shown(self.effort)}"
            )
        if self.latent is not None and self.latent < 1:
            raise ParameterError(f"latent must be at least 1, however: {self.latent}")
        if not self.beta >= 0:
            raise ParameterError(f"beta must not be negative, however: {self.beta}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ParameterError("this machine has no CUDA device", "--device cpu")

    def _train(self, codes: Codes, progress: Callable[[Step], None] | None) -> None:
        cuda = self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())
        device = torch.device("cuda" if cuda else "cpu")
        plan = plan_for(self.effort, len(codes))
        shape = Shape(
            tuple(self.encoder_.sizes),
            self.latent or DEFAULT_LATENT,
            plan.width,
        )
        rows = cells_of(codes)
        rows = type(rows)(*(tensor.to(device) for tensor in rows))
        missing = torch.from_numpy(codes.missing).to(device)
        positions = torch.from_numpy(self.encoder_.positions).float()
        nets, records = [], []
        for net in range(plan.nets):
            generator = torch.Generator(device).manual_seed(1000 * self.seed + net)
            trainer = Trainer(rows, missing, shape, positions, plan, self.beta, generator)

            def report(point: Point, net: int = net) -> None:
                if progress is not None:
                    progress(Step(net + 1, plan.nets, plan.steps, point))

            vae, record = trainer.run(report)
            nets.append(vae.to("cpu"))
            records.append(record)
            if record.interrupted:
                break
        self.ensemble_ = Ensemble(nets)
        completed = features(self.encoder_, complete(self.ensemble_, self.encoder_, codes))
        self.refiner_ = Refiner.fit(self.encoder_, codes, completed, self.seed)
        self.card_ = Card.measure(self.ensemble_, self.encoder_, codes, records)

    def _encode(self, table: pa.Table) -> Codes:
        """Encode rows, with warnings for what the model has to work around."""
        check_is_fitted(self, "ensemble_")
        self.schema_.require(table.column_names)
        extra = [name for name in table.column_names if name not in self.schema_.names]
        if extra:
            listed = ", ".join(shown(name) for name in extra[:5])
            warnings.warn(
                f"carried through, not in the model: {listed}", TabVAEWarning, stacklevel=3
            )
        codes = self.encoder_.transform(table)
        foreign = (~codes.observed & ~codes.missing).sum(0)
        for column, count in zip(self.encoder_.columns_, foreign, strict=True):
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
        for j, column in enumerate(self.encoder_.columns_):
            gaps = codes.missing[:, j]
            if not gaps.any():
                continue
            position = table.column_names.index(column.name)
            field, original = self._field(table, position), table.column(position)
            written = self.encoder_.write_column(
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
        return self.schema_.types.field(field.name) if pa.types.is_null(field.type) else field

    def _fill_constants(self, table: pa.Table) -> pa.Table:
        for column in self.schema_.columns:
            if column.kind is not ColumnKind.CONSTANT or column.name not in table.column_names:
                continue
            position = table.column_names.index(column.name)
            field, array = self._field(table, position), cells.flat(table.column(position))
            gaps = cells.missing_mask(array, self.encoder_.na_values)
            if gaps.any():
                written = cells.from_text(pa.array([column.constant] * len(array)), field.type)
                table = table.set_column(position, field, cells.choose(gaps, written, array))
        return table

    def _given(self, where: Mapping[str, Any]) -> Iterator[tuple[int, tuple[int, float, float]]]:
        """The modelled column, bin, score and value of each cell that is asked for."""
        names = [c.name for c in self.encoder_.columns_]
        for name, value in where.items():
            if name not in names:
                known = name in self.schema_.names
                raise SchemaError(
                    f"column {shown(name)} is {self.schema_[name].kind} and cannot be set"
                    if known
                    else f"no column {shown(name)}",
                    suggestion(name, names),
                )
            j = names.index(name)
            yield j, self.encoder_.encode_cell(j, str(value))

    def _unmodelled(self, column: Column, rows: int) -> pa.Array:
        """New cells of a column that is not modelled."""
        target = self.schema_.types.field(column.name).type
        if column.kind is ColumnKind.CONSTANT:
            return cells.from_text(pa.array([column.constant] * rows), target)
        if column.kind is ColumnKind.IDENTIFIER:
            step = round(column.numbers.step) if column.numbers else 1
            fresh = fresh_identifiers(column.last_identifier or "", rows, max(step, 1))
            return cells.from_text(pa.array(fresh), target)
        if cells.is_text(target):
            return pa.array([column.missing_text] * rows, target)
        return pa.nulls(rows, target)

    def _explain(
        self, table: pa.Table, codes: Codes, found: Comparison, surprise: Floats
    ) -> dict[str, pa.Array]:
        """The most surprising cells of each row, with observed and expected value as text."""
        names = np.array([c.name for c in self.encoder_.columns_], dtype=object)
        expected_codes = Codes(
            found.likely,
            codes.scores,
            found.expected,
            np.ones_like(codes.observed),
            np.zeros_like(codes.missing),
        )
        expected_table = self.encoder_.inverse_transform(expected_codes)
        expected = _texts(expected_table)
        observed = _texts(table.select(list(names)))
        order = np.argsort(-surprise, axis=1, kind="stable")
        rows = np.arange(len(codes))
        columns: dict[str, pa.Array] = {}
        for rank in range(min(CELLS_SHOWN, len(names))):
            j = order[:, rank]
            columns[f"column_{rank + 1}"] = pa.array(names[j], pa.string())
            columns[f"observed_{rank + 1}"] = pa.array(observed[rows, j], pa.string())
            columns[f"expected_{rank + 1}"] = pa.array(expected[rows, j], pa.string())
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

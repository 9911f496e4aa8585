"""TabVAE, the estimator users import: parameters and frames around a fitted model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self, cast

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted, validate_data

from tabvae import artifact
from tabvae.columns.from_json import from_json
from tabvae.columns.images import parse_grid
from tabvae.columns.overrides import Overrides
from tabvae.columns.relations import RuleSearch, TableRule
from tabvae.columns.schema import ColumnKind, TableLimits
from tabvae.files import container
from tabvae.files.by_kind import by_kind
from tabvae.files.formats import format_called
from tabvae.files.native import Back, PandasRows, Rows, rows_of, to_pandas
from tabvae.files.source import Source
from tabvae.fit import fit
from tabvae.model import Model
from tabvae.network.objective import Objective
from tabvae.progress import PhaseWeights, Progress, shown, silent
from tabvae.tasks.evaluate import Evaluation
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings
from tabvae.values.arrow import DEFAULT_NA_VALUES, Floats


class TabVAE(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """A variational autoencoder for tables with gaps and mixed types.

    Args:
        model: ``vae``, a plain autoencoder ``ae``, or a denoising one ``dae``.
        effort: ``fast``, ``default`` or ``best``: how long ``fit`` works.
        latent: dimensions of the latent space; ``None`` for 8.
        beta: weight of the KL term of ``vae``; 1 is the evidence lower bound.
        warmup: share of the steps over which that weight rises from 0.
        free_nats: KL of a latent dimension, in nats, that costs nothing.
        noise: of ``dae``: deviation of what is added to numbers, in normal scores, and the share
            of categories that are swapped.
        likelihood: of numbers: ``binned``, or the textbook's ``gaussian``, ``laplace`` or
            ``bernoulli``.
        grid: such as ``8x8``, ``28x28x3`` or ``64``: the numeric columns in their order are the
            cells of an image (channels last) or a spectrum, and the network convolves.
        seed: of all randomness; the same seed gives the same model on one machine.
        device: ``auto``, ``cpu`` or ``cuda``, for training.
        categorical: columns that hold categories, whatever they look like.
        numeric: columns that hold numbers.
        datetime: columns that hold dates or times, as ``name`` or ``name=format``, such as
            ``day=%d/%m/%Y``.
        ignore: columns to carry through and not to model.
        na_values: texts that mean a missing cell; ``None`` for the usual ones.
        min_count: fewest cells behind any number or category the model keeps; see docs/privacy.md.
        rules: between columns, such as ``total = price * quantity``, ``begin <= end`` or
            ``city -> country``; they are kept beside those that are found.
        find_rules: look for rules in the table.
        rules_at_least: share of the rows that keep a rule that is found; ``None`` for .95 of
            equations and .98 of others.
        memorise: let networks and trees learn single rows by heart: small tables are imputed
            better, and their rows can be read from the model.
        verbose: show a bar while a method works, in a notebook or a terminal; elsewhere a line for
            each phase on standard error.

    Attributes:
        fitted_: schema, codec, networks, trees and card, for use on Arrow tables.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [1, 2, None, 4] * 9, "b": list("xyxy") * 9})
        >>> model = TabVAE(effort="fast").fit(frame)
        >>> int(model.impute(frame)["a"].isna().sum())
        0
    """

    fitted_: Model

    def __init__(
        self,
        *,
        model: str = "vae",
        effort: str = "default",
        latent: int | None = None,
        beta: float = 1.0,
        warmup: float = 0.0,
        free_nats: float = 0.0,
        noise: float = 0.2,
        likelihood: str = "binned",
        grid: str | None = None,
        seed: int = 0,
        device: str = "auto",
        categorical: tuple[str, ...] = (),
        numeric: tuple[str, ...] = (),
        datetime: tuple[str, ...] = (),
        ignore: tuple[str, ...] = (),
        na_values: tuple[str, ...] | None = None,
        min_count: int = 1,
        memorise: bool = False,
        rules: tuple[str, ...] = (),
        find_rules: bool = True,
        rules_at_least: float | None = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.effort = effort
        self.latent = latent
        self.beta = beta
        self.warmup = warmup
        self.free_nats = free_nats
        self.noise = noise
        self.likelihood = likelihood
        self.grid = grid
        self.seed = seed
        self.device = device
        self.categorical = categorical
        self.numeric = numeric
        self.datetime = datetime
        self.ignore = ignore
        self.na_values = na_values
        self.min_count = min_count
        self.memorise = memorise
        self.rules = rules
        self.find_rules = find_rules
        self.rules_at_least = rules_at_least
        self.verbose = verbose

    @property
    def rules_(self) -> tuple[TableRule, ...]:
        """The rules between columns, which what is filled and drawn keeps."""
        fitted = self._fitted()
        na_values = fitted.codec.na_values
        return tuple(TableRule(rule, fitted.schema, na_values) for rule in fitted.schema.rules)

    # frames in, frames of the same kind out

    def fit(self, X: Any, y: object = None) -> Self:
        """Learn a table.

        Args:
            X: (rows, columns) frame or array with gaps; of pandas, polars, pyarrow, DuckDB or any
                other library that narwhals knows or that speaks Arrow.
            y: ignored.

        Raises:
            DataError: the table is too small, or nothing in it can be modelled.
            SchemaError: a column named in a parameter does not exist or cannot be of that kind.
            ParameterError: a parameter has a value outside its domain.
        """
        rows = rows_of(X)
        named = rows is not None
        rows = rows or self._rows(X, reset=True)
        table = rows.table
        self.n_features_in_ = table.num_columns
        if named:
            self.feature_names_in_ = np.array(table.column_names, dtype=object)
        with self._watched("fit") as progress:
            self.fit_table(table, progress=progress)
        self.back_: Back = rows.back
        return self

    def _restored(self, table: pa.Table) -> Any:
        """Rows that the model made, as a frame of the kind fitted on; typed, if that was text in a
        file."""
        source, fitted = getattr(self, "source_", None), self._fitted()
        if source is not None and format_called(source.format).text:
            table = by_kind(table, fitted.schema, fitted.codec.na_values)
        return getattr(self, "back_", to_pandas)(table)

    def embed(self, X: Any) -> Any:
        """(rows, latent) coordinates ``z1..zk`` of each row, as a frame like ``X``."""
        rows = self._rows(X)
        with self._watched("embed") as progress:
            return rows.like(self._fitted().embed(rows.table, progress))

    def decode(self, latents: Any) -> Any:
        """The rows at coordinates (rows, latent), a frame ``z1..zk`` or an array."""
        rows = rows_of(latents)
        if rows is None:
            array = np.asarray(latents)
            names = [f"z{k + 1}" for k in range(array.shape[1])]
            rows = PandasRows(pd.DataFrame(array, columns=names))
        decoded = self._restored(self._fitted().decode(rows.table))
        if isinstance(rows, PandasRows) and isinstance(decoded, pd.DataFrame):
            return decoded.set_index(rows.frame.index)
        return decoded

    def interpolate(
        self, X: Any, first: int, last: int, n: int = 10, *, spherical: bool = False
    ) -> Any:
        """``n`` rows on the way between two rows of ``X``; see ``Model.interpolate``."""
        table = self._rows(X).table
        rows = self._fitted().interpolate(table, first, last, n, spherical=spherical)
        return self._restored(rows)

    def evaluate(self, X: Any, samples: int = 50) -> Evaluation:
        """How well the model knows rows; see ``tabvae.tasks.evaluate``."""
        table = self._rows(X).table
        with self._watched("evaluate") as progress:
            return self._fitted().evaluate(table, samples, self.seed, progress)

    def transform(self, X: Any) -> Floats:
        """(rows, latent) coordinates as an array; scikit-learn's name for ``embed``."""
        z = self._fitted().embed(self._rows(X).table)
        return cast(Floats, to_pandas(z).to_numpy())

    def impute(self, X: Any, draws: int | None = None) -> Any:
        """``X`` with its gaps filled, every observed cell unchanged.

        Args:
            X: (rows, columns) rows, with the columns of the table fitted on.
            draws: give that many completed tables instead, each a draw from the posterior
                predictive distribution, below each other with the number in a column ``draw``.
        """
        rows = self._rows(X)
        with self._watched("impute") as progress:
            if draws is None:
                return rows.filled(self._fitted().impute(rows.table, progress))
            return rows.drawn(self._fitted().draw(rows.table, draws, self.seed, progress))

    def probabilities(self, X: Any, column: str) -> Any:
        """How probable each value of a categorical column is; see ``Model.probabilities``."""
        rows = self._rows(X)
        return rows.like(self._fitted().probabilities(rows.table, column))

    def generate(
        self,
        n: int,
        *,
        where: Mapping[str, Any] | Sequence[str] | None = None,
        one_shot: bool = False,
        complete: bool = False,
        temperature: float = 1.0,
        seed: int | None = None,
    ) -> Any:
        """``n`` new rows, as a frame of the kind fitted on; see ``Model.generate``.

        Of a model that was fitted on a text file numbers are numbers, moments timestamps.
        """
        with self._watched("generate") as progress:
            table = self._fitted().generate(
                n,
                where=where,
                one_shot=one_shot,
                complete=complete,
                temperature=temperature,
                seed=self.seed if seed is None else seed,
                progress=progress,
            )
        return self._restored(table)

    def detect(self, X: Any, fpr: float = 0.01, score: str | None = None) -> Any:
        """How odd each row is, and why, as a frame like ``X``; see ``Model.detect``."""
        rows = self._rows(X)
        with self._watched("detect") as progress:
            return rows.like(self._fitted().detect(rows.table, fpr, score, progress))

    # files

    def save(self, path: str) -> None:
        """Write the model to ``path``, whole or not at all; a link that is there is replaced.

        Raises:
            OutputError: the file system refuses.
        """
        source = getattr(self, "source_", None)
        # How it is watched is nothing that a model knows.
        parameters = {name: v for name, v in self.get_params().items() if name != "verbose"}
        artifact.save(path, artifact.Saved(self._fitted(), parameters, source))

    @classmethod
    def load(cls, path: str) -> Self:
        """Read a model that ``save`` wrote. Nothing in the file is executed.

        Raises:
            ModelFileError: the file is not a model, is damaged, or comes from a newer release.
        """
        saved = artifact.load(path)
        with container.damage_told(path):
            model = from_json(cls, saved.parameters, verbose=False)
            model.settings()
        model.source_ = saved.source
        model.fitted_ = saved.fitted
        model.n_features_in_ = len(saved.fitted.schema.columns)
        model.feature_names_in_ = np.array(saved.fitted.schema.names, dtype=object)
        return model

    def fit_table(
        self,
        table: pa.Table,
        kinds: Mapping[str, ColumnKind] | None = None,
        progress: Progress = silent,
        checkpoint: Checkpoint | None = None,
    ) -> Self:
        """Learn an Arrow table; ``fit`` for tables that come from files.

        Args:
            table: text columns (CSV) or typed ones.
            kinds: kinds that are given, from a schema file; the parameters go before them.
            progress: told each phase and how far it is.
            checkpoint: keeps the state of training in a file, and brings back that of an earlier
                run.
        """
        asked = Overrides(
            tuple(self.categorical), tuple(self.numeric), tuple(self.datetime), tuple(self.ignore)
        )
        settings = self.settings()
        na_values = DEFAULT_NA_VALUES if self.na_values is None else tuple(self.na_values)
        names = table.column_names
        given = {**(kinds or {}), **asked.kinds(names)}
        formats = asked.formats(names)
        rules = RuleSearch(tuple(map(str, self.rules)), self.find_rules, self.rules_at_least)
        self.fitted_ = fit(table, settings, na_values, given, formats, progress, checkpoint, rules)
        # Of the file that an earlier table came from nothing holds any more.
        self.source_: Source | None = None
        return self

    def settings(self) -> Settings:
        """How to learn, by the parameters.

        Raises:
            ParameterError: one of them has a value outside its domain.
        """
        noise = self.noise if self.model == "dae" else 0.0
        return Settings(
            self.effort,
            Settings.latent if self.latent is None else self.latent,
            Objective(self.model, self.beta, self.warmup, self.free_nats, noise, self.likelihood),
            self.seed,
            self.device,
            None if self.grid is None else parse_grid(self.grid),
            self.min_count,
            self.memorise,
        )

    @contextmanager
    def _watched(self, method: str) -> Iterator[Progress]:
        """A bar for a method, if it is to be watched."""
        if not self.verbose:
            yield silent
            return
        with shown(method, getattr(PhaseWeights(), method), otherwise=_told) as progress:
            yield progress

    def _fitted(self) -> Model:
        check_is_fitted(self, "fitted_")
        return self.fitted_

    def _rows(self, X: Any, reset: bool = False) -> Rows:
        """Those of a frame; of an array, checked by scikit-learn, with the columns of ``fit``."""
        rows = rows_of(X)
        if rows is not None:
            return rows
        if not reset:
            self._fitted()
        array = validate_data(
            self,
            X,
            reset=reset,
            dtype=None,
            ensure_all_finite="allow-nan",
            ensure_min_samples=TableLimits.fewest_rows if reset else 1,
            ensure_min_features=TableLimits.fewest_columns if reset else 1,
        )
        names = None if reset else getattr(self, "feature_names_in_", None)
        names = [f"x{j}" for j in range(array.shape[1])] if names is None else names
        return PandasRows(pd.DataFrame(array, columns=names))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _told(line: str) -> None:
    print(line, file=sys.stderr)

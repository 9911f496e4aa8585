"""TabVAE, the estimator users import: parameters and frames around a fitted model."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Self, cast, get_type_hints

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from tabvae import artifact
from tabvae.arguments import argument, checked
from tabvae.columns.from_json import from_json
from tabvae.columns.images import parse_grid
from tabvae.columns.overrides import Overrides
from tabvae.columns.public import public_columns
from tabvae.columns.relations import RuleSearch, TableRule
from tabvae.columns.schema import ColumnKind, TableLimits
from tabvae.dp.budget import DELTA, Privacy
from tabvae.errors import ParameterError, SchemaError, shown
from tabvae.files import container
from tabvae.files.by_kind import by_kind
from tabvae.files.formats import format_called
from tabvae.files.frames import FrameLayout
from tabvae.files.native import Back, PandasRows, Rows, rows_of, to_pandas
from tabvae.files.source import Source
from tabvae.fit import fit, fit_privately
from tabvae.model import Model
from tabvae.network.objective import Objective
from tabvae.progress import PhaseWeights, Progress, silent
from tabvae.progress import shown as shown_bar
from tabvae.tasks.embed import coordinate_names
from tabvae.tasks.evaluate import Evaluation
from tabvae.tasks.pool import pool
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings
from tabvae.values.arrow import DEFAULT_NA_VALUES, Floats

if TYPE_CHECKING:
    from tabvae.report.page import Report

Names = npt.NDArray[np.object_]


@dataclass(kw_only=True, eq=False, repr=False)
class BaseTabVAE(BaseEstimator):  # type: ignore[misc]
    """Parameters, ``fit``, files, and every use of a fitted model on frames.

    What scikit-learn calls its use is what the estimators below it differ in. The parameters are
    told in :class:`TabVAE`.
    """

    model: str = "vae"
    effort: str = "default"
    latent: int | None = None
    beta: float = 1.0
    warmup: float = 0.0
    free_nats: float = 0.0
    noise: float = 0.2
    likelihood: str = "binned"
    grid: str | None = None
    seed: int = 0
    device: str = "auto"
    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    datetime: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    decimal: tuple[str, ...] = ()
    thousands: tuple[str, ...] = ()
    na_values: tuple[str, ...] | None = None
    min_count: int = 1
    memorise: bool = False
    rules: tuple[str, ...] = ()
    find_rules: bool = True
    rules_at_least: float | None = None
    epsilon: float | None = None
    delta: float | None = None
    unit: str | None = None
    public: dict[str, Any] | None = None
    verbose: bool = False

    @property
    def rules_(self) -> tuple[TableRule, ...]:
        """The rules between columns, which what is filled and drawn keeps."""
        fitted = self._fitted()
        na_values = fitted.codec.na_values
        return tuple(TableRule(rule, fitted.schema, na_values) for rule in fitted.schema.rules)

    # frames in, frames of the same kind out

    @checked
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
        with self._watched("fit") as progress:
            self.fit_table(table, progress=progress)
        self.back_: Back = rows.back
        self.layout_ = FrameLayout.of(X) if isinstance(X, pd.DataFrame) else None
        if named:
            self._name_features(self.layout_ or FrameLayout.of(_empty(table.column_names)))
        return self

    def _name_features(self, layout: FrameLayout) -> None:
        """What scikit-learn wants to know of a frame; only names that are all texts count."""
        names = self._fitted().schema.names
        self.n_features_in_ = len(names)
        if hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        if layout.labels == FrameLayout.of(_empty(names)).labels:
            self.feature_names_in_: Names = np.array(names, dtype=object)

    def _restored(self, table: pa.Table) -> Any:
        """Rows that the model made, as a frame like the one fitted on; typed, if that was text in a
        file."""
        source, fitted = self.source_, self._fitted()
        if source is not None and format_called(source.format).text:
            table = by_kind(table, fitted.schema, fitted.codec.na_values)
        if self.layout_ is not None:
            return self.layout_.restore(table)
        return getattr(self, "back_", to_pandas)(table)

    @checked
    def embed(self, X: Any) -> Any:
        """(rows, latent) coordinates ``z1..zk`` of each row, as a frame like ``X``."""
        rows = self._rows(X)
        with self._watched("embed") as progress:
            return rows.like(self._fitted().embed(rows.table, progress))

    @checked
    def decode(self, latents: Any) -> Any:
        """The rows at coordinates (rows, latent), a frame ``z1..zk`` or an array."""
        rows = rows_of(latents)
        if rows is None:
            array = check_array(latents, dtype=None, ensure_all_finite=False)
            rows = PandasRows(pd.DataFrame(array, columns=coordinate_names(array.shape[1])))
        decoded = self._restored(self._fitted().decode(rows.table))
        if isinstance(rows, PandasRows) and isinstance(decoded, pd.DataFrame):
            return decoded.set_index(rows.frame.index)
        return decoded

    @checked
    def interpolate(
        self, X: Any, first: int, last: int, n: int = 10, *, spherical: bool = False
    ) -> Any:
        """``n`` rows on the way between two rows of ``X``; see ``Model.interpolate``."""
        table = self._rows(X).table
        rows = self._fitted().interpolate(table, first, last, n, spherical=spherical)
        return self._restored(rows)

    @checked
    def evaluate(self, X: Any, samples: int = 50) -> Evaluation:
        """How well the model knows rows; see ``tabvae.tasks.evaluate``."""
        table = self._rows(X).table
        with self._watched("evaluate") as progress:
            return self._fitted().evaluate(table, samples, self.seed, progress)

    @checked
    def impute(self, X: Any, draws: int | None = None) -> Any:
        """``X`` with its gaps filled, every observed cell unchanged.

        Args:
            X: (rows, columns) rows, with the columns of the table fitted on.
            draws: give that many completed tables instead, each a draw from the posterior
                predictive distribution, below each other with the number in a column ``draw``.
        """
        rows = self._rows(X)
        table = rows.table
        if draws is not None and "draw" in table.column_names:
            raise SchemaError("the frame has a column 'draw' of its own", "rename it")
        with self._watched("impute") as progress:
            if draws is None:
                return rows.filled(self._fitted().impute(table, progress))
            return rows.drawn(self._fitted().draw(table, draws, self.seed, progress))

    @checked
    def pool(self, formula: str, draws: Any, family: str = "gaussian") -> pd.DataFrame:
        """A regression over what ``impute`` gives with ``draws``; see ``tabvae.tasks.pool``."""
        rows = rows_of(draws)
        frame = rows.frame if isinstance(rows, PandasRows) else None
        if rows is not None and frame is None:
            frame = to_pandas(rows.table)
        return pool(formula, draws if frame is None else frame, family)

    @checked
    def probabilities(self, X: Any, column: str) -> Any:
        """How probable each value of a categorical column is; see ``Model.probabilities``."""
        rows = self._rows(X)
        return rows.like(self._fitted().probabilities(rows.table, column))

    @checked
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

    sample = generate

    @checked
    def detect(self, X: Any, fpr: float = 0.01, score: str | None = None) -> Any:
        """How odd each row is, and why, as a frame like ``X``; see ``Model.detect``."""
        rows = self._rows(X)
        with self._watched("detect") as progress:
            return rows.like(self._fitted().detect(rows.table, fpr, score, progress))

    @checked
    def report(
        self,
        X: Any,
        synthetic: Any = None,
        *,
        fpr: float = 0.01,
        color: str | None = None,
        cells: bool = True,
        seed: int | None = None,
    ) -> Report:
        """A page about rows and what the model knows of them, which a notebook shows.

        Args:
            X: (rows, columns) rows, with the columns of the table fitted on.
            synthetic: rows to judge beside them.
            fpr: share of ordinary rows that may be called outliers.
            color: column that colours the map; ``None`` for p-values.
            cells: the page may show cells; without, it can be passed on.
            seed: of the choice of rows, and of draws; ``None`` for that of the model.

        Returns:
            ``html``, ``numbers`` and ``save(path)``.

        Raises:
            SchemaError: a column is not there.
            ParameterError: there are no rows, or ``fpr`` is not between 0 and 1.
            DataError: there are too few rows to judge synthetic ones by.
        """
        # Templates, and the classifier that tells synthetic rows, are needed here alone.
        from tabvae.report.gather import gather
        from tabvae.report.page import Report
        from tabvae.report.request import Request

        made = None if synthetic is None else self._rows(synthetic).table
        call = "model.report(frame)" if made is None else "model.report(frame, synthetic)"
        request = Request(
            fpr=fpr,
            color=color,
            cells=cells,
            seed=self.seed if seed is None else seed,
            commands=(call,),
            parameters=self.unusual_parameters(),
        )
        table = self._rows(X).table
        return Report(gather(self._fitted(), table, request, made))

    def unusual_parameters(self) -> dict[str, Any]:
        """The parameters that are not as they are by default.

        Examples:
            >>> BaseTabVAE(effort="best").unusual_parameters()
            {'effort': 'best'}
        """
        usual = type(self)().get_params()
        return {name: v for name, v in self.get_params().items() if v != usual[name]}

    # files

    def save(self, path: str | PathLike[str]) -> None:
        """Write the model to ``path``, whole or not at all; a link that is there is replaced.

        Raises:
            OutputError: the file system refuses.
        """
        source = getattr(self, "source_", None)
        # How it is watched is nothing that a model knows.
        own = self._checked().get_params()
        parameters = {name: value for name, value in own.items() if name != "verbose"}
        saved = artifact.Saved(self._fitted(), parameters, source, self.layout_)
        artifact.save(_path(path), saved)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a model that ``save`` wrote. Nothing in the file is executed.

        Raises:
            ModelFileError: the file is not a model, is damaged, or comes from a newer release.
        """
        path = _path(path)
        saved = artifact.load(path)
        with container.damage_told(path):
            model = from_json(cls, saved.parameters, verbose=False)
            model.settings()
            model.privacy()
        model.source_ = saved.source
        model.fitted_ = saved.fitted
        model.layout_ = saved.frame
        model._name_features(saved.frame or FrameLayout.of(_empty(saved.fitted.schema.names)))
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
        own, settings = self._checked(), self.settings()
        asked = Overrides(
            *(own.categorical, own.numeric, own.datetime), *(own.ignore, own.decimal, own.thousands)
        )
        na_values = DEFAULT_NA_VALUES if own.na_values is None else own.na_values
        names = table.column_names
        given = {**(kinds or {}), **asked.kinds(names)}
        formats = asked.formats(names)
        if (privacy := self.privacy()) is not None:
            self.fitted_: Model = fit_privately(
                table, settings, privacy, na_values, given, formats, progress
            )
        else:
            rules = RuleSearch(own.rules, own.find_rules, own.rules_at_least)
            signs = asked.separators(names)
            self.fitted_ = fit(
                table, settings, na_values, given, formats, progress, checkpoint, rules, signs
            )
        # Of the file that an earlier table came from nothing holds any more.
        self.source_: Source | None = None
        self.layout_ = None
        return self

    def settings(self) -> Settings:
        """How to learn, by the parameters.

        Raises:
            ParameterError: one of them has a value outside its domain.
        """
        own = self._checked()
        noise = own.noise if own.model == "dae" else 0.0
        return Settings(
            own.effort,
            Settings.latent if own.latent is None else own.latent,
            Objective(own.model, own.beta, own.warmup, own.free_nats, noise, own.likelihood),
            own.seed,
            own.device,
            None if own.grid is None else parse_grid(own.grid),
            own.min_count,
            own.memorise,
        )

    def privacy(self) -> Privacy | None:
        """What is to be promised of single rows, by the parameters.

        Raises:
            ParameterError: one of them has a value outside its domain, or does not go with others.
            SchemaError: ``public`` says what no column can be.
        """
        own = self._checked()
        if own.epsilon is None:
            for name in ("delta", "unit", "public"):
                if getattr(own, name) is not None:
                    raise ParameterError(f"{name} is of fits with epsilon", "--epsilon 3")
            return None
        for name in ("rules", "decimal", "thousands"):
            if getattr(own, name):
                raise ParameterError(f"epsilon and {name} exclude each other", "leave one out")
        delta = DELTA if own.delta is None else own.delta
        return Privacy(own.epsilon, delta, own.unit, public_columns(own.public or {}))

    @contextmanager
    def _watched(self, method: str) -> Iterator[Progress]:
        """A bar for a method, if it is to be watched."""
        if not self.verbose:
            yield silent
            return
        with shown_bar(method, getattr(PhaseWeights(), method), otherwise=_told) as progress:
            yield progress

    def _checked(self) -> BaseTabVAE:
        """The same parameters, each of the type that it is said to be."""
        hints = get_type_hints(BaseTabVAE)
        names = [field.name for field in fields(BaseTabVAE)]
        own = {name: argument(name, hints[name], getattr(self, name)) for name in names}
        return BaseTabVAE(**own)

    def _fitted(self) -> Model:
        check_is_fitted(self, "fitted_")
        return self.fitted_

    def _rows(self, X: Any, reset: bool = False) -> Rows:
        """Those of a frame; of an array, checked by scikit-learn, with the columns of ``fit``."""
        if not reset:
            self._fitted()
        rows = rows_of(X)
        if isinstance(rows, PandasRows):
            return rows if reset else replace(rows, layout=self.layout_)
        if rows is not None:
            return rows
        array = validate_data(
            self,
            X,
            reset=reset,
            dtype=None,
            ensure_all_finite="allow-nan",
            ensure_min_samples=TableLimits.fewest_rows if reset else 1,
            ensure_min_features=TableLimits.fewest_columns if reset else 1,
        )
        names = [f"x{j}" for j in range(array.shape[1])] if reset else self._fitted().schema.names
        return PandasRows(pd.DataFrame(array, columns=names))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.input_tags.categorical = True
        return tags


def _told(line: str) -> None:
    print(line, file=sys.stderr)


def _empty(names: Sequence[str]) -> pd.DataFrame:
    """A frame with these columns, and no row."""
    return pd.DataFrame(columns=list(names))


def _path(path: object) -> str:
    """Of a file.

    Raises:
        ParameterError: it is none.
    """
    if isinstance(path, str | PathLike):
        return str(fspath(path))
    raise ParameterError(f"path must be that of a file, however: {shown(path)}")


@dataclass(kw_only=True, eq=False, repr=False)
class TabVAE(TransformerMixin, BaseTabVAE):  # type: ignore[misc]
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
        decimal: between whole and fraction of the numbers of a table of text, such as ``,``, or of
            one column, as ``name=,``; without it, it is found.
        thousands: the same between groups of three digits; empty for none.
        na_values: texts that mean a missing cell; ``None`` for the usual ones.
        min_count: fewest cells behind any number or category the model keeps; see docs/privacy.md.
        rules: between columns, such as ``total = price * quantity``, ``begin <= end`` or
            ``city -> country``; they are kept beside those that are found.
        find_rules: look for rules in the table.
        rules_at_least: share of the rows that keep a rule that is found; ``None`` for .95 of
            equations and .98 of others.
        memorise: let networks and trees learn single rows by heart: small tables are imputed
            better, and their rows can be read from the model.
        epsilon: fit under (epsilon, delta)-differential privacy; see docs/privacy.md. ``seed`` has
            no part in such a fit.
        delta: of it; ``None`` for 1e-6.
        unit: column that names whom a row is of, all of whose rows are protected together.
        public: what may be known of columns without looking, such as ``{"age": {"kind": "numeric",
            "minimum": 0, "maximum": 120}, "sex": {"kind": "categorical", "categories": ["f",
            "m"]}}``; with ``epsilon`` it saves budget.
        verbose: show a bar while a method works, in a notebook or a terminal; elsewhere a line for
            each phase.

    Attributes:
        fitted_: schema, codec, networks, trees and card, for use on Arrow tables.

    Examples:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"a": [1, 2, None, 4] * 9, "b": list("xyxy") * 9})
        >>> model = TabVAE(effort="fast").fit(frame)
        >>> int(model.impute(frame)["a"].isna().sum())
        0
    """

    def transform(self, X: Any) -> Floats:
        """(rows, latent) coordinates as an array; scikit-learn's name for ``embed``."""
        z = self._fitted().embed(self._rows(X).table)
        return cast(Floats, to_pandas(z).to_numpy())

    def get_feature_names_out(self, input_features: object = None) -> Names:
        """``z1..zk``, the names of the coordinates."""
        return np.array(coordinate_names(self._fitted().networks.latent), dtype=object)

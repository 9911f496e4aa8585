"""Fit: from a table to a model."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.describe import describe
from tabvae.columns.relations import RuleSearch, with_rules
from tabvae.columns.schema import ColumnKind
from tabvae.imputation.impute import Imputer
from tabvae.imputation.order import labels
from tabvae.model import Model
from tabvae.predict.predictor import Predictor
from tabvae.progress import Progress, phase, silent
from tabvae.tasks.diagnostics import Card
from tabvae.tasks.embed import projecting
from tabvae.tasks.leakage import Leakage
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings, hold_out
from tabvae.training.parallel import team_for, train
from tabvae.values.arrow import DEFAULT_NA_VALUES


def fit(
    table: pa.Table,
    settings: Settings,
    na_values: tuple[str, ...] = DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    rules: RuleSearch = RuleSearch(),
) -> Model:
    """Learn a table.

    Args:
        table: text columns (CSV) or typed ones.
        settings: how to learn.
        na_values: texts that mean a missing cell.
        kinds: kinds that are given.
        formats: datetime formats that are given.
        progress: told each phase and how far it is.
        checkpoint: keeps the state of training, and brings back that of an earlier run.
        rules: between columns, that are given or looked for.

    Raises:
        ParameterError: a rule is none.
        DataError: the table is too small, or nothing in it can be modelled.
        SchemaError: a given column does not exist or cannot be of that kind or format, or there is
            no rule of it.
    """
    axis, min_count = settings.objective.axis, settings.min_count
    with phase(progress, "kinds"):
        schema = describe(table, na_values, kinds, formats, settings.grid, min_count)
        codec = TableCodec(schema, na_values, axis=axis, min_count=min_count).fit(table)
        codes = codec.transform(table)
        found = [] if settings.grid else labels(codec, codes, settings.seed)
        if chosen := set(found) - set(kinds or {}):
            schema = schema.with_labels(chosen)
            codec = TableCodec(schema, na_values, axis=axis, min_count=min_count).fit(table)
            codes = codec.transform(table)
    with phase(progress, "rules"):
        if not settings.grid:
            codec.schema = with_rules(schema, table, na_values, rules, min_count)
    return learn(codec, codes, settings, progress, checkpoint)


def learn(
    codec: TableCodec,
    codes: Codes,
    settings: Settings,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
) -> Model:
    """Train the networks, then trees on the table as they complete it.

    Args:
        codec: fitted to the table.
        codes: (N, columns) the table.
        settings: what the user chose.
        progress: told each phase and how far it is.
        checkpoint: keeps the state of training.
    """
    held_out = validation_rows(len(codes), settings.seed)
    with phase(progress, "training") as tell:
        team = team_for(codec, codes, held_out, settings)
        if checkpoint is not None:
            checkpoint.begin(codes, settings, team)
        nets, records = train(team, tell, checkpoint)
    validation = codes[held_out.numpy()]
    training = codes[np.setdiff1d(np.arange(len(codes)), held_out.numpy())]
    predictor = Predictor.of(nets, codec)
    with projecting(predictor, codes, settings) as projection:
        with phase(progress, "missingness") as tell:
            if settings.objective.variational:
                seed = settings.seed
                predictor = predictor.with_missingness(training, validation, seed, tell)
        imputer, trial = Imputer.fit(
            predictor, training, validation, settings.seed, settings.leverage, progress
        )
        with phase(progress, "privacy"):
            leakage = Leakage.measure(predictor, training, validation, trial)
        with phase(progress, "calibration") as tell:
            card = Card.measure(predictor, codes, training, validation, records, leakage, tell)
        with phase(progress, "map"):
            return Model(imputer, projection.result(), card)


def validation_rows(rows: int, seed: int) -> Tensor:
    """(H,) numbers of the rows, of so many, that the networks of a model do not train on.

    >>> chosen = validation_rows(100, seed=0)
    >>> chosen.equal(validation_rows(100, seed=0)), bool((chosen < 100).all())
    (True, True)
    """
    return hold_out(rows, torch.Generator().manual_seed(seed))

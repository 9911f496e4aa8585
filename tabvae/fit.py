"""Fit: from a table to a model."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from tabvae.columns import arrow
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.images import grid_of, is_cell
from tabvae.columns.infer import infer_schema
from tabvae.columns.privacy import generalised
from tabvae.columns.schema import ColumnKind, Schema
from tabvae.imputation.impute import Imputer
from tabvae.model import Model
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.predictor import Predictor
from tabvae.tasks.diagnostics import Card
from tabvae.tasks.embed import projection_targets
from tabvae.tasks.leakage import Leakage
from tabvae.tasks.projection import Projection, ProjectionConfig, fit_projection
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings, hold_out, plan_for
from tabvae.training.parallel import Progress, team_for, train


def fit(
    table: pa.Table,
    settings: Settings,
    na_values: tuple[str, ...] = arrow.DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Model:
    """Learn a table.

    Args:
        table: text columns (CSV) or typed ones.
        settings: how to learn.
        na_values: texts that mean a missing cell.
        kinds: kinds that are given.
        formats: datetime formats that are given.
        progress: called several times while training.
        checkpoint: keeps the state of training, and brings back that of an earlier run.

    Raises:
        DataError: the table is too small, or nothing in it can be modelled.
        SchemaError: a given column does not exist or cannot be of that kind or format.
    """
    schema = schema_of(table, settings, na_values, kinds, formats)
    axis, min_count = settings.objective.axis, settings.min_count
    codec = TableCodec(schema, na_values, axis=axis, min_count=min_count).fit(table)
    return learn(codec, codec.transform(table), settings, progress, checkpoint)


def schema_of(
    table: pa.Table,
    settings: Settings,
    na_values: tuple[str, ...],
    kinds: Mapping[str, ColumnKind] | None,
    formats: Mapping[str, str] | None,
) -> Schema:
    """What each column of ``table`` is, and no more of its cells than may be kept."""
    schema = infer_schema(table, na_values, kinds, formats)
    if settings.grid is not None:
        flags = [c.name for c in schema.columns if is_cell(c) and not c.kind.continuous]
        numeric = dict.fromkeys(flags, ColumnKind.NUMERIC)
        schema = infer_schema(table, na_values, {**(kinds or {}), **numeric}, formats)
        grid_of(schema, settings.grid)
    schema = generalised(schema, table, na_values, settings.min_count)
    schema.require_enough()
    schema.warn_of_rivals()
    return schema


def learn(
    codec: TableCodec,
    codes: Codes,
    settings: Settings,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Model:
    """Train the networks, then trees on the table as they complete it.

    Args:
        codec: fitted to the table.
        codes: (N, columns) the table.
        settings: what the user chose.
        progress: called at each point of a training curve.
        checkpoint: keeps the state of training.
    """
    held_out = validation_rows(len(codes), settings.seed)
    team = team_for(codec, codes, held_out, settings)
    if checkpoint is not None:
        checkpoint.begin(codes, settings, team)
    nets, records = train(team, progress, checkpoint)
    validation = codes[held_out.numpy()]
    training = codes[np.setdiff1d(np.arange(len(codes)), held_out.numpy())]
    predictor = Predictor(Ensemble(nets), codec, MissingnessModel.none(codec))
    with _projecting(predictor, codes, settings) as projecting:
        if settings.objective.variational:
            missingness = MissingnessModel.fit(
                predictor.networks, codec, training, validation, settings.seed
            )
            predictor = replace(predictor, missingness=missingness)
        imputer, trial = Imputer.fit(
            predictor, training, validation, settings.seed, settings.leverage
        )
        leakage = Leakage.measure(predictor, training, validation, trial)
        card = Card.measure(predictor, codes, validation, records, leakage)
        projection = None if projecting is None else projecting.result()
    return Model(imputer, projection, card)


def validation_rows(rows: int, seed: int) -> Tensor:
    """(H,) numbers of the rows, of so many, that the networks of a model do not train on.

    >>> chosen = validation_rows(100, seed=0)
    >>> chosen.equal(validation_rows(100, seed=0)), bool((chosen < 100).all())
    (True, True)
    """
    return hold_out(rows, torch.Generator().manual_seed(seed))


@contextmanager
def _projecting(
    predictor: Predictor, codes: Codes, settings: Settings
) -> Iterator[Future[Projection] | None]:
    """Fit the projection on a thread of its own meanwhile, if there is one.

    A variational model's rows are projected, for its latent space keeps but what columns share. In
    ``ae`` and ``dae`` the code is made to restore the row: it is the row's place. Trees leave a
    core idle now and then, and the matrices of a projection are too small for two, as are those of
    everything else, whose threads would mostly wait for each other.
    """
    ended = threading.Event()
    alone = partial(torch.set_num_threads, 1)
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(1, initializer=alone) as pool:
        try:
            if settings.objective.variational:
                codes = codes.at_most(ProjectionConfig().most_rows, settings.seed)
                targets = projection_targets(predictor, codes, settings.latent)
                steps = plan_for(settings, len(codes)).map_steps
                generator = torch.Generator().manual_seed(settings.seed)
                yield pool.submit(fit_projection, targets, steps, generator, ended)
            else:
                yield None
        finally:
            ended.set()

"""Fit: from a table to a model."""

from __future__ import annotations

import logging
import math
import secrets
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.describe import describe
from tabvae.columns.relations import RuleSearch, with_rules
from tabvae.columns.schema import ColumnKind, TableLimits
from tabvae.dp import noise, sgd
from tabvae.dp.budget import Budget, Privacy
from tabvae.dp.calibrate import NoisyCalibrationConfig
from tabvae.dp.describe import Purse, looked_at, one_row_a_unit
from tabvae.dp.describe import describe as describe_privately
from tabvae.dp.sgd import Course
from tabvae.errors import ParameterError
from tabvae.imputation.impute import Imputer
from tabvae.imputation.order import labels
from tabvae.model import Model
from tabvae.network.batch import Rows
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import sample
from tabvae.progress import Progress, phase, silent
from tabvae.tasks.diagnostics import Card
from tabvae.tasks.embed import RowProjection, projecting
from tabvae.tasks.leakage import Leakage
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings, hold_out
from tabvae.training.parallel import team_for, train
from tabvae.training.state import Record
from tabvae.values.arrow import DEFAULT_NA_VALUES
from tabvae.values.notation import Separators

LOG = logging.getLogger("tabvae")


def fit(
    table: pa.Table,
    settings: Settings,
    na_values: tuple[str, ...] = DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    progress: Progress = silent,
    checkpoint: Checkpoint | None = None,
    rules: RuleSearch = RuleSearch(),
    separators: Mapping[str, Separators] | None = None,
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
        separators: of numbers that are given, per column.

    Raises:
        ParameterError: a rule is none.
        DataError: the table is too small, or nothing in it can be modelled.
        SchemaError: a given column does not exist or cannot be of that kind or format, or there is
            no rule of it.
    """
    axis, min_count = settings.objective.axis, settings.min_count
    with phase(progress, "kinds"):
        schema = describe(table, na_values, kinds, formats, settings.grid, min_count, separators)
        rows, width, modelled = table.num_rows, len(schema.columns), len(schema.modelled)
        LOG.info("table: %d rows, %d columns, %d of them modelled", rows, width, modelled)
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
            LOG.info("rules: %d", len(codec.schema.rules))
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
        LOG.info("training: %d validation rows, effort %s", len(held_out), settings.effort)
        nets, records = train(team, tell, checkpoint)
    best = [min((p.held_out for p in record.curve), default=math.nan) for record in records]
    losses = ", ".join(f"{loss:.3f}" for loss in best)
    LOG.info("trained: %d networks, held-out loss %s nats a cell", len(nets), losses)
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
        LOG.info("imputation: trees grown and weighed beside the networks")
        with phase(progress, "privacy"):
            leakage = Leakage.measure(predictor, training, validation, trial)
        with phase(progress, "calibration") as tell:
            card = Card.measure(predictor, codes, training, validation, records, leakage, tell)
        LOG.info("calibration: p-values of rows measured")
        with phase(progress, "map"):
            return Model(imputer, projection.result(), card)


def fit_privately(
    table: pa.Table,
    settings: Settings,
    privacy: Privacy,
    na_values: tuple[str, ...] = DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    progress: Progress = silent,
) -> Model:
    """Learn a table under differential privacy; see ``tabvae.dp.budget``.

    The table is looked at four times, through noise each time: how many rows it has, what its
    columns are, what the networks learn, how odd its rows are. All else is made of rows that the
    model draws.

    Args:
        table: text columns (CSV) or typed ones.
        settings: how to learn.
        privacy: what is to be promised.
        na_values: texts that mean a missing cell.
        kinds: kinds that are given.
        formats: datetime formats that are given.
        progress: told each phase and how far it is, and nothing of the loss.

    Raises:
        ParameterError: an option cannot be had under differential privacy, or the accountant is
            not installed.
        DataError: too little can be told of the table under so much noise.
        SchemaError: a given column does not exist.
    """
    require_private(settings)
    kinds, formats = kinds or {}, formats or {}
    with phase(progress, "kinds"):
        columns = looked_at(table, privacy, kinds)
        table = one_row_a_unit(table, privacy.unit, na_values)
        unknown = sum(not column.categories for column in columns.values())
        budget = Budget.of(privacy, unknown)
        rows = max(noise.noisy_count(table.num_rows, budget.epsilon_rows), TableLimits.fewest_rows)
        described = describe_privately(table, na_values, columns, formats, budget, rows)
        codec = described.codec
        codes = codec.transform(table)
    with phase(progress, "training") as tell:
        course = Course.of(settings, rows)
        steps = course.plan.steps
        multiplier = budget.gradients(course.rate, steps)
        device = settings.torch_device
        net = sgd.train(
            sgd.begin(codec, settings, course.plan),
            Rows.of(codes).to(device),
            torch.from_numpy(codes.missing).to(device),
            course,
            multiplier,
            lambda step: tell(step / steps),
        )
        predictor = Predictor.of([net], codec)
    with phase(progress, "calibration"):
        card, projection = _by_drawn_rows(predictor, codes, settings, rows, steps, budget)
    guarantee = budget.guarantee(privacy, multiplier, course.rate, steps, described.by_threshold)
    return Model(Imputer.alone(predictor), projection, replace(card, guarantee=guarantee))


def require_private(settings: Settings) -> None:
    """Make sure that all that is asked for can be had under differential privacy.

    Raises:
        ParameterError: it cannot.
    """
    objective = settings.objective
    refused = {
        f"model {objective.model}": objective.model != "vae",
        f"likelihood {objective.likelihood}": objective.likelihood != "binned",
        "free_nats": objective.free_nats > 0,
        "grid": settings.grid is not None,
        "memorise": settings.memorise,
        "min_count": settings.min_count > 1,
    }
    for option, asked in refused.items():
        if asked:
            raise ParameterError(f"epsilon and {option} exclude each other", "leave one out")


def _by_drawn_rows(
    predictor: Predictor, codes: Codes, settings: Settings, rows: int, steps: int, budget: Budget
) -> tuple[Card, RowProjection]:
    """Projection, deviations and densities of rows that the model draws, which cost nothing; and
    the distribution of scores over the real ones, ``codes``, by noisy counts."""
    columns, config = len(predictor.codec.sizes), NoisyCalibrationConfig()
    seed = secrets.randbits(32)
    nothing = Codes.empty(config.drawn_rows, columns)
    drawn = sample(predictor, nothing, (seed,), gaps=True).codes
    drawn.bins[~drawn.observed] = 0
    first, second = drawn[: len(drawn) // 2], drawn[len(drawn) // 2 :]
    settings = replace(settings, seed=seed)
    with projecting(predictor, drawn, settings) as projection:
        record = Record(best_step=steps)
        card = Card.measure(predictor, drawn, first, second, [record])
        chosen = noise.chosen(len(codes), min(1.0, config.most_rows / rows))
        purse = Purse(1 / (2 * budget.scores**2))
        return card.calibrated_by(predictor, second, codes[chosen], purse), projection.result()


def validation_rows(rows: int, seed: int) -> Tensor:
    """(H,) numbers of the rows, of so many, that the networks of a model do not train on.

    >>> chosen = validation_rows(100, seed=0)
    >>> chosen.equal(validation_rows(100, seed=0)), bool((chosen < 100).all())
    (True, True)
    """
    return hold_out(rows, torch.Generator().manual_seed(seed))

"""Evaluate: how well a model knows rows, in nats, what its latent space is like, and what rows
lose that are kept as coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.errors import DataError
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.progress import Tell, parts, unheard
from tabvae.tasks.embed import decode
from tabvae.tasks.projection import Projection
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class EvaluateConfig:
    """How rows are evaluated.

    Attributes:
        most_rows: that are looked at; more would only take time.
        active_variance: a latent dimension whose mean varies less than this over the rows is not
            in use (Burda et al. 2016).
        least_probability: of a cell: one of probability zero does not make all of a column zero.

    Examples:
        >>> EvaluateConfig().active_variance
        0.01
    """

    most_rows: int = 5000
    active_variance: float = 0.01
    least_probability: float = 1e-12


@dataclass(frozen=True)
class Bounds:
    """Of a variational model, in nats; means over the rows.

    Attributes:
        elbo: of the observed cells, nothing given.
        importance: the importance-weighted bound.
        samples: of z for each row.
        kl: (latent,) KL( q(z|x) || p(z) ) of each dimension.
        aggregate: (latent,) KL of the aggregate posterior, as a Gaussian of its mean and variance,
            against the prior.

    Examples:
        >>> Bounds(-5.0, -4.5, 50, np.array([1.0, 0.5]), np.zeros(2)).reconstruction
        3.5
    """

    elbo: float
    importance: float
    samples: int
    kl: Floats
    aggregate: Floats

    @property
    def reconstruction(self) -> float:
        """Minus the expected log-likelihood of a row's cells given its z."""
        return -self.elbo - float(self.kl.sum())


@dataclass(frozen=True, repr=False)
class Evaluation:
    """What a model knows of rows.

    Attributes:
        rows: how many were looked at.
        loss: (columns,) minus mean log-probability of the observed cells given all others of their
            row, in nats a cell; NaN in a column without any.
        entropy: (columns,) the same by the column's own frequencies in the table fitted on.
        variance: (latent,) of the mean of q(z|x) over the rows.
        bounds: of a variational model.
        names: (columns,) of the modelled columns.

    Examples:
        >>> found = Evaluation(9, np.ones(1), np.full(1, 2.0), np.array([0.9]), None, ("size",))
        >>> found
        9 rows, nats a cell; 1 of 1 latent dimensions in use
              by_itself  given_others  known
        size        2.0           1.0    0.5
    """

    config: ClassVar[EvaluateConfig] = EvaluateConfig()
    rows: int
    loss: Floats
    entropy: Floats
    variance: Floats
    bounds: Bounds | None
    names: tuple[str, ...] = ()

    @property
    def columns(self) -> pd.DataFrame:
        """By name, the loss of each column ``by_itself`` and ``given_others``, in nats a cell, and
        the share of the former that the latter saves."""
        known = 1 - self.loss / np.where(self.entropy > 0, self.entropy, np.nan)
        values = {"by_itself": self.entropy, "given_others": self.loss}
        index = list(self.names) or None
        return pd.DataFrame({**values, "known": known.clip(min=0)}, index=index)

    @property
    def title(self) -> str:
        """What the table of columns is about."""
        in_use = f"{self.active} of {len(self.variance)} latent dimensions in use"
        bound = "" if self.bounds is None else f"; ELBO {self.bounds.elbo:.3f} a row"
        return f"{self.rows} rows, nats a cell; {in_use}{bound}"

    def __repr__(self) -> str:
        return f"{self.title}\n{self.columns.round(3).to_string()}"

    def _repr_html_(self) -> str:
        return f"<p>{self.title}</p>{self.columns.round(3).to_html()}"

    @property
    def active(self) -> int:
        """Number of latent dimensions in use."""
        return int((self.variance > self.config.active_variance).sum())


def evaluate(
    predictor: Predictor,
    codes: Codes,
    samples: int,
    seed: int,
    config: EvaluateConfig = EvaluateConfig(),
    tell: Tell = unheard,
) -> Evaluation:
    """Evaluate the networks on rows, or on a choice of them if there are many.

    Args:
        predictor: networks and codec; bounds and latent space are those of the first network.
        codes: (N, columns) rows.
        samples: of z for each row.
        seed: of the choice of rows and of the draws.
        config: how many rows to look at.
        tell: how far it is.
    """
    of_bounds, of_losses = parts(tell, 1.0, 1.0)
    codes = codes.at_most(config.most_rows, seed)
    networks = predictor.networks
    mean, _ = networks.posterior(codes)
    bounds = None
    if networks.objective.variational:
        lower, importance = networks.bounds(codes, samples, seed)
        bounds = Bounds(
            elbo=float(lower.mean()),
            importance=float(importance.mean()),
            samples=samples,
            kl=networks.kl(codes).mean(0),
            aggregate=networks.aggregate_kl(codes),
        )
    of_bounds(1.0)
    loss, entropy = _column_losses(predictor, codes, config.least_probability, of_losses)
    names = tuple(column.name for column in predictor.codec.columns_)
    return Evaluation(len(codes), loss, entropy, mean.var(0), bounds, names)


def known_shares(
    predictor: Predictor, codes: Codes, config: EvaluateConfig = EvaluateConfig()
) -> dict[str, float]:
    """By name, the share of what there is to know of a cell that the others of its row tell, from
    0 to 1; columns that do not vary in the rows are left out.

    Args:
        predictor: networks and codec.
        codes: (N, columns) rows.
        config: how many rows to look at.
    """
    codes = codes.at_most(config.most_rows, seed=0)
    losses = _column_losses(predictor, codes, config.least_probability)
    columns = zip(predictor.codec.columns_, *losses, strict=True)
    return {c.name: max(0.0, 1 - loss / entropy) for c, loss, entropy in columns if entropy > 0}


def _column_losses(
    predictor: Predictor, codes: Codes, least_probability: float, tell: Tell = unheard
) -> tuple[Floats, Floats]:
    """(columns,) loss of each column given the others, and by its own frequencies."""
    loss, entropy = np.full((2, len(predictor.codec.bins_)), np.nan)
    for j, bins in enumerate(predictor.codec.bins_):
        rows = np.flatnonzero(codes.observed[:, j])
        if len(rows) == 0:
            continue
        truth = codes.bins[rows, j]
        entropy[j] = -np.log(bins.mass[truth].clip(least_probability)).mean()
        total = 0.0
        for part in batches(len(rows)):
            probabilities = predictor.networks.given_others(codes[rows[part]], j)
            likelihood = probabilities[np.arange(len(probabilities)), truth[part]]
            total -= float(np.log(likelihood.clip(least_probability)).sum())
        loss[j] = total / len(rows)
        tell((j + 1) / len(loss))
    return loss, entropy


@dataclass(frozen=True)
class RestorationLosses:
    """What rows lose that are kept as coordinates, over their observed cells.

    Attributes:
        numbers: by column, root mean squared error in its deviations.
        categories: by column, share of the cells that changed.

    Examples:
        >>> RestorationLosses({"size": 0.25}, {"colour": 0.01}).numbers["size"]
        0.25
    """

    numbers: dict[str, float]
    categories: dict[str, float]


def restoration_losses(
    predictor: Predictor, projection: Projection | None, codes: Codes, z: Floats
) -> RestorationLosses:
    """What the rows at coordinates lose against the rows that were embedded.

    Args:
        predictor: networks and codec.
        projection: of the rows; without one, the code of the first network is their place.
        codes: (N, columns) the rows that were embedded.
        z: (N, latent) their coordinates.

    Raises:
        DataError: there are not as many coordinates as rows.
    """
    if len(codes) != len(z):
        raise DataError(
            f"{len(z)} coordinates are no embedding of {len(codes)} rows",
            "compare with the file that was embedded",
        )
    codec = predictor.codec
    restored = decode(projection, predictor, z)
    losses = RestorationLosses({}, {})
    for j, (column, bins) in enumerate(zip(codec.columns_, codec.bins_, strict=True)):
        rows = codes.observed[:, j]
        if not rows.any():
            continue
        if bins.is_number:
            values = codec.snap(j, restored.values[rows, j])
            errors = (values - codes.values[rows, j]) / bins.scale
            losses.numbers[column.name] = float(np.sqrt(np.mean(errors**2)))
        else:
            changed = restored.bins[rows, j] != codes.bins[rows, j]
            losses.categories[column.name] = float(changed.mean())
    return losses


def bytes_per_row(codec: TableCodec, latent: int, table: pa.Table) -> tuple[int, float]:
    """Bytes of a row as float32 coordinates, and of its modelled columns as Parquet (zstd)."""
    sink = pa.BufferOutputStream()
    modelled = table.select([column.name for column in codec.columns_])
    pq.write_table(modelled, sink, compression="zstd")
    coordinates = latent * np.dtype(np.float32).itemsize
    return coordinates, sink.getvalue().size / max(table.num_rows, 1)

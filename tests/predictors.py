"""Networks that have learned nothing, for tests of what is done with what networks say."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import torch

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.infer import infer_schema
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes
from tabvae.network.objective import Objective
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.predictor import Predictor


def untrained(codec: TableCodec, objective: Objective | None = None, nets: int = 1) -> Predictor:
    """Small networks as they begin, the same each time."""
    sizes = NetworkSizes(tuple(codec.sizes), latent=2, width=8)
    positions = torch.from_numpy(codec.positions).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        members = [Autoencoder(sizes, positions, objective or Objective()) for _ in range(nets)]
    return Predictor(Ensemble(members), codec, MissingnessModel.none(codec))


def encoded(table: pa.Table) -> tuple[TableCodec, Codes]:
    """A codec fitted to a table, and the table as its codes."""
    codec = TableCodec(infer_schema(table)).fit(table)
    return codec, codec.transform(table)


def mixed_table(rows: int = 80, gaps: float = 0.2) -> pa.Table:
    """A number that follows from another, a category, and gaps in each."""
    rng = np.random.default_rng(0)
    size = rng.normal(10, 3, rows)
    columns = {"size": size, "weight": 2 * size + rng.normal(size=rows)}
    mask = rng.random((3, rows)) < gaps
    arrays = {
        name: pa.array(x, mask=m) for (name, x), m in zip(columns.items(), mask, strict=False)
    }
    colours = rng.choice(["red", "green", "blue"], rows)
    return pa.table({**arrays, "colour": pa.array(colours.tolist(), mask=mask[2])})

"""The .tabvae file: safetensors with a JSON header and a format version; nothing executable.

All arrays are tensors of the file; everything else is one JSON document in its header. Loading
parses JSON and copies numbers, so a file from a stranger cannot run anything.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

import tabvae
from tabvae.bins import Bins, CategoricalBins, ContinuousBins
from tabvae.card import Calibration, Card
from tabvae.embed import owners
from tabvae.encoding import TableEncoder
from tabvae.ensemble import Ensemble
from tabvae.errors import ModelFileError, shown
from tabvae.fitted import Fitted
from tabvae.forest import Forest
from tabvae.grid import Grid
from tabvae.learn import Learned
from tabvae.mapping import Map
from tabvae.network import Shape
from tabvae.output import whole_file
from tabvae.refine import Refiner
from tabvae.schema import Schema
from tabvae.training import Point, Record
from tabvae.vae import Autoencoder, Objective

FORMAT = 4
HEADER = "tabvae"
Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Saved:
    """What a model file holds.

    Attributes:
        fitted: everything learned.
        parameters: of the estimator, as JSON values.
        source: paths and dialect of the table it was fitted on, if it came from files.
    """

    fitted: Fitted
    parameters: dict[str, Any]
    source: dict[str, Any] | None


def save(path: str, saved: Saved) -> None:
    """Write a fitted model to ``path``; the same model gives the same bytes.

    Raises:
        OutputError: the file system refuses.
    """
    fitted, learned = saved.fitted, saved.fitted.learned
    card = learned.card
    tensors: Tensors = {}
    for i, net in enumerate(learned.ensemble.nets):
        for name, tensor in net.state_dict().items():
            tensors[f"net.{i}.{name}"] = tensor.contiguous()
    if learned.chart is not None:
        for name, tensor in learned.chart.state_dict().items():
            tensors[f"map.{name}"] = tensor.contiguous()
    columns = [
        _write_bins(tensors, f"column.{j}", bins) for j, bins in enumerate(fitted.encoder.bins_)
    ]
    for j, forest in enumerate(learned.refiner.forests):
        for name, array in vars(forest).items():
            tensors[f"forest.{j}.{name}"] = torch.from_numpy(array)
    tensors["card.kl"] = torch.from_numpy(card.kl)
    tensors["card.scales"] = torch.from_numpy(card.scales)
    for kind, calibration in card.calibrations.items():
        tensors[f"card.quantiles.{kind}"] = torch.from_numpy(calibration.quantiles)
    document = {
        "format": FORMAT,
        "versions": _versions(),
        "parameters": saved.parameters,
        "source": saved.source,
        "schema": fitted.schema.to_json(),
        "na_values": fitted.encoder.na_values,
        "columns": columns,
        "shape": asdict(learned.ensemble.nets[0].shape),
        "objective": asdict(learned.ensemble.objective),
        "nets": len(learned.ensemble.nets),
        "records": [asdict(r) for r in card.records],
        "calibrations": {
            kind: {"rows": calibration.rows, "tail": calibration.tail}
            for kind, calibration in card.calibrations.items()
        },
    }
    header = {HEADER: json.dumps(document, sort_keys=True, allow_nan=False)}
    with whole_file(path) as file:
        file.write(save_tensors(tensors, header))


def load(path: str) -> Saved:
    """Read a model file.

    Raises:
        ModelFileError: the file is not a model, is damaged, or comes from another release.
    """
    document, tensors = _read(path)
    try:
        parameters = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in document["parameters"].items()
        }
        return Saved(_rebuild(document, tensors), parameters, document["source"])
    except (KeyError, TypeError, ValueError, RuntimeError, IndexError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelFileError(
            f"{shown(path)} is damaged: {shown(reason)}", "fit the model again"
        ) from error


def _versions() -> dict[str, str]:
    return {
        "tabvae": tabvae.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "pandas": pd.__version__,
        "pyarrow": pa.__version__,
        "scikit-learn": sklearn.__version__,
    }


def _write_bins(tensors: Tensors, prefix: str, bins: Bins) -> dict[str, Any]:
    if isinstance(bins, CategoricalBins):
        return {"vocabulary": bins.vocabulary, "counts": bins.counts, "size": bins.size}
    for name in ("knots", "means", "mass"):
        tensors[f"{prefix}.{name}"] = torch.from_numpy(np.ascontiguousarray(getattr(bins, name)))
    return {"center": bins.center, "scale": bins.scale, "line": bins.line}


def _read_bins(tensors: Tensors, prefix: str, document: Mapping[str, Any]) -> Bins:
    if "vocabulary" in document:
        return CategoricalBins(
            tuple(document["vocabulary"]), tuple(document["counts"]), int(document["size"])
        )
    arrays = {name: tensors[f"{prefix}.{name}"].numpy() for name in ("knots", "means", "mass")}
    return ContinuousBins(
        center=document["center"], scale=document["scale"], line=document["line"], **arrays
    )


def _read(path: str) -> tuple[dict[str, Any], Tensors]:
    if not Path(path).is_file():
        raise ModelFileError(f"no model file {shown(path)}", "make one with 'tabvae fit'")
    try:
        with safe_open(path, framework="pt") as file:
            header = (file.metadata() or {}).get(HEADER)
        tensors = load_tensors(Path(path).read_bytes())
    except (SafetensorError, OSError) as error:
        raise ModelFileError(
            f"{shown(path)} is not a tabvae model", "make one with 'tabvae fit'"
        ) from error
    if header is None:
        raise ModelFileError(f"{shown(path)} is not a tabvae model", "make one with 'tabvae fit'")
    try:
        document = json.loads(header)
        version = int(document["format"])
    except (ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{shown(path)} is damaged", "fit the model again") from error
    if version > FORMAT:
        raise ModelFileError(
            f"{shown(path)} has format {version}, this release reads up to {FORMAT}",
            "pip install --upgrade tabvae",
        )
    if version < FORMAT:
        raise ModelFileError(
            f"{shown(path)} has format {version}, from before the first release",
            "fit the model again",
        )
    return document, tensors


def _rebuild(document: Mapping[str, Any], tensors: Tensors) -> Fitted:
    schema = Schema.from_json(document["schema"])
    encoder = TableEncoder(schema, tuple(document["na_values"]))
    encoder.columns_ = schema.modelled
    encoder.bins_ = tuple(
        _read_bins(tensors, f"column.{j}", bins)
        for j, (bins, _) in enumerate(zip(document["columns"], schema.modelled, strict=True))
    )
    forests = (_read_forest(tensors, f"forest.{j}") for j in range(len(schema.modelled)))
    card = Card(
        records=tuple(_read_record(r) for r in document["records"]),
        kl=tensors["card.kl"].numpy(),
        scales=tensors["card.scales"].numpy(),
        calibrations={
            kind: _read_calibration(tensors[f"card.quantiles.{kind}"], calibration)
            for kind, calibration in document["calibrations"].items()
        },
    )
    shape = _read_shape(document["shape"])
    ensemble = Ensemble(_read_nets(document, tensors, shape))
    chart = None
    if ensemble.objective.variational:
        chart = Map(len(owners(encoder)), shape.latent)
        chart.load_state_dict(_part(tensors, "map."))
        chart.eval()
    return Fitted(encoder, Learned(ensemble, Refiner(tuple(forests)), chart, card))


def _read_shape(document: Mapping[str, Any]) -> Shape:
    grid = document["grid"]
    if grid is not None:
        grid = Grid(size=tuple(grid["size"]), cells=tuple(grid["cells"]))
    return Shape(**{**document, "sizes": tuple(document["sizes"]), "grid": grid})


def _read_nets(document: Mapping[str, Any], tensors: Tensors, shape: Shape) -> list[Autoencoder]:
    nets = []
    objective = Objective(**document["objective"])
    for i in range(int(document["nets"])):
        net = Autoencoder(shape, torch.zeros(shape.offsets[-1]), objective)
        net.load_state_dict(_part(tensors, f"net.{i}."))
        nets.append(net.eval())
    return nets


def _part(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors whose name begins with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def _read_forest(tensors: Tensors, prefix: str) -> Forest:
    return Forest(**{f.name: tensors[f"{prefix}.{f.name}"].numpy() for f in fields(Forest)})


def _read_calibration(quantiles: Tensor, document: Mapping[str, Any]) -> Calibration:
    tail = None if document["tail"] is None else tuple(document["tail"])
    return Calibration(int(document["rows"]), quantiles.numpy(), tail)


def _read_record(document: Mapping[str, Any]) -> Record:
    return Record(**{**document, "curve": [Point(**p) for p in document["curve"]]})

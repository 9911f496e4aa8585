"""The .tabvae file: a fitted model as arrays and one JSON document; nothing executable.

Loading parses JSON and copies numbers, so a file from a stranger cannot run anything. Whatever is
in it is checked before it is used: types, sizes, that trees end, that nothing is left over.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from math import prod
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
import torch
from torch import Tensor, nn

import tabvae
from tabvae.columns.arrow import Floats, from_text
from tabvae.columns.bins import Bins, CategoricalBins, ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.columns.from_json import from_json
from tabvae.columns.schema import Column, Schema
from tabvae.errors import ModelFileError, shown
from tabvae.files import container
from tabvae.files.container import Arrays
from tabvae.files.source import Source
from tabvae.imputation.draws import Recalibration
from tabvae.imputation.forest import Forest
from tabvae.imputation.linear import Linear
from tabvae.imputation.refiner import Refiner
from tabvae.imputation.stacking import StackingWeights
from tabvae.model import Model
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes
from tabvae.network.objective import Objective
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.predictor import Predictor
from tabvae.releases import FORMAT, OLDEST, upgraded
from tabvae.tasks.assemble import whole_table
from tabvae.tasks.calibration import Calibration
from tabvae.tasks.diagnostics import Card
from tabvae.tasks.embed import owners
from tabvae.tasks.leakage import Leakage
from tabvae.tasks.projection import Projection
from tabvae.tasks.scores import known_scores
from tabvae.training.state import Record

MOST_NETS, LARGEST_WEIGHT = 64, 1e6
"""Weights beyond any that training reaches, with which every result is still finite."""


@dataclass(frozen=True)
class Saved:
    """What a model file holds.

    Attributes:
        fitted: everything learned.
        parameters: of the estimator, as JSON values.
        source: of the table it was fitted on, if it came from files.
    """

    fitted: Model
    parameters: dict[str, Any]
    source: Source | None


def save(path: str, saved: Saved) -> None:
    """Write a fitted model to ``path``; the same model gives the same bytes.

    Raises:
        OutputError: the file system refuses.
    """
    document, arrays = _contents(saved)
    container.write(path, {**document, "versions": _versions()}, arrays)


def load(path: str) -> Saved:
    """Read a model file.

    Raises:
        ModelFileError: the file is not a model, is damaged, or comes from another release.
    """
    _check_format(path, container.read_document(path))
    document, arrays = container.read(path)
    with container.damage_told(path):
        document = upgraded(document)
        source = document["source"]
        source = None if source is None else from_json(Source, source)
        saved = Saved(_rebuild(document, arrays), document["parameters"], source)
        _check_contents(saved, document, arrays)
        _check_cells(saved.fitted)
    return saved


def _check_format(path: str, document: Mapping[str, Any]) -> None:
    version = document.get("format")
    if type(version) is not int:
        raise container.damaged(path, "it names no format")
    if version > FORMAT:
        raise ModelFileError(
            f"{shown(path)} has format {version}, this release reads up to {FORMAT}",
            "pip install --upgrade tabvae",
        )
    if version < OLDEST:
        raise ModelFileError(
            f"{shown(path)} has format {version}, from before the first release",
            "fit the model again",
        )


def _contents(saved: Saved) -> tuple[dict[str, Any], Arrays]:
    """What a file says, the versions of the libraries aside."""
    fitted = saved.fitted
    card = fitted.card
    arrays: Arrays = {}
    for i, net in enumerate(fitted.networks.nets):
        arrays.update(_of_module(f"net.{i}.", net))
    if fitted.projection is not None:
        arrays.update(_of_module("map.", fitted.projection))
    columns = [
        _write_bins(arrays, f"column.{j}", bins) for j, bins in enumerate(fitted.codec.bins_)
    ]
    for j, forest in enumerate(fitted.refiner.forests):
        for name, array in forest.trees.items():
            arrays[f"forest.{j}.{name}"] = array
        for name, array in vars(forest.regression).items():
            arrays[f"line.{j}.{name}"] = array
    for name, weights in vars(fitted.refiner.stacking).items():
        arrays[f"trust.{name}"] = weights
    arrays["margins.places"] = fitted.recalibration.quantiles
    for j, tilt in enumerate(fitted.predictor.missingness.tilts):
        arrays[f"tilt.{j}"] = tilt
    arrays["card.kl"] = card.kl
    arrays["card.scales"] = card.scales
    for kind, calibration in card.calibrations.items():
        arrays[f"card.quantiles.{kind}"] = calibration.quantiles
    document = {
        "format": FORMAT,
        "parameters": saved.parameters,
        "source": None if saved.source is None else asdict(saved.source),
        "schema": fitted.schema.to_json(),
        "na_values": fitted.codec.na_values,
        "columns": columns,
        "shape": fitted.networks.nets[0].sizes.to_json(),
        "objective": asdict(fitted.networks.objective),
        "nets": len(fitted.networks.nets),
        "records": [asdict(r) for r in card.records],
        "calibrations": {
            kind: {"rows": calibration.rows, "tail": calibration.tail}
            for kind, calibration in card.calibrations.items()
        },
        "leakage": None if card.leakage is None else asdict(card.leakage),
    }
    return document, arrays


def _check_contents(saved: Saved, document: Mapping[str, Any], arrays: Arrays) -> None:
    """The file says what the model it holds would say, and no more."""
    own, again = _contents(saved)
    if set(own) != set(document) - {"versions"}:
        raise ValueError("it says more than a model")
    if set(again) != set(arrays):
        raise ValueError("it holds other arrays than its model")
    for name, array in again.items():
        if (array.dtype, array.shape) != (arrays[name].dtype, arrays[name].shape):
            raise ValueError(f"{name} is of another type or shape")


def _check_cells(fitted: Model) -> None:
    """What the model writes in each column can be written, and read again."""
    codec = fitted.codec
    codec.require_narrow()
    codes = Codes.empty(3, len(codec.sizes))
    codes.observed[:2] = True
    for j, (column, bins) in enumerate(zip(codec.columns_, codec.bins_, strict=True)):
        if isinstance(bins, CategoricalBins):
            words = pa.array(bins.vocabulary, pa.string())
            from_text(words, codec.schema.types.field(column.name).type)
        else:
            codes.values[:2, j] = column.minimum, column.maximum
    # Without identifiers: a column may have no room for more, which only ``generate`` needs.
    none_given = pa.table({})
    written = whole_table(codec.schema, codec.inverse_transform(codes), none_given)
    if not codec.transform(written).observed[:2].all():
        raise ValueError("a column that cannot read what it writes")


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


def _write_bins(arrays: Arrays, prefix: str, bins: Bins) -> dict[str, Any]:
    if isinstance(bins, CategoricalBins):
        return asdict(bins)
    for name in ("knots", "means", "mass"):
        arrays[f"{prefix}.{name}"] = getattr(bins, name)
    return {"center": bins.center, "scale": bins.scale, "line": bins.line}


def _read_bins(arrays: Arrays, prefix: str, document: Mapping[str, Any], column: Column) -> Bins:
    if not column.kind.continuous:
        return from_json(CategoricalBins, document)
    arrays = {name: _floats(arrays, f"{prefix}.{name}") for name in ("knots", "means", "mass")}
    return from_json(ContinuousBins, document, **arrays)


def _rebuild(document: Mapping[str, Any], arrays: Arrays) -> Model:
    codec = _read_codec(document, arrays)
    schema, columns = codec.schema, len(codec.columns_)
    shape = NetworkSizes.from_json(document["shape"])
    if shape.bins != tuple(codec.sizes):
        raise ValueError("its networks are of another table")
    ensemble = Ensemble(_read_nets(document, arrays, shape, len(schema.columns)))
    projection = None
    if ensemble.objective.variational:
        projection = Projection(len(owners(codec)), shape.latent)
        projection.load_state_dict(_weights(arrays, "map."))
        projection.check()
        projection.eval()
    forests = tuple(_read_forest(arrays, j) for j in range(columns))
    for forest, coder in zip(forests, codec.bins_, strict=True):
        forest.check(columns - 1, None if coder.is_number else len(coder))
    stacking = StackingWeights(_floats(arrays, "trust.shares"), _floats(arrays, "trust.errors"))
    if stacking.shares.shape != (columns,):
        raise ValueError("the trust in the network is not that of its columns")
    recalibration = Recalibration(_floats(arrays, "margins.places"))
    missingness = MissingnessModel(tuple(_floats(arrays, f"tilt.{j}") for j in range(columns)))
    if [tilt.shape for tilt in missingness.tilts] != [(size,) for size in codec.sizes]:
        raise ValueError("the tilts are not those of its columns")
    card = _read_card(document, arrays)
    kl = (shape.latent,) if ensemble.objective.variational else (0,)
    if card.scales.shape[2:] != (columns,) or card.kl.shape != kl:
        raise ValueError("its card is of another table")
    if set(card.calibrations) != set(known_scores(ensemble)):
        raise ValueError("it has other scores than its model")
    predictor = Predictor(ensemble, codec, missingness)
    return Model(predictor, Refiner(forests, stacking), recalibration, projection, card)


def _read_codec(document: Mapping[str, Any], arrays: Arrays) -> TableCodec:
    schema = Schema.from_json(document["schema"])
    schema.require_enough()
    codec = from_json(TableCodec, {"na_values": document["na_values"]}, schema=schema)
    codec.columns_ = schema.modelled
    codec.bins_ = tuple(
        _read_bins(arrays, f"column.{j}", bins, column)
        for j, (bins, column) in enumerate(zip(document["columns"], schema.modelled, strict=True))
    )
    return codec


def _read_nets(
    document: Mapping[str, Any], arrays: Arrays, shape: NetworkSizes, columns: int
) -> list[Autoencoder]:
    count = document["nets"]
    if type(count) is not int or not 1 <= count <= MOST_NETS:
        raise ValueError("it has no networks, or too many")
    # Before anything of that size is made: a file cannot declare more weights than it holds.
    weights = shape.width * (shape.offsets[-1] + shape.latent + 4 * shape.depth * shape.width)
    cells = 0 if shape.grid is None else prod(shape.grid.size)
    if count * weights > sum(a.size for a in arrays.values()) or cells > columns:
        raise ValueError("it declares more weights than it holds")
    nets = []
    objective = from_json(Objective, document["objective"])
    for i in range(count):
        net = Autoencoder(shape, torch.zeros(shape.offsets[-1]), objective)
        net.load_state_dict(_weights(arrays, f"net.{i}."))
        nets.append(net.eval())
    return nets


def _of_module(prefix: str, module: nn.Module) -> Arrays:
    return {prefix + name: tensor.numpy() for name, tensor in module.state_dict().items()}


def _weights(arrays: Arrays, prefix: str) -> dict[str, Tensor]:
    own = container.part(arrays, prefix)
    if not all((np.abs(array) <= LARGEST_WEIGHT).all() for array in own.values()):
        raise ValueError("a network has weights that are too large")
    return {name: torch.tensor(array) for name, array in own.items()}


def _floats(arrays: Arrays, name: str) -> Floats:
    array: Floats = arrays[name]
    if array.dtype != np.float64:
        raise ValueError(f"{name} is of type {array.dtype}")
    return array


def _read_forest(arrays: Arrays, j: int) -> Forest:
    regression = Linear(**{f.name: arrays[f"line.{j}.{f.name}"] for f in fields(Linear)})
    trees = [f.name for f in fields(Forest) if f.name != "regression"]
    return Forest(**{name: arrays[f"forest.{j}.{name}"] for name in trees}, regression=regression)


def _read_card(document: Mapping[str, Any], arrays: Arrays) -> Card:
    return Card(
        records=tuple(from_json(Record, r) for r in document["records"]),
        kl=_floats(arrays, "card.kl"),
        scales=_floats(arrays, "card.scales"),
        calibrations={
            kind: from_json(
                Calibration, calibration, quantiles=_floats(arrays, f"card.quantiles.{kind}")
            )
            for kind, calibration in document["calibrations"].items()
        },
        leakage=None if document["leakage"] is None else from_json(Leakage, document["leakage"]),
    )

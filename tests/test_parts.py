"""The parts of a model: each is made again from what it wrote, and refuses what no model says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tabvae import TabVAE
from tabvae.columns.arrays import Arrays
from tabvae.columns.bins import CategoricalBins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.files.source import Source
from tabvae.imputation.draws import Recalibration
from tabvae.imputation.impute import Imputer
from tabvae.imputation.stacking import StackingWeights
from tabvae.model import Model
from tabvae.predict.missingness import MissingnessModel
from tabvae.predict.predictor import Predictor
from tabvae.tasks.embed import owners

from .golden.make import FOLDER

FILES = sorted(FOLDER.glob("*.tabvae"))


@pytest.fixture(scope="module", params=FILES, ids=lambda path: path.stem)
def fitted(request: pytest.FixtureRequest) -> Model:
    path: Path = request.param
    return TabVAE.load(str(path)).fitted_


def again(part: Any, fitted: Model) -> Any:
    """The part, made from its arrays and its document as a file would hold it."""
    document = json.loads(json.dumps(part.document())) if hasattr(part, "document") else {}
    arrays = {name: array.copy() for name, array in part.arrays().items()}
    makers: dict[str, Callable[[], Any]] = {
        "TableCodec": lambda: TableCodec.from_document(document, arrays),
        "Ensemble": lambda: type(part).from_document(document, arrays, fitted.codec),
        "MissingnessModel": lambda: MissingnessModel.from_arrays(arrays, fitted.codec),
        "Predictor": lambda: Predictor.from_document(document, arrays),
        "Refiner": lambda: type(part).from_arrays(arrays, fitted.codec),
        "StackingWeights": lambda: StackingWeights.from_arrays(arrays, len(fitted.codec.sizes)),
        "Recalibration": lambda: Recalibration.from_arrays(arrays),
        "Imputer": lambda: Imputer.from_arrays(arrays, fitted.predictor),
        "Projection": lambda: type(part).from_arrays(
            arrays, len(owners(fitted.codec)), fitted.networks.latent
        ),
        "Card": lambda: type(part).from_document(document, arrays, fitted.predictor),
        "Model": lambda: Model.from_document(document, arrays),
    }
    return makers[type(part).__name__]()


def same(one: Arrays, other: Arrays) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)


@pytest.mark.parametrize(
    "name",
    [
        "codec",
        "networks",
        "predictor.missingness",
        "predictor",
        "imputer.refiner.stacking",
        "imputer.refiner",
        "imputer.recalibration",
        "imputer",
        "projection",
        "card",
        "",
    ],
)
def test_a_part_is_made_again_from_what_it_wrote(fitted: Model, name: str) -> None:
    part: Any = fitted
    for attribute in name.split(".") if name else []:
        part = getattr(part, attribute)
    if part is None:
        assert not fitted.networks.objective.variational
        return
    copy = again(part, fitted)
    assert part.arrays()
    assert same(copy.arrays(), part.arrays())
    if hasattr(part, "document"):
        assert copy.document() == part.document()


def test_the_parts_of_a_model_share_no_name(fitted: Model) -> None:
    parts = [fitted.predictor, fitted.imputer, fitted.card]
    parts += [] if fitted.projection is None else [fitted.projection]
    names = [name for part in parts for name in part.arrays()]
    assert len(names) == len(set(names)) == len(fitted.arrays())


def test_the_axis_of_numbers_is_called_a_line_in_a_file() -> None:
    bins = ContinuousBins.fit(np.arange(40.0), most=8, axis="unit")
    document = bins.document()
    assert set(document) == {"center", "scale", "line"}
    assert ContinuousBins.from_document(document, bins.arrays(), "").axis == "unit"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"line": "curve"}, "have no measure"),
        ({"line": 1}, "have no measure"),
        ({"line": []}, "is incomplete"),
        ({"axis": "unit"}, "has no axis"),
        ({"scale": -1.0}, "have no measure"),
        ({"more": 1}, "has no more"),
    ],
)
def test_bins_of_no_column_of_numbers_are_refused(changes: dict[str, object], words: str) -> None:
    bins = ContinuousBins.fit(np.arange(40.0), most=8)
    with pytest.raises(ValueError, match=words):
        ContinuousBins.from_document({**bins.document(), **changes}, bins.arrays(), "")


@pytest.mark.parametrize("changes", [{"size": 3}, {"counts": [2]}, {"vocabulary": ["a", "a"]}])
def test_bins_of_no_column_of_categories_are_refused(changes: dict[str, object]) -> None:
    bins = CategoricalBins(("a", "b"), (3, 1), 2)
    assert CategoricalBins.from_document(bins.document()) == bins
    with pytest.raises(ValueError, match="categor"):
        CategoricalBins.from_document({**bins.document(), **changes})


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("margins.places", np.linspace(0, 1, 101, dtype=np.float32)),
        ("margins.places", np.linspace(0, 1, 100)),
        ("margins.places", np.linspace(1, 0, 101)),
    ],
)
def test_quantiles_that_are_none_are_refused(name: str, array: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"float32|no quantiles"):
        Recalibration.from_arrays({name: array})


@pytest.mark.parametrize("columns", [1, 3])
def test_stacking_weights_of_another_table_are_refused(columns: int) -> None:
    with pytest.raises(ValueError, match="not that of its columns"):
        StackingWeights.from_arrays(StackingWeights.before(2).arrays(), columns)


def test_a_source_is_made_again_and_has_to_have_files() -> None:
    source = Source(("a.csv",), "csv", ";", None, None, None)
    document = json.loads(json.dumps(source.document()))
    assert Source.from_document(document) == source
    with pytest.raises(ValueError, match="without a file"):
        Source.from_document({**document, "paths": []})

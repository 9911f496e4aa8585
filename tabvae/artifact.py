"""The .tabvae file: a fitted model as arrays and one JSON document; nothing executable.

Loading parses JSON and copies numbers, so a file from a stranger cannot run anything. Whatever is
in it is checked before it is used: each part of a model checks itself, here is checked that they
are all there is.
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sklearn
import torch

import tabvae
from tabvae.columns.arrays import Arrays, Document
from tabvae.columns.from_json import from_json
from tabvae.errors import ModelFileError, shown
from tabvae.files import container
from tabvae.files.frames import FrameLayout
from tabvae.files.source import Source
from tabvae.model import Model
from tabvae.releases import FORMAT, OLDEST, upgraded


@dataclass(frozen=True)
class Saved:
    """What a model file holds.

    Attributes:
        fitted: everything learned.
        parameters: of the estimator, as JSON values.
        source: of the table it was fitted on, if it came from files.
        frame: how that table was laid out, if it was a frame.
    """

    fitted: Model
    parameters: dict[str, Any]
    source: Source | None
    frame: FrameLayout | None = None

    def arrays(self) -> Arrays:
        """What the file holds."""
        return self.fitted.arrays()

    def document(self) -> Document:
        """What the file says, the versions of the libraries aside."""
        return {
            **self.fitted.document(),
            "format": FORMAT,
            "parameters": self.parameters,
            "source": None if self.source is None else self.source.document(),
            "frame": None if self.frame is None else asdict(self.frame),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Arrays) -> Saved:
        """Made again from what ``document`` and ``arrays`` gave; each part checks itself."""
        source, frame = document["source"], document["frame"]
        source = None if source is None else Source.from_document(source)
        frame = None if frame is None else from_json(FrameLayout, frame)
        return cls(Model.from_document(document, arrays), document["parameters"], source, frame)


def save(path: str, saved: Saved) -> None:
    """Write a fitted model to ``path``; the same model gives the same bytes.

    Raises:
        OutputError: the file system refuses.
    """
    document = {**saved.document(), "versions": _versions()}
    container.write(path, document, saved.arrays())


def load(path: str) -> Saved:
    """Read a model file.

    Raises:
        ModelFileError: the file is not a model, is damaged, or comes from another release.
    """
    _check_format(path, container.read_document(path))
    document, arrays = container.read(path)
    with container.damage_told(path):
        document = upgraded(document)
        saved = Saved.from_document(document, arrays)
        _check_contents(saved, document, arrays)
        saved.fitted.require_readable()
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


def _check_contents(saved: Saved, document: Mapping[str, Any], arrays: Arrays) -> None:
    """The file says what the model it holds would say, and no more."""
    if set(saved.document()) != set(document) - {"versions"}:
        raise ValueError("it says more than a model")
    again = saved.arrays()
    if set(again) != set(arrays):
        raise ValueError("it holds other arrays than its model")
    for name, array in again.items():
        if (array.dtype, array.shape) != (arrays[name].dtype, arrays[name].shape):
            raise ValueError(f"{name} is of another type or shape")


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

"""Arrays by name: how the parts of a model are written to a file and read back.

Each part has ``arrays``, and ``document`` where it has values that are no arrays. Its
``from_arrays`` or ``from_document`` makes it again and refuses what no model says. The names are
those of the file, so that they stay when an attribute is renamed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from tabvae.values.arrow import Floats

Arrays = dict[str, npt.NDArray[Any]]
Document = dict[str, Any]


class Part(Protocol):
    """A part of a model that is written as arrays."""

    def arrays(self) -> Arrays:
        """Its numbers, by the names they have in a model file."""
        ...


def prefixed(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """The arrays with ``prefix`` before each name.

    >>> list(prefixed("net.0.", {"bias": np.zeros(2)}))
    ['net.0.bias']
    """
    return {prefix + name: array for name, array in arrays.items()}


def unprefixed(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> Arrays:
    """The arrays whose name begins with ``prefix``, without it.

    >>> list(unprefixed("net.0.", {"net.0.bias": np.zeros(2), "net.1.bias": np.ones(2)}))
    ['bias']
    """
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }


def joined(parts: Iterable[Mapping[str, npt.NDArray[Any]]]) -> Arrays:
    """The arrays of all parts.

    >>> list(joined([{"a": np.zeros(1)}, {"b": np.zeros(2)}]))
    ['a', 'b']
    """
    return {name: array for part in parts for name, array in part.items()}


def floats(arrays: Mapping[str, npt.NDArray[Any]], name: str) -> Floats:
    """One array, which has to be of float64.

    >>> floats({"mass": np.array([0.5, 0.5])}, "mass").tolist()
    [0.5, 0.5]

    Raises:
        KeyError: there is no such array.
        ValueError: it is of another type.
    """
    array: Floats = arrays[name]
    if array.dtype != np.float64:
        raise ValueError(f"{name} is of type {array.dtype}")
    return array

"""What rules look at of a table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from tabvae.values.arrow import Floats, Mask

Texts = np.ndarray[Any, np.dtype[np.object_]]
"""(N,) cells of a column of categories, ``None`` where one is missing."""


@dataclass(frozen=True)
class Cells:
    """Of a table, what rules look at.

    Attributes:
        numbers: (N,) of each column of numbers or moments, these in days; NaN where missing.
        texts: (N,) of each column of categories or of few numbers; ``None`` where missing.

    **Examples**

    >>> Cells({"a": np.array([1.0, 2.0])}, {}).numbers["a"]
    array([1., 2.])
    """

    numbers: Mapping[str, Floats]
    texts: Mapping[str, Texts]

    def present(self, name: str) -> Mask:
        """(N,) where a column has a cell."""
        if name in self.numbers:
            return np.isfinite(self.numbers[name])
        return there(self.texts[name])

    def shuffled(self, name: str, rng: np.random.Generator) -> Cells:
        """With the cells of one column in another order."""
        numbers, texts = dict(self.numbers), dict(self.texts)
        if name in numbers:
            numbers[name] = rng.permutation(numbers[name])
        if name in texts:
            texts[name] = rng.permutation(texts[name])
        return Cells(numbers, texts)

    def take(self, rows: Mask, names: Iterable[str]) -> Cells:
        """Some rows of some columns."""
        named = set(names)
        return Cells(
            {name: values[rows] for name, values in self.numbers.items() if name in named},
            {name: values[rows] for name, values in self.texts.items() if name in named},
        )


def as_texts(values: Floats | Texts) -> Texts | None:
    """``values`` if they are texts."""
    return cast(Texts, values) if values.dtype == object else None


def only(texts: Texts, rows: Mask) -> Texts:
    """(N,) the texts of some rows, ``None`` in the others.

    >>> only(np.array(["a", "b"], object), np.array([False, True]))
    array([None, 'b'], dtype=object)
    """
    kept = np.full(len(texts), None, object)
    kept[rows] = texts[rows]
    return kept


def there(texts: Texts) -> Mask:
    """(N,) where there is a text.

    >>> there(np.array(["a", None], object))
    array([ True, False])
    """
    rows: Mask = pd.notna(texts)
    return rows

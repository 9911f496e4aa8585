"""What is known of columns without looking at the table: kinds, ranges, categories."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from tabvae.columns.from_json import from_json
from tabvae.columns.schema import ColumnKind
from tabvae.errors import SchemaError, shown
from tabvae.values.dates import is_datetime_format

EXAMPLE = '\'{"age": {"kind": "numeric", "minimum": 0, "maximum": 120, "decimals": 0}}\''


@dataclass(frozen=True)
class PublicColumn:
    """What everybody may know of a column, as a code book says it.

    Attributes:
        kind: what it is.
        minimum: of its numbers; of dates in seconds since 1970, or a text such as ``2024-01-31``.
        maximum: likewise.
        decimals: of its numbers.
        categories: all that it has; others are to the model as if never seen.
        datetime_format: how its dates are written.

    Raises:
        ValueError: these do not belong together.

    **Examples**

    >>> PublicColumn.of({"kind": "numeric", "minimum": 0, "maximum": 120}).maximum
    120.0
    """

    kind: ColumnKind | None = None
    minimum: float | None = None
    maximum: float | None = None
    decimals: int | None = None
    categories: tuple[str, ...] = ()
    datetime_format: str | None = None

    def __post_init__(self) -> None:
        if (self.minimum is None) is not (self.maximum is None):
            raise ValueError("a range has a minimum and a maximum")
        if self.range is not None and not self.range[0] < self.range[1]:
            raise ValueError("a minimum is below its maximum")
        if self.decimals is not None and not 0 <= self.decimals <= 12:
            raise ValueError("decimals are from 0 to 12")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("a category comes twice")
        if self.categories and self.kind not in (ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN):
            raise ValueError("only a categorical column has categories")
        if self.datetime_format is not None and not is_datetime_format(self.datetime_format):
            raise ValueError(f"{shown(self.datetime_format)} is no datetime format")

    @property
    def range(self) -> tuple[float, float] | None:
        """Minimum and maximum, if they are known."""
        if self.minimum is None or self.maximum is None:
            return None
        return float(self.minimum), float(self.maximum)

    @classmethod
    def of(cls, given: Any) -> PublicColumn:
        """Of a kind alone, or of a mapping with the names of the attributes.

        Raises:
            ValueError: it is neither.
        """
        if isinstance(given, str):
            return cls(ColumnKind(given))
        if not isinstance(given, Mapping):
            raise ValueError(f"{shown(given)} is no column")
        ends = {
            end: pd.Timestamp(given[end]).timestamp()
            for end in ("minimum", "maximum")
            if isinstance(given.get(end), str)
        }
        numbers = {
            end: float(given[end])
            for end in ("minimum", "maximum")
            if isinstance(given.get(end), int) and not isinstance(given[end], bool)
        }
        return from_json(cls, {**given, **numbers, **ends})


def public_columns(given: Mapping[str, Any]) -> dict[str, PublicColumn]:
    """What is known of each column.

    Raises:
        SchemaError: that is no such thing, or a schema that was made by looking at a table.
    """
    if {"columns", "rows"} <= set(given):
        raise SchemaError(
            "a schema that 'inspect' wrote was made by looking at the table, which costs privacy",
            f"write down what is known without it, such as {EXAMPLE}",
        )
    columns = {}
    for name, column in given.items():
        try:
            columns[str(name)] = PublicColumn.of(column)
        except ValueError as error:
            raise SchemaError(f"column {shown(name)}: {error}", f"such as {EXAMPLE}") from error
    return columns


def public_from_json(text: str) -> dict[str, Any]:
    """The columns of a schema file, as its JSON has them.

    Raises:
        SchemaError: it is no JSON object.
    """
    try:
        document = json.loads(text)
    except ValueError as error:
        raise SchemaError(f"not a schema file: {error}", f"such as {EXAMPLE}") from error
    if not isinstance(document, dict):
        raise SchemaError("not a schema file: it maps no names", f"such as {EXAMPLE}")
    return document

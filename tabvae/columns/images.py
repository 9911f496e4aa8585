"""Which columns of a table are the cells of a grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import DataError, ParameterError, shown

BESIDE = -1
MOST_DIMENSIONS = 3
MOST_DIGITS = 9


@dataclass(frozen=True)
class Grid:
    """Where the columns lie.

    Attributes:
        size: height, width and channels; the cells of a row go through the channels of the first
            cell, then of the one to its right, then down.
        cells: (columns,) number of each column's cell, ``BESIDE`` for a column beside the grid.
    """

    size: tuple[int, int, int]
    cells: tuple[int, ...]

    def __post_init__(self) -> None:
        places = [cell for cell in self.cells if cell != BESIDE]
        inside = all(0 <= place < math.prod(self.size) for place in places)
        if min(self.size) < 1 or not inside or len(set(places)) < len(places):
            raise ValueError("the columns are not the cells of their grid")


def parse_grid(text: str) -> tuple[int, int, int]:
    """Height, width and channels of ``64``, ``8x8`` or ``28x28x3``.

    Raises:
        ParameterError: the text is of another form.
    """
    parts = text.lower().split("x")
    if not all(p.isascii() and p.isdigit() and len(p) <= MOST_DIGITS and int(p) > 0 for p in parts):
        parts = []
    if not 1 <= len(parts) <= MOST_DIMENSIONS:
        raise ParameterError(f"a grid is like 64, 8x8 or 28x28x3, however: {shown(text)}")
    sides = [int(p) for p in parts]
    height, width = (1, sides[0]) if len(sides) == 1 else sides[:2]
    return height, width, sides[2] if len(sides) == MOST_DIMENSIONS else 1


def is_cell(column: Column) -> bool:
    """A column of numbers, also if there is but one or two of them."""
    if column.kind is ColumnKind.NUMERIC or column.binary:
        return True
    return column.kind is ColumnKind.CONSTANT and _is_number(column.constant or "")


def grid_of(schema: Schema, size: tuple[int, int, int]) -> Grid:
    """The grid's cells are the columns of numbers in their order.

    Raises:
        DataError: there are more or fewer of them than cells.
    """
    cells = [column.name for column in schema.columns if is_cell(column)]
    if len(cells) != math.prod(size):
        sides = "x".join(map(str, size))
        raise DataError(
            f"a grid of {sides} has {math.prod(size)} cells, the table {len(cells)} numeric "
            "columns",
            "--categorical or --ignore takes a column out, such as a label",
        )
    place = {name: number for number, name in enumerate(cells)}
    return Grid(size, tuple(place.get(column.name, BESIDE) for column in schema.modelled))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

"""Which columns of a table are the cells of a grid."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar

from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import DataError, ParameterError, shown


@dataclass(frozen=True)
class Grid:
    """Where the columns lie.

    Attributes:
        size: height, width and channels; the cells of a row go through the channels of the first
            cell, then of the one to its right, then down.
        cells: (columns,) number of each column's cell, ``beside`` for a column beside the grid.

    Raises:
        ValueError: two columns are one cell, or a cell is outside.

    **Examples**

    >>> Grid((2, 1, 1), (0, Grid.beside, 1)).cells
    (0, -1, 1)
    """

    beside: ClassVar[int] = -1

    size: tuple[int, int, int]
    cells: tuple[int, ...]

    def __post_init__(self) -> None:
        pixels = [cell for cell in self.cells if cell != self.beside]
        inside = all(0 <= pixel < math.prod(self.size) for pixel in pixels)
        if min(self.size) < 1 or not inside or len(set(pixels)) < len(pixels):
            raise ValueError("the columns are not the cells of their grid")


def parse_grid(text: str) -> tuple[int, int, int]:
    """Height, width and channels of ``64``, ``8x8`` or ``28x28x3``.

    Raises:
        ParameterError: the text is of another form.

    >>> parse_grid("64"), parse_grid("8x8"), parse_grid("28x28x3")
    ((1, 64, 1), (8, 8, 1), (28, 28, 3))
    """
    parts = text.lower().split("x")
    # A side of more digits is of no table.
    if len(parts) > 3 or not all(re.fullmatch("0*[1-9][0-9]*", p) and len(p) <= 9 for p in parts):
        raise ParameterError(f"a grid is like 64, 8x8 or 28x28x3, however: {shown(text)}")
    sides = [int(p) for p in parts]
    height, width = (1, sides[0]) if len(sides) == 1 else sides[:2]
    return height, width, sides[2] if len(sides) == 3 else 1


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
    pixels = {name: pixel for pixel, name in enumerate(cells)}
    return Grid(size, tuple(pixels.get(c.name, Grid.beside) for c in schema.modelled))


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False

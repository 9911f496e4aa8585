"""In which way the cells of a column could be read wrongly, in words that quote no cell but a
number that often stands for a missing one.

A doubt changes nothing: ``fit`` warns of it, ``inspect`` shows it, and an option decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tabvae.errors import shown
from tabvae.values import arrow
from tabvae.values.arrow import Floats
from tabvae.values.notation import Notation, has_leading_zeros


@dataclass(frozen=True)
class DoubtConfig:
    """When the reading of a column is doubted.

    Attributes:
        numbers_for_missing: that often mean a missing cell; never taken for one by themselves.
        fewest_cells: with such a number: one alone is an odd row.
        far_off: from all other numbers, in their range, is one that is doubted.
        share_of_numbers: of the cells of a text column, from which on it is doubted.

    Examples:
        >>> -999 in DoubtConfig().numbers_for_missing
        True
    """

    numbers_for_missing: tuple[float, ...] = (
        *(-1, -9, -99, -999, -9999, -99999, 99, 999, 9999, 99999, 999999),
    )
    fewest_cells: int = 2
    far_off: float = 0.5
    share_of_numbers: float = 0.7


def doubt_of_numbers(
    values: Floats,
    notation: Notation,
    rival: Notation | None,
    name: str = "COL",
    config: DoubtConfig = DoubtConfig(),
) -> str | None:
    """That all numbers (N,) could be read in a rival notation, or that one number among them may
    mean a missing cell.

    >>> from tabvae.values.notation import PLAIN
    >>> doubt_of_numbers(np.array([31.0, 45, 27, -999, -999]), PLAIN, None)
    '-999 in 2 cells is unlike all other numbers; if it means a missing cell: --na-add -999'
    """
    if rival:
        option = f"--decimal {shown(f'{name}={rival.decimal}')}"
        if rival.decimal == notation.decimal:
            option = f"--thousands {shown(f'{name}={rival.thousands}')}"
        return f"{notation.words}; if {rival.words} is meant: {option}"
    for number in config.numbers_for_missing:
        alike = values == number
        others = values[np.isfinite(values) & ~alike]
        if alike.sum() < config.fewest_cells or len(others) == 0:
            continue
        reach = config.far_off * (others.max() - others.min())
        far = not others.min() - reach <= number <= others.max() + reach
        if far or number < 0 <= others.min():
            cells = f"{number:g} in {alike.sum()} cells is unlike all other numbers"
            return f"{cells}; if it means a missing cell: --na-add {number:g}"
    return None


def doubt_of_text(texts: pa.Array, config: DoubtConfig = DoubtConfig()) -> str | None:
    """That most of the texts (N,), without blanks around them, are numbers.

    >>> doubt_of_text(pa.array(["1", "2", "3", "x"]))
    '75 % of its cells are numbers, 1 are not; if they count as numbers: --numeric'
    """
    numbers = np.isfinite(arrow.to_numbers(texts))
    if has_leading_zeros(texts) or numbers.mean() < config.share_of_numbers:
        return None
    told = f"{100 * numbers.mean():.0f} % of its cells are numbers, {(~numbers).sum()} are not"
    return f"{told}; if they count as numbers: --numeric"

"""In which way the cells of a column could be read wrongly, in words that quote no cell but one
that often stands for a missing one.

A doubt changes nothing: ``fit`` warns of it, ``inspect`` shows it, and an option decides.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.errors import shown
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints
from tabvae.values.notation import PLAIN, Notation, find_notation, has_leading_zeros


@dataclass(frozen=True)
class DoubtConfig:
    """When the reading of a column is doubted.

    Attributes:
        numbers_for_missing: that often mean a missing cell; never taken for one by themselves.
        fewest_cells: with such a number: one alone is an odd row.
        far_off: from all other numbers, in their range, is one that is doubted.
        share_of_numbers: of the cells of a text column, from which on it is doubted.
        days_for_missing: that often mean a missing cell; never taken for one by themselves.
        rows_told: first ones of cells that are no numbers.

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
    days_for_missing: tuple[str, ...] = (
        *("1900-01-01", "1899-12-30", "1899-12-31", "1901-01-01", "1970-01-01", "1111-11-11"),
        *("0001-01-01", "1000-01-01", "1800-01-01", "2099-12-31", "2199-12-31", "2999-12-31"),
        *("9999-12-31", "9999-01-01", "9999-09-09"),
    )
    rows_told: int = 3


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
        if _is_far(number, values, config) or number < 0 <= others.min():
            cells = f"{number:g} in {alike.sum()} cells is unlike all other numbers"
            return f"{cells}; if it means a missing cell: --na-add {number:g}"
    return None


def doubt_of_moments(
    seconds: Floats, datetime_format: str, config: DoubtConfig = DoubtConfig()
) -> str | None:
    """That one of the moments (N,), unlike all others, may mean a missing cell.

    >>> day = 86400.0
    >>> doubt_of_moments(day * np.array([20000, 20100, -25567, -25567]), "%d.%m.%Y")
    "01.01.1900 in 2 cells is unlike all others; if it means a missing cell: --na-add '01.01.1900'"
    """
    for day in config.days_for_missing:
        moment = (np.datetime64(day, "us") - np.datetime64(0, "us")) / np.timedelta64(1, "s")
        cells = int((seconds == moment).sum())
        if cells >= config.fewest_cells and _is_far(float(moment), seconds, config):
            text = str(arrow.from_seconds(np.array([moment]), pa.string(), datetime_format)[0])
            told = f"{text} in {cells} cells is unlike all others"
            return f"{told}; if it means a missing cell: --na-add {shown(text)}"
    return None


def _is_far(number: float, values: Floats, config: DoubtConfig) -> bool:
    """Whether a number is far from all others of (N,) values."""
    others = values[np.isfinite(values) & (values != number)]
    if len(others) == 0:
        return False
    reach = config.far_off * (others.max() - others.min())
    return bool(not others.min() - reach <= number <= others.max() + reach)


def doubt_of_text(
    texts: pa.Array, rows: Ints, name: str = "COL", config: DoubtConfig = DoubtConfig()
) -> str | None:
    """That most of the texts (N,), without blanks around them, are numbers.

    Args:
        texts: cells that are not missing.
        rows: (N,) where in the table they are.
        name: of the column.
        config: when the reading of a column is doubted.

    >>> doubt_of_text(pa.array(["1", "2", "3", "x"]), np.arange(4))[:51]
    '75 % of its cells are numbers, 1 are not (row 4): -'
    """
    found = find_notation(texts, config.share_of_numbers)
    numbers = np.isfinite(arrow.to_numbers(texts, PLAIN if found is None else found[0]))
    if has_leading_zeros(texts) or numbers.mean() < config.share_of_numbers:
        return None
    first = [str(row + 1) for row in rows[~numbers][: config.rows_told]]
    more = ", ..." if (~numbers).sum() > len(first) else ""
    where = f"row{'s' if len(first) > 1 else ''} {', '.join(first)}{more}"
    told = f"{100 * numbers.mean():.0f} % of its cells are numbers, {(~numbers).sum()} are not"
    return f"{told} ({where}): --na-add what means missing, or --numeric {shown(name)}"


def doubt_of_words(texts: pa.Array, words: Collection[str]) -> str | None:
    """That the commonest of the texts (N,) is one of the ``words`` that may mean a missing cell.

    >>> doubt_of_words(pa.array(["unknown", "a", "Unknown", "b", "unknown"]), {"unknown"})
    "'unknown' in 2 cells may mean a missing cell: --na-add 'unknown'"
    """
    counted = pc.value_counts(texts)
    most = int(np.argmax(counted.field("counts").to_numpy()))
    word, cells = counted.field("values")[most].as_py(), counted.field("counts")[most].as_py()
    if cells < DoubtConfig().fewest_cells or word.lower() not in words:
        return None
    return f"{shown(word)} in {cells} cells may mean a missing cell: --na-add {shown(word)}"

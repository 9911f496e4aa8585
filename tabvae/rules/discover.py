"""Rules that a table keeps, found by trying all that are of a few simple forms.

A few rows sort out most candidates; what is left is looked at in all rows. A rule is believed only
if the rows could have broken it: as often as the same cells do when one column is shuffled. There
is no library for this that may be used here: those for functional dependencies are licensed under
the AGPL or need a Java machine, and equations of two or three columns need no general search.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tabvae.rules.cells import Cells
from tabvae.rules.config import RuleConfig
from tabvae.rules.dependencies import find_dependencies
from tabvae.rules.equations import find_formulas
from tabvae.rules.gaps import find_presence
from tabvae.rules.orders import find_orders
from tabvae.rules.ranges import find_ranges
from tabvae.rules.rules import AnyRule, with_share


def discover(
    cells: Cells,
    tolerances: Mapping[str, float],
    days: frozenset[str] = frozenset(),
    min_count: int = 1,
    config: RuleConfig = RuleConfig(),
) -> list[AnyRule]:
    """The rules that a table keeps, equations first.

    Args:
        cells: of the table, or of ``most_rows`` of its rows.
        tolerances: by column of numbers, half a unit of its last digit.
        days: columns of moments, in days.
        min_count: rows that stand behind each value of a dependency.
        config: when a rule is one.

    >>> rng = np.random.default_rng(0)
    >>> price, count = rng.integers(1, 99, 200).astype(float), rng.integers(1, 9, 200) * 1.0
    >>> numbers = {"price": price, "count": count, "sum": price * count}
    >>> [str(rule) for rule in discover(Cells(numbers, {}), dict.fromkeys(numbers, 0.5))]
    ['sum = price * count', 'price <= sum']
    """
    rng = np.random.default_rng(0)
    formulas = find_formulas(cells, tolerances, days, rng, config)
    orders = find_orders(cells, days, formulas, rng, config)
    ranges = find_ranges(cells, formulas, min_count, config)
    dependencies = find_dependencies(cells, [*formulas, *ranges], rng, min_count, config)
    presence = find_presence(cells, min_count, config)
    found: list[AnyRule] = [*formulas, *orders, *dependencies, *ranges, *presence]
    return [with_share(rule, cells) for rule in found]

"""Whether the order of a column's few whole numbers matters: 1, 2, 3 may be ratings or labels.

Trees predict some of its cells from the other columns, once as numbers and once as categories, each
cell by those trees alone that have not learned from it (out of bag, Breiman 2001). A column is one
of labels if it is hit more often as categories, and that by a larger share than its distances grow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.schema import Column, ColumnKind
from tabvae.imputation.linear import Features, telling
from tabvae.values.arrow import Floats, Ints
from tabvae.values.notation import PLAIN


@dataclass(frozen=True)
class OrderConfig:
    """When whole numbers are taken for labels.

    Attributes:
        most_values: distinct numbers; of more, most are counts and measurements.
        fewest_cells: of a value that is not rare.
        most_rare: share of the cells with rare values; where there are more, others are to come.
        fewest_rows: in which the column is observed; fewer tell little.
        most_rows: that the trees learn from, so that this takes no time to speak of.
        trees: of each kind: so many that each cell is out of bag often enough.
        leaf: fewest rows in a leaf.
        least_gain: share of the misses that must go.
        deviations: of the difference in hits that are no chance.
    """

    most_values: int = 20
    fewest_cells: int = 5
    most_rare: float = 0.005
    fewest_rows: int = 100
    most_rows: int = 1000
    trees: int = 30
    leaf: int = 2
    least_gain: float = 0.2
    deviations: float = 3.0


def labels(
    codec: TableCodec, codes: Codes, seed: int, config: OrderConfig = OrderConfig()
) -> list[str]:
    """The names of the columns of whole numbers whose order does not matter.

    Args:
        codec: fitted to the table.
        codes: (N, columns) the table.
        seed: of the choice of rows and of the splits.
        config: when whole numbers are labels.

    **Examples**

    >>> import pyarrow as pa
    >>> from tabvae.columns.infer import infer_schema
    >>> rng = np.random.default_rng(0)
    >>> place = rng.integers(0, 6, 600)
    >>> east, north = (rng.permutation(6)[place] + rng.normal(0, 0.6, 600) for _ in range(2))
    >>> table = pa.table({"place": place, "east": east, "north": north})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> labels(codec, codec.transform(table), seed=0)
    ['place']
    """
    columns = codec.schema.modelled
    candidates = [j for j, column in enumerate(columns) if _is_candidate(column, config)]
    if not candidates or len(columns) < 2:
        return []
    codes = codes.at_most(4 * config.most_rows, seed)
    x = codec.deviations(codes)
    for j, number in enumerate(codec.is_number):
        x[:, j] = np.where(codes.observed[:, j], x[:, j] if number else codes.bins[:, j], 0)
    found = []
    for j in candidates:
        rows = np.flatnonzero(codes.observed[:, j])[: config.most_rows]
        cells = codes.bins[rows, j]
        if len(rows) < config.fewest_rows or _rare(cells, config) > config.most_rare:
            continue
        others = np.delete(x, j, axis=1)[rows].astype(np.float32)
        others = others[:, telling(others, cells, number=False)]
        values = np.asarray(codec.bins_[j].decode(np.arange(codec.sizes[j]), np.zeros(1)), float)
        if _no_order(others, cells, values, seed, config):
            found.append(columns[j].name)
    return found


def _is_candidate(column: Column, config: OrderConfig) -> bool:
    numbers = column.numbers
    if column.kind is not ColumnKind.NUMERIC or numbers is None:
        return False
    plain = numbers.decimals == 0 and numbers.notation == PLAIN and not column.foreign
    return plain and 2 < column.distinct <= config.most_values


def _rare(cells: Ints, config: OrderConfig) -> float:
    """The share of cells with a value that few of them have."""
    counts = np.bincount(cells)
    return float(counts[counts < config.fewest_cells].sum() / len(cells))


def _no_order(x: Features, cells: Ints, values: Floats, seed: int, config: OrderConfig) -> bool:
    """Whether the numbers ``cells`` of ``values`` (bins,) are better predicted as categories."""
    y = values[cells]
    options = {
        "n_estimators": config.trees,
        "min_samples_leaf": config.leaf,
        "bootstrap": True,
        "oob_score": True,
        "random_state": seed,
    }
    voted = ExtraTreesClassifier(**options).fit(x, cells)
    expected = ExtraTreesRegressor(max_features=0.5, **options).fit(x, y).oob_prediction_
    mode = voted.classes_[voted.oob_decision_function_.argmax(1)]
    nearest = np.abs(expected[:, None] - values).argmin(1)
    misses, misses_by_order = mode != cells, nearest != cells
    gained = misses_by_order.astype(float) - misses
    error = gained.std() / np.sqrt(len(gained))
    gain = gained.sum() / max(misses_by_order.sum(), 1)
    if gain < config.least_gain or gained.mean() < config.deviations * error:
        return False
    loss = np.sqrt(((values[mode] - y) ** 2).mean() / max(((expected - y) ** 2).mean(), 1e-12)) - 1
    return bool(gain > loss)

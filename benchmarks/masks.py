"""Which cells are hidden: the formulas of missing completely at random, at random, not at random.

With p the share of cells to hide, z_ij the cell of row i and column j less the mean of its column,
over its deviation (categories as codes in order of frequency), and sigmoid(t) = 1 / (1 + exp(-t)):

    MCAR   P(hidden_ij) = p
    MAR    a random 30 % of the columns, C, stays complete; for the others
           P(hidden_ij) = sigmoid( w_j . z_iC / |w_j| * 2 + b_j ),  w_j ~ N(0, I)
    MNAR   P(hidden_ij) = sigmoid( 2 s_j z_ij + b_j ),  s_j = +1 or -1 with equal chance

    end    P(hidden_ij) = 7 p / 3 in the upper 40 % of the cells of column j by rank (the lower ones
           if s_j = -1), p / 10 in the others: not at random, but no logistic function
    ends   P(hidden_ij) = 2 p in the lowest and the uppermost 20 %, p / 3 between

b_j is such that a share p of the cells of column j is hidden. A cell that is missing in the data
counts as z = 0. (Rubin 1976; the logistic forms follow Muzellec et al. 2020, section 5.)
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.special import expit

SHARE_COMPLETE = 0.3
SLOPE = 2.0

Hidden = np.ndarray


def hide(frame: pd.DataFrame, mechanism: str, share: float, seed: int) -> Hidden:
    """(rows, columns) which cells to hide.

    Args:
        frame: the complete table.
        mechanism: ``mcar``, ``mar``, ``mnar``, ``end`` or ``ends``.
        share: of the cells; with ``mar``, of the cells of the columns that have gaps.
        seed: of all randomness.
    """
    rng = np.random.default_rng(seed)
    if mechanism == "mcar":
        return rng.random(frame.shape) < share
    z = _standard(frame)
    columns = z.shape[1]
    if mechanism == "mnar":
        drive = SLOPE * z * rng.choice([-1.0, 1.0], columns)
        return _hidden(drive, share, rng)
    if mechanism in ("end", "ends"):
        rank = (z * rng.choice([-1.0, 1.0], columns)).argsort(0).argsort(0) / len(z)
        upper = np.where(rank > 0.6, 7 / 3 * share, share / 10)
        outer = np.where(np.abs(rank - 0.5) > 0.3, 2 * share, share / 3)
        return rng.random(z.shape) < (upper if mechanism == "end" else outer)
    complete = rng.permutation(columns)[: max(1, round(SHARE_COMPLETE * columns))]
    weights = rng.standard_normal((len(complete), columns))
    drive = SLOPE * z[:, complete] @ (weights / np.linalg.norm(weights, axis=0))
    hidden = _hidden(drive, share, rng)
    hidden[:, complete] = False
    return hidden


def _hidden(drive: np.ndarray, share: float, rng: np.random.Generator) -> Hidden:
    intercepts = [
        brentq(lambda b, d=drive[:, j]: expit(d + b).mean() - share, -100, 100)
        for j in range(drive.shape[1])
    ]
    return rng.random(drive.shape) < expit(drive + np.array(intercepts))


def _standard(frame: pd.DataFrame) -> np.ndarray:
    columns = []
    for name in frame.columns:
        values = frame[name]
        if not pd.api.types.is_numeric_dtype(values):
            order = {text: k for k, text in enumerate(values.value_counts().index)}
            values = values.map(order)
        values = values.astype(float)
        columns.append(((values - values.mean()) / (values.std() or 1.0)).fillna(0.0))
    return np.column_stack(columns)

"""What a fitted model gives away of the rows it learned from, beside rows it did not.

Two attacks of benchmarks/privacy.py that need nothing but the model, on rows that were held out:
whether a row was learned from is guessed by how well its cells are known from each other
(membership inference, Shokri et al. 2017), and cells are read off the trees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self, cast

import numpy as np
from sklearn.metrics import roc_auc_score

from tabvae.columns.arrow import Floats
from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.forest import Forest
from tabvae.imputation.linear import Features
from tabvae.imputation.stacking import Trial
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.predictor import Predictor

MOST_MEMBERSHIP, MOST_STATED = 0.60, 0.001
"""That a model should have: AUC, and share of cells."""
ERRORS_APART = 2.0
"""Standard errors by which an AUC is above, to be told."""
MOST_ROWS, MOST_COLUMNS = 1000, 30
"""That are looked at."""
SAME_IN = 0.5
"""Share of the trees that hold the same number for a row, for it to be read off them."""
LEAST_PROBABILITY, LEAST_ERROR = 1e-9, 1e-3


@dataclass(frozen=True)
class Leakage:
    """How far rows learned from differ from held-out ones.

    Attributes:
        rows: held-out ones.
        networks: AUC of telling the two apart by the log-probability of each cell given all others
            of its row; 0.5 is a guess.
        trees: the same by how far the trees are off; ``None`` where none were tried.
        stated: share of the cells that the trees state, beside the same of held-out rows.

    Examples:
        >>> Leakage(100, 0.56, 0.58, 0.0).membership
        0.58
    """

    rows: int
    networks: float
    trees: float | None
    stated: float

    def __post_init__(self) -> None:
        shares = (self.networks, self.trees or 0.0, self.stated)
        if self.rows < 1 or not all(0 <= share <= 1 for share in shares):
            raise ValueError("a leakage that none can be")

    @property
    def membership(self) -> float:
        """The larger AUC of the two."""
        return max(self.networks, self.trees or 0.0)

    @property
    def spread(self) -> float:
        """Standard error of an AUC near one half (Hanley & McNeil 1982), many rows against few."""
        return 1 / math.sqrt(12 * self.rows)

    @property
    def excessive(self) -> bool:
        """More than a model should give away, by more than chance: the larger of two is above by
        its error now and then."""
        above = self.membership - ERRORS_APART * self.spread > MOST_MEMBERSHIP
        return above or self.stated > MOST_STATED

    @classmethod
    def measure(
        cls,
        predictor: Predictor,
        seen: Codes,
        unseen: Codes,
        trial: Trial | None,
    ) -> Self | None:
        """Attack a model; nothing is known without held-out rows.

        Args:
            predictor: networks and codec.
            seen: (N, columns) rows that networks and the trees on trial learned from.
            unseen: (H, columns) rows that they did not.
            trial: those trees, if there are any.
        """
        if not len(unseen):
            return None
        parts = [rows.at_most(MOST_ROWS, seed=0) for rows in (seen, unseen)]
        networks = _auc([_likelihoods(predictor.networks, part) for part in parts])
        if trial is None:
            return cls(len(unseen), networks, None, 0.0)
        errors, stated = zip(
            *(_by_trees(predictor.codec, trial, part) for part in parts), strict=True
        )
        excess = max(float(stated[0] - stated[1]), 0.0)
        return cls(len(unseen), networks, _auc([-error for error in errors]), excess)


def _auc(scores: Sequence[Floats]) -> float:
    truth = np.repeat([1, 0], [len(part) for part in scores])
    return float(roc_auc_score(truth, np.concatenate(scores)))


def _likelihoods(ensemble: Ensemble, codes: Codes) -> Floats:
    """(N,) sum of the log-probabilities of each cell given all others of its row."""
    total = np.zeros(len(codes))
    for j in _some(codes.bins.shape[1]):
        rows = np.flatnonzero(codes.observed[:, j])
        p = ensemble.given_others(codes[rows], j)
        own = p[np.arange(len(rows)), codes.bins[rows, j]]
        total[rows] += np.log(own.clip(LEAST_PROBABILITY))
    return total


def _by_trees(codec: TableCodec, trial: Trial, codes: Codes) -> tuple[Floats, float]:
    """(N,) summed log errors of the trees, and the share of the cells that they state."""
    errors, stated, cells = np.zeros(len(codes)), 0, 0
    for j, forest, others, own in _columns(codec, trial, codes):
        coder, known = codec.bins_[j], codes.observed[:, j]
        leaves = forest.leaves(others)
        if coder.is_number:
            wrong = np.abs(forest.predict(others) - own)
            said = _longest_run(leaves[:, : trial.trees]) >= SAME_IN * trial.trees
        else:
            votes = forest.votes(others, len(coder))
            wrong = 1 - votes[np.arange(len(codes)), own.astype(np.int64)]
            said = (leaves == own[:, None]).all(1) & (own != coder.mass.argmax())
        errors += np.where(known, np.log(wrong + LEAST_ERROR), 0.0)
        stated += int((said & known).sum())
        cells += int(known.sum())
    return errors, stated / max(cells, 1)


def _columns(
    codec: TableCodec, trial: Trial, codes: Codes
) -> Iterator[tuple[int, Forest, Features, Features]]:
    """Of each column its number, trees, what they compare and what is there; gaps at the mean."""
    deviations = np.nan_to_num(codec.deviations(codes))
    x = np.where(codec.is_number, deviations, codes.bins).astype(np.float32)
    for j in _some(len(codec.bins_)):
        yield j, trial.forests[j], np.delete(x, j, axis=1), x[:, j]


def _some(columns: int) -> list[int]:
    """All columns, or a choice of them."""
    order = np.random.default_rng(0).permutation(columns)
    return sorted(order[:MOST_COLUMNS].tolist())


def _longest_run(values: Features) -> Floats:
    """(N,) how often the most frequent number of each row (N, trees) is there."""
    same = np.diff(np.sort(values, axis=1), axis=1) == 0
    longest, run = np.ones(len(values)), np.ones(len(values))
    for column in same.T:
        run = np.where(column, run + 1, 1)
        longest = np.maximum(longest, run)
    return cast(Floats, longest)

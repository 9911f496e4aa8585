"""What a fitted model gives away of the rows it learned from, beside rows it did not.

Two attacks of benchmarks/privacy.py that need nothing but the model, on rows that were held out:
whether a row was learned from is guessed by how well its cells are known from each other
(membership inference, Shokri et al. 2017), and cells are read off the trees.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self, cast

import numpy as np
from sklearn.metrics import roc_auc_score

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.imputation.forest import Forest
from tabvae.imputation.linear import Features
from tabvae.imputation.stacking import Trial
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.predictor import Predictor
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class LeakageConfig:
    """How a model is attacked, and what it may give away.

    Attributes:
        most_membership: AUC of telling rows learned from that a model should have at most.
        most_stated: share of the cells that it should state at most.
        errors_apart: standard errors by which an AUC is above, to be told.
        most_rows: of either kind that are looked at; more would only take time.
        most_columns: that are looked at, each by a pass through the networks.
        same_in: share of the trees that hold the same number for a row, for it to be read off them.
        least_probability: of a cell: one of probability zero does not decide alone.
        least_error: of a tree, in deviations: a hit does not decide alone.

    Examples:
        >>> LeakageConfig().most_membership
        0.6
    """

    most_membership: float = 0.60
    most_stated: float = 0.001
    errors_apart: float = 2.0
    most_rows: int = 1000
    most_columns: int = 30
    same_in: float = 0.5
    least_probability: float = 1e-9
    least_error: float = 1e-3


@dataclass(frozen=True)
class Leakage:
    """How far rows learned from differ from validation rows, which were not.

    Attributes:
        rows: number of validation rows.
        networks: AUC of telling the two apart by the log-probability of each cell given all others
            of its row; 0.5 is a guess.
        trees: the same by how far the trees are off; ``None`` where none were tried.
        stated: share of the cells that the trees state, beside the same of validation rows.

    Raises:
        ValueError: there are no rows, or a share is not within 0..1.

    Examples:
        >>> Leakage(100, 0.56, 0.58, 0.0).membership
        0.58
    """

    config: ClassVar[LeakageConfig] = LeakageConfig()
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
        surely = self.membership - self.config.errors_apart * self.spread
        too_much = surely > self.config.most_membership
        return too_much or self.stated > self.config.most_stated

    @property
    def words(self) -> str:
        """What an attacker who holds the file can tell, and whether that is too much."""
        told = (
            f"rows of the table told from {self.rows} held-out ones with AUC "
            f"{self.membership:.2f} (0.5 is a guess, error {self.spread:.2f}); "
            f"{self.stated:.1%} of the cells can be read from the file"
        )
        if not self.excessive:
            return f"privacy: {told}"
        return (
            f"note: this file gives rows away: {told}; treat it like the table, or fit with "
            "--min-count 10 or --ignore for columns of rare values"
        )

    @classmethod
    def measure(
        cls, predictor: Predictor, training: Codes, validation: Codes, trial: Trial | None
    ) -> Self | None:
        """Attack a model; nothing is known without validation rows.

        Args:
            predictor: networks and codec.
            training: (N, columns) rows that networks and the trees on trial learned from.
            validation: (H, columns) rows that they did not.
            trial: those trees, if there are any.
        """
        if not len(validation):
            return None
        config = cls.config
        parts = [rows.at_most(config.most_rows, seed=0) for rows in (training, validation)]
        networks = _auc([_log_likelihoods(predictor.networks, part, config) for part in parts])
        if trial is None:
            return cls(len(validation), networks, None, 0.0)
        by_trees = [_by_trees(predictor.codec, trial, part, config) for part in parts]
        stated = max(by_trees[0].stated - by_trees[1].stated, 0.0)
        return cls(len(validation), networks, _auc([-part.errors for part in by_trees]), stated)


def _auc(scores: Sequence[Floats]) -> float:
    """Of telling rows of the first kind from those of the second by their scores, (N,) and (H,)."""
    truth = np.repeat([1, 0], [len(part) for part in scores])
    return float(roc_auc_score(truth, np.concatenate(scores)))


def _log_likelihoods(ensemble: Ensemble, codes: Codes, config: LeakageConfig) -> Floats:
    """(N,) sum of the log-probabilities of each cell given all others of its row."""
    total = np.zeros(len(codes))
    for j in _chosen(codes.bins.shape[1], config.most_columns):
        rows = np.flatnonzero(codes.observed[:, j])
        probabilities = ensemble.given_others(codes[rows], j)  # (n, bins)
        likelihood = probabilities[np.arange(len(rows)), codes.bins[rows, j]]  # (n,)
        total[rows] += np.log(likelihood.clip(config.least_probability))
    return total


@dataclass(frozen=True)
class _ByTrees:
    """What the trees say of rows.

    Attributes:
        errors: (N,) sum of the logarithm of how far they are off in each cell.
        stated: share of the cells that they state.
    """

    errors: Floats
    stated: float


def _by_trees(codec: TableCodec, trial: Trial, codes: Codes, config: LeakageConfig) -> _ByTrees:
    errors, stated, cells = np.zeros(len(codes)), 0, 0
    for j, forest, others, truth in _columns(codec, trial, codes, config):
        bins, observed = codec.bins_[j], codes.observed[:, j]
        leaves = forest.leaves(others)  # (N, trees)
        if bins.is_number:
            wrong = np.abs(forest.predict(others) - truth)
            same = _longest_run(leaves[:, : trial.trees]) >= config.same_in * trial.trees
        else:
            votes = forest.votes(others, len(bins))  # (N, bins)
            wrong = 1 - votes[np.arange(len(codes)), truth.astype(np.int64)]
            # The most frequent category says nothing of a row.
            same = (leaves == truth[:, None]).all(1) & (truth != bins.mass.argmax())
        errors += np.where(observed, np.log(wrong + config.least_error), 0.0)
        stated += int((same & observed).sum())
        cells += int(observed.sum())
    return _ByTrees(errors, stated / max(cells, 1))


def _columns(
    codec: TableCodec, trial: Trial, codes: Codes, config: LeakageConfig
) -> Iterator[tuple[int, Forest, Features, Features]]:
    """Of each column its number, trees, what they compare and what is there; gaps at the mean."""
    deviations = np.nan_to_num(codec.deviations(codes))
    x = np.where(codec.is_number, deviations, codes.bins).astype(np.float32)
    for j in _chosen(len(codec.bins_), config.most_columns):
        yield j, trial.forests[j], np.delete(x, j, axis=1), x[:, j]


def _chosen(columns: int, most: int) -> list[int]:
    """All columns, or a choice of them."""
    order = np.random.default_rng(0).permutation(columns)
    return sorted(order[:most].tolist())


def _longest_run(values: Features) -> Floats:
    """(N,) how often the most frequent number of each row (N, trees) is there."""
    same = np.diff(np.sort(values, axis=1), axis=1) == 0
    longest, run = np.ones(len(values)), np.ones(len(values))
    for column in same.T:
        run = np.where(column, run + 1, 1)
        longest = np.maximum(longest, run)
    return cast(Floats, longest)

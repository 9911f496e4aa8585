"""What an attacker who holds a model file learns of the rows it was fitted on.

    python benchmarks/privacy.py                              # everything: about an hour
    python benchmarks/privacy.py --tables wine_white --rows 500 --settings default memorise
    python benchmarks/privacy.py --no-shadow                  # without the attacks that fit a model

A table is cut at random: rows to fit, as many held out, and as many again for the attacker, who
fits a model of his own to half of these where the table has enough. All attacks read the fitted
model alone; rows are given to them only to ask whether they are in it.

Membership (AUC, and the share found at 1 % false alarms): every score of ``detect``; the error of
the trees, its logarithm, and how many trees say a cell exactly; the log-probability of every cell
given all others of its row; the same beside the attacker's model (difficulty calibration, Watson et
al. 2022); and a classifier of all these, learned on the attacker's model (shadow model, Shokri et
al. 2017). Rows: leaves that hold the same number in nearly all trees are the same row's, and what
all of them have in common says its other cells. Cells: a rare value is shown to the networks, which
say the rest of the row; what they say surely, rightly and against the commonest value counts, as
far as it is more than for held-out rows.
"""

from __future__ import annotations

import argparse
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from common import Results, load, machine, progress
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score, roc_curve
from sklearn.preprocessing import QuantileTransformer

from tabvae import TabVAE
from tabvae.columns.bins import ContinuousBins
from tabvae.columns.codes import Codes
from tabvae.files.frames import to_arrow
from tabvae.imputation.config import TreeConfig
from tabvae.imputation.forest import LEAF, Forest
from tabvae.model import Model
from tabvae.tasks.scores import Examined, known_scores
from tabvae.tasks.synthetic import as_codes, nearest_distances

TABLES = ("wine_white", "california", "bike", "adult", "adult_categories", "shoppers", "obesity")
"""Numeric, numeric with a category, mixed (3), categories alone, mixed."""
SETTINGS = {
    "default": {},
    "min-count 10": {"min_count": 10},
    "memorise": {"memorise": True},
}
FALSE_ALARMS = 0.01
SAME_IN = 0.9
"""Share of the trees that hold a number in one leaf, for it to be a row's."""
SURE = 0.95
RARE = 2
"""Cells, of a value that is shown."""


def table(name: str) -> pd.DataFrame:
    """A table of the benchmarks, distinct rows in random order; the categories of adult alone."""
    frame = load("adult_train_half" if name.startswith("adult") else name)
    if name == "adult_categories":
        frame = frame.select_dtypes(exclude="number")
    return frame.drop_duplicates().sample(frac=1, random_state=0).reset_index(drop=True)


@dataclass(frozen=True)
class Target:
    """A fitted model as an attacker sees it."""

    fitted: Model

    @classmethod
    def of(cls, frame: pd.DataFrame, seed: int, **settings: object) -> tuple[Target, TabVAE, int]:
        """Fit, write and read again; and the bytes of the file."""
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "model.tabvae"
            TabVAE(seed=seed, **settings).fit(frame).save(str(path))  # type: ignore[arg-type]
            model = TabVAE.load(str(path))
            return cls(model.fitted_), model, path.stat().st_size

    def codes(self, frame: pd.DataFrame) -> Codes:
        return self.fitted.codec.transform(to_arrow(frame))

    def scores(self, frame: pd.DataFrame) -> dict[str, np.ndarray]:
        """(N,) by attack, larger for rows that look as if the model knew them."""
        codes = self.codes(frame)
        model = self.fitted
        card = model.card
        examined = Examined(model.predictor, codes, card.scales, card.density, card.calibrations)
        found = {
            f"detect {name}": -score.rows(examined)
            for name, score in known_scores(model.networks, card.density).items()
        }
        found["likelihood of each cell"] = self._log_probability(codes)
        return {**found, **self._by_trees(codes)}

    def _log_probability(self, codes: Codes) -> np.ndarray:
        total = np.zeros(len(codes))
        for j in range(codes.bins.shape[1]):
            rows = np.flatnonzero(codes.observed[:, j])
            p = self.fitted.networks.given_others(codes[rows], j)
            total[rows] += np.log(p[np.arange(len(rows)), codes.bins[rows, j]].clip(1e-9))
        return total

    def _by_trees(self, codes: Codes) -> dict[str, np.ndarray]:
        error, log_error, exact = np.zeros((3, len(codes)))
        for column in columns(self.fitted, codes):
            own = column.observed
            if column.bins is None:
                wrong = np.abs(column.forest.predict(column.others) - column.cells)
                said = column.randomised_leaves()
                said += column.line()[:, None]
            else:
                votes = column.forest.votes(column.others, column.bins)
                wrong = 1 - votes[np.arange(len(codes)), column.cells.astype(int)]
                said = column.forest.leaves(column.others)
            error += np.where(own, wrong / (wrong[own].std() + 1e-9), 0)
            log_error += np.where(own, np.log(wrong + 1e-3), 0)
            exact += np.where(own, (np.abs(said - column.cells[:, None]) < 1e-3).mean(1), 0)
        return {"trees error": -error, "trees log error": -log_error, "trees exact": exact}


@dataclass(frozen=True)
class Column:
    """One column as its trees see it.

    Attributes:
        forest: its trees.
        others: (N, columns - 1) what they compare.
        cells: (N,) the column itself: deviations, or bins.
        observed: (N,) which cells are there.
        bins: of a category; ``None`` for a number.
    """

    forest: Forest
    others: np.ndarray
    cells: np.ndarray
    observed: np.ndarray
    bins: int | None

    @property
    def sizes(self) -> np.ndarray:
        """(trees,) nodes of each tree."""
        return np.diff(np.append(self.forest.roots, len(self.forest.feature)))

    @property
    def randomised(self) -> int:
        """How many of the trees are extremely randomised: boosted ones follow, and are small."""
        large = np.flatnonzero(self.sizes > 2 * TreeConfig.boosted_leaves - 1)
        return int(large[-1]) + 1 if len(large) else len(self.sizes)

    @property
    def weight(self) -> float:
        """Of a randomised tree in what is said."""
        averaged = self.sizes[self.randomised :].max(initial=0) > 2 * TreeConfig.bounded_leaves - 1
        return (0.5 if averaged else 1.0) / self.randomised

    def randomised_leaves(self) -> np.ndarray:
        """(N, trees) what the leaves of the randomised trees hold."""
        leaves = self.forest.leaves(self.others)[:, : self.randomised]
        return leaves.astype(np.float64) / self.weight

    def line(self) -> np.ndarray:
        """(N,) what the regression says."""
        return self.forest.share[0] * self.forest.regression.predict(self.others)[:, 0]


def columns(fitted: Model, codes: Codes) -> Iterator[Column]:
    """The columns that have trees."""
    codec = fitted.codec
    deviations = codec.deviations(codes)
    numbers = [isinstance(b, ContinuousBins) for b in codec.bins_]
    x = np.where(numbers, np.nan_to_num(deviations), codes.bins).astype(np.float32)
    for j, forest in enumerate(fitted.imputer.refiner.forests):
        bins = None if numbers[j] else len(codec.bins_[j])
        yield Column(forest, np.delete(x, j, axis=1), x[:, j], codes.observed[:, j], bins)


# Rows out of trees


def recovered(target: Target, frame: pd.DataFrame) -> dict[str, float]:
    """Rows and cells that the leaves of the trees of numbers give away: see the module.

    Every tree that has a row in a leaf of its own holds the same number for it. Where the boxes of
    these leaves meet, each column in which one value alone is possible is stated. The values of a
    column are those of its bins' knots: the file has them.
    """
    codes = target.codes(frame)
    codec = target.fitted.codec
    values = [
        b.deviations(np.unique(b.knots)) if isinstance(b, ContinuousBins) else np.arange(len(b))
        for b in codec.bins_
    ]
    truth = np.stack([c.cells for c in columns(target.fitted, codes)], axis=1)
    rows = cells = 0
    whole: set[int] = set()
    for j, column in enumerate(columns(target.fitted, codes)):
        if column.bins is not None:
            continue
        others = np.delete(np.arange(truth.shape[1]), j)
        for low, high in linked_boxes(column, truth.shape[1] - 1):
            inside = [
                v[(v >= a - 1e-6) & (v <= b + 1e-6)]
                for v, a, b in zip((values[k] for k in others), low, high, strict=True)
            ]
            stated = np.array([len(v) == 1 for v in inside])
            said = np.array([v[0] if len(v) == 1 else np.nan for v in inside])
            if not stated.any():
                continue
            rows += 1
            same = np.abs(truth[:, others] - said) < 1e-3
            best = int((same & stated).sum(1).argmax())
            cells += int((same & stated)[best].sum()) if stated.sum() > 1 else 0
            if stated.all() and same[best].all():
                whole.add(best)
    return {"followed": rows, "tree_cells": cells, "whole_rows": len(whole)}


def linked_boxes(column: Column, features: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Where the leaves of nearly all randomised trees that hold the same number meet."""
    boxes: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {}
    for tree in range(column.randomised):
        held: dict[float, list[tuple[np.ndarray, np.ndarray]]] = {}
        for value, low, high in leaf_boxes(column.forest, tree, features):
            held.setdefault(round(value, 9), []).append((low, high))
        for value, own in held.items():
            if len(own) == 1:
                boxes.setdefault(value, []).extend(own)
    for found in boxes.values():
        if len(found) >= SAME_IN * column.randomised:
            yield np.max([b[0] for b in found], 0), np.min([b[1] for b in found], 0)


def leaf_boxes(
    forest: Forest, tree: int, features: int
) -> Iterator[tuple[float, np.ndarray, np.ndarray]]:
    """What each leaf of a tree holds, and the ends of each column in it."""
    stack = [(int(forest.roots[tree]), np.full(features, -np.inf), np.full(features, np.inf))]
    while stack:
        node, low, high = stack.pop()
        k, cut = int(forest.feature[node]), float(forest.value[node])
        if k == LEAF:
            yield cut, low, high
            continue
        left, right = high.copy(), low.copy()
        left[k], right[k] = min(high[k], cut), max(low[k], np.nextafter(cut, np.inf))
        stack += [(node + 1, low, left), (int(forest.right[node]), right, high)]


# Cells out of networks


def surely_said(target: Target, frame: pd.DataFrame, other: pd.DataFrame) -> float:
    """Cells a row that the networks say surely and rightly, against the commonest value, when they
    are shown a rare value of the row: how many more for ``frame`` than for ``other``."""
    found = []
    for rows in (frame, other):
        codes = target.codes(rows)
        right = asked = 0
        for j, coder in enumerate(target.fitted.codec.bins_):
            rare = coder.mass * len(frame) < RARE
            chosen = codes[np.flatnonzero(codes.observed[:, j] & rare[codes.bins[:, j]])]
            if not len(chosen):
                continue
            visible = np.zeros_like(chosen.observed)
            visible[:, j] = True
            hidden = target.fitted.networks.represent(chosen, visible)
            asked += len(chosen)
            for k, column in enumerate(target.fitted.codec.bins_):
                p = target.fitted.networks.probabilities(hidden, k)
                sure = (p.max(1) > SURE) & (p.argmax(1) != column.mass.argmax())
                sure &= chosen.observed[:, k] & (k != j)
                right += int((sure & (p.argmax(1) == chosen.bins[:, k])).sum())
        found.append(right / max(asked, 1))
    return found[0] - found[1]


# Membership


def judged(member: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """AUC, and the share of members found at ``FALSE_ALARMS``."""
    truth = np.repeat([1, 0], [len(member), len(other)])
    scores = np.concatenate([member, other])
    false, true, _ = roc_curve(truth, scores)
    found = true[np.searchsorted(false, FALSE_ALARMS, "right") - 1]
    return float(roc_auc_score(truth, scores)), float(found)


def by_shadow(
    target: Target, member: pd.DataFrame, other: pd.DataFrame, rest: pd.DataFrame, settings: dict
) -> dict[str, tuple[float, float]]:
    """The two attacks that fit a model to half of the attacker's rows."""
    half = len(rest) // 2
    shadow, _, _ = Target.of(rest[:half], seed=1, **settings)
    known = {name: target.scores(f) for name, f in (("member", member), ("other", other))}
    own = {name: shadow.scores(f) for name, f in (("member", rest[:half]), ("other", rest[half:]))}
    easy = {n: shadow.scores(f) for n, f in (("member", member), ("other", other))}
    name = "likelihood of each cell"
    apart = [known[n][name] - easy[n][name] for n in ("member", "other")]
    x, x_own = (
        [np.column_stack(list(side[n].values())) for n in ("member", "other")]
        for side in (known, own)
    )
    # Ranks, since another model's scores have other units.
    attack = LogisticRegression(max_iter=1000).fit(
        _ranks(x_own), np.repeat([1, 0], [len(p) for p in x_own])
    )
    said = attack.decision_function(_ranks(x))
    return {
        "beside the attacker's model": judged(*apart),
        "shadow model": judged(said[: len(member)], said[len(member) :]),
    }


def _ranks(parts: list[np.ndarray]) -> np.ndarray:
    both = np.concatenate(parts)
    few = min(len(both), 1000)
    return QuantileTransformer(n_quantiles=few, output_distribution="normal").fit_transform(both)


# All of it


def closer(model: TabVAE, member: pd.DataFrame, other: pd.DataFrame) -> float:
    """Share of generated rows that are nearer to rows of the table than to as many held out; half
    of those that are as near."""
    made = model.generate(2 * len(member), seed=1)
    (x, y, rows), categorical = as_codes(member, other, made[list(member.columns)])
    near, far = (nearest_distances(rows, t, categorical, np.vstack([x, y])) for t in (x, y))
    return float((near < far).mean() + (near == far).mean() / 2)


def measure(name: str, rows: int, settings: dict, shadow: bool) -> dict[str, object]:
    frame = table(name)
    member, other = frame[:rows], frame[rows : 2 * rows].reset_index(drop=True)
    rest = frame[2 * rows : 4 * rows].reset_index(drop=True)
    target, model, size = Target.of(member, seed=0, **settings)
    members, others = target.scores(member), target.scores(other)
    attacks = {attack: judged(members[attack], others[attack]) for attack in members}
    if shadow and len(rest) >= 2 * rows:
        attacks |= by_shadow(target, member, other, rest, settings)
    best = max(attacks, key=lambda attack: attacks[attack][0])
    return {
        "auc": attacks[best][0],
        "attack": best,
        "found": max(found for _, found in attacks.values()),
        "attacks": {a: [round(v, 3) for v in both] for a, both in attacks.items()},
        **recovered(target, member),
        "sure_cells": surely_said(target, member, other),
        "closer": closer(model, member, other),
        "kilobytes": size // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--rows", nargs="+", type=int, default=[500, 2000])
    parser.add_argument("--settings", nargs="+", default=list(SETTINGS), choices=SETTINGS)
    parser.add_argument("--no-shadow", action="store_true", help="fit no model of the attacker's")
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("privacy", ("table", "rows", "settings"))
    for rows in given.rows:
        for settings in given.settings:
            for name in given.tables:
                key = {"table": name, "rows": rows, "settings": settings}
                if len(table(name)) < 2 * rows or (results.has(**key) and not given.again):
                    continue
                progress(f"{name}, {rows} rows, {settings}")
                row = measure(name, rows, SETTINGS[settings], not given.no_shadow)
                results.add(**key, **row)
                progress(str({k: v for k, v in row.items() if k != "attacks"}))
    frame = results.frame().drop(columns=["attacks", "date"])
    print(frame.sort_values(["settings", "rows", "table"]).round(3).to_string(index=False))


if __name__ == "__main__":
    main()

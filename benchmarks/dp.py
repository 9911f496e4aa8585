"""Fits under differential privacy: is the accountant right, what do attacks find, what is it worth.

    python benchmarks/dp.py accountant                      # seconds
    python benchmarks/dp.py audit --tables adult shoppers   # minutes a table and epsilon
    python benchmarks/dp.py membership --tables adult
    python benchmarks/dp.py quality --epsilons 1 3 10       # minutes an epsilon
    python benchmarks/dp.py uses --epsilons 3

accountant  epsilon of a whole fit by our accountant (Renyi divergences), beside privacy loss
            distributions and, where it is installed, Opacus
audit       a lower bound of epsilon by one fit (Steinke, Nasr & Jagielski 2023): half of the
            canaries, rows whose columns are shuffled, are learned, by a coin each; those that the
            networks find likeliest are guessed to be learned. At epsilon inf the model memorises,
            so that one sees whether the audit can see
membership  AUC of telling rows learned from others by each score that the file has
quality     of generated rows, as ``generate.py`` has it, on the untouched half
uses        errors of imputation and p-values at fpr 1 and 5 % on untouched rows
"""

from __future__ import annotations

import argparse
import math
import time
import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
from common import (
    Results,
    categorical_columns,
    halves,
    imputation_error,
    machine,
    masked,
    progress,
)
from scipy.stats import binom
from sklearn.metrics import roc_auc_score

from tabvae import TabVAE
from tabvae.columns.codes import Codes
from tabvae.dp.budget import Budget, Privacy, epsilon_of, steps_event
from tabvae.dp.sgd import Course
from tabvae.files.frames import to_arrow
from tabvae.tasks.scores import Examined, known_scores
from tabvae.tasks.synthetic import as_codes
from tabvae.training.config import Settings

TARGETS = {"adult": "income", "shoppers": "Revenue"}
CONFIDENCE = 0.95


def fitted(frame: pd.DataFrame, epsilon: float, effort: str) -> TabVAE:
    """A fit of that epsilon; at infinity one that learns rows by heart."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if math.isinf(epsilon):
            return TabVAE(effort=effort, memorise=True).fit(frame)
        return TabVAE(effort=effort, epsilon=epsilon).fit(frame)


def likelihoods(model: TabVAE, frame: pd.DataFrame) -> np.ndarray:
    """(N,) sum of the log-probabilities of each cell given all others of its row."""
    codes, networks = encoded(model, frame), model.fitted_.networks
    total = np.zeros(len(codes))
    for j in range(codes.bins.shape[1]):
        rows = np.flatnonzero(codes.observed[:, j])
        p = networks.given_others(codes[rows], j)
        total[rows] += np.log(p[np.arange(len(rows)), codes.bins[rows, j]].clip(1e-9))
    return total


def encoded(model: TabVAE, frame: pd.DataFrame) -> Codes:
    return model.fitted_.codec.transform(to_arrow(frame))


# accountant


def accountant(given: argparse.Namespace) -> Iterator[dict[str, object]]:
    from dp_accounting import ComposedDpEvent, GaussianDpEvent
    from dp_accounting.pld import PLDAccountant

    for epsilon in given.epsilons:
        for rows in (1000, 24_395, 1_000_000):
            budget, course = Budget.of(Privacy(epsilon), 15), Course.of(Settings(), rows)
            steps = course.plan.steps
            multiplier = budget.gradients(course.rate, steps)
            gradients = steps_event(multiplier, course.rate, steps)
            counts = [GaussianDpEvent(budget.columns), GaussianDpEvent(budget.scores)]
            whole, delta = ComposedDpEvent([*counts, gradients]), budget.delta_curve
            yield {
                "epsilon": epsilon,
                "rows": rows,
                "noise": multiplier,
                "ours": epsilon_of(whole, delta) + budget.epsilon_rows,
                "by loss distributions": PLDAccountant().compose(whole).get_epsilon(delta)
                + budget.epsilon_rows,
                "gradients": epsilon_of(gradients, delta),
                "gradients by Opacus": by_opacus(multiplier, course.rate, steps, delta),
            }


def by_opacus(multiplier: float, rate: float, steps: int, delta: float) -> float:
    try:
        from opacus.accountants.analysis import rdp
    except ImportError:
        return math.nan
    from tabvae.dp.budget import ORDERS

    curve = rdp.compute_rdp(q=rate, noise_multiplier=multiplier, steps=steps, orders=list(ORDERS))
    return float(rdp.get_privacy_spent(orders=list(ORDERS), rdp=curve, delta=delta)[0])


# audit


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """Of so many right guesses, if the fit were (epsilon, delta)-private (Steinke et al. 2023,
    theorem 5.2): W is binomial, each guess right with probability exp(e) / (1 + exp(e)).

        P(W >= right) + 2 canaries delta max over i of ( P(right - i <= W < right) / i )
    """
    q = 1 / (1 + math.exp(-epsilon))
    i = np.arange(1, right + 1)
    tail = binom.sf(right - 1, guesses, q)
    rise = (binom.sf(right - i - 1, guesses, q) - tail) / i
    return float(min(tail + 2 * canaries * delta * rise.max(initial=0.0), 1.0))


def lower_bound(canaries: int, guesses: int, right: int, delta: float) -> float:
    """The epsilon that so many right guesses refute, at ``CONFIDENCE``."""
    low, high = 0.0, 50.0
    if p_value(canaries, guesses, right, low, delta) > 1 - CONFIDENCE:
        return 0.0
    while high - low > 1e-3:
        middle = (low + high) / 2
        refuted = p_value(canaries, guesses, right, middle, delta) <= 1 - CONFIDENCE
        low, high = (middle, high) if refuted else (low, middle)
    return low


def audit(given: argparse.Namespace) -> Iterator[dict[str, object]]:
    rng = np.random.default_rng()
    for name in given.tables:
        frame = halves(name)[0].sample(given.rows, random_state=0).reset_index(drop=True)
        shuffled = {
            c: frame[c].sample(given.canaries, random_state=k + 1).to_numpy()
            for k, c in enumerate(frame.columns)
        }
        canaries = pd.DataFrame(shuffled)
        for epsilon in given.epsilons:
            progress(f"{name}: audit at {epsilon}")
            learned = rng.random(len(canaries)) < 0.5
            model = fitted(pd.concat([frame, canaries[learned]]), epsilon, given.effort)
            order = np.argsort(likelihoods(model, canaries))
            count = len(canaries) // 4
            right = int(learned[order[-count:]].sum() + (~learned[order[:count]]).sum())
            yield {
                "table": name,
                "epsilon": epsilon,
                "canaries": len(canaries),
                "guesses": 2 * count,
                "right": right,
                "at least": lower_bound(len(canaries), 2 * count, right, 1e-6),
            }


# membership


def membership(given: argparse.Namespace) -> Iterator[dict[str, object]]:
    for name in given.tables:
        learned, other = (half.drop_duplicates() for half in halves(name))
        learned, other = (
            half.sample(min(given.rows, len(half)), random_state=0) for half in (learned, other)
        )
        for epsilon in given.epsilons:
            progress(f"{name}: membership at {epsilon}")
            model = fitted(learned, epsilon, given.effort)
            both = pd.concat([learned[:2000], other[:2000]])
            truth = np.repeat([1, 0], [len(learned[:2000]), len(other[:2000])])
            card, codes = model.fitted_.card, encoded(model, both)
            networks = model.fitted_.networks
            examined = Examined(
                model.fitted_.predictor, codes, card.scales, card.density, card.calibrations
            )
            found = {n: -examined.score(n) for n in known_scores(networks, card.density)}
            found["cells"] = likelihoods(model, both)
            aucs = {n: float(roc_auc_score(truth, score)) for n, score in found.items()}
            yield {"table": name, "epsilon": epsilon, "rows": len(learned), **aucs}


# what it is worth


def quality(given: argparse.Namespace) -> Iterator[dict[str, object]]:
    from generate import scores

    for name in given.tables:
        train, other = halves(name)
        target = list(train.columns).index(TARGETS[name])
        for epsilon in given.epsilons:
            progress(f"{name}: rows at {epsilon}")
            started = time.perf_counter()
            model = fitted(train, epsilon, given.effort)
            seconds = time.perf_counter() - started
            made = model.generate(len(train), seed=1)
            for column in train.select_dtypes("number"):
                made[column] = pd.to_numeric(made[column])
            (x, y, rows), categorical = as_codes(train, other, made)
            found = scores(rows, x, y, categorical, target)
            yield {"table": name, "epsilon": epsilon, **found, "seconds": seconds}


def uses(given: argparse.Namespace) -> Iterator[dict[str, object]]:
    for name in given.tables:
        train, other = halves(name)
        other = other[: given.rows].reset_index(drop=True)
        hidden = np.random.default_rng(0).random(other.shape) < 0.3
        for epsilon in given.epsilons:
            progress(f"{name}: uses at {epsilon}")
            model = fitted(train, epsilon, given.effort)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                filled = model.impute(masked(other, hidden))
                p = model.detect(other)["p_value"]
            error = imputation_error(other, filled, hidden, categorical_columns(name, other))
            yield {
                "table": name,
                "epsilon": epsilon,
                "rmse": error[0],
                "wrong": error[1],
                "fpr 1 %": float((p <= 0.01).mean()),
                "fpr 5 %": float((p <= 0.05).mean()),
            }


PARTS = {
    "accountant": (accountant, ("epsilon", "rows")),
    "audit": (audit, ("table", "epsilon")),
    "membership": (membership, ("table", "epsilon")),
    "quality": (quality, ("table", "epsilon")),
    "uses": (uses, ("table", "epsilon")),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--tables", nargs="+", default=["adult"], choices=TARGETS)
    parser.add_argument("--epsilons", nargs="+", type=float, default=[1.0, 3.0, 10.0])
    parser.add_argument("--effort", default="default", choices=["fast", "default", "best"])
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--canaries", type=int, default=200)
    given = parser.parse_args()
    print(machine())
    measure, keys = PARTS[given.part]
    results = Results(f"dp_{given.part}", keys)
    for line in measure(given):
        results.add(**line)
        print({k: round(v, 4) if isinstance(v, float) else v for k, v in line.items()})


if __name__ == "__main__":
    main()

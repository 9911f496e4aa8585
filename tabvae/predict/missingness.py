"""Cells that are missing because of what they hold: whether there are such, and what follows.

In a column that is missing not at random (Rubin 1976) the network, which learns from the observed
cells, is wrong about the missing ones. With a selection model (Heckman 1979)

    P(x_j is missing | x) / P(x_j is observed | x)  =  exp(c + t(x_j)),

the rule of Bayes leads from the one to the other (exponential tilting, Kim & Yu 2011), and says how
often cells are missing that the other cells o of their row would lead one to expect:

    p(x_j | o, missing)  is proportional to  p(x_j | o, observed) exp(t(x_j))
    P(x_j is missing | o) / P(x_j is observed | o)  =  E[ exp(c + t(x_j)) | o, observed ]

The second fits the tilt t, free for a category, a line and a bend for a number, to where the gaps
are. Its rival is that the other cells decide (missing at random). A tilt has to have strong
evidence beside a logistic model of them, which needs more weights; and, on rows that no network
trained on, it must not be worse than what the network has learned of "missing" as one more state of
the cell. Of a small table the network learns the observed cells by heart and is surer of them than
of the gaps, which a tilt could take for a reason: it must have strong evidence without that, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
from scipy.optimize import brentq, minimize
from scipy.special import entr, expit, logit, logsumexp

from tabvae.columns.arrow import Floats, Mask
from tabvae.columns.bins import LARGEST_SCORE, Bins, ContinuousBins
from tabvae.columns.codec import Codes, TableCodec
from tabvae.errors import shown
from tabvae.predict.ensemble import Ensemble, batches

MOST_ROWS, MOST_COLUMNS = 1500, 100
"""Rows the network has learned from, beside those it has not; wider tables are not judged."""
FEWEST_CELLS = 20
"""Missing ones, and observed ones, in a column that can be judged."""
STEEPNESS, BENDS = 2.0, 5
"""Likely slope of a number's tilt, for each deviation; points between which it bends, evenly over
the values as they are observed."""
MOST_WEIGHT = 4.0
"""Of a term, whose weights are standard normal before anything is known."""
MOST_INDICATORS = 10
"""Of one column of categories, in the logistic model."""
STRONG, ERRORS_APART = 3.0, 2.0
"""Evidence in nats (Kass & Raftery 1995); standard errors between two explanations that differ."""
HOTTEST = 20.0
"""Temperature of what was learned by heart."""
LEAST, LOWEST = 1e-12, -500.0


@dataclass(frozen=True)
class MissingnessModel:
    """How the cells of each modelled column were selected to be missing.

    Attributes:
        tilts: one (bins,) a column: log odds of being missing, but for a constant, of a cell in
            each bin; zero where gaps say nothing of what would be there.
    """

    tilts: tuple[Floats, ...]

    @classmethod
    def none(cls, codec: TableCodec) -> MissingnessModel:
        """Gaps say nothing."""
        return cls(tuple(np.zeros(size) for size in codec.sizes))

    @classmethod
    def fit(
        cls, ensemble: Ensemble, codec: TableCodec, seen: Codes, unseen: Codes, seed: int
    ) -> MissingnessModel:
        """Judge every column.

        Args:
            ensemble: the networks; of a kind that knows the state "missing".
            codec: knows the bins of each column.
            seen: (N, columns) rows the networks trained on.
            unseen: (H, columns) rows they did not train on.
            seed: of the choice among ``seen``.
        """
        codes = Codes.joined(unseen, seen.at_most(MOST_ROWS, seed))
        tilts = list(cls.none(codec).tilts)
        if len(tilts) > MOST_COLUMNS:
            return cls(tuple(tilts))
        known = np.arange(len(codes)) < len(unseen)
        # Gaps are one more state of the other cells.
        bins = np.where(codes.missing, codec.sizes, codes.bins)
        shown = replace(codes, bins=bins, observed=codes.observed | codes.missing)
        for j in range(len(tilts)):
            gap, counted = codes.missing[:, j], shown.observed[:, j]
            if min(gap.sum(), codes.observed[:, j].sum()) >= FEWEST_CELLS and gap[known].any():
                found = _given_others(ensemble, shown[counted], j)
                tilt = _strong_tilt(codec, codes[counted], j, found, known[counted])
                tilts[j] = tilts[j] if tilt is None else tilt
        return cls(tuple(tilts))

    def most_withheld(self, codec: TableCodec) -> dict[str, str]:
        """What is missing most often: by the name of each column whose gaps say what would be
        there, ``large``, ``small``, or a category in quotes."""
        found = {}
        for column, bins, tilt in zip(codec.columns_, codec.bins_, self.tilts, strict=True):
            if tilt.any():
                if isinstance(bins, ContinuousBins):
                    found[column.name] = "large" if tilt[-1] > tilt[0] else "small"
                else:
                    found[column.name] = shown(bins.vocabulary[int(tilt.argmax())])
        return found

    def given_missing(self, probabilities: Floats, j: int, missing: Mask) -> Floats:
        """p(x_j | others, missing) of those cells that are missing.

        Args:
            probabilities: (N, bins) p(x_j | others, observed) of column ``j``.
            j: which modelled column.
            missing: (N,) which cells are.
        """
        if not (self.tilts[j].any() and missing.any()):
            return probabilities
        tilt = np.maximum(self.tilts[j] - self.tilts[j].max(), LOWEST)
        weights = np.where(missing[:, None], np.exp(tilt), 1.0)
        tilted = probabilities * weights
        return cast(Floats, tilted / tilted.sum(1, keepdims=True))


def _given_others(ensemble: Ensemble, codes: Codes, j: int) -> Floats:
    """(N, bins + 1) of column ``j``, the last for "missing", given the others of its row."""
    parts = (ensemble.given_others(codes[rows], j, gaps=True) for rows in batches(len(codes)))
    return np.concatenate(list(parts))


def _strong_tilt(
    codec: TableCodec, codes: Codes, j: int, found: Floats, unseen: Mask
) -> Floats | None:
    """(bins,) the tilt of column ``j``, if it is the best explanation of its gaps.

    Args:
        codec: knows the bins.
        codes: (N, columns) rows in which the column is observed or missing.
        j: which modelled column.
        found: (N, bins + 1) what the networks find it to be, "missing" at last.
        unseen: (N,) rows that no network trained on.
    """
    gap, basis = codes.missing[:, j], _terms(codec.bins_[j])
    missing = found[:, -1].clip(LEAST, 1 - LEAST)
    log_p = np.log(found[:, :-1].clip(LEAST)) - np.log1p(-missing)[:, None]

    def tilted(log_p: Floats, weights: Floats) -> tuple[Floats, Floats]:
        terms = log_p + basis @ weights
        odds = logsumexp(terms, axis=1)
        return odds, np.exp(terms - odds[:, None]) @ basis

    own = _Odds.fit(partial(tilted, log_p), basis.shape[1], gap)
    enough = _log_likelihood(gap, np.full(len(gap), logit(gap.mean()))).sum() + STRONG
    if own.evidence < enough:
        return None
    x = _others(codec, codes, j)
    others = _Odds.fit(lambda weights: (x @ weights, x), x.shape[1], gap)
    if own.evidence < others.evidence + STRONG:
        return None
    learned = _log_likelihood(gap[unseen], logit(missing[unseen]))
    worse = learned - _log_likelihood(gap[unseen], own.fitted[unseen])
    if worse.sum() > ERRORS_APART * np.sqrt(len(worse)) * worse.std():
        return None
    unsure = _as_unsure(log_p, ~gap & ~unseen, ~gap & unseen)
    unlearned = _Odds.fit(partial(tilted, unsure), basis.shape[1], gap)
    return basis @ own.weights if unlearned.evidence >= enough else None


def _as_unsure(log_p: Floats, learned: Mask, held_out: Mask) -> Floats:
    """(N, bins) ``log_p`` of the ``learned`` rows at the temperature, at least 1, at which their
    mean entropy is that of the rows ``held_out``; the others as they are."""

    def at(heat: float) -> Floats:
        scaled = log_p[learned] / heat
        return cast(Floats, scaled - logsumexp(scaled, axis=1, keepdims=True))

    if not (learned.any() and held_out.any()):
        return log_p
    wanted = _entropy(log_p[held_out])

    def lacking(heat: float) -> float:
        return wanted - _entropy(at(heat))

    if lacking(1.0) <= 0:
        return log_p
    heat = brentq(lacking, 1.0, HOTTEST, xtol=0.01) if lacking(HOTTEST) < 0 else HOTTEST
    unsure = log_p.copy()
    unsure[learned] = at(heat)
    return unsure


def _entropy(log_p: Floats) -> float:
    """Mean of the rows, in nats."""
    return float(entr(np.exp(log_p)).sum(1).mean())


def _terms(bins: Bins) -> Floats:
    """(bins, terms) what a tilt is made of."""
    if not isinstance(bins, ContinuousBins):
        return np.eye(len(bins))
    line = bins.deviations(bins.means)
    share = np.cumsum(bins.mass) - bins.mass / 2
    away = np.abs(share[:, None] - np.linspace(0, 1, BENDS)) * (BENDS - 1)
    return np.column_stack([STEEPNESS * line, (1 - away).clip(min=0)])


def _others(codec: TableCodec, codes: Codes, j: int) -> Floats:
    """(N, terms) the columns but ``j``: where they have gaps; a number's place on its line, and in
    deviations; a category's indicators."""
    parts = []
    for k, bins in enumerate(codec.bins_):
        if k == j:
            continue
        if isinstance(bins, ContinuousBins):
            near = bins.deviations(codes.values[:, [k]]).clip(-LARGEST_SCORE, LARGEST_SCORE)
            known = np.hstack([codes.scores[:, [k]], near])
        else:
            known = codes.bins[:, [k]] == np.arange(min(len(bins), MOST_INDICATORS))
        parts += [codes.missing[:, [k]], np.where(codes.observed[:, [k]], known, 0.0)]
    return np.hstack(parts).astype(np.float64)


@dataclass(frozen=True)
class _Odds:
    """A model of where gaps are.

    Attributes:
        weights: (terms,) the best ones.
        fitted: (N,) log odds of each gap by them.
        evidence: Laplace's approximation of the logarithm of the marginal likelihood (Tierney &
            Kadane 1986).
    """

    weights: Floats
    fitted: Floats
    evidence: float

    @classmethod
    def fit(
        cls,
        odds: Callable[[Floats], tuple[Floats, Floats]],
        terms: int,
        gap: Mask,
    ) -> _Odds:
        """The weights that are most probable, and a constant.

        Args:
            odds: weights to (N,) log odds but for the constant, and their (N, terms) derivatives.
            terms: how many weights.
            gap: (N,) where cells are missing.
        """

        def whole(weights: Floats) -> tuple[Floats, Floats]:
            found, slopes = odds(weights[1:])
            return found + weights[0], slopes

        def loss(weights: Floats) -> tuple[float, Floats]:
            found, slopes = whole(weights)
            wrong = gap - expit(found)
            value = weights[1:] @ weights[1:] / 2 - _log_likelihood(gap, found).sum()
            return float(value), -np.append(wrong.sum(), slopes.T @ wrong - weights[1:])

        start = np.append(logit(gap.mean()), np.zeros(terms))
        bounds = [(None, None), *[(-MOST_WEIGHT, MOST_WEIGHT)] * terms]
        best = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds)
        found, slopes = whole(best.x)
        information = expit(found) * expit(-found)
        slopes = slopes - information @ slopes / information.sum()
        curvature = (slopes.T * information) @ slopes
        volume = np.linalg.slogdet(np.eye(terms) + curvature)[1] / 2
        return cls(best.x[1:], found, -float(best.fun) - volume)


def _log_likelihood(gap: Mask, odds: Floats) -> Floats:
    """(N,) of each gap, or none, given their log odds."""
    return gap * odds - np.logaddexp(0, odds)

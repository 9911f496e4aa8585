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

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import cast

import numpy as np
from scipy.optimize import brentq
from scipy.special import entr, logit, logsumexp

from tabvae.columns.arrays import Arrays, floats
from tabvae.columns.bins import AXES, Bins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.predict.ensemble import Ensemble, batches
from tabvae.predict.odds import GapModel, Odds, log_likelihood, rate_log_likelihood
from tabvae.progress import Tell, unheard
from tabvae.values.arrow import Floats, Mask

LEAST = 1e-12
"""Of a probability, or of what is divided by: logarithms and ratios stay finite."""


@dataclass(frozen=True)
class MissingnessConfig:
    """How gaps are judged; ``docs/decisions/0011-missing-not-at-random.md`` has the reasons.

    Attributes:
        most_rows: that the network has learned from, beside those it has not, so that time does not
            grow with the table.
        most_columns: of a table that is judged, for the same reason.
        fewest_cells: missing ones, and observed ones, in a column that can be judged.
        steepness: likely slope of a number's tilt, for each deviation.
        bends: points between which a number's tilt bends, evenly over the values as they are
            observed: a straight line is wrong where both ends are missing.
        most_weight: of a term, whose weights are standard normal before anything is known.
        most_indicators: of one column of categories in the logistic model, whose terms are to stay
            few.
        strong: evidence in nats that is (Kass & Raftery 1995).
        errors_apart: standard errors between two explanations that differ.
        hottest: temperature of what was learned by heart.
    """

    most_rows: int = 1500
    most_columns: int = 100
    fewest_cells: int = 20
    steepness: float = 2.0
    bends: int = 5
    most_weight: float = 4.0
    most_indicators: int = 10
    strong: float = 3.0
    errors_apart: float = 2.0
    hottest: float = 20.0


@dataclass(frozen=True)
class MissingnessModel:
    """How the cells of each modelled column were selected to be missing.

    Attributes:
        tilts: one (bins,) a column: log odds of being missing, but for a constant, of a cell in
            each bin; zero where gaps say nothing of what would be there.

    **Examples**

    >>> second = MissingnessModel((np.array([0.0, 0.0]), np.log([1.0, 3.0])))
    >>> second.given_missing(np.full((2, 2), 0.5), j=1, missing=np.array([True, False]))
    array([[0.25, 0.75],
           [0.5 , 0.5 ]])
    """

    tilts: tuple[Floats, ...]

    @classmethod
    def none(cls, codec: TableCodec) -> MissingnessModel:
        """Gaps say nothing."""
        return cls(tuple(np.zeros(size) for size in codec.sizes))

    @classmethod
    def fit(
        cls,
        ensemble: Ensemble,
        codec: TableCodec,
        seen: Codes,
        unseen: Codes,
        seed: int,
        config: MissingnessConfig | None = None,
        tell: Tell = unheard,
    ) -> MissingnessModel:
        """Judge every column.

        Args:
            ensemble: the networks; of a kind that knows the state "missing".
            codec: knows the bins of each column.
            seen: (N, columns) rows the networks trained on.
            unseen: (H, columns) rows they did not train on.
            seed: of the choice among ``seen``.
            config: how they are judged.
            tell: how far it is.
        """
        config = config or MissingnessConfig()
        codes = Codes.joined(unseen, seen.at_most(config.most_rows, seed))
        model = cls.none(codec)
        if len(model.tilts) > config.most_columns:
            return model
        validation = np.arange(len(codes)) < len(unseen)
        # Gaps are one more state of the other cells.
        bins = np.where(codes.missing, codec.sizes, codes.bins)
        states = replace(codes, bins=bins, observed=codes.observed | codes.missing)
        tilts = list(model.tilts)
        for j in range(len(tilts)):
            gap, counted = codes.missing[:, j], states.observed[:, j]
            fewest = min(gap.sum(), codes.observed[:, j].sum())
            if fewest >= config.fewest_cells and gap[validation].any():
                probabilities = _given_others(ensemble, states[counted], j)
                rows = codes[counted], validation[counted]
                tilts[j] = judge(codec, *rows, j, probabilities, config).applied(tilts[j])
            tell((j + 1) / len(tilts))
        return cls(tuple(tilts))

    def most_withheld(self, codec: TableCodec) -> dict[str, str]:
        """What is missing most often: by the name of each column whose gaps say what would be
        there, ``large``, ``small``, or a category in quotes."""
        withheld = {}
        for column, bins, tilt in zip(codec.columns_, codec.bins_, self.tilts, strict=True):
            if tilt.any():
                withheld[column.name] = bins.favoured(tilt)
        return withheld

    def given_missing(self, probabilities: Floats, j: int, missing: Mask) -> Floats:
        """p(x_j | others, missing) of those cells that are missing.

        Args:
            probabilities: (N, bins) p(x_j | others, observed) of column ``j``.
            j: which modelled column.
            missing: (N,) which cells are.
        """
        if not (self.tilts[j].any() and missing.any()):
            return probabilities
        # Far below what a probability is told apart by, and far above where ``exp`` is 0.
        tilt = np.maximum(self.tilts[j] - self.tilts[j].max(), -500.0)
        weights = np.where(missing[:, None], np.exp(tilt), 1.0)
        tilted = probabilities * weights
        return cast(Floats, tilted / tilted.sum(1, keepdims=True))

    def arrays(self) -> Arrays:
        """``tilt.j``: one of each column."""
        return {f"tilt.{j}": tilt for j, tilt in enumerate(self.tilts)}

    @classmethod
    def from_arrays(cls, arrays: Arrays, codec: TableCodec) -> MissingnessModel:
        """Made again from what ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are not those of ``codec``.
        """
        tilts = tuple(floats(arrays, f"tilt.{j}") for j in range(len(codec.sizes)))
        if [tilt.shape for tilt in tilts] != [(size,) for size in codec.sizes]:
            raise ValueError("the tilts are not those of its columns")
        return cls(tilts)


def _given_others(ensemble: Ensemble, codes: Codes, j: int) -> Floats:
    """(N, bins + 1) of column ``j``, the last for "missing", given the others of its row."""
    parts = (ensemble.given_others(codes[rows], j, gaps=True) for rows in batches(len(codes)))
    return np.concatenate(list(parts))


@dataclass(frozen=True)
class Judgement:
    """Whether the gaps of a column say what would be there.

    Attributes:
        tilt: (bins,) log odds of being missing, if they do.
        failed: the first criterion that a tilt has not met, if they do not.

    **Examples**

    >>> Judgement(None, "beats_other_cells").applied(np.zeros(2))
    array([0., 0.])
    """

    tilt: Floats | None
    failed: str | None

    def applied(self, before: Floats) -> Floats:
        """The tilt, or what it was ``before``."""
        return before if self.tilt is None else self.tilt


def judge(
    codec: TableCodec,
    codes: Codes,
    validation: Mask,
    j: int,
    probabilities: Floats,
    config: MissingnessConfig | None = None,
) -> Judgement:
    """Whether a tilt is the best explanation of the gaps of a column.

    Args:
        codec: knows the bins.
        codes: (N, columns) rows in which the column is observed or missing.
        validation: (N,) rows that no network trained on.
        j: which modelled column.
        probabilities: (N, bins + 1) of its bins by the networks, "missing" at last.
        config: how it is judged.
    """
    case = _Case(codec, codes, validation, j, probabilities, config or MissingnessConfig())
    criteria = (
        case.beats_a_constant_rate,
        case.beats_other_cells,
        case.matches_network,
        case.holds_when_unsure,
    )
    # One after the other, for most need a fit of their own.
    failed = next((criterion.__name__ for criterion in criteria if not criterion()), None)
    return Judgement(case.basis @ case.tilted.weights if failed is None else None, failed)


@dataclass(frozen=True)
class _Case:
    """The gaps of one column, see ``judge``."""

    codec: TableCodec
    codes: Codes
    validation: Mask
    j: int
    probabilities: Floats
    config: MissingnessConfig

    @property
    def gap(self) -> Mask:
        """(N,) where the column is missing."""
        return self.codes.missing[:, self.j]

    @cached_property
    def basis(self) -> Floats:
        """(bins, terms) what a tilt is made of."""
        return _basis(self.codec.bins_[self.j], self.config)

    @property
    def missing(self) -> Floats:
        """(N,) how probable the state "missing" is to the networks."""
        return self.probabilities[:, -1].clip(LEAST, 1 - LEAST)

    @cached_property
    def log_p(self) -> Floats:
        """(N, bins) of each bin, if it is not missing."""
        observed = np.log1p(-self.missing)[:, None]
        return cast(Floats, np.log(self.probabilities[:, :-1].clip(LEAST)) - observed)

    @cached_property
    def tilted(self) -> GapModel:
        """The best tilt."""
        return self._tilt(self.log_p)

    @property
    def enough(self) -> float:
        """Strong evidence beside gaps that are everywhere as likely."""
        return rate_log_likelihood(self.gap) + self.config.strong

    def beats_a_constant_rate(self) -> bool:
        """The tilt has strong evidence beside gaps that are everywhere as likely."""
        return self.tilted.evidence >= self.enough

    def beats_other_cells(self) -> bool:
        """The tilt has strong evidence beside a logistic model of the other cells."""
        x = _others(self.codec, self.codes, self.j, self.config)
        others = self._fit(lambda weights: (x @ weights, x), x.shape[1])
        return self.tilted.evidence >= others.evidence + self.config.strong

    def matches_network(self) -> bool:
        """On validation rows the tilt is not worse than what the network has learned of "missing"
        as one more state."""
        gap = self.gap[self.validation]
        learned = log_likelihood(gap, logit(self.missing[self.validation]))
        worse = learned - log_likelihood(gap, self.tilted.log_odds[self.validation])
        errors = np.sqrt(len(worse)) * worse.std()
        return bool(worse.sum() <= self.config.errors_apart * errors)

    def holds_when_unsure(self) -> bool:
        """The tilt has strong evidence also if the network is no surer of rows that it learned by
        heart than of validation rows."""
        learned, validation = ~self.gap & ~self.validation, ~self.gap & self.validation
        unsure = _as_unsure(self.log_p, learned, validation, self.config.hottest)
        return self._tilt(unsure).evidence >= self.enough

    def _tilt(self, log_p: Floats) -> GapModel:
        return self._fit(partial(self._tilted_odds, log_p), self.basis.shape[1])

    def _tilted_odds(self, log_p: Floats, weights: Floats) -> tuple[Floats, Floats]:
        """log E[ exp t(x_j) ] in each row, and its derivatives."""
        terms = log_p + self.basis @ weights  # (N, bins)
        log_odds = logsumexp(terms, axis=1)
        return log_odds, np.exp(terms - log_odds[:, None]) @ self.basis  # (N, bins) @ (bins, terms)

    def _fit(self, odds: Odds, terms: int) -> GapModel:
        return GapModel.fit(odds, terms, self.gap, self.config.most_weight)


def _as_unsure(log_p: Floats, learned: Mask, validation: Mask, hottest: float) -> Floats:
    """(N, bins) ``log_p`` of the ``learned`` rows at the temperature, at least 1, at which their
    mean entropy is that of the rows of ``validation``; the others as they are."""

    def at(temperature: float) -> Floats:
        scaled = log_p[learned] / temperature
        return cast(Floats, scaled - logsumexp(scaled, axis=1, keepdims=True))

    if not (learned.any() and validation.any()):
        return log_p
    entropy = _entropy(log_p[validation])

    def missing_entropy(temperature: float) -> float:
        return entropy - _entropy(at(temperature))

    if missing_entropy(1.0) <= 0:
        return log_p
    temperature = hottest
    if missing_entropy(hottest) < 0:
        temperature = brentq(missing_entropy, 1.0, hottest, xtol=0.01)
    unsure = log_p.copy()
    unsure[learned] = at(temperature)
    return unsure


def _entropy(log_p: Floats) -> float:
    """Mean of the rows, in nats."""
    return float(entr(np.exp(log_p)).sum(1).mean())


def _basis(bins: Bins, config: MissingnessConfig) -> Floats:
    """(bins, terms) what a tilt is made of: an indicator of each category, a line and a bend."""
    if not isinstance(bins, ContinuousBins):
        return np.eye(len(bins))
    deviations = bins.deviations(bins.means)
    share = np.cumsum(bins.mass) - bins.mass / 2
    distance = np.abs(share[:, None] - np.linspace(0, 1, config.bends)) * (config.bends - 1)
    return np.column_stack([config.steepness * deviations, (1 - distance).clip(min=0)])


def _others(codec: TableCodec, codes: Codes, j: int, config: MissingnessConfig) -> Floats:
    """(N, terms) the columns but ``j``: where they have gaps; a number on its axis, and in
    deviations; a category's indicators."""
    parts = []
    for k, bins in enumerate(codec.bins_):
        if k == j:
            continue
        if isinstance(bins, ContinuousBins):
            deviations = bins.deviations(codes.values[:, [k]]).clip(-AXES["normal"], AXES["normal"])
            terms = np.hstack([codes.scores[:, [k]], deviations])
        else:
            terms = codes.bins[:, [k]] == np.arange(min(len(bins), config.most_indicators))
        parts += [codes.missing[:, [k]], np.where(codes.observed[:, [k]], terms, 0.0)]
    return np.hstack(parts).astype(np.float64)

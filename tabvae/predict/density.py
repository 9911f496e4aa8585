"""How rare a row is among all rows: mixtures of Gaussians over three views of it.

Where many columns depend on each other smoothly, an odd row is a little off everywhere and no cell
of it is a surprise; the density of the row as a whole tells it (Zhao, Nasrullah & Li 2019 compare
such detectors). A mixture says where rows are, so it could say where one row is: its parameters are
bounded by the number of rows, and each of its components stands for several of them.

Shapes: N rows, G numbers of a view, K components.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from tabvae.columns.arrays import Arrays, Document, floats, prefixed, unprefixed
from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.predict.calibration import Calibration
from tabvae.predict.ensemble import batches
from tabvae.predict.predictor import Predictor
from tabvae.values.arrow import FARTHEST, Floats

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

VIEWS = ("deviations", "scores", "code")
"""Numbers in deviations of their columns, in normal scores, and what the first network makes of all
columns. An unobserved number is where the others of its row expect it."""


@dataclass(frozen=True)
class DensityConfig:
    """How a mixture is chosen: by its log-density of rows that it was not fitted to.

    Attributes:
        components: that are tried, of each kind of covariance.
        parameters: of a mixture, per row and per root of half its numbers. A row raises its own
            log-density by about parameters / rows, and log-densities of rows differ by that root:
            rows that were fitted are told from others with an AUC of about .53.
        fewest_rows: that a component stands for; more with ``min_count``.
        most_rows: that are fitted; more hardly change the mixture.
        least_variance: of a component, in squared deviations.
        least_scale: of numbers that vary.
        iterations: of expectation and maximisation.

    Examples:
        >>> DensityConfig().budget(rows=1000, width=8)
        180.0
    """

    components: tuple[int, ...] = (1, 2, 4, 8, 16, 32)
    parameters: float = 0.09
    fewest_rows: int = 10
    most_rows: int = 10_000
    least_variance: float = 1e-3
    least_scale: float = 1e-5
    iterations: int = 50

    def budget(self, rows: int, width: int) -> float:
        """Parameters that a mixture of so many rows and numbers may have."""
        return self.parameters * rows * float(np.sqrt(width / 2))


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians over standardised numbers.

    Attributes:
        center: (G,) mean of the rows.
        scale: (G,) their deviation.
        weights: (K,) of the components.
        means: (K, G) of standardised numbers.
        factors: Cholesky factors of the precisions, as scikit-learn has them: (K, G, G) where
            ``covariance`` is full, (G, G) tied, (K, G) diag.
        covariance: kind of covariance.

    Raises:
        ValueError: it is no distribution.

    Examples:
        >>> rows = np.random.default_rng(0).normal(3, 2, size=(400, 2))
        >>> mixture = Mixture.fit(rows[:300], rows[300:], fewest_rows=10)
        >>> near, far = mixture.log_density(np.array([[3.0, 3.0], [30.0, 3.0]]))
        >>> bool(near > far)
        True
    """

    kinds: ClassVar[tuple[str, ...]] = ("full", "tied", "diag")
    numbers: ClassVar[tuple[str, ...]] = ("center", "scale", "weights", "means", "factors")

    center: Floats
    scale: Floats
    weights: Floats
    means: Floats
    factors: Floats
    covariance: str

    def __post_init__(self) -> None:
        count, width = self.means.shape
        shapes = {"full": (count, width, width), "tied": (width, width), "diag": (count, width)}
        if (
            self.covariance not in self.kinds
            or self.factors.shape != shapes[self.covariance]
            or self.center.shape != (width,)
            or self.scale.shape != (width,)
            or self.weights.shape != (count,)
            or min(count, width) < 1
            or not (self.weights > 0).all()
            or not (self._diagonals() > 0).all()
            or not all(np.abs(n).max() <= FARTHEST for n in (self.center, self.means, self.factors))
            or not 1 / FARTHEST < self.scale.min() <= self.scale.max() < FARTHEST
        ):
            raise ValueError("a density that is none")

    @classmethod
    def fit(
        cls,
        rows: Floats,
        validation: Floats,
        fewest_rows: int,
        config: DensityConfig = DensityConfig(),
    ) -> Mixture:
        """The mixture of ``rows`` (N, G) that makes ``validation`` (H, G) likeliest, of those
        within the budget; without such rows a single Gaussian.

        Args:
            rows: to fit.
            validation: to choose by.
            fewest_rows: that each component stands for.
            config: what is tried.
        """
        center, scale = rows.mean(0), rows.std(0)
        scale = np.where(scale > config.least_scale, scale, 1.0)
        fitted, chosen = (rows - center) / scale, (validation - center) / scale
        tried = [
            mixture
            for mixture in _mixtures(fitted, config)
            if (mixture.predict_proba(fitted).sum(0) >= min(fewest_rows, len(rows))).all()
        ]
        best = max(tried, key=lambda m: m.score(chosen)) if len(chosen) else tried[0]
        # In the order in which a file has it, so that a loaded model adds in the same order.
        factors = np.ascontiguousarray(best.precisions_cholesky_)
        return cls(center, scale, best.weights_, best.means_, factors, best.covariance_type)

    def log_density(self, rows: Floats) -> Floats:
        """(N,) of rows (N, G), in nats."""
        from sklearn.mixture import GaussianMixture  # Most commands of a model need none.

        mixture = GaussianMixture(len(self.weights), covariance_type=self.covariance)
        mixture.weights_, mixture.means_ = self.weights, self.means
        mixture.precisions_cholesky_ = self.factors
        return cast(Floats, mixture.score_samples((rows - self.center) / self.scale))

    def arrays(self) -> Arrays:
        """Its numbers, by name."""
        return {name: getattr(self, name) for name in self.numbers}

    @classmethod
    def from_arrays(cls, arrays: Arrays, covariance: str) -> Mixture:
        """Made again from what ``arrays`` gave."""
        numbers = {name: floats(arrays, name) for name in cls.numbers}
        return cls(**numbers, covariance=covariance)

    def _diagonals(self) -> Floats:
        if self.covariance == "diag":
            return self.factors
        return np.diagonal(self.factors, axis1=-2, axis2=-1)


@dataclass(frozen=True)
class Density:
    """The density of rows in each view, and how it is distributed over ordinary rows.

    Attributes:
        mixtures: by view; one without numbers has none.
        calibrations: of minus the log-density, by view.

    Raises:
        ValueError: there is no such view, or one lacks its calibration.

    **Examples**

    >>> rows = np.random.default_rng(0).normal(size=(300, 2))
    >>> mixture = Mixture.fit(rows[:200], rows[200:], fewest_rows=10)
    >>> known = Calibration.measure(-mixture.log_density(rows))
    >>> Density({"code": mixture}, {"code": known}).document()["code"]["covariance"]
    'diag'
    """

    mixtures: Mapping[str, Mixture]
    calibrations: Mapping[str, Calibration]

    def __post_init__(self) -> None:
        if not set(self.mixtures) <= set(VIEWS) or set(self.mixtures) != set(self.calibrations):
            raise ValueError("the views of a row are others")

    @classmethod
    def fit(
        cls,
        predictor: Predictor,
        training: Codes,
        validation: Codes,
        ordinary: Codes,
        config: DensityConfig = DensityConfig(),
    ) -> Density:
        """Learn where the rows are.

        Args:
            predictor: networks and codec.
            training: (n, D) rows to fit.
            validation: (H, D) rows to choose by.
            ordinary: (m, D) rows that new ones are compared with.
            config: what is tried.
        """
        fewest = max(config.fewest_rows, predictor.codec.min_count)
        parts = (training.at_most(config.most_rows, seed=0), validation, ordinary)
        fitted, chosen, compared = (views(predictor, part) for part in parts)
        mixtures = {
            view: Mixture.fit(rows, chosen[view], fewest, config) for view, rows in fitted.items()
        }
        calibrations = {
            view: Calibration.measure(-mixture.log_density(compared[view]))
            for view, mixture in mixtures.items()
        }
        return cls(mixtures, calibrations)

    def rarity(self, predictor: Predictor, codes: Codes) -> Floats:
        """(N,) how rare rows are: the root mean square of their rarity in each view, in nats."""
        seen = views(predictor, codes)
        squares = [
            self.calibrations[view].rarity(-mixture.log_density(seen[view])) ** 2
            for view, mixture in self.mixtures.items()
        ]
        return cast(Floats, np.sqrt(np.mean(squares, axis=0)))

    def arrays(self) -> Arrays:
        """``density.*``."""
        named: Arrays = {}
        for view, mixture in self.mixtures.items():
            quantiles = {"quantiles": self.calibrations[view].quantiles}
            named |= prefixed(f"density.{view}.", mixture.arrays() | quantiles)
        return named

    def document(self) -> Document:
        """Kind of covariance and calibrating rows of each view."""
        return {
            view: {"covariance": mixture.covariance, "rows": self.calibrations[view].rows}
            for view, mixture in self.mixtures.items()
        }

    @classmethod
    def from_document(
        cls, document: Mapping[str, Mapping[str, Any]], arrays: Arrays, predictor: Predictor
    ) -> Density:
        """Made again from what ``document`` and ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are not those of such networks.
        """
        if not isinstance(document, Mapping):
            raise ValueError("a density of no views")
        widths = _widths(predictor)
        mixtures, calibrations = {}, {}
        for view in sorted(document, key=VIEWS.index):
            own = unprefixed(f"density.{view}.", arrays)
            mixtures[view] = Mixture.from_arrays(own, document[view]["covariance"])
            rows, quantiles = {"rows": document[view]["rows"]}, floats(own, "quantiles")
            calibrations[view] = from_json(Calibration, rows, quantiles=quantiles)
            if mixtures[view].means.shape[1] != widths.get(view):
                raise ValueError("a density of another table")
        return cls(mixtures, calibrations)


def views(predictor: Predictor, codes: Codes) -> dict[str, Floats]:
    """Each view (N, G) of rows, those without numbers left out."""
    blocks = [_views(predictor, codes[rows]) for rows in batches(len(codes))]
    widths = _widths(predictor)
    empty = {view: np.zeros((0, width)) for view, width in widths.items()}
    return {view: np.concatenate([empty[view], *(b[view] for b in blocks)]) for view in widths}


def _views(predictor: Predictor, codes: Codes) -> dict[str, Floats]:
    complete = codes.copy()
    gappy = np.flatnonzero(~codes.observed.all(1))
    layers = predictor.networks.represent(codes[gappy], codes.observed[gappy])
    for j in np.flatnonzero(predictor.codec.is_number).tolist():
        unknown = np.flatnonzero(~codes.observed[gappy, j])
        probabilities = predictor.networks.probabilities([h[unknown] for h in layers], j)
        predictor.put_expected(complete, j, gappy[unknown], probabilities)
    deviations, scores = np.zeros((2, *codes.bins.shape))
    for j, bins in enumerate(predictor.codec.bins_):
        cells = complete.values[:, j]
        deviations[:, j] = bins.deviations(cells).clip(-FARTHEST, FARTHEST)
        scores[:, j] = bins.normal_scores(cells, complete.bins[:, j])
    numbers = predictor.codec.is_number
    code = predictor.networks.posterior(codes)[0].clip(-FARTHEST, FARTHEST)
    return {"deviations": deviations[:, numbers], "scores": scores[:, numbers], "code": code}


def _widths(predictor: Predictor) -> dict[str, int]:
    numbers = int(predictor.codec.is_number.sum())
    widths = {"deviations": numbers, "scores": numbers, "code": predictor.networks.latent}
    return {view: widths[view] for view in VIEWS if widths[view]}


def _mixtures(rows: Floats, config: DensityConfig) -> Iterator[GaussianMixture]:
    """A single Gaussian without correlations, and what else the budget allows."""
    from sklearn.mixture import GaussianMixture

    width = rows.shape[1]
    triangle = width * (width + 1) // 2
    for covariance in reversed(Mixture.kinds):
        for count in config.components:
            factors = {"full": count * triangle, "tied": triangle, "diag": count * width}
            parameters = count * width + factors[covariance]
            simplest = covariance == "diag" and count == 1
            within = parameters <= config.budget(len(rows), width) and count < len(rows)
            if simplest or within:
                mixture = GaussianMixture(
                    count,
                    covariance_type=covariance,
                    reg_covar=config.least_variance,
                    max_iter=config.iterations,
                    random_state=0,
                )
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", ConvergenceWarning)
                    yield mixture.fit(rows)

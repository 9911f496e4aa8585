"""The bins of one column: a value becomes a bin number and comes back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtr, ndtri

from tabvae.columns.arrays import Arrays, Document, floats
from tabvae.columns.arrow import FARTHEST, LARGEST_NUMBER, Floats, Ints
from tabvae.columns.from_json import from_json

FEWEST_ROWS_PER_BIN = 5
KNOTS = 9
"""Points of the quantile function kept inside each bin, its two ends included."""
LARGEST_SCORE = 4.0
MOST_CELLS = 10**9
MOST_DEVIATIONS = 100.0
MOST_OFF = 1e-6
LINES = ("normal", "standard", "unit")
"""Normal scores; deviations from the mean; from 0 at the least value to 1 at the largest."""


@dataclass(frozen=True)
class ContinuousBins:
    """Bins of a continuous column, in order of their place on the line.

    Attributes:
        knots: (bins, KNOTS) quantiles inside each bin, evenly spaced in probability; all equal
            in an atom.
        means: (bins,) mean of the training values in each bin.
        mass: (bins,) share of the training values in each bin.
        center: mean of the training values.
        scale: their standard deviation, 1 if they do not vary; their range, if that is so small
            that its square is zero.
        line: one of ``LINES``: where the network sees a value lie.
    """

    knots: Floats
    means: Floats
    mass: Floats
    center: float
    scale: float
    line: str = "normal"
    is_number: ClassVar[bool] = True

    def __post_init__(self) -> None:
        bins = len(self.means)
        shapes = (self.knots.shape, self.means.shape, self.mass.shape)
        if bins == 0 or shapes != ((bins, KNOTS), (bins,), (bins,)):
            raise ValueError("the bins of a column of numbers do not fit together")
        if self.line not in LINES or not self.scale > 0 or not (self.mass > 0).all():
            raise ValueError("the bins of a column of numbers have no measure")
        if not abs(self.mass.sum() - 1) < MOST_OFF:
            raise ValueError("the bins of a column of numbers do not sum to one")
        ends = np.array([*self.ends, self.means.min(), self.means.max(), self.center])
        if not (np.abs(ends) <= LARGEST_NUMBER).all() or not self.scale <= LARGEST_NUMBER:
            raise ValueError("the bins of a column of numbers are too large")
        if not (np.abs(ends - self.center) <= FARTHEST * self.scale).all():
            raise ValueError("the bins of a column of numbers are too far from their mean")
        if self.ends[0] < self.ends[1] and self.scale > self.ends[1] - self.ends[0]:
            raise ValueError("the bins of a column of numbers deviate more than they differ")

    @classmethod
    def fit(cls, values: Floats, most: int, line: str = "normal") -> ContinuousBins:
        """Choose at most ``most`` bins for the finite numbers ``values``."""
        distinct, counts = np.unique(values, return_counts=True)
        is_atom = np.full(len(distinct), True)
        if len(distinct) > most:
            is_atom = counts * most >= len(values)
        groups = [
            np.full(int(c), v) for v, c in zip(distinct[is_atom], counts[is_atom], strict=True)
        ]
        rest = np.repeat(distinct[~is_atom], counts[~is_atom])
        groups += _quantile_groups(rest, most - len(groups))
        groups.sort(key=lambda g: (float(g.mean()), float(g[0])))
        levels = np.linspace(0, 1, KNOTS)
        return cls(
            knots=np.stack([np.quantile(g, levels) for g in groups]),
            means=np.array([g.mean() for g in groups]),
            mass=np.array([len(g) / len(values) for g in groups]),
            center=float(values.mean()),
            scale=float(values.std()) or float(np.ptp(values)) or 1.0,
            line=line,
        )

    def __len__(self) -> int:
        return len(self.means)

    @property
    def positions(self) -> Floats:
        """(bins,) place of each bin on the line."""
        if self.line == "normal":
            return cast(Floats, ndtri(np.cumsum(self.mass) - self.mass / 2))
        return self.scores(self.means, np.arange(len(self)))

    def as_guess(self, probabilities: Floats) -> Floats:
        """(n,) the mean of each distribution (n, bins), in column deviations."""
        return self.deviations(probabilities @ self.means)

    def of_guess(self, guess: Floats) -> tuple[Ints, Floats]:
        """Bins and values (n,) of numbers in column deviations."""
        values = self.center + guess * self.scale
        return self.encode(values), values

    def truth(self, bins: Ints, values: Floats) -> Floats:
        """What a perfect guess of cells (n,) would be."""
        return self.deviations(values.clip(*self.ends))

    def expected(self, probabilities: Floats) -> tuple[Ints, Floats]:
        """The likeliest bin and the mean (n,) of each distribution (n, bins)."""
        return probabilities.argmax(1), probabilities @ self.means

    @property
    def widths(self) -> Floats:
        """(bins,) width of each bin in data units, 0 for an atom."""
        return self.knots[:, -1] - self.knots[:, 0]

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest number; a bin can reach beyond an atom that precedes it."""
        return float(self.knots.min()), float(self.knots.max())

    def encode(self, values: Floats) -> Ints:
        """The bin of each of ``values``; one outside every bin goes to the nearest."""
        atoms = np.flatnonzero(self.widths == 0)
        spans = np.flatnonzero(self.widths > 0)
        found = np.zeros(len(values), dtype=np.int64)
        if len(spans):
            last = self.knots[spans, -1]
            inside = spans[np.searchsorted(last, values).clip(max=len(spans) - 1)]
            found = inside
        if len(atoms):
            points = self.knots[atoms, 0]
            above = np.searchsorted(points, values).clip(max=len(atoms) - 1)
            below = (above - 1).clip(min=0)
            nearer_below = values - points[below] < points[above] - values
            nearest = np.where(nearer_below, below, above)
            hit = (points[nearest] == values) if len(spans) else np.full(len(values), True)
            found = np.where(hit, atoms[nearest], found)
        return found

    def deviations(self, values: Floats) -> Floats:
        """How far each value is from the mean of the column, in its deviations."""
        return (values - self.center) / self.scale

    def scores(self, values: Floats, bins: Ints) -> Floats:
        """The place of each value, in the bin given, on the line."""
        if self.line == "normal":
            return self.normal_scores(values, bins)
        if self.line == "standard":
            return self.deviations(values).clip(-MOST_DEVIATIONS, MOST_DEVIATIONS)
        low, high = self.ends
        share = (values - low) / max(high - low, np.finfo(float).tiny)
        return cast(Floats, np.clip(share, 0, 1))

    def normal_scores(self, values: Floats, bins: Ints) -> Floats:
        """The normal score of each value: its quantile under the training marginal, as N(0, 1)."""
        below = np.cumsum(self.mass) - self.mass
        low, high = self.knots[bins, 0], self.knots[bins, -1]
        width = np.where(high > low, high - low, 1.0)
        inside = np.where(high > low, np.clip((values - low) / width, 0, 1), 0.5)
        quantile = below[bins] + inside * self.mass[bins]
        return cast(
            Floats, np.clip(ndtri(quantile.clip(1e-6, 1 - 1e-6)), -LARGEST_SCORE, LARGEST_SCORE)
        )

    def at_scores(self, scores: Floats) -> tuple[Ints, Floats]:
        """The bin and the value at each normal score: the inverse of ``normal_scores``."""
        quantile, above = ndtr(scores), np.cumsum(self.mass)
        bins = np.searchsorted(above, quantile).clip(max=len(self) - 1)
        levels = 1 - (above[bins] - quantile) / self.mass[bins]
        return bins, self.decode(bins, levels.clip(0, 1))

    def decode(self, bins: Ints, levels: Floats) -> Floats:
        """The value at quantile ``levels`` in 0..1 inside each of ``bins``."""
        position = levels * (KNOTS - 1)
        left = np.minimum(position.astype(np.int64), KNOTS - 2)
        weight = position - left
        return cast(
            Floats, (1 - weight) * self.knots[bins, left] + weight * self.knots[bins, left + 1]
        )

    def arrays(self) -> Arrays:
        """Knots, means and mass."""
        return {"knots": self.knots, "means": self.means, "mass": self.mass}

    def document(self) -> Document:
        """Center, scale and line."""
        return {"center": self.center, "scale": self.scale, "line": self.line}

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], arrays: Arrays, prefix: str
    ) -> ContinuousBins:
        """Made again from what ``document`` and ``arrays`` gave, these with a ``prefix``.

        Raises:
            ValueError: they are no bins.
            KeyError: an array is missing.
        """
        own = {name: floats(arrays, prefix + name) for name in ("knots", "means", "mass")}
        return from_json(cls, document, **own)


def _quantile_groups(values: Floats, wanted: int) -> list[Floats]:
    """Split sorted ``values`` into about ``wanted`` runs; equal values stay together.

    Half of the resolution goes where the values are, half where they are far apart: the latter
    with the density to the power 1/3, which loses least squared error (Panter & Dite 1951).
    """
    if len(values) == 0:
        return []
    pieces = max(len(values) // FEWEST_ROWS_PER_BIN, 1)
    edges = np.linspace(0, len(values), pieces + 1).round().astype(int)
    spread = (values[(edges[1:] - 1)] - values[edges[:-1]]) ** (2 / 3)
    share = 0.5 / pieces + 0.5 * spread / max(spread.sum(), np.finfo(float).tiny)
    cuts = np.searchsorted(np.cumsum(share), np.arange(1, max(wanted, 1)) / max(wanted, 1))
    starts = np.unique(np.searchsorted(values, values[edges[cuts.clip(max=pieces - 1)]]))
    return [group for group in np.split(values, starts) if len(group)]


@dataclass(frozen=True)
class CategoricalBins:
    """Categories by falling frequency; the last bin pools the rare ones when there are many.

    Attributes:
        vocabulary: the text of every category.
        counts: how often each occurs in the training table.
        size: number of bins.
    """

    vocabulary: tuple[str, ...]
    counts: tuple[int, ...]
    size: int
    is_number: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= len(self.vocabulary) == len(self.counts):
            raise ValueError("the bins of a column of categories do not fit together")
        if not (min(self.counts) >= 1 and sum(self.counts) < MOST_CELLS):
            raise ValueError("a category does not occur, or more often than in any table")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("a category comes twice")

    @classmethod
    def fit(cls, texts: pa.Array, most: int, min_count: int = 1) -> CategoricalBins:
        """Collect the categories that occur ``min_count`` times in ``texts``, which has no nulls;
        at most ``most`` bins."""
        counted = pc.value_counts(texts)
        pairs = sorted(
            zip(
                counted.field("values").to_pylist(),
                counted.field("counts").to_pylist(),
                strict=True,
            ),
            key=lambda pair: (-pair[1], pair[0]),
        )
        pairs = [pair for pair in pairs if pair[1] >= min_count]
        vocabulary = tuple(str(text) for text, _ in pairs)
        return cls(vocabulary, tuple(int(c) for _, c in pairs), min(len(vocabulary), most))

    def __len__(self) -> int:
        return self.size

    @property
    def mass(self) -> Floats:
        """(bins,) share of the training cells in each bin."""
        counts = np.array(self.counts, dtype=np.float64)
        own = np.append(counts[: self.size - 1], counts[self.size - 1 :].sum())
        return cast(Floats, own / counts.sum())

    @property
    def positions(self) -> Floats:
        """(bins,) zero: categories have no order."""
        return np.zeros(self.size)

    def as_guess(self, probabilities: Floats) -> Floats:
        """Each distribution (n, bins) itself."""
        return probabilities

    def of_guess(self, guess: Floats) -> tuple[Ints, Floats]:
        """The likeliest bins (n,), which have no value."""
        return self.expected(guess)

    def truth(self, bins: Ints, values: Floats) -> Floats:
        """What a perfect guess of cells (n,) would be: (n, bins) certain."""
        return np.eye(self.size)[bins]

    def expected(self, probabilities: Floats) -> tuple[Ints, Floats]:
        """The likeliest bin (n,) of each distribution (n, bins); it has no value."""
        return probabilities.argmax(1), np.full(len(probabilities), np.nan)

    def encode(self, texts: pa.Array) -> Ints:
        """The bin of each text, -1 for a text that is not in the vocabulary."""
        index = pc.fill_null(pc.index_in(texts, value_set=pa.array(self.vocabulary)), -1)
        bins = index.to_numpy(zero_copy_only=False).astype(np.int64)
        return cast(Ints, np.minimum(bins, self.size - 1))

    def decode(self, bins: Ints, levels: Floats) -> list[str]:
        """The category of each bin; ``levels`` in 0..1 chooses within the pooled bin."""
        pooled = np.array(self.counts[self.size - 1 :], dtype=np.float64)
        shares = np.cumsum(pooled) / pooled.sum()
        within = np.searchsorted(shares, levels).clip(max=len(pooled) - 1)
        index = np.where(bins == self.size - 1, bins + within, bins)
        return [self.vocabulary[i] for i in index]

    @property
    def scale(self) -> float:
        """One: what is counted in deviations of a column stays as it is."""
        return 1.0

    def arrays(self) -> Arrays:
        """None: all of it is in the document."""
        return {}

    def document(self) -> Document:
        """Vocabulary, counts and size."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> CategoricalBins:
        """Made again from what ``document`` gave.

        Raises:
            ValueError: it is no bins.
        """
        return from_json(cls, document)


Bins = ContinuousBins | CategoricalBins

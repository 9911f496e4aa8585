"""The bins of one column: a value becomes a bin number and comes back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, NamedTuple, cast

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy.special import ndtr, ndtri

from tabvae.columns.arrays import Arrays, Document, floats
from tabvae.columns.from_json import from_json
from tabvae.columns.schema import Column, ColumnKind
from tabvae.errors import shown
from tabvae.values import arrow
from tabvae.values.arrow import FARTHEST, LARGEST_NUMBER, Floats, Ints
from tabvae.values.booleans import spelled

AXES = {"normal": 4.0, "standard": 100.0, "unit": 1.0}
"""Where the network sees numbers lie, and how far out: normal scores; deviations from the mean;
from 0 at the least value to 1 at the largest."""
KNOTS = 9
"""Points of the quantile function in each bin, its two ends included; model files have as many."""


class Cells(NamedTuple):
    """Cells of one column.

    Attributes:
        bins: (n,) bin of each; -1 of one that the column cannot read.
        scores: (n,) coordinate of a number on the column's axis; 0 of anything else.
        values: (n,) number in data units; NaN of anything else.
    """

    bins: Ints
    scores: Floats
    values: Floats


@dataclass(frozen=True)
class ContinuousBins:
    """Bins of a continuous column, in order of their place on its axis.

    Attributes:
        knots: (bins, KNOTS) quantiles inside each bin, evenly spaced in probability; all equal
            in an atom.
        means: (bins,) mean of the training values in each bin.
        mass: (bins,) share of the training values in each bin.
        center: mean of the training values.
        scale: their standard deviation, 1 if they do not vary; their range, if that is so small
            that its square is zero.
        axis: one of ``AXES``: where the network sees a value lie.

    Raises:
        ValueError: they do not fit together, or are larger than any column's.

    **Examples**

    >>> bins = ContinuousBins.fit(np.array([1.0, 2.0, 2.0, 5.0]), most=16)
    >>> bins.encode(np.array([2.0, 4.9])).tolist(), bins.means.tolist()
    ([1, 2], [1.0, 2.0, 5.0])
    >>> [array.tolist() for array in bins.expected(np.array([[0.5, 0.25, 0.25]]))]
    [[0], [2.25]]
    """

    knots: Floats
    means: Floats
    mass: Floats
    center: float
    scale: float
    axis: str = "normal"
    is_number: ClassVar[bool] = True

    def __post_init__(self) -> None:
        bins = len(self.means)
        shapes = (self.knots.shape, self.means.shape, self.mass.shape)
        if bins == 0 or shapes != ((bins, KNOTS), (bins,), (bins,)):
            raise ValueError("the bins of a column of numbers do not fit together")
        if self.axis not in AXES or not self.scale > 0 or not (self.mass > 0).all():
            raise ValueError("the bins of a column of numbers have no measure")
        rounding = 1e-6
        if not abs(self.mass.sum() - 1) < rounding:
            raise ValueError("the bins of a column of numbers do not sum to one")
        ends = np.array([*self.ends, self.means.min(), self.means.max(), self.center])
        if not (np.abs(ends) <= LARGEST_NUMBER).all() or not self.scale <= LARGEST_NUMBER:
            raise ValueError("the bins of a column of numbers are too large")
        if not (np.abs(ends - self.center) <= FARTHEST * self.scale).all():
            raise ValueError("the bins of a column of numbers are too far from their mean")
        if self.ends[0] < self.ends[1] and self.scale > self.ends[1] - self.ends[0]:
            raise ValueError("the bins of a column of numbers deviate more than they differ")

    @classmethod
    def fit(
        cls, values: Floats, most: int, axis: str = "normal", rows_per_bin: int = 5
    ) -> ContinuousBins:
        """Choose bins.

        Args:
            values: (n,) finite numbers.
            most: bins at most.
            axis: one of ``AXES``.
            rows_per_bin: fewest values in a bin that is no atom; quantiles of fewer say little.
        """
        distinct, counts = np.unique(values, return_counts=True)
        is_atom = np.full(len(distinct), True)
        if len(distinct) > most:
            is_atom = counts * most >= len(values)
        groups = [
            np.full(int(c), v) for v, c in zip(distinct[is_atom], counts[is_atom], strict=True)
        ]
        rest = np.repeat(distinct[~is_atom], counts[~is_atom])
        groups += _quantile_groups(rest, most - len(groups), rows_per_bin)
        groups.sort(key=lambda g: (float(g.mean()), float(g[0])))
        quantiles = np.linspace(0, 1, KNOTS)
        return cls(
            knots=np.stack([np.quantile(g, quantiles) for g in groups]),
            means=np.array([g.mean() for g in groups]),
            mass=np.array([len(g) / len(values) for g in groups]),
            center=float(values.mean()),
            scale=float(values.std()) or float(np.ptp(values)) or 1.0,
            axis=axis,
        )

    def __len__(self) -> int:
        return len(self.means)

    @property
    def positions(self) -> Floats:
        """(bins,) coordinate of each bin on the axis."""
        if self.axis == "normal":
            return cast(Floats, ndtri(np.cumsum(self.mass) - self.mass / 2))
        return self.scores(self.means, np.arange(len(self)))

    def as_guess(self, probabilities: Floats) -> Floats:
        """(n,) the mean of each distribution (n, bins), in column deviations."""
        return self.deviations(probabilities @ self.means)

    def of_guess(self, guess: Floats) -> tuple[Ints, Floats]:
        """Bins and values (n,) of numbers in column deviations; where all bins are atoms, numbers
        that occur."""
        values = self.center + guess * self.scale
        bins = self.encode(values)
        return bins, values if self.widths.any() else self.means[bins]

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
        """(n,) the bin of each of ``values`` (n,); one outside every bin goes to the nearest."""
        atoms = np.flatnonzero(self.widths == 0)
        spans = np.flatnonzero(self.widths > 0)
        bins = np.zeros(len(values), dtype=np.int64)
        if len(spans):
            last = self.knots[spans, -1]
            bins = spans[np.searchsorted(last, values).clip(max=len(spans) - 1)]
        if len(atoms):
            points = self.knots[atoms, 0]
            above = np.searchsorted(points, values).clip(max=len(atoms) - 1)
            below = (above - 1).clip(min=0)
            nearer_below = values - points[below] < points[above] - values
            nearest = np.where(nearer_below, below, above)
            in_atom = (points[nearest] == values) if len(spans) else np.full(len(values), True)
            bins = np.where(in_atom, atoms[nearest], bins)
        return bins

    def read(self, column: Column, array: pa.Array) -> Cells:
        """The cells of an Arrow array (n,) of the column."""
        values = column.values(array)
        readable = np.isfinite(values)
        cells = Cells(np.full(len(values), -1), np.zeros(len(values)), np.full(len(values), np.nan))
        cells.values[readable] = values[readable]
        cells.bins[readable] = self.encode(values[readable])
        cells.scores[readable] = self.scores(values[readable], cells.bins[readable])
        return cells

    def deviations(self, values: Floats) -> Floats:
        """How far each value is from the mean of the column, in its deviations."""
        return (values - self.center) / self.scale

    def deviations_within(self, values: Floats) -> Floats:
        """(n,) the same of values (n,), those beyond the ends taken as the ends."""
        return self.deviations(values.clip(*self.ends))

    def favoured(self, tilt: Floats) -> str:
        """Which end a tilt (bins,) of log-probabilities makes likelier, in words."""
        return "large" if tilt[-1] > tilt[0] else "small"

    def scores(self, values: Floats, bins: Ints) -> Floats:
        """(n,) the coordinate of each value, in the bin given, on the axis."""
        if self.axis == "normal":
            return self.normal_scores(values, bins)
        farthest = AXES[self.axis]
        if self.axis == "standard":
            return self.deviations(values).clip(-farthest, farthest)
        low, high = self.ends
        share = (values - low) / max(high - low, np.finfo(float).tiny)
        return cast(Floats, np.clip(share, 0, farthest))

    def normal_scores(self, values: Floats, bins: Ints) -> Floats:
        """The normal score of each value: its quantile under the training marginal, as N(0, 1)."""
        below = np.cumsum(self.mass) - self.mass
        low, high = self.knots[bins, 0], self.knots[bins, -1]
        width = np.where(high > low, high - low, 1.0)
        inside = np.where(high > low, np.clip((values - low) / width, 0, 1), 0.5)
        quantile = below[bins] + inside * self.mass[bins]
        farthest = AXES["normal"]
        scores = ndtri(quantile.clip(1e-6, 1 - 1e-6)).clip(-farthest, farthest)
        return cast(Floats, scores)

    def at_scores(self, scores: Floats) -> tuple[Ints, Floats]:
        """The bin and the value at each normal score: the inverse of ``normal_scores``."""
        quantile, above = ndtr(scores), np.cumsum(self.mass)
        bins = np.searchsorted(above, quantile).clip(max=len(self) - 1)
        inside = 1 - (above[bins] - quantile) / self.mass[bins]
        return bins, self.decode(bins, inside.clip(0, 1))

    def decode(self, bins: Ints, quantiles: Floats) -> Floats:
        """(n,) the value at each of ``quantiles`` (n,), in 0..1, inside each of ``bins`` (n,)."""
        position = quantiles * (KNOTS - 1)
        left = np.minimum(position.astype(np.int64), KNOTS - 2)
        weight = position - left
        return cast(
            Floats, (1 - weight) * self.knots[bins, left] + weight * self.knots[bins, left + 1]
        )

    @property
    def texts(self) -> pa.Array:
        """None: numbers are written in the format of the column."""
        return pa.array([], pa.string())

    def arrays(self) -> Arrays:
        """Knots, means and mass."""
        return {"knots": self.knots, "means": self.means, "mass": self.mass}

    def document(self) -> Document:
        """Center, scale, and the axis by the name it has in a file."""
        return {"center": self.center, "scale": self.scale, "line": self.axis}

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], arrays: Arrays, prefix: str
    ) -> ContinuousBins:
        """Made again from what ``document`` and ``arrays`` gave, these with a ``prefix``.

        Raises:
            ValueError: they are no bins.
            KeyError: an array is missing.
        """
        given: dict[str, Any] = {
            name: floats(arrays, prefix + name) for name in ("knots", "means", "mass")
        }
        numbers = {name: value for name, value in document.items() if name != "line"}
        return from_json(cls, numbers, axis=document.get("line", "normal"), **given)


def _quantile_groups(values: Floats, wanted: int, rows_per_bin: int) -> list[Floats]:
    """Split sorted ``values`` into about ``wanted`` runs; equal values stay together.

    Half of the resolution goes where the values are, half where they are far apart: the latter
    with the density to the power 1/3, which loses least squared error (Panter & Dite 1951).
    """
    if len(values) == 0:
        return []
    pieces = max(len(values) // rows_per_bin, 1)
    edges = np.linspace(0, len(values), pieces + 1).round().astype(int)
    spread = (values[(edges[1:] - 1)] - values[edges[:-1]]) ** (2 / 3)
    share = 0.5 / pieces + 0.5 * spread / max(spread.sum(), np.finfo(float).tiny)
    cuts = np.searchsorted(np.cumsum(share), np.arange(1, max(wanted, 1)) / max(wanted, 1))
    starts = np.unique(np.searchsorted(values, values[edges[cuts.clip(max=pieces - 1)]]))
    return [group for group in np.split(values, starts) if len(group)]


@dataclass(frozen=True)
class CategoricalBins:
    """Categories in their order, or by falling frequency; the last bin pools the rare ones when
    there are many.

    Trees split categories by the numbers of their bins, so an order helps them.

    Attributes:
        vocabulary: the text of every category.
        counts: how often each occurs in the training table.
        size: number of bins.

    Raises:
        ValueError: they do not fit together, or are of more cells than any table has.

    **Examples**

    >>> bins = CategoricalBins.fit(pa.array(["b", "a", "b", "c"]), most=2)
    >>> bins.vocabulary, bins.encode(pa.array(["b", "c", "new"])).tolist()
    (('b', 'a', 'c'), [0, 1, -1])
    >>> bins.decode(np.array([0, 1]), np.array([0.0, 0.9]))
    ['b', 'c']
    """

    vocabulary: tuple[str, ...]
    counts: tuple[int, ...]
    size: int
    is_number: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.size <= len(self.vocabulary) == len(self.counts):
            raise ValueError("the bins of a column of categories do not fit together")
        most_cells = 10**9
        if not (min(self.counts) >= 1 and sum(self.counts) < most_cells):
            raise ValueError("a category does not occur, or more often than in any table")
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise ValueError("a category comes twice")

    @classmethod
    def fit(
        cls, texts: pa.Array, most: int, min_count: int = 1, order: tuple[str, ...] = ()
    ) -> CategoricalBins:
        """Collect the categories that occur ``min_count`` times in ``texts``, which has no nulls;
        at most ``most`` bins, in ``order`` if none is pooled."""
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
        if len(pairs) <= most:
            place = {text: i for i, text in enumerate(order)}
            pairs.sort(key=lambda pair: place.get(pair[0], len(place)))
        vocabulary = tuple(str(text) for text, _ in pairs)
        return cls(vocabulary, tuple(int(c) for _, c in pairs), min(len(vocabulary), most))

    def __len__(self) -> int:
        return self.size

    @property
    def mass(self) -> Floats:
        """(bins,) share of the training cells in each bin."""
        counts = np.array(self.counts, dtype=np.float64)
        in_bins = np.append(counts[: self.size - 1], counts[self.size - 1 :].sum())
        return cast(Floats, in_bins / counts.sum())

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

    def deviations(self, values: Floats) -> Floats:
        """(n,) NaN: a category has none."""
        return np.full(len(values), np.nan)

    def deviations_within(self, values: Floats) -> Floats:
        """(n,) NaN: a category has none."""
        return self.deviations(values)

    def normal_scores(self, values: Floats, bins: Ints) -> Floats:
        """(n,) NaN: a category has none."""
        return self.deviations(values)

    def favoured(self, tilt: Floats) -> str:
        """Which category a tilt (bins,) of log-probabilities makes likeliest, in quotes."""
        return shown(self.vocabulary[int(tilt.argmax())])

    def encode(self, texts: pa.Array) -> Ints:
        """The bin of each text, -1 for a text that is not in the vocabulary."""
        index = pc.fill_null(pc.index_in(texts, value_set=pa.array(self.vocabulary)), -1)
        bins = index.to_numpy(zero_copy_only=False).astype(np.int64)
        return cast(Ints, np.minimum(bins, self.size - 1))

    def read(self, column: Column, array: pa.Array) -> Cells:
        """The cells of an Arrow array (n,) of the column."""
        texts = arrow.to_text(array)
        if column.kind is ColumnKind.BOOLEAN:
            texts = spelled(texts, self.vocabulary)
        bins = self.encode(texts)
        return Cells(bins, np.zeros(len(bins)), np.full(len(bins), np.nan))

    def decode(self, bins: Ints, quantiles: Floats) -> list[str]:
        """The category of each bin (n,); ``quantiles`` (n,) in 0..1 choose within the pooled bin,
        the most frequent first."""
        pooled = np.array(self.counts[self.size - 1 :], dtype=np.float64)
        shares = np.cumsum(pooled) / pooled.sum()
        within = np.searchsorted(shares, quantiles).clip(max=len(pooled) - 1)
        index = np.where(bins == self.size - 1, bins + within, bins)
        return [self.vocabulary[i] for i in index]

    @property
    def scale(self) -> float:
        """One: what is counted in deviations of a column stays as it is."""
        return 1.0

    @property
    def texts(self) -> pa.Array:
        """(categories,) the vocabulary."""
        return pa.array(self.vocabulary, pa.string())

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

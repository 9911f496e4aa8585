"""What columns are, by noisy counts of their cells and by what is public of them.

Each column has a purse: what its counts may cost together. A query takes a part of what is left,
and whatever is decided from its answer decides on what the rest is spent; the sum is the same on
every way. All queries of a column are histograms: a row falls into one cell of each.

1. What its cells are: missing, numbers with so many decimals, dates, other text. Not asked where
   kind and decimals are public.
2. Which values are frequent: categories, or numbers that many rows share. Not asked where
   categories are public: these are all counted.
3. Where the other numbers lie: in powers of two (years for dates, equal parts of a public range);
   then the full cells cut into finer ones, and once more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.bins import KNOTS, Bins, CategoricalBins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.public import PublicColumn
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.dp.budget import Budget, Privacy
from tabvae.dp.noise import noisy_counts, threshold, uniforms
from tabvae.errors import DataError, SchemaError, shown, suggestion
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints, Mask, NumberFormat

DATE_FORMATS = ("%Y-%m-%d", "%d.%m.%Y", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S")
"""That are looked for; others have to be asked for."""


@dataclass(frozen=True)
class DescribeConfig:
    """How columns are told by noisy counts.

    Attributes:
        kinds_share: of the purse, for what cells are: whether nine in ten are numbers is soon told.
        values_share: of what is left, for the values that many numbers share.
        share_that_decides: share of a column's cells that are numbers, or dates, if it is one of
            these.
        share_of_decimals: share of its numbers above which so many decimals are its own.
        most_decimals: that are told apart.
        fewest_cells: of a value that may be released: others are not even counted.
        sure: deviations of the noise above which a count is surely no noise alone.
        likely: the same of the ends of a range that is roughly known.
        magnitudes: powers of two between which numbers of unknown range are looked for.
        years: between which dates are looked for.
        parts: of a public range, at first.
        pieces: into which a full cell is cut, at most.
        full: share of the numbers, above which a cell is full.
        fewest_bins: of a column of numbers.
        most_bins: of one; more would hold noise alone.
    """

    kinds_share: float = 0.125
    values_share: float = 0.5
    share_that_decides: float = 0.9
    share_of_decimals: float = 0.01
    most_decimals: int = 5
    fewest_cells: int = 5
    sure: float = 4.0
    likely: float = 2.5
    magnitudes: tuple[int, int] = (-10, 50)
    years: tuple[int, int] = (1900, 2100)
    parts: int = 32
    pieces: int = 16
    full: float = 1 / 32
    fewest_bins: int = 16
    most_bins: int = 64


@dataclass
class Purse:
    """What the counts of one column may still cost.

    Attributes:
        rho: of zero-concentrated differential privacy (Bun & Steinke 2016), a factor of all Renyi
            divergences.

    **Examples**

    >>> purse = Purse(rho=0.5)
    >>> len(purse.counts(np.array([3, 4]), share=0.5)[0]), purse.rho
    (2, 0.25)
    """

    rho: float

    def counts(self, counts: Ints, share: float) -> tuple[Ints, Fraction]:
        """Noisy ``counts`` (n,) of one histogram, and the variance of the noise.

        Sensitivity 1, see ``noisy_counts``; discrete Gaussian noise of variance v costs 1 / (2 v).

        Args:
            counts: disjoint ones: a row is in one of them at most.
            share: of what is left, that they take.
        """
        spent = self.rho * share
        variance = Fraction(math.ceil(16 / (2 * spent)), 16)  # rounded up: never more than that
        self.rho -= spent
        return noisy_counts(counts, variance), variance


@dataclass(frozen=True)
class Described:
    """Columns as they may be known.

    Attributes:
        codec: their kinds and bins.
        by_threshold: how many columns have values that were released by their noisy count.
    """

    codec: TableCodec
    by_threshold: int


def looked_at(
    table: pa.Table, privacy: Privacy, kinds: Mapping[str, ColumnKind]
) -> dict[str, PublicColumn]:
    """The columns whose cells are counted, with what is public of them.

    Args:
        table: only its names and types matter.
        privacy: what is asked for.
        kinds: that options give; they go before the others.

    Raises:
        SchemaError: a column that is named does not exist, or cannot tell units.
    """
    for name in [*privacy.public, *kinds, *([] if privacy.unit is None else [privacy.unit])]:
        if name not in table.column_names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
    if privacy.unit is not None and not _readable(table.schema.field(privacy.unit).type):
        raise SchemaError(
            f"column {shown(privacy.unit)} holds no text and no numbers to tell units"
        )
    columns = {}
    for field in table.schema:
        public = privacy.public.get(field.name, PublicColumn())
        if field.name in kinds and kinds[field.name] is not public.kind:
            public = PublicColumn(kinds[field.name], datetime_format=public.datetime_format)
        known = public.kind is None or public.kind.modelled
        if known and field.name != privacy.unit and _readable(field.type):
            columns[field.name] = _by_type(public, field.type)
    return columns


def _readable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _readable(kind.value_type)
    kinds = (arrow.is_text, arrow.is_number, arrow.is_moment, pa.types.is_boolean)
    return any(is_one(kind) for is_one in kinds)


def _by_type(public: PublicColumn, kind: pa.DataType) -> PublicColumn:
    """What the stored type, which is public, adds."""
    if pa.types.is_boolean(kind) and public.kind is None:
        return PublicColumn(ColumnKind.BOOLEAN, categories=("true", "false"))
    if pa.types.is_dictionary(kind) and public.kind is None:
        return replace(public, kind=ColumnKind.CATEGORICAL)
    if arrow.is_moment(kind) and public.kind is None:
        return replace(public, kind=ColumnKind.DATETIME)
    if arrow.is_number(kind) and public.kind is None:
        public = replace(public, kind=ColumnKind.NUMERIC)
    whole = pa.types.is_integer(kind) and public.kind is ColumnKind.NUMERIC
    return replace(public, decimals=0) if whole else public


def one_row_a_unit(table: pa.Table, unit: str | None, na_values: tuple[str, ...]) -> pa.Table:
    """One row of each value of the column ``unit``, chosen at random.

    So a unit is a row of what is learned from, and adding or removing it adds or removes one. Rows
    that name no unit could be of any, and are left out.

    >>> table = pa.table({"who": ["a", "b", "a", ""], "x": [1, 2, 3, 4]})
    >>> sorted(one_row_a_unit(table, "who", ("",)).column("who").to_pylist())
    ['a', 'b']
    """
    if unit is None:
        return table
    array = arrow.flat(table.column(unit))
    named = np.flatnonzero(~arrow.missing_mask(array, na_values))
    order = named[np.argsort(uniforms(len(named)), kind="stable")]
    units = pc.dictionary_encode(array.take(pa.array(order))).indices
    _, first = np.unique(units.to_numpy(zero_copy_only=False), return_index=True)
    return table.take(pa.array(order[np.sort(first)]))


def describe(
    table: pa.Table,
    na_values: tuple[str, ...],
    columns: Mapping[str, PublicColumn],
    formats: Mapping[str, str],
    budget: Budget,
    rows: int,
) -> Described:
    """Kinds and bins of the columns of ``table``.

    Args:
        table: one row a unit.
        na_values: texts that mean a missing cell.
        columns: what is looked at, with what is public of each.
        formats: datetime formats that options give.
        budget: what the counts may cost.
        rows: the noisy number of rows.

    Raises:
        DataError: nothing can be modelled.
    """
    rho = 1 / (2 * budget.columns**2) / max(len(columns), 1)
    described: list[tuple[Column, Bins | None]] = []
    by_threshold = 0
    for field in table.schema:
        blank = Column(field.name, ColumnKind.IGNORED, "not looked at", str(field.type))
        public = columns.get(field.name)
        if public is None:
            described.append((blank, None))
            continue
        if field.name in formats:
            public = replace(public, datetime_format=formats[field.name])
        array = arrow.flat(table.column(field.name))
        one = _Cells(blank, array, na_values, public, Purse(rho), budget.delta_value, rows)
        described.append(one.described())
        by_threshold += not public.categories
    bare = pa.schema([pa.field(field.name, field.type) for field in table.schema])
    schema = Schema(tuple(column for column, _ in described), bare, rows)
    try:
        schema.require_enough()
    except DataError as error:
        hint = "a larger --epsilon, or --schema with what is public of its columns"
        raise DataError(error.message, hint) from error
    codec = TableCodec(schema, na_values)
    codec.columns_ = schema.modelled
    codec.bins_ = tuple(bins for _, bins in described if bins is not None)
    codec.require_narrow()
    return Described(codec, by_threshold)


@dataclass
class _Cells:
    """The cells of one column, and all that is asked of them."""

    blank: Column
    array: pa.Array
    na_values: tuple[str, ...]
    public: PublicColumn
    purse: Purse
    delta: float
    rows: int
    config: DescribeConfig = DescribeConfig()

    def __post_init__(self) -> None:
        self.is_missing = arrow.missing_mask(self.array, self.na_values)
        self.present = self.array.filter(pa.array(~self.is_missing))

    def described(self) -> tuple[Column, Bins | None]:
        """The column, and its bins if it can be modelled."""
        kind, public = self.public.kind, self.public
        if kind is None or (kind is ColumnKind.NUMERIC and public.decimals is None):
            public = self._classified()
        if public.kind is ColumnKind.NUMERIC:
            return self._numbers(public)
        if public.kind is ColumnKind.DATETIME:
            return self._moments(public)
        return self._categories(public)

    def _classified(self) -> PublicColumn:
        """Kind, decimals and format, where they are not public, by counts of what cells are."""
        config, most = self.config, self.config.most_decimals
        values = arrow.to_numbers(self.present)
        classes = np.full(len(values), most + 2 + len(DATE_FORMATS))
        if arrow.is_text(self.array.type) and self.public.kind is None:
            for place, written in enumerate(DATE_FORMATS):
                classes[np.isfinite(arrow.to_seconds(self.present, written))] = most + 2 + place
        numbers = np.isfinite(values)
        classes[numbers] = _decimals(values[numbers], most)
        counts = np.bincount(classes, minlength=most + 3 + len(DATE_FORMATS))
        noisy, variance = self.purse.counts(
            np.append(counts, self.is_missing.sum()), config.kinds_share
        )
        noisy = np.where(noisy > config.sure * math.sqrt(variance), noisy, 0)[:-1]
        of_numbers, of_dates = noisy[: most + 2], noisy[most + 2 : -1]
        enough = config.share_that_decides * max(noisy.sum(), 1)
        if self.public.kind is ColumnKind.NUMERIC or of_numbers.sum() >= enough:
            common = np.flatnonzero(of_numbers > config.share_of_decimals * of_numbers.sum())
            decimals = int(common.max(initial=0))
            decimals = 12 if decimals > most else decimals
            return replace(self.public, kind=ColumnKind.NUMERIC, decimals=decimals)
        if of_dates.max() >= enough:
            written = DATE_FORMATS[int(of_dates.argmax())]
            return replace(self.public, kind=ColumnKind.DATETIME, datetime_format=written)
        return replace(self.public, kind=ColumnKind.CATEGORICAL)

    def _known(
        self,
        column: Column,
        kind: ColumnKind,
        missing: int,
        distinct: int,
        ends: tuple[float, float] | None = None,
    ) -> Column:
        """``column`` with what its counts say."""
        how = "public" if self.public.kind is not None else "by noisy counts"
        reason, missing = f"{kind}, {how}", max(missing, 0)
        low, high = (None, None) if ends is None else ends
        return replace(
            column,
            kind=kind,
            reason=reason,
            missing=missing,
            distinct=distinct,
            minimum=low,
            maximum=high,
        )

    def _left_out(self, why: str) -> tuple[Column, None]:
        return replace(self.blank, reason=why), None

    # categories

    def _categories(self, public: PublicColumn) -> tuple[Column, Bins | None]:
        texts = arrow.to_text(self.present)
        if public.categories:
            words = list(public.categories)
            index = pc.fill_null(pc.index_in(texts, value_set=pa.array(words)), len(words))
            counts = np.bincount(index.to_numpy(zero_copy_only=False), minlength=len(words) + 1)
            counts = np.append(counts[:-1], self.is_missing.sum())
            noisy, _ = self.purse.counts(counts, share=1.0)
            missing, noisy = int(noisy[-1]), noisy[:-1].clip(min=1)
        else:
            counted = pc.value_counts(texts)
            found = counted.field("values").to_pylist()
            counts = counted.field("counts").to_numpy()
            which, noisy, missing = self._frequent(counts, share=1.0)
            words = [str(found[k]) for k in which]
        if len(words) < 2:
            return self._left_out("fewer than two of its values are frequent beside the noise")
        order = sorted(range(len(words)), key=lambda k: (-noisy[k], words[k]))
        vocabulary = tuple(words[k] for k in order)
        size = min(len(words), self.config.most_bins * 4)
        bins = CategoricalBins(vocabulary, tuple(int(noisy[k]) for k in order), size)
        return self._known(self.blank, ColumnKind.CATEGORICAL, missing, len(words)), bins

    def _frequent(self, counts: Ints, share: float) -> tuple[Ints, Ints, int]:
        """Which of the values that occur ``counts`` (n,) times are frequent, how often they do, and
        how many cells are missing; all with noise.

        Sensitivity 1: a row has one value, or none. Which values there are is private; those that
        one row alone makes ``fewest_cells`` are released with probability ``delta``.
        """
        least = self.config.fewest_cells
        which = np.flatnonzero(counts >= least)
        asked = np.append(counts[which], self.is_missing.sum())
        noisy, variance = self.purse.counts(asked, share)
        frequent = noisy[:-1] > threshold(least, variance, self.delta)
        return which[frequent], noisy[:-1][frequent], int(noisy[-1])

    # numbers and dates

    def _numbers(self, public: PublicColumn) -> tuple[Column, Bins | None]:
        assert public.decimals is not None
        exact = public.decimals <= self.config.most_decimals
        step = 10.0**-public.decimals if exact else 0.0
        numbers = NumberFormat(public.decimals if exact else None, 0, step, 0.0)
        values = arrow.to_numbers(self.present)
        low, high = self.config.magnitudes
        powers = 2.0 ** np.arange(low, high + 1)
        edges = np.concatenate([-powers[::-1], powers])
        column = replace(self.blank, numbers=numbers)
        return self._on_axis(column, public, values, edges, ColumnKind.NUMERIC)

    def _moments(self, public: PublicColumn) -> tuple[Column, Bins | None]:
        text = arrow.is_text(self.array.type)
        written = (public.datetime_format or DATE_FORMATS[0]) if text else None
        step = _step_of(written, self.array.type)
        first, last = (f"{year:04d}-01-01" for year in self.config.years)
        years = np.arange(first[:4], last[:4], dtype="datetime64[Y]").astype("datetime64[s]")
        values = arrow.to_seconds(self.present, written)
        numbers = NumberFormat(6, 0, step, 0.0)
        column = replace(self.blank, numbers=numbers, datetime_format=written)
        return self._on_axis(column, public, values, years.astype(float), ColumnKind.DATETIME)

    def _on_axis(
        self,
        column: Column,
        public: PublicColumn,
        values: Floats,
        edges: Floats,
        kind: ColumnKind,
    ) -> tuple[Column, Bins | None]:
        """A column of numbers, of which a few may be shared by many rows."""
        assert column.numbers is not None
        step = column.numbers.step
        values = values[np.isfinite(values)]
        values = column.numbers.snap(values)
        limits = _limits(self.array.type)
        if public.range is not None:
            limits = max(limits[0], public.range[0]), min(limits[1], public.range[1])
            edges = _cut(limits[0] - step / 2, limits[1] + step / 2, step, self.config.parts)
        else:
            edges = edges - step / 2
        values = values.clip(*limits)
        distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        which, often, missing = self._frequent(counts, self.config.values_share)
        rest = values[~np.isin(inverse, which)]
        spread = self._spread(rest, edges, step)
        bins = _bins(distinct[which], often, spread, self._most_bins, step)
        if bins is None:
            return self._left_out("too few numbers for what their noise is")
        low, high = column.numbers.snap(np.array(bins.ends)).clip(*limits)
        ends = float(low), float(high)
        return self._known(column, kind, missing, len(which), ends), bins

    @property
    def _most_bins(self) -> int:
        config = self.config
        return int(np.clip(math.sqrt(self.rows), config.fewest_bins, config.most_bins))

    def _spread(self, values: Floats, edges: Floats, step: float) -> Spread:
        """Where ``values`` (n,) lie: cells between ``edges``, the full ones cut twice."""
        public = self.public.range is not None
        spread = Spread.empty(edges)
        queries = 2 if public else 3
        noisy, variance = self.purse.counts(spread.count(values), 1 / queries)
        sigma = math.sqrt(variance)
        spread = Spread(edges, noisy.astype(float), np.full(len(noisy), sigma))
        if not public:
            spread = spread.trimmed(self.config.sure)
        for left in range(queries - 1, 0, -1):
            finer, fresh = spread.cut(step, self.config)
            noisy, variance = self.purse.counts(finer.count(values)[fresh], 1 / left)
            finer.counts[fresh] = noisy
            finer.sigma[fresh] = math.sqrt(variance)
            spread = finer
        return spread.trimmed(self.config.likely)


@dataclass(frozen=True)
class Spread:
    """A noisy histogram of numbers.

    Attributes:
        edges: (n + 1,) of its cells, in order.
        counts: (n,) with noise.
        sigma: (n,) deviation of the noise.
    """

    edges: Floats
    counts: Floats
    sigma: Floats

    @classmethod
    def empty(cls, edges: Floats) -> Spread:
        """Cells of which nothing is known yet."""
        return cls(edges, np.zeros(len(edges) - 1), np.ones(len(edges) - 1))

    def count(self, values: Floats) -> Ints:
        """(n,) values in each cell, without noise; beyond the ends, they count to the ends'."""
        cells = np.searchsorted(self.edges, values, side="right") - 1
        last = len(self.edges) - 2
        return np.bincount(cells.clip(0, max(last, 0)), minlength=last + 1)[: last + 1]

    def trimmed(self, sure: float) -> Spread:
        """From the first to the last cell that surely holds more than noise."""
        filled = np.flatnonzero(self.filled(sure))
        if not len(filled):
            return Spread(self.edges[:1], self.counts[:0], self.sigma[:0])
        first, last = filled[0], filled[-1] + 1
        return Spread(self.edges[first : last + 1], self.counts[first:last], self.sigma[first:last])

    def filled(self, sure: float) -> Mask:
        """(n,) cells that surely hold more than noise, alone or with as few others as need be.

        >>> counts = np.array([0.0, 50.0, 1.0, 9.0, 9.0, 9.0, 9.0, -2.0])
        >>> Spread(np.arange(9.0), counts, np.full(8, 4.0)).filled(sure=4.0).astype(int)
        array([0, 1, 0, 1, 1, 1, 1, 0])
        """
        filled = np.zeros(len(self.counts), np.bool_)
        held = np.append(0.0, np.cumsum(self.counts))
        noise = np.append(0.0, np.cumsum(self.sigma**2))
        length = 1
        while length <= len(filled):
            sums = held[length:] - held[:-length]
            surely = sums > sure * np.sqrt(noise[length:] - noise[:-length])
            for start in np.flatnonzero(surely):
                if not filled[start : start + length].any():
                    filled[start : start + length] = True
            length *= 2
        return filled

    def cut(self, step: float, config: DescribeConfig) -> tuple[Spread, Ints]:
        """Full cells cut into pieces that are not counted yet, and which cells these are."""
        total = max(self.counts.sum(), 1)
        full = (self.counts > config.full * total) & (self.counts > config.sure * self.sigma)
        edges, counts, sigma, fresh = [self.edges[:1]], [], [], []
        for cell in range(len(self.counts)):
            low, high = self.edges[cell : cell + 2]
            inner = _cut(low, high, step, config.pieces) if full[cell] else self.edges[[cell, cell]]
            pieces = len(inner) - 1
            ends = inner[1:] if full[cell] else self.edges[cell + 1 : cell + 2]
            fresh.append(np.full(len(ends), bool(full[cell]) and pieces > 1))
            edges.append(ends)
            counts.append(np.full(len(ends), self.counts[cell]))
            sigma.append(np.full(len(ends), self.sigma[cell]))
        if not fresh:
            return self, np.zeros(0, np.int64)
        cells = Spread(np.concatenate(edges), np.concatenate(counts), np.concatenate(sigma))
        return cells, np.flatnonzero(np.concatenate(fresh))


def _cut(low: float, high: float, step: float, most: int) -> Floats:
    """Edges of at most ``most`` equal parts, whole steps each if there are steps."""
    if step <= 0:
        return np.linspace(low, high, most + 1)
    steps = max(round((high - low) / step), 1)
    inner = low + step * np.arange(0, steps, math.ceil(steps / most))
    return np.append(inner, high)


def _bins(
    atoms: Floats, often: Ints, spread: Spread, most: int, step: float
) -> ContinuousBins | None:
    """Bins of the values that many rows share, and of the others; ``None`` if there are too few.

    Cells are joined until they hold enough beside their noise.
    """
    knots = [np.full(KNOTS, atom) for atom in atoms]
    mass = [float(count) for count in often]
    total = float(spread.counts.clip(min=0).sum()) + sum(mass)
    held, low, variance, parts = 0.0, 0, 0.0, []
    for cell, count in enumerate(spread.counts):
        held, variance = held + count, variance + spread.sigma[cell] ** 2
        if held > max(total / most, 3 * math.sqrt(variance)):
            parts.append((low, cell + 1, held))
            held, low, variance = 0.0, cell + 1, 0.0
    if parts and low < len(spread.counts):
        first, _, before = parts[-1]
        parts[-1] = (first, len(spread.counts), max(before + held, before / 2))
    for first, last, count in parts:
        within = spread.counts[first:last].clip(min=0)
        heights = np.append(0, np.cumsum(within)) / within.sum()
        edges = spread.edges[first : last + 1]
        inner = np.interp(np.linspace(0, 1, KNOTS), heights, edges)
        inner[[0, -1]] = edges[[0, -1]]
        if step > 0 and edges[-1] - edges[0] <= 1.5 * step:
            inner = np.full(KNOTS, (edges[0] + edges[-1]) / 2)
        knots.append(inner)
        mass.append(count)
    if not mass:
        return None
    order = sorted(range(len(mass)), key=lambda k: (knots[k].mean(), knots[k][0]))
    points, weights = np.stack([knots[k] for k in order]), np.array([mass[k] for k in order])
    weights = weights / weights.sum()
    means = (points[:, :-1] + points[:, 1:]).mean(1) / 2
    center = float(weights @ means)
    within = np.diff(points, axis=1).sum(1) ** 2 / 12
    scale = math.sqrt(float(weights @ ((means - center) ** 2 + within)))
    scale = min(scale, float(np.ptp(points))) or 1.0
    return ContinuousBins(points, means, weights, center, scale)


def _decimals(values: Floats, most: int) -> Ints:
    """(n,) decimals of each of ``values``; ``most`` + 1 of those with more."""
    decimals = np.full(len(values), most + 1)
    for count in range(most, -1, -1):
        near = np.abs(np.round(values, count) - values) <= 1e-9 * np.maximum(np.abs(values), 1)
        decimals[near] = count
    return decimals


def _step_of(written: str | None, kind: pa.DataType) -> float:
    """Seconds between moments, as far as their format or type tell."""
    day = pa.types.is_date(kind) if written is None else not any(c in written for c in ("%H", "%I"))
    return 86400.0 if day else 1.0


def _limits(kind: pa.DataType) -> tuple[float, float]:
    """The least and the largest number of a stored type."""
    if pa.types.is_integer(kind):
        info = np.iinfo(kind.to_pandas_dtype())
        return max(float(info.min), -(2.0**53)), min(float(info.max), 2.0**53)
    if pa.types.is_decimal(kind):
        most = 10.0 ** (kind.precision - kind.scale) - 1
        return -most, most
    return -(2.0**50), 2.0**50

"""A table as codes: every modelled column becomes a bin number, and comes back from it.

Categories are their own bins. A continuous column gets quantile bins, and a bin of its own (an
*atom*) for every value that is frequent; inside a bin the empirical quantile function brings a
value back. So one categorical likelihood serves every type of column.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from tabvae.columns import arrow
from tabvae.columns.arrays import Arrays, Document, joined, prefixed
from tabvae.columns.arrow import Floats, Ints, Mask
from tabvae.columns.bins import Bins, CategoricalBins, ContinuousBins
from tabvae.columns.from_json import from_json
from tabvae.columns.privacy import microaggregate
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import DataError, SchemaError, shown, suggestion

FEWEST_BINS, MOST_BINS = 16, 256
MOST_NA_VALUES = 1000
MOST_BYTES_OF_A_ROW = 2**20
"""That a model writes: a small file must not fill the memory with a few rows."""
MOST_BINS_IN_ALL = 200_000
"""Of all columns together: each costs the networks a row of weights."""


@dataclass(frozen=True)
class Codes:
    """The modelled columns of ``n`` rows, each a bin number with its position on the line.

    Attributes:
        bins: (n, columns) bin of each cell; 0 where the cell is not observed.
        scores: (n, columns) place of a number on its column's line; 0 where there is none.
        values: (n, columns) numbers in data units; NaN for categories and unobserved cells.
        observed: (n, columns) the data has the cell and the encoding understands it.
        missing: (n, columns) the data has no such cell. A category never seen in ``fit`` is
            neither observed nor missing: it is kept in the table and hidden from the network.
    """

    bins: Ints
    scores: npt.NDArray[np.float32]
    values: Floats
    observed: Mask
    missing: Mask

    @classmethod
    def empty(cls, rows: int, columns: int) -> Codes:
        """Rows in which nothing is observed, and nothing known to be missing."""
        return cls(
            bins=np.zeros((rows, columns), dtype=np.int64),
            scores=np.zeros((rows, columns), dtype=np.float32),
            values=np.full((rows, columns), np.nan),
            observed=np.zeros((rows, columns), dtype=np.bool_),
            missing=np.zeros((rows, columns), dtype=np.bool_),
        )

    def copy(self) -> Codes:
        """The same rows in arrays of their own, which may be changed."""
        return Codes(*(array.copy() for array in vars(self).values()))

    @classmethod
    def joined(cls, *parts: Codes) -> Codes:
        """The rows of all parts, one below the other."""
        return cls(
            *(np.concatenate(a) for a in zip(*(vars(p).values() for p in parts), strict=True))
        )

    def at_most(self, count: int, seed: int) -> Codes:
        """These rows, or ``count`` of them chosen at random, in their order."""
        if len(self) <= count:
            return self
        chosen = np.random.default_rng(seed).choice(len(self), count, replace=False)
        return self[np.sort(chosen)]

    def put(self, rows: Ints, others: Codes) -> None:
        """Set ``rows`` (n,) to ``others`` (n, columns), in place."""
        for name, array in vars(self).items():
            array[rows] = getattr(others, name)

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, rows: slice | Ints | Mask) -> Codes:
        return Codes(
            self.bins[rows],
            self.scores[rows],
            self.values[rows],
            self.observed[rows],
            self.missing[rows],
        )


class TableCodec(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Arrow table to :class:`Codes` and back, column by column.

    Args:
        schema: what each column is.
        na_values: texts that mean a missing cell.
        max_bins: most bins of a column; ``None`` for the square root of the number of rows,
            within 16..256.
        line: one of ``tabvae.columns.bins.LINES``: where the network sees numbers lie.
        min_count: fewest cells behind any number or category it keeps, see
            ``tabvae.columns.privacy``.

    Attributes:
        columns_: the modelled columns, in table order.
        bins_: the bins of each of them.
    """

    columns_: tuple[Column, ...]
    bins_: tuple[Bins, ...]

    def __init__(
        self,
        schema: Schema,
        na_values: tuple[str, ...] = arrow.DEFAULT_NA_VALUES,
        max_bins: int | None = None,
        line: str = "normal",
        min_count: int = 1,
    ) -> None:
        self.schema = schema
        self.na_values = na_values
        self.max_bins = max_bins
        self.line = line
        self.min_count = min_count

    @property
    def sizes(self) -> list[int]:
        """Number of bins of each modelled column."""
        if not hasattr(self, "bins_"):
            raise NotFittedError("this TableCodec is not fitted yet; call 'fit' first")
        return [len(b) for b in self.bins_]

    @property
    def positions(self) -> Floats:
        """(total bins,) place of every bin on its column's line, column after column, each with a
        last bin for the state "missing"; 0 where there is no line."""
        return np.concatenate([np.append(bins.positions, 0.0) for bins in self.bins_])

    @property
    def is_number(self) -> Mask:
        """(columns,) which columns hold numbers; the others hold categories."""
        return np.array([bins.is_number for bins in self.bins_])

    def fit(self, table: pa.Table, y: object = None) -> Self:
        """Choose the bins of every modelled column from ``table``."""
        self.columns_ = self.schema.modelled
        room = max(MOST_BINS_IN_ALL // max(len(self.columns_), 1), FEWEST_BINS)
        self.bins_ = tuple(
            self._fit_column(c, table.column(c.name), min(MOST_BINS, room)) for c in self.columns_
        )
        self.require_narrow()
        return self

    def require_narrow(self) -> None:
        """Make sure that a row of the table, as a model writes it, is no larger than any should be,
        nor the bins more, nor the texts that mean a missing cell.

        Raises:
            DataError: it is.
        """
        if len(self.na_values) > MOST_NA_VALUES:
            raise DataError(f"more than {MOST_NA_VALUES} texts mean a missing cell", "fewer --na")
        # One bin more than were asked for can be left over.
        if max(self.sizes) > MOST_BINS + 1 or sum(self.sizes) > 2 * MOST_BINS_IN_ALL:
            raise DataError("its columns have too many bins")
        widths = self.schema.widths
        for column, bins in zip(self.columns_, self.bins_, strict=True):
            if isinstance(bins, CategoricalBins):
                widths[column.name] += max(len(word.encode()) for word in bins.vocabulary)
        if sum(widths.values()) > MOST_BYTES_OF_A_ROW:
            widest = max(widths, key=widths.__getitem__)
            raise DataError(
                f"a row takes up to {sum(widths.values()) // 1024} kB, more than "
                f"{MOST_BYTES_OF_A_ROW // 1024}, most of it in column {shown(widest)}",
                "--ignore columns of long texts, drop those of long lists",
            )

    def _fit_column(self, column: Column, chunks: pa.ChunkedArray, room: int) -> Bins:
        array = arrow.flat(chunks)
        present = array.filter(pa.array(~arrow.missing_mask(array, self.na_values)))
        if column.kind.continuous:
            values = column.values(present)
            known = microaggregate(
                column, values[np.isfinite(values)], self.min_count, self.na_values
            )
            most = self.max_bins or int(np.clip(np.sqrt(len(array)), FEWEST_BINS, room))
            return ContinuousBins.fit(known, most, self.line)
        return CategoricalBins.fit(arrow.to_text(present), room, self.min_count)

    def transform(self, table: pa.Table) -> Codes:
        """Encode the modelled columns of ``table``, whatever its column order."""
        codes = Codes.empty(table.num_rows, len(self.sizes))
        for j, (column, bins) in enumerate(zip(self.columns_, self.bins_, strict=True)):
            self._encode_column(codes, j, column, bins, arrow.flat(table.column(column.name)))
        return codes

    def _encode_column(
        self, codes: Codes, j: int, column: Column, bins: Bins, array: pa.Array
    ) -> None:
        missing = arrow.missing_mask(array, self.na_values)
        codes.missing[:, j] = missing
        if isinstance(bins, CategoricalBins):
            index = bins.encode(arrow.to_text(array))
            observed = (index >= 0) & ~missing
            codes.bins[:, j] = np.where(observed, index, 0)
        else:
            values = column.values(array)
            observed = np.isfinite(values) & ~missing
            known = bins.encode(values[observed])
            codes.bins[observed, j] = known
            codes.scores[observed, j] = bins.scores(values[observed], known)
            codes.values[observed, j] = values[observed]
        codes.observed[:, j] = observed

    def deviations(self, codes: Codes) -> Floats:
        """(n, columns) numbers, within the range that ``fit`` has seen, as standard deviations from
        the mean of their column; NaN for categories and unobserved cells."""
        found = np.full(codes.values.shape, np.nan)
        for j, coder in enumerate(self.bins_):
            if isinstance(coder, ContinuousBins):
                found[:, j] = coder.deviations(codes.values[:, j].clip(*coder.ends))
        return found

    def encode_cell(self, j: int, text: str) -> tuple[int, float, float]:
        """Bin, score and value of one cell of modelled column ``j``, given as text.

        Raises:
            SchemaError: it is no value the column has seen.
        """
        column, coder = self.columns_[j], self.bins_[j]
        if isinstance(coder, CategoricalBins):
            word = next((w for w in coder.vocabulary if text in (w, w.strip())), None)
            if word is None:
                raise SchemaError(
                    f"column {shown(column.name)} has no value {shown(text)}",
                    suggestion(text, [w.strip() for w in coder.vocabulary]),
                )
            return int(coder.encode(pa.array([word]))[0]), 0.0, float("nan")
        value = column.values(pa.array([text]))
        if not np.isfinite(value[0]):
            raise SchemaError(f"column {shown(column.name)} is {column.kind}, not {shown(text)}")
        if not np.array_equal(self.snap(j, value), value):
            low, high = coder.ends
            raise SchemaError(
                f"column {shown(column.name)} has no value {shown(text)}",
                f"it goes from {low:g} to {high:g}",
            )
        bin_ = coder.encode(value)
        return int(bin_[0]), float(coder.scores(value, bin_)[0]), float(value[0])

    def inverse_transform(self, codes: Codes, levels: Floats | None = None) -> pa.Table:
        """The table of ``codes``: numbers from ``codes.values``, categories from ``codes.bins``.

        Cells that are not observed become the column's own way of writing a missing cell.

        Args:
            codes: (n,) rows.
            levels: (n, columns) quantile in 0..1 that chooses among pooled rare categories;
                the most frequent of them by default.
        """
        levels = np.zeros(codes.bins.shape) if levels is None else levels
        arrays = [
            self.write_column(
                j, codes.bins[:, j], codes.values[:, j], levels[:, j], codes.observed[:, j]
            )
            for j in range(len(self.columns_))
        ]
        return pa.table(dict(zip([c.name for c in self.columns_], arrays, strict=True)))

    def snap(self, j: int, values: Floats) -> Floats:
        """Move numbers of modelled column ``j`` to its grid and into its observed range."""
        column = self.columns_[j]
        assert column.numbers is not None
        assert column.minimum is not None
        assert column.maximum is not None
        return column.numbers.snap(values).clip(column.minimum, column.maximum)

    def write_column(
        self,
        j: int,
        bins: Ints,
        values: Floats,
        levels: Floats,
        observed: Mask,
        target: pa.DataType | None = None,
    ) -> pa.Array:
        """Write cells of modelled column ``j`` in its format, as ``target`` (its own type)."""
        column, coder = self.columns_[j], self.bins_[j]
        target = self.schema.types.field(column.name).type if target is None else target
        if isinstance(coder, CategoricalBins):
            words = coder.decode(np.where(observed, bins, 0), levels)
            cells_ = arrow.from_text(pa.array(words, pa.string()), target)
        else:
            assert column.numbers is not None
            snapped = self.snap(j, np.where(observed, values, coder.center))
            if column.kind is ColumnKind.DATETIME:
                cells_ = arrow.from_seconds(snapped, target, column.datetime_format)
            else:
                cells_ = arrow.from_numbers(snapped, target, column.numbers)
        gap = (
            pa.scalar(column.missing_text or None, target)
            if arrow.is_text(target)
            else (pa.scalar(None, target))
        )
        return arrow.choose(observed, cells_, gap)

    def arrays(self) -> Arrays:
        """``column.j.*``: those of each column's bins."""
        return joined(prefixed(f"column.{j}.", b.arrays()) for j, b in enumerate(self.bins_))

    def document(self) -> Document:
        """Schema, texts of missing cells, and what the bins have beside arrays."""
        return {
            "schema": self.schema.to_json(),
            "na_values": self.na_values,
            "columns": [bins.document() for bins in self.bins_],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], arrays: Arrays) -> Self:
        """Made again from what ``document`` and ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are no codec.
            DataError: nothing could have been learned from its table.
        """
        schema = Schema.from_json(document["schema"])
        schema.require_enough()
        codec = from_json(cls, {"na_values": document["na_values"]}, schema=schema)
        codec.columns_ = schema.modelled
        codec.bins_ = tuple(
            ContinuousBins.from_document(bins, arrays, f"column.{j}.")
            if column.kind.continuous
            else CategoricalBins.from_document(bins)
            for j, (bins, column) in enumerate(
                zip(document["columns"], codec.columns_, strict=True)
            )
        )
        return codec

    def ends(self) -> Codes:
        """Three rows: the least number and the first category of each column, the largest, gaps.

        Raises:
            ValueError: a category cannot be written in the type of its column.
        """
        codes = Codes.empty(3, len(self.bins_))
        codes.observed[:2] = True
        for j, (column, bins) in enumerate(zip(self.columns_, self.bins_, strict=True)):
            if isinstance(bins, CategoricalBins):
                words = pa.array(bins.vocabulary, pa.string())
                arrow.from_text(words, self.schema.types.field(column.name).type)
            else:
                codes.values[:2, j] = column.minimum, column.maximum
        return codes

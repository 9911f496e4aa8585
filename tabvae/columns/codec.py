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
import pyarrow as pa
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.exceptions import NotFittedError

from tabvae.columns.arrays import Arrays, Document, joined, prefixed
from tabvae.columns.bins import Bins, CategoricalBins, ContinuousBins
from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.columns.privacy import microaggregate
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import DataError, SchemaError, shown, suggestion
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Ints, Mask
from tabvae.values.booleans import spelled


@dataclass(frozen=True)
class CodecConfig:
    """How finely columns are cut, and what is too much.

    Attributes:
        fewest_bins: that a continuous column may have, however few rows there are: a coarser
            distribution tells too little.
        most_bins: of a column: each costs the networks a row of weights.
        bins_in_all: of all columns together, for the same reason; columns of a wide table have
            fewer each.
        na_values: texts that mean a missing cell, at most: each is compared with every cell.
        row_bytes: of a row that a model writes, at most: a small file must not fill the memory
            with a few rows.
    """

    fewest_bins: int = 16
    most_bins: int = 256
    bins_in_all: int = 200_000
    na_values: int = 1000
    row_bytes: int = 2**20


class TableCodec(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Arrow table to :class:`Codes` and back, column by column.

    Args:
        schema: what each column is.
        na_values: texts that mean a missing cell.
        max_bins: most bins of a column; ``None`` for the square root of the number of rows,
            within 16..256.
        axis: one of ``tabvae.columns.bins.AXES``: where the network sees numbers lie.
        min_count: fewest cells behind any number or category it keeps, see
            ``tabvae.columns.privacy``.
        config: how finely columns are cut, and what is too much.

    Attributes:
        columns_: the modelled columns, in table order.
        bins_: the bins of each of them.

    **Examples**

    >>> from tabvae.columns.infer import infer_schema
    >>> table = pa.table({"a": [1, 2, None, 2], "b": ["x", "y", "x", "x"]})
    >>> codec = TableCodec(infer_schema(table)).fit(table)
    >>> codes = codec.transform(table)
    >>> codec.sizes, codes.missing[2].tolist()
    ([2, 2], [True, False])
    >>> codec.inverse_transform(codes).equals(table)
    True
    """

    columns_: tuple[Column, ...]
    bins_: tuple[Bins, ...]

    def __init__(
        self,
        schema: Schema,
        na_values: tuple[str, ...] = arrow.DEFAULT_NA_VALUES,
        max_bins: int | None = None,
        axis: str = "normal",
        min_count: int = 1,
        config: CodecConfig = CodecConfig(),
    ) -> None:
        self.schema = schema
        self.na_values = na_values
        self.max_bins = max_bins
        self.axis = axis
        self.min_count = min_count
        self.config = config

    @property
    def sizes(self) -> list[int]:
        """Number of bins of each modelled column."""
        if not hasattr(self, "bins_"):
            raise NotFittedError("this TableCodec is not fitted yet; call 'fit' first")
        return [len(b) for b in self.bins_]

    @property
    def positions(self) -> Floats:
        """(total bins,) coordinate of every bin on its column's axis, column after column, each
        with a last bin for the state "missing"; 0 where there is no axis."""
        return np.concatenate([np.append(bins.positions, 0.0) for bins in self.bins_])

    @property
    def is_number(self) -> Mask:
        """(columns,) which columns hold numbers; the others hold categories."""
        return np.array([bins.is_number for bins in self.bins_])

    def fit(self, table: pa.Table, y: object = None) -> Self:
        """Choose the bins of every modelled column from ``table``."""
        self.columns_ = self.schema.modelled
        room = self.config.bins_in_all // max(len(self.columns_), 1)
        most = min(self.config.most_bins, max(room, self.config.fewest_bins))
        self.bins_ = tuple(
            self._fit_column(column, table.column(column.name), most) for column in self.columns_
        )
        self.require_narrow()
        return self

    def require_narrow(self) -> None:
        """Make sure that a row of the table, as a model writes it, is no larger than any should be,
        nor the bins more, nor the texts that mean a missing cell.

        Raises:
            DataError: it is.
        """
        limits = self.config
        if len(self.na_values) > limits.na_values:
            raise DataError(f"more than {limits.na_values} texts mean a missing cell", "fewer --na")
        # One bin more than were asked for can be left over.
        if max(self.sizes) > limits.most_bins + 1 or sum(self.sizes) > 2 * limits.bins_in_all:
            raise DataError("its columns have too many bins")
        widths = self.schema.widths
        for column, bins in zip(self.columns_, self.bins_, strict=True):
            widths[column.name] += max((len(t.encode()) for t in bins.texts.to_pylist()), default=0)
        width = sum(widths.values())
        if width > limits.row_bytes:
            widest = max(widths, key=widths.__getitem__)
            raise DataError(
                f"a row takes up to {width // 1024} kB, more than {limits.row_bytes // 1024}, most "
                f"of it in column {shown(widest)}",
                "--ignore columns of long texts, drop those of long lists",
            )

    def _fit_column(self, column: Column, chunks: pa.ChunkedArray, room: int) -> Bins:
        array = arrow.flat(chunks)
        present = array.filter(pa.array(~column.missing_mask(array, self.na_values)))
        if column.kind.continuous:
            values = column.values(present)
            values = values[np.isfinite(values)]
            values = microaggregate(column, values, self.min_count, self.na_values)
            fewest = self.config.fewest_bins
            most = self.max_bins or int(np.clip(np.sqrt(len(array)), fewest, room))
            return ContinuousBins.fit(values, most, self.axis)
        return CategoricalBins.fit(column.texts(present), room, self.min_count, column.order)

    def transform(self, table: pa.Table) -> Codes:
        """Encode the modelled columns of ``table``, whatever its column order.

        Raises:
            SchemaError: a column is of a type that no cell of it can be read from.
        """
        codes = Codes.empty(table.num_rows, len(self.sizes))
        for j, (column, bins) in enumerate(zip(self.columns_, self.bins_, strict=True)):
            array = arrow.flat(table.column(column.name))
            if not arrow.has_text(array.type):
                raise SchemaError(
                    f"column {shown(column.name)} of type {array.type} is not {column.kind}",
                    f"give it as {self.schema.types.field(column.name).type}",
                )
            cells = bins.read(column, array)
            missing = column.missing_mask(array, self.na_values)
            observed = (cells.bins >= 0) & ~missing
            codes.bins[:, j] = np.where(observed, cells.bins, 0)
            codes.scores[:, j] = np.where(observed, cells.scores, 0.0)
            codes.values[:, j] = np.where(observed, cells.values, np.nan)
            codes.observed[:, j], codes.missing[:, j] = observed, missing
        return codes

    def deviations(self, codes: Codes) -> Floats:
        """(n, columns) numbers, within the range that ``fit`` has seen, as standard deviations from
        the mean of their column; NaN for categories and unobserved cells."""
        deviations = np.full(codes.values.shape, np.nan)
        for j, coder in enumerate(self.bins_):
            deviations[:, j] = coder.deviations_within(codes.values[:, j])
        return deviations

    def position(self, name: str) -> int:
        """The number of a modelled column.

        Raises:
            SchemaError: there is no such column, or it is not modelled.
        """
        names = [column.name for column in self.columns_]
        if name in names:
            return names.index(name)
        problem = (
            f"column {shown(name)} is {self.schema[name].kind} and cannot be set"
            if name in self.schema.names
            else f"no column {shown(name)}"
        )
        raise SchemaError(problem, suggestion(name, names))

    def word(self, j: int, text: str) -> str:
        """The category of modelled column ``j`` that is written so, blanks around it aside.

        Raises:
            SchemaError: there is none.
        """
        vocabulary = self.bins_[j].texts.to_pylist()
        if self.columns_[j].kind is ColumnKind.BOOLEAN:
            text = spelled(pa.array([text]), vocabulary)[0].as_py()
        word = next((w for w in vocabulary if text in (w, w.strip())), None)
        if word is None:
            raise SchemaError(
                f"column {shown(self.columns_[j].name)} has no value {shown(text)}",
                suggestion(text, [w.strip() for w in vocabulary]),
            )
        return str(word)

    def number(self, j: int, text: str) -> float:
        """The number or date of modelled column ``j`` that is written so, in its own way or plain.

        Raises:
            SchemaError: it is none.
        """
        column = self.columns_[j]
        value = column.values(pa.array([text]))
        if column.kind is ColumnKind.NUMERIC and not np.isfinite(value[0]):
            value = arrow.to_numbers(pa.array([text]))  # plain, whatever the column writes
        if not np.isfinite(value[0]):
            raise SchemaError(f"column {shown(column.name)} is {column.kind}, not {shown(text)}")
        return float(value[0])

    def encode_cell(self, j: int, text: str) -> tuple[int, float, float]:
        """Bin, score and value of one cell of modelled column ``j``, given as text.

        Raises:
            SchemaError: it is no value the column has seen.
        """
        column, coder = self.columns_[j], self.bins_[j]
        if isinstance(coder, CategoricalBins):
            return int(coder.encode(pa.array([self.word(j, text)]))[0]), 0.0, float("nan")
        value = np.array([self.number(j, text)])
        if not np.array_equal(self.snap(j, value), value):
            low, high = coder.ends
            raise SchemaError(
                f"column {shown(column.name)} has no value {shown(text)}",
                f"it goes from {low:g} to {high:g}",
            )
        bin_ = coder.encode(value)
        return int(bin_[0]), float(coder.scores(value, bin_)[0]), float(value[0])

    def inverse_transform(self, codes: Codes, quantiles: Floats | None = None) -> pa.Table:
        """The table of ``codes``: numbers from ``codes.values``, categories from ``codes.bins``.

        Cells that are not observed become the column's own way of writing a missing cell.

        Args:
            codes: (n,) rows.
            quantiles: (n, columns) in 0..1, which choose among pooled rare categories; the most
                frequent of them by default.
        """
        quantiles = np.zeros(codes.bins.shape) if quantiles is None else quantiles
        arrays = [
            self.write_column(
                j, codes.bins[:, j], codes.values[:, j], quantiles[:, j], codes.observed[:, j]
            )
            for j in range(len(self.columns_))
        ]
        return pa.table(dict(zip([c.name for c in self.columns_], arrays, strict=True)))

    def snap(self, j: int, values: Floats) -> Floats:
        """Move numbers of modelled column ``j`` to its spacing and into its observed range."""
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
        quantiles: Floats,
        observed: Mask,
        target: pa.DataType | None = None,
    ) -> pa.Array:
        """Write cells (n,) of modelled column ``j`` in its format.

        Args:
            j: which modelled column.
            bins: (n,) of a category.
            values: (n,) numbers in data units.
            quantiles: (n,) in 0..1, which choose among pooled rare categories.
            observed: (n,) the others become the column's own way of writing a missing cell.
            target: type to write; by default that of the column.
        """
        column, coder = self.columns_[j], self.bins_[j]
        target = self.schema.types.field(column.name).type if target is None else target
        if isinstance(coder, CategoricalBins):
            words = coder.decode(np.where(observed, bins, 0), quantiles)
            cells = arrow.from_text(pa.array(words, pa.string()), target, column.levels)
        else:
            assert column.numbers is not None
            snapped = self.snap(j, np.where(observed, values, coder.center))
            if column.kind is ColumnKind.DATETIME:
                cells = arrow.from_seconds(snapped, target, column.datetime_format)
            else:
                cells = arrow.from_numbers(snapped, target, column.numbers)
        return arrow.choose(observed, cells, self._gap(column, target))

    def _gap(self, column: Column, target: pa.DataType) -> pa.Scalar:
        """How a missing cell is written among those of type ``target``."""
        own = self.schema.types.field(column.name).type
        plain = target.value_type if pa.types.is_dictionary(target) else target
        if not column.missing_text or not (arrow.is_text(target) or target == own):
            return pa.scalar(None, plain)
        return arrow.from_text(pa.array([column.missing_text]), plain)[0]

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
            if column.kind.continuous:
                codes.values[:2, j] = column.minimum, column.maximum
            else:
                kind = self.schema.types.field(column.name).type
                arrow.from_text(bins.texts, kind, column.levels)
        return codes

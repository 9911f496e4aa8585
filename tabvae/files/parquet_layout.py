"""The layout of a Parquet file: how it is packed, cut and sorted, so that another is made alike."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Self

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tabvae.values import arrow


@dataclass(frozen=True)
class Layout:
    """How a Parquet file is laid out.

    Attributes:
        codecs: how the cells of each column are packed, by the column's path.
        groups: rows of each row group; as the writer likes if empty.
        keys: columns that each row group is sorted by, with their direction.
        nulls: where nulls come then.

    **Examples**

    >>> file = pa.BufferOutputStream()
    >>> Layout({"a": "ZSTD"}, groups=(2, 1)).write(pa.table({"a": [1, 2, 3]}), file)
    >>> layout = Layout.of(pq.ParquetFile(pa.BufferReader(file.getvalue())))
    >>> layout.codecs, layout.groups
    ({'a': 'ZSTD'}, (2, 1))
    """

    codecs: Mapping[str, str] = field(default_factory=dict)
    groups: tuple[int, ...] = ()
    keys: tuple[tuple[str, str], ...] = ()
    nulls: str = "at_end"

    @classmethod
    def of(cls, source: pq.ParquetFile) -> Self:
        """The layout of ``source``, of which the first row group stands for all."""
        numbers = range(source.metadata.num_row_groups)
        groups = [source.metadata.row_group(number) for number in numbers]
        if not groups:
            return cls()
        columns = [groups[0].column(j) for j in range(groups[0].num_columns)]
        codecs = {column.path_in_schema: column.compression for column in columns}
        sizes = tuple(group.num_rows for group in groups if group.num_rows > 0)
        try:
            keys, nulls = pq.SortingColumn.to_ordering(
                source.schema_arrow, groups[0].sorting_columns
            )
        except (ValueError, LookupError):
            # Nulls come first in one column and last in another, or there is no such column.
            keys, nulls = (), "at_end"
        return cls(codecs, sizes, keys, nulls)

    def write(self, table: pa.Table, file: pa.NativeFile) -> None:
        """Write ``table`` like this, as far as it has these columns and rows."""
        parts = self._cut(table)
        ordering = None
        if self.keys and all(self._sorted(part) for part in parts):
            ordering = pq.SortingColumn.from_ordering(table.schema, self.keys, self.nulls)
        codecs = self._codecs(table.column_names)
        with pq.ParquetWriter(
            file, table.schema, compression=codecs, sorting_columns=ordering
        ) as writer:
            for part in parts:
                writer.write_table(part, row_group_size=part.num_rows)

    def _cut(self, table: pa.Table) -> list[pa.Table]:
        """``table`` in row groups of the same sizes, or of the largest of them."""
        rows = table.num_rows
        if sum(self.groups) == rows:
            starts = accumulate(self.groups, initial=0)
            return [table.slice(start, n) for start, n in zip(starts, self.groups, strict=False)]
        size = max(self.groups, default=2**20)  # As Arrow cuts a table of its own accord.
        return [table.slice(start, size) for start in range(0, rows, size)]

    def _sorted(self, table: pa.Table) -> bool:
        """Whether ``table`` is, as it was said of the file; filled cells can be out of order."""
        if not {name for name, _ in self.keys} <= set(table.column_names):
            return False
        nulls_by = "ascending" if self.nulls == "at_end" else "descending"
        plain: dict[str, pa.Array] = {}
        keys: list[tuple[str, str]] = []
        for name, direction in self.keys:
            cell = arrow.flat(table.column(name))
            plain |= {f"null {name}": pc.cast(pc.is_null(cell), pa.int8()), f"cell {name}": cell}
            keys += [(f"null {name}", nulls_by), (f"cell {name}", direction)]
        try:
            order = pc.sort_indices(pa.table(plain), sort_keys=keys)
        except (pa.ArrowException, TypeError):  # Cells that Arrow cannot compare.
            return False
        return bool(order.equals(pa.array(range(len(table)), order.type)))

    def _codecs(self, names: Sequence[str]) -> dict[str, str] | str:
        """The codec of each column, the most frequent one for columns that are new."""
        # What a file calls its codecs is not always what they are called when it is written.
        written_as = {c: c for c in ("SNAPPY", "GZIP", "BROTLI", "ZSTD", "LZ4")}
        written_as["UNCOMPRESSED"] = "NONE"
        codecs = {path: written_as.get(codec, "SNAPPY") for path, codec in self.codecs.items()}
        counts = Counter(codecs.values())
        usual = counts.most_common(1)[0][0] if counts else "SNAPPY"
        return {**dict.fromkeys(names, usual), **codecs} if len(counts) > 1 else usual

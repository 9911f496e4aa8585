"""What each column of a table is: inferred from the whole column, with a reason, overridable."""

from __future__ import annotations

import warnings
from base64 import b64decode, b64encode
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa

from tabvae.columns.from_json import from_json
from tabvae.errors import DataError, SchemaError, TabVAEWarning, shown, suggestion
from tabvae.rules.rules import AnyRule, rule_from_document
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask, NumberFormat
from tabvae.values.booleans import in_one_spelling
from tabvae.values.dates import is_datetime_format
from tabvae.values.identifiers import IdentifierPattern
from tabvae.values.notation import PLAIN


class ColumnKind(StrEnum):
    """How a column takes part in the model.

    **Examples**

    >>> [kind.value for kind in ColumnKind if not kind.modelled]
    ['constant', 'identifier', 'text', 'ignored']
    """

    NUMERIC = "numeric"
    CATEGORICAL = "categorical"
    BOOLEAN = "boolean"
    DATETIME = "datetime"
    CONSTANT = "constant"
    IDENTIFIER = "identifier"
    TEXT = "text"
    IGNORED = "ignored"

    @property
    def modelled(self) -> bool:
        """The network learns this column; the others are carried through."""
        return self.continuous or self in (ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN)

    @property
    def continuous(self) -> bool:
        """Cells lie on an axis: numbers, or moments as seconds since 1970."""
        return self in (ColumnKind.NUMERIC, ColumnKind.DATETIME)


@dataclass(frozen=True)
class TableLimits:
    """How large a table may be; what a model file says of one is held to the same.

    Attributes:
        fewest_rows: one row does not tell how columns vary.
        fewest_columns: that can be modelled, as columns are learnt from each other.
        most_columns: of a table; a wider one can be fitted in parts.
        most_modelled: columns of a model, as its networks grow with them.
        most_rows: a model file that counts more cells of a column is damaged.
        most_missing_texts: of a column: each is compared with every cell.
        longest_identifier: characters of an identifier that a model keeps; longer cells are text.

    **Examples**

    >>> TableLimits.fewest_rows, TableLimits.longest_identifier
    (2, 4000)
    """

    fewest_rows: int = 2
    fewest_columns: int = 2
    most_columns: int = 20_000
    most_modelled: int = 3000
    most_rows: int = 10**9
    most_missing_texts: int = 1000
    longest_identifier: int = 4000


@dataclass(frozen=True)
class Column:
    """One column: its kind, why, and how its cells are written.

    Attributes:
        name: as in the table.
        kind: how it takes part in the model.
        reason: why it is of that kind, for people.
        type: the Arrow type it was read with; ``string`` for CSV.
        missing: number of missing cells.
        distinct: number of distinct observed cells.
        missing_text: the text most missing cells had, where the table is text.
        missing_texts: that mean a missing cell in this column beside those of the whole table.
        numbers: how numbers, or moments in seconds, are spaced and written.
        datetime_format: how moments are written in a text column.
        rival_format: another that reads as many of its cells, as other moments.
        doubt: in which way its cells could be read wrongly, for people; see ``doubts``.
        levels: values of a dictionary, in their order, also those that no cell has.
        order: of categories that have one, their texts from the lowest on.
        constant: the only value of a constant column.
        pattern: of identifiers that are none of the table.
        minimum: smallest number or moment, in data units or seconds.
        maximum: largest number or moment.
        foreign: observed cells that the kind cannot read, such as a word among numbers.

    Raises:
        ValueError: its parts do not belong together, or tell of no table.

    **Examples**

    >>> unit = Column("unit", ColumnKind.CONSTANT, "one value", "string", constant="cm")
    >>> unit.kind.modelled, unit.longest
    (False, 2)
    """

    name: str
    kind: ColumnKind
    reason: str
    type: str
    missing: int = 0
    distinct: int = 0
    missing_text: str = ""
    missing_texts: tuple[str, ...] = ()
    numbers: NumberFormat | None = None
    datetime_format: str | None = None
    rival_format: str | None = None
    doubt: str | None = None
    levels: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    constant: str | None = None
    pattern: IdentifierPattern | None = None
    minimum: float | None = None
    maximum: float | None = None
    foreign: int = 0

    def __post_init__(self) -> None:
        counts = (self.missing, self.distinct, self.foreign)
        if len(set(self.levels)) < len(self.levels):
            raise ValueError("a value of a dictionary comes twice")
        if len(self.missing_texts) > TableLimits.most_missing_texts:
            raise ValueError(f"{len(self.missing_texts)} texts of missing cells")
        if not all(0 <= n <= TableLimits.most_rows for n in counts):
            raise ValueError("a number of cells that no table has")
        if self.order and self.kind is not ColumnKind.CATEGORICAL:
            raise ValueError(f"an order of the cells of a {self.kind} column")
        if (self.constant is None) is (self.kind is ColumnKind.CONSTANT):
            raise ValueError("a constant column without a value, or a value without one")
        length = 0 if self.pattern is None else len(self.pattern.first)
        if length > TableLimits.longest_identifier:
            raise ValueError(f"an identifier of {length} characters")
        for text in (self.datetime_format, self.rival_format):
            if text is not None and not is_datetime_format(text):
                raise ValueError(f"moments cannot be written like {shown(text)}")
        if self.kind.continuous:
            self._check_range()

    def _check_range(self) -> None:
        latest = 2.0**63 / 1e6  # Arrow has microseconds in 64 bits.
        most = latest if self.kind is ColumnKind.DATETIME else arrow.LARGEST_NUMBER
        if self.numbers is None or self.minimum is None or self.maximum is None:
            raise ValueError(f"a {self.kind} column without numbers")
        if not -most <= self.minimum <= self.maximum <= most:
            raise ValueError(f"numbers from {self.minimum} to {self.maximum}")

    @property
    def range_as_text(self) -> list[str]:
        """Smallest and largest number or moment, as people write them; empty for other kinds."""
        if self.minimum is None or self.maximum is None or not self.kind.continuous:
            return []
        ends = np.array([self.minimum, self.maximum])
        if self.numbers is not None and self.numbers.notation.duration:
            return self.numbers.write(ends)
        if self.kind is ColumnKind.NUMERIC:
            return [f"{self.minimum:g}", f"{self.maximum:g}"]
        ends_as_text = arrow.from_seconds(ends, pa.string(), self.datetime_format)
        return [str(end) for end in ends_as_text.to_pylist()]

    @property
    def longest(self) -> int:
        """Bytes of the longest text that it keeps."""
        first = None if self.pattern is None else self.pattern.first
        own = (self.constant, self.missing_text, first, self.doubt)
        texts = (*own, *self.missing_texts, *self.levels, *self.order)
        return max(len((text or "").encode()) for text in texts)

    @property
    def fills(self) -> bool:
        """Its gaps can be filled."""
        return self.kind.modelled or self.kind is ColumnKind.CONSTANT

    @property
    def binary(self) -> bool:
        """Its cells are the numbers 0 and 1, which a grid may hold like any others.

        Model files name the two words of a boolean column in its reason alone.
        """
        return self.kind is ColumnKind.BOOLEAN and self.reason == reason_of_words({"0", "1"})

    def missing_mask(self, array: pa.Array, na_values: tuple[str, ...]) -> Mask:
        """(N,) which cells are missing, by texts of the whole table and of this column."""
        return arrow.missing_mask(array, (*na_values, *self.missing_texts))

    def texts(self, array: pa.Array) -> pa.Array:
        """The cells of a column of categories as text, true and false in one spelling each."""
        texts = arrow.to_text(array)
        return in_one_spelling(texts) if self.kind is ColumnKind.BOOLEAN else texts

    def values(self, array: pa.Array) -> Floats:
        """The cells of a continuous column as float64, NaN where they cannot be read."""
        if self.kind is ColumnKind.DATETIME:
            return arrow.to_seconds(array, self.datetime_format)
        return arrow.to_numbers(array, self.numbers.notation if self.numbers else PLAIN)


def reason_of_words(words: Collection[str]) -> str:
    """Why a column is boolean; part of the format of model files, see ``Column.binary``.

    >>> reason_of_words({"0", "1"})
    'only 1 and 0'
    """
    return f"only {' and '.join(sorted(words, reverse=True))}"


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order, and the Arrow types they were read with.

    Attributes:
        columns: all of them.
        types: names and types, without metadata.
        rows: of the table.
        rules: between its columns.

    Raises:
        ValueError: a rule is of other columns.

    **Examples**

    >>> columns = (Column("a", ColumnKind.CATEGORICAL, "asked for", "string", distinct=2),)
    >>> schema = Schema(columns, pa.schema({"a": pa.string()}), rows=9)
    >>> schema.names, schema["a"].distinct, Schema.from_json(schema.to_json()) == schema
    (['a'], 2, True)
    """

    columns: tuple[Column, ...]
    types: pa.Schema
    rows: int = 0
    rules: tuple[AnyRule, ...] = ()

    def __post_init__(self) -> None:
        modelled = {column.name: column.kind for column in self.columns if column.kind.modelled}
        for rule in self.rules:
            for name in rule.columns:
                if name not in modelled:
                    raise ValueError(f"the rule {shown(rule)} is of a column that is not modelled")
                if name in rule.numeric and not modelled[name].continuous:
                    raise ValueError(f"the rule {shown(rule)} is of a column without numbers")

    @property
    def names(self) -> list[str]:
        return [c.name for c in self.columns]

    @property
    def modelled(self) -> tuple[Column, ...]:
        """The columns the network learns, in table order."""
        return tuple(c for c in self.columns if c.kind.modelled)

    def __getitem__(self, name: str) -> Column:
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(f"no column {shown(name)}", suggestion(name, self.names))

    @property
    def widths(self) -> dict[str, int]:
        """Bytes of a cell that each column writes, the model's categories aside."""
        kinds = zip(self.columns, self.types.types, strict=True)
        return {column.name: column.longest + _width(kind) for column, kind in kinds}

    def require(self, names: Collection[str]) -> None:
        """Check that a table with columns ``names`` has every modelled column.

        Raises:
            SchemaError: a column is missing; names it and the nearest one.
        """
        for column in self.modelled:
            if column.name not in names:
                raise SchemaError(
                    f"column {shown(column.name)} of the model is not in the table",
                    suggestion(column.name, names),
                )

    def require_enough(self, limits: TableLimits = TableLimits()) -> None:
        """Make sure that the table is large enough to learn from, and not too wide.

        Raises:
            DataError: it has too few rows or columns, or too few or many that can be modelled.
        """
        width, modelled = len(self.columns), len(self.modelled)
        if width < limits.fewest_columns:
            raise DataError(
                "the table has one column; the model learns columns from each other",
                "if it has more, name the delimiter: --delimiter ';'",
            )
        if self.rows < limits.fewest_rows:
            fewest = limits.fewest_rows
            raise DataError(f"the table has {self.rows} row; at least {fewest} are needed")
        if width > limits.most_columns:
            raise DataError(
                f"the table has {width} columns, at most {limits.most_columns} are read",
                "fit parts of it",
            )
        if modelled > limits.most_modelled:
            raise DataError(
                f"{modelled} columns could be modelled, at most {limits.most_modelled} are",
                "--ignore those that matter least, or fit parts of the table",
            )
        if modelled < limits.fewest_columns:
            reasons = "; ".join(f"{shown(c.name)}: {c.reason}" for c in self.columns[:3])
            raise DataError(
                f"only {modelled} of {width} columns can be modelled, at least "
                f"{limits.fewest_columns} are needed ({reasons})",
                "'tabvae inspect' shows why, --categorical or --numeric overrides",
            )

    @property
    def ruled(self) -> tuple[Column, ...]:
        """The columns that a rule speaks of."""
        named = {name for rule in self.rules for name in rule.columns}
        return tuple(column for column in self.columns if column.name in named)

    def with_labels(self, names: Collection[str]) -> Schema:
        """With the columns of whole numbers ``names`` as categories, for the order of their numbers
        does not matter."""

        def labelled(column: Column) -> Column:
            return replace(
                column,
                kind=ColumnKind.CATEGORICAL,
                reason=f"{column.distinct} whole numbers, better predicted as labels than by order",
                numbers=None,
                minimum=None,
                maximum=None,
            )

        columns = tuple(labelled(c) if c.name in names else c for c in self.columns)
        return replace(self, columns=columns)

    def warn_of_doubts(self) -> None:
        """Warn of dates whose days may be their months, and of all other doubts."""
        for column in self.columns:
            if column.doubt is not None:
                told = f"column {shown(column.name)}: {column.doubt}"
                warnings.warn(told, TabVAEWarning, stacklevel=4)
            if column.rival_format is not None:
                meant = shown(f"{column.name}={column.rival_format}")
                warnings.warn(
                    f"column {shown(column.name)} is read as {column.datetime_format}; "
                    f"{column.rival_format} reads as many cells: if that is meant, "
                    f"--datetime {meant}",
                    TabVAEWarning,
                    stacklevel=4,
                )

    @property
    def determined(self) -> frozenset[str]:
        """The columns that follow from others by a rule."""
        found: dict[str, set[str]] = {}
        for rule in self.rules:
            others = set(rule.columns) - {rule.determined}
            sources = others.union(*(found.get(name, ()) for name in others))
            # Of two columns that determine each other, one comes first.
            if rule.determined is not None and rule.determined not in sources:
                found.setdefault(rule.determined, set()).update(sources)
        return frozenset(found)

    def to_json(self) -> dict[str, Any]:
        """A JSON document that ``from_json`` reads back."""
        return {
            "rows": self.rows,
            "columns": [asdict(c) for c in self.columns],
            "rules": [rule.document() for rule in self.rules],
            "types": b64encode(self.types.serialize().to_pybytes()).decode(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """Read what ``to_json`` wrote.

        Raises:
            ValueError: it says something that no schema says.
            KeyError, TypeError: it is none.
        """
        columns = tuple(from_json(Column, c) for c in document["columns"])
        types = pa.ipc.read_schema(pa.py_buffer(b64decode(document["types"])))
        if types.names != [c.name for c in columns] or len(set(types.names)) < len(columns):
            raise ValueError("its types are of other columns")
        rows = document["rows"]
        if type(rows) is not int or not 0 < rows < TableLimits.most_rows:
            raise ValueError(f"a table of {shown(rows)} rows")
        rules = tuple(rule_from_document(rule) for rule in document["rules"])
        return cls(columns, types, rows, rules)


def _width(kind: pa.DataType) -> int:
    """Bytes of an empty cell; some types have a size that they say themselves."""
    kind = getattr(kind, "storage_type", kind)
    parts = sum(_width(kind.field(i).type) for i in range(kind.num_fields))
    if pa.types.is_fixed_size_list(kind):
        return int(kind.list_size * parts)
    if pa.types.is_fixed_size_binary(kind) or pa.types.is_primitive(kind):
        return max(1, int(kind.bit_width) // 8)
    pointer = 32  # At most; it says where a text, a list or a category is.
    return parts + pointer

"""What each column of a table is: inferred from the whole column, with a reason, overridable."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae import cells
from tabvae.cells import Floats, Mask, NumberFormat
from tabvae.errors import SchemaError, shown, suggestion
from tabvae.identifiers import last_identifier

SHARE_THAT_DECIDES = 0.95
"""A text column is numeric, or a date, when at least this share of its cells reads as one."""
SHARE_OF_DISTINCT_TEXT = 0.9
"""A text column with a larger share of distinct cells identifies rows and is not modelled."""
FEWEST_ROWS_FOR_IDENTIFIER = 20

BOOLEAN_WORDS = (
    {"true", "false"},
    {"yes", "no"},
    {"t", "f"},
    {"y", "n"},
    {"on", "off"},
    {"0", "1"},
)


class ColumnKind(StrEnum):
    """How a column takes part in the model."""

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
        return self in MODELLED_KINDS

    @property
    def continuous(self) -> bool:
        """Cells are points on a line: numbers, or moments as seconds since 1970."""
        return self in (ColumnKind.NUMERIC, ColumnKind.DATETIME)


MODELLED_KINDS = frozenset(
    {ColumnKind.NUMERIC, ColumnKind.CATEGORICAL, ColumnKind.BOOLEAN, ColumnKind.DATETIME}
)


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
        numbers: how numbers, or moments in seconds, are spaced and written.
        datetime_format: how moments are written in a text column.
        constant: the only value of a constant column.
        last_identifier: where fresh identifiers start to count.
        minimum: smallest number or moment, in data units or seconds.
        maximum: largest number or moment.
        foreign: observed cells that the kind cannot read, such as a word among numbers.
    """

    name: str
    kind: ColumnKind
    reason: str
    type: str
    missing: int = 0
    distinct: int = 0
    missing_text: str = ""
    numbers: NumberFormat | None = None
    datetime_format: str | None = None
    constant: str | None = None
    last_identifier: str | None = None
    minimum: float | None = None
    maximum: float | None = None
    foreign: int = 0

    @property
    def range_as_text(self) -> list[str]:
        """Smallest and largest number or moment, as people write them; empty for other kinds."""
        if self.minimum is None or self.maximum is None or not self.kind.continuous:
            return []
        if self.kind is ColumnKind.NUMERIC:
            return [f"{self.minimum:g}", f"{self.maximum:g}"]
        ends = np.array([self.minimum, self.maximum])
        ends_as_text = cells.from_seconds(ends, pa.string(), self.datetime_format)
        return [str(end) for end in ends_as_text.to_pylist()]

    def values(self, array: pa.Array) -> Floats:
        """The cells of a continuous column as float64, NaN where they cannot be read."""
        if self.kind is ColumnKind.DATETIME:
            return cells.to_seconds(array, self.datetime_format)
        return cells.to_numbers(array)


@dataclass(frozen=True)
class Overrides:
    """Kinds the user insists on, by column name."""

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    datetime: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    def kinds(self) -> dict[str, ColumnKind]:
        """The kind asked for, per column.

        Raises:
            SchemaError: a column is named twice with different kinds.
        """
        asked: dict[str, ColumnKind] = {}
        for kind, names in (
            (ColumnKind.CATEGORICAL, self.categorical),
            (ColumnKind.NUMERIC, self.numeric),
            (ColumnKind.DATETIME, self.datetime),
            (ColumnKind.IGNORED, self.ignore),
        ):
            for name in names:
                if asked.setdefault(name, kind) is not kind:
                    raise SchemaError(
                        f"column {shown(name)} is asked to be {asked[name]} and {kind}",
                        "name it once",
                    )
        return asked


@dataclass(frozen=True)
class Schema:
    """The columns of a table, in order, and the Arrow types they were read with."""

    columns: tuple[Column, ...]
    types: pa.Schema
    rows: int = 0

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

    def typed(self, table: pa.Table, na_values: tuple[str, ...]) -> pa.Table:
        """``table`` with its text columns of numbers and dates as such, where every cell fits.

        Missing cells become null. What a type cannot hold exactly stays text.
        """
        for position, field in enumerate(table.schema):
            if not cells.is_text(field.type):
                continue
            array = cells.flat(table.column(position))
            missing = cells.missing_mask(array, na_values)
            array = cells.choose(~missing, array, pa.scalar(None, array.type))
            if field.name in self.names:
                array = _typed(self[field.name], array, missing)
            table = table.set_column(position, field.name, array)
        return table

    def to_json(self) -> dict[str, Any]:
        """A JSON document that ``from_json`` reads back."""
        return {
            "rows": self.rows,
            "columns": [asdict(c) for c in self.columns],
            "types": b64encode(self.types.serialize().to_pybytes()).decode(),
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """Read what ``to_json`` wrote.

        Raises:
            SchemaError: the document is not a schema.
        """
        try:
            columns = tuple(_column_from_json(c) for c in document["columns"])
            types = pa.ipc.read_schema(pa.py_buffer(b64decode(document["types"])))
            return cls(columns, types, int(document["rows"]))
        except (KeyError, TypeError, ValueError, pa.ArrowInvalid) as error:
            raise SchemaError(
                f"not a schema: {error}", "write one with 'tabvae inspect DATA --json'"
            ) from error

    @classmethod
    def infer(
        cls,
        table: pa.Table,
        na_values: tuple[str, ...] = cells.DEFAULT_NA_VALUES,
        kinds: Mapping[str, ColumnKind] | None = None,
    ) -> Schema:
        """Decide the kind of every column of ``table``.

        Args:
            table: the whole table; text columns (CSV) or typed ones.
            na_values: texts that mean a missing cell.
            kinds: columns whose kind is given.

        Raises:
            SchemaError: a given column is not in the table, or cannot be of the given kind.
        """
        asked = dict(kinds or {})
        for name in asked:
            if name not in table.column_names:
                raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
        columns = (
            infer_column(name, cells.flat(array), array.type, na_values, asked.get(name))
            for name, array in zip(table.column_names, table.columns, strict=True)
        )
        return cls(tuple(columns), _bare(table.schema), table.num_rows)


def _typed(column: Column, array: pa.Array, missing: Mask) -> pa.Array:
    if not column.kind.continuous:
        return array
    values = column.values(array)
    if not np.isfinite(values[~missing]).all():
        return array
    plain = pa.array(np.where(missing, 0.0, values), mask=missing)
    if column.kind is ColumnKind.DATETIME:
        micros = pc.cast(pc.round(pc.multiply(plain, 1e6)), pa.int64())
        return pc.cast(micros, pa.timestamp("us"))
    whole = column.numbers is not None and column.numbers.decimals == 0
    exact = np.abs(values[~missing]).max(initial=0) < cells.LARGEST_EXACT_INTEGER
    return pc.cast(plain, pa.int64()) if whole and exact else plain


def _bare(types: pa.Schema) -> pa.Schema:
    """Names and types alone: the metadata of a Parquet file can quote its rows."""
    return pa.schema([pa.field(f.name, f.type) for f in types])


def _column_from_json(document: Mapping[str, Any]) -> Column:
    fields = dict(document)
    fields["kind"] = ColumnKind(fields["kind"])
    if fields.get("numbers") is not None:
        fields["numbers"] = NumberFormat(**fields["numbers"])
    return Column(**fields)


def kinds_from_json(text: str) -> dict[str, ColumnKind]:
    """Read the kinds out of a schema file, as ``tabvae inspect DATA --json`` writes it.

    A file that only maps names to kinds, ``{"age": "numeric"}``, serves as well.

    Raises:
        SchemaError: the text is not such a document.
    """
    try:
        document = json.loads(text)
        if "columns" in document:
            pairs: Iterable[tuple[str, str]] = ((c["name"], c["kind"]) for c in document["columns"])
        else:
            pairs = document.items()
        kinds = {str(name): ColumnKind(kind) for name, kind in pairs}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SchemaError(
            f"not a schema file: {error}", "write one with 'tabvae inspect DATA --json'"
        ) from error
    # These kinds follow from the data; asking for them again changes nothing.
    derived = (ColumnKind.CONSTANT, ColumnKind.IDENTIFIER, ColumnKind.TEXT, ColumnKind.BOOLEAN)
    return {name: kind for name, kind in kinds.items() if kind not in derived}


def infer_column(
    name: str,
    array: pa.Array,
    stored_type: pa.DataType,
    na_values: tuple[str, ...],
    asked: ColumnKind | None = None,
) -> Column:
    """Decide what one column is; ``asked`` overrides what its cells suggest."""
    missing = cells.missing_mask(array, na_values)
    observed = array.filter(pa.array(~missing))
    base = Column(
        name=name,
        kind=ColumnKind.IGNORED,
        reason="asked for",
        type=str(stored_type),
        missing=int(missing.sum()),
        missing_text=_most_common_text(array.filter(pa.array(missing))),
    )
    if asked is ColumnKind.IGNORED:
        return base
    if not _readable(array.type):
        if asked is not None:
            raise SchemaError(f"column {shown(name)} of type {array.type} cannot be {asked}")
        return replace(base, reason=f"cells of type {array.type} are carried through")
    if len(observed) == 0:
        return replace(base, reason="all cells are missing")
    base = replace(base, distinct=int(pc.count_distinct(observed).as_py()))
    if base.distinct == 1 and asked is None:
        only = cells.to_text(observed.slice(0, 1))[0].as_py()
        return replace(
            base, kind=ColumnKind.CONSTANT, reason="one value in every cell", constant=only
        )
    if asked is not None:
        return _as_asked(base, observed, asked)
    return _inferred(base, observed)


def _readable(kind: pa.DataType) -> bool:
    return (
        cells.is_text(kind)
        or cells.is_number(kind)
        or cells.is_moment(kind)
        or bool(pa.types.is_boolean(kind))
    )


def _most_common_text(missing: pa.Array) -> str:
    if not cells.is_text(missing.type) or missing.null_count == len(missing):
        return ""
    counted = pc.value_counts(missing.drop_null())
    most = int(np.argmax(counted.field("counts").to_numpy()))
    return str(counted.field("values")[most].as_py())


def _as_asked(base: Column, observed: pa.Array, asked: ColumnKind) -> Column:
    if asked is ColumnKind.CATEGORICAL:
        return replace(base, kind=asked)
    if asked is ColumnKind.NUMERIC:
        column = _numeric(base, observed, share=0.0)
    else:
        column = _datetime(base, observed, share=0.5)
    if column is None:
        example = cells.to_text(observed.slice(0, 1))[0].as_py()
        raise SchemaError(
            f"column {shown(base.name)} cannot be {asked}: its cells are like {shown(example)}"
        )
    return replace(column, reason="asked for")


def _inferred(base: Column, observed: pa.Array) -> Column:
    if cells.is_moment(observed.type):
        return _datetime(base, observed, SHARE_THAT_DECIDES) or base
    texts = cells.to_text(observed)
    if (boolean := _boolean(base, texts)) is not None:
        return boolean
    if base.type.startswith("dictionary"):
        return replace(base, kind=ColumnKind.CATEGORICAL, reason="stored as a dictionary")
    if cells.is_number(observed.type):
        numeric = _numeric(base, observed, SHARE_THAT_DECIDES)
        return _identifier_number(numeric, observed) if numeric else base
    stripped = pc.utf8_trim_whitespace(texts)
    if not pc.any(pc.match_substring_regex(stripped, cells.LEADING_ZERO_PATTERN)).as_py():
        if (numeric := _numeric(base, observed, SHARE_THAT_DECIDES)) is not None:
            return _identifier_number(numeric, observed)
        if (moment := _datetime(base, observed, SHARE_THAT_DECIDES)) is not None:
            return moment
    elif (moment := _datetime(base, observed, SHARE_THAT_DECIDES)) is not None:
        return moment
    return _text(base, stripped)


def _boolean(base: Column, texts: pa.Array) -> Column | None:
    words = {str(w).strip().lower() for w in pc.unique(texts.slice(0, 1000)).to_pylist()}
    if base.distinct != 2 or words not in BOOLEAN_WORDS:
        return None
    pair = " and ".join(sorted(words, reverse=True))
    return replace(base, kind=ColumnKind.BOOLEAN, reason=f"only {pair}")


def _numeric(base: Column, observed: pa.Array, share: float) -> Column | None:
    values = cells.to_numbers(observed)
    known = np.isfinite(values)
    if not known.any() or known.mean() < share:
        return None
    numbers = cells.number_format(observed, values)
    whole = numbers.decimals == 0
    digits = "many" if numbers.decimals is None else str(numbers.decimals)
    what = "integers" if whole else f"numbers with {digits} decimals"
    foreign = int((~known).sum())
    other = f"; {foreign} cells are not numbers and are carried through" if foreign else ""
    return replace(
        base,
        kind=ColumnKind.NUMERIC,
        reason=f"{what}, {base.distinct} distinct{other}",
        numbers=numbers,
        minimum=float(values[known].min()),
        maximum=float(values[known].max()),
        foreign=foreign,
    )


def _identifier_number(column: Column, observed: pa.Array) -> Column:
    """A running number, or a distinct integer in a column called id, identifies rows."""
    rows = len(observed)
    assert column.numbers is not None
    assert column.minimum is not None
    assert column.maximum is not None
    distinct_integers = column.numbers.decimals == 0 and column.distinct == rows
    if not distinct_integers or rows < FEWEST_ROWS_FOR_IDENTIFIER:
        return column
    running = column.maximum - column.minimum == (rows - 1) * column.numbers.step
    word = column.name.strip().lower().replace("-", "_").replace(" ", "_")
    called_id = word in ("id", "uuid", "guid", "key") or word.endswith("_id")
    if not (running or called_id):
        return column
    reason = "a running number" if running else "distinct integers, called id"
    last = column.numbers.write(np.array([column.maximum]))[0]
    return replace(column, kind=ColumnKind.IDENTIFIER, reason=reason, last_identifier=last)


def _datetime(base: Column, observed: pa.Array, share: float) -> Column | None:
    datetime_format = None
    if not cells.is_moment(observed.type):
        datetime_format = cells.find_datetime_format(cells.to_text(observed), share)
        if datetime_format is None:
            return None
    seconds = cells.to_seconds(observed, datetime_format)
    known = np.isfinite(seconds)
    step, origin = cells.grid(seconds[known], decimals=6)
    shown_format = datetime_format or str(observed.type)
    return replace(
        base,
        kind=ColumnKind.DATETIME,
        reason=f"date or time, {shown_format}",
        datetime_format=datetime_format,
        numbers=NumberFormat(6, 0, step, origin),
        minimum=float(seconds[known].min()),
        maximum=float(seconds[known].max()),
        foreign=int((~known).sum()),
    )


def _text(base: Column, texts: pa.Array) -> Column:
    rows = len(texts)
    nearly_all_distinct = base.distinct > SHARE_OF_DISTINCT_TEXT * rows
    if rows < FEWEST_ROWS_FOR_IDENTIFIER or not nearly_all_distinct:
        reason = f"text with {base.distinct} distinct values"
        return replace(base, kind=ColumnKind.CATEGORICAL, reason=reason)
    words = pc.any(pc.match_substring_regex(texts, r"\s")).as_py()
    if base.distinct == rows and not words:
        last = last_identifier(texts.to_pylist())
        return replace(
            base, kind=ColumnKind.IDENTIFIER, reason="every cell distinct", last_identifier=last
        )
    share = 100 * base.distinct / rows
    return replace(base, kind=ColumnKind.TEXT, reason=f"{share:.0f} % of the cells are distinct")

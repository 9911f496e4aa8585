"""What each column of a table is, inferred from the whole column, with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.columns.doubts import (
    doubt_of_moments,
    doubt_of_numbers,
    doubt_of_text,
    doubt_of_words,
)
from tabvae.columns.scales import order_of
from tabvae.columns.schema import Column, ColumnKind, Schema, TableLimits, reason_of_words
from tabvae.errors import SchemaError, shown, suggestion
from tabvae.values import arrow, dates
from tabvae.values.arrow import Ints, NumberFormat
from tabvae.values.booleans import are_booleans
from tabvae.values.notation import (
    FOUND,
    PLAIN,
    Notation,
    NotationConfig,
    Separators,
    find_notation,
    has_leading_zeros,
    may_be_thousands,
)


@dataclass(frozen=True)
class InferenceConfig:
    """When cells decide what their column is.

    Attributes:
        share_that_decides: share of the cells of a text column that must read as numbers, or as
            dates, for it to be one of these: a few stray words are carried through.
        share_asked_for: the same for a date that is asked for: most cells should bear it out.
        share_of_distinct: share of distinct cells above which a text column identifies rows, or is
            prose, and is not modelled: categories have to come again.
        fewest_rows_of_identifier: rows below which a column is none, as few cells are easily all
            distinct.
        cells_to_try: cells that each date format is tried on before whole columns are read.
        fewest_days_in_digits: distinct cells such as ``20240722`` from which on they are days: one
            number in thirty is one by chance.
        most_spellings: of true and false together.
        most_ordered: words that a scale may have.
        missing_words: in small letters, that mean a missing cell among numbers or dates. In text,
            ``unknown`` may be an answer.

    **Examples**

    >>> table = pa.table({"a": ["1", "2", "?", "3"] * 9})
    >>> infer_schema(table, ())["a"].kind.value
    'categorical'
    >>> infer_schema(table, (), config=InferenceConfig(share_that_decides=0.7))["a"].kind.value
    'numeric'
    """

    share_that_decides: float = 0.95
    share_asked_for: float = 0.5
    share_of_distinct: float = 0.9
    fewest_rows_of_identifier: int = 20
    cells_to_try: int = 200
    fewest_days_in_digits: int = 5
    most_spellings: int = 20
    most_ordered: int = 20
    missing_words: tuple[str, ...] = (
        *("n/a", "#n/a", "na", "nan", "null", "none", "nil", "<na>", "(null)", "missing"),
        *("unknown", "not available", "-", "--", "---", ".", "#value!", "#div/0!", "#null!"),
        *("#ref!", "#name?", "#num!", "n.a.", "n.d.", "not applicable", "no data", "nat"),
    )


def infer_schema(
    table: pa.Table,
    na_values: tuple[str, ...] = arrow.DEFAULT_NA_VALUES,
    kinds: Mapping[str, ColumnKind] | None = None,
    formats: Mapping[str, str] | None = None,
    config: InferenceConfig = InferenceConfig(),
    separators: Mapping[str, Separators] | None = None,
) -> Schema:
    """Decide the kind of every column of ``table``.

    Args:
        table: the whole table; text columns (CSV) or typed ones.
        na_values: texts that mean a missing cell.
        kinds: columns whose kind is given.
        formats: datetime formats that are given.
        config: when cells decide.
        separators: of numbers that are given.

    Raises:
        SchemaError: a given column is not in the table, or cannot be of the given kind or format.

    >>> schema = infer_schema(pa.table({"size": ["1.5", "", "2.0"], "unit": ["cm"] * 3}))
    >>> [(column.kind.value, column.reason) for column in schema.columns]
    [('numeric', 'numbers with 1 decimals, 2 distinct'), ('constant', 'one value in every cell')]
    """
    kinds, formats, separators = kinds or {}, formats or {}, separators or {}
    for name in kinds:
        if name not in table.column_names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
    columns = []
    for name, array in zip(table.column_names, table.columns, strict=True):
        asked = (kinds.get(name), formats.get(name))
        cells, signs = arrow.flat(array), separators.get(name, FOUND)
        column = infer_column(name, cells, array.type, na_values, *asked, config, signs)
        if column.kind.modelled and not column.kind.continuous:
            levels = arrow.to_text(arrow.levels_of(array)).to_pylist()
            column = replace(column, levels=tuple(levels))
        if column.kind is ColumnKind.CATEGORICAL and not column.order:
            column = replace(column, order=_stored_order(array, cells))
        columns.append(column)
    for position, date_format in _settled_formats(columns).items():
        array = table.column(position)
        asked = (ColumnKind.DATETIME, date_format)
        name, cells = columns[position].name, arrow.flat(array)
        column = infer_column(name, cells, array.type, na_values, *asked, config)
        reason = f"date or time, {date_format} as in other columns"
        columns[position] = replace(column, reason=reason)
    for position, signs in _settled_separators(columns, table, separators).items():
        array = table.column(position)
        asked = (kinds.get(columns[position].name), None)
        name, cells = columns[position].name, arrow.flat(array)
        column = infer_column(name, cells, array.type, na_values, *asked, config, signs)
        reason = f"{column.reason}; decimals by {signs.decimal!r} as in other columns"
        columns[position] = replace(column, reason=reason)
    # The metadata of a Parquet file can quote its rows.
    bare = pa.schema([pa.field(field.name, field.type) for field in table.schema])
    return Schema(tuple(columns), bare, table.num_rows)


def _settled_formats(columns: list[Column]) -> dict[int, str]:
    """By position, the formats of columns whose days may be their months: those with the order that
    other columns surely have."""
    dated = {i: column for i, column in enumerate(columns) if column.datetime_format is not None}
    sure = {
        dates.date_order(str(column.datetime_format))
        for column in dated.values()
        if column.rival_format is None
    }
    settled = {}
    for position, column in dated.items():
        if column.rival_format is not None:
            both = (str(column.datetime_format), column.rival_format)
            likely = [one for one in both if dates.date_order(one) in sure]
            if len(likely) == 1:
                settled[position] = likely[0]
    return settled


def _stored_order(array: pa.ChunkedArray, cells: pa.Array) -> tuple[str, ...]:
    """The values of an ordered dictionary that occur, from the lowest on."""
    if not (pa.types.is_dictionary(array.type) and array.type.ordered):
        return ()
    known = [arrow.to_text(chunk.dictionary).to_pylist() for chunk in array.chunks]
    occurring = set(pc.unique(arrow.to_text(cells)).to_pylist())
    return tuple(dict.fromkeys(v for part in known for v in part if v in occurring))


def _settled_separators(
    columns: list[Column], table: pa.Table, given: Mapping[str, Separators]
) -> dict[int, Separators]:
    """By position, the separators of columns such as 1.234, whose points may be decimals or
    thousands: those that other columns surely have."""
    sure, unsure = set[str](), dict[int, Notation]()
    for i, column in enumerate(columns):
        numbers, array = column.numbers, arrow.flat(table.column(i))
        if (
            column.kind is not ColumnKind.NUMERIC
            or numbers is None
            or not arrow.is_text(array.type)
        ):
            continue
        if numbers.decimals == 3 or numbers.notation.thousands:
            array = array.filter(pa.array(np.isfinite(column.values(array))))
            if column.name not in given and may_be_thousands(array, numbers.notation):
                unsure[i] = numbers.notation
                continue
        if numbers.decimals != 0 or numbers.notation.thousands:
            sure.add(numbers.notation.decimal)
    if len(sure) != 1:
        return {}
    signs = Separators(decimal=sure.pop())
    doubted = (i for i in unsure if unsure[i].decimal != signs.decimal or columns[i].doubt)
    return dict.fromkeys(doubted, signs)


def infer_column(
    name: str,
    array: pa.Array,
    stored_type: pa.DataType,
    na_values: tuple[str, ...],
    asked: ColumnKind | None = None,
    datetime_format: str | None = None,
    config: InferenceConfig = InferenceConfig(),
    separators: Separators = FOUND,
) -> Column:
    """Decide what one column is; ``asked`` and its format override what its cells suggest.

    Words such as ``N/A`` are missing cells if the others are numbers or dates, unless ``na_values``
    are not the usual ones.

    Args:
        name: of the column.
        array: (N,) all its cells, in one piece.
        stored_type: the type they are stored as.
        na_values: texts that mean a missing cell.
        asked: its kind, if that is given.
        datetime_format: how its moments are written, if that is given.
        config: when cells decide.
        separators: of its numbers, as far as they are given.

    Raises:
        SchemaError: it cannot be of the kind or in the format that is asked for.
    """

    def inferred(missing_texts: tuple[str, ...]) -> Column:
        known = (*na_values, *missing_texts)
        return _infer_column(
            name, array, stored_type, known, asked, datetime_format, config, separators
        )

    usual = set(arrow.DEFAULT_NA_VALUES) <= set(na_values)
    if usual and (words := _missing_words(array, na_values, config)):
        try:
            column = inferred(words)
        except SchemaError:
            return inferred(())
        if column.kind.continuous:
            said = ", ".join(shown(word) for word in words)
            reason = f"{column.reason}; {said}: missing"
            return replace(column, reason=reason, missing_texts=words)
    return inferred(())


def _missing_words(
    array: pa.Array, na_values: tuple[str, ...], config: InferenceConfig
) -> tuple[str, ...]:
    """Those of a column's texts by which people often mean a missing cell."""
    if not arrow.is_text(array.type):
        return ()
    stripped = pc.utf8_trim_whitespace(array)
    words = pc.is_in(pc.utf8_lower(stripped), value_set=pa.array(config.missing_words, array.type))
    found = pc.unique(stripped.filter(words)).to_pylist()
    return tuple(sorted(word for word in found if word not in na_values))


def _infer_column(
    name: str,
    array: pa.Array,
    stored_type: pa.DataType,
    na_values: tuple[str, ...],
    asked: ColumnKind | None,
    datetime_format: str | None,
    config: InferenceConfig,
    separators: Separators,
) -> Column:
    """The column, if ``na_values`` alone are missing cells; see ``infer_column``."""
    missing = pa.array(arrow.missing_mask(array, na_values))
    column = Column(
        name=name,
        kind=ColumnKind.IGNORED,
        reason="asked for",
        type=str(stored_type),
        missing=missing.true_count,
        missing_text=_most_common_text(array.filter(missing)),
    )
    if asked is ColumnKind.IGNORED:
        return column
    if not _readable(array.type):
        if asked is not None:
            raise SchemaError(f"column {shown(name)} of type {array.type} cannot be {asked}")
        return replace(column, reason=f"cells of type {array.type} are carried through")
    observed = array.filter(pc.invert(missing))
    if len(observed) == 0:
        return replace(column, reason="all cells are missing")
    column = replace(column, distinct=int(pc.count_distinct(observed).as_py()))
    rows = np.flatnonzero(~np.asarray(missing))
    inference = _Inference(column, observed, rows, config, separators)
    return inference.inferred() if asked is None else inference.as_asked(asked, datetime_format)


def _readable(kind: pa.DataType) -> bool:
    return (
        arrow.is_text(kind)
        or arrow.is_number(kind)
        or arrow.is_moment(kind)
        or bool(pa.types.is_boolean(kind))
    )


def _most_common_text(missing: pa.Array) -> str:
    """That of the missing cells, where it is not null or NaN."""
    if not arrow.is_text(missing.type):
        missing = missing.filter(pa.array(np.isfinite(arrow.to_numbers(missing))))
    if missing.null_count == len(missing):
        return ""
    counted = pc.value_counts(arrow.to_text(missing).drop_null())
    most = int(np.argmax(counted.field("counts").to_numpy()))
    return str(counted.field("values")[most].as_py())


@dataclass(frozen=True)
class _Inference:
    """One column whose kind is to be decided.

    Attributes:
        column: what is known of it whatever its kind.
        observed: its cells that are not missing, at least one.
        rows: in which they are.
        config: when they decide.
        separators: of its numbers, as far as they are given.
    """

    column: Column
    observed: pa.Array
    rows: Ints
    config: InferenceConfig
    separators: Separators

    @property
    def example(self) -> str:
        """The first cell, as text."""
        return str(arrow.to_text(self.observed.slice(0, 1))[0].as_py())

    def as_asked(self, kind: ColumnKind, datetime_format: str | None) -> Column:
        """The column, of the kind that is asked for."""
        if kind is ColumnKind.CATEGORICAL:
            return self._categorical("asked for")
        if kind is ColumnKind.NUMERIC:
            column = self._numeric(share=0.0)
        elif datetime_format is not None:
            column = self._in_format(datetime_format)
        else:
            column = self._datetime(self.config.share_asked_for)
        if column is None:
            name, example = shown(self.column.name), shown(self.example)
            raise SchemaError(
                f"column {name} cannot be {kind}: its cells are like {example}",
                "--datetime COL=FORMAT names a format" if kind is ColumnKind.DATETIME else "",
            )
        return replace(column, reason=f"asked for{_or_else(column)}")

    def inferred(self) -> Column:
        """The column, of the kind that its cells suggest."""
        observed, share = self.observed, self.config.share_that_decides
        if self.column.distinct == 1:
            constant, reason = self.example, "one value in every cell"
            return replace(self.column, kind=ColumnKind.CONSTANT, reason=reason, constant=constant)
        dictionary = self.column.type.startswith("dictionary")
        if arrow.is_moment(observed.type) and not dictionary:
            return self._datetime(share) or self.column
        texts = arrow.to_text(observed)
        if (boolean := self._boolean(texts)) is not None:
            return boolean
        if dictionary:
            reason = "stored as a dictionary"
            return self._categorical(reason)
        if (day := self._day_in_digits(texts)) is not None:
            return day
        if arrow.is_number(observed.type):
            numeric = self._numeric(share)
            if numeric is None or pa.types.is_duration(observed.type):
                return numeric or self.column
            return self._identifier_number(numeric)
        texts = pc.utf8_trim_whitespace(texts)
        if not has_leading_zeros(texts) and (numeric := self._numeric(share)) is not None:
            return self._identifier_number(numeric)
        if (moments := self._datetime(share)) is not None:
            return moments
        doubt = doubt_of_text(texts, self.rows, self.column.name)
        doubt = doubt or doubt_of_words(texts, self.config.missing_words)
        return replace(self._text(texts), doubt=doubt)

    def _boolean(self, texts: pa.Array) -> Column | None:
        if self.column.distinct > self.config.most_spellings:
            return None
        words = {str(w).strip().lower() for w in pc.unique(texts).to_pylist()}
        if not are_booleans(words):
            return None
        return replace(self.column, kind=ColumnKind.BOOLEAN, reason=reason_of_words(words))

    def _day_in_digits(self, texts: pa.Array) -> Column | None:
        """A column of ``20240722``, if every cell is a day of our times."""
        kind = self.observed.type
        few = self.column.distinct < self.config.fewest_days_in_digits
        if few or not (arrow.is_text(kind) or pa.types.is_integer(kind)):
            return None
        digits = pc.match_substring_regex(pc.utf8_trim_whitespace(texts), r"^(19|20)\d{6}$")
        if not pc.all(digits).as_py() or dates.share_read(texts, dates.DIGITS_OF_A_DAY) < 1:
            return None
        return self._moments(dates.DIGITS_OF_A_DAY)

    def _numeric(self, share: float) -> Column | None:
        found = self._notation(max(share, 0.5), asked=share == 0)
        if found is None:
            return None
        notation, rival = found
        values = arrow.to_numbers(self.observed, notation)
        finite = np.isfinite(values)
        if not finite.any() or finite.mean() < share:
            return None
        numbers = arrow.number_format(self.observed, values, notation)
        digits = "many" if numbers.decimals is None else str(numbers.decimals)
        what = "integers" if numbers.decimals == 0 else f"numbers with {digits} decimals"
        what += f", {notation.words}" if notation.words else ""
        foreign = int((~finite).sum())
        rest = f"; {foreign} cells are not numbers and are carried through" if foreign else ""
        return replace(
            self.column,
            kind=ColumnKind.NUMERIC,
            reason=f"{what}, {self.column.distinct} distinct{rest}",
            numbers=numbers,
            doubt=doubt_of_numbers(values, notation, rival, self.column.name),
            minimum=float(values[finite].min()),
            maximum=float(values[finite].max()),
            foreign=foreign,
        )

    def _notation(self, share: float, asked: bool) -> tuple[Notation, Notation | None] | None:
        """How the numbers are written, and another way that reads them all; ``None`` if in none
        that may be. Numbers may be ``asked`` for."""
        plain = PLAIN, None
        if not arrow.is_text(self.observed.type):
            return plain
        texts, allowed = arrow.to_text(self.observed), self.separators.allow(PLAIN)
        numbers = np.isfinite(arrow.to_numbers(self.observed)) if allowed else np.zeros(1)
        signed = pc.any(pc.starts_with(pc.utf8_ltrim_whitespace(texts), "+")).as_py()
        if numbers.all() and not signed:
            return plain
        found = find_notation(texts, share, NotationConfig(), self.separators, asked)
        if found is None:
            return plain if allowed else None
        more = np.isfinite(arrow.to_numbers(self.observed, found[0])).mean() - numbers.mean()
        return found if more > 0 or (signed and more == 0) else plain

    def _identifier_number(self, column: Column) -> Column:
        """A running number, or a distinct integer in a column called id, identifies rows."""
        assert column.numbers is not None
        assert column.minimum is not None
        assert column.maximum is not None
        rows = len(self.observed)
        distinct_integers = column.numbers.decimals == 0 and column.distinct == rows
        if not distinct_integers or rows < self.config.fewest_rows_of_identifier:
            return column
        running = column.maximum - column.minimum == (rows - 1) * column.numbers.step
        word = column.name.strip().lower().replace("-", "_").replace(" ", "_")
        called_id = word in ("id", "uuid", "guid", "key") or word.endswith("_id")
        if not (running or called_id):
            return column
        reason = "a running number" if running else "distinct integers, called id"
        kind = ColumnKind.IDENTIFIER
        return replace(column, kind=kind, reason=reason, minimum=None, maximum=None)

    def _datetime(self, share: float) -> Column | None:
        if arrow.is_moment(self.observed.type):
            return self._moments(None)
        texts = arrow.to_text(self.observed)
        likely = dates.find_datetime_formats(texts, share, self.config.cells_to_try)
        return self._moments(*likely[:2]) if likely else None

    def _in_format(self, datetime_format: str) -> Column:
        """A column of moments in a format that was asked for."""
        name, observed = shown(self.column.name), self.observed
        if arrow.is_moment(observed.type):
            raise SchemaError(f"column {name} of type {observed.type} has no datetime format")
        if datetime_format.endswith("%z"):
            offset = dates.common_offset(arrow.to_text(observed)).lstrip()
            datetime_format = datetime_format.removesuffix("%z") + (offset or "%z")
        if not dates.is_datetime_format(datetime_format):
            raise SchemaError(
                f"column {name}: {shown(datetime_format)} is no datetime format",
                "such as %d/%m/%Y, '%Y-%m-%d %H:%M:%S%z' or epoch",
            )
        read = dates.share_read(arrow.to_text(observed), datetime_format)
        if read < self.config.share_asked_for:
            raise SchemaError(
                f"column {name}: {shown(datetime_format)} reads {read * len(observed):.0f} of "
                f"{len(observed)} cells, which are like {shown(self.example)}"
            )
        return self._moments(datetime_format)

    def _moments(self, datetime_format: str | None, rival: str | None = None) -> Column:
        """A column of moments that ``datetime_format`` reads, and a ``rival`` as well."""
        seconds = arrow.to_seconds(self.observed, datetime_format)
        finite = np.isfinite(seconds)
        step, origin = arrow.spacing(seconds[finite], decimals=6)
        column = replace(
            self.column,
            kind=ColumnKind.DATETIME,
            datetime_format=datetime_format,
            rival_format=rival,
            numbers=NumberFormat(6, 0, step, origin),
            minimum=float(seconds[finite].min()),
            maximum=float(seconds[finite].max()),
            foreign=int((~finite).sum()),
        )
        if datetime_format is not None:
            column = replace(column, doubt=doubt_of_moments(seconds, datetime_format))
        shown_format = datetime_format or str(self.observed.type)
        return replace(column, reason=f"date or time, {shown_format}{_or_else(column)}")

    def _text(self, texts: pa.Array) -> Column:
        rows, distinct = len(texts), self.column.distinct
        nearly_all_distinct = distinct > self.config.share_of_distinct * rows
        if rows < self.config.fewest_rows_of_identifier or not nearly_all_distinct:
            return self._categorical(f"text with {distinct} distinct values")
        words = pc.any(pc.match_substring_regex(texts, r"\s")).as_py()
        short = pc.max(pc.utf8_length(texts)).as_py() < TableLimits.longest_identifier
        if distinct == rows and short and not words:
            return replace(self.column, kind=ColumnKind.IDENTIFIER, reason="every cell distinct")
        reason = f"{100 * distinct / rows:.0f} % of the cells are distinct"
        return replace(self.column, kind=ColumnKind.TEXT, reason=reason)

    def _categorical(self, reason: str) -> Column:
        """A column of categories; of words that have an order, in it."""
        order: tuple[str, ...] = ()
        if self.column.distinct <= self.config.most_ordered:
            order = order_of(pc.unique(arrow.to_text(self.observed)).to_pylist())
        reason = f"{reason} that have an order" if order else reason
        return replace(self.column, kind=ColumnKind.CATEGORICAL, reason=reason, order=order)


def _or_else(column: Column) -> str:
    """That the cells can be read in two ways, if they can."""
    rival = column.rival_format
    return f"; or is it {rival}? both read as many cells" if rival else ""

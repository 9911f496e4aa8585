"""Kinds of columns and formats of cells that the user insists on: options, or a schema file."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tabvae.columns.schema import ColumnKind
from tabvae.errors import SchemaError, shown
from tabvae.values.notation import Separators


@dataclass(frozen=True)
class Overrides:
    """Kinds the user insists on, by column name; of dates also their format, as COL=FORMAT.

    The separators of numbers are ``,`` for those of the whole table, or ``COL=,``.

    **Examples**

    >>> asked = Overrides(numeric=("zip",), datetime=("day=%d/%m/%Y",))
    >>> {name: kind.value for name, kind in asked.kinds().items()}, asked.formats()
    ({'zip': 'numeric', 'day': 'datetime'}, {'day': '%d/%m/%Y'})
    >>> Overrides(decimal=(",", "b=.")).separators(["a", "b"])["b"]
    Separators(decimal='.', thousands=None)
    """

    categorical: tuple[str, ...] = ()
    numeric: tuple[str, ...] = ()
    datetime: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    decimal: tuple[str, ...] = ()
    thousands: tuple[str, ...] = ()

    def kinds(self, columns: Collection[str] = ()) -> dict[str, ColumnKind]:
        """The kind asked for, per column.

        Args:
            columns: of the table; a name with an equals sign is taken for one of them first.

        Raises:
            SchemaError: a column is named twice with different kinds.
        """
        asked: dict[str, ColumnKind] = {}
        for kind, names in (
            (ColumnKind.CATEGORICAL, self.categorical),
            (ColumnKind.NUMERIC, (*self.numeric, *self._separated(columns))),
            (ColumnKind.DATETIME, [_named(text, columns)[0] for text in self.datetime]),
            (ColumnKind.IGNORED, self.ignore),
        ):
            for name in names:
                if asked.setdefault(name, kind) is not kind:
                    raise SchemaError(
                        f"column {shown(name)} is asked to be {asked[name]} and {kind}",
                        "name it once",
                    )
        return asked

    def formats(self, columns: Collection[str] = ()) -> dict[str, str]:
        """The datetime formats asked for, per column.

        Raises:
            SchemaError: a column is named twice with different formats.
        """
        asked: dict[str, str] = {}
        for name, datetime_format in (_named(text, columns) for text in self.datetime):
            if datetime_format is None:
                continue
            if asked.setdefault(name, datetime_format) != datetime_format:
                raise SchemaError(f"column {shown(name)} has two datetime formats", "name it once")
        return asked

    def separators(self, columns: Collection[str]) -> dict[str, Separators]:
        """The separators of numbers asked for, per column; of all ``columns`` if the table's are.

        Raises:
            ParameterError: no numbers are written so.
            SchemaError: a column, or the table, is given two different ones.
        """
        decimal = _separator_of("decimal", self.decimal, columns)
        thousands = _separator_of("thousands", self.thousands, columns)
        of_table = (decimal.get(None), thousands.get(None))
        named = columns if of_table != (None, None) else self._separated(columns)
        return {
            name: Separators(decimal.get(name, of_table[0]), thousands.get(name, of_table[1]))
            for name in named
        }

    def _separated(self, columns: Collection[str]) -> list[str]:
        """The columns that a separator is given of: they hold numbers."""
        texts = [t for t in (*self.decimal, *self.thousands) if "=" in t]
        return [_named(text, columns)[0] for text in texts]


def _separator_of(
    option: str, texts: Iterable[str], columns: Collection[str]
) -> dict[str | None, str]:
    """The separator of each column, and of the table as that of ``None``."""
    asked: dict[str | None, str] = {}
    for text in texts:
        name, separator = _named(text, columns) if "=" in text else (None, text)
        if asked.setdefault(name, separator or "") != (separator or ""):
            whose = "the table" if name is None else f"column {shown(name)}"
            raise SchemaError(f"{whose} has two signs for --{option}", "name it once")
    return asked


def _named(text: str, columns: Collection[str]) -> tuple[str, str | None]:
    """Column and format of COL or COL=FORMAT; the longest name there is a column of.

    >>> _named("day=%d/%m/%Y", ["day"]), _named("a=b", ["a=b"]), _named("a=b=%Y", ["a=b"])
    (('day', '%d/%m/%Y'), ('a=b', None), ('a=b', '%Y'))
    """
    if text in columns:
        return text, None
    ends = [place for place, character in enumerate(text) if character == "="]
    named = [end for end in ends if text[:end] in columns] or ends[:1]
    return (text[: named[-1]], text[named[-1] + 1 :]) if named else (text, None)


def kinds_from_json(text: str) -> dict[str, ColumnKind]:
    """Read the kinds out of a schema file, as ``tabvae inspect DATA --json`` writes it.

    A file that only maps names to kinds, ``{"age": "numeric"}``, serves as well.

    Raises:
        SchemaError: the text is not such a document.
    """
    # These follow from the data; asking for them again changes nothing.
    derived = (ColumnKind.CONSTANT, ColumnKind.IDENTIFIER, ColumnKind.TEXT, ColumnKind.BOOLEAN)
    return {name: kind for name, (kind, *_) in _given(text).items() if kind not in derived}


def formats_from_json(text: str) -> dict[str, str]:
    """Read the datetime formats out of a schema file, where it has any.

    Raises:
        SchemaError: the text is not such a document.
    """
    return {
        name: str(written)
        for name, (kind, written, _) in _given(text).items()
        if kind is ColumnKind.DATETIME and written is not None
    }


def rules_from_json(text: str) -> tuple[str, ...]:
    """The rules in a schema file, as people write them, where it has any.

    Raises:
        SchemaError: the text is not such a document.

    >>> rules_from_json('{"columns": [], "rules": ["a <= b", {"text": "c -> d"}]}')
    ('a <= b', 'c -> d')
    """
    try:
        document = json.loads(text)
        rules = document.get("rules", ()) if "columns" in document else ()
        return tuple(rule if isinstance(rule, str) else str(rule["text"]) for rule in rules)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_schema(error) from error


def separators_from_json(text: str) -> dict[str, Separators]:
    """Read the separators of numbers out of a schema file, where they are not the plain ones.

    Raises:
        SchemaError: the text is not such a document.
        ParameterError: no numbers are written so.
    """
    written = {name: notation for name, (_, _, notation) in _given(text).items() if notation}
    return {name: Separators(n["decimal"], n["thousands"]) for name, n in written.items()}


def _given(text: str) -> dict[str, tuple[ColumnKind, Any, Any]]:
    """Kind, datetime format and notation of each column of a schema file."""
    try:
        document = json.loads(text)
        columns: Iterable[Mapping[str, Any]]
        if "columns" in document:
            columns = document["columns"]
        else:
            columns = [{"name": name, "kind": kind} for name, kind in document.items()]
        return {str(c["name"]): _said(c) for c in columns}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _no_schema(error) from error


def _no_schema(error: Exception) -> SchemaError:
    return SchemaError(f"not a schema file: {error}", "write one with 'tabvae inspect DATA --json'")


def _said(column: Mapping[str, Any]) -> tuple[ColumnKind, Any, Any]:
    kind = ColumnKind(column["kind"])
    notation = (column.get("numbers") or {}).get("notation") or {}
    plain = (notation.get("decimal"), notation.get("thousands")) == (".", "")
    said = kind is ColumnKind.NUMERIC and bool(notation) and not plain
    return kind, column.get("datetime_format"), notation if said else None

"""Schema: the kind of each column, with its reason."""

from __future__ import annotations

import json
from dataclasses import replace

import pyarrow as pa
import pytest

from tabvae.columns.infer import infer_schema
from tabvae.columns.overrides import Overrides, kinds_from_json
from tabvae.columns.schema import Column, ColumnKind, Schema
from tabvae.errors import SchemaError
from tabvae.files import exact

N = 40
KINDS = {
    "integers": ([str(i % 7) for i in range(N)], "numeric"),
    "decimals": ([f"{i / 7:.2f}" for i in range(N)], "numeric"),
    "spaced": ([f" {i % 5}" for i in range(N)], "numeric"),
    "words": ([["red", "green", "blue"][i % 3] for i in range(N)], "categorical"),
    "two words": ([["ja", "nein"][i % 2] for i in range(N)], "categorical"),
    "flags": ([["True", "False"][i % 2] for i in range(N)], "boolean"),
    "bits": ([str(i % 2) for i in range(N)], "boolean"),
    "iso": ([f"2021-{1 + i % 12:02d}-{1 + i % 28:02d}" for i in range(N)], "datetime"),
    "european": ([f"{1 + i % 28:02d}.{1 + i % 12:02d}.2021" for i in range(N)], "datetime"),
    "same": (["x"] * N, "constant"),
    "running": ([str(100 + i) for i in range(N)], "identifier"),
    "codes": ([f"{i % 9:03d}" for i in range(N)], "categorical"),
    "keys": ([f"k{i:03d}" for i in range(N)], "identifier"),
    "prose": ([f"note number {i}" for i in range(N)], "text"),
    "empty": ([""] * N, "ignored"),
    "one stray word": (["n/k" if i == 3 else str(i % 7) for i in range(N)], "numeric"),
}


@pytest.mark.parametrize("name", KINDS)
def test_kind_is_inferred_from_the_whole_column(name: str) -> None:
    cells, kind = KINDS[name]
    column = infer_schema(pa.table({name: cells}))[name]
    assert column.kind == kind, column.reason
    assert column.reason


@pytest.mark.parametrize(
    ("array", "kind"),
    [
        (pa.array([1.5, 2.5, 3.5, None] * 9), "numeric"),
        (pa.array([True, False, None]), "boolean"),
        (pa.array(["a", "b", "a", "c"]).dictionary_encode(), "categorical"),
        (pa.array([1, 2, 3] * 9, pa.date32()), "datetime"),
        (pa.array([1, 2, 3] * 9, pa.timestamp("us", "UTC")), "datetime"),
        (pa.array([[1], [2]]), "ignored"),
        (pa.array([b"a", b"b"]), "ignored"),
    ],
)
def test_typed_columns_have_kinds_too(array: pa.Array, kind: str) -> None:
    assert infer_schema(pa.table({"a": array}))["a"].kind == kind


@pytest.mark.parametrize(
    ("array", "binary"),
    [
        (pa.array(["0", "1"]), True),
        (pa.array([" 1", "0 "]), True),
        (pa.array([0, 1, None]), True),
        (pa.array(["0", "1"]).dictionary_encode(), True),
        (pa.array(["yes", "no"]), False),
        (pa.array([True, False]), False),
        (pa.array(["0", "1", "2"]), False),
        (pa.array(["1", "1"]), False),
    ],
)
def test_a_column_of_0_and_1_is_binary_before_and_after_a_file(
    array: pa.Array, binary: bool
) -> None:
    schema = infer_schema(pa.table({"a": array}))
    again = Schema.from_json(json.loads(json.dumps(schema.to_json())))
    assert schema["a"].binary == again["a"].binary == binary


def test_a_binary_column_of_a_saved_schema_is_still_one() -> None:
    # The sentence is what earlier releases wrote into model files.
    saved = Column("a", ColumnKind.BOOLEAN, "only 1 and 0", "string", distinct=2)
    assert saved.binary
    assert not replace(saved, reason="only yes and no").binary


def test_overrides_decide() -> None:
    table = pa.table({"a": ["1", "2", "3"] * 9, "b": ["x", "y", "z"] * 9})
    asked = Overrides(categorical=("a",), ignore=("b",)).kinds()
    schema = infer_schema(table, kinds=asked)
    assert [c.kind for c in schema.columns] == ["categorical", "ignored"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"prise": ColumnKind.NUMERIC}, ["'prise'", "did you mean 'price'"]),
        ({"name": ColumnKind.NUMERIC}, ["'name'", "'anna'"]),
        ({"name": ColumnKind.DATETIME}, ["'name'", "datetime"]),
    ],
)
def test_an_impossible_override_is_an_error(asked: dict[str, ColumnKind], words: list[str]) -> None:
    table = pa.table({"price": ["1", "2", "3"] * 9, "name": ["anna", "ben", "carl"] * 9})
    with pytest.raises(SchemaError) as caught:
        infer_schema(table, kinds=asked)
    for word in words:
        assert word in str(caught.value)


def test_one_column_asked_to_be_two_kinds_is_an_error() -> None:
    with pytest.raises(SchemaError, match="'a' is asked to be"):
        Overrides(categorical=("a",), numeric=("a",)).kinds()


def test_schema_survives_json() -> None:
    table = pa.table({name: cells for name, (cells, _) in KINDS.items()})
    schema = infer_schema(table)
    document = json.loads(json.dumps(schema.to_json()))
    assert Schema.from_json(document) == schema
    assert kinds_from_json(json.dumps(document))["decimals"] == "numeric"


def test_a_plain_mapping_is_a_schema_file() -> None:
    assert kinds_from_json('{"age": "categorical"}') == {"age": ColumnKind.CATEGORICAL}


@pytest.mark.parametrize("text", ["", "[1]", '{"a": "number"}', '{"columns": [{"name": "a"}]}'])
def test_what_is_no_schema_file_is_an_error(text: str) -> None:
    with pytest.raises(SchemaError, match="not a schema file"):
        kinds_from_json(text)


def test_a_missing_column_names_the_nearest() -> None:
    schema = infer_schema(pa.table({"price": ["1", "2", "3"] * 9}))
    with pytest.raises(SchemaError, match=r"'price'.*did you mean 'prices'"):
        schema.require(["prices", "other"])


def test_names_of_a_million_characters_are_no_work() -> None:
    # In time that grows with the square of their length, to compare them would take hours.
    name = "".join(chr(0x400 + i * i % 157) for i in range(10**6))
    with pytest.raises(SchemaError, match="no column"):
        infer_schema(pa.table({name: ["1"]}), kinds={name[::-1]: ColumnKind.NUMERIC})


def test_text_becomes_typed_for_parquet_only_where_nothing_is_lost() -> None:
    table = pa.table(
        {
            "whole": ["1", "2", "?", "3"] * 9,
            "broken": ["1.5", "2.5", "3.5", "4.5"] * 8 + ["n/k", "1.5", "2.5", "3.5"],
            "day": ["2020-01-01", "2020-02-01", "", "2020-03-01"] * 9,
        }
    )
    typed = exact.typed(table, infer_schema(table), ("", "?"))
    assert [str(t) for t in typed.schema.types] == ["int64", "string", "date32[day]"]
    assert typed["whole"].to_pylist()[:4] == [1, 2, None, 3]
    assert typed["broken"][32].as_py() == "n/k"


def days(*first: str, order: str = "{d}/{m}/2021") -> list[str]:
    """``first`` and days up to the 12th."""
    return [*first, *(order.format(d=f"{1 + i % 9:02d}", m=f"{1 + i % 5:02d}") for i in range(N))]


@pytest.mark.parametrize(
    ("cells", "written", "rival"),
    [
        (days(), "%m/%d/%Y", "%d/%m/%Y"),
        (days("13/01/2021"), "%d/%m/%Y", None),
        (days("01/13/2021"), "%m/%d/%Y", None),
        (days(order="{d}-{m}-2021"), "%d-%m-%Y", "%m-%d-%Y"),
        (days(order="{d}/{m}/2021 10:30"), "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M"),
        (days(order="{d}.{m}.2021"), "%d.%m.%Y", None),
        (["03/03/2021", "04/04/2021"] * 9, "%m/%d/%Y", None),
    ],
)
def test_one_day_over_12_tells_days_from_months(
    cells: list[str], written: str, rival: str | None
) -> None:
    column = infer_schema(pa.table({"day": cells}))["day"]
    assert (column.datetime_format, column.rival_format) == (written, rival)
    assert (rival or written) in column.reason


def test_another_column_of_the_file_tells_days_from_months() -> None:
    table = pa.table({"a": days(*["01/02/2020"] * 2), "b": days("28/02/2020", "01/02/2020")})
    schema = infer_schema(table)
    assert [c.datetime_format for c in schema.columns] == ["%d/%m/%Y"] * 2
    assert not any(c.rival_format for c in schema.columns)
    # Another separator is no hint, and two hints are none.
    dashed = table.set_column(1, "b", [days("28-02-2020", "01-02-2020", order="{d}-{m}-2021")])
    assert infer_schema(dashed)["a"].rival_format == "%d/%m/%Y"
    both = table.append_column("c", [days("02/28/2020", "01/02/2020")])
    assert infer_schema(both)["a"].rival_format == "%d/%m/%Y"


def test_the_format_asked_for_decides() -> None:
    table = pa.table({"day": days(), "a=b": days(), "week": ["21.03"] * 9 + ["22.04"] * 31})
    asked = Overrides(datetime=("day=%d/%m/%Y", "a=b=%d/%m/%Y", "week=%y.%m"))
    names = table.column_names
    schema = infer_schema(table, kinds=asked.kinds(names), formats=asked.formats(names))
    assert [c.datetime_format for c in schema.columns] == ["%d/%m/%Y", "%d/%m/%Y", "%y.%m"]
    assert [c.kind for c in schema.columns] == ["datetime"] * 3
    assert Overrides(datetime=("a=b",)).formats(names) == {}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("day=%Q", ["'day'", "'%Q' is no datetime format"]),
        ("day=", ["'day'", "'' is no datetime format"]),
        ("day=%Y-%m-%d" + "x" * 99, ["'day'", "is no datetime format"]),
        ("day=%Y-%m-%d\udcff", ["'day'", "is no datetime format"]),
        ("day=%Y-%m-%d", ["'%Y-%m-%d' reads 0 of 40 cells", "'01/01/2021'"]),
        ("dya=%d/%m/%Y", ["no column 'dya'", "did you mean 'day'"]),
        ("when=%Y", ["'when'", "has no datetime format"]),
    ],
)
def test_a_format_that_does_not_fit_is_an_error(text: str, words: list[str]) -> None:
    table = pa.table({"day": days(), "when": pa.array(range(N), pa.date32())})
    asked = Overrides(datetime=(text,))
    with pytest.raises(SchemaError) as caught:
        infer_schema(table, kinds=asked.kinds(["day"]), formats=asked.formats(["day"]))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize("size", [1000, 33_000])
def test_a_list_takes_the_room_of_its_numbers(size: int) -> None:
    kind = pa.list_(pa.float32(), size)
    assert infer_schema(pa.table({"a": pa.nulls(2, kind)})).widths["a"] == 4 * size


def test_two_formats_of_one_column_are_an_error() -> None:
    with pytest.raises(SchemaError, match="'day' has two datetime formats"):
        Overrides(datetime=("day=%Y", "day=%d")).formats()

"""Schema: the kind of each column, with its reason."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from tabvae.errors import SchemaError
from tabvae.inference import infer_schema
from tabvae.schema import ColumnKind, Overrides, Schema, kinds_from_json

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


def test_text_becomes_typed_for_parquet_only_where_nothing_is_lost() -> None:
    table = pa.table(
        {
            "whole": ["1", "2", "?", "3"] * 9,
            "broken": ["1.5", "2.5", "3.5", "4.5"] * 8 + ["n/k", "1.5", "2.5", "3.5"],
            "day": ["2020-01-01", "2020-02-01", "", "2020-03-01"] * 9,
        }
    )
    typed = infer_schema(table).typed(table, ("", "?"))
    assert [str(t) for t in typed.schema.types] == ["int64", "string", "date32[day]"]
    assert typed["whole"].to_pylist()[:4] == [1, 2, None, 3]
    assert typed["broken"][32].as_py() == "n/k"

"""Model files from strangers, well sealed, that say odd things: used as they are, or refused."""

from __future__ import annotations

import copy
import shutil
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae import TabVAE
from tabvae.columns.arrays import Arrays
from tabvae.columns.from_json import from_json
from tabvae.columns.schema import Column
from tabvae.errors import ModelFileError
from tabvae.files import container

from .golden.make import FOLDER, ROWS, table
from .helpers import assert_one_line_error, tabvae

GOLDEN, NEWEST = (str(FOLDER / f"vae-{version}.tabvae") for version in (11, 13))
ID, GROUP, SIZE, COUNT, BIG, DAY, UNIT = range(7)
"""Numbers of the columns."""
CSV = {"paths": ["data.csv"], "format": "csv", "delimiter": ",", "encoding": None}


@pytest.fixture(scope="module")
def golden() -> tuple[dict[str, Any], Arrays]:
    return container.read(GOLDEN)


@pytest.fixture(scope="module")
def newest() -> tuple[dict[str, Any], Arrays]:
    return container.read(NEWEST)


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    return table("vae")[:ROWS]


def types(**changed: pa.DataType) -> Callable[[str], str]:
    """Other types of some columns, in a document."""

    def change(text: str) -> str:
        schema = pa.ipc.read_schema(pa.py_buffer(b64decode(text)))
        fields = [pa.field(f.name, changed.get(f.name, f.type)) for f in schema]
        return b64encode(pa.schema(fields).serialize().to_pybytes()).decode()

    return change


def put(document: Any, place: tuple[Any, ...], value: Any) -> None:
    """Set what is at a place in nested documents; a function changes what was there."""
    *way, last = place
    for step in way:
        document = document[step]
    document[last] = value(document[last]) if callable(value) else value


def number(name: str, value: object, column: int = SIZE) -> tuple[tuple[Any, ...], object]:
    return ("schema", "columns", column, "numbers", name), value


def of_column(column: int, name: str, value: object) -> tuple[tuple[Any, ...], object]:
    return ("schema", "columns", column, name), value


def from_csv(**changes: object) -> tuple[tuple[Any, ...], object]:
    return ("source",), {**CSV, **changes}


DOCUMENTS = {
    "many blanks": number("padding", " " * 10_000),
    "padding that is none": number("padding", "\x1b"),
    "many decimals": number("decimals", 300),
    "fewer than no decimals": number("decimals", -5),
    "a step of nothing": number("step", 1e-300),
    "a step that is not finite": number("step", 10**400),
    "no numbers": of_column(SIZE, "numbers", None),
    "a long identifier": of_column(ID, "fresh_identifier", "1" * 5000),
    "a wide year": of_column(DAY, "datetime_format", "%2000000000Y"),
    "a long date": of_column(DAY, "datetime_format", "%A" * 10_000),
    "a day twice": of_column(DAY, "datetime_format", "%d%d"),
    "blanks in a date": of_column(DAY, "datetime_format", "%d" + " \n" * 2000 + "x"),
    "no such directive": of_column(DAY, "datetime_format", "%Q"),
    "a far date": of_column(DAY, "maximum", 1e16),
    "a date that cannot be written": of_column(DAY, "minimum", -1e12),
    "ends that are swapped": of_column(SIZE, "minimum", 1e9),
    "an end that is not finite": of_column(SIZE, "maximum", 10**400),
    "no constant": of_column(UNIT, "constant", None),
    "a constant of a column that varies": of_column(GROUP, "constant", "a"),
    "a long constant": of_column(UNIT, "constant", "x" * 2**21),
    "fewer than no gaps": of_column(SIZE, "missing", -1),
    "a kind that is none": of_column(SIZE, "kind", "number"),
    "words for numbers": of_column(GROUP, "kind", "numeric"),
    "a large cell": (("schema", "types"), types(id=pa.binary(2**30))),
    "a long list in each cell": (("schema", "types"), types(id=pa.list_(pa.int64(), 10**9))),
    "a list in a list": (
        ("schema", "types"),
        types(id=pa.struct({"a": pa.list_(pa.binary(2**15), 2**15)})),
    ),
    "words of no number": (("schema", "types"), types(group=pa.int64())),
    "lists for dates": (("schema", "types"), types(day=pa.list_(pa.string()))),
    "a billion rows": (("schema", "rows"), 10**9),
    "rows beyond all numbers": (("schema", "rows"), 10**400),
    "fewer than no rows": (("schema", "rows"), -5),
    "a source that is a number": (("source",), 5),
    "no paths": (("source",), {"x": 1}),
    "paths that are numbers": from_csv(paths=[1, 2]),
    "a path that ends early": from_csv(paths=["a\0b"]),
    "an encoding that is a number": from_csv(encoding=7),
    "an encoding of bytes": from_csv(encoding="zip"),
    "a slow encoding": from_csv(encoding="punycode"),
    "rows for cells": from_csv(delimiter="\n"),
    "quotes between cells": from_csv(delimiter='"'),
    "a format that is none": from_csv(format="xls"),
    "a number that means a gap": (("na_values",), [1]),
    "gaps in one text": (("na_values",), "abc"),
    "many texts for a gap": (("na_values",), [str(k) for k in range(2000)]),
    "a large latent space": (("shape", "latent"), 100_000),
    "many layers": (("shape", "depth"), 200_000),
    "many networks": (("nets",), 20_000),
    "a seed that is text": (("parameters", "seed"), "x"),
    "a seed below zero": (("parameters", "seed"), -1),
    "a seed beyond all numbers": (("parameters", "seed"), 10**60),
    "a device that is none": (("parameters", "device"), "cuda:99"),
    "an effort that is none": (("parameters", "effort"), "none"),
    "a parameter that is none": (("parameters", "effort2"), 1),
    "a grid beyond all numbers": (("parameters", "grid"), "9" * 5000),
    "a mean beyond all numbers": (("columns", 1, "center"), 1e308),
    "a deviation of nothing": (("columns", 1, "scale"), 1e-320),
    "a deviation beyond the range": (("columns", 1, "scale"), 1e8),
    "a category twice": (("columns", 0, "vocabulary"), ["a", "a", "b"]),
    "a long category": (("columns", 0, "vocabulary", 0), "x" * 2**21),
    "gaps that are no gaps": (("na_values",), ["north", "south", "east"]),
    "many of a category": (("columns", 0, "counts", 0), 10**30),
    "a tail that does not end": (("calibrations", "surprise", "tail"), [0.0, 1.0, 0.0]),
    "a tail beyond all numbers": (("calibrations", "surprise", "tail", 0), 10**30),
    "a calibration by no rows": (("calibrations", "surprise", "rows"), -1),
    "a point beyond all numbers": (("records", 0, "curve", 0, "step"), 2**64),
}


def saved(document: dict[str, Any], arrays: Arrays, folder: Path) -> str:
    path = str(folder / "stranger.tabvae")
    container.write(path, document, arrays)
    return path


def assert_refused(path: str) -> None:
    with pytest.raises(ModelFileError, match="damaged") as caught:
        TabVAE.load(path)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", DOCUMENTS)
def test_what_no_model_says_is_refused(
    golden: tuple[dict[str, Any], Arrays], tmp_path: Path, name: str
) -> None:
    document = copy.deepcopy(golden[0])
    put(document, *DOCUMENTS[name])
    assert_refused(saved(document, golden[1], tmp_path))


@pytest.mark.parametrize("written", ["%Q", "%d%d", "%d" + "x" * 99, "%d\udcff"])
def test_a_rival_format_that_is_none_is_refused(
    newest: tuple[dict[str, Any], Arrays], written: str
) -> None:
    column = newest[0]["schema"]["columns"][DAY]
    with pytest.raises(ValueError, match="cannot be written like"):
        from_json(Column, {**column, "rival_format": written})


ARRAYS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "weights that are too large": ("net.0.decoder.latent.weight", lambda a: a * 1e30),
    "deviations of nothing": ("card.scales", lambda a: a * 0),
    "deviations of another table": ("card.scales", lambda a: a[:1]),
    "a value far from its column": ("column.1.knots", lambda a: a * 1e12),
    "shares that do not sum to one": ("column.1.mass", lambda a: a * 2),
    "quantiles that fall": ("card.quantiles.surprise", lambda a: -a),
    "a million trees": ("forest.0.roots", lambda a: np.zeros(10**6, a.dtype)),
    "nodes that trees share": ("forest.0.roots", lambda a: a * 0),
    "leaves that are too large": ("forest.1.value", lambda a: a * np.float32(1e30)),
    "a regression beyond all numbers": ("line.1.weight", lambda a: a * 0 + 1e300),
    "a map without a spread": ("map.spread", lambda a: a * 0),
    "trust below zero": ("trust.shares", lambda a: a - 2),
    "places that fall": ("margins.places", lambda a: a[::-1]),
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_that_no_model_has_are_refused(
    golden: tuple[dict[str, Any], Arrays], tmp_path: Path, name: str
) -> None:
    document, arrays = golden
    array, change = ARRAYS[name]
    assert_refused(saved(document, {**arrays, array: change(arrays[array])}, tmp_path))


def test_many_columns_are_refused_before_they_are_looked_at_one_by_one(
    golden: tuple[dict[str, Any], Arrays], tmp_path: Path
) -> None:
    document = copy.deepcopy(golden[0])
    columns, unit = document["schema"]["columns"], document["schema"]["columns"][UNIT]
    columns.extend({**unit, "name": f"unit {number}"} for number in range(50_000))
    texts = pa.schema([(column["name"], pa.string()) for column in columns])
    document["schema"]["types"] = b64encode(texts.serialize().to_pybytes()).decode()
    assert_refused(saved(document, golden[1], tmp_path))


@pytest.mark.slow
def test_a_table_whose_rows_are_too_large_is_refused_before_training(tmp_path: Path) -> None:
    rows = table("vae").assign(group=["x" * 2**20, "y"] * 40)
    rows.to_csv(tmp_path / "a.csv", index=False)
    result = tabvae(tmp_path, "fit", "a.csv", "--effort", "fast")
    assert_one_line_error(result, 1, "a row takes up to 1024 kB", "'group'", "--ignore")
    for arguments in (("--seed", "9" * 30), ("--latent", "5000")):
        result = tabvae(tmp_path, "fit", "a.csv", "--ignore", "group", *arguments)
        assert_one_line_error(result, 2, f"{arguments[0][2:]} must be from")


def test_a_tree_that_is_one_long_path_is_refused(
    golden: tuple[dict[str, Any], Arrays], tmp_path: Path
) -> None:
    document, arrays = golden[0], dict(golden[1])
    inner = 5000
    chain = {
        "feature": np.append(np.zeros(inner), np.full(inner + 1, -1)),
        "value": np.zeros(2 * inner + 1),
        "right": np.append(2 * inner - np.arange(inner), np.zeros(inner + 1)),
        "roots": np.zeros(1),
    }
    for name, array in chain.items():
        arrays[f"forest.1.{name}"] = array.astype(arrays[f"forest.1.{name}"].dtype)
    assert_refused(saved(document, arrays, tmp_path))


ODD: list[Any] = [None, True, -1, 0, 2, 10**9, 1e-320, 1e308, "", "x", "\x1b[2J", [], ["a"], {}]
FILLED: list[Any] = [0, 1, -1, 1e6, -1e30, 1e150, 1e308]


def places(document: Any, so_far: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of all values in nested documents, three of each list at most."""
    if so_far:
        yield so_far
    if isinstance(document, dict):
        for key in document:
            yield from places(document[key], (*so_far, key))
    elif isinstance(document, list):
        for key in range(min(len(document), 3 if "curve" in so_far else 9)):
            yield from places(document[key], (*so_far, key))


def described(golden: tuple[dict[str, Any], Arrays]) -> tuple[dict[str, Any], Arrays]:
    """The model, as if it was fitted on a file whose days may be its months."""
    document = copy.deepcopy(golden[0])
    document["source"] = {**CSV, "fingerprint": "0" * 64, "unseen": "f" * 64}
    document["schema"]["columns"][DAY]["rival_format"] = "%m.%d.%Y"
    return document, golden[1]


def assert_used_or_refused(
    golden: tuple[dict[str, Any], Arrays], rows: pd.DataFrame, folder: Path, tries: int, seed: int
) -> None:
    """Whatever one value is replaced by, the file is refused, or every result is finite."""
    rng = np.random.default_rng(seed)
    # Of another format it is refused in other words.
    everywhere = [place for place in places(golden[0]) if place != ("format",)]
    refused = 0
    for _ in range(tries):
        document, arrays = copy.deepcopy(golden[0]), dict(golden[1])
        if rng.random() < 0.7:
            put(document, everywhere[rng.integers(len(everywhere))], ODD[rng.integers(len(ODD))])
        else:
            name = list(arrays)[rng.integers(len(arrays))]
            most = np.finfo if arrays[name].dtype.kind == "f" else np.iinfo
            kind = most(arrays[name].dtype)
            value = np.clip(FILLED[rng.integers(len(FILLED))], kind.min, kind.max)
            arrays[name] = np.full_like(arrays[name], value)
        path = saved(document, arrays, folder)
        try:
            model = TabVAE.load(path)
        except ModelFileError:
            assert_refused(path)
            refused += 1
        else:
            assert_finite(model, rows)
    assert tries // 10 < refused < tries


def assert_finite(model: TabVAE, rows: pd.DataFrame) -> None:
    for found in (model.embed(rows), model.detect(rows)[["score", "p_value"]]):
        assert np.isfinite(found.to_numpy()).all()
    assert len(model.impute(rows)) == len(rows)
    assert len(model.generate(2)) == 2


@pytest.mark.filterwarnings("ignore")
def test_whatever_is_replaced_a_model_is_used_or_refused(
    golden: tuple[dict[str, Any], Arrays],
    newest: tuple[dict[str, Any], Arrays],
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    assert_used_or_refused(golden, rows, tmp_path, tries=30, seed=0)
    assert_used_or_refused(described(newest), rows, tmp_path, tries=30, seed=0)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_whatever_is_replaced_a_thousand_models_are_used_or_refused(
    golden: tuple[dict[str, Any], Arrays],
    newest: tuple[dict[str, Any], Arrays],
    rows: pd.DataFrame,
    tmp_path: Path,
) -> None:
    assert_used_or_refused(golden, rows, tmp_path, tries=1000, seed=1)
    assert_used_or_refused(described(newest), rows, tmp_path, tries=1000, seed=1)


# What reaches the terminal

EVIL = "\x1b]0;pwn\x07\x1b[31m[red]x[/red]\x9b2J:smile:\u202e\u2066\u200b\n\r\x00"
FILE = EVIL.replace("\0", "").replace("/", "")


def evil_model(golden: tuple[dict[str, Any], Arrays], folder: Path) -> tuple[dict[str, Any], str]:
    """A model that says ``EVIL`` wherever it may say any text, and the names of its columns."""
    document = copy.deepcopy(golden[0])
    columns = document["schema"]["columns"]
    named = {c["name"]: f"{EVIL}{c['name']}" for c in columns}
    for column in columns:
        column.update(name=named[column["name"]], reason=EVIL)
    columns[UNIT]["constant"] = EVIL
    columns[ID]["fresh_identifier"] = f"{EVIL}1"
    columns[GROUP]["missing_text"] = EVIL
    columns[DAY]["datetime_format"] = "%d.%m.%Y\x9b\u202e\u200b"
    document["na_values"] = ["", EVIL, EVIL.strip()]
    vocabulary = document["columns"][0]["vocabulary"]
    vocabulary[:] = [f"{EVIL}{word}" for word in vocabulary]
    texts = pa.schema([pa.field(name, pa.string()) for name in named.values()])
    document["schema"]["types"] = b64encode(texts.serialize().to_pybytes()).decode()
    document["versions"] = {"tabvae": EVIL}
    document["source"] = {**CSV, "paths": [FILE]}
    return named, saved(document, golden[1], folder)


def test_nothing_that_a_model_says_reaches_the_terminal_raw(
    golden: tuple[dict[str, Any], Arrays], rows: pd.DataFrame, tmp_path: Path
) -> None:
    named, path = evil_model(golden, tmp_path)
    rows.rename(columns=named).to_csv(tmp_path / "rows.csv", index=False)
    rows.to_csv(tmp_path / "others.csv", index=False)
    shutil.copy(tmp_path / "rows.csv", tmp_path / FILE)
    model = ("-m", path)
    shown = ""
    for arguments in (
        ("inspect", path),
        ("inspect", path, "--json"),
        ("inspect", "rows.csv"),
        ("evaluate", *model, "rows.csv"),
        ("evaluate", *model, "rows.csv", "--json"),
        ("evaluate", *model),
        ("report", *model),
        ("report", *model, "rows.csv", "--json"),
    ):
        result = tabvae(tmp_path, *arguments)
        assert result.code == 0, result.err
        shown += result.out + result.err
    assert "[red]x[/red]" in shown
    assert ":smile:" in shown
    for arguments in (
        ("impute", *model, "rows.csv"),
        ("impute", *model, "others.csv"),
        ("impute", *model),
        ("detect", *model, "rows.csv", "--keep", FILE),
        ("generate", *model, "-n", "2", "--where", f"{named['group']}=x"),
        ("generate", *model, "-n", "2", "--where", f"{named['size']}=x"),
        ("embed", *model, "rows.csv", "-o", "z.csv"),
        ("decode", *model, "z.csv", "--compare", "rows.csv"),
    ):
        shown += tabvae(tmp_path, *arguments).err
    assert not {c for c in shown if not c.isprintable()} - {"\n"}

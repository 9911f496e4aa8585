"""Whatever a caller gives: an error of ours, or the one that scikit-learn's interface asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tabvae import TabVAE, TabVAEImputer, TabVAEOutlierDetector
from tabvae.errors import ParameterError, TabVAEError

from .helpers import hasty

ROWS = 60
pytestmark = [pytest.mark.usefixtures("quick"), pytest.mark.filterwarnings("ignore")]
FRAME = pd.DataFrame(
    {"a": np.arange(ROWS) % 5 + 0.5, "b": list("xyz") * 20, "c": np.arange(ROWS) % 7}
)
TABLES: dict[str, Any] = {
    "nothing": None,
    "number": 3,
    "text": "abc",
    "dict": {"a": 1},
    "line": np.arange(9.0),
    "series": pd.Series([1, 2, 3]),
    "cube": np.zeros((9, 3, 2)),
    "sparse": sp.csr_matrix(np.eye(9, 3)),
    "sparse array": sp.coo_array(np.eye(9, 3)),
    "ragged": [["a"], ["b", "c"]],
    "records": np.zeros(9, dtype=[("a", float), ("b", float), ("c", float)]),
    "objects": np.array([[{"a": 1}, [2], "x"]] * 9, dtype=object),
    "no rows": np.zeros((0, 3)),
    "wide": np.zeros((9, 5)),
    "complex": np.zeros((9, 3)) * 1j,
    "infinite": np.full((9, 3), np.inf),
    "moments": np.zeros((9, 3), dtype="datetime64[s]"),
    "bytes": np.array([[b"a", b"b", b"c"]] * 9),
    "empty frame": pd.DataFrame(),
    "rows alone": pd.DataFrame(index=range(9)),
    "twins": pd.DataFrame([[1, 2, 3]] * 9, columns=["a", "a", "c"]),
    "strangers": pd.DataFrame({"q": [1, 2], "r": [1, 2], "t": [1, 2]}),
    "texts for numbers": pd.DataFrame({"a": ["x", "y"] * 5, "b": [1, 2] * 5, "c": ["u"] * 10}),
    "nested": pd.DataFrame({"a": [{1}, None] * 5, "b": [[1], [2]] * 5, "c": [object()] * 10}),
    "mixed": pd.DataFrame({"a": [pd.Timestamp(0), 1] * 5, "b": [2j] * 10, "c": [np.inf, 1.0] * 5}),
    "other types": pd.DataFrame(
        {"a": [1.0], "b": [pd.Timestamp(0, tz="UTC")], "c": [pd.Timedelta("1s")]}
    ),
    "same index": pd.DataFrame({"a": [1.0, None], "b": ["x", None], "c": [1, 2]}, index=[0, 0]),
}
USES: dict[str, Callable[[Any, Any], object]] = {
    "embed": lambda model, X: model.embed(X),
    "impute": lambda model, X: model.impute(X),
    "draw": lambda model, X: model.impute(X, draws=2),
    "detect": lambda model, X: model.detect(X),
    "evaluate": lambda model, X: model.evaluate(X, 2),
    "decode": lambda model, X: model.decode(X),
    "probabilities": lambda model, X: model.probabilities(X, "b"),
    "interpolate": lambda model, X: model.interpolate(X, 0, 1),
    "transform": lambda model, X: _as(TabVAE, model).transform(X),
    "fill": lambda model, X: _as(TabVAEImputer, model).transform(X),
    "predict": lambda model, X: _as(TabVAEOutlierDetector, model).predict(X),
    "pool": lambda model, X: model.pool("a ~ c", X),
}


def _as(kind: type[Any], model: TabVAE) -> Any:
    """The same model as another estimator."""
    other = kind(latent=2)
    for name, value in vars(model).items():
        setattr(other, name, value)
    other.offset_ = 0.0
    return other


@pytest.fixture(scope="module")
def small() -> TabVAE:
    with hasty():
        return TabVAE(effort="fast", latent=2).fit(FRAME)


def raised_by(call: Callable[[], object]) -> Exception | None:
    try:
        call()
    except Exception as error:
        return error
    return None


def assert_told(call: Callable[[], object]) -> None:
    """It ends well, in an error of ours, or in one that scikit-learn raises on purpose."""
    error = raised_by(call)
    if error is None or isinstance(error, TabVAEError):
        return
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    assert place is not None
    assert isinstance(error, ValueError | TypeError), repr(error)
    where = Path(place.tb_frame.f_code.co_filename).name
    assert where in ("validation.py", "_array_api.py"), repr(error)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("use", USES)
def test_whatever_is_given_as_a_table(small: TabVAE, use: str, table: str) -> None:
    if use == "pool":
        pytest.importorskip("statsmodels")
    assert_told(lambda: USES[use](small, TABLES[table]))


@pytest.mark.parametrize("table", [name for name in TABLES if name != "same index"])
def test_whatever_is_given_to_learn(table: str) -> None:
    from tabvae.columns.describe import describe  # Reading it is enough; none is worth a fit.

    model = TabVAE(effort="fast", latent=2)
    assert_told(lambda: describe(model._rows(TABLES[table], reset=True).table, ()))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("effort", [3, None, ["fast"], "max"]),
        ("model", [3, None, "gan"]),
        ("latent", ["a", 2.5, 0, True, [2], np.nan]),
        ("beta", ["x", None, [1], -1]),
        ("warmup", ["x", 2]),
        ("free_nats", ["x", -1]),
        ("noise", ["x", None]),
        ("likelihood", [3, "x"]),
        ("grid", [3, "8x", "0x3", "9x9"]),
        ("seed", ["a", -1, 2.5, None, 2**70]),
        ("device", ["tpu", 3]),
        ("categorical", ["b", 3, ["zz"], (None,), {"b": 1}, [["b"]]]),
        ("datetime", ["b", 5, ("c=%Q",), ("b",)]),
        ("ignore", ["b", 7, ("a", "b")]),
        ("na_values", ["x", 3, (None,)]),
        ("min_count", [0, "a", 2.5, None]),
        ("memorise", ["x", 2]),
        ("rules", ["a = c", 3, ("a b c",), ("zz = 3",), (3,)]),
        ("find_rules", ["x", 3]),
    ],
)
def test_whatever_is_given_as_a_parameter(name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(TabVAEError):
            TabVAE(**{"effort": "fast", "latent": 2, name: value}).fit(FRAME)


def test_parameters_may_be_numpys_and_lists(tmp_path: Path) -> None:
    model = TabVAE(
        effort="fast", latent=np.int64(2), beta=1, seed=np.int32(3), memorise=np.bool_(False)
    )
    model.set_params(categorical=["c"], na_values=[-999, "n/k"]).fit(FRAME.replace(0.5, -999))
    model.save(tmp_path / "a.tabvae")
    again = TabVAE.load(tmp_path / "a.tabvae")
    assert (again.latent, again.seed, again.categorical) == (2, 3, ("c",))
    assert again.na_values == ("-999", "n/k")
    assert again.fitted_.schema["a"].missing == ROWS // 5


CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    *(("generate", (n,), {}) for n in (-1, 0, "a", 2.5, None, [3])),
    *(("generate", (3,), {"temperature": t}) for t in ("hot", None, -1, np.nan, np.inf, [1])),
    *(("generate", (3,), {"seed": s}) for s in ("hot", -1, 2.5, [1])),
    *(
        ("generate", (3,), {"where": w})
        for w in (
            "a=1",
            3,
            [("a", 1)],
            {3: 4},
            {"a": "x"},
            {"a": np.nan},
        )
    ),
    *(("impute", (FRAME, d), {}) for d in ("a", -1, 0, 2.5, [1])),
    ("impute", (FRAME.assign(draw=1), 2), {}),
    *(("detect", (FRAME, f), {}) for f in ("a", -1, 0, 1, 2, None, [1], np.nan)),
    *(("detect", (FRAME,), {"score": s}) for s in ("a", 3, ["x"])),
    *(("probabilities", (FRAME, c), {}) for c in ("zz", 3, None, ["b"], "a")),
    *(("interpolate", (FRAME, row, 1), {}) for row in ("a", 99, -1, None, 1.5, [0])),
    *(("interpolate", (FRAME, 0, 1, n), {}) for n in ("a", 1, -1, None, 1.5)),
    *(("evaluate", (FRAME, n), {}) for n in ("a", 0, None, 1.5)),
    *(("decode", (z,), {}) for z in (np.zeros((3, 5)), [["a", "b"]], np.full((2, 2), np.nan))),
    *(("save", (path,), {}) for path in (3, None, "/nonexistent/a", "/", b"a")),
    *(("load", (path,), {}) for path in (3, None, "/nonexistent/a", "/", "")),
]


@pytest.mark.parametrize(("name", "arguments", "named"), CALLS)
def test_whatever_is_given_to_a_method(
    small: TabVAE, name: str, arguments: tuple[Any, ...], named: dict[str, Any]
) -> None:
    with pytest.raises(TabVAEError):
        getattr(small, name)(*arguments, **named)


def test_numpys_numbers_are_numbers(small: TabVAE) -> None:
    pd.testing.assert_frame_equal(small.generate(np.int64(3)), small.generate(3))
    with pytest.raises(ParameterError, match="n must be a whole number, however: '3'"):
        small.generate("3")
    with pytest.raises(TypeError):
        small.generate(3, nothing=1)

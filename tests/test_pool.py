"""Pooled estimates: Rubin's rules beside other hands, and what is refused."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from tabvae import TabVAE
from tabvae.errors import DataError, ParameterError, SchemaError, TabVAEError
from tabvae.tasks.pool import pool

from .helpers import assert_one_line_error, tabvae

sm = pytest.importorskip("statsmodels.api")
FORMULA = "y ~ x + g"
NAMES = ["term", "estimate", "std_error", "df", "p_value", "lower", "upper", "missing_information"]


def table(seed: int = 0, rows: int = 80) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    x, g = rng.normal(size=rows), rng.choice(["p", "q", "r"], rows)
    return pd.DataFrame({"y": 1 + 2 * x + (g == "q") + rng.normal(size=rows), "x": x, "g": g})


def drawn(m: int = 5, spread: float = 0.5) -> pd.DataFrame:
    """Tables in which a third of x differ between draws."""
    base, rng = table(), np.random.default_rng(1)
    parts = []
    for number in range(1, m + 1):
        one = base.assign(x=base["x"] + spread * rng.normal(size=len(base)) * (base.index % 3 == 0))
        one.insert(0, "draw", number)
        parts.append(one)
    return pd.concat(parts)


def test_of_equal_draws_the_regression_itself_is_left() -> None:
    one = table()
    draws = pd.concat([one.assign(draw=number) for number in (1, 2, 3)])
    found = pool(FORMULA, draws).set_index("term")
    alone = sm.OLS.from_formula(FORMULA, one).fit()
    np.testing.assert_allclose(found["estimate"], alone.params[found.index], rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], alone.bse[found.index], rtol=1e-10)
    np.testing.assert_allclose(found["lower"], alone.conf_int()[0][found.index], rtol=0.01)
    np.testing.assert_allclose(found["p_value"], alone.pvalues[found.index], rtol=0.1, atol=1e-9)
    assert (found["missing_information"] < 0.03).all()


def test_estimates_and_errors_are_those_of_statsmodels_own_rules() -> None:
    from statsmodels.imputation.mice import MICE, MICEData

    draws = drawn()
    parts = [part for _, part in draws.groupby("draw")]
    rules = MICE(FORMULA, sm.OLS, MICEData(table()[["y", "x"]]))
    rules.results_list = [sm.OLS.from_formula(FORMULA, part).fit() for part in parts]
    rules.exog_names = rules.results_list[0].model.exog_names
    rules.endog_names = "y"
    combined = rules.combine()
    found = pool(FORMULA, draws)
    assert list(found) == NAMES
    np.testing.assert_allclose(found["estimate"], combined.params, rtol=1e-10)
    np.testing.assert_allclose(found["std_error"], np.sqrt(np.diag(combined.cov_params())))


def test_a_worked_example_by_hand() -> None:
    """Of the mean of y: W = .02, B = .01, T = W + 1.5 B = .035, lambda = 3/7 (m = 2)."""
    rows, sides = 50, np.tile([1.0, -1.0], 25)  # Deviation of the mean: W = rows / 49 / rows.
    scale = np.sqrt(0.02 * 49)
    means = 3 + np.array([-1, 1]) * np.sqrt(0.01 / 2)
    draws = pd.concat(
        [pd.DataFrame({"draw": i, "y": m + scale * sides}) for i, m in enumerate(means)]
    )
    found = pool("y ~ 1", draws).iloc[0]
    assert found["estimate"] == pytest.approx(3)
    assert found["std_error"] == pytest.approx(np.sqrt(0.035))
    share, complete = 3 / 7, rows - 1
    observed = (complete + 1) / (complete + 3) * complete * (1 - share)
    df = 1 / (share**2 + 1 / observed)
    assert found["df"] == pytest.approx(df)
    assert found["missing_information"] == pytest.approx((0.75 + 2 / (df + 3)) / 1.75)


def test_what_draws_disagree_on_is_less_certain() -> None:
    near, far = (pool(FORMULA, drawn(spread=s)).set_index("term").loc["x"] for s in (0.1, 1.0))
    assert near["missing_information"] < far["missing_information"] < 1
    assert far["df"] < near["df"] < 77
    assert far["lower"] < far["estimate"] < far["upper"]


@pytest.mark.parametrize("family", ["binomial", "poisson"])
def test_other_outcomes_have_their_regressions(family: str) -> None:
    draws = drawn().assign(n=lambda d: (d["y"] > 1).astype(int))
    found = pool("n ~ x", draws, family).set_index("term")["estimate"]
    kind = {"binomial": sm.families.Binomial, "poisson": sm.families.Poisson}[family]
    alone = [sm.GLM.from_formula("n ~ x", d, family=kind()).fit() for _, d in draws.groupby("draw")]
    assert found["x"] == pytest.approx(np.mean([fit.params["x"] for fit in alone]))


@pytest.mark.parametrize(
    ("formula", "change", "kind", "words"),
    [
        ("y ~ xx", {}, ParameterError, "did you mean 'x'"),
        ("y ~ x +", {}, ParameterError, "formula 'y ~ x \\+'"),
        ("y", {}, ParameterError, "formula"),
        ("y ~ 1/0", {}, ParameterError, "formula"),
        (3, {}, ParameterError, "formula"),
        ("g ~ x", {}, ParameterError, "formula"),
        (FORMULA, {"draw": 1}, DataError, "1 draw"),
        (FORMULA, {"draw": [1] * 200 + [2] * 200}, None, ""),
        (FORMULA, {"draw": [1] * 100 + [2] * 300}, DataError, "different numbers"),
        (FORMULA, {"x": [1.0, np.nan] * 200}, DataError, "200 rows have gaps"),
        (FORMULA, {"x": np.nan}, ParameterError, "formula"),
        ("y ~ x + I(2 * x)", {"x": 0.0}, None, ""),
    ],
)
def test_what_cannot_be_pooled_is_told(
    formula: str, change: dict[str, object], kind: type[TabVAEError] | None, words: str
) -> None:
    draws = drawn().assign(**change)
    if kind is None:
        assert list(pool(formula, draws)) == NAMES
        return
    with pytest.raises(kind, match=words):
        pool(formula, draws)


@pytest.mark.parametrize("dtype", ["Float64", "double[pyarrow]", "decimal"])
def test_numbers_of_any_dtype_are_numbers(dtype: str) -> None:
    draws = drawn(2).round(2)
    x = [Decimal(str(v)) for v in draws["x"]] if dtype == "decimal" else draws["x"].astype(dtype)
    expected = pool("y ~ x", draws)
    pd.testing.assert_frame_equal(pool("y ~ x", draws.assign(x=x)), expected)


def test_a_table_without_draws_is_refused() -> None:
    with pytest.raises(SchemaError, match="impute --draws"):
        pool(FORMULA, table())
    with pytest.raises(ParameterError, match="frame"):
        pool(FORMULA, table().to_numpy())
    with pytest.raises(ParameterError, match="formula"):
        pool(FORMULA, drawn()[["draw"]])
    with pytest.raises(ParameterError, match="family"):
        pool(FORMULA, drawn(), "cauchy")


def test_the_models_draws_can_be_pooled(model: TabVAE, frame: pd.DataFrame) -> None:
    found = model.pool("size ~ count", model.impute(frame, draws=3))
    assert list(found["term"]) == ["Intercept", "count"]
    assert (found["std_error"] > 0).all()
    assert 0 < found["missing_information"].iloc[1] < 1


@pytest.mark.parametrize("name", ["draws.csv", "draws.parquet"])
def test_the_command_says_what_the_library_says(tmp_path: Path, name: str) -> None:
    draws = drawn()
    draws.to_csv(tmp_path / name, index=False) if name.endswith("csv") else draws.to_parquet(
        tmp_path / name
    )
    assert tabvae(tmp_path, "pool", FORMULA, name, "-o", "out.parquet").code == 0
    found = pq.read_table(tmp_path / "out.parquet").to_pandas()
    pd.testing.assert_frame_equal(found, pool(FORMULA, draws))
    printed = tabvae(tmp_path, "pool", FORMULA, name)
    assert list(printed.frame()) == NAMES
    assert len(printed.frame()) == 4
    taken = tabvae(tmp_path, "pool", FORMULA, name, "-o", name, "--force")
    assert_one_line_error(taken, 1, "is an input")
    assert_one_line_error(tabvae(tmp_path, "pool", "y ~ xx", name), 2, "did you mean 'x'")


def test_without_statsmodels_the_extra_is_named() -> None:
    script = (
        "import sys\nsys.modules['statsmodels'] = None\n"
        "import pandas as pd\nfrom tabvae.tasks.pool import pool\n"
        "pool('y ~ 1', pd.DataFrame({'draw': [1, 2], 'y': [1, 2]}))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'tabvae[stats]'" in done.stderr.splitlines()[-1]

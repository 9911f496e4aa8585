"""Bounds on the likelihood, and what 'evaluate' says of models and synthetic tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal, Normal

from tabvae import TabVAE
from tabvae.network.bounds import elbo, importance_bound, log_weights
from tabvae.tasks.synthetic import compare

from .helpers import assert_one_line_error, tabvae

ROWS = 64


@pytest.fixture(scope="module")
def linear() -> tuple[Tensor, Tensor, Tensor]:
    """Rows x = W z + noise with z normal, W, and the exact log-density of each row."""
    generator = torch.Generator().manual_seed(0)
    loadings = torch.randn(5, 2, generator=generator, dtype=torch.float64)
    z = torch.randn(ROWS, 2, generator=generator, dtype=torch.float64)
    x = z @ loadings.T + 0.5 * torch.randn(ROWS, 5, generator=generator, dtype=torch.float64)
    covariance = loadings @ loadings.T + 0.25 * torch.eye(5, dtype=torch.float64)
    exact = MultivariateNormal(torch.zeros(5, dtype=torch.float64), covariance).log_prob(x)
    return x, loadings, exact


def weights(linear: tuple[Tensor, Tensor, Tensor], samples: int, off: float) -> Tensor:
    """Log-weights with the exact posterior's mean moved by ``off`` and its spread as a diagonal."""
    x, loadings, _ = linear
    precision = torch.eye(2, dtype=torch.float64) + 4 * loadings.T @ loadings
    mean = torch.linalg.solve(precision, 4 * loadings.T @ x.T).T + off
    scale = torch.linalg.inv(precision).diagonal().sqrt().expand(ROWS, 2)
    one = torch.ones(1, 2, dtype=torch.float64)
    return log_weights(
        Normal(mean, scale),
        Normal(0 * one, one),
        lambda z: Normal(z @ loadings.T, 0.5).log_prob(x).sum(1),
        torch.randn(
            samples, ROWS, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64
        ),
    )


def test_the_importance_bound_reaches_the_exact_density(
    linear: tuple[Tensor, Tensor, Tensor],
) -> None:
    bound = importance_bound(weights(linear, 3000, off=0.1))
    assert torch.allclose(bound, linear[2], atol=0.1)


def test_the_bound_rises_with_samples_from_the_elbo_to_the_density(
    linear: tuple[Tensor, Tensor, Tensor],
) -> None:
    found = weights(linear, 1024, off=0.3)
    lower = float(elbo(found).mean())
    rising = [
        float(importance_bound(found[:size]).mean()) if size > 1 else lower
        for size in (1, 4, 32, 1024)
    ]
    assert rising == sorted(rising)
    assert lower < rising[-1] - 0.1
    assert rising[-1] < float(linear[2].mean()) + 0.02


def test_a_column_that_follows_from_others_is_known(folder: Path) -> None:
    result = tabvae(folder, "evaluate", "data.csv", "--json")
    document = json.loads(result.out)
    assert document["rows"] == 240
    big, day = document["columns"]["big"], document["columns"]["day"]
    assert big["loss"] < 0.3 * big["entropy"]
    assert day["loss"] > 0.8 * day["entropy"]
    bounds = document["bounds"]
    assert bounds["elbo"] <= bounds["importance"]
    assert -bounds["elbo"] == pytest.approx(bounds["reconstruction"] + sum(bounds["kl"]))
    assert len(document["code_variance"]) == 8


def test_more_samples_raise_the_bound(folder: Path) -> None:
    few, many = (
        json.loads(tabvae(folder, "evaluate", "--json", "--samples", n).out)["bounds"]
        for n in ("1", "100")
    )
    assert few["importance"] == pytest.approx(few["elbo"])
    assert many["importance"] > many["elbo"]


def test_an_evaluation_says_in_words_what_is_good(folder: Path) -> None:
    result = tabvae(folder, "evaluate")
    assert result.code == 0
    for words in ("nats a cell", "latent dimensions are in use", "ELBO", "prior"):
        assert words in result.out


def test_without_data_it_judges_rows_that_were_not_trained_on(folder: Path) -> None:
    own, every = (
        json.loads(tabvae(folder, "evaluate", *data, "--json").out) for data in ((), ("data.csv",))
    )
    assert (own["rows"], every["rows"]) == (24, 240)
    assert own["columns"]["day"]["loss"] > every["columns"]["day"]["loss"]


@pytest.mark.usefixtures("few_trees")
def test_a_plain_autoencoder_has_no_bound(frame: pd.DataFrame, tmp_path: Path) -> None:
    frame.to_csv(tmp_path / "data.csv", index=False)
    TabVAE(model="ae", effort="fast").fit(frame).save(str(tmp_path / "m.tabvae"))
    assert "no bound" in tabvae(tmp_path, "evaluate", "data.csv").out
    assert "bounds" not in json.loads(tabvae(tmp_path, "evaluate", "data.csv", "--json").out)


@pytest.mark.usefixtures("few_trees")
def test_a_shuffled_table_is_told_from_the_real_one() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(3, 1500))
    tables = [pd.DataFrame({"a": x, "b": x + 0.1 * rng.normal(size=1500)}) for x in a]
    tables[2]["b"] = rng.permutation(tables[2]["b"])
    same, broken = compare(tables[0], tables[1]), compare(tables[0], tables[2])
    assert same["auc"] < 0.56 < 0.8 < broken["auc"]
    assert same["trend"] < 0.02 < 0.3 < broken["trend"]
    assert max(same["shape"], broken["shape"]) < 0.06
    assert same["distance"] == pytest.approx(1, abs=0.2)


def test_copies_are_counted() -> None:
    frame = pd.DataFrame({"a": np.arange(100.0), "b": np.arange(100) % 7})
    made = frame.copy()
    made.loc[:49, "a"] += 0.5
    found = compare(frame, made)
    assert found["copies"] == 0.5
    assert found["duplicates"] == 0
    assert found["distance"] < 1


def test_a_synthetic_table_is_judged(folder: Path, tmp_path: Path) -> None:
    made = str(tmp_path / "made.csv")
    assert tabvae(folder, "generate", "-n", "240", "-o", made).code == 0
    spoken = tabvae(folder, "evaluate", "data.csv", "--synthetic", made)
    assert spoken.code == 0, spoken.err
    assert "AUC" in spoken.out
    assert "copies" in spoken.out
    scores = json.loads(tabvae(folder, "evaluate", "--synthetic", made, "--json").out)
    assert set(scores) == {*("auc", "shape", "trend", "copies", "duplicates", "distance", "rules")}
    assert scores["copies"] < 0.05


def test_a_synthetic_table_with_other_columns_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.csv"
    other.write_text("x,y\n1,2\n3,4\n")
    result = tabvae(folder, "evaluate", "data.csv", "--synthetic", str(other))
    assert_one_line_error(result, 1, "'group'")


def test_an_evaluation_prints_its_columns_by_name(model: TabVAE, frame: pd.DataFrame) -> None:
    found = model.evaluate(frame.head(50), samples=2)
    assert list(found.columns.index) == ["group", "size", "count", "big", "day"]
    assert found.columns["known"].between(0, 1).all()
    assert repr(found).startswith("50 rows")
    for name in found.names:
        assert name in repr(found)
        assert f"<th>{name}</th>" in found._repr_html_()
    hostile = replace(found, names=("<script>", *found.names[1:]))
    assert "<script>" not in hostile._repr_html_()

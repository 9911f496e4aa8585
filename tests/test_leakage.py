"""What a model gives away of the rows it learned from, and what its card says of that."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tabvae import TabVAE
from tabvae.errors import ParameterError
from tabvae.imputation.config import Growth, TreeConfig
from tabvae.imputation.forest import LEAF
from tabvae.imputation.grow import grow_categories, grow_numbers
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.tasks.leakage import Leakage, LeakageConfig
from tabvae.training.config import Plan, Settings, TrainingConfig, plan_for
from tabvae.training.initial import bin_counts, initial_network
from tabvae.training.masking import TrainingData
from tabvae.training.trainer import Trainer

from .helpers import few_trees, tabvae

CONFIG = TrainingConfig()


@pytest.fixture(scope="module")
def noise() -> pd.DataFrame:
    """Columns of which nothing can be known but by heart."""
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.normal(size=(300, 6)).round(3)).add_prefix("x")
    return table.assign(kind=rng.choice(list("abcdef"), 300))


@pytest.fixture(scope="module")
def fitted(noise: pd.DataFrame) -> dict[bool, TabVAE]:
    """Models of it, by whether they memorise."""
    return {m: TabVAE(effort="fast", memorise=m).fit(noise) for m in (False, True)}


def leakage_of(model: TabVAE) -> Leakage:
    leakage = model.fitted_.card.leakage
    assert leakage is not None
    return leakage


@pytest.mark.slow
def test_what_is_learned_by_heart_is_found(fitted: dict[bool, TabVAE]) -> None:
    kept, memorised = leakage_of(fitted[False]), leakage_of(fitted[True])
    assert kept.stated == 0
    assert not kept.excessive
    assert memorised.stated > 0.5
    assert memorised.membership > 0.95
    assert memorised.excessive


def test_a_membership_is_judged_by_more_than_chance() -> None:
    above = LeakageConfig().most_membership + 0.02
    assert not Leakage(30, above, None, 0.0).excessive
    assert Leakage(3000, above, None, 0.0).excessive
    assert Leakage(3000, 0.5, 0.5, 0.1).excessive


@pytest.mark.parametrize("wrong", [{"rows": 0}, {"networks": 1e308}, {"trees": -0.1}])
def test_a_leakage_that_none_can_be_is_refused(wrong: dict[str, float]) -> None:
    right = {"rows": 30, "networks": 0.5, "trees": 0.5, "stated": 0.0}
    with pytest.raises(ValueError, match="none can be"):
        Leakage(**{**right, **wrong})  # type: ignore[arg-type]


def test_to_memorise_or_not_is_true_or_false(noise: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match="true or false"):
        TabVAE(memorise=1).fit(noise)  # type: ignore[arg-type]


def test_without_held_out_rows_nothing_is_said() -> None:
    few = pd.DataFrame({"a": [1.5, 2.5, 4.0] * 10, "b": list("xy") * 15})
    with few_trees():
        model = TabVAE(effort="fast").fit(few)
    assert model.fitted_.card.leakage is None


@pytest.mark.slow
@pytest.mark.parametrize("memorise", [False, True])
def test_the_file_keeps_it(fitted: dict[bool, TabVAE], memorise: bool, tmp_path: Path) -> None:
    fitted[memorise].save(str(tmp_path / "a.tabvae"))
    loaded = TabVAE.load(str(tmp_path / "a.tabvae"))
    assert loaded.fitted_.card.leakage == fitted[memorise].fitted_.card.leakage
    assert loaded.memorise == memorise


@pytest.mark.slow
def test_the_commands_say_it(
    fitted: dict[bool, TabVAE], noise: pd.DataFrame, tmp_path: Path
) -> None:
    noise.to_csv(tmp_path / "noise.csv", index=False)
    fitted[True].save(str(tmp_path / "a.tabvae"))
    assert "this file gives rows away" in tabvae(tmp_path, "inspect", "a.tabvae").out
    shown = json.loads(tabvae(tmp_path, "inspect", "a.tabvae", "--json").out)
    assert shown["leakage"]["stated"] == leakage_of(fitted[True]).stated
    evaluated = tabvae(tmp_path, "evaluate", "noise.csv", "--json")
    assert json.loads(evaluated.out)["leakage"] == shown["leakage"]
    assert "this file gives rows away" in tabvae(tmp_path, "evaluate", "noise.csv").out


@pytest.mark.parametrize("columns", [2, 9, 50])
def test_no_leaf_of_a_tree_is_of_few_rows(columns: int) -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(400, columns)).astype(np.float32), rng.normal(size=400)
    growth = TreeConfig().growth(400 * columns, columns + 1, 1, CONFIG.leverage)
    bins = np.zeros(columns, np.int64)
    small = Growth(20, growth.leaf, boosted=growth.boosted, leverage=growth.leverage)
    for forest in (
        grow_numbers(x, y, bins, small, 0),
        grow_categories(x, (y > 0).astype(np.int64), bins, 2, small, 0),
    ):
        reached = forest.reached(x)
        assert (forest.feature[reached] == LEAF).all()
        rows = [np.bincount(tree[tree >= 0]) for tree in reached.T]
        # A random forest's rows are counted as often as they were drawn.
        assert min(n[n > 0].min() for n in rows[:20]) >= np.sqrt(columns) / CONFIG.leverage


@pytest.mark.parametrize(
    ("settings", "leverage"),
    [
        (Settings(), CONFIG.leverage),
        (Settings(min_count=10), CONFIG.discreet_leverage),
        (Settings(memorise=True), 1.0),
    ],
)
def test_leverage_follows_from_what_is_asked(settings: Settings, leverage: float) -> None:
    assert settings.leverage == leverage


def test_the_bins_of_numbers_learn_as_slowly_as_planned() -> None:
    bins = torch.arange(60) % 4
    rows = Rows(
        bins[:, None].expand(-1, 2).contiguous(),
        torch.stack([bins.float() - 1.5, torch.zeros(60)], dim=1),
        torch.ones(60, 2, dtype=torch.bool),
    )
    positions = torch.tensor([-1.5, -0.5, 0.5, 1.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    plan = Plan(nets=1, steps=5, batch=16, width=8, evaluations=1, bin_rate=0.0)
    data = TrainingData(rows, ~rows.observed, torch.arange(5))
    generator, sizes = torch.Generator().manual_seed(0), NetworkSizes((4, 4), 2, 8)
    net = initial_network(bin_counts(data, sizes), sizes, positions, Objective(), plan, generator)
    Trainer(net, data, plan, generator).run()
    for weight in (net.encoder.embedding.weight, net.decoder.logits.free.weight):
        assert (weight[:4] == 0).all()
        assert (weight[5:9] != 0).any()


def test_few_rows_learn_bins_slowly_unless_they_are_to_be_memorised() -> None:
    def rate(rows: int, settings: Settings) -> float:
        return plan_for(settings, rows).bin_rate

    assert rate(500, Settings(min_count=10)) < rate(500, Settings()) < 0.05
    assert rate(200_000, Settings()) == rate(500, Settings(memorise=True)) == 1

"""Training: learns, stops, recovers, keeps the best, repeats."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
import torch

from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.training.config import EFFORTS, Plan, plan_for
from tabvae.training.masking import Batch, hold_out
from tabvae.training.trainer import Point, Trainer

SHAPE = NetworkSizes(bins=(4, 4), latent=2, width=32)
POSITIONS = torch.zeros(10)
PLAN = Plan(nets=1, steps=200, batch=64, width=32, rate=3e-3, evaluations=10)


def copies(rows: int = 400) -> Rows:
    """Two columns, the second a copy of the first."""
    bins = torch.randint(4, (rows, 1), generator=torch.Generator().manual_seed(0)).expand(-1, 2)
    return Rows(bins.contiguous(), torch.zeros(rows, 2), torch.ones(rows, 2, dtype=torch.bool))


def trainer(plan: Plan = PLAN, seed: int = 0, rows: int = 400, held_out: int = 20) -> Trainer:
    cells = copies(rows)
    unseen = torch.arange(held_out)
    generator = torch.Generator().manual_seed(seed)
    return Trainer(cells, ~cells.observed, SHAPE, POSITIONS, plan, Objective(), unseen, generator)


def test_a_copied_column_is_predicted_from_its_twin() -> None:
    vae, record = trainer().run()
    cells = copies()
    visible = torch.tensor([True, False]).expand(400, 2)
    log_prob = vae.predictive(cells, visible).log_prob(cells.bins)[:, 1]
    assert log_prob.exp().mean() > 0.9
    assert record.curve[-1].held_out < record.curve[0].held_out


@pytest.mark.parametrize("parts", [1, 2])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(parts: int) -> None:
    plan = replace(PLAN, parts=parts)
    first, second, third = (trainer(plan, seed).run()[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_the_halves_of_a_batch_are_learned_as_one() -> None:
    whole, halved = trainer(), trainer(replace(PLAN, parts=2))
    cells, every = copies(8), torch.ones(8, 2, dtype=torch.bool)
    visible = every & torch.tensor([True, False])
    first, second = (
        Batch(cells[rows], visible[rows], ~visible[rows], torch.zeros(0, 2), None, None)
        for rows in (slice(4), slice(4, 8))
    )
    batches = iter([first, second])
    halved._batch = lambda: next(batches)  # type: ignore[method-assign]
    all_rows = Batch(cells, visible, ~visible, torch.zeros(0, 2), None, None)
    whole._batch = lambda: all_rows  # type: ignore[method-assign]
    losses = [run._step(1) for run in (whole, halved)]
    assert float(losses[0].total) == pytest.approx(float(losses[1].total))
    for one, other in zip(whole.optimizer.parameters, halved.optimizer.parameters, strict=True):
        torch.testing.assert_close(one, other)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    trainer().run()
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_stops_when_the_held_out_loss_no_longer_falls() -> None:
    run = trainer(Plan(nets=1, steps=5000, batch=16, width=32, patience=2))
    # What is learned is wrong for the held-out rows: their second column is no copy.
    run.examined.bins[:, 1] = (run.examined.bins[:, 0] + 1) % 4
    _, record = run.run()
    assert record.curve[-1].step < 5000
    assert record.best_step <= record.curve[-1].step


def test_held_out_rows_are_not_trained_on() -> None:
    run = trainer(held_out=20)
    assert run.rows.tolist() == list(range(20, 400))


@pytest.mark.parametrize(
    ("rows", "held_out"), [(39, 0), (40, 4), (500, 50), (1500, 100), (10_000, 500), (10**5, 2000)]
)
def test_more_rows_are_held_out_of_larger_tables(rows: int, held_out: int) -> None:
    chosen = hold_out(rows, torch.Generator().manual_seed(0))
    assert len(chosen) == held_out
    assert len(chosen.unique()) == held_out
    assert held_out == 0 or int(chosen.max()) < rows


def test_stopping_keeps_the_best_model_so_far() -> None:
    stop = threading.Event()

    def interrupt(point: Point) -> None:
        if point.step >= 100:
            stop.set()

    vae, record = trainer().run(interrupt, stop)
    assert record.interrupted
    assert 0 < record.best_step <= 100
    assert all(torch.isfinite(t).all() for t in vae.state_dict().values())


def test_a_non_finite_loss_steps_back_with_a_lower_rate() -> None:
    run = trainer()
    poisoned = False

    def poison(point: Point) -> None:
        nonlocal poisoned
        if point.step >= 100 and not poisoned:
            poisoned = True
            with torch.no_grad():
                run.vae.encoder.posterior.weight.fill_(torch.nan)

    vae, record = run.run(poison)
    assert record.recoveries == 1
    assert run.rate == PLAN.rate / 2
    assert all(torch.isfinite(t).all() for t in vae.state_dict().values())
    assert record.curve[-1].step == PLAN.steps


@pytest.mark.parametrize("rows", [10, 1000, 100_000])
def test_more_effort_means_more_work(rows: int) -> None:
    plans = [plan_for(effort, rows, Objective()) for effort in EFFORTS]
    work = [plan.nets * plan.steps for plan in plans]
    assert work == sorted(work)
    assert len(set(work)) == 3


def test_larger_grids_train_longer_up_to_three_times() -> None:
    steps = [plan_for("default", 1000, Objective(), cells).steps for cells in (0, 9, 32, 64, 784)]
    shares = [count / steps[0] for count in steps]
    assert shares == pytest.approx([1, 1, 2, 3, 3], rel=0.01)

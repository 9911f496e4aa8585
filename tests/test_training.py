"""Training: learns, stops, recovers, keeps the best, repeats."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.training.config import EFFORTS, Plan, Settings, hold_out, plan_for
from tabvae.training.initial import bin_counts, initial_network
from tabvae.training.masking import Batch, Masking, TrainingData
from tabvae.training.state import EarlyStop, Point, State
from tabvae.training.trainer import Trainer, WeightAverage

SIZES = NetworkSizes(bins=(4, 4), latent=2, width=32)
POSITIONS = torch.zeros(10)
PLAN = Plan(nets=1, steps=200, batch=64, width=32, rate=3e-3, evaluations=10)


def copies(rows: int = 400) -> Rows:
    """Two columns, the second a copy of the first."""
    bins = torch.randint(4, (rows, 1), generator=torch.Generator().manual_seed(0)).expand(-1, 2)
    return Rows(bins.contiguous(), torch.zeros(rows, 2), torch.ones(rows, 2, dtype=torch.bool))


def trainer(plan: Plan = PLAN, seed: int = 0, validation: int = 20) -> Trainer:
    rows = copies()
    data = TrainingData(rows, ~rows.observed, torch.arange(validation))
    generator = torch.Generator().manual_seed(seed)
    net = initial_network(bin_counts(data, SIZES), SIZES, POSITIONS, Objective(), plan, generator)
    return Trainer(net, data, plan, generator)


def test_a_copied_column_is_predicted_from_its_twin() -> None:
    net, record = trainer().run()
    rows = copies()
    visible = torch.tensor([True, False]).expand(400, 2)
    log_prob = net.predictive(rows, visible).log_prob(rows.bins)[:, 1]
    assert log_prob.exp().mean() > 0.9
    assert record.curve[-1].held_out < record.curve[0].held_out


@pytest.mark.parametrize("parts", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_the_same_seed_gives_the_same_weights_and_another_seed_others(parts: int) -> None:
    plan = replace(PLAN, parts=parts)
    first, second, third = (trainer(plan, seed).run()[0].state_dict() for seed in (0, 0, 1))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], third[name]) for name in first)


def test_the_halves_of_a_batch_are_learned_as_one() -> None:
    whole, halved = trainer(), trainer(replace(PLAN, parts=2))
    rows, every = copies(8), torch.ones(8, 2, dtype=torch.bool)
    visible = every & torch.tensor([True, False])
    first, second = (
        Batch(rows[half], visible[half], ~visible[half], torch.zeros(0, 2))
        for half in (slice(4), slice(4, 8))
    )
    batches = iter([first, second])
    halved._batch = lambda: next(batches)  # type: ignore[method-assign]
    all_rows = Batch(rows, visible, ~visible, torch.zeros(0, 2))
    whole._batch = lambda: all_rows  # type: ignore[method-assign]
    losses = [run._step(1) for run in (whole, halved)]
    assert float(losses[0].total) == pytest.approx(float(losses[1].total))
    for one, other in zip(whole.optimizer.parameters, halved.optimizer.parameters, strict=True):
        torch.testing.assert_close(one, other)


def test_the_global_generator_is_left_alone() -> None:
    before = torch.random.get_rng_state()
    trainer().run()
    assert torch.equal(before, torch.random.get_rng_state())


def test_training_stops_when_the_validation_error_no_longer_falls() -> None:
    run = trainer(Plan(nets=1, steps=5000, batch=16, width=32, patience=2))
    # What is learned is wrong for the validation rows: their second column is no copy.
    bins = run.validation.rows.bins
    bins[:, 1] = (bins[:, 0] + 1) % 4
    _, record = run.run()
    assert record.curve[-1].step < 5000
    assert record.best_step <= record.curve[-1].step


def test_validation_rows_are_not_trained_on() -> None:
    assert trainer(validation=20).training.tolist() == list(range(20, 400))


@pytest.mark.parametrize(
    ("rows", "count"), [(39, 0), (40, 4), (500, 50), (1500, 100), (10_000, 500), (10**5, 2000)]
)
def test_more_rows_are_held_out_of_larger_tables(rows: int, count: int) -> None:
    validation = hold_out(rows, torch.Generator().manual_seed(0))
    assert len(validation) == count
    assert len(validation.unique()) == count
    assert count == 0 or int(validation.max()) < rows


def test_stopping_keeps_the_best_model_so_far() -> None:
    stop = threading.Event()

    def interrupt(point: Point) -> None:
        if point.step >= 100:
            stop.set()

    net, record = trainer().run(interrupt, stop)
    assert record.interrupted
    assert 0 < record.best_step <= 100
    assert all(torch.isfinite(t).all() for t in net.state_dict().values())


def test_a_non_finite_loss_steps_back_with_a_lower_rate() -> None:
    run = trainer()
    poisoned = False

    def poison(point: Point) -> None:
        nonlocal poisoned
        if point.step >= 100 and not poisoned:
            poisoned = True
            with torch.no_grad():
                run.net.encoder.posterior.weight.fill_(torch.nan)

    net, record = run.run(poison)
    assert record.recoveries == 1
    assert run.state.rate == PLAN.rate / 2
    assert all(torch.isfinite(t).all() for t in net.state_dict().values())
    assert record.curve[-1].step == PLAN.steps


@pytest.mark.parametrize("rows", [10, 1000, 100_000])
def test_more_effort_means_more_work(rows: int) -> None:
    plans = [plan_for(Settings(effort=effort), rows) for effort in EFFORTS]
    work = [plan.nets * plan.steps for plan in plans]
    assert work == sorted(work)
    assert len(set(work)) == 3


def test_larger_grids_train_longer_up_to_three_times() -> None:
    grids = (None, *((1, pixels, 1) for pixels in (9, 32, 64, 784)))
    steps = [plan_for(Settings(grid=grid), 1000).steps for grid in grids]
    shares = [count / steps[0] for count in steps]
    assert shares == pytest.approx([1, 1, 2, 3, 3], rel=0.01)


ERRORS = [(0.9, 0.0), (0.5, 0.1), (0.59, 0.1), (0.61, 0.1), (0.7, 0.1), (0.4, 0.0), (0.5, 0.1)]


def test_the_last_weights_within_a_standard_error_of_the_best_are_kept() -> None:
    curve: list[Point] = []
    early_stop = EarlyStop(patience=2)
    seen = []
    for number, (error, spread) in enumerate(ERRORS, start=1):
        curve.append(Point(number, 1.0, 0.0, 1.0, error, spread))
        kept = early_stop.keeps(curve)
        seen.append((kept, early_stop.best_step, early_stop.ended))
    assert [kept for kept, _, _ in seen] == [True, True, True, False, False, True, False]
    assert [step for _, step, _ in seen] == [1, 2, 3, 3, 3, 6, 6]
    assert [ended for _, _, ended in seen] == [False] * 4 + [True, False, False]


def test_a_run_goes_on_from_a_snapshot_as_if_nothing_had_happened() -> None:
    whole, snapshots = trainer(), []
    first, record = whole.run(keep=lambda take: snapshots.append(take()))
    again = trainer()
    again.resume(snapshots[3])
    second, resumed = again.run()
    assert resumed == record
    before, after = first.state_dict(), second.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert len(snapshots[3].state.record.curve) == 4


@pytest.mark.parametrize(
    "wrong",
    [
        lambda state: replace(state, step=PLAN.steps + 1),
        lambda state: replace(state, step=-1),
        lambda state: replace(state, rate=0.0),
        lambda state: replace(state, rate=2 * PLAN.rate),
        lambda state: replace(state, early_stop=EarlyStop(PLAN.patience, bad=-1)),
        lambda state: replace(state, early_stop=EarlyStop(PLAN.patience, best_step=1)),
        lambda state: replace(state, early_stop=EarlyStop(PLAN.patience + 1)),
    ],
)
def test_a_state_that_the_plan_does_not_come_to_is_refused(
    wrong: Callable[[State], State],
) -> None:
    run = trainer()
    snapshot = run.snapshot()
    run.resume(snapshot)
    with pytest.raises(ValueError, match="a state"):
        run.resume(replace(snapshot, state=wrong(snapshot.state)))


def test_an_average_follows_the_first_steps_faster() -> None:
    net = trainer().net
    average = WeightAverage(net, decay=0.99)
    start = [parameter.clone() for parameter in average.net.parameters()]
    for step, weight in ((1, 0.5), (999, 0.01)):
        before = [parameter.clone() for parameter in average.net.parameters()]
        target = [parameter + 1 for parameter in start]
        average.update(target, step)
        for now, then, end in zip(average.net.parameters(), before, target, strict=True):
            torch.testing.assert_close(now, torch.lerp(then, end, weight))


@pytest.mark.parametrize("model", ["vae", "ae", "dae"])
def test_what_is_shown_is_observed_and_what_is_asked_is_known(model: str) -> None:
    objective = Objective(model=model, noise=0.2)
    rows = copies(200)
    observed = torch.rand(200, 2, generator=torch.Generator().manual_seed(1)) < 0.7
    rows = replace(rows, observed=observed)
    plan = replace(PLAN, elbo_share=0.25)
    net = Autoencoder(SIZES, POSITIONS, objective)
    masking = Masking.of(net, plan, torch.Generator().manual_seed(0))
    batch = masking.draw(rows, ~observed)
    assert not (batch.visible & ~batch.rows.observed).any()
    assert not (batch.target & ~batch.rows.observed).any()
    if objective.variational:
        assert batch.gaps is not None
        assert torch.equal(batch.rows.observed, observed | batch.gaps)
        assert torch.equal(batch.target, batch.rows.observed & ~batch.visible)
        assert len(batch.noise) == 50
    else:
        assert torch.equal(batch.target, observed)
        assert len(batch.noise) == 0
    assert (batch.corrupted is None) == objective.variational

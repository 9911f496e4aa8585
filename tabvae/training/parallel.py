"""Several networks trained at the same time, each on a core of its own."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor

from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.images import grid_of
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.progress import Tell, unheard
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings, plan_for
from tabvae.training.initial import bin_counts, initial_network
from tabvae.training.masking import TrainingData
from tabvae.training.state import Point, Record
from tabvae.training.trainer import Trainer


def team_for(
    codec: TableCodec, codes: Codes, validation: Tensor, settings: Settings
) -> list[Trainer]:
    """A trainer for each network the table needs.

    Weights come from torch's one global generator: this is not for threads.

    Args:
        codec: fitted to the table.
        codes: (N, columns) the table.
        validation: (H,) numbers of the rows that are not trained on.
        settings: what the user chose.
    """
    plan, device = plan_for(settings, len(codes)), settings.torch_device
    if device.type == "cuda":
        # Parts are for the cores of a processor; a device takes longer with them.
        plan = replace(plan, parts=1)
    grid = None if settings.grid is None else grid_of(codec.schema, settings.grid)
    sizes = NetworkSizes(tuple(codec.sizes), settings.latent, plan.width, grid=grid)
    rows, missing = Rows.of(codes).to(device), torch.from_numpy(codes.missing).to(device)
    data = TrainingData(rows, missing, validation.to(device))
    counts = bin_counts(data, sizes)
    positions = torch.from_numpy(codec.positions).float()

    def trainer(seed: int) -> Trainer:
        generator = torch.Generator(device).manual_seed(seed)
        net = initial_network(counts, sizes, positions, settings.objective, plan, generator)
        return Trainer(net, data, plan, generator)

    return [trainer(1000 * settings.seed + number) for number in range(plan.nets)]


def train(
    team: list[Trainer], tell: Tell = unheard, checkpoint: Checkpoint | None = None
) -> tuple[list[Autoencoder], list[Record]]:
    """Train every network on a thread of its own with one core, or with one for each part of its
    batches.

    Two networks on a core each train faster than one after the other on both, for a step is many
    small operations. Ctrl-C stops all of them; what was learned so far is kept.

    Args:
        team: the trainers.
        tell: called at each point of a training curve with the share of all steps.
        checkpoint: keeps the states of the networks.
    """
    stop = threading.Event()
    steps = [0] * len(team)

    def run(net: int) -> tuple[Autoencoder, Record]:
        def report(point: Point) -> None:
            steps[net] = point.step
            done = sum(steps) / sum(trainer.plan.steps for trainer in team)
            tell(done, f"held-out loss {point.held_out:.3f}")

        torch.set_num_threads(1)
        keep = None if checkpoint is None else partial(checkpoint.keep, net)
        return team[net].run(report, stop, keep)

    with (
        _repeatable(team[0].device),
        ThreadPoolExecutor(min(len(team), os.cpu_count() or 1)) as pool,
    ):
        jobs = [pool.submit(run, net) for net in range(len(team))]
        try:
            with suppress(KeyboardInterrupt):
                _wait(jobs)
        finally:
            # All have ended, or one has failed, or Ctrl-C: what still runs ends with its next step.
            stop.set()
        trained = [job.result() for job in jobs if not job.cancel()]
    return [net.to("cpu") for net, _ in trained], [record for _, record in trained]


@contextmanager
def _repeatable(device: torch.device) -> Iterator[None]:
    """The same seed gives the same weights on a CUDA device, too: otherwise it adds numbers up in
    whatever order they come."""
    if device.type != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    before = torch.get_deterministic_debug_mode()
    torch.set_deterministic_debug_mode("warn")
    try:
        yield
    finally:
        torch.set_deterministic_debug_mode(before)


def _wait(jobs: list[Future[tuple[Autoencoder, Record]]], turn: float = 0.5) -> None:
    """Until all have ended or one has failed.

    In turns of some seconds: a Ctrl-C that comes just before the thread sleeps does not wake it.
    """
    running = set(jobs)
    while running:
        done, running = wait(jobs, timeout=turn, return_when=FIRST_EXCEPTION)
        if any(job.exception() is not None for job in done):
            return

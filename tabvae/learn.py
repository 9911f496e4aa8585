"""Learning: from the codes of a table to trained networks, trees and the model's card."""

from __future__ import annotations

import math
import os
import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from tabvae.card import Card
from tabvae.embed import MOST_ROWS, landscape
from tabvae.encoding import Codes, TableEncoder
from tabvae.ensemble import Ensemble, cells_of
from tabvae.errors import ParameterError, require_one_of
from tabvae.gridding import grid_of
from tabvae.impute import guess
from tabvae.mapping import Map, draw_map
from tabvae.masking import hold_out
from tabvae.network import Cells, Shape
from tabvae.refine import Refiner
from tabvae.training import EFFORTS, Plan, Point, Record, Trainer, plan_for
from tabvae.vae import Autoencoder, Objective

DEFAULT_LATENT = 8
DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class Settings:
    """What a user may choose about learning; the plan derives the rest from the table.

    Attributes:
        effort: one of ``EFFORTS``.
        latent: dimensions of the latent space.
        objective: which autoencoder, and the weights of its terms.
        seed: of all randomness.
        device: one of ``DEVICES``.
        grid: height, width and channels, if the numeric columns are cells of a grid.
        min_count: fewest cells behind any number or category the model keeps.

    Raises:
        ParameterError: a value is outside its domain.
    """

    effort: str = "default"
    latent: int = DEFAULT_LATENT
    objective: Objective = field(default_factory=Objective)
    seed: int = 0
    device: str = "auto"
    grid: tuple[int, int, int] | None = None
    min_count: int = 1

    def __post_init__(self) -> None:
        require_one_of("effort", self.effort, EFFORTS)
        require_one_of("device", self.device, DEVICES)
        if self.latent < 1:
            raise ParameterError(f"latent must be at least 1, however: {self.latent}")
        if self.min_count < 1:
            raise ParameterError(f"min_count must be at least 1, however: {self.min_count}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ParameterError("this machine has no CUDA device", "--device cpu")

    @property
    def torch_device(self) -> torch.device:
        cuda = self.device == "cuda" or (self.device == "auto" and torch.cuda.is_available())
        return torch.device("cuda" if cuda else "cpu")


@dataclass(frozen=True)
class Step:
    """Where learning is, for a progress display.

    Attributes:
        net: which network is trained, from 1.
        nets: how many there are.
        steps: planned steps of this network.
        point: the newest point of its training curve.
    """

    net: int
    nets: int
    steps: int
    point: Point


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Learned:
    """Everything learned from the codes of a table.

    Attributes:
        ensemble: the trained networks.
        refiner: the trees that take a second look at imputed cells.
        chart: the map of the rows; ``None`` where the code of the first network is their place.
        card: what happened in training, diagnostics and calibration.
    """

    ensemble: Ensemble
    refiner: Refiner
    chart: Map | None
    card: Card


def learn(
    encoder: TableEncoder,
    codes: Codes,
    settings: Settings,
    progress: Progress | None = None,
) -> Learned:
    """Train the networks, then trees on the table as they complete it, and draw the map.

    A variational model's rows lie on a map, for its latent space keeps but what columns share.
    In ``ae`` and ``dae`` the code is made to restore the row: it is the row's place.

    Args:
        encoder: fitted to the table.
        codes: (N, columns) the table.
        settings: what the user chose.
        progress: called at each point of a training curve.
    """
    held_out = unseen_rows(len(codes), settings.seed)
    nets, records = _train(encoder, codes, held_out, settings, progress)
    ensemble = Ensemble(nets)
    refiner = Refiner.fit(encoder, codes, partial(guess, ensemble, encoder), settings.seed)
    card = Card.measure(ensemble, encoder, codes, codes[held_out.numpy()], records)
    chart = None
    if settings.objective.variational:
        chart = _map(encoder, codes, ensemble, settings)
    return Learned(ensemble, refiner, chart, card)


def unseen_rows(rows: int, seed: int) -> Tensor:
    """(H,) numbers of the rows, of so many, that the networks of a model do not train on."""
    return hold_out(rows, torch.Generator().manual_seed(seed))


def _map(encoder: TableEncoder, codes: Codes, ensemble: Ensemble, settings: Settings) -> Map:
    """Draw the map from the rows, or from a choice of them."""
    codes = codes.at_most(MOST_ROWS, settings.seed)
    land = landscape(ensemble, encoder, codes, settings.latent)
    steps = plan_for(settings.effort, len(codes), settings.objective).map_steps
    return draw_map(land, steps, torch.Generator().manual_seed(settings.seed))


def _train(
    encoder: TableEncoder,
    codes: Codes,
    held_out: Tensor,
    settings: Settings,
    progress: Progress | None,
) -> tuple[list[Autoencoder], list[Record]]:
    """Train the planned networks, each on a thread of its own with one core.

    Two networks on a core each train faster than one after the other on both, for a step is many
    small operations. Ctrl-C stops all of them; what was learned so far is kept.
    """
    cells = 0 if settings.grid is None else math.prod(settings.grid)
    plan = plan_for(settings.effort, len(codes), settings.objective, cells)
    trainers = _trainers(encoder, codes, held_out, settings, plan)
    stop = threading.Event()

    def train(net: int) -> tuple[Autoencoder, Record]:
        def report(point: Point) -> None:
            if progress is not None:
                progress(Step(net + 1, plan.nets, plan.steps, point))

        torch.set_num_threads(1)
        return trainers[net].run(report, stop)

    with ThreadPoolExecutor(min(plan.nets, os.cpu_count() or 1)) as pool:
        jobs = [pool.submit(train, net) for net in range(plan.nets)]
        with suppress(KeyboardInterrupt):
            wait(jobs, return_when=FIRST_EXCEPTION)
        # All have ended, or one has failed, or Ctrl-C: what still runs ends with its next step.
        stop.set()
        trained = [job.result() for job in jobs if not job.cancel()]
    return [vae.to("cpu") for vae, _ in trained], [record for _, record in trained]


def _trainers(
    encoder: TableEncoder, codes: Codes, held_out: Tensor, settings: Settings, plan: Plan
) -> list[Trainer]:
    """One for each network, with weights from torch's one global generator: not for threads."""
    device = settings.torch_device
    grid = None if settings.grid is None else grid_of(encoder.schema, settings.grid)
    shape = Shape(tuple(encoder.sizes), settings.latent, plan.width, grid=grid)
    rows = Cells(*(tensor.to(device) for tensor in cells_of(codes)))
    missing = torch.from_numpy(codes.missing).to(device)
    positions = torch.from_numpy(encoder.positions).float()
    unseen = held_out.to(device)
    generators = [
        torch.Generator(device).manual_seed(1000 * settings.seed + net) for net in range(plan.nets)
    ]
    return [
        Trainer(rows, missing, shape, positions, plan, settings.objective, unseen, generator)
        for generator in generators
    ]

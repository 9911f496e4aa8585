"""Learning: from the codes of a table to trained networks, trees and the model's card."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from tabvae.columns.codec import Codes, TableCodec
from tabvae.imputation.draws import Recalibration
from tabvae.imputation.impute import guess
from tabvae.imputation.refiner import Refiner
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.missingness import MissingnessModel
from tabvae.tasks.card import Card
from tabvae.tasks.embed import MOST_ROWS, projection_targets
from tabvae.tasks.leakage import Leakage
from tabvae.tasks.projection import Projection, ProjectionTargets, fit_projection
from tabvae.training.checkpoint import Checkpoint
from tabvae.training.config import Settings, plan_for
from tabvae.training.masking import hold_out
from tabvae.training.parallel import Progress, team_for, train


@dataclass(frozen=True)
class Learned:
    """Everything learned from the codes of a table.

    Attributes:
        ensemble: the trained networks.
        missingness: what it says of a cell that it is missing.
        refiner: the trees that take a second look at imputed cells.
        recalibration: how draws come to be as network and trees together believe.
        projection: of the rows; ``None`` where the code of the first network is their place.
        card: what happened in training, diagnostics and calibration.
    """

    ensemble: Ensemble
    missingness: MissingnessModel
    refiner: Refiner
    recalibration: Recalibration
    projection: Projection | None
    card: Card

    @property
    def megabytes(self) -> dict[str, float]:
        """What the numbers of its largest parts take in a file."""
        weights = [p.nbytes for net in self.ensemble.nets for p in net.parameters()]
        forests = self.refiner.forests
        trees = [
            a.nbytes for f in forests for part in (f.trees, vars(f.line)) for a in part.values()
        ]
        return {"networks": sum(weights) / 1e6, "trees": sum(trees) / 1e6}


def learn(
    codec: TableCodec,
    codes: Codes,
    settings: Settings,
    progress: Progress | None = None,
    checkpoint: Checkpoint | None = None,
) -> Learned:
    """Train the networks, then trees on the table as they complete it, and draw the map.

    A variational model's rows lie on a map, for its latent space keeps but what columns share.
    In ``ae`` and ``dae`` the code is made to restore the row: it is the row's place.

    Args:
        codec: fitted to the table.
        codes: (N, columns) the table.
        settings: what the user chose.
        progress: called at each point of a training curve.
        checkpoint: keeps the state of training, and brings back that of an earlier run.
    """
    held_out = unseen_rows(len(codes), settings.seed)
    team = team_for(codec, codes, held_out, settings)
    if checkpoint is not None:
        checkpoint.begin(codes, settings, team)
    nets, records = train(team, progress, checkpoint)
    ensemble = Ensemble(nets)
    unseen = codes[held_out.numpy()]
    seen = codes[np.setdiff1d(np.arange(len(codes)), held_out.numpy())]
    # Trees leave a core idle now and then, and the matrices of a map are too small for two, as are
    # those of everything else, whose threads would mostly wait for each other.
    ended = threading.Event()
    with (
        threadpool_limits(1, "blas"),
        ThreadPoolExecutor(1, initializer=partial(torch.set_num_threads, 1)) as pool,
    ):
        try:
            drawing, missingness = None, MissingnessModel.none(codec)
            if settings.objective.variational:
                targets, steps, generator = _to_draw(codec, codes, ensemble, settings)
                drawing = pool.submit(fit_projection, targets, steps, generator, ended)
                missingness = MissingnessModel.fit(ensemble, codec, seen, unseen, settings.seed)
            network = partial(guess, ensemble, codec, missingness)
            refiner, trial = Refiner.fit(
                codec, seen, unseen, network, settings.seed, settings.leverage
            )
            stacking = refiner.stacking
            recalibration = Recalibration.fit(
                ensemble, codec, missingness, stacking, trial, settings.seed
            )
            leakage = Leakage.measure(ensemble, codec, seen, unseen, trial)
            card = Card.measure(ensemble, codec, codes, unseen, records, leakage)
            projection = None if drawing is None else drawing.result()
        finally:
            ended.set()
    return Learned(ensemble, missingness, refiner, recalibration, projection, card)


def unseen_rows(rows: int, seed: int) -> Tensor:
    """(H,) numbers of the rows, of so many, that the networks of a model do not train on."""
    return hold_out(rows, torch.Generator().manual_seed(seed))


def _to_draw(
    codec: TableCodec, codes: Codes, ensemble: Ensemble, settings: Settings
) -> tuple[ProjectionTargets, int, torch.Generator]:
    """A landscape of the rows, or of a choice of them, and how to draw its map."""
    codes = codes.at_most(MOST_ROWS, settings.seed)
    targets = projection_targets(ensemble, codec, codes, settings.latent)
    steps = plan_for(settings.effort, len(codes), settings.objective).map_steps
    return targets, steps, torch.Generator().manual_seed(settings.seed)

"""Going on with a fit that was killed: from a checkpoint that is whole, its own, and honest."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tabvae import TabVAE
from tabvae.errors import DataError, ModelFileError
from tabvae.files import container
from tabvae.files.frames import to_arrow
from tabvae.progress import Step
from tabvae.training.checkpoint import Checkpoint

from .conftest import make_frame
from .helpers import tabvae

pytestmark = pytest.mark.usefixtures("quick")


class KilledError(Exception):
    """What a power cut would be."""


def killed_fit(path: Path, frame: pd.DataFrame, after: int, seed: int = 0) -> Path:
    """The checkpoint of a fit that ends without warning after so many evaluations."""
    seen = 0

    def progress(step: Step) -> None:
        nonlocal seen
        seen += bool(step.note)
        if seen > after:
            raise KilledError

    keeper = Checkpoint(str(path), seconds=0)
    with pytest.raises(KilledError):
        TabVAE(effort="fast", seed=seed).fit_table(to_arrow(frame), None, progress, keeper)
    return path


@pytest.mark.parametrize("after", [pytest.param(1, marks=pytest.mark.slow), 17])
def test_a_killed_fit_goes_on_to_the_same_bytes(tmp_path: Path, after: int) -> None:
    frame = make_frame(120)
    TabVAE(effort="fast").fit_table(to_arrow(frame)).save(str(tmp_path / "whole.tabvae"))
    checkpoint = killed_fit(tmp_path / "checkpoint", frame, after)
    losses: list[str] = []
    model = TabVAE(effort="fast").fit_table(
        to_arrow(frame),
        None,
        lambda step: losses.extend([step.note] * bool(step.note)),
        Checkpoint(str(checkpoint), resume=True),
    )
    model.save(str(tmp_path / "resumed.tabvae"))
    whole = (tmp_path / "whole.tabvae").read_bytes()
    assert (tmp_path / "resumed.tabvae").read_bytes() == whole
    curve = model.fitted_.card.records[0].curve
    assert len(losses) == len(curve) - after


def test_a_checkpoint_of_another_table_is_refused(tmp_path: Path) -> None:
    checkpoint = killed_fit(tmp_path / "checkpoint", make_frame(120), 2)
    for frame, seed in ((make_frame(121), 0), (make_frame(120), 1)):
        keeper = Checkpoint(str(checkpoint), resume=True)
        with pytest.raises(DataError, match="another table or other options"):
            TabVAE(effort="fast", seed=seed).fit_table(to_arrow(frame), checkpoint=keeper)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    frame = make_frame(120)
    checkpoint = killed_fit(tmp_path / "checkpoint", frame, 2)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with pytest.raises(ModelFileError):
        TabVAE(effort="fast").fit_table(
            to_arrow(frame), checkpoint=Checkpoint(str(checkpoint), resume=True)
        )


SPOILED: dict[str, Callable[[dict[str, Any], container.Arrays], object]] = {
    "no state": lambda d, a: d.update(nets=5),
    "a network that is none": lambda d, a: d["nets"].update({"7": d["nets"]["0"]}),
    "a network before the first": lambda d, a: d["nets"].update({"-1": d["nets"].pop("0")}),
    "no steps": lambda d, a: d["nets"]["0"].pop("step"),
    "steps beyond the plan": lambda d, a: d["nets"]["0"].update(step=10**12),
    "steps beyond all numbers": lambda d, a: d["nets"]["0"].update(step=10**400),
    "a rate of nothing": lambda d, a: d["nets"]["0"].update(rate=0),
    "a record of text": lambda d, a: d["nets"]["0"].update(record="x"),
    "no generator": lambda d, a: a.pop("net.0.generator"),
    "half a generator": lambda d, a: a.update({"net.0.generator": a["net.0.generator"][:99]}),
    "a generator of nothing": lambda d, a: a.update({"net.0.generator": a["net.0.generator"] * 0}),
    "moments of another network": lambda d, a: a.update(
        {"net.0.optimizer.0.exp_avg": np.zeros(3, np.float32)}
    ),
    "weights of another network": lambda d, a: a.update(
        {"net.0.best.decoder.latent.bias": np.zeros(3, np.float32)}
    ),
    "more weights": lambda d, a: a.update({"net.0.vae.more": np.zeros(3, np.float32)}),
}


def test_a_checkpoint_that_says_what_none_says_is_refused(tmp_path: Path) -> None:
    frame = make_frame(120)
    checkpoint = str(killed_fit(tmp_path / "checkpoint", frame, 2))
    document, arrays = container.read(checkpoint)
    for name, spoil in SPOILED.items():
        changed, others = copy.deepcopy(document), dict(arrays)
        spoil(changed, others)
        container.write(checkpoint, changed, others)
        with pytest.raises(ModelFileError, match="is damaged"):
            TabVAE(effort="fast").fit_table(
                to_arrow(frame), checkpoint=Checkpoint(checkpoint, resume=True)
            )
        assert container.read(checkpoint)[0] == changed, name


def test_a_fit_that_ends_leaves_no_checkpoint(folder: Path, tmp_path: Path) -> None:
    work = tmp_path
    for name in ("data.csv", "data.tabvae"):
        shutil.copy(folder / name, work)
    arguments = ("--effort", "fast", "--force", "--checkpoint", "0", "--resume")
    assert tabvae(work, "fit", "data.csv", *arguments).code == 0
    assert sorted(p.name for p in work.iterdir()) == ["data.csv", "data.tabvae"]

"""What a training step costs beside its matrix products alone, on adult.

    python benchmarks/step.py [--rounds 5]

One network and whole batches on one core; ``fit`` halves those of large tables for two cores. The
shapes of all matrix products of a step are recorded and the same products are made of random
matrices, in turns with whole steps. Then the parts of a step are timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import torch
from common import halves, machine
from torch.utils._python_dispatch import TorchDispatchMode

import tabvae.training.optimizer
from tabvae import TabVAE
from tabvae.training.trainer import Trainer

STEPS, WARM = 50, 60
PRODUCTS = ("aten::mm", "aten::addmm")


class _Products(TorchDispatchMode):
    """Records the shapes of the factors of every matrix product."""

    def __init__(self) -> None:
        super().__init__()
        self.shapes: list[list[torch.Size]] = []

    def __torch_dispatch__(
        self, function: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        if function.name() in PRODUCTS:
            self.shapes.append([factor.shape for factor in args])
        return function(*args, **(kwargs or {}))


def trainer() -> Trainer:
    """Of the first network that ``fit`` would train on half of adult."""
    caught: list[Trainer] = []

    def catch(team: list[Trainer], *_: object) -> None:
        caught.extend(team)
        raise InterruptedError

    with mock.patch("tabvae.fit.train", catch):
        try:
            TabVAE().fit(halves("adult")[0])
        except InterruptedError:
            one = caught[0]
            one.plan, one._map = replace(one.plan, parts=1), map
            return one
    raise AssertionError("fit did not train")


def seconds(work: Callable[[], object], times: int = STEPS) -> float:
    started = time.perf_counter()
    for _ in range(times):
        work()
    return (time.perf_counter() - started) / times


def parts(one: Trainer) -> pd.Series:
    """Milliseconds of each part of a step."""
    spent = dict.fromkeys(
        ("masks and noise", "loss", "backward", "clip", "optimiser", "average"), 0.0
    )

    def timed(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                spent[name] += time.perf_counter() - started

        return call

    places = (
        (one, "_batch", "masks and noise"),
        (one.net, "loss", "loss"),
        (torch.autograd, "grad", "backward"),
        (tabvae.training.optimizer, "clip_grad_norm_", "clip"),
        (tabvae.training.optimizer, "adamw", "optimiser"),
        (torch, "_foreach_lerp_", "average"),
    )
    patches = [mock.patch.object(p, n, timed(name, getattr(p, n))) for p, n, name in places]
    for patch in patches:
        patch.start()
    whole = seconds(lambda: one._step(1))
    for patch in patches:
        patch.stop()
    found = pd.Series(spent) / STEPS
    found["rest"] = whole - found.sum()
    return 1000 * found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    print(machine())
    one = trainer()
    torch.set_num_threads(1)
    for step in range(WARM):
        one._step(step + 1)
    with _Products() as recorded:
        one._step(1)
    factors = [[torch.randn(shape) for shape in shapes] for shapes in recorded.shapes]

    def products() -> None:
        for each in factors:
            torch.mm(*each) if len(each) == 2 else torch.addmm(*each)

    rounds = [(seconds(lambda: one._step(1)), seconds(products)) for _ in range(given.rounds)]
    step, alone = np.median(rounds, axis=0)
    print(f"{len(factors)} matrix products, batch {one.plan.batch}, width {one.plan.width}")
    ratio = float(np.median([a / b for a, b in rounds]))
    print(f"step {1000 * step:.1f} ms, products {1000 * alone:.1f} ms, ratio {ratio:.2f}")
    print(parts(one).round(2).to_string())


if __name__ == "__main__":
    main()

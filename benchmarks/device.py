"""What a CUDA device gives `fit`: half of adult, on the device and on the processor in turns.

    python benchmarks/device.py [--rounds 2]

Only the networks train on the device; the trees, the map and the card are the processor's work
in both. ``taskset -c 0,1`` before it shows the ratio for two cores.
"""

from __future__ import annotations

import argparse
import time
from typing import Any
from unittest import mock

import pandas as pd
import torch
from common import halves, machine, progress

import tabvae.fit
from tabvae import TabVAE

DEVICES = "cpu", "cuda"


def fitted(train: pd.DataFrame, device: str) -> dict[str, float]:
    """Seconds of a whole ``fit`` and of its networks alone, and what the latter came to."""
    spent: list[float] = []

    def timed(*arguments: Any) -> Any:
        started = time.perf_counter()
        found = original(*arguments)
        spent.append(time.perf_counter() - started)
        return found

    original = tabvae.fit.train
    started = time.perf_counter()
    with mock.patch("tabvae.fit.train", timed):
        model = TabVAE(device=device).fit(train)
    whole = time.perf_counter() - started
    record = model.fitted_.card.records[0]
    return {
        "fit": whole,
        "networks": spent[0],
        "ms a step": 1000 * spent[0] / record.curve[-1].step,
        "held-out nats a cell": record.curve[-1].held_out,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("no CUDA device here")
    print(f"{machine()}, {torch.cuda.get_device_name()}, {torch.get_num_threads()} threads")
    train, _ = halves("adult")
    rows = []
    for turn in range(given.rounds):
        for device in DEVICES:
            progress(f"round {turn + 1} {device}")
            rows.append({"device": device, **fitted(train, device)})
    mean = pd.DataFrame(rows).groupby("device").mean().loc[list(DEVICES)].T
    mean["ratio"] = mean["cuda"] / mean["cpu"]
    print(mean.round(3).to_string())


if __name__ == "__main__":
    main()

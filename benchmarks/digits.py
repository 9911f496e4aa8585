"""Scikit-learn's 1,797 digits of 8 x 8 pixels: convolutions, generation, the classic anomaly.

python benchmarks/digits.py [--parts grid generate detect] [--again]

grid        with and without --grid 8x8, 1,200 digits learned: bounds of the other 597, and RMSE,
            in grey levels of 0 to 16, where 30 % of their pixels are hidden
generate    1,000 digits drawn: share that a classifier (support vectors, on the real ones) is
            at least 80 % sure of, and how many classes there are
detect      AUROC for one kind of digits that was never seen, each in turn; beside us a dense
            autoencoder 64-32-16 with binary cross-entropy, Adam, 10 epochs, batches of 256
"""

from __future__ import annotations

import argparse
import time
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from common import Results, machine, progress
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score
from sklearn.svm import SVC
from torch import nn

from tabvae import TabVAE

TRAIN, GAPS, DRAWN, SURE, LEVELS = 1200, 0.3, 1000, 0.8, 16
EPOCHS, BATCH, RATE = 10, 256, 1e-3
GRIDS = {"dense": None, "grid": "8x8"}


def digits() -> tuple[pd.DataFrame, np.ndarray]:
    """Pixels and labels, shuffled."""
    pixels, labels = load_digits(return_X_y=True, as_frame=True)
    order = np.random.default_rng(0).permutation(len(pixels))
    return pixels.astype(int).iloc[order].reset_index(drop=True), labels.to_numpy()[order]


def convolved(grid: str | None) -> dict[str, float]:
    """Bounds and imputation of unseen digits."""
    pixels, _ = digits()
    train, test = pixels[:TRAIN], pixels[TRAIN:].reset_index(drop=True)
    started = time.perf_counter()
    model = TabVAE(grid=grid).fit(train)
    seconds = time.perf_counter() - started
    found = model.evaluate(test)
    hidden = np.random.default_rng(0).random(test.shape) < GAPS
    filled = model.impute(test.astype(float).mask(hidden)).to_numpy(float)
    rmse = np.sqrt(((filled - test.to_numpy(float))[hidden] ** 2).mean())
    assert found.bounds is not None
    return {
        "elbo": found.bounds.elbo,
        "importance": found.bounds.importance,
        "rmse": rmse,
        "seconds": seconds,
    }


def recognised(grid: str | None) -> dict[str, float]:
    """How many of the digits drawn a classifier knows."""
    pixels, labels = digits()
    drawn = TabVAE(grid=grid).fit(pixels).generate(DRAWN, seed=1).to_numpy(float)
    likely = SVC(probability=True, random_state=0).fit(pixels.to_numpy(float), labels)
    likely = likely.predict_proba(drawn)
    counts = np.bincount(likely.argmax(1), minlength=10)
    return {
        "confident": float((likely.max(1) >= SURE).mean()),
        "classes": int((counts > 0).sum()),
        "rarest": float(counts.min() / DRAWN),
    }


def textbook_errors(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """(rows,) binary cross-entropy of the classic dense autoencoder."""
    torch.manual_seed(0)
    widths = (train.shape[1], 32, 16, 32, train.shape[1])
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.ReLU()]
    net = nn.Sequential(*layers[:-1])
    optimizer = torch.optim.Adam(net.parameters(), lr=RATE)
    x, y = (torch.from_numpy(t / LEVELS).float() for t in (train, test))
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(x)).split(BATCH):
            loss = nn.functional.binary_cross_entropy_with_logits(net(x[rows]), x[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        error = nn.functional.binary_cross_entropy_with_logits(net(y), y, reduction="none")
    return error.mean(1).numpy()


def novelty(kind: int) -> dict[str, float]:
    """AUROC for a kind of digits that no method has seen."""
    pixels, labels = digits()
    known = labels != kind
    seen = known & (np.arange(len(labels)) < TRAIN)
    train, test = pixels[seen], pixels[~seen].reset_index(drop=True)
    odd = ~known[~seen]
    scores = {"textbook": textbook_errors(train.to_numpy(), test.to_numpy())}
    model = TabVAE(effort="fast", grid="8x8").fit(train)
    for name in ("surprise", "reconstruction", "likelihood", "latent"):
        scores[name] = model.detect(test, score=name)["score"].to_numpy()
    return {name: 100 * float(roc_auc_score(odd, score)) for name, score in scores.items()}


def main() -> None:
    parts = ("grid", "generate", "detect")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--parts", nargs="+", default=parts, choices=parts)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("digits", ("part", "what"))
    for part in given.parts:
        for what in map(str, range(10)) if part == "detect" else GRIDS:
            if results.has(part=part, what=what) and not given.again:
                continue
            progress(f"{part}: {what}")
            if part == "detect":
                row = novelty(int(what))
            else:
                row = {"grid": convolved, "generate": recognised}[part](GRIDS[what])
            results.add(part=part, what=what, **row)
    frame = results.frame()
    for part in parts:
        wide = frame[frame["part"] == part].dropna(axis=1, how="all").drop(columns="part")
        if len(wide):
            print(f"\n{part}\n{wide.round(3).to_string(index=False)}")
            print(wide.mean(numeric_only=True).round(3).to_dict())


if __name__ == "__main__":
    main()

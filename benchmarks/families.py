"""Plain, denoising and variational autoencoder, and a GAN, side by side.

    python benchmarks/families.py [--tables digits adult] [--methods ae dae vae ctgan] [--again]

    restored     error of unseen rows after embed and decode: RMSE/sd, share of categories changed
    imputed      the same of unseen rows with 30 % of their cells hidden
    auc          of gradient boosting that tells generated rows from unseen ones, 0.5 is ideal
    detected     AUROC, %: unseen rows in which one cell in five is another row's
    off_data     median distance of decoded rows to the nearest real one, over that of real rows to
                 each other
    off_path     the same distance inside a path between two decoded rows, over that of its ends:
                 above 1, the path leads where fewer data are
    seconds      of fit

The GAN (CTGAN, in its own environment) only generates: it has no way from a row to its code.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import pandas as pd
from common import PEERS, Results, as_numbers, halves, imputation_error, machine, masked, progress
from generate import peer
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from tabvae import TabVAE
from tabvae.files.frames import to_arrow
from tabvae.tasks.embed import read_coordinates
from tabvae.tasks.evaluate import restoration_losses
from tabvae.tasks.synthetic import as_codes, detection_auc, nearest_distances

METHODS = ("ae", "dae", "vae", "ctgan")
GAPS, SWAPPED, PATHS, STEPS, ROWS = 0.3, 0.2, 100, 11, 3000


def tables(name: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rows to learn and unseen ones."""
    if name != "digits":
        return halves(name)
    pixels = load_digits(as_frame=True).data.astype(int).sample(frac=1, random_state=0)
    pixels = pixels.loc[:, pixels.nunique() > 1].reset_index(drop=True)
    return pixels[:1200], pixels[1200:].reset_index(drop=True)


def autoencoder(method: str, train: pd.DataFrame, test: pd.DataFrame) -> dict[str, float]:
    """All scores of one of our three."""
    rng = np.random.default_rng(0)
    started = time.perf_counter()
    model = TabVAE(model=method).fit(train)
    seconds = time.perf_counter() - started
    rows = test[:ROWS]
    categorical = tuple(c for c in rows if not pd.api.types.is_numeric_dtype(rows[c]))
    fitted, table = model.fitted_, to_arrow(rows)
    z = read_coordinates(fitted.embed(table), fitted.networks.latent)
    losses = restoration_losses(fitted.predictor, fitted.projection, fitted.encode(table), z)
    hidden = rng.random(rows.shape) < GAPS
    filled = model.impute(masked(rows, hidden))
    both = as_numbers(pd.concat([rows, filled], ignore_index=True))
    truth, found = both[: len(rows)], both[len(rows) :].reset_index(drop=True)
    wrong = imputation_error(truth, found, hidden, categorical)
    swapped = rows.copy()
    donors = rows.to_numpy()[rng.integers(len(rows), size=rows.shape), np.arange(rows.shape[1])]
    odd = rng.random(len(rows)) < 0.5
    changed = (rng.random(rows.shape) < SWAPPED) & odd[:, None]
    for j, column in enumerate(rows.columns):
        mixed = np.where(changed[:, j], donors[:, j], rows[column].to_numpy())
        swapped[column] = pd.Series(mixed, rows.index).astype(rows[column].dtype)
    score = model.detect(swapped)["score"]
    return {
        "restored_numbers": float(np.mean(list(losses.numbers.values()))),
        "restored_categories": float(np.mean(list(losses.categories.values()) or [np.nan])),
        "imputed_numbers": wrong[0],
        "imputed_categories": wrong[1],
        "auc": _auc(test, model.generate(len(test), seed=1)) if method == "vae" else np.nan,
        "detected": 100 * float(roc_auc_score(odd, score)),
        **smoothness(model, train, rows.dropna()),
        "seconds": seconds,
    }


def smoothness(model: TabVAE, train: pd.DataFrame, rows: pd.DataFrame) -> dict[str, float]:
    """How far decoded rows are from real ones, and interpolated rows from both."""
    paths = [model.interpolate(rows, 2 * k, 2 * k + 1, STEPS) for k in range(PATHS)]
    made = pd.concat(paths, ignore_index=True)
    inside = made.pop("t").between(0, 1, inclusive="neither").to_numpy()
    (real, walked), categorical = as_codes(train, made[train.columns])
    apart = np.median(nearest_distances(real, real, categorical, real, same=True))
    away = nearest_distances(walked, real, categorical, real)
    ends = np.median(away[~inside])
    return {"off_data": float(ends / apart), "off_path": float(np.median(away[inside]) / ends)}


def _auc(test: pd.DataFrame, made: pd.DataFrame) -> float:
    (real, synthetic), categorical = as_codes(test, made[test.columns])
    return detection_auc(real, synthetic, categorical)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=["digits", "adult"])
    parser.add_argument("--methods", nargs="+", default=METHODS, choices=METHODS)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("families", ("table", "method"))
    for name in given.tables:
        train, test = tables(name)
        for method in given.methods:
            if results.has(table=name, method=method) and not given.again:
                continue
            progress(f"{name}: {method}")
            if method != "ctgan":
                results.add(table=name, method=method, **autoencoder(method, train, test))
            elif (PEERS / "ctgan").exists():
                for _, made, seconds in peer(method, train):
                    results.add(table=name, method=method, auc=_auc(test, made), seconds=seconds)
    frame = results.frame().set_index(["table", "method"]).drop(columns=["date", "commit"])
    print(frame.round(3).to_string())


if __name__ == "__main__":
    main()

"""Pictures of what a model of digits does with them: docs/digits.png.

    pip install matplotlib && python benchmarks/pictures.py

1,200 of scikit-learn's digits are learned with --grid 8x8. Others are restored from 8 coordinates,
filled where half of their pixels are missing, and walked between; new ones are drawn.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from common import HERE, progress
from digits import LEVELS, TRAIN, digits

from tabvae import TabVAE

SHOWN, SIDE, GAPS = 10, 8, 0.5
TARGET = HERE.parent / "docs" / "digits.png"


def main() -> None:
    pixels, labels = digits()
    progress("fit")
    model = TabVAE(grid=f"{SIDE}x{SIDE}").fit(pixels[:TRAIN])
    unseen = pixels[TRAIN:].reset_index(drop=True)
    first = [int(np.flatnonzero(labels[TRAIN:] == kind)[0]) for kind in range(SHOWN)]
    rows = unseen.iloc[first].reset_index(drop=True)
    gappy = rows.astype(float).mask(np.random.default_rng(0).random(rows.shape) < GAPS)
    path = model.interpolate(rows, 0, 1, SHOWN).drop(columns="t")
    lines: dict[str, pd.DataFrame] = {
        "unseen digits": rows,
        "from 8 coordinates": model.decode(model.embed(rows)),
        "half of the pixels gone": gappy,
        "imputed": model.impute(gappy),
        "drawn": model.generate(SHOWN, seed=1),
        "from 0 to 1": path,
    }
    figure, axes = plt.subplots(len(lines), SHOWN, figsize=(8, 5.2), layout="constrained")
    shades = plt.get_cmap("gray_r").with_extremes(bad="tab:red")
    for (name, frame), line in zip(lines.items(), axes, strict=True):
        for ax, (_, row) in zip(line, frame.iterrows(), strict=True):
            picture = row.to_numpy(float).reshape(SIDE, SIDE)
            ax.imshow(np.ma.masked_invalid(picture), cmap=shades, vmin=0, vmax=LEVELS)
            ax.set_xticks([])
            ax.set_yticks([])
        line[0].set_ylabel(name, rotation=0, ha="right", va="center")
    figure.savefig(TARGET, dpi=100, metadata={"Software": None})


if __name__ == "__main__":
    main()

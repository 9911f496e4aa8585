"""Figures of what the other scripts measured, from ``results/``.

    pip install matplotlib && python benchmarks/plots.py

One dot a method and a row for each table, our dot filled: ``figures/*.svg``.
"""

from __future__ import annotations

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
from common import HERE, Results

FIGURES = HERE / "figures"
OURS = "tabvae"
MARKERS = "os^Dv<>Pp*"


def dots(wide: pd.DataFrame, title: str, axis: str, name: str) -> None:
    """One row for each row of ``wide``, one mark for each of its columns."""
    figure, ax = plt.subplots(figsize=(7, 0.32 * len(wide) + 1.4), layout="constrained")
    peers = [c for c in wide.columns if c != OURS]
    rows = range(len(wide))[::-1]
    for method, marker in zip(peers, MARKERS, strict=False):
        ax.scatter(
            wide[method], rows, marker=marker, facecolors="none", edgecolors="0.5", label=method
        )
    ax.scatter(wide[OURS], rows, marker="o", color="C3", label=OURS, zorder=3)
    ax.set_yticks(list(rows), [str(i) for i in wide.index])
    ax.set_xlabel(axis)
    ax.set_title(title, loc="left")
    ax.grid(axis="x", alpha=0.3)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None})
    plt.close(figure)


def imputation() -> None:
    """Errors over those of missForest."""
    frame = Results("impute", ("table", "mask", "seed", "method", "kept_out")).frame()
    frame = frame[~frame["kept_out"]]
    for kind in ("numeric", "categorical"):
        wide = frame.pivot_table(index=["mask", "table"], columns="method", values=kind)
        wide = wide[wide[OURS].notna() & wide["missforest"].notna()]
        ratio = wide[[OURS, "started-forest"]].div(wide["missforest"], axis=0)
        ratio.index = [f"{table}, {mask}" for mask, table in wide.index]
        ratio = ratio.assign(missforest=1.0)
        dots(ratio, f"imputation, {kind} columns", "error / error of missForest", f"impute_{kind}")


def detection() -> None:
    frame = Results("detect", ("set", "mode", "gaps", "method")).frame()
    frame = frame[(frame["gaps"] == 0) & ~frame["method"].str.startswith(f"{OURS} ")]
    for mode, part in frame.groupby("mode"):
        wide = part.pivot(index="set", columns="method", values="auroc")
        if OURS in wide:
            wide.loc["mean"] = wide.mean()
            dots(wide, f"detection, {mode}", "AUROC, %", f"detect_{mode}")


def embedding() -> None:
    frame = Results("embed", ("table", "dimensions", "method")).frame()
    wide = frame.pivot(index=["dimensions", "table"], columns="method", values="knn")
    wide.index = [f"{table}, {dimensions}" for dimensions, table in wide.index]
    dots(wide[wide[OURS].notna()], "embedding", "15-NN AUC for a column left out", "embed")


def generation() -> None:
    frame = Results("generate", ("table", "method")).frame()
    wide = frame.pivot(index="table", columns="method", values="auc")
    dots(
        wide[wide[OURS].notna()],
        "generation",
        "AUC against untouched rows, 0.5 is ideal",
        "generate",
    )


MEASURES = {
    "restored_numbers": "restored, RMSE/sd",
    "imputed_numbers": "imputed, RMSE/sd",
    "auc": "generated, AUC",
    "detected": "odd rows, AUROC %",
    "off_path": "off the path",
    "seconds": "seconds of fit",
}


def families() -> None:
    """One panel a measure, one group of bars a table."""
    frame = Results("families", ("table", "method")).frame()
    figure, axes = plt.subplots(2, 3, figsize=(9, 5), layout="constrained")
    for ax, (measure, title) in zip(axes.flat, MEASURES.items(), strict=True):
        wide = frame.pivot(index="table", columns="method", values=measure)
        wide = wide[[m for m in ("ae", "dae", "vae", "ctgan") if m in wide]]
        wide.plot.bar(ax=ax, rot=0, legend=False, color=["0.8", "0.6", "C3", "C0"], width=0.8)
        ax.set_title(title, loc="left", fontsize="medium")
        ax.set_xlabel("")
    axes.flat[0].legend(frameon=False, fontsize="small")
    figure.savefig(HERE.parent / "docs" / "families.svg", metadata={"Date": None})
    plt.close(figure)


def main() -> None:
    mpl.rcParams["svg.hashsalt"] = "tabvae"
    FIGURES.mkdir(exist_ok=True)
    imputation()
    detection()
    embedding()
    generation()
    families()


if __name__ == "__main__":
    main()

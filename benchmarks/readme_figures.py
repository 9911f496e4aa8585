"""README's table of figures, from results/*.jsonl: one row a task, ours beside the peers.

    python benchmarks/readme_figures.py

Writes it between the two comments in README.md that begin and end it. A peer stands in a row if it
was measured on all of the row's tables.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd
from common import Results

README = Path(__file__).parent.parent / "README.md"
BEGIN, END = "<!-- figures: begin -->\n", "<!-- figures: end -->"
OURS = "tabvae"
BOUNDED = "15f1fb8"
"""Imputation as it is by default, with a bound on what a row tells, was measured at this commit."""

NAMES = {
    "missforest": "missForest",
    "started-forest": "started forest",
    "knn": "kNN",
    "lof": "LOF",
    "ecod": "ECOD",
    "pca": "PCA",
    "umap": "UMAP",
    "tvae": "TVAE",
    "ctgan": "CTGAN",
    "tabsyn": "TabSyn",
    "isolation_forest": "isolation forest",
    "mahalanobis": "Mahalanobis",
    "dte_np": "DTE-NP",
    "gmm": "Gaussian mixture",
}
NOT_PEERS = ("real half", "one-shot", "raw", "mean")
"""What was measured for comparison: real rows, a variant of ours, all columns, column means."""
MOST_PEERS = 3


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        command: that was measured.
        score: in words.
        rows: of one results file, those that count.
        value: their column with the score.
        low: whether a lower score is better.
        digits: after the point.
    """

    command: str
    score: str
    rows: pd.DataFrame
    value: str
    low: bool = True
    digits: int = 3

    def line(self) -> str:
        """The row in Markdown: our mean, the best peers' means, how many tables, our commits."""
        wide = self.rows.pivot_table(index="table", columns="method", values=self.value)
        wide = wide[wide[OURS].notna()].dropna(axis="columns")
        means = wide.mean()
        ours = means.index.str.startswith(OURS) | means.index.isin(NOT_PEERS)
        peers = means[~ours].sort_values(ascending=self.low).head(MOST_PEERS)
        theirs = ", ".join(f"{NAMES.get(k, k)} {v:.{self.digits}f}" for k, v in peers.items())
        commits = ", ".join(sorted(set(self.rows.loc[self.rows["method"].eq(OURS), "commit"])))
        score = f"{means[OURS]:.{self.digits}f}"
        return f"| `{self.command}` | {self.score} | {score} | {theirs} | {len(wide)} | {commits} |"


def rows() -> list[Row]:
    """What README shows of each results file."""
    impute = Results("impute", ("table", "mask", "seed", "method", "kept_out")).frame()
    impute = impute[impute["mask"].eq("mcar30") & impute["seed"].eq(0) & ~impute["kept_out"]]
    bounded = impute["method"].eq(OURS) & impute["commit"].eq(BOUNDED)
    impute = impute[impute["table"].isin(impute.loc[bounded, "table"])]
    generate = Results("generate", ("table", "method")).frame()
    adult = generate["table"].eq("adult")
    detect = Results("detect", ("set", "mode", "gaps", "method")).frame()
    detect = detect[detect["mode"].eq("one-class") & detect["gaps"].eq(0)]
    detect = detect.rename(columns={"set": "table"})
    embed = Results("embed", ("table", "dimensions", "method")).frame()
    embed = embed[embed["dimensions"].eq(8)]
    return [
        Row("impute", "numbers: RMSE/sd, lower is better", impute, "numeric"),
        Row("impute", "categories: share wrong, lower is better", impute, "categorical"),
        Row("generate", "adult: AUC against real rows, .5 is ideal", generate[adult], "auc"),
        Row("generate", "other tables: the same", generate[~adult], "auc"),
        Row("detect", "one-class: AUROC %, higher is better", detect, "auroc", low=False, digits=1),
        Row("embed", "8 numbers: AUC of 15-NN, higher is better", embed, "knn", low=False),
    ]


def table() -> str:
    """The table in Markdown."""
    head = [
        "| command | score | tabvae | best peers | tables | our commit |",
        "|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *(row.line() for row in rows())]) + "\n"


def main() -> None:
    before, rest = README.read_text().split(BEGIN)
    _, after = rest.split(END)
    README.write_text(f"{before}{BEGIN}{table()}{END}{after}")


if __name__ == "__main__":
    main()

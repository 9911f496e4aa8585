"""The tables of benchmarks/README.md, from results/*.jsonl.

    python benchmarks/tables.py            # writes them between their markers
    python benchmarks/tables.py --check    # names those that differ, and ends with 1

A table says what was asked, what was measured, whether it held, and what other tools reach on the
same cells. The commit is the one our own numbers were measured at; rows of the imputation tables
that were measured at another commit stand apart.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from common import half_of

HERE = Path(__file__).parent
README = HERE / "README.md"
MARKED = re.compile(r"(<!-- table (\w+): begin -->\n).*?(<!-- table \2: end -->)", re.DOTALL)
NONE = "–"
Row = dict[str, Any]
Table = list[Sequence[str]]
"""The header, then the rows."""

NINE = (
    "concrete",
    "airfoil",
    "wine_white",
    "obesity",
    "bike",
    "california",
    "shoppers",
    "beijing_pm25",
    "adult_train_half",
)
MASKS = {"mcar30": "MCAR 30 %", "mar30": "MAR 30 %", "mcar50": "MCAR 50 %", "mnar30": "MNAR 30 %"}
KINDS = ("numeric", "categorical")
FORESTS = {"missforest": 0.85, "started-forest": 0.75}
"""The share of the errors in which we are asked to be no worse than each."""
GENERATORS = {"real half": "real half", "tabsyn": "TabSyn", "tvae": "TVAE", "ctgan": "CTGAN"}
DETECTORS = {
    "knn": "kNN",
    "lof": "LOF",
    "mahalanobis": "Mahalanobis",
    "isolation_forest": "IsolationForest",
    "dte_np": "DTE-NP",
    "gmm": "mixture",
}
LEAST = (82.0, 61.0)
FEWEST_FLAGGED, MOST_FLAGGED, SHARE_OF_SETS = 0.5, 2.0, 10 / 12
"""Of ordinary rows, at ``--fpr 0.01``, in percent; of the sets, in which that is asked."""
FLAGGED = {"one-class": "ordinary", "shuffled": "shuffled"}
LEARNED_FROM = {"one-class": "normal rows", "contaminated": "all rows"}
WITH_OTHER_ROWS = ("beside the attacker's model", "shadow model")
MOST_TOLD = {"default": (0.60, 0.03), "min-count 10": (0.55, 0.02)}
"""AUC of telling rows of the table from others; share found at 1 % false alarms."""
MEBIBYTES = 1024


def read(name: str, **wanted: object) -> list[Row]:
    """The lines of ``results/name.jsonl`` with these fields."""
    lines = (HERE / "results" / f"{name}.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def number(value: float, digits: int = 3) -> str:
    """``.705``; a dash where there is none."""
    return NONE if math.isnan(value) else re.sub(r"^(-?)0\.", r"\1.", f"{value:.{digits}f}")


def numbers(values: Iterable[float], digits: int = 3) -> str:
    """``.705 / .166``, those that there are."""
    return " / ".join(number(value, digits) for value in values if not math.isnan(value)) or NONE


def percent(share: float) -> str:
    """``85 %``."""
    return f"{100 * share:.0f} %"


def span(values: Iterable[float], digits: int = 3, factor: float = 1) -> str:
    """The least and the largest, ``.016 to .041``."""
    known = [factor * value for value in values]
    return f"{number(min(known), digits)} to {number(max(known), digits)}"


def average(values: Iterable[float]) -> float:
    """Their mean, as far as they are known."""
    known = [value for value in values if not math.isnan(value)]
    return fmean(known) if known else math.nan


def mean_of(rows: Iterable[Row], field: str) -> float:
    return average(row[field] for row in rows)


def held(*answers: bool) -> str:
    """``yes`` or ``no`` for each."""
    return ", ".join("yes" if answer else "no" for answer in answers)


def counted(answers: Iterable[bool]) -> str:
    """``4 of 7``."""
    known = list(answers)
    return f"{sum(known)} of {len(known)}"


def commits(rows: Iterable[Row]) -> str:
    """At which the rows were measured."""
    return ", ".join(sorted({row["commit"] for row in rows}))


@dataclass(frozen=True)
class Filled:
    """Errors of imputed cells, by method, table, mask and kind of column."""

    rows: list[Row]

    @property
    def ours(self) -> list[Row]:
        return [row for row in self.rows if row["method"] == "tabvae"]

    @property
    def by_commit(self) -> list[Filled]:
        """Tables and masks of which ours were measured at the same commit."""
        found = []
        for commit in sorted({row["commit"] for row in self.ours}):
            own = {(r["table"], r["mask"]) for r in self.ours if r["commit"] == commit}
            found.append(Filled([r for r in self.rows if (r["table"], r["mask"]) in own]))
        return found

    def errors(self, method: str, kind: str) -> list[float]:
        """One for each of our rows, in their order."""
        found = {
            (r["table"], r["mask"]): float(r[kind]) for r in self.rows if r["method"] == method
        }
        return [found[row["table"], row["mask"]] for row in self.ours]

    def ratios(self, rival: str) -> list[float]:
        """Our errors over those of another method."""
        pairs = [
            (own, other)
            for kind in KINDS
            for own, other in zip(
                self.errors("tabvae", kind), self.errors(rival, kind), strict=True
            )
        ]
        return [own / other for own, other in pairs if not math.isnan(own)]

    def line(self, label: str) -> list[str]:
        """Of the table."""
        methods = ("tabvae", *FORESTS, "mean")
        means = [numbers(average(self.errors(m, kind)) for kind in KINDS) for m in methods]
        ratios = [self.ratios(rival) for rival in FORESTS]
        good = [[ratio <= 1 for ratio in own] for own in ratios]
        enough = [sum(g) >= share * len(g) for g, share in zip(good, FORESTS.values(), strict=True)]
        return [
            label,
            str(len({row["table"] for row in self.ours})),
            *means,
            ", ".join(number(math.exp(fmean(map(math.log, own))), 2) for own in ratios),
            ", ".join(map(percent, FORESTS.values())),
            ", ".join(map(counted, good)),
            held(*enough),
            commits(self.ours),
        ]


def impute() -> Table:
    header = ["`impute.py`: cells hidden", "tables", "tabvae", "missForest", "started forest"]
    header += ["column mean", "ratios", "no worse: asked", "measured", "held", "commit"]
    first = read("impute", seed=0, kept_out=False)
    nine = [row for row in first if row["table"] in NINE and row["mask"] in MASKS]
    small = [row for row in first if row["table"] not in NINE]
    parts = {
        **{label: [r for r in nine if r["mask"] == mask] for mask, label in MASKS.items()},
        "MCAR and MAR, small tables": small,
        "MCAR 30 %, rows not in `fit`": read("impute", seed=0, kept_out=True),
    }
    lines = [f.line(label) for label, rows in parts.items() for f in Filled(rows).by_commit]
    return [header, *lines, Filled(nine).line("all masks")]


def draws() -> Table:
    rows = read("draws")
    sure = [row for row in rows if not math.isnan(row["ece"])]
    coverage = [row["coverage"] for row in rows]
    known = f"missForest {number(mean_of(rows, 'missforest'), 4)}"
    return [
        ["`draws.py`: MCAR 30 %", "asked", "measured", "held", "beside", "commit"],
        [
            "hidden numbers in 90 % intervals",
            "85 to 95 %",
            f"{span(coverage, 1, 100)} %",
            counted(0.85 <= share <= 0.95 for share in coverage),
            f"one more draw {span((row['ideal'] for row in rows), 1, 100)} %",
            commits(rows),
        ],
        [
            "calibration error of categories",
            "below .05",
            span(row["ece"] for row in sure),
            counted(row["ece"] < 0.05 for row in sure),
            NONE,
            commits(sure),
        ],
        [
            "error of correlations, mean",
            "below missForest",
            number(mean_of(rows, "correlation"), 4),
            counted(row["correlation"] < row["missforest"] for row in rows),
            f"{known}, our point estimate {number(mean_of(rows, 'single'), 4)}",
            commits(rows),
        ],
    ]


def generate() -> Table:
    rows = {(row["table"], row["method"]): row for row in read("generate")}
    header = ["`generate.py`: new rows of", "score", "asked", "measured", "held"]

    def line(name: str, score: str, asked: dict[str, float], method: str = "tabvae") -> list[str]:
        digits = 4 if "shape" in asked else 3
        own = rows[name, method]
        known = [rows.get((name, maker)) for maker in (method, *GENERATORS)]
        said = [" / ".join(number(r[f], digits) for f in asked) if r else NONE for r in known]
        answers = [
            own[field] >= bound if field == "downstream" else own[field] <= bound
            for field, bound in asked.items()
        ]
        what = name if method == "tabvae" else f"{name}, {method}"
        wanted = numbers(asked.values(), digits)
        return [what, score, wanted, said[0], held(*answers), *said[1:], own["commit"]]

    downstream = rows["adult", "real half"]["downstream"] - 0.01
    nearer = {"closer": 0.53, "downstream": downstream}
    where = read("where")
    told = [
        span(row["auc"] for row in where),
        held(all(row["auc"] <= 0.65 for row in where)),
        span(row["floor"] for row in where),
    ]
    return [
        [*header, *GENERATORS.values(), "commit"],
        line("adult", "AUC of telling", {"auc": 0.54}),
        line("adult", "shape / trend", {"shape": 0.009, "trend": 0.019}),
        line("adult", "nearer / downstream", nearer),
        line("adult", "AUC of telling", {"auc": 0.75}, "one-shot"),
        line("shoppers", "AUC of telling", {"auc": 0.65}),
        line("california", "AUC of telling", {"auc": 0.70}),
        line("beijing_pm25", "AUC of telling", {"auc": 0.65}),
        ["adult, columns set", "AUC (`where.py`)", ".650", *told, *[NONE] * 3, commits(where)],
    ]


def detect() -> Table:
    header = ["`detect.py`, AUROC / AP, %", "sets", "tabvae", "82 / 61", "above all"]
    header += DETECTORS.values()
    table: Table = [[*header, "commit"]]
    halves = [(mode, half) for mode in LEARNED_FROM for half in ("A", "B")]
    for mode, half in halves:
        known = [r for r in read("detect", mode=mode, gaps=0) if half_of(r["set"]) == half]
        by = {m: [r for r in known if r["method"] == m] for m in ("tabvae", *DETECTORS)}
        means = [[mean_of(found, field) for field in ("auroc", "ap")] for found in by.values()]
        beaten = [
            ours > max(peer for peer in rest if not math.isnan(peer))
            for ours, *rest in zip(*means, strict=True)
        ]
        enough = [own >= asked for own, asked in zip(means[0], LEAST, strict=True)]
        scores = [numbers(pair, 1) for pair in means]
        said = [str(len(by["tabvae"])), scores[0], held(*enough), held(*beaten), *scores[1:]]
        if mode == "contaminated":
            said[2] = NONE
        table.append([f"{LEARNED_FROM[mode]}, half {half}", *said, commits(by["tabvae"])])
    for mode, label in FLAGGED.items():
        ours = read("detect", mode=mode, gaps=0, method="tabvae")
        right = [FEWEST_FLAGGED <= row["flagged"] <= MOST_FLAGGED for row in ours]
        answer = f"{counted(right)}: {held(sum(right) >= SHARE_OF_SETS * len(right))}"
        said = [str(len(ours)), answer, *[NONE] * (2 + len(DETECTORS))]
        table.append([f"{label} flagged, .5 to 2 %", *said, commits(ours)])
    return table


def calibration() -> Table:
    rows = read("calibration", effort="fast")
    sizes = sorted({row["rows"] for row in rows})
    header = ["`calibration.py`: `--fpr`", *[f"{size:,} rows" for size in sizes]]
    header += ["on average: asked", "measured", "held", "in bounds: asked", "measured", "held"]
    table: Table = [[*header, "commit"]]
    for asked in (0.01, 0.05, 0.1):
        field = f"flagged {asked}"
        each = [mean_of([r for r in rows if r["rows"] == size], field) for size in sizes]
        ratio = mean_of(rows, field) / asked
        within = fmean(row[f"within {asked}"] for row in rows)
        found = ["1.3 times", number(ratio, 2), held(ratio <= 1.3)]
        found += ["90 %", percent(within), held(within >= 0.9)]
        table.append([number(asked, 2), *[number(e, 4) for e in each], *found, commits(rows)])
    return table


def explain() -> Table:
    rows = read("explain")
    table: Table = [["`explain.py`: odd cell named", "asked", "measured", "held", "commit"]]
    chance = f"first (by chance {span((row['chance'] for row in rows), 0, 100)} %)"
    for field, label, asked in (
        ("first", chance, 0.7),
        ("among_three", "among the first three", 0.9),
    ):
        measured = f"{span((row[field] for row in rows), 0, 100)} %"
        right = counted(row[field] >= asked for row in rows)
        table.append([label, percent(asked), measured, right, commits(rows)])
    return table


def embed() -> Table:
    rows = read("embed")
    table: Table = [
        ["`embed.py`: score", "dimensions", "asked", "tabvae", "held", "PCA", "UMAP", "commit"]
    ]
    for field, label, dimensions, asked, rivals, less in (
        ("knn", "15-NN AUC", 8, "above both", ("pca", "umap"), 0.0),
        ("logistic", "logistic AUC", 8, "above both", ("pca", "umap"), 0.0),
        ("knn", "15-NN AUC", 2, "at least UMAP's", ("umap",), 0.0),
        ("trust", "trustworthiness", 2, "UMAP's less .03", ("umap",), 0.03),
    ):
        by = {
            method: {
                row["table"]: row[field]
                for row in rows
                if row["method"] == method and row["dimensions"] == dimensions
            }
            for method in ("tabvae", "pca", "umap")
        }
        right = [
            all(own >= by[rival][name] - less for rival in rivals)
            for name, own in by["tabvae"].items()
        ]
        means = [number(average(own.values())) for own in by.values()]
        ours = [r for r in rows if r["method"] == "tabvae" and r["dimensions"] == dimensions]
        found = [means[0], counted(right), *means[1:], commits(ours)]
        table.append([label, str(dimensions), asked, *found])
    ours = [row for row in rows if row["method"] == "tabvae"]
    moved = [row["gaps"] for row in ours]
    found = [span(moved, 2), counted(share < 0.25 for share in moved), NONE, NONE, commits(ours)]
    return [*table, ["moved by 30 % gaps", "8 and 2", "below .25", *found]]


def privacy() -> Table:
    header = ["`privacy.py`: rows, option", "tables", "asked: AUC / found", "file alone", "held"]
    header += ["with other rows", "held", "rows read", "new rows nearer (.55)", "commit"]
    table: Table = [header]
    for settings, size in (
        ("default", 500),
        ("default", 2000),
        ("min-count 10", 500),
        ("memorise", 500),
    ):
        rows = read("privacy", settings=settings, rows=size)
        asked = MOST_TOLD.get(settings)
        cells = [str(len(rows)), numbers(asked, 2) if asked else NONE]
        for with_others in (False, True):
            cells += _told(rows, with_others, asked)
        read_off, nearer = (
            max(row["whole_rows"] for row in rows),
            max(row["closer"] for row in rows),
        )
        table.append(
            [f"{size:,}, {settings}", *cells, str(read_off), number(nearer), commits(rows)]
        )
    return table


def _told(rows: list[Row], with_others: bool, asked: tuple[float, float] | None) -> list[str]:
    """The largest of all tables, and on how many of them it is as asked."""
    found = []
    for row in rows:
        attacks = row["attacks"].items()
        own = [pair for name, pair in attacks if (name in WITH_OTHER_ROWS) == with_others]
        if own:
            found.append([max(each) for each in zip(*own, strict=True)])
    if not found:
        return [NONE, NONE]
    largest = numbers(max(each) for each in zip(*found, strict=True))
    if asked is None:
        return [largest, NONE]
    return [largest, counted(auc <= asked[0] and share <= asked[1] for auc, share in found)]


def cost() -> Table:
    rows = read("memory", rows=1_000_000)
    peaks = [row["megabytes"] for row in rows]
    return [
        [
            "`memory.py`: a million rows",
            "peak, MiB: asked",
            "measured",
            "held",
            "seconds",
            "commit",
        ],
        [
            " / ".join(row["task"] for row in rows),
            f"{MEBIBYTES:,}",
            " / ".join(f"{peak:,.0f}" for peak in peaks),
            held(*(peak < MEBIBYTES for peak in peaks)),
            " / ".join(f"{row['seconds']:,.0f}" for row in rows),
            commits(rows),
        ],
    ]


TABLES: dict[str, Callable[[], Table]] = {
    make.__name__: make
    for make in (impute, draws, generate, detect, calibration, explain, embed, privacy, cost)
}


def markdown(table: Table) -> str:
    """A table as lines of Markdown."""
    header, *rows = table
    lines = [f"| {' | '.join(cells)} |" for cells in (header, *rows)]
    return "\n".join([lines[0], "|---" * len(header) + "|", *lines[1:], ""])


def written(text: str) -> str:
    """``text`` with each table between its markers as the results have it now.

    Raises:
        ValueError: the markers are not those of the tables, each once.
    """
    names = [name for _, name, _ in MARKED.findall(text)]
    if sorted(names) != sorted(TABLES):
        raise ValueError(f"the tables are {sorted(TABLES)}, however: {sorted(names)}")
    return MARKED.sub(lambda found: found[1] + markdown(TABLES[found[2]]()) + found[3], text)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if a table differs")
    given = parser.parse_args(arguments)
    before = README.read_text()
    after = written(before)
    if not given.check:
        README.write_text(after)
        return 0
    pairs = zip(MARKED.finditer(before), MARKED.finditer(after), strict=True)
    stale = [old[2] for old, new in pairs if old[0] != new[0]]
    for name in stale:
        print(f"{README.name}: table {name} differs from results/", file=sys.stderr)
    return int(bool(stale))


if __name__ == "__main__":
    sys.exit(main())

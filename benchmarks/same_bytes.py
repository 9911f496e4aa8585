"""Does a change of the code leave every model and every output as it was?

    python benchmarks/same_bytes.py write before          # in the commit before
    python benchmarks/same_bytes.py write after           # in the commit after
    python benchmarks/same_bytes.py compare before after

``write`` fits five tables with a seed, each with the three models, one with every likelihood and
one as images, and writes what every command makes of them. ``compare`` names files whose bytes
differ, with the greatest difference of a number, relative to the number where that is above 1.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import sys
import time
import warnings
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors import safe_open
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits
from tabvae_cli.main import run

SAMPLES = Path(__file__).parent.parent / "sample_data"
MODELS = ("vae", "ae", "dae")
ROWS = 220
TASKS = {
    "embed.csv": ["embed"],
    "impute.csv": ["impute"],
    "draws.csv": ["impute", "--draws", "2", "--seed", "3"],
    "generate.csv": ["generate", "-n", "150", "--seed", "3"],
    "one-shot.csv": ["generate", "-n", "50", "--one-shot", "--seed", "3"],
    "complete.csv": ["generate", "-n", "50", "--complete", "--seed", "3"],
    "detect.csv": ["detect"],
    "likelihood.csv": ["detect", "--score", "likelihood"],
    "reconstruction.csv": ["detect", "--score", "reconstruction"],
    "interpolate.csv": ["interpolate", "--from", "1", "--to", "2"],
    "evaluate.json": ["evaluate", "--json"],
}
NUMBER = re.compile(r"[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?")


def with_gaps(frame: pd.DataFrame, share: float = 0.1) -> pd.DataFrame:
    hidden = np.random.default_rng(0).random(frame.shape) < share
    return frame.astype(object).mask(hidden)


def tables() -> dict[str, pd.DataFrame]:
    shop, wine = (
        pd.read_csv(SAMPLES / f"{name}.csv", dtype=object) for name in ("shop_orders", "wine")
    )
    return {
        "shop": shop.head(ROWS),
        "wine": wine,
        "diabetes": with_gaps(load_diabetes(as_frame=True).frame.head(ROWS)),
        "cancer": with_gaps(load_breast_cancer(as_frame=True).frame.iloc[:ROWS, -9:]),
        "digits": load_digits(as_frame=True).data.head(ROWS),
    }


def command(*arguments: str) -> tuple[int, str]:
    """Exit code and standard output."""
    out = io.StringIO()
    with redirect_stdout(out), redirect_stderr(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        code = run(list(arguments))
    return code, out.getvalue()


def write(folder: Path, only: list[str]) -> None:
    folder.mkdir(parents=True)
    fits = [(table, model, []) for table in tables() for model in MODELS]
    fits += [
        ("wine", "vae", ["--likelihood", kind]) for kind in ("gaussian", "laplace", "bernoulli")
    ]
    fits += [("digits", "vae", ["--grid", "8x8"]), ("shop", "vae", ["--min-count", "10"])]
    fits += [("shop", "vae", ["--memorise"]), ("wine", "vae", ["--beta", "2", "--warmup", ".5"])]
    fits = [fit for fit in fits if not only or fit[0] in only]
    with chdir(folder):
        for name, frame in tables().items():
            frame.to_csv(f"{name}.csv", index=False)
            frame.convert_dtypes().astype("string").to_parquet(f"{name}.parquet")
        for table, model, options in fits:
            began = time.process_time()
            place = Path("-".join([table, model, *(text.strip("-") for text in options)]))
            place.mkdir()
            fit = [
                "fit",
                f"{table}.csv",
                "-o",
                str(place / "it.tabvae"),
                "--effort",
                "fast",
                "--model",
                model,
            ]
            code, _ = command(*fit, "--seed", "7", *options)
            (place / "fit.code").write_text(str(code))
            for name, (task, *rest) in TASKS.items():
                output = ["-o", str(place / name)] if name.endswith(".csv") else []
                code, out = command(task, *rest, "--model", str(place / "it.tabvae"), *output)
                (place / f"{name}.out").write_text(f"{out}exit {code}\n")
            (place / "inspect.json").write_text(
                command("inspect", str(place / "it.tabvae"), "--json")[1]
            )
            command(
                "impute",
                f"{table}.parquet",
                "--model",
                str(place / "it.tabvae"),
                "-o",
                str(place / "impute.parquet"),
            )
            print(f"{place}: {time.process_time() - began:.0f} CPU seconds", file=sys.stderr)


def numbers(path: Path) -> tuple[list[str], list[npt.NDArray[Any]]]:
    """What stands between the numbers of a file, and these."""
    if path.suffix == ".tabvae":
        with safe_open(path, framework="np") as file:
            document = json.loads(file.metadata()["tabvae"])
            arrays = [file.get_tensor(name) for name in sorted(file.keys())]
        text = json.dumps({**document, "sha256": ""}, sort_keys=True)
    else:
        text, arrays = path.read_text(errors="replace"), []
    between = NUMBER.split(text)
    return between, [*arrays, np.array([float(number) for number in NUMBER.findall(text)])]


def difference(before: Path, after: Path) -> float:
    """The greatest of any number; infinite where anything else differs."""
    if before.suffix == ".parquet":
        return np.inf
    (text, then), (other, now) = numbers(before), numbers(after)
    if text != other or [a.shape for a in then] != [a.shape for a in now]:
        return np.inf
    pairs = [(a.astype(float), b.astype(float)) for a, b in zip(then, now, strict=True) if a.size]
    return max(float((np.abs(a - b) / np.maximum(np.abs(a), 1)).max()) for a, b in pairs)


def compare(before: Path, after: Path) -> int:
    names, others = (
        {path.relative_to(folder) for path in folder.rglob("*") if path.is_file()}
        for folder in (before, after)
    )
    for name in sorted(names ^ others):
        print(f"{name}: only in one of them")
    changed = [
        name
        for name in sorted(names & others)
        if (before / name).read_bytes() != (after / name).read_bytes()
    ]
    for name in changed:
        print(f"{name}: {difference(before / name, after / name):.3g}")
    print(
        f"{len(names & others) - len(changed)} of {len(names | others)} files have the same bytes"
    )
    return int(bool(changed) or names != others)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    subparsers = parser.add_subparsers(dest="task", required=True)
    writing = subparsers.add_parser("write")
    writing.add_argument("folder", type=Path)
    writing.add_argument("--tables", nargs="+", default=[], choices=list(tables()))
    comparing = subparsers.add_parser("compare")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    given = parser.parse_args()
    if given.task == "write":
        write(given.folder, given.tables)
        return 0
    return compare(given.before, given.after)


if __name__ == "__main__":
    sys.exit(main())

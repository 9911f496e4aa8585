"""CSV files as they are damaged in the field: how much of each table is read; and how fast.

    pip install duckdb                     # beside us, if it is there; pandas is
    python benchmarks/files.py [--speed]

The kinds of damage and the ten scores are those of Pollock (Vitagliano et al., VLDB 2023): success,
and precision, recall and F1 of header, rows and cells, in which equal ones are counted. The files
are made here, of another table: one for each row and column where damage has a place. "stated"
readers are told the delimiter, quote, escape, header and lines before it, the others nothing.
"""

from __future__ import annotations

import argparse
import csv
import io
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from common import machine

from tabvae.errors import TabVAEError
from tabvae.files import csv_reader
from tabvae.files.reader import read_tables
from tabvae.files.records import Dialect

Rows = list[list[str]]
WORDS = [
    "oak, ash",
    "elm",
    "fir",
    'a 12" board',
    "it's new",
    "per piece",
    "north-east, dry",
    "of the best kind",
]


@dataclass(frozen=True)
class Damaged:
    """A file, the rows that were meant (names first), and what a reader may be told."""

    name: str
    text: str
    meant: Rows
    told: Dialect = field(default_factory=lambda: Dialect(bad_rows="pad"))


def table(rows: int) -> Rows:
    rng = np.random.default_rng(0)
    days = pd.date_range("2024-03-01", periods=rows).strftime("%d/%m/%Y")
    body = [
        [
            day,
            f"{k % 24:02d}:15",
            str(rng.integers(20)),
            f"K-{rng.integers(10**4):04d}",
            f"${rng.gamma(2, 20):.2f}",
            *rng.choice(WORDS, 2),
            f"https://example.org/{k}",
            "",
        ]
        for k, day in enumerate(days)
    ]
    names = ["date", "time", "count", "code", "price", "kind", "note", "page", "remarks"]
    return [names, *body]


def line(row: list[str], delimiter: str = ",", quote: str = '"', escape: str | None = None) -> str:
    text = io.StringIO()
    padded = len(delimiter) > 1
    for k, cell in enumerate(row):
        sink = io.StringIO()
        csv.writer(
            sink,
            delimiter=delimiter[0],
            quotechar=quote,
            escapechar=escape,
            doublequote=escape is None,
            quoting=csv.QUOTE_ALL if set(cell) & {quote, delimiter[0]} else csv.QUOTE_MINIMAL,
        ).writerow([cell])
        cut = sink.getvalue()[:-2]
        text.write((delimiter[0] + " " * padded if k else "") + ("" if cut == '""' else cut))
    return text.getvalue() + "\r\n"


def files(rows: Rows) -> Iterator[Damaged]:
    """One of each kind, and of each place."""
    pad = Dialect(bad_rows="pad")
    lines = [line(row) for row in rows]
    whole = "".join(lines)
    width = len(rows[0])
    numbered = [f"column_{k + 1}" for k in range(width)]
    yield Damaged("clean", whole, rows)
    yield Damaged("no newline at the end", whole.removesuffix("\r\n"), rows)
    yield Damaged("two newlines at the end", whole + "\r\n", rows)
    yield Damaged("one row", lines[0] + lines[1], rows[:2])
    headless = Dialect(bad_rows="pad", header_rows=0)
    yield Damaged("no header", "".join(lines[1:]), [numbered, *rows[1:]], headless)
    before = "REPORT" + "," * (width - 1) + "\r\n" + "," * (width - 1) + "\r\n"
    yield Damaged("lines before", before + whole, rows, Dialect(bad_rows="pad", skip_rows=2))
    for delimiter in (" ", ", ", ";", "\t"):
        text = "".join(line(row, delimiter) for row in rows)
        yield Damaged(f"delimiter {delimiter!r}", text, rows, Dialect(delimiter, bad_rows="pad"))
    text = "".join(line(row, quote="'") for row in rows)
    yield Damaged("quote '", text, rows, Dialect(quote="'", bad_rows="pad"))
    text = "".join(line(row, escape="\\") for row in rows)
    yield Damaged("escape \\", text, rows, Dialect(escape="\\", bad_rows="pad"))
    yield Damaged("quotes not doubled", whole.replace('12"" board', '12" board'), rows)
    for newline in ("\n", "\r"):
        yield Damaged(f"newline {newline!r}", whole.replace("\r\n", newline), rows)
    for r in range(len(rows)):
        for c in range(width):
            row = rows[r]
            changed = [*row[:c], f'"{row[c]}', *row[c + 1 :]]
            pieces = [line([cell])[:-2] if cell else "" for cell in row]
            pieces[c] = f'"{pieces[c]}'
            yield _with(rows, lines, r, ",".join(pieces) + "\r\n", changed, "quote", pad)
            longer = [*row[:c], "", *row[c:]]
            yield _with(rows, lines, r, line(longer), longer, "longer", pad)
            if c:
                shorter = [*row[: c - 1], row[c - 1] + row[c], *row[c + 1 :]]
                yield _with(rows, lines, r, line(shorter), shorter, "shorter", pad)
        yield _with(rows, lines, r, line(rows[r], " "), rows[r], "row delimited by blanks", pad)


def _with(
    rows: Rows, lines: list[str], r: int, text: str, row: list[str], kind: str, told: Dialect
) -> Damaged:
    return Damaged(
        kind, "".join([*lines[:r], text, *lines[r + 1 :]]), [*rows[:r], row, *rows[r + 1 :]], told
    )


def agreement(meant: Counter[object], found: Counter[object]) -> list[float]:
    """Precision, recall and F1 of what was found."""
    both = (meant & found).total()
    if not both:
        return [0.0, 0.0, 0.0]
    shares = both / found.total(), both / meant.total()
    return [*shares, 2 / sum(1 / share for share in shares)]


def score(meant: Rows, found: Rows | None) -> float:
    """Of ten."""
    if found is None:
        return 0.0
    kinds = [
        (Counter(meant[0]), Counter(found[0])),
        (Counter(map("".join, meant[1:])), Counter(map("".join, found[1:]))),
        (Counter(c for row in meant[1:] for c in row), Counter(c for r in found[1:] for c in r)),
    ]
    return 1.0 + sum(sum(agreement(*kind)) for kind in kinds)


Reader = Callable[[Path, Dialect], Rows]


def ours(path: Path, told: Dialect) -> Rows:
    found = read_tables([str(path)], told).table
    columns = [column.to_pylist() for column in found.columns]
    return [found.column_names, *map(list, zip(*columns, strict=True))]


def by_pandas(path: Path, told: Dialect) -> Rows:
    frame = pd.read_csv(
        path,
        dtype=str,
        keep_default_na=False,
        on_bad_lines="skip",
        engine="python",
        sep=told.separator if told.delimiter else ",",
        quotechar=told.quote,
        escapechar=told.escape,
        skiprows=told.skip_rows,
        skipinitialspace=told.padded,
        header=None if told.header_rows == 0 else "infer",
    )
    names = [f"column_{k + 1}" if told.header_rows == 0 else str(n) for k, n in enumerate(frame)]
    return [names, *frame.fillna("").to_numpy().tolist()]


def by_duckdb(path: Path, told: Dialect) -> Rows:
    import duckdb

    options: dict[str, object] = {"all_varchar": True, "null_padding": True, "ignore_errors": True}
    if told != Dialect(bad_rows="error"):
        options |= {
            "quotechar": told.quote,
            "escapechar": told.escape or told.quote,
            "header": told.header_rows != 0,
            "skiprows": told.skip_rows,
            "sep": told.delimiter or ",",
            "strict_mode": False,
        }
    found = duckdb.read_csv(str(path), **options)
    names = [f"column_{k + 1}" if told.header_rows == 0 else n for k, n in enumerate(found.columns)]
    return [names, *[[cell or "" for cell in row] for row in found.fetchall()]]


READERS: dict[str, tuple[Reader, bool]] = {
    "tabvae": (lambda path, _: ours(path, Dialect()), False),
    "tabvae --bad-rows pad": (lambda path, _: ours(path, Dialect(bad_rows="pad")), False),
    "tabvae, stated": (ours, True),
    "pandas, stated": (by_pandas, True),
    "DuckDB": (lambda path, _: by_duckdb(path, Dialect()), False),
    "DuckDB, stated": (by_duckdb, True),
}


def measure_damage(rows: int) -> None:
    damaged = list(files(table(rows)))
    print(machine())
    print(f"{len(damaged)} files of {rows} rows")
    for name, (read, _) in READERS.items():
        scores: dict[str, list[float]] = {}
        refused = wrong = 0
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "a.csv"
            for one in damaged:
                path.write_text(one.text, newline="")
                try:
                    with warnings.catch_warnings():
                        warnings.simplefilter("ignore")
                        found = read(path, one.told)
                except ImportError:
                    break
                except Exception as error:
                    if name.startswith("tabvae") and not isinstance(error, TabVAEError):
                        raise
                    found, refused = None, refused + 1
                wrong += found is not None and found != one.meant
                scores.setdefault(one.name, []).append(score(one.meant, found))
        if scores:
            total = np.mean([value for values in scores.values() for value in values])
            print(f"{name:24} {total:6.3f} of 10; refused {refused}, not as meant {wrong}")
            low = {kind: np.mean(v) for kind, v in scores.items() if np.mean(v) < 9.8}
            print("   ", ", ".join(f"{kind} {value:.2f}" for kind, value in low.items()))


def measure_speed(megabytes: int) -> None:
    rng = np.random.default_rng(0)
    rows = megabytes * 10**6 // 75
    frame = pd.DataFrame(rng.normal(size=(rows, 8)).round(4)).add_prefix("x")
    frame["kind"] = rng.choice(['"oak, ash"', "elm", "fir"], rows)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.csv"
        lines = [",".join(frame), *(",".join(map(str, row)) for row in frame.to_numpy())]
        path.write_text("\n".join(lines) + "\n")
        print(machine())
        print(f"{path.stat().st_size / 1e6:.1f} MB, {rows} rows; CPU seconds, in turn")
        by_arrow = csv_reader._by_arrow
        for name in ("by Arrow", "by our records") * 3:
            csv_reader._by_arrow = by_arrow if name == "by Arrow" else lambda *_: None
            started = time.process_time()
            read_tables([str(path)])
            print(f"  {name}: {time.process_time() - started:.2f}")
        csv_reader._by_arrow = by_arrow


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=84)
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--megabytes", type=int, default=16)
    asked = parser.parse_args()
    if asked.speed:
        measure_speed(asked.megabytes)
    else:
        measure_damage(asked.rows)


if __name__ == "__main__":
    main()

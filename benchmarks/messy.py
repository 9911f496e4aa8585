"""Tables as people write them, beside their clean twins: what imputation loses.

    python benchmarks/messy.py                             # ten tables, hours; goes on
    python benchmarks/messy.py --tables wine --effort fast

Every table is written in twelve ways, each in the columns where it is at home: amounts in dollars,
separators of thousands, decimal commas, per cent, units, parentheses for negative numbers, dates in
three ways, words for missing cells, blanks around cells, yes and no. What is hidden is the same in
all. Both twins are learned from text files, filled, and what was hidden is read back by the rule
that wrote it; a cell that it cannot read counts as the mean of its column, or as wrong.

Score: as in ``impute.py``. ``loss``: the score of the messy table over that of its clean twin, less
one; at most 1 % is asked.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from common import HERE, Results, imputation_error, load, machine, progress

from tabvae import TabVAE

TABLES = (
    *("wine", "diabetes", "breast_cancer", "orders", "concrete", "mpg", "penguins", "titanic"),
    *("obesity", "bike"),
)
"""The first four need no ``TABVAE_BENCH_DATA``."""
HIDDEN, MOST_ROWS = 0.2, 2000
LONGEST_DATE = 40_000
"""Days after 1970 that whole numbers are written as."""


@dataclass(frozen=True)
class Way:
    """How the cells of a column are written, and read again.

    Attributes:
        write: the text of a number.
        read: the number of a text.
        fits: whether the numbers of a column can be written so without a loss.
    """

    write: Callable[[float], str]
    read: Callable[[str], float]
    fits: Callable[[pd.Series], bool] = lambda values: True


def short(value: float) -> str:
    """A number with as many digits as a clean file has."""
    return f"{value:.12g}"


def whole(values: pd.Series) -> bool:
    """Whether all are whole numbers."""
    return bool((values % 1 == 0).all())


def dated(values: pd.Series) -> bool:
    """Whether all are whole numbers that are days of our times."""
    return whole(values) and bool(values.between(0, LONGEST_DATE).all()) and values.nunique() > 12


def grouped(value: float) -> str:
    """With commas between thousands."""
    number, point, fraction = short(value).partition(".")
    return f"{int(number):,}{point}{fraction}" if number not in ("-0", "0") else short(value)


def as_date(form: str) -> Way:
    """Whole numbers as days after 2000."""

    def write(value: float) -> str:
        return f"{pd.Timestamp('2000-01-01') + pd.Timedelta(days=value):{form}}"

    def read(text: str) -> float:
        return float((pd.to_datetime(text, format=form) - pd.Timestamp("2000-01-01")).days)

    return Way(write, read, dated)


def plain(text: str) -> float:
    """What is left of a number without signs around and between its digits."""
    return float(text.translate(str.maketrans("", "", "$%, ()km")))


def large(values: pd.Series) -> bool:
    """Whether thousands occur, and no exponents."""
    return bool((values.abs() >= 1000).any()) and bool((values.abs() < 1e9).all())


def usual(values: pd.Series) -> bool:
    """Whether no number needs an exponent."""
    return not any("e" in short(v) for v in values)


NUMBERS = {
    "dollars": Way(lambda v: ("-" if v < 0 else "") + f"${grouped(abs(v))}", plain, usual),
    "thousands": Way(grouped, plain, lambda v: usual(v) and large(v)),
    "decimal comma": Way(
        lambda v: short(v).replace(".", ","), lambda t: float(t.replace(",", ".")), usual
    ),
    "per cent": Way(lambda v: f"{short(v)}%", plain, usual),
    "unit": Way(lambda v: f"{short(v)} km", plain, usual),
    "parentheses": Way(
        lambda v: f"({short(-v)})" if v < 0 else short(v),
        lambda t: -plain(t) if t.startswith("(") else plain(t),
        lambda v: usual(v) and bool((v < 0).any()),
    ),
    "day first": as_date("%d.%m.%Y"),
    "month first": as_date("%m/%d/%Y"),
    "months by name": as_date("%d %b %Y"),
}
"""By name, of columns of numbers; those of text have none of their own."""
WAYS = (*NUMBERS, "words for missing", "blanks", "yes and no")
ABSENT = ("N/A", "n/a", "-", "unknown", "#N/A")


@dataclass(frozen=True)
class Twin:
    """A messy table, and how its cells are read again.

    Attributes:
        text: a CSV file.
        readers: by column of numbers.
        touched: whether any cell is not as in the clean file.
    """

    text: str
    readers: dict[str, Callable[[str], float]]
    touched: bool

    def read(self, filled: pd.DataFrame, clean: pd.DataFrame) -> pd.DataFrame:
        """The filled cells as the clean table has them."""
        columns = {}
        for name in clean.columns:
            texts = filled[name].astype(str).str.strip()
            if pd.api.types.is_numeric_dtype(clean[name]):
                reader = self.readers.get(name, float)
                columns[name] = texts.map(lambda t, r=reader: _number(t, r)).fillna(
                    clean[name].mean()
                )
            else:
                columns[name] = texts
        return pd.DataFrame(columns)


def _number(text: str, read: Callable[[str], float]) -> float:
    try:
        return read(text)
    except ValueError:
        return np.nan


def clean_table(name: str) -> pd.DataFrame:
    """A table of numbers and text, without gaps."""
    if name == "orders":
        frame = pd.read_csv(HERE.parent / "sample_data" / "shop_orders_truth.csv")
        frame = frame.drop(columns=["order_id", "ordered"], errors="ignore")
    else:
        frame = load(name, MOST_ROWS)
    return frame.dropna().reset_index(drop=True)


def written(frame: pd.DataFrame, gaps: np.ndarray, way: str | None, seed: int) -> Twin:
    """The table as a file: in a ``way``, or plain for ``None``."""
    rng = np.random.default_rng(seed)
    texts, readers, touched = {}, {}, False
    for j, name in enumerate(frame.columns):
        values, cells = frame[name], frame[name].astype(str)
        number = pd.api.types.is_numeric_dtype(values)
        if number:
            cells = values.map(short)
        if number and way in NUMBERS and NUMBERS[way].fits(values):
            cells, readers[name] = values.map(NUMBERS[way].write), NUMBERS[way].read
            touched = True
        if way == "yes and no" and values.nunique() == 2:
            pair = sorted(values.unique())
            cells = values.map({pair[0]: "no", pair[1]: "yes"})
            back = {"no": pair[0], "yes": pair[1]}
            if number:
                readers[name] = lambda text, back=back: float(back[text])
                touched = True
            else:
                cells = frame[name].astype(str)
        if way == "blanks":
            cells, touched = cells + " " * 2, True
        absent = rng.choice(ABSENT, len(cells)) if way == "words for missing" and number else ""
        touched |= bool(way == "words for missing" and number)
        texts[name] = np.where(gaps[:, j], absent, cells)
    return Twin(pd.DataFrame(texts).to_csv(index=False), readers, touched)


def filled(twin: Twin, effort: str, seed: int, categorical: tuple[str, ...]) -> pd.DataFrame:
    """The file as tabvae fills it."""
    table = pd.read_csv(io.StringIO(twin.text), dtype=str, keep_default_na=False)
    model = TabVAE(effort=effort, seed=seed, categorical=categorical).fit(table)
    return model.impute(table)


def measure(name: str, way: str | None, effort: str, seed: int) -> dict[str, float] | None:
    """The errors of one file; ``None`` if nothing of the table can be written so."""
    frame = clean_table(name)
    gaps = np.random.default_rng(seed).random(frame.shape) < HIDDEN
    twin = written(frame, gaps, way, seed)
    if way is not None and not twin.touched:
        return None
    text = tuple(c for c in frame.columns if not pd.api.types.is_numeric_dtype(frame[c]))
    read = twin.read(filled(twin, effort, seed, text), frame)
    truth = frame.astype(dict.fromkeys(text, str))
    number, error = imputation_error(truth, read, gaps, text)
    return {"numeric": number, "categorical": error}


def report(results: Results) -> None:
    """The loss of each way, and the worst."""
    frame = results.frame()
    for kind in ("numeric", "categorical"):
        wide = frame.pivot_table(index="table", columns="way", values=kind)
        if "clean" not in wide:
            continue
        loss = wide.div(wide["clean"], axis=0).drop(columns="clean") - 1
        print(f"\n{kind}: loss against the clean twin (asked: at most 1 %)")
        print(loss.map("{:+.2%}".format).to_string())
        print(f"mean {np.nanmean(loss):+.2%}, worst {np.nanmax(loss):+.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=TABLES)
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--effort", default="default", choices=("fast", "default"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", action="store_true", help="measure again what is there")
    given = parser.parse_args()
    print(machine())
    results = Results("messy", ("table", "way", "effort", "seed"))
    for name in given.tables:
        for way in (None, *given.ways):
            key = {"table": name, "way": way or "clean", "effort": given.effort, "seed": given.seed}
            if results.has(**key) and not given.again:
                continue
            progress(f"{name}, {way or 'clean'}")
            if (found := measure(name, way, given.effort, given.seed)) is not None:
                results.add(**key, **found)
    report(results)


if __name__ == "__main__":
    main()

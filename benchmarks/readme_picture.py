"""README's picture, docs/pictures/orders.svg: what four commands print about the sample table.

    python benchmarks/readme_picture.py

Five orders with gaps, the same filled, five new rows, and five orders with an odd one between them.
Every cell is what the command wrote. The SVG is plain text, with colours for light and dark.
"""

from __future__ import annotations

import io
import subprocess
import sys
import tempfile
from html import escape
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).parent.parent
TABLE = ROOT / "sample_data" / "shop_orders.csv"
TARGET = ROOT / "docs" / "pictures" / "orders.svg"
NEW = ("generate", "-n", "1000", "--where", "country=Norway")
COMMANDS = {
    "filled": ("impute",),
    "new": NEW,
    "odd": ("detect", "--keep", "order_id"),
}
"""What the picture shows beside the table; README runs them, too."""

WIDTHS = {
    "order_id": 67,
    "product": 60,
    "size": 54,
    "country": 66,
    "price": 60,
    "quantity": 66,
    "total": 56,
}
NUMBERS = ("price", "quantity", "total")
ROWS = 5
GAPPY, SUSPECT = "SO-20027", "SO-20234"
MARGIN, GUTTER, LINE, TITLE = 16, 26, 21, 26
PANEL = sum(WIDTHS.values())
HEIGHT = TITLE + (ROWS + 1) * LINE + 30

STYLE = """\
text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; fill: #1f2328 }
.card { fill: #ffffff; stroke: #d1d9e0 }
.title { font-weight: bold }
.head, .note { fill: #59636e }
.rule { stroke: #d1d9e0 }
.gap { fill: none; stroke: #9a6700; stroke-dasharray: 3 2 }
.filled { fill: #b6e3ff }
.odd { fill: #ffc1ba }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .card { fill: #0d1117; stroke: #3d444d }
  .head, .note { fill: #9198a1 }
  .rule { stroke: #3d444d }
  .gap { stroke: #d29922 }
  .filled { fill: #0c4a7e }
  .odd { fill: #8e1519 }
}"""


def five(table: pd.DataFrame, first: int) -> pd.DataFrame:
    return table[list(WIDTHS)].iloc[first : first + ROWS]


def gaps(rows: pd.DataFrame) -> pd.DataFrame:
    """The class of the box behind each cell where only gaps have one."""
    return rows.eq("").replace({True: "gap", False: ""})


def place(table: pd.DataFrame, order: str) -> int:
    """The number of the row of an order, from 0."""
    return int((table["order_id"] == order).to_numpy().argmax())


def text(x: float, y: float, words: str, kind: str, end: bool = False) -> str:
    anchor = ' text-anchor="end"' if end else ""
    return f'<text x="{x}" y="{y}" class="{kind}"{anchor}>{escape(words)}</text>'


def panel(
    left: int, top: int, title: str, rows: pd.DataFrame, boxes: pd.DataFrame, note: str
) -> list[str]:
    """The elements of one table. ``boxes`` has the class of the box behind each cell, if any."""
    under = top + TITLE + LINE
    lines = [
        text(left + 6, top + 15, title, "title"),
        text(left + 6, under + ROWS * LINE + 18, note, "note"),
        f'<path d="M{left} {under}h{PANEL}" class="rule"/>',
    ]
    x = left
    for name, width in WIDTHS.items():
        end = name in NUMBERS
        at = x + width - 6 if end else x + 6
        lines.append(text(at, under - 7, name, "head", end))
        for i, (cell, box) in enumerate(zip(rows[name], boxes[name], strict=True)):
            y = under + i * LINE
            if box:
                size = f'width="{width - 4}" height="{LINE - 4}" rx="3"'
                lines.append(f'<rect x="{x + 2}" y="{y + 2}" {size} class="{box}"/>')
            if cell:
                lines.append(text(at, y + 15, cell, "cell", end))
        x += width
    return lines


def picture(table: pd.DataFrame, filled: pd.DataFrame, new: pd.DataFrame, odd: pd.DataFrame) -> str:
    """The SVG.

    Args:
        table: the sample table, as text, gaps empty.
        filled: what ``impute`` wrote.
        new: what ``generate`` wrote.
        odd: what ``detect --keep order_id`` wrote.
    """
    first = place(table, GAPPY)
    given, drawn = five(table, first), five(new, 0)
    suspects = five(table, place(table, SUSPECT) - ROWS // 2)
    found = odd.iloc[place(odd, SUSPECT)]
    blamed = [found[f"{what}_{k}"] for k in (1, 2) for what in ("column", "observed", "expected")]
    boxes = gaps(suspects)
    boxes.iloc[ROWS // 2, boxes.columns.isin(blamed[::3])] = "odd"
    right, lower = MARGIN + PANEL + GUTTER, MARGIN + HEIGHT + GUTTER // 2
    width, height = right + PANEL + MARGIN, lower + HEIGHT + MARGIN // 2
    empty = f"{int(table.eq('').sum().sum()):,} cells of {len(table):,} orders are empty"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img">',
        "<title>A table with gaps, the same filled, new rows, and an odd row</title>",
        f"<style>\n{STYLE}\n</style>",
        f'<rect x=".5" y=".5" width="{width - 1}" height="{height - 1}" rx="8" class="card"/>',
        *panel(MARGIN, MARGIN, "a table with gaps", given, gaps(given), empty),
        *panel(
            right,
            MARGIN,
            "tabvae impute",
            five(filled, first),
            gaps(given).replace("gap", "filled"),
            "every other cell is as it was",
        ),
        *panel(
            MARGIN,
            lower,
            " ".join(("tabvae", *NEW)),
            drawn,
            gaps(drawn),
            "new rows, with gaps as often as in the table",
        ),
        *panel(
            right,
            lower,
            "tabvae detect",
            suspects,
            boxes,
            "{} {} (expected {}), {} {} (expected {})".format(*blamed),
        ),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def read(source: Path | io.StringIO) -> pd.DataFrame:
    """A CSV table as text, gaps empty."""
    return pd.read_csv(source, dtype=str, keep_default_na=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:

        def tabvae(*words: str) -> pd.DataFrame | None:
            command = [sys.executable, "-m", "tabvae_cli.main", *words]
            done = subprocess.run(
                command, cwd=folder, stdout=subprocess.PIPE, text=True, check=True
            )
            return read(io.StringIO(done.stdout)) if done.stdout else None

        tabvae("fit", str(TABLE))
        outputs = {name: tabvae(*words) for name, words in COMMANDS.items()}
    TARGET.parent.mkdir(exist_ok=True)
    TARGET.write_text(picture(read(TABLE), **outputs))


if __name__ == "__main__":
    main()

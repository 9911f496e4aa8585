"""The delimiter of a text table, from its header and the rows below it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tabvae.errors import DataError, shown

DELIMITERS = (",", ";", "\t", "|")


@dataclass(frozen=True)
class Sample:
    """The first records of a text, as one delimiter splits them.

    Attributes:
        records: the header and the rows below it, blank lines left out.
        line: of the header.

    **Examples**

    >>> sample = Sample([["day", "size"], ["1", "2,5"], ["2"]])
    >>> sample.width, sample.share, sample.natural(";")
    (2, 0.5, True)
    """

    records: Sequence[Sequence[str]]
    line: int = 1

    @property
    def width(self) -> int:
        """Cells of the header."""
        return len(self.records[0]) if self.records else 0

    @property
    def share(self) -> float:
        """Share of the rows that are as wide as the header."""
        rows = self.records[1:]
        return sum(len(row) == self.width for row in rows) / len(rows) if rows else 1.0

    def natural(self, delimiter: str) -> bool:
        """Whether all cells look whole: none begins with a blank, and other delimiters stand in
        them as in prose, before a blank, or in numbers."""
        others = "".join(set(DELIMITERS) - {delimiter})
        torn = re.compile(rf"^ |[{re.escape(others)}](?! )")
        decimal_comma = re.compile(r"[+-]?[\d.]+,\d+")
        cells = (cell for record in self.records for cell in record)
        return all(decimal_comma.fullmatch(cell) or not torn.search(cell) for cell in cells)


def find_delimiter(samples: Mapping[str, Sample], name: str) -> str:
    """The delimiter that splits the header, and the rows below it into as many cells.

    Where none does, it is one that leads to an error in the rows if there is any: a table is taken
    for a single column only if nothing else is possible.

    Args:
        samples: what each delimiter makes of the file ``name``.
        name: for messages.

    Raises:
        DataError: several do, and the cells do not tell which is meant.

    >>> rows = ["Length, mm;Mass", "1,5;3", "2,5;4"]
    >>> find_delimiter({d: Sample([row.split(d) for row in rows]) for d in DELIMITERS}, "a.csv")
    ';'
    """
    wide = [d for d, sample in samples.items() if sample.width > 1]
    likely = [d for d in wide if samples[d].share >= 0.5]
    if len(likely) > 1:
        return _most_natural(likely, samples, name)
    if wide:
        return max(wide, key=lambda d: samples[d].share)
    splitting = [d for d, sample in samples.items() if any(len(r) > 1 for r in sample.records)]
    return splitting[0] if splitting else DELIMITERS[0]


def _most_natural(likely: Sequence[str], samples: Mapping[str, Sample], name: str) -> str:
    natural = [d for d in likely if samples[d].natural(d)]
    if len(natural) == 1:
        return natural[0]
    listed = " and ".join(repr(d) for d in natural or likely)
    line = samples[likely[0]].line
    raise DataError(
        f"{shown(name)}, line {line}: {listed} split the header and the rows alike",
        f"say which is meant: --delimiter {(natural or likely)[0]!r}",
    )

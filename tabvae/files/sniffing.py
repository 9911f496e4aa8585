"""What the first bytes and records of a text table tell: its encoding, its delimiter, and whether
it has a header."""

from __future__ import annotations

import codecs
import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

from tabvae.errors import DataError, ParameterError, shown
from tabvae.values.arrow import DEFAULT_NA_VALUES, NUMBER_PATTERN

DELIMITERS = (",", ";", "\t", "|")
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def check_encoding(encoding: str) -> None:
    """Make sure that there is such an encoding of text.

    Raises:
        ParameterError: there is none.
    """
    # Python has these for its own use; some take a time that grows with the square.
    of_no_file = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
    try:
        "".encode(encoding)  # Refuses what turns bytes into bytes, such as zip.
        usable = codecs.lookup(encoding).name not in of_no_file
    except (LookupError, ValueError):
        usable = False
    if not usable:
        raise ParameterError(f"unknown encoding {shown(encoding)}", "--encoding utf-8")


def find_encoding(start: bytes, asked: str | None, name: str) -> tuple[str, bytes]:
    """The encoding of a file and the byte order mark it begins with, which may be empty.

    Args:
        start: its first four bytes.
        asked: the encoding, if it is known; a mark can then only say which of its forms it is.
        name: for messages.

    Raises:
        DataError: it looks like UTF-16 or UTF-32, and nothing says so.

    >>> find_encoding(b"\\xff\\xfea\\x00", None, "a.csv")
    ('utf-16-le', b'\\xff\\xfe')
    >>> find_encoding(b"a,b\\n", "utf-16", "a.csv")
    ('utf-16-le', b'')
    """
    plain_name = codecs.lookup(asked).name if asked else ""
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark) and encoding.startswith(plain_name.removesuffix("-sig")):
            return encoding, mark
    # Which of its first four bytes are zero when Latin text is written so.
    zeros = {".0.0": "utf-16-le", "0.0.": "utf-16-be", ".000": "utf-32-le", "000.": "utf-32-be"}
    likely = zeros.get("".join(".0"[byte == 0] for byte in start))
    if not asked and likely:
        raise DataError(
            f"{shown(name)}, line 1, looks like {likely} text without a byte order mark",
            f"name its encoding: --encoding {likely}",
        )
    # The encodings that begin with a mark are others in text that has none.
    without_mark = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
    return without_mark.get(plain_name, asked or "utf-8"), b""


def undecodable_line(file: BinaryIO, encoding: str, bytes_per_read: int) -> int:
    """The number of the first line that is no text in ``encoding``.

    >>> undecodable_line(io.BytesIO(b"a,b\\n1,2\\n\\xe9,3\\n"), "utf-8", bytes_per_read=4)
    3
    """
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    number, block = 1, b"-"
    while block:
        block = file.read(bytes_per_read)
        try:
            number += lines.decode(block, final=not block).count("\n")
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, errors="ignore")
            return number + len(re.findall("\r\n?|\n", good))
    return number


@dataclass(frozen=True)
class Sample:
    """The first records of a text, as one delimiter splits them.

    Attributes:
        records: the header and the rows below it, blank lines left out.
        line: of the header.
        newline: at its end.

    **Examples**

    >>> sample = Sample([["day", "size"], ["1", "2,5"], ["2"]])
    >>> sample.width, sample.share, sample.natural(";")
    (2, 0.5, True)
    """

    records: Sequence[Sequence[str]]
    line: int = 1
    newline: str = "\n"

    @property
    def width(self) -> int:
        """Cells of the header."""
        return len(self.records[0]) if self.records else 0

    @property
    def share(self) -> float:
        """Share of the rows that are as wide as the header."""
        rows = self.records[1:]
        return sum(len(row) == self.width for row in rows) / len(rows) if rows else 1.0

    @property
    def usual_width(self) -> int:
        """Cells of most records."""
        return Counter(map(len, self.records)).most_common(1)[0][0] if self.records else 0

    @property
    def lacks_header(self) -> bool:
        """Whether the first record holds numbers as all others do, and some that are no names:
        with a point or a sign, or twice the same.

        >>> Sample([["1.5", "7"], ["2.5", "NA"]]).lacks_header
        True
        >>> Sample([["2019", "2021"], ["2.5", "3"]]).lacks_header
        False
        """
        first, *rows = [[cell.strip() for cell in record] for record in self.records] or [[]]
        if not rows or not all(map(_is_number, first)):
            return False
        nameless = len(set(first)) < len(first) or not all(map(str.isdigit, first))
        cells = (cell for row in rows for cell in row)
        return nameless and all(_is_number(c) or c in DEFAULT_NA_VALUES for c in cells)

    def natural(self, delimiter: str) -> bool:
        """Whether all cells look whole: none begins with a blank, and other delimiters stand in
        them as in prose, before a blank, or in numbers."""
        others = "".join(set(DELIMITERS) - {delimiter})
        torn = re.compile(rf"^ |[{re.escape(others)}](?! )")
        decimal_comma = re.compile(r"[+-]?[\d.]+,\d+")
        cells = (cell for record in self.records for cell in record)
        return all(decimal_comma.fullmatch(cell) or not torn.search(cell) for cell in cells)


def _is_number(text: str) -> bool:
    return re.fullmatch(NUMBER_PATTERN, text) is not None


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

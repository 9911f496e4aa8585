"""The encoding of a text file: what is asked for, or what its first bytes say."""

from __future__ import annotations

import codecs
import io
import re
from gzip import GzipFile
from typing import BinaryIO

from tabvae.errors import DataError, ParameterError, shown

BYTES_PER_READ = 2**20
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like that of UTF-16
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
WITHOUT_MARK = {"utf-8-sig": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}
"""What the encodings are that begin with a mark in text that has none."""
NUL_BYTES = {
    "utf-16-le": [False, True, False, True],
    "utf-16-be": [True, False, True, False],
    "utf-32-le": [False, True, True, True],
    "utf-32-be": [True, True, True, False],
}
"""Which of its first four bytes are zero when Latin text is written so."""
OF_NO_FILE = {"idna", "punycode", "raw-unicode-escape", "undefined", "unicode-escape"}
"""Encodings that Python has for its own use; some take a time that grows with the square."""


def check_encoding(encoding: str) -> None:
    """Make sure that there is such an encoding of text.

    Raises:
        ParameterError: there is none.
    """
    try:
        "".encode(encoding)  # Refuses what turns bytes into bytes, such as zip.
        known = codecs.lookup(encoding).name not in OF_NO_FILE
    except (LookupError, ValueError):
        known = False
    if not known:
        raise ParameterError(f"unknown encoding {shown(encoding)}", "--encoding utf-8")


def find_encoding(start: bytes, asked: str | None, name: str) -> tuple[str, bytes]:
    """The encoding of a file and the byte order mark it begins with, which may be empty.

    Args:
        start: its first four bytes.
        asked: the encoding, if it is known; a mark can then only say which of its forms it is.
        name: for messages.

    Raises:
        DataError: it looks like UTF-16 or UTF-32, and nothing says so.
    """
    known = codecs.lookup(asked).name if asked else ""
    for mark, encoding in BYTE_ORDER_MARKS:
        if start.startswith(mark) and encoding.startswith(known.removesuffix("-sig")):
            return encoding, mark
    zero = [byte == 0 for byte in start]
    likely = next((e for e, pattern in NUL_BYTES.items() if pattern == zero), None)
    if not asked and likely:
        raise DataError(
            f"{shown(name)}, line 1, looks like {likely} text without a byte order mark",
            f"name its encoding: --encoding {likely}",
        )
    return WITHOUT_MARK.get(known, asked or "utf-8"), b""


def undecodable_line(file: BinaryIO | GzipFile, encoding: str) -> int:
    """The number of the first line that is no text in ``encoding``."""
    file.seek(0)
    decoder = codecs.getincrementaldecoder(encoding)()
    lines = io.IncrementalNewlineDecoder(decoder, translate=True)
    number, block = 1, b"-"
    while block:
        block = file.read(BYTES_PER_READ)
        try:
            number += lines.decode(block, final=not block).count("\n")
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(encoding, errors="ignore")
            return number + len(re.findall("\r\n?|\n", good))
    return number

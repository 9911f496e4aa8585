"""The encoding of a text file: what is asked for, or what its first bytes say."""

from __future__ import annotations

import codecs
import io
import re
from gzip import GzipFile
from typing import BinaryIO

from tabvae.errors import DataError, ParameterError, shown

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


def undecodable_line(file: BinaryIO | GzipFile, encoding: str, bytes_per_read: int) -> int:
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

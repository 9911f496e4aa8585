"""Which formats and compressions of tables there are, by the names and first bytes of files.

What reads and writes each is in ``reader.py`` and ``writer.py``, what unpacks and packs each in
``compression.py``. Nothing heavy is imported: the command line names the formats in its help.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tabvae.errors import DataError, shown


@dataclass(frozen=True)
class Format:
    """One way to keep a table in a file.

    Attributes:
        name: as ``--format`` has it.
        title: as people call such a file.
        extensions: of its files, the usual one first.
        magic: what its files begin with; empty if that tells nothing.
        text: cells are texts, to which ``columns`` gives a meaning; others have types.
        written: tables can be written so.

    **Examples**

    >>> [each.name for each in FORMATS if each.written]
    ['csv', 'tsv', 'parquet', 'arrow', 'jsonl']
    """

    name: str
    title: str
    extensions: tuple[str, ...]
    magic: bytes = b""
    text: bool = False
    written: bool = True


@dataclass(frozen=True)
class Compression:
    """One way to pack a file.

    Attributes:
        name: as people call it.
        extension: of its files.
        magic: what they begin with.
        written: files can be packed so.

    **Examples**

    >>> compression_of_name("a.csv.zst").name
    'zstd'
    """

    name: str
    extension: str
    magic: bytes
    written: bool = True


FORMATS = (
    Format("csv", "a CSV file", (".csv", ".txt"), text=True),
    Format("tsv", "a TSV file", (".tsv", ".tab"), text=True),
    Format("parquet", "a Parquet file", (".parquet", ".pq"), rb"PAR1"),
    # The file format, and the stream that has no end of its own.
    Format(
        "arrow",
        "an Arrow file",
        (".arrow", ".feather", ".ipc", ".arrows"),
        rb"ARROW1|\xff\xff\xff\xff[^\xff]",
    ),
    Format("jsonl", "a file of JSON lines", (".jsonl", ".ndjson"), rb'\s*\{\s*["}]'),
    # A zip archive that is not unpacked is one.
    Format("xlsx", "an Excel workbook", (".xlsx", ".xlsm"), rb"PK\x03\x04", written=False),
)
COMPRESSIONS = (
    Compression("gzip", ".gz", rb"\x1f\x8b"),
    Compression("bzip2", ".bz2", rb"BZh[1-9]"),
    Compression("xz", ".xz", rb"\xfd7zXZ\0"),
    Compression("zstd", ".zst", rb"\x28\xb5\x2f\xfd"),
    Compression("lz4", ".lz4", rb"\x04\x22\x4d\x18"),
    Compression("zip", ".zip", rb"PK\x03\x04|PK\x05\x06", written=False),
)
EXPORT = "export its table to CSV or Parquet where it was made"
STRANGERS = (
    (rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", "save it as .xlsx"),
    (rb"SQLite format 3\0", "a SQLite database", "sqlite3 -csv -header FILE 'select ...' > a.csv"),
    (rb"\s*\[\s*[\[{]", "a JSON array", "write one object a line: jq -c '.[]' FILE > a.jsonl"),
    (rb"(?i)\s*<(!doctype html|html|head|body)", "a web page", "download the file it links to"),
    (rb"\s*<\?xml", "an XML document", EXPORT),
    (rb"%PDF-", "a PDF document", EXPORT),
    (rb"FEA1", "a Feather file of version 1", "write it anew: pyarrow.feather.write_feather"),
    (rb"\x89HDF\r\n", "an HDF5 file", EXPORT),
    (rb"ORC", "an ORC file", EXPORT),
    (rb"Obj\x01", "an Avro file", EXPORT),
    (rb"\x93NUMPY", "a NumPy array", EXPORT),
    (rb"\x80[\x02-\x05]", "a pickle, which could run anything", EXPORT),
    (rb"<stata_dta>", "a Stata file", EXPORT),
    (rb"\$FL[23]", "an SPSS file", EXPORT),
    (rb"RDX[23]\n|X\n\0\0", "a file of R objects", EXPORT),
    (rb"\x89PNG|\xff\xd8\xff|GIF8", "a picture", EXPORT),
    (rb"7z\xbc\xaf|Rar!", "an archive", "unpack it"),
    (rb".{257}ustar", "a tar archive", "unpack it"),
)
"""What else a file may begin with, what that is, and what to do."""
BYTES_TOLD = 512
"""That tell what a file is."""


def names_of_formats(written: bool = True) -> list[str]:
    """The formats that tables can be written in, or all of them."""
    return [each.name for each in FORMATS if each.written or not written]


def format_called(name: str) -> Format:
    """The format of that name; another than those of ``FORMATS`` is a mistake of the caller."""
    return next(each for each in FORMATS if each.name == name)


def compression_of_name(path: str) -> Compression | None:
    """How a file is packed, by its name."""
    path = path.lower()
    return next((each for each in COMPRESSIONS if path.endswith(each.extension)), None)


def format_of_name(path: str) -> Format | None:
    """The format of a file by its name, packed or not.

    >>> format_of_name("a.TSV.bz2").name, format_of_name("a.dat")
    ('tsv', None)
    """
    packed = compression_of_name(path)
    path = path.lower().removesuffix(packed.extension if packed else "")
    return next((each for each in FORMATS if path.endswith(each.extensions)), None)


def stem(path: str) -> str:
    """``path`` without the extensions of its format and compression.

    >>> stem("orders.v2.jsonl.zst"), stem("orders")
    ('orders.v2', 'orders')
    """
    packed, fmt = compression_of_name(path), format_of_name(path)
    path = path[: len(path) - len(packed.extension)] if packed else path
    for extension in fmt.extensions if fmt else ():
        if path.lower().endswith(extension):
            return path[: -len(extension)]
    return path


def compression_of_bytes(start: bytes) -> Compression | None:
    """How a file is packed that begins with ``start``."""
    return next((each for each in COMPRESSIONS if re.match(each.magic, start)), None)


def format_of_file(path: str, start: bytes, name: str) -> Format:
    """The format of a file that is not packed: what its first bytes say, else its name.

    Args:
        path: of the file, or of what it was packed in.
        start: its first ``BYTES_TOLD`` bytes.
        name: for messages.

    Raises:
        DataError: it is of no format that can be read, or not of the one that it is called by.

    >>> format_of_file("a.csv", b"PAR1...", "a.csv").name
    'parquet'
    >>> format_of_file("a.csv", b"%PDF-1.7", "a.csv")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    tabvae.errors.DataError: 'a.csv' is a PDF document (export its table to CSV or Parquet ...
    """
    start = start.removeprefix(b"\xef\xbb\xbf")
    called = format_of_name(path) or FORMATS[0]
    found = next((each for each in FORMATS if each.magic and re.match(each.magic, start)), None)
    if found is not None:
        return found
    if packed := compression_of_bytes(start):
        raise DataError(f"{shown(name)} is packed twice, by {packed.name}", "unpack it once")
    for magic, what, hint in STRANGERS:
        if re.match(magic, start, re.DOTALL):
            raise DataError(f"{shown(name)} is {what}", hint)
    if not called.text:
        hint = "if it holds text, rename it to .csv"
        raise DataError(f"{shown(name)} is not {called.title}", hint)
    return called

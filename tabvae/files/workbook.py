"""Excel workbooks: the first sheet, by fastexcel where that is installed."""

from __future__ import annotations

import warnings
from typing import Any, BinaryIO

import pyarrow as pa

from tabvae.errors import DataError, TabVAEWarning, one_line, shown
from tabvae.files.memory import Room, limited


def read_workbook(file: BinaryIO, name: str, room: Room) -> pa.Table:
    """Read the first sheet of a workbook, whose first line has the names.

    A column is of the type that all of its cells have, and text where they differ.

    Args:
        file: at its first byte.
        name: for messages.
        room: what the table may take.

    Raises:
        DataError: fastexcel is not installed, or the workbook is damaged or too large.
    """
    try:
        import fastexcel
    except ImportError as error:
        raise DataError(
            f"{shown(name)} is an Excel workbook, and fastexcel is not installed",
            "pip install 'tabvae[excel]', or save the sheet as .csv",
        ) from error
    try:
        with limited(room.left, room.config):
            workbook = fastexcel.read_excel(file.read())
            sheet = workbook.load_sheet(0, schema_sample_rows=None)
            batch = sheet.to_arrow()
            # Whether there are gaps in it says nothing of other sheets.
            table = pa.table(dict(zip(batch.schema.names, batch.columns, strict=True)))
    except MemoryError as error:
        raise room.too_small(name) from error
    except fastexcel.FastExcelError as error:
        raise _damaged(name, error) from error
    except BaseException as error:
        # What fails in Rust is no ``Exception``.
        if type(error).__name__ != "PanicException":
            raise
        raise _damaged(name, error) from error
    room.take(table.nbytes, name)
    _tell(workbook.sheet_names, name)
    return table


def _damaged(name: str, error: BaseException) -> DataError:
    return DataError(f"{shown(name)} is a damaged Excel workbook: {one_line(error)}")


def _tell(sheets: Any, name: str) -> None:
    """Say which sheet is read where there are several."""
    if len(sheets) > 1:
        others = ", ".join(shown(sheet) for sheet in sheets[1:4])
        warnings.warn(
            f"{shown(name)}: read sheet {shown(sheets[0])}, not {others}",
            TabVAEWarning,
            stacklevel=2,
        )

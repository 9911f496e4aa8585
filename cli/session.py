"""What most commands do around their task: find the model, read the rows, write the result."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tabvae.errors import DataError, ModelFileError, SchemaError, shown, suggestion

from .console import note

if TYPE_CHECKING:
    import pyarrow as pa

    from tabvae.estimator import TabVAE
    from tabvae.files.reader import Loaded
    from tabvae.files.records import Dialect
    from tabvae.files.source import Source
    from tabvae.values.arrow import Ints

    from .options import Place, Reading, Target

MODEL_VARIABLE = "TABVAE_MODEL"
MODEL_SUFFIX = ".tabvae"


@dataclass(frozen=True)
class Output:
    """Where a result goes; checked before any work is done."""

    path: str | None
    format: str
    force: bool
    guarded: bool

    @classmethod
    def checked(cls, target: Target, model: str | None, inputs: Sequence[str] = ()) -> Output:
        """Find out at once whether the output can be written; over ``inputs`` and the model file
        it never can.

        Raises:
            OutputError: it cannot.
        """
        models = [] if target.output is None else [find_model(model)]
        return cls.beside(target, [*inputs, *models])

    @classmethod
    def beside(cls, target: Target, inputs: Sequence[str]) -> Output:
        """The same where no model is read.

        Raises:
            OutputError: it cannot be written, or is one of ``inputs``.
        """
        from tabvae.files.writer import output_format

        chosen = output_format(target.output, target.fmt)
        path = free_path(target, inputs)
        return cls(path, chosen, target.force, target.safe_csv)

    @property
    def on_stdout(self) -> bool:
        """A table goes to standard output."""
        return self.path is None

    def document(self) -> dict[str, object]:
        """Where it goes, as JSON values."""
        return {"output": self.path, "format": self.format}

    def write(self, table: pa.Table, dialect: Dialect | None = None) -> None:
        from tabvae.files.writer import check_output, write_table

        if self.path is not None:
            check_output(self.path, self.force)
        write_table(table, self.path, self.format, dialect, self.guarded)


def checked_path(
    target: Target | Place, model: str | None, inputs: Sequence[str] = ()
) -> str | None:
    """``free_path`` of an output beside a model file."""
    models = [] if target.output is None else [find_model(model)]
    return free_path(target, [*inputs, *models])


def free_path(target: Target | Place, inputs: Sequence[str]) -> str | None:
    """Where the output goes, once it is known that it can be written; ``None`` for standard output.

    Raises:
        OutputError: it cannot, or is one of ``inputs``.
    """
    from tabvae.files.writer import check_output, destination

    if target.output is None:
        return None
    path = destination(target.output)
    check_output(path, target.force, inputs)
    return path


def write_page(text: str, path: str | None, force: bool) -> None:
    """Write a page to where ``checked_path`` said."""
    from tabvae.files.writer import check_output, write_text

    if path is not None:
        check_output(path, force)
    write_text(text, path)


def find_model(given: str | None) -> str:
    """The model file: given, or $TABVAE_MODEL, or the only one in the working folder.

    Raises:
        ModelFileError: there is none, or more than one.
    """
    if given or (given := os.environ.get(MODEL_VARIABLE)):
        return given
    found = sorted(p.name for p in Path().iterdir() if p.suffix == MODEL_SUFFIX and p.is_file())
    if len(found) == 1:
        return found[0]
    if not found:
        raise ModelFileError("no .tabvae file in this folder", "'tabvae fit DATA' makes one, or -m")
    listed = ", ".join(shown(name) for name in found[:10])
    raise ModelFileError(f"several models in this folder: {listed}", "choose one with -m")


def load_model(given: str | None) -> TabVAE:
    """Load the model ``find_model`` finds."""
    from tabvae.files import container

    path = find_model(given)
    # Damage is told at once: loading torch takes longer than reading most models.
    container.read(path)
    from tabvae.estimator import TabVAE

    return TabVAE.load(path)


def _source(model: TabVAE) -> Source | None:
    """Of the table the model was fitted on, if it came from files."""
    return getattr(model, "source_", None)


def _lack(path: str) -> str:
    """What keeps a file from being read from end to end, if anything: a pipe or a device, which a
    model from a stranger may name, has no end, a file of the kernel's no size, and to ask a store
    would tell that the model is used."""
    from tabvae.files.location import is_remote, parts_of
    from tabvae.files.reader import STDIN

    if path == STDIN:
        return "came from standard input"
    if is_remote(path):
        return "is not on this machine"
    try:
        found = [Path(part.path).stat() for part in parts_of(path)]
    except (OSError, ValueError, DataError):
        return "is not here"
    if not all(stat.S_ISREG(each.st_mode) for each in found):
        return "is no regular file"
    return "" if all(each.st_size for each in found) else "is a file of 0 bytes"


def sources_of(model: TabVAE) -> list[str]:
    """The files the model was fitted on, as far as they are still there."""
    source = _source(model)
    return [] if source is None else [path for path in source.paths if not _lack(path)]


def inputs_of(model: TabVAE, data: Sequence[str]) -> list[str]:
    """The files to read: those given, or the table the model was fitted on.

    Raises:
        DataError: none is given and the model knows of none, or it is gone.
    """
    if data:
        return list(data)
    source = _source(model)
    if source is None:
        raise DataError("the model does not know its table", "name the file to read")
    for path in source.paths:
        if lack := _lack(path):
            raise DataError(
                f"the table the model was fitted on, {shown(path)}, {lack}",
                "name the file to read",
            )
    return list(source.paths)


def read_files(paths: Sequence[str], reading: Reading) -> Loaded:
    """Read files of which no model knows anything yet.

    Raises:
        DataError: they cannot be read, or have no rows to learn from.
    """
    from tabvae.files.reader import read_tables
    from tabvae.files.records import Dialect

    loaded = read_tables(paths, reading.dialect(Dialect()), reading.max_memory)
    if loaded.table.num_rows == 0:
        raise DataError(f"{', '.join(map(shown, paths[:3]))} has a header but no rows")
    return loaded


def read_rows(model: TabVAE, data: Sequence[str], reading: Reading, alike: bool = True) -> Loaded:
    """Read rows for a fitted model; what is not given is as it was in ``fit``, and of files that
    are not ``alike`` no more than their encoding."""
    if not data:
        return read_fitted(model, reading)[0]
    from tabvae.files.records import Dialect

    fitted = fitted_dialect(model)
    # Another file may have another delimiter, which its header shows.
    usual = replace(fitted, delimiter=None) if alike else Dialect(encoding=fitted.encoding)
    return _read(model, data, reading, usual)


def is_fitted(model: TabVAE, table: pa.Table) -> bool:
    """The table is the one that the model was fitted on."""
    source = _source(model)
    return source is not None and source.is_of(table)


def read_fitted(model: TabVAE, reading: Reading) -> tuple[Loaded, bool]:
    """Read the table the model was fitted on, from the file that it names, and say so; and whether
    it is as it was then.

    Raises:
        DataError: the model knows of none, or it is gone.
    """
    paths, source = inputs_of(model, ()), _source(model)
    assert source is not None
    listed = ", ".join(shown(path) for path in paths[:3])
    note(f"reading {listed}, which the model names as the table it was fitted on")
    loaded = _read(model, paths, reading, source.dialect)
    same = is_fitted(model, loaded.table)
    if source.fingerprint is not None and not same:
        note("it holds other names, cells or rows than then, or in another order")
    return loaded, same


def _read(model: TabVAE, paths: Sequence[str], reading: Reading, usual: Dialect) -> Loaded:
    from tabvae.files.reader import read_tables

    codec = model.fitted_.codec
    codec.set_params(na_values=reading.na_values(codec.na_values))
    loaded = read_tables(paths, reading.dialect(usual), reading.max_memory)
    if loaded.table.num_rows == 0:
        note(f"{', '.join(map(shown, paths[:3]))} has no rows")
    return loaded


def rows_of(table: pa.Table | None) -> int:
    """How many rows there are."""
    return 0 if table is None else int(table.num_rows)


def same_kind_of_file(model: TabVAE, table: pa.Table, source: str, output: Output) -> pa.Table:
    """``table``, from a file of format ``source``, ready for ``output``: the text of a CSV file
    gets types when it goes to a format that has them."""
    from tabvae.files.formats import format_called

    if format_called(output.format).text or not format_called(source).text:
        return table
    from tabvae.files.exact import typed

    return typed(table, model.fitted_.schema, model.fitted_.codec.na_values)


def keep_columns(table: pa.Table, keep: Sequence[str], result: pa.Table) -> pa.Table:
    """``result`` with columns ``keep`` of ``table`` in front, and its metadata if they are all.

    Raises:
        SchemaError: there is no such column, or the result has one of that name.
    """
    import pyarrow as pa

    for name in keep:
        if name not in table.column_names:
            raise SchemaError(f"no column {shown(name)}", suggestion(name, table.column_names))
        if name in result.column_names:
            raise SchemaError(f"the result has a column {shown(name)} of its own")
    fields = [*(table.schema.field(name) for name in keep), *result.schema]
    metadata = table.schema.metadata if list(keep) == table.column_names else None
    columns = [*table.select(list(keep)).columns, *result.columns]
    return pa.Table.from_arrays(columns, schema=pa.schema(fields, metadata))


def unseen_rows_of(model: TabVAE, table: pa.Table, same: bool) -> Ints | None:
    """The numbers of the rows of ``table`` that no network trained on, where that is known: it is
    the ``same`` as was fitted on."""
    from tabvae.fit import validation_rows

    source, rows = _source(model), model.fitted_.schema.rows
    if source is None or not same or table.num_rows != rows:
        return None
    unseen: Ints = validation_rows(rows, model.seed).numpy()
    return unseen if len(unseen) and source.knows_unseen(unseen) else None


def table_to_compare(model: TabVAE, data: str | None, reading: Reading) -> pa.Table | None:
    """The table of which new rows may hold copies: the one given, or the one the model was fitted
    on, if it can be read and known to be as it was; ``None`` without rows, too.

    Raises:
        DataError: the one given cannot be read.
        SchemaError: it lacks a column of the model.
    """
    if data is not None:
        table = read_rows(model, [data], reading).table
    else:
        found = _fitted_table(model, reading)
        if found is None:
            return None
        table = found
    model.fitted_.schema.require(table.column_names)
    return table if table.num_rows else None


def _fitted_table(model: TabVAE, reading: Reading) -> pa.Table | None:
    """The table the model was fitted on, if it can be read and known to be as it was."""
    source, found = _source(model), sources_of(model)
    if source is None or source.fingerprint is None or len(found) < len(source.paths):
        return None
    try:
        loaded, same = read_fitted(model, reading)
    except DataError as error:
        # Nobody asked for this file: new rows need none.
        note(f"{error}; no copies are looked for")
        return None
    if not same:
        note("no copies of its rows are looked for; --data FILE names a table")
        return None
    return loaded.table


def text_dialect(loaded: Loaded, result: pa.Table | None = None) -> Dialect:
    """The dialect for the output: that of the input, with UTF-8 for one that has types, and with a
    header if the ``result`` has other columns."""
    from tabvae.files.formats import format_called

    same = result is not None and result.column_names == loaded.table.column_names
    usual = (
        loaded.dialect
        if format_called(loaded.format).text
        else replace(loaded.dialect, encoding=None)
    )
    return usual if same else replace(usual, header_rows=1)


def fitted_dialect(model: TabVAE) -> Dialect:
    """The dialect of the table the model was fitted on."""
    from tabvae.files.records import Dialect

    source = _source(model)
    return Dialect() if source is None else source.dialect


def fitted_format(model: TabVAE) -> str:
    """The format of the table the model was fitted on."""
    source = _source(model)
    return "csv" if source is None else source.format

"""A sealed file: arrays and one JSON document, with a checksum over both; nothing executable.

The container is safetensors, whose reader checks sizes and offsets before it allocates. The seal is
the SHA-256 digest of everything the file says, so that damage is told from a stranger's file. It
is no signature: whoever writes a file can seal it.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from tabvae.columns.arrays import Arrays
from tabvae.errors import ModelFileError, lacks_memory, one_line, shown
from tabvae.files.writer import whole_file

DOCUMENT = "tabvae"


def write(path: str, document: dict[str, Any], arrays: Arrays) -> None:
    """Write a sealed file; the same contents give the same bytes.

    Raises:
        OutputError: the file system refuses.
    """
    text = json.dumps(document, sort_keys=True, allow_nan=False).removeprefix("{")
    sealed = f'{{"sha256": "{_digest(text, arrays)}", {text}'
    # safetensors writes memory as it lies.
    arrays = {name: np.asarray(array, order="C") for name, array in arrays.items()}
    # One entry only: several would come in any order.
    content = save_arrays(arrays, {DOCUMENT: sealed})
    with whole_file(path) as file:
        file.write(content)


def read_document(path: str) -> dict[str, Any]:
    """The JSON document alone, not yet checked against the seal.

    Raises:
        ModelFileError: there is no such file, it is of another kind, or the document is no JSON.
    """
    return _parsed(path, _text(path))


def read(path: str) -> tuple[dict[str, Any], Arrays]:
    """Document and arrays, as they were written.

    Raises:
        ModelFileError: as ``read_document``; or something in the file was changed, or is not a
            finite number.
    """
    text = _text(path)
    try:
        arrays = load_arrays(Path(path).read_bytes())
    except OSError as error:
        raise unreadable(path, error) from error
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise damaged(path, "its arrays cannot be read") from error
    sealed = re.fullmatch(r'\{"sha256": "([0-9a-f]{64})", (.*)', text, re.DOTALL)
    if sealed is None or sealed[1] != _digest(sealed[2], arrays):
        raise damaged(path, "its checksum does not match")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise damaged(path, f"{name} holds a number that is not finite")
    return _parsed(path, text), arrays


@contextmanager
def damage_told(path: str) -> Iterator[None]:
    """Whatever goes wrong in this block is because of what the file says: it was written to be read
    by others, and may say anything.

    Raises:
        ModelFileError: something went wrong.
    """
    try:
        yield
    except ModelFileError:
        raise
    except Exception as error:
        if lacks_memory(error):
            raise
        raise damaged(path, one_line(error)) from error


def damaged(path: str, reason: str) -> ModelFileError:
    """The error for a model file that does not hold together."""
    hint = "copy it again from where it came, or fit the model again"
    return ModelFileError(f"{shown(path)} is damaged: {shown(reason)}", hint)


def unreadable(path: str, error: OSError) -> ModelFileError:
    """The error for a model file that the system does not give."""
    return ModelFileError(f"cannot read {shown(path)}: {error.strerror or one_line(error)}")


def _text(path: str) -> str:
    if not Path(path).is_file():
        raise ModelFileError(f"no model file {shown(path)}", "make one with 'tabvae fit'")
    try:
        with safe_open(path, framework="np") as file:
            text: str | None = (file.metadata() or {}).get(DOCUMENT)
    except SafetensorError as error:
        raise _stranger(path) from error
    except OSError as error:
        raise unreadable(path, error) from error
    if text is None:
        raise _stranger(path)
    return text


def _stranger(path: str) -> ModelFileError:
    return ModelFileError(f"{shown(path)} is not a tabvae model", "make one with 'tabvae fit'")


def _parsed(path: str, text: str) -> dict[str, Any]:
    try:
        document = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise damaged(path, "its header is no JSON document") from error
    if not isinstance(document, dict):
        raise damaged(path, "its header is no JSON object")
    document.pop("sha256", None)
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) < len(pairs):
        raise ValueError("a key comes twice")
    return document


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")


def _digest(text: str, arrays: Arrays) -> str:
    """Of the document, and of the name, type, shape and numbers of every array."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"\n{name} {array.dtype} {array.shape}\n".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()

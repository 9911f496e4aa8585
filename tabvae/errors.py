"""What can go wrong, each with a hint that says which step or flag mends it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from difflib import get_close_matches

OUT_OF_MEMORY = ("allocate memory", "failed to map segment", "start new thread", "bad_alloc")


class TabVAEError(Exception):
    """Base of every error this library raises on purpose.

    Attributes:
        message: what is wrong and where, in one line.
        hint: the step or flag that mends it, or an empty string.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(f"{message} ({hint})" if hint else message)
        self.message = message
        self.hint = hint


class DataError(TabVAEError, ValueError):
    """A table cannot be read, or does not hold what the task needs."""


class OutputError(TabVAEError):
    """A result cannot be written where it was asked for."""


class ReaderLeftError(OutputError):
    """Whoever read standard output has what it wants, such as ``| head``: no failure."""


class SchemaError(TabVAEError, ValueError):
    """A column is unknown, missing, or cannot be of the kind asked for."""


class ModelFileError(TabVAEError):
    """A file is not a model, is damaged, or comes from a newer release."""


class ParameterError(TabVAEError, ValueError):
    """A parameter has a value outside its domain."""


class TabVAEWarning(UserWarning):
    """Something the library had to work around."""


def require_one_of(name: str, value: str, known: Collection[str]) -> None:
    """Check a parameter that has a few values.

    Raises:
        ParameterError: ``value`` is none of ``known``.
    """
    if value not in known:
        raise ParameterError(f"{name} must be one of {', '.join(known)}, however: {shown(value)}")


def lacks_memory(error: BaseException) -> bool:
    """Whether the system had no memory, or no thread, to give; libraries have words for it."""
    if isinstance(error, RuntimeError | ImportError | OSError):
        said = str(error)
        return any(words in said for words in OUT_OF_MEMORY)
    return isinstance(error, MemoryError)


def one_line(error: BaseException) -> str:
    """The first line of what ``error`` says."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def shown(text: object, most: int = 80) -> str:
    """Quote ``text`` for a message: one line, control characters escaped, cut to ``most`` of them.

    What is cut is the middle: a path ends with the name of its file.

    >>> shown("a\\nb")
    "'a\\\\nb'"
    """
    plain = str(text)
    if len(plain) > most:
        half = most // 2
        plain = plain[:half] + "…" + plain[1 - half :]
    return f"'{printable(plain)}'"


def printable(text: str) -> str:
    """``text`` with whatever could move a terminal's cursor or change its colours escaped."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def suggestion(name: object, known: Iterable[str], otherwise: str | None = None) -> str:
    """Name the known word that ``name`` may be meant for; when none is near, say ``otherwise``, or
    list the known ones.

    >>> suggestion("agee", ["age", "sex"])
    "did you mean 'age'?"
    """
    name, names = str(name), [str(k) for k in known]
    # To compare two names takes time that grows with the square of their length.
    short = [n for n in names if max(len(n), len(name)) <= 200]
    for near in get_close_matches(name, short, n=1):
        return f"did you mean {shown(near)}?"
    if otherwise is not None:
        return otherwise
    listed = ", ".join(shown(n) for n in names[:10])
    return f"known: {listed}{', …' if len(names) > 10 else ''}"

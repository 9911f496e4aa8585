"""Objects out of JSON, every value of the type its parameter says, no number beyond all size."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import is_dataclass
from enum import Enum
from functools import cache
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_json(kind: type[T], document: Mapping[str, Any], **given: Any) -> T:
    """The object of class ``kind`` whose parameters are ``document``; of a dataclass, its
    ``asdict``.

    Args:
        kind: a class; its parameters may be dataclasses, tuples and lists of them.
        document: a JSON object.
        given: values of parameters that the document lacks, taken as they are.

    Raises:
        ValueError: a parameter is unknown, missing, or of another type; a number is too large or
            not finite; or the class refuses the values.

    **Examples**

    >>> from dataclasses import make_dataclass
    >>> Point = make_dataclass("Point", [("x", float), ("y", float)])
    >>> from_json(Point, {"x": 1, "y": 2.5})
    Point(x=1, y=2.5)
    >>> from_json(Point, {"x": 1, "y": "2.5"})
    Traceback (most recent call last):
    ValueError: y is no float
    """
    if not isinstance(document, Mapping):
        raise ValueError(f"no {kind.__name__}")
    hints = parameters(kind)  # type: ignore[arg-type]  # a class can be hashed
    if unknown := [name for name in document if name not in hints or name in given]:
        raise ValueError(f"{kind.__name__} has no {unknown[0]}")
    values = {name: _value(hints[name], value, name) for name, value in document.items()}
    try:
        return kind(**values, **given)
    except TypeError as error:
        raise ValueError(f"{kind.__name__} is incomplete") from error


@cache
def parameters(kind: type[Any]) -> dict[str, Any]:
    """The type of each parameter of a class."""
    hints = get_type_hints(kind.__init__)
    return {name: hint for name, hint in hints.items() if name != "return"}


def _value(hint: Any, value: Any, name: str) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is UnionType:
        if value is None and type(None) in arguments:
            return None
        return _value(next(a for a in arguments if a is not type(None)), value, name)
    if origin in (tuple, list) and isinstance(value, list | tuple):
        fixed = origin is tuple and arguments[-1] is not Ellipsis
        hints = arguments if fixed else arguments[:1] * len(value)
        if len(hints) != len(value):
            raise ValueError(f"{name} has {len(value)} parts, not {len(hints)}")
        return origin(_value(h, v, name) for h, v in zip(hints, value, strict=True))
    if origin is dict and isinstance(value, dict):
        return value  # whoever takes it checks what is in it
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(value)
    if type(value) is hint or (hint is float and type(value) is int):
        # JSON has numbers of any size, 1e999 is infinite.
        largest = {int: 2**63 - 1, float: sys.float_info.max}.get(type(value))
        if largest is not None and not -largest <= value <= largest:
            raise ValueError(f"{name} is too large")
        return value
    raise ValueError(f"{name} is no {getattr(hint, '__name__', hint)}")

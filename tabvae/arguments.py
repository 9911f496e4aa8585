"""What a caller gives, checked by the types that a signature names."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Hashable, Iterable, Mapping
from functools import cache, wraps
from numbers import Integral, Real
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from tabvae.errors import ParameterError, shown

P = ParamSpec("P")
T = TypeVar("T")
WORDS = tuple[str, ...]
"""Names of columns, or other texts; numbers and rules are taken by their text."""
_READERS: dict[Any, tuple[str, Callable[[Any], bool], Callable[[Any], Any]]] = {
    bool: ("true or false", lambda v: isinstance(v, bool) or _is_numpy_bool(v), bool),
    int: ("a whole number", lambda v: isinstance(v, Integral) and not isinstance(v, bool), int),
    float: ("a number", lambda v: isinstance(v, Real) and not isinstance(v, bool), float),
    str: ("a text", lambda v: isinstance(v, str), str),
    NoneType: ("None", lambda v: v is None, lambda v: None),
    Mapping: ("a mapping", lambda v: isinstance(v, Mapping), lambda v: v),
    WORDS: ("a tuple of texts", lambda v: _are_words(v), lambda v: tuple(str(w) for w in v)),
}
"""By type: what it is called, whether a value is one, and how that is made plain."""


def argument(name: str, hint: Any, value: Any) -> Any:
    """``value`` as one of the types of ``hint``; as it is, if that says more than such types.

    Raises:
        ParameterError: it is of none of them.

    >>> argument("seed", int | None, 3), argument("ignore", tuple[str, ...], ["id", 4])
    (3, ('id', '4'))
    >>> argument("seed", int | None, "three")
    Traceback (most recent call last):
    tabvae.errors.ParameterError: seed must be a whole number or None, however: 'three'
    """
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    kinds = tuple(Mapping if get_origin(kind) is Mapping else kind for kind in kinds)
    if not all(kind in _READERS for kind in kinds):
        return value
    for kind in kinds:
        _, fits, plain = _READERS[kind]
        if fits(value):
            return plain(value)
    what = " or ".join(_READERS[kind][0] for kind in kinds)
    raise ParameterError(f"{name} must be {what}, however: {shown(value)}")


def checked(method: Callable[P, T]) -> Callable[P, T]:
    """A method whose arguments are checked by the types of its signature.

    >>> @checked
    ... def twice(n: int) -> int:
    ...     return 2 * n
    >>> twice("a")
    Traceback (most recent call last):
    tabvae.errors.ParameterError: n must be a whole number, however: 'a'
    """
    signature = inspect.signature(method)

    @wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        bound, hints = signature.bind(*args, **kwargs), _hints(method)
        for name, value in bound.arguments.items():
            bound.arguments[name] = argument(name, hints.get(name), value)
        return method(*bound.args, **bound.kwargs)

    return call


@cache
def _hints(method: Callable[..., Any]) -> dict[str, Any]:
    """Of the arguments; what comes back may be known to readers of types alone."""
    own = {name: hint for name, hint in method.__annotations__.items() if name != "return"}
    return get_type_hints(
        SimpleNamespace(__annotations__=own), vars(sys.modules[method.__module__])
    )


def _is_numpy_bool(value: Any) -> bool:
    return type(value).__module__ == "numpy" and str(getattr(value, "dtype", "")) == "bool"


def _are_words(value: Any) -> bool:
    if isinstance(value, str | Mapping) or not isinstance(value, Iterable):
        return False
    return all(isinstance(word, Hashable) and word is not None for word in value)

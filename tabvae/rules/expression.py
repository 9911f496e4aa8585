"""Arithmetic of columns, as people write it: ``price * quantity * (1 - discount / 100)``, and parts
of dates: ``year(day)``."""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tabvae.errors import ParameterError, shown
from tabvae.values.arrow import Floats

LONGEST = 400
"""Characters of an expression: a model file may ask neither for pages of it nor for depth."""
OPERATORS: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
CALENDAR: dict[str, Callable[[pa.Array], pa.Array]] = {
    "year": pc.year,
    "quarter": pc.quarter,
    "month": pc.month,
    "week": pc.iso_week,
    "day": pc.day,
    "weekday": lambda moments: pc.day_of_week(moments, count_from_zero=False),
    "hour": pc.hour,
    "minute": pc.minute,
}
"""Parts of a moment; weeks are those of ISO 8601, of which Monday is day 1."""


def quoted(name: str) -> str:
    """A column's name as expressions have it: between backticks if it is no plain word.

    >>> quoted("price"), quoted("list price")
    ('price', '`list price`')
    """
    return name if re.fullmatch(r"[^\W\d]\w*", name) else f"`{name}`"


def columns_of(text: str) -> tuple[str, ...]:
    """The columns that an expression names, in order, each once.

    Raises:
        ParameterError: it is no arithmetic of columns and numbers.

    >>> columns_of("price * (1 + `tax rate` / 100) - price")
    ('price', 'tax rate')
    """
    tree, names = _parsed(text)
    functions = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = sorted(
        (n for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in functions),
        key=lambda node: node.col_offset,
    )
    return tuple(dict.fromkeys(names.get(node.id, node.id) for node in found))


def moments_of(text: str) -> frozenset[str]:
    """The columns of which an expression has parts of the date.

    >>> sorted(moments_of("year(`first day`) - age"))
    ['first day']
    """
    tree, names = _parsed(text)
    calls = [node.args[0] for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return frozenset(names.get(arg.id, arg.id) for arg in calls if isinstance(arg, ast.Name))


def evaluate(text: str, values: Mapping[str, Floats]) -> Floats:
    """(N,) an expression of the ``values`` (N,) of its columns; not finite where it has no result.

    >>> evaluate("a / b", {"a": np.array([1.0, 6.0]), "b": np.array([0.0, 4.0])})
    array([inf, 1.5])
    >>> evaluate("year(day)", {"day": np.array([0.0, np.nan, 366.0])})
    array([1970.,   nan, 1971.])
    """
    tree, names = _parsed(text)

    def value(node: ast.expr) -> Any:
        match node:
            case ast.BinOp():
                return OPERATORS[type(node.op)](value(node.left), value(node.right))
            case ast.UnaryOp():
                return -value(node.operand)
            case ast.Name():
                return values[names.get(node.id, node.id)]
            case ast.Constant():
                return node.value
            case ast.Call(ast.Name(part)):
                return _of_calendar(part, value(node.args[0]))
        raise AssertionError

    with np.errstate(all="ignore"):
        result: Floats = np.asarray(value(tree), np.float64)
    return result


def _is_calendar(node: ast.AST) -> bool:
    """A part of the moments of one column."""
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return False
    function, argument = node.func, node.args[0]
    return (
        isinstance(function, ast.Name)
        and function.id in CALENDAR
        and isinstance(argument, ast.Name)
    )


def _of_calendar(part: str, days: Floats) -> Floats:
    """(N,) a part of moments in days; NaN where there is none, or its year has five digits."""
    known = np.abs(days) < 2.9e6
    seconds = np.round(np.where(known, days, 0.0) * 86_400).astype(np.int64)
    moments = pa.array(seconds.view("datetime64[s]"))
    return np.where(known, CALENDAR[part](moments).to_numpy(), np.nan)


def plain_number(value: float) -> str:
    """As short as it can be.

    >>> plain_number(1.2), plain_number(-3.0)
    ('1.2', '-3')
    """
    return re.sub(r"\.0$", "", f"{value:.12g}")


@lru_cache
def _parsed(text: str) -> tuple[ast.expr, dict[str, str]]:
    """The expression as a tree, and the columns that stand behind the names in it."""
    names: dict[str, str] = {}

    def placeholder(found: re.Match[str]) -> str:
        names[f"__{len(names)}"] = found[1]
        return f"__{len(names) - 1}"

    plain = re.sub("`([^`]*)`", placeholder, text)
    wrong = ParameterError(f"no arithmetic of columns: {shown(text)}", "total = price * quantity")
    if len(text) > LONGEST:
        raise wrong
    try:
        tree = ast.parse(plain.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise wrong from error
    for node in ast.walk(tree):
        number = isinstance(node, ast.Constant) and type(node.value) in (int, float)
        minus = isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub)
        known = isinstance(node, ast.BinOp) and type(node.op) in OPERATORS
        part = isinstance(node, ast.operator | ast.USub | ast.expr_context | ast.Name)
        if not (number or minus or known or part or _is_calendar(node)):
            raise wrong
    return tree, names

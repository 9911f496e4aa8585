"""Any rule: made again from a document, or from how people write it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from tabvae.errors import ParameterError, shown
from tabvae.rules.arithmetic import Formula, Order
from tabvae.rules.cells import Cells
from tabvae.rules.decisions import Dependency, Presence, Ranges
from tabvae.rules.expression import columns_of, quoted

AnyRule = Formula | Order | Dependency | Ranges | Presence
KINDS: Mapping[str, type[AnyRule]] = {
    "formula": Formula,
    "order": Order,
    "dependency": Dependency,
    "ranges": Ranges,
    "presence": Presence,
}


def rule_from_document(document: Mapping[str, Any]) -> AnyRule:
    """Made again from what ``document`` gave.

    Raises:
        ValueError, KeyError, TypeError: it is of no rule.
    """
    values = {name: _tuples(value) for name, value in document.items() if name != "kind"}
    single = ("share", "tolerance", "step")
    numbers = [values[name] for name in single if name in values]
    numbers += values.get("edges", ())
    texts = [value for name, value in values.items() if name not in (*single, "edges")]
    if not all(type(text) is str for text in _leaves(texts)):
        raise ValueError("values that are no texts")
    if not all(type(number) in (int, float) and number == number for number in numbers):
        raise ValueError("values that are no numbers")
    return KINDS[document["kind"]](**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _leaves(values: Iterable[Any]) -> Iterable[Any]:
    for value in values:
        if isinstance(value, tuple):
            yield from _leaves(value)
        else:
            yield value


def covers(cells: Cells, rule: AnyRule) -> bool:
    """All columns of ``rule`` are there, as what it looks at."""
    return not lacking(cells, rule)


def lacking(cells: Cells, rule: AnyRule) -> list[str]:
    """The columns of ``rule`` of which ``cells`` lack what it looks at: numbers, or texts, or of a
    condition on gaps either."""
    either = rule.column if isinstance(rule, Presence) else None

    def known(name: str) -> bool:
        if name in rule.numeric:
            return name in cells.numbers
        return name in cells.texts or (name == either and name in cells.numbers)

    return [name for name in rule.columns if not known(name)]


def with_share(rule: AnyRule, cells: Cells) -> AnyRule:
    """``rule`` with the share of the rows of which it says something that keep it."""
    known = rule.known(cells)
    share = float(rule.kept(cells)[known].mean()) if known.any() else 1.0
    return replace(rule, share=share)


def parse_rule(text: str) -> AnyRule:
    """A rule as people write it: ``a = b * c``, ``a + b <= c``, ``city, street -> code``, ``reason
    only if refused = yes``.

    Raises:
        ParameterError: it is none.

    >>> parse_rule("begin<=end"), parse_rule("city -> `home country`").dependent
    (Order(low='begin', high='end', share=1.0), 'home country')
    """
    conditional = re.fullmatch(r"\s*(.+?)\s+only if\s+(.+?)\s*(?:=|\bin\b)\s*(.+?)\s*", text)
    if conditional:
        column, condition, values = conditional.groups()
        listed = values[1:-1].split(",") if re.fullmatch(r"\(.*\)", values) else [values]
        return Presence(_one(column, text), _one(condition, text), tuple(map(str.strip, listed)))
    for sign in ("->", "<=", "="):
        left, found, right = text.partition(sign)
        if not found:
            continue
        if sign == "->":
            # What stands behind in brackets tells ranges, which the table has anew.
            right = re.sub(r"\s\([^`]*\)\s*$", "", right)
            names = re.findall(r"[^,`]*`[^`]*`[^,`]*|[^,`]+", left)
            return Dependency(tuple(_one(name, text) for name in names), _one(right, text))
        if sign == "<=":
            return Order(left.strip(), quoted(_one(right, text)))
        return Formula(_one(left, text), right.strip())
    raise _no_rule(text)


def _one(name: str, text: str) -> str:
    """The column of which ``name`` is all."""
    found = columns_of(name)
    if len(found) != 1 or name.strip() not in (found[0], quoted(found[0]), f"`{found[0]}`"):
        raise _no_rule(text)
    return found[0]


def _no_rule(text: str) -> ParameterError:
    return ParameterError(
        f"no rule: {shown(text)}",
        "'total = price * quantity', 'begin <= end', 'city -> country' or 'reason only if refused "
        "= yes'",
    )

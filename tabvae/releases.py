"""Model files of earlier formats, brought to the newest one step by step before they are read."""

from __future__ import annotations

from dataclasses import asdict
from itertools import takewhile

from tabvae.columns.arrays import Document
from tabvae.rules.expression import quoted
from tabvae.values.notation import PLAIN

FORMAT = 15
"""Of the files that this release writes."""
OLDEST = 11
"""That were released; earlier ones are refused."""


def upgraded(document: Document) -> Document:
    """A document of a format from ``OLDEST`` on, as ``FORMAT`` has it.

    >>> upgraded({"format": FORMAT})["format"] == FORMAT
    True
    """
    for step in _STEPS[document["format"] - OLDEST :]:
        document = step(document)
    return document


def _from_11(document: Document) -> Document:
    schema, source = document["schema"], document["source"]
    columns = [_column_from_11(column) for column in schema["columns"]]
    if source is not None:
        source = {**source, "fingerprint": None, "unseen": None}
    return {
        **document,
        "format": 12,
        "parameters": {**document["parameters"], "memorise": True},
        "source": source,
        "schema": {**schema, "columns": columns},
        "leakage": None,
    }


def _column_from_11(column: Document) -> Document:
    """Identifiers counted on from one that ends in a number.

    Of that number, 18 digits count, which 64 bits hold; those in front of them stay.
    """
    most_digits, longest_step = 18, 10**15
    others = {name: value for name, value in column.items() if name != "fresh_identifier"}
    pattern = None
    if column["kind"] == "identifier":
        last = column["fresh_identifier"] or "new-1"
        number = "".join(takewhile(str.isdecimal, last[: -most_digits - 1 : -1]))[::-1]
        head = last.removesuffix(number)
        first = f"{head}{int(number):0{len(number)}d}" if number else head
        step = min(column["numbers"]["step"], longest_step) if column["numbers"] else 1
        places = list(range(len(head), len(first)))
        pattern = {"first": first, "places": places, "step": max(round(step), 1), "longer": 1}
    return {**others, "rival_format": None, "pattern": pattern}


def _from_12(document: Document) -> Document:
    schema = document["schema"]
    columns = [_column_from_12(column) for column in schema["columns"]]
    schema = {**schema, "columns": columns}
    return {**document, "format": 13, "density": None, "schema": schema}


def _column_from_12(column: Document) -> Document:
    """Numbers were plain ones."""
    numbers = column["numbers"]
    if numbers is not None:
        numbers = {**numbers, "notation": asdict(PLAIN)}
    return {**column, "numbers": numbers, "doubt": None, "missing_texts": []}


def _from_13(document: Document) -> Document:
    """Text tables had one line of names, and quotes as RFC 4180 has them; no rules were looked
    for."""
    return {
        **document,
        "format": 14,
        "parameters": {**document["parameters"], "rules": [], "find_rules": True},
        "schema": {**document["schema"], "rules": []},
    }


def _from_14(document: Document) -> Document:
    """Rules were equations, orders of two columns and dependencies of one. Separators of numbers
    were always found. Neither was a frame remembered nor anything promised of single rows."""
    schema = document["schema"]
    changed = {
        "columns": [_column_from_14(column) for column in schema["columns"]],
        "rules": [_rule_from_14(rule) for rule in schema["rules"]],
    }
    asked = dict.fromkeys(("rules_at_least", "epsilon", "delta", "unit", "public"))
    parameters = {**document["parameters"], **asked, "decimal": [], "thousands": []}
    return {
        **document,
        "format": 15,
        "parameters": parameters,
        "schema": {**schema, **changed},
        "frame": None,
        "privacy": None,
    }


def _rule_from_14(rule: Document) -> Document:
    """How many rows kept a rule was not told."""
    if rule["kind"] == "order":
        rule = {**rule, "low": quoted(rule["low"]), "high": quoted(rule["high"])}
    if rule["kind"] == "dependency":
        rule = {
            "kind": "dependency",
            "determinants": [rule["determinant"]],
            "dependent": rule["dependent"],
            "values": [[left] for left, _ in rule["pairs"]],
            "decided": [right for _, right in rule["pairs"]],
        }
    return {**rule, "share": 1.0}


def _column_from_14(column: Document) -> Document:
    """Numbers had neither exponents of one form nor digits but ASCII's; dictionaries and categories
    had no order."""
    numbers = column["numbers"]
    if numbers is not None:
        notation = {**asdict(PLAIN), **numbers["notation"]}
        numbers = {**numbers, "notation": notation, "scientific": ""}
    return {**column, "numbers": numbers, "levels": [], "order": []}


_STEPS = (_from_11, _from_12, _from_13, _from_14)

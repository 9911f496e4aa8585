"""Model files of earlier formats, brought to the newest one step by step before they are read."""

from __future__ import annotations

from typing import Any

FORMAT = 12
"""Of the files that this release writes."""
OLDEST = 11
"""That were released; earlier ones are refused."""
Document = dict[str, Any]


def upgraded(document: Document) -> Document:
    """A document of a format from ``OLDEST`` on, as ``FORMAT`` has it.

    >>> upgraded({"format": FORMAT})["format"] == FORMAT
    True
    """
    for step in _STEPS[document["format"] - OLDEST :]:
        document = step(document)
    return document


def _from_11(document: Document) -> Document:
    schema = document["schema"]
    columns = [{**column, "rival_format": None} for column in schema["columns"]]
    return {
        **document,
        "format": 12,
        "parameters": {**document["parameters"], "memorise": True},
        "schema": {**schema, "columns": columns},
        "leakage": None,
    }


_STEPS = (_from_11,)

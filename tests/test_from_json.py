"""Objects out of JSON: what ``asdict`` gives comes back, all else is refused."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae.columns.from_json import from_json, parameters


class Unit(StrEnum):
    METRE = "m"
    GRAM = "g"


@dataclass(frozen=True)
class Scale:
    step: float
    decimals: int | None = None


@dataclass(frozen=True)
class Axis:
    name: str
    unit: Unit
    scales: tuple[Scale, ...] = ()
    ends: tuple[float, float] = (0.0, 1.0)
    labels: list[str] | None = None
    shown: bool = True

    def __post_init__(self) -> None:
        if self.ends[0] > self.ends[1]:
            raise ValueError("its ends are turned")


FINITE = st.floats(allow_nan=False, allow_infinity=False)
SCALES = st.builds(Scale, FINITE, st.none() | st.integers(-(2**63) + 1, 2**63 - 1))
AXES = st.builds(
    Axis,
    name=st.text(),
    unit=st.sampled_from(Unit),
    scales=st.lists(SCALES, max_size=3).map(tuple),
    ends=st.tuples(FINITE, FINITE).map(lambda ends: (min(ends), max(ends))),
    labels=st.none() | st.lists(st.text(), max_size=3),
    shown=st.booleans(),
)
PLAIN = {"name": "x", "unit": "m"}


@given(AXES)
def test_a_dataclass_comes_back_from_its_json(axis: Axis) -> None:
    assert from_json(Axis, json.loads(json.dumps(asdict(axis)))) == axis


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([1], "no Axis"),
        ({"unit": "m"}, "Axis is incomplete"),
        ({**PLAIN, "colour": "red"}, "Axis has no colour"),
        ({**PLAIN, "name": None}, "name is no str"),
        ({**PLAIN, "unit": "inch"}, "'inch' is not a valid Unit"),
        ({**PLAIN, "shown": 1}, "shown is no bool"),
        ({**PLAIN, "ends": [0.0]}, "ends has 1 parts, not 2"),
        ({**PLAIN, "ends": [0.0, "1"]}, "ends is no float"),
        ({**PLAIN, "ends": [0.0, True]}, "ends is no float"),
        ({**PLAIN, "ends": [0.0, float("inf")]}, "ends is too large"),
        ({**PLAIN, "ends": [0.0, float("nan")]}, "ends is too large"),
        ({**PLAIN, "ends": [2.0, 1.0]}, "its ends are turned"),
        ({**PLAIN, "scales": {"step": 1.0}}, "scales is no"),
        ({**PLAIN, "scales": [{"step": 1.0, "decimals": 2**63}]}, "decimals is too large"),
        ({**PLAIN, "scales": [{"step": 1.0, "decimals": 1.0}]}, "decimals is no int"),
        ({**PLAIN, "scales": [None]}, "no Scale"),
        ({**PLAIN, "labels": "abc"}, "labels is no"),
    ],
)
def test_what_a_class_does_not_say_is_refused(document: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        from_json(Axis, document)


def test_a_whole_number_is_a_float_where_one_is_asked_for() -> None:
    assert from_json(Scale, {"step": 2}).step == 2.0


def test_what_is_given_is_taken_as_it_is_and_not_from_the_document() -> None:
    scales = (Scale(1.0),)
    assert from_json(Axis, PLAIN, scales=scales).scales is scales
    with pytest.raises(ValueError, match="Axis has no scales"):
        from_json(Axis, {**PLAIN, "scales": []}, scales=scales)


def test_parameters_are_those_of_the_constructor() -> None:
    assert list(parameters(Scale)) == ["step", "decimals"]

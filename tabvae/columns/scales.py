"""Words that have an order: low, medium, high."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class ScaleConfig:
    """Which words have an order.

    Attributes:
        fewest: words of a column, all of one scale: the order of two says nothing.
        scales: known ones, from the lowest on, words of one place with a stroke between. Letters
            alone are none but for sizes: A, B and C are mostly names of groups.
    """

    fewest: int = 3
    scales: tuple[str, ...] = (
        "lowest, very low, low, medium/med/mid/middle/moderate/normal/average, high, very high,"
        "highest/critical",
        "xxxs, xxs, xs, s, m, l, xl, xxl/2xl, xxxl/3xl, xxxxl/4xl, 5xl",
        "tiny/extra small, very small, small, medium, large/big, very large, extra large/huge",
        "jan, feb, mar, apr, may, jun, jul, aug, sep/sept, oct, nov, dec",
        "january, february, march, april, may, june, july, august, september, october, november,"
        "december",
        "januar/jänner, februar, märz, april, mai, juni, juli, august, september, oktober,"
        "november, dezember",
        "mon, tue/tues, wed, thu/thur/thurs, fri, sat, sun",
        "monday, tuesday, wednesday, thursday, friday, saturday, sunday",
        "montag, dienstag, mittwoch, donnerstag, freitag, samstag/sonnabend, sonntag",
        "strongly disagree, disagree, somewhat disagree/slightly disagree, neutral/undecided/"
        "neither agree nor disagree, somewhat agree/slightly agree, agree, strongly agree",
        "very dissatisfied, dissatisfied, neutral, satisfied, very satisfied",
        "very unlikely, unlikely, neutral/possible, likely, very likely",
        "never/no, rarely/seldom, sometimes/occasionally, often/frequently, usually, always",
        "terrible/very poor/very bad, poor/bad, fair/ok/okay/average, good, very good, excellent",
        "none/no, mild/slight/minor, moderate, severe/major, very severe/critical",
        "trivial, minor, major, critical, blocker",
        "debug, info, notice, warning/warn, error, critical/fatal",
        "beginner, elementary, intermediate, advanced, expert",
        "intern/trainee, junior, mid/intermediate, senior, lead/principal",
        "bronze, silver, gold, platinum, diamond",
        "freezing, cold, cool, mild, warm, hot",
        "1st/first, 2nd/second, 3rd/third, 4th/fourth, 5th/fifth, 6th/sixth, 7th/seventh,"
        "8th/eighth, 9th/ninth, 10th/tenth",
        "f, e, d-, d, d+, c-, c, c+, b-, b, b+, a-, a, a+",
        "no school, primary/primary school/elementary school, some high school, high school/"
        "secondary/secondary school, some college, associate/associates degree, bachelor/bachelors/"
        "bachelors degree, master/masters/masters degree, doctorate/doctoral degree/phd",
        "sehr niedrig, niedrig, mittel, hoch, sehr hoch",
        "sehr klein, klein, mittel, groß/gross, sehr groß",
        "nie, selten, manchmal, oft/häufig, immer",
        "sehr schlecht, schlecht, mittel/befriedigend, gut, sehr gut",
        "muy bajo, bajo, medio, alto, muy alto",
        "très faible, faible, moyen, élevé, très élevé",
    )


def order_of(words: Collection[str], config: ScaleConfig = ScaleConfig()) -> tuple[str, ...]:
    """The words from the lowest on, if all are of one scale, each of another place; else none.

    >>> order_of(["High", "low", "Medium"])
    ('low', 'Medium', 'High')
    >>> order_of(["A", "B", "C"]), order_of(["red", "low", "high"])
    ((), ())
    """
    plain = {word: _plain(word) for word in words}
    sizes = {"s", "m", "l"} & set(plain.values())
    letters = all(len(word) == 1 for word in plain.values()) and not sizes
    if len(plain) < config.fewest or letters:
        return ()
    for scale in config.scales:
        places = {
            _plain(word): place
            for place, level in enumerate(scale.split(","))
            for word in level.split("/")
        }
        ranks = {word: places.get(plain[word]) for word in words}
        if None not in ranks.values() and len(set(ranks.values())) == len(ranks):
            return tuple(sorted(words, key=lambda word: places[plain[word]]))
    return ()


def _plain(word: str) -> str:
    """In small letters, without apostrophes and points, words with a blank between."""
    small = re.sub(r"['’.]", "", word.strip().casefold())
    return re.sub(r"(?<=\w)[\s_\-]+(?=\w)", " ", small)

"""Words for true and false, in several spellings."""

from __future__ import annotations

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

PAIRS = (
    ("true", "false"),
    ("yes", "no"),
    ("1", "0"),
    ("1.0", "0.0"),
    ("on", "off"),
    ("t", "f"),
    ("y", "n"),
)
"""In small letters."""
CERTAIN = frozenset(word for pair in PAIRS[:4] for word in pair)
"""Words that mean the same wherever they stand; ``t`` may be anything beside ``y`` and ``n``."""


def are_booleans(words: Collection[str]) -> bool:
    """Whether ``words``, in small letters, are a pair; or a pair and other spellings of it.

    >>> are_booleans({"yes", "no"}), are_booleans({"true", "false", "1"})
    (True, True)
    >>> are_booleans({"yes"}), are_booleans({"y", "n", "t"}), are_booleans({"yes", "no", "3"})
    (False, False, False)
    """
    found = set(words)
    whole = {word for pair in PAIRS if found.issuperset(pair) for word in pair}
    return bool(whole) and found - whole <= CERTAIN


def truth(texts: pa.Array) -> pa.Array:
    """(N,) whether each text means true; null for one that means neither.

    >>> truth(pa.array(["True", " no", "3"])).to_pylist()
    [True, False, None]
    """
    words = pc.utf8_lower(pc.utf8_trim_whitespace(texts))
    value_sets = (pa.array([pair[side] for pair in PAIRS], words.type) for side in (0, 1))
    is_true, is_false = (pc.is_in(words, value_set=each) for each in value_sets)
    return pc.if_else(is_true, True, pc.if_else(is_false, False, pa.scalar(None, pa.bool_())))


def spelled(texts: pa.Array, spellings: Collection[str]) -> pa.Array:
    """``texts``, where one is no spelling but means the same, as that spelling.

    >>> spelled(pa.array(["True", "1", "maybe"]), ["False", "True"]).to_pylist()
    ['True', 'True', 'maybe']
    """
    meant = truth(pa.array(list(spellings), texts.type)).to_pylist()
    if sorted(meant, key=str) != [False, True]:
        return texts
    true, false = (pa.scalar(list(spellings)[meant.index(side)], texts.type) for side in (1, 0))
    known = pc.is_in(texts, value_set=pa.array(list(spellings), texts.type))
    other = pc.if_else(truth(texts), true, false)
    return pc.if_else(known, texts, pc.coalesce(other, texts))


def in_one_spelling(texts: pa.Array) -> pa.Array:
    """``texts`` with either truth in its most frequent spelling.

    >>> in_one_spelling(pa.array(["True", "true", "true", "1", "no"])).to_pylist()
    ['true', 'true', 'true', 'true', 'no']
    """
    counted = pc.value_counts(texts.drop_null()).to_pylist()
    counted.sort(key=lambda pair: (-pair["counts"], pair["values"]))
    words = [pair["values"] for pair in counted]
    meant = truth(pa.array(words, texts.type)).to_pylist()
    main = [words[meant.index(side)] for side in (True, False) if side in meant]
    return spelled(texts, main)

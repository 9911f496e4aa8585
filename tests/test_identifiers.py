"""Fresh identifiers: unique, of the form of the table's, and nobody's."""

from __future__ import annotations

import json
import re
import string
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.schema import TableLimits
from tabvae.files import container
from tabvae.releases import upgraded
from tabvae.values.identifiers import IdentifierPattern, fresh_identifiers
from tabvae.values.patterns import PatternConfig, identifier_pattern

from .helpers import assert_one_line_error, tabvae

pytestmark = pytest.mark.usefixtures("quick")

GOLDEN = Path(__file__).parent / "golden"
Draw = Callable[[Random], str]


def word(random: Random, fewest: int = 3, most: int = 9) -> str:
    return "".join(random.choices(string.ascii_lowercase, k=random.randint(fewest, most)))


def digits(random: Random, count: int) -> str:
    return str(random.randrange(10 ** (count - 1), 10**count))


KINDS: dict[str, Draw] = {
    "customer number": lambda r: digits(r, 8),
    "long number": lambda r: digits(r, 30),
    "letters, point, letters, year": lambda r: f"{word(r, 3, 3)}.{word(r, 4, 4)}{digits(r, 4)}",
    "user name": lambda r: word(r) + digits(r, 2),
    "capitals": lambda r: word(r).title() + word(r).title(),
    "surname": lambda r: word(r, 5, 9),
    "address of many domains": lambda r: f"{word(r)}.{word(r)}@{word(r)}.org",
    "address of one domain": lambda r: f"{word(r)}{digits(r, 2)}@firm.example",
    "customer's address": lambda r: f"kunde{digits(r, 4)}@post.example",
    "handle": lambda r: f"@{word(r, 5, 9)}",
    "telephone": lambda r: f"+49-{digits(r, 3)}-{digits(r, 7)}",
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)),
    "hexadecimal": lambda r: f"{r.getrandbits(64):016x}",
    "iban": lambda r: f"DE{digits(r, 20)}",
    "iban of many countries": lambda r: word(r, 2, 2).upper() + digits(r, 20),
    "booking": lambda r: "".join(r.choices(string.ascii_uppercase + string.digits, k=6)),
    "plate": lambda r: f"{word(r, 2, 2).upper()}-{digits(r, 4)}-{word(r, 2, 2).upper()}",
    "base64": lambda r: "".join(r.choices(string.ascii_letters + string.digits, k=22)) + "==",
    "other alphabet": lambda r: "".join(r.choices("王小明李张刘陈杨αβγδ", k=4)) + digits(r, 4),
    "sentence of one word": lambda r: "_".join(word(r) for _ in range(3)),
}
tables = st.tuples(st.sampled_from(sorted(KINDS)), st.integers(20, 150), st.integers(0, 999))


def identifiers(kind: str, rows: int, seed: int) -> list[str]:
    random = Random(seed)
    return list(dict.fromkeys(KINDS[kind](random) for _ in range(rows)))


def fresh(texts: list[str], rows: int) -> list[str]:
    found: list[str] = fresh_identifiers(identifier_pattern(texts), rows).to_pylist()
    return found


def words(text: str) -> list[str]:
    return [w for w in re.findall(r"[^\W\d_]+", text) if len(w) > 2]


@given(tables)
def test_fresh_identifiers_are_unique_and_none_of_the_table(table: tuple[str, int, int]) -> None:
    texts = identifiers(*table)
    made = fresh(texts, 3000)
    assert len(set(made)) == len(made)
    assert not set(made) & set(texts)


@given(tables)
def test_no_word_is_taken_from_a_few_rows(table: tuple[str, int, int]) -> None:
    texts = identifiers(*table)
    sharing = Counter(w for text in texts for w in set(words(text)))
    made = {w for text in fresh(texts, 200) for w in words(text)}
    assert all(
        sharing[w] == 0 or sharing[w] >= PatternConfig.fewest_sharing
        for w in made - {"com", "example"}
    )


def classes(text: str) -> str:
    """Lengths, separators, letters and digits; of an address, what stands before its domain."""
    text = re.sub(r"[^\W\d_]", lambda c: "A" if c[0].isupper() else "a", text)
    return re.sub(r"(?<=.)@.*", "", re.sub(r"\d", "0", text))


@given(tables)
def test_the_form_is_one_of_the_table(table: tuple[str, int, int]) -> None:
    texts = identifiers(*table)
    made = classes(identifier_pattern(texts).first)
    same = [form for text in texts if len(form := classes(text)) == len(made)]
    # Each place holds what some identifier of that length has there.
    assert all(c in {form[place] for form in same} for place, c in enumerate(made))


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_ten_fresh_identifiers_have_the_length_of_the_first(kind: str) -> None:
    made = fresh(identifiers(kind, 100, 0), 10)
    assert len({len(text) for text in made}) == 1


@pytest.mark.parametrize(
    ("texts", "next_ones"),
    [
        ([f"c-{i:04d}" for i in range(99)], ["c-0099", "c-0100"]),
        ([str(i) for i in range(1, 100)], ["100", "101"]),
        ([f"{i}/2024" for i in range(1, 100) if i % 3], ["99/2024", "100/2024"]),
        ([f"k{i}" for i in range(0, 1000, 10)], ["k1000", "k1010"]),
        (
            [f"{w}@post.example" for w in map(str, range(50))],
            ["50@post.example", "51@post.example"],
        ),
    ],
)
def test_running_numbers_count_on(texts: list[str], next_ones: list[str]) -> None:
    assert fresh(texts, 2) == next_ones


def test_numbers_with_wide_gaps_do_not_tell_the_largest() -> None:
    texts = identifiers("customer number", 100, 0)
    others = [*sorted(texts)[:-1], "99999998"]
    assert identifier_pattern(texts) == identifier_pattern(others)


@pytest.mark.parametrize(
    "texts",
    [
        list(string.ascii_lowercase),
        [a + b for a in string.ascii_lowercase for b in string.ascii_lowercase],
        [f"{a}{n}" for a in string.ascii_lowercase for n in range(10)],
        [str(n) for n in range(-50, 50)],
        [f"{n:02d}" for n in range(100)] + ["5000"],
        ["-" * n for n in range(1, 30)],
        [*string.digits, *string.ascii_letters, *(f"{n}{n}" for n in range(10, 99))],
    ],
)
def test_a_form_that_is_full_grows(texts: list[str]) -> None:
    made = fresh(texts, 2000)
    assert len(set(made)) == 2000
    assert not set(made) & set(texts)


def test_what_many_share_is_kept() -> None:
    random = Random(0)
    texts = [f"staff_{word(random)}{digits(random, 3)}@firm.example" for _ in range(300)]
    assert re.fullmatch(r"staff_[a-z]+\d{3}@firm\.example", fresh(texts, 1)[0])
    few = identifier_pattern(
        identifiers("customer's address", 60, 0), PatternConfig(fewest_sharing=61)
    ).first
    assert re.fullmatch(r"kunde\d{4}@example\.com", few)


@given(st.lists(st.text(min_size=1), min_size=20, max_size=40, unique=True))
def test_any_texts_have_fresh_identifiers(texts: list[str]) -> None:
    made = fresh(texts, 300)
    assert len(set(made)) == 300
    assert not set(made) & set(texts)


@pytest.mark.parametrize(
    "last", ["1" * 2_000_000 + "x", "a1" * 1_000_000, "1" * 2_000_000, "é" * 10**6]
)
def test_identifiers_of_millions_of_characters_are_no_work(last: str) -> None:
    # In time that grows with the square of the length, each would take hours.
    texts = [f"w{i}" for i in range(19)] + [last]
    assert last not in fresh(texts, 300)
    assert len(fresh([text + last for text in texts[:3]], 1)[0]) > len(last)


@pytest.mark.parametrize(
    "signs", ["0123456789", string.ascii_lowercase, "0123456789abcdef", "ab1-"]
)
def test_long_identifiers_of_one_form_are_no_work(signs: str) -> None:
    drawn = np.random.default_rng(0).choice(np.array(list(signs)), (20, 100_000))
    texts = ["".join(row) for row in drawn]
    made = fresh(texts, 20)
    assert len(set(made)) == 20
    assert not set(made) & set(texts)


@pytest.mark.parametrize(
    "pattern",
    [
        {"first": "c-1", "places": [3]},
        {"first": "c-1", "places": [1]},
        {"first": "c-12", "places": [3, 2]},
        {"first": "é", "places": [0]},
        {"first": "1" * 30, "places": list(range(30))},
        {"first": "1", "places": [0], "step": 0},
        {"first": "1", "places": [0], "longer": 10**12},
    ],
)
def test_a_pattern_that_cannot_count_is_refused(pattern: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"identifier|cannot count"):
        IdentifierPattern(**pattern)  # type: ignore[arg-type]


# Model files


def golden() -> dict[str, object]:
    return container.read(str(GOLDEN / "vae-11.tabvae"))[0]


@pytest.mark.parametrize(
    ("last", "step", "made"),
    [
        ("c-0099", None, ["c-0099", "c-0100"]),
        ("98", 5.0, ["98", "103"]),
        (" 9", 1.0, [" 9", " 10"]),
        ("new-001", None, ["new-001", "new-002"]),
        (None, None, ["new-1", "new-2"]),
        ("٣", None, ["3", "4"]),
    ],
)
def test_identifiers_of_format_11_count_on_as_they_did(
    last: str | None, step: float | None, made: list[str]
) -> None:
    document = golden()
    column = document["schema"]["columns"][0]  # type: ignore[index]
    column["fresh_identifier"] = last
    column["numbers"] = None if step is None else {"step": step}
    pattern = upgraded(document)["schema"]["columns"][0]["pattern"]
    pattern = IdentifierPattern(**{**pattern, "places": tuple(pattern["places"])})
    assert fresh_identifiers(pattern, 2).to_pylist() == made


@pytest.mark.parametrize("length", [3000, 300_000])
@pytest.mark.parametrize("text", ["1", "1" * 9 + "x", "1x"])
def test_a_strangers_identifier_of_any_length_is_handled(
    tmp_path: Path, text: str, length: int
) -> None:
    document, arrays = container.read(str(GOLDEN / "vae-11.tabvae"))
    document["schema"]["columns"][0]["fresh_identifier"] = (text * length)[:length]
    container.write(str(tmp_path / "a.tabvae"), document, arrays)
    made = tabvae(tmp_path, "generate", "-n", "5")
    if length > TableLimits.longest_identifier:
        assert_one_line_error(made, 1, "is damaged", "an identifier of")
    else:
        assert made.code == 0, made.err
        assert made.frame()["id"].is_unique


@pytest.mark.parametrize("pattern", [{}, {"places": [9]}, {"longer": 10**12}, {"first": 5}])
def test_a_strangers_pattern_that_is_none_is_refused(
    tmp_path: Path, pattern: dict[str, object]
) -> None:
    document, arrays = container.read(str(GOLDEN / "vae-11.tabvae"))
    document = upgraded(document)
    column = document["schema"]["columns"][0]
    column["pattern"] = {**column["pattern"], **pattern} if pattern else {"first": "a"}
    container.write(str(tmp_path / "a.tabvae"), document, arrays)
    assert_one_line_error(tabvae(tmp_path, "generate", "-n", "5"), 1, "is damaged")


@pytest.fixture(scope="module")
def people() -> pd.DataFrame:
    """A table with identifiers of every kind, and something to learn."""
    rng = np.random.default_rng(0)
    columns = {f"{kind} id": identifiers(kind, 80, 7) for kind in KINDS}
    size = rng.normal(size=80).round(1)
    return pd.DataFrame({**columns, "size": size, "group": np.where(size > 0, "high", "low")})


def test_a_model_file_and_its_rows_hold_no_identifier_and_no_word_of_one(
    people: pd.DataFrame, tmp_path: Path
) -> None:
    model = TabVAE(effort="fast").fit(people)
    kinds = model.fitted_.schema
    names = [column.name for column in kinds.columns if column.kind == "identifier"]
    assert len(names) == len(KINDS)
    model.save(str(tmp_path / "a.tabvae"))
    document = container.read_document(str(tmp_path / "a.tabvae"))
    text = json.dumps(document, ensure_ascii=False)
    made = model.generate(100)
    for name in names:
        texts = list(people[name])
        sharing = Counter(w for one in texts for w in set(words(one)) if len(w) > 4)
        assert not [one for one in texts if one in text]
        assert not [w for w in sharing if w in text and sharing[w] < PatternConfig.fewest_sharing]
        assert made[name].is_unique
        assert not made[name].isin(people[name]).any()


def test_identifiers_keep_their_type(people: pd.DataFrame) -> None:
    frame = people[["size", "group"]].assign(
        id=people["customer number id"].astype("int32"), row_id=np.arange(80, dtype="uint8") + 100
    )
    model = TabVAE(effort="fast").fit(frame)
    made = model.generate(50)
    assert made["id"].dtype == "int32"
    assert not made["id"].isin(frame["id"]).any()
    assert list(made["row_id"][:2]) == [180, 181]
    with pytest.raises(ValueError, match="'row_id' of type uint8 has no room for 90"):
        model.generate(90)

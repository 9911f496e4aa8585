"""Numbers as people write them: found, read, and written back the same way."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.infer import infer_schema
from tabvae.columns.schema import ColumnKind
from tabvae.errors import TabVAEWarning
from tabvae.values import arrow
from tabvae.values.notation import _SEPARATORS, MINUS, PLAIN, Notation, find_notation

from .helpers import assert_one_line_error, tabvae

NOTATIONS = st.builds(
    lambda affix, separators, signs, **others: Notation(*affix, *separators, **signs, **others),
    st.sampled_from(
        [("", ""), ("$", ""), ("US$", ""), ("€ ", ""), ("CHF ", ""), ("", "%"), ("", " €"),
         ("", "\u00a0kg"), ("", "cm"), ("", " years"), ("", " °C")]
    ),
    st.sampled_from(_SEPARATORS),
    st.just({"minus": "("})
    | st.fixed_dictionaries(
        {
            "minus": st.sampled_from(["-", MINUS]),
            "sign": st.sampled_from(["front", "within", "behind"]),
            "plus": st.booleans(),
        }
    ),
    group=st.sampled_from([2, 3]),
    digits=st.sampled_from(["0", "٠", "०", "\uff10"]),
)  # fmt: skip
NUMBERS = st.lists(
    st.decimals(-(10**9), 10**9, places=2, allow_nan=False), min_size=20, max_size=40, unique=True
)


@given(NOTATIONS, NUMBERS)
def test_what_is_written_in_a_notation_is_read_in_it(
    notation: Notation, numbers: list[object]
) -> None:
    plain = [str(number) for number in numbers]
    written = pa.array([notation.write(text) for text in plain])
    np.testing.assert_array_equal(
        arrow.to_numbers(written, notation), np.array(plain, dtype=np.float64)
    )


@given(NOTATIONS, NUMBERS)
def test_the_notation_of_a_column_is_found(notation: Notation, numbers: list[object]) -> None:
    """That which reads its numbers; where large ones and fractions tell, there is no other."""
    plain = [str(number) for number in [*numbers, "1234567.89", "-7654321.25", "0.5"]]
    written = pa.array([notation.write(text) for text in plain])
    found = find_notation(written, share=0.95)
    read, rival = (PLAIN, None) if found is None else found
    assert rival is None
    np.testing.assert_array_equal(
        arrow.to_numbers(written, read), np.array(plain, dtype=np.float64)
    )


CASES = {
    "dollars": (["$5,914", "$300", "-$12,000"], [5914, 300, -12000]),
    "per cent": (["61.7%", "3%", "100%"], [61.7, 3, 100]),
    "decimal commas": (["0,33", "-1,5", "12,25"], [0.33, -1.5, 12.25]),
    "euros": (["1.234,50 €", "12,00 €", "7,25 €"], [1234.5, 12, 7.25]),
    "parentheses": (["(5,914.00)", "300.00", "1,200.50"], [-5914, 300, 1200.5]),
    "the sign for minus": ([f"{MINUS}5.5", "3.0", f"{MINUS}1.2"], [-5.5, 3, -1.2]),
    "apostrophes": (["1'200", "300", "1'000'000"], [1200, 300, 1000000]),
    "blanks that do not break": (["1\u00a0234,5", "12,0", "0,5"], [1234.5, 12, 0.5]),
    "a unit": (["12 cm", "13.5 cm", "9 cm"], [12, 13.5, 9]),
    "a word": (["12 years", "3 years", "1 years"], [12, 3, 1]),
    "a word for one": (["2 days", "1 day", "31 days"], [2, 1, 31]),
    "a dollar before the sign": (["$-5", "$10", "$-2.5"], [-5, 10, -2.5]),
    "a sign at the end": (["5-", "7", "12-"], [-5, 7, -12]),
    "plus signs": (["+5", "-3", "+2"], [5, -3, 2]),
    "lakhs": (["12,34,567", "5,000", "99"], [1234567, 5000, 99]),
    "Arabic digits": (["١٬٢٣٤٫٥", "٧", "٠٫٢٥"], [1234.5, 7, 0.25]),
    "Arabic thousands": (["١٬٢٣٤", "٧٥", "٩٬٠٠٠"], [1234, 75, 9000]),
    "Devanagari digits": (["१२", "३४.५", "५"], [12, 34.5, 5]),
    "full-width digits": (["１２", "３．５", "７"], [12, 3.5, 7]),
    "hexadecimal digits": (["0x1F", "0xA0", "0x07"], [31, 160, 7]),
    "small hexadecimal digits": (["0x1f", "0xa0", "0x1a0"], [31, 160, 416]),
    "exponents": (["1.20E+05", "3.40E-10", "5.00E+03"], [1.2e5, 3.4e-10, 5e3]),
    "short exponents": (["1.25e5", "3.4e-3", "5e0"], [1.25e5, 3.4e-3, 5]),
    "exponents with decimal commas": (["1,25e5", "3,4e-3", "5e0"], [1.25e5, 3.4e-3, 5]),
}


@pytest.mark.parametrize("kind", CASES)
def test_a_column_of_written_numbers_is_one_of_numbers(kind: str) -> None:
    cells, numbers = CASES[kind]
    (column,) = infer_schema(pa.table({"x": cells})).columns
    assert column.kind is ColumnKind.NUMERIC
    assert column.numbers is not None
    assert column.numbers.notation.words in column.reason
    np.testing.assert_allclose(column.values(pa.array(cells)), numbers)
    back = column.numbers.write(np.array(numbers, dtype=float))
    np.testing.assert_allclose(column.values(pa.array(back)), numbers)
    assert back == cells


def test_few_numbers_in_parentheses_are_read_among_plain_ones() -> None:
    cells = [*(f"{i}.5" for i in range(90)), "(3.5)"]
    column = infer_schema(pa.table({"x": cells}))["x"]
    assert (column.foreign, column.minimum) == (0, -3.5)


@pytest.mark.parametrize(
    "cells",
    [
        ["A12", "A13", "B9"],
        ["007", "123", "045"],
        ["10.0.255.1", "10.0.1.2", "9.9.9.9"],
        ["3rd", "4th", "5th"],
        ["12:30", "13:40", "9:05"],
        ["030 123 4567", "030 123 4568", "030 999 1234"],
        ["1,2,3", "4,5", "6,7,8"],
        ["low", "high", "mid"],
        ["$x", "$y", "$z"],
        ["10 Main", "12 Main", "7 Main"],
        ["10 main", "12 oak", "7 main"],
        ["0x1F", "0xA0", "A0"],
        ["0xdeadbeefdeadbeef", "0x0123456789abcdef", "0xfedcba9876543210"],
        ["1F", "A0", "07"],
        ["--5", "-+3", "4"],
        ["5 kg", "500 g", "2 kg"],
    ],
)
def test_codes_are_no_numbers(cells: list[str]) -> None:
    (column,) = infer_schema(pa.table({"x": cells})).columns
    assert column.kind is not ColumnKind.NUMERIC


EITHER = ["1,234", "2,500", "7,125"] * 20


def test_a_comma_that_may_be_either_is_told_with_the_option_that_decides(tmp_path: Path) -> None:
    table = pa.table({"x": EITHER, "y": list("abc") * 20})
    with pytest.warns(TabVAEWarning, match="'x': thousands by ','; if decimals by ',' is meant"):
        infer_schema(table).warn_of_doubts()
    pd.DataFrame(table.to_pydict()).to_csv(tmp_path / "a.csv", index=False)
    unsure = tabvae(tmp_path, "inspect", "a.csv", "--json").out
    option = re.search(r"--decimal '(x=,)'", json.loads(unsure)["columns"][0]["doubt"])
    assert option is not None
    sure = tabvae(tmp_path, "inspect", "a.csv", "--json", "--decimal", option[1])
    column = json.loads(sure.out)["columns"][0]
    assert (column["doubt"], column["minimum"]) == (None, 1.234)
    (tmp_path / "s.json").write_text(sure.out)
    again = tabvae(tmp_path, "inspect", "a.csv", "--json", "--schema", "s.json")
    assert json.loads(again.out)["columns"][0] == column


@pytest.mark.parametrize(
    ("options", "least"),
    [
        (("--decimal", ","), 1.234),
        (("--decimal", "."), 1234),
        (("--thousands", ","), 1234),
        (("--thousands", ""), 1.234),
        (("--decimal", "x=,", "--decimal", "."), 1.234),
        (("--decimal", ",", "--thousands", "."), 1.234),
    ],
)
def test_separators_are_those_that_are_given(
    tmp_path: Path, options: tuple[str, ...], least: float
) -> None:
    frame = pd.DataFrame({"x": EITHER, "n": range(60), "y": list("abc") * 20})
    frame.to_csv(tmp_path / "a.csv", index=False)
    shown = json.loads(tabvae(tmp_path, "inspect", "a.csv", "--json", *options).out)
    x, n, y = shown["columns"]
    assert (x["minimum"], x["doubt"]) == (least, None)
    assert (n["kind"], y["kind"]) == ("identifier", "categorical")


@pytest.mark.parametrize(
    ("other", "least"),
    [("0,5", 1.234), ("0.5", 1234), ("1.234.567,8", 1.234), ("a", 1234)],
)
def test_a_sign_that_may_be_either_is_read_as_in_other_columns(other: str, least: float) -> None:
    cells = [*EITHER[:-1], ""]
    column, _ = infer_schema(pa.table({"x": cells, "y": [other, "12"] * 30})).columns
    assert column.minimum == least
    assert (column.doubt is None) == (other != "a")


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--decimal", "x"), 2, "no numbers are written with decimal 'x'"),
        (("--decimal", ",", "--thousands", ","), 2, "decimal ',' and thousands ','"),
        (("--decimal", ",", "--decimal", "."), 1, "the table has two signs for --decimal"),
        (("--decimal", "y=,"), 1, "column 'y' cannot be numeric"),
        (("--thousands", "z=,"), 1, "no column 'z'"),
    ],
)
def test_separators_of_no_numbers_are_refused(
    tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,a\n2,b\n3,a\n")
    assert_one_line_error(tabvae(tmp_path, "inspect", "a.csv", *options), code, words)


@pytest.mark.parametrize(
    "wrong",
    [
        {"thousands": "x"},
        {"decimal": ";"},
        {"thousands": ",", "decimal": ","},
        {"minus": "+"},
        {"before": "5"},
        {"after": "\n"},
        {"before": "€" * 40},
        {"one": "-"},
        {"minus": "(", "plus": True},
        {"sign": "above"},
        {"group": 4},
        {"digits": "1"},
        {"digits": "ab"},
        {"width": 99},
    ],
)
def test_what_is_no_notation_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no notation"):
        Notation(**wrong)


def spreadsheet(rows: int, seed: int) -> pd.DataFrame:
    """Amounts in several notations that follow each other."""
    rng = np.random.default_rng(seed)
    price = rng.lognormal(7, 0.6, rows).round(2)
    share = rng.uniform(1, 60, rows).round(1)
    frame = pd.DataFrame(
        {
            "price": [f"${p:,.2f}" for p in price],
            "share": [f"{s}%" for s in share],
            "cost": [f"{c:,.2f} €".translate({44: 46, 46: 44}) for c in price * share / 100],
            "size": np.where(price > 1000, "large", "small"),
        }
    )  # fmt: skip
    return frame.mask(rng.random(frame.shape) < 0.1)


@pytest.mark.usefixtures("few_trees")
def test_every_cell_that_is_made_is_written_like_the_others() -> None:
    table = spreadsheet(200, 0)
    model = TabVAE(effort="fast").fit(table)
    filled, new = model.impute(table), model.generate(50, complete=True)
    given = table.notna()
    pd.testing.assert_frame_equal(filled.where(given), table)
    for made in (filled, new):
        assert made["price"].str.fullmatch(r"\$\d{1,3}(,\d{3})*\.\d\d").all()
        assert made["share"].str.fullmatch(r"\d+\.\d%").all()
        assert made["cost"].str.fullmatch(r"\d{1,3}(\.\d{3})*,\d\d €").all()
    dear = model.generate(20, where={"price": "$2,000.00"})
    assert (dear["price"] == "$2,000.00").all()
    assert (model.generate(5, where={"price": "2000"})["price"] == "$2,000.00").all()


@pytest.mark.parametrize("word", ["N/A", "#N/A", "-", "--", ".", "Missing", "unknown", " n/a "])
@pytest.mark.parametrize("kind", ["numbers", "dates", "amounts"])
def test_a_word_among_numbers_or_dates_is_a_missing_cell(kind: str, word: str) -> None:
    cells = {
        "numbers": [str(i * i) for i in range(40)],
        "dates": [f"2024-01-{1 + i % 28:02}" for i in range(40)],
        "amounts": [f"${1000 + 7 * i * i:,}" for i in range(40)],
    }[kind]
    (column,) = infer_schema(pa.table({"x": [*cells, *[word] * 9]})).columns
    assert column.kind.continuous
    assert (column.missing, column.foreign) == (9, 0)
    assert column.missing_texts == (word.strip(),)
    assert repr(word.strip()) in column.reason
    (told,) = infer_schema(pa.table({"x": [*cells, *[word] * 9]}), ("",)).columns
    assert told.missing == 0  # the user has said what is missing


def test_a_word_among_words_may_be_an_answer() -> None:
    (column,) = infer_schema(pa.table({"x": ["yes", "no", "unknown", "-"] * 9})).columns
    assert (column.missing, column.missing_texts) == (0, ())


@pytest.mark.usefixtures("few_trees")
def test_words_for_missing_cells_are_filled() -> None:
    rng = np.random.default_rng(0)
    size = rng.normal(50, 9, 150).round(1)
    frame = pd.DataFrame({"size": size.astype(str), "twice": (2 * size).round(1).astype(str)})
    frame.loc[::5, "size"] = "N/A"
    frame.loc[1::5, "twice"] = "-"
    filled = TabVAE(effort="fast").fit(frame).impute(frame)
    assert pd.to_numeric(filled["size"]).notna().all()
    assert pd.to_numeric(filled["twice"]).notna().all()
    kept = ~frame.isin(["N/A", "-"])
    pd.testing.assert_frame_equal(filled.where(kept), frame.where(kept))


@pytest.mark.parametrize("number", [-999, -1, 99999])
def test_a_number_far_from_all_others_may_mean_a_missing_cell(number: int) -> None:
    ages = [str(20 + i % 50) for i in range(100)]
    for cells, doubted in (
        ([*ages, *[str(number)] * 5], True),
        ([*ages, str(number)], False),  # One alone is an odd row.
        ([*ages, *[str(21)] * 5], False),
    ):
        table = pa.table({"age": cells, "sex": ["f", "m", "d"] * (len(cells) // 3)
                          + ["f"] * (len(cells) % 3)})  # fmt: skip
        schema = infer_schema(table)
        assert schema["age"].kind is ColumnKind.NUMERIC
        assert (schema["age"].doubt is not None) == doubted
    (column, _) = infer_schema(table, (*arrow.DEFAULT_NA_VALUES, str(number))).columns
    assert column.doubt is None


def test_numbers_that_go_on_are_not_doubted() -> None:
    table = pa.table({"x": [str(i) for i in range(-20, 20)] * 3})
    assert infer_schema(table)["x"].doubt is None


def test_text_that_is_mostly_numbers_is_told_without_a_cell() -> None:
    table = pa.table({"x": [*map(str, range(2, 300, 3)), *["Anna", "Ben", "Carl"] * 5]})
    with pytest.warns(TabVAEWarning, match="'x': 87 % of its cells are numbers, 15 are not"):
        infer_schema(table).warn_of_doubts()
    doubt = str(infer_schema(table)["x"].doubt)
    assert "(rows 101, 102, 103, ...)" in doubt
    assert "Anna" not in doubt


def test_text_that_is_mostly_amounts_is_told_with_the_rows_of_the_table() -> None:
    amounts = [f"${7 * i:,}" for i in range(100, 180)]
    table = pa.table({"x": ["", "see note", *amounts, "", "call", *["n.v."] * 9]})
    doubt = str(infer_schema(table)["x"].doubt)
    assert doubt.startswith("88 % of its cells are numbers, 11 are not (rows 2, 84, 85, ...)")
    assert "--numeric 'x'" in doubt


@pytest.mark.parametrize("day", ["1900-01-01", "9999-12-31"])
def test_a_day_far_from_all_others_may_mean_a_missing_cell(tmp_path: Path, day: str) -> None:
    days = [f"2024-0{1 + i % 9}-{1 + i % 28:02}" for i in range(60)]
    for cells, doubted in (([*days, day, day], True), ([*days, day], False), (days, False)):
        column = infer_schema(pa.table({"x": cells}))["x"]
        assert column.kind is ColumnKind.DATETIME
        assert (f"--na-add '{day}'" in str(column.doubt)) == doubted
    pd.DataFrame({"x": [*days, day, day], "y": range(62)}).to_csv(tmp_path / "a.csv", index=False)
    said = json.loads(tabvae(tmp_path, "inspect", "a.csv", "--json", "--na-add", day).out)
    assert (said["columns"][0]["missing"], said["columns"][0]["doubt"]) == (2, None)


def test_the_commonest_text_may_mean_a_missing_cell() -> None:
    few, many = ["unknown"] * 5 + ["red"] * 20, ["unknown"] * 30 + ["red"] * 20
    doubts = [infer_schema(pa.table({"x": [*c, "blue"]}))["x"].doubt for c in (few, many)]
    assert doubts == [None, "'unknown' in 30 cells may mean a missing cell: --na-add 'unknown'"]


@pytest.mark.parametrize("cell", ["-$5", "+1.234,50 €", "-61.7%", "$-5", "-12 kg", "−5", "+5"])
def test_numbers_as_people_write_them_are_no_formulas(cell: str) -> None:
    assert arrow.without_formulas(pa.array([cell])).to_pylist() == [cell]


@pytest.mark.parametrize(
    "cell", ["-A1", "+1-2", "-5+cmd|' /C calc'!A0", "-", "=5", "-SUM(1)", "@x"]
)
def test_what_a_spreadsheet_would_run_is_marked(cell: str) -> None:
    assert arrow.without_formulas(pa.array([cell])).to_pylist() == [f"'{cell}"]


def test_a_text_is_added_to_those_that_mean_a_missing_cell(tmp_path: Path) -> None:
    rows = "".join(f"{20 + i % 50},{i % 7}\n" for i in range(60))
    (tmp_path / "a.csv").write_text(f"age,n\n-999,3\n,4\n-999,5\n{rows}")
    before = tabvae(tmp_path, "inspect", "a.csv", "--json")
    after = tabvae(tmp_path, "inspect", "a.csv", "--json", "--na-add", "-999")
    ages = [json.loads(done.out)["columns"][0] for done in (before, after)]
    assert [age["missing"] for age in ages] == [1, 3]
    assert "--na-add -999" in ages[0]["doubt"]
    assert ages[1]["doubt"] is None


@pytest.mark.usefixtures("quick")
def test_what_follows_from_a_rule_is_written_in_the_notation_of_its_column() -> None:
    fees = {"Oslo": "$1,200", "Rome": "$900", "Bern": "$12,500"}
    cities = np.random.default_rng(0).choice(list(fees), 120)
    frame = pd.DataFrame({"city": cities, "fee": [fees[city] for city in cities]})
    frame["size"] = np.arange(120) % 17
    gaps = frame.copy()
    gaps.loc[::9, "fee"] = None
    model = TabVAE(effort="fast", rules=("city -> fee",)).fit(gaps)
    pd.testing.assert_frame_equal(model.impute(gaps), frame)

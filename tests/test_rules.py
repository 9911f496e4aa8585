"""Rules between columns: found, kept by what is filled and drawn, named when they are broken."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.codec import TableCodec
from tabvae.columns.infer import infer_schema
from tabvae.columns.relations import with_rules
from tabvae.errors import ParameterError, SchemaError
from tabvae.files.frames import to_arrow
from tabvae.rules.expression import columns_of, evaluate
from tabvae.rules.rules import parse_rule
from tabvae.tasks.follow import follow

from .helpers import assert_one_line_error, hasty, tabvae

ROWS = 500
EQUATIONS = {
    "sum": ("total = goods + freight", "total"),
    "difference": ("sales = cost + profit", "sales"),
    "sum of three": ("total = goods + freight + tax", "total"),
    "product": ("total = price * count", "total"),
    "discount": ("total = price * count * (1 - rate / 100)", "total"),
    "share": ("per_head = costs / heads", "per_head"),
    "unit": ("fahrenheit = 1.8 * celsius + 32", "fahrenheit"),
    "tax": ("gross = 1.19 * net", "gross"),
}
DECIMALS = {"total": 2, "sales": 2, "per_head": 3, "fahrenheit": 2, "gross": 4}


def equation_table(kind: str, seed: int = 0) -> pd.DataFrame:
    """A table in which one column follows from others, and two that have nothing to do with it."""
    rng = np.random.default_rng(seed)
    rule, target = EQUATIONS[kind]
    expression = rule.split(" = ")[1]
    frame = pd.DataFrame({"other": rng.normal(50, 9, ROWS).round(1)})
    for name in columns_of(expression):
        whole = name in ("count", "heads", "rate")
        values = rng.integers(1, 30, ROWS) if whole else rng.gamma(3, 20, ROWS).round(2)
        frame[name] = values
    values = {name: frame[name].to_numpy(float) for name in frame}
    frame[target] = (evaluate(expression, values) + 1e-9).round(DECIMALS[target])
    frame["group"] = rng.choice(["a", "b", "c"], ROWS)
    return frame


def stay_table(seed: int = 0) -> pd.DataFrame:
    """Stays in hotels: an end that follows, a city that decides its country, parts of a day."""
    rng = np.random.default_rng(seed)
    begin = pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, ROWS), "D")
    nights = rng.geometric(0.2, ROWS)
    city = rng.choice(["Oslo", "Bergen", "Rome", "Turin", "Lyon"], ROWS)
    country = pd.Series(city).map(
        {"Oslo": "Norway", "Bergen": "Norway", "Rome": "Italy", "Turin": "Italy", "Lyon": "France"}
    )
    low = rng.gamma(3, 20, ROWS).round()
    return pd.DataFrame(
        {
            "begin": begin.strftime("%d.%m.%Y"),
            "nights": nights,
            "end": (begin + pd.to_timedelta(nights, "D")).strftime("%d.%m.%Y"),
            "city": city,
            "country": country,
            "least": low,
            "most": low + rng.gamma(2, 15, ROWS).round(),
        }
    )


def rules_of(frame: pd.DataFrame) -> list[str]:
    table = to_arrow(frame)
    return [str(rule) for rule in with_rules(infer_schema(table), table, ("",)).rules]


def shuffled(frame: pd.DataFrame) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    return pd.DataFrame({name: rng.permutation(frame[name].to_numpy()) for name in frame})


@pytest.mark.parametrize("kind", EQUATIONS)
@pytest.mark.parametrize("noise", [0.0, 0.03])
def test_equations_are_found_and_none_in_shuffled_columns(kind: str, noise: float) -> None:
    frame = equation_table(kind)
    target = EQUATIONS[kind][1]
    wrong = np.random.default_rng(2).random(ROWS) < noise
    frame[target] = frame[target].where(~wrong, shuffled(frame)[target])
    equations = [rule for rule in rules_of(frame) if " = " in rule]
    assert equations == [EQUATIONS[kind][0]]
    assert not rules_of(shuffled(frame))


def test_dates_orders_and_dependencies_are_found() -> None:
    found = rules_of(stay_table())
    assert found == ["end = begin + nights", "begin <= end", "least <= most", "city -> country"]
    assert not rules_of(shuffled(stay_table()))


def form_table(seed: int = 0) -> pd.DataFrame:
    """Forms: parts of a date, a fee by age and place, an age group, a reason if refused, hours
    within a day."""
    rng = np.random.default_rng(seed)
    day = pd.Timestamp("2021-01-01") + pd.to_timedelta(rng.integers(0, 1400, ROWS), "D")
    age = rng.integers(1, 95, ROWS)
    ward, level = rng.choice(["north", "south", "east"], ROWS), rng.choice(["I", "II"], ROWS)
    desks = {("north", "I"): "A", ("north", "II"): "B", ("south", "I"): "B", ("south", "II"): "C"}
    refused = rng.choice(["yes", "no"], ROWS)
    work, rest = rng.gamma(4, 2, ROWS).round(1), rng.gamma(3, 1, ROWS).round(1)
    reasons = rng.choice(["late", "double", "other"], ROWS)
    return pd.DataFrame(
        {
            "day": day.strftime("%Y-%m-%d"),
            "month": day.month,
            "age": age,
            "ward": ward,
            "level": level,
            "desk": [desks.get(pair, "A") for pair in zip(ward, level, strict=True)],
            "group": np.select([age < 18, age < 65], ["minor", "adult"], "old"),
            "refused": refused,
            "reason": np.where(refused == "yes", reasons, None),
            "work": work,
            "rest": rest,
            "awake": (work + rest + rng.gamma(1, 2, ROWS)).round(1),
        }
    )


FORM_RULES = {
    "month = month(day)",
    "ward, level -> desk",
    "age -> group (minor < 18 <= adult < 65 <= old)",
    "reason only if refused = yes",
    "work + rest <= awake",
}


def test_parts_pairs_ranges_conditions_and_wholes_are_found() -> None:
    assert set(rules_of(form_table())) == FORM_RULES
    mixed = shuffled(form_table())
    assert not rules_of(mixed)


@pytest.fixture(scope="module")
def forms(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TabVAE]:
    """A folder with a model of forms."""
    folder = tmp_path_factory.mktemp("forms")
    frame = form_table()
    frame.to_csv(folder / "forms.csv", index=False)
    with hasty():
        assert tabvae(folder, "fit", "forms.csv", "--effort", "fast").code == 0
    return folder, TabVAE.load(str(folder / "forms.tabvae"))


def test_every_kind_of_rule_is_kept_by_drawn_rows(forms: tuple[Path, TabVAE]) -> None:
    folder, model = forms
    assert {str(rule) for rule in model.rules_} == FORM_RULES
    made = ("generate", "-n", "200", "--no-check", "-o", "new.csv")
    assert tabvae(folder, *made).code == 0
    drawn = pd.read_csv(folder / "new.csv")
    assert {str(rule): rule.holds(drawn).mean() for rule in model.rules_} == dict.fromkeys(
        FORM_RULES, 1.0
    )
    assert drawn["reason"].notna().any()
    told = tabvae(folder, "evaluate", "--synthetic", "new.csv").out
    assert "rule ward, level -> desk: kept by 100.0% of the rows, 100.0% of real ones" in told


def test_every_kind_of_rule_fills_what_follows(forms: tuple[Path, TabVAE]) -> None:
    folder, model = forms
    frame = form_table(seed=7).head(60)
    gaps = frame.copy()
    for name in ("month", "desk", "group"):
        gaps[name] = gaps[name].astype(object)
        gaps.loc[::2, name] = None
    gaps.loc[gaps["reason"].notna(), "refused"] = None
    gaps.to_csv(folder / "gaps.csv", index=False)
    done = tabvae(folder, "impute", "gaps.csv")
    assert re.search("follow from rules: .*month 30, desk 30, group 30\\n", done.err)
    filled = done.frame()
    for name in ("month", "desk", "group", "refused"):
        assert list(filled[name]) == list(frame[name].astype(str))
    with pytest.raises(SchemaError, match="level"):
        next(rule for rule in model.rules_ if "desk" in rule.columns).holds(gaps[["ward"]])


def test_a_row_that_breaks_a_rule_that_all_keep_is_an_outlier(forms: tuple[Path, TabVAE]) -> None:
    _, model = forms
    rows = form_table(seed=8).head(60)
    plain = model.detect(rows)
    assert plain["rule"].isna().all()
    rows["month"] = rows["month"] % 12 + 1
    broken = model.detect(rows)
    assert (broken["rule"] == "month = month(day)").all()
    assert broken["outlier"].all()
    assert (broken["p_value"] > 0).all()
    assert plain["outlier"].mean() < 0.2


def test_rules_stand_in_a_schema_file(tmp_path: Path) -> None:
    frame = form_table().drop(columns=["month"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    shown = tabvae(tmp_path, "inspect", "a.csv", "--json", "--rule", "rest <= awake").out
    (tmp_path / "schema.json").write_text(shown)
    options = ("--schema", "schema.json", "--no-rules", "--json")
    again = json.loads(tabvae(tmp_path, "inspect", "a.csv", *options).out)
    assert again["rules"] == json.loads(shown)["rules"]
    assert len(again["rules"]) == len(FORM_RULES)


def test_rules_are_believed_from_the_share_that_is_asked_for(tmp_path: Path) -> None:
    frame = form_table()
    wrong = np.random.default_rng(3).random(ROWS) < 0.08
    frame["month"] = frame["month"].where(~wrong, 13 - frame["month"])
    frame.to_csv(tmp_path / "a.csv", index=False)
    assert "month(day)" not in tabvae(tmp_path, "inspect", "a.csv", "--json").out
    options = ("--rules-at-least", "0.9", "--json")
    assert "month = month(day)" in tabvae(tmp_path, "inspect", "a.csv", *options).out
    assert_one_line_error(tabvae(tmp_path, "inspect", "a.csv", "--rules-at-least", "0.3"), 2)


@pytest.mark.parametrize("text", [*sorted(FORM_RULES), "`a b` + c <= d", "a = year(`b c`) - d"])
def test_a_rule_that_is_shown_is_read_again(text: str) -> None:
    again = str(parse_rule(text))
    assert again == text or text.startswith(f"{again} (")


@pytest.mark.parametrize("kind", EQUATIONS)
def test_cells_that_follow_are_worked_out(kind: str) -> None:
    frame = equation_table(kind)
    rule, target = EQUATIONS[kind]
    rng = np.random.default_rng(3)
    gaps = frame.copy()
    names = [target, *columns_of(rule.split(" = ")[1])]
    one_gap = rng.integers(0, len(names) + 1, ROWS)
    for turn, name in enumerate(names):
        gaps[name] = frame[name].mask(one_gap == turn + 1)
    table = to_arrow(gaps)
    schema = with_rules(infer_schema(table), table, ("",))
    filled = follow(TableCodec(schema).fit(table), table).to_pandas()
    hidden = gaps[target].isna()
    assert hidden.sum() > 50
    assert filled[target].to_numpy() == pytest.approx(frame[target].to_numpy())
    # Where several numbers would do after rounding, the cell is left to the model.
    others = filled[names[1:]].notna() & gaps[names[1:]].isna()
    assert others.any().all()
    values = {name: filled[name].to_numpy(float) for name in names}
    off = np.abs(evaluate(rule.split(" = ")[1], values) - filled[target])
    assert (off.dropna() <= 0.51 * 10.0 ** -DECIMALS[target]).all()
    assert filled.where(gaps.notna()).equals(gaps)


def kept(frame: pd.DataFrame) -> dict[str, float]:
    begin, end = (pd.to_datetime(frame[name], format="%d.%m.%Y") for name in ("begin", "end"))
    countries = stay_table().drop_duplicates("city").set_index("city")["country"]
    return {
        "end": float(((end - begin).dt.days == frame["nights"].astype(float)).mean()),
        "order": float((frame["least"].astype(float) <= frame["most"].astype(float)).mean()),
        "country": float((frame["city"].map(countries) == frame["country"]).mean()),
    }


@pytest.fixture(scope="module")
def stays(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    """A folder with a model of stays with gaps, and what stood in these."""
    folder = tmp_path_factory.mktemp("stays")
    frame = stay_table()
    gaps = frame.mask(np.random.default_rng(4).random(frame.shape) < 0.15)
    gaps.to_csv(folder / "stays.csv", index=False)
    with hasty():
        fitted = tabvae(folder, "fit", "stays.csv", "--effort", "fast")
    assert "rule: end = begin + nights" in fitted.err
    return folder, gaps


@pytest.mark.parametrize("options", [(), ("--draws", "2")])
def test_filled_rows_break_no_rule(
    stays: tuple[Path, pd.DataFrame], options: tuple[str, ...]
) -> None:
    filled = tabvae(stays[0], "impute", *options).frame()
    assert (filled != "").all(axis=None)
    assert kept(filled) == {"end": 1.0, "order": 1.0, "country": 1.0}


def test_drawn_rows_break_no_rule(stays: tuple[Path, pd.DataFrame]) -> None:
    options = ("-n", "300", "--complete", "--no-check")
    drawn = tabvae(stays[0], "generate", *options).frame()
    assert kept(drawn) == {"end": 1.0, "order": 1.0, "country": 1.0}
    assert (drawn["least"] == drawn["most"]).mean() < 0.05
    given = tabvae(stays[0], "generate", *options, "--where", "country=France").frame()
    assert set(given["city"]) == {"Lyon"}


def test_without_rows_there_is_nothing_to_follow(stays: tuple[Path, pd.DataFrame]) -> None:
    model = TabVAE.load(str(stays[0] / "stays.tabvae"))
    nothing = stays[1].head(0)
    assert len(model.impute(nothing)) == len(model.detect(nothing)) == 0


def test_detect_names_the_rule_that_a_row_breaks_and_what_it_asks_for(
    stays: tuple[Path, pd.DataFrame],
) -> None:
    rows = stay_table(seed=5).head(40)
    rows.loc[3, "end"], rows.loc[8, "most"] = rows.loc[3, "begin"], rows.loc[8, "least"] - 1
    rows.loc[5, ["city", "country"]] = "Oslo", "Italy"
    rows.to_csv(stays[0] / "new.csv", index=False)
    found = tabvae(stays[0], "detect", "new.csv").frame()
    broken = found[found["rule"] != ""]
    end = pd.to_datetime(rows.loc[3, "begin"], format="%d.%m.%Y") + pd.Timedelta(
        int(rows.loc[3, "nights"]), "D"
    )
    assert dict(zip(broken.index, broken["rule_asks"], strict=True)) == {
        3: f"end = {end:%d.%m.%Y}",
        5: "country = Norway",
        8: f"most >= {rows.loc[8, 'least']:.1f}",
    }
    assert list(broken["rule"]) == ["end = begin + nights", "city -> country", "least <= most"]


def test_inspect_names_the_rows_that_break_a_rule(tmp_path: Path) -> None:
    frame = stay_table()
    frame.loc[6, "country"] = "Norway" if frame.loc[6, "country"] == "Italy" else "Italy"
    frame.to_csv(tmp_path / "a.csv", index=False)
    rules = json.loads(tabvae(tmp_path, "inspect", "a.csv", "--json").out)["rules"]
    (found,) = [rule for rule in rules if rule["text"] == "city -> country"]
    assert (found["broken"], found["rows"]) == (1, [7])
    assert "city -> country" in tabvae(tmp_path, "inspect", "a.csv", COLUMNS="100").out


def test_rules_are_given_or_left_out(tmp_path: Path) -> None:
    frame = stay_table()
    frame["most"] = shuffled(frame)["most"]
    frame.to_csv(tmp_path / "a.csv", index=False)
    shown = tabvae(tmp_path, "inspect", "a.csv", "--no-rules", "--rule", "least<=most").out
    assert "least <= most" in shown
    assert "city" not in shown.split("rule ")[1]
    with hasty():
        model = TabVAE(effort="fast", rules=("least <= most",), find_rules=False).fit(frame)
    drawn = model.generate(50)
    assert (drawn["least"] <= drawn["most"]).all()
    for rule, error in (("a ** b", 2), ("least <= nothing", 1), ("least <= city", 1)):
        assert_one_line_error(tabvae(tmp_path, "inspect", "a.csv", "--rule", rule), error)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a = a + 1",
        "a = 3",
        "a = b ** 2",
        "a = f(b)",
        "a <= b + c",
        "a -> b -> c",
        "a = year(b, c)",
        "a -> a",
    ],
)
def test_what_is_no_rule_is_refused(text: str) -> None:
    with pytest.raises((ParameterError, SchemaError)):
        parse_rule(text)


NUMBERS = st.floats(-100, 100).map(lambda x: round(x, 3))


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=5))
@settings(max_examples=100)
def test_an_expression_is_what_python_makes_of_it(rows: list[tuple[float, float, float]]) -> None:
    a, b, c = map(np.array, zip(*rows, strict=True))
    found = evaluate("`a b` * (1 - x / 100) - -c + 2.5", {"a b": a, "x": b, "c": c})
    assert found == pytest.approx(a * (1 - b / 100) + c + 2.5)

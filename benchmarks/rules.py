"""Rules between columns: found, and kept by what is filled and drawn.

    python benchmarks/rules.py [--rows 2000] [--part discovery|keeping|violations|drawn|all]

Six tables are made with rules that are known; 2 % of the cells that follow are wrong and 20 % of
all are hidden. Beside them stand tables of ours and of the field, on which no rule is to be found
once their columns are shuffled. "before" is the same without looking for rules (--no-rules).
Violations are cells of determined columns that stand in another row; drawn are shop orders, told
from others that the same script makes.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np
import pandas as pd
from common import HERE, load, machine, progress

from tabvae import TabVAE
from tabvae.columns.infer import infer_schema
from tabvae.columns.relations import RuleSearch, judged, with_rules
from tabvae.columns.schema import Schema
from tabvae.files.frames import to_arrow
from tabvae.rules.arithmetic import Formula, Order
from tabvae.tasks.synthetic import as_codes, detection_auc

REAL = (
    *("wine", "wine_white", "obesity", "bike", "shoppers", "titanic", "mpg", "concrete"),
    *("california", "beijing_pm25", "adult_train_half", "breast_cancer", "diabetes"),
)
WRONG, HIDDEN = 0.02, 0.2


def made(rows: int) -> dict[str, tuple[pd.DataFrame, list[str]]]:
    """Tables and their rules."""
    rng = np.random.default_rng(0)
    kind = rng.choice(["desk", "lamp", "shelf", "chair"], rows)
    price = (rng.gamma(4, 15, rows) + 40 * (kind == "desk")).round(2)
    count = rng.geometric(0.4, rows)
    rate = rng.choice([0, 5, 10, 20], rows, p=[0.4, 0.2, 0.2, 0.2])
    orders = pd.DataFrame({"kind": kind, "price": price, "count": count, "rate": rate})
    orders["total"] = (price * count * (1 - rate / 100) + 1e-9).round(2)

    begin = pd.Timestamp("2023-01-01") + pd.to_timedelta(rng.integers(0, 700, rows), "D")
    nights = rng.geometric(0.25, rows)
    stays = pd.DataFrame({"begin": begin, "nights": nights, "rate": (60 + 4 * nights)})
    stays["end"] = begin + pd.to_timedelta(nights, "D")
    stays["rate"] = (stays["rate"] + rng.normal(0, 9, rows)).round(1)

    fare = rng.gamma(3, 5, rows).round(2)
    tip = (fare * rng.choice([0, 0.1, 0.2], rows)).round(2)
    tolls = np.where(rng.random(rows) < 0.3, rng.gamma(2, 3, rows).round(2), 0.0)
    taxis = pd.DataFrame({"fare": fare, "tip": tip, "tolls": tolls})
    taxis["paid"] = (fare + tip + tolls).round(2)
    taxis["miles"] = (fare / 3 + rng.gamma(2, 0.3, rows)).round(1)

    celsius = rng.normal(15, 8, rows).round(1)
    dew = (celsius - rng.gamma(2, 3, rows)).round(1)
    weather = pd.DataFrame({"celsius": celsius, "dew": dew, "wind": rng.gamma(2, 4, rows).round(1)})
    weather["fahrenheit"] = (1.8 * celsius + 32).round(2)

    towns = pd.DataFrame({"town": [f"T{k:02d}" for k in range(30)]})
    towns["land"] = [f"L{k % 7}" for k in range(30)]
    towns["code"] = rng.permutation(30) + 100
    people = towns.iloc[rng.integers(0, 30, rows)].reset_index(drop=True)
    people["age"] = rng.integers(18, 80, rows)
    people["income"] = (people["age"] * 500 + rng.gamma(2, 9000, rows)).round()

    sales, cost = rng.gamma(5, 200, rows).round(1), rng.gamma(4, 200, rows).round(1)
    firms = pd.DataFrame({"sales": sales, "cost": cost, "heads": rng.integers(1, 60, rows)})
    firms["profit"] = (sales - cost).round(1)
    firms["per_head"] = (sales / firms["heads"]).round(3)
    return {
        "orders": (orders, ["total = price * count * (1 - rate / 100)"]),
        "stays": (stays, ["end = begin + nights", "begin <= end"]),
        "taxis": (taxis, ["paid = fare + tip + tolls", "fare <= paid"]),
        "weather": (weather, ["fahrenheit = 1.8 * celsius + 32", "dew <= celsius"]),
        "people": (people, ["town -> land", "code -> town", "town -> code", "code -> land"]),
        "firms": (firms, ["sales = cost + profit", "per_head = sales / heads"]),
    }


def spoiled(frame: pd.DataFrame, rules: list[str]) -> pd.DataFrame:
    """With wrong cells in the columns that follow."""
    rng = np.random.default_rng(1)
    frame = frame.copy()
    targets = {rule.split(" = ")[0] for rule in rules if " = " in rule}
    for name in targets:
        wrong = rng.random(len(frame)) < WRONG
        frame.loc[wrong, name] = rng.permutation(frame[name].to_numpy())[wrong]
    return frame


def schema_of(frame: pd.DataFrame, given: tuple[str, ...] = (), find: bool = True) -> Schema:
    table = to_arrow(frame)
    return with_rules(infer_schema(table), table, ("",), RuleSearch(given, find))


def shares(frame: pd.DataFrame, rules: list[str]) -> dict[str, float]:
    """Of the rows of a complete frame, those that keep each rule."""
    schema = schema_of(frame, tuple(rules), find=False)
    return {rule.text: rule.kept for rule in judged(schema, to_arrow(frame), ("",))}


def discovery(rows: int) -> None:
    found = wrong = asked = 0
    for name, (frame, rules) in made(rows).items():
        texts = [str(rule) for rule in schema_of(spoiled(frame, rules)).rules]
        asked += len(rules)
        found += len(set(rules) & set(texts))
        print(f"{name}: {texts}; not found: {sorted(set(rules) - set(texts))}")
    print(f"found {found} of {asked}")
    tables = {name: load(name) for name in REAL}
    tables["shop_orders"] = pd.read_csv(HERE.parent / "sample_data" / "shop_orders.csv")
    tables |= {name: frame for name, (frame, _) in made(rows).items()}
    for name, frame in tables.items():
        rng = np.random.default_rng(2)
        mixed = pd.DataFrame({c: rng.permutation(frame[c].to_numpy()) for c in frame})
        started = time.process_time()
        texts = [str(rule) for rule in schema_of(frame).rules]
        seconds = time.process_time() - started
        false = [str(rule) for rule in schema_of(mixed).rules]
        wrong += len(false)
        print(f"{name}: {len(texts)} rules in {seconds:.1f} s, shuffled {false}")
    print(f"in shuffled columns: {wrong}")


def keeping(rows: int, find: bool) -> None:
    for name, (frame, rules) in made(rows).items():
        gaps = spoiled(frame, rules)
        hidden = np.random.default_rng(3).random(frame.shape) < HIDDEN
        gaps = gaps.mask(hidden)
        started = time.process_time()
        model = TabVAE(find_rules=find, effort="fast", seed=0).fit(gaps)
        seconds = time.process_time() - started
        filled, drawn = model.impute(gaps), model.generate(rows, complete=True)
        line = [f"{name}: fit {seconds:.0f} s"]
        kept, new = shares(filled, rules), shares(drawn, rules)
        for rule in schema_of(frame, tuple(rules), find=False).rules:
            text = str(rule)
            part = f"{text}: drawn {new[text]:.1%}"
            columns = [frame.columns.get_loc(c) for c in rule.columns]
            if isinstance(rule, Formula):
                alone = hidden[:, columns[0]] & ~hidden[:, columns[1:]].any(1)
                truth, guess = frame[rule.target][alone], filled[rule.target][alone]
                if str(truth.dtype).startswith("datetime"):
                    off = (guess - truth).dt.total_seconds().abs() / 86_400
                else:
                    off = (guess - truth).abs()
                right = (off <= rule.tolerance * 1.001).mean()
                part += f", cells that follow right {right:.1%}, mean error {off.mean():.3g}"
            elif isinstance(rule, Order):
                touched = hidden[:, columns].any(1)
                part += f", filled rows in order {shares(filled[touched], [text])[text]:.1%}"
            else:
                part += f", filled {kept[text]:.1%}"
            line.append(part)
        print("\n  ".join(line), flush=True)
        progress(name)


def violations(rows: int) -> None:
    """Whether ``detect`` names the rule that a spoiled row breaks, and how early it comes."""
    planted = named = early = 0
    for name, (frame, rules) in made(2 * rows).items():
        table, new = frame.head(rows), frame.tail(rows).reset_index(drop=True)
        targets = [rule.split(" = ")[0] for rule in rules if " = " in rule]
        targets = targets or [rule.split(" -> ")[1] for rule in rules if " -> " in rule]
        rng = np.random.default_rng(5)
        spoiled_rows = rng.choice(rows, rows // 25, replace=False)
        truth = new.copy()
        for place, row in enumerate(spoiled_rows):
            column = targets[place % len(targets)]
            other = truth[column][truth[column] != truth[column][row]]
            new.loc[row, column] = other.sample(1, random_state=int(row)).iloc[0]
        model = TabVAE(effort="fast", seed=0).fit(table)
        found = model.detect(new)
        broken = np.stack([~rule.holds(new) & rule.holds(truth) for rule in model.rules_])
        texts = np.array([str(rule) for rule in model.rules_])
        right = [found["rule"][row] in texts[broken[:, row]] for row in spoiled_rows]
        first = set(found["p_value"].sort_values(kind="stable").index[: len(spoiled_rows)])
        oddest = len(first & set(spoiled_rows))
        planted, named, early = planted + len(spoiled_rows), named + sum(right), early + oddest
        called = found["outlier"].drop(spoiled_rows).mean()
        line = f"{name}: {sum(right)} of {len(spoiled_rows)} named, {oddest} among the oddest"
        print(f"{line}, {called:.1%} of the others called", flush=True)
    print(f"named {named / planted:.1%}, among the oddest {early / planted:.1%}")


def drawn() -> None:
    """Shop orders that are drawn, told from real ones of the same script."""
    sys.path.insert(0, str(HERE.parent / "sample_data"))
    from make_shop_orders import make_truth

    def orders(seed: int) -> pd.DataFrame:
        frame = make_truth(np.random.default_rng(seed)).drop(columns="order_id")
        return frame.assign(ordered=pd.to_datetime(frame["ordered"]))

    for find in (False, True):
        aucs, seconds = [], []
        for seed in range(3):
            started = time.process_time()
            model = TabVAE(find_rules=find, seed=seed).fit(orders(seed))
            seconds.append(time.process_time() - started)
            new = model.generate(1000, complete=True)
            tables = [t.assign(ordered=t["ordered"].astype("int64")) for t in (orders(99), new)]
            (real, made_), categorical = as_codes(*tables)
            aucs.append(detection_auc(real, made_, categorical))
        print(f"rules {find}: AUC {np.round(aucs, 3)}, fit {np.mean(seconds):.1f} CPU seconds")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2000)
    parts = ("discovery", "keeping", "violations", "drawn")
    parser.add_argument("--part", choices=(*parts, "all"), default="all")
    asked = parser.parse_args()
    print(machine())
    wanted = parts if asked.part == "all" else (asked.part,)
    if "discovery" in wanted:
        discovery(asked.rows)
    if "keeping" in wanted:
        for find in (False, True):
            print("\nrules kept" if find else "\nbefore")
            keeping(asked.rows, find)
    if "violations" in wanted:
        violations(asked.rows)
    if "drawn" in wanted:
        drawn()


if __name__ == "__main__":
    main()

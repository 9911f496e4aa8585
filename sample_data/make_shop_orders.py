"""Makes shop_orders.csv, a table with gaps and odd rows, and shop_orders_truth.csv, its truth.

    python sample_data/make_shop_orders.py

A made-up shop: the price follows product and size, the delivery time follows country and express,
the rating follows the delay, returns follow the rating. One cell in ten of the modelled columns
is then left empty, and six rows are made odd.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

ROWS = 1000
SEED = 20240229
SHARE_MISSING = 0.1
FOLDER = Path(__file__).parent

PRODUCTS = {"lamp": 39.0, "chair": 89.0, "desk": 249.0, "shelf": 129.0, "rug": 59.0}
SIZES = {"small": 0.8, "medium": 1.0, "large": 1.4}
COUNTRIES = {"Austria": 2, "Germany": 3, "Italy": 4, "Portugal": 6, "Norway": 7}
ODD_ROWS = (101, 233, 377, 512, 640, 888)


def make_truth(rng: np.random.Generator) -> pd.DataFrame:
    """The complete table, odd rows included."""
    product = rng.choice(list(PRODUCTS), ROWS, p=[0.3, 0.25, 0.1, 0.15, 0.2])
    size = rng.choice(list(SIZES), ROWS, p=[0.3, 0.5, 0.2])
    country = rng.choice(list(COUNTRIES), ROWS, p=[0.2, 0.35, 0.2, 0.1, 0.15])
    express = rng.random(ROWS) < np.where(np.isin(product, ["lamp", "rug"]), 0.4, 0.15)
    price = np.array([PRODUCTS[p] * SIZES[s] for p, s in zip(product, size, strict=True)])
    price = np.round(price * rng.lognormal(0.0, 0.06, ROWS), 2)
    quantity = 1 + rng.poisson(np.where(price < 60, 1.5, 0.3))
    discount = np.where(quantity * price > 200, rng.choice([5, 10, 15], ROWS), 0)
    total = np.round(quantity * price * (1 - discount / 100), 2)
    days = np.array([COUNTRIES[c] for c in country])
    days = np.maximum(1, np.where(express, days // 2, days) + rng.poisson(1.0, ROWS))
    ordered = pd.Timestamp("2023-01-01") + pd.to_timedelta(np.sort(rng.integers(0, 365, ROWS)), "D")
    rating = np.clip(np.round(5.4 - 0.35 * days + rng.normal(0, 0.7, ROWS)), 1, 5).astype(int)
    returned = rng.random(ROWS) < np.where(rating <= 2, 0.6, 0.05)
    frame = pd.DataFrame(
        {
            "order_id": [f"SO-{i:05d}" for i in range(20001, 20001 + ROWS)],
            "ordered": ordered.strftime("%Y-%m-%d"),
            "product": product,
            "size": size,
            "country": country,
            "express": np.where(express, "yes", "no"),
            "price": price,
            "quantity": quantity,
            "discount": discount,
            "total": total,
            "delivery_days": days,
            "rating": rating,
            "returned": np.where(returned, "yes", "no"),
        }
    )
    return make_odd(frame)


def make_odd(frame: pd.DataFrame) -> pd.DataFrame:
    """Six rows that break a rule of the table, in different ways."""
    first, second, third, fourth, fifth, sixth = ODD_ROWS
    frame.loc[first, ["price", "total"]] = [1899.0, 12.5]
    frame.loc[second, ["quantity", "total"]] = [60, 20.0]
    frame.loc[third, ["delivery_days", "rating"]] = [45, 5]
    frame.loc[fourth, ["product", "size", "price"]] = ["lamp", "small", 700.0]
    frame.loc[fifth, ["discount", "total"]] = [90, 3500.0]
    frame.loc[sixth, ["express", "delivery_days"]] = ["yes", 30]
    return frame


def main() -> None:
    rng = np.random.default_rng(SEED)
    truth = make_truth(rng)
    hidden = rng.random(truth.shape) < SHARE_MISSING
    hidden[:, 0] = False
    hidden[list(ODD_ROWS)] = False
    text = truth.astype(str)
    text["price"] = [f"{v:.2f}" for v in truth["price"]]
    text["total"] = [f"{v:.2f}" for v in truth["total"]]
    text.to_csv(FOLDER / "shop_orders_truth.csv", index=False, lineterminator="\n")
    text.mask(hidden, "").to_csv(FOLDER / "shop_orders.csv", index=False, lineterminator="\n")


if __name__ == "__main__":
    main()

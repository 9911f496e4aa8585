"""Exports scikit-learn's bundled wine table to wine.csv.

python sample_data/make_wine.py
"""

from __future__ import annotations

from pathlib import Path

from sklearn.datasets import load_wine


def main() -> None:
    wine = load_wine(as_frame=True)
    frame = wine.frame.rename(columns={"target": "cultivar"})
    frame["cultivar"] = frame["cultivar"].map(dict(enumerate(wine.target_names)))
    path = Path(__file__).parent / "wine.csv"
    frame.to_csv(path, index=False, lineterminator="\n")


if __name__ == "__main__":
    main()

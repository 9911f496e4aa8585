"""Embedding floor: 15-nearest-neighbour AUC for income from 8 dimensions, adult halves.

python benchmarks/embed.py
"""

from __future__ import annotations

from common import load, machine
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from tabvae import TabVAE


def main() -> None:
    print(machine())
    train, holdout = load("adult_train_half"), load("adult_holdout_half")
    labels = [frame.pop("income").str.contains(">").to_numpy() for frame in (train, holdout)]
    model = TabVAE(latent=8).fit(train)
    z, z_out = model.transform(train), model.transform(holdout)
    for name, classifier in (
        ("15-NN (floor 0.87)", KNeighborsClassifier(15)),
        ("logistic", make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))),
    ):
        scores = classifier.fit(z, labels[0]).predict_proba(z_out)[:, 1]
        print(f"{name:20} {roc_auc_score(labels[1], scores):.3f}")
    card = model.fitted_.card
    print(f"active dimensions {card.active} of {len(card.kl)}; KL {card.kl.round(2)}")


if __name__ == "__main__":
    main()

"""What a fitted model is like, in words that several commands say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabvae.dp.budget import Guarantee
    from tabvae.estimator import TabVAE
    from tabvae.rules.rules import AnyRule


def guarantee_in_words(guarantee: Guarantee) -> str:
    """What a model promises of single rows."""
    return (
        f"differential privacy: epsilon {guarantee.epsilon:g}, delta {guarantee.delta:g}, for "
        f"{guarantee.whose}"
    )


def rules_in_words(rules: Sequence[AnyRule], most: int = 8) -> list[str]:
    """The rules of a table, a line each; the first few of many."""
    from tabvae.errors import printable

    lines = [f"rule: {printable(str(rule))}" for rule in rules[:most]]
    more = len(rules) - most
    return [*lines, f"and {more} rule(s) more; 'tabvae inspect' has them"] if more > 0 else lines


def withheld_in_words(model: TabVAE) -> str:
    """Which columns have gaps that say what would be there, if any."""
    from tabvae.errors import shown

    fitted = model.fitted_
    withheld = fitted.most_withheld
    listed = ", ".join(f"{shown(c)[1:-1]} where it is {what}" for c, what in withheld.items())
    return f"missing more often: {listed}" if withheld else ""

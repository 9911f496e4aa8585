"""Rows that break a rule: which one, what it asks for, and how rare that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from tabvae.columns.codec import TableCodec
from tabvae.columns.relations import cells_of, in_cells
from tabvae.rules.cells import Cells, Texts, as_texts
from tabvae.rules.config import RuleConfig
from tabvae.rules.expression import quoted
from tabvae.rules.rules import AnyRule, covers
from tabvae.values.arrow import Floats, Ints


@dataclass(frozen=True)
class BrokenRules:
    """Of each row, the rule that is broken most rarely of those that it breaks.

    Attributes:
        rules: that the table can break, rarest broken first.
        p_values: (R,) of each, the share of ordinary rows that break it or a rarer one, at most.
        number: (N,) of the rule among these; R where none is broken.
        asked: (N,) the cell that would keep it, as text; ``None`` where none is broken.

    **Examples**

    >>> from tabvae.columns.infer import infer_schema
    >>> from tabvae.columns.relations import RuleSearch, with_rules
    >>> table = pa.table({"a": [1, 2, 3], "b": [2, 4, 6]})
    >>> search = RuleSearch(("b = 2 * a",), find=False)
    >>> schema = with_rules(infer_schema(table), table, (), search)
    >>> new = pa.table({"a": [1, 1], "b": [2, 3]})
    >>> pa.table(BrokenRules.of(TableCodec(schema).fit(table), new).columns()).to_pydict()
    {'rule': [None, 'b = 2 * a'], 'rule_asks': [None, 'b = 2']}
    """

    rules: list[AnyRule]
    p_values: Floats
    number: Ints
    asked: Texts

    @classmethod
    def of(cls, codec: TableCodec, table: pa.Table) -> BrokenRules:
        schema = codec.schema
        cells = cells_of(schema.ruled, table, codec.na_values)
        rules = sorted((r for r in schema.rules if covers(cells, r)), key=lambda r: -r.share)
        least = 1 / (min(schema.rows, RuleConfig().most_rows) + 1)
        # Of rows like those fitted on, no more break one of some rules than break each in sum.
        p_values = (np.cumsum([1 - rule.share for rule in rules]) + least).clip(max=1)
        number = np.full(table.num_rows, len(rules))
        asked = np.full(table.num_rows, None, object)
        for k, rule in enumerate(rules):
            rows = np.flatnonzero(~rule.kept(cells) & (number == len(rules)))
            if len(rows):
                number[rows] = k
                asked[rows] = _asked(codec, rule, cells, rows)
        return cls(rules, p_values, number, asked)

    def columns(self) -> dict[str, pa.Array]:
        """``rule`` and ``rule_asks`` (N,); without rules, no columns."""
        if not self.rules:
            return {}
        texts = np.array([*map(str, self.rules), None], object)[self.number]
        return {
            "rule": pa.array(texts, pa.string()),
            "rule_asks": pa.array(self.asked, pa.string()),
        }

    def joined(self, p_values: Floats, trust: float = 4.0) -> Floats:
        """(N,) p-values of a model and of the rules together.

        A row is as odd as the lesser of the model's p-value and the rule's over ``trust``. No more
        rows are as odd by chance than have such a p-value or break such a rule, so the sum of both
        shares is a p-value (the union bound).

        Args:
            p_values: (N,) of the model.
            trust: how many times as rare a row has to be by the model to be as odd.
        """
        if not self.rules:
            return p_values
        ranks = np.append(self.p_values / trust, np.inf)
        oddness = np.minimum(p_values, ranks[self.number])
        rarer = np.searchsorted(ranks[:-1], oddness, side="right")
        joined: Floats = oddness + np.append(0.0, self.p_values)[rarer]
        return joined.clip(max=1.0)


def _asked(codec: TableCodec, rule: AnyRule, cells: Cells, rows: Ints) -> list[str]:
    """The cell of each of ``rows`` that a rule asks for, as text."""
    name, sign, values = rule.demand(cells)
    known = as_texts(values)
    if known is None:
        numbers = np.asarray(values[rows], np.float64)
        texts = in_cells(codec.schema[name], numbers, pa.string()).to_pylist()
    else:
        texts = known[rows].tolist()
    return [f"{quoted(name)} {sign} {text.strip()}" for text in texts]

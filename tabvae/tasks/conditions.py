"""What new rows are to hold: cells that are set, and conditions that cells are drawn under.

A condition is a text such as ``price > 5000``, ``city in (Bern, Basel)``, ``price in 10..20``,
``city != Bern`` or ``rating is missing``. Its cell is drawn from what the network believes of it,
restricted to the values that are allowed, before the rest of the row; of several conditions, rows
come as often as all of them together make them likely (sampling importance resampling, Rubin 1988).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
import pyarrow as pa

from tabvae.columns.bins import CategoricalBins, ContinuousBins
from tabvae.columns.codec import TableCodec
from tabvae.columns.codes import Codes
from tabvae.columns.schema import Column
from tabvae.errors import DataError, ParameterError, SchemaError, shown, suggestion
from tabvae.predict.ensemble import batches, sample_bins
from tabvae.predict.predictor import Predictor
from tabvae.predict.sampling import Sample, set_column
from tabvae.values import arrow
from tabvae.values.arrow import Floats, Mask

FORMS = "COL=VALUE, 'COL > 5', 'COL in (A, B)', 'COL in 1..5', 'COL != A' or 'COL is missing'"
_OPERATOR = re.compile(
    r"\s*(?P<sign>>=|<=|!=|=|>|<)\s*(?P<value>.*)$"
    r"|\s+in\s*\((?P<list>.*)\)\s*$"
    r"|\s+in\s+(?P<low>\S+?)\s*\.\.\s*(?P<high>\S+)\s*$"
    r"|\s+is\s+(?P<missing>missing)\s*$",
    re.DOTALL,
)


@dataclass(frozen=True)
class ConditionConfig:
    """How rows under several conditions are drawn.

    Attributes:
        candidates: for each row, of which one is kept: more come nearer to what all conditions
            together make likely, each costs a pass for each condition.
    """

    candidates: int = 8


@dataclass(frozen=True)
class Condition:
    """What a cell of a column may be.

    Attributes:
        column: its name.
        sign: ``=``, ``!=``, ``>``, ``>=``, ``<``, ``<=``, ``in``, ``..`` or ``missing``.
        values: the values beside it, as text.

    **Examples**

    >>> Condition.parse("unit price >= 5", ["unit", "unit price"])
    Condition(column='unit price', sign='>=', values=('5',))
    >>> Condition.parse("city in (Bern, Basel)", ["city"]).values
    ('Bern', 'Basel')
    """

    column: str
    sign: str
    values: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, names: Sequence[str]) -> Condition:
        """The condition that a text names, of a table with columns ``names``.

        Raises:
            ParameterError: it is of no form.
            SchemaError: there is no such column.
        """
        for name in sorted(names, key=len, reverse=True):
            for written in (name, f"'{name}'", f'"{name}"'):
                found = _OPERATOR.match(text[len(written) :]) if text.startswith(written) else None
                if found is not None:
                    return cls(name, *_said(found))
        head = re.match(r"\s*(.+?)\s*(?:[<>!=]|\s(?:in|is)\s)", text, re.DOTALL)
        if head is None:
            raise ParameterError(f"--where takes {FORMS}, however: {shown(text)}")
        raise SchemaError(f"no column {shown(head[1])}", suggestion(head[1], names))

    def __str__(self) -> str:
        match self.sign:
            case "missing":
                return f"{self.column} is missing"
            case "in":
                return f"{self.column} in ({', '.join(self.values)})"
            case "..":
                return f"{self.column} in {self.values[0]}..{self.values[1]}"
        return f"{self.column} {self.sign} {self.values[0]}"


def _said(found: re.Match[str]) -> tuple[str, tuple[str, ...]]:
    """Sign and values of a condition."""
    if found["sign"]:
        # After an equals sign stands the value as it is.
        return found["sign"], (found["value"],)
    if found["missing"]:
        return "missing", ()
    if found["low"]:
        return "..", (found["low"], found["high"])
    return "in", tuple(value.strip().strip("'\"") for value in found["list"].split(","))


Where = Mapping[str, Any] | Sequence[str | Condition]
"""Cells to set by column, or conditions."""


def conditions_of(where: Where, names: Sequence[str]) -> list[Condition]:
    """The conditions that are meant: of a mapping, a value is to be equal, a list or a tuple has
    values of which it is one, ``None`` is missing.

    Raises:
        ParameterError: one is of no form, or a column is set twice.
        SchemaError: there is no such column.
    """
    if isinstance(where, Mapping):
        return [_of_value(name, value) for name, value in where.items()]
    if isinstance(where, str) or not isinstance(where, Sequence):
        raise ParameterError(f"no conditions: {shown(str(where))}", "where={'price': 5}")
    found = [c if isinstance(c, Condition) else Condition.parse(str(c), names) for c in where]
    for name in [c.column for c in found if _is_set([c])]:
        if sum(c.column == name for c in found) > 1:
            raise ParameterError(f"--where sets column {shown(name)} twice")
    return found


def _of_value(name: str, value: Any) -> Condition:
    if value is None:
        return Condition(name, "missing")
    if isinstance(value, list | tuple | set | frozenset):
        return Condition(name, "in", tuple(map(str, value)))
    return Condition(name, "=", (str(value),))


@dataclass(frozen=True)
class Allowed:
    """The values of a column that its conditions allow.

    Attributes:
        weights: (bins,) share of each bin that is allowed.
        starts: (bins,) quantile at which that share begins.
        ends: (bins,) quantile at which it ends.
        words: of categories, whether each word is.
        low: of numbers, the least.
        high: of numbers, the largest.
    """

    weights: Floats
    starts: Floats
    ends: Floats
    words: Floats
    low: float
    high: float

    @classmethod
    def by(cls, codec: TableCodec, j: int, conditions: Sequence[Condition]) -> Allowed:
        """What all conditions on modelled column ``j`` allow.

        Raises:
            SchemaError: nothing, or a value is none of the column.
        """
        coder = codec.bins_[j]
        if isinstance(coder, CategoricalBins):
            found = _words(codec, j, coder, conditions)
        else:
            found = _numbers(codec, j, coder, conditions)
        if not found.weights.any():
            listed = " and ".join(map(str, conditions))
            raise SchemaError(f"no value with {shown(listed)}", _values_of(coder))
        return found

    def draw(
        self, codec: TableCodec, j: int, probabilities: Floats, uniforms: Floats
    ) -> tuple[Codes, Floats, Floats]:
        """Cells (n,) of the column as one column of codes, their quantiles within the bins, and
        how probable the allowed values are together.

        Args:
            codec: knows the column.
            j: which modelled column.
            probabilities: (n, bins) of its values, and of what else it may be.
            uniforms: (2, n) random numbers.
        """
        p = probabilities[:, : len(self.weights)] * self.weights
        total = p.sum(1)
        # Where nothing that is allowed is likely at all, it is as in the whole table.
        p[total <= 0] = codec.bins_[j].mass * self.weights
        bins = sample_bins(p / p.sum(1, keepdims=True), uniforms[0])
        inside = self.starts[bins] + uniforms[1] * (self.ends - self.starts)[bins]
        coder = codec.bins_[j]
        if isinstance(coder, CategoricalBins):
            inside = _within_pool(coder, self.words, bins, uniforms[1])
        codes = Codes.empty(len(bins), len(codec.sizes))
        set_column(codec, codes, j, np.arange(len(bins)), bins, inside)
        if isinstance(coder, ContinuousBins):
            values = codes.values[:, j].clip(self.low, self.high)
            codes.values[:, j], codes.scores[:, j] = values, coder.scores(values, bins)
        return codes, inside, total


def _values_of(coder: CategoricalBins | ContinuousBins) -> str:
    if isinstance(coder, CategoricalBins):
        return suggestion("", [word.strip() for word in coder.vocabulary])
    low, high = coder.ends
    return f"it goes from {low:g} to {high:g}"


def _words(
    codec: TableCodec, j: int, coder: CategoricalBins, conditions: Sequence[Condition]
) -> Allowed:
    words = np.ones(len(coder.vocabulary))
    for condition in conditions:
        if condition.sign not in ("in", "!="):
            raise SchemaError(
                f"column {shown(condition.column)} has categories, which have no order",
                "'COL in (A, B)' or 'COL != A'",
            )
        named = [codec.word(j, value) for value in condition.values]
        chosen = np.array([word in named for word in coder.vocabulary])
        words *= chosen if condition.sign == "in" else ~chosen
    counts = np.array(coder.counts, dtype=np.float64)
    share = words * counts
    last = coder.size - 1
    in_bins = np.append(share[:last], share[last:].sum())
    weights = in_bins / np.append(counts[:last], counts[last:].sum())
    nothing = np.zeros(len(weights))
    return Allowed(weights, nothing, nothing, words, 0.0, 0.0)


def _within_pool(coder: CategoricalBins, words: Floats, bins: Any, uniforms: Floats) -> Floats:
    """(n,) quantiles within the bins at which words lie that are allowed."""
    pooled = np.array(coder.counts[coder.size - 1 :], dtype=np.float64)
    allowed = pooled * words[coder.size - 1 :]
    if not allowed.any():
        return np.zeros(len(bins))
    shares = np.cumsum(allowed) / allowed.sum()
    index = np.searchsorted(shares, uniforms, side="right").clip(max=len(pooled) - 1)
    middle = (np.cumsum(pooled) - pooled / 2) / pooled.sum()
    return cast(Floats, np.where(bins == coder.size - 1, middle[index], 0.0))


def _numbers(
    codec: TableCodec, j: int, coder: ContinuousBins, conditions: Sequence[Condition]
) -> Allowed:
    column, unit = codec.columns_[j], _unit(codec, j, coder)
    bounds = [_bounds(codec, j, condition, unit) for condition in conditions]
    low = max(cast(float, column.minimum), *(low for low, _ in bounds))
    high = min(cast(float, column.maximum), *(high for _, high in bounds))
    if any(condition.sign in ("in", "!=") for condition in conditions):
        return _listed(codec, j, coder, (low, high), conditions)
    starts, ends = np.zeros(len(coder)), np.zeros(len(coder))
    quantiles = np.linspace(0, 1, coder.knots.shape[1])
    for k, knots in enumerate(coder.knots):
        if knots[0] == knots[-1]:
            ends[k] = float(low <= knots[0] <= high)
        elif low <= high:
            starts[k], ends[k] = np.interp([low, high], knots, quantiles)
    weights = (ends - starts).clip(0)
    if low <= high and not weights.any():
        # Between two bins, where the table had no number: the nearest one, moved there.
        weights[coder.encode(np.array([(low + high) / 2]))] = 1.0
    return Allowed(weights, starts, ends, np.ones(0), low, high)


def _bounds(codec: TableCodec, j: int, condition: Condition, unit: float) -> tuple[float, float]:
    """The least and the largest number that a condition allows."""
    low, high = -np.inf, np.inf
    values = [codec.number(j, value) for value in condition.values]
    if condition.sign in (">", ">=", ".."):
        low = _at_least(codec, j, values[0], condition.sign == ">", unit)
    if condition.sign in ("<", "<=", ".."):
        high = _at_most(codec, j, values[-1], condition.sign == "<", unit)
    return low, high


def _listed(
    codec: TableCodec,
    j: int,
    coder: ContinuousBins,
    ends: tuple[float, float],
    conditions: Sequence[Condition],
) -> Allowed:
    """Of numbers one by one: only bins of one number can be told apart."""
    if coder.widths.any():
        raise SchemaError(
            f"column {shown(codec.columns_[j].name)} has numbers without end; a list of them "
            "cannot be drawn",
            "'COL in 1..5', 'COL > 5', or COL=VALUE",
        )
    points = coder.knots[:, 0]
    allowed = (points >= ends[0]) & (points <= ends[1])
    for condition in conditions:
        if condition.sign in ("in", "!="):
            named = np.isin(points, [codec.number(j, value) for value in condition.values])
            allowed &= named if condition.sign == "in" else ~named
    weights = allowed.astype(np.float64)
    return Allowed(weights, np.zeros(len(points)), weights, np.ones(0), *ends)


def _unit(codec: TableCodec, j: int, coder: ContinuousBins) -> float:
    """By how much numbers of a column differ at least."""
    numbers = codec.columns_[j].numbers
    if numbers is not None and numbers.step > 0:
        return numbers.step
    if numbers is not None and numbers.decimals is not None:
        return float(10.0**-numbers.decimals)
    digits = 1e-12  # of those that are written
    return digits * max(abs(end) for end in (*coder.ends, coder.scale))


def _at_least(codec: TableCodec, j: int, value: float, strictly: bool, unit: float) -> float:
    """The least number of the column's spacing from ``value`` on."""
    numbers = codec.columns_[j].numbers
    assert numbers is not None
    found, rounding = float(numbers.snap(np.array([value]))[0]), unit * 1e-6
    if found < value - rounding or (strictly and found <= value + rounding):
        found = float(numbers.snap(np.array([found + unit]))[0])
    return found


def _at_most(codec: TableCodec, j: int, value: float, strictly: bool, unit: float) -> float:
    """The largest number of the column's spacing up to ``value``."""
    numbers = codec.columns_[j].numbers
    assert numbers is not None
    found, rounding = float(numbers.snap(np.array([value]))[0]), unit * 1e-6
    if found > value + rounding or (strictly and found >= value - rounding):
        found = float(numbers.snap(np.array([found - unit]))[0])
    return found


@dataclass(frozen=True)
class Given:
    """The cells of new rows that are not free.

    Attributes:
        sample: (N, columns) rows with these cells observed; of one that is to be missing, the
            state "missing" is.
    """

    sample: Sample

    @property
    def codes(self) -> Codes:
        """(N, columns) the rows."""
        return self.sample.codes

    def free(self, codec: TableCodec) -> dict[str, Mask]:
        """(N,) by column of the model, the cells that are not given."""
        free = {name: np.full(len(self.codes), True) for name in codec.schema.names}
        for j, column in enumerate(codec.columns_):
            free[column.name] = ~self.codes.observed[:, j]
        return free

    def completed(self, drawn: Sample) -> Sample:
        """What was drawn, with the cells that are given as they are."""
        given = self.codes.observed
        quantiles = np.where(given, self.sample.quantiles, drawn.quantiles)
        codes = drawn.codes.copy()
        missing = given & self.codes.missing
        codes.observed[missing], codes.missing[missing] = False, True
        return replace(drawn, codes=codes, quantiles=quantiles)


def rows_under(
    predictor: Predictor,
    rows: int,
    where: Where,
    seed: int,
    config: ConditionConfig | None = None,
) -> Given:
    """``rows`` rows in which the cells of conditions are set, or drawn.

    Args:
        predictor: networks and codec.
        rows: how many.
        where: conditions.
        seed: of what is drawn.
        config: how several conditions are joined.

    Raises:
        ParameterError, SchemaError: a condition is of no form, or nothing is like that.
    """
    codec, config = predictor.codec, config or ConditionConfig()
    conditions = conditions_of(where, codec.schema.names)
    by_column = {
        codec.position(name): [c for c in conditions if c.column == name]
        for name in dict.fromkeys(c.column for c in conditions)
    }
    set_first = sorted(by_column, key=lambda j: not _is_set(by_column[j]))
    free = [j for j in by_column if not _is_set(by_column[j])]
    each = config.candidates if len(free) > 1 else 1
    codes = Codes.empty(rows * each, len(codec.sizes))
    sample = Sample(codes, np.zeros(codes.bins.shape))
    likelihood = np.ones(len(codes))
    rng = np.random.default_rng([seed, len(free)])
    for j in set_first:
        if _is_set(by_column[j]):
            _set(codec, sample, j, by_column[j][0])
        else:
            allowed = Allowed.by(codec, j, by_column[j])
            probabilities = _probabilities(predictor, codes, j)
            uniforms = rng.random((2, len(codes)))
            cells, inside, likely = allowed.draw(codec, j, probabilities, uniforms)
            for array, drawn in zip(_arrays(codes), _arrays(cells), strict=True):
                array[:, j] = drawn[:, j]
            sample.quantiles[:, j] = inside
            likelihood *= likely
    if each == 1:
        return Given(sample)
    chosen = _resampled(likelihood.reshape(each, rows), rng)
    return Given(Sample(codes[chosen], sample.quantiles[chosen]))


def _probabilities(predictor: Predictor, codes: Codes, j: int) -> Floats:
    """(N, bins) of a column, given the observed cells."""
    blocks = []
    for rows in batches(len(codes)):
        layers = predictor.networks.represent(codes[rows], codes.observed[rows])
        blocks.append(predictor.networks.probabilities(layers, j))
    return np.concatenate(blocks)


def _arrays(codes: Codes) -> tuple[Any, ...]:
    return codes.bins, codes.scores, codes.values, codes.observed, codes.missing


def _resampled(likelihood: Floats, rng: np.random.Generator) -> Any:
    """Of the candidates (each, N), by number, one for each of N rows, as often as it is likely."""
    rows = likelihood.shape[1]
    share = np.maximum(likelihood, 1e-300)  # of candidates that are all unlikely, any
    uniforms: Floats = rng.random((rows,))
    return sample_bins((share / share.sum(0)).T, uniforms) * rows + np.arange(rows)


def _is_set(conditions: Sequence[Condition]) -> bool:
    """One value alone is asked for, or none."""
    return conditions[0].sign in ("=", "missing")


def _set(codec: TableCodec, sample: Sample, j: int, condition: Condition) -> None:
    """Set a cell of each row to the value of a condition, in place."""
    codes, coder = sample.codes, codec.bins_[j]
    codes.observed[:, j] = True
    if condition.sign == "missing":
        codes.bins[:, j], codes.missing[:, j] = len(coder), True
        return
    (text,) = condition.values
    codes.bins[:, j], codes.scores[:, j], codes.values[:, j] = codec.encode_cell(j, text)
    if isinstance(coder, CategoricalBins):
        word = codec.word(j, text)
        words = np.array([float(w == word) for w in coder.vocabulary])
        bins = codes.bins[:, j]
        sample.quantiles[:, j] = _within_pool(coder, words, bins, np.zeros(len(bins)))


def rows_given(codec: TableCodec, table: pa.Table) -> Given:
    """A row for each row of ``table``, whose cells that are there are set.

    Args:
        codec: knows the columns.
        table: some columns of the model.

    Raises:
        SchemaError: a column is not modelled, or a cell is no value that it has.
        DataError: there are no rows.
    """
    if not table.num_rows:
        raise DataError("no rows of conditions", "a row for each new row")
    codes = Codes.empty(table.num_rows, len(codec.sizes))
    sample = Sample(codes, np.zeros(codes.bins.shape))
    for j, column, cells in _columns(codec, table):
        for text in dict.fromkeys(t for t in cells if t is not None):
            rows = np.array([t == text for t in cells])
            part = Sample(codes[rows], sample.quantiles[rows])
            try:
                _set(codec, part, j, Condition(column.name, "=", (text,)))
            except SchemaError as error:
                first = int(np.flatnonzero(rows)[0]) + 1
                raise SchemaError(f"row {first}: {error.message}", error.hint) from error
            codes.put(rows, part.codes)
            sample.quantiles[rows] = part.quantiles
    return Given(sample)


def _columns(codec: TableCodec, table: pa.Table) -> Iterator[tuple[int, Column, list[str | None]]]:
    """Each modelled column of a table with its cells as text, missing ones as ``None``."""
    for name in table.column_names:
        j = codec.position(name)
        array = arrow.flat(table.column(name))
        missing = codec.columns_[j].missing_mask(array, codec.na_values)
        texts = arrow.to_text(array).to_pylist()
        yield j, codec.columns_[j], [None if m else t for t, m in zip(texts, missing, strict=True)]

"""How much a fit may tell of one row, and how that is split over all that it learns.

Two tables are neighbours if one has a row more (add or remove). A fit is (epsilon, delta)-private
if of any two neighbours each set of models S comes out with

    P(fit(D) in S)  <=  exp(epsilon) P(fit(D') in S) + delta        Dwork et al. 2006

The fit is a chain of queries that each see the table through noise (``tabvae.dp.noise``). Whatever
is made of their answers costs nothing more (post-processing). The number of rows comes first, with
pure epsilon_rows. For each answer to it, the rest is fixed before it looks at the table: noisy
counts of columns, gradients of random batches, noisy counts of scores. Their Renyi divergences add
up, however each depends on the answers before it (Mironov 2017), and give (epsilon - epsilon_rows,
delta_curve). Basic composition joins both. Values of columns that are not public are released by
noisy count: all of them together go wrong with ``delta_values``, see ``ValueThreshold``, so

    delta  =  delta_curve + exp(epsilon) K delta_value              K columns of unknown values
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Self

from tabvae.columns.arrays import Document
from tabvae.columns.from_json import from_json
from tabvae.columns.public import PublicColumn
from tabvae.errors import ParameterError, shown

if TYPE_CHECKING:
    from dp_accounting import DpEvent
    from dp_accounting.rdp import RdpAccountant

ORDERS = (*range(2, 65), *range(68, 129, 4), *range(144, 257, 16), 384, 512, 768, 1024)
"""Of Renyi divergences, of which the best is taken: whole ones, for which there are closed sums."""
DELTA = 1e-6
"""Unless another is asked for: below one over the rows of a table of a million."""


@dataclass(frozen=True)
class Privacy:
    """What a user asks for.

    Attributes:
        epsilon: how much one unit may change the odds of any model, at most by the factor exp of
            it.
        delta: probability that is left out.
        unit: column that names whom a row is of; by default each row is by itself.
        public: what is known of columns without looking at the table, by name.

    Raises:
        ParameterError: a value is outside its domain.

    **Examples**

    >>> Privacy(epsilon=3.0).whose, Privacy(epsilon=3.0, unit="person").whose
    ('one row', "all rows of one value of 'person'")
    """

    least_epsilon: ClassVar[float] = 0.1
    largest_epsilon: ClassVar[float] = 100.0
    least_delta: ClassVar[float] = 1e-12
    largest_delta: ClassVar[float] = 0.01

    epsilon: float
    delta: float = DELTA
    unit: str | None = None
    public: Mapping[str, PublicColumn] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.least_epsilon <= self.epsilon <= self.largest_epsilon:
            between = f"from {self.least_epsilon} to {self.largest_epsilon:g}"
            raise ParameterError(f"epsilon is {between}, however: {self.epsilon}", "--epsilon 3")
        if not self.least_delta <= self.delta <= self.largest_delta:
            between = f"from {self.least_delta:g} to {self.largest_delta:g}"
            raise ParameterError(f"delta is {between}, however: {self.delta}", "--delta 1e-6")

    @property
    def whose(self) -> str:
        """What is protected."""
        return "one row" if self.unit is None else f"all rows of one value of {shown(self.unit)}"


@dataclass(frozen=True)
class BudgetConfig:
    """How a budget is split. Users do not choose it.

    Attributes:
        rows: share of epsilon for the number of rows, from which all else is planned.
        columns: what the counts of all columns would cost alone, as a share of what is left of
            epsilon; a network learns nothing from bins that are wrong.
        scores: the same of the counts by which p-values are calibrated.
        values: share of delta for values that are released by their noisy count.
    """

    rows: float = 0.03
    columns: float = 0.5
    scores: float = 0.15
    values: float = 0.3


@dataclass(frozen=True)
class Budget:
    """The split, fixed before anything but the number of rows is known of a table.

    Attributes:
        epsilon: in all.
        delta: in all.
        epsilon_rows: of the number of rows, pure.
        delta_curve: of the rest, as its Renyi divergences give it.
        delta_value: by which the value of a column may be released that one row alone makes
            frequent.
        columns: noise multiplier of the counts of all columns together.
        scores: the same of those of all scores.

    **Examples**

    >>> budget = Budget.of(Privacy(epsilon=3.0), unknown=4)
    >>> budget.epsilon_rows, budget.columns < budget.scores
    (0.09, True)
    """

    epsilon: float
    delta: float
    epsilon_rows: float
    delta_curve: float
    delta_value: float
    columns: float
    scores: float

    @classmethod
    def of(cls, privacy: Privacy, unknown: int, config: BudgetConfig = BudgetConfig()) -> Budget:
        """The split of what is asked for.

        Args:
            privacy: what is asked for.
            unknown: columns whose values are not known without looking, at most.
            config: how it is split.

        Raises:
            ParameterError: the accountant is not installed.
        """
        rows = config.rows * privacy.epsilon
        rest = privacy.epsilon - rows
        values = config.values * privacy.delta
        curve = privacy.delta - values
        return cls(
            epsilon=privacy.epsilon,
            delta=privacy.delta,
            epsilon_rows=rows,
            delta_curve=curve,
            delta_value=values * math.exp(-rest) / max(unknown, 1),
            columns=_multiplier(config.columns * rest, curve),
            scores=_multiplier(config.scores * rest, curve),
        )

    @property
    def epsilon_curve(self) -> float:
        """What all but the number of rows may cost together."""
        return self.epsilon - self.epsilon_rows

    def gradients(self, rate: float, steps: int) -> float:
        """The noise multiplier of so many steps, each on a random share ``rate`` of the rows, that
        the rest of the budget asks for."""
        from dp_accounting import ComposedDpEvent

        def composed(multiplier: float) -> DpEvent:
            counts = [_gaussian(self.columns), _gaussian(self.scores)]
            return ComposedDpEvent([*counts, steps_event(multiplier, rate, steps)])

        return _least(composed, self.epsilon_curve, self.delta_curve)

    def guarantee(
        self, privacy: Privacy, multiplier: float, rate: float, steps: int, values: int
    ) -> Guarantee:
        """What a fit by this budget promises, part by part.

        Args:
            privacy: what was asked for.
            multiplier: of the noise in the gradients.
            rate: share of the rows in a step.
            steps: how many.
            values: columns whose values were released by their noisy count.
        """
        curve = self.delta_curve
        alone = {
            "columns": epsilon_of(_gaussian(self.columns), curve),
            "networks": epsilon_of(steps_event(multiplier, rate, steps), curve),
            "p-values": epsilon_of(_gaussian(self.scores), curve),
        }
        told = {
            "columns": "noisy counts of cells (discrete Gaussian)",
            "networks": f"DP-SGD, {steps} steps, sampling rate {rate:.4g}",
            "p-values": "noisy counts of scores (discrete Gaussian)",
        }
        noise = {"columns": self.columns, "networks": multiplier, "p-values": self.scores}
        parts = [
            Share(
                "rows",
                "noisy count (discrete Laplace)",
                1 / self.epsilon_rows,
                self.epsilon_rows,
                0.0,
            )
        ]
        parts += [Share(name, told[name], noise[name], alone[name], curve) for name in told]
        if values:
            threshold = self.delta - curve
            parts.append(Share("values", "noisy count above a threshold", 0.0, 0.0, threshold))
        return Guarantee(privacy.epsilon, privacy.delta, privacy.unit, tuple(parts))


@dataclass(frozen=True)
class Share:
    """What one part of a model takes of the budget.

    Attributes:
        part: of the model.
        mechanism: by which it is private.
        noise: deviation of the noise, over what one unit can change; 0 for none of its own.
        epsilon: what the part would cost alone, at ``delta``.
        delta: with it.
    """

    part: str
    mechanism: str
    noise: float
    epsilon: float
    delta: float


@dataclass(frozen=True)
class Guarantee:
    """What a model file promises, as it is kept in it.

    Attributes:
        epsilon: of the whole.
        delta: of the whole.
        unit: column that names whom a row is of; ``None`` for each row by itself.
        parts: what each takes; alone, they cost more in sum than together.

    Raises:
        ValueError: no fit promises that.

    **Examples**

    >>> Guarantee(3.0, 1e-6, None, ()).document()["epsilon"]
    3.0
    """

    outside: ClassVar[tuple[str, ...]] = (
        "names, order and stored types of columns",
        "path and format of the file (delimiter, quotes, encoding, header)",
        "options and schema given to fit",
        "time and memory that fit takes, and its messages",
    )

    epsilon: float
    delta: float
    unit: str | None
    parts: tuple[Share, ...]

    def __post_init__(self) -> None:
        _ = Privacy(self.epsilon, self.delta, self.unit)
        numbers = [n for part in self.parts for n in (part.noise, part.epsilon, part.delta)]
        if not all(n >= 0 for n in numbers):
            raise ValueError("a part of a budget that none is")

    @property
    def whose(self) -> str:
        """What is protected."""
        return Privacy(self.epsilon, self.delta, self.unit).whose

    def document(self) -> Document:
        """All of it, by the names of its attributes."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Self:
        """Made again from what ``document`` gave.

        Raises:
            ValueError: it is none.
        """
        return from_json(cls, document)


def epsilon_of(event: DpEvent, delta: float) -> float:
    """What queries cost together, by their Renyi divergences.

    Raises:
        ParameterError: the accountant is not installed.
    """
    return float(_accountant().compose(event).get_epsilon(delta))


def steps_event(multiplier: float, rate: float, steps: int) -> DpEvent:
    """``steps`` sums of gradients with Gaussian noise, each over a random share ``rate`` of the
    rows."""
    from dp_accounting import PoissonSampledDpEvent, SelfComposedDpEvent

    return SelfComposedDpEvent(PoissonSampledDpEvent(rate, _gaussian(multiplier)), steps)


def _gaussian(multiplier: float) -> DpEvent:
    from dp_accounting import GaussianDpEvent

    return GaussianDpEvent(multiplier)


def _accountant() -> RdpAccountant:
    try:
        from dp_accounting.rdp import RdpAccountant
    except ImportError as error:
        raise ParameterError(
            "fits under differential privacy need an accountant", "pip install 'tabvae[dp]'"
        ) from error
    return RdpAccountant(ORDERS)


def _multiplier(epsilon: float, delta: float) -> float:
    """Of the Gaussian noise that costs no more than ``epsilon`` and ``delta`` alone."""
    _ = _accountant()
    return _least(_gaussian, epsilon, delta)


def _least(event: Any, epsilon: float, delta: float, precision: float = 1e-3) -> float:
    """The least noise multiplier with which ``event`` costs at most ``epsilon`` and ``delta``, too
    large by no more than a share ``precision``."""
    low = high = 1.0
    while epsilon_of(event(high), delta) > epsilon:
        low, high = high, 2 * high
    while low == high or (low > 1e-2 and epsilon_of(event(low), delta) <= epsilon):
        low, high = low / 2, min(low, high)
    while high / low > 1 + precision:
        middle = math.sqrt(low * high)
        if epsilon_of(event(middle), delta) > epsilon:
            low = middle
        else:
            high = middle
    return high

"""The model's card: the training curve, diagnostics of the latent space, and calibration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa

from tabvae.columns.arrays import Arrays, Document, floats, prefixed
from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.dp.budget import Guarantee
from tabvae.dp.calibrate import calibrated
from tabvae.dp.describe import Purse
from tabvae.predict.calibration import Calibration, CalibrationConfig, as_of_new_rows
from tabvae.predict.density import Density
from tabvae.predict.ensemble import Ensemble
from tabvae.predict.predictor import Predictor
from tabvae.progress import Tell, parts, unheard
from tabvae.tasks.broken import BrokenRules
from tabvae.tasks.detect import UNITS, DetectConfig, explain, residual_scales
from tabvae.tasks.leakage import Leakage
from tabvae.tasks.scores import Examined, Score, chosen_score, known_scores
from tabvae.training.state import Record
from tabvae.values.arrow import Floats


@dataclass(frozen=True)
class DiagnosticsConfig:
    """When a latent space is said to be unused.

    Attributes:
        active_nats: a latent dimension with less KL than this on average carries nothing.
        collapsed_share: of the dimensions in use, below which the posterior has collapsed.

    Examples:
        >>> DiagnosticsConfig().active_nats
        0.01
    """

    active_nats: float = 0.01
    collapsed_share: float = 0.25


@dataclass(frozen=True)
class Card:
    """What is known of a fitted model beyond its weights.

    Attributes:
        records: what happened in the training of each network.
        kl: (latent,) mean KL per latent dimension over validation rows, in nats; of no length for
            a model without a KL term.
        scales: (UNITS, masks, columns) residual deviations, see ``residual_scales``.
        calibrations: distribution of each score the model has, by its name.
        leakage: what it gives away of the rows it learned from; ``None`` if that is not known.
        density: of rows; ``None`` for grids.
        guarantee: what it promises of those rows; ``None`` for nothing.

    Raises:
        ValueError: the residual deviations are of another shape, or not positive.

    Examples:
        >>> kl = np.array([0.5, 0.001, 0.002, 0.003, 0.004])
        >>> card = Card((), kl, np.ones((UNITS, DetectConfig().masks, 3)), {})
        >>> card.active, card.collapsed
        (1, True)
    """

    config: ClassVar[DiagnosticsConfig] = DiagnosticsConfig()
    records: tuple[Record, ...]
    kl: Floats
    scales: Floats
    calibrations: dict[str, Calibration]
    leakage: Leakage | None = None
    density: Density | None = None
    guarantee: Guarantee | None = None

    def __post_init__(self) -> None:
        shape = (UNITS, DetectConfig().masks)
        if self.scales.shape[:2] != shape or not (self.scales > 0).all():
            raise ValueError("the residual deviations are none")

    @property
    def active(self) -> int:
        """Number of latent dimensions in use."""
        return int((self.kl > self.config.active_nats).sum())

    @property
    def collapsed(self) -> bool:
        """Most of the latent space is unused."""
        return self.active < self.config.collapsed_share * len(self.kl)

    @classmethod
    def measure(
        cls,
        predictor: Predictor,
        codes: Codes,
        training: Codes,
        validation: Codes,
        records: Sequence[Record],
        leakage: Leakage | None = None,
        tell: Tell = unheard,
    ) -> Card:
        """Measure the networks on the rows they did not train on; where these are few, on all.

        Args:
            predictor: networks and codec.
            codes: (N, columns) the whole table.
            training: (n, columns) the rows that the networks trained on.
            validation: (H, columns) the rows that no network trained on.
            records: of each network's training.
            leakage: what they and the trees give away.
            tell: how far it is.
        """
        before, after = parts(tell, 1.0, 4.0)
        networks = predictor.networks
        ordinary = ordinary_rows(codes, validation)
        density = None
        if networks.nets[0].sizes.grid is None:
            density = Density.fit(predictor, training, validation, ordinary)
        before(1.0)
        scales, calibrations = _calibrated(predictor, ordinary, validation, density, tell=after)
        variational = networks.objective.variational
        kl = networks.kl(validation if len(validation) else codes).mean(0) if variational else []
        kl = np.asarray(kl, np.float64)
        return cls(tuple(records), kl, scales, calibrations, leakage, density)

    def calibrated_by(self, predictor: Predictor, drawn: Codes, real: Codes, purse: Purse) -> Card:
        """This card with its scores calibrated on ``real`` rows by noisy counts.

        Args:
            predictor: networks and codec.
            drawn: (n, columns) rows that the model draws.
            real: (N, columns) rows of the table.
            purse: what the counts may cost together.
        """
        calibrations: dict[str, Calibration] = {}
        both = [
            Examined(predictor, rows, self.scales, self.density, calibrations)
            for rows in (drawn, real)
        ]
        names = list(known_scores(predictor.networks, self.density))
        for place, name in enumerate(names):
            of_drawn, of_real = (examined.score(name) for examined in both)
            calibrations[name] = calibrated(of_drawn, of_real, purse, 1 / (len(names) - place))
        return replace(self, calibrations=calibrations)

    def score(self, networks: Ensemble, name: str | None) -> tuple[Score, Calibration]:
        """The score of that name, or the one that suits the networks, and its distribution.

        Raises:
            ParameterError: there is no such score, or the networks lack it.
        """
        score = chosen_score(networks, self.density, name)
        return score, self.calibrations[score.name]

    def judge(
        self, predictor: Predictor, table: pa.Table, codes: Codes, score: Score, fpr: float
    ) -> pa.Table:
        """Score, p-value and verdict of each row, the cells that account for it, and of models with
        rules the one that it breaks.

        Args:
            predictor: networks and codec.
            table: (N,) rows.
            codes: (N, columns) the same.
            score: one that the model has.
            fpr: share of ordinary rows that may be called outliers.
        """
        examined = Examined(predictor, codes, self.scales, self.density, self.calibrations)
        scores = examined.score(score.name)
        broken = BrokenRules.of(predictor.codec, table)
        p_values = broken.joined(self.calibrations[score.name].p_values(scores))
        columns = {"score": scores, "p_value": p_values, "outlier": p_values <= fpr}
        cells = explain(predictor, table, codes, examined.surprise.attribution)
        return pa.table(columns | cells | broken.columns())

    def arrays(self) -> Arrays:
        """``card.*``."""
        quantiles = {kind: one.quantiles for kind, one in self.calibrations.items()}
        return {
            "card.kl": self.kl,
            "card.scales": self.scales,
            **prefixed("card.quantiles.", quantiles),
            **({} if self.density is None else self.density.arrays()),
        }

    def document(self) -> Document:
        """Records, leakage, and what the calibrations have beside quantiles."""
        return {
            "records": [asdict(record) for record in self.records],
            "calibrations": {
                kind: {"rows": one.rows, "tail": one.tail}
                for kind, one in self.calibrations.items()
            },
            "leakage": None if self.leakage is None else asdict(self.leakage),
            "density": None if self.density is None else self.density.document(),
            "privacy": None if self.guarantee is None else self.guarantee.document(),
        }

    @classmethod
    def from_document(
        cls, document: Mapping[str, Any], arrays: Arrays, predictor: Predictor
    ) -> Card:
        """Made again from what ``document`` and ``arrays`` gave.

        Raises:
            ValueError, KeyError: they are not those of ``predictor``.
        """
        networks = predictor.networks
        leakage, density, privacy = (document[name] for name in ("leakage", "density", "privacy"))
        card = cls(
            records=tuple(from_json(Record, record) for record in document["records"]),
            kl=floats(arrays, "card.kl"),
            scales=floats(arrays, "card.scales"),
            calibrations={
                kind: from_json(
                    Calibration, one, quantiles=floats(arrays, f"card.quantiles.{kind}")
                )
                for kind, one in document["calibrations"].items()
            },
            leakage=None if leakage is None else from_json(Leakage, leakage),
            density=None if density is None else Density.from_document(density, arrays, predictor),
            guarantee=None if privacy is None else Guarantee.from_document(privacy),
        )
        kl = (networks.latent,) if networks.objective.variational else (0,)
        if card.scales.shape[2:] != (len(networks.sizes),) or card.kl.shape != kl:
            raise ValueError("its card is of another table")
        if set(card.calibrations) != set(known_scores(networks, card.density)):
            raise ValueError("it has other scores than its model")
        return card


def ordinary_rows(
    codes: Codes, validation: Codes, config: CalibrationConfig = CalibrationConfig()
) -> Codes:
    """Rows that new ones are compared with: of validation, or where these are few, of the table."""
    if len(validation) >= config.enough_rows:
        return validation
    return codes.at_most(config.most_rows, seed=0)


def _calibrated(
    predictor: Predictor,
    ordinary: Codes,
    validation: Codes,
    density: Density | None,
    config: CalibrationConfig = CalibrationConfig(),
    tell: Tell = unheard,
) -> tuple[Floats, dict[str, Calibration]]:
    """Residual deviations, and the calibration of each score, by its name; that of ``combined``
    comes last, for it asks for those of others."""
    scales = residual_scales(predictor, ordinary)
    calibrations: dict[str, Calibration] = {}
    examined = Examined(predictor, ordinary, scales, density, calibrations)
    beside = Examined(predictor, validation, scales, density, calibrations)
    known = known_scores(predictor.networks, density)
    for number, (name, score) in enumerate(known.items()):
        tell((number + 1) / (len(known) + 1))
        scores = examined.score(name)
        if ordinary is not validation and len(validation):
            scores = as_of_new_rows(scores, beside.score(name), score.shift, config)
        calibrations[name] = Calibration.measure(scores)
    return scales, calibrations

"""Fits under differential privacy: what leaves the table, by which mechanism, at which price."""

from __future__ import annotations

import datetime as dt
import decimal
import json
import math
import random
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.columns.public import PublicColumn, public_columns
from tabvae.columns.schema import ColumnKind
from tabvae.dp import noise, sgd
from tabvae.dp.budget import Budget, Privacy, epsilon_of, steps_event
from tabvae.dp.calibrate import NoisyCalibrationConfig, calibrated
from tabvae.dp.describe import Purse, describe, looked_at, one_row_a_unit
from tabvae.dp.sgd import Course, SgdConfig
from tabvae.errors import DataError, ParameterError, SchemaError, TabVAEError
from tabvae.files import container
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.training.config import Plan, Settings
from tabvae.training.masking import Masking

from . import helpers
from .conftest import make_frame
from .helpers import assert_one_line_error, tabvae

dp_accounting = pytest.importorskip("dp_accounting")

LIKELY = 1e-6
"""Probability of a test that fails although nothing is wrong, were its noise not repeated."""


class Repeated(random.Random):
    """Noise that comes again: a test says the same each time."""

    def randbelow(self, below: int) -> int:
        return self.randrange(below)

    def randbits(self, count: int) -> int:
        return self.getrandbits(count)

    def token_bytes(self, count: int) -> bytes:
        return self.randbytes(count)


@pytest.fixture(autouse=True)
def fixture_repeated(request: pytest.FixtureRequest) -> Iterator[None]:
    """Within tests; models that several tests share have true noise."""
    with mock.patch("tabvae.dp.noise.secrets", Repeated(request.node.name)):
        yield


@contextmanager
def hasty(steps: int = 12, width: int = 24) -> Iterator[None]:
    """Private fits take few steps of a small network."""
    few = partial(SgdConfig, steps=steps, width=width, fast_share=1.0)
    drawn = partial(NoisyCalibrationConfig, drawn_rows=120, most_rows=120)
    with (
        helpers.hasty(),
        mock.patch("tabvae.dp.sgd.SgdConfig", few),
        mock.patch("tabvae.fit.NoisyCalibrationConfig", drawn),
    ):
        yield


@pytest.fixture(scope="module", name="rows")
def fixture_rows() -> pd.DataFrame:
    return make_frame(1200)


def fitted(frame: pd.DataFrame, **parameters: Any) -> TabVAE:
    with hasty():
        return TabVAE(**{"effort": "fast", "epsilon": 8.0, **parameters}).fit(frame)


@pytest.fixture(scope="module", name="private")
def fixture_private(rows: pd.DataFrame) -> TabVAE:
    return fitted(rows)


@pytest.fixture(scope="module", name="other")
def fixture_other(rows: pd.DataFrame) -> TabVAE:
    """With two cells that no other row has."""
    frame = rows.copy()
    frame["group"] = frame["group"].astype(object)
    frame.loc[3, "group"] = "the-only-one"
    frame.loc[4, "size"] = 123456.7
    return fitted(frame)


# the file: nothing but what is accounted

COUNTS, GRADIENTS, SCORES = "columns", "networks", "p-values"
POST, PUBLIC, CONSTANT, ROWS = "made of drawn rows", "outside", "the same in every file", "rows"
ARRAYS = {
    r"column\.\d+\.(knots|means|mass)": COUNTS,
    r"net\.0\.decoder\.logits\.basis": COUNTS,
    r"net\.0\..*": GRADIENTS,
    r"(margins\.places|tilt\.\d+)": CONSTANT,
    r"map\..*": POST,
    r"card\.quantiles\.\w+": SCORES,
    r"card\.(kl|scales)": POST,
    r"density\.\w+\.\w+": POST,
}
COLUMN = {
    "name|type": PUBLIC,
    "kind|reason|missing|distinct|numbers|datetime_format|minimum|maximum": COUNTS,
    "missing_text|missing_texts|rival_format|doubt|constant|pattern|foreign|levels|order": CONSTANT,
}
FIELDS = {
    r"format|versions": CONSTANT,
    r"parameters|source|frame|na_values|shape|objective|nets": PUBLIC,
    r"columns": COUNTS,
    r"schema": "see COLUMN",
    r"records|leakage": CONSTANT,
    r"calibrations": SCORES,
    r"density": POST,
    r"privacy": ROWS,
}


def mechanism(name: str, table: dict[str, str]) -> str:
    found = [how for pattern, how in table.items() if re.fullmatch(pattern, name)]
    assert found, f"{name}: by which mechanism may it be known?"
    return found[0]


def saved(model: TabVAE, folder: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    path = str(folder / "model.tabvae")
    model.save(path)
    document, arrays = container.read(path)
    return document, arrays


def test_every_array_and_field_of_the_file_has_a_mechanism(private: TabVAE, tmp_path: Path) -> None:
    document, arrays = saved(private, tmp_path)
    for name in arrays:
        mechanism(name, ARRAYS)
    for name in document:
        mechanism(name, FIELDS)
    assert set(document["schema"]) == {"rows", "columns", "rules", "types"}
    assert document["schema"]["rules"] == []
    for column in document["schema"]["columns"]:
        for name in column:
            mechanism(name, COLUMN)


def test_constants_of_the_file_are_constant(private: TabVAE, other: TabVAE, tmp_path: Path) -> None:
    documents, every = zip(saved(private, tmp_path), saved(other, tmp_path), strict=True)
    for document in documents:
        assert document["leakage"] is None
        assert document["source"] is None
        assert [record["curve"] for record in document["records"]] == [[]]
        for column in document["schema"]["columns"]:
            assert (column["missing_text"], column["foreign"]) == ("", 0)
            assert column["constant"] is column["pattern"] is column["doubt"] is None
    for arrays in every:
        np.testing.assert_allclose(arrays["margins.places"], np.linspace(0, 1, 101))
        tilts = [array for name, array in arrays.items() if name.startswith("tilt.")]
        assert all((tilt == 0).all() for tilt in tilts)


def test_no_cell_that_few_rows_share_is_in_the_file(other: TabVAE, tmp_path: Path) -> None:
    path = tmp_path / "model.tabvae"
    other.save(str(path))
    data = path.read_bytes()
    assert b"the-only-one" not in data
    assert b"r-0003" not in data
    arrays = container.read(str(path))[1]
    assert not any(np.isclose(array, 123456.7).any() for array in arrays.values())


def test_the_command_line_keeps_no_fingerprint_and_no_checkpoint(
    rows: pd.DataFrame, tmp_path: Path
) -> None:
    rows.to_csv(tmp_path / "data.csv", index=False)
    with hasty():
        result = tabvae(tmp_path, "fit", "data.csv", "--epsilon", "8", "--checkpoint", "0")
    assert result.code == 0, result.err
    assert "about " in result.err
    assert "differential privacy: epsilon 8, delta 1e-06, for one row" in result.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data.csv", "data.tabvae"]
    source = container.read(str(tmp_path / "data.tabvae"))[0]["source"]
    assert source["fingerprint"] is source["unseen"] is None
    shown = tabvae(tmp_path, "inspect", "data.tabvae", COLUMNS="160").out
    for word in ("DP-SGD", "discrete Gaussian", "discrete Laplace", "outside: names", "epsilon 8"):
        assert word in shown
    told = json.loads(tabvae(tmp_path, "inspect", "data.tabvae", "--json").out)["privacy"]
    assert {part["part"] for part in told["parts"]} == {
        "rows",
        "columns",
        "values",
        "networks",
        "p-values",
    }
    for command in (["impute"], ["detect"], ["embed"], ["generate", "-n", "5"]):
        done = tabvae(tmp_path, *command)
        assert done.code == 0, done.err
        assert "copies" not in done.err


# all five uses


def test_all_five_uses(private: TabVAE, rows: pd.DataFrame, tmp_path: Path) -> None:
    private.save(str(tmp_path / "model.tabvae"))
    again = TabVAE.load(str(tmp_path / "model.tabvae"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for model in (private, again):
            filled = model.impute(rows[:50])
            assert filled["group"].notna().all()
            assert len(model.impute(rows[:20], draws=2)) == 40
            assert model.embed(rows[:20]).shape == (20, 8)
            assert model.decode(model.embed(rows[:5])).shape == (5, rows.shape[1])
            odd = model.detect(rows[:50])
            assert odd["p_value"].between(0, 1).all()
            assert np.isfinite(model.evaluate(rows[:30], samples=2).loss[:1]).all()
        new = again.generate(30, seed=1)
    assert list(new) == list(rows)
    assert set(new["group"].dropna()) <= {"north", "south", "east", ""}
    assert again.fitted_.card.guarantee == private.fitted_.card.guarantee


def test_the_same_seed_gives_other_noise(private: TabVAE, other: TabVAE) -> None:
    one, two = (model.fitted_.arrays()["net.0.encoder.scores.weight"] for model in (private, other))
    assert not np.allclose(one, two)


# accounting


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 3.0, 10.0])
def test_the_whole_costs_what_was_asked_for(epsilon: float) -> None:
    budget = Budget.of(Privacy(epsilon), unknown=7)
    multiplier = budget.gradients(rate=0.02, steps=500)
    together = dp_accounting.ComposedDpEvent(
        [
            dp_accounting.GaussianDpEvent(budget.columns),
            dp_accounting.GaussianDpEvent(budget.scores),
            steps_event(multiplier, 0.02, 500),
        ]
    )
    curve = epsilon_of(together, budget.delta_curve)
    assert 0.98 * epsilon < curve + budget.epsilon_rows <= epsilon
    released = 7 * budget.delta_value * math.exp(budget.epsilon_curve)
    assert budget.delta_curve + released <= budget.delta * (1 + 1e-9)
    # Another accountant, by privacy loss distributions, finds no more, and hardly less.
    accountant = dp_accounting.pld.PLDAccountant()
    assert 0.8 * curve < accountant.compose(together).get_epsilon(budget.delta_curve) <= curve


@pytest.mark.slow
@pytest.mark.parametrize("multiplier", [0.8, 1.5, 4.0])
@pytest.mark.parametrize("rate", [0.004, 0.1])
def test_the_accountant_agrees_with_opacus(multiplier: float, rate: float) -> None:
    opacus = pytest.importorskip("opacus.accountants.analysis.rdp")
    from tabvae.dp.budget import ORDERS

    curve = opacus.compute_rdp(q=rate, noise_multiplier=multiplier, steps=1000, orders=list(ORDERS))
    theirs, _ = opacus.get_privacy_spent(orders=list(ORDERS), rdp=curve, delta=1e-6)
    ours = epsilon_of(steps_event(multiplier, rate, 1000), 1e-6)
    assert ours == pytest.approx(theirs, rel=0.01)


def test_a_column_never_spends_more_than_its_purse(rows: pd.DataFrame) -> None:
    """Whatever its cells are, and whatever is public of it."""
    spent: list[float] = []
    counts = Purse.counts

    def watched(purse: Purse, cells: Any, share: float) -> Any:
        noisy, variance = counts(purse, cells, share)
        spent.append(1 / (2 * float(variance)))
        return noisy, variance

    table = pa.Table.from_pandas(rows.astype(str), preserve_index=False)
    public = public_columns({"size": {"kind": "numeric", "minimum": 0, "maximum": 60}})
    privacy = Privacy(8.0, public=public)
    columns = looked_at(table, privacy, {})
    budget = Budget.of(privacy, unknown=len(columns))
    with mock.patch.object(Purse, "counts", watched):
        describe(table, ("nan",), columns, {}, budget, 1200)
    assert sum(spent) <= 1 / (2 * budget.columns**2) * (1 + 1e-9)


@pytest.mark.parametrize("size", [17.77, 30.0, 1e9, np.nan])
def test_a_row_changes_one_count_of_each_histogram_by_one(rows: pd.DataFrame, size: float) -> None:
    """Whatever was answered before, all else in a query stays as it is."""
    more = rows[7:8].assign(group="nobody else's", size=size, count=2.0)
    answers: list[np.ndarray] = []

    def asked(frame: pd.DataFrame, answers: list[np.ndarray]) -> list[np.ndarray]:
        queries: list[np.ndarray] = []

        def answer(cells: Any, variance: Fraction) -> Any:
            assert variance > 0
            queries.append(np.asarray(cells))
            if len(answers) < len(queries):
                answers.append(np.asarray(cells))
            return answers[len(queries) - 1]

        table = pa.Table.from_pandas(frame.astype(str), preserve_index=False)
        columns = looked_at(table, Privacy(8.0), {})
        budget = Budget.of(Privacy(8.0), unknown=len(columns))
        with mock.patch("tabvae.dp.describe.noisy_counts", answer):
            describe(table, ("nan",), columns, {}, budget, 1200)
        return queries

    one, other = asked(rows, answers), asked(pd.concat([rows, more]), answers)
    assert len(one) == len(other)
    differences = [after - before for before, after in zip(one, other, strict=True)]
    assert all(set(d.tolist()) <= {0, 1} and d.sum() <= 1 for d in differences)
    assert sum(d.sum() for d in differences) > 5


# noise


@given(st.fractions(min_value=Fraction(1, 4), max_value=Fraction(400)))
def test_noise_of_counts_is_whole_and_as_wide_as_asked(variance: Fraction) -> None:
    drawn = [noise.discrete_gaussian(variance) for _ in range(40)]
    assert all(isinstance(one, int) for one in drawn)
    assert max(map(abs, drawn)) <= 1 + 8 * math.sqrt(variance)


@pytest.mark.parametrize("variance", [Fraction(1, 2), Fraction(9), Fraction(1000, 3)])
def test_discrete_noise_is_distributed_as_its_formula(variance: Fraction) -> None:
    drawn = np.array([noise.discrete_gaussian(variance) for _ in range(4000)])
    reach = np.arange(-200, 201)
    p = np.exp(-(reach**2) / (2 * float(variance)))
    p /= p.sum()
    _assert_distributed(drawn, reach, p)


@pytest.mark.parametrize("epsilon", [Fraction(1, 9), Fraction(7, 5)])
def test_laplace_noise_is_distributed_as_its_formula(epsilon: Fraction) -> None:
    drawn = np.array([noise.discrete_laplace(epsilon) for _ in range(4000)])
    reach = np.arange(-300, 301)
    p = np.exp(-float(epsilon) * np.abs(reach))
    _assert_distributed(drawn, reach, p / p.sum())


def _assert_distributed(drawn: np.ndarray, reach: np.ndarray, p: np.ndarray) -> None:
    """By the inequality of Dvoretzky, Kiefer & Wolfowitz."""
    found = np.searchsorted(np.sort(drawn), reach, side="right") / len(drawn)
    bound = math.sqrt(math.log(2 / LIKELY) / (2 * len(drawn)))
    assert np.abs(found - np.cumsum(p)).max() < bound


def test_normal_numbers_are_normal_and_new_each_time() -> None:
    one, two = noise.normals(torch.zeros(3, 1001)), noise.normals(torch.zeros(3, 1001))
    assert one.shape == (3, 1001)
    assert not torch.equal(one, two)
    bound = math.sqrt(math.log(2 / LIKELY) / (2 * one.numel()))
    sorted_ = one.flatten().double().sort()[0]
    below = torch.arange(1, one.numel() + 1) / one.numel()
    assert (torch.special.ndtr(sorted_) - below).abs().max() < bound + 1 / one.numel()


def test_a_value_that_one_row_makes_frequent_passes_with_probability_delta() -> None:
    variance, delta, least = Fraction(9), 0.01, 5
    bound = noise.threshold(least, variance, delta)
    reach = np.arange(-100, 101)
    p = np.exp(-(reach**2) / (2 * float(variance)))
    assert p[reach + least > bound].sum() / p.sum() <= delta


# gradients


def network(gaps: bool = True) -> tuple[Autoencoder, Masking, Rows, torch.Tensor]:
    torch.manual_seed(0)
    sizes = NetworkSizes(bins=(5, 3, 4), latent=2, width=8)
    positions = torch.tensor([-1.0, -0.5, 0.0, 0.5, 1.0, 0.0, *[0.0] * 9])
    net = Autoencoder(sizes, positions)
    for parameter in net.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    plan = Plan(nets=1, steps=1, batch=20, width=8, elbo_share=0.5)
    masking = Masking.of(net, plan, torch.Generator().manual_seed(1))
    bins = torch.stack([torch.randint(n, (20,)) for n in sizes.bins], dim=1)
    missing = torch.rand(20, 3) < (0.2 if gaps else 0.0)
    return net, masking, Rows(bins, torch.randn(20, 3), ~missing), missing


def gradient(net: Autoencoder, loss: torch.Tensor) -> torch.Tensor:
    parts = torch.autograd.grad(
        loss, list(net.parameters()), retain_graph=True, materialize_grads=True
    )
    return torch.cat([part.flatten() for part in parts])


def test_norms_are_those_of_the_gradients_of_single_rows() -> None:
    net, masking, rows, missing = network()
    batch = sgd.shown(masking, rows, missing)
    with sgd.recorded(net) as calls:
        losses = net.row_losses(*batch[:5], beta=0.7)
    norms = sgd.squared_norms(calls, losses, list(net.parameters())).sqrt()
    expected = torch.stack([gradient(net, loss).norm() for loss in losses])
    torch.testing.assert_close(norms, expected, rtol=1e-4, atol=1e-5)
    whole = net.loss(*batch[:5], beta=0.7).total
    torch.testing.assert_close(losses.mean(), whole)


def test_no_row_has_a_part_in_the_loss_of_another() -> None:
    net, masking, rows, missing = network()
    batch = sgd.shown(masking, rows, missing)
    losses = net.row_losses(*batch[:5])
    changed = Rows(batch.rows.bins.clone(), batch.rows.scores.clone(), batch.rows.observed)
    changed.bins[0] = (changed.bins[0] + 1) % 3
    changed.scores[0] += 3
    again = net.row_losses(changed, *batch[1:5])
    assert not torch.isclose(losses[0], again[0])
    torch.testing.assert_close(losses[1:], again[1:])


@pytest.mark.parametrize("clip", [0.01, 1.0, 1e6])
def test_a_row_moves_the_sum_by_no_more_than_the_clip(clip: float) -> None:
    net, masking, rows, missing = network()
    batch = sgd.shown(masking, rows, missing)
    n = len(batch.noise)
    without = replace_batch(batch, n)
    whole = torch.cat([part.flatten() for part in sgd.clipped_sum(net, batch, 1.0, clip)])
    less = torch.cat([part.flatten() for part in sgd.clipped_sum(net, without, 1.0, clip)])
    assert (whole - less).norm() <= clip * (1 + 1e-4)
    if clip == 1e6:
        losses = net.row_losses(*batch[:5], beta=1.0)
        torch.testing.assert_close(whole, gradient(net, losses.sum()), rtol=1e-4, atol=1e-4)


def replace_batch(batch: Any, row: int) -> Any:
    """Without one row of those that do not train on the ELBO."""
    kept = torch.arange(len(batch.rows)) != row
    assert batch.gaps is not None
    return batch._replace(
        rows=batch.rows[kept],
        visible=batch.visible[kept],
        target=batch.target[kept],
        gaps=batch.gaps[kept],
    )


def test_a_step_without_rows_is_noise_alone() -> None:
    net, masking, rows, missing = network()
    batch = sgd.shown(masking, rows[:0], missing[:0])
    assert all(not part.any() for part in sgd.clipped_sum(net, batch, 1.0, 1.0))


def test_a_weight_of_an_unknown_layer_is_no_weight_under_privacy() -> None:
    net, masking, rows, missing = network()
    net.extra = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(AssertionError, match="no layer"):
        sgd.clipped_sum(net, sgd.shown(masking, rows, missing), 1.0, 1.0)


def test_rows_take_part_by_themselves() -> None:
    counts = [len(noise.chosen(1000, 0.1)) for _ in range(50)]
    assert len(set(counts)) > 5
    assert 80 < np.mean(counts) < 120


def test_the_course_follows_from_the_noisy_number_of_rows_alone() -> None:
    small, large = (Course.of(Settings(), rows) for rows in (100, 1_000_000))
    assert small.rate <= 0.25
    assert large.rows == pytest.approx(1024)
    assert small.plan.steps == large.plan.steps


# columns


def described(frame: pd.DataFrame, epsilon: float = 20.0, **public: Any) -> Any:
    table = pa.Table.from_pandas(frame, preserve_index=False)
    privacy = Privacy(epsilon, public=public_columns(public))
    columns = looked_at(table, privacy, {})
    budget = Budget.of(privacy, unknown=len(columns))
    return describe(table, ("",), columns, {}, budget, len(frame)).codec


def test_kinds_ranges_and_values_are_found_by_noisy_counts() -> None:
    rng = np.random.default_rng(0)
    n = 4000
    frame = pd.DataFrame(
        {
            "whole": [str(k) for k in rng.poisson(3, n)],
            "price": [f"{x:.2f}" for x in np.exp(rng.normal(3, 1, n))],
            "zero": [str(k) for k in np.where(rng.random(n) < 0.7, 0, rng.integers(1, 10**5, n))],
            "day": pd.Series(
                pd.Timestamp("2021-03-01") + pd.to_timedelta(rng.integers(0, 99, n), "D")
            ).dt.strftime("%d.%m.%Y"),
            "word": rng.choice(["a", "b"], n),
            "free": [f"text {k}" for k in range(n)],
        }
    )
    codec = described(frame)
    kinds = {column.name: column.kind for column in codec.schema.columns}
    assert kinds == {
        "whole": ColumnKind.NUMERIC,
        "price": ColumnKind.NUMERIC,
        "zero": ColumnKind.NUMERIC,
        "day": ColumnKind.DATETIME,
        "word": ColumnKind.CATEGORICAL,
        "free": ColumnKind.IGNORED,
    }
    decimals = {c.name: c.numbers.decimals for c in codec.columns_ if c.numbers is not None}
    assert (decimals["whole"], decimals["price"]) == (0, 2)
    bins = dict(zip([column.name for column in codec.columns_], codec.bins_, strict=True))
    assert {0.0, 1.0, 2.0, 3.0, 4.0} <= set(bins["whole"].means.round(6))
    place = list(bins["zero"].means).index(0.0)
    assert bins["zero"].mass[place] == pytest.approx(0.7, abs=0.05)
    median = np.interp(0.5, np.cumsum(bins["price"].mass), bins["price"].means)
    assert 14 < median < 28
    day = codec.schema["day"].range_as_text
    assert day[0].endswith(("2020", "2021"))
    assert day[1].endswith(("2021", "2022"))


def test_what_is_public_is_taken_as_it_is() -> None:
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"age": rng.integers(20, 60, 800), "sex": rng.choice(["f", "m"], 800)})
    codec = described(
        frame,
        age={"kind": "numeric", "minimum": 0, "maximum": 120, "decimals": 0},
        sex={"kind": "categorical", "categories": ["f", "m", "x"]},
    )
    age, sex = codec.bins_
    assert 10 <= age.ends[0] <= 21
    assert 58 <= age.ends[1] <= 70
    assert sorted(sex.vocabulary) == ["f", "m", "x"]
    assert sex.mass[[sex.vocabulary.index(w) for w in "fm"]].min() > 0.4


@pytest.mark.parametrize(
    "given",
    [
        {"kind": "numeric", "minimum": 3},
        {"kind": "numeric", "minimum": 3, "maximum": 3},
        {"kind": "categorical", "categories": ["a", "a"]},
        {"kind": "numeric", "categories": ["a"]},
        {"kind": "number"},
        {"kind": "datetime", "datetime_format": "%Q"},
        {"kind": "datetime", "minimum": "soon", "maximum": "later"},
        {"decimals": -1},
        {"size": 3},
        7,
    ],
)
def test_what_no_column_can_be_is_refused(given: Any) -> None:
    with pytest.raises(SchemaError, match="column 'a'"):
        public_columns({"a": given})


def test_dates_of_a_public_range_may_be_texts() -> None:
    column = PublicColumn.of({"kind": "datetime", "minimum": "1970-01-02", "maximum": "1970-01-03"})
    assert column.range == (86400.0, 172800.0)


def test_too_little_under_too_much_noise_is_refused() -> None:
    with pytest.raises(DataError, match="--schema"):
        fitted(make_frame(60), epsilon=0.1)


TYPES: dict[str, tuple[pa.DataType, Any]] = {
    "int8": (pa.int8(), lambda k: k % 100),
    "uint64": (pa.uint64(), lambda k: 2**40 + k % 1000),
    "float32": (pa.float32(), lambda k: (k % 321) / 7),
    "decimal": (pa.decimal128(6, 2), lambda k: decimal.Decimal(k % 500) / 4),
    "date": (pa.date32(), lambda k: dt.date(2021, 1, 1) + dt.timedelta(k % 400)),
    "moment": (pa.timestamp("ms", "UTC"), lambda k: dt.datetime(2021, 1, 1) + dt.timedelta(0, k)),
    "bool": (pa.bool_(), lambda k: k % 3 == 0),
    "text": (pa.large_string(), lambda k: "ab"[k % 2]),
    "days as text": (pa.string(), lambda k: f"2021-02-{1 + k % 28:02}"),
    "huge": (pa.float64(), lambda k: 1e80 * (k % 3)),
    "tiny": (pa.float64(), lambda k: 1e-80 * (k % 3)),
    "empty": (pa.float64(), lambda k: None),
    "lists": (pa.list_(pa.int64()), lambda k: [k]),
}


@pytest.mark.parametrize("name", TYPES)
def test_a_column_of_any_type_writes_what_it_can_read(name: str) -> None:
    kind, cell = TYPES[name]
    table = pa.table(
        {
            "x": pa.array([cell(k) for k in range(2000)], kind),
            "a": ["one", "two"] * 1000,
            "b": ["one", "two", "three", "four"] * 500,
        }
    )
    columns = looked_at(table, Privacy(20.0), {})
    budget = Budget.of(Privacy(20.0), unknown=len(columns))
    codec = describe(table, ("",), columns, {}, budget, 2000).codec
    written = codec.inverse_transform(codec.ends())
    assert codec.transform(written).observed[:2].all()
    assert codec.schema["x"].kind.modelled == (name not in ("empty", "lists"))
    assert set(written.schema.types) <= set(table.schema.types)


# units


def test_a_unit_is_one_row() -> None:
    table = pa.table({"who": ["a", "b", "a", None, "a"], "x": [1, 2, 3, 4, 5]})
    seen = set()
    for _ in range(60):
        kept = one_row_a_unit(table, "who", ("",)).to_pydict()
        assert sorted(kept["who"]) == ["a", "b"]
        seen |= set(kept["x"])
    assert seen == {1, 2, 3, 5}


def test_a_fit_by_unit_models_no_unit_and_says_whom_it_protects() -> None:
    frame = make_frame(1500).assign(person=[f"p{k // 2}" for k in range(1500)])
    model = fitted(frame, unit="person")
    assert model.fitted_.schema["person"].kind is ColumnKind.IGNORED
    assert model.fitted_.schema.rows == pytest.approx(750, abs=150)
    guarantee = model.fitted_.card.guarantee
    assert guarantee is not None
    assert guarantee.whose == "all rows of one value of 'person'"


# what is refused


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"epsilon": 0.0}, "epsilon"),
        ({"epsilon": float("nan")}, "epsilon"),
        ({"epsilon": 1000.0}, "epsilon"),
        ({"delta": 0.5}, "delta"),
        ({"delta": 0.0}, "delta"),
        ({"epsilon": None, "delta": 1e-6}, "delta"),
        ({"epsilon": None, "unit": "id"}, "unit"),
        ({"model": "dae"}, "dae"),
        ({"likelihood": "gaussian"}, "gaussian"),
        ({"free_nats": 0.1}, "free_nats"),
        ({"memorise": True}, "memorise"),
        ({"min_count": 5}, "min_count"),
        ({"rules": ("size <= count",)}, "rules"),
        ({"unit": "nobody"}, "nobody"),
        ({"public": {"sice": "numeric"}}, "size"),
        ({"public": {"rows": 3, "columns": []}}, "inspect"),
    ],
)
def test_what_cannot_be_had_is_refused(parameters: dict[str, Any], words: str) -> None:
    with pytest.raises(TabVAEError, match=words):
        fitted(make_frame(60), **parameters)


def test_a_schema_that_inspect_wrote_is_not_public(rows: pd.DataFrame, tmp_path: Path) -> None:
    rows.to_csv(tmp_path / "data.csv", index=False)
    schema = tabvae(tmp_path, "inspect", "data.csv", "--json").out
    (tmp_path / "schema.json").write_text(schema)
    asked = ("fit", "data.csv", "--epsilon", "3", "--schema", "schema.json")
    assert_one_line_error(tabvae(tmp_path, *asked), 1, "looking at the table")
    asked = ("fit", "data.csv", "--epsilon", "3", "--resume")
    assert_one_line_error(tabvae(tmp_path, *asked), 2, "--resume")


def test_without_the_accountant_the_extra_is_named() -> None:
    with (
        mock.patch.dict("sys.modules", {"dp_accounting.rdp": None, "dp_accounting": None}),
        pytest.raises(ParameterError, match=r"tabvae\[dp\]"),
    ):
        fitted(make_frame(60))


# p-values


def test_p_values_of_real_rows_are_told_by_noisy_counts() -> None:
    rng = np.random.default_rng(0)
    drawn, real = rng.normal(size=2000), rng.normal(loc=1.0, size=4000)
    known = calibrated(drawn, real, Purse(0.5), share=1.0)
    found = known.p_values(rng.normal(loc=1.0, size=2000))
    for level in (0.05, 0.2, 0.5):
        assert (found <= level).mean() == pytest.approx(level, abs=0.05)
    noisier = calibrated(drawn, real, Purse(0.0005), share=1.0)
    assert noisier.least > known.least


def test_of_no_rows_no_p_value_is_small() -> None:
    known = calibrated(np.arange(10.0), np.zeros(0), Purse(0.5), share=1.0)
    assert known.p_values(np.array([1e9]))[0] >= 0.25

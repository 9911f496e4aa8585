"""Plain, denoising and variational autoencoders: what each can do, and what it says it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from tabvae import TabVAE
from tabvae.errors import ParameterError
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.training.config import Plan
from tabvae.training.masking import Masking

from .helpers import assert_one_line_error, tabvae

SIZES = NetworkSizes(bins=(3, 5), latent=4, width=16)
POSITIONS = torch.tensor([0, 0, 0, 0, -1.2, -0.5, 0.1, 0.5, 1.2, 0])


@pytest.fixture(scope="module", params=["ae", "dae"])
def plain(request: pytest.FixtureRequest, frame: pd.DataFrame) -> TabVAE:
    return TabVAE(model=request.param, effort="fast").fit(frame)


def test_the_kl_is_what_samples_of_z_say() -> None:
    torch.manual_seed(0)
    net = Autoencoder(SIZES, POSITIONS).eval()
    everything = torch.ones(2, 2, dtype=torch.bool)
    rows = Rows(torch.tensor([[0, 1], [2, 4]]), torch.tensor([[0.0, -0.5], [0.0, 1.2]]), everything)
    with torch.no_grad():
        kl = net.loss(rows, ~everything, everything, torch.zeros(2, SIZES.latent)).kl
        q, p = net.posterior(rows, everything), net.nothing()[1]
        z = q.mean + q.stddev * torch.randn(100_000, 2, SIZES.latent)
        sampled = (q.log_prob(z) - p.log_prob(z)).sum(-1).mean()
    assert float(kl) == pytest.approx(float(sampled), rel=0.02)


def test_the_weight_of_the_kl_rises_to_beta_within_the_run() -> None:
    objective = Objective(beta=2.0, warmup=0.5)
    assert [objective.kl_weight(p) for p in (0.0, 0.25, 0.5, 1.0)] == [0.0, 1.0, 2.0, 2.0]
    assert Objective(beta=2.0).kl_weight(0.01) == 2.0


def test_free_nats_cost_nothing() -> None:
    torch.manual_seed(0)
    net = Autoencoder(SIZES, POSITIONS, Objective(free_nats=100.0))
    everything = torch.ones(8, 2, dtype=torch.bool)
    rows = Rows(torch.zeros(8, 2, dtype=torch.int64), torch.zeros(8, 2), everything)
    noise = torch.zeros(8, SIZES.latent)
    loss = net.loss(rows, ~everything, everything, noise)
    assert float(loss.kl) < 100
    assert float(loss.total.detach()) == pytest.approx(float(loss.reconstruction) + 400, rel=1e-5)


def test_the_decoder_of_a_plain_autoencoder_sees_the_code_alone() -> None:
    torch.manual_seed(0)
    everything = torch.ones(1, 2, dtype=torch.bool)
    batches = [Rows(torch.full((1, 2), b), torch.zeros(1, 2), everything) for b in (0, 1)]
    z = torch.zeros(1, SIZES.latent)
    for model, same in (("vae", False), ("ae", True)):
        net = Autoencoder(SIZES, POSITIONS, Objective(model=model))
        given = [net.given(net.encoder(batch, everything)[0]) for batch in batches]
        outputs = [net.decoder(z, g).logits() for g in given]
        assert torch.equal(*outputs) == same


def test_corruption_moves_numbers_and_swaps_categories() -> None:
    net = Autoencoder(SIZES, POSITIONS, Objective(model="dae", noise=0.3))
    generator = torch.Generator().manual_seed(0)
    bins = torch.stack([torch.randint(k, (20_000,), generator=generator) for k in SIZES.bins], 1)
    observed = torch.ones_like(bins, dtype=torch.bool)
    observed[:10_000, 0] = False
    bins[:10_000, 0] = 99
    scores = torch.stack([torch.zeros(20_000), POSITIONS[4:9][bins[:, 1]]], 1)
    masking = Masking.of(net, Plan(nets=1, steps=1, batch=1, width=16), generator)
    seen = masking.corrupted(Rows(bins, scores, observed))
    moved = seen.scores[:, 1] - scores[:, 1]
    assert float(moved.std()) == pytest.approx(0.3, rel=0.05)
    nearest = (seen.scores[:, 1, None] - POSITIONS[4:9]).abs().argmin(1)
    assert torch.equal(seen.bins[:, 1], nearest)
    changed = seen.bins[10_000:, 0] != bins[10_000:, 0]
    # Half of the rows have no category to give; a third of the others give the same one.
    assert float(changed.float().mean()) == pytest.approx(0.3 * 0.5 * 2 / 3, rel=0.1)
    assert (seen.bins[10_000:, 0] < 3).all()


def test_a_plain_autoencoder_fills_gaps_and_keeps_what_is_there(
    plain: TabVAE, frame: pd.DataFrame
) -> None:
    filled = plain.impute(frame)
    assert not filled.drop(columns="id").isna().any(axis=None)
    pd.testing.assert_frame_equal(filled.where(frame.notna()), frame.where(frame.notna()))


def test_a_plain_autoencoder_says_why_it_cannot_generate(plain: TabVAE) -> None:
    with pytest.raises(ParameterError, match=r"no distribution over its latent space.*vae"):
        plain.generate(5)


def test_a_plain_autoencoder_is_the_same_after_a_file(
    plain: TabVAE, frame: pd.DataFrame, tmp_path: Path
) -> None:
    path = str(tmp_path / "m.tabvae")
    plain.save(path)
    again = TabVAE.load(path)
    assert again.model == plain.model
    assert np.array_equal(again.transform(frame), plain.transform(frame))
    pd.testing.assert_frame_equal(
        again.decode(again.embed(frame)), plain.decode(plain.embed(frame))
    )


@pytest.mark.usefixtures("few_trees")
@pytest.mark.parametrize(
    "likelihood",
    [
        "gaussian",
        pytest.param("laplace", marks=pytest.mark.slow),
        pytest.param("bernoulli", marks=pytest.mark.slow),
    ],
)
def test_a_textbook_likelihood_does_every_task(
    likelihood: str, frame: pd.DataFrame, tmp_path: Path
) -> None:
    fitted = TabVAE(likelihood=likelihood, effort="fast").fit(frame)
    path = str(tmp_path / "m.tabvae")
    fitted.save(path)
    model = TabVAE.load(path)
    filled = model.impute(frame)
    assert not filled.drop(columns="id").isna().any(axis=None)
    pd.testing.assert_frame_equal(filled, fitted.impute(frame))
    north = model.generate(200, complete=True, where={"group": "north"}, seed=1)
    south = model.generate(200, complete=True, where={"group": "south"}, seed=1)
    assert north["size"].mean() + 5 < south["size"].mean()
    assert model.detect(frame)["score"].notna().all()


def check_that_decoding_restores(estimator: TabVAE, frame: pd.DataFrame) -> None:
    whole = frame.dropna()
    decoded = estimator.decode(estimator.embed(whole))
    assert list(decoded.columns) == list(frame.columns)
    assert decoded["unit"].eq("cm").all()
    assert (decoded["big"] == whole["big"]).mean() > 0.9
    wrong = decoded["size"].astype(float) - whole["size"].astype(float)
    assert wrong.std() < 0.5 * whole["size"].astype(float).std()


def test_the_map_restores_the_rows_embedded(model: TabVAE, frame: pd.DataFrame) -> None:
    check_that_decoding_restores(model, frame)


def test_a_code_restores_the_rows_embedded(plain: TabVAE, frame: pd.DataFrame) -> None:
    check_that_decoding_restores(plain, frame)


def test_a_path_goes_from_row_to_row(folder: Path, frame: pd.DataFrame) -> None:
    result = tabvae(folder, "interpolate", "data.csv", "--from", "3", "--to", "12", "-n", "5")
    assert result.code == 0, result.err
    path = result.frame()
    assert path["t"].astype(float).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert list(path.columns) == ["t", *frame.columns]
    assert tabvae(folder, "embed", "-o", "z.csv").code == 0
    decoded = tabvae(folder, "decode", "z.csv").frame()
    ends = path.drop(columns=["t", "id"]).iloc[[0, -1]].reset_index(drop=True)
    rows = decoded.drop(columns="id").iloc[[2, 11]].reset_index(drop=True)
    pd.testing.assert_frame_equal(ends, rows)


def test_a_path_of_a_frame_ends_where_its_rows_decode(model: TabVAE, frame: pd.DataFrame) -> None:
    path = model.interpolate(frame, 2, 11, 4)
    ends = model.decode(model.embed(frame.iloc[[2, 11]]))
    assert path["size"].iloc[[0, -1]].tolist() == ends["size"].tolist()
    with pytest.raises(ParameterError, match="at least 2"):
        model.interpolate(frame, 2, 11, 1)


def test_the_ends_of_a_path_can_be_named(folder: Path) -> None:
    numbers = ("--from", "5", "--to", "9")
    names = ("--id", "id=r-0004", "--id", "id=r-0008")
    paths = [tabvae(folder, "interpolate", *ends, "--spherical") for ends in (numbers, names)]
    assert paths[0].out == paths[1].out
    assert len(paths[0].frame()) == 10


def test_decode_keeps_identifiers_and_says_what_is_lost(
    folder: Path, frame: pd.DataFrame, tmp_path: Path
) -> None:
    z = str(tmp_path / "z.parquet")
    assert tabvae(folder, "embed", "--keep", "id", "-o", z).code == 0
    result = tabvae(folder, "decode", z, "--compare", "data.csv")
    assert result.frame()["id"].tolist() == frame["id"].tolist()
    for words in ("size: RMSE", "big: ", "bytes a row"):
        assert words in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("interpolate", "--from", "1", "--to", "999"), 1, "no row 999"),
        (("interpolate", "--from", "0", "--to", "2"), 1, "no row 0"),
        (("interpolate", "--from", "1"), 2, "two ends"),
        (("interpolate", "--id", "id=nobody", "--to", "2"), 1, "'nobody'"),
        (("interpolate", "--id", "ids=x", "--to", "2"), 1, "did you mean 'id'?"),
        (("decode", "data.csv"), 1, "no column 'z1'"),
        (("fit", "data.csv", "-o", "x.tabvae", "--model", "gan"), 2, "'gan'"),
    ],
)
def test_bad_requests_are_one_line(
    folder: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    assert_one_line_error(tabvae(folder, *arguments), code, words)


def test_coordinates_of_another_width_are_refused(folder: Path, tmp_path: Path) -> None:
    z = tmp_path / "z.csv"
    z.write_text(",".join(f"z{k + 1}" for k in range(9)) + "\n" + ",".join("0" * 9) + "\n")
    assert_one_line_error(tabvae(folder, "decode", str(z)), 1, "8 coordinates", "more")

"""Laws that hold for every member of the family, with and without convolutions."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tabvae.columns.images import Grid
from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import LIKELIHOODS, MODELS, Objective
from tabvae.network.textbook import TextbookLogits

BINS = (3, 5, 5, 5, 5, 2)
SCORES = {
    "normal": [-1.2, -0.5, 0.1, 0.5, 1.2],
    "standard": [-0.8, -0.5, 0.1, 0.5, 3.0],
    "unit": [0.0, 0.2, 0.5, 0.7, 1.0],
}
PIXELS = Grid((2, 2, 1), (-1, 0, 1, 2, 3, -1))


def sizes_with(grid: Grid | None) -> NetworkSizes:
    return NetworkSizes(BINS, latent=3, width=16, grid=grid)


def positions_on(axis: str) -> Tensor:
    columns = [[0.0] * bins if bins != 5 else SCORES[axis] for bins in BINS]
    return torch.tensor([position for column in columns for position in (*column, 0.0)])


@pytest.fixture(params=[None, PIXELS], ids=["table", "image"])
def grid(request: pytest.FixtureRequest) -> Grid | None:
    return request.param


@pytest.fixture(params=LIKELIHOODS)
def likelihood(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(params=MODELS)
def net(request: pytest.FixtureRequest, likelihood: str, grid: Grid | None) -> Autoencoder:
    """A network whose weights are far from those of the beginning."""
    torch.manual_seed(0)
    objective = Objective(model=request.param, likelihood=likelihood, free_nats=0.1, beta=2.0)
    net = Autoencoder(sizes_with(grid), positions_on(objective.axis), objective).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter += 0.3 * torch.randn(parameter.shape)
    return net


@pytest.fixture
def rows(net: Autoencoder) -> Rows:
    generator = torch.Generator().manual_seed(0)
    bins = torch.stack([torch.randint(k, (24,), generator=generator) for k in BINS], 1)
    positions = net.decoder.logits.positions.split([k + 1 for k in BINS])
    scores = torch.stack([p[b] for p, b in zip(positions, bins.T, strict=True)], 1)
    return Rows(bins, scores, torch.rand(24, 6, generator=generator) < 0.8)


@pytest.fixture
def visible(rows: Rows) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return rows.observed & (torch.rand(24, 6, generator=generator) < 0.5)


@pytest.mark.parametrize("open_gaps", [False, True])
def test_every_likelihood_sums_to_one(
    net: Autoencoder, rows: Rows, visible: Tensor, open_gaps: bool
) -> None:
    features, q = net.encoder(rows, visible)
    gaps = torch.full((24, 1), open_gaps)
    likelihood = net.likelihood(q.mean, net.given(features), gaps)
    probabilities = likelihood.probabilities()
    assert (probabilities >= 0).all()
    assert torch.allclose(likelihood.column_sums(probabilities), torch.ones(24, 6), atol=1e-5)
    assert bool((probabilities[:, likelihood.last] > 0).all()) == open_gaps


@pytest.mark.parametrize("likelihood", ["gaussian", "laplace"], indirect=True)
def test_every_density_integrates_to_one(net: Autoencoder, rows: Rows, visible: Tensor) -> None:
    row = net.copy_as(torch.float64).representation(
        Rows(rows.bins, rows.scores.double(), rows.observed), visible
    )[[0] * 40_001]
    axis = torch.linspace(-100, 100, 40_001, dtype=torch.float64)
    head = row.head
    assert isinstance(head, TextbookLogits)
    density = head.log_density(row, axis[:, None].expand(-1, 6)).exp()
    mass = torch.trapezoid(density[:, 1:5], axis, dim=0)
    assert torch.allclose(mass, torch.ones(4, dtype=torch.float64), atol=1e-3)


@pytest.mark.parametrize("elbo_rows", [0, 7])
def test_every_gradient_is_finite(
    net: Autoencoder, rows: Rows, visible: Tensor, elbo_rows: int
) -> None:
    far = Rows(rows.bins, 100 * rows.scores, rows.observed)
    target = rows.observed & ~visible
    loss = net.loss(far, visible, target, torch.ones(elbo_rows, 3))
    parameters = list(net.parameters())
    gradients = torch.autograd.grad(loss.total, parameters, materialize_grads=True)
    assert all(gradient.isfinite().all() for gradient in gradients)
    assert any((gradient != 0).any() for gradient in gradients)


def test_no_gradient_comes_from_a_hidden_cell(
    net: Autoencoder, rows: Rows, visible: Tensor
) -> None:
    scores = rows.scores.clone().requires_grad_()
    likelihood = net.predictive(Rows(rows.bins, scores, rows.observed), visible)
    weights = torch.arange(1.0 + likelihood.last[-1]).cos()
    (gradient,) = torch.autograd.grad((likelihood.probabilities() * weights).sum(), scores)
    assert (gradient[~visible] == 0).all()
    assert (gradient[visible] != 0).any()


def test_a_hidden_cell_may_hold_anything(net: Autoencoder, rows: Rows, visible: Tensor) -> None:
    other = Rows(
        torch.where(visible, rows.bins, 0),
        torch.where(visible, rows.scores, torch.nan),
        rows.observed,
    )
    before, after = (net.predictive(batch, visible).logits for batch in (rows, other))
    assert torch.equal(before, after)


def test_the_loss_is_that_of_its_elbo_rows_and_its_predictive_rows(
    net: Autoencoder, rows: Rows, visible: Tensor
) -> None:
    target, noise = rows.observed & ~visible, torch.ones(8, 3)
    whole = net.loss(rows, visible, target, noise)
    elbo, predictive = (
        net.loss(rows[part], visible[part], target[part], draws)
        for part, draws in ((slice(8), noise), (slice(8, 24), noise[:0]))
    )
    total = (8 * elbo.total + 16 * predictive.total) / 24
    assert float(whole.total.detach()) == pytest.approx(float(total.detach()), rel=1e-5)
    assert float(predictive.kl) == 0
    assert float(whole.kl) == pytest.approx(float(elbo.kl), rel=1e-5)


def test_rows_and_bins_of_a_representation_are_those_of_all_its_logits(
    net: Autoencoder, rows: Rows, visible: Tensor
) -> None:
    representation = net.representation(rows, visible)
    part = representation[visible[:, 0]].logits(slice(4, 10))
    assert torch.allclose(part, representation.logits()[visible[:, 0], 4:10], atol=1e-4)
    assert len(representation) == 24


def test_the_validation_loss_is_of_the_target_cells_alone(
    net: Autoencoder, rows: Rows, visible: Tensor
) -> None:
    target = rows.observed & ~visible
    found = net.validation_loss(rows, visible, target)
    log_prob = net.predictive(rows, visible).log_prob(rows.bins)
    assert float(found.loss) == pytest.approx(-float(log_prob[target].mean().detach()), rel=1e-4)
    others = ~target & ~visible
    spoiled = Rows(torch.where(others, 0, rows.bins), rows.scores, rows.observed)
    again = net.validation_loss(spoiled, visible, target)
    assert float(found.error) == pytest.approx(float(again.error))
    assert float(found.spread) > 0


def test_sizes_are_the_same_after_json(grid: Grid | None) -> None:
    sizes = sizes_with(grid)
    document = sizes.to_json()
    assert list(document) == ["sizes", "latent", "width", "depth", "grid"]
    assert NetworkSizes.from_json(document) == sizes
    with pytest.raises(ValueError, match="no sizes"):
        NetworkSizes.from_json({"bins": BINS, "latent": 3, "width": 16})


@pytest.mark.parametrize("wrong", [{"latent": 0}, {"depth": 65}, {"latent": 1001}, {"bins": (3,)}])
def test_sizes_that_no_network_has_are_refused(wrong: dict[str, int | tuple[int, ...]]) -> None:
    right = {"bins": BINS, "latent": 3, "width": 16, "grid": PIXELS}
    with pytest.raises(ValueError, match="the networks"):
        NetworkSizes(**{**right, **wrong})  # type: ignore[arg-type]

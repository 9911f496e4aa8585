"""The network, its distributions and its objective."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.distributions import Categorical, Laplace, Normal
from torch.nn.functional import binary_cross_entropy_with_logits

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes, Rows
from tabvae.network.objective import Objective
from tabvae.network.textbook import TextbookLogits, tilt_of_mean
from tabvae.training.masking import draw_visible, show_gaps

SIZES = NetworkSizes(bins=(3, 5, 2), latent=4, width=16)
POSITIONS = torch.tensor([0, 0, 0, 0, -1.2, -0.5, 0.1, 0.5, 1.2, 0, 0, 0, 0])


@pytest.fixture
def vae() -> Autoencoder:
    torch.manual_seed(0)
    return Autoencoder(SIZES, POSITIONS).eval()


@pytest.fixture
def rows() -> Rows:
    generator = torch.Generator().manual_seed(0)
    bins = torch.stack([torch.randint(k, (20,), generator=generator) for k in SIZES.bins], 1)
    scores = torch.randn(20, 3, generator=generator)
    observed = torch.rand(20, 3, generator=generator) < 0.8
    return Rows(bins, scores, observed)


def changed(rows: Rows, where: Tensor) -> Rows:
    """The same rows with other values, NaN scores included, in the cells of ``where``."""
    return Rows(
        torch.where(where, (rows.bins + 1) % torch.tensor(SIZES.bins), rows.bins),
        torch.where(where, torch.nan, rows.scores),
        rows.observed,
    )


@pytest.mark.parametrize("can_be_missing", [False, True])
def test_probabilities_of_each_column_sum_to_one(
    vae: Autoencoder, rows: Rows, can_be_missing: bool
) -> None:
    features, q = vae.encoder(rows, rows.observed)
    gaps = torch.full((20, 1), can_be_missing)
    probabilities = vae.likelihood(q.mean, features, gaps).probabilities()
    for start, size in zip(SIZES.offsets[:-1], SIZES.bins, strict=True):
        column = probabilities[:, start : start + size + 1]
        assert torch.allclose(column.sum(1), torch.ones(20), atol=1e-6)
        assert bool((column[:, -1] > 0).all()) == can_be_missing


def test_log_prob_is_that_of_torchs_categorical(vae: Autoencoder, rows: Rows) -> None:
    likelihood = vae.predictive(rows, rows.observed)
    expected = Categorical(logits=likelihood.logits[:, 4:9]).log_prob(rows.bins[:, 1])
    assert torch.allclose(likelihood.log_prob(rows.bins)[:, 1], expected, atol=1e-5)


def test_hidden_cells_change_nothing(vae: Autoencoder, rows: Rows) -> None:
    visible = draw_visible(rows.observed, torch.Generator().manual_seed(1))
    before = vae.predictive(rows, visible).logits
    after = vae.predictive(changed(rows, ~visible), visible).logits
    assert torch.equal(before, after)


def test_hidden_and_missing_cells_have_no_gradient_as_inputs(vae: Autoencoder, rows: Rows) -> None:
    visible = draw_visible(rows.observed, torch.Generator().manual_seed(1))
    scores = rows.scores.clone().requires_grad_()
    batch = Rows(rows.bins, scores, rows.observed)
    target = rows.observed & ~visible
    noise = torch.zeros(0, SIZES.latent)
    vae.loss(batch, visible, target, noise).total.backward()
    assert scores.grad is not None
    assert (scores.grad[~visible] == 0).all()
    assert (scores.grad[visible] != 0).any()


def test_cells_missing_in_the_data_do_not_enter_the_loss(vae: Autoencoder, rows: Rows) -> None:
    visible = draw_visible(rows.observed, torch.Generator().manual_seed(1))
    target = rows.observed & ~visible
    noise = torch.randn(6, SIZES.latent, generator=torch.Generator().manual_seed(2))
    losses = [
        vae.loss(batch, visible, target, noise).total
        for batch in (rows, changed(rows, ~rows.observed))
    ]
    assert torch.equal(*losses)


def test_kl_vanishes_when_nothing_is_hidden(vae: Autoencoder, rows: Rows) -> None:
    nothing = torch.zeros_like(rows.observed)
    noise = torch.zeros(20, SIZES.latent)
    loss = vae.loss(rows, rows.observed, nothing, noise)
    assert loss.kl == pytest.approx(0, abs=1e-6)
    assert loss.reconstruction == 0


def test_the_elbo_is_below_the_importance_weighted_bound(vae: Autoencoder, rows: Rows) -> None:
    """Burda et al. 2016: averaging weights inside the logarithm can only raise the bound."""
    row = rows[torch.zeros(4000, dtype=torch.int64)]
    everything = torch.ones_like(row.observed)
    nothing = ~everything
    noise = torch.randn(4000, SIZES.latent, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        elbo = -vae.loss(row, nothing, everything, noise).total
        features, prior = vae.encoder(row, nothing)
        posterior = vae.posterior(row, everything)
        z = posterior.mean + posterior.stddev * noise
        log_weight = (
            vae.likelihood(z, features).log_prob(row.bins).sum(1)
            + prior.log_prob(z).sum(1)
            - posterior.log_prob(z).sum(1)
        )
        bound = torch.logsumexp(log_weight, 0) - torch.log(torch.tensor(4000.0))
    assert log_weight.mean() == pytest.approx(float(elbo), abs=0.05)
    assert bound >= elbo - 1e-4


def test_ordered_logits_shift_mass_along_the_axis(vae: Autoencoder) -> None:
    layer = vae.decoder.logits
    with torch.no_grad():
        layer.free.weight.zero_()
        layer.ordered.zero_()
        layer.ordered[1] = 1.0
    h = torch.ones(1, SIZES.width)
    rising = layer.represent(h).logits()[0, 4:9] - layer.free.bias[4:9]
    assert (rising.diff() > 0).all()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_visible_cells_are_a_proper_subset_of_observed_ones(share: float) -> None:
    generator = torch.Generator().manual_seed(0)
    observed = torch.rand(500, 7, generator=generator) < share
    visible = draw_visible(observed, generator)
    assert not (visible & ~observed).any()
    assert (visible.sum(1) < observed.sum(1))[observed.any(1)].all()


def test_one_row_in_ten_sees_nothing_and_the_rest_a_uniform_share() -> None:
    observed = torch.ones(20_000, 10, dtype=torch.bool)
    counts = draw_visible(observed, torch.Generator().manual_seed(0)).sum(1)
    shares = torch.bincount(counts, minlength=10) / len(counts)
    assert shares[0] == pytest.approx(0.1 + 0.9 * 0.1, abs=0.01)
    assert torch.allclose(shares[1:10], torch.tensor(0.09), atol=0.01)


def test_gaps_become_a_state_in_the_rows_marked(rows: Rows) -> None:
    missing = ~rows.observed
    marked = torch.arange(20)[:, None] < 10
    shown = show_gaps(rows, missing, torch.tensor(SIZES.bins), marked)
    assert shown.observed[:10].all()
    assert torch.equal(shown.observed[10:], rows.observed[10:])
    gaps = missing & marked
    assert (shown.bins[gaps] == torch.tensor(SIZES.bins).expand(20, 3)[gaps]).all()


TEXTBOOK = {
    "gaussian": lambda x, m, s: Normal(m, s).log_prob(x),
    "laplace": lambda x, m, s: Laplace(m, s).log_prob(x),
    "bernoulli": lambda x, m, s: -binary_cross_entropy_with_logits(m, x, reduction="none"),
}


@pytest.fixture(params=list(TEXTBOOK))
def textbook(request: pytest.FixtureRequest) -> Autoencoder:
    torch.manual_seed(0)
    axis = torch.tensor([0.0, 0.2, 0.5, 0.7, 1.0])
    positions = torch.cat([torch.zeros(4), axis, torch.zeros(4)])
    net = Autoencoder(SIZES, positions, Objective(likelihood=request.param)).eval()
    with torch.no_grad():
        net.decoder.logits.log_scale.copy_(torch.tensor([0.0, -0.7, 0.0]))
    return net


def test_a_textbook_likelihood_is_torchs(textbook: Autoencoder, rows: Rows) -> None:
    head = textbook.decoder.logits
    assert isinstance(head, TextbookLogits)
    h = head.represent(torch.randn(20, 16, generator=torch.Generator().manual_seed(0)))
    x = rows.scores.abs().clamp(max=1)
    center, scale = head.center(h)[:, 1], head.log_scale[1].exp()
    expected = TEXTBOOK[textbook.objective.likelihood](x[:, 1], center, scale)
    density = head.log_density(h, x)
    assert torch.allclose(density[:, 1], expected, atol=1e-5)
    assert density[:, [0, 2]].isnan().all()


@pytest.mark.parametrize("mean", [0.002, 0.1, 0.5, 0.8, 0.99])
def test_a_tilted_density_has_the_mean_asked_for(mean: float) -> None:
    tilt = tilt_of_mean(torch.tensor([mean], dtype=torch.float64))
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = torch.softmax(tilt * x, 0)
    assert float(density @ x) == pytest.approx(mean, abs=1e-4)


def test_bins_of_a_bernoulli_have_the_mean_of_cross_entropy() -> None:
    torch.manual_seed(0)
    sizes = NetworkSizes(bins=(3, 101), latent=4, width=16)
    positions = torch.cat([torch.zeros(4), torch.linspace(0, 1, 101), torch.zeros(1)])
    net = Autoencoder(sizes, positions, Objective(likelihood="bernoulli"))
    head = net.decoder.logits
    assert isinstance(head, TextbookLogits)
    h = head.represent(3 * torch.randn(50, 16))
    means = torch.softmax(h.logits()[:, 4:105], 1) @ positions[4:105]
    assert torch.allclose(means, torch.sigmoid(head.center(h)[:, 1]), atol=0.01)


@pytest.mark.parametrize("textbook", ["gaussian", "laplace"], indirect=True)
def test_bins_share_a_textbook_density_by_their_width(textbook: Autoencoder) -> None:
    head = textbook.decoder.logits
    h = head.represent(torch.randn(7, 16, generator=torch.Generator().manual_seed(0)))
    axis, widths = head.positions[4:9], torch.tensor([0.1, 0.25, 0.25, 0.25, 0.15])
    scores = torch.stack([torch.zeros(5), axis, torch.zeros(5)], 1)
    for row in range(7):
        density = head.log_density(h[[row] * 5], scores)[:, 1].exp() * widths
        expected = density / density.sum()
        assert torch.allclose(h[[row]].logits()[0, 4:9].exp(), expected, atol=1e-5)
        assert torch.allclose(h[[row]].logits(slice(4, 9))[0].exp(), expected, atol=1e-5)


def test_a_gap_competes_with_all_values_of_a_textbook_number(
    textbook: Autoencoder, rows: Rows
) -> None:
    z, gaps = torch.zeros(20, SIZES.latent), torch.ones(20, 1, dtype=torch.bool)
    given = torch.zeros(20, SIZES.width)
    x = rows.scores.abs().clamp(max=1)
    shut, open_ = (textbook.likelihood(z, given, g, x) for g in (None, gaps))
    missing = open_.probabilities()[:, 9]
    difference = open_.log_prob(rows.bins)[:, 1] - shut.log_prob(rows.bins)[:, 1]
    assert torch.allclose(difference, torch.log1p(-missing), atol=1e-4)

"""How a network begins, and which of its weights learn slowly."""

from __future__ import annotations

import torch
from torch import Tensor

from tabvae.network.autoencoder import Autoencoder
from tabvae.network.batch import NetworkSizes
from tabvae.network.objective import Objective
from tabvae.training.config import Plan
from tabvae.training.masking import TrainingData


def initial_network(
    counts: Tensor,
    sizes: NetworkSizes,
    positions: Tensor,
    objective: Objective,
    plan: Plan,
    generator: torch.Generator,
) -> Autoencoder:
    """A network that starts from each column's own frequencies, with weights from ``generator``.

    torch's global generator is left as it was.

    Args:
        counts: (total bins,) cells in each bin, those that are missing in a last one of a column.
        sizes: of the network.
        positions: (total bins,) of each bin on its column's axis.
        objective: which autoencoder it is.
        plan: how to train it.
        generator: source of all randomness, on the device where it is trained.
    """
    seed = int(torch.randint(2**31, (1,), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = Autoencoder(sizes, positions, objective)
    with torch.no_grad():
        net.decoder.logits.free.bias.copy_(_log_counts(net, counts, plan))
        if plan.bin_rate < 1:
            for weight in _bin_weights(net).values():
                weight[_number_bins(net)] = 0.0
        if plan.embedding < 1:
            net.encoder.embedding.weight[: sizes.offsets[-1]] *= plan.embedding
    return net.to(generator.device)


def shares_of_rate(net: Autoencoder, plan: Plan) -> dict[int, Tensor]:
    """What ``AdamW`` asks for: the weights of a number's bins learn at the plan's ``bin_rate``."""
    if plan.bin_rate == 1:
        return {}
    bins, weights = _number_bins(net), _bin_weights(net)
    return {
        place: torch.ones(len(weight), 1, device=weight.device).index_fill(0, bins, plan.bin_rate)
        for place, (name, weight) in enumerate(net.named_parameters())
        if name in weights
    }


def bin_counts(data: TrainingData, sizes: NetworkSizes) -> Tensor:
    """(total bins,) cells of ``data`` in each bin, "missing" included."""
    missing = data.missing
    states = torch.tensor(sizes.bins, device=missing.device)
    first = torch.tensor(sizes.offsets[:-1], device=missing.device)
    outputs = first + torch.where(missing, states, data.rows.bins)
    counts = torch.bincount(outputs[data.rows.observed | missing], minlength=sizes.offsets[-1])
    return counts.cpu()


def _log_counts(net: Autoencoder, counts: Tensor, plan: Plan) -> Tensor:
    """(total bins,) log frequency of each bin, "missing" included."""
    sizes = net.sizes
    log_counts = torch.log(counts + plan.bin_count)
    if net.objective.likelihood == "binned":
        return log_counts
    # A number's values sum to one before the state "missing" competes with them.
    column = sizes.column_of
    sums = torch.zeros(len(sizes.bins)).index_add(0, column, log_counts.exp())
    return log_counts - sums.log()[column]


def _number_bins(net: Autoencoder) -> Tensor:
    """Which outputs are the bins of a number, "missing" left out."""
    positions, column = net.decoder.logits.positions, net.column_of
    is_number = positions.new_zeros(len(net.sizes.bins)).index_add(0, column, positions.abs()) > 0
    gaps = net.encoder.offsets + net.missing_bins
    return is_number[column].index_fill(0, gaps, False).nonzero().squeeze(1)


def _bin_weights(net: Autoencoder) -> dict[str, Tensor]:
    """The weights with a row for each bin, by name."""
    return {
        "encoder.embedding.weight": net.encoder.embedding.weight,
        "decoder.logits.free.weight": net.decoder.logits.free.weight,
    }

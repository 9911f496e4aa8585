"""p(x | z, x_v): what the decoder's outputs say of every cell of a row."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import hardtanh


class BinnedCells:
    """p(x | z, x_v): one categorical distribution per column, from one row of logits.

    **Shape** B rows, D columns, T bins of all columns together, "missing" included

    Args:
        logits: (B, T) unnormalised log-probabilities, column after column.
        column_of: (T,) the column each logit belongs to.
        offsets: (D,) the first logit of each column.
        gaps: (B, 1) rows in which a cell can be "missing", the last bin of each column; in the
            others the distribution is over the values alone. By default in no row.
        density: (B, D) log-density of each cell's own value, NaN where its bin's logit counts.
        bound: of the logits, on both sides: exp(40) times any number of bins is far from overflow,
            exp(-40) far from underflow.

    **Examples**

    >>> column_of, offsets = torch.tensor([0, 0, 0, 1, 1]), torch.tensor([0, 3])
    >>> likelihood = BinnedCells(torch.zeros(1, 5), column_of, offsets)
    >>> likelihood.probabilities()
    tensor([[0.5000, 0.5000, 0.0000, 1.0000, 0.0000]])
    >>> likelihood.log_prob(torch.tensor([[1, 0]])).exp()
    tensor([[0.5000, 1.0000]])
    """

    def __init__(
        self,
        logits: Tensor,
        column_of: Tensor,
        offsets: Tensor,
        gaps: Tensor | None = None,
        density: Tensor | None = None,
        bound: float = 40.0,
    ) -> None:
        # Of the ways to bound them, the one whose gradient is a single pass.
        logits = hardtanh(logits, -bound, bound)
        last = torch.cat([offsets[1:], offsets.new_tensor([len(column_of)])]) - 1
        if gaps is None:
            self.logits = logits.index_fill(1, last, -torch.inf)
        else:
            open_gaps = torch.where(gaps, logits[:, last], -torch.inf)
            self.logits = logits.index_copy(1, last, open_gaps)
        self.column_of = column_of
        self.offsets = offsets
        self.last = last
        self.density = density

    def column_sums(self, terms: Tensor) -> Tensor:
        """(B, D) sum of ``terms`` (B, T) over the bins of each column."""
        sums = terms.new_zeros(len(terms), len(self.offsets))
        return sums.index_add(1, self.column_of, terms)

    def log_normalizer(self) -> Tensor:
        """(B, D) log of the summed exponentials of each column's logits."""
        return self.column_sums(self.logits.exp()).log()

    def probabilities(self) -> Tensor:
        """(B, T) probability of every bin."""
        normalizer = self.log_normalizer().index_select(1, self.column_of)
        return torch.exp(self.logits - normalizer)

    def log_prob(self, bins: Tensor) -> Tensor:
        """(B, D) log-probability of each cell's bin, or log-density of its value."""
        index = self.offsets + bins
        logits = self.logits.gather(1, index)
        if self.density is not None:
            dense = (index < self.last) & ~self.density.isnan()
            logits = torch.where(dense, self.density.nan_to_num(), logits)
        return logits - self.log_normalizer()

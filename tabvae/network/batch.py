"""What goes into a network: rows as tensors, and the sizes that follow from their columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import accumulate
from typing import Any, ClassVar

import torch
from torch import Tensor

from tabvae.columns.codes import Codes
from tabvae.columns.from_json import from_json
from tabvae.columns.images import Grid


@dataclass(frozen=True)
class Rows:
    """A batch of rows as tensors.

    **Shape** (B, D) each, of B rows with D columns

    Attributes:
        bins: bin of each cell; in a cell that is known to be missing, the number of bins.
        scores: position of a number on its column's axis, 0 for categories.
        observed: the data has the cell.

    **Examples**

    >>> observed = torch.tensor([[True, True], [True, False]])
    >>> rows = Rows(torch.tensor([[2, 0], [1, 4]]), torch.zeros(2, 2), observed)
    >>> len(rows), rows[1:].bins.tolist()
    (2, [[1, 4]])
    """

    bins: Tensor
    scores: Tensor
    observed: Tensor

    @classmethod
    def of(cls, codes: Codes, dtype: torch.dtype = torch.float32) -> Rows:
        """``codes`` as tensors."""
        scores = torch.from_numpy(codes.scores).to(dtype)
        return cls(torch.from_numpy(codes.bins), scores, torch.from_numpy(codes.observed))

    def __len__(self) -> int:
        return len(self.bins)

    def __getitem__(self, index: Tensor | slice) -> Rows:
        return Rows(self.bins[index], self.scores[index], self.observed[index])

    def to(self, device: torch.device) -> Rows:
        """The same rows on another device."""
        return Rows(self.bins.to(device), self.scores.to(device), self.observed.to(device))


@dataclass(frozen=True)
class NetworkSizes:
    """The sizes of a network.

    Attributes:
        bins: (D,) number of bins of each column, the state "missing" not counted.
        latent: dimensions of z.
        width: of every hidden layer.
        depth: residual blocks in each half.
        grid: where the columns lie in an image or spectrum, if they do.

    Raises:
        ValueError: no network has such sizes.

    **Examples**

    >>> sizes = NetworkSizes(bins=(2, 3), latent=2, width=8)
    >>> sizes.offsets, sizes.column_of.tolist()
    ([0, 3, 7], [0, 0, 0, 1, 1, 1, 1])
    """

    most_depth: ClassVar[int] = 64
    most_latent: ClassVar[int] = 1000

    bins: tuple[int, ...]
    latent: int
    width: int
    depth: int = 2
    grid: Grid | None = None

    def __post_init__(self) -> None:
        if min(self.latent, self.width, self.depth, *self.bins) < 1:
            raise ValueError("the networks have no size")
        if self.depth > self.most_depth or self.latent > self.most_latent:
            raise ValueError("the networks are too deep, or their latent space is too large")
        if self.grid is not None and len(self.grid.cells) != len(self.bins):
            raise ValueError("the networks are of a grid of other columns")

    @property
    def offsets(self) -> list[int]:
        """(D + 1,) the first output of each column, and the number of outputs: each column has one
        more than bins, for "missing"."""
        return list(accumulate((bins + 1 for bins in self.bins), initial=0))

    @property
    def column_of(self) -> Tensor:
        """(total bins,) the column each output belongs to."""
        bins = torch.tensor(self.bins)
        return torch.arange(len(bins)).repeat_interleave(bins + 1)

    def to_json(self) -> dict[str, Any]:
        """As model files have it, which call the bins "sizes"."""
        document = asdict(self)
        return {"sizes": document.pop("bins"), **document}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NetworkSizes:
        """Of what ``to_json`` returned.

        Raises:
            ValueError: it is of another form, or no network has such sizes.
        """
        names = {"sizes": "bins", "bins": "sizes"}
        return from_json(cls, {names.get(name, name): document[name] for name in document})

"""The weights of a module as arrays, and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from tabvae.columns.arrays import Arrays

LARGEST_WEIGHT = 1e6
"""Beyond any that training reaches; with it every result is still finite."""


def weights_of(module: nn.Module) -> Arrays:
    """Parameters and buffers that are kept, by name.

    >>> {name: array.shape for name, array in weights_of(nn.Linear(2, 3)).items()}
    {'weight': (3, 2), 'bias': (3,)}
    """
    return {name: tensor.numpy() for name, tensor in module.state_dict().items()}


def load_weights(module: nn.Module, arrays: Arrays) -> None:
    """Set what ``weights_of`` gave.

    Raises:
        ValueError: a weight is larger than training makes any.
        RuntimeError: one is missing, left over, or of another shape.
    """
    if not all((np.abs(array) <= LARGEST_WEIGHT).all() for array in arrays.values()):
        raise ValueError("a network has weights that are too large")
    module.load_state_dict({name: torch.tensor(array) for name, array in arrays.items()})

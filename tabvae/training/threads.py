"""Threads of torch and BLAS while a task works, where they would cost more than they bring."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from threadpoolctl import threadpool_limits

import tabvae


@contextmanager
def few_threads() -> Iterator[None]:
    """One thread for torch, BLAS and OpenMP while the block runs, if theirs spin; then as before.

    Threads that spin while they wait for each other take all cores for the work of one.

    **Examples**

    >>> before = torch.get_num_threads()
    >>> with few_threads():
    ...     pass
    >>> torch.get_num_threads() == before
    True
    """
    if not tabvae.THREADS_SPIN:
        yield
        return
    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)

"""A notebook that loaded torch first does not pay for threads that spin."""

from __future__ import annotations

import subprocess
import sys
from unittest import mock

import pandas as pd
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

import tabvae
from tabvae import TabVAE
from tabvae.training.threads import few_threads


def most_threads() -> int:
    return max(torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info()))


@pytest.fixture
def two() -> object:
    """A machine with two threads for everything."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    with threadpool_limits(2):
        yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("spin", [True, False])
def test_threads_that_spin_are_limited_and_come_back(spin: bool) -> None:
    with mock.patch.object(tabvae, "THREADS_SPIN", spin):
        with few_threads():
            assert most_threads() == (1 if spin else 2)
        with pytest.raises(KeyError), few_threads():
            raise KeyError
    assert most_threads() == 2


@pytest.mark.usefixtures("two")
@pytest.mark.parametrize("task", ["impute", "embed", "detect", "transform"])
def test_every_task_takes_one_thread(model: TabVAE, frame: pd.DataFrame, task: str) -> None:
    seen = []
    transform = type(model.fitted_.codec).transform

    def counted(*arguments: object) -> object:
        seen.append(most_threads())
        return transform(*arguments)

    with (
        mock.patch.object(tabvae, "THREADS_SPIN", True),
        mock.patch.object(type(model.fitted_.codec), "transform", counted),
    ):
        getattr(model, task)(frame)
    assert set(seen) == {1}
    assert most_threads() == 2


@pytest.mark.parametrize(
    ("first", "spin"), [("import torch, tabvae", True), ("import tabvae, torch", False)]
)
def test_it_is_known_which_library_came_first(first: str, spin: bool) -> None:
    script = (
        f"import os, sys\nos.environ.pop('GOMP_SPINCOUNT', None)\n{first}\n"
        f"sys.exit(tabvae.THREADS_SPIN is not {spin})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr

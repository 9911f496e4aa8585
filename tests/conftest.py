"""Tables and models that several test files share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings

# Two processes test at a time: their threads would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from tabvae import TabVAE

# A busy machine is slow now and then; that is no failure. The same commit gives the same answer
# each time; `HYPOTHESIS_PROFILE=explore pytest` looks for counterexamples that no one has seen.
settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("steady", settings.get_profile("explore"), derandomize=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "steady"))


def make_frame(rows: int = 240, seed: int = 0, gaps: float = 0.1) -> pd.DataFrame:
    """A small table with every kind of column and structure between them."""
    rng = np.random.default_rng(seed)
    group = rng.choice(["north", "south", "east"], rows)
    size = rng.normal(np.where(group == "north", 10, 30), 3).round(1)
    frame = pd.DataFrame(
        {
            "id": [f"r-{i:04d}" for i in range(rows)],
            "group": group,
            "size": size,
            "count": rng.poisson(np.abs(size) / 5),
            "big": np.where(size > 20, "yes", "no"),
            "day": pd.Timestamp("2024-01-01") + pd.to_timedelta(rng.integers(0, 300, rows), "D"),
            "unit": "cm",
        }
    )
    frame["day"] = frame["day"].dt.strftime("%d.%m.%Y")
    hidden = rng.random(frame.shape) < gaps
    hidden[:, 0] = False
    return frame.astype(object).mask(hidden).infer_objects()


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="session")
def model(frame: pd.DataFrame) -> TabVAE:
    return TabVAE(effort="fast").fit(frame)


@pytest.fixture(name="few_trees")
def fixture_few_trees() -> Iterator[None]:
    """See ``few_trees``."""
    from .helpers import few_trees

    with few_trees():
        yield


@pytest.fixture
def quick() -> Iterator[None]:
    """See ``hasty``."""
    from .helpers import hasty

    with hasty():
        yield


@pytest.fixture(scope="session")
def csv_text(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False))


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, csv_text: str) -> Path:
    """A folder with data.csv and the model fitted on it by the command line."""
    from .helpers import tabvae

    path = tmp_path_factory.mktemp("work")
    (path / "data.csv").write_text(csv_text)
    result = tabvae(path, "fit", "data.csv", "--effort", "fast")
    assert result.code == 0, result.err
    return path

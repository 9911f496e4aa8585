"""Make the golden model files of a release: python -m tests.golden.make

They are small (narrow networks, few steps) and of the format that ``tabvae.releases.FORMAT`` names.
Later releases go on reading them; a new format gets new files beside these, which never change.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pandas as pd

from tabvae import TabVAE
from tabvae.releases import FORMAT
from tabvae.training.config import plan_for

from ..conftest import make_frame
from ..helpers import hasty

FOLDER = Path(__file__).parent
ROWS, WIDTH = 12, 16
MODELS: dict[str, dict[str, Any]] = {
    "vae": {},
    "dae": {"model": "dae", "likelihood": "gaussian", "latent": 3},
    "grid": {"model": "ae", "likelihood": "bernoulli", "grid": "4x4", "latent": 2},
}


def table(name: str) -> pd.DataFrame:
    """What a golden model was fitted on."""
    if name != "grid":
        return make_frame(80)
    rng = np.random.default_rng(0)
    light = rng.random((80, 2))[:, :, None] * np.linspace(0, 1, 16)
    return pd.DataFrame(light.sum(1).round(2)).add_prefix("p").mask(rng.random((80, 16)) < 0.1)


def results(model: TabVAE, rows: pd.DataFrame) -> dict[str, Any]:
    """What a model says of rows, as JSON values."""
    found = model.detect(rows, fpr=0.05)
    return {
        "filled": model.impute(rows).astype(str).to_dict("list"),
        "latents": model.embed(rows).to_numpy().tolist(),
        "score": found["score"].tolist(),
        "p_value": found["p_value"].tolist(),
        "odd": found["column_1"].tolist(),
        "decoded": model.decode(model.embed(rows)).astype(str).to_dict("list"),
    }


def main() -> None:
    def narrow(*arguments: Any) -> Any:
        return replace(plan_for(*arguments), width=WIDTH)

    for name, parameters in MODELS.items():
        with hasty(), mock.patch("tabvae.training.parallel.plan_for", narrow):
            model = TabVAE(effort="fast", **parameters).fit(table(name))
        path = FOLDER / f"{name}-{FORMAT}.tabvae"
        model.save(str(path))
        expected = json.dumps(results(model, table(name)[:ROWS]), indent=1)
        path.with_suffix(".json").write_text(expected + "\n")


if __name__ == "__main__":
    main()

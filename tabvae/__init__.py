"""One fit of a variational autoencoder, five uses: embed, impute, generate, detect, inspect."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabvae.errors import TabVAEWarning as TabVAEWarning
    from tabvae.estimator import TabVAE as TabVAE

# OpenMP's threads spin for milliseconds while they wait for each other. On a machine that is busy
# with something else that makes boosting on both cores up to ten times slower. Networks are trained
# on one thread each and do not mind. It is read once, when torch or scikit-learn loads; where torch
# was first, its threads spin, and tasks take one.
THREADS_SPIN = "torch" in sys.modules and "GOMP_SPINCOUNT" not in os.environ
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

__version__ = "0.1.0"
__all__ = ["TabVAE", "TabVAEWarning", "__version__"]


def __getattr__(name: str) -> object:
    # torch loads when the estimator is first touched, not when the package is imported.
    if name == "TabVAE":
        from tabvae.estimator import TabVAE

        return TabVAE
    if name == "TabVAEWarning":
        from tabvae.errors import TabVAEWarning

        return TabVAEWarning
    raise AttributeError(f"module 'tabvae' has no attribute {name!r}")

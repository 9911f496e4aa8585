"""One fit of a variational autoencoder, five uses: embed, impute, generate, detect, inspect."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabvae.model import TabVAE as TabVAE
    from tabvae.model import TabVAEWarning as TabVAEWarning

__version__ = "0.1.0"
__all__ = ["TabVAE", "TabVAEWarning", "__version__"]


def __getattr__(name: str) -> object:
    # torch loads when the estimator is first touched, not when the package is imported.
    if name in ("TabVAE", "TabVAEWarning"):
        from tabvae import model

        return getattr(model, name)
    raise AttributeError(f"module 'tabvae' has no attribute {name!r}")

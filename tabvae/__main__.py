"""``python -m tabvae`` is the command ``tabvae``."""

from __future__ import annotations

import runpy

if __name__ == "__main__":
    runpy.run_module("tabvae_cli.main", run_name="__main__")

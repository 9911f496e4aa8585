"""Runs the command line as a user does."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def frame(self) -> pd.DataFrame:
        return pd.read_csv(io.StringIO(self.out), dtype=str, keep_default_na=False)


def tabvae(folder: Path, *arguments: str, stdin: bytes = b"", **environment: str) -> Result:
    """Run ``tabvae`` in ``folder``."""
    done = subprocess.run(
        [sys.executable, "-m", "tabvae_cli.main", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        env={**os.environ, **environment},
        timeout=280,
        check=False,
    )
    return Result(done.returncode, done.stdout.decode(), done.stderr.decode())


def assert_one_line_error(result: Result, code: int, *words: str) -> None:
    """The error is one line that says ``words``, with ``code``, no output and no traceback."""
    assert result.code == code, result
    assert result.out == ""
    lines = result.err.strip().splitlines()
    assert len(lines) == 1, result.err
    for word in ("error:", *words):
        assert word in lines[0], result.err

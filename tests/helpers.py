"""Runs the command line as a user does."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from unittest import mock

import pandas as pd
from tabvae_cli.main import run

from tabvae.imputation.config import TreeConfig

NOTE = "tabvae: note: "


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    def frame(self) -> pd.DataFrame:
        return pd.read_csv(io.StringIO(self.out), dtype=str, keep_default_na=False)


@contextlib.contextmanager
def few_trees() -> Iterator[None]:
    """Fits grow few trees: for tests that do not ask how well gaps are filled."""
    few = partial(TreeConfig, most_trees=4, fewest_trees=4, fewest_boosted=4, most_boosted=0)
    with mock.patch("tabvae.imputation.refiner.TreeConfig", few):
        yield


@contextlib.contextmanager
def hasty() -> Iterator[None]:
    """Fits take few steps, too: for tests that do not ask how good they are at all."""
    from tabvae.training.config import Settings, TrainingConfig

    @dataclass(frozen=True)
    class HastySettings(Settings):
        config: TrainingConfig = field(default_factory=lambda: TrainingConfig(fewest_steps=40))

    with mock.patch("tabvae.estimator.Settings", HastySettings), few_trees():
        yield


def tabvae(folder: Path, *arguments: str, stdin: bytes = b"", **environment: str) -> Result:
    """Run ``tabvae`` in ``folder``, in this process: a new one needs seconds to load torch."""
    streams = [io.TextIOWrapper(io.BytesIO(b), encoding="utf-8") for b in (stdin, b"", b"")]
    names = ("stdin", "stdout", "stderr")
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.chdir(folder))
        stack.enter_context(mock.patch.dict(os.environ, environment))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("default")
        for name, stream in zip(names, streams, strict=True):
            stack.enter_context(mock.patch.object(sys, name, stream))
        stack.enter_context(mock.patch.object(sys, "argv", ["tabvae", *arguments]))
        code = run(list(arguments))
    for stream in streams[1:]:
        stream.flush()
    out, err = (stream.buffer.getvalue().decode() for stream in streams[1:])  # type: ignore[attr-defined]
    return Result(code, out, err)


def tabvae_process(folder: Path, *arguments: str, stdin: bytes = b"", **environment: str) -> Result:
    """The same in a process of its own."""
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


def peak_megabytes(folder: Path, *arguments: str) -> tuple[Result, int]:
    """Run ``tabvae`` in a process of its own, which says at its end how much memory it took."""
    script = (
        "import pathlib, re, sys\nfrom tabvae_cli.main import run\ncode = run(sys.argv[1:])\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', status)[1])\nsys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    *out, kilobytes = done.stdout.splitlines()
    return Result(done.returncode, "\n".join(out), done.stderr), int(kilobytes) // 1024


def assert_one_line_error(result: Result, code: int, *words: str) -> None:
    """The error is one line that says ``words``, with ``code``, no output and no traceback. Notes
    may precede it, such as which file is read."""
    assert result.code == code, result
    assert result.out == ""
    lines = [line for line in result.err.splitlines() if line and not line.startswith(NOTE)]
    assert len(lines) == 1, result.err
    for word in ("error:", *words):
        assert word in lines[0], result.err

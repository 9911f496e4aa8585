"""Faults injected where files are written: the output is whole, or as it was, and says so."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from tabvae import TabVAE
from tabvae.checkpoint import Checkpoint
from tabvae.errors import DataError, ModelFileError
from tabvae.frames import to_arrow
from tabvae.output import write_table

from .conftest import make_frame
from .helpers import NOTE, assert_one_line_error, tabvae

KILLS = 50

pytestmark = pytest.mark.usefixtures("quick")


@contextmanager
def disk_full(room: int) -> Iterator[None]:
    """No file can grow beyond so many bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def work(folder: Path, tmp_path: Path) -> Path:
    """A folder of one's own with a table and its model."""
    for name in ("data.csv", "data.tabvae"):
        shutil.copy(folder / name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["out.csv", "out.csv.gz", "out.parquet"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(work: Path, name: str) -> None:
    (work / name).write_bytes(b"old")
    before = sorted(p.name for p in work.iterdir())
    with disk_full(500):
        result = tabvae(work, "impute", "-o", name, "--force")
    assert_one_line_error(result, 1, f"'{name}'")
    assert (work / name).read_bytes() == b"old"
    assert sorted(p.name for p in work.iterdir()) == before


def test_a_full_disk_loses_no_model(work: Path) -> None:
    before = (work / "data.tabvae").read_bytes()
    with disk_full(500):
        result = tabvae(work, "fit", "data.csv", "--effort", "fast", "--force")
    assert_one_line_error(result, 1, "'data.tabvae'")
    assert (work / "data.tabvae").read_bytes() == before


def test_a_full_disk_ends_no_training(work: Path) -> None:
    with disk_full(500):
        keeper = Checkpoint(str(work / "c"), seconds=0)
        with pytest.warns(UserWarning, match="no checkpoint"):
            model = TabVAE(effort="fast").fit_table(to_arrow(make_frame(60)), checkpoint=keeper)
    assert not (work / "c").exists()
    assert model.fitted_.card.records


@pytest.mark.parametrize("link", [os.symlink, os.link])
@pytest.mark.parametrize(
    ("command", "target"),
    [
        (("impute", "data.csv"), "data.csv"),
        (("generate", "-n", "5"), "data.csv"),
        (("embed", "--format", "csv"), "data.tabvae"),
    ],
)
def test_no_input_is_overwritten_even_through_a_link(
    work: Path, command: tuple[str, ...], target: str, link: object
) -> None:
    link(work / target, work / "other.csv")  # type: ignore[operator]
    before = (work / target).read_bytes()
    for output in ("other.csv", target):
        arguments = (*command, "-m", "data.tabvae", "-o", output, "--force")
        assert_one_line_error(tabvae(work, *arguments), 1, "is an input")
    assert (work / target).read_bytes() == before


def test_a_device_and_a_pipe_take_the_output(work: Path) -> None:
    assert tabvae(work, "impute", "-o", "/dev/null").code == 0
    assert Path("/dev/null").is_char_device()
    os.mkfifo(work / "pipe")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((work / "pipe").read_bytes()))
    reader.start()
    assert tabvae(work, "impute", "-o", "pipe").code == 0
    reader.join()
    assert read[0].decode() == tabvae(work, "impute").out


@pytest.mark.parametrize("name", ["with space.csv", "tä★.csv", "-dash.csv", "a'b\"c.csv"])
def test_any_file_name_serves(work: Path, name: str) -> None:
    (work / "data.csv").rename(work / name)
    result = tabvae(work, "embed", "-o", f"z{name}", "--", name)
    assert (result.code, result.err) == (0, "")
    assert (work / f"z{name}").exists()


def test_control_characters_do_not_reach_the_terminal(work: Path) -> None:
    evil = "\x1b[2J\x07" + "x" * 200
    table = pd.read_csv(work / "data.csv", dtype=str, keep_default_na=False)
    table.loc[0, "group"] = evil
    table.loc[1:, "group"] = ""
    table.rename(columns={"big": evil}).to_csv(work / "evil.csv", index=False)
    (work / "\x1b[31m.csv").write_text("a,a\n1,2\n")
    for arguments in (
        ("inspect", "evil.csv"),
        ("embed", "evil.csv"),
        ("fit", "\x1b[31m.csv"),
        ("inspect", "\x1b[31m.csv"),
        ("generate", "-n", "1", "--where", f"group={evil}"),
        ("interpolate", "--id", f"group={evil}x", "--to", "1"),
        (evil,),
    ):
        result = tabvae(work, *arguments)
        shown = result.err if arguments[0] != "inspect" or result.code else result.out + result.err
        assert not any(ord(c) < 32 and c not in "\n\t" for c in shown), arguments
        if arguments[0] != "inspect":
            assert "x" * 81 not in shown


@pytest.mark.parametrize("place", ["tabvae.tables.read_csv", "tabvae.output._write_csv"])
def test_ctrl_c_anywhere_is_one_line(work: Path, place: str) -> None:
    with mock.patch(place, side_effect=KeyboardInterrupt):
        result = tabvae(work, "impute", "-o", "out.csv")
    assert_one_line_error(result, 130, "interrupted")
    assert not (work / "out.csv").exists()
    assert not list(work.glob(".tabvae-*"))


@pytest.mark.parametrize("place", ["tabvae.refine.Refiner.fit", "tabvae.artifact.save"])
def test_ctrl_c_after_training_is_one_line_too(work: Path, place: str) -> None:
    before = (work / "data.tabvae").read_bytes()
    with mock.patch(place, side_effect=KeyboardInterrupt):
        result = tabvae(work, "fit", "data.csv", "--effort", "fast", "--force")
    assert_one_line_error(result, 130, "interrupted")
    assert (work / "data.tabvae").read_bytes() == before


def test_of_two_writers_the_last_one_wins_and_both_are_whole(tmp_path: Path) -> None:
    tables = [pa.table({"a": np.full(20_000, number)}) for number in range(4)]
    path = tmp_path / "out.csv"
    threads = [
        threading.Thread(target=write_table, args=(table, str(path))) for table in tables * 3
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = pd.read_csv(path)["a"]
    assert len(found) == 20_000
    assert found.nunique() == 1
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


# Going on with a fit that was killed


class KilledError(Exception):
    """What a power cut would be."""


def killed_fit(path: Path, frame: pd.DataFrame, after: int, seed: int = 0) -> Path:
    """The checkpoint of a fit that ends without warning after so many evaluations."""
    seen = 0

    def progress(_: object) -> None:
        nonlocal seen
        seen += 1
        if seen > after:
            raise KilledError

    keeper = Checkpoint(str(path), seconds=0)
    with pytest.raises(KilledError):
        TabVAE(effort="fast", seed=seed).fit_table(to_arrow(frame), None, progress, keeper)
    return path


@pytest.mark.parametrize("after", [1, 17])
def test_a_killed_fit_goes_on_to_the_same_bytes(tmp_path: Path, after: int) -> None:
    frame = make_frame(120)
    TabVAE(effort="fast").fit_table(to_arrow(frame)).save(str(tmp_path / "whole.tabvae"))
    checkpoint = killed_fit(tmp_path / "checkpoint", frame, after)
    steps: list[int] = []
    model = TabVAE(effort="fast").fit_table(
        to_arrow(frame),
        None,
        lambda step: steps.append(step.point.step),
        Checkpoint(str(checkpoint), resume=True),
    )
    model.save(str(tmp_path / "resumed.tabvae"))
    whole = (tmp_path / "whole.tabvae").read_bytes()
    assert (tmp_path / "resumed.tabvae").read_bytes() == whole
    curve = model.fitted_.card.records[0].curve
    assert len(steps) == len(curve) - after


def test_a_checkpoint_of_another_table_is_refused(tmp_path: Path) -> None:
    checkpoint = killed_fit(tmp_path / "checkpoint", make_frame(120), 2)
    for frame, seed in ((make_frame(121), 0), (make_frame(120), 1)):
        keeper = Checkpoint(str(checkpoint), resume=True)
        with pytest.raises(DataError, match="another table or other options"):
            TabVAE(effort="fast", seed=seed).fit_table(to_arrow(frame), checkpoint=keeper)


def test_a_damaged_checkpoint_is_refused(tmp_path: Path) -> None:
    frame = make_frame(120)
    checkpoint = killed_fit(tmp_path / "checkpoint", frame, 2)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-1])
    with pytest.raises(ModelFileError):
        TabVAE(effort="fast").fit_table(
            to_arrow(frame), checkpoint=Checkpoint(str(checkpoint), resume=True)
        )


def test_a_fit_that_ends_leaves_no_checkpoint(work: Path) -> None:
    arguments = ("--effort", "fast", "--force", "--checkpoint", "0", "--resume")
    assert tabvae(work, "fit", "data.csv", *arguments).code == 0
    assert sorted(p.name for p in work.iterdir()) == ["data.csv", "data.tabvae"]


# Processes of their own


def _command(folder: str, arguments: list[str]) -> None:
    from tabvae_cli.main import run

    os.chdir(folder)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    os._exit(run(arguments))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        (["impute", "data.csv", "-o", "out.csv", "--force"], "out.csv"),
        (["generate", "-n", "200", "-o", "out.csv", "--force"], "out.csv"),
        (["fit", "small.csv", "-o", "m.tabvae", "--effort", "fast", "--force"], "m.tabvae"),
    ],
)
def test_killed_at_any_moment_the_output_is_old_or_new(
    work: Path, arguments: list[str], target: str
) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tabvae.model", "tabvae_cli.main"])
    model = [] if arguments[0] == "fit" else ["-m", "data.tabvae"]

    def start() -> multiprocessing.process.BaseProcess:
        process = context.Process(target=_command, args=(str(work), [*arguments, *model]))
        process.start()
        return process

    small = pd.read_csv(work / "data.csv", dtype=str)[["group", "size", "count"]]
    small.head(60).to_csv(work / "small.csv", index=False)
    whole_run = []
    for _ in range(2):  # The first has more to load.
        started = time.monotonic()
        process = start()
        process.join()
        assert process.exitcode == 0
        whole_run.append(time.monotonic() - started)
    whole = (work / target).read_bytes()
    rng = np.random.default_rng(0)
    killed = 0
    for number in range(KILLS):
        old = b"old" if number % 2 else None
        (work / target).unlink(missing_ok=True)
        if old:
            (work / target).write_bytes(old)
        process = start()
        process.join(rng.uniform(0, min(whole_run)))
        process.kill()
        process.join()
        killed += process.exitcode == -signal.SIGKILL
        found = (work / target).read_bytes() if (work / target).exists() else None
        assert found in (old, whole)
    assert killed > KILLS // 4
    # What the killed ones left is in no one's way.
    last = start()
    last.join()
    assert (work / target).read_bytes() == whole


@pytest.mark.slow
def test_terminated_a_run_cleans_up_and_says_143(work: Path) -> None:
    big = pd.concat([pd.read_csv(work / "data.csv", dtype=str)] * 400)
    big.to_csv(work / "big.csv", index=False)
    process = subprocess.Popen(
        [sys.executable, "-m", "tabvae_cli.main", "impute", "big.csv", "-o", "out.csv"],
        cwd=work,
        stderr=subprocess.PIPE,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(6)
    process.terminate()
    assert process.wait(60) == 128 + signal.SIGTERM
    assert process.stderr is not None
    assert process.stderr.read() == b""
    process.stderr.close()
    assert not (work / "out.csv").exists()
    assert not list(work.glob(".tabvae-*"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("redirection", "code", "words"),
    [
        ("> /dev/full", 1, "No space left"),
        (">&-", 1, "standard output is closed"),
        ("- <&-", 1, "standard input is closed"),
        ("-o /dev/full", 1, "No space left"),
        ("| head -1", 0, ""),
        ("2>&-", 0, ""),
    ],
)
def test_streams_that_are_full_closed_or_left(
    work: Path, redirection: str, code: int, words: str
) -> None:
    done = subprocess.run(
        [
            "bash",
            "-o",
            "pipefail",
            "-c",
            f"{sys.executable} -m tabvae_cli.main embed {redirection}",
        ],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert words in done.stderr
    errors = [line for line in done.stderr.splitlines() if not line.startswith(NOTE)]
    assert len(errors) == bool(words)

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
from tabvae.files import container
from tabvae.files.frames import to_arrow
from tabvae.files.writer import write_table
from tabvae.training.checkpoint import Checkpoint

from .conftest import make_frame
from .helpers import NOTE, Result, assert_one_line_error, tabvae

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


@pytest.mark.parametrize(
    "name", ["out.csv", "out.csv.gz", "out.parquet", "out.arrow", "out.jsonl.zst", "out.tsv.xz"]
)
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


def test_a_link_leads_where_it_led_before_the_work(work: Path) -> None:
    for name in ("mine", "victim"):
        (work / f"{name}.csv").write_bytes(b"old")
    (work / "out.csv").symlink_to("mine.csv")
    assert tabvae(work, "impute", "data.csv", "-o", "out.csv", "--force").code == 0
    assert (work / "out.csv").is_symlink()
    assert (work / "mine.csv").read_bytes() != b"old"

    def put_link(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(work / "victim.csv")

    for name in ("mine.csv", "plain.csv", "model.tabvae"):
        (work / name).unlink(missing_ok=True)
        arguments = ("fit", "data.csv", "--effort", "fast", "--force")
        if name != "model.tabvae":
            arguments = ("impute", "data.csv", "-m", "data.tabvae", "--force")
        with mock.patch("os.fsync", side_effect=lambda _, path=work / name: put_link(path)):
            assert tabvae(work, *arguments, "-o", name).code == 0
        assert not (work / name).is_symlink()
        assert (work / "victim.csv").read_bytes() == b"old"


def test_a_checkpoint_follows_no_link(work: Path) -> None:
    (work / "victim.csv").write_bytes(b"old")
    (work / "m.tabvae.checkpoint").symlink_to("victim.csv")
    arguments = ("-o", "m.tabvae", "--effort", "fast", "--checkpoint", "0")
    assert tabvae(work, "fit", "data.csv", *arguments).code == 0
    assert (work / "victim.csv").read_bytes() == b"old"


def test_a_pipe_that_became_a_file_is_not_written_to(work: Path) -> None:
    (work / "pipe").write_bytes(b"old")
    with mock.patch("tabvae.files.writer._is_ordinary", return_value=False):
        result = tabvae(work, "embed", "data.csv", "-o", "pipe", "--format", "csv")
    assert_one_line_error(result, 1, "'pipe'", "exists")
    assert (work / "pipe").read_bytes() == b"old"


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"
        ),
        ImportError("libtorch_cpu.so: failed to map segment from shared object"),
        RuntimeError("can't start new thread"),
        OSError(12, "Cannot allocate memory"),
    ],
)
def test_without_memory_a_run_ends_in_one_line(work: Path, error: Exception) -> None:
    for place in ("tabvae.estimator.TabVAE.load", "tabvae.model.Model.impute"):
        with mock.patch(place, side_effect=error):
            result = tabvae(work, "impute", "-o", "out.csv")
        assert_one_line_error(result, 1, "not enough memory")
    assert not (work / "out.csv").exists()


@pytest.mark.parametrize("command", ["fit data.csv", "impute", "inspect"])
def test_where_libraries_have_no_room_no_command_begins(work: Path, command: str) -> None:
    run = f"ulimit -v 2500000 && exec {sys.executable} -m tabvae_cli.main {command}"
    done = subprocess.run(
        ["bash", "-c", run], cwd=work, capture_output=True, text=True, check=False, timeout=280
    )
    assert_one_line_error(Result(done.returncode, done.stdout, done.stderr), 1, "memory")


@pytest.mark.slow
@pytest.mark.parametrize("limit", ["-n 8", "-n 16", "-v 2700000"])
@pytest.mark.parametrize("command", ["impute data.csv -m data.tabvae", "fit data.csv"])
def test_under_limits_a_run_is_whole_or_leaves_nothing(
    work: Path, limit: str, command: str
) -> None:
    before = {p.name for p in work.iterdir()}
    run = f"ulimit {limit} && exec {sys.executable} -m tabvae_cli.main {command} -o out --force"
    options = " --format csv" if command.startswith("impute") else " --effort fast"
    done = subprocess.run(
        ["bash", "-c", run + options],
        cwd=work,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    # The loader, OpenBLAS or torch may end a process in words of their own, or by a signal.
    assert "Traceback" not in done.stderr
    after = {p.name for p in work.iterdir()}
    assert after - before == (set() if done.returncode else {"out"})
    if done.returncode == 0 and command.startswith("impute"):
        assert len(pd.read_csv(work / "out")) == len(pd.read_csv(work / "data.csv"))
    elif done.returncode == 0:
        container.read(str(work / "out"))


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


@pytest.mark.parametrize(
    "place", ["tabvae.files.reader.read_csv", "tabvae.files.writer._write_csv"]
)
def test_ctrl_c_anywhere_is_one_line(work: Path, place: str) -> None:
    with mock.patch(place, side_effect=KeyboardInterrupt):
        result = tabvae(work, "impute", "-o", "out.csv")
    assert_one_line_error(result, 130, "interrupted")
    assert not (work / "out.csv").exists()
    assert not list(work.glob(".tabvae-*"))


@pytest.mark.parametrize("place", ["tabvae.imputation.refiner.Refiner.fit", "tabvae.artifact.save"])
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
    context.set_forkserver_preload(["tabvae.estimator", "tabvae_cli.main"])
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

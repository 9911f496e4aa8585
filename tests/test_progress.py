"""How far work is: one bar over all phases, lines where nobody looks, and silence on request."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabvae import TabVAE
from tabvae.files.frames import to_arrow
from tabvae.progress import Overall, PhaseWeights, Step, parts

from .conftest import make_frame
from .helpers import hasty, tabvae

TERMINAL = {"FORCE_COLOR": "1", "COLUMNS": "100"}
"""Standard error passes for a terminal."""


@given(st.lists(st.tuples(st.sampled_from("abcd"), st.floats(0, 1)), max_size=20))
def test_the_bar_never_falls_and_ends_at_one(told: list[tuple[str, float]]) -> None:
    overall = Overall({"a": 1.0, "b": 2.0, "c": 0.5})
    shares = [overall(Step(phase, done)) for phase, done in told]
    assert shares == sorted(shares)
    assert all(0 <= share <= 1 for share in shares)
    assert overall(Step("c", 1.0)) == pytest.approx(1)


@given(st.lists(st.floats(0.1, 9), min_size=1, max_size=9))
def test_parts_cover_their_phase_without_gaps(weights: list[float]) -> None:
    shares: list[float] = []
    for tell in parts(lambda done, note="": shares.append(done), *weights):
        tell(0.0)
        tell(1.0)
    assert shares[0] == 0
    assert shares[1:-1:2] == pytest.approx(shares[2::2])
    assert shares[-1] == pytest.approx(1)


def test_each_phase_of_a_fit_is_told_in_its_order_from_start_to_end() -> None:
    steps: list[Step] = []
    with hasty():
        TabVAE(effort="fast").fit_table(to_arrow(make_frame(120)), progress=steps.append)
    phases = list(dict.fromkeys(step.phase for step in steps))
    assert phases == [p for p in PhaseWeights().fit if p not in ("reading", "loading", "summary")]
    for phase in phases:
        shares = [step.done for step in steps if step.phase == phase]
        assert (shares[0], shares[-1]) == (0, 1)
        assert shares == sorted(shares)
    counted = [sum(step.phase == phase for step in steps) for phase in ("training", "trees")]
    assert min(counted) > 6


@pytest.mark.parametrize("command", [["embed"], ["generate", "-n", "9", "--no-check"]])
def test_a_terminal_sees_a_bar_and_nobody_else(folder: Path, command: list[str]) -> None:
    plain = tabvae(folder, *command)
    shown = tabvae(folder, *command, **TERMINAL)
    assert "━" in shown.err
    assert command[0] in shown.err
    assert plain.out == shown.out
    assert "━" not in plain.err
    assert tabvae(folder, *command, "--no-progress", **TERMINAL).err == plain.err


@pytest.mark.parametrize("first", [True, False])
def test_global_options_stand_before_or_behind_the_command(folder: Path, first: bool) -> None:
    def run(option: str) -> str:
        line = [option, "embed"] if first else ["embed", option]
        return tabvae(folder, *line).err

    assert run("-q") == ""
    phases = [line.split()[2] for line in run("-v").splitlines() if line.startswith("tabvae: e")]
    assert phases == ["loading", "reading", "placing"]


def test_quiet_says_errors_alone(folder: Path) -> None:
    assert tabvae(folder, "-q", "impute", "none.csv").err.startswith("tabvae: error: no such file")


@pytest.mark.parametrize("no_color", [("--no-color",), ()])
def test_no_color_means_no_color(folder: Path, no_color: tuple[str, ...]) -> None:
    environment = TERMINAL if no_color else {**TERMINAL, "NO_COLOR": "1"}
    assert "\x1b[3" not in tabvae(folder, "embed", *no_color, **environment).err


def test_python_watches_when_asked(
    model: TabVAE, frame: pd.DataFrame, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    model.impute(frame)
    assert capsys.readouterr().err == ""
    model.set_params(verbose=True)
    try:
        model.impute(frame)
        model.detect(frame.head(20))
        model.save(str(tmp_path / "a.tabvae"))
    finally:
        model.set_params(verbose=False)
    err = capsys.readouterr().err
    assert "impute: filling" in err
    assert "detect: scoring" in err
    model.save(str(tmp_path / "b.tabvae"))
    assert (tmp_path / "a.tabvae").read_bytes() == (tmp_path / "b.tabvae").read_bytes()

"""Who may import whom, and what may never be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest
import tabvae_cli

import tabvae

LIBRARY = Path(tabvae.__file__).parent
PACKAGES = sorted([*LIBRARY.glob("*.py"), *Path(tabvae_cli.__file__).parent.glob("*.py")])
FLOORS = [
    {"errors"},
    {"cells", "identifiers", "records", "releases", "decoding", "sniffing"},
    {"exact", "layout", "moments"},
    {"schema", "bins", "delimited", "memory", "quality", "linear"},
    {"inference", "privacy", "tables", "frames", "source", "likelihood", "gridding", "coordinates"},
    {"grid"},
    {"network"},
    {"encoding", "output"},
    {"vae", "sealed"},
    {"masking", "bounds", "plan", "descent"},
    {"ensemble"},
    {"training", "selection"},
    {"mapping", "checkpoint"},
    {"embed", "sampling", "detect", "forest", "evaluate", "team"},
    {"blending", "scores"},
    {"refine", "margins", "leakage"},
    {"impute", "generate", "card", "filling"},
    {"learn"},
    {"fitted"},
    {"artifact", "comparison"},
    {"model"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
TORCH_ROOMS = {
    "network",
    "likelihood",
    "grid",
    "vae",
    "masking",
    "bounds",
    "descent",
    "training",
    "ensemble",
    "mapping",
    "embed",
    "plan",
    "team",
    "checkpoint",
    "learn",
    "artifact",
}
BANNED = {
    "pickle",
    "cPickle",
    "joblib",
    "dill",
    "cloudpickle",
    "marshal",
    "shelve",
    "yaml",
    "subprocess",
    "multiprocessing",
    "pty",
    "ctypes",
    "socket",
    "ssl",
    "http",
    "ftplib",
    "smtplib",
    "urllib",
    "requests",
    "asyncio",
}
"""Modules that run what a file says, start programs, or reach the network."""
BANNED_CALLS = {"eval", "exec", "compile", "__import__"}
BANNED_METHODS = {
    "torch.load",
    "torch.jit",
    "torch.hub",
    "os.system",
    "os.popen",
    "np.load",
    "pd.eval",
}


def imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return found


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.py")), ids=lambda p: p.stem)
def test_a_room_imports_only_from_floors_below(path: Path) -> None:
    if path.stem == "__init__":
        return
    below = {f"tabvae.{room}" for room, floor in FLOOR.items() if floor < FLOOR[path.stem]}
    rooms = {f"tabvae.{room}" for room in FLOOR}
    assert imports(path) & rooms <= below


@pytest.mark.parametrize("path", sorted(LIBRARY.glob("*.py")), ids=lambda p: p.stem)
def test_torch_stays_in_its_rooms_and_the_terminal_in_the_command_line(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & {"click", "rich"}
    if path.stem not in TORCH_ROOMS:
        assert "torch" not in roots
    if path.stem != "sealed":
        assert "safetensors" not in roots
    if path.stem in {"network", "vae"}:
        assert not roots & {"pandas", "pyarrow"}


@pytest.mark.parametrize("path", PACKAGES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_nothing_that_could_run_a_file_or_reach_the_network_is_used(path: Path) -> None:
    assert not {name.split(".")[0] for name in imports(path)} & BANNED
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in BANNED_CALLS
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert f"{node.value.id}.{node.attr}" not in BANNED_METHODS
        if isinstance(node, ast.keyword):
            assert node.arg not in ("allow_pickle", "weights_only")


def test_every_room_has_a_floor() -> None:
    rooms = {p.stem for p in LIBRARY.glob("*.py")} - {"__init__"}
    assert rooms == set(FLOOR)


def assert_ends_well(script: str) -> None:
    """In a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys\nfrom tabvae_cli.main import run\nrun(['--help'])\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'sklearn', 'rich', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert_ends_well(script)


def test_a_fit_does_not_load_torchs_compiler() -> None:
    script = (
        "import sys, pandas, tabvae, tabvae.plan\ntabvae.plan.FEWEST_STEPS = 40\n"
        "frame = pandas.DataFrame({'a': [1, 2, 2] * 20, 'b': list('xyy') * 20})\n"
        "tabvae.TabVAE(effort='fast').fit(frame)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert_ends_well(script)

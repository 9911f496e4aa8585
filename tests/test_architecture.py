"""Who may import whom, and what may never be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tabvae

LIBRARY = Path(tabvae.__file__).parent
FLOORS = [
    {"errors"},
    {"cells", "identifiers", "grid", "records"},
    {"schema", "bins", "tables", "network", "quality"},
    {"inference", "privacy", "output", "frames", "likelihood", "gridding", "coordinates"},
    {"encoding"},
    {"vae", "sealed"},
    {"masking", "bounds", "plan"},
    {"ensemble"},
    {"training"},
    {"mapping", "checkpoint"},
    {"embed", "sampling", "detect", "forest", "evaluate", "team"},
    {"refine", "scores"},
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
    "joblib",
    "dill",
    "marshal",
    "shelve",
    "subprocess",
    "socket",
    "urllib",
    "requests",
    "click",
    "rich",
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
def test_torch_stays_in_its_rooms_and_nothing_unsafe_is_imported(path: Path) -> None:
    roots = {name.split(".")[0] for name in imports(path)}
    assert not roots & BANNED
    if path.stem not in TORCH_ROOMS:
        assert "torch" not in roots
    if path.stem != "sealed":
        assert "safetensors" not in roots
    if path.stem in {"network", "vae"}:
        assert not roots & {"pandas", "pyarrow"}


def test_every_room_has_a_floor() -> None:
    rooms = {p.stem for p in LIBRARY.glob("*.py")} - {"__init__"}
    assert rooms == set(FLOOR)


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys\nfrom tabvae_cli.main import run\nrun(['--help'])\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'sklearn', 'rich', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

"""Who may import whom, and what may never be imported."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
import tabvae_cli

import tabvae

LIBRARY = Path(tabvae.__file__).parent
PACKAGES = sorted([*LIBRARY.rglob("*.py"), *Path(tabvae_cli.__file__).parent.glob("*.py")])
ORDER = [
    "errors",
    "arguments",
    "progress",
    "values",
    "rules",
    "columns",
    "network",
    "files",
    "training",
    "predict",
    "dp",
    "imputation",
    "tasks",
    "model",
    "report",
    "fit",
    "releases",
    "artifact",
    "estimator",
    "pipeline",
]
"""Packages and the rooms above them: each imports from itself and from those before it."""
WITHOUT_TORCH = {
    "errors",
    "arguments",
    "progress",
    "values",
    "rules",
    "columns",
    "files",
    "imputation",
    "releases",
    "model",
    "report",
}
WITHOUT_TABLES = {"network"}
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


def name_of(path: Path) -> str:
    """``tabvae.columns.schema`` of that file."""
    parts = path.relative_to(LIBRARY.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def package_of(name: str) -> str:
    """``columns`` of ``tabvae.columns.schema``, ``model`` of ``tabvae.model``."""
    return name.split(".")[1]


FILES = {name_of(path): path for path in sorted(LIBRARY.rglob("*.py"))}
DOORS = {"tabvae", "tabvae.__main__"}
"""The public names, and the way to the command line."""
ROOMS = {name: path for name, path in FILES.items() if name not in DOORS}


@pytest.mark.parametrize("name", ROOMS)
def test_imports_only_go_down(name: str) -> None:
    below = ORDER[: ORDER.index(package_of(name)) + 1]
    assert {package_of(other) for other in imports(ROOMS[name]) & set(ROOMS)} <= set(below)


def test_no_room_imports_itself_by_way_of_others() -> None:
    arrows = {name: imports(path) & set(ROOMS) for name, path in ROOMS.items()}
    TopologicalSorter(arrows).prepare()


@pytest.mark.parametrize("name", ROOMS)
def test_each_library_stays_in_its_rooms(name: str) -> None:
    roots = {imported.split(".")[0] for imported in imports(ROOMS[name])}
    assert not roots & ({"click"} if name == "tabvae.progress" else {"click", "rich"})
    if package_of(name) in WITHOUT_TORCH:
        assert "torch" not in roots
    if package_of(name) in WITHOUT_TABLES:
        assert not roots & {"pandas", "pyarrow"}
    if name != "tabvae.files.container":
        assert "safetensors" not in roots


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


@pytest.mark.parametrize(("name", "most"), [("tabvae.artifact", 10), ("tabvae.model", 17)])
def test_what_puts_parts_together_knows_few_of_them(name: str, most: int) -> None:
    assert len(imports(ROOMS[name]) & set(ROOMS)) <= most


def test_every_room_has_its_place() -> None:
    assert {package_of(name) for name in ROOMS} == set(ORDER)


def assert_ends_well(script: str) -> None:
    """In a Python of its own."""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_package_is_installed() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text()
    installed = set(tomllib.loads(text)["tool"]["setuptools"]["packages"])
    folders = {name_of(path) for path in LIBRARY.rglob("__init__.py")}
    assert folders | {"tabvae_cli"} == installed


def test_help_loads_no_heavy_library() -> None:
    script = (
        "import sys\nfrom tabvae_cli.main import run\nrun(['--help'])\n"
        "heavy = {'torch', 'pandas', 'pyarrow', 'sklearn', 'rich', 'numpy'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)"
    )
    assert_ends_well(script)


def test_a_fit_does_not_load_torchs_compiler() -> None:
    script = (
        "import sys, pandas, tabvae\nfrom tests.helpers import hasty\n"
        "frame = pandas.DataFrame({'a': [1, 2, 2] * 20, 'b': list('xyy') * 20})\n"
        "with hasty(): tabvae.TabVAE(effort='fast').fit(frame)\n"
        "sys.exit('torch._dynamo' in sys.modules)"
    )
    assert_ends_well(script)

"""The notebook of the documents runs from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebook.ipynb"


def test_the_notebook_holds_no_output_of_some_machine() -> None:
    cells = json.loads(NOTEBOOK.read_text())["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert len(code) > 5
    assert not any(cell["outputs"] or cell["execution_count"] for cell in code)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_notebook_runs() -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    where = {"metadata": {"path": str(NOTEBOOK.parent)}}
    done = nbclient.NotebookClient(notebook, timeout=1800, resources=where).execute()
    shown = [out for cell in done.cells for out in cell.get("outputs", [])]
    assert not [out for out in shown if out["output_type"] == "error"]
    assert any("given_others" in out["data"].get("text/html", "") for out in shown if "data" in out)

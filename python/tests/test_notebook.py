"""The notebook of the examples runs, and shows what it promises."""

import pytest

from conftest import ROOT


def test_the_notebook_runs():
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    pytest.importorskip("matplotlib")
    folder = ROOT / "examples/python"
    notebook = nbformat.read(folder / "occlude.ipynb", 4)
    assert all(cell.get("outputs", []) == [] for cell in notebook.cells), "the notebook is stored without outputs"
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(folder)}}).execute()
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    assert sum("image/png" in data for data in shown) == 1
    reports = [data["text/html"] for data in shown if "text/html" in data]
    assert len(reports) == 1 and "<iframe" in "".join(reports[0])
    assert any("label='cat'" in data.get("text/plain", "") for data in shown)
    assert any("(1, 3, 224, 224)" in data.get("text/plain", "") for data in shown)

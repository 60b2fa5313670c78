"""The notebook of docs/ runs, from top to bottom."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.mark.filterwarnings("ignore")       # of Jupyter's own packages
def test_processes_notebook(monkeypatch):
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    from run_notebook import run

    notebook = run(ROOT / "docs" / "processes.ipynb")
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.get("outputs", []))
    assert "checkpointer" in text and "max_connections" in text and "exit status 0" in text

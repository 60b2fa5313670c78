"""Execute a notebook in place, so that it shows what this tree does.

``python tools/run_notebook.py docs/processes.ipynb``
"""

from __future__ import annotations

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient


def run(path: Path) -> nbformat.NotebookNode:
    """The notebook with its outputs; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": "/"}}).execute()
    return notebook


def main() -> None:
    """Run each notebook named and write it back."""
    for name in sys.argv[1:]:
        nbformat.write(run(Path(name)), name)


if __name__ == "__main__":
    main()

"""Loading the extension modules from one shared library instead of two hundred (tools/bundle.py).

Servers do that first of all: each mapping of a library is copied by every fork. A module whose own file is not the one
that went into the bundle (it was built again) is loaded from its file as usual, and so is everything without a bundle.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec
from importlib.util import spec_from_loader
from pathlib import Path
from types import ModuleType
from typing import Any

_SOURCE = str(Path(__file__).parent.parent.parent)


class _Loader:
    """Loads one module of the bundle (importlib's loader protocol)."""

    def __init__(self, library: Any, number: int) -> None:
        self._library = library
        self._number = number

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        """Make the module object."""
        module: ModuleType = self._library.create(self._number, spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run the module's body."""
        self._library.execute(module)


class _Finder:
    """Finds what is in the bundle and up to date there (importlib's finder protocol)."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self._entries: dict[str, tuple[int, int, int]] = library.entries()

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:
        """The spec of a module in the bundle; None for any other."""
        entry = self._entries.get(name)
        if entry is None:
            return None
        number, time_ns, size = entry
        file = Path(_SOURCE, *name.split(".")[:-1], name.rpartition(".")[2] + EXTENSION_SUFFIXES[0])
        try:
            state = file.stat()
        except OSError:
            return None
        if state.st_mtime_ns != time_ns or state.st_size != size:
            return None
        loader: Any = _Loader(self._library, number)
        return spec_from_loader(name, loader, origin=str(file))


def install() -> bool:
    """Use the bundle for all imports from now on, and put what they allocate together; False where there is none."""
    try:
        library = importlib.import_module("tusk._bundle")
    except ImportError:
        return False
    finder: Any = _Finder(library)
    sys.meta_path.insert(0, finder)
    importlib.import_module("tusk.memory._hugepages").gather_arenas()
    return True

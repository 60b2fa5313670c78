"""Temporary files of queries: in base/pgsql_tmp of the data directory, as PostgreSQL's; gone when closed."""

from __future__ import annotations

import os
import tempfile
from typing import Any

_counter = 0


def temporary_file() -> Any:
    """An open, unlinked file for this process's own use."""
    global _counter
    directory = os.path.join("base", "pgsql_tmp")
    if os.path.isdir("base") and os.path.isfile("PG_VERSION"):
        os.makedirs(directory, mode=0o700, exist_ok=True)
        _counter += 1
        path = os.path.join(directory, f"pgsql_tmp{os.getpid()}.{_counter}")
        file = open(path, "w+b")  # noqa: SIM115  # lives as long as the store
        os.unlink(path)
        return file
    return tempfile.TemporaryFile()

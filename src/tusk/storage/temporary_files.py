"""Temporary files of queries and index builds: in base/pgsql_tmp of the data directory; gone when closed (fd.c).

Each is unlinked as soon as it is open, so that a process that dies leaves nothing behind. ``log_temp_files`` reports
the large ones when they are closed.
"""

from __future__ import annotations

import io
import os
import tempfile
from typing import Any

from tusk.config import settings
from tusk.errors import Severity, report

_DIRECTORY = os.path.join("base", "pgsql_tmp")


class TemporaryFile(io.FileIO):
    """An open, unlinked file."""

    _counter = 0

    def __init__(self) -> None:
        if not os.path.isfile("PG_VERSION") or not os.path.isdir("base"):
            # Not in a data directory: a tool or a test.
            self.path = ""
            fd, path = tempfile.mkstemp(prefix=f"pgsql_tmp{os.getpid()}.")
            super().__init__(fd, "r+")
            os.unlink(path)
            return
        os.makedirs(_DIRECTORY, mode=0o700, exist_ok=True)
        self.path = os.path.join(_DIRECTORY, f"pgsql_tmp{os.getpid()}.{TemporaryFile._counter}")
        TemporaryFile._counter += 1
        super().__init__(self.path, "w+")
        os.unlink(self.path)

    def close(self) -> None:
        """Close, and report the size where ``log_temp_files`` asks for it (ReportTemporaryFileUsage)."""
        if self.closed:
            return
        size = os.fstat(self.fileno()).st_size
        super().close()
        limit = settings.log_temp_files
        if self.path and limit >= 0 and size >= limit * 1024:
            report(Severity.LOG, f'temporary file: path "{self.path}", size {size}')


def temporary_file() -> Any:
    """A buffered temporary file."""
    return io.BufferedRandom(TemporaryFile())

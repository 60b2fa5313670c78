"""Temporary files of queries and index builds: in base/pgsql_tmp of the data directory; gone when closed (fd.c).

Each is unlinked as soon as it is open, so that a process that dies leaves nothing behind. ``log_temp_files`` reports
the large ones when they are closed.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections.abc import Callable
from typing import Any

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.stats import _pending

_DIRECTORY = os.path.join("base", "pgsql_tmp")
# Bytes that this process has in temporary files.
_in_use = 0
# Answers a directory of temp_tablespaces, or None; set by who can read the catalogs.
_choose_directory: Callable[[], str | None] | None = None


def set_directory_chooser(choose: Callable[[], str | None]) -> None:
    """Let ``choose`` say where the next temporary file goes."""
    global _choose_directory
    _choose_directory = choose


class TemporaryFile(io.FileIO):
    """An open, unlinked file, counted against ``temp_file_limit`` and in the statistics."""

    _counter = 0
    size = 0

    def __init__(self) -> None:
        if not os.path.isfile("PG_VERSION") or not os.path.isdir("base"):
            # Not in a data directory: a tool or a test.
            self.path = ""
            fd, path = tempfile.mkstemp(prefix=f"pgsql_tmp{os.getpid()}.")
            super().__init__(fd, "r+")
            os.unlink(path)
            return
        directory = (_choose_directory() if _choose_directory is not None else None) or _DIRECTORY
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.path = os.path.join(directory, f"pgsql_tmp{os.getpid()}.{TemporaryFile._counter}")
        TemporaryFile._counter += 1
        super().__init__(self.path, "w+")
        os.unlink(self.path)

    def write(self, data: Any) -> int:
        """Write; 53400 when this process would use more space than it may."""
        global _in_use
        end = self.tell() + len(data)
        if end > self.size:
            limit = settings.temp_file_limit
            if limit >= 0 and _in_use + end - self.size > limit * 1024:
                raise SqlError(
                    errcode.CONFIGURATION_LIMIT_EXCEEDED,
                    f"temporary file size exceeds \"temp_file_limit\" ({limit}kB)",
                )
            _in_use += end - self.size
            self.size = end
        return super().write(data)

    def close(self) -> None:
        """Close, and report the size where ``log_temp_files`` asks for it (ReportTemporaryFileUsage)."""
        if self.closed:
            return
        global _in_use
        size = os.fstat(self.fileno()).st_size
        super().close()
        _in_use -= self.size
        if self.path:
            _pending.count_database("temp_files", 1)
            _pending.count_database("temp_bytes", size)
        limit = settings.log_temp_files
        if self.path and limit >= 0 and size >= limit * 1024:
            report(Severity.LOG, f'temporary file: path "{self.path}", size {size}')


def temporary_file() -> Any:
    """A temporary file; reads and writes are complete."""
    return io.BufferedRandom(TemporaryFile())

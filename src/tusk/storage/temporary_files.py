"""Temporary files of queries and index builds: in base/pgsql_tmp of the data directory; gone when closed (fd.c).

Each is unlinked as soon as it is open, so that a process that dies leaves nothing behind. ``log_temp_files`` reports
the large ones when they are closed.
"""

from __future__ import annotations

import glob
import io
import os
import shutil
import tempfile
from typing import Any

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.stats import _pending
from tusk.stats._usage import count_temporary

_BLOCK = 8192
_DIRECTORY = os.path.join("base", "pgsql_tmp")
# Bytes that this process has in temporary files.
_in_use = 0


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
        os.makedirs(_DIRECTORY, mode=0o700, exist_ok=True)
        self.path = os.path.join(_DIRECTORY, f"pgsql_tmp{os.getpid()}.{TemporaryFile._counter}")
        TemporaryFile._counter += 1
        super().__init__(self.path, "w+")
        os.unlink(self.path)

    def write(self, data: Any) -> int:
        """Write all of data; 53400 when this process would use more space than it may."""
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
        count_temporary(0, -(-len(data) // _BLOCK))
        view = memoryview(data)
        while view.nbytes:
            view = view[super().write(view) :]
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read all of the bytes asked for, as far as there are so many."""
        if size is None or size < 0:
            rest = super().readall()
            count_temporary(-(-len(rest) // _BLOCK), 0)
            return rest
        count_temporary(-(-size // _BLOCK), 0)
        parts = []
        while size:
            part = super().read(size)
            if not part:
                break
            parts.append(part)
            size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

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
    return TemporaryFile()


def remove_leftovers() -> None:
    """At start: remove files that a server which died has left, ours or PostgreSQL's (RemovePgTempFiles)."""
    for directory in (_DIRECTORY, *(os.path.join(path, "pgsql_tmp") for path in _tablespace_directories())):
        for name in os.listdir(directory) if os.path.isdir(directory) else ():
            if name.startswith("pgsql_tmp"):
                path = os.path.join(directory, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)


def _tablespace_directories() -> list[str]:
    return glob.glob(os.path.join("pg_tblspc", "*", "PG_*"))

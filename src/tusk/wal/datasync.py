"""Making the whole data directory durable before replay after a crash (SyncDataDirectory).

What processes wrote before they died may be only in the kernel's cache; replay trusts what it reads, so a power cut
right after a crash restart must not take it away again.
"""

import os

from tusk.config import settings
from tusk.errors import Severity, report
from tusk.wal import _xlogctl
from tusk.wal._syncfs import syncfs


def sync_data_directory() -> None:
    """fsync all files of the cluster, in the way of recovery_init_sync_method."""
    if not _xlogctl.setting("fsync"):
        return
    roots = ["."]
    if os.path.islink("pg_wal"):
        roots.append("pg_wal")
    roots += [entry.path for entry in os.scandir("pg_tblspc")] if os.path.isdir("pg_tblspc") else []
    if settings.recovery_init_sync_method == "syncfs":
        for root in roots:
            syncfs(root)
        return
    for root in roots:
        for directory, subdirectories, names in os.walk(root):
            # Temporary files are worthless after a crash.
            subdirectories[:] = [name for name in subdirectories if name != "pgsql_tmp"]
            for name in names:
                _sync(os.path.join(directory, name))
            _sync(directory)


def _sync(path: str) -> None:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        # Sockets and unreadable files of others are none of ours.
        report(Severity.DEBUG1, f'could not open file "{path}": {error.strerror}')
        return
    try:
        os.fsync(fd)
    except OSError as error:
        report(Severity.LOG, f'could not fsync file "{path}": {error.strerror}')
    finally:
        os.close(fd)

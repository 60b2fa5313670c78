# cython: language_level=3
"""The control file of the running server: the packed struct in the shared area "Control File", and its updates.

The postmaster calls `load` before the shared segment is made (it needs the WAL segment size) and again after a crash,
before the segment is initialised anew. Later readers see the shared copy. ControlFileLock guards changes, which go to
the file at once.
"""

import os
import time

from libc.stdint cimport uintptr_t
from libc.string cimport memcpy

from tusk.wal._xlogctl cimport wal_settings

from tusk.errors import Panic, errcode
from tusk.memory._segment import declare_area
from tusk.storage import _buffer
from tusk.wal import _xlog, _xlogctl
from tusk.wal.controlfile import (
    CONTROL_FILE,
    CONTROL_SIZE,
    PG_CONTROL_FILE_SIZE,
    ControlFile,
    read_control_file,
    updated,
)

cdef char *shared = NULL
_local: ControlFile | None = None


def load(data_directory: str = ".") -> ControlFile:
    """Read and check the file, and take over what other code needs of it (LocalProcessControlFile)."""
    global _local
    _local = read_control_file(data_directory)
    _xlogctl.set_wal_segment_size(_local.xlog_seg_size)
    _xlog.set_system_identifier(_local.system_identifier)
    wal_settings.data_checksums = _local.data_checksum_version != 0
    _buffer.configure(checksums=_local.data_checksum_version != 0)
    return _local


def _size(settings: object) -> int:
    return CONTROL_SIZE


def _attach(address: int) -> None:
    global shared
    shared = <char *> <uintptr_t> address


def _init(address: int, size: int) -> None:
    # Read it anew: at a restart after a crash what was read before the first start is history.
    if os.path.exists(CONTROL_FILE):
        load()
    if _local is not None:
        _store(_local)


declare_area("Control File", _size, _init, _attach)


cdef _store(control):
    cdef bytes packed = control.pack()
    memcpy(shared, <const char *> packed, CONTROL_SIZE)


def get() -> ControlFile:
    """A copy of the control file as the server knows it."""
    if shared == NULL:
        if _local is None:
            raise RuntimeError("the control file has not been read")
        return _local
    return ControlFile.unpack(shared[:CONTROL_SIZE])


def data_checksums() -> bool:
    """Whether the cluster has page checksums."""
    return bool(wal_settings.data_checksums)


def system_identifier() -> int:
    """The cluster's identifier."""
    return get().system_identifier


def update(**changes: object) -> ControlFile:
    """Change fields, in shared memory and durably in the file (UpdateControlFile). Takes ControlFileLock."""
    with _xlogctl.control_file_lock():
        control = updated(get(), **changes)
        control.time = int(time.time())
        _store(control)
        _write(control.pack().ljust(PG_CONTROL_FILE_SIZE, b"\0"))
    return control


def _write(content: bytes) -> None:
    try:
        fd = os.open(CONTROL_FILE, os.O_RDWR | os.O_CLOEXEC)
        try:
            os.pwrite(fd, content, 0)
            if _xlogctl.setting("fsync"):
                os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        raise Panic(errcode.IO_ERROR, f'could not write file "{CONTROL_FILE}": {error.strerror}') from error

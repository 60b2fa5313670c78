# cython: language_level=3
"""The system call syncfs(2), which Python's os module lacks."""

import os

cdef extern from *:
    """
    #define _GNU_SOURCE 1
    #include <unistd.h>
    """
    int c_syncfs "syncfs"(int fd) noexcept nogil


def syncfs(path: str) -> None:
    """Make durable everything on the file system that holds `path`; OSError if that fails."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if c_syncfs(fd) != 0:
            raise OSError(f'could not synchronize file system for file "{path}"')
    finally:
        os.close(fd)

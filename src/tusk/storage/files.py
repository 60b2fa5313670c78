"""Errors of file operations with PostgreSQL's SQLSTATEs, and durable changes of directories (storage/fd.h)."""

import errno
import os

from tusk.errors import SqlError, errcode

_SQLSTATES = {
    errno.EPERM: errcode.INSUFFICIENT_PRIVILEGE,
    errno.EACCES: errcode.INSUFFICIENT_PRIVILEGE,
    errno.EROFS: errcode.INSUFFICIENT_PRIVILEGE,
    errno.ENOENT: errcode.UNDEFINED_FILE,
    errno.EEXIST: errcode.DUPLICATE_FILE,
    errno.ENOTDIR: errcode.WRONG_OBJECT_TYPE,
    errno.EISDIR: errcode.WRONG_OBJECT_TYPE,
    errno.ENOTEMPTY: errcode.WRONG_OBJECT_TYPE,
    errno.ENOSPC: errcode.DISK_FULL,
    errno.ENOMEM: errcode.OUT_OF_MEMORY,
    errno.ENFILE: errcode.INSUFFICIENT_RESOURCES,
    errno.EMFILE: errcode.INSUFFICIENT_RESOURCES,
    errno.EIO: errcode.IO_ERROR,
    errno.ENAMETOOLONG: errcode.FILE_NAME_TOO_LONG,
}


def sqlstate_for_file_access(error_number: int) -> str:
    """The SQLSTATE of a failed file operation (errcode_for_file_access)."""
    return _SQLSTATES.get(error_number, errcode.INTERNAL_ERROR)


def file_error(error_number: int, message: str, *, hint: str | None = None) -> SqlError:
    """An error from an errno; its text is appended to the message."""
    return SqlError(sqlstate_for_file_access(error_number), f"{message}: {os.strerror(error_number)}", hint=hint)


def fsync_path(path: str | os.PathLike[str]) -> None:
    """fsync a file or directory by name. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def durable_rename(old: str | os.PathLike[str], new: str | os.PathLike[str]) -> None:
    """Rename so that the new name, with its contents, survives a crash. Raises OSError."""
    fsync_path(old)
    os.rename(old, new)
    fsync_path(new)
    fsync_path(os.path.dirname(os.fspath(new)) or ".")

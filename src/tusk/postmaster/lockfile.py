"""postmaster.pid, postmaster.opts and the socket lock files: one server to a data directory and a socket.

Layout and messages: manual, "Database File Layout", and miscadmin.h / pidfile.h for the line numbers.
"""

from __future__ import annotations

import ctypes
import os
import time
from pathlib import Path

from tusk.errors import Fatal, Severity, errcode, report

PID_FILE = "postmaster.pid"
OPTS_FILE = "postmaster.opts"
LINE_PID, LINE_DATA_DIR, LINE_START_TIME, LINE_PORT, LINE_SOCKET_DIR, LINE_LISTEN_ADDR, LINE_SHMEM_KEY, LINE_STATUS = (
    range(1, 9)
)
STATUS_STARTING, STATUS_STOPPING, STATUS_READY, STATUS_STANDBY = "starting", "stopping", "ready   ", "standby "

_IPC_CREAT, _IPC_EXCL, _IPC_RMID, _IPC_STAT = 0o1000, 0o2000, 0, 2
_SEGMENT_BYTES = 56


class LockFile:
    """A lock file this process made; `remove` takes it away again."""

    def __init__(self, path: Path, lines: list[str]) -> None:
        self.path = path
        self.lines = lines

    def set_line(self, number: int, text: str) -> None:
        """Change a line (counted from 1), adding empty ones before it where they are missing."""
        while len(self.lines) < number:
            self.lines.append("")
        self.lines[number - 1] = text
        _overwrite_durably(self.path, "\n".join(self.lines) + "\n")

    def touch(self) -> None:
        """Keep cleaners of temporary directories away."""
        os.utime(self.path)

    def is_still_mine(self) -> bool:
        """Whether the file is there and still names this process; unreadable counts as yes."""
        try:
            first = self.path.read_text().split("\n", 1)[0]
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return first.strip() == str(os.getpid())

    def remove(self) -> None:
        """Unlink the file; it is no error if it has gone."""
        self.path.unlink(missing_ok=True)


def _overwrite_durably(path: Path, text: str) -> None:
    """Replace the content in place, by one write: pg_ctl reads the file at any moment and must never find it empty."""
    content = text.encode("utf-8", "surrogateescape")
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def create_lock_file(path: Path, lines: list[str], *, in_use_hint: str) -> LockFile:
    """Make the file, or refuse because a live process holds it.

    ``in_use_hint`` has ``{pid}`` for the holder. A file of a dead process, or of another user's, is stale and is
    replaced. Errors: FATAL 55006 (exists), FATAL for an empty or broken file.
    """
    for _ in range(100):
        try:
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        except FileExistsError:
            _remove_if_stale(path, in_use_hint)
            continue
        except OSError as error:
            raise Fatal(
                errcode.INTERNAL_ERROR, f'could not create lock file "{_shown(path)}": {error.strerror}'
            ) from error
        os.write(descriptor, ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape"))
        os.fsync(descriptor)
        os.close(descriptor)
        return LockFile(path, list(lines))
    raise Fatal(errcode.INTERNAL_ERROR, f'could not create lock file "{_shown(path)}": File exists')


def _shown(path: Path) -> str:
    return PID_FILE if path.name == PID_FILE else str(path)


def _remove_if_stale(path: Path, in_use_hint: str) -> None:
    try:
        content = path.read_text(errors="surrogateescape").split("\n")
    except FileNotFoundError:
        return
    if content == [""]:
        raise Fatal(
            errcode.LOCK_FILE_EXISTS,
            f'lock file "{_shown(path)}" is empty',
            hint="Either another server is starting, or the lock file is the remnant of a previous server startup "
            "crash.",
        )
    try:
        other = int(content[0])
    except ValueError:
        raise Fatal(errcode.INTERNAL_ERROR, f'bogus data in lock file "{_shown(path)}": "{content[0]}"') from None
    pid = abs(other)
    if pid not in (os.getpid(), os.getppid()) and _is_alive(pid):
        raise Fatal(
            errcode.LOCK_FILE_EXISTS,
            f'lock file "{_shown(path)}" already exists',
            hint=in_use_hint.format(pid=pid),
        )
    if path.name == PID_FILE and len(content) >= LINE_SHMEM_KEY:
        _check_shmem_line(content[LINE_SHMEM_KEY - 1])
    path.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _check_shmem_line(line: str) -> None:
    words = line.split()
    if len(words) == 2 and all(word.isdigit() for word in words) and attached_processes(int(words[1])):
        raise Fatal(
            errcode.LOCK_FILE_EXISTS,
            f"pre-existing shared memory block (key {words[0]}, ID {words[1]}) is still in use",
            hint="Terminate any old server processes associated with the data directory.",
        )


# The System V segment holds nothing; that processes are attached to it is the interlock.

_libc = ctypes.CDLL(None, use_errno=True)
_libc.shmat.restype = ctypes.c_void_p
_libc.shmat.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_int]


def attached_processes(segment_id: int) -> int:
    """How many processes are attached to a System V segment; 0 if there is none of that id."""
    info = ctypes.create_string_buffer(256)
    if _libc.shmctl(segment_id, _IPC_STAT, info) != 0:
        return 0
    # struct shmid_ds: ipc_perm 48, segsz 8, atime, dtime, ctime 8 each, cpid and lpid 4 each, then nattch.
    return int.from_bytes(info.raw[88:96], "little")


def create_interlock_segment(data_directory: Path) -> tuple[int, int] | None:
    """Make and attach the System V segment, keyed by the directory's inode; returns (key, id).

    Children inherit the attachment, so it stays until the last of them is gone. None (with a WARNING) where the
    system has no System V shared memory: then the pid file alone guards the directory.
    """
    key = data_directory.stat().st_ino & 0x7FFFFFFF or 1
    for _ in range(1000):
        segment = _libc.shmget(key, _SEGMENT_BYTES, _IPC_CREAT | _IPC_EXCL | 0o600)
        if segment >= 0:
            if _libc.shmat(segment, None, 0) == ctypes.c_void_p(-1).value:
                break
            return key, segment
        error = ctypes.get_errno()
        old = _libc.shmget(key, 0, 0)
        if error not in (17, 13) or old < 0:    # EEXIST, EACCES
            break
        if attached_processes(old) == 0 and _libc.shmctl(old, _IPC_RMID, None) == 0:
            continue
        key += 1
    report(Severity.WARNING, "could not create shared memory interlock segment")
    return None


def remove_interlock_segment(segment_id: int) -> None:
    """Mark the segment for removal once nobody is attached."""
    _libc.shmctl(segment_id, _IPC_RMID, None)


def create_data_directory_lock(data_directory: Path) -> LockFile:
    """Make postmaster.pid with its first two lines and the start time."""
    return create_lock_file(
        data_directory / PID_FILE,
        [str(os.getpid()), str(data_directory), str(int(time.time()))],
        in_use_hint=f'Is another postmaster (PID {{pid}}) running in data directory "{data_directory}"?',
    )


def write_opts_file(data_directory: Path, arguments: list[str]) -> None:
    """postmaster.opts: the program and, in double quotes, each argument."""
    line = arguments[0] + "".join(f' "{argument}"' for argument in arguments[1:])
    (data_directory / OPTS_FILE).write_text(line + "\n")
    (data_directory / OPTS_FILE).chmod(0o600)


def check_data_directory(data_directory: Path) -> None:
    """Refuse a directory that is missing, foreign, too open, or of another version.

    Errors: FATAL 58P01, F0000/XX000 with PostgreSQL's texts.
    """
    try:
        status = data_directory.stat()
    except FileNotFoundError:
        raise Fatal(errcode.UNDEFINED_FILE, f'data directory "{data_directory}" does not exist') from None
    except OSError as error:
        raise Fatal(
            errcode.INTERNAL_ERROR,
            f'could not read permissions of directory "{data_directory}": {error.strerror}',
        ) from error
    if not data_directory.is_dir():
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f'specified data directory "{data_directory}" is not a directory'
        )
    if status.st_uid != os.geteuid():
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'data directory "{data_directory}" has wrong ownership',
            hint="The server must be started by the user that owns the data directory.",
        )
    if status.st_mode & 0o027:
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'data directory "{data_directory}" has invalid permissions',
            detail="Permissions should be u=rwx (0700) or u=rwx,g=rx (0750).",
        )
    _check_version(data_directory)


def _check_version(data_directory: Path) -> None:
    version_file = data_directory / "PG_VERSION"
    try:
        version = version_file.read_text().strip()
    except FileNotFoundError:
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            f'"{data_directory}" is not a valid data directory',
            detail=f'File "{version_file}" is missing.',
        ) from None
    except OSError as error:
        raise Fatal(errcode.INTERNAL_ERROR, f'could not open file "{version_file}": {error.strerror}') from error
    if not version.isdigit():
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            f'"{data_directory}" is not a valid data directory',
            detail=f'File "{version_file}" does not contain valid data.',
            hint="You might need to initdb.",
        )
    if version != "18":
        raise Fatal(
            errcode.INVALID_PARAMETER_VALUE,
            "database files are incompatible with server",
            detail=f"The data directory was initialized by PostgreSQL version {version}, which is not compatible with "
            "this version 18.4.",
        )

"""WAL segment files: making, opening, recycling and removing them (the file half of xlog.c).

Names are relative to the data directory, which is the working directory of every server process. A new segment is
written under a temporary name, synced, then renamed into place under ControlFileLock, so that a segment that exists
always has its full size.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from stat import S_ISREG

from tusk.errors import Severity, SqlError, errcode, report
from tusk.wal import _xlogctl
from tusk.wal.controlfile import is_segment_name, parse_segment_name
from tusk.wal.controlfile import segment_name as _segment_name

WAL_DIRECTORY = "pg_wal"
_ZEROES = bytes(1024 * 1024)


@dataclass(slots=True)
class SegmentCounts:
    """What a checkpoint did with segments, for its log line."""

    added: int = 0
    removed: int = 0
    recycled: int = 0


def segment_name(timeline: int, segno: int) -> str:
    """File name of a segment of this cluster's size."""
    return _segment_name(timeline, segno, _xlogctl.get_wal_segment_size())


def segment_path(timeline: int, segno: int) -> str:
    """Path relative to the data directory."""
    return f"{WAL_DIRECTORY}/{segment_name(timeline, segno)}"


def _sync_flags() -> int:
    if not _xlogctl.setting("fsync"):
        return 0
    return {"open_sync": os.O_SYNC, "open_datasync": os.O_DSYNC}.get(str(_xlogctl.setting("wal_sync_method")), 0)


def _io_error(action: str, path: str, error: OSError) -> SqlError:
    sqlstate = errcode.DISK_FULL if error.errno == 28 else errcode.IO_ERROR
    return SqlError(sqlstate, f'could not {action} file "{path}": {error.strerror}')


def open_segment(segno: int, timeline: int) -> int:
    """Open an existing segment for writing (XLogFileOpen)."""
    path = segment_path(timeline, segno)
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC | _sync_flags())
    except OSError as error:
        raise _io_error("open", path, error) from error


def fsync_path(path: str) -> None:
    """Make a file or a directory durable, when fsync is on."""
    if not _xlogctl.setting("fsync"):
        return
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def durable_rename(old: str, new: str) -> None:
    """Rename so that after a crash either name holds a whole, durable file."""
    fsync_path(old)
    if os.path.exists(new):
        fsync_path(new)
    os.rename(old, new)
    fsync_path(new)
    fsync_path(os.path.dirname(new) or ".")


def _fill(path: str, size: int) -> None:
    """Write a new file of zeroes (or only its last byte) and sync it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        if _xlogctl.setting("wal_init_zero"):
            offset = 0
            while offset < size:
                offset += os.pwrite(fd, memoryview(_ZEROES)[: size - offset], offset)
        else:
            os.pwrite(fd, b"\0", size - 1)
        if _xlogctl.setting("fsync"):
            os.fsync(fd)
    finally:
        os.close(fd)


def create_segment(segno: int, timeline: int) -> bool:
    """Make the segment if it is missing; True if it was made here (part of XLogFileInitInternal)."""
    path = segment_path(timeline, segno)
    if os.path.exists(path):
        return False
    temporary = f"{WAL_DIRECTORY}/xlogtemp.{os.getpid()}"
    try:
        if os.path.exists(temporary):
            os.unlink(temporary)
        _fill(temporary, _xlogctl.get_wal_segment_size())
    except OSError as error:
        # Free the space at once: a full disk is the usual reason.
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise _io_error("write to", temporary, error) from error
    # Another process may have been faster: then this file becomes a later segment, within reason.
    if install_segment(segno, temporary, find_free=True, max_segno=segno + _xlogctl.checkpoint_segments(),
                       timeline=timeline) is None:
        os.unlink(temporary)
        return False
    return True


def init_segment(segno: int, timeline: int) -> int:
    """Open the segment for writing, making it first if need be (XLogFileInit)."""
    create_segment(segno, timeline)
    return open_segment(segno, timeline)


def install_segment(segno: int, path: str, *, find_free: bool, max_segno: int, timeline: int) -> int | None:
    """Rename `path` to segment `segno`, or with find_free to the first free number up to max_segno.

    Returns the number used, None if none was free or installing is off now (InstallXLogFileSegment).
    """
    with _xlogctl.control_file_lock():
        if not _xlogctl.install_segments_active():
            return None
        target = segment_path(timeline, segno)
        if find_free:
            while os.path.exists(target):
                if segno >= max_segno:
                    return None
                segno += 1
                target = segment_path(timeline, segno)
        elif os.path.exists(target):
            os.unlink(target)
        try:
            durable_rename(path, target)
        except OSError as error:
            report(Severity.LOG, f'could not rename file "{path}" to "{target}": {error.strerror}')
            return None
    return segno


def restore_full_size(segno: int, timeline: int) -> None:
    """Give a segment that was cut short its full size again, as everything that reads WAL expects."""
    path = segment_path(timeline, segno)
    size = _xlogctl.get_wal_segment_size()
    if os.path.exists(path) and os.path.getsize(path) < size:
        fd = open_segment(segno, timeline)
        try:
            os.ftruncate(fd, size)
            if _xlogctl.setting("fsync"):
                os.fsync(fd)
        finally:
            os.close(fd)


def list_segments() -> Iterator[str]:
    """Names of segment files (``.partial`` ones too) in pg_wal, unsorted."""
    for name in os.listdir(WAL_DIRECTORY):
        if is_segment_name(name) or (name.endswith(".partial") and is_segment_name(name[:-8])):
            yield name


def recycle_limit(last_redo: int, distance_estimate: float) -> int:
    """The highest segment number worth keeping as a recycled file (XLOGfileslop)."""
    size = _xlogctl.get_wal_segment_size()
    per_segment = size // (1024 * 1024)
    lowest = last_redo // size + int(_xlogctl.setting("min_wal_size")) // per_segment - 1
    highest = last_redo // size + int(_xlogctl.setting("max_wal_size")) // per_segment - 1
    distance = (1.0 + float(_xlogctl.setting("checkpoint_completion_target"))) * distance_estimate * 1.10
    wanted = ceil((last_redo + distance) / size)
    return max(lowest, min(highest, wanted))


def remove_old_segments(
    keep_from: int, last_redo: int, end: int, timeline: int, distance_estimate: float, counts: SegmentCounts
) -> None:
    """Recycle or remove the segments before number `keep_from` (RemoveOldXlogFiles).

    `end` is the current end of WAL: recycled files become segments after it, in the name of `timeline`.
    """
    size = _xlogctl.get_wal_segment_size()
    next_free = end // size
    limit = recycle_limit(last_redo, distance_estimate)
    # Names of different timelines compare by segment alone: an old timeline's segments are no longer needed either.
    last_name = segment_name(0, keep_from - 1)[8:] if keep_from > 0 else ""
    for name in sorted(list_segments()):
        if not last_name or name[8:24] > last_name or not archiving_done(name):
            continue
        _xlogctl.set_last_removed_segment(parse_segment_name(name, size)[1])
        next_free = _remove_or_recycle(name, next_free, limit, timeline, counts)


def _remove_or_recycle(name: str, next_free: int, limit: int, timeline: int, counts: SegmentCounts) -> int:
    """Turn one old segment into a future one, or remove it; returns the next number to try."""
    path = f"{WAL_DIRECTORY}/{name}"
    if (
        _xlogctl.setting("wal_recycle")
        and next_free <= limit
        and _xlogctl.install_segments_active()
        and S_ISREG(os.lstat(path).st_mode)
    ):
        installed = install_segment(next_free, path, find_free=True, max_segno=limit, timeline=timeline)
        if installed is not None:
            report(Severity.DEBUG2, f'recycled write-ahead log file "{name}"')
            counts.recycled += 1
            _forget_archive_status(name)
            return installed + 1
    report(Severity.DEBUG2, f'removing write-ahead log file "{name}"')
    try:
        os.unlink(path)
        fsync_path(WAL_DIRECTORY)
    except OSError as error:
        report(Severity.LOG, f'could not remove file "{path}": {error.strerror}')
        return next_free
    counts.removed += 1
    _forget_archive_status(name)
    return next_free


def preallocate(end: int, timeline: int, counts: SegmentCounts) -> None:
    """Make the next segment ahead of time when three quarters of the current one are used (PreallocXlogFiles)."""
    size = _xlogctl.get_wal_segment_size()
    if not _xlogctl.install_segments_active():
        return
    segno = (end - 1) // size
    if (end - 1) % size >= 0.75 * size and create_segment(segno + 1, timeline):
        counts.added += 1


def remove_temporary_files() -> None:
    """Remove what processes that died left behind (RemoveTempXlogFiles)."""
    for name in os.listdir(WAL_DIRECTORY):
        if name.startswith("xlogtemp."):
            os.unlink(f"{WAL_DIRECTORY}/{name}")


def check_wal_directory() -> None:
    """pg_wal and its subdirectories, made again where missing (ValidateXLOGDirectoryStructure)."""
    if not os.path.isdir(WAL_DIRECTORY):
        raise SqlError(errcode.UNDEFINED_FILE, f'required WAL directory "{WAL_DIRECTORY}" does not exist')
    for name in ("archive_status", "summaries"):
        path = f"{WAL_DIRECTORY}/{name}"
        if not os.path.isdir(path):
            report(Severity.LOG, f'creating missing WAL directory "{path}"')
            os.mkdir(path, 0o700)


def notify_archiver(timeline: int, segno: int) -> None:
    """Leave word for the archiver that a segment is complete (XLogArchiveNotifySeg)."""
    _touch(f"{WAL_DIRECTORY}/archive_status/{segment_name(timeline, segno)}.ready")


def archiving_done(name: str) -> bool:
    """Whether archiving has no more need of a segment (XLogArchiveCheckDone)."""
    if _xlogctl.setting("archive_mode") == "off":
        return True
    status = f"{WAL_DIRECTORY}/archive_status/{name}"
    if os.path.exists(status + ".done"):
        return True
    if not os.path.exists(status + ".ready"):
        if os.path.exists(status + ".done"):
            return True
        _touch(status + ".ready")
    return False


def _touch(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600))


def _forget_archive_status(name: str) -> None:
    for suffix in (".done", ".ready"):
        path = f"{WAL_DIRECTORY}/archive_status/{name}{suffix}"
        if os.path.exists(path):
            os.unlink(path)


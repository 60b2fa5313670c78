"""Starting up: what state the cluster was left in, replay after a crash, the point where new WAL begins (StartupXLOG).

Runs once, alone, before any backend: in the startup process, or in a process that is alone with the database.
"""

import contextlib
import os
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tusk.config import settings
from tusk.errors import Fatal, Panic, Severity, errcode, feature_not_supported, report
from tusk.stats import statsfile
from tusk.storage import _smgr
from tusk.storage.temporary_files import remove_leftovers
from tusk.wal import (
    _control,
    _insert,
    _reader,
    _recovery,
    _redo,
    _xlog,
    _xlogctl,
    _xlogredo,
    checkpoint,
    datasync,
    descriptions,
    hooks,
    segments,
    unlogged,
)
from tusk.wal.controlfile import CheckPoint, ControlFile, DBState, format_lsn
from tusk.wal.damage import find_later_wal

_RM_XLOG = 0
_CHECKPOINT_SHUTDOWN, _CHECKPOINT_ONLINE, _CHECKPOINT_REDO = 0x00, 0x10, 0xE0
_PARAMETER_CHANGE, _FPW_CHANGE, _OVERWRITE_CONTRECORD = 0x60, 0x80, 0xD0
_WAL_DIRECTORY = "pg_wal"
_FIRST_UNLOGGED_LSN = 1000
_POSTGRES_EPOCH = 946684800


@dataclass(slots=True)
class EndOfWal:
    """Where replay ended and new WAL is to begin."""

    last_record: int
    end: int
    last_page: bytes
    aborted_record: int = 0
    missing_continuation: int = 0


def _time_text(seconds: int) -> str:
    """A control-file time in the log's time zone."""
    zone = settings.log_timezone
    try:
        from zoneinfo import ZoneInfo  # deferred: its data files are read only here

        moment = datetime.fromtimestamp(seconds, ZoneInfo(zone)) if zone else datetime.fromtimestamp(seconds, UTC)
    except (KeyError, ValueError, OSError):
        moment = datetime.fromtimestamp(seconds, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S %Z")


def _report_last_state(control: ControlFile) -> None:
    """Say in what state the cluster was left."""
    when = _time_text(control.time)
    level = Severity.LOG if _xlogctl.setting("under_postmaster") else Severity.NOTICE
    match control.state:
        case DBState.SHUTDOWNED:
            report(level, f"database system was shut down at {when}")
        case DBState.SHUTDOWNED_IN_RECOVERY:
            report(level, f"database system was shut down in recovery at {when}")
        case DBState.SHUTDOWNING:
            report(Severity.LOG, f"database system shutdown was interrupted; last known up at {when}")
        case DBState.IN_CRASH_RECOVERY:
            report(
                Severity.LOG,
                f"database system was interrupted while in recovery at {when}",
                hint="This probably means that some data is corrupted and you will have to use the last backup for "
                "recovery.",
            )
        case DBState.IN_ARCHIVE_RECOVERY:
            report(
                Severity.LOG,
                "database system was interrupted while in recovery at log time "
                f"{_time_text(control.checkpoint_copy.time)}",
                hint="If this has occurred more than once some data might be corrupted and you might need to choose "
                "an earlier recovery target.",
            )
        case DBState.IN_PRODUCTION:
            report(Severity.LOG, f"database system was interrupted; last known up at {when}")
        case _:
            raise Fatal(errcode.DATA_CORRUPTED, "control file contains invalid database cluster state")


def _refuse_unsupported() -> None:
    """Kinds of recovery that are not there yet."""
    for name in ("standby.signal", "recovery.signal"):
        if os.path.exists(name):
            raise _as_fatal(feature_not_supported(f"recovery requested by {name}"))
    if os.path.exists("backup_label"):
        raise _as_fatal(feature_not_supported("recovery from a base backup (backup_label)"))
    if os.path.exists("recovery.conf"):
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, 'using recovery command file "recovery.conf" is not supported'
        )


def _as_fatal(error: BaseException) -> Fatal:
    return Fatal(errcode.FEATURE_NOT_SUPPORTED, error.message)  # type: ignore[attr-defined]  # an SqlError


def _read_checkpoint_record(reader: _reader.WalReader, lsn: int) -> tuple[CheckPoint, bool]:
    """The checkpoint that the control file names, and whether it is a shutdown checkpoint; PANIC without it."""
    if lsn % 8192 < 24:
        report(Severity.LOG, "invalid checkpoint location")
    reader.begin(lsn)
    record = reader.read_record()
    problem = None
    if record is None:
        problem = "invalid checkpoint record"
        if reader.error:
            report(Severity.LOG, reader.error)
    elif record.rmid != _RM_XLOG:
        problem = "invalid resource manager ID in checkpoint record"
    elif record.xl_info & 0xF0 not in (_CHECKPOINT_SHUTDOWN, _CHECKPOINT_ONLINE):
        problem = "invalid xl_info in checkpoint record"
    elif record.total_length != 24 + 2 + 88:
        problem = "invalid length of checkpoint record"
    if problem is not None or record is None:
        report(Severity.LOG, str(problem))
        raise Panic(errcode.DATA_CORRUPTED, f"could not locate a valid checkpoint record at {format_lsn(lsn)}")
    return CheckPoint.unpack(record.data), record.xl_info & 0xF0 == _CHECKPOINT_SHUTDOWN


def startup() -> None:
    """Bring the cluster to a state where WAL can be written; PANIC or FATAL if that is impossible."""
    control = _control.get()
    if control.checkpoint % 8192 < 24:
        raise Fatal(errcode.DATA_CORRUPTED, "control file contains invalid checkpoint location")
    _report_last_state(control)
    segments.check_wal_directory()
    crashed = control.state not in (DBState.SHUTDOWNED, DBState.SHUTDOWNED_IN_RECOVERY)
    if crashed:
        segments.remove_temporary_files()
        remove_leftovers()
        datasync.sync_data_directory()
    _refuse_unsupported()

    timeline = control.checkpoint_copy.this_timeline_id
    reader = _reader.WalReader(_WAL_DIRECTORY, control.xlog_seg_size, timeline, control.system_identifier)
    ckpt, was_shutdown = _read_checkpoint_record(reader, control.checkpoint)
    report(Severity.DEBUG1, f"checkpoint record is at {format_lsn(control.checkpoint)}")
    checkpoint_end = reader.end_lsn
    if ckpt.redo > control.checkpoint:
        raise Panic(errcode.DATA_CORRUPTED, "invalid redo in checkpoint record")
    if ckpt.next_xid & 0xFFFFFFFF < 3:
        raise Panic(errcode.DATA_CORRUPTED, "invalid next transaction ID")
    if ckpt.redo < control.checkpoint and was_shutdown:
        raise Panic(errcode.DATA_CORRUPTED, "invalid redo record in shutdown checkpoint")
    in_recovery = ckpt.redo < control.checkpoint or control.state != DBState.SHUTDOWNED
    shutdown_text = "true" if was_shutdown else "false"
    report(Severity.DEBUG1, f"redo record is at {format_lsn(ckpt.redo)}; shutdown {shutdown_text}")

    hooks.restore_transam_values(hooks.transam_values_of(ckpt))
    _xlogctl.set_unlogged_lsn(control.unlogged_lsn if not in_recovery else _FIRST_UNLOGGED_LSN)
    _xlog.set_redo_pointers(ckpt.redo)
    _xlogredo.note_full_page_writes(ckpt.full_page_writes)
    _xlogredo.set_replay_timeline(timeline)
    hooks.run("startup.relation_map")
    hooks.run("startup.before_redo")

    if crashed or in_recovery:
        statsfile.discard()
    else:
        statsfile.restore()
    if in_recovery:
        report(Severity.LOG, "database system was not properly shut down; automatic recovery in progress")
        _control.update(state=DBState.IN_CRASH_RECOVERY, checkpoint_copy=ckpt)
        if _recovery_started_hook is not None:
            _recovery_started_hook()
        unlogged.remove_contents()
        known_flushed = max(checkpoint_end, control.min_recovery_point)
        end = _replay_wal(reader, control.checkpoint, ckpt, known_flushed)
        if end.end < control.min_recovery_point:
            raise Fatal(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "WAL ends before consistent recovery point")
        unlogged.restore_empty()
    else:
        end = EndOfWal(control.checkpoint, checkpoint_end, reader.page_bytes(checkpoint_end))
    reader.close()
    _begin_new_wal(end, timeline, ckpt, in_recovery)


def _first_record(reader: _reader.WalReader, checkpoint_lsn: int, ckpt: CheckPoint) -> bool:
    """Read the first record to replay; False if there is none. PANIC if the redo point cannot be read."""
    if ckpt.redo < checkpoint_lsn:
        reader.begin(ckpt.redo)
        record = reader.read_record()
        if record is None:
            if reader.error:
                report(Severity.LOG, reader.error)
            raise Panic(
                errcode.DATA_CORRUPTED,
                f"could not find redo location {format_lsn(ckpt.redo)} referenced by checkpoint record at "
                f"{format_lsn(checkpoint_lsn)}",
            )
        if record.rmid != _RM_XLOG or record.xl_info & 0xF0 != _CHECKPOINT_REDO:
            raise Panic(
                errcode.DATA_CORRUPTED, f"unexpected record type found at redo point {format_lsn(ckpt.redo)}"
            )
        return True
    reader.begin(checkpoint_lsn)
    if reader.read_record() is None:
        raise Panic(
            errcode.DATA_CORRUPTED, f"could not locate a valid checkpoint record at {format_lsn(checkpoint_lsn)}"
        )
    return reader.read_record() is not None


def _replay_wal(reader: _reader.WalReader, checkpoint_lsn: int, ckpt: CheckPoint, known_flushed: int) -> EndOfWal:
    """Replay from the redo point to the end of valid WAL."""
    cpu = os.times()
    if _first_record(reader, checkpoint_lsn, ckpt):
        _smgr.set_in_recovery(True)
        _redo.set_reached_consistency(False)
        _redo.run_startup_routines()
        report(Severity.LOG, f"redo starts at {format_lsn(reader.read_lsn)}")
        started = time.monotonic()

        def progress(lsn: int) -> None:
            elapsed = time.monotonic() - started
            report(
                Severity.LOG,
                f"redo in progress, elapsed time: {int(elapsed)}.{int(elapsed % 1 * 100):02d} s, "
                f"current LSN: {format_lsn(lsn)}",
            )

        try:
            _recovery.replay(
                reader, descriptions.describe, progress, settings.log_startup_progress_interval / 1000, _on_segment
            )
            _check_end(reader, known_flushed)
            _redo.run_cleanup_routines()
            _redo.check_invalid_pages()
        finally:
            _smgr.set_in_recovery(False)
            _redo.set_replaying(False)
        report(Severity.LOG, f"redo done at {format_lsn(reader.read_lsn)} system usage: {_usage(cpu)}")
    else:
        _check_end(reader, known_flushed)
        report(Severity.LOG, "redo is not required")
    end = EndOfWal(reader.read_lsn, reader.end_lsn, b"")
    if reader.aborted_record:
        # New WAL starts where the missing continuation should be, with a record that says so.
        end.aborted_record, end.missing_continuation = reader.aborted_record, reader.missing_continuation
        end.end = end.missing_continuation
    reader.forget_window()
    end.last_page = reader.page_bytes(end.end)
    return end


def _on_segment(segno: int) -> None:
    title = _title_hook
    if title is not None:
        title(segments.segment_name(_xlog.insert_timeline() or 1, segno))


_title_hook: Callable[[str], object] | None = None
_recovery_started_hook: Callable[[], None] | None = None


def set_title_hook(function: Callable[[str], object]) -> None:
    """``function(name)`` is told the WAL file being replayed, for the process title."""
    global _title_hook
    _title_hook = function


def set_recovery_started_hook(function: Callable[[], None]) -> None:
    """``function()`` is called once replay is about to begin, for the postmaster's state."""
    global _recovery_started_hook
    _recovery_started_hook = function


def _check_end(reader: _reader.WalReader, known_flushed: int) -> None:
    """Tell a torn end of WAL, which is normal, from damage in its middle, which is not.

    # Differs from PostgreSQL: it takes any invalid record for the end, and would overwrite what follows.
    """
    at, why = reader.end_lsn, reader.error
    if why:
        report(Severity.LOG, why)
    mark = _xlog.read_flush_mark(_WAL_DIRECTORY)
    later = None
    if at < known_flushed:
        later = known_flushed
    else:
        later = find_later_wal(reader, at, mark)
    if later is not None:
        raise Panic(
            errcode.DATA_CORRUPTED,
            f"WAL is damaged at {format_lsn(at)}, but continues at {format_lsn(later)}",
            detail=why or f"There is no valid record at {format_lsn(at)}.",
            hint="Nothing was overwritten. Restore the WAL segment "
            f'"{segments.segment_name(reader.timeline, at // reader.segment_size)}" or the last backup.',
        )


def _usage(start: os.times_result) -> str:
    now = os.times()
    return (
        f"CPU: user: {now.user - start.user:.2f} s, system: {now.system - start.system:.2f} s, "
        f"elapsed: {now.elapsed - start.elapsed:.2f} s"
    )


def _begin_new_wal(end: EndOfWal, timeline: int, ckpt: CheckPoint, in_recovery: bool) -> None:
    """Prepare insertion after the last record, finish recovery, and let everyone write WAL."""
    _xlog.start_insertion(end.end, end.last_record, end.last_page, timeline, timeline)
    with _xlogctl.control_file_lock():
        _xlogctl.set_install_segments_active(True)
    segments.restore_full_size(end.end // _xlogctl.get_wal_segment_size(), timeline)
    _xlog.set_flush_mark(end.end)
    counts = segments.SegmentCounts()
    with contextlib.suppress(OSError):
        # Only a convenience: a full disk will be met again, with a proper error, when the space is needed.
        segments.preallocate(end.end, timeline, counts)
    oldest_active = ckpt.oldest_active_xid or ckpt.next_xid & 0xFFFFFFFF
    hooks.run("startup.after_redo", oldest_active)

    _xlog.set_insert_allowed(1)
    _xlog.set_shared_full_page_writes(_xlogredo.replayed_full_page_writes())
    update_full_page_writes(during_startup=True)
    if end.aborted_record:
        body = struct.pack("<Qq", end.aborted_record, _now())
        _xlog.mark_overwrite_page(end.missing_continuation)
        lsn = _insert.insert(_RM_XLOG, _OVERWRITE_CONTRECORD, body)
        _xlog.flush(lsn)
    if in_recovery:
        flags = checkpoint.CHECKPOINT_END_OF_RECOVERY | checkpoint.CHECKPOINT_IMMEDIATE | checkpoint.CHECKPOINT_WAIT
        if _xlogctl.setting("under_postmaster"):
            # The checkpointer does it; it may insert because the flag says end of recovery.
            _xlog.set_insert_allowed(-1)
            checkpoint.request_checkpoint(flags)
            _xlog.set_insert_allowed(1)
        else:
            checkpoint.create_checkpoint(flags)
    report_parameters()
    _control.update(state=DBState.IN_PRODUCTION)
    _xlog.set_recovery_done()
    _xlog.set_insert_allowed(-1)
    hooks.run("startup.finished")


def _now() -> int:
    """Microseconds since 2000-01-01."""
    return int((time.time() - _POSTGRES_EPOCH) * 1_000_000)


def update_full_page_writes(*, during_startup: bool = False) -> None:
    """Make the setting full_page_writes effective for all, logging the change (UpdateFullPageWrites)."""
    wanted = bool(_xlogctl.setting("full_page_writes"))
    if wanted == _xlog.shared_full_page_writes():
        return
    # Turn it on before, and off after, the record: pages changed in between must be safe either way.
    if wanted:
        _xlog.set_shared_full_page_writes(True)
    if _xlogctl.setting("wal_level") and (during_startup or not _xlog.is_in_recovery()):
        _insert.insert(_RM_XLOG, _FPW_CHANGE, struct.pack("<?", wanted))
    if not wanted:
        _xlog.set_shared_full_page_writes(False)


def report_parameters() -> None:
    """Log settings that matter to standbys when they differ from the control file (XLogReportParameters)."""
    control = _control.get()
    wal_level = _xlogctl.setting("wal_level")
    wanted: dict[str, object] = {
        "max_connections": settings.max_connections,
        "max_worker_processes": settings.max_worker_processes,
        "max_wal_senders": settings.max_wal_senders,
        "max_prepared_xacts": settings.max_prepared_transactions,
        "max_locks_per_xact": settings.max_locks_per_transaction,
        "wal_level": wal_level,
        "wal_log_hints": bool(_xlogctl.setting("wal_log_hints")),
        "track_commit_timestamp": settings.track_commit_timestamp,
    }
    if all(getattr(control, name) == value for name, value in wanted.items()):
        return
    if wal_level or control.wal_level:
        body = struct.pack("<iiiiii??2x", *wanted.values())
        _xlog.flush(_insert.insert(_RM_XLOG, _PARAMETER_CHANGE, body))
    _control.update(**wanted)


def shutdown() -> None:
    """The last checkpoint of a clean stop (ShutdownXLOG)."""
    if _xlog.is_in_recovery():
        return
    checkpoint.create_checkpoint(checkpoint.CHECKPOINT_IS_SHUTDOWN | checkpoint.CHECKPOINT_IMMEDIATE)


__all__ = [
    "report_parameters", "set_recovery_started_hook", "set_title_hook", "shutdown", "startup",
    "update_full_page_writes",
]  # fmt: skip

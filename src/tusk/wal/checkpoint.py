"""Checkpoints: making them, and asking the checkpointer for one (CreateCheckPoint, RequestCheckpoint).

`create_checkpoint` runs in the checkpointer, in the startup process when there is no checkpointer, or in a process
that is alone with the database. Lock order: ControlFileLock is taken last and alone.
"""

import struct
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory import _latch, _wait
from tusk.memory._critical import CriticalSection
from tusk.memory._interrupts import check as check_for_interrupts
from tusk.stats import _store
from tusk.storage import _checkpoint as buffer_writer
from tusk.storage import _sync
from tusk.wal import _control, _insert, _xlog, _xlogctl, hooks
from tusk.wal import segments as segment_files
from tusk.wal.controlfile import CheckPoint, DBState, format_lsn

CHECKPOINT_IS_SHUTDOWN = 0x0001
CHECKPOINT_END_OF_RECOVERY = 0x0002
CHECKPOINT_IMMEDIATE = 0x0004
CHECKPOINT_FORCE = 0x0008
CHECKPOINT_FLUSH_ALL = 0x0010
CHECKPOINT_WAIT = 0x0020
CHECKPOINT_REQUESTED = 0x0040
CHECKPOINT_CAUSE_XLOG = 0x0080
CHECKPOINT_CAUSE_TIME = 0x0100

_FLAG_WORDS = (
    (CHECKPOINT_IS_SHUTDOWN, " shutdown"),
    (CHECKPOINT_END_OF_RECOVERY, " end-of-recovery"),
    (CHECKPOINT_IMMEDIATE, " immediate"),
    (CHECKPOINT_FORCE, " force"),
    (CHECKPOINT_WAIT, " wait"),
    (CHECKPOINT_CAUSE_XLOG, " wal"),
    (CHECKPOINT_CAUSE_TIME, " time"),
    (CHECKPOINT_FLUSH_ALL, " flush-all"),
)

_RM_XLOG = 0
_CHECKPOINT_SHUTDOWN, _CHECKPOINT_ONLINE, _CHECKPOINT_REDO = 0x00, 0x10, 0xE0
_DELAY_START, _DELAY_COMPLETE = 1, 2
_WAIT_DELAY_START, _WAIT_DELAY_COMPLETE = 0x0800000A, 0x08000009
WAIT_CHECKPOINT_DONE, WAIT_CHECKPOINT_START = 0x0800000B, 0x0800000C
_WAIT_WRITE_DELAY = 0x09000001
_WRITES_PER_ABSORB = 1000


@dataclass(slots=True)
class CheckpointStats:
    """Figures of one checkpoint, times in seconds."""

    start: float = field(default_factory=time.monotonic)
    write_start: float = 0.0
    sync_start: float = 0.0
    sync_end: float = 0.0
    buffers_written: int = 0
    slru_written: int = 0
    segments: segment_files.SegmentCounts = field(default_factory=segment_files.SegmentCounts)
    sync_files: int = 0
    longest_sync: float = 0.0
    total_sync: float = 0.0


# Positions of PgStat_CheckpointerStats
_CHECKPOINTER_STATISTICS = 9
NUM_TIMED, NUM_REQUESTED, NUM_PERFORMED = 0, 1, 2
_WRITE_TIME, _SYNC_TIME, _BUFFERS_WRITTEN, _SLRU_WRITTEN = 6, 7, 8, 9


def count(*changes: tuple[int, int]) -> None:
    """Add to the checkpointer's statistics: (position, amount) pairs."""
    _store.add_fixed(_CHECKPOINTER_STATISTICS, changes)
last_stats: CheckpointStats | None = None


class _Distance:
    """Moving average of the WAL between checkpoints, and the last value."""

    previous = 0.0
    estimate = 0.0

    @classmethod
    def update(cls, nbytes: int) -> None:
        """Jump up at once, come down slowly: too few recycled segments cost more than too many."""
        cls.previous = nbytes
        cls.estimate = nbytes if cls.estimate < nbytes else 0.9 * cls.estimate + 0.1 * nbytes


def distance_estimate() -> float:
    """Estimated bytes of WAL from one checkpoint to the next (CheckPointDistanceEstimate)."""
    return _Distance.estimate


class Schedule:
    """Pacing of the checkpoint that this process makes; the checkpointer sets it up."""

    active = False
    start_time = 0.0
    start_lsn = 0
    elapsed = 0.0
    absorb_countdown = _WRITES_PER_ABSORB

    @classmethod
    def begin(cls) -> None:
        """A checkpoint starts in the checkpointer."""
        cls.active = True
        cls.start_time = time.monotonic()
        cls.start_lsn = _xlog.insert_lsn() if not _xlog.is_in_recovery() else 0
        cls.elapsed = 0.0
        cls.absorb_countdown = _WRITES_PER_ABSORB

    @classmethod
    def end(cls) -> None:
        """It is done."""
        cls.active = False


def is_on_schedule(progress: float) -> bool:
    """Whether, at this fraction of the work, we are ahead of both the clock and the WAL (IsCheckpointOnSchedule)."""
    progress *= settings.checkpoint_completion_target
    if progress < Schedule.elapsed:
        return False
    if not _xlog.is_in_recovery():
        nbytes = _xlog.insert_lsn() - Schedule.start_lsn
        elapsed = nbytes / _xlogctl.get_wal_segment_size() / _xlogctl.checkpoint_segments()
        if progress < elapsed:
            Schedule.elapsed = elapsed
            return False
    elapsed = (time.monotonic() - Schedule.start_time) / settings.checkpoint_timeout
    if progress < elapsed:
        Schedule.elapsed = elapsed
        return False
    return True


def _never() -> bool:
    return False


# Whether the checkpointer should hurry because the server stops.
_shutdown_pending: Callable[[], bool] = _never


def set_shutdown_pending(function: Callable[[], bool]) -> None:
    """Name the function that says so."""
    global _shutdown_pending
    _shutdown_pending = function


def write_delay(flags: int, progress: float) -> None:
    """Called after each buffer written: sleeps while the checkpoint is ahead of schedule (CheckpointWriteDelay)."""
    if not Schedule.active:
        return
    if (
        not flags & CHECKPOINT_IMMEDIATE
        and not _shutdown_pending()
        and not _sync.checkpoint_counters()[3] & CHECKPOINT_IMMEDIATE
        and is_on_schedule(progress)
    ):
        hooks.run("checkpoint.idle")
        _sync.absorb_sync_requests()
        Schedule.absorb_countdown = _WRITES_PER_ABSORB
        _latch.wait(100, _WAIT_WRITE_DELAY)
        _latch.reset()
    else:
        Schedule.absorb_countdown -= 1
        if Schedule.absorb_countdown <= 0:
            _sync.absorb_sync_requests()
            Schedule.absorb_countdown = _WRITES_PER_ABSORB
    check_for_interrupts()


def _log_start(flags: int) -> None:
    report(Severity.LOG, "checkpoint starting:" + "".join(word for bit, word in _FLAG_WORDS if flags & bit))


def _seconds(value: float) -> str:
    milliseconds = round(value * 1000)
    return f"{milliseconds // 1000}.{milliseconds % 1000:03d} s"


def _log_end(stats: CheckpointStats, record_lsn: int, redo: int, pool_size: int) -> None:
    now = time.monotonic()
    write, sync = stats.sync_start - stats.write_start, stats.sync_end - stats.sync_start
    count((_WRITE_TIME, int(write * 1000)), (_SYNC_TIME, int(sync * 1000)))
    if not settings.log_checkpoints:
        return
    average = stats.total_sync / stats.sync_files if stats.sync_files else 0.0
    report(
        Severity.LOG,
        f"checkpoint complete: wrote {stats.buffers_written} buffers "
        f"({stats.buffers_written * 100 / max(pool_size, 1):.1f}%), wrote {stats.slru_written} SLRU buffers; "
        f"{stats.segments.added} WAL file(s) added, {stats.segments.removed} removed, "
        f"{stats.segments.recycled} recycled; write={_seconds(write)}, sync={_seconds(sync)}, "
        f"total={_seconds(now - stats.start)}; sync files={stats.sync_files}, longest={_seconds(stats.longest_sync)}, "
        f"average={_seconds(average)}; distance={int(_Distance.previous / 1024)} kB, "
        f"estimate={int(_Distance.estimate / 1024)} kB; lsn={format_lsn(record_lsn)}, redo lsn={format_lsn(redo)}",
    )


def _sync_files(stats: CheckpointStats) -> None:
    """fsync what was written, timing each file."""

    def timed(tag: tuple[int, int, int, int, int, int]) -> str:
        start = time.monotonic()
        path: str = _sync.fsync_tag(tag)
        elapsed = time.monotonic() - start
        stats.longest_sync = max(stats.longest_sync, elapsed)
        stats.total_sync += elapsed
        return path

    stats.sync_files = _sync.process_sync_requests(timed)


def _write_everything(flags: int, stats: CheckpointStats) -> None:
    """Write and sync all that must be on disk before the checkpoint record (CheckPointGuts)."""
    for point in ("checkpoint.relation_map", "checkpoint.replication"):
        hooks.run(point, flags)
    stats.write_start = time.monotonic()
    for point in (
        "checkpoint.clog", "checkpoint.commit_ts", "checkpoint.subtrans", "checkpoint.multixact",
        "checkpoint.predicate",
    ):  # fmt: skip
        stats.slru_written += sum(written or 0 for written in hooks.run(point, flags))
    stats.buffers_written += buffer_writer.checkpoint(flags)
    stats.sync_start = time.monotonic()
    _sync_files(stats)
    stats.sync_end = time.monotonic()
    hooks.run("checkpoint.two_phase", flags)


def _wait_for_delaying(flag: int, wait_event: int) -> None:
    """Wait for the transactions that are, right now, between changing data and logging it or the like."""
    waiting = _xlogctl.delaying_transactions(flag)
    while waiting:
        _sync.absorb_sync_requests()
        _latch.wait(10, wait_event)
        _latch.reset()
        waiting = _xlogctl.still_delaying(flag, waiting)


def create_checkpoint(flags: int) -> bool:
    """Make a checkpoint; False if it was skipped because nothing has happened since the last one."""
    global last_stats
    shutdown = bool(flags & (CHECKPOINT_IS_SHUTDOWN | CHECKPOINT_END_OF_RECOVERY))
    if _xlog.is_in_recovery() and not flags & CHECKPOINT_END_OF_RECOVERY:
        raise SqlError(errcode.INTERNAL_ERROR, "can't create a checkpoint during recovery")
    stats = CheckpointStats()
    _sync.sync_pre_checkpoint()
    if shutdown:
        _control.update(state=DBState.SHUTDOWNING)
    last_important = _xlog.last_important_lsn()
    must = CHECKPOINT_IS_SHUTDOWN | CHECKPOINT_END_OF_RECOVERY | CHECKPOINT_FORCE
    if not flags & must and last_important == _control.get().checkpoint:
        report(Severity.DEBUG1, "checkpoint skipped because system is idle")
        return False
    old_allowed = _xlog.set_insert_allowed(1) if flags & CHECKPOINT_END_OF_RECOVERY else None

    with CriticalSection():
        timeline = _xlog.insert_timeline()
        now = int(time.time())
        full_page_writes = _xlog.shared_full_page_writes()
        if shutdown:
            redo = _xlog.take_shutdown_redo_point()
        else:
            _insert.insert(_RM_XLOG, _CHECKPOINT_REDO, struct.pack("<i", _xlogctl.setting("wal_level")))
            redo = _xlog.last_record_lsn()
        _xlog.publish_redo_pointer()
        if settings.log_checkpoints:
            _log_start(flags)
        values = hooks.transam_values(shutdown)
    checkpoint = CheckPoint(
        redo=redo,
        this_timeline_id=timeline,
        prev_timeline_id=_xlog.previous_timeline() if flags & CHECKPOINT_END_OF_RECOVERY else timeline,
        full_page_writes=full_page_writes,
        wal_level=_xlogctl.setting("wal_level"),
        next_xid=values.next_full_xid,
        next_oid=values.next_oid,
        next_multi=values.next_multi,
        next_multi_offset=values.next_multi_offset,
        oldest_xid=values.oldest_xid,
        oldest_xid_db=values.oldest_xid_db,
        oldest_multi=values.oldest_multi,
        oldest_multi_db=values.oldest_multi_db,
        time=now,
        oldest_commit_ts_xid=values.oldest_commit_ts_xid,
        newest_commit_ts_xid=values.newest_commit_ts_xid,
        oldest_active_xid=0 if shutdown or not _xlogctl.setting("wal_level") else values.oldest_active_xid,
    )
    _wait_for_delaying(_DELAY_START, _WAIT_DELAY_START)
    _write_everything(flags, stats)
    _wait_for_delaying(_DELAY_COMPLETE, _WAIT_DELAY_COMPLETE)
    if not shutdown and _xlogctl.setting("wal_level"):
        hooks.run("checkpoint.log_running")

    with CriticalSection():
        end = _insert.insert(_RM_XLOG, _CHECKPOINT_SHUTDOWN if shutdown else _CHECKPOINT_ONLINE, checkpoint.pack())
        record = _xlog.last_record_lsn()
        _xlog.flush(end)
        if flags & CHECKPOINT_IS_SHUTDOWN:
            # Nothing may follow a shutdown checkpoint.
            _xlog.set_insert_allowed(0)
        if old_allowed is not None:
            _xlog.set_insert_allowed(old_allowed)
        prior_redo = _control.get().checkpoint_copy.redo
        changes: dict[str, object] = {"state": DBState.SHUTDOWNED} if shutdown else {}
        _control.update(
            checkpoint=record, checkpoint_copy=checkpoint, min_recovery_point=0, min_recovery_point_tli=0,
            unlogged_lsn=_xlogctl.unlogged_lsn(), **changes,
        )  # fmt: skip
    _sync.sync_post_checkpoint()
    if prior_redo:
        _Distance.update(redo - prior_redo)
    _clean_segments(redo, end, timeline, shutdown, stats)
    if not _xlog.is_in_recovery():
        hooks.run("checkpoint.truncate_subtrans")
    count((_BUFFERS_WRITTEN, stats.buffers_written), (_SLRU_WRITTEN, stats.slru_written))
    _log_end(stats, record, redo, settings.shared_buffers)
    last_stats = stats
    return True


def _clean_segments(redo: int, end: int, timeline: int, shutdown: bool, stats: CheckpointStats) -> None:
    """Recycle or remove WAL that is no longer needed, and make the next segment ahead of need."""
    size = _xlogctl.get_wal_segment_size()
    keep_from = redo // size
    keep_megabytes = int(settings.wal_keep_size)
    if keep_megabytes:
        # Count back from the end of WAL, not from the redo point: standbys read the newest part.
        keep_from = min(keep_from, max(1, end // size - keep_megabytes // (size // (1024 * 1024))))
    segment_files.remove_old_segments(keep_from, redo, end, timeline, _Distance.estimate, stats.segments)
    if not shutdown:
        segment_files.preallocate(end, timeline, stats.segments)


def request_checkpoint(flags: int) -> None:
    """Ask the checkpointer for a checkpoint, and with CHECKPOINT_WAIT wait for it; make it here if there is none."""
    if not _xlogctl.setting("under_postmaster"):
        create_checkpoint(flags | CHECKPOINT_IMMEDIATE)
        return
    old_failed, old_started = _sync.request_checkpoint_flags(flags | CHECKPOINT_REQUESTED)
    for attempt in range(600):
        if _wake_checkpointer():
            break
        # It may not have started yet.
        if attempt == 599 or not flags & CHECKPOINT_WAIT:
            if flags & CHECKPOINT_WAIT:
                raise SqlError(errcode.INTERNAL_ERROR, "could not notify checkpoint: checkpointer is not running")
            report(Severity.LOG, "could not notify checkpoint: checkpointer is not running")
            return
        check_for_interrupts()
        _latch.wait(100, WAIT_CHECKPOINT_START)
        _latch.reset()
    if not flags & CHECKPOINT_WAIT:
        return
    started = _wait_until(WAIT_CHECKPOINT_START, lambda counters: counters[0] != old_started)[0]
    # Counters wrap around; differences do not.
    failed = _wait_until(WAIT_CHECKPOINT_DONE, lambda counters: counters[1] - started >= 0)[2]
    if failed != old_failed:
        raise SqlError(
            errcode.INTERNAL_ERROR, "checkpoint request failed",
            hint="Consult recent messages in the server log for details.",
        )  # fmt: skip


def _wait_until(wait_event: int, condition: Callable[[tuple[int, int, int, int]], bool]) -> tuple[int, int, int, int]:
    """Wait on the latch until the counters satisfy the condition; the checkpointer wakes whoever posts the event."""
    while True:
        _latch.reset()
        # Posted before looking, so that a change after the look finds us waiting.
        _wait.post_wait(wait_event)
        counters: tuple[int, int, int, int] = _sync.checkpoint_counters()
        if condition(counters):
            _wait.clear_wait()
            return counters
        _latch.wait(-1, wait_event)
        check_for_interrupts()


def _wake_checkpointer() -> bool:
    slot = _xlogctl.checkpointer_slot()
    if slot < 0:
        return False
    _latch.set_latch_of(slot)
    return True


def segment_is_full(segno: int) -> None:
    """Hook of the WAL writer: ask for a checkpoint when max_wal_size comes near (XLogCheckpointNeeded)."""
    if segno >= _xlog.redo_lsn() // _xlogctl.get_wal_segment_size() + _xlogctl.checkpoint_segments() - 1:
        request_checkpoint(CHECKPOINT_CAUSE_XLOG)


_xlog.set_segment_full_hook(segment_is_full)
buffer_writer.set_pacing(write_delay)

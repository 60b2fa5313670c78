"""The background writer: cleans buffers ahead of the clock sweep, and logs running transactions now and then.

Takes buffer content locks in shared mode, one at a time. When two rounds found nothing to do it hibernates until a
buffer is allocated.
"""

import signal
import time

from tusk.auxiliary import common
from tusk.config import settings
from tusk.memory import _interrupts, _latch
from tusk.stats import _pending, _store
from tusk.stats.backend_types import BackendType
from tusk.storage import _checkpoint as buffer_writer
from tusk.storage import _smgr, _sync
from tusk.wal import _xlog, _xlogctl, hooks

WAIT_BGWRITER_HIBERNATE = 0x05000002
WAIT_BGWRITER_MAIN = 0x05000003
HIBERNATE_FACTOR = 50
_BGWRITER_STATISTICS = 8
SNAPSHOT_INTERVAL_SECONDS = 15.0


class _RunningTransactionsLog:
    """Writes the running-transactions record every 15 seconds if WAL has moved."""

    def __init__(self) -> None:
        self.last_time = time.monotonic()
        self.last_lsn = 0

    def write_if_due(self) -> None:
        """Log when it is time, unless nothing important was written since the last record."""
        if not _xlogctl.setting("wal_level") or _xlog.is_in_recovery():
            return
        now = time.monotonic()
        if now < self.last_time + SNAPSHOT_INTERVAL_SECONDS or self.last_lsn > _xlog.last_important_lsn():
            return
        hooks.run("checkpoint.log_running")
        self.last_lsn = _xlog.insert_lsn()
        self.last_time = now


def _count(stats: dict[str, int]) -> None:
    """Report a round (PgStat_BgWriterStats); the shared counters are left alone when nothing happened."""
    if any(stats.values()):
        _store.add_fixed(
            _BGWRITER_STATISTICS,
            [(0, stats["buffers_clean"]), (1, stats["maxwritten_clean"]), (2, stats["buffers_alloc"])],
        )


def main() -> None:
    """Main function of the process; returns when it was asked to stop."""
    common.begin("bgwriter", BackendType.BG_WRITER, {signal.SIGTERM: "shutdown"}, forward_syncs=True)
    running = _RunningTransactionsLog()
    was_idle = False
    checkpoints_done = _sync.checkpoint_counters()[1]
    while True:
        common.reload_if_asked()
        if _interrupts.peek("ShutdownRequest"):
            _pending.flush(True)
            return
        idle = bool(common.guarded(buffer_writer.bgwriter_round))
        _count(buffer_writer.take_stats())
        done = _sync.checkpoint_counters()[1]
        if done != checkpoints_done:
            # Files of dropped relations must not be kept open for ever.
            checkpoints_done = done
            _smgr.release_all()
        common.guarded(running.write_if_due)
        mask = common.sleep(settings.bgwriter_delay, WAIT_BGWRITER_MAIN)
        if mask & _latch.TIMEOUT and idle and was_idle:
            buffer_writer.notify_on_alloc()
            common.sleep(settings.bgwriter_delay * HIBERNATE_FACTOR, WAIT_BGWRITER_HIBERNATE)
            buffer_writer.cancel_notify()
        was_idle = idle

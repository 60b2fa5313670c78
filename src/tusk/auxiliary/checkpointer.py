"""The checkpointer: makes all checkpoints, fsyncs on behalf of everyone, and writes the last one at shutdown.

It exits last of the processes attached to shared memory. SIGINT asks for the shutdown checkpoint, SIGUSR2 to leave.
"""

import math
import os
import signal
import time

from tusk.auxiliary import common, resource_managers
from tusk.config import settings
from tusk.errors import Severity, report
from tusk.memory import _interrupts, _procsignal
from tusk.stats import _pending, statsfile
from tusk.stats.backend_types import BackendType
from tusk.storage import _smgr, _sync
from tusk.wal import _xlog, _xlogctl, checkpoint, hooks, startup

WAIT_CHECKPOINTER_MAIN = 0x05000004
WAIT_CHECKPOINTER_SHUTDOWN = 0x05000005


def _stopping() -> bool:
    return bool(_interrupts.peek("ProcDie") or _interrupts.peek("ShutdownRequest"))


def main() -> None:
    """Main function of the process; returns when the server is down."""
    common.begin(
        "checkpointer",
        BackendType.CHECKPOINTER,
        {signal.SIGINT: "die", signal.SIGUSR2: "shutdown"},
        forward_syncs=False,
    )
    assert resource_managers.MODULES
    _sync.announce_checkpointer(os.getpid())
    checkpoint.set_shutdown_pending(_stopping)
    loop = _Loop()
    # A spread checkpoint lasts for minutes: new settings count within it.
    hooks.register("checkpoint.idle", loop.reload_if_asked)
    while not _stopping():
        _sync.absorb_sync_requests()
        loop.reload_if_asked()
        flags = loop.due()
        if flags is not None:
            loop.perform(flags)
            continue
        common.sleep(max(1, int(loop.seconds_left() * 1000)), WAIT_CHECKPOINTER_MAIN)
    if _interrupts.peek("ProcDie"):
        _shut_down_wal()
    _procsignal.send_postmaster_signal(_procsignal.XLOG_IS_SHUTDOWN)
    while not _interrupts.peek("ShutdownRequest"):
        _sync.absorb_sync_requests()
        common.sleep(-1, WAIT_CHECKPOINTER_SHUTDOWN)
    _pending.flush(True)
    statsfile.write()


def _shut_down_wal() -> None:
    """The shutdown checkpoint: an error here must not pass for a clean stop."""
    report(Severity.LOG, "shutting down")
    startup.shutdown()
    _smgr.release_all()


class _Loop:
    """When the next checkpoint is due, and making it."""

    def __init__(self) -> None:
        self.last_start = time.monotonic()
        self.apply_settings()

    def reload_if_asked(self) -> None:
        """After SIGHUP."""
        if common.reload_if_asked():
            self.apply_settings()

    def apply_settings(self) -> None:
        """full_page_writes is changed for everyone here, and nowhere else."""
        if not _xlog.is_in_recovery():
            common.guarded(startup.update_full_page_writes)

    def seconds_left(self) -> float:
        """Until the next timed checkpoint."""
        return float(settings.checkpoint_timeout - (time.monotonic() - self.last_start))

    def due(self) -> int | None:
        """Flags of the checkpoint to make now, None if there is none to make."""
        requested = _sync.checkpoint_counters()[3]
        if self.seconds_left() <= 0:
            checkpoint.count((checkpoint.NUM_TIMED, 1))
            return checkpoint.CHECKPOINT_CAUSE_TIME
        if requested:
            checkpoint.count((checkpoint.NUM_REQUESTED, 1))
            return 0
        return None

    def perform(self, flags: int) -> None:
        """Make one checkpoint and tell who waits for it."""
        flags |= _sync.begin_checkpoint()
        _xlogctl.wake_waiters(checkpoint.WAIT_CHECKPOINT_START)
        now = time.monotonic()
        elapsed = now - self.last_start
        recovering = _xlog.is_in_recovery() and not flags & checkpoint.CHECKPOINT_END_OF_RECOVERY
        if not recovering and flags & checkpoint.CHECKPOINT_CAUSE_XLOG and elapsed < settings.checkpoint_warning:
            seconds = math.floor(elapsed)
            report(
                Severity.LOG,
                f"checkpoints are occurring too frequently ({seconds} second{'' if seconds == 1 else 's'} apart)",
                hint='Consider increasing the configuration parameter "max_wal_size".',
            )
        self.last_start = now
        if recovering:
            # There are no restartpoints yet: the end-of-recovery checkpoint covers everything.
            self._finish(True)
            return
        checkpoint.Schedule.begin()
        try:
            if checkpoint.create_checkpoint(flags):
                checkpoint.count((checkpoint.NUM_PERFORMED, 1))
        except Exception as error:
            checkpoint.Schedule.end()
            self._finish(False)
            common.recover(error)
            return
        checkpoint.Schedule.end()
        _smgr.release_all()
        self._finish(True)

    def _finish(self, success: bool) -> None:
        _sync.end_checkpoint(success)
        _xlogctl.wake_waiters(checkpoint.WAIT_CHECKPOINT_START, checkpoint.WAIT_CHECKPOINT_DONE)

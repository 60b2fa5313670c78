"""The WAL writer: writes and flushes WAL in the background, so that asynchronous commits become durable soon.

Takes WALWriteLock for each round. Wakes every wal_writer_delay; after fifty idle rounds it sleeps 25 times as long,
and then asynchronous commits wake it.
"""

import signal

from tusk.auxiliary import common
from tusk.config import settings
from tusk.memory import _interrupts
from tusk.stats import _pending
from tusk.stats.backend_types import BackendType
from tusk.wal import _xlog

WAIT_WAL_WRITER_MAIN = 0x05000011
LOOPS_UNTIL_HIBERNATE = 50
HIBERNATE_FACTOR = 25


def main() -> None:
    """Main function of the process; returns when it was asked to stop."""
    common.begin(
        "walwriter", BackendType.WAL_WRITER, {signal.SIGINT: "shutdown", signal.SIGTERM: "shutdown"}, forward_syncs=True
    )
    _xlog.set_walwriter_sleeping(False)
    left, hibernating = LOOPS_UNTIL_HIBERNATE, False
    while True:
        # Said one round ahead: a commit that comes in between still finds us awake.
        if hibernating != (left <= 1):
            hibernating = left <= 1
            _xlog.set_walwriter_sleeping(hibernating)
        common.reload_if_asked()
        if _interrupts.peek("ShutdownRequest"):
            _pending.flush(True)
            return
        busy = common.guarded(_xlog.background_flush)
        left = LOOPS_UNTIL_HIBERNATE if busy else max(0, left - 1)
        delay_ms = settings.wal_writer_delay * (1 if left > 0 else HIBERNATE_FACTOR)
        common.sleep(delay_ms, WAIT_WAL_WRITER_MAIN)

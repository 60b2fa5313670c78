"""The startup process: brings the cluster to a consistent state, then exits. Status 0 opens the database."""

import os
import signal

from tusk.auxiliary import common, resource_managers
from tusk.memory import _interrupts, _procsignal
from tusk.stats import _pending, title
from tusk.stats.backend_types import BackendType
from tusk.wal import startup as wal_startup


def main() -> None:
    """Main function of the process; returns when recovery is over."""
    assert resource_managers.MODULES
    common.begin("startup", BackendType.STARTUP, {signal.SIGTERM: "die", signal.SIGUSR2: "latch"}, forward_syncs=True)
    _interrupts.set_interrupt_handler(_serve_interrupts)
    wal_startup.set_recovery_started_hook(
        lambda: _procsignal.send_postmaster_signal(_procsignal.RECOVERY_STARTED)
    )
    wal_startup.set_title_hook(lambda name: title.set_title(f"recovering {name}"))
    wal_startup.startup()
    _pending.flush(True)


def _serve_interrupts() -> None:
    common.serve_interrupts()
    common.reload_if_asked()
    if _interrupts.peek("ProcDie"):
        # Nothing to tidy up: the WAL is still there, and the postmaster knows what to do.
        os._exit(1)

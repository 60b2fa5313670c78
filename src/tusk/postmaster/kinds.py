"""The one table of process kinds: title, type, main function, and what its death means.

To add a process is to add a row here and a case to the postmaster's launching rules.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

# What declares shared memory and redo routines has to be imported before the segment is made.
from tusk.access import registry as _access_methods  # noqa: F401
from tusk.auxiliary import autovacuum_launcher, autovacuum_worker, bgwriter, checkpointer, startup, walwriter
from tusk.catalog import _runtime as _catalog_runtime  # noqa: F401
from tusk.stats.backend_types import BackendType
from tusk.transaction import recovery as _recovery  # noqa: F401


class ExitPolicy(Enum):
    """What the postmaster does about exit statuses 0 and 1; anything else of an attached process is a crash."""

    SESSION = "nothing"             # backends, autovacuum workers
    RESTART = "start another"       # status 0 only; 1 is a crash
    LAST_ACT = "expected at shutdown only"
    COLLECTOR = "start another, whatever the status: it is not attached"
    TEMPLATE = "go without"         # status 0 and 1; backends can be forked without it
    STARTUP = "recovery is over, or the server gives up"


@dataclass(frozen=True, slots=True)
class ProcessKind:
    """A kind of child."""

    backend_type: BackendType
    title: str
    log_name: str
    policy: ExitPolicy
    main: Callable[[], None] | None


KINDS = {
    kind.backend_type: kind
    for kind in (
        ProcessKind(BackendType.BACKEND, "", "client backend", ExitPolicy.SESSION, None),
        ProcessKind(BackendType.DEAD_END_BACKEND, "", "dead-end client backend", ExitPolicy.SESSION, None),
        ProcessKind(BackendType.LOGGER, "logger", "system logger process", ExitPolicy.COLLECTOR, None),
        ProcessKind(BackendType.STARTUP, "startup", "startup process", ExitPolicy.STARTUP, startup.main),
        ProcessKind(
            BackendType.CHECKPOINTER, "checkpointer", "checkpointer process", ExitPolicy.LAST_ACT, checkpointer.main
        ),
        ProcessKind(
            BackendType.BG_WRITER, "background writer", "background writer process", ExitPolicy.RESTART, bgwriter.main
        ),
        ProcessKind(
            BackendType.SESSION_TEMPLATE, "session template", "session template process", ExitPolicy.TEMPLATE, None
        ),
        ProcessKind(
            BackendType.AUTOVAC_LAUNCHER, "autovacuum launcher", "autovacuum launcher process", ExitPolicy.RESTART,
            autovacuum_launcher.main,
        ),
        ProcessKind(
            BackendType.AUTOVAC_WORKER, "autovacuum worker", "autovacuum worker", ExitPolicy.SESSION,
            autovacuum_worker.main,
        ),
        ProcessKind(BackendType.WAL_WRITER, "walwriter", "WAL writer process", ExitPolicy.RESTART, walwriter.main),
    )
}

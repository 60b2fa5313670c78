"""The kinds of processes: numbers of BackendType (miscadmin.h) and the words users see."""

from enum import IntEnum


class BackendType(IntEnum):
    """What a process is; `label` is pg_stat_activity.backend_type."""

    INVALID = 0
    BACKEND = 1
    DEAD_END_BACKEND = 2
    AUTOVAC_LAUNCHER = 3
    AUTOVAC_WORKER = 4
    BG_WORKER = 5
    WAL_SENDER = 6
    SLOTSYNC_WORKER = 7
    STANDALONE_BACKEND = 8
    ARCHIVER = 9
    BG_WRITER = 10
    CHECKPOINTER = 11
    IO_WORKER = 12
    STARTUP = 13
    WAL_RECEIVER = 14
    WAL_SUMMARIZER = 15
    WAL_WRITER = 16
    LOGGER = 17
    SESSION_TEMPLATE = 18       # ours: forks the backends

    @property
    def label(self) -> str:
        """The word in pg_stat_activity and in log_line_prefix's %b."""
        return _LABELS[self]


_LABELS = {
    BackendType.INVALID: "not initialized",
    BackendType.BACKEND: "client backend",
    BackendType.DEAD_END_BACKEND: "dead-end client backend",
    BackendType.AUTOVAC_LAUNCHER: "autovacuum launcher",
    BackendType.AUTOVAC_WORKER: "autovacuum worker",
    BackendType.BG_WORKER: "background worker",
    BackendType.WAL_SENDER: "walsender",
    BackendType.SLOTSYNC_WORKER: "slotsync worker",
    BackendType.STANDALONE_BACKEND: "standalone backend",
    BackendType.ARCHIVER: "archiver",
    BackendType.BG_WRITER: "background writer",
    BackendType.CHECKPOINTER: "checkpointer",
    BackendType.IO_WORKER: "io worker",
    BackendType.STARTUP: "startup",
    BackendType.WAL_RECEIVER: "walreceiver",
    BackendType.WAL_SUMMARIZER: "walsummarizer",
    BackendType.WAL_WRITER: "walwriter",
    BackendType.LOGGER: "logger",
    BackendType.SESSION_TEMPLATE: "session template",
}

# Those whose I/O and WAL are also counted one by one: pg_stat_get_backend_io(), pg_stat_get_backend_wal().
HAS_STATISTICS = frozenset((
    BackendType.BACKEND, BackendType.AUTOVAC_WORKER, BackendType.BG_WORKER, BackendType.WAL_SENDER,
    BackendType.SLOTSYNC_WORKER, BackendType.STANDALONE_BACKEND, BackendType.WAL_RECEIVER,
    BackendType.WAL_SUMMARIZER, BackendType.WAL_WRITER,
))  # fmt: skip

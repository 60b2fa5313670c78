"""pg_stat_get_*(): the cumulative statistics.

The shared counters are not built. Until they are, every object answers as PostgreSQL answers for one without an entry:
counts are zero, times of events NULL. What needs no counters (numbers of backends, checksums) is true.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from tusk.commands.functions.support import invalid, out_row
from tusk.errors import feature_not_supported
from tusk.stats import _activity, session_info
from tusk.stats.backend_types import BackendType
from tusk.types.registry import function
from tusk.wal import _control

_ZERO_COUNTS = (
    "numscans", "tuples_returned", "tuples_fetched", "tuples_inserted", "tuples_updated", "tuples_deleted",
    "tuples_hot_updated", "tuples_newpage_updated", "live_tuples", "dead_tuples", "mod_since_analyze",
    "ins_since_vacuum", "blocks_fetched", "blocks_hit", "vacuum_count", "autovacuum_count", "analyze_count",
    "autoanalyze_count", "xact_numscans", "xact_tuples_returned", "xact_tuples_fetched", "xact_tuples_inserted",
    "xact_tuples_updated", "xact_tuples_deleted", "xact_tuples_hot_updated", "xact_tuples_newpage_updated",
    "xact_blocks_fetched", "xact_blocks_hit",
)  # fmt: skip
_ZERO_TIMES = ("total_vacuum_time", "total_autovacuum_time", "total_analyze_time", "total_autoanalyze_time")
_NO_TIMES = (
    "lastscan", "last_vacuum_time", "last_autovacuum_time", "last_analyze_time", "last_autoanalyze_time",
    "function_calls", "function_total_time", "function_self_time", "xact_function_calls",
    "xact_function_total_time", "xact_function_self_time",
)  # fmt: skip
_DATABASE_COUNTS = (
    "xact_commit", "xact_rollback", "blocks_fetched", "blocks_hit", "tuples_returned", "tuples_fetched",
    "tuples_inserted", "tuples_updated", "tuples_deleted", "conflict_all", "conflict_tablespace", "conflict_lock",
    "conflict_snapshot", "conflict_bufferpin", "conflict_startup_deadlock", "conflict_logicalslot", "temp_files",
    "temp_bytes", "deadlocks", "sessions", "sessions_abandoned", "sessions_fatal", "sessions_killed",
    "parallel_workers_to_launch", "parallel_workers_launched",
)  # fmt: skip
_DATABASE_TIMES = ("blk_read_time", "blk_write_time", "session_time", "active_time", "idle_in_transaction_time")
_SERVER_COUNTS = (
    "bgwriter_buf_written_clean", "bgwriter_maxwritten_clean", "buf_alloc", "checkpointer_num_timed",
    "checkpointer_num_requested", "checkpointer_num_performed", "checkpointer_restartpoints_timed",
    "checkpointer_restartpoints_requested", "checkpointer_restartpoints_performed", "checkpointer_buffers_written",
    "checkpointer_slru_written",
)  # fmt: skip

for _name in _ZERO_COUNTS:
    function(f"pg_stat_get_{_name}")(lambda _oid: 0)
for _name in _ZERO_TIMES:
    function(f"pg_stat_get_{_name}")(lambda _oid: 0.0)
for _name in _NO_TIMES:
    function(f"pg_stat_get_{_name}")(lambda _oid: None)
for _name in _DATABASE_COUNTS:
    function(f"pg_stat_get_db_{_name}")(lambda _oid: 0)
for _name in _DATABASE_TIMES:
    function(f"pg_stat_get_db_{_name}")(lambda _oid: 0.0)
for _name in _SERVER_COUNTS:
    function(f"pg_stat_get_{_name}")(lambda: 0)
for _name in ("write_time", "sync_time"):
    function(f"pg_stat_get_checkpointer_{_name}")(lambda: 0.0)


@function("pg_stat_get_db_numbackends")
def pg_stat_get_db_numbackends(database: int) -> int:
    """Sessions connected to a database."""
    return sum(entry.database == database for entry in _activity.activities())


@function("pg_stat_get_db_stat_reset_time")
def pg_stat_get_db_stat_reset_time(_database: int) -> None:
    """Never reset."""


@function("pg_stat_get_db_checksum_failures")
def pg_stat_get_db_checksum_failures(_database: int) -> int | None:
    """NULL without checksums."""
    return 0 if _control.data_checksums() else None


@function("pg_stat_get_db_checksum_last_failure")
def pg_stat_get_db_checksum_last_failure(_database: int) -> None:
    """None was counted."""


@function("pg_stat_get_bgwriter_stat_reset_time", "pg_stat_get_checkpointer_stat_reset_time")
def _since_start() -> int:
    """Nothing is counted from before the start."""
    return session_info.postmaster_start()


@function("pg_stat_get_archiver")
def pg_stat_get_archiver() -> Any:
    """The archiver's counts."""
    return out_row("pg_stat_get_archiver", 0, None, None, 0, None, None, _since_start())


@function("pg_stat_get_wal")
def pg_stat_get_wal() -> Any:
    """The counts of WAL."""
    return out_row("pg_stat_get_wal", 0, 0, Decimal(0), 0, _since_start())


@function("pg_stat_get_backend_wal")
def pg_stat_get_backend_wal(pid: int) -> Any:
    """The same of one process."""
    if not any(entry.pid == pid for entry in _activity.activities()):
        return None
    return out_row("pg_stat_get_backend_wal", 0, 0, Decimal(0), 0, None)


_SLRUS = (
    "commit_timestamp", "multixact_member", "multixact_offset", "notify", "serializable", "subtransaction",
    "transaction", "other",
)  # fmt: skip


@function("pg_stat_get_slru", set_returning=True)
def pg_stat_get_slru() -> Iterator[tuple[Any, ...]]:
    """One row for each SLRU."""
    for name in _SLRUS:
        yield (name, 0, 0, 0, 0, 0, 0, 0, _since_start())


@function("pg_stat_get_recovery_prefetch", set_returning=True)
def pg_stat_get_recovery_prefetch() -> Iterator[tuple[Any, ...]]:
    """Recovery does not prefetch."""
    yield (_since_start(), 0, 0, 0, 0, 0, 0, 0, 0, 0)


# pg_stat_io. For each context the operations that cannot happen: r read, w write, b writeback, e extend, h hit,
# v evict, u reuse, f fsync; their columns are NULL (pgstat_tracks_io_op).
_CONTEXTS = {
    ("relation", "bulkread"): "ef", ("relation", "bulkwrite"): "f", ("relation", "init"): "u",
    ("relation", "normal"): "u", ("relation", "vacuum"): "f", ("temp relation", "normal"): "buf",
    ("wal", "init"): "rbehvu", ("wal", "normal"): "behvu",
}  # fmt: skip
_ORDER = (
    BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.BACKEND, BackendType.BG_WORKER,
    BackendType.WAL_SENDER, BackendType.SLOTSYNC_WORKER, BackendType.STANDALONE_BACKEND, BackendType.BG_WRITER,
    BackendType.CHECKPOINTER, BackendType.IO_WORKER, BackendType.STARTUP, BackendType.WAL_RECEIVER,
    BackendType.WAL_SUMMARIZER, BackendType.WAL_WRITER,
)  # fmt: skip
_ONLY_WAL = (BackendType.WAL_RECEIVER, BackendType.WAL_SUMMARIZER, BackendType.WAL_WRITER)
_NO_BULK = (BackendType.BG_WRITER, BackendType.CHECKPOINTER)
_READS_NO_WAL = (
    BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.BG_WRITER, BackendType.WAL_RECEIVER,
    BackendType.WAL_WRITER,
)  # fmt: skip


def _contexts(kind: BackendType) -> Iterator[tuple[str, str, str]]:
    """(object, context, impossible operations) of a kind of process."""
    for (target, context), impossible in _CONTEXTS.items():
        if target != "wal":
            if kind in _ONLY_WAL or (kind in _NO_BULK and context not in ("init", "normal")):
                continue
            if kind == BackendType.AUTOVAC_LAUNCHER and context in ("bulkwrite", "vacuum"):
                continue
            if kind == BackendType.AUTOVAC_WORKER and context == "bulkwrite":
                continue
            if target == "temp relation" and kind in (
                *_NO_BULK, BackendType.AUTOVAC_LAUNCHER, BackendType.AUTOVAC_WORKER, BackendType.STARTUP,
                BackendType.STANDALONE_BACKEND,
            ):  # fmt: skip
                continue
        lost = impossible
        if kind in _NO_BULK and target != "wal":
            lost += "rehv"
        if kind == BackendType.AUTOVAC_LAUNCHER and target == "relation":
            lost += "e"
        if target == "wal" and context == "normal" and kind in _READS_NO_WAL:
            lost += "r"
        yield target, context, lost


def _io_row(label: str, target: str, context: str, lost: str) -> tuple[Any, ...]:
    def count(letter: str) -> int | None:
        return None if letter in lost else 0

    def size(letter: str) -> Decimal | None:
        return None if letter in lost else Decimal(0)

    def time(letter: str) -> float | None:
        return None if letter in lost else 0.0

    return (
        label, target, context, count("r"), size("r"), time("r"), count("w"), size("w"), time("w"), count("b"),
        time("b"), count("e"), size("e"), time("e"), count("h"), count("v"), count("u"), count("f"), time("f"),
        _since_start(),
    )  # fmt: skip


@function("pg_stat_get_io", set_returning=True)
def pg_stat_get_io() -> Iterator[tuple[Any, ...]]:
    """One row for each kind of process, kind of object and context."""
    for kind in _ORDER:
        for target, context, lost in _contexts(kind):
            yield _io_row(kind.label, target, context, lost)


@function("pg_stat_get_backend_io", set_returning=True)
def pg_stat_get_backend_io(pid: int) -> Iterator[tuple[Any, ...]]:
    """The same of one backend."""
    for entry in _activity.activities():
        if entry.pid == pid and BackendType(entry.backend_type) in _ORDER:
            kind = BackendType(entry.backend_type)
            for target, context, lost in _contexts(kind):
                yield (*_io_row(kind.label, target, context, lost)[:-1], None)


_COMMANDS = ("VACUUM", "ANALYZE", "CLUSTER", "CREATE INDEX", "BASEBACKUP", "COPY")


@function("pg_stat_get_progress_info", set_returning=True)
def pg_stat_get_progress_info(command: str) -> Iterator[tuple[Any, ...]]:
    """Progress of commands is not reported yet, so nothing is under way."""
    if command.upper() not in _COMMANDS:
        raise invalid(f"invalid command name: \"{command}\"")
    return iter(())


# Replication: no walsender, walreceiver, slot or subscription exists here yet.


@function("pg_stat_get_wal_senders", "pg_get_replication_slots", set_returning=True)
def _no_rows() -> Iterator[tuple[Any, ...]]:
    return iter(())


@function("pg_stat_get_subscription", set_returning=True)
def pg_stat_get_subscription(_subscription: int | None) -> Iterator[tuple[Any, ...]]:
    """Workers of subscriptions."""
    return iter(())


@function("pg_stat_get_wal_receiver")
def pg_stat_get_wal_receiver() -> Any:
    """A row of NULLs where none runs."""
    return out_row("pg_stat_get_wal_receiver", *(None,) * 15)


@function("pg_stat_get_subscription_stats")
def pg_stat_get_subscription_stats(subscription: int) -> Any:
    """Counts of a subscription."""
    return out_row("pg_stat_get_subscription_stats", subscription, *(0,) * 9, None)


@function("pg_stat_get_replication_slot")
def pg_stat_get_replication_slot(name: str) -> Any:
    """Counts of a logical slot."""
    return out_row("pg_stat_get_replication_slot", name, *(0,) * 8, None)


@function("pg_show_replication_origin_status", set_returning=True)
def pg_show_replication_origin_status() -> Iterator[tuple[Any, ...]]:
    """Progress of replication origins."""
    return iter(())


@function("pg_stat_have_stats")
def pg_stat_have_stats(kind: str, _database: int, _object: int) -> bool:
    """Whether an entry exists."""
    if kind not in _KINDS:
        raise invalid(f"invalid statistics kind: \"{kind}\"")
    return _KINDS.index(kind) >= _FIRST_FIXED


_KINDS = (
    "database", "relation", "function", "replslot", "subscription", "backend", "archiver", "bgwriter", "checkpointer",
    "io", "slru", "wal",
)  # fmt: skip
_FIRST_FIXED = 6


@function("pg_stat_get_snapshot_timestamp")
def pg_stat_get_snapshot_timestamp() -> None:
    """No snapshot of statistics is kept."""


@function("pg_stat_clear_snapshot")
def pg_stat_clear_snapshot() -> None:
    """There is none to forget."""


@function("pg_stat_force_next_flush")
def pg_stat_force_next_flush() -> None:
    """There is nothing to flush."""


_RESETS = (
    "pg_stat_reset", "pg_stat_reset_shared", "pg_stat_reset_single_table_counters",
    "pg_stat_reset_single_function_counters", "pg_stat_reset_slru", "pg_stat_reset_replication_slot",
    "pg_stat_reset_subscription_stats", "pg_stat_reset_backend_stats",
)  # fmt: skip


def _reset(prosrc: str) -> None:
    def refuse(*_arguments: Any) -> None:
        raise feature_not_supported(f"{prosrc}()")

    function(prosrc)(refuse)


for _prosrc in _RESETS:
    _reset(_prosrc)

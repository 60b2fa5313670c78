"""Resetting, flushing and forgetting the cumulative statistics."""

from __future__ import annotations

from tusk.catalog.session import session
from tusk.commands.functions.support import invalid
from tusk.stats import _activity, _pending, _store, snapshot
from tusk.stats.backend_types import HAS_STATISTICS
from tusk.types.registry import function

SLRU_NAMES = (
    "commit_timestamp", "multixact_member", "multixact_offset", "notify", "serializable", "subtransaction",
    "transaction", "other",
)  # fmt: skip
_DATABASE_RESET = 32
_SHARED = {
    "archiver": snapshot.ARCHIVER, "bgwriter": snapshot.BGWRITER, "checkpointer": snapshot.CHECKPOINTER,
    "io": snapshot.IO, "slru": snapshot.SLRU, "wal": snapshot.WAL,
}  # fmt: skip


@function("pg_stat_reset")
def pg_stat_reset() -> None:
    """Everything that is counted for the current database."""
    _store.reset_database(session.database_id, _store.now())


@function("pg_stat_reset_shared")
def pg_stat_reset_shared(target: str | None) -> None:
    """What is counted for the whole server: one kind of it, or with NULL all."""
    if target is not None and target not in (*_SHARED, "recovery_prefetch"):
        raise invalid(
            f'unrecognized reset target: "{target}"',
            hint='Target must be "archiver", "bgwriter", "checkpointer", "io", "recovery_prefetch", "slru", or "wal".',
        )
    now = _store.now()
    for name, kind in _SHARED.items():
        if target is None or target == name:
            _store.reset_fixed(kind, now)


def _reset_single(kind: int, database: int, oid: int) -> None:
    now = _store.now()
    _store.reset_entry(kind, database, oid, now)
    _store.change_entry(snapshot.DATABASE, database, 0, {}, {_DATABASE_RESET: now}, False)


@function("pg_stat_reset_single_table_counters")
def pg_stat_reset_single_table_counters(relid: int) -> None:
    """One table or index."""
    shared = _store.read_entry(snapshot.RELATION, 0, relid) is not None
    _reset_single(snapshot.RELATION, 0 if shared else session.database_id, relid)


@function("pg_stat_reset_single_function_counters")
def pg_stat_reset_single_function_counters(oid: int) -> None:
    """One function."""
    _reset_single(snapshot.FUNCTION, session.database_id, oid)


@function("pg_stat_reset_slru")
def pg_stat_reset_slru(name: str | None) -> None:
    """One SLRU, or with NULL all; what is not known counts as "other"."""
    if name is None:
        _store.reset_fixed(snapshot.SLRU, _store.now())
        return
    part = SLRU_NAMES.index(name) if name in SLRU_NAMES else len(SLRU_NAMES) - 1
    _store.reset_fixed(snapshot.SLRU, _store.now(), part)


@function("pg_stat_reset_backend_stats")
def pg_stat_reset_backend_stats(pid: int) -> None:
    """What is counted for one process."""
    for entry in _activity.activities():
        if entry.pid == pid and entry.backend_type in HAS_STATISTICS:
            _store.reset_entry(snapshot.BACKEND, 0, entry.procno, _store.now())


@function("pg_stat_reset_replication_slot")
def pg_stat_reset_replication_slot(name: str | None) -> None:
    """One logical slot, or with NULL all. There are no slots yet, so that no name is right."""
    if name is not None:
        raise invalid(f'replication slot "{name}" does not exist')


@function("pg_stat_reset_subscription_stats")
def pg_stat_reset_subscription_stats(subscription: int | None) -> None:
    """One subscription, or with NULL all; those without an entry have nothing to reset."""
    if subscription is not None and subscription == 0:
        raise invalid("invalid subscription OID 0")
    now = _store.now()
    for kind, database, oid in _store.read_all():
        if kind == snapshot.SUBSCRIPTION and subscription in (None, oid):
            _store.reset_entry(kind, database, oid, now)


@function("pg_stat_have_stats")
def pg_stat_have_stats(kind: str, database: int, oid: int) -> bool:
    """Whether an entry exists."""
    if kind not in _store.KIND_NAMES[1:]:
        raise invalid(f'invalid statistics kind: "{kind}"')
    return snapshot.exists(_store.KIND_NAMES.index(kind), database, oid)


@function("pg_stat_get_snapshot_timestamp")
def pg_stat_get_snapshot_timestamp() -> int | None:
    """When the statistics were copied, with stats_fetch_consistency = snapshot."""
    return snapshot.timestamp()


@function("pg_stat_clear_snapshot")
def pg_stat_clear_snapshot() -> None:
    """Forget what was read in this transaction."""
    _pending.clear_snapshot()


@function("pg_stat_force_next_flush")
def pg_stat_force_next_flush() -> None:
    """Flush at the end of this transaction, however short ago the last time was."""
    _pending.force_next_flush()

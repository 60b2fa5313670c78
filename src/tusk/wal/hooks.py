"""Points of a checkpoint and of start-up where higher layers join in.

`wal` must call clog, the transaction counters and others that stand above it. They register a function for a
named point when they are imported; the functions of a point run in the order of registration, the points in the
order that PostgreSQL has. Everything here is called in one process at a time and never in a critical section,
except where the table says so.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from tusk.wal.controlfile import CheckPoint

POINTS: dict[str, str] = {
    # Checkpoint (CheckPointGuts), each called with flags; may return the number of SLRU pages it wrote.
    "checkpoint.relation_map": "relation map",
    "checkpoint.replication": "replication slots, snapshots, rewrites, origins",
    "checkpoint.clog": "commit log",
    "checkpoint.commit_ts": "commit timestamps",
    "checkpoint.subtrans": "subtransactions",
    "checkpoint.multixact": "multixacts",
    "checkpoint.predicate": "serializable transactions",
    "checkpoint.two_phase": "prepared transactions",
    # After it (transactions that delay a checkpoint through PGPROC.delayChkptFlags are waited for by wal itself).
    "checkpoint.log_running": "write the running-transactions record (LogStandbySnapshot); no arguments",
    "checkpoint.truncate_subtrans": "forget old subtransactions after a checkpoint; no arguments",
    "checkpoint.idle": "called between writes of a spread checkpoint: reload settings, report statistics; no arguments",
    # Start-up, in this order, no arguments unless said.
    "startup.before_redo": "counters are set: initialise clog, multixact (StartupCLOG, StartupMultiXact)",
    "startup.relation_map": "load the relation map (RelationCacheInitFileRemove, relmap)",
    "startup.after_redo": "called with the oldest active xid: StartupSUBTRANS, TrimCLOG, TrimMultiXact",
    "startup.finished": "WAL may be written",
    # Replay.
    "redo.next_oid": "called with the oid of an XLOG_NEXTOID record",
    "redo.checkpoint": "called with (TransamValues, is_shutdown) of a replayed checkpoint record",
}


class TransamValues(NamedTuple):
    """The counters that a checkpoint record carries (struct CheckPoint of catalog/pg_control.h)."""

    next_full_xid: int
    next_oid: int
    next_multi: int
    next_multi_offset: int
    oldest_xid: int
    oldest_xid_db: int
    oldest_multi: int
    oldest_multi_db: int
    oldest_commit_ts_xid: int
    newest_commit_ts_xid: int
    oldest_active_xid: int


_hooks: dict[str, list[Callable[..., Any]]] = {point: [] for point in POINTS}


def register(point: str, function: Callable[..., Any]) -> None:
    """Have ``function`` called at ``point``; registering the same function twice has no effect."""
    if function not in _hooks[point]:
        _hooks[point].append(function)


def run(point: str, *args: Any) -> list[Any]:
    """Call the functions registered for ``point``; return what they returned."""
    return [function(*args) for function in _hooks[point]]


def transam_values_of(checkpoint: CheckPoint) -> TransamValues:
    """The counters in a checkpoint record."""
    return TransamValues(
        checkpoint.next_xid, checkpoint.next_oid, checkpoint.next_multi, checkpoint.next_multi_offset,
        checkpoint.oldest_xid, checkpoint.oldest_xid_db, checkpoint.oldest_multi, checkpoint.oldest_multi_db,
        checkpoint.oldest_commit_ts_xid, checkpoint.newest_commit_ts_xid, checkpoint.oldest_active_xid,
    )  # fmt: skip


_get_values: Callable[[bool], TransamValues] | None = None
_set_values: Callable[[TransamValues], None] | None = None


def register_transam(get: Callable[[bool], TransamValues], set_: Callable[[TransamValues], None]) -> None:
    """Name the functions that read and set the shared counters.

    ``get(shutdown)`` returns the values for a checkpoint record; for an online one (``shutdown`` false) the next oid
    counts the prefetched ones too, and ``oldest_active_xid`` is filled. ``set_`` is called at start-up, before redo.
    """
    global _get_values, _set_values
    _get_values, _set_values = get, set_


def transam_values(shutdown: bool) -> TransamValues:
    """The counters for a checkpoint record."""
    if _get_values is None:
        raise RuntimeError("no transaction counters are registered")
    return _get_values(shutdown)


def restore_transam_values(values: TransamValues) -> None:
    """Set the shared counters from the checkpoint that recovery starts at."""
    if _set_values is not None:
        _set_values(values)

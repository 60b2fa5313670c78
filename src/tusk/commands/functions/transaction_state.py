"""Transaction ids, snapshots, commit times, prepared transactions, recovery of what a transaction did."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from tusk.commands import notifications
from tusk.commands.functions.support import invalid, out_row
from tusk.errors import SqlError, feature_not_supported
from tusk.transaction import _clog, _commit_ts, _multixact, _notify, _procarray, _snapshot, _varsup, _xact, xact
from tusk.types.registry import function
from tusk.types.snapshots import SnapshotValue

_FIRST_NORMAL = 3


def _full(xid: int, limit: int) -> int:
    """A 32-bit id that is in use, with the epoch that ``limit``, the next 64-bit id, implies."""
    full = (limit & ~0xFFFFFFFF) | xid
    return full - (1 << 32) if full > limit else full


@function("pg_current_xact_id")
def pg_current_xact_id() -> int:
    """The id of the top transaction; it gets one now if it has none."""
    xact.prevent_command_during_recovery("pg_current_xact_id()")
    return xact.get_top_full_transaction_id()


@function("pg_current_xact_id_if_assigned")
def pg_current_xact_id_if_assigned() -> int | None:
    """The same, NULL if it has none."""
    return xact.get_top_full_transaction_id_if_any() or None


@function("pg_current_snapshot")
def pg_current_snapshot() -> SnapshotValue:
    """What the active snapshot sees."""
    current = _snapshot.active_snapshot()
    if current is None:
        raise SqlError("XX000", "no active snapshot set")
    limit = _varsup.next_full_transaction_id()
    running = sorted({_full(xid, limit) for xid in current.running})
    return SnapshotValue(_full(current.xmin, limit), _full(current.xmax, limit), tuple(running))


@function("pg_xact_status")
def pg_xact_status(full_xid: int) -> str | None:
    """ "in progress", "committed" or "aborted"; NULL for one too old to know."""
    upcoming = _varsup.next_full_transaction_id()
    if full_xid >= upcoming:
        raise invalid(f"transaction ID {full_xid} is in the future")
    xid = full_xid & 0xFFFFFFFF
    if xid < _FIRST_NORMAL:
        return {1: "committed", 2: "committed"}.get(xid)
    if full_xid < _full(_varsup.limits()["oldest_xid"], upcoming):
        return None
    if _xact.is_current(xid) or _procarray.is_in_progress(xid):
        return "in progress"
    return "committed" if _clog.did_commit(xid) else "aborted"


@function("pg_xact_commit_timestamp")
def pg_xact_commit_timestamp(xid: int) -> int | None:
    """When a transaction committed."""
    found = _commit_ts.get(xid)
    return None if found is None else found[0]


@function("pg_xact_commit_timestamp_origin")
def pg_xact_commit_timestamp_origin(xid: int) -> Any:
    """(timestamp, replication origin)."""
    found = _commit_ts.get(xid)
    return out_row("pg_xact_commit_timestamp_origin", *(found or (None, None)))


@function("pg_last_committed_xact")
def pg_last_committed_xact() -> Any:
    """(xid, timestamp, origin) of the latest commit."""
    xid, when, origin = _commit_ts.latest()
    known = xid >= _FIRST_NORMAL
    return out_row("pg_last_committed_xact", *((xid, when, origin) if known else (None, None, None)))


_MODES = ("keysh", "sh", "fornokeyupd", "forupd", "nokeyupd", "upd")


@function("pg_get_multixact_members", set_returning=True)
def pg_get_multixact_members(multi: int) -> Iterator[tuple[int, str]]:
    """(xid, mode) of the members."""
    if multi < 1:
        raise invalid(f"invalid MultiXactId: {multi}")
    for xid, status in _multixact.get_members(multi) or ():
        yield xid, _MODES[status]


@function("pg_prepared_xact", set_returning=True)
def pg_prepared_xact() -> Iterator[tuple[Any, ...]]:
    """Prepared transactions; PREPARE TRANSACTION is not built, so there are none."""
    return iter(())


@function("pg_export_snapshot")
def pg_export_snapshot() -> str:
    """Not built."""
    raise feature_not_supported("pg_export_snapshot()")


@function("pg_safe_snapshot_blocking_pids")
def pg_safe_snapshot_blocking_pids(pid: int) -> Any:
    """Not built: it belongs to SERIALIZABLE DEFERRABLE."""
    raise feature_not_supported("pg_safe_snapshot_blocking_pids()")


@function("pg_trigger_depth")
def pg_trigger_depth() -> int:
    """How deep in triggers we are: triggers in SQL-callable languages are not built, so outside of any."""
    return 0


@function("pg_jit_available")
def pg_jit_available() -> bool:
    """There is no just-in-time compiler."""
    return False


@function("pg_notification_queue_usage")
def pg_notification_queue_usage() -> float:
    """The part of the queue of NOTIFY that is in use."""
    return _notify.usage()


@function("pg_listening_channels", set_returning=True)
def pg_listening_channels() -> Iterator[str]:
    """The channels this session listens on."""
    return iter(notifications.channels())


@function("pg_notify")
def pg_notify(channel: str | None, payload: str | None) -> None:
    """NOTIFY as a function."""
    xact.prevent_command_during_recovery("NOTIFY")
    notifications.notify(channel or "", payload or "")


@function("pg_current_logfile", "pg_current_logfile_1arg")
def pg_current_logfile(kind: str | None = None) -> str | None:
    """The file the log collector writes, by current_logfiles."""
    if kind is not None and kind not in ("stderr", "csvlog", "jsonlog"):
        raise invalid(
            f'log format "{kind}" is not supported',
            "The supported log formats are \"stderr\", \"csvlog\", and \"jsonlog\".",
        )
    if not os.path.exists("current_logfiles"):
        return None
    with open("current_logfiles", encoding="utf-8") as lines:
        for line in lines:
            name, _, path = line.rstrip("\n").partition(" ")
            if kind in (None, name):
                return path
    return None

"""Where transactions take part in checkpoints and start-up: registered with `wal` and `storage` on import.

Imported by whatever makes the shared segment (postmaster, initdb, tests); importing it also declares every shared area
of this package, in PostgreSQL's order.
"""

from collections.abc import Callable

from tusk.storage import _sync
from tusk.transaction import (
    _clog,
    _commit_ts,
    _multixact,
    _notify,  # noqa: F401  declares its shared areas
    _procarray,
    _standby,
    _subtrans,
    _varsup,
)
from tusk.wal import hooks

_FIRST_NORMAL_XID = 3

__all__ = ["bootstrap", "get_values", "set_values"]


def get_values(shutdown: bool) -> hooks.TransamValues:
    """The counters for a checkpoint record."""
    counters = _varsup.limits()
    next_multi, next_multi_offset, oldest_multi, oldest_multi_db = _multixact.checkpoint_values()
    oldest_cts, newest_cts = _varsup.commit_ts_range()
    return hooks.TransamValues(
        next_full_xid=counters["next_xid"],
        next_oid=_varsup.oid_for_checkpoint(shutdown),
        next_multi=next_multi,
        next_multi_offset=next_multi_offset,
        oldest_xid=counters["oldest_xid"],
        oldest_xid_db=counters["oldest_xid_db"],
        oldest_multi=oldest_multi,
        oldest_multi_db=oldest_multi_db,
        oldest_commit_ts_xid=oldest_cts,
        newest_commit_ts_xid=newest_cts,
        oldest_active_xid=0 if shutdown else _procarray.oldest_active_transaction_id(),
    )


def set_values(values: hooks.TransamValues) -> None:
    """Start-up: begin with the counters of the checkpoint that recovery starts at."""
    _varsup.set_next_full_transaction_id(values.next_full_xid)
    _varsup.set_next_object_id(values.next_oid)
    _multixact.set_next(values.next_multi, values.next_multi_offset)
    _clog.advance_oldest(values.oldest_xid)
    _varsup.set_limits(values.oldest_xid, values.oldest_xid_db)
    _multixact.set_limits(values.oldest_multi, values.oldest_multi_db, True)
    _commit_ts.set_limit(values.oldest_commit_ts_xid, values.newest_commit_ts_xid)
    _set_latest_completed()


def _set_latest_completed() -> None:
    """Everything before the next id has ended."""
    latest = _varsup.next_full_transaction_id() - 1
    while latest >= _FIRST_NORMAL_XID and latest & 0xFFFFFFFF < _FIRST_NORMAL_XID:
        latest -= 1
    _procarray.set_latest_completed(latest)


def _before_redo() -> None:
    _clog.startup()
    _multixact.startup()
    _commit_ts.startup()


def _after_redo(oldest_active_xid: int) -> None:
    _set_latest_completed()
    _subtrans.startup(oldest_active_xid)
    _clog.trim()
    _multixact.trim()
    _commit_ts.complete_initialization()


def _redo_next_oid(oid: int) -> None:
    _varsup.set_next_object_id(oid, 0)


def _redo_checkpoint(values: hooks.TransamValues, shutdown: bool) -> None:
    """A replayed checkpoint may be ahead of what the records said (an id may be assigned and never logged)."""
    if shutdown:
        _varsup.set_next_full_transaction_id(values.next_full_xid)
        _varsup.set_next_object_id(values.next_oid)
        _multixact.set_next(values.next_multi, values.next_multi_offset)
        _multixact.advance_oldest(values.oldest_multi, values.oldest_multi_db)
        _varsup.set_limits(values.oldest_xid, values.oldest_xid_db)
        return
    if _varsup.next_full_transaction_id() < values.next_full_xid:
        _varsup.set_next_full_transaction_id(values.next_full_xid)
    _multixact.advance_next(values.next_multi, values.next_multi_offset)
    _multixact.advance_oldest(values.oldest_multi, values.oldest_multi_db)
    if (values.oldest_xid - _varsup.limits()["oldest_xid"]) & 0xFFFFFFFF < 0x80000000:
        _varsup.set_limits(values.oldest_xid, values.oldest_xid_db)


def _truncate_subtrans() -> None:
    _subtrans.truncate(_procarray.oldest_transaction_id_considered_running())


def bootstrap() -> None:
    """The first page of each log, for a new cluster; shared memory exists and is empty."""
    _clog.bootstrap()
    _subtrans.bootstrap()
    _multixact.bootstrap()


def log_running_transactions() -> None:
    """A snapshot of what runs, for standbys (LogStandbySnapshot); nothing waits for it."""
    _standby.log_standby_snapshot()


def _segment_path_in(directory: str) -> Callable[[tuple[int, int, int, int, int, int]], str]:
    return lambda tag: f"{directory}/{tag[5]:04X}"


hooks.register_transam(get_values, set_values)
hooks.register("checkpoint.clog", _clog.checkpoint)
hooks.register("checkpoint.commit_ts", _commit_ts.checkpoint)
hooks.register("checkpoint.subtrans", _subtrans.checkpoint)
hooks.register("checkpoint.multixact", _multixact.checkpoint)
hooks.register("checkpoint.log_running", log_running_transactions)
hooks.register("checkpoint.truncate_subtrans", _truncate_subtrans)
hooks.register("startup.before_redo", _before_redo)
hooks.register("startup.after_redo", _after_redo)
hooks.register("redo.next_oid", _redo_next_oid)
hooks.register("redo.checkpoint", _redo_checkpoint)

_SYNC_HANDLERS = {1: "pg_xact", 2: "pg_commit_ts", 3: "pg_multixact/offsets", 4: "pg_multixact/members"}
for _handler, _directory in _SYNC_HANDLERS.items():
    _sync.register_handler(_handler, _segment_path_in(_directory))

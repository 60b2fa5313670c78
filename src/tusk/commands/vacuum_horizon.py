"""How far back ids may reach: pg_class and pg_database in place, and the logs cut behind them (vacuum.c)."""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from tusk.access.heap import _vacuum as heap_vacuum
from tusk.catalog import cache as c
from tusk.catalog._tuples import update_row_inplace
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.session import session
from tusk.config import settings
from tusk.errors import Severity, report
from tusk.memory import _lwlock
from tusk.transaction import _clog, _commit_ts, _lock, _multixact, _procarray, _varsup

_XID_HALF = 1 << 31
_WRAP_LIMITS_VACUUM_LOCK = 46
_MASK = 0xFFFFFFFF
_FIRST_NORMAL, _FIRST_MULTI = 3, 1
_VISHORIZON_SHARED = 0
_DATABASE_CONNLIMIT_INVALID = -2


def precedes(left: int, right: int) -> bool:
    """Whether an id is older than another, around the circle."""
    if left < _FIRST_NORMAL or right < _FIRST_NORMAL:
        return left < right
    return (left - right) & _MASK >= _XID_HALF


def multi_precedes(left: int, right: int) -> bool:
    """The same for multixact ids, all of which are normal."""
    return (left - right) & _MASK >= _XID_HALF


def next_xid() -> int:
    """The next transaction id, without its epoch."""
    return _varsup.next_full_transaction_id() & _MASK


def next_multi() -> int:
    """The next multixact id."""
    return int(_multixact.checkpoint_values()[0])


def _back(start: int, distance: int, first: int) -> int:
    """``distance`` ids before ``start``, never one of the reserved."""
    result = (start - distance) & _MASK
    return max(result, first)


class Cutoffs(NamedTuple):
    """What a vacuum may remove, and what it must freeze."""

    oldest_xmin: int
    oldest_mxact: int
    freeze_limit: int
    multixact_cutoff: int
    aggressive: bool


def _age_setting(value: int, setting: int) -> int:
    return setting if value < 0 else value


def cutoffs(rel: Any, params: Any) -> Cutoffs:
    """Work out a table's cutoffs (vacuum_get_cutoffs). The ages of params are -1 for the settings'."""
    oldest_xmin = int(heap_vacuum.horizon(rel))
    oldest_mxact = int(_multixact.oldest())
    xid, multi = next_xid(), next_multi()
    max_age = int(settings.autovacuum_freeze_max_age)
    multi_max_age = int(_multixact.member_freeze_threshold())
    if precedes(oldest_xmin, _back(xid, max_age, _FIRST_NORMAL)):
        report(
            Severity.WARNING, "cutoff for removing and freezing tuples is far in the past",
            hint="Close open transactions soon to avoid wraparound problems.\nYou might also need to commit or roll "
                 "back old prepared transactions, or drop stale replication slots.",
        )  # fmt: skip
    if multi_precedes(oldest_mxact, _back(multi, multi_max_age, _FIRST_MULTI)):
        report(
            Severity.WARNING, "cutoff for freezing multixacts is far in the past",
            hint="Close open transactions soon to avoid wraparound problems.\nYou might also need to commit or roll "
                 "back old prepared transactions, or drop stale replication slots.",
        )  # fmt: skip
    age = min(_age_setting(params.freeze_min_age, int(settings.vacuum_freeze_min_age)), max_age // 2)
    freeze_limit = _back(xid, age, _FIRST_NORMAL)
    if precedes(oldest_xmin, freeze_limit):
        freeze_limit = oldest_xmin
    age = min(
        _age_setting(params.multixact_freeze_min_age, int(settings.vacuum_multixact_freeze_min_age)), multi_max_age // 2
    )
    multixact_cutoff = _back(multi, age, _FIRST_MULTI)
    if multi_precedes(oldest_mxact, multixact_cutoff):
        multixact_cutoff = oldest_mxact
    age = min(_age_setting(params.freeze_table_age, int(settings.vacuum_freeze_table_age)), int(max_age * 0.95))
    aggressive = not precedes(_back(xid, age, _FIRST_NORMAL), rel.form.relfrozenxid)
    if not aggressive:
        age = min(
            _age_setting(params.multixact_freeze_table_age, int(settings.vacuum_multixact_freeze_table_age)),
            int(multi_max_age * 0.95),
        )
        aggressive = not multi_precedes(_back(multi, age, _FIRST_MULTI), rel.form.relminmxid)
    return Cutoffs(oldest_xmin, oldest_mxact, freeze_limit, multixact_cutoff, aggressive)


def _as_float4(value: float) -> float:
    number: float = struct.unpack("f", struct.pack("f", value))[0]
    return number


def estimate_tuples(rel: Any, pages: int, scanned: int, counted: float) -> float:
    """Rows of the whole table after looking at some pages (vac_estimate_reltuples)."""
    old_pages, old_tuples = rel.form.relpages, rel.form.reltuples
    if scanned >= pages:
        return counted
    if old_pages == pages and scanned < pages * 0.02:
        return float(old_tuples)
    if scanned <= 1:
        return float(old_tuples)
    if old_tuples < 0 or old_pages == 0:
        return float(int(counted / scanned * pages + 0.5))
    return float(int(old_tuples / old_pages * (pages - scanned) + counted + 0.5))


def update_relation_statistics(
    relid: int, pages: int, tuples: float, visible: int, frozen: int, *, has_index: bool,
    horizon: tuple[int, int] = (0, 0), in_outer_transaction: bool = False,
) -> tuple[bool, bool]:  # fmt: skip
    """Sizes and horizons of pg_class, in place: right whether we commit or not (vac_update_relstats).

    Returns whether relfrozenxid and relminmxid moved.
    """
    while True:
        row = scan_rows("pg_class", oid=relid)[0]
        changes: dict[str, Any] = {}
        for column, value in (
            ("relpages", pages), ("reltuples", _as_float4(tuples)), ("relallvisible", visible),
            ("relallfrozen", frozen),
        ):  # fmt: skip
            if getattr(row, column) != value:
                changes[column] = value
        if not in_outer_transaction:
            if has_index and not row.relhasindex:
                changes["relhasindex"] = True
            elif not has_index and row.relhasindex:
                changes["relhasindex"] = False
        new_frozen, new_multi = horizon
        if new_frozen >= _FIRST_NORMAL and row.relfrozenxid != new_frozen and (
            precedes(row.relfrozenxid, new_frozen) or precedes(next_xid(), row.relfrozenxid)
        ):
            changes["relfrozenxid"] = new_frozen
        if new_multi and row.relminmxid != new_multi and (
            multi_precedes(row.relminmxid, new_multi) or multi_precedes(next_multi(), row.relminmxid)
        ):
            changes["relminmxid"] = new_multi
        if not changes or update_row_inplace(row.copy(**changes)):
            return "relfrozenxid" in changes, "relminmxid" in changes


def update_database_horizon() -> None:
    """datfrozenxid and datminmxid: the oldest of all tables; then cut the logs (vac_update_datfrozenxid)."""
    _lock.acquire((session.database_id, 0, 0, 0, 2, 1), 7)
    frozen = last_sane_xid = _procarray.oldest_non_removable(_VISHORIZON_SHARED)
    multi = last_sane_multi = _multixact.oldest()
    last_sane_xid, last_sane_multi = next_xid(), next_multi()
    for row in scan_rows("pg_class"):
        if row.relkind not in "rtm":
            continue
        if row.relfrozenxid:
            if precedes(last_sane_xid, row.relfrozenxid):
                return      # from the future: damage, which must not spread to pg_database
            if precedes(row.relfrozenxid, frozen):
                frozen = row.relfrozenxid
        if row.relminmxid:
            if multi_precedes(last_sane_multi, row.relminmxid):
                return
            if multi_precedes(row.relminmxid, multi):
                multi = row.relminmxid
    while True:
        row = scan_rows("pg_database", oid=session.database_id)[0]
        changes: dict[str, Any] = {}
        if row.datfrozenxid != frozen and (
            precedes(row.datfrozenxid, frozen) or precedes(last_sane_xid, row.datfrozenxid)
        ):
            changes["datfrozenxid"] = frozen
        if row.datminmxid != multi and (
            multi_precedes(row.datminmxid, multi) or multi_precedes(last_sane_multi, row.datminmxid)
        ):
            changes["datminmxid"] = multi
        if not changes or update_row_inplace(row.copy(**changes)):
            break
    if changes or _limits_are_stale():
        _truncate_logs(int(frozen), int(multi), last_sane_xid, last_sane_multi)


def _limits_are_stale() -> bool:
    """Whether the limits in shared memory are to be worked out again in any case (ForceTransactionIdLimitUpdate)."""
    limits = _varsup.limits()
    return (
        limits["oldest_xid"] < _FIRST_NORMAL
        or not limits["vac_limit"]
        or not precedes(limits["next_xid"] & _MASK, limits["vac_limit"])
        or lookup(c.DATABASEOID, limits["oldest_xid_db"]) is None
    )


def _truncate_logs(frozen: int, multi: int, last_sane_xid: int, last_sane_multi: int) -> None:
    """Cut commit log and multixacts at the oldest of all databases, and move the limits (vac_truncate_clog)."""
    _lwlock.acquire(_WRAP_LIMITS_VACUUM_LOCK)
    try:
        oldest_db = multi_db = session.database_id
        wrapped = False
        now = next_xid()
        for row in scan_rows("pg_database"):
            if row.datconnlimit == _DATABASE_CONNLIMIT_INVALID:
                continue
            if precedes(last_sane_xid, row.datfrozenxid) or multi_precedes(last_sane_multi, row.datminmxid):
                return
            if precedes(now, row.datfrozenxid):
                wrapped = True
            elif precedes(row.datfrozenxid, frozen):
                frozen, oldest_db = row.datfrozenxid, row.oid
            if multi_precedes(row.datminmxid, multi):
                multi, multi_db = row.datminmxid, row.oid
        if wrapped:
            report(
                Severity.WARNING, "some databases have not been vacuumed in over 2 billion transactions",
                detail="You might have already suffered transaction-wraparound data loss.",
            )
            return
        _commit_ts.advance_oldest(frozen)
        _clog.truncate(frozen, oldest_db)
        _commit_ts.truncate(frozen)
        _multixact.truncate(multi, multi_db)
        _varsup.set_limits(frozen, oldest_db)
        _multixact.set_limits(multi, multi_db, False)
    finally:
        _lwlock.release(_WRAP_LIMITS_VACUUM_LOCK)

"""pg_stat_get_*() of relations, functions and databases (utils/adt/pgstatfuncs)."""

from __future__ import annotations

from collections.abc import Callable

from tusk.catalog.session import session
from tusk.stats import _pending, snapshot
from tusk.stats.tables import TableStats
from tusk.types.registry import function
from tusk.wal import _control


def _table(relid: int) -> TableStats | None:
    """A relation of this database, or a shared one (pgstat_fetch_stat_tabentry)."""
    found = snapshot.fetch(snapshot.RELATION, session.database_id, relid)
    if found is None:
        found = snapshot.fetch(snapshot.RELATION, 0, relid)
    return None if found is None else TableStats(*found)


def _define_table(name: str, kind: str) -> None:
    index = TableStats._fields.index(name)

    def count(relid: int) -> int:
        found = _table(relid)
        return 0 if found is None else found[index]

    def moment(relid: int) -> int | None:
        found = _table(relid)
        return None if found is None else found[index] or None

    def duration(relid: int) -> float:
        found = _table(relid)
        return 0.0 if found is None else float(found[index])

    body: Callable[[int], int | float | None] = {"count": count, "moment": moment, "duration": duration}[kind]
    function(f"pg_stat_get_{name}")(body)


for _name in TableStats._fields:
    if _name.startswith("total_"):
        _define_table(_name, "duration")
    elif _name == "lastscan" or _name.endswith("_time"):
        _define_table(_name, "moment")
    else:
        _define_table(_name, "count")


def _define_pending(name: str) -> None:
    def count(relid: int) -> int:
        found = _pending.pending_relation(relid) or _pending.pending_relation(relid, True)
        return 0 if found is None else found[name]

    function(f"pg_stat_get_xact_{name}")(count)


for _name in (
    "numscans", "tuples_returned", "tuples_fetched", "tuples_inserted", "tuples_updated", "tuples_deleted",
    "tuples_hot_updated", "tuples_newpage_updated", "blocks_fetched", "blocks_hit",
):  # fmt: skip
    _define_pending(_name)


# Functions. Times are kept in microseconds and shown in milliseconds.


@function("pg_stat_get_function_calls")
def pg_stat_get_function_calls(oid: int) -> int | None:
    """Calls of a function, NULL where none was counted."""
    found = snapshot.fetch(snapshot.FUNCTION, session.database_id, oid)
    return None if found is None else found[0]


@function("pg_stat_get_function_total_time")
def pg_stat_get_function_total_time(oid: int) -> float | None:
    """Time in a function and what it called."""
    found = snapshot.fetch(snapshot.FUNCTION, session.database_id, oid)
    return None if found is None else found[1] / 1000


@function("pg_stat_get_function_self_time")
def pg_stat_get_function_self_time(oid: int) -> float | None:
    """Time in the function itself."""
    found = snapshot.fetch(snapshot.FUNCTION, session.database_id, oid)
    return None if found is None else found[2] / 1000


@function("pg_stat_get_xact_function_calls")
def pg_stat_get_xact_function_calls(oid: int) -> int | None:
    """Calls that are not flushed yet."""
    found = _pending.pending_function(oid)
    return None if found is None else found[0]


@function("pg_stat_get_xact_function_total_time")
def pg_stat_get_xact_function_total_time(oid: int) -> float | None:
    """Their time."""
    found = _pending.pending_function(oid)
    return None if found is None else found[1] / 1_000_000


@function("pg_stat_get_xact_function_self_time")
def pg_stat_get_xact_function_self_time(oid: int) -> float | None:
    """Their time in the function itself."""
    found = _pending.pending_function(oid)
    return None if found is None else found[2] / 1_000_000


# Databases: positions in PgStat_StatDBEntry

_DATABASE_COUNTS = {
    "xact_commit": 0, "xact_rollback": 1, "blocks_fetched": 2, "blocks_hit": 3, "tuples_returned": 4,
    "tuples_fetched": 5, "tuples_inserted": 6, "tuples_updated": 7, "tuples_deleted": 8, "conflict_tablespace": 10,
    "conflict_lock": 11, "conflict_snapshot": 12, "conflict_logicalslot": 13, "conflict_bufferpin": 14,
    "conflict_startup_deadlock": 15, "temp_files": 16, "temp_bytes": 17, "deadlocks": 18, "sessions": 23,
    "sessions_abandoned": 27, "sessions_fatal": 28, "sessions_killed": 29, "parallel_workers_to_launch": 30,
    "parallel_workers_launched": 31,
}  # fmt: skip
_DATABASE_TIMES = {
    "blk_read_time": 21, "blk_write_time": 22, "session_time": 24, "active_time": 25, "idle_in_transaction_time": 26,
}  # fmt: skip
_CHECKSUM_FAILURES, _LAST_CHECKSUM_FAILURE, _RESET = 19, 20, 32


def _database(oid: int, index: int) -> int:
    found = snapshot.fetch(snapshot.DATABASE, oid, 0)
    return 0 if found is None else found[index]


def _define_database(name: str, index: int, divisor: int) -> None:
    def count(oid: int) -> int | float:
        value = _database(oid, index)
        return value / divisor if divisor > 1 else value

    function(f"pg_stat_get_db_{name}")(count)


for _name, _index in _DATABASE_COUNTS.items():
    _define_database(_name, _index, 1)
for _name, _index in _DATABASE_TIMES.items():
    _define_database(_name, _index, 1000)


@function("pg_stat_get_db_conflict_all")
def pg_stat_get_db_conflict_all(oid: int) -> int:
    """Queries cancelled by recovery, whatever the reason."""
    found = snapshot.fetch(snapshot.DATABASE, oid, 0)
    return 0 if found is None else sum(found[10:16])


@function("pg_stat_get_db_numbackends")
def pg_stat_get_db_numbackends(database: int) -> int:
    """Sessions connected to a database."""
    return sum(entry.database == database for entry in snapshot.activities())


@function("pg_stat_get_db_stat_reset_time")
def pg_stat_get_db_stat_reset_time(oid: int) -> int | None:
    """When the counts were reset."""
    return _database(oid, _RESET) or None


@function("pg_stat_get_db_checksum_failures")
def pg_stat_get_db_checksum_failures(oid: int) -> int | None:
    """NULL without checksums."""
    return _database(oid, _CHECKSUM_FAILURES) if _control.data_checksums() else None


@function("pg_stat_get_db_checksum_last_failure")
def pg_stat_get_db_checksum_last_failure(oid: int) -> int | None:
    """NULL without checksums, and where all were good."""
    return _database(oid, _LAST_CHECKSUM_FAILURE) or None if _control.data_checksums() else None

"""The shared statistics of tables, for autovacuum, VACUUM and ANALYZE.

`fetch_table(dboid, reloid)` gives one table's counters at this moment; `report_vacuum` and `report_analyze` write what
these commands found. `dboid` is 0 for shared catalogs. Positions are those of PgStat_StatTabEntry (pgstat.h).
"""

from __future__ import annotations

from typing import NamedTuple

from tusk.stats import _pending, _store

DATABASE, RELATION = 1, 2
_LIVE, _DEAD, _MOD_SINCE_ANALYZE, _INS_SINCE_VACUUM = 9, 10, 11, 12
_LAST_VACUUM, _LAST_AUTOVACUUM, _LAST_ANALYZE, _LAST_AUTOANALYZE = 15, 17, 19, 21
_TOTAL_VACUUM, _TOTAL_AUTOVACUUM, _TOTAL_ANALYZE, _TOTAL_AUTOANALYZE = 23, 24, 25, 26
_LAST_AUTOVAC_TIME = 9


class TableStats(NamedTuple):
    """PgStat_StatTabEntry; times are microseconds from 2000-01-01 (0: never), totals milliseconds."""

    numscans: int
    lastscan: int
    tuples_returned: int
    tuples_fetched: int
    tuples_inserted: int
    tuples_updated: int
    tuples_deleted: int
    tuples_hot_updated: int
    tuples_newpage_updated: int
    live_tuples: int
    dead_tuples: int
    mod_since_analyze: int
    ins_since_vacuum: int
    blocks_fetched: int
    blocks_hit: int
    last_vacuum_time: int
    vacuum_count: int
    last_autovacuum_time: int
    autovacuum_count: int
    last_analyze_time: int
    analyze_count: int
    last_autoanalyze_time: int
    autoanalyze_count: int
    total_vacuum_time: int
    total_autovacuum_time: int
    total_analyze_time: int
    total_autoanalyze_time: int


def fetch_table(dboid: int, reloid: int) -> TableStats | None:
    """A table's counters as they are shared now, None where nothing has been counted."""
    found = _store.read_entry(RELATION, dboid, reloid)
    return None if found is None else TableStats(*found)


def report_vacuum(
    dboid: int, reloid: int, live_tuples: int, dead_tuples: int, start: int, *, is_autovacuum: bool = False
) -> None:
    """VACUUM of a table has ended, having begun at ``start`` (`_store.now()`); it found so many rows."""
    now = _store.now()
    at, total = (_LAST_AUTOVACUUM, _TOTAL_AUTOVACUUM) if is_autovacuum else (_LAST_VACUUM, _TOTAL_VACUUM)
    _store.change_entry(
        RELATION, dboid, reloid,
        {at + 1: 1, total: max(0, (now - start) // 1000)},
        {at: now, _LIVE: live_tuples, _DEAD: dead_tuples, _INS_SINCE_VACUUM: 0},
    )
    _pending.force_next_flush()


def report_analyze(
    dboid: int, reloid: int, live_tuples: int, dead_tuples: int, start: int, *, reset_counter: bool = True,
    is_autovacuum: bool = False,
) -> None:
    """ANALYZE of a table has ended. ``reset_counter``: all columns were looked at, so nothing is unanalyzed any more.

    Rows that the transaction itself has changed are taken off: its commit will add them.
    """
    live_here, dead_here = _pending.changed_here(reloid, dboid == 0)
    now = _store.now()
    at, total = (_LAST_AUTOANALYZE, _TOTAL_AUTOANALYZE) if is_autovacuum else (_LAST_ANALYZE, _TOTAL_ANALYZE)
    assign = {
        at: now,
        _LIVE: max(0, live_tuples - live_here),
        _DEAD: max(0, dead_tuples - dead_here),
    }
    if reset_counter:
        assign[_MOD_SINCE_ANALYZE] = 0
    _store.change_entry(
        RELATION, dboid, reloid, {at + 1: 1, total: max(0, (now - start) // 1000)}, assign
    )
    _pending.force_next_flush()


def report_autovacuum_visit(dboid: int) -> None:
    """An autovacuum worker starts in a database: what the launcher orders databases by (pgstat_report_autovac)."""
    _store.change_entry(DATABASE, dboid, 0, {}, {_LAST_AUTOVAC_TIME: _store.now()})


def last_autovacuum_visit(dboid: int) -> int | None:
    """When a worker last started there, 0 for never; None where nothing is counted for the database."""
    found = _store.read_entry(DATABASE, dboid, 0)
    return None if found is None else found[_LAST_AUTOVAC_TIME]

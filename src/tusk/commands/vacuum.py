"""VACUUM and ANALYZE: which tables, in which transactions, and what pg_class learns (vacuum.c, analyze.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import lock_relation, relation_close, relation_open, try_relation_open
from tusk.catalog._tuples import update_row_inplace
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace, range_var_get_relid
from tusk.catalog.relinfo import parse_reloptions
from tusk.catalog.session import session
from tusk.commands._vacuum import HeapVacuum, map_counts, relation_pages
from tusk.commands.options import boolean_of, integer_of, position, string_of
from tusk.commands.utility import UtilityContext, utility
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

ShareUpdateExclusiveLock, AccessShareLock, RowExclusiveLock = 4, 1, 3
_XID_HALF = 1 << 31
_NO_PREFETCH_LIMIT = 1 << 30


@dataclass
class Options:
    """Options of VACUUM and ANALYZE (VacuumParams)."""

    vacuum: bool
    analyze: bool = False
    freeze: bool = False
    full: bool = False
    verbose: bool = False
    disable_page_skipping: bool = False
    skip_locked: bool = False
    process_main: bool = True
    process_toast: bool = True
    skip_database_stats: bool = False
    only_database_stats: bool = False
    truncate: bool | None = None
    index_cleanup: str = "auto"
    parallel: int = 0


def _read_options(statement: Any, context: UtilityContext) -> Options:
    options = Options(statement.is_vacuumcmd, analyze=not statement.is_vacuumcmd)
    for item in statement.options:
        match item.defname:
            case "verbose":
                options.verbose = boolean_of(item)
            case "skip_locked":
                options.skip_locked = boolean_of(item)
            case "buffer_usage_limit":
                raise feature_not_supported("BUFFER_USAGE_LIMIT")
            case name if not statement.is_vacuumcmd:
                raise _unrecognized("ANALYZE", name, item, context)
            case "analyze":
                options.analyze = boolean_of(item)
            case "freeze":
                options.freeze = boolean_of(item)
            case "full":
                options.full = boolean_of(item)
            case "disable_page_skipping":
                options.disable_page_skipping = boolean_of(item)
            case "index_cleanup":
                options.index_cleanup = "auto" if item.arg is not None and string_of(item).lower() == "auto" else (
                    "on" if boolean_of(item) else "off"
                )
            case "process_main":
                options.process_main = boolean_of(item)
            case "process_toast":
                options.process_toast = boolean_of(item)
            case "truncate":
                options.truncate = boolean_of(item)
            case "parallel":
                if item.arg is None:
                    raise SqlError(
                        errcode.SYNTAX_ERROR, "parallel option requires a value between 0 and 1024",
                        position=position(context, item.location),
                    )
                options.parallel = integer_of(item)
                if not 0 <= options.parallel <= 1024:
                    raise SqlError(
                        errcode.SYNTAX_ERROR, "parallel workers for vacuum must be between 0 and 1024",
                        position=position(context, item.location),
                    )
            case "skip_database_stats":
                options.skip_database_stats = boolean_of(item)
            case "only_database_stats":
                options.only_database_stats = boolean_of(item)
            case name:
                raise _unrecognized("VACUUM", name, item, context)
    if options.full and options.parallel > 0:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "VACUUM FULL cannot be performed in parallel")
    if options.full and options.disable_page_skipping:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL"
        )
    return options


def _unrecognized(command: str, name: str, item: Any, context: UtilityContext) -> SqlError:
    return SqlError(
        errcode.SYNTAX_ERROR, f'unrecognized {command} option "{name}"', position=position(context, item.location)
    )


@utility("VacuumStmt")
def vacuum_statement(statement: Any, context: UtilityContext) -> None:
    """VACUUM, ANALYZE (ExecVacuum)."""
    options = _read_options(statement, context)
    if not options.analyze and any(item.va_cols for item in statement.rels):
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "ANALYZE option must be specified when a column list is provided"
        )
    command = "VACUUM" if options.vacuum else "ANALYZE"
    if options.vacuum:
        xact.prevent_in_transaction_block(context.is_top_level, command)
        own_transactions = True
    else:
        own_transactions = not xact.is_in_transaction_block(context.is_top_level) and len(statement.rels) != 1
    targets = _targets(statement, options)
    if own_transactions:
        if snapshots.is_active_set():
            snapshots.pop_active()
        xact.commit_transaction_command()
    try:
        for relid, columns in targets:
            if options.vacuum and not options.only_database_stats:
                vacuum_relation(relid, options)
            if options.analyze:
                _analyze_one(relid, columns, options, own_transactions)
    finally:
        if own_transactions and not xact.is_transaction_state():
            xact.start_transaction_command()
    if options.vacuum and not options.skip_database_stats:
        update_database_horizon()


def _analyze_one(relid: int, columns: list[str], options: Options, own_transaction: bool) -> None:
    from tusk.commands.analyze import analyze_relation

    if own_transaction:
        xact.start_transaction_command()
        snapshots.push_active(snapshots.transaction_snapshot())
    analyze_relation(relid, columns, verbose=options.verbose, skip_locked=options.skip_locked)
    if own_transaction:
        snapshots.pop_active()
        xact.commit_transaction_command()
    else:
        xact.command_counter_increment()


def _targets(statement: Any, options: Options) -> list[tuple[int, list[str]]]:
    """(table, columns) to work on: those named, or all that may be (expand_vacuum_rel, get_all_vacuum_rels)."""
    if not statement.rels:
        if options.only_database_stats:
            return []
        return [
            (row.oid, []) for row in scan_rows("pg_class")
            if row.relkind in "rm" and not is_other_temp_namespace(row.relnamespace)
            and _permitted(row, options, complain=False)
        ]  # fmt: skip
    found = []
    for item in statement.rels:
        relid = item.oid or range_var_get_relid(item.relation, 0)
        row = lookup(c.RELOID, relid)
        if _permitted(row, options, complain=True):
            found.append((relid, [column.sval for column in item.va_cols]))
    return found


def _permitted(row: Any, options: Options, *, complain: bool) -> bool:
    """Whether the user may maintain the table, with the warning that it is passed over."""
    user = session.current_user_id
    if acl.object_ownercheck(oa.DATABASE, session.database_id, user) and not row.relisshared:
        return True
    if acl.class_aclcheck(row.oid, user, acl.ACL_MAINTAIN):
        return True
    if complain or options.vacuum or options.analyze:
        verb = "vacuum" if options.vacuum else "analyze"
        report(Severity.WARNING, f'permission denied to {verb} "{row.relname}", skipping it')
    return False


def _open(relid: int, options: Options, mode: int, command: str) -> Any:
    """The table, locked; None where it is gone or locked (vacuum_open_relation)."""
    if options.skip_locked:
        row = lookup(c.RELOID, relid)
        if row is None or not lock_relation(relid, mode, True):
            name = row.relname if row is not None else str(relid)
            report(Severity.WARNING, f'skipping {command} of "{name}" --- lock not available',
                   sqlstate=errcode.LOCK_NOT_AVAILABLE)
            return None
        return try_relation_open(relid, 0)
    return try_relation_open(relid, mode)


def vacuum_relation(relid: int, options: Options) -> None:
    """Vacuum one table in a transaction of its own, then its TOAST table (vacuum_rel)."""
    if options.full:
        raise feature_not_supported("VACUUM FULL")
    xact.start_transaction_command()
    snapshots.push_active(snapshots.transaction_snapshot())
    toast = 0
    rel = _open(relid, options, ShareUpdateExclusiveLock, "vacuum")
    if rel is not None:
        try:
            if rel.form.relkind not in "rmt":
                report(
                    Severity.WARNING,
                    f'skipping "{rel.name}" --- cannot vacuum non-tables or special system tables',
                )
            elif is_other_temp_namespace(rel.form.relnamespace):
                pass
            else:
                toast = rel.reltoastrelid if options.process_toast else 0
                # Nobody may hold back the horizon on account of our own snapshot.
                snapshots.pop_active()
                if options.process_main or rel.form.relkind == "t":
                    _vacuum_heap(rel, options)
        finally:
            relation_close(rel, 0)
    if snapshots.is_active_set():
        snapshots.pop_active()
    xact.commit_transaction_command()
    if toast:
        vacuum_relation(toast, options)


def _age(xid: int, next_xid: int) -> int:
    return (next_xid - xid) & 0xFFFFFFFF if xid >= 3 else 0


def _vacuum_heap(rel: Any, options: Options) -> None:
    from tusk.transaction import _varsup

    freeze_min_age = 0 if options.freeze else int(settings.vacuum_freeze_min_age)
    table_age = 0 if options.freeze else min(
        int(settings.vacuum_freeze_table_age), int(int(settings.autovacuum_freeze_max_age) * 0.95)
    )
    next_xid = _varsup.next_full_transaction_id() & 0xFFFFFFFF
    aggressive = options.freeze or options.disable_page_skipping or _age(rel.form.relfrozenxid, next_xid) > table_age
    reloptions = parse_reloptions(rel.form.reloptions)
    cleanup = options.index_cleanup
    if cleanup == "auto" and reloptions.get("vacuum_index_cleanup", "auto").lower() in ("off", "false", "no", "0"):
        cleanup = "off"
    indexes = [relation_open(oid, RowExclusiveLock) for oid in rel.index_oids]
    try:
        usable = [index for index in indexes if index.index_form.indisready]
        if cleanup == "off" and usable:
            raise feature_not_supported("INDEX_CLEANUP off")
        work_memory = int(settings.maintenance_work_mem) * 1024
        vacuum = HeapVacuum(
            rel, usable, freeze_min_age, aggressive, not options.disable_page_skipping,
            min(max(work_memory // 8, 1024), _NO_PREFETCH_LIMIT),
        )
        if options.verbose:
            database = lookup(c.DATABASEOID, session.database_id).datname
            how = "aggressively vacuuming" if aggressive else "vacuuming"
            report(Severity.INFO, f'{how} "{database}.{_qualified(rel)}"')
        vacuum.run()
        pages = relation_pages(rel)
        live = vacuum.live + vacuum.recently_dead
        tuples = _estimate(rel, pages, vacuum.scanned_pages, float(live))
        visible, frozen = vacuum.visible_counts()
        horizon = None if vacuum.skipped_all_visible else (vacuum.new_relfrozenxid, vacuum.new_relminmxid)
        update_relation_statistics(
            rel.rd_id, pages, tuples, visible, frozen, has_index=bool(indexes), horizon=horizon
        )
        for index in usable:
            result = vacuum.results_of_indexes().get(index.rd_id)
            if result is not None and not result[2]:
                update_relation_statistics(index.rd_id, result[0], float(result[1]), 0, 0, has_index=False)
        if options.verbose:
            report(
                Severity.INFO,
                f'finished vacuuming "{lookup(c.DATABASEOID, session.database_id).datname}.{_qualified(rel)}": '
                f"index scans: {vacuum.num_index_scans}\n"
                f"pages: 0 removed, {pages} remain, {vacuum.scanned_pages} scanned "
                f"({100.0 * vacuum.scanned_pages / pages if pages else 100.0:.2f}% of total), 0 eagerly scanned\n"
                f"tuples: {vacuum.removed} removed, {live} remain, {vacuum.recently_dead} are dead but not yet "
                "removable",
            )
    finally:
        for index in indexes:
            relation_close(index, 0)


def _qualified(rel: Any) -> str:
    return f"{lookup(c.NAMESPACEOID, rel.form.relnamespace).nspname}.{rel.name}"


def _estimate(rel: Any, pages: int, scanned: int, counted: float) -> float:
    """Rows of the whole table after looking at some pages (vac_estimate_reltuples)."""
    old_pages, old_tuples = rel.form.relpages, rel.form.reltuples
    if scanned >= pages:
        return counted
    if old_pages == pages and old_tuples >= 0 and scanned < pages * 0.02:
        return float(old_tuples)
    if scanned <= 1:
        return float(old_tuples)
    if old_tuples < 0 or old_pages == 0:
        return float(int(counted / scanned * pages + 0.5))
    density = old_tuples / old_pages
    return float(int(density * (pages - scanned) + counted + 0.5))


def update_relation_statistics(
    relid: int, pages: int, tuples: float, visible: int, frozen: int, *, has_index: bool,
    horizon: tuple[int, int] | None = None,
) -> None:  # fmt: skip
    """Sizes and horizons of pg_class, in place: right whether we commit or not (vac_update_relstats)."""
    while True:
        row = scan_rows("pg_class", oid=relid)[0]
        changes: dict[str, Any] = {}
        for column, value in (
            ("relpages", pages), ("reltuples", _as_float4(tuples)), ("relallvisible", visible),
            ("relallfrozen", frozen), ("relhasindex", has_index),
        ):
            if getattr(row, column) != value:
                changes[column] = value
        if horizon is not None and row.relkind in "rtm":
            if row.relfrozenxid != horizon[0] and 0 < (horizon[0] - row.relfrozenxid) & 0xFFFFFFFF < _XID_HALF:
                changes["relfrozenxid"] = horizon[0]
            if row.relminmxid != horizon[1] and 0 < (horizon[1] - row.relminmxid) & 0xFFFFFFFF < _XID_HALF:
                changes["relminmxid"] = horizon[1]
        if not changes or update_row_inplace(row.copy(**changes)):
            return


def _as_float4(value: float) -> float:
    import struct

    number: float = struct.unpack("f", struct.pack("f", value))[0]
    return number


def update_database_horizon() -> None:
    """datfrozenxid and datminmxid: the oldest of all tables (vac_update_datfrozenxid)."""
    frozen: int | None = None
    multi: int | None = None
    for row in scan_rows("pg_class"):
        if row.relkind not in "rtm":
            continue
        if row.relfrozenxid and (frozen is None or (frozen - row.relfrozenxid) & 0xFFFFFFFF < _XID_HALF):
            frozen = row.relfrozenxid
        if row.relminmxid and (multi is None or (multi - row.relminmxid) & 0xFFFFFFFF < _XID_HALF):
            multi = row.relminmxid
    while True:
        row = scan_rows("pg_database", oid=session.database_id)[0]
        changes: dict[str, Any] = {}
        if frozen is not None and 0 < (frozen - row.datfrozenxid) & 0xFFFFFFFF < _XID_HALF:
            changes["datfrozenxid"] = frozen
        if multi is not None and 0 < (multi - row.datminmxid) & 0xFFFFFFFF < _XID_HALF:
            changes["datminmxid"] = multi
        if not changes or update_row_inplace(row.copy(**changes)):
            return


def visibility_counts(rel: Any) -> tuple[int, int]:
    """(all-visible, all-frozen) pages of a table."""
    counts: tuple[int, int] = map_counts(rel)
    return counts

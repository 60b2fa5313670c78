"""VACUUM and ANALYZE as statements: options, which tables, in which transactions (vacuum.c)."""

from __future__ import annotations

from typing import Any

from tusk.access import _vacuum_cost
from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import lock_relation
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace, range_var_get_relid
from tusk.catalog.session import session
from tusk.commands.options import boolean_of, integer_of, position, string_of
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.vacuum_heap import VacuumParams, report_skipped, vacuum_relation
from tusk.commands.vacuum_horizon import update_database_horizon
from tusk.config import settings
from tusk.config.registry import find
from tusk.errors import Severity, SqlError, errcode, report
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

AccessShareLock = 1
_MIN_RING_KB, _MAX_RING_KB = 128, 16 * 1024 * 1024
_running = False


def _ring_size(item: Any) -> int:
    text = string_of(item) if item.arg is not None else ""
    hint = None
    try:
        size = int(str(find("vacuum_buffer_usage_limit").parse(text)))
    except SqlError as error:
        size, hint = -1, error.hint
    if size != 0 and not _MIN_RING_KB <= size <= _MAX_RING_KB:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            f"BUFFER_USAGE_LIMIT option must be 0 or between {_MIN_RING_KB} kB and {_MAX_RING_KB} kB", hint=hint,
        )
    return size


def _read_options(statement: Any, context: UtilityContext) -> VacuumParams:
    params = VacuumParams(statement.is_vacuumcmd, analyze=not statement.is_vacuumcmd)
    for item in statement.options:
        match item.defname:
            case "verbose":
                params.verbose = boolean_of(item)
            case "skip_locked":
                params.skip_locked = boolean_of(item)
            case "buffer_usage_limit":
                params.ring_kb = _ring_size(item)
            case name if not statement.is_vacuumcmd:
                raise _unrecognized("ANALYZE", name, item, context)
            case "analyze":
                params.analyze = boolean_of(item)
            case "freeze":
                params.freeze = boolean_of(item)
            case "full":
                params.full = boolean_of(item)
            case "disable_page_skipping":
                params.disable_page_skipping = boolean_of(item)
            case "index_cleanup":
                params.index_cleanup = "auto" if item.arg is not None and string_of(item).lower() == "auto" else (
                    "on" if boolean_of(item) else "off"
                )
            case "process_main":
                params.process_main = boolean_of(item)
            case "process_toast":
                params.process_toast = boolean_of(item)
            case "truncate":
                params.truncate = boolean_of(item)
            case "parallel":
                params.parallel = _parallel(item, context)
            case "skip_database_stats":
                params.skip_database_stats = boolean_of(item)
            case "only_database_stats":
                params.only_database_stats = boolean_of(item)
            case name:
                raise _unrecognized("VACUUM", name, item, context)
    if params.freeze:
        params.freeze_min_age = params.freeze_table_age = 0
        params.multixact_freeze_min_age = params.multixact_freeze_table_age = 0
    return params


def _parallel(item: Any, context: UtilityContext) -> int:
    # Differs from PostgreSQL: no workers are started; it does the same where none are to be had.
    if item.arg is None:
        raise SqlError(
            errcode.SYNTAX_ERROR, "parallel option requires a value between 0 and 1024",
            position=position(context, item.location),
        )
    number = integer_of(item)
    if not 0 <= number <= 1024:
        raise SqlError(
            errcode.SYNTAX_ERROR, "parallel workers for vacuum must be between 0 and 1024",
            position=position(context, item.location),
        )
    return number


def _check_options(statement: Any, params: VacuumParams) -> None:
    """Options that do not go together (ExecVacuum, vacuum)."""
    message = None
    if params.full and params.parallel > 0:
        message = "VACUUM FULL cannot be performed in parallel"
    elif params.ring_kb is not None and params.full and not params.analyze:
        message = "BUFFER_USAGE_LIMIT cannot be specified for VACUUM FULL"
    elif not params.analyze and any(item.va_cols for item in statement.rels):
        message = "ANALYZE option must be specified when a column list is provided"
    elif params.full and params.disable_page_skipping:
        message = "VACUUM option DISABLE_PAGE_SKIPPING cannot be used with FULL"
    elif params.full and not params.process_toast:
        message = "PROCESS_TOAST required with VACUUM FULL"
    elif params.only_database_stats:
        if statement.rels:
            message = "ONLY_DATABASE_STATS cannot be specified with a list of tables"
        elif (
            params.analyze or params.freeze or params.full or params.disable_page_skipping or params.skip_locked
            or params.skip_database_stats
        ):  # fmt: skip
            message = "ONLY_DATABASE_STATS cannot be specified with other VACUUM options"
    if message is not None:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, message)


def _unrecognized(command: str, name: str, item: Any, context: UtilityContext) -> SqlError:
    return SqlError(
        errcode.SYNTAX_ERROR, f'unrecognized {command} option "{name}"', position=position(context, item.location)
    )


@utility("VacuumStmt")
def vacuum_statement(statement: Any, context: UtilityContext) -> None:
    """VACUUM, ANALYZE (ExecVacuum)."""
    params = _read_options(statement, context)
    command = "VACUUM" if params.vacuum else "ANALYZE"
    if params.vacuum:
        xact.prevent_in_transaction_block(context.is_top_level, command)
        in_block = False
    else:
        in_block = xact.is_in_transaction_block(context.is_top_level)
    _check_options(statement, params)
    if _running:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, f"{command} cannot be executed from VACUUM or ANALYZE"
        )
    targets = _targets(statement, params)
    own_transactions = params.vacuum or (not in_block and len(targets) > 1)
    if own_transactions:
        if snapshots.is_active_set():
            snapshots.pop_active()
        xact.commit_transaction_command()
    try:
        vacuum(targets, params, own_transactions=own_transactions)
    finally:
        if own_transactions and not xact.is_transaction_state():
            xact.start_transaction_command()
    if params.vacuum and not params.skip_database_stats:
        update_database_horizon()


def vacuum(
    targets: list[tuple[int, str | None, list[str]]], params: VacuumParams, *, own_transactions: bool
) -> None:
    """Vacuum and analyze these tables, between transactions or in the caller's (vacuum())."""
    global _running
    _running = True
    try:
        ring = int(settings.vacuum_buffer_usage_limit) if params.ring_kb is None else params.ring_kb
        _vacuum_cost.begin(ring)
        if not params.automatic:
            _vacuum_cost.set_costs(
                float(settings.vacuum_cost_delay), int(settings.vacuum_cost_limit), int(settings.vacuum_cost_page_hit),
                int(settings.vacuum_cost_page_miss), int(settings.vacuum_cost_page_dirty),
            )
        else:
            _vacuum_cost.refresh()
        for relid, name, columns in targets:
            if params.vacuum and not params.only_database_stats and not vacuum_relation(relid, name, params):
                continue
            if params.analyze:
                _analyze_one(relid, name, columns, params, own_transactions)
    finally:
        _vacuum_cost.end()
        _running = False


def _analyze_one(
    relid: int, name: str | None, columns: list[str], params: VacuumParams, own_transaction: bool
) -> None:
    from tusk.commands.analyze import analyze_relation

    if own_transaction:
        xact.start_transaction_command()
        snapshots.push_active(snapshots.transaction_snapshot())
    analyze_relation(relid, name, columns, params, in_outer_transaction=not own_transaction)
    if own_transaction:
        snapshots.pop_active()
        xact.commit_transaction_command()
    else:
        xact.command_counter_increment()


def _targets(statement: Any, params: VacuumParams) -> list[tuple[int, str | None, list[str]]]:
    """(table, name, columns) to work on: those named, or all that may be (expand_vacuum_rel, get_all_vacuum_rels)."""
    if params.only_database_stats:
        return []
    if not statement.rels:
        return [
            (row.oid, None, []) for row in scan_rows("pg_class")
            if row.relkind in "rmp" and not is_other_temp_namespace(row.relnamespace) and permitted(row, params)
        ]  # fmt: skip
    found: list[tuple[int, str | None, list[str]]] = []
    for item in statement.rels:
        relid = item.oid or range_var_get_relid(item.relation, 0)
        row = lookup(c.RELOID, relid)
        columns = [column.sval for column in item.va_cols]
        if params.skip_locked and not lock_relation(relid, AccessShareLock, True):
            report_skipped(row.relname, relid, "vacuum" if params.vacuum else "analyze", params, locked=True)
        elif permitted(row, params):
            found.append((relid, row.relname, columns))
    return found


def permitted(row: Any, params: VacuumParams) -> bool:
    """Whether the user may maintain the table, with the warning that it is passed over."""
    user = session.current_user_id
    if acl.object_ownercheck(oa.DATABASE, session.database_id, user) and not row.relisshared:
        return True
    if acl.class_aclcheck(row.oid, user, acl.ACL_MAINTAIN):
        return True
    verb = "vacuum" if params.vacuum else "analyze"
    report(Severity.WARNING, f'permission denied to {verb} "{row.relname}", skipping it')
    return False

"""REINDEX: indexes built again in new files (indexcmds.c's ExecReindex)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open, try_relation_open
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace, lookup_explicit_namespace, range_var_get_relid
from tusk.catalog.session import session
from tusk.commands.options import boolean_of, position
from tusk.commands.rebuild import index_oids, rebuild_indexes
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.vacuum_heap import Usage
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums
from tusk.transaction import _snapshot as snapshots
from tusk.transaction import xact

_SHARE, _ACCESS_EXCLUSIVE = 5, 8
_PG_CLASS = 1259
_PG_CATALOG, _PG_TOAST = 11, 99
_FIRST_USER_OID = 16384
_ROLE_PG_MAINTAIN = 6337


@utility("ReindexStmt")
def reindex(statement: Any, context: UtilityContext) -> None:
    """REINDEX INDEX, TABLE, SCHEMA, DATABASE, SYSTEM."""
    verbose = False
    for item in statement.params or ():
        match item.defname:
            case "verbose":
                verbose = boolean_of(item)
            case "concurrently":
                if boolean_of(item):
                    raise feature_not_supported("REINDEX CONCURRENTLY")
            case "tablespace":
                raise feature_not_supported("REINDEX ... TABLESPACE")
            case name:
                raise SqlError(
                    errcode.SYNTAX_ERROR, f'unrecognized REINDEX option "{name}"',
                    position=position(context, item.location),
                )
    match statement.kind:
        case enums.REINDEX_OBJECT_INDEX:
            _reindex_index(statement, verbose)
        case enums.REINDEX_OBJECT_TABLE:
            _reindex_named_table(statement, verbose)
        case kind:
            name = {
                enums.REINDEX_OBJECT_SCHEMA: "REINDEX SCHEMA", enums.REINDEX_OBJECT_SYSTEM: "REINDEX SYSTEM",
            }.get(kind, "REINDEX DATABASE")  # fmt: skip
            xact.prevent_in_transaction_block(context.is_top_level, name)
            _reindex_many(statement, verbose)


def _check(kind: str) -> Any:
    def check(relation: Any, oid: int, _old: int) -> None:
        if not oid:
            return
        row = lookup(c.RELOID, oid)
        if kind == "index" and row.relkind not in "iI":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not an index')
        if kind == "table" and row.relkind not in "rmtp":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{relation.relname}" is not a table or materialized view')
        table = lookup(c.INDEXRELID, oid).indrelid if kind == "index" else oid
        if not acl.class_aclcheck(table, session.current_user_id, acl.ACL_MAINTAIN):
            raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, oid))
        if kind == "index":
            # The table before the index, as everybody else does.
            relation_close(relation_open(table, _SHARE), 0)

    return check


def _reindex_index(statement: Any, verbose: bool) -> None:
    oid = range_var_get_relid(statement.relation, _ACCESS_EXCLUSIVE, callback=_check("index"))
    row = lookup(c.RELOID, oid)
    if row.relkind == "I":
        raise feature_not_supported("REINDEX of partitioned indexes")
    if is_other_temp_namespace(row.relnamespace):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot reindex temporary tables of other sessions")
    _rebuild(lookup(c.INDEXRELID, oid).indrelid, [oid], verbose)


def _rebuild(table: int, oids: list[int], verbose: bool) -> None:
    for oid in oids:
        usage = Usage()
        rebuild_indexes(table, [oid])
        if verbose:
            report(
                Severity.INFO, f'index "{lookup(c.RELOID, oid).relname}" was reindexed',
                detail=usage.lines()[-1].removeprefix("system usage: "),
            )


def reindex_table(oid: int, *, verbose: bool = False) -> bool:
    """All indexes of a locked table and of its TOAST table; False if there are none (reindex_relation)."""
    oids = index_oids(oid)
    # All at once: of a catalog that is read through its indexes none may be old while another is new.
    if oid < _FIRST_USER_OID and not verbose:
        rebuild_indexes(oid, oids)
    else:
        _rebuild(oid, oids, verbose)
    toast = lookup(c.RELOID, oid).reltoastrelid
    if toast:
        rel = relation_open(toast, _SHARE)
        try:
            reindex_table(toast, verbose=verbose)
        finally:
            relation_close(rel, 0)
    return bool(oids)


def _reindex_named_table(statement: Any, verbose: bool) -> None:
    oid = range_var_get_relid(statement.relation, _SHARE, callback=_check("table"))
    row = lookup(c.RELOID, oid)
    if row.relkind == "p":
        raise feature_not_supported("REINDEX of partitioned tables")
    if is_other_temp_namespace(row.relnamespace):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot reindex temporary tables of other sessions")
    if not reindex_table(oid, verbose=verbose):
        report(Severity.NOTICE, f'table "{row.relname}" has no indexes to reindex')


def _many(statement: Any) -> list[Any]:
    """pg_class rows of the tables of a schema, or of the database, or of the catalogs (ReindexMultipleTables)."""
    user = session.current_user_id
    maintains = acl.has_privs_of_role(user, _ROLE_PG_MAINTAIN)
    if statement.kind == enums.REINDEX_OBJECT_SCHEMA:
        namespace = lookup_explicit_namespace(statement.name)
        if not maintains:
            acl.require_owner(oa.NAMESPACE, namespace)
        rows = scan_rows("pg_class", relnamespace=namespace)
    else:
        if statement.name and statement.name != lookup(c.DATABASEOID, session.database_id).datname:
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "can only reindex the currently open database")
        if not maintains:
            acl.require_owner(oa.DATABASE, session.database_id)
        system = statement.kind == enums.REINDEX_OBJECT_SYSTEM
        rows = [
            row for row in scan_rows("pg_class")
            if (row.oid < _FIRST_USER_OID and row.relnamespace in (_PG_CATALOG, _PG_TOAST)) == system
        ]  # fmt: skip
    chosen = [
        row for row in rows
        if row.relkind in "rm" and not (row.relpersistence == "t" and is_other_temp_namespace(row.relnamespace))
        and not (row.relisshared and not acl.class_aclcheck(row.oid, user, acl.ACL_MAINTAIN))
    ]  # fmt: skip
    # pg_class first: every other rebuild changes it.
    return sorted(chosen, key=lambda row: row.oid != _PG_CLASS)


def _reindex_many(statement: Any, verbose: bool) -> None:
    rows = _many(statement)
    schemas = {row.oid: lookup(c.NAMESPACEOID, row.relnamespace).nspname for row in rows}
    if snapshots.is_active_set():
        snapshots.pop_active()
    xact.commit_transaction_command()
    try:
        for row in rows:
            xact.start_transaction_command()
            snapshots.push_active(snapshots.transaction_snapshot())
            rel = try_relation_open(row.oid, _SHARE)
            if rel is not None:
                try:
                    done = reindex_table(row.oid, verbose=verbose)
                finally:
                    relation_close(rel, 0)
                if done and verbose:
                    report(Severity.INFO, f'table "{schemas[row.oid]}.{row.relname}" was reindexed')
            snapshots.pop_active()
            xact.commit_transaction_command()
    finally:
        if not xact.is_transaction_state():
            xact.start_transaction_command()

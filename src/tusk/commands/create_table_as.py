"""CREATE TABLE AS, SELECT INTO, CREATE and REFRESH MATERIALIZED VIEW (createas.c, matview.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl, heap, toasting
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup
from tusk.catalog.namespace import get_relname_relid, range_var_get_relid
from tusk.commands.options import storage_parameters
from tusk.commands.storage import build_indexes, new_file
from tusk.commands.table_definition import check_column_type
from tusk.commands.tables import access_method_oid, chosen_tablespace, creation_namespace, register_on_commit
from tusk.commands.truncate import check_not_in_use
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.views import store_rule, view_columns
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql import execute, plan, rewrite
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree
from tusk.transaction import _snapshot as snapshots

AccessExclusiveLock = 8


@utility("CreateTableAsStmt")
def create_table_as(statement: Any, context: UtilityContext) -> str | None:
    """CREATE TABLE AS query, SELECT INTO, CREATE MATERIALIZED VIEW (ExecCreateTableAs)."""
    into = statement.into
    is_view = statement.objtype == enums.OBJECT_MATVIEW
    namespace, persistence = creation_namespace(into.rel)
    if get_relname_relid(into.rel.relname, namespace):
        text = f'relation "{into.rel.relname}" already exists'
        if not statement.if_not_exists:
            raise SqlError(errcode.DUPLICATE_TABLE, text)
        report(Severity.NOTICE, f"{text}, skipping", sqlstate=errcode.DUPLICATE_TABLE)
        return None
    query = statement.query
    if query.commandType == enums.CMD_UTILITY:
        query = _executed_query(query.utilityStmt, context)
    columns = _named(view_columns(query), into.colNames)
    for column in columns:
        if lookup(c.TYPEOID, column.type_oid).typcollation and not column.collation:
            raise SqlError(
                errcode.INDETERMINATE_COLLATION, f'no collation was derived for column "{column.name}" with collatable '
                "type", hint="Use the COLLATE clause to set the collation explicitly.",
            )
    heap.check_column_names(columns, "m" if is_view else "r")
    for column in columns:
        check_column_type(column.name, column.type_oid, column.collation)
    relid = heap.create_relation(
        into.rel.relname, namespace, columns, relkind="m" if is_view else "r", persistence=persistence,
        tablespace=chosen_tablespace(into.tableSpaceName, persistence),
        access_method=access_method_oid(into.accessMethod),
        options=storage_parameters(into.options, "t", namespaces=("toast",)),
    )  # fmt: skip
    toasting.create_toast_table(
        relid, storage_parameters(into.options, "T", namespace="toast", namespaces=("toast",))
    )
    if into.onCommit != enums.ONCOMMIT_NOOP:
        register_on_commit(relid, into.onCommit)
    if is_view:
        store_rule(relid, into.viewQuery or copy_tree(query), replace_old=False)
        _set_populated(relid, not into.skipData)
    if into.skipData:
        return None
    nrows = fill_table(relid, query, context)
    return f"SELECT {nrows}"


def _executed_query(inner: Any, context: UtilityContext) -> Any:
    if type(inner).__name__ == "ExecuteStmt":
        raise feature_not_supported("CREATE TABLE AS EXECUTE")
    del context
    raise SqlError(errcode.INTERNAL_ERROR, "unexpected utility statement in CREATE TABLE AS")


def _named(columns: list[heap.Column], names: list[Any]) -> list[heap.Column]:
    if len(names) > len(columns):
        raise SqlError(errcode.SYNTAX_ERROR, "too many column names were specified")
    for column, name in zip(columns, names, strict=False):
        column.name = name.sval
    return columns


def _set_populated(relid: int, populated: bool) -> None:
    row = lookup(c.RELOID, relid)
    if row.relispopulated != populated:
        update_row(row.copy(relispopulated=populated), row)
    command_counter_increment()


def fill_table(relid: int, query: Any, context: UtilityContext) -> int:
    """Put the rows of a query into a new table."""
    from tusk.commands._row_writer import INSERT_SKIP_FSM, RowWriter

    queries = rewrite.rewrite(copy_tree(query))
    if len(queries) != 1:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected rewrite result for CREATE TABLE AS SELECT")
    executor = execute.Executor(plan.plan(queries[0], context.query_text, 0, context.parameters), context.query_text)
    rel = relation_open(relid, 0)
    snapshots.push_active(snapshots.transaction_snapshot())
    try:
        snapshots.update_active_command_id()
        executor.start(context.parameters, snapshots.active_snapshot())
        writer = RowWriter(rel, INSERT_SKIP_FSM, False, False)
        try:
            writer.prepare()
            for batch in executor.run():
                writer.add_batch(batch)
            executor.finish()
            nrows: int = writer.finish()
        finally:
            writer.close()
            executor.end()
    finally:
        snapshots.pop_active()
        relation_close(rel, 0)
    command_counter_increment()
    return nrows


@utility("RefreshMatViewStmt")
def refresh(statement: Any, context: UtilityContext) -> None:
    """REFRESH MATERIALIZED VIEW (ExecRefreshMatView)."""
    from tusk.commands.expressions import tree_of

    if statement.concurrent:
        raise feature_not_supported("REFRESH MATERIALIZED VIEW CONCURRENTLY")
    relid = range_var_get_relid(statement.relation, AccessExclusiveLock)
    row = lookup(c.RELOID, relid)
    if not acl.class_aclcheck(relid, _user(), acl.ACL_MAINTAIN):
        raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, relid))
    if row.relkind != "m":
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'"{row.relname}" is not a materialized view')
    check_not_in_use(relid, "REFRESH MATERIALIZED VIEW")
    query = tree_of(lookup(c.RULERELNAME, relid, "_RETURN").ev_action)[0]
    _set_populated(relid, not statement.skipData)
    new_file(relid)
    if row.reltoastrelid:
        new_file(row.reltoastrelid)
        build_indexes(row.reltoastrelid)
    if not statement.skipData:
        fill_table(relid, query, context)
    build_indexes(relid)


def _user() -> int:
    from tusk.catalog.session import session

    return session.current_user_id

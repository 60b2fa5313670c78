"""CREATE VIEW: the relation, its columns, and the rule that says what it shows (view.c, rewriteDefine.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import acl, heap, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, new_oid, update_row
from tusk.catalog.cache import lookup
from tusk.catalog.names import format_type
from tusk.catalog.namespace import (
    get_relname_relid,
    is_any_temp_namespace,
    range_var_get_relid,
)
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgRewrite
from tusk.commands import expressions
from tusk.commands.constraints import user_columns
from tusk.commands.options import storage_parameters
from tusk.commands.table_definition import check_column_type
from tusk.commands.tables import creation_namespace
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.analyze import analyze
from tusk.sql.nodes import DefElem, RawStmt, SelectStmt, String, enums, replace
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod, walk_query
from tusk.sql.nodes.primitives import Param

AccessExclusiveLock = 8


@utility("ViewStmt")
def create_view(statement: Any, context: UtilityContext) -> None:
    """CREATE VIEW, CREATE OR REPLACE VIEW (DefineView)."""
    raw = statement.query
    if isinstance(raw, SelectStmt) and raw.intoClause is not None:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "views must not contain SELECT INTO")
    query = analyze(
        RawStmt(stmt=raw, stmt_location=context.statement_location, stmt_len=context.statement_length),
        context.query_text, [],
    )
    if query.commandType != enums.CMD_SELECT:
        raise SqlError(errcode.SYNTAX_ERROR, "views must not contain data-modifying statements in WITH")
    if query.hasModifyingCTE:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "views must not contain data-modifying statements in WITH"
        )
    if walk_query(
        query, lambda node, _: True if isinstance(node, Param) and node.paramkind == enums.PARAM_EXTERN else None
    ):
        raise SqlError(errcode.UNDEFINED_PARAMETER, "there is no parameter $1")
    options = list(statement.options)
    check = {enums.LOCAL_CHECK_OPTION: "local", enums.CASCADED_CHECK_OPTION: "cascaded"}.get(statement.withCheckOption)
    if check:
        options.append(DefElem(defname="check_option", arg=String(sval=check), location=-1))
    if any(item.defname == "check_option" for item in options):
        _check_updatable(query)
    _apply_aliases(query, statement.aliases)
    view = statement.view
    if view.relpersistence == "u":
        raise SqlError(errcode.SYNTAX_ERROR, "views cannot be unlogged because they do not have storage")
    if view.relpersistence == "p" and uses_temporary(query):
        view = replace(view, relpersistence="t")
        report(Severity.NOTICE, f'view "{view.relname}" will be a temporary view')
    store_view(view, query, options, replace_old=statement.replace)


def _check_updatable(query: Any) -> None:
    from tusk.sql.rewrite import updatable

    reason = updatable.not_updatable_because(query, True)
    if reason is not None:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "WITH CHECK OPTION is supported only on automatically updatable views",
            hint=reason,
        )


def _apply_aliases(query: Any, aliases: Sequence[Any]) -> None:
    visible = [target for target in query.targetList if not target.resjunk]
    if len(aliases) > len(visible):
        raise SqlError(errcode.SYNTAX_ERROR, "CREATE VIEW specifies more column names than columns")
    for target, alias in zip(visible, aliases, strict=False):
        target.resname = alias.sval


def uses_temporary(query: Any) -> bool:
    """Whether a query reads a temporary relation (query_uses_temp_object)."""
    for address in expressions.references(query):
        if address.classid == oa.CLASS:
            row = lookup(c.RELOID, address.objid)
            if row is not None and is_any_temp_namespace(row.relnamespace):
                return True
    return False


def view_columns(query: Any) -> list[heap.Column]:
    """The columns that a query makes."""
    columns = []
    for target in query.targetList:
        if target.resjunk:
            continue
        type_oid, collation = expr_type(target.expr), expr_collation(target.expr)
        columns.append(heap.Column(target.resname, type_oid, expr_typmod(target.expr), collation))
    return columns


def store_view(view: Any, query: Any, options: list[Any], *, replace_old: bool) -> int:
    """Create the view's relation and rule, or replace them (DefineVirtualRelation, StoreViewQuery)."""
    columns = view_columns(query)
    for column in columns:
        if lookup(c.TYPEOID, column.type_oid).typcollation and not column.collation:
            raise SqlError(
                errcode.INDETERMINATE_COLLATION,
                f'could not determine which collation to use for view column "{column.name}"',
                hint="Use the COLLATE clause to set the collation explicitly.",
            )
    if not columns:
        raise SqlError(errcode.INVALID_TABLE_DEFINITION, "view must have at least one column")
    namespace, persistence = creation_namespace(view)
    old = get_relname_relid(view.relname, namespace) if replace_old else 0
    reloptions = storage_parameters(options, "v")
    if old:
        oid = range_var_get_relid(view, AccessExclusiveLock)
        oid = _replace(oid, columns, reloptions)
    else:
        heap.check_column_names(columns, "v")
        for column in columns:
            check_column_type(column.name, column.type_oid, column.collation)
        oid = heap.create_relation(
            view.relname, namespace, columns, relkind="v", persistence=persistence, options=reloptions
        )
    command_counter_increment()
    store_rule(oid, query, replace_old=bool(old))
    return oid


def _replace(oid: int, columns: list[heap.Column], reloptions: tuple[str, ...] | None) -> int:
    row = lookup(c.RELOID, oid)
    if row.relkind != "v":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is not a view')
    acl.require_owner(oa.CLASS, oid)
    existing = user_columns(oid)
    if len(columns) < len(existing):
        raise SqlError(errcode.INVALID_TABLE_DEFINITION, "cannot drop columns from view")
    for old, new in zip(existing, columns, strict=False):
        if old.attname != new.name:
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f'cannot change name of view column "{old.attname}" to "{new.name}"',
                hint="Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            )
        if (old.atttypid, old.atttypmod) != (new.type_oid, new.typmod):
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION,
                f'cannot change data type of view column "{old.attname}" from '
                f"{format_type(old.atttypid, old.atttypmod)} to {format_type(new.type_oid, new.typmod)}",
            )
        if old.attcollation != new.collation:
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION, f'cannot change collation of view column "{old.attname}"'
            )
    if len(columns) > len(existing):
        count = row.relnatts
        for column in columns[len(existing):]:
            count += 1
            insert_row(column.row(oid, count))
            heap.record_column_dependencies(oid, count, column.type_oid, column.collation)
        update_row(row.copy(relnatts=count, reloptions=reloptions), row)
    elif row.reloptions != reloptions:
        update_row(row.copy(reloptions=reloptions), row)
    command_counter_increment()
    return oid


def store_rule(oid: int, query: Any, *, replace_old: bool) -> None:
    """The ``_RETURN`` rule of a view (DefineViewRules, InsertRule)."""
    action = expressions.tree_text([query])
    old = lookup(c.RULERELNAME, oid, "_RETURN")
    if old is not None:
        if not replace_old:
            raise SqlError(
                errcode.DUPLICATE_OBJECT,
                f'rule "_RETURN" for relation "{lookup(c.RELOID, oid).relname}" already exists',
            )
        update_row(old.copy(ev_action=action), old)
        rule = old.oid
        dep.delete_dependencies_of(oa.REWRITE, rule)
    else:
        rule = new_oid("pg_rewrite")
        insert_row(PgRewrite(
            oid=rule, rulename="_RETURN", ev_class=oid, ev_type="1", ev_enabled="O", is_instead=True, ev_qual="<>",
            ev_action=action,
        ))  # fmt: skip
    own = ObjectAddress(oa.REWRITE, rule)
    dep.record_dependency(own, ObjectAddress(oa.CLASS, oid), dep.INTERNAL)
    dep.record_dependencies(own, expressions.references(query))
    row = lookup(c.RELOID, oid)
    if not row.relhasrules:
        update_row(row.copy(relhasrules=True), row)
    else:
        inval.invalidate_relcache(oid)
    command_counter_increment()

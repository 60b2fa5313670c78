"""LOCK TABLE (commands/lockcmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import lock_relation
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.names import relation_name
from tusk.catalog.namespace import range_var_get_relid
from tusk.catalog.session import session
from tusk.commands.sequences import not_supported_detail
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import enums, walk
from tusk.sql.nodes.parsetree import Query
from tusk.sql.rewrite.rules import rules_of
from tusk.transaction import xact

AccessShareLock, RowExclusiveLock = 1, 3


@utility("LockStmt")
def lock_tables(statement: Any, context: UtilityContext) -> None:
    """Lock the named tables, their children, and the tables below named views, in that order."""
    xact.require_transaction_block(context.is_top_level, "LOCK TABLE")

    def check(_relation: Any, oid: int, _old: int) -> None:
        if oid:
            _check_kind(oid)
            _check_privilege(oid, statement.mode, session.current_user_id)

    for relation in statement.relations:
        oid = range_var_get_relid(relation, statement.mode, nowait=statement.nowait, callback=check)
        if lookup(c.RELOID, oid).relkind == "v":
            _lock_view(oid, statement.mode, statement.nowait, (oid,))
        elif relation.inh:
            _lock_children(oid, statement.mode, statement.nowait)


def _check_kind(oid: int) -> None:
    row = lookup(c.RELOID, oid)
    if row.relkind not in "rpv":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE,
            f'cannot lock relation "{row.relname}"',
            detail=not_supported_detail(row.relkind),
        )


def _check_privilege(oid: int, mode: int, role: int) -> None:
    """Privileges to change a table permit any lock, lesser ones the weaker locks (LockTableAclCheck)."""
    wanted = acl.ACL_UPDATE | acl.ACL_DELETE | acl.ACL_TRUNCATE | acl.ACL_MAINTAIN
    if mode <= AccessShareLock:
        wanted |= acl.ACL_SELECT
    if mode <= RowExclusiveLock:
        wanted |= acl.ACL_INSERT
    if not acl.class_aclcheck(oid, role, wanted):
        raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, oid))


def _lock_one(oid: int, mode: int, nowait: bool) -> None:
    if not lock_relation(oid, mode, nowait):
        raise SqlError(errcode.LOCK_NOT_AVAILABLE, f'could not obtain lock on relation "{relation_name(oid)}"')


def _lock_children(oid: int, mode: int, nowait: bool) -> None:
    """Children need no privileges of their own (LockTableRecurse)."""
    for row in sorted(scan_rows("pg_inherits", inhparent=oid), key=lambda row: row.inhrelid):
        _lock_one(row.inhrelid, mode, nowait)
        if lookup(c.RELOID, row.inhrelid) is not None:
            _lock_children(row.inhrelid, mode, nowait)


def _lock_view(view: int, mode: int, nowait: bool, above: tuple[int, ...]) -> None:
    """The relations in a view's query, as the view's owner may lock them (LockViewRecurse)."""
    row = lookup(c.RELOID, view)
    options = dict(item.partition("=")[::2] for item in row.reloptions or ())
    invoker = options.get("security_invoker", "false").lower() in ("true", "on", "yes", "1")
    role = session.current_user_id if invoker else row.relowner
    found: list[Any] = []

    def visit(node: Any) -> None:
        if isinstance(node, Query):
            found.extend(rte for rte in node.rtable if rte.rtekind == enums.RTE_RELATION)

    for rule in rules_of(view):
        if rule.event == enums.CMD_SELECT:
            walk(rule.actions, visit)
    for rte in found:
        if rte.relid in above or lookup(c.RELOID, rte.relid).relkind not in "rpv":
            continue
        _check_privilege(rte.relid, mode, role)
        _lock_one(rte.relid, mode, nowait)
        if lookup(c.RELOID, rte.relid).relkind == "v":
            _lock_view(rte.relid, mode, nowait, (*above, rte.relid))
        elif rte.inh:
            _lock_children(rte.relid, mode, nowait)

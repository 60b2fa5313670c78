"""MERGE."""

from __future__ import annotations

from typing import Any

from tusk.errors import SqlError, errcode
from tusk.sql.analyze.clauses import transform_where
from tusk.sql.analyze.collate import assign_query_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.joins import transform_from
from tusk.sql.analyze.modify import (
    insert_row,
    insert_target_list,
    set_target_table,
    transform_returning,
    transform_update_targets,
)
from tusk.sql.analyze.rangetable import ACL_DELETE, ACL_INSERT, ACL_UPDATE, add_to_query, nsitem_by_rtindex
from tusk.sql.analyze.select import with_clause
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.targets import insert_targets, transform_expression_list
from tusk.sql.nodes import enums
from tusk.sql.nodes.parsetree import MergeStmt, Query
from tusk.sql.nodes.primitives import FromExpr, MergeAction

_PERMS = {enums.CMD_INSERT: ACL_INSERT, enums.CMD_UPDATE: ACL_UPDATE, enums.CMD_DELETE: ACL_DELETE}
_UNSUPPORTED = {
    "m": "materialized views",
    "f": "foreign tables",
    "S": "sequences",
    "t": "TOAST tables",
}


def transform_merge(pstate: ParseState, stmt: MergeStmt) -> Query:
    """MERGE (transformMergeStmt)."""
    query = Query(commandType=enums.CMD_MERGE)
    if stmt.withClause is not None and stmt.withClause.recursive:
        raise SqlError(errcode.SYNTAX_ERROR, "WITH RECURSIVE is not supported for MERGE statement")
    with_clause(pstate, query, stmt.withClause)
    query.hasRecursive = False
    perms = 0
    final: set[int] = set()
    for clause in stmt.mergeWhenClauses:
        perms |= _PERMS.get(clause.commandType, 0)
        if clause.matchKind in final:
            raise SqlError(errcode.SYNTAX_ERROR, "unreachable WHEN clause specified after unconditional WHEN clause")
        if clause.condition is None:
            final.add(clause.matchKind)
    query.resultRelation = set_target_table(pstate, stmt.relation, stmt.relation.inh, False, perms)
    query.mergeTargetRelation = query.resultRelation
    info = pstate.target_relation
    if info.kind not in "rpv":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE,
            f'cannot execute MERGE on relation "{info.name}"',
            detail=f"This operation is not supported for {_UNSUPPORTED.get(info.kind, 'this kind of relation')}.",
        )
    transform_from(pstate, [stmt.sourceRelation])
    source = len(pstate.rtable)
    item = nsitem_by_rtindex(pstate, source, 0)
    target = pstate.target_nsitem
    assert target is not None
    if target.names.aliasname == item.names.aliasname:
        raise SqlError(
            errcode.DUPLICATE_ALIAS,
            f'name "{target.names.aliasname}" specified more than once',
            detail="The name is used both as MERGE target table and data source.",
        )
    query.rtable, query.rteperminfos = pstate.rtable, pstate.rteperminfos
    add_to_query(pstate, target, False, True, True)
    query.mergeJoinCondition = transform_expr(pstate, stmt.joinCondition, ExprKind.JOIN_ON)
    query.jointree = FromExpr(fromlist=pstate.joinlist)
    transform_returning(pstate, query, stmt.returningClause, ExprKind.MERGE_RETURNING)
    for clause in stmt.mergeWhenClauses:
        visible = clause.matchKind
        for each, shown in (
            (target, visible != enums.MERGE_WHEN_NOT_MATCHED_BY_TARGET),
            (item, visible != enums.MERGE_WHEN_NOT_MATCHED_BY_SOURCE),
        ):
            each.rel_visible = each.cols_visible = shown
        query.mergeActionList.append(_action(pstate, clause))
    query.rtable, query.rteperminfos = pstate.rtable, pstate.rteperminfos
    query.hasSubLinks = pstate.has_sublinks
    assign_query_collations(pstate, query)
    return query


def _action(pstate: ParseState, clause: Any) -> MergeAction:
    action = MergeAction(commandType=clause.commandType, matchKind=clause.matchKind)
    action.qual = transform_where(pstate, clause.condition, ExprKind.MERGE_WHEN, "WHEN")
    if clause.commandType == enums.CMD_INSERT:
        pstate.is_insert = True
        columns, numbers = insert_targets(pstate, clause.targetList)
        action.override = clause.override
        exprs: list[Any] = []
        if clause.values:
            exprs = transform_expression_list(pstate, clause.values, ExprKind.VALUES_SINGLE, True)
            exprs = insert_row(pstate, exprs, clause.targetList, columns, numbers, False)
        action.targetList = insert_target_list(pstate, exprs, columns, numbers)
    elif clause.commandType == enums.CMD_UPDATE:
        pstate.is_insert = False
        action.targetList = transform_update_targets(pstate, clause.targetList)
    return action

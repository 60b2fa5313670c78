"""MERGE as a join of its target and its source (transform_MERGE_to_join of optimizer/prep/prepjointree.c)."""

from __future__ import annotations

from typing import Any

from tusk.errors import feature_not_supported
from tusk.sql.nodes import Alias, FromExpr, JoinExpr, NullTest, Query, RangeTblRef, String, Var, copy_tree, enums
from tusk.sql.nodes.base import replace
from tusk.sql.nodes.make import make_bool_const, make_rte, make_target, make_var
from tusk.sql.plan.exprs import replace_vars

_TID, _CTID, _RECORD = 27, -1, 2249


def merge_to_join(query: Query) -> None:
    """Join target and source, with the outer join that the kinds of actions ask for."""
    kinds = {action.matchKind for action in query.mergeActionList if action.commandType != enums.CMD_NOTHING}
    by_source = enums.MERGE_WHEN_NOT_MATCHED_BY_SOURCE in kinds
    by_target = enums.MERGE_WHEN_NOT_MATCHED_BY_TARGET in kinds
    jointype = enums.JOIN_INNER
    if by_source:
        jointype = enums.JOIN_FULL if by_target else enums.JOIN_LEFT
    elif by_target:
        jointype = enums.JOIN_RIGHT
    items = query.jointree.fromlist
    source = items[0] if len(items) == 1 and query.jointree.quals is None else FromExpr(
        fromlist=items, quals=query.jointree.quals
    )  # fmt: skip
    present = _presence(query, source) if by_source else None
    query.rtable.append(
        make_rte(enums.RTE_JOIN, Alias(aliasname="unnamed_join", colnames=[]), jointype=jointype, inFromCl=True)
    )
    rtindex = len(query.rtable)
    condition = query.mergeJoinCondition
    query.jointree = FromExpr(
        fromlist=[
            JoinExpr(
                jointype=jointype, larg=RangeTblRef(rtindex=query.mergeTargetRelation), rarg=source, quals=condition,
                rtindex=rtindex,
            )  # fmt: skip
        ]
    )
    nulled = set()
    if jointype in (enums.JOIN_RIGHT, enums.JOIN_FULL):
        nulled.add(query.mergeTargetRelation)
    if jointype in (enums.JOIN_LEFT, enums.JOIN_FULL):
        nulled |= _relations(source)
    query.mergeJoinCondition = None
    if present is not None:
        query.mergeJoinCondition = NullTest(
            arg=present, nulltesttype=enums.IS_NOT_NULL, argisrow=False, location=-1
        )
    if not nulled:
        return

    def mark(var: Var, _depth: int) -> Any:
        if var.varno not in nulled:
            return None
        copy = copy_tree(var)
        copy.varnullingrels = var.varnullingrels | {rtindex}
        return copy

    for name in ("targetList", "returningList", "mergeActionList", "mergeJoinCondition"):
        value = getattr(query, name)
        if value:
            setattr(query, name, replace_vars(value, mark))


def _relations(node: Any) -> set[int]:
    if type(node) is RangeTblRef:
        return {node.rtindex}
    if type(node) is FromExpr:
        return set().union(*map(_relations, node.fromlist))
    return _relations(node.larg) | _relations(node.rarg) | ({node.rtindex} if node.rtindex else set())


def _presence(query: Query, source: Any) -> Any:
    """A column that is null only where the join has no source row.

    Differs from PostgreSQL, which takes the whole row of the source: a subquery that is pulled up has no row of its own
    here.
    """
    while type(source) is not RangeTblRef:
        if type(source) is FromExpr:
            source = source.fromlist[0]
        elif source.jointype in (enums.JOIN_INNER, enums.JOIN_LEFT):
            source = source.larg
        elif source.jointype == enums.JOIN_RIGHT:
            source = source.rarg
        else:
            raise feature_not_supported("MERGE from a FULL JOIN with WHEN NOT MATCHED BY SOURCE")
    rtindex = source.rtindex
    rte = query.rtable[rtindex - 1]
    if rte.rtekind == enums.RTE_RELATION:
        return make_var(rtindex, _CTID, _TID, -1, 0)
    if rte.rtekind == enums.RTE_SUBQUERY and rte.subquery.setOperations is None and not rte.subquery.distinctClause:
        # A constant among its columns keeps the subquery from being pulled up.
        place = len([entry for entry in rte.subquery.targetList if not entry.resjunk]) + 1
        visible = [entry for entry in rte.subquery.targetList if not entry.resjunk]
        junk = [entry for entry in rte.subquery.targetList if entry.resjunk]
        rte.subquery.targetList = [*visible, make_target(make_bool_const(True), place, "present"), *junk]
        for number, entry in enumerate(junk, place + 1):
            entry.resno = number
        rte.eref = replace(rte.eref, colnames=[*rte.eref.colnames, String(sval="present")])
        return make_var(rtindex, place, 16, -1, 0)
    return Var(varno=rtindex, varattno=0, vartype=_RECORD, vartypmod=-1, varnosyn=rtindex, location=-1)

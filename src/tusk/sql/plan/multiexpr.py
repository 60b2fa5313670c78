"""``SET (a, b) = (SELECT ...)``: each column as a sublink of its own, before anything else looks at the query."""

from __future__ import annotations

from typing import Any

from tusk.errors import feature_not_supported
from tusk.sql.nodes import (
    Alias,
    FromExpr,
    Param,
    Query,
    RangeTblRef,
    String,
    SubLink,
    TargetEntry,
    copy_tree,
    enums,
)
from tusk.sql.nodes.make import make_rte, make_var_from_target
from tusk.sql.nodes.nodefuncs import contains_volatile, increment_sublevels_up, mutate_levels


def split_multiexpr(query: Query) -> None:
    """Replace the columns of multi-column sublinks by one-column sublinks.

    Differs from PostgreSQL: the subquery is computed once for each column, not once for the row.
    """
    query.targetList = _split(query.targetList)
    if query.onConflict is not None:
        query.onConflict.onConflictSet = _split(query.onConflict.onConflictSet)
    for action in query.mergeActionList:
        action.targetList = _split(action.targetList)


def _split(target: list[TargetEntry]) -> list[TargetEntry]:
    links = {
        entry.expr.subLinkId: entry.expr
        for entry in target
        if type(entry.expr) is SubLink and entry.expr.subLinkType == enums.MULTIEXPR_SUBLINK
    }
    if not links:
        return target

    def change(node: Any, level: int) -> Any:
        if type(node) is Param and node.paramkind == enums.PARAM_MULTIEXPR and level == 0:
            return _column(links[node.paramid >> 16], (node.paramid & 0xFFFF) - 1)
        return None

    kept = [
        entry
        for entry in target
        if not (type(entry.expr) is SubLink and entry.expr.subLinkType == enums.MULTIEXPR_SUBLINK)
    ]
    return mutate_levels(kept, change)  # type: ignore[no-any-return]


def _column(link: SubLink, number: int) -> SubLink:
    if contains_volatile(link.subselect):
        raise feature_not_supported("assigning several columns from a volatile subquery")
    inner = increment_sublevels_up(copy_tree(link.subselect), 1, 1)
    columns = [entry for entry in inner.targetList if not entry.resjunk]
    names = [String(sval=entry.resname or "?column?") for entry in columns]
    rte = make_rte(
        enums.RTE_SUBQUERY, Alias(aliasname="multiexpr", colnames=names), subquery=inner, lateral=False, inFromCl=True
    )
    query = Query(
        commandType=enums.CMD_SELECT, canSetTag=True, rtable=[rte],
        jointree=FromExpr(fromlist=[RangeTblRef(rtindex=1)]),
        targetList=[TargetEntry(expr=make_var_from_target(1, columns[number]), resno=1, resname="column")],
    )  # fmt: skip
    return SubLink(subLinkType=enums.EXPR_SUBLINK, subselect=query, location=link.location)

"""FOR UPDATE, FOR SHARE and their kin."""

from __future__ import annotations

from typing import Any

from tusk.errors import SqlError, errcode
from tusk.sql.analyze.rangetable import ACL_UPDATE, perminfo_of
from tusk.sql.analyze.state import ParseState
from tusk.sql.nodes import enums
from tusk.sql.nodes.parsetree import LockingClause, Query, RowMarkClause

STRENGTHS = {
    enums.LCS_NONE: "FOR some",
    enums.LCS_FORKEYSHARE: "FOR KEY SHARE",
    enums.LCS_FORSHARE: "FOR SHARE",
    enums.LCS_FORNOKEYUPDATE: "FOR NO KEY UPDATE",
    enums.LCS_FORUPDATE: "FOR UPDATE",
}


def check_select_locking(query: Query, strength: int) -> None:
    """0A000 for a query whose rows do not correspond to table rows (CheckSelectLocking)."""
    for found, what in (
        (query.setOperations is not None, "UNION/INTERSECT/EXCEPT"),
        (bool(query.distinctClause), "DISTINCT clause"),
        (bool(query.groupClause or query.groupingSets), "GROUP BY clause"),
        (query.havingQual is not None, "HAVING clause"),
        (query.hasAggs, "aggregate functions"),
        (query.hasWindowFuncs, "window functions"),
        (query.hasTargetSRFs, "set-returning functions in the target list"),
    ):
        if found:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                f"{STRENGTHS[enums.LockClauseStrength(strength)]} is not allowed with {what}",
            )


def transform_locking(pstate: ParseState, query: Query, clause: LockingClause, pushed_down: bool) -> None:
    """Mark the tables a clause locks, through subqueries (transformLockingClause)."""
    check_select_locking(query, clause.strength)
    everything = LockingClause(strength=clause.strength, waitPolicy=clause.waitPolicy)
    if not clause.lockedRels:
        for number, rte in enumerate(query.rtable, 1):
            if not rte.inFromCl:
                continue
            if rte.rtekind == enums.RTE_RELATION:
                _lock(query, number, clause.strength, clause.waitPolicy, pushed_down)
                perminfo_of(query.rteperminfos, rte).requiredPerms |= ACL_UPDATE
            elif rte.rtekind == enums.RTE_SUBQUERY:
                _lock(query, number, clause.strength, clause.waitPolicy, pushed_down)
                transform_locking(pstate, rte.subquery, everything, True)
        return
    for named in clause.lockedRels:
        _lock_named(pstate, query, clause, named, everything, pushed_down)


def _visible_name(rte: Any) -> str | None:
    if rte.rtekind == enums.RTE_JOIN and rte.alias is None:
        return None if rte.join_using_alias is None else rte.join_using_alias.aliasname
    if rte.rtekind in (enums.RTE_SUBQUERY, enums.RTE_VALUES) and rte.alias is None:
        return None
    return rte.eref.aliasname  # type: ignore[no-any-return]


_REFUSED = {
    enums.RTE_JOIN: "a join",
    enums.RTE_FUNCTION: "a function",
    enums.RTE_TABLEFUNC: "a table function",
    enums.RTE_VALUES: "VALUES",
    enums.RTE_CTE: "a WITH query",
    enums.RTE_NAMEDTUPLESTORE: "a named tuplestore",
}


def _lock_named(
    pstate: ParseState, query: Query, clause: LockingClause, named: Any, everything: LockingClause, pushed_down: bool
) -> None:
    name = STRENGTHS[clause.strength]
    if named.catalogname or named.schemaname:
        raise pstate.error(errcode.SYNTAX_ERROR, f"{name} must specify unqualified relation names", named.location)
    for number, rte in enumerate(query.rtable, 1):
        if not rte.inFromCl or _visible_name(rte) != named.relname:
            continue
        if rte.rtekind == enums.RTE_RELATION:
            _lock(query, number, clause.strength, clause.waitPolicy, pushed_down)
            perminfo_of(query.rteperminfos, rte).requiredPerms |= ACL_UPDATE
        elif rte.rtekind == enums.RTE_SUBQUERY:
            _lock(query, number, clause.strength, clause.waitPolicy, pushed_down)
            transform_locking(pstate, rte.subquery, everything, True)
        elif rte.rtekind in _REFUSED:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED, f"{name} cannot be applied to {_REFUSED[rte.rtekind]}", named.location
            )
        return
    raise pstate.error(
        errcode.UNDEFINED_TABLE,
        f'relation "{named.relname}" in {name} clause not found in FROM clause',
        named.location,
    )


def _lock(query: Query, rtindex: int, strength: Any, policy: Any, pushed_down: bool) -> None:
    if not pushed_down:
        query.hasForUpdate = True
    for mark in query.rowMarks:
        if mark.rti == rtindex:
            mark.strength = max(mark.strength, strength)
            mark.waitPolicy = max(mark.waitPolicy, policy)
            mark.pushedDown = mark.pushedDown and pushed_down
            return
    query.rowMarks.append(RowMarkClause(rti=rtindex, strength=strength, waitPolicy=policy, pushedDown=pushed_down))

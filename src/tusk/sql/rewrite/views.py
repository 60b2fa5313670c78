"""SELECT rules: a view in the range table becomes its query (fireRIRrules)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, lookup
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.rangetable import ACL_UPDATE, make_whole_row_var
from tusk.sql.analyze.relations import RelationInfo, relation_info
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree, replace
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_target
from tusk.sql.nodes.nodefuncs import walk_levels, walk_query
from tusk.sql.nodes.parsetree import Query, RowMarkClause
from tusk.sql.nodes.primitives import FromExpr, JoinExpr, RangeTblRef, SubLink
from tusk.sql.rewrite.manip import change_varno, references
from tusk.sql.rewrite.rules import Rule, is_security_barrier, rules_of
from tusk.sql.rewrite.search_cycle import rewrite_search_and_cycle


def lock_relations(query: Query, for_execute: bool, force_row_share: bool) -> None:
    """Lock the relations of a stored query and refresh what may have changed (AcquireRewriteLocks)."""

    def one(owner: Query) -> None:
        for number, rte in enumerate(owner.rtable, 1):
            if rte.rtekind != enums.RTE_RELATION:
                continue
            mode = rte.rellockmode
            if force_row_share and mode == 1 and number != owner.resultRelation:
                mode = rte.rellockmode = 2
            if for_execute and session.database_id:
                from tusk.catalog._relcache import lock_relation  # type: ignore[import-not-found,unused-ignore]

                lock_relation(rte.relid, mode)
            rte.relkind = relation_info(rte.relid).kind

    one(query)

    def visit(node: Any, _level: int) -> Any:
        if isinstance(node, Query):
            one(node)
        return None

    walk_query(query, visit)


def expand_views(query: Query, active: tuple[int, ...] = ()) -> Query:
    """Replace the views of a query, its subqueries and sublinks, in place."""
    original_result = query.resultRelation
    for cte in query.cteList:
        if cte.search_clause is not None or cte.cycle_clause is not None:
            rewrite_search_and_cycle(cte)
    number = 0
    while number < len(query.rtable):
        number += 1
        rte = query.rtable[number - 1]
        if rte.rtekind == enums.RTE_SUBQUERY:
            if rte.subquery is not None:
                expand_views(rte.subquery, active)
                query.hasRowSecurity = query.hasRowSecurity or rte.subquery.hasRowSecurity
            continue
        if rte.rtekind != enums.RTE_RELATION or rte.relkind == "m":
            continue
        if query.onConflict is not None and number == query.onConflict.exclRelIndex:
            continue
        row = lookup(RELOID, rte.relid)
        if row is None or not row.relhasrules:
            continue
        if number != query.resultRelation and not references(query, number):
            continue
        if number == query.resultRelation and number != original_result:
            continue
        selects = [rule for rule in rules_of(rte.relid) if rule.event == enums.CMD_SELECT]
        if not selects:
            continue
        if rte.relid in active:
            raise SqlError(
                errcode.INVALID_OBJECT_DEFINITION,
                f'infinite recursion detected in rules for relation "{row.relname}"',
            )
        for rule in selects:
            _apply(query, rule, number, relation_info(rte.relid), (*active, rte.relid))
    for cte in query.cteList:
        expand_views(cte.ctequery, active)
        query.hasRowSecurity = query.hasRowSecurity or cte.ctequery.hasRowSecurity
    if query.hasSubLinks:
        _expand_sublinks(query, active)
    _check_row_security(query)
    return query


def _expand_sublinks(query: Query, active: tuple[int, ...]) -> None:
    def visit(node: Any, _level: int) -> Any:
        if isinstance(node, SubLink):
            expand_views(node.subselect, active)
            query.hasRowSecurity = query.hasRowSecurity or node.subselect.hasRowSecurity
            walk_levels(node.testexpr, visit)
            return "skip"
        return "skip" if isinstance(node, Query) else None

    walk_query(query, visit)


def _apply(query: Query, rule: Rule, number: int, info: RelationInfo, active: tuple[int, ...]) -> None:
    """Turn a view's entry into its query as a subquery (ApplyRetrieveRule)."""
    if len(rule.actions) != 1:
        raise SqlError(errcode.INTERNAL_ERROR, "expected just one rule action")
    rte = query.rtable[number - 1]
    if number == query.resultRelation:
        if query.commandType == enums.CMD_INSERT:
            return
        # INSTEAD OF triggers get the view's old row, so the view stays target beside its expansion.
        query.rtable.append(copy_tree(rte))
        query.resultRelation = len(query.rtable)
        query.returningList = copy_tree(query.returningList)
        change_varno(query.returningList, number, query.resultRelation)
        row = make_whole_row_var(rte, number, 0, False)
        query.targetList.append(make_target(row, len(query.targetList) + 1, "wholerow", True))
    mark = next((each for each in query.rowMarks if each.rti == number), None)
    action: Query = copy_tree(rule.actions[0])
    lock_relations(action, True, mark is not None)
    if mark is not None:
        _mark_for_locking(action, action.jointree, mark)
    expand_views(action, active)
    query.hasRowSecurity = query.hasRowSecurity or action.hasRowSecurity
    rte.rtekind = enums.RTE_SUBQUERY
    rte.subquery = action
    rte.security_barrier = is_security_barrier(info.row)
    rte.tablesample = None
    rte.inh = False
    ncolumns = sum(not target.resjunk for target in action.targetList)
    missing = ncolumns - len(rte.eref.colnames)
    if missing > 0:
        rte.eref = replace(rte.eref, colnames=rte.eref.colnames + [String(sval="?column?")] * missing)


def _mark_for_locking(query: Query, node: Any, mark: RowMarkClause) -> None:
    """Lock the tables below a view that is locked (markQueryForLocking)."""
    if isinstance(node, RangeTblRef):
        rte = query.rtable[node.rtindex - 1]
        if rte.rtekind == enums.RTE_RELATION:
            _add_mark(query, node.rtindex, mark)
            query.rteperminfos[rte.perminfoindex - 1].requiredPerms |= ACL_UPDATE
        elif rte.rtekind == enums.RTE_SUBQUERY:
            _add_mark(query, node.rtindex, mark)
            _mark_for_locking(rte.subquery, rte.subquery.jointree, mark)
    elif isinstance(node, FromExpr):
        for each in node.fromlist:
            _mark_for_locking(query, each, mark)
    elif isinstance(node, JoinExpr):
        _mark_for_locking(query, node.larg, mark)
        _mark_for_locking(query, node.rarg, mark)


def _add_mark(query: Query, rtindex: int, mark: RowMarkClause) -> None:
    for known in query.rowMarks:
        if known.rti == rtindex:
            known.strength = max(known.strength, mark.strength)
            known.waitPolicy = max(known.waitPolicy, mark.waitPolicy)
            return
    query.rowMarks.append(
        RowMarkClause(rti=rtindex, strength=mark.strength, waitPolicy=mark.waitPolicy, pushedDown=True)
    )


def _check_row_security(query: Query) -> None:
    """0A000 for a table whose policies would have to restrict this user."""
    for rte in query.rtable:
        if rte.rtekind != enums.RTE_RELATION or rte.relkind not in "rp" or not rte.perminfoindex:
            continue
        row = lookup(RELOID, rte.relid)
        if row is None or not row.relrowsecurity:
            continue
        user = query.rteperminfos[rte.perminfoindex - 1].checkAsUser or session.current_user_id
        from tusk.catalog.acl import has_privs_of_role, superuser_arg
        from tusk.catalog.cache import AUTHOID

        role = lookup(AUTHOID, user)
        if superuser_arg(user) or (role is not None and role.rolbypassrls):
            continue
        if has_privs_of_role(user, row.relowner) and not row.relforcerowsecurity:
            continue
        raise feature_not_supported("row-level security")

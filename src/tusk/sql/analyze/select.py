"""SELECT, VALUES and set operations."""

from __future__ import annotations

from typing import Any

from tusk.catalog.oids import RECORDOID, UNKNOWNOID
from tusk.errors import errcode
from tusk.sql.analyze.aggregates import check_aggregates
from tusk.sql.analyze.clauses import (
    transform_distinct,
    transform_distinct_on,
    transform_group,
    transform_limit,
    transform_sort,
    transform_where,
    transform_windows,
)
from tusk.sql.analyze.coerce import coerce_to_common_type, select_common_type, select_common_typmod
from tusk.sql.analyze.collate import assign_query_collations, select_common_collation
from tusk.sql.analyze.ctes import describe_cte, transform_with
from tusk.sql.analyze.joins import contains_vars_of_level, transform_from
from tusk.sql.analyze.locking import STRENGTHS, transform_locking
from tusk.sql.analyze.operators import sort_group_operators
from tusk.sql.analyze.rangetable import add_join, add_subquery, add_to_query, add_values, expand_item_targets
from tusk.sql.analyze.state import ExprKind, NSColumn, ParseState, position_of_errors
from tusk.sql.analyze.targets import mark_origins, resolve_unknowns, transform_expression_list, transform_target_list
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import replace
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_alias, make_target, make_var
from tusk.sql.nodes.nodefuncs import expr_location, expr_type
from tusk.sql.nodes.parsetree import Query, SelectStmt, SetOperationStmt, SortGroupClause
from tusk.sql.nodes.primitives import Const, FromExpr, Param, RangeTblRef, SetToDefault


def with_clause(pstate: ParseState, query: Query, clause: Any) -> None:
    """Analyse a statement's WITH (the same for all statements)."""
    if clause is not None:
        query.hasRecursive = clause.recursive
        query.cteList = transform_with(pstate, clause)
        query.hasModifyingCTE = pstate.has_modifying_cte


def finish_query(pstate: ParseState, query: Query, qual: Any) -> None:
    """Take over range table, join tree and flags from the parse state."""
    query.rtable, query.rteperminfos = pstate.rtable, pstate.rteperminfos
    query.jointree = FromExpr(fromlist=pstate.joinlist, quals=qual)
    query.hasSubLinks = pstate.has_sublinks
    query.hasWindowFuncs = pstate.has_windowfuncs
    query.hasTargetSRFs = pstate.has_target_srfs
    query.hasAggs = pstate.has_aggs


def no_into(pstate: ParseState, clause: Any) -> None:
    """42601 for INTO where it may not be."""
    if clause is not None:
        raise pstate.error(errcode.SYNTAX_ERROR, "SELECT ... INTO is not allowed here", expr_location(clause))


def transform_select(pstate: ParseState, stmt: SelectStmt) -> Query:
    """A plain SELECT (transformSelectStmt)."""
    query = Query(commandType=enums.CMD_SELECT)
    with_clause(pstate, query, stmt.withClause)
    no_into(pstate, stmt.intoClause)
    pstate.locking_clause = stmt.lockingClause
    pstate.windowdefs = stmt.windowClause
    transform_from(pstate, stmt.fromClause)
    targets = query.targetList = transform_target_list(pstate, stmt.targetList, ExprKind.SELECT_TARGET)
    mark_origins(pstate, targets)
    qual = transform_where(pstate, stmt.whereClause, ExprKind.WHERE, "WHERE")
    query.havingQual = transform_where(pstate, stmt.havingClause, ExprKind.HAVING, "HAVING")
    query.sortClause = transform_sort(pstate, stmt.sortClause, targets, ExprKind.ORDER_BY, False)
    query.groupClause, query.groupingSets = transform_group(
        pstate, stmt.groupClause, targets, query.sortClause, ExprKind.GROUP_BY, False
    )
    query.groupDistinct = stmt.groupDistinct
    if stmt.distinctClause:
        if stmt.distinctClause[0] is None:
            query.distinctClause = transform_distinct(pstate, targets, query.sortClause, False)
        else:
            query.distinctClause = transform_distinct_on(pstate, stmt.distinctClause, targets, query.sortClause)
            query.hasDistinctOn = True
    _limits(pstate, query, stmt)
    query.windowClause = transform_windows(pstate, targets)
    if pstate.resolve_unknowns:
        resolve_unknowns(pstate, targets)
    finish_query(pstate, query, qual)
    for clause in stmt.lockingClause:
        transform_locking(pstate, query, clause, False)
    assign_query_collations(pstate, query)
    if pstate.has_aggs or query.groupClause or query.groupingSets or query.havingQual is not None:
        check_aggregates(pstate, query)
    return query


def _limits(pstate: ParseState, query: Query, stmt: SelectStmt) -> None:
    query.limitOffset = transform_limit(pstate, stmt.limitOffset, ExprKind.OFFSET, "OFFSET", stmt.limitOption)
    query.limitCount = transform_limit(pstate, stmt.limitCount, ExprKind.LIMIT, "LIMIT", stmt.limitOption)
    query.limitOption = stmt.limitOption


def values_rows(pstate: ParseState, lists: list[Any], kind: ExprKind, allow_default: bool) -> list[list[Any]]:
    """The transformed rows of VALUES, all of one length."""
    rows: list[list[Any]] = []
    for raw in lists:
        row = transform_expression_list(pstate, raw, kind, allow_default)
        if rows and len(row) != len(rows[0]):
            raise pstate.error(errcode.SYNTAX_ERROR, "VALUES lists must all be the same length", expr_location(row))
        rows.append(row)
    return rows


def transform_values(pstate: ParseState, stmt: SelectStmt) -> Query:
    """VALUES as a query of its own (transformValuesClause)."""
    query = Query(commandType=enums.CMD_SELECT)
    with_clause(pstate, query, stmt.withClause)
    rows = values_rows(pstate, stmt.valuesLists, ExprKind.VALUES, False)
    types, typmods, collations = [], [], []
    for number in range(len(rows[0])):
        column = [row[number] for row in rows]
        common, _ = select_common_type(pstate, column, "VALUES")
        for row in rows:
            row[number] = coerce_to_common_type(pstate, row[number], common, "VALUES")
        column = [row[number] for row in rows]
        types.append(common)
        typmods.append(select_common_typmod(column, common))
        collations.append(select_common_collation(pstate, column, True))
    lateral = bool(pstate.rtable) and contains_vars_of_level(rows, 0)
    item = add_values(pstate, rows, types, typmods, collations, None, lateral, True)
    add_to_query(pstate, item, True, True, True)
    query.targetList = expand_item_targets(pstate, item, 0, True, -1)
    query.sortClause = transform_sort(pstate, stmt.sortClause, query.targetList, ExprKind.ORDER_BY, False)
    _limits(pstate, query, stmt)
    if stmt.lockingClause:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            f"{STRENGTHS[stmt.lockingClause[0].strength]} cannot be applied to VALUES",
        )
    finish_query(pstate, query, None)
    query.hasAggs = query.hasWindowFuncs = query.hasTargetSRFs = False
    assign_query_collations(pstate, query)
    return query


# Set operations -------------------------------------------------------------------------------------------------------


def _refuse_locking(pstate: ParseState, clauses: list[Any]) -> None:
    if clauses:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            f"{STRENGTHS[clauses[0].strength]} is not allowed with UNION/INTERSECT/EXCEPT",
        )


def transform_set_operation(pstate: ParseState, stmt: SelectStmt) -> Query:
    """UNION, INTERSECT, EXCEPT (transformSetOperationStmt)."""
    query = Query(commandType=enums.CMD_SELECT)
    leftmost = stmt.larg
    while leftmost.op != enums.SETOP_NONE:
        leftmost = leftmost.larg
    no_into(pstate, leftmost.intoClause)
    _refuse_locking(pstate, stmt.lockingClause)
    with_clause(pstate, query, stmt.withClause)
    top = replace(stmt, sortClause=[], limitOffset=None, limitCount=None, lockingClause=[], withClause=None)
    operation, _ = _tree(pstate, top, True)
    query.setOperations = operation
    node = operation.larg
    while isinstance(node, SetOperationStmt):
        node = node.larg
    first = pstate.rtable[node.rtindex - 1].subquery
    names, variables, columns = [], [], []
    for left, type_oid, typmod, collation in zip(
        first.targetList, operation.colTypes, operation.colTypmods, operation.colCollations, strict=False
    ):
        var = make_var(node.rtindex, left.resno, type_oid, typmod, collation, 0, expr_location(left.expr))
        query.targetList.append(make_target(var, pstate.next_resno, left.resname))
        pstate.next_resno += 1
        names.append(String(sval=left.resname))
        variables.append(var)
        columns.append(NSColumn(node.rtindex, left.resno, type_oid, typmod, collation, node.rtindex, left.resno))
    saved_names, size = pstate.namespace, len(pstate.rtable)
    item = add_join(pstate, names, columns, enums.JOIN_INNER, 0, variables, [], [], None, None, False)
    pstate.namespace = []
    add_to_query(pstate, item, False, False, True)
    ncolumns = len(query.targetList)
    query.sortClause = transform_sort(pstate, stmt.sortClause, query.targetList, ExprKind.ORDER_BY, False)
    pstate.namespace = saved_names
    del pstate.rtable[size:]
    if len(query.targetList) != ncolumns:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            "invalid UNION/INTERSECT/EXCEPT ORDER BY clause",
            expr_location(query.targetList[ncolumns].expr),
            detail="Only result column names can be used, not expressions or functions.",
            hint="Add the expression/function to every SELECT, or move the UNION into a FROM clause.",
        )
    _limits(pstate, query, stmt)
    finish_query(pstate, query, None)
    assign_query_collations(pstate, query)
    if pstate.has_aggs or query.groupClause or query.groupingSets or query.havingQual is not None:
        check_aggregates(pstate, query)
    return query


def _tree(pstate: ParseState, stmt: SelectStmt, top: bool) -> tuple[Any, list[Any]]:
    """(set operation node or reference to a leaf, its visible output columns)."""
    if stmt.intoClause is not None:
        raise pstate.error(
            errcode.SYNTAX_ERROR,
            "INTO is only allowed on first SELECT of UNION/INTERSECT/EXCEPT",
            expr_location(stmt.intoClause),
        )
    _refuse_locking(pstate, stmt.lockingClause)
    if (
        stmt.op == enums.SETOP_NONE
        or stmt.sortClause
        or stmt.limitOffset is not None
        or stmt.limitCount is not None
        or stmt.withClause is not None
    ):
        return _leaf(pstate, stmt)
    context = {enums.SETOP_UNION: "UNION", enums.SETOP_INTERSECT: "INTERSECT"}.get(stmt.op, "EXCEPT")
    result = SetOperationStmt(op=stmt.op, all=stmt.all)
    cte = pstate.parent_cte
    recursive = cte is not None and cte.cterecursive
    result.larg, left_targets = _tree(pstate, stmt.larg, False)
    if top and recursive:
        _describe_recursive(pstate, cte, result.larg, left_targets)
    result.rarg, right_targets = _tree(pstate, stmt.rarg, False)
    if len(left_targets) != len(right_targets):
        raise pstate.error(
            errcode.SYNTAX_ERROR,
            f"each {context} query must have the same number of columns",
            expr_location([target.expr for target in right_targets]),
        )
    union_all = stmt.op == enums.SETOP_UNION and stmt.all
    targets = []
    for left, right in zip(left_targets, right_targets, strict=True):
        common, chosen = select_common_type(pstate, [left.expr, right.expr], context)
        location = expr_location(chosen)
        nodes = []
        for target in (left, right):
            node = target.expr
            if expr_type(node) != UNKNOWNOID:
                node = coerce_to_common_type(pstate, node, common, context)
            elif isinstance(node, (Const, Param)):
                node = target.expr = coerce_to_common_type(pstate, node, common, context)
            nodes.append(node)
        typmod = select_common_typmod(nodes, common)
        collation = select_common_collation(pstate, nodes, union_all)
        result.colTypes.append(common)
        result.colTypmods.append(typmod)
        result.colCollations.append(collation)
        if not union_all:
            with position_of_errors(pstate, location):
                operators = sort_group_operators(common, False, True, False)
            hashable = operators.hashable or (recursive and top and common in (RECORDOID, 2287))
            result.groupClauses.append(SortGroupClause(eqop=operators.eq, sortop=operators.lt, hashable=hashable))
        dummy = SetToDefault(typeId=common, typeMod=typmod, collation=collation, location=location)
        targets.append(make_target(dummy, 0, None))
    return result, targets


def _leaf(pstate: ParseState, stmt: SelectStmt) -> tuple[RangeTblRef, list[Any]]:
    from tusk.sql.analyze.statements import parse_sub_analyze

    query = parse_sub_analyze(stmt, pstate, None, False, False)
    if pstate.namespace and contains_vars_of_level(query, 1):
        raise pstate.error(
            errcode.INVALID_COLUMN_REFERENCE,
            "UNION/INTERSECT/EXCEPT member statement cannot refer to other relations of same query level",
        )
    alias = make_alias(f"*SELECT* {len(pstate.rtable) + 1}")
    item = add_subquery(pstate, query, alias, False, False)
    return RangeTblRef(rtindex=item.rtindex), [target for target in query.targetList if not target.resjunk]


def _describe_recursive(pstate: ParseState, cte: Any, larg: Any, targets: list[Any]) -> None:
    """The columns of a recursive item are those of its non-recursive term (determineRecursiveColTypes)."""
    node = larg
    while isinstance(node, SetOperationStmt):
        node = node.larg
    first = pstate.rtable[node.rtindex - 1].subquery
    described = []
    for left, target in zip(first.targetList, targets, strict=False):
        described.append(make_target(target.expr, pstate.next_resno, left.resname))
        pstate.next_resno += 1
    # The numbers were only needed for these throw-away entries.
    pstate.next_resno -= len(described)
    describe_cte(pstate, cte, described)

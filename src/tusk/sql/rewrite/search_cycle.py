"""SEARCH and CYCLE of recursive WITH items, as ordinary columns of the item's query (rewriteSearchAndCycle).

Both arms of the UNION are wrapped: over the first each added column gets its start value, over the second the next one,
made from the row that the recursive reference gave. Rows that close a cycle are not followed any further.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog.oids import BOOLOID, INT8OID, RECORDARRAYOID, RECORDOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.rangetable import search_and_cycle_columns
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_alias, make_const, make_func, make_op, make_target, make_var
from tusk.sql.nodes.nodefuncs import increment_sublevels_up
from tusk.sql.nodes.parsetree import CommonTableExpr, Query, RangeTblEntry, SortGroupClause
from tusk.sql.nodes.primitives import (
    ArrayExpr,
    CaseExpr,
    CaseWhen,
    FieldSelect,
    FromExpr,
    RangeTblRef,
    RowExpr,
    ScalarArrayOpExpr,
    Var,
)

RECORD_EQ_OP, F_RECORD_EQ, F_ARRAY_CAT, F_INT8INC = 2988, 2981, 383, 1219


def rewrite_search_and_cycle(cte: CommonTableExpr) -> None:
    """Put the columns of an item's clauses into its query and its description, in place."""
    query = cte.ctequery
    union = query.setOperations
    added = search_and_cycle_columns(cte)
    first, second = (query.rtable[side.rtindex - 1] for side in (union.larg, union.rarg))
    reference = _self_reference(cte, second.subquery)
    width = len(cte.ctecolnames)
    base = len([target for target in second.subquery.targetList if not target.resjunk])
    for place, (name, type_oid, typmod, collation) in enumerate(added, 1):
        second.subquery.targetList.append(
            make_target(make_var(reference, width + place, type_oid, typmod, collation), base + place, name)
        )
    first.subquery = _wrapped(cte, first.subquery, "*TLOCRN*", added, True)
    second.subquery = _wrapped(cte, second.subquery, "*TROCRN*", added, False)
    left = union.larg.rtindex
    for place, (name, type_oid, typmod, collation) in enumerate(added, 1):
        for rte in (first, second):
            rte.eref.colnames.append(String(sval=name))
        query.targetList.append(
            make_target(make_var(left, width + place, type_oid, typmod, collation), len(query.targetList) + 1, name)
        )
        union.colTypes.append(type_oid)
        union.colTypmods.append(typmod)
        union.colCollations.append(collation)
        if not union.all:
            operators = lk.type_operators(type_oid)
            hashable = operators.hashable or type_oid in (RECORDOID, RECORDARRAYOID)
            union.groupClauses.append(SortGroupClause(eqop=operators.eq, sortop=operators.lt, hashable=hashable))
        cte.ctecolnames.append(String(sval=name))
        cte.ctecoltypes.append(type_oid)
        cte.ctecoltypmods.append(typmod)
        cte.ctecolcollations.append(collation)
    cte.search_clause = cte.cycle_clause = None


def _self_reference(cte: CommonTableExpr, recursive: Query) -> int:
    """The range table index of the recursive reference in the second arm."""
    for number, rte in enumerate(recursive.rtable, 1):
        if rte.rtekind == enums.RTE_CTE and rte.ctename == cte.ctename and rte.ctelevelsup == 2:
            return number
    raise SqlError(
        errcode.FEATURE_NOT_SUPPORTED,
        f'with a SEARCH or CYCLE clause, the recursive reference to WITH query "{cte.ctename}" must be at the top level'
        " of its right-hand SELECT",
    )


def _wrapped(cte: CommonTableExpr, arm: Query, alias: str, added: list[Any], is_first: bool) -> Query:
    """SELECT the arm's columns and the added ones FROM the arm."""
    names = [*cte.ctecolnames, *([] if is_first else [String(sval=name) for name, *_ in added])]
    rte = RangeTblEntry(
        rtekind=enums.RTE_SUBQUERY, alias=make_alias(alias, names), eref=make_alias(alias, names),
        subquery=increment_sublevels_up(arm, 1, 1), inFromCl=True,
    )  # fmt: skip
    columns = [
        make_var(1, place, type_oid, typmod, collation)
        for place, (type_oid, typmod, collation) in enumerate(
            zip(cte.ctecoltypes, cte.ctecoltypmods, cte.ctecolcollations, strict=True), 1
        )
    ]
    inherited = [
        make_var(1, len(columns) + place, type_oid, typmod, collation)
        for place, (_, type_oid, typmod, collation) in enumerate(added, 1)
    ]
    exprs: list[Any] = list(columns)
    quals = None
    search, cycle = cte.search_clause, cte.cycle_clause
    if search is not None:
        exprs.append(_sequence(cte, columns, None if is_first else inherited.pop(0)))
    if cycle is not None:
        mark, path = (None, None) if is_first else inherited
        row = _row(cte, columns, cycle.cycle_col_list)
        if mark is None or path is None:
            exprs += [copy_tree(cycle.cycle_mark_default), _array(row)]
        else:
            exprs += [_mark(cycle, row, path), make_func(F_ARRAY_CAT, RECORDARRAYOID, [path, _array(copy_tree(row))])]
            quals = make_op(
                cycle.cycle_mark_neop, lk.opcode(cycle.cycle_mark_neop), BOOLOID, mark,
                copy_tree(cycle.cycle_mark_value), 0, cycle.cycle_mark_collation,
            )  # fmt: skip
    all_names = [name.sval for name in cte.ctecolnames] + [name for name, *_ in added]
    return Query(
        commandType=enums.CMD_SELECT, canSetTag=True, rtable=[rte],
        jointree=FromExpr(fromlist=[RangeTblRef(rtindex=1)], quals=quals),
        targetList=[
            make_target(expr, place, name) for place, (expr, name) in enumerate(zip(exprs, all_names, strict=True), 1)
        ],
    )  # fmt: skip


def _row(cte: CommonTableExpr, columns: list[Var], chosen: list[Any], depth: Any = None) -> RowExpr:
    places = {name.sval: place for place, name in enumerate(cte.ctecolnames)}
    args: list[Any] = [copy_tree(columns[places[name.sval]]) for name in chosen]
    names = [String(sval=name.sval) for name in chosen]
    if depth is not None:
        args, names = [depth, *args], [String(sval="*DEPTH*"), *names]
    return RowExpr(args=args, row_typeid=RECORDOID, row_format=enums.COERCE_IMPLICIT_CAST, colnames=names, location=-1)


def _array(row: RowExpr) -> ArrayExpr:
    return ArrayExpr(array_typeid=RECORDARRAYOID, element_typeid=RECORDOID, elements=[row], location=-1)


def _sequence(cte: CommonTableExpr, columns: list[Var], before: Var | None) -> Any:
    """Breadth first: a row of depth and columns; depth first: the array of all rows from the start."""
    search = cte.search_clause
    if not search.search_breadth_first:
        array = _array(_row(cte, columns, search.search_col_list))
        return array if before is None else make_func(F_ARRAY_CAT, RECORDARRAYOID, [before, array])
    depth: Any = make_const(INT8OID, -1, 0, 0)
    if before is not None:
        depth = make_func(
            F_INT8INC, INT8OID, [FieldSelect(arg=before, fieldnum=1, resulttype=INT8OID, resulttypmod=-1)]
        )
    return _row(cte, columns, search.search_col_list, depth)


def _mark(cycle: Any, row: RowExpr, path: Var) -> CaseExpr:
    """The cycle mark: whether the row stands in the path that led to it."""
    seen = ScalarArrayOpExpr(
        opno=RECORD_EQ_OP, opfuncid=F_RECORD_EQ, useOr=True, args=[row, copy_tree(path)], location=-1
    )
    return CaseExpr(
        casetype=cycle.cycle_mark_type, casecollid=cycle.cycle_mark_collation,
        args=[CaseWhen(expr=seen, result=copy_tree(cycle.cycle_mark_value), location=-1)],
        defresult=copy_tree(cycle.cycle_mark_default), location=-1,
    )  # fmt: skip

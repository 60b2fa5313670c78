"""Surgery on query trees: renumbering range table references, replacing Vars by expressions, adding conditions."""

from __future__ import annotations

from typing import Any

from tusk.errors import SqlError, errcode
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree, replace
from tusk.sql.nodes.make import make_and_qual
from tusk.sql.nodes.nodefuncs import (
    increment_sublevels_up,
    mutate_levels,
    mutate_query,
    walk_levels,
    walk_query,
)
from tusk.sql.nodes.parsetree import Query, RangeTblEntry, RowMarkClause
from tusk.sql.nodes.primitives import (
    ConvertRowtypeExpr,
    CurrentOfExpr,
    JoinExpr,
    OnConflictExpr,
    RangeTblRef,
    ReturningExpr,
    RowExpr,
    SubLink,
    Var,
)


def references(query: Query, rtindex: int) -> bool:
    """Whether anything in the query refers to a range table entry (rangeTableEntry_used)."""

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var):
            return node.varlevelsup == level and node.varno == rtindex
        if isinstance(node, (RangeTblRef, JoinExpr)) and level == 0:
            return True if node.rtindex == rtindex else None
        return None

    return walk_query(query, visit)


def has_sublink(tree: Any) -> bool:
    """Whether a SubLink occurs (checkExprHasSubLink)."""
    return walk_levels(tree, lambda node, _: True if isinstance(node, SubLink) else None)


def change_varno(tree: Any, old: int, new: int) -> None:
    """Make references to one range table entry refer to another, in place (ChangeVarNodes)."""

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var):
            if node.varlevelsup == level and node.varno == old:
                node.varno = new
                if node.varnosyn == old:
                    node.varnosyn = new
            if node.varlevelsup == level and old in node.varnullingrels:
                node.varnullingrels = (node.varnullingrels - {old}) | {new}
        elif level == 0:
            if isinstance(node, (RangeTblRef, JoinExpr)) and node.rtindex == old:
                node.rtindex = new
            elif isinstance(node, RowMarkClause) and node.rti == old:
                node.rti = new
            elif isinstance(node, OnConflictExpr) and node.exclRelIndex == old:
                node.exclRelIndex = new
            elif isinstance(node, CurrentOfExpr) and node.cvarno == old:
                node.cvarno = new
        return None

    if isinstance(tree, Query):
        if tree.resultRelation == old:
            tree.resultRelation = new
        if tree.mergeTargetRelation == old:
            tree.mergeTargetRelation = new
        walk_query(tree, visit)
    else:
        walk_levels(tree, visit)


def offset_varnos(tree: Any, offset: int) -> None:
    """Shift all references to this level's range table, in place (OffsetVarNodes)."""

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var):
            if node.varlevelsup == level:
                node.varno += offset
                if node.varnosyn:
                    node.varnosyn += offset
                node.varnullingrels = frozenset(number + offset for number in node.varnullingrels)
        elif level == 0:
            if isinstance(node, (RangeTblRef, JoinExpr)) and node.rtindex:
                node.rtindex += offset
            elif isinstance(node, RowMarkClause):
                node.rti += offset
            elif isinstance(node, OnConflictExpr) and node.exclRelIndex:
                node.exclRelIndex += offset
            elif isinstance(node, CurrentOfExpr):
                node.cvarno += offset
        return None

    if isinstance(tree, Query):
        if tree.resultRelation:
            tree.resultRelation += offset
        if tree.mergeTargetRelation:
            tree.mergeTargetRelation += offset
        walk_query(tree, visit)
    else:
        walk_levels(tree, visit)


def replace_vars(
    tree: Any, varno: int, rte: RangeTblEntry, targets: list[Any], result_relation: int = 0, unmatched_varno: int = 0
) -> Any:
    """A copy in which Vars of an entry are the matching target expressions (ReplaceVarsFromTargetList).

    Columns that the targets lack become those of ``unmatched_varno``, where that is given.
    A RETURNING old/new reference keeps its meaning: of a plain column by being passed on, of an expression by a
    ReturningExpr. 0A000 for system columns and columns that the targets lack.
    """
    by_number = {target.resno: target for target in targets if not target.resjunk}

    def one(var: Var, level: int) -> Any:
        target = by_number.get(var.varattno)
        if target is None and unmatched_varno:
            kept = copy_tree(var)
            kept.varno = kept.varnosyn = unmatched_varno
            return kept
        if target is None:
            raise SqlError(
                errcode.INTERNAL_ERROR, f"could not find replacement targetlist entry for attno {var.varattno}"
            )
        expr = copy_tree(target.expr)
        if var.varnullingrels:
            _add_nulling(expr, var.varnullingrels)
        if var.varreturningtype != enums.VAR_RETURNING_DEFAULT:
            _set_returning(expr, result_relation, var.varreturningtype)
            if not isinstance(expr, Var) or expr.varno != result_relation:
                expr = ReturningExpr(
                    retlevelsup=0, retold=var.varreturningtype == enums.VAR_RETURNING_OLD, retexpr=expr
                )
        return increment_sublevels_up(expr, level) if level else expr

    def change(node: Any, level: int) -> Any:
        if isinstance(node, ConvertRowtypeExpr):
            return None
        if isinstance(node, CurrentOfExpr) and level == 0 and node.cvarno == varno:
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "WHERE CURRENT OF on a view is not implemented")
        if not isinstance(node, Var) or node.varlevelsup != level or node.varno != varno:
            return None
        if node.varattno < 0:
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "system columns of a view that is updated are not supported")
        if node.varattno == 0:
            return _whole_row(node, level, rte, one)
        return one(node, level)

    return mutate_query(tree, change) if isinstance(tree, Query) else mutate_levels(tree, change)


def _whole_row(var: Var, level: int, rte: RangeTblEntry, one: Any) -> RowExpr:
    from tusk.sql.analyze.rangetable import rte_columns

    fields, names = [], []
    for number, column in enumerate(rte_columns(rte), 1):
        if column.dropped:
            continue
        part = Var(
            varno=var.varno,
            varattno=number,
            vartype=column.type_oid,
            vartypmod=column.typmod,
            varcollid=column.collation,
            varlevelsup=var.varlevelsup,
            varreturningtype=var.varreturningtype,
            varnosyn=var.varno,
            varattnosyn=number,
            location=var.location,
        )
        fields.append(one(part, level))
        names.append(rte.eref.colnames[number - 1])
    return RowExpr(
        args=fields,
        row_typeid=var.vartype,
        row_format=enums.COERCE_IMPLICIT_CAST,
        colnames=names if var.vartype == 2249 else [],
        location=var.location,
    )


def _add_nulling(tree: Any, relids: frozenset[int]) -> None:
    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var) and node.varlevelsup == level:
            node.varnullingrels = node.varnullingrels | relids
        return None

    walk_levels(tree, visit)


def _set_returning(tree: Any, relation: int, kind: Any) -> None:
    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var) and node.varlevelsup == level and node.varno == relation:
            node.varreturningtype = kind
        return None

    walk_levels(tree, visit)


def add_qual(query: Query, qual: Any) -> None:
    """AND a condition to the query's WHERE (AddQual); the condition is copied."""
    if qual is None:
        return
    if query.commandType == enums.CMD_UTILITY:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "conditional utility statements are not implemented")
    if query.setOperations is not None:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "conditional UNION/INTERSECT/EXCEPT statements are not implemented"
        )
    copy = copy_tree(qual)
    query.jointree = replace(query.jointree, quals=make_and_qual(query.jointree.quals, copy))
    if not query.hasSubLinks:
        query.hasSubLinks = has_sublink(copy)

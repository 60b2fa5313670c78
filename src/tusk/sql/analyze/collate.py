"""Collations of analysed expressions: each node's result collation, and what functions use for their inputs.

A collation is derived explicitly (COLLATE), implicitly (from a column or type), or not at all; two different implicit
ones conflict, which is an error only where somebody needs the collation (42P21, 42P22).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from tusk.errors import errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.state import ParseState, error_at
from tusk.sql.nodes import enums, parsetree, primitives
from tusk.sql.nodes.base import children
from tusk.sql.nodes.make import make_relabel
from tusk.sql.nodes.nodefuncs import (
    expr_collation,
    expr_location,
    expr_set_collation,
    expr_set_input_collation,
    expr_type,
)


class Strength(IntEnum):
    """How a collation was come by."""

    NONE = 0
    IMPLICIT = 1
    CONFLICT = 2
    EXPLICIT = 3


class _Context:
    """The collation found below a node so far; of a conflict, both collations."""

    __slots__ = ("collation", "collation2", "location", "location2", "pstate", "strength")

    def __init__(self, pstate: ParseState | None) -> None:
        self.pstate = pstate
        self.collation = 0
        self.strength = Strength.NONE
        self.location = -1
        self.collation2 = 0
        self.location2 = -1


def _merge(collation: int, strength: Strength, location: int, collation2: int, location2: int, into: _Context) -> None:
    if strength < into.strength:
        return
    if strength > into.strength:
        into.collation, into.strength, into.location = collation, strength, location
        if strength == Strength.CONFLICT:
            into.collation2, into.location2 = collation2, location2
        return
    if strength == Strength.IMPLICIT:
        if collation != into.collation:
            if into.collation == lk.DEFAULT_COLLATION:
                into.collation, into.location = collation, location
            elif collation != lk.DEFAULT_COLLATION:
                into.strength = Strength.CONFLICT
                into.collation2, into.location2 = collation, location
    elif strength == Strength.EXPLICIT and collation != into.collation:
        raise error_at(
            into.pstate,
            errcode.COLLATION_MISMATCH,
            f'collation mismatch between explicit collations "{lk.collation_name(into.collation)}" '
            f'and "{lk.collation_name(collation)}"',
            location,
        )


def _conflict(pstate: ParseState | None, context: _Context, location: int) -> Exception:
    return error_at(
        pstate,
        errcode.COLLATION_MISMATCH,
        f'collation mismatch between implicit collations "{lk.collation_name(context.collation)}" '
        f'and "{lk.collation_name(context.collation2)}"',
        location,
        hint="You can choose the collation by applying the COLLATE clause to one or both expressions.",
    )


def assign_query_collations(pstate: ParseState | None, query: Any) -> None:
    """All expressions of a query, not its subqueries (assign_query_collations)."""
    for exprs in (query.targetList, query.returningList):
        assign_list_collations(pstate, exprs)
    for expr in (
        query.jointree,
        query.mergeJoinCondition,
        query.havingQual,
        query.limitOffset,
        query.limitCount,
    ):
        assign_expr_collations(pstate, expr)
    if query.onConflict is not None:
        for child in children(query.onConflict):
            assign_list_collations(pstate, child if type(child) is list else [child])
    for action in query.mergeActionList:
        assign_expr_collations(pstate, action.qual)
        assign_list_collations(pstate, action.targetList)
    for clause in query.windowClause:
        assign_expr_collations(pstate, clause.startOffset)
        assign_expr_collations(pstate, clause.endOffset)


def assign_list_collations(pstate: ParseState | None, exprs: list[Any]) -> None:
    """Independent expressions (assign_list_collations)."""
    for expr in exprs:
        if type(expr) is list:
            assign_list_collations(pstate, expr)
        else:
            assign_expr_collations(pstate, expr)


def assign_expr_collations(pstate: ParseState | None, expr: Any) -> None:
    """One expression tree (assign_expr_collations)."""
    if expr is not None:
        _walk(expr, _Context(pstate))


def select_common_collation(pstate: ParseState | None, exprs: list[Any], none_ok: bool) -> int:
    """The collation several expressions share; 42P21 for a conflict unless ``none_ok``, then 0."""
    context = _Context(pstate)
    for expr in exprs:
        _walk(expr, context)
    if context.strength == Strength.CONFLICT:
        if none_ok:
            return 0
        raise _conflict(pstate, context, context.location2)
    return context.collation


_LEAVES = (
    primitives.Const,
    primitives.Param,
    primitives.CoerceToDomainValue,
    primitives.CaseTestExpr,
    primitives.SetToDefault,
    primitives.CurrentOfExpr,
    primitives.GroupingFunc,
)
_STRUCTURE = (
    primitives.FromExpr,
    primitives.RangeTblRef,
    parsetree.SortGroupClause,
    primitives.InferenceElem,
    parsetree.TableSampleClause,
    primitives.TableFunc,
    primitives.JsonBehavior,
)


def _walk(node: Any, outer: _Context) -> None:
    if node is None:
        return
    kind = type(node)
    if kind is list:
        for item in node:
            _walk(item, outer)
        return
    if kind is primitives.Var:
        collation = node.varcollid
        if collation:
            _merge(collation, Strength.IMPLICIT, node.location, 0, -1, outer)
        return
    pstate = outer.pstate
    own = _Context(pstate)
    if kind is primitives.CollateExpr:
        _walk(node.arg, own)
        _merge(node.collOid, Strength.EXPLICIT, node.location, 0, -1, outer)
        return
    if kind is primitives.FieldSelect:
        _walk(node.arg, own)
        # The field has its own collation, whatever the row came from.
        if node.resultcollid:
            _merge(node.resultcollid, Strength.IMPLICIT, expr_location(node), 0, -1, outer)
        return
    if kind is primitives.RowExpr:
        assign_list_collations(pstate, node.args)
        return
    if kind is primitives.RowCompareExpr:
        node.inputcollids = [
            select_common_collation(pstate, [left, right], True)
            for left, right in zip(node.largs, node.rargs, strict=True)
        ]
        return
    if kind is primitives.CoerceToDomain:
        _walk(node.arg, own)
        natural = lk.type_collation(node.resulttype)
        if not natural:
            collation, strength, location = 0, Strength.NONE, -1
        elif natural == lk.DEFAULT_COLLATION:
            collation, strength, location = own.collation, own.strength, own.location
        else:
            collation, strength, location = natural, Strength.IMPLICIT, expr_location(node)
        _store(node, collation, strength)
        _merge(collation, strength, location, own.collation2, own.location2, outer)
        return
    if kind is primitives.TargetEntry:
        _walk(node.expr, own)
        collation, strength, location = own.collation, own.strength, own.location
        # A sort or group column needs its collation; the error is the user's to resolve.
        if strength == Strength.CONFLICT and node.ressortgroupref > 0:
            raise _conflict(pstate, own, own.location2)
        _merge(collation, strength, location, own.collation2, own.location2, outer)
        return
    if kind is primitives.JoinExpr:
        for child in (node.larg, node.rarg, node.quals):
            _walk(child, own)
        return
    if kind in _STRUCTURE:
        for child in children(node):
            _walk(child, own)
        return
    if kind is parsetree.Query:
        # A SubLink's query was done on its own level.
        return
    if kind is primitives.SubLink:
        _walk(node.testexpr, own)
        result = expr_collation(node)
        if result:
            # ARRAY(SELECT ...) and scalar subqueries take the output column's collation.
            _merge(result, Strength.IMPLICIT, expr_location(node), 0, -1, outer)
        return
    if kind in _LEAVES:
        collation = expr_collation(node)
        if collation:
            _merge(collation, Strength.IMPLICIT, expr_location(node), 0, -1, outer)
        return
    if kind is primitives.Aggref:
        _aggregate_inputs(node, own)
        _walk(node.aggfilter, _Context(pstate))
    elif kind is primitives.WindowFunc:
        for arg in node.args:
            _walk(arg, own)
        assign_expr_collations(pstate, node.aggfilter)
    elif kind is primitives.CaseExpr:
        _walk(node.arg, _Context(pstate))
        for when in node.args:
            _walk(when.expr, _Context(pstate))
            _walk(when.result, own)
        _walk(node.defresult, own)
    elif kind is primitives.SubscriptingRef:
        _walk(node.refupperindexpr, _Context(pstate))
        _walk(node.reflowerindexpr, _Context(pstate))
        _walk(node.refexpr, own)
        _walk(node.refassgnexpr, own)
    elif kind is primitives.ReturningExpr:
        _walk(node.retexpr, own)
        _merge(own.collation, own.strength, own.location, own.collation2, own.location2, outer)
        return
    elif kind is primitives.JsonExpr:
        _walk(node.formatted_expr, own)
        _walk(node.path_spec, _Context(pstate))
        assign_list_collations(pstate, node.passing_values)
        for behavior in (node.on_empty, node.on_error):
            if behavior is not None:
                assign_expr_collations(pstate, behavior.expr)
    else:
        for child in children(node):
            _walk(child, own)
    _finish(node, own, outer)


def _finish(node: Any, own: _Context, outer: _Context) -> None:
    natural = lk.type_collation(expr_type(node))
    if natural:
        if own.strength > Strength.NONE:
            collation, strength, location = own.collation, own.strength, own.location
        else:
            collation, strength, location = natural, Strength.IMPLICIT, expr_location(node)
        _store(node, collation, strength)
    else:
        collation, strength, location = 0, Strength.NONE, expr_location(node)
        expr_set_collation(node, 0)
    if own.strength == Strength.CONFLICT:
        expr_set_input_collation(node, 0)
    else:
        expr_set_input_collation(node, own.collation)
    _merge(collation, strength, location, own.collation2, own.location2, outer)


def _store(node: Any, collation: int, strength: Strength) -> None:
    expr_set_collation(node, 0 if strength == Strength.CONFLICT else collation)


def _aggregate_inputs(node: primitives.Aggref, own: _Context) -> None:
    if node.aggkind == "n":
        for target in node.args:
            if target.resjunk:
                assign_expr_collations(own.pstate, target)
            else:
                _walk(target, own)
        return
    merge_sort = len(node.args) == 1 and not lk.proc_row(node.aggfnoid).provariadic
    if node.aggkind == "h":
        _hypothetical_inputs(node, own, merge_sort)
        return
    for arg in node.aggdirectargs:
        _walk(arg, own)
    for target in node.args:
        if merge_sort:
            _walk(target, own)
        else:
            assign_expr_collations(own.pstate, target)


def _hypothetical_inputs(node: primitives.Aggref, own: _Context, merge_sort: bool) -> None:
    """Each hypothetical argument shares a collation with its sort column, which is then made explicit."""
    extra = len(node.aggdirectargs) - len(node.args)
    for arg in node.aggdirectargs[:extra]:
        _walk(arg, own)
    for arg, target in zip(node.aggdirectargs[extra:], node.args, strict=True):
        pair = _Context(own.pstate)
        _walk(arg, pair)
        _walk(target.expr, pair)
        if pair.strength == Strength.CONFLICT:
            raise _conflict(own.pstate, pair, pair.location2)
        if pair.collation and pair.collation != expr_collation(target.expr):
            target.expr = make_relabel(
                target.expr, expr_type(target.expr), -1, pair.collation, enums.COERCE_IMPLICIT_CAST
            )
        if merge_sort:
            _merge(pair.collation, pair.strength, pair.location, pair.collation2, pair.location2, own)

"""Functions in SQL whose body is one expression: the expression itself, in place of the call (inline_function of
optimizer/util/clauses.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.acl import object_aclcheck
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.sql.analyze import analyze
from tusk.sql.analyze.coerce import ASSIGNMENT, coerce_to_target_type
from tusk.sql.nodes import CoerceViaIO, Const, FuncExpr, OpExpr, Param, Query, RelabelType, Var, copy_tree, enums
from tusk.sql.nodes.nodefuncs import contains_volatile, expr_type, function_of, mutate_levels, walk_levels
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.parse import parse
from tusk.sql.plan import cost
from tusk.sql.plan.exprs import contains_agg, contains_set, contains_subplan, contains_window_function, nodes_below

SQL_LANGUAGE = 14
_PROC_CLASS, _ACL_EXECUTE = 1255, 128
_RECORD = 2249
# By function and argument types: the catalog row that it was made from, and the expression or None.
_bodies: dict[tuple[Any, ...], tuple[Any, Any]] = {}
_active: set[int] = set()


def function_queries(row: Any, types: list[int]) -> list[Query]:
    """The analysed statements of a function's body; its arguments are PARAM_EXTERN."""
    if row.prosqlbody is not None:
        body = read_node_tree(row.prosqlbody)
        queries = body if isinstance(body, list) else [body]
        while len(queries) == 1 and isinstance(queries[0], list):
            queries = queries[0]
        return queries
    name = str(row.proname)
    names = list(row.proargnames or ())
    modes = list(row.proargmodes or ["i"] * len(types))
    inputs = [name for name, mode in zip(names, modes, strict=False) if mode in "ibv"]

    def find(_pstate: Any, ref: Any, found: Any) -> Any:
        if found is not None:
            return None
        fields = [getattr(field, "sval", None) for field in ref.fields]
        if len(fields) == 2 and fields[0] == name:
            fields = fields[1:]
        if len(fields) == 1 and fields[0] in inputs:
            number = inputs.index(fields[0]) + 1
            return Param(
                paramkind=enums.PARAM_EXTERN, paramid=number, paramtype=types[number - 1], paramtypmod=-1,
                location=ref.location,
            )  # fmt: skip
        return None

    def prepare(pstate: Any) -> None:
        pstate.post_columnref_hook = find

    return [analyze(raw, row.prosrc, types, prepare=prepare) for raw in parse(row.prosrc)]


def simple_body(row: Any, types: tuple[int, ...], result_type: int) -> Any:
    """The expression that a function in SQL computes, over PARAM_EXTERN; None when it does more than that."""
    if row.prolang != SQL_LANGUAGE or row.prokind != "f" or row.prosecdef or row.proretset or row.proconfig:
        return None
    if result_type == _RECORD or len(types) != row.pronargs:
        return None
    key = (row.oid, types, result_type)
    known = _bodies.get(key)
    if known is not None and known[0] is row:
        return known[1]
    body = _expression_of(function_queries(row, list(types)), result_type)
    _bodies[key] = (row, body)
    return body


def _expression_of(queries: list[Query], result_type: int) -> Any:
    if len(queries) != 1:
        return None
    query = queries[0]
    if (
        query.commandType != enums.CMD_SELECT or query.hasAggs or query.hasWindowFuncs or query.hasTargetSRFs
        or query.hasSubLinks or query.cteList or query.rtable or query.jointree.fromlist
        or query.jointree.quals is not None or query.groupClause or query.groupingSets or query.havingQual is not None
        or query.windowClause or query.distinctClause or query.sortClause or query.limitOffset is not None
        or query.limitCount is not None or query.setOperations is not None or len(query.targetList) != 1
    ):  # fmt: skip
        return None
    expr = query.targetList[0].expr
    if contains_agg(expr) or contains_window_function(expr) or contains_set(expr):
        return None
    actual = expr_type(expr)
    if actual == result_type:
        return expr
    return coerce_to_target_type(None, expr, actual, result_type, -1, ASSIGNMENT, enums.COERCE_IMPLICIT_CAST)


def inline_call(node: FuncExpr | OpExpr, row: Any) -> Any:
    """What a call of a function in SQL comes to, its arguments put into the body; None when it has to be called."""
    if row.prolang != SQL_LANGUAGE or row.oid in _active:
        return None
    if not object_aclcheck(_PROC_CLASS, row.oid, session.current_user_id, _ACL_EXECUTE):
        return None
    body = simple_body(row, tuple(expr_type(arg) for arg in node.args), expr_type(node))
    if body is None:
        return None
    if row.provolatile == "i" and contains_volatile(body, "i"):
        return None
    if row.provolatile == "s" and contains_volatile(body):
        return None
    if row.proisstrict and _may_hide_null(body):
        return None
    uses = [0] * len(node.args)

    def count(part: Any, _level: int) -> Any:
        if type(part) is Param and part.paramkind == enums.PARAM_EXTERN:
            uses[part.paramid - 1] += 1
        return None

    walk_levels(body, count)
    for arg, times in zip(node.args, uses, strict=True):
        if times == 0 and row.proisstrict:
            return None
        if times != 1 and not _cheap(arg):
            return None

    def change(part: Any, _level: int) -> Any:
        if type(part) is Param and part.paramkind == enums.PARAM_EXTERN:
            return copy_tree(node.args[part.paramid - 1])
        return None

    return mutate_levels(copy_tree(body), change)


def _cheap(arg: Any) -> bool:
    """Whether an argument may be computed several times, or not at all."""
    if type(arg) in (Const, Var, Param):
        return True
    if contains_volatile(arg) or contains_subplan(arg):
        return False
    startup, per_row = cost.eval_cost([arg])
    return bool(startup + per_row <= 10 * 0.0025)


def _may_hide_null(tree: Any) -> bool:
    """Whether an expression may be non-null though one of its parameters is null (contain_nonstrict_functions)."""
    kind = type(tree)
    if kind in (Const, Param, Var):
        return False
    if kind in (FuncExpr, OpExpr):
        function = lookup(c.PROCOID, tree.funcid if kind is FuncExpr else function_of(tree))
        if function is None or not function.proisstrict:
            return True
    elif kind not in (RelabelType, CoerceViaIO):
        return True
    return any(_may_hide_null(child) for child in nodes_below(tree))


def inlined(node: FuncExpr | OpExpr, row: Any, fold: Any) -> Any:
    """``inline_call``, simplified further by ``fold``; the function is not inlined into itself."""
    found = inline_call(node, row)
    if found is None:
        return None
    _active.add(row.oid)
    try:
        return fold(found)
    finally:
        _active.discard(row.oid)

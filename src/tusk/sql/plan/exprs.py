"""Questions the planner asks of expressions, and rewriting that does not depend on paths (optimizer/util/clauses.c,
var.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.sql.nodes import (
    IS_NOT_NULL,
    Aggref,
    BoolExpr,
    CoerceViaIO,
    Const,
    CurrentOfExpr,
    FuncExpr,
    NullTest,
    OpExpr,
    Param,
    Query,
    RelabelType,
    SubLink,
    SubPlan,
    Var,
    WindowFunc,
    children,
    enums,
)
from tusk.sql.nodes.nodefuncs import contains_volatile, function_of, mutate_levels, walk_levels


def and_list(qual: Any) -> list[Any]:
    """A condition as a list of conditions that must all hold; nested ANDs are flattened."""
    if qual is None:
        return []
    if type(qual) is list:
        return [item for part in qual for item in and_list(part)]
    if type(qual) is BoolExpr and qual.boolop == enums.AND_EXPR:
        return [item for arg in qual.args for item in and_list(arg)]
    if type(qual) is Const and not qual.constisnull and qual.constvalue is True:
        return []
    return [qual]


def or_list(qual: Any) -> list[Any]:
    """The alternatives of a condition."""
    if type(qual) is BoolExpr and qual.boolop == enums.OR_EXPR:
        return [item for arg in qual.args for item in or_list(arg)]
    return [qual]


def pull_vars(tree: Any, level: int = 0) -> list[Var]:
    """The Vars of a query level in a tree, sublinks and subplan arguments included."""
    found: list[Var] = []

    def visit(node: Any, depth: int) -> None:
        if type(node) is Var and node.varlevelsup == level + depth:
            found.append(node)

    walk_levels(tree, visit)
    return found


def pull_relids(tree: Any) -> int:
    """The relations (and outer joins that may null them) that an expression of this level refers to."""
    if type(tree) is CurrentOfExpr:
        return 1 << tree.cvarno
    relids = 0
    for var in pull_vars(tree):
        relids |= 1 << var.varno
        for rtindex in var.varnullingrels:
            relids |= 1 << rtindex
    return relids


def contains_subplan(tree: Any) -> bool:
    """Whether a SubPlan or SubLink occurs."""
    return walk_levels(tree, lambda node, _: type(node) in (SubPlan, SubLink) or None)


def contains_agg(tree: Any) -> bool:
    """Whether an aggregate of this level occurs."""

    def visit(node: Any, level: int) -> Any:
        return True if type(node) is Aggref and node.agglevelsup == level else None

    return walk_levels(tree, visit)


def contains_window_function(tree: Any) -> bool:
    """Whether a window function occurs outside of sub-queries."""

    def visit(node: Any, _level: int) -> Any:
        if type(node) is Query:
            return "skip"
        return True if type(node) is WindowFunc else None

    return walk_levels(tree, visit)


def returns_set(node: Any) -> bool:
    """Whether the node itself is a set-returning call."""
    return (type(node) is FuncExpr and node.funcretset) or (type(node) is OpExpr and node.opretset)


def contains_set(tree: Any) -> bool:
    """Whether a set-returning call occurs outside of sub-queries."""

    def visit(node: Any, _level: int) -> Any:
        if type(node) in (Query, SubPlan, SubLink):
            return "skip"
        return True if returns_set(node) else None

    return walk_levels(tree, visit)


def contains_exec_param(tree: Any) -> bool:
    """Whether a value that changes between rescans occurs."""

    def visit(node: Any, _level: int) -> Any:
        return True if type(node) is Param and node.paramkind == enums.PARAM_EXEC else None

    return walk_levels(tree, visit)


def is_pseudo_constant(tree: Any) -> bool:
    """Whether an expression has one value throughout a scan: no Vars of this level, nothing volatile."""
    from_level = pull_vars(tree)
    return not from_level and not is_volatile(tree)


def is_volatile(tree: Any) -> bool:
    """Whether a volatile function may be called."""
    return contains_volatile(tree)


def strip_relabel(node: Any) -> Any:
    """The expression below binary-compatible casts."""
    while type(node) is RelabelType:
        node = node.arg
    return node


def _is_strict(function: int) -> bool:
    row = lookup(c.PROCOID, function)
    return row is not None and bool(row.proisstrict)


def nonnullable_relids(qual: Any, *, top: bool = True) -> int:
    """Relations of which a row that is all NULL cannot pass the condition (find_nonnullable_rels)."""
    kind = type(qual)
    if kind is list:
        found = 0
        for item in qual:
            found |= nonnullable_relids(item, top=top)
        return found
    if kind is Var:
        return 1 << qual.varno if qual.varlevelsup == 0 else 0
    if kind is OpExpr:
        return nonnullable_relids(qual.args, top=False) if _is_strict(function_of(qual)) else 0
    if kind is FuncExpr:
        return nonnullable_relids(qual.args, top=False) if _is_strict(qual.funcid) else 0
    if kind is BoolExpr:
        return _nonnullable_bool(qual, top)
    if kind in (RelabelType, CoerceViaIO):
        return nonnullable_relids(qual.arg, top=top)
    if kind is NullTest and top and qual.nulltesttype == IS_NOT_NULL and not qual.argisrow:
        return nonnullable_relids(qual.arg, top=False)
    if kind.__name__ == "ScalarArrayOpExpr" and qual.useOr and _is_strict(function_of(qual)):
        return nonnullable_relids(qual.args[0], top=False)
    return 0


def _nonnullable_bool(qual: Any, top: bool) -> int:
    if qual.boolop == enums.AND_EXPR and top:
        return nonnullable_relids(qual.args, top=True)
    if qual.boolop == enums.NOT_EXPR:
        return nonnullable_relids(qual.args, top=False)
    found = -1
    for arg in qual.args:
        found &= nonnullable_relids(arg, top=top)
    return found if found > 0 else 0


def replace_vars(tree: Any, replace_one: Any, level: int = 0) -> Any:
    """Rebuild a tree, putting ``replace_one(var)`` in the place of each Var of the level (None keeps it)."""
    def change(node: Any, depth: int) -> Any:
        if type(node) is Var and node.varlevelsup == level + depth:
            answer = replace_one(node, depth)
            return node if answer is None else answer
        return None

    return mutate_levels(tree, change)


def nodes_below(node: Any) -> list[Any]:
    """Child nodes, with lists flattened."""
    found: list[Any] = []
    for child in children(node):
        found.extend(child if type(child) is list else [child])
    return found

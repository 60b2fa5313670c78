"""Where minimal parentheses can be left out (isSimpleNode)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import OPEROID, lookup
from tusk.sql.deparse.writer import PRETTY_PAREN, set_simplicity
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import (
    Aggref,
    ArrayCoerceExpr,
    ArrayExpr,
    BooleanTest,
    BoolExpr,
    CaseExpr,
    CoalesceExpr,
    CoerceToDomain,
    CoerceToDomainValue,
    CoerceViaIO,
    Const,
    ConvertRowtypeExpr,
    CurrentOfExpr,
    DistinctExpr,
    FieldSelect,
    FieldStore,
    FuncExpr,
    GroupingFunc,
    JsonConstructorExpr,
    JsonExpr,
    JsonIsPredicate,
    JsonValueExpr,
    MergeSupportFunc,
    MinMaxExpr,
    NextValueExpr,
    NullIfExpr,
    NullTest,
    OpExpr,
    Param,
    RelabelType,
    ReturningExpr,
    RowExpr,
    SetToDefault,
    SQLValueFunction,
    SubLink,
    SubscriptingRef,
    Var,
    WindowFunc,
    XmlExpr,
)

# Names, literals, and what brings its own brackets.
_ATOMS = frozenset(
    (
        Var, Const, Param, CoerceToDomainValue, SetToDefault, CurrentOfExpr, SubscriptingRef, ArrayExpr, RowExpr,
        CoalesceExpr, MinMaxExpr, SQLValueFunction, XmlExpr, NextValueExpr, NullIfExpr, Aggref, GroupingFunc,
        WindowFunc, MergeSupportFunc, FuncExpr, JsonConstructorExpr, JsonExpr, CaseExpr,
    )
)  # fmt: skip
_WRAPPERS = frozenset((RelabelType, CoerceViaIO, ArrayCoerceExpr, ConvertRowtypeExpr, CoerceToDomain))
_PREDICATES = frozenset((OpExpr, SubLink, NullTest, BooleanTest, DistinctExpr, JsonIsPredicate))
# Parents whose syntax separates their operands: commas, brackets, key words.
_SEPARATING = frozenset(
    (
        SubscriptingRef, ArrayExpr, RowExpr, CoalesceExpr, MinMaxExpr, XmlExpr, NullIfExpr, Aggref, GroupingFunc,
        WindowFunc, CaseExpr,
    )
)  # fmt: skip


def _basic_operator(node: Any) -> str | None:
    """+ - * / % of a binary expression, whose precedence everyone knows; else None."""
    if len(node.args) != 2:
        return None
    row = lookup(OPEROID, node.opno)
    name = None if row is None else row.oprname
    return name if name is not None and len(name) == 1 and name in "+-*/%" else None


def _binds_tighter(node: Any, parent: Any) -> bool:
    own, above = _basic_operator(node), _basic_operator(parent)
    if own is None or above is None:
        return False
    own_high, above_high = own in "*/%", above in "*/%"
    if own_high != above_high:
        return own_high
    # Equal precedence: the left operand needs none, (a - b) - c, the right one does.
    return node is parent.args[0]


def _in_call(parent: Any) -> bool:
    """Whether a function's own parentheses will surround the argument: not with casts and special syntax."""
    return bool(parent.funcformat == enums.COERCE_EXPLICIT_CALL)


def is_simple_node(node: Any, parent: Any, flags: int) -> bool:
    """Whether a node needs no parentheses below this parent."""
    kind, above = type(node), type(parent)
    if node is None:
        return False
    if kind in _ATOMS:
        return True
    if kind is FieldSelect or kind is FieldStore:
        return above is not kind
    if kind in _WRAPPERS:
        return is_simple_node(node.arg, node, flags)
    if kind is ReturningExpr:
        return is_simple_node(node.retexpr, node, flags)
    if kind is JsonValueExpr:
        return is_simple_node(node.raw_expr, node, flags)
    if kind in _PREDICATES:
        if kind is OpExpr and above is OpExpr and flags & PRETTY_PAREN:
            return _binds_tighter(node, parent)
        if above is FuncExpr:
            return _in_call(parent)
        return above is BoolExpr or above in _SEPARATING
    if kind is BoolExpr:
        if above is BoolExpr:
            if not flags & PRETTY_PAREN:
                return False
            if node.boolop in (enums.NOT_EXPR, enums.AND_EXPR):
                return parent.boolop in (enums.AND_EXPR, enums.OR_EXPR)
            return bool(parent.boolop == enums.OR_EXPR)
        if above is FuncExpr:
            return _in_call(parent)
        return above in _SEPARATING or above is JsonExpr
    return False


set_simplicity(is_simple_node)

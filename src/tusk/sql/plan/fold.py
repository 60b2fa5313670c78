"""Constant folding: what can be computed before the query runs is (eval_const_expressions).

Immutable functions of constants are called once; boolean and NULL logic is simplified; CASE and COALESCE lose what
cannot be reached. An expression that would raise is left alone, so that it raises only if it is reached.
"""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.errors import SqlError
from tusk.sql.analyze.functions import expand_function_arguments
from tusk.sql.nodes import (
    BooleanTest,
    BoolExpr,
    CaseExpr,
    CaseWhen,
    CoalesceExpr,
    CoerceViaIO,
    Const,
    FuncExpr,
    NullTest,
    OpExpr,
    Param,
    Query,
    RelabelType,
    ScalarArrayOpExpr,
    enums,
)
from tusk.sql.nodes.base import Node
from tusk.sql.nodes.make import make_bool_const, make_const
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type, expr_typmod, function_of
from tusk.sql.plan.structures import Root

SQL_LANGUAGE = 14


class Folder:
    """Folds one tree. With ``estimate`` stable functions and known parameters count as constants too; the result is
    then good for selectivity estimates only."""

    def __init__(self, root: Root | None, *, estimate: bool = False) -> None:
        self.bound = root.glob.bound_params if root is not None else None
        self.estimate = estimate

    def fold(self, tree: Any) -> Any:
        """The simplified tree; the argument is not changed."""
        if type(tree) is list:
            return [self.fold(item) for item in tree]
        if not isinstance(tree, Node):
            return tree
        kind = type(tree)
        if kind is Query or kind is Const:
            return tree
        if kind is Param:
            return self._param(tree)
        if kind is BoolExpr:
            return self._bool(tree)
        if kind is CaseExpr:
            return self._case(tree)
        copy = self._copy(tree)
        if kind is FuncExpr:
            # Named arguments go to their places, and defaults are filled in as they are now.
            copy.args = expand_function_arguments(copy.args, lookup(c.PROCOID, copy.funcid))
        if kind in (FuncExpr, OpExpr):
            return self._call(copy)
        if kind is CoalesceExpr:
            return self._coalesce(copy)
        if kind is NullTest:
            return self._null_test(copy)
        if kind is BooleanTest and type(copy.arg) is Const:
            return self._evaluate(copy)
        if kind is RelabelType and type(copy.arg) is Const:
            return self._relabel(copy)
        if kind is CoerceViaIO and type(copy.arg) is Const:
            return self._via_io(copy)
        if (
            kind is ScalarArrayOpExpr
            and all(type(arg) is Const for arg in copy.args)
            and self._may_call(function_of(copy))
        ):
            return self._evaluate(copy)
        if kind.__name__ in ("DistinctExpr", "NullIfExpr", "ArrayExpr", "MinMaxExpr", "ArrayCoerceExpr"):
            return self._constant_node(copy)
        return copy

    def _copy(self, tree: Any) -> Any:
        kind: Any = type(tree)
        copy = kind.__new__(kind)
        for name, kind, _ in tree.FIELDS:
            value = getattr(tree, name)
            if value is not None and kind in ("node", "list"):
                value = self.fold(value)
            setattr(copy, name, value)
        return copy

    def _may_call(self, function: int) -> bool:
        row = lookup(c.PROCOID, function)
        if row is None or row.proretset or row.prokind != "f":
            return False
        return row.provolatile == "i" or (self.estimate and row.provolatile == "s")

    def _param(self, node: Any) -> Any:
        if self.bound is None or node.paramkind != enums.PARAM_EXTERN:
            return node
        value = self.bound[node.paramid - 1]
        return make_const(node.paramtype, node.paramtypmod, node.paramcollid, value, value is None)

    def _call(self, node: Any) -> Any:
        function = node.funcid if type(node) is FuncExpr else function_of(node)
        if type(node) is OpExpr:
            node.opfuncid = function
        row = lookup(c.PROCOID, function)
        if row is None or row.proretset:
            return node
        if row.proisstrict and any(type(arg) is Const and arg.constisnull for arg in node.args):
            if row.prokind == "f":
                return make_const(expr_type(node), expr_typmod(node), expr_collation(node), None, True)
            return node
        if self._may_call(function) and all(type(arg) is Const for arg in node.args):
            return self._evaluate(node)
        if row.prolang == SQL_LANGUAGE and _inliner is not None:
            found = _inliner(node, row, self.fold)
            if found is not None:
                return found
        return node

    def _constant_node(self, node: Any) -> Any:
        for name, kind, _ in node.FIELDS:
            if kind in ("node", "list"):
                value = getattr(node, name)
                items = value if type(value) is list else [value]
                if any(item is not None and type(item) is not Const for item in items):
                    return node
        if hasattr(node, "opno") and not self._may_call(function_of(node)):
            return node
        if type(node).__name__ == "ArrayCoerceExpr":
            return node
        return self._evaluate(node)

    def _evaluate(self, node: Any) -> Any:
        """Call the executor; what raises stays as it is."""
        evaluate = _evaluator
        if evaluate is None:
            return node
        try:
            value = evaluate(node)
        except SqlError:
            return node
        return make_const(expr_type(node), expr_typmod(node), expr_collation(node), value, value is None)

    def _relabel(self, node: Any) -> Any:
        arg = node.arg
        return make_const(node.resulttype, node.resulttypmod, node.resultcollid, arg.constvalue, arg.constisnull)

    def _via_io(self, node: Any) -> Any:
        if node.arg.constisnull:
            return make_const(node.resulttype, -1, node.resultcollid, None, True)
        out = lookup(c.TYPEOID, node.arg.consttype)
        into = lookup(c.TYPEOID, node.resulttype)
        if out is None or into is None:
            return node
        functions = (out.typoutput, into.typinput)
        return self._evaluate(node) if all(self._may_call(function) for function in functions) else node

    def _null_test(self, node: Any) -> Any:
        if type(node.arg) is Const and not node.argisrow:
            is_null = node.arg.constisnull
            return make_bool_const(is_null == (node.nulltesttype == enums.IS_NULL))
        return node

    def _bool(self, node: Any) -> Any:
        args = [self.fold(arg) for arg in node.args]
        if node.boolop == enums.NOT_EXPR:
            return negate(args[0])
        decisive = node.boolop == enums.OR_EXPR
        kept: list[Any] = []
        null_seen = False
        for arg in args:
            if type(arg) is Const:
                if arg.constisnull:
                    null_seen = True
                elif arg.constvalue is decisive:
                    return make_bool_const(decisive)
                continue
            if type(arg) is BoolExpr and arg.boolop == node.boolop:
                kept.extend(arg.args)
            else:
                kept.append(arg)
        if null_seen:
            kept.append(make_bool_const(False, True))
        if not kept:
            return make_bool_const(not decisive)
        if len(kept) == 1:
            return kept[0]
        return BoolExpr(boolop=node.boolop, args=kept, location=node.location)

    def _case(self, node: Any) -> Any:
        arg = self.fold(node.arg)
        branches: list[Any] = []
        default = None
        for when in node.args:
            condition = self.fold(when.expr)
            if type(condition) is Const and arg is None:
                if condition.constisnull or not condition.constvalue:
                    continue
                default = self.fold(when.result)
                break
            branches.append(CaseWhen(expr=condition, result=self.fold(when.result), location=when.location))
        else:
            default = self.fold(node.defresult)
        if not branches and arg is None:
            if default is None:
                return make_const(node.casetype, -1, node.casecollid, None, True)
            return default
        return CaseExpr(
            casetype=node.casetype, casecollid=node.casecollid, arg=arg, args=branches, defresult=default,
            location=node.location,
        )  # fmt: skip

    def _coalesce(self, node: Any) -> Any:
        kept: list[Any] = []
        for arg in node.args:
            if type(arg) is Const:
                if arg.constisnull:
                    continue
                kept.append(arg)
                break
            kept.append(arg)
        if not kept:
            return make_const(node.coalescetype, -1, node.coalescecollid, None, True)
        if len(kept) == 1 and (type(kept[0]) is Const):
            return kept[0]
        node.args = kept
        return node


_evaluator: Any = None
_inliner: Any = None


def set_inliner(inline: Any) -> None:
    """``inline(call, pg_proc row, fold)``: the expression that a function in SQL computes, or None."""
    global _inliner
    _inliner = inline


def set_evaluator(evaluate: Any) -> None:
    """The executor's function that computes a constant expression; it is above none and below none of us."""
    global _evaluator
    _evaluator = evaluate


def negate(node: Any) -> Any:
    """NOT node, pushed down as far as it goes (negate_clause)."""
    kind = type(node)
    if kind is Const:
        if node.constisnull:
            return node
        return make_bool_const(not node.constvalue)
    if kind is BoolExpr:
        if node.boolop == enums.NOT_EXPR:
            return node.args[0]
        other = enums.OR_EXPR if node.boolop == enums.AND_EXPR else enums.AND_EXPR
        return BoolExpr(boolop=other, args=[negate(arg) for arg in node.args], location=node.location)
    if kind is OpExpr:
        operator = lookup(c.OPEROID, node.opno)
        if operator is not None and operator.oprnegate:
            negator = lookup(c.OPEROID, operator.oprnegate)
            return OpExpr(
                opno=operator.oprnegate, opfuncid=int(negator.oprcode), opresulttype=node.opresulttype,
                opretset=node.opretset, opcollid=node.opcollid, inputcollid=node.inputcollid, args=node.args,
                location=node.location,
            )  # fmt: skip
    if kind is NullTest and not node.argisrow:
        other_test = enums.IS_NOT_NULL if node.nulltesttype == enums.IS_NULL else enums.IS_NULL
        return NullTest(arg=node.arg, nulltesttype=other_test, argisrow=node.argisrow, location=node.location)
    if kind is ScalarArrayOpExpr:
        operator = lookup(c.OPEROID, node.opno)
        if operator is not None and operator.oprnegate:
            negator = lookup(c.OPEROID, operator.oprnegate)
            return ScalarArrayOpExpr(
                opno=operator.oprnegate, opfuncid=int(negator.oprcode), useOr=not node.useOr,
                inputcollid=node.inputcollid, args=node.args, location=node.location,
            )  # fmt: skip
    return BoolExpr(boolop=enums.NOT_EXPR, args=[node])


def fold_constants(root: Root | None, tree: Any) -> Any:
    """Fold a tree whose subqueries have been dealt with."""
    return Folder(root).fold(tree)


def estimate_expression(root: Root | None, tree: Any) -> Any:
    """Fold as far as an estimate may."""
    return Folder(root, estimate=True).fold(tree)

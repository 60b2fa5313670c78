"""Compiling expression trees: from the nodes of a plan to the vector programs of `_expr`.

A `Compiler` is made for each plan state. It knows where Vars find their input: OUTER_VAR and INNER_VAR in the batches
of the children (column = resno - 1), every other Var in the scan batch, whose columns are the attributes asked for
(``scan_columns``) or, without such a list, all of them by number.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tusk.types._container_order
import tusk.types._kernel_compare
import tusk.types._kernel_float
import tusk.types._kernel_integer
import tusk.types._kernel_numeric  # noqa: F401  # importing them registers their kernels
from tusk.catalog.cache import AMOPSTRATEGY, OPEROID, PROCOID, TYPEOID, lookup
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.execute import _expr, domains, expression_types, hooks, rare_expressions, subplan, support
from tusk.sql.execute._state import EXPRESSION_TYPES
from tusk.sql.nodes import SubPlan, enums
from tusk.sql.plan.inline import SQL_LANGUAGE, simple_body
from tusk.types._kernel import kernel_for
from tusk.types._kernel_datum import type_of
from tusk.types.registry import CallContext, lookup_function

EXPRESSION_TYPES.update(expression_types.OF)

INNER_VAR, OUTER_VAR, INDEX_VAR, ROWID_VAR = -1, -2, -3, -4
SIDE_SCAN, SIDE_OUTER, SIDE_INNER, SIDE_OLD, SIDE_NEW, SIDE_AGG = range(6)
BOOLOID = 16
INTERNAL_LANGUAGE, C_LANGUAGE = 12, 13
BOOL = type_of(BOOLOID)
INTEGER_TYPES = frozenset((20, 21, 23, 26, 1082, 1083, 1114, 1184, 28, 2205, 2206, 24, 2202, 2203, 2204, 4096, 4089))


class Compiler:
    """Compiles the expressions of one plan state."""

    def __init__(self, state: Any, estate: Any, scan_columns: dict[int, int] | None = None) -> None:
        self.state = state
        self.estate = estate
        self.scan_columns = scan_columns
        self.scan_rti = 0
        self.columns: dict[int, Callable[[int], int]] = {}
        self.outer_used: set[int] = set()
        self.inner_used: set[int] = set()
        self.aggrefs: dict[int, Any] = {}
        self.window_funcs: list[Any] = []
        self.grouping_funcs: list[Any] = []
        self.case_stack: list[Any] = []
        self.body_arguments: list[Any] | None = None
        self.bodies: set[int] = set()
        self.domain_stack: list[Any] = []
        self.multiexpr: dict[int, Any] = {}
        self.relation_columns: Callable[[], list[tuple[int, int, int, int]]] | None = None
        self.old_new_columns: dict[int, int] | None = None
        self.aggregate_column: Callable[[Any], int] | None = None
        self.grouping_column: Callable[[Any], int] | None = None
        self.window_column: Callable[[Any], int] | None = None
        self.merge_action: Callable[[], Any] | None = None

    def compile(self, node: Any) -> Any:
        """The compiled form of one expression."""
        found = COMPILERS.get(type(node).__name__)
        if found is None:
            raise feature_not_supported(f"expression node {type(node).__name__}")
        return found(self, node)

    def compile_list(self, nodes: list[Any]) -> list[Any]:
        """Compiled forms."""
        return [self.compile(node) for node in nodes]

    def targets(self, targetlist: list[Any]) -> list[Any]:
        """The compiled target list. Subplans of several columns come first: other entries refer to their columns."""
        multiple: dict[int, Any] = {}
        for place, entry in enumerate(targetlist):
            if type(entry.expr) is SubPlan and entry.expr.subLinkType == enums.MULTIEXPR_SUBLINK:
                subplan_expr = multiple[place] = self.compile(entry.expr)
                self.multiexpr.update(zip(entry.expr.setParam, subplan_expr.columns, strict=True))
        return [multiple.get(place) or self.compile(entry.expr) for place, entry in enumerate(targetlist)]

    def qual(self, clauses: list[Any] | Any | None) -> Any:
        """An implicitly ANDed list (or one expression) as one filter; None when there is nothing to check."""
        if clauses is None or clauses == []:
            return None
        if not isinstance(clauses, list):
            return self.compile(clauses)
        if len(clauses) == 1:
            return self.compile(clauses[0])
        return _expr.AndExpr(self.compile_list(clauses), False, BOOL)

    # -- functions -------------------------------------------------------------------------------------------------

    def call(
        self,
        funcid: int,
        args: list[Any],
        result_type: int,
        typmod: int = -1,
        collation: int = 0,
        input_collation: int = 0,
        variadic: bool = False,
        extra: Any = None,
    ) -> Any:
        """A call of a function with compiled arguments."""
        row = lookup(PROCOID, funcid)
        if row is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for function {funcid}")
        result = type_of(result_type)
        if row.prolang in (INTERNAL_LANGUAGE, C_LANGUAGE):
            kernel = None if variadic or not row.proisstrict else kernel_for(row.prosrc, len(args), input_collation)
            scalar = self.scalar_call(row, args, result, typmod, collation, input_collation, variadic, kernel, extra)
            if kernel is not None:
                return _expr.KernelExpr(kernel, scalar, args, result, typmod, collation)
            return scalar
        argument_types = tuple(arg.type.oid for arg in args)
        if row.prolang == SQL_LANGUAGE and row.oid not in self.bodies:
            body = simple_body(row, argument_types, result_type)
            if body is not None:
                return self.body_call(row, body, args, result, typmod, collation)
        function = hooks.procedure(row, argument_types, result_type, input_collation, self.estate)
        return _expr.CallExpr(function, None, args, row.proisstrict, result, typmod, collation)

    def body_call(self, row: Any, body: Any, args: list[Any], result: Any, typmod: int, collation: int) -> Any:
        """The body of a function in SQL that is one expression, compiled in place of a call."""
        placeholders = [_expr.Placeholder(arg.type, arg.typmod, arg.collation) for arg in args]
        saved = self.body_arguments, self.case_stack
        self.body_arguments, self.case_stack = placeholders, []
        self.bodies.add(row.oid)
        try:
            compiled = self.compile(body)
        finally:
            self.body_arguments, self.case_stack = saved
            self.bodies.discard(row.oid)
        return _expr.BodyExpr(args, placeholders, compiled, row.proisstrict, result, typmod, collation)

    def scalar_call(
        self, row: Any, args: list[Any], result: Any, typmod: int, collation: int, input_collation: int,
        variadic: bool, kernel: Any, extra: Any,
    ) -> Any:  # fmt: skip
        """The call of the scalar definition."""
        if kernel is not None:
            function = support.LateFunction(row.prosrc)
            context = None
            if support.wants_context(row.prosrc):
                context = self.call_context(args, result, typmod, input_collation, variadic, extra)
            return _expr.CallExpr(function, context, args, row.proisstrict, result, typmod, collation)
        definition = lookup_function(row.prosrc)
        context = None
        if definition.context:
            context = self.call_context(args, result, typmod, input_collation, variadic, extra)
        return _expr.CallExpr(definition.call, context, args, row.proisstrict, result, typmod, collation)

    def call_context(
        self, args: list[Any], result: Any, typmod: int, collation: int, variadic: bool, extra: Any = None
    ) -> CallContext:
        """What the function may know of the call."""
        context = CallContext(
            collation=collation,
            argument_types=tuple(arg.type.oid for arg in args),
            result_type=result.oid,
            result_typmod=typmod,
            variadic=variadic,
            columns=extra,
        )
        return context

    # -- nodes -----------------------------------------------------------------------------------------------------

    def var(self, node: Any) -> Any:
        """A Var."""
        varno, attno = node.varno, node.varattno
        type_ = type_of(node.vartype)
        if varno == OUTER_VAR:
            self.outer_used.add(attno - 1)
            return _expr.VarExpr(SIDE_OUTER, attno - 1, type_, node.vartypmod, node.varcollid)
        if varno == INNER_VAR:
            self.inner_used.add(attno - 1)
            return _expr.VarExpr(SIDE_INNER, attno - 1, type_, node.vartypmod, node.varcollid)
        side = SIDE_SCAN
        if node.varreturningtype == enums.VAR_RETURNING_OLD:
            side = SIDE_OLD
        elif node.varreturningtype == enums.VAR_RETURNING_NEW:
            side = SIDE_NEW
        if attno == 0:
            return self.whole_row(node, side)
        return self.scan_var(attno, type_, node.vartypmod, node.varcollid, side)

    def scan_var(self, attno: int, type_: Any, typmod: int, collation: int, side: int = SIDE_SCAN) -> Any:
        """A column of the scan batch."""
        if self.scan_columns is None:
            column = attno - 1
        else:
            column = self.scan_columns.setdefault(attno, len(self.scan_columns))
        return _expr.VarExpr(side, column, type_, typmod, collation)

    def whole_row(self, node: Any, side: int) -> Any:
        """A whole-row Var: a record of all columns."""
        if self.relation_columns is None:
            raise feature_not_supported("whole-row reference here")
        args, dropped = [], []
        for attno, oid, typmod, collation in self.relation_columns():
            if oid == 0:
                dropped.append(attno)
                args.append(_expr.ConstExpr(None, type_of(23)))
            else:
                args.append(self.scan_var(attno, type_of(oid), typmod, collation, side))
        make = rare_expressions.record_maker(node.vartype, args, self.row_names())
        return _expr.CallExpr(make, None, args, False, type_of(node.vartype), node.vartypmod, 0)

    def row_names(self) -> list[str] | None:
        """Column names of the scanned row, for anonymous records."""
        return getattr(self.state, "column_names", None)


def _const(c: Compiler, node: Any) -> Any:
    value = None if node.constisnull else node.constvalue
    return _expr.ConstExpr(value, type_of(node.consttype), node.consttypmod, node.constcollid)


def _param(c: Compiler, node: Any) -> Any:
    type_ = type_of(node.paramtype)
    if node.paramkind == enums.PARAM_EXTERN:
        if c.body_arguments is not None:
            return c.body_arguments[node.paramid - 1]
        slot = c.estate.extern(node.paramid, node.paramtype)
    elif node.paramkind == enums.PARAM_EXEC:
        if node.paramid in c.multiexpr:
            return c.multiexpr[node.paramid]
        slot = c.estate.param(node.paramid)
    else:
        raise feature_not_supported("parameter of this kind")
    return _expr.ParamExpr(slot, node.paramtypmod, node.paramcollid, type_)


def _func(c: Compiler, node: Any) -> Any:
    if node.funcretset:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "set-valued function called in context that cannot accept a set"
        )
    typmod = expression_types.of(node)[1]
    return c.call(node.funcid, c.compile_list(node.args), node.funcresulttype, typmod, node.funccollid,
                  node.inputcollid, node.funcvariadic)  # fmt: skip


def _op(c: Compiler, node: Any) -> Any:
    if node.opretset:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "set-valued function called in context that cannot accept a set"
        )
    return c.call(function_of(node), c.compile_list(node.args), node.opresulttype, -1, node.opcollid, node.inputcollid)


def function_of(node: Any) -> int:
    """The function of an operator node."""
    if node.opfuncid:
        return int(node.opfuncid)
    return operator_function(node.opno)


def operator_function(opno: int) -> int:
    """The function of an operator."""
    from_cache = lookup(OPEROID, opno)
    if from_cache is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for operator {opno}")
    return int(from_cache.oprcode)


def equality(c: Compiler, funcid: int, left: Any, right: Any, input_collation: int) -> tuple[Any, Any, Any]:
    """A boolean function over two placeholders: (compiled, left placeholder, right placeholder)."""
    a = _expr.Placeholder(left.type, left.typmod, left.collation)
    b = _expr.Placeholder(right.type, right.typmod, right.collation)
    return c.call(funcid, [a, b], BOOLOID, -1, 0, input_collation), a, b


def _distinct(c: Compiler, node: Any) -> Any:
    left, right = c.compile_list(node.args)
    test, a, b = equality(c, function_of(node), left, right, node.inputcollid)
    return _expr.DistinctExpr(left, right, test, a, b, False, BOOL)


def _nullif(c: Compiler, node: Any) -> Any:
    left, right = c.compile_list(node.args)
    test, a, b = equality(c, function_of(node), left, right, node.inputcollid)
    return _expr.DistinctExpr(left, right, test, a, b, True, left.type, left.typmod, node.opcollid)


def _array_op(c: Compiler, node: Any) -> Any:
    scalar, array = c.compile_list(node.args)
    funcid = node.opfuncid or operator_function(node.opno)
    row = lookup(PROCOID, funcid)
    element_oid = lookup(TYPEOID, array.type.base).typelem
    element = type_of(element_oid)
    a = _expr.Placeholder(scalar.type, scalar.typmod, scalar.collation)
    b = _expr.Placeholder(element)
    test = c.call(funcid, [a, b], BOOLOID, -1, 0, node.inputcollid)
    uniform = isinstance(array, (_expr.ConstExpr, _expr.ParamExpr))
    is_equality = row.prosrc in INTEGER_EQUALITIES and scalar.type.base in INTEGER_TYPES
    return _expr.ArrayOpExpr(scalar, array, test, a, b, node.useOr, uniform, is_equality and node.useOr,
                             row.proisstrict, element, BOOL)  # fmt: skip


INTEGER_EQUALITIES = frozenset(
    ("int2eq", "int4eq", "int8eq", "int24eq", "int42eq", "int28eq", "int82eq", "int48eq", "int84eq", "oideq", "date_eq",
     "timestamp_eq", "time_eq", "xideq")  # fmt: skip
)


def _bool(c: Compiler, node: Any) -> Any:
    args = c.compile_list(node.args)
    if node.boolop == enums.NOT_EXPR:
        return _expr.NotExpr(args[0], BOOL)
    return _expr.AndExpr(args, node.boolop == enums.OR_EXPR, BOOL)


def _case(c: Compiler, node: Any) -> Any:
    type_ = type_of(node.casetype)
    _, typmod, collation = expression_types.of(node)
    test = placeholder = None
    if node.arg is not None:
        test = c.compile(node.arg)
        placeholder = _expr.Placeholder(test.type, test.typmod, test.collation)
    c.case_stack.append(placeholder)
    conditions = [c.compile(when.expr) for when in node.args]
    c.case_stack.pop()
    whens = [(condition, c.compile(when.result)) for condition, when in zip(conditions, node.args, strict=True)]
    default = c.compile(node.defresult) if node.defresult is not None else _expr.ConstExpr(None, type_)
    return _expr.CaseExpr(test, placeholder, whens, default, type_, typmod, collation)


def _merge_support(c: Compiler, node: Any) -> Any:
    if c.merge_action is None:
        raise SqlError(errcode.INTERNAL_ERROR, "merge support function called in non-merge context")
    return c.merge_action()


def _case_test(c: Compiler, node: Any) -> Any:
    if not c.case_stack or c.case_stack[-1] is None:
        raise SqlError(errcode.INTERNAL_ERROR, "CaseTestExpr without a value")
    return c.case_stack[-1]


def _coalesce(c: Compiler, node: Any) -> Any:
    _, typmod, collation = expression_types.of(node)
    return _expr.CoalesceExpr(c.compile_list(node.args), type_of(node.coalescetype), typmod, collation)


def _null_test(c: Compiler, node: Any) -> Any:
    arg = c.compile(node.arg)
    is_null = node.nulltesttype == enums.IS_NULL
    if node.argisrow:
        return _expr.CallExpr(rare_expressions.row_null_test(is_null), None, [arg], False, BOOL)
    return _expr.NullTestExpr(arg, is_null, BOOL)


BOOLEAN_TESTS = {  # results for true, false and null
    enums.IS_TRUE: (True, False, False),
    enums.IS_NOT_TRUE: (False, True, True),
    enums.IS_FALSE: (False, True, False),
    enums.IS_NOT_FALSE: (True, False, True),
    enums.IS_UNKNOWN: (False, False, True),
    enums.IS_NOT_UNKNOWN: (True, True, False),
}


def _boolean_test(c: Compiler, node: Any) -> Any:
    return _expr.BooleanTestExpr(c.compile(node.arg), *BOOLEAN_TESTS[node.booltesttype], BOOL)


def _relabel(c: Compiler, node: Any) -> Any:
    arg = c.compile(node.arg)
    return _expr.RelabelExpr(arg, type_of(node.resulttype), node.resulttypmod, node.resultcollid)


def _collate(c: Compiler, node: Any) -> Any:
    arg = c.compile(node.arg)
    return _expr.RelabelExpr(arg, arg.type, arg.typmod, node.collOid)


def _domain(c: Compiler, node: Any) -> Any:
    arg = c.compile(node.arg)
    if domains.has_none(node.resulttype):
        return _expr.RelabelExpr(arg, type_of(node.resulttype), node.resulttypmod, node.resultcollid)
    check = domains.compiled_check(c, node.resulttype)
    return _expr.DomainExpr(arg, check, type_of(node.resulttype), node.resulttypmod, node.resultcollid)


def _domain_value(c: Compiler, node: Any) -> Any:
    if not c.domain_stack:
        raise SqlError(errcode.INTERNAL_ERROR, "CoerceToDomainValue without a value")
    return c.domain_stack[-1]


def _aggref(c: Compiler, node: Any) -> Any:
    if c.aggregate_column is None:
        raise SqlError(errcode.INTERNAL_ERROR, "Aggref found in non-Agg plan node")
    return _expr.VarExpr(SIDE_AGG, c.aggregate_column(node), type_of(node.aggtype), -1, node.aggcollid)


def _grouping(c: Compiler, node: Any) -> Any:
    if c.grouping_column is None:
        raise SqlError(errcode.INTERNAL_ERROR, "GroupingFunc found in non-Agg plan node")
    return _expr.VarExpr(SIDE_AGG, c.grouping_column(node), type_of(23))


def _window(c: Compiler, node: Any) -> Any:
    if c.window_column is None:
        raise SqlError(errcode.INTERNAL_ERROR, "WindowFunc found in non-WindowAgg plan node")
    return _expr.VarExpr(SIDE_AGG, c.window_column(node), type_of(node.wintype), -1, node.wincollid)


def _returning(c: Compiler, node: Any) -> Any:
    inner = c.compile(node.retexpr)
    return rare_expressions.returning_guard(c, node, inner)


def _subplan(c: Compiler, node: Any) -> Any:
    return subplan.compile_subplan(c, node)


def _alternative(c: Compiler, node: Any) -> Any:
    return c.compile(node.subplans[0])


def _entry(c: Compiler, node: Any) -> Any:
    return c.compile(node.expr)


def _current_of(c: Compiler, node: Any) -> Any:
    raise feature_not_supported("WHERE CURRENT OF")


COMPILERS: dict[str, Callable[[Compiler, Any], Any]] = {
    "Var": lambda c, node: c.var(node),
    "Const": _const,
    "Param": _param,
    "FuncExpr": _func,
    "OpExpr": _op,
    "DistinctExpr": _distinct,
    "NullIfExpr": _nullif,
    "ScalarArrayOpExpr": _array_op,
    "BoolExpr": _bool,
    "CaseExpr": _case,
    "CaseTestExpr": _case_test,
    "MergeSupportFunc": _merge_support,
    "CoalesceExpr": _coalesce,
    "NullTest": _null_test,
    "BooleanTest": _boolean_test,
    "RelabelType": _relabel,
    "CollateExpr": _collate,
    "CoerceToDomain": _domain,
    "CoerceToDomainValue": _domain_value,
    "Aggref": _aggref,
    "GroupingFunc": _grouping,
    "WindowFunc": _window,
    "ReturningExpr": _returning,
    "SubPlan": _subplan,
    "AlternativeSubPlan": _alternative,
    "TargetEntry": _entry,
    "CurrentOfExpr": _current_of,
}
COMPILERS.update(rare_expressions.COMPILERS)


def btree_operator(opfamily: int, left: int, right: int, strategy: int) -> int:
    """The operator of a btree family, or 0."""
    row = lookup(AMOPSTRATEGY, opfamily, left, right, strategy)
    return 0 if row is None else int(row.amopopr)

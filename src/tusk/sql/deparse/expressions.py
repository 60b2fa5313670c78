"""Operators, tests, casts, rows, arrays, CASE and sub-selects (get_rule_expr)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import CLAOID, TYPEOID, lookup
from tusk.catalog.identifiers import quote_identifier
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.relations import relation_info
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.constants import write_constant
from tusk.sql.deparse.namespaces import attribute_name
from tusk.sql.deparse.variables import write_top_level, write_top_level_list
from tusk.sql.deparse.writer import INDENT_VAR, Deparser, emits
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import expr_type, expr_typmod, strip_implicit_coercions
from tusk.sql.nodes.primitives import (
    AlternativeSubPlan,
    ArrayCoerceExpr,
    ArrayExpr,
    BooleanTest,
    BoolExpr,
    CaseExpr,
    CaseTestExpr,
    CoalesceExpr,
    CoerceToDomain,
    CoerceToDomainValue,
    CoerceViaIO,
    CollateExpr,
    Const,
    ConvertRowtypeExpr,
    CurrentOfExpr,
    DistinctExpr,
    FieldSelect,
    FieldStore,
    FuncExpr,
    InferenceElem,
    MergeSupportFunc,
    MinMaxExpr,
    NamedArgExpr,
    NextValueExpr,
    NullIfExpr,
    NullTest,
    OpExpr,
    RelabelType,
    RowCompareExpr,
    RowExpr,
    ScalarArrayOpExpr,
    SetToDefault,
    SQLValueFunction,
    SubLink,
    SubPlan,
    SubscriptingRef,
    Var,
)

RECORDOID = 2249

# Operators and tests


@emits(OpExpr)
def _operator(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    if len(node.args) == 2:
        left, right = node.args
        d.operand(left, True, node)
        d.put(f" {nm.operator_text(node.opno, expr_type(left), expr_type(right))} ")
        d.operand(right, True, node)
    else:
        (operand,) = node.args
        d.put(nm.operator_text(node.opno, 0, expr_type(operand)) + " ")
        d.operand(operand, True, node)
    d.close_paren()


@emits(DistinctExpr)
def _distinct(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    d.operand(node.args[0], True, node)
    d.put(" IS DISTINCT FROM ")
    d.operand(node.args[1], True, node)
    d.close_paren()


@emits(NullIfExpr)
def _nullif(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("NULLIF(")
    d.expression(node.args, True)
    d.put(")")


@emits(ScalarArrayOpExpr)
def _array_operator(d: Deparser, node: Any, show_implicit: bool) -> None:
    left, right = node.args
    d.open_paren()
    d.operand(left, True, node)
    name = nm.operator_text(node.opno, expr_type(left), lk.base_element_type(expr_type(right)))
    d.put(f" {name} {'ANY' if node.useOr else 'ALL'} (")
    d.operand(right, True, node)
    if type(right) is SubLink and right.subLinkType == enums.EXPR_SUBLINK:
        # Without a cast the parser would take the sub-select for a list of rows, not for one array.
        d.put("::" + nm.type_text(expr_type(right), expr_typmod(right)))
    d.put(")")
    d.close_paren()


@emits(BoolExpr)
def _boolean(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    if node.boolop == enums.NOT_EXPR:
        d.put("NOT ")
        d.operand(node.args[0], False, node)
    else:
        word = " AND " if node.boolop == enums.AND_EXPR else " OR "
        for number, argument in enumerate(node.args):
            if number:
                d.put(word)
            d.operand(argument, False, node)
    d.close_paren()


@emits(NullTest)
def _null_test(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    d.operand(node.arg, True, node)
    is_null = node.nulltesttype == enums.IS_NULL
    if node.argisrow or not _is_row_type(expr_type(node.arg)):
        d.put(" IS NULL" if is_null else " IS NOT NULL")
    else:
        # A test of the row as a whole, not of its columns, which IS NULL would mean.
        d.put(" IS NOT DISTINCT FROM NULL" if is_null else " IS DISTINCT FROM NULL")
    d.close_paren()


def _is_row_type(type_oid: int) -> bool:
    return type_oid == RECORDOID or lk.base_type_class(type_oid) == "c"


_TRUTH = {
    enums.IS_TRUE: " IS TRUE",
    enums.IS_NOT_TRUE: " IS NOT TRUE",
    enums.IS_FALSE: " IS FALSE",
    enums.IS_NOT_FALSE: " IS NOT FALSE",
    enums.IS_UNKNOWN: " IS UNKNOWN",
    enums.IS_NOT_UNKNOWN: " IS NOT UNKNOWN",
}


@emits(BooleanTest)
def _boolean_test(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    d.operand(node.arg, False, node)
    d.put(_TRUTH[node.booltesttype])
    d.close_paren()


@emits(RowCompareExpr)
def _row_compare(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("(ROW(")
    write_top_level_list(d, node.largs, True)
    d.put(f") {nm.operator_text(node.opnos[0], expr_type(node.largs[0]), expr_type(node.rargs[0]))} ROW(")
    write_top_level_list(d, node.rargs, True)
    d.put("))")


# Casts


def write_cast(d: Deparser, arg: Any, type_oid: int, typmod: int, parent: Any) -> None:
    """``arg::type`` (get_coercion_expr)."""
    if type(arg) is Const and arg.consttype == type_oid and arg.consttypmod == -1:
        # The parser makes a length coercion of a literal two steps; one cast shows both.
        write_constant(d, arg, -1)
    else:
        d.open_paren()
        d.operand(arg, False, parent)
        d.close_paren()
    d.put("::" + nm.type_text(type_oid, typmod))


@emits(RelabelType)
def _relabel(d: Deparser, node: Any, show_implicit: bool) -> None:
    _coercion(d, node, node.relabelformat, node.resulttypmod, show_implicit)


@emits(CoerceViaIO)
def _via_io(d: Deparser, node: Any, show_implicit: bool) -> None:
    _coercion(d, node, node.coerceformat, -1, show_implicit)


@emits(ArrayCoerceExpr)
def _array_coerce(d: Deparser, node: Any, show_implicit: bool) -> None:
    _coercion(d, node, node.coerceformat, node.resulttypmod, show_implicit)


@emits(ConvertRowtypeExpr)
def _convert_row(d: Deparser, node: Any, show_implicit: bool) -> None:
    _coercion(d, node, node.convertformat, -1, show_implicit)


def _coercion(d: Deparser, node: Any, form: int, typmod: int, show_implicit: bool) -> None:
    if form == enums.COERCE_IMPLICIT_CAST and not show_implicit:
        d.operand(node.arg, False, node)
    else:
        write_cast(d, node.arg, node.resulttype, typmod, node)


@emits(CoerceToDomain)
def _to_domain(d: Deparser, node: Any, show_implicit: bool) -> None:
    if node.coercionformat == enums.COERCE_IMPLICIT_CAST and not show_implicit:
        d.expression(node.arg, False)
    else:
        write_cast(d, node.arg, node.resulttype, node.resulttypmod, node)


@emits(CollateExpr)
def _collate(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.open_paren()
    d.operand(node.arg, show_implicit, node)
    d.put(" COLLATE " + nm.collation_text(node.collOid))
    d.close_paren()


# Simple words


@emits(CoerceToDomainValue)
def _domain_value(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("VALUE")


@emits(SetToDefault)
def _default(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("DEFAULT")


@emits(CaseTestExpr)
def _case_test(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("CASE_TEST_EXPR")


@emits(MergeSupportFunc)
def _merge_action(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("MERGE_ACTION()")


@emits(CurrentOfExpr)
def _current_of(d: Deparser, node: Any, show_implicit: bool) -> None:
    cursor = f"${node.cursor_param}" if node.cursor_name is None else quote_identifier(node.cursor_name)
    d.put(f"CURRENT OF {cursor}")


@emits(NextValueExpr)
def _next_value(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put(f"nextval({nm.string_literal(nm.relation_text(node.seqid))}::regclass)")


_VALUE_FUNCTIONS = {
    enums.SVFOP_CURRENT_DATE: "CURRENT_DATE",
    enums.SVFOP_CURRENT_TIME: "CURRENT_TIME",
    enums.SVFOP_CURRENT_TIME_N: "CURRENT_TIME",
    enums.SVFOP_CURRENT_TIMESTAMP: "CURRENT_TIMESTAMP",
    enums.SVFOP_CURRENT_TIMESTAMP_N: "CURRENT_TIMESTAMP",
    enums.SVFOP_LOCALTIME: "LOCALTIME",
    enums.SVFOP_LOCALTIME_N: "LOCALTIME",
    enums.SVFOP_LOCALTIMESTAMP: "LOCALTIMESTAMP",
    enums.SVFOP_LOCALTIMESTAMP_N: "LOCALTIMESTAMP",
    enums.SVFOP_CURRENT_ROLE: "CURRENT_ROLE",
    enums.SVFOP_CURRENT_USER: "CURRENT_USER",
    enums.SVFOP_USER: "USER",
    enums.SVFOP_SESSION_USER: "SESSION_USER",
    enums.SVFOP_CURRENT_CATALOG: "CURRENT_CATALOG",
    enums.SVFOP_CURRENT_SCHEMA: "CURRENT_SCHEMA",
}
_WITH_PRECISION = frozenset(
    (
        enums.SVFOP_CURRENT_TIME_N,
        enums.SVFOP_CURRENT_TIMESTAMP_N,
        enums.SVFOP_LOCALTIME_N,
        enums.SVFOP_LOCALTIMESTAMP_N,
    )
)


@emits(SQLValueFunction)
def _value_function(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put(_VALUE_FUNCTIONS[node.op])
    if node.op in _WITH_PRECISION:
        d.put(f"({node.typmod})")


@emits(NamedArgExpr)
def _named_argument(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put(f"{quote_identifier(node.name)} => ")
    d.expression(node.arg, show_implicit)


@emits(CoalesceExpr)
def _coalesce(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("COALESCE(")
    d.expression(node.args, True)
    d.put(")")


@emits(MinMaxExpr)
def _greatest(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("GREATEST(" if node.op == enums.IS_GREATEST else "LEAST(")
    d.expression(node.args, True)
    d.put(")")


# CASE, arrays, rows


@emits(CaseExpr)
def _case(d: Deparser, node: Any, show_implicit: bool) -> None:
    def word(text: str, before: int = 0, after: int = 0) -> None:
        if not d.pretty_indent and text != "CASE":
            d.put(" ")
        d.keyword(text, before, after, 0)

    word("CASE", 0, INDENT_VAR)
    if node.arg is not None:
        d.put(" ")
        d.expression(node.arg, True)
    for when in node.args:
        condition = when.expr
        if node.arg is not None and type(condition) is OpExpr and len(condition.args) == 2:
            left, right = condition.args
            if type(strip_implicit_coercions(left)) is CaseTestExpr:
                condition = right
        word("WHEN ")
        d.expression(condition, False)
        d.put(" THEN ")
        d.expression(when.result, True)
    word("ELSE ")
    d.expression(node.defresult, True)
    word("END", -INDENT_VAR, 0)


@emits(ArrayExpr)
def _array(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("ARRAY[")
    d.expression(node.elements, True)
    d.put("]")
    if not node.elements:
        d.put("::" + nm.type_text(node.array_typeid, -1))


@emits(RowExpr)
def _row(d: Deparser, node: Any, show_implicit: bool) -> None:
    dropped: list[bool] = []
    if node.row_typeid != RECORDOID:
        attributes = relation_info(lk.type_or_domain_relid(node.row_typeid)).attributes
        dropped = [attribute.attisdropped for attribute in attributes]
    d.put("ROW(")
    separator = ""
    for number, argument in enumerate(node.args):
        if number < len(dropped) and dropped[number]:
            continue
        d.put(separator)
        write_top_level(d, argument, True)
        separator = ", "
    for is_dropped in dropped[len(node.args) :]:
        if not is_dropped:
            d.put(separator + "NULL")
            separator = ", "
    d.put(")")
    if node.row_format == enums.COERCE_EXPLICIT_CAST:
        d.put("::" + nm.type_text(node.row_typeid, -1))


def write_subscripts(d: Deparser, node: Any) -> None:
    """``[i][j:k]`` (printSubscripts)."""
    for number, upper in enumerate(node.refupperindexpr):
        d.put("[")
        if node.reflowerindexpr:
            d.expression(node.reflowerindexpr[number], False)
            d.put(":")
        d.expression(upper, False)
        d.put("]")


@emits(SubscriptingRef)
def _subscripting(d: Deparser, node: Any, show_implicit: bool) -> None:
    if type(node.refexpr) is CaseTestExpr:
        # An assignment to an element of a composite column: only the source can be shown.
        d.expression(node.refassgnexpr, show_implicit)
        return
    bare = type(node.refexpr) in (Var, FieldSelect)
    d.put("" if bare else "(")
    d.expression(node.refexpr, show_implicit)
    d.put("" if bare else ")")
    if node.refassgnexpr is not None:
        source = write_indirection(d, node)
        d.put(" := ")
        d.expression(source, show_implicit)
    else:
        write_subscripts(d, node)


@emits(FieldStore)
def _field_store(d: Deparser, node: Any, show_implicit: bool) -> None:
    several = len(node.newvals) != 1
    d.put("ROW(" if several else "")
    d.expression(node.newvals, show_implicit)
    d.put(")" if several else "")


def write_indirection(d: Deparser, node: Any) -> Any:
    """The fields and subscripts of an assignment's target; its source is returned (processIndirection)."""
    domain: Any = None
    while True:
        if type(node) is FieldStore:
            relid = lk.type_or_domain_relid(node.resulttype)
            if not relid:
                raise SqlError(
                    errcode.INTERNAL_ERROR,
                    f"argument type {nm.type_text(node.resulttype, -1)} of FieldStore is not a tuple type",
                )
            d.put("." + quote_identifier(attribute_name(relid, node.fieldnums[0])))
            node = node.newvals[0]
        elif type(node) is SubscriptingRef and node.refassgnexpr is not None:
            write_subscripts(d, node)
            node = node.refassgnexpr
        elif type(node) is CoerceToDomain and node.coercionformat == enums.COERCE_IMPLICIT_CAST:
            domain = node
            node = node.arg
        else:
            return domain if domain is not None and node is domain.arg else node


# Sub-selects


@emits(SubLink)
def _sublink(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("ARRAY(" if node.subLinkType == enums.ARRAY_SUBLINK else "(")
    operator = None
    test = node.testexpr
    if type(test) is OpExpr:
        d.expression(test.args[0], True)
        operator = nm.operator_text(test.opno, expr_type(test.args[0]), expr_type(test.args[1]))
    elif type(test) is BoolExpr:
        d.put("(")
        d.separated([each.args[0] for each in test.args], True)
        d.put(")")
        first = test.args[0]
        operator = nm.operator_text(first.opno, expr_type(first.args[0]), expr_type(first.args[1]))
    elif type(test) is RowCompareExpr:
        d.put("(")
        d.expression(test.largs, True)
        d.put(")")
        operator = nm.operator_text(test.opnos[0], expr_type(test.largs[0]), expr_type(test.rargs[0]))
    paren = True
    match node.subLinkType:
        case enums.EXISTS_SUBLINK:
            d.put("EXISTS ")
        case enums.ANY_SUBLINK:
            d.put(" IN " if operator == "=" else f" {operator} ANY ")
        case enums.ALL_SUBLINK:
            d.put(f" {operator} ALL ")
        case enums.ROWCOMPARE_SUBLINK:
            d.put(f" {operator} ")
        case _:
            paren = False
    d.put("(" if paren else "")
    d.subquery(node.subselect, None, False)
    d.put("))" if paren else ")")


_SUBPLAN_OPENINGS = {
    enums.EXISTS_SUBLINK: "EXISTS(",
    enums.ALL_SUBLINK: "(ALL ",
    enums.ANY_SUBLINK: "(ANY ",
    enums.ROWCOMPARE_SUBLINK: "(",
    enums.EXPR_SUBLINK: "(",
    enums.MULTIEXPR_SUBLINK: "(rescan ",
    enums.ARRAY_SUBLINK: "ARRAY(",
    enums.CTE_SUBLINK: "CTE(",
}


@emits(SubPlan)
def _subplan(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put(_SUBPLAN_OPENINGS[node.subLinkType])
    if node.testexpr is not None:
        # The parameters in the test expression name the subplan; they find it among the ancestors.
        here = d.namespaces[0]
        inside = here.copy()
        inside.ancestors = [node, *here.ancestors]
        d.namespaces[0] = inside
        d.expression(node.testexpr, show_implicit)
        d.namespaces[0] = here
        d.put(")")
    else:
        d.put(f"hashed {node.plan_name})" if node.useHashTable else f"{node.plan_name})")


@emits(AlternativeSubPlan)
def _alternatives(d: Deparser, node: Any, show_implicit: bool) -> None:
    shown = [f"hashed {each.plan_name}" if each.useHashTable else each.plan_name for each in node.subplans]
    d.put(f"(alternatives: {' or '.join(shown)})")


# ON CONFLICT targets


@emits(InferenceElem)
def _inference(d: Deparser, node: Any, show_implicit: bool) -> None:
    saved, d.var_prefix = d.var_prefix, False
    expr = node.expr
    bare = type(expr) is Var or (
        type(expr) is FuncExpr and expr.funcformat in (enums.COERCE_EXPLICIT_CALL, enums.COERCE_SQL_SYNTAX)
    )
    d.put("" if bare else "(")
    d.expression(expr, False)
    d.put("" if bare else ")")
    d.var_prefix = saved
    if node.infercollid:
        d.put(" COLLATE " + nm.collation_text(node.infercollid))
    if node.inferopclass:
        d.put(nm.opclass_suffix(node.inferopclass, lookup(CLAOID, node.inferopclass).opcintype))


def is_string_category(type_oid: int) -> bool:
    """Whether a type is one of character strings."""
    row = lookup(TYPEOID, type_oid)
    return row is not None and row.typcategory == "S"

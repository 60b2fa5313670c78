"""Expressions as SQL text (get_rule_expr)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.cache import COLLOID, OPEROID, PROCOID, lookup
from tusk.catalog.names import format_type, quote_identifier, quote_qualified_identifier
from tusk.catalog.namespace import collation_is_visible, get_namespace_name, relation_is_visible
from tusk.catalog.oids import BOOLOID, INT4OID, NUMERICOID, RECORDOID, UNKNOWNOID
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.functions import resolve_function
from tusk.sql.analyze.operators import find_operator
from tusk.sql.analyze.rangetable import rte_attribute_name, rte_columns
from tusk.sql.analyze.relations import relation_info
from tusk.sql.analyze.rowtypes import expr_result_type
from tusk.sql.deparse.context import INDENT_VAR, Context
from tusk.sql.nodes import enums, primitives
from tusk.sql.nodes.base import equal
from tusk.sql.nodes.nodefuncs import (
    expr_type,
    expr_typmod,
    length_coercion_typmod,
    strip_implicit_coercions,
)
from tusk.sql.nodes.nodetext import StoredDatum
from tusk.sql.nodes.parsetree import SortGroupClause

_IMPLICIT = enums.COERCE_IMPLICIT_CAST


def type_text(type_oid: int, typmod: int = -1) -> str:
    """A type with its modifier (format_type_with_typmod)."""
    return format_type(type_oid, typmod)


def quote_literal_simple(text: str) -> str:
    """A string constant under standard_conforming_strings (simple_quote_literal)."""
    return "'" + text.replace("'", "''") + "'"


def collation_text(collation: int) -> str:
    """A collation's name, qualified if it must be (generate_collation_name)."""
    row = lookup(COLLOID, collation)
    schema = None if collation_is_visible(collation) else get_namespace_name(row.collnamespace)
    return quote_qualified_identifier(schema, row.collname)


def relation_text(relid: int, namespaces: list[Any]) -> str:
    """A relation's name, qualified where a WITH item or the search path hides it (generate_relation_name)."""
    info = relation_info(relid)
    hidden = any(cte.ctename == info.name for namespace in namespaces for cte in namespace.ctes)
    schema = get_namespace_name(info.row.relnamespace) if hidden or not relation_is_visible(relid) else None
    return quote_qualified_identifier(schema, info.name)


def operator_text(operator: int, left: int, right: int) -> str:
    """An operator, qualified unless its name and operands find it (generate_operator_name)."""
    row = lookup(OPEROID, operator)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for operator {operator}")
    found = find_operator(None, [row.oprname], left if row.oprkind == "b" else 0, right, True)
    if found is not None and found.oid == operator:
        return str(row.oprname)
    return f"OPERATOR({quote_identifier(get_namespace_name(row.oprnamespace) or '')}.{row.oprname})"


def function_text(
    function: int, types: list[int], argnames: list[str], variadic: bool, in_group_by: bool = False
) -> str:
    """A function's name, qualified unless its name and arguments find it (generate_function_name)."""
    row = lookup(PROCOID, function)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for function {function}")
    if not (in_group_by and row.proname in ("cube", "rollup")):
        found = resolve_function([row.proname], None, argnames, types, not variadic, True)
        if found.kind in ("f", "a", "w") and found.oid == function:
            return quote_identifier(row.proname)
    return quote_qualified_identifier(get_namespace_name(row.pronamespace), row.proname)


# Constants and variables ------------------------------------------------------------------------------------------------


def const_text(node: primitives.Const, showtype: int) -> str:
    """A constant; ``showtype`` 1 labels its type, 0 does where needed, -1 never (get_const_expr)."""
    if node.constisnull:
        return (
            "NULL" if showtype < 0 else f"NULL::{type_text(node.consttype, node.consttypmod)}{_const_collation(node)}"
        )
    from tusk.types.codec import codec_for

    if isinstance(node.constvalue, StoredDatum):
        codec_for(node.consttype)
    value = codec_for(node.consttype).output(node.constvalue)
    label = False
    if node.consttype == INT4OID:
        label = value.startswith("-")
        text = f"'{value}'" if label else value
    elif node.consttype == NUMERICOID:
        label = not (value[0].isdigit() and any(char in "eE." for char in value))
        text = f"'{value}'" if label else value
    elif node.consttype == BOOLOID:
        text = "true" if value == "t" else "false"
    else:
        text = quote_literal_simple(value)
    if showtype < 0:
        return text
    if node.consttype == NUMERICOID:
        label = label or node.consttypmod >= 0
    elif node.consttype not in (BOOLOID, UNKNOWNOID, INT4OID):
        label = True
    if label or showtype > 0:
        text += f"::{type_text(node.consttype, node.consttypmod)}"
    return text + _const_collation(node)


def _const_collation(node: primitives.Const) -> str:
    if node.constcollid and node.constcollid != lk.type_collation(node.consttype):
        return f" COLLATE {collation_text(node.constcollid)}"
    return ""


def put_variable(ctx: Context, var: primitives.Var, levelsup: int, top: bool) -> str | None:
    """Append a column reference; returns the column's name, None for a whole row (get_variable)."""
    level = var.varlevelsup + levelsup
    namespace = ctx.namespaces[level]
    varno, number = (var.varnosyn, var.varattnosyn) if var.varnosyn > 0 else (var.varno, var.varattno)
    if not 1 <= varno <= len(namespace.rtable):
        raise SqlError(errcode.INTERNAL_ERROR, f"bogus varno: {varno}")
    rte = namespace.rtable[varno - 1]
    if var.varreturningtype == enums.VAR_RETURNING_OLD:
        table = namespace.old_alias
    elif var.varreturningtype == enums.VAR_RETURNING_NEW:
        table = namespace.new_alias
    else:
        table = namespace.names[varno - 1]
    if rte.rtekind == enums.RTE_JOIN and rte.alias is None and number > 0:
        expr = rte.joinaliasvars[number - 1]
        if isinstance(expr, primitives.Var):
            return put_variable(ctx, expr, level, top)
    name: str | None = None
    if number > 0:
        name = namespace.columns[varno - 1].names[number - 1] or "?dropped?column?"
    elif number < 0:
        name = rte_attribute_name(rte, number)
    prefix = ctx.varprefix or name is None or var.varreturningtype != enums.VAR_RETURNING_DEFAULT
    if ctx.var_in_order_by and not ctx.in_group_by and not prefix:
        visible = [target for target in ctx.targets if not target.resjunk]
        for place, target in enumerate(visible):
            if _output_name(ctx, target, place) == name and not equal(var, target.expr):
                prefix = True
                break
    if table is not None and prefix:
        ctx.put(quote_identifier(table), ".")
    if name is not None:
        ctx.put(quote_identifier(name))
    else:
        ctx.put("*")
        if top:
            ctx.put("::", type_text(var.vartype, var.vartypmod))
    return name


def _output_name(ctx: Context, target: Any, place: int) -> str | None:
    if ctx.result_names is not None and place < len(ctx.result_names):
        return ctx.result_names[place]
    return target.resname  # type: ignore[no-any-return]


output_name = _output_name


def field_name(ctx: Context, arg: Any, number: int) -> str:
    """The name of a field of a composite expression (get_name_for_var_field)."""
    if isinstance(arg, primitives.RowExpr) and number <= len(arg.colnames):
        return arg.colnames[number - 1].sval  # type: ignore[no-any-return]
    if isinstance(arg, primitives.Var) and arg.vartype == RECORDOID:
        found = _record_field(ctx, arg, number, 0)
        if found is not None:
            return found
    _, _, columns = expr_result_type(arg)
    if columns is None or number > len(columns):
        return f"f{number}"
    return columns[number - 1].name


def _record_field(ctx: Context, var: primitives.Var, number: int, levelsup: int) -> str | None:
    level = var.varlevelsup + levelsup
    namespace = ctx.namespaces[level]
    rte = namespace.rtable[var.varno - 1]
    if var.varattno == 0:
        return rte_attribute_name(rte, number)
    if rte.rtekind == enums.RTE_SUBQUERY:
        target = next((t for t in rte.subquery.targetList if t.resno == var.varattno), None)
        if target is not None and not isinstance(target.expr, primitives.Var):
            return field_name(ctx, target.expr, number)
    columns = rte_columns(rte)
    del columns
    return None


# Expressions ------------------------------------------------------------------------------------------------------------


def put(ctx: Context, node: Any, show_implicit: bool) -> None:
    """Append an expression; implicit casts at its top only if asked for."""
    if node is None:
        return
    if type(node) is list:
        for place, item in enumerate(node):
            if place:
                ctx.put(", ")
            put(ctx, item, show_implicit)
        return
    handler = _HANDLERS.get(type(node))
    if handler is None:
        raise feature_not_supported(f"showing {type(node).__name__} as text")
    handler(ctx, node, show_implicit)


def put_top(ctx: Context, node: Any, show_implicit: bool) -> None:
    """As `put`, where a whole-row reference must not be taken for a list of columns (get_rule_expr_toplevel)."""
    if isinstance(node, primitives.Var):
        put_variable(ctx, node, 0, True)
    else:
        put(ctx, node, show_implicit)


def _paren(ctx: Context, node: Any, show_implicit: bool, parent: Any) -> None:
    """With parentheses when pretty printing needs them (get_rule_expr_paren)."""
    need = ctx.pretty_paren and not _is_simple(node, parent)
    if need:
        ctx.put("(")
    put(ctx, node, show_implicit)
    if need:
        ctx.put(")")


class _Bracket:
    """Parentheses around everything unless pretty printing."""

    def __init__(self, ctx: Context) -> None:
        self.ctx = ctx

    def __enter__(self) -> None:
        if not self.ctx.pretty_paren:
            self.ctx.put("(")

    def __exit__(self, *error: object) -> None:
        if not self.ctx.pretty_paren:
            self.ctx.put(")")


_ATOMS = (
    primitives.Var, primitives.Const, primitives.Param, primitives.CoerceToDomainValue, primitives.SetToDefault,
    primitives.CurrentOfExpr, primitives.SubscriptingRef, primitives.ArrayExpr, primitives.RowExpr,
    primitives.CoalesceExpr, primitives.MinMaxExpr, primitives.SQLValueFunction, primitives.XmlExpr,
    primitives.NextValueExpr, primitives.NullIfExpr, primitives.Aggref, primitives.GroupingFunc,
    primitives.WindowFunc, primitives.MergeSupportFunc, primitives.FuncExpr, primitives.JsonConstructorExpr,
    primitives.JsonExpr, primitives.CaseExpr,
)  # fmt: skip
_CASTS = (
    primitives.RelabelType, primitives.CoerceViaIO, primitives.ArrayCoerceExpr, primitives.ConvertRowtypeExpr,
    primitives.CoerceToDomain,
)  # fmt: skip


def _is_simple(node: Any, parent: Any) -> bool:
    """Whether a node needs no parentheses below its parent (isSimpleNode)."""
    if isinstance(node, _ATOMS):
        return True
    if isinstance(node, primitives.FieldSelect):
        return not isinstance(parent, primitives.FieldSelect)
    if isinstance(node, primitives.FieldStore):
        return not isinstance(parent, primitives.FieldStore)
    if isinstance(node, _CASTS):
        return _is_simple(node.arg, node)
    if isinstance(node, primitives.OpExpr):
        return _simple_operator(node, parent)
    if isinstance(node, (primitives.SubLink, primitives.NullTest, primitives.BooleanTest, primitives.DistinctExpr)):
        return _in_delimiters(parent, connective=True)
    if isinstance(node, primitives.BoolExpr):
        return _simple_boolean(node, parent)
    return bool(isinstance(node, (primitives.RowCompareExpr, primitives.CaseTestExpr)))


def _in_delimiters(parent: Any, connective: bool) -> bool:
    if isinstance(parent, primitives.FuncExpr):
        # Casts bind tighter than anything.
        return parent.funcformat == enums.COERCE_EXPLICIT_CALL
    if isinstance(parent, primitives.BoolExpr):
        return connective
    return isinstance(
        parent,
        (
            primitives.SubscriptingRef, primitives.ArrayExpr, primitives.RowExpr, primitives.CoalesceExpr,
            primitives.MinMaxExpr, primitives.XmlExpr, primitives.NullIfExpr, primitives.Aggref,
            primitives.GroupingFunc, primitives.WindowFunc, primitives.CaseExpr, primitives.JsonExpr,
        ),
    )  # fmt: skip


def _simple_operator(node: primitives.OpExpr, parent: Any) -> bool:
    """Arithmetic within arithmetic keeps its parentheses only where precedence or order ask for them."""
    if isinstance(parent, primitives.OpExpr):
        op, outer = _simple_symbol(node), _simple_symbol(parent)
        if op is None or outer is None:
            return False
        low, high = op in "+-", op in "*/%"
        outer_low, outer_high = outer in "+-", outer in "*/%"
        if outer_low and high:
            return True
        if outer_high and low:
            return False
        if (low and outer_low) or (high and outer_high):
            return parent.args[0] is node
        return False
    return _in_delimiters(parent, connective=True)


def _simple_symbol(node: primitives.OpExpr) -> str | None:
    if len(node.args) != 2:
        return None
    text = operator_text(node.opno, expr_type(node.args[0]), expr_type(node.args[1]))
    return text if len(text) == 1 and text in "+-*/%" else None


def _simple_boolean(node: primitives.BoolExpr, parent: Any) -> bool:
    if isinstance(parent, primitives.BoolExpr):
        if node.boolop == enums.NOT_EXPR or node.boolop == enums.AND_EXPR:
            return parent.boolop in (enums.AND_EXPR, enums.OR_EXPR)
        return parent.boolop == enums.OR_EXPR
    return _in_delimiters(parent, connective=False)


def _coercion(ctx: Context, arg: Any, type_oid: int, typmod: int, parent: Any) -> None:
    """argument::type (get_coercion_expr)."""
    if isinstance(arg, primitives.Const) and arg.consttype == type_oid and arg.consttypmod == -1:
        ctx.put(const_text(arg, -1))
    else:
        with _Bracket(ctx):
            _paren(ctx, arg, False, parent)
    ctx.put("::", type_text(type_oid, typmod))


def _cast(form: str, typmod: bool) -> Callable[[Context, Any, bool], None]:
    def show(ctx: Context, node: Any, show_implicit: bool) -> None:
        if getattr(node, form) == _IMPLICIT and not show_implicit:
            _paren(ctx, node.arg, False, node)
        else:
            _coercion(ctx, node.arg, node.resulttype, node.resulttypmod if typmod else -1, node)

    return show


def _domain(ctx: Context, node: primitives.CoerceToDomain, show_implicit: bool) -> None:
    if node.coercionformat == _IMPLICIT and not show_implicit:
        put(ctx, node.arg, False)
    else:
        _coercion(ctx, node.arg, node.resulttype, node.resulttypmod, node)


def _var(ctx: Context, node: primitives.Var, _show: bool) -> None:
    put_variable(ctx, node, 0, False)


def _const(ctx: Context, node: primitives.Const, _show: bool) -> None:
    ctx.put(const_text(node, 0))


def _param(ctx: Context, node: primitives.Param, _show: bool) -> None:
    if node.paramkind == enums.PARAM_EXTERN:
        for namespace in ctx.namespaces:
            names = namespace.argument_names
            if node.paramid <= len(names) and names[node.paramid - 1]:
                # Beside tables the bare name could be taken for a column.
                if any(each.names for each in ctx.namespaces):
                    ctx.put(quote_identifier(namespace.function_name or ""), ".")
                ctx.put(quote_identifier(names[node.paramid - 1]))
                return
    ctx.put(f"${node.paramid}")


def _operator(ctx: Context, node: primitives.OpExpr, _show: bool) -> None:
    with _Bracket(ctx):
        if len(node.args) == 2:
            left, right = node.args
            _paren(ctx, left, True, node)
            ctx.put(f" {operator_text(node.opno, expr_type(left), expr_type(right))} ")
            _paren(ctx, right, True, node)
        else:
            arg = node.args[0]
            ctx.put(f"{operator_text(node.opno, 0, expr_type(arg))} ")
            _paren(ctx, arg, True, node)


def _distinct(ctx: Context, node: primitives.DistinctExpr, _show: bool) -> None:
    with _Bracket(ctx):
        _paren(ctx, node.args[0], True, node)
        ctx.put(" IS DISTINCT FROM ")
        _paren(ctx, node.args[1], True, node)


def _array_operator(ctx: Context, node: primitives.ScalarArrayOpExpr, _show: bool) -> None:
    left, right = node.args
    with _Bracket(ctx):
        _paren(ctx, left, True, node)
        symbol = operator_text(node.opno, expr_type(left), lk.base_element_type(expr_type(right)))
        ctx.put(f" {symbol} {'ANY' if node.useOr else 'ALL'} (")
        _paren(ctx, right, True, node)
        if isinstance(right, primitives.SubLink) and right.subLinkType == enums.EXPR_SUBLINK:
            # Else it would be read as ANY (subquery).
            ctx.put("::", type_text(expr_type(right), expr_typmod(right)))
        ctx.put(")")


def _boolean(ctx: Context, node: primitives.BoolExpr, _show: bool) -> None:
    with _Bracket(ctx):
        if node.boolop == enums.NOT_EXPR:
            ctx.put("NOT ")
            _paren(ctx, node.args[0], False, node)
            return
        word = " AND " if node.boolop == enums.AND_EXPR else " OR "
        for place, arg in enumerate(node.args):
            if place:
                ctx.put(word)
            _paren(ctx, arg, False, node)


def _listed(word: str) -> Callable[[Context, Any, bool], None]:
    def show(ctx: Context, node: Any, _show: bool) -> None:
        ctx.put(word, "(")
        put(ctx, node.args, True)
        ctx.put(")")

    return show


def _min_max(ctx: Context, node: primitives.MinMaxExpr, show: bool) -> None:
    _listed("GREATEST" if node.op == enums.IS_GREATEST else "LEAST")(ctx, node, show)


def _case(ctx: Context, node: primitives.CaseExpr, _show: bool) -> None:
    space = "" if ctx.pretty_indent else " "
    ctx.keyword("CASE", 0, INDENT_VAR, 0)
    if node.arg is not None:
        ctx.put(" ")
        put(ctx, node.arg, True)
    for when in node.args:
        condition = when.expr
        if (
            node.arg is not None
            and isinstance(condition, primitives.OpExpr)
            and len(condition.args) == 2
            and isinstance(strip_implicit_coercions(condition.args[0]), primitives.CaseTestExpr)
        ):
            condition = condition.args[1]
        ctx.put(space)
        ctx.keyword("WHEN ", 0, 0, 0)
        put(ctx, condition, False)
        ctx.put(" THEN ")
        put(ctx, when.result, True)
    ctx.put(space)
    ctx.keyword("ELSE ", 0, 0, 0)
    put(ctx, node.defresult, True)
    ctx.put(space)
    ctx.keyword("END", -INDENT_VAR, 0, 0)


def _array(ctx: Context, node: primitives.ArrayExpr, _show: bool) -> None:
    ctx.put("ARRAY[")
    put(ctx, node.elements, True)
    ctx.put("]")
    if not node.elements:
        ctx.put("::", type_text(node.array_typeid, -1))


def _row(ctx: Context, node: primitives.RowExpr, _show: bool) -> None:
    attributes = (
        None if node.row_typeid == RECORDOID else relation_info(lk.type_or_domain_relid(node.row_typeid)).attributes
    )
    ctx.put("ROW(")
    separator = ""
    for place, arg in enumerate(node.args):
        if attributes is None or not attributes[place].attisdropped:
            ctx.put(separator)
            put_top(ctx, arg, True)
            separator = ", "
    for attribute in (attributes or [])[len(node.args) :]:
        if not attribute.attisdropped:
            ctx.put(separator, "NULL")
            separator = ", "
    ctx.put(")")
    if node.row_format == enums.COERCE_EXPLICIT_CAST:
        ctx.put("::", type_text(node.row_typeid, -1))


def _row_compare(ctx: Context, node: primitives.RowCompareExpr, _show: bool) -> None:
    ctx.put("(ROW(")
    for place, arg in enumerate(node.largs):
        ctx.put(", " if place else "")
        put_top(ctx, arg, True)
    symbol = operator_text(node.opnos[0], expr_type(node.largs[0]), expr_type(node.rargs[0]))
    ctx.put(f") {symbol} ROW(")
    for place, arg in enumerate(node.rargs):
        ctx.put(", " if place else "")
        put_top(ctx, arg, True)
    ctx.put("))")


def _collate(ctx: Context, node: primitives.CollateExpr, show_implicit: bool) -> None:
    with _Bracket(ctx):
        _paren(ctx, node.arg, show_implicit, node)
        ctx.put(f" COLLATE {collation_text(node.collOid)}")


def _null_test(ctx: Context, node: primitives.NullTest, _show: bool) -> None:
    is_null = node.nulltesttype == enums.IS_NULL
    with _Bracket(ctx):
        _paren(ctx, node.arg, True, node)
        if node.argisrow or not lk.is_composite(expr_type(node.arg)):
            ctx.put(" IS NULL" if is_null else " IS NOT NULL")
        else:
            ctx.put(" IS NOT DISTINCT FROM NULL" if is_null else " IS DISTINCT FROM NULL")


_BOOLEAN_TESTS = {
    enums.IS_TRUE: " IS TRUE", enums.IS_NOT_TRUE: " IS NOT TRUE", enums.IS_FALSE: " IS FALSE",
    enums.IS_NOT_FALSE: " IS NOT FALSE", enums.IS_UNKNOWN: " IS UNKNOWN", enums.IS_NOT_UNKNOWN: " IS NOT UNKNOWN",
}  # fmt: skip


def _boolean_test(ctx: Context, node: primitives.BooleanTest, _show: bool) -> None:
    with _Bracket(ctx):
        _paren(ctx, node.arg, False, node)
        ctx.put(_BOOLEAN_TESTS[node.booltesttype])


_VALUE_FUNCTIONS = {
    enums.SVFOP_CURRENT_DATE: "CURRENT_DATE", enums.SVFOP_CURRENT_TIME: "CURRENT_TIME",
    enums.SVFOP_CURRENT_TIME_N: "CURRENT_TIME({})", enums.SVFOP_CURRENT_TIMESTAMP: "CURRENT_TIMESTAMP",
    enums.SVFOP_CURRENT_TIMESTAMP_N: "CURRENT_TIMESTAMP({})", enums.SVFOP_LOCALTIME: "LOCALTIME",
    enums.SVFOP_LOCALTIME_N: "LOCALTIME({})", enums.SVFOP_LOCALTIMESTAMP: "LOCALTIMESTAMP",
    enums.SVFOP_LOCALTIMESTAMP_N: "LOCALTIMESTAMP({})", enums.SVFOP_CURRENT_ROLE: "CURRENT_ROLE",
    enums.SVFOP_CURRENT_USER: "CURRENT_USER", enums.SVFOP_USER: "USER", enums.SVFOP_SESSION_USER: "SESSION_USER",
    enums.SVFOP_CURRENT_CATALOG: "CURRENT_CATALOG", enums.SVFOP_CURRENT_SCHEMA: "CURRENT_SCHEMA",
}  # fmt: skip


def _value_function(ctx: Context, node: primitives.SQLValueFunction, _show: bool) -> None:
    ctx.put(_VALUE_FUNCTIONS[node.op].format(node.typmod))


def _subscripts(ctx: Context, node: primitives.SubscriptingRef, show_implicit: bool) -> None:
    if isinstance(node.refexpr, primitives.CaseTestExpr):
        put(ctx, node.refassgnexpr, show_implicit)
        return
    need = not isinstance(node.refexpr, (primitives.Var, primitives.FieldSelect))
    ctx.put("(" if need else "")
    put(ctx, node.refexpr, show_implicit)
    ctx.put(")" if need else "")
    put_subscripts(ctx, node)


def put_subscripts(ctx: Context, node: primitives.SubscriptingRef) -> None:
    """Append ``[i]`` or ``[i:j]`` for each subscript."""
    for place, upper in enumerate(node.refupperindexpr):
        ctx.put("[")
        if node.reflowerindexpr:
            put(ctx, node.reflowerindexpr[place], False)
            ctx.put(":")
        put(ctx, upper, False)
        ctx.put("]")


def _field(ctx: Context, node: primitives.FieldSelect, _show: bool) -> None:
    need = not isinstance(node.arg, (primitives.SubscriptingRef, primitives.FieldSelect))
    ctx.put("(" if need else "")
    put(ctx, node.arg, True)
    ctx.put(")" if need else "")
    ctx.put(".", quote_identifier(field_name(ctx, node.arg, node.fieldnum)))


# Calls ------------------------------------------------------------------------------------------------------------------


def _function(ctx: Context, node: primitives.FuncExpr, show_implicit: bool) -> None:
    if node.funcformat == _IMPLICIT and not show_implicit:
        _paren(ctx, node.args[0], False, node)
        return
    if node.funcformat in (enums.COERCE_EXPLICIT_CAST, _IMPLICIT):
        typmod = length_coercion_typmod(node)
        _coercion(ctx, node.args[0], node.funcresulttype, -1 if typmod is None else typmod, node)
        return
    if node.funcformat == enums.COERCE_SQL_SYNTAX and _sql_syntax(ctx, node):
        return
    names = [arg.name or "" for arg in node.args if isinstance(arg, primitives.NamedArgExpr)]
    types = [expr_type(arg) for arg in node.args]
    ctx.put(function_text(node.funcid, types, names, node.funcvariadic, ctx.in_group_by), "(")
    for place, arg in enumerate(node.args):
        ctx.put(", " if place else "")
        if node.funcvariadic and place == len(node.args) - 1:
            ctx.put("VARIADIC ")
        put(ctx, arg, True)
    ctx.put(")")


def _text_of(node: Any) -> str:
    return str(node.constvalue) if isinstance(node, primitives.Const) else ""


def _sql_syntax(ctx: Context, node: primitives.FuncExpr) -> bool:
    """The special syntaxes of the standard (get_func_sql_syntax)."""
    name, args = lk.proc_row(node.funcid).proname, node.args

    def words(*items: Any) -> bool:
        for item in items:
            if isinstance(item, str):
                ctx.put(item)
            else:
                put(ctx, item, False)
        return True

    count = len(args)
    if name == "timezone":
        if count == 1:
            return words("(", args[0], " AT LOCAL)")
        ctx.put("(")
        _paren(ctx, args[1], False, node)
        ctx.put(" AT TIME ZONE ")
        _paren(ctx, args[0], False, node)
        ctx.put(")")
        return True
    if name == "overlaps":
        return words("((", args[0], ", ", args[1], ") OVERLAPS (", args[2], ", ", args[3], "))")
    if name == "extract":
        return words(f"EXTRACT({_text_of(args[0])} FROM ", args[1], ")")
    if name == "is_normalized":
        form = f" {_text_of(args[1])}" if count == 2 else ""
        return words("(", args[0], f" IS{form} NORMALIZED)")
    if name == "pg_collation_for":
        return words("COLLATION FOR (", args[0], ")")
    if name == "normalize":
        form = f", {_text_of(args[1])}" if count == 2 else ""
        return words("NORMALIZE(", args[0], f"{form})")
    if name == "overlay":
        tail = (" FOR ", args[3]) if count == 4 else ()
        return words("OVERLAY(", args[0], " PLACING ", args[1], " FROM ", args[2], *tail, ")")
    if name == "position":
        return words("POSITION((", args[1], ") IN (", args[0], "))")
    if name == "substring":
        if count == 3 and expr_type(args[1]) != INT4OID:
            return words("SUBSTRING(", args[0], " SIMILAR ", args[1], " ESCAPE ", args[2], ")")
        tail = (" FOR ", args[2]) if count == 3 else ()
        return words("SUBSTRING(", args[0], " FROM ", args[1], *tail, ")")
    if name in ("btrim", "ltrim", "rtrim"):
        word = {"btrim": "BOTH", "ltrim": "LEADING", "rtrim": "TRAILING"}[name]
        what = (" ", args[1]) if count == 2 else ()
        return words(f"TRIM({word}", *what, " FROM ", args[0], ")")
    if name == "system_user":
        return words("SYSTEM_USER")
    if name == "xmlexists":
        return words("XMLEXISTS((", args[0], ") PASSING (", args[1], "))")
    return False


def put_function_call(ctx: Context, node: Any, show_implicit: bool) -> None:
    """An expression of FROM, which must look like a function (get_rule_expr_funccall)."""
    if isinstance(node, primitives.FuncExpr):
        looks = node.funcformat in (enums.COERCE_EXPLICIT_CALL, enums.COERCE_SQL_SYNTAX)
    else:
        looks = isinstance(
            node,
            (primitives.CoalesceExpr, primitives.MinMaxExpr, primitives.NullIfExpr, primitives.SQLValueFunction),
        )
    if looks:
        put(ctx, node, show_implicit)
    else:
        ctx.put("CAST(")
        put(ctx, node, False)
        ctx.put(f" AS {type_text(expr_type(node), expr_typmod(node))})")


def _named(ctx: Context, node: primitives.NamedArgExpr, show_implicit: bool) -> None:
    ctx.put(f"{quote_identifier(node.name or '')} => ")
    put(ctx, node.arg, show_implicit)


def _aggregate(ctx: Context, node: primitives.Aggref, _show: bool) -> None:
    name = function_text(node.aggfnoid, list(node.aggargtypes), [], node.aggvariadic, ctx.in_group_by)
    ctx.put(name, "(", "DISTINCT " if node.aggdistinct else "")
    if node.aggkind != "n":
        put(ctx, node.aggdirectargs, True)
        ctx.put(") WITHIN GROUP (ORDER BY ")
        put_order_by(ctx, node.aggorder, node.args, False)
    else:
        if node.aggstar:
            ctx.put("*")
        visible = [target.expr for target in node.args if not target.resjunk]
        for place, arg in enumerate(visible):
            ctx.put(", " if place else "")
            if node.aggvariadic and place == len(visible) - 1:
                ctx.put("VARIADIC ")
            put(ctx, arg, True)
        if node.aggorder:
            ctx.put(" ORDER BY ")
            put_order_by(ctx, node.aggorder, node.args, False)
    if node.aggfilter is not None:
        ctx.put(") FILTER (WHERE ")
        put(ctx, node.aggfilter, False)
    ctx.put(")")


def _window_function(ctx: Context, node: primitives.WindowFunc, _show: bool) -> None:
    types = [expr_type(arg) for arg in node.args]
    names = [arg.name or "" for arg in node.args if isinstance(arg, primitives.NamedArgExpr)]
    ctx.put(function_text(node.winfnoid, types, names, False, ctx.in_group_by), "(")
    if node.winstar:
        ctx.put("*")
    else:
        put(ctx, node.args, True)
    if node.aggfilter is not None:
        ctx.put(") FILTER (WHERE ")
        put(ctx, node.aggfilter, False)
    ctx.put(") OVER ")
    for window in ctx.windows:
        if window.winref == node.winref:
            if window.name:
                ctx.put(quote_identifier(window.name))
            else:
                put_window(ctx, window, ctx.targets)
            return
    raise SqlError(errcode.INTERNAL_ERROR, f"could not find window clause for winref {node.winref}")


def put_window(ctx: Context, window: Any, targets: list[Any]) -> None:
    """``(PARTITION BY ... ORDER BY ... frame)`` (get_rule_windowspec)."""
    pieces: list[str] = []
    if window.refname:
        pieces.append(quote_identifier(window.refname))
    saved, ctx.parts = ctx.parts, []

    def take() -> str:
        text = ctx.text()
        ctx.parts = []
        return text

    if window.partitionClause and not window.refname:
        ctx.put("PARTITION BY ")
        for place, clause in enumerate(window.partitionClause):
            ctx.put(", " if place else "")
            put_sort_group(ctx, clause.tleSortGroupRef, targets, False)
        pieces.append(take())
    if window.orderClause and not window.copiedOrder:
        ctx.put("ORDER BY ")
        put_order_by(ctx, window.orderClause, targets, False)
        pieces.append(take())
    if window.frameOptions & enums.FRAMEOPTION_NONDEFAULT:
        _frame(ctx, window)
        pieces.append(take().rstrip(" "))
    ctx.parts = saved
    ctx.put("(", " ".join(pieces), ")")


def _frame(ctx: Context, window: Any) -> None:
    options = window.frameOptions
    for bit, word in (
        (enums.FRAMEOPTION_RANGE, "RANGE "), (enums.FRAMEOPTION_ROWS, "ROWS "),
        (enums.FRAMEOPTION_GROUPS, "GROUPS "), (enums.FRAMEOPTION_BETWEEN, "BETWEEN "),
        (enums.FRAMEOPTION_START_UNBOUNDED_PRECEDING, "UNBOUNDED PRECEDING "),
        (enums.FRAMEOPTION_START_CURRENT_ROW, "CURRENT ROW "),
    ):  # fmt: skip
        if options & bit:
            ctx.put(word)
    if options & enums.FRAMEOPTION_START_OFFSET:
        put(ctx, window.startOffset, False)
        ctx.put(" PRECEDING " if options & enums.FRAMEOPTION_START_OFFSET_PRECEDING else " FOLLOWING ")
    if options & enums.FRAMEOPTION_BETWEEN:
        ctx.put("AND ")
        if options & enums.FRAMEOPTION_END_UNBOUNDED_FOLLOWING:
            ctx.put("UNBOUNDED FOLLOWING ")
        elif options & enums.FRAMEOPTION_END_CURRENT_ROW:
            ctx.put("CURRENT ROW ")
        elif options & enums.FRAMEOPTION_END_OFFSET:
            put(ctx, window.endOffset, False)
            ctx.put(" PRECEDING " if options & enums.FRAMEOPTION_END_OFFSET_PRECEDING else " FOLLOWING ")
    for bit, word in (
        (enums.FRAMEOPTION_EXCLUDE_CURRENT_ROW, "EXCLUDE CURRENT ROW "),
        (enums.FRAMEOPTION_EXCLUDE_GROUP, "EXCLUDE GROUP "), (enums.FRAMEOPTION_EXCLUDE_TIES, "EXCLUDE TIES "),
    ):  # fmt: skip
        if options & bit:
            ctx.put(word)


def put_sort_group(ctx: Context, ref: int, targets: list[Any], by_number: bool) -> Any:
    """An item of ORDER BY, GROUP BY ...; returns its expression (get_rule_sortgroupclause)."""
    target = next(each for each in targets if each.ressortgroupref == ref)
    expr = target.expr
    if by_number:
        ctx.put(str(target.resno))
    elif isinstance(expr, primitives.Const):
        ctx.put(const_text(expr, 1))
    elif isinstance(expr, primitives.Var):
        saved, ctx.var_in_order_by = ctx.var_in_order_by, True
        put_variable(ctx, expr, 0, False)
        ctx.var_in_order_by = saved
    else:
        need = ctx.pretty_paren or isinstance(
            expr, (primitives.FuncExpr, primitives.Aggref, primitives.WindowFunc, primitives.JsonConstructorExpr)
        )
        ctx.put("(" if need else "")
        put(ctx, expr, True)
        ctx.put(")" if need else "")
    return expr


def put_order_by(ctx: Context, clauses: list[SortGroupClause], targets: list[Any], by_number: bool) -> None:
    """The items of ORDER BY (get_rule_orderby)."""
    for place, clause in enumerate(clauses):
        ctx.put(", " if place else "")
        type_oid = expr_type(put_sort_group(ctx, clause.tleSortGroupRef, targets, by_number))
        operators = lk.type_operators(type_oid)
        if clause.sortop == operators.lt:
            ctx.put(" NULLS FIRST" if clause.nulls_first else "")
        elif clause.sortop == operators.gt:
            ctx.put(" DESC", "" if clause.nulls_first else " NULLS LAST")
        else:
            ctx.put(f" USING {operator_text(clause.sortop, type_oid, type_oid)}")
            ctx.put(" NULLS FIRST" if clause.nulls_first else " NULLS LAST")


def _sublink(ctx: Context, node: primitives.SubLink, _show: bool) -> None:
    from tusk.sql.deparse.queries import put_query

    ctx.put("ARRAY(" if node.subLinkType == enums.ARRAY_SUBLINK else "(")
    symbol = ""
    test = node.testexpr
    if isinstance(test, primitives.OpExpr):
        put(ctx, test.args[0], True)
        symbol = operator_text(test.opno, expr_type(test.args[0]), expr_type(test.args[1]))
    elif isinstance(test, primitives.BoolExpr):
        ctx.put("(")
        for place, each in enumerate(test.args):
            ctx.put(", " if place else "")
            put(ctx, each.args[0], True)
            symbol = symbol or operator_text(each.opno, expr_type(each.args[0]), expr_type(each.args[1]))
        ctx.put(")")
    elif isinstance(test, primitives.RowCompareExpr):
        ctx.put("(")
        put(ctx, test.largs, True)
        symbol = operator_text(test.opnos[0], expr_type(test.largs[0]), expr_type(test.rargs[0]))
        ctx.put(")")
    kind = node.subLinkType
    need = True
    if kind == enums.EXISTS_SUBLINK:
        ctx.put("EXISTS ")
    elif kind == enums.ANY_SUBLINK:
        ctx.put(" IN " if symbol == "=" else f" {symbol} ANY ")
    elif kind == enums.ALL_SUBLINK:
        ctx.put(f" {symbol} ALL ")
    elif kind == enums.ROWCOMPARE_SUBLINK:
        ctx.put(f" {symbol} ")
    else:
        need = False
    ctx.put("(" if need else "")
    put_query(ctx, node.subselect, None, False)
    ctx.put("))" if need else ")")


def _next_value(ctx: Context, node: primitives.NextValueExpr, _show: bool) -> None:
    ctx.put(f"nextval({quote_literal_simple(relation_text(node.seqid, []))})")


def _current_of(ctx: Context, node: primitives.CurrentOfExpr, _show: bool) -> None:
    if node.cursor_name:
        ctx.put(f"CURRENT OF {quote_identifier(node.cursor_name)}")
    else:
        ctx.put(f"CURRENT OF ${node.cursor_param}")


def _grouping(ctx: Context, node: primitives.GroupingFunc, _show: bool) -> None:
    _listed("GROUPING")(ctx, node, True)


def _target(ctx: Context, node: primitives.TargetEntry, show_implicit: bool) -> None:
    put(ctx, node.expr, show_implicit)


def _word(text: str) -> Callable[[Context, Any, bool], None]:
    def show(ctx: Context, _node: Any, _show: bool) -> None:
        ctx.put(text)

    return show


def _returning(ctx: Context, node: primitives.ReturningExpr, show_implicit: bool) -> None:
    put(ctx, node.retexpr, show_implicit)


def _inference(ctx: Context, node: primitives.InferenceElem, _show: bool) -> None:
    # A column stands bare, everything else in parentheses, as in CREATE INDEX.
    saved, ctx.varprefix = ctx.varprefix, False
    need = not isinstance(node.expr, primitives.Var) and not (
        isinstance(node.expr, primitives.FuncExpr) and node.expr.funcformat == enums.COERCE_EXPLICIT_CALL
    )
    ctx.put("(" if need else "")
    put(ctx, node.expr, False)
    ctx.put(")" if need else "")
    ctx.varprefix = saved
    if node.infercollid:
        ctx.put(f" COLLATE {collation_text(node.infercollid)}")
    if node.inferopclass:
        from tusk.sql.deparse.objects import opclass_text

        ctx.put(opclass_text(node.inferopclass, expr_type(node.expr)))


_HANDLERS: dict[type, Callable[[Context, Any, bool], None]] = {
    primitives.Var: _var, primitives.Const: _const, primitives.Param: _param, primitives.Aggref: _aggregate,
    primitives.GroupingFunc: _grouping, primitives.WindowFunc: _window_function,
    primitives.MergeSupportFunc: _word("MERGE_ACTION()"), primitives.SubscriptingRef: _subscripts,
    primitives.FuncExpr: _function, primitives.NamedArgExpr: _named, primitives.OpExpr: _operator,
    primitives.DistinctExpr: _distinct, primitives.NullIfExpr: _listed("NULLIF"),
    primitives.ScalarArrayOpExpr: _array_operator, primitives.BoolExpr: _boolean, primitives.SubLink: _sublink,
    primitives.FieldSelect: _field, primitives.RelabelType: _cast("relabelformat", True),
    primitives.CoerceViaIO: _cast("coerceformat", False), primitives.ArrayCoerceExpr: _cast("coerceformat", True),
    primitives.ConvertRowtypeExpr: _cast("convertformat", False), primitives.CollateExpr: _collate,
    primitives.CaseExpr: _case, primitives.CaseTestExpr: _word("CASE_TEST_EXPR"), primitives.ArrayExpr: _array,
    primitives.RowExpr: _row, primitives.RowCompareExpr: _row_compare, primitives.CoalesceExpr: _listed("COALESCE"),
    primitives.MinMaxExpr: _min_max, primitives.SQLValueFunction: _value_function, primitives.NullTest: _null_test,
    primitives.BooleanTest: _boolean_test, primitives.CoerceToDomain: _domain,
    primitives.CoerceToDomainValue: _word("VALUE"), primitives.SetToDefault: _word("DEFAULT"),
    primitives.CurrentOfExpr: _current_of, primitives.NextValueExpr: _next_value, primitives.TargetEntry: _target,
    primitives.ReturningExpr: _returning, primitives.InferenceElem: _inference,
}  # fmt: skip

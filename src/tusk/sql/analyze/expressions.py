"""Expressions: raw trees to typed ones (transformExpr)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.names import format_type
from tusk.catalog.oids import (
    BITOID,
    BOOLOID,
    DATEOID,
    INT2VECTOROID,
    INT4OID,
    INT8OID,
    NAMEOID,
    NUMERICOID,
    OIDVECTOROID,
    RECORDOID,
    TEXTOID,
    TIMEOID,
    TIMESTAMPOID,
    TIMESTAMPTZOID,
    TIMETZOID,
    UNKNOWNOID,
    XMLOID,
)
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import (
    EXPLICIT,
    EXPLICIT_CAST,
    IMPLICIT,
    IMPLICIT_CAST,
    coerce_to_boolean,
    coerce_to_common_type,
    coerce_to_specific_type,
    coerce_to_target_type,
    parser_coercion_errposition,
    select_common_type,
    verify_common_type,
)
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.functions import parse_func_or_column
from tusk.sql.analyze.operators import make_operator, make_scalar_array_operator
from tusk.sql.analyze.rangetable import (
    column_to_var,
    find_table,
    missing_column,
    missing_table,
    scan_nsitem_for_column,
    whole_row_ref,
)
from tusk.sql.analyze.relations import database_name
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.subscripts import transform_subscripts
from tusk.sql.analyze.typenames import lookup_collation, type_name_oid_typmod
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.base import copy_tree
from tusk.sql.nodes.literals import BitString, Boolean, Float, Integer, String
from tusk.sql.nodes.make import make_bool, make_const, make_range_var
from tusk.sql.nodes.nodefuncs import expr_location, expr_type, expr_typmod, expression_returns_set
from tusk.sql.nodes.parsetree import (
    A_ArrayExpr,
    A_Const,
    A_Expr,
    A_Indices,
    A_Indirection,
    A_Star,
    CollateClause,
    ColumnRef,
    FuncCall,
    JsonArrayAgg,
    JsonArrayConstructor,
    JsonArrayQueryConstructor,
    JsonFuncExpr,
    JsonObjectAgg,
    JsonObjectConstructor,
    JsonParseExpr,
    JsonScalarExpr,
    JsonSerializeExpr,
    MultiAssignRef,
    ParamRef,
    Query,
    ResTarget,
    TypeCast,
    XmlSerialize,
)
from tusk.sql.nodes.primitives import (
    ArrayExpr,
    BooleanTest,
    BoolExpr,
    CaseExpr,
    CaseTestExpr,
    CaseWhen,
    CoalesceExpr,
    CollateExpr,
    Const,
    CurrentOfExpr,
    DistinctExpr,
    GroupingFunc,
    JsonIsPredicate,
    MergeSupportFunc,
    MinMaxExpr,
    NamedArgExpr,
    NullIfExpr,
    NullTest,
    OpExpr,
    Param,
    RowCompareExpr,
    RowExpr,
    SetToDefault,
    SQLValueFunction,
    SubLink,
    TargetEntry,
    Var,
    XmlExpr,
)


def transform_expr(pstate: ParseState, expr: Any, kind: ExprKind) -> Any:
    """Analyse an expression of a clause; collations are assigned later (transformExpr)."""
    saved = pstate.expr_kind
    pstate.expr_kind = kind
    try:
        return transform(pstate, expr)
    finally:
        pstate.expr_kind = saved


def transform(pstate: ParseState, expr: Any) -> Any:
    """As `transform_expr` inside the same clause (transformExprRecurse)."""
    if expr is None:
        return None
    handler = _HANDLERS.get(type(expr))
    if handler is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized node type: {type(expr).__name__}")
    return handler(pstate, expr)


# Constants, parameters, columns -------------------------------------------------------------------------------------


def make_const_node(pstate: ParseState | None, node: A_Const) -> Const:
    """The Const of a literal: integers by size, decimals numeric, strings unknown (make_const)."""
    location = node.location
    if node.isnull:
        return Const(consttype=UNKNOWNOID, consttypmod=-1, constlen=-2, constisnull=True, location=location)
    value = node.val
    if isinstance(value, Integer):
        return Const(
            consttype=INT4OID, consttypmod=-1, constlen=4, constvalue=value.ival, constbyval=True, location=location
        )
    if isinstance(value, String):
        return Const(consttype=UNKNOWNOID, consttypmod=-1, constlen=-2, constvalue=value.sval, location=location)
    if isinstance(value, Boolean):
        return Const(
            consttype=BOOLOID,
            consttypmod=-1,
            constlen=1,
            constvalue=value.boolval,
            constbyval=True,
            location=location,
        )
    if isinstance(value, Float):
        return _numeric_const(pstate, value.fval or "", location)
    assert isinstance(value, BitString)
    from tusk.sql.analyze.state import position_of_errors
    from tusk.types.codec import codec_for

    with position_of_errors(pstate, location):
        bits = codec_for(BITOID).input(value.bsval or "b", -1)
    return Const(consttype=BITOID, consttypmod=-1, constlen=-1, constvalue=bits, location=location)


def _numeric_const(pstate: ParseState | None, text: str, location: int) -> Const:
    digits = text.replace("_", "")
    try:
        number = int(digits, 0 if digits[:2].lower() in ("0x", "0o", "0b") else 10)
    except ValueError:
        number = None
    if number is not None and -(2**63) <= number < 2**63:
        if -(2**31) <= number < 2**31:
            return Const(
                consttype=INT4OID, consttypmod=-1, constlen=4, constvalue=number, constbyval=True, location=location
            )
        return Const(
            consttype=INT8OID, consttypmod=-1, constlen=8, constvalue=number, constbyval=True, location=location
        )
    from tusk.sql.analyze.state import position_of_errors
    from tusk.types.codec import codec_for

    with position_of_errors(pstate, location):
        value = codec_for(NUMERICOID).input(text, -1)
    return Const(consttype=NUMERICOID, consttypmod=-1, constlen=-1, constvalue=value, location=location)


_NO_COLUMNS = {
    ExprKind.COLUMN_DEFAULT: "cannot use column reference in DEFAULT expression",
    ExprKind.PARTITION_BOUND: "cannot use column reference in partition bound expression",
}


def _column_ref(pstate: ParseState, ref: ColumnRef) -> Any:
    message = _NO_COLUMNS.get(pstate.expr_kind)
    if message is not None:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, message, ref.location)
    if pstate.pre_columnref_hook is not None:
        node = pstate.pre_columnref_hook(pstate, ref)
        if node is not None:
            return node
    fields = ref.fields
    location = ref.location
    node = None
    relname = colname = schema = None
    problem = ""
    last_srf = pstate.last_srf
    if len(fields) == 1:
        name = colname = fields[0].sval
        node = column_to_var(pstate, name, False, location)
        if node is None:
            # A bare name that is no column may be a table, meaning its row.
            found = find_table(pstate, None, name, location)
            if found is not None:
                node = whole_row_ref(pstate, *found, location)
    elif len(fields) <= 4:
        names: list[Any] = [f.sval if isinstance(f, String) else "*" for f in fields]
        if len(fields) == 4 and names[0] != database_name():
            problem = "database"
        else:
            schema = names[-3] if len(fields) > 2 else None
            relname, colname = names[-2], names[-1]
            found = find_table(pstate, schema, relname, location)
            if found is None:
                problem = "table"
            else:
                item, level = found
                if isinstance(fields[-1], A_Star):
                    node = whole_row_ref(pstate, item, level, location)
                else:
                    node = scan_nsitem_for_column(pstate, item, level, colname, location)
                    if node is None:
                        row = whole_row_ref(pstate, item, level, location)
                        node = parse_func_or_column(
                            pstate, [String(sval=colname)], [row], last_srf, None, False, location
                        )
    else:
        problem = "too many"
    if pstate.post_columnref_hook is not None:
        hooked = pstate.post_columnref_hook(pstate, ref, node)
        if node is None:
            node = hooked
        elif hooked is not None:
            shown = ".".join("*" if isinstance(f, A_Star) else f.sval for f in fields)
            raise pstate.error(errcode.AMBIGUOUS_COLUMN, f'column reference "{shown}" is ambiguous', location)
    if node is not None:
        return node
    shown = ".".join("*" if isinstance(f, A_Star) else f.sval for f in fields)
    if problem == "database":
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED, f"cross-database references are not implemented: {shown}", location
        )
    if problem == "too many":
        raise pstate.error(errcode.SYNTAX_ERROR, f"improper qualified name (too many dotted names): {shown}", location)
    if problem == "table":
        raise missing_table(pstate, make_range_var(schema, relname or "", location))
    raise missing_column(pstate, relname, colname or "", location)


def _param_ref(pstate: ParseState, ref: ParamRef) -> Any:
    result = pstate.paramref_hook(pstate, ref) if pstate.paramref_hook is not None else None
    if result is None:
        raise pstate.error(errcode.UNDEFINED_PARAMETER, f"there is no parameter ${ref.number}", ref.location)
    return result


# Indirection, arrays ------------------------------------------------------------------------------------------------


def unknown_attribute(pstate: ParseState, container: Any, name: str, location: int) -> SqlError:
    """42703 or 42809 for a field that a value does not have (unknown_attribute)."""
    if isinstance(container, Var) and container.varattno == 0:
        from tusk.sql.analyze.rangetable import rte_of

        rte = rte_of(pstate, container.varno, container.varlevelsup)
        return pstate.error(errcode.UNDEFINED_COLUMN, f"column {rte.eref.aliasname}.{name} does not exist", location)
    type_oid = expr_type(container)
    if lk.is_composite(type_oid) and type_oid != RECORDOID:
        return pstate.error(
            errcode.UNDEFINED_COLUMN, f'column "{name}" not found in data type {format_type(type_oid)}', location
        )
    if type_oid == RECORDOID:
        return pstate.error(
            errcode.UNDEFINED_COLUMN, f'could not identify column "{name}" in record data type', location
        )
    return pstate.error(
        errcode.WRONG_OBJECT_TYPE,
        f"column notation .{name} applied to type {format_type(type_oid)}, which is not a composite type",
        location,
    )


def _indirection(pstate: ParseState, node: A_Indirection) -> Any:
    last_srf = pstate.last_srf
    result = transform(pstate, node.arg)
    location = expr_location(result)
    subscripts: list[Any] = []
    for step in node.indirection:
        if isinstance(step, A_Indices):
            subscripts.append(step)
            continue
        if isinstance(step, A_Star):
            raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, 'row expansion via "*" is not supported here', location)
        if subscripts:
            result = transform_subscripts(pstate, result, expr_type(result), expr_typmod(result), subscripts, False)
            subscripts = []
        selected = parse_func_or_column(pstate, [step], [result], last_srf, None, False, location)
        if selected is None:
            raise unknown_attribute(pstate, result, step.sval, location)
        result = selected
    if subscripts:
        result = transform_subscripts(pstate, result, expr_type(result), expr_typmod(result), subscripts, False)
    return result


def _array(pstate: ParseState, node: A_ArrayExpr, array_type: int = 0, element: int = 0, typmod: int = -1) -> ArrayExpr:
    """ARRAY[...], of a type a cast around it asks for, or of the elements' common type (transformArrayExpr)."""
    multidims = False
    elements = []
    for each in node.elements:
        if isinstance(each, A_ArrayExpr):
            expr: Any = _array(pstate, each, array_type, element, typmod)
            multidims = True
        else:
            expr = transform(pstate, each)
            if not multidims and expr_type(expr) not in (INT2VECTOROID, OIDVECTOROID):
                multidims = bool(lk.element_type(expr_type(expr)))
        elements.append(expr)
    hard = bool(array_type)
    if hard:
        wanted = array_type if multidims else element
    else:
        if not elements:
            raise pstate.error(
                errcode.INDETERMINATE_DATATYPE,
                "cannot determine type of empty array",
                node.location,
                hint="Explicitly cast to the desired type, for example ARRAY[]::integer[].",
            )
        wanted, _ = select_common_type(pstate, elements, "ARRAY")
        if multidims:
            array_type = wanted
            element = lk.element_type(array_type)
            if not element:
                raise pstate.error(
                    errcode.UNDEFINED_OBJECT,
                    f"could not find element type for data type {format_type(array_type)}",
                    node.location,
                )
        else:
            element = wanted
            array_type = (
                lk.promoted_array_type(element)
                if element in (INT2VECTOROID, OIDVECTOROID)
                else (lk.array_type(element))
            )
            if not array_type:
                raise pstate.error(
                    errcode.UNDEFINED_OBJECT,
                    f"could not find array type for data type {format_type(element)}",
                    node.location,
                )
    converted = []
    for expr in elements:
        if hard:
            new = coerce_to_target_type(pstate, expr, expr_type(expr), wanted, typmod, EXPLICIT, EXPLICIT_CAST, -1)
            if new is None:
                raise pstate.error(
                    errcode.CANNOT_COERCE,
                    f"cannot cast type {format_type(expr_type(expr))} to {format_type(wanted)}",
                    expr_location(expr),
                )
        else:
            new = coerce_to_common_type(pstate, expr, wanted, "ARRAY")
        converted.append(new)
    return ArrayExpr(
        array_typeid=array_type,
        element_typeid=element,
        elements=converted,
        multidims=multidims,
        list_start=node.list_start,
        list_end=node.list_end,
        location=node.location,
    )


def _type_cast(pstate: ParseState, cast: TypeCast) -> Any:
    target, typmod = type_name_oid_typmod(pstate, cast.typeName)
    arg = cast.arg
    if isinstance(arg, A_ArrayExpr):
        base, base_typmod = lk.base_type_and_typmod(target, typmod)
        element = lk.element_type(base)
        expr = _array(pstate, arg, base, element, base_typmod) if element else transform(pstate, arg)
    else:
        expr = transform(pstate, arg)
    source = expr_type(expr)
    if not source:
        return expr
    location = cast.location if cast.location >= 0 else cast.typeName.location
    result = coerce_to_target_type(pstate, expr, source, target, typmod, EXPLICIT, EXPLICIT_CAST, location)
    if result is None:
        raise pstate.error(
            errcode.CANNOT_COERCE,
            f"cannot cast type {format_type(source)} to {format_type(target)}",
            parser_coercion_errposition(location, expr),
        )
    return result


def _collate(pstate: ParseState, clause: CollateClause) -> CollateExpr:
    arg = transform(pstate, clause.arg)
    type_oid = expr_type(arg)
    if not lk.type_collation(type_oid) and type_oid != UNKNOWNOID:
        raise pstate.error(
            errcode.DATATYPE_MISMATCH,
            f"collations are not supported by type {format_type(type_oid)}",
            clause.location,
        )
    return CollateExpr(
        arg=arg, collOid=lookup_collation(pstate, clause.collname, clause.location), location=clause.location
    )


# Operators ----------------------------------------------------------------------------------------------------------


def _is_null_const(node: Any) -> bool:
    return isinstance(node, A_Const) and bool(node.isnull)


def _op(pstate: ParseState, node: A_Expr) -> Any:
    left, right = node.lexpr, node.rexpr
    if isinstance(left, RowExpr) and isinstance(right, SubLink) and right.subLinkType == enums.EXPR_SUBLINK:
        right.subLinkType = enums.ROWCOMPARE_SUBLINK
        right.testexpr, right.operName, right.location = left, node.name, node.location
        return transform(pstate, right)
    if isinstance(left, RowExpr) and isinstance(right, RowExpr):
        left, right = transform(pstate, left), transform(pstate, right)
        return make_row_comparison(pstate, node.name, left.args, right.args, node.location)
    last_srf = pstate.last_srf
    return make_operator(pstate, node.name, transform(pstate, left), transform(pstate, right), last_srf, node.location)


def _op_any_all(pstate: ParseState, node: A_Expr) -> Any:
    return make_scalar_array_operator(
        pstate,
        node.name,
        node.kind == enums.AEXPR_OP_ANY,
        transform(pstate, node.lexpr),
        transform(pstate, node.rexpr),
        node.location,
    )


def _distinct(pstate: ParseState, node: A_Expr) -> Any:
    negate = node.kind == enums.AEXPR_NOT_DISTINCT
    if _is_null_const(node.rexpr) or _is_null_const(node.lexpr):
        arg = node.lexpr if _is_null_const(node.rexpr) else node.rexpr
        # A test of the value as a whole, also when it is a row: argisrow stays false.
        return NullTest(
            arg=transform(pstate, arg),
            nulltesttype=enums.IS_NULL if negate else enums.IS_NOT_NULL,
            location=node.location,
        )
    last_srf = pstate.last_srf
    left, right = transform(pstate, node.lexpr), transform(pstate, node.rexpr)
    if isinstance(left, RowExpr) and isinstance(right, RowExpr):
        result = _row_distinct(pstate, node.name, left, right, node.location)
    else:
        result = _make_distinct(pstate, node.name, left, right, last_srf, node.location)
    if negate:
        result = make_bool(enums.NOT_EXPR, [result], node.location)
    return result


def _as_kind(op: OpExpr, kind: type[Any]) -> Any:
    return kind(
        opno=op.opno,
        opfuncid=op.opfuncid,
        opresulttype=op.opresulttype,
        opretset=op.opretset,
        args=op.args,
        location=op.location,
    )


def _make_distinct(pstate: ParseState, name: list[Any], left: Any, right: Any, last_srf: Any, location: int) -> Any:
    op = make_operator(pstate, name, left, right, last_srf, location)
    if op.opresulttype != BOOLOID:
        raise pstate.error(errcode.DATATYPE_MISMATCH, "IS DISTINCT FROM requires = operator to yield boolean", location)
    if op.opretset:
        raise pstate.error(errcode.DATATYPE_MISMATCH, "IS DISTINCT FROM must not return a set", location)
    return _as_kind(op, DistinctExpr)


def _row_distinct(pstate: ParseState, name: list[Any], left: RowExpr, right: RowExpr, location: int) -> Any:
    if len(left.args) != len(right.args):
        raise pstate.error(errcode.SYNTAX_ERROR, "unequal number of entries in row expressions", location)
    result = None
    for one, other in zip(left.args, right.args, strict=True):
        test = _make_distinct(pstate, name, one, other, pstate.last_srf, location)
        result = test if result is None else make_bool(enums.OR_EXPR, [result, test], location)
    if result is None:
        return make_const(BOOLOID, -1, 0, False)
    return result


def _nullif(pstate: ParseState, node: A_Expr) -> Any:
    last_srf = pstate.last_srf
    op = make_operator(
        pstate, node.name, transform(pstate, node.lexpr), transform(pstate, node.rexpr), last_srf, node.location
    )
    if op.opresulttype != BOOLOID:
        raise pstate.error(errcode.DATATYPE_MISMATCH, "NULLIF requires = operator to yield boolean", node.location)
    if op.opretset:
        raise pstate.error(errcode.DATATYPE_MISMATCH, "NULLIF must not return a set", node.location)
    result = _as_kind(op, NullIfExpr)
    result.opresulttype = expr_type(result.args[0])
    return result


def _contains_vars(tree: Any) -> bool:
    found = False

    def visit(node: Any, level: int) -> Any:
        nonlocal found
        if isinstance(node, Var) and node.varlevelsup == level:
            found = True
            return True
        return None

    nodefuncs.walk_levels(tree, visit)
    return found


def _in(pstate: ParseState, node: A_Expr) -> Any:
    """x IN (list): constants become one array test, the rest single comparisons (transformAExprIn)."""
    use_or = node.name[0].sval != "<>"
    left = transform(pstate, node.lexpr)
    exprs: list[Any] = []
    plain: list[Any] = []
    others: list[Any] = []
    for each in node.rexpr:
        expr = transform(pstate, each)
        exprs.append(expr)
        (others if _contains_vars(expr) else plain).append(expr)
    result: Any = None
    if len(plain) > 1:
        if not isinstance(left, RowExpr):
            common, _ = select_common_type(pstate, [left, *plain], None)
            if common and not verify_common_type(common, [left, *plain]):
                common = 0
        else:
            common = 0
        container = lk.array_type(common) if common and common != RECORDOID else 0
        if container:
            elements = [coerce_to_common_type(pstate, expr, common, "IN") for expr in plain]
            array = ArrayExpr(
                array_typeid=container,
                element_typeid=common,
                elements=elements,
                list_start=-1 if others else node.rexpr_list_start,
                list_end=-1 if others else node.rexpr_list_end,
                location=-1,
            )
            result = make_scalar_array_operator(pstate, node.name, use_or, left, array, node.location)
            exprs = others
    for expr in exprs:
        if isinstance(left, RowExpr) and isinstance(expr, RowExpr):
            test = make_row_comparison(
                pstate,
                node.name,
                [copy_tree(arg) for arg in left.args],
                expr.args,
                node.location,
            )
        else:
            test = make_operator(
                pstate,
                node.name,
                copy_tree(left),
                expr,
                pstate.last_srf,
                node.location,
            )
        test = coerce_to_boolean(pstate, test, "IN")
        if result is None:
            result = test
        else:
            result = make_bool(enums.OR_EXPR if use_or else enums.AND_EXPR, [result, test], node.location)
    return result


def _between(pstate: ParseState, node: A_Expr) -> Any:
    low, high = node.rexpr
    x = node.lexpr
    location = node.location

    def simple(op: str, left: Any, right: Any) -> A_Expr:
        return A_Expr(kind=enums.AEXPR_OP, name=[String(sval=op)], lexpr=left, rexpr=right, location=location)

    def again(tree: Any) -> Any:
        return copy_tree(tree)

    def both(kind: enums.BoolExprType, *args: Any) -> BoolExpr:
        return make_bool(kind, list(args), location)

    if node.kind == enums.AEXPR_BETWEEN:
        tree = both(enums.AND_EXPR, simple(">=", x, low), simple("<=", again(x), high))
    elif node.kind == enums.AEXPR_NOT_BETWEEN:
        tree = both(enums.OR_EXPR, simple("<", x, low), simple(">", again(x), high))
    elif node.kind == enums.AEXPR_BETWEEN_SYM:
        one = both(enums.AND_EXPR, simple(">=", x, low), simple("<=", again(x), high))
        two = both(enums.AND_EXPR, simple(">=", again(x), again(high)), simple("<=", again(x), again(low)))
        tree = both(enums.OR_EXPR, one, two)
    else:
        one = both(enums.OR_EXPR, simple("<", x, low), simple(">", again(x), high))
        two = both(enums.OR_EXPR, simple("<", again(x), again(high)), simple(">", again(x), again(low)))
        tree = both(enums.AND_EXPR, one, two)
    return transform(pstate, tree)


_A_EXPRS: dict[int, Callable[[ParseState, A_Expr], Any]] = {
    enums.AEXPR_OP: _op,
    enums.AEXPR_OP_ANY: _op_any_all,
    enums.AEXPR_OP_ALL: _op_any_all,
    enums.AEXPR_DISTINCT: _distinct,
    enums.AEXPR_NOT_DISTINCT: _distinct,
    enums.AEXPR_NULLIF: _nullif,
    enums.AEXPR_IN: _in,
    enums.AEXPR_LIKE: _op,
    enums.AEXPR_ILIKE: _op,
    enums.AEXPR_SIMILAR: _op,
    enums.AEXPR_BETWEEN: _between,
    enums.AEXPR_NOT_BETWEEN: _between,
    enums.AEXPR_BETWEEN_SYM: _between,
    enums.AEXPR_NOT_BETWEEN_SYM: _between,
}


def _a_expr(pstate: ParseState, node: A_Expr) -> Any:
    return _A_EXPRS[node.kind](pstate, node)


def _bool_expr(pstate: ParseState, node: BoolExpr) -> Any:
    name = {enums.AND_EXPR: "AND", enums.OR_EXPR: "OR", enums.NOT_EXPR: "NOT"}[node.boolop]
    args = [coerce_to_boolean(pstate, transform(pstate, arg), name) for arg in node.args]
    return BoolExpr(boolop=node.boolop, args=args, location=node.location)


def make_row_comparison(pstate: ParseState, name: list[Any], left: list[Any], right: list[Any], location: int) -> Any:
    """Compare rows: = and <> column by column, the orderings through one node (make_row_comparison_op)."""
    if len(left) != len(right):
        raise pstate.error(errcode.SYNTAX_ERROR, "unequal number of entries in row expressions", location)
    if not left:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, "cannot compare rows of zero length", location)
    ops = []
    for one, other in zip(left, right, strict=True):
        op = make_operator(pstate, name, one, other, pstate.last_srf, location)
        if op.opresulttype != BOOLOID:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                f"row comparison operator must yield type boolean, not type {format_type(op.opresulttype)}",
                location,
            )
        if expression_returns_set(op):
            raise pstate.error(errcode.DATATYPE_MISMATCH, "row comparison operator must not return a set", location)
        ops.append(op)
    if len(ops) == 1:
        return ops[0]
    per_op = [lk.op_index_interpretations(op.opno) for op in ops]
    strategies = set.intersection(*({each[1] for each in found} for found in per_op))
    shown = name[-1].sval
    if not strategies:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            f"could not determine interpretation of row comparison operator {shown}",
            location,
            hint="Row comparison operators must be associated with btree operator families.",
        )
    strategy = min(strategies)
    if strategy == lk.COMPARE_EQ:
        return make_bool(enums.AND_EXPR, ops, location)
    if strategy == lk.COMPARE_NE:
        return make_bool(enums.OR_EXPR, ops, location)
    families = []
    for found in per_op:
        family = next((each[0] for each in found if each[1] == strategy), 0)
        if not family:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                f"could not determine interpretation of row comparison operator {shown}",
                location,
                detail="There are multiple equally-plausible candidates.",
            )
        families.append(family)
    return RowCompareExpr(
        cmptype=enums.CompareType(strategy),
        opnos=[op.opno for op in ops],
        opfamilies=families,
        largs=[op.args[0] for op in ops],
        rargs=[op.args[1] for op in ops],
    )


# Calls and sublinks -------------------------------------------------------------------------------------------------


def _func_call(pstate: ParseState, call: FuncCall) -> Any:
    last_srf = pstate.last_srf
    args = [transform(pstate, arg) for arg in call.args]
    if call.agg_within_group:
        args += [transform_expr(pstate, sort.node, ExprKind.ORDER_BY) for sort in call.agg_order]
    return parse_func_or_column(pstate, call.funcname, args, last_srf, call, False, call.location)


def _named_arg(pstate: ParseState, node: NamedArgExpr) -> NamedArgExpr:
    return NamedArgExpr(
        arg=transform(pstate, node.arg), name=node.name, argnumber=node.argnumber, location=node.location
    )


_NO_SUBQUERY = {
    ExprKind.CHECK_CONSTRAINT: "cannot use subquery in check constraint",
    ExprKind.DOMAIN_CHECK: "cannot use subquery in check constraint",
    ExprKind.COLUMN_DEFAULT: "cannot use subquery in DEFAULT expression",
    ExprKind.FUNCTION_DEFAULT: "cannot use subquery in DEFAULT expression",
    ExprKind.INDEX_EXPRESSION: "cannot use subquery in index expression",
    ExprKind.INDEX_PREDICATE: "cannot use subquery in index predicate",
    ExprKind.STATS_EXPRESSION: "cannot use subquery in statistics expression",
    ExprKind.ALTER_COL_TRANSFORM: "cannot use subquery in transform expression",
    ExprKind.EXECUTE_PARAMETER: "cannot use subquery in EXECUTE parameter",
    ExprKind.TRIGGER_WHEN: "cannot use subquery in trigger WHEN condition",
    ExprKind.PARTITION_BOUND: "cannot use subquery in partition bound",
    ExprKind.PARTITION_EXPRESSION: "cannot use subquery in partition key expression",
    ExprKind.CALL_ARGUMENT: "cannot use subquery in CALL argument",
    ExprKind.COPY_WHERE: "cannot use subquery in COPY FROM WHERE condition",
    ExprKind.GENERATED_COLUMN: "cannot use subquery in column generation expression",
    ExprKind.CYCLE_MARK: "cannot use subquery in CYCLE mark",
}


def _sublink(pstate: ParseState, sublink: SubLink) -> SubLink:
    from tusk.sql.analyze.statements import parse_sub_analyze

    message = _NO_SUBQUERY.get(pstate.expr_kind)
    if message is not None:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, message, sublink.location)
    pstate.has_sublinks = True
    query = parse_sub_analyze(sublink.subselect, pstate, None, False, True)
    if not isinstance(query, Query) or query.commandType != enums.CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected non-SELECT command in SubLink")
    pstate.sublink_queries[id(sublink)] = query
    result = SubLink(
        subLinkType=sublink.subLinkType,
        subLinkId=sublink.subLinkId,
        testexpr=sublink.testexpr,
        operName=list(sublink.operName),
        subselect=query,
        location=sublink.location,
    )
    kind = sublink.subLinkType
    if kind == enums.EXISTS_SUBLINK:
        result.testexpr, result.operName = None, []
        return result
    ncolumns = sum(not target.resjunk for target in query.targetList)
    if kind in (enums.EXPR_SUBLINK, enums.ARRAY_SUBLINK):
        if ncolumns != 1:
            raise pstate.error(errcode.SYNTAX_ERROR, "subquery must return only one column", sublink.location)
        result.testexpr, result.operName = None, []
        return result
    if kind == enums.MULTIEXPR_SUBLINK:
        result.testexpr, result.operName = None, []
        return result
    if not result.operName:
        result.operName = [String(sval="=")]
    left = transform(pstate, sublink.testexpr)
    lefts = left.args if isinstance(left, RowExpr) else [left]
    rights = [
        Param(
            paramkind=enums.PARAM_SUBLINK,
            paramid=target.resno,
            paramtype=expr_type(target.expr),
            paramtypmod=expr_typmod(target.expr),
            paramcollid=nodefuncs.expr_collation(target.expr),
            location=-1,
        )
        for target in query.targetList
        if not target.resjunk
    ]
    if len(lefts) < len(rights):
        raise pstate.error(errcode.SYNTAX_ERROR, "subquery has too many columns", sublink.location)
    if len(lefts) > len(rights):
        raise pstate.error(errcode.SYNTAX_ERROR, "subquery has too few columns", sublink.location)
    result.testexpr = make_row_comparison(pstate, result.operName, lefts, rights, sublink.location)
    return result


def _multi_assign(pstate: ParseState, ref: MultiAssignRef) -> Any:
    """One column of UPDATE ... SET (a, b) = source; the source is analysed with its first column."""
    if ref.colno == 1:
        source = ref.source
        if isinstance(source, SubLink) and source.subLinkType == enums.EXPR_SUBLINK:
            source.subLinkType = enums.MULTIEXPR_SUBLINK
            link = transform(pstate, source)
            query = link.subselect
            if sum(not target.resjunk for target in query.targetList) != ref.ncolumns:
                raise pstate.error(
                    errcode.SYNTAX_ERROR, "number of columns does not match number of values", link.location
                )
            target = TargetEntry(expr=link, resno=0, resname=None, resjunk=True)
            pstate.multiassign_exprs.append(target)
            link.subLinkId = len(pstate.multiassign_exprs)
        elif isinstance(source, RowExpr):
            row = _row_expr(pstate, source, allow_default=True)
            if len(row.args) != ref.ncolumns:
                raise pstate.error(
                    errcode.SYNTAX_ERROR, "number of columns does not match number of values", row.location
                )
            target = TargetEntry(expr=row, resno=0, resname=None, resjunk=True)
            pstate.multiassign_exprs.append(target)
        else:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() expression",
                expr_location(source),
            )
    else:
        target = pstate.multiassign_exprs[-1]
    expr = target.expr
    if isinstance(expr, SubLink):
        column = [t for t in expr.subselect.targetList if not t.resjunk][ref.colno - 1]
        return Param(
            paramkind=enums.PARAM_MULTIEXPR,
            paramid=(expr.subLinkId << 16) | ref.colno,
            paramtype=expr_type(column.expr),
            paramtypmod=expr_typmod(column.expr),
            paramcollid=nodefuncs.expr_collation(column.expr),
            location=expr_location(column.expr),
        )
    assert isinstance(expr, RowExpr)
    result = expr.args[ref.colno - 1]
    if ref.colno == ref.ncolumns:
        pstate.multiassign_exprs.pop()
    return result


# Conditional and row expressions ------------------------------------------------------------------------------------


def _case(pstate: ParseState, node: CaseExpr) -> CaseExpr:
    last_srf = pstate.last_srf
    arg = transform(pstate, node.arg)
    placeholder = None
    if arg is not None:
        if expr_type(arg) == UNKNOWNOID:
            arg = coerce_to_common_type(pstate, arg, TEXTOID, "CASE")
        assign_expr_collations(pstate, arg)
        placeholder = CaseTestExpr(
            typeId=expr_type(arg), typeMod=expr_typmod(arg), collation=nodefuncs.expr_collation(arg)
        )
    whens = []
    results = []
    for when in node.args:
        condition = when.expr
        if placeholder is not None:
            condition = A_Expr(
                kind=enums.AEXPR_OP,
                name=[String(sval="=")],
                lexpr=placeholder,
                rexpr=condition,
                location=when.location,
            )
        test = coerce_to_boolean(pstate, transform(pstate, condition), "CASE/WHEN")
        result = transform(pstate, when.result)
        whens.append(CaseWhen(expr=test, result=result, location=when.location))
        results.append(result)
    default = node.defresult
    if default is None:
        default = A_Const(isnull=True, location=-1)
    default = transform(pstate, default)
    common, _ = select_common_type(pstate, [default, *results], "CASE")
    default = coerce_to_common_type(pstate, default, common, "CASE/ELSE")
    for when in whens:
        when.result = coerce_to_common_type(pstate, when.result, common, "CASE/WHEN")
    if pstate.last_srf is not last_srf:
        raise _srf_in(pstate, "CASE")
    return CaseExpr(casetype=common, arg=arg, args=whens, defresult=default, location=node.location)


def _srf_in(pstate: ParseState, construct: str) -> SqlError:
    return pstate.error(
        errcode.FEATURE_NOT_SUPPORTED,
        f"set-returning functions are not allowed in {construct}",
        expr_location(pstate.last_srf),
        hint="You might be able to move the set-returning function into a LATERAL FROM item.",
    )


def _row_expr(pstate: ParseState, node: RowExpr, allow_default: bool = False) -> RowExpr:
    from tusk.sql.analyze.targets import transform_expression_list

    args = transform_expression_list(pstate, node.args, pstate.expr_kind, allow_default)
    if len(args) > 1664:
        raise pstate.error(errcode.TOO_MANY_COLUMNS, "ROW expressions can have at most 1664 entries", node.location)
    return RowExpr(
        args=args,
        row_typeid=RECORDOID,
        row_format=enums.COERCE_IMPLICIT_CAST,
        colnames=[String(sval=f"f{number}") for number in range(1, len(args) + 1)],
        location=node.location,
    )


def _coalesce(pstate: ParseState, node: CoalesceExpr) -> CoalesceExpr:
    last_srf = pstate.last_srf
    args = [transform(pstate, arg) for arg in node.args]
    common, _ = select_common_type(pstate, args, "COALESCE")
    args = [coerce_to_common_type(pstate, arg, common, "COALESCE") for arg in args]
    if pstate.last_srf is not last_srf:
        raise _srf_in(pstate, "COALESCE")
    return CoalesceExpr(coalescetype=common, args=args, location=node.location)


def _min_max(pstate: ParseState, node: MinMaxExpr) -> MinMaxExpr:
    name = "GREATEST" if node.op == enums.IS_GREATEST else "LEAST"
    args = [transform(pstate, arg) for arg in node.args]
    common, _ = select_common_type(pstate, args, name)
    args = [coerce_to_common_type(pstate, arg, common, name) for arg in args]
    return MinMaxExpr(minmaxtype=common, op=node.op, args=args, location=node.location)


_VALUE_TYPES = {
    enums.SVFOP_CURRENT_DATE: (DATEOID, False),
    enums.SVFOP_CURRENT_TIME: (TIMETZOID, False),
    enums.SVFOP_CURRENT_TIME_N: (TIMETZOID, True),
    enums.SVFOP_CURRENT_TIMESTAMP: (TIMESTAMPTZOID, False),
    enums.SVFOP_CURRENT_TIMESTAMP_N: (TIMESTAMPTZOID, True),
    enums.SVFOP_LOCALTIME: (TIMEOID, False),
    enums.SVFOP_LOCALTIME_N: (TIMEOID, True),
    enums.SVFOP_LOCALTIMESTAMP: (TIMESTAMPOID, False),
    enums.SVFOP_LOCALTIMESTAMP_N: (TIMESTAMPOID, True),
}
MAX_TIME_PRECISION = 6


def _value_function(pstate: ParseState, node: SQLValueFunction) -> SQLValueFunction:
    type_oid, with_precision = _VALUE_TYPES.get(node.op, (NAMEOID, False))
    typmod = node.typmod if node.op in _VALUE_TYPES else -1
    if with_precision:
        typmod = _check_precision(node, type_oid, typmod)
    return SQLValueFunction(op=node.op, type=type_oid, typmod=typmod, location=node.location)


def _check_precision(node: SQLValueFunction, type_oid: int, typmod: int) -> int:
    word = "TIMESTAMP" if type_oid in (TIMESTAMPOID, TIMESTAMPTZOID) else "TIME"
    zone = " WITH TIME ZONE" if type_oid in (TIMESTAMPTZOID, TIMETZOID) else ""
    if typmod < 0:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"{word}({typmod}){zone} precision must not be negative")
    if typmod > MAX_TIME_PRECISION:
        from tusk.errors import report
        from tusk.errors.reporting import Severity

        report(
            Severity.WARNING,
            f"{word}({typmod}){zone} precision reduced to maximum allowed, {MAX_TIME_PRECISION}",
            sqlstate=errcode.INVALID_PARAMETER_VALUE,
        )
        return MAX_TIME_PRECISION
    return typmod


def _null_test(pstate: ParseState, node: NullTest) -> NullTest:
    arg = transform(pstate, node.arg)
    type_oid = expr_type(arg)
    is_row = type_oid == RECORDOID or lk.type_row(type_oid).typtype == "c"
    return NullTest(arg=arg, nulltesttype=node.nulltesttype, argisrow=is_row, location=node.location)


_BOOLEAN_TESTS = {
    enums.IS_TRUE: "IS TRUE",
    enums.IS_NOT_TRUE: "IS NOT TRUE",
    enums.IS_FALSE: "IS FALSE",
    enums.IS_NOT_FALSE: "IS NOT FALSE",
    enums.IS_UNKNOWN: "IS UNKNOWN",
    enums.IS_NOT_UNKNOWN: "IS NOT UNKNOWN",
}


def _boolean_test(pstate: ParseState, node: BooleanTest) -> BooleanTest:
    arg = coerce_to_boolean(pstate, transform(pstate, node.arg), _BOOLEAN_TESTS[node.booltesttype])
    return BooleanTest(arg=arg, booltesttype=node.booltesttype, location=node.location)


def _current_of(pstate: ParseState, node: CurrentOfExpr) -> CurrentOfExpr:
    assert pstate.target_nsitem is not None
    result = CurrentOfExpr(
        cvarno=pstate.target_nsitem.rtindex, cursor_name=node.cursor_name, cursor_param=node.cursor_param
    )
    if node.cursor_name is not None and (
        pstate.pre_columnref_hook is not None or pstate.post_columnref_hook is not None
    ):
        ref = ColumnRef(fields=[String(sval=node.cursor_name)], location=-1)
        found = None
        if pstate.pre_columnref_hook is not None:
            found = pstate.pre_columnref_hook(pstate, ref)
        if found is None and pstate.post_columnref_hook is not None:
            found = pstate.post_columnref_hook(pstate, ref, None)
        if isinstance(found, Param) and found.paramkind == enums.PARAM_EXTERN and found.paramtype == 1790:
            result.cursor_name, result.cursor_param = None, found.paramid
    return result


def _set_to_default(pstate: ParseState, node: SetToDefault) -> Any:
    raise pstate.error(errcode.SYNTAX_ERROR, "DEFAULT is not allowed in this context", node.location)


def _grouping(pstate: ParseState, node: GroupingFunc) -> Any:
    from tusk.sql.analyze.aggregates import transform_grouping_func

    return transform_grouping_func(pstate, node)


def _merge_support(pstate: ParseState, node: MergeSupportFunc) -> MergeSupportFunc:
    if pstate.expr_kind != ExprKind.MERGE_RETURNING:
        outer = pstate.parent
        while outer is not None and outer.expr_kind != ExprKind.MERGE_RETURNING:
            outer = outer.parent
        if outer is None:
            raise pstate.error(
                errcode.SYNTAX_ERROR,
                "MERGE_ACTION() can only be used in the RETURNING list of a MERGE command",
                node.location,
            )
    return node


def _xml(pstate: ParseState, node: XmlExpr) -> XmlExpr:
    result = XmlExpr(
        op=node.op, name=node.name, xmloption=node.xmloption, type=XMLOID, typmod=-1, location=node.location
    )
    from tusk.sql.analyze.colnames import figure_colname

    for each in node.named_args:
        assert isinstance(each, ResTarget)
        expr = transform(pstate, each.val)
        if each.name is not None:
            name = each.name
        elif isinstance(each.val, ColumnRef):
            name = figure_colname(pstate, each.val)
        else:
            raise pstate.error(
                errcode.SYNTAX_ERROR,
                "unnamed XML attribute value must be a column reference"
                if node.op == enums.IS_XMLELEMENT
                else "unnamed XML element value must be a column reference",
                each.location,
            )
        if node.op == enums.IS_XMLELEMENT and any(known.sval == name for known in result.arg_names):
            raise pstate.error(
                errcode.SYNTAX_ERROR, f'XML attribute name "{name}" appears more than once', each.location
            )
        result.named_args.append(expr)
        result.arg_names.append(String(sval=name))
    for number, arg in enumerate(node.args):
        expr = transform(pstate, arg)
        kind = node.op
        if kind == enums.IS_XMLCONCAT:
            expr = coerce_to_specific_type(pstate, expr, XMLOID, "XMLCONCAT")
        elif kind == enums.IS_XMLPARSE:
            expr = coerce_to_specific_type(pstate, expr, TEXTOID if number == 0 else BOOLOID, "XMLPARSE")
        elif kind == enums.IS_XMLPI:
            expr = coerce_to_specific_type(pstate, expr, TEXTOID, "XMLPI")
        elif kind == enums.IS_XMLROOT:
            wanted = (XMLOID, TEXTOID, INT4OID)[number]
            expr = coerce_to_specific_type(pstate, expr, wanted, "XMLROOT")
        elif kind == enums.IS_DOCUMENT:
            expr = coerce_to_specific_type(pstate, expr, XMLOID, "IS DOCUMENT")
        result.args.append(expr)
    return result


def _xml_serialize(pstate: ParseState, node: XmlSerialize) -> Any:
    target, typmod = type_name_oid_typmod(pstate, node.typeName)
    result = XmlExpr(
        op=enums.IS_XMLSERIALIZE,
        xmloption=node.xmloption,
        indent=node.indent,
        type=target,
        typmod=typmod,
        location=node.location,
        args=[coerce_to_specific_type(pstate, transform(pstate, node.expr), XMLOID, "XMLSERIALIZE")],
    )
    converted = coerce_to_target_type(pstate, result, TEXTOID, target, typmod, IMPLICIT, IMPLICIT_CAST, -1)
    if converted is None:
        raise pstate.error(
            errcode.CANNOT_COERCE, f"cannot cast XMLSERIALIZE result to {format_type(target)}", node.location
        )
    return converted


def _json(what: str) -> Callable[[ParseState, Any], Any]:
    def refuse(pstate: ParseState, node: Any) -> Any:
        raise feature_not_supported(what, position=pstate.position(node.location))

    return refuse


def _already(_pstate: ParseState, node: Any) -> Any:
    return node


_HANDLERS: dict[type, Callable[[ParseState, Any], Any]] = {
    ColumnRef: _column_ref,
    ParamRef: _param_ref,
    A_Const: make_const_node,
    A_Indirection: _indirection,
    A_ArrayExpr: _array,
    TypeCast: _type_cast,
    CollateClause: _collate,
    A_Expr: _a_expr,
    BoolExpr: _bool_expr,
    FuncCall: _func_call,
    NamedArgExpr: _named_arg,
    SubLink: _sublink,
    MultiAssignRef: _multi_assign,
    CaseExpr: _case,
    RowExpr: _row_expr,
    CoalesceExpr: _coalesce,
    MinMaxExpr: _min_max,
    SQLValueFunction: _value_function,
    NullTest: _null_test,
    BooleanTest: _boolean_test,
    CurrentOfExpr: _current_of,
    SetToDefault: _set_to_default,
    GroupingFunc: _grouping,
    MergeSupportFunc: _merge_support,
    XmlExpr: _xml,
    XmlSerialize: _xml_serialize,
    CaseTestExpr: _already,
    Var: _already,
    Const: _already,
    Param: _already,
    JsonObjectConstructor: _json("JSON_OBJECT"),
    JsonArrayConstructor: _json("JSON_ARRAY"),
    JsonArrayQueryConstructor: _json("JSON_ARRAY with a subquery"),
    JsonObjectAgg: _json("JSON_OBJECTAGG"),
    JsonArrayAgg: _json("JSON_ARRAYAGG"),
    JsonIsPredicate: _json("IS JSON"),
    JsonParseExpr: _json("JSON()"),
    JsonScalarExpr: _json("JSON_SCALAR"),
    JsonSerializeExpr: _json("JSON_SERIALIZE"),
    JsonFuncExpr: _json("SQL/JSON query functions"),
}

"""Conversions between types: which exist, how they look as expressions, and what type several expressions share."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from tusk.catalog.cache import CASTSOURCETARGET, lookup, lookup_list
from tusk.catalog.names import format_type
from tusk.catalog.oids import (
    ANYARRAYOID,
    ANYCOMPATIBLEARRAYOID,
    ANYCOMPATIBLEMULTIRANGEOID,
    ANYCOMPATIBLENONARRAYOID,
    ANYCOMPATIBLEOID,
    ANYCOMPATIBLERANGEOID,
    ANYELEMENTOID,
    ANYENUMOID,
    ANYMULTIRANGEOID,
    ANYNONARRAYOID,
    ANYOID,
    ANYRANGEOID,
    BOOLOID,
    INT4OID,
    INTERVALOID,
    RECORDOID,
    TEXTOID,
    UNKNOWNOID,
)
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.polymorphic import generic_types_consistent
from tusk.sql.analyze.relations import relation_info
from tusk.sql.analyze.state import ParseState, error_at, position_of_errors
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import replace
from tusk.sql.nodes.make import make_bool_const, make_const, make_func, make_int4_const, make_relabel, make_var
from tusk.sql.nodes.nodefuncs import (
    expr_collation,
    expr_location,
    expr_type,
    expr_typmod,
    expression_returns_set,
)
from tusk.sql.nodes.primitives import (
    ArrayCoerceExpr,
    CaseTestExpr,
    CoerceToDomain,
    CoerceViaIO,
    CollateExpr,
    Const,
    ConvertRowtypeExpr,
    FuncExpr,
    Param,
    RelabelType,
    RowExpr,
    Var,
)

IMPLICIT, ASSIGNMENT, PLPGSQL, EXPLICIT = (
    enums.COERCION_IMPLICIT,
    enums.COERCION_ASSIGNMENT,
    enums.COERCION_PLPGSQL,
    enums.COERCION_EXPLICIT,
)
IMPLICIT_CAST, EXPLICIT_CAST = enums.COERCE_IMPLICIT_CAST, enums.COERCE_EXPLICIT_CAST
RECORDARRAYOID = 2287


class Path(IntEnum):
    """How one type becomes another (CoercionPathType)."""

    NONE = 0
    FUNC = 1
    RELABEL = 2
    ARRAY = 3
    IO = 4


_CONTEXTS = {"i": IMPLICIT, "a": ASSIGNMENT, "e": EXPLICIT}
_UNCHANGED = (ANYOID, ANYELEMENTOID, ANYNONARRAYOID, ANYCOMPATIBLEOID, ANYCOMPATIBLENONARRAYOID)
_BASE_ONLY = (
    ANYARRAYOID,
    ANYENUMOID,
    ANYRANGEOID,
    ANYMULTIRANGEOID,
    ANYCOMPATIBLEARRAYOID,
    ANYCOMPATIBLERANGEOID,
    ANYCOMPATIBLEMULTIRANGEOID,
)


def find_coercion_pathway(target: int, source: int, context: int) -> tuple[Path, int]:
    """(path, function) from one type to another, the function only for a FUNC path (find_coercion_pathway)."""
    source, target = lk.base_type(source), lk.base_type(target)
    if source == target:
        return Path.RELABEL, 0
    row = lookup(CASTSOURCETARGET, source, target)
    result = Path.NONE
    function = 0
    if row is not None:
        if context >= _CONTEXTS[row.castcontext]:
            if row.castmethod == "f":
                result, function = Path.FUNC, row.castfunc
            else:
                result = Path.IO if row.castmethod == "i" else Path.RELABEL
    else:
        if target not in (lk.OIDVECTOROID, lk.INT2VECTOROID):
            target_element, source_element = lk.element_type(target), lk.element_type(source)
            if target_element and source_element:
                if find_coercion_pathway(target_element, source_element, context)[0] != Path.NONE:
                    result = Path.ARRAY
        if result == Path.NONE and (
            (context >= ASSIGNMENT and lk.type_category(target) == "S")
            or (context >= EXPLICIT and lk.type_category(source) == "S")
        ):
            result = Path.IO
    if result == Path.NONE and context == PLPGSQL:
        result = Path.IO
    return result, function


def find_typmod_coercion(type_oid: int) -> tuple[Path, int]:
    """(path, function) that applies a typmod within a type (find_typmod_coercion_function)."""
    row = lk.type_row(type_oid)
    path = Path.FUNC
    if lk.is_true_array(row):
        type_oid, path = row.typelem, Path.ARRAY
    cast = lookup(CASTSOURCETARGET, type_oid, type_oid)
    return (path, cast.castfunc) if cast is not None and cast.castfunc else (Path.NONE, 0)


def type_inherits_from(sub: int, parent: int) -> bool:
    """Whether a row type's table inherits from another row type's (typeInheritsFrom)."""
    sub_relation, parent_relation = lk.type_or_domain_relid(sub), lk.type_relid(parent)
    if not sub_relation or not parent_relation:
        return False
    row = relation_info(parent_relation).row
    if not row.relhassubclass:
        return False
    from tusk.sql.analyze.inheritance import has_ancestor

    return has_ancestor(sub_relation, parent_relation)


def type_is_of_typed_table(relation_type: int, of_type: int) -> bool:
    """Whether a row type is of a table created OF that type (typeIsOfTypedTable)."""
    relation = lk.type_or_domain_relid(relation_type)
    return bool(relation) and relation_info(relation).row.reloftype == of_type


def _row_conversion(source: int, target: int) -> bool:
    if source == RECORDOID and lk.is_composite(target):
        return True
    if target == RECORDOID and lk.is_composite(source):
        return True
    if target == RECORDARRAYOID:
        element = lk.element_type(source)
        if element and lk.is_composite(element):
            return True
    return type_inherits_from(source, target) or type_is_of_typed_table(source, target)


def can_coerce_type(sources: list[int], targets: list[int], context: int) -> bool:
    """Whether each source type can become its target, generic ones consistently (can_coerce_type)."""
    generics = False
    for source, target in zip(sources, targets, strict=True):
        if source == target or target == ANYOID:
            continue
        if target in lk.POLYMORPHIC:
            generics = True
            continue
        if source == UNKNOWNOID:
            continue
        if find_coercion_pathway(target, source, context)[0] != Path.NONE:
            continue
        if not _row_conversion(source, target):
            return False
    return not generics or generic_types_consistent(sources, targets)


def coerce_to_target_type(
    pstate: ParseState | None,
    expr: Any,
    source: int,
    target: int,
    typmod: int,
    context: int,
    form: enums.CoercionForm,
    location: int = -1,
) -> Any:
    """The expression as a type and typmod; None when there is no such conversion (coerce_to_target_type)."""
    if not can_coerce_type([source], [target], context):
        return None
    original = expr
    while isinstance(expr, CollateExpr):
        expr = expr.arg
    result = coerce_type(pstate, expr, source, target, typmod, context, form, location)
    hide = result is not expr and not isinstance(result, Const)
    result = coerce_type_typmod(result, target, typmod, context, form, location, hide)
    if expr is not original and lk.type_collation(target):
        result = CollateExpr(arg=result, collOid=original.collOid, location=original.location)
    return result


def coerce_type(
    pstate: ParseState | None,
    node: Any,
    source: int,
    target: int,
    typmod: int,
    context: int,
    form: enums.CoercionForm,
    location: int = -1,
) -> Any:
    """The expression as a type, length not yet applied; callers have asked `can_coerce_type` (coerce_type)."""
    if target == source or node is None or target in _UNCHANGED:
        return node
    if target in _BASE_ONLY and source != UNKNOWNOID:
        base = lk.base_type(source)
        if base == source:
            return node
        result = make_relabel(node, base, -1, 0, form)
        result.location = location
        return result
    if source == UNKNOWNOID and isinstance(node, Const):
        return _coerce_literal(pstate, node, target, typmod, context, form, location)
    if isinstance(node, Param) and pstate is not None and pstate.coerce_param_hook is not None:
        result = pstate.coerce_param_hook(pstate, node, target, typmod, location)
        if result is not None:
            return result
    if isinstance(node, CollateExpr):
        inner = coerce_type(pstate, node.arg, source, target, typmod, context, form, location)
        if lk.type_collation(target):
            return CollateExpr(arg=inner, collOid=node.collOid, location=node.location)
        return inner
    path, function = find_coercion_pathway(target, source, context)
    if path != Path.NONE:
        base, base_typmod = lk.base_type_and_typmod(target, typmod)
        if path != Path.RELABEL:
            result = _build_coercion(node, path, function, base, base_typmod, context, form, location)
            if target != base:
                result = coerce_to_domain(result, base, base_typmod, target, context, form, location, True)
            return result
        result = coerce_to_domain(node, base, base_typmod, target, context, form, location, False)
        if result is node:
            result = make_relabel(node, target, -1, 0, form)
            result.location = location
        return result
    if source == RECORDOID and lk.is_composite(target):
        return _coerce_record(pstate, node, target, context, form, location)
    if target == RECORDOID and lk.is_composite(source):
        return node
    if target == RECORDARRAYOID and lk.element_type(source):
        return node
    if type_inherits_from(source, target) or type_is_of_typed_table(source, target):
        base = lk.base_type(source)
        if base != source:
            node = make_relabel(node, base, -1, 0, IMPLICIT_CAST)
            node.location = location
        return ConvertRowtypeExpr(arg=node, resulttype=target, convertformat=form, location=location)
    raise SqlError(
        errcode.INTERNAL_ERROR,
        f"failed to find conversion function from {format_type(source)} to {format_type(target)}",
    )


def literal_value(type_oid: int, text: str, typmod: int = -1) -> Any:
    """The value that a type's input function makes of a literal (stringTypeDatum)."""
    from tusk.types.codec import codec_for

    return codec_for(type_oid).input(text, typmod)


def _coerce_literal(
    pstate: ParseState | None, node: Const, target: int, typmod: int, context: int,
    form: enums.CoercionForm, location: int
) -> Any:
    base, base_typmod = lk.base_type_and_typmod(target, typmod)
    # Other types' input functions would check lengths as an implicit cast does, which may be too lax or too strict.
    input_typmod = base_typmod if base == INTERVALOID else -1
    row = lk.type_row(base)
    value = None
    if not node.constisnull:
        with position_of_errors(pstate, node.location):
            value = literal_value(base, node.constvalue, input_typmod)
    result = Const(
        consttype=base,
        consttypmod=input_typmod,
        constcollid=row.typcollation,
        constlen=row.typlen,
        constvalue=value,
        constisnull=node.constisnull,
        constbyval=row.typbyval,
        location=node.location,
    )
    if base != target:
        return coerce_to_domain(result, base, base_typmod, target, context, form, location, False)
    return result


def _build_coercion(
    node: Any, path: Path, function: int, target: int, typmod: int, context: int,
    form: enums.CoercionForm, location: int
) -> Any:
    if path == Path.FUNC:
        nargs = lk.proc_row(function).pronargs
        args = [node]
        if nargs >= 2:
            args.append(make_int4_const(typmod))
        if nargs == 3:
            args.append(make_bool_const(context == EXPLICIT))
        call = make_func(function, target, args, form=enums.CoercionForm(form))
        call.location = location
        return call
    if path == Path.ARRAY:
        source, source_typmod = lk.base_type_and_typmod(expr_type(node), expr_typmod(node))
        test = CaseTestExpr(typeId=lk.element_type(source), typeMod=source_typmod)
        element = lk.element_type(target)
        expr = coerce_to_target_type(None, test, test.typeId, element, typmod, context, form, location)
        if expr is None:
            raise SqlError(errcode.INTERNAL_ERROR, "failed to coerce array element type as expected")
        return ArrayCoerceExpr(
            arg=node,
            elemexpr=expr,
            resulttype=target,
            resulttypmod=expr_typmod(expr),
            coerceformat=enums.CoercionForm(form),
            location=location,
        )
    return CoerceViaIO(arg=node, resulttype=target, coerceformat=enums.CoercionForm(form), location=location)


_FORM_FIELDS = {
    FuncExpr: "funcformat",
    RelabelType: "relabelformat",
    CoerceViaIO: "coerceformat",
    ArrayCoerceExpr: "coerceformat",
    ConvertRowtypeExpr: "convertformat",
    RowExpr: "row_format",
    CoerceToDomain: "coercionformat",
}


def _hide_coercion(node: Any) -> None:
    field = _FORM_FIELDS.get(type(node))
    if field is not None:
        setattr(node, field, IMPLICIT_CAST)


def coerce_to_domain(
    arg: Any, base: int, base_typmod: int, target: int, context: int,
    form: enums.CoercionForm, location: int, hide: bool
) -> Any:
    """The base-type expression as a domain, constraints checked at run time; ``arg`` itself if it is no domain."""
    if base == target:
        return arg
    if hide:
        _hide_coercion(arg)
    arg = coerce_type_typmod(arg, base, base_typmod, context, IMPLICIT_CAST, location, False)
    return CoerceToDomain(
        arg=arg, resulttype=target, resulttypmod=-1, coercionformat=enums.CoercionForm(form), location=location
    )


def apply_relabel(arg: Any, type_oid: int, typmod: int, collation: int, form: enums.CoercionForm, location: int) -> Any:
    """The expression under another type, typmod or collation, without stacking labels (applyRelabelType)."""
    while isinstance(arg, RelabelType):
        arg = arg.arg
    if isinstance(arg, Const):
        return replace(arg, consttype=type_oid, consttypmod=typmod, constcollid=collation)
    if expr_type(arg) == type_oid and expr_typmod(arg) == typmod and expr_collation(arg) == collation:
        return arg
    result = make_relabel(arg, type_oid, typmod, collation, enums.CoercionForm(form))
    result.location = location
    return result


def coerce_type_typmod(
    node: Any, target: int, typmod: int, context: int, form: enums.CoercionForm, location: int, hide: bool
) -> Any:
    """The expression with a typmod applied (coerce_type_typmod)."""
    if typmod == expr_typmod(node):
        return node
    if hide:
        _hide_coercion(node)
    path, function = (Path.NONE, 0) if typmod < 0 else find_typmod_coercion(target)
    if path != Path.NONE:
        return _build_coercion(node, path, function, target, typmod, context, form, location)
    return apply_relabel(node, target, typmod, expr_collation(node), form, location)


def _coerce_record(
    pstate: ParseState | None, node: Any, target: int, context: int, form: enums.CoercionForm, location: int
) -> Any:
    if isinstance(node, RowExpr):
        args = list(node.args)
    elif isinstance(node, Var) and node.varattno == 0 and pstate is not None:
        from tusk.sql.analyze.rangetable import nsitem_by_rtindex

        item = nsitem_by_rtindex(pstate, node.varno, node.varlevelsup)
        args = [
            make_var(
                node.varno,
                number + 1,
                column.vartype,
                column.vartypmod,
                column.varcollid,
                node.varlevelsup,
                node.location,
            )
            for number, column in enumerate(item.columns)
            if column.varno
        ]
    else:
        raise error_at(
            pstate,
            errcode.CANNOT_COERCE,
            f"cannot cast type {format_type(RECORDOID)} to {format_type(target)}",
            expr_location(node),
        )
    base, base_typmod = lk.base_type_and_typmod(target, -1)
    new_args = []
    remaining = iter(args)
    count = 0

    def mismatch(detail: str, where: int) -> SqlError:
        return error_at(
            pstate,
            errcode.CANNOT_COERCE,
            f"cannot cast type {format_type(RECORDOID)} to {format_type(target)}",
            where,
            detail=detail,
        )

    for attribute in relation_info(lk.type_relid(base)).attributes:
        if attribute.attisdropped:
            new_args.append(make_const(INT4OID, -1, 0, None, True))
            continue
        try:
            expr = next(remaining)
        except StopIteration:
            raise mismatch("Input has too few columns.", location) from None
        count += 1
        source = expr_type(expr)
        converted = coerce_to_target_type(
            pstate, expr, source, attribute.atttypid, attribute.atttypmod, context, IMPLICIT_CAST, -1
        )
        if converted is None:
            raise mismatch(
                f"Cannot cast type {format_type(source)} to {format_type(attribute.atttypid)} in column {count}.",
                expr_location(expr),
            )
        new_args.append(converted)
    if next(remaining, None) is not None:
        raise mismatch("Input has too many columns.", location)
    result = RowExpr(args=new_args, row_typeid=base, row_format=enums.CoercionForm(form), location=location)
    if base != target:
        result.row_format = IMPLICIT_CAST
        return coerce_to_domain(result, base, base_typmod, target, context, form, location, False)
    return result


def coerce_to_boolean(pstate: ParseState | None, node: Any, construct: str) -> Any:
    """The condition of a clause as boolean; 42804 (coerce_to_boolean)."""
    source = expr_type(node)
    if source != BOOLOID:
        result = coerce_to_target_type(pstate, node, source, BOOLOID, -1, ASSIGNMENT, IMPLICIT_CAST, -1)
        if result is None:
            raise error_at(
                pstate,
                errcode.DATATYPE_MISMATCH,
                f"argument of {construct} must be type boolean, not type {format_type(source)}",
                expr_location(node),
            )
        node = result
    _reject_set(pstate, node, construct)
    return node


def _reject_set(pstate: ParseState | None, node: Any, construct: str) -> None:
    if expression_returns_set(node):
        raise error_at(
            pstate, errcode.DATATYPE_MISMATCH, f"argument of {construct} must not return a set", expr_location(node)
        )


def coerce_to_specific_type(pstate: ParseState | None, node: Any, target: int, construct: str, typmod: int = -1) -> Any:
    """An argument of a construct as the type it needs (coerce_to_specific_type_typmod)."""
    source = expr_type(node)
    if source != target:
        result = coerce_to_target_type(pstate, node, source, target, typmod, ASSIGNMENT, IMPLICIT_CAST, -1)
        if result is None:
            raise error_at(
                pstate,
                errcode.DATATYPE_MISMATCH,
                f"argument of {construct} must be type {format_type(target)}, not type {format_type(source)}",
                expr_location(node),
            )
        node = result
    _reject_set(pstate, node, construct)
    return node


def coerce_null_to_domain(type_oid: int, typmod: int, collation: int, length: int, byval: bool) -> Any:
    """A NULL as a (domain) type (coerce_null_to_domain)."""
    base, base_typmod = lk.base_type_and_typmod(type_oid, typmod)
    result: Any = Const(
        consttype=base,
        consttypmod=base_typmod,
        constcollid=collation,
        constlen=length,
        constisnull=True,
        constbyval=byval,
    )
    if type_oid != base:
        result = coerce_to_domain(result, base, base_typmod, type_oid, IMPLICIT, IMPLICIT_CAST, -1, False)
    return result


def parser_coercion_errposition(coerce_location: int, expr: Any) -> int:
    """The location to show for a failed conversion: the cast's own if known, else the input's."""
    return coerce_location if coerce_location >= 0 else expr_location(expr)


def select_common_type(pstate: ParseState | None, exprs: list[Any], context: str | None) -> tuple[int, Any]:
    """(type, the expression that has it) that several expressions can share; 42804, or 0 without ``context``."""
    chosen = exprs[0]
    current = expr_type(chosen)
    if current != UNKNOWNOID and all(expr_type(expr) == current for expr in exprs[1:]):
        return current, chosen
    current = lk.base_type(current)
    row = lk.type_row(current)
    category, preferred = row.typcategory, row.typispreferred
    for expr in exprs[1:]:
        other = lk.base_type(expr_type(expr))
        if other in (UNKNOWNOID, current):
            continue
        other_row = lk.type_row(other)
        if current == UNKNOWNOID:
            chosen, current, category, preferred = expr, other, other_row.typcategory, other_row.typispreferred
        elif other_row.typcategory != category:
            if context is None:
                return 0, None
            raise error_at(
                pstate,
                errcode.DATATYPE_MISMATCH,
                f"{context} types {format_type(current)} and {format_type(other)} cannot be matched",
                expr_location(expr),
            )
        elif (
            not preferred
            and can_coerce_type([current], [other], IMPLICIT)
            and not can_coerce_type([other], [current], IMPLICIT)
        ):
            chosen, current, category, preferred = expr, other, other_row.typcategory, other_row.typispreferred
    if current == UNKNOWNOID:
        current = TEXTOID
    return current, chosen


def coerce_to_common_type(pstate: ParseState | None, node: Any, target: int, context: str) -> Any:
    """An expression as the type `select_common_type` chose; 42846 (coerce_to_common_type)."""
    source = expr_type(node)
    if source == target:
        return node
    if not can_coerce_type([source], [target], IMPLICIT):
        raise error_at(
            pstate,
            errcode.CANNOT_COERCE,
            f"{context} could not convert type {format_type(source)} to {format_type(target)}",
            expr_location(node),
        )
    return coerce_type(pstate, node, source, target, -1, IMPLICIT, IMPLICIT_CAST, -1)


def verify_common_type(common: int, exprs: list[Any]) -> bool:
    """Whether every expression can become the type implicitly (verify_common_type)."""
    return all(can_coerce_type([expr_type(expr)], [common], IMPLICIT) for expr in exprs)


def select_common_typmod(exprs: list[Any], common: int) -> int:
    """The typmod shared by expressions that all have the common type, else -1 (select_common_typmod)."""
    typmod = None
    for expr in exprs:
        if expr_type(expr) != common:
            return -1
        own = expr_typmod(expr)
        if typmod is None:
            typmod = own
        elif typmod != own:
            return -1
    return -1 if typmod is None else typmod


def casts_from(type_oid: int) -> list[Any]:
    """All pg_cast rows with this source type."""
    return lookup_list(CASTSOURCETARGET, type_oid)

"""Subscripts: array[1], array[1:2], and jsonb['key'] (transformContainerSubscripts and the types' handlers)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.names import format_type
from tusk.catalog.oids import INT4OID, JSONBOID, TEXTOID, UNKNOWNOID
from tusk.errors import errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import (
    ASSIGNMENT,
    IMPLICIT,
    IMPLICIT_CAST,
    can_coerce_type,
    coerce_to_target_type,
    coerce_type,
)
from tusk.sql.analyze.state import ParseState
from tusk.sql.nodes.make import make_int4_const
from tusk.sql.nodes.nodefuncs import expr_location, expr_type
from tusk.sql.nodes.primitives import SubscriptingRef

MAXDIM = 6
JSONB_SUBSCRIPT_HANDLER = 6098


def transform_subscripts(
    pstate: ParseState, base: Any, container: int, typmod: int, steps: list[Any], is_assignment: bool
) -> SubscriptingRef:
    """A SubscriptingRef for a run of subscripts; 42804 for what cannot be subscripted."""
    from tusk.catalog.oids import INT2ARRAYOID, OIDARRAYOID

    container, typmod = lk.base_type_and_typmod(container, typmod)
    if container == lk.INT2VECTOROID:
        container = INT2ARRAYOID
    elif container == lk.OIDVECTOROID:
        container = OIDARRAYOID
    row = lk.type_row(container)
    if not row.typsubscript:
        raise pstate.error(
            errcode.DATATYPE_MISMATCH,
            f"cannot subscript type {format_type(container)} because it does not support subscripting",
            expr_location(base),
        )
    is_slice = any(step.is_slice for step in steps)
    result = SubscriptingRef(refcontainertype=container, refelemtype=row.typelem, reftypmod=typmod, refexpr=base)
    if row.typsubscript == JSONB_SUBSCRIPT_HANDLER:
        _jsonb(pstate, result, steps, is_slice)
    else:
        _array(pstate, result, steps, is_slice)
    return result


def _integer(pstate: ParseState, raw: Any) -> Any:
    from tusk.sql.analyze.expressions import transform_expr

    expr = transform_expr(pstate, raw, pstate.expr_kind)
    converted = coerce_to_target_type(pstate, expr, expr_type(expr), INT4OID, -1, ASSIGNMENT, IMPLICIT_CAST, -1)
    if converted is None:
        raise pstate.error(errcode.DATATYPE_MISMATCH, "array subscript must have type integer", expr_location(expr))
    return converted


def _array(pstate: ParseState, ref: SubscriptingRef, steps: list[Any], is_slice: bool) -> None:
    upper: list[Any] = []
    lower: list[Any] = []
    for step in steps:
        if is_slice:
            if step.lidx is not None:
                lower.append(_integer(pstate, step.lidx))
            elif not step.is_slice:
                lower.append(make_int4_const(1))
            else:
                lower.append(None)
        upper.append(None if step.uidx is None else _integer(pstate, step.uidx))
    if len(upper) > MAXDIM:
        raise pstate.error(
            errcode.PROGRAM_LIMIT_EXCEEDED,
            f"number of array dimensions ({len(upper)}) exceeds the maximum allowed ({MAXDIM})",
        )
    ref.refupperindexpr, ref.reflowerindexpr = upper, lower
    ref.refrestype = ref.refcontainertype if is_slice else ref.refelemtype


def _jsonb(pstate: ParseState, ref: SubscriptingRef, steps: list[Any], is_slice: bool) -> None:
    from tusk.sql.analyze.expressions import transform_expr

    upper = []
    for step in steps:
        if is_slice:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                "jsonb subscript does not support slices",
                expr_location(step.uidx if step.uidx is not None else step.lidx),
            )
        expr = transform_expr(pstate, step.uidx, pstate.expr_kind)
        source = expr_type(expr)
        target = TEXTOID
        if source != UNKNOWNOID:
            fits = [each for each in (INT4OID, TEXTOID) if can_coerce_type([source], [each], IMPLICIT)]
            if len(fits) == 2:
                raise pstate.error(
                    errcode.DATATYPE_MISMATCH,
                    f"subscript type {format_type(source)} is not supported",
                    expr_location(expr),
                    hint="jsonb subscript must be coercible to only one type, integer or text.",
                )
            if not fits:
                raise pstate.error(
                    errcode.DATATYPE_MISMATCH,
                    f"subscript type {format_type(source)} is not supported",
                    expr_location(expr),
                    hint="jsonb subscript must be coercible to either integer or text.",
                )
            target = fits[0]
        upper.append(coerce_type(pstate, expr, source, target, -1, IMPLICIT, IMPLICIT_CAST, -1))
    ref.refupperindexpr, ref.reflowerindexpr = upper, []
    ref.refrestype, ref.reftypmod = JSONBOID, -1

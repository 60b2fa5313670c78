"""Operators: lookup by operand types, and the expressions made of them."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import OPERNAMENSP, lookup
from tusk.catalog.names import format_type
from tusk.catalog.oids import BOOLOID, UNKNOWNOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.candidates import match_argtypes, operator_candidates, select_candidate
from tusk.sql.analyze.functions import check_srf_call_placement, make_fn_arguments
from tusk.sql.analyze.names import deconstruct, searched_namespaces
from tusk.sql.analyze.polymorphic import enforce_generic_types
from tusk.sql.analyze.relations import namespace_oid
from tusk.sql.analyze.state import ParseState, error_at, position_of_errors
from tusk.sql.nodes import nodefuncs
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.nodes.primitives import OpExpr, ScalarArrayOpExpr


def operator_oid(names: list[str], left: int, right: int) -> int:
    """The operator with exactly these operand types, or 0 (OpernameGetOprid)."""
    schema, name = deconstruct(names)
    if schema is not None:
        namespace = namespace_oid(schema, missing_ok=True)
        row = lookup(OPERNAMENSP, name, left, right, namespace) if namespace else None
        return 0 if row is None else row.oid
    for namespace in searched_namespaces(False):
        row = lookup(OPERNAMENSP, name, left, right, namespace)
        if row is not None:
            return row.oid  # type: ignore[no-any-return]
    return 0


def signature(names: list[str], left: int, right: int) -> str:
    """The operator and its operand types, for messages."""
    text = ".".join(names)
    if left:
        text = f"{format_type(left)} {text}"
    return f"{text} {format_type(right)}"


def _op_error(
    pstate: ParseState | None, names: list[str], left: int, right: int, ambiguous: bool, location: int
) -> SqlError:
    shown = signature(names, left, right)
    if ambiguous:
        return error_at(
            pstate,
            errcode.AMBIGUOUS_FUNCTION,
            f"operator is not unique: {shown}",
            location,
            hint="Could not choose a best candidate operator. You might need to add explicit type casts.",
        )
    hint = (
        "No operator matches the given name and argument types. You might need to add explicit type casts."
        if left and right
        else "No operator matches the given name and argument type. You might need to add an explicit type cast."
    )
    return error_at(pstate, errcode.UNDEFINED_FUNCTION, f"operator does not exist: {shown}", location, hint=hint)


def _exact(names: list[str], left: int, right: int) -> int:
    """An exact match, an unknown operand counting as the other's type (binary_oper_exact)."""
    was_unknown = False
    if left == UNKNOWNOID and right:
        left, was_unknown = right, True
    elif right == UNKNOWNOID and left:
        right, was_unknown = left, True
    found = operator_oid(names, left, right)
    if not found and was_unknown:
        base = lk.base_type(left)
        if base != left:
            found = operator_oid(names, base, base)
    return found


def find_operator(
    pstate: ParseState | None, names: list[str], left: int, right: int, no_error: bool = False, location: int = -1
) -> Any:
    """The pg_operator row for operands of these types; left 0 is a prefix operator. 42883, 42725 (oper, left_oper)."""
    if left:
        found = _exact(names, left, right)
    else:
        found = operator_oid(names, 0, right)
    ambiguous = False
    if not found:
        with position_of_errors(pstate, location):
            candidates = operator_candidates(names, "b" if left else "l")
        inputs = [left or right, right or left] if left else [right]
        if not left:
            for each in candidates:
                each.args = (each.args[1],)
        fitting = match_argtypes(inputs, candidates) if candidates else []
        if len(fitting) == 1:
            found = fitting[0].oid
        elif fitting:
            chosen = select_candidate(inputs, fitting)
            ambiguous = chosen is None
            found = 0 if chosen is None else chosen.oid
    if found:
        return lk.oper_row(found)
    if no_error:
        return None
    raise _op_error(pstate, names, left, right, ambiguous, location)


def compatible_operator(
    pstate: ParseState | None, names: list[str], left: int, right: int, no_error: bool, location: int
) -> Any:
    """As `find_operator`, but the operands must be usable without conversion (compatible_oper)."""
    row = find_operator(pstate, names, left, right, no_error, location)
    if row is None:
        return None
    if row.oprleft == left or lk.binary_coercible(left, row.oprleft):
        if row.oprright == right or lk.binary_coercible(right, row.oprright):
            return row
    if no_error:
        return None
    raise error_at(
        pstate,
        errcode.UNDEFINED_FUNCTION,
        f"operator requires run-time type coercion: {signature(names, left, right)}",
        location,
    )


def _check_not_shell(pstate: ParseState | None, names: list[str], row: Any, location: int) -> None:
    if not row.oprcode:
        raise error_at(
            pstate,
            errcode.UNDEFINED_FUNCTION,
            f"operator is only a shell: {signature(names, row.oprleft, row.oprright)}",
            location,
        )


def make_operator(
    pstate: ParseState | None, names: list[Any], left: Any, right: Any, last_srf: Any, location: int
) -> OpExpr:
    """An operator applied to transformed operands (make_op)."""
    words = nodefuncs.string_list(names)
    if right is None:
        raise error_at(pstate, errcode.SYNTAX_ERROR, "postfix operators are not supported")
    right_type = expr_type(right)
    left_type = 0 if left is None else expr_type(left)
    row = find_operator(pstate, words, left_type, right_type, False, location)
    _check_not_shell(pstate, words, row, location)
    if left is None:
        args, actual, declared = [right], [right_type], [row.oprright]
    else:
        args, actual, declared = [left, right], [left_type, right_type], [row.oprleft, row.oprright]
    result_type = enforce_generic_types(actual, declared, row.oprresult)
    make_fn_arguments(pstate, args, actual, declared)
    result = OpExpr(
        opno=row.oid,
        opfuncid=row.oprcode,
        opresulttype=result_type,
        opretset=lk.proc_row(row.oprcode).proretset,
        args=args,
        location=location,
    )
    if result.opretset:
        check_srf_call_placement(pstate, last_srf, location)
        if pstate is not None:
            pstate.last_srf = result
    return result


def make_scalar_array_operator(
    pstate: ParseState, names: list[Any], use_or: bool, left: Any, right: Any, location: int
) -> ScalarArrayOpExpr:
    """``left op ANY/ALL (array)`` (make_scalar_array_op)."""
    words = nodefuncs.string_list(names)
    left_type, container = expr_type(left), expr_type(right)
    if container == UNKNOWNOID:
        element = UNKNOWNOID
    else:
        element = lk.base_element_type(container)
        if not element:
            raise pstate.error(errcode.WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires array on right side", location)
    row = find_operator(pstate, words, left_type, element, False, location)
    _check_not_shell(pstate, words, row, location)
    args, actual, declared = [left, right], [left_type, element], [row.oprleft, row.oprright]
    result_type = enforce_generic_types(actual, declared, row.oprresult)
    if result_type != BOOLOID:
        raise pstate.error(errcode.WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires operator to yield boolean", location)
    if lk.proc_row(row.oprcode).proretset:
        raise pstate.error(
            errcode.WRONG_OBJECT_TYPE, "op ANY/ALL (array) requires operator not to return a set", location
        )
    if declared[1] in lk.POLYMORPHIC:
        wanted = container
    else:
        wanted = lk.array_type(declared[1])
        if not wanted:
            raise pstate.error(
                errcode.UNDEFINED_OBJECT,
                f"could not find array type for data type {format_type(declared[1])}",
                location,
            )
    actual[1], declared[1] = container, wanted
    make_fn_arguments(pstate, args, actual, declared)
    return ScalarArrayOpExpr(opno=row.oid, opfuncid=row.oprcode, useOr=use_or, args=args, location=location)


def sort_group_operators(type_oid: int, need_lt: bool, need_eq: bool, need_gt: bool) -> lk.TypeOperators:
    """The default ordering and equality operators of a type; 42883 for a needed one (get_sort_group_operators)."""
    operators = lk.type_operators(type_oid)
    if (need_lt and not operators.lt) or (need_gt and not operators.gt):
        raise SqlError(
            errcode.UNDEFINED_FUNCTION,
            f"could not identify an ordering operator for type {format_type(type_oid)}",
            hint="Use an explicit ordering operator or modify the query.",
        )
    if need_eq and not operators.eq:
        raise SqlError(
            errcode.UNDEFINED_FUNCTION, f"could not identify an equality operator for type {format_type(type_oid)}"
        )
    return operators

"""Parameters $1, $2 ...: of given types, or of types that their use decides."""

from __future__ import annotations

from typing import Any

from tusk.catalog.names import format_type
from tusk.catalog.oids import UNKNOWNOID, VOIDOID
from tusk.errors import errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.parsetree import ParamRef
from tusk.sql.nodes.primitives import Param


def _param(number: int, type_oid: int, location: int) -> Param:
    return Param(
        paramkind=enums.PARAM_EXTERN,
        paramid=number,
        paramtype=type_oid,
        paramtypmod=-1,
        paramcollid=lk.type_collation(type_oid),
        location=location,
    )


def use_fixed_parameters(pstate: ParseState, types: list[int]) -> None:
    """Parameters have exactly these types (setup_parse_fixed_parameters)."""

    def refer(state: ParseState, ref: ParamRef) -> Param:
        if not 0 < ref.number <= len(types) or not types[ref.number - 1]:
            raise state.error(errcode.UNDEFINED_PARAMETER, f"there is no parameter ${ref.number}", ref.location)
        return _param(ref.number, types[ref.number - 1], ref.location)

    pstate.paramref_hook = refer


def use_variable_parameters(pstate: ParseState, types: list[int]) -> None:
    """Parameters may be of any type; ``types`` grows, and what is 0 or unknown there gets resolved in place."""

    def refer(state: ParseState, ref: ParamRef) -> Param:
        number = ref.number
        if not 0 < number <= 65535:
            raise state.error(errcode.UNDEFINED_PARAMETER, f"there is no parameter ${number}", ref.location)
        if number > len(types):
            types.extend([0] * (number - len(types)))
        known = types[number - 1]
        if known == 0 or (known == VOIDOID and state.expr_kind == ExprKind.CALL_ARGUMENT):
            known = types[number - 1] = UNKNOWNOID
        return _param(number, known, ref.location)

    def coerce(state: ParseState, param: Param, target: int, typmod: int, location: int) -> Param | None:
        if param.paramkind != enums.PARAM_EXTERN or param.paramtype != UNKNOWNOID:
            return None
        number = param.paramid
        if not 0 < number <= len(types):
            raise state.error(errcode.UNDEFINED_PARAMETER, f"there is no parameter ${number}", param.location)
        known = types[number - 1]
        if known == UNKNOWNOID:
            types[number - 1] = target
        elif known != target:
            raise state.error(
                errcode.AMBIGUOUS_PARAMETER,
                f"inconsistent types deduced for parameter ${number}",
                param.location,
                detail=f"{format_type(known)} versus {format_type(target)}",
            )
        param.paramtype, param.paramtypmod, param.paramcollid = target, -1, lk.type_collation(target)
        if location >= 0 and (param.location < 0 or location < param.location):
            param.location = location
        return param

    pstate.paramref_hook = refer
    pstate.coerce_param_hook = coerce


def check_variable_parameters(pstate: ParseState, query: Any, types: list[int]) -> None:
    """42P08 for a parameter that was used before its type was known (check_variable_parameters)."""
    if not types:
        return

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Param) and node.paramkind == enums.PARAM_EXTERN:
            number = node.paramid
            if not 0 < number <= len(types):
                raise pstate.error(errcode.UNDEFINED_PARAMETER, f"there is no parameter ${number}", node.location)
            if node.paramtype != types[number - 1]:
                raise pstate.error(
                    errcode.AMBIGUOUS_PARAMETER,
                    f"could not determine data type of parameter ${number}",
                    node.location,
                )
        return None

    nodefuncs.walk_query(query, visit)

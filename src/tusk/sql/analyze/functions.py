"""Function calls: choosing the function, arguments, defaults, VARIADIC, aggregates, and column projection."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import AGGFNOID, PROCNAMEARGSNSP, lookup
from tusk.catalog.names import format_type
from tusk.catalog.oids import ANYOID, RECORDOID, UNKNOWNOID, VOIDOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.candidates import Candidate, function_candidates, match_argtypes, select_candidate
from tusk.sql.analyze.coerce import (
    EXPLICIT,
    IMPLICIT,
    IMPLICIT_CAST,
    Path,
    coerce_type,
    find_coercion_pathway,
    select_common_type,
)
from tusk.sql.analyze.names import searched_namespaces, type_oid_by_name
from tusk.sql.analyze.polymorphic import enforce_generic_types
from tusk.sql.analyze.relations import namespace_oid
from tusk.sql.analyze.state import ExprKind, ParseState, error_at, kind_name, position_of_errors
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.nodefuncs import expr_location, expr_type
from tusk.sql.nodes.primitives import (
    Aggref,
    ArrayExpr,
    FieldSelect,
    FuncExpr,
    NamedArgExpr,
    Param,
    Var,
    WindowFunc,
)

FUNC_MAX_ARGS = 100


class Detail:
    """What a call resolves to. ``kind`` is pg_proc.prokind, or "coercion", "multiple", "notfound"."""

    __slots__ = ("candidate", "declared", "defaults", "kind", "nvargs", "oid", "retset", "rettype", "row", "vatype")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.oid = self.rettype = self.vatype = self.nvargs = 0
        self.retset = False
        self.declared: list[int] = []
        self.defaults: list[Any] = []
        self.row: Any = None
        self.candidate: Candidate | None = None


def signature(names: list[str], argnames: list[str], types: list[int]) -> str:
    """name(type, name => type), for messages (funcname_signature_string)."""
    positional = len(types) - len(argnames)
    shown = [
        (f"{argnames[i - positional]} => " if i >= positional else "") + format_type(type_oid)
        for i, type_oid in enumerate(types)
    ]
    return f"{'.'.join(names)}({', '.join(shown)})"


def _name_as_type(names: list[str]) -> int:
    """The type a function name may mean as a cast: no shell, no composite (FuncNameAsType)."""
    if len(names) > 2:
        return 0
    oid = type_oid_by_name(names[0] if len(names) == 2 else None, names[-1], missing_ok=True)
    if not oid:
        return 0
    row = lk.type_row(oid)
    return oid if row.typisdefined and not row.typrelid else 0


def _coercion_request(names: list[str], args: list[Any], types: list[int]) -> int:
    """The type that f(x) asks x to become, when f is the name of a type; 0 if it is no cast."""
    target = _name_as_type(names)
    if not target:
        return 0
    source = types[0]
    if source == UNKNOWNOID:
        return target
    path, _ = find_coercion_pathway(target, source, EXPLICIT)
    if path == Path.RELABEL:
        return target
    if path == Path.IO and not (lk.is_composite(source) and lk.type_category(target) == "S"):
        return target
    return 0


def resolve_function(
    names: list[str],
    args: list[Any] | None,
    argnames: list[str],
    types: list[int],
    expand_variadic: bool,
    expand_defaults: bool,
    include_out: bool = False,
) -> Detail:
    """Which function a call means (func_get_detail). ``args`` None: no cast is meant and nothing is marked."""
    nargs = len(types)
    candidates = function_candidates(names, nargs, argnames, expand_variadic, expand_defaults, include_out)
    key = tuple(types)
    best = next((each for each in candidates if each.args[:nargs] == key), None)
    if best is None:
        if nargs == 1 and args is not None and not argnames:
            target = _coercion_request(names, args, types)
            if target:
                detail = Detail("coercion")
                detail.rettype = target
                detail.declared = [types[0]]
                return detail
        fitting = match_argtypes(types, candidates) if candidates else []
        if len(fitting) == 1:
            best = fitting[0]
        elif fitting:
            best = select_candidate(types, fitting)
            if best is None:
                return Detail("multiple")
    if best is None:
        return Detail("notfound")
    if best.oid == 0:
        return Detail("multiple")
    if argnames and not expand_variadic and nargs and best.argnumbers is not None:
        if best.argnumbers[nargs - 1] != nargs - 1:
            return Detail("notfound")
    row = best.row
    detail = Detail(row.prokind)
    detail.oid, detail.row, detail.candidate = best.oid, row, best
    detail.nvargs, detail.rettype, detail.retset, detail.vatype = (
        best.nvargs,
        row.prorettype,
        row.proretset,
        row.provariadic,
    )
    detail.declared = list(best.args)
    if best.argnumbers is not None and args is not None:
        for number, arg in zip(best.argnumbers, args, strict=False):
            if isinstance(arg, NamedArgExpr):
                arg.argnumber = number
    if best.ndargs:
        detail.defaults = _needed_defaults(row, best, nargs)
    return detail


def _needed_defaults(row: Any, best: Candidate, nargs: int) -> list[Any]:
    from tusk.sql.nodes.nodetext import read_node_tree

    defaults: list[Any] = read_node_tree(row.proargdefaults)
    if best.argnumbers is None:
        return defaults[len(defaults) - best.ndargs :]
    wanted = set(best.argnumbers[nargs:])
    first = row.pronargs - row.pronargdefaults
    return [each for number, each in enumerate(defaults, first) if number in wanted]


def make_fn_arguments(pstate: ParseState | None, args: list[Any], actual: list[int], declared: list[int]) -> None:
    """Convert arguments in place to the types the function declares (make_fn_arguments)."""
    for i, arg in enumerate(args):
        if actual[i] == declared[i]:
            continue
        if isinstance(arg, NamedArgExpr):
            arg.arg = coerce_type(pstate, arg.arg, actual[i], declared[i], -1, IMPLICIT, IMPLICIT_CAST, -1)
        else:
            args[i] = coerce_type(pstate, arg, actual[i], declared[i], -1, IMPLICIT, IMPLICIT_CAST, -1)


def parse_func_or_column(
    pstate: ParseState,
    funcname: list[Any],
    args: list[Any],
    last_srf: Any,
    call: Any,
    proc_call: bool,
    location: int,
) -> Any:
    """A function call, or (``call`` None) a column selected from a composite value (ParseFuncOrColumn).

    None when a column was meant and nothing fits. 42883, 42725, 42809 and what the arguments raise.
    """
    names = nodefuncs.string_list(funcname)
    is_column = call is None
    agg_filter = None
    if call is not None and call.agg_filter is not None:
        from tusk.sql.analyze.clauses import transform_where

        agg_filter = transform_where(pstate, call.agg_filter, ExprKind.FILTER, "FILTER")
    order = [] if call is None else call.agg_order
    within_group = call is not None and call.agg_within_group
    star = call is not None and call.agg_star
    distinct = call is not None and call.agg_distinct
    over = None if call is None else call.over
    func_variadic = call is not None and call.func_variadic
    if len(args) > FUNC_MAX_ARGS:
        raise pstate.error(
            errcode.TOO_MANY_ARGUMENTS, f"cannot pass more than {FUNC_MAX_ARGS} arguments to a function", location
        )
    if not is_column and not within_group:
        args = [arg for arg in args if not (isinstance(arg, Param) and expr_type(arg) == VOIDOID)]
    actual = [expr_type(arg) for arg in args]
    argnames = _argument_names(pstate, args)
    could_be_projection = (
        len(args) == 1
        and not proc_call
        and not order
        and agg_filter is None
        and not star
        and not distinct
        and over is None
        and not func_variadic
        and not argnames
        and len(names) == 1
        and (actual[0] == RECORDOID or lk.is_composite(actual[0]))
    )
    if could_be_projection and is_column:
        result = parse_complex_projection(pstate, names[0], args[0], location)
        if result is not None:
            return result
    with position_of_errors(pstate, location):
        detail = resolve_function(names, args, argnames, actual, not func_variadic, True, proc_call)
    shown = ".".join(names)

    def wrong(message: str, code: str = errcode.WRONG_OBJECT_TYPE, hint: str | None = None) -> SqlError:
        return pstate.error(code, message, location, hint=hint)

    if proc_call and detail.kind in ("f", "a", "w", "coercion"):
        raise wrong(f"{signature(names, argnames, actual)} is not a procedure", hint="To call a function, use SELECT.")
    if detail.kind == "p" and not proc_call:
        raise wrong(f"{signature(names, argnames, actual)} is a procedure", hint="To call a procedure, use CALL.")
    if detail.kind in ("f", "p", "coercion"):
        if star:
            raise wrong(f"{shown}(*) specified, but {shown} is not an aggregate function")
        for given, clause in (
            (distinct, "DISTINCT"),
            (within_group, "WITHIN GROUP"),
            (bool(order), "ORDER BY"),
            (agg_filter is not None, "FILTER"),
        ):
            if given:
                raise wrong(f"{clause} specified, but {shown} is not an aggregate function")
        if over is not None:
            raise wrong(f"OVER specified, but {shown} is not a window function nor an aggregate function")
    aggkind = "n"
    if detail.kind == "coercion":
        return coerce_type(
            pstate, args[0], actual[0], detail.rettype, -1, EXPLICIT, enums.COERCE_EXPLICIT_CALL, location
        )
    if detail.kind == "a":
        aggkind = _check_aggregate(pstate, names, args, actual, detail, call, argnames, location)
    elif detail.kind == "w":
        if over is None:
            raise wrong(f"window function {shown} requires an OVER clause")
        if within_group:
            raise wrong(f"window function {shown} cannot have WITHIN GROUP")
    elif detail.kind in ("multiple", "notfound"):
        if is_column:
            return None
        if detail.kind == "notfound" and could_be_projection:
            result = parse_complex_projection(pstate, names[0], args[0], location)
            if result is not None:
                return result
        raise _not_resolved(pstate, detail.kind, names, argnames, actual, order, within_group, proc_call, location)
    # Defaults count for the types, but the planner puts them in: they may change while the tree is stored.
    nargs = len(actual)
    with_defaults = actual + [expr_type(each) for each in detail.defaults]
    args = list(args)
    rettype = enforce_generic_types(with_defaults, detail.declared, detail.rettype)
    make_fn_arguments(pstate, args, actual, detail.declared)
    if not detail.vatype:
        func_variadic = False
    if detail.nvargs > 0 and detail.vatype != ANYOID:
        variable = args[len(args) - detail.nvargs :]
        element = expr_type(variable[0])
        container = lk.array_type(element)
        if not container:
            raise pstate.error(
                errcode.UNDEFINED_OBJECT,
                f"could not find array type for data type {format_type(element)}",
                expr_location(variable),
            )
        args = args[: len(args) - detail.nvargs]
        args.append(
            ArrayExpr(
                array_typeid=container, element_typeid=element, elements=variable, location=expr_location(variable)
            )
        )
        func_variadic = True
    if nargs > 0 and detail.vatype == ANYOID and func_variadic:
        if not lk.base_element_type(actual[nargs - 1]):
            raise pstate.error(errcode.DATATYPE_MISMATCH, "VARIADIC argument must be an array", expr_location(args[-1]))
    if detail.retset:
        check_srf_call_placement(pstate, last_srf, location)
    if detail.kind in ("f", "p"):
        result = FuncExpr(
            funcid=detail.oid,
            funcresulttype=rettype,
            funcretset=detail.retset,
            funcvariadic=func_variadic,
            funcformat=enums.COERCE_EXPLICIT_CALL if call is None else call.funcformat,
            args=args,
            location=location,
        )
        if detail.retset:
            pstate.last_srf = result
        return result
    if detail.kind == "a" and over is None:
        return _make_aggregate(
            pstate, detail, aggkind, rettype, args, argnames, call, agg_filter, func_variadic, shown, location
        )
    return _make_window_function(pstate, detail, rettype, args, call, agg_filter, last_srf, shown, location)


def _argument_names(pstate: ParseState, args: list[Any]) -> list[str]:
    names: list[str] = []
    for arg in args:
        if isinstance(arg, NamedArgExpr):
            if arg.name in names:
                raise pstate.error(
                    errcode.SYNTAX_ERROR, f'argument name "{arg.name}" used more than once', arg.location
                )
            assert arg.name is not None
            names.append(arg.name)
        elif names:
            raise pstate.error(
                errcode.SYNTAX_ERROR, "positional argument cannot follow named argument", expr_location(arg)
            )
    return names


def _not_resolved(
    pstate: ParseState,
    kind: str,
    names: list[str],
    argnames: list[str],
    types: list[int],
    order: list[Any],
    within_group: bool,
    proc_call: bool,
    location: int,
) -> SqlError:
    what = "procedure" if proc_call else "function"
    shown = signature(names, argnames, types)
    if kind == "multiple":
        return pstate.error(
            errcode.AMBIGUOUS_FUNCTION,
            f"{what} {shown} is not unique",
            location,
            hint=f"Could not choose a best candidate {what}. You might need to add explicit type casts.",
        )
    if len(order) > 1 and not within_group:
        hint = (
            "No aggregate function matches the given name and argument types. Perhaps you misplaced ORDER BY; "
            "ORDER BY must appear after all regular arguments of the aggregate."
        )
    else:
        hint = f"No {what} matches the given name and argument types. You might need to add explicit type casts."
    return pstate.error(errcode.UNDEFINED_FUNCTION, f"{what} {shown} does not exist", location, hint=hint)


def _check_aggregate(
    pstate: ParseState,
    names: list[str],
    args: list[Any],
    actual: list[int],
    detail: Detail,
    call: Any,
    argnames: list[str],
    location: int,
) -> str:
    """Whether the division into direct and ordered arguments fits; returns pg_aggregate.aggkind."""
    row = lookup(AGGFNOID, detail.oid)
    shown = ".".join(names)
    within_group = call is not None and call.agg_within_group
    if row.aggkind == "n":
        if within_group:
            raise pstate.error(
                errcode.WRONG_OBJECT_TYPE,
                f"{shown} is not an ordered-set aggregate, so it cannot have WITHIN GROUP",
                location,
            )
        return "n"
    if not within_group:
        raise pstate.error(
            errcode.WRONG_OBJECT_TYPE, f"WITHIN GROUP is required for ordered-set aggregate {shown}", location
        )
    if call.over is not None:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED, f"OVER is not supported for ordered-set aggregate {shown}", location
        )
    aggregated = len(call.agg_order)
    direct = len(args) - aggregated
    wanted: int = row.aggnumdirectargs

    def undefined(hint: str) -> SqlError:
        return pstate.error(
            errcode.UNDEFINED_FUNCTION,
            f"function {signature(names, argnames, actual)} does not exist",
            location,
            hint=hint,
        )

    plural = "argument" if wanted == 1 else "arguments"
    fixed = not detail.vatype
    if not fixed:
        pronargs = len(args) - (detail.nvargs - 1 if detail.nvargs > 1 else 0)
        fixed = wanted < pronargs
    if fixed:
        if direct != wanted:
            raise undefined(
                f"There is an ordered-set aggregate {shown}, but it requires {wanted} direct {plural}, not {direct}."
            )
    elif row.aggkind == "h":
        if detail.nvargs != 2 * aggregated:
            raise undefined(
                f"To use the hypothetical-set aggregate {shown}, the number of hypothetical direct arguments "
                f"(here {detail.nvargs - aggregated}) must match the number of ordering columns (here {aggregated})."
            )
    elif detail.nvargs <= aggregated:
        raise undefined(
            f"There is an ordered-set aggregate {shown}, but it requires at least {wanted} direct {plural}."
        )
    if row.aggkind == "h":
        _unify_hypothetical(pstate, args, aggregated, actual, detail.declared)
    return row.aggkind  # type: ignore[no-any-return]


def _unify_hypothetical(
    pstate: ParseState, args: list[Any], aggregated: int, actual: list[int], declared: list[int]
) -> None:
    """Give each hypothetical argument and its ordering column one type (unify_hypothetical_args)."""
    direct = len(args) - aggregated
    hypothetical = direct - aggregated
    for i in range(hypothetical, direct):
        j = direct + i - hypothetical
        if declared[i] != declared[j]:
            raise SqlError(
                errcode.INTERNAL_ERROR, "hypothetical-set aggregate has inconsistent declared argument types"
            )
        if declared[j] != ANYOID:
            continue
        common, _ = select_common_type(pstate, [args[j], args[i]], "WITHIN GROUP")
        for place in (i, j):
            args[place] = coerce_type(pstate, args[place], actual[place], common, -1, IMPLICIT, IMPLICIT_CAST, -1)
            actual[place] = common


def _make_aggregate(
    pstate: ParseState,
    detail: Detail,
    aggkind: str,
    rettype: int,
    args: list[Any],
    argnames: list[str],
    call: Any,
    agg_filter: Any,
    variadic: bool,
    shown: str,
    location: int,
) -> Aggref:
    from tusk.sql.analyze.aggregates import transform_aggregate_call

    star = call is not None and call.agg_star
    within_group = call is not None and call.agg_within_group
    if not args and not star and not within_group:
        raise pstate.error(
            errcode.WRONG_OBJECT_TYPE, f"{shown}(*) must be used to call a parameterless aggregate function", location
        )
    if detail.retset:
        raise pstate.error(errcode.INVALID_FUNCTION_DEFINITION, "aggregates cannot return sets", location)
    if argnames:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, "aggregates cannot use named arguments", location)
    result = Aggref(
        aggfnoid=detail.oid,
        aggtype=rettype,
        aggfilter=agg_filter,
        aggstar=star,
        aggvariadic=variadic,
        aggkind=aggkind,
        aggno=-1,
        aggtransno=-1,
        location=location,
    )
    transform_aggregate_call(
        pstate, result, args, [] if call is None else call.agg_order, call is not None and call.agg_distinct
    )
    return result


def _make_window_function(
    pstate: ParseState,
    detail: Detail,
    rettype: int,
    args: list[Any],
    call: Any,
    agg_filter: Any,
    last_srf: Any,
    shown: str,
    location: int,
) -> WindowFunc:
    from tusk.sql.analyze.aggregates import transform_window_call

    is_aggregate = detail.kind == "a"

    def unsupported(message: str, code: str = errcode.FEATURE_NOT_SUPPORTED, hint: str | None = None) -> SqlError:
        return pstate.error(code, message, location, hint=hint)

    if call.agg_distinct:
        raise unsupported("DISTINCT is not implemented for window functions")
    if is_aggregate and not args and not call.agg_star:
        raise unsupported(
            f"{shown}(*) must be used to call a parameterless aggregate function", errcode.WRONG_OBJECT_TYPE
        )
    if call.agg_order:
        raise unsupported("aggregate ORDER BY is not implemented for window functions")
    if not is_aggregate and agg_filter is not None:
        raise unsupported("FILTER is not implemented for non-aggregate window functions")
    if pstate.last_srf is not last_srf:
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED,
            "window function calls cannot contain set-returning function calls",
            expr_location(pstate.last_srf),
            hint="You might be able to move the set-returning function into a LATERAL FROM item.",
        )
    if detail.retset:
        raise unsupported("window functions cannot return sets", errcode.INVALID_FUNCTION_DEFINITION)
    result = WindowFunc(
        winfnoid=detail.oid,
        wintype=rettype,
        args=args,
        aggfilter=agg_filter,
        winstar=call.agg_star,
        winagg=is_aggregate,
        location=location,
    )
    transform_window_call(pstate, result, call.over)
    return result


def expand_function_arguments(args: list[Any], row: Any, with_outputs: bool = False) -> list[Any]:
    """The arguments in declaration order, names gone and defaults added (expand_function_arguments).

    Polymorphic defaults are converted to what the call's other arguments decide.
    """
    from tusk.sql.nodes.nodetext import read_node_tree

    declared = list(row.proallargtypes) if with_outputs and row.proallargtypes else list(row.proargtypes)
    if len(args) >= len(declared) and not any(isinstance(arg, NamedArgExpr) for arg in args):
        return args
    placed = {
        (arg.argnumber if isinstance(arg, NamedArgExpr) else number): (
            arg.arg if isinstance(arg, NamedArgExpr) else arg
        )
        for number, arg in enumerate(args)
    }
    if len(placed) < len(declared):
        defaults: list[Any] = read_node_tree(row.proargdefaults) if row.proargdefaults else []
        for number, default in enumerate(defaults, len(declared) - len(defaults)):
            placed.setdefault(number, default)
    result = [placed[number] for number in range(len(placed))]
    actual = [expr_type(arg) for arg in result]
    wanted = declared[: len(result)]
    enforce_generic_types(actual, wanted, row.prorettype)
    make_fn_arguments(None, result, actual, wanted)
    return result


def parse_complex_projection(pstate: ParseState, name: str, first: Any, location: int) -> Any:
    """The column of a composite value, or None if it has no such column (ParseComplexProjection)."""
    from tusk.sql.analyze.rangetable import expand_record_variable, nsitem_by_rtindex, scan_nsitem_for_column
    from tusk.sql.analyze.rowtypes import expr_result_type

    if isinstance(first, Var) and first.varattno == 0:
        item = nsitem_by_rtindex(pstate, first.varno, first.varlevelsup, first.varreturningtype)
        return scan_nsitem_for_column(pstate, item, first.varlevelsup, name, location)
    if isinstance(first, Var) and first.vartype == RECORDOID:
        columns = expand_record_variable(pstate, first, 0)
    else:
        _, _, found = expr_result_type(first)
        if found is None:
            return None
        columns = found
    for number, column in enumerate(columns, 1):
        if column.name == name and not column.dropped:
            return FieldSelect(
                arg=first,
                fieldnum=number,
                resulttype=column.type_oid,
                resulttypmod=column.typmod,
                resultcollid=column.collation,
            )
    return None


_SRF_PLACES = {
    ExprKind.JOIN_ON: "JOIN conditions",
    ExprKind.JOIN_USING: "JOIN conditions",
    ExprKind.POLICY: "policy expressions",
    ExprKind.WINDOW_FRAME_RANGE: "window definitions",
    ExprKind.WINDOW_FRAME_ROWS: "window definitions",
    ExprKind.WINDOW_FRAME_GROUPS: "window definitions",
    ExprKind.MERGE_WHEN: "MERGE WHEN conditions",
    ExprKind.CHECK_CONSTRAINT: "check constraints",
    ExprKind.DOMAIN_CHECK: "check constraints",
    ExprKind.COLUMN_DEFAULT: "DEFAULT expressions",
    ExprKind.FUNCTION_DEFAULT: "DEFAULT expressions",
    ExprKind.INDEX_EXPRESSION: "index expressions",
    ExprKind.INDEX_PREDICATE: "index predicates",
    ExprKind.STATS_EXPRESSION: "statistics expressions",
    ExprKind.ALTER_COL_TRANSFORM: "transform expressions",
    ExprKind.EXECUTE_PARAMETER: "EXECUTE parameters",
    ExprKind.TRIGGER_WHEN: "trigger WHEN conditions",
    ExprKind.PARTITION_BOUND: "partition bound",
    ExprKind.PARTITION_EXPRESSION: "partition key expressions",
    ExprKind.CALL_ARGUMENT: "CALL arguments",
    ExprKind.COPY_WHERE: "COPY FROM WHERE conditions",
    ExprKind.GENERATED_COLUMN: "column generation expressions",
}
_SRF_TARGETS = frozenset(
    (
        ExprKind.WINDOW_PARTITION,
        ExprKind.WINDOW_ORDER,
        ExprKind.SELECT_TARGET,
        ExprKind.INSERT_TARGET,
        ExprKind.VALUES_SINGLE,
        ExprKind.GROUP_BY,
        ExprKind.ORDER_BY,
        ExprKind.DISTINCT_ON,
    )
)


def check_srf_call_placement(pstate: ParseState | None, last_srf: Any, location: int) -> None:
    """0A000 for a set-returning function where none may be; else note it (check_srf_call_placement)."""
    if pstate is None:
        return
    kind = pstate.expr_kind
    if kind in _SRF_TARGETS:
        pstate.has_target_srfs = True
        return
    if kind == ExprKind.OTHER:
        return
    if kind == ExprKind.FROM_FUNCTION:
        if pstate.last_srf is not None and pstate.last_srf is not last_srf:
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                "set-returning functions must appear at top level of FROM",
                expr_location(pstate.last_srf),
            )
        return
    place = _SRF_PLACES.get(kind) or kind_name(kind)
    raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, f"set-returning functions are not allowed in {place}", location)


def function_oid_exact(names: list[str], types: list[int], missing_ok: bool = False) -> int:
    """The function with exactly these argument types (LookupFuncName); 42883."""
    from tusk.sql.analyze.names import deconstruct

    schema, name = deconstruct(names)
    key = tuple(types)
    if schema is not None:
        namespaces = [namespace_oid(schema, missing_ok)]
    else:
        namespaces = searched_namespaces(False)
    for namespace in namespaces:
        row = lookup(PROCNAMEARGSNSP, name, key, namespace)
        if row is not None:
            return row.oid  # type: ignore[no-any-return]
    if missing_ok:
        return 0
    raise error_at(None, errcode.UNDEFINED_FUNCTION, f"function {signature(names, [], types)} does not exist")

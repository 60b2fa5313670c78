"""The entry points: a raw statement to a Query, utility statements included."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.functions import expand_function_arguments, parse_func_or_column
from tusk.sql.analyze.locking import STRENGTHS
from tusk.sql.analyze.lookup import proc_row
from tusk.sql.analyze.merge import transform_merge
from tusk.sql.analyze.modify import transform_delete, transform_insert, transform_update
from tusk.sql.analyze.params import check_variable_parameters, use_fixed_parameters, use_variable_parameters
from tusk.sql.analyze.select import finish_query, transform_select, transform_set_operation, transform_values
from tusk.sql.analyze.state import ExprKind, ParseState
from tusk.sql.analyze.targets import resolve_unknowns, transform_target_list
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree, replace
from tusk.sql.nodes.nodefuncs import walk_query
from tusk.sql.nodes.parsetree import (
    CallStmt,
    CreateTableAsStmt,
    DeclareCursorStmt,
    DeleteStmt,
    ExplainStmt,
    InsertStmt,
    MergeStmt,
    PLAssignStmt,
    Query,
    RawStmt,
    ResTarget,
    ReturnStmt,
    SelectStmt,
    UpdateStmt,
)
from tusk.sql.nodes.primitives import FuncExpr, Param

# Options of DECLARE CURSOR (nodes/parsenodes.h).
_SCROLL, _NO_SCROLL, _INSENSITIVE, _ASENSITIVE, _HOLD = 0x2, 0x4, 0x8, 0x10, 0x20


def analyze(
    raw: RawStmt,
    text: str,
    param_types: list[int] | None = None,
    variable: bool = False,
    prepare: Callable[[ParseState], None] | None = None,
) -> Query:
    """Analyse one raw statement of a query string.

    ``param_types`` are the types of $1, $2, ...; with ``variable`` unknown ones (0) are allowed and get resolved in
    place, and the list grows with the parameters found. ``prepare`` may install hooks into the parse state (SQL and
    PL/pgSQL functions do). The raw tree is not kept; it may be analysed again.
    """
    pstate = ParseState(text=text)
    types = [] if param_types is None else param_types
    if variable:
        use_variable_parameters(pstate, types)
    else:
        use_fixed_parameters(pstate, types)
    if prepare is not None:
        prepare(pstate)
    query = transform_top_level(pstate, raw)
    if variable:
        check_variable_parameters(pstate, query, types)
    return query


def transform_top_level(pstate: ParseState, raw: RawStmt) -> Query:
    """A statement of a query string (transformTopLevelStmt)."""
    query = transform_statement(pstate, _select_into(raw.stmt))
    query.stmt_location, query.stmt_len = raw.stmt_location, raw.stmt_len
    return query


def _select_into(stmt: Any) -> Any:
    """SELECT INTO is CREATE TABLE AS in other words (transformOptionalSelectInto)."""
    if not isinstance(stmt, SelectStmt):
        return stmt
    path = [stmt]
    while path[-1].op != enums.SETOP_NONE and path[-1].larg is not None:
        path.append(path[-1].larg)
    into = path[-1].intoClause
    if into is None:
        return stmt
    select = replace(path[-1], intoClause=None)
    for outer in reversed(path[:-1]):
        select = replace(outer, larg=select)
    return CreateTableAsStmt(query=select, into=into, objtype=enums.OBJECT_TABLE, is_select_into=True)


def parse_sub_analyze(stmt: Any, parent: ParseState, parent_cte: Any, locked_from_parent: bool, resolve: bool) -> Query:
    """A subquery, whose names may refer to outer queries (parse_sub_analyze)."""
    pstate = ParseState(parent)
    pstate.parent_cte = parent_cte
    pstate.locked_from_parent = locked_from_parent
    pstate.resolve_unknowns = resolve
    return transform_statement(pstate, stmt)


def transform_statement(pstate: ParseState, stmt: Any) -> Query:
    """Any statement (transformStmt)."""
    if isinstance(stmt, SelectStmt):
        if stmt.valuesLists:
            query = transform_values(pstate, stmt)
        elif stmt.op == enums.SETOP_NONE:
            query = transform_select(pstate, stmt)
        else:
            query = transform_set_operation(pstate, stmt)
    else:
        handler = _STATEMENTS.get(type(stmt))
        query = handler(pstate, stmt) if handler is not None else utility(stmt)
    query.querySource = enums.QSRC_ORIGINAL
    query.canSetTag = True
    query.stmt_location = query.stmt_len = 0
    return query


def utility(stmt: Any) -> Query:
    """A utility statement as a Query."""
    return Query(commandType=enums.CMD_UTILITY, utilityStmt=stmt, stmt_location=0, stmt_len=0)


def analysis_needed(stmt: Any) -> bool:
    """Whether a raw statement is more than a utility statement to hand on (stmt_requires_parse_analysis)."""
    return isinstance(stmt, SelectStmt) or type(stmt) in _STATEMENTS


def _declare_cursor(pstate: ParseState, stmt: DeclareCursorStmt) -> Query:
    options = stmt.options
    for one, other, names in (
        (_SCROLL, _NO_SCROLL, ("SCROLL", "NO SCROLL")),
        (_ASENSITIVE, _INSENSITIVE, ("ASENSITIVE", "INSENSITIVE")),
    ):
        if options & one and options & other:
            raise SqlError(errcode.INVALID_CURSOR_DEFINITION, f"cannot specify both {names[0]} and {names[1]}")
    query = transform_statement(pstate, stmt.query)
    if query.commandType != enums.CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected non-SELECT command in DECLARE CURSOR")
    if query.hasModifyingCTE:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "DECLARE CURSOR must not contain data-modifying statements in WITH"
        )
    if query.rowMarks:
        strength = STRENGTHS[query.rowMarks[0].strength]
        for option, message, kind, code in (
            (
                _HOLD,
                f"DECLARE CURSOR WITH HOLD ... {strength} is not supported",
                "Holdable",
                errcode.FEATURE_NOT_SUPPORTED,
            ),
            (
                _SCROLL,
                f"DECLARE SCROLL CURSOR ... {strength} is not supported",
                "Scrollable",
                errcode.FEATURE_NOT_SUPPORTED,
            ),
            (
                _INSENSITIVE,
                f"DECLARE INSENSITIVE CURSOR ... {strength} is not valid",
                "Insensitive",
                errcode.INVALID_CURSOR_DEFINITION,
            ),
        ):
            if options & option:
                raise SqlError(code, message, detail=f"{kind} cursors must be READ ONLY.")
    return utility(replace(stmt, query=query))


def _explain(pstate: ParseState, stmt: ExplainStmt) -> Query:
    for option in stmt.options:
        if option.defname == "generic_plan" and _option_is_true(option):
            use_variable_parameters(pstate, [])
    return utility(replace(stmt, query=transform_statement(pstate, _select_into(stmt.query))))


def _option_is_true(option: Any) -> bool:
    value = option.arg
    if value is None:
        return True
    for field in ("boolval", "ival", "sval"):
        found = getattr(value, field, None)
        if found is not None:
            return str(found).lower() in ("true", "on", "1", "yes")
    return False


def _create_table_as(pstate: ParseState, stmt: CreateTableAsStmt) -> Query:
    query = transform_statement(pstate, stmt.query)
    into = stmt.into
    if stmt.objtype == enums.OBJECT_MATVIEW:
        if query.hasModifyingCTE:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                "materialized views must not use data-modifying statements in WITH",
            )
        if walk_query(
            query, lambda node, _: True if isinstance(node, Param) and node.paramkind == enums.PARAM_EXTERN else None
        ):
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED, "materialized views may not be defined using bound parameters"
            )
        if into.rel.relpersistence == "u":
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "materialized views cannot be unlogged")
        into = replace(into, viewQuery=copy_tree(query))
    return utility(replace(stmt, query=query, into=into))


def _call(pstate: ParseState, stmt: CallStmt) -> Query:
    call = stmt.funccall
    args = [transform_expr(pstate, arg, ExprKind.CALL_ARGUMENT) for arg in call.args]
    node = parse_func_or_column(pstate, call.funcname, args, pstate.last_srf, call, True, call.location)
    assign_expr_collations(pstate, node)
    assert isinstance(node, FuncExpr)
    row = proc_row(node.funcid)
    ordered = expand_function_arguments(node.args, row, with_outputs=True)
    modes = row.proargmodes
    outputs: list[Any] = []
    if modes is not None:
        inputs = []
        for arg, mode in zip(ordered, (mode for mode in modes if mode != "t"), strict=False):
            if mode in "ob":
                outputs.append(arg if mode == "o" else copy_tree(arg))
            if mode in "ibv":
                inputs.append(arg)
        ordered = inputs
    node.args = ordered
    return utility(replace(stmt, funcexpr=node, outargs=outputs))


def _return(pstate: ParseState, stmt: ReturnStmt) -> Query:
    """RETURN expression of an SQL-standard function body."""
    query = Query(commandType=enums.CMD_SELECT, isReturn=True)
    target = ResTarget(val=stmt.returnval, location=-1)
    query.targetList = transform_target_list(pstate, [target], ExprKind.SELECT_TARGET)
    query.targetList[0].resname = None
    if pstate.resolve_unknowns:
        resolve_unknowns(pstate, query.targetList)
    finish_query(pstate, query, None)
    from tusk.sql.analyze.collate import assign_query_collations

    assign_query_collations(pstate, query)
    return query


def _pl_assign(pstate: ParseState, stmt: PLAssignStmt) -> Query:
    raise feature_not_supported("PL/pgSQL assignment statements")


_STATEMENTS: dict[type, Callable[[ParseState, Any], Query]] = {
    InsertStmt: transform_insert,
    UpdateStmt: transform_update,
    DeleteStmt: transform_delete,
    MergeStmt: transform_merge,
    DeclareCursorStmt: _declare_cursor,
    ExplainStmt: _explain,
    CreateTableAsStmt: _create_table_as,
    CallStmt: _call,
    ReturnStmt: _return,
    PLAssignStmt: _pl_assign,
}

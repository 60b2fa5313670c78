"""FROM: tables, subqueries, functions, samples and joins."""

from __future__ import annotations

from typing import Any

from tusk.catalog.oids import FLOAT4OID, FLOAT8OID
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.coerce import (
    IMPLICIT,
    IMPLICIT_CAST,
    coerce_to_boolean,
    coerce_to_specific_type,
    coerce_type,
    select_common_type,
    select_common_typmod,
)
from tusk.sql.analyze.collate import assign_expr_collations, assign_list_collations
from tusk.sql.analyze.colnames import figure_colname
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.functions import function_oid_exact
from tusk.sql.analyze.rangetable import (
    add_cte,
    add_functions,
    add_join,
    add_relation,
    add_subquery,
    check_namespace_conflicts,
    find_cte,
    is_locked_refname,
    names_of,
    var_from_nscolumn,
)
from tusk.sql.analyze.state import ExprKind, NSColumn, NSItem, ParseState
from tusk.sql.nodes import enums, nodefuncs
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_relabel
from tusk.sql.nodes.nodefuncs import expr_collation, expr_location, expr_type, expr_typmod
from tusk.sql.nodes.parsetree import (
    A_Expr,
    FuncCall,
    JsonTable,
    Query,
    RangeFunction,
    RangeSubselect,
    RangeTableFunc,
    RangeTableSample,
    TableSampleClause,
)
from tusk.sql.nodes.primitives import CoalesceExpr, JoinExpr, RangeTblRef, RangeVar, Var


def transform_from(pstate: ParseState, items: list[Any]) -> None:
    """Put the items of FROM into range table, join list and namespace (transformFromClause)."""
    for item in items:
        node, _, namespace = _item(pstate, item)
        check_namespace_conflicts(pstate, pstate.namespace, namespace)
        _set_lateral(namespace, True, True)
        pstate.joinlist.append(node)
        pstate.namespace = pstate.namespace + namespace
    _set_lateral(pstate.namespace, False, True)


def _set_lateral(items: list[NSItem], only: bool, ok: bool) -> None:
    for item in items:
        item.lateral_only, item.lateral_ok = only, ok


def _item(pstate: ParseState, node: Any) -> tuple[Any, NSItem, list[NSItem]]:
    """(jointree node, its namespace item, all namespace items below it)."""
    if isinstance(node, RangeVar):
        found = None if node.schemaname else find_cte(pstate, node.relname or "")
        if found is not None:
            item = add_cte(pstate, found[0], found[1], node, True)
        else:
            item = add_relation(pstate, node, node.alias, node.inh, True)
    elif isinstance(node, RangeSubselect):
        item = _subselect(pstate, node)
    elif isinstance(node, RangeFunction):
        item = _function(pstate, node)
    elif isinstance(node, RangeTableSample):
        ref, item, namespace = _item(pstate, node.relation)
        rte = item.rte
        if rte.rtekind != enums.RTE_RELATION or rte.relkind not in "rmp":
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                "TABLESAMPLE clause can only be applied to tables and materialized views",
                expr_location(node.relation),
            )
        rte.tablesample = _sample(pstate, node)
        return ref, item, namespace
    elif isinstance(node, JoinExpr):
        return _join(pstate, node)
    elif isinstance(node, RangeTableFunc):
        raise feature_not_supported("XMLTABLE", position=pstate.position(node.location))
    elif isinstance(node, JsonTable):
        raise feature_not_supported("JSON_TABLE", position=pstate.position(node.location))
    else:
        raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized node type: {type(node).__name__}")
    return RangeTblRef(rtindex=item.rtindex), item, [item]


def _subselect(pstate: ParseState, node: RangeSubselect) -> NSItem:
    from tusk.sql.analyze.statements import parse_sub_analyze

    saved = pstate.expr_kind
    pstate.expr_kind = ExprKind.FROM_SUBSELECT
    pstate.lateral_active = node.lateral
    locked = (
        is_locked_refname(pstate, node.alias.aliasname)
        if node.alias is not None
        else pstate.locked_from_parent or any(not clause.lockedRels for clause in pstate.locking_clause)
    )
    query = parse_sub_analyze(node.subquery, pstate, None, locked, True)
    pstate.lateral_active = False
    pstate.expr_kind = saved
    if not isinstance(query, Query) or query.commandType != enums.CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected non-SELECT command in subquery in FROM")
    return add_subquery(pstate, query, node.alias, node.lateral, True)


def _plain_unnest(call: Any, definitions: list[Any]) -> bool:
    return (
        isinstance(call, FuncCall)
        and len(call.funcname) == 1
        and call.funcname[0].sval == "unnest"
        and len(call.args) > 1
        and not call.agg_order
        and call.agg_filter is None
        and call.over is None
        and not call.agg_star
        and not call.agg_distinct
        and not call.func_variadic
        and not definitions
        and not call.agg_within_group
    )


def _function(pstate: ParseState, node: RangeFunction) -> NSItem:
    names: list[str] = []
    exprs: list[Any] = []
    definitions: list[list[Any]] = []
    pstate.lateral_active = True
    for pair in node.functions:
        call, columns = pair[0], (pair[1] if len(pair) > 1 and pair[1] else [])
        calls = [call]
        if _plain_unnest(call, columns):
            calls = [
                FuncCall(
                    funcname=[String(sval="pg_catalog"), String(sval="unnest")], args=[arg], location=call.location
                )
                for arg in call.args
            ]
        for each in calls:
            last_srf = pstate.last_srf
            expr = transform_expr(pstate, each, ExprKind.FROM_FUNCTION)
            if pstate.last_srf is not last_srf and pstate.last_srf is not expr:
                raise pstate.error(
                    errcode.FEATURE_NOT_SUPPORTED,
                    "set-returning functions must appear at top level of FROM",
                    expr_location(pstate.last_srf),
                )
            exprs.append(expr)
            names.append(figure_colname(pstate, each))
            if columns and node.coldeflist:
                raise pstate.error(
                    errcode.SYNTAX_ERROR,
                    "multiple column definition lists are not allowed for the same function",
                    expr_location(node.coldeflist),
                )
            definitions.append(columns)
    pstate.lateral_active = False
    assign_list_collations(pstate, exprs)
    if node.coldeflist:
        where = expr_location(node.coldeflist)
        if len(exprs) != 1:
            if node.is_rowsfrom:
                raise pstate.error(
                    errcode.SYNTAX_ERROR,
                    "ROWS FROM() with multiple functions cannot have a column definition list",
                    where,
                    hint="Put a separate column definition list for each function inside ROWS FROM().",
                )
            raise pstate.error(
                errcode.SYNTAX_ERROR,
                "UNNEST() with multiple arguments cannot have a column definition list",
                where,
                hint="Use separate UNNEST() calls inside ROWS FROM(), and attach a column definition list to each one.",
            )
        if node.ordinality:
            raise pstate.error(
                errcode.SYNTAX_ERROR,
                "WITH ORDINALITY cannot be used with a column definition list",
                where,
                hint="Put the column definition list inside ROWS FROM().",
            )
        definitions = [node.coldeflist]
    lateral = node.lateral or contains_vars_of_level(exprs, 0)
    return add_functions(pstate, names, exprs, definitions, node, lateral, True)


def contains_vars_of_level(tree: Any, wanted: int) -> bool:
    """Whether a Var of the query ``wanted`` levels up occurs (contain_vars_of_level)."""
    return locate_var_of_level(tree, wanted) is not None


def locate_var_of_level(tree: Any, wanted: int) -> int | None:
    """The location of a Var of that level, or None (locate_var_of_level)."""
    found: list[int] = []

    def visit(node: Any, level: int) -> Any:
        if isinstance(node, Var) and node.varlevelsup == wanted + level:
            found.append(node.location)
            return True
        return None

    if isinstance(tree, Query):
        nodefuncs.walk_query(tree, visit)
    else:
        nodefuncs.walk_levels(tree, visit)
    return found[0] if found else None


_SAMPLE_PARAMETERS = {"bernoulli": [FLOAT4OID], "system": [FLOAT4OID]}


def _sample(pstate: ParseState, node: RangeTableSample) -> TableSampleClause:
    names = nodefuncs.string_list(node.method)
    handler = function_oid_exact(names, [2281], missing_ok=True)
    shown = ".".join(names)
    if not handler:
        raise pstate.error(errcode.UNDEFINED_OBJECT, f"tablesample method {shown} does not exist", node.location)
    parameters = _SAMPLE_PARAMETERS.get(names[-1])
    if parameters is None:
        raise feature_not_supported(f'tablesample method "{shown}"', position=pstate.position(node.location))
    if len(node.args) != len(parameters):
        plural = "argument" if len(parameters) == 1 else "arguments"
        raise pstate.error(
            errcode.INVALID_TABLESAMPLE_ARGUMENT,
            f"tablesample method {shown} requires {len(parameters)} {plural}, not {len(node.args)}",
            node.location,
        )
    args = []
    for arg, type_oid in zip(node.args, parameters, strict=True):
        expr = transform_expr(pstate, arg, ExprKind.FROM_FUNCTION)
        expr = coerce_to_specific_type(pstate, expr, type_oid, "TABLESAMPLE")
        assign_expr_collations(pstate, expr)
        args.append(expr)
    repeatable = None
    if node.repeatable is not None:
        repeatable = transform_expr(pstate, node.repeatable, ExprKind.FROM_FUNCTION)
        repeatable = coerce_to_specific_type(pstate, repeatable, FLOAT8OID, "REPEATABLE")
        assign_expr_collations(pstate, repeatable)
    return TableSampleClause(tsmhandler=handler, args=args, repeatable=repeatable)


# Joins ----------------------------------------------------------------------------------------------------------------


def _join(pstate: ParseState, raw: JoinExpr) -> tuple[Any, NSItem, list[NSItem]]:
    join = JoinExpr(
        jointype=raw.jointype,
        isNatural=raw.isNatural,
        usingClause=list(raw.usingClause),
        join_using_alias=raw.join_using_alias,
        alias=raw.alias,
    )
    join.larg, left, left_names = _item(pstate, raw.larg)
    lateral_ok = join.jointype in (enums.JOIN_INNER, enums.JOIN_LEFT)
    _set_lateral(left_names, True, lateral_ok)
    saved = pstate.namespace
    pstate.namespace = saved + left_names
    join.rarg, right, right_names = _item(pstate, raw.rarg)
    pstate.namespace = saved
    check_namespace_conflicts(pstate, left_names, right_names)
    namespace = left_names + right_names
    left_columns, right_columns = names_of(left.names), names_of(right.names)
    if join.isNatural:
        right_set = set(right_columns)
        join.usingClause = [String(sval=name) for name in left_columns if name and name in right_set]
    if join.join_using_alias is not None:
        join.join_using_alias = type(join.join_using_alias)(
            aliasname=join.join_using_alias.aliasname, colnames=list(join.usingClause)
        )
    left_numbers: list[int] = []
    right_numbers: list[int] = []
    names: list[Any] = []
    if join.usingClause:
        join.quals = _using(pstate, join, left, right, left_columns, right_columns, left_numbers, right_numbers, names)
    elif raw.quals is not None:
        saved = pstate.namespace
        _set_lateral(namespace, False, True)
        pstate.namespace = namespace
        quals = transform_expr(pstate, raw.quals, ExprKind.JOIN_ON)
        join.quals = coerce_to_boolean(pstate, quals, "JOIN/ON")
        pstate.namespace = saved
    join.rtindex = len(pstate.rtable) + 1
    if join.jointype in (enums.JOIN_LEFT, enums.JOIN_FULL):
        _mark_nulled(pstate, join.rarg, join.rtindex)
    if join.jointype in (enums.JOIN_RIGHT, enums.JOIN_FULL):
        _mark_nulled(pstate, join.larg, join.rtindex)
    aliasvars: list[Any] = []
    columns: list[NSColumn] = []
    for number_left, number_right in zip(list(left_numbers), list(right_numbers), strict=True):
        one = var_from_nscolumn(pstate, left.columns[number_left - 1])
        other = var_from_nscolumn(pstate, right.columns[number_right - 1])
        merged = _merged_var(pstate, join.jointype, one, other)
        aliasvars.append(merged)
        if merged is one:
            columns.append(left.columns[number_left - 1].copy())
        elif merged is other:
            columns.append(right.columns[number_right - 1].copy())
        else:
            number = len(columns) + 1
            columns.append(
                NSColumn(
                    join.rtindex,
                    number,
                    expr_type(merged),
                    expr_typmod(merged),
                    expr_collation(merged),
                    join.rtindex,
                    number,
                )
            )
    _remaining(pstate, left, left_columns, left_numbers, names, aliasvars, columns)
    _remaining(pstate, right, right_columns, right_numbers, names, aliasvars, columns)
    if join.alias is not None:
        for number, column in enumerate(columns, 1):
            column.varnosyn, column.varattnosyn = join.rtindex, number
    item = add_join(
        pstate,
        names,
        columns,
        join.jointype,
        len(join.usingClause),
        aliasvars,
        left_numbers,
        right_numbers,
        join.join_using_alias,
        join.alias,
        True,
    )
    while len(pstate.joinexprs) < item.rtindex - 1:
        pstate.joinexprs.append(None)
    pstate.joinexprs.append(join)
    if join.join_using_alias is not None:
        using = NSItem(join.join_using_alias, item.rte, item.rtindex, columns)
        check_namespace_conflicts(pstate, [using], namespace)
        namespace = [*namespace, using]
    if join.alias is not None:
        namespace = []
    else:
        for each in namespace:
            each.cols_visible = False
    item.rel_visible = join.alias is not None
    return join, item, [*namespace, item]


def _using(
    pstate: ParseState,
    join: JoinExpr,
    left: NSItem,
    right: NSItem,
    left_columns: list[str],
    right_columns: list[str],
    left_numbers: list[int],
    right_numbers: list[int],
    names: list[Any],
) -> Any:
    """The condition of USING; fills in the merged columns' numbers and names."""
    tests = []
    for column in join.usingClause:
        name = column.sval
        if any(known.sval == name for known in names):
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column name "{name}" appears more than once in USING clause')
        for side, own, numbers in (("left", left_columns, left_numbers), ("right", right_columns, right_numbers)):
            places = [i for i, each in enumerate(own, 1) if each == name]
            if len(places) > 1:
                raise SqlError(
                    errcode.AMBIGUOUS_COLUMN, f'common column name "{name}" appears more than once in {side} table'
                )
            if not places:
                raise SqlError(
                    errcode.UNDEFINED_COLUMN,
                    f'column "{name}" specified in USING clause does not exist in {side} table',
                )
            numbers.append(places[0])
        names.append(column)
        one = var_from_nscolumn(pstate, left.columns[left_numbers[-1] - 1])
        other = var_from_nscolumn(pstate, right.columns[right_numbers[-1] - 1])
        from tusk.sql.analyze.rangetable import mark_selected

        mark_selected(pstate, one)
        mark_selected(pstate, other)
        tests.append(A_Expr(kind=enums.AEXPR_OP, name=[String(sval="=")], lexpr=one, rexpr=other, location=-1))
    condition: Any = tests[0]
    if len(tests) > 1:
        from tusk.sql.nodes.make import make_bool

        condition = make_bool(enums.AND_EXPR, tests, -1)
    quals = transform_expr(pstate, condition, ExprKind.JOIN_USING)
    return coerce_to_boolean(pstate, quals, "JOIN/USING")


def _mark_nulled(pstate: ParseState, node: Any, by: int) -> None:
    if isinstance(node, JoinExpr):
        _mark_nulled(pstate, node.larg, by)
        _mark_nulled(pstate, node.rarg, by)
    number = node.rtindex
    while len(pstate.nullingrels) < number:
        pstate.nullingrels.append(frozenset())
    pstate.nullingrels[number - 1] = pstate.nullingrels[number - 1] | {by}


def _merged_var(pstate: ParseState, jointype: int, left: Var, right: Var) -> Any:
    """The value of a USING column (buildMergedJoinVar)."""
    common, _ = select_common_type(pstate, [left, right], "JOIN/USING")
    typmod = select_common_typmod([left, right], common)

    def fit(var: Var) -> Any:
        if var.vartype != common:
            return coerce_type(pstate, var, var.vartype, common, typmod, IMPLICIT, IMPLICIT_CAST, -1)
        if var.vartypmod != typmod:
            return make_relabel(var, common, typmod, 0, IMPLICIT_CAST)
        return var

    one, other = fit(left), fit(right)
    result: Any
    if jointype == enums.JOIN_INNER:
        if isinstance(one, Var):
            result = one
        else:
            result = other if isinstance(other, Var) else one
    elif jointype == enums.JOIN_LEFT:
        result = one
    elif jointype == enums.JOIN_RIGHT:
        result = other
    else:
        result = CoalesceExpr(coalescetype=common, args=[one, other], location=-1)
    assign_expr_collations(pstate, result)
    return result


def _remaining(
    pstate: ParseState,
    item: NSItem,
    own: list[str],
    numbers: list[int],
    names: list[Any],
    aliasvars: list[Any],
    columns: list[NSColumn],
) -> None:
    """Add the columns that USING did not merge (extractRemainingColumns)."""
    used = set(numbers)
    for number, name in enumerate(own, 1):
        if not name or number in used:
            continue
        numbers.append(number)
        names.append(item.names.colnames[number - 1])
        column = item.columns[number - 1]
        aliasvars.append(var_from_nscolumn(pstate, column))
        columns.append(column.copy())

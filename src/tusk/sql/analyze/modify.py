"""INSERT, UPDATE, DELETE."""

from __future__ import annotations

from typing import Any

from tusk.catalog.namespace import get_opclass_oid
from tusk.catalog.oids import UNKNOWNOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.aggregates import check_aggregates
from tusk.sql.analyze.clauses import transform_where
from tusk.sql.analyze.collate import assign_list_collations, assign_query_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.joins import contains_vars_of_level, transform_from
from tusk.sql.analyze.rangetable import (
    ACL_DELETE,
    ACL_INSERT,
    ACL_SELECT,
    ACL_UPDATE,
    FIRST_LOW_INVALID,
    add_open_relation,
    add_subquery,
    add_to_query,
    add_values,
    expand_item_vars,
    find_table,
    open_table,
)
from tusk.sql.analyze.relations import RowExclusiveLock
from tusk.sql.analyze.select import finish_query, values_rows, with_clause
from tusk.sql.analyze.state import ExprKind, NSItem, ParseState
from tusk.sql.analyze.targets import (
    insert_targets,
    mark_origins,
    resolve_unknowns,
    transform_assigned_expr,
    transform_expression_list,
    transform_target_list,
    update_target_entry,
)
from tusk.sql.analyze.typenames import lookup_collation
from tusk.sql.nodes import enums
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_alias, make_null_const, make_target, make_var, make_var_from_target
from tusk.sql.nodes.nodefuncs import expr_location, expr_type, expr_typmod, string_list
from tusk.sql.nodes.parsetree import (
    ColumnRef,
    DeleteStmt,
    InsertStmt,
    OnConflictClause,
    Query,
    ResTarget,
    ReturningClause,
    UpdateStmt,
)
from tusk.sql.nodes.primitives import (
    CoerceToDomain,
    Const,
    FieldStore,
    InferenceElem,
    OnConflictExpr,
    Param,
    RangeVar,
    RowExpr,
    SubscriptingRef,
)

INT4OID = 23


def set_target_table(pstate: ParseState, relation: RangeVar, inh: bool, also_source: bool, perms: int) -> int:
    """Open the table a statement changes; returns its range table index (setTargetTable)."""
    info = open_table(pstate, relation, RowExclusiveLock)
    pstate.target_relation = info
    item = add_open_relation(pstate, info, RowExclusiveLock, relation.alias, inh, False, perms)
    pstate.target_nsitem = item
    if also_source:
        add_to_query(pstate, item, True, True, True)
    return item.rtindex


def _mark_columns(pstate: ParseState, field: str, numbers: list[int]) -> None:
    assert pstate.target_nsitem is not None
    perminfo = pstate.target_nsitem.perminfo
    added = frozenset(number - FIRST_LOW_INVALID for number in numbers)
    setattr(perminfo, field, getattr(perminfo, field) | added)


# INSERT -------------------------------------------------------------------------------------------------------------


def transform_insert(pstate: ParseState, stmt: InsertStmt) -> Query:
    """INSERT (transformInsertStmt)."""
    query = Query(commandType=enums.CMD_INSERT, override=stmt.override)
    pstate.is_insert = True
    with_clause(pstate, query, stmt.withClause)
    source = stmt.selectStmt
    conflict: OnConflictClause | None = stmt.onConflictClause
    general = source is not None and bool(
        not source.valuesLists
        or source.sortClause
        or source.limitOffset is not None
        or source.limitCount is not None
        or source.lockingClause
        or source.withClause is not None
    )
    outer: tuple[list[Any], list[Any], list[NSItem]] = ([], [], [])
    if general:
        # Inside CREATE RULE the SELECT, not the INSERT, must see OLD and NEW.
        outer = (pstate.rtable, pstate.rteperminfos, pstate.namespace)
        pstate.rtable, pstate.rteperminfos, pstate.namespace = [], [], []
    perms = ACL_INSERT
    if conflict is not None and conflict.action == enums.ONCONFLICT_UPDATE:
        perms |= ACL_UPDATE
    query.resultRelation = set_target_table(pstate, stmt.relation, False, False, perms)
    columns, numbers = insert_targets(pstate, stmt.cols)
    exprs: list[Any]
    if source is None:
        exprs = []
    elif general:
        exprs = _insert_select(pstate, source, outer)
        exprs = insert_row(pstate, exprs, stmt.cols, columns, numbers, False)
    elif len(source.valuesLists) > 1:
        exprs = _insert_values(pstate, source, stmt.cols, columns, numbers)
    else:
        exprs = transform_expression_list(pstate, source.valuesLists[0], ExprKind.VALUES_SINGLE, True)
        exprs = insert_row(pstate, exprs, stmt.cols, columns, numbers, False)
    query.targetList = insert_target_list(pstate, exprs, columns, numbers)
    if conflict is not None or stmt.returningClause is not None:
        pstate.namespace = []
        assert pstate.target_nsitem is not None
        add_to_query(pstate, pstate.target_nsitem, False, True, True)
    if conflict is not None:
        query.onConflict = _on_conflict(pstate, conflict)
    transform_returning(pstate, query, stmt.returningClause, ExprKind.RETURNING)
    finish_query(pstate, query, None)
    query.hasAggs = query.hasWindowFuncs = False
    assign_query_collations(pstate, query)
    return query


def insert_target_list(pstate: ParseState, exprs: list[Any], columns: list[ResTarget], numbers: list[int]) -> list[Any]:
    """The target list of INSERT, its columns marked for the permission check."""
    targets = [
        make_target(expr, number, column.name) for expr, column, number in zip(exprs, columns, numbers, strict=False)
    ]
    _mark_columns(pstate, "insertedCols", numbers[: len(exprs)])
    return targets


def _insert_select(pstate: ParseState, source: Any, outer: tuple[list[Any], list[Any], list[NSItem]]) -> list[Any]:
    from tusk.sql.analyze.statements import transform_statement

    inner = ParseState(pstate)
    inner.rtable, inner.rteperminfos, inner.namespace = outer
    inner.resolve_unknowns = False
    select = transform_statement(inner, source)
    if select.commandType != enums.CMD_SELECT:
        raise SqlError(errcode.INTERNAL_ERROR, "unexpected non-SELECT command in INSERT ... SELECT")
    item = add_subquery(pstate, select, make_alias("*SELECT*"), False, False)
    add_to_query(pstate, item, True, False, False)
    exprs: list[Any] = []
    for target in select.targetList:
        if target.resjunk:
            continue
        if isinstance(target.expr, (Const, Param)) and expr_type(target.expr) == UNKNOWNOID:
            exprs.append(target.expr)
        else:
            var = make_var_from_target(item.rtindex, target)
            var.location = expr_location(target.expr)
            exprs.append(var)
    return exprs


def _insert_values(
    pstate: ParseState, source: Any, given: list[Any], columns: list[ResTarget], numbers: list[int]
) -> list[Any]:
    rows = []
    for row in values_rows(pstate, source.valuesLists, ExprKind.VALUES, True):
        row = insert_row(pstate, row, given, columns, numbers, True)
        assign_list_collations(pstate, row)
        rows.append(row)
    first = rows[0]
    lateral = len(pstate.rtable) != 1 and contains_vars_of_level(rows, 0)
    item = add_values(
        pstate,
        rows,
        [expr_type(e) for e in first],
        [expr_typmod(e) for e in first],
        [0] * len(first),
        None,
        lateral,
        True,
    )
    add_to_query(pstate, item, True, False, False)
    variables: list[Any] = [var for _, var in expand_item_vars(pstate, item, 0, -1)]
    return insert_row(pstate, variables, given, columns, numbers, False)


def _row_width(pstate: ParseState, expr: Any) -> int:
    if isinstance(expr, RowExpr):
        return len(expr.args)
    from tusk.sql.nodes.primitives import Var

    if isinstance(expr, Var) and expr.varattno:
        rte = pstate.rtable[expr.varno - 1]
        if rte.rtekind == enums.RTE_SUBQUERY:
            inner = rte.subquery.targetList[expr.varattno - 1].expr
            if isinstance(inner, RowExpr):
                return len(inner.args)
    return -1


def insert_row(
    pstate: ParseState, exprs: list[Any], given: list[Any], columns: list[ResTarget], numbers: list[int], strip: bool
) -> list[Any]:
    """Convert the values of a row to their columns' types (transformInsertRow)."""
    if len(exprs) > len(columns):
        raise pstate.error(
            errcode.SYNTAX_ERROR,
            "INSERT has more expressions than target columns",
            expr_location(exprs[len(columns)]),
        )
    if given and len(exprs) < len(columns):
        row = len(exprs) == 1 and _row_width(pstate, exprs[0]) == len(columns)
        raise pstate.error(
            errcode.SYNTAX_ERROR,
            "INSERT has more target columns than expressions",
            expr_location(columns[len(exprs)]),
            hint=(
                "The insertion source is a row expression containing the same number of columns expected by the "
                "INSERT. Did you accidentally use extra parentheses?"
                if row
                else None
            ),
        )
    result = []
    for expr, column, number in zip(exprs, columns, numbers, strict=False):
        value = transform_assigned_expr(
            pstate, expr, ExprKind.INSERT_TARGET, column.name or "", number, column.indirection, column.location
        )
        result.append(_strip_assignment(value) if strip else value)
    return result


def _strip_assignment(expr: Any) -> Any:
    """The assigned value below assignments to parts of a column."""
    while True:
        inner = expr
        while isinstance(inner, CoerceToDomain):
            inner = inner.arg
        if isinstance(inner, FieldStore):
            expr = inner.newvals[0]
        elif isinstance(inner, SubscriptingRef) and inner.refassgnexpr is not None:
            expr = inner.refassgnexpr
        else:
            return expr


# ON CONFLICT --------------------------------------------------------------------------------------------------------


def _on_conflict(pstate: ParseState, clause: OnConflictClause) -> OnConflictExpr:
    result = OnConflictExpr(action=clause.action)
    info = pstate.target_relation
    excluded = None
    if clause.action == enums.ONCONFLICT_UPDATE:
        excluded = add_open_relation(pstate, info, RowExclusiveLock, make_alias("excluded"), False, False)
        # Not a real relation: it is read from the row that was to be inserted, and nobody checks privileges on it.
        excluded.rte.relkind = "c"
        result.exclRelIndex = excluded.rtindex
        result.exclRelTlist = excluded_target_list(info, excluded.rtindex)
    _arbiter(pstate, clause, result)
    if excluded is not None:
        pstate.is_insert = False
        add_to_query(pstate, excluded, False, True, True)
        result.onConflictSet = transform_update_targets(pstate, clause.targetList)
        result.onConflictWhere = transform_where(pstate, clause.whereClause, ExprKind.WHERE, "WHERE")
        pstate.namespace = pstate.namespace[:-1]
    return result


def excluded_target_list(info: Any, rtindex: int) -> list[Any]:
    """The columns of EXCLUDED and its whole row (BuildOnConflictExcludedTargetlist)."""
    targets = []
    for attribute in info.attributes:
        if attribute.attisdropped:
            expr: Any = make_null_const(INT4OID, -1, 0)
            name = None
        else:
            expr = make_var(rtindex, attribute.attnum, attribute.atttypid, attribute.atttypmod, attribute.attcollation)
            name = attribute.attname
        targets.append(make_target(expr, attribute.attnum, name))
    targets.append(make_target(make_var(rtindex, 0, info.row.reltype, -1, 0), 0, None, True))
    return targets


def _arbiter(pstate: ParseState, clause: OnConflictClause, result: OnConflictExpr) -> None:
    infer = clause.infer
    if clause.action == enums.ONCONFLICT_UPDATE and infer is None:
        raise pstate.error(
            errcode.SYNTAX_ERROR,
            "ON CONFLICT DO UPDATE requires inference specification or constraint name",
            clause.location,
            hint="For example, ON CONFLICT (column_name).",
        )
    info = pstate.target_relation
    if info.oid < 16384 and info.row.relnamespace in (11, 99):
        raise pstate.error(
            errcode.FEATURE_NOT_SUPPORTED, "ON CONFLICT is not supported with system catalog tables", clause.location
        )
    if infer is None:
        return
    for element in infer.indexElems:
        result.arbiterElems.append(_inference_element(pstate, element, infer))
    if infer.whereClause is not None:
        result.arbiterWhere = transform_expr(pstate, infer.whereClause, ExprKind.INDEX_PREDICATE)
    if infer.conname:
        from tusk.sql.analyze.constraints import constraints_of

        for row in constraints_of(info.oid):
            if row.conname == infer.conname:
                result.constraint = row.oid
                assert pstate.target_nsitem is not None
                pstate.target_nsitem.perminfo.requiredPerms |= ACL_SELECT
                _mark_columns(pstate, "selectedCols", list(row.conkey or ()))
                break
        else:
            raise SqlError(
                errcode.UNDEFINED_OBJECT, f'constraint "{infer.conname}" for table "{info.name}" does not exist'
            )


def _inference_element(pstate: ParseState, element: Any, infer: Any) -> InferenceElem:
    for wrong, what in (
        (element.ordering != enums.SORTBY_DEFAULT, "ASC/DESC is"),
        (element.nulls_ordering != enums.SORTBY_NULLS_DEFAULT, "NULLS FIRST/LAST is"),
        (bool(element.opclassopts), "operator class options are"),
    ):
        if wrong:
            raise pstate.error(
                errcode.INVALID_COLUMN_REFERENCE, f"{what} not allowed in ON CONFLICT clause", infer.location
            )
    raw = element.expr
    if raw is None:
        raw = ColumnRef(fields=[String(sval=element.name)], location=infer.location)
    result = InferenceElem(expr=transform_expr(pstate, raw, ExprKind.INDEX_EXPRESSION))
    if element.collation:
        result.infercollid = lookup_collation(pstate, element.collation, expr_location(result.expr))
    if element.opclass:
        result.inferopclass = get_opclass_oid(403, string_list(element.opclass))
    return result


# RETURNING ----------------------------------------------------------------------------------------------------------


def _returning_item(pstate: ParseState, name: str, kind: enums.VarReturningType) -> None:
    target = pstate.target_nsitem
    assert target is not None
    columns = [column.copy() for column in target.columns]
    for column in columns:
        column.varreturningtype = kind
    item = NSItem(make_alias(name, target.rte.eref.colnames), target.rte, target.rtindex, columns, target.perminfo)
    item.returning_type = kind
    add_to_query(pstate, item, False, True, False)


def transform_returning(pstate: ParseState, query: Query, clause: ReturningClause | None, kind: ExprKind) -> None:
    """RETURNING, with its names for old and new rows (transformReturningClause)."""
    if clause is None:
        return
    for option in clause.options:
        is_old = option.option == enums.RETURNING_OPTION_OLD
        field = "returningOldAlias" if is_old else "returningNewAlias"
        if getattr(query, field) is not None:
            word = "OLD" if is_old else "NEW"
            raise pstate.error(errcode.SYNTAX_ERROR, f"{word} cannot be specified multiple times", option.location)
        setattr(query, field, option.value)
        if find_table(pstate, None, option.value, -1) is not None:
            raise pstate.error(
                errcode.DUPLICATE_ALIAS, f'table name "{option.value}" specified more than once', option.location
            )
        _returning_item(pstate, option.value, enums.VAR_RETURNING_OLD if is_old else enums.VAR_RETURNING_NEW)
    if query.returningOldAlias is None and find_table(pstate, None, "old", -1) is None:
        query.returningOldAlias = "old"
        _returning_item(pstate, "old", enums.VAR_RETURNING_OLD)
    if query.returningNewAlias is None and find_table(pstate, None, "new", -1) is None:
        query.returningNewAlias = "new"
        _returning_item(pstate, "new", enums.VAR_RETURNING_NEW)
    saved = pstate.next_resno
    pstate.next_resno = 1
    query.returningList = transform_target_list(pstate, clause.exprs, kind)
    if not query.returningList:
        raise pstate.error(errcode.SYNTAX_ERROR, "RETURNING must have at least one column", expr_location(clause.exprs))
    mark_origins(pstate, query.returningList)
    if pstate.resolve_unknowns:
        resolve_unknowns(pstate, query.returningList)
    pstate.next_resno = saved


# UPDATE and DELETE --------------------------------------------------------------------------------------------------


def transform_update_targets(pstate: ParseState, items: list[ResTarget]) -> list[Any]:
    """The SET list (transformUpdateTargetList)."""
    targets = transform_target_list(pstate, items, ExprKind.UPDATE_SOURCE)
    info = pstate.target_relation
    pstate.next_resno = max(pstate.next_resno, len(info.attributes) + 1)
    numbers = []
    originals = iter(items)
    for target in targets:
        if target.resjunk:
            target.resno = pstate.next_resno
            target.resname = None
            pstate.next_resno += 1
            continue
        item = next(originals)
        attribute = info.by_name.get(item.name)
        if attribute is None:
            from tusk.sql.analyze.rangetable import SYSTEM_COLUMNS

            if item.name in SYSTEM_COLUMNS:
                raise pstate.error(
                    errcode.FEATURE_NOT_SUPPORTED, f'cannot assign to system column "{item.name}"', item.location
                )
            assert pstate.target_nsitem is not None
            qualified = bool(item.indirection) and item.name == pstate.target_nsitem.names.aliasname
            raise pstate.error(
                errcode.UNDEFINED_COLUMN,
                f'column "{item.name}" of relation "{info.name}" does not exist',
                item.location,
                hint="SET target columns cannot be qualified with the relation name." if qualified else None,
            )
        update_target_entry(pstate, target, item.name or "", attribute.attnum, item.indirection, item.location)
        numbers.append(attribute.attnum)
    _mark_columns(pstate, "updatedCols", numbers)
    return targets


def _from_beside_target(pstate: ParseState, items: list[Any]) -> None:
    """FROM or USING, whose subqueries may not refer to the target table."""
    item = pstate.target_nsitem
    assert item is not None
    item.lateral_only, item.lateral_ok = True, False
    transform_from(pstate, items)
    item.lateral_only, item.lateral_ok = False, True


def transform_update(pstate: ParseState, stmt: UpdateStmt) -> Query:
    """UPDATE (transformUpdateStmt)."""
    query = Query(commandType=enums.CMD_UPDATE)
    pstate.is_insert = False
    with_clause(pstate, query, stmt.withClause)
    query.resultRelation = set_target_table(pstate, stmt.relation, stmt.relation.inh, True, ACL_UPDATE)
    _from_beside_target(pstate, stmt.fromClause)
    qual = transform_where(pstate, stmt.whereClause, ExprKind.WHERE, "WHERE")
    transform_returning(pstate, query, stmt.returningClause, ExprKind.RETURNING)
    query.targetList = transform_update_targets(pstate, stmt.targetList)
    finish_query(pstate, query, qual)
    query.hasAggs = query.hasWindowFuncs = False
    assign_query_collations(pstate, query)
    return query


def transform_delete(pstate: ParseState, stmt: DeleteStmt) -> Query:
    """DELETE (transformDeleteStmt)."""
    query = Query(commandType=enums.CMD_DELETE)
    with_clause(pstate, query, stmt.withClause)
    query.resultRelation = set_target_table(pstate, stmt.relation, stmt.relation.inh, True, ACL_DELETE)
    _from_beside_target(pstate, stmt.usingClause)
    qual = transform_where(pstate, stmt.whereClause, ExprKind.WHERE, "WHERE")
    transform_returning(pstate, query, stmt.returningClause, ExprKind.RETURNING)
    finish_query(pstate, query, qual)
    assign_query_collations(pstate, query)
    if pstate.has_aggs:
        check_aggregates(pstate, query)
    return query

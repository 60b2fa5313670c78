"""Target lists: output columns, expansion of ``*``, and the columns that INSERT and UPDATE assign to."""

from __future__ import annotations

from typing import Any

from tusk.catalog.names import format_type
from tusk.catalog.oids import RECORDOID, TEXTOID, UNKNOWNOID
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import (
    ASSIGNMENT,
    IMPLICIT,
    IMPLICIT_CAST,
    coerce_to_domain,
    coerce_to_target_type,
    coerce_type,
)
from tusk.sql.analyze.colnames import figure_colname
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.rangetable import (
    expand_item_targets,
    expand_item_vars,
    expand_record_variable,
    find_table,
    mark_selected,
    missing_table,
    nsitem_by_rtindex,
    rte_of,
)
from tusk.sql.analyze.relations import database_name, relation_info
from tusk.sql.analyze.rowtypes import expr_result_type
from tusk.sql.analyze.state import ExprKind, NSItem, ParseState
from tusk.sql.analyze.subscripts import transform_subscripts
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import copy_tree
from tusk.sql.nodes.literals import String
from tusk.sql.nodes.make import make_null_const, make_range_var, make_target, make_var
from tusk.sql.nodes.nodefuncs import expr_location, expr_type
from tusk.sql.nodes.parsetree import A_Indices, A_Indirection, A_Star, ColumnRef, Query, ResTarget
from tusk.sql.nodes.primitives import CaseTestExpr, FieldSelect, FieldStore, SetToDefault, TargetEntry, Var


def transform_target_entry(
    pstate: ParseState, node: Any, expr: Any, kind: ExprKind, name: str | None, junk: bool
) -> TargetEntry:
    """One output column; ``expr`` is the node already transformed, or None."""
    if expr is None:
        if kind == ExprKind.UPDATE_SOURCE and isinstance(node, SetToDefault):
            expr = copy_tree(node)
        else:
            expr = transform_expr(pstate, node, kind)
    if name is None and not junk:
        name = figure_colname(pstate, node)
    target = make_target(expr, pstate.next_resno, name, junk)
    pstate.next_resno += 1
    return target


def transform_target_list(pstate: ParseState, items: list[Any], kind: ExprKind) -> list[TargetEntry]:
    """The output columns of SELECT or RETURNING, or the sources of UPDATE (transformTargetList)."""
    result: list[TargetEntry] = []
    expand = kind != ExprKind.UPDATE_SOURCE
    for item in items:
        value = item.val
        if expand and isinstance(value, ColumnRef) and isinstance(value.fields[-1], A_Star):
            result += expand_column_star(pstate, value, True)
        elif expand and isinstance(value, A_Indirection) and isinstance(value.indirection[-1], A_Star):
            result += expand_indirection_star(pstate, value, True, kind)
        else:
            result.append(transform_target_entry(pstate, value, None, kind, item.name, False))
    if pstate.multiassign_exprs:
        for junk in pstate.multiassign_exprs:
            junk.resno = pstate.next_resno
            pstate.next_resno += 1
        result += pstate.multiassign_exprs
        pstate.multiassign_exprs = []
    return result


def transform_expression_list(pstate: ParseState, items: list[Any], kind: ExprKind, allow_default: bool) -> list[Any]:
    """The expressions of a row or VALUES list, stars expanded (transformExpressionList)."""
    result: list[Any] = []
    for item in items:
        if isinstance(item, ColumnRef) and isinstance(item.fields[-1], A_Star):
            result += expand_column_star(pstate, item, False)
        elif isinstance(item, A_Indirection) and isinstance(item.indirection[-1], A_Star):
            result += expand_indirection_star(pstate, item, False, kind)
        elif allow_default and isinstance(item, SetToDefault):
            result.append(copy_tree(item))
        else:
            result.append(transform_expr(pstate, item, kind))
    return result


def resolve_unknowns(pstate: ParseState, targets: list[TargetEntry]) -> None:
    """Make text of literals whose type nothing decided (resolveTargetListUnknowns)."""
    for target in targets:
        if expr_type(target.expr) == UNKNOWNOID:
            target.expr = coerce_type(pstate, target.expr, UNKNOWNOID, TEXTOID, -1, IMPLICIT, IMPLICIT_CAST, -1)


def mark_origins(pstate: ParseState, targets: list[TargetEntry]) -> None:
    """Note which table column each plain column output is (markTargetListOrigins)."""
    for target in targets:
        if isinstance(target.expr, Var):
            target.resorigtbl, target.resorigcol = _origin(pstate, target.expr)


def _origin(pstate: ParseState, var: Var) -> tuple[int, int]:
    rte = rte_of(pstate, var.varno, var.varlevelsup)
    number = var.varattno
    if rte.rtekind == enums.RTE_RELATION:
        return rte.relid, number
    targets: list[Any] = []
    if rte.rtekind == enums.RTE_SUBQUERY:
        targets = rte.subquery.targetList
    elif rte.rtekind == enums.RTE_CTE and not rte.self_reference:
        owner = pstate
        for _ in range(var.varlevelsup + rte.ctelevelsup):
            assert owner.parent is not None
            owner = owner.parent
        cte = next(each for each in owner.ctenamespace if each.ctename == rte.ctename)
        if isinstance(cte.ctequery, Query):
            query = cte.ctequery
            targets = query.targetList if query.commandType == enums.CMD_SELECT else query.returningList
    if number:
        for target in targets:
            if target.resno == number and not target.resjunk:
                return target.resorigtbl, target.resorigcol
    return 0, 0


def expand_column_star(pstate: ParseState, ref: ColumnRef, as_targets: bool) -> list[Any]:
    """``*`` or ``table.*`` (ExpandColumnRefStar)."""
    fields = ref.fields
    if len(fields) == 1:
        result: list[Any] = []
        found = False
        for item in pstate.namespace:
            if item.cols_visible:
                found = True
                result += _single(pstate, item, 0, ref.location, as_targets)
        if not found:
            raise pstate.error(errcode.SYNTAX_ERROR, "SELECT * with no tables specified is not valid", ref.location)
        return result
    if pstate.pre_columnref_hook is not None:
        node = pstate.pre_columnref_hook(pstate, ref)
        if node is not None:
            return expand_row_reference(pstate, node, as_targets)
    names = [field.sval for field in fields[:-1]]
    problem = ""
    located = None
    if len(names) > 3:
        problem = "too many"
    elif len(names) == 3 and names[0] != database_name():
        problem = "database"
    else:
        located = find_table(pstate, names[-2] if len(names) > 1 else None, names[-1], ref.location)
    if pstate.post_columnref_hook is not None:
        hooked = pstate.post_columnref_hook(pstate, ref, located)
        if hooked is not None:
            if located is not None:
                raise pstate.error(
                    errcode.AMBIGUOUS_COLUMN, f'column reference "{".".join(names)}.*" is ambiguous', ref.location
                )
            return expand_row_reference(pstate, hooked, as_targets)
    if located is None:
        shown = ".".join([*names, "*"])
        if problem == "database":
            raise pstate.error(
                errcode.FEATURE_NOT_SUPPORTED,
                f"cross-database references are not implemented: {shown}",
                ref.location,
            )
        if problem:
            raise pstate.error(
                errcode.SYNTAX_ERROR, f"improper qualified name (too many dotted names): {shown}", ref.location
            )
        schema = names[-2] if len(names) > 1 else None
        raise missing_table(pstate, make_range_var(schema, names[-1], ref.location))
    item, level = located
    return _single(pstate, item, level, ref.location, as_targets)


def _single(pstate: ParseState, item: NSItem, level: int, location: int, as_targets: bool) -> list[Any]:
    if as_targets:
        return expand_item_targets(pstate, item, level, True, location)
    variables = [var for _, var in expand_item_vars(pstate, item, level, location)]
    if item.rte.rtekind == enums.RTE_RELATION and item.perminfo is not None:
        item.perminfo.requiredPerms |= 2
    for var in variables:
        mark_selected(pstate, var)
    return variables


def expand_indirection_star(pstate: ParseState, node: A_Indirection, as_targets: bool, kind: ExprKind) -> list[Any]:
    """``expression.*`` (ExpandIndirectionStar)."""
    inner: Any = A_Indirection(arg=node.arg, indirection=node.indirection[:-1])
    if not inner.indirection:
        inner = inner.arg
    return expand_row_reference(pstate, transform_expr(pstate, inner, kind), as_targets)


def expand_row_reference(pstate: ParseState, expr: Any, as_targets: bool) -> list[Any]:
    """The fields of a composite expression (ExpandRowReference)."""
    if isinstance(expr, Var) and expr.varattno == 0:
        item = nsitem_by_rtindex(pstate, expr.varno, expr.varlevelsup, expr.varreturningtype)
        return _single(pstate, item, expr.varlevelsup, expr.location, as_targets)
    if isinstance(expr, Var) and expr.vartype == RECORDOID:
        columns = expand_record_variable(pstate, expr, 0)
    else:
        _, _, found = expr_result_type(expr)
        if found is None:
            type_oid = expr_type(expr)
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE,
                "record type has not been registered"
                if type_oid == RECORDOID
                else f"type {format_type(type_oid)} is not composite",
            )
        columns = found
    result: list[Any] = []
    for number, column in enumerate(columns, 1):
        if column.dropped:
            continue
        field = FieldSelect(
            arg=copy_tree(expr),
            fieldnum=number,
            resulttype=column.type_oid,
            resulttypmod=column.typmod,
            resultcollid=column.collation,
        )
        if as_targets:
            result.append(make_target(field, pstate.next_resno, column.name))
            pstate.next_resno += 1
        else:
            result.append(field)
    return result


# Assignment -----------------------------------------------------------------------------------------------------------


def insert_targets(pstate: ParseState, columns: list[ResTarget]) -> tuple[list[ResTarget], list[int]]:
    """The columns INSERT assigns to, all if none are named, and their numbers (checkInsertTargets)."""
    info = pstate.target_relation
    if not columns:
        attributes = [a for a in info.attributes if not a.attisdropped]
        return [ResTarget(name=a.attname, location=-1) for a in attributes], [a.attnum for a in attributes]
    numbers: list[int] = []
    whole: set[int] = set()
    partial: set[int] = set()
    for column in columns:
        attribute = info.by_name.get(column.name)
        if attribute is None:
            from tusk.sql.analyze.rangetable import SYSTEM_COLUMNS

            if column.name in SYSTEM_COLUMNS:
                raise pstate.error(
                    errcode.FEATURE_NOT_SUPPORTED, f'cannot assign to system column "{column.name}"', column.location
                )
            raise pstate.error(
                errcode.UNDEFINED_COLUMN,
                f'column "{column.name}" of relation "{info.name}" does not exist',
                column.location,
            )
        number = attribute.attnum
        if number in whole or (not column.indirection and number in partial):
            raise pstate.error(
                errcode.DUPLICATE_COLUMN, f'column "{column.name}" specified more than once', column.location
            )
        (partial if column.indirection else whole).add(number)
        numbers.append(number)
    return columns, numbers


def transform_assigned_expr(
    pstate: ParseState, expr: Any, kind: ExprKind, name: str, number: int, indirection: list[Any], location: int
) -> Any:
    """A value as a column (or a part of it) takes it; 42804 (transformAssignedExpr)."""
    saved = pstate.expr_kind
    pstate.expr_kind = kind
    try:
        return _assigned(pstate, expr, kind, name, number, indirection, location)
    finally:
        pstate.expr_kind = saved


def _assigned(
    pstate: ParseState, expr: Any, kind: ExprKind, name: str, number: int, indirection: list[Any], location: int
) -> Any:
    if number <= 0:
        raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, f'cannot assign to system column "{name}"', location)
    attribute = pstate.target_relation.attribute(number)
    type_oid, typmod, collation = attribute.atttypid, attribute.atttypmod, attribute.attcollation
    if isinstance(expr, SetToDefault):
        expr.typeId, expr.typeMod, expr.collation = type_oid, typmod, collation
        if indirection:
            what = "an array element" if isinstance(indirection[0], A_Indices) else "a subfield"
            raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, f"cannot set {what} to DEFAULT", location)
    source = expr_type(expr)
    if indirection:
        if kind == ExprKind.INSERT_TARGET:
            column: Any = make_null_const(type_oid, typmod, collation)
        else:
            assert pstate.target_nsitem is not None
            column = make_var(pstate.target_nsitem.rtindex, number, type_oid, typmod, collation, 0, location)
        return assignment_indirection(
            pstate, column, name, False, type_oid, typmod, collation, indirection, expr, ASSIGNMENT, location
        )
    result = coerce_to_target_type(pstate, expr, source, type_oid, typmod, ASSIGNMENT, IMPLICIT_CAST, -1)
    if result is None:
        raise pstate.error(
            errcode.DATATYPE_MISMATCH,
            f'column "{name}" is of type {format_type(type_oid)} but expression is of type {format_type(source)}',
            expr_location(expr),
            hint="You will need to rewrite or cast the expression.",
        )
    return result


def update_target_entry(
    pstate: ParseState, target: TargetEntry, name: str, number: int, indirection: list[Any], location: int
) -> None:
    """Turn a source of UPDATE into the column's new value (updateTargetListEntry)."""
    target.expr = transform_assigned_expr(
        pstate, target.expr, ExprKind.UPDATE_TARGET, name, number, indirection, location
    )
    target.resno = number
    target.resname = name


def assignment_indirection(
    pstate: ParseState,
    base: Any,
    name: str,
    is_subscripting: bool,
    target: int,
    typmod: int,
    collation: int,
    steps: list[Any],
    value: Any,
    context: int,
    location: int,
) -> Any:
    """The whole value of a column one part of which is assigned to (transformAssignmentIndirection)."""
    if steps and base is None:
        base = CaseTestExpr(typeId=target, typeMod=typmod, collation=collation)
    subscripts: list[Any] = []
    for place, step in enumerate(steps):
        if isinstance(step, A_Indices):
            subscripts.append(step)
            continue
        if isinstance(step, A_Star):
            raise pstate.error(errcode.FEATURE_NOT_SUPPORTED, 'row expansion via "*" is not supported here', location)
        if subscripts:
            return _assign_subscripts(
                pstate, base, name, target, typmod, collation, subscripts, steps[place:], value, context, location
            )
        assert isinstance(step, String)
        field = step.sval or ""
        base_type, base_typmod = lk.base_type_and_typmod(target, typmod)
        relation = lk.type_relid(base_type)
        if not relation:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                f'cannot assign to field "{field}" of column "{name}" because its type {format_type(target)} '
                "is not a composite type",
                location,
            )
        attribute = relation_info(relation).by_name.get(field)
        if attribute is None:
            raise pstate.error(
                errcode.UNDEFINED_COLUMN,
                f'cannot assign to field "{field}" of column "{name}" because there is no such column '
                f"in data type {format_type(target)}",
                location,
            )
        inner = assignment_indirection(
            pstate,
            None,
            field,
            False,
            attribute.atttypid,
            attribute.atttypmod,
            attribute.attcollation,
            steps[place + 1 :],
            value,
            context,
            location,
        )
        store = FieldStore(arg=base, newvals=[inner], fieldnums=[attribute.attnum], resulttype=base_type)
        if base_type != target:
            return coerce_to_domain(store, base_type, base_typmod, target, IMPLICIT, IMPLICIT_CAST, location, False)
        return store
    if subscripts:
        return _assign_subscripts(
            pstate, base, name, target, typmod, collation, subscripts, [], value, context, location
        )
    source = expr_type(value)
    result = coerce_to_target_type(pstate, value, source, target, typmod, context, IMPLICIT_CAST, -1)
    if result is None:
        if is_subscripting:
            raise pstate.error(
                errcode.DATATYPE_MISMATCH,
                f'subscripted assignment to "{name}" requires type {format_type(target)} '
                f"but expression is of type {format_type(source)}",
                location,
                hint="You will need to rewrite or cast the expression.",
            )
        raise pstate.error(
            errcode.DATATYPE_MISMATCH,
            f'subfield "{name}" is of type {format_type(target)} but expression is of type {format_type(source)}',
            location,
            hint="You will need to rewrite or cast the expression.",
        )
    return result


def _assign_subscripts(
    pstate: ParseState,
    base: Any,
    name: str,
    target: int,
    typmod: int,
    collation: int,
    subscripts: list[Any],
    rest: list[Any],
    value: Any,
    context: int,
    location: int,
) -> Any:
    base_type, base_typmod = lk.base_type_and_typmod(target, typmod)
    ref = transform_subscripts(pstate, base, base_type, base_typmod, subscripts, True)
    needed, needed_typmod = ref.refrestype, ref.reftypmod
    container = ref.refcontainertype
    needed_collation = collation if container == target else lk.type_collation(container)
    inner = assignment_indirection(
        pstate, None, name, True, needed, needed_typmod, needed_collation, rest, value, context, location
    )
    ref.refassgnexpr = inner
    ref.refrestype, ref.reftypmod = container, base_typmod
    result: Any = ref
    if container != target:
        result = coerce_to_target_type(pstate, result, container, target, typmod, context, IMPLICIT_CAST, -1)
        if result is None:
            raise pstate.error(
                errcode.CANNOT_COERCE,
                f"cannot cast type {format_type(container)} to {format_type(target)}",
                location,
            )
    return result

"""Column defaults, and the target lists and VALUES rows they go into."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import RELOID, TYPEOID, lookup, scan_rows
from tusk.catalog.names import format_type
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.coerce import (
    ASSIGNMENT,
    IMPLICIT_CAST,
    coerce_null_to_domain,
    coerce_to_target_type,
    literal_value,
)
from tusk.sql.analyze.relations import RelationInfo
from tusk.sql.nodes import enums
from tusk.sql.nodes.base import replace
from tusk.sql.nodes.make import make_const, make_null_const, make_target
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.nodes.nodetext import read_node_tree
from tusk.sql.nodes.parsetree import Query, RangeTblEntry
from tusk.sql.nodes.primitives import (
    CoerceToDomain,
    FieldStore,
    NextValueExpr,
    SetToDefault,
    SubscriptingRef,
    TargetEntry,
    Var,
)

RELATION_CATALOG = 1259


def identity_sequence(relation: int, number: int) -> int:
    """The sequence behind an identity column (getIdentitySequence)."""
    for row in scan_rows("pg_depend", refclassid=RELATION_CATALOG, refobjid=relation):
        if row.refobjsubid == number and row.deptype == "i" and row.classid == RELATION_CATALOG:
            found = lookup(RELOID, row.objid)
            if found is not None and found.relkind == "S":
                return int(row.objid)
    raise SqlError(errcode.INTERNAL_ERROR, "no owned sequence found")


def type_default(type_oid: int) -> Any:
    """The default expression of a (domain) type, or None (get_typdefault)."""
    row = lookup(TYPEOID, type_oid)
    if row is None:
        return None
    if row.typdefaultbin is not None:
        return read_node_tree(row.typdefaultbin)
    if row.typdefault is not None:
        value = literal_value(type_oid, row.typdefault, -1)
        return make_const(type_oid, -1, row.typcollation, value)
    return None


def column_default(info: RelationInfo, number: int) -> Any:
    """A copy of a column's default expression, None if it has none (build_column_default)."""
    attribute = info.attribute(number)
    if attribute.attidentity not in ("", "\0"):
        return NextValueExpr(seqid=identity_sequence(info.oid, number), typeId=attribute.atttypid)
    expr = None
    if attribute.atthasdef:
        for row in scan_rows("pg_attrdef", adrelid=info.oid, adnum=number):
            expr = read_node_tree(row.adbin)
    if expr is None and attribute.attgenerated in ("", "\0"):
        expr = type_default(attribute.atttypid)
    if expr is None:
        return None
    source = expr_type(expr)
    result = coerce_to_target_type(
        None, expr, source, attribute.atttypid, attribute.atttypmod, ASSIGNMENT, IMPLICIT_CAST, -1
    )
    if result is None:
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f'column "{attribute.attname}" is of type {format_type(attribute.atttypid)} '
            f"but default expression is of type {format_type(source)}",
            hint="You will need to rewrite or cast the expression.",
        )
    return result


def null_of(attribute: Any) -> Any:
    """NULL as a column's type, through its domain's checks."""
    return coerce_null_to_domain(
        attribute.atttypid, attribute.atttypmod, attribute.attcollation, attribute.attlen, attribute.attbyval
    )


def _default_only_columns(rte: RangeTblEntry) -> set[int]:
    return {
        number
        for number in range(1, len(rte.values_lists[0]) + 1)
        if all(isinstance(row[number - 1], SetToDefault) for row in rte.values_lists)
    }


def _always(name: str, what: str, detail: str, hint: str | None = None) -> SqlError:
    return SqlError(errcode.GENERATED_ALWAYS, what.format(name), detail=f'Column "{name}" is {detail}', hint=hint)


_IDENTITY = "an identity column defined as GENERATED ALWAYS."
_GENERATED = "a generated column."
_INSERT = 'cannot insert a non-DEFAULT value into column "{}"'
_UPDATE = 'column "{}" can only be updated to DEFAULT'


def rewrite_target_list(
    targets: list[TargetEntry],
    command: int,
    override: int,
    info: RelationInfo,
    values: RangeTblEntry | None = None,
    values_index: int = 0,
    unused: set[int] | None = None,
) -> list[TargetEntry]:
    """Put targets into column order, merge partial assignments, add defaults (rewriteTargetListIU).

    ``unused`` receives the VALUES columns that are not used any more. 428C9 for a value where only DEFAULT may be.
    """
    by_column: dict[int, TargetEntry] = {}
    junk: list[TargetEntry] = []
    next_junk = len(info.attributes) + 1
    for target in targets:
        if target.resjunk:
            if target.resno != next_junk:
                target = replace(target, resno=next_junk)
            junk.append(target)
            next_junk += 1
            continue
        attribute = info.attribute(target.resno)
        if not attribute.attisdropped:
            by_column[target.resno] = _merge(target, by_column.get(target.resno), attribute.attname)
    default_only: set[int] | None = None
    result: list[TargetEntry] = []
    for attribute in info.attributes:
        if attribute.attisdropped:
            continue
        number, name = attribute.attnum, attribute.attname
        target_or_none = by_column.get(number)
        apply = (target_or_none is None and command == enums.CMD_INSERT) or (
            target_or_none is not None and isinstance(target_or_none.expr, SetToDefault)
        )
        generated = attribute.attgenerated not in ("", "\0")
        if command == enums.CMD_INSERT:
            column = 0
            if values is not None and target_or_none is not None and isinstance(target_or_none.expr, Var):
                if target_or_none.expr.varno == values_index:
                    column = target_or_none.expr.varattno

            def only_defaults(column: int = column) -> bool:
                nonlocal default_only
                if not column or values is None:
                    return False
                if default_only is None:
                    default_only = _default_only_columns(values)
                return column in default_only

            if attribute.attidentity == "a" and not apply:
                if override == enums.OVERRIDING_USER_VALUE:
                    apply = True
                elif override != enums.OVERRIDING_SYSTEM_VALUE:
                    apply = only_defaults()
                    if not apply:
                        raise _always(name, _INSERT, _IDENTITY, "Use OVERRIDING SYSTEM VALUE to override.")
            if attribute.attidentity == "d" and override == enums.OVERRIDING_USER_VALUE:
                apply = True
            if generated and not apply:
                apply = only_defaults()
                if not apply:
                    raise _always(name, _INSERT, _GENERATED)
            if column and apply and unused is not None:
                unused.add(column)
        if command == enums.CMD_UPDATE and target_or_none is not None and not apply:
            if attribute.attidentity == "a":
                raise _always(name, _UPDATE, _IDENTITY)
            if generated:
                raise _always(name, _UPDATE, _GENERATED)
        if generated:
            # The executor computes stored ones; virtual ones are not stored.
            continue
        if apply:
            expr = column_default(info, number)
            if expr is None:
                if command == enums.CMD_INSERT:
                    continue
                expr = null_of(attribute)
            target_or_none = make_target(expr, number, name)
        if target_or_none is not None:
            result.append(target_or_none)
    return result + junk


def _assignment_input(node: Any) -> Any:
    if isinstance(node, FieldStore):
        return node.arg
    if isinstance(node, SubscriptingRef) and node.refassgnexpr is not None:
        return node.refexpr
    return None


def _merge(target: TargetEntry, prior: TargetEntry | None, name: str) -> TargetEntry:
    """Nest two assignments to parts of one column (process_matched_tle)."""
    if prior is None:
        return target
    source, before = target.expr, prior.expr
    domain = None
    if isinstance(source, CoerceToDomain):
        domain, source = source, source.arg
    if isinstance(before, CoerceToDomain):
        before = before.arg
    source_input, before_input = _assignment_input(source), _assignment_input(before)
    if source_input is None or before_input is None or expr_type(source) != expr_type(before):
        raise SqlError(errcode.SYNTAX_ERROR, f'multiple assignments to same column "{name}"')
    bottom = before_input
    while (deeper := _assignment_input(bottom)) is not None:
        bottom = deeper
    from tusk.sql.nodes.base import equal

    if not equal(bottom, source_input):
        raise SqlError(errcode.SYNTAX_ERROR, f'multiple assignments to same column "{name}"')
    if isinstance(source, FieldStore):
        if isinstance(before, FieldStore):
            expr: Any = replace(
                before, newvals=before.newvals + source.newvals, fieldnums=before.fieldnums + source.fieldnums
            )
        else:
            expr = replace(source, arg=before)
    else:
        expr = replace(source, refexpr=before)
    if domain is not None:
        expr = replace(domain, arg=expr)
    return replace(target, expr=expr)


def rewrite_values(query: Query, rte: RangeTblEntry, rtindex: int, info: RelationInfo, unused: set[int]) -> bool:
    """Replace DEFAULT in the rows of VALUES (rewriteValuesRTE); False if some of an updatable view's remain."""
    if not any(isinstance(expr, SetToDefault) for row in rte.values_lists for expr in row):
        return True
    columns: dict[int, int] = {}
    for target in query.targetList:
        if isinstance(target.expr, Var) and target.expr.varno == rtindex:
            columns[target.expr.varattno] = target.resno
    keep = info.kind == "v"
    complete = True
    defaults: dict[int, Any] = {}
    rows = []
    for row in rte.values_lists:
        new_row = []
        for place, expr in enumerate(row, 1):
            if not isinstance(expr, SetToDefault):
                new_row.append(expr)
                continue
            number = columns.get(place, 0)
            if place in unused or not number:
                new_row.append(make_null_const(expr.typeId, expr.typeMod, expr.collation))
                continue
            if number not in defaults:
                defaults[number] = column_default(info, number)
            default = defaults[number]
            if default is None:
                if keep:
                    complete = False
                    new_row.append(expr)
                    continue
                default = null_of(info.attribute(number))
            new_row.append(default)
        rows.append(new_row)
    rte.values_lists = rows
    return complete


def finish_values(rte: RangeTblEntry) -> None:
    """NULL for the DEFAULTs that a view and its table gave no meaning (rewriteValuesRTEToNulls)."""
    rte.values_lists = [
        [
            make_null_const(expr.typeId, expr.typeMod, expr.collation) if isinstance(expr, SetToDefault) else expr
            for expr in row
        ]
        for row in rte.values_lists
    ]

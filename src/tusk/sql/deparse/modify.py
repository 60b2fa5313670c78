"""INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import CONSTROID, lookup
from tusk.catalog.identifiers import quote_identifier
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.expressions import write_indirection
from tusk.sql.deparse.fromclause import only_marker, write_alias, write_from, write_values
from tusk.sql.deparse.namespaces import attribute_name
from tusk.sql.deparse.targets import write_returning
from tusk.sql.deparse.variables import write_top_level_list
from tusk.sql.deparse.writer import INDENT_STD, Deparser
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import strip_implicit_coercions
from tusk.sql.nodes.primitives import CoerceToDomain, FieldStore, Param, SubLink, SubscriptingRef

_OVERRIDING = {
    enums.OVERRIDING_NOT_SET: "",
    enums.OVERRIDING_SYSTEM_VALUE: "OVERRIDING SYSTEM VALUE ",
    enums.OVERRIDING_USER_VALUE: "OVERRIDING USER VALUE ",
}


def _begin(d: Deparser) -> None:
    if d.pretty_indent:
        d.indent += INDENT_STD
        d.put(" ")


def _where(d: Deparser, condition: Any) -> None:
    if condition is not None:
        d.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
        d.expression(condition, False)


def _write_insert_columns(d: Deparser, relid: int, targets: list[Any]) -> list[Any]:
    """The column list; the expressions for VALUES are returned."""
    sources = []
    first = True
    for target in targets:
        if target.resjunk:
            continue
        d.put("" if first else ", ")
        first = False
        d.put(quote_identifier(attribute_name(relid, target.resno)))
        sources.append(write_indirection(d, target.expr))
    return sources


def write_insert(d: Deparser, query: Any) -> None:
    """INSERT (get_insert_query_def)."""
    select = next((rte for rte in query.rtable if rte.rtekind == enums.RTE_SUBQUERY), None)
    values = next((rte for rte in query.rtable if rte.rtekind == enums.RTE_VALUES), None)
    rte = query.rtable[query.resultRelation - 1]
    _begin(d)
    d.put(f"INSERT INTO {nm.relation_text(rte.relid)}")
    write_alias(d, rte, query.resultRelation, True)
    d.put(" ")
    sources: list[Any] = []
    if query.targetList:
        d.put("(")
        sources = _write_insert_columns(d, rte.relid, query.targetList)
        d.put(") ")
    d.put(_OVERRIDING[query.override])
    if select is not None:
        d.subquery(select.subquery, None, False)
    elif values is not None:
        write_values(d, values.values_lists)
    elif sources:
        d.keyword("VALUES (", -INDENT_STD, INDENT_STD, 2)
        write_top_level_list(d, sources, False)
        d.put(")")
    else:
        d.put("DEFAULT VALUES")
    if query.onConflict is not None:
        _on_conflict(d, query, rte)
    write_returning(d, query)


def _on_conflict(d: Deparser, query: Any, rte: Any) -> None:
    conflict = query.onConflict
    d.put(" ON CONFLICT")
    if conflict.arbiterElems:
        d.put("(")
        d.expression(conflict.arbiterElems, False)
        d.put(")")
        if conflict.arbiterWhere is not None:
            # Only the target table is in scope there.
            saved, d.var_prefix = d.var_prefix, False
            _where(d, conflict.arbiterWhere)
            d.var_prefix = saved
    elif conflict.constraint:
        row = lookup(CONSTROID, conflict.constraint)
        if row is None:
            raise nm.lookup_failed("constraint", conflict.constraint)
        d.put(f" ON CONSTRAINT {quote_identifier(row.conname)}")
    if conflict.action == enums.ONCONFLICT_NOTHING:
        d.put(" DO NOTHING")
    else:
        d.put(" DO UPDATE SET ")
        _assignments(d, conflict.onConflictSet, rte)
        _where(d, conflict.onConflictWhere)


def write_update(d: Deparser, query: Any) -> None:
    """UPDATE (get_update_query_def)."""
    rte = query.rtable[query.resultRelation - 1]
    _begin(d)
    d.put(f"UPDATE {only_marker(rte)}{nm.relation_text(rte.relid)}")
    write_alias(d, rte, query.resultRelation, False)
    d.put(" SET ")
    _assignments(d, query.targetList, rte)
    write_from(d, query, " FROM ")
    _where(d, query.jointree.quals)
    write_returning(d, query)


def _source_param(expr: Any) -> Any:
    """The expression at the bottom of an assignment to fields and elements."""
    while True:
        if type(expr) is FieldStore:
            expr = expr.newvals[0]
        elif type(expr) is SubscriptingRef and expr.refassgnexpr is not None:
            expr = expr.refassgnexpr
        elif type(expr) is CoerceToDomain and expr.coercionformat == enums.COERCE_IMPLICIT_CAST:
            expr = expr.arg
        else:
            return strip_implicit_coercions(expr)


def _assignments(d: Deparser, targets: list[Any], rte: Any) -> None:
    """``column = value`` and ``(columns) = (SELECT ...)`` (get_update_query_targetlist_def)."""
    sublinks = [
        target.expr
        for target in targets
        if target.resjunk and type(target.expr) is SubLink and target.expr.subLinkType == enums.MULTIEXPR_SUBLINK
    ]
    current: Any = None
    remaining = 0
    separator = ""
    for target in targets:
        if target.resjunk:
            continue
        d.put(separator)
        separator = ", "
        if sublinks and current is None:
            source = _source_param(target.expr)
            if type(source) is Param and source.paramkind == enums.PARAM_MULTIEXPR:
                current = sublinks.pop(0)
                remaining = sum(not each.resjunk for each in current.subselect.targetList)
                d.put("(")
        d.put(quote_identifier(attribute_name(rte.relid, target.resno)))
        expr = write_indirection(d, target.expr)
        if current is not None:
            remaining -= 1
            if remaining > 0:
                continue
            d.put(")")
            expr, current = current, None
        d.put(" = ")
        d.expression(expr, False)


def write_delete(d: Deparser, query: Any) -> None:
    """DELETE (get_delete_query_def)."""
    rte = query.rtable[query.resultRelation - 1]
    _begin(d)
    d.put(f"DELETE FROM {only_marker(rte)}{nm.relation_text(rte.relid)}")
    write_alias(d, rte, query.resultRelation, False)
    write_from(d, query, " USING ")
    _where(d, query.jointree.quals)
    write_returning(d, query)


def write_merge(d: Deparser, query: Any) -> None:
    """MERGE (get_merge_query_def)."""
    rte = query.rtable[query.resultRelation - 1]
    _begin(d)
    d.put(f"MERGE INTO {only_marker(rte)}{nm.relation_text(rte.relid)}")
    write_alias(d, rte, query.resultRelation, False)
    write_from(d, query, " USING ")
    d.keyword(" ON ", -INDENT_STD, INDENT_STD, 2)
    d.expression(query.mergeJoinCondition, False)
    by_source = any(a.matchKind == enums.MERGE_WHEN_NOT_MATCHED_BY_SOURCE for a in query.mergeActionList)
    words = {
        enums.MERGE_WHEN_MATCHED: "MATCHED",
        enums.MERGE_WHEN_NOT_MATCHED_BY_SOURCE: "NOT MATCHED BY SOURCE",
        enums.MERGE_WHEN_NOT_MATCHED_BY_TARGET: "NOT MATCHED BY TARGET" if by_source else "NOT MATCHED",
    }
    for action in query.mergeActionList:
        d.keyword(" WHEN ", -INDENT_STD, INDENT_STD, 2)
        d.put(words[action.matchKind])
        if action.qual is not None:
            d.keyword(" AND ", -INDENT_STD, INDENT_STD, 3)
            d.expression(action.qual, False)
        d.keyword(" THEN ", -INDENT_STD, INDENT_STD, 3)
        _merge_action(d, action, rte)
    write_returning(d, query)


def _merge_action(d: Deparser, action: Any, rte: Any) -> None:
    match action.commandType:
        case enums.CMD_INSERT:
            d.put("INSERT")
            sources: list[Any] = []
            if action.targetList:
                d.put(" (")
                sources = _write_insert_columns(d, rte.relid, action.targetList)
                d.put(")")
            if _OVERRIDING[action.override]:
                d.put(" " + _OVERRIDING[action.override].rstrip())
            if sources:
                d.keyword(" VALUES (", -INDENT_STD, INDENT_STD, 4)
                write_top_level_list(d, sources, False)
                d.put(")")
            else:
                d.put(" DEFAULT VALUES")
        case enums.CMD_UPDATE:
            d.put("UPDATE SET ")
            _assignments(d, action.targetList, rte)
        case enums.CMD_DELETE:
            d.put("DELETE")
        case _:
            d.put("DO NOTHING")

"""Whole queries: WITH, SELECT, set operations, and the choice of statement (get_query_def)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.sql.deparse import modify
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.clauses import (
    write_grouping_set,
    write_order_by,
    write_sort_item,
    write_windows,
)
from tusk.sql.deparse.fromclause import write_from, write_values
from tusk.sql.deparse.namespaces import Namespace, column_name, name_query
from tusk.sql.deparse.targets import write_targets
from tusk.sql.deparse.writer import INDENT_STD, Deparser, set_query_renderer
from tusk.sql.nodes import base, enums
from tusk.sql.nodes.nodefuncs import increment_sublevels_up, mutate_levels
from tusk.sql.nodes.parsetree import NotifyStmt, SetOperationStmt
from tusk.sql.nodes.primitives import Const, RangeTblRef, Var


def _flatten_group(query: Any, tree: Any) -> Any:
    """Replace references to the grouping step by the grouping expressions (flatten_group_exprs)."""

    def change(node: Any, level: int) -> Any:
        if type(node) is not Var or node.varlevelsup != level:
            return None
        rte = query.rtable[node.varno - 1]
        if rte.rtekind != enums.RTE_GROUP:
            return node
        expr = base.copy_tree(rte.groupexprs[node.varattno - 1])
        return increment_sublevels_up(expr, level) if level else expr

    return None if tree is None else mutate_levels(tree, change)


def _render(
    query: Any, parents: list[Namespace], names: Sequence[str] | None, visible: bool, flags: int, wrap: int, indent: int
) -> str:
    if query.hasGroupRTE:
        query = base.replace(query)
        entries = len(query.rtable) - 1
        query.targetList = _flatten_group(query, query.targetList)
        query.havingQual = _flatten_group(query, query.havingQual)
    else:
        entries = len(query.rtable)
    namespace = Namespace()
    d = Deparser([namespace, *parents], flags, wrap=wrap, indent=indent, var_prefix=bool(parents) or entries != 1)
    d.column_names_visible = visible
    name_query(namespace, query, parents)
    match query.commandType:
        case enums.CMD_SELECT:
            d.result_names = names
            _select(d, query)
        case enums.CMD_UPDATE:
            write_with(d, query)
            modify.write_update(d, query)
        case enums.CMD_INSERT:
            write_with(d, query)
            modify.write_insert(d, query)
        case enums.CMD_DELETE:
            write_with(d, query)
            modify.write_delete(d, query)
        case enums.CMD_MERGE:
            write_with(d, query)
            modify.write_merge(d, query)
        case enums.CMD_NOTHING:
            d.put("NOTHING")
        case _:
            _utility(d, query)
    return d.text


set_query_renderer(_render)


def _utility(d: Deparser, query: Any) -> None:
    statement = query.utilityStmt
    if not isinstance(statement, NotifyStmt):
        raise TypeError("unexpected utility statement type")
    d.keyword("", 0, INDENT_STD, 1)
    d.put(f"NOTIFY {quote_identifier(statement.conditionname or '')}")
    if statement.payload:
        d.put(f", {nm.string_literal(statement.payload)}")


def write_with(d: Deparser, query: Any) -> None:
    """The WITH clause (get_with_clause)."""
    if not query.cteList:
        return
    if d.pretty_indent:
        d.indent += INDENT_STD
        d.put(" ")
    separator = "WITH RECURSIVE " if query.hasRecursive else "WITH "
    for cte in query.cteList:
        d.put(separator + quote_identifier(cte.ctename))
        if cte.aliascolnames:
            d.put(f"({', '.join(quote_identifier(column_name(name)) for name in cte.aliascolnames)})")
        d.put(" AS ")
        if cte.ctematerialized == enums.CTEMaterializeAlways:
            d.put("MATERIALIZED ")
        elif cte.ctematerialized == enums.CTEMaterializeNever:
            d.put("NOT MATERIALIZED ")
        d.put("(")
        if d.pretty_indent:
            d.keyword("", 0, 0, 0)
        d.subquery(cte.ctequery, None, True)
        if d.pretty_indent:
            d.keyword("", 0, 0, 0)
        d.put(")")
        _search_and_cycle(d, cte)
        separator = ", "
    if d.pretty_indent:
        d.indent -= INDENT_STD
        d.keyword("", 0, 0, 0)
    else:
        d.put(" ")


def _search_and_cycle(d: Deparser, cte: Any) -> None:
    search, cycle = cte.search_clause, cte.cycle_clause
    if search is not None:
        columns = ", ".join(quote_identifier(column_name(name)) for name in search.search_col_list)
        order = "BREADTH" if search.search_breadth_first else "DEPTH"
        d.put(f" SEARCH {order} FIRST BY {columns} SET {quote_identifier(search.search_seq_column)}")
    if cycle is not None:
        columns = ", ".join(quote_identifier(column_name(name)) for name in cycle.cycle_col_list)
        d.put(f" CYCLE {columns} SET {quote_identifier(cycle.cycle_mark_column)}")
        if not (_is_bool(cycle.cycle_mark_value, True) and _is_bool(cycle.cycle_mark_default, False)):
            d.put(" TO ")
            d.expression(cycle.cycle_mark_value, False)
            d.put(" DEFAULT ")
            d.expression(cycle.cycle_mark_default, False)
        d.put(f" USING {quote_identifier(cycle.cycle_path_column)}")


def _is_bool(node: Any, value: bool) -> bool:
    return type(node) is Const and node.consttype == 16 and not node.constisnull and node.constvalue is value


def _select(d: Deparser, query: Any) -> None:
    """A SELECT with what comes around the operands of set operations (get_select_query_def)."""
    write_with(d, query)
    d.window_clause = query.windowClause
    d.target_list = query.targetList
    if query.setOperations is not None:
        _set_operation(d, query.setOperations, query)
    else:
        _basic_select(d, query)
    if query.sortClause:
        d.keyword(" ORDER BY ", -INDENT_STD, INDENT_STD, 1)
        write_order_by(d, query.sortClause, query.targetList, query.setOperations is not None)
    if query.limitOffset is not None:
        d.keyword(" OFFSET ", -INDENT_STD, INDENT_STD, 0)
        d.expression(query.limitOffset, False)
    if query.limitCount is not None:
        _limit(d, query)
    if query.hasForUpdate:
        _locking(d, query)


def _limit(d: Deparser, query: Any) -> None:
    if query.limitOption == enums.LIMIT_OPTION_WITH_TIES:
        # The grammar wants a simple expression here; with parentheses any is one.
        d.keyword(" FETCH FIRST ", -INDENT_STD, INDENT_STD, 0)
        d.put("(")
        d.expression(query.limitCount, False)
        d.put(") ROWS WITH TIES")
        return
    d.keyword(" LIMIT ", -INDENT_STD, INDENT_STD, 0)
    if type(query.limitCount) is Const and query.limitCount.constisnull:
        d.put("ALL")
    else:
        d.expression(query.limitCount, False)


_STRENGTHS = {
    enums.LCS_FORKEYSHARE: " FOR KEY SHARE",
    enums.LCS_FORSHARE: " FOR SHARE",
    enums.LCS_FORNOKEYUPDATE: " FOR NO KEY UPDATE",
    enums.LCS_FORUPDATE: " FOR UPDATE",
}


def _locking(d: Deparser, query: Any) -> None:
    for mark in query.rowMarks:
        if mark.pushedDown:
            continue
        d.keyword(_STRENGTHS[mark.strength], -INDENT_STD, INDENT_STD, 0)
        d.put(f" OF {quote_identifier(d.namespaces[0].rtable_names[mark.rti - 1] or '')}")
        if mark.waitPolicy == enums.LockWaitError:
            d.put(" NOWAIT")
        elif mark.waitPolicy == enums.LockWaitSkip:
            d.put(" SKIP LOCKED")


def _plain_values(query: Any, names: Sequence[str] | None) -> Any:
    """The VALUES entry of a query that is nothing else, as VALUES written by itself becomes (get_simple_values_rte)."""
    found: Any = None
    for rte in query.rtable:
        if rte.rtekind == enums.RTE_VALUES and rte.inFromCl:
            if found is not None:
                return None
            found = rte
        elif rte.rtekind != enums.RTE_RELATION or rte.inFromCl:
            return None
    if found is None or len(query.targetList) != len(found.eref.colnames):
        return None
    for number, (target, name) in enumerate(zip(query.targetList, found.eref.colnames, strict=True)):
        if target.resjunk:
            return None
        shown = names[number] if names is not None and number < len(names) else target.resname
        if shown is None or shown != column_name(name):
            return None
    return found


def _basic_select(d: Deparser, query: Any) -> None:
    if d.pretty_indent:
        d.indent += INDENT_STD
        d.put(" ")
    values = _plain_values(query, d.result_names)
    if values is not None:
        write_values(d, values.values_lists)
        return
    d.put("RETURN" if query.isReturn else "SELECT")
    if query.distinctClause:
        if query.hasDistinctOn:
            d.put(" DISTINCT ON (")
            for number, item in enumerate(query.distinctClause):
                d.put(", " if number else "")
                write_sort_item(d, item.tleSortGroupRef, query.targetList, False)
            d.put(")")
        else:
            d.put(" DISTINCT")
    write_targets(d, query.targetList)
    write_from(d, query, " FROM ")
    if query.jointree.quals is not None:
        d.keyword(" WHERE ", -INDENT_STD, INDENT_STD, 1)
        d.expression(query.jointree.quals, False)
    if query.groupClause or query.groupingSets:
        _group_by(d, query)
    if query.havingQual is not None:
        d.keyword(" HAVING ", -INDENT_STD, INDENT_STD, 0)
        d.expression(query.havingQual, False)
    if query.windowClause:
        write_windows(d, query)


def _group_by(d: Deparser, query: Any) -> None:
    d.keyword(" GROUP BY ", -INDENT_STD, INDENT_STD, 1)
    d.put("DISTINCT " if query.groupDistinct else "")
    saved, d.in_group_by = d.in_group_by, True
    if query.groupingSets:
        for number, item in enumerate(query.groupingSets):
            d.put(", " if number else "")
            write_grouping_set(d, item, query.targetList, True)
    else:
        for number, item in enumerate(query.groupClause):
            d.put(", " if number else "")
            write_sort_item(d, item.tleSortGroupRef, query.targetList, False)
    d.in_group_by = saved


_SET_WORDS = {enums.SETOP_UNION: "UNION ", enums.SETOP_INTERSECT: "INTERSECT ", enums.SETOP_EXCEPT: "EXCEPT "}


def _set_operation(d: Deparser, node: Any, query: Any) -> None:
    """The operands of UNION and its like (get_setop_query)."""
    if isinstance(node, RangeTblRef):
        inner = query.rtable[node.rtindex - 1].subquery
        paren = bool(
            inner.cteList
            or inner.sortClause
            or inner.rowMarks
            or inner.limitOffset is not None
            or inner.limitCount is not None
            or inner.setOperations is not None
        )
        d.put("(" if paren else "")
        d.subquery(inner, d.result_names, d.column_names_visible)
        d.put(")" if paren else "")
        return
    left, right = node.larg, node.rarg
    # Operands of the same kind chain to the left without parentheses.
    paren = isinstance(left, SetOperationStmt) and not (left.op == node.op and left.all == node.all)
    deeper = INDENT_STD if paren else 0
    if paren:
        d.put("(")
        d.keyword("", deeper, 0, 0)
    _set_operation(d, left, query)
    if paren:
        d.keyword(") ", -deeper, 0, 0)
    elif d.pretty_indent:
        d.keyword("", 0, 0, 0)
    else:
        d.put(" ")
    d.put(_SET_WORDS[node.op] + ("ALL " if node.all else ""))
    paren = isinstance(right, SetOperationStmt)
    deeper = INDENT_STD if paren else 0
    d.put("(" if paren else "")
    d.keyword("", deeper, 0, 0)
    # The names of the right operand's columns are of no consequence.
    saved, d.column_names_visible = d.column_names_visible, False
    _set_operation(d, right, query)
    d.column_names_visible = saved
    if d.pretty_indent:
        d.indent -= deeper
    if paren:
        d.keyword(")", 0, 0, 0)

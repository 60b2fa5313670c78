"""ORDER BY, GROUP BY and WINDOW items."""

from __future__ import annotations

from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.sql.analyze import lookup as lk
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.constants import write_constant
from tusk.sql.deparse.variables import write_variable
from tusk.sql.deparse.writer import INDENT_STD, Deparser
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.nodes.primitives import Aggref, Const, FuncExpr, JsonConstructorExpr, Var, WindowFunc

_CALLS = (FuncExpr, Aggref, WindowFunc, JsonConstructorExpr)


def write_sort_item(d: Deparser, reference: int, targets: list[Any], force_number: bool) -> Any:
    """What a sort or grouping item is of; the expression is returned (get_rule_sortgroupclause)."""
    target = next(target for target in targets if target.ressortgroupref == reference)
    expr = target.expr
    if force_number:
        d.put(str(target.resno))
    elif type(expr) is Const:
        # A bare number would mean an output column, so the cast is always written.
        write_constant(d, expr, 1)
    elif type(expr) is Var:
        saved, d.var_in_order_by = d.var_in_order_by, True
        write_variable(d, expr, 0, False)
        d.var_in_order_by = saved
    else:
        paren = d.pretty_paren or type(expr) in _CALLS
        d.put("(" if paren else "")
        d.expression(expr, True)
        d.put(")" if paren else "")
    return expr


def write_order_by(d: Deparser, items: list[Any], targets: list[Any], force_number: bool) -> None:
    """The list of an ORDER BY (get_rule_orderby)."""
    for number, item in enumerate(items):
        d.put(", " if number else "")
        type_oid = expr_type(write_sort_item(d, item.tleSortGroupRef, targets, force_number))
        operators = lk.type_operators(type_oid)
        if item.sortop == operators.lt:
            d.put(" NULLS FIRST" if item.nulls_first else "")
        elif item.sortop == operators.gt:
            d.put(" DESC" if item.nulls_first else " DESC NULLS LAST")
        else:
            d.put(f" USING {nm.operator_text(item.sortop, type_oid, type_oid)}")
            d.put(" NULLS FIRST" if item.nulls_first else " NULLS LAST")


def write_grouping_set(d: Deparser, node: Any, targets: list[Any], bare: bool) -> None:
    """One grouping set; ``bare`` leaves the parentheses of a single item out (get_rule_groupingset)."""
    if node.kind == enums.GROUPING_SET_EMPTY:
        d.put("()")
        return
    if node.kind == enums.GROUPING_SET_SIMPLE:
        paren = not bare or len(node.content) != 1
        d.put("(" if paren else "")
        for number, reference in enumerate(node.content):
            d.put(", " if number else "")
            write_sort_item(d, reference, targets, False)
        d.put(")" if paren else "")
        return
    opening = {
        enums.GROUPING_SET_ROLLUP: "ROLLUP(",
        enums.GROUPING_SET_CUBE: "CUBE(",
        enums.GROUPING_SET_SETS: "GROUPING SETS (",
    }
    d.put(opening[node.kind])
    for number, item in enumerate(node.content):
        d.put(", " if number else "")
        write_grouping_set(d, item, targets, node.kind != enums.GROUPING_SET_SETS)
    d.put(")")


def write_windows(d: Deparser, query: Any) -> None:
    """The WINDOW clause: windows with a name (get_rule_windowclause)."""
    first = True
    for clause in query.windowClause:
        if clause.name is None:
            continue
        if first:
            d.keyword(" WINDOW ", -INDENT_STD, INDENT_STD, 1)
        else:
            d.put(", ")
        first = False
        d.put(f"{quote_identifier(clause.name)} AS ")
        write_window_specification(d, clause, query.targetList)


def write_window_specification(d: Deparser, clause: Any, targets: list[Any]) -> None:
    """``(PARTITION BY ... ORDER BY ... frame)`` (get_rule_windowspec)."""
    d.put("(")
    space = ""
    if clause.refname:
        d.put(quote_identifier(clause.refname))
        space = " "
    if clause.partitionClause and not clause.refname:
        d.put(space + "PARTITION BY ")
        for number, item in enumerate(clause.partitionClause):
            d.put(", " if number else "")
            write_sort_item(d, item.tleSortGroupRef, targets, False)
        space = " "
    if clause.orderClause and not clause.copiedOrder:
        d.put(space + "ORDER BY ")
        write_order_by(d, clause.orderClause, targets, False)
        space = " "
    if clause.frameOptions & enums.FRAMEOPTION_NONDEFAULT:
        d.put(space)
        write_frame(d, clause.frameOptions, clause.startOffset, clause.endOffset)
    d.put(")")


def write_frame(d: Deparser, options: int, start: Any, end: Any) -> None:
    """The frame of a window (get_window_frame_options)."""
    if options & enums.FRAMEOPTION_RANGE:
        d.put("RANGE ")
    elif options & enums.FRAMEOPTION_ROWS:
        d.put("ROWS ")
    elif options & enums.FRAMEOPTION_GROUPS:
        d.put("GROUPS ")
    between = options & enums.FRAMEOPTION_BETWEEN
    d.put("BETWEEN " if between else "")
    if options & enums.FRAMEOPTION_START_UNBOUNDED_PRECEDING:
        d.put("UNBOUNDED PRECEDING")
    elif options & enums.FRAMEOPTION_START_CURRENT_ROW:
        d.put("CURRENT ROW")
    else:
        d.expression(start, False)
        d.put(" PRECEDING" if options & enums.FRAMEOPTION_START_OFFSET_PRECEDING else " FOLLOWING")
    if between:
        d.put(" AND ")
        if options & enums.FRAMEOPTION_END_UNBOUNDED_FOLLOWING:
            d.put("UNBOUNDED FOLLOWING")
        elif options & enums.FRAMEOPTION_END_CURRENT_ROW:
            d.put("CURRENT ROW")
        else:
            d.expression(end, False)
            d.put(" PRECEDING" if options & enums.FRAMEOPTION_END_OFFSET_PRECEDING else " FOLLOWING")
    if options & enums.FRAMEOPTION_EXCLUDE_CURRENT_ROW:
        d.put(" EXCLUDE CURRENT ROW")
    elif options & enums.FRAMEOPTION_EXCLUDE_GROUP:
        d.put(" EXCLUDE GROUP")
    elif options & enums.FRAMEOPTION_EXCLUDE_TIES:
        d.put(" EXCLUDE TIES")

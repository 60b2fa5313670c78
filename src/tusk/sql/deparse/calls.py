"""Calls of functions, aggregates and window functions, and the calls that SQL writes in words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog.identifiers import quote_identifier
from tusk.errors import SqlError, errcode
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.clauses import write_order_by, write_window_specification
from tusk.sql.deparse.expressions import write_cast
from tusk.sql.deparse.variables import resolve_special
from tusk.sql.deparse.writer import Deparser, emits
from tusk.sql.nodes import enums
from tusk.sql.nodes.nodefuncs import expr_type, length_coercion_typmod
from tusk.sql.nodes.plantree import WindowAgg
from tusk.sql.nodes.primitives import Aggref, FuncExpr, GroupingFunc, NamedArgExpr, WindowFunc

AGGSPLITOP_COMBINE, AGGSPLITOP_SKIPFINAL = 1, 2


@emits(FuncExpr)
def _function(d: Deparser, node: Any, show_implicit: bool) -> None:
    if node.funcformat == enums.COERCE_IMPLICIT_CAST and not show_implicit:
        d.operand(node.args[0], False, node)
        return
    if node.funcformat in (enums.COERCE_IMPLICIT_CAST, enums.COERCE_EXPLICIT_CAST):
        typmod = length_coercion_typmod(node)
        write_cast(d, node.args[0], node.funcresulttype, -1 if typmod is None else typmod, node)
        return
    if node.funcformat == enums.COERCE_SQL_SYNTAX:
        spoken = _SPOKEN.get(node.funcid)
        if spoken is not None:
            spoken(d, node.args)
            return
    _call(d, node)


def _call(d: Deparser, node: Any) -> None:
    names = [arg.name or "" for arg in node.args if type(arg) is NamedArgExpr]
    types = [expr_type(arg) for arg in node.args]
    d.put(nm.function_text(node.funcid, types, names, node.funcvariadic, d.in_group_by) + "(")
    for number, arg in enumerate(node.args, 1):
        d.put(", " if number > 1 else "")
        if node.funcvariadic and number == len(node.args):
            d.put("VARIADIC ")
        d.expression(arg, True)
    d.put(")")


def write_function_in_from(d: Deparser, node: Any) -> None:
    """A function in FROM: what does not look like a call there is written as a cast (get_rule_expr_funccall)."""
    if nm.looks_like_function(node):
        d.expression(node, True)
        return
    d.put("CAST(")
    d.expression(node, False)
    d.put(f" AS {nm.type_text(expr_type(node), -1)})")


# Calls in words


def _words(*parts: str | int) -> Callable[[Deparser, list[Any]], None]:
    """Text, and arguments by number; an argument that is missing ends the call, up to the last part."""

    def write(d: Deparser, args: list[Any]) -> None:
        pending = ""
        for part in parts[:-1]:
            if isinstance(part, str):
                pending += part
            elif part < len(args):
                d.put(pending)
                pending = ""
                d.expression(args[part], False)
            else:
                pending = ""
                break
        d.put(pending + str(parts[-1]))

    return write


def _at_time_zone(d: Deparser, args: list[Any]) -> None:
    d.put("(")
    d.operand(args[1], False, _AS_CALL)
    d.put(" AT TIME ZONE ")
    d.operand(args[0], False, _AS_CALL)
    d.put(")")


def _at_local(d: Deparser, args: list[Any]) -> None:
    d.put("(")
    d.operand(args[0], False, _AS_CALL)
    d.put(" AT LOCAL)")


def _extract(d: Deparser, args: list[Any]) -> None:
    d.put(f"EXTRACT({args[0].constvalue} FROM ")
    d.expression(args[1], False)
    d.put(")")


def _is_normalized(d: Deparser, args: list[Any]) -> None:
    d.put("(")
    d.operand(args[0], False, _AS_CALL)
    form = f" {args[1].constvalue}" if len(args) == 2 else ""
    d.put(f" IS{form} NORMALIZED)")


def _normalize(d: Deparser, args: list[Any]) -> None:
    d.put("NORMALIZE(")
    d.expression(args[0], False)
    d.put(f", {args[1].constvalue})" if len(args) == 2 else ")")


def _trim(side: str) -> Callable[[Deparser, list[Any]], None]:
    def write(d: Deparser, args: list[Any]) -> None:
        d.put(f"TRIM({side}")
        if len(args) == 2:
            d.put(" ")
            d.expression(args[1], False)
        d.put(" FROM ")
        d.expression(args[0], False)
        d.put(")")

    return write


# The parent of operands of special syntax: a call whose own parentheses do not separate them.
_AS_CALL = FuncExpr(funcformat=enums.COERCE_SQL_SYNTAX)
_SUBSTRING = _words("SUBSTRING(", 0, " FROM ", 1, " FOR ", 2, ")")
_OVERLAY = _words("OVERLAY(", 0, " PLACING ", 1, " FROM ", 2, " FOR ", 3, ")")
_OVERLAPS = _words("((", 0, ", ", 1, ") OVERLAPS (", 2, ", ", 3, "))")

# By function OID: timezone, overlaps, extract, normalize, overlay, position, substring, trim and so on.
_SPOKEN: dict[int, Callable[[Deparser, list[Any]], None]] = {
    **dict.fromkeys((1026, 1159, 2069, 2070, 2037, 2038), _at_time_zone),
    **dict.fromkeys((6334, 6335, 6336), _at_local),
    **dict.fromkeys(
        (1304, 1305, 1306, 1307, 1308, 1309, 1310, 1311, 1271, 2041, 2042, 2043, 2044), _OVERLAPS
    ),
    **dict.fromkeys((6199, 6200, 6201, 6202, 6203, 6204), _extract),
    4351: _is_normalized,
    4350: _normalize,
    3162: _words("COLLATION FOR (", 0, ")"),
    **dict.fromkeys((749, 752, 1404, 1405, 3030, 3031), _OVERLAY),
    **dict.fromkeys((849, 1698, 2014), _words("POSITION((", 1, ") IN (", 0, "))")),
    **dict.fromkeys((936, 937, 1680, 1699, 2012, 2013, 2073), _SUBSTRING),
    2074: _words("SUBSTRING(", 0, " SIMILAR ", 1, " ESCAPE ", 2, ")"),
    **dict.fromkeys((884, 885, 2015), _trim("BOTH")),
    **dict.fromkeys((875, 881, 6195), _trim("LEADING")),
    **dict.fromkeys((876, 882, 6196), _trim("TRAILING")),
    6311: lambda d, args: d.put("SYSTEM_USER"),
    2614: _words("XMLEXISTS(", 0, " PASSING ", 1, ")"),
}


# Aggregates


@emits(GroupingFunc)
def _grouping(d: Deparser, node: Any, show_implicit: bool) -> None:
    d.put("GROUPING(")
    d.expression(node.args, True)
    d.put(")")


@emits(Aggref)
def _aggregate(d: Deparser, node: Any, show_implicit: bool) -> None:
    write_aggregate(d, node, node)


def write_aggregate(
    d: Deparser, node: Any, original: Any, name: str | None = None, options: str = "", separator: str = ", "
) -> None:
    """An aggregate call; ``name`` and ``options`` are those of a JSON constructor (get_agg_expr_helper)."""
    if node.aggsplit & AGGSPLITOP_COMBINE:
        # Its argument is the partial aggregate of a plan node below: show that one.
        def write(found: Any) -> None:
            if type(found) is not Aggref:
                raise SqlError(errcode.INTERNAL_ERROR, "combining Aggref does not point to an Aggref")
            write_aggregate(d, found, original)

        resolve_special(d, node.args[0].expr, write)
        return
    if original.aggsplit & AGGSPLITOP_SKIPFINAL:
        d.put("PARTIAL ")
    if name is None:
        name = nm.function_text(node.aggfnoid, node.aggargtypes, [], node.aggvariadic, d.in_group_by)
    d.put(f"{name}({'DISTINCT ' if node.aggdistinct else ''}")
    if node.aggkind != "n":
        d.expression(node.aggdirectargs, True)
        d.put(") WITHIN GROUP (ORDER BY ")
        write_order_by(d, node.aggorder, node.args, False)
    else:
        if node.aggstar:
            d.put("*")
        arguments = [target.expr for target in node.args if not target.resjunk]
        for number, arg in enumerate(arguments, 1):
            d.put(separator if number > 1 else "")
            if node.aggvariadic and number == len(arguments):
                d.put("VARIADIC ")
            d.expression(arg, True)
        if node.aggorder:
            d.put(" ORDER BY ")
            write_order_by(d, node.aggorder, node.args, False)
    d.put(options)
    if node.aggfilter is not None:
        d.put(") FILTER (WHERE ")
        d.expression(node.aggfilter, False)
    d.put(")")


@emits(WindowFunc)
def _window_function(d: Deparser, node: Any, show_implicit: bool) -> None:
    write_window_function(d, node)


def write_window_function(
    d: Deparser, node: Any, name: str | None = None, options: str = "", separator: str = ", "
) -> None:
    """A window function call with its OVER clause (get_windowfunc_expr_helper)."""
    if name is None:
        names = [arg.name or "" for arg in node.args if type(arg) is NamedArgExpr]
        name = nm.function_text(node.winfnoid, [expr_type(arg) for arg in node.args], names, False, d.in_group_by)
    d.put(name + "(")
    if node.winstar:
        d.put("*")
    else:
        d.separated(node.args, True, separator)
    d.put(options)
    if node.aggfilter is not None:
        d.put(") FILTER (WHERE ")
        d.expression(node.aggfilter, False)
    d.put(") OVER ")
    for clause in d.window_clause:
        if clause.winref == node.winref:
            if clause.name:
                d.put(quote_identifier(clause.name))
            else:
                write_window_specification(d, clause, d.target_list)
            return
    if d.window_clause:
        raise SqlError(errcode.INTERNAL_ERROR, f"could not find window clause for winref {node.winref}")
    for namespace in d.namespaces:
        if type(namespace.plan) is WindowAgg and namespace.plan.winref == node.winref:
            d.put(quote_identifier(namespace.plan.winname or ""))
            return
    d.put("(?)")

"""FROM: tables, sub-selects, functions and joins, with aliases."""

from __future__ import annotations

from functools import partial
from typing import Any

from tusk.catalog.cache import RELOID, lookup
from tusk.catalog.identifiers import quote_identifier
from tusk.sql.analyze import lookup as lk
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.calls import write_function_in_from
from tusk.sql.deparse.namespaces import ColumnNames, column_name
from tusk.sql.deparse.variables import write_top_level_list
from tusk.sql.deparse.writer import INDENT_JOIN, INDENT_STD, INDENT_VAR, Deparser
from tusk.sql.nodes import enums
from tusk.sql.nodes.primitives import FuncExpr, JoinExpr, RangeTblRef

UNNEST = 2331
INTERNALOID = 2281
_JOINS = {enums.JOIN_LEFT: " LEFT JOIN ", enums.JOIN_FULL: " FULL JOIN ", enums.JOIN_RIGHT: " RIGHT JOIN "}


def write_from(d: Deparser, query: Any, prefix: str) -> None:
    """The FROM clause, or USING of a DELETE or MERGE (get_from_clause)."""
    first = True
    for item in query.jointree.fromlist:
        if isinstance(item, RangeTblRef) and not query.rtable[item.rtindex - 1].inFromCl:
            continue
        if first:
            d.keyword(prefix, -INDENT_STD, INDENT_STD, 2)
            _write_item(d, item, query)
            first = False
            continue
        d.put(", ")
        text = d.captured(partial(_write_item, d, item, query))
        if d.pretty_indent and d.wrap >= 0:
            if text.startswith("\n"):
                d.text = d.text.rstrip(" ")
            elif d.last_line_length() + len(text) > d.wrap:
                d.keyword("", -INDENT_STD, INDENT_STD, INDENT_VAR)
        d.put(text)


def write_values(d: Deparser, rows: list[Any]) -> None:
    """``VALUES (...), (...)`` (get_values_def)."""
    d.put("VALUES ")
    for number, row in enumerate(rows):
        d.put(", (" if number else "(")
        for column, value in enumerate(row):
            d.put("," if column else "")
            write_top_level_list(d, [value], False)
        d.put(")")


def write_alias(d: Deparser, rte: Any, index: int, use_as: bool) -> None:
    """The alias of an entry, where it has or needs one (get_rte_alias)."""
    namespace = d.namespaces[0]
    name = namespace.rtable_names[index - 1] or ""
    kind = rte.rtekind
    if rte.alias is not None or namespace.columns_of(index).print_aliases:
        shown = True
    elif kind == enums.RTE_RELATION:
        row = lookup(RELOID, rte.relid)
        shown = row is None or name != row.relname
    elif kind in (enums.RTE_FUNCTION, enums.RTE_SUBQUERY, enums.RTE_VALUES):
        shown = True
    else:
        shown = bool(kind == enums.RTE_CTE and name != rte.ctename)
    if shown:
        d.put(f"{' AS ' if use_as else ' '}{quote_identifier(name)}")


def _write_column_aliases(d: Deparser, columns: ColumnNames) -> None:
    if columns.print_aliases and columns.new_names:
        d.put(f"({', '.join(quote_identifier(name) for name in columns.new_names)})")


def _write_column_definitions(d: Deparser, function: Any, columns: ColumnNames | None) -> None:
    d.put("(")
    for number, given in enumerate(function.funccolnames):
        name = column_name(given) if columns is None else columns.names[number] or ""
        type_oid, collation = function.funccoltypes[number], function.funccolcollations[number]
        d.put(", " if number else "")
        d.put(f"{quote_identifier(name)} {nm.type_text(type_oid, function.funccoltypmods[number])}")
        if collation and collation != lk.type_collation(type_oid):
            d.put(f" COLLATE {nm.collation_text(collation)}")
    d.put(")")


def only_marker(rte: Any) -> str:
    """``ONLY `` for a table without its children."""
    return "" if rte.inh else "ONLY "


def _write_item(d: Deparser, item: Any, query: Any) -> None:
    if isinstance(item, JoinExpr):
        _write_join(d, item, query)
        return
    index = item.rtindex
    rte = query.rtable[index - 1]
    columns = d.namespaces[0].columns_of(index)
    defined: Any = None
    d.put("LATERAL " if rte.lateral else "")
    match rte.rtekind:
        case enums.RTE_RELATION:
            d.put(only_marker(rte) + nm.relation_text(rte.relid, d.namespaces))
        case enums.RTE_SUBQUERY:
            d.put("(")
            d.subquery(rte.subquery, None, True)
            d.put(")")
        case enums.RTE_FUNCTION:
            defined = _write_functions(d, rte)
        case enums.RTE_TABLEFUNC:
            d.expression(rte.tablefunc, True)
        case enums.RTE_VALUES:
            d.put("(")
            write_values(d, rte.values_lists)
            d.put(")")
        case enums.RTE_CTE:
            d.put(quote_identifier(rte.ctename))
        case _:
            raise TypeError(f"unrecognized RTE kind: {rte.rtekind}")
    write_alias(d, rte, index, False)
    if defined is not None and defined.funccolnames:
        _write_column_definitions(d, defined, columns)
    else:
        _write_column_aliases(d, columns)
    if rte.rtekind == enums.RTE_RELATION and rte.tablesample is not None:
        _write_sample(d, rte.tablesample)


def _write_functions(d: Deparser, rte: Any) -> Any:
    """The calls of a function entry; the one whose column definitions are still to be written, if any."""
    functions = rte.functions
    defined = functions[0]
    if len(functions) == 1 and not (defined.funccolnames and rte.funcordinality):
        write_function_in_from(d, defined.funcexpr)
    else:
        defined = None
        if all(
            type(each.funcexpr) is FuncExpr and each.funcexpr.funcid == UNNEST and not each.funccolnames
            for each in functions
        ):
            d.put("UNNEST(")
            d.separated([arg for each in functions for arg in each.funcexpr.args], True)
            d.put(")")
        else:
            d.put("ROWS FROM(")
            for number, each in enumerate(functions):
                d.put(", " if number else "")
                write_function_in_from(d, each.funcexpr)
                if each.funccolnames:
                    d.put(" AS ")
                    _write_column_definitions(d, each, None)
            d.put(")")
    d.put(" WITH ORDINALITY" if rte.funcordinality else "")
    return defined


def _write_join(d: Deparser, join: Any, query: Any) -> None:
    columns = d.namespaces[0].columns_of(join.rtindex)
    bare_right = isinstance(join.rarg, RangeTblRef) or (isinstance(join.rarg, JoinExpr) and join.rarg.alias is not None)
    paren_right = d.pretty_paren and not bare_right
    paren = not d.pretty_paren or join.alias is not None
    d.put("(" if paren else "")
    _write_item(d, join.larg, query)
    if join.jointype == enums.JOIN_INNER:
        word = " JOIN " if join.quals is not None else " CROSS JOIN "
    else:
        word = _JOINS[join.jointype]
    d.keyword(word, -INDENT_STD, INDENT_STD, INDENT_JOIN)
    d.put("(" if paren_right else "")
    _write_item(d, join.rarg, query)
    d.put(")" if paren_right else "")
    if join.usingClause:
        d.put(f" USING ({', '.join(quote_identifier(name) for name in columns.using_names)})")
        if join.join_using_alias is not None:
            d.put(f" AS {quote_identifier(join.join_using_alias.aliasname)}")
    elif join.quals is not None:
        d.put(" ON ")
        d.open_paren()
        d.expression(join.quals, False)
        d.close_paren()
    elif join.jointype != enums.JOIN_INNER:
        d.put(" ON TRUE")
    d.put(")" if paren else "")
    if join.alias is not None:
        d.put(f" {quote_identifier(d.namespaces[0].rtable_names[join.rtindex - 1] or '')}")
        _write_column_aliases(d, columns)


def _write_sample(d: Deparser, sample: Any) -> None:
    d.put(f" TABLESAMPLE {nm.function_text(sample.tsmhandler, [INTERNALOID])} (")
    d.separated(sample.args, False)
    d.put(")")
    if sample.repeatable is not None:
        d.put(" REPEATABLE (")
        d.expression(sample.repeatable, False)
        d.put(")")

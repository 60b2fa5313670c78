"""Definitions of functions and procedures, and their arguments and results."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import AGGFNOID, LANGOID, PROCOID, lookup
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_type
from tusk.catalog.namespace import get_namespace_name, split_identifier_string
from tusk.errors import SqlError, errcode
from tusk.sql.deparse import names as nm
from tusk.sql.deparse.expression import deparse_expression
from tusk.sql.deparse.namespaces import Namespace
from tusk.sql.deparse.writer import PRETTY_INDENT, render_query
from tusk.sql.nodes.nodetext import read_node_tree

INTERNAL_LANGUAGE, C_LANGUAGE, SQL_LANGUAGE, INTERNALOID = 12, 13, 14, 2281
# Settings whose value is a list of quoted names.
_LIST_SETTINGS = frozenset(
    (
        "local_preload_libraries", "search_path", "session_preload_libraries", "shared_preload_libraries",
        "temp_tablespaces", "unix_socket_directories",
    )
)  # fmt: skip


def argument_modes(row: Any) -> list[tuple[str, str | None, int]]:
    """(mode, name, type) of all arguments of a function (get_func_arg_info)."""
    types = row.proallargtypes if row.proallargtypes is not None else row.proargtypes
    names = row.proargnames or (None,) * len(types)
    modes = row.proargmodes or "i" * len(types)
    return list(zip(modes, names, types, strict=True))


def _argument_defaults(row: Any) -> list[Any]:
    return list(read_node_tree(row.proargdefaults)) if row.proargdefaults else []


_MODE_WORDS = {"i": "", "b": "INOUT ", "o": "OUT ", "v": "VARIADIC ", "t": ""}


def arguments_text(row: Any, *, table_columns: bool = False, defaults: bool = False) -> tuple[str, int]:
    """The argument list, or the columns of RETURNS TABLE; and how many (print_function_arguments)."""
    arguments = argument_modes(row)
    values = _argument_defaults(row) if defaults else []
    lacking = row.pronargs - len(values)
    order_by_at = -1
    if row.prokind == "a":
        aggregate = lookup(AGGFNOID, row.oid)
        if aggregate is not None and aggregate.aggkind != "n":
            order_by_at = aggregate.aggnumdirectargs
    text, printed, inputs = "", 0, 0
    queue = list(enumerate(arguments))
    while queue:
        position, (mode, name, type_oid) = queue.pop(0)
        is_input = mode in "ibv"
        inputs += is_input
        if table_columns != (mode == "t"):
            continue
        if printed == order_by_at:
            text += " ORDER BY " if printed else "ORDER BY "
        elif printed:
            text += ", "
        text += "IN " if mode == "i" and row.prokind == "p" else _MODE_WORDS[mode]
        if name:
            text += quote_identifier(name) + " "
        text += format_type(type_oid)
        if is_input and values and inputs > lacking:
            text += f" DEFAULT {deparse_expression(values[inputs - lacking - 1], [])}"
        printed += 1
        if printed == order_by_at and position == len(arguments) - 1:
            # The last argument of a variadic ordered-set aggregate stands for both lists.
            queue.append((position, arguments[position]))
            values = []
    return text, printed


def identity_arguments(row: Any) -> str:
    """The argument list that identifies a function in DDL."""
    return arguments_text(row)[0]


def result_text(row: Any) -> str:
    """What follows RETURNS (print_function_rettype)."""
    if row.proretset:
        columns, count = arguments_text(row, table_columns=True)
        if count:
            return f"TABLE({columns})"
    return ("SETOF " if row.proretset else "") + format_type(row.prorettype)


def argument_default(row: Any, number: int) -> str | None:
    """The default of an argument, counted among all of them (pg_get_function_arg_default)."""
    arguments = argument_modes(row)
    if not 1 <= number <= len(arguments) or arguments[number - 1][0] not in "ibv":
        return None
    values = _argument_defaults(row)
    inputs = sum(mode in "ibv" for mode, _, _ in arguments[:number])
    position = inputs - 1 - (row.pronargs - len(values))
    if not values or not 0 <= position < len(values):
        return None
    return deparse_expression(values[position], [])


def sql_body(row: Any) -> str:
    """The body of a function written in standard SQL (print_function_sqlbody)."""
    namespace = Namespace()
    namespace.function_name = row.proname
    # Numbers of parameters count input arguments only.
    namespace.argument_names = [name or None for mode, name, _ in argument_modes(row) if mode in "ibv"]
    body = read_node_tree(row.prosqlbody)
    if isinstance(body, list):
        text = "BEGIN ATOMIC\n"
        for query in body[0]:
            text += render_query(query, [namespace], None, False, PRETTY_INDENT, indent=1) + ";\n"
        return text + "END"
    return render_query(body, [namespace], None, False)


def _general(value: float) -> str:
    return f"{value:g}"


def _options(row: Any) -> str:
    """Window, volatility, cost and the like, on one line."""
    text = " WINDOW" if row.prokind == "w" else ""
    text += {"i": " IMMUTABLE", "s": " STABLE"}.get(row.provolatile, "")
    text += {"s": " PARALLEL SAFE", "r": " PARALLEL RESTRICTED"}.get(row.proparallel, "")
    text += " STRICT" if row.proisstrict else ""
    text += " SECURITY DEFINER" if row.prosecdef else ""
    text += " LEAKPROOF" if row.proleakproof else ""
    usual = 1 if row.prolang in (INTERNAL_LANGUAGE, C_LANGUAGE) else 100
    text += f" COST {_general(row.procost)}" if row.procost != usual else ""
    text += f" ROWS {_general(row.prorows)}" if row.prorows > 0 and row.prorows != 1000 else ""
    if row.prosupport:
        text += f" SUPPORT {nm.function_text(row.prosupport, [INTERNALOID])}"
    return text + "\n" if text else ""


def _setting(item: str) -> str:
    name, _, value = item.partition("=")
    if name.lower() in _LIST_SETTINGS:
        shown = ", ".join(nm.string_literal(word) for word in split_identifier_string(value) or [])
    else:
        shown = nm.string_literal(value)
    return f" SET {quote_identifier(name)} TO {shown}\n"


def _dollar_quoted(text: str, is_procedure: bool) -> str:
    mark = "$procedure" if is_procedure else "$function"
    while mark in text:
        mark += "x"
    return f"{mark}${text}{mark}$"


def function_definition(oid: int) -> str | None:
    """CREATE OR REPLACE FUNCTION or PROCEDURE; None for no function, 42809 for an aggregate (pg_get_functiondef)."""
    row = lookup(PROCOID, oid)
    if row is None:
        return None
    if row.prokind == "a":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.proname}" is an aggregate function')
    is_procedure = row.prokind == "p"
    name = quote_qualified_identifier(get_namespace_name(row.pronamespace), row.proname)
    kind = "PROCEDURE" if is_procedure else "FUNCTION"
    text = f"CREATE OR REPLACE {kind} {name}({arguments_text(row, defaults=True)[0]})\n"
    if not is_procedure:
        text += f" RETURNS {result_text(row)}\n"
    if row.protrftypes:
        types = ", ".join(f"FOR TYPE {format_type(type_oid)}" for type_oid in row.protrftypes)
        text += f" TRANSFORM {types}\n"
    text += f" LANGUAGE {quote_identifier(lookup(LANGOID, row.prolang).lanname)}\n"
    text += _options(row)
    text += "".join(_setting(item) for item in row.proconfig or ())
    if row.prolang == SQL_LANGUAGE and row.prosqlbody is not None:
        return text + sql_body(row) + "\n"
    text += "AS "
    if row.probin is not None:
        text += nm.string_literal(row.probin) + ", "
        return text + nm.string_literal(row.prosrc) + "\n"
    return text + _dollar_quoted(row.prosrc, is_procedure) + "\n"



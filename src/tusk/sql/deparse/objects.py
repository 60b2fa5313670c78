"""Definitions of indexes, constraints, functions, triggers and rules as SQL text."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import (
    AGGFNOID,
    AMOID,
    CLAOID,
    CONSTROID,
    INDEXRELID,
    LANGOID,
    PROCOID,
    RELOID,
    lookup,
    scan_rows,
)  # fmt: skip
from tusk.catalog.names import format_type, quote_identifier, quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name, opclass_is_visible
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.relations import relation_info
from tusk.sql.deparse.context import PRETTY_INDENT, PRETTY_SCHEMA, Context
from tusk.sql.deparse.expressions import (
    collation_text,
    function_text,
    operator_text,
    put,
    quote_literal_simple,
    relation_text,
)  # fmt: skip
from tusk.sql.deparse.naming import Namespace
from tusk.sql.deparse.queries import put_query
from tusk.sql.nodes import enums, primitives, read_node_tree
from tusk.sql.nodes.make import make_alias
from tusk.sql.nodes.nodefuncs import expr_collation, expr_type
from tusk.sql.nodes.parsetree import Query, RangeTblEntry


def _entry(relid: int, name: str) -> RangeTblEntry:
    return RangeTblEntry(
        rtekind=enums.RTE_RELATION, relid=relid, relkind=relation_info(relid).kind, alias=make_alias(name),
        eref=make_alias(name), inFromCl=True,
    )  # fmt: skip


def relation_context(*tables: tuple[int, str], flags: int = 0, prefix: bool = False) -> Context:
    """A context in which expressions over these (relation, name) tables print (deparse_context_for)."""
    query = Query(rtable=[_entry(relid, name) for relid, name in tables])
    ctx = Context([Namespace(query, [])], flags)
    ctx.varprefix = prefix
    return ctx


def expression_text(tree: Any, relid: int, flags: int = 0) -> str:
    """An expression over the columns of one relation, or of none (deparse_expression_pretty)."""
    ctx = relation_context((relid, relation_info(relid).name), flags=flags) if relid else Context([], flags)
    put(ctx, tree, False)
    return ctx.text()


def qualified_relation(relid: int) -> str:
    """A relation's name with its schema always."""
    row = relation_info(relid).row
    return quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname)


def opclass_text(opclass: int, type_oid: int) -> str:
    """`` opclass``, unless it is the default for the type (get_opclass_name)."""
    row = lookup(CLAOID, opclass)
    if type_oid and lk.default_opclass(type_oid, row.opcmethod) == opclass:
        return ""
    schema = None if opclass_is_visible(opclass) else get_namespace_name(row.opcnamespace)
    return " " + quote_qualified_identifier(schema, row.opcname)


def _options_text(options: tuple[str, ...] | None) -> str:
    """Storage parameters as in WITH (flatten_reloptions)."""
    parts = []
    for option in options or ():
        name, _, value = option.partition("=")
        shown = value if value and quote_identifier(value) == value else quote_literal_simple(value)
        parts.append(f"{quote_identifier(name)}={shown}")
    return ", ".join(parts)


def _looks_like_function(node: Any) -> bool:
    if isinstance(node, primitives.FuncExpr):
        return node.funcformat in (enums.COERCE_EXPLICIT_CALL, enums.COERCE_SQL_SYNTAX)
    return isinstance(
        node, (primitives.CoalesceExpr, primitives.MinMaxExpr, primitives.NullIfExpr, primitives.SQLValueFunction)
    )


_ORDERED_METHODS = (403,)


def index_text(
    index: int,
    column: int = 0,
    exclude: tuple[int, ...] | None = None,
    columns_only: bool = False,
    flags: int = 0,
    with_tablespace: bool = False,
) -> str | None:
    """CREATE INDEX, or one column of it, or an EXCLUDE constraint (pg_get_indexdef_worker)."""
    row, own = lookup(INDEXRELID, index), lookup(RELOID, index)
    if row is None or own is None:
        return None
    table = row.indrelid
    info = relation_info(table)
    method = lookup(AMOID, own.relam).amname
    exprs = iter(read_node_tree(row.indexprs) if row.indexprs else [])
    text = ""
    if not columns_only:
        if exclude is None:
            shown = relation_text(table, []) if flags & PRETTY_SCHEMA else qualified_relation(table)
            only = "ONLY " if own.relkind == "I" else ""
            text = (
                f"CREATE {'UNIQUE ' if row.indisunique else ''}INDEX {quote_identifier(own.relname)} ON {only}{shown} "
                f"USING {quote_identifier(method)} ("
            )
        else:
            text = f"EXCLUDE USING {quote_identifier(method)} ("
    separator = ""
    for place, number in enumerate(row.indkey):
        if not column and place == row.indnkeyatts:
            text += ") INCLUDE ("
            separator = ""
        wanted = not column or column == place + 1
        if not column:
            text += separator
            separator = ", "
        if number:
            attribute = info.attribute(number)
            shown = quote_identifier(attribute.attname)
            type_oid, collation = attribute.atttypid, attribute.attcollation
        else:
            expr = next(exprs)
            shown = expression_text(expr, table, flags)
            if not _looks_like_function(expr):
                shown = f"({shown})"
            type_oid, collation = expr_type(expr), expr_collation(expr)
        if not wanted:
            continue
        text += shown
        if columns_only or place >= row.indnkeyatts:
            continue
        own_collation = row.indcollation[place]
        if own_collation and own_collation != collation:
            text += f" COLLATE {collation_text(own_collation)}"
        text += opclass_text(row.indclass[place], type_oid)
        if own.relam in _ORDERED_METHODS:
            option = row.indoption[place]
            if option & 1:
                text += " DESC" if option & 2 else " DESC NULLS LAST"
            elif option & 2:
                text += " NULLS FIRST"
        if exclude is not None:
            text += f" WITH {operator_text(exclude[place], type_oid, type_oid)}"
    if columns_only:
        return text
    text += ")"
    if row.indnullsnotdistinct:
        text += " NULLS NOT DISTINCT"
    options = _options_text(own.reloptions)
    if options:
        text += f" WITH ({options})"
    del with_tablespace
    if row.indpred:
        predicate = read_node_tree(row.indpred)
        if isinstance(predicate, list):
            predicate = predicate[0] if len(predicate) == 1 else primitives.BoolExpr(args=predicate)
        shown = expression_text(predicate, table, flags)
        text += f" WHERE ({shown})" if exclude is not None else f" WHERE {shown}"
    return text


_ACTIONS = {"r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}
_MATCHES = {"f": " MATCH FULL", "p": " MATCH PARTIAL"}


def _columns(relid: int, numbers: Any) -> str:
    info = relation_info(relid)
    return ", ".join(quote_identifier(info.attribute(number).attname) for number in numbers)


def constraint_text(constraint: int, flags: int = 0) -> str | None:
    """A constraint as in CREATE TABLE, without its name (pg_get_constraintdef_worker)."""
    row = lookup(CONSTROID, constraint)
    if row is None:
        return None
    kind = row.contype
    if kind == "f":
        text = f"FOREIGN KEY ({_period(_columns(row.conrelid, row.conkey), row.conperiod)}) REFERENCES "
        text += f"{relation_text(row.confrelid, [])}({_period(_columns(row.confrelid, row.confkey), row.conperiod)})"
        text += _MATCHES.get(row.confmatchtype, "")
        for word, action in (("UPDATE", row.confupdtype), ("DELETE", row.confdeltype)):
            if action in _ACTIONS:
                text += f" ON {word} {_ACTIONS[action]}"
        if row.confdelsetcols:
            text += f" ({_columns(row.conrelid, row.confdelsetcols)})"
    elif kind in "pu":
        index = lookup(INDEXRELID, row.conindid)
        text = "PRIMARY KEY " if kind == "p" else "UNIQUE "
        if index is not None and index.indnullsnotdistinct:
            text += "NULLS NOT DISTINCT "
        text += f"({_columns(row.conrelid, row.conkey)}{' WITHOUT OVERLAPS' if row.conperiod else ''})"
        if index is not None and index.indnatts > index.indnkeyatts:
            text += f" INCLUDE ({_columns(row.conrelid, index.indkey[index.indnkeyatts :])})"
    elif kind == "c":
        condition = expression_text(read_node_tree(row.conbin), row.conrelid, flags)
        text = f"CHECK ({condition}){' NO INHERIT' if row.connoinherit else ''}"
    elif kind == "n":
        text = "NOT NULL"
        if row.conrelid:
            text += f" {_columns(row.conrelid, row.conkey)}{' NO INHERIT' if row.connoinherit else ''}"
    elif kind == "x":
        text = index_text(row.conindid, exclude=tuple(row.conexclop), flags=flags) or ""
    else:
        text = "TRIGGER"
    if row.condeferrable:
        text += " DEFERRABLE"
    if row.condeferred:
        text += " INITIALLY DEFERRED"
    if not row.conenforced:
        text += " NOT ENFORCED"
    elif not row.convalidated:
        text += " NOT VALID"
    return text


def _period(columns: str, with_period: bool) -> str:
    if not with_period:
        return columns
    head, comma, last = columns.rpartition(", ")
    return f"{head}{comma}PERIOD {last}"


# Functions --------------------------------------------------------------------------------------------------------------


def arguments_text(row: Any, table_columns: bool, with_defaults: bool) -> str:
    """The arguments of a function, or its TABLE columns (print_function_arguments)."""
    types = row.proallargtypes or row.proargtypes
    modes = row.proargmodes or ("i",) * len(types)
    names = row.proargnames or ("",) * len(types)
    defaults = read_node_tree(row.proargdefaults) if with_defaults and row.proargdefaults else []
    without = len(row.proargtypes) - len(defaults)
    order_at = -1
    if row.prokind == "a":
        aggregate = lookup(AGGFNOID, row.oid)
        if aggregate is not None and aggregate.aggkind in "oh":
            order_at = aggregate.aggnumdirectargs
    parts: list[str] = []
    inputs = 0
    for type_oid, mode, name in zip(types, modes, names, strict=True):
        is_input = mode in "ibv"
        inputs += is_input
        if table_columns != (mode == "t"):
            continue
        text = {"b": "INOUT ", "o": "OUT ", "v": "VARIADIC "}.get(mode, "")
        if mode == "i" and row.prokind == "p":
            text = "IN "
        text += f"{quote_identifier(name)} " if name else ""
        text += format_type(type_oid)
        if is_input and defaults and inputs > without:
            text += f" DEFAULT {expression_text(defaults[inputs - without - 1], 0)}"
        parts.append(text)
    if order_at < 0:
        return ", ".join(parts)
    if order_at == len(parts):
        # A variadic ordered-set aggregate: the last argument stands on both sides.
        return ", ".join(parts) + " ORDER BY " + parts[-1]
    direct = ", ".join(parts[:order_at])
    return f"{direct}{' ' if direct else ''}ORDER BY {', '.join(parts[order_at:])}"


def result_text(row: Any) -> str | None:
    """What a function returns; None for a procedure."""
    if row.prokind == "p":
        return None
    prefix = "SETOF " if row.proretset else ""
    if row.proretset and row.proargmodes and "t" in row.proargmodes:
        return f"TABLE({arguments_text(row, True, False)})"
    return prefix + format_type(row.prorettype)


def body_text(row: Any) -> str | None:
    """The SQL-standard body of a function (print_function_sqlbody)."""
    if not row.prosqlbody:
        return None
    tree = read_node_tree(row.prosqlbody)
    outer = Namespace(Query(), [])
    modes = row.proargmodes or ("i",) * len(row.proargtypes)
    outer.function_name = row.proname
    outer.argument_names = tuple(
        name for name, mode in zip(row.proargnames or (), modes, strict=False) if mode in "ibv"
    )
    if isinstance(tree, Query):
        ctx = Context([outer], 0, 0)
        put_query(ctx, tree, None, False)
        return ctx.text()
    statements = tree[0] if tree and isinstance(tree[0], list) else tree
    text = "BEGIN ATOMIC\n"
    for statement in statements:
        inner = Context([outer], PRETTY_INDENT, 0, 1)
        put_query(inner, statement, None, False)
        text += f"{inner.text()};\n"
    return text + "END"


_VOLATILITY = {"i": " IMMUTABLE", "s": " STABLE"}
_PARALLEL = {"s": " PARALLEL SAFE", "r": " PARALLEL RESTRICTED"}
_LIST_SETTINGS = ("search_path", "session_preload_libraries", "local_preload_libraries", "temp_tablespaces")


def function_definition(function: int) -> str | None:
    """CREATE OR REPLACE FUNCTION (pg_get_functiondef); 42809 for aggregates."""
    row = lookup(PROCOID, function)
    if row is None:
        return None
    if row.prokind == "a":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.proname}" is an aggregate function')
    what = "PROCEDURE" if row.prokind == "p" else "FUNCTION"
    name = quote_qualified_identifier(get_namespace_name(row.pronamespace), row.proname)
    text = f"CREATE OR REPLACE {what} {name}({arguments_text(row, False, True)})\n"
    result = result_text(row)
    if result is not None:
        text += f" RETURNS {result}\n"
    language = lookup(LANGOID, row.prolang).lanname
    text += f" LANGUAGE {quote_identifier(language)}\n"
    options = " WINDOW" if row.prokind == "w" else ""
    options += _VOLATILITY.get(row.provolatile, "") + _PARALLEL.get(row.proparallel, "")
    options += " STRICT" if row.proisstrict else ""
    options += " SECURITY DEFINER" if row.prosecdef else ""
    options += " LEAKPROOF" if row.proleakproof else ""
    if row.procost != (1 if language in ("internal", "c") else 100):
        options += f" COST {row.procost:g}"
    if row.prorows > 0 and row.prorows != 1000:
        options += f" ROWS {row.prorows:g}"
    if row.prosupport:
        options += f" SUPPORT {function_text(row.prosupport, [2281], [], False)}"
    text += f"{options}\n" if options else ""
    for setting in row.proconfig or ():
        key, _, value = setting.partition("=")
        shown = value if key.lower() in _LIST_SETTINGS else quote_literal_simple(value)
        text += f" SET {quote_identifier(key)} TO {shown}\n"
    body = body_text(row)
    if body is not None:
        return text + body + "\n"
    text += "AS "
    if row.probin is not None:
        text += f"{quote_literal_simple(row.probin)}, "
    quote = f"${what.lower()}"
    while quote in row.prosrc:
        quote += "x"
    quote += "$"
    return f"{text}{quote}{row.prosrc}{quote}\n"


# Triggers and rules -----------------------------------------------------------------------------------------------------


def trigger_text(trigger: int, pretty: bool) -> str | None:
    """CREATE TRIGGER (pg_get_triggerdef_worker)."""
    rows = scan_rows("pg_trigger", oid=trigger)
    if not rows:
        return None
    row = rows[0]
    kind = row.tgtype
    text = f"CREATE {'CONSTRAINT ' if row.tgconstraint else ''}TRIGGER {quote_identifier(row.tgname)} "
    text += "INSTEAD OF" if kind & 64 else "BEFORE" if kind & 2 else "AFTER"
    events = [word for bit, word in ((4, "INSERT"), (8, "DELETE"), (16, "UPDATE"), (32, "TRUNCATE")) if kind & bit]
    if kind & 16 and row.tgattr:
        events[events.index("UPDATE")] = f"UPDATE OF {_columns(row.tgrelid, row.tgattr)}"
    text += f" {' OR '.join(events)} ON "
    text += relation_text(row.tgrelid, []) if pretty else qualified_relation(row.tgrelid)
    text += " "
    if row.tgconstraint:
        text += f"FROM {relation_text(row.tgconstrrelid, [])} " if row.tgconstrrelid else ""
        text += f"{'' if row.tgdeferrable else 'NOT '}DEFERRABLE INITIALLY "
        text += "DEFERRED " if row.tginitdeferred else "IMMEDIATE "
    if row.tgoldtable is not None or row.tgnewtable is not None:
        text += "REFERENCING "
        text += f"OLD TABLE AS {quote_identifier(row.tgoldtable)} " if row.tgoldtable is not None else ""
        text += f"NEW TABLE AS {quote_identifier(row.tgnewtable)} " if row.tgnewtable is not None else ""
    text += "FOR EACH ROW " if kind & 1 else "FOR EACH STATEMENT "
    if row.tgqual:
        ctx = relation_context((row.tgrelid, "old"), (row.tgrelid, "new"), prefix=True)
        put(ctx, read_node_tree(row.tgqual), False)
        text += f"WHEN ({ctx.text()}) "
    arguments = bytes(row.tgargs or b"").decode("utf-8", "surrogateescape").split("\0")[: row.tgnargs]
    shown = ", ".join(quote_literal_simple(argument) for argument in arguments)
    return f"{text}EXECUTE FUNCTION {function_text(row.tgfoid, [], [], False)}({shown})"


_EVENTS = {"1": "SELECT", "2": "UPDATE", "3": "INSERT", "4": "DELETE"}


def rule_text(rule: int, flags: int) -> str | None:
    """CREATE RULE (make_ruledef)."""
    rows = scan_rows("pg_rewrite", oid=rule)
    if not rows:
        return None
    row = rows[0]
    info = relation_info(row.ev_class)
    separator = "\n    " if flags & 2 else " "
    text = f"CREATE RULE {quote_identifier(row.rulename)} AS{separator}ON {_EVENTS[row.ev_type]}"
    text += f" TO {relation_text(info.oid, []) if flags & PRETTY_SCHEMA else qualified_relation(info.oid)}"
    qual = read_node_tree(row.ev_qual)
    if qual is not None:
        ctx = relation_context((info.oid, "old"), (info.oid, "new"), flags=flags, prefix=True)
        put(ctx, qual, False)
        text += ("\n  " if flags & 2 else "") + f" WHERE {ctx.text()}"
    text += " DO " + ("INSTEAD " if row.is_instead else "")
    actions = read_node_tree(row.ev_action) or []
    names = [a.attname for a in info.attributes if not a.attisdropped] if row.ev_type == "1" else None
    shown = []
    for action in actions:
        ctx = Context([], flags, 0)
        put_query(ctx, action, names, True)
        shown.append(ctx.text())
    if len(shown) > 1:
        return text + "(" + "".join(f"{one};{chr(10) if flags & 2 else ' '}" for one in shown) + ");"
    return text + (shown[0] if shown else "NOTHING") + ";"

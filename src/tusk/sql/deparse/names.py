"""Names of functions, operators and the like, qualified only where the parser would find something else without."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tusk.catalog.cache import CLAOID, COLLOID, OPEROID, PROCOID, RELOID, lookup
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_type
from tusk.catalog.namespace import (
    collation_is_visible,
    get_namespace_name,
    opclass_is_visible,
    relation_is_visible,
)
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.functions import resolve_function
from tusk.sql.analyze.operators import find_operator
from tusk.sql.deparse.namespaces import Namespace
from tusk.sql.nodes import enums

# Words that mean grouping sets within GROUP BY.
_GROUPING_WORDS = frozenset(("cube", "rollup"))


def lookup_failed(what: str, oid: int) -> SqlError:
    """The error for a catalog row that must exist and does not."""
    return SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for {what} {oid}")


def string_literal(text: str) -> str:
    """A string constant; backslashes stand for themselves (simple_quote_literal)."""
    return "'" + text.replace("'", "''") + "'"


def type_text(type_oid: int, typmod: int) -> str:
    """A type as a cast names it (format_type_with_typemod)."""
    return format_type(type_oid, typmod)


def relation_text(relid: int, namespaces: Iterable[Namespace] = ()) -> str:
    """A relation's name; qualified if not visible, or if a WITH query hides it (generate_relation_name)."""
    row = lookup(RELOID, relid)
    if row is None:
        raise lookup_failed("relation", relid)
    hidden = any(
        rte_cte.ctename == row.relname for namespace in namespaces for rte_cte in namespace.ctes
    )
    schema = None if not hidden and relation_is_visible(relid) else get_namespace_name(row.relnamespace)
    return quote_qualified_identifier(schema, row.relname)


def qualified_relation_text(relid: int) -> str:
    """A relation's name with its schema (generate_qualified_relation_name)."""
    row = lookup(RELOID, relid)
    if row is None:
        raise lookup_failed("relation", relid)
    return quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname)


def function_text(
    function: int, types: list[int], argnames: list[str] | None = None, variadic: bool = False, grouping: bool = False
) -> str:
    """A function's name in a call with these argument types (generate_function_name)."""
    row = lookup(PROCOID, function)
    if row is None:
        raise lookup_failed("function", function)
    qualify = grouping and row.proname in _GROUPING_WORDS
    if not qualify:
        detail = resolve_function([row.proname], None, argnames or [], types, not variadic, True)
        qualify = detail.kind not in ("f", "a", "w", "p") or detail.oid != function
    return quote_qualified_identifier(get_namespace_name(row.pronamespace) if qualify else None, row.proname)


def operator_text(operator: int, left: int, right: int) -> str:
    """An operator's name for operands of these types (generate_operator_name)."""
    row = lookup(OPEROID, operator)
    if row is None:
        raise lookup_failed("operator", operator)
    found = find_operator(None, [row.oprname], left if row.oprkind == "b" else 0, right, no_error=True)
    if found is not None and found.oid == operator:
        return str(row.oprname)
    return f"OPERATOR({quote_identifier(get_namespace_name(row.oprnamespace) or '')}.{row.oprname})"


def collation_text(collation: int) -> str:
    """A collation's name (generate_collation_name)."""
    row = lookup(COLLOID, collation)
    if row is None:
        raise lookup_failed("collation", collation)
    schema = None if collation_is_visible(collation) else get_namespace_name(row.collnamespace)
    return quote_qualified_identifier(schema, row.collname)


def opclass_suffix(opclass: int, type_oid: int) -> str:
    """`` name`` of an operator class, empty when it is the default for the type; type 0 always shows it."""
    row = lookup(CLAOID, opclass)
    if row is None:
        raise lookup_failed("opclass", opclass)
    if type_oid and lk.default_opclass(type_oid, row.opcmethod) == opclass:
        return ""
    schema = None if opclass_is_visible(opclass) else get_namespace_name(row.opcnamespace)
    return " " + quote_qualified_identifier(schema, row.opcname)


def options_text(options: Iterable[str]) -> str:
    """Storage parameters as in WITH (...) (get_reloptions)."""
    shown = []
    for option in options:
        name, _, value = option.partition("=")
        written = value if quote_identifier(value) == value and value else string_literal(value)
        shown.append(f"{quote_identifier(name)}={written}")
    return ", ".join(shown)


def looks_like_function(node: Any) -> bool:
    """Whether an index expression needs no parentheses of its own."""
    kind = type(node).__name__
    if kind == "FuncExpr":
        return node.funcformat in (enums.COERCE_EXPLICIT_CALL, enums.COERCE_SQL_SYNTAX)
    return kind in (
        "CoalesceExpr", "MinMaxExpr", "NullIfExpr", "SQLValueFunction", "XmlExpr", "JsonExpr",
    )  # fmt: skip

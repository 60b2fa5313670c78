"""Names in raw trees, along the session's search path."""

from __future__ import annotations

from typing import Any

from tusk.catalog.cache import TYPENAMENSP, lookup
from tusk.catalog.namespace import (
    active_search_path,
    deconstruct_qualified_name,
    functions_named,
    get_collation_oid,
    lookup_explicit_namespace,
    operators_named,
)
from tusk.catalog.session import session

deconstruct = deconstruct_qualified_name
collation_oid = get_collation_oid


def name_list_to_string(names: list[Any]) -> str:
    """Dotted names without quotes, for messages (NameListToString)."""
    return ".".join("*" if getattr(name, "sval", None) is None else name.sval for name in names)


def searched_namespaces(with_temp: bool = True) -> list[int]:
    """The namespaces to search for an unqualified name; functions and operators are never looked for in pg_temp."""
    path = active_search_path()
    if with_temp:
        return list(path)
    return [namespace for namespace in path if namespace != session.temp_namespace_id]


def type_oid_by_name(schema: str | None, name: str, missing_ok: bool = False) -> int:
    """The OID of a type, 0 if there is none; 3F000 for an unknown schema unless ``missing_ok``."""
    if schema is not None:
        namespace = lookup_explicit_namespace(schema, missing_ok)
        row = lookup(TYPENAMENSP, name, namespace) if namespace else None
        return 0 if row is None else row.oid
    for namespace in active_search_path():
        row = lookup(TYPENAMENSP, name, namespace)
        if row is not None:
            return row.oid  # type: ignore[no-any-return]
    return 0


def candidate_functions(names: list[str]) -> list[tuple[int, Any]]:
    """[(place in the search path, pg_proc row)] of a name; 3F000 for an unknown schema."""
    return functions_named(names, missing_ok=False)


def candidate_operators(names: list[str]) -> list[tuple[int, Any]]:
    """[(place in the search path, pg_operator row)] of a name."""
    return operators_named(names, missing_ok=False)

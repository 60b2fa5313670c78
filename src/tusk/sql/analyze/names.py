"""Names: qualified lists, quoting, visibility along the search path."""

from __future__ import annotations

import re
from typing import Any

from tusk.catalog.cache import (
    COLLNAMEENCNSP, COLLOID, OPERNAMENSP, OPEROID, PROCOID, RELNAMENSP, RELOID, TYPENAMENSP, TYPEOID, lookup,
    lookup_list,
)
from tusk.errors import SqlError, errcode
from tusk.sql.analyze.keywords import NOT_BARE_IDENTIFIERS
from tusk.sql.analyze.relations import provider

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z")
UTF8 = 6


def quote_identifier(name: str) -> str:
    """The name, quoted if it must be (quote_identifier)."""
    if _PLAIN.match(name) and name not in NOT_BARE_IDENTIFIERS:
        return name
    return '"' + name.replace('"', '""') + '"'


def quote_qualified(schema: str | None, name: str) -> str:
    """schema.name, each quoted if it must be."""
    return f"{quote_identifier(schema)}.{quote_identifier(name)}" if schema else quote_identifier(name)


def name_list_to_string(names: list[Any]) -> str:
    """Dotted names without quotes, for messages (NameListToString)."""
    return ".".join("*" if getattr(name, "sval", None) is None else name.sval for name in names)


def deconstruct(names: list[str]) -> tuple[str | None, str]:
    """(schema, name) of a list of one to three names (DeconstructQualifiedName)."""
    if len(names) == 1:
        return None, names[0]
    if len(names) == 2:
        return names[0], names[1]
    if len(names) == 3:
        if names[0] != provider().database_name():
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED, f"cross-database references are not implemented: {'.'.join(names)}"
            )
        return names[1], names[2]
    raise SqlError(
        errcode.SYNTAX_ERROR, f"improper qualified name (too many dotted names): {'.'.join(names)}"
    )


def searched_namespaces(with_temp: bool = True) -> list[int]:
    """The namespaces to search for an unqualified name; functions and operators are never looked for in pg_temp."""
    path = provider().search_path()
    if with_temp:
        return list(path)
    temp = provider().temp_namespace()
    return [namespace for namespace in path if namespace != temp]


def type_oid_by_name(schema: str | None, name: str, missing_ok: bool = False) -> int:
    """The OID of a type, 0 if there is none; 3F000 for an unknown schema unless ``missing_ok``."""
    if schema is not None:
        namespace = provider().namespace_oid(schema, missing_ok)
        row = lookup(TYPENAMENSP, name, namespace) if namespace else None
        return 0 if row is None else row.oid
    for namespace in provider().search_path():
        row = lookup(TYPENAMENSP, name, namespace)
        if row is not None:
            return row.oid  # type: ignore[no-any-return]
    return 0


def _first_in_path(cache: Any, oid: int, *key: Any) -> bool:
    for namespace in provider().search_path():
        row = lookup(cache, *key, namespace)
        if row is not None:
            return bool(row.oid == oid)
    return False


def type_is_visible(type_oid: int) -> bool:
    """Whether the unqualified name finds this type (TypeIsVisible)."""
    row = lookup(TYPEOID, type_oid)
    return row is not None and _first_in_path(TYPENAMENSP, type_oid, row.typname)


def relation_is_visible(oid: int) -> bool:
    """Whether the unqualified name finds this relation (RelationIsVisible)."""
    row = lookup(RELOID, oid)
    return row is not None and _first_in_path(RELNAMENSP, oid, row.relname)


def function_is_visible(oid: int) -> bool:
    """Whether the unqualified name with its argument types finds this function (FunctionIsVisible)."""
    row = lookup(PROCOID, oid)
    if row is None:
        return False
    from tusk.catalog.cache import PROCNAMEARGSNSP

    for namespace in searched_namespaces(False):
        found = lookup(PROCNAMEARGSNSP, row.proname, row.proargtypes, namespace)
        if found is not None:
            return bool(found.oid == oid)
    return False


def operator_is_visible(oid: int) -> bool:
    """Whether the unqualified operator with its operand types finds this one (OperatorIsVisible)."""
    row = lookup(OPEROID, oid)
    if row is None:
        return False
    for namespace in searched_namespaces(False):
        found = lookup(OPERNAMENSP, row.oprname, row.oprleft, row.oprright, namespace)
        if found is not None:
            return bool(found.oid == oid)
    return False


def _collation_in(name: str, namespace: int) -> Any:
    row = lookup(COLLNAMEENCNSP, name, UTF8, namespace)
    if row is None:
        row = lookup(COLLNAMEENCNSP, name, -1, namespace)
    return row


def collation_oid(names: list[str], missing_ok: bool = False) -> int:
    """The OID of a collation usable in this database; 42704 when there is none (get_collation_oid)."""
    schema, name = deconstruct(names)
    row = None
    if schema is not None:
        namespace = provider().namespace_oid(schema, missing_ok)
        row = _collation_in(name, namespace) if namespace else None
    else:
        for namespace in searched_namespaces(False):
            row = _collation_in(name, namespace)
            if row is not None:
                break
    if row is not None:
        return row.oid  # type: ignore[no-any-return]
    if missing_ok:
        return 0
    raise SqlError(
        errcode.UNDEFINED_OBJECT, f'collation "{".".join(names)}" for encoding "UTF8" does not exist'
    )


def collation_is_visible(oid: int) -> bool:
    """Whether the unqualified name finds this collation."""
    row = lookup(COLLOID, oid)
    if row is None:
        return False
    for namespace in searched_namespaces(False):
        found = _collation_in(row.collname, namespace)
        if found is not None:
            return bool(found.oid == oid)
    return False


def candidates_in_path(cache: Any, name: str, schema: str | None) -> list[tuple[int, Any]]:
    """[(place in the search path, row)] of the functions or operators with a name; place 0 with a schema."""
    rows = lookup_list(cache, name)
    if not rows:
        return []
    column = "pronamespace" if hasattr(rows[0], "pronamespace") else "oprnamespace"
    if schema is not None:
        namespace = provider().namespace_oid(schema)
        return [(0, row) for row in rows if getattr(row, column) == namespace]
    place = {namespace: i for i, namespace in enumerate(searched_namespaces(False))}
    return [(place[getattr(row, column)], row) for row in rows if getattr(row, column) in place]

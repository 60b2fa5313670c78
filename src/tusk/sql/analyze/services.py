"""What the functions and codecs of `types` ask about objects with names: types, relations, functions, roles.

Imported for its effect: each function installs itself as a service of `tusk.types.registry`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_operator, format_procedure, relation_name
from tusk.catalog.namespace import (
    active_search_path,
    collation_is_visible,
    fetch_search_path,
    functions_named,
    get_collation_oid,
    get_namespace_name,
    get_namespace_oid,
    get_ts_config_oid,
    get_ts_dict_oid,
    operators_named,
    relation_oid_by_name,
    split_identifier_string,
    ts_config_is_visible,
    ts_dict_is_visible,
    type_is_visible,
)
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.relations import database_name, relation_info
from tusk.sql.analyze.typenames import parse_type
from tusk.types.registry import ColumnInfo, TypeInfo, provide


@provide("type_info")
def _type_info(oid: int) -> TypeInfo | None:
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None

    def source(function: int) -> str:
        return lk.proc_row(function).prosrc if function else ""

    return TypeInfo(
        oid,
        row.typname,
        row.typlen,
        row.typbyval,
        row.typalign,
        row.typstorage,
        row.typtype,
        row.typcategory,
        row.typispreferred,
        row.typdelim,
        row.typelem,
        row.typarray,
        lk.is_true_array(row),
        source(row.typinput),
        source(row.typoutput),
        source(row.typreceive),
        source(row.typsend),
        source(row.typmodin),
        source(row.typmodout),
        row.typcollation,
        row.typnamespace,
        row.typrelid,
        row.typbasetype,
        row.typtypmod,
        row.typnotnull,
    )


@provide("row_columns")
def _row_columns(oid: int) -> Sequence[ColumnInfo] | None:
    relation = lk.type_or_domain_relid(oid)
    if not relation:
        return None
    return [
        ColumnInfo(a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attisdropped)
        for a in relation_info(relation).attributes
    ]


@provide("enum_labels")
def _enum_labels(oid: int) -> list[tuple[int, float, str]]:
    rows = sorted(scan_rows("pg_enum", enumtypid=oid), key=lambda row: row.enumsortorder)
    return [(row.oid, row.enumsortorder, row.enumlabel) for row in rows]


@provide("parse_type")
def _parse_type(text: str) -> tuple[int, int]:
    return parse_type(text)


@provide("type_name")
def _type_name(oid: int) -> str | None:
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None
    schema = None if type_is_visible(oid) else get_namespace_name(row.typnamespace)
    return quote_qualified_identifier(schema, row.typname)


@provide("role_name")
def _role_name(oid: int) -> str | None:
    row = lookup(c.AUTHOID, oid)
    return None if row is None else row.rolname


@provide("role_oid")
def _role_oid(name: str) -> int | None:
    row = lookup(c.AUTHNAME, name)
    return None if row is None else row.oid


@provide("current_user")
def _current_user() -> str:
    return _role_name(session.current_user_id) or ""


@provide("session_user")
def _session_user() -> str:
    return _role_name(session.session_user_id) or ""


@provide("current_database")
def _current_database() -> str:
    return database_name()


@provide("search_path")
def _search_path(implicit: bool) -> list[str]:
    path = list(active_search_path()) if implicit else fetch_search_path(False)
    return [name for name in map(get_namespace_name, path) if name is not None]


# The reg* types -------------------------------------------------------------------------------------------------------


def _names(text: str) -> list[str]:
    names = split_identifier_string(text, ".")
    if not names:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return names


def _missing(code: str, message: str) -> SqlError:
    return SqlError(code, message)


def _one(text: str, found: list[int], kind: str) -> int | None:
    if len(found) > 1:
        raise SqlError(errcode.AMBIGUOUS_FUNCTION, f'more than one {kind} named "{text}"')
    return found[0] if found else None


def _regproc(text: str) -> int | None:
    return _one(text, [row.oid for _, row in functions_named(_names(text))], "function")


def _regoper(text: str) -> int | None:
    return _one(text, [row.oid for _, row in operators_named(_operator_names(text))], "operator")


def _operator_names(text: str) -> list[str]:
    schema, dot, name = text.rpartition(".")
    return [*_names(schema), name] if dot and schema else [text]


def _signature(text: str, none_ok: bool) -> tuple[str, list[int]]:
    """(name, argument types) of ``name(type, type)``; 22P02."""
    quoted = False
    place = 0
    while place < len(text) and (quoted or text[place] != "("):
        quoted ^= text[place] == '"'
        place += 1
    if place == len(text):
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected a left parenthesis")
    rest = text[place + 1 :].rstrip()
    if not rest.endswith(")"):
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected a right parenthesis")
    types, depth, quoted, start = [], 0, False, 0
    body = rest[:-1]
    for end, char in enumerate([*body, ","]):
        if char == '"':
            quoted = not quoted
        elif not quoted and char in "([":
            depth += 1
        elif not quoted and char in ")]":
            depth -= 1
        elif char == "," and not quoted and depth == 0:
            item = body[start:end].strip()
            start = end + 1
            if not item:
                if body.strip():
                    raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected a type name")
                continue
            types.append(0 if none_ok and item.lower() == "none" else parse_type(item)[0])
    return text[:place], types


def _regprocedure(text: str) -> int | None:
    name, types = _signature(text, False)
    key = tuple(types)
    return next((row.oid for _, row in functions_named(_names(name)) if row.proargtypes == key), None)


def _regoperator(text: str) -> int | None:
    name, types = _signature(text, True)
    if len(types) == 1:
        raise SqlError(
            errcode.UNDEFINED_PARAMETER,
            "missing argument",
            hint="Use NONE to denote the missing argument of a unary operator.",
        )
    if len(types) != 2:
        raise SqlError(
            errcode.TOO_MANY_ARGUMENTS, "too many arguments", hint="Provide two argument types for operator."
        )
    return next(
        (
            row.oid
            for _, row in operators_named(_operator_names(name))
            if (row.oprleft, row.oprright) == (types[0], types[1])
        ),
        None,
    )


def _regclass(text: str) -> int | None:
    names = _names(text)
    if len(names) > 3:
        raise SqlError(errcode.SYNTAX_ERROR, f"improper relation name (too many dotted names): {'.'.join(names)}")
    return relation_oid_by_name(names[-1], names[-2] if len(names) > 1 else None, True) or None


def _regrole(text: str) -> int | None:
    names = _names(text)
    if len(names) != 1:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return _role_oid(names[0])


def _regnamespace(text: str) -> int | None:
    names = _names(text)
    if len(names) != 1:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return get_namespace_oid(names[0], True) or None


# kind -> (lookup, SQLSTATE and message when there is no such object)
_KINDS: dict[str, tuple[Callable[[str], int | None], str, str]] = {
    "regproc": (_regproc, errcode.UNDEFINED_FUNCTION, 'function "{}" does not exist'),
    "regprocedure": (_regprocedure, errcode.UNDEFINED_FUNCTION, 'function "{}" does not exist'),
    "regoper": (_regoper, errcode.UNDEFINED_FUNCTION, "operator does not exist: {}"),
    "regoperator": (_regoperator, errcode.UNDEFINED_FUNCTION, "operator does not exist: {}"),
    "regclass": (_regclass, errcode.UNDEFINED_TABLE, 'relation "{}" does not exist'),
    "regtype": (lambda text: parse_type(text)[0], errcode.UNDEFINED_OBJECT, 'type "{}" does not exist'),
    "regconfig": (
        lambda text: get_ts_config_oid(_names(text), True) or None,
        errcode.UNDEFINED_OBJECT,
        'text search configuration "{}" does not exist',
    ),
    "regdictionary": (
        lambda text: get_ts_dict_oid(_names(text), True) or None,
        errcode.UNDEFINED_OBJECT,
        'text search dictionary "{}" does not exist',
    ),
    "regnamespace": (_regnamespace, errcode.INVALID_SCHEMA_NAME, 'schema "{}" does not exist'),
    "regrole": (_regrole, errcode.UNDEFINED_OBJECT, 'role "{}" does not exist'),
    "regcollation": (
        lambda text: get_collation_oid(_names(text), True) or None,
        errcode.UNDEFINED_OBJECT,
        'collation "{}" for encoding "UTF8" does not exist',
    ),
}


@provide("reg_in")
def _reg_in(kind: str, text: str, missing_ok: bool) -> int | None:
    find, code, message = _KINDS[kind]
    oid = find(text)
    if oid is None and not missing_ok:
        shown = text if kind in ("regprocedure", "regoper", "regoperator", "regtype") else ".".join(_names(text))
        raise _missing(code, message.format(shown))
    return oid


def _visible_name(row: Any, name: str, namespace: int, visible: bool | None) -> str | None:
    if row is None:
        return None
    return quote_qualified_identifier(None if visible else get_namespace_name(namespace), name)


@provide("reg_out")
def _reg_out(kind: str, oid: int) -> str | None:
    if kind == "regclass":
        return relation_name(oid) if lookup(c.RELOID, oid) is not None else None
    if kind == "regproc":
        row = lookup(c.PROCOID, oid)
        if row is None:
            return None
        alone = [each.oid for _, each in functions_named([row.proname])] == [oid]
        return _visible_name(row, row.proname, row.pronamespace, alone)
    if kind == "regprocedure":
        return format_procedure(oid) if lookup(c.PROCOID, oid) is not None else None
    if kind == "regoperator":
        return format_operator(oid) if lookup(c.OPEROID, oid) is not None else None
    if kind == "regoper":
        row = lookup(c.OPEROID, oid)
        if row is None:
            return None
        alone = [each.oid for _, each in operators_named([row.oprname])] == [oid]
        if alone:
            return str(row.oprname)
        return f"{quote_identifier(get_namespace_name(row.oprnamespace) or '')}.{row.oprname}"
    if kind == "regnamespace":
        name = get_namespace_name(oid)
        return None if name is None else quote_identifier(name)
    if kind == "regrole":
        name = _role_name(oid)
        return None if name is None else quote_identifier(name)
    if kind == "regcollation":
        row = lookup(c.COLLOID, oid)
        return row and _visible_name(row, row.collname, row.collnamespace, collation_is_visible(oid))
    if kind == "regconfig":
        row = lookup(c.TSCONFIGOID, oid)
        return row and _visible_name(row, row.cfgname, row.cfgnamespace, ts_config_is_visible(oid))
    if kind == "regdictionary":
        row = lookup(c.TSDICTOID, oid)
        return row and _visible_name(row, row.dictname, row.dictnamespace, ts_dict_is_visible(oid))
    return _type_name(oid)

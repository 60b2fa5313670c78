"""The services of `registry.services` that the layers below `types` can answer: catalogs, session, transaction.

`install()` is called once, where statements are executed; tools and tests without a server do without.
What needs the analyzer or executor (parse_type, domain_check, call_function) sql provides.
"""

import ctypes
from collections.abc import Callable
from typing import Any

from tusk.catalog import acl, namespace
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, lookup_list
from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.inval import on_syscache_change
from tusk.catalog.names import format_operator, format_procedure, relation_name
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.transaction import _multixact, _varsup, xact
from tusk.types.codec import forget_user_codecs
from tusk.types.registry import ColumnInfo, TypeInfo, services
from tusk.types.text import parse_identifiers

_ARRAY_SUBSCRIPT_HANDLER = 6179


def _prosrc(oid: int) -> str:
    row = lookup(c.PROCOID, oid) if oid else None
    return "" if row is None else str(row.prosrc)


def type_info(oid: int) -> TypeInfo | None:
    """TypeInfo from pg_type."""
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None
    return TypeInfo(
        row.oid, row.typname, row.typlen, row.typbyval, row.typalign, row.typstorage, row.typtype, row.typcategory,
        row.typispreferred, row.typdelim, row.typelem, row.typarray,
        row.typsubscript == _ARRAY_SUBSCRIPT_HANDLER and row.typlen == -1, _prosrc(row.typinput),
        _prosrc(row.typoutput), _prosrc(row.typreceive), _prosrc(row.typsend), _prosrc(row.typmodin),
        _prosrc(row.typmodout), row.typcollation, row.typnamespace, row.typrelid, row.typbasetype, row.typtypmod,
        row.typnotnull,
    )  # fmt: skip


def enum_labels(type_oid: int) -> list[tuple[int, float, str]]:
    """The labels of an enum in sort order."""
    rows = lookup_list(c.ENUMTYPOIDNAME, type_oid)
    return sorted(((row.oid, row.enumsortorder, row.enumlabel) for row in rows), key=lambda label: label[1])


def row_columns(type_oid: int) -> list[ColumnInfo] | None:
    """The columns of a composite type, dropped ones included; domains over one too."""
    row = lookup(c.TYPEOID, type_oid)
    while row is not None and row.typtype == "d":
        row = lookup(c.TYPEOID, row.typbasetype)
    if row is None or not row.typrelid:
        return None
    attributes = [a for a in lookup_list(c.ATTNUM, row.typrelid) if a.attnum > 0]
    attributes.sort(key=lambda a: a.attnum)
    return [ColumnInfo(a.attname, a.atttypid, a.atttypmod, a.attcollation, a.attisdropped) for a in attributes]


def type_name(oid: int, qualify: bool) -> str | None:
    """A type's name, with its schema where it is not visible."""
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None
    name = quote_identifier(row.typname)
    if not qualify and namespace.type_is_visible(oid):
        return name
    schema = namespace.get_namespace_name(row.typnamespace)
    return f"{quote_identifier(schema)}.{name}" if schema else name


def _role_name(oid: int) -> str | None:
    row = lookup(c.AUTHOID, oid)
    return None if row is None else str(row.rolname)


def _role_oid(name: str) -> int | None:
    row = lookup(c.AUTHNAME, name)
    return None if row is None else int(row.oid)


def _current_database() -> str:
    row = lookup(c.DATABASEOID, session.database_id)
    if row is None:
        raise SqlError(errcode.UNDEFINED_DATABASE, f"database {session.database_id} does not exist")
    return str(row.datname)


def _search_path(implicit: bool) -> list[str]:
    names = (namespace.get_namespace_name(oid) for oid in namespace.fetch_search_path(implicit))
    return [name for name in names if name is not None]


# Names of objects.


def _names(text: str) -> list[str]:
    """The parts of a possibly qualified name."""
    try:
        return parse_identifiers(text)
    except SqlError:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax") from None


def _split_signature(text: str, missing_left: bool) -> tuple[str, list[int]]:
    """Name and argument types of ``name(type, ...)``; NONE is 0."""
    position = 0
    quoted = False
    while position < len(text) and (quoted or text[position] != "("):
        quoted ^= text[position] == '"'
        position += 1
    if position >= len(text):
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected a left parenthesis")
    body = text[position + 1 :].rstrip()
    if not body.endswith(")"):
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "expected a right parenthesis")
    arguments: list[int] = []
    for word in _split_arguments(body[:-1]):
        if missing_left and word.lower() == "none":
            arguments.append(0)
        else:
            arguments.append(services.call("parse_type", word)[0])
    return text[:position], arguments


def _split_arguments(text: str) -> list[str]:
    words: list[str] = []
    depth, quoted, current = 0, False, ""
    for character in text:
        if character == '"':
            quoted = not quoted
        elif not quoted and character in "([":
            depth += 1
        elif not quoted and character in ")]":
            depth -= 1
        elif not quoted and character == "," and depth == 0:
            words.append(current.strip())
            current = ""
            continue
        current += character
    return [*words, current.strip()] if words or current.strip() else []


def _ambiguous(noun: str, name: str) -> SqlError:
    return SqlError(errcode.AMBIGUOUS_FUNCTION, f"more than one {noun} named {name}")


def _regproc(text: str) -> int:
    rows = namespace.functions_named(_names(text))
    nearest = [row for place, row in rows if place == rows[0][0]] if rows else []
    if not nearest:
        raise SqlError(errcode.UNDEFINED_FUNCTION, f'function "{text}" does not exist')
    if len(rows) > 1:
        raise SqlError(errcode.AMBIGUOUS_FUNCTION, f'more than one function named "{text}"')
    return int(nearest[0].oid)


def _regprocedure(text: str) -> int:
    name, arguments = _split_signature(text, False)
    for _, row in namespace.functions_named(_names(name)):
        if list(row.proargtypes) == arguments:
            return int(row.oid)
    raise SqlError(errcode.UNDEFINED_FUNCTION, f'function "{text}" does not exist')


def _operator_names(text: str) -> list[str]:
    *schemas, name = text.rsplit(".", 1) if ("." in text and text[0].isalpha()) or text.startswith('"') else [text]
    return [*(_names(schemas[0]) if schemas else []), name.strip()]


def _regoper(text: str) -> int:
    rows = namespace.operators_named(_operator_names(text))
    if not rows:
        raise SqlError(errcode.UNDEFINED_FUNCTION, f"operator does not exist: {text}")
    if len(rows) > 1:
        raise _ambiguous("operator", text)
    return int(rows[0][1].oid)


def _regoperator(text: str) -> int:
    name, arguments = _split_signature(text, True)
    if len(arguments) != 2:
        raise SqlError(
            errcode.UNDEFINED_PARAMETER if len(arguments) < 2 else errcode.TOO_MANY_ARGUMENTS,
            "missing argument" if len(arguments) < 2 else "too many arguments",
            hint="Use NONE to denote the missing argument of a unary operator.",
        )
    for _, row in namespace.operators_named(_operator_names(name)):
        if [row.oprleft, row.oprright] == arguments:
            return int(row.oid)
    raise SqlError(errcode.UNDEFINED_FUNCTION, f"operator does not exist: {text}")


def _regclass(text: str) -> int:
    names = _names(text)
    if len(names) > 2:
        _, name = namespace.deconstruct_qualified_name(names)
        return namespace.relation_oid_by_name(name, names[-2])
    return namespace.relation_oid_by_name(names[-1], names[0] if len(names) == 2 else None)


def _single_name(text: str) -> str:
    names = _names(text)
    if len(names) != 1:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    return names[0]


_READERS: dict[str, Callable[[str], int]] = {
    "regproc": _regproc,
    "regprocedure": _regprocedure,
    "regoper": _regoper,
    "regoperator": _regoperator,
    "regclass": _regclass,
    "regtype": lambda text: int(services.call("parse_type", text)[0]),
    "regnamespace": lambda text: namespace.get_namespace_oid(_single_name(text), False),
    "regrole": lambda text: acl.get_role_oid(_single_name(text)),
    "regcollation": lambda text: namespace.get_collation_oid(_names(text)),
    "regconfig": lambda text: namespace.get_ts_config_oid(_names(text)),
    "regdictionary": lambda text: namespace.get_ts_dict_oid(_names(text)),
}


def reg_in(kind: str, text: str, missing_ok: bool) -> int | None:
    """The oid of the object a reg* type's text names."""
    try:
        return _READERS[kind](text)
    except SqlError as error:
        if missing_ok and error.sqlstate != errcode.FEATURE_NOT_SUPPORTED:
            return None
        raise


def _qualified(schema_oid: int, name: str, visible: bool | None) -> str:
    schema = None if visible else namespace.get_namespace_name(schema_oid)
    return f"{quote_identifier(schema)}.{quote_identifier(name)}" if schema else quote_identifier(name)


def _proc_name(oid: int) -> str | None:
    row = lookup(c.PROCOID, oid)
    if row is None:
        return None
    # A bare name must find this function and no other.
    same = namespace.functions_named([row.proname])
    alone = len(same) == 1 and same[0][1].oid == oid
    return _qualified(row.pronamespace, row.proname, alone)


def _oper_name(oid: int) -> str | None:
    row = lookup(c.OPEROID, oid)
    if row is None:
        return None
    same = namespace.operators_named([row.oprname])
    if len(same) == 1 and same[0][1].oid == oid:
        return str(row.oprname)
    schema = namespace.get_namespace_name(row.oprnamespace)
    return f"{quote_identifier(schema)}.{row.oprname}" if schema else str(row.oprname)


def reg_out(kind: str, oid: int) -> str | None:
    """The name of the object a reg* value stands for."""
    match kind:
        case "regproc":
            return _proc_name(oid)
        case "regprocedure":
            return format_procedure(oid)
        case "regoper":
            return _oper_name(oid)
        case "regoperator":
            return format_operator(oid)
        case "regclass":
            return relation_name(oid) if lookup(c.RELOID, oid) is not None else None
        case "regnamespace":
            name = namespace.get_namespace_name(oid)
            return None if name is None else quote_identifier(name)
        case "regrole":
            name = _role_name(oid)
            return None if name is None else quote_identifier(name)
        case "regcollation":
            row = lookup(c.COLLOID, oid)
            return None if row is None else _qualified(
                row.collnamespace, row.collname, namespace.collation_is_visible(oid))  # fmt: skip
        case "regconfig":
            row = lookup(c.TSCONFIGOID, oid)
            return None if row is None else _qualified(
                row.cfgnamespace, row.cfgname, namespace.ts_config_is_visible(oid))  # fmt: skip
        case "regdictionary":
            row = lookup(c.TSDICTOID, oid)
            return None if row is None else _qualified(
                row.dictnamespace, row.dictname, namespace.ts_dict_is_visible(oid))  # fmt: skip
    return None


# Collations.

_locales: dict[int, tuple[str, str, bool]] = {}
_c_locales: dict[str, Any] = {}


def collation_locale(oid: int) -> tuple[str, str, bool]:
    """Provider letter, locale name and determinism of a collation."""
    found = _locales.get(oid)
    if found is None:
        found = _locales[oid] = _find_locale(oid)
    return found


def _find_locale(oid: int) -> tuple[str, str, bool]:
    row = lookup(c.COLLOID, oid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"cache lookup failed for collation {oid}")
    if row.collprovider == "d":
        database = lookup(c.DATABASEOID, session.database_id)
        if database is None:
            return "c", "C", True
        locale = database.datcollate if database.datlocprovider == "c" else database.datlocale
        return database.datlocprovider, locale, True
    locale = row.collcollate if row.collprovider == "c" else row.colllocale
    return row.collprovider, locale, row.collisdeterministic


def collation_compare(collation: int, left: str, right: str) -> int:
    """Order of two texts in a locale of the C library."""
    provider, locale, _ = collation_locale(collation)
    if provider != "c":
        raise feature_not_supported("ICU collation")
    libc = ctypes.CDLL(None)
    handle = _c_locales.get(locale)
    if handle is None:
        libc.newlocale.restype = ctypes.c_void_p
        libc.newlocale.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p]
        # 0x1FBF is glibc's LC_ALL_MASK.
        handle = libc.newlocale(0x1FBF, locale.encode(), None)
        if not handle:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'could not create locale "{locale}"')
        _c_locales[locale] = handle
    compare = libc.strcoll_l
    compare.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_void_p]
    return int(compare(left.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape"), handle))


def _collation_name(oid: int) -> str | None:
    return reg_out("regcollation", oid)


def forget_types() -> None:
    """Drop what this module and the codecs remember of types and collations."""
    forget_user_codecs()
    _locales.clear()


def install() -> None:
    """Provide everything of this module."""
    providers: dict[str, Callable[..., Any]] = {
        "type_info": type_info,
        "enum_labels": enum_labels,
        "row_columns": row_columns,
        "type_name": type_name,
        "role_name": _role_name,
        "role_oid": _role_oid,
        "reg_in": reg_in,
        "reg_out": reg_out,
        "search_path": _search_path,
        "current_database": _current_database,
        "current_user": lambda: _role_name(session.current_user_id),
        "session_user": lambda: _role_name(session.session_user_id),
        "collation_locale": collation_locale,
        "collation_compare": collation_compare,
        "collation_name": _collation_name,
        "transaction_timestamp": xact.transaction_start_timestamp,
        "statement_timestamp": xact.statement_start_timestamp,
        "next_transaction_id": lambda: _varsup.next_full_transaction_id() & 0xFFFFFFFF,
        "next_multixact_id": lambda: _multixact.checkpoint_values()[0],
    }
    for name, provider in providers.items():
        services.provide(name, provider)
    on_syscache_change(c.TYPEOID, lambda _: forget_types())
    on_syscache_change(c.COLLOID, lambda _: forget_types())

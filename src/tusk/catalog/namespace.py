"""Names to objects: the search path, schemas, visibility (namespace.c).

Names come as the parser gives them: a list of one to three strings. Locks on relations are taken through the hook that
`relations` installs, so that everything here also works on the built-in facts alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog.acl import ACL_CREATE, ACL_CREATE_TEMP, ACL_USAGE, aclcheck_error, object_aclcheck
from tusk.catalog.cache import SysCache, lookup, lookup_list
from tusk.catalog.session import session
from tusk.config import on_check, settings
from tusk.errors import SqlError, errcode

PG_CATALOG_NAMESPACE, PG_TOAST_NAMESPACE, PG_PUBLIC_NAMESPACE = 11, 99, 2200
NAMESPACE_RELATION, DATABASE_RELATION = 2615, 1262

# Set by `relations` and `tempschema`.
lock_relation: Callable[[int, int, bool], bool] = lambda _oid, _mode, _dont_wait: True
unlock_relation: Callable[[int, int], None] = lambda _oid, _mode: None
invalidation_counter: Callable[[], int] = lambda: 0
create_temp_namespace: Callable[[], None] | None = None


def _downcase_truncate(name: str) -> str:
    return truncate_identifier(
        name.lower() if name.isascii() else "".join(ch.lower() if ch.isascii() else ch for ch in name)
    )


def truncate_identifier(name: str) -> str:
    """The name cut to 63 bytes at a character boundary."""
    data = name.encode()
    return name if len(data) < 64 else data[:63].decode(errors="ignore")


def split_identifier_string(text: str, separator: str = ",") -> list[str] | None:
    """The identifiers of a list, quoted ones as they are, others in lower case; None on a syntax error."""
    names: list[str] = []
    i, n = 0, len(text)
    while i < n and text[i].isspace():
        i += 1
    if i == n:
        return names
    while True:
        if text[i : i + 1] == '"':
            name = ""
            while True:
                end = text.find('"', i + 1)
                if end < 0:
                    return None
                name += text[i + 1 : end]
                if text[end + 1 : end + 2] != '"':
                    break
                name += '"'
                i = end + 1
            i = end + 1
            names.append(truncate_identifier(name))
        else:
            start = i
            while i < n and text[i] != separator and not text[i].isspace():
                i += 1
            if i == start:
                return None
            names.append(_downcase_truncate(text[start:i]))
        while i < n and text[i].isspace():
            i += 1
        if i >= n:
            return names
        if text[i] != separator:
            return None
        i += 1
        while i < n and text[i].isspace():
            i += 1
        if i >= n:
            return None


@on_check("search_path")
def _check_search_path(value: Any, _source: Any) -> Any:
    if split_identifier_string(value) is None:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            f'invalid value for parameter "search_path": "{value}"',
            detail="List syntax is invalid.",
        )
    return value


# The search path


class _ActivePath:
    """The path as OIDs, valid while the setting, the user, the schemas and the override are what they were."""

    __slots__ = ("creation_namespace", "key", "oids", "temp_missing")

    def __init__(self) -> None:
        self.key: tuple[Any, ...] | None = None
        self.oids: tuple[int, ...] = ()
        self.creation_namespace = 0
        self.temp_missing = False


_path = _ActivePath()
_generation = 0


def forget_search_path(_message: object = None) -> None:
    """Work the path out again at its next use: a schema or role changed."""
    global _generation
    _generation += 1


session.on_user_change.append(forget_search_path)


def _compute_path() -> None:
    text = settings.search_path
    key = (text, session.current_user_id, session.temp_namespace_id, _generation)
    if _path.key == key:
        return
    user = session.current_user_id
    names = split_identifier_string(text) or []
    oids: list[int] = []
    temp_missing = False
    for name in names:
        if name == "$user":
            role = lookup(c.AUTHOID, user)
            if role is None:
                continue
            name = role.rolname
        elif name == "pg_temp":
            if session.temp_namespace_id:
                oid = session.temp_namespace_id
                if oid not in oids:
                    oids.append(oid)
            elif not oids:
                temp_missing = True
            continue
        row = lookup(c.NAMESPACENAME, name)
        if row is not None and row.oid not in oids and object_aclcheck(NAMESPACE_RELATION, row.oid, user, ACL_USAGE):
            oids.append(row.oid)
    _path.creation_namespace = oids[0] if oids and not temp_missing else 0
    _path.temp_missing = temp_missing
    if PG_CATALOG_NAMESPACE not in oids:
        oids.insert(0, PG_CATALOG_NAMESPACE)
    if session.temp_namespace_id and session.temp_namespace_id not in oids:
        oids.insert(0, session.temp_namespace_id)
    _path.oids = tuple(oids)
    _path.key = key


def active_search_path() -> tuple[int, ...]:
    """The schemas searched, in order, the implicit ones (temporary, pg_catalog) included."""
    _compute_path()
    return _path.oids


def fetch_search_path(include_implicit: bool) -> list[int]:
    """What current_schemas() shows."""
    _compute_path()
    if _path.temp_missing and create_temp_namespace is not None:
        create_temp_namespace()
        _compute_path()
    oids = list(_path.oids)
    if not include_implicit:
        while oids and oids[0] != _path.creation_namespace:
            oids.pop(0)
    return oids


def matching_path_suffix() -> tuple[str, int]:
    """What identifies the active path: plans made under another one must be made again."""
    _compute_path()
    return settings.search_path, session.current_user_id


# Schemas


def get_namespace_name(oid: int) -> str | None:
    """The name of a schema."""
    row = lookup(c.NAMESPACEOID, oid)
    return None if row is None else row.nspname


def get_namespace_oid(name: str, missing_ok: bool) -> int:
    """The OID of a schema by name."""
    row = lookup(c.NAMESPACENAME, name)
    if row is None:
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_SCHEMA, f'schema "{name}" does not exist')
    oid: int = row.oid
    return oid


def lookup_namespace_no_error(name: str) -> int:
    """The OID of a schema, pg_temp being this session's; 0 if there is none."""
    if name == "pg_temp":
        return session.temp_namespace_id
    return get_namespace_oid(name, True)


def lookup_explicit_namespace(name: str, missing_ok: bool = False) -> int:
    """The OID of a schema that the user named: USAGE on it is required."""
    if name == "pg_temp" and session.temp_namespace_id:
        return session.temp_namespace_id
    oid = get_namespace_oid(name, missing_ok)
    if oid and not object_aclcheck(NAMESPACE_RELATION, oid, session.current_user_id, ACL_USAGE):
        raise aclcheck_error("schema", name)
    return oid


def lookup_creation_namespace(name: str) -> int:
    """The OID of a schema to create something in: CREATE on it is required."""
    if name == "pg_temp":
        _require_temp_namespace()
        return session.temp_namespace_id
    oid = get_namespace_oid(name, False)
    if not object_aclcheck(NAMESPACE_RELATION, oid, session.current_user_id, ACL_CREATE):
        raise aclcheck_error("schema", name)
    return oid


def _require_temp_namespace() -> None:
    if not session.temp_namespace_id:
        if create_temp_namespace is None:
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "temporary tables need an open database")
        create_temp_namespace()


def is_temp_namespace(oid: int) -> bool:
    """Whether it is this session's schema of temporary tables."""
    return oid != 0 and oid == session.temp_namespace_id


def is_temp_or_temp_toast_namespace(oid: int) -> bool:
    """Whether it is this session's schema of temporary tables or of their TOAST tables."""
    return oid != 0 and oid in (session.temp_namespace_id, session.temp_toast_namespace_id)


def is_any_temp_namespace(oid: int) -> bool:
    """Whether it is any session's schema of temporary tables or of their TOAST tables."""
    name = get_namespace_name(oid) or ""
    return name.startswith(("pg_temp_", "pg_toast_temp_"))


def is_other_temp_namespace(oid: int) -> bool:
    """Whether it belongs to another session."""
    return not is_temp_or_temp_toast_namespace(oid) and is_any_temp_namespace(oid)


def is_catalog_namespace(oid: int) -> bool:
    """Whether it is pg_catalog."""
    return oid == PG_CATALOG_NAMESPACE


def deconstruct_qualified_name(names: Sequence[str]) -> tuple[str | None, str]:
    """(schema or None, name) of a name of up to three parts."""
    if len(names) == 1:
        return None, names[0]
    if len(names) == 2:
        return names[0], names[1]
    if len(names) == 3:
        database = lookup(c.DATABASEOID, session.database_id) if session.database_id else None
        if database is not None and names[0] != database.datname:
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                f"cross-database references are not implemented: {name_list_to_string(names)}",
            )
        return names[1], names[2]
    raise SqlError(
        errcode.SYNTAX_ERROR, f"improper qualified name (too many dotted names): {name_list_to_string(names)}"
    )


def name_list_to_string(names: Sequence[str]) -> str:
    """The parts with dots, for messages."""
    return ".".join(names)


def qualified_name_get_creation_namespace(names: Sequence[str]) -> tuple[int, str]:
    """(schema, name) for an object to be created."""
    schema, name = deconstruct_qualified_name(names)
    if schema is not None:
        if schema == "pg_temp":
            _require_temp_namespace()
            return session.temp_namespace_id, name
        return get_namespace_oid(schema, False), name
    return current_creation_namespace(), name


def current_creation_namespace() -> int:
    """The schema where unqualified names are created: the first of the path."""
    _compute_path()
    if _path.temp_missing:
        _require_temp_namespace()
        return session.temp_namespace_id
    if not _path.creation_namespace:
        raise SqlError(errcode.UNDEFINED_SCHEMA, "no schema has been selected to create in")
    return _path.creation_namespace


def _check_catalog_name(catalog: str | None, schema: str | None, name: str) -> None:
    if catalog and session.database_id:
        database = lookup(c.DATABASEOID, session.database_id)
        if database is not None and catalog != database.datname:
            full = f'"{catalog}.{schema}.{name}"' if schema else f'"{catalog}.{name}"'
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"cross-database references are not implemented: {full}")


def range_var_get_creation_namespace(relation: Any) -> int:
    """The schema of a relation to be created from a RangeVar; says so where persistence and schema do not fit."""
    _check_catalog_name(relation.catalogname, relation.schemaname, relation.relname)
    if relation.schemaname:
        if relation.schemaname == "pg_temp":
            _require_temp_namespace()
            return session.temp_namespace_id
        return get_namespace_oid(relation.schemaname, False)
    if relation.relpersistence == "t":
        _require_temp_namespace()
        return session.temp_namespace_id
    return current_creation_namespace()


def range_var_adjust_persistence(relation: Any, namespace: int) -> str:
    """The persistence that follows from the schema (RangeVarAdjustRelationPersistence); raises 42P16 on conflict."""
    if relation.relpersistence == "t":
        if not is_temp_or_temp_toast_namespace(namespace):
            if is_any_temp_namespace(namespace):
                raise SqlError(
                    errcode.INVALID_TABLE_DEFINITION, "cannot create relations in temporary schemas of other sessions"
                )
            raise SqlError(errcode.INVALID_TABLE_DEFINITION, "cannot create temporary relation in non-temporary schema")
        return "t"
    if relation.relpersistence == "p":
        if is_temp_or_temp_toast_namespace(namespace):
            return "t"
        if is_any_temp_namespace(namespace):
            raise SqlError(
                errcode.INVALID_TABLE_DEFINITION, "cannot create relations in temporary schemas of other sessions"
            )
        return "p"
    if is_any_temp_namespace(namespace):
        raise SqlError(errcode.INVALID_TABLE_DEFINITION, "only temporary relations may be created in temporary schemas")
    persistence: str = relation.relpersistence
    return persistence


# Relations


def get_relname_relid(name: str, namespace: int) -> int:
    """The OID of a relation in a schema, 0 if there is none."""
    row = lookup(c.RELNAMENSP, name, namespace)
    return 0 if row is None else row.oid


def relname_get_relid(name: str) -> int:
    """The OID of the first relation of that name on the path, 0 if there is none."""
    for namespace in active_search_path():
        row = lookup(c.RELNAMENSP, name, namespace)
        if row is not None:
            oid: int = row.oid
            return oid
    return 0


def relation_oid_by_name(name: str, schema: str | None = None, missing_ok: bool = False) -> int:
    """The OID of a relation by its (qualified) name, without a lock."""
    if schema is not None:
        namespace = lookup_explicit_namespace(schema, missing_ok)
        oid = get_relname_relid(name, namespace) if namespace else 0
    else:
        oid = relname_get_relid(name)
    if not oid and not missing_ok:
        full = f"{schema}.{name}" if schema else name
        raise SqlError(errcode.UNDEFINED_TABLE, f'relation "{full}" does not exist')
    return oid


def _find_range_var(relation: Any, missing_ok: bool) -> int:
    persistence = getattr(relation, "relpersistence", "p")
    if persistence == "t":
        if not session.temp_namespace_id:
            return 0
        if relation.schemaname:
            namespace = lookup_explicit_namespace(relation.schemaname, missing_ok)
            if namespace != session.temp_namespace_id:
                raise SqlError(errcode.INVALID_TABLE_DEFINITION, "temporary tables cannot specify a schema name")
        return get_relname_relid(relation.relname, session.temp_namespace_id)
    if relation.schemaname:
        namespace = lookup_explicit_namespace(relation.schemaname, missing_ok)
        if not namespace:
            return 0
        return get_relname_relid(relation.relname, namespace)
    return relname_get_relid(relation.relname)


def range_var_get_relid(
    relation: Any,
    lockmode: int,
    *,
    missing_ok: bool = False,
    nowait: bool = False,
    skip_locked: bool = False,
    callback: Callable[[Any, int, int], None] | None = None,
) -> int:
    """The OID that a RangeVar names, locked; 0 if it may be missing or locked and is (RangeVarGetRelidExtended).

    The name is looked up again until no invalidation came in between, so the locked relation is the named one.
    ``callback(relation, oid, old_oid)`` runs before each lock: privileges are checked there.
    """
    _check_catalog_name(relation.catalogname, relation.schemaname, relation.relname)
    old = 0
    retry = False
    while True:
        counter = invalidation_counter()
        oid = _find_range_var(relation, missing_ok)
        if retry and oid == old:
            break
        if retry and old:
            unlock_relation(old, lockmode)
        if callback is not None:
            callback(relation, oid, old)
        if not oid or not lockmode:
            break
        if not lock_relation(oid, lockmode, nowait or skip_locked):
            if skip_locked:
                return 0
            full = f"{relation.schemaname}.{relation.relname}" if relation.schemaname else relation.relname
            raise SqlError(errcode.LOCK_NOT_AVAILABLE, f'could not obtain lock on relation "{full}"')
        if counter == invalidation_counter():
            break
        retry = True
        old = oid
    if not oid and not missing_ok:
        if relation.schemaname:
            raise SqlError(
                errcode.UNDEFINED_TABLE, f'relation "{relation.schemaname}.{relation.relname}" does not exist'
            )
        raise SqlError(errcode.UNDEFINED_TABLE, f'relation "{relation.relname}" does not exist')
    return oid


# Visibility, and other objects by name: (cache by OID, cache by name, columns of name and schema, rest of the key).


def _visible(row: Any, namespace: int, find: Callable[[int], Any]) -> bool:
    path = active_search_path()
    if namespace != PG_CATALOG_NAMESPACE and namespace not in path:
        return False
    for candidate in path:
        if candidate == namespace:
            return True
        if find(candidate) is not None:
            return False
    return False


def relation_is_visible(oid: int) -> bool | None:
    """Whether the relation is found by its bare name; None if it does not exist."""
    row = lookup(c.RELOID, oid)
    if row is None:
        return None
    return _visible(row, row.relnamespace, lambda nsp: lookup(c.RELNAMENSP, row.relname, nsp))


def type_is_visible(oid: int) -> bool | None:
    """Whether the type is found by its bare name; None if it does not exist."""
    row = lookup(c.TYPEOID, oid)
    if row is None:
        return None
    return _visible(row, row.typnamespace, lambda nsp: lookup(c.TYPENAMENSP, row.typname, nsp))


def function_is_visible(oid: int) -> bool | None:
    """Whether a call by its bare name and its argument types finds it; None if it does not exist."""
    row = lookup(c.PROCOID, oid)
    if row is None:
        return None
    return _visible(row, row.pronamespace, lambda nsp: lookup(c.PROCNAMEARGSNSP, row.proname, row.proargtypes, nsp))


def operator_is_visible(oid: int) -> bool | None:
    """Whether the operator is found by its bare name and argument types; None if it does not exist."""
    row = lookup(c.OPEROID, oid)
    if row is None:
        return None
    return _visible(
        row, row.oprnamespace, lambda nsp: lookup(c.OPERNAMENSP, row.oprname, row.oprleft, row.oprright, nsp)
    )


def _simple_visible(by_oid: SysCache, by_name: SysCache, name: str, namespace: str, oid: int) -> bool | None:
    row = lookup(by_oid, oid)
    if row is None:
        return None
    return _visible(row, getattr(row, namespace), lambda nsp: lookup(by_name, getattr(row, name), nsp))


def opclass_is_visible(oid: int) -> bool | None:
    """Whether the operator class is found by its bare name; None if it does not exist."""
    row = lookup(c.CLAOID, oid)
    if row is None:
        return None
    return _visible(row, row.opcnamespace, lambda nsp: lookup(c.CLAAMNAMENSP, row.opcmethod, row.opcname, nsp))


def opfamily_is_visible(oid: int) -> bool | None:
    """Whether the operator family is found by its bare name; None if it does not exist."""
    row = lookup(c.OPFAMILYOID, oid)
    if row is None:
        return None
    return _visible(row, row.opfnamespace, lambda nsp: lookup(c.OPFAMILYAMNAMENSP, row.opfmethod, row.opfname, nsp))


def collation_is_visible(oid: int) -> bool | None:
    """Whether the collation is found by its bare name; None if it does not exist."""
    row = lookup(c.COLLOID, oid)
    if row is None:
        return None
    return _visible(row, row.collnamespace, lambda nsp: _collation_in(row.collname, nsp))


def conversion_is_visible(oid: int) -> bool | None:
    """Whether the conversion is found by its bare name; None if it does not exist."""
    return _simple_visible(c.CONVOID, c.CONNAMENSP, "conname", "connamespace", oid)


def statistics_is_visible(oid: int) -> bool | None:
    """Whether the statistics object is found by its bare name; None if it does not exist."""
    return _simple_visible(c.STATEXTOID, c.STATEXTNAMENSP, "stxname", "stxnamespace", oid)


def ts_config_is_visible(oid: int) -> bool | None:
    """Whether the text search configuration is found by its bare name; None if it does not exist."""
    return _simple_visible(c.TSCONFIGOID, c.TSCONFIGNAMENSP, "cfgname", "cfgnamespace", oid)


def ts_dict_is_visible(oid: int) -> bool | None:
    """Whether the text search dictionary is found by its bare name; None if it does not exist."""
    return _simple_visible(c.TSDICTOID, c.TSDICTNAMENSP, "dictname", "dictnamespace", oid)


def ts_parser_is_visible(oid: int) -> bool | None:
    """Whether the text search parser is found by its bare name; None if it does not exist."""
    return _simple_visible(c.TSPARSEROID, c.TSPARSERNAMENSP, "prsname", "prsnamespace", oid)


def ts_template_is_visible(oid: int) -> bool | None:
    """Whether the text search template is found by its bare name; None if it does not exist."""
    return _simple_visible(c.TSTEMPLATEOID, c.TSTEMPLATENAMENSP, "tmplname", "tmplnamespace", oid)


def typename_get_typid(name: str, temp_ok: bool = True) -> int:
    """The OID of the first type of that name on the path, 0 if there is none."""
    for namespace in active_search_path():
        if not temp_ok and namespace == session.temp_namespace_id:
            continue
        row = lookup(c.TYPENAMENSP, name, namespace)
        if row is not None:
            oid: int = row.oid
            return oid
    return 0


def _collation_in(name: str, namespace: int) -> Any:
    """A collation that fits the database encoding, or any encoding (lookup_collation)."""
    row = lookup(c.COLLNAMEENCNSP, name, session.encoding, namespace)
    return row if row is not None else lookup(c.COLLNAMEENCNSP, name, -1, namespace)


def _search(names: Sequence[str], missing_ok: bool, find: Callable[[str, int], Any]) -> Any:
    """The object row by name: in the named schema, or the first on the path, temporary schemas left out."""
    schema, name = deconstruct_qualified_name(names)
    if schema is not None:
        namespace = lookup_explicit_namespace(schema, missing_ok)
        return find(name, namespace) if namespace else None
    for namespace in active_search_path():
        if namespace == session.temp_namespace_id:
            continue
        row = find(name, namespace)
        if row is not None:
            return row
    return None


def get_collation_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a collation by name."""
    row = _search(names, missing_ok, _collation_in)
    if row is None:
        if missing_ok:
            return 0
        encodings = {0: "SQL_ASCII", 6: "UTF8"}
        raise SqlError(
            errcode.UNDEFINED_OBJECT,
            f'collation "{name_list_to_string(names)}" for encoding "{encodings.get(session.encoding, "")}" does not'
            " exist",
        )
    oid: int = row.oid
    return oid


def _by_name(by_name: SysCache, noun: str, names: Sequence[str], missing_ok: bool) -> int:
    row = _search(names, missing_ok, lambda name, nsp: lookup(by_name, name, nsp))
    if row is None:
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_OBJECT, f'{noun} "{name_list_to_string(names)}" does not exist')
    oid: int = row.oid
    return oid


def get_conversion_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a conversion by name."""
    return _by_name(c.CONNAMENSP, "conversion", names, missing_ok)


def get_statistics_object_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a statistics object by name."""
    return _by_name(c.STATEXTNAMENSP, "statistics object", names, missing_ok)


def get_ts_config_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a text search configuration by name."""
    return _by_name(c.TSCONFIGNAMENSP, "text search configuration", names, missing_ok)


def get_ts_dict_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a text search dictionary by name."""
    return _by_name(c.TSDICTNAMENSP, "text search dictionary", names, missing_ok)


def get_ts_parser_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a text search parser by name."""
    return _by_name(c.TSPARSERNAMENSP, "text search parser", names, missing_ok)


def get_ts_template_oid(names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of a text search template by name."""
    return _by_name(c.TSTEMPLATENAMENSP, "text search template", names, missing_ok)


def get_opclass_oid(am_oid: int, names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of an operator class of an access method by name."""
    row = _search(names, missing_ok, lambda name, nsp: lookup(c.CLAAMNAMENSP, am_oid, name, nsp))
    if row is None:
        if missing_ok:
            return 0
        method = lookup(c.AMOID, am_oid)
        raise SqlError(
            errcode.UNDEFINED_OBJECT,
            f'operator class "{name_list_to_string(names)}" does not exist for access method "{method.amname}"',
        )
    oid: int = row.oid
    return oid


def get_opfamily_oid(am_oid: int, names: Sequence[str], missing_ok: bool = False) -> int:
    """The OID of an operator family of an access method by name."""
    row = _search(names, missing_ok, lambda name, nsp: lookup(c.OPFAMILYAMNAMENSP, am_oid, name, nsp))
    if row is None:
        if missing_ok:
            return 0
        method = lookup(c.AMOID, am_oid)
        raise SqlError(
            errcode.UNDEFINED_OBJECT,
            f'operator family "{name_list_to_string(names)}" does not exist for access method "{method.amname}"',
        )
    oid: int = row.oid
    return oid


def functions_named(names: Sequence[str], missing_ok: bool = True) -> list[tuple[int, Any]]:
    """(place on the path, pg_proc row) of every function of that name, explicit schema or path; nearest first.

    The place is 0 for an explicit schema. Choosing among them by argument types is the analyzer's work.
    """
    schema, name = deconstruct_qualified_name(names)
    rows = lookup_list(c.PROCNAMEARGSNSP, name)
    if schema is not None:
        namespace = lookup_explicit_namespace(schema, missing_ok)
        return [(0, row) for row in rows if row.pronamespace == namespace] if namespace else []
    place = {nsp: i for i, nsp in enumerate(active_search_path()) if nsp != session.temp_namespace_id}
    return sorted(
        ((place[row.pronamespace], row) for row in rows if row.pronamespace in place), key=lambda item: item[0]
    )


def operators_named(names: Sequence[str], missing_ok: bool = True) -> list[tuple[int, Any]]:
    """(place on the path, pg_operator row) of every operator of that name; nearest first."""
    schema, name = deconstruct_qualified_name(names)
    rows = lookup_list(c.OPERNAMENSP, name)
    if schema is not None:
        namespace = lookup_explicit_namespace(schema, missing_ok)
        return [(0, row) for row in rows if row.oprnamespace == namespace] if namespace else []
    place = {nsp: i for i, nsp in enumerate(active_search_path()) if nsp != session.temp_namespace_id}
    return sorted(
        ((place[row.oprnamespace], row) for row in rows if row.oprnamespace in place), key=lambda item: item[0]
    )


def may_create_temp() -> bool:
    """Whether the user may create temporary tables in this database."""
    return object_aclcheck(DATABASE_RELATION, session.database_id, session.current_user_id, ACL_CREATE_TEMP)

"""has_table_privilege() and its kin, pg_has_role(), row_security_active().

Each comes in variants by how the user and the object are given: by name or by OID, the user left out being the
current one. An object given by an OID that does not exist gives NULL, one given by name an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tusk.catalog import acl, namespace
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.commands.functions.support import invalid
from tusk.errors import SqlError, errcode
from tusk.types.registry import function, services
from tusk.types.text import parse_identifiers

_TABLE = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "MAINTAIN")
_COLUMN = ("SELECT", "INSERT", "UPDATE", "REFERENCES")
_GRANT = " WITH GRANT OPTION"


def _bits(*names: str) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        known = {"TEMP": "TEMPORARY"}.get(name, name)
        bit = 1 << acl.PRIVILEGE_NAMES.index(known)
        found[name], found[name + _GRANT] = bit, bit << 32
    return found


def privilege_mask(text: str, known: dict[str, int]) -> int:
    """The bits of a comma-separated list of privileges (convert_any_priv_string)."""
    mask = 0
    for word in text.split(","):
        bit = known.get(word.strip().upper())
        if bit is None:
            raise invalid(f'unrecognized privilege type: "{word.strip()}"')
        mask |= bit
    return mask


def _role_by_name(name: str) -> int:
    return 0 if name == "public" else acl.get_role_oid(name)


# How objects are named


def _relation(text: str) -> int:
    names = parse_identifiers(text)
    if len(names) > 2:
        _, name = namespace.deconstruct_qualified_name(names)
        return namespace.relation_oid_by_name(name, names[-2])
    return namespace.relation_oid_by_name(names[-1], names[0] if len(names) == 2 else None)


def _named(cache: Any, noun: str, code: str) -> Callable[[str], int]:
    def find(name: str) -> int:
        row = lookup(cache, name)
        if row is None:
            raise SqlError(code, f'{noun} "{name}" does not exist')
        return int(row.oid)

    return find


def _function(text: str) -> int:
    oid = services.call("reg_in", "regprocedure", text, False)
    return int(oid)


def _type(text: str) -> int:
    return int(services.call("parse_type", text)[0])


_KINDS: tuple[tuple[str, int, Any, Callable[[str], int], dict[str, int]], ...] = (
    ("table", 1259, c.RELOID, _relation, _bits(*_TABLE)),
    ("sequence", 1259, c.RELOID, _relation, _bits("USAGE", "SELECT", "UPDATE")),
    ("database", 1262, c.DATABASEOID,
     lambda name: _database(name), _bits("CREATE", "TEMPORARY", "TEMP", "CONNECT")),
    ("foreign_data_wrapper", 2328, c.FOREIGNDATAWRAPPEROID,
     _named(c.FOREIGNDATAWRAPPERNAME, "foreign-data wrapper", errcode.UNDEFINED_OBJECT), _bits("USAGE")),
    ("function", 1255, c.PROCOID, _function, _bits("EXECUTE")),
    ("language", 2612, c.LANGOID, _named(c.LANGNAME, "language", errcode.UNDEFINED_OBJECT), _bits("USAGE")),
    ("schema", 2615, c.NAMESPACEOID, lambda name: namespace.get_namespace_oid(name, False), _bits("CREATE", "USAGE")),
    ("server", 1417, c.FOREIGNSERVEROID, _named(c.FOREIGNSERVERNAME, "server", errcode.UNDEFINED_OBJECT),
     _bits("USAGE")),
    ("tablespace", 1213, c.TABLESPACEOID, lambda name: _tablespace(name), _bits("CREATE")),
    ("type", 1247, c.TYPEOID, _type, _bits("USAGE")),
)  # fmt: skip


def _by_scan(catalog: str, column: str, name: str, noun: str, code: str) -> int:
    for row in c.scan_rows(catalog, **{column: name}):
        return int(row.oid)
    raise SqlError(code, f'{noun} "{name}" does not exist')


def _database(name: str) -> int:
    return _by_scan("pg_database", "datname", name, "database", errcode.UNDEFINED_DATABASE)


def _tablespace(name: str) -> int:
    return _by_scan("pg_tablespace", "spcname", name, "tablespace", errcode.UNDEFINED_OBJECT)


def _variants(
    prefix: str, find: Callable[[str], int], check: Callable[[int, int, str], bool | None]
) -> None:
    """Register the six variants of a function over check(role, object, privileges)."""

    def me() -> int:
        return session.current_user_id

    function(f"{prefix}_name_name")(lambda user, name, text: check(_role_by_name(user), find(name), text))
    function(f"{prefix}_name_id")(lambda user, oid, text: check(_role_by_name(user), oid, text))
    function(f"{prefix}_id_name")(lambda user, name, text: check(user, find(name), text))
    function(f"{prefix}_id_id")(lambda user, oid, text: check(user, oid, text))
    function(f"{prefix}_name")(lambda name, text: check(me(), find(name), text))
    function(f"{prefix}_id")(lambda oid, text: check(me(), oid, text))


def _object_check(classid: int, cache: Any, known: dict[str, int], kind: str) -> Callable[[int, int, str], bool | None]:
    def check(role: int, oid: int, text: str) -> bool | None:
        mask = privilege_mask(text, known)
        row = lookup(cache, oid)
        if row is None:
            return None
        if kind == "sequence" and row.relkind != "S":
            raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is not a sequence')
        return acl.object_acl_mask(classid, oid, role, mask) != 0

    return check


for _kind, _classid, _cache, _find, _known in _KINDS:
    _variants(f"has_{_kind}_privilege", _find, _object_check(_classid, _cache, _known, _kind))


# Columns


def _any_column(role: int, relid: int, text: str) -> bool | None:
    mask = privilege_mask(text, _bits(*_COLUMN))
    if lookup(c.RELOID, relid) is None:
        return None
    return acl.class_aclcheck(relid, role, mask) or acl.attribute_aclcheck_all(relid, role, mask, any_column=True)


_variants("has_any_column_privilege", _relation, _any_column)


def _attnum(relid: int, name: str) -> int | None:
    row = lookup(c.ATTNAME, relid, name)
    if row is not None and not row.attisdropped:
        return int(row.attnum)
    relation = lookup(c.RELOID, relid)
    if relation is None:
        return None
    raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{name}" of relation "{relation.relname}" does not exist')


def _column_check(role: int, relid: int, column: str | int, text: str) -> bool | None:
    attnum = _attnum(relid, column) if isinstance(column, str) else column
    mask = privilege_mask(text, _bits(*_COLUMN))
    if attnum is None or lookup(c.RELOID, relid) is None:
        return None
    row = lookup(c.ATTNUM, relid, attnum)
    if row is None or row.attisdropped:
        return None
    return acl.class_aclcheck(relid, role, mask) or acl.attribute_aclcheck(relid, attnum, role, mask)


for _column in ("name", "attnum"):
    function(f"has_column_privilege_name_name_{_column}")(
        lambda user, table, column, text: _column_check(_role_by_name(user), _relation(table), column, text)
    )
    function(f"has_column_privilege_name_id_{_column}")(
        lambda user, relid, column, text: _column_check(_role_by_name(user), relid, column, text)
    )
    function(f"has_column_privilege_id_name_{_column}")(
        lambda user, table, column, text: _column_check(user, _relation(table), column, text)
    )
    function(f"has_column_privilege_id_id_{_column}")(
        lambda user, relid, column, text: _column_check(user, relid, column, text)
    )
    function(f"has_column_privilege_name_{_column}")(
        lambda table, column, text: _column_check(session.current_user_id, _relation(table), column, text)
    )
    function(f"has_column_privilege_id_{_column}")(
        lambda relid, column, text: _column_check(session.current_user_id, relid, column, text)
    )


# Parameters, large objects


def _parameter_check(role: int, name: str, text: str) -> bool:
    mask = privilege_mask(text, _bits("SET", "ALTER SYSTEM"))
    if acl.superuser_arg(role):
        return True
    rows = c.scan_rows("pg_parameter_acl", parname=name.lower())
    return bool(rows) and acl.acl_mask(rows[0].paracl, role, 10, mask) != 0


function("has_parameter_privilege_name_name")(
    lambda user, name, text: _parameter_check(_role_by_name(user), name, text)
)
function("has_parameter_privilege_id_name")(_parameter_check)
function("has_parameter_privilege_name")(lambda name, text: _parameter_check(session.current_user_id, name, text))


def _large_object_check(role: int, oid: int, text: str) -> bool | None:
    mask = privilege_mask(text, _bits("SELECT", "UPDATE"))
    rows = c.scan_rows("pg_largeobject_metadata", oid=oid)
    if not rows:
        return None
    row = rows[0]
    if acl.superuser_arg(role):
        return True
    granted = acl.acl_default("large object", row.lomowner) if row.lomacl is None else row.lomacl
    return acl.acl_mask(granted, role, row.lomowner, mask) != 0


function("has_largeobject_privilege_name_id")(
    lambda user, oid, text: _large_object_check(_role_by_name(user), oid, text)
)
function("has_largeobject_privilege_id_id")(_large_object_check)
function("has_largeobject_privilege_id")(lambda oid, text: _large_object_check(session.current_user_id, oid, text))


# Roles

_ADMIN, _MEMBER, _USAGE, _SET = 1, 2, 4, 8
_ROLE_PRIVILEGES = {"USAGE": _USAGE, "MEMBER": _MEMBER, "SET": _SET} | {
    f"{name} WITH {option} OPTION": _ADMIN for name in ("USAGE", "MEMBER", "SET") for option in ("GRANT", "ADMIN")
}


def _role_check(member: int, role: int, text: str) -> bool:
    mask = privilege_mask(text, _ROLE_PRIVILEGES)
    return bool(
        (mask & _ADMIN and acl.is_admin_of_role(member, role))
        or (mask & _MEMBER and acl.is_member_of_role(member, role))
        or (mask & _USAGE and acl.has_privs_of_role(member, role))
        or (mask & _SET and acl.member_can_set_role(member, role))
    )


_role = acl.get_role_oid
function("pg_has_role_name_name")(lambda user, role, text: _role_check(_role(user), _role(role), text))
function("pg_has_role_name_id")(lambda user, role, text: _role_check(_role(user), role, text))
function("pg_has_role_id_name")(lambda user, role, text: _role_check(user, _role(role), text))
function("pg_has_role_id_id")(_role_check)
function("pg_has_role_name")(lambda role, text: _role_check(session.current_user_id, _role(role), text))
function("pg_has_role_id")(lambda role, text: _role_check(session.current_user_id, role, text))


# Row security


def _row_security_active(relid: int) -> bool:
    """Whether policies apply to the current user (check_enable_rls without its error)."""
    row = lookup(c.RELOID, relid)
    if row is None or not row.relrowsecurity:
        return False
    me = session.current_user_id
    user = lookup(c.AUTHOID, me)
    if acl.superuser_arg(me) or (user is not None and user.rolbypassrls):
        return False
    return bool(row.relforcerowsecurity or not acl.has_privs_of_role(me, row.relowner))


function("row_security_active")(_row_security_active)
function("row_security_active_name")(lambda text: _row_security_active(_relation(text)))

"""Privileges: access control lists, role membership, and the checks that everything makes (acl.c, aclchk.c)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, lookup_list
from tusk.catalog.rowbase import AclItem
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode

Acl = tuple[AclItem, ...]

ACL_INSERT, ACL_SELECT, ACL_UPDATE, ACL_DELETE = 1, 2, 4, 8
ACL_TRUNCATE, ACL_REFERENCES, ACL_TRIGGER, ACL_EXECUTE = 16, 32, 64, 128
ACL_USAGE, ACL_CREATE, ACL_CREATE_TEMP, ACL_CONNECT = 256, 512, 1024, 2048
ACL_SET, ACL_ALTER_SYSTEM, ACL_MAINTAIN = 4096, 8192, 16384
ALL_BITS = 0xFFFFFFFF
PUBLIC = 0

PRIVILEGE_CHARS = "arwdDxtXUCTcsAm"
PRIVILEGE_NAMES = (
    "INSERT", "SELECT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "EXECUTE", "USAGE", "CREATE",
    "TEMPORARY", "CONNECT", "SET", "ALTER SYSTEM", "MAINTAIN",
)  # fmt: skip

ALL_RIGHTS_RELATION = 0x407F
ALL_RIGHTS = {
    "column": ACL_INSERT | ACL_SELECT | ACL_UPDATE | ACL_REFERENCES,
    "table": ALL_RIGHTS_RELATION,
    "sequence": ACL_USAGE | ACL_SELECT | ACL_UPDATE,
    "database": ACL_CREATE | ACL_CREATE_TEMP | ACL_CONNECT,
    "foreign-data wrapper": ACL_USAGE,
    "foreign server": ACL_USAGE,
    "function": ACL_EXECUTE,
    "language": ACL_USAGE,
    "large object": ACL_SELECT | ACL_UPDATE,
    "parameter": ACL_SET | ACL_ALTER_SYSTEM,
    "schema": ACL_USAGE | ACL_CREATE,
    "tablespace": ACL_CREATE,
    "type": ACL_USAGE,
}

ROLE_PG_READ_ALL_DATA, ROLE_PG_WRITE_ALL_DATA, ROLE_PG_MAINTAIN, ROLE_PG_DATABASE_OWNER = 6181, 6182, 6337, 6171


class AclKind(NamedTuple):
    """Where a catalog keeps owner and ACL, and what its objects are called."""

    kind: str
    cache: Any
    owner: str
    acl: str
    name: str
    noun: str


# By catalog OID (class id).
KINDS: dict[int, AclKind] = {
    1259: AclKind("table", c.RELOID, "relowner", "relacl", "relname", "relation"),
    1262: AclKind("database", c.DATABASEOID, "datdba", "datacl", "datname", "database"),
    2328: AclKind(
        "foreign-data wrapper", c.FOREIGNDATAWRAPPEROID, "fdwowner", "fdwacl", "fdwname", "foreign-data wrapper"
    ),
    1417: AclKind("foreign server", c.FOREIGNSERVEROID, "srvowner", "srvacl", "srvname", "foreign server"),
    1255: AclKind("function", c.PROCOID, "proowner", "proacl", "proname", "function"),
    2612: AclKind("language", c.LANGOID, "lanowner", "lanacl", "lanname", "language"),
    2615: AclKind("schema", c.NAMESPACEOID, "nspowner", "nspacl", "nspname", "schema"),
    1213: AclKind("tablespace", c.TABLESPACEOID, "spcowner", "spcacl", "spcname", "tablespace"),
    1247: AclKind("type", c.TYPEOID, "typowner", "typacl", "typname", "type"),
    3456: AclKind("collation", c.COLLOID, "collowner", "", "collname", "collation"),
    2607: AclKind("conversion", c.CONVOID, "conowner", "", "conname", "conversion"),
    2617: AclKind("operator", c.OPEROID, "oprowner", "", "oprname", "operator"),
    2616: AclKind("operator class", c.CLAOID, "opcowner", "", "opcname", "operator class"),
    2753: AclKind("operator family", c.OPFAMILYOID, "opfowner", "", "opfname", "operator family"),
    3381: AclKind("statistics object", c.STATEXTOID, "stxowner", "", "stxname", "statistics object"),
    3600: AclKind("text search dictionary", c.TSDICTOID, "dictowner", "", "dictname", "text search dictionary"),
    3602: AclKind("text search configuration", c.TSCONFIGOID, "cfgowner", "", "cfgname", "text search configuration"),
    3079: AclKind("extension", c.EXTENSIONOID, "extowner", "", "extname", "extension"),
    3466: AclKind("event trigger", c.EVENTTRIGGEROID, "evtowner", "", "evtname", "event trigger"),
    6104: AclKind("publication", c.PUBLICATIONOID, "pubowner", "", "pubname", "publication"),
    6100: AclKind("subscription", c.SUBSCRIPTIONOID, "subowner", "", "subname", "subscription"),
}


def acl_default(kind: str, owner: int) -> Acl:
    """The ACL that NULL stands for (acldefault)."""
    world = {
        "database": ACL_CREATE_TEMP | ACL_CONNECT, "function": ACL_EXECUTE, "language": ACL_USAGE, "type": ACL_USAGE,
    }.get(kind, 0)  # fmt: skip
    if kind == "column":
        return ()
    items = [AclItem(PUBLIC, owner, world)] if world else []
    if kind != "parameter" or owner:
        items.append(AclItem(owner, owner, ALL_RIGHTS[kind]))
    return tuple(items)


# Role membership

_member_cache: dict[tuple[int, str], frozenset[int]] = {}


def forget_membership() -> None:
    """Drop what is remembered of roles; called when pg_authid or pg_auth_members changed."""
    _member_cache.clear()
    session.superuser_cache.clear()


def roles_of(role: int, how: str) -> frozenset[int]:
    """The role and all that it is a member of: "member" at all, with "inherit", or with "set" option."""
    cached = _member_cache.get((role, how))
    if cached is not None:
        return cached
    found = {role}
    pending = [role]
    database = lookup(c.DATABASEOID, session.database_id) if session.database_id else None
    while pending:
        member = pending.pop()
        for row in lookup_list(c.AUTHMEMMEMROLE, member):
            if (how == "inherit" and not row.inherit_option) or (how == "set" and not row.set_option):
                continue
            if row.roleid not in found:
                found.add(row.roleid)
                pending.append(row.roleid)
        if database is not None and member == database.datdba and ROLE_PG_DATABASE_OWNER not in found:
            found.add(ROLE_PG_DATABASE_OWNER)
            pending.append(ROLE_PG_DATABASE_OWNER)
    result = _member_cache[role, how] = frozenset(found)
    return result


def superuser_arg(role: int) -> bool:
    """Whether the role is a superuser."""
    known = session.superuser_cache.get(role)
    if known is None:
        row = lookup(c.AUTHOID, role)
        known = session.superuser_cache[role] = row is not None and row.rolsuper
    return known


def superuser() -> bool:
    """Whether the current user is one."""
    return superuser_arg(session.current_user_id)


def has_privs_of_role(member: int, role: int) -> bool:
    """Whether member has the privileges of role by inheritance, ownership of which counts too."""
    return member == role or superuser_arg(member) or role in roles_of(member, "inherit")


def member_can_set_role(member: int, role: int) -> bool:
    """Whether member may SET ROLE to role."""
    return member == role or superuser_arg(member) or role in roles_of(member, "set")


def is_member_of_role(member: int, role: int) -> bool:
    """Whether member is in role, directly or not; a superuser is in every role."""
    return member == role or superuser_arg(member) or role in roles_of(member, "member")


def is_member_of_role_nosuper(member: int, role: int) -> bool:
    """Like `is_member_of_role`, without the superuser's shortcut."""
    return member == role or role in roles_of(member, "member")


def is_admin_of_role(member: int, role: int) -> bool:
    """Whether member may grant membership in role."""
    if superuser_arg(member):
        return True
    if member == role:
        return False
    return any(
        row.admin_option for one in roles_of(member, "member") for row in lookup_list(c.AUTHMEMMEMROLE, one)
        if row.roleid == role
    )  # fmt: skip


def check_can_set_role(member: int, role: int) -> None:
    """Raise 42501 unless member can SET ROLE to role."""
    if not member_can_set_role(member, role):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f'must be able to SET ROLE "{role_name(role)}"')


def role_name(role: int, missing_ok: bool = False) -> str:
    """The name of a role."""
    row = lookup(c.AUTHOID, role)
    if row is None:
        if missing_ok:
            return str(role)
        raise SqlError(errcode.UNDEFINED_OBJECT, f"invalid role OID: {role}")
    name: str = row.rolname
    return name


def get_role_oid(name: str, missing_ok: bool = False) -> int:
    """The OID of a role, 0 if it may be missing and is."""
    row = lookup(c.AUTHNAME, name)
    if row is None:
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_OBJECT, f'role "{name}" does not exist')
    oid: int = row.oid
    return oid


# Checks


def acl_mask(acl: Acl, role: int, owner: int, mask: int, *, all_of: bool = False) -> int:
    """Which of the privileges in mask the role holds (aclmask). Grant options are the bits above 32.

    With ``all_of`` false it stops at the first privilege found: the answer is then only zero or not.
    """
    if mask == 0:
        return 0
    result = 0
    # The owner always has all grant options.
    if mask & (ALL_BITS << 32) and has_privs_of_role(role, owner):
        result = mask & (ALL_BITS << 32)
        if result == mask if all_of else result:
            return result
    for item in acl:
        if item.grantee in (PUBLIC, role):
            result |= item.privileges & mask
            if result == mask if all_of else result:
                return result
    remaining = mask & ~result
    for item in acl:
        if item.grantee not in (PUBLIC, role) and item.privileges & remaining and has_privs_of_role(role, item.grantee):
            result |= item.privileges & mask
            if result == mask if all_of else result:
                return result
            remaining = mask & ~result
    return result


def is_system_class(relid: int, namespace: int) -> bool:
    """Whether a relation is a system catalog or its TOAST table, protected from ordinary users."""
    return relid < 16384 and namespace in (11, 99)


def class_acl_mask(relid: int, role: int, mask: int, *, all_of: bool = False) -> int:
    """Privileges on a relation (pg_class_aclmask). Raises 42P01 if it does not exist."""
    row = lookup(c.RELOID, relid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_TABLE, f"relation with OID {relid} does not exist")
    if (
        mask & (ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_USAGE)
        and is_system_class(relid, row.relnamespace)
        and row.relkind != "v"
        and not superuser_arg(role)
    ):
        mask &= ~(ACL_INSERT | ACL_UPDATE | ACL_DELETE | ACL_TRUNCATE | ACL_USAGE)
    if superuser_arg(role):
        return mask
    kind = "sequence" if row.relkind == "S" else "table"
    acl = acl_default(kind, row.relowner) if row.relacl is None else row.relacl
    result = acl_mask(acl, role, row.relowner, mask, all_of=all_of)
    if mask & ACL_SELECT and not result & ACL_SELECT and has_privs_of_role(role, ROLE_PG_READ_ALL_DATA):
        result |= ACL_SELECT
    writes = mask & (ACL_INSERT | ACL_UPDATE | ACL_DELETE)
    if writes & ~result and has_privs_of_role(role, ROLE_PG_WRITE_ALL_DATA):
        result |= writes
    if mask & ACL_MAINTAIN and not result & ACL_MAINTAIN and has_privs_of_role(role, ROLE_PG_MAINTAIN):
        result |= ACL_MAINTAIN
    return result


def class_aclcheck(relid: int, role: int, mode: int) -> bool:
    """Whether the role has any of the privileges in mode on a relation."""
    return class_acl_mask(relid, role, mode) != 0


def attribute_aclcheck(relid: int, attnum: int, role: int, mode: int) -> bool:
    """Whether the role has a privilege on a column by the column's own ACL."""
    attribute = lookup(c.ATTNUM, relid, attnum)
    if attribute is None or attribute.attisdropped:
        return False
    if attribute.attacl is None:
        return False
    relation = lookup(c.RELOID, relid)
    return relation is not None and acl_mask(attribute.attacl, role, relation.relowner, mode) != 0


def attribute_aclcheck_all(relid: int, role: int, mode: int, *, any_column: bool) -> bool:
    """Whether the role has a privilege on any, or on every, column by column ACLs (pg_attribute_aclcheck_all)."""
    rows = [row for row in lookup_list(c.ATTNUM, relid) if row.attnum > 0 and not row.attisdropped]
    checks = (attribute_aclcheck(relid, row.attnum, role, mode) for row in rows)
    return any(checks) if any_column else bool(rows) and all(checks)


def object_acl_mask(classid: int, oid: int, role: int, mask: int, *, all_of: bool = False) -> int:
    """Privileges on any object that has an ACL (object_aclmask)."""
    if classid == 1259:
        return class_acl_mask(oid, role, mask, all_of=all_of)
    if superuser_arg(role):
        return mask
    kind = KINDS[classid]
    row = lookup(kind.cache, oid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"{kind.noun} with OID {oid} does not exist")
    if classid == 2615:
        return _namespace_acl_mask(row, role, mask, all_of=all_of)
    if classid == 1247:
        row = _privilege_type(row)
    owner = getattr(row, kind.owner)
    acl = getattr(row, kind.acl)
    return acl_mask(acl_default(kind.kind, owner) if acl is None else acl, role, owner, mask, all_of=all_of)


def _privilege_type(row: Any) -> Any:
    """The type whose ACL counts: an array's element type, a multirange's range type."""
    if row.typelem and row.typsubscript == 6179 and row.typcategory == "A":
        return lookup(c.TYPEOID, row.typelem) or row
    if row.typtype == "m":
        ranges = lookup(c.RANGEMULTIRANGE, row.oid)
        return lookup(c.TYPEOID, ranges.rngtypid) if ranges is not None else row
    return row


def _namespace_acl_mask(row: Any, role: int, mask: int, *, all_of: bool) -> int:
    if row.nspname.startswith("pg_temp_") or row.nspname.startswith("pg_toast_temp_"):
        if row.oid in (session.temp_namespace_id, session.temp_toast_namespace_id):
            if session.database_id and object_acl_mask(1262, session.database_id, role, ACL_CREATE_TEMP):
                return mask & (ACL_USAGE | ACL_CREATE)
            return mask & ACL_USAGE
    acl = acl_default("schema", row.nspowner) if row.nspacl is None else row.nspacl
    result = acl_mask(acl, role, row.nspowner, mask, all_of=all_of)
    if (
        mask & ACL_USAGE
        and not result & ACL_USAGE
        and (has_privs_of_role(role, ROLE_PG_READ_ALL_DATA) or has_privs_of_role(role, ROLE_PG_WRITE_ALL_DATA))
    ):
        result |= ACL_USAGE
    return result


def object_aclcheck(classid: int, oid: int, role: int, mode: int) -> bool:
    """Whether the role has any of the privileges in mode on the object."""
    return object_acl_mask(classid, oid, role, mode) != 0


def object_ownercheck(classid: int, oid: int, role: int) -> bool:
    """Whether the role owns the object, or has its owner's privileges."""
    if superuser_arg(role):
        return True
    kind = KINDS[classid]
    row = lookup(kind.cache, oid)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f"{kind.noun} with OID {oid} does not exist")
    return has_privs_of_role(role, getattr(row, kind.owner))


_RELKIND_NOUN = {
    "i": "index",
    "I": "index",
    "S": "sequence",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}


def object_noun(classid: int, oid: int) -> tuple[str, str]:
    """What error messages call the object, and its name."""
    kind = KINDS[classid]
    row = lookup(kind.cache, oid)
    name = str(oid) if row is None else getattr(row, kind.name)
    noun = kind.noun
    if classid == 1259:
        noun = _RELKIND_NOUN.get(row.relkind, "table") if row is not None else "table"
    elif classid == 1255 and row is not None:
        noun = {"a": "aggregate", "p": "procedure"}.get(row.prokind, "function")
    return noun, name


def aclcheck_error(noun: str, name: str) -> SqlError:
    """``permission denied for table t`` (ACLCHECK_NO_PRIV)."""
    return SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"permission denied for {noun} {name}")


def not_owner_error(noun: str, name: str) -> SqlError:
    """``must be owner of table t`` (ACLCHECK_NOT_OWNER)."""
    return SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"must be owner of {noun} {name}")


def require_privilege(classid: int, oid: int, mode: int, role: int | None = None) -> None:
    """Raise 42501 unless the role (default: the current user) has one of the privileges."""
    if not object_aclcheck(classid, oid, session.current_user_id if role is None else role, mode):
        raise aclcheck_error(*object_noun(classid, oid))


def require_owner(classid: int, oid: int, role: int | None = None) -> None:
    """Raise 42501 unless the role (default: the current user) owns the object."""
    if not object_ownercheck(classid, oid, session.current_user_id if role is None else role):
        raise not_owner_error(*object_noun(classid, oid))


# Changing ACLs


def _merged(items: Iterable[AclItem]) -> Acl:
    return tuple(item for item in items if item.privileges)


def acl_grant(acl: Acl, grantee: int, grantor: int, privileges: int, grant_option: bool) -> Acl:
    """The ACL after GRANT; grant options go to nobody but roles."""
    bits = privileges | (privileges << 32 if grant_option and grantee != PUBLIC else 0)
    items = list(acl)
    for i, item in enumerate(items):
        if item.grantee == grantee and item.grantor == grantor:
            items[i] = AclItem(grantee, grantor, item.privileges | bits)
            return _merged(items)
    return _merged([*items, AclItem(grantee, grantor, bits)])


def acl_revoke(
    acl: Acl, grantee: int, grantor: int, privileges: int, *, option_only: bool, cascade: bool, owner: int
) -> Acl:
    """The ACL after REVOKE. What depends on a lost grant option goes too with cascade, else 2BP01 is raised."""
    bits = privileges << 32 if option_only else privileges | privileges << 32
    items = list(acl)
    lost = 0
    for i, item in enumerate(items):
        if item.grantee == grantee and item.grantor == grantor:
            lost = (item.privileges & bits) >> 32
            items[i] = AclItem(grantee, grantor, item.privileges & ~bits)
    result = _merged(items)
    if lost and grantee not in (PUBLIC, owner):
        still = 0
        for item in result:
            if item.grantee == grantee:
                still |= item.privileges >> 32
        lost &= ~still
        for item in result:
            if item.grantor == grantee and item.privileges & lost:
                if not cascade:
                    raise SqlError(
                        errcode.DEPENDENT_OBJECTS_STILL_EXIST,
                        "dependent privileges exist",
                        hint="Use CASCADE to revoke them too.",
                    )
                result = acl_revoke(
                    result, item.grantee, grantee, item.privileges & lost, option_only=False, cascade=True, owner=owner
                )
    return result


def select_best_grantor(role: int, privileges: int, acl: Acl, owner: int) -> tuple[int, int]:
    """Who grants when role does: (grantor, the grant options it holds of privileges)."""
    if has_privs_of_role(role, owner):
        return owner, privileges
    best, best_options = role, 0
    for candidate in roles_of(role, "inherit"):
        options = (acl_mask(acl, candidate, owner, privileges << 32, all_of=True) >> 32) & privileges
        if candidate == role or options.bit_count() > best_options.bit_count():
            if options == privileges:
                return candidate, options
            if options.bit_count() >= best_options.bit_count():
                best, best_options = candidate, options
    return best, best_options


def acl_members(acl: Acl | None) -> set[int]:
    """All roles that an ACL mentions."""
    return {role for item in acl or () for role in (item.grantee, item.grantor) if role}


def acl_update_owner(acl: Acl, old: int, new: int) -> Acl:
    """The ACL after ALTER ... OWNER (aclnewowner): the new owner stands where the old one stood."""
    merged: dict[tuple[int, int], int] = {}
    for item in acl:
        key = (new if item.grantee == old else item.grantee, new if item.grantor == old else item.grantor)
        merged[key] = merged.get(key, 0) | item.privileges
    return tuple(AclItem(grantee, grantor, bits) for (grantee, grantor), bits in merged.items())


def default_acl_for_new_object(kind: str, owner: int, namespace: int) -> Acl | None:
    """What ALTER DEFAULT PRIVILEGES gives a new object; None means the built-in default (get_user_default_acl)."""
    letter = {"table": "r", "sequence": "S", "function": "f", "type": "T", "schema": "n", "large object": "L"}.get(kind)
    if letter is None:
        return None
    general = lookup(c.DEFACLROLENSPOBJ, owner, 0, letter)
    local = lookup(c.DEFACLROLENSPOBJ, owner, namespace, letter) if namespace else None
    if general is None and local is None:
        return None
    base = acl_default(kind, owner)
    acl: Acl = base if general is None else general.defaclacl
    for item in local.defaclacl if local is not None else ():
        low = item.privileges & ALL_BITS
        acl = acl_grant(acl, item.grantee, item.grantor, low & ~(item.privileges >> 32), False)
        acl = acl_grant(acl, item.grantee, item.grantor, item.privileges >> 32, True)
    return None if sorted(acl) == sorted(base) else acl

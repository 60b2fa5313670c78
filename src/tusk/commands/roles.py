"""CREATE, ALTER and DROP ROLE, membership, settings of roles and databases, REASSIGN and DROP OWNED (user.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._runtime import lock_shared_object
from tusk.catalog._tuples import command_counter_increment, delete_row, insert_row, new_oid, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.passwords import encrypt_password
from tusk.catalog.rows import PgAuthid, PgAuthMembers
from tusk.catalog.session import BOOTSTRAP_SUPERUSERID, session
from tusk.commands.options import boolean_of, conflicting
from tusk.commands.role_names import refuse_reserved, role_of, role_row
from tusk.commands.utility import UtilityContext, utility
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.nodes import enums
from tusk.types.codec import input_value

AccessExclusiveLock = 8
_TIMESTAMPTZ = 1184
_ATTRIBUTES = {
    "superuser": ("rolsuper", "SUPERUSER"), "createrole": ("rolcreaterole", "CREATEROLE"),
    "createdb": ("rolcreatedb", "CREATEDB"), "inherit": ("rolinherit", ""), "canlogin": ("rolcanlogin", ""),
    "isreplication": ("rolreplication", "REPLICATION"), "bypassrls": ("rolbypassrls", "BYPASSRLS"),
}  # fmt: skip


def _denied(what: str, detail: str) -> SqlError:
    return SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"permission denied to {what}", detail=detail)


def _options(statement: Any) -> dict[str, Any]:
    given: dict[str, Any] = {}
    for item in statement.options:
        if item.defname in given:
            raise conflicting(item)
        given[item.defname] = item
    return given


def _password(role: str, item: Any) -> str | None:
    """What to store for PASSWORD '...'."""
    if item is None or item.arg is None:
        return None
    text = item.arg.sval
    if not text:
        report(Severity.NOTICE, "empty string is not a valid password, clearing password")
        return None
    stored = encrypt_password(str(settings.password_encryption), role, text, int(settings.scram_iterations))
    if stored.startswith("md5") and settings.md5_password_warnings:
        report(
            Severity.WARNING, "setting an MD5-encrypted password", sqlstate="01P01",
            detail="MD5 password support is deprecated and will be removed in a future release of PostgreSQL.",
            hint="Refer to the PostgreSQL documentation for details about migrating to another password type.",
        )
    return stored


def _connection_limit(item: Any) -> int:
    limit = item.arg.ival
    if limit < -1:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f"invalid connection limit: {limit}")
    return int(limit)


@utility("CreateRoleStmt")
def create_role(statement: Any, _context: UtilityContext) -> None:
    """CREATE ROLE, USER, GROUP."""
    given = _options(statement)
    current = lookup(c.AUTHOID, session.current_user_id)
    name = statement.role
    values: dict[str, Any] = {
        "rolsuper": False, "rolcreaterole": False, "rolcreatedb": False, "rolinherit": True, "rolcanlogin":
        statement.stmt_type == enums.ROLESTMT_USER, "rolreplication": False, "rolbypassrls": False,
    }  # fmt: skip
    for option, (column, _) in _ATTRIBUTES.items():
        if option in given:
            values[column] = boolean_of(given[option])
    if not current.rolsuper:
        if not current.rolcreaterole:
            raise _denied("create role", "Only roles with the CREATEROLE attribute may create roles.")
        for column, word in (("rolsuper", "SUPERUSER"), ("rolcreatedb", "CREATEDB"), ("rolreplication", "REPLICATION"),
                             ("rolbypassrls", "BYPASSRLS")):  # fmt: skip
            if values[column] and (column == "rolsuper" or not getattr(current, column)):
                raise _denied(
                    "create role",
                    f"Only roles with the {word} attribute may create roles with the {word} attribute.",
                )
    if name.startswith("pg_"):
        raise SqlError(
            errcode.RESERVED_NAME, f'role name "{name}" is reserved',
            detail='Role names starting with "pg_" are reserved.',
        )
    if lookup(c.AUTHNAME, name) is not None:
        raise SqlError(errcode.DUPLICATE_OBJECT, f'role "{name}" already exists')
    until = given.get("validUntil")
    oid = new_oid("pg_authid")
    insert_row(PgAuthid(
        oid=oid, rolname=name,
        rolconnlimit=_connection_limit(given["connectionlimit"]) if "connectionlimit" in given else -1,
        rolpassword=_password(name, given.get("password")),
        rolvaliduntil=None if until is None else input_value(_TIMESTAMPTZ, until.arg.sval), **values,
    ))  # fmt: skip
    command_counter_increment()
    if "addroleto" in given:
        for spec in given["addroleto"].arg:
            _add_members(role_of(spec), [oid], session.current_user_id, 0, {})
    grantor = session.current_user_id
    if not current.rolsuper:
        # Who creates a role may administer it.
        _add_members(oid, [grantor], BOOTSTRAP_SUPERUSERID, BOOTSTRAP_SUPERUSERID,
                     {"admin": True, "inherit": False, "set": False})
        command_counter_increment()
        inherited = {
            word.strip() for word in str(settings.createrole_self_grant).split(",") if word.strip()
        }  # fmt: skip
        if inherited:
            _add_members(oid, [grantor], grantor, grantor,
                         {"admin": False, "inherit": "inherit" in inherited, "set": "set" in inherited})
    if "adminmembers" in given:
        _add_members(oid, [role_of(s) for s in given["adminmembers"].arg], grantor, 0, {"admin": True})
    if "rolemembers" in given:
        _add_members(oid, [role_of(s) for s in given["rolemembers"].arg], grantor, 0, {})


@utility("AlterRoleStmt")
def alter_role(statement: Any, _context: UtilityContext) -> None:
    """ALTER ROLE ... options; ALTER GROUP ADD/DROP USER."""
    refuse_reserved(statement.role, "Cannot alter reserved roles.")
    given = _options(statement)
    row = role_row(statement.role)
    current = lookup(c.AUTHOID, session.current_user_id)
    own = row.oid == session.current_user_id
    what = "alter role"
    if row.rolsuper and not current.rolsuper:
        raise _denied(what, "Only roles with the SUPERUSER attribute may alter roles with the SUPERUSER attribute.")
    if "superuser" in given and not current.rolsuper:
        raise _denied(what, "Only roles with the SUPERUSER attribute may change the SUPERUSER attribute.")
    administers = current.rolcreaterole and acl.is_admin_of_role(current.oid, row.oid)
    if not current.rolsuper and not administers:
        only_password = set(given) <= {"password"} and own
        if not only_password:
            raise _denied(
                what,
                "Only roles with the CREATEROLE attribute and the ADMIN option on role "
                f'"{row.rolname}" may alter this role.',
            )
    elif not current.rolsuper:
        for option, word in (("createdb", "CREATEDB"), ("isreplication", "REPLICATION"), ("bypassrls", "BYPASSRLS")):
            if option in given and not getattr(current, _ATTRIBUTES[option][0]):
                raise _denied(what, f"Only roles with the {word} attribute may change the {word} attribute.")
    changes: dict[str, Any] = {
        _ATTRIBUTES[name][0]: boolean_of(item) for name, item in given.items() if name in _ATTRIBUTES
    }
    if row.oid == BOOTSTRAP_SUPERUSERID and changes.get("rolsuper") is False:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "permission denied to alter role",
            detail="The bootstrap superuser must have the SUPERUSER attribute.",
        )
    if "connectionlimit" in given:
        changes["rolconnlimit"] = _connection_limit(given["connectionlimit"])
    if "password" in given:
        changes["rolpassword"] = _password(row.rolname, given["password"])
    if "validUntil" in given:
        changes["rolvaliduntil"] = input_value(_TIMESTAMPTZ, given["validUntil"].arg.sval)
    if changes:
        update_row(row.copy(**changes), row)
        command_counter_increment()
    if "rolemembers" in given:
        members = [role_of(spec) for spec in given["rolemembers"].arg]
        if statement.action > 0:
            _add_members(row.oid, members, session.current_user_id, 0, {})
        else:
            _drop_members(row.oid, members, session.current_user_id, 0, {}, False)


@utility("DropRoleStmt")
def drop_role(statement: Any, _context: UtilityContext) -> None:
    """DROP ROLE, USER, GROUP."""
    current = lookup(c.AUTHOID, session.current_user_id)
    if not (current.rolsuper or current.rolcreaterole):
        raise _denied(
            "drop role",
            "Only roles with the CREATEROLE attribute and the ADMIN option on the target roles may drop roles.",
        )
    rows = []
    for spec in statement.roles:
        if spec.roletype != enums.ROLESPEC_CSTRING:
            raise SqlError(errcode.INVALID_PARAMETER_VALUE, "cannot use special role specifier in DROP ROLE")
        row = lookup(c.AUTHNAME, spec.rolename)
        if row is None:
            if not statement.missing_ok:
                raise SqlError(errcode.UNDEFINED_OBJECT, f'role "{spec.rolename}" does not exist')
            report(Severity.NOTICE, f'role "{spec.rolename}" does not exist, skipping')
            continue
        if row.oid in (session.current_user_id, session.outer_user_id):
            raise SqlError(errcode.OBJECT_IN_USE, "current user cannot be dropped")
        if row.oid == session.session_user_id:
            raise SqlError(errcode.OBJECT_IN_USE, "session user cannot be dropped")
        if row.rolsuper and not current.rolsuper:
            raise _denied(
                "drop role", "Only roles with the SUPERUSER attribute may drop roles with the SUPERUSER attribute."
            )
        if not acl.is_admin_of_role(current.oid, row.oid):
            raise _denied(
                "drop role",
                "Only roles with the CREATEROLE attribute and the ADMIN option on role "
                f'"{row.rolname}" may drop this role.',
            )
        lock_shared_object(oa.AUTHID, row.oid, 0, AccessExclusiveLock)
        for member in scan_rows("pg_auth_members", roleid=row.oid) + scan_rows("pg_auth_members", member=row.oid):
            dep.delete_shared_dependencies_of(oa.AUTH_MEMBERS, member.oid)
            delete_row(member)
        command_counter_increment()
        rows.append(row)
    for row in rows:
        detail = dep.check_shared_dependencies(oa.AUTHID, row.oid)
        if detail:
            raise SqlError(
                errcode.DEPENDENT_OBJECTS_STILL_EXIST,
                f'role "{row.rolname}" cannot be dropped because some objects depend on it', detail=detail,
            )
        delete_row(lookup(c.AUTHOID, row.oid))
        dep.delete_shared_comments(oa.AUTHID, row.oid)
        for setting in scan_rows("pg_db_role_setting", setrole=row.oid):
            delete_row(setting)
        command_counter_increment()


def rename_role(old: str, new: str) -> None:
    """ALTER ROLE ... RENAME TO (RenameRole)."""
    row = lookup(c.AUTHNAME, old)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'role "{old}" does not exist')
    if row.oid == session.session_user_id:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "session user cannot be renamed")
    if row.oid == session.outer_user_id:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "current user cannot be renamed")
    for name in (old, new):
        if name.startswith("pg_"):
            raise SqlError(
                errcode.RESERVED_NAME, f'role name "{name}" is reserved',
                detail='Role names starting with "pg_" are reserved.',
            )
    if lookup(c.AUTHNAME, new) is not None:
        raise SqlError(errcode.DUPLICATE_OBJECT, f'role "{new}" already exists')
    current = lookup(c.AUTHOID, session.current_user_id)
    if row.rolsuper and not current.rolsuper:
        raise _denied(
            "rename role", "Only roles with the SUPERUSER attribute may rename roles with the SUPERUSER attribute."
        )
    if not current.rolsuper and not (current.rolcreaterole and acl.is_admin_of_role(current.oid, row.oid)):
        raise _denied(
            "rename role",
            f'Only roles with the CREATEROLE attribute and the ADMIN option on role "{old}" may rename this role.',
        )
    changes: dict[str, Any] = {"rolname": new}
    if row.rolpassword and row.rolpassword.startswith("md5"):
        changes["rolpassword"] = None
        report(Severity.NOTICE, "MD5 password cleared because of role rename")
    update_row(row.copy(**changes), row)


# Membership


@utility("GrantRoleStmt")
def grant_role(statement: Any, _context: UtilityContext) -> None:
    """GRANT role TO role, REVOKE role FROM role (GrantRole)."""
    grantor = role_of(statement.grantor) if statement.grantor is not None else 0
    options = {item.defname: boolean_of(item) for item in statement.opt}
    members = [role_of(spec) for spec in statement.grantee_roles]
    cascade = statement.behavior == enums.DROP_CASCADE
    for item in statement.granted_roles:
        name = item.priv_name
        if name is None or item.cols:
            raise SqlError(errcode.INVALID_GRANT_OPERATION, "column names cannot be included in GRANT/REVOKE ROLE")
        role = acl.get_role_oid(name)
        _check_authority(role, grant=statement.is_grant)
        if statement.is_grant:
            _add_members(role, members, session.current_user_id, grantor, options)
        else:
            _drop_members(role, members, session.current_user_id, grantor, options, cascade)


def _check_authority(role: int, *, grant: bool) -> None:
    current = session.current_user_id
    row = lookup(c.AUTHOID, role)
    verb = "grant" if grant else "revoke"
    if row.rolsuper:
        if not acl.superuser_arg(current):
            raise _denied(
                f'{verb} role "{row.rolname}"',
                f"Only roles with the SUPERUSER attribute may {verb} roles with the SUPERUSER attribute.",
            )
    elif not acl.is_admin_of_role(current, role):
        raise _denied(
            f'{verb} role "{row.rolname}"',
            f'Only roles with the ADMIN option on role "{row.rolname}" may {verb} this role.',
        )
    if grant and role == acl.ROLE_PG_DATABASE_OWNER:
        raise SqlError(errcode.INVALID_GRANT_OPERATION, f'role "{row.rolname}" cannot have explicit members')


def _grantor(current: int, role: int, grantor: int, *, grant: bool) -> int:
    """Who is recorded as the grantor (check_role_grantor)."""
    if not grantor:
        if acl.superuser_arg(current):
            return BOOTSTRAP_SUPERUSERID
        for candidate in acl.roles_of(current, "inherit"):
            if any(row.admin_option and row.roleid == role for row in scan_rows("pg_auth_members", member=candidate)):
                return candidate
        return current
    verb = "grant privileges as" if grant else "revoke privileges granted by"
    if not acl.has_privs_of_role(current, grantor):
        raise _denied(
            f'{verb} role "{acl.role_name(grantor)}"',
            f'Only roles with privileges of role "{acl.role_name(grantor)}" may {verb} this role.'
            if grant else f'Only roles with privileges of role "{acl.role_name(grantor)}" may revoke privileges '
            "granted by this role.",
        )
    if grant and grantor != BOOTSTRAP_SUPERUSERID and not any(
        row.admin_option and row.roleid == role for row in scan_rows("pg_auth_members", member=grantor)
    ):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE,
            f'permission denied to grant privileges as role "{acl.role_name(grantor)}"',
            detail=f'The grantor must have the ADMIN option on role "{acl.role_name(role)}".',
        )
    return grantor


def _add_members(role: int, members: list[int], current: int, grantor: int, options: dict[str, bool]) -> None:
    """Make roles members of a role (AddRoleMems)."""
    grantor = _grantor(current, role, grantor, grant=True)
    for member in members:
        if member == acl.ROLE_PG_DATABASE_OWNER:
            raise SqlError(
                errcode.INVALID_GRANT_OPERATION,
                f'role "{acl.role_name(member)}" cannot be a member of any role',
            )
        if acl.is_member_of_role_nosuper(role, member):
            raise SqlError(
                errcode.INVALID_GRANT_OPERATION,
                f'role "{acl.role_name(role)}" is a member of role "{acl.role_name(member)}"',
            )
    for member in members:
        old = lookup(c.AUTHMEMROLEMEM, role, member, grantor)
        if old is not None:
            changes = {f"{name}_option": value for name, value in options.items()}
            same = all(getattr(old, name) == value for name, value in changes.items())
            if same:
                report(
                    Severity.NOTICE,
                    f'role "{acl.role_name(member)}" has already been granted membership in role '
                    f'"{acl.role_name(role)}" by role "{acl.role_name(grantor)}"',
                )
                continue
            update_row(old.copy(**changes), old)
        else:
            inherit = options.get("inherit", lookup(c.AUTHOID, member).rolinherit)
            row = PgAuthMembers(
                oid=new_oid("pg_auth_members"), roleid=role, member=member, grantor=grantor,
                admin_option=options.get("admin", False), inherit_option=inherit, set_option=options.get("set", True),
            )
            insert_row(row)
            dep.update_acl_dependencies(oa.AUTH_MEMBERS, row.oid, 0, 0, set(), {role, member, grantor})
        command_counter_increment()
    acl.forget_membership()


def _drop_members(
    role: int, members: list[int], current: int, grantor: int, options: dict[str, bool], cascade: bool
) -> None:
    """End memberships, or take away options of them (DelRoleMems)."""
    grantor = _grantor(current, role, grantor, grant=False)
    for member in members:
        row = lookup(c.AUTHMEMROLEMEM, role, member, grantor)
        if row is None:
            report(
                Severity.WARNING,
                f'role "{acl.role_name(member)}" has not been granted membership in role "{acl.role_name(role)}" by '
                f'role "{acl.role_name(grantor)}"',
            )
            continue
        loses_admin = row.admin_option and (not options or "admin" in options)
        if loses_admin:
            dependents = [r for r in scan_rows("pg_auth_members", roleid=role) if r.grantor == member]
            if dependents and not cascade:
                raise SqlError(
                    errcode.DEPENDENT_OBJECTS_STILL_EXIST, "dependent privileges exist",
                    hint="Use CASCADE to revoke them too.",
                )
            for dependent in dependents:
                _drop_members(role, [dependent.member], current, member, {}, True)
        if options:
            update_row(row.copy(**{f"{name}_option": False for name in options}), row)
        else:
            dep.delete_shared_dependencies_of(oa.AUTH_MEMBERS, row.oid)
            delete_row(row)
        command_counter_increment()
    acl.forget_membership()


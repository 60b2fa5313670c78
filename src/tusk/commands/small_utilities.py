"""DISCARD, SET CONSTRAINTS, ALTER ROLE and DATABASE SET, REASSIGN and DROP OWNED."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl, tempschema
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, delete_row, insert_row, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import lookup_explicit_namespace
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgDbRoleSetting
from tusk.catalog.session import session
from tusk.commands import notifications
from tusk.commands.role_names import role_of
from tusk.commands.sequences import discard_sequences
from tusk.commands.utility import UtilityContext, utility
from tusk.commands.variables import flatten_arguments, setter_context
from tusk.config import Source, parameter, reset_all, set_option, show
from tusk.errors import SqlError, errcode
from tusk.sql.execute import triggers
from tusk.sql.nodes import enums
from tusk.transaction import _lock, xact

AccessShareLock, RowExclusiveLock, ShareLock, AccessExclusiveLock = 1, 3, 5, 8


@utility("DiscardStmt")
def discard(statement: Any, context: UtilityContext) -> None:
    """DISCARD ALL, PLANS, SEQUENCES, TEMP (DiscardCommand)."""
    match statement.target:
        case enums.DISCARD_ALL:
            xact.prevent_in_transaction_block(context.is_top_level, "DISCARD ALL")
            context.session.portals.drop_all()
            rank = setter_context(context.session)
            set_option("session_authorization", None, rank, Source.SESSION)
            set_option("role", "none", rank, Source.SESSION)
            reset_all(setter_context(context.session))
            context.session.prepared.drop_all()
            notifications.unlisten_all()
            _lock.release_all(2, True)
            discard_sequences()
            tempschema.reset_temp_tables()
        case enums.DISCARD_PLANS:
            from tusk.sql import plancache

            plancache.invalidate_everything()
        case enums.DISCARD_SEQUENCES:
            discard_sequences()
        case enums.DISCARD_TEMP:
            tempschema.reset_temp_tables()


@utility("ConstraintsSetStmt")
def set_constraints(statement: Any, context: UtilityContext) -> None:
    """SET CONSTRAINTS (AfterTriggerSetState)."""
    xact.warn_no_transaction_block(context.is_top_level, "SET CONSTRAINTS")
    if not statement.constraints:
        triggers.set_deferral(None, statement.deferred)
        if not statement.deferred:
            triggers.fire_deferred(None)
        return
    found: set[int] = set()
    for node in statement.constraints:
        if node.schemaname:
            namespaces = [lookup_explicit_namespace(node.schemaname)]
        else:
            from tusk.catalog.namespace import active_search_path

            namespaces = list(active_search_path())
        matched = False
        for namespace in namespaces:
            rows = scan_rows("pg_constraint", conname=node.relname, connamespace=namespace)
            for row in rows:
                matched = True
                if row.condeferrable:
                    found.add(row.oid)
                elif statement.deferred:
                    raise SqlError(
                        errcode.WRONG_OBJECT_TYPE, f'constraint "{node.relname}" is not deferrable'
                    )
            if matched:
                break
        if not matched:
            raise SqlError(errcode.UNDEFINED_OBJECT, f'constraint "{node.relname}" does not exist')
    triggers.set_deferral(found, statement.deferred)


# Settings of roles and databases


@utility("AlterRoleSetStmt")
def alter_role_set(statement: Any, _context: UtilityContext) -> None:
    """ALTER ROLE ... SET (AlterRoleSet)."""
    role = 0
    database = 0
    if statement.role is not None:
        role = role_of(statement.role)
        row = lookup(c.AUTHOID, role)
        if row.rolsuper:
            if not acl.superuser():
                raise SqlError(
                    errcode.INSUFFICIENT_PRIVILEGE, "permission denied to alter role",
                    detail="Only roles with the SUPERUSER attribute may alter roles with the SUPERUSER attribute.",
                )
        elif role != session.current_user_id and not acl.superuser():
            own = lookup(c.AUTHOID, session.current_user_id)
            if not (own.rolcreaterole and acl.is_admin_of_role(own.oid, role)):
                raise SqlError(
                    errcode.INSUFFICIENT_PRIVILEGE, "permission denied to alter role",
                    detail="Only roles with the CREATEROLE attribute and the ADMIN option on role "
                    f'"{row.rolname}" may alter this role.',
                )
    if statement.database is not None:
        rows = scan_rows("pg_database", datname=statement.database)
        if not rows:
            raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{statement.database}" does not exist')
        database = rows[0].oid
        if statement.role is None:
            acl.require_owner(oa.DATABASE, database)
    elif statement.role is None and not acl.superuser():
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE, "permission denied to alter setting",
            detail="Only roles with the SUPERUSER attribute may alter settings globally.",
        )
    store_setting(database, role, statement.setstmt)


@utility("AlterDatabaseSetStmt")
def alter_database_set(statement: Any, _context: UtilityContext) -> None:
    """ALTER DATABASE ... SET (AlterDatabaseSet)."""
    rows = scan_rows("pg_database", datname=statement.dbname)
    if not rows:
        raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{statement.dbname}" does not exist')
    acl.require_owner(oa.DATABASE, rows[0].oid)
    store_setting(rows[0].oid, 0, statement.setstmt)


def store_setting(database: int, role: int, command: Any) -> None:
    """Change a row of pg_db_role_setting (AlterSetting)."""
    rows = scan_rows("pg_db_role_setting", setdatabase=database, setrole=role)
    old = rows[0] if rows else None
    current = list(old.setconfig or ()) if old is not None else []
    if command.kind == enums.VAR_RESET_ALL:
        kept: list[str] = []
    else:
        known = parameter(command.name)
        if known is None and "." not in command.name:
            raise SqlError(
                errcode.UNDEFINED_OBJECT, f'unrecognized configuration parameter "{command.name}"'
            )
        name = known.name if known is not None else command.name
        if known is not None and known.context in ("internal", "postmaster", "sighup", "backend"):
            if known.context in ("internal", "postmaster", "sighup"):
                raise _cannot_change(name, known.context)
        kept = [text for text in current if text.partition("=")[0].lower() != name.lower()]
        if command.kind in (enums.VAR_SET_VALUE, enums.VAR_SET_CURRENT):
            text = flatten_arguments(name, command.args) if command.kind == enums.VAR_SET_VALUE else show(name)
            if known is not None and text is not None:
                known.parse(text)
            kept.append(f"{name}={text}")
    if old is None:
        if kept:
            insert_row(PgDbRoleSetting(setdatabase=database, setrole=role, setconfig=tuple(kept)))
    elif kept:
        update_row(old.copy(setconfig=tuple(kept)), old)
    else:
        delete_row(old)
    command_counter_increment()


def _cannot_change(name: str, rank: str) -> SqlError:
    if rank == "internal":
        return SqlError(errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed')
    if rank == "postmaster":
        return SqlError(
            errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed without restarting the server'
        )
    return SqlError(errcode.CANT_CHANGE_RUNTIME_PARAM, f'parameter "{name}" cannot be changed now')


# Owned objects


def _owned_roles(specs: list[Any]) -> list[int]:
    roles = [role_of(spec) for spec in specs]
    for role in roles:
        if not acl.has_privs_of_role(session.current_user_id, role):
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, "permission denied to drop objects",
                detail=f'Only roles with privileges of role "{acl.role_name(role)}" may drop objects owned by it.',
            )
    return roles


@utility("ReassignOwnedStmt")
def reassign_owned(statement: Any, _context: UtilityContext) -> None:
    """REASSIGN OWNED (shdepReassignOwned)."""
    from tusk.commands.alter_objects import change_owner

    new = role_of(statement.newrole)
    roles = _owned_roles(statement.roles)
    if not acl.has_privs_of_role(session.current_user_id, new):
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE, "permission denied to reassign objects",
            detail=f'Only roles with privileges of role "{acl.role_name(new)}" may reassign objects to it.',
        )
    for role in roles:
        _refuse_pinned(role, "reassign ownership of")
        for row in scan_rows("pg_shdepend", refclassid=oa.AUTHID, refobjid=role):
            if row.deptype != dep.SHARED_OWNER or row.dbid not in (0, session.database_id):
                continue
            if row.classid == oa.DEFAULT_ACL:
                continue
            change_owner(row.classid, row.objid, new)
            command_counter_increment()


def _refuse_pinned(role: int, verb: str) -> None:
    if dep.is_pinned(oa.AUTHID, role):
        raise SqlError(
            errcode.DEPENDENT_OBJECTS_STILL_EXIST,
            f"cannot {verb} objects owned by role {acl.role_name(role)} because they are required by the database"
            " system",
        )


@utility("DropOwnedStmt")
def drop_owned(statement: Any, _context: UtilityContext) -> None:
    """DROP OWNED (shdepDropOwned)."""
    from tusk.commands.grants import change_privileges

    addresses: list[ObjectAddress] = []
    for role in _owned_roles(statement.roles):
        _refuse_pinned(role, "drop")
        for row in scan_rows("pg_shdepend", refclassid=oa.AUTHID, refobjid=role):
            if row.dbid not in (0, session.database_id):
                continue
            if row.deptype == dep.SHARED_OWNER:
                if row.dbid == session.database_id:
                    addresses.append(ObjectAddress(row.classid, row.objid, row.objsubid))
            elif row.deptype == dep.SHARED_ACL:
                if row.classid in acl.KINDS and not row.objsubid:
                    info = acl.KINDS[row.classid]
                    kind = info.kind
                    if row.classid == oa.CLASS and lookup(c.RELOID, row.objid).relkind == "S":
                        kind = "sequence"
                    change_privileges(
                        row.classid, row.objid, kind, acl.ALL_RIGHTS[kind], [role], is_grant=False, option=False,
                        cascade=True, all_privileges=True,
                    )
                elif row.classid == oa.CLASS:
                    _revoke_column(row.objid, row.objsubid, role)
                elif row.classid == oa.AUTH_MEMBERS:
                    for member in scan_rows("pg_auth_members", oid=row.objid):
                        if member.grantor == role:
                            dep.delete_shared_dependencies_of(oa.AUTH_MEMBERS, member.oid)
                            delete_row(member)
                command_counter_increment()
    dep.perform_multiple_deletions(sorted(set(addresses), key=lambda a: -a.objid), int(statement.behavior))


def _revoke_column(relid: int, attnum: int, role: int) -> None:
    row = lookup(c.ATTNUM, relid, attnum)
    owner = lookup(c.RELOID, relid).relowner
    new = tuple(item for item in row.attacl or () if role not in (item.grantee, item.grantor))
    update_row(row.copy(attacl=new or None), row)
    dep.update_acl_dependencies(oa.CLASS, relid, attnum, owner, acl.acl_members(row.attacl), acl.acl_members(new))

"""Entering a database: role, reserved slots, database, stored settings (utils/init/postinit.c).

Runs inside a transaction of the new backend, after authentication.
"""

from __future__ import annotations

from typing import Any

from tusk.backend import warm
from tusk.backend.authentication import RoleLookup
from tusk.catalog import _runtime, acl
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.session import session
from tusk.config import Context, Source, set_option, settings
from tusk.errors import Fatal, Severity, SqlError, errcode, report
from tusk.memory import _process
from tusk.sql import internal_query
from tusk.sql.deparse import functions as _functions  # noqa: F401  registers the pg_get_* functions
from tusk.sql.execute import evaluate_expression, hooks
from tusk.sql.plan import set_evaluator
from tusk.sql.sql_function import scalar_function, set_function
from tusk.transaction import _procarray, _state, xact

DATABASE_RELATION = 1262
_USE_RESERVED_CONNECTIONS = 4550
_ROW_EXCLUSIVE = 3


def preload_catalogs() -> None:
    """Postmaster: build what all backends inherit, and join the layers that know each other only by hooks."""
    for catalog, columns in (("pg_opclass", ("oid",)), ("pg_amproc", c.AMPROCNUM.keys), ("pg_proc", ("oid",))):
        c.facts_reader(catalog, columns, ())
    hooks.set_hook("procedure", scalar_function)
    hooks.set_hook("procedure_set", set_function)
    set_evaluator(evaluate_expression)
    internal_query.install()


def role_lookup() -> RoleLookup:
    """What authentication asks: membership and password, from the shared catalogs."""
    if warm.state.database:
        _runtime.attach_process(resume_at=warm.state.position)
    else:
        _runtime.attach_process()
        _runtime.start_catalog_access()

    def is_member(user: str, role: str) -> bool:
        member, group = lookup(c.AUTHNAME, user), lookup(c.AUTHNAME, role)
        return member is not None and group is not None and acl.is_member_of_role_nosuper(member.oid, group.oid)

    def password_of(user: str) -> str | None:
        row = lookup(c.AUTHNAME, user)
        if row is None or row.rolpassword is None:
            return None
        if row.rolvaliduntil is not None and row.rolvaliduntil < xact.statement_start_timestamp():
            return None
        return str(row.rolpassword)

    return RoleLookup(is_member=is_member, password_of=password_of)


def open_session_database(user: str, database: str) -> bool:
    """Become ``user`` in ``database``; whether stored settings came with that.

    Errors: FATAL 28000, 53300, 3D000, 42501, 55000 as PostgreSQL says them.
    """
    role = lookup(c.AUTHNAME, user)
    if role is None:
        raise Fatal(errcode.INVALID_AUTHORIZATION_SPECIFICATION, f'role "{user}" does not exist')
    session.authenticated_user_id = role.oid
    session.set_session_user(role.oid, bool(role.rolsuper))
    if not role.rolcanlogin:
        raise Fatal(
            errcode.INVALID_AUTHORIZATION_SPECIFICATION, f'role "{user}" is not permitted to log in'
        )
    _check_reserved_slots(role)
    row = _find_database(database)
    _runtime.lock_shared_object(DATABASE_RELATION, row.oid, 0, _ROW_EXCLUSIVE)
    row = _find_database(database)
    _check_role_limit(role)
    _check_database(row, role)
    _process.set_my_identity(row.oid, role.oid)
    _state.set_my_database(row.oid, row.dattablespace)
    if warm.state.database != row.oid:
        warm.state.forget()
        _runtime.open_database(row.oid, row.dattablespace)
        _runtime.set_database_collation()
    _set_database_options(row)
    return _apply_stored_settings(row.oid, role.oid)


def _find_database(name: str) -> Any:
    if name == warm.state.database_name:
        row = lookup(c.DATABASEOID, warm.state.database)
        if row is not None and row.datname == name:
            return row
    rows = scan_rows("pg_database", datname=name)
    if not rows:
        raise Fatal(errcode.UNDEFINED_DATABASE, f'database "{name}" does not exist')
    return rows[0]


def _check_reserved_slots(role: Any) -> None:
    """The last slots are for superusers, those before them for pg_use_reserved_connections."""
    if role.rolsuper:
        return
    free = _process.free_slots()
    superuser_slots = settings.superuser_reserved_connections
    reserved = settings.reserved_connections
    if free < superuser_slots:
        raise Fatal(
            errcode.TOO_MANY_CONNECTIONS,
            "remaining connection slots are reserved for roles with the SUPERUSER attribute",
        )
    if free < superuser_slots + reserved and not acl.has_privs_of_role(role.oid, _USE_RESERVED_CONNECTIONS):
        raise Fatal(
            errcode.TOO_MANY_CONNECTIONS,
            'remaining connection slots are reserved for roles with privileges of the "pg_use_reserved_connections" '
            "role",
        )


def _count(attribute: str, value: int) -> int:
    total = 0
    for procno in range(_process.slot_count()):
        slot = _process.slot_info(procno)
        if slot is not None and slot["kind"] == 0 and slot[attribute] == value:
            total += 1
    return total


def _check_role_limit(role: Any) -> None:
    if role.rolconnlimit >= 0 and not role.rolsuper and _count("role", role.oid) >= role.rolconnlimit:
        raise Fatal(errcode.TOO_MANY_CONNECTIONS, f'too many connections for role "{role.rolname}"')


def _check_database(row: Any, role: Any) -> None:
    if not row.datallowconn:
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'database "{row.datname}" is not currently accepting connections',
        )
    if row.datconnlimit == -2:
        raise Fatal(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'cannot connect to invalid database "{row.datname}"',
            hint="Use DROP DATABASE to drop invalid databases.",
        )
    if not acl.object_aclcheck(DATABASE_RELATION, row.oid, role.oid, acl.ACL_CONNECT):
        raise Fatal(
            errcode.INSUFFICIENT_PRIVILEGE,
            f'permission denied for database "{row.datname}"',
            detail="User does not have CONNECT privilege.",
        )
    if row.datconnlimit >= 0 and not role.rolsuper and _count("database", row.oid) >= row.datconnlimit:
        raise Fatal(errcode.TOO_MANY_CONNECTIONS, f'too many connections for database "{row.datname}"')


def _set_database_options(row: Any) -> None:
    set_option("server_encoding", "UTF8", Context.INTERNAL, Source.OVERRIDE)
    set_option("client_encoding", "UTF8", Context.INTERNAL, Source.DYNAMIC_DEFAULT)


def role_settings(database: int, role: int) -> list[tuple[Source, str]]:
    """What ALTER DATABASE/ROLE ... SET say for this role in this database, the most specific first.

    Remembered where the template looks them up, until a message says that pg_db_role_setting changed.
    """
    found: list[tuple[Source, str]] | None = warm.state.role_settings.get((database, role))
    if found is None:
        found = [
            (source, item)
            for setdatabase, setrole, source in (
                (database, role, Source.DATABASE_USER),
                (0, role, Source.USER),
                (database, 0, Source.DATABASE),
                (0, 0, Source.GLOBAL),
            )
            for row in scan_rows("pg_db_role_setting", setdatabase=setdatabase, setrole=setrole)
            for item in row.setconfig or ()
        ]
        warm.state.role_settings[database, role] = found
    return found


def _apply_stored_settings(database: int, role: int) -> bool:
    """Apply `role_settings`; whether there were any (process_settings)."""
    found = role_settings(database, role)
    for source, item in found:
        name, _, value = item.partition("=")
        try:
            set_option(name, value, Context.SUSET, source)
        except SqlError as error:
            report(Severity.WARNING, error.message, sqlstate=error.sqlstate)
    return bool(found)


def leave() -> None:
    """The process ends: forget catalogs and the process array entry."""
    _runtime.detach_process()
    _procarray.remove_my_process()

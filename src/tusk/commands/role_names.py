"""Roles as statements name them (acl.c's get_rolespec_*)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog.cache import lookup
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import enums


def role_of(spec: Any, missing_ok: bool = False) -> int:
    """The OID of a RoleSpec (get_rolespec_oid)."""
    match spec.roletype:
        case enums.ROLESPEC_CSTRING:
            return acl.get_role_oid(spec.rolename, missing_ok)
        case enums.ROLESPEC_CURRENT_USER | enums.ROLESPEC_CURRENT_ROLE:
            return session.current_user_id
        case enums.ROLESPEC_SESSION_USER:
            return session.session_user_id
    raise SqlError(errcode.UNDEFINED_OBJECT, 'role "public" does not exist')


def grantee_of(spec: Any) -> int:
    """The OID of a grantee, 0 for PUBLIC."""
    return 0 if spec.roletype == enums.ROLESPEC_PUBLIC else role_of(spec)


def role_row(spec: Any) -> Any:
    """The pg_authid row of a RoleSpec (get_rolespec_tuple)."""
    return lookup(c.AUTHOID, role_of(spec))


def refuse_reserved(spec: Any, detail: str | None = None) -> None:
    """42939 for a role whose name starts with ``pg_`` (check_rolespec_name)."""
    if spec is not None and spec.roletype == enums.ROLESPEC_CSTRING and spec.rolename.startswith("pg_"):
        raise SqlError(errcode.RESERVED_NAME, f'role name "{spec.rolename}" is reserved', detail=detail)

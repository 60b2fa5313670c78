"""Who this process acts for: its database and its users (miscadmin.h).

Three users: the authenticated one (never changes), the session user (SET SESSION AUTHORIZATION), the current one (SET
ROLE, SECURITY DEFINER functions). Set by the backend at start-up; everything else only reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tusk.catalog.cache import lookup
from tusk.catalog.cacheids import AUTHOID, AUTHNAME
from tusk.errors import SqlError, errcode

BOOTSTRAP_SUPERUSER = 10


class _Identity:
    __slots__ = (
        "authenticated_user", "current_user", "database", "database_name", "role_is_set", "session_user", "tablespace",
    )  # fmt: skip

    def __init__(self) -> None:
        self.database = 0
        self.database_name = ""
        self.tablespace = 0
        self.authenticated_user = BOOTSTRAP_SUPERUSER
        self.session_user = BOOTSTRAP_SUPERUSER
        self.current_user = BOOTSTRAP_SUPERUSER
        self.role_is_set = False


identity = _Identity()


def current_user() -> int:
    """OID of the user whose privileges count now (GetUserId)."""
    return identity.current_user


def session_user() -> int:
    """OID of the session user (GetSessionUserId)."""
    return identity.session_user


def my_database() -> int:
    """OID of the connected database, 0 before there is one (MyDatabaseId)."""
    return identity.database


def is_superuser(role: int | None = None) -> bool:
    """Whether a role (by default the current user) is a superuser (superuser_arg)."""
    row = lookup(AUTHOID, identity.current_user if role is None else role)
    return row is not None and bool(row.rolsuper)


def role_oid(name: str, *, missing_ok: bool = False) -> int:
    """OID of a role; 42704 if there is none (get_role_oid)."""
    row = lookup(AUTHNAME, name)
    if row is None:
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_OBJECT, f'role "{name}" does not exist')
    return int(row.oid)


def role_name(oid: int) -> str | None:
    """Name of a role, None if there is none."""
    row = lookup(AUTHOID, oid)
    return None if row is None else str(row.rolname)


@contextmanager
def acting_as(role: int) -> Iterator[None]:
    """Run a block with another current user."""
    before = identity.current_user
    identity.current_user = role
    try:
        yield
    finally:
        identity.current_user = before

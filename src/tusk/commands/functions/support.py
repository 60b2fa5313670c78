"""What several of these modules need: rows with OUT columns, roles, permission errors."""

from __future__ import annotations

from functools import cache
from typing import Any

from tusk.catalog import acl
from tusk.catalog.facts import builtin_rows
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.types.registry import RECORDOID, ColumnInfo, bless_record
from tusk.types.values import Record

PG_MONITOR, PG_READ_ALL_SETTINGS, PG_READ_ALL_STATS, PG_STAT_SCAN_TABLES = 3373, 3374, 3375, 3377
PG_SIGNAL_BACKEND, PG_READ_SERVER_FILES, PG_SIGNAL_AUTOVACUUM_WORKER = 4200, 4569, 6392
PG_CATALOG = 11


@cache
def _row_type(prosrc: str) -> int:
    row = next(row for row in builtin_rows("pg_proc") if row.prosrc == prosrc)
    names = row.proargnames
    columns = tuple(
        ColumnInfo(names[i], oid)
        for i, (oid, mode) in enumerate(zip(row.proallargtypes, row.proargmodes, strict=True))
        if mode in "obt"
    )
    return bless_record(columns)


def out_row(prosrc: str, *values: Any) -> Record:
    """The result of a function that returns one row of OUT columns."""
    return Record(RECORDOID, _row_type(prosrc), values)


def may_see(role: int) -> bool:
    """Whether the current user may see what a role's sessions do."""
    me = session.current_user_id
    return acl.has_privs_of_role(me, PG_READ_ALL_STATS) or acl.has_privs_of_role(me, role)


def denied(what: str, detail: str | None = None, hint: str | None = None) -> SqlError:
    """42501."""
    return SqlError(errcode.INSUFFICIENT_PRIVILEGE, what, detail=detail, hint=hint)


def invalid(message: str, hint: str | None = None) -> SqlError:
    """22023."""
    return SqlError(errcode.INVALID_PARAMETER_VALUE, message, hint=hint)


def require_function_superuser(name: str) -> None:
    """The functions whose EXECUTE is not PUBLIC's rely on their ACL; these check on their own."""
    if not acl.superuser():
        raise denied(f"permission denied for function {name}")

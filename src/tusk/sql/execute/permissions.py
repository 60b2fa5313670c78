"""Privileges of a statement on its relations and columns (ExecCheckPermissions)."""

from __future__ import annotations

from typing import Any

from tusk.catalog.acl import (
    ACL_INSERT,
    ACL_SELECT,
    ACL_UPDATE,
    attribute_aclcheck,
    attribute_aclcheck_all,
    class_acl_mask,
    superuser_arg,
)
from tusk.catalog.cache import RELOID, lookup
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode

FIRST_LOW_INVALID = -7
KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table",
         "t": "table", "i": "index", "I": "index", "c": "type"}  # fmt: skip


def check_permissions(infos: list[Any]) -> None:
    """42501 unless the user may do all that RTEPermissionInfos ask for."""
    user = session.current_user_id
    for info in infos:
        if not info.requiredPerms:
            continue
        role = info.checkAsUser or user
        if superuser_arg(role):
            continue
        if not _allowed(info, role):
            relation = lookup(RELOID, info.relid)
            name, kind = (relation.relname, relation.relkind) if relation is not None else (str(info.relid), "r")
            raise SqlError(
                errcode.INSUFFICIENT_PRIVILEGE, f"permission denied for {KINDS.get(kind, 'relation')} {name}"
            )


def _allowed(info: Any, role: int) -> bool:
    required = info.requiredPerms
    missing = required & ~class_acl_mask(info.relid, role, required, all_of=True)
    if not missing:
        return True
    if missing & ~(ACL_SELECT | ACL_INSERT | ACL_UPDATE):
        return False
    if missing & ACL_SELECT and not _columns_readable(info, role):
        return False
    if missing & ACL_INSERT and not _columns_allowed(info.relid, role, info.insertedCols, ACL_INSERT):
        return False
    return not missing & ACL_UPDATE or _columns_allowed(info.relid, role, info.updatedCols, ACL_UPDATE)


def _columns_readable(info: Any, role: int) -> bool:
    if not info.selectedCols:
        # No column at all is looked at (count(*)): any column's privilege will do.
        return attribute_aclcheck_all(info.relid, role, ACL_SELECT, any_column=True)
    for member in info.selectedCols:
        attnum = member + FIRST_LOW_INVALID
        if attnum == 0:
            if not attribute_aclcheck_all(info.relid, role, ACL_SELECT, any_column=False):
                return False
        elif not attribute_aclcheck(info.relid, attnum, role, ACL_SELECT):
            return False
    return True


def _columns_allowed(relid: int, role: int, columns: Any, mode: int) -> bool:
    if not columns:
        return attribute_aclcheck_all(relid, role, mode, any_column=True)
    return all(attribute_aclcheck(relid, member + FIRST_LOW_INVALID, role, mode) for member in columns)

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
from tusk.sql.nodes import enums

FIRST_LOW_INVALID = -7
KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table",
         "t": "table", "i": "index", "I": "index", "c": "type"}  # fmt: skip


_COMMANDS = {
    enums.CMD_SELECT: "SELECT", enums.CMD_INSERT: "INSERT", enums.CMD_UPDATE: "UPDATE", enums.CMD_DELETE: "DELETE",
    enums.CMD_MERGE: "MERGE",
}  # fmt: skip
_ROW_MARK_TAGS = {
    enums.LCS_FORKEYSHARE: "SELECT FOR KEY SHARE",
    enums.LCS_FORSHARE: "SELECT FOR SHARE",
    enums.LCS_FORNOKEYUPDATE: "SELECT FOR NO KEY UPDATE",
    enums.LCS_FORUPDATE: "SELECT FOR UPDATE",
}


def plan_tag(statement: Any) -> str:
    """The command tag of an analysed or planned statement that is no utility command."""
    if statement.commandType == enums.CMD_SELECT and statement.rowMarks:
        return _ROW_MARK_TAGS.get(statement.rowMarks[0].strength, "SELECT")
    return _COMMANDS.get(statement.commandType, "???")


def written_relations(infos: list[Any]) -> tuple[int, ...]:
    """The relations that a plan may do more with than read."""
    return tuple(info.relid for info in infos if info.requiredPerms & ~ACL_SELECT)


def refuse_writing(statement: Any, relations: tuple[int, ...]) -> None:
    """25006 in a read-only transaction for a plan that writes to or locks rows of lasting tables."""
    for relid in relations:
        row = lookup(RELOID, relid)
        if row is not None and not (row.relpersistence == "t" and row.relnamespace == session.temp_namespace_id):
            raise SqlError(
                errcode.READ_ONLY_SQL_TRANSACTION,
                f"cannot execute {plan_tag(statement)} in a read-only transaction",
            )


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

"""COMMENT ON (comment.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import delete_row, insert_row, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.rows import PgDescription, PgShdescription
from tusk.commands.object_names import check_object_ownership, object_address
from tusk.commands.sequences import not_supported_detail
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.nodes import enums

ShareUpdateExclusiveLock = 4
_SHARED = (oa.AUTHID, oa.DATABASE, oa.TABLESPACE)


@utility("CommentStmt")
def comment(statement: Any, _context: UtilityContext) -> None:
    """COMMENT ON object IS text or NULL."""
    if statement.objtype == enums.OBJECT_DATABASE and not scan_rows("pg_database", datname=statement.object.sval):
        # A dump may be restored under another name: not an error.
        report(Severity.WARNING, f'database "{statement.object.sval}" does not exist',
               sqlstate=errcode.UNDEFINED_DATABASE)
        return
    address = object_address(statement.objtype, statement.object, ShareUpdateExclusiveLock)
    assert address is not None
    check_object_ownership(address)
    if statement.objtype == enums.OBJECT_COLUMN:
        row = lookup(c.RELOID, address.objid)
        if row.relkind not in "rvmcfp":
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, f'cannot set comment on relation "{row.relname}"',
                detail=not_supported_detail(row.relkind),
            )
    if address.classid in _SHARED:
        set_shared_comment(address.objid, address.classid, statement.comment)
    else:
        set_comment(address.objid, address.classid, address.subid, statement.comment)


def set_comment(oid: int, classid: int, subid: int, text: str | None) -> None:
    """Store, replace or remove a comment (CreateComments)."""
    rows = scan_rows("pg_description", objoid=oid, classoid=classid, objsubid=subid)
    if not text:
        for row in rows:
            delete_row(row)
    elif rows:
        update_row(rows[0].copy(description=text), rows[0])
    else:
        insert_row(PgDescription(objoid=oid, classoid=classid, objsubid=subid, description=text))


def set_shared_comment(oid: int, classid: int, text: str | None) -> None:
    """The same for a database, role or tablespace (CreateSharedComments)."""
    rows = scan_rows("pg_shdescription", objoid=oid, classoid=classid)
    if not text:
        for row in rows:
            delete_row(row)
    elif rows:
        update_row(rows[0].copy(description=text), rows[0])
    else:
        insert_row(PgShdescription(objoid=oid, classoid=classid, description=text))

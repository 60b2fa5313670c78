"""nextval, currval, lastval, setval and their kin as SQL functions."""

from __future__ import annotations

from typing import Any

from tusk.access import _sequence
from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, try_relation_open
from tusk.catalog.cache import lookup
from tusk.catalog.identifiers import quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name, range_var_get_relid, split_identifier_string
from tusk.catalog.session import session
from tusk.commands import sequences
from tusk.commands.functions.support import out_row
from tusk.errors import SqlError, errcode
from tusk.sql.execute import hooks
from tusk.sql.nodes import make
from tusk.types.registry import function


@function("nextval_oid")
def nextval_oid(sequence: int) -> int:
    """nextval(regclass)."""
    return sequences.nextval(sequence)


@function("currval_oid")
def currval_oid(sequence: int) -> int:
    """currval(regclass)."""
    return sequences.currval(sequence)


@function("lastval")
def lastval() -> int:
    """lastval()."""
    return sequences.lastval()


@function("setval_oid")
def setval_oid(sequence: int, value: int) -> int:
    """setval(regclass, bigint)."""
    return sequences.setval(sequence, value)


@function("setval3_oid")
def setval3_oid(sequence: int, value: int, is_called: bool) -> int:
    """setval(regclass, bigint, boolean)."""
    return sequences.setval(sequence, value, is_called)


@function("pg_sequence_last_value")
def pg_sequence_last_value(sequence: int) -> int | None:
    """The last value of a sequence, NULL before the first or without permission."""
    rel = try_relation_open(sequence, 1)
    if rel is None or rel.form.relkind != "S":
        return None
    try:
        if not acl.object_aclcheck(oa.CLASS, sequence, session.current_user_id, acl.ACL_SELECT | acl.ACL_USAGE):
            return None
        last_value, _, is_called = _sequence.read(rel)
        return int(last_value) if is_called else None
    finally:
        relation_close(rel, 1)


@function("pg_get_sequence_data")
def pg_get_sequence_data(sequence: int) -> Any:
    """(last_value, is_called) for dumps."""
    rel = try_relation_open(sequence, 1)
    if rel is None or rel.form.relkind != "S":
        return out_row("pg_get_sequence_data", None, None)
    try:
        last_value, _, is_called = _sequence.read(rel)
        return out_row("pg_get_sequence_data", last_value, is_called)
    finally:
        relation_close(rel, 1)


@function("pg_sequence_parameters")
def pg_sequence_parameters(sequence: int) -> Any:
    """start, min, max, increment, cycle, cache size and type of a sequence."""
    if not acl.object_aclcheck(
        oa.CLASS, sequence, session.current_user_id, acl.ACL_SELECT | acl.ACL_UPDATE | acl.ACL_USAGE
    ):
        raise acl.aclcheck_error("sequence", lookup(c.RELOID, sequence).relname)
    row = lookup(c.SEQRELID, sequence)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for sequence {sequence}")
    return out_row(
        "pg_sequence_parameters",
        row.seqstart, row.seqmin, row.seqmax, row.seqincrement, row.seqcycle, row.seqcache, row.seqtypid,
    )  # fmt: skip


@function("pg_get_serial_sequence")
def pg_get_serial_sequence(table: str, column: str) -> str | None:
    """The sequence that a serial or identity column uses, as quoted text."""
    names = split_identifier_string(table, ".")
    if not names:
        raise SqlError(errcode.INVALID_NAME, "invalid name syntax")
    relation = make.make_range_var(names[-2] if len(names) > 1 else None, names[-1])
    oid = range_var_get_relid(relation, 0)
    attribute = lookup(c.ATTNAME, oid, column)
    if attribute is None or attribute.attisdropped or attribute.attnum <= 0:
        raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{column}" of relation "{names[-1]}" does not exist')
    sequence = sequences.owned_sequence(oid, attribute.attnum)
    if not sequence:
        return None
    row = lookup(c.RELOID, sequence)
    return quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname)


hooks.set_hook("sequence_nextval", lambda oid: sequences.nextval(oid, check_permissions=False))

"""TRUNCATE (tablecmds.c's ExecuteTruncateGuts)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import acl
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog._tuples import command_counter_increment, current_sub_transaction_id
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import is_other_temp_namespace, range_var_get_relid
from tusk.commands import sequences
from tusk.commands.indexes import refuse_system_catalog
from tusk.commands.storage import build_indexes, new_file, truncate_file
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums
from tusk.stats import _pending as statistics

AccessExclusiveLock = 8
TRIGGER_TRUNCATE = 32


@utility("TruncateStmt")
def truncate(statement: Any, _context: UtilityContext) -> None:
    """TRUNCATE tables."""
    relids: list[int] = []
    for relation in statement.relations:
        oid = range_var_get_relid(relation, AccessExclusiveLock, callback=_check)
        if oid not in relids:
            relids.append(oid)
            _check_unused(oid)
    relids = _with_referencing(relids, cascade=statement.behavior == enums.DROP_CASCADE)
    for relid in relids:
        rows = scan_rows("pg_trigger", tgrelid=relid) if lookup(c.RELOID, relid).relhastriggers else []
        if any(row.tgtype & TRIGGER_TRUNCATE for row in rows):
            raise feature_not_supported("TRUNCATE triggers")
    restarted: list[int] = []
    if statement.restart_seqs:
        for relid in relids:
            for sequence in dep.sequences_owned_by(relid):
                relation_close(relation_open(sequence, AccessExclusiveLock), 0)
                acl.require_owner(oa.CLASS, sequence)
                restarted.append(sequence)
    empty_tables(relids)
    for sequence in restarted:
        sequences.reset_sequence(sequence)


def _check(_relation: Any, oid: int, _old: int) -> None:
    """What may be truncated, and by whom (truncate_check_rel, truncate_check_perms)."""
    if not oid:
        return
    row = lookup(c.RELOID, oid)
    if row.relkind != "r":
        if row.relkind in "pf":
            raise feature_not_supported("TRUNCATE of partitioned and foreign tables")
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'"{row.relname}" is not a table')
    refuse_system_catalog(oid)
    acl.require_privilege(oa.CLASS, oid, acl.ACL_TRUNCATE)


def _check_unused(oid: int) -> None:
    row = lookup(c.RELOID, oid)
    if is_other_temp_namespace(row.relnamespace):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot truncate temporary tables of other sessions")
    check_not_in_use(oid, "TRUNCATE")


def check_not_in_use(oid: int, command: str) -> None:
    """55006 if a query of this session has the table open (CheckTableNotInUse)."""
    rel = relation_open(oid, 0)
    try:
        if rel.refcount > 1:
            raise SqlError(
                errcode.OBJECT_IN_USE,
                f'cannot {command} "{rel.name}" because it is being used by active queries in this session',
            )
    finally:
        relation_close(rel, 0)


def _with_referencing(relids: list[int], *, cascade: bool) -> list[int]:
    """The tables with those whose foreign keys refer to them; 0A000 without CASCADE."""
    result = list(relids)
    for relid in result:
        for constraint in scan_rows("pg_constraint", confrelid=relid):
            other = constraint.conrelid
            if constraint.contype != "f" or other in result:
                continue
            row = lookup(c.RELOID, other)
            if not cascade:
                if other in relids:
                    continue
                target = lookup(c.RELOID, relid)
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED, "cannot truncate a table referenced in a foreign key constraint",
                    detail=f'Table "{row.relname}" references "{target.relname}".',
                    hint=f'Truncate table "{row.relname}" at the same time, or use TRUNCATE ... CASCADE.',
                )
            relation_close(relation_open(other, AccessExclusiveLock), 0)
            report(Severity.NOTICE, f'truncate cascades to table "{row.relname}"')
            _check(None, other, 0)
            _check_unused(other)
            result.append(other)
    return result


def empty_tables(relids: Sequence[int]) -> None:
    """Take the rows of tables away: by new files, or in place where the file is of this transaction anyway."""
    for relid in relids:
        rel = relation_open(relid, 0)
        subid = current_sub_transaction_id()
        in_place = subid in (rel.create_subid, rel.new_locator_subid)
        toast = rel.reltoastrelid
        relation_close(rel, 0)
        if in_place:
            truncate_file(relid)
            if toast:
                truncate_file(toast)
                statistics.count_truncate(toast, False)
        else:
            new_file(relid)
            if toast:
                relation_close(relation_open(toast, AccessExclusiveLock), 0)
                new_file(toast)
                build_indexes(toast, fresh=True)
                statistics.count_truncate(toast, False)
        build_indexes(relid, fresh=not in_place)
        statistics.count_truncate(relid, False)
        command_counter_increment()


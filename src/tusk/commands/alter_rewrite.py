"""Phase 3 of ALTER TABLE: the table read once, rewritten or checked (tablecmds.c's ATRewriteTables)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog import toasting
from tusk.catalog._relcache import relation_close, relation_open
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.identifiers import quote_qualified_identifier
from tusk.catalog.namespace import get_namespace_name
from tusk.catalog.objectaddress import ObjectAddress
from tusk.commands.foreign_keys import validate_foreign_key
from tusk.commands.queries import analyzed, fresh_snapshot, rows_of
from tusk.commands.storage import build_indexes, new_file
from tusk.errors import SqlError, errcode
from tusk.sql.nodes import BooleanTest, NullTest, enums, make


def finish(work: Any) -> None:
    """Rewrite the table if values changed, check it for new constraints otherwise."""
    row = lookup(c.RELOID, work.relid)
    if row.relkind in "rm":
        if work.rewrite or work.new_persistence is not None or work.new_tablespace is not None:
            rewrite(work)
        elif work.checks or work.not_nulls:
            check_rows(work)
    command_counter_increment()
    for oid in work.foreign_keys:
        constraint = lookup(c.CONSTROID, oid)
        if constraint is not None:
            validate_foreign_key(constraint)


def check_rows(work: Any) -> None:
    """Whether rows that are there break new constraints (ATRewriteTable without rewriting)."""
    row = lookup(c.RELOID, work.relid)
    name = quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname)

    def any_row(condition: Any) -> bool:
        query = analyzed(f"SELECT 1 FROM ONLY {name}")
        query.jointree.quals = condition
        _select_columns(query, work.relid)
        return bool(rows_of(query, limit=1))

    for attnum in dict.fromkeys(work.not_nulls):
        attribute = lookup(c.ATTNUM, work.relid, attnum)
        var = make.make_var(1, attnum, attribute.atttypid, attribute.atttypmod, attribute.attcollation)
        if any_row(NullTest(arg=var, nulltesttype=enums.IS_NULL, argisrow=False, location=-1)):
            raise SqlError(
                errcode.NOT_NULL_VIOLATION,
                f'column "{attribute.attname}" of relation "{row.relname}" contains null values',
                schema=get_namespace_name(row.relnamespace), table=row.relname, column=attribute.attname,
            )
    for constraint, tree in work.checks:
        if any_row(BooleanTest(arg=tree, booltesttype=enums.IS_FALSE, location=-1)):
            raise SqlError(
                errcode.CHECK_VIOLATION,
                f'check constraint "{constraint}" of relation "{row.relname}" is violated by some row',
                schema=get_namespace_name(row.relnamespace), table=row.relname, constraint=constraint,
            )


def _select_columns(query: Any, relid: int) -> None:
    """The owner checks a table whatever column privileges say."""
    for info in query.rteperminfos:
        if info.relid == relid:
            info.requiredPerms = 0


def rewrite(work: Any) -> None:
    """Copy the table into a new file, rows changed as asked for (ATRewriteTable, finish_heap_swap)."""
    from tusk.commands._row_writer import INSERT_SKIP_FSM, RowWriter
    from tusk.commands._table_rewrite import Rewriter

    row = lookup(c.RELOID, work.relid)
    old_toast = row.reltoastrelid
    if old_toast:
        _put_toast_aside(work.relid, old_toast)
    if work.new_tablespace is not None:
        row = lookup(c.RELOID, work.relid)
        update_row(row.copy(reltablespace=work.new_tablespace), row)
        command_counter_increment()
    new_file(work.relid, work.new_persistence)
    toasting.create_toast_table(work.relid)
    command_counter_increment()
    rel = relation_open(work.relid, 0)
    try:
        with fresh_snapshot(latest=True) as snapshot:
            writer = RowWriter(rel, INSERT_SKIP_FSM, True, False)
            try:
                rewriter = Rewriter(work.old_relation, writer)
                for attnum, tree in work.new_values:
                    rewriter.add_expression(attnum, tree)
                writer.prepare()
                try:
                    rewriter.run(snapshot)
                except SqlError as error:
                    raise _as_alter_error(error, work) from error
            finally:
                writer.close()
    finally:
        relation_close(rel, 0)
    command_counter_increment()
    _forget_missing(work.relid)
    if old_toast:
        dep.perform_deletion(ObjectAddress(oa.CLASS, old_toast), dep.RESTRICT, dep.DELETION_INTERNAL)
        command_counter_increment()
    if work.new_persistence is not None:
        for index in scan_rows("pg_index", indrelid=work.relid):
            new_file(index.indexrelid, work.new_persistence)
    build_indexes(work.relid, fresh=True)
    command_counter_increment()


def _as_alter_error(error: SqlError, work: Any) -> SqlError:
    """Constraint errors in ALTER TABLE's words."""
    row = lookup(c.RELOID, work.relid)
    if error.sqlstate == errcode.NOT_NULL_VIOLATION and error.column:
        error.message = f'column "{error.column}" of relation "{row.relname}" contains null values'
        error.detail = None
    elif error.sqlstate == errcode.CHECK_VIOLATION and error.constraint and error.table == row.relname:
        error.message = f'check constraint "{error.constraint}" of relation "{row.relname}" is violated by some row'
        error.detail = None
    return error


def _put_toast_aside(relid: int, toast: int) -> None:
    """Let the table have a new TOAST table; the old one stays readable under another name until the copy is done."""
    indexes = [lookup(c.RELOID, index.indexrelid) for index in scan_rows("pg_index", indrelid=toast)]
    for row in (lookup(c.RELOID, toast), *indexes):
        update_row(row.copy(relname=f"pg_temp_toast_{row.oid}"), row)
    table = lookup(c.RELOID, relid)
    update_row(table.copy(reltoastrelid=0), table)
    dep.delete_dependencies_of(oa.CLASS, toast)
    command_counter_increment()


def _forget_missing(relid: int) -> None:
    """Every row has all columns now (RelationClearMissing)."""
    for row in scan_rows("pg_attribute", attrelid=relid):
        if row.atthasmissing:
            update_row(row.copy(atthasmissing=False, attmissingval=None), row)
    command_counter_increment()

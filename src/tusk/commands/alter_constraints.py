"""ALTER TABLE on constraints: add, drop, validate, alter (tablecmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import heap, inval
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.objectaddress import ObjectAddress
from tusk.commands import constraints, expressions
from tusk.commands.alter_columns import add_not_null, definition_for
from tusk.commands.alter_table import Kind, Work, alter, column
from tusk.commands.foreign_keys import add_foreign_key
from tusk.commands.table_definition import attach_attributes
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums


@alter(Kind.AT_AddConstraint)
def add_constraint(work: Work, command: Any) -> None:
    """ADD CONSTRAINT of any kind (ATExecAddConstraint)."""
    node = command.def_
    if type(node).__name__ == "IndexStmt":
        _add_index_statement(work, node)
        return
    match node.contype:
        case enums.CONSTR_CHECK:
            for name, expr, needs_check in constraints.add_checks(
                work.relid, [node], work.context, is_new=False
            ):
                if needs_check:
                    work.checks.append((name, expr))
        case enums.CONSTR_NOTNULL:
            row = column(work, node.keys[0].sval, system_word=None)
            if row.attnum <= 0:
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED,
                    f'cannot add not-null constraint on system column "{row.attname}"',
                )
            add_not_null(work, row, node)
        case enums.CONSTR_FOREIGN:
            _add_foreign_key(work, node)
        case enums.CONSTR_PRIMARY | enums.CONSTR_UNIQUE | enums.CONSTR_EXCLUSION:
            _add_index_constraint(work, node)
        case _:
            raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized constraint type: {node.contype}")


def _add_foreign_key(work: Work, node: Any) -> None:
    """The checks of existing rows wait until the table has its new contents."""
    from tusk.sql.nodes import replace

    deferred = not node.skip_validation and node.is_enforced
    oid = add_foreign_key(
        work.relid, replace(node, skip_validation=True) if deferred else node, work.context, is_new=False
    )
    if deferred:
        row = lookup(c.CONSTROID, oid)
        update_row(row.copy(convalidated=True), row)
        work.foreign_keys.append(oid)


def _add_index_constraint(work: Work, node: Any) -> None:
    definition = definition_for(work)
    node = attach_attributes(definition, [node])[0]
    if node.contype == enums.CONSTR_PRIMARY and any(
        row.indisprimary for row in scan_rows("pg_index", indrelid=work.relid)
    ):
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION, f'multiple primary keys for table "{work.name}" are not allowed'
        )
    if node.indexname:
        _use_index(work, node)
        return
    _add_index_statement(work, constraints.index_statement(definition, node))


def _add_index_statement(work: Work, statement: Any) -> None:
    from tusk.commands.indexes import define_index

    if statement.primary:
        for element in statement.indexParams:
            row = lookup(c.ATTNAME, work.relid, element.name)
            if row is None or row.attisdropped:
                raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{element.name}" named in key does not exist')
            if row.attnum <= 0:
                continue
            existing = constraints.not_null_row(work.relid, row.attnum)
            if existing is not None and existing.connoinherit:
                raise SqlError(
                    errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                    f'cannot create primary key on column "{row.attname}"',
                    detail=f'The constraint "{existing.conname}" on column "{row.attname}" of table "{work.name}", '
                    "marked NO INHERIT, is incompatible with a primary key.",
                )
            add_not_null(work, row, None)
        command_counter_increment()
    define_index(work.relid, statement, work.context, is_new_table=True, skip_build=work.rewrite)


def _use_index(work: Work, node: Any) -> None:
    """ADD PRIMARY KEY or UNIQUE USING INDEX (ATExecAddIndexConstraint)."""
    table = work.row
    index = lookup(c.RELNAMENSP, node.indexname, table.relnamespace)
    row = lookup(c.INDEXRELID, index.oid) if index is not None else None
    if index is None or row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'index "{node.indexname}" does not exist')
    if row.indrelid != work.relid:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'index "{node.indexname}" does not belong to table "{table.relname}"',
        )
    if dep.constraint_of_index(index.oid):
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'index "{node.indexname}" is already associated with a constraint',
        )
    for bad, text in (
        (not row.indisvalid, "is not valid"), (not row.indisunique, "is not a unique index"),
        (row.indexprs is not None, "contains expressions"), (row.indpred is not None, "is a partial index"),
    ):
        if bad:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE if text == "is not valid" else errcode.WRONG_OBJECT_TYPE,
                f'index "{node.indexname}" {text}' if text == "is not valid" else f'"{node.indexname}" {text}',
                detail=None if text == "is not valid"
                else "Cannot create a primary key or unique constraint using such an index.",
            )
    primary = node.contype == enums.CONSTR_PRIMARY
    if primary:
        for attnum in row.indkey[: row.indnkeyatts]:
            add_not_null(work, lookup(c.ATTNUM, work.relid, attnum), None)
    name = node.conname or index.relname
    if name != index.relname:
        report(
            Severity.NOTICE,
            f'ALTER TABLE / ADD CONSTRAINT USING INDEX will rename index "{index.relname}" to "{name}"',
        )
        current = lookup(c.RELOID, index.oid)
        update_row(current.copy(relname=name), current)
        command_counter_increment()
    oid = heap.create_constraint(
        name, table.relnamespace, "p" if primary else "u", relation=work.relid,
        keys=list(row.indkey[: row.indnkeyatts]), total_keys=list(row.indkey), index=index.oid,
        deferrable=node.deferrable, deferred=node.initdeferred, no_inherit=True,
    )  # fmt: skip
    dep.delete_dependencies_of_kind(oa.CLASS, index.oid, oa.CLASS, dep.AUTO)
    dep.record_dependency(ObjectAddress(oa.CLASS, index.oid), ObjectAddress(oa.CONSTRAINT, oid), dep.INTERNAL)
    row = lookup(c.INDEXRELID, index.oid)
    update_row(row.copy(indisprimary=primary, indimmediate=not node.deferrable), row)
    inval.invalidate_relcache(work.relid)


@alter(Kind.AT_DropConstraint)
def drop_constraint(work: Work, command: Any) -> None:
    """DROP CONSTRAINT."""
    constraints.drop_constraint(work.relid, command.name, int(command.behavior), command.missing_ok)


def _named(work: Work, name: str) -> Any:
    row = next((r for r in scan_rows("pg_constraint", conrelid=work.relid) if r.conname == name), None)
    if row is None:
        raise SqlError(
            errcode.UNDEFINED_OBJECT, f'constraint "{name}" of relation "{work.name}" does not exist'
        )
    return row


@alter(Kind.AT_ValidateConstraint)
def validate_constraint(work: Work, command: Any) -> None:
    """VALIDATE CONSTRAINT (ATExecValidateConstraint)."""
    row = _named(work, command.name)
    if row.contype not in "cfn":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f'cannot validate constraint "{command.name}" of relation "{work.name}"',
            detail="This operation is not supported for this type of constraint.",
        )
    if not row.conenforced:
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "cannot validate NOT ENFORCED constraint")
    if row.convalidated:
        return
    if row.contype == "c":
        work.checks.append((row.conname, expressions.tree_of(row.conbin)))
    elif row.contype == "n":
        work.not_nulls.append(row.conkey[0])
    else:
        work.foreign_keys.append(row.oid)
    update_row(row.copy(convalidated=True), row)
    inval.invalidate_relcache(work.relid)


@alter(Kind.AT_AlterConstraint)
def alter_constraint(work: Work, command: Any) -> None:
    """ALTER CONSTRAINT ... [NOT] DEFERRABLE (ATExecAlterConstraint)."""
    change = command.def_
    row = _named(work, change.conname)
    if row.contype != "f":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE,
            f'constraint "{change.conname}" of relation "{work.name}" is not a foreign key constraint',
        )
    if change.alterEnforceability or change.alterInheritability:
        raise feature_not_supported("ALTER CONSTRAINT ... ENFORCED and INHERIT")
    if not change.alterDeferrability:
        return
    update_row(row.copy(condeferrable=change.deferrable, condeferred=change.initdeferred), row)
    for trigger in scan_rows("pg_trigger", tgconstraint=row.oid):
        # Actions other than NO ACTION are never deferred.
        if trigger.tgfoid in (1644, 1645, 1654, 1655):
            update_row(trigger.copy(tgdeferrable=change.deferrable, tginitdeferred=change.initdeferred), trigger)
    for relid in {row.conrelid, row.confrelid}:
        inval.invalidate_relcache(relid)

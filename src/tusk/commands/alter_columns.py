"""ALTER TABLE on columns: add, drop, default, NOT NULL, identity, generation (tablecmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import heap
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.objectaddress import ObjectAddress
from tusk.commands import alter_table as at
from tusk.commands import constraints, expressions, sequences
from tusk.commands.alter_table import Kind, Work, alter, column
from tusk.commands.table_definition import INTEGER_TYPES, Definition, check_column_type
from tusk.commands.tables import check_type_usage, create_sequences, own_sequence, relation_column
from tusk.errors import Severity, SqlError, errcode, report
from tusk.sql.nodes import NextValueExpr
from tusk.sql.nodes.nodefuncs import contains_volatile


def definition_for(work: Work) -> Definition:
    """A definition that knows the columns the table has."""
    row = work.row
    return Definition(
        work.context, row.relname, row.relnamespace, row.relpersistence, is_alter=True,
        existing={a.attname: a for a in constraints.user_columns(work.relid)},
    )


@alter(Kind.AT_AddColumn)
def add_column(work: Work, command: Any) -> None:
    """ADD COLUMN with its constraints (ATExecAddColumn)."""
    node = command.def_
    row = work.row
    existing = lookup(c.ATTNAME, work.relid, node.colname)
    if existing is not None and not existing.attisdropped:
        if existing.attnum <= 0:
            raise SqlError(
                errcode.DUPLICATE_COLUMN, f'column name "{node.colname}" conflicts with a system column name'
            )
        text = f'column "{node.colname}" of relation "{row.relname}" already exists'
        if not command.missing_ok:
            raise SqlError(errcode.DUPLICATE_COLUMN, text)
        report(Severity.NOTICE, f"{text}, skipping", sqlstate=errcode.DUPLICATE_COLUMN)
        return
    definition = definition_for(work)
    planned = definition.add_column(node)
    check_type_usage(planned.type_oid)
    column_ = relation_column(planned)
    column_.not_null = planned.not_null
    heap.check_column_names([column_], row.relkind)
    check_column_type(column_.name, column_.type_oid, column_.collation, containing=(row.reltype,))
    attnum = row.relnatts + 1
    if attnum > heap.MAX_HEAP_ATTRIBUTES:
        raise SqlError(errcode.TOO_MANY_COLUMNS, f"tables can have at most {heap.MAX_HEAP_ATTRIBUTES} columns")
    created = create_sequences(definition)
    row = work.row
    column_.not_null = False
    insert_row(column_.row(work.relid, attnum))
    update_row(row.copy(relnatts=attnum), row)
    heap.record_column_dependencies(work.relid, attnum, column_.type_oid, column_.collation)
    command_counter_increment()
    _fill(work, planned, attnum, created)
    for oid, sequence in created:
        own_sequence(oid, work.relid, sequence)
    _queue_constraints(work, definition)


def _fill(work: Work, planned: Any, attnum: int, created: list[tuple[int, Any]]) -> None:
    """The new column's default, and how existing rows get it."""
    expr: Any = None
    node = planned.node
    if node.raw_default is not None:
        pstate = expressions.state_for(work.relid, work.context.query_text)
        expr = constraints.add_default(work.relid, node.colname, node.raw_default, pstate)
        command_counter_increment()
    elif node.identity not in ("", "\x00"):
        expr = NextValueExpr(seqid=created[-1][0], typeId=planned.type_oid)
    if work.row.relkind != "r":
        return
    if node.generated == "v":
        return
    if expr is None:
        from tusk.sql.analyze.relations import relation_info
        from tusk.sql.rewrite.defaults import column_default

        expr = column_default(relation_info(work.relid), attnum)
        if expr is None and lookup(c.TYPEOID, planned.type_oid).typtype == "d":
            from tusk.sql.rewrite.defaults import null_of

            expr = null_of(lookup(c.ATTNUM, work.relid, attnum))
            work.new_values.append((attnum, expr))
            work.rewrite = True
            return
    if expr is None:
        return
    if node.generated == "s" or contains_volatile(expr) or _domain_with_constraints(planned.type_oid):
        if node.generated != "s":
            work.new_values.append((attnum, expr))
        work.rewrite = True
    elif not work.rewrite:
        _store_missing(work.relid, attnum, expr)
    else:
        work.new_values.append((attnum, expr))


def _domain_with_constraints(type_oid: int) -> bool:
    row = lookup(c.TYPEOID, type_oid)
    while row.typtype == "d":
        if row.typnotnull or any(r.contype == "c" for r in scan_rows("pg_constraint", contypid=row.oid)):
            return True
        row = lookup(c.TYPEOID, row.typbasetype)
    return False


def _store_missing(relid: int, attnum: int, expr: Any) -> None:
    """Keep the value that rows written before have, in pg_attribute (StoreAttrMissingVal)."""
    from tusk.sql.execute.constant import evaluate_expression
    from tusk.types.codec import codec_for
    from tusk.types.values import Array

    value = evaluate_expression(expr)
    if value is None:
        return
    attribute = lookup(c.ATTNUM, relid, attnum)
    array_type = lookup(c.TYPEOID, attribute.atttypid).typarray
    payload = codec_for(array_type).to_disk(Array(attribute.atttypid, (1,), (1,), (value,)))
    update_row(attribute.copy(atthasmissing=True, attmissingval=payload), attribute)
    command_counter_increment()


def _queue_constraints(work: Work, definition: Definition) -> None:
    """Have the constraints written with a new column added in their passes."""
    from tusk.sql.nodes import AlterTableCmd

    def add(number: int, constraint: Any) -> None:
        work.passes[number].append(AlterTableCmd(subtype=Kind.AT_AddConstraint, def_=constraint))

    for constraint in definition.checks:
        add(at.PASS_ADD_CONSTRAINT, constraint)
    for constraint in definition.not_nulls:
        add(at.PASS_COLUMN_ATTRIBUTES, constraint)
    for constraint in definition.indexes:
        add(at.PASS_ADD_INDEX_CONSTRAINT, constraint)
    for constraint in definition.foreign_keys:
        add(at.PASS_OTHER_CONSTRAINT, constraint)


@alter(Kind.AT_DropColumn)
def drop_column(work: Work, command: Any) -> None:
    """DROP COLUMN (ATExecDropColumn)."""
    row = lookup(c.ATTNAME, work.relid, command.name)
    if row is None or row.attisdropped:
        text = f'column "{command.name}" of relation "{work.name}" does not exist'
        if not command.missing_ok:
            raise SqlError(errcode.UNDEFINED_COLUMN, text)
        report(Severity.NOTICE, f"{text}, skipping")
        return
    if row.attnum <= 0:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'cannot drop system column "{command.name}"')
    dep.perform_deletion(ObjectAddress(oa.CLASS, work.relid, row.attnum), int(command.behavior))


@alter(Kind.AT_ColumnDefault)
def set_default(work: Work, command: Any) -> None:
    """SET DEFAULT, DROP DEFAULT (ATExecColumnDefault)."""
    row = column(work, command.name)
    if row.attidentity:
        hint = None if command.def_ is not None else "Use ALTER TABLE ... ALTER COLUMN ... DROP IDENTITY instead."
        raise SqlError(
            errcode.SYNTAX_ERROR, f'column "{row.attname}" of relation "{work.name}" is an identity column', hint=hint
        )
    if row.attgenerated:
        hint = None
        if command.def_ is None and row.attgenerated == "s":
            hint = "Use ALTER TABLE ... ALTER COLUMN ... DROP EXPRESSION instead."
        elif command.def_ is not None:
            hint = "Use ALTER TABLE ... ALTER COLUMN ... SET EXPRESSION instead."
        raise SqlError(
            errcode.SYNTAX_ERROR, f'column "{row.attname}" of relation "{work.name}" is a generated column', hint=hint
        )
    heap.remove_default(
        work.relid, row.attnum, dep.RESTRICT, complain=False, internal=command.def_ is not None
    )
    command_counter_increment()
    if command.def_ is not None:
        pstate = expressions.state_for(work.relid, work.context.query_text)
        constraints.add_default(work.relid, row.attname, command.def_, pstate)


# NOT NULL


@alter(Kind.AT_DropNotNull)
def drop_not_null(work: Work, command: Any) -> None:
    """DROP NOT NULL (ATExecDropNotNull)."""
    row = column(work, command.name)
    if not row.attnotnull:
        return
    if row.attidentity:
        raise SqlError(
            errcode.SYNTAX_ERROR, f'column "{row.attname}" of relation "{work.name}" is an identity column'
        )
    constraint = constraints.not_null_row(work.relid, row.attnum)
    constraints.check_not_null_droppable(work.relid, row.attnum)
    if constraint is None:
        update_row(row.copy(attnotnull=False), row)
        return
    dep.perform_deletion(ObjectAddress(oa.CONSTRAINT, constraint.oid), dep.RESTRICT)


@alter(Kind.AT_SetNotNull)
def set_not_null(work: Work, command: Any) -> None:
    """SET NOT NULL (ATExecSetNotNull)."""
    row = column(work, command.name)
    add_not_null(work, row, None)


def add_not_null(work: Work, row: Any, node: Any) -> None:
    """A NOT NULL constraint on a column that may have one, or have rows that break it."""
    existing = constraints.not_null_row(work.relid, row.attnum)
    if existing is not None:
        if node is not None and node.conname and node.conname != existing.conname:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                f'cannot create not-null constraint "{node.conname}" on column "{row.attname}" of table "{work.name}"',
                detail=f'A not-null constraint named "{existing.conname}" already exists for this column.',
            )
        if not existing.convalidated:
            update_row(existing.copy(convalidated=True), existing)
            work.not_nulls.append(row.attnum)
        return
    if node is None:
        from tusk.commands.table_definition import not_null_constraint

        node = not_null_constraint(row.attname)
    validated = not node.skip_validation
    constraints.add_not_nulls(work.relid, [node], validated=validated)
    constraints.set_not_null(work.relid, row.attnum)
    if validated and row.attnum not in work.not_nulls:
        work.not_nulls.append(row.attnum)


# Identity


@alter(Kind.AT_AddIdentity)
def add_identity(work: Work, command: Any) -> None:
    """ADD GENERATED ... AS IDENTITY (ATExecAddIdentity)."""
    row = column(work, command.name)
    node = command.def_
    if row.attidentity:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'column "{row.attname}" of relation "{work.name}" is already an identity column',
        )
    if not row.attnotnull:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'column "{row.attname}" of relation "{work.name}" must be declared NOT NULL before identity can be added',
        )
    if row.atthasdef:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'column "{row.attname}" of relation "{work.name}" already has a default value',
        )
    if row.atttypid not in INTEGER_TYPES:
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, "identity column type must be smallint, integer, or bigint"
        )
    definition = definition_for(work)
    from tusk.sql.nodes import ColumnDef

    definition._own_sequence(ColumnDef(colname=row.attname), list(node.options), row.atttypid, identity=True)
    for oid, sequence in create_sequences(definition):
        own_sequence(oid, work.relid, sequence)
    row = column(work, command.name)
    update_row(row.copy(attidentity=node.generated_when), row)


@alter(Kind.AT_SetIdentity)
def set_identity(work: Work, command: Any) -> None:
    """SET GENERATED, SET sequence_option, RESTART (ATExecSetIdentity)."""
    row = column(work, command.name)
    if not row.attidentity:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'column "{row.attname}" of relation "{work.name}" is not an identity column',
        )
    options = []
    generated = None
    for item in command.def_:
        if item.defname == "generated":
            if generated is not None:
                raise SqlError(errcode.SYNTAX_ERROR, "conflicting or redundant options")
            generated = chr(item.arg.ival) if hasattr(item.arg, "ival") else item.arg.sval
        else:
            options.append(item)
    if options:
        sequences.alter_sequence(sequences.identity_sequence(work.relid, row.attnum), options, for_identity=True)
    if generated is not None:
        row = column(work, command.name)
        update_row(row.copy(attidentity=generated), row)


@alter(Kind.AT_DropIdentity)
def drop_identity(work: Work, command: Any) -> None:
    """DROP IDENTITY (ATExecDropIdentity)."""
    row = column(work, command.name)
    if not row.attidentity:
        text = f'column "{row.attname}" of relation "{work.name}" is not an identity column'
        if not command.missing_ok:
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, text)
        report(Severity.NOTICE, f"{text}, skipping")
        return
    update_row(row.copy(attidentity=""), row)
    command_counter_increment()
    sequence = sequences.identity_sequence(work.relid, row.attnum)
    dep.delete_dependencies_of_kind(oa.CLASS, sequence, oa.CLASS, dep.INTERNAL)
    command_counter_increment()
    dep.perform_deletion(ObjectAddress(oa.CLASS, sequence), dep.RESTRICT, dep.DELETION_INTERNAL)


# Generated columns


@alter(Kind.AT_SetExpression)
def set_expression(work: Work, command: Any) -> None:
    """SET EXPRESSION AS (ATExecSetExpression)."""
    row = column(work, command.name)
    if not row.attgenerated:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'column "{row.attname}" of relation "{work.name}" is not a generated column',
        )
    if row.attgenerated == "v" and work.row.relchecks:
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "ALTER TABLE / SET EXPRESSION is not supported for virtual generated columns in tables with check "
            "constraints",
            detail=f'Column "{row.attname}" of relation "{work.name}" is a virtual generated column.',
        )
    for definition in scan_rows("pg_attrdef", adrelid=work.relid, adnum=row.attnum):
        dep.delete_dependencies_of_kind(oa.ATTRDEF, definition.oid, oa.CLASS, dep.INTERNAL)
    command_counter_increment()
    heap.remove_default(work.relid, row.attnum, dep.RESTRICT, complain=False, internal=False)
    command_counter_increment()
    pstate = expressions.state_for(work.relid, work.context.query_text)
    constraints.add_default(work.relid, row.attname, command.def_, pstate)
    if row.attgenerated == "s":
        work.rewrite = True


@alter(Kind.AT_DropExpression)
def drop_expression(work: Work, command: Any) -> None:
    """DROP EXPRESSION (ATExecDropExpression)."""
    row = column(work, command.name)
    if row.attgenerated == "v":
        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED,
            "ALTER TABLE / DROP EXPRESSION is not supported for virtual generated columns",
            detail=f'Column "{row.attname}" of relation "{work.name}" is a virtual generated column.',
        )
    if not row.attgenerated:
        text = f'column "{row.attname}" of relation "{work.name}" is not a generated column'
        if not command.missing_ok:
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, text)
        report(Severity.NOTICE, text.replace("is not a generated column", "is not a generated column, skipping"))
        return
    for definition in scan_rows("pg_attrdef", adrelid=work.relid, adnum=row.attnum):
        dep.delete_dependencies_of_kind(oa.ATTRDEF, definition.oid, oa.CLASS, dep.INTERNAL)
        dep.delete_dependencies_of_kind(oa.ATTRDEF, definition.oid, oa.CLASS, dep.AUTO)
    update_row(row.copy(attgenerated=""), row)
    command_counter_increment()
    heap.remove_default(work.relid, row.attnum, dep.RESTRICT, complain=False, internal=False)


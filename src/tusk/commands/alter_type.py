"""ALTER COLUMN ... TYPE: the new type, values converted, and what depends on the column made again (tablecmds.c)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import heap
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, delete_row, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier
from tusk.catalog.names import format_type
from tusk.catalog.objectaddress import ObjectAddress, object_description
from tusk.commands import alter_table as at
from tusk.commands import expressions
from tusk.commands.alter_table import Kind, Work, alter, column, prepare
from tusk.commands.table_definition import check_column_type
from tusk.commands.tables import check_type_usage
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze.coerce import coerce_to_target_type
from tusk.sql.analyze.collate import assign_expr_collations
from tusk.sql.analyze.expressions import transform_expr
from tusk.sql.analyze.state import ExprKind
from tusk.sql.analyze.typenames import column_collation, type_name_oid_typmod
from tusk.sql.deparse.constraints import constraint_definition
from tusk.sql.deparse.indexes import index_definition
from tusk.sql.nodes import enums, make
from tusk.sql.nodes.nodefuncs import expr_type
from tusk.sql.nodes.primitives import CoerceToDomain, Const, FuncExpr, RelabelType, Var
from tusk.sql.parse import parse

_VARCHAR_LENGTH, _NUMERIC_LENGTH = 669, 1703


@dataclass
class Dependent:
    """An index or constraint to be made again: its definition, and its comment."""

    address: ObjectAddress
    relid: int
    text: str
    number: int
    comment: str | None


def _new_type(work: Work, command: Any) -> tuple[int, int, int]:
    state = expressions.state_for(work.relid, work.context.query_text)
    node = command.def_
    type_oid, typmod = type_name_oid_typmod(state, node.typeName)
    return type_oid, typmod, column_collation(state, node, type_oid)


@prepare(Kind.AT_AlterColumnType)
def prepare_type(work: Work, command: Any) -> None:
    """Work out the conversion while the old type is still known (ATPrepAlterColumnType)."""
    row = column(work, command.name)
    node = command.def_
    if any(c_.subtype == Kind.AT_AlterColumnType and c_.name == command.name and c_ is not command
           for c_ in work.passes[at.PASS_ALTER_TYPE]):
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION, f'cannot alter type of column "{command.name}" twice'
        )
    if row.attgenerated and node.raw_default is not None:
        raise SqlError(
            errcode.INVALID_COLUMN_DEFINITION, "cannot specify USING when altering type of generated column",
            detail=f'Column "{row.attname}" is a generated column.',
        )
    type_oid, typmod, collation = _new_type(work, command)
    check_type_usage(type_oid)
    check_column_type(row.attname, type_oid, collation, containing=(work.row.reltype,))
    if work.row.relkind not in "rm" or row.attgenerated == "v":
        return
    pstate = expressions.state_for(work.relid, work.context.query_text)
    if node.raw_default is not None:
        expr = transform_expr(pstate, node.raw_default, ExprKind.ALTER_COL_TRANSFORM)
    else:
        expr = make.make_var(1, row.attnum, row.atttypid, row.atttypmod, row.attcollation)
    coerced = coerce_to_target_type(
        pstate, expr, expr_type(expr), type_oid, typmod, enums.COERCION_ASSIGNMENT, enums.COERCE_IMPLICIT_CAST, -1
    )
    if coerced is None:
        if node.raw_default is not None:
            raise SqlError(
                errcode.DATATYPE_MISMATCH,
                f'result of USING clause for column "{row.attname}" cannot be cast automatically to type '
                f"{format_type(type_oid)}",
                hint="You might need to add an explicit cast.",
            )
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f'column "{row.attname}" cannot be cast automatically to type {format_type(type_oid)}',
            hint=None if row.attgenerated else
            f'You might need to specify "USING {quote_identifier(row.attname)}::{format_type(type_oid, typmod)}".',
        )
    assign_expr_collations(pstate, coerced)
    if row.attgenerated:
        work.rewrite = True
        return
    work.new_values.append((row.attnum, coerced))
    if needs_rewrite(coerced, row.attnum):
        work.rewrite = True


def needs_rewrite(expr: Any, attnum: int) -> bool:
    """Whether converted values look different on disk (ATColumnChangeRequiresRewrite)."""
    while True:
        if isinstance(expr, Var) and expr.varattno == attnum:
            return False
        if isinstance(expr, RelabelType):
            expr = expr.arg
        elif isinstance(expr, CoerceToDomain):
            from tusk.commands.alter_columns import _domain_with_constraints

            if _domain_with_constraints(expr.resulttype):
                return True
            expr = expr.arg
        elif isinstance(expr, FuncExpr) and expr.funcid in (_VARCHAR_LENGTH, _NUMERIC_LENGTH) and _only_widens(expr):
            expr = expr.args[0]
        else:
            return True


def _only_widens(call: FuncExpr) -> bool:
    """A length coercion to at least the length there was (varchar_support, numeric_support)."""
    from tusk.sql.nodes.nodefuncs import expr_typmod

    limit = call.args[1]
    if not isinstance(limit, Const) or limit.constisnull:
        return False
    new, old = limit.constvalue, expr_typmod(call.args[0])
    if new < 4:
        return True
    if old < 4:
        return False
    if call.funcid == _VARCHAR_LENGTH:
        return bool(old <= new)
    old_scale, new_scale = (old - 4) & 0x7FF, (new - 4) & 0x7FF
    return bool(old_scale == new_scale and (old - 4) >> 16 <= (new - 4) >> 16)


@alter(Kind.AT_AlterColumnType)
def alter_type(work: Work, command: Any) -> None:
    """Change the catalogs (ATExecAlterColumnType)."""
    row = column(work, command.name)
    type_oid, typmod, collation = _new_type(work, command)
    default = _convert_default(work, row, type_oid, typmod)
    _remember_dependents(work, row)
    for dependency in scan_rows("pg_depend", classid=oa.CLASS, objid=work.relid, objsubid=row.attnum):
        if dependency.refclassid in (oa.TYPE, oa.COLLATION):
            delete_row(dependency)
    kind = lookup(c.TYPEOID, type_oid)
    update_row(
        row.copy(
            atttypid=type_oid, atttypmod=typmod, attcollation=collation, attlen=kind.typlen, attbyval=kind.typbyval,
            attalign=kind.typalign, attstorage=kind.typstorage, attcompression="",
            attndims=len(command.def_.typeName.arrayBounds),
        ),
        row,
    )  # fmt: skip
    if row.atthasmissing:
        _convert_missing(work, row.attnum)
    heap.record_column_dependencies(work.relid, row.attnum, type_oid, collation)
    for statistic in scan_rows("pg_statistic", starelid=work.relid, staattnum=row.attnum):
        delete_row(statistic)
    command_counter_increment()
    if default is not None:
        for definition in scan_rows("pg_attrdef", adrelid=work.relid, adnum=row.attnum):
            dep.delete_dependencies_of_kind(oa.ATTRDEF, definition.oid, oa.CLASS, dep.INTERNAL)
        heap.remove_default(work.relid, row.attnum, dep.RESTRICT, complain=True, internal=True)
        command_counter_increment()
        heap.store_default(
            work.relid, row.attnum, expressions.tree_text(default), expressions.references(default, work.relid)
        )
        command_counter_increment()


def _convert_missing(work: Work, attnum: int) -> None:
    if work.rewrite:
        return
    row = lookup(c.ATTNUM, work.relid, attnum)
    # The value is the same bytes under another type: only the array around it names the type.
    array = lookup(c.TYPEOID, row.atttypid)
    payload = bytearray(row.attmissingval)
    payload[8:12] = int(array.oid).to_bytes(4, "little")
    command_counter_increment()
    row = lookup(c.ATTNUM, work.relid, attnum)
    update_row(row.copy(attmissingval=bytes(payload)), row)


def _convert_default(work: Work, row: Any, type_oid: int, typmod: int) -> Any:
    if not row.atthasdef:
        return None
    tree = expressions.tree_of(scan_rows("pg_attrdef", adrelid=work.relid, adnum=row.attnum)[0].adbin)
    from tusk.sql.nodes.nodefuncs import strip_implicit_coercions

    tree = strip_implicit_coercions(tree)
    result = coerce_to_target_type(
        None, tree, expr_type(tree), type_oid, typmod, enums.COERCION_ASSIGNMENT, enums.COERCE_IMPLICIT_CAST, -1
    )
    if result is None:
        what = "generation expression" if row.attgenerated else "default"
        raise SqlError(
            errcode.DATATYPE_MISMATCH,
            f'{what} for column "{row.attname}" cannot be cast automatically to type {format_type(type_oid)}',
        )
    return result


def _remember_dependents(work: Work, row: Any) -> None:
    """Note indexes and constraints on the column, to be made again (RememberAllDependentForRebuilding)."""
    for dependency in scan_rows("pg_depend", refclassid=oa.CLASS, refobjid=work.relid):
        if dependency.refobjsubid != row.attnum:
            continue
        address = ObjectAddress(dependency.classid, dependency.objid, dependency.objsubid)
        if address.classid == oa.CLASS:
            relation = lookup(c.RELOID, address.objid)
            if relation is not None and relation.relkind == "i":
                _remember_index(work, address.objid)
            continue
        if address.classid == oa.CONSTRAINT:
            _remember_constraint(work, address.objid)
        elif address.classid == oa.REWRITE:
            raise _in_the_way("a column used by a view or rule", address, row)
        elif address.classid == oa.TRIGGER:
            raise _in_the_way("a column used in a trigger definition", address, row)
        elif address.classid == oa.POLICY:
            raise _in_the_way("a column used in a policy definition", address, row)
        elif address.classid == oa.ATTRDEF:
            definition = scan_rows("pg_attrdef", oid=address.objid)[0]
            if definition.adnum != row.attnum:
                other = lookup(c.ATTNUM, work.relid, definition.adnum)
                raise SqlError(
                    errcode.SYNTAX_ERROR, "cannot alter type of a column used by a generated column",
                    detail=f'Column "{row.attname}" is used by generated column "{other.attname}".',
                )
        elif address.classid == oa.STATISTIC_EXT:
            raise feature_not_supported("changing the type of a column with extended statistics")


def _in_the_way(what: str, address: ObjectAddress, row: Any) -> SqlError:
    return SqlError(
        errcode.FEATURE_NOT_SUPPORTED, f"cannot alter type of {what}",
        detail=f'{object_description(address)} depends on column "{row.attname}"',
    )


def _comment(classid: int, oid: int) -> str | None:
    rows = scan_rows("pg_description", objoid=oid, classoid=classid, objsubid=0)
    return rows[0].description if rows else None


def _remember_index(work: Work, index: int) -> None:
    constraint = dep.constraint_of_index(index)
    if constraint:
        _remember_constraint(work, constraint)
        return
    address = ObjectAddress(oa.CLASS, index)
    if any(item.address == address for item in work.rebuild):
        return
    text = index_definition(index, 0, with_tablespace=True)
    work.rebuild.append(Dependent(address, work.relid, str(text), at.PASS_OLD_INDEX, _comment(oa.CLASS, index)))


def _remember_constraint(work: Work, constraint: int) -> None:
    address = ObjectAddress(oa.CONSTRAINT, constraint)
    row = lookup(c.CONSTROID, constraint)
    # A NOT NULL does not care about the type.
    if row.contype == "n" or any(item.address == address for item in work.rebuild):
        return
    if row.contypid:
        raise feature_not_supported("changing a type that a domain's constraint uses")
    text = str(constraint_definition(constraint, 0, full=True))
    number = at.PASS_OLD_INDEX if row.contype in "pux" else at.PASS_OLD_CONSTRAINT
    work.rebuild.append(Dependent(address, row.conrelid, text, number, _comment(oa.CONSTRAINT, constraint)))


def rebuild_dependents(work: Work) -> None:
    """Drop what was noted, and queue its making (ATPostAlterTypeCleanup)."""
    if not work.rebuild:
        return
    # Foreign keys of other tables on our keys go first, and come back last.
    for item in list(work.rebuild):
        if item.address.classid == oa.CONSTRAINT:
            row = lookup(c.CONSTROID, item.address.objid)
            if row.contype in "pu":
                for other in scan_rows("pg_constraint", confrelid=work.relid):
                    if other.conindid == row.conindid and other.contype == "f":
                        _remember_constraint(work, other.oid)
    ordered = sorted(work.rebuild, key=lambda item: item.number)
    dep.perform_multiple_deletions(
        [item.address for item in ordered], dep.RESTRICT, dep.DELETION_INTERNAL
    )
    command_counter_increment()
    for item in ordered:
        work.passes[item.number].append(lambda item=item: _make_again(work, item))


def _make_again(work: Work, item: Dependent) -> None:
    from tusk.commands.alter_constraints import add_constraint
    from tusk.commands.comments import set_comment
    from tusk.commands.indexes import define_index

    statement = parse(item.text)[0].stmt

    class _Context:
        query_text = item.text

    if type(statement).__name__ == "IndexStmt":
        oid = define_index(item.relid, statement, _Context, is_new_table=True, skip_build=work.rewrite)
        if item.comment:
            set_comment(oid, oa.CLASS, 0, item.comment)
        return
    command = statement.cmds[0]
    if item.relid == work.relid:
        saved, work.context = work.context, _Context
        try:
            add_constraint(work, command)
        finally:
            work.context = saved
    else:
        other = Work(item.relid, _Context, None, None)
        add_constraint(other, command)
        work.foreign_keys += other.foreign_keys
    if item.comment:
        row = next(r for r in scan_rows("pg_constraint", conrelid=item.relid) if r.conname == command.def_.conname)
        set_comment(row.oid, oa.CONSTRAINT, 0, item.comment)


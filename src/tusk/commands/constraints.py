"""Adding constraints to tables: defaults, CHECK, NOT NULL, and what PRIMARY KEY and UNIQUE become."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import heap
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, lookup_list, scan_rows
from tusk.catalog.objectaddress import ObjectAddress
from tusk.commands import expressions
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import IndexElem, IndexStmt, String, enums, replace
from tusk.sql.nodes.base import equal
from tusk.sql.nodes.primitives import Const, RelabelType


def column_row(relid: int, name: str) -> Any:
    """The pg_attribute row of a user column; 42703 if there is none."""
    row = lookup(c.ATTNAME, relid, name)
    if row is None or row.attisdropped:
        raise SqlError(
            errcode.UNDEFINED_COLUMN, f'column "{name}" of relation "{lookup(c.RELOID, relid).relname}" does not exist'
        )
    return row


# Defaults


def add_defaults(relid: int, definition: Any) -> None:
    """Store the default and generation expressions of new columns."""
    wanted = [planned for planned in definition.columns if planned.node.raw_default is not None]
    if not wanted:
        return
    pstate = expressions.state_for(relid, definition.context.query_text)
    for planned in wanted:
        add_default(relid, planned.node.colname, planned.node.raw_default, pstate)
    command_counter_increment()


def add_default(relid: int, name: str, raw: Any, pstate: Any) -> Any:
    """Store one; the expression, or None where it is just NULL (AddRelationNewConstraints)."""
    attribute = lookup(c.ATTNAME, relid, name)
    expr = expressions.cook_default(
        pstate, raw, attribute.atttypid, attribute.atttypmod, name, attribute.attgenerated
    )
    if not attribute.attgenerated and _is_null_constant(expr):
        # DEFAULT NULL is no default, but keeps a domain's default away.
        if lookup(c.TYPEOID, attribute.atttypid).typtype != "d":
            return None
    heap.store_default(relid, attribute.attnum, expressions.tree_text(expr), expressions.references(expr, relid))
    return expr


def _is_null_constant(expr: Any) -> bool:
    while isinstance(expr, RelabelType):
        expr = expr.arg
    return isinstance(expr, Const) and bool(expr.constisnull)


# CHECK


def add_checks(relid: int, nodes: Sequence[Any], context: Any, *, is_new: bool, is_local: bool = True) -> list[Any]:
    """Store CHECK constraints; returns (name, expression, needs validation) of each (AddRelationNewConstraints)."""
    if not nodes:
        return []
    table = lookup(c.RELOID, relid)
    pstate = expressions.state_for(relid, context.query_text)
    existing = {row.conname: row for row in scan_rows("pg_constraint", conrelid=relid)}
    cooked: list[tuple[Any, Any, str]] = []
    names: list[str] = []
    for node in nodes:
        if node.raw_expr is not None:
            expr = expressions.cook_check(pstate, node.raw_expr, table.relname)
        else:
            expr = expressions.tree_of(node.cooked_expr)
        name = node.conname
        if name:
            if name in names:
                raise SqlError(
                    errcode.DUPLICATE_OBJECT, f'check constraint "{name}" already exists',
                )
            old = existing.get(name)
            if old is not None:
                raise SqlError(
                    errcode.DUPLICATE_OBJECT,
                    f'constraint "{name}" for relation "{table.relname}" already exists',
                )
        else:
            columns = expressions.column_names_in(expr, relid)
            name = heap.choose_constraint_name(
                table.relname, columns[0] if len(columns) == 1 else None, "check", table.relnamespace, names
            )
        names.append(name)
        cooked.append((node, expr, name))
    for node, expr, name in cooked:
        heap.store_check(
            relid, name, expressions.tree_text(expr), expressions.references(expr, relid), enforced=node.is_enforced,
            validated=(is_new and node.is_enforced) or not node.skip_validation, no_inherit=node.is_no_inherit,
            is_local=is_local,
        )
    command_counter_increment()
    heap.set_check_count(relid, lookup(c.RELOID, relid).relchecks + len(cooked))
    command_counter_increment()
    return [(name, expr, node.is_enforced and not node.skip_validation) for node, expr, name in cooked]


# NOT NULL


def resolve_not_nulls(definition: Any, columns: Sequence[heap.Column]) -> None:
    """Check the NOT NULL constraints of a new table and mark their columns."""
    by_name = {column.name: column for column in columns}
    for node in definition.not_nulls:
        name = node.keys[0].sval
        column = by_name.get(name)
        if column is None:
            raise SqlError(
                errcode.UNDEFINED_COLUMN, f'column "{name}" of relation "{definition.relname}" does not exist'
            ) if name not in heap.SYSTEM_COLUMN_NAMES else SqlError(
                errcode.FEATURE_NOT_SUPPORTED, f'cannot add not-null constraint on system column "{name}"'
            )
        column.not_null = True


def add_not_nulls(relid: int, nodes: Sequence[Any], *, validated: bool = True) -> list[int]:
    """Store the NOT NULL constraints of a new table, one for each column (AddRelationNotNullConstraints)."""
    table = lookup(c.RELOID, relid)
    chosen: dict[str, Any] = {}
    for node in nodes:
        name = node.keys[0].sval
        first = chosen.get(name)
        if first is None:
            chosen[name] = node
            continue
        if first.is_no_inherit != node.is_no_inherit:
            raise SqlError(
                errcode.SYNTAX_ERROR,
                f'conflicting NO INHERIT declaration for not-null constraint on column "{name}"',
            )
        if node.conname:
            if first.conname and first.conname != node.conname:
                raise SqlError(
                    errcode.SYNTAX_ERROR,
                    f'conflicting not-null constraint names "{first.conname}" and "{node.conname}"',
                )
            chosen[name] = replace(first, conname=node.conname)
    given = [node.conname for node in chosen.values() if node.conname]
    names = list(given)
    numbers = []
    taken = {row.conname for row in scan_rows("pg_constraint", conrelid=relid)}
    for column, node in sorted(chosen.items(), key=lambda item: column_row(relid, item[0]).attnum):
        attnum = column_row(relid, column).attnum
        name = node.conname
        if name:
            if name in taken or given.count(name) > 1:
                raise SqlError(
                    errcode.DUPLICATE_OBJECT,
                    f'constraint "{name}" for relation "{table.relname}" already exists',
                )
        else:
            name = heap.choose_constraint_name(table.relname, column, "not_null", table.relnamespace, names)
            names.append(name)
        heap.store_not_null(relid, name, attnum, validated=validated, no_inherit=node.is_no_inherit)
        numbers.append(attnum)
    command_counter_increment()
    return numbers


def not_null_row(relid: int, attnum: int) -> Any:
    """The pg_constraint row of a column's NOT NULL constraint, or None (findNotNullConstraintAttnum)."""
    for row in scan_rows("pg_constraint", conrelid=relid):
        if row.contype == "n" and row.conkey == (attnum,):
            return row
    return None


def set_not_null(relid: int, attnum: int) -> bool:
    """Set attnotnull; whether it was not set (set_attnotnull)."""
    row = lookup(c.ATTNUM, relid, attnum)
    if row.attnotnull:
        return False
    update_row(row.copy(attnotnull=True), row)
    command_counter_increment()
    return True


# PRIMARY KEY and UNIQUE


def prepare_index_constraints(definition: Any) -> None:
    """Check PRIMARY KEY and UNIQUE constraints, and have the columns of a primary key forbid NULL.

    What is left in ``definition.indexes`` are IndexStmt nodes, the primary key first, and no index twice
    (transformIndexConstraints).
    """
    statements: list[Any] = []
    primary: Any = None
    for constraint in definition.indexes:
        statement = index_statement(definition, constraint)
        if statement.primary:
            if primary is not None:
                raise definition.error(
                    errcode.INVALID_TABLE_DEFINITION,
                    f'multiple primary keys for table "{definition.relname}" are not allowed', constraint.location,
                )
            primary = statement
        statements.append(statement)
    ordered = ([primary] if primary is not None else []) + [s for s in statements if s is not primary]
    kept: list[Any] = []
    for statement in ordered:
        twin = next((k for k in kept if _same_index(k, statement)), None)
        if twin is None:
            kept.append(statement)
        else:
            twin.unique = twin.unique or statement.unique
            if twin.idxname is None:
                twin.idxname = statement.idxname
    definition.indexes = kept


def _same_index(a: Any, b: Any) -> bool:
    fields = ("indexParams", "indexIncludingParams", "whereClause", "excludeOpNames", "accessMethod",
              "nulls_not_distinct", "deferrable", "initdeferred")  # fmt: skip
    return all(equal(getattr(a, name), getattr(b, name)) for name in fields) and not a.options and not b.options


def index_statement(definition: Any, constraint: Any) -> Any:
    """The index of a PRIMARY KEY or UNIQUE constraint (transformIndexConstraint)."""
    if constraint.contype == enums.CONSTR_EXCLUSION:
        raise feature_not_supported("exclusion constraints")
    if constraint.without_overlaps:
        raise feature_not_supported("WITHOUT OVERLAPS")
    primary = constraint.contype == enums.CONSTR_PRIMARY
    statement = IndexStmt(
        idxname=constraint.conname, unique=True, primary=primary, isconstraint=True,
        nulls_not_distinct=constraint.nulls_not_distinct, deferrable=constraint.deferrable,
        initdeferred=constraint.initdeferred, accessMethod=constraint.access_method or "btree",
        options=constraint.options, tableSpace=constraint.indexspace, transformed=True,
    )
    if constraint.indexname:
        # ADD CONSTRAINT ... USING INDEX: `alter_table` takes it from here.
        statement.idxname = constraint.conname
        statement.idxcomment = constraint.indexname
        return statement
    seen: set[str] = set()
    for key in constraint.keys:
        name = key.sval
        _check_key(definition, constraint, name, primary)
        if name in seen:
            what = "primary key" if primary else "unique"
            raise definition.error(
                errcode.DUPLICATE_COLUMN, f'column "{name}" appears twice in {what} constraint', constraint.location
            )
        seen.add(name)
        statement.indexParams.append(IndexElem(name=name))
        if primary and not definition.is_alter:
            definition.mark_not_null(name)
    for key in constraint.including:
        _check_key(definition, constraint, key.sval, False)
        statement.indexIncludingParams.append(IndexElem(name=key.sval))
    return statement


def _check_key(definition: Any, constraint: Any, name: str, primary: bool) -> None:
    column = definition.column(name)
    if column is not None:
        if column.node.generated == "v":
            what = "primary keys" if primary else "unique constraints"
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f"{what} on virtual generated columns are not supported")
        return
    if name in definition.existing or name in heap.SYSTEM_COLUMN_NAMES:
        if name in heap.SYSTEM_COLUMN_NAMES and not definition.is_alter:
            return
        return
    raise definition.error(
        errcode.UNDEFINED_COLUMN, f'column "{name}" named in key does not exist', constraint.location
    )


def add_indexes(relid: int, definition: Any) -> None:
    """Create the indexes of a new table's constraints."""
    from tusk.commands.indexes import define_index

    for statement in definition.indexes:
        define_index(relid, statement, definition.context, is_new_table=True)


# Dropping


def drop_constraint(relid: int, name: str, behavior: int, missing_ok: bool) -> None:
    """ALTER TABLE ... DROP CONSTRAINT (ATExecDropConstraint)."""
    table = lookup(c.RELOID, relid)
    row = next((r for r in scan_rows("pg_constraint", conrelid=relid) if r.conname == name), None)
    if row is None:
        text = f'constraint "{name}" of relation "{table.relname}" does not exist'
        if not missing_ok:
            raise SqlError(errcode.UNDEFINED_OBJECT, text)
        report(Severity.NOTICE, f"{text}, skipping")
        return
    if row.coninhcount > 0:
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION,
            f'cannot drop inherited constraint "{name}" of relation "{table.relname}"',
        )
    if row.contype == "n":
        check_not_null_droppable(relid, row.conkey[0])
    if row.contype == "f" and row.confrelid != relid:
        from tusk.catalog._relcache import relation_close, relation_open

        relation_close(relation_open(row.confrelid, 8), 0)
    dep.perform_deletion(ObjectAddress(oa.CONSTRAINT, row.oid), behavior)


def check_not_null_droppable(relid: int, attnum: int) -> None:
    """42P16 for the NOT NULL of a primary key, an identity column or the replica identity."""
    attribute = lookup(c.ATTNUM, relid, attnum)
    table = lookup(c.RELOID, relid)
    for index in scan_rows("pg_index", indrelid=relid):
        if attnum in index.indkey[: index.indnkeyatts]:
            if index.indisprimary:
                raise SqlError(
                    errcode.INVALID_TABLE_DEFINITION, f'column "{attribute.attname}" is in a primary key'
                )
            if index.indisreplident:
                raise SqlError(
                    errcode.INVALID_TABLE_DEFINITION,
                    f'column "{attribute.attname}" is in index used as replica identity',
                )
    if attribute.attidentity:
        raise SqlError(
            errcode.SYNTAX_ERROR,
            f'column "{attribute.attname}" of relation "{table.relname}" is an identity column',
        )


def user_columns(relid: int) -> list[Any]:
    """pg_attribute rows of the user columns that are not dropped, in order."""
    rows = [row for row in lookup_list(c.ATTNUM, relid) if row.attnum > 0 and not row.attisdropped]
    return sorted(rows, key=lambda row: row.attnum)


def string_nodes(names: Sequence[str]) -> list[Any]:
    """Names as String nodes."""
    return [String(sval=name) for name in names]


def add_foreign_keys(relid: int, nodes: Sequence[Any], context: Any, *, is_new: bool) -> None:
    """Store FOREIGN KEY constraints, their triggers included."""
    from tusk.commands.foreign_keys import add_foreign_key

    for node in nodes:
        add_foreign_key(relid, node, context, is_new=is_new)

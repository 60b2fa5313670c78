"""FOREIGN KEY constraints: pg_constraint, the triggers that keep them, and checking existing rows (tablecmds.c)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tusk.catalog import acl, heap, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, insert_row, new_oid, update_row
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.identifiers import quote_identifier, quote_qualified_identifier
from tusk.catalog.names import format_type
from tusk.catalog.namespace import get_namespace_name, range_var_get_relid
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgTrigger
from tusk.catalog.session import session
from tusk.commands.indexes import name_addition, refuse_system_catalog
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.sql.analyze import lookup as lk
from tusk.sql.analyze.coerce import can_coerce_type
from tusk.sql.nodes import enums

ShareRowExclusiveLock = 6
_EQUAL = 3
# tgtype bits (catalog/pg_trigger.h).
ROW, INSERT, DELETE, UPDATE = 1, 4, 8, 16
# Trigger functions by action: (on delete, on update).
_ACTION_FUNCTIONS = {"a": (1654, 1655), "r": (1648, 1649), "c": (1646, 1647), "n": (1650, 1651), "d": (1652, 1653)}
_CHECK_INSERT, _CHECK_UPDATE = 1644, 1645


def add_foreign_key(relid: int, node: Any, context: Any, *, is_new: bool) -> int:
    """Add a FOREIGN KEY to a table; returns the constraint's OID (ATAddForeignKeyConstraint)."""
    table = lookup(c.RELOID, relid)
    if node.fk_with_period or node.pk_with_period:
        raise feature_not_supported("temporal foreign keys")
    if node.fk_matchtype == "p":
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "MATCH PARTIAL not yet implemented")
    pk_relid = node.old_pktable_oid or range_var_get_relid(node.pktable, ShareRowExclusiveLock)
    referenced = lookup(c.RELOID, pk_relid)
    _check_tables(table, referenced, pk_relid)
    fk_columns = _columns(relid, node.fk_attrs)
    set_columns = [row.attnum for row in _columns(relid, node.fk_del_set_cols)]
    for attnum, nodename in zip(set_columns, node.fk_del_set_cols, strict=True):
        if attnum not in [row.attnum for row in fk_columns]:
            raise SqlError(
                errcode.INVALID_COLUMN_REFERENCE,
                f'column "{nodename.sval}" referenced in ON DELETE SET action must be part of foreign key',
            )
    if not node.pk_attrs:
        index, pk_columns, opclasses = _primary_key(pk_relid, referenced)
    else:
        pk_columns = _columns(pk_relid, node.pk_attrs)
        index, opclasses = _matching_index(pk_relid, referenced, pk_columns)
    _check_permissions(pk_relid, pk_columns)
    _check_generated(fk_columns, node)
    if len(fk_columns) != len(pk_columns):
        raise SqlError(
            errcode.INVALID_FOREIGN_KEY, "number of referencing and referenced columns for foreign key disagree"
        )
    name = node.conname or heap.choose_constraint_name(
        table.relname, name_addition([row.attname for row in fk_columns]), "fkey", table.relnamespace
    )
    if node.conname and any(row.conname == name for row in scan_rows("pg_constraint", conrelid=relid)):
        raise SqlError(
            errcode.DUPLICATE_OBJECT, f'constraint "{name}" for relation "{table.relname}" already exists'
        )
    operators = [
        _operators(opclass, pk, fk, name) for opclass, pk, fk in zip(opclasses, pk_columns, fk_columns, strict=True)
    ]
    validated = (is_new and node.is_enforced) or (not node.skip_validation and node.is_enforced)
    oid = heap.create_constraint(
        name, table.relnamespace, "f", relation=relid, keys=[row.attnum for row in fk_columns], index=index,
        deferrable=node.deferrable, deferred=node.initdeferred, enforced=node.is_enforced, validated=validated,
        foreign_relation=pk_relid, foreign_keys=[row.attnum for row in pk_columns],
        pf_operators=[o[0] for o in operators], pp_operators=[o[1] for o in operators],
        ff_operators=[o[2] for o in operators], update_action=node.fk_upd_action, delete_action=node.fk_del_action,
        delete_set_columns=set_columns, match_type=node.fk_matchtype, no_inherit=True,
    )  # fmt: skip
    command_counter_increment()
    if node.is_enforced:
        create_triggers(oid, relid, pk_relid, index, node)
        if not is_new and not node.skip_validation:
            validate_foreign_key(lookup(c.CONSTROID, oid))
    del context
    return oid


def _check_tables(table: Any, referenced: Any, pk_relid: int) -> None:
    if referenced.relkind not in "rp":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'referenced relation "{referenced.relname}" is not a table')
    if referenced.relkind == "p":
        raise feature_not_supported("foreign keys to partitioned tables")
    refuse_system_catalog(pk_relid)
    mine, theirs = table.relpersistence, referenced.relpersistence
    if mine == "p" and theirs != "p":
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION, "constraints on permanent tables may reference only permanent tables"
        )
    if mine == "u" and theirs == "t":
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION,
            "constraints on unlogged tables may reference only permanent or unlogged tables",
        )
    if mine == "t" and theirs != "t":
        raise SqlError(
            errcode.INVALID_TABLE_DEFINITION, "constraints on temporary tables may reference only temporary tables"
        )


def _columns(relid: int, nodes: Sequence[Any]) -> list[Any]:
    """pg_attribute rows by name (transformColumnNameList)."""
    rows = []
    for node in nodes:
        row = lookup(c.ATTNAME, relid, node.sval)
        if row is None or row.attisdropped:
            raise SqlError(
                errcode.UNDEFINED_COLUMN, f'column "{node.sval}" referenced in foreign key constraint does not exist'
            )
        if row.attnum < 0:
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "system columns cannot be used in foreign keys")
        rows.append(row)
    if len(rows) > 32:
        raise SqlError(errcode.TOO_MANY_COLUMNS, "cannot have more than 32 keys in a foreign key")
    return rows


def _primary_key(relid: int, table: Any) -> tuple[int, list[Any], list[int]]:
    for row in scan_rows("pg_index", indrelid=relid):
        if row.indisprimary and row.indisvalid:
            if not row.indimmediate:
                raise SqlError(
                    errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                    f'cannot use a deferrable primary key for referenced table "{table.relname}"',
                )
            keys = row.indkey[: row.indnkeyatts]
            return row.indexrelid, [lookup(c.ATTNUM, relid, attnum) for attnum in keys], list(row.indclass)
    raise SqlError(
        errcode.UNDEFINED_OBJECT, f'there is no primary key for referenced table "{table.relname}"'
    )


def _matching_index(relid: int, table: Any, columns: Sequence[Any]) -> tuple[int, list[int]]:
    """A unique index on exactly these columns, and its operator classes in their order (transformFkeyCheckAttrs)."""
    numbers = [row.attnum for row in columns]
    if len(set(numbers)) != len(numbers):
        raise SqlError(
            errcode.INVALID_FOREIGN_KEY, "foreign key referenced-columns list must not contain duplicates"
        )
    found_deferrable = False
    for row in sorted(scan_rows("pg_index", indrelid=relid), key=lambda row: row.indexrelid):
        keys = list(row.indkey[: row.indnkeyatts])
        if (
            sorted(keys) == sorted(numbers) and row.indisunique and row.indisvalid and row.indpred is None
            and row.indexprs is None
        ):
            if row.indimmediate:
                return row.indexrelid, [row.indclass[keys.index(number)] for number in numbers]
            found_deferrable = True
    if found_deferrable:
        raise SqlError(
            errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
            f'cannot use a deferrable unique constraint for referenced table "{table.relname}"',
        )
    raise SqlError(
        errcode.INVALID_FOREIGN_KEY,
        f'there is no unique constraint matching given keys for referenced table "{table.relname}"',
    )


def _check_permissions(relid: int, columns: Sequence[Any]) -> None:
    user = session.current_user_id
    if acl.class_aclcheck(relid, user, acl.ACL_REFERENCES):
        return
    for row in columns:
        if not acl.attribute_aclcheck(relid, row.attnum, user, acl.ACL_REFERENCES):
            raise acl.aclcheck_error(*acl.object_noun(oa.CLASS, relid))


def _check_generated(columns: Sequence[Any], node: Any) -> None:
    for row in columns:
        if not row.attgenerated:
            continue
        if node.fk_upd_action in "ndc":
            raise SqlError(
                errcode.SYNTAX_ERROR,
                "invalid ON UPDATE action for foreign key constraint containing generated column",
            )
        if node.fk_del_action in "nd":
            raise SqlError(
                errcode.SYNTAX_ERROR,
                "invalid ON DELETE action for foreign key constraint containing generated column",
            )
        if row.attgenerated == "v":
            raise SqlError(
                errcode.FEATURE_NOT_SUPPORTED,
                "foreign key constraints on virtual generated columns are not supported",
            )


def _operators(opclass: int, pk: Any, fk: Any, name: str) -> tuple[int, int, int]:
    """(pk = fk, pk = pk, fk = fk) operators of a column pair."""
    row = lookup(c.CLAOID, opclass)
    family, input_type = row.opcfamily, row.opcintype
    pp = lk.opfamily_member(family, input_type, input_type, _EQUAL)
    fk_base = lk.base_type(fk.atttypid)
    pf = lk.opfamily_member(family, input_type, fk_base, _EQUAL)
    ff = lk.opfamily_member(family, fk_base, fk_base, _EQUAL) if pf else 0
    if not (pf and ff) and can_coerce_type(
        [pk.atttypid, fk.atttypid], [input_type, input_type], enums.COERCION_IMPLICIT
    ):
        pf = ff = pp
    if not (pf and ff):
        raise SqlError(
            errcode.DATATYPE_MISMATCH, f'foreign key constraint "{name}" cannot be implemented',
            detail=f'Key columns "{fk.attname}" of the referencing table and "{pk.attname}" of the referenced table '
            f"are of incompatible types: {format_type(fk.atttypid)} and {format_type(pk.atttypid)}.",
        )
    return pf, pp, ff


def create_triggers(constraint: int, relid: int, pk_relid: int, index: int, node: Any) -> None:
    """The triggers of a foreign key: two on each side (createForeignKeyActionTriggers, ...CheckTriggers)."""
    on_delete, _ = _ACTION_FUNCTIONS[node.fk_del_action]
    _, on_update = _ACTION_FUNCTIONS[node.fk_upd_action]

    def add(table: int, other: int, kind: str, function: int, bits: int, can_defer: bool) -> None:
        oid = new_oid("pg_trigger")
        insert_row(PgTrigger(
            oid=oid, tgrelid=table, tgparentid=0, tgname=f"RI_ConstraintTrigger_{kind}_{oid}", tgfoid=function,
            tgtype=ROW | bits, tgenabled="O", tgisinternal=True, tgconstrrelid=other, tgconstrindid=index,
            tgconstraint=constraint, tgdeferrable=can_defer and node.deferrable,
            tginitdeferred=can_defer and node.initdeferred, tgnargs=0, tgattr=(), tgargs=b"", tgqual=None,
            tgoldtable=None, tgnewtable=None,
        ))  # fmt: skip
        row = lookup(c.RELOID, table)
        if not row.relhastriggers:
            update_row(row.copy(relhastriggers=True), row)
        else:
            inval.invalidate_relcache(table)
        dep.record_dependency(ObjectAddress(oa.TRIGGER, oid), ObjectAddress(oa.CONSTRAINT, constraint), dep.INTERNAL)
        command_counter_increment()

    add(pk_relid, relid, "a", on_delete, DELETE, node.fk_del_action == "a")
    add(pk_relid, relid, "a", on_update, UPDATE, node.fk_upd_action == "a")
    add(relid, pk_relid, "c", _CHECK_INSERT, INSERT, True)
    add(relid, pk_relid, "c", _CHECK_UPDATE, UPDATE, True)


def validate_foreign_key(constraint: Any) -> None:
    """23503 if a row of the table refers to nothing (RI_Initial_Check)."""
    from tusk.commands.queries import run_text
    from tusk.types.codec import output_value

    table, referenced = lookup(c.RELOID, constraint.conrelid), lookup(c.RELOID, constraint.confrelid)
    fk_rows = [lookup(c.ATTNUM, constraint.conrelid, n) for n in constraint.conkey]
    pk_rows = [lookup(c.ATTNUM, constraint.confrelid, n) for n in constraint.confkey]
    fk_names = [quote_identifier(row.attname) for row in fk_rows]
    pk_names = [quote_identifier(row.attname) for row in pk_rows]

    def qualified(row: Any) -> str:
        return quote_qualified_identifier(get_namespace_name(row.relnamespace), row.relname)

    joined = " AND ".join(f"pk.{p} = fk.{f}" for p, f in zip(pk_names, fk_names, strict=True))
    word = " AND " if constraint.confmatchtype != "f" else " OR "
    present = word.join(f"fk.{name} IS NOT NULL" for name in fk_names)
    rows = run_text(
        f"SELECT {', '.join('fk.' + name for name in fk_names)} FROM ONLY {qualified(table)} fk "
        f"LEFT OUTER JOIN ONLY {qualified(referenced)} pk ON ({joined}) "
        f"WHERE pk.{pk_names[0]} IS NULL AND ({present})",
        limit=1,
    )
    if not rows:
        return
    names = ", ".join(row.attname for row in fk_rows)
    if constraint.confmatchtype == "f" and any(value is None for value in rows[0]):
        raise SqlError(
            errcode.FOREIGN_KEY_VIOLATION,
            f'insert or update on table "{table.relname}" violates foreign key constraint "{constraint.conname}"',
            detail="MATCH FULL does not allow mixing of null and nonnull key values.",
            schema=get_namespace_name(table.relnamespace), table=table.relname, constraint=constraint.conname,
        )
    values = ", ".join(
        output_value(row.atttypid, value) for row, value in zip(fk_rows, rows[0], strict=True)
    )
    raise SqlError(
        errcode.FOREIGN_KEY_VIOLATION,
        f'insert or update on table "{table.relname}" violates foreign key constraint "{constraint.conname}"',
        detail=f'Key ({names})=({values}) is not present in table "{referenced.relname}".',
        schema=get_namespace_name(table.relnamespace), table=table.relname, constraint=constraint.conname,
    )

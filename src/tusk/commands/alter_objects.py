"""ALTER ... RENAME, OWNER TO and SET SCHEMA for all kinds of objects (alter.c, tablecmds.c)."""

from __future__ import annotations

from typing import Any

from tusk.catalog import acl, heap, inval
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment, update_row
from tusk.catalog.cache import lookup, lookup_list, scan_rows
from tusk.catalog.names import format_type
from tusk.catalog.namespace import (
    get_namespace_name,
    get_relname_relid,
    is_any_temp_namespace,
    lookup_creation_namespace,
    range_var_get_relid,
)
from tusk.catalog.session import session
from tusk.commands.alter_table import check_alterable
from tusk.commands.object_names import check_object_ownership, object_address
from tusk.commands.role_names import role_of
from tusk.commands.sequences import not_supported_detail
from tusk.commands.utility import UtilityContext, utility
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums

AccessExclusiveLock, ShareUpdateExclusiveLock = 8, 4
_RELATIONS = (
    enums.OBJECT_TABLE, enums.OBJECT_INDEX, enums.OBJECT_SEQUENCE, enums.OBJECT_VIEW, enums.OBJECT_MATVIEW,
    enums.OBJECT_FOREIGN_TABLE,
)  # fmt: skip


@utility("RenameStmt")
def rename(statement: Any, _context: UtilityContext) -> None:
    """ALTER ... RENAME (ExecRenameStmt)."""
    kind = statement.renameType
    new = statement.newname
    if kind in _RELATIONS:
        _rename_relation_statement(statement)
    elif kind in (enums.OBJECT_COLUMN, enums.OBJECT_ATTRIBUTE):
        _rename_column(statement)
    elif kind == enums.OBJECT_TABCONSTRAINT:
        _rename_constraint(statement)
    elif kind == enums.OBJECT_DOMCONSTRAINT:
        _rename_domain_constraint(statement)
    elif kind == enums.OBJECT_ROLE:
        from tusk.commands.roles import rename_role

        rename_role(statement.subname, new)
    elif kind == enums.OBJECT_SCHEMA:
        _rename_schema(statement.subname, new)
    elif kind == enums.OBJECT_DATABASE:
        _rename_database(statement.subname, new)
    elif kind in (enums.OBJECT_TYPE, enums.OBJECT_DOMAIN):
        _rename_type(statement)
    elif kind in (enums.OBJECT_TRIGGER, enums.OBJECT_RULE):
        _rename_part(statement)
    elif kind in _NAMED:
        address = object_address(kind, statement.object, AccessExclusiveLock)
        assert address is not None
        check_object_ownership(address)
        _rename_named(kind, address, new)
    else:
        raise feature_not_supported(f"renaming objects of type {kind.name}")


# Objects that are renamed by changing one column, their name being unique in their schema.
_NAMED: dict[Any, tuple[str, str, str, str]] = {
    enums.OBJECT_FUNCTION: ("pg_proc", "proname", "pronamespace", "function"),
    enums.OBJECT_PROCEDURE: ("pg_proc", "proname", "pronamespace", "procedure"),
    enums.OBJECT_ROUTINE: ("pg_proc", "proname", "pronamespace", "function"),
    enums.OBJECT_AGGREGATE: ("pg_proc", "proname", "pronamespace", "aggregate"),
    enums.OBJECT_COLLATION: ("pg_collation", "collname", "collnamespace", "collation"),
    enums.OBJECT_STATISTIC_EXT: ("pg_statistic_ext", "stxname", "stxnamespace", "statistics object"),
    enums.OBJECT_LANGUAGE: ("pg_language", "lanname", "", "language"),
}


def _rename_named(kind: Any, address: Any, new: str) -> None:
    catalog, name, namespace, noun = _NAMED[kind]
    row = scan_rows(catalog, oid=address.objid)[0]
    columns: dict[str, Any] = {name: new}
    if namespace:
        columns[namespace] = getattr(row, namespace)
    same = [r for r in scan_rows(catalog, **columns) if catalog != "pg_proc" or r.proargtypes == row.proargtypes]
    if same:
        if catalog == "pg_proc":
            types = ", ".join(format_type(t) for t in row.proargtypes)
            raise SqlError(
                errcode.DUPLICATE_FUNCTION,
                f'function {new}({types}) already exists in schema "{get_namespace_name(row.pronamespace)}"',
            )
        where = " already exists"
        if namespace:
            where += f' in schema "{get_namespace_name(columns[namespace])}"'
        raise SqlError(errcode.DUPLICATE_OBJECT, f'{noun} "{new}"{where}')
    update_row(row.copy(**{name: new}), row)


def _rename_relation_statement(statement: Any) -> None:
    def check(relation: Any, oid: int, _old: int) -> None:
        if not oid:
            return
        row = lookup(c.RELOID, oid)
        # ALTER TABLE renames anything; ALTER INDEX tables too, for history's sake.
        acl.require_owner(oa.CLASS, oid)
        if not acl.object_aclcheck(oa.NAMESPACE, row.relnamespace, session.current_user_id, acl.ACL_CREATE):
            raise acl.aclcheck_error("schema", str(get_namespace_name(row.relnamespace)))
        if statement.renameType != enums.OBJECT_INDEX:
            check_alterable(relation, oid, statement.renameType)

    lockmode = ShareUpdateExclusiveLock if statement.renameType == enums.OBJECT_INDEX else AccessExclusiveLock
    oid = range_var_get_relid(statement.relation, lockmode, missing_ok=statement.missing_ok, callback=check)
    if not oid:
        report(Severity.NOTICE, f'relation "{statement.relation.relname}" does not exist, skipping')
        return
    rename_relation(oid, statement.newname)


def rename_relation(oid: int, new: str) -> None:
    """Rename a relation with its row type and constraint (RenameRelationInternal)."""
    row = lookup(c.RELOID, oid)
    if get_relname_relid(new, row.relnamespace):
        raise SqlError(errcode.DUPLICATE_TABLE, f'relation "{new}" already exists')
    update_row(row.copy(relname=new), row)
    if row.reltype:
        rename_type(row.reltype, new)
    if row.relkind == "i":
        constraint = dep.constraint_of_index(oid)
        if constraint:
            own = lookup(c.CONSTROID, constraint)
            if any(r.conname == new for r in scan_rows("pg_constraint", conrelid=own.conrelid)):
                raise SqlError(
                    errcode.DUPLICATE_OBJECT,
                    f'constraint "{new}" for relation "{lookup(c.RELOID, own.conrelid).relname}" already exists',
                )
            update_row(own.copy(conname=new), own)
    inval.invalidate_relcache(oid)


def rename_type(oid: int, new: str) -> None:
    """Rename a type and its array type (RenameTypeInternal)."""
    row = lookup(c.TYPEOID, oid)
    other = lookup(c.TYPENAMENSP, new, row.typnamespace)
    array = row.typarray
    if other is not None:
        if not (other.oid == array or heap.move_array_type_away(other.oid)):
            raise SqlError(errcode.DUPLICATE_OBJECT, f'type "{new}" already exists')
        command_counter_increment()
    update_row(row.copy(typname=new), row)
    command_counter_increment()
    if array:
        array_row = lookup(c.TYPEOID, array)
        update_row(array_row.copy(typname=heap.array_type_name(new, row.typnamespace)), array_row)
        command_counter_increment()


def _rename_type(statement: Any) -> None:
    address = object_address(statement.renameType, statement.object, AccessExclusiveLock)
    assert address is not None
    row = lookup(c.TYPEOID, address.objid)
    check_object_ownership(address)
    if row.typtype == "c" and lookup(c.RELOID, row.typrelid).relkind != "c":
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f"{format_type(row.oid)} is a table's row type",
            hint="Use ALTER TABLE instead.",
        )
    if _is_array(row):
        raise SqlError(
            errcode.WRONG_OBJECT_TYPE, f"cannot alter array type {format_type(row.oid)}",
            hint=f"You can alter type {format_type(row.typelem)}, which will alter the array type as well.",
        )
    if row.typtype == "c":
        rename_relation(row.typrelid, statement.newname)
    else:
        rename_type(row.oid, statement.newname)


def _is_array(row: Any) -> bool:
    return bool(row.typelem) and row.typsubscript == 6179 and row.typlen == -1


def _rename_column(statement: Any) -> None:
    def check(relation: Any, oid: int, _old: int) -> None:
        if oid:
            row = lookup(c.RELOID, oid)
            if row.relkind not in "rvmcifpI":
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE, f'cannot rename columns of relation "{row.relname}"',
                    detail=not_supported_detail(row.relkind),
                )
            check_alterable(relation, oid, None)

    oid = range_var_get_relid(statement.relation, AccessExclusiveLock, missing_ok=statement.missing_ok, callback=check)
    if not oid:
        report(Severity.NOTICE, f'relation "{statement.relation.relname}" does not exist, skipping')
        return
    name = lookup(c.RELOID, oid).relname
    row = lookup(c.ATTNAME, oid, statement.subname)
    if row is None or row.attisdropped:
        raise SqlError(errcode.UNDEFINED_COLUMN, f'column "{statement.subname}" does not exist')
    if row.attnum <= 0:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, f'cannot rename system column "{statement.subname}"')
    new = statement.newname
    taken = lookup(c.ATTNAME, oid, new)
    if taken is not None and not taken.attisdropped:
        if taken.attnum <= 0:
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column name "{new}" conflicts with a system column name')
        raise SqlError(errcode.DUPLICATE_COLUMN, f'column "{new}" of relation "{name}" already exists')
    update_row(row.copy(attname=new), row)
    # Plain columns of indexes are called as the table's.
    for index in scan_rows("pg_index", indrelid=oid):
        for i, number in enumerate(index.indkey):
            if number == row.attnum:
                own = lookup(c.ATTNUM, index.indexrelid, i + 1)
                if own.attname == statement.subname and lookup(c.ATTNAME, index.indexrelid, new) is None:
                    update_row(own.copy(attname=new), own)
    inval.invalidate_relcache(oid)


def _rename_constraint(statement: Any) -> None:
    def check(relation: Any, oid: int, _old: int) -> None:
        if oid:
            check_alterable(relation, oid, enums.OBJECT_TABLE)

    oid = range_var_get_relid(statement.relation, AccessExclusiveLock, missing_ok=statement.missing_ok, callback=check)
    if not oid:
        report(Severity.NOTICE, f'relation "{statement.relation.relname}" does not exist, skipping')
        return
    rows = scan_rows("pg_constraint", conrelid=oid)
    table = lookup(c.RELOID, oid).relname
    row = next((r for r in rows if r.conname == statement.subname), None)
    if row is None:
        raise SqlError(
            errcode.UNDEFINED_OBJECT, f'constraint "{statement.subname}" for table "{table}" does not exist'
        )
    if any(r.conname == statement.newname for r in rows):
        raise SqlError(
            errcode.DUPLICATE_OBJECT, f'constraint "{statement.newname}" for relation "{table}" already exists'
        )
    if row.contype in "pux" and row.conindid:
        rename_relation(row.conindid, statement.newname)
        return
    update_row(row.copy(conname=statement.newname), row)
    inval.invalidate_relcache(oid)


def _rename_domain_constraint(statement: Any) -> None:
    address = object_address(enums.OBJECT_DOMAIN, statement.object, AccessExclusiveLock)
    assert address is not None
    acl.require_owner(oa.TYPE, address.objid)
    rows = scan_rows("pg_constraint", contypid=address.objid)
    row = next((r for r in rows if r.conname == statement.subname), None)
    shown = format_type(address.objid)
    if row is None:
        raise SqlError(
            errcode.UNDEFINED_OBJECT, f'constraint "{statement.subname}" for domain {shown} does not exist'
        )
    if any(r.conname == statement.newname for r in rows):
        raise SqlError(
            errcode.DUPLICATE_OBJECT, f'constraint "{statement.newname}" for domain {shown} already exists'
        )
    update_row(row.copy(conname=statement.newname), row)


def _rename_schema(old: str, new: str) -> None:
    row = lookup(c.NAMESPACENAME, old)
    if row is None:
        raise SqlError(errcode.UNDEFINED_SCHEMA, f'schema "{old}" does not exist')
    if lookup(c.NAMESPACENAME, new) is not None:
        raise SqlError(errcode.DUPLICATE_SCHEMA, f'schema "{new}" already exists')
    acl.require_owner(oa.NAMESPACE, row.oid)
    acl.require_privilege(oa.DATABASE, session.database_id, acl.ACL_CREATE)
    if new.startswith("pg_"):
        raise SqlError(
            errcode.RESERVED_NAME, f'unacceptable schema name "{new}"',
            detail='The prefix "pg_" is reserved for system schemas.',
        )
    update_row(row.copy(nspname=new), row)


def _rename_database(old: str, new: str) -> None:
    """ALTER DATABASE ... RENAME (RenameDatabase)."""
    from tusk.commands import database

    row = database.lock_database(old, AccessExclusiveLock)
    if row is None:
        raise SqlError(errcode.UNDEFINED_DATABASE, f'database "{old}" does not exist')
    acl.require_owner(oa.DATABASE, row.oid)
    own = lookup(c.AUTHOID, session.current_user_id)
    if not (own.rolsuper or own.rolcreatedb):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, "permission denied to rename database")
    if scan_rows("pg_database", datname=new):
        raise SqlError(errcode.DUPLICATE_DATABASE, f'database "{new}" already exists')
    if row.oid == session.database_id:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "current database cannot be renamed")
    others, prepared = database._others_using(row.oid)
    if others or prepared:
        raise SqlError(
            errcode.OBJECT_IN_USE, f'database "{old}" is being accessed by other users',
            detail=database._busy_detail(others, prepared),
        )
    update_row(row.copy(datname=new), row)


def _change_database_owner(oid: int, owner: int) -> None:
    """ALTER DATABASE ... OWNER TO (AlterDatabaseOwner)."""
    row = lookup(c.DATABASEOID, oid)
    if row.datdba == owner:
        return
    acl.require_owner(oa.DATABASE, oid)
    _check_new_owner(owner)
    own = lookup(c.AUTHOID, session.current_user_id)
    if not (own.rolsuper or own.rolcreatedb):
        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, "permission denied to change owner of database")
    changes: dict[str, Any] = {"datdba": owner}
    if row.datacl is not None:
        changes["datacl"] = acl.acl_update_owner(row.datacl, row.datdba, owner)
    update_row(row.copy(**changes), row)
    dep.change_owner_dependency(oa.DATABASE, oid, owner)


def _rename_part(statement: Any) -> None:
    catalog, relation_column, name, noun = (
        ("pg_trigger", "tgrelid", "tgname", "trigger") if statement.renameType == enums.OBJECT_TRIGGER
        else ("pg_rewrite", "ev_class", "rulename", "rule")
    )
    oid = range_var_get_relid(statement.relation, AccessExclusiveLock)
    acl.require_owner(oa.CLASS, oid)
    rows = scan_rows(catalog, **{relation_column: oid})
    table = lookup(c.RELOID, oid).relname
    row = next((r for r in rows if getattr(r, name) == statement.subname), None)
    preposition = "for table" if noun == "trigger" else "for relation"
    if row is None:
        raise SqlError(
            errcode.UNDEFINED_OBJECT, f'{noun} "{statement.subname}" {preposition} "{table}" does not exist'
        )
    if any(getattr(r, name) == statement.newname for r in rows):
        raise SqlError(
            errcode.DUPLICATE_OBJECT, f'{noun} "{statement.newname}" for relation "{table}" already exists'
        )
    if noun == "rule" and row.ev_type == "1":
        raise SqlError(errcode.INVALID_OBJECT_DEFINITION, "renaming an ON SELECT rule is not allowed")
    update_row(row.copy(**{name: statement.newname}), row)
    inval.invalidate_relcache(oid)


# Owner


def _check_new_owner(owner: int) -> None:
    acl.check_can_set_role(session.current_user_id, owner)


def change_relation_owner(oid: int, owner: int, *, recursing: bool = False) -> None:
    """A new owner for a relation with its row type, indexes, TOAST table and sequences (ATExecChangeOwner)."""
    row = lookup(c.RELOID, oid)
    if row.relkind == "i" and not recursing:
        # A warning where ALTER INDEX ... OWNER is asked for: the table decides.
        if row.relowner != owner:
            report(
                Severity.WARNING, f'cannot change owner of index "{row.relname}"',
                hint="Change the ownership of the index's table instead.", sqlstate=errcode.WRONG_OBJECT_TYPE,
            )
        return
    if row.relkind == "S" and not recursing and row.relowner != owner:
        for kind in "ai":
            found = dep.sequence_owner(oid, kind)
            if found is not None:
                raise SqlError(
                    errcode.FEATURE_NOT_SUPPORTED, "cannot change owner of sequence",
                    detail=f'Sequence "{row.relname}" is linked to table "{lookup(c.RELOID, found[0]).relname}".',
                )
    if row.relkind == "t" and not recursing:
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'cannot change owner of relation "{row.relname}"',
                       detail=not_supported_detail("t"))
    if row.relowner != owner:
        if not recursing and not acl.superuser():
            acl.require_owner(oa.CLASS, oid)
            _check_new_owner(owner)
            if not acl.object_aclcheck(oa.NAMESPACE, row.relnamespace, owner, acl.ACL_CREATE):
                raise acl.aclcheck_error("schema", str(get_namespace_name(row.relnamespace)))
        changes: dict[str, Any] = {"relowner": owner}
        if row.relacl is not None:
            changes["relacl"] = acl.acl_update_owner(row.relacl, row.relowner, owner)
        update_row(row.copy(**changes), row)
        for attribute in lookup_list(c.ATTNUM, oid):
            if attribute.attacl is not None:
                update_row(
                    attribute.copy(attacl=acl.acl_update_owner(attribute.attacl, row.relowner, owner)), attribute
                )
        if row.relkind not in "ciIt":
            dep.change_owner_dependency(oa.CLASS, oid, owner)
        if row.reltype and row.relkind not in "c":
            change_type_owner(row.reltype, owner, with_dependency=False)
        command_counter_increment()
        for index in scan_rows("pg_index", indrelid=oid):
            change_relation_owner(index.indexrelid, owner, recursing=True)
        if row.reltoastrelid:
            change_relation_owner(row.reltoastrelid, owner, recursing=True)
        if row.relkind in "rmf":
            for sequence in dep.sequences_owned_by(oid):
                change_relation_owner(sequence, owner, recursing=True)


def change_type_owner(oid: int, owner: int, *, with_dependency: bool) -> None:
    """A new owner for a type and its array type (AlterTypeOwnerInternal)."""
    row = lookup(c.TYPEOID, oid)
    changes: dict[str, Any] = {"typowner": owner}
    if row.typacl is not None:
        changes["typacl"] = acl.acl_update_owner(row.typacl, row.typowner, owner)
    update_row(row.copy(**changes), row)
    if with_dependency:
        dep.change_owner_dependency(oa.TYPE, oid, owner)
    if row.typarray:
        change_type_owner(row.typarray, owner, with_dependency=False)


@utility("AlterOwnerStmt")
def alter_owner(statement: Any, _context: UtilityContext) -> None:
    """ALTER ... OWNER TO for everything that is not a relation (ExecAlterOwnerStmt)."""
    owner = role_of(statement.newowner)
    kind = statement.objectType
    address = object_address(kind, statement.object, AccessExclusiveLock)
    assert address is not None
    if address.classid == oa.DATABASE:
        _change_database_owner(address.objid, owner)
        return
    change_owner(address.classid, address.objid, owner)


def change_owner(classid: int, oid: int, owner: int) -> None:
    """A new owner for an object of any class (AlterObjectOwner_internal)."""
    if classid == oa.CLASS:
        change_relation_owner(oid, owner)
        return
    kind = acl.KINDS[classid]
    row = lookup(kind.cache, oid)
    old = getattr(row, kind.owner)
    if old == owner:
        return
    if not acl.superuser():
        acl.require_owner(classid, oid)
        _check_new_owner(owner)
        if classid == oa.NAMESPACE:
            acl.require_privilege(oa.DATABASE, session.database_id, acl.ACL_CREATE)
        else:
            namespace = next((getattr(row, n) for n in row.__slots__ if n.endswith("namespace")), 0)
            if namespace and not acl.object_aclcheck(oa.NAMESPACE, namespace, owner, acl.ACL_CREATE):
                raise acl.aclcheck_error("schema", str(get_namespace_name(namespace)))
    if classid == oa.TYPE:
        if row.typtype == "c":
            relation = lookup(c.RELOID, row.typrelid)
            if relation.relkind != "c":
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE, f"{format_type(oid)} is a table's row type",
                    hint="Use ALTER TABLE instead.",
                )
            update_row(relation.copy(relowner=owner), relation)
        if _is_array(row):
            raise SqlError(
                errcode.WRONG_OBJECT_TYPE, f"cannot alter array type {format_type(oid)}",
                hint=f"You can alter type {format_type(row.typelem)}, which will alter the array type as well.",
            )
        change_type_owner(oid, owner, with_dependency=True)
        return
    changes: dict[str, Any] = {kind.owner: owner}
    if kind.acl and getattr(row, kind.acl) is not None:
        changes[kind.acl] = acl.acl_update_owner(getattr(row, kind.acl), old, owner)
    update_row(row.copy(**changes), row)
    dep.change_owner_dependency(classid, oid, owner)


# Schema


@utility("AlterObjectSchemaStmt")
def alter_schema(statement: Any, _context: UtilityContext) -> None:
    """ALTER ... SET SCHEMA (ExecAlterObjectSchemaStmt)."""
    kind = statement.objectType
    if kind in _RELATIONS:

        def check(relation: Any, oid: int, _old: int) -> None:
            if oid:
                check_alterable(relation, oid, kind)

        oid = range_var_get_relid(
            statement.relation, AccessExclusiveLock, missing_ok=statement.missing_ok, callback=check
        )
        if not oid:
            report(Severity.NOTICE, f'relation "{statement.relation.relname}" does not exist, skipping')
            return
        row = lookup(c.RELOID, oid)
        if row.relkind == "S":
            for letter in "ai":
                found = dep.sequence_owner(oid, letter)
                if found is not None:
                    raise SqlError(
                        errcode.FEATURE_NOT_SUPPORTED, "cannot move an owned sequence into another schema",
                        detail=f'Sequence "{row.relname}" is linked to table "{lookup(c.RELOID, found[0]).relname}".',
                    )
        namespace = lookup_creation_namespace(statement.newschema)
        _check_move(row.relnamespace, namespace)
        move_relation(oid, namespace)
        return
    address = object_address(kind, statement.object, AccessExclusiveLock)
    assert address is not None
    check_object_ownership(address)
    namespace = lookup_creation_namespace(statement.newschema)
    if address.classid == oa.TYPE:
        row = lookup(c.TYPEOID, address.objid)
        _check_move(row.typnamespace, namespace)
        if row.typtype == "c":
            relation = lookup(c.RELOID, row.typrelid)
            if relation.relkind != "c":
                raise SqlError(
                    errcode.WRONG_OBJECT_TYPE, f"{format_type(row.oid)} is a table's row type",
                    hint="Use ALTER TABLE instead.",
                )
            update_row(relation.copy(relnamespace=namespace), relation)
        move_type(row.oid, namespace, with_dependency=True)
        return
    if kind not in _NAMED or not _NAMED[kind][2]:
        raise feature_not_supported(f"SET SCHEMA for objects of type {kind.name}")
    catalog, name, column, noun = _NAMED[kind]
    row = scan_rows(catalog, oid=address.objid)[0]
    old = getattr(row, column)
    _check_move(old, namespace)
    same = [
        r for r in scan_rows(catalog, **{name: getattr(row, name), column: namespace})
        if catalog != "pg_proc" or r.proargtypes == row.proargtypes
    ]  # fmt: skip
    if same:
        raise SqlError(
            errcode.DUPLICATE_OBJECT,
            f'{noun} "{getattr(row, name)}" already exists in schema "{get_namespace_name(namespace)}"',
        )
    update_row(row.copy(**{column: namespace}), row)
    dep.change_dependency(address.classid, address.objid, oa.NAMESPACE, old, namespace)


def _check_move(old: int, new: int) -> None:
    """What may not be moved (CheckSetNamespace)."""
    if is_any_temp_namespace(old) or is_any_temp_namespace(new):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot move objects into or out of temporary schemas")
    if 99 in (old, new):
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "cannot move objects into or out of TOAST schema")


def move_relation(oid: int, namespace: int) -> None:
    """Move a relation with its type, indexes, constraints and sequences (AlterTableNamespaceInternal)."""
    row = lookup(c.RELOID, oid)
    old = row.relnamespace
    if old == namespace:
        return
    if get_relname_relid(row.relname, namespace):
        raise SqlError(
            errcode.DUPLICATE_TABLE,
            f'relation "{row.relname}" already exists in schema "{get_namespace_name(namespace)}"',
        )
    update_row(row.copy(relnamespace=namespace), row)
    dep.change_dependency(oa.CLASS, oid, oa.NAMESPACE, old, namespace)
    if row.reltype:
        move_type(row.reltype, namespace, with_dependency=False)
    if row.relkind in "rmp":
        for index in scan_rows("pg_index", indrelid=oid):
            own = lookup(c.RELOID, index.indexrelid)
            update_row(own.copy(relnamespace=namespace), own)
        for sequence in dep.sequences_owned_by(oid):
            own = lookup(c.RELOID, sequence)
            update_row(own.copy(relnamespace=namespace), own)
            dep.change_dependency(oa.CLASS, sequence, oa.NAMESPACE, old, namespace)
        for constraint in scan_rows("pg_constraint", conrelid=oid):
            update_row(constraint.copy(connamespace=namespace), constraint)
    command_counter_increment()


def move_type(oid: int, namespace: int, *, with_dependency: bool) -> None:
    """Move a type with its array type (AlterTypeNamespaceInternal)."""
    row = lookup(c.TYPEOID, oid)
    old = row.typnamespace
    if lookup(c.TYPENAMENSP, row.typname, namespace) is not None:
        raise SqlError(
            errcode.DUPLICATE_OBJECT,
            f'type "{row.typname}" already exists in schema "{get_namespace_name(namespace)}"',
        )
    update_row(row.copy(typnamespace=namespace), row)
    if with_dependency:
        dep.change_dependency(oa.TYPE, oid, oa.NAMESPACE, old, namespace)
        for constraint in scan_rows("pg_constraint", contypid=oid):
            update_row(constraint.copy(connamespace=namespace), constraint)
    if row.typarray:
        move_type(row.typarray, namespace, with_dependency=False)

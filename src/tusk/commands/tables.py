"""CREATE TABLE, and what happens to temporary tables at commit (tablecmds.c's DefineRelation)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tusk.catalog import acl, heap, toasting
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import objectaddress as oa
from tusk.catalog._tuples import command_counter_increment
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.namespace import (
    get_relname_relid,
    range_var_adjust_persistence,
    range_var_get_creation_namespace,
)
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.session import session
from tusk.commands import constraints, sequences
from tusk.commands.options import storage_parameters
from tusk.commands.table_definition import Definition, check_column_type
from tusk.commands.utility import UtilityContext, utility
from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, feature_not_supported, report
from tusk.sql.nodes import enums
from tusk.transaction import xact

GLOBAL_TABLESPACE = 1664


def creation_namespace(relation: Any) -> tuple[int, str]:
    """(schema, persistence) of a relation to be created; 42501 without CREATE on the schema."""
    namespace = range_var_get_creation_namespace(relation)
    acl.require_privilege(oa.NAMESPACE, namespace, acl.ACL_CREATE)
    return namespace, range_var_adjust_persistence(relation, namespace)


def tablespace_oid(name: str, missing_ok: bool = False) -> int:
    """The OID of a tablespace."""
    rows = scan_rows("pg_tablespace", spcname=name)
    if not rows:
        if missing_ok:
            return 0
        raise SqlError(errcode.UNDEFINED_OBJECT, f'tablespace "{name}" does not exist')
    oid: int = rows[0].oid
    return oid


def chosen_tablespace(name: str | None, persistence: str) -> int:
    """The tablespace of a new relation, 0 for the database's own."""
    if name:
        oid = tablespace_oid(name)
    elif persistence == "t":
        oid = 0
        first = str(settings.temp_tablespaces).split(",")[0].strip()
        if first:
            oid = tablespace_oid(first.strip('"'), missing_ok=True)
    else:
        oid = tablespace_oid(str(settings.default_tablespace), True) if settings.default_tablespace else 0
    if oid and oid != session.database_tablespace:
        acl.require_privilege(oa.TABLESPACE, oid, acl.ACL_CREATE)
        if oid == GLOBAL_TABLESPACE:
            raise SqlError(
                errcode.INVALID_PARAMETER_VALUE, "only shared relations can be placed in pg_global tablespace"
            )
    return 0 if oid == session.database_tablespace else oid


def access_method_oid(name: str | None) -> int:
    """The table access method of a new table."""
    wanted = name or str(settings.default_table_access_method)
    row = lookup(c.AMNAME, wanted)
    if row is None:
        raise SqlError(errcode.UNDEFINED_OBJECT, f'access method "{wanted}" does not exist')
    if row.amtype != "t":
        raise SqlError(errcode.WRONG_OBJECT_TYPE, f'access method "{wanted}" is not of type TABLE')
    oid: int = row.oid
    return oid


STORAGE_LETTERS = {"plain": "p", "external": "e", "extended": "x", "main": "m"}


def storage_letter(name: str, type_oid: int) -> str:
    """attstorage for SET STORAGE's word (GetAttributeStorage)."""
    kind = lookup(c.TYPEOID, type_oid)
    if name.lower() == "default":
        letter: str = kind.typstorage
        return letter
    found = STORAGE_LETTERS.get(name.lower())
    if found is None:
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid storage type "{name}"')
    if found != "p" and (kind.typlen != -1 or kind.typstorage == "p"):
        from tusk.catalog.names import format_type

        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f"column data type {format_type(type_oid)} can only have storage PLAIN"
        )
    return found


def compression_letter(name: str | None, type_oid: int) -> str:
    """attcompression for a COMPRESSION clause (GetAttributeCompression)."""
    if name is None or name == "default":
        return ""
    kind = lookup(c.TYPEOID, type_oid)
    if kind.typstorage == "p" or kind.typlen != -1:
        from tusk.catalog.names import format_type

        raise SqlError(
            errcode.FEATURE_NOT_SUPPORTED, f"column data type {format_type(type_oid)} does not support compression"
        )
    if name not in ("pglz", "lz4"):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid compression method "{name}"')
    return "p" if name == "pglz" else "l"


def relation_column(planned: Any) -> heap.Column:
    """A planned column as the catalogs take it."""
    node = planned.node

    def letter(text: str | None) -> str:
        return "" if text is None or text == "\x00" else text

    storage = letter(node.storage)
    if node.storage_name:
        storage = storage_letter(node.storage_name, planned.type_oid)
    array_bounds = node.typeName.arrayBounds if node.typeName is not None else []
    return heap.Column(
        node.colname, planned.type_oid, planned.typmod, planned.collation, ndims=len(array_bounds),
        not_null=planned.not_null, storage=storage,
        compression=compression_letter(node.compression, planned.type_oid),
        identity=letter(node.identity), generated=letter(node.generated),
    )


def check_type_usage(type_oid: int) -> None:
    """42501 without USAGE on a type."""
    if not acl.object_aclcheck(oa.TYPE, type_oid, session.current_user_id, acl.ACL_USAGE):
        from tusk.catalog.names import format_type

        raise SqlError(errcode.INSUFFICIENT_PRIVILEGE, f"permission denied for type {format_type(type_oid)}")


@utility("CreateStmt")
def create_table(statement: Any, context: UtilityContext) -> None:
    """CREATE TABLE."""
    relation = statement.relation
    for feature, given in (
        ("partitioned tables", statement.partspec), ("partitions", statement.partbound),
        ("table inheritance", statement.inhRelations), ("typed tables", statement.ofTypename),
    ):  # fmt: skip
        if given:
            raise feature_not_supported(feature)
    if statement.oncommit != enums.ONCOMMIT_NOOP and relation.relpersistence != "t":
        raise SqlError(errcode.INVALID_TABLE_DEFINITION, "ON COMMIT can only be used on temporary tables")
    namespace, persistence = creation_namespace(relation)
    if statement.if_not_exists and get_relname_relid(relation.relname, namespace):
        report(Severity.NOTICE, f'relation "{relation.relname}" already exists, skipping',
               sqlstate=errcode.DUPLICATE_TABLE)
        return
    if session.in_restricted_operation() and persistence == "t":
        raise SqlError(
            errcode.INSUFFICIENT_PRIVILEGE,
            "cannot create temporary table within security-restricted operation",
        )
    definition = Definition(context, relation.relname, namespace, persistence)
    definition.add_elements(statement.tableElts)
    relid = define_table(definition, statement)
    if statement.oncommit != enums.ONCOMMIT_NOOP:
        register_on_commit(relid, statement.oncommit)


def define_table(definition: Definition, statement: Any) -> int:
    """Create the table that a definition describes, with everything that belongs to it."""
    tablespace = chosen_tablespace(statement.tablespacename, definition.persistence)
    options = storage_parameters(statement.options, "t", namespaces=("toast",))
    toast_options = storage_parameters(statement.options, "T", namespace="toast", namespaces=("toast",))
    constraints.prepare_index_constraints(definition)
    for planned in definition.columns:
        check_type_usage(planned.type_oid)
    columns = [relation_column(planned) for planned in definition.columns]
    heap.check_column_names(columns, "r")
    for column in columns:
        check_column_type(column.name, column.type_oid, column.collation)
    created_sequences = create_sequences(definition)
    constraints.resolve_not_nulls(definition, columns)
    relid = heap.create_relation(
        definition.relname, definition.namespace, columns, persistence=definition.persistence, tablespace=tablespace,
        access_method=access_method_oid(statement.accessMethod), options=options,
    )  # fmt: skip
    constraints.add_defaults(relid, definition)
    constraints.add_checks(relid, definition.checks, definition.context, is_new=True)
    constraints.add_not_nulls(relid, definition.not_nulls)
    command_counter_increment()
    toasting.create_toast_table(relid, toast_options)
    for oid, sequence in created_sequences:
        own_sequence(oid, relid, sequence)
    constraints.add_indexes(relid, definition)
    if definition.likes:
        from tusk.commands.table_like import expand_likes

        expand_likes(relid, definition)
    constraints.add_foreign_keys(relid, definition.foreign_keys, definition.context, is_new=True)
    return relid


def create_sequences(definition: Definition) -> list[tuple[int, Any]]:
    """Create the sequences of serial and identity columns; (OID, plan) of each."""
    return [
        (
            sequences.define_sequence(
                sequence.name, sequence.namespace, sequence.options, persistence=definition.persistence,
                for_identity=sequence.identity,
            ),
            sequence,
        )
        for sequence in definition.sequences
    ]


def own_sequence(oid: int, relid: int, sequence: Any) -> None:
    """Make a column the owner of its sequence."""
    attnum = lookup(c.ATTNAME, relid, sequence.column).attnum
    kind = dep.INTERNAL if sequence.identity else dep.AUTO
    dep.record_dependency(ObjectAddress(oa.CLASS, oid), ObjectAddress(oa.CLASS, relid, attnum), kind)
    command_counter_increment()


# ON COMMIT


@dataclass
class _OnCommit:
    relid: int
    action: Any
    created_in: int
    deleted_in: int = 0


_on_commit: list[_OnCommit] = []


def register_on_commit(relid: int, action: Any) -> None:
    """Remember what to do with a temporary table at commit (register_on_commit_action)."""
    if action in (enums.ONCOMMIT_NOOP, enums.ONCOMMIT_PRESERVE_ROWS):
        return
    _on_commit.append(_OnCommit(relid, action, xact.current_subtransaction_id()))


def _table_dropped(address: ObjectAddress) -> None:
    if address.classid == oa.CLASS and not address.subid:
        for item in _on_commit:
            if item.relid == address.objid:
                item.deleted_in = xact.current_subtransaction_id()


dep.post_drop_hooks.append(_table_dropped)


def _before_commit() -> None:
    """Empty or drop the tables that want it (PreCommit_on_commit_actions)."""
    live = [item for item in _on_commit if not item.deleted_in]
    emptied = [item.relid for item in live if item.action == enums.ONCOMMIT_DELETE_ROWS]
    if emptied:
        from tusk.commands.truncate import empty_tables

        empty_tables(emptied)
        command_counter_increment()
    dropped = [ObjectAddress(oa.CLASS, item.relid) for item in live if item.action == enums.ONCOMMIT_DROP]
    if dropped:
        dep.perform_multiple_deletions(dropped, dep.CASCADE, dep.DELETION_INTERNAL | dep.DELETION_QUIETLY)


def _after_commit() -> None:
    _on_commit[:] = [item for item in _on_commit if not item.deleted_in]
    for item in _on_commit:
        item.created_in = 0


def _after_abort() -> None:
    _on_commit[:] = [item for item in _on_commit if not item.created_in]
    for item in _on_commit:
        item.deleted_in = 0


def _after_subcommit(subid: int, parent: int) -> None:
    for item in _on_commit:
        if item.created_in == subid:
            item.created_in = parent
        if item.deleted_in == subid:
            item.deleted_in = parent


def _after_subabort(subid: int, _parent: int) -> None:
    _on_commit[:] = [item for item in _on_commit if item.created_in != subid]
    for item in _on_commit:
        if item.deleted_in == subid:
            item.deleted_in = 0


xact.on_pre_commit(_before_commit, _on_commit)
xact.on_post_commit(_after_commit, _on_commit)
xact.on_post_abort(_after_abort)
xact.on_subcommit(_after_subcommit)
xact.on_subabort(_after_subabort)


"""Creating and dropping indexes in the catalogs (index.c, catalog/index.h)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tusk.access._index import index_build, index_build_empty
from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import inval
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import forget_relation, note_new_relation, relation_close, relation_open
from tusk.catalog._tuples import (
    command_counter_increment,
    current_sub_transaction_id,
    delete_row,
    insert_row,
    new_relfilenumber,
    update_row,
    update_row_inplace,
)
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.heap import create_constraint, locator_of
from tusk.catalog.namespace import get_relname_relid
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgAttribute, PgClass, PgIndex
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.stats import _pending as statistics
from tusk.stats import progress
from tusk.transaction import _pending

BTREE_AM_OID = 403
DEFAULT_COLLATION_OID = 100
INDEX_MAX_KEYS = 32
_INIT_FORK = 3

# Set by `sql`: (node tree text) -> (type, typmod, collation, column name) of an index expression.
describe_expression: Callable[[str, int], list[tuple[int, int, int, str]]] | None = None


def _column_rows(
    index_oid: int,
    heap_attributes: dict[int, Any],
    keys: Sequence[int],
    names: Sequence[str],
    opclasses: Sequence[int],
    collations: Sequence[int],
    expressions: Sequence[tuple[int, int, int, str]],
) -> list[PgAttribute]:
    """pg_attribute rows of the index's columns (ConstructTupleDescriptor)."""
    rows = []
    pending = list(expressions)
    for i, attnum in enumerate(keys):
        if attnum:
            source = heap_attributes[attnum]
            type_oid, typmod, ndims = source.atttypid, source.atttypmod, source.attndims
            length, by_value, align = source.attlen, source.attbyval, source.attalign
            storage, compression = source.attstorage, source.attcompression
            name = names[i] if names else source.attname
        else:
            type_oid, typmod, _collation, name = pending.pop(0)
            if names:
                name = names[i]
            kind = lookup(c.TYPEOID, type_oid)
            ndims, compression = 0, ""
            length, by_value, align, storage = kind.typlen, kind.typbyval, kind.typalign, kind.typstorage
        if i < len(opclasses):
            opclass = lookup(c.CLAOID, opclasses[i])
            key_type = opclass.opckeytype
            if key_type == 2283 and opclass.opcintype == 2277:
                key_type = lookup(c.TYPEOID, type_oid).typelem
            if key_type and key_type != type_oid and key_type != 2283:
                kind = lookup(c.TYPEOID, key_type)
                type_oid, typmod, compression = key_type, -1, ""
                length, by_value, align, storage = kind.typlen, kind.typbyval, kind.typalign, kind.typstorage
        rows.append(
            PgAttribute(
                attrelid=index_oid, attname=name, atttypid=type_oid, attlen=length, attnum=i + 1, atttypmod=typmod,
                attndims=ndims, attbyval=by_value, attalign=align, attstorage=storage, attcompression=compression,
                attnotnull=False, atthasdef=False, atthasmissing=False, attidentity="", attgenerated="",
                attisdropped=False, attislocal=True, attinhcount=0,
                attcollation=collations[i] if i < len(collations) else 0,
            )
        )  # fmt: skip
    return rows


def create_index(
    heap_oid: int,
    name: str,
    keys: Sequence[int],
    *,
    opclasses: Sequence[int],
    collations: Sequence[int],
    options_by_column: Sequence[int] | None = None,
    nkeys: int | None = None,
    column_names: Sequence[str] = (),
    access_method: int = BTREE_AM_OID,
    tablespace: int = 0,
    reloptions: tuple[str, ...] | None = None,
    expressions: str | None = None,
    expression_columns: Sequence[tuple[int, int, int, str]] = (),
    predicate: str | None = None,
    references: Iterable[ObjectAddress] = (),
    unique: bool = False,
    primary: bool = False,
    nulls_not_distinct: bool = False,
    constraint: str | None = None,
    deferrable: bool = False,
    deferred: bool = False,
    exclusion_operators: Sequence[int] = (),
    without_overlaps: bool = False,
    constraint_is_local: bool = True,
    constraint_inherit_count: int = 0,
    no_inherit: bool = True,
    parent_index: int = 0,
    parent_constraint: int = 0,
    concurrent: bool = False,
    skip_build: bool = False,
    toast_index: bool = False,
    partitioned: bool = False,
    invalid: bool = False,
    oid: int = 0,
) -> tuple[int, int]:
    """Create an index and build it; returns (index OID, constraint OID or 0) (index_create).

    ``keys`` are attribute numbers, 0 for the next expression; the first ``nkeys`` are key columns, the rest INCLUDEd.
    ``constraint`` is "p", "u" or "x" to make it the index of a constraint of the same name. The caller holds
    ShareLock or stronger on the table.
    """
    nkeys = len(keys) if nkeys is None else nkeys
    if len(keys) > INDEX_MAX_KEYS:
        raise SqlError(errcode.TOO_MANY_COLUMNS, f"cannot use more than {INDEX_MAX_KEYS} columns in an index")
    heap = relation_open(heap_oid, 0)
    try:
        table = heap.form
        namespace = table.relnamespace
        if get_relname_relid(name, namespace):
            raise SqlError(errcode.DUPLICATE_TABLE, f'relation "{name}" already exists')
        if constraint is not None and any(row.conname == name for row in scan_rows("pg_constraint", conrelid=heap_oid)):
            raise SqlError(
                errcode.DUPLICATE_OBJECT, f'constraint "{name}" for relation "{table.relname}" already exists'
            )
        if tablespace == session.database_tablespace:
            tablespace = 0
        index_oid = oid or new_relfilenumber(tablespace, table.relpersistence, table.relisshared)
        attributes = {row.attnum: row for row in scan_rows("pg_attribute", attrelid=heap_oid)}
        columns = _column_rows(index_oid, attributes, keys, column_names, opclasses, collations, expression_columns)
        if toast_index:
            for column, label in zip(columns, ("chunk_id", "chunk_seq"), strict=True):
                column.attname = label
        row = PgClass(
            oid=index_oid, relname=name, relnamespace=namespace, reltype=0, reloftype=0, relowner=table.relowner,
            relam=access_method, relfilenode=0 if partitioned else index_oid, reltablespace=tablespace, relpages=0,
            reltuples=-1.0 if partitioned else 0.0, relallvisible=0, relallfrozen=0, reltoastrelid=0,
            relhasindex=False, relisshared=table.relisshared, relpersistence=table.relpersistence,
            relkind="I" if partitioned else "i", relnatts=len(keys), relchecks=0, relhasrules=False,
            relhastriggers=False, relhassubclass=False, relrowsecurity=False, relforcerowsecurity=False,
            relispopulated=True, relreplident="n", relispartition=parent_index != 0, relrewrite=0, relfrozenxid=0,
            relminmxid=0, reloptions=reloptions,
        )  # fmt: skip
        insert_row(row)
        for column in columns:
            insert_row(column)
        insert_row(
            PgIndex(
                indexrelid=index_oid, indrelid=heap_oid, indnatts=len(keys), indnkeyatts=nkeys, indisunique=unique,
                indnullsnotdistinct=nulls_not_distinct, indisprimary=primary,
                indisexclusion=bool(exclusion_operators), indimmediate=not deferrable, indisclustered=False,
                indisvalid=not concurrent and not invalid, indcheckxmin=False, indisready=not concurrent,
                indislive=True, indisreplident=False, indkey=tuple(keys),
                indcollation=tuple(collations) + (0,) * (nkeys - len(collations)), indclass=tuple(opclasses),
                indoption=tuple(options_by_column or (0,) * nkeys), indexprs=expressions, indpred=predicate,
            )
        )  # fmt: skip
        if not partitioned:
            statistics.created(statistics.RELATION, 0 if table.relisshared else session.database_id, index_oid)
            _pending.create_storage(locator_of(row), table.relpersistence)
            if table.relpersistence == "u":
                _pending.create_fork(locator_of(row), 3, True)
        note_new_relation(index_oid, current_sub_transaction_id())
        inval.invalidate_relcache(heap_oid, table.relisshared)
        constraint_oid = 0
        if not toast_index and namespace != 11:
            constraint_oid = _record_index(
                index_oid, heap_oid, name, namespace, keys, nkeys, opclasses, collations, list(references), constraint,
                deferrable, deferred, exclusion_operators, without_overlaps, constraint_is_local,
                constraint_inherit_count, no_inherit, parent_index, parent_constraint, bool(expressions or predicate),
            )  # fmt: skip
        if parent_index:
            dep.record_dependency(
                ObjectAddress(oa.CLASS, index_oid), ObjectAddress(oa.CLASS, parent_index), dep.PARTITION_PRI
            )
            dep.record_dependency(
                ObjectAddress(oa.CLASS, index_oid), ObjectAddress(oa.CLASS, heap_oid), dep.PARTITION_SEC
            )
        command_counter_increment()
        if not skip_build and not partitioned:
            build(heap_oid, index_oid)
        elif not table.relhasindex:
            _set_has_index(heap_oid)
        command_counter_increment()
        return index_oid, constraint_oid
    finally:
        relation_close(heap, 0)


def _record_index(
    index_oid: int, heap_oid: int, name: str, namespace: int, keys: Sequence[int], nkeys: int,
    opclasses: Sequence[int], collations: Sequence[int], references: list[ObjectAddress], constraint: str | None,
    deferrable: bool, deferred: bool, exclusion_operators: Sequence[int], without_overlaps: bool, is_local: bool,
    inherit_count: int, no_inherit: bool, parent_index: int, parent_constraint: int, has_expressions: bool,
) -> int:  # fmt: skip
    """What the index depends on, and its constraint; returns the constraint's OID."""
    own = ObjectAddress(oa.CLASS, index_oid)
    constraint_oid = 0
    if constraint is not None:
        constraint_oid = create_constraint(
            name, namespace, constraint, relation=heap_oid, keys=list(keys[:nkeys]), total_keys=list(keys),
            index=index_oid, parent=parent_constraint, deferrable=deferrable, deferred=deferred,
            exclusion_operators=exclusion_operators, is_local=is_local, inherit_count=inherit_count,
            no_inherit=no_inherit, period=without_overlaps,
        )  # fmt: skip
        dep.record_dependency(own, ObjectAddress(oa.CONSTRAINT, constraint_oid), dep.INTERNAL)
    else:
        columns = dict.fromkeys(attnum for attnum in keys if attnum)
        kind = dep.AUTO
        dep.record_dependencies(own, [ObjectAddress(oa.CLASS, heap_oid, attnum) for attnum in columns], kind)
        if not columns and not (has_expressions and any(t.objid == heap_oid for t in references)):
            dep.record_dependency(own, ObjectAddress(oa.CLASS, heap_oid), kind)
    wanted = [
        ObjectAddress(oa.COLLATION, oid) for oid in dict.fromkeys(collations) if oid not in (0, DEFAULT_COLLATION_OID)
    ]
    wanted += [ObjectAddress(oa.OPCLASS, oid) for oid in dict.fromkeys(opclasses)]
    dep.record_dependencies(own, wanted)
    unique_references = list(dict.fromkeys(references))
    on_table = [t for t in unique_references if t.classid == oa.CLASS and t.objid == heap_oid and t.subid not in keys]
    dep.record_dependencies(own, on_table, dep.AUTO)
    dep.record_dependencies(
        own, [t for t in unique_references if not (t.classid == oa.CLASS and t.objid == heap_oid)], dep.NORMAL
    )
    del parent_index
    return constraint_oid


def build(heap_oid: int, index_oid: int) -> None:
    """Fill an index from its table and note the sizes (index_build)."""
    heap = relation_open(heap_oid, 0)
    index = relation_open(index_oid, 8)
    if progress.current_command() == progress.COMMAND_CREATE_INDEX:
        at = progress.CreateIndex
        progress.update_multi({
            at.INDEX_OID: index_oid, at.PHASE: progress.CreateIndexPhase.BUILD, at.SUBPHASE: 1, at.TUPLES_DONE: 0,
            at.TUPLES_TOTAL: 0, at.SCAN_BLOCKS_DONE: 0, at.SCAN_BLOCKS_TOTAL: 0,
        })
    try:
        heap_tuples, index_tuples, broken_hot_chain = index_build(heap, index)
        if index.persistence == "u":
            index_build_empty(index, _INIT_FORK)
    finally:
        relation_close(index, 0)
        relation_close(heap, 0)
    update_statistics(heap_oid, heap_tuples, has_index=True)
    update_statistics(index_oid, index_tuples, has_index=False)
    if broken_hot_chain:
        # Snapshots older than this transaction may want row versions that the index has no entry for.
        row = lookup(c.INDEXRELID, index_oid)
        if not row.indcheckxmin:
            update_row(row.copy(indcheckxmin=True), row)
            inval.invalidate_relcache(heap_oid, False)
    command_counter_increment()


# Set by `access`: (relation) -> number of blocks of its main fork.
count_blocks: Callable[[Any], int] | None = None


def update_statistics(oid: int, tuples: float, *, has_index: bool) -> None:
    """Note pages and tuples in pg_class, and that there is an index (index_update_stats)."""
    row = lookup(c.RELOID, oid)
    changes: dict[str, Any] = {}
    if has_index and not row.relhasindex:
        changes["relhasindex"] = True
    if row.relkind not in "pI" and tuples >= 0 and count_blocks is not None:
        rel = relation_open(oid, 0)
        pages = count_blocks(rel)
        relation_close(rel, 0)
        if pages == 0 and tuples == 0 and row.reltuples < 0:
            # An empty table stays "never counted", so that the planner keeps assuming some rows.
            tuples = -1.0
        if row.relpages != pages:
            changes["relpages"] = pages
        if row.reltuples != tuples:
            changes["reltuples"] = float(tuples)
    if changes:
        while not update_row_inplace(row.copy(**changes)):
            row = lookup(c.RELOID, oid)
    else:
        inval.invalidate_relcache(oid, row.relisshared)


def _set_has_index(oid: int) -> None:
    row = lookup(c.RELOID, oid)
    if not row.relhasindex:
        update_row(row.copy(relhasindex=True), row)


def drop_index(address: ObjectAddress, _flags: int) -> None:
    """Remove an index from the catalogs, and its file at commit (index_drop)."""
    oid = address.objid
    index_row = lookup(c.INDEXRELID, oid)
    row = lookup(c.RELOID, oid)
    heap = relation_open(index_row.indrelid, 8)
    index = relation_open(oid, 8)
    try:
        if index.refcount > 1:
            raise SqlError(
                errcode.OBJECT_IN_USE,
                f'cannot DROP INDEX "{row.relname}" because it is being used by active queries in this session',
            )
        if row.relkind == "i":
            _pending.drop_storage(index.locator, index.rd_backend)
        statistics.dropped(statistics.RELATION, 0 if index.is_shared else session.database_id, oid)
    finally:
        relation_close(index, 0)
        relation_close(heap, 0)
    if index_row.indexprs is not None:
        for statistic in scan_rows("pg_statistic", starelid=oid):
            delete_row(statistic)
    delete_row(index_row)
    for attribute in scan_rows("pg_attribute", attrelid=oid):
        delete_row(attribute)
    for inherits in scan_rows("pg_inherits", inhrelid=oid):
        delete_row(inherits)
    delete_row(row)
    forget_relation(oid)
    inval.invalidate_relcache(index_row.indrelid, row.relisshared)


dep.droppers[-oa.CLASS] = drop_index

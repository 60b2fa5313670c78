"""Creating and dropping relations in the catalogs: tables, views, sequences, composite types, TOAST tables (heap.c).

Everything here changes catalogs only, and files through `transaction._pending`; checks of what the user may do and
parsing of expressions are the callers'. Expressions come as node trees with the objects they refer to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from tusk.catalog import cache as c
from tusk.catalog import dependency as dep
from tusk.catalog import inval, relmap
from tusk.catalog import namespace as namespaces
from tusk.catalog import objectaddress as oa
from tusk.catalog._relcache import forget_relation, note_new_relation, relation_close, relation_open
from tusk.catalog._tuples import (
    command_counter_increment,
    current_sub_transaction_id,
    delete_row,
    insert_row,
    new_oid,
    new_relation_horizon,
    new_relfilenumber,
    update_row,
)
from tusk.catalog.acl import Acl, acl_members, default_acl_for_new_object
from tusk.catalog.cache import lookup, scan_rows
from tusk.catalog.facts import builtin_rows
from tusk.catalog.namespace import get_relname_relid, truncate_identifier
from tusk.catalog.objectaddress import ObjectAddress
from tusk.catalog.rows import PgAttrdef, PgAttribute, PgClass, PgConstraint
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode
from tusk.stats import _pending as statistics
from tusk.transaction import _pending

HEAP_TABLE_AM_OID = 2
DEFAULT_COLLATION_OID = 100
GLOBAL_TABLESPACE = 1664
TOAST_NAMESPACE = 99
MAX_HEAP_ATTRIBUTES = 1600
STORED_KINDS = "rtmiS"
TABLE_AM_KINDS = "rtm"
TYPED_KINDS = "rvmfcp"
_ACCESS_EXCLUSIVE = 8


@dataclass
class Column:
    """A column to be created."""

    name: str
    type_oid: int
    typmod: int = -1
    collation: int = 0
    ndims: int = 0
    not_null: bool = False
    storage: str = ""
    compression: str = ""
    identity: str = ""
    generated: str = ""
    is_local: bool = True
    inherit_count: int = 0
    statistics_target: int | None = None
    has_default: bool = False

    def row(self, relation: int, attnum: int) -> PgAttribute:
        """The pg_attribute row."""
        kind = lookup(c.TYPEOID, self.type_oid)
        if kind is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for type {self.type_oid}")
        return PgAttribute(
            attrelid=relation, attname=self.name, atttypid=self.type_oid, attlen=kind.typlen, attnum=attnum,
            atttypmod=self.typmod, attndims=self.ndims, attbyval=kind.typbyval, attalign=kind.typalign,
            attstorage=self.storage or kind.typstorage, attcompression=self.compression, attnotnull=self.not_null,
            atthasdef=self.has_default, atthasmissing=False, attidentity=self.identity, attgenerated=self.generated,
            attisdropped=False, attislocal=self.is_local, attinhcount=self.inherit_count, attcollation=self.collation,
            attstattarget=self.statistics_target,
        )  # fmt: skip


SYSTEM_COLUMN_NAMES = ("tableoid", "cmax", "xmax", "cmin", "xmin", "ctid")


def system_columns(relation: int) -> list[PgAttribute]:
    """The pg_attribute rows of the system columns, from -1 on."""
    rows = [row for row in builtin_rows("pg_attribute") if row.attrelid == PgClass.catalog_oid and row.attnum < 0]
    return [row.copy(attrelid=relation) for row in sorted(rows, key=lambda row: -row.attnum)]


def check_column_names(columns: Sequence[Column], relkind: str) -> None:
    """Raise if there are too many columns, doubles, or names of system columns (CheckAttributeNamesTypes)."""
    if len(columns) > MAX_HEAP_ATTRIBUTES:
        raise SqlError(errcode.TOO_MANY_COLUMNS, f"tables can have at most {MAX_HEAP_ATTRIBUTES} columns")
    seen = set()
    for column in columns:
        if relkind not in "vc" and column.name in SYSTEM_COLUMN_NAMES:
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column name "{column.name}" conflicts with a system column name')
        if column.name in seen:
            raise SqlError(errcode.DUPLICATE_COLUMN, f'column "{column.name}" specified more than once')
        seen.add(column.name)


def array_type_name(name: str, namespace: int) -> str:
    """A free name for the array type of a type (makeArrayTypeName)."""
    candidate = truncate_identifier("_" + name)
    suffix = 0
    while lookup(c.TYPENAMENSP, candidate, namespace) is not None:
        suffix += 1
        tail = f"_{suffix}"
        candidate = truncate_identifier("_" + name)[: 63 - len(tail)] + tail
    return candidate


def move_array_type_away(oid: int) -> bool:
    """Rename an auto-generated array type that is in the way of a new type's name (moveArrayTypeName)."""
    row = lookup(c.TYPEOID, oid)
    if row is None or not row.typelem or row.typsubscript != 6179:
        return False
    element = lookup(c.TYPEOID, row.typelem)
    if element is None or element.typarray != oid:
        return False
    update_row(row.copy(typname=array_type_name(element.typname, row.typnamespace)), row)
    command_counter_increment()
    return True


def array_type_row(
    oid: int, name: str, namespace: int, owner: int, element: int, element_align: str, collation: int = 0
) -> Any:
    """The pg_type row of an array type."""
    template = next(row for row in builtin_rows("pg_type") if row.typname == "_oid")
    return template.copy(
        oid=oid,
        typname=name,
        typnamespace=namespace,
        typowner=owner,
        typelem=element,
        typarray=0,
        t_self=None,
        typalign="d" if element_align == "d" else "i",
        typcollation=collation,
        typacl=None,
    )


def record_type_dependencies(
    row: Any, *, relation_kind: str = "", is_implicit_array: bool = False, extra: Iterable[ObjectAddress] = ()
) -> None:
    """The dependencies of a new type on what it is made of (GenerateTypeDependencies)."""
    own = ObjectAddress(oa.TYPE, row.oid)
    dependent_type = is_implicit_array or relation_kind == "c" or bool(row.typrelid and relation_kind)
    if not is_implicit_array and (not row.typrelid or relation_kind == "c"):
        if not (row.typrelid and relation_kind != "c"):
            dep.record_dependency(own, ObjectAddress(oa.NAMESPACE, row.typnamespace))
            dep.record_owner(oa.TYPE, row.oid, row.typowner)
            if row.typacl:
                dep.update_acl_dependencies(oa.TYPE, row.oid, 0, row.typowner, set(), acl_members(row.typacl))
    functions = (row.typinput, row.typoutput, row.typreceive, row.typsend, row.typmodin, row.typmodout, row.typanalyze,
                 row.typsubscript)  # fmt: skip
    dep.record_dependencies(own, [ObjectAddress(oa.PROC, oid) for oid in functions if oid])
    if row.typrelid:
        relation = ObjectAddress(oa.CLASS, row.typrelid)
        if relation_kind != "c":
            dep.record_dependency(own, relation, dep.INTERNAL)
        else:
            dep.record_dependency(relation, own, dep.INTERNAL)
    if row.typelem:
        kind = dep.INTERNAL if is_implicit_array else dep.NORMAL
        dep.record_dependency(own, ObjectAddress(oa.TYPE, row.typelem), kind)
    if row.typbasetype:
        dep.record_dependency(own, ObjectAddress(oa.TYPE, row.typbasetype))
    if row.typcollation and row.typcollation != DEFAULT_COLLATION_OID:
        dep.record_dependency(own, ObjectAddress(oa.COLLATION, row.typcollation))
    dep.record_dependencies(own, extra)
    del dependent_type


def _row_type(oid: int, name: str, namespace: int, owner: int, relation: int, array: int) -> Any:
    template = next(row for row in builtin_rows("pg_type") if row.typrelid == PgClass.catalog_oid)
    return template.copy(
        oid=oid,
        typname=name,
        typnamespace=namespace,
        typowner=owner,
        typrelid=relation,
        typarray=array,
        typacl=default_acl_for_new_object("type", owner, namespace),
    )


def create_relation(
    name: str,
    namespace: int,
    columns: Sequence[Column],
    *,
    relkind: str = "r",
    persistence: str = "p",
    tablespace: int = 0,
    owner: int | None = None,
    access_method: int = HEAP_TABLE_AM_OID,
    of_type: int = 0,
    options: tuple[str, ...] | None = None,
    use_default_acl: bool = True,
    rewrite_of: int = 0,
    oid: int = 0,
    shared: bool = False,
    mapped: bool = False,
    extra_dependencies: Iterable[ObjectAddress] = (),
) -> int:
    """Create a relation with its columns, row type and file; returns its OID (heap_create_with_catalog).

    The caller holds no lock; the relation is visible after the next command counter increment, made here.
    """
    owner = session.current_user_id if owner is None else owner
    check_column_names(columns, relkind)
    if get_relname_relid(name, namespace):
        raise SqlError(errcode.DUPLICATE_TABLE, f'relation "{name}" already exists')
    existing_type = lookup(c.TYPENAMENSP, name, namespace) if relkind in TYPED_KINDS else None
    if existing_type is not None and not move_array_type_away(existing_type.oid):
        raise SqlError(
            errcode.DUPLICATE_OBJECT,
            f'type "{name}" already exists',
            hint="A relation has an associated type of the same name, so you must use a name that doesn't conflict "
            "with any existing type.",
        )
    if tablespace == session.database_tablespace:
        tablespace = 0
    relid = oid or new_relfilenumber(tablespace, persistence, shared)
    # Nobody can see the relation before the commit; the lock is for standbys, and for whoever looks at pg_locks.
    namespaces.lock_relation(relid, _ACCESS_EXCLUSIVE, False)
    stored = relkind in STORED_KINDS
    if not stored and relkind != "p":
        tablespace = 0
    has_type = relkind in TYPED_KINDS
    array_oid = new_oid("pg_type") if has_type else 0
    type_oid = new_oid("pg_type") if has_type else 0
    frozen, minmulti = new_relation_horizon() if relkind in TABLE_AM_KINDS else (0, 0)
    acl: Acl | None = None
    if use_default_acl and relkind in "rvmfpS":
        acl = default_acl_for_new_object("sequence" if relkind == "S" else "table", owner, namespace)
    row = PgClass(
        oid=relid, relname=name, relnamespace=namespace, reltype=type_oid, reloftype=of_type, relowner=owner,
        relam=access_method
        if relkind in TABLE_AM_KINDS or (relkind == "p" and access_method != HEAP_TABLE_AM_OID) else 0,
        relfilenode=0 if mapped or not stored else relid, reltablespace=tablespace,
        relpages=1 if relkind == "S" else 0, reltuples=1.0 if relkind == "S" else -1.0, relallvisible=0, relallfrozen=0,
        reltoastrelid=0, relhasindex=False, relisshared=shared, relpersistence=persistence, relkind=relkind,
        relnatts=len(columns), relchecks=0, relhasrules=False, relhastriggers=False, relhassubclass=False,
        relrowsecurity=False, relforcerowsecurity=False, relispopulated=True,
        relreplident="d" if relkind in "rmp" and namespace != 11 else "n", relispartition=False, relrewrite=rewrite_of,
        relfrozenxid=frozen, relminmxid=minmulti, relacl=acl, reloptions=options,
    )  # fmt: skip
    if has_type:
        created = _row_type(type_oid, name, namespace, owner, relid, array_oid)
        insert_row(created)
        record_type_dependencies(created, relation_kind=relkind)
        array = array_type_row(array_oid, array_type_name(name, namespace), namespace, owner, type_oid, "d")
        insert_row(array)
        record_type_dependencies(array, is_implicit_array=True)
    insert_row(row)
    add_attribute_rows(relid, columns, relkind)
    address = ObjectAddress(oa.CLASS, relid)
    if relkind not in "ct" or namespace != TOAST_NAMESPACE:
        if relkind not in "ct":
            dep.record_dependency(address, ObjectAddress(oa.NAMESPACE, namespace))
            dep.record_owner(oa.CLASS, relid, owner)
            if acl:
                dep.update_acl_dependencies(oa.CLASS, relid, 0, owner, set(), acl_members(acl))
            if of_type:
                dep.record_dependency(address, ObjectAddress(oa.TYPE, of_type))
            if row.relam not in (0, HEAP_TABLE_AM_OID):
                dep.record_dependency(address, ObjectAddress(oa.AM, row.relam))
        elif relkind == "c":
            pass
    dep.record_dependencies(address, extra_dependencies)
    if relkind == "p" and tablespace:
        dep.change_tablespace_dependency(oa.CLASS, relid, tablespace)
    if stored:
        if mapped:
            relmap.update(relid, relid, shared, True)
        statistics.created(statistics.RELATION, 0 if shared else session.database_id, relid)
        _pending.create_storage(locator_of(row), persistence)
        if persistence == "u" and relkind in "rtm":
            _pending.create_fork(locator_of(row), 3, True)
    note_new_relation(relid, current_sub_transaction_id())
    command_counter_increment()
    return relid


def locator_of(row: Any) -> tuple[int, int, int]:
    """(tablespace, database, file number) of a relation that is not mapped."""
    tablespace = row.reltablespace or session.database_tablespace
    return tablespace, 0 if tablespace == GLOBAL_TABLESPACE else session.database_id, row.relfilenode or row.oid


def add_attribute_rows(relid: int, columns: Sequence[Column], relkind: str) -> None:
    """pg_attribute rows of a new relation, and what the columns depend on (AddNewAttributeTuples)."""
    for i, column in enumerate(columns):
        insert_row(column.row(relid, i + 1))
        record_column_dependencies(relid, i + 1, column.type_oid, column.collation)
    if relkind not in "vc":
        for row in system_columns(relid):
            insert_row(row)


def record_column_dependencies(relid: int, attnum: int, type_oid: int, collation: int) -> None:
    """A column needs its type, and its collation unless that is the default."""
    own = ObjectAddress(oa.CLASS, relid, attnum)
    dep.record_dependency(own, ObjectAddress(oa.TYPE, type_oid))
    if collation and collation != DEFAULT_COLLATION_OID:
        dep.record_dependency(own, ObjectAddress(oa.COLLATION, collation))


# Defaults and constraints


def store_default(relid: int, attnum: int, expression: str, references: Iterable[ObjectAddress]) -> int:
    """Give a column a default or generation expression (StoreAttrDefault); returns the pg_attrdef row's OID."""
    attribute = lookup(c.ATTNUM, relid, attnum)
    oid: int = new_oid("pg_attrdef")
    insert_row(PgAttrdef(oid=oid, adrelid=relid, adnum=attnum, adbin=expression))
    if not attribute.atthasdef:
        update_row(attribute.copy(atthasdef=True), attribute)
    own = ObjectAddress(oa.ATTRDEF, oid)
    column = ObjectAddress(oa.CLASS, relid, attnum)
    dep.record_dependency(own, column, dep.INTERNAL if attribute.attgenerated else dep.AUTO)
    targets = list(dict.fromkeys(references))
    own_columns = [t for t in targets if t.classid == oa.CLASS and t.objid == relid and t.subid]
    if attribute.attgenerated:
        # The column, not only its expression, falls with a column that it is computed from.
        dep.record_dependencies(own, [t for t in targets if t not in own_columns])
        dep.record_dependencies(own, [t for t in own_columns if t.subid != attnum], dep.AUTO)
    else:
        dep.record_dependencies(own, targets)
    inval.invalidate_relcache(relid)
    return oid


def remove_default(relid: int, attnum: int, behavior: int, *, complain: bool, internal: bool) -> None:
    """Drop a column's default (RemoveAttrDefault)."""
    rows = scan_rows("pg_attrdef", adrelid=relid, adnum=attnum)
    for row in rows:
        dep.perform_deletion(ObjectAddress(oa.ATTRDEF, row.oid), behavior, dep.DELETION_INTERNAL if internal else 0)
    if complain and not rows:
        raise SqlError(errcode.INTERNAL_ERROR, f"could not find attrdef tuple for relation {relid} attnum {attnum}")


def _drop_default(address: ObjectAddress, _flags: int) -> None:
    for row in scan_rows("pg_attrdef", oid=address.objid):
        delete_row(row)
        attribute = lookup(c.ATTNUM, row.adrelid, row.adnum)
        if attribute is not None:
            update_row(attribute.copy(atthasdef=False), attribute)
        inval.invalidate_relcache(row.adrelid)


def create_constraint(
    name: str,
    namespace: int,
    contype: str,
    *,
    relation: int = 0,
    type_oid: int = 0,
    keys: Sequence[int] = (),
    total_keys: Sequence[int] | None = None,
    index: int = 0,
    parent: int = 0,
    deferrable: bool = False,
    deferred: bool = False,
    enforced: bool = True,
    validated: bool = True,
    foreign_relation: int = 0,
    foreign_keys: Sequence[int] = (),
    pf_operators: Sequence[int] = (),
    pp_operators: Sequence[int] = (),
    ff_operators: Sequence[int] = (),
    update_action: str = " ",
    delete_action: str = " ",
    delete_set_columns: Sequence[int] = (),
    match_type: str = " ",
    exclusion_operators: Sequence[int] = (),
    expression: str | None = None,
    references: Iterable[ObjectAddress] = (),
    is_local: bool = True,
    inherit_count: int = 0,
    no_inherit: bool = False,
    period: bool = False,
) -> int:
    """A pg_constraint row with its dependencies; returns its OID (CreateConstraintEntry)."""
    oid: int = new_oid("pg_constraint")
    foreign = contype == "f"
    insert_row(
        PgConstraint(
            oid=oid, conname=name, connamespace=namespace, contype=contype, condeferrable=deferrable,
            condeferred=deferred, conenforced=enforced, convalidated=validated, conrelid=relation, contypid=type_oid,
            conindid=index, conparentid=parent, confrelid=foreign_relation, confupdtype=update_action,
            confdeltype=delete_action, confmatchtype=match_type, conislocal=is_local, coninhcount=inherit_count,
            connoinherit=no_inherit, conperiod=period, conkey=tuple(keys) or None,
            confkey=tuple(foreign_keys) or None, conpfeqop=tuple(pf_operators) or None,
            conppeqop=tuple(pp_operators) or None, conffeqop=tuple(ff_operators) or None,
            confdelsetcols=tuple(delete_set_columns) or None, conexclop=tuple(exclusion_operators) or None,
            conbin=expression,
        )
    )  # fmt: skip
    own = ObjectAddress(oa.CONSTRAINT, oid)
    if relation:
        # A constraint goes with its columns, or with the table where it has none.
        columns = total_keys if total_keys is not None else keys
        dep.record_dependencies(
            own,
            [ObjectAddress(oa.CLASS, relation, attnum) for attnum in columns if attnum]
            or [ObjectAddress(oa.CLASS, relation)],
            dep.AUTO,
        )
    if type_oid:
        dep.record_dependency(own, ObjectAddress(oa.TYPE, type_oid), dep.AUTO)
    needed: list[ObjectAddress] = []
    if foreign_relation:
        needed += [ObjectAddress(oa.CLASS, foreign_relation, attnum) for attnum in foreign_keys] or [
            ObjectAddress(oa.CLASS, foreign_relation)
        ]
    if index and foreign:
        needed.append(ObjectAddress(oa.CLASS, index))
    if foreign:
        for operators in zip(pf_operators, pp_operators, ff_operators, strict=True):
            needed += [ObjectAddress(oa.OPERATOR, operator) for operator in dict.fromkeys(operators)]
    if expression is not None:
        needed += [t for t in dict.fromkeys(references) if not (t.classid == oa.CLASS and t.objid == relation)]
        own_columns = [
            t for t in dict.fromkeys(references) if t.classid == oa.CLASS and t.objid == relation and t.subid
        ]
        known = set(total_keys if total_keys is not None else keys)
        dep.record_dependencies(own, [t for t in own_columns if t.subid not in known], dep.AUTO)
    dep.record_dependencies(own, needed)
    return oid


def store_check(
    relid: int,
    name: str,
    expression: str,
    references: Sequence[ObjectAddress],
    *,
    enforced: bool = True,
    validated: bool = True,
    is_local: bool = True,
    inherit_count: int = 0,
    no_inherit: bool = False,
) -> int:
    """A CHECK constraint of a table (StoreRelCheck); the caller updates relchecks through `set_check_count`."""
    columns = sorted({t.subid for t in references if t.classid == oa.CLASS and t.objid == relid and t.subid > 0})
    namespace = lookup(c.RELOID, relid).relnamespace
    return create_constraint(
        name, namespace, "c", relation=relid, keys=columns, expression=expression, references=references,
        enforced=enforced, validated=validated, is_local=is_local, inherit_count=inherit_count, no_inherit=no_inherit,
    )  # fmt: skip


def store_not_null(
    relid: int,
    name: str,
    attnum: int,
    *,
    validated: bool = True,
    is_local: bool = True,
    inherit_count: int = 0,
    no_inherit: bool = False,
) -> int:
    """A NOT NULL constraint of a table (StoreRelNotNull)."""
    namespace = lookup(c.RELOID, relid).relnamespace
    return create_constraint(
        name, namespace, "n", relation=relid, keys=[attnum], validated=validated, is_local=is_local,
        inherit_count=inherit_count, no_inherit=no_inherit,
    )  # fmt: skip


def set_check_count(relid: int, count: int) -> None:
    """Put the number of CHECK constraints into pg_class (SetRelationNumChecks)."""
    row = lookup(c.RELOID, relid)
    if row.relchecks != count:
        update_row(row.copy(relchecks=count), row)
    else:
        inval.invalidate_relcache(relid)


def choose_constraint_name(
    name1: str, name2: str | None, label: str, namespace: int, others: Iterable[str] = ()
) -> str:
    """A free constraint name such as ``table_column_check`` (ChooseConstraintName)."""
    taken = set(others) | {row.conname for row in scan_rows("pg_constraint", connamespace=namespace)}
    suffix, number = label, 0
    while (name := make_object_name(name1, name2, suffix)) in taken:
        number += 1
        suffix = f"{label}{number}"
    return name


def choose_relation_name(name1: str, name2: str | None, label: str, namespace: int, is_constraint: bool = False) -> str:
    """A free relation name such as ``table_column_seq`` (ChooseRelationName)."""
    suffix, number = label, 0
    while True:
        name = make_object_name(name1, name2, suffix)
        taken = get_relname_relid(name, namespace) != 0
        if not taken and is_constraint:
            taken = any(row.conname == name for row in scan_rows("pg_constraint", connamespace=namespace))
        if not taken:
            return name
        number += 1
        suffix = f"{label}{number}"


def make_object_name(name1: str, name2: str | None, label: str | None) -> str:
    """``name1_name2_label`` in 63 bytes, the longer name cut first (makeObjectName)."""
    overhead = (1 if name2 is not None else 0) + (len(label.encode()) + 1 if label else 0)
    available = 63 - overhead
    first, second = name1.encode(), (name2 or "").encode()
    n1, n2 = len(first), len(second)
    while n1 + n2 > available:
        if n1 > n2:
            n1 -= 1
        else:
            n2 -= 1
    parts = [first[:n1].decode(errors="ignore")]
    if name2 is not None:
        parts.append(second[:n2].decode(errors="ignore"))
    if label:
        parts.append(label)
    return "_".join(parts)


def _drop_constraint(address: ObjectAddress, _flags: int) -> None:
    row = lookup(c.CONSTROID, address.objid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for constraint {address.objid}")
    delete_row(row)
    if row.conrelid:
        if row.contype == "c":
            relation = lookup(c.RELOID, row.conrelid)
            if relation is not None and relation.relchecks > 0:
                update_row(relation.copy(relchecks=relation.relchecks - 1), relation)
        elif row.contype == "n":
            attribute = lookup(c.ATTNUM, row.conrelid, row.conkey[0])
            if attribute is not None and not attribute.attisdropped and not _needed_by_primary_key(row):
                update_row(attribute.copy(attnotnull=False), attribute)
        inval.invalidate_relcache(row.conrelid)


def _needed_by_primary_key(row: Any) -> bool:
    return any(
        index.indisprimary and row.conkey[0] in index.indkey for index in scan_rows("pg_index", indrelid=row.conrelid)
    )


# Dropping


def drop_column(relid: int, attnum: int) -> None:
    """Mark a column as dropped (RemoveAttributeById)."""
    rel = relation_open(relid, 8)
    try:
        row = lookup(c.ATTNUM, relid, attnum)
        if attnum < 0:
            delete_row(row)
        else:
            update_row(
                row.copy(
                    attisdropped=True, atttypid=0, attnotnull=False, attgenerated="", attstattarget=None,
                    atthasmissing=False, attmissingval=None, attacl=None, attoptions=None, attfdwoptions=None,
                    attname=f"........pg.dropped.{attnum}........", attidentity="",
                ),
                row,
            )  # fmt: skip
            for statistic in scan_rows("pg_statistic", starelid=relid, staattnum=attnum):
                delete_row(statistic)
    finally:
        relation_close(rel, 0)


def drop_relation(relid: int) -> None:
    """Remove a relation from the catalogs, and its file at commit (heap_drop_with_catalog)."""
    row = lookup(c.RELOID, relid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for relation {relid}")
    rel = relation_open(relid, 8)
    if rel.refcount > 1:
        relation_close(rel, 0)
        raise SqlError(
            errcode.OBJECT_IN_USE,
            f'cannot DROP TABLE "{row.relname}" because it is being used by active queries in this session',
        )
    if row.relkind in STORED_KINDS:
        _pending.drop_storage(rel.locator, rel.rd_backend)
    statistics.dropped(statistics.RELATION, 0 if rel.is_shared else session.database_id, relid)
    relation_close(rel, 0)
    if row.relispartition:
        for parent in scan_rows("pg_inherits", inhrelid=relid):
            inval.invalidate_relcache(parent.inhparent)
    for inherits in scan_rows("pg_inherits", inhrelid=relid):
        delete_row(inherits)
    for statistic in scan_rows("pg_statistic", starelid=relid):
        delete_row(statistic)
    if row.relkind == "p":
        for partitioned in scan_rows("pg_partitioned_table", partrelid=relid):
            delete_row(partitioned)
    if row.relkind == "f":
        for foreign in scan_rows("pg_foreign_table", ftrelid=relid):
            delete_row(foreign)
    if row.relkind == "S":
        for sequence in scan_rows("pg_sequence", seqrelid=relid):
            delete_row(sequence)
    for attribute in scan_rows("pg_attribute", attrelid=relid):
        delete_row(attribute)
    delete_row(row)
    forget_relation(relid)


def _drop_class(address: ObjectAddress, flags: int) -> None:
    if address.subid:
        drop_column(address.objid, address.subid)
        return
    row = lookup(c.RELOID, address.objid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for relation {address.objid}")
    if row.relkind in "iI":
        dep.droppers[-oa.CLASS](address, flags)
    else:
        drop_relation(address.objid)


def _drop_type(address: ObjectAddress, _flags: int) -> None:
    row = lookup(c.TYPEOID, address.objid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for type {address.objid}")
    delete_row(row)
    if row.typtype == "e":
        for label in scan_rows("pg_enum", enumtypid=row.oid):
            delete_row(label)
    if row.typtype == "r":
        for made in scan_rows("pg_range", rngtypid=row.oid):
            delete_row(made)


def _drop_rule(address: ObjectAddress, _flags: int) -> None:
    for row in scan_rows("pg_rewrite", oid=address.objid):
        delete_row(row)
        inval.invalidate_relcache(row.ev_class)


def _drop_trigger(address: ObjectAddress, _flags: int) -> None:
    for row in scan_rows("pg_trigger", oid=address.objid):
        delete_row(row)
        # relhastriggers stays: others may have it set for triggers being made now.
        inval.invalidate_relcache(row.tgrelid)


def _drop_function(address: ObjectAddress, _flags: int) -> None:
    row = lookup(c.PROCOID, address.objid)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for function {address.objid}")
    delete_row(row)
    if row.prokind == "a":
        for aggregate in scan_rows("pg_aggregate", aggfnoid=row.oid):
            delete_row(aggregate)


def _drop_statistics(address: ObjectAddress, _flags: int) -> None:
    for data in scan_rows("pg_statistic_ext_data", stxoid=address.objid):
        delete_row(data)
    for row in scan_rows("pg_statistic_ext", oid=address.objid):
        delete_row(row)
        inval.invalidate_relcache(row.stxrelid)


def _drop_ts_config(address: ObjectAddress, _flags: int) -> None:
    for mapping in scan_rows("pg_ts_config_map", mapcfg=address.objid):
        delete_row(mapping)
    for row in scan_rows("pg_ts_config", oid=address.objid):
        delete_row(row)


dep.droppers.update({
    oa.CLASS: _drop_class, oa.TYPE: _drop_type, oa.ATTRDEF: _drop_default, oa.CONSTRAINT: _drop_constraint,
    oa.REWRITE: _drop_rule, oa.TRIGGER: _drop_trigger, oa.PROC: _drop_function, oa.STATISTIC_EXT: _drop_statistics,
    oa.TS_CONFIG: _drop_ts_config,
})  # fmt: skip

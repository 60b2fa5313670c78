"""Descriptors of open relations, one per relation and process, rebuilt when an invalidation says so (relcache.c).

The catalogs' own columns and indexes are facts, so descriptors of catalogs are made without reading pg_attribute or
pg_index: only where their file is must be asked, of the relation map for mapped ones and of pg_class for the others.
That breaks the circle of needing the catalogs in order to read the catalogs.
"""

from libc.stdint cimport uint32_t
from tusk._types cimport Oid
from tusk.access._relation cimport Relation
from tusk.access._tupdesc cimport TupleDesc, make_tupdesc
from tusk.catalog._codec cimport codec_of
from tusk.storage._smgr cimport smgr_release_locator
from tusk.transaction._lock cimport (
    NoLock, conditional_lock_relation_oid, lock_relation_oid, unlock_relation_oid)
from tusk.transaction._state cimport MyDatabaseId

from tusk.access._tupdesc import AttributeRow
from tusk.access.toast._toaster import set_toast_opener
from tusk.catalog import cache as c
from tusk.catalog import relmap
from tusk.catalog.cache import facts_reader, lookup, lookup_list
from tusk.catalog.relinfo import RelationInfo, option_bool, option_int
from tusk.catalog.schema import schemas_by_oid
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode

cdef dict _relations = {}           # oid -> Relation
cdef set _opened = set()            # those with a raised refcount in this transaction
cdef dict _new_files = {}           # oid -> [create_subid, new_locator_subid, first_locator_subid]
cdef list _building = []            # [oid, whether it was invalidated meanwhile], innermost last
cdef dict _catalog_indexes = None   # index oid -> (catalog schema, index)
cdef dict _catalog_toast = None     # oid of a catalog's TOAST table or its index -> is the index

cdef enum:
    FIRST_NORMAL_OID = 16384

GLOBAL_TABLESPACE = 1664
_TOAST_COLUMNS = (("chunk_id", 26, 4, True, "i", "p"), ("chunk_seq", 23, 4, True, "i", "p"),
                  ("chunk_data", 17, -1, False, "i", "p"))
_TOAST_KEYS = ((1989, 26, 0, 0, "btoidcmp"), (1976, 23, 0, 0, "btint4cmp"))
_in_transaction = None              # callable() -> bool: may catalogs be read now
_my_backend = None                  # callable() -> our proc number, for temporary relations


def set_environment(in_transaction, my_backend):
    """Name the functions that tell whether catalogs may be read and who we are."""
    global _in_transaction, _my_backend
    _in_transaction = in_transaction
    _my_backend = my_backend


cdef int _index_catalogs() except -1:
    global _catalog_indexes, _catalog_toast
    _catalog_indexes = {}
    _catalog_toast = {}
    for schema in schemas_by_oid().values():
        for index in schema.indexes:
            _catalog_indexes[index.oid] = (schema, index)
        if schema.toast_oid:
            _catalog_toast[schema.toast_oid] = False
            _catalog_toast[schema.toast_index_oid] = True
    return 0


def _fact(catalog, columns, values):
    rows = facts_reader(catalog, columns, values)
    return rows[0]


def _catalog_index_keys(index):
    """The keys of a catalog's index, from facts alone."""
    keys = []
    for i, opclass_oid in enumerate(index.opclasses):
        opclass = _fact("pg_opclass", ("oid",), (opclass_oid,))
        support = _fact("pg_amproc", c.AMPROCNUM.keys, (opclass.opcfamily, opclass.opcintype, opclass.opcintype, 1))
        prosrc = _fact("pg_proc", ("oid",), (support.amproc,)).prosrc
        keys.append((opclass.opcfamily, opclass.opcintype, index.collations[i], 0, prosrc))
    return keys


def _catalog_index_desc(schema, index):
    rows = []
    for attnum in index.attnums:
        column = schema.columns[attnum - 1]
        collation = 950 if column.type_name in ("name", "text") else 0
        if column.type_name == "name":
            rows.append(AttributeRow(column.name, 2275, -2, False, "c", attcollation=collation))
        else:
            rows.append(AttributeRow(column.name, column.type_oid, column.length, column.by_value, column.align,
                                     column.storage, attcollation=collation))
    return make_tupdesc(rows)


cdef tuple _locator_of(object form):
    """(tablespace, database, file number) by the pg_class row."""
    spc = form.reltablespace or session.database_tablespace
    db = 0 if spc == GLOBAL_TABLESPACE else session.database_id
    number = form.relfilenode
    if number == 0:
        number = relmap.filenumber(form.oid, form.relisshared)
    return (spc, db, number)


cdef Relation _new_catalog_relation(Oid oid):
    """The descriptor of a catalog or of one of its indexes; None if oid is none of these."""
    cdef Relation rel
    cdef TupleDesc desc
    if _catalog_indexes is None:
        _index_catalogs()
    schema = schemas_by_oid().get(oid)
    if schema is not None:
        shared, kind, name, namespace = schema.shared, "r", schema.name, 11
        desc = codec_of(schema.name).desc
    elif oid in _catalog_indexes:
        schema, index = _catalog_indexes[oid]
        shared, kind, name, namespace = schema.shared, "i", index.name, 11
        desc = _catalog_index_desc(schema, index)
    else:
        return None
    number = relmap.filenumber(oid, shared)
    form = None
    if number:
        spc = GLOBAL_TABLESPACE if shared else session.database_tablespace
        locator = (spc, 0 if shared else session.database_id, number)
    else:
        form = lookup(c.RELOID, oid)
        if form is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"could not find pg_class entry for {oid}")
        locator = _locator_of(form)
    rel = Relation(oid, locator, name, desc, kind, "p", namespace, form)
    rel.is_shared = shared
    rel.is_catalog = True
    rel.is_mapped = number != 0
    rel.is_nailed = True
    if kind == "i":
        _, index = _catalog_indexes[oid]
        index_keys = _catalog_index_keys(index)
        rel.set_index_keys(index_keys, index.attnums, schema.oid)
        rel.indisunique = index.unique
        rel.indisprimary = index.primary
        rel.indimmediate = True
        rel.extra = RelationInfo(oid, form, [])
        rel.extra.parsed["index_keys"] = index_keys
    else:
        rel.index_oids = [index.oid for index in schema.indexes]
        rel.indexes = _CatalogIndexes(rel.index_oids)
        rel.reltoastrelid = schema.toast_oid
        if schema.toast_oid:
            rel.toast_relation = _ByOid(schema.toast_oid)
        columns = set()
        unique = set()
        for index in schema.indexes:
            columns.update(index.attnums)
            if index.unique:
                unique.update(index.attnums)
        rel.set_indexed_attrs(columns, (), unique, ())
        rel.extra = RelationInfo(oid, form, [])
    _apply_form(rel, form)
    return rel


def _open_toast(oid):
    """A TOAST table for fetching a value; the lock on its table is the caller's."""
    return _ByOid(oid)()


set_toast_opener(_open_toast)


class _ByOid:
    """Opens a relation when asked for it (a table's TOAST table)."""

    __slots__ = ("oid",)

    def __init__(self, oid):
        self.oid = oid

    def __call__(self):
        found = relation_by_oid(self.oid)
        if found is None:
            raise SqlError(errcode.INTERNAL_ERROR, f"could not open relation with OID {self.oid}")
        return found


class _CatalogIndexes:
    """The indexes of a catalog."""

    __slots__ = ("oids",)

    def __init__(self, oids):
        self.oids = oids

    def __call__(self):
        return [catalog_relation(oid) for oid in self.oids]


class _TableIndexes:
    """The indexes of a table, in the order of their OIDs."""

    __slots__ = ("info",)

    def __init__(self, info):
        self.info = info

    def __call__(self):
        return [relation_by_oid(row.indexrelid) for row in self.info.index_rows]


cdef Relation catalog_relation(Oid oid):
    cdef Relation rel = _relations.get(oid)
    if rel is not None and rel.valid:
        return rel
    rel = _new_catalog_relation(oid)
    if rel is None:
        return relation_by_oid(oid)
    old = _relations.get(oid)
    if old is not None:
        _copy_into(rel, old)
        return old
    _relations[oid] = rel
    return rel


cdef int _apply_form(Relation rel, object form) except -1:
    """What follows from the pg_class row and storage parameters."""
    cdef list subids
    rel.form = form
    if form is not None:
        rel.replica_identity = form.relreplident
        options = rel.extra.reloptions
        if options:
            rel.fillfactor = option_int(options, "fillfactor", 90 if rel.relkind == c'i' else 100)
            rel.toast_tuple_target = option_int(options, "toast_tuple_target", 2032)
            rel.parallel_workers = option_int(options, "parallel_workers", -1)
            rel.deduplicate_items = option_bool(options, "deduplicate_items", True)
            rel.is_user_catalog = option_bool(options, "user_catalog_table", False)
    subids = _new_files.get(rel.rd_id)
    if subids is not None:
        rel.create_subid, rel.new_locator_subid, rel.first_locator_subid = subids
    return 0


cdef int _copy_into(Relation new, Relation old) except -1:
    """Make the open descriptor old say what new says; who holds it sees the change."""
    old.set_locator(new.rd_locator.spcOid, new.rd_locator.dbOid, new.rd_locator.relNumber)
    old.rd_backend = new.rd_backend
    old.name = new.name
    old.namespace = new.namespace
    old.relkind = new.relkind
    old.relpersistence = new.relpersistence
    old.relreplident = new.relreplident
    if not _same_attributes(new, old):
        old.desc = new.desc
    old.form = new.form
    old.extra = new.extra
    old.is_shared = new.is_shared
    old.is_catalog = new.is_catalog
    old.is_user_catalog = new.is_user_catalog
    old.is_toast = new.is_toast
    old.is_mapped = new.is_mapped
    old.is_nailed = new.is_nailed
    old.create_subid = new.create_subid
    old.new_locator_subid = new.new_locator_subid
    old.first_locator_subid = new.first_locator_subid
    old.fillfactor = new.fillfactor
    old.toast_tuple_target = new.toast_tuple_target
    old.parallel_workers = new.parallel_workers
    old.reltoastrelid = new.reltoastrelid
    old.toast_relation = new.toast_relation
    old.index_oids = new.index_oids
    old.indexes = new.indexes
    old.load_indexed_attrs = new.load_indexed_attrs
    if new.indexed_attrs_valid:
        old.set_indexed_attrs(*new.extra.parsed.get("indexed", ((), (), (), ()))) if not new.is_nailed else None
    else:
        old.indexed_attrs_valid = False
    if new.relkind == c'i' or new.relkind == c'I':
        old.set_index_keys(new.extra.parsed.get("index_keys", [new.key_column(i)[:4] + (None,) for i in
                                                               range(new.indnkeyatts)]),
                           new.indkey, new.heap_oid, new.am_oid, new.am_name)
        old.indisunique = new.indisunique
        old.indnullsnotdistinct = new.indnullsnotdistinct
        old.indisprimary = new.indisprimary
        old.indisexclusion = new.indisexclusion
        old.indimmediate = new.indimmediate
        old.indisvalid = new.indisvalid
        old.indisready = new.indisready
        old.indislive = new.indislive
        old.indcheckxmin = new.indcheckxmin
        old.deduplicate_items = new.deduplicate_items
        old.index_expressions = new.index_expressions
        old.index_predicate = new.index_predicate
        old.index_form = new.index_form
    old.valid = True
    return 0


cdef bint _same_attributes(Relation new, Relation old) except -1:
    if new.desc is old.desc:
        return True
    return new.extra.attributes == old.extra.attributes and bool(new.extra.attributes) and \
        new.desc.tdtypeid == old.desc.tdtypeid


cdef Relation _build(Oid oid):
    """A fresh descriptor from the catalogs; None if there is no such relation."""
    cdef Relation rel
    cdef TupleDesc desc
    form = lookup(c.RELOID, oid)
    if form is None:
        return None
    rel = _new_catalog_relation(oid)
    if rel is not None:
        rel.extra.form = form
        _apply_form(rel, form)
        rel.relkind = <char> ord(form.relkind)
        return rel
    if oid in _catalog_toast:
        columns = _TOAST_COLUMNS[:2] if _catalog_toast[oid] else _TOAST_COLUMNS
        attributes = [AttributeRow(*column) for column in columns]
    else:
        attributes = sorted((row for row in lookup_list(c.ATTNUM, oid) if row.attnum > 0), key=_by_attnum)
        if len(attributes) != form.relnatts:
            raise SqlError(errcode.INTERNAL_ERROR,
                           f"pg_attribute catalog is missing {form.relnatts - len(attributes)} attribute(s) "
                           f"for relation OID {oid}")
    desc = make_tupdesc(attributes, form.reltype or 2249)
    for row in attributes:
        if row.atthasmissing:
            _set_missing(desc, row)
    rel = Relation(oid, _locator_of(form) if form.relkind not in "vcfp" else (0, 0, 0), form.relname, desc,
                   form.relkind, form.relpersistence, form.relnamespace, form)
    rel.is_shared = form.relisshared
    rel.is_catalog = oid < 16384 and form.relnamespace in (11, 99)
    rel.is_mapped = form.relfilenode == 0 and form.relkind in "rtim"
    if form.relpersistence == "t":
        rel.rd_backend = _backend_of_temp(form.relnamespace)
    rel.extra = RelationInfo(oid, form, attributes)
    _apply_form(rel, form)
    if form.reltoastrelid:
        rel.reltoastrelid = form.reltoastrelid
        rel.toast_relation = _ByOid(form.reltoastrelid)
    if form.relkind == "i" or form.relkind == "I":
        _load_index(rel)
    elif form.relhasindex:
        rel.index_oids = [row.indexrelid for row in rel.extra.index_rows]
        rel.indexes = _TableIndexes(rel.extra)
    rel.load_indexed_attrs = load_indexed_attrs
    if form.relkind == "i":
        rel.set_indexed_attrs()
    return rel


def _by_attnum(row):
    return row.attnum


def _set_missing(TupleDesc desc, row):
    """Take the one element out of attmissingval (an anyarray's payload after the varlena header)."""
    if row.attmissingval is None:
        desc.set_missing(row.attnum, None)
        return
    payload = row.attmissingval
    dataoffset = int.from_bytes(payload[4:8], "little")
    start = (dataoffset or 24) - 4
    data = payload[start:]
    if row.attbyval:
        desc.set_missing(row.attnum, int.from_bytes(data[:row.attlen], "little", signed=True))
    else:
        desc.set_missing(row.attnum, data)


def load_indexed_attrs(rel):
    """Fill in which attributes updates must compare."""
    sets = rel.extra.indexed_attributes()
    rel.extra.parsed["indexed"] = sets
    rel.set_indexed_attrs(*sets)


cdef int _backend_of_temp(Oid namespace) except -2:
    row = lookup(c.NAMESPACEOID, namespace)
    name = row.nspname if row is not None else ""
    for prefix in ("pg_temp_", "pg_toast_temp_"):
        if name.startswith(prefix) and name[len(prefix):].isdigit():
            return int(name[len(prefix):])
    return _my_backend() if _my_backend is not None else 0


cdef int _load_index(Relation rel) except -1:
    row = lookup(c.INDEXRELID, rel.rd_id)
    if row is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"cache lookup failed for index {rel.rd_id}")
    method = lookup(c.AMOID, rel.form.relam)
    keys = []
    for i in range(row.indnkeyatts):
        opclass = lookup(c.CLAOID, row.indclass[i])
        support = lookup(c.AMPROCNUM, opclass.opcfamily, opclass.opcintype, opclass.opcintype, 1)
        prosrc = None
        if support is not None and method.amname == "btree":
            prosrc = lookup(c.PROCOID, support.amproc).prosrc
        keys.append((opclass.opcfamily, opclass.opcintype, row.indcollation[i], row.indoption[i], prosrc))
    rel.extra.parsed["index_keys"] = keys
    rel.set_index_keys(keys, row.indkey, row.indrelid, rel.form.relam, method.amname)
    rel.index_form = row
    rel.indisunique = row.indisunique
    rel.indnullsnotdistinct = row.indnullsnotdistinct
    rel.indisprimary = row.indisprimary
    rel.indisexclusion = row.indisexclusion
    rel.indimmediate = row.indimmediate
    rel.indisvalid = row.indisvalid
    rel.indisready = row.indisready
    rel.indislive = row.indislive
    rel.indcheckxmin = row.indcheckxmin
    rel.index_expressions = [] if row.indexprs is None else [row.indexprs]
    rel.index_predicate = [] if row.indpred is None else [row.indpred]
    return 0


cdef Relation _build_current(Oid oid):
    """`_build`, again if an invalidation of the relation came in while its catalog rows were read."""
    cdef Relation fresh
    while True:
        _building.append([oid, False])
        try:
            fresh = _build(oid)
        finally:
            entry = _building.pop()
        if not entry[1]:
            return fresh


cpdef Relation relation_by_oid(Oid oid):
    cdef Relation rel = _relations.get(oid)
    cdef Relation fresh
    if rel is not None and rel.valid and rel.form is not None:
        return rel
    fresh = _build_current(oid)
    if fresh is None:
        _relations.pop(oid, None)
        return None
    rel = _relations.get(oid)
    if rel is not None:
        _copy_into(fresh, rel)
        return rel
    _relations[oid] = fresh
    return fresh


def private_copy(Oid oid, tuple locator):
    """A descriptor of a relation's own, for a file that is being made for it; nothing else will find it.

    The caller has the relation locked. Indexes are not reached through it.
    """
    cdef Relation rel = _build_current(oid)
    if rel is None:
        raise SqlError(errcode.INTERNAL_ERROR, f"could not open relation with OID {oid}")
    rel.set_locator(locator[0], locator[1], locator[2])
    return rel


cdef Relation _open(Oid oid, int lockmode):
    cdef Relation rel
    if lockmode != NoLock:
        lock_relation_oid(_lock_db(oid), oid, lockmode)
    rel = relation_by_oid(oid)
    if rel is None:
        if lockmode != NoLock:
            unlock_relation_oid(_lock_db(oid), oid, lockmode)
        return None
    rel.refcount += 1
    _opened.add(rel)
    return rel


cdef Oid _lock_db(Oid oid) except? 0:
    """0 for shared relations: known by their OIDs, which are fixed."""
    if oid >= FIRST_NORMAL_OID:
        return MyDatabaseId
    return 0 if oid in SHARED_RELATIONS else session.database_id


def _shared_relations():
    result = set()
    for schema in schemas_by_oid().values():
        if schema.shared:
            result.add(schema.oid)
            result.update(index.oid for index in schema.indexes)
            if schema.toast_oid:
                result.update((schema.toast_oid, schema.toast_index_oid))
    return frozenset(result)


SHARED_RELATIONS = _shared_relations()


def lock_relation(Oid oid, int lockmode, dont_wait=False):
    """Lock a relation by OID; False if it is not available at once and dont_wait is set."""
    if dont_wait:
        return conditional_lock_relation_oid(_lock_db(oid), oid, lockmode) != 0
    lock_relation_oid(_lock_db(oid), oid, lockmode)
    return True


cdef int lock_relation_by_oid(Oid oid, int lockmode) except -1:
    lock_relation_oid(_lock_db(oid), oid, lockmode)
    return 0


def unlock_relation(Oid oid, int lockmode):
    """Give back a lock before the end of the transaction."""
    unlock_relation_oid(_lock_db(oid), oid, lockmode)


cpdef Relation relation_open(Oid oid, int lockmode):
    cdef Relation rel = _open(oid, lockmode)
    if rel is None:
        raise SqlError(errcode.UNDEFINED_TABLE, f"could not open relation with OID {oid}")
    return rel


cpdef Relation try_relation_open(Oid oid, int lockmode):
    return _open(oid, lockmode)


cpdef int relation_close(Relation rel, int lockmode) except -1:
    if rel.refcount <= 0:
        raise RuntimeError(f"relation {rel.name} closed too often")
    rel.refcount -= 1
    if rel.refcount == 0:
        _opened.discard(rel)
        if not rel.valid and not rel.is_nailed:
            _relations.pop(rel.rd_id, None)
    if lockmode != NoLock:
        unlock_relation_oid(_lock_db(rel.rd_id), rel.rd_id, lockmode)
    return 0


# Invalidation


cdef int _invalidate(Relation rel) except -1:
    cdef Relation fresh
    rel.valid = False
    smgr_release_locator(&rel.rd_locator, rel.rd_backend)
    if rel.refcount == 0:
        _relations.pop(rel.rd_id, None)
    elif _in_transaction is not None and _in_transaction():
        fresh = _build_current(rel.rd_id)
        if fresh is not None:
            _copy_into(fresh, rel)
    return 0


def invalidate(Oid oid):
    """A relation changed; 0: any of them may have."""
    cdef Relation rel
    for entry in _building:
        if oid == 0 or entry[0] == oid:
            entry[1] = True
    if oid:
        rel = _relations.get(oid)
        if rel is not None:
            _invalidate(rel)
        return
    for rel in list(_relations.values()):
        if rel.is_mapped or rel.refcount == 0:
            _invalidate(rel)
    for rel in list(_relations.values()):
        if rel.valid:
            _invalidate(rel)


def follow_map():
    """Have all mapped relations read from the files that the relation map names: before any catalog is read again."""
    cdef Relation rel
    for rel in list(_relations.values()):
        if rel.is_mapped:
            number = relmap.filenumber(rel.rd_id, rel.is_shared)
            if number and number != rel.rd_locator.relNumber:
                rel.set_locator(rel.rd_locator.spcOid, rel.rd_locator.dbOid, number)


def invalidate_mapped(shared):
    """The relation map was changed: mapped relations may be in other files."""
    cdef Relation rel
    follow_map()
    for rel in list(_relations.values()):
        if rel.is_mapped and rel.is_shared == shared:
            _invalidate(rel)


def forget_relation(Oid oid):
    """A relation was dropped in this transaction (RelationForgetRelation)."""
    cdef Relation rel = _relations.get(oid)
    if rel is not None and rel.refcount == 0:
        _relations.pop(oid, None)
    elif rel is not None:
        rel.valid = False


def reset():
    """Forget everything: another database is opened."""
    _relations.clear()
    _opened.clear()
    _new_files.clear()


# New files of this transaction, which may skip WAL where wal_level is minimal and live as long as it does


def note_new_relation(Oid oid, uint32_t subid):
    """The relation is created in this (sub)transaction."""
    _new_files[oid] = [subid, 0, 0]
    _refresh_subids(oid)


def note_new_file(Oid oid, uint32_t subid):
    """The relation got a new file in this (sub)transaction."""
    subids = _new_files.setdefault(oid, [0, 0, 0])
    subids[1] = subid
    if subids[2] == 0:
        subids[2] = subid
    _refresh_subids(oid)


cdef int _refresh_subids(Oid oid) except -1:
    cdef Relation rel = _relations.get(oid)
    if rel is not None:
        rel.create_subid, rel.new_locator_subid, rel.first_locator_subid = _new_files.get(oid, (0, 0, 0))
    return 0


cdef int end_relations_of_transaction(bint is_commit) except -1:
    """Nothing stays open, and files are no longer new."""
    cdef Relation rel
    if not _opened and not _new_files:
        return 0
    for rel in list(_opened):
        rel.refcount = 0
        if not rel.valid and not rel.is_nailed:
            _relations.pop(rel.rd_id, None)
    _opened.clear()
    changed = list(_new_files)
    _new_files.clear()
    for oid in changed:
        if not is_commit:
            _relations.pop(oid, None)
        else:
            _refresh_subids(oid)
    return 0


def end_subtransaction(is_commit, uint32_t subid, uint32_t parent):
    """New files belong to the parent now, or are gone."""
    for oid, subids in list(_new_files.items()):
        for i in range(3):
            if subids[i] == subid:
                subids[i] = parent if is_commit else 0
        if not any(subids):
            del _new_files[oid]
            if not is_commit:
                _relations.pop(oid, None)
        _refresh_subids(oid)


def open_relations():
    """(name, refcount) of relations that are open now, for leak warnings."""
    return [(rel.name, rel.refcount) for rel in _opened if rel.refcount > 0]

"""Reading and writing rows of the real catalogs: what the caches miss, and what DDL changes.

Reads use the catalog snapshot and an index whose leading columns are those asked for; writes keep every index of the
catalog, and the heap registers the invalidations (CatalogTupleInsert, CatalogTupleUpdate, CatalogTupleDelete, systable
scans).
Locks: AccessShareLock on the catalog while reading, RowExclusiveLock while writing; pins only within a call.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free
from libc.string cimport memset
from tusk._types cimport MAIN_FORK, Datum, ItemPointerData, Oid, RelFileLocator, tid_block, tid_offset, tid_set
from tusk.access._relation cimport Relation
from tusk.access._index cimport (
    BTEqualStrategyNumber, UNIQUE_CHECK_NO, UNIQUE_CHECK_YES, IndexScan, ScanKeyData, form_index_values, index_beginscan, index_endscan,
    index_getnext, index_insert, index_method_of, index_rescan, init_scan_key)
from tusk.access._tuple cimport HeapTupleData, heap_form_tuple_malloc, heap_getattr
from tusk.access._varlena cimport varsize_4b, varsize_any
from tusk.access.toast._detoast cimport detoast_malloc
from tusk.access.heap._heap cimport TU_None, TU_Summarizing, heap_insert, simple_heap_delete
from tusk.access.heap._inplace cimport heap_inplace_lock, heap_inplace_unlock, heap_inplace_update_and_unlock
from tusk.access.heap._update cimport simple_heap_update
from tusk.access.heap._scan cimport HeapScan, begin_heap_scan
from tusk.catalog cimport _codec
from tusk.catalog._codec cimport RowCodec, codec_of
from tusk.catalog._relcache cimport catalog_relation
from tusk.catalog._sinval cimport accept_invalidation_messages
from tusk.memory._process cimport MyProcNumber
from tusk.storage._smgr cimport smgr_exists, smgr_open
from tusk.transaction._lock cimport AccessShareLock, RowExclusiveLock, lock_relation_oid, unlock_relation_oid
from tusk.transaction._multixact cimport get_oldest_multixact_id
from tusk.transaction._snapshot cimport (
    RecentXmin, Snapshot, SnapshotSelf, get_catalog_snapshot, register_snapshot, unregister_snapshot)
from tusk.transaction._varsup cimport get_new_object_id
from tusk.transaction._xact cimport command_counter_increment as _command_counter_increment
from tusk.transaction._xact cimport get_current_command_id, get_current_sub_transaction_id

from tusk.catalog.schema import schema_of
from tusk.catalog.session import session
from tusk.errors import SqlError, errcode


cdef object _detoast(const void *value):
    """A toasted value of a catalog column as bytes with a plain header."""
    cdef char *plain = detoast_malloc(value)
    try:
        return <bytes> plain[:varsize_4b(plain)]
    finally:
        free(plain)


_codec.detoast_hook = _detoast

cdef dict _index_choice = {}        # (catalog, columns) -> (index oid, columns in index order) or None


cdef object _choose_index(str catalog, tuple columns):
    """An index whose leading columns are exactly the ones given."""
    key = (catalog, columns)
    if key in _index_choice:
        return _index_choice[key]
    schema = schema_of(catalog)
    wanted = {schema.attnum(name) for name in columns}
    choice = None
    for index in schema.indexes:
        if columns and set(index.attnums[:len(wanted)]) == wanted:
            names = tuple([schema.columns[attnum - 1].name for attnum in index.attnums[:len(wanted)]])
            choice = (index.oid, tuple([columns.index(name) for name in names]))
            break
    _index_choice[key] = choice
    return choice


cdef list _scan_heap(Relation rel, RowCodec codec, tuple columns, tuple values, Snapshot snapshot):
    """Every visible row with these values, by reading the whole heap."""
    cdef list rows = []
    cdef HeapScan scan
    cdef HeapTupleData *tup
    cdef Datum datum
    cdef uint8_t isnull
    cdef int i, n = len(columns)
    cdef bint matches
    cdef list attnums = [codec.desc.attnum_of(name) for name in columns]
    scan = begin_heap_scan(rel, snapshot)
    try:
        while True:
            tup = scan.next_tuple()
            if tup == NULL:
                break
            matches = True
            for i in range(n):
                datum = heap_getattr(tup.t_data, attnums[i], &codec.desc.c, &isnull)
                found = None if isnull else codec.decode_value(attnums[i], datum)
                if found != values[i]:
                    matches = False
                    break
            if matches:
                rows.append(codec.decode(tup.t_data, &tup.t_self))
    finally:
        scan.end()
    return rows


cdef list _scan_index(Relation rel, Relation index, RowCodec codec, tuple columns, tuple values, tuple order,
                      Snapshot snapshot):
    """Every visible row with these values, through an index; order says which column each index column is."""
    cdef list rows = []
    cdef list held = []
    cdef bytes copy
    cdef ScanKeyData keys[4]
    cdef Datum datum
    cdef HeapTupleData *tup
    cdef IndexScan scan
    cdef int i, n = len(order)
    cdef int attnum
    codec.reset_arena()
    for i in range(n):
        if values[order[i]] is None:
            return rows
        attnum = codec.desc.attnum_of(columns[order[i]])
        codec.encode_value(attnum, values[order[i]], &datum)
        if not codec.desc.attrs[attnum - 1].attbyval:
            # Fetching a toasted value may look up other rows of this catalog: the arena is not ours for long.
            copy = (<const char *> datum)[:64 if codec.desc.attrs[attnum - 1].attlen == 64 else
                                          varsize_any(<const void *> datum)]
            held.append(copy)
            datum = <Datum> <const char *> copy
        init_scan_key(&keys[i], index, i + 1, BTEqualStrategyNumber, datum)
    scan = index_beginscan(rel, index, snapshot)
    try:
        index_rescan(scan, keys, n)
        while True:
            tup = index_getnext(scan, False)
            if tup == NULL:
                break
            rows.append(codec.decode(tup.t_data, &tup.t_self))
    finally:
        index_endscan(scan)
    return rows


cdef bint _indexes_work(Relation index) except -1:
    """Whether the b-tree method is there; without it the heap is read (some tools run so)."""
    global _have_btree
    if not _have_btree:
        try:
            index_method_of(index)
        except SqlError:
            return False
        _have_btree = True
    return True


_have_btree = False


cdef list _scan(str catalog, tuple columns, tuple values, Snapshot snapshot):
    cdef RowCodec codec = codec_of(catalog)
    cdef Oid oid = codec.row_class.catalog_oid
    cdef Relation rel, index
    cdef Oid db
    rel = catalog_relation(oid)
    db = rel.lock_db()
    lock_relation_oid(db, oid, AccessShareLock)
    try:
        # The lock may have brought an invalidation that moved the catalog.
        rel = catalog_relation(oid)
        choice = _choose_index(catalog, columns)
        if choice is not None:
            index = catalog_relation(choice[0])
            if _indexes_work(index):
                return _scan_index(rel, index, codec, columns, values, choice[1], snapshot)
        return _scan_heap(rel, codec, columns, values, snapshot)
    finally:
        unlock_relation_oid(db, oid, AccessShareLock)


def read_rows(str catalog, tuple columns, tuple values):
    """The rows of a catalog where the columns have these values: the reader behind all caches."""
    cdef Snapshot snapshot = register_snapshot(get_catalog_snapshot())
    try:
        return _scan(catalog, columns, values, snapshot)
    finally:
        unregister_snapshot(snapshot)


def read_rows_self(str catalog, tuple columns, tuple values):
    """Like `read_rows`, but seeing what is committed at the moment, our own changes included (SnapshotSelf)."""
    return _scan(catalog, columns, values, SnapshotSelf)


cdef int _insert_index_entries(Relation rel, RowCodec codec, HeapTupleData *tup, bint only_summarizing) except -1:
    """Entries of a new row version in every index of its catalog (CatalogIndexInsert)."""
    cdef Relation index
    cdef Datum values[32]
    cdef uint8_t nulls[32]
    if only_summarizing:
        return 0
    for oid in rel.index_oids:
        index = catalog_relation(oid)
        form_index_values(index, tup, rel, values, nulls)
        index_insert(index, values, nulls, &tup.t_self, rel, UNIQUE_CHECK_YES if index.indisunique else UNIQUE_CHECK_NO,
                     False)
    return 0


def new_oid(str catalog, str column="oid"):
    """An OID that no row of the catalog has (GetNewOidWithIndex)."""
    cdef Oid oid
    while True:
        oid = get_new_object_id()
        if not _scan(catalog, (column,), (int(oid),), SnapshotSelf):
            return int(oid)


def new_relfilenumber(tablespace, persistence, shared=False):
    """An OID for a new relation that is free both in pg_class and as a file name (GetNewRelFileNumber)."""
    cdef RelFileLocator locator
    cdef Oid oid
    locator.spcOid = 1664 if shared else (tablespace or session.database_tablespace)
    locator.dbOid = 0 if shared else session.database_id
    while True:
        oid = new_oid("pg_class")
        locator.relNumber = oid
        if not smgr_exists(smgr_open(&locator, MyProcNumber if persistence == "t" else -1), MAIN_FORK):
            return int(oid)


def new_relation_horizon():
    """(relfrozenxid, relminmxid) of a table created now: nothing in it can be older."""
    return int(RecentXmin), int(get_oldest_multixact_id())


def command_counter_increment():
    """End the command: what it changed is visible from now on."""
    _command_counter_increment()


def current_sub_transaction_id():
    """The id of the current subtransaction."""
    return int(get_current_sub_transaction_id())


def insert_row(row):
    """Store a new row; its ``t_self`` is set. Who needs to see it increments the command counter."""
    cdef RowCodec codec = codec_of(row.catalog_name)
    cdef Oid oid = codec.row_class.catalog_oid
    cdef Relation rel = catalog_relation(oid)
    cdef Oid db = rel.lock_db()
    cdef HeapTupleData *tup
    lock_relation_oid(db, oid, RowExclusiveLock)
    try:
        rel = catalog_relation(oid)
        codec.encode(row)
        tup = heap_form_tuple_malloc(codec.desc, codec.values, codec.nulls)
        try:
            heap_insert(rel, tup, get_current_command_id(True), 0, None)
            row.t_self = (int(tid_block(&tup.t_self)), int(tid_offset(&tup.t_self)))
            _insert_index_entries(rel, codec, tup, False)
        finally:
            free(tup)
    finally:
        unlock_relation_oid(db, oid, RowExclusiveLock)
    return row


def update_row(row, old=None):
    """Replace the row stored at ``row.t_self`` by row; ``old`` is what was there, for the reader of the call."""
    cdef RowCodec codec = codec_of(row.catalog_name)
    cdef Oid oid = codec.row_class.catalog_oid
    cdef Relation rel = catalog_relation(oid)
    cdef Oid db = rel.lock_db()
    cdef HeapTupleData *tup
    cdef ItemPointerData tid
    cdef int update_indexes = TU_None
    if row.t_self is None:
        raise ValueError(f"row of {row.catalog_name} is not a stored one")
    tid_set(&tid, row.t_self[0], row.t_self[1])
    lock_relation_oid(db, oid, RowExclusiveLock)
    try:
        rel = catalog_relation(oid)
        codec.encode(row)
        tup = heap_form_tuple_malloc(codec.desc, codec.values, codec.nulls)
        try:
            simple_heap_update(rel, &tid, tup, &update_indexes)
            row.t_self = (int(tid_block(&tup.t_self)), int(tid_offset(&tup.t_self)))
            if update_indexes != TU_None:
                _insert_index_entries(rel, codec, tup, update_indexes == TU_Summarizing)
        finally:
            free(tup)
    finally:
        unlock_relation_oid(db, oid, RowExclusiveLock)
    return row


def update_row_inplace(row):
    """Overwrite a row with one of the same size, outside of any transaction: statistics and flags that must be right
    whether we commit or not (systable_inplace_update). Everybody is told at once. False if the row had changed
    meanwhile: look it up and try again.
    """
    cdef RowCodec codec = codec_of(row.catalog_name)
    cdef Oid oid = codec.row_class.catalog_oid
    cdef Relation rel = catalog_relation(oid)
    cdef Oid db = rel.lock_db()
    cdef HeapTupleData *tup
    cdef HeapTupleData place
    cdef int buf = 0
    lock_relation_oid(db, oid, RowExclusiveLock)
    try:
        rel = catalog_relation(oid)
        codec.encode(row)
        tup = heap_form_tuple_malloc(codec.desc, codec.values, codec.nulls)
        try:
            memset(&place, 0, sizeof(place))
            tid_set(&place.t_self, row.t_self[0], row.t_self[1])
            tup.t_self = place.t_self
            if not heap_inplace_lock(rel, &place, &buf):
                return False
            if place.t_len != tup.t_len:
                heap_inplace_unlock(rel, &place, buf)
                raise SqlError(errcode.INTERNAL_ERROR, "wrong tuple length")
            heap_inplace_update_and_unlock(rel, &place, tup, buf)
        finally:
            free(tup)
    finally:
        unlock_relation_oid(db, oid, RowExclusiveLock)
    accept_invalidation_messages()
    return True


def delete_row(row):
    """Remove a stored row."""
    cdef RowCodec codec = codec_of(row.catalog_name)
    cdef Oid oid = codec.row_class.catalog_oid
    cdef Relation rel = catalog_relation(oid)
    cdef Oid db = rel.lock_db()
    cdef ItemPointerData tid
    if row.t_self is None:
        raise ValueError(f"row of {row.catalog_name} is not a stored one")
    tid_set(&tid, row.t_self[0], row.t_self[1])
    lock_relation_oid(db, oid, RowExclusiveLock)
    try:
        rel = catalog_relation(oid)
        simple_heap_delete(rel, &tid)
    finally:
        unlock_relation_oid(db, oid, RowExclusiveLock)

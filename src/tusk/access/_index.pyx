"""Index scans and insertions over whatever access method an index has.

A scan yields TIDs; `index_fetch_heap` turns one into the visible row version. When that finds a whole HOT chain dead
to everybody, the scan is told, so that the method can mark the index entry and spare later scans the visit.
"""

from libc.stdint cimport uint8_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset
from tusk._types cimport Datum, ItemPointerData
from tusk.access cimport _compare
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport INDEX_MAX_KEYS, HeapTupleData, heap_getattr, heap_getsysattr
from tusk.access._tupdesc cimport Attribute
from tusk.access._varlena cimport varatt_is_extended, varatt_is_external, varsize_4b
from tusk.access.heap._scan cimport IndexFetch
from tusk.access.toast._compression cimport toast_compress
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.transaction._snapshot cimport Snapshot

cdef enum:
    TOAST_INDEX_TARGET = 510        # MaxHeapTupleSize / 16

_methods = {}


cdef class IndexScan:
    """An index scan."""

    def __dealloc__(self):
        free(self.keys)

    cdef int begin(self, Relation heap, Relation index, Snapshot snapshot) except -1:
        self.heap = heap
        self.index = index
        self.snapshot = snapshot
        self.ignore_killed_tuples = True
        self.fetch = IndexFetch(heap) if heap is not None else None
        return 0

    cdef int set_keys(self, const ScanKeyData *keys, int nkeys) except -1:
        cdef void *room
        if nkeys > self.keys_room:
            room = realloc(self.keys, nkeys * sizeof(ScanKeyData))
            if room == NULL:
                raise MemoryError
            self.keys = <ScanKeyData *> room
            self.keys_room = nkeys
        if nkeys:
            memcpy(self.keys, keys, nkeys * sizeof(ScanKeyData))
        self.nkeys = nkeys
        return 0

    cdef int rescan(self) except -1:
        raise feature_not_supported("scans of this index method")

    cdef int next_tid(self, bint backward) except -1:
        raise feature_not_supported("ordered scans of this index method")

    cdef long long get_bitmap(self, tid_sink sink, void *arg) except -1:
        """By next_tid, one at a time; methods do better."""
        cdef long long n = 0
        while self.next_tid(False):
            sink(arg, &self.heaptid, 1, self.recheck)
            n += 1
        return n

    cdef int mark_position(self) except -1:
        raise feature_not_supported("marking a position in scans of this index method")

    cdef int restore_position(self) except -1:
        raise feature_not_supported("marking a position in scans of this index method")

    cdef int end(self) except -1:
        return 0

    def close(self):
        """End the scan."""
        index_endscan(self)


cdef class IndexMethod:
    """An index access method."""

    cdef IndexScan new_scan(self):
        raise feature_not_supported(f'scans of index method "{self.name}"')

    cdef int insert(
        self, Relation index, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid, Relation heap,
        int check_unique, bint index_unchanged,
    ) except -1:
        raise feature_not_supported(f'insertion into indexes of method "{self.name}"')

    cdef tuple build(self, Relation heap, Relation index, IndexFormer former):
        raise feature_not_supported(f'building indexes of method "{self.name}"')

    cdef int build_empty(self, Relation index, int fork) except -1:
        raise feature_not_supported(f'building indexes of method "{self.name}"')

    cdef int bulk_delete(
        self, Relation index, Relation heap, tid_is_dead is_dead, void *arg, IndexVacuumStats *stats,
    ) except -1:
        raise feature_not_supported(f'vacuum of indexes of method "{self.name}"')

    cdef int vacuum_cleanup(self, Relation index, Relation heap, IndexVacuumStats *stats, bint scanned) except -1:
        raise feature_not_supported(f'vacuum of indexes of method "{self.name}"')


cpdef register_index_method(object am_oid, IndexMethod method):
    """Make an access method known by its pg_am oid."""
    _methods[int(am_oid)] = method


cdef IndexMethod index_method_of(Relation index):
    method = _methods.get(index.am_oid)
    if method is None:
        raise feature_not_supported(f'index access method "{index.am_name or index.am_oid}"')
    return <IndexMethod> method


cdef IndexScan index_beginscan(Relation heap, Relation index, Snapshot snapshot):
    cdef IndexScan scan = index_method_of(index).new_scan()
    scan.begin(heap, index, snapshot)
    return scan


cdef IndexScan index_beginscan_bitmap(Relation index, Snapshot snapshot):
    cdef IndexScan scan = index_method_of(index).new_scan()
    scan.begin(None, index, snapshot)
    return scan


cdef int index_rescan(IndexScan scan, const ScanKeyData *keys, int nkeys) except -1:
    if scan.fetch is not None:
        scan.fetch.reset()
    scan.kill_prior_tuple = False
    scan.set_keys(keys, nkeys)
    return scan.rescan()


cdef int index_getnext_tid(IndexScan scan, bint backward) except -1:
    cdef int found = scan.next_tid(backward)
    scan.kill_prior_tuple = False
    if scan.fetch is not None:
        scan.fetch.call_again = False
    if found:
        scan.index.counts.tuples_returned += 1
    elif scan.fetch is not None:
        scan.fetch.reset()
    return found


cdef HeapTupleData *index_fetch_heap(IndexScan scan) except? NULL:
    cdef bint found = scan.fetch.fetch(&scan.heaptid, scan.snapshot, scan.ignore_killed_tuples)
    if scan.ignore_killed_tuples:
        scan.kill_prior_tuple = scan.fetch.all_dead
    if not found:
        return NULL
    scan.index.counts.tuples_fetched += 1
    return &scan.fetch.tup


cdef HeapTupleData *index_getnext(IndexScan scan, bint backward) except? NULL:
    """Next visible row in index order."""
    cdef HeapTupleData *tup
    while True:
        if not scan.fetch.call_again and not index_getnext_tid(scan, backward):
            return NULL
        tup = index_fetch_heap(scan)
        if tup != NULL:
            return tup


cdef int index_endscan(IndexScan scan) except -1:
    if scan.fetch is not None:
        scan.fetch.reset()
    scan.end()
    return 0


cdef char *index_value(const Attribute *att, const char *value) except? NULL:
    """What goes into an index for a varlena: an external value is fetched, since an index never points into a toast
    table, and a long one compressed. malloc'ed, or NULL for the value as it is (index_form_tuple)."""
    cdef char *plain = NULL
    cdef char *compressed
    if varatt_is_external(value):
        if _compare.detoast_malloc_hook == NULL:
            raise feature_not_supported("indexing external values without access.toast loaded")
        plain = _compare.detoast_malloc_hook(value)
        value = plain
    if not varatt_is_extended(value) and varsize_4b(value) > TOAST_INDEX_TARGET and \
            (att.attstorage == c'x' or att.attstorage == c'm'):
        try:
            compressed = toast_compress(value, att.attcompression)
        except BaseException:
            free(plain)
            raise
        if compressed != NULL:
            free(plain)
            return compressed
    return plain


cdef inline bint needs_index_value(const Attribute *att, const char *value) noexcept nogil:
    return varatt_is_external(value) or (not varatt_is_extended(value) and varsize_4b(value) > TOAST_INDEX_TARGET)


cdef int index_insert(
    Relation index, const Datum *values, const uint8_t *nulls, const ItemPointerData *tid, Relation heap,
    int check_unique, bint index_unchanged,
) except -1:
    cdef Datum changed[INDEX_MAX_KEYS]
    cdef char *mine[INDEX_MAX_KEYS]
    cdef int n = index.indnatts
    cdef int i
    cdef bint copied = False
    cdef IndexMethod method = index_method_of(index)
    for i in range(n):
        if index.desc.attrs[i].attlen == -1 and not nulls[i] and \
                needs_index_value(&index.desc.attrs[i], <const char *> values[i]):
            copied = True
            break
    if not copied:
        return method.insert(index, values, nulls, tid, heap, check_unique, index_unchanged)
    memset(mine, 0, sizeof(mine))
    try:
        for i in range(n):
            changed[i] = values[i]
            if index.desc.attrs[i].attlen == -1 and not nulls[i]:
                mine[i] = index_value(&index.desc.attrs[i], <const char *> values[i])
                if mine[i] != NULL:
                    changed[i] = <Datum> mine[i]
        return method.insert(index, changed, nulls, tid, heap, check_unique, index_unchanged)
    finally:
        for i in range(n):
            free(mine[i])


cdef int form_index_values(
    Relation index, const HeapTupleData *tup, Relation heap, Datum *values, uint8_t *nulls,
) except -1:
    cdef int i
    cdef int attnum
    for i in range(index.indnatts):
        attnum = index.indkey[i]
        if attnum > 0:
            values[i] = heap_getattr(tup.t_data, attnum, &heap.desc.c, &nulls[i])
        elif attnum < 0:
            values[i] = heap_getsysattr(tup, attnum, &nulls[i])
        else:
            raise SqlError(errcode.INTERNAL_ERROR, "index expressions are evaluated by the executor")
    return 0


cdef int init_scan_key(ScanKeyData *key, Relation index, int attno, int strategy, Datum argument) except -1:
    """A plain comparison with a value of the column's own type."""
    memset(key, 0, sizeof(ScanKeyData))
    key.sk_attno = <short> attno
    key.sk_strategy = <unsigned short> strategy
    key.sk_subtype = index.keys[attno - 1].opcintype
    key.sk_collation = index.keys[attno - 1].collation
    key.sk_cmp = index.keys[attno - 1].cmp
    key.sk_argument = argument
    return 0


_make_former = None


def set_index_former(factory):
    """Name the function (heap, index) -> IndexFormer for indexes with expressions or a predicate; set by `sql`."""
    global _make_former
    _make_former = factory


cdef class IndexFormer:
    """``IndexFormer(heap, index)``: for indexes of plain columns."""

    def __cinit__(self, Relation heap, Relation index):
        self.heap = heap
        self.index = index

    def __dealloc__(self):
        self.release()

    cdef void release(self) noexcept:
        while self.nfetched:
            self.nfetched -= 1
            free(self.fetched[self.nfetched])

    cdef int form(self, const HeapTupleData *tup, Datum *values, uint8_t *nulls) except -1:
        form_index_values(self.index, tup, self.heap, values, nulls)
        return self.fetch_external(values, nulls)

    cdef int fetch_external(self, Datum *values, const uint8_t *nulls) except -1:
        """Bring in what lies in a toast table, compress what is long; 1."""
        cdef int i
        cdef char *made
        self.release()
        for i in range(self.index.indnatts):
            if self.index.desc.attrs[i].attlen != -1 or nulls[i]:
                continue
            made = index_value(&self.index.desc.attrs[i], <const char *> values[i])
            if made != NULL:
                self.fetched[self.nfetched] = made
                self.nfetched += 1
                values[i] = <Datum> made
        return 1


def index_build(Relation heap, Relation index):
    """Fill a new index from its table: (rows of the table, entries, whether a HOT chain is broken: then the index must
    not be used by snapshots older than this transaction, pg_index.indcheckxmin)."""
    return index_method_of(index).build(heap, index, index_former(heap, index))


def index_former(Relation heap, Relation index):
    """What makes an index's values from rows of its table."""
    if not index.index_expressions and not index.index_predicate:
        return IndexFormer(heap, index)
    if _make_former is None:
        raise feature_not_supported("indexes of expressions without the executor")
    return _make_former(heap, index)


def index_build_empty(Relation index, int fork=0):
    """Write an empty index into a fork that has no pages."""
    index_method_of(index).build_empty(index, fork)


def index_methods():
    """The registered access methods: {oid: name}."""
    return {oid: method.name for oid, method in _methods.items()}

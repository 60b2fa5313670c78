"""B-trees from Python: entries as lists of raw datums (None, int for by-value types, bytes otherwise), TIDs as pairs.

For tests and tools.
"""

from libc.stdint cimport int64_t, uint8_t
from libc.stdlib cimport calloc, free, malloc
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, Datum, ItemPointerData, tid_block, tid_offset, tid_set,
)
from tusk.access._compare cimport lookup_comparator
from tusk.access._index cimport (
    SK_ISNULL, SK_ROW_END, SK_ROW_HEADER, SK_ROW_MEMBER, SK_SEARCHARRAY, SK_SEARCHNOTNULL, SK_SEARCHNULL, IndexScan,
    ScanKeyData, index_beginscan, index_beginscan_bitmap, index_endscan, index_fetch_heap, index_getnext_tid,
    index_insert, index_rescan,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport index_deform_tuple
from tusk.access._tuple cimport datum_size
from tusk.access._tupdesc cimport TupleDesc
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, RBM_NORMAL, buffer_page, lock_buffer, read_buffer, relation_nblocks, unlock_release_buffer,
)
from tusk.transaction._snapshot cimport Snapshot, SnapshotAny, get_transaction_snapshot

STRATEGIES = {"<": 1, "<=": 2, "=": 3, ">=": 4, ">": 5}
CHECKS = {"no": 0, "yes": 1, "partial": 2, "existing": 3}


cdef inline Datum datum_of(object value):
    if isinstance(value, int):
        return <Datum> <int64_t> value
    return <Datum> <const char *> (<bytes> value)


def insert_entry(Relation index, Relation heap, values, tuple tid, str check="no", bint unchanged=False):
    """Insert an entry; False when there may be a duplicate (check "partial")."""
    cdef Datum datums[32]
    cdef uint8_t nulls[32]
    cdef ItemPointerData itid
    cdef int i
    for i in range(index.indnatts):
        nulls[i] = values[i] is None
        datums[i] = 0 if values[i] is None else datum_of(values[i])
    tid_set(&itid, tid[0], tid[1])
    return bool(index_insert(index, datums, nulls, &itid, heap, CHECKS[check], unchanged))


cdef class Keys:
    """Scan keys from (column from 1, operator, value): operators <, <=, =, >=, >, "is null", "is not null", "any" with
    a list of values ("< any" etc. too), "row <" etc. with a list of (column, value)."""

    cdef ScanKeyData *keys
    cdef int n
    cdef list held
    cdef list blocks

    def __cinit__(self, Relation index, specs):
        self.n = len(specs)
        self.keys = <ScanKeyData *> calloc(self.n + 1, sizeof(ScanKeyData))
        self.held = [specs]
        self.blocks = []
        for i, spec in enumerate(specs):
            self.fill(index, &self.keys[<int> i], spec)

    def __dealloc__(self):
        cdef int i
        for i in range(self.n):
            free(self.keys[i].sk_elems)
            free(self.keys[i].sk_members)
        free(self.keys)

    cdef int fill(self, Relation index, ScanKeyData *key, object spec) except -1:
        cdef int i
        attno, op, value = spec[:3]
        key.sk_attno = attno
        key.sk_subtype = index.keys[key.sk_attno - 1].opcintype
        key.sk_collation = index.keys[key.sk_attno - 1].collation
        key.sk_cmp.fn = NULL
        if len(spec) > 3:
            key.sk_subtype = spec[4]
            self.held.append(lookup_comparator(spec[3], key.sk_collation, &key.sk_cmp))
        if op == "is null":
            key.sk_flags = SK_SEARCHNULL | SK_ISNULL
        elif op == "is not null":
            key.sk_flags = SK_SEARCHNOTNULL | SK_ISNULL
        elif op.endswith("any"):
            key.sk_flags = SK_SEARCHARRAY
            key.sk_strategy = STRATEGIES[op[:-3].strip() or "="]
            value = [v for v in value if v is not None]
            key.sk_nelems = len(value)
            key.sk_elems = <Datum *> malloc((len(value) + 1) * sizeof(Datum))
            for i in range(key.sk_nelems):
                key.sk_elems[i] = datum_of(value[i])
            self.held.append(value)
        elif op.startswith("row "):
            key.sk_flags = SK_ROW_HEADER
            key.sk_strategy = STRATEGIES[op[4:]]
            key.sk_members = <ScanKeyData *> calloc(len(value), sizeof(ScanKeyData))
            for i in range(len(value)):
                key.sk_members[i].sk_flags = SK_ROW_MEMBER
                key.sk_members[i].sk_attno = value[i][0]
                key.sk_members[i].sk_strategy = key.sk_strategy
                if value[i][1] is None:
                    key.sk_members[i].sk_flags |= SK_ISNULL
                else:
                    key.sk_members[i].sk_argument = datum_of(value[i][1])
                if i + 1 == len(value):
                    key.sk_members[i].sk_flags |= SK_ROW_END
        else:
            key.sk_strategy = STRATEGIES[op]
            if value is None:
                key.sk_flags = SK_ISNULL
            else:
                key.sk_argument = datum_of(value)
        return 0


cdef list deform(TupleDesc desc, IndexScan scan):
    cdef Datum datums[32]
    cdef uint8_t nulls[32]
    cdef int i
    cdef list out = []
    index_deform_tuple(scan.itup, &desc.c, datums, nulls)
    for i in range(desc.natts):
        if nulls[i]:
            out.append(None)
        elif desc.attrs[i].attbyval:
            out.append(<int64_t> datums[i])
        else:
            out.append((<const char *> datums[i])[:datum_size(datums[i], False, desc.attrs[i].attlen)])
    return out


cdef class EntryScan:
    """``EntryScan(index, keys, heap=None, snapshot=None, itup=False)``: a scan of entries, or (with heap) rows."""

    cdef IndexScan scan
    cdef Keys keys
    cdef bint fetch

    def __init__(self, Relation index, keys=(), Relation heap=None, Snapshot snapshot=None, bint itup=False):
        if heap is not None and snapshot is None:
            snapshot = get_transaction_snapshot()
        self.fetch = heap is not None
        self.scan = index_beginscan(heap, index, snapshot) if heap is not None else \
            index_beginscan_bitmap(index, SnapshotAny)
        self.scan.want_itup = itup
        self.keys = Keys(index, list(keys))
        index_rescan(self.scan, self.keys.keys, self.keys.n)

    def next(self, bint backward=False):
        """The next TID, (tid, values) with itup, None at the end. With a heap, only of visible rows."""
        while index_getnext_tid(self.scan, backward):
            tid = (tid_block(&self.scan.heaptid), tid_offset(&self.scan.heaptid))
            if self.fetch and index_fetch_heap(self.scan) == NULL:
                continue
            if self.scan.want_itup:
                return tid, deform(self.scan.index.desc, self.scan)
            return tid
        return None

    def all(self, bint backward=False):
        """What is left, as a list."""
        out = []
        while (entry := self.next(backward)) is not None:
            out.append(entry)
        return out

    def rescan(self, keys):
        """Start anew with other keys."""
        self.keys = Keys(self.scan.index, list(keys))
        index_rescan(self.scan, self.keys.keys, self.keys.n)

    def mark(self):
        """Remember the position."""
        self.scan.mark_position()

    def restore(self):
        """Go back to the marked position."""
        self.scan.restore_position()

    def close(self):
        """End the scan."""
        index_endscan(self.scan)


cdef int collect(void *arg, const ItemPointerData *tids, int n, bint recheck) except -1:
    cdef int i
    out = <list> arg
    for i in range(n):
        out.append((tid_block(&tids[i]), tid_offset(&tids[i])))
    return 0


def bitmap_entries(Relation index, keys=()):
    """All matching TIDs as a bitmap scan collects them."""
    cdef IndexScan scan = index_beginscan_bitmap(index, SnapshotAny)
    cdef Keys k = Keys(index, list(keys))
    cdef list out = []
    index_rescan(scan, k.keys, k.n)
    scan.get_bitmap(collect, <void *> out)
    index_endscan(scan)
    return out


def index_pages(Relation index):
    """The bytes of all pages as they are in the pool."""
    cdef BlockNumber n = <BlockNumber> relation_nblocks(&index.rd_locator, index.relpersistence, MAIN_FORK)
    cdef BlockNumber block
    cdef int buf
    out = []
    for block in range(n):
        buf = read_buffer(&index.rd_locator, index.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
        lock_buffer(buf, BUFFER_LOCK_SHARE)
        out.append(buffer_page(buf)[:BLCKSZ])
        unlock_release_buffer(buf)
    return out

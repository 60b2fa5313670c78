"""Reading heap tuples: by TID, along HOT chains for index scans, and page by page.

A scan never gives out tuples one lock at a time: it locks a page once, notes all its visible tuples, unlocks it, and
hands them out under the pin alone (README rule 4). Pruning is tried on each page a scan comes to.
"""

from libc.stdint cimport uint16_t, uint32_t
from tusk._types cimport (
    MAIN_FORK, BlockNumber, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, OffsetNumber, TransactionId,
    tid_block, tid_offset, tid_set,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HEAP_XMAX_INVALID, HEAP_XMIN_COMMITTED, HEAP_XMIN_FROZEN, HEAP_XMIN_INVALID, HeapTupleData, HeapTupleHeaderData,
    tuple_is_heap_only, tuple_is_hot_updated, tuple_xmin,
)
from tusk.access.heap._prune cimport heap_page_prune_opt
from tusk.access.heap._visibility cimport tuple_is_surely_dead, tuple_satisfies_visibility, tuple_update_xid
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.storage._buffer cimport (
    BAS_BULKREAD, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, BufferAccessStrategy, NBuffers,
    buffer_page, free_access_strategy, get_access_strategy, lock_buffer, read_ahead, read_buffer, relation_nblocks,
    release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_get_redirect, item_id_is_normal, item_id_is_redirected, page_get_item,
    page_get_item_id, page_get_max_offset, page_is_all_visible,
)
from tusk.transaction._snapshot cimport (
    SNAPSHOT_MVCC, VISHORIZON_CATALOG, VISHORIZON_DATA, VISHORIZON_SHARED, VISHORIZON_TEMP, GlobalVisState, Snapshot,
    global_vis_test_for,
)
from tusk.transaction._transam cimport transaction_id_precedes

cdef enum:
    READ_AHEAD = 16             # blocks: 128 kB, io_combine_limit's default


cdef int vis_kind(Relation rel) noexcept:
    """Which horizon decides when a dead tuple of the relation is dead to all (GlobalVisHorizonKindForRel)."""
    if rel.is_shared:
        return VISHORIZON_SHARED
    if rel.is_catalog or rel.is_user_catalog:
        return VISHORIZON_CATALOG
    if rel.relpersistence == c't':
        return VISHORIZON_TEMP
    return VISHORIZON_DATA


cdef int heap_fetch(Relation rel, Snapshot snapshot, HeapTupleData *tup, int *buf, bint keep_buf) except -1:
    cdef OffsetNumber offset = tid_offset(&tup.t_self)
    cdef char *page
    cdef ItemIdData *lp
    cdef int visible
    cdef int b = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, tid_block(&tup.t_self), RBM_NORMAL, NULL)
    lock_buffer(b, BUFFER_LOCK_SHARE)
    page = buffer_page(b)
    tup.t_data = NULL
    if offset < 1 or offset > page_get_max_offset(page) or not item_id_is_normal(page_get_item_id(page, offset)):
        lock_buffer(b, BUFFER_LOCK_UNLOCK)
        release_buffer(b)
        buf[0] = 0
        return 0
    lp = page_get_item_id(page, offset)
    tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
    tup.t_len = item_id_get_length(lp)
    tup.t_tableOid = rel.rd_id
    visible = tuple_satisfies_visibility(tup, snapshot, b)
    lock_buffer(b, BUFFER_LOCK_UNLOCK)
    if visible:
        buf[0] = b
        return 1
    if keep_buf:
        buf[0] = b
    else:
        release_buffer(b)
        buf[0] = 0
        tup.t_data = NULL
    return 0


cdef int heap_hot_search_buffer(
    ItemPointerData *tid, Relation rel, int buf, Snapshot snapshot, HeapTupleData *tup, bint *all_dead,
    bint first_call,
) except -1:
    cdef char *page = buffer_page(buf)
    cdef BlockNumber block = tid_block(tid)
    cdef OffsetNumber offset = tid_offset(tid)
    cdef OffsetNumber max_offset = page_get_max_offset(page)
    cdef TransactionId prev_xmax = InvalidTransactionId
    cdef bint at_start = first_call
    cdef bint skip = not first_call
    cdef GlobalVisState *vistest = NULL
    cdef ItemIdData *lp
    if all_dead != NULL:
        all_dead[0] = first_call
    tup.t_tableOid = rel.rd_id
    while 1 <= offset <= max_offset:
        lp = page_get_item_id(page, offset)
        if not item_id_is_normal(lp):
            if item_id_is_redirected(lp) and at_start:
                offset = <OffsetNumber> item_id_get_redirect(lp)
                at_start = False
                continue
            break
        tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
        tup.t_len = item_id_get_length(lp)
        tid_set(&tup.t_self, block, offset)
        if at_start and tuple_is_heap_only(tup.t_data):
            break
        # A chain member's xmin is its predecessor's xmax, else the place is used for something new.
        if prev_xmax != InvalidTransactionId and prev_xmax != tuple_xmin(tup.t_data):
            break
        if not skip:
            if tuple_satisfies_visibility(tup, snapshot, buf):
                tid.ip_posid = offset
                if all_dead != NULL:
                    all_dead[0] = False
                return 1
        skip = False
        if all_dead != NULL and all_dead[0]:
            if vistest == NULL:
                vistest = global_vis_test_for(vis_kind(rel))
            if not tuple_is_surely_dead(tup.t_data, vistest):
                all_dead[0] = False
        if not tuple_is_hot_updated(tup.t_data):
            break
        offset = tid_offset(&tup.t_data.t_ctid)
        at_start = False
        prev_xmax = tuple_update_xid(tup.t_data)
    return 0


cdef class IndexFetch:
    """``IndexFetch(relation)``: state of fetching the tuples that an index scan points to."""

    def __cinit__(self, Relation rel):
        self.rel = rel
        self.buf = 0
        self.block = InvalidBlockNumber
        self.call_again = False

    cdef int fetch(self, ItemPointerData *tid, Snapshot snapshot, bint want_all_dead) except -1:
        cdef BlockNumber block = tid_block(tid)
        cdef int found
        if not self.call_again and (self.buf == 0 or self.block != block):
            if self.buf:
                release_buffer(self.buf)
                self.buf = 0
            self.buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
            self.block = block
            heap_page_prune_opt(self.rel, self.buf)
        lock_buffer(self.buf, BUFFER_LOCK_SHARE)
        found = heap_hot_search_buffer(tid, self.rel, self.buf, snapshot, &self.tup,
                                       &self.all_dead if want_all_dead else NULL, not self.call_again)
        lock_buffer(self.buf, BUFFER_LOCK_UNLOCK)
        if not want_all_dead:
            self.all_dead = False
        # An MVCC snapshot sees one version of a row at most.
        self.call_again = found and snapshot.kind != SNAPSHOT_MVCC
        return found

    cdef int reset(self) except -1:
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        self.block = InvalidBlockNumber
        self.call_again = False
        return 0


cdef int index_fetch_tuple(
    IndexFetch state, ItemPointerData *tid, Snapshot snapshot, bint want_all_dead,
) except -1:
    return state.fetch(tid, snapshot, want_all_dead)


cdef int collect_visible(
    Relation rel, Snapshot snapshot, int buf, BlockNumber block, OffsetNumber *offsets,
    HeapTupleHeaderData **headers, uint32_t *lengths,
) except -1:
    """All visible tuples of a pinned page; it is locked meanwhile."""
    cdef char *page = buffer_page(buf)
    cdef OffsetNumber offset, max_offset
    cdef ItemIdData *lp
    cdef HeapTupleHeaderData *h
    cdef HeapTupleData tup
    cdef int n = 0
    cdef bint mvcc = snapshot.kind == SNAPSHOT_MVCC
    cdef TransactionId xmin = snapshot.xmin
    cdef bint all_visible
    cdef uint16_t settled = HEAP_XMIN_COMMITTED | HEAP_XMAX_INVALID
    lock_buffer(buf, BUFFER_LOCK_SHARE)
    max_offset = page_get_max_offset(page)
    # A standby may be told that a page is all-visible before its snapshots agree.
    all_visible = page_is_all_visible(page) and mvcc and not snapshot.takenDuringRecovery
    tup.t_tableOid = rel.rd_id
    for offset in range(1, max_offset + 1):
        lp = page_get_item_id(page, offset)
        if not item_id_is_normal(lp):
            continue
        h = <HeapTupleHeaderData *> page_get_item(page, lp)
        if not all_visible:
            if not (mvcc and h.t_infomask & settled == settled and (
                    h.t_infomask & HEAP_XMIN_INVALID or transaction_id_precedes(h.t_xmin, xmin))):
                tup.t_data = h
                tup.t_len = item_id_get_length(lp)
                tid_set(&tup.t_self, block, offset)
                if not tuple_satisfies_visibility(&tup, snapshot, buf):
                    continue
        offsets[n] = offset
        headers[n] = h
        lengths[n] = item_id_get_length(lp)
        n += 1
    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    return n


cdef int heap_page_visible_tuples(
    Relation rel, Snapshot snapshot, BlockNumber block, int *buf, OffsetNumber *offsets,
    HeapTupleHeaderData **headers, uint32_t *lengths,
) except -1:
    if buf[0]:
        release_buffer(buf[0])
        buf[0] = 0
    buf[0] = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    heap_page_prune_opt(rel, buf[0])
    return collect_visible(rel, snapshot, buf[0], block, offsets, headers, lengths)


cdef class HeapScan:
    """A sequential scan; made by `begin_heap_scan`, ended by `end`."""

    def __dealloc__(self):
        if self.strategy != NULL:
            free_access_strategy(self.strategy)

    cdef int set_limits(self, BlockNumber start, BlockNumber nblocks) except -1:
        """Visit only these blocks (heap_setscanlimits); InvalidBlockNumber: all from start, wrapping around."""
        self.start_block = start
        self.total = self.nblocks
        if nblocks != InvalidBlockNumber and nblocks < self.nblocks:
            self.total = nblocks
        self.inited = False
        return 0

    cdef int load_page(self, int step) except -1:
        """Go to the next (1) or previous (-1) block; 0 when there is none."""
        cdef long long ahead, first
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        check_for_interrupts()
        if not self.inited:
            self.position = -1 if step > 0 else self.total
            self.read_until = 0
            self.inited = True
        self.position += step
        if self.position < 0 or self.position >= self.total:
            self.inited = False
            self.block = InvalidBlockNumber
            return 0
        self.block = <BlockNumber> ((self.start_block + self.position) % self.nblocks)
        if step > 0 and self.position >= self.read_until and self.total > 1:
            ahead = self.total - self.position
            if ahead > READ_AHEAD:
                ahead = READ_AHEAD
            if self.block + ahead > self.nblocks:
                ahead = self.nblocks - self.block
            self.read_until = self.position + ahead
            read_ahead(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, self.block, <int> ahead,
                       self.strategy)
        self.buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, self.block, RBM_NORMAL,
                               self.strategy)
        heap_page_prune_opt(self.rel, self.buf)
        self.ntuples = collect_visible(self.rel, self.snapshot, self.buf, self.block, self.offsets, self.headers,
                                       self.lengths)
        return 1

    cdef int next_page(self) except -1:
        while self.load_page(1):
            if self.ntuples:
                self.rel.counts.tuples_returned += self.ntuples
                self.index = self.ntuples
                return self.ntuples
        return 0

    cdef HeapTupleData *next_tuple(self, bint backward=False) except? NULL:
        cdef int step = -1 if backward else 1
        while True:
            if self.buf:
                self.index += step
                if 0 <= self.index < self.ntuples:
                    tid_set(&self.current.t_self, self.block, self.offsets[self.index])
                    self.current.t_data = self.headers[self.index]
                    self.current.t_len = self.lengths[self.index]
                    self.rel.counts.tuples_returned += 1
                    return &self.current
            if not self.load_page(step):
                return NULL
            self.index = self.ntuples if backward else -1

    cdef int rescan(self) except -1:
        """Start again, over the relation as large as it is now."""
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        self.inited = False
        self.nblocks = <BlockNumber> relation_nblocks(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK)
        self.total = self.nblocks
        self.start_block = 0
        self.rel.counts.seq_scans += 1
        return 0

    cdef int end(self) except -1:
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        self.inited = False
        return 0

    def close(self):
        """Release the pin."""
        self.end()


cdef HeapScan begin_heap_scan(Relation rel, Snapshot snapshot, bint allow_strat=True, bint allow_sync=True):
    """A sequential scan of the whole relation. A large one goes through a small ring of buffers, so that it does not
    push everything else out of the pool."""
    cdef HeapScan scan = HeapScan.__new__(HeapScan)
    scan.rel = rel
    scan.snapshot = snapshot
    scan.strategy = NULL
    scan.buf = 0
    scan.block = InvalidBlockNumber
    scan.current.t_tableOid = rel.rd_id
    scan.rescan()
    if allow_strat and rel.relpersistence != c't' and scan.nblocks > <BlockNumber> (NBuffers // 4):
        scan.strategy = get_access_strategy(BAS_BULKREAD)
    return scan

"""Copying a heap into a new file: VACUUM FULL and CLUSTER (heapam_handler.c, rewriteheap.c).

Versions that somebody may still see are copied with their ids, so that the new file answers old snapshots as the old
one did; dead ones stay behind, old ids are frozen. The link from an outdated version to its successor must lead to the
new place: whichever of the two is met first waits for the other.

The new file is nobody else's before the transaction commits: pages are built in memory, logged as full images, and
synced at the end. The caller has an AccessExclusiveLock.
"""

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, Datum, ItemPointerData, MultiXactId, OffsetNumber, RelFileLocator, TransactionId,
    tid_block, tid_offset, tid_set,
)
from tusk.access._index cimport IndexScan, index_beginscan, index_endscan, index_getnext, index_rescan
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport (
    HEAP_UPDATED, HEAP_XMAX_INVALID, HeapTupleData, HeapTupleHeaderData, heap_deform_tuple, heap_form_tuple_malloc,
    tuple_natts, tuple_xmin,
)
from tusk.access._vacuum_cost cimport vacuum_delay_point
from tusk.access.heap._freeze cimport HeapPageFreeze, HeapTupleFreeze, execute_freeze, prepare_freeze_tuple
from tusk.access.heap._prune cimport VacuumCutoffs
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_LIVE, HEAPTUPLE_RECENTLY_DEAD, tuple_is_only_locked,
    tuple_satisfies_vacuum, tuple_update_xid,
)
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    BAS_BULKREAD, BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, BufferAccessStrategy, buffer_page,
    free_access_strategy, get_access_strategy, lock_buffer, read_ahead, read_buffer, relation_nblocks,
    unlock_release_buffer,
)
from tusk.storage._page cimport (
    PAI_IS_HEAP, ItemIdData, item_id_get_length, item_id_is_normal, page_add_item, page_get_heap_free_space,
    page_get_item, page_get_item_id, page_get_max_offset, page_init, page_is_new, page_set_checksum,
)
from tusk.storage cimport _buffer
from tusk.storage._smgr cimport SMgrRelation, smgr_extend, smgr_immedsync, smgr_open
from tusk.transaction._snapshot cimport SnapshotAny
from tusk.transaction._transam cimport transaction_id_precedes
from tusk.wal._insert cimport log_newpages

from tusk.errors import SqlError, errcode

cdef enum:
    BATCH_PAGES = 32
    READ_AHEAD_BLOCKS = 16
    HEAP_XACT_MASK = 0xFFF0
    HEAP2_XACT_MASK = 0xE000
    MAX_HEAP_TUPLE = 8160
    PROGRESS_TUPLES_SCANNED = 3
    PROGRESS_TUPLES_WRITTEN = 4
    PROGRESS_TOTAL_BLOCKS = 5
    PROGRESS_BLOCKS_SCANNED = 6


cdef class HeapRewrite:
    """``HeapRewrite(old, new locator, cutoffs...)``, then `copy` or `copy_by_index`, then `finish`."""

    cdef Relation old
    cdef RelFileLocator locator
    cdef SMgrRelation file
    cdef VacuumCutoffs cutoffs
    cdef TransactionId oldest_xmin
    cdef char *pages                # BATCH_PAGES of them
    cdef int npages                 # complete ones
    cdef bint page_begun
    cdef readonly BlockNumber blocks        # written or in the batch
    cdef bint logged, reform, sums
    cdef uint32_t keep_free
    cdef dict waiting               # (xid, old TID of the successor) -> (tuple, its old TID)
    cdef dict moved                 # (xmin, old TID) -> new TID, of successors met first
    cdef readonly int64_t live, recently_dead, removed, written
    cdef readonly BlockNumber old_blocks

    def __init__(self, Relation old, tuple locator, oldest_xmin, freeze_limit, oldest_mxact):
        cdef int i
        self.old = old
        self.locator.spcOid, self.locator.dbOid, self.locator.relNumber = locator
        self.file = smgr_open(&self.locator, old.rd_backend)
        self.oldest_xmin = oldest_xmin
        self.cutoffs.relfrozenxid = old.form.relfrozenxid
        self.cutoffs.relminmxid = old.form.relminmxid
        self.cutoffs.OldestXmin = self.cutoffs.FreezeLimit = freeze_limit
        self.cutoffs.OldestMxact = self.cutoffs.MultiXactCutoff = oldest_mxact
        self.pages = <char *> malloc(BATCH_PAGES * BLCKSZ)
        if self.pages == NULL:
            raise MemoryError
        self.logged = relation_needs_wal(old)
        self.sums = _buffer.data_checksums_enabled
        self.keep_free = <uint32_t> (BLCKSZ * (100 - old.fillfactor) // 100)
        self.waiting = {}
        self.moved = {}
        for i in range(old.desc.natts):
            if old.desc.attrs[i].attisdropped:
                self.reform = True      # their values stay behind

    def __dealloc__(self):
        free(self.pages)

    # Reading

    def copy(self):
        """All rows in the order of the old file."""
        cdef BufferAccessStrategy strategy = get_access_strategy(BAS_BULKREAD)
        cdef BlockNumber block
        cdef BlockNumber ahead = 0
        cdef OffsetNumber offset
        cdef HeapTupleData tup
        cdef ItemIdData *lp
        cdef char *page
        cdef int buf
        self.old_blocks = <BlockNumber> relation_nblocks(&self.old.rd_locator, self.old.relpersistence, MAIN_FORK)
        progress_update_param(PROGRESS_TOTAL_BLOCKS, self.old_blocks)
        try:
            for block in range(self.old_blocks):
                vacuum_delay_point()
                if block == ahead:
                    ahead = min(self.old_blocks, block + READ_AHEAD_BLOCKS)
                    read_ahead(&self.old.rd_locator, self.old.relpersistence, MAIN_FORK, block, <int> (ahead - block),
                               strategy)
                buf = read_buffer(&self.old.rd_locator, self.old.relpersistence, MAIN_FORK, block, RBM_NORMAL, strategy)
                lock_buffer(buf, BUFFER_LOCK_SHARE)
                try:
                    page = buffer_page(buf)
                    if not page_is_new(page):
                        for offset in range(1, page_get_max_offset(page) + 1):
                            lp = page_get_item_id(page, offset)
                            if not item_id_is_normal(lp):
                                continue
                            tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
                            tup.t_len = item_id_get_length(lp)
                            tup.t_tableOid = self.old.rd_id
                            tid_set(&tup.t_self, block, offset)
                            self.take(&tup, tuple_satisfies_vacuum(&tup, self.oldest_xmin, buf))
                finally:
                    unlock_release_buffer(buf)
                progress_update_param(PROGRESS_BLOCKS_SCANNED, block + 1)
                progress_update_param(PROGRESS_TUPLES_SCANNED, self.live + self.recently_dead)
        finally:
            free_access_strategy(strategy)

    def copy_by_index(self, Relation index):
        """All rows in the order of a b-tree."""
        cdef IndexScan scan = index_beginscan(self.old, index, SnapshotAny)
        cdef HeapTupleData *tup
        cdef int state
        self.old_blocks = <BlockNumber> relation_nblocks(&self.old.rd_locator, self.old.relpersistence, MAIN_FORK)
        progress_update_param(PROGRESS_TOTAL_BLOCKS, self.old_blocks)
        try:
            scan.ignore_killed_tuples = False
            index_rescan(scan, NULL, 0)
            while True:
                vacuum_delay_point()
                tup = index_getnext(scan, False)
                if tup == NULL:
                    break
                lock_buffer(scan.fetch.buf, BUFFER_LOCK_SHARE)
                try:
                    state = tuple_satisfies_vacuum(tup, self.oldest_xmin, scan.fetch.buf)
                    self.take(tup, state)
                finally:
                    lock_buffer(scan.fetch.buf, BUFFER_LOCK_UNLOCK)
                progress_update_param(PROGRESS_TUPLES_SCANNED, self.live + self.recently_dead)
        finally:
            index_endscan(scan)

    cdef int take(self, HeapTupleData *tup, int state) except -1:
        if state == HEAPTUPLE_DEAD:
            self.removed += 1
            if self.waiting and self.waiting.pop((tuple_xmin(tup.t_data), self.key(&tup.t_self)), None) is not None:
                # Its predecessor, taken for recently dead, is dead too.
                self.removed += 1
                self.recently_dead -= 1
            return 0
        if state == HEAPTUPLE_RECENTLY_DEAD or state == HEAPTUPLE_DELETE_IN_PROGRESS:
            self.recently_dead += 1
        else:
            self.live += 1
        return self.rewrite(tup)

    cdef object key(self, const ItemPointerData *tid):
        return (<int64_t> tid_block(tid) << 16) | tid_offset(tid)

    cdef int rewrite(self, HeapTupleData *tup) except -1:
        """Copy one version, or have it wait for its successor (rewrite_heap_tuple)."""
        cdef HeapTupleHeaderData *header
        cdef ItemPointerData successor
        cdef HeapTupleData *fresh = NULL
        cdef TransactionId updater
        cdef bytes copied
        if self.reform or tuple_natts(tup.t_data) < self.old.desc.natts:
            fresh = self.formed_anew(tup)
            copied = (<char *> fresh.t_data)[:fresh.t_len]
            free(fresh)
        else:
            copied = (<char *> tup.t_data)[:tup.t_len]
        header = <HeapTupleHeaderData *> <char *> copied
        header.t_infomask2 &= <uint16_t> (~HEAP2_XACT_MASK & 0xFFFF)
        self.freeze(header)
        tid_set(&header.t_ctid, 0xFFFFFFFF, 0)
        if not tup.t_data.t_infomask & HEAP_XMAX_INVALID and not tuple_is_only_locked(tup.t_data):
            successor = tup.t_data.t_ctid
            if tid_offset(&successor) != 0xFFFD and self.key(&successor) != self.key(&tup.t_self):
                updater = tuple_update_xid(tup.t_data)
                place = self.moved.pop((updater, self.key(&successor)), None)
                if place is None:
                    self.waiting[(updater, self.key(&successor))] = (copied, self.key(&tup.t_self))
                    return 0
                tid_set(&header.t_ctid, <BlockNumber> (place >> 16), <OffsetNumber> (place & 0xFFFF))
        old = self.key(&tup.t_self)
        while True:
            header = <HeapTupleHeaderData *> <char *> copied
            place = self.write(copied)
            if not header.t_infomask & HEAP_UPDATED or transaction_id_precedes(tuple_xmin(header), self.oldest_xmin):
                return 0
            # Somebody may still follow the link of its predecessor.
            found = self.waiting.pop((tuple_xmin(header), old), None)
            if found is None:
                self.moved[(tuple_xmin(header), old)] = place
                return 0
            copied, old = found
            header = <HeapTupleHeaderData *> <char *> copied
            tid_set(&header.t_ctid, <BlockNumber> (place >> 16), <OffsetNumber> (place & 0xFFFF))

    cdef HeapTupleData *formed_anew(self, HeapTupleData *tup) except NULL:
        """The row with all columns there are now, dropped ones NULL."""
        cdef Datum values[1664]
        cdef uint8_t nulls[1664]
        cdef int i
        cdef HeapTupleData *fresh
        heap_deform_tuple(tup.t_data, &self.old.desc.c, self.old.desc.natts, values, nulls)
        for i in range(self.old.desc.natts):
            if self.old.desc.attrs[i].attisdropped:
                nulls[i] = 1
        fresh = heap_form_tuple_malloc(self.old.desc, values, nulls)
        fresh.t_data.t_xmin = tup.t_data.t_xmin
        fresh.t_data.t_xmax = tup.t_data.t_xmax
        fresh.t_data.t_cid = tup.t_data.t_cid
        fresh.t_data.t_infomask = <uint16_t> (
            (fresh.t_data.t_infomask & ~HEAP_XACT_MASK) | (tup.t_data.t_infomask & HEAP_XACT_MASK))
        return fresh

    cdef int freeze(self, HeapTupleHeaderData *header) except -1:
        cdef HeapPageFreeze pagefrz
        cdef HeapTupleFreeze frz
        cdef bint totally = False
        pagefrz.freeze_required = True
        pagefrz.FreezePageRelfrozenXid = pagefrz.NoFreezePageRelfrozenXid = self.cutoffs.FreezeLimit
        pagefrz.FreezePageRelminMxid = pagefrz.NoFreezePageRelminMxid = self.cutoffs.MultiXactCutoff
        if prepare_freeze_tuple(header, &self.cutoffs, &pagefrz, &frz, &totally):
            execute_freeze(header, frz.xmax, frz.t_infomask, frz.t_infomask2)
        return 0

    # Writing

    cdef object write(self, bytes copied):
        """Put a tuple in the new file; its TID as a number (raw_heap_insert)."""
        cdef uint32_t size = <uint32_t> len(copied)
        cdef char *page
        cdef int offset
        cdef HeapTupleHeaderData *header = <HeapTupleHeaderData *> <char *> copied
        if size > MAX_HEAP_TUPLE:
            raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                           f"row is too big: size {size}, maximum size {MAX_HEAP_TUPLE}")
        page = self.pages + self.npages * BLCKSZ
        if self.page_begun and page_get_heap_free_space(page) < ((size + 7) & ~<uint32_t> 7) + self.keep_free:
            self.complete_page()
            page = self.pages + self.npages * BLCKSZ
        if not self.page_begun:
            page_init(page, BLCKSZ, 0)
            self.page_begun = True
        offset = page_add_item(page, header, size, 0, PAI_IS_HEAP)
        if offset == 0:
            raise SqlError(errcode.INTERNAL_ERROR, "failed to add tuple")
        header = <HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> offset))
        if tid_offset(&header.t_ctid) == 0:
            tid_set(&header.t_ctid, self.blocks, <OffsetNumber> offset)
        self.written += 1
        progress_update_param(PROGRESS_TUPLES_WRITTEN, self.written)
        return (<int64_t> self.blocks << 16) | offset

    cdef int complete_page(self) except -1:
        self.npages += 1
        self.blocks += 1
        self.page_begun = False
        if self.npages == BATCH_PAGES:
            self.flush()
        return 0

    cdef int flush(self) except -1:
        cdef BlockNumber numbers[32]
        cdef void *addresses[32]
        cdef int i
        for i in range(self.npages):
            numbers[i] = self.blocks - self.npages + i
            addresses[i] = self.pages + i * BLCKSZ
        if self.npages and self.logged:
            log_newpages(&self.locator, MAIN_FORK, self.npages, numbers, addresses, True)
        for i in range(self.npages):
            if self.sums:
                page_set_checksum(<char *> addresses[i], numbers[i])
            smgr_extend(self.file, MAIN_FORK, numbers[i], addresses[i], True)
        self.npages = 0
        return 0

    def finish(self):
        """Write what still waits and what is in memory, and sync the file."""
        for copied, _ in list(self.waiting.values()):
            # The successor is gone: the link ends here.
            self.write(copied)
        self.waiting.clear()
        if self.page_begun:
            self.complete_page()
        self.flush()
        if self.old.relpersistence != c't':
            smgr_immedsync(self.file, MAIN_FORK)

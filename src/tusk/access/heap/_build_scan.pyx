"""Reading a table to build an index on it.

Not only visible rows count: old snapshots may still want recently dead ones. Members of a HOT chain get an entry that
points to the chain's root; where old members differ in the new index's columns the chain is broken: only its newest
version is indexed, and the index is of no use to snapshots that see older ones.
"""

from libc.string cimport memset
from tusk._types cimport (
    MAIN_FORK, BlockNumber, InvalidTransactionId, OffsetNumber, TransactionId, tid_offset, tid_set,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HeapTupleData, HeapTupleHeaderData, tuple_is_heap_only, tuple_is_hot_updated, tuple_moved_partitions, tuple_xmin,
)
from tusk.access.heap._scan cimport vis_kind
from tusk.access.heap._visibility cimport (
    HEAPTUPLE_DEAD, HEAPTUPLE_DELETE_IN_PROGRESS, HEAPTUPLE_INSERT_IN_PROGRESS, HEAPTUPLE_LIVE,
    HEAPTUPLE_RECENTLY_DEAD, tuple_satisfies_vacuum, tuple_satisfies_visibility, tuple_update_xid,
)
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.stats._progress cimport progress_update_param
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_page, lock_buffer, read_ahead, read_buffer,
    relation_nblocks, release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_get_redirect, item_id_is_dead, item_id_is_normal, item_id_is_redirected,
    item_id_is_used, page_get_item, page_get_item_id, page_get_max_offset,
)
from tusk.transaction._lock cimport XLTW_InsertIndexUnique, xact_lock_table_wait
from tusk.transaction._snapshot cimport Snapshot, get_oldest_non_removable_transaction_id
from tusk.transaction._xact cimport transaction_id_is_current


cdef enum:                          # progress of CREATE INDEX
    SCAN_BLOCKS_TOTAL = 15
    SCAN_BLOCKS_DONE = 16


cdef int heap_get_root_tuples(const char *page, OffsetNumber *roots) except -1:
    """roots[offset] for offsets 1 to the page's last."""
    cdef OffsetNumber max_offset = page_get_max_offset(page)
    cdef OffsetNumber offset, following
    cdef ItemIdData *lp
    cdef HeapTupleHeaderData *tup
    cdef TransactionId prior
    memset(roots, 0, (max_offset + 1) * sizeof(OffsetNumber))
    for offset in range(1, max_offset + 1):
        lp = page_get_item_id(page, offset)
        if not item_id_is_used(lp) or item_id_is_dead(lp):
            continue
        if item_id_is_normal(lp):
            tup = <HeapTupleHeaderData *> page_get_item(page, lp)
            if tuple_is_heap_only(tup):
                continue                # reached from its root
            roots[offset] = offset
            if not tuple_is_hot_updated(tup):
                continue
            following = tid_offset(&tup.t_ctid)
            prior = tuple_update_xid(tup)
        else:
            following = <OffsetNumber> item_id_get_redirect(lp)
            prior = InvalidTransactionId
        while 1 <= following <= max_offset:
            lp = page_get_item_id(page, following)
            if not item_id_is_normal(lp):
                break
            tup = <HeapTupleHeaderData *> page_get_item(page, lp)
            if prior != InvalidTransactionId and prior != tuple_xmin(tup):
                break
            roots[following] = offset
            if not tuple_is_hot_updated(tup) or tuple_moved_partitions(tup):
                break
            following = tid_offset(&tup.t_ctid)
            prior = tuple_update_xid(tup)
    return 0


cdef class IndexBuildScan:
    """Made by `begin_index_build_scan`."""

    cdef int judge(self, HeapTupleData *tup, bint *index_it, bint *is_alive, TransactionId *wait) except -1:
        """Whether a tuple needs an entry; *wait: that depends on how this transaction ends."""
        cdef int state
        cdef TransactionId xid
        wait[0] = InvalidTransactionId
        if self.snapshot is not None:
            index_it[0] = is_alive[0] = tuple_satisfies_visibility(tup, self.snapshot, self.buf)
            self.reltuples += index_it[0]
            return 0
        state = tuple_satisfies_vacuum(tup, self.oldest_xmin, self.buf)
        index_it[0] = state != HEAPTUPLE_DEAD
        is_alive[0] = state == HEAPTUPLE_LIVE or state == HEAPTUPLE_INSERT_IN_PROGRESS
        if state == HEAPTUPLE_LIVE:
            self.reltuples += 1
        elif state == HEAPTUPLE_RECENTLY_DEAD:
            if tuple_is_hot_updated(tup.t_data):
                index_it[0] = False
                self.broken_hot_chain = True
        elif state == HEAPTUPLE_INSERT_IN_PROGRESS:
            xid = tuple_xmin(tup.t_data)
            if transaction_id_is_current(xid):
                self.reltuples += 1
            else:
                if not self.rel.is_catalog:
                    report(Severity.WARNING, f'concurrent insert in progress within table "{self.rel.name}"')
                if self.unique:
                    wait[0] = xid
        elif state == HEAPTUPLE_DELETE_IN_PROGRESS:
            xid = tuple_update_xid(tup.t_data)
            if transaction_id_is_current(xid):
                if tuple_is_hot_updated(tup.t_data):
                    index_it[0] = False
                    self.broken_hot_chain = True
            else:
                if not self.rel.is_catalog:
                    report(Severity.WARNING, f'concurrent delete in progress within table "{self.rel.name}"')
                if self.unique or tuple_is_hot_updated(tup.t_data):
                    wait[0] = xid
                else:
                    self.reltuples += 1
        return 0

    cdef int load(self) except -1:
        """Judge all tuples of the next page."""
        cdef char *page
        cdef OffsetNumber offset
        cdef OffsetNumber max_offset
        cdef ItemIdData *lp
        cdef HeapTupleData tup
        cdef bint index_it = False
        cdef bint is_alive = False
        cdef TransactionId wait = InvalidTransactionId
        check_for_interrupts()
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        self.block += 1
        progress_update_param(SCAN_BLOCKS_DONE, self.block)
        if self.block >= self.nblocks:
            return 0
        if self.block % 16 == 0 and self.nblocks > 1:
            read_ahead(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, self.block,
                       <int> min(16, self.nblocks - self.block), NULL)
        self.buf = read_buffer(&self.rel.rd_locator, self.rel.relpersistence, MAIN_FORK, self.block, RBM_NORMAL, NULL)
        page = buffer_page(self.buf)
        tup.t_tableOid = self.rel.rd_id
        self.count = 0
        offset = 1
        lock_buffer(self.buf, BUFFER_LOCK_SHARE)
        max_offset = page_get_max_offset(page)
        while offset <= max_offset:
            lp = page_get_item_id(page, offset)
            if item_id_is_normal(lp):
                tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
                tup.t_len = item_id_get_length(lp)
                tid_set(&tup.t_self, self.block, offset)
                self.judge(&tup, &index_it, &is_alive, &wait)
                if wait != InvalidTransactionId:
                    lock_buffer(self.buf, BUFFER_LOCK_UNLOCK)
                    xact_lock_table_wait(wait, self.rel.name, &tup.t_self, XLTW_InsertIndexUnique)
                    check_for_interrupts()
                    lock_buffer(self.buf, BUFFER_LOCK_SHARE)
                    max_offset = page_get_max_offset(page)
                    continue
                if index_it:
                    self.offsets[self.count] = offset
                    self.alive_flags[self.count] = is_alive
                    self.count += 1
                self.rel.counts.tuples_returned += 1
            offset += 1
        # Last, since chains may have grown during a wait.
        heap_get_root_tuples(page, self.roots)
        lock_buffer(self.buf, BUFFER_LOCK_UNLOCK)
        self.index = -1
        return 1

    cdef int next(self) except -1:
        cdef char *page
        cdef OffsetNumber offset
        cdef ItemIdData *lp
        while True:
            self.index += 1
            if self.index < self.count:
                break
            if not self.load():
                return 0
        page = buffer_page(self.buf)
        offset = self.offsets[self.index]
        lp = page_get_item_id(page, offset)
        self.tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
        self.tup.t_len = item_id_get_length(lp)
        self.tup.t_tableOid = self.rel.rd_id
        tid_set(&self.tup.t_self, self.block, offset)
        self.alive = self.alive_flags[self.index]
        if tuple_is_heap_only(self.tup.t_data):
            if self.roots[offset] == 0:
                raise SqlError(errcode.DATA_CORRUPTED,
                               f"failed to find parent tuple for heap-only tuple at ({self.block},{offset}) in table "
                               f'"{self.rel.name}"')
            offset = self.roots[offset]
        tid_set(&self.tid, self.block, offset)
        return 1

    cdef int end(self) except -1:
        if self.buf:
            release_buffer(self.buf)
            self.buf = 0
        return 0

    def close(self):
        """Release the pin."""
        self.end()


cdef IndexBuildScan begin_index_build_scan(Relation rel, bint unique, Snapshot snapshot):
    """snapshot None: a build that has locked out writers (or the table's own transaction); else what CREATE INDEX
    CONCURRENTLY sees."""
    cdef IndexBuildScan scan = IndexBuildScan.__new__(IndexBuildScan)
    scan.rel = rel
    scan.snapshot = snapshot
    scan.unique = unique
    scan.nblocks = <BlockNumber> relation_nblocks(&rel.rd_locator, rel.relpersistence, MAIN_FORK)
    scan.block = <BlockNumber> -1       # load() goes to the next one
    rel.counts.seq_scans += 1
    progress_update_param(SCAN_BLOCKS_TOTAL, scan.nblocks)
    scan.count = 0
    scan.index = -1
    if snapshot is None:
        scan.oldest_xmin = get_oldest_non_removable_transaction_id(vis_kind(rel))
    return scan


def rows_to_index(Relation rel, bint unique=False):
    """[(tid of the tuple, tid to point to, alive)] and whether a HOT chain is broken."""
    cdef IndexBuildScan scan = begin_index_build_scan(rel, unique, None)
    out = []
    while scan.next():
        out.append(((scan.block, tid_offset(&scan.tup.t_self)), (scan.block, tid_offset(&scan.tid)),
                    bool(scan.alive)))
    scan.end()
    return out, bool(scan.broken_hot_chain)

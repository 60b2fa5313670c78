"""Which rows that index entries point to are dead to everybody (heapam.c: heap_index_delete_tuples).

Simple deletion asks about entries that a scan found dead, and their neighbours in the same heap blocks; bottom-up
deletion about a whole index page in the hope of finding old versions, visiting a few heap blocks at most.
"""

from libc.stdlib cimport free, malloc, qsort
from libc.string cimport memcpy
from tusk._types cimport (
    MAIN_FORK, BlockNumber, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, OffsetNumber, TransactionId,
    tid_block, tid_offset,
)
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HeapTupleData, HeapTupleHeaderData, tuple_is_hot_updated, tuple_xmin, xmin_committed, xmin_invalid,
)
from tusk.access.heap._scan cimport heap_hot_search_buffer, vis_kind
from tusk.access.heap._visibility cimport tuple_update_xid
from tusk.storage._buffer cimport (
    BUFFER_LOCK_SHARE, RBM_NORMAL, buffer_page, lock_buffer, read_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_redirect, item_id_is_normal, item_id_is_redirected, page_get_item, page_get_item_id,
    page_get_max_offset,
)
from tusk.transaction._clog cimport transaction_id_did_commit
from tusk.transaction._snapshot cimport Snapshot, global_vis_test_for, make_non_vacuumable_snapshot
from tusk.transaction._transam cimport transaction_id_follows

cdef enum:
    BOTTOMUP_MAX_NBLOCKS = 6
    BOTTOMUP_TOLERANCE_NBLOCKS = 3
    PROMISING_ROUND = 4             # fewer promising TIDs than this are not told apart


cdef struct BlockGroup:
    int npromising
    int ntids
    int first
    BlockNumber block


cdef int by_tid(const void *a, const void *b) noexcept nogil:
    cdef const IndexDelete *p = <const IndexDelete *> a
    cdef const IndexDelete *q = <const IndexDelete *> b
    cdef BlockNumber x = tid_block(&p.tid)
    cdef BlockNumber y = tid_block(&q.tid)
    if x != y:
        return -1 if x < y else 1
    return <int> tid_offset(&p.tid) - <int> tid_offset(&q.tid)


cdef inline int power_of_two(int n) noexcept nogil:
    cdef int result = 1
    while result < n:
        result *= 2
    return result


cdef int by_promise(const void *a, const void *b) noexcept nogil:
    cdef const BlockGroup *p = <const BlockGroup *> a
    cdef const BlockGroup *q = <const BlockGroup *> b
    if p.npromising != q.npromising:
        return -1 if p.npromising > q.npromising else 1
    if p.ntids != q.ntids:
        return -1 if p.ntids > q.ntids else 1
    return -1 if p.block < q.block else (1 if p.block > q.block else 0)


cdef int shrink_to_promising(IndexDeleteOp *op) except -1:
    """Keep the TIDs of the few most promising heap blocks, those first; returns how many blocks lie close together."""
    cdef BlockGroup *groups = <BlockGroup *> malloc(op.ndeltids * sizeof(BlockGroup) + 1)
    cdef IndexDelete *kept = <IndexDelete *> malloc(op.ndeltids * sizeof(IndexDelete) + 1)
    cdef int ngroups = 0
    cdef int nkept = 0
    cdef int nfavorable = 0
    cdef int i
    cdef int first
    cdef BlockNumber block
    cdef long long last
    if groups == NULL or kept == NULL:
        free(groups)
        free(kept)
        raise MemoryError
    for i in range(op.ndeltids):
        block = tid_block(&op.deltids[i].tid)
        if ngroups == 0 or groups[ngroups - 1].block != block:
            groups[ngroups].block = block
            groups[ngroups].first = i
            groups[ngroups].ntids = 0
            groups[ngroups].npromising = 0
            ngroups += 1
        groups[ngroups - 1].ntids += 1
        groups[ngroups - 1].npromising += op.deltids[i].promising
    for i in range(ngroups):
        # Small differences shall not outweigh the order of blocks.
        if groups[i].npromising <= PROMISING_ROUND:
            groups[i].npromising = PROMISING_ROUND
        else:
            groups[i].npromising = power_of_two(groups[i].npromising)
    for i in range(ngroups):
        groups[i].ntids = power_of_two(groups[i].ntids)
    qsort(groups, ngroups, sizeof(BlockGroup), by_promise)
    if ngroups > BOTTOMUP_MAX_NBLOCKS:
        ngroups = BOTTOMUP_MAX_NBLOCKS
    last = -1
    for i in range(ngroups):
        if last >= 0 and not last - BOTTOMUP_TOLERANCE_NBLOCKS <= groups[i].block <= last + BOTTOMUP_TOLERANCE_NBLOCKS:
            break
        nfavorable += 1
        last = groups[i].block
    for i in range(ngroups):
        first = groups[i].first
        while first < op.ndeltids and tid_block(&op.deltids[first].tid) == groups[i].block:
            kept[nkept] = op.deltids[first]
            nkept += 1
            first += 1
    memcpy(op.deltids, kept, nkept * sizeof(IndexDelete))
    op.ndeltids = nkept
    free(groups)
    free(kept)
    return nfavorable


cdef int advance_horizon(HeapTupleHeaderData *tup, TransactionId *horizon) except -1:
    cdef TransactionId xmax
    if xmin_committed(tup) or (not xmin_invalid(tup) and transaction_id_did_commit(tup.t_xmin)):
        xmax = tuple_update_xid(tup)
        if xmax != tuple_xmin(tup) and transaction_id_follows(xmax, horizon[0]):
            horizon[0] = xmax
    return 0


cdef int advance_by_chain(char *page, OffsetNumber offset, TransactionId *horizon) except -1:
    """All versions of a chain go with its index entry."""
    cdef OffsetNumber max_offset = page_get_max_offset(page)
    cdef TransactionId prior_xmax = InvalidTransactionId
    cdef ItemIdData *lp
    cdef HeapTupleHeaderData *tup
    while 1 <= offset <= max_offset:
        lp = page_get_item_id(page, offset)
        if item_id_is_redirected(lp):
            offset = <OffsetNumber> item_id_get_redirect(lp)
            continue
        if not item_id_is_normal(lp):
            break               # pruned before: that record told the standbys
        tup = <HeapTupleHeaderData *> page_get_item(page, lp)
        if prior_xmax != InvalidTransactionId and tuple_xmin(tup) != prior_xmax:
            break
        advance_horizon(tup, horizon)
        if not tuple_is_hot_updated(tup):
            break
        offset = tid_offset(&tup.t_ctid)
        prior_xmax = tuple_update_xid(tup)
    return 0


cdef TransactionId heap_index_delete_tuples(Relation rel, IndexDeleteOp *op) except? 0xFFFFFFFF:
    cdef TransactionId horizon = InvalidTransactionId
    cdef Snapshot snapshot = make_non_vacuumable_snapshot(global_vis_test_for(vis_kind(rel)))
    cdef int buf = 0
    cdef int i
    cdef int nblocks = 0
    cdef int nfavorable = 0
    cdef int nfinal = 0
    cdef int freespace = 0
    cdef int last_freespace = 0
    cdef int target = op.bottomupfreespace
    cdef bint final_block = False
    cdef BlockNumber block = InvalidBlockNumber
    cdef BlockNumber next_block
    cdef ItemPointerData tid
    cdef HeapTupleData tup
    cdef IndexDelete *entry
    qsort(op.deltids, op.ndeltids, sizeof(IndexDelete), by_tid)
    if op.bottomup:
        nfavorable = shrink_to_promising(op)
    for i in range(op.ndeltids):
        entry = &op.deltids[i]
        next_block = tid_block(&entry.tid)
        if next_block != block:
            if op.bottomup:
                if final_block or (nblocks > 0 and freespace == last_freespace):
                    break
                last_freespace = freespace
                if nfavorable > 0:
                    nfavorable -= 1
                else:
                    target //= 2
            if buf:
                unlock_release_buffer(buf)
            block = next_block
            buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
            nblocks += 1
            lock_buffer(buf, BUFFER_LOCK_SHARE)
        if not entry.knowndeletable:
            tid = entry.tid
            if heap_hot_search_buffer(&tid, rel, buf, snapshot, &tup, NULL, True):
                continue                    # somebody may see it
            entry.knowndeletable = True
            freespace += entry.freespace
            if op.bottomup and freespace >= target:
                final_block = True
        nfinal = i + 1
        advance_by_chain(buffer_page(buf), tid_offset(&entry.tid), &horizon)
    if buf:
        unlock_release_buffer(buf)
    op.ndeltids = nfinal
    return horizon

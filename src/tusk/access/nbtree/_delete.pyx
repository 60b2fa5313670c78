"""Deleting entries from a leaf: those marked dead by scans, old versions from the bottom up, and VACUUM's.

Nothing is ever removed from an index on a suspicion: an entry goes when the heap says that its row is dead to all, or
when it was marked dead after the heap had said so.
"""

from libc.stdint cimport int16_t, uint8_t, uint16_t, uint32_t
from libc.stdlib cimport bsearch, free, malloc, qsort
from libc.string cimport memcpy, memset
from tusk._types cimport (
    BLCKSZ, BlockNumber, ItemPointerData, Lsn, OffsetNumber, TransactionId, maxalign, tid_block,
)
from tusk.access._relation cimport Relation, relation_is_accessible_in_logical_decoding, relation_needs_wal
from tusk.access._tuple cimport IndexTupleData, index_tuple_size
from tusk.access.heap._index_delete cimport IndexDelete, IndexDeleteOp, heap_index_delete_tuples
from tusk.access.nbtree._build cimport bt_form_posting
from tusk.access.nbtree._dedup cimport BTDedupState, bt_dedup_pass, dedup_save, dedup_start
from tusk.access.nbtree._insert cimport BTInsertState
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport index_corrupted, p_firstdatakey
from tusk.access.nbtree._records cimport (
    XLOG_BTREE_DELETE, XLOG_BTREE_VACUUM, SizeOfBtreeDelete, SizeOfBtreeVacuum, xl_btree_delete, xl_btree_vacuum,
)
from tusk.access.nbtree._split cimport bt_keep_natts_fast
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport buffer_block, buffer_page, mark_buffer_dirty
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_dead, page_get_exact_free_space, page_get_free_space, page_get_item,
    page_get_item_id, page_get_max_offset, page_index_multi_delete, page_index_tuple_overwrite, page_set_lsn,
)
from tusk.wal._insert cimport (
    REGBUF_STANDARD, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer,
    xlog_register_data,
)
from tusk.wal._record cimport RM_BTREE_ID

from tusk.errors import Panic, errcode


cdef inline IndexTupleData *item_at(char *page, OffsetNumber offset) noexcept nogil:
    return <IndexTupleData *> page_get_item(page, page_get_item_id(page, offset))


cdef IndexTupleData *bt_update_posting(
    const IndexTupleData *itup, const uint16_t *deletetids, int ndeleted,
) except NULL:
    cdef ItemPointerData left[2048]
    cdef ItemPointerData *tids = bt_posting(itup)
    cdef int n = bt_nposting(itup)
    cdef int nleft = 0
    cdef int i_deleted = 0
    cdef int i
    for i in range(n):
        if i_deleted < ndeleted and deletetids[i_deleted] == i:
            i_deleted += 1
        else:
            left[nleft] = tids[i]
            nleft += 1
    if nleft == 0 or i_deleted != ndeleted:
        raise index_corrupted("posting list cannot lose the TIDs that it is to lose")
    return bt_form_posting(itup, left, nleft)


# -- Changing the page --

cdef int delete_items(
    Relation rel, int buf, const OffsetNumber *deletable, int ndeletable, BTVacuumPosting *updatable, int nupdatable,
    uint8_t info, const void *record, uint32_t record_size,
) except -1:
    """Replace posting lists, remove items, log both. updatable's old tuples become new ones here."""
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef OffsetNumber offsets[1024]
    cdef char *updates = NULL
    cdef uint32_t updates_size = 0
    cdef int i
    cdef IndexTupleData *itup
    cdef Lsn lsn
    for i in range(nupdatable):
        updates_size += 2 + 2 * updatable[i].ndeletedtids
    try:
        if nupdatable:
            updates = <char *> malloc(updates_size)
            if updates == NULL:
                raise MemoryError
            updates_size = 0
            for i in range(nupdatable):
                offsets[i] = updatable[i].offset
                memcpy(updates + updates_size, &updatable[i].ndeletedtids, 2)
                memcpy(updates + updates_size + 2, updatable[i].deletetids, 2 * updatable[i].ndeletedtids)
                updates_size += 2 + 2 * updatable[i].ndeletedtids
                updatable[i].itup = bt_update_posting(updatable[i].itup, updatable[i].deletetids,
                                                      updatable[i].ndeletedtids)
        critical_start()
        for i in range(nupdatable):
            itup = updatable[i].itup
            if not page_index_tuple_overwrite(page, offsets[i], itup, <uint32_t> maxalign(index_tuple_size(itup))):
                raise Panic(errcode.INDEX_CORRUPTED,
                            f'failed to update partially dead item in block {buffer_block(buf)} in index "{rel.name}"')
        if ndeletable:
            page_index_multi_delete(page, deletable, ndeletable)
        if info == XLOG_BTREE_VACUUM:
            opaque.btpo_cycleid = 0         # the page is done for this vacuum
        opaque.btpo_flags &= <uint16_t> (~BTP_HAS_GARBAGE & 0xFFFF)
        mark_buffer_dirty(buf)
        if relation_needs_wal(rel):
            xlog_begin_insert()
            xlog_register_buffer(0, buf, REGBUF_STANDARD)
            xlog_register_data(record, record_size)
            if ndeletable:
                xlog_register_buf_data(0, deletable, ndeletable * 2)
            if nupdatable:
                xlog_register_buf_data(0, offsets, nupdatable * 2)
                xlog_register_buf_data(0, updates, updates_size)
            lsn = xlog_insert(RM_BTREE_ID, info)
            page_set_lsn(page, lsn)
        critical_end()
        for i in range(nupdatable):
            free(updatable[i].itup)
    finally:
        free(updates)
    return 0


cdef int bt_delitems_vacuum(
    Relation rel, int buf, const OffsetNumber *deletable, int ndeletable, BTVacuumPosting *updatable, int nupdatable,
) except -1:
    cdef xl_btree_vacuum record
    record.ndeleted = <uint16_t> ndeletable
    record.nupdated = <uint16_t> nupdatable
    return delete_items(rel, buf, deletable, ndeletable, updatable, nupdatable, XLOG_BTREE_VACUUM, &record,
                        SizeOfBtreeVacuum)


cdef int by_id(const void *a, const void *b) noexcept nogil:
    return <int> (<const IndexDelete *> a).id - <int> (<const IndexDelete *> b).id


cdef int delete_checked(Relation rel, int buf, Relation heap, IndexDeleteOp *op) except -1:
    """Ask the heap about the entries, and delete those whose rows are dead to everybody (_bt_delitems_delete_check)."""
    cdef char *page = buffer_page(buf)
    cdef TransactionId horizon = heap_index_delete_tuples(heap, op)
    cdef OffsetNumber deletable[1024]
    cdef BTVacuumPosting updatable[1024]
    cdef uint16_t positions[2048]
    cdef int ndeletable = 0
    cdef int nupdatable = 0
    cdef int i = 0
    cdef int p, n
    cdef OffsetNumber offset
    cdef IndexTupleData *itup
    cdef xl_btree_delete record
    if op.ndeltids == 0:
        return 0
    qsort(op.deltids, op.ndeltids, sizeof(IndexDelete), by_id)
    try:
        while i < op.ndeltids:
            offset = op.deltids[i].idxoffnum
            itup = item_at(page, offset)
            if not bt_is_posting(itup):
                if op.deltids[i].knowndeletable:
                    deletable[ndeletable] = offset
                    ndeletable += 1
                i += 1
                continue
            # The TIDs of one posting list follow each other, in its order, but some may be missing.
            n = 0
            p = 0
            while i < op.ndeltids and op.deltids[i].idxoffnum == offset:
                if op.deltids[i].knowndeletable:
                    while tids_differ(&bt_posting(itup)[p], &op.deltids[i].tid):
                        p += 1
                    positions[n] = <uint16_t> p
                    n += 1
                    p += 1
                i += 1
            if n == bt_nposting(itup):
                deletable[ndeletable] = offset
                ndeletable += 1
            elif n:
                updatable[nupdatable].itup = itup
                updatable[nupdatable].offset = offset
                updatable[nupdatable].ndeletedtids = <uint16_t> n
                updatable[nupdatable].deletetids = <uint16_t *> malloc(2 * n)
                if updatable[nupdatable].deletetids == NULL:
                    raise MemoryError
                memcpy(updatable[nupdatable].deletetids, positions, 2 * n)
                nupdatable += 1
        if ndeletable or nupdatable:
            memset(&record, 0, sizeof(record))
            record.snapshotConflictHorizon = horizon
            record.ndeleted = <uint16_t> ndeletable
            record.nupdated = <uint16_t> nupdatable
            record.isCatalogRel = relation_is_accessible_in_logical_decoding(heap)
            delete_items(rel, buf, deletable, ndeletable, updatable, nupdatable, XLOG_BTREE_DELETE, &record,
                         SizeOfBtreeDelete)
    finally:
        for i in range(nupdatable):
            free(updatable[i].deletetids)
    return 0


cdef inline bint tids_differ(const ItemPointerData *a, const ItemPointerData *b) noexcept nogil:
    return a.bi_hi != b.bi_hi or a.bi_lo != b.bi_lo or a.ip_posid != b.ip_posid


cdef inline void add_tid(IndexDeleteOp *op, const ItemPointerData *tid, OffsetNumber offset, bint deletable,
                         bint promising, int freespace) noexcept:
    cdef IndexDelete *entry = &op.deltids[op.ndeltids]
    entry.tid = tid[0]
    entry.id = <int16_t> op.ndeltids
    entry.idxoffnum = offset
    entry.knowndeletable = deletable
    entry.promising = promising
    entry.freespace = <int16_t> freespace
    op.ndeltids += 1


# -- Entries marked dead --

cdef int by_block(const void *a, const void *b) noexcept nogil:
    cdef BlockNumber x = (<const BlockNumber *> a)[0]
    cdef BlockNumber y = (<const BlockNumber *> b)[0]
    return (x > y) - (x < y)


cdef int simple_delete(
    Relation rel, int buf, Relation heap, const OffsetNumber *dead, int ndead, const IndexTupleData *newitem,
    OffsetNumber minoff, OffsetNumber maxoff,
) except -1:
    """Delete the entries marked dead, and any that the heap blocks which must be visited for them show to be dead as
    well (_bt_simpledel_pass)."""
    cdef char *page = buffer_page(buf)
    cdef BlockNumber blocks[2048]
    cdef int nblocks = 0
    cdef int i, p, n
    cdef OffsetNumber offset
    cdef ItemIdData *line
    cdef IndexTupleData *itup
    cdef const ItemPointerData *tids
    cdef IndexDeleteOp op
    cdef BlockNumber block
    op.bottomup = False
    op.bottomupfreespace = 0
    op.ndeltids = 0
    op.deltids = <IndexDelete *> malloc(MaxTIDsPerBTreePage * sizeof(IndexDelete))
    if op.deltids == NULL:
        raise MemoryError
    try:
        # The block that the new entry points to is most likely in cache.
        blocks[0] = tid_block(&newitem.t_tid)
        nblocks = 1
        for i in range(ndead):
            itup = item_at(page, dead[i])
            tids = bt_posting(itup) if bt_is_posting(itup) else &itup.t_tid
            n = bt_nposting(itup) if bt_is_posting(itup) else 1
            for p in range(n):
                block = tid_block(&tids[p])
                if blocks[nblocks - 1] != block and nblocks < 2048:
                    blocks[nblocks] = block
                    nblocks += 1
        qsort(blocks, nblocks, sizeof(BlockNumber), by_block)
        for i in range(minoff, maxoff + 1):
            offset = <OffsetNumber> i
            line = page_get_item_id(page, offset)
            itup = <IndexTupleData *> page_get_item(page, line)
            tids = bt_posting(itup) if bt_is_posting(itup) else &itup.t_tid
            n = bt_nposting(itup) if bt_is_posting(itup) else 1
            for p in range(n):
                block = tid_block(&tids[p])
                if item_id_is_dead(line) or bsearch(&block, blocks, nblocks, sizeof(BlockNumber), by_block) != NULL:
                    add_tid(&op, &tids[p], offset, item_id_is_dead(line), False, 0)
        delete_checked(rel, buf, heap, &op)
    finally:
        free(op.deltids)
    return 0


# -- Bottom-up deletion --

cdef void add_interval(char *page, BTDedupState *state, IndexDeleteOp *op) noexcept:
    """Add a group of duplicates; a lone tuple is not promising (_bt_bottomupdel_finish_pending)."""
    cdef bint duplicates = state.nitems > 1
    cdef int i, p, n
    cdef OffsetNumber offset
    cdef ItemIdData *line
    cdef IndexTupleData *itup
    cdef ItemPointerData *tids
    cdef bint first, last
    cdef BlockNumber mid
    for i in range(state.nitems):
        offset = <OffsetNumber> (state.baseoff + i)
        line = page_get_item_id(page, offset)
        itup = <IndexTupleData *> page_get_item(page, line)
        if not bt_is_posting(itup):
            add_tid(op, &itup.t_tid, offset, False, duplicates, <int> item_id_get_length(line) + 4)
            continue
        tids = bt_posting(itup)
        n = bt_nposting(itup)
        first = False
        last = False
        if duplicates:
            # Posting lists mostly hold logical duplicates, not versions; the end where most TIDs are of one block
            # is the likelier place for versions.
            mid = tid_block(&tids[n // 2])
            first = tid_block(&tids[0]) == mid
            last = not first and tid_block(&tids[n - 1]) == mid
        for p in range(n):
            add_tid(op, &tids[p], offset, False, (p == 0 and first) or (p == n - 1 and last),
                    sizeof(ItemPointerData))
    if duplicates:
        state.nintervals += 1
    state.nitems = 0
    state.nhtids = 0


cdef bint bottom_up_delete(Relation rel, int buf, Relation heap, uint32_t newitemsz) except -1:
    """Look for old versions among duplicates (_bt_bottomupdel_pass); whether a split was avoided."""
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef OffsetNumber minoff = p_firstdatakey(opaque)
    cdef OffsetNumber maxoff = page_get_max_offset(page)
    cdef BTDedupState *state = <BTDedupState *> malloc(sizeof(BTDedupState))
    cdef IndexDeleteOp op
    cdef IndexTupleData *itup
    cdef int i
    cdef bint never_dedup
    newitemsz += 4
    op.bottomup = True
    op.bottomupfreespace = BLCKSZ // 16
    if <int> newitemsz > op.bottomupfreespace:
        op.bottomupfreespace = <int> newitemsz
    op.ndeltids = 0
    op.deltids = <IndexDelete *> malloc(MaxTIDsPerBTreePage * sizeof(IndexDelete))
    try:
        if state == NULL or op.deltids == NULL:
            raise MemoryError
        state.deduplicate = True
        state.nmaxitems = 0
        state.maxpostingsize = BLCKSZ
        state.nintervals = 0
        state.nitems = 0
        for i in range(minoff, maxoff + 1):
            itup = item_at(page, <OffsetNumber> i)
            if i == minoff:
                dedup_start(state, itup, <OffsetNumber> i)
            elif bt_keep_natts_fast(rel, state.base, itup) > rel.indnkeyatts and dedup_save(state, itup):
                pass
            else:
                add_interval(page, state, &op)
                dedup_start(state, itup, <OffsetNumber> i)
        if maxoff >= minoff:
            add_interval(page, state, &op)
        never_dedup = state.nintervals == 0
        if op.ndeltids:
            delete_checked(rel, buf, heap, &op)
    finally:
        free(op.deltids)
        free(state)
    # Without duplicates there is nothing that deduplication could do either.
    if never_dedup:
        return True
    return page_get_exact_free_space(page) >= (newitemsz if newitemsz > BLCKSZ // 24 else BLCKSZ // 24)


cdef int bt_delete_or_dedup_one_page(
    Relation rel, Relation heap, BTInsertState *state, bint simple_only, bint checking_unique, bint uniquedup,
    bint index_unchanged,
) except -1:
    cdef char *page = buffer_page(state.buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef OffsetNumber minoff = p_firstdatakey(opaque)
    cdef OffsetNumber maxoff = page_get_max_offset(page)
    cdef OffsetNumber dead[1024]
    cdef int ndead = 0
    cdef int i
    for i in range(minoff, maxoff + 1):
        if item_id_is_dead(page_get_item_id(page, <OffsetNumber> i)):
            dead[ndead] = <OffsetNumber> i
            ndead += 1
    if ndead:
        simple_delete(rel, state.buf, heap, dead, ndead, state.itup, minoff, maxoff)
        state.bounds_valid = False
        if page_get_free_space(page) >= state.itemsz:
            return 0
    if simple_only or (checking_unique and not uniquedup):
        return 0
    state.bounds_valid = False
    if (index_unchanged or uniquedup) and bottom_up_delete(rel, state.buf, heap, state.itemsz):
        return 0
    if rel.deduplicate_items and state.key.allequalimage:
        bt_dedup_pass(rel, state.buf, state.itup, state.itemsz, index_unchanged or uniquedup)
    return 0

"""Merging equal tuples of a leaf into posting lists, to put off a split (nbtdedup.c)."""

from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy
from tusk._types cimport BLCKSZ, ItemPointerData, Lsn, OffsetNumber, maxalign
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport IndexTupleData, index_tuple_size
from tusk.access.nbtree._build cimport bt_form_posting
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport index_corrupted, p_firstdatakey, p_rightmost
from tusk.access.nbtree._records cimport XLOG_BTREE_DEDUP, BTDedupInterval, SizeOfBtreeDedup, xl_btree_dedup
from tusk.access.nbtree._split cimport bt_keep_natts_fast
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport buffer_page, mark_buffer_dirty
from tusk.storage._page cimport (
    item_id_get_length, page_add_item, page_get_item, page_get_item_id, page_get_lsn, page_get_max_offset,
    page_get_temp_copy_special, page_restore_temp, page_set_lsn,
)
from tusk.wal._insert cimport (
    REGBUF_STANDARD, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer,
    xlog_register_data,
)
from tusk.wal._record cimport RM_BTREE_ID

cdef enum:
    MAX_POSTING_SIZE = 1352         # half of BTMaxItemSize


cdef inline IndexTupleData *item_at(char *page, OffsetNumber offset) noexcept nogil:
    return <IndexTupleData *> page_get_item(page, page_get_item_id(page, offset))


cdef void dedup_start(BTDedupState *state, IndexTupleData *base, OffsetNumber baseoff) noexcept:
    """Begin a pending posting list with base."""
    if bt_is_posting(base):
        state.nhtids = bt_nposting(base)
        memcpy(state.htids, bt_posting(base), state.nhtids * sizeof(ItemPointerData))
        state.basetupsize = bt_posting_offset(base)
    else:
        state.htids[0] = base.t_tid
        state.nhtids = 1
        state.basetupsize = index_tuple_size(base)
    state.nitems = 1
    state.base = base
    state.baseoff = baseoff
    state.phystupsize = <uint32_t> maxalign(index_tuple_size(base)) + 4


cdef bint dedup_save(BTDedupState *state, const IndexTupleData *itup) noexcept:
    """Take a tuple's TIDs into the pending posting list, if they fit."""
    cdef int nhtids = 1
    cdef const ItemPointerData *htids = &itup.t_tid
    if bt_is_posting(itup):
        nhtids = bt_nposting(itup)
        htids = bt_posting(itup)
    if maxalign(state.basetupsize + (state.nhtids + nhtids) * sizeof(ItemPointerData)) > state.maxpostingsize:
        if state.nhtids > 50:
            state.nmaxitems += 1
        return False
    memcpy(state.htids + state.nhtids, htids, nhtids * sizeof(ItemPointerData))
    state.nhtids += nhtids
    state.nitems += 1
    state.phystupsize += <uint32_t> maxalign(index_tuple_size(itup)) + 4
    return True


cdef int dedup_finish(char *newpage, BTDedupState *state) except -1:
    cdef OffsetNumber offset = page_get_max_offset(newpage) + 1
    cdef IndexTupleData *posting
    cdef uint32_t size
    cdef int saved = 0
    if state.nitems == 1:
        size = index_tuple_size(state.base)
        if page_add_item(newpage, state.base, size, offset, 0) == 0:
            raise index_corrupted("deduplication failed to add tuple to page")
    else:
        posting = bt_form_posting(state.base, state.htids, state.nhtids)
        size = index_tuple_size(posting)
        offset = <OffsetNumber> page_add_item(newpage, posting, size, offset, 0)
        free(posting)
        if offset == 0:
            raise index_corrupted("deduplication failed to add tuple to page")
        state.intervals[state.nintervals].baseoff = state.baseoff
        state.intervals[state.nintervals].nitems = <uint16_t> state.nitems
        state.nintervals += 1
        saved = <int> state.phystupsize - <int> (maxalign(size) + 4)
    state.nhtids = 0
    state.nitems = 0
    state.phystupsize = 0
    return saved


cdef bint only_one_value(Relation rel, char *page, OffsetNumber minoff, const IndexTupleData *newitem) noexcept:
    """Whether the page, and what comes to it, is all of one key: it will be split soon whatever we do."""
    if bt_keep_natts_fast(rel, newitem, item_at(page, minoff)) <= rel.indnkeyatts:
        return False
    return bt_keep_natts_fast(rel, newitem, item_at(page, page_get_max_offset(page))) > rel.indnkeyatts


cdef int bt_dedup_pass(
    Relation rel, int buf, const IndexTupleData *newitem, uint32_t newitemsz, bint bottomup,
) except -1:
    """Deduplicate a leaf that has no room for newitem; the buffer is locked exclusively and stays so."""
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef OffsetNumber minoff = p_firstdatakey(opaque)
    cdef OffsetNumber maxoff = page_get_max_offset(page)
    cdef BTDedupState *state
    cdef char newpage[BLCKSZ]
    cdef bint single_value = False
    cdef IndexTupleData *itup
    cdef int i
    cdef int leftfree, reduction
    cdef xl_btree_dedup record
    cdef Lsn lsn
    newitemsz += 4
    if maxoff < minoff:
        return 0
    state = <BTDedupState *> malloc(sizeof(BTDedupState))
    if state == NULL:
        raise MemoryError
    try:
        state.deduplicate = True
        state.nmaxitems = 0
        state.maxpostingsize = MAX_POSTING_SIZE
        state.nintervals = 0
        state.nitems = 0
        if not bottomup:
            single_value = only_one_value(rel, page, minoff, newitem)
        page_get_temp_copy_special(page, newpage)
        page_set_lsn(newpage, page_get_lsn(page))
        if not p_rightmost(opaque):
            if page_add_item(newpage, item_at(page, P_HIKEY), item_id_get_length(page_get_item_id(page, P_HIKEY)),
                             P_HIKEY, 0) == 0:
                raise index_corrupted("deduplication failed to add highkey")
        for i in range(minoff, maxoff + 1):
            itup = item_at(page, <OffsetNumber> i)
            if i == minoff:
                dedup_start(state, itup, <OffsetNumber> i)
            elif state.deduplicate and bt_keep_natts_fast(rel, state.base, itup) > rel.indnkeyatts and \
                    dedup_save(state, itup):
                pass
            else:
                dedup_finish(newpage, state)
                if single_value:
                    # Leave the tuples at the end alone: they go to the right page of the coming split, and will be
                    # merged there. The last list before them is smaller, so that the left page comes out full.
                    if state.nmaxitems == 5:
                        leftfree = BLCKSZ - 24 - <int> sizeof(BTPageOpaqueData)
                        leftfree -= <int> newitemsz + <int> maxalign(sizeof(ItemPointerData))
                        reduction = <int> (leftfree * ((100 - BTREE_SINGLEVAL_FILLFACTOR) / 100.0))
                        state.maxpostingsize = state.maxpostingsize - reduction \
                            if <int> state.maxpostingsize > reduction else 0
                    elif state.nmaxitems == 6:
                        state.deduplicate = False
                        single_value = False
                dedup_start(state, itup, <OffsetNumber> i)
        dedup_finish(newpage, state)
        if state.nintervals == 0:
            return 0
        bt_opaque(newpage).btpo_flags &= <uint16_t> (~BTP_HAS_GARBAGE & 0xFFFF)
        critical_start()
        page_restore_temp(newpage, page)
        mark_buffer_dirty(buf)
        if relation_needs_wal(rel):
            record.nintervals = <uint16_t> state.nintervals
            xlog_begin_insert()
            xlog_register_buffer(0, buf, REGBUF_STANDARD)
            xlog_register_data(&record, SizeOfBtreeDedup)
            xlog_register_buf_data(0, state.intervals, state.nintervals * sizeof(BTDedupInterval))
            lsn = xlog_insert(RM_BTREE_ID, XLOG_BTREE_DEDUP)
            page_set_lsn(page, lsn)
        critical_end()
    finally:
        free(state)
    return 0

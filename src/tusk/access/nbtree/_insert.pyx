"""Insertion: unique check, choice of the page, splits up to the root (nbtinsert.c).

The leaf is locked exclusively from the search to the insertion. A split keeps the left half locked until the parent has
the entry of the right half; who finds one that was left incomplete by a crash or an error completes it first.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memmove, memset
from tusk._types cimport (
    BLCKSZ, BlockNumber, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, Lsn, MAIN_FORK, OffsetNumber,
    TransactionId, maxalign, tid_block, tid_offset,
)
from tusk.access._compare cimport Comparator
from tusk.access._index cimport (
    UNIQUE_CHECK_EXISTING, UNIQUE_CHECK_NO, UNIQUE_CHECK_PARTIAL,
)
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport IndexTupleData, index_tuple_size
from tusk.access.heap._scan cimport IndexFetch
from tusk.access.nbtree._build cimport bt_truncate
from tusk.access.nbtree._cycle cimport bt_vacuum_cycleid
from tusk.access.nbtree._delete cimport bt_delete_or_dedup_one_page
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport *
from tusk.access.nbtree._records cimport *
from tusk.access.nbtree cimport _search
from tusk.access.nbtree._search cimport (
    BTScanInsert, BTStack, bt_compare, bt_get_endpoint, bt_mkscankey, bt_search, tid_compare,
)
from tusk.access.nbtree._split cimport bt_findsplitloc
from tusk.memory._critical cimport critical_end, critical_start
from tusk.storage._buffer cimport (
    RBM_NORMAL, buffer_block, buffer_page, conditional_lock_buffer, mark_buffer_dirty, mark_buffer_dirty_hint,
    read_buffer, release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_dead, item_id_mark_dead, page_add_item, page_get_free_space,
    page_get_item, page_get_item_id, page_get_lsn, page_get_max_offset, page_header,
    page_restore_temp, page_set_lsn,
)
from tusk.transaction._lock cimport XLTW_InsertIndex, speculative_insertion_wait, xact_lock_table_wait
from tusk.transaction._snapshot cimport Snapshot, SnapshotSelf, make_dirty_snapshot
from tusk.wal._insert cimport (
    REGBUF_STANDARD, REGBUF_WILL_INIT, xlog_begin_insert, xlog_insert, xlog_register_buf_data, xlog_register_buffer,
    xlog_register_data,
)
from tusk.wal._record cimport RM_BTREE_ID

from tusk.access.nbtree.keys import duplicate_key_error, origin
from tusk.errors import Panic, SqlError, errcode

cdef enum:
    FASTPATH_MIN_LEVEL = 2          # shallower trees are not worth remembering the rightmost leaf for


cdef inline IndexTupleData *item_at(char *page, OffsetNumber offset) noexcept nogil:
    return <IndexTupleData *> page_get_item(page, page_get_item_id(page, offset))


# -- Search --

cdef int search_insert(Relation rel, BTInsertState *state, Relation heap, BTStack *stack) except -1:
    """Leave the leaf where the key belongs in state.buf, locked exclusively (_bt_search_insert).

    Ascending keys go to the rightmost leaf: its block is remembered and tried first, if its lock is free.
    """
    cdef int buf
    cdef char *page
    cdef BTPageOpaqueData *opaque
    if rel.target_block != InvalidBlockNumber:
        buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, rel.target_block, RBM_NORMAL, NULL)
        if conditional_lock_buffer(buf):
            bt_checkpage(rel, buf)
            page = buffer_page(buf)
            opaque = bt_opaque(page)
            if p_rightmost(opaque) and p_isleaf(opaque) and not p_ignore(opaque) and \
                    page_get_free_space(page) > state.itemsz and page_get_max_offset(page) >= P_HIKEY and \
                    bt_compare(rel, state.key, page, P_HIKEY) > 0:
                state.buf = buf
                stack.depth = 0
                return 0
            unlock_release_buffer(buf)
        else:
            release_buffer(buf)
        rel.target_block = InvalidBlockNumber
    state.buf = bt_search(rel, heap, state.key, BT_WRITE, stack)
    return 0


cdef int search_posting(const BTScanInsert *key, const char *page, OffsetNumber offset) noexcept:
    """Where in a posting list the key's TID belongs; -1 if the whole tuple is marked dead (_bt_binsrch_posting)."""
    cdef ItemIdData *line = page_get_item_id(page, offset)
    cdef const IndexTupleData *itup = <const IndexTupleData *> page_get_item(page, line)
    cdef int low, high, mid
    if not bt_is_posting(itup):
        return 0
    if item_id_is_dead(line):
        return -1
    low = 0
    high = bt_nposting(itup)
    while high > low:
        mid = low + ((high - low) >> 1)
        if tid_compare(key.scantid, bt_posting(itup) + mid) > 0:
            low = mid + 1
        else:
            high = mid
    return low


cdef OffsetNumber bt_binsrch_insert(Relation rel, BTInsertState *state) except? 0xFFFF:
    """bt_binsrch for leaves, remembering bounds for the next call with the same page and key."""
    cdef char *page = buffer_page(state.buf)
    cdef int low, high, stricthigh, mid, result
    if state.bounds_valid:
        low = state.low
        high = state.stricthigh
    else:
        low = p_firstdatakey(bt_opaque(page))
        high = page_get_max_offset(page)
        if high < low:
            state.low = 0
            state.stricthigh = 0
            return <OffsetNumber> low
        high += 1
    stricthigh = high
    while high > low:
        mid = low + ((high - low) >> 1)
        result = bt_compare(rel, state.key, page, <OffsetNumber> mid)
        if result >= 1:
            low = mid + 1
        else:
            high = mid
            if result != 0:
                stricthigh = high
            elif state.key.scantid != NULL:
                if state.postingoff != 0:
                    raise index_corrupted(
                        f'table tid from new index tuple ({tid_block(state.key.scantid)},'
                        f'{tid_offset(state.key.scantid)}) cannot find insert offset between offsets {low} and {high} '
                        f'of block {buffer_block(state.buf)} in index "{rel.name}"')
                state.postingoff = search_posting(state.key, page, <OffsetNumber> mid)
    state.low = <OffsetNumber> low
    state.stricthigh = <OffsetNumber> stricthigh
    state.bounds_valid = True
    return <OffsetNumber> low


# -- Unique check --

cdef TransactionId check_unique(
    Relation rel, BTInsertState *state, Relation heap, int mode, bint *is_unique, uint32_t *token,
) except? 0xFFFFFFFF:
    """Look for live rows with the same key (_bt_check_unique).

    Returns a transaction to wait for (state.buf stays locked; *token is not 0 if it is a speculative insertion), or 0:
    *is_unique tells what was found; a definite duplicate raises 23505.
    """
    cdef char *page = buffer_page(state.buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef OffsetNumber offset
    cdef OffsetNumber maxoff = page_get_max_offset(page)
    cdef ItemIdData *line = NULL
    cdef IndexTupleData *curitup = NULL
    cdef ItemPointerData htid
    cdef int nbuf = 0
    cdef int curposti = 0
    cdef bint inposting = False
    cdef bint prevalldead = True
    cdef bint found = False
    cdef bint visible
    cdef TransactionId xwait
    cdef IndexFetch fetch = None
    cdef Snapshot dirty = None
    cdef BlockNumber block
    is_unique[0] = True
    offset = bt_binsrch_insert(rel, state)
    while True:
        if offset <= maxoff:
            if nbuf == 0 and offset == state.stricthigh:
                break                       # the search saw that this item is different
            if not inposting:
                line = page_get_item_id(page, offset)
            # A tuple marked dead is dead to everybody: no conflict.
            if inposting or not item_id_is_dead(line):
                if not inposting:
                    if bt_compare(rel, state.key, page, offset) != 0:
                        break
                    curitup = <IndexTupleData *> page_get_item(page, line)
                    if bt_is_posting(curitup):
                        inposting = True
                        curposti = 0
                        prevalldead = True
                htid = bt_posting(curitup)[curposti] if inposting else curitup.t_tid
                if mode == UNIQUE_CHECK_EXISTING and tid_compare(&htid, &state.itup.t_tid) == 0:
                    found = True
                else:
                    if fetch is None:
                        fetch = IndexFetch(heap)
                        dirty = make_dirty_snapshot()
                    fetch.call_again = False
                    dirty.speculativeToken = 0
                    visible = fetch.fetch(&htid, dirty, True)
                    fetch.call_again = False
                    if visible:
                        if mode == UNIQUE_CHECK_PARTIAL:
                            if nbuf:
                                unlock_release_buffer(nbuf)
                            fetch.reset()
                            is_unique[0] = False
                            return InvalidTransactionId
                        xwait = dirty.xmin if dirty.xmin != InvalidTransactionId else dirty.xmax
                        if xwait != InvalidTransactionId:
                            if nbuf:
                                unlock_release_buffer(nbuf)
                            fetch.reset()
                            token[0] = dirty.speculativeToken
                            state.bounds_valid = False
                            return xwait
                        # A conflict, unless our own row has gone meanwhile (of a deferred check, or CONCURRENTLY).
                        htid = state.itup.t_tid
                        visible = fetch.fetch(&htid, SnapshotSelf, False)
                        fetch.call_again = False
                        fetch.reset()
                        if not visible:
                            break
                        if nbuf:
                            unlock_release_buffer(nbuf)
                        unlock_release_buffer(state.buf)
                        state.buf = 0
                        raise duplicate_key_error(
                            rel, heap, (<char *> state.itup)[:index_tuple_size(state.itup)])
                    if fetch.all_dead and (not inposting or
                                           (prevalldead and curposti == bt_nposting(curitup) - 1)):
                        item_id_mark_dead(line)
                        opaque.btpo_flags |= BTP_HAS_GARBAGE
                        mark_buffer_dirty_hint(nbuf if nbuf else state.buf, True)
                    if not fetch.all_dead and inposting:
                        prevalldead = False
        if inposting and curposti < bt_nposting(curitup) - 1:
            curposti += 1
            continue
        inposting = False
        if offset < maxoff:
            offset += 1
            continue
        if p_rightmost(opaque) or bt_compare(rel, state.key, page, P_HIKEY) != 0:
            break
        while True:
            block = opaque.btpo_next
            nbuf = bt_relandgetbuf(rel, nbuf, block, BT_READ)
            page = buffer_page(nbuf)
            opaque = bt_opaque(page)
            if not p_ignore(opaque):
                break
            if p_rightmost(opaque):
                raise index_corrupted(f'fell off the end of index "{rel.name}"')
        maxoff = page_get_max_offset(page)
        offset = p_firstdatakey(opaque)
    if nbuf:
        unlock_release_buffer(nbuf)
    if fetch is not None:
        fetch.reset()
    if mode == UNIQUE_CHECK_EXISTING and not found:
        raise SqlError(errcode.INTERNAL_ERROR, f'failed to re-find tuple within index "{rel.name}"',
                       hint="This may be because of a non-immutable index expression.", **origin(heap))
    return InvalidTransactionId


# -- Choice of the place --

cdef int bt_check_third_page(Relation rel, Relation heap, const IndexTupleData *itup, uint32_t itemsz) except -1:
    """54000 for a tuple of which three would not fit on a page."""
    cdef const ItemPointerData *tid
    if itemsz <= BTMaxItemSize:
        return 0
    tid = bt_heap_tid(itup)
    raise SqlError(
        errcode.PROGRAM_LIMIT_EXCEEDED,
        f'index row size {itemsz} exceeds btree version {<int> BTREE_VERSION} maximum {<int> BTMaxItemSize} '
        f'for index "{rel.name}"',
        detail=f'Index row references tuple ({tid_block(tid)},{tid_offset(tid)}) in relation "{heap.name}".',
        hint="Values larger than 1/3 of a buffer page cannot be indexed.\n"
             "Consider a function index of an MD5 hash of the value, or use full text indexing.",
        constraint=rel.name, **origin(heap))


cdef int step_right(Relation rel, Relation heap, BTInsertState *state, BTStack *stack) except -1:
    """Go on to the next live page, keeping this one locked until that one is."""
    cdef int rbuf = 0
    cdef BTPageOpaqueData *opaque = bt_opaque(buffer_page(state.buf))
    cdef BlockNumber block = opaque.btpo_next
    while True:
        rbuf = bt_relandgetbuf(rel, rbuf, block, BT_WRITE)
        opaque = bt_opaque(buffer_page(rbuf))
        if p_incomplete_split(opaque):
            bt_finish_split(rel, heap, rbuf, stack, stack.depth)
            rbuf = 0
            continue
        if not p_ignore(opaque):
            break
        if p_rightmost(opaque):
            raise index_corrupted(f'fell off the end of index "{rel.name}"')
        block = opaque.btpo_next
    unlock_release_buffer(state.buf)
    state.buf = rbuf
    state.bounds_valid = False
    return 0


cdef OffsetNumber find_insert_location(
    Relation rel, BTInsertState *state, bint checking_unique, bint index_unchanged, BTStack *stack, Relation heap,
) except 0:
    """The exact page and offset for the new tuple, making room on a full page first (_bt_findinsertloc)."""
    cdef char *page = buffer_page(state.buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef bint uniquedup = index_unchanged
    cdef OffsetNumber newitemoff
    if state.itemsz > BTMaxItemSize:
        bt_check_third_page(rel, heap, state.itup, state.itemsz)
    if checking_unique:
        # The search was by key alone and found the first page with it; the TID may belong further right.
        if state.bounds_valid and state.low < state.stricthigh:
            uniquedup = True
        while True:
            if state.bounds_valid and state.low <= state.stricthigh and \
                    state.stricthigh <= page_get_max_offset(page):
                break
            if p_rightmost(opaque) or bt_compare(rel, state.key, page, P_HIKEY) <= 0:
                break
            step_right(rel, heap, state, stack)
            page = buffer_page(state.buf)
            opaque = bt_opaque(page)
            uniquedup = True
    if page_get_free_space(page) < state.itemsz:
        bt_delete_or_dedup_one_page(rel, heap, state, False, checking_unique, uniquedup, index_unchanged)
    newitemoff = bt_binsrch_insert(rel, state)
    if state.postingoff == -1:
        # The TID falls into the range of a posting list that is dead: get rid of that first.
        bt_delete_or_dedup_one_page(rel, heap, state, True, False, False, False)
        state.postingoff = 0
        newitemoff = bt_binsrch_insert(rel, state)
        if state.postingoff == -1:
            raise index_corrupted(f'dead posting list tuple at offset {newitemoff} of block '
                                  f'{buffer_block(state.buf)} in index "{rel.name}" cannot be removed')
    return newitemoff


# -- Insertion on a page --

cdef IndexTupleData *copy_tuple(const IndexTupleData *itup) except NULL:
    cdef uint32_t size = index_tuple_size(itup)
    cdef IndexTupleData *copy = <IndexTupleData *> malloc(size)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, itup, size)
    return copy


cdef IndexTupleData *bt_swap_posting(
    IndexTupleData *newitem, const IndexTupleData *posting, int postingoff,
) except NULL:
    cdef int nhtids = bt_nposting(posting)
    cdef IndexTupleData *result
    cdef ItemPointerData *tids
    cdef ItemPointerData last
    if not bt_is_posting(posting) or postingoff <= 0 or postingoff >= nhtids:
        raise index_corrupted(f"posting list tuple with {nhtids} items cannot be split at offset {postingoff}")
    result = copy_tuple(posting)
    tids = bt_posting(result)
    last = tids[nhtids - 1]
    memmove(tids + postingoff + 1, tids + postingoff, (nhtids - postingoff - 1) * sizeof(ItemPointerData))
    tids[postingoff] = newitem.t_tid
    newitem.t_tid = last
    return result


cdef int insert_on_page(
    Relation rel, Relation heap, BTScanInsert *key, int buf, int cbuf, BTStack *stack, int depth,
    IndexTupleData *itup, uint32_t itemsz, OffsetNumber newitemoff, int postingoff, bint split_only_page,
) except -1:
    """Insert into a page that is locked exclusively, splitting it if it is full; lets go of buf and cbuf.

    cbuf is the left child whose split the insertion into an upper page completes. stack.entries[depth - 1] is the
    parent of buf. (_bt_insertonpg)
    """
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef bint isleaf = p_isleaf(opaque)
    cdef bint isroot = p_isroot(opaque)
    cdef bint isrightmost = p_rightmost(opaque)
    cdef bint isonly = p_leftmost(opaque) and p_rightmost(opaque)
    cdef ItemIdData *line
    cdef IndexTupleData *oposting = NULL
    cdef IndexTupleData *nposting = NULL
    cdef IndexTupleData *original = NULL
    cdef IndexTupleData *mine = NULL
    cdef int metabuf = 0
    cdef int rbuf
    cdef BTMetaPageData *meta = NULL
    cdef xl_btree_insert record
    cdef xl_btree_metadata metadata
    cdef uint16_t upostingoff
    cdef uint8_t info
    cdef Lsn lsn
    cdef BlockNumber cache = InvalidBlockNumber
    if p_incomplete_split(opaque):
        raise index_corrupted(f'cannot insert to incompletely split page {buffer_block(buf)}')
    try:
        if postingoff != 0:
            # The new TID falls within a posting list: it takes the place of one there, and the list's last TID
            # becomes the new tuple, to the right of it.
            line = page_get_item_id(page, newitemoff)
            oposting = <IndexTupleData *> page_get_item(page, line)
            if item_id_is_dead(line) or not bt_is_posting(oposting):
                raise index_corrupted(
                    f'table tid from new index tuple ({tid_block(&itup.t_tid)},{tid_offset(&itup.t_tid)}) overlaps '
                    f'with invalid duplicate tuple at offset {newitemoff} of block {buffer_block(buf)} in index '
                    f'"{rel.name}"')
            if tid_compare(bt_posting(oposting) + postingoff, &itup.t_tid) == 0:
                raise index_corrupted(
                    f'table tid from new index tuple ({tid_block(&itup.t_tid)},{tid_offset(&itup.t_tid)}) is in index '
                    f'"{rel.name}" already, at offset {newitemoff} of block {buffer_block(buf)}')
            original = itup
            mine = copy_tuple(itup)
            itup = mine
            nposting = bt_swap_posting(itup, oposting, postingoff)
            newitemoff += 1
        if page_get_free_space(page) < itemsz:
            rbuf = split(rel, heap, key, buf, cbuf, newitemoff, itemsz, itup, original, nposting, postingoff)
            return insert_parent(rel, heap, buf, rbuf, stack, depth, isroot, isonly)
        if split_only_page:
            # The fast root was split: this level has more than one page now, so the one above takes over.
            metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_WRITE)
            meta = bt_checked_meta(rel, metabuf)
            if meta.btm_fastlevel >= opaque.btpo_level:
                unlock_release_buffer(metabuf)
                metabuf = 0
        critical_start()
        if postingoff != 0:
            memcpy(oposting, nposting, maxalign(index_tuple_size(nposting)))
        if page_add_item(page, itup, itemsz, newitemoff, 0) == 0:
            raise Panic(errcode.INDEX_CORRUPTED,
                        f'failed to add new item to block {buffer_block(buf)} in index "{rel.name}"')
        mark_buffer_dirty(buf)
        if metabuf:
            meta.btm_fastroot = buffer_block(buf)
            meta.btm_fastlevel = opaque.btpo_level
            mark_buffer_dirty(metabuf)
        if not isleaf:
            bt_opaque(buffer_page(cbuf)).btpo_flags &= <uint16_t> (~BTP_INCOMPLETE_SPLIT & 0xFFFF)
            mark_buffer_dirty(cbuf)
        if relation_needs_wal(rel):
            record.offnum = newitemoff
            xlog_begin_insert()
            xlog_register_data(&record, SizeOfBtreeInsert)
            if isleaf:
                info = XLOG_BTREE_INSERT_LEAF if postingoff == 0 else XLOG_BTREE_INSERT_POST
            else:
                info = XLOG_BTREE_INSERT_UPPER
                xlog_register_buffer(1, cbuf, REGBUF_STANDARD)
                if metabuf:
                    info = XLOG_BTREE_INSERT_META
                    bt_fill_metadata(&metadata, meta)
                    xlog_register_buffer(2, metabuf, REGBUF_WILL_INIT | REGBUF_STANDARD)
                    xlog_register_buf_data(2, &metadata, sizeof(metadata))
            xlog_register_buffer(0, buf, REGBUF_STANDARD)
            if postingoff == 0:
                xlog_register_buf_data(0, itup, index_tuple_size(itup))
            else:
                upostingoff = <uint16_t> postingoff
                xlog_register_buf_data(0, &upostingoff, 2)
                xlog_register_buf_data(0, original, index_tuple_size(original))
            lsn = xlog_insert(RM_BTREE_ID, info)
            if metabuf:
                page_set_lsn(buffer_page(metabuf), lsn)
            if not isleaf:
                page_set_lsn(buffer_page(cbuf), lsn)
            page_set_lsn(page, lsn)
        critical_end()
        if metabuf:
            unlock_release_buffer(metabuf)
        if cbuf:
            unlock_release_buffer(cbuf)
        if isrightmost and isleaf and not isroot:
            cache = buffer_block(buf)
        unlock_release_buffer(buf)
        if cache != InvalidBlockNumber and bt_rootheight(rel) >= FASTPATH_MIN_LEVEL:
            rel.target_block = cache
    finally:
        if mine != NULL:
            free(mine)
            free(nposting)
    return 0


cdef int put_item(Relation rel, char *page, const IndexTupleData *itup, uint32_t size, OffsetNumber offset,
                  bint newfirstdataitem, BlockNumber block) except -1:
    """Add an item; the first data item of an upper page loses its key (_bt_pgaddtup)."""
    cdef IndexTupleData truncated
    if newfirstdataitem:
        truncated = itup[0]
        truncated.t_info = sizeof(IndexTupleData)
        bt_set_natts(&truncated, 0, False)
        itup = &truncated
        size = sizeof(IndexTupleData)
    if page_add_item(page, itup, size, offset, 0) == 0:
        raise index_corrupted(f'failed to add item {offset} while splitting block {block} of index "{rel.name}"')
    return 0


cdef int split(
    Relation rel, Relation heap, BTScanInsert *key, int buf, int cbuf, OffsetNumber newitemoff, uint32_t newitemsz,
    IndexTupleData *newitem, IndexTupleData *original, IndexTupleData *nposting, int postingoff,
) except 0:
    """Split a page while inserting; returns the right half, locked as buf stays (_bt_split)."""
    cdef char *origpage = buffer_page(buf)
    cdef BTPageOpaqueData *oopaque = bt_opaque(origpage)
    cdef char leftpage[BLCKSZ]
    cdef char rightpage[BLCKSZ]
    cdef BTPageOpaqueData *lopaque
    cdef BTPageOpaqueData *ropaque
    cdef BTPageOpaqueData *sopaque
    cdef bint isleaf = p_isleaf(oopaque)
    cdef bint isrightmost = p_rightmost(oopaque)
    cdef BlockNumber origblk = buffer_block(buf)
    cdef BlockNumber rightblk
    cdef OffsetNumber maxoff = page_get_max_offset(origpage)
    cdef OffsetNumber origpostingoff = 0
    cdef OffsetNumber firstrightoff, offset, leftoff, rightoff, firstdataoff, minusinf
    cdef IndexTupleData *firstright
    cdef IndexTupleData *lastleft
    cdef IndexTupleData *lefthighkey
    cdef IndexTupleData *item
    cdef ItemIdData *line
    cdef uint32_t size
    cdef bint newitemonleft
    cdef int rbuf
    cdef int sbuf = 0
    cdef int i
    cdef uint8_t info
    cdef xl_btree_split record
    cdef Lsn lsn
    if postingoff != 0:
        origpostingoff = newitemoff - 1
    firstrightoff = bt_findsplitloc(rel, origpage, newitemoff, newitemsz, newitem, &newitemonleft)
    # Both halves are put together aside. The left one's right link follows once the new page is known.
    bt_pageinit(leftpage)
    lopaque = bt_opaque(leftpage)
    lopaque.btpo_flags = <uint16_t> ((oopaque.btpo_flags | BTP_INCOMPLETE_SPLIT) &
                                     ~(BTP_ROOT | BTP_SPLIT_END | BTP_HAS_GARBAGE))
    lopaque.btpo_prev = oopaque.btpo_prev
    lopaque.btpo_level = oopaque.btpo_level
    page_set_lsn(leftpage, page_get_lsn(origpage))
    # The left page's high key separates the last item on the left from the first on the right.
    if not newitemonleft and newitemoff == firstrightoff:
        firstright = newitem
        size = newitemsz
    else:
        line = page_get_item_id(origpage, firstrightoff)
        firstright = <IndexTupleData *> page_get_item(origpage, line)
        size = item_id_get_length(line)
        if firstrightoff == origpostingoff and origpostingoff != 0:
            firstright = nposting
    if isleaf:
        if newitemonleft and newitemoff == firstrightoff:
            lastleft = newitem
        elif firstrightoff - 1 == origpostingoff and origpostingoff != 0:
            lastleft = nposting
        else:
            lastleft = item_at(origpage, firstrightoff - 1)
        lefthighkey = truncate_for(rel, lastleft, firstright)
        size = index_tuple_size(lefthighkey)
    else:
        lefthighkey = copy_tuple(firstright)
    try:
        put_item(rel, leftpage, lefthighkey, size, P_HIKEY, False, origblk)
        rbuf = bt_allocbuf(rel, heap)
        rightblk = buffer_block(rbuf)
        lopaque.btpo_next = rightblk
        lopaque.btpo_cycleid = bt_vacuum_cycleid(rel)
        bt_pageinit(rightpage)
        ropaque = bt_opaque(rightpage)
        ropaque.btpo_flags = <uint16_t> (oopaque.btpo_flags & ~(BTP_ROOT | BTP_SPLIT_END | BTP_HAS_GARBAGE))
        ropaque.btpo_prev = origblk
        ropaque.btpo_next = oopaque.btpo_next
        ropaque.btpo_level = oopaque.btpo_level
        ropaque.btpo_cycleid = lopaque.btpo_cycleid
        rightoff = P_HIKEY
        if not isrightmost:
            line = page_get_item_id(origpage, P_HIKEY)
            put_item(rel, rightpage, <IndexTupleData *> page_get_item(origpage, line), item_id_get_length(line),
                     P_HIKEY, False, origblk)
            rightoff = P_FIRSTKEY
        leftoff = P_FIRSTKEY
        minusinf = 0 if isleaf else rightoff
        firstdataoff = p_firstdatakey(oopaque)
        for i in range(firstdataoff, maxoff + 2):
            offset = <OffsetNumber> i
            if offset == newitemoff:
                if newitemonleft:
                    put_item(rel, leftpage, newitem, newitemsz, leftoff, False, origblk)
                    leftoff += 1
                else:
                    put_item(rel, rightpage, newitem, newitemsz, rightoff, rightoff == minusinf, origblk)
                    rightoff += 1
            if offset > maxoff:
                break
            line = page_get_item_id(origpage, offset)
            item = <IndexTupleData *> page_get_item(origpage, line)
            if offset == origpostingoff and origpostingoff != 0:
                item = nposting
            if offset < firstrightoff:
                put_item(rel, leftpage, item, item_id_get_length(line), leftoff,
                         not isleaf and leftoff == P_FIRSTKEY, origblk)
                leftoff += 1
            else:
                put_item(rel, rightpage, item, item_id_get_length(line), rightoff, rightoff == minusinf, origblk)
                rightoff += 1
        if not isrightmost:
            sbuf = bt_getbuf(rel, oopaque.btpo_next, BT_WRITE)
            sopaque = bt_opaque(buffer_page(sbuf))
            if sopaque.btpo_prev != origblk:
                raise index_corrupted(
                    f"right sibling's left-link doesn't match: block {buffer_block(sbuf)} links to "
                    f'{sopaque.btpo_prev} instead of expected {origblk} in index "{rel.name}"')
            # A vacuum that has come to know this page group need not follow further than here.
            if sopaque.btpo_cycleid != ropaque.btpo_cycleid:
                ropaque.btpo_flags |= BTP_SPLIT_END
        critical_start()
        page_restore_temp(leftpage, origpage)
        page_restore_temp(rightpage, buffer_page(rbuf))
        mark_buffer_dirty(buf)
        mark_buffer_dirty(rbuf)
        if sbuf:
            bt_opaque(buffer_page(sbuf)).btpo_prev = rightblk
            mark_buffer_dirty(sbuf)
        if not isleaf:
            bt_opaque(buffer_page(cbuf)).btpo_flags &= <uint16_t> (~BTP_INCOMPLETE_SPLIT & 0xFFFF)
            mark_buffer_dirty(cbuf)
        if relation_needs_wal(rel):
            record.level = ropaque.btpo_level
            record.firstrightoff = firstrightoff
            record.newitemoff = newitemoff
            record.postingoff = 0
            if postingoff != 0 and origpostingoff < firstrightoff:
                record.postingoff = <uint16_t> postingoff
            xlog_begin_insert()
            xlog_register_data(&record, SizeOfBtreeSplit)
            xlog_register_buffer(0, buf, REGBUF_STANDARD)
            xlog_register_buffer(1, rbuf, REGBUF_WILL_INIT)
            if sbuf:
                xlog_register_buffer(2, sbuf, REGBUF_STANDARD)
            if not isleaf:
                xlog_register_buffer(3, cbuf, REGBUF_STANDARD)
            # Replay finds the left page's other items on it; the right page is logged whole.
            if newitemonleft and record.postingoff == 0:
                xlog_register_buf_data(0, newitem, newitemsz)
            elif record.postingoff != 0:
                xlog_register_buf_data(0, original, newitemsz)
            xlog_register_buf_data(0, lefthighkey, <uint32_t> maxalign(index_tuple_size(lefthighkey)))
            xlog_register_buf_data(1, rightpage + page_header(rightpage).pd_upper,
                                   page_header(rightpage).pd_special - page_header(rightpage).pd_upper)
            info = XLOG_BTREE_SPLIT_L if newitemonleft else XLOG_BTREE_SPLIT_R
            lsn = xlog_insert(RM_BTREE_ID, info)
            page_set_lsn(origpage, lsn)
            page_set_lsn(buffer_page(rbuf), lsn)
            if sbuf:
                page_set_lsn(buffer_page(sbuf), lsn)
            if not isleaf:
                page_set_lsn(buffer_page(cbuf), lsn)
        critical_end()
    finally:
        free(lefthighkey)
    if sbuf:
        unlock_release_buffer(sbuf)
    if not isleaf:
        unlock_release_buffer(cbuf)
    return rbuf


cdef IndexTupleData *truncate_for(
    Relation rel, const IndexTupleData *lastleft, const IndexTupleData *firstright,
) except NULL:
    cdef Comparator comparators[32]
    cdef int i
    for i in range(rel.indnkeyatts):
        comparators[i] = rel.keys[i].cmp
    return bt_truncate(rel.desc, rel.indnkeyatts, comparators, lastleft, firstright)


# -- The parent --

cdef int insert_parent(
    Relation rel, Relation heap, int buf, int rbuf, BTStack *stack, int depth, bint isroot, bint isonly,
) except -1:
    """Give the right half of a split its entry in the parent; lets go of both halves (_bt_insert_parent)."""
    cdef BlockNumber bknum, rbknum
    cdef int pbuf
    cdef int rootbuf
    cdef IndexTupleData *newitem
    cdef BTStack fake
    cdef BTPageOpaqueData *opaque
    if isroot:
        rootbuf = new_level(rel, heap, buf, rbuf)
        unlock_release_buffer(rootbuf)
        unlock_release_buffer(rbuf)
        unlock_release_buffer(buf)
        return 0
    bknum = buffer_block(buf)
    rbknum = buffer_block(rbuf)
    if stack == NULL or depth <= 0:
        # The page was the root when the descent began (or the leaf was found without one): find its parent level.
        opaque = bt_opaque(buffer_page(buf))
        pbuf = bt_get_endpoint(rel, opaque.btpo_level + 1, False)
        if pbuf == 0:
            raise index_corrupted(f'no root page in index "{rel.name}"')
        stack = &fake
        depth = 1
        fake.depth = 1
        fake.entries[0].block = buffer_block(pbuf)
        fake.entries[0].offset = 0
        unlock_release_buffer(pbuf)
    # The left half's high key becomes the right half's entry.
    newitem = copy_tuple(item_at(buffer_page(buf), P_HIKEY))
    try:
        bt_set_down_link(newitem, rbknum)
        pbuf = bt_getstackbuf(rel, heap, stack, depth, bknum)
        # The parent is locked: nobody can reach the right half's entry before us, so its lock can go.
        unlock_release_buffer(rbuf)
        if pbuf == 0:
            raise index_corrupted(
                f'failed to re-find parent key in index "{rel.name}" for split pages {bknum}/{rbknum}')
        insert_on_page(rel, heap, NULL, pbuf, buf, stack, depth - 1, newitem,
                       <uint32_t> maxalign(index_tuple_size(newitem)),
                       stack.entries[depth - 1].offset + 1, 0, isonly)
    finally:
        free(newitem)
    return 0


cdef int bt_finish_split(Relation rel, Relation heap, int lbuf, BTStack *stack, int depth) except -1:
    """Complete a split whose right half has no entry in the parent; lbuf is locked exclusively and let go of."""
    cdef BTPageOpaqueData *lopaque = bt_opaque(buffer_page(lbuf))
    cdef int rbuf = bt_getbuf(rel, lopaque.btpo_next, BT_WRITE)
    cdef BTPageOpaqueData *ropaque = bt_opaque(buffer_page(rbuf))
    cdef bint wasroot = False
    cdef bint wasonly
    cdef int metabuf
    if stack == NULL or depth <= 0:
        metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_WRITE)
        wasroot = bt_meta(buffer_page(metabuf)).btm_root == buffer_block(lbuf)
        unlock_release_buffer(metabuf)
    wasonly = p_leftmost(lopaque) and p_rightmost(ropaque)
    return insert_parent(rel, heap, lbuf, rbuf, stack, depth, wasroot, wasonly)


_search.finish_split_hook = bt_finish_split


cdef int bt_getstackbuf(Relation rel, Relation heap, BTStack *stack, int depth, uint32_t child) except -1:
    cdef BlockNumber block = stack.entries[depth - 1].block
    cdef int start = stack.entries[depth - 1].offset
    cdef int buf, i, minoff, maxoff
    cdef char *page
    cdef BTPageOpaqueData *opaque
    while True:
        buf = bt_getbuf(rel, block, BT_WRITE)
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        if p_incomplete_split(opaque):
            bt_finish_split(rel, heap, buf, stack, depth - 1)
            continue
        if not p_ignore(opaque):
            minoff = p_firstdatakey(opaque)
            maxoff = page_get_max_offset(page)
            # Most likely the entry is where it was, or a little to the right of it.
            if start < minoff:
                start = minoff
            if start > maxoff:
                start = maxoff + 1
            for i in range(start, maxoff + 1):
                if bt_down_link(item_at(page, <OffsetNumber> i)) == child:
                    stack.entries[depth - 1].block = block
                    stack.entries[depth - 1].offset = <OffsetNumber> i
                    return buf
            for i in range(start - 1, minoff - 1, -1):
                if bt_down_link(item_at(page, <OffsetNumber> i)) == child:
                    stack.entries[depth - 1].block = block
                    stack.entries[depth - 1].offset = <OffsetNumber> i
                    return buf
        if p_rightmost(opaque):
            unlock_release_buffer(buf)
            return 0
        block = opaque.btpo_next
        start = 0
        unlock_release_buffer(buf)


cdef int new_level(Relation rel, Relation heap, int lbuf, int rbuf) except 0:
    """A new root over the halves of the old one, locked; they stay locked too (_bt_newlevel)."""
    cdef BlockNumber lbknum = buffer_block(lbuf)
    cdef BlockNumber rbknum = buffer_block(rbuf)
    cdef char *lpage = buffer_page(lbuf)
    cdef BTPageOpaqueData *lopaque = bt_opaque(lpage)
    cdef int rootbuf = bt_allocbuf(rel, heap)
    cdef char *rootpage = buffer_page(rootbuf)
    cdef BlockNumber rootblk = buffer_block(rootbuf)
    cdef int metabuf = bt_getbuf(rel, BTREE_METAPAGE, BT_WRITE)
    cdef BTMetaPageData *meta = bt_checked_meta(rel, metabuf)
    cdef BTPageOpaqueData *opaque
    cdef IndexTupleData left
    cdef ItemIdData *line = page_get_item_id(lpage, P_HIKEY)
    cdef uint32_t rightsize = item_id_get_length(line)
    cdef IndexTupleData *right = copy_tuple(<IndexTupleData *> page_get_item(lpage, line))
    cdef xl_btree_newroot record
    cdef xl_btree_metadata metadata
    cdef Lsn lsn
    memset(&left, 0, sizeof(left))
    left.t_info = sizeof(IndexTupleData)
    bt_set_down_link(&left, lbknum)
    bt_set_natts(&left, 0, False)
    bt_set_down_link(right, rbknum)
    critical_start()
    opaque = bt_opaque(rootpage)
    opaque.btpo_prev = P_NONE
    opaque.btpo_next = P_NONE
    opaque.btpo_flags = BTP_ROOT
    opaque.btpo_level = lopaque.btpo_level + 1
    opaque.btpo_cycleid = 0
    meta.btm_root = rootblk
    meta.btm_level = opaque.btpo_level
    meta.btm_fastroot = rootblk
    meta.btm_fastlevel = opaque.btpo_level
    if page_add_item(rootpage, &left, sizeof(left), P_HIKEY, 0) == 0:
        raise Panic(errcode.INDEX_CORRUPTED,
                    f'failed to add leftkey to new root page while splitting block {lbknum} of index "{rel.name}"')
    if page_add_item(rootpage, right, rightsize, P_FIRSTKEY, 0) == 0:
        raise Panic(errcode.INDEX_CORRUPTED,
                    f'failed to add rightkey to new root page while splitting block {lbknum} of index "{rel.name}"')
    lopaque.btpo_flags &= <uint16_t> (~BTP_INCOMPLETE_SPLIT & 0xFFFF)
    mark_buffer_dirty(lbuf)
    mark_buffer_dirty(rootbuf)
    mark_buffer_dirty(metabuf)
    if relation_needs_wal(rel):
        record.rootblk = rootblk
        record.level = meta.btm_level
        bt_fill_metadata(&metadata, meta)
        xlog_begin_insert()
        xlog_register_data(&record, SizeOfBtreeNewroot)
        xlog_register_buffer(0, rootbuf, REGBUF_WILL_INIT)
        xlog_register_buffer(1, lbuf, REGBUF_STANDARD)
        xlog_register_buffer(2, metabuf, REGBUF_WILL_INIT | REGBUF_STANDARD)
        xlog_register_buf_data(2, &metadata, sizeof(metadata))
        xlog_register_buf_data(0, rootpage + page_header(rootpage).pd_upper,
                               page_header(rootpage).pd_special - page_header(rootpage).pd_upper)
        lsn = xlog_insert(RM_BTREE_ID, XLOG_BTREE_NEWROOT)
        page_set_lsn(lpage, lsn)
        page_set_lsn(rootpage, lsn)
        page_set_lsn(buffer_page(metabuf), lsn)
    critical_end()
    free(right)
    unlock_release_buffer(metabuf)
    return rootbuf


# -- The whole --

cdef int bt_doinsert(
    Relation rel, IndexTupleData *itup, int check, bint index_unchanged, Relation heap,
) except -1:
    cdef BTInsertState state
    cdef BTScanInsert key
    cdef BTStack stack
    cdef bint checking_unique = check != UNIQUE_CHECK_NO
    cdef bint is_unique = True
    cdef TransactionId xwait
    cdef uint32_t token
    cdef OffsetNumber newitemoff
    cdef IndexTupleData *tup = itup
    bt_mkscankey(rel, itup, &key)
    if checking_unique:
        if not key.anynullkeys:
            key.scantid = NULL              # look for the first page with the key, whatever the TID
        else:
            checking_unique = False         # nulls are distinct: never a duplicate
    state.itup = tup
    state.itemsz = <uint32_t> maxalign(index_tuple_size(tup))
    state.key = &key
    state.buf = 0
    state.postingoff = 0
    state.bounds_valid = False
    while True:
        search_insert(rel, &state, heap, &stack)
        if not checking_unique:
            break
        token = 0
        xwait = check_unique(rel, &state, heap, check, &is_unique, &token)
        if xwait == InvalidTransactionId:
            key.scantid = &tup.t_tid
            break
        unlock_release_buffer(state.buf)
        state.buf = 0
        # Wait for that transaction or speculative insertion to end, and start anew.
        if token:
            speculative_insertion_wait(xwait, token)
        else:
            xact_lock_table_wait(xwait, rel.name, &tup.t_tid, XLTW_InsertIndex)
    if check == UNIQUE_CHECK_EXISTING:
        unlock_release_buffer(state.buf)
        return is_unique
    newitemoff = find_insert_location(rel, &state, checking_unique, index_unchanged, &stack, heap)
    insert_on_page(rel, heap, &key, state.buf, 0, &stack, stack.depth, tup, state.itemsz, newitemoff,
                   state.postingoff, False)
    return is_unique

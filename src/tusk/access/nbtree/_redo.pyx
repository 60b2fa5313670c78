"""Replaying b-tree records, and masking pages for comparison after replay (nbtxlog.c).

Locks are taken as in normal running where readers on a standby need it: a split keeps both halves and the right sibling
locked until all are right; the child whose split is completed is done first, by itself.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from tusk._types cimport BLCKSZ, BlockNumber, OffsetNumber, maxalign
from tusk.access._tuple cimport INDEX_SIZE_MASK, IndexTupleData, index_tuple_size
from tusk.access.nbtree._dedup cimport BTDedupState, dedup_finish, dedup_save, dedup_start
from tusk.access.nbtree._delete cimport bt_update_posting
from tusk.access.nbtree._insert cimport bt_swap_posting
from tusk.access.nbtree._layout cimport *
from tusk.access.nbtree._page cimport bt_pageinit, p_firstdatakey, p_rightmost
from tusk.access.nbtree._records cimport *
from tusk.storage._buffer cimport buffer_page, mark_buffer_dirty, unlock_release_buffer
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, item_id_is_used, page_add_item, page_get_item, page_get_item_id,
    page_get_max_offset, page_get_temp_copy_special, page_header, page_index_multi_delete, page_index_tuple_delete,
    page_index_tuple_overwrite, page_restore_temp, page_set_lsn,
)
from tusk.wal._record cimport RM_BTREE_ID
from tusk.wal._redo cimport BLK_NEEDS_REDO, DecodedRecord, register_redo

from tusk.errors import Panic, errcode

# Set by replication: called with a conflict horizon before replay removes what standby queries may need.
conflict_hook = None


def set_conflict_hook(function):
    """Name the function that resolves recovery conflicts: (xid, is_catalog_rel, locator, is_full_xid)."""
    global conflict_hook
    conflict_hook = function


cdef int broken(str message) except -1:
    raise Panic(errcode.INDEX_CORRUPTED, message)


cdef int expect(DecodedRecord record, size_t main_size, int nblocks) except -1:
    """Make sure that a record has what its kind has: a record with a good CRC may still come from a foreign writer."""
    cdef int i
    if record.main_data_len < main_size:
        broken(f"b-tree record of kind {record.info():02X} has only {record.main_data_len} bytes of main data, not "
               f"{main_size}")
    for i in range(nblocks):
        if not record.has_block(i):
            broken(f"b-tree record of kind {record.info():02X} has no block {i}")
    return 0


cdef int expect_line(const char *page, int offset) except -1:
    """A record may speak of this line pointer."""
    if offset < 1 or offset > page_get_max_offset(page):
        broken(f"b-tree record speaks of item {offset} of {page_get_max_offset(page)}")
    return 0


cdef uint32_t item_size(const char *data, const char *end) except 0:
    """The room that the index tuple at `data` takes, which must end before `end`."""
    cdef IndexTupleData header
    cdef uint32_t size
    if data == NULL or end - data < <long> sizeof(IndexTupleData):
        broken("b-tree record is too short for its items")
    memcpy(&header, data, sizeof(IndexTupleData))
    size = <uint32_t> maxalign(header.t_info & INDEX_SIZE_MASK)
    if size < sizeof(IndexTupleData) or size > end - data:
        broken(f"invalid index tuple size {size} in b-tree record")
    return size


cdef int finish_page(DecodedRecord record, int buf) except -1:
    page_set_lsn(buffer_page(buf), record.end_lsn)
    return mark_buffer_dirty(buf)


cdef int restore_items(char *page, const char *data, uint32_t size) except -1:
    """Add logged items; they were logged from the end of the page, so the last comes first (_bt_restore_page)."""
    cdef const char *items[2048]
    cdef uint16_t sizes[2048]
    cdef const char *p = data
    cdef const char *end = data + size
    cdef int n = 0
    cdef int i
    while p < end:
        if n == 2048:
            broken("b-tree record has too many items")
        items[n] = p
        sizes[n] = <uint16_t> item_size(p, end)
        p += sizes[n]
        n += 1
    for i in range(n - 1, -1, -1):
        if page_add_item(page, items[i], sizes[i], <OffsetNumber> (n - i), 0) == 0:
            broken("_bt_restore_page: cannot add item to page")
    return 0


cdef int restore_meta(DecodedRecord record, uint8_t block_id) except -1:
    cdef int buf = record.init_buffer_for_redo(block_id)
    cdef char *page = buffer_page(buf)
    cdef uint32_t size = 0
    cdef const xl_btree_metadata *logged = <const xl_btree_metadata *> record.block_data(block_id, &size)
    cdef BTMetaPageData *meta
    if size < sizeof(xl_btree_metadata):
        broken(f"b-tree record has only {size} bytes of metadata")
    bt_pageinit(page)
    meta = bt_meta(page)
    meta.btm_magic = BTREE_MAGIC
    meta.btm_version = logged.version
    meta.btm_root = logged.root
    meta.btm_level = logged.level
    meta.btm_fastroot = logged.fastroot
    meta.btm_fastlevel = logged.fastlevel
    meta.btm_last_cleanup_num_delpages = logged.last_cleanup_num_delpages
    meta.btm_last_cleanup_num_heap_tuples = -1.0
    meta.btm_allequalimage = logged.allequalimage
    bt_opaque(page).btpo_flags = BTP_META
    page_header(page).pd_lower = 24 + sizeof(BTMetaPageData)
    finish_page(record, buf)
    unlock_release_buffer(buf)
    return 0


cdef int clear_incomplete_split(DecodedRecord record, uint8_t block_id) except -1:
    cdef int buf = 0
    if record.read_buffer_for_redo(block_id, &buf) == BLK_NEEDS_REDO:
        bt_opaque(buffer_page(buf)).btpo_flags &= <uint16_t> (~BTP_INCOMPLETE_SPLIT & 0xFFFF)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef IndexTupleData *own_copy(const char *item, uint32_t size) except NULL:
    cdef IndexTupleData *copy = <IndexTupleData *> malloc(size)
    if copy == NULL:
        raise MemoryError
    memcpy(copy, item, size)
    return copy


cdef int redo_insert(DecodedRecord record, bint isleaf, bint ismeta, bint posting) except -1:
    cdef const xl_btree_insert *rec = <const xl_btree_insert *> record.main_data
    cdef int buf = 0
    cdef char *page
    cdef const char *data
    cdef uint32_t size = 0
    cdef uint16_t postingoff = 0
    cdef IndexTupleData *newitem
    cdef IndexTupleData *nposting
    cdef IndexTupleData *oposting
    expect(record, SizeOfBtreeInsert, 1)
    # The flag of the child first: no split may stay incomplete once the entry is there.
    if not isleaf:
        clear_incomplete_split(record, 1)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        data = record.block_data(0, &size)
        if not posting:
            item_size(data, data + maxalign(size))
            if page_add_item(page, data, size, rec.offnum, 0) == 0:
                broken("failed to add new item")
        else:
            if size < 2 + sizeof(IndexTupleData):
                broken("b-tree record is too short for its items")
            expect_line(page, rec.offnum - 1)
            memcpy(&postingoff, data, 2)
            newitem = own_copy(data + 2, size - 2)
            item_size(<const char *> newitem, <const char *> newitem + maxalign(size - 2))
            oposting = <IndexTupleData *> page_get_item(page, page_get_item_id(page, rec.offnum - 1))
            nposting = bt_swap_posting(newitem, oposting, postingoff)
            memcpy(oposting, nposting, maxalign(index_tuple_size(nposting)))
            free(nposting)
            size = <uint32_t> maxalign(index_tuple_size(newitem))
            if page_add_item(page, newitem, size, rec.offnum, 0) == 0:
                broken("failed to add posting split new item")
            free(newitem)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    if ismeta:
        restore_meta(record, 2)
    return 0


cdef int build_left_page(DecodedRecord record, const xl_btree_split *rec, char *page, bint newitemonleft) except -1:
    """The left half from the old page, the new item and the new high key."""
    cdef char leftpage[BLCKSZ]
    cdef uint32_t datalen = 0
    cdef const char *data = record.block_data(0, &datalen)
    cdef const char *end = data + datalen
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef const char *newitem = NULL
    cdef IndexTupleData *mine = NULL
    cdef IndexTupleData *nposting = NULL
    cdef IndexTupleData *oposting
    cdef uint32_t newitemsz = 0
    cdef uint32_t size
    cdef OffsetNumber leftoff, offset, replacepostingoff = 0
    cdef ItemIdData *line
    cdef const void *item
    cdef int i
    if newitemonleft or rec.postingoff != 0:
        newitem = data
        newitemsz = item_size(data, end)
        data += newitemsz
        if rec.postingoff != 0:
            expect_line(page, rec.newitemoff - 1)
            replacepostingoff = rec.newitemoff - 1
            mine = own_copy(newitem, newitemsz)
            newitem = <const char *> mine
            oposting = <IndexTupleData *> page_get_item(page, page_get_item_id(page, replacepostingoff))
            nposting = bt_swap_posting(mine, oposting, rec.postingoff)
    size = item_size(data, end)
    if rec.firstrightoff > page_get_max_offset(page) + 1:
        expect_line(page, rec.firstrightoff)
    page_get_temp_copy_special(page, leftpage)
    leftoff = P_HIKEY
    if page_add_item(leftpage, data, size, P_HIKEY, 0) == 0:
        broken("failed to add high key to left page after split")
    leftoff += 1
    for i in range(p_firstdatakey(opaque), rec.firstrightoff):
        offset = <OffsetNumber> i
        if rec.postingoff != 0 and offset == replacepostingoff:
            if page_add_item(leftpage, nposting, <uint32_t> maxalign(index_tuple_size(nposting)), leftoff, 0) == 0:
                broken("failed to add new posting list item to left page after split")
            leftoff += 1
            continue
        if newitemonleft and offset == rec.newitemoff:
            if page_add_item(leftpage, newitem, newitemsz, leftoff, 0) == 0:
                broken("failed to add new item to left page after split")
            leftoff += 1
        line = page_get_item_id(page, offset)
        item = page_get_item(page, line)
        if page_add_item(leftpage, item, item_id_get_length(line), leftoff, 0) == 0:
            broken("failed to add old item to left page after split")
        leftoff += 1
    if newitemonleft and rec.newitemoff == rec.firstrightoff:
        if page_add_item(leftpage, newitem, newitemsz, leftoff, 0) == 0:
            broken("failed to add new item to left page after split")
    page_restore_temp(leftpage, page)
    free(mine)
    free(nposting)
    return 0


cdef int redo_split(DecodedRecord record, bint newitemonleft) except -1:
    cdef const xl_btree_split *rec = <const xl_btree_split *> record.main_data
    cdef bint isleaf = rec.level == 0
    cdef BlockNumber origblk = record.blocks[0].block
    cdef BlockNumber rightblk = record.blocks[1].block
    cdef BlockNumber sblk = P_NONE
    cdef int buf = 0
    cdef int rbuf
    cdef int sbuf = 0
    cdef char *page
    cdef BTPageOpaqueData *opaque
    cdef const char *data
    cdef uint32_t size = 0
    expect(record, SizeOfBtreeSplit, 2)
    if record.has_block(2):
        sblk = record.blocks[2].block
    if not isleaf:
        clear_incomplete_split(record, 3)
    rbuf = record.init_buffer_for_redo(1)
    page = buffer_page(rbuf)
    data = record.block_data(1, &size)
    bt_pageinit(page)
    opaque = bt_opaque(page)
    opaque.btpo_prev = origblk
    opaque.btpo_next = sblk
    opaque.btpo_level = rec.level
    opaque.btpo_flags = BTP_LEAF if isleaf else 0
    opaque.btpo_cycleid = 0
    restore_items(page, data, size)
    finish_page(record, rbuf)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        build_left_page(record, rec, page, newitemonleft)
        opaque = bt_opaque(page)
        opaque.btpo_flags = BTP_INCOMPLETE_SPLIT
        if isleaf:
            opaque.btpo_flags |= BTP_LEAF
        opaque.btpo_next = rightblk
        opaque.btpo_cycleid = 0
        finish_page(record, buf)
    if sblk != P_NONE and record.read_buffer_for_redo(2, &sbuf) == BLK_NEEDS_REDO:
        bt_opaque(buffer_page(sbuf)).btpo_prev = rightblk
        finish_page(record, sbuf)
    if sbuf:
        unlock_release_buffer(sbuf)
    unlock_release_buffer(rbuf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int redo_dedup(DecodedRecord record) except -1:
    cdef const xl_btree_dedup *rec = <const xl_btree_dedup *> record.main_data
    cdef int buf = 0
    cdef char *page
    cdef char newpage[BLCKSZ]
    cdef BTPageOpaqueData *opaque
    cdef OffsetNumber minoff
    cdef ItemIdData *line
    cdef IndexTupleData *itup
    cdef const BTDedupInterval *intervals
    cdef uint32_t size = 0
    cdef BTDedupState *state
    cdef int i
    expect(record, SizeOfBtreeDedup, 1)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        opaque = bt_opaque(page)
        intervals = <const BTDedupInterval *> record.block_data(0, &size)
        if size < rec.nintervals * sizeof(BTDedupInterval):
            broken("b-tree record is too short for its intervals")
        state = <BTDedupState *> malloc(sizeof(BTDedupState))
        if state == NULL:
            raise MemoryError
        state.deduplicate = True
        state.nmaxitems = 0
        state.maxpostingsize = 2704
        state.nintervals = 0
        state.nitems = 0
        minoff = p_firstdatakey(opaque)
        page_get_temp_copy_special(page, newpage)
        if not p_rightmost(opaque):
            line = page_get_item_id(page, P_HIKEY)
            if page_add_item(newpage, page_get_item(page, line), item_id_get_length(line), P_HIKEY, 0) == 0:
                broken("deduplication failed to add highkey")
        for i in range(minoff, page_get_max_offset(page) + 1):
            itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, <OffsetNumber> i))
            if i == minoff:
                dedup_start(state, itup, <OffsetNumber> i)
            elif state.nintervals < rec.nintervals and state.baseoff == intervals[state.nintervals].baseoff and \
                    state.nitems < intervals[state.nintervals].nitems:
                if not dedup_save(state, itup):
                    broken("deduplication failed to add heap tid to pending posting list")
            else:
                dedup_finish(newpage, state)
                dedup_start(state, itup, <OffsetNumber> i)
        dedup_finish(newpage, state)
        free(state)
        bt_opaque(newpage).btpo_flags &= <uint16_t> (~BTP_HAS_GARBAGE & 0xFFFF)
        page_restore_temp(newpage, page)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int remove_items(char *page, const char *data, uint32_t size, int ndeleted, int nupdated) except -1:
    """What VACUUM and DELETE records say: new posting lists first, then items that go."""
    cdef const OffsetNumber *deleted = <const OffsetNumber *> data
    cdef const OffsetNumber *updated = deleted + ndeleted
    cdef const char *p = <const char *> (updated + nupdated)
    cdef uint16_t ndeletedtids
    cdef const char *end = data + size
    cdef IndexTupleData *itup
    cdef int i
    if end - data < 2 * (ndeleted + nupdated):
        broken("b-tree record is too short for its items")
    for i in range(ndeleted):
        expect_line(page, deleted[i])
    for i in range(nupdated):
        expect_line(page, updated[i])
        if end - p < 2:
            broken("b-tree record is too short for its items")
        memcpy(&ndeletedtids, p, 2)
        if end - p < 2 + 2 * ndeletedtids:
            broken("b-tree record is too short for its items")
        itup = bt_update_posting(<IndexTupleData *> page_get_item(page, page_get_item_id(page, updated[i])),
                                 <const uint16_t *> (p + 2), ndeletedtids)
        if not page_index_tuple_overwrite(page, updated[i], itup, <uint32_t> maxalign(index_tuple_size(itup))):
            broken("failed to update partially dead item")
        free(itup)
        p += 2 + 2 * ndeletedtids
    if ndeleted:
        page_index_multi_delete(page, deleted, ndeleted)
    bt_opaque(page).btpo_flags &= <uint16_t> (~BTP_HAS_GARBAGE & 0xFFFF)
    return 0


cdef int redo_vacuum(DecodedRecord record) except -1:
    cdef const xl_btree_vacuum *rec = <const xl_btree_vacuum *> record.main_data
    cdef int buf = 0
    cdef uint32_t size = 0
    cdef const char *data
    expect(record, SizeOfBtreeVacuum, 1)
    # A cleanup lock, as VACUUM had: a scan on a standby may hold a pin against the recycling of TIDs.
    if record.read_buffer_for_redo_extended(0, 0, True, &buf) == BLK_NEEDS_REDO:
        data = record.block_data(0, &size)
        remove_items(buffer_page(buf), data, size, rec.ndeleted, rec.nupdated)
        bt_opaque(buffer_page(buf)).btpo_cycleid = 0
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int redo_delete(DecodedRecord record) except -1:
    cdef const xl_btree_delete *rec = <const xl_btree_delete *> record.main_data
    cdef int buf = 0
    cdef uint32_t size = 0
    cdef const char *data
    expect(record, SizeOfBtreeDelete, 1)
    if conflict_hook is not None:
        conflict_hook(rec.snapshotConflictHorizon, bool(rec.isCatalogRel), record.blocks[0].locator, False)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        data = record.block_data(0, &size)
        remove_items(buffer_page(buf), data, size, rec.ndeleted, rec.nupdated)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int half_dead_leaf(DecodedRecord record, uint8_t block_id, BlockNumber left, BlockNumber right,
                        BlockNumber topparent) except -1:
    """Write a leaf that is empty but for a high key pointing to the top parent."""
    cdef int buf = record.init_buffer_for_redo(block_id)
    cdef char *page = buffer_page(buf)
    cdef BTPageOpaqueData *opaque
    cdef IndexTupleData trunctuple
    bt_pageinit(page)
    opaque = bt_opaque(page)
    opaque.btpo_prev = left
    opaque.btpo_next = right
    opaque.btpo_level = 0
    opaque.btpo_flags = BTP_HALF_DEAD | BTP_LEAF
    opaque.btpo_cycleid = 0
    memset(&trunctuple, 0, sizeof(trunctuple))
    trunctuple.t_info = sizeof(IndexTupleData)
    bt_set_down_link(&trunctuple, topparent)
    bt_set_natts(&trunctuple, 0, False)
    if page_add_item(page, &trunctuple, sizeof(trunctuple), P_HIKEY, 0) == 0:
        broken("could not add dummy high key to half-dead page")
    finish_page(record, buf)
    unlock_release_buffer(buf)
    return 0


cdef int redo_mark_half_dead(DecodedRecord record) except -1:
    cdef const xl_btree_mark_page_halfdead *rec = <const xl_btree_mark_page_halfdead *> record.main_data
    cdef int buf = 0
    cdef char *page
    cdef IndexTupleData *itup
    cdef BlockNumber rightsib
    expect(record, SizeOfBtreeMarkPageHalfDead, 2)
    if record.read_buffer_for_redo(1, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        expect_line(page, rec.poffset + 1)
        # The parent's entry for the page gets the right sibling's link, and that one's entry goes.
        rightsib = bt_down_link(<IndexTupleData *> page_get_item(page, page_get_item_id(page, rec.poffset + 1)))
        itup = <IndexTupleData *> page_get_item(page, page_get_item_id(page, rec.poffset))
        bt_set_down_link(itup, rightsib)
        page_index_tuple_delete(page, rec.poffset + 1)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return half_dead_leaf(record, 0, rec.leftblk, rec.rightblk, rec.topparent)


cdef int redo_unlink(DecodedRecord record, bint ismeta) except -1:
    cdef const xl_btree_unlink_page *rec = <const xl_btree_unlink_page *> record.main_data
    cdef bint isleaf = rec.level == 0
    cdef int leftbuf = 0
    cdef int rightbuf = 0
    cdef int buf
    cdef char *page
    cdef BTPageOpaqueData *opaque
    expect(record, SizeOfBtreeUnlinkPage, 1)
    if rec.leftsib != P_NONE:
        if record.read_buffer_for_redo(1, &leftbuf) == BLK_NEEDS_REDO:
            bt_opaque(buffer_page(leftbuf)).btpo_next = rec.rightsib
            finish_page(record, leftbuf)
    buf = record.init_buffer_for_redo(0)
    page = buffer_page(buf)
    bt_pageinit(page)
    opaque = bt_opaque(page)
    opaque.btpo_prev = rec.leftsib
    opaque.btpo_next = rec.rightsib
    opaque.btpo_level = rec.level
    opaque.btpo_flags = <uint16_t> (BTP_DELETED | BTP_HAS_FULLXID | (BTP_LEAF if isleaf else 0))
    page_header(page).pd_lower = 24 + 8
    page_header(page).pd_upper = page_header(page).pd_special
    (<uint64_t *> (page + 24))[0] = rec.safexid
    opaque.btpo_cycleid = 0
    finish_page(record, buf)
    if record.read_buffer_for_redo(2, &rightbuf) == BLK_NEEDS_REDO:
        bt_opaque(buffer_page(rightbuf)).btpo_prev = rec.leftsib
        finish_page(record, rightbuf)
    if leftbuf:
        unlock_release_buffer(leftbuf)
    if rightbuf:
        unlock_release_buffer(rightbuf)
    unlock_release_buffer(buf)
    if record.has_block(3):
        half_dead_leaf(record, 3, rec.leafleftsib, rec.leafrightsib, rec.leaftopparent)
    if ismeta:
        restore_meta(record, 4)
    return 0


cdef int redo_newroot(DecodedRecord record) except -1:
    cdef const xl_btree_newroot *rec = <const xl_btree_newroot *> record.main_data
    cdef int buf
    cdef char *page
    cdef BTPageOpaqueData *opaque
    cdef const char *data
    cdef uint32_t size = 0
    expect(record, SizeOfBtreeNewroot, 1)
    buf = record.init_buffer_for_redo(0)
    page = buffer_page(buf)
    bt_pageinit(page)
    opaque = bt_opaque(page)
    opaque.btpo_flags = BTP_ROOT
    opaque.btpo_prev = P_NONE
    opaque.btpo_next = P_NONE
    opaque.btpo_level = rec.level
    opaque.btpo_cycleid = 0
    if rec.level == 0:
        opaque.btpo_flags |= BTP_LEAF
    else:
        data = record.block_data(0, &size)
        restore_items(page, data, size)
        clear_incomplete_split(record, 1)
    finish_page(record, buf)
    unlock_release_buffer(buf)
    return restore_meta(record, 2)


cdef int redo_reuse(DecodedRecord record) except -1:
    cdef const xl_btree_reuse_page *rec = <const xl_btree_reuse_page *> record.main_data
    expect(record, SizeOfBtreeReusePage, 0)
    if conflict_hook is not None:
        conflict_hook(rec.snapshotConflictHorizon, bool(rec.isCatalogRel), rec.locator, True)
    return 0


cdef int btree_redo(DecodedRecord record) except -1:
    cdef uint8_t info = record.info()
    if info == XLOG_BTREE_INSERT_LEAF:
        return redo_insert(record, True, False, False)
    if info == XLOG_BTREE_INSERT_UPPER:
        return redo_insert(record, False, False, False)
    if info == XLOG_BTREE_INSERT_META:
        return redo_insert(record, False, True, False)
    if info == XLOG_BTREE_SPLIT_L:
        return redo_split(record, True)
    if info == XLOG_BTREE_SPLIT_R:
        return redo_split(record, False)
    if info == XLOG_BTREE_INSERT_POST:
        return redo_insert(record, True, False, True)
    if info == XLOG_BTREE_DEDUP:
        return redo_dedup(record)
    if info == XLOG_BTREE_VACUUM:
        return redo_vacuum(record)
    if info == XLOG_BTREE_DELETE:
        return redo_delete(record)
    if info == XLOG_BTREE_MARK_PAGE_HALFDEAD:
        return redo_mark_half_dead(record)
    if info == XLOG_BTREE_UNLINK_PAGE:
        return redo_unlink(record, False)
    if info == XLOG_BTREE_UNLINK_PAGE_META:
        return redo_unlink(record, True)
    if info == XLOG_BTREE_NEWROOT:
        return redo_newroot(record)
    if info == XLOG_BTREE_REUSE_PAGE:
        return redo_reuse(record)
    if info == XLOG_BTREE_META_CLEANUP:
        return restore_meta(record, 0)
    return broken(f"btree_redo: unknown op code {info}")


cdef void btree_mask(char *page, BlockNumber block) noexcept:
    """Blank what replay may leave different: LSN, checksum, hints, dead marks, vacuum's cycle ids."""
    cdef BTPageOpaqueData *opaque = bt_opaque(page)
    cdef ItemIdData *line
    cdef OffsetNumber offset
    page_set_lsn(page, 0)
    page_header(page).pd_checksum = 0
    page_header(page).pd_flags = 0
    page_header(page).pd_prune_xid = 0
    if page_header(page).pd_lower <= page_header(page).pd_upper <= page_header(page).pd_special and \
            page_header(page).pd_lower >= 24:
        memset(page + page_header(page).pd_lower, 0, page_header(page).pd_upper - page_header(page).pd_lower)
    if opaque.btpo_flags & BTP_LEAF:
        for offset in range(1, page_get_max_offset(page) + 1):
            line = page_get_item_id(page, offset)
            if item_id_is_used(line):
                line[0] &= ~(<uint32_t> 3 << 15)
    opaque.btpo_flags &= <uint16_t> (~(BTP_HAS_GARBAGE | BTP_SPLIT_END) & 0xFFFF)
    opaque.btpo_cycleid = 0


register_redo(RM_BTREE_ID, btree_redo, btree_mask)


def masked_page(page, block):
    """A page as it is compared after replay."""
    cdef bytearray copy = bytearray(page)
    btree_mask(<char *> copy, block)
    return bytes(copy)

"""Replaying heap WAL records (rmgr Heap and Heap2), and masking pages for comparison after replay.

Runs in the startup process. Visibility map bits are cleared before the heap page is looked at, and whether or not it
needs redo: a map page has no LSN interlock with it (README rule 6).
"""

from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t
from libc.string cimport memcpy, memset
from tusk._types cimport (
    BLCKSZ, BlockNumber, FirstCommandId, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, Lsn,
    OffsetNumber, RelFileLocator, TransactionId, maxalign, tid_set,
)
from tusk.access._tuple cimport (
    HEAP_COMBOCID, HEAP_HOT_UPDATED, HEAP_KEYS_UPDATED, HEAP_MOVED, HEAP_XACT_MASK, HEAP_XMAX_BITS,
    HEAP_XMAX_COMMITTED, HEAP_XMAX_EXCL_LOCK, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI, HEAP_XMAX_KEYSHR_LOCK,
    HEAP_XMAX_LOCK_ONLY, MovedPartitionsOffsetNumber, MaxHeapTupleSize, SizeofHeapTupleHeader, HeapTupleHeaderData,
    tuple_is_speculative, xmax_is_locked_only, xmin_frozen,
)
from tusk.access.heap._freeze cimport execute_freeze
from tusk.access.heap._prune cimport heap_page_prune_execute
from tusk.access.heap._records cimport *
from tusk.errors import Panic, errcode, feature_not_supported
from tusk.storage._buffer cimport (
    BUFFER_LOCK_UNLOCK, RBM_NORMAL, RBM_ZERO_ON_ERROR, buffer_page, lock_buffer, mark_buffer_dirty, release_buffer,
    unlock_release_buffer,
)
from tusk.storage._freespace cimport xlog_record_page_with_free_space
from tusk.storage._page cimport (
    PAI_IS_HEAP, PAI_OVERWRITE, PD_ALL_VISIBLE, PD_HAS_FREE_LINES, PD_PAGE_FULL, ItemIdData, PageHeaderData,
    item_id_get_length, item_id_get_offset, item_id_has_storage, item_id_is_normal, page_add_item, page_clear_flag,
    page_get_heap_free_space, page_get_item, page_get_item_id, page_get_max_offset, page_header, page_init,
    page_is_new, page_set_flag, page_set_lsn, page_set_prunable,
)
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_VALID_BITS, visibilitymap_clear, visibilitymap_pin, visibilitymap_set,
)
from tusk.wal._record cimport RM_HEAP2_ID, RM_HEAP_ID
from tusk.wal._redo cimport BLK_NEEDS_REDO, BLK_NOTFOUND, DecodedRecord, register_redo
from tusk.wal._xlog cimport xlog_hint_bit_is_needed

cdef enum:
    LOW_FREE_SPACE = BLCKSZ // 5        # pages fuller than this are told to the free space map

# Set by `catalog`: the invalidation messages of an in-place update, (address, count, relcache_init_file, db, ts).
inplace_invalidation = None


def set_inplace_invalidation(function):
    """Name the function that takes an in-place update's invalidation messages: (bytes, init_file, db, ts)."""
    global inplace_invalidation
    inplace_invalidation = function


cdef int broken(str message) except -1:
    raise Panic(errcode.DATA_CORRUPTED, message)


cdef int expect(DecodedRecord record, size_t main_size, int nblocks) except -1:
    """Make sure that a record has what its kind has: a record with a good CRC may still come from a foreign writer."""
    cdef int i
    if record.main_data_len < main_size:
        broken(f"heap record of kind {record.info():02X} has only {record.main_data_len} bytes of main data, not "
               f"{main_size}")
    for i in range(nblocks):
        if not record.has_block(i):
            broken(f"heap record of kind {record.info():02X} has no block {i}")
    return 0


cdef HeapTupleHeaderData *tuple_at(char *page, OffsetNumber offset) except NULL:
    cdef ItemIdData *lp
    if offset < 1 or offset > page_get_max_offset(page):
        broken("invalid lp")
    lp = page_get_item_id(page, offset)
    if not item_id_is_normal(lp):
        broken("invalid lp")
    return <HeapTupleHeaderData *> page_get_item(page, lp)


cdef void set_infobits(HeapTupleHeaderData *tup, uint8_t infobits) noexcept:
    """xmax's bits from a record's, all others of them off."""
    tup.t_infomask &= <uint16_t> (~(HEAP_XMAX_BITS | HEAP_MOVED) & 0xFFFF)
    tup.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
    if infobits & XLHL_XMAX_IS_MULTI:
        tup.t_infomask |= HEAP_XMAX_IS_MULTI
    if infobits & XLHL_XMAX_LOCK_ONLY:
        tup.t_infomask |= HEAP_XMAX_LOCK_ONLY
    if infobits & XLHL_XMAX_EXCL_LOCK:
        tup.t_infomask |= HEAP_XMAX_EXCL_LOCK
    if infobits & XLHL_XMAX_KEYSHR_LOCK:
        tup.t_infomask |= HEAP_XMAX_KEYSHR_LOCK
    if infobits & XLHL_KEYS_UPDATED:
        tup.t_infomask2 |= HEAP_KEYS_UPDATED


cdef inline void set_cid(HeapTupleHeaderData *tup) noexcept:
    tup.t_cid = FirstCommandId
    tup.t_infomask &= <uint16_t> (~HEAP_COMBOCID & 0xFFFF)


cdef inline void clear_hot_updated(HeapTupleHeaderData *tup) noexcept:
    tup.t_infomask2 &= <uint16_t> (~HEAP_HOT_UPDATED & 0xFFFF)


cdef int clear_map(const RelFileLocator *locator, BlockNumber block, uint8_t bits) except -1:
    cdef int vm_buf = 0
    visibilitymap_pin(locator, c'p', block, &vm_buf)
    visibilitymap_clear(block, vm_buf, bits)
    release_buffer(vm_buf)
    return 0


cdef int finish_page(DecodedRecord record, int buf) except -1:
    page_set_lsn(buffer_page(buf), record.end_lsn)
    return mark_buffer_dirty(buf)


cdef int new_page(DecodedRecord record, uint8_t block_id) except 0:
    cdef int buf = record.init_buffer_for_redo(block_id)
    page_init(buffer_page(buf), BLCKSZ, 0)
    return buf


cdef int redo_insert(DecodedRecord record) except -1:
    cdef const xl_heap_insert *rec = <const xl_heap_insert *> record.main_data
    cdef RelFileLocator *locator = &record.blocks[0].locator
    cdef BlockNumber block = record.blocks[0].block
    cdef int buf = 0
    cdef int action = BLK_NEEDS_REDO
    cdef char *page
    cdef const char *data
    cdef uint32_t size = 0
    cdef uint32_t free_space = 0
    cdef char room[BLCKSZ]
    cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> room
    cdef const xl_heap_header *header
    expect(record, sizeof(xl_heap_insert), 1)
    if rec.flags & XLH_INSERT_ALL_VISIBLE_CLEARED:
        clear_map(locator, block, VISIBILITYMAP_VALID_BITS)
    if record.info() & XLOG_HEAP_INIT_PAGE:
        buf = new_page(record, 0)
    else:
        action = record.read_buffer_for_redo(0, &buf)
    if action == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        if page_get_max_offset(page) + 1 < rec.offnum:
            broken("invalid max offset number")
        data = record.block_data(0, &size)
        if size < sizeof(xl_heap_header) or \
                size - sizeof(xl_heap_header) > MaxHeapTupleSize - SizeofHeapTupleHeader:
            broken(f"invalid tuple length {size} in insert record")
        header = <const xl_heap_header *> data
        size -= sizeof(xl_heap_header)
        memset(room, 0, SizeofHeapTupleHeader)
        memcpy(room + SizeofHeapTupleHeader, data + sizeof(xl_heap_header), size)
        tup.t_infomask2 = header.t_infomask2
        tup.t_infomask = header.t_infomask
        tup.t_hoff = header.t_hoff
        tup.t_xmin = record.header.xl_xid
        tup.t_cid = FirstCommandId
        tid_set(&tup.t_ctid, block, rec.offnum)
        if page_add_item(page, room, size + SizeofHeapTupleHeader, rec.offnum, PAI_OVERWRITE | PAI_IS_HEAP) == 0:
            broken("failed to add tuple")
        free_space = page_get_heap_free_space(page)
        if rec.flags & XLH_INSERT_ALL_VISIBLE_CLEARED:
            page_clear_flag(page, PD_ALL_VISIBLE)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    if action == BLK_NEEDS_REDO and free_space < LOW_FREE_SPACE:
        xlog_record_page_with_free_space(locator, block, free_space)
    return 0


cdef int redo_multi_insert(DecodedRecord record) except -1:
    cdef const xl_heap_multi_insert *rec = <const xl_heap_multi_insert *> record.main_data
    cdef const OffsetNumber *offsets = <const OffsetNumber *> (record.main_data + sizeof(xl_heap_multi_insert))
    cdef RelFileLocator *locator = &record.blocks[0].locator
    cdef BlockNumber block = record.blocks[0].block
    cdef bint init = record.info() & XLOG_HEAP_INIT_PAGE
    cdef int buf = 0
    cdef int action = BLK_NEEDS_REDO
    cdef int i
    cdef char *page
    cdef const char *data
    cdef const char *p
    cdef const xl_multi_insert_tuple *header
    cdef uint32_t size = 0
    cdef uint32_t free_space = 0
    cdef OffsetNumber offset
    cdef char room[BLCKSZ]
    cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> room
    expect(record, sizeof(xl_heap_multi_insert), 1)
    if not init:
        expect(record, sizeof(xl_heap_multi_insert) + rec.ntuples * sizeof(OffsetNumber), 1)
    if rec.flags & XLH_INSERT_ALL_VISIBLE_CLEARED:
        clear_map(locator, block, VISIBILITYMAP_VALID_BITS)
    if init:
        buf = new_page(record, 0)
    else:
        action = record.read_buffer_for_redo(0, &buf)
    if action == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        data = record.block_data(0, &size)
        p = data
        for i in range(rec.ntuples):
            offset = <OffsetNumber> (i + 1) if init else offsets[i]
            if page_get_max_offset(page) + 1 < offset:
                broken("invalid max offset number")
            if (p - data) & 1:
                p += 1
            header = <const xl_multi_insert_tuple *> p
            p += sizeof(xl_multi_insert_tuple)
            if p > data + size or p + header.datalen > data + size or \
                    header.datalen > MaxHeapTupleSize - SizeofHeapTupleHeader:
                broken("invalid tuple length in multi-insert record")
            memset(room, 0, SizeofHeapTupleHeader)
            memcpy(room + SizeofHeapTupleHeader, p, header.datalen)
            p += header.datalen
            tup.t_infomask2 = header.t_infomask2
            tup.t_infomask = header.t_infomask
            tup.t_hoff = header.t_hoff
            tup.t_xmin = record.header.xl_xid
            tup.t_cid = FirstCommandId
            tid_set(&tup.t_ctid, block, offset)
            if page_add_item(page, room, header.datalen + SizeofHeapTupleHeader, offset,
                             PAI_OVERWRITE | PAI_IS_HEAP) == 0:
                broken("failed to add tuple")
        if p != data + size:
            broken("total tuple length mismatch")
        free_space = page_get_heap_free_space(page)
        if rec.flags & XLH_INSERT_ALL_VISIBLE_CLEARED:
            page_clear_flag(page, PD_ALL_VISIBLE)
        if rec.flags & XLH_INSERT_ALL_FROZEN_SET:
            page_set_flag(page, PD_ALL_VISIBLE)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    if action == BLK_NEEDS_REDO and free_space < LOW_FREE_SPACE:
        xlog_record_page_with_free_space(locator, block, free_space)
    return 0


cdef int redo_delete(DecodedRecord record) except -1:
    cdef const xl_heap_delete *rec = <const xl_heap_delete *> record.main_data
    cdef BlockNumber block = record.blocks[0].block
    cdef int buf = 0
    cdef char *page
    cdef HeapTupleHeaderData *tup
    expect(record, sizeof(xl_heap_delete), 1)
    if rec.flags & XLH_DELETE_ALL_VISIBLE_CLEARED:
        clear_map(&record.blocks[0].locator, block, VISIBILITYMAP_VALID_BITS)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        tup = tuple_at(page, rec.offnum)
        set_infobits(tup, rec.infobits_set)
        clear_hot_updated(tup)
        if rec.flags & XLH_DELETE_IS_SUPER:
            tup.t_xmin = InvalidTransactionId
        else:
            tup.t_xmax = rec.xmax
        set_cid(tup)
        page_set_prunable(page, record.header.xl_xid)
        if rec.flags & XLH_DELETE_ALL_VISIBLE_CLEARED:
            page_clear_flag(page, PD_ALL_VISIBLE)
        if rec.flags & XLH_DELETE_IS_PARTITION_MOVE:
            tid_set(&tup.t_ctid, InvalidBlockNumber, MovedPartitionsOffsetNumber)
        else:
            tid_set(&tup.t_ctid, block, rec.offnum)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int build_new_version(
    DecodedRecord record, const xl_heap_update *rec, const HeapTupleHeaderData *old, uint32_t old_len, char *room,
    uint32_t *new_len,
) except -1:
    """Put the new version together from the record and the ends of the old one."""
    cdef uint32_t size = 0
    cdef const char *p = record.block_data(0, &size)
    cdef const char *end = p + size
    cdef uint16_t prefix = 0
    cdef uint16_t suffix = 0
    cdef const xl_heap_header *header
    cdef HeapTupleHeaderData *tup = <HeapTupleHeaderData *> room
    cdef char *q = room + SizeofHeapTupleHeader
    cdef uint32_t n
    if size < sizeof(xl_heap_header) + (2 if rec.flags & XLH_UPDATE_PREFIX_FROM_OLD else 0) + \
            (2 if rec.flags & XLH_UPDATE_SUFFIX_FROM_OLD else 0):
        broken(f"invalid tuple length {size} in update record")
    if rec.flags & XLH_UPDATE_PREFIX_FROM_OLD:
        memcpy(&prefix, p, 2)
        p += 2
    if rec.flags & XLH_UPDATE_SUFFIX_FROM_OLD:
        memcpy(&suffix, p, 2)
        p += 2
    header = <const xl_heap_header *> p
    p += sizeof(xl_heap_header)
    memset(room, 0, SizeofHeapTupleHeader)
    if (prefix or suffix) and old == NULL:
        broken("update record refers to an old tuple that is not at hand")
    if (prefix or suffix) and (old.t_hoff > old_len or prefix > old_len - old.t_hoff or suffix > old_len - old.t_hoff):
        broken("update record refers to bytes that the old tuple does not have")
    if p > end or header.t_hoff < SizeofHeapTupleHeader or \
            <uint32_t> (end - p) + prefix + suffix > MaxHeapTupleSize - SizeofHeapTupleHeader or \
            (prefix and header.t_hoff - SizeofHeapTupleHeader > end - p):
        broken(f"invalid tuple length {size} in update record")
    if prefix:
        n = header.t_hoff - SizeofHeapTupleHeader
        memcpy(q, p, n)
        p += n
        q += n
        memcpy(q, <const char *> old + old.t_hoff, prefix)
        q += prefix
    n = <uint32_t> (end - p)
    memcpy(q, p, n)
    q += n
    if suffix:
        memcpy(q, <const char *> old + old_len - suffix, suffix)
        q += suffix
    new_len[0] = <uint32_t> (q - room)
    tup.t_infomask2 = header.t_infomask2
    tup.t_infomask = header.t_infomask
    tup.t_hoff = header.t_hoff
    tup.t_xmin = record.header.xl_xid
    tup.t_cid = FirstCommandId
    tup.t_xmax = rec.new_xmax
    return 0


cdef int redo_update(DecodedRecord record, bint hot) except -1:
    cdef const xl_heap_update *rec = <const xl_heap_update *> record.main_data
    cdef RelFileLocator *locator = &record.blocks[0].locator
    cdef BlockNumber new_block = record.blocks[0].block
    cdef BlockNumber old_block = new_block
    cdef bint same
    cdef int old_buf = 0
    cdef int new_buf = 0
    cdef int old_action
    cdef int new_action = BLK_NEEDS_REDO
    cdef HeapTupleHeaderData *old = NULL
    cdef uint32_t old_len = 0
    cdef uint32_t new_len = 0
    cdef uint32_t free_space = 0
    cdef ItemPointerData new_tid
    cdef char *page
    cdef char room[BLCKSZ]
    expect(record, sizeof(xl_heap_update), 1)
    if record.has_block(1):
        old_block = record.blocks[1].block
    same = old_block == new_block
    tid_set(&new_tid, new_block, rec.new_offnum)
    if rec.flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED:
        clear_map(locator, old_block, VISIBILITYMAP_VALID_BITS)
    if rec.flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED:
        clear_map(locator, new_block, VISIBILITYMAP_VALID_BITS)
    old_action = record.read_buffer_for_redo(0 if same else 1, &old_buf)
    if old_action == BLK_NEEDS_REDO:
        page = buffer_page(old_buf)
        old = tuple_at(page, rec.old_offnum)
        old_len = item_id_get_length(page_get_item_id(page, rec.old_offnum))
        set_infobits(old, rec.old_infobits_set)
        if hot:
            old.t_infomask2 |= HEAP_HOT_UPDATED
        else:
            clear_hot_updated(old)
        old.t_xmax = rec.old_xmax
        set_cid(old)
        old.t_ctid = new_tid
        page_set_prunable(page, record.header.xl_xid)
        if rec.flags & XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED:
            page_clear_flag(page, PD_ALL_VISIBLE)
        finish_page(record, old_buf)
    if same:
        new_buf = old_buf
        new_action = old_action
    elif record.info() & XLOG_HEAP_INIT_PAGE:
        new_buf = new_page(record, 0)
    else:
        new_action = record.read_buffer_for_redo(0, &new_buf)
    if new_action == BLK_NEEDS_REDO:
        page = buffer_page(new_buf)
        if page_get_max_offset(page) + 1 < rec.new_offnum:
            broken("invalid max offset number")
        build_new_version(record, rec, old, old_len, room, &new_len)
        (<HeapTupleHeaderData *> room).t_ctid = new_tid
        if page_add_item(page, room, new_len, rec.new_offnum, PAI_OVERWRITE | PAI_IS_HEAP) == 0:
            broken("failed to add tuple")
        if rec.flags & XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED:
            page_clear_flag(page, PD_ALL_VISIBLE)
        free_space = page_get_heap_free_space(page)
        finish_page(record, new_buf)
    if new_buf and not same:
        unlock_release_buffer(new_buf)
    if old_buf:
        unlock_release_buffer(old_buf)
    # HOT updates do not change where there is room for others, so the map is left alone.
    if new_action == BLK_NEEDS_REDO and not hot and free_space < LOW_FREE_SPACE:
        xlog_record_page_with_free_space(locator, new_block, free_space)
    return 0


cdef int redo_confirm(DecodedRecord record) except -1:
    cdef const xl_heap_confirm *rec = <const xl_heap_confirm *> record.main_data
    cdef int buf = 0
    expect(record, sizeof(xl_heap_confirm), 1)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        tid_set(&tuple_at(buffer_page(buf), rec.offnum).t_ctid, record.blocks[0].block, rec.offnum)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int redo_lock(DecodedRecord record, bint updated) except -1:
    """XLOG_HEAP_LOCK, and with updated XLOG_HEAP2_LOCK_UPDATED."""
    cdef const xl_heap_lock *rec = <const xl_heap_lock *> record.main_data
    cdef int buf = 0
    cdef HeapTupleHeaderData *tup
    expect(record, sizeof(xl_heap_lock), 1)
    if rec.flags & XLH_LOCK_ALL_FROZEN_CLEARED:
        clear_map(&record.blocks[0].locator, record.blocks[0].block, VISIBILITYMAP_ALL_FROZEN)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        tup = tuple_at(buffer_page(buf), rec.offnum)
        set_infobits(tup, rec.infobits_set)
        if not updated and xmax_is_locked_only(tup.t_infomask):
            clear_hot_updated(tup)
            tid_set(&tup.t_ctid, record.blocks[0].block, rec.offnum)
        tup.t_xmax = rec.xmax
        if not updated:
            set_cid(tup)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    return 0


cdef int redo_inplace(DecodedRecord record) except -1:
    cdef const xl_heap_inplace *rec = <const xl_heap_inplace *> record.main_data
    cdef const char *data
    cdef uint32_t size = 0
    cdef int buf = 0
    cdef char *page
    cdef HeapTupleHeaderData *tup
    expect(record, sizeof(xl_heap_inplace), 1)
    if rec.nmsgs < 0:
        broken("invalid number of messages in inplace record")
    expect(record, sizeof(xl_heap_inplace) + 16 * <size_t> rec.nmsgs, 1)
    if record.read_buffer_for_redo(0, &buf) == BLK_NEEDS_REDO:
        page = buffer_page(buf)
        data = record.block_data(0, &size)
        tup = tuple_at(page, rec.offnum)
        if item_id_get_length(page_get_item_id(page, rec.offnum)) - tup.t_hoff != size:
            broken("wrong tuple length")
        memcpy(<char *> tup + tup.t_hoff, data, size)
        finish_page(record, buf)
    if buf:
        unlock_release_buffer(buf)
    if rec.nmsgs and inplace_invalidation is not None:
        inplace_invalidation((record.main_data + sizeof(xl_heap_inplace))[:16 * rec.nmsgs],
                             bool(rec.relcacheInitFileInval), rec.dbId, rec.tsId)
    return 0


cdef int array_length(const char *p, const char *end, int header, int item) except -1:
    """The number of items of an array in a prune record, whose header begins with it."""
    cdef uint16_t n = 0
    if end - p < header:
        broken("prune record is too short")
    memcpy(&n, p, 2)
    if end - p < header + n * item:
        broken("prune record is too short for its items")
    return n


cdef int check_offsets(const char *page, const OffsetNumber *offsets, int n) except -1:
    cdef int i
    for i in range(n):
        if offsets[i] < 1 or offsets[i] > page_get_max_offset(page):
            broken("invalid lp")
    return 0


cdef int apply_prune(DecodedRecord record, const xl_heap_prune *rec, int buf) except -1:
    """Take the record's block data apart (heap_xlog_deserialize_prune_and_freeze) and do what it says."""
    cdef char *page = buffer_page(buf)
    cdef uint32_t size = 0
    cdef const char *p = record.block_data(0, &size)
    cdef const xlhp_freeze_plan *plans = NULL
    cdef const OffsetNumber *redirected = NULL
    cdef const OffsetNumber *nowdead = NULL
    cdef const OffsetNumber *nowunused = NULL
    cdef const OffsetNumber *offsets
    cdef uint16_t nplans = 0
    cdef uint16_t nredirected = 0
    cdef uint16_t ndead = 0
    cdef uint16_t nunused = 0
    cdef const char *end = p + size
    cdef int i, j
    cdef int frozen = 0
    if rec.flags & XLHP_HAS_FREEZE_PLANS:
        nplans = array_length(p, end, 4, sizeof(xlhp_freeze_plan))
        plans = <const xlhp_freeze_plan *> (p + 4)
        p += 4 + nplans * sizeof(xlhp_freeze_plan)
    if rec.flags & XLHP_HAS_REDIRECTIONS:
        nredirected = array_length(p, end, 2, 4)
        redirected = <const OffsetNumber *> (p + 2)
        p += 2 + 4 * nredirected
    if rec.flags & XLHP_HAS_DEAD_ITEMS:
        ndead = array_length(p, end, 2, 2)
        nowdead = <const OffsetNumber *> (p + 2)
        p += 2 + 2 * ndead
    if rec.flags & XLHP_HAS_NOW_UNUSED_ITEMS:
        nunused = array_length(p, end, 2, 2)
        nowunused = <const OffsetNumber *> (p + 2)
        p += 2 + 2 * nunused
    offsets = <const OffsetNumber *> p
    for i in range(nplans):
        frozen += plans[i].ntuples
    if end - p < 2 * frozen:
        broken("prune record is too short for its freeze plans")
    check_offsets(page, redirected, 2 * nredirected)
    check_offsets(page, nowdead, ndead)
    check_offsets(page, nowunused, nunused)
    if nredirected or ndead or nunused:
        heap_page_prune_execute(buf, not rec.flags & XLHP_CLEANUP_LOCK, redirected, nredirected, nowdead, ndead,
                                nowunused, nunused)
    for i in range(nplans):
        for j in range(plans[i].ntuples):
            execute_freeze(tuple_at(page, offsets[0]), plans[i].xmax, plans[i].t_infomask, plans[i].t_infomask2)
            offsets += 1
    return 0


cdef int redo_prune(DecodedRecord record) except -1:
    cdef const xl_heap_prune *rec = <const xl_heap_prune *> record.main_data
    cdef int buf = 0
    cdef uint32_t free_space
    expect(record, sizeof(xl_heap_prune), 1)
    if record.read_buffer_for_redo_extended(0, RBM_NORMAL, rec.flags & XLHP_CLEANUP_LOCK, &buf) == BLK_NEEDS_REDO:
        apply_prune(record, rec, buf)
        finish_page(record, buf)
    if buf == 0:
        return 0
    free_space = page_get_heap_free_space(buffer_page(buf))
    unlock_release_buffer(buf)
    if rec.flags & (XLHP_HAS_REDIRECTIONS | XLHP_HAS_DEAD_ITEMS | XLHP_HAS_NOW_UNUSED_ITEMS):
        xlog_record_page_with_free_space(&record.blocks[0].locator, record.blocks[0].block, free_space)
    return 0


cdef int redo_visible(DecodedRecord record) except -1:
    """Block 0 is the map's page, block 1 the heap's, which is only marked."""
    cdef const xl_heap_visible *rec = <const xl_heap_visible *> record.main_data
    cdef RelFileLocator *locator = &record.blocks[1].locator
    cdef BlockNumber block = record.blocks[1].block
    cdef int buf = 0
    cdef int vm_buf = 0
    cdef uint32_t free_space
    expect(record, sizeof(xl_heap_visible), 2)
    if record.read_buffer_for_redo(1, &buf) == BLK_NEEDS_REDO:
        page_set_flag(buffer_page(buf), PD_ALL_VISIBLE)
        if xlog_hint_bit_is_needed():
            page_set_lsn(buffer_page(buf), record.end_lsn)
        mark_buffer_dirty(buf)
    if buf:
        free_space = page_get_heap_free_space(buffer_page(buf))
        unlock_release_buffer(buf)
        if rec.flags & VISIBILITYMAP_VALID_BITS:
            xlog_record_page_with_free_space(locator, block, free_space)
    if record.read_buffer_for_redo_extended(0, RBM_ZERO_ON_ERROR, False, &vm_buf) == BLK_NEEDS_REDO:
        if page_is_new(buffer_page(vm_buf)):
            page_init(buffer_page(vm_buf), BLCKSZ, 0)
        lock_buffer(vm_buf, BUFFER_LOCK_UNLOCK)
        visibilitymap_set(locator, c'p', block, 0, record.end_lsn, vm_buf, rec.snapshotConflictHorizon,
                          rec.flags & VISIBILITYMAP_VALID_BITS)
        release_buffer(vm_buf)
    elif vm_buf:
        unlock_release_buffer(vm_buf)
    return 0


cdef int heap_redo(DecodedRecord record) except -1:
    cdef uint8_t op = record.info() & XLOG_HEAP_OPMASK
    if op == XLOG_HEAP_INSERT:
        return redo_insert(record)
    if op == XLOG_HEAP_DELETE:
        return redo_delete(record)
    if op == XLOG_HEAP_UPDATE:
        return redo_update(record, False)
    if op == XLOG_HEAP_HOT_UPDATE:
        return redo_update(record, True)
    if op == XLOG_HEAP_TRUNCATE:
        return 0                # for logical decoding only: the files are dealt with by their own records
    if op == XLOG_HEAP_CONFIRM:
        return redo_confirm(record)
    if op == XLOG_HEAP_LOCK:
        return redo_lock(record, False)
    return redo_inplace(record)


cdef int heap2_redo(DecodedRecord record) except -1:
    cdef uint8_t op = record.info() & XLOG_HEAP_OPMASK
    if op == XLOG_HEAP2_MULTI_INSERT:
        return redo_multi_insert(record)
    if op in (XLOG_HEAP2_PRUNE_ON_ACCESS, XLOG_HEAP2_PRUNE_VACUUM_SCAN, XLOG_HEAP2_PRUNE_VACUUM_CLEANUP):
        return redo_prune(record)
    if op == XLOG_HEAP2_VISIBLE:
        return redo_visible(record)
    if op == XLOG_HEAP2_LOCK_UPDATED:
        return redo_lock(record, True)
    if op == XLOG_HEAP2_NEW_CID:
        return 0                # for logical decoding only
    raise feature_not_supported("replaying logical rewrite mappings")


cdef void heap_mask(char *page, BlockNumber block) noexcept:
    """Blank what replay may leave different: LSN, checksum, hints, command ids, padding."""
    cdef PageHeaderData *header = page_header(page)
    cdef OffsetNumber offset
    cdef ItemIdData *lp
    cdef HeapTupleHeaderData *tup
    cdef uint32_t n
    page_set_lsn(page, 0)
    header.pd_checksum = 0
    header.pd_prune_xid = 0
    page_clear_flag(page, PD_PAGE_FULL | PD_HAS_FREE_LINES | PD_ALL_VISIBLE)
    if header.pd_lower >= 24 and header.pd_lower <= header.pd_upper and header.pd_upper <= header.pd_special:
        memset(page + header.pd_lower, 0, header.pd_upper - header.pd_lower)
    for offset in range(1, page_get_max_offset(page) + 1):
        lp = page_get_item_id(page, offset)
        if item_id_is_normal(lp):
            tup = <HeapTupleHeaderData *> page_get_item(page, lp)
            if xmin_frozen(tup):
                tup.t_infomask &= <uint16_t> (~(HEAP_XMAX_INVALID | HEAP_XMAX_COMMITTED) & 0xFFFF)
            else:
                tup.t_infomask &= <uint16_t> (~HEAP_XACT_MASK & 0xFFFF)
            tup.t_cid = 0
            if tuple_is_speculative(tup):
                tid_set(&tup.t_ctid, block, offset)
        if item_id_has_storage(lp):
            n = <uint32_t> maxalign(item_id_get_length(lp)) - item_id_get_length(lp)
            memset(page + item_id_get_offset(lp) + item_id_get_length(lp), 0, n)


register_redo(RM_HEAP_ID, heap_redo, heap_mask)
register_redo(RM_HEAP2_ID, heap2_redo, heap_mask)


def masked(bytes page, BlockNumber block):
    """A copy of a page without what replay may leave different."""
    cdef char room[BLCKSZ]
    memcpy(room, <const char *> page, BLCKSZ)
    heap_mask(room, block)
    return room[:BLCKSZ]

"""Inserting and deleting heap tuples, with their WAL (README rules 1 to 7).

Runs in any backend. Each function locks the one page it changes exclusively, sees that nothing can fail any more,
then changes, marks and logs it in a critical section.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, memset
from tusk._types cimport (
    BLCKSZ, MAIN_FORK, BlockNumber, CommandId, Datum, InvalidBlockNumber, InvalidTransactionId, ItemPointerData, Lsn,
    OffsetNumber, TransactionId, maxalign, tid_block, tid_offset, tid_set,
)
from tusk.access._relation cimport (
    ATTR_IDENTITY, Relation, relation_is_accessible_in_logical_decoding, relation_is_logically_logged,
    relation_needs_wal,
)
from tusk.access._tuple cimport (
    HEAP2_XACT_MASK, HEAP_COMBOCID, HEAP_HASEXTERNAL, HEAP_HOT_UPDATED, HEAP_KEYS_UPDATED, HEAP_MOVED,
    HEAP_XACT_MASK, HEAP_XMAX_BITS, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI, HEAP_XMIN_FROZEN, MaxTupleAttributeNumber,
    MovedPartitionsOffsetNumber, SizeofHeapTupleHeader, HeapTupleData, HeapTupleHeaderData, heap_copy_tuple_malloc,
    heap_deform_tuple, heap_form_tuple_malloc, tuple_is_heap_only, tuple_is_speculative, xmax_is_locked_only,
)
from tusk.access.heap._hio cimport buffer_for_tuple, put_heap_tuple
from tusk.access.heap._records cimport *
from tusk.access.heap._visibility cimport (
    tuple_cmax, tuple_cmin, tuple_is_only_locked, tuple_satisfies_update, tuple_satisfies_visibility, tuple_update_xid,
)
from tusk.access.heap._xmax cimport (
    NewXmax, acquire_tuple_lock, adjust_cmax, compute_infobits, compute_new_xmax, multixact_conflicts, multixact_wait,
    release_tuple_lock, update_xmax_hint_bits, xmax_infomask_changed,
)
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.stats._pending cimport count_deleted, count_inserted
from tusk.storage._buffer cimport (
    BAS_BULKWRITE, BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_block, buffer_page,
    free_access_strategy, get_access_strategy, lock_buffer, mark_buffer_dirty, read_buffer, release_buffer,
    unlock_release_buffer,
)
from tusk.storage._page cimport (
    PD_ALL_VISIBLE, ItemIdData, item_id_get_length, item_id_is_normal, page_clear_flag, page_get_heap_free_space,
    page_get_item, page_get_item_id, page_get_max_offset, page_is_all_visible, page_set_flag, page_set_lsn,
    page_set_prunable,
)
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_ALL_VISIBLE, VISIBILITYMAP_VALID_BITS, visibilitymap_clear,
    visibilitymap_pin, visibilitymap_set,
)
from tusk.transaction._combocid cimport get_real_cmax, get_real_cmin
from tusk.transaction._lock cimport LockWaitBlock, XLTW_Delete, xact_lock_table_wait
from tusk.transaction._multixact cimport MultiXactStatusUpdate, multixact_id_set_oldest_member
from tusk.transaction._snapshot cimport Snapshot, TransactionXmin
from tusk.transaction._transam cimport transaction_id_precedes
from tusk.transaction._xact cimport (
    get_current_command_id, get_current_transaction_id, get_top_transaction_id, transaction_id_is_current,
)
from tusk.wal._insert cimport (
    REGBUF_KEEP_DATA, REGBUF_STANDARD, REGBUF_WILL_INIT, xlog_begin_insert, xlog_insert, xlog_register_buf_data,
    xlog_register_buffer, xlog_register_data, xlog_set_record_flags,
)
from tusk.wal._record cimport RM_HEAP2_ID, RM_HEAP_ID, XLOG_INCLUDE_ORIGIN

cdef enum:
    TOAST_TUPLE_THRESHOLD = 2032

cdef invalidate_fn invalidate_heap_tuple_hook = NULL
cdef toast_insert_fn toast_insert_hook = NULL
cdef toast_delete_fn toast_delete_hook = NULL


cdef class BulkInsertState:
    """What a loader keeps between insertions: the page it fills, a ring of buffers, pages it extended already."""

    def __cinit__(self):
        self.strategy = NULL
        self.current_buf = 0
        self.next_free = InvalidBlockNumber
        self.last_free = InvalidBlockNumber
        self.already_extended_by = 0

    def __dealloc__(self):
        if self.strategy != NULL:
            free_access_strategy(self.strategy)

    def finish(self):
        """Release the pin (FreeBulkInsertState)."""
        release_bulk_insert_pin(self)


cdef BulkInsertState make_bulk_insert_state():
    cdef BulkInsertState state = BulkInsertState()
    state.strategy = get_access_strategy(BAS_BULKWRITE)
    return state


cdef int release_bulk_insert_pin(BulkInsertState state) except -1:
    if state.current_buf:
        release_buffer(state.current_buf)
    state.current_buf = 0
    # Pages extended in bulk but not used yet are found again through the free space map by vacuum.
    state.next_free = state.last_free = InvalidBlockNumber
    return 0


cdef HeapTupleData *prepare_insert(
    Relation rel, HeapTupleData *tup, TransactionId xid, CommandId cid, int options,
) except NULL:
    """Fill the header; returns tup, or a malloc'ed tuple with wide values moved out of line."""
    cdef HeapTupleHeaderData *h = tup.t_data
    h.t_infomask &= <uint16_t> ~HEAP_XACT_MASK & 0xFFFF
    h.t_infomask2 &= <uint16_t> ~HEAP2_XACT_MASK & 0xFFFF
    h.t_infomask |= HEAP_XMAX_INVALID
    h.t_xmin = xid
    if options & HEAP_INSERT_FROZEN:
        h.t_infomask |= HEAP_XMIN_FROZEN
    h.t_cid = cid
    h.t_xmax = InvalidTransactionId
    tup.t_tableOid = rel.rd_id
    if is_toastable(rel):
        if h.t_infomask & HEAP_HASEXTERNAL or tup.t_len > TOAST_TUPLE_THRESHOLD:
            if toast_insert_hook == NULL:
                raise feature_not_supported("storing wide rows without access.toast loaded")
            return toast_insert_hook(rel, tup, NULL, options)
    return tup


cdef inline bint clear_all_visible(int buf, int vm_buf) except -1:
    """In a critical section: the page is about to hold what not everybody sees."""
    cdef char *page = buffer_page(buf)
    if not page_is_all_visible(page):
        return False
    page_clear_flag(page, PD_ALL_VISIBLE)
    visibilitymap_clear(buffer_block(buf), vm_buf, VISIBILITYMAP_VALID_BITS)
    return True


cdef int log_new_cid(Relation rel, HeapTupleData *tup) except -1:
    """Tell logical decoding the command ids of a catalog tuple (log_heap_new_cid)."""
    cdef xl_heap_new_cid rec
    cdef HeapTupleHeaderData *h = tup.t_data
    cdef CommandId none = 0xFFFFFFFF
    memset(&rec, 0, sizeof(rec))
    rec.top_xid = get_top_transaction_id()
    rec.target_locator = rel.rd_locator
    rec.target_tid = tup.t_self
    if h.t_infomask & HEAP_COMBOCID:
        rec.cmin = get_real_cmin(h.t_cid)
        rec.cmax = get_real_cmax(h.t_cid)
        rec.combocid = h.t_cid
    else:
        rec.combocid = none
        if h.t_infomask & HEAP_XMAX_INVALID or xmax_is_locked_only(h.t_infomask):
            rec.cmin = h.t_cid
            rec.cmax = none
        else:
            rec.cmin = none
            rec.cmax = h.t_cid
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_insert(RM_HEAP2_ID, XLOG_HEAP2_NEW_CID)
    return 0


cdef HeapTupleData *replica_identity_tuple(
    Relation rel, HeapTupleData *tup, bint key_required, bint *copied,
) except? NULL:
    """What logical decoding gets to know of an old row: NULL nothing, tup itself, or a malloc'ed tuple with only the
    identity columns (*copied is set; ExtractReplicaIdentity)."""
    cdef Datum values[MaxTupleAttributeNumber]
    cdef uint8_t nulls[MaxTupleAttributeNumber]
    cdef uint8_t keep[MaxTupleAttributeNumber]
    cdef int i
    cdef bint any_key = False
    cdef HeapTupleData *key
    copied[0] = False
    if not relation_is_logically_logged(rel) or rel.relreplident == c'n':
        return NULL
    if rel.relreplident == c'f':
        if tup.t_data.t_infomask & HEAP_HASEXTERNAL:
            raise feature_not_supported("REPLICA IDENTITY FULL with out-of-line values in logical WAL")
        return tup
    if not key_required:
        return NULL
    ensure_indexed_attrs(rel)
    memset(keep, 0, rel.desc.natts)
    for i in range(rel.n_indexed_attrs):
        if rel.indexed_attrs[i].kinds & ATTR_IDENTITY and rel.indexed_attrs[i].attnum > 0:
            keep[rel.indexed_attrs[i].attnum - 1] = 1
            any_key = True
    if not any_key:
        return NULL
    heap_deform_tuple(tup.t_data, &rel.desc.c, rel.desc.natts, values, nulls)
    for i in range(rel.desc.natts):
        if not keep[i]:
            nulls[i] = 1
    key = heap_form_tuple_malloc(rel.desc, values, nulls)
    copied[0] = True
    return key


cdef int ensure_indexed_attrs(Relation rel) except -1:
    if not rel.indexed_attrs_valid:
        if rel.load_indexed_attrs is not None:
            rel.load_indexed_attrs(rel)
        else:
            rel.set_indexed_attrs()
    return 0


cdef int heap_insert(Relation rel, HeapTupleData *tup, CommandId cid, int options, BulkInsertState bistate) except -1:
    cdef TransactionId xid = get_current_transaction_id()
    cdef HeapTupleData *heaptup
    cdef int vm_buf = 0
    cdef int buf
    cdef bint cleared, logical
    cdef char *page
    cdef xl_heap_insert rec
    cdef xl_heap_header header
    cdef uint8_t info = XLOG_HEAP_INSERT
    cdef uint8_t bufflags = REGBUF_STANDARD
    cdef Lsn lsn
    heaptup = prepare_insert(rel, tup, xid, cid, options)
    buf = buffer_for_tuple(rel, heaptup.t_len, 0, options, bistate, &vm_buf, NULL, 0)
    page = buffer_page(buf)

    critical_start()
    put_heap_tuple(buf, heaptup, options & HEAP_INSERT_SPECULATIVE)
    cleared = clear_all_visible(buf, vm_buf)
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        logical = relation_is_logically_logged(rel) and not options & HEAP_INSERT_NO_LOGICAL
        if relation_is_accessible_in_logical_decoding(rel):
            log_new_cid(rel, heaptup)
        rec.offnum = tid_offset(&heaptup.t_self)
        rec.flags = 0
        if rec.offnum == 1 and page_get_max_offset(page) == 1:
            info |= XLOG_HEAP_INIT_PAGE
            bufflags |= REGBUF_WILL_INIT
        if cleared:
            rec.flags |= XLH_INSERT_ALL_VISIBLE_CLEARED
        if options & HEAP_INSERT_SPECULATIVE:
            rec.flags |= XLH_INSERT_IS_SPECULATIVE
        if logical:
            rec.flags |= XLH_INSERT_CONTAINS_NEW_TUPLE
            bufflags |= REGBUF_KEEP_DATA
            if rel.is_toast:
                rec.flags |= XLH_INSERT_ON_TOAST_RELATION
        header.t_infomask2 = heaptup.t_data.t_infomask2
        header.t_infomask = heaptup.t_data.t_infomask
        header.t_hoff = heaptup.t_data.t_hoff
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        xlog_register_buffer(0, buf, bufflags)
        xlog_register_buf_data(0, &header, sizeof(header))
        xlog_register_buf_data(0, <char *> heaptup.t_data + SizeofHeapTupleHeader,
                               heaptup.t_len - SizeofHeapTupleHeader)
        xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
        lsn = xlog_insert(RM_HEAP_ID, info)
        page_set_lsn(page, lsn)
    critical_end()

    unlock_release_buffer(buf)
    if vm_buf:
        release_buffer(vm_buf)
    tup.t_self = heaptup.t_self
    count_inserted(rel.counts, 1)
    if rel.is_catalog and invalidate_heap_tuple_hook != NULL:
        invalidate_heap_tuple_hook(rel, heaptup, NULL)
    if heaptup != tup:
        free(heaptup)
    return 0


cdef int pages_for(HeapTupleData **tuples, int done, int ntuples, size_t save_free) noexcept:
    """How many empty pages the rest of the tuples will fill."""
    cdef size_t room = BLCKSZ - 24 - save_free
    cdef size_t space = room
    cdef size_t size
    cdef int n = 1
    cdef int i
    for i in range(done, ntuples):
        size = 4 + maxalign(tuples[i].t_len)
        if space < size:
            n += 1
            space = room
        space -= size
    return n


cdef int heap_multi_insert(
    Relation rel, HeapTupleData **tuples, int ntuples, CommandId cid, int options, BulkInsertState bistate,
) except -1:
    cdef TransactionId xid = get_current_transaction_id()
    cdef bint needs_wal = relation_needs_wal(rel)
    cdef bint need_cids = relation_is_accessible_in_logical_decoding(rel)
    cdef bint logical = needs_wal and relation_is_logically_logged(rel) and not options & HEAP_INSERT_NO_LOGICAL
    cdef size_t save_free = <size_t> (BLCKSZ * (100 - rel.fillfactor) // 100)
    cdef HeapTupleData **prepared
    cdef int done = 0
    cdef int here, i, buf
    cdef int vm_buf = 0
    cdef int npages = 0
    cdef int npages_used = 0
    cdef bint empty = False
    cdef bint cleared, frozen
    cdef char *page
    cdef char scratch[BLCKSZ]
    cdef char *p
    cdef char *data
    cdef xl_heap_multi_insert *rec
    cdef xl_multi_insert_tuple *header
    cdef HeapTupleData *tup
    cdef uint8_t info, bufflags
    cdef Lsn lsn
    prepared = <HeapTupleData **> malloc(ntuples * sizeof(HeapTupleData *))
    if prepared == NULL:
        raise MemoryError
    for i in range(ntuples):
        prepared[i] = prepare_insert(rel, tuples[i], xid, cid, options)
    while done < ntuples:
        check_for_interrupts()
        if done == 0 or not empty:
            npages = pages_for(prepared, done, ntuples, save_free)
            npages_used = 0
        else:
            npages_used += 1
        buf = buffer_for_tuple(rel, prepared[done].t_len, 0, options, bistate, &vm_buf, NULL, npages - npages_used)
        page = buffer_page(buf)
        empty = page_get_max_offset(page) == 0
        frozen = empty and options & HEAP_INSERT_FROZEN
        cleared = False

        critical_start()
        put_heap_tuple(buf, prepared[done], False)
        if needs_wal and need_cids:
            log_new_cid(rel, prepared[done])
        here = 1
        while done + here < ntuples:
            tup = prepared[done + here]
            if page_get_heap_free_space(page) < maxalign(tup.t_len) + save_free:
                break
            put_heap_tuple(buf, tup, False)
            if needs_wal and need_cids:
                log_new_cid(rel, tup)
            here += 1
        if page_is_all_visible(page) and not options & HEAP_INSERT_FROZEN:
            cleared = clear_all_visible(buf, vm_buf)
        elif frozen:
            page_set_flag(page, PD_ALL_VISIBLE)
        mark_buffer_dirty(buf)
        if needs_wal:
            info = XLOG_HEAP2_MULTI_INSERT
            bufflags = REGBUF_STANDARD
            rec = <xl_heap_multi_insert *> scratch
            rec.flags = 0
            rec.pad = 0
            rec.ntuples = <uint16_t> here
            p = scratch + sizeof(xl_heap_multi_insert)
            if not empty:
                for i in range(here):
                    (<OffsetNumber *> p)[i] = tid_offset(&prepared[done + i].t_self)
                p += 2 * here
            data = p
            for i in range(here):
                tup = prepared[done + i]
                if (p - scratch) & 1:
                    p[0] = 0
                    p += 1
                header = <xl_multi_insert_tuple *> p
                header.t_infomask2 = tup.t_data.t_infomask2
                header.t_infomask = tup.t_data.t_infomask
                header.t_hoff = tup.t_data.t_hoff
                header.datalen = <uint16_t> (tup.t_len - SizeofHeapTupleHeader)
                p += sizeof(xl_multi_insert_tuple)
                memcpy(p, <char *> tup.t_data + SizeofHeapTupleHeader, header.datalen)
                p += header.datalen
            if cleared:
                rec.flags |= XLH_INSERT_ALL_VISIBLE_CLEARED
            if frozen:
                rec.flags |= XLH_INSERT_ALL_FROZEN_SET
            if logical:
                rec.flags |= XLH_INSERT_CONTAINS_NEW_TUPLE
                bufflags |= REGBUF_KEEP_DATA
            if done + here == ntuples:
                rec.flags |= XLH_INSERT_LAST_IN_MULTI
            if empty:
                info |= XLOG_HEAP_INIT_PAGE
                bufflags |= REGBUF_WILL_INIT
            xlog_begin_insert()
            xlog_register_data(scratch, <uint32_t> (data - scratch))
            xlog_register_buffer(0, buf, bufflags)
            xlog_register_buf_data(0, data, <uint32_t> (p - data))
            xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
            lsn = xlog_insert(RM_HEAP2_ID, info)
            page_set_lsn(page, lsn)
        critical_end()

        if frozen:
            visibilitymap_set(&rel.rd_locator, rel.relpersistence, buffer_block(buf), buf, 0, vm_buf,
                              InvalidTransactionId, VISIBILITYMAP_ALL_VISIBLE | VISIBILITYMAP_ALL_FROZEN)
        unlock_release_buffer(buf)
        done += here
    if vm_buf:
        release_buffer(vm_buf)
    count_inserted(rel.counts, ntuples)
    for i in range(ntuples):
        tuples[i].t_self = prepared[i].t_self
        if rel.is_catalog and invalidate_heap_tuple_hook != NULL:
            invalidate_heap_tuple_hook(rel, prepared[i], NULL)
        if prepared[i] != tuples[i]:
            free(prepared[i])
    free(prepared)
    return 0


cdef inline bint same_tid(const ItemPointerData *a, const ItemPointerData *b) noexcept nogil:
    return a.bi_hi == b.bi_hi and a.bi_lo == b.bi_lo and a.ip_posid == b.ip_posid


cdef int fill_failure(HeapTupleData *tup, int result, TM_FailureData *tmfd) except -1:
    """Tell the caller who changed the tuple, and where to look next."""
    tmfd.ctid = tup.t_data.t_ctid
    tmfd.xmax = tuple_update_xid(tup.t_data)
    tmfd.cmax = tuple_cmax(tup.t_data) if result == TM_SelfModified else 0xFFFFFFFF
    return 0


cdef int wait_for_deleters(
    Relation rel, HeapTupleData *tp, int buf, bint *have_lock, bint *again,
) except -1:
    """A delete met TM_BeingModified: wait until nobody is in the way. The buffer is unlocked meanwhile and locked
    again on return; *again says that xmax changed meanwhile. Returns the TM_Result otherwise."""
    cdef TransactionId xwait = tp.t_data.t_xmax
    cdef uint16_t infomask = tp.t_data.t_infomask
    cdef bint member = False
    again[0] = False
    if infomask & HEAP_XMAX_IS_MULTI:
        if multixact_conflicts(xwait, infomask, LockTupleExclusive, &member):
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            if not member:
                acquire_tuple_lock(rel, &tp.t_self, LockTupleExclusive, LockWaitBlock, have_lock)
            multixact_wait(xwait, MultiXactStatusUpdate, infomask, False, rel, &tp.t_self, XLTW_Delete, NULL)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            again[0] = xmax_infomask_changed(tp.t_data.t_infomask, infomask) or tp.t_data.t_xmax != xwait
    elif not transaction_id_is_current(xwait):
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        acquire_tuple_lock(rel, &tp.t_self, LockTupleExclusive, LockWaitBlock, have_lock)
        xact_lock_table_wait(xwait, rel.name, &tp.t_self, XLTW_Delete)
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        again[0] = xmax_infomask_changed(tp.t_data.t_infomask, infomask) or tp.t_data.t_xmax != xwait
        if not again[0]:
            update_xmax_hint_bits(tp.t_data, buf, xwait)
    if again[0]:
        return TM_Ok
    if tp.t_data.t_infomask & HEAP_XMAX_INVALID or xmax_is_locked_only(tp.t_data.t_infomask) \
            or tuple_is_only_locked(tp.t_data):
        return TM_Ok
    return TM_Deleted if same_tid(&tp.t_self, &tp.t_data.t_ctid) else TM_Updated


cdef int heap_delete(
    Relation rel, const ItemPointerData *tid, CommandId cid, Snapshot crosscheck, bint wait, TM_FailureData *tmfd,
    bint changing_partition,
) except -1:
    cdef TransactionId xid = get_current_transaction_id()
    cdef HeapTupleData tp
    cdef HeapTupleData *old_key
    cdef BlockNumber block = tid_block(tid)
    cdef int vm_buf = 0
    cdef int buf, result
    cdef bint have_lock = False
    cdef bint iscombo, cleared, copied
    cdef bint again
    cdef char *page
    cdef ItemIdData *lp
    cdef NewXmax new
    cdef xl_heap_delete rec
    cdef xl_heap_header header
    cdef Lsn lsn
    buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    page = buffer_page(buf)
    if page_is_all_visible(page):
        visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
    lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
    lp = page_get_item_id(page, tid_offset(tid))
    tp.t_tableOid = rel.rd_id
    tp.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
    tp.t_len = item_id_get_length(lp)
    tp.t_self = tid[0]

    while True:
        # The page may have become all-visible before it was locked.
        while vm_buf == 0 and page_is_all_visible(page):
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        result = tuple_satisfies_update(&tp, cid, buf)
        if result == TM_Invisible:
            unlock_release_buffer(buf)
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "attempted to delete invisible tuple")
        if result == TM_BeingModified and wait:
            result = wait_for_deleters(rel, &tp, buf, &have_lock, &again)
            if again or (vm_buf == 0 and page_is_all_visible(page)):
                continue
        break

    if crosscheck is not None and result == TM_Ok and not tuple_satisfies_visibility(&tp, crosscheck, buf):
        result = TM_Updated
    if result != TM_Ok:
        fill_failure(&tp, result, tmfd)
        unlock_release_buffer(buf)
        if have_lock:
            release_tuple_lock(rel, &tp.t_self, LockTupleExclusive)
        if vm_buf:
            release_buffer(vm_buf)
        return result

    adjust_cmax(tp.t_data, &cid, &iscombo)
    old_key = replica_identity_tuple(rel, &tp, True, &copied)
    multixact_id_set_oldest_member()
    compute_new_xmax(tp.t_data.t_xmax, tp.t_data.t_infomask, tp.t_data.t_infomask2, xid, LockTupleExclusive, True, &new)

    critical_start()
    page_set_prunable(page, xid)
    cleared = clear_all_visible(buf, vm_buf)
    tp.t_data.t_infomask &= <uint16_t> (~(HEAP_XMAX_BITS | HEAP_MOVED | HEAP_COMBOCID) & 0xFFFF)
    tp.t_data.t_infomask2 &= <uint16_t> (~(HEAP_KEYS_UPDATED | HEAP_HOT_UPDATED) & 0xFFFF)
    tp.t_data.t_infomask |= new.infomask
    tp.t_data.t_infomask2 |= new.infomask2
    tp.t_data.t_xmax = new.xmax
    tp.t_data.t_cid = cid
    if iscombo:
        tp.t_data.t_infomask |= HEAP_COMBOCID
    if changing_partition:
        tid_set(&tp.t_data.t_ctid, InvalidBlockNumber, MovedPartitionsOffsetNumber)
    else:
        tp.t_data.t_ctid = tp.t_self
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        if relation_is_accessible_in_logical_decoding(rel):
            log_new_cid(rel, &tp)
        rec.flags = 0
        if cleared:
            rec.flags |= XLH_DELETE_ALL_VISIBLE_CLEARED
        if changing_partition:
            rec.flags |= XLH_DELETE_IS_PARTITION_MOVE
        rec.infobits_set = compute_infobits(tp.t_data.t_infomask, tp.t_data.t_infomask2)
        rec.offnum = tid_offset(&tp.t_self)
        rec.xmax = new.xmax
        if old_key != NULL:
            rec.flags |= XLH_DELETE_CONTAINS_OLD_TUPLE if rel.relreplident == c'f' else XLH_DELETE_CONTAINS_OLD_KEY
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        if old_key != NULL:
            header.t_infomask2 = old_key.t_data.t_infomask2
            header.t_infomask = old_key.t_data.t_infomask
            header.t_hoff = old_key.t_data.t_hoff
            xlog_register_data(&header, sizeof(header))
            xlog_register_data(<char *> old_key.t_data + SizeofHeapTupleHeader, old_key.t_len - SizeofHeapTupleHeader)
        xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_DELETE)
        page_set_lsn(page, lsn)
    critical_end()

    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    if vm_buf:
        release_buffer(vm_buf)
    if is_toastable(rel) and tp.t_data.t_infomask & HEAP_HASEXTERNAL and toast_delete_hook != NULL:
        toast_delete_hook(rel, &tp, False)
    if rel.is_catalog and invalidate_heap_tuple_hook != NULL:
        invalidate_heap_tuple_hook(rel, &tp, NULL)
    release_buffer(buf)
    if have_lock:
        release_tuple_lock(rel, &tp.t_self, LockTupleExclusive)
    count_deleted(rel.counts)
    if copied:
        free(old_key)
    return TM_Ok


cdef int simple_heap_delete(Relation rel, const ItemPointerData *tid) except -1:
    cdef TM_FailureData tmfd
    cdef int result = heap_delete(rel, tid, get_current_command_id(True), None, True, &tmfd, False)
    if result == TM_SelfModified:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple already updated by self")
    if result == TM_Updated:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple concurrently updated")
    if result == TM_Deleted:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple concurrently deleted")
    return 0


cdef HeapTupleHeaderData *speculative_tuple(Relation rel, const ItemPointerData *tid, int *buf) except NULL:
    """The tuple, its buffer pinned and locked."""
    cdef char *page
    cdef ItemIdData *lp
    buf[0] = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, tid_block(tid), RBM_NORMAL, NULL)
    lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
    page = buffer_page(buf[0])
    if page_get_max_offset(page) < tid_offset(tid):
        raise SqlError(errcode.INTERNAL_ERROR, "invalid lp")
    lp = page_get_item_id(page, tid_offset(tid))
    if not item_id_is_normal(lp):
        raise SqlError(errcode.INTERNAL_ERROR, "invalid lp")
    return <HeapTupleHeaderData *> page_get_item(page, lp)


cdef int heap_finish_speculative(Relation rel, const ItemPointerData *tid) except -1:
    """Turn a speculative insertion into an ordinary one: its ctid becomes its own."""
    cdef int buf
    cdef HeapTupleHeaderData *tup = speculative_tuple(rel, tid, &buf)
    cdef xl_heap_confirm rec
    cdef Lsn lsn
    critical_start()
    mark_buffer_dirty(buf)
    tup.t_ctid = tid[0]
    if relation_needs_wal(rel):
        rec.offnum = tid_offset(tid)
        xlog_begin_insert()
        xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
        xlog_register_data(&rec, sizeof(rec))
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_CONFIRM)
        page_set_lsn(buffer_page(buf), lsn)
    critical_end()
    unlock_release_buffer(buf)
    return 0


cdef int heap_abort_speculative(Relation rel, const ItemPointerData *tid) except -1:
    """Take back a speculative insertion (or a toast chunk of one): dead at once, to everybody."""
    cdef TransactionId xid = get_current_transaction_id()
    cdef int buf
    cdef HeapTupleData tp
    cdef char *page
    cdef xl_heap_delete rec
    cdef Lsn lsn
    tp.t_data = speculative_tuple(rel, tid, &buf)
    page = buffer_page(buf)
    tp.t_tableOid = rel.rd_id
    tp.t_self = tid[0]
    tp.t_len = item_id_get_length(page_get_item_id(page, tid_offset(tid)))
    if tp.t_data.t_xmin != xid:
        raise SqlError(errcode.INTERNAL_ERROR, "attempted to kill a tuple inserted by another transaction")
    if not rel.is_toast and not tuple_is_speculative(tp.t_data):
        raise SqlError(errcode.INTERNAL_ERROR, "attempted to kill a non-speculative tuple")

    critical_start()
    if rel.relfrozenxid and transaction_id_precedes(TransactionXmin, rel.relfrozenxid):
        page_set_prunable(page, rel.relfrozenxid)
    else:
        page_set_prunable(page, TransactionXmin)
    tp.t_data.t_infomask &= <uint16_t> (~(HEAP_XMAX_BITS | HEAP_MOVED) & 0xFFFF)
    tp.t_data.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
    tp.t_data.t_xmin = InvalidTransactionId
    tp.t_data.t_ctid = tp.t_self
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        rec.flags = XLH_DELETE_IS_SUPER
        rec.infobits_set = compute_infobits(tp.t_data.t_infomask, tp.t_data.t_infomask2)
        rec.offnum = tid_offset(tid)
        rec.xmax = xid
        xlog_begin_insert()
        xlog_register_data(&rec, sizeof(rec))
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_DELETE)
        page_set_lsn(page, lsn)
    critical_end()

    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    if is_toastable(rel) and tp.t_data.t_infomask & HEAP_HASEXTERNAL and toast_delete_hook != NULL:
        toast_delete_hook(rel, &tp, True)
    release_buffer(buf)
    count_deleted(rel.counts)
    return 0

"""Updating heap tuples: the new version on the same page when it fits, heap-only when no index cares (README rule 8).

The old page is locked first. When the new version needs another page, or values must go out of line, the old tuple is
marked locked by us (and logged so) before its page is unlocked, so that nobody else gets in between.
"""

from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libc.stdlib cimport free
from libc.string cimport memcmp
from tusk._types cimport (
    MAIN_FORK, BlockNumber, CommandId, Datum, InvalidTransactionId, ItemPointerData, Lsn, TransactionId, maxalign,
    tid_block, tid_offset,
)
from tusk.access._relation cimport (
    ATTR_HOT_BLOCKING, ATTR_IDENTITY, ATTR_KEY, ATTR_SUMMARIZED, Relation,
    relation_is_accessible_in_logical_decoding, relation_is_logically_logged, relation_needs_wal,
)
from tusk.access._tuple cimport (
    HEAP2_XACT_MASK, HEAP_COMBOCID, HEAP_HASEXTERNAL, HEAP_HOT_UPDATED, HEAP_KEYS_UPDATED, HEAP_MOVED,
    HEAP_ONLY_TUPLE, HEAP_UPDATED, HEAP_XACT_MASK, HEAP_XMAX_BITS, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI,
    HEAP_XMAX_KEYSHR_LOCK, HEAP_XMAX_LOCK_ONLY, SizeofHeapTupleHeader, HeapTupleData, HeapTupleHeaderData,
    datum_is_equal, heap_getattr, tuple_is_heap_only, xmax_is_locked_only, xmax_locked_upgraded,
)
from tusk.access._varlena cimport varatt_is_external
from tusk.access.heap cimport _heap
from tusk.access.heap._heap cimport (
    LockTupleExclusive, LockTupleNoKeyExclusive, TM_BeingModified, TM_Deleted, TM_FailureData, TM_Invisible, TM_Ok,
    TM_SelfModified, TM_Updated, TU_All, TU_None, TU_Summarizing, ensure_indexed_attrs, fill_failure, is_toastable,
    log_new_cid, replica_identity_tuple,
)
from tusk.access.heap._hio cimport buffer_for_tuple, put_heap_tuple
from tusk.access.heap._records cimport *
from tusk.access.heap._visibility cimport (
    multixact_update_xid, tuple_satisfies_update, tuple_satisfies_visibility,
)
from tusk.access.heap._xmax cimport (
    NewXmax, acquire_tuple_lock, adjust_cmax, compute_infobits, compute_new_xmax, multixact_conflicts,
    multixact_hint_bits, multixact_wait, release_tuple_lock, update_xmax_hint_bits, xmax_infomask_changed,
    xmax_is_keyshr_locked,
)
from tusk.errors import SqlError, errcode, feature_not_supported
from tusk.memory._critical cimport critical_end, critical_start
from tusk.stats._pending cimport count_updated
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_block, buffer_page, lock_buffer, mark_buffer_dirty,
    read_buffer, release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    PD_ALL_VISIBLE, PD_PAGE_FULL, ItemIdData, item_id_get_length, item_id_is_normal, page_clear_flag,
    page_get_heap_free_space, page_get_item, page_get_item_id, page_get_max_offset, page_is_all_visible,
    page_set_flag, page_set_lsn, page_set_prunable,
)
from tusk.storage._visibilitymap cimport (
    VISIBILITYMAP_ALL_FROZEN, VISIBILITYMAP_VALID_BITS, visibilitymap_clear, visibilitymap_pin,
)
from tusk.transaction._lock cimport LockWaitBlock, XLTW_Update, xact_lock_table_wait
from tusk.transaction._multixact cimport (
    MultiXactStatusNoKeyUpdate, MultiXactStatusUpdate, multixact_id_set_oldest_member,
)
from tusk.transaction._snapshot cimport Snapshot, transaction_id_did_abort
from tusk.transaction._xact cimport (
    get_current_command_id, get_current_transaction_id, transaction_id_is_current,
)
from tusk.wal._insert cimport (
    REGBUF_KEEP_DATA, REGBUF_STANDARD, REGBUF_WILL_INIT, xlog_begin_insert, xlog_check_buffer_needs_backup,
    xlog_insert, xlog_register_buf_data, xlog_register_buffer, xlog_register_data, xlog_set_record_flags,
)
from tusk.wal._record cimport RM_HEAP_ID, XLOG_INCLUDE_ORIGIN

cdef enum:
    TOAST_TUPLE_THRESHOLD = 2032


cdef inline bint same_tid(const ItemPointerData *a, const ItemPointerData *b) noexcept nogil:
    return a.bi_hi == b.bi_hi and a.bi_lo == b.bi_lo and a.ip_posid == b.ip_posid


cdef int changed_attribute_kinds(
    Relation rel, HeapTupleData *old, HeapTupleData *new, bint *id_has_external,
) except -1:
    """The kinds (ATTR_* bits) of indexed attributes whose stored value differs (HeapDetermineColumnsInfo)."""
    cdef int i, attnum
    cdef int kinds = 0
    cdef int all_kinds = 0
    cdef uint8_t old_null, new_null
    cdef Datum a, b
    id_has_external[0] = False
    for i in range(rel.n_indexed_attrs):
        all_kinds |= rel.indexed_attrs[i].kinds
    for i in range(rel.n_indexed_attrs):
        attnum = rel.indexed_attrs[i].attnum
        if attnum <= 0:
            # A whole-row or system column: only tableoid stays the same for certain.
            if attnum != -6:
                kinds |= rel.indexed_attrs[i].kinds
            continue
        a = heap_getattr(old.t_data, attnum, &rel.desc.c, &old_null)
        b = heap_getattr(new.t_data, attnum, &rel.desc.c, &new_null)
        if not old_null and rel.indexed_attrs[i].kinds & ATTR_IDENTITY and rel.desc.attrs[attnum - 1].attlen == -1 \
                and varatt_is_external(<const char *> a):
            id_has_external[0] = True
        if rel.indexed_attrs[i].kinds & ~kinds == 0:
            continue
        if old_null != new_null or (not old_null and not datum_is_equal(
                a, b, rel.desc.attrs[attnum - 1].attbyval, rel.desc.attrs[attnum - 1].attlen)):
            kinds |= rel.indexed_attrs[i].kinds
            if kinds == all_kinds and not all_kinds & ATTR_IDENTITY:
                break
    return kinds


cdef struct UpdateWait:             # what a wait for other lockers found out
    bint again                      # xmax changed: decide anew
    bint checked_lockers
    bint locker_remains
    int result


cdef int wait_for_lockers(
    Relation rel, HeapTupleData *old, int buf, int mode, int status, bint key_intact, bint *have_lock,
    UpdateWait *out,
) except -1:
    """An update met TM_BeingModified: wait until nobody is in the way. The buffer is locked before and after."""
    cdef TransactionId xwait = old.t_data.t_xmax
    cdef uint16_t infomask = old.t_data.t_infomask
    cdef TransactionId updater = InvalidTransactionId
    cdef bint member = False
    cdef bint go = False
    cdef int remain = 0
    out.again = out.checked_lockers = out.locker_remains = False
    if infomask & HEAP_XMAX_IS_MULTI:
        if multixact_conflicts(xwait, infomask, mode, &member):
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            if not member:
                acquire_tuple_lock(rel, &old.t_self, mode, LockWaitBlock, have_lock)
            multixact_wait(xwait, status, infomask, False, rel, &old.t_self, XLTW_Update, &remain)
            out.checked_lockers = True
            out.locker_remains = remain != 0
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            if xmax_infomask_changed(old.t_data.t_infomask, infomask) or old.t_data.t_xmax != xwait:
                out.again = True
                return 0
        if not xmax_is_locked_only(old.t_data.t_infomask):
            updater = multixact_update_xid(old.t_data.t_xmax, old.t_data.t_infomask)
        go = updater == InvalidTransactionId or transaction_id_did_abort(updater)
    elif transaction_id_is_current(xwait) or (xmax_is_keyshr_locked(infomask) and key_intact):
        # Our own lock, or one that this update does not disturb.
        out.checked_lockers = True
        out.locker_remains = True
        go = True
    else:
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        acquire_tuple_lock(rel, &old.t_self, mode, LockWaitBlock, have_lock)
        xact_lock_table_wait(xwait, rel.name, &old.t_self, XLTW_Update)
        out.checked_lockers = True
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        if xmax_infomask_changed(old.t_data.t_infomask, infomask) or old.t_data.t_xmax != xwait:
            out.again = True
            return 0
        update_xmax_hint_bits(old.t_data, buf, xwait)
        go = (old.t_data.t_infomask & HEAP_XMAX_INVALID) != 0
    if go:
        out.result = TM_Ok
    elif same_tid(&old.t_self, &old.t_data.t_ctid):
        out.result = TM_Deleted
    else:
        out.result = TM_Updated
    return 0


cdef inline void set_old_xmax(
    HeapTupleHeaderData *tup, const NewXmax *new, CommandId cid, bint iscombo,
) noexcept:
    tup.t_infomask &= <uint16_t> (~(HEAP_XMAX_BITS | HEAP_MOVED | HEAP_COMBOCID) & 0xFFFF)
    tup.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
    tup.t_infomask |= new.infomask
    tup.t_infomask2 |= new.infomask2
    tup.t_xmax = new.xmax
    tup.t_cid = cid
    if iscombo:
        tup.t_infomask |= HEAP_COMBOCID


cdef int lock_old_version(
    Relation rel, HeapTupleData *old, int buf, int vm_buf, const NewXmax *lock, CommandId cid, bint iscombo,
) except -1:
    """Mark the old version as locked by us, so that its page can be unlocked for a while."""
    cdef bint cleared_frozen = False
    cdef xl_heap_lock rec
    cdef Lsn lsn
    cdef char *page = buffer_page(buf)
    critical_start()
    set_old_xmax(old.t_data, lock, cid, iscombo)
    old.t_data.t_infomask2 &= <uint16_t> (~HEAP_HOT_UPDATED & 0xFFFF)
    old.t_data.t_ctid = old.t_self
    if page_is_all_visible(page) and visibilitymap_clear(buffer_block(buf), vm_buf, VISIBILITYMAP_ALL_FROZEN):
        cleared_frozen = True
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        rec.offnum = tid_offset(&old.t_self)
        rec.xmax = lock.xmax
        rec.infobits_set = compute_infobits(old.t_data.t_infomask, old.t_data.t_infomask2)
        rec.flags = XLH_LOCK_ALL_FROZEN_CLEARED if cleared_frozen else 0
        xlog_begin_insert()
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        xlog_register_data(&rec, sizeof(rec))
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_LOCK)
        page_set_lsn(page, lsn)
    critical_end()
    return 0


cdef Lsn log_update(
    Relation rel, int oldbuf, HeapTupleData *old, int newbuf, HeapTupleData *new, HeapTupleData *old_key,
    bint cleared, bint new_cleared,
) except 0:
    """Write the update record; on one page, bytes that old and new version share at both ends are left out."""
    cdef xl_heap_update rec
    cdef xl_heap_header header, key_header
    cdef uint16_t lengths[2]
    cdef uint16_t prefix = 0
    cdef uint16_t suffix = 0
    cdef bint logical = relation_is_logically_logged(rel)
    cdef uint8_t info = XLOG_HEAP_HOT_UPDATE if tuple_is_heap_only(new.t_data) else XLOG_HEAP_UPDATE
    cdef uint8_t bufflags = REGBUF_STANDARD
    cdef char *a
    cdef char *b
    cdef int alen, blen, shorter, n
    if oldbuf == newbuf and not logical and not xlog_check_buffer_needs_backup(newbuf):
        a = <char *> old.t_data + old.t_data.t_hoff
        b = <char *> new.t_data + new.t_data.t_hoff
        alen = <int> old.t_len - old.t_data.t_hoff
        blen = <int> new.t_len - new.t_data.t_hoff
        shorter = alen if alen < blen else blen
        n = 0
        while n < shorter and a[n] == b[n]:
            n += 1
        # Each length costs two bytes to say.
        if n >= 3:
            prefix = <uint16_t> n
        n = 0
        while n < shorter - prefix and a[alen - n - 1] == b[blen - n - 1]:
            n += 1
        if n >= 3:
            suffix = <uint16_t> n
    rec.flags = 0
    if cleared:
        rec.flags |= XLH_UPDATE_OLD_ALL_VISIBLE_CLEARED
    if new_cleared:
        rec.flags |= XLH_UPDATE_NEW_ALL_VISIBLE_CLEARED
    if prefix:
        rec.flags |= XLH_UPDATE_PREFIX_FROM_OLD
    if suffix:
        rec.flags |= XLH_UPDATE_SUFFIX_FROM_OLD
    if logical:
        rec.flags |= XLH_UPDATE_CONTAINS_NEW_TUPLE
        bufflags |= REGBUF_KEEP_DATA
        if old_key != NULL:
            rec.flags |= XLH_UPDATE_CONTAINS_OLD_TUPLE if rel.relreplident == c'f' else XLH_UPDATE_CONTAINS_OLD_KEY
    if tid_offset(&new.t_self) == 1 and page_get_max_offset(buffer_page(newbuf)) == 1:
        info |= XLOG_HEAP_INIT_PAGE
        bufflags |= REGBUF_WILL_INIT
    rec.old_offnum = tid_offset(&old.t_self)
    rec.old_xmax = old.t_data.t_xmax
    rec.old_infobits_set = compute_infobits(old.t_data.t_infomask, old.t_data.t_infomask2)
    rec.new_offnum = tid_offset(&new.t_self)
    rec.new_xmax = new.t_data.t_xmax
    header.t_infomask2 = new.t_data.t_infomask2
    header.t_infomask = new.t_data.t_infomask
    header.t_hoff = new.t_data.t_hoff
    xlog_begin_insert()
    xlog_register_buffer(0, newbuf, bufflags)
    if oldbuf != newbuf:
        xlog_register_buffer(1, oldbuf, REGBUF_STANDARD)
    xlog_register_data(&rec, sizeof(rec))
    if prefix and suffix:
        lengths[0] = prefix
        lengths[1] = suffix
        xlog_register_buf_data(0, lengths, 4)
    elif prefix or suffix:
        lengths[0] = prefix if prefix else suffix
        xlog_register_buf_data(0, lengths, 2)
    xlog_register_buf_data(0, &header, sizeof(header))
    if prefix == 0:
        xlog_register_buf_data(0, <char *> new.t_data + SizeofHeapTupleHeader,
                               new.t_len - SizeofHeapTupleHeader - suffix)
    else:
        if new.t_data.t_hoff > SizeofHeapTupleHeader:
            xlog_register_buf_data(0, <char *> new.t_data + SizeofHeapTupleHeader,
                                   new.t_data.t_hoff - SizeofHeapTupleHeader)
        xlog_register_buf_data(0, <char *> new.t_data + new.t_data.t_hoff + prefix,
                               new.t_len - new.t_data.t_hoff - prefix - suffix)
    if logical and old_key != NULL:
        key_header.t_infomask2 = old_key.t_data.t_infomask2
        key_header.t_infomask = old_key.t_data.t_infomask
        key_header.t_hoff = old_key.t_data.t_hoff
        xlog_register_data(&key_header, sizeof(key_header))
        xlog_register_data(<char *> old_key.t_data + SizeofHeapTupleHeader, old_key.t_len - SizeofHeapTupleHeader)
    xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
    return xlog_insert(RM_HEAP_ID, info)


cdef int prepare_new_version(
    HeapTupleHeaderData *old, HeapTupleHeaderData *new, TransactionId xid, CommandId cid, bint lockers_gone,
) except -1:
    """Header of the new version: lockers that still hold the old one hold it too."""
    cdef uint16_t infomask = HEAP_XMAX_INVALID
    cdef uint16_t infomask2 = 0
    cdef TransactionId xmax = InvalidTransactionId
    if not (old.t_infomask & HEAP_XMAX_INVALID or xmax_locked_upgraded(old.t_infomask) or lockers_gone):
        xmax = old.t_xmax
    if xmax != InvalidTransactionId:
        if old.t_infomask & HEAP_XMAX_IS_MULTI:
            multixact_hint_bits(xmax, &infomask, &infomask2)
        else:
            infomask = HEAP_XMAX_KEYSHR_LOCK | HEAP_XMAX_LOCK_ONLY
    new.t_infomask &= <uint16_t> (~HEAP_XACT_MASK & 0xFFFF)
    new.t_infomask2 &= <uint16_t> (~HEAP2_XACT_MASK & 0xFFFF)
    new.t_xmin = xid
    new.t_cid = cid
    new.t_infomask |= HEAP_UPDATED | infomask
    new.t_infomask2 |= infomask2
    new.t_xmax = xmax
    return 0


cdef int heap_update(
    Relation rel, const ItemPointerData *otid, HeapTupleData *newtup, CommandId cid, Snapshot crosscheck, bint wait,
    TM_FailureData *tmfd, int *lockmode, int *update_indexes,
) except -1:
    cdef TransactionId xid = get_current_transaction_id()
    cdef BlockNumber block = tid_block(otid)
    cdef HeapTupleData old
    cdef HeapTupleData *heaptup
    cdef HeapTupleData *old_key
    cdef ItemIdData *lp
    cdef char *page
    cdef int buf, newbuf, result, kinds, status
    cdef int vm_buf = 0
    cdef int vm_buf_new = 0
    cdef bint have_lock = False
    cdef bint key_intact, id_external, iscombo, need_toast, copied
    cdef bint use_hot = False
    cdef bint cleared = False
    cdef bint new_cleared = False
    cdef size_t page_free, new_size
    cdef CommandId cmax
    cdef NewXmax xmax_old
    cdef NewXmax xmax_lock
    cdef UpdateWait waited
    cdef Lsn lsn
    ensure_indexed_attrs(rel)
    buf = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    page = buffer_page(buf)
    if page_is_all_visible(page):
        visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
    lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
    lp = page_get_item_id(page, tid_offset(otid))
    if not item_id_is_normal(lp):
        # A catalog row found through the cache, deleted and pruned meanwhile.
        unlock_release_buffer(buf)
        if vm_buf:
            release_buffer(vm_buf)
        tmfd.ctid = otid[0]
        tmfd.xmax = InvalidTransactionId
        tmfd.cmax = 0xFFFFFFFF
        update_indexes[0] = TU_None
        lockmode[0] = LockTupleExclusive
        return TM_Deleted
    old.t_tableOid = rel.rd_id
    old.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
    old.t_len = item_id_get_length(lp)
    old.t_self = otid[0]
    newtup.t_tableOid = rel.rd_id

    kinds = changed_attribute_kinds(rel, &old, newtup, &id_external)
    if not kinds & ATTR_KEY:
        lockmode[0] = LockTupleNoKeyExclusive
        status = MultiXactStatusNoKeyUpdate
        key_intact = True
        # Before looking at xmax: a multixact made from now on must not be taken for too old to matter.
        multixact_id_set_oldest_member()
    else:
        lockmode[0] = LockTupleExclusive
        status = MultiXactStatusUpdate
        key_intact = False

    while True:
        waited.checked_lockers = waited.locker_remains = False
        result = tuple_satisfies_update(&old, cid, buf)
        if result == TM_Invisible:
            unlock_release_buffer(buf)
            raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE, "attempted to update invisible tuple")
        if result == TM_BeingModified and wait:
            wait_for_lockers(rel, &old, buf, lockmode[0], status, key_intact, &have_lock, &waited)
            if waited.again:
                continue
            result = waited.result
        if crosscheck is not None and result == TM_Ok and not tuple_satisfies_visibility(&old, crosscheck, buf):
            result = TM_Updated
        if result != TM_Ok:
            fill_failure(&old, result, tmfd)
            unlock_release_buffer(buf)
            if have_lock:
                release_tuple_lock(rel, &old.t_self, lockmode[0])
            if vm_buf:
                release_buffer(vm_buf)
            update_indexes[0] = TU_None
            return result
        if vm_buf == 0 and page_is_all_visible(page):
            lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            continue
        break

    compute_new_xmax(old.t_data.t_xmax, old.t_data.t_infomask, old.t_data.t_infomask2, xid, lockmode[0], True,
                     &xmax_old)
    prepare_new_version(old.t_data, newtup.t_data, xid, cid, waited.checked_lockers and not waited.locker_remains)
    cmax = cid
    adjust_cmax(old.t_data, &cmax, &iscombo)

    need_toast = is_toastable(rel) and (
        (old.t_data.t_infomask | newtup.t_data.t_infomask) & HEAP_HASEXTERNAL or newtup.t_len > TOAST_TUPLE_THRESHOLD)
    page_free = page_get_heap_free_space(page)
    new_size = maxalign(newtup.t_len)
    heaptup = newtup
    newbuf = buf
    if need_toast or new_size > page_free:
        compute_new_xmax(old.t_data.t_xmax, old.t_data.t_infomask, old.t_data.t_infomask2, xid, lockmode[0], False,
                         &xmax_lock)
        lock_old_version(rel, &old, buf, vm_buf, &xmax_lock, cmax, iscombo)
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        if need_toast:
            if _heap.toast_insert_hook == NULL:
                raise feature_not_supported("storing wide rows without access.toast loaded")
            heaptup = _heap.toast_insert_hook(rel, newtup, &old, 0)
            new_size = maxalign(heaptup.t_len)
        while True:
            if new_size > page_free:
                newbuf = buffer_for_tuple(rel, heaptup.t_len, buf, 0, None, &vm_buf_new, &vm_buf, 0)
                break
            if vm_buf == 0 and page_is_all_visible(page):
                visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            page_free = page_get_heap_free_space(page)
            if new_size > page_free or (vm_buf == 0 and page_is_all_visible(page)):
                lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                continue
            break

    if newbuf == buf:
        use_hot = not kinds & ATTR_HOT_BLOCKING
    else:
        page_set_flag(page, PD_PAGE_FULL)       # a hint: pruning pays here
    old_key = replica_identity_tuple(rel, &old, kinds & ATTR_IDENTITY or id_external, &copied)

    critical_start()
    page_set_prunable(page, xid)
    if use_hot:
        old.t_data.t_infomask2 |= HEAP_HOT_UPDATED
        heaptup.t_data.t_infomask2 |= HEAP_ONLY_TUPLE
        newtup.t_data.t_infomask2 |= HEAP_ONLY_TUPLE
    else:
        old.t_data.t_infomask2 &= <uint16_t> (~HEAP_HOT_UPDATED & 0xFFFF)
        heaptup.t_data.t_infomask2 &= <uint16_t> (~HEAP_ONLY_TUPLE & 0xFFFF)
        newtup.t_data.t_infomask2 &= <uint16_t> (~HEAP_ONLY_TUPLE & 0xFFFF)
    put_heap_tuple(newbuf, heaptup, False)
    set_old_xmax(old.t_data, &xmax_old, cmax, iscombo)
    old.t_data.t_ctid = heaptup.t_self
    if page_is_all_visible(page):
        cleared = True
        page_clear_flag(page, PD_ALL_VISIBLE)
        visibilitymap_clear(block, vm_buf, VISIBILITYMAP_VALID_BITS)
    if newbuf != buf and page_is_all_visible(buffer_page(newbuf)):
        new_cleared = True
        page_clear_flag(buffer_page(newbuf), PD_ALL_VISIBLE)
        visibilitymap_clear(buffer_block(newbuf), vm_buf_new, VISIBILITYMAP_VALID_BITS)
    if newbuf != buf:
        mark_buffer_dirty(newbuf)
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        if relation_is_accessible_in_logical_decoding(rel):
            log_new_cid(rel, &old)
            log_new_cid(rel, heaptup)
        lsn = log_update(rel, buf, &old, newbuf, heaptup, old_key, cleared, new_cleared)
        if newbuf != buf:
            page_set_lsn(buffer_page(newbuf), lsn)
        page_set_lsn(page, lsn)
    critical_end()

    if newbuf != buf:
        lock_buffer(newbuf, BUFFER_LOCK_UNLOCK)
    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
    if rel.is_catalog and _heap.invalidate_heap_tuple_hook != NULL:
        _heap.invalidate_heap_tuple_hook(rel, &old, heaptup)
    if newbuf != buf:
        release_buffer(newbuf)
    release_buffer(buf)
    if vm_buf_new:
        release_buffer(vm_buf_new)
    if vm_buf:
        release_buffer(vm_buf)
    if have_lock:
        release_tuple_lock(rel, &old.t_self, lockmode[0])
    count_updated(rel.counts, use_hot, newbuf != buf)
    if heaptup != newtup:
        newtup.t_self = heaptup.t_self
        free(heaptup)
    if copied:
        free(old_key)
    if not use_hot:
        update_indexes[0] = TU_All
    else:
        update_indexes[0] = TU_Summarizing if kinds & ATTR_SUMMARIZED else TU_None
    return TM_Ok


cdef int simple_heap_update(
    Relation rel, const ItemPointerData *otid, HeapTupleData *newtup, int *update_indexes,
) except -1:
    cdef TM_FailureData tmfd
    cdef int lockmode
    cdef int result = heap_update(rel, otid, newtup, get_current_command_id(True), None, True, &tmfd, &lockmode,
                                  update_indexes)
    if result == TM_SelfModified:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple already updated by self")
    if result == TM_Updated:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple concurrently updated")
    if result == TM_Deleted:
        raise SqlError(errcode.INTERNAL_ERROR, "tuple concurrently deleted")
    return 0

"""Row locks: FOR KEY SHARE, SHARE, NO KEY UPDATE, UPDATE, along update chains where asked (README rule 9).

A lock is xmax with lock-only bits, in the tuple itself. Who must wait queues up on a heavyweight tuple lock first, so
that waiters get their turn in order, and then waits for the holder's transaction to end.
"""

from libc.stdint cimport uint16_t
from libc.stdlib cimport free
from tusk._types cimport (
    MAIN_FORK, BlockNumber, CommandId, InvalidTransactionId, ItemPointerData, Lsn, TransactionId, tid_block,
    tid_offset,
)
from tusk.access._relation cimport Relation, relation_needs_wal
from tusk.access._tuple cimport (
    HEAP_HOT_UPDATED, HEAP_KEYS_UPDATED, HEAP_XMAX_BITS, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI, HeapTupleData,
    HeapTupleHeaderData, tuple_moved_partitions, tuple_xmin, xmax_is_locked_only,
)
from tusk.access.heap._heap cimport (
    LockTupleExclusive, LockTupleKeyShare, LockTupleNoKeyExclusive, LockTupleShare, TM_BeingModified, TM_Deleted,
    TM_FailureData, TM_Invisible, TM_Ok, TM_SelfModified, TM_Updated, TM_WouldBlock, fill_failure,
)
from tusk.access.heap._records cimport *
from tusk.access.heap._scan cimport heap_fetch
from tusk.access.heap._visibility cimport (
    multixact_update_xid, tuple_cmin, tuple_is_only_locked, tuple_satisfies_update, tuple_update_xid,
)
from tusk.access.heap._xmax cimport (
    NewXmax, acquire_tuple_lock, compute_infobits, compute_new_xmax, hwlock_of_mode, lock_mode_of_status,
    multixact_conflicts, multixact_wait, release_tuple_lock, status_for_lock, update_xmax_hint_bits,
    xmax_infomask_changed, xmax_is_excl_locked, xmax_is_keyshr_locked, xmax_is_shr_locked,
)
from tusk.errors import SqlError, errcode
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE, BUFFER_LOCK_UNLOCK, RBM_NORMAL, buffer_block, buffer_page, lock_buffer, mark_buffer_dirty,
    read_buffer, release_buffer, unlock_release_buffer,
)
from tusk.storage._page cimport (
    ItemIdData, item_id_get_length, page_get_item, page_get_item_id, page_is_all_visible, page_set_lsn,
)
from tusk.storage._visibilitymap cimport VISIBILITYMAP_ALL_FROZEN, visibilitymap_clear, visibilitymap_pin
from tusk.transaction._lock cimport (
    LockWaitBlock, LockWaitSkip, XLTW_FetchUpdated, XLTW_Lock, XLTW_LockUpdated, conditional_xact_lock_table_wait,
    do_lock_modes_conflict, xact_lock_table_wait,
)
from tusk.transaction._multixact cimport (
    MultiXactMember, MultiXactStatusForKeyShare, MultiXactStatusForNoKeyUpdate, MultiXactStatusForShare,
    MultiXactStatusForUpdate, MultiXactStatusNoKeyUpdate, MultiXactStatusUpdate, get_multixact_id_members,
    multixact_id_set_oldest_member,
)
from tusk.transaction cimport _snapshot
from tusk.transaction._snapshot cimport (
    Snapshot, make_dirty_snapshot, transaction_id_did_abort, transaction_id_did_commit,
    transaction_id_is_in_progress,
)
from tusk.transaction._xact cimport get_current_transaction_id, transaction_id_is_current
from tusk.wal._insert cimport (
    REGBUF_STANDARD, xlog_begin_insert, xlog_insert, xlog_register_buffer, xlog_register_data,
)
from tusk.wal._record cimport RM_HEAP2_ID, RM_HEAP_ID

cdef enum:              # answers of hold_already and sleep steps
    GO_ON = -2
    AGAIN = -4


cdef inline bint same_tid(const ItemPointerData *a, const ItemPointerData *b) noexcept nogil:
    return a.bi_hi == b.bi_hi and a.bi_lo == b.bi_lo and a.ip_posid == b.ip_posid


cdef int own_lock_suffices(TransactionId xwait, uint16_t infomask, uint16_t infomask2, int mode, bint *member) except -1:
    """Whether this transaction holds the tuple that strongly already; *member: it holds it less strongly, so it must
    not queue behind those who wait for it."""
    cdef MultiXactMember *members = NULL
    cdef int i, n
    cdef int answer = 0
    if infomask & HEAP_XMAX_IS_MULTI:
        n = get_multixact_id_members(xwait, &members, False, xmax_is_locked_only(infomask))
        for i in range(n):
            if transaction_id_is_current(members[i].xid):
                if lock_mode_of_status(members[i].status) >= mode:
                    answer = 1
                    break
                member[0] = True
        free(members)
        return answer
    if not transaction_id_is_current(xwait):
        return 0
    if mode == LockTupleKeyShare:
        return 1
    if mode == LockTupleShare:
        return xmax_is_shr_locked(infomask) or xmax_is_excl_locked(infomask)
    if mode == LockTupleNoKeyExclusive:
        return xmax_is_excl_locked(infomask)
    return xmax_is_excl_locked(infomask) and infomask2 & HEAP_KEYS_UPDATED


cdef int row_lock_not_available(Relation rel) except -1:
    raise SqlError(errcode.LOCK_NOT_AVAILABLE, f'could not obtain lock on row in relation "{rel.name}"')


cdef int wait_for_holders(
    Relation rel, HeapTupleData *tup, TransactionId xwait, uint16_t infomask, int mode, int wait_policy,
) except -1:
    """Sleep until those who conflict have ended. 0: would block (LockWaitSkip)."""
    cdef int status
    if infomask & HEAP_XMAX_IS_MULTI:
        status = status_for_lock(mode, False)
        if wait_policy == LockWaitBlock:
            multixact_wait(xwait, status, infomask, False, rel, &tup.t_self, XLTW_Lock, NULL)
            return 1
        if multixact_wait(xwait, status, infomask, True, rel, &tup.t_self, XLTW_Lock, NULL):
            return 1
    else:
        if wait_policy == LockWaitBlock:
            xact_lock_table_wait(xwait, rel.name, &tup.t_self, XLTW_Lock)
            return 1
        if conditional_xact_lock_table_wait(xwait):
            return 1
    if wait_policy == LockWaitSkip:
        return 0
    row_lock_not_available(rel)


cdef int try_without_sleep(
    Relation rel, HeapTupleData *tup, int buf, int mode, TransactionId xwait, uint16_t infomask, uint16_t infomask2,
    const ItemPointerData *ctid, bint follow_updates, int *failure,
) except -1:
    """Whether the present holders leave room for this mode. The buffer comes unlocked. GO_ON: no, it must sleep
    (still unlocked); AGAIN: things changed (locked); 1: yes (locked); 0: *failure is the answer (locked)."""
    cdef bint updated
    cdef int res
    if mode == LockTupleKeyShare and not infomask2 & HEAP_KEYS_UPDATED:
        updated = not xmax_is_locked_only(infomask)
        if follow_updates and updated and not same_tid(&tup.t_self, ctid):
            res = lock_updated_tuple(rel, infomask, xwait, ctid, get_current_transaction_id(), mode)
            if res != TM_Ok:
                lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
                failure[0] = res
                return 0
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        if not tuple_is_only_locked(tup.t_data) and (tup.t_data.t_infomask2 & HEAP_KEYS_UPDATED or not updated):
            return AGAIN
        return 1
    if mode == LockTupleShare and xmax_is_locked_only(infomask) and not xmax_is_excl_locked(infomask):
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        if not xmax_is_locked_only(tup.t_data.t_infomask) or xmax_is_excl_locked(tup.t_data.t_infomask):
            return AGAIN
        return 1
    if mode == LockTupleNoKeyExclusive:
        if infomask & HEAP_XMAX_IS_MULTI:
            if not multixact_conflicts(xwait, infomask, mode, NULL):
                lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
                return AGAIN if xmax_changed(tup, infomask, xwait) else 1
        elif xmax_is_keyshr_locked(infomask):
            lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
            return AGAIN if xmax_changed(tup, infomask, xwait) else 1
    if not infomask & HEAP_XMAX_IS_MULTI and transaction_id_is_current(xwait):
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        return AGAIN if xmax_changed(tup, infomask, xwait) else 1
    return GO_ON


cdef inline bint xmax_changed(HeapTupleData *tup, uint16_t infomask, TransactionId xwait) noexcept:
    return xmax_infomask_changed(tup.t_data.t_infomask, infomask) or tup.t_data.t_xmax != xwait


cdef int heap_lock_tuple(
    Relation rel, HeapTupleData *tup, CommandId cid, int mode, int wait_policy, bint follow_updates, int *buf,
    TM_FailureData *tmfd,
) except -1:
    cdef ItemPointerData tid = tup.t_self
    cdef ItemPointerData ctid
    cdef BlockNumber block = tid_block(&tid)
    cdef TransactionId xwait
    cdef uint16_t infomask, infomask2
    cdef char *page
    cdef ItemIdData *lp
    cdef int vm_buf = 0
    cdef int result, step, res
    cdef int failure = TM_Ok
    cdef bint first_time = True
    cdef bint skip_queue = False
    cdef bint have_lock = False
    cdef bint slept
    buf[0] = read_buffer(&rel.rd_locator, rel.relpersistence, MAIN_FORK, block, RBM_NORMAL, NULL)
    page = buffer_page(buf[0])
    if page_is_all_visible(page):
        visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
    lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
    lp = page_get_item_id(page, tid_offset(&tid))
    tup.t_data = <HeapTupleHeaderData *> page_get_item(page, lp)
    tup.t_len = item_id_get_length(lp)
    tup.t_tableOid = rel.rd_id

    while True:
        result = tuple_satisfies_update(tup, cid, buf[0])
        if result == TM_Invisible:
            break
        if result == TM_BeingModified or result == TM_Updated or result == TM_Deleted:
            xwait = tup.t_data.t_xmax
            infomask = tup.t_data.t_infomask
            infomask2 = tup.t_data.t_infomask2
            ctid = tup.t_data.t_ctid
            lock_buffer(buf[0], BUFFER_LOCK_UNLOCK)
            if first_time:
                first_time = False
                if own_lock_suffices(xwait, infomask, infomask2, mode, &skip_queue):
                    return finish(rel, &tid, mode, vm_buf, have_lock, TM_Ok)
            slept = False
            step = try_without_sleep(rel, tup, buf[0], mode, xwait, infomask, infomask2, &ctid, follow_updates,
                                     &failure)
            if step == AGAIN:
                continue
            if step == 0:
                result = failure
            elif step == GO_ON and (result == TM_Updated or result == TM_Deleted):
                lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
            elif step == GO_ON:
                slept = True
                if not skip_queue and not acquire_tuple_lock(rel, &tid, mode, wait_policy, &have_lock):
                    result = TM_WouldBlock
                elif not wait_for_holders(rel, tup, xwait, infomask, mode, wait_policy):
                    result = TM_WouldBlock
                elif follow_updates and not xmax_is_locked_only(infomask) and not same_tid(&tup.t_self, &ctid):
                    res = lock_updated_tuple(rel, infomask, xwait, &ctid, get_current_transaction_id(), mode)
                    if res != TM_Ok:
                        result = res
                lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
                if result == TM_BeingModified:
                    if xmax_changed(tup, infomask, xwait):
                        continue
                    if not infomask & HEAP_XMAX_IS_MULTI:
                        update_xmax_hint_bits(tup.t_data, buf[0], xwait)
            if step == 1 or (slept and result == TM_BeingModified):
                if not slept or tup.t_data.t_infomask & HEAP_XMAX_INVALID \
                        or xmax_is_locked_only(tup.t_data.t_infomask) or tuple_is_only_locked(tup.t_data):
                    result = TM_Ok
                elif same_tid(&tup.t_self, &tup.t_data.t_ctid):
                    result = TM_Deleted
                else:
                    result = TM_Updated
        if result != TM_Ok:
            fill_failure(tup, result, tmfd)
            break
        if vm_buf == 0 and page_is_all_visible(page):
            lock_buffer(buf[0], BUFFER_LOCK_UNLOCK)
            visibilitymap_pin(&rel.rd_locator, rel.relpersistence, block, &vm_buf)
            lock_buffer(buf[0], BUFFER_LOCK_EXCLUSIVE)
            continue
        mark_locked(rel, tup, &tid, mode, buf[0], vm_buf)
        break
    lock_buffer(buf[0], BUFFER_LOCK_UNLOCK)
    return finish(rel, &tid, mode, vm_buf, have_lock, result)


cdef int finish(
    Relation rel, const ItemPointerData *tid, int mode, int vm_buf, bint have_lock, int result,
) except -1:
    if vm_buf:
        release_buffer(vm_buf)
    if have_lock:
        release_tuple_lock(rel, tid, mode)
    return result


cdef int mark_locked(
    Relation rel, HeapTupleData *tup, const ItemPointerData *tid, int mode, int buf, int vm_buf,
) except -1:
    """Write the lock into the tuple and the WAL; the buffer is locked."""
    cdef NewXmax new
    cdef xl_heap_lock rec
    cdef char *page = buffer_page(buf)
    cdef bint cleared = False
    cdef TransactionId xid = get_current_transaction_id()
    cdef Lsn lsn
    multixact_id_set_oldest_member()
    compute_new_xmax(tup.t_data.t_xmax, tup.t_data.t_infomask, tup.t_data.t_infomask2, xid, mode, False, &new)
    critical_start()
    tup.t_data.t_infomask &= <uint16_t> (~HEAP_XMAX_BITS & 0xFFFF)
    tup.t_data.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
    tup.t_data.t_infomask |= new.infomask
    tup.t_data.t_infomask2 |= new.infomask2
    if xmax_is_locked_only(new.infomask):
        # Nobody updates it now: what a failed update left behind goes.
        tup.t_data.t_infomask2 &= <uint16_t> (~HEAP_HOT_UPDATED & 0xFFFF)
        tup.t_data.t_ctid = tid[0]
    tup.t_data.t_xmax = new.xmax
    if page_is_all_visible(page) and visibilitymap_clear(buffer_block(buf), vm_buf, VISIBILITYMAP_ALL_FROZEN):
        cleared = True
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        rec.offnum = tid_offset(tid)
        rec.xmax = new.xmax
        rec.infobits_set = compute_infobits(new.infomask, tup.t_data.t_infomask2)
        rec.flags = XLH_LOCK_ALL_FROZEN_CLEARED if cleared else 0
        xlog_begin_insert()
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        xlog_register_data(&rec, sizeof(rec))
        lsn = xlog_insert(RM_HEAP_ID, XLOG_HEAP_LOCK)
        page_set_lsn(page, lsn)
    critical_end()
    return 0


# -- Locking the newer versions of a tuple --

cdef int test_conflict(int status, TransactionId xid, int mode, HeapTupleData *tup, bint *need_wait) except -1:
    """What a present holder of a version means for a lock of this mode: TM_Ok, TM_SelfModified (ours already),
    TM_Updated, TM_Deleted; *need_wait: it must end first."""
    cdef bint conflict
    need_wait[0] = False
    if transaction_id_is_current(xid):
        return TM_SelfModified
    conflict = do_lock_modes_conflict(hwlock_of_mode(lock_mode_of_status(status)), hwlock_of_mode(mode))
    if transaction_id_is_in_progress(xid):
        need_wait[0] = conflict
        return TM_Ok
    if status >= MultiXactStatusNoKeyUpdate and conflict and transaction_id_did_commit(xid):
        return TM_Deleted if same_tid(&tup.t_self, &tup.t_data.t_ctid) else TM_Updated
    return TM_Ok


cdef int status_of_xmax(uint16_t infomask, uint16_t infomask2) except -1:
    """How a plain (not multixact) xmax holds its tuple."""
    if not xmax_is_locked_only(infomask):
        return MultiXactStatusUpdate if infomask2 & HEAP_KEYS_UPDATED else MultiXactStatusNoKeyUpdate
    if xmax_is_keyshr_locked(infomask):
        return MultiXactStatusForKeyShare
    if xmax_is_shr_locked(infomask):
        return MultiXactStatusForShare
    if xmax_is_excl_locked(infomask):
        return MultiXactStatusForUpdate if infomask2 & HEAP_KEYS_UPDATED else MultiXactStatusForNoKeyUpdate
    raise SqlError(errcode.INTERNAL_ERROR, "invalid lock status in tuple")


cdef int check_version(Relation rel, HeapTupleData *tup, int buf, int mode, bint *waited) except -1:
    """Test the holders of a version; the buffer is locked before and after. *waited: slept, look again."""
    cdef uint16_t infomask = tup.t_data.t_infomask
    cdef TransactionId xmax = tup.t_data.t_xmax
    cdef MultiXactMember *members = NULL
    cdef bint need_wait = False
    cdef int result = TM_Ok
    cdef int i, n
    waited[0] = False
    if infomask & HEAP_XMAX_INVALID:
        return TM_Ok
    if infomask & HEAP_XMAX_IS_MULTI:
        n = get_multixact_id_members(xmax, &members, False, xmax_is_locked_only(infomask))
        for i in range(n):
            xmax = members[i].xid
            result = test_conflict(members[i].status, xmax, mode, tup, &need_wait)
            if need_wait or result != TM_Ok:
                break
        free(members)
    else:
        result = test_conflict(status_of_xmax(infomask, tup.t_data.t_infomask2), xmax, mode, tup, &need_wait)
    if need_wait:
        lock_buffer(buf, BUFFER_LOCK_UNLOCK)
        xact_lock_table_wait(xmax, rel.name, &tup.t_self, XLTW_LockUpdated)
        lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
        waited[0] = True
    return result


cdef int mark_updated_locked(
    Relation rel, HeapTupleData *tup, TransactionId xid, int mode, int buf, int vm_buf,
) except -1:
    cdef NewXmax new
    cdef xl_heap_lock rec
    cdef char *page = buffer_page(buf)
    cdef bint cleared = False
    cdef Lsn lsn
    compute_new_xmax(tup.t_data.t_xmax, tup.t_data.t_infomask, tup.t_data.t_infomask2, xid, mode, False, &new)
    critical_start()
    if page_is_all_visible(page) and visibilitymap_clear(buffer_block(buf), vm_buf, VISIBILITYMAP_ALL_FROZEN):
        cleared = True
    tup.t_data.t_xmax = new.xmax
    tup.t_data.t_infomask &= <uint16_t> (~HEAP_XMAX_BITS & 0xFFFF)
    tup.t_data.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
    tup.t_data.t_infomask |= new.infomask
    tup.t_data.t_infomask2 |= new.infomask2
    mark_buffer_dirty(buf)
    if relation_needs_wal(rel):
        rec.offnum = tid_offset(&tup.t_self)
        rec.xmax = new.xmax
        rec.infobits_set = compute_infobits(new.infomask, new.infomask2)
        rec.flags = XLH_LOCK_ALL_FROZEN_CLEARED if cleared else 0
        xlog_begin_insert()
        xlog_register_buffer(0, buf, REGBUF_STANDARD)
        xlog_register_data(&rec, sizeof(rec))
        lsn = xlog_insert(RM_HEAP2_ID, XLOG_HEAP2_LOCK_UPDATED)
        page_set_lsn(page, lsn)
    critical_end()
    return 0


cdef int lock_updated_tuple(
    Relation rel, uint16_t prior_infomask, TransactionId prior_raw_xmax, const ItemPointerData *prior_ctid,
    TransactionId xid, int mode,
) except -1:
    """Lock every newer version along the update chain (heap_lock_updated_tuple)."""
    cdef TransactionId prior
    cdef ItemPointerData next_tid = prior_ctid[0]
    cdef HeapTupleData tup
    cdef int buf = 0
    cdef int vm_buf = 0
    cdef int result = TM_Ok
    cdef bint waited
    if next_tid.ip_posid == 0xFFFD and next_tid.bi_hi == 0xFFFF and next_tid.bi_lo == 0xFFFF:
        return TM_Ok                    # moved to another partition: the chain ends here
    if prior_infomask & HEAP_XMAX_IS_MULTI:
        prior = multixact_update_xid(prior_raw_xmax, prior_infomask)
    else:
        prior = prior_raw_xmax
    multixact_id_set_oldest_member()
    try:
        while True:
            tup.t_self = next_tid
            if not heap_fetch(rel, _snapshot.SnapshotAny, &tup, &buf, False):
                return TM_Ok            # pruned away: nobody will update it
            while True:
                check_for_interrupts()
                if page_is_all_visible(buffer_page(buf)):
                    visibilitymap_pin(&rel.rd_locator, rel.relpersistence, tid_block(&next_tid), &vm_buf)
                lock_buffer(buf, BUFFER_LOCK_EXCLUSIVE)
                if vm_buf == 0 and page_is_all_visible(buffer_page(buf)):
                    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                    continue
                # Is it the next in the chain, or another tuple in a place used again?
                if (prior != InvalidTransactionId and tuple_xmin(tup.t_data) != prior) or \
                        transaction_id_did_abort(tuple_xmin(tup.t_data)):
                    result = TM_Ok
                    lock_buffer(buf, BUFFER_LOCK_UNLOCK)
                    release_buffer(buf)
                    return result
                result = check_version(rel, &tup, buf, mode, &waited)
                if not waited:
                    break
                lock_buffer(buf, BUFFER_LOCK_UNLOCK)
            if result == TM_Updated or result == TM_Deleted:
                unlock_release_buffer(buf)
                return result
            if result != TM_SelfModified:
                mark_updated_locked(rel, &tup, xid, mode, buf, vm_buf)
            if tup.t_data.t_infomask & HEAP_XMAX_INVALID or tuple_moved_partitions(tup.t_data) \
                    or same_tid(&tup.t_self, &tup.t_data.t_ctid) or tuple_is_only_locked(tup.t_data):
                unlock_release_buffer(buf)
                return TM_Ok
            prior = tuple_update_xid(tup.t_data)
            next_tid = tup.t_data.t_ctid
            unlock_release_buffer(buf)
    finally:
        if vm_buf:
            release_buffer(vm_buf)


# -- Finding the newest version --

cdef int next_version(
    Relation rel, ItemPointerData *tid, HeapTupleData *tup, TransactionId *prior, CommandId cid, int wait_policy,
    TM_FailureData *tmfd,
) except -1:
    """Follow the update chain from *tid to a version that is live or being changed by nobody: TM_Ok with *tid at it,
    or the reason there is none. Waits for uncommitted changes on the way."""
    cdef Snapshot dirty = make_dirty_snapshot()
    cdef int buf = 0
    cdef int found
    while True:
        if tid.ip_posid == 0xFFFD and tid.bi_hi == 0xFFFF and tid.bi_lo == 0xFFFF:
            raise SqlError(errcode.T_R_SERIALIZATION_FAILURE,
                           "tuple to be locked was already moved to another partition due to concurrent update")
        tup.t_self = tid[0]
        found = heap_fetch(rel, dirty, tup, &buf, True)
        if not found and buf == 0:
            return TM_Deleted
        if tuple_xmin(tup.t_data) != prior[0]:
            release_buffer(buf)
            return TM_Deleted               # the place is used for another row by now
        if found:
            if dirty.xmin != InvalidTransactionId:
                release_buffer(buf)
                raise SqlError(errcode.DATA_CORRUPTED,
                               f"t_xmin {dirty.xmin} is uncommitted in tuple ({tid_block(tid)},{tid_offset(tid)}) "
                               f'to be updated in table "{rel.name}"')
            if dirty.xmax != InvalidTransactionId:
                release_buffer(buf)
                if wait_policy == LockWaitBlock:
                    xact_lock_table_wait(dirty.xmax, rel.name, &tup.t_self, XLTW_FetchUpdated)
                elif not conditional_xact_lock_table_wait(dirty.xmax):
                    if wait_policy == LockWaitSkip:
                        return TM_WouldBlock
                    row_lock_not_available(rel)
                continue
            if transaction_id_is_current(prior[0]) and tuple_cmin(tup.t_data) >= cid:
                # Our own command made this version: the row has been changed by it already.
                tmfd.xmax = prior[0]
                tmfd.cmax = tuple_cmin(tup.t_data)
                release_buffer(buf)
                return TM_SelfModified
            release_buffer(buf)
            return TM_Ok
        if same_tid(&tup.t_self, &tup.t_data.t_ctid):
            release_buffer(buf)
            return TM_Deleted
        tid[0] = tup.t_data.t_ctid
        prior[0] = tuple_update_xid(tup.t_data)
        release_buffer(buf)


cdef int table_tuple_lock(
    Relation rel, ItemPointerData *tid, HeapTupleData *tup, CommandId cid, int mode, int wait_policy,
    bint follow_updates, bint find_latest, int *buf, TM_FailureData *tmfd,
) except -1:
    cdef int result
    cdef TransactionId prior
    tmfd.traversed = False
    while True:
        tup.t_self = tid[0]
        result = heap_lock_tuple(rel, tup, cid, mode, wait_policy, follow_updates, buf, tmfd)
        if result == TM_Ok:
            return result
        release_buffer(buf[0])
        buf[0] = 0
        if result != TM_Updated or not find_latest:
            return result
        if same_tid(&tmfd.ctid, &tup.t_self):
            return TM_Deleted
        tid[0] = tmfd.ctid
        prior = tmfd.xmax
        tmfd.traversed = True
        result = next_version(rel, tid, tup, &prior, cid, wait_policy, tmfd)
        if result != TM_Ok:
            return result

"""Combining lockers and updaters of one tuple in xmax: alone, or as a multixact.

The four strengths and which exclude each other:

                        key share   share   no key update   update
    FOR KEY SHARE           -         -           -            x
    FOR SHARE               -         -           x            x
    FOR NO KEY UPDATE       -         x           x            x
    FOR UPDATE              x         x           x            x

An update that leaves the key columns alone counts as no key update, all other changes as update.
"""

from libc.stdint cimport uint8_t, uint16_t
from libc.stdlib cimport free
from tusk._types cimport CommandId, InvalidTransactionId, ItemPointerData, TransactionId
from tusk.access._relation cimport Relation
from tusk.access._tuple cimport (
    HEAP_KEYS_UPDATED, HEAP_XMAX_COMMITTED, HEAP_XMAX_INVALID, HEAP_XMIN_COMMITTED, HeapTupleHeaderData,
    xmax_is_locked_only, xmax_locked_upgraded,
)
from tusk.access.heap._heap cimport LockTupleExclusive, LockTupleKeyShare, LockTupleNoKeyExclusive, LockTupleShare
from tusk.access.heap._records cimport (
    XLHL_KEYS_UPDATED, XLHL_XMAX_EXCL_LOCK, XLHL_XMAX_IS_MULTI, XLHL_XMAX_KEYSHR_LOCK, XLHL_XMAX_LOCK_ONLY,
)
from tusk.access.heap._visibility cimport multixact_update_xid, set_hint_bits, tuple_cmin
from tusk.errors import SqlError, errcode
from tusk.transaction._combocid cimport get_combo_command_id
from tusk.transaction._lock cimport (
    AccessExclusiveLock, AccessShareLock, ExclusiveLock, LockWaitBlock, LockWaitSkip, RowShareLock,
    conditional_lock_tuple, conditional_xact_lock_table_wait, do_lock_modes_conflict, lock_tuple, unlock_tuple,
    xact_lock_table_wait,
)
from tusk.transaction._multixact cimport (
    MultiXactMember, MultiXactStatusForKeyShare, MultiXactStatusForNoKeyUpdate, MultiXactStatusForShare,
    MultiXactStatusForUpdate, MultiXactStatusNoKeyUpdate, MultiXactStatusUpdate, get_multixact_id_members,
    multixact_id_create, multixact_id_expand, multixact_id_is_running,
)
from tusk.transaction._snapshot cimport (
    transaction_id_did_abort, transaction_id_did_commit, transaction_id_is_in_progress,
)
from tusk.transaction._xact cimport transaction_id_is_current


cdef int lock_mode_of_status(int status) noexcept nogil:
    if status == MultiXactStatusForKeyShare:
        return LockTupleKeyShare
    if status == MultiXactStatusForShare:
        return LockTupleShare
    if status == MultiXactStatusForNoKeyUpdate or status == MultiXactStatusNoKeyUpdate:
        return LockTupleNoKeyExclusive
    return LockTupleExclusive


cdef int hwlock_of_mode(int mode) noexcept nogil:
    if mode == LockTupleKeyShare:
        return AccessShareLock
    if mode == LockTupleShare:
        return RowShareLock
    if mode == LockTupleNoKeyExclusive:
        return ExclusiveLock
    return AccessExclusiveLock


cdef inline int hwlock_of_status(int status) noexcept nogil:
    return hwlock_of_mode(lock_mode_of_status(status))


cdef int status_for_lock(int mode, bint is_update) noexcept nogil:
    if is_update:
        return MultiXactStatusUpdate if mode == LockTupleExclusive else MultiXactStatusNoKeyUpdate
    if mode == LockTupleKeyShare:
        return MultiXactStatusForKeyShare
    if mode == LockTupleShare:
        return MultiXactStatusForShare
    if mode == LockTupleNoKeyExclusive:
        return MultiXactStatusForNoKeyUpdate
    return MultiXactStatusForUpdate


cdef uint8_t compute_infobits(uint16_t infomask, uint16_t infomask2) noexcept nogil:
    """xmax's bits as WAL records carry them."""
    cdef uint8_t bits = 0
    if infomask & HEAP_XMAX_IS_MULTI:
        bits |= XLHL_XMAX_IS_MULTI
    if infomask & HEAP_XMAX_LOCK_ONLY:
        bits |= XLHL_XMAX_LOCK_ONLY
    if infomask & HEAP_XMAX_EXCL_LOCK:
        bits |= XLHL_XMAX_EXCL_LOCK
    if infomask & HEAP_XMAX_KEYSHR_LOCK:
        bits |= XLHL_XMAX_KEYSHR_LOCK
    if infomask2 & HEAP_KEYS_UPDATED:
        bits |= XLHL_KEYS_UPDATED
    return bits


cdef int multixact_hint_bits(TransactionId multi, uint16_t *infomask, uint16_t *infomask2) except -1:
    """The infomask bits of a tuple whose xmax is this multixact: its strongest lock, and whether it updates."""
    cdef MultiXactMember *members = NULL
    cdef int i, mode
    cdef int strongest = LockTupleKeyShare
    cdef bint has_update = False
    cdef int n = get_multixact_id_members(multi, &members, False, False)
    infomask[0] = HEAP_XMAX_IS_MULTI
    infomask2[0] = 0
    for i in range(n):
        mode = lock_mode_of_status(members[i].status)
        if mode > strongest:
            strongest = mode
        if members[i].status == MultiXactStatusForUpdate or members[i].status == MultiXactStatusUpdate:
            infomask2[0] |= HEAP_KEYS_UPDATED
        if members[i].status >= MultiXactStatusNoKeyUpdate:
            has_update = True
    free(members)
    if strongest >= LockTupleNoKeyExclusive:
        infomask[0] |= HEAP_XMAX_EXCL_LOCK
    elif strongest == LockTupleShare:
        infomask[0] |= HEAP_XMAX_SHR_LOCK
    else:
        infomask[0] |= HEAP_XMAX_KEYSHR_LOCK
    if not has_update:
        infomask[0] |= HEAP_XMAX_LOCK_ONLY
    return 0


cdef int with_multixact(
    TransactionId xmax, int old_status, TransactionId add_xid, int new_status, NewXmax *out,
) except -1:
    out.xmax = multixact_id_create(xmax, old_status, add_xid, new_status)
    return multixact_hint_bits(out.xmax, &out.infomask, &out.infomask2)


cdef int alone(TransactionId add_xid, int mode, bint is_update, NewXmax *out) except -1:
    """xmax of a tuple nobody else locks."""
    out.xmax = add_xid
    out.infomask = 0
    out.infomask2 = HEAP_KEYS_UPDATED if mode == LockTupleExclusive else 0
    if not is_update:
        out.infomask = HEAP_XMAX_LOCK_ONLY
        if mode == LockTupleKeyShare:
            out.infomask |= HEAP_XMAX_KEYSHR_LOCK
        elif mode == LockTupleShare:
            out.infomask |= HEAP_XMAX_SHR_LOCK
        else:
            out.infomask |= HEAP_XMAX_EXCL_LOCK
    return 0


cdef int compute_new_xmax(
    TransactionId xmax, uint16_t old_infomask, uint16_t old_infomask2, TransactionId add_xid, int mode,
    bint is_update, NewXmax *out,
) except -1:
    """xmax and its bits after add_xid locks (or updates, deletes) a tuple that has xmax already
    (compute_new_xmax_infomask). The tuple's buffer is locked exclusively; who conflicts has been waited for."""
    cdef int new_status = status_for_lock(mode, is_update)
    cdef int old_status, old_mode
    if old_infomask & HEAP_XMAX_INVALID:
        return alone(add_xid, mode, is_update, out)
    if old_infomask & HEAP_XMAX_IS_MULTI:
        if xmax_locked_upgraded(old_infomask):
            return alone(add_xid, mode, is_update, out)
        if not multixact_id_is_running(xmax, xmax_is_locked_only(old_infomask)):
            if xmax_is_locked_only(old_infomask) or \
                    not transaction_id_did_commit(multixact_update_xid(xmax, old_infomask)):
                return alone(add_xid, mode, is_update, out)
        out.xmax = multixact_id_expand(xmax, add_xid, new_status)
        return multixact_hint_bits(out.xmax, &out.infomask, &out.infomask2)
    if old_infomask & HEAP_XMAX_COMMITTED:
        # A committed update by somebody: locking its old version must not lose it.
        old_status = MultiXactStatusUpdate if old_infomask2 & HEAP_KEYS_UPDATED else MultiXactStatusNoKeyUpdate
        return with_multixact(xmax, old_status, add_xid, new_status, out)
    if transaction_id_is_in_progress(xmax):
        if xmax_is_locked_only(old_infomask):
            if xmax_is_keyshr_locked(old_infomask):
                old_status = MultiXactStatusForKeyShare
            elif xmax_is_shr_locked(old_infomask):
                old_status = MultiXactStatusForShare
            elif xmax_is_excl_locked(old_infomask):
                old_status = MultiXactStatusForUpdate if old_infomask2 & HEAP_KEYS_UPDATED \
                    else MultiXactStatusForNoKeyUpdate
            else:
                return alone(add_xid, mode, is_update, out)
        else:
            old_status = MultiXactStatusUpdate if old_infomask2 & HEAP_KEYS_UPDATED else MultiXactStatusNoKeyUpdate
        if xmax == add_xid:
            old_mode = lock_mode_of_status(old_status)
            return alone(add_xid, mode if mode > old_mode else old_mode, is_update, out)
        return with_multixact(xmax, old_status, add_xid, new_status, out)
    if not xmax_is_locked_only(old_infomask) and transaction_id_did_commit(xmax):
        old_status = MultiXactStatusUpdate if old_infomask2 & HEAP_KEYS_UPDATED else MultiXactStatusNoKeyUpdate
        return with_multixact(xmax, old_status, add_xid, new_status, out)
    return alone(add_xid, mode, is_update, out)


cdef int multixact_conflicts(TransactionId multi, uint16_t infomask, int mode, bint *current_is_member) except -1:
    """Whether any member but us would have to be waited for (DoesMultiXactIdConflict). current_is_member may be
    NULL."""
    cdef MultiXactMember *members = NULL
    cdef int i, n
    cdef int wanted = hwlock_of_mode(mode)
    cdef int result = 0
    cdef TransactionId xid
    if xmax_locked_upgraded(infomask):
        return 0
    n = get_multixact_id_members(multi, &members, False, xmax_is_locked_only(infomask))
    try:
        for i in range(n):
            if result and (current_is_member == NULL or current_is_member[0]):
                break
            xid = members[i].xid
            if transaction_id_is_current(xid):
                if current_is_member != NULL:
                    current_is_member[0] = True
                continue
            if result or not do_lock_modes_conflict(hwlock_of_status(members[i].status), wanted):
                continue
            if members[i].status >= MultiXactStatusNoKeyUpdate:
                if transaction_id_did_abort(xid):
                    continue
            elif not transaction_id_is_in_progress(xid):
                continue
            result = 1
    finally:
        free(members)
    return result


cdef int multixact_wait(
    TransactionId multi, int status, uint16_t infomask, bint nowait, Relation rel, const ItemPointerData *tid,
    int oper, int *remaining,
) except -1:
    cdef MultiXactMember *members = NULL
    cdef int i, n
    cdef int remain = 0
    cdef int result = 1
    cdef int wanted = hwlock_of_status(status)
    if xmax_locked_upgraded(infomask):
        n = 0
    else:
        n = get_multixact_id_members(multi, &members, False, xmax_is_locked_only(infomask))
    try:
        for i in range(n):
            if transaction_id_is_current(members[i].xid):
                remain += 1
                continue
            if not do_lock_modes_conflict(hwlock_of_status(members[i].status), wanted):
                if remaining != NULL and transaction_id_is_in_progress(members[i].xid):
                    remain += 1
                continue
            if nowait:
                if not conditional_xact_lock_table_wait(members[i].xid):
                    result = 0
                    break
            else:
                xact_lock_table_wait(members[i].xid, rel.name, tid, oper)
    finally:
        free(members)
    if remaining != NULL:
        remaining[0] = remain
    return result


cdef int acquire_tuple_lock(Relation rel, const ItemPointerData *tid, int mode, int wait_policy, bint *have) except -1:
    if have[0]:
        return 1
    if wait_policy == LockWaitBlock:
        lock_tuple(rel.lock_db(), rel.rd_id, tid, hwlock_of_mode(mode))
    elif not conditional_lock_tuple(rel.lock_db(), rel.rd_id, tid, hwlock_of_mode(mode)):
        if wait_policy == LockWaitSkip:
            return 0
        raise SqlError(errcode.LOCK_NOT_AVAILABLE, f'could not obtain lock on row in relation "{rel.name}"')
    have[0] = True
    return 1


cdef int release_tuple_lock(Relation rel, const ItemPointerData *tid, int mode) except -1:
    return unlock_tuple(rel.lock_db(), rel.rd_id, tid, hwlock_of_mode(mode))


cdef int update_xmax_hint_bits(HeapTupleHeaderData *tup, int buf, TransactionId xid) except -1:
    """Remember how xid, which has been waited for, ended."""
    if tup.t_infomask & (HEAP_XMAX_COMMITTED | HEAP_XMAX_INVALID):
        return 0
    if not xmax_is_locked_only(tup.t_infomask) and transaction_id_did_commit(xid):
        return set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, xid)
    return set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)


cdef int adjust_cmax(const HeapTupleHeaderData *tup, CommandId *cmax, bint *iscombo) except -1:
    """Make cmax a combo command id when this transaction inserted the tuple too: one field must hold both."""
    iscombo[0] = False
    if not tup.t_infomask & HEAP_XMIN_COMMITTED and transaction_id_is_current(tup.t_xmin):
        cmax[0] = get_combo_command_id(tuple_cmin(tup), cmax[0])
        iscombo[0] = True
    return 0

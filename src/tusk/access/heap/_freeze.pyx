"""Deciding what of a tuple is frozen, for vacuum (heap_prepare_freeze_tuple).

xmin is frozen by setting both its hint bits (the id stays readable); xmax is cleared, or, when it is a multixact with
members still needed, replaced by the updater alone or by a smaller multixact.
"""

from libc.stdint cimport uint16_t
from libc.stdlib cimport free
from tusk._types cimport FirstNormalTransactionId, InvalidTransactionId, MultiXactId, TransactionId
from tusk.access._tuple cimport (
    HEAP_HOT_UPDATED, HEAP_KEYS_UPDATED, HEAP_XMAX_BITS, HEAP_XMAX_COMMITTED, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI,
    HEAP_XMIN_FROZEN, HeapTupleHeaderData, tuple_xmin, xmax_is_locked_only, xmax_locked_upgraded,
)
from tusk.access.heap._visibility cimport multixact_update_xid
from tusk.access.heap._xmax cimport multixact_hint_bits
from tusk.errors import SqlError, errcode
from tusk.storage._page cimport page_get_item, page_get_item_id
from tusk.transaction._multixact cimport (
    MultiXactMember, MultiXactStatusNoKeyUpdate, get_multixact_id_members, multixact_id_create_from_members,
    multixact_id_is_running,
)
from tusk.transaction._snapshot cimport transaction_id_did_commit, transaction_id_is_in_progress
from tusk.transaction._transam cimport multixact_id_precedes, transaction_id_is_normal, transaction_id_precedes

cdef enum:
    FRM_NOOP = 1
    FRM_INVALIDATE_XMAX = 2
    FRM_RETURN_IS_XID = 4
    FRM_RETURN_IS_MULTI = 8
    FRM_MARK_COMMITTED = 16


cdef int corrupted(str message) except -1:
    raise SqlError(errcode.DATA_CORRUPTED, message)


cdef TransactionId freeze_multixact(
    MultiXactId multi, uint16_t infomask, const VacuumCutoffs *cutoffs, uint16_t *flags, HeapPageFreeze *pagefrz,
) except? 0xFFFFFFFF:
    """What becomes of a multixact in xmax; see the FRM flags."""
    cdef MultiXactMember *members = NULL
    cdef TransactionId updater = InvalidTransactionId
    cdef TransactionId oldest
    cdef TransactionId xid
    cdef bint committed = False
    cdef bint has_lockers = False
    cdef bint replace = False
    cdef int i, n
    cdef int kept = 0
    flags[0] = FRM_INVALIDATE_XMAX
    if multi == 0 or xmax_locked_upgraded(infomask):
        pagefrz.freeze_required = True
        return InvalidTransactionId
    if multixact_id_precedes(multi, cutoffs.relminmxid):
        corrupted(f"found multixact {multi} from before relminmxid {cutoffs.relminmxid}")
    if multixact_id_precedes(multi, cutoffs.OldestMxact):
        if multixact_id_is_running(multi, xmax_is_locked_only(infomask)):
            corrupted(f"multixact {multi} from before multi freeze cutoff {cutoffs.OldestMxact} "
                      "found to be still running")
        pagefrz.freeze_required = True
        if xmax_is_locked_only(infomask):
            return InvalidTransactionId
        updater = multixact_update_xid(multi, infomask)
        if updater == InvalidTransactionId:
            return InvalidTransactionId
        if transaction_id_precedes(updater, cutoffs.relfrozenxid):
            corrupted(f"multixact {multi} contains update XID {updater} from before relfrozenxid "
                      f"{cutoffs.relfrozenxid}")
        if transaction_id_precedes(updater, cutoffs.OldestXmin):
            if transaction_id_did_commit(updater):
                corrupted(f"multixact {multi} contains committed update XID {updater} from before removable cutoff "
                          f"{cutoffs.OldestXmin}")
            return InvalidTransactionId
        flags[0] = FRM_RETURN_IS_XID | FRM_MARK_COMMITTED
        return updater
    n = get_multixact_id_members(multi, &members, False, xmax_is_locked_only(infomask))
    if n <= 0:
        pagefrz.freeze_required = True
        return InvalidTransactionId
    try:
        oldest = pagefrz.FreezePageRelfrozenXid
        for i in range(n):
            if transaction_id_precedes(members[i].xid, cutoffs.FreezeLimit):
                replace = True
                break
            if transaction_id_precedes(members[i].xid, oldest):
                oldest = members[i].xid
        if not replace:
            replace = multixact_id_precedes(multi, cutoffs.MultiXactCutoff)
        if not replace:
            flags[0] = FRM_NOOP
            pagefrz.FreezePageRelfrozenXid = oldest
            if multixact_id_precedes(multi, pagefrz.FreezePageRelminMxid):
                pagefrz.FreezePageRelminMxid = multi
            return multi
        for i in range(n):
            xid = members[i].xid
            if members[i].status < MultiXactStatusNoKeyUpdate:
                if transaction_id_is_in_progress(xid):
                    has_lockers = True
                    members[kept] = members[i]
                    kept += 1
                continue
            if transaction_id_is_in_progress(xid):
                pass
            elif transaction_id_did_commit(xid):
                if transaction_id_precedes(xid, cutoffs.OldestXmin):
                    corrupted(f"multixact {multi} contains committed update XID {xid} from before removable cutoff "
                              f"{cutoffs.OldestXmin}")
                committed = True
            else:
                continue
            updater = xid
            members[kept] = members[i]
            kept += 1
        pagefrz.freeze_required = True
        if kept == 0:
            return InvalidTransactionId
        if updater != InvalidTransactionId and not has_lockers:
            flags[0] = FRM_RETURN_IS_XID | (FRM_MARK_COMMITTED if committed else 0)
            return updater
        flags[0] = FRM_RETURN_IS_MULTI
        return multixact_id_create_from_members(kept, members)
    finally:
        free(members)


cdef int prepare_freeze_tuple(
    const HeapTupleHeaderData *tup, const VacuumCutoffs *cutoffs, HeapPageFreeze *pagefrz, HeapTupleFreeze *frz,
    bint *totally_frozen,
) except -1:
    cdef TransactionId xid = tuple_xmin(tup)
    cdef TransactionId new_xmax
    cdef bint xmin_done = not transaction_id_is_normal(xid)
    cdef bint xmax_done = False
    cdef bint freeze_xmin = False
    cdef bint replace_xmax = False
    cdef bint freeze_xmax = False
    cdef uint16_t flags = 0
    cdef uint16_t bits = 0
    cdef uint16_t bits2 = 0
    frz.xmax = tup.t_xmax
    frz.t_infomask2 = tup.t_infomask2
    frz.t_infomask = tup.t_infomask
    frz.frzflags = 0
    frz.checkflags = 0
    if not xmin_done:
        if transaction_id_precedes(xid, cutoffs.relfrozenxid):
            corrupted(f"found xmin {xid} from before relfrozenxid {cutoffs.relfrozenxid}")
        freeze_xmin = transaction_id_precedes(xid, cutoffs.OldestXmin)
        if freeze_xmin:
            frz.checkflags |= HEAP_FREEZE_CHECK_XMIN_COMMITTED
    xid = tup.t_xmax
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        new_xmax = freeze_multixact(xid, tup.t_infomask, cutoffs, &flags, pagefrz)
        if flags & FRM_RETURN_IS_XID:
            frz.t_infomask &= <uint16_t> (~HEAP_XMAX_BITS & 0xFFFF)
            frz.xmax = new_xmax
            if flags & FRM_MARK_COMMITTED:
                frz.t_infomask |= HEAP_XMAX_COMMITTED
            replace_xmax = True
        elif flags & FRM_RETURN_IS_MULTI:
            frz.t_infomask &= <uint16_t> (~HEAP_XMAX_BITS & 0xFFFF)
            frz.t_infomask2 &= <uint16_t> (~HEAP_KEYS_UPDATED & 0xFFFF)
            multixact_hint_bits(new_xmax, &bits, &bits2)
            frz.t_infomask |= bits
            frz.t_infomask2 |= bits2
            frz.xmax = new_xmax
            replace_xmax = True
        elif flags & FRM_INVALIDATE_XMAX:
            freeze_xmax = True
    elif transaction_id_is_normal(xid):
        if transaction_id_precedes(xid, cutoffs.relfrozenxid):
            corrupted(f"found xmax {xid} from before relfrozenxid {cutoffs.relfrozenxid}")
        freeze_xmax = transaction_id_precedes(xid, cutoffs.OldestXmin)
        if freeze_xmax and not xmax_is_locked_only(tup.t_infomask):
            frz.checkflags |= HEAP_FREEZE_CHECK_XMAX_ABORTED
    elif xid == InvalidTransactionId:
        xmax_done = True
    else:
        corrupted(f"found raw xmax {xid} (infomask 0x{tup.t_infomask:04x}) not invalid and not multi")
    if freeze_xmin:
        frz.t_infomask |= HEAP_XMIN_FROZEN
    if freeze_xmax:
        frz.xmax = InvalidTransactionId
        frz.t_infomask &= <uint16_t> (~HEAP_XMAX_BITS & 0xFFFF)
        frz.t_infomask |= HEAP_XMAX_INVALID
        frz.t_infomask2 &= <uint16_t> (~(HEAP_HOT_UPDATED | HEAP_KEYS_UPDATED) & 0xFFFF)
    totally_frozen[0] = (freeze_xmin or xmin_done) and (freeze_xmax or xmax_done)
    if not pagefrz.freeze_required and not (xmin_done and xmax_done):
        pagefrz.freeze_required = tuple_should_freeze(tup, cutoffs, &pagefrz.NoFreezePageRelfrozenXid,
                                                      &pagefrz.NoFreezePageRelminMxid)
    return freeze_xmin or replace_xmax or freeze_xmax


cdef int tuple_should_freeze(
    const HeapTupleHeaderData *tup, const VacuumCutoffs *cutoffs, TransactionId *min_xid, MultiXactId *min_mxid,
) except -1:
    """Whether the tuple must be frozen now; keeps track of the oldest ids that stay if it is not."""
    cdef MultiXactMember *members = NULL
    cdef TransactionId xid = tuple_xmin(tup)
    cdef int freeze = 0
    cdef int i, n
    if transaction_id_is_normal(xid):
        if transaction_id_precedes(xid, min_xid[0]):
            min_xid[0] = xid
        if transaction_id_precedes(xid, cutoffs.FreezeLimit):
            freeze = 1
    xid = tup.t_xmax
    if not tup.t_infomask & HEAP_XMAX_IS_MULTI:
        if transaction_id_is_normal(xid):
            if transaction_id_precedes(xid, min_xid[0]):
                min_xid[0] = xid
            if transaction_id_precedes(xid, cutoffs.FreezeLimit):
                freeze = 1
        return freeze
    if xid == 0:
        return freeze
    if multixact_id_precedes(xid, min_mxid[0]):
        min_mxid[0] = xid
    if xmax_locked_upgraded(tup.t_infomask):
        return 1
    if multixact_id_precedes(xid, cutoffs.MultiXactCutoff):
        freeze = 1
    n = get_multixact_id_members(xid, &members, False, xmax_is_locked_only(tup.t_infomask))
    for i in range(n):
        if transaction_id_precedes(members[i].xid, min_xid[0]):
            min_xid[0] = members[i].xid
        if transaction_id_precedes(members[i].xid, cutoffs.FreezeLimit):
            freeze = 1
    free(members)
    return freeze


cdef int pre_freeze_checks(char *page, const HeapTupleFreeze *tuples, int n) except -1:
    """The last look at the commit log before it is made superfluous."""
    cdef int i
    cdef HeapTupleHeaderData *tup
    for i in range(n):
        tup = <HeapTupleHeaderData *> page_get_item(page, page_get_item_id(page, tuples[i].offset))
        if tuples[i].checkflags & HEAP_FREEZE_CHECK_XMIN_COMMITTED and not transaction_id_did_commit(tup.t_xmin):
            corrupted(f"uncommitted xmin {tup.t_xmin} needs to be frozen")
        if tuples[i].checkflags & HEAP_FREEZE_CHECK_XMAX_ABORTED and transaction_id_did_commit(tup.t_xmax):
            corrupted(f"cannot freeze committed xmax {tup.t_xmax}")
    return 0

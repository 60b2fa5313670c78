"""Visibility of tuple versions, from xmin, xmax, infomask bits, the snapshot and the commit log.

The answers of the commit log are remembered in the tuple as hint bits. A commit that is not on disk yet may not be
remembered on a page that could reach disk before it: README rule 3. The order of tests matters: whether an id is in
progress is asked before whether it committed, since a transaction ends in the commit log first and in the process
array later.
"""

from libc.stdint cimport uint16_t
from libc.stdlib cimport free
from tusk._types cimport CommandId, InvalidTransactionId, Lsn, TransactionId, tid_offset
from tusk.access._tuple cimport (
    HEAP_COMBOCID, HEAP_XMAX_COMMITTED, HEAP_XMAX_INVALID, HEAP_XMAX_IS_MULTI, HEAP_XMAX_LOCK_ONLY,
    HEAP_XMIN_COMMITTED, HEAP_XMIN_FROZEN, HEAP_XMIN_INVALID, HeapTupleData, HeapTupleHeaderData,
    tuple_is_speculative, xmax_is_locked_only, xmax_locked_upgraded, xmin_frozen, xmin_invalid,
)
from tusk.access.heap._heap cimport (
    TM_BeingModified, TM_Deleted, TM_Invisible, TM_Ok, TM_SelfModified, TM_Updated,
)
from tusk.storage._buffer cimport buffer_is_permanent, buffer_lsn_atomic, mark_buffer_dirty_hint
from tusk.transaction._multixact cimport (
    MultiXactMember, MultiXactStatusNoKeyUpdate, get_multixact_id_members, multixact_id_is_running,
)
from tusk.transaction._snapshot cimport (
    SNAPSHOT_ANY, SNAPSHOT_DIRTY, SNAPSHOT_MVCC, SNAPSHOT_NON_VACUUMABLE, SNAPSHOT_SELF, SNAPSHOT_TOAST,
    GlobalVisState, Snapshot, global_vis_test_is_removable_xid, transaction_id_did_commit,
    transaction_id_get_commit_lsn, transaction_id_is_in_progress, xid_in_mvcc_snapshot,
)
from tusk.transaction._transam cimport transaction_id_precedes
from tusk.transaction._xact cimport transaction_id_is_current
from tusk.errors import feature_not_supported
from tusk.wal._xlog cimport xlog_needs_flush


cdef int set_hint_bits(HeapTupleHeaderData *tup, int buf, uint16_t infomask, TransactionId xid) except -1:
    """Remember the fate of xid (0 when it did not commit, which needs no care) in the tuple."""
    cdef Lsn lsn
    if buf == 0:
        return 0
    if xid != InvalidTransactionId and buffer_is_permanent(buf):
        lsn = transaction_id_get_commit_lsn(xid)
        if lsn and buffer_lsn_atomic(buf) < lsn and xlog_needs_flush(lsn):
            return 0
    tup.t_infomask |= infomask
    mark_buffer_dirty_hint(buf, True)
    return 0


cdef TransactionId multixact_update_xid(TransactionId xmax, uint16_t infomask) except? 0xFFFFFFFF:
    """The member of a multixact that updates or deletes; there is one at most."""
    cdef MultiXactMember *members = NULL
    cdef int i
    cdef int n
    cdef TransactionId xid = InvalidTransactionId
    n = get_multixact_id_members(xmax, &members, False, False)
    for i in range(n):
        if members[i].status >= MultiXactStatusNoKeyUpdate:
            xid = members[i].xid
            break
    free(members)
    return xid


cdef TransactionId tuple_update_xid(const HeapTupleHeaderData *tup) except? 0xFFFFFFFF:
    if tup.t_infomask & HEAP_XMAX_IS_MULTI and not tup.t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_LOCK_ONLY):
        return multixact_update_xid(tup.t_xmax, tup.t_infomask)
    return tup.t_xmax


cdef int tuple_is_only_locked(const HeapTupleHeaderData *tup) except -1:
    cdef TransactionId xmax
    if tup.t_infomask & (HEAP_XMAX_INVALID | HEAP_XMAX_LOCK_ONLY) or tup.t_xmax == InvalidTransactionId:
        return 1
    if not tup.t_infomask & HEAP_XMAX_IS_MULTI:
        return 0
    xmax = tuple_update_xid(tup)
    if transaction_id_is_current(xmax) or transaction_id_is_in_progress(xmax):
        return 0
    return not transaction_id_did_commit(xmax)


cdef inline int in_snapshot(TransactionId xid, Snapshot snapshot) except -1:
    """Whether the snapshot holds xid to be running."""
    if transaction_id_precedes(xid, snapshot.xmin):
        return 0
    return xid_in_mvcc_snapshot(xid, snapshot)


cdef int tuple_satisfies_mvcc(HeapTupleHeaderData *tup, Snapshot snapshot, int buf) except -1:
    cdef uint16_t mask = tup.t_infomask
    cdef TransactionId xid
    if mask & HEAP_XMIN_COMMITTED:
        if not mask & HEAP_XMIN_INVALID and in_snapshot(tup.t_xmin, snapshot):
            return 0
    else:
        if mask & HEAP_XMIN_INVALID:
            return 0
        if transaction_id_is_current(tup.t_xmin):
            if tuple_cmin(tup) >= snapshot.curcid:
                return 0                    # inserted after the scan began
            if mask & HEAP_XMAX_INVALID or xmax_is_locked_only(mask):
                return 1
            if mask & HEAP_XMAX_IS_MULTI:
                xid = tuple_update_xid(tup)
                if not transaction_id_is_current(xid):
                    return 1                # the updating subtransaction aborted
                return tuple_cmax(tup) >= snapshot.curcid
            if not transaction_id_is_current(tup.t_xmax):
                set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
                return 1
            return tuple_cmax(tup) >= snapshot.curcid
        if in_snapshot(tup.t_xmin, snapshot):
            return 0
        if transaction_id_did_commit(tup.t_xmin):
            set_hint_bits(tup, buf, HEAP_XMIN_COMMITTED, tup.t_xmin)
        else:
            set_hint_bits(tup, buf, HEAP_XMIN_INVALID, InvalidTransactionId)
            return 0
    # The insertion counts; now the deletion.
    mask = tup.t_infomask
    if mask & HEAP_XMAX_INVALID or xmax_is_locked_only(mask):
        return 1
    if mask & HEAP_XMAX_IS_MULTI:
        xid = tuple_update_xid(tup)
        if transaction_id_is_current(xid):
            return tuple_cmax(tup) >= snapshot.curcid
        if in_snapshot(xid, snapshot):
            return 1
        return not transaction_id_did_commit(xid)
    if not mask & HEAP_XMAX_COMMITTED:
        if transaction_id_is_current(tup.t_xmax):
            return tuple_cmax(tup) >= snapshot.curcid
        if in_snapshot(tup.t_xmax, snapshot):
            return 1
        if not transaction_id_did_commit(tup.t_xmax):
            set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
            return 1
        set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, tup.t_xmax)
        return 0
    return in_snapshot(tup.t_xmax, snapshot)


cdef int insertion_counts(HeapTupleHeaderData *tup, int buf) except -1:
    """For tests against the present moment, xmin being of another transaction: 1 committed, 0 aborted, 2 running."""
    if tup.t_infomask & HEAP_XMIN_COMMITTED:
        return 1
    if tup.t_infomask & HEAP_XMIN_INVALID:
        return 0
    if transaction_id_is_in_progress(tup.t_xmin):
        return 2
    if transaction_id_did_commit(tup.t_xmin):
        set_hint_bits(tup, buf, HEAP_XMIN_COMMITTED, tup.t_xmin)
        return 1
    set_hint_bits(tup, buf, HEAP_XMIN_INVALID, InvalidTransactionId)
    return 0


cdef int tuple_satisfies_self(HeapTupleHeaderData *tup, int buf) except -1:
    """As of now, own changes of this command included (SnapshotSelf)."""
    cdef TransactionId xid
    cdef bint own = False
    if not tup.t_infomask & HEAP_XMIN_COMMITTED:
        if xmin_invalid(tup):
            return 0
        own = transaction_id_is_current(tup.t_xmin)
        if not own and insertion_counts(tup, buf) != 1:
            return 0
    if tup.t_infomask & HEAP_XMAX_INVALID:
        return 1
    if not own and tup.t_infomask & HEAP_XMAX_COMMITTED:
        return xmax_is_locked_only(tup.t_infomask)
    if xmax_is_locked_only(tup.t_infomask):
        return 1
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        xid = tuple_update_xid(tup)
        if transaction_id_is_current(xid):
            return 0
        if own or transaction_id_is_in_progress(xid):
            return 1
        return not transaction_id_did_commit(xid)
    if transaction_id_is_current(tup.t_xmax):
        return 0
    if own:
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return 1
    if transaction_id_is_in_progress(tup.t_xmax):
        return 1
    if not transaction_id_did_commit(tup.t_xmax):
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return 1
    set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, tup.t_xmax)
    return 0


cdef int tuple_satisfies_dirty(HeapTupleData *htup, Snapshot snapshot, int buf) except -1:
    """As of now, and with what others have not committed yet: their insertions seen, their deletions not. Tells in
    snapshot.xmin (speculativeToken) or xmax whom to wait for."""
    cdef HeapTupleHeaderData *tup = htup.t_data
    cdef TransactionId xid
    cdef int state
    cdef bint own = False
    snapshot.xmin = snapshot.xmax = InvalidTransactionId
    snapshot.speculativeToken = 0
    if not tup.t_infomask & HEAP_XMIN_COMMITTED:
        if xmin_invalid(tup):
            return 0
        own = transaction_id_is_current(tup.t_xmin)
        if not own:
            state = insertion_counts(tup, buf)
            if state == 0:
                return 0
            if state == 2:
                if tuple_is_speculative(tup):
                    snapshot.speculativeToken = (<TransactionId> tup.t_ctid.bi_hi << 16) | tup.t_ctid.bi_lo
                snapshot.xmin = tup.t_xmin
                return 1
    if tup.t_infomask & HEAP_XMAX_INVALID:
        return 1
    if not own and tup.t_infomask & HEAP_XMAX_COMMITTED:
        return xmax_is_locked_only(tup.t_infomask)
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        if xmax_is_locked_only(tup.t_infomask):
            return 1
        xid = tuple_update_xid(tup)
        if transaction_id_is_current(xid):
            return 0
        if own:
            return 1
        if transaction_id_is_in_progress(xid):
            snapshot.xmax = xid
            return 1
        return not transaction_id_did_commit(xid)
    if transaction_id_is_current(tup.t_xmax):
        return xmax_is_locked_only(tup.t_infomask)
    if own:
        if xmax_is_locked_only(tup.t_infomask):
            return 1
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return 1
    if transaction_id_is_in_progress(tup.t_xmax):
        if not xmax_is_locked_only(tup.t_infomask):
            snapshot.xmax = tup.t_xmax
        return 1
    if xmax_is_locked_only(tup.t_infomask) or not transaction_id_did_commit(tup.t_xmax):
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return 1
    set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, tup.t_xmax)
    return 0


cdef int tuple_satisfies_toast(HeapTupleHeaderData *tup, int buf) except -1:
    """Chunks are visible when whoever points to them is; only those of failed insertions are weeded out."""
    if not tup.t_infomask & HEAP_XMIN_COMMITTED:
        if xmin_invalid(tup) or tup.t_xmin == InvalidTransactionId:
            return 0
    return 1


cdef inline bint outdated_is_update(HeapTupleData *tup) noexcept nogil:
    """Whether a tuple that is no more has a successor (another ctid than its own)."""
    cdef HeapTupleHeaderData *h = tup.t_data
    return (h.t_ctid.bi_hi != tup.t_self.bi_hi or h.t_ctid.bi_lo != tup.t_self.bi_lo
            or h.t_ctid.ip_posid != tup.t_self.ip_posid)


cdef int tuple_satisfies_update(HeapTupleData *htup, CommandId curcid, int buf) except -1:
    """What an update, delete or lock of this version in command curcid meets (a TM_Result)."""
    cdef HeapTupleHeaderData *tup = htup.t_data
    cdef TransactionId xid
    cdef int state
    if not tup.t_infomask & HEAP_XMIN_COMMITTED:
        if xmin_invalid(tup):
            return TM_Invisible
        if transaction_id_is_current(tup.t_xmin):
            if tuple_cmin(tup) >= curcid:
                return TM_Invisible
            return update_of_own(htup, curcid, buf)
        state = insertion_counts(tup, buf)
        if state != 1:
            return TM_Invisible
    if tup.t_infomask & HEAP_XMAX_INVALID:
        return TM_Ok
    if tup.t_infomask & HEAP_XMAX_COMMITTED:
        if xmax_is_locked_only(tup.t_infomask):
            return TM_Ok
        return TM_Updated if outdated_is_update(htup) else TM_Deleted
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        if xmax_locked_upgraded(tup.t_infomask):
            return TM_Ok
        if xmax_is_locked_only(tup.t_infomask):
            if multixact_id_is_running(tup.t_xmax, True):
                return TM_BeingModified
            set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
            return TM_Ok
        xid = tuple_update_xid(tup)
        if xid != InvalidTransactionId and transaction_id_is_current(xid):
            return TM_SelfModified if tuple_cmax(tup) >= curcid else TM_Invisible
        if multixact_id_is_running(tup.t_xmax, False):
            return TM_BeingModified
        if xid != InvalidTransactionId and transaction_id_did_commit(xid):
            return TM_Updated if outdated_is_update(htup) else TM_Deleted
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return TM_Ok
    if transaction_id_is_current(tup.t_xmax):
        if xmax_is_locked_only(tup.t_infomask):
            return TM_BeingModified
        return TM_SelfModified if tuple_cmax(tup) >= curcid else TM_Invisible
    if transaction_id_is_in_progress(tup.t_xmax):
        return TM_BeingModified
    if xmax_is_locked_only(tup.t_infomask) or not transaction_id_did_commit(tup.t_xmax):
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return TM_Ok
    set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, tup.t_xmax)
    return TM_Updated if outdated_is_update(htup) else TM_Deleted


cdef int update_of_own(HeapTupleData *htup, CommandId curcid, int buf) except -1:
    """`tuple_satisfies_update` for a tuple that this transaction inserted in an earlier command."""
    cdef HeapTupleHeaderData *tup = htup.t_data
    cdef TransactionId xid
    if tup.t_infomask & HEAP_XMAX_INVALID:
        return TM_Ok
    if xmax_is_locked_only(tup.t_infomask):
        if tup.t_infomask & HEAP_XMAX_IS_MULTI:
            return TM_BeingModified if multixact_id_is_running(tup.t_xmax, True) else TM_Ok
        return TM_BeingModified if transaction_id_is_in_progress(tup.t_xmax) else TM_Ok
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        xid = tuple_update_xid(tup)
        if not transaction_id_is_current(xid):
            return TM_BeingModified if multixact_id_is_running(tup.t_xmax, False) else TM_Ok
        return TM_SelfModified if tuple_cmax(tup) >= curcid else TM_Invisible
    if not transaction_id_is_current(tup.t_xmax):
        set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return TM_Ok
    return TM_SelfModified if tuple_cmax(tup) >= curcid else TM_Invisible


cdef int tuple_satisfies_vacuum_horizon(HeapTupleData *htup, int buf, TransactionId *dead_after) except -1:
    cdef HeapTupleHeaderData *tup = htup.t_data
    cdef TransactionId xid
    dead_after[0] = InvalidTransactionId
    if not tup.t_infomask & HEAP_XMIN_COMMITTED:
        if xmin_invalid(tup):
            return HEAPTUPLE_DEAD
        if transaction_id_is_current(tup.t_xmin):
            if tup.t_infomask & HEAP_XMAX_INVALID or xmax_is_locked_only(tup.t_infomask) \
                    or tuple_is_only_locked(tup):
                return HEAPTUPLE_INSERT_IN_PROGRESS
            if transaction_id_is_current(tuple_update_xid(tup)):
                return HEAPTUPLE_DELETE_IN_PROGRESS
            return HEAPTUPLE_INSERT_IN_PROGRESS
        if transaction_id_is_in_progress(tup.t_xmin):
            return HEAPTUPLE_INSERT_IN_PROGRESS
        if not transaction_id_did_commit(tup.t_xmin):
            set_hint_bits(tup, buf, HEAP_XMIN_INVALID, InvalidTransactionId)
            return HEAPTUPLE_DEAD
        set_hint_bits(tup, buf, HEAP_XMIN_COMMITTED, tup.t_xmin)
    if tup.t_infomask & HEAP_XMAX_INVALID:
        return HEAPTUPLE_LIVE
    if xmax_is_locked_only(tup.t_infomask):
        if not tup.t_infomask & HEAP_XMAX_COMMITTED:
            if tup.t_infomask & HEAP_XMAX_IS_MULTI:
                if not xmax_locked_upgraded(tup.t_infomask) and multixact_id_is_running(tup.t_xmax, True):
                    return HEAPTUPLE_LIVE
            elif transaction_id_is_in_progress(tup.t_xmax):
                return HEAPTUPLE_LIVE
            set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return HEAPTUPLE_LIVE
    if tup.t_infomask & HEAP_XMAX_IS_MULTI:
        xid = tuple_update_xid(tup)
        if transaction_id_is_in_progress(xid):
            return HEAPTUPLE_DELETE_IN_PROGRESS
        if transaction_id_did_commit(xid):
            dead_after[0] = xid
            return HEAPTUPLE_RECENTLY_DEAD
        if not multixact_id_is_running(tup.t_xmax, False):
            set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
        return HEAPTUPLE_LIVE
    if not tup.t_infomask & HEAP_XMAX_COMMITTED:
        if transaction_id_is_in_progress(tup.t_xmax):
            return HEAPTUPLE_DELETE_IN_PROGRESS
        if not transaction_id_did_commit(tup.t_xmax):
            set_hint_bits(tup, buf, HEAP_XMAX_INVALID, InvalidTransactionId)
            return HEAPTUPLE_LIVE
        set_hint_bits(tup, buf, HEAP_XMAX_COMMITTED, tup.t_xmax)
    dead_after[0] = tup.t_xmax
    return HEAPTUPLE_RECENTLY_DEAD


cdef int tuple_satisfies_vacuum(HeapTupleData *tup, TransactionId oldest_xmin, int buf) except -1:
    cdef TransactionId dead_after
    cdef int state = tuple_satisfies_vacuum_horizon(tup, buf, &dead_after)
    if state == HEAPTUPLE_RECENTLY_DEAD and transaction_id_precedes(dead_after, oldest_xmin):
        return HEAPTUPLE_DEAD
    return state


cdef int tuple_is_surely_dead(HeapTupleHeaderData *tup, GlobalVisState *vistest) except -1:
    cdef uint16_t mask = tup.t_infomask
    if not mask & HEAP_XMIN_COMMITTED:
        return (mask & HEAP_XMIN_INVALID) != 0
    if mask & (HEAP_XMAX_INVALID | HEAP_XMAX_IS_MULTI) or not mask & HEAP_XMAX_COMMITTED or xmax_is_locked_only(mask):
        return 0
    return global_vis_test_is_removable_xid(vistest, tup.t_xmax)


cdef int tuple_satisfies_visibility(HeapTupleData *tup, Snapshot snapshot, int buf) except -1:
    """By the snapshot's kind."""
    cdef TransactionId dead_after
    cdef int state
    cdef int kind = snapshot.kind
    if kind == SNAPSHOT_MVCC:
        return tuple_satisfies_mvcc(tup.t_data, snapshot, buf)
    if kind == SNAPSHOT_SELF:
        return tuple_satisfies_self(tup.t_data, buf)
    if kind == SNAPSHOT_ANY:
        return 1
    if kind == SNAPSHOT_DIRTY:
        return tuple_satisfies_dirty(tup, snapshot, buf)
    if kind == SNAPSHOT_TOAST:
        return tuple_satisfies_toast(tup.t_data, buf)
    if kind == SNAPSHOT_NON_VACUUMABLE:
        state = tuple_satisfies_vacuum_horizon(tup, buf, &dead_after)
        if state == HEAPTUPLE_RECENTLY_DEAD and global_vis_test_is_removable_xid(snapshot.vistest, dead_after):
            return 0
        return state != HEAPTUPLE_DEAD
    raise feature_not_supported("scanning with a historic snapshot")

# cython: language_level=3
"""Who runs which transaction: the process array, ends of transactions, horizons (PostgreSQL's procarray.c).

ProcArrayLock protects membership and the dense copies; a process sets its own xid under XidGenLock and clears it
under ProcArrayLock exclusively, so that a snapshot taken under ProcArrayLock shared sees ends in commit order.
"""

from libc.stdlib cimport free, malloc
from libc.string cimport memmove, memset

from tusk._types cimport FirstNormalTransactionId, InvalidTransactionId, Lsn, int64_t, uint8_t
from tusk.memory._atomics cimport (
    atomic_compare_exchange_u32,
    atomic_exchange_u32,
    atomic_read_u32,
    atomic_write_u32,
    read_barrier,
    write_barrier,
)
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    ProcArrayLock,
    XidGenLock,
    lwlock_acquire,
    lwlock_conditional_acquire,
    lwlock_release,
    main_lock,
)
from tusk.memory._process cimport (
    INVALID_PROC_NUMBER,
    PROC_AFFECTS_ALL_HORIZONS,
    PROC_IN_LOGICAL_DECODING,
    PROC_IN_SAFE_IC,
    PROC_IN_VACUUM,
    PROC_VACUUM_STATE_MASK,
    MyProc,
    ProcGlobal,
    XidCacheStatus,
    proc_by_number,
    proc_count,
    proc_semaphore_wait,
    proc_semaphore_wake,
)
from tusk.memory._wait_events cimport WAIT_EVENT_PROCARRAY_GROUP_UPDATE
from tusk.transaction._clog cimport transaction_id_did_abort
from tusk.transaction._state cimport MyDatabaseId, RecentXmin, TransamVariables, transaction_id_is_current
from tusk.transaction._subtrans cimport sub_trans_get_topmost_transaction
from tusk.transaction._transam cimport (
    full_xid_relative_to,
    transaction_id_advance,
    transaction_id_is_normal,
    transaction_id_older,
    transaction_id_precedes,
    transaction_id_precedes_or_equals,
)
from tusk.wal._redo cimport in_recovery

from tusk.errors import Fatal, Severity, errcode, report
from tusk.memory._segment import declare_area

cdef enum:
    NO_GROUP_MEMBER = 0xFFFFFFFF

cdef int n_all_procs = 0
cdef TransactionId *suspects = NULL         # workspace of transaction_id_is_in_progress
cdef TransactionId cached_not_in_progress = 0
ComputeXidHorizonsResultLastXmin = 0


def _size(settings):
    # Slots exist up to a ceiling fixed by memory._process; its area is declared before this one.
    from tusk.memory._process import _slot_counts
    global n_all_procs
    n_all_procs = sum(_slot_counts(settings)[0])
    return sizeof(ProcArrayData) + 4 * n_all_procs


def _attach(address):
    global procArray, suspects
    procArray = <ProcArrayData *> <size_t> address
    if suspects != NULL:
        free(suspects)
    suspects = <TransactionId *> malloc(4 * (n_all_procs + 1))


def _init(address, size):
    global cached_not_in_progress
    procArray.maxProcs = n_all_procs
    cached_not_in_progress = 0
    forget_horizons()


declare_area("Proc Array", _size, _init, _attach)


def forget_horizons() -> None:
    """Shared memory was made anew: what this process remembered of it is void."""
    global ComputeXidHorizonsResultLastXmin
    memset(&GlobalVisSharedRels, 0, sizeof(GlobalVisState))
    memset(&GlobalVisCatalogRels, 0, sizeof(GlobalVisState))
    memset(&GlobalVisDataRels, 0, sizeof(GlobalVisState))
    memset(&GlobalVisTempRels, 0, sizeof(GlobalVisState))
    ComputeXidHorizonsResultLastXmin = 0


cdef int proc_array_add(PGPROC *proc) except -1:
    """Let a process take part; both locks, since ids are shown under either."""
    cdef int i, j, at
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    if procArray.numProcs >= procArray.maxProcs:
        raise Fatal(errcode.TOO_MANY_CONNECTIONS, "sorry, too many clients already")
    # In the order of slot numbers, so that scans touch memory in order.
    at = procArray.numProcs
    for i in range(procArray.numProcs):
        if procArray.pgprocnos[i] > proc.procno:
            at = i
            break
    j = procArray.numProcs - at
    memmove(&procArray.pgprocnos[at + 1], &procArray.pgprocnos[at], j * sizeof(int32_t))
    memmove(&ProcGlobal.xids[at + 1], &ProcGlobal.xids[at], j * sizeof(TransactionId))
    memmove(&ProcGlobal.subxidStates[at + 1], &ProcGlobal.subxidStates[at], j * sizeof(XidCacheStatus))
    memmove(&ProcGlobal.statusFlags[at + 1], &ProcGlobal.statusFlags[at], j * sizeof(uint8_t))
    procArray.pgprocnos[at] = proc.procno
    proc.pgxactoff = at
    ProcGlobal.xids[at] = proc.xid
    ProcGlobal.subxidStates[at] = proc.subxidStatus
    ProcGlobal.statusFlags[at] = proc.statusFlags
    procArray.numProcs += 1
    for i in range(at + 1, procArray.numProcs):
        proc_by_number(procArray.pgprocnos[i]).pgxactoff = i
    lwlock_release(main_lock(XidGenLock))
    lwlock_release(main_lock(ProcArrayLock))
    return 0


cdef int proc_array_remove(PGPROC *proc, TransactionId latest_xid) except -1:
    """A process leaves; ``latest_xid``: the newest id of a prepared transaction that ends, else 0."""
    cdef int at, i, rest
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    lwlock_acquire(main_lock(XidGenLock), LW_EXCLUSIVE)
    at = proc.pgxactoff
    if at < 0 or at >= procArray.numProcs or procArray.pgprocnos[at] != proc.procno:
        lwlock_release(main_lock(XidGenLock))
        lwlock_release(main_lock(ProcArrayLock))
        return 0
    if latest_xid != InvalidTransactionId:
        _maintain_latest_completed(latest_xid)
        TransamVariables.xactCompletionCount += 1
    rest = procArray.numProcs - at - 1
    memmove(&procArray.pgprocnos[at], &procArray.pgprocnos[at + 1], rest * sizeof(int32_t))
    memmove(&ProcGlobal.xids[at], &ProcGlobal.xids[at + 1], rest * sizeof(TransactionId))
    memmove(&ProcGlobal.subxidStates[at], &ProcGlobal.subxidStates[at + 1], rest * sizeof(XidCacheStatus))
    memmove(&ProcGlobal.statusFlags[at], &ProcGlobal.statusFlags[at + 1], rest * sizeof(uint8_t))
    procArray.numProcs -= 1
    for i in range(at, procArray.numProcs):
        proc_by_number(procArray.pgprocnos[i]).pgxactoff = i
    proc.pgxactoff = -1
    lwlock_release(main_lock(XidGenLock))
    lwlock_release(main_lock(ProcArrayLock))
    return 0


cdef inline void _maintain_latest_completed(TransactionId latest_xid) noexcept nogil:
    cdef FullTransactionId current = TransamVariables.latestCompletedXid
    if transaction_id_precedes(<TransactionId> current, latest_xid):
        TransamVariables.latestCompletedXid = full_xid_relative_to(current, latest_xid)


cdef inline void _end_transaction(PGPROC *proc, TransactionId latest_xid) noexcept nogil:
    """With ProcArrayLock held exclusively."""
    cdef int off = proc.pgxactoff
    ProcGlobal.xids[off] = InvalidTransactionId
    proc.xid = InvalidTransactionId
    proc.lxid = 0
    proc.xmin = InvalidTransactionId
    proc.delayChkptFlags = 0
    proc.recoveryConflictPending = 0
    if proc.statusFlags & PROC_VACUUM_STATE_MASK:
        proc.statusFlags &= ~<uint8_t> PROC_VACUUM_STATE_MASK
        ProcGlobal.statusFlags[off] = proc.statusFlags
    if proc.subxidStatus.count > 0 or proc.subxidStatus.overflowed:
        ProcGlobal.subxidStates[off].count = 0
        ProcGlobal.subxidStates[off].overflowed = 0
        proc.subxidStatus.count = 0
        proc.subxidStatus.overflowed = 0
    _maintain_latest_completed(latest_xid)
    TransamVariables.xactCompletionCount += 1


cdef int _group_clear_xid(PGPROC *proc, TransactionId latest_xid) except -1 nogil:
    """Join those who wait to end their transactions; the first takes the lock once for all."""
    cdef uint32_t nextidx, wakeidx, me = <uint32_t> proc.procno
    cdef uint32_t expected
    cdef PGPROC *member
    cdef int extra_waits = 0
    proc.procArrayGroupMember = 1
    proc.procArrayGroupMemberXid = latest_xid
    nextidx = atomic_read_u32(&ProcGlobal.procArrayGroupFirst)
    while True:
        atomic_write_u32(&proc.procArrayGroupNext, nextidx)
        expected = nextidx
        if atomic_compare_exchange_u32(&ProcGlobal.procArrayGroupFirst, &expected, me):
            break
        nextidx = expected
    if nextidx != NO_GROUP_MEMBER:
        while True:
            proc_semaphore_wait(WAIT_EVENT_PROCARRAY_GROUP_UPDATE)
            if not (<volatile uint8_t *> &proc.procArrayGroupMember)[0]:
                break
            extra_waits += 1
        while extra_waits > 0:
            proc_semaphore_wake(proc.procno)
            extra_waits -= 1
        return 0
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    nextidx = atomic_exchange_u32(&ProcGlobal.procArrayGroupFirst, NO_GROUP_MEMBER)
    wakeidx = nextidx
    while nextidx != NO_GROUP_MEMBER:
        member = proc_by_number(<int> nextidx)
        _end_transaction(member, member.procArrayGroupMemberXid)
        nextidx = atomic_read_u32(&member.procArrayGroupNext)
    lwlock_release(main_lock(ProcArrayLock))
    while wakeidx != NO_GROUP_MEMBER:
        member = proc_by_number(<int> wakeidx)
        wakeidx = atomic_read_u32(&member.procArrayGroupNext)
        atomic_write_u32(&member.procArrayGroupNext, NO_GROUP_MEMBER)
        write_barrier()
        member.procArrayGroupMember = 0
        if member != proc:
            proc_semaphore_wake(member.procno)
    return 0


cdef int proc_array_end_transaction(PGPROC *proc, TransactionId latest_xid) except -1 nogil:
    """Show a transaction as ended; ``latest_xid`` is 0 when it had no id. This makes its effects visible."""
    if latest_xid != InvalidTransactionId:
        if lwlock_conditional_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE):
            _end_transaction(proc, latest_xid)
            lwlock_release(main_lock(ProcArrayLock))
        else:
            _group_clear_xid(proc, latest_xid)
        return 0
    # Nobody's snapshot can depend on a transaction without an id.
    proc.lxid = 0
    proc.xmin = InvalidTransactionId
    proc.delayChkptFlags = 0
    proc.recoveryConflictPending = 0
    if proc.statusFlags & PROC_VACUUM_STATE_MASK:
        lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
        proc.statusFlags &= ~<uint8_t> PROC_VACUUM_STATE_MASK
        ProcGlobal.statusFlags[proc.pgxactoff] = proc.statusFlags
        lwlock_release(main_lock(ProcArrayLock))
    return 0


cdef int transaction_id_is_in_progress(TransactionId xid) except -1 nogil:
    """1 if ``xid`` (a transaction or a subtransaction) runs somewhere, this process included."""
    global cached_not_in_progress
    cdef int i, j, count, nsuspects = 0
    cdef PGPROC *proc
    cdef TransactionId pxid, top
    if transaction_id_precedes(xid, RecentXmin):
        return 0
    if xid == cached_not_in_progress and xid != InvalidTransactionId:
        return 0
    if transaction_id_is_current(xid):
        return 1
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    if transaction_id_precedes(<TransactionId> TransamVariables.latestCompletedXid, xid):
        lwlock_release(main_lock(ProcArrayLock))
        return 1
    for i in range(procArray.numProcs):
        if MyProc != NULL and i == MyProc.pgxactoff:
            continue
        pxid = (<volatile TransactionId *> &ProcGlobal.xids[i])[0]
        if pxid == InvalidTransactionId:
            continue
        if pxid == xid:
            lwlock_release(main_lock(ProcArrayLock))
            return 1
        if transaction_id_precedes(xid, pxid):
            continue                        # children are newer than their parent
        count = ProcGlobal.subxidStates[i].count
        read_barrier()
        proc = proc_by_number(procArray.pgprocnos[i])
        for j in range(count - 1, -1, -1):
            if (<volatile TransactionId *> &proc.subxids[j])[0] == xid:
                lwlock_release(main_lock(ProcArrayLock))
                return 1
        if ProcGlobal.subxidStates[i].overflowed:
            suspects[nsuspects] = pxid
            nsuspects += 1
    lwlock_release(main_lock(ProcArrayLock))
    if nsuspects == 0:
        cached_not_in_progress = xid
        return 0
    # Some process did not list all its children: only the log of parents can tell.
    if transaction_id_did_abort(xid):
        cached_not_in_progress = xid
        return 0
    top = sub_trans_get_topmost_transaction(xid)
    if top != xid:
        for i in range(nsuspects):
            if suspects[i] == top:
                return 1
    cached_not_in_progress = xid
    return 0


cdef int transaction_id_is_active(TransactionId xid) except -1:
    """1 if ``xid`` is the top-level id of a live process (TransactionIdIsActive)."""
    cdef int i, found = 0
    if transaction_id_precedes(xid, RecentXmin):
        return 0
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        if ProcGlobal.xids[i] == xid and proc_by_number(procArray.pgprocnos[i]).pid != 0:
            found = 1
            break
    lwlock_release(main_lock(ProcArrayLock))
    return found


cdef int _xid_cache_remove(TransactionId xid) noexcept:
    cdef int j, count = MyProc.subxidStatus.count
    for j in range(count - 1, -1, -1):
        if MyProc.subxids[j] == xid:
            MyProc.subxids[j] = MyProc.subxids[count - 1]
            write_barrier()
            ProcGlobal.subxidStates[MyProc.pgxactoff].count -= 1
            MyProc.subxidStatus.count -= 1
            return 1
    return 0


cdef int xid_cache_remove_running_xids(TransactionId xid, int nxids, const TransactionId *xids,
                                       TransactionId latest_xid) except -1:
    """A subtransaction aborted: its ids no longer run (XidCacheRemoveRunningXids)."""
    cdef int i
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    for i in range(nxids - 1, -1, -1):
        if not _xid_cache_remove(xids[i]) and not MyProc.subxidStatus.overflowed:
            report(Severity.WARNING, f"did not find subXID {xids[i]} in MyProc")
    if not _xid_cache_remove(xid) and not MyProc.subxidStatus.overflowed:
        report(Severity.WARNING, f"did not find subXID {xid} in MyProc")
    _maintain_latest_completed(latest_xid)
    TransamVariables.xactCompletionCount += 1
    lwlock_release(main_lock(ProcArrayLock))
    return 0


cdef TransactionId get_oldest_active_transaction_id() except 0:
    """The oldest id of a running transaction with an id, or the next id (GetOldestActiveTransactionId)."""
    cdef TransactionId oldest, xid
    cdef int i
    lwlock_acquire(main_lock(XidGenLock), LW_SHARED)
    oldest = <TransactionId> TransamVariables.nextXid
    lwlock_release(main_lock(XidGenLock))
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        xid = ProcGlobal.xids[i]
        if transaction_id_is_normal(xid) and transaction_id_precedes(xid, oldest):
            oldest = xid
    lwlock_release(main_lock(ProcArrayLock))
    return oldest


# Horizons: what nobody can see any more.

cdef struct Horizons:
    FullTransactionId latest_completed
    TransactionId oldest_considered_running
    TransactionId shared_oldest_nonremovable
    TransactionId catalog_oldest_nonremovable
    TransactionId data_oldest_nonremovable
    TransactionId temp_oldest_nonremovable
    TransactionId slot_xmin
    TransactionId slot_catalog_xmin


cdef inline FullTransactionId _newer(FullTransactionId a, FullTransactionId b) noexcept nogil:
    return a if a > b else b


cdef int _compute_horizons(Horizons *h) except -1 nogil:
    """Look at every process's ids and snapshots (ComputeXidHorizons) and renew the bounds of GlobalVis."""
    cdef TransactionId initial, xid
    cdef PGPROC *proc
    cdef uint8_t flags
    cdef int i
    cdef bint recovering = in_recovery()
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    h.latest_completed = TransamVariables.latestCompletedXid
    initial = transaction_id_advance(<TransactionId> h.latest_completed)
    h.oldest_considered_running = h.shared_oldest_nonremovable = initial
    h.catalog_oldest_nonremovable = h.data_oldest_nonremovable = initial
    if MyProc != NULL and MyProc.xid != InvalidTransactionId:
        h.temp_oldest_nonremovable = MyProc.xid
    else:
        h.temp_oldest_nonremovable = initial
    h.slot_xmin = procArray.replication_slot_xmin
    h.slot_catalog_xmin = procArray.replication_slot_catalog_xmin
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        xid = transaction_id_older((<volatile TransactionId *> &proc.xmin)[0],
                                   (<volatile TransactionId *> &ProcGlobal.xids[i])[0])
        if xid == InvalidTransactionId:
            continue
        flags = ProcGlobal.statusFlags[i]
        h.oldest_considered_running = transaction_id_older(h.oldest_considered_running, xid)
        if flags & (PROC_IN_VACUUM | PROC_IN_LOGICAL_DECODING):
            continue                        # looks at no tuples that would have to stay
        h.shared_oldest_nonremovable = transaction_id_older(h.shared_oldest_nonremovable, xid)
        if proc.databaseId == MyDatabaseId or MyDatabaseId == 0 or (flags & PROC_AFFECTS_ALL_HORIZONS) \
                or recovering or proc.databaseId == 0:
            if not flags & PROC_IN_SAFE_IC:
                h.data_oldest_nonremovable = transaction_id_older(h.data_oldest_nonremovable, xid)
            h.catalog_oldest_nonremovable = transaction_id_older(h.catalog_oldest_nonremovable, xid)
    lwlock_release(main_lock(ProcArrayLock))
    h.shared_oldest_nonremovable = transaction_id_older(h.shared_oldest_nonremovable, h.slot_xmin)
    h.data_oldest_nonremovable = transaction_id_older(h.data_oldest_nonremovable, h.slot_xmin)
    h.shared_oldest_nonremovable = transaction_id_older(h.shared_oldest_nonremovable, h.slot_catalog_xmin)
    h.catalog_oldest_nonremovable = transaction_id_older(h.catalog_oldest_nonremovable, h.slot_xmin)
    h.catalog_oldest_nonremovable = transaction_id_older(h.catalog_oldest_nonremovable, h.slot_catalog_xmin)
    h.oldest_considered_running = transaction_id_older(h.oldest_considered_running, h.shared_oldest_nonremovable)
    h.oldest_considered_running = transaction_id_older(h.oldest_considered_running, h.catalog_oldest_nonremovable)
    h.oldest_considered_running = transaction_id_older(h.oldest_considered_running, h.data_oldest_nonremovable)
    _apply_horizons(h)
    return 0


cdef void _apply_one(GlobalVisState *state, FullTransactionId latest, TransactionId oldest) noexcept nogil:
    state.maybe_needed = full_xid_relative_to(latest, oldest)
    state.definitely_needed = _newer(state.maybe_needed, state.definitely_needed)


cdef void _apply_horizons(Horizons *h) noexcept nogil:
    global ComputeXidHorizonsResultLastXmin
    _apply_one(&GlobalVisSharedRels, h.latest_completed, h.shared_oldest_nonremovable)
    _apply_one(&GlobalVisCatalogRels, h.latest_completed, h.catalog_oldest_nonremovable)
    _apply_one(&GlobalVisDataRels, h.latest_completed, h.data_oldest_nonremovable)
    GlobalVisTempRels.maybe_needed = full_xid_relative_to(h.latest_completed, h.temp_oldest_nonremovable)
    GlobalVisTempRels.definitely_needed = GlobalVisTempRels.maybe_needed
    ComputeXidHorizonsResultLastXmin = RecentXmin


cdef void global_vis_advance(TransactionId xmin, FullTransactionId latest_completed, TransactionId oldest_slot_xmin,
                             TransactionId catalog_slot_xmin, TransactionId my_xid) noexcept nogil:
    cdef TransactionId data_xid = transaction_id_older(xmin, oldest_slot_xmin)
    cdef TransactionId any_xid = transaction_id_older(catalog_slot_xmin, data_xid)
    cdef FullTransactionId any_fxid = full_xid_relative_to(latest_completed, any_xid)
    cdef FullTransactionId data_fxid = full_xid_relative_to(latest_completed, data_xid)
    cdef FullTransactionId oldest = full_xid_relative_to(latest_completed, TransamVariables.oldestXid)
    GlobalVisSharedRels.definitely_needed = _newer(any_fxid, GlobalVisSharedRels.definitely_needed)
    GlobalVisCatalogRels.definitely_needed = _newer(any_fxid, GlobalVisCatalogRels.definitely_needed)
    GlobalVisDataRels.definitely_needed = _newer(data_fxid, GlobalVisDataRels.definitely_needed)
    if transaction_id_is_normal(my_xid):
        GlobalVisTempRels.definitely_needed = full_xid_relative_to(latest_completed, my_xid)
    else:
        GlobalVisTempRels.definitely_needed = latest_completed + 1
    GlobalVisSharedRels.maybe_needed = _newer(GlobalVisSharedRels.maybe_needed, oldest)
    GlobalVisCatalogRels.maybe_needed = _newer(GlobalVisCatalogRels.maybe_needed, oldest)
    GlobalVisDataRels.maybe_needed = _newer(GlobalVisDataRels.maybe_needed, oldest)
    GlobalVisTempRels.maybe_needed = GlobalVisTempRels.definitely_needed


cdef GlobalVisState *global_vis_test_for(int kind) noexcept nogil:
    """The bounds that count for a kind of relation; a snapshot must have been taken before."""
    if kind == VISHORIZON_SHARED:
        return &GlobalVisSharedRels
    if kind == VISHORIZON_CATALOG:
        return &GlobalVisCatalogRels
    if kind == VISHORIZON_DATA:
        return &GlobalVisDataRels
    return &GlobalVisTempRels


cdef int global_vis_test_is_removable_full_xid(GlobalVisState *state, FullTransactionId fxid) except -1 nogil:
    """1 if a tuple deleted by ``fxid`` (known committed) or inserted by it (known aborted) can go."""
    cdef Horizons h
    if fxid < state.maybe_needed:
        return 1
    if fxid >= state.definitely_needed:
        return 0
    # In between: exact bounds are worth their price only if something may have changed since they were made.
    if ComputeXidHorizonsResultLastXmin == InvalidTransactionId or (
            state.maybe_needed < state.definitely_needed and RecentXmin != ComputeXidHorizonsResultLastXmin):
        _compute_horizons(&h)
        return fxid < state.maybe_needed
    return 0


cdef int global_vis_test_is_removable_xid(GlobalVisState *state, TransactionId xid) except -1 nogil:
    return global_vis_test_is_removable_full_xid(state, full_xid_relative_to(state.definitely_needed, xid))


cdef TransactionId get_oldest_non_removable_transaction_id(int kind) except 0:
    """The exact horizon: tuples deleted before it can be removed (GetOldestNonRemovableTransactionId)."""
    cdef Horizons h
    _compute_horizons(&h)
    if kind == VISHORIZON_SHARED:
        return h.shared_oldest_nonremovable
    if kind == VISHORIZON_CATALOG:
        return h.catalog_oldest_nonremovable
    if kind == VISHORIZON_DATA:
        return h.data_oldest_nonremovable
    return h.temp_oldest_nonremovable


def oldest_transaction_id_considered_running() -> int:
    """The oldest id that any process may still look up in pg_subtrans."""
    cdef Horizons h
    _compute_horizons(&h)
    return h.oldest_considered_running


def oldest_non_removable(kind: int) -> int:
    return get_oldest_non_removable_transaction_id(kind)


def is_removable(kind: int, xid: int) -> bool:
    return bool(global_vis_test_is_removable_xid(global_vis_test_for(kind), xid))


def set_slot_xmins(xmin: int, catalog_xmin: int) -> None:
    """What replication slots hold back (ProcArraySetReplicationSlotXmin)."""
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    procArray.replication_slot_xmin = xmin
    procArray.replication_slot_catalog_xmin = catalog_xmin
    lwlock_release(main_lock(ProcArrayLock))


# What Python code of higher packages asks.

def add_my_process() -> None:
    """Join the process array, after init_process (InitProcessPhase2)."""
    proc_array_add(MyProc)


def remove_my_process() -> None:
    """Leave it, before release_process."""
    if MyProc != NULL:
        proc_array_remove(MyProc, 0)


def set_latest_completed(fxid: int) -> None:
    """Start-up: everything before the next id has ended."""
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    TransamVariables.latestCompletedXid = fxid
    TransamVariables.xactCompletionCount += 1
    lwlock_release(main_lock(ProcArrayLock))


def is_in_progress(xid: int) -> bool:
    return bool(transaction_id_is_in_progress(xid))


def oldest_active_transaction_id() -> int:
    return get_oldest_active_transaction_id()


def processes() -> list:
    """(procno, pid, xid, xmin, lxid, database, role) of every member, for pg_stat_activity and tests."""
    cdef PGPROC *proc
    cdef int i
    found = []
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        found.append((proc.procno, proc.pid, proc.xid, proc.xmin, proc.lxid, proc.databaseId, proc.roleId))
    lwlock_release(main_lock(ProcArrayLock))
    return found


def count_active_transactions(needed: int) -> bool:
    """Whether ``needed`` other processes are in transactions with ids and not waiting (MinimumActiveBackends)."""
    cdef int i, count = 0, wanted = needed
    cdef PGPROC *proc
    if wanted == 0:
        return True
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        if proc == MyProc or proc.xid == 0 or proc.pid == 0 or proc.waitLock != NULL:
            continue
        count += 1
        if count >= wanted:
            return True
    return False


def count_database_backends(database: int, own: bool = True) -> tuple:
    """(backends, prepared transactions) connected to a database, this one counted or not (CountOtherDBBackends)."""
    cdef int i
    cdef PGPROC *proc
    backends = prepared = 0
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        if proc.databaseId != <Oid> database or (proc == MyProc and not own):
            continue
        if proc.pid == 0:
            prepared += 1
        else:
            backends += 1
    lwlock_release(main_lock(ProcArrayLock))
    return backends, prepared


def virtual_xids_delaying_checkpoint(flag: int) -> list:
    """(procno, lxid) of transactions that hold back a checkpoint's start (1) or completion (2)."""
    cdef int i
    cdef PGPROC *proc
    found = []
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        if proc.delayChkptFlags & <int> flag and proc.lxid != 0:
            found.append((proc.procno, proc.lxid))
    lwlock_release(main_lock(ProcArrayLock))
    return found


def current_virtual_xids(limit_xmin: int, exclude_xmin_zero: bool, all_databases: bool, exclude_vacuum: int) -> list:
    """(procno, lxid) of transactions whose snapshots may be as old as ``limit_xmin`` (GetCurrentVirtualXIDs)."""
    cdef int i
    cdef PGPROC *proc
    cdef TransactionId xmin
    found = []
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(procArray.numProcs):
        proc = proc_by_number(procArray.pgprocnos[i])
        if proc == MyProc or ProcGlobal.statusFlags[i] & <uint8_t> exclude_vacuum:
            continue
        if not all_databases and proc.databaseId != MyDatabaseId:
            continue
        xmin = proc.xmin
        if exclude_xmin_zero and xmin == 0:
            continue
        if (limit_xmin == 0 or transaction_id_precedes_or_equals(xmin, limit_xmin)) and proc.lxid != 0:
            found.append((proc.procno, proc.lxid))
    lwlock_release(main_lock(ProcArrayLock))
    return found


def set_vacuum_flags(flags: int) -> None:
    """PROC_IN_VACUUM and the like for the running transaction."""
    lwlock_acquire(main_lock(ProcArrayLock), LW_EXCLUSIVE)
    MyProc.statusFlags |= <uint8_t> flags
    ProcGlobal.statusFlags[MyProc.pgxactoff] = MyProc.statusFlags
    lwlock_release(main_lock(ProcArrayLock))


def running_transactions() -> tuple:
    """(top-level ids, subtransaction ids, overflowed, next xid, oldest running, latest completed).

    Comes back with ProcArrayLock and XidGenLock held shared; the caller releases them with
    release_running_transactions() once the record is written.
    """
    cdef int i, j
    cdef PGPROC *proc
    cdef TransactionId xid, oldest
    top = []
    sub = []
    overflowed = False
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    lwlock_acquire(main_lock(XidGenLock), LW_SHARED)
    oldest = <TransactionId> TransamVariables.nextXid
    for i in range(procArray.numProcs):
        xid = ProcGlobal.xids[i]
        if xid == 0:
            continue
        if transaction_id_precedes(xid, oldest):
            oldest = xid
        if ProcGlobal.subxidStates[i].overflowed:
            overflowed = True
        top.append(xid)
    if not overflowed:
        for i in range(procArray.numProcs):
            proc = proc_by_number(procArray.pgprocnos[i])
            for j in range(ProcGlobal.subxidStates[i].count):
                sub.append(proc.subxids[j])
    return (top, sub, overflowed, <TransactionId> TransamVariables.nextXid, oldest,
            <TransactionId> TransamVariables.latestCompletedXid)


def release_running_transactions() -> None:
    lwlock_release(main_lock(XidGenLock))
    lwlock_release(main_lock(ProcArrayLock))

# cython: language_level=3
"""Snapshots: taking, stacking, registering (PostgreSQL's snapmgr.c and the taking part of procarray.c).

A snapshot that is neither active nor registered is one of the three static ones and is overwritten by the next call;
pushing or registering one copies it. The oldest one in use decides this process's advertised xmin.
"""

cimport cython
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from tusk._types cimport FirstNormalTransactionId, InvalidTransactionId, uint8_t
from tusk.memory._atomics cimport read_barrier
from tusk.memory._lwlock cimport LW_SHARED, ProcArrayLock, lwlock_acquire, lwlock_release, main_lock
from tusk.memory._process cimport (
    PROC_IN_LOGICAL_DECODING,
    PROC_IN_VACUUM,
    MyProc,
    ProcGlobal,
    proc_by_number,
)
from tusk.transaction cimport _state
from tusk.transaction._procarray cimport global_vis_advance, procArray
from tusk.transaction._state cimport CurrentTransactionState, TransamVariables, XactIsoLevel
from tusk.transaction._subtrans cimport sub_trans_get_topmost_transaction
from tusk.transaction._transam cimport transaction_id_advance, transaction_id_precedes
from tusk.wal._xlog cimport recovery_in_progress

from tusk.errors import Severity, SqlError, errcode, report

cdef enum:
    MAX_SUBXIDS_PER_PROC = 65


@cython.freelist(16)
cdef class Snapshot:
    """One view of the database. Other kinds than MVCC use few of the fields; a dirty scan returns ids in them."""

    def __dealloc__(self):
        free(self.xip)
        free(self.subxip)

    @property
    def running(self) -> list:
        """Ids of running top-level transactions."""
        return [self.xip[i] for i in range(self.xcnt)]

    @property
    def running_subtransactions(self) -> list:
        return [self.subxip[i] for i in range(self.subxcnt)]

    def __repr__(self) -> str:
        xids = ",".join(str(xid) for xid in sorted(self.running))
        return f"<Snapshot {self.xmin}:{self.xmax}:{xids} curcid={self.curcid}>"

    @property
    def counts(self) -> tuple:
        """(active, registered) references."""
        return self.active_count, self.regd_count


cdef Snapshot _make(int kind):
    cdef Snapshot snapshot = Snapshot.__new__(Snapshot)
    snapshot.kind = kind
    return snapshot


SnapshotSelf = _make(SNAPSHOT_SELF)
SnapshotAny = _make(SNAPSHOT_ANY)
SnapshotToast = _make(SNAPSHOT_TOAST)

cdef Snapshot current_data = _make(SNAPSHOT_MVCC)
cdef Snapshot secondary_data = _make(SNAPSHOT_MVCC)
cdef Snapshot catalog_data = _make(SNAPSHOT_MVCC)
cdef Snapshot CurrentSnapshot = None
cdef Snapshot SecondarySnapshot = None
cdef Snapshot CatalogSnapshot = None
cdef Snapshot FirstXactSnapshot = None
cdef bint FirstSnapshotSet = False

cdef list active = []               # innermost last
cdef list active_levels = []        # transaction nest level of each
cdef list registered = []           # one entry for each registration
cdef list registered_levels = []


cdef Snapshot make_dirty_snapshot():
    """A snapshot that sees running transactions and tells their ids; one for each scan."""
    return _make(SNAPSHOT_DIRTY)


cdef Snapshot make_non_vacuumable_snapshot(GlobalVisState *vistest):
    """Sees whatever cannot be removed yet."""
    cdef Snapshot snapshot = _make(SNAPSHOT_NON_VACUUMABLE)
    snapshot.vistest = vistest
    return snapshot


cdef int _get_snapshot_data(Snapshot snapshot) except -1:
    """Record which transactions run now (GetSnapshotData); reuses the last answer if none has ended since."""
    cdef TransactionId xmax, xmin, xid, my_xid, slot_xmin, slot_catalog_xmin
    cdef uint64_t latest_completed, completions
    cdef int off, my_off, n, nprocs
    cdef uint32_t count = 0
    cdef int32_t subcount = 0
    cdef bint overflowed = False
    if snapshot.xip == NULL:
        nprocs = procArray.maxProcs
        snapshot.xip = <TransactionId *> malloc(nprocs * sizeof(TransactionId))
        snapshot.subxip = <TransactionId *> malloc(<size_t> nprocs * MAX_SUBXIDS_PER_PROC * sizeof(TransactionId))
        if snapshot.xip == NULL or snapshot.subxip == NULL:
            raise MemoryError
        snapshot.snapXactCompletionCount = 0
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    completions = TransamVariables.xactCompletionCount
    if snapshot.snapXactCompletionCount == completions:
        # Nothing that had an id has ended: the same transactions are invisible. New ones are beyond xmax.
        if MyProc.xmin == InvalidTransactionId:
            MyProc.xmin = snapshot.xmin
            _state.TransactionXmin = snapshot.xmin
        lwlock_release(main_lock(ProcArrayLock))
        _state.RecentXmin = snapshot.xmin
        snapshot.curcid = _state.currentCommandId
        snapshot.active_count = 0
        snapshot.regd_count = 0
        snapshot.copied = False
        return 0
    latest_completed = TransamVariables.latestCompletedXid
    my_off = MyProc.pgxactoff
    my_xid = ProcGlobal.xids[my_off]
    xmax = transaction_id_advance(<TransactionId> latest_completed)
    xmin = xmax
    if my_xid >= FirstNormalTransactionId and transaction_id_precedes(my_xid, xmin):
        xmin = my_xid
    for off in range(procArray.numProcs):
        xid = (<volatile TransactionId *> &ProcGlobal.xids[off])[0]
        if xid == InvalidTransactionId or off == my_off:
            continue
        if <int32_t> (xid - xmax) >= 0:
            continue                            # began after the last one ended: invisible anyway
        if ProcGlobal.statusFlags[off] & (PROC_IN_LOGICAL_DECODING | PROC_IN_VACUUM):
            continue
        if <int32_t> (xid - xmin) < 0:
            xmin = xid
        snapshot.xip[count] = xid
        count += 1
        if not overflowed:
            if ProcGlobal.subxidStates[off].overflowed:
                overflowed = True
            else:
                n = ProcGlobal.subxidStates[off].count
                if n > 0:
                    read_barrier()
                    memcpy(snapshot.subxip + subcount, proc_by_number(procArray.pgprocnos[off]).subxids,
                           n * sizeof(TransactionId))
                    subcount += n
    slot_xmin = procArray.replication_slot_xmin
    slot_catalog_xmin = procArray.replication_slot_catalog_xmin
    if MyProc.xmin == InvalidTransactionId:
        MyProc.xmin = xmin
        _state.TransactionXmin = xmin
    lwlock_release(main_lock(ProcArrayLock))
    global_vis_advance(xmin, latest_completed, slot_xmin, slot_catalog_xmin, my_xid)
    _state.RecentXmin = xmin
    snapshot.xmin = xmin
    snapshot.xmax = xmax
    snapshot.xcnt = count
    snapshot.subxcnt = subcount
    snapshot.suboverflowed = overflowed
    snapshot.takenDuringRecovery = False
    snapshot.snapXactCompletionCount = completions
    snapshot.curcid = _state.currentCommandId
    snapshot.active_count = 0
    snapshot.regd_count = 0
    snapshot.copied = False
    return 0


cdef Snapshot _copy(Snapshot old):
    """A copy that is not overwritten, with arrays of just the needed size."""
    cdef Snapshot new = Snapshot.__new__(Snapshot)
    new.kind = old.kind
    new.xmin = old.xmin
    new.xmax = old.xmax
    new.xcnt = old.xcnt
    new.suboverflowed = old.suboverflowed
    new.takenDuringRecovery = old.takenDuringRecovery
    new.curcid = old.curcid
    new.copied = True
    if old.xcnt > 0:
        new.xip = <TransactionId *> malloc(old.xcnt * sizeof(TransactionId))
        if new.xip == NULL:
            raise MemoryError
        memcpy(new.xip, old.xip, old.xcnt * sizeof(TransactionId))
    # A list of children known to be incomplete is never looked at, except in recovery.
    if old.subxcnt > 0 and (not old.suboverflowed or old.takenDuringRecovery):
        new.subxip = <TransactionId *> malloc(old.subxcnt * sizeof(TransactionId))
        if new.subxip == NULL:
            raise MemoryError
        memcpy(new.subxip, old.subxip, old.subxcnt * sizeof(TransactionId))
        new.subxcnt = old.subxcnt
    return new


cdef Snapshot get_transaction_snapshot():
    """The snapshot for a new query: the transaction's one, or a new one in READ COMMITTED."""
    global CurrentSnapshot, FirstSnapshotSet, FirstXactSnapshot
    if not FirstSnapshotSet:
        if recovery_in_progress():
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED, "snapshots during recovery is not supported yet")
        invalidate_catalog_snapshot()
        _get_snapshot_data(current_data)
        if XactIsoLevel >= 2:
            CurrentSnapshot = _copy(current_data)
            FirstXactSnapshot = CurrentSnapshot
            _add_registered(CurrentSnapshot, 0)
        else:
            CurrentSnapshot = current_data
        FirstSnapshotSet = True
        return CurrentSnapshot
    if XactIsoLevel >= 2:
        return CurrentSnapshot
    if CatalogSnapshot is not None:
        invalidate_catalog_snapshot()
    _get_snapshot_data(current_data)
    CurrentSnapshot = current_data
    return CurrentSnapshot


cdef Snapshot get_latest_snapshot():
    """A snapshot of this moment whatever the isolation level."""
    global SecondarySnapshot
    if not FirstSnapshotSet:
        return get_transaction_snapshot()
    _get_snapshot_data(secondary_data)
    SecondarySnapshot = secondary_data
    return SecondarySnapshot


cdef Snapshot get_catalog_snapshot():
    """A snapshot for reading catalogs, kept until an invalidation says that they may have changed."""
    return get_non_historic_catalog_snapshot()


cdef Snapshot get_non_historic_catalog_snapshot():
    global CatalogSnapshot
    if CatalogSnapshot is None:
        _get_snapshot_data(catalog_data)
        CatalogSnapshot = catalog_data
    return CatalogSnapshot


cdef int invalidate_catalog_snapshot() except -1:
    """Make the next catalog access take a new snapshot."""
    global CatalogSnapshot
    if CatalogSnapshot is not None:
        CatalogSnapshot = None
        _reset_xmin()
    return 0


cdef int invalidate_catalog_snapshot_conditionally() except -1:
    """Before waiting for the client: do not hold back the horizon for the catalog snapshot alone."""
    if CatalogSnapshot is not None and not active and not registered:
        invalidate_catalog_snapshot()
    return 0


cdef int _reset_xmin() except -1:
    """Advertise the oldest snapshot still in use (SnapshotResetXmin)."""
    cdef Snapshot snapshot
    cdef TransactionId oldest = InvalidTransactionId
    if active or MyProc == NULL:
        return 0
    for snapshot in registered:
        if oldest == InvalidTransactionId or transaction_id_precedes(snapshot.xmin, oldest):
            oldest = snapshot.xmin
    if CatalogSnapshot is not None and (oldest == InvalidTransactionId
                                        or transaction_id_precedes(CatalogSnapshot.xmin, oldest)):
        oldest = CatalogSnapshot.xmin
    if oldest == InvalidTransactionId:
        MyProc.xmin = InvalidTransactionId
        _state.TransactionXmin = InvalidTransactionId
    elif transaction_id_precedes(MyProc.xmin, oldest):
        MyProc.xmin = oldest
        _state.TransactionXmin = oldest
    return 0


cdef int push_active_snapshot(Snapshot snapshot) except -1:
    """Make ``snapshot`` (or a copy, if it could be overwritten) the active one."""
    return _push(snapshot, CurrentTransactionState.nestingLevel)


cdef int _push(Snapshot snapshot, int level) except -1:
    if snapshot is CurrentSnapshot or snapshot is SecondarySnapshot or not snapshot.copied:
        snapshot = _copy(snapshot)
    snapshot.active_count += 1
    active.append(snapshot)
    active_levels.append(level)
    return 0


cdef int push_copied_snapshot(Snapshot snapshot) except -1:
    """As push_active_snapshot, with a copy of its own whose command id may be changed."""
    return push_active_snapshot(_copy(snapshot))


cdef int update_active_snapshot_command_id() except -1:
    """Let the active snapshot see what this transaction's earlier commands did."""
    cdef Snapshot snapshot = active[len(active) - 1]
    if snapshot.active_count != 1 or snapshot.regd_count != 0:
        raise SqlError(errcode.INTERNAL_ERROR, "cannot change the command id of a snapshot in use elsewhere")
    snapshot.curcid = _state.currentCommandId
    return 0


cdef int pop_active_snapshot() except -1:
    cdef Snapshot snapshot = active.pop()
    active_levels.pop()
    snapshot.active_count -= 1
    if not active:
        _reset_xmin()
    return 0


cdef Snapshot get_active_snapshot():
    """The innermost active snapshot, None without one."""
    cdef Py_ssize_t n = len(active)
    return <Snapshot> active[n - 1] if n > 0 else None


cdef bint active_snapshot_set() noexcept nogil:
    with gil:
        return len(active) > 0


cdef int _add_registered(Snapshot snapshot, int level) except -1:
    snapshot.regd_count += 1
    registered.append(snapshot)
    registered_levels.append(level)
    return 0


cdef Snapshot register_snapshot(Snapshot snapshot):
    """Keep ``snapshot`` beyond the active stack; returns the one to use (a copy perhaps)."""
    if snapshot is None:
        return None
    if not snapshot.copied:
        snapshot = _copy(snapshot)
    _add_registered(snapshot, CurrentTransactionState.nestingLevel)
    return snapshot


cdef int unregister_snapshot(Snapshot snapshot) except -1:
    """Give back one registration."""
    cdef Py_ssize_t i
    if snapshot is None:
        return 0
    for i in range(len(registered) - 1, -1, -1):
        if registered[i] is snapshot:
            del registered[i]
            del registered_levels[i]
            snapshot.regd_count -= 1
            if snapshot.regd_count == 0 and snapshot.active_count == 0:
                _reset_xmin()
            return 0
    return 0                                    # released by an aborted subtransaction already


cdef bint have_registered_or_active_snapshot() noexcept:
    """Whether any snapshot other than the catalog's holds back the horizon."""
    return len(active) > 0 or len(registered) > 0


cdef bint first_snapshot_set() noexcept nogil:
    return FirstSnapshotSet


cdef int xid_in_mvcc_snapshot(TransactionId xid, Snapshot snapshot) except -1 nogil:
    """1 if ``xid`` had not ended for the snapshot (its effects are invisible), 0 if it had."""
    cdef uint32_t i
    cdef int32_t j
    if transaction_id_precedes(xid, snapshot.xmin):
        return 0
    if not transaction_id_precedes(xid, snapshot.xmax):
        return 1
    if not snapshot.suboverflowed:
        for j in range(snapshot.subxcnt):
            if snapshot.subxip[j] == xid:
                return 1
    else:
        # Children were not all listed: only parents are sure to be.
        xid = sub_trans_get_topmost_transaction(xid)
        if transaction_id_precedes(xid, snapshot.xmin):
            return 0
    for i in range(snapshot.xcnt):
        if snapshot.xip[i] == xid:
            return 1
    return 0


cdef int snapshot_set_command_id(CommandId curcid) noexcept:
    """The command counter moved: the static snapshots follow."""
    if not FirstSnapshotSet:
        return 0
    if CurrentSnapshot is not None:
        CurrentSnapshot.curcid = curcid
    if SecondarySnapshot is not None:
        SecondarySnapshot.curcid = curcid
    return 0


cdef int at_sub_commit_snapshot(int level) except -1:
    """What the ending subtransaction pushed or registered belongs to its parent now."""
    cdef Py_ssize_t i
    for i in range(len(active_levels)):
        if <int> active_levels[i] >= level:
            active_levels[i] = level - 1
    for i in range(len(registered_levels)):
        if <int> registered_levels[i] >= level:
            registered_levels[i] = level - 1
    return 0


cdef int at_sub_abort_snapshot(int level) except -1:
    """Drop what the aborted subtransaction pushed or registered."""
    cdef Py_ssize_t i
    while active_levels and <int> active_levels[len(active_levels) - 1] >= level:
        active_levels.pop()
        (<Snapshot> active.pop()).active_count -= 1
    for i in range(len(registered_levels) - 1, -1, -1):
        if <int> registered_levels[i] >= level:
            (<Snapshot> registered[i]).regd_count -= 1
            del registered[i]
            del registered_levels[i]
    return _reset_xmin()


cdef int at_eoxact_snapshot(bint is_commit, bint reset_xmin) except -1:
    """The transaction ends: no snapshot survives it."""
    global CurrentSnapshot, SecondarySnapshot, CatalogSnapshot, FirstXactSnapshot, FirstSnapshotSet
    cdef Snapshot snapshot
    if FirstXactSnapshot is not None:
        unregister_snapshot(FirstXactSnapshot)
        FirstXactSnapshot = None
    CatalogSnapshot = None
    if registered:
        if is_commit:
            report(Severity.WARNING, "registered snapshots seem to remain after cleanup")
        for snapshot in registered:
            snapshot.regd_count = 0
        registered.clear()
        registered_levels.clear()
    if active:
        if is_commit:
            report(Severity.WARNING, f"{len(active)} snapshots still active at end of transaction")
        for snapshot in active:
            snapshot.active_count = 0
        active.clear()
        active_levels.clear()
    CurrentSnapshot = None
    SecondarySnapshot = None
    FirstSnapshotSet = False
    if reset_xmin:
        _reset_xmin()
    return 0


# Doors for Python code.

def transaction_snapshot() -> Snapshot:
    return get_transaction_snapshot()


def latest_snapshot() -> Snapshot:
    return get_latest_snapshot()


def catalog_snapshot() -> Snapshot:
    return get_catalog_snapshot()


def invalidate_catalog() -> None:
    invalidate_catalog_snapshot()


def invalidate_catalog_conditionally() -> None:
    invalidate_catalog_snapshot_conditionally()


def push_active(snapshot: Snapshot) -> None:
    push_active_snapshot(snapshot)


def push_active_with_level(snapshot: Snapshot, level: int) -> None:
    """Active on behalf of an outer transaction level (PushActiveSnapshotWithLevel)."""
    _push(snapshot, level)


def push_copied(snapshot: Snapshot) -> None:
    push_copied_snapshot(snapshot)


def update_active_command_id() -> None:
    update_active_snapshot_command_id()


def pop_active() -> None:
    pop_active_snapshot()


def active_snapshot() -> Snapshot | None:
    """The innermost active snapshot."""
    return get_active_snapshot()


def required_snapshot() -> Snapshot:
    """The active snapshot, where there must be one."""
    snapshot = active_snapshot()
    assert snapshot is not None, "no active snapshot"
    return snapshot


def is_active_set() -> bool:
    return len(active) > 0


def register(snapshot: Snapshot) -> Snapshot:
    return register_snapshot(snapshot)


def unregister(snapshot: Snapshot) -> None:
    unregister_snapshot(snapshot)


def xid_in_snapshot(xid: int, snapshot: Snapshot) -> bool:
    return bool(xid_in_mvcc_snapshot(xid, snapshot))


def dirty_snapshot() -> Snapshot:
    return make_dirty_snapshot()


def special_snapshot(name: str) -> Snapshot:
    """``self``, ``any`` or ``toast``."""
    return {"self": SnapshotSelf, "any": SnapshotAny, "toast": SnapshotToast}[name]


def forget_all() -> None:
    """Shared memory was made anew: the static snapshots must not be taken for fresh."""
    global CurrentSnapshot, SecondarySnapshot, CatalogSnapshot, FirstXactSnapshot, FirstSnapshotSet
    cdef Snapshot snapshot
    at_eoxact_snapshot(False, False)
    for snapshot in (current_data, secondary_data, catalog_data):
        free(snapshot.xip)
        free(snapshot.subxip)
        snapshot.xip = NULL
        snapshot.subxip = NULL
        snapshot.snapXactCompletionCount = 0
    _state.TransactionXmin = FirstNormalTransactionId
    _state.RecentXmin = FirstNormalTransactionId

# cython: language_level=3
"""Snapshots: what a scan may see (utils/snapshot.h, snapmgr.h), and the horizons of what nobody can see."""

from tusk._types cimport CommandId, FullTransactionId, Lsn, TransactionId, int32_t, uint32_t, uint64_t
from tusk.transaction._clog cimport (
    transaction_id_did_abort,
    transaction_id_did_commit,
    transaction_id_get_commit_lsn,
)
from tusk.transaction._procarray cimport (
    VISHORIZON_CATALOG,
    VISHORIZON_DATA,
    VISHORIZON_SHARED,
    VISHORIZON_TEMP,
    GlobalVisState,
    get_oldest_non_removable_transaction_id,
    global_vis_test_for,
    global_vis_test_is_removable_full_xid,
    global_vis_test_is_removable_xid,
    transaction_id_is_in_progress,
)
from tusk.transaction._state cimport RecentXmin, TransactionXmin

cdef enum SnapshotKind:
    SNAPSHOT_MVCC = 0
    SNAPSHOT_SELF = 1
    SNAPSHOT_ANY = 2
    SNAPSHOT_TOAST = 3
    SNAPSHOT_DIRTY = 4
    SNAPSHOT_HISTORIC_MVCC = 5
    SNAPSHOT_NON_VACUUMABLE = 6

cdef class Snapshot:
    cdef readonly int kind
    cdef public TransactionId xmin          # every id before it has ended
    cdef public TransactionId xmax          # every id from it on is invisible
    cdef TransactionId *xip                 # running top-level ids, unsorted
    cdef readonly uint32_t xcnt
    cdef TransactionId *subxip              # running subtransaction ids, as far as known
    cdef readonly int32_t subxcnt
    cdef readonly bint suboverflowed
    cdef readonly bint takenDuringRecovery
    cdef readonly bint copied
    cdef public CommandId curcid
    cdef public uint32_t speculativeToken   # set by a dirty scan that met a speculative tuple
    cdef GlobalVisState *vistest            # for SNAPSHOT_NON_VACUUMABLE
    cdef uint64_t snapXactCompletionCount
    cdef uint32_t active_count
    cdef uint32_t regd_count
    cdef uint32_t xip_size
    cdef uint32_t subxip_size
    cdef object __weakref__


# Shared, stateless.
cdef Snapshot SnapshotSelf
cdef Snapshot SnapshotAny
cdef Snapshot SnapshotToast

cdef Snapshot make_dirty_snapshot()
cdef Snapshot make_non_vacuumable_snapshot(GlobalVisState *vistest)

cdef Snapshot get_transaction_snapshot()
cdef Snapshot get_latest_snapshot()
cdef Snapshot get_catalog_snapshot()
cdef Snapshot get_non_historic_catalog_snapshot()
cdef int invalidate_catalog_snapshot() except -1
cdef int invalidate_catalog_snapshot_conditionally() except -1
cdef int push_active_snapshot(Snapshot snapshot) except -1
cdef int push_copied_snapshot(Snapshot snapshot) except -1
cdef int update_active_snapshot_command_id() except -1
cdef int pop_active_snapshot() except -1
cdef Snapshot get_active_snapshot()
cdef bint active_snapshot_set() noexcept nogil
cdef Snapshot register_snapshot(Snapshot snapshot)
cdef int unregister_snapshot(Snapshot snapshot) except -1
cdef bint have_registered_or_active_snapshot() noexcept
cdef bint first_snapshot_set() noexcept nogil

# Whether a transaction had not ended when the snapshot was taken: 1, 0, or -1 with an exception.
cdef int xid_in_mvcc_snapshot(TransactionId xid, Snapshot snapshot) except -1 nogil

cdef int snapshot_set_command_id(CommandId curcid) noexcept
cdef int at_sub_commit_snapshot(int level) except -1
cdef int at_sub_abort_snapshot(int level) except -1
cdef int at_eoxact_snapshot(bint is_commit, bint reset_xmin) except -1

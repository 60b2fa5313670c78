# cython: language_level=3
"""Snapshots: what a scan may see (utils/snapshot.h, snapmgr.h), and the horizons of what nobody can see."""

from tusk._types cimport CommandId, FullTransactionId, Lsn, TransactionId, int32_t, uint32_t, uint64_t

cdef enum SnapshotKind:
    SNAPSHOT_MVCC = 0
    SNAPSHOT_SELF = 1
    SNAPSHOT_ANY = 2
    SNAPSHOT_TOAST = 3
    SNAPSHOT_DIRTY = 4
    SNAPSHOT_HISTORIC_MVCC = 5
    SNAPSHOT_NON_VACUUMABLE = 6

# Which horizon counts for a relation (GlobalVisHorizonKind): shared catalogs, catalogs, user data, own temporary.
cdef enum GlobalVisKind:
    VISHORIZON_SHARED = 0
    VISHORIZON_CATALOG = 1
    VISHORIZON_DATA = 2
    VISHORIZON_TEMP = 3

cdef struct GlobalVisState:
    FullTransactionId definitely_needed     # ids at or after it may still be seen as running by somebody
    FullTransactionId maybe_needed          # ids before it are removable for certain


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

# Oldest xid that this backend's snapshots need; transaction-wide.
cdef TransactionId TransactionXmin
cdef TransactionId RecentXmin

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

# Visibility of ids. 1, 0, or -1 with an exception (a commit log or subtrans page could not be read).
cdef int xid_in_mvcc_snapshot(TransactionId xid, Snapshot snapshot) except -1 nogil
cdef int transaction_id_is_in_progress(TransactionId xid) except -1 nogil
cdef int transaction_id_did_commit(TransactionId xid) except -1 nogil
cdef int transaction_id_did_abort(TransactionId xid) except -1 nogil
cdef Lsn transaction_id_get_commit_lsn(TransactionId xid) except? 0xffffffffffffffff nogil

# Horizons.
cdef GlobalVisState *global_vis_test_for(int kind) noexcept
cdef int global_vis_test_is_removable_xid(GlobalVisState *state, TransactionId xid) except -1 nogil
cdef int global_vis_test_is_removable_full_xid(GlobalVisState *state, FullTransactionId fxid) except -1 nogil
cdef TransactionId get_oldest_non_removable_transaction_id(int kind) except 0

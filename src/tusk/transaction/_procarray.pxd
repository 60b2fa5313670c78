# cython: language_level=3
"""The array of processes that run transactions (storage/procarray.h)."""

from tusk._types cimport FullTransactionId, Oid, TransactionId, int32_t, uint32_t, uint64_t
from tusk.memory._process cimport PGPROC

cdef enum GlobalVisKind:
    VISHORIZON_SHARED = 0
    VISHORIZON_CATALOG = 1
    VISHORIZON_DATA = 2
    VISHORIZON_TEMP = 3

cdef struct GlobalVisState:
    FullTransactionId definitely_needed     # ids at or after it may still be seen as running by somebody
    FullTransactionId maybe_needed          # ids before it are removable for certain

cdef struct ProcArrayData:
    int32_t numProcs
    int32_t maxProcs
    TransactionId replication_slot_xmin
    TransactionId replication_slot_catalog_xmin
    TransactionId lastOverflowedXid
    int32_t pgprocnos[1]                    # maxProcs of them, ascending

cdef struct VirtualTransactionId:
    int32_t procNumber
    uint32_t localTransactionId

cdef ProcArrayData *procArray
cdef GlobalVisState GlobalVisSharedRels
cdef GlobalVisState GlobalVisCatalogRels
cdef GlobalVisState GlobalVisDataRels
cdef GlobalVisState GlobalVisTempRels
cdef TransactionId ComputeXidHorizonsResultLastXmin

cdef int proc_array_add(PGPROC *proc) except -1
cdef int proc_array_remove(PGPROC *proc, TransactionId latest_xid) except -1
cdef int proc_array_end_transaction(PGPROC *proc, TransactionId latest_xid) except -1 nogil
cdef int transaction_id_is_in_progress(TransactionId xid) except -1 nogil
cdef int transaction_id_is_active(TransactionId xid) except -1
cdef int xid_cache_remove_running_xids(TransactionId xid, int nxids, const TransactionId *xids,
                                       TransactionId latest_xid) except -1
cdef TransactionId get_oldest_active_transaction_id() except 0

cdef GlobalVisState *global_vis_test_for(int kind) noexcept nogil
cdef int global_vis_test_is_removable_xid(GlobalVisState *state, TransactionId xid) except -1 nogil
cdef int global_vis_test_is_removable_full_xid(GlobalVisState *state, FullTransactionId fxid) except -1 nogil
cdef TransactionId get_oldest_non_removable_transaction_id(int kind) except 0
# For taking snapshots: move the cheap bounds on (GlobalVisUpdate within GetSnapshotData).
cdef void global_vis_advance(TransactionId xmin, FullTransactionId latest_completed, TransactionId oldest_slot_xmin,
                             TransactionId catalog_slot_xmin, TransactionId my_xid) noexcept nogil

# cython: language_level=3
"""The counters: next transaction id, next object id, and how far the oldest may lag (access/transam.h)."""

from tusk._types cimport FullTransactionId, MultiXactId, Oid, TransactionId, uint32_t, uint64_t

cdef struct TransamVariablesData:
    Oid nextOid                             # protected by OidGenLock
    uint32_t oidCount
    FullTransactionId nextXid               # protected by XidGenLock
    TransactionId oldestXid
    TransactionId xidVacLimit
    TransactionId xidWarnLimit
    TransactionId xidStopLimit
    TransactionId xidWrapLimit
    Oid oldestXidDB
    TransactionId oldestCommitTsXid         # protected by CommitTsLock
    TransactionId newestCommitTsXid
    FullTransactionId latestCompletedXid    # protected by ProcArrayLock
    uint64_t xactCompletionCount
    TransactionId oldestClogXid             # protected by XactTruncationLock

cdef TransamVariablesData *TransamVariables

cdef FullTransactionId get_new_transaction_id(bint is_sub_xact) except 0
cdef Oid get_new_object_id() except 0
cdef FullTransactionId read_next_full_transaction_id() noexcept
cdef int advance_next_full_transaction_id_past_xid(TransactionId xid) except -1
cdef int set_transaction_id_limit(TransactionId oldest_datfrozenxid, Oid oldest_datoid) except -1

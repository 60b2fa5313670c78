# cython: language_level=3
"""Shared counters and the ids this process relies on; the lowest module of the package."""

from tusk._types cimport CommandId, FullTransactionId, Oid, TransactionId, int64_t, uint8_t, uint32_t, uint64_t

ctypedef uint32_t SubTransactionId

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

# Oldest id that a snapshot of this transaction may still see as running; of the newest snapshot.
cdef TransactionId TransactionXmin
cdef TransactionId RecentXmin

# The database of this process (0 until it has one), its tablespace; set by the backend's start.
cdef Oid MyDatabaseId
cdef Oid MyDatabaseTableSpace
cdef bint IsUnderPostmaster

# Stack of (sub)transactions, innermost first.
cdef struct TransactionStateData:
    FullTransactionId fullTransactionId
    SubTransactionId subTransactionId
    char *name                              # savepoint, malloc'ed
    int savepointLevel
    int state                               # TRANS_*
    int blockState                          # TBLOCK_*
    int nestingLevel
    int gucNestLevel
    TransactionId *childXids                # committed children, ascending
    int nChildXids
    int maxChildXids
    uint8_t prevXactReadOnly
    uint8_t startedInRecovery
    uint8_t didLogXid
    uint8_t chain
    uint8_t topXidLogged
    TransactionStateData *parent

cdef enum:
    TRANS_DEFAULT = 0
    TRANS_START = 1
    TRANS_INPROGRESS = 2
    TRANS_COMMIT = 3
    TRANS_ABORT = 4
    TRANS_PREPARE = 5

cdef TransactionStateData TopTransactionStateData
cdef TransactionStateData *CurrentTransactionState

cdef SubTransactionId currentSubTransactionId
cdef CommandId currentCommandId
cdef bint currentCommandIdUsed

cdef int XactIsoLevel
cdef bint XactReadOnly
cdef bint XactDeferrable
cdef int MyXactFlags

cdef bint transaction_id_is_current(TransactionId xid) noexcept nogil
cdef int64_t get_current_timestamp() noexcept nogil

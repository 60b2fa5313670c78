# cython: language_level=3
"""The transaction state of this backend: ids, command counter, blocks and savepoints (access/xact.h)."""

from tusk._types cimport CommandId, FullTransactionId, Lsn, Oid, TransactionId, int32_t, int64_t, uint32_t

ctypedef uint32_t SubTransactionId

cdef enum:
    InvalidSubTransactionId = 0
    TopSubTransactionId = 1

cdef enum:
    XACT_READ_UNCOMMITTED = 0
    XACT_READ_COMMITTED = 1
    XACT_REPEATABLE_READ = 2
    XACT_SERIALIZABLE = 3

cdef enum:
    SYNCHRONOUS_COMMIT_OFF = 0
    SYNCHRONOUS_COMMIT_LOCAL_FLUSH = 1
    SYNCHRONOUS_COMMIT_REMOTE_WRITE = 2
    SYNCHRONOUS_COMMIT_REMOTE_FLUSH = 3
    SYNCHRONOUS_COMMIT_REMOTE_APPLY = 4

# MyXactFlags
cdef enum:
    XACT_FLAGS_ACCESSEDTEMPNAMESPACE = 1
    XACT_FLAGS_ACQUIREDACCESSEXCLUSIVELOCK = 2
    XACT_FLAGS_NEEDIMMEDIATECOMMIT = 4
    XACT_FLAGS_PIPELINING = 8

# Events of C and Python callbacks. ABORT and later ones must not raise.
cdef enum XactEvent:
    XACT_EVENT_PRE_COMMIT = 0       # may raise and may run SQL
    XACT_EVENT_COMMIT = 1           # durable and visible; must not raise
    XACT_EVENT_ABORT = 2
    XACT_EVENT_START = 3            # a transaction began
    XACT_EVENT_COMMAND_END = 4      # the command counter moved on
    XACT_EVENT_CLEANUP = 5          # an aborted transaction is being forgotten (after ROLLBACK)

cdef enum SubXactEvent:
    SUBXACT_EVENT_START = 0
    SUBXACT_EVENT_COMMIT = 1
    SUBXACT_EVENT_ABORT = 2
    SUBXACT_EVENT_PRE_COMMIT = 3
    SUBXACT_EVENT_CLEANUP = 4

ctypedef int (*xact_hook)(int event) except -1
ctypedef int (*subxact_hook)(int event, SubTransactionId mysubid, SubTransactionId parentsubid) except -1

cdef int XactIsoLevel
cdef bint XactReadOnly
cdef bint XactDeferrable
cdef int MyXactFlags
cdef Lsn XactLastCommitEnd

cdef inline bint isolation_uses_xact_snapshot() noexcept:
    return XactIsoLevel >= XACT_REPEATABLE_READ

cdef TransactionId get_current_transaction_id() except 0           # assigns one if there is none
cdef TransactionId get_current_transaction_id_if_any() noexcept nogil
cdef TransactionId get_top_transaction_id() except 0
cdef TransactionId get_top_transaction_id_if_any() noexcept nogil
cdef FullTransactionId get_top_full_transaction_id() except 0
cdef FullTransactionId get_top_full_transaction_id_if_any() noexcept nogil
cdef FullTransactionId get_current_full_transaction_id() except 0
cdef bint transaction_id_is_current(TransactionId xid) noexcept nogil
cdef SubTransactionId get_current_sub_transaction_id() noexcept nogil
cdef bint sub_transaction_is_active(SubTransactionId subxid) noexcept nogil
cdef int get_current_transaction_nest_level() noexcept nogil
cdef CommandId get_current_command_id(bint used) noexcept nogil
cdef int command_counter_increment() except -1
cdef int64_t get_current_transaction_start_timestamp() noexcept nogil
cdef int64_t get_current_statement_start_timestamp() noexcept nogil
cdef int set_current_statement_start_timestamp() noexcept nogil
cdef int64_t get_current_timestamp() noexcept nogil                # µs from 2000-01-01 UTC
cdef bint is_transaction_state() noexcept nogil
cdef bint is_aborted_transaction_block_state() noexcept nogil
cdef bint is_transaction_block() noexcept nogil
cdef bint is_transaction_or_transaction_block() noexcept nogil
cdef bint is_sub_transaction() noexcept nogil
cdef char transaction_block_status_code() noexcept nogil           # b'I', b'T', b'E'

cdef int start_transaction_command() except -1
cdef int commit_transaction_command() except -1
cdef int abort_current_transaction() except -1

# Called in order of registration (at commit) or its reverse (at abort).
cdef int register_xact_hook(xact_hook hook) except -1
cdef int register_subxact_hook(subxact_hook hook) except -1

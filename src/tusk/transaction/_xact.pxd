# cython: language_level=3
"""The transaction state of this backend: ids, command counter, blocks and savepoints (access/xact.h)."""

from tusk._types cimport CommandId, FullTransactionId, Lsn, Oid, TransactionId, int32_t, int64_t, uint32_t
from tusk.transaction._state cimport (
    MyXactFlags,
    SubTransactionId,
    XactDeferrable,
    XactIsoLevel,
    XactReadOnly,
    get_current_timestamp,
    transaction_id_is_current,
)

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

# Events of C and Python callbacks, in the order in which a transaction meets them. Only PRE_COMMIT may raise freely
# (and run SQL); an error in PRE_RECORD still aborts; what raises later leaves an ended transaction behind.
cdef enum XactEvent:
    XACT_EVENT_START = 0            # a transaction began
    XACT_EVENT_COMMAND_END = 1      # the command counter moved on: make catalog changes visible to oneself
    XACT_EVENT_PRE_COMMIT = 2       # deferred triggers, portals, ON COMMIT actions; again while new work appears
    XACT_EVENT_PRE_RECORD = 3       # interrupts are held: relation map
    XACT_EVENT_COMMIT = 4           # durable and visible, locks still held: send invalidations
    XACT_EVENT_POST_COMMIT = 5      # locks released
    XACT_EVENT_PRE_ABORT = 6        # the transaction still has its id: portals, notifies, relation map
    XACT_EVENT_ABORT = 7            # no longer running, locks still held
    XACT_EVENT_POST_ABORT = 8       # locks released
    XACT_EVENT_CLEANUP = 9          # the aborted transaction is forgotten (after ROLLBACK)

cdef enum SubXactEvent:
    SUBXACT_EVENT_START = 0
    SUBXACT_EVENT_PRE_COMMIT = 1
    SUBXACT_EVENT_COMMIT = 2
    SUBXACT_EVENT_PRE_ABORT = 3     # the id still counts as running
    SUBXACT_EVENT_ABORT = 4
    SUBXACT_EVENT_CLEANUP = 5

ctypedef int (*xact_hook)(int event) except -1
ctypedef int (*subxact_hook)(int event, SubTransactionId mysubid, SubTransactionId parentsubid) except -1

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
cdef SubTransactionId get_current_sub_transaction_id() noexcept nogil
cdef bint sub_transaction_is_active(SubTransactionId subxid) noexcept nogil
cdef int get_current_transaction_nest_level() noexcept nogil
cdef CommandId get_current_command_id(bint used) noexcept nogil
cdef int command_counter_increment() except -1
cdef int64_t get_current_transaction_start_timestamp() noexcept nogil
cdef int64_t get_current_statement_start_timestamp() noexcept nogil
cdef int set_current_statement_start_timestamp() noexcept nogil
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

# catalog.inval fills these. The messages (16 bytes each) stay its own.
cdef struct InvalidationHooks:
    # Messages to put into the commit record; returns how many.
    int (*committed_messages)(char **messages, bint *init_file) except -1
    # Replay on a standby: (messages, n, init_file, database, tablespace).
    int (*process_committed)(const char *messages, int n, bint init_file, Oid db, Oid spc) except -1
    # Messages of the command that ends, for logical decoding; returns how many.
    int (*command_messages)(char **messages) except -1

cdef InvalidationHooks invalidation_hooks

# cython: language_level=3
"""The transaction state machine of a backend (PostgreSQL's xact.c).

Two layers. The low one starts, commits and aborts transactions and subtransactions. The upper one follows the block
state: each command is bracketed by start_transaction_command and commit_transaction_command (or
abort_current_transaction after an error); BEGIN, COMMIT, SAVEPOINT and the like only change the block state, and the
closing bracket acts on it.
"""

from cpython.object cimport PyObject_IsTrue
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset, strcmp, strdup

from tusk._types cimport InvalidTransactionId, RelFileLocator
from tusk.memory._atomics cimport write_barrier
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._interrupts cimport hold_interrupts, resume_interrupts
from tusk.memory._lwlock cimport lwlock_release_all
from tusk.memory._process cimport DELAY_CHKPT_START, MyProc
from tusk.memory._wait cimport wait_end
from tusk.stats._pending cimport (
    stats_drop_redo, stats_subxact_end, stats_subxact_start, stats_xact_dropped, stats_xact_end, stats_xact_start)
from tusk.stats._progress cimport progress_end_command
from tusk.storage._buffer cimport at_end_of_transaction_buffers, release_all_pins, unlock_buffers
from tusk.transaction cimport _lock as locks
from tusk.transaction cimport _state
from tusk.transaction._clog cimport (
    transaction_id_abort_tree,
    transaction_id_async_commit_tree,
    transaction_id_commit_tree,
    transaction_id_did_commit,
    transaction_id_latest,
)
from tusk.transaction._combocid cimport at_eoxact_combocid
from tusk.transaction._commit_ts cimport commit_ts_set_tree
from tusk.transaction._lock cimport (
    DEFAULT_LOCKMETHOD,
    USER_LOCKMETHOD,
    accept_invalidations_hook,
    lock_error_cleanup,
    lock_reassign_owner,
    lock_release_all,
    lock_release_owner,
    virtual_xact_lock_table_insert,
    xact_lock_table_delete,
    xact_lock_table_insert,
)
from tusk.transaction._multixact cimport at_eoxact_multixact
from tusk.transaction._pending cimport (
    at_sub_commit_pending,
    do_pending_deletes,
    drop_relation_files_redo,
    have_pending,
    pending_deletes,
)
from tusk.transaction._procarray cimport proc_array_end_transaction, xid_cache_remove_running_xids
from tusk.transaction._snapshot cimport (
    at_eoxact_snapshot,
    at_sub_abort_snapshot,
    at_sub_commit_snapshot,
    first_snapshot_set,
    invalidate_catalog_snapshot,
    snapshot_set_command_id,
)
from tusk.transaction._state cimport (
    TRANS_ABORT,
    TRANS_COMMIT,
    TRANS_DEFAULT,
    TRANS_INPROGRESS,
    TRANS_START,
    CurrentTransactionState,
    TopTransactionStateData,
    TransactionStateData,
)
from tusk.transaction._subtrans cimport sub_trans_set_parent
from tusk.transaction._varsup cimport advance_next_full_transaction_id_past_xid, get_new_transaction_id
from tusk.wal._insert cimport (
    set_current_xid_hook,
    xlog_begin_insert,
    xlog_insert,
    xlog_register_data,
    xlog_reset_insertion,
    xlog_set_record_flags,
)
from tusk.wal._record cimport (
    RM_STANDBY_ID,
    RM_XACT_ID,
    XLOG_INCLUDE_ORIGIN,
    XLR_SPECIAL_REL_UPDATE,
)
from tusk.wal._redo cimport DecodedRecord, register_redo
from tusk.wal._xlog cimport (
    get_xact_last_rec_end,
    recovery_in_progress,
    set_xact_last_rec_end,
    xlog_flush,
    xlog_logical_info_active,
    xlog_set_async_xact_lsn,
    xlog_standby_info_active,
)

from tusk.config import at_end_transaction, enter_nest_level, on_assign, on_check, on_show, settings
from tusk.config.registry import levels
from tusk.errors import Fatal, Panic, Severity, SqlError, errcode, feature_not_supported, report
from tusk.memory._critical import critical_count

cdef enum:
    TBLOCK_DEFAULT = 0
    TBLOCK_STARTED = 1
    TBLOCK_BEGIN = 2
    TBLOCK_INPROGRESS = 3
    TBLOCK_IMPLICIT_INPROGRESS = 4
    TBLOCK_PARALLEL_INPROGRESS = 5
    TBLOCK_END = 6
    TBLOCK_ABORT = 7
    TBLOCK_ABORT_END = 8
    TBLOCK_ABORT_PENDING = 9
    TBLOCK_PREPARE = 10
    TBLOCK_SUBBEGIN = 11
    TBLOCK_SUBINPROGRESS = 12
    TBLOCK_SUBRELEASE = 13
    TBLOCK_SUBCOMMIT = 14
    TBLOCK_SUBABORT = 15
    TBLOCK_SUBABORT_END = 16
    TBLOCK_SUBABORT_PENDING = 17
    TBLOCK_SUBRESTART = 18
    TBLOCK_SUBABORT_RESTART = 19

BLOCK_STATE_NAMES = ("DEFAULT", "STARTED", "BEGIN", "INPROGRESS", "IMPLICIT_INPROGRESS", "PARALLEL_INPROGRESS", "END",
                     "ABORT", "ABORT_END", "ABORT_PENDING", "PREPARE", "SUBBEGIN", "SUBINPROGRESS", "SUBRELEASE",
                     "SUBCOMMIT", "SUBABORT", "SUBABORT_END", "SUBABORT_PENDING", "SUBRESTART", "SUBABORT_RESTART")
TRANS_STATE_NAMES = ("DEFAULT", "START", "INPROGRESS", "COMMIT", "ABORT", "PREPARE")

cdef enum:
    XLOG_XACT_COMMIT = 0x00
    XLOG_XACT_PREPARE = 0x10
    XLOG_XACT_ABORT = 0x20
    XLOG_XACT_COMMIT_PREPARED = 0x30
    XLOG_XACT_ABORT_PREPARED = 0x40
    XLOG_XACT_ASSIGNMENT = 0x50
    XLOG_XACT_INVALIDATIONS = 0x60
    XLOG_XACT_OPMASK = 0x70
    XLOG_XACT_HAS_INFO = 0x80
    XLOG_INVALIDATIONS = 0x20

    XACT_XINFO_HAS_DBINFO = 1 << 0
    XACT_XINFO_HAS_SUBXACTS = 1 << 1
    XACT_XINFO_HAS_RELFILELOCATORS = 1 << 2
    XACT_XINFO_HAS_INVALS = 1 << 3
    XACT_XINFO_HAS_TWOPHASE = 1 << 4
    XACT_XINFO_HAS_ORIGIN = 1 << 5
    XACT_XINFO_HAS_AE_LOCKS = 1 << 6
    XACT_XINFO_HAS_GID = 1 << 7
    XACT_XINFO_HAS_DROPPED_STATS = 1 << 8
    XACT_COMPLETION_APPLY_FEEDBACK = 1 << 29
    XACT_COMPLETION_UPDATE_RELCACHE_FILE = 1 << 30
    MAX_UNREPORTED = 64

cdef uint32_t XACT_COMPLETION_FORCE_SYNC_COMMIT = <uint32_t> 1 << 31

cdef int64_t xact_start_timestamp = 0
cdef int64_t stmt_start_timestamp = 0
cdef int64_t xact_stop_timestamp = 0
cdef uint32_t next_local_transaction_id = 1
cdef bint force_sync_commit = False
cdef FullTransactionId top_full_transaction_id = 0
cdef TransactionId unreported[MAX_UNREPORTED]
cdef int n_unreported = 0
cdef uint64_t origin_lsn = 0
cdef int64_t origin_timestamp = 0
cdef int origin_id = 0

cdef xact_hook xact_hooks[48]
cdef int n_xact_hooks = 0
cdef subxact_hook subxact_hooks[48]
cdef int n_subxact_hooks = 0
cdef list _setting_levels = levels  # changes of settings by nest level, innermost last
cdef list _callbacks = [[] for _ in range(10)]
cdef list _sub_callbacks = [[] for _ in range(6)]

# Copies of settings that every transaction reads.
cdef int default_iso_level = XACT_READ_COMMITTED
cdef bint default_read_only = False
cdef bint default_deferrable = False
cdef int synchronous_commit = SYNCHRONOUS_COMMIT_REMOTE_FLUSH

_ISOLATION = {"read uncommitted": XACT_READ_UNCOMMITTED, "read committed": XACT_READ_COMMITTED,
              "repeatable read": XACT_REPEATABLE_READ, "serializable": XACT_SERIALIZABLE}
ISOLATION_NAMES = ("read uncommitted", "read committed", "repeatable read", "serializable")
_SYNC = {"off": SYNCHRONOUS_COMMIT_OFF, "local": SYNCHRONOUS_COMMIT_LOCAL_FLUSH,
         "remote_write": SYNCHRONOUS_COMMIT_REMOTE_WRITE, "on": SYNCHRONOUS_COMMIT_REMOTE_FLUSH,
         "remote_apply": SYNCHRONOUS_COMMIT_REMOTE_APPLY}

_state.XactIsoLevel = XACT_READ_COMMITTED


# Hooks and callbacks.

cdef int register_xact_hook(xact_hook hook) except -1:
    """A C function called at every event of a transaction; in reverse order at its abort."""
    global n_xact_hooks
    if n_xact_hooks >= 48:
        raise RuntimeError("too many transaction hooks")
    xact_hooks[n_xact_hooks] = hook
    n_xact_hooks += 1
    return 0


cdef int register_subxact_hook(subxact_hook hook) except -1:
    global n_subxact_hooks
    if n_subxact_hooks >= 48:
        raise RuntimeError("too many subtransaction hooks")
    subxact_hooks[n_subxact_hooks] = hook
    n_subxact_hooks += 1
    return 0


cdef int _call_hooks(int event) except -1:
    cdef int i
    cdef list functions = <list> _callbacks[event]
    if event < XACT_EVENT_PRE_ABORT:
        for i in range(n_xact_hooks):
            xact_hooks[i](event)
        # A callback may register another one, which then comes last.
        i = 0
        while i < len(functions):
            _call_back(<tuple> functions[i])
            i += 1
    else:
        for i in range(len(functions) - 1, -1, -1):
            _call_back(<tuple> functions[i])
        for i in range(n_xact_hooks - 1, -1, -1):
            xact_hooks[i](event)
    return 0


cdef int _call_back(tuple callback) except -1:
    """Call a Python function (function, containers...) unless all its containers are there and empty."""
    cdef Py_ssize_t i, n = len(callback)
    for i in range(1, n):
        if PyObject_IsTrue(<object> callback[i]):
            break
    else:
        if n > 1:
            return 0
    callback[0]()
    return 0


cdef int _call_sub_hooks(int event, SubTransactionId mysubid, SubTransactionId parent) except -1:
    cdef int i
    if event < SUBXACT_EVENT_PRE_ABORT:
        for i in range(n_subxact_hooks):
            subxact_hooks[i](event, mysubid, parent)
    else:
        for i in range(n_subxact_hooks - 1, -1, -1):
            subxact_hooks[i](event, mysubid, parent)
    for function in list(<list> _sub_callbacks[event]):
        function(mysubid, parent)
    return 0


def on_transaction(event: int, function, *containers) -> None:
    """Have a Python function called without arguments at a XACT_EVENT_*; with containers (whose identity must not change)
    only when one of them has something in it."""
    (<list> _callbacks[event]).append((function, *containers))


def on_subtransaction(event: int, function) -> None:
    """Have a Python function called with (subtransaction id, parent's id) at a SUBXACT_EVENT_*."""
    (<list> _sub_callbacks[event]).append(function)


def remove_callback(event: int, function) -> None:
    callbacks = <list> _callbacks[event]
    callbacks[:] = [callback for callback in callbacks if callback[0] != function]


# Ids, command ids, times.

cdef TransactionId get_current_transaction_id_if_any() noexcept nogil:
    """The id of the innermost (sub)transaction, 0 if it has none yet."""
    return <TransactionId> CurrentTransactionState.fullTransactionId


cdef TransactionId get_current_transaction_id() except 0:
    if CurrentTransactionState.fullTransactionId == 0:
        _assign_transaction_id(CurrentTransactionState)
    return <TransactionId> CurrentTransactionState.fullTransactionId


cdef FullTransactionId get_current_full_transaction_id() except 0:
    if CurrentTransactionState.fullTransactionId == 0:
        _assign_transaction_id(CurrentTransactionState)
    return CurrentTransactionState.fullTransactionId


cdef TransactionId get_top_transaction_id_if_any() noexcept nogil:
    return <TransactionId> top_full_transaction_id


cdef TransactionId get_top_transaction_id() except 0:
    if top_full_transaction_id == 0:
        _assign_transaction_id(&TopTransactionStateData)
    return <TransactionId> top_full_transaction_id


cdef FullTransactionId get_top_full_transaction_id() except 0:
    if top_full_transaction_id == 0:
        _assign_transaction_id(&TopTransactionStateData)
    return top_full_transaction_id


cdef FullTransactionId get_top_full_transaction_id_if_any() noexcept nogil:
    return top_full_transaction_id


set_current_xid_hook(get_current_transaction_id_if_any)


cdef packed struct xl_xact_assignment:
    TransactionId xtop
    int32_t nsubxacts


cdef int _assign_transaction_id(TransactionStateData *s) except -1:
    """Give a (sub)transaction its id; parents get theirs first, so that a child is always newer."""
    global top_full_transaction_id, n_unreported
    cdef TransactionStateData *current = CurrentTransactionState
    cdef TransactionStateData *p
    cdef xl_xact_assignment rec
    if s.state != TRANS_INPROGRESS and s.state != TRANS_START:
        raise SqlError(errcode.INTERNAL_ERROR, "cannot assign a transaction id: no transaction is in progress")
    while s.parent != NULL and s.parent.fullTransactionId == 0:
        # The outermost one without an id first; no recursion, nesting may be deep.
        p = s.parent
        while p.parent != NULL and p.parent.fullTransactionId == 0:
            p = p.parent
        _assign_transaction_id(p)
    s.fullTransactionId = get_new_transaction_id(s.parent != NULL)
    if s.parent == NULL:
        top_full_transaction_id = s.fullTransactionId
    else:
        # Before anybody can see the id on disk its parent must be known.
        sub_trans_set_parent(<TransactionId> s.fullTransactionId, <TransactionId> s.parent.fullTransactionId)
    # The lock belongs to the (sub)transaction that the id is of.
    _state.CurrentTransactionState = s
    try:
        xact_lock_table_insert(<TransactionId> s.fullTransactionId)
    finally:
        _state.CurrentTransactionState = current
    if s.parent != NULL and xlog_standby_info_active():
        unreported[n_unreported] = <TransactionId> s.fullTransactionId
        n_unreported += 1
        # A standby can hold just so many children of a transaction that it has not heard of.
        if n_unreported >= MAX_UNREPORTED:
            rec.xtop = get_top_transaction_id()
            rec.nsubxacts = n_unreported
            xlog_begin_insert()
            xlog_register_data(&rec, sizeof(rec))
            xlog_register_data(unreported, n_unreported * sizeof(TransactionId))
            xlog_insert(RM_XACT_ID, XLOG_XACT_ASSIGNMENT)
            n_unreported = 0
    return 0


locks.assign_xid_hook = get_current_transaction_id


cdef SubTransactionId get_current_sub_transaction_id() noexcept nogil:
    return CurrentTransactionState.subTransactionId


cdef bint sub_transaction_is_active(SubTransactionId subxid) noexcept nogil:
    cdef TransactionStateData *s = CurrentTransactionState
    while s != NULL:
        if s.state != TRANS_ABORT and s.subTransactionId == subxid:
            return True
        s = s.parent
    return False


cdef int get_current_transaction_nest_level() noexcept nogil:
    return CurrentTransactionState.nestingLevel


cdef CommandId get_current_command_id(bint used) noexcept nogil:
    """``used``: a tuple will carry it, so that the next command must get another one."""
    if used:
        _state.currentCommandIdUsed = True
    return _state.currentCommandId


cdef int command_counter_increment() except -1:
    """A command is over: later ones of this transaction see what it did."""
    if not _state.currentCommandIdUsed:
        return 0
    _state.currentCommandId += 1
    if _state.currentCommandId == 0:
        _state.currentCommandId -= 1
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "cannot have more than 2^32-2 commands in a transaction")
    _state.currentCommandIdUsed = False
    if xlog_logical_info_active() and invalidation_hooks.command_messages != NULL:
        _log_command_invalidations()
    snapshot_set_command_id(_state.currentCommandId)
    invalidate_catalog_snapshot()
    return _call_hooks(XACT_EVENT_COMMAND_END)


cdef int _log_command_invalidations() except -1:
    """Logical decoding must see a command's catalog changes before the next command's rows (LogLogicalInvalidations)."""
    cdef char *messages = NULL
    cdef int32_t n = invalidation_hooks.command_messages(&messages)
    if n > 0:
        xlog_begin_insert()
        xlog_register_data(&n, sizeof(n))
        xlog_register_data(messages, n * 16)
        xlog_insert(RM_XACT_ID, XLOG_XACT_INVALIDATIONS)
    return 0


cdef int64_t get_current_transaction_start_timestamp() noexcept nogil:
    return xact_start_timestamp


cdef int64_t get_current_statement_start_timestamp() noexcept nogil:
    return stmt_start_timestamp


cdef int set_current_statement_start_timestamp() noexcept nogil:
    global stmt_start_timestamp
    stmt_start_timestamp = get_current_timestamp()
    return 0


cdef bint is_transaction_state() noexcept nogil:
    """In a transaction that has not failed: catalogs can be read."""
    return CurrentTransactionState.state == TRANS_INPROGRESS


cdef bint is_aborted_transaction_block_state() noexcept nogil:
    return CurrentTransactionState.blockState == TBLOCK_ABORT or CurrentTransactionState.blockState == TBLOCK_SUBABORT


cdef bint is_transaction_block() noexcept nogil:
    return (CurrentTransactionState.blockState != TBLOCK_DEFAULT
            and CurrentTransactionState.blockState != TBLOCK_STARTED)


cdef bint is_transaction_or_transaction_block() noexcept nogil:
    return CurrentTransactionState.blockState != TBLOCK_DEFAULT


cdef bint is_sub_transaction() noexcept nogil:
    return CurrentTransactionState.nestingLevel >= 2


cdef char transaction_block_status_code() noexcept nogil:
    """The byte in ReadyForQuery."""
    cdef int state = CurrentTransactionState.blockState
    if state == TBLOCK_DEFAULT or state == TBLOCK_STARTED:
        return c'I'
    if (state == TBLOCK_ABORT or state == TBLOCK_ABORT_END or state == TBLOCK_ABORT_PENDING
            or state >= TBLOCK_SUBABORT):
        return c'E'
    return c'T'


# Low layer.

cdef int _start_transaction() except -1:
    global xact_start_timestamp, xact_stop_timestamp, next_local_transaction_id, force_sync_commit, n_unreported
    global top_full_transaction_id, stmt_start_timestamp
    cdef TransactionStateData *s = &TopTransactionStateData
    cdef uint32_t lxid
    _state.CurrentTransactionState = s
    s.state = TRANS_START
    s.fullTransactionId = 0
    top_full_transaction_id = 0
    s.startedInRecovery = recovery_in_progress()
    _state.XactReadOnly = True if s.startedInRecovery else default_read_only
    _state.XactDeferrable = default_deferrable
    _state.XactIsoLevel = default_iso_level
    force_sync_commit = False
    _state.MyXactFlags = 0
    s.subTransactionId = TopSubTransactionId
    _state.currentSubTransactionId = TopSubTransactionId
    _state.currentCommandId = 0
    _state.currentCommandIdUsed = False
    n_unreported = 0
    s.didLogXid = 0
    s.nestingLevel = 1
    s.savepointLevel = 0
    s.chain = 0
    s.parent = NULL
    s.nChildXids = 0
    lxid = next_local_transaction_id
    next_local_transaction_id += 1
    if next_local_transaction_id == 0:
        next_local_transaction_id = 1
    # Locked before it is shown: whoever sees it must be able to wait for it.
    virtual_xact_lock_table_insert(lxid)
    MyProc.lxid = lxid
    if stmt_start_timestamp == 0:
        stmt_start_timestamp = get_current_timestamp()
    xact_start_timestamp = stmt_start_timestamp
    xact_stop_timestamp = 0
    _setting_levels.append({})
    s.gucNestLevel = <int> len(_setting_levels)
    if accept_invalidations_hook != NULL:
        accept_invalidations_hook()
    s.state = TRANS_INPROGRESS
    stats_xact_start()
    return _call_hooks(XACT_EVENT_START)


cdef int _log_commit(TransactionId xid, int nchildren, TransactionId *children, int nrels, RelFileLocator *rels,
                     int nstats, char *stats, int nmsgs, char *msgs, bint init_file) except -1:
    """XactLogCommitRecord."""
    cdef int64_t xact_time = xact_stop_timestamp
    cdef uint32_t xinfo = 0
    cdef uint8_t info = XLOG_XACT_COMMIT
    cdef Oid dbinfo[2]
    cdef int32_t counts[4]
    cdef uint64_t origin[2]
    if init_file:
        xinfo |= XACT_COMPLETION_UPDATE_RELCACHE_FILE
    if force_sync_commit:
        xinfo |= XACT_COMPLETION_FORCE_SYNC_COMMIT
    if _state.MyXactFlags & XACT_FLAGS_ACQUIREDACCESSEXCLUSIVELOCK:
        xinfo |= XACT_XINFO_HAS_AE_LOCKS
    if synchronous_commit >= SYNCHRONOUS_COMMIT_REMOTE_APPLY:
        xinfo |= XACT_COMPLETION_APPLY_FEEDBACK
    if nmsgs > 0 or xlog_logical_info_active():
        xinfo |= XACT_XINFO_HAS_DBINFO
        dbinfo[0] = _state.MyDatabaseId
        dbinfo[1] = _state.MyDatabaseTableSpace
    if nchildren > 0:
        xinfo |= XACT_XINFO_HAS_SUBXACTS
        counts[0] = nchildren
    if nrels > 0:
        xinfo |= XACT_XINFO_HAS_RELFILELOCATORS
        counts[1] = nrels
        info |= XLR_SPECIAL_REL_UPDATE
    if nstats > 0:
        xinfo |= XACT_XINFO_HAS_DROPPED_STATS
        counts[2] = nstats
    if nmsgs > 0:
        xinfo |= XACT_XINFO_HAS_INVALS
        counts[3] = nmsgs
    if origin_id != 0:
        xinfo |= XACT_XINFO_HAS_ORIGIN
        origin[0] = origin_lsn
        origin[1] = <uint64_t> origin_timestamp
    if xinfo != 0:
        info |= XLOG_XACT_HAS_INFO
    xlog_begin_insert()
    xlog_register_data(&xact_time, sizeof(xact_time))
    if xinfo != 0:
        xlog_register_data(&xinfo, sizeof(xinfo))
    if xinfo & XACT_XINFO_HAS_DBINFO:
        xlog_register_data(dbinfo, sizeof(dbinfo))
    if nchildren > 0:
        xlog_register_data(&counts[0], 4)
        xlog_register_data(children, nchildren * sizeof(TransactionId))
    if nrels > 0:
        xlog_register_data(&counts[1], 4)
        xlog_register_data(rels, nrels * sizeof(RelFileLocator))
    if nstats > 0:
        xlog_register_data(&counts[2], 4)
        xlog_register_data(stats, nstats * 16)
    if nmsgs > 0:
        xlog_register_data(&counts[3], 4)
        xlog_register_data(msgs, nmsgs * 16)
    if origin_id != 0:
        xlog_register_data(origin, sizeof(origin))
    xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
    xlog_insert(RM_XACT_ID, info)
    return 0


cdef packed struct xl_invalidations:
    Oid dbId
    Oid tsId
    uint8_t relcacheInitFileInval
    uint8_t pad[3]
    int32_t nmsgs


cdef TransactionId _record_commit() except? 0xffffffff:
    """Make the transaction durable and committed in the log; returns the newest of its ids, 0 if it has none."""
    cdef TransactionId xid = <TransactionId> top_full_transaction_id
    cdef TransactionStateData *s = CurrentTransactionState
    cdef TransactionId latest = InvalidTransactionId
    cdef RelFileLocator *rels = NULL
    cdef int nrels = 0, nmsgs = 0, nstats = 0
    cdef char *msgs = NULL
    cdef char *stats = NULL
    cdef bint init_file = False
    cdef bint wrote_xlog
    cdef xl_invalidations inval
    try:
        if have_pending():
            nrels = pending_deletes(True, s.nestingLevel, &rels)
        if xlog_standby_info_active() and invalidation_hooks.committed_messages != NULL:
            nmsgs = invalidation_hooks.committed_messages(&msgs, &init_file)
        nstats = stats_xact_dropped(True, &stats)
        wrote_xlog = get_xact_last_rec_end() != 0
        if xid == InvalidTransactionId:
            if nrels != 0 or nstats != 0:
                raise SqlError(errcode.INTERNAL_ERROR,
                               "cannot commit a transaction that deleted files but has no xid")
            if nmsgs > 0:
                # A standby's caches must hear of it though there is no commit record (vacuum, catalog upkeep).
                memset(&inval, 0, sizeof(inval))
                inval.dbId = _state.MyDatabaseId
                inval.tsId = _state.MyDatabaseTableSpace
                inval.relcacheInitFileInval = init_file
                inval.nmsgs = nmsgs
                xlog_begin_insert()
                xlog_register_data(&inval, sizeof(inval))
                xlog_register_data(msgs, nmsgs * 16)
                xlog_insert(RM_STANDBY_ID, XLOG_INVALIDATIONS)
                wrote_xlog = True
            if not wrote_xlog:
                return InvalidTransactionId
        else:
            critical_start()
            # From the record's insertion to the clog update no checkpoint may begin: its redo point would be past
            # the record, and the clog page on disk without the commit.
            MyProc.delayChkptFlags |= DELAY_CHKPT_START
            write_barrier()
            _set_stop_timestamp()
            _log_commit(xid, s.nChildXids, s.childXids, nrels, rels, nstats, stats, nmsgs, msgs, init_file)
            commit_ts_set_tree(xid, s.nChildXids, s.childXids, xact_stop_timestamp, <uint16_t> origin_id)
        if (wrote_xlog and xid != InvalidTransactionId and synchronous_commit > SYNCHRONOUS_COMMIT_OFF) \
                or force_sync_commit or nrels > 0:
            xlog_flush(get_xact_last_rec_end())
            if xid != InvalidTransactionId:
                transaction_id_commit_tree(xid, s.nChildXids, s.childXids)
        else:
            xlog_set_async_xact_lsn(get_xact_last_rec_end())
            if xid != InvalidTransactionId:
                transaction_id_async_commit_tree(xid, s.nChildXids, s.childXids, get_xact_last_rec_end())
        if xid != InvalidTransactionId:
            MyProc.delayChkptFlags &= ~DELAY_CHKPT_START
            critical_end()
            latest = transaction_id_latest(xid, s.nChildXids, s.childXids)
        _set_last_commit_end(get_xact_last_rec_end())
        set_xact_last_rec_end(0)
        return latest
    finally:
        free(rels)


cdef int _set_last_commit_end(Lsn lsn) noexcept:
    global XactLastCommitEnd
    XactLastCommitEnd = lsn
    return 0


cdef void _set_stop_timestamp() noexcept:
    global xact_stop_timestamp
    if xact_stop_timestamp == 0:
        xact_stop_timestamp = get_current_timestamp()


cdef int _check_state(int expected, str doing) except -1:
    if CurrentTransactionState.state != expected:
        report(Severity.WARNING,
               f"{doing} while in {TRANS_STATE_NAMES[CurrentTransactionState.state]} state")
    return 0


cdef int _commit_transaction() except -1:
    global top_full_transaction_id, n_unreported
    cdef TransactionStateData *s = CurrentTransactionState
    cdef TransactionId latest
    _check_state(TRANS_INPROGRESS, "CommitTransaction")
    # What may still run user code, and fail, comes first. Each hook repeats itself until it has nothing to do.
    _call_hooks(XACT_EVENT_PRE_COMMIT)
    hold_interrupts()
    _call_hooks(XACT_EVENT_PRE_RECORD)
    s.state = TRANS_COMMIT
    latest = _record_commit()
    # Now it is committed. From here on others see it, and an error can only be a warning.
    proc_array_end_transaction(MyProc, latest)
    at_end_of_transaction_buffers(True)
    _call_hooks(XACT_EVENT_COMMIT)
    at_eoxact_multixact()
    lock_release_all(DEFAULT_LOCKMETHOD, False)
    lock_release_all(USER_LOCKMETHOD, False)
    if have_pending():
        do_pending_deletes(True, s.nestingLevel)
    if len(_setting_levels) == 1 and len(<dict> _setting_levels[0]) == 0:
        _setting_levels.pop()
    else:
        at_end_transaction(True, 1)
    at_eoxact_combocid()
    at_eoxact_snapshot(True, False)
    stats_xact_end(True)
    _call_hooks(XACT_EVENT_POST_COMMIT)
    _forget_top()
    s.state = TRANS_DEFAULT
    resume_interrupts()
    return 0


cdef void _forget_top() noexcept:
    """The stack is empty again."""
    global top_full_transaction_id, n_unreported
    cdef TransactionStateData *s = &TopTransactionStateData
    _state.CurrentTransactionState = s
    _free_children(s)
    if s.name != NULL:
        free(s.name)
        s.name = NULL
    s.fullTransactionId = 0
    s.subTransactionId = 0
    s.nestingLevel = 0
    s.gucNestLevel = 0
    top_full_transaction_id = 0
    n_unreported = 0


cdef void _free_children(TransactionStateData *s) noexcept:
    free(s.childXids)
    s.childXids = NULL
    s.nChildXids = 0
    s.maxChildXids = 0


cdef TransactionId _record_abort(bint is_sub) except? 0xffffffff:
    """Note the abort in the log; returns the newest of the ids, 0 if there is none."""
    global xact_stop_timestamp
    cdef TransactionStateData *s = CurrentTransactionState
    cdef TransactionId xid = <TransactionId> s.fullTransactionId
    cdef TransactionId latest
    cdef RelFileLocator *rels = NULL
    cdef char *stats = NULL
    cdef int nrels = 0, nstats = 0
    cdef int64_t xact_time
    cdef uint32_t xinfo = 0
    cdef uint8_t info = XLOG_XACT_ABORT
    cdef int32_t counts[3]
    cdef uint64_t origin[2]
    if xid == InvalidTransactionId:
        if not is_sub:
            set_xact_last_rec_end(0)
        return InvalidTransactionId
    if transaction_id_did_commit(xid):
        raise Panic(errcode.INTERNAL_ERROR, f"cannot abort transaction {xid}, it was already committed")
    if have_pending():
        nrels = pending_deletes(False, s.nestingLevel, &rels)
    nstats = stats_xact_dropped(False, &stats)
    critical_start()
    if is_sub:
        xact_time = get_current_timestamp()
    else:
        _set_stop_timestamp()
        xact_time = xact_stop_timestamp
    if _state.MyXactFlags & XACT_FLAGS_ACQUIREDACCESSEXCLUSIVELOCK:
        xinfo |= XACT_XINFO_HAS_AE_LOCKS
    if s.nChildXids > 0:
        xinfo |= XACT_XINFO_HAS_SUBXACTS
    if nrels > 0:
        xinfo |= XACT_XINFO_HAS_RELFILELOCATORS
        info |= XLR_SPECIAL_REL_UPDATE
    if nstats > 0:
        xinfo |= XACT_XINFO_HAS_DROPPED_STATS
    if origin_id != 0:
        xinfo |= XACT_XINFO_HAS_ORIGIN
        origin[0] = origin_lsn
        origin[1] = <uint64_t> origin_timestamp
    if xinfo != 0:
        info |= XLOG_XACT_HAS_INFO
    counts[0] = s.nChildXids
    counts[1] = nrels
    counts[2] = nstats
    xlog_begin_insert()
    xlog_register_data(&xact_time, sizeof(xact_time))
    if xinfo != 0:
        xlog_register_data(&xinfo, sizeof(xinfo))
    if s.nChildXids > 0:
        xlog_register_data(&counts[0], 4)
        xlog_register_data(s.childXids, s.nChildXids * sizeof(TransactionId))
    if nrels > 0:
        xlog_register_data(&counts[1], 4)
        xlog_register_data(rels, nrels * sizeof(RelFileLocator))
    if nstats > 0:
        xlog_register_data(&counts[2], 4)
        xlog_register_data(stats, nstats * 16)
    if origin_id != 0:
        xlog_register_data(origin, sizeof(origin))
    xlog_set_record_flags(XLOG_INCLUDE_ORIGIN)
    xlog_insert(RM_XACT_ID, info)
    # Nobody waits for an abort to be durable, but the record should not linger either.
    if not is_sub:
        xlog_set_async_xact_lsn(get_xact_last_rec_end())
    transaction_id_abort_tree(xid, s.nChildXids, s.childXids)
    critical_end()
    free(rels)
    latest = transaction_id_latest(xid, s.nChildXids, s.childXids)
    if is_sub:
        xid_cache_remove_running_xids(xid, s.nChildXids, s.childXids, latest)
    else:
        set_xact_last_rec_end(0)
    return latest


cdef int _after_error() except -1:
    """Bring low-level state into order after whatever was interrupted."""
    if critical_count() > 0:
        raise Panic(errcode.INTERNAL_ERROR, "error in a critical section")
    lwlock_release_all()
    wait_end()
    unlock_buffers()
    xlog_reset_insertion()
    progress_end_command()
    return lock_error_cleanup()


cdef int _abort_transaction() except -1:
    cdef TransactionStateData *s
    cdef TransactionId latest
    hold_interrupts()
    _after_error()
    s = CurrentTransactionState
    if s.state != TRANS_INPROGRESS and s.state != TRANS_START:
        # An error after the commit: nothing can be undone, and it is not to be aborted.
        report(Severity.WARNING, f"AbortTransaction while in {TRANS_STATE_NAMES[s.state]} state")
    s.state = TRANS_ABORT
    _call_hooks(XACT_EVENT_PRE_ABORT)
    latest = _record_abort(False)
    proc_array_end_transaction(MyProc, latest)
    release_all_pins()
    at_end_of_transaction_buffers(False)
    _call_hooks(XACT_EVENT_ABORT)
    at_eoxact_multixact()
    lock_release_all(DEFAULT_LOCKMETHOD, False)
    lock_release_all(USER_LOCKMETHOD, False)
    do_pending_deletes(False, s.nestingLevel)
    at_end_transaction(False, 1)
    at_eoxact_combocid()
    stats_xact_end(False)
    _call_hooks(XACT_EVENT_POST_ABORT)
    resume_interrupts()
    return 0


cdef int _cleanup_transaction() except -1:
    if CurrentTransactionState.state != TRANS_ABORT:
        raise Fatal(errcode.INTERNAL_ERROR,
                    f"CleanupTransaction: unexpected state {TRANS_STATE_NAMES[CurrentTransactionState.state]}")
    _call_hooks(XACT_EVENT_CLEANUP)
    at_eoxact_snapshot(False, True)
    _forget_top()
    TopTransactionStateData.state = TRANS_DEFAULT
    return 0


# Subtransactions.

cdef int _push_transaction() except -1:
    cdef TransactionStateData *parent = CurrentTransactionState
    cdef TransactionStateData *s = <TransactionStateData *> malloc(sizeof(TransactionStateData))
    if s == NULL:
        raise MemoryError
    memset(s, 0, sizeof(TransactionStateData))
    _state.currentSubTransactionId += 1
    if _state.currentSubTransactionId == InvalidSubTransactionId:
        _state.currentSubTransactionId -= 1
        free(s)
        raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED, "cannot have more than 2^32-1 subtransactions in a transaction")
    s.subTransactionId = _state.currentSubTransactionId
    s.parent = parent
    s.nestingLevel = parent.nestingLevel + 1
    s.gucNestLevel = enter_nest_level()
    s.savepointLevel = parent.savepointLevel
    s.state = TRANS_DEFAULT
    s.blockState = TBLOCK_SUBBEGIN
    s.prevXactReadOnly = _state.XactReadOnly
    s.startedInRecovery = parent.startedInRecovery
    _state.CurrentTransactionState = s
    return 0


cdef int _pop_transaction() except -1:
    cdef TransactionStateData *s = CurrentTransactionState
    if s.parent == NULL:
        raise Fatal(errcode.INTERNAL_ERROR, "PopTransaction with no parent")
    _state.CurrentTransactionState = s.parent
    free(s.name)
    free(s.childXids)
    free(s)
    return 0


cdef int _start_subtransaction() except -1:
    cdef TransactionStateData *s = CurrentTransactionState
    s.state = TRANS_INPROGRESS
    stats_subxact_start()
    return _call_sub_hooks(SUBXACT_EVENT_START, s.subTransactionId, s.parent.subTransactionId)


cdef int _adopt_children(TransactionStateData *s) except -1:
    """A committed child and its children become the parent's: appended, they stay in ascending order."""
    cdef TransactionStateData *parent = s.parent
    cdef int needed = parent.nChildXids + s.nChildXids + 1
    cdef TransactionId *bigger
    if needed > parent.maxChildXids:
        bigger = <TransactionId *> realloc(parent.childXids, 2 * needed * sizeof(TransactionId))
        if bigger == NULL:
            raise MemoryError
        parent.childXids = bigger
        parent.maxChildXids = 2 * needed
    parent.childXids[parent.nChildXids] = <TransactionId> s.fullTransactionId
    if s.nChildXids > 0:
        memcpy(parent.childXids + parent.nChildXids + 1, s.childXids, s.nChildXids * sizeof(TransactionId))
    parent.nChildXids = needed
    _free_children(s)
    return 0


cdef int _commit_subtransaction() except -1:
    cdef TransactionStateData *s = CurrentTransactionState
    _check_state(TRANS_INPROGRESS, "CommitSubTransaction")
    _call_sub_hooks(SUBXACT_EVENT_PRE_COMMIT, s.subTransactionId, s.parent.subTransactionId)
    command_counter_increment()
    s.state = TRANS_COMMIT
    # Nothing is written: the parent's commit is the commit of its children.
    if s.fullTransactionId != 0:
        _adopt_children(s)
    _call_sub_hooks(SUBXACT_EVENT_COMMIT, s.subTransactionId, s.parent.subTransactionId)
    # Those who wait for this child's end go on to wait for its parent.
    if s.fullTransactionId != 0:
        xact_lock_table_delete(<TransactionId> s.fullTransactionId)
    lock_reassign_owner(s.subTransactionId, s.parent.subTransactionId)
    at_end_transaction(True, s.gucNestLevel)
    at_sub_commit_pending(s.nestingLevel)
    at_sub_commit_snapshot(s.nestingLevel)
    stats_subxact_end(True)
    # A child made read-only leaves its parent as it was.
    _state.XactReadOnly = s.prevXactReadOnly
    s.state = TRANS_DEFAULT
    return _pop_transaction()


cdef int _abort_subtransaction() except -1:
    cdef TransactionStateData *s
    hold_interrupts()
    _after_error()
    s = CurrentTransactionState
    _check_state(TRANS_INPROGRESS, "AbortSubTransaction")
    s.state = TRANS_ABORT
    _call_sub_hooks(SUBXACT_EVENT_PRE_ABORT, s.subTransactionId, s.parent.subTransactionId)
    _record_abort(True)
    if s.fullTransactionId != 0:
        _free_children(s)
    _call_sub_hooks(SUBXACT_EVENT_ABORT, s.subTransactionId, s.parent.subTransactionId)
    lock_release_owner(s.subTransactionId)
    do_pending_deletes(False, s.nestingLevel)
    at_end_transaction(False, s.gucNestLevel)
    at_sub_abort_snapshot(s.nestingLevel)
    stats_subxact_end(False)
    _state.XactReadOnly = s.prevXactReadOnly
    resume_interrupts()
    return 0


cdef int _cleanup_subtransaction() except -1:
    cdef TransactionStateData *s = CurrentTransactionState
    _check_state(TRANS_ABORT, "CleanupSubTransaction")
    _call_sub_hooks(SUBXACT_EVENT_CLEANUP, s.subTransactionId, s.parent.subTransactionId)
    s.state = TRANS_DEFAULT
    return _pop_transaction()


# Upper layer: the brackets of each command.

cdef _unexpected(str function):
    return Fatal(errcode.INTERNAL_ERROR,
                 f"{function}: unexpected state {BLOCK_STATE_NAMES[CurrentTransactionState.blockState]}")


cdef int start_transaction_command() except -1:
    """Before a command: begin a transaction unless one is open."""
    cdef int state = CurrentTransactionState.blockState
    if state == TBLOCK_DEFAULT:
        _start_transaction()
        CurrentTransactionState.blockState = TBLOCK_STARTED
    elif (state == TBLOCK_INPROGRESS or state == TBLOCK_IMPLICIT_INPROGRESS or state == TBLOCK_SUBINPROGRESS
          or state == TBLOCK_ABORT or state == TBLOCK_SUBABORT):
        return 0
    else:
        raise _unexpected("StartTransactionCommand")
    return 0


cdef int _chain(bint chain, int iso, bint read_only, bint deferrable) except -1:
    """COMMIT AND CHAIN: a new block with the old one's characteristics."""
    if chain:
        _start_transaction()
        TopTransactionStateData.blockState = TBLOCK_INPROGRESS
        _state.XactIsoLevel = iso
        _state.XactReadOnly = read_only
        _state.XactDeferrable = deferrable
    return 0


cdef int commit_transaction_command() except -1:
    """After a command that succeeded: act on the block state."""
    cdef TransactionStateData *s
    cdef int state
    cdef bint chain
    cdef int iso = _state.XactIsoLevel
    cdef bint read_only = _state.XactReadOnly
    cdef bint deferrable = _state.XactDeferrable
    while True:
        s = CurrentTransactionState
        state = s.blockState
        if state == TBLOCK_STARTED:
            _commit_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
        elif state == TBLOCK_BEGIN:
            s.blockState = TBLOCK_INPROGRESS
        elif state == TBLOCK_INPROGRESS or state == TBLOCK_IMPLICIT_INPROGRESS or state == TBLOCK_SUBINPROGRESS:
            command_counter_increment()
        elif state == TBLOCK_END:
            chain = s.chain
            _commit_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
            _chain(chain, iso, read_only, deferrable)
        elif state == TBLOCK_ABORT or state == TBLOCK_SUBABORT:
            return 0
        elif state == TBLOCK_ABORT_END:
            chain = s.chain
            _cleanup_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
            _chain(chain, iso, read_only, deferrable)
        elif state == TBLOCK_ABORT_PENDING:
            chain = s.chain
            _abort_transaction()
            _cleanup_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
            _chain(chain, iso, read_only, deferrable)
        elif state == TBLOCK_SUBBEGIN:
            _start_subtransaction()
            s.blockState = TBLOCK_SUBINPROGRESS
        elif state == TBLOCK_SUBRELEASE:
            while CurrentTransactionState.blockState == TBLOCK_SUBRELEASE:
                _commit_subtransaction()
        elif state == TBLOCK_SUBCOMMIT:
            while CurrentTransactionState.blockState == TBLOCK_SUBCOMMIT:
                _commit_subtransaction()
            continue
        elif state == TBLOCK_SUBABORT_END:
            _cleanup_subtransaction()
            continue
        elif state == TBLOCK_SUBABORT_PENDING:
            _abort_subtransaction()
            _cleanup_subtransaction()
            continue
        elif state == TBLOCK_SUBRESTART:
            _abort_subtransaction()
            _restart_savepoint()
        elif state == TBLOCK_SUBABORT_RESTART:
            _restart_savepoint()
        else:
            raise _unexpected("CommitTransactionCommand")
        return 0


cdef int _restart_savepoint() except -1:
    """ROLLBACK TO: the aborted subtransaction is replaced by a new one under the same name."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef char *name = s.name
    cdef int level = s.savepointLevel
    s.name = NULL
    _cleanup_subtransaction()
    _push_transaction()
    s = CurrentTransactionState
    s.name = name
    s.savepointLevel = level
    _start_subtransaction()
    s.blockState = TBLOCK_SUBINPROGRESS
    return 0


cdef int abort_current_transaction() except -1:
    """After a command that failed: abort what it ran in; a block stays open as aborted."""
    cdef TransactionStateData *s
    cdef int state
    while True:
        s = CurrentTransactionState
        state = s.blockState
        if state == TBLOCK_DEFAULT:
            if s.state == TRANS_DEFAULT:
                return _after_error()       # not in a transaction: low-level things may be left
            # The error came while a transaction was starting or ending.
            if s.state == TRANS_START:
                s.state = TRANS_INPROGRESS
            _abort_transaction()
            _cleanup_transaction()
        elif (state == TBLOCK_STARTED or state == TBLOCK_IMPLICIT_INPROGRESS or state == TBLOCK_BEGIN
              or state == TBLOCK_END or state == TBLOCK_ABORT_PENDING or state == TBLOCK_PREPARE):
            _abort_transaction()
            _cleanup_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
        elif state == TBLOCK_INPROGRESS or state == TBLOCK_PARALLEL_INPROGRESS:
            _abort_transaction()
            s.blockState = TBLOCK_ABORT
        elif state == TBLOCK_ABORT or state == TBLOCK_SUBABORT:
            return _after_error()
        elif state == TBLOCK_ABORT_END:
            _cleanup_transaction()
            TopTransactionStateData.blockState = TBLOCK_DEFAULT
        elif state == TBLOCK_SUBINPROGRESS:
            _abort_subtransaction()
            s.blockState = TBLOCK_SUBABORT
        elif (state == TBLOCK_SUBBEGIN or state == TBLOCK_SUBRELEASE or state == TBLOCK_SUBCOMMIT
              or state == TBLOCK_SUBABORT_PENDING or state == TBLOCK_SUBRESTART):
            if s.state == TRANS_DEFAULT:
                s.state = TRANS_INPROGRESS
            _abort_subtransaction()
            _cleanup_subtransaction()
            continue
        elif state == TBLOCK_SUBABORT_END or state == TBLOCK_SUBABORT_RESTART:
            _cleanup_subtransaction()
            continue
        return 0


# The statements. Each runs between the brackets.

cdef int _no_transaction(bint error, str command) except -1:
    if error:
        raise SqlError(errcode.NO_ACTIVE_SQL_TRANSACTION, f"{command} can only be used in transaction blocks")
    report(Severity.WARNING, "there is no transaction in progress", sqlstate=errcode.NO_ACTIVE_SQL_TRANSACTION)
    return 0


def begin_transaction_block() -> None:
    """BEGIN."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef int state = s.blockState
    if state == TBLOCK_STARTED or state == TBLOCK_IMPLICIT_INPROGRESS:
        s.blockState = TBLOCK_BEGIN
    elif state in (TBLOCK_INPROGRESS, TBLOCK_PARALLEL_INPROGRESS, TBLOCK_SUBINPROGRESS, TBLOCK_ABORT,
                   TBLOCK_SUBABORT):
        report(Severity.WARNING, "there is already a transaction in progress", sqlstate=errcode.ACTIVE_SQL_TRANSACTION)
    else:
        raise _unexpected("BeginTransactionBlock")


def begin_implicit_transaction_block() -> None:
    """Before the second statement of a multi-statement simple query."""
    if CurrentTransactionState.blockState == TBLOCK_STARTED:
        CurrentTransactionState.blockState = TBLOCK_IMPLICIT_INPROGRESS


def end_implicit_transaction_block() -> None:
    """After its last statement: the closing bracket commits."""
    if CurrentTransactionState.blockState == TBLOCK_IMPLICIT_INPROGRESS:
        CurrentTransactionState.blockState = TBLOCK_STARTED


cdef int _end_all_as_aborted() except -1:
    """Mark the whole stack, which holds an aborted or unwanted part, to be rolled back."""
    cdef TransactionStateData *s = CurrentTransactionState
    while s.parent != NULL:
        if s.blockState == TBLOCK_SUBINPROGRESS:
            s.blockState = TBLOCK_SUBABORT_PENDING
        elif s.blockState == TBLOCK_SUBABORT:
            s.blockState = TBLOCK_SUBABORT_END
        else:
            raise _unexpected("EndTransactionBlock")
        s = s.parent
    if s.blockState == TBLOCK_INPROGRESS:
        s.blockState = TBLOCK_ABORT_PENDING
    elif s.blockState == TBLOCK_ABORT:
        s.blockState = TBLOCK_ABORT_END
    else:
        raise _unexpected("EndTransactionBlock")
    return 0


def end_transaction_block(chain: bool = False) -> bool:
    """COMMIT. False if the block had failed, so that it is a ROLLBACK (and the tag says so)."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef int state = s.blockState
    result = False
    if state == TBLOCK_INPROGRESS:
        s.blockState = TBLOCK_END
        result = True
    elif state == TBLOCK_IMPLICIT_INPROGRESS:
        _no_transaction(chain, "COMMIT AND CHAIN")
        s.blockState = TBLOCK_END
        result = True
    elif state == TBLOCK_ABORT:
        s.blockState = TBLOCK_ABORT_END
    elif state == TBLOCK_SUBINPROGRESS:
        while s.parent != NULL:
            if s.blockState != TBLOCK_SUBINPROGRESS:
                raise _unexpected("EndTransactionBlock")
            s.blockState = TBLOCK_SUBCOMMIT
            s = s.parent
        if s.blockState != TBLOCK_INPROGRESS:
            raise _unexpected("EndTransactionBlock")
        s.blockState = TBLOCK_END
        result = True
    elif state == TBLOCK_SUBABORT:
        _end_all_as_aborted()
        while s.parent != NULL:
            s = s.parent
    elif state == TBLOCK_STARTED:
        _no_transaction(chain, "COMMIT AND CHAIN")
        result = True
    else:
        raise _unexpected("EndTransactionBlock")
    s.chain = chain
    return result


def user_abort_transaction_block(chain: bool = False) -> None:
    """ROLLBACK."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef int state = s.blockState
    if state == TBLOCK_INPROGRESS:
        s.blockState = TBLOCK_ABORT_PENDING
    elif state == TBLOCK_ABORT:
        s.blockState = TBLOCK_ABORT_END
    elif state == TBLOCK_SUBINPROGRESS or state == TBLOCK_SUBABORT:
        _end_all_as_aborted()
        while s.parent != NULL:
            s = s.parent
    elif state == TBLOCK_STARTED or state == TBLOCK_IMPLICIT_INPROGRESS:
        _no_transaction(chain, "ROLLBACK AND CHAIN")
        s.blockState = TBLOCK_ABORT_PENDING
    else:
        raise _unexpected("UserAbortTransactionBlock")
    s.chain = chain


def prepare_transaction_block(gid: str) -> bool:
    """PREPARE TRANSACTION."""
    raise feature_not_supported("PREPARE TRANSACTION")


def define_savepoint(name: str | None) -> None:
    """SAVEPOINT."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef bytes encoded
    if s.blockState == TBLOCK_INPROGRESS or s.blockState == TBLOCK_SUBINPROGRESS:
        _push_transaction()
        if name is not None:
            encoded = name.encode()
            CurrentTransactionState.name = strdup(encoded)
    elif s.blockState == TBLOCK_IMPLICIT_INPROGRESS or s.blockState == TBLOCK_STARTED:
        raise SqlError(errcode.NO_ACTIVE_SQL_TRANSACTION, "SAVEPOINT can only be used in transaction blocks")
    else:
        raise _unexpected("DefineSavepoint")


cdef TransactionStateData *_find_savepoint(name) except NULL:
    cdef TransactionStateData *target = CurrentTransactionState
    cdef bytes encoded = name.encode()
    while target != NULL:
        if target.name != NULL and strcmp(target.name, encoded) == 0:
            break
        target = target.parent
    if target == NULL:
        raise SqlError(errcode.S_E_INVALID_SPECIFICATION, f'savepoint "{name}" does not exist')
    if target.savepointLevel != CurrentTransactionState.savepointLevel:
        raise SqlError(errcode.S_E_INVALID_SPECIFICATION,
                       f'savepoint "{name}" does not exist within current savepoint level')
    return target


def release_savepoint(name: str) -> None:
    """RELEASE SAVEPOINT."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef TransactionStateData *target
    if s.blockState == TBLOCK_INPROGRESS:
        raise SqlError(errcode.S_E_INVALID_SPECIFICATION, f'savepoint "{name}" does not exist')
    if s.blockState == TBLOCK_IMPLICIT_INPROGRESS or s.blockState == TBLOCK_STARTED:
        raise SqlError(errcode.NO_ACTIVE_SQL_TRANSACTION, "RELEASE SAVEPOINT can only be used in transaction blocks")
    if s.blockState != TBLOCK_SUBINPROGRESS:
        raise _unexpected("ReleaseSavepoint")
    target = _find_savepoint(name)
    while True:
        s.blockState = TBLOCK_SUBRELEASE
        if s == target:
            break
        s = s.parent


def rollback_to_savepoint(name: str) -> None:
    """ROLLBACK TO SAVEPOINT."""
    cdef TransactionStateData *s = CurrentTransactionState
    cdef TransactionStateData *target
    if s.blockState == TBLOCK_INPROGRESS or s.blockState == TBLOCK_ABORT:
        raise SqlError(errcode.S_E_INVALID_SPECIFICATION, f'savepoint "{name}" does not exist')
    if s.blockState == TBLOCK_IMPLICIT_INPROGRESS or s.blockState == TBLOCK_STARTED:
        raise SqlError(errcode.NO_ACTIVE_SQL_TRANSACTION,
                       "ROLLBACK TO SAVEPOINT can only be used in transaction blocks")
    if s.blockState != TBLOCK_SUBINPROGRESS and s.blockState != TBLOCK_SUBABORT:
        raise _unexpected("RollbackToSavepoint")
    target = _find_savepoint(name)
    while s != target:
        s.blockState = TBLOCK_SUBABORT_PENDING if s.blockState == TBLOCK_SUBINPROGRESS else TBLOCK_SUBABORT_END
        s = s.parent
    s.blockState = TBLOCK_SUBRESTART if s.blockState == TBLOCK_SUBINPROGRESS else TBLOCK_SUBABORT_RESTART


def begin_internal_subtransaction(name: str | None = None) -> None:
    """A subtransaction of the server's own code (exception blocks), outside or inside a block."""
    cdef int state = CurrentTransactionState.blockState
    cdef bytes encoded
    if state not in (TBLOCK_STARTED, TBLOCK_INPROGRESS, TBLOCK_IMPLICIT_INPROGRESS, TBLOCK_END, TBLOCK_PREPARE,
                     TBLOCK_SUBINPROGRESS):
        raise _unexpected("BeginInternalSubTransaction")
    _push_transaction()
    if name is not None:
        encoded = name.encode()
        CurrentTransactionState.name = strdup(encoded)
    commit_transaction_command()
    start_transaction_command()


def release_current_subtransaction() -> None:
    """Commit the innermost subtransaction."""
    if CurrentTransactionState.blockState != TBLOCK_SUBINPROGRESS:
        raise _unexpected("ReleaseCurrentSubTransaction")
    _commit_subtransaction()


def rollback_and_release_current_subtransaction() -> None:
    """Undo and forget the innermost subtransaction."""
    cdef int state = CurrentTransactionState.blockState
    if state != TBLOCK_SUBINPROGRESS and state != TBLOCK_SUBABORT:
        raise _unexpected("RollbackAndReleaseCurrentSubTransaction")
    if state == TBLOCK_SUBINPROGRESS:
        _abort_subtransaction()
    _cleanup_subtransaction()


def abort_out_of_any_transaction() -> None:
    """Leave whatever is open: before the process ends, or a new session state begins."""
    cdef TransactionStateData *s
    cdef int state
    while True:
        s = CurrentTransactionState
        state = s.blockState
        if state == TBLOCK_DEFAULT:
            if s.state != TRANS_DEFAULT:
                if s.state == TRANS_START:
                    s.state = TRANS_INPROGRESS
                _abort_transaction()
                _cleanup_transaction()
        elif state in (TBLOCK_ABORT, TBLOCK_ABORT_END):
            _after_error()
            _cleanup_transaction()
        elif s.parent != NULL:
            if state not in (TBLOCK_SUBABORT, TBLOCK_SUBABORT_END, TBLOCK_SUBABORT_RESTART):
                if s.state == TRANS_DEFAULT:
                    s.state = TRANS_INPROGRESS
                _abort_subtransaction()
            _cleanup_subtransaction()
            continue
        else:
            _abort_transaction()
            _cleanup_transaction()
        TopTransactionStateData.blockState = TBLOCK_DEFAULT
        return


# Rules for statements.

def prevent_in_transaction_block(is_top_level: bool, statement: str) -> None:
    """For statements that commit by themselves (CREATE DATABASE, VACUUM): 25001 inside a block or function."""
    if is_transaction_block():
        raise SqlError(errcode.ACTIVE_SQL_TRANSACTION, f"{statement} cannot run inside a transaction block")
    if is_sub_transaction():
        raise SqlError(errcode.ACTIVE_SQL_TRANSACTION, f"{statement} cannot run inside a subtransaction")
    if _state.MyXactFlags & XACT_FLAGS_PIPELINING:
        raise SqlError(errcode.ACTIVE_SQL_TRANSACTION, f"{statement} cannot be executed within a pipeline")
    if not is_top_level:
        raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                       f"{statement} cannot be executed from a function or procedure")
    if CurrentTransactionState.blockState not in (TBLOCK_DEFAULT, TBLOCK_STARTED):
        raise Fatal(errcode.INTERNAL_ERROR, "cannot prevent transaction chain")
    _state.MyXactFlags |= XACT_FLAGS_NEEDIMMEDIATECOMMIT


def require_transaction_block(is_top_level: bool, statement: str) -> None:
    """For statements that have no effect outside a block (DECLARE CURSOR, LOCK TABLE): 25P01."""
    if not is_in_transaction_block(is_top_level):
        raise SqlError(errcode.NO_ACTIVE_SQL_TRANSACTION, f"{statement} can only be used in transaction blocks")


def warn_no_transaction_block(is_top_level: bool, statement: str) -> None:
    """The same as a warning (SET LOCAL, SET TRANSACTION)."""
    if not is_in_transaction_block(is_top_level):
        report(Severity.WARNING, f"{statement} can only be used in transaction blocks",
               sqlstate=errcode.NO_ACTIVE_SQL_TRANSACTION)


def is_in_transaction_block(is_top_level: bool) -> bool:
    """Whether a statement runs together with others (IsInTransactionBlock)."""
    return (is_transaction_block() or is_sub_transaction() or bool(_state.MyXactFlags & XACT_FLAGS_PIPELINING)
            or not is_top_level or CurrentTransactionState.blockState not in (TBLOCK_DEFAULT, TBLOCK_STARTED))


def prevent_command_if_read_only(command: str) -> None:
    """25006 in a read-only transaction."""
    if _state.XactReadOnly:
        raise SqlError(errcode.READ_ONLY_SQL_TRANSACTION, f"cannot execute {command} in a read-only transaction")


def prevent_command_during_recovery(command: str) -> None:
    if recovery_in_progress():
        raise SqlError(errcode.READ_ONLY_SQL_TRANSACTION, f"cannot execute {command} during recovery")


# Settings.

@on_assign("default_transaction_isolation")
def _(value):
    global default_iso_level
    default_iso_level = _ISOLATION[value]


@on_check("default_transaction_isolation")
def _(value, source):
    _refuse_serializable(value)
    return value


@on_assign("default_transaction_read_only")
def _(value):
    global default_read_only
    default_read_only = value


@on_assign("default_transaction_deferrable")
def _(value):
    global default_deferrable
    default_deferrable = value


@on_assign("synchronous_commit")
def _(value):
    global synchronous_commit
    synchronous_commit = _SYNC[value]


def _refuse_serializable(value):
    if value == "serializable":
        raise feature_not_supported("isolation level serializable")


@on_check("transaction_isolation")
def _(value, source):
    if _ISOLATION[value] != _state.XactIsoLevel and is_transaction_state():
        if first_snapshot_set():
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "SET TRANSACTION ISOLATION LEVEL must be called before any query")
        if is_sub_transaction():
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "SET TRANSACTION ISOLATION LEVEL must not be called in a subtransaction")
    _refuse_serializable(value)
    return value


@on_assign("transaction_isolation")
def _(value):
    _state.XactIsoLevel = _ISOLATION[value]


@on_show("transaction_isolation")
def _():
    return ISOLATION_NAMES[_state.XactIsoLevel]


@on_check("transaction_read_only")
def _(value, source):
    if not value and _state.XactReadOnly and is_transaction_state():
        if is_sub_transaction() and CurrentTransactionState.prevXactReadOnly:
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "cannot set transaction read-write mode inside a read-only transaction")
        if first_snapshot_set():
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "transaction read-write mode must be set before any query")
        if recovery_in_progress():
            raise SqlError(errcode.FEATURE_NOT_SUPPORTED,
                           "cannot set transaction read-write mode during recovery")
    return value


@on_assign("transaction_read_only")
def _(value):
    _state.XactReadOnly = value


@on_show("transaction_read_only")
def _():
    return "on" if _state.XactReadOnly else "off"


@on_check("transaction_deferrable")
def _(value, source):
    if is_transaction_state():
        if is_sub_transaction():
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "SET TRANSACTION [NOT] DEFERRABLE cannot be called within a subtransaction")
        if first_snapshot_set():
            raise SqlError(errcode.ACTIVE_SQL_TRANSACTION,
                           "SET TRANSACTION [NOT] DEFERRABLE must be called before any query")
    return value


@on_assign("transaction_deferrable")
def _(value):
    _state.XactDeferrable = value


@on_show("transaction_deferrable")
def _():
    return "on" if _state.XactDeferrable else "off"


# Replay.

cdef uint32_t _u32(const char *at) noexcept nogil:
    cdef uint32_t value
    memcpy(&value, at, 4)
    return value


cdef int _redo(DecodedRecord record) except -1:
    cdef uint8_t op = record.header.xl_info & XLOG_XACT_OPMASK
    cdef bint is_commit = op == XLOG_XACT_COMMIT
    cdef TransactionId xid = record.header.xl_xid
    cdef const char *at = record.main_data
    cdef uint32_t xinfo = 0
    cdef int64_t xact_time
    cdef int nsubxacts = 0, nrels = 0, nstats = 0
    cdef TransactionId *subxacts = NULL
    cdef const char *rels = NULL
    cdef const char *stats = NULL
    cdef TransactionId newest
    if op == XLOG_XACT_ASSIGNMENT or op == XLOG_XACT_INVALIDATIONS:
        return 0                                # for standbys and logical decoding
    if op != XLOG_XACT_COMMIT and op != XLOG_XACT_ABORT:
        raise feature_not_supported("replay of prepared transactions")
    memcpy(&xact_time, at, 8)
    at += 8
    if record.header.xl_info & XLOG_XACT_HAS_INFO:
        xinfo = _u32(at)
        at += 4
    if xinfo & XACT_XINFO_HAS_DBINFO:
        at += 8
    if xinfo & XACT_XINFO_HAS_SUBXACTS:
        nsubxacts = <int> _u32(at)
        subxacts = <TransactionId *> malloc(nsubxacts * sizeof(TransactionId))
        if subxacts == NULL:
            raise MemoryError
        memcpy(subxacts, at + 4, nsubxacts * sizeof(TransactionId))
        at += 4 + nsubxacts * sizeof(TransactionId)
    try:
        if xinfo & XACT_XINFO_HAS_RELFILELOCATORS:
            nrels = <int> _u32(at)
            rels = at + 4
            at += 4 + nrels * sizeof(RelFileLocator)
        if xinfo & XACT_XINFO_HAS_DROPPED_STATS:
            nstats = <int> _u32(at)
            stats = at + 4
            at += 4 + nstats * 16
        newest = transaction_id_latest(xid, nsubxacts, subxacts)
        advance_next_full_transaction_id_past_xid(newest)
        if is_commit:
            commit_ts_set_tree(xid, nsubxacts, subxacts, xact_time, record.origin)
            transaction_id_commit_tree(xid, nsubxacts, subxacts)
        else:
            transaction_id_abort_tree(xid, nsubxacts, subxacts)
        if nrels > 0:
            # The record must be durable before the files it removes are gone.
            xlog_flush(record.end_lsn)
            drop_relation_files_redo(rels, nrels)
        if nstats > 0:
            stats_drop_redo(stats, nstats)
        if is_commit and xinfo & XACT_COMPLETION_FORCE_SYNC_COMMIT:
            xlog_flush(record.end_lsn)
    finally:
        free(subxacts)
    return 0


register_redo(RM_XACT_ID, _redo, NULL)


# Doors for Python code.

def start_command() -> None:
    """StartTransactionCommand."""
    start_transaction_command()


def commit_command() -> None:
    """CommitTransactionCommand."""
    commit_transaction_command()


def abort_current() -> None:
    """AbortCurrentTransaction."""
    abort_current_transaction()


def increment_command_counter() -> None:
    command_counter_increment()


def current_command_id(used: bool) -> int:
    return get_current_command_id(used)


def current_transaction_id() -> int:
    """The id of the innermost (sub)transaction, assigned now if need be."""
    return get_current_transaction_id()


def current_transaction_id_if_any() -> int:
    return get_current_transaction_id_if_any()


def top_transaction_id() -> int:
    return get_top_transaction_id()


def top_transaction_id_if_any() -> int:
    return get_top_transaction_id_if_any()


def top_full_id() -> int:
    """64-bit id of the transaction (pg_current_xact_id)."""
    return get_top_full_transaction_id()


def top_full_id_if_any() -> int:
    return top_full_transaction_id


def current_sub_transaction_id() -> int:
    return get_current_sub_transaction_id()


def nest_level() -> int:
    return get_current_transaction_nest_level()


def is_current(xid: int) -> bool:
    return transaction_id_is_current(xid)


def in_transaction() -> bool:
    """IsTransactionState."""
    return is_transaction_state()


def in_aborted_block() -> bool:
    return is_aborted_transaction_block_state()


def in_block() -> bool:
    """IsTransactionBlock."""
    return is_transaction_block()


def in_transaction_or_block() -> bool:
    return is_transaction_or_transaction_block()


def in_sub_transaction() -> bool:
    return is_sub_transaction()


def status_code() -> str:
    """The letter of ReadyForQuery: I, T or E."""
    return chr(transaction_block_status_code())


def block_state() -> str:
    return BLOCK_STATE_NAMES[CurrentTransactionState.blockState]


def isolation_level() -> int:
    return _state.XactIsoLevel


def is_read_only() -> bool:
    return _state.XactReadOnly


def flags() -> int:
    return _state.MyXactFlags


def add_flags(bits: int) -> None:
    _state.MyXactFlags |= bits


def needs_immediate_commit() -> bool:
    return bool(_state.MyXactFlags & XACT_FLAGS_NEEDIMMEDIATECOMMIT)


def local_transaction_number() -> int:
    """A number that is another one in each transaction of this session."""
    return next_local_transaction_id


def transaction_start_timestamp() -> int:
    return xact_start_timestamp


def statement_start_timestamp() -> int:
    return stmt_start_timestamp


def set_statement_start_timestamp(value: int = 0) -> None:
    """Note when a client message arrived (now, if 0)."""
    global stmt_start_timestamp
    stmt_start_timestamp = value if value else get_current_timestamp()


def now() -> int:
    """Microseconds since 2000-01-01 UTC."""
    return get_current_timestamp()


def force_synchronous_commit() -> None:
    """This transaction's effects outside the database must not be ahead of its durable commit (ForceSyncCommit)."""
    global force_sync_commit
    force_sync_commit = True


def set_replication_origin(origin: int, lsn: int, timestamp: int) -> None:
    """Stamp commits of this session as replayed from elsewhere."""
    global origin_id, origin_lsn, origin_timestamp
    origin_id, origin_lsn, origin_timestamp = origin, lsn, timestamp


def last_commit_end() -> int:
    """WAL position after this session's last commit."""
    return XactLastCommitEnd


def committed_children() -> list:
    """Ids of the committed children of the innermost transaction."""
    return [CurrentTransactionState.childXids[i] for i in range(CurrentTransactionState.nChildXids)]


def new_savepoint_level(enter: bool) -> None:
    """Functions cannot touch the savepoints of their callers."""
    CurrentTransactionState.savepointLevel += 1 if enter else -1

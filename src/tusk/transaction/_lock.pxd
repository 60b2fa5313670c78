# cython: language_level=3
"""Heavyweight locks: relations, tuples, transactions, objects, advisory (storage/lock.h, lmgr.h)."""

from tusk._types cimport (
    BlockNumber,
    ItemPointerData,
    OffsetNumber,
    Oid,
    TransactionId,
    int32_t,
    int64_t,
    uint8_t,
    uint16_t,
    uint32_t,
    uint64_t,
)
from tusk.memory._dlist cimport dlist_head, dlist_node
from tusk.memory._process cimport PGPROC

cdef enum:
    NoLock = 0
    AccessShareLock = 1
    RowShareLock = 2
    RowExclusiveLock = 3
    ShareUpdateExclusiveLock = 4
    ShareLock = 5
    ShareRowExclusiveLock = 6
    ExclusiveLock = 7
    AccessExclusiveLock = 8
    MaxLockMode = 8
    MAX_LOCKMODES = 10

cdef enum:
    LOCKTAG_RELATION = 0
    LOCKTAG_RELATION_EXTEND = 1
    LOCKTAG_DATABASE_FROZEN_IDS = 2
    LOCKTAG_PAGE = 3
    LOCKTAG_TUPLE = 4
    LOCKTAG_TRANSACTION = 5
    LOCKTAG_VIRTUALTRANSACTION = 6
    LOCKTAG_SPECULATIVE_TOKEN = 7
    LOCKTAG_OBJECT = 8
    LOCKTAG_USERLOCK = 9
    LOCKTAG_ADVISORY = 10
    LOCKTAG_APPLY_TRANSACTION = 11

cdef enum:
    DEFAULT_LOCKMETHOD = 1
    USER_LOCKMETHOD = 2

cdef enum LockAcquireResult:
    LOCKACQUIRE_NOT_AVAIL = 0
    LOCKACQUIRE_OK = 1
    LOCKACQUIRE_ALREADY_HELD = 2
    LOCKACQUIRE_ALREADY_CLEAR = 3

cdef enum LockWaitPolicy:
    LockWaitBlock = 0
    LockWaitSkip = 1
    LockWaitError = 2

# What a waiter for another transaction was about to do (XLTW_Oper), for the CONTEXT line.
cdef enum XLTW_Oper:
    XLTW_None = 0
    XLTW_Update = 1
    XLTW_Delete = 2
    XLTW_Lock = 3
    XLTW_LockUpdated = 4
    XLTW_InsertIndex = 5
    XLTW_InsertIndexUnique = 6
    XLTW_FetchUpdated = 7
    XLTW_RecheckExclusionConstr = 8

cdef packed struct LOCKTAG:             # 16 bytes
    uint32_t locktag_field1
    uint32_t locktag_field2
    uint32_t locktag_field3
    uint16_t locktag_field4
    uint8_t locktag_type
    uint8_t locktag_lockmethodid

cdef inline LOCKTAG make_locktag(uint32_t f1, uint32_t f2, uint32_t f3, uint16_t f4, uint8_t kind,
                                 uint8_t method) noexcept nogil:
    cdef LOCKTAG tag
    tag.locktag_field1 = f1
    tag.locktag_field2 = f2
    tag.locktag_field3 = f3
    tag.locktag_field4 = f4
    tag.locktag_type = kind
    tag.locktag_lockmethodid = method
    return tag

cdef inline LOCKTAG tag_relation(Oid db, Oid rel) noexcept nogil:
    return make_locktag(db, rel, 0, 0, LOCKTAG_RELATION, DEFAULT_LOCKMETHOD)

cdef inline LOCKTAG tag_tuple(Oid db, Oid rel, BlockNumber block, OffsetNumber offset) noexcept nogil:
    return make_locktag(db, rel, block, offset, LOCKTAG_TUPLE, DEFAULT_LOCKMETHOD)

cdef inline LOCKTAG tag_transaction(TransactionId xid) noexcept nogil:
    return make_locktag(xid, 0, 0, 0, LOCKTAG_TRANSACTION, DEFAULT_LOCKMETHOD)

cdef inline LOCKTAG tag_object(Oid db, Oid classid, Oid objid, uint16_t subid) noexcept nogil:
    return make_locktag(db, classid, objid, subid, LOCKTAG_OBJECT, DEFAULT_LOCKMETHOD)

cdef struct LOCK:                       # in shared memory, one for each locked object
    LOCK *hash_next
    LOCKTAG tag
    uint32_t hashcode
    uint32_t grantMask
    uint32_t waitMask
    int32_t nRequested
    int32_t nGranted
    int32_t requested[10]
    int32_t granted[10]
    dlist_head procLocks
    dlist_head waitProcs                # PGPROC.links

cdef struct PROCLOCK:                   # one for each holder or waiter of a LOCK
    dlist_node lockLink                 # must be first
    dlist_node procLink                 # must be second
    LOCK *myLock
    PGPROC *myProc
    PGPROC *groupLeader
    PROCLOCK *hash_next
    uint32_t holdMask
    uint32_t releaseMask

cdef inline PROCLOCK *proclock_of_proc_link(dlist_node *node) noexcept nogil:
    return <PROCLOCK *> (<char *> node - sizeof(dlist_node))

cdef uint32_t *lock_conflicts(int method) noexcept nogil    # by mode: mask of conflicting modes
cdef bint lock_check_conflicts(int mode, LOCK *lock, PROCLOCK *proclock) noexcept nogil
cdef void grant_lock(LOCK *lock, PROCLOCK *proclock, int mode) noexcept nogil
cdef void proc_lock_wakeup(LOCK *lock) noexcept nogil

# The lock manager proper. lock_acquire raises on deadlock (40P01), lock_timeout (55P03), cancel, 53200.
cdef int lock_acquire(const LOCKTAG *tag, int mode, bint session, bint dont_wait) except -1
cdef int lock_release(const LOCKTAG *tag, int mode, bint session) except -1       # 0: was not held (warned)
cdef int lock_release_all(int method, bint all_locks) except -1
cdef int lock_release_session(int method) except -1
cdef int lock_release_owner(uint32_t subxid) except -1
cdef int lock_reassign_owner(uint32_t subxid, uint32_t parent) except -1
cdef int lock_error_cleanup() except -1
cdef bint lock_has_waiters(const LOCKTAG *tag, int mode) except -1
cdef int virtual_xact_lock_table_insert(uint32_t lxid) except -1 nogil
cdef int virtual_xact_lock_table_cleanup() except -1
cdef int virtual_xact_lock(int procno, uint32_t lxid, bint wait) except -1
cdef bint lock_held_by_me(const LOCKTAG *tag, int mode, bint or_stronger) noexcept nogil
cdef bint do_lock_modes_conflict(int mode1, int mode2) noexcept nogil

# By what is locked. ``db`` is 0 for shared relations. dont_wait: 0 = not available.
cdef int lock_relation_oid(Oid db, Oid rel, int mode) except -1        # then accepts invalidations
cdef int conditional_lock_relation_oid(Oid db, Oid rel, int mode) except -1
cdef int unlock_relation_oid(Oid db, Oid rel, int mode) except -1
cdef int lock_relation_for_extension(Oid db, Oid rel, int mode) except -1
cdef int conditional_lock_relation_for_extension(Oid db, Oid rel, int mode) except -1
cdef int unlock_relation_for_extension(Oid db, Oid rel, int mode) except -1
cdef int lock_page(Oid db, Oid rel, BlockNumber block, int mode) except -1
cdef int unlock_page(Oid db, Oid rel, BlockNumber block, int mode) except -1
cdef int lock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1
cdef int conditional_lock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1
cdef int unlock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1

# Wait for another transaction. relname/tid/oper make the CONTEXT line; relname None for none.
cdef int xact_lock_table_wait(TransactionId xid, object relname, const ItemPointerData *tid, int oper) except -1
cdef int conditional_xact_lock_table_wait(TransactionId xid) except -1
cdef int xact_lock_table_insert(TransactionId xid) except -1
cdef int xact_lock_table_delete(TransactionId xid) except -1

cdef uint32_t speculative_insertion_lock_acquire(TransactionId xid) except 0
cdef int speculative_insertion_lock_release(TransactionId xid) except -1
cdef int speculative_insertion_wait(TransactionId xid, uint32_t token) except -1

# catalog.inval sets it: read the shared invalidation queue (called after a relation lock is granted).
ctypedef int (*accept_invalidations_fn)() except -1
cdef accept_invalidations_fn accept_invalidations_hook

# _xact sets it: an access exclusive lock on a relation will be logged, so this transaction needs an id.
ctypedef TransactionId (*assign_xid_fn)() except 0
cdef assign_xid_fn assign_xid_hook

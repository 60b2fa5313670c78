# cython: language_level=3
"""The process slots in shared memory (storage/proc.h)."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from tusk._types cimport Lsn, Oid, TransactionId
from tusk.memory._dlist cimport dlist_head, dlist_node
from tusk.memory._lwlock cimport NUM_LOCK_PARTITIONS, LWLock

cdef enum:
    PGPROC_MAX_CACHED_SUBXIDS = 64
    FP_LOCK_SLOTS_PER_GROUP = 16
    FP_LOCK_GROUPS_PER_BACKEND_MAX = 1024
    INVALID_PROC_NUMBER = -1
    NUM_SPECIAL_WORKER_PROCS = 2    # autovacuum launcher and slot sync worker
    NUM_AUXILIARY_PROCS = 38
    MAX_CANCEL_KEY_LENGTH = 32

cdef enum:                      # statusFlags
    PROC_IS_AUTOVACUUM = 0x01
    PROC_IN_VACUUM = 0x02
    PROC_IN_SAFE_IC = 0x04
    PROC_VACUUM_FOR_WRAPAROUND = 0x08
    PROC_IN_LOGICAL_DECODING = 0x10
    PROC_AFFECTS_ALL_HORIZONS = 0x20
    PROC_VACUUM_STATE_MASK = 0x0E
    PROC_XMIN_FLAGS = 0x06

cdef enum:                      # delayChkptFlags
    DELAY_CHKPT_START = 1
    DELAY_CHKPT_COMPLETE = 2

cdef enum:                      # waitStatus
    PROC_WAIT_STATUS_OK = 0
    PROC_WAIT_STATUS_WAITING = 1
    PROC_WAIT_STATUS_ERROR = 2

cdef enum:                      # kinds of slots, each with its free list
    PROC_KIND_REGULAR = 0
    PROC_KIND_AUTOVACUUM = 1
    PROC_KIND_BGWORKER = 2
    PROC_KIND_WALSENDER = 3
    PROC_KIND_AUXILIARY = 4
    PROC_KIND_PREPARED = 5      # dummies of prepared transactions
    NUM_PROC_KINDS = 6

cdef struct XidCacheStatus:
    uint8_t count
    uint8_t overflowed

cdef struct PGPROC:
    dlist_node links            # in a free list, or in a heavyweight lock's wait queue
    int32_t procno              # index of this slot
    int32_t kind                # PROC_KIND_*: the free list it belongs to
    uint32_t in_use
    uint32_t semaphore          # futex word: see proc_semaphore_wait
    int32_t waitStatus

    int32_t latch_fd            # eventfd
    uint32_t latch_is_set
    uint32_t latch_maybe_sleeping

    TransactionId xid           # mirrored in ProcGlobal.xids[pgxactoff]
    TransactionId xmin
    int32_t pid                 # 0: prepared transaction
    int32_t pgxactoff           # -1: not in the process array
    int32_t vxid_procNumber
    uint32_t lxid               # local id of the running top-level transaction, 0 if none

    Oid databaseId              # 0 while starting up
    Oid roleId
    Oid tempNamespaceId
    int32_t backend_type        # BackendType of miscadmin.h
    uint8_t isRegularBackend
    uint8_t recoveryConflictPending
    uint8_t statusFlags         # mirrored in ProcGlobal.statusFlags[pgxactoff]

    void *waitLock              # LOCK * and PROCLOCK * of the awaited heavyweight lock
    void *waitProcLock
    int32_t waitLockMode
    uint32_t heldLocks
    uint64_t waitStart          # microseconds since 2000-01-01; 0: not waiting
    int32_t delayChkptFlags

    Lsn waitLSN                 # synchronous replication
    int32_t syncRepState
    dlist_node syncRepLinks

    dlist_head myProcLocks[NUM_LOCK_PARTITIONS]

    XidCacheStatus subxidStatus     # mirrored in ProcGlobal.subxidStates[pgxactoff]
    TransactionId subxids[PGPROC_MAX_CACHED_SUBXIDS]

    uint8_t procArrayGroupMember
    uint32_t procArrayGroupNext
    TransactionId procArrayGroupMemberXid

    uint32_t wait_event_info

    uint8_t clogGroupMember
    uint32_t clogGroupNext
    TransactionId clogGroupMemberXid
    int32_t clogGroupMemberXidStatus
    int64_t clogGroupMemberPage
    Lsn clogGroupMemberLsn

    LWLock fpInfoLock
    uint64_t *fpLockBits        # a word per group of 16 slots
    Oid *fpRelId                # 16 per group
    uint8_t fpVXIDLock
    uint32_t fpLocalTransactionId

    PGPROC *lockGroupLeader
    dlist_head lockGroupMembers
    dlist_node lockGroupLink

    # Tusk's own
    dlist_node cvWaitLink       # in a condition variable's list
    uint32_t cvSignalled

cdef struct PROC_HDR:
    PGPROC *allProcs
    TransactionId *xids         # dense copies for snapshots, indexed by pgxactoff
    XidCacheStatus *subxidStates
    uint8_t *statusFlags
    uint32_t allProcCount       # all slots, those above the present limits included
    uint32_t freelist_lock      # spinlock
    dlist_head free[NUM_PROC_KINDS]
    uint32_t counts[NUM_PROC_KINDS]     # slots of a kind
    uint32_t limits[NUM_PROC_KINDS]     # how many may be in use
    uint32_t used[NUM_PROC_KINDS]
    uint32_t procArrayGroupFirst
    uint32_t clogGroupFirst
    int32_t walwriterProc       # slot numbers, -1: not running
    int32_t checkpointerProc
    int32_t bgwriterProc
    int32_t avLauncherProc
    int32_t startupProc
    int32_t startupBufferPinWaitBufId
    int32_t fp_groups           # FastPathLockGroupsPerBackend

cdef PGPROC *MyProc             # NULL until init_process
cdef int MyProcNumber
cdef PROC_HDR *ProcGlobal
cdef int FastPathLockGroupsPerBackend


cdef inline PGPROC *proc_by_number(int procno) noexcept nogil:
    return &ProcGlobal.allProcs[procno]


cdef inline int proc_count() noexcept nogil:
    """Number of slots, free ones included."""
    return <int> ProcGlobal.allProcCount


cdef PGPROC *proc_by_pid(int pid) noexcept nogil
# Sleeping on one's own counting semaphore (a futex); survives signals, does not serve interrupts.
cdef void proc_semaphore_wait(uint32_t wait_event_info) noexcept nogil
cdef void proc_semaphore_wake(int procno) noexcept nogil

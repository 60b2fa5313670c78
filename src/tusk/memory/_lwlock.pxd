# cython: language_level=3
"""Lightweight locks: shared or exclusive, futex-based, for structures in shared memory (storage/lwlock.h)."""

from libc.stdint cimport uint16_t, uint32_t, uint64_t

cdef struct LWLock:             # 16 bytes, all zero but the tranche when free
    uint16_t tranche
    uint16_t reserved
    uint32_t state              # LW_FLAG_EXCLUSIVE or the number of shared holders
    uint32_t wake_sequence      # futex word
    uint32_t waiters            # low half: want the lock; high half: wait for it to become free

ctypedef int LWLockMode

cdef enum:
    LW_EXCLUSIVE = 0
    LW_SHARED = 1

cdef enum:                      # individual locks: storage/lwlocklist.h
    ShmemIndexLock = 1
    OidGenLock = 2
    XidGenLock = 3
    ProcArrayLock = 4
    SInvalReadLock = 5
    SInvalWriteLock = 6
    WALBufMappingLock = 7
    WALWriteLock = 8
    ControlFileLock = 9
    MultiXactGenLock = 13
    RelCacheInitLock = 16
    CheckpointerCommLock = 17
    TwoPhaseStateLock = 18
    TablespaceCreateLock = 19
    BtreeVacuumLock = 20
    AddinShmemInitLock = 21
    AutovacuumLock = 22
    AutovacuumScheduleLock = 23
    SyncScanLock = 24
    RelationMappingLock = 25
    NotifyQueueLock = 27
    SerializableXactHashLock = 28
    SerializableFinishedListLock = 29
    SerializablePredicateListLock = 30
    SyncRepLock = 32
    BackgroundWorkerLock = 33
    DynamicSharedMemoryControlLock = 34
    AutoFileLock = 35
    ReplicationSlotAllocationLock = 36
    ReplicationSlotControlLock = 37
    CommitTsLock = 39
    ReplicationOriginLock = 40
    MultiXactTruncationLock = 41
    LogicalRepWorkerLock = 43
    XactTruncationLock = 44
    WrapLimitsVacuumLock = 46
    NotifyQueueTailLock = 47
    WaitEventCustomLock = 48
    WALSummarizerLock = 49
    DSMRegistryLock = 50
    InjectionPointLock = 51
    SerialControlLock = 52
    AioWorkerSubmissionQueueLock = 53
    NUM_INDIVIDUAL_LWLOCKS = 54

cdef enum:                      # built-in tranches: storage/lwlock.h
    LWTRANCHE_XACT_BUFFER = 54
    LWTRANCHE_COMMITTS_BUFFER
    LWTRANCHE_SUBTRANS_BUFFER
    LWTRANCHE_MULTIXACTOFFSET_BUFFER
    LWTRANCHE_MULTIXACTMEMBER_BUFFER
    LWTRANCHE_NOTIFY_BUFFER
    LWTRANCHE_SERIAL_BUFFER
    LWTRANCHE_WAL_INSERT
    LWTRANCHE_BUFFER_CONTENT
    LWTRANCHE_REPLICATION_ORIGIN_STATE
    LWTRANCHE_REPLICATION_SLOT_IO
    LWTRANCHE_LOCK_FASTPATH
    LWTRANCHE_BUFFER_MAPPING
    LWTRANCHE_LOCK_MANAGER
    LWTRANCHE_PREDICATE_LOCK_MANAGER
    LWTRANCHE_PARALLEL_HASH_JOIN
    LWTRANCHE_PARALLEL_BTREE_SCAN
    LWTRANCHE_PARALLEL_QUERY_DSA
    LWTRANCHE_PER_SESSION_DSA
    LWTRANCHE_PER_SESSION_RECORD_TYPE
    LWTRANCHE_PER_SESSION_RECORD_TYPMOD
    LWTRANCHE_SHARED_TUPLESTORE
    LWTRANCHE_SHARED_TIDBITMAP
    LWTRANCHE_PARALLEL_APPEND
    LWTRANCHE_PER_XACT_PREDICATE_LIST
    LWTRANCHE_PGSTATS_DSA
    LWTRANCHE_PGSTATS_HASH
    LWTRANCHE_PGSTATS_DATA
    LWTRANCHE_LAUNCHER_DSA
    LWTRANCHE_LAUNCHER_HASH
    LWTRANCHE_DSM_REGISTRY_DSA
    LWTRANCHE_DSM_REGISTRY_HASH
    LWTRANCHE_COMMITTS_SLRU
    LWTRANCHE_MULTIXACTMEMBER_SLRU
    LWTRANCHE_MULTIXACTOFFSET_SLRU
    LWTRANCHE_NOTIFY_SLRU
    LWTRANCHE_SERIAL_SLRU
    LWTRANCHE_SUBTRANS_SLRU
    LWTRANCHE_XACT_SLRU
    LWTRANCHE_PARALLEL_VACUUM_DSA
    LWTRANCHE_AIO_URING_COMPLETION
    LWTRANCHE_FIRST_USER_DEFINED

cdef enum:
    NUM_BUFFER_PARTITIONS = 128
    NUM_LOCK_PARTITIONS = 16
    NUM_PREDICATELOCK_PARTITIONS = 16
    LW_LOCK_STRIDE = 64         # the main array gives each lock a cache line

# Individual locks come first, then the buffer mapping, lock manager and predicate lock partitions.
cdef char *main_locks


cdef inline LWLock *main_lock(int lock_id) noexcept nogil:
    """The individual lock with this id (`XidGenLock`, ...)."""
    return <LWLock *> (main_locks + lock_id * LW_LOCK_STRIDE)


cdef inline LWLock *buffer_mapping_lock(uint32_t hashcode) noexcept nogil:
    return main_lock(NUM_INDIVIDUAL_LWLOCKS + (hashcode & (NUM_BUFFER_PARTITIONS - 1)))


cdef inline LWLock *lock_manager_lock(uint32_t hashcode) noexcept nogil:
    return main_lock(NUM_INDIVIDUAL_LWLOCKS + NUM_BUFFER_PARTITIONS + (hashcode & (NUM_LOCK_PARTITIONS - 1)))


cdef inline LWLock *predicate_lock_manager_lock(uint32_t hashcode) noexcept nogil:
    return main_lock(NUM_INDIVIDUAL_LWLOCKS + NUM_BUFFER_PARTITIONS + NUM_LOCK_PARTITIONS
                     + (hashcode & (NUM_PREDICATELOCK_PARTITIONS - 1)))


cdef void lwlock_initialize(LWLock *lock, int tranche) noexcept nogil
# 1 if free at once, 0 if this process had to wait for it. Interrupts are held off until release.
cdef int lwlock_acquire(LWLock *lock, LWLockMode mode) except -1 nogil
# 1 if acquired, 0 if not available.
cdef int lwlock_conditional_acquire(LWLock *lock, LWLockMode mode) except -1 nogil
# 1 if acquired; 0 if it was taken: then it has become free meanwhile and is not held (group commit).
cdef int lwlock_acquire_or_wait(LWLock *lock, LWLockMode mode) except -1 nogil
cdef int lwlock_release(LWLock *lock) except -1 nogil
# Sets *variable to value before other waiters see the lock free.
cdef int lwlock_release_clear_var(LWLock *lock, uint64_t *variable, uint64_t value) except -1 nogil
# 1 if the lock is free; 0 if *variable no longer is old_value, *new_value receives it.
cdef int lwlock_wait_for_var(LWLock *lock, uint64_t *variable, uint64_t old_value, uint64_t *new_value) except -1 nogil
cdef void lwlock_update_var(LWLock *lock, uint64_t *variable, uint64_t value) noexcept nogil
cdef void lwlock_release_all() noexcept nogil
cdef bint lwlock_held_by_me(const LWLock *lock) noexcept nogil
cdef bint lwlock_held_by_me_in_mode(const LWLock *lock, LWLockMode mode) noexcept nogil
cdef int lwlock_held_count() noexcept nogil

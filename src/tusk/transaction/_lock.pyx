# cython: language_level=3
"""The heavyweight lock manager (PostgreSQL's lock.c, lmgr.c and the lock part of proc.c).

Shared memory holds one LOCK for each locked object and one PROCLOCK for each holder or waiter of it, in hash tables of
16 partitions; a partition's LWLock protects its locks, their queues and the holders' lists. Weak locks on relations
(up to ROW EXCLUSIVE) normally stay out of them: they are noted in the process's own slot (the fast path), and whoever
wants a strong lock first moves them over. A table in private memory counts how often, and in which subtransaction,
this process holds each lock, so that taking it again touches nothing shared.
"""

from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcmp, memset

from tusk._types cimport InvalidTransactionId, tid_block, tid_offset
from tusk.memory._atomics cimport spin_lock, spin_unlock
from tusk.memory._dlist cimport (
    dlist_delete,
    dlist_first,
    dlist_init,
    dlist_insert_before,
    dlist_is_empty,
    dlist_next,
    dlist_node_is_detached,
    dlist_push_tail,
)
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.memory._latch cimport reset_latch, set_latch, wait_latch
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_SHARED,
    NUM_LOCK_PARTITIONS,
    LWLock,
    ProcArrayLock,
    lock_manager_lock,
    lwlock_acquire,
    lwlock_release,
    main_lock,
)
from tusk.memory._process cimport (
    FP_LOCK_SLOTS_PER_GROUP,
    PROC_WAIT_STATUS_ERROR,
    PROC_WAIT_STATUS_OK,
    PROC_WAIT_STATUS_WAITING,
    FastPathLockGroupsPerBackend,
    PROC_IS_AUTOVACUUM,
    PROC_VACUUM_FOR_WRAPAROUND,
    MyProc,
    proc_by_number,
    proc_count,
)
from tusk.memory._wait cimport PG_WAIT_LOCK
from tusk.transaction cimport _state
from tusk.transaction._deadlock cimport DS_HARD_DEADLOCK, DS_SOFT_DEADLOCK, dead_lock_check, rearranged_locks
from tusk.transaction._procarray cimport transaction_id_is_in_progress
from tusk.transaction._state cimport (
    CurrentTransactionState,
    MyDatabaseId,
    get_current_timestamp,
)
from tusk.transaction._subtrans cimport sub_trans_get_topmost_transaction
from tusk.wal._insert cimport xlog_begin_insert, xlog_insert, xlog_register_data, xlog_set_record_flags
from tusk.wal._record cimport RM_STANDBY_ID, XLOG_MARK_UNIMPORTANT
from tusk.wal._xlog cimport recovery_in_progress, xlog_standby_info_active

import os
import signal

from tusk.config import settings
from tusk.errors import Severity, SqlError, errcode, report
from tusk.memory._segment import declare_area
from tusk.transaction import _deadlock
from tusk.transaction.lock_names import MODE_NAMES, describe_tag

cdef enum:
    FAST_PATH_STRONG_PARTITIONS = 1024
    XLOG_STANDBY_LOCK = 0x00
    SESSION_OWNER = 0                   # owners of a lock are subtransaction ids from 1

# By mode, the modes that conflict with it (storage/lockdefs.h).
cdef uint32_t conflict_table[9]
conflict_table[0] = 0
conflict_table[AccessShareLock] = 1 << AccessExclusiveLock
conflict_table[RowShareLock] = 1 << ExclusiveLock | 1 << AccessExclusiveLock
conflict_table[RowExclusiveLock] = (1 << ShareLock | 1 << ShareRowExclusiveLock | 1 << ExclusiveLock
                                    | 1 << AccessExclusiveLock)
conflict_table[ShareUpdateExclusiveLock] = (1 << ShareUpdateExclusiveLock | 1 << ShareLock
                                            | 1 << ShareRowExclusiveLock | 1 << ExclusiveLock
                                            | 1 << AccessExclusiveLock)
conflict_table[ShareLock] = (1 << RowExclusiveLock | 1 << ShareUpdateExclusiveLock | 1 << ShareRowExclusiveLock
                             | 1 << ExclusiveLock | 1 << AccessExclusiveLock)
conflict_table[ShareRowExclusiveLock] = (1 << RowExclusiveLock | 1 << ShareUpdateExclusiveLock | 1 << ShareLock
                                         | 1 << ShareRowExclusiveLock | 1 << ExclusiveLock
                                         | 1 << AccessExclusiveLock)
conflict_table[ExclusiveLock] = (1 << RowShareLock | 1 << RowExclusiveLock | 1 << ShareUpdateExclusiveLock
                                 | 1 << ShareLock | 1 << ShareRowExclusiveLock | 1 << ExclusiveLock
                                 | 1 << AccessExclusiveLock)
conflict_table[AccessExclusiveLock] = 0x1FE

cdef struct FreeList:
    uint32_t spin
    uint32_t count
    void *head
    char padding[48]

cdef struct LockTable:                  # header of the area of LOCKs, or of PROCLOCKs
    uint32_t nbuckets
    uint32_t nentries
    void **buckets
    FreeList free[16]

cdef struct StrongLocks:
    uint32_t mutex
    uint32_t count[1024]

cdef struct LockOwner:
    uint32_t owner
    int64_t nLocks

cdef struct LOCALLOCK:
    LOCALLOCK *hash_next
    LOCALLOCK *prev                     # all local locks
    LOCALLOCK *next
    LOCKTAG tag
    int32_t mode
    uint32_t hashcode
    LOCK *lock                          # NULL: held by the fast path, as far as this process knows
    PROCLOCK *proclock
    int64_t nLocks
    int32_t numOwners
    int32_t maxOwners
    LockOwner *owners
    LockOwner inline_owners[2]
    uint8_t holdsStrongLockCount
    uint8_t lockCleared                 # invalidations were read while it was held

cdef LockTable *lock_table
cdef LockTable *proclock_table
cdef StrongLocks *strong_locks
cdef int n_lock_entries = 0

# Private.
cdef LOCALLOCK **local_buckets = <LOCALLOCK **> calloc(64, sizeof(void *))
cdef uint32_t n_local_buckets = 64
cdef uint32_t n_local = 0
cdef LOCALLOCK local_list
local_list.next = local_list.prev = &local_list
cdef LOCALLOCK *local_free = NULL
cdef int fast_path_use[1024]            # used slots by group, of this process
cdef LOCALLOCK *StrongLockInProgress = NULL
cdef LOCALLOCK *awaitedLock = NULL
cdef uint32_t awaitedOwner = 0
cdef uint32_t speculative_token = 0


# Shared tables.

def _entries(settings):
    backends = (settings.max_connections + settings.autovacuum_worker_slots + 2 + settings.max_worker_processes
                + settings.max_wal_senders + settings.max_prepared_transactions)
    # A tenth more than promised: what PostgreSQL finds in the slack of its segment.
    return int(settings.max_locks_per_transaction * backends * 1.1)


cdef uint32_t _bucket_count(int entries) noexcept:
    cdef uint32_t n = 64
    while n < <uint32_t> entries:
        n *= 2
    return n


cdef size_t _header_bytes() noexcept:
    return (sizeof(LockTable) + 127) & ~(<size_t> 127)


def _lock_size(settings):
    global n_lock_entries
    n_lock_entries = _entries(settings)
    return _header_bytes() + _bucket_count(n_lock_entries) * sizeof(void *) + <size_t> n_lock_entries * sizeof(LOCK)


def _proclock_size(settings):
    cdef int n = _entries(settings) * 2
    return _header_bytes() + _bucket_count(n) * sizeof(void *) + <size_t> n * sizeof(PROCLOCK)


def _lock_attach(address):
    global lock_table
    lock_table = <LockTable *> <size_t> address


def _proclock_attach(address):
    global proclock_table
    proclock_table = <LockTable *> <size_t> address


def _strong_attach(address):
    global strong_locks
    strong_locks = <StrongLocks *> <size_t> address


cdef void _init_table(LockTable *table, int entries, size_t entry_size) noexcept:
    cdef char *at = <char *> table + _header_bytes()
    cdef int i
    cdef FreeList *freelist
    table.nbuckets = _bucket_count(entries)
    table.nentries = entries
    table.buckets = <void **> at
    at += table.nbuckets * sizeof(void *)
    for i in range(entries):
        freelist = &table.free[i % NUM_LOCK_PARTITIONS]
        (<void **> at)[0] = freelist.head
        freelist.head = at
        freelist.count += 1
        at += entry_size


def _lock_init(address, size):
    _init_table(lock_table, n_lock_entries, sizeof(LOCK))
    _forget_local()


def _proclock_init(address, size):
    _init_table(proclock_table, n_lock_entries * 2, sizeof(PROCLOCK))


declare_area("LOCK hash", _lock_size, _lock_init, _lock_attach)
declare_area("PROCLOCK hash", _proclock_size, _proclock_init, _proclock_attach)
declare_area("Fast Path Strong Relation Lock Data", lambda settings: sizeof(StrongLocks), None, _strong_attach)


cdef void *_take_entry(LockTable *table, uint32_t partition) noexcept nogil:
    """A free entry, from the partition's own list or, when that is empty, from another's; NULL if there is none."""
    cdef uint32_t i
    cdef FreeList *freelist
    cdef void *entry
    for i in range(NUM_LOCK_PARTITIONS):
        freelist = &table.free[(partition + i) % NUM_LOCK_PARTITIONS]
        if freelist.count == 0:
            continue
        spin_lock(&freelist.spin)
        entry = freelist.head
        if entry != NULL:
            freelist.head = (<void **> entry)[0]
            freelist.count -= 1
        spin_unlock(&freelist.spin)
        if entry != NULL:
            return entry
    return NULL


cdef void _give_entry(LockTable *table, uint32_t partition, void *entry) noexcept nogil:
    cdef FreeList *freelist = &table.free[partition]
    spin_lock(&freelist.spin)
    (<void **> entry)[0] = freelist.head
    freelist.head = entry
    freelist.count += 1
    spin_unlock(&freelist.spin)


cdef inline uint32_t _hash_tag(const LOCKTAG *tag) noexcept nogil:
    """All 16 bytes mixed well: the low 4 bits choose the partition."""
    cdef uint64_t a = (<uint64_t> tag.locktag_field1 << 32) | tag.locktag_field2
    cdef uint64_t b = ((<uint64_t> tag.locktag_field3 << 32) | (<uint64_t> tag.locktag_field4 << 16)
                       | (<uint64_t> tag.locktag_type << 8) | tag.locktag_lockmethodid)
    a = (a ^ (b * <uint64_t> 0x9E3779B97F4A7C15)) * <uint64_t> 0xBF58476D1CE4E5B9
    a ^= a >> 29
    a *= <uint64_t> 0x94D049BB133111EB
    return <uint32_t> (a >> 32)


cdef inline bint _same_tag(const LOCKTAG *a, const LOCKTAG *b) noexcept nogil:
    return memcmp(a, b, sizeof(LOCKTAG)) == 0


cdef inline LOCK *_find_lock(const LOCKTAG *tag, uint32_t hashcode) noexcept nogil:
    cdef LOCK *lock = <LOCK *> lock_table.buckets[hashcode & (lock_table.nbuckets - 1)]
    while lock != NULL and not (lock.hashcode == hashcode and _same_tag(&lock.tag, tag)):
        lock = lock.hash_next
    return lock


cdef inline uint32_t _proclock_bucket(LOCK *lock, PGPROC *proc) noexcept nogil:
    # The low bits stay the lock's, so that a bucket belongs to one partition.
    return (lock.hashcode ^ (<uint32_t> proc.procno << 4)) & (proclock_table.nbuckets - 1)


cdef inline PROCLOCK *_find_proclock(LOCK *lock, PGPROC *proc) noexcept nogil:
    cdef PROCLOCK *proclock = <PROCLOCK *> proclock_table.buckets[_proclock_bucket(lock, proc)]
    while proclock != NULL and not (proclock.myLock == lock and proclock.myProc == proc):
        proclock = proclock.hash_next
    return proclock


cdef void _remove_lock(LOCK *lock) noexcept nogil:
    cdef uint32_t bucket = lock.hashcode & (lock_table.nbuckets - 1)
    cdef LOCK *at = <LOCK *> lock_table.buckets[bucket]
    if at == lock:
        lock_table.buckets[bucket] = lock.hash_next
    else:
        while at.hash_next != lock:
            at = at.hash_next
        at.hash_next = lock.hash_next
    _give_entry(lock_table, lock.hashcode % NUM_LOCK_PARTITIONS, lock)


cdef void _remove_proclock(PROCLOCK *proclock) noexcept nogil:
    cdef uint32_t bucket = _proclock_bucket(proclock.myLock, proclock.myProc)
    cdef PROCLOCK *at = <PROCLOCK *> proclock_table.buckets[bucket]
    dlist_delete(&proclock.lockLink)
    dlist_delete(&proclock.procLink)
    if at == proclock:
        proclock_table.buckets[bucket] = proclock.hash_next
    else:
        while at.hash_next != proclock:
            at = at.hash_next
        at.hash_next = proclock.hash_next
    _give_entry(proclock_table, proclock.myLock.hashcode % NUM_LOCK_PARTITIONS, proclock)


cdef PROCLOCK *_setup_lock_in_table(PGPROC *proc, const LOCKTAG *tag, uint32_t hashcode, int mode) noexcept nogil:
    """Find or make the LOCK and the process's PROCLOCK and count the request; NULL: out of shared memory.

    The partition lock is held exclusively.
    """
    cdef uint32_t partition = hashcode % NUM_LOCK_PARTITIONS
    cdef LOCK *lock = _find_lock(tag, hashcode)
    cdef PROCLOCK *proclock
    cdef uint32_t bucket
    if lock == NULL:
        lock = <LOCK *> _take_entry(lock_table, partition)
        if lock == NULL:
            return NULL
        memset(lock, 0, sizeof(LOCK))
        lock.tag = tag[0]
        lock.hashcode = hashcode
        dlist_init(&lock.procLocks)
        dlist_init(&lock.waitProcs)
        bucket = hashcode & (lock_table.nbuckets - 1)
        lock.hash_next = <LOCK *> lock_table.buckets[bucket]
        lock_table.buckets[bucket] = lock
    proclock = _find_proclock(lock, proc)
    if proclock == NULL:
        proclock = <PROCLOCK *> _take_entry(proclock_table, partition)
        if proclock == NULL:
            if lock.nRequested == 0:
                _remove_lock(lock)
            return NULL
        proclock.myLock = lock
        proclock.myProc = proc
        # A member of a lock group is judged with its leader; the leader of others may change, its own cannot.
        proclock.groupLeader = proc.lockGroupLeader if proc.lockGroupLeader != NULL else proc
        proclock.holdMask = 0
        proclock.releaseMask = 0
        dlist_push_tail(&lock.procLocks, &proclock.lockLink)
        dlist_push_tail(&proc.myProcLocks[partition], &proclock.procLink)
        bucket = _proclock_bucket(lock, proc)
        proclock.hash_next = <PROCLOCK *> proclock_table.buckets[bucket]
        proclock_table.buckets[bucket] = proclock
    lock.nRequested += 1
    lock.requested[mode] += 1
    return proclock


cdef uint32_t *lock_conflicts(int method) noexcept nogil:
    return conflict_table


cdef void grant_lock(LOCK *lock, PROCLOCK *proclock, int mode) noexcept nogil:
    lock.nGranted += 1
    lock.granted[mode] += 1
    lock.grantMask |= <uint32_t> 1 << mode
    if lock.granted[mode] == lock.requested[mode]:
        lock.waitMask &= ~(<uint32_t> 1 << mode)
    proclock.holdMask |= <uint32_t> 1 << mode


cdef bint _ungrant_lock(LOCK *lock, PROCLOCK *proclock, int mode) noexcept nogil:
    """Take a grant back; True if a waiter may now be able to go on."""
    lock.nRequested -= 1
    lock.requested[mode] -= 1
    lock.nGranted -= 1
    lock.granted[mode] -= 1
    if lock.granted[mode] == 0:
        lock.grantMask &= ~(<uint32_t> 1 << mode)
    proclock.holdMask &= ~(<uint32_t> 1 << mode)
    return conflict_table[mode] & lock.waitMask != 0


cdef void _clean_up_lock(LOCK *lock, PROCLOCK *proclock, bint wakeup_needed) noexcept nogil:
    """Remove what nobody needs any more, wake who can go on."""
    if proclock.holdMask == 0:
        _remove_proclock(proclock)
    if lock.nRequested == 0:
        _remove_lock(lock)
    elif wakeup_needed:
        proc_lock_wakeup(lock)


cdef bint lock_check_conflicts(int mode, LOCK *lock, PROCLOCK *proclock) noexcept nogil:
    """Whether somebody else (outside the lock group) holds what conflicts with ``mode``."""
    cdef uint32_t conflicts = conflict_table[mode]
    cdef int remaining[10]
    cdef int i, total = 0
    cdef dlist_node *node
    cdef PROCLOCK *other
    if not conflicts & lock.grantMask:
        return False
    for i in range(1, MaxLockMode + 1):
        remaining[i] = 0
        if conflicts & (<uint32_t> 1 << i):
            remaining[i] = lock.granted[i]
            if proclock.holdMask & (<uint32_t> 1 << i):
                remaining[i] -= 1
            total += remaining[i]
    if total == 0:
        return False
    if proclock.groupLeader == proclock.myProc and proclock.myProc.lockGroupLeader == NULL:
        return True
    # Extension locks conflict even within a group: they guard the length of a file, not a transaction.
    if lock.tag.locktag_type == LOCKTAG_RELATION_EXTEND:
        return True
    node = dlist_first(&lock.procLocks)
    while node != NULL:
        other = <PROCLOCK *> node
        if other != proclock and other.groupLeader == proclock.groupLeader:
            for i in range(1, MaxLockMode + 1):
                if other.holdMask & conflicts & (<uint32_t> 1 << i):
                    total -= 1
            if total == 0:
                return False
        node = dlist_next(&lock.procLocks, node)
    return True


cdef inline PGPROC *_next_waiter(LOCK *lock, PGPROC *proc) noexcept nogil:
    # PGPROC.links is its first member.
    if proc == NULL:
        return <PGPROC *> dlist_first(&lock.waitProcs)
    return <PGPROC *> dlist_next(&lock.waitProcs, &proc.links)


cdef void _proc_wakeup(PGPROC *proc, int status) noexcept nogil:
    dlist_delete(&proc.links)
    proc.waitLock = NULL
    proc.waitProcLock = NULL
    proc.waitStart = 0
    (<volatile int32_t *> &proc.waitStatus)[0] = status
    set_latch(proc.procno)


cdef void proc_lock_wakeup(LOCK *lock) noexcept nogil:
    """Grant to everyone in the queue who conflicts with no holder and no earlier waiter."""
    cdef uint32_t ahead = 0
    cdef PGPROC *proc = _next_waiter(lock, NULL)
    cdef PGPROC *following
    cdef int mode
    while proc != NULL:
        following = _next_waiter(lock, proc)
        mode = proc.waitLockMode
        if not conflict_table[mode] & ahead and not lock_check_conflicts(mode, lock, <PROCLOCK *> proc.waitProcLock):
            grant_lock(lock, <PROCLOCK *> proc.waitProcLock, mode)
            _proc_wakeup(proc, PROC_WAIT_STATUS_OK)
        else:
            ahead |= <uint32_t> 1 << mode
        proc = following


cdef void _remove_from_wait_queue(PGPROC *proc) noexcept nogil:
    """Give up waiting; the partition lock is held exclusively."""
    cdef LOCK *lock = <LOCK *> proc.waitLock
    cdef PROCLOCK *proclock = <PROCLOCK *> proc.waitProcLock
    cdef int mode = proc.waitLockMode
    dlist_delete(&proc.links)
    lock.nRequested -= 1
    lock.requested[mode] -= 1
    if lock.granted[mode] == lock.requested[mode]:
        lock.waitMask &= ~(<uint32_t> 1 << mode)
    proc.waitLock = NULL
    proc.waitProcLock = NULL
    proc.waitStart = 0
    proc.waitStatus = PROC_WAIT_STATUS_ERROR
    _clean_up_lock(lock, proclock, True)


# Private table.

cdef inline LOCALLOCK *_find_local(const LOCKTAG *tag, int mode, uint32_t hashcode) noexcept nogil:
    cdef LOCALLOCK *local = local_buckets[(hashcode + mode) & (n_local_buckets - 1)]
    while local != NULL and not (local.hashcode == hashcode and local.mode == mode and _same_tag(&local.tag, tag)):
        local = local.hash_next
    return local


cdef int _grow_local() except -1:
    global local_buckets, n_local_buckets
    cdef uint32_t n = n_local_buckets * 2
    cdef LOCALLOCK **buckets = <LOCALLOCK **> calloc(n, sizeof(void *))
    cdef LOCALLOCK *local = local_list.next
    cdef uint32_t bucket
    if buckets == NULL:
        raise MemoryError
    while local != &local_list:
        bucket = (local.hashcode + local.mode) & (n - 1)
        local.hash_next = buckets[bucket]
        buckets[bucket] = local
        local = local.next
    free(local_buckets)
    local_buckets = buckets
    n_local_buckets = n
    return 0


cdef LOCALLOCK *_make_local(const LOCKTAG *tag, int mode, uint32_t hashcode) except NULL:
    global local_free, n_local
    cdef LOCALLOCK *local = local_free
    cdef uint32_t bucket
    if n_local > n_local_buckets:
        _grow_local()
    if local != NULL:
        local_free = local.hash_next
    else:
        local = <LOCALLOCK *> malloc(sizeof(LOCALLOCK))
        if local == NULL:
            raise MemoryError
    local.tag = tag[0]
    local.mode = mode
    local.hashcode = hashcode
    local.lock = NULL
    local.proclock = NULL
    local.nLocks = 0
    local.numOwners = 0
    local.maxOwners = 2
    local.owners = local.inline_owners
    local.holdsStrongLockCount = 0
    local.lockCleared = 0
    bucket = (hashcode + mode) & (n_local_buckets - 1)
    local.hash_next = local_buckets[bucket]
    local_buckets[bucket] = local
    local.prev = local_list.prev
    local.next = &local_list
    local_list.prev.next = local
    local_list.prev = local
    n_local += 1
    return local


cdef void _remove_local(LOCALLOCK *local) noexcept nogil:
    global local_free, n_local
    cdef uint32_t bucket = (local.hashcode + local.mode) & (n_local_buckets - 1)
    cdef LOCALLOCK *at = local_buckets[bucket]
    cdef uint32_t fast
    if at == local:
        local_buckets[bucket] = local.hash_next
    else:
        while at.hash_next != local:
            at = at.hash_next
        at.hash_next = local.hash_next
    local.prev.next = local.next
    local.next.prev = local.prev
    if local.owners != local.inline_owners:
        free(local.owners)
    if local.holdsStrongLockCount:
        fast = local.hashcode % FAST_PATH_STRONG_PARTITIONS
        spin_lock(&strong_locks.mutex)
        strong_locks.count[fast] -= 1
        spin_unlock(&strong_locks.mutex)
    n_local -= 1
    local.hash_next = local_free
    local_free = local


def _forget_local():
    """Shared memory was made anew."""
    global StrongLockInProgress, awaitedLock
    while local_list.next != &local_list:
        local_list.next.holdsStrongLockCount = 0
        _remove_local(local_list.next)
    memset(fast_path_use, 0, sizeof(fast_path_use))
    StrongLockInProgress = NULL
    awaitedLock = NULL


cdef int _grant_local(LOCALLOCK *local, uint32_t owner) except -1:
    cdef int i
    cdef LockOwner *bigger
    local.nLocks += 1
    for i in range(local.numOwners):
        if local.owners[i].owner == owner:
            local.owners[i].nLocks += 1
            return 0
    if local.numOwners >= local.maxOwners:
        bigger = <LockOwner *> malloc(2 * local.maxOwners * sizeof(LockOwner))
        if bigger == NULL:
            local.nLocks -= 1
            raise MemoryError
        for i in range(local.numOwners):
            bigger[i] = local.owners[i]
        if local.owners != local.inline_owners:
            free(local.owners)
        local.owners = bigger
        local.maxOwners *= 2
    local.owners[local.numOwners].owner = owner
    local.owners[local.numOwners].nLocks = 1
    local.numOwners += 1
    return 0


# The fast path.

cdef inline int _fast_path_group(Oid rel) noexcept nogil:
    return <int> ((<uint64_t> rel * 49157) & (<uint64_t> FastPathLockGroupsPerBackend - 1))


cdef inline uint32_t _fast_path_bits(PGPROC *proc, int slot) noexcept nogil:
    return <uint32_t> (proc.fpLockBits[slot // FP_LOCK_SLOTS_PER_GROUP] >> (3 * (slot % FP_LOCK_SLOTS_PER_GROUP))) & 7


cdef inline void _fast_path_set(PGPROC *proc, int slot, int mode) noexcept nogil:
    proc.fpLockBits[slot // FP_LOCK_SLOTS_PER_GROUP] |= <uint64_t> 1 << (3 * (slot % FP_LOCK_SLOTS_PER_GROUP) + mode - 1)


cdef inline void _fast_path_clear(PGPROC *proc, int slot, int mode) noexcept nogil:
    proc.fpLockBits[slot // FP_LOCK_SLOTS_PER_GROUP] &= ~(
        <uint64_t> 1 << (3 * (slot % FP_LOCK_SLOTS_PER_GROUP) + mode - 1))


cdef inline bint _eligible_for_fast_path(const LOCKTAG *tag, int mode) noexcept nogil:
    return (tag.locktag_lockmethodid == DEFAULT_LOCKMETHOD and tag.locktag_type == LOCKTAG_RELATION
            and tag.locktag_field1 == MyDatabaseId and MyDatabaseId != 0 and mode < ShareUpdateExclusiveLock)


cdef inline bint _conflicts_with_fast_path(const LOCKTAG *tag, int mode) noexcept nogil:
    return (tag.locktag_lockmethodid == DEFAULT_LOCKMETHOD and tag.locktag_type == LOCKTAG_RELATION
            and tag.locktag_field1 != 0 and mode > ShareUpdateExclusiveLock)


cdef bint _fast_path_grant(Oid rel, int mode) noexcept nogil:
    """With this process's fpInfoLock held: note the lock; False if the group is full."""
    cdef int first = _fast_path_group(rel) * FP_LOCK_SLOTS_PER_GROUP
    cdef int i, unused = -1
    for i in range(first, first + FP_LOCK_SLOTS_PER_GROUP):
        if _fast_path_bits(MyProc, i) == 0:
            unused = i
        elif MyProc.fpRelId[i] == rel:
            _fast_path_set(MyProc, i, mode)
            return True
    if unused < 0:
        return False
    MyProc.fpRelId[unused] = rel
    _fast_path_set(MyProc, unused, mode)
    fast_path_use[first // FP_LOCK_SLOTS_PER_GROUP] += 1
    return True


cdef bint _fast_path_ungrant(Oid rel, int mode) noexcept nogil:
    """With fpInfoLock held: forget the lock; False if it is not there (it was moved to the shared table)."""
    cdef int group = _fast_path_group(rel)
    cdef int first = group * FP_LOCK_SLOTS_PER_GROUP
    cdef int i, use = 0
    cdef bint found = False
    for i in range(first, first + FP_LOCK_SLOTS_PER_GROUP):
        if MyProc.fpRelId[i] == rel and _fast_path_bits(MyProc, i) & (1 << (mode - 1)):
            _fast_path_clear(MyProc, i, mode)
            found = True
        if _fast_path_bits(MyProc, i) != 0:
            use += 1
    fast_path_use[group] = use
    return found


cdef bint _fast_path_transfer(const LOCKTAG *tag, uint32_t hashcode) noexcept:
    """Move every process's weak locks on the relation to the shared table; False: out of shared memory."""
    cdef LWLock *partition_lock = lock_manager_lock(hashcode)
    cdef Oid rel = tag.locktag_field2
    cdef int group = _fast_path_group(rel)
    cdef int first = group * FP_LOCK_SLOTS_PER_GROUP
    cdef int i, slot, mode
    cdef PGPROC *proc
    cdef PROCLOCK *proclock
    cdef bint ok = True
    try:
        for i in range(proc_count()):
            proc = proc_by_number(i)
            lwlock_acquire(&proc.fpInfoLock, LW_EXCLUSIVE)
            # A process of another database cannot hold it; one without a database takes no fast-path locks.
            if proc.databaseId != tag.locktag_field1 or proc.fpLockBits[group] == 0:
                lwlock_release(&proc.fpInfoLock)
                continue
            for slot in range(first, first + FP_LOCK_SLOTS_PER_GROUP):
                if proc.fpRelId[slot] != rel or _fast_path_bits(proc, slot) == 0:
                    continue
                lwlock_acquire(partition_lock, LW_EXCLUSIVE)
                for mode in range(1, 4):
                    if not _fast_path_bits(proc, slot) & (1 << (mode - 1)):
                        continue
                    proclock = _setup_lock_in_table(proc, tag, hashcode, mode)
                    if proclock == NULL:
                        ok = False
                        break
                    grant_lock(proclock.myLock, proclock, mode)
                    _fast_path_clear(proc, slot, mode)
                lwlock_release(partition_lock)
                break
            lwlock_release(&proc.fpInfoLock)
            if not ok:
                return False
    except BaseException:
        return False
    return True


cdef void _begin_strong(LOCALLOCK *local) noexcept nogil:
    global StrongLockInProgress
    spin_lock(&strong_locks.mutex)
    strong_locks.count[local.hashcode % FAST_PATH_STRONG_PARTITIONS] += 1
    local.holdsStrongLockCount = 1
    StrongLockInProgress = local
    spin_unlock(&strong_locks.mutex)


cdef void _abort_strong() noexcept nogil:
    global StrongLockInProgress
    cdef LOCALLOCK *local = StrongLockInProgress
    if local == NULL:
        return
    spin_lock(&strong_locks.mutex)
    strong_locks.count[local.hashcode % FAST_PATH_STRONG_PARTITIONS] -= 1
    local.holdsStrongLockCount = 0
    StrongLockInProgress = NULL
    spin_unlock(&strong_locks.mutex)


cdef _out_of_shared_memory():
    return SqlError(errcode.OUT_OF_MEMORY, "out of shared memory",
                    hint='You might need to increase "max_locks_per_transaction".')


cdef _not_owned(int mode):
    report(Severity.WARNING, f"you don't own a lock of type {MODE_NAMES[mode]}")


# Acquiring.

cdef inline uint32_t _owner(bint session) noexcept nogil:
    if session or CurrentTransactionState.subTransactionId == 0:
        return SESSION_OWNER
    return CurrentTransactionState.subTransactionId


cdef int lock_acquire(const LOCKTAG *tag, int mode, bint session, bint dont_wait) except -1:
    """Take a lock, waiting for it unless ``dont_wait``; returns a LOCKACQUIRE_*.

    ``session``: it outlives the transaction. 40P01 on deadlock, 55P03 after lock_timeout, 53200 when the table is full.
    """
    global StrongLockInProgress
    cdef uint32_t hashcode = _hash_tag(tag)
    cdef uint32_t owner = _owner(session)
    cdef LOCALLOCK *local
    cdef PROCLOCK *proclock
    cdef LOCK *lock
    cdef LWLock *partition_lock
    cdef bint log_lock = False, granted
    cdef int status
    if mode <= 0 or mode > MaxLockMode:
        raise SqlError(errcode.INTERNAL_ERROR, f"unrecognized lock mode: {mode}")
    local = _find_local(tag, mode, hashcode)
    if local == NULL:
        if recovery_in_progress() and mode > RowExclusiveLock and (
                tag.locktag_type == LOCKTAG_OBJECT or tag.locktag_type == LOCKTAG_RELATION) \
                and _state.IsUnderPostmaster:
            raise SqlError(
                errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                f"cannot acquire lock mode {MODE_NAMES[mode]} on database objects while recovery is in progress",
                hint="Only RowExclusiveLock or less can be acquired on database objects during recovery.",
            )
        local = _make_local(tag, mode, hashcode)
    if local.nLocks > 0:
        _grant_local(local, owner)
        return LOCKACQUIRE_ALREADY_CLEAR if local.lockCleared else LOCKACQUIRE_ALREADY_HELD

    if _eligible_for_fast_path(tag, mode):
        if fast_path_use[_fast_path_group(tag.locktag_field2)] < FP_LOCK_SLOTS_PER_GROUP:
            lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
            # Seen under fpInfoLock: a taker of a strong lock raises the count before it comes for this LWLock.
            if strong_locks.count[hashcode % FAST_PATH_STRONG_PARTITIONS] != 0:
                granted = False
            else:
                granted = _fast_path_grant(tag.locktag_field2, mode)
            lwlock_release(&MyProc.fpInfoLock)
            if granted:
                local.lock = NULL
                local.proclock = NULL
                _grant_local(local, owner)
                return LOCKACQUIRE_OK
    elif mode >= AccessExclusiveLock and tag.locktag_type == LOCKTAG_RELATION \
            and not recovery_in_progress() and xlog_standby_info_active() and assign_xid_hook != NULL:
        # A standby must take this lock too, on behalf of this transaction's id.
        try:
            assign_xid_hook()
        except BaseException:
            if local.nLocks == 0:
                _remove_local(local)
            raise
        log_lock = True
    if _conflicts_with_fast_path(tag, mode):
        _begin_strong(local)
        if not _fast_path_transfer(tag, hashcode):
            _abort_strong()
            if local.nLocks == 0:
                _remove_local(local)
            raise _out_of_shared_memory()

    partition_lock = lock_manager_lock(hashcode)
    lwlock_acquire(partition_lock, LW_EXCLUSIVE)
    proclock = _setup_lock_in_table(MyProc, tag, hashcode, mode)
    if proclock == NULL:
        _abort_strong()
        lwlock_release(partition_lock)
        if local.nLocks == 0:
            _remove_local(local)
        raise _out_of_shared_memory()
    local.proclock = proclock
    lock = proclock.myLock
    local.lock = lock
    # Whoever waits already for what conflicts comes first, even if the holders would let us in.
    if conflict_table[mode] & lock.waitMask or lock_check_conflicts(mode, lock, proclock):
        status = _join_wait_queue(local, lock, proclock, dont_wait)
    else:
        grant_lock(lock, proclock, mode)
        status = PROC_WAIT_STATUS_OK
    if status == PROC_WAIT_STATUS_ERROR:
        _abort_strong()
        lock.nRequested -= 1
        lock.requested[mode] -= 1
        _clean_up_lock(lock, proclock, False)
        lwlock_release(partition_lock)
        if local.nLocks == 0:
            _remove_local(local)
        if dont_wait:
            return LOCKACQUIRE_NOT_AVAIL
        _deadlock.report_deadlock()
    lwlock_release(partition_lock)
    if status == PROC_WAIT_STATUS_WAITING:
        _wait_on_lock(local, owner)
    else:
        _grant_local(local, owner)
    StrongLockInProgress = NULL
    if log_lock:
        _log_access_exclusive_lock(tag.locktag_field1, tag.locktag_field2)
    return LOCKACQUIRE_OK


cdef int _join_wait_queue(LOCALLOCK *local, LOCK *lock, PROCLOCK *proclock, bint dont_wait) except -1:
    """Enter the queue; OK if the lock can be had after all, ERROR if waiting is not wanted or could never end."""
    cdef int mode = local.mode
    cdef uint32_t held = proclock.holdMask
    cdef uint32_t ahead = 0
    cdef dlist_node *node
    cdef PGPROC *proc
    cdef PGPROC *insert_before = NULL
    if proclock.groupLeader != MyProc or MyProc.lockGroupLeader != NULL:
        node = dlist_first(&lock.procLocks)
        while node != NULL:
            if (<PROCLOCK *> node).groupLeader == proclock.groupLeader:
                held |= (<PROCLOCK *> node).holdMask
            node = dlist_next(&lock.procLocks, node)
    if held != 0:
        # Holding something already, one must get in before those who wait for just that.
        proc = _next_waiter(lock, NULL)
        while proc != NULL:
            if MyProc.lockGroupLeader != NULL and MyProc.lockGroupLeader == proc.lockGroupLeader:
                proc = _next_waiter(lock, proc)
                continue
            if conflict_table[proc.waitLockMode] & held:
                if conflict_table[mode] & proc.heldLocks:
                    _deadlock.remember_simple(MyProc.procno, mode, _tag_tuple(&lock.tag), proc.procno, proc.waitLockMode)
                    return PROC_WAIT_STATUS_ERROR
                if not conflict_table[mode] & ahead and not lock_check_conflicts(mode, lock, proclock):
                    grant_lock(lock, proclock, mode)
                    return PROC_WAIT_STATUS_OK
                insert_before = proc
                break
            ahead |= <uint32_t> 1 << proc.waitLockMode
            proc = _next_waiter(lock, proc)
    if dont_wait:
        return PROC_WAIT_STATUS_ERROR
    if insert_before != NULL:
        dlist_insert_before(&insert_before.links, &MyProc.links)
    else:
        dlist_push_tail(&lock.waitProcs, &MyProc.links)
    lock.waitMask |= <uint32_t> 1 << mode
    MyProc.heldLocks = proclock.holdMask
    MyProc.waitLock = lock
    MyProc.waitProcLock = proclock
    MyProc.waitLockMode = mode
    MyProc.waitStatus = PROC_WAIT_STATUS_WAITING
    return PROC_WAIT_STATUS_WAITING


cdef int _wait_on_lock(LOCALLOCK *local, uint32_t owner) except -1:
    """Sleep until granted; leaves the queue when interrupted. Grants locally."""
    global awaitedLock, awaitedOwner
    cdef int status
    awaitedLock = local
    awaitedOwner = owner
    try:
        status = _proc_sleep(local)
    except BaseException:
        lock_error_cleanup()
        raise
    awaitedLock = NULL
    if status != PROC_WAIT_STATUS_OK:
        _abort_strong()
        if local.nLocks == 0:
            _remove_local(local)
        _deadlock.report_deadlock()
    return _grant_local(local, owner)


cdef inline int _status() noexcept nogil:
    return (<volatile int32_t *> &MyProc.waitStatus)[0]


cdef int _proc_sleep(LOCALLOCK *local) except -1:
    """Wait on the latch until somebody sets waitStatus; look for deadlock after deadlock_timeout (ProcSleep)."""
    cdef int64_t started = get_current_timestamp()
    cdef int64_t now, deadlock_at, timeout_at, until
    cdef bint checked = False
    cdef long wait_ms
    cdef int deadlock_state = 0
    cdef int64_t lock_timeout_ms = settings.lock_timeout
    cdef bint log_waits = settings.log_lock_waits
    deadlock_at = started + <int64_t> settings.deadlock_timeout * 1000
    timeout_at = started + lock_timeout_ms * 1000 if lock_timeout_ms > 0 else 0
    MyProc.waitStart = <uint64_t> started
    while _status() == PROC_WAIT_STATUS_WAITING:
        now = get_current_timestamp()
        until = 0
        if not checked:
            until = deadlock_at
        if timeout_at != 0 and (until == 0 or timeout_at < until):
            until = timeout_at
        wait_ms = -1
        if until != 0:
            wait_ms = <long> max(<int64_t> 0, (until - now + 999) // 1000)
        wait_latch(wait_ms, PG_WAIT_LOCK | local.tag.locktag_type)
        reset_latch()
        if _status() != PROC_WAIT_STATUS_WAITING:
            break
        now = get_current_timestamp()
        if not checked and now >= deadlock_at:
            checked = True
            deadlock_state = _check_deadlock()
            if blocking_autovacuum and deadlock_state != DS_HARD_DEADLOCK:
                _cancel_autovacuum(local)
            if log_waits:
                _log_wait(local, deadlock_state, (now - started) / 1000.0, False)
        check_for_interrupts()
        if timeout_at != 0 and now >= timeout_at and _status() == PROC_WAIT_STATUS_WAITING:
            raise SqlError(errcode.LOCK_NOT_AVAILABLE, "canceling statement due to lock timeout")
    if log_waits and checked and _status() == PROC_WAIT_STATUS_OK:
        _log_wait(local, deadlock_state, (get_current_timestamp() - started) / 1000.0, True)
    return _status()


cdef int _lock_all_partitions(int mode) except -1:
    cdef int i
    for i in range(NUM_LOCK_PARTITIONS):
        lwlock_acquire(lock_manager_lock(i), mode)
    return 0


cdef int _unlock_all_partitions() except -1:
    cdef int i
    for i in range(NUM_LOCK_PARTITIONS - 1, -1, -1):
        lwlock_release(lock_manager_lock(i))
    return 0


cdef int blocking_autovacuum = 0        # found by _check_deadlock: the pid of a worker that may be sent away


cdef int _find_autovacuum() noexcept nogil:
    """An autovacuum worker that holds what this process waits for, unless it works against wraparound."""
    cdef LOCK *lock = <LOCK *> MyProc.waitLock
    cdef dlist_node *node = dlist_first(&lock.procLocks)
    cdef PROCLOCK *proclock
    cdef uint32_t conflicts = lock_conflicts(lock.tag.locktag_lockmethodid)[MyProc.waitLockMode]
    while node != NULL:
        proclock = <PROCLOCK *> node
        if proclock.myProc != MyProc and proclock.holdMask & conflicts and \
                proclock.myProc.statusFlags & (PROC_IS_AUTOVACUUM | PROC_VACUUM_FOR_WRAPAROUND) == PROC_IS_AUTOVACUUM:
            return proclock.myProc.pid
        node = dlist_next(&lock.procLocks, node)
    return 0


cdef int _cancel_autovacuum(LOCALLOCK *local) except -1:
    """Have the worker that is in the way give up its table; it will come back to it."""
    global blocking_autovacuum
    pid = blocking_autovacuum
    blocking_autovacuum = 0
    report(
        Severity.DEBUG1, f"sending cancel to blocking autovacuum PID {pid}",
        detail=f"Process {MyProc.pid} waits for {MODE_NAMES[local.mode]} on {describe_tag(_tag_tuple(&local.tag))}.",
    )
    try:
        os.kill(pid, signal.SIGINT)
    except ProcessLookupError:
        return 0
    return 0


cdef int _check_deadlock() except -1:
    """Search with all partitions locked; on a hard deadlock this process leaves its queue."""
    cdef int state = 0
    global blocking_autovacuum
    blocking_autovacuum = 0
    _lock_all_partitions(LW_EXCLUSIVE)
    try:
        if not dlist_node_is_detached(&MyProc.links) and MyProc.waitLock != NULL:
            state = dead_lock_check(MyProc)
            blocking_autovacuum = _find_autovacuum()
            if state == DS_HARD_DEADLOCK:
                _remove_from_wait_queue(MyProc)
            elif state == DS_SOFT_DEADLOCK:
                for address in rearranged_locks:
                    proc_lock_wakeup(<LOCK *> <size_t> address)
    finally:
        _unlock_all_partitions()
    return state


cdef int _log_wait(LOCALLOCK *local, int state, double ms, bint acquired) except -1:
    """log_lock_waits: who waits how long, for whom, behind whom."""
    cdef LWLock *partition_lock = lock_manager_lock(local.hashcode)
    cdef LOCK *lock
    cdef dlist_node *node
    cdef PGPROC *proc
    what = f"{MODE_NAMES[local.mode]} on {describe_tag(_tag_tuple(&local.tag))}"
    if acquired:
        report(Severity.LOG, f"process {MyProc.pid} acquired {what} after {ms:.3f} ms")
        return 0
    holders = []
    waiters = []
    lwlock_acquire(partition_lock, LW_SHARED)
    lock = _find_lock(&local.tag, local.hashcode)
    if lock != NULL:
        node = dlist_first(&lock.procLocks)
        while node != NULL:
            proc = (<PROCLOCK *> node).myProc
            (waiters if proc.waitLock == lock else holders).append(proc.pid)
            node = dlist_next(&lock.procLocks, node)
        waiters = []
        proc = _next_waiter(lock, NULL)
        while proc != NULL:
            waiters.append(proc.pid)
            proc = _next_waiter(lock, proc)
    lwlock_release(partition_lock)
    detail = (f"Process{'es' if len(holders) != 1 else ''} holding the lock: {', '.join(map(str, holders))}. "
              f"Wait queue: {', '.join(map(str, waiters))}.")
    if state == DS_SOFT_DEADLOCK:
        message = f"process {MyProc.pid} avoided deadlock for {what} by rearranging queue order after {ms:.3f} ms"
    elif state == DS_HARD_DEADLOCK:
        message = f"process {MyProc.pid} detected deadlock while waiting for {what} after {ms:.3f} ms"
    else:
        message = f"process {MyProc.pid} still waiting for {what} after {ms:.3f} ms"
    report(Severity.LOG, message, detail=detail)
    return 0


cdef int lock_error_cleanup() except -1:
    """After an error: stop waiting for a lock; one granted in the meantime is noted, to be released with the rest."""
    global awaitedLock
    cdef LOCALLOCK *local = awaitedLock
    cdef LWLock *partition_lock
    _abort_strong()
    if local == NULL:
        return 0
    awaitedLock = NULL
    partition_lock = lock_manager_lock(local.hashcode)
    lwlock_acquire(partition_lock, LW_EXCLUSIVE)
    if MyProc.waitLock != NULL and not dlist_node_is_detached(&MyProc.links):
        _remove_from_wait_queue(MyProc)
        lwlock_release(partition_lock)
    elif MyProc.waitStatus == PROC_WAIT_STATUS_OK:
        lwlock_release(partition_lock)
        _grant_local(local, awaitedOwner)
        return 0
    else:
        lwlock_release(partition_lock)
    if local.nLocks == 0:
        _remove_local(local)
    return 0


cdef packed struct xl_standby_lock:
    int32_t nlocks
    TransactionId xid
    Oid dbOid
    Oid relOid


cdef int _log_access_exclusive_lock(Oid db, Oid rel) except -1:
    cdef xl_standby_lock rec
    rec.nlocks = 1
    rec.xid = assign_xid_hook()
    rec.dbOid = db
    rec.relOid = rel
    xlog_begin_insert()
    xlog_register_data(&rec, sizeof(rec))
    xlog_set_record_flags(XLOG_MARK_UNIMPORTANT)
    xlog_insert(RM_STANDBY_ID, XLOG_STANDBY_LOCK)
    _state.MyXactFlags |= 2             # XACT_FLAGS_ACQUIREDACCESSEXCLUSIVELOCK
    return 0


# Releasing.

cdef int _release_shared(LOCALLOCK *local) except -1:
    """Take back one mode of this process in the shared table and forget the local entry."""
    cdef LWLock *partition_lock = lock_manager_lock(local.hashcode)
    cdef LOCK *lock
    cdef PROCLOCK *proclock = NULL
    cdef bint wakeup
    lwlock_acquire(partition_lock, LW_EXCLUSIVE)
    if local.lock == NULL:
        # Taken by the fast path and moved here by somebody who wanted a strong lock.
        lock = _find_lock(&local.tag, local.hashcode)
        if lock != NULL:
            proclock = _find_proclock(lock, MyProc)
    else:
        lock = local.lock
        proclock = local.proclock
    if proclock == NULL or not proclock.holdMask & (<uint32_t> 1 << local.mode):
        lwlock_release(partition_lock)
        _not_owned(local.mode)
        _remove_local(local)
        return 0
    wakeup = _ungrant_lock(lock, proclock, local.mode)
    _clean_up_lock(lock, proclock, wakeup)
    lwlock_release(partition_lock)
    _remove_local(local)
    return 1


cdef int lock_release(const LOCKTAG *tag, int mode, bint session) except -1:
    """Give back one hold; 0 with a warning if there is none."""
    cdef uint32_t hashcode = _hash_tag(tag)
    cdef uint32_t owner = _owner(session)
    cdef LOCALLOCK *local = _find_local(tag, mode, hashcode)
    cdef int i
    cdef bint released
    if local == NULL or local.nLocks <= 0:
        _not_owned(mode)
        return 0
    for i in range(local.numOwners - 1, -1, -1):
        if local.owners[i].owner == owner:
            break
    else:
        # A lock taken in an outer subtransaction may be given back in an inner one.
        i = -1
        if not session:
            for i in range(local.numOwners - 1, -1, -1):
                if local.owners[i].owner != SESSION_OWNER:
                    break
            else:
                i = -1
        if i < 0:
            _not_owned(mode)
            return 0
    local.owners[i].nLocks -= 1
    if local.owners[i].nLocks == 0:
        local.numOwners -= 1
        if i < local.numOwners:
            local.owners[i] = local.owners[local.numOwners]
    local.nLocks -= 1
    if local.nLocks > 0:
        return 1
    local.lockCleared = 0
    if _eligible_for_fast_path(tag, mode) and fast_path_use[_fast_path_group(tag.locktag_field2)] > 0:
        lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
        released = _fast_path_ungrant(tag.locktag_field2, mode)
        lwlock_release(&MyProc.fpInfoLock)
        if released:
            _remove_local(local)
            return 1
    return _release_shared(local)


cdef int lock_release_all(int method, bint all_locks) except -1:
    """End of a transaction: release its locks of a method; ``all_locks``: the session's too."""
    cdef LOCALLOCK *local
    cdef LOCALLOCK *following
    cdef bint have_fp_lock = False, shared_too = False
    cdef int i, partition, mode
    cdef int64_t session_count
    cdef LWLock *partition_lock
    cdef dlist_node *node
    cdef dlist_node *next_node
    cdef PROCLOCK *proclock
    cdef LOCK *lock
    cdef bint wakeup
    if method == DEFAULT_LOCKMETHOD:
        virtual_xact_lock_table_cleanup()
    local = local_list.next
    while local != &local_list:
        following = local.next
        if local.nLocks == 0:
            # Left by an acquisition that failed.
            _remove_local(local)
            local = following
            continue
        if local.tag.locktag_lockmethodid != method:
            local = following
            continue
        if not all_locks:
            session_count = 0
            for i in range(local.numOwners):
                if local.owners[i].owner == SESSION_OWNER:
                    session_count = local.owners[i].nLocks
            if session_count > 0:
                local.owners[0].owner = SESSION_OWNER
                local.owners[0].nLocks = session_count
                local.numOwners = 1
                local.nLocks = session_count
                local = following
                continue
        if local.proclock == NULL:
            if not have_fp_lock:
                lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
                have_fp_lock = True
            if _fast_path_ungrant(local.tag.locktag_field2, local.mode):
                _remove_local(local)
                local = following
                continue
            lwlock_release(&MyProc.fpInfoLock)
            have_fp_lock = False
            _release_shared(local)
            local = following
            continue
        local.proclock.releaseMask |= <uint32_t> 1 << local.mode
        shared_too = True
        _remove_local(local)
        local = following
    if have_fp_lock:
        lwlock_release(&MyProc.fpInfoLock)
    if not shared_too:
        return 0
    for partition in range(NUM_LOCK_PARTITIONS):
        if dlist_is_empty(&MyProc.myProcLocks[partition]):
            continue
        partition_lock = lock_manager_lock(partition)
        lwlock_acquire(partition_lock, LW_EXCLUSIVE)
        node = dlist_first(&MyProc.myProcLocks[partition])
        while node != NULL:
            next_node = dlist_next(&MyProc.myProcLocks[partition], node)
            proclock = proclock_of_proc_link(node)
            lock = proclock.myLock
            if proclock.releaseMask != 0 and lock.tag.locktag_lockmethodid == method:
                wakeup = False
                for mode in range(1, MaxLockMode + 1):
                    if proclock.releaseMask & (<uint32_t> 1 << mode):
                        if _ungrant_lock(lock, proclock, mode):
                            wakeup = True
                proclock.releaseMask = 0
                _clean_up_lock(lock, proclock, wakeup)
            node = next_node
        lwlock_release(partition_lock)
    return 0


cdef int lock_release_session(int method) except -1:
    """Give back every session lock of a method (pg_advisory_unlock_all)."""
    return _release_by_owner(SESSION_OWNER, method)


cdef int lock_release_owner(uint32_t subxid) except -1:
    """An aborted subtransaction: release the locks that it alone took."""
    return _release_by_owner(subxid, 0)


cdef int _release_by_owner(uint32_t owner, int method) except -1:
    cdef LOCALLOCK *local = local_list.next
    cdef LOCALLOCK *following
    cdef int i
    cdef bint released
    while local != &local_list:
        following = local.next
        if method == 0 or local.tag.locktag_lockmethodid == method:
            for i in range(local.numOwners - 1, -1, -1):
                if local.owners[i].owner != owner:
                    continue
                local.nLocks -= local.owners[i].nLocks
                local.numOwners -= 1
                if i < local.numOwners:
                    local.owners[i] = local.owners[local.numOwners]
                if local.nLocks == 0:
                    released = False
                    if local.proclock == NULL:
                        lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
                        released = _fast_path_ungrant(local.tag.locktag_field2, local.mode)
                        lwlock_release(&MyProc.fpInfoLock)
                    if released:
                        _remove_local(local)
                    else:
                        _release_shared(local)
                break
        local = following
    return 0


cdef int lock_reassign_owner(uint32_t subxid, uint32_t parent) except -1:
    """A committed subtransaction: its locks are its parent's."""
    cdef LOCALLOCK *local = local_list.next
    cdef int i, mine, parents
    while local != &local_list:
        mine = parents = -1
        for i in range(local.numOwners):
            if local.owners[i].owner == subxid:
                mine = i
            elif local.owners[i].owner == parent:
                parents = i
        if mine >= 0:
            if parents < 0:
                local.owners[mine].owner = parent
            else:
                local.owners[parents].nLocks += local.owners[mine].nLocks
                local.numOwners -= 1
                if mine < local.numOwners:
                    local.owners[mine] = local.owners[local.numOwners]
        local = local.next
    return 0


cdef bint lock_held_by_me(const LOCKTAG *tag, int mode, bint or_stronger) noexcept nogil:
    cdef uint32_t hashcode = _hash_tag(tag)
    cdef LOCALLOCK *local
    while mode <= MaxLockMode:
        local = _find_local(tag, mode, hashcode)
        if local != NULL and local.nLocks > 0:
            return True
        if not or_stronger:
            return False
        mode += 1
    return False


cdef bint do_lock_modes_conflict(int mode1, int mode2) noexcept nogil:
    return conflict_table[mode1] & (<uint32_t> 1 << mode2) != 0


cdef bint lock_has_waiters(const LOCKTAG *tag, int mode) except -1:
    """Whether somebody waits for a lock that this process holds in ``mode``."""
    cdef uint32_t hashcode = _hash_tag(tag)
    cdef LOCALLOCK *local = _find_local(tag, mode, hashcode)
    cdef bint result = False
    if local == NULL or local.nLocks <= 0:
        _not_owned(mode)
        return False
    lwlock_acquire(lock_manager_lock(hashcode), LW_SHARED)
    if local.lock != NULL:
        result = conflict_table[mode] & local.lock.waitMask != 0
    lwlock_release(lock_manager_lock(hashcode))
    return result


# Virtual transactions: every transaction holds its own, normally just as a flag in its slot.

cdef int virtual_xact_lock_table_insert(uint32_t lxid) except -1 nogil:
    lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
    MyProc.fpVXIDLock = 1
    MyProc.fpLocalTransactionId = lxid
    lwlock_release(&MyProc.fpInfoLock)
    return 0


cdef int virtual_xact_lock_table_cleanup() except -1:
    """The transaction is over; a lock that somebody moved to the shared table for waiting goes too."""
    cdef bint fast
    cdef uint32_t lxid, hashcode
    cdef LOCKTAG tag
    cdef LOCK *lock
    cdef PROCLOCK *proclock
    cdef bint wakeup
    lwlock_acquire(&MyProc.fpInfoLock, LW_EXCLUSIVE)
    fast = MyProc.fpVXIDLock
    lxid = MyProc.fpLocalTransactionId
    MyProc.fpVXIDLock = 0
    MyProc.fpLocalTransactionId = 0
    lwlock_release(&MyProc.fpInfoLock)
    if fast or lxid == 0:
        return 0
    tag = make_locktag(<uint32_t> MyProc.procno, lxid, 0, 0, LOCKTAG_VIRTUALTRANSACTION, DEFAULT_LOCKMETHOD)
    hashcode = _hash_tag(&tag)
    lwlock_acquire(lock_manager_lock(hashcode), LW_EXCLUSIVE)
    lock = _find_lock(&tag, hashcode)
    proclock = _find_proclock(lock, MyProc) if lock != NULL else NULL
    if proclock != NULL:
        wakeup = _ungrant_lock(lock, proclock, ExclusiveLock)
        _clean_up_lock(lock, proclock, wakeup)
    lwlock_release(lock_manager_lock(hashcode))
    return 0


cdef int virtual_xact_lock(int procno, uint32_t lxid, bint wait) except -1:
    """Wait for a virtual transaction to end; without ``wait``, 1 if it has ended and 0 if not."""
    cdef PGPROC *proc = proc_by_number(procno)
    cdef LOCKTAG tag = make_locktag(<uint32_t> procno, lxid, 0, 0, LOCKTAG_VIRTUALTRANSACTION, DEFAULT_LOCKMETHOD)
    cdef uint32_t hashcode = _hash_tag(&tag)
    cdef PROCLOCK *proclock
    lwlock_acquire(&proc.fpInfoLock, LW_EXCLUSIVE)
    if proc.vxid_procNumber != procno or proc.fpLocalTransactionId != lxid:
        lwlock_release(&proc.fpInfoLock)
        return 1
    if not wait:
        lwlock_release(&proc.fpInfoLock)
        return 0
    if proc.fpVXIDLock:
        # Give the lock an entry that can be waited for.
        lwlock_acquire(lock_manager_lock(hashcode), LW_EXCLUSIVE)
        proclock = _setup_lock_in_table(proc, &tag, hashcode, ExclusiveLock)
        if proclock == NULL:
            lwlock_release(lock_manager_lock(hashcode))
            lwlock_release(&proc.fpInfoLock)
            raise _out_of_shared_memory()
        grant_lock(proclock.myLock, proclock, ExclusiveLock)
        lwlock_release(lock_manager_lock(hashcode))
        proc.fpVXIDLock = 0
    lwlock_release(&proc.fpInfoLock)
    lock_acquire(&tag, ShareLock, False, False)
    lock_release(&tag, ShareLock, False)
    return 1


# By what is locked (lmgr.c).

cdef int lock_relation_oid(Oid db, Oid rel, int mode) except -1:
    """Lock a relation, then catch up on invalidations: what was known of it may have changed before the grant."""
    cdef LOCKTAG tag = tag_relation(db, rel)
    cdef int result = lock_acquire(&tag, mode, False, False)
    if result != LOCKACQUIRE_ALREADY_CLEAR:
        _clear_after_invalidations(&tag, mode)
    return result


cdef int _clear_after_invalidations(const LOCKTAG *tag, int mode) except -1:
    cdef LOCALLOCK *local
    if accept_invalidations_hook != NULL:
        accept_invalidations_hook()
    local = _find_local(tag, mode, _hash_tag(tag))
    if local != NULL:
        local.lockCleared = 1
    return 0


cdef int conditional_lock_relation_oid(Oid db, Oid rel, int mode) except -1:
    cdef LOCKTAG tag = tag_relation(db, rel)
    cdef int result = lock_acquire(&tag, mode, False, True)
    if result == LOCKACQUIRE_NOT_AVAIL:
        return 0
    if result != LOCKACQUIRE_ALREADY_CLEAR:
        _clear_after_invalidations(&tag, mode)
    return 1


cdef int unlock_relation_oid(Oid db, Oid rel, int mode) except -1:
    cdef LOCKTAG tag = tag_relation(db, rel)
    return lock_release(&tag, mode, False)


cdef inline LOCKTAG _tag_extend(Oid db, Oid rel) noexcept nogil:
    return make_locktag(db, rel, 0, 0, LOCKTAG_RELATION_EXTEND, DEFAULT_LOCKMETHOD)


cdef int lock_relation_for_extension(Oid db, Oid rel, int mode) except -1:
    cdef LOCKTAG tag = _tag_extend(db, rel)
    return lock_acquire(&tag, mode, False, False)


cdef int conditional_lock_relation_for_extension(Oid db, Oid rel, int mode) except -1:
    cdef LOCKTAG tag = _tag_extend(db, rel)
    return lock_acquire(&tag, mode, False, True) != LOCKACQUIRE_NOT_AVAIL


cdef int unlock_relation_for_extension(Oid db, Oid rel, int mode) except -1:
    cdef LOCKTAG tag = _tag_extend(db, rel)
    return lock_release(&tag, mode, False)


cdef int lock_page(Oid db, Oid rel, BlockNumber block, int mode) except -1:
    cdef LOCKTAG tag = make_locktag(db, rel, block, 0, LOCKTAG_PAGE, DEFAULT_LOCKMETHOD)
    return lock_acquire(&tag, mode, False, False)


cdef int unlock_page(Oid db, Oid rel, BlockNumber block, int mode) except -1:
    cdef LOCKTAG tag = make_locktag(db, rel, block, 0, LOCKTAG_PAGE, DEFAULT_LOCKMETHOD)
    return lock_release(&tag, mode, False)


cdef int lock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1:
    cdef LOCKTAG tag = tag_tuple(db, rel, tid_block(tid), tid_offset(tid))
    return lock_acquire(&tag, mode, False, False)


cdef int conditional_lock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1:
    cdef LOCKTAG tag = tag_tuple(db, rel, tid_block(tid), tid_offset(tid))
    return lock_acquire(&tag, mode, False, True) != LOCKACQUIRE_NOT_AVAIL


cdef int unlock_tuple(Oid db, Oid rel, const ItemPointerData *tid, int mode) except -1:
    cdef LOCKTAG tag = tag_tuple(db, rel, tid_block(tid), tid_offset(tid))
    return lock_release(&tag, mode, False)


_WAIT_CONTEXT = {
    XLTW_Update: "while updating tuple ({},{}) in relation \"{}\"",
    XLTW_Delete: "while deleting tuple ({},{}) in relation \"{}\"",
    XLTW_Lock: "while locking tuple ({},{}) in relation \"{}\"",
    XLTW_LockUpdated: "while locking updated version ({},{}) of tuple in relation \"{}\"",
    XLTW_InsertIndex: "while inserting index tuple ({},{}) in relation \"{}\"",
    XLTW_InsertIndexUnique: "while checking uniqueness of tuple ({},{}) in relation \"{}\"",
    XLTW_FetchUpdated: "while rechecking updated tuple ({},{}) in relation \"{}\"",
    XLTW_RecheckExclusionConstr: "while checking exclusion constraint on tuple ({},{}) in relation \"{}\"",
}


cdef int xact_lock_table_wait(TransactionId xid, object relname, const ItemPointerData *tid, int oper) except -1:
    """Wait until ``xid`` and, for a subtransaction, its parents have ended."""
    cdef LOCKTAG tag
    cdef bint first = True
    try:
        while True:
            tag = tag_transaction(xid)
            lock_acquire(&tag, ShareLock, False, False)
            lock_release(&tag, ShareLock, False)
            if not transaction_id_is_in_progress(xid):
                return 0
            # The lock was free but the id runs: it is a child that ended, or a parent that has not yet locked its id.
            if not first:
                check_for_interrupts()
                wait_latch(1, 0x09000002)
                reset_latch()
            first = False
            xid = sub_trans_get_topmost_transaction(xid)
    except SqlError as error:
        if oper != XLTW_None and relname is not None and tid != NULL:
            error.add_context(_WAIT_CONTEXT[oper].format(tid_block(tid), tid_offset(tid), relname))
        raise


cdef int conditional_xact_lock_table_wait(TransactionId xid) except -1:
    """1 if ``xid`` has ended, 0 if one would have to wait."""
    cdef LOCKTAG tag
    cdef bint first = True
    while True:
        tag = tag_transaction(xid)
        if lock_acquire(&tag, ShareLock, False, True) == LOCKACQUIRE_NOT_AVAIL:
            return 0
        lock_release(&tag, ShareLock, False)
        if not transaction_id_is_in_progress(xid):
            return 1
        if not first:
            check_for_interrupts()
            wait_latch(1, 0x09000002)
            reset_latch()
        first = False
        xid = sub_trans_get_topmost_transaction(xid)


cdef int xact_lock_table_insert(TransactionId xid) except -1:
    """Every id is locked by its transaction until it ends: that is how others wait for it."""
    cdef LOCKTAG tag = tag_transaction(xid)
    return lock_acquire(&tag, ExclusiveLock, False, False)


cdef int xact_lock_table_delete(TransactionId xid) except -1:
    cdef LOCKTAG tag = tag_transaction(xid)
    return lock_release(&tag, ExclusiveLock, False)


cdef inline LOCKTAG _tag_speculative(TransactionId xid, uint32_t token) noexcept nogil:
    return make_locktag(xid, token, 0, 0, LOCKTAG_SPECULATIVE_TOKEN, DEFAULT_LOCKMETHOD)


cdef uint32_t speculative_insertion_lock_acquire(TransactionId xid) except 0:
    """A new token for a tuple that may be taken back (INSERT ... ON CONFLICT); others wait on it, not on the xid."""
    global speculative_token
    cdef LOCKTAG tag
    speculative_token += 1
    if speculative_token == 0:
        speculative_token = 1
    tag = _tag_speculative(xid, speculative_token)
    lock_acquire(&tag, ExclusiveLock, False, False)
    return speculative_token


cdef int speculative_insertion_lock_release(TransactionId xid) except -1:
    cdef LOCKTAG tag = _tag_speculative(xid, speculative_token)
    return lock_release(&tag, ExclusiveLock, False)


cdef int speculative_insertion_wait(TransactionId xid, uint32_t token) except -1:
    cdef LOCKTAG tag = _tag_speculative(xid, token)
    lock_acquire(&tag, ShareLock, False, False)
    return lock_release(&tag, ShareLock, False)


# What is seen of it from Python.

cdef tuple _tag_tuple(const LOCKTAG *tag):
    return (tag.locktag_field1, tag.locktag_field2, tag.locktag_field3, tag.locktag_field4, tag.locktag_type,
            tag.locktag_lockmethodid)


cdef LOCKTAG _tag_from(tuple fields) except *:
    return make_locktag(fields[0], fields[1], fields[2], fields[3], fields[4], fields[5])


def acquire(tag: tuple, mode: int, session: bool = False, dont_wait: bool = False) -> int:
    """lock_acquire for a tag given as (field1, field2, field3, field4, type, method)."""
    cdef LOCKTAG t = _tag_from(tag)
    return lock_acquire(&t, mode, session, dont_wait)


def release(tag: tuple, mode: int, session: bool = False) -> bool:
    cdef LOCKTAG t = _tag_from(tag)
    return bool(lock_release(&t, mode, session))


def held_by_me(tag: tuple, mode: int, or_stronger: bool = False) -> bool:
    cdef LOCKTAG t = _tag_from(tag)
    return lock_held_by_me(&t, mode, or_stronger)


def release_all(method: int, all_locks: bool) -> None:
    lock_release_all(method, all_locks)


def release_session(method: int) -> None:
    lock_release_session(method)


def error_cleanup() -> None:
    lock_error_cleanup()


def lock_relation(database: int, relation: int, mode: int) -> None:
    lock_relation_oid(database, relation, mode)


def conditional_lock_relation(database: int, relation: int, mode: int) -> bool:
    return bool(conditional_lock_relation_oid(database, relation, mode))


def unlock_relation(database: int, relation: int, mode: int) -> None:
    unlock_relation_oid(database, relation, mode)


def lock_object(database: int, classid: int, objid: int, subid: int, mode: int, dont_wait: bool = False) -> bool:
    """A database object other than a relation (``database`` 0: shared); then catches up on invalidations."""
    cdef LOCKTAG tag = tag_object(database, classid, objid, subid)
    cdef int result = lock_acquire(&tag, mode, False, dont_wait)
    if result == LOCKACQUIRE_NOT_AVAIL:
        return False
    if result != LOCKACQUIRE_ALREADY_CLEAR:
        _clear_after_invalidations(&tag, mode)
    return True


def unlock_object(database: int, classid: int, objid: int, subid: int, mode: int) -> None:
    cdef LOCKTAG tag = tag_object(database, classid, objid, subid)
    lock_release(&tag, mode, False)


def wait_for_transaction(xid: int) -> None:
    """XactLockTableWait without context."""
    xact_lock_table_wait(xid, None, NULL, XLTW_None)


def wait_for_virtual_transaction(procno: int, lxid: int, wait: bool = True) -> bool:
    return bool(virtual_xact_lock(procno, lxid, wait))


def conflicting_holders(tag: tuple, mode: int) -> list:
    """(procno, lxid) of the transactions that hold what conflicts with ``mode`` (GetLockConflicts)."""
    cdef LOCKTAG t = _tag_from(tag)
    cdef uint32_t hashcode = _hash_tag(&t)
    cdef uint32_t conflicts = conflict_table[<int> mode]
    cdef PGPROC *proc
    cdef LOCK *lock
    cdef dlist_node *node
    cdef int i, slot, group, first
    found = set()
    if t.locktag_type == LOCKTAG_RELATION and t.locktag_field1 != 0 and <int> mode > ShareUpdateExclusiveLock:
        group = _fast_path_group(t.locktag_field2)
        first = group * FP_LOCK_SLOTS_PER_GROUP
        for i in range(proc_count()):
            proc = proc_by_number(i)
            if proc == MyProc:
                continue
            lwlock_acquire(&proc.fpInfoLock, LW_SHARED)
            if proc.databaseId == t.locktag_field1:
                for slot in range(first, first + FP_LOCK_SLOTS_PER_GROUP):
                    if proc.fpRelId[slot] == t.locktag_field2 and (
                            (_fast_path_bits(proc, slot) << 1) & conflicts) and proc.lxid != 0:
                        found.add((proc.procno, proc.lxid))
            lwlock_release(&proc.fpInfoLock)
    lwlock_acquire(lock_manager_lock(hashcode), LW_SHARED)
    lock = _find_lock(&t, hashcode)
    if lock != NULL:
        node = dlist_first(&lock.procLocks)
        while node != NULL:
            proc = (<PROCLOCK *> node).myProc
            if (<PROCLOCK *> node).holdMask & conflicts and proc != MyProc and proc.lxid != 0:
                found.add((proc.procno, proc.lxid))
            node = dlist_next(&lock.procLocks, node)
    lwlock_release(lock_manager_lock(hashcode))
    return sorted(found)


def lock_status_data() -> list:
    """Every lock held or awaited: (tag, held modes mask, awaited mode, procno, lxid, pid, leader pid, fast path,
    wait start in µs or 0)."""
    cdef int i, slot, nslots = FastPathLockGroupsPerBackend * FP_LOCK_SLOTS_PER_GROUP
    cdef PGPROC *proc
    cdef uint32_t bits, bucket
    cdef PROCLOCK *proclock
    cdef LOCK *lock
    rows = []
    for i in range(proc_count()):
        proc = proc_by_number(i)
        if proc.pid == 0:
            continue
        lwlock_acquire(&proc.fpInfoLock, LW_SHARED)
        for slot in range(nslots):
            bits = _fast_path_bits(proc, slot)
            if bits != 0:
                rows.append(((proc.databaseId, proc.fpRelId[slot], 0, 0, LOCKTAG_RELATION, DEFAULT_LOCKMETHOD),
                             bits << 1, 0, proc.procno, proc.lxid, proc.pid, proc.pid, True, 0))
        if proc.fpVXIDLock:
            rows.append(((proc.procno, proc.fpLocalTransactionId, 0, 0, LOCKTAG_VIRTUALTRANSACTION,
                          DEFAULT_LOCKMETHOD), 1 << ExclusiveLock, 0, proc.procno, proc.fpLocalTransactionId, proc.pid,
                         proc.pid, True, 0))
        lwlock_release(&proc.fpInfoLock)
    _lock_all_partitions(LW_SHARED)
    for bucket in range(proclock_table.nbuckets):
        proclock = <PROCLOCK *> proclock_table.buckets[bucket]
        while proclock != NULL:
            proc = proclock.myProc
            lock = proclock.myLock
            rows.append((_tag_tuple(&lock.tag), proclock.holdMask, proc.waitLockMode if proc.waitLock == lock else 0,
                         proc.procno, proc.lxid, proc.pid, proclock.groupLeader.pid, False,
                         proc.waitStart if proc.waitLock == lock else 0))
            proclock = proclock.hash_next
    _unlock_all_partitions()
    return rows


def blocking_pids(pid: int) -> list:
    """Processes that keep ``pid`` from the lock it waits for, by holding it or by standing before it (pg_blocking_pids)."""
    cdef PGPROC *proc = NULL
    cdef PGPROC *waiter
    cdef LOCK *lock
    cdef dlist_node *node
    cdef PROCLOCK *proclock
    cdef PGPROC *leader
    cdef uint32_t conflicts
    cdef int i
    found = []
    lwlock_acquire(main_lock(ProcArrayLock), LW_SHARED)
    for i in range(proc_count()):
        if proc_by_number(i).pid == <int> pid and <int> pid != 0:
            proc = proc_by_number(i)
            break
    if proc != NULL:
        _lock_all_partitions(LW_SHARED)
        lock = <LOCK *> proc.waitLock
        if lock != NULL:
            leader = proc.lockGroupLeader if proc.lockGroupLeader != NULL else proc
            conflicts = conflict_table[proc.waitLockMode]
            ahead = set()
            waiter = _next_waiter(lock, NULL)
            while waiter != NULL and waiter != proc:
                ahead.add(waiter.pid)
                waiter = _next_waiter(lock, waiter)
            node = dlist_first(&lock.procLocks)
            while node != NULL:
                proclock = <PROCLOCK *> node
                if proclock.groupLeader != leader:
                    if conflicts & proclock.holdMask:
                        found.append(proclock.groupLeader.pid)
                    elif proclock.myProc.waitLock == lock and proclock.myProc.pid in ahead \
                            and conflicts & (<uint32_t> 1 << proclock.myProc.waitLockMode):
                        found.append(proclock.groupLeader.pid)
                node = dlist_next(&lock.procLocks, node)
        _unlock_all_partitions()
    lwlock_release(main_lock(ProcArrayLock))
    return found


def running_transaction_locks() -> list:
    """(xid, database, relation) of every access exclusive lock on a relation, for a standby."""
    cdef uint32_t bucket
    cdef PROCLOCK *proclock
    cdef LOCK *lock
    found = []
    _lock_all_partitions(LW_SHARED)
    for bucket in range(proclock_table.nbuckets):
        proclock = <PROCLOCK *> proclock_table.buckets[bucket]
        while proclock != NULL:
            lock = proclock.myLock
            if proclock.holdMask & (1 << AccessExclusiveLock) and lock.tag.locktag_type == LOCKTAG_RELATION \
                    and proclock.myProc.xid != InvalidTransactionId:
                found.append((proclock.myProc.xid, lock.tag.locktag_field1, lock.tag.locktag_field2))
            proclock = proclock.hash_next
    _unlock_all_partitions()
    return found


def waiter_count(tag: tuple) -> int:
    """How many processes want the lock, holders included (LockWaiterCount)."""
    cdef LOCKTAG t = _tag_from(tag)
    cdef uint32_t hashcode = _hash_tag(&t)
    cdef LOCK *lock
    lwlock_acquire(lock_manager_lock(hashcode), LW_SHARED)
    lock = _find_lock(&t, hashcode)
    count = lock.nRequested if lock != NULL else 0
    lwlock_release(lock_manager_lock(hashcode))
    return count


def local_lock_count() -> int:
    """Entries of the private table, for tests."""
    return n_local


def shared_lock_counts() -> tuple:
    """Entries in use of (LOCK, PROCLOCK), for tests."""
    cdef int i
    locks = lock_table.nentries
    proclocks = proclock_table.nentries
    for i in range(NUM_LOCK_PARTITIONS):
        locks -= lock_table.free[i].count
        proclocks -= proclock_table.free[i].count
    return locks, proclocks

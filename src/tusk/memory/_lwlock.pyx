"""Lightweight locks in shared memory, waited for with futexes.

The state word holds the exclusive flag or the count of shared holders. An uncontended acquire is one compare-exchange,
a release one fetch-and-subtract. Who must wait counts itself in `waiters`, then tries again, then sleeps on
`wake_sequence`; a release that leaves the lock free and sees waiters bumps the sequence and wakes one. A woken shared
waiter wakes the other shared ones. Newcomers may overtake, as in PostgreSQL.

Differs from PostgreSQL: there is no list of waiters in the lock; the kernel's futex queue is it.
"""

from libc.stdint cimport uintptr_t
from libc.string cimport memset

from tusk.memory._atomics cimport (
    atomic_compare_exchange_u32,
    atomic_exchange_u64,
    atomic_fetch_add_u32,
    atomic_fetch_sub_u32,
    atomic_read_u32,
    atomic_load_acquire_u64,
    cpu_relax,
)
from tusk.memory._debug cimport TUSK_DEBUG
from tusk.memory._interrupts cimport hold_interrupts, resume_interrupts
from tusk.memory._wait cimport PG_WAIT_LWLOCK, my_wait_event_info

from tusk.errors import Panic, SqlError, errcode
from tusk.memory._segment import declare_area

cdef extern from *:
    """
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #include <errno.h>
    #include <limits.h>
    static inline long tusk_futex_wait(uint32_t *word, uint32_t expected, uint32_t bits) {
        return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, NULL, NULL, bits);
    }
    static inline long tusk_futex_wake(uint32_t *word, int count, uint32_t bits) {
        return syscall(SYS_futex, word, FUTEX_WAKE_BITSET, count, NULL, NULL, bits);
    }
    """
    long futex_wait "tusk_futex_wait"(uint32_t *word, uint32_t expected, uint32_t bits) noexcept nogil
    long futex_wake "tusk_futex_wake"(uint32_t *word, int count, uint32_t bits) noexcept nogil
    enum:
        INT_MAX

cdef enum:
    LW_FLAG_EXCLUSIVE = 1 << 24
    WAIT_EXCLUSIVE = 1          # futex bitset
    WAIT_SHARED = 2
    WAIT_FREE = 4
    ONE_LOCK_WAITER = 1
    ONE_FREE_WAITER = 1 << 16
    SPINS = 60
    MAX_HELD = 200              # MAX_SIMUL_LWLOCKS

cdef struct HeldLock:
    LWLock *lock
    int mode

cdef HeldLock _held[MAX_HELD]
cdef int _nheld = 0
cdef int _main_lock_count = (NUM_INDIVIDUAL_LWLOCKS + NUM_BUFFER_PARTITIONS + NUM_LOCK_PARTITIONS
                             + NUM_PREDICATELOCK_PARTITIONS)


cdef void lwlock_initialize(LWLock *lock, int tranche) noexcept nogil:
    memset(lock, 0, sizeof(LWLock))
    lock.tranche = <uint16_t> tranche


cdef inline bint _try(LWLock *lock, int mode) noexcept nogil:
    cdef uint32_t old = atomic_read_u32(&lock.state)
    if mode == LW_EXCLUSIVE:
        while old == 0:
            if atomic_compare_exchange_u32(&lock.state, &old, LW_FLAG_EXCLUSIVE):
                return True
        return False
    while not old & LW_FLAG_EXCLUSIVE:
        if atomic_compare_exchange_u32(&lock.state, &old, old + 1):
            return True
    return False


cdef void _wake(LWLock *lock) noexcept nogil:
    """The lock is free: wake one that wants it, and all that only wait for this moment."""
    cdef uint32_t waiters = atomic_read_u32(&lock.waiters)
    atomic_fetch_add_u32(&lock.wake_sequence, 1)
    if waiters >= ONE_FREE_WAITER:
        futex_wake(&lock.wake_sequence, INT_MAX, WAIT_FREE)
    if waiters & 0xFFFF:
        futex_wake(&lock.wake_sequence, 1, WAIT_EXCLUSIVE | WAIT_SHARED)


cdef int _too_many() except -1 nogil:
    with gil:
        raise SqlError(errcode.INTERNAL_ERROR, "too many LWLocks taken")


cdef inline int _remember(LWLock *lock, int mode) except -1 nogil:
    global _nheld
    _held[_nheld].lock = lock
    _held[_nheld].mode = mode
    _nheld += 1
    return 0


cdef void _wait_for(LWLock *lock, int mode) noexcept nogil:
    cdef uint32_t sequence
    cdef uint32_t bits = WAIT_EXCLUSIVE if mode == LW_EXCLUSIVE else WAIT_SHARED
    cdef int i
    cdef bint slept = False
    for i in range(SPINS):
        cpu_relax()
        if _try(lock, mode):
            return
    my_wait_event_info[0] = PG_WAIT_LWLOCK | lock.tranche
    atomic_fetch_add_u32(&lock.waiters, ONE_LOCK_WAITER)
    while True:
        sequence = atomic_read_u32(&lock.wake_sequence)
        if _try(lock, mode):
            break
        futex_wait(&lock.wake_sequence, sequence, bits)
        slept = True
    atomic_fetch_sub_u32(&lock.waiters, ONE_LOCK_WAITER)
    my_wait_event_info[0] = 0
    if slept and mode == LW_SHARED and atomic_read_u32(&lock.waiters) & 0xFFFF:
        # One wake-up was spent on this process, and the lock is open to all other readers.
        atomic_fetch_add_u32(&lock.wake_sequence, 1)
        futex_wake(&lock.wake_sequence, INT_MAX, WAIT_SHARED)


cdef int _deadlock(LWLock *lock) except -1 nogil:
    with gil:
        raise Panic(errcode.INTERNAL_ERROR, f"LWLock {tranche_name(lock.tranche)} is held by this process already")


cdef int lwlock_acquire(LWLock *lock, LWLockMode mode) except -1 nogil:
    cdef int at_once = 1
    if TUSK_DEBUG and lwlock_held_by_me(lock):
        return _deadlock(lock)
    if _nheld >= MAX_HELD:
        return _too_many()
    hold_interrupts()
    if not _try(lock, mode):
        at_once = 0
        _wait_for(lock, mode)
    _remember(lock, mode)
    return at_once


cdef int lwlock_conditional_acquire(LWLock *lock, LWLockMode mode) except -1 nogil:
    if _nheld >= MAX_HELD:
        return _too_many()
    if not _try(lock, mode):
        return 0
    hold_interrupts()
    _remember(lock, mode)
    return 1


cdef int lwlock_acquire_or_wait(LWLock *lock, LWLockMode mode) except -1 nogil:
    cdef uint32_t sequence
    cdef bint got
    if _nheld >= MAX_HELD:
        return _too_many()
    hold_interrupts()
    if _try(lock, mode):
        _remember(lock, mode)
        return 1
    my_wait_event_info[0] = PG_WAIT_LWLOCK | lock.tranche
    atomic_fetch_add_u32(&lock.waiters, ONE_FREE_WAITER)
    sequence = atomic_read_u32(&lock.wake_sequence)
    got = _try(lock, mode)
    if not got:
        # The sequence also moves for updates of a variable: only a lock found free or a move ends the wait.
        while atomic_read_u32(&lock.wake_sequence) == sequence:
            futex_wait(&lock.wake_sequence, sequence, WAIT_FREE)
    atomic_fetch_sub_u32(&lock.waiters, ONE_FREE_WAITER)
    my_wait_event_info[0] = 0
    if got:
        _remember(lock, mode)
        return 1
    resume_interrupts()
    return 0


cdef int _not_held() except -1 nogil:
    with gil:
        raise SqlError(errcode.INTERNAL_ERROR, "lock is not held")


cdef inline void _unlock(LWLock *lock, int mode) noexcept nogil:
    cdef uint32_t value = LW_FLAG_EXCLUSIVE if mode == LW_EXCLUSIVE else 1
    if atomic_fetch_sub_u32(&lock.state, value) == value and atomic_read_u32(&lock.waiters):
        _wake(lock)


cdef inline int _forget(LWLock *lock) noexcept nogil:
    """Remove it from the held locks, the latest first; the mode, or -1."""
    global _nheld
    cdef int i = _nheld - 1
    cdef int mode
    while i >= 0 and _held[i].lock != lock:
        i -= 1
    if i < 0:
        return -1
    mode = _held[i].mode
    _nheld -= 1
    while i < _nheld:
        _held[i] = _held[i + 1]
        i += 1
    return mode


cdef int lwlock_release(LWLock *lock) except -1 nogil:
    cdef int mode = _forget(lock)
    if mode < 0:
        return _not_held()
    _unlock(lock, mode)
    resume_interrupts()
    return 0


cdef int lwlock_release_clear_var(LWLock *lock, uint64_t *variable, uint64_t value) except -1 nogil:
    atomic_exchange_u64(variable, value)
    return lwlock_release(lock)


cdef int lwlock_wait_for_var(LWLock *lock, uint64_t *variable, uint64_t old_value, uint64_t *new_value) except -1 nogil:
    cdef uint32_t sequence
    cdef uint64_t value
    cdef int result = 0
    cdef bint counted = False
    while True:
        sequence = atomic_read_u32(&lock.wake_sequence)
        if not atomic_read_u32(&lock.state) & LW_FLAG_EXCLUSIVE:
            result = 1
            break
        value = atomic_load_acquire_u64(variable)
        if value != old_value:
            new_value[0] = value
            break
        if not counted:
            # Count first and look again: else the holder may not know that it has someone to wake.
            counted = True
            my_wait_event_info[0] = PG_WAIT_LWLOCK | lock.tranche
            atomic_fetch_add_u32(&lock.waiters, ONE_FREE_WAITER)
            continue
        futex_wait(&lock.wake_sequence, sequence, WAIT_FREE)
    if counted:
        atomic_fetch_sub_u32(&lock.waiters, ONE_FREE_WAITER)
        my_wait_event_info[0] = 0
    return result


cdef void lwlock_update_var(LWLock *lock, uint64_t *variable, uint64_t value) noexcept nogil:
    atomic_exchange_u64(variable, value)
    if atomic_read_u32(&lock.waiters) >= ONE_FREE_WAITER:
        atomic_fetch_add_u32(&lock.wake_sequence, 1)
        futex_wake(&lock.wake_sequence, INT_MAX, WAIT_FREE)


cdef void lwlock_release_all() noexcept nogil:
    global _nheld
    while _nheld > 0:
        _nheld -= 1
        _unlock(_held[_nheld].lock, _held[_nheld].mode)
        resume_interrupts()


cdef bint lwlock_held_by_me(const LWLock *lock) noexcept nogil:
    cdef int i
    for i in range(_nheld):
        if _held[i].lock == lock:
            return True
    return False


cdef bint lwlock_held_by_me_in_mode(const LWLock *lock, LWLockMode mode) noexcept nogil:
    cdef int i
    for i in range(_nheld):
        if _held[i].lock == lock:
            return _held[i].mode == mode
    return False


cdef int lwlock_held_count() noexcept nogil:
    return _nheld


# Tranche names. The ids below LWTRANCHE_FIRST_USER_DEFINED are PostgreSQL's.

_NAMES = {
    1: "ShmemIndex", 2: "OidGen", 3: "XidGen", 4: "ProcArray", 5: "SInvalRead", 6: "SInvalWrite",
    7: "WALBufMapping", 8: "WALWrite", 9: "ControlFile", 13: "MultiXactGen", 16: "RelCacheInit",
    17: "CheckpointerComm", 18: "TwoPhaseState", 19: "TablespaceCreate", 20: "BtreeVacuum", 21: "AddinShmemInit",
    22: "Autovacuum", 23: "AutovacuumSchedule", 24: "SyncScan", 25: "RelationMapping", 27: "NotifyQueue",
    28: "SerializableXactHash", 29: "SerializableFinishedList", 30: "SerializablePredicateList", 32: "SyncRep",
    33: "BackgroundWorker", 34: "DynamicSharedMemoryControl", 35: "AutoFile", 36: "ReplicationSlotAllocation",
    37: "ReplicationSlotControl", 39: "CommitTs", 40: "ReplicationOrigin", 41: "MultiXactTruncation",
    43: "LogicalRepWorker", 44: "XactTruncation", 46: "WrapLimitsVacuum", 47: "NotifyQueueTail",
    48: "WaitEventCustom", 49: "WALSummarizer", 50: "DSMRegistry", 51: "InjectionPoint", 52: "SerialControl",
    53: "AioWorkerSubmissionQueue",
    LWTRANCHE_XACT_BUFFER: "XactBuffer",
    LWTRANCHE_COMMITTS_BUFFER: "CommitTsBuffer",
    LWTRANCHE_SUBTRANS_BUFFER: "SubtransBuffer",
    LWTRANCHE_MULTIXACTOFFSET_BUFFER: "MultiXactOffsetBuffer",
    LWTRANCHE_MULTIXACTMEMBER_BUFFER: "MultiXactMemberBuffer",
    LWTRANCHE_NOTIFY_BUFFER: "NotifyBuffer",
    LWTRANCHE_SERIAL_BUFFER: "SerialBuffer",
    LWTRANCHE_WAL_INSERT: "WALInsert",
    LWTRANCHE_BUFFER_CONTENT: "BufferContent",
    LWTRANCHE_REPLICATION_ORIGIN_STATE: "ReplicationOriginState",
    LWTRANCHE_REPLICATION_SLOT_IO: "ReplicationSlotIO",
    LWTRANCHE_LOCK_FASTPATH: "LockFastPath",
    LWTRANCHE_BUFFER_MAPPING: "BufferMapping",
    LWTRANCHE_LOCK_MANAGER: "LockManager",
    LWTRANCHE_PREDICATE_LOCK_MANAGER: "PredicateLockManager",
    LWTRANCHE_PARALLEL_HASH_JOIN: "ParallelHashJoin",
    LWTRANCHE_PARALLEL_BTREE_SCAN: "ParallelBtreeScan",
    LWTRANCHE_PARALLEL_QUERY_DSA: "ParallelQueryDSA",
    LWTRANCHE_PER_SESSION_DSA: "PerSessionDSA",
    LWTRANCHE_PER_SESSION_RECORD_TYPE: "PerSessionRecordType",
    LWTRANCHE_PER_SESSION_RECORD_TYPMOD: "PerSessionRecordTypmod",
    LWTRANCHE_SHARED_TUPLESTORE: "SharedTupleStore",
    LWTRANCHE_SHARED_TIDBITMAP: "SharedTidBitmap",
    LWTRANCHE_PARALLEL_APPEND: "ParallelAppend",
    LWTRANCHE_PER_XACT_PREDICATE_LIST: "PerXactPredicateList",
    LWTRANCHE_PGSTATS_DSA: "PgStatsDSA",
    LWTRANCHE_PGSTATS_HASH: "PgStatsHash",
    LWTRANCHE_PGSTATS_DATA: "PgStatsData",
    LWTRANCHE_LAUNCHER_DSA: "LogicalRepLauncherDSA",
    LWTRANCHE_LAUNCHER_HASH: "LogicalRepLauncherHash",
    LWTRANCHE_DSM_REGISTRY_DSA: "DSMRegistryDSA",
    LWTRANCHE_DSM_REGISTRY_HASH: "DSMRegistryHash",
    LWTRANCHE_COMMITTS_SLRU: "CommitTsSLRU",
    LWTRANCHE_MULTIXACTMEMBER_SLRU: "MultiXactMemberSLRU",
    LWTRANCHE_MULTIXACTOFFSET_SLRU: "MultiXactOffsetSLRU",
    LWTRANCHE_NOTIFY_SLRU: "NotifySLRU",
    LWTRANCHE_SERIAL_SLRU: "SerialSLRU",
    LWTRANCHE_SUBTRANS_SLRU: "SubtransSLRU",
    LWTRANCHE_XACT_SLRU: "XactSLRU",
    LWTRANCHE_PARALLEL_VACUUM_DSA: "ParallelVacuumDSA",
    LWTRANCHE_AIO_URING_COMPLETION: "AioUringCompletion",
}
_user_tranches: dict[int, str] = {}


def tranche_name(tranche: int) -> str:
    """The tranche's name, as wait events show it; "extension" for one this process has not registered."""
    return _NAMES.get(tranche) or _user_tranches.get(tranche, "extension")


def tranche_ids() -> dict[int, str]:
    """All built-in tranches by id."""
    return dict(_NAMES)


def new_tranche_id() -> int:
    """A new user-defined tranche id, unique in the server (LWLockNewTrancheId)."""
    if main_locks == NULL:
        raise RuntimeError("there is no shared memory segment")
    return LWTRANCHE_FIRST_USER_DEFINED + <int> atomic_fetch_add_u32(_tranche_counter(), 1)


cdef inline uint32_t *_tranche_counter() noexcept nogil:
    # Lock number 0 is not in use; its cache line holds the counter.
    return <uint32_t *> main_locks


def register_tranche(tranche: int, name: str) -> None:
    """Name a user-defined tranche in this process (LWLockRegisterTranche)."""
    _user_tranches[tranche] = name


def _size(settings: object) -> int:
    return _main_lock_count * LW_LOCK_STRIDE


def _attach(address: int) -> None:
    global main_locks
    main_locks = <char *> <uintptr_t> address


def _init(address: int, size: int) -> None:
    cdef int i
    cdef int tranche
    for i in range(1, _main_lock_count):
        if i < NUM_INDIVIDUAL_LWLOCKS:
            tranche = i
        elif i < NUM_INDIVIDUAL_LWLOCKS + NUM_BUFFER_PARTITIONS:
            tranche = LWTRANCHE_BUFFER_MAPPING
        elif i < NUM_INDIVIDUAL_LWLOCKS + NUM_BUFFER_PARTITIONS + NUM_LOCK_PARTITIONS:
            tranche = LWTRANCHE_LOCK_MANAGER
        else:
            tranche = LWTRANCHE_PREDICATE_LOCK_MANAGER
        lwlock_initialize(main_lock(i), tranche)


declare_area("LWLock Array", _size, _init, _attach)


# For Python code outside hot paths.

def acquire(lock_id: int, exclusive: bool = True) -> None:
    """Acquire an individual lock by its number."""
    lwlock_acquire(main_lock(lock_id), LW_EXCLUSIVE if exclusive else LW_SHARED)


def try_acquire(lock_id: int, exclusive: bool = True) -> bool:
    """Acquire it only if that is possible at once."""
    return bool(lwlock_conditional_acquire(main_lock(lock_id), LW_EXCLUSIVE if exclusive else LW_SHARED))


def acquire_or_wait(lock_id: int) -> bool:
    """True if acquired; False if it was held, and has been released meanwhile."""
    return bool(lwlock_acquire_or_wait(main_lock(lock_id), LW_EXCLUSIVE))


def release(lock_id: int) -> None:
    """Release an individual lock."""
    lwlock_release(main_lock(lock_id))


def release_all() -> None:
    """Release every lock of this process: error recovery."""
    lwlock_release_all()


def held_count() -> int:
    """Number of locks this process holds."""
    return _nheld


def held_locks() -> list[tuple[str, str]]:
    """(tranche name, mode) of the held locks, for debugging and leak checks."""
    return [(tranche_name(_held[i].lock.tranche), "shared" if _held[i].mode else "exclusive") for i in range(_nheld)]


def acquire_at(address: int, exclusive: bool = True) -> None:
    """Acquire a lock by its address in shared memory."""
    lwlock_acquire(<LWLock *> <uintptr_t> address, LW_EXCLUSIVE if exclusive else LW_SHARED)


def release_at(address: int) -> None:
    """Release a lock by its address in shared memory."""
    lwlock_release(<LWLock *> <uintptr_t> address)


def main_lock_address(lock_id: int) -> int:
    """The address of an individual lock."""
    return <uintptr_t> main_lock(lock_id)


cdef class Lock:
    """``with Lock(ControlFileLock):`` from Python."""

    cdef int _id
    cdef int _mode

    def __init__(self, int lock_id, bint exclusive=True) -> None:
        self._id = lock_id
        self._mode = LW_EXCLUSIVE if exclusive else LW_SHARED

    def __enter__(self) -> Lock:
        lwlock_acquire(main_lock(self._id), self._mode)
        return self

    def __exit__(self, kind, value, traceback) -> None:
        # After an error the locks may have been released all at once already.
        if lwlock_held_by_me(main_lock(self._id)):
            lwlock_release(main_lock(self._id))


def bench(int rounds, bint exclusive=True) -> float:
    """Nanoseconds per uncontended acquire and release."""
    from time import perf_counter_ns
    cdef LWLock *lock = main_lock(AddinShmemInitLock)
    cdef int i
    cdef int mode = LW_EXCLUSIVE if exclusive else LW_SHARED
    begin = perf_counter_ns()
    for i in range(rounds):
        lwlock_acquire(lock, mode)
        lwlock_release(lock)
    return (perf_counter_ns() - begin) / rounds

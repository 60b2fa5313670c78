"""The shared queue of invalidation messages (sinvaladt.c): a ring in shared memory with a reading place per process.

A process that falls half a ring behind is signalled to catch up; one that falls a whole ring behind is told to reset
all of its caches. Locks: SInvalWriteLock for writers, SInvalReadLock shared for readers, exclusive for cleaning up.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcpy
from tusk.memory._atomics cimport atomic_read_u64, atomic_write_u64
from tusk.memory._lwlock cimport LW_EXCLUSIVE, LW_SHARED, SInvalReadLock, SInvalWriteLock, lwlock_acquire, lwlock_release, main_lock
from tusk.memory._process cimport MyProc
from tusk.memory._procsignal cimport PROCSIG_CATCHUP_INTERRUPT, send_proc_signal

from tusk.memory import _process
from tusk.memory._segment import declare_area

cdef enum:
    MAXNUMMESSAGES = 4096
    CLEANUP_MIN = 2048
    CLEANUP_QUANTUM = 256
    SIG_THRESHOLD = 2048
    WRITE_QUANTUM = 64
    READ_QUANTUM = 64
    MESSAGE_SIZE = 16

cdef struct ProcState:
    int pid                     # 0: not in use
    uint32_t reset_state
    uint32_t signaled
    uint32_t send_only
    uint32_t has_messages
    uint32_t pad
    uint64_t next_msg_num

cdef struct SInvalSegment:
    uint64_t min_msg_num        # oldest message still needed
    uint64_t max_msg_num        # the next to be assigned
    uint64_t next_threshold     # clean up when this many are queued
    uint64_t nprocs
    char buffer[65536]

cdef SInvalSegment *shared = NULL
cdef ProcState *states = NULL
cdef ProcState *mine = NULL
cdef int my_procno = -1
cdef object _apply = None       # callable(bytes): one message
cdef object _reset = None       # callable(): forget everything
counter = 0


def _slots(settings):
    return sum(_process._slot_counts(settings)[0])


def _size(settings):
    return sizeof(SInvalSegment) + _slots(settings) * sizeof(ProcState)


def _attach(address):
    global shared, states
    shared = <SInvalSegment *> <uintptr_t> address
    states = <ProcState *> (<char *> shared + sizeof(SInvalSegment))


def _init(address, size):
    shared.next_threshold = CLEANUP_MIN
    shared.nprocs = (size - sizeof(SInvalSegment)) // sizeof(ProcState)


declare_area("shmInvalBuffer", _size, _init, _attach)


def set_handlers(apply, reset):
    """Name the functions that handle a message (16 bytes) and a lost queue."""
    global _apply, _reset
    _apply = apply
    _reset = reset


def backend_init(bint send_only, int64_t resume_at=-1):
    """Start taking part in the queue, after the process slot was taken (SharedInvalBackendInit).

    ``resume_at`` is the reading place that the owner of inherited caches had when it left: what was queued since then
    is still to be read, or, where that is no longer in the queue, all caches are to be reset.
    """
    global mine, my_procno
    cdef uint64_t place
    my_procno = MyProc.procno
    mine = &states[my_procno]
    lwlock_acquire(main_lock(SInvalWriteLock), LW_EXCLUSIVE)
    mine.pid = MyProc.pid
    mine.next_msg_num = shared.max_msg_num
    mine.reset_state = 0
    mine.signaled = 0
    mine.has_messages = 0
    mine.send_only = send_only
    if resume_at >= 0:
        place = <uint64_t> resume_at
        if place > shared.max_msg_num or place + MAXNUMMESSAGES < shared.max_msg_num:
            mine.reset_state = 1
            mine.has_messages = 1
        elif place < shared.max_msg_num:
            mine.next_msg_num = place
            mine.has_messages = 1
            if place < shared.min_msg_num:
                # Nobody overwrites the queue while the lock is held: from now on these messages are needed again.
                shared.min_msg_num = place
    lwlock_release(main_lock(SInvalWriteLock))


def backend_exit():
    """Stop taking part, before the process slot is given back (CleanupInvalidationState).

    Returns the reading place, for `backend_init` of who goes on with this process's caches; -1 if they are of no use.
    """
    global mine
    cdef int64_t place = -1
    if mine == NULL:
        return place
    lwlock_acquire(main_lock(SInvalWriteLock), LW_EXCLUSIVE)
    if not mine.reset_state:
        place = <int64_t> mine.next_msg_num
    mine.pid = 0
    mine.next_msg_num = 0
    mine.reset_state = 0
    mine.signaled = 0
    mine.has_messages = 0
    lwlock_release(main_lock(SInvalWriteLock))
    mine = NULL
    return place


def is_behind(int64_t place):
    """Whether anything has been queued since this reading place."""
    return <int64_t> atomic_read_u64(&shared.max_msg_num) != place


def end_address():
    """Where the place of the next message is in memory: what `is_behind` compares with."""
    return <uintptr_t> &shared.max_msg_num


cdef int clean_up(uint64_t min_free) except -1:
    """Forget messages that everybody has read, and deal with who lags (SICleanupQueue). Caller holds the write lock."""
    cdef uint64_t lowest, minsig, lowbound, n, queued
    cdef ProcState *state
    cdef ProcState *lagging = NULL
    cdef int lagging_procno = 0, pid
    cdef uint64_t i
    lwlock_acquire(main_lock(SInvalReadLock), LW_EXCLUSIVE)
    lowest = shared.max_msg_num
    minsig = lowest - SIG_THRESHOLD if lowest > SIG_THRESHOLD else 0
    lowbound = lowest + min_free - MAXNUMMESSAGES if lowest + min_free > MAXNUMMESSAGES else 0
    for i in range(shared.nprocs):
        state = &states[i]
        if state.pid == 0 or state.reset_state or state.send_only:
            continue
        n = state.next_msg_num
        if n < lowbound:
            state.reset_state = 1
            continue
        if n < lowest:
            lowest = n
        if n < minsig and not state.signaled:
            minsig = n
            lagging = state
            lagging_procno = <int> i
    shared.min_msg_num = lowest
    queued = shared.max_msg_num - lowest
    if queued < CLEANUP_MIN:
        shared.next_threshold = CLEANUP_MIN
    else:
        shared.next_threshold = (queued // CLEANUP_QUANTUM + 1) * CLEANUP_QUANTUM
    if lagging == NULL:
        lwlock_release(main_lock(SInvalReadLock))
        return 0
    lagging.signaled = 1
    pid = lagging.pid
    lwlock_release(main_lock(SInvalReadLock))
    lwlock_release(main_lock(SInvalWriteLock))
    send_proc_signal(pid, PROCSIG_CATCHUP_INTERRUPT, lagging_procno)
    lwlock_acquire(main_lock(SInvalWriteLock), LW_EXCLUSIVE)
    return 0


def insert_messages(bytes messages):
    """Queue messages for every other process (SendSharedInvalidMessages)."""
    cdef const char *p = messages
    cdef uint64_t n = len(messages) // MESSAGE_SIZE, batch, i, queued
    if shared == NULL:
        return
    while n > 0:
        batch = n if n < WRITE_QUANTUM else WRITE_QUANTUM
        n -= batch
        lwlock_acquire(main_lock(SInvalWriteLock), LW_EXCLUSIVE)
        while True:
            queued = shared.max_msg_num - shared.min_msg_num
            if queued + batch > MAXNUMMESSAGES or queued >= shared.next_threshold:
                clean_up(batch)
            else:
                break
        for i in range(batch):
            memcpy(&shared.buffer[((shared.max_msg_num + i) % MAXNUMMESSAGES) * MESSAGE_SIZE], p, MESSAGE_SIZE)
            p += MESSAGE_SIZE
        atomic_write_u64(&shared.max_msg_num, shared.max_msg_num + batch)
        for i in range(shared.nprocs):
            if states[i].pid:
                states[i].has_messages = 1
        lwlock_release(main_lock(SInvalWriteLock))


cdef int accept_invalidation_messages() except -1:
    global counter
    cdef uint64_t upto, n
    cdef char local[1024]
    cdef int nlocal, i
    cdef bint more
    if mine == NULL or not mine.has_messages:
        return 0
    while True:
        nlocal = 0
        more = False
        lwlock_acquire(main_lock(SInvalReadLock), LW_SHARED)
        mine.has_messages = 0
        upto = atomic_read_u64(&shared.max_msg_num)
        if mine.reset_state:
            mine.next_msg_num = upto
            mine.reset_state = 0
            mine.signaled = 0
            lwlock_release(main_lock(SInvalReadLock))
            counter += 1
            _reset()
            return 0
        while nlocal < READ_QUANTUM and mine.next_msg_num < upto:
            memcpy(&local[nlocal * MESSAGE_SIZE],
                   &shared.buffer[(mine.next_msg_num % MAXNUMMESSAGES) * MESSAGE_SIZE], MESSAGE_SIZE)
            mine.next_msg_num += 1
            nlocal += 1
        if mine.next_msg_num >= upto:
            mine.signaled = 0
        else:
            mine.has_messages = 1
            more = True
        lwlock_release(main_lock(SInvalReadLock))
        for i in range(nlocal):
            counter += 1
            _apply(<bytes> local[i * MESSAGE_SIZE:(i + 1) * MESSAGE_SIZE])
        if not more:
            return 0


def accept_invalidations():
    """Apply what other processes have queued (AcceptInvalidationMessages)."""
    accept_invalidation_messages()


def message_counter():
    """How many messages this process has applied: a name looked up before and after is still right if unchanged."""
    return counter

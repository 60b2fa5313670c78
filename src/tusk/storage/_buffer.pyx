"""The shared buffer pool (storage/buf_internals.h): lookup, pins, replacement, I/O, content locks.

A buffer's header is one atomic word: pins, usage count, flags; BM_LOCKED in it is a spinlock for longer changes. The
mapping from block to buffer is a chained hash table whose chains run through the headers, under 128 partition locks.
Each process counts its own pins in an array, so that pinning again what it has pinned touches no shared memory.
A reader pins, waits for an I/O under way, or does the I/O itself. Dirty pages are written only after the WAL up to
their LSN is durable; that is enforced in `flush_buffer` alone.
"""

import os
from typing import Any

from cpython.buffer cimport PyBUF_WRITE
from cpython.memoryview cimport PyMemoryView_FromMemory
from libc.stdint cimport uintptr_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, clock_gettime, timespec

from tusk._types cimport InvalidBlockNumber, MAIN_FORK
from tusk.memory._atomics cimport (
    atomic_compare_exchange_u32,
    atomic_exchange_u32,
    atomic_fetch_add_u32,
    atomic_fetch_or_u32,
    atomic_fetch_sub_u32,
    atomic_load_acquire_u32,
    atomic_read_u32,
    atomic_store_release_u32,
    atomic_write_u32,
    cpu_relax,
)
from tusk.memory._interrupts cimport check_for_interrupts
from tusk.memory._latch cimport reset_latch, set_latch, wait_latch
from tusk.memory._debug cimport TUSK_DEBUG
from tusk.memory._lwlock cimport (
    LW_EXCLUSIVE,
    LW_LOCK_STRIDE,
    LW_SHARED,
    LWTRANCHE_BUFFER_CONTENT,
    buffer_mapping_lock,
    lwlock_acquire,
    lwlock_conditional_acquire,
    lwlock_held_by_me,
    lwlock_held_by_me_in_mode,
    lwlock_initialize,
    lwlock_release,
)
from tusk.memory._process cimport DELAY_CHKPT_START, MyProc, MyProcNumber
from tusk.memory._wait cimport wait_end, wait_start
from tusk.memory._wait_events cimport WAIT_EVENT_BUFFER_IO, WAIT_EVENT_BUFFER_PIN
from tusk.stats._pending cimport (
    IOOP_EVICT,
    IOOP_EXTEND,
    IOOP_HIT,
    IOOP_READ,
    IOOP_REUSE,
    IOOP_WRITE,
    RelationCounts,
    count_io,
    counts_of_locator,
    database_counts,
    io_pending,
)
from tusk.storage cimport _smgr
from tusk.storage._local_buffer cimport (
    LOCAL_DIRTY,
    LOCAL_VALID,
    LocalDescriptors,
    NLocalBuffers,
    local_alloc,
    local_drop,
    local_flush,
    local_flush_relation,
    local_pin,
    local_pins,
    local_release_all,
    local_unpin,
)
from tusk.storage._page cimport (
    page_checksum,
    page_get_lsn,
    page_header,
    page_is_new,
    page_is_verified,
    page_set_checksum,
    page_set_lsn,
)
from tusk.storage._smgr cimport (
    relation_path,
    smgr_create,
    smgr_exists,
    smgr_nblocks,
    smgr_nblocks_cached,
    smgr_open,
    smgr_prefetch,
    smgr_read,
    smgr_readv,
    smgr_write,
    smgr_zero_extend,
)

from tusk.config import on_assign
from tusk.errors import Panic, Severity, SqlError, errcode, report
from tusk.memory import _lwlock
from tusk.memory._segment import declare_area
from tusk.storage import _local_buffer, _md  # noqa: F401  (_md puts itself behind _smgr)

cdef extern from *:
    """
    #include <linux/futex.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #include <limits.h>
    #include <sched.h>
    static inline long tusk_io_wait(uint32_t *word, uint32_t expected) {
        return syscall(SYS_futex, word, FUTEX_WAIT, expected, NULL, NULL, 0);
    }
    static inline long tusk_io_wake(uint32_t *word) {
        return syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
    }
    """
    long _futex_wait "tusk_io_wait"(uint32_t *word, uint32_t expected) noexcept nogil
    long _futex_wake "tusk_io_wake"(uint32_t *word) noexcept nogil
    int sched_yield() noexcept nogil

cdef enum:
    EXTENSION_LOCKS = 128
    MAX_READ_AHEAD = 32
    MAX_EXTEND = 64
    AHEAD_WINDOWS = 4

cdef struct AheadWindow:
    Oid relNumber
    Oid dbOid
    int32_t forkNum
    BlockNumber first
    uint64_t blocks                 # bit i: block first + i was read and not come for yet

cdef AheadWindow _ahead[AHEAD_WINDOWS]
cdef int _nahead = 0
cdef int _next_ahead = 0
cdef int32_t *_buckets = NULL
cdef uint32_t _bucket_mask = 0
cdef char *_extension_locks = NULL
cdef int32_t *_private_pins = NULL      # of this process, per buffer
cdef int _private_owner = 0
cdef int _pins = 0                      # of this process in the shared pool
cdef BufferDesc *_pin_count_wait = NULL
cdef char[8192] _copy                   # a page on its way to the disk
cdef int _nbuffers_setting = 0
data_checksums_enabled = True


# Shared memory

def _bucket_count(nbuffers: int) -> int:
    n = 128
    while n < nbuffers:
        n *= 2
    return n


def _descriptors_size(settings: Any) -> int:
    global _nbuffers_setting
    _nbuffers_setting = settings.shared_buffers
    return settings.shared_buffers * sizeof(BufferDesc)


def _descriptors_attach(address: int) -> None:
    global BufferDescriptors, NBuffers
    BufferDescriptors = <BufferDesc *> <uintptr_t> address
    NBuffers = _nbuffers_setting


def _descriptors_init(address: int, size: int) -> None:
    cdef int i
    cdef BufferDesc *desc
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        _clear_tag(desc)
        desc.buf_id = i
        desc.hash_next = -1
        desc.wait_backend_pgprocno = -1
        lwlock_initialize(&desc.content_lock, LWTRANCHE_BUFFER_CONTENT)


def _blocks_size(settings: Any) -> int:
    return settings.shared_buffers * BLCKSZ + 4096


def _blocks_attach(address: int) -> None:
    global BufferBlocks
    BufferBlocks = <char *> ((<uintptr_t> address + 4095) // 4096 * 4096)


def _table_size(settings: Any) -> int:
    return _bucket_count(settings.shared_buffers) * 4


def _table_attach(address: int) -> None:
    global _buckets, _bucket_mask
    _buckets = <int32_t *> <uintptr_t> address
    _bucket_mask = _bucket_count(_nbuffers_setting) - 1


def _table_init(address: int, size: int) -> None:
    memset(_buckets, 0xFF, size)


def _strategy_size(settings: Any) -> int:
    return sizeof(StrategyControl)


def _strategy_attach(address: int) -> None:
    global strategy_control
    strategy_control = <StrategyControl *> <uintptr_t> address


def _strategy_init(address: int, size: int) -> None:
    strategy_control.bgwriter_procno = -1


def _extension_size(settings: Any) -> int:
    return EXTENSION_LOCKS * LW_LOCK_STRIDE


def _extension_attach(address: int) -> None:
    global _extension_locks
    _extension_locks = <char *> <uintptr_t> address


def _extension_init(address: int, size: int) -> None:
    cdef int i
    tranche = _lwlock.new_tranche_id()
    _lwlock.register_tranche(tranche, "RelationExtension")
    for i in range(EXTENSION_LOCKS):
        lwlock_initialize(<LWLock *> (_extension_locks + i * LW_LOCK_STRIDE), tranche)


declare_area("Buffer Descriptors", _descriptors_size, _descriptors_init, _descriptors_attach)
declare_area("Buffer Blocks", _blocks_size, None, _blocks_attach)
declare_area("Shared Buffer Lookup Table", _table_size, _table_init, _table_attach)
declare_area("Buffer Strategy Status", _strategy_size, _strategy_init, _strategy_attach)
declare_area("Relation Extension Locks", _extension_size, _extension_init, _extension_attach)


# Headers

cdef inline void _clear_tag(BufferDesc *desc) noexcept nogil:
    desc.tag.spcOid = 0
    desc.tag.dbOid = 0
    desc.tag.relNumber = 0
    desc.tag.forkNum = -1
    desc.tag.blockNum = InvalidBlockNumber


cdef uint32_t lock_buffer_header(BufferDesc *desc) noexcept nogil:
    """Take the header spinlock; the state, BM_LOCKED included."""
    cdef uint32_t old = atomic_fetch_or_u32(&desc.state, BM_LOCKED)
    cdef int spins = 0
    while old & BM_LOCKED:
        spins += 1
        if spins % 64 == 0:
            sched_yield()
        else:
            cpu_relax()
        if not atomic_read_u32(&desc.state) & BM_LOCKED:
            old = atomic_fetch_or_u32(&desc.state, BM_LOCKED)
    return old | BM_LOCKED


cdef void unlock_buffer_header(BufferDesc *desc, uint32_t state) noexcept nogil:
    """Store the state and release the header spinlock."""
    atomic_store_release_u32(&desc.state, state & ~(<uint32_t> BM_LOCKED))


cdef inline uint32_t _unlocked_state(BufferDesc *desc) noexcept nogil:
    """The state once nobody holds the header spinlock."""
    cdef uint32_t state = atomic_read_u32(&desc.state)
    cdef int spins = 0
    while state & BM_LOCKED:
        spins += 1
        if spins % 64 == 0:
            sched_yield()
        else:
            cpu_relax()
        state = atomic_read_u32(&desc.state)
    return state


cdef inline uint32_t _hash(const BufferTag *tag) noexcept nogil:
    cdef uint64_t h = (<uint64_t> tag.blockNum << 32) | tag.relNumber
    h = (h ^ (<uint64_t> tag.dbOid << 17) ^ (<uint64_t> <uint32_t> tag.forkNum << 60)) * <uint64_t> 0x9E3779B97F4A7C15
    h ^= h >> 29
    h = (h + tag.spcOid) * <uint64_t> 0xBF58476D1CE4E5B9
    return <uint32_t> (h >> 32)


cdef inline bint _same(const BufferTag *a, const BufferTag *b) noexcept nogil:
    return (a.blockNum == b.blockNum and a.relNumber == b.relNumber and a.forkNum == b.forkNum
            and a.dbOid == b.dbOid and a.spcOid == b.spcOid)


cdef inline bint _of(const BufferTag *tag, const RelFileLocator *locator) noexcept nogil:
    return tag.relNumber == locator.relNumber and tag.dbOid == locator.dbOid and tag.spcOid == locator.spcOid


cdef inline void _make_tag(BufferTag *tag, const RelFileLocator *locator, ForkNumber fork,
                           BlockNumber block) noexcept nogil:
    tag.spcOid = locator.spcOid
    tag.dbOid = locator.dbOid
    tag.relNumber = locator.relNumber
    tag.forkNum = fork
    tag.blockNum = block


cdef inline RelFileLocator _locator_of(const BufferTag *tag) noexcept nogil:
    cdef RelFileLocator locator
    locator.spcOid = tag.spcOid
    locator.dbOid = tag.dbOid
    locator.relNumber = tag.relNumber
    return locator


# The mapping table; the partition lock is held.

cdef inline int _find(const BufferTag *tag, uint32_t hashcode) noexcept nogil:
    cdef int index = _buckets[hashcode & _bucket_mask]
    while index >= 0 and not _same(&BufferDescriptors[index].tag, tag):
        index = BufferDescriptors[index].hash_next
    return index


cdef inline void _map(BufferDesc *desc, uint32_t hashcode) noexcept nogil:
    desc.hashcode = hashcode
    desc.hash_next = _buckets[hashcode & _bucket_mask]
    _buckets[hashcode & _bucket_mask] = desc.buf_id


cdef void _unmap(BufferDesc *desc) noexcept nogil:
    cdef int32_t *link = &_buckets[desc.hashcode & _bucket_mask]
    while link[0] != desc.buf_id:
        link = &BufferDescriptors[link[0]].hash_next
    link[0] = desc.hash_next
    desc.hash_next = -1


# Pins

cdef int _make_private_pins() except -1:
    global _private_pins, _private_owner
    if _private_pins != NULL:
        free(_private_pins)
    _private_pins = <int32_t *> calloc(NBuffers, sizeof(int32_t))
    if _private_pins == NULL:
        raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
    _private_owner = NBuffers
    return 0


cdef inline int _private_ready() except -1:
    if _private_owner != NBuffers:
        return _make_private_pins()
    return 0


cdef inline bint _pin(BufferDesc *desc, BufferAccessStrategy strategy) noexcept nogil:
    """Pin; true if the page is valid (PinBuffer)."""
    global _pins
    cdef int32_t *mine = &_private_pins[desc.buf_id]
    cdef uint32_t old, new
    _pins += 1
    mine[0] += 1
    if mine[0] > 1:
        return (atomic_read_u32(&desc.state) & BM_VALID) != 0
    old = atomic_read_u32(&desc.state)
    while True:
        if old & BM_LOCKED:
            old = _unlocked_state(desc)
        new = old + 1
        if strategy == NULL:
            if (old & BUF_USAGECOUNT_MASK) < (BM_MAX_USAGE_COUNT << BUF_USAGECOUNT_SHIFT):
                new += BUF_USAGECOUNT_ONE
        elif (old & BUF_USAGECOUNT_MASK) == 0:
            new += BUF_USAGECOUNT_ONE
        if atomic_compare_exchange_u32(&desc.state, &old, new):
            return (old & BM_VALID) != 0


cdef int pin_locked(BufferDesc *desc) except -1:
    """Pin a buffer whose header is locked, and unlock it (PinBuffer_Locked). This process has no pin on it."""
    global _pins
    _private_ready()
    _pins += 1
    _private_pins[desc.buf_id] += 1
    unlock_buffer_header(desc, atomic_read_u32(&desc.state) + 1)
    return 0


cdef inline void _unpin(BufferDesc *desc) noexcept nogil:
    global _pins
    cdef int32_t *mine = &_private_pins[desc.buf_id]
    cdef uint32_t old
    _pins -= 1
    mine[0] -= 1
    if mine[0] > 0:
        return
    old = atomic_read_u32(&desc.state)
    while True:
        if old & BM_LOCKED:
            old = _unlocked_state(desc)
        if atomic_compare_exchange_u32(&desc.state, &old, old - 1):
            break
    if old & BM_PIN_COUNT_WAITER and (old & BUF_REFCOUNT_MASK) == 2:
        _wake_pin_waiter(desc)


cdef void _wake_pin_waiter(BufferDesc *desc) noexcept nogil:
    cdef uint32_t state = lock_buffer_header(desc)
    cdef int procno
    if state & BM_PIN_COUNT_WAITER and (state & BUF_REFCOUNT_MASK) == 1:
        procno = desc.wait_backend_pgprocno
        unlock_buffer_header(desc, state & ~(<uint32_t> BM_PIN_COUNT_WAITER))
        set_latch(procno)
    else:
        unlock_buffer_header(desc, state)


cdef int buffer_pin_count(Buffer buffer) noexcept nogil:
    if buffer < 0:
        return LocalDescriptors[-buffer - 1].refcount
    if _private_owner != NBuffers:
        return 0
    return _private_pins[buffer - 1]


cdef void release_buffer(Buffer buffer) noexcept:
    """Give up one pin (ReleaseBuffer)."""
    if buffer < 0:
        local_unpin(-buffer - 1)
    else:
        _unpin(buffer_descriptor(buffer))


cdef void unlock_release_buffer(Buffer buffer) noexcept:
    """Release the content lock and one pin (UnlockReleaseBuffer)."""
    lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
    release_buffer(buffer)


cdef int incr_buffer_ref(Buffer buffer) except -1:
    """One more pin on a buffer that this process has pinned (IncrBufferRefCount)."""
    global _pins
    if buffer < 0:
        local_pin(-buffer - 1)
    else:
        _private_pins[buffer - 1] += 1
        _pins += 1
    return 0


# I/O on one buffer

cdef void _wait_io(BufferDesc *desc) noexcept nogil:
    cdef uint32_t sequence
    wait_start(WAIT_EVENT_BUFFER_IO)
    atomic_fetch_add_u32(&desc.io_waiters, 1)
    while True:
        sequence = atomic_load_acquire_u32(&desc.io_sequence)
        if not atomic_load_acquire_u32(&desc.state) & BM_IO_IN_PROGRESS:
            break
        _futex_wait(&desc.io_sequence, sequence)
    atomic_fetch_sub_u32(&desc.io_waiters, 1)
    wait_end()


cdef bint _start_io(BufferDesc *desc, bint for_input) noexcept nogil:
    """Become the one who does the I/O; false if somebody else did it meanwhile (StartBufferIO)."""
    cdef uint32_t state
    while True:
        state = lock_buffer_header(desc)
        if not state & BM_IO_IN_PROGRESS:
            break
        unlock_buffer_header(desc, state)
        _wait_io(desc)
    if (for_input and state & BM_VALID) or (not for_input and not state & BM_DIRTY):
        unlock_buffer_header(desc, state)
        return False
    unlock_buffer_header(desc, state | BM_IO_IN_PROGRESS)
    return True


cdef void _end_io(BufferDesc *desc, bint clear_dirty, uint32_t set_flags) noexcept nogil:
    cdef uint32_t state = lock_buffer_header(desc)
    state &= ~(<uint32_t> (BM_IO_IN_PROGRESS | BM_IO_ERROR))
    if clear_dirty and not state & BM_JUST_DIRTIED:
        state &= ~(<uint32_t> (BM_DIRTY | BM_CHECKPOINT_NEEDED))
    unlock_buffer_header(desc, state | set_flags)
    atomic_fetch_add_u32(&desc.io_sequence, 1)
    if atomic_read_u32(&desc.io_waiters):
        _futex_wake(&desc.io_sequence)


cdef inline int64_t _now_ns() noexcept nogil:
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <int64_t> now.tv_sec * 1000000000 + now.tv_nsec


cdef inline int _context_of(BufferAccessStrategy strategy) noexcept nogil:
    if strategy == NULL:
        return IOCONTEXT_NORMAL
    if strategy.btype == BAS_BULKREAD:
        return IOCONTEXT_BULKREAD
    if strategy.btype == BAS_BULKWRITE:
        return IOCONTEXT_BULKWRITE
    if strategy.btype == BAS_VACUUM:
        return IOCONTEXT_VACUUM
    return IOCONTEXT_NORMAL


cdef int _verify(char *page, const RelFileLocator *locator, int backend, ForkNumber fork, BlockNumber block,
                 bint zero_on_error) except -1:
    """Check a page fresh from disk: XX001 if it is bad and may not be zeroed."""
    cdef int problems = page_is_verified(page, block, data_checksums_enabled)
    if problems == 0:
        return 0
    path = relation_path(locator, backend, fork)
    if problems & 1:
        report(Severity.LOG,
               f"page verification failed, calculated checksum {page_checksum(page, block)} but expected "
               f"{page_header(page).pd_checksum}", sqlstate=errcode.DATA_CORRUPTED)
        if ignore_checksum_failure and not problems & 2:
            report(Severity.WARNING, f'ignoring checksum failure in block {block} of relation "{path}"',
                   sqlstate=errcode.DATA_CORRUPTED)
            return 0
    if zero_on_error or zero_damaged_pages:
        report(Severity.WARNING, f'invalid page in block {block} of relation "{path}"; zeroing out page',
               sqlstate=errcode.DATA_CORRUPTED)
        memset(page, 0, BLCKSZ)
        return 0
    raise SqlError(errcode.DATA_CORRUPTED, f'invalid page in block {block} of relation "{path}"')


cdef int _read_into(BufferDesc *desc, SMgrRelation rel, bint zero_on_error, int context) except -1:
    """Read the block of a pinned buffer, unless somebody else has done so."""
    cdef char *page
    cdef int64_t begin = 0
    if not _start_io(desc, True):
        return 0
    page = BufferBlocks + <size_t> desc.buf_id * BLCKSZ
    if track_io_timing:
        begin = _now_ns()
    try:
        smgr_read(rel, desc.tag.forkNum, desc.tag.blockNum, page)
        _verify(page, &rel.locator, rel.backend, desc.tag.forkNum, desc.tag.blockNum, zero_on_error)
    except:
        _end_io(desc, False, BM_IO_ERROR)
        raise
    if begin:
        _add_read_time(IOOBJECT_RELATION, context, _now_ns() - begin)
    _end_io(desc, False, BM_VALID)
    pgBufferUsage.shared_blks_read += 1
    count_io(IOOBJECT_RELATION, context, IOOP_READ, 1, BLCKSZ)
    return 0


ctypedef int (*writeback_fn)(const BufferTag *tag) except -1

# Told of each buffer written to make room, where backend_flush_after asks for it (`_checkpoint` sets it).
cdef writeback_fn backend_writeback_hook = NULL


def set_backend_writeback_hook(uintptr_t address) -> None:
    """Set the hook; 0 takes it away."""
    global backend_writeback_hook
    backend_writeback_hook = <writeback_fn> address


cdef int flush_buffer(BufferDesc *desc, SMgrRelation rel, int io_context) except -1:
    """Write a dirty buffer. It is pinned and its content lock held, shared at least (FlushBuffer)."""
    cdef char *page = BufferBlocks + <size_t> desc.buf_id * BLCKSZ
    cdef uint32_t state
    cdef Lsn lsn
    cdef RelFileLocator locator
    cdef int64_t begin = 0
    if not _start_io(desc, False):
        return 0
    try:
        if rel == NULL:
            locator = _locator_of(&desc.tag)
            rel = smgr_open(&locator, -1)
        state = lock_buffer_header(desc)
        lsn = page_get_lsn(page)
        # Whoever dirties it from now on sets the flag again, and the buffer stays dirty.
        unlock_buffer_header(desc, state & ~(<uint32_t> BM_JUST_DIRTIED))
        # WAL before data. Unlogged relations have no WAL; their LSNs may be made up.
        if state & BM_PERMANENT and flush_wal_hook != NULL:
            flush_wal_hook(lsn)
        if data_checksums_enabled and not page_is_new(page):
            # Others may set hint bits meanwhile: the checksum must be of what is written.
            memcpy(_copy, page, BLCKSZ)
            page_set_checksum(_copy, desc.tag.blockNum)
            page = _copy
        if track_io_timing:
            begin = _now_ns()
        smgr_write(rel, desc.tag.forkNum, desc.tag.blockNum, page, False)
        if begin:
            _add_write_time(IOOBJECT_RELATION, io_context, IOOP_WRITE, _now_ns() - begin)
    except BaseException as error:
        _end_io(desc, False, BM_IO_ERROR)
        if isinstance(error, SqlError):
            locator = _locator_of(&desc.tag)
            error.add_context(f'writing block {desc.tag.blockNum} of relation '
                              f'"{relation_path(&locator, -1, desc.tag.forkNum)}"')
        raise
    pgBufferUsage.shared_blks_written += 1
    count_io(IOOBJECT_RELATION, io_context, IOOP_WRITE, 1, BLCKSZ)
    _end_io(desc, True, 0)
    return 1


# Replacement

cdef BufferDesc *_clock_sweep(uint32_t *state_out) except NULL:
    """An unpinned buffer, not used lately, header locked (StrategyGetBuffer)."""
    cdef int tries = NBuffers
    cdef BufferDesc *desc
    cdef uint32_t state
    cdef int procno = strategy_control.bgwriter_procno
    if procno >= 0:
        strategy_control.bgwriter_procno = -1
        set_latch(procno)
    atomic_fetch_add_u32(&strategy_control.num_allocs, 1)
    while True:
        desc = &BufferDescriptors[atomic_fetch_add_u32(&strategy_control.next_victim, 1) % <uint32_t> NBuffers]
        state = atomic_read_u32(&desc.state)
        if state & BUF_REFCOUNT_MASK:
            tries -= 1
            if tries == 0:
                raise SqlError(errcode.INTERNAL_ERROR, "no unpinned buffers available")
            continue
        state = lock_buffer_header(desc)
        if not state & BUF_REFCOUNT_MASK:
            if not state & BUF_USAGECOUNT_MASK:
                state_out[0] = state
                return desc
            state -= BUF_USAGECOUNT_ONE
            tries = NBuffers
        unlock_buffer_header(desc, state)


cdef BufferDesc *_from_ring(BufferAccessStrategy strategy) noexcept nogil:
    """The ring's next buffer, header locked, if it may be used again."""
    cdef Buffer buffer
    cdef BufferDesc *desc
    cdef uint32_t state
    strategy.current += 1
    if strategy.current >= strategy.nbuffers:
        strategy.current = 0
    buffer = strategy.buffers[strategy.current]
    if buffer == InvalidBuffer:
        return NULL
    desc = buffer_descriptor(buffer)
    state = lock_buffer_header(desc)
    # A usage count of 2 or more says that others have touched it: leave it to them.
    if not state & BUF_REFCOUNT_MASK and (state & BUF_USAGECOUNT_MASK) <= BUF_USAGECOUNT_ONE:
        return desc
    unlock_buffer_header(desc, state)
    return NULL


cdef BufferDesc *_get_victim(BufferAccessStrategy strategy) except NULL:
    """A clean, pinned buffer that is not in the mapping table (GetVictimBuffer)."""
    cdef BufferDesc *desc
    cdef uint32_t state
    cdef bint from_ring
    cdef int context = _context_of(strategy)
    cdef Lsn lsn
    _private_ready()
    while True:
        desc = NULL
        if strategy != NULL:
            desc = _from_ring(strategy)
        from_ring = desc != NULL
        if desc == NULL:
            desc = _clock_sweep(&state)
        state = atomic_read_u32(&desc.state)
        pin_locked(desc)
        if strategy != NULL and not from_ring:
            strategy.buffers[strategy.current] = desc.buf_id + 1
        try:
            if state & BM_DIRTY:
                # Never wait here: the holder may be waiting for a lock that this process holds.
                if not lwlock_conditional_acquire(&desc.content_lock, LW_SHARED):
                    _unpin(desc)
                    continue
                if from_ring and strategy.btype == BAS_BULKREAD and needs_flush_hook != NULL:
                    lsn = buffer_lsn_atomic(desc.buf_id + 1)
                    if state & BM_PERMANENT and needs_flush_hook(lsn):
                        # A scan that sets hint bits must not wait for the WAL for each page: take another buffer.
                        strategy.buffers[strategy.current] = InvalidBuffer
                        lwlock_release(&desc.content_lock)
                        _unpin(desc)
                        continue
                try:
                    flush_buffer(desc, NULL, context)
                finally:
                    if lwlock_held_by_me(&desc.content_lock):
                        lwlock_release(&desc.content_lock)
                if backend_writeback_hook != NULL:
                    backend_writeback_hook(&desc.tag)
            if state & BM_VALID:
                count_io(IOOBJECT_RELATION, context, IOOP_REUSE if from_ring else IOOP_EVICT, 1, 0)
            if state & BM_TAG_VALID and not _invalidate_victim(desc):
                _unpin(desc)
                continue
        except:
            _unpin(desc)
            raise
        return desc


cdef bint _invalidate_victim(BufferDesc *desc) except -1:
    """Take the tag of a buffer pinned by this process only; false if it came into use again."""
    cdef uint32_t state
    cdef uint32_t hashcode = desc.hashcode
    lwlock_acquire(buffer_mapping_lock(hashcode), LW_EXCLUSIVE)
    state = lock_buffer_header(desc)
    if (state & BUF_REFCOUNT_MASK) != 1 or state & BM_DIRTY:
        unlock_buffer_header(desc, state)
        lwlock_release(buffer_mapping_lock(hashcode))
        return False
    _unmap(desc)
    _clear_tag(desc)
    unlock_buffer_header(desc, state & (BUF_REFCOUNT_MASK | BM_LOCKED))
    lwlock_release(buffer_mapping_lock(hashcode))
    return True


cdef BufferDesc *_alloc(const BufferTag *tag, char persistence, BufferAccessStrategy strategy,
                        bint *valid) except NULL:
    """The buffer for a block, pinned; *valid if its page is there already (BufferAlloc)."""
    cdef uint32_t hashcode = _hash(tag)
    cdef LWLock *partition = buffer_mapping_lock(hashcode)
    cdef BufferDesc *desc
    cdef BufferDesc *victim
    cdef uint32_t state
    cdef int index
    _private_ready()
    lwlock_acquire(partition, LW_SHARED)
    index = _find(tag, hashcode)
    if index >= 0:
        desc = &BufferDescriptors[index]
        valid[0] = _pin(desc, strategy)
        lwlock_release(partition)
        return desc
    lwlock_release(partition)
    victim = _get_victim(strategy)
    lwlock_acquire(partition, LW_EXCLUSIVE)
    index = _find(tag, hashcode)
    if index >= 0:
        # Somebody else was faster. The victim stays free.
        desc = &BufferDescriptors[index]
        _unpin(victim)
        valid[0] = _pin(desc, strategy)
        lwlock_release(partition)
        return desc
    state = lock_buffer_header(victim)
    victim.tag = tag[0]
    state |= BM_TAG_VALID | BUF_USAGECOUNT_ONE
    if persistence == RELPERSISTENCE_PERMANENT or tag.forkNum == 3:
        state |= BM_PERMANENT       # init forks are logged, although their relation is not
    _map(victim, hashcode)
    unlock_buffer_header(victim, state)
    lwlock_release(partition)
    valid[0] = False
    return victim


# Reading

cdef Buffer read_buffer(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block,
                        int mode, BufferAccessStrategy strategy) except 0:
    cdef BufferTag tag
    cdef BufferDesc *desc
    cdef bint valid
    cdef int context
    cdef RelationCounts *counts
    if block == InvalidBlockNumber:
        return extend_relation(locator, persistence, fork, strategy,
                               EB_LOCK_FIRST if mode == RBM_ZERO_AND_LOCK or mode == RBM_ZERO_AND_CLEANUP_LOCK else 0)
    counts = counts_of_locator(locator)
    if persistence == RELPERSISTENCE_TEMP:
        return _read_local(locator, fork, block, mode, counts)
    _make_tag(&tag, locator, fork, block)
    desc = _alloc(&tag, persistence, strategy, &valid)
    context = _context_of(strategy)
    counts.blocks_fetched += 1
    if valid:
        if _nahead == 0 or not _was_read_ahead(&tag):
            counts.blocks_hit += 1
            pgBufferUsage.shared_blks_hit += 1
            io_pending.counts[IOOBJECT_RELATION][context][IOOP_HIT] += 1
        if mode != RBM_ZERO_AND_LOCK and mode != RBM_ZERO_AND_CLEANUP_LOCK:
            return desc.buf_id + 1
    try:
        if mode == RBM_ZERO_AND_LOCK or mode == RBM_ZERO_AND_CLEANUP_LOCK:
            _zero_and_lock(desc, mode, valid)
        else:
            _read_into(desc, smgr_open(locator, -1), mode == RBM_ZERO_ON_ERROR, context)
    except:
        _unpin(desc)
        raise
    return desc.buf_id + 1


cdef int _zero_and_lock(BufferDesc *desc, int mode, bint valid) except -1:
    cdef Buffer buffer = desc.buf_id + 1
    if not valid and _start_io(desc, True):
        memset(buffer_page(buffer), 0, BLCKSZ)
        # Locked before it becomes valid: nobody may see the zeroes.
        lwlock_acquire(&desc.content_lock, LW_EXCLUSIVE)
        _end_io(desc, False, BM_VALID)
    elif mode == RBM_ZERO_AND_LOCK:
        lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
    else:
        lock_buffer_for_cleanup(buffer)
    return 0


cdef inline void _add_read_time(int target, int context, int64_t ns) noexcept nogil:
    """track_io_timing: what a read took."""
    if target == IOOBJECT_RELATION:
        pgBufferUsage.shared_blk_read_ns += ns
    else:
        pgBufferUsage.local_blk_read_ns += ns
    database_counts.block_read_ns += ns
    io_pending.times[target][context][IOOP_READ] += ns


cdef inline void _add_write_time(int target, int context, int operation, int64_t ns) noexcept nogil:
    """track_io_timing: what a write or an extension took."""
    if target == IOOBJECT_RELATION:
        pgBufferUsage.shared_blk_write_ns += ns
    else:
        pgBufferUsage.local_blk_write_ns += ns
    database_counts.block_write_ns += ns
    io_pending.times[target][context][operation] += ns


cdef bint _was_read_ahead(const BufferTag *tag) noexcept nogil:
    """Whether this process read the block ahead and now comes for it: it was counted as read, and is no hit."""
    global _nahead
    cdef AheadWindow *window
    cdef int i
    for i in range(AHEAD_WINDOWS):
        window = &_ahead[i]
        if window.blocks and tag.blockNum - window.first < 64 and tag.relNumber == window.relNumber \
                and tag.forkNum == window.forkNum and tag.dbOid == window.dbOid:
            if not window.blocks >> (tag.blockNum - window.first) & 1:
                return False
            window.blocks &= ~(<uint64_t> 1 << (tag.blockNum - window.first))
            if not window.blocks:
                _nahead -= 1
            return True
    return False


cdef void _remember_ahead(const BufferTag *tag, uint64_t blocks, BlockNumber first) noexcept nogil:
    """These blocks from ``first`` on have been read ahead."""
    global _next_ahead, _nahead
    cdef AheadWindow *window = &_ahead[_next_ahead]
    _next_ahead = (_next_ahead + 1) % AHEAD_WINDOWS
    if not window.blocks:
        _nahead += 1
    window.relNumber = tag.relNumber
    window.dbOid = tag.dbOid
    window.forkNum = tag.forkNum
    window.first = first
    window.blocks = blocks


cdef Buffer _read_local(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, int mode,
                        RelationCounts *counts) except 0:
    cdef bint found
    cdef int64_t begin = 0
    cdef int index = local_alloc(locator, fork, block, &found)
    cdef char *page
    counts.blocks_fetched += 1
    if found:
        counts.blocks_hit += 1
        pgBufferUsage.local_blks_hit += 1
        io_pending.counts[IOOBJECT_TEMP_RELATION][IOCONTEXT_NORMAL][IOOP_HIT] += 1
        return -index - 1
    page = buffer_page(-index - 1)
    if mode == RBM_ZERO_AND_LOCK or mode == RBM_ZERO_AND_CLEANUP_LOCK:
        memset(page, 0, BLCKSZ)
    else:
        if track_io_timing:
            begin = _now_ns()
        try:
            smgr_read(smgr_open(locator, MyProcNumber), fork, block, page)
            if begin:
                _add_read_time(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, _now_ns() - begin)
            _verify(page, locator, MyProcNumber, fork, block, mode == RBM_ZERO_ON_ERROR)
        except:
            local_unpin(index)
            raise
        pgBufferUsage.local_blks_read += 1
        count_io(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, IOOP_READ, 1, BLCKSZ)
    LocalDescriptors[index].flags |= LOCAL_VALID
    return -index - 1


cdef inline void _count_hit(RelationCounts *counts) noexcept nogil:
    counts.blocks_fetched += 1
    counts.blocks_hit += 1


cdef int read_recent_buffer(const RelFileLocator *locator, ForkNumber fork, BlockNumber block,
                            Buffer recent) except -1:
    cdef BufferDesc *desc
    cdef BufferTag tag
    cdef uint32_t state
    if recent < 0:
        if -recent > NLocalBuffers:
            return 0
        if (LocalDescriptors[-recent - 1].block == block and LocalDescriptors[-recent - 1].fork == fork
                and LocalDescriptors[-recent - 1].flags & LOCAL_VALID
                and LocalDescriptors[-recent - 1].locator.relNumber == locator.relNumber
                and LocalDescriptors[-recent - 1].locator.dbOid == locator.dbOid):
            local_pin(-recent - 1)
            pgBufferUsage.local_blks_hit += 1
            io_pending.counts[IOOBJECT_TEMP_RELATION][IOCONTEXT_NORMAL][IOOP_HIT] += 1
            _count_hit(counts_of_locator(locator))
            return 1
        return 0
    if recent == 0 or recent > NBuffers:
        return 0
    _private_ready()
    desc = buffer_descriptor(recent)
    _make_tag(&tag, locator, fork, block)
    if not _same(&desc.tag, &tag):
        return 0
    # Pin first, then look again: a pinned buffer keeps its tag.
    if _pin(desc, NULL):
        if _same(&desc.tag, &tag):
            pgBufferUsage.shared_blks_hit += 1
            io_pending.counts[IOOBJECT_RELATION][IOCONTEXT_NORMAL][IOOP_HIT] += 1
            _count_hit(counts_of_locator(locator))
            return 1
    _unpin(desc)
    return 0


cdef Buffer release_and_read_buffer(Buffer buffer, const RelFileLocator *locator, char persistence, ForkNumber fork,
                                    BlockNumber block, int mode, BufferAccessStrategy strategy) except 0:
    cdef BufferTag tag
    if buffer > 0:
        _make_tag(&tag, locator, fork, block)
        if _same(&buffer_descriptor(buffer).tag, &tag):
            return buffer
        release_buffer(buffer)
    elif buffer < 0:
        release_buffer(buffer)
    return read_buffer(locator, persistence, fork, block, mode, strategy)


cdef int prefetch_buffer(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block) except -1:
    """Ask the kernel for a block that is not in the pool; 1 if it was asked (PrefetchBuffer)."""
    cdef BufferTag tag
    cdef uint32_t hashcode
    cdef int index
    if persistence == RELPERSISTENCE_TEMP:
        return smgr_prefetch(smgr_open(locator, MyProcNumber), fork, block, 1)
    _make_tag(&tag, locator, fork, block)
    hashcode = _hash(&tag)
    lwlock_acquire(buffer_mapping_lock(hashcode), LW_SHARED)
    index = _find(&tag, hashcode)
    lwlock_release(buffer_mapping_lock(hashcode))
    if index >= 0:
        return 0
    return smgr_prefetch(smgr_open(locator, -1), fork, block, 1)


cdef int read_ahead(const RelFileLocator *locator, char persistence, ForkNumber fork, BlockNumber block, int nblocks,
                    BufferAccessStrategy strategy) except -1:
    """Bring blocks into the pool, neighbours with one read each; returns how many were read."""
    cdef BufferDesc *run[MAX_READ_AHEAD]
    cdef void *pages[MAX_READ_AHEAD]
    cdef SMgrRelation rel
    cdef BufferTag tag
    cdef BufferDesc *desc
    cdef bint valid
    cdef int nrun = 0
    cdef int nread = 0
    cdef int i
    cdef int limit = max(1, min(MAX_READ_AHEAD, NBuffers // 16))
    cdef BlockNumber end = block + <BlockNumber> nblocks
    if persistence == RELPERSISTENCE_TEMP:
        return 0
    rel = smgr_open(locator, -1)
    if strategy != NULL and strategy.nbuffers // 2 < limit:
        limit = max(1, strategy.nbuffers // 2)
    while block < end or nrun:
        desc = NULL
        if block < end and nrun < limit:
            _make_tag(&tag, locator, fork, block)
            desc = _alloc(&tag, persistence, strategy, &valid)
            block += 1
            if not valid and _try_start_input(desc):
                run[nrun] = desc
                pages[nrun] = BufferBlocks + <size_t> desc.buf_id * BLCKSZ
                nrun += 1
                continue
            _unpin(desc)
        if nrun:
            _read_run(rel, fork, run, pages, nrun, _context_of(strategy))
            nread += nrun
            nrun = 0
    return nread


cdef bint _try_start_input(BufferDesc *desc) noexcept nogil:
    """Like _start_io for input, but never waits: who has I/Os of its own under way must not wait for others'."""
    cdef uint32_t state = lock_buffer_header(desc)
    if state & (BM_IO_IN_PROGRESS | BM_VALID):
        unlock_buffer_header(desc, state)
        return False
    unlock_buffer_header(desc, state | BM_IO_IN_PROGRESS)
    return True


cdef int _read_run(SMgrRelation rel, ForkNumber fork, BufferDesc **run, void **pages, int nrun, int context) except -1:
    cdef int i = 0
    cdef int64_t begin = _now_ns() if track_io_timing else 0
    cdef BufferTag tag = run[0].tag     # while it is pinned
    try:
        smgr_readv(rel, fork, run[0].tag.blockNum, pages, nrun)
        if begin:
            _add_read_time(IOOBJECT_RELATION, context, _now_ns() - begin)
        while i < nrun:
            if page_is_verified(<char *> pages[i], run[i].tag.blockNum, data_checksums_enabled) == 0:
                _end_io(run[i], False, BM_VALID)
            else:
                # Who really wants the block shall get the error.
                _end_io(run[i], False, 0)
            _unpin(run[i])
            i += 1
    except:
        while i < nrun:
            _end_io(run[i], False, BM_IO_ERROR)
            _unpin(run[i])
            i += 1
        raise
    pgBufferUsage.shared_blks_read += nrun
    count_io(IOOBJECT_RELATION, context, IOOP_READ, 1, nrun * BLCKSZ)
    _remember_ahead(&tag, (<uint64_t> 1 << nrun) - 1, tag.blockNum)
    return 0


cdef long long relation_nblocks(const RelFileLocator *locator, char persistence, ForkNumber fork) except -1:
    """Length of a fork in blocks (RelationGetNumberOfBlocksInFork)."""
    return smgr_nblocks(smgr_open(locator, MyProcNumber if persistence == RELPERSISTENCE_TEMP else -1), fork)


# Extending

cdef LWLock *_extension_lock_of(const RelFileLocator *locator) noexcept nogil:
    cdef uint32_t h = (locator.relNumber ^ (locator.dbOid * <uint32_t> 2246822519)) * <uint32_t> 2654435761
    return <LWLock *> (_extension_locks + (h >> 25) * LW_LOCK_STRIDE)


cdef int extension_waiters(const RelFileLocator *locator) noexcept nogil:
    return <int> (_extension_lock_of(locator).waiters & 0xFFFF)


cdef int _extension_lock(const RelFileLocator *locator, bint acquire) except -1:
    if extension_lock_hook != NULL:
        return extension_lock_hook(locator, acquire)
    cdef LWLock *lock = _extension_lock_of(locator)
    if acquire:
        lwlock_acquire(lock, LW_EXCLUSIVE)
    elif lwlock_held_by_me(lock):
        lwlock_release(lock)
    return 0


cdef Buffer extend_relation(const RelFileLocator *locator, char persistence, ForkNumber fork,
                            BufferAccessStrategy strategy, int flags) except 0:
    cdef Buffer buffer
    cdef BlockNumber first
    extend_relation_by(locator, persistence, fork, strategy, flags, 1, &buffer, &first)
    return buffer


cdef int extend_relation_by(const RelFileLocator *locator, char persistence, ForkNumber fork,
                            BufferAccessStrategy strategy, int flags, int extend_by, Buffer *buffers,
                            BlockNumber *first_block) except -1:
    if extend_by > MAX_EXTEND:
        extend_by = MAX_EXTEND
    if extend_by > max(1, NBuffers // 16) and persistence != RELPERSISTENCE_TEMP:
        extend_by = max(1, NBuffers // 16)
    if persistence == RELPERSISTENCE_TEMP:
        return _extend_local(locator, fork, flags, extend_by, buffers, first_block)
    return _extend_shared(locator, persistence, fork, strategy, flags, extend_by, InvalidBlockNumber, buffers,
                          first_block)


cdef int _create_fork_if_needed(SMgrRelation rel, ForkNumber fork, int flags) except -1:
    if flags & EB_CREATE_FORK_IF_NEEDED and not smgr_exists(rel, fork):
        smgr_create(rel, fork, (flags & EB_PERFORMING_RECOVERY) != 0)
    return 0


cdef int _extend_shared(const RelFileLocator *locator, char persistence, ForkNumber fork,
                        BufferAccessStrategy strategy, int flags, int extend_by, BlockNumber upto, Buffer *buffers,
                        BlockNumber *first_block) except -1:
    """Add blocks, with `upto` not beyond that length; returns how many (ExtendBufferedRelShared)."""
    cdef SMgrRelation rel = smgr_open(locator, -1)
    cdef BlockNumber first
    cdef BufferDesc *desc
    cdef BufferTag tag
    cdef int nvictims = 0
    cdef int nstarted = 0
    cdef int64_t begin = 0
    cdef int i, index
    cdef uint32_t hashcode, state
    cdef LWLock *partition
    cdef bint locked = False
    try:
        # Victims first: finding them may take writes, which nobody should wait for under the extension lock.
        while nvictims < extend_by:
            desc = _get_victim(strategy)
            buffers[nvictims] = desc.buf_id + 1
            nvictims += 1
            memset(buffer_page(desc.buf_id + 1), 0, BLCKSZ)
        if not flags & EB_SKIP_EXTENSION_LOCK:
            _extension_lock(locator, True)
            locked = True
        _create_fork_if_needed(rel, fork, flags)
        if flags & EB_CLEAR_SIZE_CACHE:
            rel.cached_nblocks[fork] = InvalidBlockNumber
        first = <BlockNumber> smgr_nblocks(rel, fork)
        if upto != InvalidBlockNumber:
            while extend_by > 0 and first + <BlockNumber> extend_by > upto:
                extend_by -= 1
                nvictims -= 1
                _unpin(buffer_descriptor(buffers[nvictims]))
        if <uint64_t> first + <uint64_t> extend_by >= <uint64_t> InvalidBlockNumber:
            raise SqlError(errcode.PROGRAM_LIMIT_EXCEEDED,
                           f'cannot extend relation "{relation_path(locator, -1, fork)}" beyond '
                           f'{InvalidBlockNumber} blocks')
        for i in range(extend_by):
            _make_tag(&tag, locator, fork, first + <BlockNumber> i)
            hashcode = _hash(&tag)
            partition = buffer_mapping_lock(hashcode)
            desc = buffer_descriptor(buffers[i])
            lwlock_acquire(partition, LW_EXCLUSIVE)
            index = _find(&tag, hashcode)
            if index >= 0:
                # Left over from an extension that failed, or from a read past the end: it must be empty.
                _unpin(desc)
                desc = &BufferDescriptors[index]
                _pin(desc, strategy)
                buffers[i] = index + 1
                lwlock_release(partition)
                if atomic_read_u32(&desc.state) & BM_VALID and not page_is_new(buffer_page(index + 1)):
                    raise SqlError(errcode.INTERNAL_ERROR,
                                   f'unexpected data beyond EOF in block {tag.blockNum} of relation '
                                   f'"{relation_path(locator, -1, fork)}"')
                state = lock_buffer_header(desc)
                unlock_buffer_header(desc, state & ~(<uint32_t> BM_VALID))
                while not _start_io(desc, True):
                    state = lock_buffer_header(desc)
                    unlock_buffer_header(desc, state & ~(<uint32_t> BM_VALID))
            else:
                state = lock_buffer_header(desc)
                desc.tag = tag
                state |= BM_TAG_VALID | BUF_USAGECOUNT_ONE
                if persistence == RELPERSISTENCE_PERMANENT or fork == 3:
                    state |= BM_PERMANENT
                _map(desc, hashcode)
                unlock_buffer_header(desc, state)
                lwlock_release(partition)
                _start_io(desc, True)
            nstarted += 1
        if extend_by > 0:
            if track_io_timing:
                begin = _now_ns()
            smgr_zero_extend(rel, fork, first, extend_by, False)
            if begin:
                _add_write_time(IOOBJECT_RELATION, _context_of(strategy), IOOP_EXTEND, _now_ns() - begin)
        if locked:
            locked = False
            _extension_lock(locator, False)
    except:
        for i in range(nstarted):
            _end_io(buffer_descriptor(buffers[i]), False, BM_IO_ERROR)
        for i in range(nvictims):
            _unpin(buffer_descriptor(buffers[i]))
        if locked:
            _extension_lock(locator, False)
        raise
    for i in range(extend_by):
        desc = buffer_descriptor(buffers[i])
        if (flags & EB_LOCK_FIRST and i == 0) or (flags & EB_LOCK_TARGET and first + <BlockNumber> i + 1 == upto):
            lwlock_acquire(&desc.content_lock, LW_EXCLUSIVE)
        _end_io(desc, False, BM_VALID)
    pgBufferUsage.shared_blks_written += extend_by
    count_io(IOOBJECT_RELATION, _context_of(strategy), IOOP_EXTEND, 1, extend_by * BLCKSZ)
    first_block[0] = first
    return extend_by


cdef int _extend_local(const RelFileLocator *locator, ForkNumber fork, int flags, int extend_by, Buffer *buffers,
                       BlockNumber *first_block) except -1:
    cdef SMgrRelation rel = smgr_open(locator, MyProcNumber)
    cdef BlockNumber first
    cdef int64_t begin = 0
    cdef bint found
    cdef int i = 0
    cdef int index
    _create_fork_if_needed(rel, fork, flags)
    first = <BlockNumber> smgr_nblocks(rel, fork)
    try:
        while i < extend_by:
            index = local_alloc(locator, fork, first + <BlockNumber> i, &found)
            buffers[i] = -index - 1
            i += 1
            memset(buffer_page(-index - 1), 0, BLCKSZ)
        if track_io_timing:
            begin = _now_ns()
        smgr_zero_extend(rel, fork, first, extend_by, False)
        if begin:
            _add_write_time(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, IOOP_EXTEND, _now_ns() - begin)
    except:
        while i > 0:
            i -= 1
            local_unpin(-buffers[i] - 1)
        raise
    for i in range(extend_by):
        LocalDescriptors[-buffers[i] - 1].flags |= LOCAL_VALID
    pgBufferUsage.local_blks_written += extend_by
    count_io(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, IOOP_EXTEND, 1, extend_by * BLCKSZ)
    first_block[0] = first
    return extend_by


cdef Buffer extend_relation_to(const RelFileLocator *locator, char persistence, ForkNumber fork,
                               BufferAccessStrategy strategy, int flags, BlockNumber extend_to, int mode) except 0:
    cdef SMgrRelation rel = smgr_open(locator, MyProcNumber if persistence == RELPERSISTENCE_TEMP else -1)
    cdef Buffer buffers[MAX_EXTEND]
    cdef BlockNumber first, current
    cdef Buffer target = 0
    cdef int n, i
    if flags & EB_CREATE_FORK_IF_NEEDED and (
            smgr_nblocks_cached(rel, fork) <= 0 and not smgr_exists(rel, fork)):
        _extension_lock(locator, True)
        try:
            _create_fork_if_needed(rel, fork, flags)
        finally:
            _extension_lock(locator, False)
    if flags & EB_CLEAR_SIZE_CACHE:
        rel.cached_nblocks[fork] = InvalidBlockNumber
    current = <BlockNumber> smgr_nblocks(rel, fork)
    if mode == RBM_ZERO_AND_LOCK or mode == RBM_ZERO_AND_CLEANUP_LOCK:
        flags |= EB_LOCK_TARGET
    while current < extend_to:
        n = <int> min(<BlockNumber> MAX_EXTEND, extend_to - current)
        if persistence == RELPERSISTENCE_TEMP:
            n = _extend_local(locator, fork, flags, n, buffers, &first)
        else:
            n = _extend_shared(locator, persistence, fork, strategy, flags & ~EB_LOCK_FIRST,
                               min(n, max(1, NBuffers // 16)), extend_to, buffers, &first)
        current = first + <BlockNumber> n
        for i in range(n):
            if first + <BlockNumber> i + 1 == extend_to:
                target = buffers[i]
            else:
                release_buffer(buffers[i])
    if target == 0:
        return read_buffer(locator, persistence, fork, extend_to - 1, mode, strategy)
    return target


# Content locks

cdef int lock_buffer(Buffer buffer, int mode) except -1:
    """Lock or unlock the page's content (LockBuffer). Local buffers need no lock."""
    if buffer < 0:
        return 0
    cdef LWLock *lock = &buffer_descriptor(buffer).content_lock
    if TUSK_DEBUG and buffer_pin_count(buffer) == 0:
        raise Panic(errcode.INTERNAL_ERROR, f"content lock of buffer {buffer} used without a pin")
    if mode == BUFFER_LOCK_UNLOCK:
        return lwlock_release(lock)
    return lwlock_acquire(lock, LW_SHARED if mode == BUFFER_LOCK_SHARE else LW_EXCLUSIVE)


cdef int conditional_lock_buffer(Buffer buffer) except -1:
    if buffer < 0:
        return 1
    return lwlock_conditional_acquire(&buffer_descriptor(buffer).content_lock, LW_EXCLUSIVE)


cdef int lock_buffer_for_cleanup(Buffer buffer) except -1:
    """Lock exclusively when nobody else has a pin (LockBufferForCleanup). Waits; interrupts are served."""
    global _pin_count_wait
    cdef BufferDesc *desc
    cdef uint32_t state
    if buffer_pin_count(buffer) != 1:
        raise SqlError(errcode.INTERNAL_ERROR, f"incorrect local pin count: {buffer_pin_count(buffer)}")
    if buffer < 0:
        return 0
    desc = buffer_descriptor(buffer)
    while True:
        lwlock_acquire(&desc.content_lock, LW_EXCLUSIVE)
        state = lock_buffer_header(desc)
        if (state & BUF_REFCOUNT_MASK) == 1:
            unlock_buffer_header(desc, state)
            return 0
        if state & BM_PIN_COUNT_WAITER:
            unlock_buffer_header(desc, state)
            lwlock_release(&desc.content_lock)
            raise SqlError(errcode.INTERNAL_ERROR, "multiple processes attempting to wait for pincount 1")
        desc.wait_backend_pgprocno = MyProcNumber
        _pin_count_wait = desc
        unlock_buffer_header(desc, state | BM_PIN_COUNT_WAITER)
        lwlock_release(&desc.content_lock)
        try:
            wait_latch(-1, WAIT_EVENT_BUFFER_PIN)
            reset_latch()
            check_for_interrupts()
        finally:
            unlock_buffers()


cdef void unlock_buffers() noexcept:
    """Stop waiting for the only pin: also after an error (UnlockBuffers)."""
    global _pin_count_wait
    cdef BufferDesc *desc = _pin_count_wait
    cdef uint32_t state
    if desc == NULL:
        return
    state = lock_buffer_header(desc)
    if state & BM_PIN_COUNT_WAITER and desc.wait_backend_pgprocno == MyProcNumber:
        state &= ~(<uint32_t> BM_PIN_COUNT_WAITER)
    unlock_buffer_header(desc, state)
    _pin_count_wait = NULL


cdef int conditional_lock_buffer_for_cleanup(Buffer buffer) except -1:
    cdef BufferDesc *desc
    cdef uint32_t state
    if buffer < 0:
        return LocalDescriptors[-buffer - 1].refcount == 1
    if _private_pins[buffer - 1] != 1 or not conditional_lock_buffer(buffer):
        return 0
    desc = buffer_descriptor(buffer)
    state = lock_buffer_header(desc)
    unlock_buffer_header(desc, state)
    if (state & BUF_REFCOUNT_MASK) == 1:
        return 1
    lwlock_release(&desc.content_lock)
    return 0


cdef int is_buffer_cleanup_ok(Buffer buffer) except -1:
    """The exclusive lock is held: is it as good as a cleanup lock? (IsBufferCleanupOK)"""
    cdef uint32_t state
    if buffer < 0:
        return LocalDescriptors[-buffer - 1].refcount == 1
    if _private_pins[buffer - 1] != 1:
        return 0
    state = lock_buffer_header(buffer_descriptor(buffer))
    unlock_buffer_header(buffer_descriptor(buffer), state)
    return (state & BUF_REFCOUNT_MASK) == 1


cdef bint buffer_is_exclusive_locked(Buffer buffer) noexcept nogil:
    return buffer < 0 or lwlock_held_by_me_in_mode(&buffer_descriptor(buffer).content_lock, LW_EXCLUSIVE)


cdef bint buffer_is_locked(Buffer buffer) noexcept nogil:
    return buffer < 0 or lwlock_held_by_me(&buffer_descriptor(buffer).content_lock)


# State

cdef int mark_buffer_dirty(Buffer buffer) except -1:
    """The page has changed; pinned and locked exclusively (MarkBufferDirty)."""
    cdef BufferDesc *desc
    cdef uint32_t old
    if buffer < 0:
        if not LocalDescriptors[-buffer - 1].flags & LOCAL_DIRTY:
            LocalDescriptors[-buffer - 1].flags |= LOCAL_DIRTY
            pgBufferUsage.local_blks_dirtied += 1
        return 0
    desc = buffer_descriptor(buffer)
    assert buffer_is_exclusive_locked(buffer)
    old = atomic_read_u32(&desc.state)
    while True:
        if old & BM_LOCKED:
            old = _unlocked_state(desc)
        if atomic_compare_exchange_u32(&desc.state, &old, old | BM_DIRTY | BM_JUST_DIRTIED):
            break
    if not old & BM_DIRTY:
        pgBufferUsage.shared_blks_dirtied += 1
    return 0


cdef int mark_buffer_dirty_hint(Buffer buffer, bint buffer_std) except -1:
    """Only hint bits have changed; pinned and locked, shared at least (MarkBufferDirtyHint)."""
    cdef BufferDesc *desc
    cdef uint32_t state
    cdef int needs_wal
    cdef bint delayed = False
    cdef Lsn lsn = 0
    if buffer < 0:
        LocalDescriptors[-buffer - 1].flags |= LOCAL_DIRTY
        return 0
    desc = buffer_descriptor(buffer)
    state = atomic_read_u32(&desc.state)
    if (state & (BM_DIRTY | BM_JUST_DIRTIED)) == (BM_DIRTY | BM_JUST_DIRTIED):
        return 0
    if state & BM_PERMANENT and hint_needs_wal_hook != NULL:
        needs_wal = hint_needs_wal_hook()
        if needs_wal == 2:
            return 0
        if needs_wal == 1 and log_hint_hook != NULL:
            # A checkpoint must not begin between the record and the dirty flag: it would miss the page.
            if MyProc != NULL and not MyProc.delayChkptFlags & DELAY_CHKPT_START:
                MyProc.delayChkptFlags |= DELAY_CHKPT_START
                delayed = True
            try:
                lsn = log_hint_hook(buffer, buffer_std)
            except:
                if delayed:
                    MyProc.delayChkptFlags &= ~DELAY_CHKPT_START
                raise
    state = lock_buffer_header(desc)
    if not state & BM_DIRTY:
        pgBufferUsage.shared_blks_dirtied += 1
        if lsn != 0:
            # Under the header lock, because the content lock may be shared (buffer_lsn_atomic).
            page_set_lsn(buffer_page(buffer), lsn)
    unlock_buffer_header(desc, state | BM_DIRTY | BM_JUST_DIRTIED)
    if delayed:
        MyProc.delayChkptFlags &= ~DELAY_CHKPT_START
    return 0


cdef bint buffer_is_dirty(Buffer buffer) noexcept nogil:
    if buffer < 0:
        return (LocalDescriptors[-buffer - 1].flags & LOCAL_DIRTY) != 0
    return (atomic_read_u32(&buffer_descriptor(buffer).state) & BM_DIRTY) != 0


cdef bint buffer_is_permanent(Buffer buffer) noexcept nogil:
    return buffer > 0 and (atomic_read_u32(&buffer_descriptor(buffer).state) & BM_PERMANENT) != 0


cdef Lsn buffer_lsn_atomic(Buffer buffer) noexcept nogil:
    """The page's LSN under a shared content lock (BufferGetLSNAtomic)."""
    cdef uint32_t state
    cdef Lsn lsn
    if buffer < 0 or hint_needs_wal_hook == NULL:
        return page_get_lsn(buffer_page(buffer))
    state = lock_buffer_header(buffer_descriptor(buffer))
    lsn = page_get_lsn(buffer_page(buffer))
    unlock_buffer_header(buffer_descriptor(buffer), state)
    return lsn


cdef BlockNumber buffer_block(Buffer buffer) noexcept nogil:
    """The block number in a pinned buffer (BufferGetBlockNumber)."""
    if buffer < 0:
        return LocalDescriptors[-buffer - 1].block
    return buffer_descriptor(buffer).tag.blockNum


cdef void buffer_tag(Buffer buffer, RelFileLocator *locator, ForkNumber *fork, BlockNumber *block) noexcept nogil:
    if buffer < 0:
        locator[0] = LocalDescriptors[-buffer - 1].locator
        fork[0] = LocalDescriptors[-buffer - 1].fork
        block[0] = LocalDescriptors[-buffer - 1].block
    else:
        locator[0] = _locator_of(&buffer_descriptor(buffer).tag)
        fork[0] = buffer_descriptor(buffer).tag.forkNum
        block[0] = buffer_descriptor(buffer).tag.blockNum


# Writing out and dropping whole relations

cdef int flush_one_buffer(Buffer buffer) except -1:
    if buffer < 0:
        return local_flush(-buffer - 1)
    return flush_buffer(buffer_descriptor(buffer), NULL, IOCONTEXT_NORMAL)


cdef int _flush_locked_header(BufferDesc *desc, uint32_t state, SMgrRelation rel) except -1:
    """Write the buffer if it is dirty; its header is locked on entry."""
    if (state & (BM_VALID | BM_DIRTY)) != (BM_VALID | BM_DIRTY):
        unlock_buffer_header(desc, state)
        return 0
    pin_locked(desc)
    try:
        lwlock_acquire(&desc.content_lock, LW_SHARED)
        try:
            flush_buffer(desc, rel, IOCONTEXT_NORMAL)
        finally:
            if lwlock_held_by_me(&desc.content_lock):
                lwlock_release(&desc.content_lock)
    finally:
        _unpin(desc)
    return 0


cdef int flush_relation_buffers(const RelFileLocator *locator, char persistence) except -1:
    """Write all dirty buffers of a relation (FlushRelationBuffers)."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    cdef SMgrRelation rel
    if persistence == RELPERSISTENCE_TEMP:
        return local_flush_relation(locator)
    rel = smgr_open(locator, -1)
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if not _of(&desc.tag, locator):     # checked again under the lock
            continue
        state = lock_buffer_header(desc)
        if _of(&desc.tag, locator):
            _flush_locked_header(desc, state, rel)
        else:
            unlock_buffer_header(desc, state)
    return 0


cdef int flush_database_buffers(Oid database) except -1:
    """Write all dirty buffers of a database (FlushDatabaseBuffers)."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if desc.tag.dbOid != database:
            continue
        state = lock_buffer_header(desc)
        if desc.tag.dbOid == database:
            _flush_locked_header(desc, state, NULL)
        else:
            unlock_buffer_header(desc, state)
    return 0


cdef int _invalidate(BufferDesc *desc, uint32_t state) except -1:
    """Take a buffer out of the pool, dirty or not; its header is locked on entry (InvalidateBuffer)."""
    cdef BufferTag tag = desc.tag
    cdef uint32_t hashcode = desc.hashcode
    cdef LWLock *partition = buffer_mapping_lock(hashcode)
    unlock_buffer_header(desc, state)
    while True:
        lwlock_acquire(partition, LW_EXCLUSIVE)
        state = lock_buffer_header(desc)
        if not state & BM_TAG_VALID or not _same(&desc.tag, &tag):
            unlock_buffer_header(desc, state)
            lwlock_release(partition)
            return 0
        if not state & BUF_REFCOUNT_MASK:
            break
        # Somebody is writing it: nobody else has a reason to pin what is being dropped.
        unlock_buffer_header(desc, state)
        lwlock_release(partition)
        if _private_owner == NBuffers and _private_pins[desc.buf_id] > 0:
            raise SqlError(errcode.INTERNAL_ERROR, "buffer is pinned in InvalidateBuffer")
        if state & BM_IO_IN_PROGRESS:
            _wait_io(desc)
        else:
            sched_yield()
    _unmap(desc)
    _clear_tag(desc)
    unlock_buffer_header(desc, 0)
    lwlock_release(partition)
    return 0


cdef int drop_relation_buffers(const RelFileLocator *locator, int backend, ForkNumber fork,
                               BlockNumber first) except -1:
    """Forget a fork's blocks from `first` on without writing them (DropRelationBuffers)."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    if backend >= 0:
        return local_drop(locator, fork, first) if backend == MyProcNumber else 0
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if not _of(&desc.tag, locator):
            continue
        state = lock_buffer_header(desc)
        if _of(&desc.tag, locator) and desc.tag.forkNum == fork and desc.tag.blockNum >= first:
            _invalidate(desc, state)
        else:
            unlock_buffer_header(desc, state)
    return 0


cdef int drop_relation_all_buffers(const RelFileLocator *locator, int backend) except -1:
    """Forget all blocks of a relation that is being dropped (DropRelationsAllBuffers)."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    if backend >= 0:
        return local_drop(locator, -1, 0) if backend == MyProcNumber else 0
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if not _of(&desc.tag, locator):
            continue
        state = lock_buffer_header(desc)
        if _of(&desc.tag, locator):
            _invalidate(desc, state)
        else:
            unlock_buffer_header(desc, state)
    return 0


cdef int drop_database_buffers(Oid database) except -1:
    """Forget all blocks of a database that is being dropped (DropDatabaseBuffers)."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if desc.tag.dbOid != database:
            continue
        state = lock_buffer_header(desc)
        if desc.tag.dbOid == database:
            _invalidate(desc, state)
        else:
            unlock_buffer_header(desc, state)
    return 0


_smgr.drop_buffers_hook = drop_relation_buffers
_smgr.drop_all_buffers_hook = drop_relation_all_buffers


# Strategies

cdef BufferAccessStrategy get_access_strategy(int btype) except NULL:
    """A ring for bulk reads (256 kB), bulk writes (16 MB) or vacuum (2 MB) (GetAccessStrategy)."""
    return get_access_strategy_with_size(btype, 256 if btype == BAS_BULKREAD else
                                         16384 if btype == BAS_BULKWRITE else 2048)


cdef BufferAccessStrategy get_access_strategy_with_size(int btype, int ring_size_kb) except? NULL:
    """A ring of this size, at most an eighth of the pool; NULL for size 0: no ring."""
    cdef BufferAccessStrategy strategy
    cdef int nbuffers = min(ring_size_kb // (BLCKSZ // 1024), max(1, NBuffers // 8))
    if nbuffers <= 0:
        return NULL
    strategy = <BufferAccessStrategy> calloc(1, sizeof(BufferAccessStrategyData))
    if strategy != NULL:
        strategy.buffers = <Buffer *> calloc(nbuffers, sizeof(Buffer))
    if strategy == NULL or strategy.buffers == NULL:
        free(strategy)
        raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
    strategy.btype = btype
    strategy.nbuffers = nbuffers
    return strategy


cdef void free_access_strategy(BufferAccessStrategy strategy) noexcept:
    if strategy != NULL:
        free(strategy.buffers)
        free(strategy)


# Ends of transactions

cdef int at_end_of_transaction_buffers(bint is_commit) except -1:
    """Warn of pins that a commit has left, and drop them (AtEOXact_Buffers)."""
    if TUSK_DEBUG and is_commit and _lwlock.held_count():
        raise Panic(errcode.INTERNAL_ERROR, f"LWLocks held at commit: {_lwlock.held_locks()}")
    if _pins == 0 and local_pins == 0:
        return 0
    if is_commit:
        for description in leaked_pins():
            report(Severity.WARNING, f"buffer refcount leak: {description}")
    release_all_pins()
    return 0


cdef void release_all_pins() noexcept:
    """Drop every pin of this process: after an error."""
    cdef int i
    if _pins > 0 and _private_owner == NBuffers:
        for i in range(NBuffers):
            while _private_pins[i] > 0:
                _unpin(&BufferDescriptors[i])
    if local_pins > 0:
        local_release_all()


def leaked_pins() -> list[str]:
    """Descriptions of the buffers this process has pinned."""
    cdef int i
    cdef BufferDesc *desc
    cdef RelFileLocator locator
    result = []
    if _pins > 0 and _private_owner == NBuffers:
        for i in range(NBuffers):
            if _private_pins[i] > 0:
                desc = &BufferDescriptors[i]
                locator = _locator_of(&desc.tag)
                result.append(f"[{i + 1}] (rel={relation_path(&locator, -1, desc.tag.forkNum)}, "
                              f"blockNum={desc.tag.blockNum}, flags=0x{desc.state >> 22:x}, "
                              f"refcount={desc.state & BUF_REFCOUNT_MASK} {_private_pins[i]})")
    for i in range(NLocalBuffers):
        if LocalDescriptors[i].refcount > 0:
            locator = LocalDescriptors[i].locator
            result.append(f"[{-i - 1}] (rel={relation_path(&locator, MyProcNumber, LocalDescriptors[i].fork)}, "
                          f"blockNum={LocalDescriptors[i].block}, refcount={LocalDescriptors[i].refcount})")
    return result


# For Python. Locators are (tablespace, database, relation number).

cdef RelFileLocator _native(tuple locator) except *:
    cdef RelFileLocator native
    native.spcOid, native.dbOid, native.relNumber = locator
    return native


cdef class pinned:
    """``with pinned(locator, block) as buf:`` the guard for code outside kernels.

    ``lock`` is None, "share" or "exclusive". Inside, `page` is a writable memoryview of the page.
    """

    cdef readonly int buffer
    cdef RelFileLocator _locator
    cdef char _persistence
    cdef int _fork, _mode, _lock
    cdef BlockNumber _block

    def __init__(self, tuple locator, block: int, fork: int = 0, lock: str | None = None,
                 persistence: str = "p", mode: int = RBM_NORMAL) -> None:
        self._locator = _native(locator)
        self._block = <BlockNumber> (block & 0xFFFFFFFF)
        self._fork = fork
        self._mode = mode
        self._persistence = <char> ord(persistence)
        self._lock = {None: 0, "share": BUFFER_LOCK_SHARE, "exclusive": BUFFER_LOCK_EXCLUSIVE}[lock]

    def __enter__(self) -> pinned:
        self.buffer = read_buffer(&self._locator, self._persistence, self._fork, self._block, self._mode, NULL)
        if self._lock:
            lock_buffer(self.buffer, self._lock)
        elif self._mode == RBM_ZERO_AND_LOCK:
            self._lock = BUFFER_LOCK_EXCLUSIVE
        return self

    def __exit__(self, kind, value, traceback) -> None:
        if self._lock and self.buffer > 0 and buffer_is_locked(self.buffer):
            lock_buffer(self.buffer, BUFFER_LOCK_UNLOCK)
        if buffer_pin_count(self.buffer) > 0:
            release_buffer(self.buffer)

    @property
    def page(self) -> memoryview:
        """The page; valid inside the block only."""
        return PyMemoryView_FromMemory(buffer_page(self.buffer), BLCKSZ, PyBUF_WRITE)

    @property
    def block(self) -> int:
        """The block number."""
        return buffer_block(self.buffer)

    def mark_dirty(self) -> None:
        """The page has changed."""
        mark_buffer_dirty(self.buffer)

    def mark_dirty_hint(self) -> None:
        """Only hints have changed."""
        mark_buffer_dirty_hint(self.buffer, True)


def extend(locator: tuple[int, int, int], fork: int = 0, count: int = 1, persistence: str = "p",
           flags: int = EB_CREATE_FORK_IF_NEEDED) -> list[int]:
    """Add zeroed blocks through the pool; returns their numbers, not pinned."""
    cdef RelFileLocator native = _native(locator)
    cdef Buffer buffers[MAX_EXTEND]
    cdef BlockNumber first
    cdef int n = extend_relation_by(&native, <char> ord(persistence), fork, NULL, flags, count, buffers, &first)
    cdef int i
    for i in range(n):
        release_buffer(buffers[i])
    return list(range(first, first + n))


def prewarm(locator: tuple[int, int, int], fork: int, block: int, nblocks: int, ring: int = 0) -> int:
    """read_ahead from Python; returns the number of blocks read."""
    cdef RelFileLocator native = _native(locator)
    cdef BufferAccessStrategy strategy = get_access_strategy(ring) if ring else NULL
    try:
        return read_ahead(&native, RELPERSISTENCE_PERMANENT, fork, block, nblocks, strategy)
    finally:
        free_access_strategy(strategy)


def flush_relation(locator: tuple[int, int, int], persistence: str = "p") -> None:
    """Write a relation's dirty buffers."""
    cdef RelFileLocator native = _native(locator)
    flush_relation_buffers(&native, <char> ord(persistence))


def flush_database(database: int) -> None:
    """Write a database's dirty buffers."""
    flush_database_buffers(database)


def drop_relation(locator: tuple[int, int, int], backend: int = -1) -> None:
    """Forget a relation's buffers."""
    cdef RelFileLocator native = _native(locator)
    drop_relation_all_buffers(&native, backend)


def drop_database(database: int) -> None:
    """Forget a database's buffers."""
    drop_database_buffers(database)


def at_end_of_transaction(is_commit: bool) -> None:
    """Warn of leaked pins, and drop them."""
    at_end_of_transaction_buffers(is_commit)


def release_pins() -> None:
    """Drop all pins of this process."""
    release_all_pins()
    unlock_buffers()


def pin_total() -> int:
    """Number of pins of this process."""
    return _pins + local_pins


def forget_pins_after_fork() -> None:
    """In a forked child: the parent's pins are not this process's."""
    global _pins, _private_owner, _private_pins
    free(_private_pins)
    _private_pins = NULL
    _private_owner = 0
    _pins = 0


def usage() -> dict[str, int]:
    """This process's buffer usage so far."""
    return dict(pgBufferUsage)


def buffers() -> list[dict[str, Any]]:
    """The buffers in use, as pg_buffercache shows them."""
    cdef int i
    cdef BufferDesc *desc
    cdef uint32_t state
    result = []
    for i in range(NBuffers):
        desc = &BufferDescriptors[i]
        if not atomic_read_u32(&desc.state) & BM_TAG_VALID:
            continue
        state = lock_buffer_header(desc)
        if state & BM_TAG_VALID:
            result.append({
                "bufferid": i + 1,
                "relfilenode": desc.tag.relNumber,
                "reltablespace": desc.tag.spcOid,
                "reldatabase": desc.tag.dbOid,
                "relforknumber": desc.tag.forkNum,
                "relblocknumber": desc.tag.blockNum,
                "isdirty": bool(state & BM_DIRTY),
                "isvalid": bool(state & BM_VALID),
                "usagecount": (state & BUF_USAGECOUNT_MASK) >> BUF_USAGECOUNT_SHIFT,
                "pinning_backends": state & BUF_REFCOUNT_MASK,
            })
        unlock_buffer_header(desc, state)
    return result


def configure(*, checksums: bool | None = None, zero_damaged: bool | None = None,
              ignore_checksums: bool | None = None, io_timing: bool | None = None) -> None:
    """Copy settings to where the hot paths read them."""
    global data_checksums_enabled, zero_damaged_pages, ignore_checksum_failure, track_io_timing
    if checksums is not None:
        data_checksums_enabled = checksums
        _local_buffer.set_checksums(checksums)
    if zero_damaged is not None:
        zero_damaged_pages = zero_damaged
        _md.set_zero_damaged_pages(zero_damaged)
    if ignore_checksums is not None:
        ignore_checksum_failure = ignore_checksums
    if io_timing is not None:
        track_io_timing = io_timing


def bench_pin(locator: tuple[int, int, int], int rounds, bint with_lock=False) -> float:
    """Nanoseconds to read and release a cached block, with a shared content lock if asked."""
    from time import perf_counter_ns
    cdef RelFileLocator native = _native(locator)
    cdef Buffer buffer
    cdef int i
    begin = perf_counter_ns()
    for i in range(rounds):
        buffer = read_buffer(&native, RELPERSISTENCE_PERMANENT, MAIN_FORK, 0, RBM_NORMAL, NULL)
        if with_lock:
            lock_buffer(buffer, BUFFER_LOCK_SHARE)
            lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
        release_buffer(buffer)
    return (perf_counter_ns() - begin) / rounds


on_assign("zero_damaged_pages")(lambda value: configure(zero_damaged=value))
on_assign("ignore_checksum_failure")(lambda value: configure(ignore_checksums=value))
on_assign("track_io_timing")(lambda value: configure(io_timing=value))

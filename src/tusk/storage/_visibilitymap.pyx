"""The visibility map: for each heap page, whether all its tuples are visible to all, and whether all are frozen.

Two bits per heap page, 32672 heap pages per map page. A set bit must be true; a clear one says nothing. Bits are set
under the heap page's exclusive lock, WAL-logged by the heap through a hook, and cleared in the critical section that
makes them untrue, before the heap page is unlocked. The map page is pinned before the heap page is locked: reading it
may take I/O.
"""

from libc.stdint cimport uint64_t
from libc.string cimport memset

from tusk._types cimport BLCKSZ, InvalidBlockNumber, VISIBILITYMAP_FORK
from tusk.memory._critical cimport critical_end, critical_start
from tusk.memory._process cimport MyProcNumber
from tusk.storage._buffer cimport (
    BUFFER_LOCK_EXCLUSIVE,
    BUFFER_LOCK_UNLOCK,
    EB_CLEAR_SIZE_CACHE,
    EB_CREATE_FORK_IF_NEEDED,
    RBM_ZERO_ON_ERROR,
    RELPERSISTENCE_PERMANENT,
    RELPERSISTENCE_TEMP,
    buffer_block,
    buffer_page,
    extend_relation_to,
    hint_needs_wal_hook,
    lock_buffer,
    mark_buffer_dirty,
    read_buffer,
    release_buffer,
    unlock_release_buffer,
)
from tusk.storage._page cimport SizeOfPageHeaderData, page_init, page_is_all_visible, page_is_new, page_set_lsn
from tusk.storage._smgr cimport SMgrRelation, smgr_exists, smgr_in_recovery, smgr_nblocks, smgr_open

from tusk.errors import Panic, SqlError, errcode

cdef enum:
    MAP_BYTES = 8168                # 8192 - 24

cdef extern from *:
    int popcount "__builtin_popcountll"(unsigned long long word) noexcept nogil


cdef inline BlockNumber _map_block(BlockNumber heap_block) noexcept nogil:
    return heap_block // HEAPBLOCKS_PER_VM_PAGE


cdef inline uint8_t *_byte(Buffer vm_buffer, BlockNumber heap_block) noexcept nogil:
    return <uint8_t *> buffer_page(vm_buffer) + SizeOfPageHeaderData + heap_block % HEAPBLOCKS_PER_VM_PAGE // 4


cdef inline int _shift(BlockNumber heap_block) noexcept nogil:
    return <int> (heap_block % 4) * 2


cdef inline SMgrRelation _relation(const RelFileLocator *locator, char persistence) except NULL:
    return smgr_open(locator, MyProcNumber if persistence == RELPERSISTENCE_TEMP else -1)


cdef Buffer _read(const RelFileLocator *locator, char persistence, BlockNumber block, bint extend) except -1:
    """A map page, pinned; 0 if it does not exist and is not to be made."""
    cdef SMgrRelation rel = _relation(locator, persistence)
    cdef Buffer buffer
    if rel.cached_nblocks[VISIBILITYMAP_FORK] == InvalidBlockNumber:
        if smgr_exists(rel, VISIBILITYMAP_FORK):
            smgr_nblocks(rel, VISIBILITYMAP_FORK)
        else:
            rel.cached_nblocks[VISIBILITYMAP_FORK] = 0
    if block >= rel.cached_nblocks[VISIBILITYMAP_FORK]:
        if not extend:
            # Another process may have made it: looked at again when the handle is invalidated, as in PostgreSQL.
            rel.cached_nblocks[VISIBILITYMAP_FORK] = InvalidBlockNumber
            if not smgr_exists(rel, VISIBILITYMAP_FORK) or block >= smgr_nblocks(rel, VISIBILITYMAP_FORK):
                return 0
            buffer = read_buffer(locator, persistence, VISIBILITYMAP_FORK, block, RBM_ZERO_ON_ERROR, NULL)
        else:
            buffer = extend_relation_to(locator, persistence, VISIBILITYMAP_FORK, NULL,
                                        EB_CREATE_FORK_IF_NEEDED | EB_CLEAR_SIZE_CACHE, block + 1,
                                        RBM_ZERO_ON_ERROR)
    else:
        buffer = read_buffer(locator, persistence, VISIBILITYMAP_FORK, block, RBM_ZERO_ON_ERROR, NULL)
    if page_is_new(buffer_page(buffer)):
        lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
        if page_is_new(buffer_page(buffer)):
            page_init(buffer_page(buffer), BLCKSZ, 0)
        lock_buffer(buffer, BUFFER_LOCK_UNLOCK)
    return buffer


cdef bint visibilitymap_pin_ok(BlockNumber heap_block, Buffer vm_buffer) noexcept nogil:
    return vm_buffer != 0 and buffer_block(vm_buffer) == _map_block(heap_block)


cdef int visibilitymap_pin(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                           Buffer *vm_buffer) except -1:
    if vm_buffer[0] != 0:
        if buffer_block(vm_buffer[0]) == _map_block(heap_block):
            return 0
        release_buffer(vm_buffer[0])
        vm_buffer[0] = 0
    vm_buffer[0] = _read(locator, persistence, _map_block(heap_block), True)
    return 0


cdef int visibilitymap_get_status(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                                  Buffer *vm_buffer) except -1:
    if vm_buffer[0] != 0 and buffer_block(vm_buffer[0]) != _map_block(heap_block):
        release_buffer(vm_buffer[0])
        vm_buffer[0] = 0
    if vm_buffer[0] == 0:
        vm_buffer[0] = _read(locator, persistence, _map_block(heap_block), False)
        if vm_buffer[0] == 0:
            return 0
    # A single byte, read without the lock: the caller decides whether a stale answer is safe.
    return (_byte(vm_buffer[0], heap_block)[0] >> _shift(heap_block)) & VISIBILITYMAP_VALID_BITS


cdef int visibilitymap_clear(BlockNumber heap_block, Buffer vm_buffer, uint8_t flags) except -1:
    cdef uint8_t mask = <uint8_t> (flags << _shift(heap_block))
    cdef uint8_t *byte
    cdef int cleared = 0
    if not visibilitymap_pin_ok(heap_block, vm_buffer):
        raise SqlError(errcode.INTERNAL_ERROR, "wrong buffer passed to visibilitymap_clear")
    byte = _byte(vm_buffer, heap_block)
    lock_buffer(vm_buffer, BUFFER_LOCK_EXCLUSIVE)
    if byte[0] & mask:
        byte[0] &= <uint8_t> (~mask & 0xFF)
        mark_buffer_dirty(vm_buffer)
        cleared = 1
    lock_buffer(vm_buffer, BUFFER_LOCK_UNLOCK)
    return cleared


cdef int visibilitymap_set(const RelFileLocator *locator, char persistence, BlockNumber heap_block, Buffer heap_buffer,
                           Lsn lsn, Buffer vm_buffer, TransactionId cutoff_xid, uint8_t flags) except -1:
    cdef uint8_t *byte
    cdef int shift = _shift(heap_block)
    cdef int before
    if heap_buffer != 0 and buffer_block(heap_buffer) != heap_block:
        raise SqlError(errcode.INTERNAL_ERROR, "wrong heap buffer passed to visibilitymap_set")
    if not visibilitymap_pin_ok(heap_block, vm_buffer):
        raise SqlError(errcode.INTERNAL_ERROR, "wrong VM buffer passed to visibilitymap_set")
    byte = _byte(vm_buffer, heap_block)
    lock_buffer(vm_buffer, BUFFER_LOCK_EXCLUSIVE)
    before = (byte[0] >> shift) & VISIBILITYMAP_VALID_BITS
    if flags != before:
        critical_start()
        byte[0] |= <uint8_t> (flags << shift)
        mark_buffer_dirty(vm_buffer)
        if persistence == RELPERSISTENCE_PERMANENT:
            if lsn == 0 and log_heap_visible_hook != NULL:
                lsn = log_heap_visible_hook(locator, heap_buffer, vm_buffer, cutoff_xid, flags)
                # The record covers the heap page too if hint bits (here PD_ALL_VISIBLE) are logged.
                if hint_needs_wal_hook != NULL and hint_needs_wal_hook() == 1 and heap_buffer != 0:
                    page_set_lsn(buffer_page(heap_buffer), lsn)
            if lsn != 0:
                page_set_lsn(buffer_page(vm_buffer), lsn)
        critical_end()
    lock_buffer(vm_buffer, BUFFER_LOCK_UNLOCK)
    return before


cdef int visibilitymap_count(const RelFileLocator *locator, char persistence, BlockNumber *all_visible,
                             BlockNumber *all_frozen) except -1:
    """Count the set bits in the whole map."""
    cdef BlockNumber block = 0
    cdef Buffer buffer
    cdef const uint64_t *words
    cdef int i
    cdef BlockNumber visible = 0
    cdef BlockNumber frozen = 0
    while True:
        buffer = _read(locator, persistence, block, False)
        if buffer == 0:
            break
        words = <const uint64_t *> (buffer_page(buffer) + SizeOfPageHeaderData)
        for i in range(MAP_BYTES // 8):
            visible += <BlockNumber> popcount(words[i] & <uint64_t> 0x5555555555555555)
            frozen += <BlockNumber> popcount(words[i] & <uint64_t> 0xAAAAAAAAAAAAAAAA)
        release_buffer(buffer)
        block += 1
    all_visible[0] = visible
    if all_frozen != NULL:
        all_frozen[0] = frozen
    return 0


cdef long long visibilitymap_prepare_truncate(const RelFileLocator *locator, char persistence,
                                              BlockNumber nblocks) except -1:
    cdef SMgrRelation rel = _relation(locator, persistence)
    cdef BlockNumber block = _map_block(nblocks)
    cdef BlockNumber byte = nblocks % HEAPBLOCKS_PER_VM_PAGE // 4
    cdef int shift = _shift(nblocks)
    cdef BlockNumber new_length
    cdef Buffer buffer
    cdef uint8_t *content
    if not smgr_exists(rel, VISIBILITYMAP_FORK):
        return InvalidBlockNumber
    if byte != 0 or shift != 0:
        new_length = block + 1
        buffer = _read(locator, persistence, block, False)
        if buffer == 0:
            return InvalidBlockNumber
        lock_buffer(buffer, BUFFER_LOCK_EXCLUSIVE)
        critical_start()
        content = <uint8_t *> buffer_page(buffer) + SizeOfPageHeaderData
        memset(content + byte + 1, 0, MAP_BYTES - (byte + 1))
        content[byte] &= <uint8_t> ((1 << shift) - 1)
        mark_buffer_dirty(buffer)
        if not smgr_in_recovery and persistence == RELPERSISTENCE_PERMANENT and log_vm_truncate_hook != NULL:
            log_vm_truncate_hook(buffer)
        critical_end()
        unlock_release_buffer(buffer)
    else:
        new_length = block
    if <BlockNumber> smgr_nblocks(rel, VISIBILITYMAP_FORK) <= new_length:
        return InvalidBlockNumber
    return new_length


# For Python.

cdef RelFileLocator _native(tuple locator) except *:
    cdef RelFileLocator native
    native.spcOid, native.dbOid, native.relNumber = locator
    return native


def status(locator: tuple[int, int, int], heap_block: int, persistence: str = "p") -> int:
    """The bits of a heap page."""
    cdef RelFileLocator native = _native(locator)
    cdef Buffer vm_buffer = 0
    cdef int bits = visibilitymap_get_status(&native, <char> ord(persistence), heap_block, &vm_buffer)
    if vm_buffer != 0:
        release_buffer(vm_buffer)
    return bits


def count(locator: tuple[int, int, int], persistence: str = "p") -> tuple[int, int]:
    """(all visible, all frozen) pages in the map."""
    cdef RelFileLocator native = _native(locator)
    cdef BlockNumber visible, frozen
    visibilitymap_count(&native, <char> ord(persistence), &visible, &frozen)
    return visible, frozen


def set_bits(locator: tuple[int, int, int], heap_block: int, flags: int, lsn: int = 0, persistence: str = "p") -> int:
    """Set bits (tests, redo in Python); returns those before."""
    cdef RelFileLocator native = _native(locator)
    cdef Buffer vm_buffer = 0
    cdef int before
    visibilitymap_pin(&native, <char> ord(persistence), heap_block, &vm_buffer)
    try:
        before = visibilitymap_set(&native, <char> ord(persistence), heap_block, 0, lsn, vm_buffer, 0, flags)
    finally:
        release_buffer(vm_buffer)
    return before


def clear_bits(locator: tuple[int, int, int], heap_block: int, flags: int = 3, persistence: str = "p") -> bool:
    """Clear bits; true if any was set."""
    cdef RelFileLocator native = _native(locator)
    cdef Buffer vm_buffer = 0
    visibilitymap_pin(&native, <char> ord(persistence), heap_block, &vm_buffer)
    try:
        return bool(visibilitymap_clear(heap_block, vm_buffer, flags))
    finally:
        release_buffer(vm_buffer)


def prepare_truncate(locator: tuple[int, int, int], nblocks: int, persistence: str = "p") -> int | None:
    """Clear the map's tail; its new length, None if there is nothing to cut."""
    cdef RelFileLocator native = _native(locator)
    cdef long long length = visibilitymap_prepare_truncate(&native, <char> ord(persistence), nblocks)
    return None if length == InvalidBlockNumber else length

"""Buffers of temporary relations: private to the process, no locks, no WAL.

The arrays are made at the first use of a temporary relation, with `temp_buffers` entries; blocks get their memory one
by one. Replacement is a clock sweep as in the shared pool.
"""

from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from tusk._types cimport BLCKSZ
from tusk.memory._process cimport MyProcNumber
from tusk.stats._pending cimport (
    IOCONTEXT_NORMAL, IOOBJECT_TEMP_RELATION, IOOP_EVICT, IOOP_WRITE, count_io, pgBufferUsage)
from tusk.storage._page cimport page_set_checksum
from tusk.storage._smgr cimport SMgrRelation, smgr_open, smgr_write

from tusk.errors import SqlError, errcode

cdef extern from "<stdlib.h>" nogil:
    int posix_memalign(void **memory, size_t alignment, size_t size)

cdef int _temp_buffers = 1024
cdef int32_t *_buckets = NULL
cdef uint32_t _bucket_mask = 0
cdef int _next_victim = 0
cdef bint _checksums = True


def set_temp_buffers(nbuffers: int) -> None:
    """The setting temp_buffers; has no effect once a temporary relation was used."""
    global _temp_buffers
    if LocalDescriptors != NULL and nbuffers != NLocalBuffers:
        raise SqlError(errcode.OBJECT_NOT_IN_PREREQUISITE_STATE,
                       '"temp_buffers" cannot be changed after any temporary tables have been accessed in the session')
    _temp_buffers = nbuffers


def set_checksums(enabled: bool) -> None:
    """Whether pages get checksums."""
    global _checksums
    _checksums = enabled


cdef int local_init() except -1:
    global NLocalBuffers, LocalBufferBlocks, LocalDescriptors, _buckets, _bucket_mask
    cdef int nbuckets = 64
    cdef int i
    if LocalDescriptors != NULL:
        return 0
    while nbuckets < _temp_buffers:
        nbuckets *= 2
    LocalBufferBlocks = <char **> calloc(_temp_buffers, sizeof(char *))
    LocalDescriptors = <LocalDesc *> calloc(_temp_buffers, sizeof(LocalDesc))
    _buckets = <int32_t *> calloc(nbuckets, sizeof(int32_t))
    if LocalBufferBlocks == NULL or LocalDescriptors == NULL or _buckets == NULL:
        free(LocalBufferBlocks)
        free(LocalDescriptors)
        free(_buckets)
        LocalDescriptors = NULL
        raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
    for i in range(nbuckets):
        _buckets[i] = -1
    _bucket_mask = nbuckets - 1
    NLocalBuffers = _temp_buffers
    return 0


cdef inline uint32_t _bucket(const RelFileLocator *locator, int fork, BlockNumber block) noexcept nogil:
    cdef uint32_t h = (locator.relNumber * <uint32_t> 2654435761) ^ (block * <uint32_t> 2246822519) ^ <uint32_t> fork
    return (h ^ (h >> 15)) & _bucket_mask


cdef inline bint _is(const LocalDesc *desc, const RelFileLocator *locator, int fork, BlockNumber block) noexcept nogil:
    return (desc.block == block and desc.locator.relNumber == locator.relNumber and desc.fork == fork
            and desc.locator.dbOid == locator.dbOid and desc.locator.spcOid == locator.spcOid)


cdef void _unlink(int index) noexcept nogil:
    """Take a buffer's tag away."""
    cdef LocalDesc *desc = &LocalDescriptors[index]
    cdef int32_t *link = &_buckets[_bucket(&desc.locator, desc.fork, desc.block)]
    while link[0] != index:
        link = &LocalDescriptors[link[0]].hash_next
    link[0] = desc.hash_next
    desc.flags = 0
    desc.usage = 0


cdef int local_alloc(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, bint *found) except -1:
    cdef uint32_t bucket
    cdef int index
    cdef int tries
    cdef LocalDesc *desc
    cdef void *memory
    local_init()
    bucket = _bucket(locator, fork, block)
    index = _buckets[bucket]
    while index >= 0:
        desc = &LocalDescriptors[index]
        if _is(desc, locator, fork, block):
            local_pin(index)
            found[0] = (desc.flags & LOCAL_VALID) != 0
            return index
        index = desc.hash_next
    found[0] = False
    tries = NLocalBuffers * 6
    while True:
        index = _next_victim
        _advance()
        desc = &LocalDescriptors[index]
        if desc.refcount == 0:
            if desc.usage == 0:
                break
            desc.usage -= 1
        tries -= 1
        if tries == 0:
            raise SqlError(errcode.INSUFFICIENT_RESOURCES, "no empty local buffer available")
    if desc.flags & LOCAL_DIRTY:
        local_flush(index)
    if LocalBufferBlocks[index] == NULL:
        if posix_memalign(&memory, 4096, BLCKSZ):
            raise SqlError(errcode.OUT_OF_MEMORY, "out of memory")
        LocalBufferBlocks[index] = <char *> memory
    if desc.flags & LOCAL_TAG_VALID:
        _unlink(index)
        count_io(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, IOOP_EVICT, 1, 0)
    desc.locator = locator[0]
    desc.fork = fork
    desc.block = block
    desc.flags = LOCAL_TAG_VALID
    desc.hash_next = _buckets[bucket]
    _buckets[bucket] = index
    local_pin(index)
    return index


cdef void _advance() noexcept nogil:
    global _next_victim
    _next_victim += 1
    if _next_victim >= NLocalBuffers:
        _next_victim = 0


cdef void local_pin(int index) noexcept nogil:
    global local_pins
    cdef LocalDesc *desc = &LocalDescriptors[index]
    if desc.refcount == 0 and desc.usage < 5:
        desc.usage += 1
    desc.refcount += 1
    local_pins += 1


cdef void local_unpin(int index) noexcept nogil:
    global local_pins
    LocalDescriptors[index].refcount -= 1
    local_pins -= 1


cdef int local_flush(int index) except -1:
    cdef LocalDesc *desc = &LocalDescriptors[index]
    cdef SMgrRelation rel = smgr_open(&desc.locator, MyProcNumber)
    if _checksums:
        page_set_checksum(LocalBufferBlocks[index], desc.block)
    smgr_write(rel, desc.fork, desc.block, LocalBufferBlocks[index], False)
    pgBufferUsage.local_blks_written += 1
    count_io(IOOBJECT_TEMP_RELATION, IOCONTEXT_NORMAL, IOOP_WRITE, 1, BLCKSZ)
    desc.flags &= ~LOCAL_DIRTY
    return 0


cdef int local_drop(const RelFileLocator *locator, ForkNumber fork, BlockNumber first) except -1:
    """Forget the blocks of a fork (-1: all forks) from `first` on."""
    cdef int i
    cdef LocalDesc *desc
    for i in range(NLocalBuffers):
        desc = &LocalDescriptors[i]
        if (desc.flags & LOCAL_TAG_VALID and desc.locator.relNumber == locator.relNumber
                and desc.locator.dbOid == locator.dbOid and desc.locator.spcOid == locator.spcOid
                and (fork < 0 or (desc.fork == fork and desc.block >= first))):
            if desc.refcount > 0:
                raise SqlError(errcode.INTERNAL_ERROR,
                               f"block {desc.block} of a temporary relation is still referenced (local {desc.refcount})")
            _unlink(i)
    return 0


cdef int local_flush_relation(const RelFileLocator *locator) except -1:
    cdef int i
    cdef LocalDesc *desc
    for i in range(NLocalBuffers):
        desc = &LocalDescriptors[i]
        if (desc.flags & LOCAL_DIRTY and desc.locator.relNumber == locator.relNumber
                and desc.locator.dbOid == locator.dbOid and desc.locator.spcOid == locator.spcOid):
            local_flush(i)
    return 0


cdef void local_release_all() noexcept:
    """Drop every pin: after an error."""
    global local_pins
    cdef int i
    for i in range(NLocalBuffers):
        LocalDescriptors[i].refcount = 0
    local_pins = 0

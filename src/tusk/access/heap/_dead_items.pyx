"""The dead line pointers of a VACUUM: a bit for each, found by block in three steps.

Blocks are added in ascending order, each once. A chunk of 1024 blocks says where the words of each begin; chunks exist
only where there are dead items.
"""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, realloc
from libc.string cimport memset


cdef int dead_items_add(DeadItems *items, BlockNumber block, const OffsetNumber *offsets, int n) except -1:
    cdef uint32_t index = block >> CHUNK_BITS
    cdef uint32_t count
    cdef int64_t room
    cdef int i
    cdef int nwords = 0
    cdef void *grown
    cdef uint64_t *words
    if index >= items.nchunks:
        count = max(2 * items.nchunks, index + 1, 64)
        grown = realloc(items.chunks, count * sizeof(DeadChunk *))
        if grown == NULL:
            raise MemoryError
        items.chunks = <DeadChunk **> grown
        memset(items.chunks + items.nchunks, 0, (count - items.nchunks) * sizeof(DeadChunk *))
        items.memory += <int64_t> (count - items.nchunks) * sizeof(DeadChunk *)
        items.nchunks = count
    if items.chunks[index] == NULL:
        items.chunks[index] = <DeadChunk *> calloc(1, sizeof(DeadChunk))
        if items.chunks[index] == NULL:
            raise MemoryError
        items.memory += sizeof(DeadChunk)
    if items.nblocks == items.blocks_room:
        room = max(2 * items.blocks_room, 256)
        grown = realloc(items.blocks, room * sizeof(uint32_t))
        if grown == NULL:
            raise MemoryError
        items.blocks = <uint32_t *> grown
        items.memory += (room - items.blocks_room) * <int64_t> sizeof(uint32_t)
        items.blocks_room = room
    if items.nwords + 1 + MAX_WORDS > items.words_room:
        room = max(2 * items.words_room, 1024)
        grown = realloc(items.words, room * sizeof(uint64_t))
        if grown == NULL:
            raise MemoryError
        items.words = <uint64_t *> grown
        items.memory += (room - items.words_room) * <int64_t> sizeof(uint64_t)
        items.words_room = room
    words = items.words + items.nwords + 1
    memset(words, 0, MAX_WORDS * sizeof(uint64_t))
    for i in range(n):
        words[offsets[i] >> 6] |= <uint64_t> 1 << (offsets[i] & 63)
        if (offsets[i] >> 6) + 1 > nwords:
            nwords = (offsets[i] >> 6) + 1
    items.words[items.nwords] = nwords
    items.chunks[index].at[block & (CHUNK_SIZE - 1)] = <uint32_t> items.nwords + 1
    items.nwords += 1 + nwords
    items.blocks[items.nblocks] = block
    items.nblocks += 1
    items.nitems += n
    return 0


cdef void dead_items_reset(DeadItems *items) noexcept nogil:
    cdef uint32_t i
    for i in range(items.nchunks):
        free(items.chunks[i])
    free(items.chunks)
    free(items.blocks)
    free(items.words)
    memset(items, 0, sizeof(DeadItems))


cdef int dead_items_of(const DeadItems *items, int64_t i, OffsetNumber *offsets) noexcept nogil:
    cdef uint32_t block = items.blocks[i]
    cdef uint32_t at = items.chunks[block >> CHUNK_BITS].at[block & (CHUNK_SIZE - 1)]
    cdef uint64_t nwords = items.words[at - 1]
    cdef uint64_t word
    cdef uint64_t w
    cdef int bit
    cdef int n = 0
    for w in range(nwords):
        word = items.words[at + w]
        bit = 0
        while word:
            if word & 1:
                offsets[n] = <OffsetNumber> (w * 64 + bit)
                n += 1
            word >>= 1
            bit += 1
    return n

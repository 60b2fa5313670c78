# cython: language_level=3
"""The dead line pointers a VACUUM has found (access/tidstore.h)."""

from libc.stdint cimport int64_t, uint32_t, uint64_t
from tusk._types cimport BlockNumber, ItemPointerData, OffsetNumber

cdef enum:
    CHUNK_BITS = 10
    CHUNK_SIZE = 1024
    MAX_WORDS = 5                       # 291 line pointers

cdef struct DeadChunk:
    uint32_t at[1024]                   # by block: 1 + where its words begin, 0 for none

cdef struct DeadItems:
    DeadChunk **chunks                  # by block number >> CHUNK_BITS
    uint32_t nchunks
    uint32_t *blocks                    # those that have dead items, in the order they were added (ascending)
    int64_t nblocks
    int64_t blocks_room
    uint64_t *words                     # for each: how many words follow, and a bit for each offset
    int64_t nwords
    int64_t words_room
    int64_t nitems
    int64_t memory                      # bytes

cdef int dead_items_add(DeadItems *items, BlockNumber block, const OffsetNumber *offsets, int n) except -1
cdef void dead_items_reset(DeadItems *items) noexcept nogil
# The offsets of the i-th block; returns how many.
cdef int dead_items_of(const DeadItems *items, int64_t i, OffsetNumber *offsets) noexcept nogil


cdef inline bint dead_items_has(const DeadItems *items, BlockNumber block, OffsetNumber offset) noexcept nogil:
    cdef DeadChunk *chunk
    cdef uint32_t at
    cdef uint32_t index = block >> CHUNK_BITS
    if index >= items.nchunks:
        return False
    chunk = items.chunks[index]
    if chunk == NULL:
        return False
    at = chunk.at[block & (CHUNK_SIZE - 1)]
    if at == 0 or (offset >> 6) >= items.words[at - 1]:
        return False
    return (items.words[at + (offset >> 6)] >> (offset & 63)) & 1

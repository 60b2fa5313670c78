# cython: language_level=3
"""Buffers of temporary relations: private to the process, no locks, no WAL (storage/buf_internals.h)."""

from libc.stdint cimport int32_t, uint8_t, uint32_t

from tusk._types cimport BlockNumber, ForkNumber, Oid, RelFileLocator

cdef struct LocalDesc:
    RelFileLocator locator
    int32_t fork
    BlockNumber block
    int32_t refcount
    uint8_t usage
    uint8_t flags              # LOCAL_*
    int32_t hash_next

cdef enum:
    LOCAL_TAG_VALID = 1
    LOCAL_VALID = 2
    LOCAL_DIRTY = 4

cdef char **LocalBufferBlocks
cdef LocalDesc *LocalDescriptors
cdef int NLocalBuffers
cdef int local_pins             # in total

cdef int local_init() except -1
# Index of the buffer, pinned; *found: it holds the block already and is valid.
cdef int local_alloc(const RelFileLocator *locator, ForkNumber fork, BlockNumber block, bint *found) except -1
cdef void local_pin(int index) noexcept nogil
cdef void local_unpin(int index) noexcept nogil
cdef int local_flush(int index) except -1
cdef int local_drop(const RelFileLocator *locator, ForkNumber fork, BlockNumber first) except -1
cdef int local_flush_relation(const RelFileLocator *locator) except -1
cdef void local_release_all() noexcept

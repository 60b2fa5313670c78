# cython: language_level=3
"""Memory contexts: trees of arenas (utils/memutils.h, nodes/memnodes.h)."""

from libc.stddef cimport size_t
from libc.stdint cimport int64_t, uint64_t

cdef struct ArenaBlock:
    ArenaBlock *next
    ArenaBlock *prev
    size_t size                 # whole block, header included
    size_t used                 # header included
    bint large                  # holds one chunk

cdef class MemoryContext:
    cdef readonly str name
    cdef readonly object ident
    cdef readonly str kind              # AllocSet, Generation, Slab, Bump
    cdef readonly MemoryContext parent
    cdef list _children
    cdef list _held
    cdef list _callbacks
    cdef ArenaBlock *_blocks            # the first one is being filled
    cdef ArenaBlock *_large
    cdef char *_free                    # room in the first block
    cdef char *_end
    cdef size_t _init_block_size
    cdef size_t _max_block_size
    cdef size_t _next_block_size
    cdef size_t _total_bytes            # this context alone
    cdef size_t _nblocks
    cdef size_t _large_freed
    cdef bint _deleted
    cdef object __weakref__

    cdef void *alloc(self, size_t nbytes) except NULL
    cdef void *alloc_zero(self, size_t nbytes) except NULL
    # old_nbytes: what was asked for; a large chunk is resized in place where possible.
    cdef void *realloc(self, void *chunk, size_t old_nbytes, size_t nbytes) except NULL
    cdef void _free_blocks(self, ArenaBlock *block) noexcept
    cdef void *_alloc_slow(self, size_t nbytes) except NULL
    # Gives a large chunk (more than 8 kB) back to the system; a no-op for a small one.
    cdef void free_chunk(self, void *chunk, size_t nbytes) noexcept
    cdef char *copy_bytes(self, const void *data, size_t nbytes) except NULL
    cpdef size_t total_bytes(self, bint recurse=*)
    cpdef reset(self)
    cpdef reset_only(self)
    cpdef delete(self)

cdef MemoryContext TopMemoryContext
cdef MemoryContext CurrentMemoryContext
cdef MemoryContext ErrorContext
cdef MemoryContext CacheMemoryContext
cdef MemoryContext MessageContext
cdef MemoryContext TopTransactionContext
cdef MemoryContext PortalContext
cdef MemoryContext switch_context(MemoryContext context)

# cython: language_level=3
"""The visibility map: two bits per heap page (access/visibilitymap.h)."""

from libc.stdint cimport uint8_t

from tusk._types cimport BlockNumber, Lsn, RelFileLocator, TransactionId
from tusk.storage._buffer cimport Buffer

cdef enum:
    VISIBILITYMAP_ALL_VISIBLE = 0x01
    VISIBILITYMAP_ALL_FROZEN = 0x02
    VISIBILITYMAP_VALID_BITS = 0x03
    VISIBILITYMAP_XLOG_CATALOG_REL = 0x04
    HEAPBLOCKS_PER_VM_PAGE = 32672      # (8192 - 24) * 4

# *vm_buffer is 0 or a pinned map page; on return the one that holds the bits of heap_block.
cdef int visibilitymap_pin(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                           Buffer *vm_buffer) except -1
cdef bint visibilitymap_pin_ok(BlockNumber heap_block, Buffer vm_buffer) noexcept nogil
# The bits; 0 where the map ends. *vm_buffer as above.
cdef int visibilitymap_get_status(const RelFileLocator *locator, char persistence, BlockNumber heap_block,
                                  Buffer *vm_buffer) except -1
# Heap page is exclusively locked. Clears these bits; 1 if any was set.
cdef int visibilitymap_clear(BlockNumber heap_block, Buffer vm_buffer, uint8_t flags) except -1
# Sets bits, in a critical section. With lsn 0 and a permanent relation the hook logs (heap's XLOG_HEAP2_VISIBLE) and
# gives the LSN to stamp; redo passes the record's LSN. Returns the bits before.
cdef int visibilitymap_set(const RelFileLocator *locator, char persistence, BlockNumber heap_block, Buffer heap_buffer,
                           Lsn lsn, Buffer vm_buffer, TransactionId cutoff_xid, uint8_t flags) except -1
cdef int visibilitymap_count(const RelFileLocator *locator, char persistence, BlockNumber *all_visible,
                             BlockNumber *all_frozen) except -1
# The map's new length for a heap truncated to nblocks, its last page already cleared; InvalidBlockNumber: none to cut.
cdef long long visibilitymap_prepare_truncate(const RelFileLocator *locator, char persistence,
                                              BlockNumber nblocks) except -1

ctypedef Lsn (*log_heap_visible_fn)(const RelFileLocator *locator, Buffer heap_buffer, Buffer vm_buffer,
                                    TransactionId cutoff_xid, uint8_t flags) except 0
cdef log_heap_visible_fn log_heap_visible_hook
# Logs a full-page image of a map page whose tail was cut, if hints are WAL-logged; in a critical section.
ctypedef int (*log_vm_truncate_fn)(Buffer buffer) except -1
cdef log_vm_truncate_fn log_vm_truncate_hook
